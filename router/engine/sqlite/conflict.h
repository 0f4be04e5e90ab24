/* The DETAIL of a unique violation. */
#ifndef SY_ROUTER_ENGINE_SQLITE_CONFLICT_H
#define SY_ROUTER_ENGINE_SQLITE_CONFLICT_H

#include "router/engine/sqlite/session.h"

/* Adds "Key (id)=(1) already exists." to s->err where it can be found; `sql` has failed on the
 * writer. */
void sy_sqlite_conflict_detail(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn,
                               const struct sy_sqlite_portal *portal, const char *sql);

#endif
