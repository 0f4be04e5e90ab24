/*
 * The SQL functions, collations and virtual tables that translated statements call, and the session
 * they see. Every connection to a shard registers them, also for reading: schemas (CHECK, indexes)
 * mention them.
 *
 * A function that fails leaves PostgreSQL's error in session->err and makes sqlite3_step fail: when
 * it returns SQLITE_ERROR and session->err.status is not SY_OK, that record is the answer. Clear it
 * before each step.
 *
 * Thread: a session belongs to the thread that uses the connection at the moment.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_FUNCTIONS_H
#define SY_ROUTER_ENGINE_SQLITE_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "router/engine/sqlite/types.h"

struct sqlite3;
struct sqlite3_stmt;

/* Statements in WITH whose rows are kept, and columns of such or of a LATERAL subquery. */
enum { SQ_KEPT_MAX = 8, SQ_ROWS_COLUMNS_MAX = 64 };

struct sy_sqsession {
    struct sy_type_settings types; /* types.now_us: the statement's time */
    int64_t transaction_us;        /* now(): start of the transaction, since 2000-01-01 UTC */
    const char *user, *session_user, *database, *schema; /* current_user, ..., current_schema() */
    uint32_t backend_pid;
    struct sy_err err;

    /* Sequences, by name ("public" schema) or OID as text; false: err is set. NULL: no sequences
     * here. */
    bool (*sequence_next)(void *ctx, struct sy_slice name, int64_t *ret_value, struct sy_err *err);
    bool (*sequence_current)(void *ctx, struct sy_slice name, int64_t *ret_value,
                             struct sy_err *err);
    bool (*sequence_last)(void *ctx, int64_t *ret_value, struct sy_err *err);
    bool (*sequence_set)(void *ctx, struct sy_slice name, int64_t value, bool is_called,
                         struct sy_err *err);
    /* current_setting / set_config. missing_ok: false may be returned without an error (NULL). */
    bool (*setting_get)(void *ctx, struct sy_slice name, bool missing_ok, struct sy_buf *out,
                        struct sy_err *err);
    bool (*setting_set)(void *ctx, struct sy_slice name, struct sy_slice value, bool is_local,
                        struct sy_err *err);
    void *ctx;
    struct sy_buf kept[SQ_KEPT_MAX]; /* rows of statements in WITH: sy_kept() */
};

/* A connection that nobody uses yet gets a session later: the pointer is read at each call. */
struct sy_sqsession_slot {
    struct sy_sqsession *session;
};

/*
 * Registers everything on a connection. `slot` must outlive it. Errors: SY_E_NO_MEMORY,
 * SY_E_INTERNAL.
 *
 * Functions of the catalog (pg_get_userbyid, format_type, pg_table_is_visible, ...) are the
 * runtime's: the translator calls them under PostgreSQL's own name with the prefix "sy_", e.g.
 * sy_pg_get_userbyid(oid); the list is SY_SQCATALOG_FUNCTIONS in translate_catalog.h.
 */
SY_MUST_CHECK enum sy_status
sy_sqfunctions_register(struct sqlite3 *db, struct sy_sqsession_slot *slot, struct sy_err *err);

/* The row that a step with `keep` stands at. False: no memory. */
bool sy_sqkeep_row(struct sy_sqsession *session, uint32_t keep, struct sqlite3_stmt *stmt);
void sy_sqkeep_clear(struct sy_sqsession *session, uint32_t keep);
/* Gives the memory back. */
void sy_sqkeep_release(struct sy_sqsession *session);

#endif
