/*
 * May a write run on several shards, on each by itself? UPDATE and DELETE, if the rows that they
 * change live beside everything that they read; INSERT ... SELECT, if each new row belongs on the
 * shard of the row that it comes from. The shards then change disjoint parts of the whole.
 */
#include "router/plan/route_internal.h"

/* The only table that is written; -1: several are, or one in a WITH query. */
static int32_t only_target(const struct sy_route *route)
{
    int32_t found = -1;
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        if (route->stmt->tables[i].role != SY_TABLE_TARGET)
            continue;
        if (found >= 0 || route->stmt->tables[i].scope != 0)
            return -1;
        found = i;
    }
    return found;
}

static bool reads_sharded(const struct sy_route *route, int32_t scope)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (route->stmt->tables[i].scope == scope && route->uses[i].kind == USE_SHARDED &&
            route->stmt->tables[i].role != SY_TABLE_TARGET)
            return true;
    return false;
}

/* The SELECT of INSERT ... SELECT; -1: none. */
static int32_t source_scope(const struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 1; stmt->kind == SY_STMT_INSERT && i < stmt->scope_count; i++) {
        const struct sy_scope *scope = &stmt->scopes[i];
        if (scope->parent == 0 && !scope->is_cte && !scope->is_from_subquery && !scope->is_sublink)
            return i;
    }
    return -1;
}

/* Groups and distinct rows of the source contain its key, so that no two shards have one of them
 * in common. */
static const char *source_obstacle(const struct sy_scope *scope)
{
    if (scope->has_set_operation)
        return "UNION, INTERSECT or EXCEPT in INSERT ... SELECT";
    if (scope->has_grouping_sets || scope->has_window)
        return "GROUPING SETS or a window function in INSERT ... SELECT";
    if (scope->has_locking)
        return "a locking clause in INSERT ... SELECT";
    return scope->has_limit || scope->has_offset || scope->has_distinct_on
               ? "LIMIT or DISTINCT ON in INSERT ... SELECT"
               : NULL;
}

static const char *sublink_obstacle(const struct sy_scope *scope)
{
    if (!scope->is_sublink)
        return "a write with a subquery or WITH query over a sharded table";
    if (scope->has_set_operation || scope->has_grouping_sets || scope->has_window ||
        scope->has_locking)
        return "a write with that form of subquery";
    bool combines = scope->has_group_by || scope->has_having || scope->has_aggregate ||
                    scope->has_distinct || scope->has_distinct_on || scope->has_order_by;
    return combines ? "a write with a subquery that combines rows" : NULL;
}

static const char *scopes_obstacle(const struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    int32_t source = source_scope(route);
    for (int32_t i = 1; i < stmt->scope_count; i++) {
        const struct sy_scope *scope = &stmt->scopes[i];
        const char *obstacle = NULL;
        if (i == source)
            obstacle = source_obstacle(scope);
        else if (reads_sharded(route, i))
            obstacle = sublink_obstacle(scope);
        /* Which rows a LIMIT takes is up to each copy. */
        if (obstacle == NULL && i != source &&
            (scope->has_limit || scope->has_offset || scope->has_distinct_on))
            obstacle = "a write with LIMIT or DISTINCT ON in a subquery";
        if (obstacle != NULL)
            return obstacle;
    }
    return NULL;
}

static const char *find_root(struct sy_route *route, int32_t target)
{
    const struct sy_stmt *stmt = route->stmt;
    int32_t source = source_scope(route);
    bool *reached = sy_arena_calloc(&route->arena, (size_t)stmt->table_count + 1, sizeof(*reached));
    for (int32_t i = 0; reached != NULL && i < stmt->table_count; i++) {
        bool leads = source < 0 ? i == target
                                : stmt->tables[i].scope == source && !stmt->tables[i].nullable_side;
        if (!leads || route->uses[i].kind != USE_SHARDED || route->uses[i].table == NULL ||
            !sy_route_reaches_all(route, i, reached))
            continue;
        route->root = i;
        return NULL;
    }
    return "a write that does not tie its tables together by their sharding keys";
}

