/*
 * Expressions and query levels: the walk that visits everything, and SELECT.
 *
 * Every node of a statement is visited once here or in tree_cond.c; what is not visited leaves its
 * literals unseen, and a template with unseen literals is shared only by texts with the same ones.
 */
#include "parser/tree_internal.h"

/* FETCH FIRST ... WITH TIES: libpg_query numbers enum LimitOption otherwise than PostgreSQL's
 * header. */
enum { LIMIT_TIES = 2 };

static bool is_one_of(const char *name, const char *const *list)
{
    for (; name != NULL && *list != NULL; list++)
        if (strcmp(name, *list) == 0)
            return true;
    return false;
}

/* Built-in aggregates; a server tells about those of users (the functions are listed in the facts).
 */
static const char *const aggregates[] = {
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "bit_and",
    "bit_or",
    "bit_xor",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "xmlagg",
    "range_agg",
    "range_intersect_agg",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "mode",
    "percentile_cont",
    "percentile_disc",
    NULL,
};

static const char *const session_locks[] = {
    "pg_advisory_lock",       "pg_advisory_lock_shared",
    "pg_try_advisory_lock",   "pg_try_advisory_lock_shared",
    "pg_advisory_unlock",     "pg_advisory_unlock_shared",
    "pg_advisory_unlock_all", NULL,
};

static void note_set_config(struct sy_facts_builder *b, const FuncCall *call)
{
    struct sy_set_config use = {
        .name = sy_build_value(b, call->args->elements[0].ptr_value),
        .value = sy_build_value(b, call->args->elements[1].ptr_value),
        .is_local = sy_build_value(b, call->args->elements[2].ptr_value),
    };
    *(struct sy_set_config *)sy_build_push(b, &b->set_configs) = use;
}

static void note_function(struct sy_facts_builder *b, const FuncCall *call, int32_t scope)
{
    struct sy_function_use use = {.arg_count = call->args != NULL ? call->args->length : 0};
    const char *name = sy_list_last_name(call->funcname);
    use.name.name = sy_build_name(b, name);
    if (call->funcname->length > 1) {
        const Node *schema = call->funcname->elements[call->funcname->length - 2].ptr_value;
        if (IsA(schema, String))
            use.name.schema = sy_build_name(b, ((const String *)schema)->sval);
    }
    *(struct sy_function_use *)sy_build_push(b, &b->functions) = use;
    if (call->over != NULL)
        sy_build_scope(b, scope)->has_window = true;
    else if (call->agg_star || call->agg_distinct || call->agg_order != NULL ||
             call->agg_filter != NULL || call->agg_within_group ||
             is_one_of(sy_list_catalog_name(call->funcname), aggregates))
        sy_build_scope(b, scope)->has_aggregate = true;
    if (is_one_of(name, session_locks))
        b->stmt->uses_advisory_lock = true;
    if (name != NULL && strcmp(name, "set_config") == 0 && use.arg_count == 3)
        note_set_config(b, call);
}

/* CURRENT_TIMESTAMP and the like are keywords to the grammar, but functions to everybody else. */
static void note_keyword_function(struct sy_facts_builder *b, const SQLValueFunction *keyword)
{
    static const char *const names[] = {
        [SVFOP_CURRENT_DATE] = "current_date",
        [SVFOP_CURRENT_TIME] = "current_time",
        [SVFOP_CURRENT_TIME_N] = "current_time",
        [SVFOP_CURRENT_TIMESTAMP] = "current_timestamp",
        [SVFOP_CURRENT_TIMESTAMP_N] = "current_timestamp",
        [SVFOP_LOCALTIME] = "localtime",
        [SVFOP_LOCALTIME_N] = "localtime",
        [SVFOP_LOCALTIMESTAMP] = "localtimestamp",
        [SVFOP_LOCALTIMESTAMP_N] = "localtimestamp",
        [SVFOP_CURRENT_ROLE] = "current_role",
        [SVFOP_CURRENT_USER] = "current_user",
        [SVFOP_USER] = "user",
        [SVFOP_SESSION_USER] = "session_user",
        [SVFOP_CURRENT_CATALOG] = "current_catalog",
        [SVFOP_CURRENT_SCHEMA] = "current_schema",
    };
    if ((size_t)keyword->op >= sizeof(names) / sizeof(names[0]))
        return;
    struct sy_function_use use = {.name = {.name = sy_build_name(b, names[keyword->op])}};
    *(struct sy_function_use *)sy_build_push(b, &b->functions) = use;
}

