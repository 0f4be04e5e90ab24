/*
 * Copies of a reference table hold the same rows, each in an order and at places of its own. A
 * write in which that order shows would leave the copies different.
 */
#include "router/plan/route_internal.h"

/* Aggregates whose result depends on the order in which rows come. */
static bool calls_ordered_aggregate(const struct sy_stmt *stmt)
{
    static const char *const names[] = {"string_agg",      "array_agg",       "json_agg",
                                        "jsonb_agg",       "json_object_agg", "xmlagg",
                                        "jsonb_object_agg"};
    for (int32_t i = 0; i < stmt->function_count; i++)
        for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
            if (sy_slice_eq(stmt->functions[i].name.name, sy_slice_of(names[k])))
                return true;
    return false;
}

/* A table gives the query in `scope` rows: it stands in FROM, in a subquery there or in WITH. What
 * a subquery of an expression reads is one value, or an error. */
static bool reads_rows(const struct sy_stmt *stmt, int32_t scope)
{
    for (int32_t i = 0; i < stmt->table_count; i++) {
        int32_t at = stmt->tables[i].scope;
        while (at >= 0 && at != scope && !stmt->scopes[at].is_sublink)
            at = stmt->scopes[at].parent;
        if (at == scope && stmt->tables[i].role == SY_TABLE_READ)
            return true;
    }
    return false;
}

/* ON CONFLICT DO NOTHING keeps the first of several rows; DO UPDATE says that there are several. */
static bool keeps_first(const struct sy_stmt *stmt, const struct sy_insert *insert)
{
    for (int32_t i = 0; i < stmt->assignment_count; i++)
        if (stmt->assignments[i].scope == insert->scope)
            return false;
    return insert->has_on_conflict && insert->from_select && reads_rows(stmt, insert->scope);
}

const char *sy_route_order_dependent(const struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->scope_count; i++) {
        const struct sy_scope *scope = &stmt->scopes[i];
        if (scope->has_limit || scope->has_offset || scope->has_distinct_on)
            return "a write that depends on row order (LIMIT, DISTINCT ON) to reference table";
        if (scope->is_array && reads_rows(stmt, i))
            return "a write that depends on row order (ARRAY of a query) to reference table";
        if (scope->has_window)
            return "a write that depends on row order (window functions) to reference table";
        if (scope->kind == SY_STMT_UPDATE && reads_rows(stmt, i))
            return "UPDATE ... FROM a table, which may find several rows for one, of reference "
                   "table";
    }
    for (int32_t i = 0; i < stmt->insert_count; i++)
        if (keeps_first(stmt, &stmt->inserts[i]))
            return "INSERT ... SELECT ... ON CONFLICT DO NOTHING, which keeps the first of several "
                   "rows, into reference table";
    if (calls_ordered_aggregate(stmt))
        return "a write that depends on row order (string_agg() and its kind) to reference table";
    return stmt->names_places
               ? "a write with system columns (ctid, xmin ...) or TABLESAMPLE to reference table"
               : NULL;
}
