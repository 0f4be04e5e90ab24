/*
 * The pools of one worker: finding and making them, PAUSE and its relatives, a new topology, limits
 * of age, the orderly end, and rows for the console. Everything runs on the worker's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "router/engine/engine.h"
#include "router/pool/internal.h"

static struct sy_pool *of_list(struct sy_list *at)
{
    return sy_container_of(at, struct sy_pool, link);
}

static struct pool_server *server_of_list(struct sy_list *at)
{
    return pool_server_of(sy_container_of(at, struct sy_server, link_in_pool));
}

static bool name_matches(const char *pattern, const struct sy_pool *pool)
{
    return pattern[0] == '\0' || strcmp(pattern, pool->shared->database) == 0;
}

bool pool_is_paused(const struct sy_pool_set *set, const struct sy_pool *pool)
{
    sy_list_each(at, &set->pauses)
    {
        if (name_matches(sy_container_of(at, struct pool_pause, link)->database, pool))
            return true;
    }
    return false;
}

/* ---- settings ---- */

static void take_settings(struct sy_pool *pool, const struct sy_config_database *database)
{
    struct pool_settings *settings = &pool->settings;
    settings->size = database->pool.size != 0 ? database->pool.size : 1;
    if (pool->lookups && settings->size > SY_LIMIT_AUTH_QUERY_CONNECTIONS)
        settings->size = SY_LIMIT_AUTH_QUERY_CONNECTIONS;
    settings->queue_max = database->pool.queue_max;
    settings->queue_timeout_us = database->pool.queue_timeout_us;
    settings->idle_timeout_us = database->pool.idle_timeout_us;
    settings->lifetime_us = database->pool.lifetime_us;
    settings->connect_timeout_us = database->pool.connect_timeout_us;
    const char *reset =
        database->pool.reset_query != NULL ? database->pool.reset_query : "DISCARD ALL";
    size_t bytes = strlen(reset);
    /* A longer one cannot be kept; without one, changed servers are closed, which is right if
     * slower. */
    bytes = bytes < sizeof(settings->reset_query) ? bytes : 0;
    memcpy(settings->reset_query, reset, bytes);
    settings->reset_query[bytes] = '\0';
    if (pool->shared != NULL)
        atomic_store(&pool->shared->limit, settings->size);
}

/* ---- making and freeing ---- */

static uint32_t write_key(char *out, const struct sy_pool_key *key)
{
    char *at = out;
    memcpy(at, &key->node, sizeof(key->node));
    at += sizeof(key->node);
    memcpy(at, key->user.data, key->user.bytes);
    at += key->user.bytes;
    *at++ = '\0';
    if (key->client_database.bytes != 0)
        memcpy(at, key->client_database.data, key->client_database.bytes);
    at += key->client_database.bytes;
    if (key->lookups || key->keys != NULL) { /* a name has no zero byte, so this cannot be one */
        *at++ = '\0';
        if (key->keys != NULL) {
            memcpy(at, key->keys->identity, sizeof(key->keys->identity));
            at += sizeof(key->keys->identity);
        }
    }
    return (uint32_t)(at - out);
}

static void take_password(struct sy_pool *pool, struct sy_slice password)
{
    struct sy_buf *mine = &pool->password;
    if (mine->bytes == password.bytes &&
        (password.bytes == 0 || memcmp(mine->data, password.data, password.bytes) == 0))
        return;
    if (mine->data != NULL)
        explicit_bzero(mine->data, mine->capacity);
    sy_buf_clear(mine);
    sy_buf_append_slice(mine, password);
}

static void free_pool(struct sy_pool *pool)
{
    if (pool->password.data != NULL)
        explicit_bzero(pool->password.data, pool->password.capacity);
    sy_buf_release(&pool->password);
    explicit_bzero(&pool->keys, sizeof(pool->keys));
    free(pool);
}