static void walk_children(struct sy_facts_builder *b, const Node *node, int32_t scope)
{
    const Node *child = NULL;
    for (unsigned i = 0; sy_tree_child(node, i, &child); i++)
        sy_build_walk(b, child, scope);
}

void sy_build_walk(struct sy_facts_builder *b, const Node *node, int32_t scope)
{
    if (node == NULL || !sy_build_enter(b))
        return;
    switch ((int)nodeTag(node)) {
    case T_A_Const:
    case T_ParamRef:
        (void)sy_build_value(b, node);
        break;
    case T_FuncCall:
        note_function(b, (const FuncCall *)node, scope);
        walk_children(b, node, scope);
        break;
    case T_ColumnRef:
        sy_build_estimates(b, node, scope);
        walk_children(b, node, scope);
        break;
    case T_SQLValueFunction:
        note_keyword_function(b, (const SQLValueFunction *)node);
        break;
    case T_SubLink: {
        const SubLink *link = (const SubLink *)node;
        sy_build_walk(b, link->testexpr, scope);
        int32_t inner = sy_build_query(b, link->subselect, scope);
        sy_build_scope(b, inner)->is_sublink = true;
        sy_build_scope(b, inner)->is_array = link->subLinkType == ARRAY_SUBLINK;
        break;
    }
    case T_SelectStmt:
    case T_InsertStmt:
    case T_UpdateStmt:
    case T_DeleteStmt:
    case T_MergeStmt:
        sy_build_query(b, node, scope);
        break;
    case T_RangeVar:
        if (b->noted != node)
            sy_build_add_table(b, (const RangeVar *)node, scope, SY_TABLE_READ);
        break;
    default:
        walk_children(b, node, scope);
        break;
    }
    sy_build_leave(b);
}

/* ---- WITH ---- */

void sy_build_with(struct sy_facts_builder *b, const WithClause *with, int32_t scope,
                   struct sy_cte_frame *frame)
{
    *frame = (struct sy_cte_frame){.outer = b->ctes};
    if (with == NULL)
        return;
    frame->ctes = with->ctes;
    frame->visible = with->recursive ? with->ctes->length : 0;
    b->ctes = frame;
    for (int i = 0; i < with->ctes->length; i++) {
        const CommonTableExpr *cte = with->ctes->elements[i].ptr_value;
        int32_t inner = sy_build_query(b, cte->ctequery, scope);
        sy_build_scope(b, inner)->is_cte = true;
        sy_build_scope(b, inner)->is_recursive = with->recursive;
        sy_build_walk(b, (const Node *)cte->search_clause, scope);
        sy_build_walk(b, (const Node *)cte->cycle_clause, scope);
        if (!with->recursive)
            frame->visible = i + 1;
    }
}

void sy_build_where(struct sy_facts_builder *b, const Node *where, int32_t scope)
{
    struct sy_cond_place place = {.scope = scope, .conjunct = true};
    sy_build_clause(b, where, &place);
}

/* ---- SELECT ---- */

static struct sy_value limit_value(struct sy_facts_builder *b, const Node *node, bool exact)
{
    if (node == NULL)
        return (struct sy_value){.kind = SY_VALUE_NULL};
    struct sy_value value = sy_build_value(b, node);
    return exact ? value : (struct sy_value){.kind = SY_VALUE_OPAQUE};
}

static bool is_null_constant(const Node *node)
{
    return node != NULL && IsA(node, A_Const) && ((const A_Const *)node)->isnull;
}

static void ordering_and_limits(struct sy_facts_builder *b, const SelectStmt *select, int32_t scope)
{
    sy_build_walk(b, (const Node *)select->sortClause, scope);
    sy_build_walk(b, select->limitCount, scope);
    sy_build_walk(b, select->limitOffset, scope);
    struct sy_scope *s = sy_build_scope(b, scope);
    s->has_order_by = select->sortClause != NULL;
    s->has_limit = select->limitCount != NULL && !is_null_constant(select->limitCount);
    s->has_offset = select->limitOffset != NULL && !is_null_constant(select->limitOffset);
    s->has_locking = select->lockingClause != NULL;
    if (select->lockingClause != NULL)
        b->stmt->writes = true;
    if (scope == 0 && s->kind == SY_STMT_SELECT) {
        bool ties = (int)select->limitOption == LIMIT_TIES;
        b->stmt->limit = limit_value(b, select->limitCount, !ties);
        b->stmt->offset = limit_value(b, select->limitOffset, true);
    }
}

