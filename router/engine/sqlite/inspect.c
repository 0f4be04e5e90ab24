/*
 * The router's view of an embedded database: the catalogs of its shards as one schema, the OIDs in
 * which shards differ, and the tables that a shard lacks.
 */
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/catalog_data.h"
#include "router/engine/sqlite/shard.h"
#include "router/engine/sqlite/sqlite.h"

static enum sy_volatility volatility_of(char letter)
{
    return letter == 'i' ? SY_IMMUTABLE : letter == 's' ? SY_STABLE : SY_VOLATILE;
}

/* now() reads the session's transaction; sequences, locks and random() are volatile in the table
 * itself. */
static void add_functions(struct sy_schema_builder *builder)
{
    for (uint32_t i = 0; i < sq_proc_count; i++)
        sy_schema_builder_add_function(builder, SY_SLICE("pg_catalog"),
                                       sy_slice_of(sq_procs[i].name),
                                       volatility_of(sq_procs[i].volatility));
}

/* Text is compared by bytes, whatever COLLATE says elsewhere: SQLite's BINARY. */
static enum sy_collation collation_of(uint32_t type)
{
    return type == SY_T_TEXT || type == SY_T_VARCHAR || type == SY_T_BPCHAR ? SY_COLLATION_DEFAULT_C
                                                                            : SY_COLLATION_UNKNOWN;
}

/* A literal, with or without a cast, is the same wherever it is filled in. */
static bool is_constant(const char *sql)
{
    static const char *const moving[] = {"(",     "current_", "localtime", "now",
                                         "today", "tomorrow", "yesterday", NULL};
    for (const char *const *word = moving; *word != NULL; word++)
        if (strcasestr(sql, *word) != NULL)
            return false;
    return true;
}

static void add_columns(struct sy_schema_builder *builder, uint32_t index,
                        const struct sy_sqrelation *r)
{
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct sy_sqcolumn *c = &r->columns[i];
        const struct sy_type_info *type = sy_type_find(c->type);
        bool serial = c->default_sql != NULL && strncmp(c->default_sql, "nextval(", 8) == 0;
        const struct sy_schema_column column = {
            .name = sy_slice_of(c->name),
            .type = sy_slice_of(type == NULL ? "text" : type->name),
            .type_oid = c->type,
            .type_modifier = c->typmod,
            .collation = collation_of(c->type),
            .has_default = c->default_sql != NULL || c->identity != 0,
            .is_identity_or_serial = serial || c->identity != 0,
            .default_volatility = c->default_sql != NULL && is_constant(c->default_sql)
                                      ? SY_IMMUTABLE
                                      : SY_VOLATILE_UNKNOWN,
            .is_generated = c->generated != 0,
        };
        sy_schema_builder_add_column(builder, index, &column);
    }
}

static uint32_t add_relation(struct sy_schema_builder *builder, const struct sy_sqrelation *r)
{
    const struct sy_schema_relation relation = {
        .schema = sy_slice_of(r->schema),
        .name = sy_slice_of(r->name),
        .oid = r->oid,
        .kind = r->kind == 'v'   ? SY_RELATION_VIEW
                : r->kind == 'S' ? SY_RELATION_SEQUENCE
                                 : SY_RELATION_TABLE,
    };
    uint32_t index = sy_schema_builder_add_relation(builder, &relation);
    add_columns(builder, index, r);
    return index;
}

static const struct sy_sqrelation *find_relation(const struct sy_sqlite_catalog *catalog,
                                                 const struct sy_sqrelation *like)
{
    for (uint32_t i = 0; i < catalog->relation_count; i++) {
        const struct sy_sqrelation *one = &catalog->relations[i];
        if (strcmp(one->name, like->name) == 0 && strcmp(one->schema, like->schema) == 0)
            return one;
    }
    return NULL;
}

/* A view's base relations are not recorded by name: every table whose name its text contains is
 * taken for one. Too many only make the router more careful. */
