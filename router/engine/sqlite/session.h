/*
 * A session: the backend of one link. Runs on engine threads, one at a time (an actor, see
 * tasks.h).
 *
 *     loop: bytes -> inbox --wake--> take inbox -> message by message -> out -> post --> loop:
 * data()
 *
 * A session waits in one place at a time (enum sy_sqlite_wait): for the writer, for the client to
 * take its output, or for an advisory lock. Nothing but the one who ends the wait touches it
 * meanwhile; input that arrives is kept.
 *
 * Transaction states: 'I' none, 'T' in a block, 'E' failed block (25P02 until it ends or goes back
 * to a savepoint). A transaction holds the writer from its first write to its end; before that each
 * statement reads on any reader connection (READ COMMITTED), or on `snapshot` (REPEATABLE READ and
 * SERIALIZABLE).
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_SESSION_H
#define SY_ROUTER_ENGINE_SQLITE_SESSION_H

#include <pg_query/pg_query.pb-c.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/map.h"
#include "router/engine/sqlite/functions.h"
#include "router/engine/sqlite/shard.h"
#include "router/wire/message.h"

struct sy_sqlite_link;
struct sy_sqlite_copy;

enum sy_sqlite_wait { SY_WAIT_NONE, SY_WAIT_WRITER, SY_WAIT_OUTPUT, SY_WAIT_LOCK };
/* Why a statement or a session has to stop: bits of session->stop. */
enum sy_sqlite_stop {
    SY_STOP_CANCEL = 1,   /* the client's request: 57014 */
    SY_STOP_TIMEOUT = 2,  /* statement_timeout: 57014 */
    SY_STOP_LOCK = 4,     /* lock_timeout: 55P03 */
    SY_STOP_DEADLOCK = 8, /* victim of a cycle: 40P01 */
    SY_STOP_IDLE = 16,    /* idle_in_transaction_session_timeout: FATAL 25P03 */
    SY_STOP_CLOSE = 32,   /* the link is closing */
};
enum {
    SY_SQLITE_FLUSH_BYTES = 32 * 1024
}; /* results go to the loop in pieces of about this size */
enum sy_sqlite_isolation {
    SY_ISOLATION_READ_COMMITTED,
    SY_ISOLATION_REPEATABLE_READ,
    SY_ISOLATION_SERIALIZABLE
};
/* What a piece of work has come to. WAIT: session->wait says for what; call again when it is over.
 */
enum sy_sqlite_step { SY_STEP_DONE, SY_STEP_ERROR, SY_STEP_WAIT };

/* The parse tree of a text; several plans may point into it. */
struct sy_sqlite_script {
    _Atomic uint32_t refs;
    PgQuery__ParseResult *tree;
    char *text;
    size_t text_bytes;
};

/* One translated statement. Immutable, counted atomically, shared by the sessions of a file. */
struct sy_sqlite_plan {
    _Atomic uint32_t refs;
    struct sy_arena arena;
    uint64_t key;        /* of its first step's prepared statement; step i has key + i */
    uint64_t generation; /* of the catalog that it was made with */
    struct sy_sqlite_script
        *script;               /* for statements that the runtime reads from the tree; else NULL */
    const PgQuery__Node *node; /* in script */
    const struct sy_sqtranslation *t;
    struct sy_slice text;  /* what it was made from, to make it again: a statement of this text */
    uint32_t statement;    /* UINT32_MAX: a statement inside another one */
    const uint32_t *types; /* as given to sy_sqlite_plan_make() */
    uint16_t type_count;
    struct sy_list by_use; /* in the cache of its file */
    struct sy_slice cache_key;
    bool cached;
};

