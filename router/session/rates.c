/* Token buckets and where they are kept. See rates.h. */
#include "router/session/rates.h"

#include <stdlib.h>

#include "router/session/by_name.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- buckets ---- */

void sy_rate_set(struct sy_rate_bucket *bucket, uint32_t per_second)
{
    atomic_store(&bucket->interval_ns, per_second == 0 ? 0 : SECOND_NS / per_second);
}

bool sy_rate_take(struct sy_rate_bucket *bucket, uint32_t count, uint64_t now_us,
                  uint64_t max_wait_us, uint64_t *ret_wait_us)
{
    uint64_t cost_ns = atomic_load_explicit(&bucket->interval_ns, memory_order_relaxed) * count;
    *ret_wait_us = 0;
    if (cost_ns == 0)
        return true;
    uint64_t now_ns = now_us * 1000;
    uint64_t earned_ns = atomic_load_explicit(&bucket->earned_ns, memory_order_relaxed), next_ns;
    do {
        next_ns = (earned_ns > now_ns ? earned_ns : now_ns) + cost_ns;
        /* A full bucket is one second ahead; a rate of 1 must still let one through. */
        uint64_t ahead_ns = now_ns + (cost_ns > SECOND_NS ? cost_ns : SECOND_NS);
        *ret_wait_us = next_ns <= ahead_ns ? 0 : (next_ns - ahead_ns + 999) / 1000;
        if (*ret_wait_us > max_wait_us)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&bucket->earned_ns, &earned_ns, next_ns,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void sy_rate_owe(struct sy_rate_bucket *bucket, uint32_t count, uint64_t now_us)
{
    uint64_t wait_us;
    (void)sy_rate_take(bucket, count, now_us, UINT64_MAX, &wait_us);
}

void sy_rate_give_back(struct sy_rate_bucket *bucket, uint32_t count)
{
    uint64_t cost_ns = atomic_load_explicit(&bucket->interval_ns, memory_order_relaxed) * count;
    atomic_fetch_sub_explicit(&bucket->earned_ns, cost_ns, memory_order_relaxed);
}

/* ---- the registry ---- */

struct sy_rates {
    struct sy_by_name named; /* struct sy_rate_pair */
};

enum sy_status sy_rates_new(struct sy_rates **ret_rates, struct sy_err *err)
{
    struct sy_rates *rates = calloc(1, sizeof(*rates));
    if (rates == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_by_name_init(&rates->named);
    *ret_rates = rates;
    return SY_OK;
}

void sy_rates_free(struct sy_rates **rates)
{
    struct sy_rates *gone = *rates;
    *rates = NULL;
    if (gone == NULL)
        return;
    sy_by_name_release(&gone->named);
    free(gone);
}

static void forget_rates(struct sy_map *map)
{
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(map, &at, &entry);) {
        struct sy_rate_pair *pair = entry.value;
        sy_rate_set(&pair->statements, 0);
        sy_rate_set(&pair->connections, 0);
    }
}

static bool set_pair(struct sy_map *map, const char *name, uint32_t statements,
                     uint32_t connections)
{
    if (statements == 0 && connections == 0)
        return true;
    struct sy_rate_pair *pair = sy_map_get_or_add(map, sy_slice_of(name), sizeof(*pair));
    if (pair == NULL)
        return false;
    sy_rate_set(&pair->statements, statements);
    sy_rate_set(&pair->connections, connections);
    return true;
}

enum sy_status sy_rates_configure(struct sy_rates *rates, const struct sy_config *config,
                                  struct sy_err *err)
{
    bool good = true;
    pthread_mutex_lock(&rates->named.mutex);
    forget_rates(&rates->named.users);
    forget_rates(&rates->named.databases);
    for (uint32_t i = 0; i < config->user_count && good; i++)
        good = set_pair(&rates->named.users, config->users[i].name, config->users[i].statement_rate,
                        config->users[i].connection_rate);
    for (uint32_t i = 0; i < config->database_count && good; i++)
        good = set_pair(&rates->named.databases, config->databases[i].name,
                        config->databases[i].statement_rate, config->databases[i].connection_rate);
    pthread_mutex_unlock(&rates->named.mutex);
    return good ? SY_OK : sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
}

static struct sy_rate_pair *find(struct sy_rates *rates, const struct sy_map *map,
                                 struct sy_slice name)
{
    pthread_mutex_lock(&rates->named.mutex);
    struct sy_rate_pair *pair = sy_map_get(map, name);
    pthread_mutex_unlock(&rates->named.mutex);
    return pair;
}

struct sy_rate_pair *sy_rates_user(struct sy_rates *rates, struct sy_slice name)
{
    return find(rates, &rates->named.users, name);
}

struct sy_rate_pair *sy_rates_database(struct sy_rates *rates, struct sy_slice name)
{
    return find(rates, &rates->named.databases, name);
}
