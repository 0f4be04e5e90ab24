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

enum { FIRST_USER_OID = 16384 }; /* PostgreSQL: FirstNormalObjectId */

uint32_t sy_type_map_type(const struct sy_type_map *map, uint32_t shard_oid)
{
    if (map == NULL || shard_oid < FIRST_USER_OID)
        return shard_oid;
    return map->unread ? 0 : find(map->types, map->type_count, shard_oid);
}

uint32_t sy_type_map_type_back(const struct sy_type_map *map, uint32_t canonical_oid)
{
    if (map == NULL || canonical_oid < FIRST_USER_OID)
        return canonical_oid;
    return map->unread ? 0 : find(map->types_back, map->back_count, canonical_oid);
}

uint32_t sy_type_map_table(const struct sy_type_map *map, uint32_t shard_oid)
{
    return map == NULL ? shard_oid : find(map->tables, map->table_count, shard_oid);
}