static const char *defaults_obstacle(struct sy_route *route, int32_t target)
{
    const struct sy_stmt *stmt = route->stmt;
    const struct sy_schema_column *column = NULL;
    enum sy_freeze most = SY_FREEZE_NOT;
    for (int32_t i = 0; i < stmt->assignment_count; i++) {
        const struct sy_schema_column *assigned =
            sy_schema_column(route->uses[target].relation, stmt->assignments[i].column);
        if (stmt->assignments[i].value.kind != SY_VALUE_DEFAULT)
            continue;
        enum sy_freeze freeze =
            assigned == NULL ? SY_FREEZE_CANNOT : sy_route_freeze_default(assigned, false);
        most = freeze > most ? freeze : most;
    }
    if (stmt->kind == SY_STMT_INSERT) {
        enum sy_freeze freeze = sy_route_freeze_insert(route, &stmt->inserts[0], false, &column);
        most = freeze > most ? freeze : most;
    }
    if (most == SY_FREEZE_NOT)
        return NULL;
    route->freezes = true;
    return most == SY_FREEZE_ONCE && sy_route_can_freeze(route)
               ? NULL
               : "a write that leaves a default to be filled in, which the router does not know,";
}

static const char *function_obstacle(struct sy_route *route)
{
    const char *name = NULL;
    enum sy_freeze most = sy_route_freeze_most(route, false, &name);
    if (most == SY_FREEZE_NOT)
        return NULL;
    route->freezes = true;
    if (most == SY_FREEZE_ONCE && sy_route_can_freeze(route))
        return NULL;
    const char *words = sy_arena_printf(
        &route->arena, "a write that calls %s(), whose value may differ between shards,", name);
    return words != NULL ? words : "a write that calls this function";
}

/* A row that is already there must be on the shard where the new one belongs. */
static const char *conflict_obstacle(const struct sy_route *route, int32_t target)
{
    const struct use *use = &route->uses[target];
    const struct sy_insert *insert = &route->stmt->inserts[0];
    if (!insert->has_on_conflict || insert->conflict_any)
        return NULL;
    bool key = false, hash = use->table->hash_key.bytes == 0;
    for (int32_t i = 0; i < insert->conflict_column_count; i++) {
        struct sy_slice column = route->stmt->columns[insert->first_conflict_column + i];
        key = key || sy_use_is_key(use, column);
        hash = hash || sy_use_is_hash_key(use, column);
    }
    return key && hash && insert->conflict_named
               ? NULL
               : "ON CONFLICT whose columns do not contain the sharding key";
}

/* INSERT ... VALUES: beside the rows only what is on every shard. */
static const char *rows_obstacle(const struct sy_route *route, int32_t target)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (i != target && route->uses[i].kind == USE_SHARDED)
            return "INSERT of rows that are read from a sharded table";
    return NULL;
}

static const char *obstacle(struct sy_route *route, int32_t target)
{
    const struct sy_stmt *stmt = route->stmt;
    const char *found = NULL;
    if (target < 0)
        return "a write with another one in a WITH query";
    if (route->uses[target].kind != USE_SHARDED || route->uses[target].table == NULL)
        return stmt->tag == NULL ? "a write" : stmt->tag;
    if (route->key_assignment_count > 0 && stmt->kind != SY_STMT_UPDATE)
        return "changing the sharding key of rows";
    /* Each shard has a row of that place. */
    if (stmt->names_places && stmt->kind != SY_STMT_INSERT)
        return "a write that finds rows by system columns (ctid, xmin ...) or TABLESAMPLE";
    if ((found = scopes_obstacle(route)) != NULL || (found = sy_route_uses_obstacle(route)) != NULL)
        return found;
    if (route->uses_fixed_shard)
        return "a function that belongs to one shard (sequences, advisory locks, large objects)";
    if ((found = function_obstacle(route)) != NULL ||
        (found = defaults_obstacle(route, target)) != NULL)
        return found;
    if (stmt->kind == SY_STMT_INSERT && (found = conflict_obstacle(route, target)) != NULL)
        return found;
    return route->splits ? rows_obstacle(route, target) : find_root(route, target);
}

bool sy_route_check_spread_write(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    int32_t target = only_target(route);
    bool form = stmt->kind == SY_STMT_UPDATE || stmt->kind == SY_STMT_DELETE ||
                stmt->kind == SY_STMT_INSERT;
    if (!form || route->outer != stmt)
        return false;
    route->splits =
        stmt->kind == SY_STMT_INSERT && !stmt->insert_from_select && !stmt->insert_default_values;
    route->combine = obstacle(route, target);
    return true;
}
