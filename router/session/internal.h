/*
 * The session's own structures, shared by the files of this folder only. session.h has the state
 * diagram.
 *
 * Reading order: session.c (life and drive) -> startup.c -> simple.c and extended.c (what a client
 * asks) -> statement.c (which shards) -> part.c (servers taking part) -> backend.c (what servers
 * answer) -> txn.c.
 */
#ifndef SY_ROUTER_SESSION_INTERNAL_H
#define SY_ROUTER_SESSION_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/stream.h"
#include "router/auth/login.h"
#include "router/auth/rules.h"
#include "router/console/console.h"
#include "router/engine/parameters.h"
#include "router/merge/copy_join.h"
#include "router/merge/merge.h"
#include "router/merge/tag.h"
#include "router/metrics/counters.h"
#include "router/plan/combine.h"
#include "router/plan/copy_split.h"
#include "router/plan/fresh.h"
#include "router/plan/plan.h"
#include "router/plan/rename.h"
#include "router/session/auth_query.h"
#include "router/session/session.h"
#include "router/session/worker.h"
#include "router/topology/transactions.h"
#include "router/wire/frame.h"
#include "router/wire/message.h"

/* ---- input: what the client sent and nobody has handled yet ---- */

struct sy_piece {
    struct sy_chunk *chunk;
    uint32_t from, to;
};

/* One whole frontend message; its bytes stay valid until it is consumed. */
struct sy_frame {
    char type;
    struct sy_chunk *chunk;
    uint32_t from, to;
    struct sy_slice body;
};

/* A handler's answer. A handler that gives AGAIN has changed nothing that it would not find again:
 * it is called with the same frame once the session may go on. */
enum sy_step {
    SY_STEP_DONE,
    SY_STEP_AGAIN,
    SY_STEP_ERROR, /* *err is to be told to the client */
};

/* ---- what is expected from a server ---- */

enum sy_expect_kind {
    SY_X_QUERY,      /* all that answers a Query or FunctionCall, up to ReadyForQuery */
    SY_X_PARSE,      /* '1' */
    SY_X_BIND,       /* '2' */
    SY_X_DESCRIBE_S, /* 't', then 'T' or 'n' */
    SY_X_DESCRIBE_P, /* 'T' or 'n' */
    SY_X_EXECUTE,    /* rows, COPY, then 'C', 'I' or 's' */
    SY_X_CLOSE,      /* '3' */
    SY_X_SYNC,       /* 'Z' */
    SY_X_LOCAL,      /* nothing: the next bytes of session->owed are due */
};

/* Why the message was sent; decides what an error means. */
enum sy_expect_why {
    SY_WHY_CLIENT,
    SY_WHY_BEGIN, /* BEGIN and what a late participant must repeat */
    SY_WHY_SETTINGS,
    SY_WHY_PREPARE, /* a Parse or PREPARE of the router's */
    SY_WHY_EVICT,
    SY_WHY_COMMIT, /* the router's own COMMIT over several servers */
    SY_WHY_ROLLBACK,
    SY_WHY_LSN,
    SY_WHY_TWO_PHASE, /* a step of a commit over several writers: two_phase.c */
    SY_WHY_ASK,       /* what a write on several shards needs first: asking.c */
    SY_WHY_POISON,    /* meant to fail, so that Sync rolls back */
    SY_WHY_COLUMNS,   /* the router must know the types of the rows that follow: type_map.c */
};

enum {
    SY_X_FORWARD = 1,   /* the answer goes to the client, else it is swallowed */
    SY_X_READY = 2,     /* so does its ReadyForQuery */
    SY_X_GATHER = 4,    /* one of several servers that answer one statement */
    SY_X_WRITE = 8,     /* without an answer the outcome is unknown */
    SY_X_ENDS_TXN = 16, /* COMMIT or ROLLBACK */
    SY_X_TURN = 32,     /* one of several servers that answer in turn, under a row limit */
};

struct sy_expect {
    uint8_t kind, why, flags;
    bool answered;         /* its CommandComplete or error was seen */
    uint32_t bytes;        /* LOCAL: how many of session->owed */
    uint64_t statement_id; /* PARSE, CLOSE, BIND, EXECUTE: a router-named statement, or 0 */
};

enum { SY_EXPECTS_INLINE = 8 };

/* ---- a server taking part in the session's current work ---- */

enum sy_two_phase_part {
    SY_2P_NONE,
    SY_2P_PREPARING,
    SY_2P_PREPARED,
    SY_2P_REFUSED, /* prepared, but under another role than the session has now */
    SY_2P_RETRIED,
    SY_2P_FINISHED,
};

enum sy_two_phase_outcome { SY_2P_PENDING, SY_2P_COMMITTED, SY_2P_ABORTED, SY_2P_UNKNOWN };

struct sy_part {
    struct sy_part *next;     /* in session->parts */
    struct sy_list free_link; /* in worker->free_parts */
    struct sy_session *session;
    struct sy_server *server;
    struct sy_node *node;
    uint32_t shard;
    char status; /* of the last ReadyForQuery */
    bool primary;
    bool federation; /* the federating database: reads only, each statement by itself */
    bool suspended;  /* ... but for a portal that may have more rows */
    bool in_txn;     /* a transaction block is open on it */
    bool late;       /* joined after a savepoint was set */
    bool touched;    /* extended messages since the last Sync */
    bool failed;     /* an error since the last Sync: the server skips */
    bool will_write; /* since the last Sync a write was sent */
    bool wrote;      /* in this transaction or cycle */
    bool pinned;
    bool has_temporary; /* the session's temporary tables are on it */
    bool gather_done;   /* gather: its own answer is complete */
    bool stalled;       /* gather: waits with stashed bytes until it is its turn */
    uint16_t gather_index;
    bool copying_in;  /* its 'G' was seen */
    bool copying_out; /* its 'H' was seen, and its 'c' was not */
    bool errored;     /* the Query at the head has failed: its ReadyForQuery is all that is left */
    bool paused;
    uint8_t two_phase;     /* enum sy_two_phase_part */
    uint16_t effects_done; /* effects of the running command that this server has had */
    struct sy_settings
        *settings_begin; /* what the server had when its transaction began (reference) */
    struct sy_frame_walker walker;
    bool streaming_forward;     /* a long frame is being passed on in runs (or dropped) */
    struct sy_buf assembly;     /* a short frame that came in pieces */
    struct sy_row_map *row_map; /* columns of the rows that follow hold OIDs to map; type_map.c */
    struct sy_piece out;        /* to the server: contiguous bytes not handed over yet */
    struct sy_piece stash[2];   /* from the server: delivered while it was another's turn */
    uint8_t stash_count;
    struct sy_expect *expects; /* ring: inline or heap */
    uint16_t expect_first, expect_count, expect_size;
    struct sy_expect expects_inline[SY_EXPECTS_INLINE];
    char fatal_sqlstate[6]; /* a FATAL was received: what it said */
    char *fatal_message;
};

