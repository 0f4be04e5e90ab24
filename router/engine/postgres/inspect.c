/* Puts a database's schema together from its shards' catalogs. Runs on the inspector's thread. */
#include "router/engine/postgres/inspect.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "router/engine/postgres/inspect_internal.h"

/* What the snapshot holds: the public part first, then what it points into. */
struct inspection {
    struct sy_topology_schema base;
    struct sy_arena arena;
};

static void release(struct sy_topology_schema *self)
{
    struct inspection *inspection = (struct inspection *)(void *)self;
    sy_schema_unref(&inspection->base.schema);
    sy_arena_release(&inspection->arena);
    free(inspection);
}

/* ---- the schema ---- */

static enum sy_relation_kind kind_of(char relkind)
{
    switch (relkind) {
    case 'v':
        return SY_RELATION_VIEW;
    case 'm':
        return SY_RELATION_MATVIEW;
    case 'S':
        return SY_RELATION_SEQUENCE;
    case 'f':
        return SY_RELATION_FOREIGN;
    case 'i':
    case 'I':
        return SY_RELATION_INDEX;
    default:
        return SY_RELATION_TABLE;
    }
}

/* All shards of a database. */
struct inspect_set {
    const struct inspect_shard *shards;
    uint32_t count;
};

static enum sy_collation collation_at(const struct inspect_shard *shard, int at)
{
    switch (inspect_text(shard, INSPECT_COLUMNS, at, 10)[0]) {
    case 'c':
        return SY_COLLATION_C;
    case 'd':
        return SY_COLLATION_DEFAULT_C;
    case 'o':
        return SY_COLLATION_OTHER;
    default:
        return SY_COLLATION_UNKNOWN;
    }
}

/* Rows of several shards are merged by bytes only if every shard orders the column so. */
static enum sy_collation collation_on_all(const struct inspect_set *set, const char *key,
                                          const char *name, enum sy_collation collation)
{
    for (uint32_t i = 0; i < set->count; i++) {
        const struct inspect_shard *shard = &set->shards[i];
        int row = shard->read ? inspect_find(&shard->relations, key) : -1;
        for (int c = 0; row >= 0 && c < shard->column_count[row]; c++) {
            int at = shard->first_column[row] + c;
            if (strcmp(inspect_text(shard, INSPECT_COLUMNS, at, 1), name) == 0 &&
                collation_at(shard, at) != collation)
                return SY_COLLATION_OTHER;
        }
    }
    return collation;
}

static enum sy_volatility default_volatility(const struct inspect_shard *shard, int at)
{
    switch (inspect_text(shard, INSPECT_COLUMNS, at, 11)[0]) {
    case 'i':
        return SY_IMMUTABLE;
    case 's':
        return SY_STABLE;
    case 'v':
        return SY_VOLATILE;
    default:
        return SY_VOLATILE_UNKNOWN;
    }
}

static void add_columns(struct sy_schema_builder *builder, uint32_t index,
                        const struct inspect_set *set, const struct inspect_shard *shard, int row)
{
    const char *key = inspect_text(shard, INSPECT_RELATIONS, row, 0);
    for (int i = 0; i < shard->column_count[row]; i++) {
        int at = shard->first_column[row] + i;
        struct sy_schema_column column = {
            .name = sy_slice_of(inspect_text(shard, INSPECT_COLUMNS, at, 1)),
            .type = sy_slice_of(inspect_text(shard, INSPECT_COLUMNS, at, 2)),
            .type_oid = inspect_oid(shard, INSPECT_COLUMNS, at, 3),
            .type_modifier = (int32_t)strtol(inspect_text(shard, INSPECT_COLUMNS, at, 4), NULL, 10),
            .has_default = inspect_text(shard, INSPECT_COLUMNS, at, 5)[0] == 't',
            .is_identity_or_serial = inspect_text(shard, INSPECT_COLUMNS, at, 6)[0] == 't',
            .is_generated = inspect_text(shard, INSPECT_COLUMNS, at, 7)[0] == 't',
            .nondeterministic_collation = inspect_text(shard, INSPECT_COLUMNS, at, 8)[0] == 't',
            .default_volatility = default_volatility(shard, at),
            .default_sql = sy_slice_of(inspect_text(shard, INSPECT_COLUMNS, at, 12)),
        };
        column.collation = collation_on_all(set, key, column.name.data, collation_at(shard, at));
        sy_schema_builder_add_column(builder, index, &column);
    }
}

/* A flag counts when any shard has it: a trigger on one shard is a trigger. */
static bool on_any(const struct inspect_shard *shards, uint32_t count, const char *key, int column)
{
    for (uint32_t i = 0; i < count; i++) {
        int row = shards[i].read ? inspect_find(&shards[i].relations, key) : -1;
        if (row >= 0 && inspect_text(&shards[i], INSPECT_RELATIONS, row, column)[0] == 't')
            return true;
    }
    return false;
}

