/*
 * Copies of a reference table hold the same rows, each in an order and at places of its own. A
 * write in which that order shows would leave the copies different.
 */
#include "router/plan/route_internal.h"

static bool calls_any(const struct sy_stmt *stmt, const char *const *names)
{
    for (int32_t i = 0; i < stmt->function_count; i++)
        for (const char *const *name = names; *name != NULL; name++)
            if (sy_slice_eq(stmt->functions[i].name.name, sy_slice_of(*name)))
                return true;
    return false;
}

/* A table that is read has floating-point numbers, or nobody knows whether. */
static bool reads_floats(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        const struct sy_schema_relation *relation = route->uses[i].relation;
        if (route->stmt->tables[i].role != SY_TABLE_READ)
            continue;
        if (relation == NULL)
            return route->schema != NULL;
        for (uint32_t c = 0; c < relation->column_count; c++)
            if (sy_slice_eq(relation->columns[c].type, SY_SLICE("float8")) ||
                sy_slice_eq(relation->columns[c].type, SY_SLICE("float4")))
                return true;
    }
    return false;
}

/* Floating-point numbers added in another order differ in their last digits. Casts to them are not
 * seen here. */
static bool adds_floats(const struct sy_route *route)
{
    static const char *const always[] = {"corr",      "covar_pop",      "covar_samp", "regr_avgx",
                                         "regr_avgy", "regr_intercept", "regr_r2",    "regr_slope",
                                         "regr_sxx",  "regr_sxy",       "regr_syy",   NULL};
    static const char *const sums[] = {"sum",        "avg",         "stddev",
                                       "stddev_pop", "stddev_samp", "variance",
                                       "var_pop",    "var_samp",    NULL};
    static const char *const makers[] = {
        "float4", "float8", "date_part", "sqrt",    "cbrt",    "exp",   "ln",
        "log",    "power",  "pow",       "degrees", "radians", "pi",    "sin",
        "cos",    "tan",    "asin",      "acos",    "atan",    "atan2", NULL};
    return calls_any(route->stmt, always) ||
           (calls_any(route->stmt, sums) &&
            (reads_floats(route) || calls_any(route->stmt, makers)));
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
    static const char *const ordered[] = {
        "string_agg",      "array_agg", "json_agg",         "jsonb_agg",
        "json_object_agg", "xmlagg",    "jsonb_object_agg", NULL};
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
    if (adds_floats(route))
        return "a write that depends on row order (sum() and its kind of floating-point numbers) "
               "to reference table";
    if (calls_any(stmt, ordered))
        return "a write that depends on row order (string_agg() and its kind) to reference table";
    return stmt->names_places
               ? "a write with system columns (ctid, xmin ...) or TABLESAMPLE to reference table"
               : NULL;
}