/* What the session keeps with a server between borrowers. */
struct sy_server_state {
    struct sy_prepared_set prepared;
    struct sy_settings *settings; /* reference */
    uint64_t unnamed_owner;       /* serial of the client's unnamed statement it holds */
};

/* ---- lazily allocated parts of a session ---- */

/* A statement that is to be repeated on a server that joins the transaction late. */
struct sy_prelude_entry {
    struct sy_prelude_entry *next;
    bool is_savepoint;
    bool is_local;        /* SET LOCAL of the setting `name` to `value` */
    bool is_default;      /* what it was when the session began */
    struct sy_slice name; /* savepoint or setting */
    struct sy_slice sql;
    struct sy_slice value;        /* data NULL: not known */
    struct sy_settings *settings; /* savepoint: the session's settings then (reference) */
};

enum { SY_TXN_LOCKS = 8 };

struct sy_txn {
    struct sy_buf begin_sql; /* the client's BEGIN */
    bool read_only;
    bool multi_refused; /* REPEATABLE READ or SERIALIZABLE: one shard only */
    bool wrote_all;     /* a statement on all shards wrote: any shard may be written from then on */
    struct sy_prelude_entry *first, *last;
    struct sy_settings *settings_begin; /* reference */
    uint64_t began_us;
    bool broken;                      /* a participant was lost: nothing but ROLLBACK is left */
    bool chain;                       /* AND CHAIN: a new transaction begins at once */
    bool committed;                   /* the server's tag said so */
    struct sy_shard_set done, undone; /* COMMIT over several servers: who has it, who does not */
    bool temporary_touched;           /* temporary tables were made in it; before it there were: */
    bool temporary_goes, temporary_stays; /* of them: ON COMMIT DROP, others */
    uint32_t temporary_begin;             /* bytes of session->temporary */
    struct sy_gid gid;                    /* of the commit over several writers under way */
    bool gid_used;
    uint8_t outcome;              /* enum sy_two_phase_outcome: what the decider said */
    uint16_t participants;        /* that prepare */
    uint32_t decider;             /* shard */
    uint64_t locks[SY_TXN_LOCKS]; /* on reference tables, held until the end: asking.c */
    uint32_t lock_count;
};

/* One statement answered by several servers, or by the router's own transaction. */
struct sy_gather {
    bool active;
    bool all;      /* SY_PLAN_ALL: answers must agree, one is told */
    bool has_home; /* only shard `home` may report rows */
    uint32_t home;
    const char *told_tag; /* instead of the servers' own; NULL: none */
    bool sums;            /* with a merge: a write, whose counts are added up */
    bool counted;         /* a write whose count of 0 says that nothing was written */
    bool simple;
    bool failed;
    bool copy_header; /* COPY TO with HEADER: drop it from all but the first */
    bool drop_next_copy_row;
    bool copy_binary; /* COPY TO in binary: headers and trailers in between are dropped */
    struct sy_copy_join copy_join;
    bool copies_out;         /* the first server answers with COPY data: so must all */
    uint16_t current, count; /* whose turn it is to answer, of how many */
    struct sy_tag_sum tags;
    uint64_t rows_first;              /* ALL: of the first server */
    uint64_t columns;                 /* a hash of what the first server described; 0: nothing */
    char held[SY_TAG_BYTES_MAX + 24]; /* the combined tag, told when the commit is done */
    /* SY_PLAN_MERGE: rows go into the merge, and what comes out of it to the client. */
    struct sy_merge *merge;
    struct sy_err merge_error;
    uint64_t merge_serial; /* the portal it belongs to */
    bool merge_running;    /* it was executed: rows may be told */
    bool merge_described, merge_told;
    /* Of the portal under a row limit that is executed: turns.c. */
    struct sy_portal *turn;
    uint32_t turn_limit, turn_left; /* rows; 0: all */
    /* The same of one with a merge, which outlives the client's command in portal->gather. */
    bool limited;
    uint64_t told_before;      /* rows, by earlier Executes */
    struct sy_shard_set ended; /* shards that have no more rows */
};

/* COPY FROM STDIN split by shard. */
struct sy_copy_in {
    struct sy_copy_split *split;
    struct sy_buf *rows; /* per shard: rows that wait to be one CopyData */
    uint32_t shard_count;
    uint32_t ready; /* shards that asked for data */
};

struct sy_prepared {
    struct sy_statement *statement; /* reference */
    uint64_t serial;                /* unnamed: tells a server's unnamed statement apart */
    uint64_t environment;
    uint64_t bytes; /* counted in statement_bytes; unnamed: 0 */
    char name[];
};

struct sy_portal {
    struct sy_statement *statement; /* reference; NULL: free */
    char *name;                     /* NULL: the unnamed one */
    struct sy_shard_set shards;     /* several */
    uint32_t shard;
    uint64_t server_id; /* of the statement, as servers name it; 0: unnamed */
    uint64_t environment;
    bool local; /* the session runs it */
    bool several, all, writes, replica, copies, splits, counted, has_home;
    uint32_t home;
    bool binary;              /* some of its columns */
    bool limited;             /* under a row limit: its shards answer in turn, */
    uint32_t turn;            /* this one and those behind it */
    struct sy_gather *gather; /* with a merge, suspended: owned */
    uint64_t merge_serial;    /* SY_PLAN_MERGE: tells whose merge the gather holds; 0: none */
    const char *figures;      /* one shard's own, to be told at Execute; NULL: nothing to tell */
    const char *told_tag;     /* as in sy_target */
};

