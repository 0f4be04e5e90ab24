/*
 * What each shard is sent, and how the answers are put together, when a SELECT over several shards
 * needs ordering, grouping or a limit across them. Works on the text at hand, so that its literals
 * are its own: once per execution of a simple query, once per prepared statement. Pure.
 */
#ifndef SY_ROUTER_PLAN_COMBINE_H
#define SY_ROUTER_PLAN_COMBINE_H

#include "router/plan/merge_spec.h"
#include "router/plan/plan.h"

struct sy_combined {
    struct sy_slice sql; /* for the shards; in the arena, terminated */
    struct sy_merge_spec spec;
    bool uncertain; /* the columns' types may turn out not to be comparable by the router */
};

/*
 * For a route whose plan is SY_PLAN_MERGE; `text` is one statement of its template, with its own
 * literals. Results live in the arena. Errors: SY_E_UNSUPPORTED with a hint for what cannot be
 * combined; SY_E_NO_MEMORY.
 */
SY_MUST_CHECK enum sy_status sy_route_combine(const struct sy_route *route, struct sy_slice text,
                                              struct sy_arena *arena,
                                              struct sy_combined *ret_combined, struct sy_err *err);
/* Refuses for a merge that is not certain to serve, where another server may. */
enum sy_status sy_combined_give_up(struct sy_err *err);
/* The values of LIMIT and OFFSET. UINT64_MAX: no limit. Errors: 2201W, 2201X as PostgreSQL;
 * SY_E_UNSUPPORTED for parameters that cannot be read. */
SY_MUST_CHECK enum sy_status sy_combined_bounds(const struct sy_merge_spec *spec,
                                                const struct sy_plan_values *values,
                                                uint64_t *ret_limit, uint64_t *ret_offset,
                                                struct sy_err *err);
/* In words, a step a line, for EXPLAIN (ROUTE). */
void sy_combined_explain(const struct sy_combined *combined, struct sy_buf *out);
/* sy_route_explain(), and behind it what the shards are sent when the router combines their rows;
 * *plan becomes what is done when they cannot be. `text` is the statement's, `arena` for scratch.
 */
void sy_route_explain_text(const struct sy_route *route, struct sy_plan *plan, struct sy_slice text,
                           struct sy_arena *arena, struct sy_buf *out);

#endif
