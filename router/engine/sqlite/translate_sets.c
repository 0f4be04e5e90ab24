/* Expressions over sets: IN, ANY, ALL, subqueries, arrays and rows. */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* ---- rows and arrays ---- */

struct sq_expr *sq_expr_row(struct sq_cx *cx, const PgQuery__RowExpr *node)
{
    struct sq_expr *out = sq_new(cx, SY_T_RECORD, node->location, "NULL");
    struct sq_field *fields = sq_alloc(cx, node->n_args * sizeof(*fields));
    if (out == NULL || fields == NULL)
        return NULL;
    for (uint32_t i = 0; i < node->n_args; i++) {
        fields[i].name = sq_printf(cx, "f%u", i + 1);
        fields[i].expr = sq_settle(cx, sq_expr(cx, node->args[i]));
        if (fields[i].expr == NULL || fields[i].name == NULL)
            return NULL;
    }
    out->kind = SQ_RECORD;
    out->fields = fields;
    out->field_count = (uint32_t)node->n_args;
    return out;
}

/* A record as the value that a client sees: "(1,abc)". */
struct sq_expr *sq_record_settle(struct sq_cx *cx, struct sq_expr *expr)
{
    struct sy_buf buf = {0};
    sy_buf_append_str(&buf, "sy_row(");
    for (uint32_t i = 0; i < expr->field_count; i++) {
        struct sq_expr *field = sq_settle(cx, expr->fields[i].expr);
        sy_buf_printf(&buf, "%s%u, %s", i == 0 ? "" : ", ", field == NULL ? 0 : field->type,
                      field == NULL ? "NULL" : field->sql);
    }
    sy_buf_append_str(&buf, ")");
    return sq_new(cx, SY_T_RECORD, expr->location, sq_finish(cx, &buf));
}

struct sq_expr *sq_expr_array(struct sq_cx *cx, const PgQuery__AArrayExpr *node,
                              uint32_t element_type)
{
    uint32_t count = (uint32_t)node->n_elements;
    struct sq_expr **elements = sq_alloc(cx, count * sizeof(struct sq_expr *));
    if (elements == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (node->elements[i]->node_case == NODE(A_ARRAY_EXPR))
            return sq_unsupported(cx, node->location,
                                  "multidimensional arrays are not supported by the sqlite engine");
        if ((elements[i] = sq_expr(cx, node->elements[i])) == NULL)
            return NULL;
    }
    if (count == 0 && element_type == 0) {
        (void)sq_error(cx, "42P18", node->location, "cannot determine type of empty array");
        sy_err_hint(cx->err,
                    "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
        return NULL;
    }
    char context = element_type == 0 ? 'i' : 'e';
    uint32_t type = element_type != 0 ? element_type : sq_common_type(cx, elements, count, "ARRAY");
    const struct sy_type_info *info = type == 0 ? NULL : sy_type_find(type);
    if (type == 0)
        return NULL;
    if (info == NULL || info->array == 0)
        return sq_error_null(cx, "42704", node->location,
                             "could not find array type for data type %s",
                             sq_type_display(cx, type));
    struct sy_buf buf = {0};
    sy_buf_printf(&buf, "sy_array(%u", type);
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        struct sq_expr *element = sq_coerce(cx, elements[i], type, -1, context, node->location);
        ok = element != NULL;
        if (ok)
            sy_buf_printf(&buf, ", %s", element->sql);
    }
    sy_buf_append_str(&buf, ")");
    const char *sql = sq_finish(cx, &buf);
    return ok ? sq_new(cx, info->array, node->location, sql) : NULL;
}

/* ---- IN (list) ---- */

static struct sq_expr *in_rows(struct sq_cx *cx, const PgQuery__AExpr *node, bool negative)
{
    const PgQuery__List *list = node->rexpr->list;
    struct sy_buf buf = {0};
    bool ok = true;
    for (size_t i = 0; i < list->n_items && ok; i++) {
        PgQuery__AExpr one = PG_QUERY__A__EXPR__INIT;
        PgQuery__String op;
        pg_query__string__init(&op);
        PgQuery__Node name = PG_QUERY__NODE__INIT;
        PgQuery__Node *names[1] = {&name};
        char equals[] = "=";
        op.sval = equals;
        name.node_case = NODE(STRING);
        name.string = &op;
        one.kind = PG_QUERY__A__EXPR__KIND__AEXPR_OP;
        one.n_name = 1;
        one.name = names;
        one.lexpr = node->lexpr;
        one.rexpr = list->items[i];
        one.location = node->location;
        PgQuery__Node wrapper = PG_QUERY__NODE__INIT;
        wrapper.node_case = NODE(A_EXPR);
        wrapper.a_expr = &one;
        struct sq_expr *equal = sq_expr(cx, &wrapper);
        ok = equal != NULL;
        if (ok)
            sy_buf_printf(&buf, "%s%s", i == 0 ? "" : " OR ", equal->sql);
    }
    const char *any = sq_finish(cx, &buf);
    if (!ok || any == NULL)
        return NULL;
    return sq_new(cx, SY_T_BOOL, node->location,
                  sq_printf(cx, negative ? "(NOT (%s))" : "(%s)", any));
}