struct sy_extended {
    struct sy_map statements; /* name -> struct sy_prepared */
    struct sy_map portals;    /* name -> struct sy_portal */
    uint64_t statement_bytes; /* texts and names of `statements` */
    struct sy_prepared *unnamed;
    struct sy_portal unnamed_portal;
    struct sy_piece
        unnamed_parse; /* the client's own Parse of the unnamed statement, this cycle only */
};

struct sy_startup_state { /* freed at the end of the login */
    struct sy_login login;
    struct sy_hash_job job;
    struct sy_auth_peer peer;
    struct sy_topology *topology; /* reference: the login borrows the user's entry */
    enum sy_auth_method method;
    const struct sy_config_user *entry; /* of the configuration, or `found`, or NULL */
    struct sy_config_user found;        /* by auth_query, with role.secret */
    struct sy_auth_role role;
    struct sy_auth_lookup *lookup; /* running */
    uint8_t binding[64];
    bool login_started, job_running, tls_done;
    bool asked;      /* for TLS or GSS encryption */
    bool tls_direct; /* the client began with TLS, unasked */
    bool looked_up;  /* role is filled */
};

/* ---- the session ---- */

enum sy_phase {
    SY_PHASE_NONE,
    SY_PHASE_COMMIT_FIRST, /* several servers: the first writer commits alone */
    SY_PHASE_COMMIT_REST,
    SY_PHASE_ROLLBACK,
    SY_PHASE_PREPARE, /* several writers: all but the decider prepare */
    SY_PHASE_DECIDE,  /* the decider commits together with the decision */
    SY_PHASE_FINISH,  /* the prepared ones are committed */
};

struct sy_session {
    struct sy_stream stream;      /* first: callbacks cast */
    struct sy_list link;          /* worker->sessions */
    struct sy_list stranger_link; /* worker->strangers, until the login is done */
    struct sy_worker *worker;
    struct sy_worker_database *database;
    struct sy_part *parts;
    struct sy_settings *settings, *settings_startup; /* references */
    struct sy_startup_state *startup;
    struct sy_extended *extended;
    struct sy_txn *txn_state;
    struct sy_gather *gather;
    struct sy_copy_in *copy_in;
    struct sy_script *script;       /* a Query with several statements: how far it is; script.c */
    struct sy_asking *asking;       /* a write on several shards is being prepared: asking.c */
    struct sy_declaring *declaring; /* a declaration is under way: declare.c */
    struct sy_console_run *console_running; /* a console command other workers are asked for */
    struct sy_deferred ending;
    struct sy_deferred resume;        /* goes on in the next turn */
    struct sy_slice counted_database; /* name under which it counts; the worker's copy */
    struct sy_err *wait_error;        /* a wait for a server failed with this */
    struct sy_part *waiting_part;
    char *user, *server_user, *server_password; /* one allocation, at user */
    struct sy_buffers *buffers;   /* long messages, slow reading: made when needed; buffers.c */
    struct sy_throttle *throttle; /* its user or database has a rate; else NULL: throttle.c */
    struct sy_link_keys *keys;    /* of the login, for servers that know the same secret; or NULL */
    char *temporary;              /* names of temporary relations, zero-separated; NULL: none */
    uint32_t temporary_bytes;
    bool temporary_fresh; /* one was made in this cycle */
    bool temporary_doubt; /* whether each still exists is not known */
    const char *pin_reason;
    uint64_t *min_lsn; /* per shard, what reads must see */
    struct sy_piece input[2];
    struct sy_piece run; /* backend bytes about to be forwarded (inside backend.c only) */
    struct sy_buf owed;  /* local answers not yet due */
    uint32_t owed_loose; /* of them: behind no server's answer */
    struct sy_pool_wait wait;
    struct sy_timer timer;
    uint64_t id, environment;
    uint64_t connected_us, state_since_us, cycle_started_us;
    int64_t connected_wall_us;
    uint32_t pid;
    uint32_t text_base; /* characters of the Query in front of the statement that runs */
    uint8_t input_count;
    uint8_t state; /* enum sy_session_state */
    uint8_t phase;
    char txn; /* what the client has been told: 'I', 'T', 'E' */
    uint8_t key[SY_CANCEL_KEY_BYTES];
    uint8_t consistency; /* enum sy_consistency */
    uint8_t statement_class;
    uint16_t busy_parts; /* with expectations outstanding */
    bool txn_deferred;   /* BEGIN was answered and not sent */
    bool txn_failed;     /* failed by the router itself: servers may not know */
    bool implicit_txn;   /* the router's own BEGIN around one client command */
    bool in_batch;       /* extended messages since the last Sync */
    bool skip_to_sync;
    bool batch_local; /* SET LOCAL without a block in this batch: holds until Sync */
    bool batch_failed;
    bool ready_sent;  /* this cycle's ReadyForQuery went out */
    bool query_cycle; /* the cycle is a simple Query */
    bool sync_seen;
    bool cycle_errored;
    bool block_over;    /* a transaction block ended in this cycle */
    bool need_barrier;  /* before the next extended message */
    bool watched;       /* its servers are in router/topology/waits.h */
    bool deadlocked;    /* what runs was canceled to end a deadlock across shards */
    bool several_bound; /* in this batch a statement was bound on several servers */
    bool client_paused;
    bool wants_more; /* what is left of the input is the beginning of a message */
    bool driving, driving_again;
    bool closed, waiting, registered;
    bool canceled;
    bool cancel_passing; /* its cancel request is on its way to another worker */
    bool cancel_sent;    /* servers were asked to cancel what it runs; maybe they have not yet */
    bool pinned_by_mode;
    bool scs;           /* standard_conforming_strings */
    bool replica_retry; /* this statement must run on the primary */
    bool effects;       /* the running statement changes session state when it succeeds */
    bool admin, stats, counted, database_is_console, leave_when_idle;
    const char *answer_when_quiet; /* tag of a local statement that servers had to agree to */
    uint64_t prepare_pending;      /* PREPARE in SQL: forgotten again when the server refuses it */
    struct sy_effects *effects_list; /* what: effects.c */
    struct sy_slice time_zone,
        date_style; /* as the planner must read keys; into settings or the welcome */
    bool encoding_differs;
    struct sy_cursor *cursors; /* declared in SQL: which shard has them; effects.c */
    bool notifies;             /* LISTEN or NOTIFY in this transaction: shard 0 decides */
    bool schema_changed;       /* by DDL of this transaction */
    bool federation_fresh;     /* the statement at hand needs a new snapshot there */
    bool federation_cursor; /* the statement at hand declares a cursor in the federating database */
    int64_t schema_wanted_wall_us; /* the answer waits for a schema read after this; 0: none */
    int64_t schema_missed_wall_us; /* the first statement that found no schema; 0: none */
    struct sy_timer schema_timer;
    struct sy_fresh *fresh;     /* the statement at hand with its new ids; NULL: none */
    struct sy_piece replay;     /* an autocommit read sent to a replica, to be rerun */
    struct sy_buf held_columns; /* its RowDescription */
    bool replay_told;           /* rows went out: too late for the primary */
    char peer[64];
    uint16_t peer_port;
};

