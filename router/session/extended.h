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

/* extended.c: answers of the router's own, in the order of the messages. */
struct sy_part *sy_busy_part(struct sy_session *session); /* NULL: every server is quiet */
void sy_owe_simple(struct sy_session *session, char type);
/* What is owed and waits for no server goes in front of this server's next answer. */
void sy_owe_attach(struct sy_session *session, struct sy_part *part);
/* No server is busy: what is owed is due. */
void sy_owe_settle(struct sy_session *session);
void sy_prepare_for(struct sy_part *part, struct sy_prepared *prepared);
bool sy_statement_is_empty(const struct sy_statement *statement);

/* portals.c: one message each. */
enum sy_step sy_portal_on_bind(struct sy_session *session, const struct sy_frame *frame,
                               struct sy_err *err);
enum sy_step sy_portal_on_describe(struct sy_session *session, const struct sy_frame *frame,
                                   struct sy_err *err);
enum sy_step sy_portal_on_execute(struct sy_session *session, const struct sy_frame *frame,
                                  struct sy_err *err);
enum sy_step sy_portal_on_close(struct sy_session *session, const struct sy_frame *frame,
                                struct sy_err *err);

#endif
