/*
 * Shared by the files of this folder; not for others.
 *
 * A server is in one state, and in the list of its pool that belongs to it:
 *
 *     login -> idle <-> used -> idle
 *                       used -> canceling -> resetting -> idle       (release)
 *     any state -> closing -> (freed when the link has closed and no cancel is under way)
 */
#ifndef SY_ROUTER_POOL_INTERNAL_H
#define SY_ROUTER_POOL_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/map.h"
#include "router/pool/pool.h"
#include "router/wire/frame.h"

enum pool_server_state {
    POOL_LOGIN,
    POOL_IDLE,
    POOL_USED,
    POOL_CANCELING,
    POOL_RESETTING,
    POOL_CLOSING,
    POOL_STATES
};

enum {
    POOL_BACKOFF_FIRST_US = 50 * 1000, /* after the first failure to connect; doubles */
    POOL_BACKOFF_MAX_US = 1000 * 1000,
    POOL_MAINTENANCE_US = 1000 * 1000, /* idle and lifetime limits are looked at this often */
    POOL_RESET_TIMEOUT_US =
        10 * 1000 * 1000,               /* a reset query that takes longer costs the connection */
    POOL_UNUSED_US = 300 * 1000 * 1000, /* an empty pool is forgotten after this */
    POOL_PATIENCE_US = 10 * 1000, /* how long a worker without any connection waits for another's */
    POOL_NAME_BYTES_MAX = SY_LIMIT_SERVER_NAME_BYTES,
    POOL_KEY_TAIL_BYTES = 1 + sizeof(((struct sy_link_keys *)NULL)->identity),
};

/* What a pool was told by the configuration; copied, because snapshots come and go. */
struct pool_settings {
    uint32_t size, queue_max;
    uint64_t queue_timeout_us, idle_timeout_us, lifetime_us, connect_timeout_us;
    char reset_query[128];
};

/* One (node, user, database) of all workers. */
struct pool_shared {
    struct sy_list link; /* registry */
    uint32_t refs;       /* under the registry's lock */
    struct sy_node *node;
    char user[POOL_NAME_BYTES_MAX + 1], database[POOL_NAME_BYTES_MAX + 1];
    bool lookups;
    _Atomic uint32_t limit;
    _Atomic uint32_t connections; /* reserved or open, all workers */
    _Atomic uint32_t waiting;     /* clients, all workers */
    _Atomic uint32_t hungry;      /* members that have clients waiting for capacity */
    _Atomic uint32_t giving;      /* connections being closed for another worker's sake */
    pthread_mutex_t lock;
    struct sy_list members; /* struct sy_pool.member_link, under lock */
};

struct pool_server {
    struct sy_server base;
    enum pool_server_state state;
    struct sy_pool_set *set; /* outlives the pool */
    uint32_t cancels;        /* whose `done` is still to come */
    bool link_gone;
    bool giving; /* counted in shared->giving */
    bool doomed; /* close at release: RECONNECT, KILL, a drained pool */
    bool needs_rollback, needs_reset;
    struct sy_frame_walker walker; /* of bytes that no borrower sees */
    struct sy_buf body;
    struct sy_timer reset_timer;
    char status_seen; /* of the ReadyForQuery of a reset */
    bool reset_failed;
};

struct sy_pool {
    struct sy_pool_set *set;
    struct pool_shared *shared;
    struct sy_list link; /* set->pools */
    struct sy_list member_link;
    char key[8 + 2 * (POOL_NAME_BYTES_MAX + 1) + POOL_KEY_TAIL_BYTES];
    uint32_t key_bytes;
    struct sy_buf password;
    struct sy_link_keys keys; /* wiped with the pool */
    bool has_keys, lookups;
    struct pool_settings settings;
    const struct sy_engine *engine;
    struct sy_list servers[POOL_STATES];
    uint32_t counts[POOL_STATES];
    struct sy_list waiters; /* first come, first served */
    uint32_t waiting;
    bool paused, draining, is_hungry;
    uint32_t failures; /* in a row */
    uint64_t next_try_us, last_used_us;
    struct sy_err last_error;
    struct sy_timer wait_timer, retry_timer;
    struct sy_deferred match;
    uint64_t opened, closed, failed;
    /* Read by other workers: */
    _Atomic uint32_t total; /* connections of this worker, opening ones included */
    _Atomic uint32_t idle;
    _Atomic uint64_t oldest_wait_us; /* since when the first client waits; 0: none */
    _Atomic uint32_t grants; /* reservations that another worker has passed on to this pool */
    _Atomic bool nudged;
    struct sy_message nudge;
    bool dead; /* freed when the last nudge has arrived */
};