/* A view can be proved only if it is the same, and provable, wherever it exists. */
static bool on_all(const struct inspect_shard *shards, uint32_t count, const char *key, int column)
{
    for (uint32_t i = 0; i < count; i++) {
        int row = shards[i].read ? inspect_find(&shards[i].relations, key) : -1;
        if (row >= 0 && inspect_text(&shards[i], INSPECT_RELATIONS, row, column)[0] != 't')
            return false;
    }
    return true;
}

/* Views over views that are not provable are not either; sequences and foreign tables answer
 * differently. */
static bool reads_only_provable(const struct inspect_shard *shard, int row, int depth)
{
    enum { DEPTH_MAX = 64 };
    const char *oid = inspect_text(shard, INSPECT_RELATIONS, row, 3);
    int count = PQntuples(shard->results[INSPECT_DEPENDS]);
    if (depth > DEPTH_MAX)
        return false;
    for (int i = 0; i < count; i++) {
        if (strcmp(inspect_text(shard, INSPECT_DEPENDS, i, 0), oid) != 0)
            continue;
        int target =
            inspect_find(&shard->relations_by_oid, inspect_text(shard, INSPECT_DEPENDS, i, 1));
        if (target < 0)
            return false;
        char kind = inspect_text(shard, INSPECT_RELATIONS, target, 4)[0];
        bool good = kind == 'v' ? inspect_text(shard, INSPECT_RELATIONS, target, 8)[0] == 't' &&
                                      reads_only_provable(shard, target, depth + 1)
                                : (kind == 'r' || kind == 'p' || kind == 'm') &&
                                      inspect_text(shard, INSPECT_RELATIONS, target, 5)[0] != 't';
        if (!good)
            return false;
    }
    return true;
}

/* Adds what earlier shards did not have. indexes[row]: of each of this shard's rows in the builder.
 */
static bool add_relations(struct sy_schema_builder *builder, const struct inspect_shard *shards,
                          uint32_t count, uint32_t which, struct sy_map *known)
{
    const struct inspect_shard *shard = &shards[which];
    int rows = PQntuples(shard->results[INSPECT_RELATIONS]);
    for (int row = 0; row < rows; row++) {
        const char *key = inspect_text(shard, INSPECT_RELATIONS, row, 0);
        if (sy_map_get(known, sy_slice_of(key)) != NULL)
            continue;
        struct sy_schema_relation relation = {
            .schema = sy_slice_of(inspect_text(shard, INSPECT_RELATIONS, row, 1)),
            .name = sy_slice_of(inspect_text(shard, INSPECT_RELATIONS, row, 2)),
            .oid = inspect_oid(shard, INSPECT_RELATIONS, row, 3),
            .kind = kind_of(inspect_text(shard, INSPECT_RELATIONS, row, 4)[0]),
            .is_unlogged = on_any(shards, count, key, 5),
            .has_triggers = on_any(shards, count, key, 6),
            .has_rls = on_any(shards, count, key, 7),
            .calls_users = on_any(shards, count, key, 9),
        };
        relation.is_read_only_view = relation.kind == SY_RELATION_VIEW &&
                                     on_all(shards, count, key, 8) &&
                                     reads_only_provable(shard, row, 0);
        uint32_t index = sy_schema_builder_add_relation(builder, &relation);
        if (index == UINT32_MAX || sy_map_put(known, sy_slice_of(key),
                                              (void *)((uintptr_t)index + 1), NULL, NULL) != SY_OK)
            return false;
        add_columns(builder, index, &(struct inspect_set){shards, count}, shard, row);
    }
    return true;
}

static void add_dependencies(struct sy_schema_builder *builder, const struct inspect_shard *shard,
                             const struct sy_map *known)
{
    int count = PQntuples(shard->results[INSPECT_DEPENDS]);
    for (int i = 0; i < count; i++) {
        int view =
            inspect_find(&shard->relations_by_oid, inspect_text(shard, INSPECT_DEPENDS, i, 0));
        int target =
            inspect_find(&shard->relations_by_oid, inspect_text(shard, INSPECT_DEPENDS, i, 1));
        if (view < 0 || target < 0)
            continue;
        uintptr_t from = (uintptr_t)sy_map_get(
            known, sy_slice_of(inspect_text(shard, INSPECT_RELATIONS, view, 0)));
        uintptr_t to = (uintptr_t)sy_map_get(
            known, sy_slice_of(inspect_text(shard, INSPECT_RELATIONS, target, 0)));
        if (from != 0 && to != 0)
            sy_schema_builder_add_dependency(builder, (uint32_t)(from - 1), (uint32_t)(to - 1));
    }
}

static void add_functions(struct sy_schema_builder *builder, const struct inspect_shard *shard)
{
    int count = PQntuples(shard->results[INSPECT_FUNCTIONS]);
    for (int i = 0; i < count; i++) {
        char letter = inspect_text(shard, INSPECT_FUNCTIONS, i, 2)[0];
        sy_schema_builder_add_function(builder,
                                       sy_slice_of(inspect_text(shard, INSPECT_FUNCTIONS, i, 0)),
                                       sy_slice_of(inspect_text(shard, INSPECT_FUNCTIONS, i, 1)),
                                       letter == 'i'   ? SY_IMMUTABLE
                                       : letter == 's' ? SY_STABLE
                                                       : SY_VOLATILE);
    }
    count = PQntuples(shard->results[INSPECT_NAMESPACES]);
    for (int i = 0; i < count; i++)
        sy_schema_builder_add_namespace(builder,
                                        sy_slice_of(inspect_text(shard, INSPECT_NAMESPACES, i, 0)));
}

