/*
 * A shard at run time: its files (the primary's and its replicas'), their reader connections, the
 * one writer, and who may write.
 *
 * Writing: whoever wants to write joins a queue, first in, first out. A single statement outside a
 * transaction is run by the shard's writer task together with others of its kind (group commit: a
 * SAVEPOINT each, one COMMIT, one fsync, and only then the answers). Everything else gets the
 * writer to itself until it commits: shard->owner.
 *
 * Thread: fields are under `lock` unless said otherwise. Lock order: shard->lock before file->lock;
 * neither is held while SQLite runs, except file->lock while a catalog is read for the first time.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_SHARD_H
#define SY_ROUTER_ENGINE_SQLITE_SHARD_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/map.h"
#include "router/engine/sqlite/catalog.h"
#include "router/engine/sqlite/conn.h"
#include "router/engine/sqlite/tasks.h"
#include "router/topology/topology.h"

struct sy_sqlite_shard;
struct sy_sqlite_plan;
struct sy_sqlite_capture;
struct sy_sqlite_branch;
struct sy_sqlite_replica;

enum {
    SY_SQLITE_IDLE_READERS = 16, /* connections kept open per file */
    SY_SQLITE_READERS_MAX =
        128,                /* open per file: snapshots and slow clients hold some. More: 53300 */
    SY_SQLITE_PLANS = 4096, /* translations kept per file */
    SY_SQLITE_BATCH = 128,  /* statements of one group commit */
    SY_SQLITE_BATCH_US = 5000, /* and how long it may collect */
};

struct sy_sqlite_file {
    struct sy_sqlite_shard *shard;
    uint32_t index; /* 0: the primary's */
    char *path;
    pthread_mutex_t lock;
    struct sy_list idle;   /* reader connections, most recently used first */
    uint32_t reader_count; /* open, idle or not */
    struct sy_sqlite_catalog *catalog;
    _Atomic uint64_t generation; /* of catalog: to see without the lock that nothing has changed */
    struct sy_map plans;
    struct sy_list plans_by_use;
    uint32_t plan_count;
    _Atomic uint64_t lsn; /* committed (replica: applied) up to */
    struct sy_node
        *node; /* the router's view of this file, NULL until it was attached; referenced */
    struct sy_sqlite_replica *replica; /* what feeds it; NULL for the primary */
};

/* The value of a sequence. In memory it runs ahead of the file: a rolled back nextval() is not
 * given again. */
struct sy_sqlite_sequence {
    uint32_t oid;
    int64_t last_value;
    bool is_called, dirty;
};

struct sy_sqlite_shard {
    struct sy_list link; /* of all shards of the process */
    struct sy_sqlite_file *files[SY_LIMIT_NODES_PER_SHARD];
    uint32_t file_count;

    pthread_mutex_t lock;
    struct sy_list waiters; /* sessions that want the writer (session->writer_link) */
    struct sy_sqlite_session *_Atomic owner; /* has the writer to itself */
    struct sy_sqlite_branch *prepared;       /* or this has: a transaction that is prepared */
    bool ready;                              /* under the registry's lock: recovered, may be used */
    _Atomic bool several; /* of a database with other shards: transactions may be prepared */
    /* Its class of a sequence's values: its number, of so many (router/plan/sequence.h); 1: all. */
    _Atomic uint32_t class_index, class_count;
    bool driving; /* the writer task is at work, or about to be */
    struct sy_sqlite_task writer_task;
    struct sy_list sessions; /* open ones of all its files (session->shard_link) */
    struct sy_list timed;    /* sessions with a time limit (session->timed_link) */
    struct sy_sqlite_tick tick;
    int64_t started_us; /* since 2000-01-01 UTC */
    uint64_t group_commits, group_statements;

