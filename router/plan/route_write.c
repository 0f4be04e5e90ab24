/* What a statement that writes must fulfil: where inserted rows go, keys that change, copies that
 * must not differ. */
#include "router/plan/route_internal.h"

static struct sy_slice name_of(const struct prepare *p, int32_t use)
{
    return p->route->stmt->tables[use].name.name;
}

static bool refuse_write(struct prepare *p, int32_t use, const char *what, const char *hint)
{
    struct sy_slice name = name_of(p, use);
    p->route->hint_cannot_help = true;
    sy_plan_refuse(&p->route->plan, SY_E_UNSUPPORTED, "%s \"%.*s\" is not supported", what,
                   (int)name.bytes, name.data);
    sy_err_hint(&p->route->plan.refusal, "%s", hint);
    return false;
}

/* Column `name`'s position in a row of a COPY or INSERT with this list; -1: not in it. `sure`
 * false: unknown. */
static int32_t route_column_position(const struct use *use, const struct sy_slice *columns,
                                     int32_t count, struct sy_slice name, bool *ret_sure)
{
    *ret_sure = true;
    for (int32_t i = 0; i < count; i++)
        if (sy_slice_eq(columns[i], name))
            return i;
    if (count > 0)
        return -1;
    *ret_sure = use->relation != NULL && use->relation->column_count > 0;
    for (uint32_t i = 0; *ret_sure && i < use->relation->column_count; i++)
        if (sy_slice_eq(use->relation->columns[i].name, name))
            return (int32_t)i;
    return -1;
}

struct sy_value_target sy_route_stored_target(const struct use *use, enum sy_key_type type,
                                              struct sy_slice column)
{
    struct sy_value_target target = {
        .type = type, .stored = true, .alone = true, .time_precision = -1};
    const struct sy_schema_column *known = sy_schema_column(use->relation, column);
    target.may_trim =
        known == NULL ? type == SY_KEY_VARCHAR
                      : known->type_modifier >= 0 && sy_slice_eq(known->type, SY_SLICE("varchar"));
    if (known != NULL && known->type_modifier >= 0 && sy_key_is_time(type))
        target.time_precision = known->type_modifier;
    return target;
}

/* The server would fill in the key: from a default, or with NULL. */
static bool refuse_missing_key(struct prepare *p, int32_t use, struct sy_slice column)
{
    const struct use *target = &p->route->uses[use];
    const struct sy_schema_column *known = sy_schema_column(target->relation, column);
    struct sy_slice table = name_of(p, use);
    struct sy_plan *plan = &p->route->plan;
    p->route->hint_cannot_help = true;
    if (known != NULL && !known->has_default && !known->is_identity_or_serial &&
        !known->is_generated) {
        sy_plan_refuse(
            plan, SY_E_NULL_KEY,
            "null value in column \"%.*s\" of relation \"%.*s\" violates not-null constraint",
            (int)column.bytes, column.data, (int)table.bytes, table.data);
        sy_err_hint(&plan->refusal,
                    "The column is the sharding key: each row needs a value for it.");
        return false;
    }
    sy_plan_refuse(
        plan, SY_E_UNSUPPORTED,
        "INSERT into \"%.*s\" without a value for its sharding key \"%.*s\" is not supported",
        (int)table.bytes, table.data, (int)column.bytes, column.data);
    sy_err_hint(&plan->refusal,
                "Give the key as a constant or a parameter: the row's shard follows from it.");
    return false;
}

static bool insert_key(struct prepare *p, struct insert_rows *rows, struct sy_slice column,
                       int32_t *ret_position)
{
    const struct sy_insert *insert = rows->insert;
    const struct use *use = &p->route->uses[rows->use];
    bool sure = false;
    const struct sy_slice *columns = /* none are named: there may be no array at all */
        insert->column_count == 0 ? NULL : p->route->stmt->columns + insert->first_column;
    int32_t position = route_column_position(use, columns, insert->column_count, column, &sure);
    if (!sure && !insert->default_values)
        return refuse_write(p, rows->use, "INSERT without a column list into sharded table",
                            "The table's columns are not known here: list them in the INSERT.");
    if (position < 0 || insert->default_values ||
        (!insert->from_select && position >= insert->row_width) ||
        (insert->output_count > 0 && position >= insert->output_count))
        return refuse_missing_key(p, rows->use, column);
    const struct sy_schema_column *known = sy_schema_column(use->relation, column);
    if (known != NULL && known->is_generated)
        return refuse_write(p, rows->use, "INSERT with a generated sharding key into",
                            "Shard the table by a column that the application fills in.");
    *ret_position = position;
    return true;
}