/* What a statement needs to be routed and run. Lives on the handler's stack. */
struct sy_exec {
    struct sy_slice text;
    const struct sy_scan *scan;
    struct sy_template *template;
    const struct sy_stmt *stmt;
    const struct sy_route *route;
    const struct sy_slice *parameters;
    const uint16_t *formats;
    const uint32_t *types;
    uint32_t parameter_count, format_count, type_count;
    bool simple;
    struct sy_statement *prepared;  /* EXECUTE in SQL: of this one, */
    struct sy_slice arguments;      /* with "(1, 'a')" or nothing */
    const struct sy_target *target; /* known already; NULL: not */
};

/* Where it goes. */
struct sy_target {
    bool several; /* `shards`; else `shard` */
    bool all;     /* SY_PLAN_ALL */
    bool split;   /* COPY FROM by key */
    bool replica_ok, writes;
    bool any;      /* reads no rows that are spread: catalogs, reference tables */
    bool copy_in;  /* COPY FROM: the server waits for data after it */
    bool no_block; /* VACUUM and its like: refuses a transaction block */
    uint32_t shard;
    struct sy_shard_set shards;
    bool merge;           /* SY_PLAN_MERGE */
    bool scatters;        /* each shard is sent a text of its own: scattering.c */
    const uint32_t *rows; /* INSERT ... VALUES: the shard of each row, in the arena */
    uint32_t row_count;
    bool has_home; /* a write of a key: only shard `home` may have rows for it */
    uint32_t home;
    bool counted;         /* several shards: one that reports no rows has written nothing */
    bool federate;        /* `shard` is the federating database */
    const char *told_tag; /* the client is told this tag, not the servers'; NULL: theirs */
};

/* What a merge is to do: made before anything is sent. */
struct sy_merge_plan {
    struct sy_combined combined;
    struct sy_merge_options options;
};

/* input.c */
void sy_input_add(struct sy_piece pieces[2], uint8_t *count, struct sy_chunk *chunk, uint32_t from,
                  uint32_t to, bool *ret_no_memory);
void sy_input_drop(struct sy_piece pieces[2], uint8_t *count);
uint32_t sy_input_bytes(const struct sy_piece pieces[2], uint8_t count);
/* The first whole frame; false: not there yet (or *err is set: a length out of range). */
bool sy_input_frame(struct sy_session *session, struct sy_frame *ret_frame, struct sy_err *err);
void sy_input_unread(struct sy_session *session, struct sy_piece piece);
void sy_input_consume(struct sy_session *session, const struct sy_frame *frame);

/* session.c */
void sy_session_set_state(struct sy_session *session, enum sy_session_state state);
void sy_session_drive(struct sy_session *session);
/* Lets other clients have their turn: goes on in the next one. */
void sy_session_yield(struct sy_session *session);
bool sy_session_yields(const struct sy_session *session);
/* Sends a FATAL and closes. */
void sy_session_fatal(struct sy_session *session, const struct sy_err *err);
void sy_session_end(struct sy_session *session); /* closes without a word */
/* It has logged in, or is on its way out: it counts as a stranger no more. */
void sy_session_known(struct sy_session *session);
void sy_session_put(struct sy_session *session, const void *data, size_t bytes);
void sy_session_put_buf(struct sy_session *session, const struct sy_buf *buf);
struct sy_buf *sy_session_scratch(struct sy_session *session); /* the worker's buffer, emptied */
struct sy_node_counters *sy_worker_node_counters(struct sy_worker *worker,
                                                 struct sy_worker_database *database,
                                                 uint32_t shard, const struct sy_node *node);
bool sy_session_wants_position(const struct sy_session *session, const struct sy_part *part);
void sy_session_saw_position(struct sy_session *session, const struct sy_part *part,
                             struct sy_slice row);
/* An ErrorResponse or a NoticeResponse of the router itself. Counts it. */
void sy_session_put_error(struct sy_session *session, const struct sy_err *err);
void sy_session_put_notice(struct sy_session *session, const char *severity,
                           const struct sy_err *err);
void sy_session_put_complete(struct sy_session *session, const char *tag);
/* The session's settings changed: derives what planning depends on. */
void sy_session_settings_changed(struct sy_session *session, struct sy_settings *settings);
/* The value that holds now, SET LOCAL included. False: nothing sets it. ret_value->data may be
 * NULL: something does, but the value is not known. */
bool sy_session_setting_now(const struct sy_session *session, struct sy_slice name,
                            struct sy_slice *ret_value);
struct sy_slice sy_session_setting(const struct sy_session *session, struct sy_slice name);
/* statement.c: the current user on the servers, after SET ROLE and SET SESSION AUTHORIZATION. */
struct sy_slice sy_session_current_user(const struct sy_session *session);
/* txn.c: "repeatable read" or "serializable". */
bool sy_isolation_is_snapshot(struct sy_slice isolation);
/* True: the answer to DDL has to wait, until what it changed is known to every session. */
bool sy_session_awaits_schema(struct sy_session *session);
/* Errors: SY_E_CONNECT when it is not known and waiting was in vain. */
enum sy_status sy_session_check_schema(const struct sy_session *session, struct sy_err *err);
void sy_session_start_timer(struct sy_session *session);