/* A statement with its parameters, being executed. */
struct sy_sqlite_portal {
    char *name;
    struct sy_sqlite_plan *plan;
    struct sy_arena arena; /* parameters and formats */
    struct sy_sqvalue *parameters;
    uint16_t *formats; /* of the result columns: 0 text, 1 binary */
    bool same_format;  /* formats is NULL: every column has `format` */
    uint16_t format;
    bool done;
    bool is_cursor, with_hold, scroll; /* DECLARE */
    bool held;                         /* its transaction is over */
    bool materialised;
    struct sy_buf rows;    /* whole DataRow messages */
    struct sy_buf offsets; /* uint64_t each: where a row starts in `rows` */
    uint64_t row_count, row_at;
};

struct sy_sqlite_prepared {
    char *name;
    struct sy_sqlite_plan *plan;
    char *text;
    size_t text_bytes;
    uint32_t *types; /* as given in Parse or PREPARE */
    uint16_t type_count;
    struct sy_sqlite_script
        *script; /* PREPARE: where the statement stands; NULL: text is parsed again */
    const PgQuery__Node *node;
};

struct sy_sqlite_savepoint {
    struct sy_list link;
    char *name;
    uint32_t depth;
    void *settings; /* settings as they were, to go back to */
};

/* The statement that is being stepped, while the session waits in the middle of it. */
struct sy_sqlite_run {
    struct sy_sqlite_conn *conn;
    sqlite3_stmt *stmt;
    uint64_t key;
    bool returns_conn;  /* conn is lent for this statement only */
    bool main, pending; /* pending: a row was stepped to and not yet put out */
    uint64_t rows;
};

struct sy_sqlite_session {
    struct sy_sqlite_task task;
    struct sy_sqlite_link *link;
    struct sy_sqlite_file *file;
    struct sy_sqlite_shard *shard;
    struct sy_node *node; /* the link's, until the file is open */
    uint32_t pid;
    char *user, *database;

    /* Shared with the loop and the ticker, under `lock`. */
    pthread_mutex_t lock;
    struct sy_buf inbox;
    _Atomic unsigned stop; /* enum sy_sqlite_stop; read without the lock, too */
    bool busy;             /* from a message until ReadyForQuery: what a cancel request is about */
    sqlite3 *running;
    _Atomic int wait; /* enum sy_sqlite_wait */

    /* Under shard->lock. */
    struct sy_list writer_link, timed_link, shard_link;
    bool batchable; /* a single statement whose transaction ends with it */
    _Atomic uint64_t lock_deadline_us, idle_deadline_us, statement_deadline_us;

    /* The engine's side. */
    struct sy_buf in;
    size_t in_at;
    struct sy_buf out;
    struct sy_err err;
    bool skip_to_sync;
    bool opened, fatal; /* fatal: s->err ends the session */

    /* Transaction. */
    char txn;      /* 'I', 'T', 'E' */
    bool writes;   /* owns the writer, with a transaction open on it */
    bool implicit; /* that transaction ends at Sync or at the end of the query text */
    bool read_only, default_read_only;
    uint8_t isolation, default_isolation; /* enum sy_sqlite_isolation */
    bool txn_used;                   /* a statement has run in this block: isolation is fixed */
    struct sy_sqlite_conn *snapshot; /* a reader with a transaction open */
    uint64_t snapshot_lsn;
    struct sy_list savepoints;
    uint32_t savepoint_depth;
    struct sy_sqlite_catalog
        *catalog; /* what this session sees; its own image after DDL in a transaction */
    bool catalog_own;
    int64_t txn_start_us;
    enum { SY_BATCH_NONE, SY_BATCH_DONE, SY_BATCH_FAILED } batch;
    size_t batch_mark; /* of out, where the statement's output starts */
    struct sy_sqlite_portal *batch_portal;

