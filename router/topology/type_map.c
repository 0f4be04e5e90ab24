/* OID translation between shards. Pure. */
#include "router/topology/topology.h"

static uint32_t find(const struct sy_oid_pair *pairs, uint32_t count, uint32_t from)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pairs[middle].from == from)
            return pairs[middle].to;
        if (pairs[middle].from < from)
            low = middle + 1;
        else
            high = middle;
    }
    return from;
}

uint32_t sy_type_map_type(const struct sy_type_map *map, uint32_t shard_oid)
{
    return map == NULL ? shard_oid : find(map->types, map->type_count, shard_oid);
}

uint32_t sy_type_map_type_back(const struct sy_type_map *map, uint32_t canonical_oid)
{
    return map == NULL ? canonical_oid : find(map->types_back, map->type_count, canonical_oid);
}

uint32_t sy_type_map_table(const struct sy_type_map *map, uint32_t shard_oid)
{
    return map == NULL ? shard_oid : find(map->tables, map->table_count, shard_oid);
}
