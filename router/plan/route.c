/* From a statement's facts to its route: once per template and topology epoch. */
#include <stdlib.h>

#include "router/plan/copy_split.h"
#include "router/plan/fresh.h"
#include "router/plan/route_internal.h"

static bool creates_table_as(const struct sy_stmt *stmt)
{
    return stmt->kind == SY_STMT_DDL && stmt->inner != NULL && stmt->tag != NULL &&
           strcmp(stmt->tag, "CREATE TABLE AS") == 0;
}

/* The statement whose tables and conditions decide. */
static const struct sy_stmt *deciding(const struct sy_stmt *stmt)
{
    bool wraps = creates_table_as(stmt) || stmt->kind == SY_STMT_EXPLAIN ||
                 stmt->kind == SY_STMT_DECLARE ||
                 (stmt->kind == SY_STMT_COPY_TO && stmt->inner != NULL);
    return wraps && stmt->inner != NULL ? stmt->inner : stmt;
}

static bool is_query(enum sy_stmt_kind kind)
{
    return kind == SY_STMT_SELECT || kind == SY_STMT_INSERT || kind == SY_STMT_UPDATE ||
           kind == SY_STMT_DELETE || kind == SY_STMT_MERGE;
}

/* Answered or tracked by the session, whatever the shards. */
static bool is_routers(const struct sy_stmt *stmt)
{
    switch (stmt->kind) {
    case SY_STMT_EMPTY:
    case SY_STMT_BEGIN:
    case SY_STMT_COMMIT:
    case SY_STMT_ROLLBACK:
    case SY_STMT_SAVEPOINT:
    case SY_STMT_RELEASE:
    case SY_STMT_ROLLBACK_TO:
    case SY_STMT_PREPARE_TRANSACTION:
    case SY_STMT_COMMIT_PREPARED:
    case SY_STMT_ROLLBACK_PREPARED:
    case SY_STMT_SET:
    case SY_STMT_RESET:
    case SY_STMT_SHOW:
    case SY_STMT_DISCARD:
    case SY_STMT_PREPARE:
    case SY_STMT_EXECUTE:
    case SY_STMT_DEALLOCATE:
    case SY_STMT_FETCH:
    case SY_STMT_CLOSE:
    case SY_STMT_LISTEN:
    case SY_STMT_UNLISTEN:
        return true;
    case SY_STMT_EXPLAIN:
        return stmt->explain_route || (stmt->inner != NULL && stmt->inner->kind == SY_STMT_EXECUTE);
    case SY_STMT_SELECT:
    case SY_STMT_INSERT:
    case SY_STMT_UPDATE:
    case SY_STMT_DELETE:
    case SY_STMT_MERGE:
    case SY_STMT_COPY_FROM:
    case SY_STMT_COPY_TO:
    case SY_STMT_DECLARE:
    case SY_STMT_NOTIFY:
    case SY_STMT_LOCK:
    case SY_STMT_CALL:
    case SY_STMT_DO:
    case SY_STMT_TRUNCATE:
    case SY_STMT_DDL:
    case SY_STMT_MAINTENANCE:
    case SY_STMT_OTHER:
        break;
    }
    return false;
}

/* ---- facts that need no shard map ---- */

static bool tables_read_only(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        const struct use *use = &route->uses[i];
        if (route->stmt->tables[i].role != SY_TABLE_READ || use->kind == USE_TEMPORARY ||
            use->is_monitoring)
            return false;
        if (use->relation == NULL)
            continue;
        bool view = use->relation->kind == SY_RELATION_VIEW && !use->relation->is_read_only_view;
        if (view || use->relation->is_unlogged || use->relation->kind == SY_RELATION_SEQUENCE ||
            use->relation->kind == SY_RELATION_FOREIGN)
            return false;
        /* Beneath a view that reads only, too. */
        for (uint32_t d = 0; d < use->relation->depend_count; d++) {
            const struct sy_schema_relation *base =
                sy_schema_relation(route->schema, use->relation->depends[d]);
            if (base->is_unlogged || base->kind == SY_RELATION_SEQUENCE ||
                base->kind == SY_RELATION_FOREIGN)
                return false;
        }
    }
    return true;
}