    /* What is being done: at most one of simple query, portal, COPY. */
    struct sy_sqlite_run run;
    uint32_t step_at;                       /* of the plan's steps */
    uint64_t run_count;                     /* for the command tag */
    size_t statement_mark;                  /* of out: where the statement's output starts */
    bool run_flushed;                       /* some of it has gone out */
    struct sy_sqlite_portal execute_portal; /* EXECUTE's inner statement */
    struct sy_sqlite_portal *declaring;
    struct sy_sqlite_copy *copy_starting;
    char err_context[160];             /* "COPY t, line 3" */
    size_t tag_mark;                   /* of out: where the last CommandComplete starts */
    uint64_t analyze_us, analyze_rows; /* EXPLAIN ANALYZE: since when, then how long; what came */
    bool run_writes;                   /* on the writer */
    bool writer_wanted;                /* has asked for the writer */
    struct sy_sqlite_portal *materialising; /* rows go there */
    struct sy_sqlite_copy *copy_out;        /* or there */
    struct {
        bool active;
        struct sy_sqlite_script *script;
        uint32_t at, count;
        struct sy_sqlite_portal portal;
        bool portal_ready, described;
    } simple;
    struct {
        struct sy_sqlite_portal *portal;
        uint32_t row_limit;
    } executing;
    struct sy_sqlite_copy *copy;

    struct sy_map prepared, portals;  /* by name; the unnamed ones too */
    struct sy_sqlite_portal *unnamed; /* of portals: found without looking */
    struct sy_sqsession sq;           /* what SQL functions see */
    struct sy_sqlite_settings *settings;
    struct sy_arena scratch; /* reset with every message */
    uint32_t last_sequence;  /* lastval(): 0 when there is none */
    int64_t last_sequence_value;
    struct sy_buf sequence_values; /* currval(), see session_env.c */
    struct sy_list channels;       /* LISTEN */
    struct sy_buf notifications;   /* NOTIFY until the commit: whole messages */
    struct sy_buf mailbox;         /* what others have sent, under the lock of notify.c */
    _Atomic bool has_mail;
    struct sy_list locks;     /* advisory locks held, see locks.c */
    struct sy_list lock_link; /* among those who wait for a lock */
    int64_t lock_key;         /* the lock that it waits for */
    bool lock_shared;
    bool lock_needed; /* a function has failed for want of it */
};

static inline struct sy_sqlite_session *sy_sqlite_session_of(struct sy_sqlite_task *task)
{
    return sy_container_of(task, struct sy_sqlite_session, task);
}

/* ---- session.c ---- */

SY_MUST_CHECK enum sy_status sy_sqlite_session_new(struct sy_sqlite_link *link,
                                                   struct sy_node *node, struct sy_slice user,
                                                   struct sy_slice database, uint32_t pid,
                                                   struct sy_sqlite_session **ret_session,
                                                   struct sy_err *err);
/* After its last word (sy_sqlite_link_closed()), by the loop. */
void sy_sqlite_session_free(struct sy_sqlite_session **session);
/* On the loop: bytes for it; a cancel request; the end. */
void sy_sqlite_session_input(struct sy_sqlite_session *s, const void *data, size_t bytes);
void sy_sqlite_session_cancel(struct sy_sqlite_session *s);
void sy_sqlite_session_close(struct sy_sqlite_session *s);
void sy_sqlite_session_output_taken(struct sy_sqlite_session *s);
/* Any thread: a reason to stop. Ends the running statement; a wait has to be ended by the caller.
 */
void sy_sqlite_session_expire(struct sy_sqlite_session *s, enum sy_sqlite_stop why);
bool sy_sqlite_session_stopped(struct sy_sqlite_session *s);
/* Ends waiting for whatever reason and lets the session go on. Any thread. */
void sy_sqlite_session_resume(struct sy_sqlite_session *s);
/* Cancels or ends another session of the shard; false: there is none with this pid. Any thread. */
bool sy_sqlite_session_signal(struct sy_sqlite_shard *shard, uint32_t pid, enum sy_sqlite_stop why);
/* Marks the session as waiting. It goes on only through sy_sqlite_session_resume(). */
enum sy_sqlite_step sy_sqlite_session_wait(struct sy_sqlite_session *s, enum sy_sqlite_wait wait);
/* Sends what is in `out` to the loop. */
void sy_sqlite_session_flush(struct sy_sqlite_session *s);
/* In the middle of a result: sends what has gathered; WAIT when the client does not keep up. */
enum sy_sqlite_step sy_sqlite_session_output(struct sy_sqlite_session *s);
/* Appends ReadyForQuery and what belongs there. */
void sy_sqlite_session_ready(struct sy_sqlite_session *s);
/* True when nothing but Close, Describe and Flush stand before the next Sync, which is here: the
 * statement being executed is a transaction of its own. */