void sy_session_free_closed(
    struct sy_session *session); /* what kept a closed session alive is over */
void sy_parts_discard_or_release(struct sy_session *session);

/* worker.c */
void sy_worker_learn_defaults(struct sy_worker_database *database,
                              const struct sy_parameters *parameters);
struct sy_slice sy_worker_database_default(const struct sy_worker_database *database,
                                           struct sy_slice name);
void sy_worker_session_gone(struct sy_worker *worker);

/* console.c: the database named switchyard */
enum sy_step sy_session_console(struct sy_session *session, const struct sy_frame *frame);
enum sy_step sy_session_console_extended(struct sy_session *session, const struct sy_frame *frame);

/* startup.c */
enum sy_status sy_startup_begin(struct sy_session *session, const struct sockaddr_storage *peer,
                                struct sy_err *err);
void sy_startup_step(struct sy_session *session); /* STARTUP, LOGIN, WELCOME */
void sy_startup_forget_welcomes(struct sy_worker_database *database);
void sy_startup_secured(struct sy_session *session);

/* buffers.c */
/* A message of so many bytes begins. AGAIN: it waits, and the client is not to be read. */
enum sy_step sy_buffers_frame(struct sy_session *session, uint32_t bytes, struct sy_err *err);
bool sy_buffers_wait(const struct sy_session *session);
void sy_buffers_congested(struct sy_session *session);
/* With buffers only: */
void sy_buffers_handled(struct sy_session *session); /* the message was taken off the input */
void sy_buffers_idle(struct sy_session *session);    /* what messages asked for is done */
void sy_buffers_drained(struct sy_session *session);
void sy_buffers_free(struct sy_session *session);
void sy_worker_limit_queues(struct sy_worker *worker);

/* throttle.c */
/* A login counts. Errors: SY_E_RATE. */
enum sy_status sy_throttle_enter(struct sy_session *session, struct sy_err *err);
/* With a throttle only. AGAIN: the statement waits, and the session is driven when it may run. */
enum sy_step sy_throttle_statement(struct sy_session *session, struct sy_err *err);
void sy_throttle_owe(struct sy_session *session, uint32_t statements);
void sy_throttle_handled(struct sy_session *session); /* the message is done with */
bool sy_throttle_waits(const struct sy_session *session);
void sy_throttle_free(struct sy_session *session);

/* declare.c */
/* A text that is none for the grammar and begins like a declaration. AGAIN: the session is driven
 * when it was carried out. */
enum sy_step sy_declare_step(struct sy_session *session, struct sy_slice text, struct sy_err *err);
/* Replaces the syntax error of a statement that is a declaration. */
void sy_declare_refuse_extended(struct sy_slice text, struct sy_err *err);
void sy_declaring_free(struct sy_session *session);

/* login.c */
void sy_session_login_begin(struct sy_session *session, const struct sy_startup *packet);
void sy_session_login_message(struct sy_session *session);  /* LOGIN */
void sy_session_forget_secrets(struct sy_session *session); /* wipes */
void sy_startup_free(struct sy_session *session);

/* part.c */
/* Finds the participant for a shard or gets a server for one. AGAIN: the session waits. */
enum sy_step sy_part_get(struct sy_session *session, uint32_t shard, bool replica_ok,
                         struct sy_part **ret_part, struct sy_err *err);
/* Brings the server to where the client believes to be: settings, BEGIN. */
enum sy_step sy_part_prepare(struct sy_part *part, struct sy_err *err);
void sy_part_expect(struct sy_part *part, enum sy_expect_kind kind, enum sy_expect_why why,
                    uint8_t flags, uint64_t statement_id);
void sy_part_expect_local(struct sy_part *part, uint32_t bytes);
void sy_part_pop(struct sy_part *part);
static inline struct sy_expect *sy_part_head(struct sy_part *part)
{
    return part->expect_count == 0 ? NULL : &part->expects[part->expect_first];
}
void sy_part_send(struct sy_part *part, struct sy_chunk *chunk, uint32_t from, uint32_t to);
void sy_part_send_copy(struct sy_part *part, const void *data, size_t bytes);
void sy_part_send_query(struct sy_part *part, struct sy_slice sql);
void sy_part_flush(struct sy_part *part);
struct sy_server_state *sy_part_state(struct sy_part *part);
void sy_part_set_settings(struct sy_part *part, struct sy_settings *settings);
/* Gives the server back, closes it, or forgets one that is lost already. */
void sy_part_release(struct sy_part *part);
void sy_part_discard(struct sy_part *part);
void sy_part_forget(struct sy_part *part);
void sy_parts_release_idle(struct sy_session *session);
uint32_t sy_parts_in_txn(const struct sy_session *session);

/* backend.c */
extern const struct sy_server_events sy_part_events;
void sy_backend_kick(struct sy_session *session); /* goes on with what was stashed */

/* lost.c */
void sy_server_is_lost(struct sy_server *server, const struct sy_err *why);
/* The client has had a part of a message, and the rest has not come: it cannot be told anything. */
bool sy_is_mid_message(const struct sy_session *session);

/* rephrase.c */
/* An error for the client. True: it was told, in other words than the server's. */
bool sy_rephrase_error(struct sy_part *part, const struct sy_notice_fields *fields);

/* type_map.c */
bool sy_part_maps_types(const struct sy_part *part);
/* The body of a 'T' or 't', rewritten in place to shard 0's OIDs. */
void sy_part_map_description(const struct sy_part *part, char type, char *body, size_t bytes);
void sy_part_map_parse(const struct sy_part *part, const uint32_t *types, uint16_t count,
                       uint32_t *ret_types);
/* A 'T' as the server sent it: which columns of the rows behind it hold OIDs. */
void sy_part_note_columns(struct sy_part *part, const char *body, size_t bytes);
void sy_part_rows_over(struct sy_part *part);
/* The body of a 'D', rewritten in place. */
void sy_part_map_row(const struct sy_part *part, char *body, size_t bytes);
/* Asks for the columns of a portal in front of its rows, if its values may hold OIDs to map. */
void sy_part_ask_columns(struct sy_part *part, const struct sy_portal *portal,
                         struct sy_slice name);
