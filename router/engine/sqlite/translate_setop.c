/* UNION, INTERSECT, EXCEPT and VALUES; WITH; the rule of GROUP BY. */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* ---- types of set operations ---- */

/* Pushes a column's type down to every member. */
static bool coerce_column(struct sq_cx *cx, struct sq_query *query, uint32_t column, uint32_t type)
{
    struct sq_field *field = &query->columns[column];
    if (query->is_setop) {
        if (!coerce_column(cx, query->left, column, type) ||
            !coerce_column(cx, query->right, column, type))
            return false;
    } else if (query->rows != NULL) {
        for (uint32_t r = 0; r < query->row_count; r++) {
            struct sq_expr **cell = &query->rows[r * query->column_count + column];
            *cell = sq_coerce(cx, *cell, type, -1, 'i', (*cell)->location);
            if (*cell == NULL)
                return false;
        }
    } else {
        struct sq_expr *expr = sq_coerce(cx, field->expr, type, -1, 'i', field->expr->location);
        if (expr == NULL)
            return false;
        field->expr = expr;
        return true;
    }
    struct sq_expr *expr = sq_alloc(cx, sizeof(*expr));
    if (expr == NULL)
        return false;
    *expr = *field->expr;
    expr->type = type;
    field->expr = expr;
    return true;
}

static bool merge_columns(struct sq_cx *cx, struct sq_query *query, const char *what)
{
    query->column_count = query->left->column_count;
    query->columns = sq_alloc(cx, query->column_count * sizeof(*query->columns));
    if (query->columns == NULL)
        return false;
    for (uint32_t i = 0; i < query->column_count; i++) {
        struct sq_expr *both[2] = {query->left->columns[i].expr, query->right->columns[i].expr};
        uint32_t type = sq_common_type(cx, both, 2, what);
        if (type == 0)
            return false;
        int32_t typmod = both[0]->type == both[1]->type && both[0]->typmod == both[1]->typmod
                             ? both[0]->typmod
                             : -1;
        if (!coerce_column(cx, query->left, i, type) || !coerce_column(cx, query->right, i, type))
            return false;
        query->columns[i].name = query->left->columns[i].name;
        query->columns[i].expr = sq_new(cx, type, both[0]->location, sq_printf(cx, "%u", i + 1));
        if (query->columns[i].expr == NULL)
            return false;
        query->columns[i].expr->typmod = typmod;
    }
    return true;
}

static bool check_equality(struct sq_cx *cx, const struct sq_query *query)
{
    for (uint32_t i = 0; i < query->column_count; i++)
        if (query->columns[i].expr->type == SY_T_JSON)
            return sq_error(cx, "42883", -1,
                            "could not identify an equality operator for type json");
    return true;
}

/* ORDER BY of a set operation: output columns only. */
static const char *setop_order(struct sq_cx *cx, const PgQuery__SelectStmt *select,
                               const struct sq_query *query)
{
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        const sq_node *node = select->sort_clause[i]->sort_by->node;
        bool plain = node->node_case == NODE(A_CONST) ||
                     (node->node_case == NODE(COLUMN_REF) && node->column_ref->n_fields == 1);
        bool found = node->node_case == NODE(A_CONST);
        for (uint32_t c = 0; plain && !found && c < query->column_count; c++)
            found = strcmp(query->columns[c].name, sq_str(node->column_ref->fields[0])) == 0;
        if (plain && !found)
            return sq_error_null(cx, "42703", node->column_ref->location,
                                 "column \"%s\" does not exist",
                                 sq_str(node->column_ref->fields[0]));
        if (!plain) {
            (void)sq_error(cx, "0A000", select->sort_clause[i]->sort_by->location,
                           "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
            sy_err_detail(cx->err,
                          "Only result column names can be used, not expressions or functions.");
            sy_err_hint(cx->err, "Add the expression/function to every SELECT, or move the UNION "
                                 "into a FROM clause.");
            return NULL;
        }
    }
    return sq_order_by(cx, select->sort_clause, select->n_sort_clause, query->columns,
                       query->column_count, false);
}

