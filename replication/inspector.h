/*
 * Keeps the snapshots' schemas true: a thread that reads each postgres database's schema at the
 * start, after a RELOAD and when a session asks for it (sy_schema_refresh_request() after DDL), and
 * publishes a new snapshot with what it found. What differs between shards goes to the log and,
 * through the snapshot, to SHOW.
 */
#ifndef SY_REPLICATION_INSPECTOR_H
#define SY_REPLICATION_INSPECTOR_H

#include <stdbool.h>

#include "base/err.h"

/* Starts the thread. Once per process; the health monitor should run, so that primaries are known.
 */
SY_MUST_CHECK enum sy_status sy_inspector_start(struct sy_err *err);
/* Waits until every postgres database of the present configuration was tried once. Blocks: at most
 * timeout_ms. */
bool sy_inspector_wait_first(int timeout_ms);
/* Blocks: until an inspection under way has ended (its time limits: connecting 5 s, a query 60 s).
 */
void sy_inspector_stop(void);

#endif