/* The body of a Bind of the router's own making, rewritten in place to the shard's OIDs. */
void sy_part_map_bind(const struct sy_part *part, const struct sy_statement *statement, char *body,
                      size_t bytes);
bool sy_part_maps_bind(const struct sy_part *part, const struct sy_bind_msg *bind);
/* One binary value of parameter `index`, which is copied to the arena if it has to change. */
struct sy_slice sy_part_map_value(const struct sy_part *part, const struct sy_statement *statement,
                                  uint16_t index, struct sy_slice value);
/* A 't' for the client: what its undeclared parameters are. */
void sy_session_learn_parameters(struct sy_session *session, uint64_t statement_id,
                                 struct sy_slice body);
/* Binary COPY carries OIDs that nobody maps: refused where there may be some. */
enum sy_status sy_exec_check_copy(const struct sy_session *session, const struct sy_exec *exec,
                                  const struct sy_target *target, struct sy_err *err);

/* statement.c */
/* Parses a Query's text and finds the statement's route. */
enum sy_status sy_exec_parse(struct sy_session *session, struct sy_slice text, struct sy_exec *exec,
                             struct sy_scan *scan, struct sy_err *err);
enum sy_status sy_exec_route(struct sy_session *session, struct sy_exec *exec, uint32_t index,
                             struct sy_err *err);
enum sy_status sy_exec_plan(struct sy_session *session, const struct sy_exec *exec,
                            struct sy_plan *ret_plan, struct sy_err *err);
enum sy_status sy_exec_target(struct sy_session *session, const struct sy_exec *exec,
                              struct sy_target *ret_target, struct sy_err *err);
/* federate.c: a statement that the router cannot put together (*err says why) goes to the
 * federating database, if it may; else *err is what the client is told. */
enum sy_status sy_exec_federate(struct sy_session *session, const struct sy_exec *exec,
                                struct sy_target *target, struct sy_err *err);
/* The transaction so far allows it. */
enum sy_status sy_federation_check(struct sy_session *session, const struct sy_exec *exec,
                                   struct sy_err *err);
/* What the planner is told; NULL: none is configured. */
const struct sy_federation *sy_federation_of(const struct sy_topology_database *database);
/* An error of the federating database fails the client's block, of which it is no part. True: *err
 * is to be told in its place. */
bool sy_federation_error(struct sy_part *part, const struct sy_expect *head,
                         const struct sy_notice_fields *fields, struct sy_err *err);
/* It can run the statement, and may as the transaction stands. */
bool sy_federation_serves(const struct sy_session *session, const struct sy_exec *exec);
/* A portal there is to outlive Sync: its transaction becomes part of the client's block. False: it
 * cannot. */
bool sy_federation_join(struct sy_part *part);
/* Nothing there is open any more: its part of the block ends. */
void sy_federation_leave(struct sy_part *part);
bool sy_federation_is(const struct sy_session *session, uint32_t shard);
bool sy_stmt_is_local(const struct sy_stmt *stmt); /* the session runs it itself */
struct sy_parse_settings sy_session_parse_settings(const struct sy_session *session);

/* simple.c */
enum sy_step sy_simple_query(struct sy_session *session, const struct sy_frame *frame);
/* A Query that is answered with this error. */
enum sy_step sy_simple_refuse(struct sy_session *session, const struct sy_err *err);
enum sy_step sy_simple_function_call(struct sy_session *session, const struct sy_frame *frame);
/* All servers needed are held and prepared; fills parts in shard order. */
enum sy_step sy_target_acquire(struct sy_session *session, const struct sy_target *target,
                               struct sy_err *err);
/* Tells the combined tag that waits for a commit; what follows in the batch stands behind it. */
void sy_gather_tell(struct sy_session *session);
void sy_gather_begin(struct sy_session *session, const struct sy_target *target, bool simple);
uint8_t sy_class_of(const struct sy_stmt *stmt, bool writes);
bool sy_target_has(const struct sy_target *target, const struct sy_part *part);
/* Of its shard: a read-only block may have joined a replica and then the primary, too. What either
 * may answer is asked of the first. */
bool sy_part_is_first(const struct sy_part *part);

/* Routes and runs a statement; frame NULL: its text is sent. */
enum sy_step sy_simple_run(struct sy_session *session, struct sy_exec *exec,
                           const struct sy_frame *frame, struct sy_err *err);
/* Runs exec->prepared, which was routed. */
enum sy_step sy_simple_execute(struct sy_session *session, struct sy_exec *exec,
                               struct sy_err *err);

/* Sends one statement to the participants of its target in the simple protocol. frame NULL: `sql`
 * is sent. */
void sy_simple_send(struct sy_session *session, const struct sy_target *target,
                    const struct sy_frame *frame, struct sy_slice sql, uint8_t flags);

/* script.c */
/* Makes session->script of a long text with several statements; leaves it NULL for any other. */
enum sy_status sy_script_cut(struct sy_session *session, struct sy_slice text, struct sy_err *err);
enum sy_status sy_script_of_facts(struct sy_session *session, const struct sy_exec *exec,
                                  struct sy_err *err);
/* DONE: the last statement was sent, session->script is NULL. */
enum sy_step sy_script_step(struct sy_session *session, const struct sy_frame *frame,
                            struct sy_slice text, struct sy_err *err);
void sy_script_free(struct sy_session *session);
/* A text of several statements that run one by one, each where it belongs. */
bool sy_script_is_cut(const struct sy_session *session);
/* A server's error whose position counts in the statement that it was sent. False: it has none. */
bool sy_script_put_error(struct sy_session *session, const struct sy_notice_fields *fields);

/* local.c: statements that the session runs itself */
enum sy_step sy_local_run(struct sy_session *session, const struct sy_exec *exec,
                          struct sy_err *err);

