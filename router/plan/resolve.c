/*
 * Which relation a name means, and where it lives: temporary tables first, then the system
 * catalogs, then the schemas of search_path, as PostgreSQL looks names up.
 */
#include "router/plan/route_internal.h"

static const struct sy_slice public_only[] = {{"public", 6}};

static bool begins_with(struct sy_slice text, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return text.bytes >= bytes && memcmp(text.data, prefix, bytes) == 0;
}

static bool is_catalog_schema(struct sy_slice schema)
{
    return sy_slice_eq(schema, SY_SLICE("pg_catalog")) ||
           sy_slice_eq(schema, SY_SLICE("information_schema")) || begins_with(schema, "pg_toast");
}

static bool is_temporary(const struct sy_plan_context *context, struct sy_qname name)
{
    if (name.schema.bytes > 0)
        return begins_with(name.schema, "pg_temp");
    for (uint32_t i = 0; i < context->temporary_count; i++)
        if (sy_slice_eq(context->temporary[i], name.name))
            return true;
    return false;
}

bool sy_route_is_safe(const struct sy_config_database *database, struct sy_slice schema,
                      struct sy_slice name)
{
    if (database == NULL)
        return false;
    if (database->allow_unsafe_objects)
        return true;
    for (uint32_t i = 0; i < database->safe_object_count; i++) {
        struct sy_slice safe = sy_slice_of(database->safe_objects[i]);
        if (sy_slice_eq(safe, name))
            return true;
        if (safe.bytes == schema.bytes + 1 + name.bytes &&
            memcmp(safe.data, schema.data, schema.bytes) == 0 && safe.data[schema.bytes] == '.' &&
            memcmp(safe.data + schema.bytes + 1, name.data, name.bytes) == 0)
            return true;
    }
    return false;
}

bool sy_use_is_key(const struct use *use, struct sy_slice column)
{
    return use->kind == USE_SHARDED && use->table != NULL && sy_slice_eq(use->table->key, column);
}

bool sy_use_is_hash_key(const struct use *use, struct sy_slice column)
{
    return use->kind == USE_SHARDED && use->table != NULL && use->table->hash_key.bytes > 0 &&
           sy_slice_eq(use->table->hash_key, column);
}

static void place_by_default(struct prepare *p, struct use *use)
{
    const struct sy_config_database *database = p->context->database;
    enum sy_placement_kind placement =
        database == NULL ? SY_PLACEMENT_REFUSED : database->default_placement;
    use->kind = USE_UNPLACED;
    if (placement == SY_PLACEMENT_REFERENCE)
        use->kind = USE_REFERENCE;
    if (placement == SY_PLACEMENT_LOCAL) {
        uint32_t shard = database->default_placement_shard == NULL
                             ? 0
                             : sy_shardmap_find_shard(
                                   p->context->map, sy_slice_of(database->default_placement_shard));
        use->shard = shard;
        if (shard != UINT32_MAX)
            use->kind = USE_LOCAL;
    }
}

static void place_declared(const struct sy_map_table *table, struct use *use)
{
    use->table = table;
    use->shard = table->shard;
    switch (table->placement) {
    case SY_TABLE_SHARDED:
        use->kind = USE_SHARDED;
        break;
    case SY_TABLE_REFERENCE:
        use->kind = USE_REFERENCE;
        break;
    case SY_TABLE_LOCAL:
        use->kind = USE_LOCAL;
        break;
    case SY_TABLE_UNKNOWN:
        use->kind = USE_UNPLACED;
        break;
    }
}

static void place_found(struct prepare *p, struct sy_slice schema, struct sy_slice name,
                        struct use *use);

/* A view lives where the tables it reads live; those that a function reads are not known. */
static void place_view(struct prepare *p, struct use *use)
{
    bool local = false;
    uint32_t shard = 0;
    use->is_view_on_sharded |= use->relation->calls_users;
    for (uint32_t i = 0; i < use->relation->depend_count; i++) {
        const struct sy_schema_relation *base =
            sy_schema_relation(p->context->schema, use->relation->depends[i]);
        use->is_view_on_sharded |= base->calls_users;
        if (base->kind == SY_RELATION_VIEW || is_catalog_schema(base->schema))
            continue;
        struct use under = {0};
        place_found(p, base->schema, base->name, &under);
        use->is_view_on_sharded |= under.kind == USE_SHARDED || under.is_view_on_sharded;
        use->is_view_on_reference |= under.kind == USE_REFERENCE;
        if (under.kind == USE_LOCAL && (!local || shard == under.shard)) {
            local = true;
            shard = under.shard;
        } else if (under.kind == USE_LOCAL || under.kind == USE_UNPLACED) {
            use->is_view_on_sharded = true; /* of two minds: only the operator can know */
        }
    }
    use->shard = shard;
    use->kind = local ? USE_LOCAL : USE_REFERENCE;
    if (use->is_view_on_sharded)
        use->kind = USE_SHARDED;
}