static void judge(struct sy_route *route)
{
    const struct sy_stmt *outer = route->outer;
    const struct sy_stmt *stmt = route->stmt;
    route->writes = (stmt->writes && (outer->kind != SY_STMT_EXPLAIN || outer->explain_analyze)) ||
                    outer->kind == SY_STMT_DDL;
    route->read_only = !stmt->writes && !outer->writes && outer->kind != SY_STMT_DDL &&
                       !stmt->too_deep && (is_query(stmt->kind) || stmt->kind == SY_STMT_COPY_TO) &&
                       !outer->with_hold && tables_read_only(route);
    if (stmt->creates_temp || outer->creates_temp)
        route->pins = "a temporary table was created";
    else if (stmt->uses_advisory_lock)
        route->pins = "a session advisory lock was used";
    else if (outer->with_hold)
        route->pins = "a cursor WITH HOLD was declared";
    else if (outer->kind == SY_STMT_LISTEN)
        route->pins = "LISTEN";
}

/* The schema that CREATE TABLE of an unqualified name means is the first of the path. */
static bool creates_relation(const struct sy_stmt *stmt, const struct sy_table_use *table)
{
    return table->role == SY_TABLE_DEFINE && stmt->tag != NULL &&
           (strncmp(stmt->tag, "CREATE TABLE", 12) == 0 ||
            strncmp(stmt->tag, "CREATE FOREIGN", 14) == 0 ||
            strncmp(stmt->tag, "SELECT INTO", 11) == 0);
}

static enum sy_status resolve_all(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    size_t count = (size_t)stmt->table_count;
    size_t pairs = stmt->equality_count == 0 ? 0 : count * count;
    route->edge_max = (uint32_t)(pairs < 4096 ? pairs : 4096) + (uint32_t)stmt->insert_count;
    route->uses = sy_arena_calloc(&route->arena, count + 1, sizeof(*route->uses));
    route->edges =
        sy_arena_calloc(&route->arena, (size_t)route->edge_max + 1, sizeof(*route->edges));
    route->inserts =
        sy_arena_calloc(&route->arena, (size_t)stmt->insert_count + 1, sizeof(*route->inserts));
    route->key_assignments = sy_arena_calloc(&route->arena, (size_t)stmt->assignment_count + 1,
                                             sizeof(*route->key_assignments));
    if (route->uses == NULL || route->edges == NULL || route->inserts == NULL ||
        route->key_assignments == NULL)
        return sy_err_set(p->err, SY_E_NO_MEMORY, "out of memory while planning");
    for (int32_t i = 0; i < stmt->table_count; i++) {
        sy_route_resolve(p, &stmt->tables[i], creates_relation(stmt, &stmt->tables[i]),
                         &route->uses[i]);
        bool temporary = stmt->creates_temp && stmt->tables[i].role == SY_TABLE_DEFINE;
        if (temporary)
            route->uses[i] = (struct use){.kind = USE_TEMPORARY};
        route->uses_temporary |= route->uses[i].kind == USE_TEMPORARY;
    }
    return SY_OK;
}

/* ---- which tables confine which ---- */

/* Tables [first, end) of a scope are all that may give it an unqualified column; both 0: all of it.
 */
struct reach {
    int32_t scope, first, end;
};

static bool is_of(const struct sy_route *route, int32_t table, const struct reach *reach)
{
    return route->stmt->tables[table].scope == reach->scope &&
           (reach->end == 0 || (table >= reach->first && table < reach->end));
}