static void into(struct sy_facts_builder *b, const IntoClause *clause, int32_t scope)
{
    if (clause == NULL)
        return;
    b->stmt->writes = true;
    if (clause->rel->relpersistence == RELPERSISTENCE_TEMP)
        b->stmt->creates_temp = true;
    sy_build_add_table(b, clause->rel, scope, SY_TABLE_DEFINE);
}

static bool has_grouping_sets(const List *group)
{
    for (int i = 0; group != NULL && i < group->length; i++)
        if (IsA(group->elements[i].ptr_value, GroupingSet))
            return true;
    return false;
}

static void plain_select(struct sy_facts_builder *b, const SelectStmt *select, int32_t scope)
{
    int32_t mark = b->stack.count;
    const List *from = select->fromClause;
    const void *outer_from = b->whole_from;
    b->whole_from = from != NULL && from->length == 1 ? from->elements[0].ptr_value : NULL;
    sy_build_from_list(b, from, scope);
    b->whole_from = outer_from;
    sy_build_where(b, select->whereClause, scope);
    int32_t where = sy_build_conjunction(b, mark, scope);
    sy_build_walk(b, (const Node *)select->valuesLists, scope);
    sy_build_walk(b, (const Node *)select->targetList, scope);
    if (scope == 0)
        sy_build_sizes(b, select);
    sy_build_walk(b, (const Node *)select->distinctClause, scope);
    sy_build_walk(b, (const Node *)select->groupClause, scope);
    sy_build_walk(b, select->havingClause, scope);
    sy_build_walk(b, (const Node *)select->windowClause, scope);
    into(b, select->intoClause, scope);
    struct sy_scope *s = sy_build_scope(b, scope);
    s->where = where;
    s->has_distinct = select->distinctClause != NULL;
    s->has_distinct_on =
        select->distinctClause != NULL && select->distinctClause->elements[0].ptr_value != NULL;
    s->has_group_by = select->groupClause != NULL;
    s->has_grouping_sets = has_grouping_sets(select->groupClause);
    s->has_having = select->havingClause != NULL;
    if (select->windowClause != NULL)
        s->has_window = true;
}

static void select_scope(struct sy_facts_builder *b, const SelectStmt *select, int32_t scope)
{
    struct sy_cte_frame frame;
    sy_build_with(b, select->withClause, scope, &frame);
    if (select->op == SETOP_NONE) {
        plain_select(b, select, scope);
    } else {
        sy_build_scope(b, scope)->has_set_operation = true;
        if (sy_build_enter(b)) {
            sy_build_query(b, (const Node *)select->larg, scope);
            sy_build_query(b, (const Node *)select->rarg, scope);
            sy_build_leave(b);
        }
    }
    ordering_and_limits(b, select, scope);
    b->ctes = frame.outer;
}

static enum sy_stmt_kind query_kind(const Node *query)
{
    switch ((int)nodeTag(query)) {
    case T_SelectStmt:
        return SY_STMT_SELECT;
    case T_InsertStmt:
        return SY_STMT_INSERT;
    case T_UpdateStmt:
        return SY_STMT_UPDATE;
    case T_DeleteStmt:
        return SY_STMT_DELETE;
    case T_MergeStmt:
        return SY_STMT_MERGE;
    default:
        return SY_STMT_OTHER;
    }
}

int32_t sy_build_query(struct sy_facts_builder *b, const Node *query, int32_t parent)
{
    int32_t mark = b->ranges.count;
    int32_t scope = sy_build_query_open(b, query, parent);
    b->ranges.count = mark;
    return scope;
}

int32_t sy_build_query_open(struct sy_facts_builder *b, const Node *query, int32_t parent)
{
    int32_t scope = sy_build_new_scope(b, parent, query_kind(query));
    if (!sy_build_enter(b))
        return scope;
    if (!IsA(query, SelectStmt))
        b->stmt->writes = true;
    switch ((int)nodeTag(query)) {
    case T_SelectStmt:
        select_scope(b, (const SelectStmt *)query, scope);
        break;
    case T_InsertStmt:
        sy_build_insert(b, (const InsertStmt *)query, scope);
        break;
    case T_UpdateStmt:
        sy_build_update(b, (const UpdateStmt *)query, scope);
        break;
    case T_DeleteStmt:
        sy_build_delete(b, (const DeleteStmt *)query, scope);
        break;
    case T_MergeStmt:
        sy_build_merge(b, (const MergeStmt *)query, scope);
        break;
    default:
        sy_build_walk(b, query, scope);
        break;
    }
    sy_build_leave(b);
    return scope;
}
