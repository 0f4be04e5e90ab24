/*
 * FROM: tables, joins and the names that they give to columns.
 *
 * An ON clause restricts what it can without changing the result: an inner join's restricts both
 * sides, a left join's only the right side, a full join's neither. Below the nullable side of an
 * outer join an inner ON clause restricts only the tables of its own join.
 */
#include "parser/tree_internal.h"

static struct sy_range *range_at(struct sy_facts_builder *b, int32_t index)
{
    return (struct sy_range *)(void *)b->ranges.data + index;
}

static void add_range(struct sy_facts_builder *b, int32_t scope, int32_t table, const char *name,
                      const Alias *alias, const void *node)
{
    if (b->ranges.count >= SY_RANGES_MAX) {
        b->stmt->too_deep = true;
        return;
    }
    struct sy_range range = {.scope = scope, .table = table, .node = node};
    range.has_alias = alias != NULL;
    range.name = sy_build_name(b, alias != NULL ? alias->aliasname : name);
    if (alias != NULL && alias->colnames != NULL) {
        range.renamed = true;
        sy_build_scope(b, scope)->has_renames = true;
        range.table = SY_NO_INDEX;
    }
    if (node != NULL)
        range.schema = sy_build_name(b, ((const RangeVar *)node)->schemaname);
    *(struct sy_range *)sy_build_push(b, &b->ranges) = range;
}

static bool is_cte(const struct sy_facts_builder *b, const RangeVar *var)
{
    if (var->schemaname != NULL)
        return false;
    for (const struct sy_cte_frame *frame = b->ctes; frame != NULL; frame = frame->outer)
        for (int i = 0; i < frame->visible; i++) {
            const CommonTableExpr *cte = frame->ctes->elements[i].ptr_value;
            if (strcmp(cte->ctename, var->relname) == 0)
                return true;
        }
    return false;
}

static void add_relation(struct sy_facts_builder *b, const RangeVar *var, int32_t scope,
                         bool nullable)
{
    int32_t table = SY_NO_INDEX;
    if (!is_cte(b, var)) {
        table = sy_build_add_table(b, var, scope, SY_TABLE_READ);
        sy_build_table(b, table)->nullable_side = nullable;
    }
    add_range(b, scope, table, var->relname, var->alias, var);
}

int32_t sy_build_target(struct sy_facts_builder *b, const RangeVar *var, int32_t scope,
                        bool nullable)
{
    int32_t table = sy_build_add_table(b, var, scope, SY_TABLE_TARGET);
    sy_build_table(b, table)->nullable_side = nullable;
    add_range(b, scope, table, var->relname, var->alias, var);
    return table;
}

/* A subquery that is not LATERAL does not see the FROM items beside it. */
static void hide_siblings(struct sy_facts_builder *b, int32_t scope, int32_t end, bool hidden)
{
    for (int32_t i = 0; i < end && i < b->ranges.count; i++)
        if (range_at(b, i)->scope == scope)
            range_at(b, i)->hidden = hidden;
}

static void subselect(struct sy_facts_builder *b, const RangeSubselect *sub, int32_t scope)
{
    int32_t end = b->ranges.count;
    if (!sub->lateral)
        hide_siblings(b, scope, end, true);
    int32_t inner = sy_build_query(b, sub->subquery, scope);
    sy_build_scope(b, inner)->is_from_subquery = true;
    if (!sub->lateral)
        hide_siblings(b, scope, end, false);
    add_range(b, scope, SY_NO_INDEX, NULL, sub->alias, NULL);
}

static void function(struct sy_facts_builder *b, const RangeFunction *fn, int32_t scope)
{
    sy_build_scope(b, scope)->has_srf = true;
    sy_build_walk(b, (const Node *)fn->functions, scope);
    const char *name = NULL;
    const List *first = fn->functions->elements[0].ptr_value;
    const Node *call = first->elements[0].ptr_value;
    if (call != NULL && IsA(call, FuncCall))
        name = sy_list_last_name(((const FuncCall *)call)->funcname);
    add_range(b, scope, SY_NO_INDEX, name, fn->alias, NULL);
}

/* ---- joins ---- */

/* The one table whose column a merged column of this FROM item is, SY_NO_INDEX when that is not
 * sure. */
