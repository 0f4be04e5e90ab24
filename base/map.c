/* The hash map. The table is a power of two and at most three quarters full. */
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <xxhash.h>

enum { FIRST_SLOTS = 8 };

static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void draw_seed(void)
{
    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
        return;
    /* Early in boot there may be no entropy yet: a guessable seed costs speed under attack, nothing
     * else. */
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    seed = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15U ^ (uint64_t)(uintptr_t)&now;
}

uint32_t sy_map_hash(struct sy_slice key)
{
    pthread_once(&seed_once, draw_seed);
    return (uint32_t)XXH3_64bits_withSeed(key.data, key.bytes, seed);
}

static bool entry_is(const struct sy_map_entry *entry, struct sy_slice key, uint32_t hash)
{
    return entry->hash == hash && entry->key_bytes == key.bytes &&
           (key.bytes == 0 || memcmp(entry->key, key.data, key.bytes) == 0);
}

/* The slot that holds the key, or the free one where it belongs. The table has at least one free
 * slot. */
static uint32_t find_slot(const struct sy_map *map, struct sy_slice key, uint32_t hash)
{
    uint32_t at = hash & map->mask;
    while (map->slots[at].value != NULL && !entry_is(&map->slots[at], key, hash))
        at = (at + 1) & map->mask;
    return at;
}

void *sy_map_get_hashed(const struct sy_map *map, struct sy_slice key, uint32_t hash)
{
    return map->count == 0 ? NULL : map->slots[find_slot(map, key, hash)].value;
}

void *sy_map_get(const struct sy_map *map, struct sy_slice key)
{
    return map->count == 0 ? NULL : sy_map_get_hashed(map, key, sy_map_hash(key));
}

static enum sy_status resize(struct sy_map *map, uint32_t slots, struct sy_err *err)
{
    struct sy_map_entry *table = calloc(slots, sizeof(*table));
    if (table == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "no memory for a table of %u entries", slots);
    struct sy_map bigger = {.slots = table, .count = map->count, .mask = slots - 1};
    size_t at = 0;
    for (struct sy_map_entry entry; sy_map_next(map, &at, &entry);) {
        uint32_t to = entry.hash & bigger.mask;
        while (table[to].value != NULL)
            to = (to + 1) & bigger.mask;
        table[to] = entry;
    }
    free(map->slots);
    *map = bigger;
    return SY_OK;
}

void *sy_map_get_or_add(struct sy_map *map, struct sy_slice key, size_t value_bytes)
{
    char *value = sy_map_get(map, key);
    if (value != NULL)
        return value;
    value = calloc(1, value_bytes + key.bytes + 1);
    if (value == NULL)
        return NULL;
    if (key.bytes > 0)
        memcpy(value + value_bytes, key.data, key.bytes);
    key.data = value + value_bytes;
    if (sy_map_put(map, key, value, NULL, NULL) != SY_OK) {
        free(value);
        return NULL;
    }
    return value;
}

enum sy_status sy_map_reserve(struct sy_map *map, size_t count, struct sy_err *err)
{
    uint64_t slots = map->slots != NULL ? (uint64_t)map->mask + 1 : 0;
    if (count <= slots / 4 * 3)
        return SY_OK;
    if (count > UINT32_MAX / 4)
        return sy_err_set(err, SY_E_LIMIT, "a hash table cannot hold %zu entries", count);
    uint64_t wanted = slots > FIRST_SLOTS ? slots : (uint64_t)FIRST_SLOTS;
    while (count > wanted / 4 * 3)
        wanted *= 2;
    return resize(map, (uint32_t)wanted, err);
}

enum sy_status sy_map_put(struct sy_map *map, struct sy_slice key, void *value, void **ret_previous,
                          struct sy_err *err)
{
    if (key.bytes > UINT32_MAX)
        return sy_err_set(err, SY_E_LIMIT, "a key of %zu bytes is too long", key.bytes);
    enum sy_status status = sy_map_reserve(map, (size_t)map->count + 1, err);
    if (status != SY_OK)
        return status;
    uint32_t hash = sy_map_hash(key);
    struct sy_map_entry *entry = &map->slots[find_slot(map, key, hash)];
    if (entry->value == NULL)
        map->count++;
    if (ret_previous != NULL)
        *ret_previous = entry->value;
    *entry = (struct sy_map_entry){key.data, (uint32_t)key.bytes, hash, value};
    return SY_OK;
}

/* Frees a slot and moves later entries of the run back, so that no probe sequence has a hole. */
static void remove_slot(struct sy_map *map, uint32_t hole)
{
    for (uint32_t at = (hole + 1) & map->mask; map->slots[at].value != NULL;
         at = (at + 1) & map->mask) {
        uint32_t home = map->slots[at].hash & map->mask;
        /* The entry may move if its home is not within (hole, at], counted around the table. */
        if (((at - home) & map->mask) >= ((at - hole) & map->mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct sy_map_entry){0};
    map->count--;
}

void *sy_map_remove(struct sy_map *map, struct sy_slice key)
{
    if (map->count == 0)
        return NULL;
    uint32_t at = find_slot(map, key, sy_map_hash(key));
    void *value = map->slots[at].value;
    if (value != NULL)
        remove_slot(map, at);
    return value;
}

bool sy_map_next(const struct sy_map *map, size_t *at, struct sy_map_entry *ret_entry)
{
    if (map->slots == NULL)
        return false;
    while (*at <= map->mask) {
        const struct sy_map_entry *entry = &map->slots[(*at)++];
        if (entry->value != NULL) {
            *ret_entry = *entry;
            return true;
        }
    }
    return false;
}

void sy_map_clear(struct sy_map *map)
{
    if (map->slots != NULL)
        memset(map->slots, 0, ((size_t)map->mask + 1) * sizeof(*map->slots));
    map->count = 0;
}

void sy_map_release(struct sy_map *map)
{
    free(map->slots);
    *map = (struct sy_map){0};
}

void sy_map_release_values(struct sy_map *map)
{
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(map, &at, &entry);)
        free(entry.value);
    sy_map_release(map);
}
