/* Expressions: constants, operators, boolean logic, CASE and friends. Calls are in
 * translate_func.c. */
#include <stdlib.h>

#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

static struct sq_expr *constant(struct sq_cx *cx, uint32_t type, int32_t location, const char *sql)
{
    struct sq_expr *expr = sq_new(cx, type, location, sql);
    if (expr != NULL) {
        expr->kind = SQ_CONSTANT;
        expr->not_null = true;
    }
    return expr;
}

static struct sq_expr *number(struct sq_cx *cx, const char *text, int32_t location)
{
    char *end = NULL;
    bool integer = strpbrk(text, ".eE") == NULL;
    long long value = integer ? strtoll(text, &end, 10) : 0;
    bool fits = integer && strlen(text) < 21 && value != INT64_MAX && value != INT64_MIN;
    if (integer && strcmp(text, "9223372036854775807") == 0)
        fits = true;
    if (fits && value >= INT32_MIN && value <= INT32_MAX)
        return constant(cx, SY_T_INT4, location,
                        sq_printf(cx, value < 0 ? "(%lld)" : "%lld", value));
    if (fits)
        return constant(cx, SY_T_INT8, location,
                        sq_printf(cx, value < 0 ? "(%lld)" : "%lld", value));
    if (strcmp(text, "-9223372036854775808") == 0)
        return constant(cx, SY_T_INT8, location, "(-9223372036854775807-1)");
    return sq_literal_typed(cx, text, SY_T_NUMERIC, -1, location, false);
}

static struct sq_expr *expr_const(struct sq_cx *cx, const PgQuery__AConst *node)
{
    if (node->isnull || node->val_case == PG_QUERY__A__CONST__VAL__NOT_SET) {
        struct sq_expr *expr = sq_new(cx, SY_T_UNKNOWN, node->location, "NULL");
        if (expr != NULL)
            expr->kind = SQ_LITERAL;
        return expr;
    }
    if (node->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        int32_t value = node->ival->ival;
        return constant(cx, SY_T_INT4, node->location,
                        sq_printf(cx, value < 0 ? "(%d)" : "%d", value));
    }
    if (node->val_case == PG_QUERY__A__CONST__VAL_FVAL)
        return number(cx, node->fval->fval, node->location);
    if (node->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL)
        return constant(cx, SY_T_BOOL, node->location, node->boolval->boolval ? "1" : "0");
    if (node->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
        const char *text = node->sval->sval;
        struct sq_expr *expr =
            sq_new(cx, SY_T_UNKNOWN, node->location, sq_string(cx, text, strlen(text)));
        if (expr != NULL) {
            expr->kind = SQ_LITERAL;
            expr->literal = sy_arena_strdup(cx->arena, text);
            expr->not_null = true;
        }
        return expr;
    }
    return sq_unsupported(cx, node->location, "bit strings are not supported by the sqlite engine");
}

static struct sq_expr *expr_param(struct sq_cx *cx, const PgQuery__ParamRef *node)
{
    if (node->number < 1 || node->number > 65535)
        return sq_error_null(cx, "42P02", node->location, "there is no parameter $%d",
                             node->number);
    uint32_t number = (uint32_t)node->number;
    if (number > cx->param_capacity) {
        uint32_t capacity = number + 16;
        uint32_t *types = sq_alloc(cx, capacity * sizeof(*types));
        if (types == NULL)
            return NULL;
        if (cx->param_count > 0)
            memcpy(types, cx->param_types, cx->param_count * sizeof(*types));
        cx->param_types = types;
        cx->param_capacity = capacity;
    }
    if (number > cx->param_count)
        cx->param_count = number;
    uint32_t type = cx->param_types[number - 1];
    struct sq_expr *expr =
        sq_new(cx, type == 0 ? SY_T_UNKNOWN : type, node->location, sq_printf(cx, "?%u", number));
    if (expr != NULL) {
        expr->kind = SQ_PARAM;
        expr->param = node->number;
    }
    return expr;
}

