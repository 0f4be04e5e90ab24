/* One statement: dispatch, the answer's description, parameters. */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

static bool query_statement(struct sq_cx *cx, const PgQuery__SelectStmt *select, struct sq_out *out)
{
    struct sq_query *query = sq_select(cx, select);
    if (query == NULL || !sq_query_settle(cx, query))
        return false;
    /* Names are given to the client before they are made unique for SQLite. */
    if (!sq_result_columns(cx, out, query->columns, query->column_count))
        return false;
    const char *text = sq_query_text(cx, query);
    out->t->kind = SY_STMT_SELECT;
    out->t->tag = "SELECT";
    out->t->tag_count = true;
    return text != NULL && sq_step(cx, out, text, true);
}

static bool explain(struct sq_cx *cx, const PgQuery__ExplainStmt *node, struct sq_out *out);

static bool transaction(struct sq_out *out, const PgQuery__TransactionStmt *node)
{
    static const struct {
        enum sy_stmt_kind kind;
        const char *tag;
    } kinds[] = {
        {SY_STMT_OTHER, ""},
        {SY_STMT_BEGIN, "BEGIN"},
        {SY_STMT_BEGIN, "START TRANSACTION"},
        {SY_STMT_COMMIT, "COMMIT"},
        {SY_STMT_ROLLBACK, "ROLLBACK"},
        {SY_STMT_SAVEPOINT, "SAVEPOINT"},
        {SY_STMT_RELEASE, "RELEASE"},
        {SY_STMT_ROLLBACK_TO, "ROLLBACK"},
        {SY_STMT_PREPARE_TRANSACTION, "PREPARE TRANSACTION"},
        {SY_STMT_COMMIT_PREPARED, "COMMIT PREPARED"},
        {SY_STMT_ROLLBACK_PREPARED, "ROLLBACK PREPARED"},
    };
    unsigned int which = (unsigned int)node->kind;
    out->t->kind = which < sizeof(kinds) / sizeof(kinds[0]) ? kinds[which].kind : SY_STMT_OTHER;
    out->t->tag = which < sizeof(kinds) / sizeof(kinds[0]) ? kinds[which].tag : "";
    return true;
}

