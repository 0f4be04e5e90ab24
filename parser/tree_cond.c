/*
 * Conditions: what a WHERE or ON clause demands of single columns, as a tree of AND, OR and
 * comparisons with values, and which columns it makes equal. A condition is always implied by the
 * clause being true; what is not understood becomes OTHER, which demands nothing.
 */
#include "parser/tree_internal.h"

/* A condition that is TRUE whatever the row. */
enum { COND_TRUE = SY_NO_INDEX };

static int32_t new_cond(struct sy_facts_builder *b, enum sy_cond_kind kind, int32_t scope)
{
    int32_t index = b->conds.count;
    struct sy_cond *cond = sy_build_push(b, &b->conds);
    cond->kind = kind;
    cond->table = SY_NO_INDEX;
    cond->scope = scope;
    return index;
}

static enum sy_cond_kind kind_of(const struct sy_facts_builder *b, int32_t cond)
{
    if (cond < 0 || cond >= b->conds.count)
        return SY_COND_OTHER;
    return ((const struct sy_cond *)(const void *)b->conds.data)[cond].kind;
}

static void push_id(struct sy_facts_builder *b, int32_t cond)
{
    if (cond != COND_TRUE)
        *(int32_t *)sy_build_push(b, &b->stack) = cond;
}

static int32_t *ids(struct sy_facts_builder *b)
{
    return (int32_t *)(void *)b->stack.data;
}

/* Makes one condition of those on the stack above `mark`, which are at least two. */
static int32_t new_group(struct sy_facts_builder *b, enum sy_cond_kind kind, int32_t mark,
                         int32_t scope)
{
    int32_t index = new_cond(b, kind, scope);
    int32_t first = b->children.count;
    int32_t count = b->stack.count - mark;
    for (int32_t i = 0; i < count; i++)
        *(int32_t *)sy_build_push(b, &b->children) = ids(b)[mark + i];
    b->stack.count = mark;
    if (index < b->conds.count) {
        struct sy_cond *cond = (struct sy_cond *)(void *)b->conds.data + index;
        cond->first_child = first;
        cond->child_count = count;
    }
    return index;
}

/* AND of the stack above `mark`: FALSE swallows the rest, one OTHER stands for all of them. */
static int32_t join_and(struct sy_facts_builder *b, int32_t mark, int32_t scope)
{
    int32_t kept = mark, other = COND_TRUE;
    for (int32_t i = mark; i < b->stack.count; i++) {
        int32_t id = ids(b)[i];
        enum sy_cond_kind kind = kind_of(b, id);
        if (kind == SY_COND_FALSE) {
            b->stack.count = mark;
            return id;
        }
        if (kind == SY_COND_OTHER)
            other = id;
        else
            ids(b)[kept++] = id;
    }
    if (b->stack.count > mark)
        b->stack.count = kept;
    push_id(b, other);
    if (b->stack.count == mark)
        return COND_TRUE;
    if (b->stack.count == mark + 1) {
        b->stack.count = mark;
        return ids(b)[mark];
    }
    return new_group(b, SY_COND_AND, mark, scope);
}

/* OR of the stack above `mark`: OTHER swallows the rest, FALSE falls away. */
static int32_t join_or(struct sy_facts_builder *b, int32_t mark, int32_t scope)
{
    int32_t kept = mark, last_false = COND_TRUE;
    for (int32_t i = mark; i < b->stack.count; i++) {
        int32_t id = ids(b)[i];
        enum sy_cond_kind kind = kind_of(b, id);
        if (kind == SY_COND_OTHER) {
            b->stack.count = mark;
            return id;
        }
        if (kind == SY_COND_FALSE)
            last_false = id;
        else
            ids(b)[kept++] = id;
    }
    b->stack.count = kept;
    if (kept == mark)
        return last_false;
    if (kept == mark + 1) {
        b->stack.count = mark;
        return ids(b)[mark];
    }
    return new_group(b, SY_COND_OR, mark, scope);
}

int32_t sy_build_conjunction(struct sy_facts_builder *b, int32_t mark, int32_t scope)
{
    return join_and(b, mark, scope);
}

