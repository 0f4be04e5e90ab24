/*
 * What calling a function says about where a statement may run: on a replica, on any shard, on
 * several. Built-in functions are judged by tables here and by the server's volatility; functions
 * of users may read any table, so on a sharded database they are refused unless immutable or
 * declared safe.
 */
#include "router/plan/route_internal.h"

/* Marked STABLE, or worse, and different on a standby or between connections; by prefix. */
static const char *const differing_prefixes[] = {"txid_",
                                                 "pg_current_",
                                                 "pg_stat_",
                                                 "pg_backend_",
                                                 "pg_last_",
                                                 "inet_",
                                                 "pg_advisory_",
                                                 "pg_try_advisory_",
                                                 "pg_is_",
                                                 "pg_wal",
                                                 "pg_logical_",
                                                 "pg_replication_",
                                                 "pg_create_",
                                                 "pg_drop_",
                                                 "pg_switch_",
                                                 "pg_start_",
                                                 "pg_stop_",
                                                 "pg_cancel_",
                                                 "pg_terminate_",
                                                 "pg_reload_",
                                                 "pg_rotate_",
                                                 "pg_promote",
                                                 "pg_read_",
                                                 "pg_ls_",
                                                 "pg_control_",
                                                 "pg_export_",
                                                 "pg_postmaster_",
                                                 "pg_conf_",
                                                 "pg_lock",
                                                 "pg_blocking_",
                                                 "pg_safe_",
                                                 "pg_notif",
                                                 "pg_listening_",
                                                 "pg_my_temp_",
                                                 "pg_sequence_",
                                                 "pg_prepared_",
                                                 "pg_cursor",
                                                 "pg_hba_",
                                                 "pg_file_",
                                                 "pg_show_",
                                                 "pg_get_backend_",
                                                 "pg_get_shmem_",
                                                 "pg_get_replication_",
                                                 "pg_get_wal_",
                                                 "pg_tablespace_",
                                                 "pg_copy_",
                                                 "pg_log_",
                                                 "pg_stat_file",
                                                 "pg_snapshot_",
                                                 "pg_xact_",
                                                 "pg_relation_filen",
                                                 "lo_",
                                                 NULL};
static const char *const differing[] = {
    "nextval",         "currval",  "lastval", "setval", "set_config",
    "current_setting", "pg_sleep", "version", "dblink", NULL};

/* The same on every server of a shard, but not on every shard. */
static const char *const differing_shards[] = {"current_database", "current_catalog", NULL};

/* Keywords that the grammar reads as values: stable, and not in pg_proc. */
static const char *const keywords[] = {"current_date",    "current_time",   "current_timestamp",
                                       "localtime",       "localtimestamp", "current_role",
                                       "current_user",    "user",           "session_user",
                                       "current_catalog", "current_schema", NULL};

/* Must always run on the same shard to keep their meaning. */
static const char *const fixed_prefixes[] = {
    "pg_advisory_", "pg_try_advisory_", "lo_",      "pg_sequence_",
    "pg_logical_",  "pg_create_",       "pg_drop_", NULL};
static const char *const fixed[] = {"nextval", "setval", "pg_notify", NULL};

/* Read tables by name behind the planner's back. */
static const char *const runs_queries[] = {"query_to_xml",
                                           "query_to_xmlschema",
                                           "query_to_xml_and_xmlschema",
                                           "table_to_xml",
                                           "table_to_xmlschema",
                                           "table_to_xml_and_xmlschema",
                                           "cursor_to_xml",
                                           "cursor_to_xmlschema",
                                           "schema_to_xml",
                                           "schema_to_xmlschema",
                                           "schema_to_xml_and_xmlschema",
                                           "database_to_xml",
                                           "database_to_xmlschema",
                                           "database_to_xml_and_xmlschema",
                                           "ts_stat",
                                           NULL};

/* The clock: one value per statement on one server, several on several. */
static const char *const clocks[] = {"now",
                                     "transaction_timestamp",
                                     "statement_timestamp",
                                     "clock_timestamp",
                                     "timeofday",
                                     "current_timestamp",
                                     "current_date",
                                     "current_time",
                                     "localtime",
                                     "localtimestamp",
                                     "age",
                                     NULL};