bool sy_sqlite_session_ends_here(const struct sy_sqlite_session *s);
/* Sets one of the session's deadlines to `limit_us` from now; 0 clears it. */
void sy_sqlite_session_limit(struct sy_sqlite_session *s, _Atomic uint64_t *deadline_us,
                             uint64_t limit_us);
/* True with s->err set when there is a reason to stop. */
bool sy_sqlite_session_interrupted(struct sy_sqlite_session *s);

/* ---- simple.c, extended.c ---- */

/* Takes the statement that has ended off the list. False: the whole query has failed and is over.
 */
bool sy_sqlite_simple_next(struct sy_sqlite_session *s);
void sy_sqlite_simple_failed(struct sy_sqlite_session *s);
void sy_sqlite_simple_start(struct sy_sqlite_session *s, struct sy_slice sql);
enum sy_sqlite_step sy_sqlite_simple_step(struct sy_sqlite_session *s);
enum sy_sqlite_step sy_sqlite_execute_step(struct sy_sqlite_session *s);
/* Handles P B D E C; false: s->err is set. */
bool sy_sqlite_extended(struct sy_sqlite_session *s, char type, struct sy_slice body);
/* End of the implicit transaction. False: s->err is set, the transaction was rolled back. */
bool sy_sqlite_sync(struct sy_sqlite_session *s);
void sy_sqlite_extended_release(struct sy_sqlite_session *s);
struct sy_sqlite_prepared *sy_sqlite_prepared_find(struct sy_sqlite_session *s,
                                                   struct sy_slice name);
/* Keeps a statement under a name (by copy). NULL: s->err is set. */
struct sy_sqlite_prepared *sy_sqlite_prepared_add(struct sy_sqlite_session *s, struct sy_slice name,
                                                  struct sy_sqlite_plan *plan, struct sy_slice text,
                                                  const uint32_t *types, uint16_t type_count);
bool sy_sqlite_prepared_drop(struct sy_sqlite_session *s, struct sy_slice name);
void sy_sqlite_prepared_drop_all(struct sy_sqlite_session *s, bool unnamed_too);
/* Makes sure that the plan fits the catalog as it is now. */
bool sy_sqlite_prepared_refresh(struct sy_sqlite_session *s, struct sy_sqlite_prepared *prepared);
struct sy_sqlite_portal *sy_sqlite_portal_find(struct sy_sqlite_session *s, struct sy_slice name);
struct sy_sqlite_portal *sy_sqlite_portal_new(struct sy_sqlite_session *s, struct sy_slice name);
void sy_sqlite_portal_drop(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal);
/* At the end of a transaction: portals go, except cursors WITH HOLD after a commit. */
void sy_sqlite_portals_end(struct sy_sqlite_session *s, bool committed);
void sy_sqlite_portal_reset(struct sy_sqlite_portal *portal);
void sy_sqlite_write_row_description(struct sy_sqlite_session *s,
                                     const struct sy_sqlite_portal *portal,
                                     const struct sy_sqlite_plan *plan);

/* ---- plan.c ---- */

SY_MUST_CHECK enum sy_status sy_sqlite_script_parse(struct sy_slice text,
                                                    struct sy_sqlite_script **ret_script,
                                                    struct sy_err *err);
void sy_sqlite_script_unref(struct sy_sqlite_script **script);
/* Translates statement `index` under what the session sees. Not cached. */
SY_MUST_CHECK enum sy_status
sy_sqlite_plan_make(struct sy_sqlite_session *s, struct sy_sqlite_script *script,
                    const PgQuery__Node *node, const uint32_t *types, uint16_t type_count,
                    struct sy_sqlite_plan **ret_plan, struct sy_err *err);