static int32_t other(struct sy_facts_builder *b, const Node *node, int32_t scope)
{
    sy_build_walk(b, node, scope);
    return new_cond(b, SY_COND_OTHER, scope);
}

/* FALSE, where the clause's falsehood means that the scope has no row. */
static int32_t never(struct sy_facts_builder *b, const struct sy_cond_place *place)
{
    return new_cond(b, place->only_ranges ? SY_COND_OTHER : SY_COND_FALSE, place->scope);
}

/* ---- columns ---- */

static const struct sy_range *range_at(const struct sy_facts_builder *b, int32_t range)
{
    return (const struct sy_range *)(const void *)b->ranges.data + range;
}

static bool names_range(const struct sy_range *range, const char *schema, const char *name)
{
    if (range->hidden || range->name.data == NULL || strcmp(range->name.data, name) != 0)
        return false;
    if (schema == NULL)
        return true;
    return !range->has_alias &&
           (range->schema.bytes == 0 || strcmp(range->schema.data, schema) == 0);
}

/* Ranges lie in the order of nesting: those of `scope` behind those of the scopes around it. */
static bool scope_renames(const struct sy_facts_builder *b, int32_t scope)
{
    for (int32_t i = b->ranges.count - 1; i >= 0 && range_at(b, i)->scope >= scope; i--)
        if (range_at(b, i)->scope == scope && range_at(b, i)->renamed)
            return true;
    return false;
}

static const char *field(const ColumnRef *ref, int32_t index)
{
    const Node *node = ref->fields->elements[index].ptr_value;
    return node != NULL && IsA(node, String) ? ((const String *)node)->sval : NULL;
}

static void find_qualified(struct sy_facts_builder *b, const char *schema, const char *name,
                           struct sy_column *column)
{
    for (int32_t i = b->ranges.count - 1; i >= 0; i--) {
        const struct sy_range *range = range_at(b, i);
        /* scopes inside have higher numbers than those around them */
        if (range->scope > column->scope || !names_range(range, schema, name))
            continue;
        column->found = range->table != SY_NO_INDEX;
        column->table = range->table;
        column->range = i;
        column->scope = range->scope;
        return;
    }
}

struct sy_column sy_build_column(struct sy_facts_builder *b, const Node *node, int32_t scope)
{
    struct sy_column column = {.scope = scope, .table = SY_NO_INDEX, .range = SY_NO_INDEX};
    if (node == NULL || !IsA(node, ColumnRef))
        return column;
    const ColumnRef *ref = (const ColumnRef *)node;
    int32_t count = ref->fields->length;
    if (count < 1 || count > 3)
        return column;
    column.name = field(ref, count - 1);
    if (column.name == NULL)
        return column;
    sy_build_estimates(b, node, scope);
    if (count == 1) {
        column.found = !scope_renames(b, scope);
        return column;
    }
    const char *schema = count == 3 ? field(ref, 0) : NULL;
    const char *table = field(ref, count - 2);
    if (table != NULL)
        find_qualified(b, schema, table, &column);
    return column;
}

/* Whether a comparison of the column may restrict rows at this place. */
static bool may_restrict(const struct sy_column *column, const struct sy_cond_place *place)
{
    if (!column->found || column->scope != place->scope)
        return false;
    if (column->table == SY_NO_INDEX && place->no_unqualified)
        return false;
    if (!place->only_ranges)
        return true;
    return column->table != SY_NO_INDEX && column->range >= place->first_range &&
           column->range < place->end_range;
}

void sy_build_equality(struct sy_facts_builder *b, const struct sy_column *from,
                       const struct sy_column *to)
{
    struct sy_equality equality = {
        .from_table = from->table,
        .to_table = to->table,
        .from_scope = from->scope,
        .to_scope = to->scope,
        .from_column = sy_build_name(b, from->name),
        .to_column = sy_build_name(b, to->name),
    };
    *(struct sy_equality *)sy_build_push(b, &b->equalities) = equality;
}

/* The same in an ON clause that does not see or may not restrict the whole scope, with an
 * unqualified column: both directions, whoever knows the columns will find the one that holds. */