struct sq_query *sq_setop(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    static const char *const words[] = {NULL, NULL, "UNION", "INTERSECT", "EXCEPT"};
    unsigned int which = (unsigned int)select->op;
    struct sq_query *query = sq_alloc(cx, sizeof(*query));
    if (query == NULL || which > 4)
        return NULL;
    query->is_setop = true;
    query->left = sq_select(cx, select->larg);
    query->right = query->left == NULL ? NULL : sq_select(cx, select->rarg);
    if (query->right == NULL)
        return NULL;
    if (query->left->column_count != query->right->column_count)
        return sq_error_null(cx, "42601", -1, "each %s query must have the same number of columns",
                             words[which]);
    if (!merge_columns(cx, query, words[which]))
        return NULL;
    query->all_rewritten = select->all && which != 2;
    if ((!select->all || query->all_rewritten) && !check_equality(cx, query))
        return NULL;
    query->op = select->all && which == 2 ? "UNION ALL" : words[which];
    const char *order = setop_order(cx, select, query);
    const char *limit = order == NULL ? NULL : sq_limit(cx, select);
    if (limit == NULL)
        return NULL;
    query->order = sq_printf(cx, "%s%s", order, limit);
    query->has_limit_or_order = query->order != NULL && query->order[0] != '\0';
    return query->order == NULL ? NULL : query;
}

/* ---- VALUES ---- */

struct sq_query *sq_values(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    struct sq_query *query = sq_alloc(cx, sizeof(*query));
    uint32_t rows = (uint32_t)select->n_values_lists,
             width = (uint32_t)select->values_lists[0]->list->n_items;
    if (query == NULL)
        return NULL;
    query->row_count = rows;
    query->column_count = width;
    query->rows = sq_alloc(cx, (size_t)rows * width * sizeof(struct sq_expr *));
    query->columns = sq_alloc(cx, width * sizeof(*query->columns));
    struct sq_expr **cells = sq_alloc(cx, rows * sizeof(struct sq_expr *));
    if (query->rows == NULL || query->columns == NULL || cells == NULL)
        return NULL;
    for (uint32_t r = 0; r < rows; r++) {
        const PgQuery__List *list = select->values_lists[r]->list;
        if (list->n_items != width)
            return sq_error_null(cx, "42601", -1, "VALUES lists must all be the same length");
        for (uint32_t c = 0; c < width; c++)
            if ((query->rows[r * width + c] = sq_expr(cx, list->items[c])) == NULL)
                return NULL;
    }
    for (uint32_t c = 0; c < width; c++) {
        for (uint32_t r = 0; r < rows; r++)
            cells[r] = query->rows[r * width + c];
        uint32_t type = sq_common_type(cx, cells, rows, "VALUES");
        query->columns[c].name = sq_printf(cx, "column%u", c + 1);
        query->columns[c].expr =
            type == 0 ? NULL : sq_new(cx, type, -1, sq_printf(cx, "%u", c + 1));
        if (query->columns[c].expr == NULL || !coerce_column(cx, query, c, type))
            return NULL;
    }
    const char *order =
        sq_order_by(cx, select->sort_clause, select->n_sort_clause, query->columns, width, false);
    const char *limit = order == NULL ? NULL : sq_limit(cx, select);
    if (limit == NULL)
        return NULL;
    query->order = sq_printf(cx, "%s%s", order, limit);
    query->has_limit_or_order = query->order != NULL && query->order[0] != '\0';
    query->single_row = rows == 1;
    return query->order == NULL ? NULL : query;
}

/* ---- WITH ---- */

static bool cte_columns(struct sq_cx *cx, struct sq_cte *cte, const PgQuery__CommonTableExpr *node,
                        struct sq_query *query)
{
    if (node->n_aliascolnames > query->column_count)
        return sq_error(cx, "42P10", node->location,
                        "WITH query \"%s\" has %u columns available but %zu columns specified",
                        node->ctename, query->column_count, node->n_aliascolnames);
    cte->column_count = query->column_count;
    cte->columns = sq_alloc(cx, query->column_count * sizeof(*cte->columns));
    if (cte->columns == NULL)
        return false;
    for (uint32_t i = 0; i < query->column_count; i++)
        cte->columns[i].name = i < node->n_aliascolnames
                                   ? sy_arena_strdup(cx->arena, sq_str(node->aliascolnames[i]))
                                   : query->columns[i].name;
    if (!sq_unique_names(cx, query))
        return false;
    for (uint32_t i = 0; i < query->column_count; i++) {
        const struct sq_expr *inner = query->columns[i].expr;
        uint32_t type = inner->type == SY_T_UNKNOWN ? SY_T_TEXT : inner->type;
        struct sq_expr *expr = sq_new(cx, type, -1, sq_ident(cx, query->columns[i].name));
        if (expr == NULL)
            return false;
        expr->typmod = inner->typmod;
        expr->table_oid = inner->table_oid;
        expr->attnum = inner->attnum;
        cte->columns[i].expr = expr;
    }
    return true;
}