struct pool_pause {
    struct sy_list link;
    char database[POOL_NAME_BYTES_MAX + 1]; /* empty: all */
    void (*paused)(void *ctx);              /* NULL: told already */
    void *ctx;
};

struct sy_pool_set {
    struct sy_loop *loop;
    uint32_t worker;
    struct sy_map by_key;
    struct sy_list pools;
    struct sy_list pauses;
    struct sy_timer maintenance;
    struct sy_deferred check; /* pauses and the end */
    struct sy_topology *topology;
    uint32_t dead_pools; /* waiting for a nudge to arrive */
    uint32_t cancels;    /* of all servers, whose `done` is still to come */
    bool closing;
    void (*done)(void *ctx);
    void *done_ctx;
};

static inline struct pool_server *pool_server_of(struct sy_server *server)
{
    return (struct pool_server *)(void *)server;
}

/* No message has been received in part. */
static inline bool pool_at_boundary(const struct pool_server *server)
{
    return server->walker.body_left == 0 && server->walker.header_bytes == 0;
}

/* pool.c */
void pool_set_server_state(struct pool_server *server, enum pool_server_state state);
void pool_match_soon(struct sy_pool *pool);
void pool_make_idle(struct pool_server *server);
void pool_close_server(struct pool_server *server);
void pool_fail_waiters(struct sy_pool *pool, const struct sy_err *why);
void pool_update_hunger(struct sy_pool *pool);
void pool_init_callbacks(struct sy_pool *pool);
void pool_on_nudge(struct sy_pool *pool);

/* open.c */
void pool_open_wanted(struct sy_pool *pool);
void pool_free_server(struct pool_server *server);

/* reset.c */
/* Begins ROLLBACK and the reset query as needed; ends in idle or closing. */
void pool_reset_begin(struct pool_server *server);
/* Bytes while nobody has the server. */
void pool_take_quiet(struct pool_server *server, struct sy_chunk *chunk, uint32_t from,
                     uint32_t to);

/* shared.c */
SY_MUST_CHECK enum sy_status pool_shared_join(struct sy_pool *pool, const struct sy_pool_key *key,
                                              struct sy_err *err);
void pool_shared_leave(struct sy_pool *pool);
/* A reservation for one more connection: one that was passed on, or a new one below the limit. */
bool pool_shared_reserve(struct sy_pool *pool);
/* Gives a reservation back and wakes who waits for it. */
void pool_shared_unreserve(struct sy_pool *pool);
/* Passes a reservation on to the other worker that needs it most. */
void pool_shared_pass_on(struct sy_pool *pool);
/* Gives back what was passed on and is not needed any more. */
void pool_shared_return_grants(struct sy_pool *pool);
/* Should this pool, about to keep a connection idle (or to lend it to its own waiter), give one up
 * instead? */
bool pool_shared_should_give(struct sy_pool *pool);
/* Asks workers that have idle connections for one. */
void pool_shared_ask(struct sy_pool *pool);

/* set.c */
bool pool_is_paused(const struct sy_pool_set *set, const struct sy_pool *pool);
void pool_set_check_soon(struct sy_pool_set *set);
SY_MUST_CHECK enum sy_status pool_find(struct sy_pool_set *set, const struct sy_pool_key *key,
                                       const struct sy_config_database *database,
                                       struct sy_pool **ret_pool, struct sy_err *err);

#endif