static bool check_sharded_insert(struct prepare *p, const struct sy_insert *insert)
{
    struct sy_route *route = p->route;
    const struct use *use = &route->uses[insert->table];
    struct insert_rows *rows = &route->inserts[route->insert_count++];
    *rows = (struct insert_rows){
        .insert = insert, .use = insert->table, .key_column = -1, .hash_column = -1};
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(route->map, use->table->keyspace);
    if (!insert_key(p, rows, use->table->key, &rows->key_column))
        return false;
    rows->key_target = sy_route_stored_target(use, space->type, use->table->key);
    if (space->has_hash_key) {
        if (!insert_key(p, rows, use->table->hash_key, &rows->hash_column))
            return false;
        rows->hash_target = sy_route_stored_target(use, space->hash_type, use->table->hash_key);
    }
    route->needs_values = true;
    return true;
}

/* ---- reference tables: every copy must become the same ---- */

static bool check_reference_insert(struct prepare *p, const struct sy_insert *insert)
{
    const struct use *use = &p->route->uses[insert->table];
    const struct sy_schema_column *column = NULL;
    if (use->relation == NULL || use->relation->column_count == 0)
        return refuse_write(p, insert->table, "INSERT into reference table",
                            "The table's columns and defaults are not known to the router yet.");
    enum sy_freeze freeze = sy_route_freeze_insert(p->route, insert, true, &column);
    if (freeze == SY_FREEZE_NOT)
        return true;
    bool plain = !insert->from_select && !insert->default_values && insert->scope == 0 &&
                 p->route->outer == p->route->stmt && sy_route_can_freeze(p->route);
    if (freeze == SY_FREEZE_CANNOT || !plain)
        return refuse_write(
            p, insert->table, "INSERT that leaves a default to be filled in, into reference table",
            "Each copy would evaluate it by itself: give every column that has a default.");
    p->route->freezes = true;
    return true;
}

/* What is evaluated once is sent to all copies as a value. */
static bool check_reference_functions(struct prepare *p, int32_t target)
{
    struct sy_route *route = p->route;
    const char *name = "";
    enum sy_freeze freeze = sy_route_freeze_most(route, true, &name);
    bool plain = route->outer == route->stmt && sy_route_can_freeze(route);
    bool rows = route->stmt->kind == SY_STMT_INSERT && !route->stmt->insert_from_select;
    route->freezes |= plain && freeze != SY_FREEZE_NOT;
    if (freeze == SY_FREEZE_NOT || (plain && freeze == SY_FREEZE_ONCE) ||
        (plain && rows && freeze == SY_FREEZE_EACH))
        return true;
    return refuse_write(
        p, target, "a write that calls functions that are not immutable, to reference table",
        "Each copy would evaluate them by itself: give their values as constants or "
        "parameters.");
}

static bool check_reference_defaults(struct prepare *p, int32_t target)
{
    const struct sy_stmt *stmt = p->route->stmt;
    for (int32_t i = 0; i < stmt->assignment_count; i++) {
        const struct sy_schema_column *column =
            sy_schema_column(p->route->uses[target].relation, stmt->assignments[i].column);
        if (stmt->assignments[i].value.kind == SY_VALUE_DEFAULT &&
            (column == NULL || sy_route_freeze_default(column, true) != SY_FREEZE_NOT))
            return refuse_write(p, target, "SET column = DEFAULT on reference table",
                                "Give the value as a constant or a parameter.");
    }
    return true;
}

static bool check_reference_write(struct prepare *p, int32_t target)
{
    const struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->table_count; i++)
        if (route->uses[i].kind != USE_REFERENCE)
            return refuse_write(
                p, target, "a write that reads other than reference tables, to reference table",
                "Read the rows first, then write them as constants or parameters.");
    const char *obstacle = sy_route_order_dependent(route);
    if (obstacle != NULL)
        return refuse_write(p, target, obstacle,
                            "Each copy keeps its rows in an order of its own and might choose "
                            "others: name rows by their keys, read one value with a scalar "
                            "subquery, or give what was read before as constants or parameters.");
    return check_reference_functions(p, target) && check_reference_defaults(p, target);
}

/* ---- all writes ---- */

static bool check_target(struct prepare *p, int32_t index)
{
    struct sy_route *route = p->route;
    const struct use *use = &route->uses[index];
    const struct sy_table_use *table = &route->stmt->tables[index];
    if (use->kind == USE_TEMPORARY)
        return true;
    if (use->kind == USE_CATALOG)
        return refuse_write(p, index, "a write to a system relation,", "Use DDL.");
    bool copies = use->kind == USE_SHARDED || use->kind == USE_REFERENCE;
    enum sy_stmt_kind kind = table->scope >= 0 && table->scope < route->stmt->scope_count
                                 ? route->stmt->scopes[table->scope].kind
                                 : route->stmt->kind;
    if (use->relation != NULL && use->relation->has_triggers &&
        !sy_route_is_safe(route->database, use->relation->schema, use->relation->name))
        return refuse_write(
            p, index, "a write that fires triggers on",
            "If the triggers touch rows of the same shard only, add the table to safe_objects.");
    if (copies && use->relation != NULL && use->relation->kind != SY_RELATION_TABLE)
        return refuse_write(p, index, "a write through view", "Write to its table.");
    if (copies && use->table == NULL && use->kind == USE_SHARDED)
        return refuse_write(p, index, "a write to", "Declare the table in a keyspace.");
    if (copies && kind == SY_STMT_MERGE)
        return refuse_write(p, index, "MERGE into",
                            "Use INSERT ... ON CONFLICT, UPDATE or DELETE.");
    return use->kind != USE_REFERENCE || check_reference_write(p, index);
}