/* The cached plan of a text seen before under the same circumstances, referenced; NULL: none. */
struct sy_sqlite_plan *sy_sqlite_plan_cached(struct sy_sqlite_session *s, struct sy_slice text,
                                             const uint32_t *types, uint16_t type_count);
void sy_sqlite_plan_cache(struct sy_sqlite_session *s, struct sy_sqlite_plan *plan,
                          struct sy_slice text, const uint32_t *types, uint16_t type_count);
/* Replaces a plan that was made before the schema changed by one that fits it now. False: s->err is
 * set. */
bool sy_sqlite_plan_renew(struct sy_sqlite_session *s, struct sy_sqlite_plan **plan);
/* True when rows of both look the same to the client. */
bool sy_sqlite_same_columns(const struct sy_sqtranslation *a, const struct sy_sqtranslation *b);
struct sy_sqlite_plan *sy_sqlite_plan_ref(struct sy_sqlite_plan *plan);
void sy_sqlite_plan_unref(struct sy_sqlite_plan **plan);
/* Empties the cache of a file. */
void sy_sqlite_plans_release(struct sy_sqlite_file *file);

/* The plan of an empty text. False: s->err is set. */
bool sy_sqlite_plan_empty(struct sy_sqlite_session *s, struct sy_sqlite_plan **ret_plan);

/* ---- execute.c ---- */

/*
 * Runs a portal from where it stands, appending rows and the command tag to s->out. row_limit 0:
 * all. Call it again after SY_STEP_WAIT. Errors are in s->err; nothing was appended then beyond
 * rows.
 */
enum sy_sqlite_step sy_sqlite_portal_run(struct sy_sqlite_session *s,
                                         struct sy_sqlite_portal *portal, uint32_t row_limit);
/* By the writer task: runs the batchable statement of a session that waits, on the writer. False:
 * s->err is set. */
bool sy_sqlite_batch_run(struct sy_sqlite_session *s);
/* Runs a portal's rows to the end, without a command tag (COPY TO). */
enum sy_sqlite_step sy_sqlite_portal_rows(struct sy_sqlite_session *s,
                                          struct sy_sqlite_portal *portal);
/* Runs a SELECT of one row and converts its columns to types. False: s->err is set. */
bool sy_sqlite_evaluate_plan(struct sy_sqlite_session *s, struct sy_sqlite_script *script,
                             const PgQuery__Node *select, const uint32_t *types,
                             struct sy_arena *arena, struct sy_sqvalue *ret_values);
/* Appends one value with its length word. False: s->err is set. */
bool sy_sqlite_put_value(struct sy_sqlite_session *s, struct sy_buf *out, uint32_t type, int format,
                         const struct sy_sqvalue *value);
/* Appends rows [from, to) of a materialised portal to s->out; returns how many. */
uint64_t sy_sqlite_portal_put_rows(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                                   uint64_t from, uint64_t to);
/* Runs a portal's rows into portal->rows. */
enum sy_sqlite_step sy_sqlite_portal_materialise(struct sy_sqlite_session *s,
                                                 struct sy_sqlite_portal *portal);
/* Gets the writer for this transaction. DONE: s->writes is set. */
enum sy_sqlite_step sy_sqlite_need_writer(struct sy_sqlite_session *s);
void sy_sqlite_run_end(struct sy_sqlite_session *s);
/* Marks a connection as running for this session (what a cancel interrupts) and as not. */
void sy_sqlite_run_mark(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn);
void sy_sqlite_run_unmark(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn);

/* ---- transaction.c ---- */

/* BEGIN, COMMIT, ROLLBACK, SAVEPOINT, ... */
enum sy_sqlite_step sy_sqlite_transaction(struct sy_sqlite_session *s,
                                          const struct sy_sqlite_plan *plan);
