/*
 * A hash map from bytes to pointers: open addressing, linear probing, deletion by shifting back (no
 * tombstones, so a map that churns for ever stays fast). Hashes are XXH3 with a seed drawn per
 * process, so that names sent by clients cannot be chosen to collide.
 *
 * Keys are borrowed: their bytes must stay where they are as long as the entry does (normally they
 * live inside the value). Values are never NULL and are never freed by the map. Not thread-safe: a
 * map has one owner.
 *
 *     struct sy_map map = {0};
 *     status = sy_map_put(&map, key, value, &previous, err);
 *     struct thing *thing = sy_map_get(&map, key);
 *     for (size_t at = 0; sy_map_next(&map, &at, &entry);) ...
 */
#ifndef SY_BASE_MAP_H
#define SY_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct sy_map_entry {
    const char *key;
    uint32_t key_bytes;
    uint32_t hash;
    void *value; /* NULL: the slot is free */
};

/* Embeddable; all zero is a valid empty map that holds no memory. */
struct sy_map {
    struct sy_map_entry *slots;
    uint32_t count;
    uint32_t mask; /* slots - 1, 0 while there are none */
};

/* Frees the table; not keys and values. The map is empty and usable afterwards. */
void sy_map_release(struct sy_map *map);
/* The same, and free() for each value. */
void sy_map_release_values(struct sy_map *map);

/* The hash of a key, for sy_map_get_hashed(): compute once, look up in several maps. */
uint32_t sy_map_hash(struct sy_slice key);

/* NULL when there is none. */
void *sy_map_get(const struct sy_map *map, struct sy_slice key);
void *sy_map_get_hashed(const struct sy_map *map, struct sy_slice key, uint32_t hash);

/*
 * Stores value (not NULL) under key. An entry with an equal key is replaced, key pointer included,
 * and its value is given back in *ret_previous (may be NULL; set to NULL when there was none).
 * Errors: SY_E_NO_MEMORY, SY_E_LIMIT (a key above 4 GiB, or 2^31 slots); the map is unchanged then.
 */
SY_MUST_CHECK enum sy_status sy_map_put(struct sy_map *map, struct sy_slice key, void *value,
                                        void **ret_previous, struct sy_err *err);
/* The value under key; where there is none, a new one: calloc()ed, all zero, its key behind its
 * `value_bytes`. For sy_map_release_values(). NULL: no memory. */
void *sy_map_get_or_add(struct sy_map *map, struct sy_slice key, size_t value_bytes);
/* Room for `count` entries in all, so that later puts up to there cannot fail. */
SY_MUST_CHECK enum sy_status sy_map_reserve(struct sy_map *map, size_t count, struct sy_err *err);

/* Takes an entry out and returns its value; NULL when there was none. */
void *sy_map_remove(struct sy_map *map, struct sy_slice key);
/* Forgets all entries, keeps the memory. */
void sy_map_clear(struct sy_map *map);

/*
 * Walks the entries in no order: *at starts at 0; false at the end. The map must not change
 * meanwhile.
 */
bool sy_map_next(const struct sy_map *map, size_t *at, struct sy_map_entry *ret_entry);

#endif