    /* Touched only by who has the writer. */
    struct sy_sqlite_conn *writer;
    struct sy_sqlite_capture *capture;
    int64_t changes_before; /* rows changed by the connection when the transaction began */
    bool changed;           /* the transaction that is being committed has changed something */
    struct sy_sqlite_branch *owed; /* decided, but its COMMIT failed: before anything else */
    struct sy_sqlite_sequence *sequences;
    uint32_t sequence_count;
    bool sequences_dirty;
};

/* The file when its shard is open and may be used. Errors: SY_E_CONNECT. */
SY_MUST_CHECK enum sy_status sy_sqlite_file_find(const char *path, uint32_t index,
                                                 struct sy_sqlite_file **ret_file,
                                                 struct sy_err *err);
/* Reads anew what was read when the shard was opened; nobody uses it yet. */
SY_MUST_CHECK enum sy_status sy_sqlite_shard_reload(struct sy_sqlite_shard *shard,
                                                    struct sy_err *err);
/* Ties the router's node to its file: role, reachability and replay position are published there
 * from now on. */
void sy_sqlite_file_attach(struct sy_sqlite_file *file, struct sy_node *node);
/* Makes `lsn` the file's position, here and in the node. */
void sy_sqlite_file_publish(struct sy_sqlite_file *file, uint64_t lsn);

/* A reader connection for as long as the caller needs it. Errors: SY_E_TOO_MANY, SY_E_IO. */
SY_MUST_CHECK enum sy_status sy_sqlite_reader_take(struct sy_sqlite_file *file,
                                                   struct sy_sqlite_conn **ret_conn,
                                                   struct sy_err *err);
void sy_sqlite_reader_give(struct sy_sqlite_file *file, struct sy_sqlite_conn **conn);

/* The newest committed image, referenced. */
struct sy_sqlite_catalog *sy_sqlite_file_catalog(struct sy_sqlite_file *file);
/* Reads the image anew after a commit that changed it. Takes over the reference when one is given.
 */
void sy_sqlite_file_set_catalog(struct sy_sqlite_file *file, struct sy_sqlite_catalog *catalog);

/* ---- the writer ---- */

/*
 * Joins the queue. The session must already be marked as waiting, and the caller must not touch it
 * afterwards. When its turn comes the session is woken as owner, or has been served by the group
 * commit.
 */
void sy_sqlite_writer_request(struct sy_sqlite_shard *shard, struct sy_sqlite_session *session);
/* Leaves the queue; false: its turn has come already. */
bool sy_sqlite_writer_withdraw(struct sy_sqlite_shard *shard, struct sy_sqlite_session *session);
/* Ends ownership. */
void sy_sqlite_writer_release(struct sy_sqlite_shard *shard, struct sy_sqlite_session *session);

/* BEGIN IMMEDIATE / COMMIT / ROLLBACK on the writer, by whoever has it. Returns SQLite's result
 * code. A commit moves the position on, writes sequences and hands the changes to the replicas. */
SY_MUST_CHECK int sy_sqlite_writer_begin(struct sy_sqlite_shard *shard, bool redo);
SY_MUST_CHECK int sy_sqlite_writer_commit(struct sy_sqlite_shard *shard);
/* The two halves of a commit. In between it cannot fail but for the disk. */
SY_MUST_CHECK int sy_sqlite_writer_prepare(struct sy_sqlite_shard *shard);
SY_MUST_CHECK int sy_sqlite_writer_finish(struct sy_sqlite_shard *shard);
/* From the owner to a prepared transaction; NULL: back to whoever waits. */
void sy_sqlite_writer_lend(struct sy_sqlite_shard *shard, struct sy_sqlite_branch *branch);
void sy_sqlite_writer_rollback(struct sy_sqlite_shard *shard);

/* The sequence's place in memory, NULL: no such sequence or no memory. By who has the writer. */
struct sy_sqlite_sequence *sy_sqlite_sequence(struct sy_sqlite_shard *shard, uint32_t oid);

/* ---- the process ---- */

/* For each shard of the process, under the lock of the registry. */
void sy_sqlite_each_shard(void (*each)(void *ctx, struct sy_sqlite_shard *shard), void *ctx);

#endif