static void place_found(struct prepare *p, struct sy_slice schema, struct sy_slice name,
                        struct use *use)
{
    const struct sy_map_table *table = sy_shardmap_find_table(p->context->map, schema, name);
    use->relation = sy_schema_find(p->context->schema, schema, name);
    enum sy_relation_kind kind = use->relation == NULL ? SY_RELATION_TABLE : use->relation->kind;
    bool is_view = kind == SY_RELATION_VIEW || (kind == SY_RELATION_MATVIEW && table == NULL);
    if (is_view)
        place_view(p, use);
    if (table != NULL)
        place_declared(table, use);
    else if (kind == SY_RELATION_SEQUENCE)
        use->kind = USE_CATALOG;
    else if (!is_view)
        place_by_default(p, use);
    use->is_monitoring |= kind == SY_RELATION_SEQUENCE;
}

static bool schema_exists(const struct sy_plan_context *context, struct sy_slice name)
{
    return sy_schema_has_namespace(context->schema, name) || sy_slice_eq(name, SY_SLICE("public"));
}

static bool relation_exists(const struct sy_plan_context *context, struct sy_slice schema,
                            struct sy_slice name)
{
    return sy_schema_find(context->schema, schema, name) != NULL ||
           sy_shardmap_find_table(context->map, schema, name) != NULL;
}

/* Unqualified: the first schema of the path that has it; for CREATE the first that exists. */
static bool search(const struct sy_plan_context *context, struct sy_slice name, bool creates,
                   struct sy_slice *ret_schema)
{
    const struct sy_slice *path = context->search_path;
    uint32_t count = context->search_path_count;
    if (path == NULL) {
        path = public_only;
        count = 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool takes =
            creates ? schema_exists(context, path[i]) || relation_exists(context, path[i], name)
                    : relation_exists(context, path[i], name);
        if (takes) {
            *ret_schema = path[i];
            return true;
        }
    }
    return false;
}

/* The schema is as the last commit left it: a table that this transaction has made is where new
 * tables go. What does not exist at all is told by that shard. */
static void place_missing(struct prepare *p, struct use *use)
{
    place_by_default(p, use);
    if (use->kind == USE_UNPLACED)
        use->kind = USE_MISSING;
}

void sy_route_resolve(struct prepare *p, const struct sy_table_use *table, bool creates,
                      struct use *ret_use)
{
    const struct sy_plan_context *context = p->context;
    struct sy_slice schema = table->name.schema;
    struct sy_slice name = table->name.name;
    struct use use = {0};
    bool catalog_name = schema.bytes == 0 && begins_with(name, "pg_") && !creates;
    if (is_temporary(context, table->name)) {
        use.kind = USE_TEMPORARY;
    } else if (is_catalog_schema(schema)) {
        use.kind = USE_CATALOG;
        use.is_monitoring = sy_route_is_monitoring(name);
    } else if (schema.bytes > 0) {
        if (context->schema != NULL && !creates && !relation_exists(context, schema, name))
            place_missing(p, &use);
        else
            place_found(p, schema, name, &use);
    } else if (search(context, name, creates, &schema)) {
        place_found(p, schema, name, &use);
    } else if (catalog_name) {
        use.kind = USE_CATALOG;
        use.is_monitoring = sy_route_is_monitoring(name);
    } else if (context->schema != NULL && !creates) {
        place_missing(p, &use);
    } else {
        place_by_default(p, &use);
    }
    /* pg_catalog comes before the path: a declared table of such a name is reached by its schema
     * only. */
    if (catalog_name && use.kind != USE_TEMPORARY &&
        sy_schema_find(context->schema, SY_SLICE("pg_catalog"), name) != NULL)
        use = (struct use){.kind = USE_CATALOG, .is_monitoring = sy_route_is_monitoring(name)};
    *ret_use = use;
}
