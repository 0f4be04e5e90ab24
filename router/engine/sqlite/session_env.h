/* What SQL functions see of a session: time, names, sequences, settings, object names. */
#ifndef SY_ROUTER_ENGINE_SQLITE_SESSION_ENV_H
#define SY_ROUTER_ENGINE_SQLITE_SESSION_ENV_H

#include "router/engine/sqlite/session.h"

void sy_sqlite_env_init(struct sy_sqlite_session *s);
void sy_sqlite_env_release(struct sy_sqlite_session *s);
/* A statement starts: sets its time. */
void sy_sqlite_env_statement(struct sy_sqlite_session *s);
/* The same for one that reads or writes rows: from now on the block's isolation is fixed. */
void sy_sqlite_env_query(struct sy_sqlite_session *s);
/* RESTART IDENTITY. False: s->err is set. */
bool sy_sqlite_env_restart_sequence(struct sy_sqlite_session *s, const char *name);
/* DISCARD SEQUENCES. */
void sy_sqlite_env_forget_sequences(struct sy_sqlite_session *s);

#endif