struct sq_expr *sq_expr_in(struct sq_cx *cx, const PgQuery__AExpr *node)
{
    const char *name = sq_str(node->name[0]);
    bool negative = name != NULL && strcmp(name, "<>") == 0;
    if (node->rexpr->node_case != NODE(LIST))
        return sq_unsupported(cx, node->location, "this IN is not supported");
    if (node->lexpr->node_case == NODE(ROW_EXPR))
        return in_rows(cx, node, negative);
    const PgQuery__List *list = node->rexpr->list;
    uint32_t count = (uint32_t)list->n_items + 1;
    struct sq_expr **values = sq_alloc(cx, count * sizeof(struct sq_expr *));
    if (values == NULL || (values[0] = sq_expr(cx, node->lexpr)) == NULL)
        return NULL;
    uint32_t type = values[0]->type;
    bool same = true;
    for (uint32_t i = 1; i < count; i++) {
        if ((values[i] = sq_expr(cx, list->items[i - 1])) == NULL)
            return NULL;
        const struct sy_type_info *a = sy_type_find(values[0]->type),
                                  *b = sy_type_find(values[i]->type);
        same = same && a != NULL && b != NULL &&
               (a->category == b->category || b->oid == SY_T_UNKNOWN || a->oid == SY_T_UNKNOWN);
        if (!same)
            return sq_operator_call(cx, negative ? "<>" : "=", values[0], values[i],
                                    node->location);
    }
    if (values[0]->type == SY_T_JSON)
        return sq_operator_call(cx, "=", values[0], values[1], node->location);
    type = sq_common_type(cx, values, count, "IN");
    if (type == 0)
        return NULL;
    struct sy_buf buf = {0};
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        values[i] = sq_coerce(cx, values[i], type, -1, 'i', node->location);
        ok = values[i] != NULL;
        if (ok && i == 0)
            sy_buf_printf(&buf, "(%s %sIN (", sq_collated(cx, values[0]), negative ? "NOT " : "");
        else if (ok)
            sy_buf_printf(&buf, "%s%s", i == 1 ? "" : ", ", values[i]->sql);
    }
    sy_buf_append_str(&buf, "))");
    const char *sql = sq_finish(cx, &buf);
    return ok ? sq_new(cx, SY_T_BOOL, node->location, sql) : NULL;
}

/* ---- subqueries ---- */

/* x op ANY/ALL (set): three-valued, as PostgreSQL. `set` yields column "sy_v". */
static struct sq_expr *quantified(struct sq_cx *cx, const char *test, const char *from, bool all,
                                  int32_t location)
{
    const char *sql =
        sq_printf(cx,
                  "(SELECT CASE WHEN %s(\"sy_c\") = %d THEN %d WHEN count(*) > count(\"sy_c\") "
                  "THEN NULL ELSE %d END FROM "
                  "(SELECT %s AS \"sy_c\" FROM %s))",
                  all ? "min" : "max", all ? 0 : 1, all ? 0 : 1, all ? 1 : 0, test, from);
    return sq_new(cx, SY_T_BOOL, location, sql);
}