/* The schema tells all columns of a scope: nothing in FROM but tables that are known. */
static bool columns_known(const struct sy_route *route, int32_t scope)
{
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->scope_count; i++)
        if (stmt->scopes[i].is_cte ||
            (stmt->scopes[i].is_from_subquery && stmt->scopes[i].parent == scope))
            return false;
    for (int32_t i = 0; i < stmt->table_count; i++)
        if (stmt->tables[i].scope == scope &&
            (route->uses[i].relation == NULL || route->uses[i].relation->column_count == 0))
            return false;
    return !stmt->scopes[scope].has_srf && !stmt->scopes[scope].has_renames;
}

/* The tables within reach that have the column. */
static int32_t count_owners(const struct sy_route *route, const struct reach *reach,
                            struct sy_slice column)
{
    int32_t count = 0;
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        count +=
            is_of(route, i, reach) && sy_schema_column(route->uses[i].relation, column) != NULL;
    return count;
}

/* An unqualified column of a subquery whose tables do not have it is one of the query around. */
static struct reach reach_of(const struct sy_route *route, const struct reach *from,
                             struct sy_slice column)
{
    const struct sy_stmt *stmt = route->stmt;
    struct reach reach = *from;
    while (reach.scope > 0 && reach.scope < stmt->scope_count && reach.end == 0 &&
           stmt->scopes[reach.scope].is_sublink && columns_known(route, reach.scope) &&
           count_owners(route, &reach, column) == 0)
        reach.scope = stmt->scopes[reach.scope].parent;
    return reach;
}

/* Whether side (table, reach, column) of an equality is the key (or hash key) of table use `use`.
 * An unqualified column belongs to every table of its scope that has it: they are merged by USING,
 * or the statement is an error. */
static bool side_is(const struct sy_route *route, int32_t table, const struct reach *reach,
                    struct sy_slice column, int32_t use, bool hash)
{
    if (table == SY_NO_INDEX ? !is_of(route, use, reach) : table != use)
        return false;
    /* Inside a join the name may be that of a table that is no key's. */
    if (table == SY_NO_INDEX && reach->end > 0 &&
        (!columns_known(route, reach->scope) || count_owners(route, reach, column) != 1))
        return false;
    return hash ? sy_use_is_hash_key(&route->uses[use], column)
                : sy_use_is_key(&route->uses[use], column);
}

static bool equates(const struct sy_route *route, int32_t from, int32_t to, bool hash)
{
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->equality_count; i++) {
        const struct sy_equality *e = &stmt->equalities[i];
        struct reach near = {e->from_scope, e->first_table, e->end_table};
        struct reach there = {e->to_scope, e->first_table, e->end_table};
        if (e->from_table == SY_NO_INDEX)
            near = reach_of(route, &near, e->from_column);
        if (e->end_table > 0 && (to < e->to_first || to >= e->to_end))
            continue;
        /* Rows around a subquery are not restricted by what stands in it. */
        bool stays = e->to_table != SY_NO_INDEX ||
                     reach_of(route, &there, e->to_column).scope == e->to_scope;
        /* A merged column is this table's own only if the table is not on a nullable side. */
        bool certain = e->from_table != SY_NO_INDEX || !stmt->tables[from].nullable_side;
        if (stays && certain && side_is(route, e->from_table, &near, e->from_column, from, hash) &&
            side_is(route, e->to_table, &there, e->to_column, to, hash))
            return true;
    }
    return false;
}

static bool output_is(const struct sy_route *route, const struct insert_rows *rows, int32_t column,
                      int32_t use, bool hash)
{
    const struct sy_output *output = &route->stmt->outputs[rows->insert->first_output + column];
    /* The key must be the source row's own, and stored as it is. */
    const struct sy_value_target *target = hash ? &rows->hash_target : &rows->key_target;
    return output->column.bytes > 0 && !route->stmt->tables[use].nullable_side &&
           !target->may_trim && target->time_precision < 0 &&
           side_is(route, output->table, &(struct reach){.scope = output->scope}, output->column,
                   use, hash);
}

