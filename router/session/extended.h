/* A client's prepared statements and portals: private to the session folder. */
#ifndef SY_ROUTER_SESSION_EXTENDED_H
#define SY_ROUTER_SESSION_EXTENDED_H

#include "router/session/internal.h"

bool sy_extended_ensure(struct sy_session *session);
/* NULL: memory is exhausted or SY_LIMIT_PORTALS_PER_CLIENT is reached (*err). A portal of that name
 * is replaced when it is the unnamed one, else it is an error. */
struct sy_portal *sy_portal_define(struct sy_session *session, struct sy_slice name,
                                   struct sy_statement *statement, struct sy_err *err);
struct sy_portal *sy_portal_find(struct sy_session *session, struct sy_slice name);
void sy_portal_remove(struct sy_session *session, struct sy_slice name);

#endif
