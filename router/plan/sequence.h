/*
 * Sequences of a database of several shards: each shard draws from a class of its own. One that
 * would count by n counts by n times the modulus, and shard i begins i times n further on, so that
 * no two shards give the same value and nobody is asked (docs/adr/0007). What the client wrote is
 * wrapped in a DO block that runs it and then says so to each sequence that it made. Pure.
 */
#ifndef SY_ROUTER_PLAN_SEQUENCE_H
#define SY_ROUTER_PLAN_SEQUENCE_H

#include "router/plan/scatter.h"

/* A prime, so that nobody writes an INCREMENT that is a multiple of it: a sequence that counts so
 * is spread. At least `shard_count`. */
uint32_t sy_sequence_modulus(uint32_t shard_count);

/* DDL on several shards that is wrapped, with a text for each shard. */
bool sy_route_spreads_sequences(const struct sy_route *route);
/* The tag of the statement inside. Static text. */
const char *sy_route_spreads_tag(const struct sy_route *route);

/* sy_scatter_text() for such a route. Errors: SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status
sy_sequence_text(const struct sy_route *route, const struct sy_scatter *scatter,
                 struct sy_arena *arena, struct sy_scattered *ret_scattered, struct sy_err *err);

/* currval() or lastval() and no sharded table: only the session's own server can answer. */
bool sy_route_recalls(const struct sy_route *route);

/* setval(), which is sent to each shard with a text of its own, too. */
bool sy_route_sets_sequences(const struct sy_route *route);
/* sy_scatter_text() for such a route: on the first shard the sequence must be there. Errors:
 * SY_E_UNSUPPORTED in forms that are not understood, SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status sy_setval_text(const struct sy_route *route,
                                            const struct sy_scatter *scatter,
                                            struct sy_arena *arena,
                                            struct sy_scattered *ret_scattered, struct sy_err *err);

#endif
