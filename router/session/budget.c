/* Bytes held for clients, by user and in all. See budget.h. */
#include "router/session/budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"

struct share {
    uint64_t bytes;
};

struct sy_budget {
    pthread_mutex_t mutex;
    struct sy_map users;
    _Atomic uint64_t used; /* written under the mutex */
};

enum sy_status sy_budget_new(struct sy_budget **ret_budget, struct sy_err *err)
{
    struct sy_budget *budget = calloc(1, sizeof(*budget));
    if (budget == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    pthread_mutex_init(&budget->mutex, NULL);
    *ret_budget = budget;
    return SY_OK;
}

void sy_budget_free(struct sy_budget **budget)
{
    struct sy_budget *gone = *budget;
    *budget = NULL;
    if (gone == NULL)
        return;
    sy_map_release_values(&gone->users);
    pthread_mutex_destroy(&gone->mutex);
    free(gone);
}

static void drop_if_empty(struct sy_budget *budget, struct sy_slice user, struct share *share)
{
    if (share->bytes != 0)
        return;
    (void)sy_map_remove(&budget->users, user);
    free(share);
}

static bool fits(uint64_t used, uint64_t bytes, uint64_t limit)
{
    return limit == 0 || (bytes <= limit && used <= limit - bytes);
}

enum sy_budget_answer sy_budget_take(struct sy_budget *budget, struct sy_slice user, uint64_t bytes,
                                     const struct sy_budget_limits *limits)
{
    enum sy_budget_answer answer = SY_BUDGET_TAKEN;
    pthread_mutex_lock(&budget->mutex);
    struct share *share = sy_map_get_or_add(&budget->users, user, sizeof(*share));
    uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    if (share == NULL)
        answer = SY_BUDGET_NO_MEMORY;
    else if (!fits(share->bytes, bytes, limits->user))
        answer = SY_BUDGET_USER_FULL;
    else if (!fits(used, bytes, limits->all))
        answer = SY_BUDGET_FULL;
    if (answer == SY_BUDGET_TAKEN) {
        share->bytes += bytes;
        atomic_store_explicit(&budget->used, used + bytes, memory_order_relaxed);
    }
    if (share != NULL)
        drop_if_empty(budget, user, share);
    pthread_mutex_unlock(&budget->mutex);
    return answer;
}

static void give(struct sy_budget *budget, struct sy_slice user, uint64_t bytes, uint64_t of_all)
{
    pthread_mutex_lock(&budget->mutex);
    struct share *share = sy_map_get(&budget->users, user);
    uint64_t used = atomic_load_explicit(&budget->used, memory_order_relaxed);
    atomic_store_explicit(&budget->used, used - of_all, memory_order_relaxed);
    if (share != NULL) {
        share->bytes -= bytes;
        drop_if_empty(budget, user, share);
    }
    pthread_mutex_unlock(&budget->mutex);
}

void sy_budget_give(struct sy_budget *budget, struct sy_slice user, uint64_t bytes)
{
    give(budget, user, bytes, bytes);
}

bool sy_budget_queued(struct sy_budget *budget, struct sy_slice user, uint64_t bytes)
{
    pthread_mutex_lock(&budget->mutex);
    struct share *share = sy_map_get_or_add(&budget->users, user, sizeof(*share));
    if (share != NULL) {
        share->bytes += bytes;
        drop_if_empty(budget, user, share);
    }
    pthread_mutex_unlock(&budget->mutex);
    return share != NULL;
}

void sy_budget_unqueued(struct sy_budget *budget, struct sy_slice user, uint64_t bytes)
{
    give(budget, user, bytes, 0);
}

uint64_t sy_budget_used(const struct sy_budget *budget)
{
    return atomic_load_explicit(&budget->used, memory_order_relaxed);
}
