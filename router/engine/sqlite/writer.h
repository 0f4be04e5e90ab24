/* The shard's writer task: group commit, the queue, and time limits of those who wait or hold. */
#ifndef SY_ROUTER_ENGINE_SQLITE_WRITER_H
#define SY_ROUTER_ENGINE_SQLITE_WRITER_H

#include "router/engine/sqlite/shard.h"

/* Reads position and sequences of a file that was just opened. */
SY_MUST_CHECK enum sy_status sy_sqlite_writer_load(struct sy_sqlite_shard *shard,
                                                   struct sy_err *err);
/* A deferred foreign key would refuse the COMMIT. */
bool sy_sqlite_has_deferred_violation(struct sy_sqlite_conn *conn);
enum sy_sqlite_task_result sy_sqlite_writer_run(struct sy_sqlite_task *task);
/* Looks at the time limits of the shard's sessions. */
void sy_sqlite_writer_tick(struct sy_sqlite_shard *shard, uint64_t now_us);

#endif
