/*
 * Ids of switchyard.next_id(): 63 bits, growing with time, unique among routers that have different
 * node numbers.
 *
 *     bit 62 .. 22   milliseconds since 2026-01-01 UTC (until 2095)
 *     bit 21 .. 12   the router's node_id
 *     bit 11 ..  0   counter within the millisecond
 *
 * One source for the whole process. Each id is larger than all before it, also when the clock goes
 * back or more than 4096 are wanted in a millisecond: then the next ones are borrowed from the
 * milliseconds to come. Nothing is stored: across a restart the clock must not have gone back.
 */
#ifndef SY_ROUTER_SESSION_IDS_H
#define SY_ROUTER_SESSION_IDS_H

#include <stdatomic.h>
#include <stdint.h>

enum { SY_ID_NODE_BITS = 10, SY_ID_COUNTER_BITS = 12, SY_ID_NODE_MAX = (1 << SY_ID_NODE_BITS) - 1 };

struct sy_id_source {
    _Atomic uint64_t last; /* time and counter of the last one */
    uint32_t node;
};

/* wall_us: microseconds since 1970. Thread: any. */
int64_t sy_id_next(struct sy_id_source *source, int64_t wall_us);

#endif
