/*
 * Lending and taking back. The usual path (an idle server, no one waiting) allocates nothing and
 * takes no lock. Waiters are matched with servers at the end of the loop's turn, so that nobody's
 * callback runs inside another client's release.
 */
#include "router/pool/internal.h"

#include <string.h>

void pool_set_server_state(struct pool_server *server, enum pool_server_state state)
{
    struct sy_pool *pool = server->base.pool;
    pool->counts[server->state]--;
    sy_list_remove(&server->base.link_in_pool);
    if (server->state == POOL_USED)
        atomic_fetch_sub_explicit(&pool->shared->node->active, 1, memory_order_relaxed);
    server->state = state;
    pool->counts[state]++;
    sy_list_prepend(&pool->servers[state], &server->base.link_in_pool);
    atomic_store(&pool->idle, pool->counts[POOL_IDLE]);
    if (state == POOL_USED)
        atomic_fetch_add_explicit(&pool->shared->node->active, 1, memory_order_relaxed);
}

void pool_match_soon(struct sy_pool *pool)
{
    if (!pool->dead)
        sy_loop_defer(pool->set->loop, &pool->match);
}

void pool_close_server(struct pool_server *server)
{
    struct sy_pool *pool = server->base.pool;
    if (server->state == POOL_CLOSING)
        return;
    sy_timer_cancel(pool->set->loop, &server->reset_timer);
    pool_set_server_state(server, POOL_CLOSING);
    server->base.events = NULL;
    if (!server->link_gone)
        server->base.link->engine->close(server->base.link);
}

static void give_away(struct pool_server *server)
{
    server->giving = true;
    atomic_fetch_add(&server->base.pool->shared->giving, 1);
    pool_close_server(server);
}

static bool is_too_old(const struct pool_server *server, uint64_t now_us)
{
    uint64_t lifetime_us = server->base.pool->settings.lifetime_us;
    return lifetime_us != 0 && now_us - server->base.opened_us > lifetime_us;
}

/* The server is clean: the next one waiting gets it, or it rests. */
void pool_make_idle(struct pool_server *server)
{
    struct sy_pool *pool = server->base.pool;
    const struct pool_shared *shared = pool->shared;
    uint64_t now_us = sy_loop_now_us(pool->set->loop);
    server->base.last_used_us = now_us;
    pool->last_used_us = now_us;
    if (server->doomed || pool->draining || pool->paused || is_too_old(server, now_us) ||
        atomic_load_explicit(&shared->connections, memory_order_relaxed) >
            atomic_load_explicit(&shared->limit, memory_order_relaxed)) {
        pool_close_server(server);
        return;
    }
    /* One that was opened for clients who still wait serves one of them first: workers that all
     * have none would pass it round for ever. */
    bool promised = server->state == POOL_LOGIN && pool->waiting != 0;
    pool_set_server_state(server, POOL_IDLE);
    if (pool->waiting != 0)
        pool_match_soon(pool);
    if (!promised && pool_shared_should_give(pool))
        give_away(server);
}

/* ---- waiting ---- */

void pool_update_hunger(struct sy_pool *pool)
{
    bool hungry = pool->waiting != 0 && !pool->paused && !pool->draining;
    uint64_t oldest_us = 0;
    if (pool->waiting != 0)
        oldest_us = sy_container_of(pool->waiters.next, struct sy_pool_wait, link)->since_us;
    atomic_store(&pool->oldest_wait_us, hungry ? oldest_us + (oldest_us == 0 ? 1 : 0) : 0);
    if (hungry != pool->is_hungry) {
        pool->is_hungry = hungry;
        if (hungry)
            atomic_fetch_add(&pool->shared->hungry, 1);
        else
            atomic_fetch_sub(&pool->shared->hungry, 1);
    }
    struct sy_loop *loop = pool->set->loop;
    if (pool->waiting == 0 || pool->settings.queue_timeout_us == 0) {
        sy_timer_cancel(loop, &pool->wait_timer);
        return;
    }
    uint64_t due_us = oldest_us + pool->settings.queue_timeout_us, now_us = sy_loop_now_us(loop);
    if (!sy_timer_armed(&pool->wait_timer))
        sy_timer_start(loop, &pool->wait_timer, due_us > now_us ? due_us - now_us : 0);
}