static void nested_equality(struct sy_facts_builder *b, const struct sy_column *left,
                            const struct sy_column *right, const struct sy_cond_place *place)
{
    if (left->scope != place->scope || right->scope != place->scope ||
        place->to_first >= place->to_end)
        return;
    int32_t first = b->equalities.count;
    sy_build_equality(b, left, right);
    sy_build_equality(b, right, left);
    for (int32_t i = first; i < b->equalities.count; i++) {
        struct sy_equality *made = (struct sy_equality *)(void *)b->equalities.data + i;
        made->first_table = place->first_table;
        made->end_table = place->end_table;
        made->to_first = place->to_first;
        made->to_end = place->to_end;
    }
}

/* column = column in a conjunction: each side that this place may restrict follows the other. */
static void note_equality(struct sy_facts_builder *b, const struct sy_column *left,
                          const struct sy_column *right, const struct sy_cond_place *place)
{
    if (!place->conjunct || !left->found || !right->found)
        return;
    if (left->scope != place->scope && right->scope != place->scope)
        return;
    if ((place->no_unqualified || place->only_ranges) &&
        (left->table == SY_NO_INDEX || right->table == SY_NO_INDEX)) {
        nested_equality(b, left, right, place);
        return;
    }
    if (may_restrict(right, place))
        sy_build_equality(b, left, right);
    if (may_restrict(left, place))
        sy_build_equality(b, right, left);
}

/* ---- comparisons ---- */

static bool operator_of(const List *name, enum sy_cond_op *ret_op)
{
    static const struct {
        const char *name;
        enum sy_cond_op op;
    } table[] = {
        {"=", SY_OP_EQ}, {"<", SY_OP_LT}, {"<=", SY_OP_LE}, {">", SY_OP_GT}, {">=", SY_OP_GE},
    };
    const char *text = sy_list_catalog_name(name);
    for (size_t i = 0; text != NULL && i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(text, table[i].name) == 0) {
            *ret_op = table[i].op;
            return true;
        }
    return false;
}

static enum sy_cond_op flipped(enum sy_cond_op op)
{
    switch (op) {
    case SY_OP_LT:
        return SY_OP_GT;
    case SY_OP_LE:
        return SY_OP_GE;
    case SY_OP_GT:
        return SY_OP_LT;
    case SY_OP_GE:
        return SY_OP_LE;
    case SY_OP_EQ:
    case SY_OP_IN:
    case SY_OP_IS_NULL:
        break;
    }
    return op;
}

/* column op (values from `first_value` on). */
static int32_t new_compare(struct sy_facts_builder *b, const struct sy_column *column,
                           enum sy_cond_op op, int32_t first_value)
{
    int32_t index = new_cond(b, SY_COND_COMPARE, column->scope);
    struct sy_slice name = sy_build_name(b, column->name);
    if (index >= b->conds.count)
        return COND_TRUE;
    struct sy_cond *cond = (struct sy_cond *)(void *)b->conds.data + index;
    cond->op = op;
    cond->table = column->table;
    cond->column = name;
    cond->first_value = first_value;
    cond->value_count = b->values.count - first_value;
    return index;
}

/* column op value; *ret_cond is set when that is what the two nodes are. */
static bool compare(struct sy_facts_builder *b, const Node *left, enum sy_cond_op op,
                    const Node *right, const struct sy_cond_place *place, int32_t *ret_cond)
{
    struct sy_column column = sy_build_column(b, left, place->scope);
    if (!may_restrict(&column, place))
        return false;
    struct sy_value value = sy_build_value(b, right);
    if (value.kind == SY_VALUE_OPAQUE || value.kind == SY_VALUE_DEFAULT)
        return false;
    if (value.kind == SY_VALUE_NULL) {
        *ret_cond = never(b, place);
        return true;
    }
    int32_t first = b->values.count;
    *(struct sy_value *)sy_build_push(b, &b->values) = value;
    *ret_cond = new_compare(b, &column, op, first);
    return true;
}

static int32_t row_compare(struct sy_facts_builder *b, const List *left, enum sy_cond_op op,
                           const List *right, const struct sy_cond_place *place);