static bool listed(const char *const *list, struct sy_slice name)
{
    for (; *list != NULL; list++)
        if (sy_slice_eq(sy_slice_of(*list), name))
            return true;
    return false;
}

static bool listed_prefix(const char *const *list, struct sy_slice name)
{
    for (; *list != NULL; list++)
        if (name.bytes >= strlen(*list) && memcmp(name.data, *list, strlen(*list)) == 0)
            return true;
    return false;
}

bool sy_route_is_monitoring(struct sy_slice name)
{
    static const char *const prefixes[] = {"pg_stat",     "pg_replication_", "pg_prepared_",
                                           "pg_hba_",     "pg_ident_",       "pg_shmem_",
                                           "pg_backend_", "pg_file_",        NULL};
    static const char *const names[] = {"pg_locks", "pg_cursors", "pg_sequences", "pg_settings",
                                        NULL};
    return listed_prefix(prefixes, name) || listed(names, name);
}

/* As the server knows it; keywords are in no catalog. */
static enum sy_volatility volatility_of(const struct sy_schema *schema, struct sy_qname name)
{
    enum sy_volatility volatility = sy_schema_volatility(schema, name.schema, name.name);
    bool keyword = name.schema.bytes == 0 && listed(keywords, name.name);
    return keyword && volatility == SY_VOLATILE_UNKNOWN ? SY_STABLE : volatility;
}

static bool differs(struct sy_slice name)
{
    return listed(differing, name) || listed_prefix(differing_prefixes, name);
}

enum origin { ORIGIN_BUILTIN, ORIGIN_USER, ORIGIN_UNKNOWN };

static const struct sy_slice catalog = {"pg_catalog", 10};

/* A function of a user counts whenever its name could be meant, whatever its arguments. */
static enum origin origin_of(const struct prepare *p, struct sy_qname name)
{
    const struct sy_schema *schema = p->context->schema;
    bool builtin = sy_schema_volatility(schema, catalog, name.name) != SY_VOLATILE_UNKNOWN;
    if (name.schema.bytes == 0 && listed(keywords, name.name))
        return ORIGIN_BUILTIN;
    if (name.schema.bytes > 0) {
        if (sy_slice_eq(name.schema, catalog))
            return builtin ? ORIGIN_BUILTIN : ORIGIN_UNKNOWN;
        return sy_schema_volatility(schema, name.schema, name.name) != SY_VOLATILE_UNKNOWN
                   ? ORIGIN_USER
                   : ORIGIN_UNKNOWN;
    }
    for (uint32_t i = 0; i < p->context->search_path_count; i++)
        if (!sy_slice_eq(p->context->search_path[i], catalog) &&
            sy_schema_volatility(schema, p->context->search_path[i], name.name) !=
                SY_VOLATILE_UNKNOWN)
            return ORIGIN_USER;
    return builtin ? ORIGIN_BUILTIN : ORIGIN_UNKNOWN;
}

bool sy_route_may_read_tables(const struct prepare *p, struct sy_qname name)
{
    const struct sy_config_database *database = p->context->database;
    enum sy_volatility volatility = volatility_of(p->context->schema, name);
    enum origin origin = origin_of(p, name);
    bool knows =
        p->context->schema != NULL && (database == NULL || database->engine == SY_ENGINE_POSTGRES);
    bool suspect = (origin == ORIGIN_USER && volatility != SY_IMMUTABLE) ||
                   (origin == ORIGIN_UNKNOWN && knows) || listed(runs_queries, name.name);
    return suspect && !sy_route_is_safe(database, name.schema, name.name);
}

static bool check_origin(struct prepare *p, const struct sy_function_use *use)
{
    struct sy_route *route = p->route;
    if (!sy_route_may_read_tables(p, use->name))
        return true;
    sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                   "function %.*s() may read or write tables of other shards",
                   (int)use->name.name.bytes, use->name.name.data);
    sy_err_hint(
        &route->plan.refusal,
        "If it touches rows of one shard only, add it to safe_objects of the database, or name a "
        "shard: /* switchyard: shard=... */.");
    return false;
}

static const char *const large_objects[] = {"lo_", NULL};