static struct sq_expr *expr_cast(struct sq_cx *cx, const PgQuery__TypeCast *node)
{
    uint32_t type = 0;
    int32_t typmod = -1;
    if (!sq_type_name(cx, node->type_name, &type, &typmod))
        return NULL;
    const struct sy_type_info *info = sy_type_find(type);
    struct sq_expr *arg = NULL;
    if (node->arg->node_case == NODE(A_ARRAY_EXPR) && info->category == 'A')
        arg = sq_expr_array(cx, node->arg->a_array_expr, info->element);
    else
        arg = sq_expr(cx, node->arg);
    int32_t location = node->location >= 0 ? node->location : node->type_name->location;
    struct sq_expr *out = sq_coerce(cx, arg, type, typmod, 'e', location);
    if (out == arg && out != NULL) {
        out = sq_alloc(cx, sizeof(*out));
        if (out == NULL)
            return NULL;
        *out = *arg;
        out->table_oid = 0;
        out->attnum = 0;
        if (typmod < 0)
            out->typmod = -1;
    }
    return out;
}

/* ---- operators ---- */

static struct sq_expr *compare(struct sq_cx *cx, const char *op, struct sq_expr *left,
                               struct sq_expr *right, int32_t location)
{
    if (left == NULL || right == NULL)
        return NULL;
    const struct sy_type_info *a = sy_type_find(left->type), *b = sy_type_find(right->type);
    bool comparable =
        a != NULL && b != NULL &&
        (a->category == b->category || a->oid == SY_T_UNKNOWN || b->oid == SY_T_UNKNOWN);
    if (!comparable || left->type == SY_T_JSON || right->type == SY_T_JSON)
        return sq_operator_call(cx, "=", left, right, location);
    struct sq_expr *both[2] = {left, right};
    uint32_t type = sq_common_type(cx, both, 2, "=");
    if (type == 0)
        return NULL;
    struct sq_expr *l = sq_coerce(cx, left, type, -1, 'i', location);
    struct sq_expr *r = sq_coerce(cx, right, type, -1, 'i', location);
    if (l == NULL || r == NULL)
        return NULL;
    return sq_new(cx, SY_T_BOOL, location,
                  sq_printf(cx, "(%s %s %s)", sq_collated(cx, l), op, r->sql));
}

static struct sq_expr *row_compare(struct sq_cx *cx, const char *name, const PgQuery__RowExpr *left,
                                   const PgQuery__RowExpr *right, int32_t location)
{
    if (left->n_args != right->n_args)
        return sq_error_null(cx, "42601", location, "unequal number of entries in row expressions");
    struct sy_buf l = {0}, r = {0};
    bool ok = true;
    for (size_t i = 0; i < left->n_args && ok; i++) {
        struct sq_expr *both[2] = {sq_expr(cx, left->args[i]), NULL};
        both[1] = both[0] == NULL ? NULL : sq_expr(cx, right->args[i]);
        uint32_t type = both[1] == NULL ? 0 : sq_common_type(cx, both, 2, "row comparison");
        struct sq_expr *a = type == 0 ? NULL : sq_coerce(cx, both[0], type, -1, 'i', location);
        struct sq_expr *b = a == NULL ? NULL : sq_coerce(cx, both[1], type, -1, 'i', location);
        ok = b != NULL;
        if (ok) {
            sy_buf_printf(&l, "%s%s", i == 0 ? "" : ", ", sq_collated(cx, a));
            sy_buf_printf(&r, "%s%s", i == 0 ? "" : ", ", b->sql);
        }
    }
    const char *lt = sq_finish(cx, &l), *rt = sq_finish(cx, &r);
    if (!ok || lt == NULL || rt == NULL)
        return NULL;
    return sq_new(cx, SY_T_BOOL, location, sq_printf(cx, "((%s) %s (%s))", lt, name, rt));
}