static void nudge_arrived(struct sy_message *message, struct sy_loop *loop)
{
    (void)loop;
    struct sy_pool *pool = sy_container_of(message, struct sy_pool, nudge);
    struct sy_pool_set *set = pool->set;
    atomic_store(&pool->nudged, false);
    if (!pool->dead) {
        pool_on_nudge(pool);
        return;
    }
    set->dead_pools--;
    free_pool(pool);
    pool_set_check_soon(set);
}

static enum sy_status make_pool(struct sy_pool_set *set, const struct sy_pool_key *key,
                                const struct sy_config_database *database,
                                struct sy_pool **ret_pool, struct sy_err *err)
{
    struct sy_pool *pool = SY_FAULT("pool.memory") ? NULL : calloc(1, sizeof(*pool));
    if (pool == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    pool->set = set;
    pool->engine = sy_engine_of(key->node->engine);
    pool->nudge.deliver = nudge_arrived;
    pool->key_bytes = write_key(pool->key, key);
    sy_list_init(&pool->waiters);
    sy_list_init(&pool->member_link);
    for (unsigned i = 0; i < POOL_STATES; i++)
        sy_list_init(&pool->servers[i]);
    pool_init_callbacks(pool);
    pool->lookups = key->lookups;
    pool->has_keys = key->keys != NULL;
    if (pool->has_keys)
        pool->keys = *key->keys;
    take_settings(pool, database);
    enum sy_status status =
        sy_map_put(&set->by_key, (struct sy_slice){pool->key, pool->key_bytes}, pool, NULL, err);
    if (status == SY_OK) {
        status = pool_shared_join(pool, key, err);
        if (status != SY_OK)
            sy_map_remove(&set->by_key, (struct sy_slice){pool->key, pool->key_bytes});
    }
    if (status != SY_OK) {
        free_pool(pool);
        return status;
    }
    pool->paused = pool_is_paused(set, pool);
    pool->last_used_us = sy_loop_now_us(set->loop);
    sy_list_append(&set->pools, &pool->link);
    *ret_pool = pool;
    return SY_OK;
}

enum sy_status pool_find(struct sy_pool_set *set, const struct sy_pool_key *key,
                         const struct sy_config_database *database, struct sy_pool **ret_pool,
                         struct sy_err *err)
{
    char text[sizeof(((struct sy_pool *)NULL)->key)];
    if (set->closing)
        return sy_err_set(err, SY_E_SHUTDOWN, "the router is shutting down");
    if (key->user.bytes == 0 || key->user.bytes > POOL_NAME_BYTES_MAX ||
        key->client_database.bytes > POOL_NAME_BYTES_MAX)
        return sy_err_set(err, SY_E_LIMIT,
                          "the name of a server user or database is empty or too long");
    struct sy_slice name = {text, write_key(text, key)};
    struct sy_pool *pool = sy_map_get(&set->by_key, name);
    if (pool == NULL) {
        if (sy_engine_of(key->node->engine) == NULL)
            return sy_err_set(err, SY_E_UNSUPPORTED,
                              "the engine of database %s is not part of this program",
                              key->node->database);
        enum sy_status status = make_pool(set, key, database, &pool, err);
        if (status != SY_OK)
            return status;
    }
    take_password(pool, key->password);
    *ret_pool = pool;
    return SY_OK;
}

static bool is_empty(const struct sy_pool *pool)
{
    return pool->waiting == 0 && atomic_load(&pool->total) == 0;
}

static void forget_pool(struct sy_pool *pool)
{
    struct sy_pool_set *set = pool->set;
    sy_map_remove(&set->by_key, (struct sy_slice){pool->key, pool->key_bytes});
    sy_list_remove(&pool->link);
    sy_timer_cancel(set->loop, &pool->wait_timer);
    sy_timer_cancel(set->loop, &pool->retry_timer);
    sy_loop_defer_cancel(&pool->match);
    pool_update_hunger(pool);
    pool_shared_leave(pool);
    pool->dead = true;
    /* No one can nudge any more; one that is on its way must find the memory. */
    if (atomic_load(&pool->nudged))
        set->dead_pools++;
    else
        free_pool(pool);
}

/* ---- walking servers ---- */

static void close_idle(struct sy_pool *pool)
{
    while (!sy_list_empty(&pool->servers[POOL_IDLE]))
        pool_close_server(server_of_list(pool->servers[POOL_IDLE].next));
}

static void doom(struct sy_pool *pool)
{
    close_idle(pool);
    static const enum pool_server_state busy[] = {POOL_LOGIN, POOL_USED, POOL_CANCELING,
                                                  POOL_RESETTING};
    for (unsigned i = 0; i < sizeof(busy) / sizeof(busy[0]); i++)
        sy_list_each(at, &pool->servers[busy[i]]) server_of_list(at)->doomed = true;
}

/* Borrowers are told by `lost`, waiters by `failed`. */
static void drop_all(struct sy_pool *pool, const struct sy_err *why)
{
    for (unsigned state = 0; state < POOL_CLOSING; state++)
        while (!sy_list_empty(&pool->servers[state])) {
            struct pool_server *server = server_of_list(pool->servers[state].next);
            const struct sy_server_events *events = server->base.events;
            pool_close_server(server);
            if (state == POOL_USED && events != NULL)
                events->lost(&server->base, why);
        }
    pool_fail_waiters(pool, why);
}

/* ---- the set ---- */

static void age_pool(struct sy_pool *pool, uint64_t now_us)
{
    const struct pool_settings *settings = &pool->settings;
    sy_list_each_safe(at, &pool->servers[POOL_IDLE])
    {
        struct pool_server *server = server_of_list(at);
        bool idle_long = settings->idle_timeout_us != 0 &&
                         now_us - server->base.last_used_us > settings->idle_timeout_us;
        bool old =
            settings->lifetime_us != 0 && now_us - server->base.opened_us > settings->lifetime_us;
        if (idle_long || old)
            pool_close_server(server);
    }
}

static void on_maintenance(struct sy_timer *timer)
{
    struct sy_pool_set *set = sy_container_of(timer, struct sy_pool_set, maintenance);
    uint64_t now_us = sy_loop_now_us(set->loop);
    sy_list_each_safe(at, &set->pools)
    {
        struct sy_pool *pool = of_list(at);
        age_pool(pool, now_us);
        if (is_empty(pool) && (pool->draining || now_us - pool->last_used_us > POOL_UNUSED_US))
            forget_pool(pool);
        else if (pool->waiting != 0)
            pool_match_soon(
                pool); /* a worker without patience left may now be given a connection */
    }
    sy_timer_start(set->loop, &set->maintenance, POOL_MAINTENANCE_US);
}

static bool all_gone(const struct sy_pool_set *set, const char *database)
{
    sy_list_each(at, &set->pools)
    {
        const struct sy_pool *pool = of_list(at);
        if (name_matches(database, pool) && atomic_load(&pool->total) != 0)
            return false;
    }
    return true;
}

static void end_if_done(struct sy_pool_set *set)
{
    if (!set->closing || set->done == NULL)
        return;
    sy_list_each_safe(at, &set->pools)
    {
        if (is_empty(of_list(at)))
            forget_pool(of_list(at));
    }
    if (!sy_list_empty(&set->pools) || set->dead_pools != 0 || set->cancels != 0)
        return;
    void (*done)(void *ctx) = set->done;
    set->done = NULL;
    sy_timer_cancel(set->loop, &set->maintenance);
    done(set->done_ctx);
}

/* Deferred: has a pause taken hold, is the end reached? */
static void check(struct sy_deferred *deferred)
{
    struct sy_pool_set *set = sy_container_of(deferred, struct sy_pool_set, check);
    sy_list_each_safe(at, &set->pauses)
    {
        struct pool_pause *pause = sy_container_of(at, struct pool_pause, link);
        if (pause->paused == NULL || !all_gone(set, pause->database))
            continue;
        void (*paused)(void *ctx) = pause->paused;
        pause->paused = NULL;
        paused(pause->ctx);
        pool_set_check_soon(set); /* the list may have changed */
        break;
    }
    end_if_done(set);
}

void pool_set_check_soon(struct sy_pool_set *set)
{
    if (set->closing || !sy_list_empty(&set->pauses))
        sy_loop_defer(set->loop, &set->check);
}

enum sy_status sy_pool_set_new(struct sy_loop *loop, uint32_t worker, struct sy_pool_set **ret_set,
                               struct sy_err *err)
{
    struct sy_pool_set *set = calloc(1, sizeof(*set));
    if (set == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    set->loop = loop;
    set->worker = worker;
    sy_list_init(&set->pools);
    sy_list_init(&set->pauses);
    sy_timer_init(&set->maintenance, on_maintenance);
    sy_deferred_init(&set->check, check);
    sy_timer_start(loop, &set->maintenance, POOL_MAINTENANCE_US);
    *ret_set = set;
    return SY_OK;
}

void sy_pool_set_close(struct sy_pool_set *set, void (*done)(void *ctx), void *ctx)
{
    struct sy_err why = {0};
    (void)!sy_err_set(&why, SY_E_SHUTDOWN, "%s", sy_status_text(SY_E_SHUTDOWN));
    set->closing = true;
    set->done = done;
    set->done_ctx = ctx;
    sy_list_each(at, &set->pools)
    {
        drop_all(of_list(at), &why);
    }
    sy_loop_defer(set->loop, &set->check);
}

void sy_pool_set_free(struct sy_pool_set **set)
{
    struct sy_pool_set *self = *set;
    *set = NULL;
    if (self == NULL)
        return;
    sy_timer_cancel(self->loop, &self->maintenance);
    sy_loop_defer_cancel(&self->check);
    while (!sy_list_empty(&self->pauses))
        free(sy_container_of(sy_list_pop(&self->pauses), struct pool_pause, link));
    while (!sy_list_empty(&self->pools))
        forget_pool(of_list(self->pools.next));
    sy_map_release(&self->by_key);
    sy_topology_unref(&self->topology);
    free(self);
}

/* ---- the gate and the console ---- */

static struct pool_pause *find_pause(struct sy_pool_set *set, struct sy_slice database)
{
    sy_list_each(at, &set->pauses)
    {
        struct pool_pause *pause = sy_container_of(at, struct pool_pause, link);
        if (sy_slice_eq(sy_slice_of(pause->database), database))
            return pause;
    }
    return NULL;
}

static void apply_pauses(struct sy_pool_set *set)
{
    sy_list_each(at, &set->pools)
    {
        struct sy_pool *pool = of_list(at);
        pool->paused = pool_is_paused(set, pool);
        if (pool->paused)
            close_idle(pool);
        pool_update_hunger(pool);
        pool_match_soon(pool);
    }
    sy_loop_defer(set->loop, &set->check);
}

void sy_pool_pause(struct sy_pool_set *set, struct sy_slice database, void (*paused)(void *ctx),
                   void *ctx)
{
    if (database.bytes > POOL_NAME_BYTES_MAX)
        return; /* no pool has such a name */
    struct pool_pause *pause = find_pause(set, database);
    if (pause == NULL) {
        pause = calloc(1, sizeof(*pause));
        if (pause == NULL)
            return;
        if (database.bytes != 0)
            memcpy(pause->database, database.data, database.bytes);
        sy_list_append(&set->pauses, &pause->link);
    }
    pause->paused = paused;
    pause->ctx = ctx;
    apply_pauses(set);
}

void sy_pool_resume(struct sy_pool_set *set, struct sy_slice database)
{
    sy_list_each_safe(at, &set->pauses)
    {
        struct pool_pause *pause = sy_container_of(at, struct pool_pause, link);
        if (database.bytes != 0 && !sy_slice_eq(sy_slice_of(pause->database), database))
            continue;
        sy_list_remove(&pause->link);
        free(pause);
    }
    apply_pauses(set);
}

void sy_pool_reconnect(struct sy_pool_set *set, struct sy_slice database)
{
    sy_list_each(at, &set->pools)
    {
        struct sy_pool *pool = of_list(at);
        if (database.bytes == 0 || sy_slice_eq(sy_slice_of(pool->shared->database), database))
            doom(pool);
    }
}

void sy_pool_kill(struct sy_pool_set *set, struct sy_slice database)
{
    struct sy_err why = {0};
    (void)!sy_err_set(&why, SY_E_SHUTDOWN, "terminating connection due to administrator command");
    sy_list_each(at, &set->pools)
    {
        struct sy_pool *pool = of_list(at);
        if (database.bytes == 0 || sy_slice_eq(sy_slice_of(pool->shared->database), database))
            drop_all(pool, &why);
    }
}

static bool has_node(const struct sy_topology *topology, const struct sy_node *node)
{
    const struct sy_topology_database *database =
        sy_topology_find(topology, sy_slice_of(node->database));
    if (database == NULL || node->shard_index > database->shard_count)
        return false;
    const struct sy_topology_shard *shard = node->shard_index == database->shard_count
                                                ? &database->federation
                                                : &database->shards[node->shard_index];
    return node->node_index < shard->node_count && shard->nodes[node->node_index] == node;
}

void sy_pool_set_topology(struct sy_pool_set *set, struct sy_topology *topology)
{
    struct sy_topology *old = set->topology;
    set->topology = sy_topology_ref(topology);
    struct sy_err why = {0};
    sy_list_each(at, &set->pools)
    {
        struct sy_pool *pool = of_list(at);
        const struct sy_node *node = pool->shared->node;
        pool->draining = !has_node(topology, node);
        if (!pool->draining) {
            take_settings(pool, sy_topology_find(topology, sy_slice_of(node->database))->config);
            continue;
        }
        doom(pool);
        (void)!sy_err_set(&why, SY_E_SHUTDOWN, "node %s left the configuration", node->name);
        pool_fail_waiters(pool, &why);
    }
    sy_topology_unref(&old);
}

/* ---- rows ---- */

void sy_pool_each(struct sy_pool_set *set,
                  void (*row)(void *ctx, const struct sy_pool_stats *stats), void *ctx)
{
    uint64_t now_us = sy_loop_now_us(set->loop);
    sy_list_each(at, &set->pools)
    {
        const struct sy_pool *pool = of_list(at);
        uint64_t since_us =
            pool->waiting == 0
                ? now_us
                : sy_container_of(pool->waiters.next, struct sy_pool_wait, link)->since_us;
        struct sy_pool_stats stats = {
            .database = pool->shared->database,
            .user = pool->shared->user,
            .node = pool->shared->node->name,
            .shard = pool->shared->node->shard,
            .waiting = pool->waiting,
            .active = pool->counts[POOL_USED] + pool->counts[POOL_CANCELING],
            .idle = pool->counts[POOL_IDLE],
            .login = pool->counts[POOL_LOGIN],
            .tested = pool->counts[POOL_RESETTING],
            .oldest_wait_us = now_us - since_us,
            .opened = pool->opened,
            .closed = pool->closed,
            .failed = pool->failed,
        };
        row(ctx, &stats);
    }
}

const char *sy_pool_server_user(const struct sy_server *server)
{
    return server->pool->shared->user;
}

void sy_pool_each_server(struct sy_pool_set *set,
                         void (*row)(void *ctx, const struct sy_server *server, const char *state),
                         void *ctx)
{
    static const char *const names[POOL_STATES] = {
        [POOL_LOGIN] = "login",         [POOL_IDLE] = "idle",        [POOL_USED] = "active",
        [POOL_CANCELING] = "canceling", [POOL_RESETTING] = "tested", [POOL_CLOSING] = "closing",
    };
    sy_list_each(at, &set->pools)
    {
        struct sy_pool *pool = of_list(at);
        for (unsigned state = 0; state < POOL_STATES; state++)
            sy_list_each(link, &pool->servers[state])
                row(ctx, &server_of_list(link)->base, names[state]);
    }
}
