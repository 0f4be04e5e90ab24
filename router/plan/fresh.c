/*
 * Puts values into the tree in place of switchyard.next_id(). Only where an expression is evaluated
 * exactly once: anywhere else one value would stand for those of several rows.
 */
#include "router/plan/fresh.h"

#include <stdlib.h>
#include <string.h>

#include "parser/rewrite.h"
#include "router/plan/route_internal.h"

struct fresh {
    const struct sy_fresh_source *source;
    struct sy_err *err;
};

bool sy_stmt_makes_ids(const struct sy_stmt *stmt)
{
    for (int32_t i = 0; i < stmt->function_count; i++) {
        const struct sy_function_use *use = &stmt->functions[i];
        if (use->arg_count == 0 && sy_slice_eq(use->name.schema, SY_SLICE("switchyard")) &&
            sy_slice_eq(use->name.name, SY_SLICE("next_id")))
            return true;
    }
    return stmt->inner != NULL && sy_stmt_makes_ids(stmt->inner);
}

bool sy_route_makes_ids(const struct sy_route *route)
{
    return route->makes_ids;
}

static enum sy_status refuse(struct sy_err *err)
{
    enum sy_status status =
        sy_err_set(err, SY_E_UNSUPPORTED, "switchyard.next_id() is not supported in this place");
    sy_err_hint(err, "It may stand in the rows of INSERT ... VALUES and in a SELECT that has no "
                     "FROM and calls nothing else. Elsewhere give a value that was asked for "
                     "before: SELECT switchyard.next_id().");
    return status;
}

void sy_route_refuse_ids(struct sy_route *route)
{
    route->makes_ids = route->is_fixed = route->hint_cannot_help = true;
    route->plan.kind = SY_PLAN_REFUSED;
    (void)refuse(&route->plan.refusal);
}

/* ---- the calls ---- */

static bool is_word(const PgQuery__Node *node, const char *word)
{
    return node->node_case == PG_QUERY__NODE__NODE_STRING && strcmp(node->string->sval, word) == 0;
}

static bool is_call(const PgQuery__Node *node)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return false;
    const PgQuery__FuncCall *call = node->func_call;
    return call->n_funcname == 2 && is_word(call->funcname[0], "switchyard") &&
           is_word(call->funcname[1], "next_id") && call->n_args == 0 && !call->agg_star &&
           call->n_agg_order == 0 && call->agg_filter == NULL && call->over == NULL;
}

static bool put_value(PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    struct fresh *fresh = opaque;
    if (node->node_case == PG_QUERY__NODE__NODE_SUB_LINK)
        *ret_skip = true; /* evaluated any number of times */
    if (!is_call(node))
        return true;
    PgQuery__Node *value = sy_node_integer(fresh->source->next(fresh->source->ctx));
    if (value == NULL) {
        (void)sy_err_set(fresh->err, SY_E_NO_MEMORY, "out of memory while rewriting");
        return false;
    }
    sy_node_swap(node, value);
    sy_node_free(value);
    *ret_skip = true;
    return true;
}

static bool put_values(struct fresh *fresh, PgQuery__Node **nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!sy_node_edit(nodes[i], put_value, fresh))
            return false;
    return true;
}

/* ---- where they may stand ---- */

/* A function that returns a set would repeat the value. */
static bool calls_nothing_else(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    (void)opaque;
    (void)ret_skip;
    return node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || is_call(node);
}

/* A column is called as the function is, through casts. */
static bool keep_name(struct fresh *fresh, PgQuery__ResTarget *target)
{
    const PgQuery__Node *value = target->val;
    while (value != NULL && value->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        value = value->type_cast->arg;
    if (!is_call(value) || (target->name != NULL && target->name[0] != '\0'))
        return true;
    char *name = strdup("next_id");
    if (name == NULL) {
        (void)sy_err_set(fresh->err, SY_E_NO_MEMORY, "out of memory while rewriting");
        return false;
    }
    if (target->name != NULL && target->name != protobuf_c_empty_string)
        free(target->name);
    target->name = name;
    return true;
}

static bool fill_select(struct fresh *fresh, PgQuery__SelectStmt *select)
{
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE || select->n_from_clause > 0)
        return true; /* what is left is refused */
    for (size_t i = 0; i < select->n_target_list; i++)
        if (!sy_node_visit(select->target_list[i], calls_nothing_else, NULL))
            return true;
    for (size_t i = 0; i < select->n_target_list; i++)
        if (select->target_list[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET &&
            !keep_name(fresh, select->target_list[i]->res_target))
            return false;
    return put_values(fresh, select->target_list, select->n_target_list) &&
           put_values(fresh, select->values_lists, select->n_values_lists);
}

static bool fill(struct fresh *fresh, PgQuery__Node *node)
{
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return node->explain_stmt->query == NULL || fill(fresh, node->explain_stmt->query);
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return fill_select(fresh, node->select_stmt);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return node->insert_stmt->select_stmt == NULL ||
               fill(fresh, node->insert_stmt->select_stmt);
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
        return put_values(fresh, node->execute_stmt->params, node->execute_stmt->n_params);
    default: /* NOLINT: no other statement has a place for them */
        return true;
    }
}

static bool is_no_call(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    (void)opaque;
    (void)ret_skip;
    return !is_call(node);
}

enum sy_status sy_fresh_text(struct sy_slice text, const struct sy_fresh_source *source,
                             struct sy_arena *arena, struct sy_slice *ret_text, struct sy_err *err)
{
    PgQuery__ParseResult *tree = NULL;
    struct fresh fresh = {.source = source, .err = err};
    enum sy_status status = sy_rewrite_open(text, &tree, err);
    if (status != SY_OK)
        return status;
    if (tree->n_stmts != 1)
        status = refuse(err);
    else if (!fill(&fresh, tree->stmts[0]->stmt))
        status = err->status;
    else if (!sy_node_visit(tree->stmts[0]->stmt, is_no_call, NULL))
        status = refuse(err);
    if (status == SY_OK)
        status = sy_rewrite_text(tree, arena, ret_text, err);
    sy_protobuf_free(&tree);
    return status;
}