static bool is_comparison(const char *name)
{
    static const char *const names[] = {"=", "<>", "!=", "<", "<=", ">", ">="};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A pattern without wildcards at its start bounds an index: x >= 'abc' AND x < 'abd'. */
static struct sq_expr *like_with_bounds(struct sq_cx *cx, struct sq_expr *call,
                                        const struct sq_expr *left, const struct sq_expr *right)
{
    if (call == NULL || left->kind != SQ_COLUMN || right->literal == NULL ||
        left->type == SY_T_BPCHAR)
        return call;
    size_t bytes = strcspn(right->literal, "%_\\");
    if (bytes == 0 || (unsigned char)right->literal[bytes - 1] >= 0x7e)
        return call;
    char *upper = sy_arena_strndup(cx->arena, right->literal, bytes);
    if (upper == NULL)
        return call;
    const char *low = sq_string(cx, right->literal, bytes);
    upper[bytes - 1] = (char)(upper[bytes - 1] + 1);
    const char *high = sq_string(cx, upper, bytes);
    call->sql =
        sq_printf(cx, "(%s >= %s AND %s < %s AND %s)", left->sql, low, left->sql, high, call->sql);
    return call->sql == NULL ? NULL : call;
}

static struct sq_expr *expr_op(struct sq_cx *cx, const PgQuery__AExpr *node)
{
    const char *name = sq_str(node->name[node->n_name - 1]);
    if (name == NULL)
        return sq_unsupported(cx, node->location, "this operator is not supported");
    if (node->lexpr != NULL && node->lexpr->node_case == NODE(ROW_EXPR) && is_comparison(name) &&
        node->rexpr->node_case == NODE(ROW_EXPR))
        return row_compare(cx, name, node->lexpr->row_expr, node->rexpr->row_expr, node->location);
    struct sq_expr *left = NULL;
    if (node->lexpr != NULL) {
        left = sq_expr(cx, node->lexpr);
        if (left == NULL)
            return NULL;
    }
    struct sq_expr *right = sq_expr(cx, node->rexpr);
    struct sq_expr *out =
        right == NULL ? NULL : sq_operator_call(cx, name, left, right, node->location);
    if (left != NULL && right != NULL && strcmp(name, "~~") == 0)
        out = like_with_bounds(cx, out, left, right);
    return out;
}

static struct sq_expr *expr_nullif(struct sq_cx *cx, const PgQuery__AExpr *node)
{
    struct sq_expr *left = sq_expr(cx, node->lexpr);
    struct sq_expr *right = left == NULL ? NULL : sq_expr(cx, node->rexpr);
    struct sq_expr *test = compare(cx, "=", left, right, node->location);
    if (test == NULL)
        return NULL;
    struct sq_expr *both[2] = {left, right};
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): compare() gives nothing for nothing */
    const struct sy_type_info *a = sy_type_find(left->type), *b = sy_type_find(right->type);
    bool keeps = a != NULL && b != NULL && a->storage == b->storage &&
                 a->storage != SY_SQ_TEXT; /* an operator across types */
    uint32_t type = keeps ? left->type : sq_common_type(cx, both, 2, "NULLIF");
    left = type == 0 ? NULL : sq_coerce(cx, left, type, -1, 'i', node->location);
    if (left == NULL)
        return NULL;
    return sq_new(cx, left->type, node->location,
                  sq_printf(cx, "(CASE WHEN %s THEN NULL ELSE %s END)", test->sql, left->sql));
}

static struct sq_expr *expr_between(struct sq_cx *cx, const PgQuery__AExpr *node)
{
    bool negative = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
                    node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
    bool symmetric = node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
                     node->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
    if (node->rexpr->node_case != NODE(LIST) || node->rexpr->list->n_items != 2)
        return sq_unsupported(cx, node->location, "this BETWEEN is not supported");
    struct sq_expr *value = sq_expr(cx, node->lexpr);
    struct sq_expr *low = value == NULL ? NULL : sq_expr(cx, node->rexpr->list->items[0]);
    struct sq_expr *high = low == NULL ? NULL : sq_expr(cx, node->rexpr->list->items[1]);
    struct sq_expr *a =
        high == NULL ? NULL : sq_operator_call(cx, ">=", value, low, node->location);
    struct sq_expr *b = a == NULL ? NULL : sq_operator_call(cx, "<=", value, high, node->location);
    if (b == NULL)
        return NULL;
    const char *sql = sq_printf(cx, "%s AND %s", a->sql, b->sql);
    if (symmetric) {
        struct sq_expr *c = sq_operator_call(cx, ">=", value, high, node->location);
        struct sq_expr *d =
            c == NULL ? NULL : sq_operator_call(cx, "<=", value, low, node->location);
        if (d == NULL)
            return NULL;
        sql = sq_printf(cx, "(%s) OR (%s AND %s)", sql, c->sql, d->sql);
    }
    return sq_new(cx, SY_T_BOOL, node->location,
                  sq_printf(cx, negative ? "(NOT (%s))" : "(%s)", sql));
}

