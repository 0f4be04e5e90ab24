/* Statements without SQLite text of their own: settings, prepared statements, notifications, locks,
 * maintenance. */
#include "router/engine/sqlite/utility.h"

#include <stdio.h>
#include <string.h>

#include "router/engine/sqlite/copy.h"
#include "router/engine/sqlite/locks.h"
#include "router/engine/sqlite/notify.h"
#include "router/engine/sqlite/session_env.h"
#include "router/engine/sqlite/settings.h"

static enum sy_sqlite_step done(struct sy_sqlite_session *s, const char *tag)
{
    sy_write_command_complete(&s->out, tag);
    return SY_STEP_DONE;
}

static enum sy_sqlite_step step_of(bool ok)
{
    return ok ? SY_STEP_DONE : SY_STEP_ERROR;
}

bool sy_sqlite_is_utility(enum sy_stmt_kind kind)
{
    switch ((int)kind) {
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
    case SY_STMT_DECLARE:
    case SY_STMT_FETCH:
    case SY_STMT_CLOSE:
    case SY_STMT_LISTEN:
    case SY_STMT_UNLISTEN:
    case SY_STMT_NOTIFY:
    case SY_STMT_LOCK:
    case SY_STMT_MAINTENANCE:
    case SY_STMT_COPY_FROM:
    case SY_STMT_COPY_TO:
        return true;
    default:
        return false;
    }
}

/* ---- SET, SHOW, RESET ---- */

static bool put_set_value(struct sy_sqlite_session *s, const PgQuery__Node *arg, bool quote,
                          struct sy_buf *out)
{
    if (arg->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) /* SET TIME ZONE INTERVAL '...' */
        arg = arg->type_cast->arg;
    if (arg->node_case != PG_QUERY__NODE__NODE_A_CONST) {
        sy_err_set(&s->err, SY_E_SYNTAX, "a setting takes constants");
        return false;
    }
    const PgQuery__AConst *value = arg->a_const;
    switch (value->val_case) {
    case PG_QUERY__A__CONST__VAL_SVAL:
        if (quote)
            sy_sqlite_put_identifier(out, value->sval->sval);
        else
            sy_buf_append_str(out, value->sval->sval);
        break;
    case PG_QUERY__A__CONST__VAL_IVAL:
        sy_buf_printf(out, "%d", value->ival->ival);
        break;
    case PG_QUERY__A__CONST__VAL_FVAL:
        sy_buf_append_str(out, value->fval->fval);
        break;
    case PG_QUERY__A__CONST__VAL_BOOLVAL:
        sy_buf_append_str(out, value->boolval->boolval ? "on" : "off");
        break;
    case PG_QUERY__A__CONST__VAL_BSVAL:
    case PG_QUERY__A__CONST__VAL__NOT_SET:
    case _PG_QUERY__A__CONST__VAL__CASE_IS_INT_SIZE:
        break;
    }
    return true;
}

static bool set_value(struct sy_sqlite_session *s, const PgQuery__VariableSetStmt *stmt)
{
    struct sy_buf value = {0};
    bool is_list = strcasecmp(stmt->name, "search_path") == 0, ok = true;
    for (size_t i = 0; ok && i < stmt->n_args; i++) {
        if (i > 0)
            sy_buf_append_str(&value, ", ");
        ok = put_set_value(s, stmt->args[i], is_list, &value);
    }
    if (ok)
        ok = sy_sqlite_settings_set(
            s, sy_slice_of(stmt->name),
            (struct sy_slice){value.data == NULL ? "" : value.data, value.bytes}, stmt->is_local);
    sy_buf_release(&value);
    return ok;
}

