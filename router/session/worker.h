/*
 * A worker: one thread with a loop, a parser, its server connections and its clients. Everything
 * that hangs on a worker is touched by its thread only; others post messages.
 */
#ifndef SY_ROUTER_SESSION_WORKER_H
#define SY_ROUTER_SESSION_WORKER_H

#include <openssl/types.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/map.h"
#include "parser/parser.h"
#include "router/metrics/counters.h"
#include "router/pool/pool.h"
#include "router/session/auth_cache.h"
#include "router/session/budget.h"
#include "router/session/cancel.h"
#include "router/session/clients.h"
#include "router/session/declaring.h"
#include "router/session/failures.h"
#include "router/session/ids.h"
#include "router/session/prepared.h"
#include "router/session/rates.h"
#include "router/session/reload.h"
#include "router/session/scheduling.h"
#include "router/session/settings.h"
#include "router/topology/topology.h"

struct sy_session;
struct sy_worker;

/* What all workers share. Lives as long as the process serves. */
struct sy_process {
    struct sy_worker **workers;
    uint32_t worker_count;
    struct sy_cancel_registry *cancels;
    struct sy_client_counts *counts;
    struct sy_login_failures *failures;
    struct sy_auth_cache *auth_cache;
    struct sy_rates *rates;
    struct sy_budget *budget;
    uint8_t mock_nonce[32]; /* makes unknown users look like known ones */
    _Atomic bool draining;  /* a graceful shutdown has begun: no new clients, idle ones leave */
    _Atomic uint32_t unauthenticated; /* sockets that have not logged in */
    pthread_mutex_t tls_lock;
    SSL_CTX *client_tls; /* of the listeners, or NULL; under tls_lock: replaced at RELOAD */
    uint64_t started_us;
    struct sy_id_source ids;               /* of switchyard.next_id() */
    struct sy_reload_board *reloads;       /* requests of RELOAD and their outcome */
    struct sy_declare_board *declarations; /* those that wait, and what came of them */
    /* Set by cli/serve.c: what the console's commands and signals ask for. Any thread. */
    void (*request_reload)(void *ctx);
    void (*request_declare)(void *ctx);
    void (*request_shutdown)(void *ctx, bool immediately);
    void *ctx;
};

/* A database as one worker sees it. */
struct sy_worker_database {
    struct sy_slice name; /* owned */
    const struct sy_topology_database
        *topology; /* of worker->topology; NULL: gone at the last RELOAD */
    struct sy_database_counters *counters;
    struct sy_node_counters *
        *node_counters; /* [shard * SY_LIMIT_NODES_PER_SHARD + node]; made on first use */
    uint32_t node_counter_count;
    struct sy_map welcomes; /* settings id -> ParameterStatus messages (struct welcome) */
    uint32_t clients;
    uint32_t rotation;              /* round robin over shards for statements without a table */
    struct sy_parameters *defaults; /* what a server reports before any client's settings */
    bool has_replicas, sharded, disabled, paused;
    bool held;    /* sy_worker_hold() */
    bool renamed; /* sharded, and a server's database has another name than the clients' */
};

struct sy_worker {
    struct sy_process *process;
    uint32_t index;
    struct sy_loop *loop;
    struct sy_parser *parser;
    struct sy_pool_set *pools;
    struct sy_topology *topology,
        *previous_topology; /* references; statements of the last epoch may still run */
    uint64_t epoch;
    struct sy_map databases;
    struct sy_list sessions;
    uint32_t session_count;
    struct sy_list strangers; /* sessions that have not logged in, oldest first */
    uint32_t stranger_count;
    struct sy_settings_registry settings;
    struct sy_settings *no_settings;
    struct sy_statement_registry statements;
    uint64_t last_serial;      /* of clients' unnamed statements */
    struct sy_list free_parts; /* slab of participants */
    uint32_t free_part_count;
    struct sy_metrics_block *metrics;
    struct sy_arena arena; /* one statement's scratch, reset when its handler returns */
    struct sy_buf scratch; /* messages being built */
    uint64_t stats_ticked_us;
    struct sy_timer tick; /* once a second: draining, statistics */
    struct sy_scheduling scheduling;
    pthread_t thread;
    bool pools_closed, stopping;
};

/* A reference to the listeners' TLS context for SSL_CTX_free(), or NULL. Any thread. */
SSL_CTX *sy_process_client_tls(struct sy_process *process);
/* Takes the reference. Connections that have the old one keep it. Any thread. */
void sy_process_set_client_tls(struct sy_process *process, SSL_CTX *context);

/* Creates the parts on the calling thread, which must be the one that runs it. */
SY_MUST_CHECK enum sy_status sy_worker_init(struct sy_worker *worker, struct sy_process *process,
                                            uint32_t index, struct sy_err *err);
void sy_worker_release(struct sy_worker *worker);
/* Runs until sy_worker_stop(). */
SY_MUST_CHECK enum sy_status sy_worker_run(struct sy_worker *worker, struct sy_err *err);
/* Any thread: closes all clients and servers, then ends the run. */
void sy_worker_stop(struct sy_worker *worker);
/* Any thread: take the topology that was just published into use, and look at process->draining. */
void sy_worker_wake(struct sy_worker *worker);

/* One relaxed load; takes a new topology into use between two statements. */
void sy_worker_refresh(struct sy_worker *worker);
/* NULL: there is no such database. */
struct sy_worker_database *sy_worker_database(struct sy_worker *worker, struct sy_slice name);

/* Any thread: takes no new work for the servers of a database (hold), or takes the topology that
 * was just published into use and goes on; what PAUSE holds stays held. Counts *done up when it is
 * so; `done` must live until then. False: no memory, nothing will happen. */
bool sy_worker_hold(struct sy_worker *worker, const char *database, bool hold,
                    _Atomic uint32_t *done);

/* ---- for the console ---- */

/*
 * Calls `visit` on every worker's thread, one after the other, then `done` on the thread of the
 * worker that asked. ctx is the caller's and is touched by one thread at a time. How the console
 * collects what workers own.
 */
SY_MUST_CHECK enum sy_status sy_worker_visit_all(struct sy_worker *asking,
                                                 void (*visit)(struct sy_worker *worker, void *ctx),
                                                 void (*done)(struct sy_worker *asking, void *ctx),
                                                 void *ctx, struct sy_err *err);

#endif