static struct sq_expr *expr_distinct(struct sq_cx *cx, const PgQuery__AExpr *node, bool negative)
{
    struct sq_expr *left = sq_expr(cx, node->lexpr);
    struct sq_expr *right = left == NULL ? NULL : sq_expr(cx, node->rexpr);
    struct sq_expr *out = compare(cx, negative ? "IS NOT DISTINCT FROM" : "IS DISTINCT FROM", left,
                                  right, node->location);
    return out;
}

static struct sq_expr *expr_a(struct sq_cx *cx, const PgQuery__AExpr *node)
{
    switch ((int)node->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR:
        return expr_op(cx, node);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
        return sq_expr_any_array(cx, node, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return sq_expr_any_array(cx, node, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
        return expr_distinct(cx, node, false);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return expr_distinct(cx, node, true);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return expr_nullif(cx, node);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        return sq_expr_in(cx, node);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return expr_between(cx, node);
    default:
        return sq_unsupported(cx, node->location, "this expression is not supported");
    }
}

/* ---- boolean logic ---- */

/* A balanced tree, so that long chains stay below SQLite's depth limit. */
static const char *join_balanced(struct sq_cx *cx, const char **parts, size_t count,
                                 const char *word)
{
    if (count == 1)
        return parts[0];
    if (count <= 32) {
        struct sy_buf buf = {0};
        for (size_t i = 0; i < count; i++)
            sy_buf_printf(&buf, "%s%s", i == 0 ? "(" : word, parts[i]);
        sy_buf_append_str(&buf, ")");
        return sq_finish(cx, &buf);
    }
    const char *left = join_balanced(cx, parts, count / 2, word);
    const char *right = join_balanced(cx, parts + count / 2, count - count / 2, word);
    return left == NULL || right == NULL ? NULL : sq_printf(cx, "(%s%s%s)", left, word, right);
}

static struct sq_expr *expr_bool(struct sq_cx *cx, const PgQuery__BoolExpr *node)
{
    bool is_not = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR;
    bool is_and = node->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    const char **parts = sq_alloc(cx, node->n_args * sizeof(*parts));
    if (parts == NULL)
        return NULL;
    bool not_null = true;
    for (size_t i = 0; i < node->n_args; i++) {
        struct sq_expr *arg = sq_expr_bool(cx, node->args[i],
                                           is_not   ? "NOT"
                                           : is_and ? "AND"
                                                    : "OR");
        if (arg == NULL)
            return NULL;
        parts[i] = arg->sql;
        not_null = not_null && arg->not_null;
    }
    const char *sql = is_not ? sq_printf(cx, "(NOT %s)", parts[0])
                             : join_balanced(cx, parts, node->n_args, is_and ? " AND " : " OR ");
    struct sq_expr *out = sq_new(cx, SY_T_BOOL, node->location, sql);
    if (out != NULL)
        out->not_null = not_null;
    return out;
}

struct sq_expr *sq_expr_bool(struct sq_cx *cx, const sq_node *node, const char *what)
{
    return sq_coerce_bool(cx, sq_expr(cx, node), what);
}

/* ---- CASE, COALESCE, GREATEST ---- */

static struct sq_expr *expr_case(struct sq_cx *cx, const PgQuery__CaseExpr *node)
{
    uint32_t count = (uint32_t)node->n_args + 1;
    struct sq_expr **results = sq_alloc(cx, count * sizeof(struct sq_expr *));
    const char **conditions = sq_alloc(cx, count * sizeof(char *));
    struct sq_expr *arg = NULL;
    if (results == NULL || conditions == NULL)
        return NULL;
    if (node->arg != NULL && (arg = sq_settle(cx, sq_expr(cx, node->arg))) == NULL)
        return NULL;
    for (uint32_t i = 1; i < count; i++) {
        if (node->args[i - 1]->node_case != NODE(CASE_WHEN))
            return sq_unsupported(cx, node->location, "this CASE is not supported");
        const PgQuery__CaseWhen *when = node->args[i - 1]->case_when;
        struct sq_expr *condition = sq_expr(cx, when->expr);
        if (condition != NULL && arg != NULL)
            condition = sq_operator_call(cx, "=", arg, condition, when->location);
        condition = sq_coerce_bool(cx, condition, "CASE/WHEN");
        results[i] = condition == NULL ? NULL : sq_expr(cx, when->result);
        if (results[i] == NULL)
            return NULL;
        conditions[i] = condition->sql;
    }
    if (node->defresult != NULL)
        results[0] = sq_expr(cx, node->defresult);
    else if ((results[0] = sq_new(cx, SY_T_UNKNOWN, node->location, "NULL")) != NULL)
        results[0]->kind = SQ_LITERAL;
    uint32_t type = results[0] == NULL ? 0 : sq_common_type(cx, results, count, "CASE");
    if (type == 0)
        return NULL;
    struct sy_buf buf = {0};
    sy_buf_append_str(&buf, "(CASE");
    bool ok = true;
    for (uint32_t i = 0; i < count && ok; i++) {
        results[i] = sq_coerce(cx, results[i], type, -1, 'i', node->location);
        ok = results[i] != NULL;
        if (ok && i > 0)
            sy_buf_printf(&buf, " WHEN %s THEN %s", conditions[i], results[i]->sql);
    }
    if (ok)
        sy_buf_printf(&buf, " ELSE %s END)", results[0]->sql);
    const char *sql = sq_finish(cx, &buf);
    return ok ? sq_new(cx, type, node->location, sql) : NULL;
}

static struct sq_expr *expr_variadic(struct sq_cx *cx, sq_node *const *args, size_t n_args,
                                     const char *what, const char *function, int32_t location)
{
    uint32_t count = (uint32_t)n_args;
    struct sq_expr **values = sq_alloc(cx, count * sizeof(struct sq_expr *));
    if (values == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++)
        if ((values[i] = sq_expr(cx, args[i])) == NULL)
            return NULL;
    uint32_t type = sq_common_type(cx, values, count, what);
    if (type == 0)
        return NULL;
    bool typed = function[0] == 's', not_null = false, ok = true;
    struct sy_buf buf = {0};
    sy_buf_printf(&buf, "%s(", function);
    if (typed)
        sy_buf_printf(&buf, "%u, ", type);
    for (uint32_t i = 0; i < count && ok; i++) {
        values[i] = sq_coerce(cx, values[i], type, -1, 'i', location);
        ok = values[i] != NULL;
        if (ok)
            sy_buf_printf(&buf, "%s%s", i == 0 ? "" : ", ", values[i]->sql);
        not_null = not_null || (ok && values[i]->not_null);
    }
    sy_buf_append_str(&buf, ")");
    const char *sql = sq_finish(cx, &buf);
    if (!ok)
        return NULL;
    if (count == 1)
        return values[0];
    struct sq_expr *out = sq_new(cx, type, location, sql);
    if (out != NULL)
        out->not_null = not_null;
    return out;
}

static struct sq_expr *expr_null_test(struct sq_cx *cx, const PgQuery__NullTest *node)
{
    bool is_null = node->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL;
    struct sq_expr *arg = sq_expr(cx, node->arg);
    if (arg == NULL)
        return NULL;
    if (arg->kind == SQ_RECORD) {
        struct sy_buf buf = {0};
        for (uint32_t i = 0; i < arg->field_count; i++)
            sy_buf_printf(&buf, "%s%s IS %sNULL", i == 0 ? "(" : " AND ", arg->fields[i].expr->sql,
                          is_null ? "" : "NOT ");
        sy_buf_append_str(&buf, arg->field_count == 0 ? "1" : ")");
        return sq_new(cx, SY_T_BOOL, node->location, sq_finish(cx, &buf));
    }
    if (arg->kind != SQ_PARAM) /* a parameter's type is not settled by this test */
        arg = sq_settle(cx, arg);
    if (arg == NULL)
        return NULL;
    struct sq_expr *out = sq_new(cx, SY_T_BOOL, node->location,
                                 sq_printf(cx, "(%s IS %sNULL)", arg->sql, is_null ? "" : "NOT "));
    if (out != NULL)
        out->not_null = true;
    return out;
}

static struct sq_expr *expr_boolean_test(struct sq_cx *cx, const PgQuery__BooleanTest *node)
{
    static const char *const tests[] = {NULL,           "IS TRUE", "IS NOT TRUE", "IS FALSE",
                                        "IS NOT FALSE", "IS NULL", "IS NOT NULL"};
    unsigned int which = (unsigned int)node->booltesttype;
    if (which == 0 || which >= sizeof(tests) / sizeof(tests[0]))
        return sq_unsupported(cx, node->location, "this test is not supported");
    struct sq_expr *arg = sq_expr_bool(cx, node->arg, which >= 5 ? "IS UNKNOWN" : tests[which]);
    struct sq_expr *out = arg == NULL ? NULL
                                      : sq_new(cx, SY_T_BOOL, node->location,
                                               sq_printf(cx, "(%s %s)", arg->sql, tests[which]));
    if (out != NULL)
        out->not_null = true;
    return out;
}

static struct sq_expr *expr_collate(struct sq_cx *cx, const PgQuery__CollateClause *node)
{
    static const char *const known[] = {"C", "POSIX", "default", "ucs_basic", "C.UTF-8", "C.utf8"};
    const char *name = node->n_collname == 0 ? NULL : sq_str(node->collname[node->n_collname - 1]);
    struct sq_expr *arg = sq_settle(cx, sq_expr(cx, node->arg));
    if (arg == NULL || name == NULL)
        return NULL;
    if (!sq_is_string(arg->type))
        return sq_error_null(cx, "42804", node->location, "collations are not supported by type %s",
                             sq_type_display(cx, arg->type));
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i], name) == 0)
            return arg;
    return sq_unsupported(cx, node->location,
                          "collation \"%s\" is not supported: the sqlite engine compares in C",
                          name);
}

