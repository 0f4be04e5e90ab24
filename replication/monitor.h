/*
 * The health monitor: one thread with a loop of its own and one libpq connection per node, kept
 * open. It asks each node for its role and WAL position and publishes the answers into the node's
 * atomics, from which sy_topology_pick() reads. Databases of the embedded engine are skipped.
 *
 * It asks every SY_MONITOR_PERIOD_MS where a shard has replicas, every second elsewhere, and less
 * often a node that does not answer. It follows the current topology by itself.
 */
#ifndef SY_REPLICATION_MONITOR_H
#define SY_REPLICATION_MONITOR_H

#include <stdbool.h>

#include "base/err.h"

enum { SY_MONITOR_PERIOD_MS = 200 };

/* Starts the thread; a topology need not be published yet. Once per process. */
SY_MUST_CHECK enum sy_status sy_monitor_start(struct sy_err *err);
/* Waits until each node of the current topology has answered or failed once. False: not within the
 * time. Blocks: at most timeout_ms. */
bool sy_monitor_wait_first(int timeout_ms);
/* Ends the thread and its connections. Blocks: until it has ended. */
void sy_monitor_stop(void);

#endif
