/* INSERT, and what DML statements share: targets, defaults, RETURNING. */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

int sq_column_index(const struct sy_sqrelation *relation, const char *name)
{
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (strcmp(relation->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

struct sq_expr *sq_expr_text(struct sq_cx *cx, const char *text)
{
    const char *query = sq_printf(cx, "SELECT %s", text);
    cx->view_depth++;
    PgQuery__ParseResult *tree = query == NULL ? NULL : sq_parse(cx, query);
    struct sq_expr *expr = NULL;
    if (tree != NULL && tree->n_stmts == 1 &&
        tree->stmts[0]->stmt->node_case == NODE(SELECT_STMT) &&
        tree->stmts[0]->stmt->select_stmt->n_target_list == 1)
        expr = sq_expr(cx, tree->stmts[0]->stmt->select_stmt->target_list[0]->res_target->val);
    sq_parse_free(tree);
    cx->view_depth--;
    return expr;
}

struct sq_expr *sq_column_default(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                  const struct sy_sqcolumn *column)
{
    (void)relation;
    if (column->default_sql == NULL || column->generated != 0) {
        struct sq_expr *null = sq_new(cx, column->type, -1, "NULL");
        if (null != NULL)
            null->kind = SQ_CONSTANT;
        return null;
    }
    bool in_default = cx->in_default;
    cx->in_default = true;
    struct sq_expr *expr = sq_expr_text(cx, column->default_sql);
    cx->in_default = in_default;
    return sq_coerce_assign(cx, expr, column);
}

const char *sq_stored(struct sq_cx *cx, const struct sy_sqrelation *relation,
                      const struct sy_sqcolumn *column, const struct sq_expr *value)
{
    if (!column->rowid || value->not_null)
        return value->sql;
    return sq_printf(cx, "sy_notnull(%s, %s, %s)", value->sql,
                     sq_string(cx, relation->name, strlen(relation->name)),
                     sq_string(cx, column->name, strlen(column->name)));
}

/* The target of a statement that writes. */
static const struct sy_sqrelation *target(struct sq_cx *cx, const PgQuery__RangeVar *range,
                                          const char *what)
{
    if (range->schemaname[0] == '\0' && sq_find_cte(cx, range->relname) != NULL)
        return sq_error_null(cx, "42P01", range->location,
                             "relation \"%s\" cannot be the target of a modifying statement",
                             range->relname);
    const struct sy_sqrelation *relation = sq_find_relation(cx, range, false);
    if (relation == NULL)
        return NULL;
    if (relation->read_only)
        return sq_error_null(cx, "42501", range->location, "permission denied for table %s",
                             relation->name);
    if (relation->kind == 'v')
        return sq_unsupported(cx, range->location,
                              "%s on a view is not supported by the sqlite engine", what);
    if (relation->kind != 'r')
        return sq_error_null(cx, "42809", range->location, "cannot change sequence \"%s\"",
                             relation->name);
    cx->writes = true;
    return relation;
}

/* RETURNING: only the target's columns, under the table's own name, as SQLite wants. */
static const char *returning(struct sq_cx *cx, const struct sy_sqrelation *relation,
                             const char *alias, sq_node *const *list, size_t count,
                             bool other_tables, struct sq_out *out)
{
    if (count == 0)
        return "";
    struct sq_list items = cx->level->items;
    cx->level->items = (struct sq_list){0};
    cx->level->clause = "RETURNING";
    struct sq_field *columns = NULL;
    uint32_t column_count = 0;
    const char *text = NULL;
    const char *name = sq_ident(cx, sq_relation_sql(relation));
    bool ok = sq_add_relation(cx, relation, alias, name) != NULL &&
              sq_targets(cx, list, count, &columns, &column_count);
    const PgQuery__ResTarget *first = list[0]->res_target;
    if (ok && other_tables && first->val->node_case == NODE(COLUMN_REF) &&
        first->val->column_ref->n_fields == 1 &&
        first->val->column_ref->fields[0]->node_case == NODE(A_STAR))
        ok = sq_unsupported(
                 cx, first->location,
                 "RETURNING * with FROM or USING is not supported by the sqlite engine") != NULL;
    else if (!ok && other_tables && strcmp(sy_err_sqlstate(cx->err), "42P01") == 0)
        (void)sq_unsupported(
            cx, first->location,
            "RETURNING columns of other tables is not supported by the sqlite engine");
    for (uint32_t i = 0; ok && i < column_count; i++)
        ok = (columns[i].expr = sq_settle(cx, columns[i].expr)) != NULL;
    const char *targets = ok ? sq_target_text(cx, columns, column_count, false) : NULL;
    if (targets != NULL && sq_result_columns(cx, out, columns, column_count))
        text = sq_printf(cx, " RETURNING %s", targets);
    cx->level->clause = NULL;
    cx->level->items = items;
    return text;
}

/* ---- INSERT ---- */

struct insert {
    const PgQuery__InsertStmt *node;
    const struct sy_sqrelation *relation;
    uint16_t *columns; /* given ones */
    uint32_t column_count;
    uint16_t *defaults; /* ones that the statement does not give and that need a value */
    uint32_t default_count;
};

static bool insert_columns(struct sq_cx *cx, struct insert *in)
{
    const PgQuery__InsertStmt *node = in->node;
    uint32_t all = in->relation->column_count;
    in->columns = sq_alloc(cx, (all + node->n_cols) * sizeof(*in->columns));
    in->defaults = sq_alloc(cx, all * sizeof(*in->defaults));
    if (in->columns == NULL || in->defaults == NULL)
        return false;
    for (size_t i = 0; i < node->n_cols; i++) {
        const PgQuery__ResTarget *item = node->cols[i]->res_target;
        int index = sq_column_index(in->relation, item->name);
        if (item->n_indirection > 0)
            return sq_unsupported(cx, item->location,
                                  "assignment to a part of a column is not supported") != NULL;
        if (index < 0)
            return sq_error(cx, "42703", item->location,
                            "column \"%s\" of relation \"%s\" does not exist", item->name,
                            in->relation->name);
        for (uint32_t c = 0; c < in->column_count; c++)
            if (in->columns[c] == index)
                return sq_error(cx, "42701", item->location,
                                "column \"%s\" specified more than once", item->name);
        in->columns[in->column_count++] = (uint16_t)index;
    }
    for (uint32_t i = 0; node->n_cols == 0 && i < all; i++)
        in->columns[in->column_count++] = (uint16_t)i;
    return true;
}

/* The source has `width` values per row: fixes the given columns and finds those that need a
 * default. */
static bool insert_width(struct sq_cx *cx, struct insert *in, uint32_t width, int32_t location)
{
    if (width > in->column_count)
        return sq_error(cx, "42601", location, "INSERT has more expressions than target columns");
    if (width < in->column_count && in->node->n_cols > 0)
        return sq_error(cx, "42601", location, "INSERT has more target columns than expressions");
    in->column_count = width;
    for (uint32_t i = 0; i < in->relation->column_count; i++) {
        const struct sy_sqcolumn *column = &in->relation->columns[i];
        bool given = false;
        for (uint32_t c = 0; c < width && !given; c++)
            given = in->columns[c] == i;
        if (!given && column->generated == 0 && (column->default_sql != NULL || column->rowid))
            in->defaults[in->default_count++] = (uint16_t)i;
    }
    return true;
}

static bool check_given(struct sq_cx *cx, const struct insert *in, const struct sy_sqcolumn *column,
                        int32_t location)
{
    bool system = in->node->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE;
    if (column->generated == 0 && (column->identity != 'a' || system))
        return true;
    (void)sq_error(cx, "428C9", location, "cannot insert a non-DEFAULT value into column \"%s\"",
                   column->name);
    if (column->generated != 0) {
        sy_err_detail(cx->err, "Column \"%s\" is a generated column.", column->name);
        return false;
    }
    sy_err_detail(cx->err, "Column \"%s\" is an identity column defined as GENERATED ALWAYS.",
                  column->name);
    sy_err_hint(cx->err, "Use OVERRIDING SYSTEM VALUE to override.");
    return false;
}

static const char *insert_cell(struct sq_cx *cx, const struct insert *in, uint32_t index,
                               const sq_node *node)
{
    const struct sy_sqcolumn *column = &in->relation->columns[in->columns[index]];
    struct sq_expr *value = NULL;
    bool user = in->node->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE &&
                column->identity != 0;
    if (node->node_case == NODE(SET_TO_DEFAULT) || user) {
        value = sq_column_default(cx, in->relation, column);
    } else {
        struct sq_expr *given = sq_expr(cx, node);
        if (given == NULL || !check_given(cx, in, column, given->location))
            return NULL;
        value = sq_coerce_assign(cx, given, column);
    }
    return value == NULL ? NULL : sq_stored(cx, in->relation, column, value);
}

static bool append_defaults(struct sq_cx *cx, struct sy_buf *buf, const struct insert *in)
{
    for (uint32_t d = 0; d < in->default_count; d++) {
        const struct sy_sqcolumn *column = &in->relation->columns[in->defaults[d]];
        struct sq_expr *value = sq_column_default(cx, in->relation, column);
        const char *sql = value == NULL ? NULL : sq_stored(cx, in->relation, column, value);
        if (sql == NULL)
            return false;
        sy_buf_printf(buf, "%s%s", in->column_count + d == 0 ? "" : ", ", sql);
    }
    return true;
}

static bool is_skipped(const struct insert *in, uint32_t index)
{
    return in->relation->columns[in->columns[index]].generated != 0;
}

static const char *insert_values(struct sq_cx *cx, struct insert *in,
                                 const PgQuery__SelectStmt *select)
{
    struct sy_buf buf = {0};
    bool ok = insert_width(cx, in, (uint32_t)select->values_lists[0]->list->n_items, -1);
    cx->level->clause = "VALUES";
    for (size_t r = 0; r < select->n_values_lists && ok; r++) {
        const PgQuery__List *row = select->values_lists[r]->list;
        uint32_t used = 0;
        ok = row->n_items == in->column_count ||
             sq_error(cx, "42601", -1, "VALUES lists must all be the same length");
        sy_buf_append_str(&buf, r == 0 ? "VALUES (" : ", (");
        for (uint32_t c = 0; c < in->column_count && ok; c++) {
            const char *cell = insert_cell(cx, in, c, row->items[c]);
            ok = cell != NULL;
            if (ok && !is_skipped(in, c))
                sy_buf_printf(&buf, "%s%s", used++ == 0 ? "" : ", ", cell);
        }
        ok = ok && append_defaults(cx, &buf, in);
        sy_buf_append_str(&buf, ")");
    }
    cx->level->clause = NULL;
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

/* The query becomes a subquery, so that defaults are computed once per row that it yields. */
static const char *insert_query(struct sq_cx *cx, struct insert *in,
                                const PgQuery__SelectStmt *select)
{
    struct sq_query *query = sq_select(cx, select);
    if (query == NULL || !insert_width(cx, in, query->column_count, -1))
        return NULL;
    struct sy_buf buf = {0};
    bool ok = true;
    for (uint32_t c = 0; c < in->column_count && ok; c++) {
        const struct sy_sqcolumn *column = &in->relation->columns[in->columns[c]];
        struct sq_expr *inner = query->columns[c].expr;
        ok = check_given(cx, in, column, inner->location);
        if (ok && !query->is_setop && query->rows == NULL) {
            inner = sq_coerce_assign(cx, inner, column);
            ok = inner != NULL;
            query->columns[c].expr = inner;
        }
    }
    ok = ok && sq_unique_names(cx, query);
    for (uint32_t c = 0; c < in->column_count && ok; c++) {
        const struct sy_sqcolumn *column = &in->relation->columns[in->columns[c]];
        struct sq_expr *outer = sq_alloc(cx, sizeof(*outer));
        ok = outer != NULL;
        if (!ok)
            break;
        *outer = *query->columns[c].expr;
        outer->kind = SQ_PLAIN;
        outer->literal = NULL;
        outer->not_null = false;
        outer->sql = sq_ident(cx, query->columns[c].name);
        outer = sq_coerce_assign(cx, outer, column);
        const char *sql = outer == NULL ? NULL : sq_stored(cx, in->relation, column, outer);
        ok = sql != NULL;
        if (ok)
            sy_buf_printf(&buf, "%s%s", c == 0 ? "SELECT " : ", ", sql);
    }
    ok = ok && append_defaults(cx, &buf, in);
    const char *inner = ok ? sq_query_text(cx, query) : NULL;
    if (inner != NULL)
        sy_buf_printf(&buf, " FROM (%s) WHERE 1", inner);
    const char *text = sq_finish(cx, &buf);
    return inner == NULL ? NULL : text;
}

static const char *insert_source(struct sq_cx *cx, struct insert *in)
{
    const sq_node *source = in->node->select_stmt;
    if (source == NULL) {
        struct sy_buf buf = {0};
        if (!insert_width(cx, in, in->node->n_cols == 0 ? 0 : in->column_count, -1))
            return NULL;
        if (in->default_count == 0)
            return "DEFAULT VALUES";
        sy_buf_append_str(&buf, "VALUES (");
        bool ok = append_defaults(cx, &buf, in);
        sy_buf_append_str(&buf, ")");
        const char *text = sq_finish(cx, &buf);
        return ok ? text : NULL;
    }
    const PgQuery__SelectStmt *select = source->select_stmt;
    bool plain_values = select->n_values_lists > 0 && select->n_sort_clause == 0 &&
                        select->limit_count == NULL && select->limit_offset == NULL &&
                        select->with_clause == NULL;
    return plain_values ? insert_values(cx, in, select) : insert_query(cx, in, select);
}

static const char *column_list(struct sq_cx *cx, const struct insert *in)
{
    struct sy_buf buf = {0};
    uint32_t used = 0;
    for (uint32_t i = 0; i < in->column_count + in->default_count; i++) {
        uint16_t index = i < in->column_count ? in->columns[i] : in->defaults[i - in->column_count];
        if (in->relation->columns[index].generated != 0)
            continue;
        sy_buf_printf(&buf, "%s%s", used++ == 0 ? "(" : ", ",
                      sq_ident(cx, in->relation->columns[index].name));
    }
    if (used > 0)
        sy_buf_append_str(&buf, ")");
    return sq_finish(cx, &buf);
}

bool sq_insert(struct sq_cx *cx, const PgQuery__InsertStmt *node, struct sq_out *out)
{
    struct insert in = {.node = node};
    const char *with = node->with_clause == NULL ? "" : sq_with(cx, node->with_clause);
    in.relation = with == NULL ? NULL : target(cx, node->relation, "INSERT");
    if (in.relation == NULL || !insert_columns(cx, &in))
        return false;
    const char *source = insert_source(cx, &in);
    const char *columns = source == NULL ? NULL : column_list(cx, &in);
    if (columns == NULL)
        return false;
    const char *alias =
        node->relation->alias != NULL ? node->relation->alias->aliasname : in.relation->name;
    const char *table = sq_ident(cx, sq_relation_sql(in.relation));
    const char *quoted = node->relation->alias != NULL ? sq_ident(cx, alias) : table;
    const char *conflict = "";
    if (node->on_conflict_clause != NULL)
        conflict = sq_on_conflict(cx, in.relation, alias, quoted, node->on_conflict_clause);
    const char *back = conflict == NULL ? NULL
                                        : returning(cx, in.relation, alias, node->returning_list,
                                                    node->n_returning_list, false, out);
    if (back == NULL)
        return false;
    out->t->kind = SY_STMT_INSERT;
    out->t->tag = "INSERT 0";
    out->t->tag_count = true;
    return sq_step(cx, out,
                   sq_printf(cx, "%sINSERT INTO %s%s%s %s %s%s%s", with, table,
                             quoted == table ? "" : " AS ", quoted == table ? "" : quoted, columns,
                             source, conflict, back),
                   true);
}

/* ---- UPDATE, DELETE ---- */

/* (a, b) = (x, y) or (SELECT x, y): the part for column `colno`. */
static struct sq_expr *multi_assign(struct sq_cx *cx, const PgQuery__MultiAssignRef *ref,
                                    int32_t location)
{
    if (ref->source->node_case == NODE(ROW_EXPR)) {
        const PgQuery__RowExpr *row = ref->source->row_expr;
        if ((size_t)ref->ncolumns != row->n_args)
            return sq_error_null(cx, "42601", location,
                                 "number of columns does not match number of values");
        return sq_expr(cx, row->args[ref->colno - 1]);
    }
    if (ref->source->node_case != NODE(SUB_LINK) ||
        ref->source->sub_link->subselect->node_case != NODE(SELECT_STMT))
        return sq_unsupported(cx, location,
                              "this assignment is not supported by the sqlite engine");
    struct sq_query *query = sq_select(cx, ref->source->sub_link->subselect->select_stmt);
    if (query == NULL || !sq_query_settle(cx, query))
        return NULL;
    if (query->column_count != (uint32_t)ref->ncolumns)
        return sq_error_null(cx, "42601", location,
                             "number of columns does not match number of values");
    if (!sq_unique_names(cx, query))
        return NULL;
    const struct sq_field *field = &query->columns[ref->colno - 1];
    const char *text = sq_query_text(cx, query);
    return text == NULL ? NULL
                        : sq_new(cx, field->expr->type, location,
                                 sq_printf(cx, "(SELECT sy_single(%s) FROM (%s))",
                                           sq_ident(cx, field->name), text));
}

static struct sq_expr *assigned(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                const struct sy_sqcolumn *column, const PgQuery__ResTarget *item)
{
    if (item->val->node_case == NODE(SET_TO_DEFAULT))
        return sq_column_default(cx, relation, column);
    if (column->generated != 0 || column->identity == 'a')
        return sq_error_null(cx, "428C9", item->location,
                             "column \"%s\" can only be updated to DEFAULT", column->name);
    struct sq_expr *value = item->val->node_case == NODE(MULTI_ASSIGN_REF)
                                ? multi_assign(cx, item->val->multi_assign_ref, item->location)
                                : sq_expr(cx, item->val);
    return sq_coerce_assign(cx, value, column);
}

static const char *assignments(struct sq_cx *cx, const struct sy_sqrelation *relation,
                               sq_node *const *list, size_t count)
{
    struct sy_buf buf = {0};
    bool ok = true, *seen = sq_alloc(cx, relation->column_count * sizeof(bool));
    ok = seen != NULL;
    cx->level->clause = "UPDATE";
    for (size_t i = 0; i < count && ok; i++) {
        const PgQuery__ResTarget *item = list[i]->res_target;
        int index = sq_column_index(relation, item->name);
        if (index < 0)
            ok = sq_error(cx, "42703", item->location,
                          "column \"%s\" of relation \"%s\" does not exist", item->name,
                          relation->name);
        else if (item->n_indirection > 0)
            ok = sq_unsupported(cx, item->location,
                                "assignment to a part of a column is not supported") != NULL;
        else if (seen[index])
            ok = sq_error(cx, "42601", item->location, "multiple assignments to same column \"%s\"",
                          item->name);
        if (!ok)
            break;
        seen[index] = true;
        const struct sy_sqcolumn *column = &relation->columns[index];
        struct sq_expr *value = assigned(cx, relation, column, item);
        const char *sql = value == NULL ? NULL : sq_stored(cx, relation, column, value);
        ok = sql != NULL;
        if (ok && column->generated == 0)
            sy_buf_printf(&buf, "%s%s = %s", buf.bytes == 0 ? "" : ", ", sq_ident(cx, column->name),
                          sql);
    }
    cx->level->clause = NULL;
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

static const char *where(struct sq_cx *cx, const sq_node *node)
{
    if (node == NULL)
        return "";
    if (node->node_case == NODE(CURRENT_OF_EXPR))
        return sq_unsupported(cx, -1, "WHERE CURRENT OF is not supported by the sqlite engine");
    cx->level->clause = "WHERE";
    struct sq_expr *expr = sq_expr_bool(cx, node, "WHERE");
    cx->level->clause = NULL;
    return expr == NULL ? NULL : sq_printf(cx, " WHERE %s", expr->sql);
}

/* The table that is changed, among the names that expressions may use. */
static const struct sy_sqrelation *named_target(struct sq_cx *cx, const PgQuery__RangeVar *range,
                                                const char *verb, const char **ret_alias)
{
    const struct sy_sqrelation *relation = target(cx, range, verb);
    if (relation == NULL)
        return NULL;
    *ret_alias = range->alias != NULL ? range->alias->aliasname : relation->name;
    return sq_add_relation(cx, relation, *ret_alias, sq_ident(cx, *ret_alias)) == NULL ? NULL
                                                                                       : relation;
}

bool sq_update(struct sq_cx *cx, const PgQuery__UpdateStmt *node, struct sq_out *out)
{
    const char *with = node->with_clause == NULL ? "" : sq_with(cx, node->with_clause);
    const char *alias = NULL;
    const struct sy_sqrelation *relation =
        with == NULL ? NULL : named_target(cx, node->relation, "UPDATE", &alias);
    if (relation == NULL)
        return false;
    const char *quoted = sq_ident(cx, alias);
    const char *from = sq_from(cx, node->from_clause, node->n_from_clause);
    const char *set =
        from == NULL ? NULL : assignments(cx, relation, node->target_list, node->n_target_list);
    const char *condition = set == NULL ? NULL : where(cx, node->where_clause);
    const char *back = condition == NULL
                           ? NULL
                           : returning(cx, relation, alias, node->returning_list,
                                       node->n_returning_list, node->n_from_clause > 0, out);
    if (back == NULL)
        return false;
    out->t->kind = SY_STMT_UPDATE;
    out->t->tag = "UPDATE";
    out->t->tag_count = true;
    return sq_step(cx, out,
                   sq_printf(cx, "%sUPDATE %s AS %s SET %s%s%s%s%s", with,
                             sq_ident(cx, sq_relation_sql(relation)), quoted, set,
                             from[0] == '\0' ? "" : " FROM ", from, condition, back),
                   true);
}

static const char *rowid_name(const struct sy_sqrelation *relation)
{
    static const char *const names[] = {"_rowid_", "rowid", "oid"};
    for (size_t i = 0; i < 3; i++)
        if (sq_column_index(relation, names[i]) < 0)
            return names[i];
    return NULL;
}

bool sq_delete(struct sq_cx *cx, const PgQuery__DeleteStmt *node, struct sq_out *out)
{
    const char *with = node->with_clause == NULL ? "" : sq_with(cx, node->with_clause);
    const char *alias = NULL;
    const struct sy_sqrelation *relation =
        with == NULL ? NULL : named_target(cx, node->relation, "DELETE", &alias);
    if (relation == NULL)
        return false;
    const char *quoted = sq_ident(cx, alias);
    const char *using_text = sq_from(cx, node->using_clause, node->n_using_clause);
    const char *condition = using_text == NULL ? NULL : where(cx, node->where_clause);
    const char *back = condition == NULL
                           ? NULL
                           : returning(cx, relation, alias, node->returning_list,
                                       node->n_returning_list, node->n_using_clause > 0, out);
    const char *rowid = rowid_name(relation);
    if (back == NULL)
        return false;
    const char *table = sq_ident(cx, sq_relation_sql(relation));
    if (node->n_using_clause > 0 && rowid == NULL)
        return sq_unsupported(cx, -1,
                              "DELETE USING on this table is not supported by the sqlite engine") !=
               NULL;
    if (node->n_using_clause > 0)
        condition = sq_printf(cx, " WHERE %s IN (SELECT %s.%s FROM %s AS %s, %s%s)", rowid, quoted,
                              rowid, table, quoted, using_text, condition);
    out->t->kind = SY_STMT_DELETE;
    out->t->tag = "DELETE";
    out->t->tag_count = true;
    return sq_step(
        cx, out, sq_printf(cx, "%sDELETE FROM %s AS %s%s%s", with, table, quoted, condition, back),
        true);
}

/* ---- ON CONFLICT DO UPDATE uses the same assignments ---- */

const char *sq_assignments(struct sq_cx *cx, const struct sy_sqrelation *relation,
                           sq_node *const *list, size_t count)
{
    return assignments(cx, relation, list, count);
}