/* INSERT INTO t (key) SELECT s.key FROM s: the rows of t go where those of s are. */
static void follow_sources(struct sy_route *route)
{
    for (uint32_t i = 0; i < route->insert_count; i++) {
        struct insert_rows *rows = &route->inserts[i];
        const struct use *target = &route->uses[rows->use];
        if (!rows->insert->from_select || rows->insert->output_count == 0)
            continue;
        for (int32_t use = 0; use < route->stmt->table_count && !rows->follows; use++) {
            const struct use *source = &route->uses[use];
            if (use == rows->use || source->kind != USE_SHARDED || source->table == NULL ||
                source->table->keyspace != target->table->keyspace)
                continue;
            rows->follows =
                output_is(route, rows, rows->key_column, use, false) &&
                (rows->hash_column < 0 || output_is(route, rows, rows->hash_column, use, true));
            if (rows->follows)
                route->edges[route->edge_count++] = (struct edge){use, rows->use};
        }
    }
}

static void find_edges(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    follow_sources(route);
    if (stmt->equality_count == 0)
        return;
    for (int32_t from = 0; from < stmt->table_count; from++)
        for (int32_t to = 0; to < stmt->table_count; to++) {
            const struct use *a = &route->uses[from], *b = &route->uses[to];
            if (from == to || a->kind != USE_SHARDED || b->kind != USE_SHARDED ||
                a->table == NULL || b->table == NULL || a->table->keyspace != b->table->keyspace ||
                route->edge_count >= route->edge_max)
                continue;
            bool hashed = sy_shardmap_keyspace(route->map, a->table->keyspace)->has_hash_key;
            if (equates(route, from, to, false) && (!hashed || equates(route, from, to, true)))
                route->edges[route->edge_count++] = (struct edge){from, to};
        }
}

/* ---- refusals that no value changes ---- */

static bool key_type_fits(enum sy_key_type key, struct sy_slice column_type)
{
    enum sy_key_type type;
    if (!sy_key_type_from_catalog(column_type, &type))
        return false;
    if (key == type || (sy_key_is_integer(key) && sy_key_is_integer(type)))
        return true;
    return sy_key_is_text(key) && sy_key_is_text(type) && key != SY_KEY_BPCHAR &&
           type != SY_KEY_BPCHAR;
}

static bool check_key_column(struct sy_route *route, const struct use *use, struct sy_slice column,
                             enum sy_key_type type)
{
    const struct sy_schema_column *known = sy_schema_column(use->relation, column);
    if (use->relation == NULL || use->relation->column_count == 0)
        return true;
    if (known != NULL && key_type_fits(type, known->type) && !known->nondeterministic_collation)
        return true;
    struct sy_slice name = use->table->name;
    if (known == NULL)
        sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                       "table \"%.*s\" has no column \"%.*s\", its declared key", (int)name.bytes,
                       name.data, (int)column.bytes, column.data);
    else
        sy_plan_refuse(
            &route->plan, SY_E_UNSUPPORTED,
            "key \"%.*s\" of table \"%.*s\" has type %.*s%s, but its keyspace is of type %s",
            (int)column.bytes, column.data, (int)name.bytes, name.data, (int)known->type.bytes,
            known->type.data,
            known->nondeterministic_collation ? " with a nondeterministic collation" : "",
            sy_key_type_name(type));
    sy_err_hint(&route->plan.refusal, "Correct the declaration of the keyspace or the table.");
    return false;
}

static bool check_sharded_use(struct sy_route *route, const struct use *use)
{
    if (use->table == NULL)
        return true;
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(route->map, use->table->keyspace);
    return check_key_column(route, use, use->table->key, space->type) &&
           (!space->has_hash_key ||
            check_key_column(route, use, use->table->hash_key, space->hash_type));
}