static struct sy_pool_wait *pop_waiter(struct sy_pool *pool)
{
    struct sy_pool_wait *wait = sy_container_of(pool->waiters.next, struct sy_pool_wait, link);
    sy_list_remove(&wait->link);
    wait->pool = NULL;
    pool->waiting--;
    atomic_fetch_sub(&pool->shared->waiting, 1);
    return wait;
}

void pool_fail_waiters(struct sy_pool *pool, const struct sy_err *why)
{
    struct sy_err copy = *why; /* it may be the pool's own, which a callback could change */
    for (uint32_t left = pool->waiting; left != 0 && pool->waiting != 0; left--) {
        struct sy_pool_wait *wait = pop_waiter(pool);
        wait->failed(wait, &copy);
    }
    pool_update_hunger(pool);
}

void sy_pool_wait_cancel(struct sy_pool_wait *wait)
{
    struct sy_pool *pool = wait->pool;
    if (pool == NULL)
        return;
    sy_list_remove(&wait->link);
    wait->pool = NULL;
    pool->waiting--;
    atomic_fetch_sub(&pool->shared->waiting, 1);
    pool_update_hunger(pool);
}

static void lend(struct pool_server *server)
{
    struct sy_pool *pool = server->base.pool;
    pool_set_server_state(server, POOL_USED);
    server->base.events = NULL;
    server->base.user = NULL;
    server->base.transaction_status = 'I';
    pool->last_used_us = sy_loop_now_us(pool->set->loop);
    server->base.last_used_us = pool->last_used_us;
}

static struct pool_server *first_idle(const struct sy_pool *pool)
{
    if (sy_list_empty(&pool->servers[POOL_IDLE]))
        return NULL;
    struct sy_server *server =
        sy_container_of(pool->servers[POOL_IDLE].next, struct sy_server, link_in_pool);
    return pool_server_of(server);
}

/* A server that stands inside a message nobody asked for is not lent before the rest has come. */
static bool can_lend(const struct pool_server *server)
{
    return server != NULL && pool_at_boundary(server);
}

static const char *wait_reason(const struct sy_pool *pool)
{
    if (pool->paused)
        return "paused";
    return pool->counts[POOL_LOGIN] != 0 ? "connecting" : "pool full";
}

/* Deferred: waiters meet servers. */
static void match(struct sy_deferred *deferred)
{
    struct sy_pool *pool = sy_container_of(deferred, struct sy_pool, match);
    if (pool->dead)
        return;
    while (pool->waiting != 0 && !pool->paused && can_lend(first_idle(pool))) {
        struct pool_server *server = first_idle(pool);
        struct sy_pool_wait *wait = pop_waiter(pool);
        lend(server);
        wait->ready(wait, &server->base);
    }
    pool_update_hunger(pool);
    pool_open_wanted(pool);
    sy_list_each(at, &pool->waiters) sy_container_of(at, struct sy_pool_wait, link)->reason =
        wait_reason(pool);
    pool_set_check_soon(pool->set);
}

static void on_wait_timeout(struct sy_timer *timer)
{
    struct sy_pool *pool = sy_container_of(timer, struct sy_pool, wait_timer);
    uint64_t now_us = sy_loop_now_us(pool->set->loop);
    while (pool->waiting != 0) {
        struct sy_pool_wait *wait = sy_container_of(pool->waiters.next, struct sy_pool_wait, link);
        if (wait->since_us + pool->settings.queue_timeout_us > now_us)
            break;
        struct sy_err err = {0};
        (void)!sy_err_set(&err, SY_E_TIMEOUT, "query_wait_timeout");
        sy_err_detail(&err,
                      "No server connection became free within %llu ms (%s; node %s, user \"%s\").",
                      (unsigned long long)(pool->settings.queue_timeout_us / 1000),
                      wait_reason(pool), pool->shared->node->name, pool->shared->user);
        pop_waiter(pool)->failed(wait, &err);
    }
    pool_update_hunger(pool);
    pool_match_soon(pool);
}

static void on_retry(struct sy_timer *timer)
{
    pool_match_soon(sy_container_of(timer, struct sy_pool, retry_timer));
}