static bool set_characteristics(struct sy_sqlite_session *s, const PgQuery__VariableSetStmt *stmt)
{
    /* SET SESSION CHARACTERISTICS sets the defaults of later transactions. */
    static const char *const names[][2] = {
        {"transaction_isolation", "default_transaction_isolation"},
        {"transaction_read_only", "default_transaction_read_only"},
        {"transaction_deferrable", "default_transaction_deferrable"}};
    for (size_t i = 0; i < stmt->n_args; i++) {
        if (stmt->args[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
            continue;
        const PgQuery__DefElem *e = stmt->args[i]->def_elem;
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
            struct sy_buf value = {0};
            if (strcmp(e->defname, names[n][0]) != 0)
                continue;
            bool ok =
                put_set_value(s, e->arg, false, &value) &&
                sy_sqlite_settings_set(
                    s, sy_slice_of(names[n][1]),
                    (struct sy_slice){value.data == NULL ? "" : value.data, value.bytes}, false);
            sy_buf_release(&value);
            if (!ok)
                return false;
        }
    }
    return true;
}

static bool set_multi(struct sy_sqlite_session *s, const PgQuery__VariableSetStmt *stmt)
{
    if (strcmp(stmt->name, "SESSION CHARACTERISTICS") == 0)
        return set_characteristics(s, stmt);
    if (strcmp(stmt->name, "TRANSACTION SNAPSHOT") == 0) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "exported snapshots are not supported by the embedded engine");
        return false;
    }
    if (s->txn == 'I') {
        sy_sqlite_notice(s, "WARNING", "25P01",
                         "SET TRANSACTION can only be used in transaction blocks");
        return true;
    }
    return sy_sqlite_transaction_options(s, stmt->args, stmt->n_args);
}

static enum sy_sqlite_step run_set(struct sy_sqlite_session *s,
                                   const PgQuery__VariableSetStmt *stmt)
{
    switch (stmt->kind) {
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
        return set_multi(s, stmt) ? done(s, "SET") : SY_STEP_ERROR;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
        return sy_sqlite_settings_set(s, sy_slice_of(stmt->name), (struct sy_slice){0},
                                      stmt->is_local)
                   ? done(s, "SET")
                   : SY_STEP_ERROR;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
        return sy_sqlite_settings_set(s, sy_slice_of(stmt->name), (struct sy_slice){0}, false)
                   ? done(s, "RESET")
                   : SY_STEP_ERROR;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
        sy_sqlite_settings_reset(s);
        return done(s, "RESET");
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE:
        return set_value(s, stmt) ? done(s, "SET") : SY_STEP_ERROR;
    case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_CURRENT:
        return done(s, "SET");
    case PG_QUERY__VARIABLE_SET_KIND__VARIABLE_SET_KIND_UNDEFINED:
    case _PG_QUERY__VARIABLE_SET_KIND_IS_INT_SIZE:
        break;
    }
    sy_err_set(&s->err, SY_E_SYNTAX, "unrecognized SET");
    return SY_STEP_ERROR;
}

/* A result of text columns that the runtime makes itself. */
static void put_text_row(struct sy_sqlite_session *s, const char *const *values, uint16_t count)
{
    struct sy_slice slices[3];
    for (uint16_t i = 0; i < count; i++)
        slices[i] = sy_slice_of(values[i]);
    sy_write_data_row(&s->out, slices, count);
}

static void put_text_columns(struct sy_sqlite_session *s, const char *const *names, uint16_t count)
{
    struct sy_column_desc columns[3];
    for (uint16_t i = 0; i < count; i++)
        columns[i] = (struct sy_column_desc){.name = sy_slice_of(names[i]),
                                             .type_oid = SY_T_TEXT,
                                             .type_size = -1,
                                             .type_modifier = -1};
    sy_write_row_description(&s->out, columns, count);
}

static bool describe_show(struct sy_sqlite_session *s, const char *name)
{
    static const char *const all[] = {"name", "setting", "description"};
    if (strcmp(name, "all") == 0) {
        put_text_columns(s, all, 3);
        return true;
    }
    const char *title = sy_sqlite_settings_title(s, sy_slice_of(name));
    if (title == NULL)
        title = name;
    put_text_columns(s, &title, 1);
    return true;
}

static enum sy_sqlite_step run_show(struct sy_sqlite_session *s, const char *name)
{
    if (strcmp(name, "all") == 0) {
        const char *row[3] = {0}, *ignored = NULL;
        for (uint32_t i = 0; sy_sqlite_settings_at(s, i, &row[0], &row[1], &ignored); i++) {
            row[2] = "";
            put_text_row(s, row, 3);
        }
        return done(s, "SHOW");
    }
    const char *value = sy_sqlite_settings_get(s, sy_slice_of(name));
    if (value == NULL) {
        sy_err_set(&s->err, SY_E_NOT_FOUND, "unrecognized configuration parameter \"%s\"", name);
        return SY_STEP_ERROR;
    }
    put_text_row(s, &value, 1);
    return done(s, "SHOW");
}