static bool check_use(struct sy_route *route, int32_t index)
{
    const struct use *use = &route->uses[index];
    struct sy_slice name = route->stmt->tables[index].name.name;
    if (use->kind == USE_MISSING) {
        sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED, "relation \"%.*s\" does not exist",
                       (int)name.bytes, name.data);
        sy_err_state(&route->plan.refusal, "42P01");
        return false;
    }
    if (use->kind == USE_UNPLACED) {
        sy_route_refuse_undeclared(route, index);
        return false;
    }
    if (use->is_view_on_sharded &&
        !sy_route_is_safe(route->database, use->relation->schema, use->relation->name)) {
        sy_plan_refuse(
            &route->plan, SY_E_UNSUPPORTED, "view \"%.*s\" %s", (int)name.bytes, name.data,
            use->relation->calls_users ? "calls functions that may read tables of other shards"
                                       : "reads sharded tables");
        sy_err_hint(
            &route->plan.refusal,
            "If it combines rows of one shard only, add it to safe_objects (and declare it in the "
            "keyspace with its key), or name a shard: /* switchyard: shard=... */.");
        route->spread_refused = true;
        return false;
    }
    /* Policies may read any table. */
    if (use->kind != USE_TEMPORARY && use->relation != NULL && use->relation->has_rls &&
        !sy_route_is_safe(route->database, use->relation->schema, use->relation->name)) {
        sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                       "table \"%.*s\" has row-level security policies",
                       (int)use->relation->name.bytes, use->relation->name.data);
        sy_err_hint(&route->plan.refusal,
                    "If they read rows of the same shard only, add the table to "
                    "safe_objects.");
        return false;
    }
    return use->kind != USE_SHARDED || check_sharded_use(route, use);
}

static bool check_uses(struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (!check_use(route, i))
            return false;
    if (route->stmt->too_deep) {
        sy_plan_refuse(&route->plan, SY_E_LIMIT,
                       "the statement is nested too deeply for a sharded database");
        sy_err_state(&route->plan.refusal, "54001");
        return false;
    }
    return true;
}

/* ---- statements without values to look at ---- */

static bool looks_into_catalog(const struct sy_route *route)
{
    static const char *const prefixes[] = {
        "pg_",  "has_",   "to_reg",      "obj_",           "current_database",
        "col_", "shobj_", "format_type", "current_catalog"};
    for (int32_t i = 0; i < route->stmt->function_count; i++) {
        struct sy_slice name = route->stmt->functions[i].name.name;
        for (size_t k = 0; k < sizeof(prefixes) / sizeof(prefixes[0]); k++)
            if (name.bytes >= strlen(prefixes[k]) &&
                memcmp(name.data, prefixes[k], strlen(prefixes[k])) == 0)
                return true;
    }
    return false;
}

static void fix_without_sharded(struct sy_route *route)
{
    bool placed = false, fixed = route->uses_fixed_shard, catalog = looks_into_catalog(route),
         copies = false;
    uint32_t shard = 0;
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        const struct use *use = &route->uses[i];
        catalog |= use->kind == USE_CATALOG;
        copies |= use->kind == USE_REFERENCE && route->stmt->tables[i].role == SY_TABLE_TARGET;
        if (use->kind != USE_LOCAL)
            continue;
        if (placed && shard != use->shard) {
            sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                           "a statement over local tables of different shards is "
                           "not supported");
            sy_err_hint(&route->plan.refusal, "Use one statement for each shard.");
            route->spread_refused = true;
            return;
        }
        placed = true;
        shard = use->shard;
    }
    struct sy_shard_set all = sy_shard_set_all(sy_shardmap_shard_count(route->map));
    struct sy_shard_set first = {{1}};
    if (copies)
        sy_plan_set_several(&route->plan, SY_PLAN_ALL, all);
    else if (route->conflicts || (placed && fixed && shard != route->fixed_shard) ||
             (catalog && ((placed && shard != 0) || (fixed && route->fixed_shard != 0)))) {
        sy_plan_refuse(
            &route->plan, SY_E_UNSUPPORTED,
            "a local table of another shard together with what belongs to the first shard (system "
            "catalogs, sequences, advisory locks) is not supported");
        sy_err_hint(&route->plan.refusal, "Use two statements.");
    } else if (placed || fixed)
        sy_plan_set_single(&route->plan, placed ? shard : route->fixed_shard);
    else
        sy_plan_set_several(&route->plan, SY_PLAN_ANY, catalog ? first : all);
}