static void add_dependencies(struct sy_schema_builder *builder,
                             const struct sy_sqlite_catalog *catalog, const uint32_t *index_of)
{
    for (uint32_t v = 0; v < catalog->relation_count; v++) {
        const struct sy_sqrelation *view = &catalog->relations[v];
        if (view->kind != 'v' || view->view_sql == NULL || index_of[v] == UINT32_MAX)
            continue;
        for (uint32_t i = 0; i < catalog->relation_count; i++) {
            if (i != v && index_of[i] != UINT32_MAX &&
                strstr(view->view_sql, catalog->relations[i].name) != NULL)
                sy_schema_builder_add_dependency(builder, index_of[v], index_of[i]);
        }
    }
}

/* ---- the shards of a database ---- */

struct inspection {
    struct sy_topology_schema base; /* first: what the topology holds */
    struct sy_arena arena;
    struct sy_sqlite_catalog **catalogs; /* one a shard; while building only */
    uint32_t count;
};

static void release(struct sy_topology_schema *self)
{
    struct inspection *inspection = (struct inspection *)(void *)self;
    sy_schema_unref(&inspection->base.schema);
    sy_arena_release(&inspection->arena);
    free(inspection);
}

static enum sy_status open_catalog(struct sy_node *node, struct sy_sqlite_catalog **ret_catalog,
                                   struct sy_err *err)
{
    struct sy_sqlite_file *file = NULL;
    enum sy_status status = sy_sqlite_file_find(node->file, node->node_index, &file, err);
    if (status == SY_OK)
        sy_sqlite_file_attach(file, node);
    if (status == SY_OK)
        *ret_catalog = sy_sqlite_file_catalog(file);
    return status;
}

/* What an earlier shard has is known already. */
static bool known_before(const struct inspection *inspection, uint32_t shard,
                         const struct sy_sqrelation *relation)
{
    for (uint32_t i = 0; i < shard; i++) {
        if (find_relation(inspection->catalogs[i], relation) != NULL)
            return true;
    }
    return false;
}

static bool add_shard(const struct inspection *inspection, uint32_t shard,
                      struct sy_schema_builder *builder)
{
    const struct sy_sqlite_catalog *catalog = inspection->catalogs[shard];
    uint32_t *index_of = calloc((size_t)catalog->relation_count + 1, sizeof(*index_of));
    if (index_of == NULL)
        return false;
    for (uint32_t i = 0; i < catalog->relation_count; i++)
        index_of[i] = known_before(inspection, shard, &catalog->relations[i])
                          ? UINT32_MAX
                          : add_relation(builder, &catalog->relations[i]);
    add_dependencies(builder, catalog, index_of);
    free(index_of);
    return true;
}

static enum sy_status build_schema(struct inspection *inspection, struct sy_err *err)
{
    struct sy_schema_builder *builder = sy_schema_builder_new();
    const struct sy_sqrelation *emulated = NULL;
    bool enough = builder != NULL;
    if (builder != NULL) {
        sy_schema_builder_add_namespace(builder, SY_SLICE("pg_catalog"));
        sy_schema_builder_add_namespace(builder, SY_SLICE("public"));
        sy_schema_builder_add_namespace(builder, SY_SLICE("information_schema"));
        add_functions(builder);
    }
    for (uint32_t i = 0; enough && (emulated = sy_sqlite_emulated_at(i)) != NULL; i++)
        (void)add_relation(builder, emulated);
    for (uint32_t i = 0; enough && i < inspection->count; i++)
        enough = add_shard(inspection, i, builder);
    if (enough)
        return sy_schema_builder_finish(&builder, &inspection->base.schema, err);
    sy_schema_builder_free(&builder);
    return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
}