static const char *cte_text(struct sq_cx *cx, const struct sq_cte *cte,
                            const PgQuery__CommonTableExpr *node, const char *body)
{
    struct sy_buf buf = {0};
    sy_buf_printf(&buf, "%s(", sq_ident(cx, cte->name));
    for (uint32_t i = 0; i < cte->column_count; i++)
        sy_buf_printf(&buf, "%s%s", i == 0 ? "" : ", ", cte->columns[i].expr->sql);
    sy_buf_printf(&buf, ") AS %s(%s)",
                  node->ctematerialized == PG_QUERY__CTEMATERIALIZE__CTEMaterializeAlways
                      ? "MATERIALIZED "
                  : node->ctematerialized == PG_QUERY__CTEMATERIALIZE__CTEMaterializeNever
                      ? "NOT MATERIALIZED "
                      : "",
                  body);
    return sq_finish(cx, &buf);
}

/* The recursive term sees the columns of the first one. */
static const char *recursive_cte(struct sq_cx *cx, struct sq_cte *cte,
                                 const PgQuery__CommonTableExpr *node,
                                 const PgQuery__SelectStmt *select)
{
    struct sq_query *first = sq_select(cx, select->larg);
    if (first == NULL || !sq_query_settle(cx, first) || !cte_columns(cx, cte, node, first) ||
        !sq_list_add(cx, &cx->level->ctes, cte))
        return NULL;
    struct sq_query *next = sq_select(cx, select->rarg);
    if (next == NULL)
        return NULL;
    if (next->column_count != first->column_count)
        return sq_error_null(cx, "42601", -1,
                             "each UNION query must have the same number of columns");
    for (uint32_t i = 0; i < first->column_count; i++) {
        struct sq_expr *both[2] = {first->columns[i].expr, next->columns[i].expr};
        uint32_t type = sq_common_type(cx, both, 2, "UNION");
        if (type == 0)
            return NULL;
        if (type != both[0]->type)
            return sq_error_null(cx, "42804", both[0]->location,
                                 "recursive query \"%s\" column %u has type %s in non-recursive "
                                 "term but type %s overall",
                                 cte->name, i + 1, sq_type_display(cx, both[0]->type),
                                 sq_type_display(cx, type));
        if (!coerce_column(cx, next, i, type))
            return NULL;
    }
    if (select->n_sort_clause > 0 || select->limit_count != NULL || select->limit_offset != NULL)
        return sq_unsupported(cx, node->location,
                              "ORDER BY or LIMIT in a recursive query is not supported");
    const char *a = sq_query_text(cx, first), *b = a == NULL ? NULL : sq_query_text(cx, next);
    if (b == NULL)
        return NULL;
    bool wrap_a = first->is_setop || first->has_limit_or_order || first->rows != NULL;
    return cte_text(cx, cte, node,
                    sq_printf(cx, "%s%s%s %s %s", wrap_a ? "SELECT * FROM (" : "", a,
                              wrap_a ? ")" : "", select->all ? "UNION ALL" : "UNION", b));
}

/* One that changes rows; plain: a SELECT stands before it. */
static const char *changing_cte(struct sq_cx *cx, const PgQuery__CommonTableExpr *node,
                                const PgQuery__WithClause *with, bool plain, const char *before)
{
    struct sq_cte *cte = sq_alloc(cx, sizeof(*cte));
    if (cte == NULL || (cte->name = sy_arena_strdup(cx->arena, node->ctename)) == NULL)
        return NULL;
    if (with != cx->outermost)
        return sq_error_null(cx, "0A000", node->location,
                             "WITH clause containing a data-modifying statement must be at the "
                             "top level");
    if (plain || with->recursive)
        return sq_unsupported(cx, node->location,
                              "a data-modifying statement in WITH behind a SELECT is not supported "
                              "by the sqlite engine");
    return sq_changing_cte(cx, node, cte, before);
}