/* ---- the hot path ---- */

static bool restricts(const struct sy_route *route, const struct sy_cond *cond)
{
    return cond->kind != SY_COND_OTHER &&
           (cond->kind != SY_COND_COMPARE || sy_use_is_key(&route->uses[0], cond->column));
}

/* One table, and in its condition exactly one thing to look at: key = value. */
static void find_fast_value(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    if (stmt->table_count != 1 || stmt->tables[0].scope != 0 || route->key_assignment_count > 0 ||
        route->insert_count > 0 || route->uses_fixed_shard || route->uses[0].table == NULL ||
        stmt->scope_count < 1 || stmt->scopes[0].where == SY_NO_INDEX)
        return;
    const struct sy_keyspace_info *space =
        sy_shardmap_keyspace(route->map, route->uses[0].table->keyspace);
    const struct sy_cond *root = &stmt->conds[stmt->scopes[0].where];
    const struct sy_cond *found = root->kind == SY_COND_COMPARE ? root : NULL;
    for (int32_t i = 0; root->kind == SY_COND_AND && i < root->child_count; i++) {
        const struct sy_cond *child = &stmt->conds[stmt->cond_children[root->first_child + i]];
        if (!restricts(route, child))
            continue;
        if (found != NULL)
            return;
        found = child;
    }
    if (space->has_hash_key || found == NULL || found->kind != SY_COND_COMPARE ||
        found->op != SY_OP_EQ || found->value_count != 1 ||
        !sy_use_is_key(&route->uses[0], found->column))
        return;
    route->fast_value = &stmt->values[found->first_value];
    route->fast_target =
        (struct sy_value_target){.type = space->type, .alone = true, .time_precision = -1};
}

/* ---- putting it together ---- */

static bool find_keyspace(struct sy_route *route)
{
    route->keyspace = UINT32_MAX;
    bool several = false, any = false;
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        const struct use *use = &route->uses[i];
        any |= use->kind == USE_SHARDED;
        if (use->kind != USE_SHARDED || use->table == NULL)
            continue;
        several |= route->keyspace != UINT32_MAX && route->keyspace != use->table->keyspace;
        route->keyspace = use->table->keyspace;
    }
    if (several)
        route->keyspace = UINT32_MAX;
    return any;
}

/* CREATE TABLE AS: the new table must live where the rows are. False: refused. */
static bool place_new_table(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *outer = route->outer;
    if (outer->kind != SY_STMT_DDL)
        return true;
    struct use made = {.kind = USE_UNPLACED};
    if (outer->table_count == 1)
        sy_route_resolve(p, &outer->tables[0], true, &made);
    if (outer->creates_temp || made.kind == USE_TEMPORARY) {
        route->uses_temporary = true;
        return true;
    }
    if (made.kind == USE_LOCAL) {
        sy_route_fix_shard(route, made.shard);
        return true;
    }
    sy_plan_refuse(
        &route->plan, SY_E_UNSUPPORTED,
        "CREATE TABLE AS is only supported for temporary tables and local tables beside the rows");
    sy_err_hint(&route->plan.refusal, "Create the table first, then INSERT or COPY the rows.");
    return false;
}

