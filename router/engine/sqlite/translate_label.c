/* The name of an output column without an alias (PostgreSQL's FigureColname). */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

static int figure(const sq_node *node, const char **name);

static int last_string(sq_node *const *list, size_t count, const char **name)
{
    for (size_t i = count; i > 0; i--)
        if (sq_str(list[i - 1]) != NULL) {
            *name = sq_str(list[i - 1]);
            return 2;
        }
    return 0;
}

static int figure_sublink(const PgQuery__SubLink *node, const char **name)
{
    if (node->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK) {
        *name = "exists";
        return 2;
    }
    if (node->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK) {
        *name = "array";
        return 2;
    }
    if (node->sub_link_type != PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK ||
        node->subselect->node_case != NODE(SELECT_STMT))
        return 0;
    if (node->subselect->select_stmt->n_values_lists > 0) {
        *name = "column1";
        return 2;
    }
    if (node->subselect->select_stmt->n_target_list == 0)
        return 0;
    const PgQuery__ResTarget *target = node->subselect->select_stmt->target_list[0]->res_target;
    if (target->name != NULL && target->name[0] != '\0') {
        *name = target->name;
        return 2;
    }
    return figure(target->val, name);
}

static int figure_value_function(const PgQuery__SQLValueFunction *node, const char **name)
{
    static const char *const names[] = {NULL,
                                        "current_date",
                                        "current_time",
                                        "current_time",
                                        "current_timestamp",
                                        "current_timestamp",
                                        "localtime",
                                        "localtime",
                                        "localtimestamp",
                                        "localtimestamp",
                                        "current_role",
                                        "current_user",
                                        "user",
                                        "session_user",
                                        "current_catalog",
                                        "current_schema"};
    unsigned int which = (unsigned int)node->op;
    if (which == 0 || which >= sizeof(names) / sizeof(names[0]))
        return 0;
    *name = names[which];
    return 2;
}

static int figure_cast(const PgQuery__TypeCast *node, const char **name)
{
    int strength = figure(node->arg, name);
    if (strength > 1)
        return strength;
    (void)last_string(node->type_name->names, node->type_name->n_names, name);
    return 1;
}

static int figure_case(const PgQuery__CaseExpr *node, const char **name)
{
    int strength = node->defresult == NULL ? 0 : figure(node->defresult, name);
    if (strength > 1)
        return strength;
    *name = "case";
    return 1;
}

static int named(const char *text, const char **name)
{
    *name = text;
    return 2;
}

static int figure(const sq_node *node, const char **name)
{
    switch ((int)node->node_case) {
    case NODE(COLUMN_REF):
        return last_string(node->column_ref->fields, node->column_ref->n_fields, name);
    case NODE(A_INDIRECTION): {
        int strength =
            last_string(node->a_indirection->indirection, node->a_indirection->n_indirection, name);
        return strength > 0 ? strength : figure(node->a_indirection->arg, name);
    }
    case NODE(FUNC_CALL):
        return last_string(node->func_call->funcname, node->func_call->n_funcname, name);
    case NODE(A_EXPR):
        return node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF ? named("nullif", name)
                                                                           : 0;
    case NODE(TYPE_CAST):
        return figure_cast(node->type_cast, name);
    case NODE(COLLATE_CLAUSE):
        return figure(node->collate_clause->arg, name);
    case NODE(SUB_LINK):
        return figure_sublink(node->sub_link, name);
    case NODE(CASE_EXPR):
        return figure_case(node->case_expr, name);
    case NODE(A_ARRAY_EXPR):
        return named("array", name);
    case NODE(ROW_EXPR):
        return named("row", name);
    case NODE(COALESCE_EXPR):
        return named("coalesce", name);
    case NODE(MIN_MAX_EXPR):
        return named(node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? "greatest"
                                                                                 : "least",
                     name);
    case NODE(SQLVALUE_FUNCTION):
        return figure_value_function(node->sqlvalue_function, name);
    default:
        return 0;
    }
}

const char *sq_default_name(const sq_node *node)
{
    const char *name = "?column?";
    const char *found = NULL;
    return figure(node, &found) > 0 && found != NULL ? found : name;
}
