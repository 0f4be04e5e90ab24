/*
 * The shard map of one database: which table belongs to which keyspace, which key lives on which
 * shard. Immutable; built from the configuration and the catalog's declarations, shared by all
 * workers as part of a topology snapshot. Pure.
 */
#ifndef SY_ROUTER_PLAN_SHARDMAP_H
#define SY_ROUTER_PLAN_SHARDMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"
#include "config/config.h"

/* A set of shards of one database, by index. */
struct sy_shard_set {
    uint64_t bits[SY_LIMIT_SHARDS / 64];
};

static inline void sy_shard_set_add(struct sy_shard_set *set, uint32_t shard)
{
    set->bits[shard / 64] |= UINT64_C(1) << (shard % 64);
}
static inline bool sy_shard_set_has(const struct sy_shard_set *set, uint32_t shard)
{
    return (set->bits[shard / 64] >> (shard % 64) & 1) != 0;
}
struct sy_shard_set sy_shard_set_all(uint32_t shard_count);
uint32_t sy_shard_set_count(const struct sy_shard_set *set);
/* The lowest member, or UINT32_MAX when empty. */
uint32_t sy_shard_set_first(const struct sy_shard_set *set);
struct sy_shard_set sy_shard_set_and(const struct sy_shard_set *a, const struct sy_shard_set *b);
struct sy_shard_set sy_shard_set_or(const struct sy_shard_set *a, const struct sy_shard_set *b);

/* A key value in its type's own form. */
struct sy_key {
    enum sy_key_type type;
    bool is_null;
    union {
        int64_t integer; /* int2/4/8; date: days since 2000-01-01; timestamp(tz): microseconds since
                            2000-01-01 */
        uint8_t uuid[16];
        struct sy_slice text;
    };
};

/* Session settings that change how a key's text is read. */
struct sy_key_context {
    struct sy_slice time_zone;    /* "UTC", "Europe/Berlin", "+02" ... */
    struct sy_slice date_style;   /* "ISO, MDY" ... */
    bool server_encoding_differs; /* client_encoding is not the server's: text keys must be
                                     transcoded or refused */
};

/* From a literal's or text parameter's characters, as PostgreSQL's input function of the type would
 * read them. Errors: SY_E_TEXT (22P02, 22007, 22008, 22003 as the type says). SY_E_UNSUPPORTED when
 * the router cannot be sure. */
SY_MUST_CHECK enum sy_status sy_key_from_text(enum sy_key_type type, struct sy_slice text,
                                              const struct sy_key_context *context,
                                              struct sy_key *ret_key, struct sy_err *err);
/* From a binary parameter of PostgreSQL type `type_oid` (0: the key's own type). */
SY_MUST_CHECK enum sy_status sy_key_from_binary(enum sy_key_type type, uint32_t type_oid,
                                                struct sy_slice value, struct sy_key *ret_key,
                                                struct sy_err *err);

/* PostgreSQL's extended hash with the partition seed. Source: PostgreSQL hashfn.c, partbounds.c
 * (facts). */
uint64_t sy_key_hash(const struct sy_key *key);
/* The remainder of PARTITION BY HASH ... MODULUS 4096, 0..4095. */
uint32_t sy_key_bucket(const struct sy_key *key);

enum sy_table_placement { SY_TABLE_UNKNOWN, SY_TABLE_SHARDED, SY_TABLE_REFERENCE, SY_TABLE_LOCAL };

struct sy_map_table {
    struct sy_slice schema, name;
    enum sy_table_placement placement;
    uint32_t keyspace;            /* SHARDED: index */
    struct sy_slice key;          /* column */
    struct sy_slice hash_key;     /* geo: second column, or empty */
    uint32_t shard;               /* LOCAL */
    const char *const *per_shard; /* constraints that each shard enforces for itself; "*": all */
    uint32_t per_shard_count;
    bool from_catalog; /* declared there, not in the configuration */
};

struct sy_shardmap;

/* Errors: SY_E_CONFIG (configuration was not checked). Everything lives in `arena`. */
SY_MUST_CHECK enum sy_status sy_shardmap_build(const struct sy_config_database *database,
                                               struct sy_arena *arena,
                                               const struct sy_shardmap **ret_map,
                                               struct sy_err *err);

uint32_t sy_shardmap_shard_count(const struct sy_shardmap *map);
struct sy_slice sy_shardmap_shard_name(const struct sy_shardmap *map, uint32_t shard);
/* UINT32_MAX: no such shard. */
uint32_t sy_shardmap_find_shard(const struct sy_shardmap *map, struct sy_slice name);
bool sy_shardmap_is_sharded(
    const struct sy_shardmap *map); /* false: one shard, everything passes through */

/* By exact schema and name; NULL: not declared (default placement applies). */
const struct sy_map_table *sy_shardmap_find_table(const struct sy_shardmap *map,
                                                  struct sy_slice schema, struct sy_slice name);
/* Declared tables and keyspaces in order, for SHOW TABLES and SHOW KEYSPACES. */
uint32_t sy_shardmap_table_count(const struct sy_shardmap *map);
const struct sy_map_table *sy_shardmap_table(const struct sy_shardmap *map, uint32_t index);

struct sy_keyspace_info {
    struct sy_slice name;
    enum sy_strategy strategy;
    enum sy_key_type type, hash_type;
    bool has_hash_key; /* geo: rows are hashed within the region over a second column (all tables or
                          none) */
    bool from_catalog; /* declared there, not in the configuration */
    struct sy_shard_set shards;
};
uint32_t sy_shardmap_keyspace_count(const struct sy_shardmap *map);
const struct sy_keyspace_info *sy_shardmap_keyspace(const struct sy_shardmap *map, uint32_t index);

/* The shard of a key; for geo with a hash column `hash_key` may be NULL when it is not known: then
 * the set of the region's shards. (Geo without a hash column and a region of several shards: hashed
 * over the key itself.) An empty set: the key maps nowhere. A NULL key maps nowhere, except by a
 * list's default shard or a "default" region, as on a partitioned table. */
struct sy_shard_set sy_shardmap_shards_of(const struct sy_shardmap *map, uint32_t keyspace,
                                          const struct sy_key *key, const struct sy_key *hash_key);
/* Shards that may hold keys k with `op` (LT, LE, GT, GE as in sy_cond_op) key, for range keyspaces;
 * all else: all. */
struct sy_shard_set sy_shardmap_shards_where(const struct sy_shardmap *map, uint32_t keyspace,
                                             int op, const struct sy_key *key);
/*
 * Which of `shard_count` owners (0 .. shard_count-1) has each of the SY_LIMIT_BUCKETS buckets: the
 * result of adding one owner after the other. Owner k+1 takes floor(buckets / (k+1)) buckets,
 * always the highest one of the owner that has most; so every owner stays within one bucket of
 * even, adding an owner moves at most 1/(k+1) of the buckets, and all that move go to the new one.
 * 1 <= shard_count <= SY_LIMIT_SHARDS.
 */
void sy_bucket_assign(uint32_t shard_count, uint8_t ret_owner[SY_LIMIT_BUCKETS]);

/* For hash: the shard that owns a bucket. */
uint32_t sy_shardmap_bucket_shard(const struct sy_shardmap *map, uint32_t keyspace,
                                  uint32_t bucket);

#endif
