/* The parts of a shard map; made by shardmap_build.c, read by shardmap.c. Private to plan. */
#ifndef SY_ROUTER_PLAN_SHARDMAP_INTERNAL_H
#define SY_ROUTER_PLAN_SHARDMAP_INTERNAL_H

#include "router/plan/name_table.h"
#include "router/plan/shardmap.h"

struct region {
    struct sy_slice name;
    struct sy_shard_set shards;
    uint8_t *bucket_shard; /* SY_LIMIT_BUCKETS entries */
};

struct value_row {
    struct sy_key key;
    uint32_t target; /* list: shard; geo: region */
};

struct range_row {
    struct sy_key upto; /* exclusive */
    bool unbounded;
    uint32_t shard;
};

struct keyspace {
    struct sy_keyspace_info info;
    uint8_t *bucket_shard;    /* hash */
    struct range_row *ranges; /* range: ascending */
    uint32_t range_count;
    struct value_row *values; /* list, geo: ascending by key */
    uint32_t value_count;
    uint32_t default_target; /* list: shard; geo: region; UINT32_MAX: none */
    struct region *regions;
    uint32_t region_count;
};

struct sy_shardmap {
    struct sy_slice *shards;
    uint32_t shard_count;
    struct keyspace *keyspaces;
    uint32_t keyspace_count;
    struct sy_map_table *tables;
    uint32_t table_count;
    struct sy_name_table table_names, shard_names;
};

#endif
