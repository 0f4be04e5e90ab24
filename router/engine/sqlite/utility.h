/* Parts of the statements that the runtime answers by itself (utility.c, cursor.c). */
#ifndef SY_ROUTER_ENGINE_SQLITE_UTILITY_H
#define SY_ROUTER_ENGINE_SQLITE_UTILITY_H

#include "router/engine/sqlite/session.h"

enum sy_sqlite_step sy_sqlite_declare(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal);
enum sy_sqlite_step sy_sqlite_fetch(struct sy_sqlite_session *s, const PgQuery__FetchStmt *stmt);
enum sy_sqlite_step sy_sqlite_close_cursor(struct sy_sqlite_session *s,
                                           const PgQuery__ClosePortalStmt *stmt);
/* The cursor of a FETCH; NULL with s->err set: there is none. */
struct sy_sqlite_portal *sy_sqlite_cursor(struct sy_sqlite_session *s, const char *name);

#endif
