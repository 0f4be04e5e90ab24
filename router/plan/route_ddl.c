/*
 * Statements that define, empty, lock or maintain objects on a database of several shards. What
 * concerns sharded or reference tables, or no table at all (types, functions, roles), happens on
 * every shard; what concerns a local table, on its shard.
 */
#include "router/plan/route_internal.h"

static struct sy_slice word(const char *text)
{
    return sy_slice_of(text);
}

static bool is_kind(const struct sy_stmt *stmt, const char *kind)
{
    return sy_slice_eq(stmt->object_kind, word(kind));
}

static bool tag_begins(const struct sy_stmt *stmt, const char *prefix)
{
    return stmt->tag != NULL && strncmp(stmt->tag, prefix, strlen(prefix)) == 0;
}

static bool creates_table(const struct sy_stmt *stmt)
{
    return stmt->kind == SY_STMT_DDL &&
           (tag_begins(stmt, "CREATE TABLE") || tag_begins(stmt, "CREATE FOREIGN TABLE"));
}

static void everywhere(struct sy_route *route)
{
    sy_plan_set_several(&route->plan, SY_PLAN_ALL,
                        sy_shard_set_all(sy_shardmap_shard_count(route->map)));
}

static void refuse_mixed(struct sy_route *route)
{
    sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                   "%s of tables that live on different sets of shards is not supported",
                   route->stmt->tag == NULL ? "a statement" : route->stmt->tag);
    sy_err_hint(&route->plan.refusal, "Use one statement for each table.");
}

void sy_route_refuse_undeclared(struct sy_route *route, int32_t use)
{
    struct sy_slice schema = route->stmt->tables[use].name.schema;
    struct sy_slice name = route->stmt->tables[use].name.name;
    sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                   "table \"%.*s\" is not declared and has no default placement", (int)name.bytes,
                   name.data);
    sy_err_hint(&route->plan.refusal,
                "An admin declares it: SHARD TABLE %.*s%s%.*s BY column IN keyspace (or REFERENCE "
                "TABLE, LOCAL TABLE). Or the configuration does, in keyspaces, reference_tables, "
                "local_tables or default_placement.",
                (int)schema.bytes, schema.bytes > 0 ? schema.data : "", schema.bytes > 0 ? "." : "",
                (int)name.bytes, name.data);
}

struct places {
    bool everywhere, local, mixed;
    uint32_t shard;
    int32_t unplaced; /* index, or -1 */
};

static void add_local(struct places *places, uint32_t shard)
{
    places->mixed |= places->local && places->shard != shard;
    places->local = true;
    places->shard = shard;
}

/* A view, index or sequence that is defined here has no place of its own: its tables decide. */
static bool has_own_place(const struct sy_route *route, int32_t i)
{
    const struct sy_stmt *stmt = route->stmt;
    const struct use *use = &route->uses[i];
    if (use->table != NULL || stmt->tables[i].role == SY_TABLE_READ || stmt->kind != SY_STMT_DDL)
        return true;
    if (use->relation != NULL)
        return use->relation->kind == SY_RELATION_TABLE || use->relation->depend_count > 0;
    return stmt->object_kind.bytes == 0 || is_kind(stmt, "table") ||
           is_kind(stmt, "foreign table") || is_kind(stmt, "index") || is_kind(stmt, "trigger") ||
           is_kind(stmt, "policy") || is_kind(stmt, "rule");
}

static void add_place(struct places *places, const struct use *use, enum sy_table_role role,
                      int32_t index)
{
    switch (use->kind) {
    case USE_SHARDED:
        places->everywhere = true;
        break;
    case USE_REFERENCE:
        /* A local table may refer to a reference table: that one is everywhere anyway. */
        places->everywhere |= role != SY_TABLE_READ;
        break;
    case USE_LOCAL:
        add_local(places, use->shard);
        break;
    case USE_UNPLACED:
        places->unplaced = index;
        break;
    case USE_CATALOG:
    case USE_TEMPORARY:
    case USE_MISSING:
        break;
    }
}