static struct sq_expr *record_field(struct sq_cx *cx, struct sq_expr *record, const char *name,
                                    int32_t location)
{
    for (uint32_t i = 0; i < record->field_count; i++)
        if (strcmp(record->fields[i].name, name) == 0)
            return record->fields[i].expr;
    return sq_error_null(cx, "42703", location, "column \"%s\" not found in data type record",
                         name);
}

static struct sq_expr *expr_subscript(struct sq_cx *cx, struct sq_expr *base,
                                      const PgQuery__AIndices *indices)
{
    if (indices->is_slice || indices->uidx == NULL)
        return sq_unsupported(cx, base->location,
                              "array slices are not supported by the sqlite engine");
    struct sq_expr *index = sq_expr(cx, indices->uidx);
    if (index == NULL)
        return NULL;
    if (base->type == SY_T_JSONB) {
        if (index->type == SY_T_UNKNOWN)
            index = sq_settle(cx, index);
        return index == NULL ? NULL
                             : sq_new(cx, SY_T_JSONB, base->location,
                                      sq_printf(cx, "sy_jsonb_get(%s, %s)", base->sql, index->sql));
    }
    const struct sy_type_info *info = sy_type_find(base->type);
    if (base->type == SY_T_NAME) {
        index = sq_coerce(cx, index, SY_T_INT4, -1, 'a', base->location);
        return index == NULL ? NULL
                             : sq_new(cx, SY_T_CHAR, base->location,
                                      sq_printf(cx, "sy_name_get(%s, %s)", base->sql, index->sql));
    }
    if (info == NULL || info->element == 0)
        return sq_error_null(cx, "42804", base->location,
                             "cannot subscript type %s because it does not support subscripting",
                             sq_type_display(cx, base->type));
    index = sq_coerce(cx, index, SY_T_INT4, -1, 'a', base->location);
    bool zero_based = base->type == SY_T_INT2VECTOR || base->type == SY_T_OIDVECTOR;
    return index == NULL ? NULL
                         : sq_new(cx, info->element, base->location,
                                  sq_printf(cx, "sy_array_get(%s, %u, %s, %d)", base->sql,
                                            info->element, index->sql, zero_based ? 0 : 1));
}

