/*
 * What the workers' pools of one (node, user, database) share: the limit, and who may have the next
 * connection. Pools for different versions of a user's password share it too.
 *
 * A limit smaller than the demand is shared out by need: a worker that releases a connection gives
 * it up when another worker has clients waiting and has fewer connections, or has none and has
 * waited POOL_PATIENCE_US. Once the shares are level nothing moves any more. Giving up means
 * closing here and opening there (a link belongs to its worker's loop); the reservation is passed
 * on, so that nobody else takes it in between.
 *
 * Order of memory: a waiter raises `hungry` and then looks for capacity; a giver frees capacity and
 * then looks at `hungry`. Both with sequential consistency, so one of them sees the other.
 */
#include <stdlib.h>
#include <string.h>

#include "router/pool/internal.h"

static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sy_list registry = {&registry, &registry};

static struct pool_shared *find(const struct sy_pool_key *key)
{
    sy_list_each(at, &registry)
    {
        struct pool_shared *shared = sy_container_of(at, struct pool_shared, link);
        if (shared->node == key->node && shared->lookups == key->lookups &&
            sy_slice_eq(sy_slice_of(shared->user), key->user) &&
            sy_slice_eq(sy_slice_of(shared->database), key->client_database))
            return shared;
    }
    return NULL;
}

static struct pool_shared *make(const struct sy_pool_key *key)
{
    struct pool_shared *shared = calloc(1, sizeof(*shared));
    if (shared == NULL)
        return NULL;
    shared->node = sy_node_ref(key->node);
    shared->lookups = key->lookups;
    memcpy(shared->user, key->user.data, key->user.bytes);
    if (key->client_database.bytes != 0)
        memcpy(shared->database, key->client_database.data, key->client_database.bytes);
    pthread_mutex_init(&shared->lock, NULL);
    sy_list_init(&shared->members);
    sy_list_append(&registry, &shared->link);
    return shared;
}

enum sy_status pool_shared_join(struct sy_pool *pool, const struct sy_pool_key *key,
                                struct sy_err *err)
{
    pthread_mutex_lock(&registry_lock);
    struct pool_shared *shared = find(key);
    if (shared == NULL)
        shared = make(key);
    if (shared != NULL)
        shared->refs++;
    pthread_mutex_unlock(&registry_lock);
    if (shared == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    pool->shared = shared;
    atomic_store(&shared->limit, pool->settings.size);
    pthread_mutex_lock(&shared->lock);
    sy_list_append(&shared->members, &pool->member_link);
    pthread_mutex_unlock(&shared->lock);
    return SY_OK;
}

void pool_shared_leave(struct sy_pool *pool)
{
    struct pool_shared *shared = pool->shared;
    if (shared == NULL)
        return;
    pthread_mutex_lock(&shared->lock);
    sy_list_remove(&pool->member_link);
    pthread_mutex_unlock(&shared->lock);
    pool_shared_return_grants(pool); /* no more can come */
    pthread_mutex_lock(&registry_lock);
    bool last = --shared->refs == 0;
    if (last)
        sy_list_remove(&shared->link);
    pthread_mutex_unlock(&registry_lock);
    pool->shared = NULL;
    if (!last)
        return;
    pthread_mutex_destroy(&shared->lock);
    sy_node_unref(shared->node);
    free(shared);
}

static bool take_grant(struct sy_pool *pool)
{
    uint32_t grants = atomic_load(&pool->grants);
    while (grants != 0)
        if (atomic_compare_exchange_weak(&pool->grants, &grants, grants - 1))
            return true;
    return false;
}

bool pool_shared_reserve(struct sy_pool *pool)
{
    struct pool_shared *shared = pool->shared;
    if (take_grant(pool))
        return true;
    uint32_t now = atomic_load(&shared->connections);
    while (now < atomic_load_explicit(&shared->limit, memory_order_relaxed))
        if (atomic_compare_exchange_weak(&shared->connections, &now, now + 1))
            return true;
    return false;
}

/* Under shared->lock, so that the pool is a member and cannot be freed before the message has
 * arrived. */
static void nudge_locked(struct sy_pool *pool)
{
    if (!atomic_exchange(&pool->nudged, true))
        sy_loop_post(pool->set->loop, &pool->nudge);
}

/* The member other than `self` whose client has waited longest; under shared->lock. */
static struct sy_pool *hungriest(struct pool_shared *shared, const struct sy_pool *self)
{
    struct sy_pool *best = NULL;
    uint64_t oldest_us = UINT64_MAX;
    sy_list_each(at, &shared->members)
    {
        struct sy_pool *pool = sy_container_of(at, struct sy_pool, member_link);
        uint64_t since_us = atomic_load(&pool->oldest_wait_us);
        if (pool == self || since_us == 0 || since_us >= oldest_us)
            continue;
        best = pool;
        oldest_us = since_us;
    }
    return best;
}

void pool_shared_unreserve(struct sy_pool *pool)
{
    struct pool_shared *shared = pool->shared;
    atomic_fetch_sub(&shared->connections, 1);
    if (atomic_load(&shared->hungry) == 0)
        return;
    pthread_mutex_lock(&shared->lock);
    struct sy_pool *next = hungriest(shared, NULL);
    if (next != NULL)
        nudge_locked(next);
    pthread_mutex_unlock(&shared->lock);
}

void pool_shared_pass_on(struct sy_pool *pool)
{
    struct pool_shared *shared = pool->shared;
    pthread_mutex_lock(&shared->lock);
    struct sy_pool *next = hungriest(shared, pool);
    if (next != NULL) {
        atomic_fetch_add(&next->grants, 1);
        nudge_locked(next);
    }
    pthread_mutex_unlock(&shared->lock);
    if (next == NULL)
        pool_shared_unreserve(pool);
}

void pool_shared_return_grants(struct sy_pool *pool)
{
    while (take_grant(pool))
        pool_shared_unreserve(pool);
}

bool pool_shared_should_give(struct sy_pool *pool)
{
    struct pool_shared *shared = pool->shared;
    uint32_t hungry = atomic_load(&shared->hungry);
    if (hungry <= (pool->is_hungry ? 1u : 0u))
        return false;
    if (atomic_load(&shared->giving) >= hungry ||
        atomic_load(&shared->connections) <
            atomic_load_explicit(&shared->limit, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&shared->lock);
    const struct sy_pool *other = hungriest(shared, pool);
    uint32_t mine = atomic_load(&pool->total), theirs = 0;
    if (other != NULL)
        theirs = atomic_load(&other->total) + atomic_load(&other->grants);
    uint64_t since_us = other != NULL ? atomic_load(&other->oldest_wait_us) : 0;
    pthread_mutex_unlock(&shared->lock);
    if (other == NULL)
        return false;
    if (pool->waiting == 0 || theirs + 1 < mine)
        return true;
    return theirs == 0 && since_us + POOL_PATIENCE_US < sy_loop_now_us(pool->set->loop);
}

void pool_shared_ask(struct sy_pool *pool)
{
    struct pool_shared *shared = pool->shared;
    pthread_mutex_lock(&shared->lock);
    sy_list_each(at, &shared->members)
    {
        struct sy_pool *other = sy_container_of(at, struct sy_pool, member_link);
        if (other != pool && atomic_load(&other->idle) != 0)
            nudge_locked(other);
    }
    pthread_mutex_unlock(&shared->lock);
}