static int32_t binary(struct sy_facts_builder *b, const Node *left, enum sy_cond_op op,
                      const Node *right, const struct sy_cond_place *place)
{
    int32_t cond = COND_TRUE;
    if (left != NULL && right != NULL && IsA(left, RowExpr) && IsA(right, RowExpr)) {
        if (!sy_build_enter(b))
            return new_cond(b, SY_COND_OTHER, place->scope);
        cond = row_compare(b, ((const RowExpr *)left)->args, op, ((const RowExpr *)right)->args,
                           place);
        sy_build_leave(b);
        return cond;
    }
    if (compare(b, left, op, right, place, &cond) ||
        compare(b, right, flipped(op), left, place, &cond))
        return cond;
    if (op == SY_OP_EQ) {
        struct sy_column from = sy_build_column(b, left, place->scope);
        struct sy_column to = sy_build_column(b, right, place->scope);
        note_equality(b, &from, &to, place);
    }
    sy_build_walk(b, left, place->scope);
    return other(b, right, place->scope);
}

/* (a, b) = (1, 2) compares each pair; (a, b) < (1, 2) implies a <= 1 and says no more about single
 * columns. */
static int32_t row_compare(struct sy_facts_builder *b, const List *left, enum sy_cond_op op,
                           const List *right, const struct sy_cond_place *place)
{
    if (left == NULL || right == NULL || left->length != right->length) {
        sy_build_walk(b, (const Node *)left, place->scope);
        return other(b, (const Node *)right, place->scope);
    }
    struct sy_cond_place inner = *place;
    int32_t mark = b->stack.count;
    int32_t used = op == SY_OP_EQ ? left->length : 1;
    if (op != SY_OP_EQ && left->length > 1)
        op = op == SY_OP_LT || op == SY_OP_LE ? SY_OP_LE : SY_OP_GE;
    for (int32_t i = 0; i < left->length; i++) {
        const Node *a = left->elements[i].ptr_value, *c = right->elements[i].ptr_value;
        if (i < used) {
            push_id(b, binary(b, a, op, c, &inner));
            continue;
        }
        sy_build_walk(b, a, place->scope);
        push_id(b, other(b, c, place->scope));
    }
    return join_and(b, mark, place->scope);
}

static int32_t in_rows(struct sy_facts_builder *b, const RowExpr *left, const List *list,
                       const struct sy_cond_place *place)
{
    struct sy_cond_place inner = *place;
    inner.conjunct = false;
    int32_t mark = b->stack.count;
    for (int32_t i = 0; i < list->length; i++) {
        const Node *item = list->elements[i].ptr_value;
        push_id(b, IsA(item, RowExpr)
                       ? row_compare(b, left->args, SY_OP_EQ, ((const RowExpr *)item)->args, &inner)
                       : other(b, item, place->scope));
    }
    return join_or(b, mark, place->scope);
}

static int32_t in_list(struct sy_facts_builder *b, const A_Expr *expr,
                       const struct sy_cond_place *place)
{
    enum sy_cond_op op = SY_OP_LT;
    const List *list = (const List *)expr->rexpr;
    if (!operator_of(expr->name, &op) || op != SY_OP_EQ || list == NULL || !IsA(list, List))
        return other(b, (const Node *)expr, place->scope);
    if (expr->lexpr != NULL && IsA(expr->lexpr, RowExpr))
        return in_rows(b, (const RowExpr *)expr->lexpr, list, place);
    struct sy_column column = sy_build_column(b, expr->lexpr, place->scope);
    int32_t first = b->values.count;
    bool understood = may_restrict(&column, place);
    for (int32_t i = 0; understood && i < list->length; i++) {
        struct sy_value value = sy_build_value(b, list->elements[i].ptr_value);
        understood = value.kind != SY_VALUE_OPAQUE && value.kind != SY_VALUE_DEFAULT;
        if (understood && value.kind != SY_VALUE_NULL)
            *(struct sy_value *)sy_build_push(b, &b->values) = value;
    }
    if (!understood) {
        b->values.count = first;
        return other(b, (const Node *)expr, place->scope);
    }
    if (b->values.count == first)
        return never(b, place);
    return new_compare(b, &column, SY_OP_IN, first);
}