static int32_t merged_table(struct sy_facts_builder *b, const Node *item, const char *column,
                            int32_t first, int32_t end)
{
    while (item != NULL && IsA(item, JoinExpr)) {
        const JoinExpr *join = (const JoinExpr *)item;
        bool merges = false;
        for (int i = 0; join->usingClause != NULL && i < join->usingClause->length; i++) {
            const String *name = join->usingClause->elements[i].ptr_value;
            merges = merges || strcmp(name->sval, column) == 0;
        }
        if (!merges || join->jointype == JOIN_FULL || join->alias != NULL)
            return SY_NO_INDEX;
        item = join->jointype == JOIN_RIGHT ? join->rarg : join->larg;
    }
    if (item != NULL && IsA(item, RangeTableSample))
        item = ((const RangeTableSample *)item)->relation;
    for (int32_t i = first; i < end; i++)
        if (range_at(b, i)->node == item && item != NULL)
            return range_at(b, i)->table;
    return SY_NO_INDEX;
}

static void using_clause(struct sy_facts_builder *b, const JoinExpr *join, int32_t scope,
                         int32_t first)
{
    int32_t end = b->ranges.count;
    for (int i = 0; join->usingClause != NULL && i < join->usingClause->length; i++) {
        const char *name = ((const String *)join->usingClause->elements[i].ptr_value)->sval;
        struct sy_column left = {.scope = scope, .name = name}, right = left;
        left.table = merged_table(b, join->larg, name, first, end);
        right.table = merged_table(b, join->rarg, name, first, end);
        if (left.table == SY_NO_INDEX || right.table == SY_NO_INDEX)
            continue;
        if (join->jointype == JOIN_INNER || join->jointype == JOIN_LEFT)
            sy_build_equality(b, &left, &right);
        if (join->jointype == JOIN_INNER || join->jointype == JOIN_RIGHT)
            sy_build_equality(b, &right, &left);
    }
}

static void join(struct sy_facts_builder *b, const JoinExpr *join, int32_t scope, bool nullable)
{
    bool extends_left = join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL;
    bool extends_right = join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL;
    struct sy_cond_place place = {.scope = scope, .conjunct = true};
    int32_t first = b->ranges.count;
    place.first_table = b->tables.count;
    sy_build_from_item(b, join->larg, scope, nullable || extends_left);
    int32_t middle = b->ranges.count, middle_table = b->tables.count;
    sy_build_from_item(b, join->rarg, scope, nullable || extends_right);
    int32_t end = b->ranges.count;
    place.no_unqualified = join != b->whole_from;
    place.end_table = b->tables.count;
    place.to_first = extends_right ? middle_table : place.first_table;
    place.to_end = extends_left ? middle_table : place.end_table;
    place.only_ranges = nullable || extends_left || extends_right;
    place.first_range = extends_right ? middle : first;
    place.end_range = extends_left ? middle : end;
    if (extends_left && extends_right)
        place.first_range = place.end_range = 0;
    sy_build_clause(b, join->quals, &place);
    using_clause(b, join, scope, first);
    if (join->alias != NULL)
        add_range(b, scope, SY_NO_INDEX, NULL, join->alias, NULL);
    if (join->join_using_alias != NULL)
        add_range(b, scope, SY_NO_INDEX, NULL, join->join_using_alias, NULL);
}

void sy_build_from_item(struct sy_facts_builder *b, const Node *item, int32_t scope, bool nullable)
{
    if (item == NULL || !sy_build_enter(b))
        return;
    switch ((int)nodeTag(item)) {
    case T_RangeVar:
        add_relation(b, (const RangeVar *)item, scope, nullable);
        break;
    case T_RangeSubselect:
        subselect(b, (const RangeSubselect *)item, scope);
        break;
    case T_RangeFunction:
        function(b, (const RangeFunction *)item, scope);
        break;
    case T_JoinExpr:
        join(b, (const JoinExpr *)item, scope, nullable);
        break;
    case T_RangeTableSample: {
        const RangeTableSample *sample = (const RangeTableSample *)item;
        sy_build_from_item(b, sample->relation, scope, nullable);
        sy_build_walk(b, (const Node *)sample->args, scope);
        sy_build_walk(b, sample->repeatable, scope);
        break;
    }
    case T_RangeTableFunc: {
        const RangeTableFunc *fn = (const RangeTableFunc *)item;
        sy_build_scope(b, scope)->has_srf = true;
        sy_build_walk(b, fn->docexpr, scope);
        sy_build_walk(b, fn->rowexpr, scope);
        sy_build_walk(b, (const Node *)fn->namespaces, scope);
        sy_build_walk(b, (const Node *)fn->columns, scope);
        add_range(b, scope, SY_NO_INDEX, "xmltable", fn->alias, NULL);
        break;
    }
    default:
        sy_build_walk(b, item, scope);
        break;
    }
    sy_build_leave(b);
}

void sy_build_from_list(struct sy_facts_builder *b, const List *from, int32_t scope)
{
    for (int i = 0; from != NULL && i < from->length; i++)
        sy_build_from_item(b, from->elements[i].ptr_value, scope, false);
}
