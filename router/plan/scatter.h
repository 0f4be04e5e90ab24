/*
 * What each shard is sent by a write that is not sent as the client wrote it: values that one
 * server is asked for beforehand, because every shard must have the same, and the rows of an INSERT
 * that belong on the shard. Works on the text at hand, once per execution. Pure.
 *
 *     sy_scatter_ask() -> the answers of one server -> sy_scatter_text() for each shard
 */
#ifndef SY_ROUTER_PLAN_SCATTER_H
#define SY_ROUTER_PLAN_SCATTER_H

#include "router/plan/plan.h"

/* The write is not sent as it is written, whatever its values. */
bool sy_route_freezes(const struct sy_route *route);
/* Locks that a write to reference tables takes on every shard before it begins, so that their
 * copies see the same writes in the same order; empty: none. In the arena. */
struct sy_slice sy_route_lock_sql(const struct sy_route *route, struct sy_arena *arena);

/* A SELECT of one row: for each value its text and the name of its type. */
struct sy_scatter_ask {
    struct sy_slice sql; /* empty: nothing to ask */
    uint32_t count;
};

/* Errors: SY_E_UNSUPPORTED for what cannot be evaluated beforehand; SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status sy_scatter_ask(const struct sy_route *route, struct sy_slice text,
                                            struct sy_arena *arena, struct sy_scatter_ask *ret_ask,
                                            struct sy_err *err);

struct sy_scatter {
    struct sy_slice text;           /* one statement of the route's template */
    const struct sy_slice *answers; /* text and type, in turn; a text without data: NULL */
    uint32_t answer_count;          /* values */
    const uint32_t *rows;           /* of a plan ROWS; NULL: all rows */
    uint32_t row_count, shard;
};

struct sy_scattered {
    struct sy_slice sql; /* in the arena, terminated */
    /* ROWS: $i of `sql` is $parameters[i - 1] of the text. */
    uint16_t *parameters;
    uint32_t parameter_count;
};

/* Errors: as above. */
SY_MUST_CHECK enum sy_status
sy_scatter_text(const struct sy_route *route, const struct sy_scatter *scatter,
                struct sy_arena *arena, struct sy_scattered *ret_scattered, struct sy_err *err);

#endif