struct sq_expr *sq_expr_any_array(struct sq_cx *cx, const PgQuery__AExpr *node, bool all)
{
    const char *name = sq_str(node->name[node->n_name - 1]);
    struct sq_expr *left = sq_expr(cx, node->lexpr);
    struct sq_expr *array = left == NULL ? NULL : sq_expr(cx, node->rexpr);
    if (array == NULL)
        return NULL;
    if (array->type == SY_T_UNKNOWN) {
        const struct sy_type_info *info =
            sy_type_find(left->type == SY_T_UNKNOWN ? SY_T_TEXT : left->type);
        uint32_t type = info == NULL || info->array == 0 ? SY_T_TEXT_ARRAY : info->array;
        if ((array = sq_coerce(cx, array, type, -1, 'i', node->location)) == NULL)
            return NULL;
    }
    const struct sy_type_info *info = sy_type_find(array->type);
    if (array->type == SY_T_ANYARRAY)
        info = sy_type_find(SY_T_TEXT_ARRAY);
    if (info == NULL || info->element == 0)
        return sq_error_null(cx, "42809", node->location,
                             "op ANY/ALL (array) requires array on right side");
    const char *alias = sq_printf(cx, "sy_u%u", cx->next_alias++);
    struct sq_expr *element = alias == NULL ? NULL
                                            : sq_new(cx, info->element, node->location,
                                                     sq_printf(cx, "\"%s\".value", alias));
    struct sq_expr *test =
        element == NULL ? NULL : sq_operator_call(cx, name, left, element, node->location);
    if (test == NULL)
        return NULL;
    const char *from =
        sq_printf(cx, "sy_unnest(%s, %u) AS \"%s\"", array->sql, info->element, alias);
    bool plain = sy_type_find(left->type) != NULL &&
                 sy_type_find(left->type)->storage == sy_type_find(info->element)->storage &&
                 sy_type_find(left->type)->collation == NULL &&
                 sy_type_find(info->element)->collation == NULL;
    const struct sy_type_info *li = sy_type_find(left->type);
    bool equal = plain && li->category == sy_type_find(info->element)->category &&
                 li->storage != SY_SQ_REAL && (li->category != 'D' || left->type == info->element);
    if (equal && strcmp(name, "=") == 0 && !all)
        return sq_new(cx, SY_T_BOOL, node->location,
                      sq_printf(cx,
                                "(CASE WHEN %s IS NOT NULL THEN %s IN (SELECT value FROM %s) END)",
                                array->sql, left->sql, from));
    struct sq_expr *out = quantified(cx, test->sql, from, all, node->location);
    if (out != NULL)
        out->sql = sq_printf(cx, "(CASE WHEN %s IS NOT NULL THEN %s END)", array->sql, out->sql);
    return out;
}

/* Coerces the targets of `query` to what the left side of IN needs; the left side's texts come
 * back. */
static const char *match_columns(struct sq_cx *cx, struct sq_expr **left, struct sq_query *query,
                                 uint32_t count, int32_t location)
{
    struct sy_buf buf = {0};
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        struct sq_expr *both[2] = {left[i], query->columns[i].expr};
        const struct sy_type_info *a = sy_type_find(both[0]->type),
                                  *b = sy_type_find(both[1]->type);
        bool comparable =
            a != NULL && b != NULL &&
            (a->category == b->category || a->oid == SY_T_UNKNOWN || b->oid == SY_T_UNKNOWN);
        if (!comparable) {
            ok = sq_operator_call(cx, "=", both[0], both[1], location) != NULL;
            if (ok)
                ok = sq_unsupported(cx, location,
                                    "this IN is not supported by the sqlite engine") != NULL;
            continue;
        }
        uint32_t type = sq_common_type(cx, both, 2, "IN");
        struct sq_expr *l = type == 0 ? NULL : sq_coerce(cx, both[0], type, -1, 'i', location);
        struct sq_expr *r = l == NULL ? NULL : sq_coerce(cx, both[1], type, -1, 'i', location);
        ok = r != NULL;
        /* A relabelling (regclass as oid) leaves the text as it is. */
        if (ok && r != query->columns[i].expr && query->is_setop &&
            strcmp(r->sql, query->columns[i].expr->sql) != 0)
            ok = sq_unsupported(cx, location,
                                "IN over a set operation of another type is not supported") != NULL;
        if (ok) {
            query->columns[i].expr = r;
            sy_buf_printf(&buf, "%s%s", i == 0 ? "" : ", ", sq_collated(cx, l));
        }
    }
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

static struct sq_expr *sublink_in(struct sq_cx *cx, const PgQuery__SubLink *node,
                                  struct sq_query *query)
{
    bool row = node->testexpr->node_case == NODE(ROW_EXPR);
    uint32_t count = row ? (uint32_t)node->testexpr->row_expr->n_args : 1;
    struct sq_expr **left = sq_alloc(cx, count * sizeof(struct sq_expr *));
    if (left == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        left[i] = sq_expr(cx, row ? node->testexpr->row_expr->args[i] : node->testexpr);
        if (left[i] == NULL)
            return NULL;
    }
    if (query->column_count != count)
        return sq_error_null(cx, "42601", node->location, "subquery has too %s columns",
                             query->column_count > count ? "many" : "few");
    const char *text = match_columns(cx, left, query, count, node->location);
    const char *inner = text == NULL ? NULL : sq_query_text(cx, query);
    if (inner == NULL)
        return NULL;
    return sq_new(cx, SY_T_BOOL, node->location,
                  sq_printf(cx, count == 1 ? "(%s IN (%s))" : "((%s) IN (%s))", text, inner));
}