/* ---- PREPARE, EXECUTE, DEALLOCATE ---- */

static bool prepare_types(struct sy_sqlite_session *s, const PgQuery__PrepareStmt *stmt,
                          uint32_t *types)
{
    for (size_t i = 0; i < stmt->n_argtypes; i++) {
        const PgQuery__TypeName *name = stmt->argtypes[i]->type_name;
        const char *last = name->n_names == 0 ? "" : name->names[name->n_names - 1]->string->sval;
        const struct sy_type_info *info = sy_type_find_name(last);
        if (info == NULL || (name->n_array_bounds > 0 && info->array == 0)) {
            sy_err_set(&s->err, SY_E_NOT_FOUND, "type \"%s\" does not exist", last);
            return false;
        }
        types[i] = name->n_array_bounds > 0 ? info->array : info->oid;
    }
    return true;
}

static enum sy_sqlite_step run_prepare(struct sy_sqlite_session *s, struct sy_sqlite_plan *outer)
{
    const PgQuery__PrepareStmt *stmt = outer->node->prepare_stmt;
    struct sy_slice name = sy_slice_of(stmt->name);
    if (sy_map_get(&s->prepared, name) != NULL) {
        sy_err_set(&s->err, SY_E_STATE, "prepared statement \"%s\" already exists", stmt->name);
        sy_err_state(&s->err, "42P05");
        return SY_STEP_ERROR;
    }
    uint32_t *types = sy_arena_calloc(&s->scratch, stmt->n_argtypes + 1, sizeof(*types));
    if (types == NULL || !prepare_types(s, stmt, types))
        return SY_STEP_ERROR;
    sy_sqlite_refresh_catalog(s);
    struct sy_sqlite_plan *plan = NULL;
    if (sy_sqlite_plan_make(s, outer->script, stmt->query, types, (uint16_t)stmt->n_argtypes, &plan,
                            &s->err) != SY_OK)
        return SY_STEP_ERROR;
    struct sy_slice text = {outer->script->text, outer->script->text_bytes};
    struct sy_sqlite_prepared *prepared =
        sy_sqlite_prepared_add(s, name, plan, text, types, (uint16_t)stmt->n_argtypes);
    sy_sqlite_plan_unref(&plan);
    if (prepared == NULL)
        return SY_STEP_ERROR;
    atomic_fetch_add(&outer->script->refs, 1);
    prepared->script = outer->script;
    prepared->node = stmt->query;
    return done(s, "PREPARE");
}

/*
 * Evaluates expressions as a SELECT list and converts each to a type, for EXECUTE. The values live
 * in `arena`. False: s->err is set.
 */
static bool evaluate(struct sy_sqlite_session *s, struct sy_sqlite_script *script,
                     PgQuery__Node **expressions, const uint32_t *types, uint32_t count,
                     struct sy_arena *arena, struct sy_sqvalue **ret_values)
{
    PgQuery__ResTarget *targets = sy_arena_calloc(arena, count + 1, sizeof(*targets));
    PgQuery__Node *nodes = sy_arena_calloc(arena, count + 1, sizeof(*nodes));
    PgQuery__Node **list = sy_arena_calloc(arena, count + 1, sizeof(*list));
    struct sy_sqvalue *values = sy_arena_calloc(arena, count + 1, sizeof(*values));
    if (targets == NULL || nodes == NULL || list == NULL || values == NULL) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        pg_query__res_target__init(&targets[i]);
        targets[i].val = expressions[i];
        targets[i].location = -1;
        pg_query__node__init(&nodes[i]);
        nodes[i].node_case = PG_QUERY__NODE__NODE_RES_TARGET;
        nodes[i].res_target = &targets[i];
        list[i] = &nodes[i];
    }
    PgQuery__SelectStmt select;
    pg_query__select_stmt__init(&select);
    select.target_list = list;
    select.n_target_list = count;
    select.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    select.limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    PgQuery__Node root;
    pg_query__node__init(&root);
    root.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
    root.select_stmt = &select;
    *ret_values = values;
    return count == 0 || sy_sqlite_evaluate_plan(s, script, &root, types, arena, values);
}