static enum sy_status build_schema(const struct inspect_shard *shards, uint32_t count,
                                   const struct sy_schema **ret_schema, struct sy_err *err)
{
    struct sy_schema_builder *builder = sy_schema_builder_new();
    struct sy_map known = {0};
    bool good = builder != NULL;
    for (uint32_t i = 0; i < count && good; i++) {
        if (!shards[i].read)
            continue;
        good = add_relations(builder, shards, count, i, &known);
        add_functions(builder, &shards[i]);
    }
    for (uint32_t i = 0; i < count && good; i++)
        if (shards[i].read)
            add_dependencies(builder, &shards[i], &known);
    sy_map_release(&known);
    if (good)
        return sy_schema_builder_finish(&builder, ret_schema, err);
    sy_schema_builder_free(&builder);
    return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
}

/* ---- the whole ---- */

static const struct sy_node *primary_of(const struct sy_topology_database *database, uint32_t shard)
{
    uint32_t rotation = 0;
    const struct sy_node *node = sy_topology_pick(database, shard, false, 0, &rotation);
    /* Before the first probe nobody knows the roles; every node of a shard has the same catalog. */
    return node != NULL ? node : database->shards[shard].nodes[0];
}

static bool fill(struct inspection *inspection, const struct sy_topology_database *database,
                 const struct inspect_shard *shards)
{
    struct sy_topology_schema *base = &inspection->base;
    struct inspect_report report = {.arena = &inspection->arena};
    base->shard_count = database->shard_count;
    base->maps = sy_arena_calloc(&inspection->arena, database->shard_count, sizeof(*base->maps));
    base->server_version =
        sy_arena_strdup(&inspection->arena, inspect_text(&shards[0], INSPECT_SERVER, 0, 0));
    base->server_encoding =
        sy_arena_strdup(&inspection->arena, inspect_text(&shards[0], INSPECT_SERVER, 0, 2));
    base->collation =
        sy_arena_strdup(&inspection->arena, inspect_text(&shards[0], INSPECT_SERVER, 0, 3));
    base->server_version_num = inspect_oid(&shards[0], INSPECT_SERVER, 0, 1);
    if (base->maps == NULL || base->server_version == NULL || base->server_encoding == NULL ||
        base->collation == NULL)
        return false;
    for (uint32_t i = 0; i < database->shard_count; i++) {
        if (!shards[i].read) {
            base->maps[i].unread = true;
            inspect_differs(&report, "shard %s could not be read: %s", shards[i].name,
                            shards[i].why);
            continue;
        }
        inspect_compare(&report, database, &shards[0], &shards[i]);
        if (!inspect_map_shapes(&inspection->arena, &shards[i], &base->maps[i]))
            return false;
        if (i != 0 && !inspect_map_oids(&inspection->arena, &shards[0], &shards[i], &base->maps[i]))
            return false;
    }
    base->differences = report.lines;
    base->difference_count = report.count;
    return !report.failed;
}

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static enum sy_status put_together(const struct sy_topology_database *database,
                                   const struct inspect_shard *shards, int64_t began_us,
                                   struct sy_topology_schema **ret_schema, struct sy_err *err)
{
    struct inspection *inspection = calloc(1, sizeof(*inspection));
    if (inspection == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    atomic_store(&inspection->base.refs, 1);
    inspection->base.release = release;
    inspection->base.read_at_us = began_us; /* what was committed before is in it */
    enum sy_status status =
        build_schema(shards, database->shard_count, &inspection->base.schema, err);
    if (status == SY_OK && !fill(inspection, database, shards))
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (status != SY_OK) {
        release(&inspection->base);
        return status;
    }
    *ret_schema = &inspection->base;
    return SY_OK;
}

enum sy_status pg_inspect(const struct sy_topology_database *database,
                          struct sy_topology_schema **ret_schema, bool *ret_complete,
                          struct sy_err *err)
{
    struct inspect_shard *shards = calloc(database->shard_count, sizeof(*shards));
    if (shards == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    bool complete = true;
    int64_t began_us = wall_us();
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; i < database->shard_count && status == SY_OK; i++) {
        shards[i].name = database->config->shards[i].name;
        inspect_read(&shards[i], primary_of(database, i));
        complete = complete && shards[i].read;
        if (!shards[0].read)
            status = sy_err_set(err, SY_E_CONNECT,
                                "cannot read the schema of database %s from shard %s: %s",
                                database->config->name, shards[0].name, shards[0].why);
    }
    if (status == SY_OK)
        status = put_together(database, shards, began_us, ret_schema, err);
    if (status == SY_OK)
        *ret_complete = complete;
    for (uint32_t i = 0; i < database->shard_count; i++)
        inspect_release(&shards[i]);
    free(shards);
    return status;
}