/* Commits what is open. False: s->err is set and all was rolled back. */
bool sy_sqlite_commit(struct sy_sqlite_session *s);
void sy_sqlite_rollback(struct sy_sqlite_session *s);
/* After an error: in a block the transaction fails, outside what is implicit is rolled back. */
void sy_sqlite_transaction_failed(struct sy_sqlite_session *s);
/* Takes the writer's transaction over: BEGIN IMMEDIATE, savepoints so far. False: s->err is set. */
/* The block is over for the session; branch (may be NULL) has the writer now. */
void sy_sqlite_transaction_prepared(struct sy_sqlite_session *s, struct sy_sqlite_branch *branch);
bool sy_sqlite_transaction_writes(struct sy_sqlite_session *s);
/* The session sees the newest committed catalog, unless it has one of its own. */
void sy_sqlite_refresh_catalog(struct sy_sqlite_session *s);
int64_t sy_sqlite_now_us(void); /* since 2000-01-01 UTC */

bool sy_sqlite_transaction_options(struct sy_sqlite_session *s, PgQuery__Node *const *options,
                                   size_t count);
bool sy_sqlite_isolation_of(const char *text, uint8_t *ret_isolation);

/* ---- utility.c, settings.c, cursor.c, copy.c ---- */

/* Statements that the runtime answers by itself. */
enum sy_sqlite_step sy_sqlite_utility(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal);
/* The plan whose columns a Describe tells: EXECUTE's prepared statement, else the plan itself.
 * NULL: none. */
const struct sy_sqlite_plan *sy_sqlite_describe_plan(struct sy_sqlite_session *s,
                                                     const struct sy_sqlite_plan *plan);
/* Writes the RowDescription of a statement that the runtime answers (SHOW, FETCH ...). False: it
 * gives no rows. */
bool sy_sqlite_describe_utility(struct sy_sqlite_session *s, const struct sy_sqlite_plan *plan,
                                const struct sy_sqlite_portal *portal);
/* True when `kind` is one of them. */
bool sy_sqlite_is_utility(enum sy_stmt_kind kind);

/* True when the client wants messages of this severity. */
bool sy_sqlite_wants_notice(struct sy_sqlite_session *s, const char *severity);

/* ---- errors.c ---- */

/* Fills s->err from the connection's last error. */
void sy_sqlite_error(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn, int rc);
/* 23503 for a deferred foreign key. */
void sy_sqlite_deferred_violation(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn);
/* Appends ErrorResponse for s->err. */
void sy_sqlite_write_error(struct sy_sqlite_session *s, const char *severity);
/* A notice with a SQLSTATE. */
void sy_sqlite_notice(struct sy_sqlite_session *s, const char *severity, const char *sqlstate,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* ---- session_env.c, pgcatalog.c ---- */

/* Appends an identifier, quoted if need be; always quoted. */
void sy_sqlite_quote_identifier(struct sy_buf *out, const char *name);
void sy_sqlite_put_identifier(struct sy_buf *out, const char *name);
/* pg_proc of the functions that the engine knows: name and OID; NULL and 0 when unknown. */
const char *sy_sqlite_proc_name(uint32_t oid);
uint32_t sy_sqlite_proc_oid(const char *name);

/* ---- link.c ---- */

enum sy_sqlite_reply_kind { SY_REPLY_OPENED, SY_REPLY_DATA, SY_REPLY_DRAINED, SY_REPLY_CLOSED };
/* Hands bytes to the loop; true: the client is slow, wait for SY_WAIT_OUTPUT to end. */
bool sy_sqlite_link_output(struct sy_sqlite_link *link, struct sy_buf *out);
bool sy_sqlite_link_congested(struct sy_sqlite_link *link);
void sy_sqlite_link_consumed(struct sy_sqlite_link *link, size_t bytes);
void sy_sqlite_link_opened(struct sy_sqlite_link *link);
/* The last word: the session is gone after it. */
void sy_sqlite_link_closed(struct sy_sqlite_link *link, const struct sy_err *why);
/* A ParameterStatus value: reaches the link's parameters together with the next reply. */
void sy_sqlite_link_parameter(struct sy_sqlite_link *link, struct sy_slice name,
                              struct sy_slice value);

#endif