/* A function of users may write whatever it is called in; large objects are rows, too. */
static bool may_write(const struct prepare *p, struct sy_qname name, enum sy_volatility volatility)
{
    if (p->context->schema == NULL)
        return false;
    if (origin_of(p, name) == ORIGIN_BUILTIN)
        return listed_prefix(large_objects, name.name) || listed(runs_queries, name.name);
    return volatility == SY_VOLATILE || volatility == SY_VOLATILE_UNKNOWN;
}

static bool has_rows_of_a_shard(const struct sy_route *route)
{
    bool found = false;
    for (int32_t i = 0; route->sharded && i < route->stmt->table_count; i++)
        found |= route->uses[i].kind == USE_SHARDED || route->uses[i].kind == USE_LOCAL;
    return found;
}

bool sy_route_check_functions(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    bool fine = true;
    for (int32_t i = 0; i < stmt->function_count; i++) {
        const struct sy_function_use *use = &stmt->functions[i];
        enum sy_volatility volatility = volatility_of(p->context->schema, use->name);
        if (volatility == SY_VOLATILE_UNKNOWN || volatility == SY_VOLATILE ||
            differs(use->name.name))
            route->read_only = false;
        if (may_write(p, use->name, volatility))
            route->calls_writer = true;
        if (!route->sharded)
            continue;
        if (listed(fixed, use->name.name) || listed_prefix(fixed_prefixes, use->name.name))
            sy_route_fix_shard(route, 0);
        if (fine)
            fine = check_origin(p, use);
    }
    if (fine && stmt->set_config_count > 0 && has_rows_of_a_shard(route)) {
        sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                       "set_config() beside rows of one shard is not supported");
        sy_err_hint(&route->plan.refusal, "Use SET or SET LOCAL.");
        fine = false;
    }
    bool runs = route->outer->kind != SY_STMT_EXPLAIN || route->outer->explain_analyze;
    route->writes |= route->calls_writer && runs;
    return fine;
}

const char *sy_route_shard_dependent_function(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->function_count; i++) {
        struct sy_slice name = route->stmt->functions[i].name.name;
        if (listed(clocks, name) || differs(name) || listed(differing_shards, name) ||
            sy_route_is_size(name))
            return name.data;
        if (sy_schema_volatility(route->schema, catalog, name) == SY_VOLATILE_UNKNOWN &&
            sy_schema_volatility(route->schema, (struct sy_slice){"", 0}, name) !=
                SY_VOLATILE_UNKNOWN)
            return name.data; /* a user's: it may be an aggregate */
    }
    return NULL;
}

/* ---- writes on several shards ---- */

/* Stable because the session's settings speak in them, which are the same on all its servers. */
static const char *const by_settings[] = {"date_trunc",
                                          "date_part",
                                          "extract",
                                          "to_char",
                                          "to_date",
                                          "to_timestamp",
                                          "to_number",
                                          "timezone",
                                          "timestamptz",
                                          "timestamp",
                                          "date",
                                          "time",
                                          "timetz",
                                          "concat",
                                          "concat_ws",
                                          "format",
                                          "to_json",
                                          "to_jsonb",
                                          "row_to_json",
                                          "json_build_object",
                                          "jsonb_build_object",
                                          "json_build_array",
                                          "jsonb_build_array",
                                          "array_to_string",
                                          "string_to_array",
                                          "to_tsvector",
                                          "to_tsquery",
                                          "plainto_tsquery",
                                          "quote_nullable",
                                          "quote_literal",
                                          "make_timestamptz",
                                          "date_bin",
                                          NULL};

/* Look names or OIDs up in the server's own catalog. */
static const char *const catalog_prefixes[] = {"pg_",  "has_",   "to_reg",      "obj_",
                                               "col_", "shobj_", "format_type", NULL};

static enum sy_freeze freeze_clock(struct sy_slice name, int32_t arg_count)
{
    if (sy_slice_eq(name, SY_SLICE("age")))
        return arg_count == 2 ? SY_FREEZE_NOT : SY_FREEZE_CANNOT;
    bool each_call =
        sy_slice_eq(name, SY_SLICE("clock_timestamp")) || sy_slice_eq(name, SY_SLICE("timeofday"));
    return each_call ? SY_FREEZE_EACH : SY_FREEZE_ONCE;
}

