/*
 * Window functions over several shards: left to them where every window is partitioned by the
 * sharding key, since its rows then live on one shard.
 */
#include <string.h>

#include "router/plan/combine_internal.h"

/* The window of the WINDOW clause by that name; NULL: there is none. */
static const PgQuery__WindowDef *named(const struct combine *c, const char *name)
{
    for (size_t i = 0; i < c->select->n_window_clause; i++) {
        const PgQuery__WindowDef *window = c->select->window_clause[i]->window_def;
        if (window->name != NULL && strcmp(window->name, name) == 0)
            return window;
    }
    return NULL;
}

/* OVER name, OVER (name ...): the partition is that of the named window. */
static bool stays(const struct combine *c, const PgQuery__WindowDef *window)
{
    for (size_t depth = 0; window != NULL && depth <= c->select->n_window_clause; depth++) {
        if (window->n_partition_clause > 0)
            return combine_names_key(c, window->partition_clause, window->n_partition_clause,
                                     COMBINE_EXPRESSIONS);
        const char *name = depth == 0 && window->name != NULL && window->name[0] != 0
                               ? window->name
                               : window->refname;
        window = name == NULL || name[0] == 0 ? NULL : named(c, name);
    }
    return false;
}

static bool look(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    const struct combine *c = opaque;
    *ret_skip = node->node_case == PG_QUERY__NODE__NODE_SUB_LINK;
    return node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || node->func_call->over == NULL ||
           stays(c, node->func_call->over);
}

bool combine_windows_stay(const struct combine *c)
{
    union {
        const struct combine *from;
        void *opaque;
    } as = {.from = c};
    for (size_t i = 0; i < c->select->n_target_list; i++)
        if (!sy_node_visit(c->select->target_list[i], look, as.opaque))
            return false;
    for (size_t i = 0; i < c->select->n_sort_clause; i++)
        if (!sy_node_visit(c->select->sort_clause[i], look, as.opaque))
            return false;
    for (size_t i = 0; i < c->select->n_distinct_clause; i++) /* DISTINCT ON */
        if (c->select->distinct_clause[i]->node_case != PG_QUERY__NODE__NODE__NOT_SET &&
            !sy_node_visit(c->select->distinct_clause[i], look, as.opaque))
            return false;
    return true;
}