static int compare_pairs(const void *a, const void *b)
{
    const struct sy_oid_pair *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Tables have OIDs of their own on each shard; types are built in and the same everywhere. */
static bool map_tables(struct inspection *inspection, uint32_t shard)
{
    const struct sy_sqlite_catalog *first = inspection->catalogs[0];
    const struct sy_sqlite_catalog *other = inspection->catalogs[shard];
    struct sy_type_map *map = &inspection->base.maps[shard];
    struct sy_oid_pair *pairs =
        sy_arena_calloc(&inspection->arena, (size_t)other->relation_count + 1, sizeof(*pairs));
    if (pairs == NULL)
        return false;
    for (uint32_t i = 0; shard > 0 && i < other->relation_count; i++) {
        const struct sy_sqrelation *same = find_relation(first, &other->relations[i]);
        if (same != NULL && same->oid != other->relations[i].oid)
            pairs[map->table_count++] =
                (struct sy_oid_pair){.from = other->relations[i].oid, .to = same->oid};
    }
    qsort(pairs, map->table_count, sizeof(*pairs), compare_pairs);
    map->tables = pairs;
    return true;
}

static bool lacks(const struct sy_sqlite_catalog *catalog, const struct sy_map_table *table)
{
    for (uint32_t i = 0; i < catalog->relation_count; i++) {
        const struct sy_sqrelation *one = &catalog->relations[i];
        if (sy_slice_eq(sy_slice_of(one->name), table->name) &&
            sy_slice_eq(sy_slice_of(one->schema), table->schema))
            return false;
    }
    return true;
}

/* A declared table that some shard has and another lacks; one that none has was not made yet. */
static bool tell_differences(struct inspection *inspection,
                             const struct sy_topology_database *database)
{
    uint32_t tables = sy_shardmap_table_count(database->map);
    inspection->base.differences = sy_arena_calloc(
        &inspection->arena, (size_t)tables * inspection->count + 1, sizeof(const char *));
    if (inspection->base.differences == NULL)
        return false;
    for (uint32_t t = 0; t < tables; t++) {
        const struct sy_map_table *table = sy_shardmap_table(database->map, t);
        uint32_t without = 0;
        for (uint32_t i = 0; i < inspection->count; i++)
            without += lacks(inspection->catalogs[i], table);
        for (uint32_t i = 0; without < inspection->count && table->placement != SY_TABLE_LOCAL &&
                             i < inspection->count;
             i++) {
            if (!lacks(inspection->catalogs[i], table))
                continue;
            const char *line = sy_arena_printf(
                &inspection->arena, "table %.*s.%.*s is declared, but shard %s does not have it",
                (int)table->schema.bytes, table->schema.data, (int)table->name.bytes,
                table->name.data, database->config->shards[i].name);
            if (line == NULL)
                return false;
            inspection->base.differences[inspection->base.difference_count++] = line;
        }
    }
    return true;
}

static enum sy_status fill(struct inspection *inspection,
                           const struct sy_topology_database *database, struct sy_err *err)
{
    struct sy_topology_schema *base = &inspection->base;
    base->maps = sy_arena_calloc(&inspection->arena, inspection->count, sizeof(*base->maps));
    base->shard_count = inspection->count;
    base->server_version = "15";
    base->server_version_num = 150000;
    base->server_encoding = "UTF8";
    base->collation = "C";
    bool enough = base->maps != NULL;
    for (uint32_t i = 0; enough && i < inspection->count; i++)
        enough = map_tables(inspection, i);
    if (!enough || !tell_differences(inspection, database))
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return build_schema(inspection, err);
}

enum sy_status sy_sqlite_inspect(const struct sy_topology_database *database,
                                 struct sy_topology_schema **ret_schema, bool *ret_complete,
                                 struct sy_err *err)
{
    struct inspection *inspection = calloc(1, sizeof(*inspection));
    struct sy_sqlite_catalog **catalogs =
        calloc(database->shard_count, sizeof(struct sy_sqlite_catalog *));
    enum sy_status status = sy_sqlite_database_open(database, err);
    if (status != SY_OK) {
        free(inspection);
        free(catalogs);
        return status;
    }
    if (inspection == NULL || catalogs == NULL) {
        free(inspection);
        free(catalogs);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    const struct sy_clock *clock = sy_clock_real();
    atomic_store(&inspection->base.refs, 1);
    inspection->base.release = release;
    inspection->base.read_at_us = clock->wall_us(clock);
    inspection->catalogs = catalogs;
    for (; inspection->count < database->shard_count && status == SY_OK; inspection->count++)
        status = open_catalog(database->shards[inspection->count].nodes[0],
                              &catalogs[inspection->count], err);
    if (status == SY_OK)
        status = fill(inspection, database, err);
    for (uint32_t i = 0; i < inspection->count; i++) {
        if (catalogs[i] != NULL)
            sy_sqlite_catalog_unref(&catalogs[i]);
    }
    free(catalogs);
    inspection->catalogs = NULL;
    if (status != SY_OK) {
        release(&inspection->base);
        return status;
    }
    *ret_schema = &inspection->base;
    *ret_complete = true;
    return SY_OK;
}