static struct sq_expr *sublink_quantified(struct sq_cx *cx, const PgQuery__SubLink *node,
                                          struct sq_query *query)
{
    bool all = node->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
    const char *name =
        node->n_oper_name == 0 ? "=" : sq_str(node->oper_name[node->n_oper_name - 1]);
    if (!all && (node->n_oper_name == 0 || strcmp(name, "=") == 0))
        return sublink_in(cx, node, query);
    if (query->column_count != 1)
        return sq_error_null(cx, "42601", node->location, "subquery has too many columns");
    struct sq_expr *left = sq_expr(cx, node->testexpr);
    const char *alias = sq_printf(cx, "sy_u%u", cx->next_alias++);
    if (left == NULL || alias == NULL || !sq_query_settle(cx, query))
        return NULL;
    struct sq_expr *column =
        sq_new(cx, query->columns[0].expr->type, node->location,
               sq_printf(cx, "\"%s\".%s", alias, sq_ident(cx, query->columns[0].name)));
    struct sq_expr *test =
        column == NULL ? NULL : sq_operator_call(cx, name, left, column, node->location);
    const char *inner = test == NULL ? NULL : sq_query_text(cx, query);
    if (inner == NULL)
        return NULL;
    return quantified(cx, test->sql, sq_printf(cx, "(%s) AS \"%s\"", inner, alias), all,
                      node->location);
}

static struct sq_expr *sublink_scalar(struct sq_cx *cx, const PgQuery__SubLink *node,
                                      struct sq_query *query)
{
    if (query->column_count != 1)
        return sq_error_null(cx, "42601", node->location, "subquery must return only one column");
    if (!sq_query_settle(cx, query))
        return NULL;
    struct sq_expr *column = query->columns[0].expr;
    const char *inner = sq_query_text(cx, query);
    if (inner == NULL)
        return NULL;
    const char *sql = query->single_row ? sq_printf(cx, "(%s)", inner)
                                        : sq_printf(cx, "(SELECT sy_single(%s) FROM (%s))",
                                                    sq_ident(cx, query->columns[0].name), inner);
    struct sq_expr *out = sq_new(cx, column->type, node->location, sql);
    if (out != NULL)
        out->typmod = column->typmod;
    return out;
}

static struct sq_expr *sublink_array(struct sq_cx *cx, const PgQuery__SubLink *node,
                                     struct sq_query *query)
{
    if (query->column_count != 1)
        return sq_error_null(cx, "42601", node->location, "subquery must return only one column");
    if (!sq_query_settle(cx, query))
        return NULL;
    const struct sy_type_info *info = sy_type_find(query->columns[0].expr->type);
    const char *inner = sq_query_text(cx, query);
    if (inner == NULL)
        return NULL;
    if (info == NULL || info->array == 0)
        return sq_unsupported(cx, node->location,
                              "an array of this type is not supported by the sqlite engine");
    return sq_new(cx, info->array, node->location,
                  sq_printf(cx, "(SELECT coalesce(sy_array_agg('', %s, %u), '{}') FROM (%s))",
                            sq_ident(cx, query->columns[0].name), info->oid, inner));
}

struct sq_expr *sq_expr_sublink(struct sq_cx *cx, const PgQuery__SubLink *node)
{
    if (node->subselect == NULL || node->subselect->node_case != NODE(SELECT_STMT))
        return sq_unsupported(cx, node->location, "this subquery is not supported");
    struct sq_query *query = sq_select(cx, node->subselect->select_stmt);
    if (query == NULL)
        return NULL;
    switch ((int)node->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK: {
        const char *inner = sq_query_settle(cx, query) ? sq_query_text(cx, query) : NULL;
        struct sq_expr *out = inner == NULL ? NULL
                                            : sq_new(cx, SY_T_BOOL, node->location,
                                                     sq_printf(cx, "(EXISTS (%s))", inner));
        if (out != NULL)
            out->not_null = true;
        return out;
    }
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK:
        return sublink_quantified(cx, node, query);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
        return sublink_scalar(cx, node, query);
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK:
        return sublink_array(cx, node, query);
    default:
        return sq_unsupported(cx, node->location,
                              "this kind of subquery is not supported by the sqlite engine");
    }
}
