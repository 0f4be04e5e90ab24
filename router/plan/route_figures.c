/*
 * Figures that a server knows of itself alone: sizes, statistics, the planner's estimates. Sizes of
 * what is spread over shards are added up where a SELECT asks for nothing else; the rest is asked
 * of one shard, and the client is told which.
 */
#include "router/plan/route_internal.h"

static const char of_rows[] = "Each shard keeps sizes and statistics of its own rows only.";
static const char of_copies[] = "Each shard has a copy of the table.";

bool sy_route_is_size(struct sy_slice function)
{
    static const char *const names[] = {"pg_database_size",       "pg_relation_size",
                                        "pg_table_size",          "pg_indexes_size",
                                        "pg_total_relation_size", "pg_tablespace_size"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (sy_slice_eq(sy_slice_of(names[i]), function))
            return true;
    return false;
}

static bool begins_with(struct sy_slice text, const char *prefix)
{
    size_t bytes = strlen(prefix);
    return text.bytes >= bytes && memcmp(text.data, prefix, bytes) == 0;
}

/* Views of what a server does; those of what is the same everywhere (settings, definitions of
 * statistics) are left out. */
static bool is_about_server(struct sy_slice table)
{
    static const char *const prefixes[] = {"pg_stat",   "pg_locks",    "pg_replication_",
                                           "pg_shmem_", "pg_backend_", "pg_prepared_xacts"};
    if (sy_slice_eq(table, SY_SLICE("pg_statistic_ext"))) /* \d asks for it */
        return false;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (begins_with(table, prefixes[i]))
            return true;
    return false;
}

static bool reads_estimates(const struct sy_stmt *stmt, const struct sy_table_use *table)
{
    return sy_slice_eq(table->name.name, SY_SLICE("pg_class")) && table->scope >= 0 &&
           table->scope < stmt->scope_count && stmt->scopes[table->scope].names_estimates;
}

void sy_route_note_figures(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    bool found = false;
    if (route->outer->kind == SY_STMT_EXPLAIN)
        return;
    for (int32_t i = 0; i < stmt->function_count; i++)
        found |= sy_route_is_size(stmt->functions[i].name.name) ||
                 begins_with(stmt->functions[i].name.name, "pg_stat_get_");
    for (int32_t i = 0; i < stmt->table_count; i++)
        found |=
            route->uses[i].kind == USE_CATALOG &&
            (is_about_server(stmt->tables[i].name.name) || reads_estimates(stmt, &stmt->tables[i]));
    if (found)
        route->figures = of_rows;
}

/* ---- adding up ---- */

enum where { ON_ALL, ON_ONE, IN_COPIES, ON_UNKNOWN };

static enum where where_is(struct prepare *p, const struct sy_size_use *size, uint32_t *ret_shard)
{
    const struct sy_config_database *database = p->context->database;
    if (size->relation.name.bytes == 0) {
        bool ours = size->database.bytes == 0 ||
                    (database != NULL && sy_slice_eq(size->database, sy_slice_of(database->name)));
        return ours ? ON_ALL : ON_UNKNOWN;
    }
    struct use use;
    struct sy_table_use table = {.name = size->relation, .role = SY_TABLE_READ};
    sy_route_resolve(p, &table, false, &use);
    *ret_shard = use.shard;
    if (use.kind == USE_SHARDED && use.table != NULL)
        return ON_ALL;
    if (use.kind == USE_LOCAL && use.table != NULL)
        return ON_ONE;
    return use.kind == USE_REFERENCE && use.table != NULL ? IN_COPIES : ON_UNKNOWN;
}

bool sy_route_add_sizes(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    enum where all = ON_UNKNOWN;
    uint32_t shard = 0;
    if (route->outer != stmt || stmt->size_count == 0)
        return false;
    for (int32_t i = 0; i < stmt->size_count; i++) {
        uint32_t found = 0;
        enum where where = where_is(p, &stmt->sizes[i], &found);
        if (i > 0 && (where != all || (where == ON_ONE && found != shard)))
            return false;
        all = where;
        shard = found;
    }
    if (all == IN_COPIES)
        route->figures = of_copies;
    if (all == ON_ONE) {
        route->figures = NULL;
        sy_plan_set_single(&route->plan, shard);
    } else if (all == ON_ALL) {
        route->figures = NULL;
        route->adds_sizes = true;
        sy_plan_set_several(&route->plan, SY_PLAN_MERGE,
                            sy_shard_set_all(sy_shardmap_shard_count(route->map)));
    }
    return all == ON_ONE || all == ON_ALL;
}

const char *sy_route_figures(const struct sy_route *route)
{
    return route->figures;
}
