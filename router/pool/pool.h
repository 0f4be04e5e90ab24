/*
 * Server connections, lent and taken back. One sy_pool_set per worker; limits are global across
 * workers (atomic counters in sy_node and per user). A pool is named by (node, server user,
 * database).
 *
 * A server (struct sy_server) is a link plus what the router knows of its session state: prepared
 * statements it has, settings it differs in, transaction status, what makes it dirty.
 */
#ifndef SY_ROUTER_POOL_POOL_H
#define SY_ROUTER_POOL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/loop.h"
#include "router/engine/engine.h"
#include "router/topology/topology.h"

struct sy_pool_set;
struct sy_pool;

/* A server connection. The borrower owns `user` and `events` between checkout and release. */
struct sy_server {
    struct sy_link *link;
    struct sy_pool *pool;
    struct sy_list link_in_pool;
    const struct sy_server_events *events; /* the borrower's */
    void *user;                            /* the borrower's */

    /* Kept by the borrower as it walks the backend's messages; read by the pool at release. */
    char transaction_status; /* 'I', 'T', 'E' of the last ReadyForQuery; 0: not ready (messages
                                outstanding) */
    bool session_changed;    /* something a reset query must undo */
    uint64_t
        settings_version; /* which tracked settings it has: router/session/settings.h decides */
    void *session_state;  /* opaque to the pool: freed by session_state_free */
    void (*session_state_free)(void *state);
    uint64_t opened_us, last_used_us;
    uint64_t query_count;
};

struct sy_server_events {
    void (*data)(struct sy_server *server, struct sy_chunk *chunk, uint32_t from, uint32_t to);
    void (*drained)(struct sy_server *server);
    /* The connection is gone: the borrower must not touch `server` after this returns, nor release
     * it. */
    void (*lost)(struct sy_server *server, const struct sy_err *why);
    /* The last cancel that was on its way has been delivered; may be NULL. Also from within
     * sy_pool_cancel(). */
    void (*cancelled)(struct sy_server *server);
};

/* A wait for a server. Embedded in the session; one at a time. */
struct sy_pool_wait {
    struct sy_list link;
    struct sy_pool *pool;
    uint64_t since_us;
    const char *reason; /* for SHOW CLIENTS: "pool full", "paused", "connecting" */
    void (*ready)(struct sy_pool_wait *self, struct sy_server *server);
    void (*failed)(struct sy_pool_wait *self, const struct sy_err *why);
};

struct sy_pool_key {
    struct sy_node *node;
    struct sy_slice user; /* server user */
    struct sy_slice password;
    struct sy_slice client_database;
    /* The client's own SCRAM keys, or NULL. Connections opened with one version of a password are
     * not lent to those who logged in with another. */
    const struct sy_link_keys *keys;
    bool lookups; /* for looking passwords up: never lent to a client, and few */
};

SY_MUST_CHECK enum sy_status sy_pool_set_new(struct sy_loop *loop, uint32_t worker,
                                             struct sy_pool_set **ret_set, struct sy_err *err);
/* Closes every link; the loop must turn until `done` was called. */
void sy_pool_set_close(struct sy_pool_set *set, void (*done)(void *ctx), void *ctx);
void sy_pool_set_free(struct sy_pool_set **set);

/*
 * Lends a server. An idle one: returned at once in *ret_server. Else *ret_server is NULL and
 * wait->ready or wait->failed comes later (a new connection, a released one, the wait time limit, a
 * full queue: 53300).
 */
SY_MUST_CHECK enum sy_status sy_pool_checkout(struct sy_pool_set *set,
                                              const struct sy_pool_key *key,
                                              const struct sy_config_database *database,
                                              struct sy_pool_wait *wait,
                                              struct sy_server **ret_server, struct sy_err *err);
void sy_pool_wait_cancel(struct sy_pool_wait *wait);

/* Gives back. A server that is not idle ('I'), is dirty beyond reset, or was told to reconnect is
 * closed. */
void sy_pool_release(struct sy_server *server);
/* Closes instead (state unknown, protocol doubt). */
void sy_pool_discard(struct sy_server *server);
/* Cancels what the server runs; the server is not lent to anybody else before the cancel was
 * delivered. */
void sy_pool_cancel(struct sy_server *server);
/* A cancel is on its way: a statement that the server is sent now could be hit by it. */
bool sy_pool_cancels(const struct sy_server *server);

/* ---- the gate and the console ---- */

/* PAUSE/RESUME by database (empty name: all). Pausing holds checkouts; `paused` when no server is
 * in use. */
void sy_pool_pause(struct sy_pool_set *set, struct sy_slice database, void (*paused)(void *ctx),
                   void *ctx);
void sy_pool_resume(struct sy_pool_set *set, struct sy_slice database);
/* RECONNECT: idle servers close now, used ones when released. */
void sy_pool_reconnect(struct sy_pool_set *set, struct sy_slice database);
/* KILL: drops servers and fails waiters. */
void sy_pool_kill(struct sy_pool_set *set, struct sy_slice database);
/* A new topology: pools of nodes that left drain and close. */
void sy_pool_set_topology(struct sy_pool_set *set, struct sy_topology *topology);

struct sy_pool_stats {
    const char *database, *user, *node, *shard;
    uint32_t waiting, active, used, idle, login, tested;
    uint64_t oldest_wait_us;
    uint64_t opened, closed, failed;
};
void sy_pool_each(struct sy_pool_set *set,
                  void (*row)(void *ctx, const struct sy_pool_stats *stats), void *ctx);
/* The user that a server was logged in as. */
const char *sy_pool_server_user(const struct sy_server *server);
void sy_pool_each_server(struct sy_pool_set *set,
                         void (*row)(void *ctx, const struct sy_server *server, const char *state),
                         void *ctx);

#endif