static enum sy_sqlite_step run_execute(struct sy_sqlite_session *s, struct sy_sqlite_portal *outer)
{
    const PgQuery__ExecuteStmt *stmt = outer->plan->node->execute_stmt;
    if (s->execute_portal.plan == NULL) {
        struct sy_sqlite_prepared *prepared = sy_sqlite_prepared_find(s, sy_slice_of(stmt->name));
        if (prepared == NULL || !sy_sqlite_prepared_refresh(s, prepared))
            return SY_STEP_ERROR;
        const struct sy_sqtranslation *t = prepared->plan->t;
        if (stmt->n_params != t->parameter_count) {
            sy_err_set(&s->err, SY_E_SYNTAX,
                       "wrong number of parameters for prepared statement \"%s\"", stmt->name);
            sy_err_detail(&s->err, "Expected %u parameters but got %zu.", t->parameter_count,
                          stmt->n_params);
            return SY_STEP_ERROR;
        }
        struct sy_sqlite_portal *inner = &s->execute_portal;
        struct sy_sqvalue *values = NULL;
        if (!evaluate(s, outer->plan->script, stmt->params, t->parameter_types, t->parameter_count,
                      &inner->arena, &values))
            return SY_STEP_ERROR;
        inner->parameters = values;
        inner->plan = sy_sqlite_plan_ref(prepared->plan);
        inner->same_format = outer->same_format;
        inner->format = outer->format;
        inner->formats = outer->formats;
        if (s->simple.active && t->returns_rows)
            sy_sqlite_write_row_description(s, inner, inner->plan);
    }
    enum sy_sqlite_step step = sy_sqlite_portal_run(s, &s->execute_portal, 0);
    if (step != SY_STEP_WAIT)
        sy_sqlite_portal_reset(&s->execute_portal);
    return step;
}

static enum sy_sqlite_step run_deallocate(struct sy_sqlite_session *s,
                                          const PgQuery__DeallocateStmt *stmt)
{
    bool all = stmt->name == NULL || stmt->name[0] == '\0';
    if (all) {
        sy_sqlite_prepared_drop_all(s, false);
        return done(s, "DEALLOCATE ALL");
    }
    if (sy_sqlite_prepared_find(s, sy_slice_of(stmt->name)) == NULL)
        return SY_STEP_ERROR;
    sy_sqlite_prepared_drop(s, sy_slice_of(stmt->name));
    return done(s, "DEALLOCATE");
}

/* ---- the rest ---- */

static enum sy_sqlite_step run_discard(struct sy_sqlite_session *s,
                                       const PgQuery__DiscardStmt *stmt)
{
    switch (stmt->target) {
    case PG_QUERY__DISCARD_MODE__DISCARD_ALL:
        if (s->txn != 'I') {
            sy_err_set(&s->err, SY_E_STATE, "DISCARD ALL cannot run inside a transaction block");
            sy_err_state(&s->err, "25001");
            return SY_STEP_ERROR;
        }
        sy_sqlite_portals_end(s, false);
        sy_sqlite_prepared_drop_all(s, false);
        sy_sqlite_settings_reset(s);
        sy_sqlite_unlisten(s, (struct sy_slice){0});
        sy_sqlite_locks_release_all(s);
        sy_sqlite_env_forget_sequences(s);
        return done(s, "DISCARD ALL");
    case PG_QUERY__DISCARD_MODE__DISCARD_PLANS:
        return done(s, "DISCARD PLANS");
    case PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES:
        sy_sqlite_env_forget_sequences(s);
        return done(s, "DISCARD SEQUENCES");
    case PG_QUERY__DISCARD_MODE__DISCARD_TEMP:
    case PG_QUERY__DISCARD_MODE__DISCARD_MODE_UNDEFINED:
    case _PG_QUERY__DISCARD_MODE_IS_INT_SIZE:
        break;
    }
    return done(s, "DISCARD TEMP");
}

