/* Ids of switchyard.next_id(): one atomic word of time and counter. Any thread. */
#include "router/session/ids.h"

/* 2026-01-01 00:00:00 UTC. */
static const int64_t epoch_ms = 1767225600000;
/* The first second is left out: every id is larger than an int4, so that the constant which takes
 * the place of the call is an int8 for every server. */
static const int64_t earliest_ms = 1000;
static const uint64_t latest = ((uint64_t)1 << (63 - SY_ID_NODE_BITS)) - 1;

int64_t sy_id_next(struct sy_id_source *source, int64_t wall_us)
{
    int64_t ms = wall_us / 1000 - epoch_ms;
    uint64_t now = (uint64_t)(ms < earliest_ms ? earliest_ms : ms) << SY_ID_COUNTER_BITS;
    if (now > latest)
        now = latest; /* after 2095 */
    uint64_t last = atomic_load_explicit(&source->last, memory_order_relaxed), next;
    do
        next = now > last ? now : last + 1;
    while (!atomic_compare_exchange_weak_explicit(&source->last, &last, next, memory_order_relaxed,
                                                  memory_order_relaxed));
    uint64_t counter = next & ((1u << SY_ID_COUNTER_BITS) - 1);
    uint64_t time = next >> SY_ID_COUNTER_BITS;
    uint64_t id = (time << SY_ID_NODE_BITS | source->node) << SY_ID_COUNTER_BITS | counter;
    return (int64_t)(id & INT64_MAX);
}
