/* The DETAIL of a unique violation, and everything about one of a foreign key. */
#ifndef SY_ROUTER_ENGINE_SQLITE_CONFLICT_H
#define SY_ROUTER_ENGINE_SQLITE_CONFLICT_H

#include "router/engine/sqlite/session.h"

/* Adds "Key (id)=(1) already exists." to s->err where it can be found; `sql` has failed on the
 * writer. */
void sy_sqlite_conflict_detail(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn,
                               const struct sy_sqlite_portal *portal, const char *sql);

/* Says which foreign key is violated, and by which value: `stmt` has failed on the writer with
 * 23503 and is reset, its parameters still bound. */
void sy_sqlite_foreign_key_detail(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn,
                                  sqlite3_stmt *stmt);

/* A statement that has failed runs again in a savepoint, to see what it would have changed; all of
 * it is undone, and the session's error stays the first one. */
struct sy_sqlite_rerun {
    struct sy_sqlite_session *session;
    struct sy_sqlite_conn *conn;
    struct sy_err err; /* the first one */
    struct sqlite3_session *recorder;
    void *changeset;
    int bytes;
};

/* False: it cannot be tried, and there is nothing to end. */
bool sy_sqlite_rerun_begin(struct sy_sqlite_rerun *rerun, struct sy_sqlite_session *s,
                           struct sy_sqlite_conn *conn);
/* After it ran: the changeset, which lives until the end. */
bool sy_sqlite_rerun_read(struct sy_sqlite_rerun *rerun);
void sy_sqlite_rerun_end(struct sy_sqlite_rerun *rerun);

/* The value as the types' code takes it; its bytes are the argument's. */
struct sy_sqvalue sy_sqlite_stored_value(sqlite3_value *value);

#endif
