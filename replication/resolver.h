/*
 * Completes transactions over several shards that a crash left prepared (docs/features.md,
 * "On several shards"). One thread with libpq connections of its own; every few seconds it looks on
 * every primary for transactions of this cluster that no session of this process is committing,
 * asks the decider's commit log and obeys it. It also makes the log, and removes rows that nobody
 * can need any more.
 *
 * It needs the catalog: the cluster's name and the incarnation are part of every GID.
 */
#ifndef SY_REPLICATION_RESOLVER_H
#define SY_REPLICATION_RESOLVER_H

#include <stdbool.h>

#include "base/err.h"

/* Starts the thread. Once per process. The catalog is opened when the first database of several
 * postgres shards is seen; when that fails the log says so, transactions over several shards are
 * refused, and it is tried again. data_dir is copied. */
SY_MUST_CHECK enum sy_status sy_resolver_start(const char *data_dir, struct sy_err *err);
/* Waits until every primary was looked at once. Blocks: at most timeout_ms. */
bool sy_resolver_wait_first(int timeout_ms);
/* Blocks: until a look under way has ended (its limits: connecting 3 s, a statement 5 s). */
void sy_resolver_stop(void);

#endif
