/* Opening server connections for those who wait, and what links report. Runs on the pool's worker.
 */
#include <stdlib.h>

#include "base/fault.h"
#include "router/engine/engine.h"
#include "router/pool/internal.h"

static struct pool_server *of_link(const struct sy_link *link)
{
    return link->owner;
}

void pool_free_server(struct pool_server *server)
{
    if (server->base.session_state != NULL && server->base.session_state_free != NULL)
        server->base.session_state_free(server->base.session_state);
    sy_buf_release(&server->body);
    free(server);
}

/* ---- failures ---- */

static uint64_t backoff_us(uint32_t failures)
{
    uint64_t delay_us = POOL_BACKOFF_FIRST_US;
    for (uint32_t i = 1; i < failures && delay_us < POOL_BACKOFF_MAX_US; i++)
        delay_us *= 2;
    return delay_us < POOL_BACKOFF_MAX_US ? delay_us : POOL_BACKOFF_MAX_US;
}

/* Clients are told only when no connection is left that could still serve them. */
static void note_failure(struct sy_pool *pool, const struct sy_err *why)
{
    uint64_t now_us = sy_loop_now_us(pool->set->loop);
    pool->failed++;
    pool->failures++;
    pool->next_try_us = now_us + backoff_us(pool->failures);
    atomic_store(&pool->shared->node->last_failure_us, now_us);
    if (why != NULL)
        pool->last_error = *why;
    else
        (void)!sy_err_set(&pool->last_error, SY_E_CONNECT,
                          "node %s closed the connection while logging in",
                          pool->shared->node->name);
    SY_LOG(SY_LOG_WARN, "server login failed", SY_KV_STR("node", pool->shared->node->name),
           SY_KV_STR("database", pool->shared->database), SY_KV_STR("user", pool->shared->user),
           SY_KV_STR("sqlstate", sy_err_sqlstate(&pool->last_error)),
           SY_KV_STR("why", pool->last_error.text), SY_KV_INT("failures", pool->failures));
    if (pool->counts[POOL_LOGIN] + pool->counts[POOL_IDLE] + pool->counts[POOL_USED] +
            pool->counts[POOL_CANCELING] + pool->counts[POOL_RESETTING] ==
        0)
        pool_fail_waiters(pool, &pool->last_error);
    sy_timer_start(pool->set->loop, &pool->retry_timer, pool->next_try_us - now_us);
}

/* ---- link events ---- */

static void on_opened(struct sy_link *link)
{
    struct pool_server *server = of_link(link);
    struct sy_pool *pool = server->base.pool;
    pool->opened++;
    pool->failures = 0;
    pool->next_try_us = 0;
    server->base.opened_us = sy_loop_now_us(pool->set->loop);
    if (server->doomed || pool->draining || pool->paused)
        pool_close_server(server);
    else
        pool_make_idle(server);
}

static void on_data(struct sy_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct pool_server *server = of_link(link);
    if (server->state == POOL_USED && server->base.events != NULL)
        server->base.events->data(&server->base, chunk, from, to);
    else
        pool_take_quiet(server, chunk, from, to);
}

static void on_drained(struct sy_link *link)
{
    struct pool_server *server = of_link(link);
    if (server->state == POOL_USED && server->base.events != NULL &&
        server->base.events->drained != NULL)
        server->base.events->drained(&server->base);
}

static void tell_borrower(struct pool_server *server, const struct sy_err *why)
{
    struct sy_err lost = {0};
    if (server->base.events == NULL)
        return;
    if (why == NULL) {
        (void)!sy_err_set(&lost, SY_E_CONNECTION_LOST,
                          "the server closed the connection unexpectedly");
        why = &lost;
    }
    server->base.events->lost(&server->base, why);
}

static void on_closed(struct sy_link *link, const struct sy_err *why)
{
    struct pool_server *server = of_link(link);
    struct sy_pool *pool = server->base.pool;
    enum pool_server_state was = server->state;
    server->link_gone = true;
    server->base.link = NULL;
    sy_timer_cancel(pool->set->loop, &server->reset_timer);
    pool_set_server_state(server, POOL_CLOSING);
    if (was == POOL_USED)
        tell_borrower(server, why);
    sy_list_remove(&server->base.link_in_pool);
    pool->counts[POOL_CLOSING]--;
    pool->closed++;
    atomic_fetch_sub(&pool->total, 1);
    atomic_fetch_sub_explicit(&pool->shared->node->connections, 1, memory_order_relaxed);
    if (was == POOL_LOGIN)
        note_failure(pool, why);
    if (server->giving) {
        atomic_fetch_sub(&pool->shared->giving, 1);
        pool_shared_pass_on(pool);
    } else {
        pool_shared_unreserve(pool);
    }
    pool_match_soon(pool);
    pool_set_check_soon(pool->set);
    if (server->cancels == 0)
        pool_free_server(server);
}

static const struct sy_link_events link_events = {
    .opened = on_opened,
    .data = on_data,
    .drained = on_drained,
    .closed = on_closed,
};

/* ---- opening ---- */

static void on_reset_timeout(struct sy_timer *timer)
{
    pool_close_server(sy_container_of(timer, struct pool_server, reset_timer));
}

/* The reservation is the caller's, and is given back on failure. */
static enum sy_status open_one(struct sy_pool *pool, struct sy_err *err)
{
    struct pool_server *server = SY_FAULT("pool.server") ? NULL : calloc(1, sizeof(*server));
    if (server == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    server->base.pool = pool;
    server->set = pool->set;
    server->base.opened_us = sy_loop_now_us(pool->set->loop); /* until it is open: since it began */
    sy_list_init(&server->base.link_in_pool);
    sy_timer_init(&server->reset_timer, on_reset_timeout);
    const struct pool_shared *shared = pool->shared;
    struct sy_link_target target = {
        .node = shared->node,
        .user = sy_slice_of(shared->user),
        .password = {pool->password.data, pool->password.bytes},
        .keys = pool->has_keys ? &pool->keys : NULL,
        .client_database = sy_slice_of(shared->database),
        .connect_timeout_us = pool->settings.connect_timeout_us,
    };
    enum sy_status status =
        pool->engine->open(pool->set->loop, &target, &link_events, server, &server->base.link, err);
    if (status != SY_OK) {
        free(server);
        return status;
    }
    sy_list_append(&pool->servers[POOL_LOGIN], &server->base.link_in_pool);
    server->state = POOL_LOGIN;
    pool->counts[POOL_LOGIN]++;
    atomic_fetch_add(&pool->total, 1);
    atomic_fetch_add_explicit(&pool->shared->node->connections, 1, memory_order_relaxed);
    return SY_OK;
}

void pool_open_wanted(struct sy_pool *pool)
{
    if (pool->waiting <= pool->counts[POOL_LOGIN] || pool->paused || pool->draining)
        pool_shared_return_grants(pool);
    while (pool->waiting > pool->counts[POOL_LOGIN] && !pool->paused && !pool->draining) {
        uint64_t now_us = sy_loop_now_us(pool->set->loop);
        if (now_us < pool->next_try_us) {
            if (!sy_timer_armed(&pool->retry_timer))
                sy_timer_start(pool->set->loop, &pool->retry_timer, pool->next_try_us - now_us);
            return;
        }
        if (!pool_shared_reserve(pool)) {
            pool_shared_ask(pool);
            return;
        }
        struct sy_err err = {0};
        if (open_one(pool, &err) == SY_OK)
            continue;
        pool_shared_unreserve(pool);
        note_failure(pool, &err);
    }
}