static int32_t any_array(struct sy_facts_builder *b, const A_Expr *expr,
                         const struct sy_cond_place *place)
{
    enum sy_cond_op op = SY_OP_LT;
    struct sy_column column = sy_build_column(b, expr->lexpr, place->scope);
    int32_t first = b->values.count;
    if (!operator_of(expr->name, &op) || op != SY_OP_EQ || !may_restrict(&column, place) ||
        !sy_build_array_values(b, expr->rexpr))
        return other(b, (const Node *)expr, place->scope);
    if (b->values.count == first)
        return never(b, place);
    return new_compare(b, &column, SY_OP_IN, first);
}

static int32_t between(struct sy_facts_builder *b, const A_Expr *expr,
                       const struct sy_cond_place *place)
{
    const List *bounds = (const List *)expr->rexpr;
    if (bounds == NULL || !IsA(bounds, List) || bounds->length != 2)
        return other(b, (const Node *)expr, place->scope);
    struct sy_cond_place inner = *place;
    inner.conjunct = false;
    int32_t mark = b->stack.count;
    push_id(b, binary(b, expr->lexpr, SY_OP_GE, bounds->elements[0].ptr_value, &inner));
    push_id(b, binary(b, expr->lexpr, SY_OP_LE, bounds->elements[1].ptr_value, &inner));
    return join_and(b, mark, place->scope);
}

/* The same as = for a value that is certainly not null. */
static int32_t not_distinct(struct sy_facts_builder *b, const A_Expr *expr,
                            const struct sy_cond_place *place)
{
    struct sy_value left = sy_build_value(b, expr->lexpr), right = sy_build_value(b, expr->rexpr);
    int32_t cond = COND_TRUE;
    if ((right.kind == SY_VALUE_LITERAL || right.kind == SY_VALUE_BOOL) &&
        compare(b, expr->lexpr, SY_OP_EQ, expr->rexpr, place, &cond))
        return cond;
    if ((left.kind == SY_VALUE_LITERAL || left.kind == SY_VALUE_BOOL) &&
        compare(b, expr->rexpr, SY_OP_EQ, expr->lexpr, place, &cond))
        return cond;
    return other(b, (const Node *)expr, place->scope);
}

static int32_t expression(struct sy_facts_builder *b, const A_Expr *expr,
                          const struct sy_cond_place *place)
{
    enum sy_cond_op op = SY_OP_EQ;
    switch ((int)expr->kind) {
    case AEXPR_OP:
        if (operator_of(expr->name, &op))
            return binary(b, expr->lexpr, op, expr->rexpr, place);
        break;
    case AEXPR_OP_ANY:
        return any_array(b, expr, place);
    case AEXPR_IN:
        return in_list(b, expr, place);
    case AEXPR_BETWEEN:
        return between(b, expr, place);
    case AEXPR_NOT_DISTINCT:
        return not_distinct(b, expr, place);
    default:
        break;
    }
    return other(b, (const Node *)expr, place->scope);
}

/* ---- other tests ---- */

/* IS NULL says nothing about a table whose rows may be replaced by nulls: there it asks for missing
 * rows. */
static bool may_be_extended(struct sy_facts_builder *b, const struct sy_column *column)
{
    if (column->table != SY_NO_INDEX)
        return sy_build_table(b, column->table)->nullable_side;
    for (int32_t i = 0; i < b->tables.count; i++)
        if (sy_build_table(b, i)->scope == column->scope && sy_build_table(b, i)->nullable_side)
            return true;
    return false;
}

static int32_t null_test(struct sy_facts_builder *b, const NullTest *test,
                         const struct sy_cond_place *place)
{
    struct sy_column column = sy_build_column(b, (const Node *)test->arg, place->scope);
    if (test->nulltesttype != IS_NULL || !may_restrict(&column, place) ||
        may_be_extended(b, &column))
        return other(b, (const Node *)test, place->scope);
    return new_compare(b, &column, SY_OP_IS_NULL, b->values.count);
}

/* Whether rows that the subquery's WHERE lets through reach its output one by one, unchanged. */
static bool passes_rows(const struct sy_scope *scope)
{
    return !scope->has_limit && !scope->has_offset && !scope->has_distinct_on &&
           !scope->has_group_by && !scope->has_having && !scope->has_aggregate &&
           !scope->has_window && !scope->has_set_operation;
}

/* column IN (SELECT column ...): the outer column equals some inner one, and only such inner rows
 * matter. */
