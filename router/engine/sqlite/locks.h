/*
 * Advisory locks, within the process. A function that cannot have its lock at once fails with
 * sq.err set to SY_E_STATE and s->lock_needed; the statement is undone, the session waits, and the
 * statement runs again.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_LOCKS_H
#define SY_ROUTER_ENGINE_SQLITE_LOCKS_H

#include "router/engine/sqlite/session.h"

void sy_sqlite_locks_release_all(struct sy_sqlite_session *s);
/* End of a transaction: those taken until its end. */
void sy_sqlite_locks_end(struct sy_sqlite_session *s);

/* Waits for s->lock_key; as the last thing of a turn. Finds deadlocks: the session is its victim
 * then. */
void sy_sqlite_locks_request(struct sy_sqlite_session *s);
/* Stops waiting; false: it did not wait any more. */
bool sy_sqlite_locks_withdraw(struct sy_sqlite_session *s);
/* True when the session, which is about to wait for the writer, closes a circle. */
bool sy_sqlite_locks_deadlock(struct sy_sqlite_session *s);
/* Registers pg_advisory_lock() and its family. */
SY_MUST_CHECK int sy_sqlite_locks_register(sqlite3 *db, struct sy_sqsession_slot *slot);

#endif