static enum sy_freeze freeze_for_copies(const struct sy_route *route, struct sy_qname name)
{
    if (sy_slice_eq(name.name, SY_SLICE("nextval")))
        return SY_FREEZE_EACH;
    switch (volatility_of(route->schema, name)) {
    case SY_IMMUTABLE:
        return SY_FREEZE_NOT;
    case SY_STABLE:
        if (listed_prefix(catalog_prefixes, name.name))
            return SY_FREEZE_CANNOT;
        return listed(by_settings, name.name) ? SY_FREEZE_NOT : SY_FREEZE_ONCE;
    case SY_VOLATILE:
        return SY_FREEZE_EACH;
    case SY_VOLATILE_UNKNOWN:
        break;
    }
    return SY_FREEZE_CANNOT;
}

enum sy_freeze sy_route_freeze_of(const struct sy_route *route, struct sy_qname name,
                                  int32_t arg_count, bool copies)
{
    if (listed(clocks, name.name)) {
        enum sy_freeze freeze = freeze_clock(name.name, arg_count);
        return freeze == SY_FREEZE_EACH && !copies ? SY_FREEZE_NOT : freeze;
    }
    bool sequence = sy_slice_eq(name.name, SY_SLICE("nextval"));
    if ((differs(name.name) && !(copies && sequence)) || listed(differing_shards, name.name))
        return SY_FREEZE_CANNOT;
    return copies ? freeze_for_copies(route, name) : SY_FREEZE_NOT;
}

enum sy_freeze sy_route_freeze_most(const struct sy_route *route, bool copies,
                                    const char **ret_name)
{
    enum sy_freeze most = SY_FREEZE_NOT;
    for (int32_t i = 0; i < route->stmt->function_count; i++) {
        const struct sy_function_use *use = &route->stmt->functions[i];
        enum sy_freeze freeze = sy_route_freeze_of(route, use->name, use->arg_count, copies);
        if (freeze <= most)
            continue;
        most = freeze;
        *ret_name = use->name.name.data;
    }
    return most;
}

/* ---- federation ---- */

/* Volatile, and no worse for being called there. */
static const char *const draws[] = {"random", "gen_random_uuid", "clock_timestamp", NULL};

static bool changes_nothing(const struct prepare *p, struct sy_qname name)
{
    enum sy_volatility volatility = volatility_of(p->context->schema, name);
    return volatility == SY_IMMUTABLE || volatility == SY_STABLE || listed(draws, name.name);
}

/* Whatever the name may mean along the search path is there. */
static bool federation_has(const struct prepare *p, struct sy_qname name)
{
    const struct sy_federation *federation = p->route->federation;
    bool found = false;
    if (name.schema.bytes > 0)
        return sy_federation_has_function(federation, name.schema, name.name);
    for (uint32_t i = 0; i < p->context->search_path_count; i++) {
        struct sy_slice schema = p->context->search_path[i];
        if (sy_slice_eq(schema, catalog) ||
            sy_schema_volatility(p->context->schema, schema, name.name) == SY_VOLATILE_UNKNOWN)
            continue;
        found = sy_federation_has_function(federation, schema, name.name);
        if (!found)
            return false;
    }
    return found;
}

const char *sy_route_federation_function(const struct prepare *p, bool *ret_clock)
{
    const struct sy_stmt *stmt = p->route->stmt;
    for (int32_t i = 0; i < stmt->function_count; i++) {
        struct sy_qname name = stmt->functions[i].name;
        *ret_clock = *ret_clock || listed(clocks, name.name);
        enum origin origin = origin_of(p, name);
        bool known = p->context->schema == NULL ||
                     (origin == ORIGIN_BUILTIN && changes_nothing(p, name)) ||
                     (origin == ORIGIN_USER && federation_has(p, name));
        if (known && !differs(name.name) && !listed(differing_shards, name.name) &&
            !listed_prefix(catalog_prefixes, name.name))
            continue;
        const char *words = sy_arena_printf(&p->route->arena, "function %.*s()",
                                            (int)name.name.bytes, name.name.data);
        return words == NULL ? "one of the functions" : words;
    }
    return NULL;
}
