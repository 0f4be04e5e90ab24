/* LISTEN and NOTIFY among the sessions of a shard, inside the process. Delivered at commit, as in
 * PostgreSQL. */
#ifndef SY_ROUTER_ENGINE_SQLITE_NOTIFY_H
#define SY_ROUTER_ENGINE_SQLITE_NOTIFY_H

#include "router/engine/sqlite/session.h"

/* A session comes and goes. */
void sy_sqlite_notify_join(struct sy_sqlite_session *s);
void sy_sqlite_notify_leave(struct sy_sqlite_session *s);

/* False: s->err is set. name.data NULL in unlisten: all channels. */
bool sy_sqlite_listen(struct sy_sqlite_session *s, struct sy_slice channel);
void sy_sqlite_unlisten(struct sy_sqlite_session *s, struct sy_slice channel);
/* Kept until the transaction commits. False: s->err is set. */
bool sy_sqlite_notify(struct sy_sqlite_session *s, struct sy_slice channel,
                      struct sy_slice payload);
void sy_sqlite_notify_commit(struct sy_sqlite_session *s);

/* Appends what has arrived to s->out: before ReadyForQuery, and when an idle session is woken. */
void sy_sqlite_notify_deliver(struct sy_sqlite_session *s);
void sy_sqlite_notify_idle(struct sy_sqlite_session *s);

#endif
