/* Lookups in a shard map. Immutable, so any thread; nothing allocates. */
#include "router/plan/shardmap.h"

#include "parser/facts.h"
#include "router/plan/key.h"
#include "router/plan/shardmap_internal.h"

static const struct sy_slice no_schema = {"", 0};

void sy_bucket_assign(uint32_t shard_count, uint8_t ret_owner[SY_LIMIT_BUCKETS])
{
    uint32_t counts[SY_LIMIT_SHARDS] = {SY_LIMIT_BUCKETS};
    /* Owners only lose buckets from the top, so the search for the highest one resumes where it
     * ended. */
    uint32_t top[SY_LIMIT_SHARDS] = {SY_LIMIT_BUCKETS};
    memset(ret_owner, 0, SY_LIMIT_BUCKETS);
    for (uint32_t added = 1; added < shard_count; added++) {
        top[added] = SY_LIMIT_BUCKETS;
        uint32_t share = SY_LIMIT_BUCKETS / (added + 1);
        for (; counts[added] < share; counts[added]++) {
            uint32_t donor = 0;
            for (uint32_t i = 1; i < added; i++)
                if (counts[i] > counts[donor])
                    donor = i;
            do
                top[donor]--;
            while (ret_owner[top[donor]] != donor);
            ret_owner[top[donor]] = (uint8_t)added;
            counts[donor]--;
        }
    }
}

uint32_t sy_shardmap_shard_count(const struct sy_shardmap *map)
{
    return map->shard_count;
}

struct sy_slice sy_shardmap_shard_name(const struct sy_shardmap *map, uint32_t shard)
{
    return shard < map->shard_count ? map->shards[shard] : (struct sy_slice){"", 0};
}

uint32_t sy_shardmap_find_shard(const struct sy_shardmap *map, struct sy_slice name)
{
    return sy_name_table_get(&map->shard_names, no_schema, name);
}

bool sy_shardmap_is_sharded(const struct sy_shardmap *map)
{
    return map->shard_count > 1;
}

const struct sy_map_table *sy_shardmap_find_table(const struct sy_shardmap *map,
                                                  struct sy_slice schema, struct sy_slice name)
{
    uint32_t index = sy_name_table_get(&map->table_names, schema, name);
    return index == SY_NAME_NONE ? NULL : &map->tables[index];
}

uint32_t sy_shardmap_table_count(const struct sy_shardmap *map)
{
    return map->table_count;
}

const struct sy_map_table *sy_shardmap_table(const struct sy_shardmap *map, uint32_t index)
{
    return &map->tables[index];
}

uint32_t sy_shardmap_keyspace_count(const struct sy_shardmap *map)
{
    return map->keyspace_count;
}

const struct sy_keyspace_info *sy_shardmap_keyspace(const struct sy_shardmap *map, uint32_t index)
{
    return &map->keyspaces[index].info;
}

uint32_t sy_shardmap_bucket_shard(const struct sy_shardmap *map, uint32_t keyspace, uint32_t bucket)
{
    const struct keyspace *space = &map->keyspaces[keyspace];
    return space->bucket_shard == NULL ? UINT32_MAX : space->bucket_shard[bucket];
}

static struct sy_shard_set one(uint32_t shard)
{
    struct sy_shard_set set = {{0}};
    if (shard != UINT32_MAX)
        sy_shard_set_add(&set, shard);
    return set;
}

/* The first range whose upper bound lies above the key; range_count: none. */
static uint32_t find_range(const struct keyspace *space, const struct sy_key *key)
{
    uint32_t low = 0, high = space->range_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct range_row *row = &space->ranges[middle];
        if (row->unbounded || sy_key_compare(key, &row->upto) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static uint32_t find_value(const struct keyspace *space, const struct sy_key *key)
{
    uint32_t low = 0, high = space->value_count;
    while (!key->is_null && low < high) {
        uint32_t middle = (low + high) / 2;
        int order = sy_key_compare(key, &space->values[middle].key);
        if (order == 0)
            return space->values[middle].target;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return space->default_target;
}

static struct sy_shard_set geo_shards(const struct keyspace *space, const struct sy_key *key,
                                      const struct sy_key *hash_key)
{
    uint32_t found = find_value(space, key);
    if (found == UINT32_MAX)
        return one(UINT32_MAX);
    const struct region *region = &space->regions[found];
    if (space->info.has_hash_key && hash_key == NULL)
        return region->shards;
    const struct sy_key *hashed = space->info.has_hash_key ? hash_key : key;
    return one(region->bucket_shard[hashed->is_null ? 0 : sy_key_bucket(hashed)]);
}

struct sy_shard_set sy_shardmap_shards_of(const struct sy_shardmap *map, uint32_t keyspace,
                                          const struct sy_key *key, const struct sy_key *hash_key)
{
    const struct keyspace *space = &map->keyspaces[keyspace];
    switch (space->info.strategy) {
    case SY_STRATEGY_HASH:
        return one(key->is_null ? UINT32_MAX : space->bucket_shard[sy_key_bucket(key)]);
    case SY_STRATEGY_RANGE: {
        uint32_t at = key->is_null ? space->range_count : find_range(space, key);
        return one(at < space->range_count ? space->ranges[at].shard : UINT32_MAX);
    }
    case SY_STRATEGY_LIST:
        return one(find_value(space, key));
    case SY_STRATEGY_GEO:
        return geo_shards(space, key, hash_key);
    }
    return one(UINT32_MAX);
}

struct sy_shard_set sy_shardmap_shards_where(const struct sy_shardmap *map, uint32_t keyspace,
                                             int op, const struct sy_key *key)
{
    const struct keyspace *space = &map->keyspaces[keyspace];
    /* Text is compared by the server's collation, which need not be the byte order of the
     * boundaries. */
    if (space->info.strategy != SY_STRATEGY_RANGE || sy_key_is_text(space->info.type))
        return space->info.shards;
    struct sy_shard_set set = {{0}};
    if (key->is_null)
        return set;
    uint32_t at = find_range(space, key);
    uint32_t from = 0, to = space->range_count;
    if (op == SY_OP_LT || op == SY_OP_LE) {
        /* The range that begins at the key itself holds nothing below it. */
        bool begins_here = at > 0 && at <= space->range_count &&
                           sy_key_compare(key, &space->ranges[at - 1].upto) == 0;
        to = at < to && !(op == SY_OP_LT && begins_here) ? at + 1 : at;
    } else if (op == SY_OP_GT || op == SY_OP_GE) {
        from = at;
    } else {
        return space->info.shards;
    }
    for (uint32_t i = from; i < to; i++)
        sy_shard_set_add(&set, space->ranges[i].shard);
    return set;
}
