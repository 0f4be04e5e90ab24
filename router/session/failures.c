/* Failed logins in leaky buckets. */
#include "router/session/failures.h"

#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/limits.h"

enum { WAYS = 4, SETS = SY_LIMIT_LOGIN_FAILURES / WAYS };

struct bucket {
    uint64_t key;      /* 0: free */
    uint64_t empty_us; /* when everything counted will have been forgiven */
};

struct sy_login_failures {
    pthread_mutex_t mutex;
    uint64_t seed;
    struct bucket sets[SETS][WAYS];
};

enum sy_status sy_login_failures_new(uint64_t seed, struct sy_login_failures **ret_failures,
                                     struct sy_err *err)
{
    struct sy_login_failures *failures = calloc(1, sizeof(*failures));
    if (failures == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    failures->seed = seed;
    pthread_mutex_init(&failures->mutex, NULL);
    *ret_failures = failures;
    return SY_OK;
}

void sy_login_failures_free(struct sy_login_failures **failures)
{
    if (*failures != NULL)
        pthread_mutex_destroy(&(*failures)->mutex);
    free(*failures);
    *failures = NULL;
}

static uint64_t key_of(const struct sy_login_failures *failures, struct sy_slice user,
                       struct sy_slice address)
{
    uint64_t key = XXH3_64bits_withSeed(user.data, user.bytes, failures->seed);
    key = XXH3_64bits_withSeed(address.data, address.bytes, key);
    return key == 0 ? 1 : key;
}

static struct bucket *find(struct sy_login_failures *failures, uint64_t key)
{
    struct bucket *set = failures->sets[key % SETS];
    for (int i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

bool sy_login_failures_allow(struct sy_login_failures *failures, struct sy_slice user,
                             struct sy_slice address, const struct sy_login_rate *rate,
                             uint64_t now_us, uint64_t *ret_wait_us)
{
    *ret_wait_us = 0;
    if (rate->max == 0)
        return true;
    pthread_mutex_lock(&failures->mutex);
    const struct bucket *bucket = find(failures, key_of(failures, user, address));
    uint64_t held_us = bucket == NULL || bucket->empty_us <= now_us ? 0 : bucket->empty_us - now_us;
    pthread_mutex_unlock(&failures->mutex);
    uint64_t most_us = (rate->max - 1) * rate->wait_us; /* room for one more */
    if (held_us > most_us)
        *ret_wait_us = held_us - most_us;
    return held_us <= most_us;
}

void sy_login_failures_add(struct sy_login_failures *failures, struct sy_slice user,
                           struct sy_slice address, const struct sy_login_rate *rate,
                           uint64_t now_us)
{
    if (rate->max == 0)
        return;
    pthread_mutex_lock(&failures->mutex);
    uint64_t key = key_of(failures, user, address);
    struct bucket *bucket = find(failures, key);
    if (bucket == NULL) {
        struct bucket *set = failures->sets[key % SETS];
        bucket = &set[0];
        for (int i = 1; i < WAYS; i++)
            if (set[i].empty_us < bucket->empty_us)
                bucket = &set[i];
        *bucket = (struct bucket){.key = key};
    }
    if (bucket->empty_us < now_us)
        bucket->empty_us = now_us;
    bucket->empty_us += rate->wait_us;
    pthread_mutex_unlock(&failures->mutex);
}

void sy_login_failures_clear(struct sy_login_failures *failures, struct sy_slice user,
                             struct sy_slice address)
{
    pthread_mutex_lock(&failures->mutex);
    struct bucket *bucket = find(failures, key_of(failures, user, address));
    if (bucket != NULL)
        *bucket = (struct bucket){0};
    pthread_mutex_unlock(&failures->mutex);
}