/* txn.c */
enum sy_step sy_txn_to_all(struct sy_session *session, struct sy_slice sql, const char *tag);
enum sy_step sy_txn_run(struct sy_session *session, const struct sy_exec *exec, struct sy_err *err);
enum sy_step sy_txn_refuse(struct sy_session *session, struct sy_err *err);
void sy_txn_failed(struct sy_session *session); /* an error of the router's own inside a block */
/* Called when every server is quiet; true: more is under way. */
void sy_txn_put_end_tag(struct sy_session *session, const char *tag);
bool sy_txn_finish_phase(struct sy_session *session);
void sy_txn_commit_parts(struct sy_session *session, bool commit);
void sy_txn_over(struct sy_session *session, bool committed);
void sy_txn_unwatch(struct sy_session *session);
void sy_txn_free(struct sy_session *session);
void sy_txn_note_status(struct sy_session *session);
struct sy_txn *sy_txn_ensure(struct sy_session *session);
/* SET LOCAL: servers joining later repeat it, and the router reads text as they do. value.data:
 * NULL when it is not known. */
struct sy_txn_local {
    struct sy_slice name, value, sql;
    bool is_default;
};
void sy_txn_add_local(struct sy_session *session, const struct sy_txn_local *local);
/* A SET of the whole session takes the place of a SET LOCAL; empty: of all. */
void sy_txn_forget_local(struct sy_session *session, struct sy_slice name);
/* A statement that servers joining later must repeat (SET LOCAL, SET TRANSACTION). */
void sy_txn_add_prelude(struct sy_session *session, struct sy_slice sql);
void sy_txn_commit_answer(struct sy_part *part, bool committed);
/* A commit or rollback is under way whose outcome depends on this server no more. */
bool sy_txn_settled(const struct sy_part *part);
void sy_part_fetch_position(struct sy_part *part);

/* temporary.c */
void sy_temporary_add(struct sy_session *session, const char *name, bool dropped_at_commit);
void sy_temporary_drop(struct sy_session *session, const char *name);
void sy_temporary_forget(struct sy_session *session);
void sy_temporary_txn_over(struct sy_session *session, bool committed);
/* The statement names one. */
bool sy_temporary_names(const struct sy_session *session, const struct sy_stmt *stmt);
bool sy_temporary_doubtful(const struct sy_session *session, const struct sy_stmt *stmt);

/* two_phase.c */
/* Several servers wrote, and all of them can prepare. */
bool sy_two_phase_wanted(const struct sy_session *session);
bool sy_two_phase_able(const struct sy_session *session); /* the engine knows how */
void sy_two_phase_start(struct sy_session *session);
/* Every server is quiet. True: more is under way. */
bool sy_two_phase_next(struct sy_session *session);
/* The answer to a step; true: it was the last of its message. */
bool sy_two_phase_complete(struct sy_part *part, struct sy_slice tag);
/* True: the client is told the server's own words. */
bool sy_two_phase_error(struct sy_part *part, const struct sy_notice_fields *fields);
void sy_two_phase_lost(struct sy_part *part);
/* The client wants the commit to end; nothing is decided yet: it will not be. */
void sy_two_phase_cancel(struct sy_session *session);
/* The same of the phases of this file: its loss is recovery's. */
bool sy_two_phase_settled(const struct sy_part *part);
void sy_two_phase_over(struct sy_session *session);
/* Every server is quiet: branches that the session's role may not end are ended under the one that
 * prepared them. True: servers are at it. */
bool sy_two_phase_end_refused(struct sy_session *session, bool commit);

/* effects.c */
/* always: an entry also for a statement without effect, so that entries and answers are counted
 * alike. */
void sy_effect_note(struct sy_session *session, const struct sy_exec *exec, bool always);
/* Where a cursor was declared; UINT32_MAX: not known. */
uint32_t sy_effect_cursor_shard(const struct sy_session *session, struct sy_slice name);
/* A cursor is open on this shard. */
bool sy_effect_has_cursor(const struct sy_session *session, uint32_t shard);
void sy_effect_forget_cursors(struct sy_session *session, bool all);
bool sy_effect_has(struct sy_session *session, const struct sy_exec *exec);
/* A call of set_config() on a database of several shards: what cannot be followed like a SET would
 * hold on one of them only. Errors: SY_E_UNSUPPORTED. */
SY_MUST_CHECK enum sy_status sy_effect_check_config(struct sy_session *session,
                                                    const struct sy_exec *exec, struct sy_err *err);
void sy_effect_apply(struct sy_session *session, struct sy_part *part, struct sy_slice tag);
void sy_effect_drop(struct sy_session *session);
/* The value of a SET as SHOW would print it (malloc), or NULL. names: a list of identifiers
 * (search_path). */
char *sy_set_value_text(struct sy_slice sql, bool names);

/* extended.c */
/* A Query while extended messages wait for their Sync. */
enum sy_step sy_extended_query_in_batch(struct sy_session *session, const struct sy_frame *frame);
enum sy_step sy_extended_message(struct sy_session *session, const struct sy_frame *frame);
void sy_extended_free(struct sy_session *session);
void sy_extended_cycle_over(struct sy_session *session);
void sy_extended_txn_over(struct sy_session *session);
/* The statement is on the server under its router name when this returns (or will be, in the same
 * pipeline). */
void sy_prepare_on(struct sy_part *part, struct sy_statement *statement, bool simple);
struct sy_prepared *sy_extended_find(struct sy_session *session, struct sy_slice name,
                                     struct sy_err *err);
enum sy_status sy_extended_define(struct sy_session *session, struct sy_slice name,
                                  const struct sy_statement_key *key, struct sy_err *err);
void sy_extended_remove(struct sy_session *session, struct sy_slice name);
void sy_extended_remove_all(struct sy_session *session);
void sy_extended_forget_id(struct sy_session *session, uint64_t id);
uint32_t sy_extended_count(const struct sy_session *session);
enum sy_step sy_barrier(struct sy_session *session);
void sy_owe(struct sy_session *session, const void *data, size_t bytes);

/* copy.c */
/* Makes session->copy_in for a COPY FROM that several servers are about to be sent. */
enum sy_status sy_copy_open(struct sy_session *session, const struct sy_exec *exec, bool split,
                            struct sy_err *err);
enum sy_step sy_copy_begin(struct sy_session *session, const struct sy_exec *exec,
                           const struct sy_target *target, struct sy_slice sql, struct sy_err *err);
