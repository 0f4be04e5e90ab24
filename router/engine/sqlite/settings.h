/*
 * The settings of a session: SET, SHOW, RESET, set_config(). As in PostgreSQL a SET is undone by
 * the rollback of its transaction or savepoint, a SET LOCAL also by the commit.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_SETTINGS_H
#define SY_ROUTER_ENGINE_SQLITE_SETTINGS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct sy_sqlite_session;
struct sy_sqlite_settings;

struct sy_sqlite_settings *sy_sqlite_settings_new(void);
void sy_sqlite_settings_free(struct sy_sqlite_settings **settings);

/* value.data NULL: back to the default. Errors are in s->err: 42704, 22023, 55P02, 0A000. */
bool sy_sqlite_settings_set(struct sy_sqlite_session *s, struct sy_slice name,
                            struct sy_slice value, bool is_local);
/* RESET ALL. */
void sy_sqlite_settings_reset(struct sy_sqlite_session *s);
/* The present value; NULL: no such setting. */
const char *sy_sqlite_settings_get(struct sy_sqlite_session *s, struct sy_slice name);
/* The name as SHOW titles its column ("TimeZone"); NULL: no such setting. */
const char *sy_sqlite_settings_title(struct sy_sqlite_session *s, struct sy_slice name);
/* All of them, for SHOW ALL and pg_settings; false past the end. */
bool sy_sqlite_settings_at(struct sy_sqlite_session *s, uint32_t index, const char **ret_name,
                           const char **ret_value, const char **ret_default);

/* A copy to go back to (savepoints); NULL when memory is exhausted. */
void *sy_sqlite_settings_save(struct sy_sqlite_settings *settings);
void sy_sqlite_settings_forget(void **saved);
void sy_sqlite_settings_back(struct sy_sqlite_session *s, void *saved);
/* End of a transaction. */
void sy_sqlite_settings_end(struct sy_sqlite_session *s, bool committed);

/* ParameterStatus of everything reported, into the link's parameters. */
void sy_sqlite_settings_report_all(struct sy_sqlite_session *s);

/* Limits in microseconds, 0: none. */
uint64_t sy_sqlite_settings_statement_limit_us(const struct sy_sqlite_settings *settings);
uint64_t sy_sqlite_settings_lock_limit_us(const struct sy_sqlite_settings *settings);
/* Of an idle transaction; one that holds the writer always has a limit. */
uint64_t sy_sqlite_settings_idle_limit_us(const struct sy_sqlite_settings *settings,
                                          bool holds_writer);

#endif
