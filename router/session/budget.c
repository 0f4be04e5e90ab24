/* Bytes held for clients, by user and in all. See budget.h. */
#include "router/session/budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

struct share {
    uint64_t bytes;
    uint32_t name_bytes;
    char name[];
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
    struct sy_map_entry entry;
    *budget = NULL;
    if (gone == NULL)
        return;
    for (size_t at = 0; sy_map_next(&gone->users, &at, &entry);)
        free(entry.value);
    sy_map_release(&gone->users);
    pthread_mutex_destroy(&gone->mutex);
    free(gone);
}

static struct share *find_or_make(struct sy_budget *budget, struct sy_slice user)
{
    struct share *share = sy_map_get(&budget->users, user);
    if (share != NULL)
        return share;
    share = calloc(1, sizeof(*share) + user.bytes + 1);
    if (share == NULL)
        return NULL;
    memcpy(share->name, user.data, user.bytes);
    share->name_bytes = (uint32_t)user.bytes;
    if (sy_map_put(&budget->users, (struct sy_slice){share->name, user.bytes}, share, NULL, NULL) !=
        SY_OK) {
        free(share);
        return NULL;
    }
    return share;
}

static void drop_if_empty(struct sy_budget *budget, struct share *share)
{
    if (share->bytes != 0)
        return;
    (void)sy_map_remove(&budget->users, (struct sy_slice){share->name, share->name_bytes});
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
    struct share *share = find_or_make(budget, user);
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
        drop_if_empty(budget, share);
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
        drop_if_empty(budget, share);
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
    struct share *share = find_or_make(budget, user);
    if (share != NULL) {
        share->bytes += bytes;
        drop_if_empty(budget, share);
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