static struct sq_expr *expr_indirection(struct sq_cx *cx, const PgQuery__AIndirection *node)
{
    struct sq_expr *base = sq_expr(cx, node->arg);
    for (size_t i = 0; i < node->n_indirection && base != NULL; i++) {
        const sq_node *step = node->indirection[i];
        if (step->node_case == NODE(A_INDICES))
            base = expr_subscript(cx, base, step->a_indices);
        else if (sq_str(step) != NULL && base->kind == SQ_RECORD)
            base = record_field(cx, base, sq_str(step), base->location);
        else
            return sq_unsupported(cx, base->location,
                                  "this field selection is not supported by the sqlite engine");
    }
    return base;
}

/* ---- dispatch ---- */

static struct sq_expr *dispatch_more(struct sq_cx *cx, const sq_node *node)
{
    switch ((int)node->node_case) {
    case NODE(COALESCE_EXPR):
        return expr_variadic(cx, node->coalesce_expr->args, node->coalesce_expr->n_args, "COALESCE",
                             "coalesce", node->coalesce_expr->location);
    case NODE(MIN_MAX_EXPR): {
        bool greatest = node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
        return expr_variadic(cx, node->min_max_expr->args, node->min_max_expr->n_args,
                             greatest ? "GREATEST" : "LEAST", greatest ? "sy_greatest" : "sy_least",
                             node->min_max_expr->location);
    }
    case NODE(NULL_TEST):
        return expr_null_test(cx, node->null_test);
    case NODE(BOOLEAN_TEST):
        return expr_boolean_test(cx, node->boolean_test);
    case NODE(SQLVALUE_FUNCTION):
        return sq_expr_sqlvalue(cx, node->sqlvalue_function);
    case NODE(A_ARRAY_EXPR):
        return sq_expr_array(cx, node->a_array_expr, 0);
    case NODE(ROW_EXPR):
        return sq_expr_row(cx, node->row_expr);
    case NODE(COLLATE_CLAUSE):
        return expr_collate(cx, node->collate_clause);
    case NODE(A_INDIRECTION):
        return expr_indirection(cx, node->a_indirection);
    case NODE(SET_TO_DEFAULT):
        return sq_error_null(cx, "42601", node->set_to_default->location,
                             "DEFAULT is not allowed in this context");
    case NODE(GROUPING_FUNC):
        return sq_unsupported(cx, node->grouping_func->location,
                              "GROUPING is not supported by the sqlite engine");
    default:
        return sq_unsupported(cx, -1,
                              "this kind of expression is not supported by the sqlite engine");
    }
}

