/* The SQLite text of a definition: tables, indexes; and PostgreSQL text of expressions for the
 * catalog. */
#include <pg_query.h>
#include <stdlib.h>

#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* ---- deparse ---- */

static const char *deparse_statement(struct sq_cx *cx, PgQuery__Node *node)
{
    PgQuery__RawStmt raw = PG_QUERY__RAW_STMT__INIT;
    PgQuery__RawStmt *stmts[1] = {&raw};
    PgQuery__ParseResult tree = PG_QUERY__PARSE_RESULT__INIT;
    raw.stmt = node;
    tree.version = 150001;
    tree.n_stmts = 1;
    tree.stmts = stmts;
    size_t bytes = pg_query__parse_result__get_packed_size(&tree);
    PgQueryProtobuf packed = {bytes, sq_alloc(cx, bytes)};
    if (packed.data == NULL)
        return NULL;
    (void)pg_query__parse_result__pack(&tree, (uint8_t *)packed.data);
    PgQueryDeparseResult result = pg_query_deparse_protobuf(packed);
    const char *text =
        result.error != NULL
            ? sq_unsupported(cx, -1, "this expression cannot be stored: %s", result.error->message)
            : (const void *)sy_arena_strdup(cx->arena, result.query);
    pg_query_free_deparse_result(result);
    return text;
}

const char *sq_deparse_query(struct sq_cx *cx, sq_node *node)
{
    return deparse_statement(cx, node);
}

const char *sq_deparse(struct sq_cx *cx, sq_node *node)
{
    PgQuery__ResTarget target;
    PgQuery__Node target_node = PG_QUERY__NODE__INIT, statement = PG_QUERY__NODE__INIT;
    PgQuery__Node *targets[1] = {&target_node};
    PgQuery__SelectStmt select;
    pg_query__res_target__init(&target);
    pg_query__select_stmt__init(&select);
    target.val = node;
    target_node.node_case = NODE(RES_TARGET);
    target_node.res_target = &target;
    select.n_target_list = 1;
    select.target_list = targets;
    select.limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    select.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    statement.node_case = NODE(SELECT_STMT);
    statement.select_stmt = &select;
    const char *text = deparse_statement(cx, &statement);
    return text == NULL || strncmp(text, "SELECT ", 7) != 0 ? text : text + 7;
}

/* ---- expressions over one table ---- */

struct sq_expr *sq_table_expr(struct sq_cx *cx, const struct sy_sqrelation *relation,
                              const char *text, bool immutable)
{
    struct sq_level *level = cx->level;
    cx->level = NULL;
    bool in_index = cx->in_index;
    cx->in_index = immutable;
    struct sq_expr *expr = NULL;
    if (sq_push_level(cx) != NULL && sq_add_relation(cx, relation, relation->name, "") != NULL)
        expr = sq_expr_text(cx, text);
    cx->in_index = in_index;
    cx->level = level;
    return expr;
}

/* ---- CREATE TABLE ---- */

static bool append_column(struct sq_cx *cx, struct sy_buf *buf,
                          const struct sy_sqrelation *relation, const struct sy_sqcolumn *column)
{
    const struct sy_type_info *type = sy_type_find(column->type);
    if (type == NULL || type->column_type == NULL)
        return sq_unsupported(cx, -1, "a column of type %s is not supported by the sqlite engine",
                              sq_type_display(cx, column->type)) != NULL;
    sy_buf_printf(buf, "%s %s", sq_ident(cx, column->name), type->column_type);
    if (column->not_null)
        sy_buf_append_str(buf, " NOT NULL");
    if (type->collation != NULL)
        sy_buf_printf(buf, " COLLATE %s", type->collation);
    if (column->generated == 0)
        return true;
    struct sq_expr *expr =
        sq_coerce_assign(cx, sq_table_expr(cx, relation, column->default_sql, true), column);
    if (expr == NULL)
        return false;
    sy_buf_printf(buf, " GENERATED ALWAYS AS (%s) STORED", expr->sql);
    return true;
}

static void append_columns(struct sq_cx *cx, struct sy_buf *buf,
                           const struct sy_sqrelation *relation,
                           const struct sy_sqconstraint *constraint)
{
    for (uint32_t i = 0; i < constraint->column_count; i++)
        sy_buf_printf(buf, "%s%s", i == 0 ? "(" : ", ",
                      sq_ident(cx, relation->columns[constraint->columns[i]].name));
    sy_buf_append_str(buf, ")");
}

static const char *action(char code)
{
    switch (code) {
    case 'r':
        return "RESTRICT";
    case 'c':
        return "CASCADE";
    case 'n':
        return "SET NULL";
    case 'd':
        return "SET DEFAULT";
    default:
        return "NO ACTION";
    }
}

