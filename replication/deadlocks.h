/*
 * Finds deadlocks among transactions over several shards, which no server can see. One thread with
 * libpq connections of its own. It asks only while two such transactions have lasted a second: who
 * waits for whom on each of their servers; a circle that two looks in a row have found costs the
 * youngest of its transactions its statement (40P01).
 */
#ifndef SY_REPLICATION_DEADLOCKS_H
#define SY_REPLICATION_DEADLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Starts the thread. Once per process. */
SY_MUST_CHECK enum sy_status sy_deadlocks_start(struct sy_err *err);
/* Blocks: until a look under way has ended (its limits: connecting 3 s, a statement 5 s). */
void sy_deadlocks_stop(void);

/* ---- the graph: pure ---- */

/* Process `from` of a server waits for process `to` of the same one. */
struct sy_deadlock_edge {
    uint32_t server;
    uint32_t from, to;
};
/* A process of a transaction over several shards. */
struct sy_deadlock_member {
    uint32_t client, server, pid;
    uint64_t since_us;
};
/* The client whose transaction is to end: the youngest of those in a circle that spans servers; 0:
 * there is no circle. */
uint32_t sy_deadlock_victim(const struct sy_deadlock_edge *edges, uint32_t edge_count,
                            const struct sy_deadlock_member *members, uint32_t member_count);

#endif