static struct sq_expr *dispatch(struct sq_cx *cx, const sq_node *node)
{
    switch ((int)node->node_case) {
    case NODE(A_CONST):
        return expr_const(cx, node->a_const);
    case NODE(COLUMN_REF):
        return sq_expr_column(cx, node->column_ref);
    case NODE(PARAM_REF):
        return expr_param(cx, node->param_ref);
    case NODE(TYPE_CAST):
        return expr_cast(cx, node->type_cast);
    case NODE(A_EXPR):
        return expr_a(cx, node->a_expr);
    case NODE(BOOL_EXPR):
        return expr_bool(cx, node->bool_expr);
    case NODE(FUNC_CALL):
        return sq_expr_func(cx, node->func_call);
    case NODE(SUB_LINK):
        return sq_expr_sublink(cx, node->sub_link);
    case NODE(CASE_EXPR):
        return expr_case(cx, node->case_expr);
    default:
        return dispatch_more(cx, node);
    }
}

struct sq_expr *sq_expr(struct sq_cx *cx, const sq_node *node)
{
    if (node == NULL)
        return sq_unsupported(cx, -1, "this expression is not supported");
    if (!sq_enter(cx))
        return NULL;
    struct sq_level *level = cx->level;
    uint32_t loose = level == NULL ? 0 : level->loose.count;
    struct sq_expr *expr = dispatch(cx, node);
    sq_leave(cx);
    if (expr == NULL || level == NULL)
        return expr;
    for (uint32_t i = 0; i < level->group_sql.count; i++)
        if (strcmp(level->group_sql.items[i], expr->sql) == 0)
            level->loose.count = loose < level->loose.count ? loose : level->loose.count;
    return expr;
}