static bool relation_exists(struct sy_sqlite_session *s, const PgQuery__RangeVar *r)
{
    const char *schema = r->schemaname != NULL && r->schemaname[0] != '\0' ? r->schemaname : NULL;
    if (sy_sqlite_catalog_find(s->catalog, schema, r->relname) != NULL)
        return true;
    sy_err_set(&s->err, SY_E_NOT_FOUND, "relation \"%s\" does not exist", r->relname);
    sy_err_state(&s->err, "42P01");
    return false;
}

static enum sy_sqlite_step run_lock(struct sy_sqlite_session *s, const PgQuery__LockStmt *stmt)
{
    if (s->txn == 'I') {
        sy_err_set(&s->err, SY_E_STATE, "LOCK TABLE can only be used in transaction blocks");
        sy_err_state(&s->err, "25P01");
        return SY_STEP_ERROR;
    }
    for (size_t i = 0; i < stmt->n_relations; i++) {
        if (!relation_exists(s, stmt->relations[i]->range_var))
            return SY_STEP_ERROR;
    }
    /* From ROW EXCLUSIVE (mode 3) on a lock is about writing: the writer is the lock. */
    enum { ROW_EXCLUSIVE = 3 };
    if (stmt->mode >= ROW_EXCLUSIVE && s->file->index == 0) {
        enum sy_sqlite_step step = sy_sqlite_need_writer(s);
        if (step != SY_STEP_DONE)
            return step;
    }
    return done(s, "LOCK TABLE");
}

static bool maintained_exist(struct sy_sqlite_session *s, const PgQuery__Node *node)
{
    const PgQuery__VacuumStmt *stmt =
        node->node_case == PG_QUERY__NODE__NODE_VACUUM_STMT ? node->vacuum_stmt : NULL;
    for (size_t i = 0; stmt != NULL && i < stmt->n_rels; i++)
        if (!relation_exists(s, stmt->rels[i]->vacuum_relation->relation))
            return false;
    return true;
}

static enum sy_sqlite_step run_maintenance(struct sy_sqlite_session *s,
                                           const struct sy_sqlite_plan *plan)
{
    const struct sy_sqtranslation *t = plan->t;
    if (!maintained_exist(s, plan->node))
        return SY_STEP_ERROR;
    if (s->file->index > 0)
        return done(s, t->tag);
    bool vacuum = strcmp(t->tag, "VACUUM") == 0;
    if (vacuum && s->txn != 'I') {
        sy_err_set(&s->err, SY_E_STATE, "VACUUM cannot run inside a transaction block");
        sy_err_state(&s->err, "25001");
        return SY_STEP_ERROR;
    }
    enum sy_sqlite_step step = sy_sqlite_need_writer(s);
    if (step != SY_STEP_DONE)
        return step;
    /* Statistics for SQLite's planner; checkpoints and free pages look after themselves. */
    int rc = SQLITE_OK;
    if (vacuum || strcmp(t->tag, "ANALYZE") == 0)
        rc = sy_sqlite_conn_exec(s->shard->writer, "PRAGMA analysis_limit=1000; ANALYZE");
    else if (strcmp(t->tag, "REINDEX") == 0)
        rc = sy_sqlite_conn_exec(s->shard->writer, "REINDEX");
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, s->shard->writer, rc);
        return SY_STEP_ERROR;
    }
    return done(s, t->tag);
}

static enum sy_sqlite_step run_notify(struct sy_sqlite_session *s, const PgQuery__NotifyStmt *stmt)
{
    struct sy_slice payload = sy_slice_of(stmt->payload == NULL ? "" : stmt->payload);
    if (!sy_sqlite_notify(s, sy_slice_of(stmt->conditionname), payload))
        return SY_STEP_ERROR;
    return done(s, "NOTIFY");
}

static enum sy_sqlite_step run_listen(struct sy_sqlite_session *s, const PgQuery__Node *node)
{
    if (node->node_case == PG_QUERY__NODE__NODE_LISTEN_STMT)
        return sy_sqlite_listen(s, sy_slice_of(node->listen_stmt->conditionname))
                   ? done(s, "LISTEN")
                   : SY_STEP_ERROR;
    const char *name = node->unlisten_stmt->conditionname;
    sy_sqlite_unlisten(s,
                       name == NULL || name[0] == '\0' ? (struct sy_slice){0} : sy_slice_of(name));
    return done(s, "UNLISTEN");
}

