/*
 * May a read on several shards be answered by appending what each shard says? Only if every result
 * row is made from one row of one sharded table, the root, and everything else that takes part
 * lives beside that row: tables of the same keyspace tied to it by the key, and reference tables.
 * Then the shards' answers are disjoint parts of the whole.
 */
#include "router/plan/route_internal.h"

static const char *scope_obstacle(const struct sy_scope *scope)
{
    if (scope->has_set_operation)
        return "UNION, INTERSECT or EXCEPT";
    if (scope->has_grouping_sets)
        return "GROUPING SETS, ROLLUP or CUBE";
    return scope->has_locking ? "a locking clause" : NULL;
}

/* What the router can do itself with the rows of a plain SELECT. */
static const char *merge_obstacle(const struct sy_scope *scope)
{
    if (scope->has_group_by || scope->has_having)
        return "GROUP BY";
    if (scope->has_aggregate)
        return "an aggregate";
    if (scope->has_window)
        return "a window function";
    if (scope->has_distinct || scope->has_distinct_on)
        return "DISTINCT";
    if (scope->has_order_by)
        return "ORDER BY";
    if (scope->has_limit || scope->has_offset)
        return "LIMIT or OFFSET";
    return NULL;
}

static bool reads_sharded(const struct sy_route *route, int32_t scope)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (route->stmt->tables[i].scope == scope && route->uses[i].kind == USE_SHARDED)
            return true;
    return false;
}

static const char *scopes_obstacle(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->scope_count; i++) {
        const struct sy_scope *scope = &stmt->scopes[i];
        const char *obstacle = i == 0 || reads_sharded(route, i) ? scope_obstacle(scope) : NULL;
        const char *merge = i == 0 || reads_sharded(route, i) ? merge_obstacle(scope) : NULL;
        if (obstacle == NULL && merge != NULL && i == 0 && route->outer == stmt)
            route->merges = true;
        else if (obstacle == NULL)
            obstacle = merge;
        if (obstacle != NULL)
            return obstacle;
        if (i > 0 && reads_sharded(route, i) && !scope->is_sublink)
            return "a subquery or WITH query over a sharded table";
        /* Row order decides which rows a LIMIT of a subquery takes: copies may answer differently.
         */
        if (i > 0 && (scope->has_limit || scope->has_offset || scope->has_distinct_on))
            return "LIMIT or DISTINCT ON in a subquery";
    }
    return NULL;
}

bool sy_route_reaches_all(const struct sy_route *route, int32_t root, bool *reached)
{
    int32_t count = route->stmt->table_count;
    memset(reached, 0, (size_t)count * sizeof(*reached));
    reached[root] = true;
    for (int32_t round = 0; round < count; round++)
        for (uint32_t e = 0; e < route->edge_count; e++)
            if (reached[route->edges[e].from])
                reached[route->edges[e].to] = true;
    for (int32_t i = 0; i < count; i++)
        if (route->uses[i].kind == USE_SHARDED && !reached[i])
            return false;
    return true;
}

static const char *find_root(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    bool *reached = sy_arena_calloc(&route->arena, (size_t)stmt->table_count + 1, sizeof(*reached));
    bool any = false;
    for (int32_t i = 0; reached != NULL && i < stmt->table_count; i++) {
        if (route->uses[i].kind != USE_SHARDED)
            continue;
        any = true;
        bool leads = stmt->tables[i].scope <= 0 && !stmt->tables[i].nullable_side;
        if (leads && sy_route_reaches_all(route, i, reached)) {
            route->root = i;
            return NULL;
        }
    }
    return any ? "a query that does not tie its tables together by their sharding keys" : NULL;
}

const char *sy_route_uses_obstacle(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        switch (route->uses[i].kind) {
        case USE_SHARDED:
            if (route->uses[i].table == NULL)
                return "a view over a sharded table";
            break;
        case USE_REFERENCE:
            break;
        case USE_LOCAL:
        case USE_CATALOG:
        case USE_TEMPORARY:
        case USE_MISSING:
        case USE_UNPLACED:
            return "a join with a table that is not on every shard";
        }
    }
    return NULL;
}

static const char *form_obstacle(const struct sy_route *route)
{
    const struct sy_stmt *outer = route->outer;
    if (outer->kind == SY_STMT_EXPLAIN)
        return "EXPLAIN";
    if (outer->kind == SY_STMT_DECLARE)
        return "a cursor";
    if (outer->kind == SY_STMT_DDL)
        return "CREATE TABLE AS";
    if (outer->kind == SY_STMT_COPY_TO) {
        if (!outer->copy.from_stdin_or_to_stdout)
            return "COPY TO a file or program of the server";
    } else if (route->stmt->kind != SY_STMT_SELECT) {
        return route->stmt->tag == NULL ? "a write" : route->stmt->tag;
    }
    return route->writes ? "a write" : NULL;
}

static const char *shard_dependent(struct sy_route *route)
{
    const char *words =
        sy_arena_printf(&route->arena, "%s(), whose value may differ between shards,",
                        sy_route_shard_dependent_function(route));
    return words == NULL ? "a function" : words;
}

void sy_route_check_spread(struct sy_route *route)
{
    if (sy_route_check_spread_write(route))
        return;
    route->combine = form_obstacle(route);
    if (route->combine == NULL)
        route->combine = scopes_obstacle(route);
    if (route->combine == NULL)
        route->combine = sy_route_uses_obstacle(route);
    if (route->combine == NULL && route->uses_fixed_shard)
        route->combine =
            "a function that belongs to one shard (sequences, advisory locks, large objects)";
    if (route->combine == NULL && sy_route_shard_dependent_function(route) != NULL)
        route->combine = shard_dependent(route);
    if (route->combine == NULL)
        route->combine = find_root(route);
}