static const char *one_cte(struct sq_cx *cx, const PgQuery__CommonTableExpr *node, bool recursive)
{
    if (node->search_clause != NULL || node->cycle_clause != NULL)
        return sq_unsupported(cx, node->location,
                              "SEARCH and CYCLE are not supported by the sqlite engine");
    const PgQuery__SelectStmt *select = node->ctequery->select_stmt;
    struct sq_cte *cte = sq_alloc(cx, sizeof(*cte));
    if (cte == NULL || (cte->name = sy_arena_strdup(cx->arena, node->ctename)) == NULL)
        return NULL;
    for (uint32_t i = 0; i < cx->level->ctes.count; i++)
        if (strcmp(((struct sq_cte *)cx->level->ctes.items[i])->name, cte->name) == 0)
            return sq_error_null(cx, "42712", node->location,
                                 "WITH query name \"%s\" specified more than once", cte->name);
    if (recursive && select->op == PG_QUERY__SET_OPERATION__SETOP_UNION &&
        select->with_clause == NULL)
        return recursive_cte(cx, cte, node, select);
    struct sq_query *query = sq_select(cx, select);
    if (query == NULL || !sq_query_settle(cx, query) || !cte_columns(cx, cte, node, query) ||
        !sq_list_add(cx, &cx->level->ctes, cte))
        return NULL;
    const char *body = sq_query_text(cx, query);
    return body == NULL ? NULL : cte_text(cx, cte, node, body);
}

const char *sq_with(struct sq_cx *cx, const PgQuery__WithClause *with)
{
    struct sy_buf buf = {0};
    bool ok = true, plain = false;
    for (size_t i = 0; i < with->n_ctes && ok; i++) {
        const PgQuery__CommonTableExpr *node = with->ctes[i]->common_table_expr;
        bool changes = node->ctequery->node_case != NODE(SELECT_STMT);
        const char *before = i == 0 ? "" : sq_printf(cx, "%.*s ", (int)buf.bytes, buf.data);
        const char *text = before == NULL ? NULL
                           : changes      ? changing_cte(cx, node, with, plain, before)
                                          : one_cte(cx, node, with->recursive);
        plain = plain || !changes;
        ok = text != NULL;
        if (ok)
            sy_buf_printf(&buf, "%s%s",
                          i > 0             ? ", "
                          : with->recursive ? "WITH RECURSIVE "
                                            : "WITH ",
                          text);
    }
    sy_buf_append_str(&buf, " ");
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

/* ---- GROUP BY ---- */

static bool text_in(const struct sq_list *list, const char *text)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0)
            return true;
    return false;
}

/* All columns of the relation's primary key are grouped: its other columns depend on them. */
static bool depends_on_key(struct sq_cx *cx, const struct sq_nsitem *item)
{
    const struct sy_sqrelation *relation = item->relation;
    for (uint32_t i = 0; relation != NULL && i < relation->constraint_count; i++) {
        const struct sy_sqconstraint *constraint = &relation->constraints[i];
        if (constraint->kind != 'p')
            continue;
        for (uint32_t c = 0; c < constraint->column_count; c++)
            if (!text_in(&cx->level->group_sql, item->columns[constraint->columns[c]].expr->sql))
                return false;
        return true;
    }
    return false;
}

/* The item whose column this text is: "alias"."column". */
static const struct sq_nsitem *owner_of(struct sq_cx *cx, const char *sql)
{
    for (uint32_t i = 0; i < cx->level->items.count; i++) {
        const struct sq_nsitem *item = cx->level->items.items[i];
        for (uint32_t c = 0; item->relation != NULL && c < item->column_count; c++)
            if (strcmp(item->columns[c].expr->sql, sql) == 0)
                return item;
    }
    return NULL;
}

static const char *without_quotes(struct sq_cx *cx, const char *sql)
{
    char *out = sy_arena_strdup(cx->arena, sql);
    size_t used = 0;
    for (size_t i = 0; out != NULL && sql[i] != '\0'; i++)
        if (sql[i] != '"')
            out[used++] = sql[i];
    if (out != NULL)
        out[used] = '\0';
    return out;
}

bool sq_group_check(struct sq_cx *cx)
{
    for (uint32_t i = 0; i < cx->level->loose.count; i++) {
        const struct sq_loose *loose = cx->level->loose.items[i];
        const struct sq_nsitem *owner = owner_of(cx, loose->sql);
        if (owner != NULL && depends_on_key(cx, owner))
            continue;
        const char *shown = loose->sql[0] == '"' ? without_quotes(cx, loose->sql) : loose->column;
        return sq_error(
            cx, "42803", loose->location,
            "column \"%s\" must appear in the GROUP BY clause or be used in an aggregate function",
            shown);
    }
    return true;
}