static void in_subquery(struct sy_facts_builder *b, const SubLink *link, int32_t inner,
                        const struct sy_cond_place *place)
{
    const char *op = link->operName != NULL ? sy_list_catalog_name(link->operName) : "=";
    if (!place->conjunct || link->subLinkType != ANY_SUBLINK || op == NULL ||
        strcmp(op, "=") != 0 || !IsA(link->subselect, SelectStmt))
        return;
    const SelectStmt *select = (const SelectStmt *)link->subselect;
    if (select->op != SETOP_NONE || select->targetList == NULL || select->targetList->length != 1)
        return;
    const ResTarget *target = select->targetList->elements[0].ptr_value;
    struct sy_column outer = sy_build_column(b, link->testexpr, place->scope);
    struct sy_column column = sy_build_column(b, target->val, inner);
    if (!outer.found || !column.found || column.scope != inner)
        return;
    if (place->no_unqualified && outer.table == SY_NO_INDEX)
        return;
    if (may_restrict(&outer, place))
        sy_build_equality(b, &column, &outer);
    if (passes_rows(sy_build_scope(b, inner)))
        sy_build_equality(b, &outer, &column);
}

static int32_t sublink(struct sy_facts_builder *b, const SubLink *link,
                       const struct sy_cond_place *place)
{
    sy_build_walk(b, link->testexpr, place->scope);
    int32_t mark = b->ranges.count;
    int32_t inner = sy_build_query_open(b, link->subselect, place->scope);
    sy_build_scope(b, inner)->is_sublink = true;
    in_subquery(b, link, inner, place);
    b->ranges.count = mark;
    return new_cond(b, SY_COND_OTHER, place->scope);
}

static int32_t condition(struct sy_facts_builder *b, const Node *node,
                         const struct sy_cond_place *place);

static int32_t boolean(struct sy_facts_builder *b, const BoolExpr *expr,
                       const struct sy_cond_place *place)
{
    if (expr->boolop == NOT_EXPR)
        return other(b, (const Node *)expr->args, place->scope);
    struct sy_cond_place inner = *place;
    inner.conjunct = place->conjunct && expr->boolop == AND_EXPR;
    int32_t mark = b->stack.count;
    bool always = false;
    for (int32_t i = 0; i < expr->args->length; i++) {
        int32_t id = condition(b, expr->args->elements[i].ptr_value, &inner);
        always = always || id == COND_TRUE;
        push_id(b, id);
    }
    if (expr->boolop == AND_EXPR)
        return join_and(b, mark, place->scope);
    if (always) {
        b->stack.count = mark;
        return COND_TRUE;
    }
    return join_or(b, mark, place->scope);
}

static int32_t constant(struct sy_facts_builder *b, const Node *node,
                        const struct sy_cond_place *place)
{
    struct sy_value value = sy_build_value(b, node);
    if (value.kind == SY_VALUE_NULL || (value.kind == SY_VALUE_BOOL && value.index == 0))
        return never(b, place);
    if (value.kind == SY_VALUE_BOOL)
        return COND_TRUE;
    return other(b, node, place->scope);
}

static int32_t condition(struct sy_facts_builder *b, const Node *node,
                         const struct sy_cond_place *place)
{
    if (!sy_build_enter(b))
        return new_cond(b, SY_COND_OTHER, place->scope);
    int32_t id;
    switch ((int)nodeTag(node)) {
    case T_BoolExpr:
        id = boolean(b, (const BoolExpr *)node, place);
        break;
    case T_A_Expr:
        id = expression(b, (const A_Expr *)node, place);
        break;
    case T_NullTest:
        id = null_test(b, (const NullTest *)node, place);
        break;
    case T_SubLink:
        id = sublink(b, (const SubLink *)node, place);
        break;
    case T_A_Const:
    case T_TypeCast:
        id = constant(b, node, place);
        break;
    default:
        id = other(b, node, place->scope);
        break;
    }
    sy_build_leave(b);
    return id;
}

void sy_build_clause(struct sy_facts_builder *b, const Node *node,
                     const struct sy_cond_place *place)
{
    if (node != NULL)
        push_id(b, condition(b, node, place));
}