void sy_copy_ready(struct sy_part *part, struct sy_slice body);
/* Data of the server whose turn it is. */
void sy_copy_join(struct sy_session *session, struct sy_slice body);
/* A shard's error names a line of the rows that it got: told as such. False: as it is. */
bool sy_copy_put_error(struct sy_part *part, const struct sy_notice_fields *fields);
void sy_copy_shard_failed(struct sy_session *session);
void sy_copy_free(struct sy_session *session);
enum sy_step sy_copy_message(struct sy_session *session, const struct sy_frame *frame);

/* telling.c: notices of the router's own */
/* Why the answer is one shard's own, unless the client named the shard; NULL: no need to tell. */
const char *sy_tells_shard(const struct sy_exec *exec);
/* A NOTICE that `figures` (NULL: nothing is told) are those of this shard. */
void sy_tell_shard(struct sy_session *session, const char *figures, uint32_t shard);
/* The same in a batch: behind what servers still have to answer. */
void sy_owe_shard(struct sy_session *session, const char *figures, uint32_t shard);
/* A NOTICE that the primary answers though the hint names a replica, if it is so; in a batch. */
void sy_owe_primary(struct sy_session *session, const struct sy_exec *exec,
                    const struct sy_target *target);
/* All notices in front of a statement's answer, at once. */
void sy_tell_before(struct sy_session *session, const struct sy_exec *exec,
                    const struct sy_target *target);

/* merging.c */
/* The session has room for a gather. False: no memory, told in *err. */
bool sy_gather_ensure(struct sy_session *session, struct sy_err *err);
void sy_gather_reset(struct sy_session *session);
void sy_gather_free(struct sy_gather **gather);
/* What a COPY TO of several servers begins and ends with is told once. */
void sy_gather_note_copy(struct sy_gather *gather, const struct sy_stmt *stmt);
/* Notes the columns that the first shard describes; false: this one describes others. */
bool sy_gather_same_columns(struct sy_part *part, struct sy_slice body);
/* Rows are still to be told. */
bool sy_merge_pending(const struct sy_session *session);
enum sy_status sy_merge_plan(struct sy_session *session, const struct sy_exec *exec,
                             struct sy_slice text, struct sy_combined *ret_combined,
                             struct sy_merge_options *ret_options, struct sy_err *err);
/* The gather has begun. */
enum sy_status sy_merge_begin(struct sy_session *session, const struct sy_combined *combined,
                              const struct sy_merge_options *options, struct sy_err *err);
void sy_merge_take(struct sy_part *part, char type, struct sy_slice body); /* 'T' and 'D' */
/* The router's own error ends the statement, and the batch or block that it stands in. */
void sy_gather_fail(struct sy_session *session, const struct sy_err *err);
void sy_merge_pump(struct sy_session *session);
bool sy_merge_describe(struct sy_session *session, struct sy_buf *out);
/* What shards are sent instead of a statement: statement->rewritten, or NULL when it is the same.
 */
enum sy_status sy_merge_intern(struct sy_session *session, struct sy_statement *statement,
                               struct sy_slice text, struct sy_err *err);
void sy_merge_write_bind(struct sy_buf *out, struct sy_slice body, const struct sy_bind_msg *bind,
                         struct sy_slice statement, uint32_t hidden);

/* asking.c */
/* Before a write on several shards. AGAIN: servers are at it. */
enum sy_step sy_asking_step(struct sy_session *session, const struct sy_exec *exec,
                            const struct sy_target *target, struct sy_slice text,
                            struct sy_err *err);
/* It failed, and the client was told: the write is not sent. */
bool sy_asking_is_over(const struct sy_session *session);
void sy_asking_failed(struct sy_session *session);
void sy_asking_take(struct sy_session *session, struct sy_slice body);
void sy_asking_free(struct sy_session *session);
/* In the arena; they point into what sy_asking_free() frees. */
enum sy_status sy_asking_answers(const struct sy_session *session, struct sy_slice **ret_answers,
                                 uint32_t *ret_count, struct sy_err *err);

/* scattering.c */
/* All servers are held and ready, the gather has begun. */
enum sy_step sy_scatter_simple(struct sy_session *session, const struct sy_exec *exec,
                               const struct sy_target *target, struct sy_err *err);
struct sy_scatter_bind {
    const struct sy_bind_msg *bind;
    struct sy_statement *statement;
    const struct sy_exec *exec;
    const struct sy_target *target;
};
enum sy_step sy_scatter_bind(struct sy_session *session, const struct sy_scatter_bind *b,
                             bool binary, struct sy_err *err);
void sy_scatter_explain(struct sy_session *session, const struct sy_exec *exec,
                        const struct sy_plan *plan, struct sy_buf *out);

/* fresh.c */
/* The text with new ids, which stay the same until sy_fresh_free(). */
enum sy_status sy_fresh_make(struct sy_session *session, struct sy_slice text,
                             struct sy_slice *ret_text, struct sy_err *err);
void sy_fresh_free(struct sy_session *session);
/* A prepared statement with new ids in its text: unnamed on servers, freed with the step of its
 * message. */
enum sy_status sy_fresh_prepared(struct sy_session *session, const struct sy_prepared *prepared,
                                 struct sy_prepared **ret_prepared, struct sy_err *err);
void sy_fresh_prepared_free(struct sy_session *session, struct sy_prepared **prepared,
                            enum sy_step step);

/* turns.c */
/* limit: rows, 0: all that are left. */
enum sy_step sy_turn_execute(struct sy_session *session, struct sy_portal *portal, uint32_t limit,
                             struct sy_err *err);
/* The same for rows that have to be combined. */
enum sy_step sy_turn_execute_merge(struct sy_session *session, struct sy_portal *portal,
                                   uint32_t limit, struct sy_err *err);
/* What a merge under a limit came to. True: nothing more is to be done now. */
bool sy_turn_merged(struct sy_session *session, enum sy_merge_state state);
/* A shard has no more rows. True: its answer is told. */
bool sy_turn_complete(struct sy_part *part, struct sy_slice tag);

/* cycle.c */
void sy_cycle_begin(struct sy_session *session, bool query);
void sy_cycle_check(struct sy_session *session);

#endif