/* Another worker asks to look again: for an idle connection to give up, or for capacity that was
 * freed. */
void pool_on_nudge(struct sy_pool *pool)
{
    pool_match_soon(pool);
    if (pool->waiting == 0 && first_idle(pool) != NULL && pool_shared_should_give(pool)) {
        struct sy_server *oldest =
            sy_container_of(pool->servers[POOL_IDLE].prev, struct sy_server, link_in_pool);
        give_away(pool_server_of(oldest));
    }
}

void pool_init_callbacks(struct sy_pool *pool)
{
    sy_timer_init(&pool->wait_timer, on_wait_timeout);
    sy_timer_init(&pool->retry_timer, on_retry);
    sy_deferred_init(&pool->match, match);
}

static enum sy_status enqueue(struct sy_pool *pool, struct sy_pool_wait *wait, struct sy_err *err)
{
    if (atomic_fetch_add(&pool->shared->waiting, 1) >= pool->settings.queue_max) {
        atomic_fetch_sub(&pool->shared->waiting, 1);
        enum sy_status status =
            sy_err_set(err, SY_E_TOO_MANY, "too many clients wait for a server connection");
        sy_err_hint(err, "%u may wait for node %s (pool.queue_max).", pool->settings.queue_max,
                    pool->shared->node->name);
        return status;
    }
    wait->pool = pool;
    wait->since_us = sy_loop_now_us(pool->set->loop);
    wait->reason = wait_reason(pool);
    sy_list_append(&pool->waiters, &wait->link);
    pool->waiting++;
    pool_update_hunger(pool);
    pool_match_soon(pool);
    return SY_OK;
}

enum sy_status sy_pool_checkout(struct sy_pool_set *set, const struct sy_pool_key *key,
                                const struct sy_config_database *database,
                                struct sy_pool_wait *wait, struct sy_server **ret_server,
                                struct sy_err *err)
{
    struct sy_pool *pool = NULL;
    enum sy_status status = pool_find(set, key, database, &pool, err);
    if (status != SY_OK)
        return status;
    *ret_server = NULL;
    wait->pool = NULL;
    struct pool_server *server = first_idle(pool);
    if (pool->waiting == 0 && !pool->paused && can_lend(server)) {
        lend(server);
        *ret_server = &server->base;
        return SY_OK;
    }
    return enqueue(pool, wait, err);
}

/* ---- giving back ---- */

/* Nothing is outstanding towards the server any more. */
static void finish_release(struct pool_server *server)
{
    char status = server->base.transaction_status;
    if (server->doomed || (status != 'I' && status != 'T' && status != 'E'))
        pool_close_server(server);
    else
        pool_reset_begin(server);
    pool_set_check_soon(server->base.pool->set);
}

void sy_pool_release(struct sy_server *base)
{
    struct pool_server *server = pool_server_of(base);
    base->events = NULL;
    base->user = NULL;
    if (server->state != POOL_USED)
        return;
    if (server->cancels != 0)
        pool_set_server_state(server, POOL_CANCELING);
    else
        finish_release(server);
}

void sy_pool_discard(struct sy_server *base)
{
    struct pool_server *server = pool_server_of(base);
    base->events = NULL;
    base->user = NULL;
    pool_close_server(server);
    pool_set_check_soon(base->pool->set);
}

static void on_cancel_done(void *ctx)
{
    struct pool_server *server = ctx;
    server->cancels--;
    server->set->cancels--;
    pool_set_check_soon(server->set);
    if (server->cancels != 0)
        return;
    if (server->link_gone)
        pool_free_server(server);
    else if (server->state == POOL_CANCELING)
        finish_release(server);
    else if (server->base.events != NULL && server->base.events->cancelled != NULL)
        server->base.events->cancelled(&server->base);
}

bool sy_pool_cancels(const struct sy_server *base)
{
    return ((const struct pool_server *)(const void *)base)->cancels != 0;
}

void sy_pool_cancel(struct sy_server *base)
{
    struct pool_server *server = pool_server_of(base);
    if (server->state != POOL_USED || server->link_gone)
        return;
    server->cancels++;
    server->set->cancels++;
    base->link->engine->cancel(base->link, on_cancel_done, server);
}