static bool append_constraint(struct sq_cx *cx, struct sy_buf *buf,
                              const struct sy_sqrelation *relation,
                              const struct sy_sqconstraint *constraint)
{
    bool primary = constraint->kind == 'p' && !relation->hidden_key;
    if (constraint->kind == 'u' || (constraint->kind == 'p' && !primary))
        return true; /* a unique index of its own */
    sy_buf_printf(buf, ", CONSTRAINT %s ", sq_ident(cx, constraint->name));
    if (primary) {
        sy_buf_append_str(buf, "PRIMARY KEY ");
        append_columns(cx, buf, relation, constraint);
        return true;
    }
    if (constraint->kind == 'c') {
        struct sq_expr *expr =
            sq_coerce_bool(cx, sq_table_expr(cx, relation, constraint->expression, false), "CHECK");
        if (expr == NULL)
            return false;
        sy_buf_printf(buf, "CHECK (%s)", expr->sql);
        return true;
    }
    sy_buf_append_str(buf, "FOREIGN KEY ");
    append_columns(cx, buf, relation, constraint);
    sy_buf_printf(buf, " REFERENCES %s (", sq_ident(cx, constraint->ref_table));
    for (uint32_t i = 0; i < constraint->column_count; i++)
        sy_buf_printf(buf, "%s%s", i == 0 ? "" : ", ", sq_ident(cx, constraint->ref_columns[i]));
    sy_buf_printf(buf, ") ON UPDATE %s ON DELETE %s%s", action(constraint->on_update),
                  action(constraint->on_delete),
                  constraint->deferred     ? " DEFERRABLE INITIALLY DEFERRED"
                  : constraint->deferrable ? " DEFERRABLE"
                                           : "");
    return true;
}

const char *sq_table_sql(struct sq_cx *cx, const struct sy_sqrelation *relation,
                         const char *sqlite_name)
{
    struct sy_buf buf = {0};
    bool ok = true;
    sy_buf_printf(&buf, "CREATE TABLE %s (", sq_ident(cx, sqlite_name));
    if (relation->hidden_key)
        sy_buf_append_str(&buf, "\"sy_hidden_key\" INTEGER PRIMARY KEY");
    for (uint32_t i = 0; i < relation->column_count && ok; i++) {
        sy_buf_append_str(&buf, i == 0 && !relation->hidden_key ? "" : ", ");
        ok = append_column(cx, &buf, relation, &relation->columns[i]);
    }
    for (uint32_t i = 0; i < relation->constraint_count && ok; i++)
        ok = append_constraint(cx, &buf, relation, &relation->constraints[i]);
    sy_buf_append_str(&buf, ") STRICT");
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

/* ---- CREATE INDEX ---- */

const char *sq_index_sql(struct sq_cx *cx, const struct sy_sqrelation *relation,
                         const struct sy_sqindex *index)
{
    struct sy_buf buf = {0};
    bool ok = true;
    sy_buf_printf(&buf, "CREATE %sINDEX %s ON %s (", index->unique ? "UNIQUE " : "",
                  sq_ident(cx, index->name), sq_ident(cx, sq_relation_sql(relation)));
    for (uint32_t i = 0; i < index->key_count && ok; i++) {
        const char *sql = NULL;
        if (index->key_columns[i] >= 0) {
            sql = sq_ident(cx, relation->columns[index->key_columns[i]].name);
        } else {
            struct sq_expr *expr = sq_settle(cx, sq_table_expr(cx, relation, index->keys[i], true));
            sql = expr == NULL ? NULL : sq_collated(cx, expr);
        }
        ok = sql != NULL;
        if (ok)
            sy_buf_printf(&buf, "%s%s%s", i == 0 ? "" : ", ", sql,
                          (index->key_options[i] & 1) != 0 ? " DESC" : "");
    }
    sy_buf_append_str(&buf, ")");
    if (ok && index->predicate != NULL) {
        struct sq_expr *expr =
            sq_coerce_bool(cx, sq_table_expr(cx, relation, index->predicate, true), "WHERE");
        ok = expr != NULL;
        if (ok)
            sy_buf_printf(&buf, " WHERE %s", expr->sql);
    }
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

bool sq_index_steps(struct sq_cx *cx, struct sq_out *out, const struct sy_sqrelation *relation)
{
    for (uint32_t i = 0; i < relation->index_count; i++) {
        const struct sy_sqindex *index = &relation->indexes[i];
        if (index->primary && !relation->hidden_key)
            continue;
        if (!sq_step(cx, out, sq_index_sql(cx, relation, index), false))
            return false;
    }
    return true;
}

bool sq_redefine(struct sq_cx *cx, struct sq_out *out, const struct sy_sqrelation *relation)
{
    const char *name = sq_relation_sql(relation);
    const char *text = sq_table_sql(cx, relation, name);
    if (text == NULL)
        return false;
    out->t->rebuilds_table = true;
    /* Source: sqlite.org/lang_altertable.html, changes that do not affect what is on disk. The
     * table that comes and goes moves the schema cookie, so that other connections read the schema
     * again. */
    return sq_step(cx, out, "PRAGMA writable_schema=ON", false) &&
           sq_step(cx, out,
                   sq_printf(cx, "UPDATE sqlite_schema SET sql=%s WHERE type='table' AND name=%s",
                             sq_string(cx, text, strlen(text)), sq_string(cx, name, strlen(name))),
                   false) &&
           sq_step(cx, out, "PRAGMA writable_schema=RESET", false) &&
           sq_step(cx, out, "CREATE TABLE sy_cookie(x)", false) &&
           sq_step(cx, out, "DROP TABLE sy_cookie", false);
}