static struct places places_of(struct prepare *p)
{
    const struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    struct places places = {.unplaced = -1};
    for (int32_t i = 0; i < stmt->table_count; i++)
        if (has_own_place(route, i))
            add_place(&places, &route->uses[i], stmt->tables[i].role, i);
    /* The query of a view. */
    for (int32_t i = 0; stmt->inner != NULL && i < stmt->inner->table_count; i++) {
        struct use use;
        sy_route_resolve(p, &stmt->inner->tables[i], false, &use);
        if (use.kind != USE_UNPLACED)
            add_place(&places, &use, SY_TABLE_READ, -1);
    }
    places.mixed |= places.everywhere && places.local;
    return places;
}

static bool only_temporary(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (route->uses[i].kind != USE_TEMPORARY)
            return false;
    return route->stmt->table_count > 0;
}

/* A temporary view is on one server and sees what that one has: a part of a sharded table, one of
 * the copies of a reference table, which it would also write. */
static bool refuse_temporary_view(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt, *query = stmt->inner;
    bool temporary =
        query != NULL && is_kind(stmt, "view") && (stmt->creates_temp || only_temporary(route));
    bool sees = false;
    for (int32_t i = 0; temporary && i < query->table_count; i++) {
        struct use use;
        sy_route_resolve(p, &query->tables[i], false, &use);
        sees |= use.kind != USE_TEMPORARY && use.kind != USE_CATALOG && use.kind != USE_MISSING;
    }
    for (int32_t i = 0; temporary && i < query->function_count; i++)
        sees |= sy_route_may_read_tables(p, query->functions[i].name);
    if (!sees || sy_shardmap_shard_count(route->map) == 1)
        return false;
    sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                   "a temporary view over tables that are on several shards is not supported");
    sy_err_hint(&route->plan.refusal,
                "Create the view without TEMP, or put its rows into a temporary table.");
    return true;
}

static bool refuse_object(struct sy_route *route)
{
    static const char *const kinds[] = {"database", "tablespace", "system", "subscription", NULL};
    for (const char *const *kind = kinds; *kind != NULL; kind++)
        if (is_kind(route->stmt, *kind)) {
            sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                           "%s on a database of several shards is not supported",
                           route->stmt->tag == NULL ? "this statement" : route->stmt->tag);
            sy_err_hint(&route->plan.refusal, "Connect to the servers themselves, or name a shard: "
                                              "/* switchyard: shard=... */.");
            return true;
        }
    return false;
}

static void place(struct prepare *p)
{
    struct sy_route *route = p->route;
    struct places places = places_of(p);
    bool known = places.unplaced >= 0 && route->uses[places.unplaced].relation != NULL;
    if (only_temporary(route)) {
        sy_plan_set_several(&route->plan, SY_PLAN_ANY,
                            sy_shard_set_all(sy_shardmap_shard_count(route->map)));
        route->plan.uses_temporary = true;
    } else if (places.mixed) {
        refuse_mixed(route);
    } else if (places.unplaced >= 0 && (known || creates_table(route->stmt))) {
        sy_route_refuse_undeclared(route, places.unplaced);
    } else if (places.local) {
        sy_plan_set_single(&route->plan, places.shard);
    } else {
        everywhere(route);
    }
}

void sy_route_prepare_ddl(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    route->is_fixed = true;
    route->writes = stmt->kind != SY_STMT_LOCK;
    route->plan.writes = route->writes;
    if (refuse_object(route) || refuse_temporary_view(p))
        return;
    if (stmt->creates_temp) {
        sy_plan_set_several(&route->plan, SY_PLAN_ANY,
                            sy_shard_set_all(sy_shardmap_shard_count(route->map)));
        return;
    }
    for (int32_t i = 0; i < stmt->table_count; i++) {
        const struct use *use = &route->uses[i];
        bool unsafe =
            stmt->kind == SY_STMT_TRUNCATE && use->relation != NULL &&
            use->relation->has_triggers &&
            !sy_route_is_safe(route->database, use->relation->schema, use->relation->name);
        if (unsafe) {
            sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                           "TRUNCATE of a table with triggers is not supported");
            sy_err_hint(&route->plan.refusal,
                        "If they touch rows of the same shard only, add the table to "
                        "safe_objects.");
            return;
        }
    }
    if (!sy_route_check_key_columns(p) || !sy_route_check_constraints(p))
        return;
    place(p);
    sy_route_note_sequences(route);
}