static bool allowed_in_failed_block(enum sy_stmt_kind kind)
{
    return kind == SY_STMT_BEGIN || kind == SY_STMT_COMMIT || kind == SY_STMT_ROLLBACK ||
           kind == SY_STMT_ROLLBACK_TO || kind == SY_STMT_SAVEPOINT || kind == SY_STMT_RELEASE ||
           kind == SY_STMT_PREPARE_TRANSACTION || kind == SY_STMT_COMMIT_PREPARED ||
           kind == SY_STMT_ROLLBACK_PREPARED;
}

static enum sy_sqlite_step dispatch(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal)
{
    const struct sy_sqlite_plan *plan = portal->plan;
    const PgQuery__Node *node = plan->node;
    if (allowed_in_failed_block(plan->t->kind))
        return sy_sqlite_transaction(s, plan);
    switch ((int)plan->t->kind) {
    case SY_STMT_SET:
    case SY_STMT_RESET:
        return run_set(s, node->variable_set_stmt);
    case SY_STMT_SHOW:
        if (s->simple.active)
            describe_show(s, node->variable_show_stmt->name);
        return run_show(s, node->variable_show_stmt->name);
    case SY_STMT_DISCARD:
        return run_discard(s, node->discard_stmt);
    case SY_STMT_PREPARE:
        return run_prepare(s, portal->plan);
    case SY_STMT_EXECUTE:
        return run_execute(s, portal);
    case SY_STMT_DEALLOCATE:
        return run_deallocate(s, node->deallocate_stmt);
    case SY_STMT_DECLARE:
        return sy_sqlite_declare(s, portal);
    case SY_STMT_FETCH:
        return sy_sqlite_fetch(s, node->fetch_stmt);
    case SY_STMT_CLOSE:
        return sy_sqlite_close_cursor(s, node->close_portal_stmt);
    case SY_STMT_LISTEN:
    case SY_STMT_UNLISTEN:
        return run_listen(s, node);
    case SY_STMT_NOTIFY:
        return run_notify(s, node->notify_stmt);
    case SY_STMT_LOCK:
        return run_lock(s, node->lock_stmt);
    case SY_STMT_MAINTENANCE:
        return run_maintenance(s, plan);
    case SY_STMT_COPY_FROM:
    case SY_STMT_COPY_TO:
        return sy_sqlite_copy_start(s, portal);
    default:
        sy_err_set(&s->err, SY_E_UNSUPPORTED, "%s is not supported by the embedded engine",
                   plan->t->tag);
        return step_of(false);
    }
}

enum sy_sqlite_step sy_sqlite_utility(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal)
{
    if (s->txn == 'E' && !allowed_in_failed_block(portal->plan->t->kind)) {
        sy_err_set(
            &s->err, SY_E_TXN_FAILED,
            "current transaction is aborted, commands ignored until end of transaction block");
        return SY_STEP_ERROR;
    }
    return dispatch(s, portal);
}

const struct sy_sqlite_plan *sy_sqlite_describe_plan(struct sy_sqlite_session *s,
                                                     const struct sy_sqlite_plan *plan)
{
    if (plan->t->kind == SY_STMT_EXECUTE) {
        struct sy_sqlite_prepared *prepared =
            sy_map_get(&s->prepared, sy_slice_of(plan->node->execute_stmt->name));
        return prepared == NULL ? NULL : prepared->plan;
    }
    if (plan->t->kind == SY_STMT_FETCH && !plan->node->fetch_stmt->ismove) {
        struct sy_sqlite_portal *cursor =
            sy_sqlite_portal_find(s, sy_slice_of(plan->node->fetch_stmt->portalname));
        return cursor == NULL ? NULL : cursor->plan;
    }
    return sy_sqlite_is_utility(plan->t->kind) ? NULL : plan;
}

bool sy_sqlite_describe_utility(struct sy_sqlite_session *s, const struct sy_sqlite_plan *plan,
                                const struct sy_sqlite_portal *portal)
{
    (void)portal;
    return plan->t->kind == SY_STMT_SHOW && describe_show(s, plan->node->variable_show_stmt->name);
}
