/*
 * Replicas of a shard: files of their own that are fed with what each commit changed.
 *
 * The writer records every transaction with SQLite's session extension (changesets) and, for
 * changes of the schema, as the statements themselves; the parts go to each replica in order and
 * are applied there in one transaction together with the position reached. A replica that is not at
 * the primary's position when it is opened, or whose feed cannot be expressed as parts, is copied
 * anew from the primary (`resync`).
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_REPLICA_H
#define SY_ROUTER_ENGINE_SQLITE_REPLICA_H

#include "base/buf.h"
#include "router/engine/sqlite/shard.h"

/* ---- what a transaction changes, by who has the writer ---- */

/* Starts recording, when the shard has replicas or the record may be wanted as redo. */
SY_MUST_CHECK int sy_sqlite_capture_begin(struct sy_sqlite_shard *shard, bool redo);
/* A statement that changes the schema is about to run. */
SY_MUST_CHECK int sy_sqlite_capture_ddl(struct sy_sqlite_shard *shard, const char *sql);
/* After it: rows are recorded again. */
SY_MUST_CHECK int sy_sqlite_capture_resume(struct sy_sqlite_shard *shard);
/* What was recorded can no longer be trusted (part of it was rolled back): replicas will be copied.
 */
void sy_sqlite_capture_spoil(struct sy_sqlite_shard *shard);
/* Ends recording before the COMMIT; after it, ships what was recorded. */
SY_MUST_CHECK int sy_sqlite_capture_finish(struct sy_sqlite_shard *shard);
/* Appends what was recorded, after finish; false: it cannot be trusted, or no memory. */
SY_MUST_CHECK bool sy_sqlite_capture_redo(struct sy_sqlite_shard *shard, struct sy_buf *out);
void sy_sqlite_capture_ship(struct sy_sqlite_shard *shard, uint64_t lsn);
/* Forgets what was recorded. */
void sy_sqlite_capture_drop(struct sy_sqlite_shard *shard);
void sy_sqlite_capture_free(struct sy_sqlite_capture **capture);

/* ---- the other end ---- */

/* Changes arrive whole: keys have been checked and triggers have run where they were made. */
void sy_sqlite_apply_configure(struct sy_sqlite_conn *conn);
/* Inside a transaction of the caller's. Return SQLite's result code; *ret_ddl: the schema changed.
 */
SY_MUST_CHECK int sy_sqlite_apply_parts(struct sy_sqlite_conn *conn, const struct sy_buf *parts,
                                        bool *ret_ddl);
SY_MUST_CHECK int sy_sqlite_set_lsn(struct sy_sqlite_conn *conn, uint64_t lsn);

/* Opens a replica's file, copying the primary when it is not in step. Blocks. */
SY_MUST_CHECK enum sy_status sy_sqlite_replica_new(struct sy_sqlite_file *file, struct sy_err *err);
/* From now on it is among the shard's files: catches up with what was committed while it was
 * opened. */
void sy_sqlite_replica_start(struct sy_sqlite_replica *replica);
/* Stops applying and closes. No engine thread may run any more. */
void sy_sqlite_replica_free(struct sy_sqlite_replica **replica);

#endif