/* Statements that the runtime carries out itself. */
static bool runtime_statement(const sq_node *node, struct sq_out *out)
{
    static const struct {
        int node;
        enum sy_stmt_kind kind;
        const char *tag;
    } kinds[] = {
        {NODE(VARIABLE_SET_STMT), SY_STMT_SET, "SET"},
        {NODE(VARIABLE_SHOW_STMT), SY_STMT_SHOW, "SHOW"},
        {NODE(DISCARD_STMT), SY_STMT_DISCARD, "DISCARD"},
        {NODE(COPY_STMT), SY_STMT_COPY_FROM, "COPY"},
        {NODE(PREPARE_STMT), SY_STMT_PREPARE, "PREPARE"},
        {NODE(EXECUTE_STMT), SY_STMT_EXECUTE, "EXECUTE"},
        {NODE(DEALLOCATE_STMT), SY_STMT_DEALLOCATE, "DEALLOCATE"},
        {NODE(DECLARE_CURSOR_STMT), SY_STMT_DECLARE, "DECLARE CURSOR"},
        {NODE(FETCH_STMT), SY_STMT_FETCH, "FETCH"},
        {NODE(CLOSE_PORTAL_STMT), SY_STMT_CLOSE, "CLOSE CURSOR"},
        {NODE(LISTEN_STMT), SY_STMT_LISTEN, "LISTEN"},
        {NODE(UNLISTEN_STMT), SY_STMT_UNLISTEN, "UNLISTEN"},
        {NODE(NOTIFY_STMT), SY_STMT_NOTIFY, "NOTIFY"},
        {NODE(LOCK_STMT), SY_STMT_LOCK, "LOCK TABLE"},
        {NODE(VACUUM_STMT), SY_STMT_MAINTENANCE, "VACUUM"},
        {NODE(CHECK_POINT_STMT), SY_STMT_MAINTENANCE, "CHECKPOINT"},
        {NODE(REINDEX_STMT), SY_STMT_MAINTENANCE, "REINDEX"},
        {NODE(CONSTRAINTS_SET_STMT), SY_STMT_SET, "SET CONSTRAINTS"},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if ((int)node->node_case == kinds[i].node) {
            out->t->kind = kinds[i].kind;
            out->t->tag = kinds[i].tag;
            if (kinds[i].node == NODE(VACUUM_STMT) && !node->vacuum_stmt->is_vacuumcmd)
                out->t->tag = "ANALYZE";
            return true;
        }
    return false;
}

static bool ddl_statement(struct sq_cx *cx, const sq_node *node, struct sq_out *out)
{
    out->t->kind = SY_STMT_DDL;
    cx->writes = true;
    switch ((int)node->node_case) {
    case NODE(CREATE_STMT):
        return sq_create_table(cx, node->create_stmt, out);
    case NODE(CREATE_TABLE_AS_STMT):
        return sq_create_table_as(cx, node->create_table_as_stmt, out);
    case NODE(VIEW_STMT):
        return sq_create_view(cx, node->view_stmt, out);
    case NODE(INDEX_STMT):
        return sq_create_index(cx, node->index_stmt, out);
    case NODE(CREATE_SEQ_STMT):
        return sq_create_sequence(cx, node->create_seq_stmt, out);
    case NODE(ALTER_SEQ_STMT):
        return sq_alter_sequence(cx, node->alter_seq_stmt, out);
    case NODE(ALTER_TABLE_STMT):
        return sq_alter_table(cx, node->alter_table_stmt, out);
    case NODE(RENAME_STMT):
        return sq_rename(cx, node->rename_stmt, out);
    case NODE(DROP_STMT):
        return sq_drop(cx, node->drop_stmt, out);
    case NODE(COMMENT_STMT):
        return sq_comment(cx, node->comment_stmt, out);
    case NODE(CREATE_SCHEMA_STMT):
        if (node->create_schema_stmt->if_not_exists &&
            strcmp(node->create_schema_stmt->schemaname, "public") == 0) {
            out->t->tag = "CREATE SCHEMA";
            return sq_notice(cx, "42P06", "schema \"public\" already exists, skipping");
        }
        return sq_unsupported(cx, -1, "the sqlite engine has one schema, \"public\"") != NULL;
    case NODE(CREATE_EXTENSION_STMT):
        return sq_unsupported(cx, -1, "extensions are not supported by the sqlite engine") != NULL;
    case NODE(ALTER_OWNER_STMT):
        out->t->tag = "ALTER TABLE";
        return true;
    default:
        return sq_unsupported(cx, -1, "this statement is not supported by the sqlite engine") !=
               NULL;
    }
}

static const PgQuery__WithClause *with_of(const sq_node *node)
{
    switch ((int)node->node_case) {
    case NODE(SELECT_STMT):
        return node->select_stmt->with_clause;
    case NODE(INSERT_STMT):
        return node->insert_stmt->with_clause;
    case NODE(UPDATE_STMT):
        return node->update_stmt->with_clause;
    case NODE(DELETE_STMT):
        return node->delete_stmt->with_clause;
    default:
        return NULL;
    }
}

static bool statement(struct sq_cx *cx, const sq_node *node, struct sq_out *out)
{
    if (cx->outermost == NULL)
        cx->outermost = with_of(node);
    switch ((int)node->node_case) {
    case NODE(SELECT_STMT):
        return query_statement(cx, node->select_stmt, out);
    case NODE(INSERT_STMT):
        return sq_insert(cx, node->insert_stmt, out);
    case NODE(UPDATE_STMT):
        return sq_update(cx, node->update_stmt, out);
    case NODE(DELETE_STMT):
        return sq_delete(cx, node->delete_stmt, out);
    case NODE(MERGE_STMT):
        return sq_unsupported(cx, -1, "MERGE is not supported by the sqlite engine") != NULL;
    case NODE(TRUNCATE_STMT):
        return sq_truncate(cx, node->truncate_stmt, out);
    case NODE(EXPLAIN_STMT):
        return explain(cx, node->explain_stmt, out);
    case NODE(TRANSACTION_STMT):
        return transaction(out, node->transaction_stmt);
    case NODE(CALL_STMT):
        return sq_error(cx, "42883", -1, "the sqlite engine has no procedures");
    case NODE(DO_STMT):
        return sq_unsupported(cx, -1, "DO is not supported by the sqlite engine") != NULL;
    default:
        return runtime_statement(node, out) || ddl_statement(cx, node, out);
    }
}

/* Options that say what is shown besides are taken; SQLite's plan has none of it. */
static bool explain_options(struct sq_cx *cx, const PgQuery__ExplainStmt *node, bool *ret_analyze)
{
    for (size_t i = 0; i < node->n_options; i++) {
        const PgQuery__DefElem *option = node->options[i]->def_elem;
        const char *value = option->arg == NULL ? NULL : sq_str(option->arg);
        if (strcmp(option->defname, "analyze") == 0)
            *ret_analyze =
                value == NULL || (strcmp(value, "false") != 0 && strcmp(value, "off") != 0);
        else if (strcmp(option->defname, "format") == 0 && value != NULL &&
                 strcasecmp(value, "text") != 0)
            return sq_unsupported(cx, -1,
                                  "EXPLAIN in format %s is not supported by the sqlite "
                                  "engine",
                                  value) != NULL;
    }
    return true;
}

static bool explain(struct sq_cx *cx, const PgQuery__ExplainStmt *node, struct sq_out *out)
{
    bool writes = cx->writes, analyze = false;
    if (!explain_options(cx, node, &analyze))
        return false;
    if (!statement(cx, node->query, out) || out->steps.count == 0)
        return out->steps.count > 0 ||
               sq_unsupported(cx, -1, "EXPLAIN of this statement is not supported") != NULL;
    if (analyze && out->ddl.count > 0)
        return sq_unsupported(
                   cx, -1,
                   "EXPLAIN ANALYZE of this statement is not supported by the sqlite engine") !=
               NULL;
    const struct sy_sqstep *last = out->steps.items[out->steps.count - 1];
    const char *plan_sql = sq_printf(cx, "EXPLAIN QUERY PLAN %s", last->sql);
    for (uint32_t i = 0; i < out->steps.count; i++)
        ((struct sy_sqstep *)out->steps.items[i])->main = false;
    if (!analyze) {
        out->steps.count = 0;
        out->ddl.count = 0;
        cx->writes = writes;
    }
    struct sq_field plan = {"QUERY PLAN", sq_new(cx, SY_T_TEXT, -1, "")};
    out->t->kind = SY_STMT_EXPLAIN;
    out->t->tag = "EXPLAIN";
    out->t->tag_count = false;
    out->t->explain = true;
    out->t->analyze = analyze;
    return plan.expr != NULL && sq_step(cx, out, plan_sql, true) &&
           sq_result_columns(cx, out, &plan, 1);
}

/* ---- parameters and result ---- */

static bool fill_parameters(struct sq_cx *cx, struct sy_sqtranslation *t)
{
    for (uint32_t i = 0; i < cx->param_count; i++)
        if (cx->param_types[i] == 0 || cx->param_types[i] == SY_T_UNKNOWN)
            return sq_error(cx, "42P18", -1, "could not determine data type of parameter $%u",
                            i + 1);
    t->parameter_types = cx->param_types;
    t->parameter_count = cx->param_count;
    return true;
}

#define FILL(field, count_field, list, type)                                                       \
    do {                                                                                           \
        type *items_ = sq_alloc(cx, (list).count * sizeof(type));                                  \
        if (items_ == NULL)                                                                        \
            return false;                                                                          \
        for (uint32_t i_ = 0; i_ < (list).count; i_++)                                             \
            items_[i_] = *(const type *)(list).items[i_];                                          \
        t->field = items_;                                                                         \
        t->count_field = (list).count;                                                             \
    } while (false)

static const char *const *names_of(struct sq_cx *cx, const struct sq_list *list)
{
    const char **names = sq_alloc(cx, list->count * sizeof(*names));
    for (uint32_t i = 0; names != NULL && i < list->count; i++)
        names[i] = list->items[i];
    return names;
}

static bool finish(struct sq_cx *cx, struct sq_out *out)
{
    struct sy_sqtranslation *t = out->t;
    if (!sq_finish_changes(cx, out))
        return false;
    FILL(steps, step_count, out->steps, struct sy_sqstep);
    FILL(ddl, ddl_count, out->ddl, struct sy_sqddl);
    FILL(notices, notice_count, cx->notices, struct sy_sqnotice);
    t->relations = names_of(cx, &cx->relations);
    t->relation_count = cx->relations.count;
    t->restart_sequences = names_of(cx, &out->restarts);
    t->restart_count = out->restarts.count;
    t->writes = cx->writes;
    t->calls_sequences = cx->calls_sequences;
    return t->relations != NULL && t->restart_sequences != NULL && fill_parameters(cx, t);
}

enum sy_status sy_sqtranslate(const struct sy_sqinput *input, struct sy_arena *arena,
                              const struct sy_sqtranslation **ret_translation, struct sy_err *err)
{
    struct sy_err local;
    struct sq_cx cx = {.input = input, .arena = arena, .err = err == NULL ? &local : err};
    memset(cx.err, 0, sizeof(*cx.err));
    struct sq_out out = {.t = sq_alloc(&cx, sizeof(*out.t))};
    if (out.t == NULL)
        return SY_E_NO_MEMORY;
    cx.param_count = input->parameter_count;
    cx.param_capacity = input->parameter_count + 16;
    cx.param_types = sq_alloc(&cx, cx.param_capacity * sizeof(*cx.param_types));
    if (cx.param_types == NULL || sq_push_level(&cx) == NULL)
        return SY_E_NO_MEMORY;
    for (uint32_t i = 0; i < input->parameter_count; i++) {
        uint32_t type = input->parameter_types[i];
        cx.param_types[i] = type == SY_T_UNKNOWN ? 0 : type;
        if (type != 0 && sy_type_find(type) == NULL) {
            (void)sq_unsupported(&cx, -1,
                                 "parameter $%u has type %u, which the sqlite engine does not have",
                                 i + 1, type);
            return cx.err->status;
        }
    }
    if (!statement(&cx, input->node, &out) || !finish(&cx, &out))
        return cx.err->status != SY_OK ? cx.err->status
                                       : sy_err_set(cx.err, SY_E_INTERNAL, "translation failed");
    cx.err->status = SY_OK;
    *ret_translation = out.t;
    return SY_OK;
}

enum sy_status sy_sqtranslate_text(const struct sy_sqinput *input, struct sy_arena *arena,
                                   const struct sy_sqtranslation **ret_translation,
                                   struct sy_err *err)
{
    struct sy_err local;
    struct sq_cx cx = {.input = input, .arena = arena, .err = err == NULL ? &local : err};
    memset(cx.err, 0, sizeof(*cx.err));
    char *text = sy_arena_strndup(arena, input->text.data, input->text.bytes);
    if (text == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    PgQuery__ParseResult *tree = sq_parse(&cx, text);
    if (tree == NULL)
        return cx.err->status;
    enum sy_status status = SY_OK;
    if (tree->n_stmts != 1) {
        status = sy_err_set(cx.err, SY_E_SYNTAX,
                            "cannot insert multiple commands into a prepared statement");
    } else {
        struct sy_sqinput one = *input;
        one.node = tree->stmts[0]->stmt;
        status = sy_sqtranslate(&one, arena, ret_translation, cx.err);
    }
    sq_parse_free(tree);
    return status;
}

enum sy_status sy_sqtranslate_copy_insert(const struct sy_sqinput *input,
                                          const struct sy_sqrelation *relation,
                                          const uint16_t *columns, uint32_t column_count,
                                          struct sy_arena *arena, const char **ret_sql,
                                          struct sy_err *err)
{
    struct sy_err local;
    struct sq_cx cx = {.input = input, .arena = arena, .err = err == NULL ? &local : err};
    memset(cx.err, 0, sizeof(*cx.err));
    struct sy_buf names = {0}, values = {0};
    bool ok = sq_push_level(&cx) != NULL;
    for (uint32_t i = 0; i < relation->column_count && ok; i++) {
        const struct sy_sqcolumn *column = &relation->columns[i];
        struct sq_expr *value = NULL;
        for (uint32_t c = 0; c < column_count && value == NULL; c++)
            if (columns[c] == i)
                value = sq_new(&cx, column->type, -1, sq_printf(&cx, "?%u", c + 1));
        if (column->generated != 0)
            continue;
        if (value == NULL)
            value = sq_column_default(&cx, relation, column);
        const char *sql = value == NULL ? NULL : sq_stored(&cx, relation, column, value);
        ok = sql != NULL;
        if (ok) {
            sy_buf_printf(&names, "%s%s", names.bytes == 0 ? "" : ", ",
                          sq_ident(&cx, column->name));
            sy_buf_printf(&values, "%s%s", values.bytes == 0 ? "" : ", ", sql);
        }
    }
    const char *n = sq_finish(&cx, &names), *v = sq_finish(&cx, &values);
    const char *sql = !ok || n == NULL || v == NULL
                          ? NULL
                          : sq_printf(&cx, "INSERT INTO %s (%s) VALUES (%s)",
                                      sq_ident(&cx, sq_relation_sql(relation)), n, v);
    if (sql == NULL)
        return cx.err->status != SY_OK ? cx.err->status
                                       : sy_err_set(cx.err, SY_E_NO_MEMORY, "out of memory");
    *ret_sql = sql;
    return SY_OK;
}
