/* Roles that auth_query found, in a set-associative table. */
#include "router/session/auth_cache.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/limits.h"

enum { WAYS = 4, SETS = SY_LIMIT_AUTH_QUERY_CACHE / WAYS };

struct entry {
    uint64_t until_us; /* 0: free */
    char database[SY_LIMIT_SERVER_NAME_BYTES + 1], user[SY_LIMIT_NAME_BYTES + 1];
    struct sy_auth_role role;
};

struct sy_auth_cache {
    pthread_mutex_t mutex;
    uint64_t seed;
    struct entry *sets[SETS]; /* WAYS entries each, made on first use */
};

enum sy_status sy_auth_cache_new(uint64_t seed, struct sy_auth_cache **ret_cache,
                                 struct sy_err *err)
{
    struct sy_auth_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    cache->seed = seed;
    pthread_mutex_init(&cache->mutex, NULL);
    *ret_cache = cache;
    return SY_OK;
}

void sy_auth_cache_free(struct sy_auth_cache **cache)
{
    struct sy_auth_cache *gone = *cache;
    *cache = NULL;
    if (gone == NULL)
        return;
    for (size_t i = 0; i < SETS; i++) {
        if (gone->sets[i] != NULL)
            OPENSSL_cleanse(gone->sets[i], WAYS * sizeof(struct entry));
        free(gone->sets[i]);
    }
    pthread_mutex_destroy(&gone->mutex);
    free(gone);
}

static struct entry **set_of(struct sy_auth_cache *cache, struct sy_slice database,
                             struct sy_slice user)
{
    uint64_t hash = XXH3_64bits_withSeed(database.data, database.bytes, cache->seed);
    hash = XXH3_64bits_withSeed(user.data, user.bytes, hash);
    return &cache->sets[hash % SETS];
}

static bool fits(struct sy_slice database, struct sy_slice user)
{
    return database.bytes <= SY_LIMIT_SERVER_NAME_BYTES && user.bytes <= SY_LIMIT_NAME_BYTES;
}

/* Under the lock. */
static struct entry *find(struct entry *set, struct sy_slice database, struct sy_slice user)
{
    for (int i = 0; set != NULL && i < WAYS; i++)
        if (set[i].until_us != 0 && sy_slice_eq(sy_slice_of(set[i].database), database) &&
            sy_slice_eq(sy_slice_of(set[i].user), user))
            return &set[i];
    return NULL;
}

bool sy_auth_cache_find(struct sy_auth_cache *cache, struct sy_slice database, struct sy_slice user,
                        uint64_t now_us, struct sy_auth_role *ret_role)
{
    if (!fits(database, user))
        return false;
    pthread_mutex_lock(&cache->mutex);
    const struct entry *entry = find(*set_of(cache, database, user), database, user);
    bool known = entry != NULL && entry->until_us > now_us;
    if (known)
        *ret_role = entry->role;
    pthread_mutex_unlock(&cache->mutex);
    return known;
}

void sy_auth_cache_put(struct sy_auth_cache *cache, struct sy_slice database, struct sy_slice user,
                       const struct sy_auth_role *role, uint64_t until_us)
{
    if (!fits(database, user))
        return;
    pthread_mutex_lock(&cache->mutex);
    struct entry **set = set_of(cache, database, user);
    if (*set == NULL)
        *set = calloc(WAYS, sizeof(struct entry));
    struct entry *entry = find(*set, database, user);
    if (entry == NULL && *set != NULL) {
        entry = *set;
        for (int i = 1; i < WAYS; i++)
            if ((*set)[i].until_us < entry->until_us)
                entry = &(*set)[i];
    }
    if (entry != NULL) { /* without memory nothing is remembered, and every login asks */
        OPENSSL_cleanse(entry, sizeof(*entry));
        memcpy(entry->database, database.data, database.bytes);
        memcpy(entry->user, user.data, user.bytes);
        entry->role = *role;
        entry->until_us = until_us;
    }
    pthread_mutex_unlock(&cache->mutex);
}

void sy_auth_cache_forget(struct sy_auth_cache *cache, struct sy_slice database,
                          struct sy_slice user)
{
    if (!fits(database, user))
        return;
    pthread_mutex_lock(&cache->mutex);
    struct entry *entry = find(*set_of(cache, database, user), database, user);
    if (entry != NULL)
        OPENSSL_cleanse(entry, sizeof(*entry));
    pthread_mutex_unlock(&cache->mutex);
}