/* A row of a reference table that is locked on one shard is not locked on the others. */
static bool check_locking(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    bool copies = false, placed = false;
    for (int32_t i = 0; i < stmt->table_count; i++) {
        int32_t scope = stmt->tables[i].scope;
        bool locks = scope >= 0 && scope < stmt->scope_count && stmt->scopes[scope].has_locking;
        copies |= locks && route->uses[i].kind == USE_REFERENCE;
        placed |= route->uses[i].kind == USE_SHARDED || route->uses[i].kind == USE_LOCAL;
    }
    if (copies && placed) {
        sy_plan_refuse(
            &route->plan, SY_E_UNSUPPORTED,
            "locking rows of reference tables together with rows of one shard is not supported");
        sy_err_hint(&route->plan.refusal,
                    "Lock the rows of the reference table with a statement of their own.");
        return false;
    }
    if (copies)
        sy_route_fix_shard(route, 0);
    return true;
}

static void prepare_query(struct prepare *p)
{
    struct sy_route *route = p->route;
    bool functions_fine = sy_route_check_functions(p);
    route->plan.writes = route->writes;
    route->is_fixed = true;
    if (!functions_fine || !check_uses(route) || !sy_route_check_writes(p) || !place_new_table(p) ||
        !check_locking(route))
        return;
    sy_route_note_figures(route);
    sy_route_note_recalls(route);
    if (!find_keyspace(route)) {
        if (!sy_route_set_sequences(route) && !sy_route_add_sizes(p))
            fix_without_sharded(route);
        return;
    }
    if (sy_route_refuse_sequence_calls(route))
        return;
    route->is_fixed = false;
    route->needs_values = true;
    find_edges(route);
    sy_route_check_spread(route);
    find_fast_value(route);
}

/* A refusal that no other table of the statement could earn for a reason of its own. */
static void prepare_read(struct prepare *p)
{
    struct sy_route *route = p->route;
    prepare_query(p);
    sy_route_check_federation(p);
    if (!route->spread_refused)
        return;
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        enum use_kind kind = route->uses[i].kind;
        if (kind == USE_MISSING || kind == USE_UNPLACED)
            route->spread_refused = false;
    }
}

static void prepare_copy_from(struct prepare *p)
{
    struct sy_route *route = p->route;
    route->writes = route->plan.writes = true;
    route->is_fixed = true;
    if (!check_uses(route) || route->stmt->table_count != 1)
        return;
    const struct use *use = &route->uses[0];
    if (use->relation != NULL && use->relation->has_triggers && use->kind != USE_LOCAL &&
        !sy_route_is_safe(route->database, use->relation->schema, use->relation->name)) {
        sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                       "COPY into a table with triggers is not supported");
        sy_err_hint(&route->plan.refusal,
                    "If they touch rows of the same shard only, add the table to "
                    "safe_objects.");
        return;
    }
    if ((use->kind == USE_SHARDED && use->table != NULL) || use->kind == USE_REFERENCE)
        sy_route_prepare_copy_from(p);
    else
        fix_without_sharded(route);
}

static void refuse_opaque(struct sy_route *route)
{
    route->is_fixed = true;
    route->plan.writes = route->writes = true;
    sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                   "%s on a database of several shards is not supported",
                   route->stmt->tag == NULL ? "this statement" : route->stmt->tag);
    sy_err_hint(&route->plan.refusal,
                "The router cannot see what it touches. Name a shard: /* switchyard: "
                "shard=... */.");
}

static void prepare_sharded(struct prepare *p)
{
    struct sy_route *route = p->route;
    enum sy_stmt_kind kind = route->stmt->kind;
    bool defines = kind == SY_STMT_DDL && route->outer == route->stmt;
    if (is_query(kind) || kind == SY_STMT_COPY_TO) {
        prepare_read(p);
    } else if (defines || kind == SY_STMT_TRUNCATE || kind == SY_STMT_LOCK ||
               kind == SY_STMT_MAINTENANCE) {
        sy_route_prepare_ddl(p);
    } else if (kind == SY_STMT_COPY_FROM) {
        prepare_copy_from(p);
    } else if (kind == SY_STMT_NOTIFY) {
        route->is_fixed = true;
        sy_plan_set_single(&route->plan, 0);
    } else {
        refuse_opaque(route);
    }
}

