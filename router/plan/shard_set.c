/* Sets of shards: one bit each. Pure. */
#include "router/plan/shardmap.h"

enum { WORDS = SY_LIMIT_SHARDS / 64 };

struct sy_shard_set sy_shard_set_all(uint32_t shard_count)
{
    struct sy_shard_set set = {{0}};
    for (uint32_t shard = 0; shard < shard_count; shard++)
        sy_shard_set_add(&set, shard);
    return set;
}

uint32_t sy_shard_set_count(const struct sy_shard_set *set)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < WORDS; i++)
        count += (uint32_t)__builtin_popcountll(set->bits[i]);
    return count;
}

uint32_t sy_shard_set_first(const struct sy_shard_set *set)
{
    for (unsigned i = 0; i < WORDS; i++)
        if (set->bits[i] != 0)
            return i * 64 + (uint32_t)__builtin_ctzll(set->bits[i]);
    return UINT32_MAX;
}

struct sy_shard_set sy_shard_set_and(const struct sy_shard_set *a, const struct sy_shard_set *b)
{
    struct sy_shard_set set;
    for (unsigned i = 0; i < WORDS; i++)
        set.bits[i] = a->bits[i] & b->bits[i];
    return set;
}

struct sy_shard_set sy_shard_set_or(const struct sy_shard_set *a, const struct sy_shard_set *b)
{
    struct sy_shard_set set;
    for (unsigned i = 0; i < WORDS; i++)
        set.bits[i] = a->bits[i] | b->bits[i];
    return set;
}
