/*
 * switchyard.next_id(): the router's own function, which no server knows. Its value is put into the
 * text of each execution before that is routed, so it may be a sharding key. Pure: values come from
 * the caller.
 */
#ifndef SY_ROUTER_PLAN_FRESH_H
#define SY_ROUTER_PLAN_FRESH_H

#include "router/plan/plan.h"

/* It calls switchyard.next_id() somewhere; also in what it wraps (EXPLAIN, PREPARE). Its route is
 * REFUSED: what is routed is the text of sy_fresh_text(). */
bool sy_stmt_makes_ids(const struct sy_stmt *stmt);
/* That, known since the route was prepared. */
bool sy_route_makes_ids(const struct sy_route *route);

struct sy_fresh_source {
    int64_t (*next)(void *ctx);
    void *ctx;
};

/*
 * The text with a value of its own in place of each call: in the rows of INSERT ... VALUES, in a
 * SELECT without FROM (also of an INSERT), in VALUES, and in the arguments of EXECUTE. In the
 * arena, terminated. Errors: SY_E_UNSUPPORTED in any other place, SY_E_NO_MEMORY.
 */
SY_MUST_CHECK enum sy_status sy_fresh_text(struct sy_slice text,
                                           const struct sy_fresh_source *source,
                                           struct sy_arena *arena, struct sy_slice *ret_text,
                                           struct sy_err *err);

#endif