static void prepare_all(struct prepare *p)
{
    struct sy_route *route = p->route;
    judge(route);
    if (is_routers(route->outer)) {
        route->is_fixed = true;
        route->read_only = false;
        sy_plan_set_several(&route->plan, SY_PLAN_ROUTER, (struct sy_shard_set){{0}});
        route->plan.shard = 0;
    } else if (!route->sharded) {
        sy_route_check_functions(p);
        route->is_fixed = true;
        sy_plan_set_single(&route->plan, 0);
    } else {
        prepare_sharded(p);
    }
    route->plan.writes |= route->writes;
    route->plan.uses_temporary |= route->uses_temporary;
    route->plan.role = route->read_only ? SY_ROLE_REPLICA : SY_ROLE_PRIMARY;
}

enum sy_status sy_route_prepare(const struct sy_stmt *stmt, const struct sy_plan_context *context,
                                struct sy_route **ret_route, struct sy_err *err)
{
    struct sy_route *route = calloc(1, sizeof(*route));
    if (route == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while planning");
    route->outer = stmt;
    route->stmt = deciding(stmt);
    route->map = context->map;
    route->schema = context->schema;
    route->database = context->database;
    route->sharded = sy_shardmap_is_sharded(context->map);
    route->keyspace = UINT32_MAX;
    route->root = -1;
    struct prepare p = {.route = route, .context = context, .err = err};
    enum sy_status status = resolve_all(&p);
    if (status != SY_OK) {
        sy_route_free(&route);
        return status;
    }
    prepare_all(&p);
    if (sy_stmt_makes_ids(stmt) && stmt->kind != SY_STMT_PREPARE)
        sy_route_refuse_ids(route);
    *ret_route = route;
    return SY_OK;
}

void sy_route_free(struct sy_route **route)
{
    if (route == NULL || *route == NULL)
        return;
    sy_arena_release(&(*route)->arena);
    free(*route);
    *route = NULL;
}

bool sy_route_read_only(const struct sy_route *route)
{
    return route->read_only;
}

bool sy_route_writes_counted(const struct sy_route *route)
{
    int32_t targets = 0;
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        if (route->stmt->tables[i].role != SY_TABLE_TARGET)
            continue;
        const struct sy_schema_relation *relation = route->uses[i].relation;
        targets++;
        if (route->stmt->tables[i].scope != 0 || relation == NULL || relation->has_triggers ||
            relation->kind != SY_RELATION_TABLE)
            return false;
    }
    return targets == 1 && !route->calls_writer && route->outer == route->stmt;
}

bool sy_route_needs_values(const struct sy_route *route)
{
    return route->needs_values;
}

bool sy_route_pins(const struct sy_route *route, const char **ret_why)
{
    if (route->pins != NULL && ret_why != NULL)
        *ret_why = route->pins;
    return route->pins != NULL;
}

void sy_route_copy_options(const struct sy_route *route, struct sy_copy_split_options *ret_options)
{
    const struct use *use = &route->uses[0];
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(route->map, use->table->keyspace);
    struct sy_value_target target = sy_route_stored_target(use, space->type, use->table->key);
    *ret_options = (struct sy_copy_split_options){.copy = &route->stmt->copy,
                                                  .map = route->map,
                                                  .keyspace = use->table->keyspace,
                                                  .key_ordinal = (uint32_t)route->copy_key,
                                                  .hash_key_ordinal = route->copy_hash_key,
                                                  .column_count = route->copy_columns,
                                                  .table = use->table->name,
                                                  .key = use->table->key,
                                                  .key_may_trim = target.may_trim,
                                                  .key_rounds = target.time_precision >= 0,
                                                  .key_time_precision = target.time_precision};
}