static void note_key_assignments(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->assignment_count; i++)
        for (int32_t t = 0; t < stmt->table_count; t++) {
            if (stmt->tables[t].role != SY_TABLE_TARGET ||
                stmt->tables[t].scope != stmt->assignments[i].scope)
                continue;
            bool hash = sy_use_is_hash_key(&route->uses[t], stmt->assignments[i].column);
            if (!hash && !sy_use_is_key(&route->uses[t], stmt->assignments[i].column))
                continue;
            route->key_assignments[route->key_assignment_count++] =
                (struct key_assignment){t, hash, &stmt->assignments[i]};
            route->needs_values = true;
        }
}

bool sy_route_check_writes(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->table_count; i++) {
        if (stmt->tables[i].role == SY_TABLE_TARGET && !check_target(p, i))
            return false;
        bool makes = stmt->tables[i].role == SY_TABLE_DEFINE;
        if (makes && (route->uses[i].kind == USE_SHARDED || route->uses[i].kind == USE_REFERENCE))
            return refuse_write(p, i,
                                "SELECT INTO or CREATE TABLE AS for sharded or reference table",
                                "Create the table first, then INSERT or COPY the rows.");
    }
    for (int32_t i = 0; i < stmt->insert_count; i++) {
        enum use_kind kind = route->uses[stmt->inserts[i].table].kind;
        if (kind == USE_SHARDED && !check_sharded_insert(p, &stmt->inserts[i]))
            return false;
        if (kind == USE_REFERENCE && !check_reference_insert(p, &stmt->inserts[i]))
            return false;
    }
    note_key_assignments(route);
    return true;
}

static bool copy_position(struct prepare *p, struct sy_slice column, int32_t *ret_position)
{
    const struct sy_stmt *stmt = p->route->stmt;
    bool sure = false;
    *ret_position =
        route_column_position(&p->route->uses[0], stmt->columns, stmt->column_count, column, &sure);
    if (!sure)
        return refuse_write(p, 0, "COPY without a column list into sharded table",
                            "The table's columns are not known here: list them.");
    return *ret_position >= 0 || refuse_missing_key(p, 0, column);
}

/* The same data goes to every copy, so nothing may be filled in there. */
static bool copy_to_reference(struct prepare *p)
{
    struct sy_route *route = p->route;
    struct sy_insert all = {.column_count = route->stmt->column_count, .from_select = true};
    if (!check_reference_insert(p, &all))
        return false;
    sy_plan_set_several(&route->plan, SY_PLAN_ALL,
                        sy_shard_set_all(sy_shardmap_shard_count(route->map)));
    return true;
}

/* COPY t FROM: uses[0] is the table, sharded or reference. */
bool sy_route_prepare_copy_from(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    const struct use *use = &route->uses[0];
    if (!stmt->copy.from_stdin_or_to_stdout)
        return refuse_write(p, 0, "COPY FROM a file or program of the server into",
                            "Use COPY ... FROM STDIN (psql: \\copy).");
    if (use->kind == USE_REFERENCE)
        return copy_to_reference(p);
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(route->map, use->table->keyspace);
    if (stmt->copy.encoding.bytes > 0 && sy_key_is_text(space->type))
        return refuse_write(p, 0, "COPY with ENCODING into", "Set client_encoding instead.");
    if (stmt->copy.has_force_null)
        return refuse_write(p, 0, "COPY with FORCE_NULL or FORCE_NOT_NULL into",
                            "Leave the option out.");
    route->copy_hash_key = -1;
    if (!copy_position(p, use->table->key, &route->copy_key) ||
        (space->has_hash_key && !copy_position(p, use->table->hash_key, &route->copy_hash_key)))
        return false;
    route->copy_columns = (uint32_t)stmt->column_count;
    for (uint32_t i = 0; stmt->column_count == 0 && i < use->relation->column_count; i++)
        route->copy_columns += !use->relation->columns[i].is_generated;
    if (stmt->column_count == 0 && route->copy_columns != use->relation->column_count)
        return refuse_write(p, 0, "COPY without a column list into a table with generated columns,",
                            "List the columns.");
    sy_plan_set_several(&route->plan, SY_PLAN_SPLIT, space->shards);
    route->plan.writes = true;
    return true;
}
