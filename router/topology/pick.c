/*
 * Which node serves a statement. Reads live state (relaxed atomics), decides, keeps nothing: pure
 * but for those loads. On the path of every statement, so: no allocation, one pass over a shard's
 * few nodes.
 */
#include "router/topology/topology.h"

#include <string.h>

#include "base/limits.h"

#define LOAD(field) atomic_load_explicit(&(field), memory_order_relaxed)

static struct sy_node *find_primary(const struct sy_topology_shard *shard)
{
    struct sy_node *unreachable = NULL;
    for (uint32_t i = 0; i < shard->node_count; i++) {
        struct sy_node *node = shard->nodes[i];
        if (LOAD(node->role) != SY_NODE_PRIMARY)
            continue;
        if (LOAD(node->reachable))
            return node;
        if (unreachable == NULL)
            unreachable = node;
    }
    return unreachable;
}

static bool may_read(const struct sy_topology_database *database, const struct sy_node *node,
                     uint64_t min_lsn)
{
    if (LOAD(node->role) != SY_NODE_REPLICA || !LOAD(node->reachable) ||
        LOAD(node->replay_lsn) < min_lsn)
        return false;
    uint64_t max_lag_us = database->config->reads.max_lag_us;
    int64_t lag_us = LOAD(node->lag_us);
    return max_lag_us == 0 || (lag_us >= 0 && (uint64_t)lag_us <= max_lag_us);
}

/* NULL: none of them takes reads. */
static struct sy_node *by_weight(struct sy_node **nodes, uint32_t count, uint32_t *rotation)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += nodes[i]->weight;
    if (sum == 0)
        return NULL;
    uint32_t point = (*rotation)++ % sum;
    for (uint32_t i = 0; i < count; i++) {
        if (point < nodes[i]->weight)
            return nodes[i];
        point -= nodes[i]->weight;
    }
    return nodes[count - 1];
}

/* Fewest statements in flight per unit of weight; ties go round. */
static struct sy_node *by_connections(struct sy_node **nodes, uint32_t count, uint32_t *rotation)
{
    uint32_t first = (*rotation)++ % count;
    struct sy_node *best = nodes[first];
    for (uint32_t i = 1; i < count; i++) {
        struct sy_node *node = nodes[(first + i) % count];
        if ((uint64_t)LOAD(node->active) * best->weight <
            (uint64_t)LOAD(best->active) * node->weight)
            best = node;
    }
    return best;
}

/* Keeps the nodes of the router's own zone if there are any. */
static uint32_t keep_zone(const char *zone, struct sy_node **nodes, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; zone != NULL && i < count; i++) {
        if (strcmp(nodes[i]->zone, zone) != 0)
            continue;
        struct sy_node *near = nodes[i];
        nodes[i] = nodes[kept];
        nodes[kept++] = near;
    }
    return kept != 0 ? kept : count;
}

struct sy_node *sy_topology_pick(const struct sy_topology_database *database, uint32_t shard_index,
                                 bool replica_ok, uint64_t min_lsn, uint32_t *rotation)
{
    if (shard_index == database->shard_count && database->federation.node_count > 0) {
        const struct sy_node *host = find_primary(&database->shards[database->federation_host]);
        return host == NULL ? NULL : database->federation.nodes[host->node_index];
    }
    if (shard_index >= database->shard_count)
        return NULL;
    const struct sy_topology_shard *shard = &database->shards[shard_index];
    struct sy_node *nodes[SY_LIMIT_NODES_PER_SHARD];
    uint32_t count = 0;
    if (replica_ok && database->config->reads.enabled)
        for (uint32_t i = 0; i < shard->node_count; i++)
            if (may_read(database, shard->nodes[i], min_lsn))
                nodes[count++] = shard->nodes[i];
    if (count == 0)
        return find_primary(shard);
    switch (database->config->reads.balance) {
    case SY_BALANCE_WEIGHTED: {
        struct sy_node *node = by_weight(nodes, count, rotation);
        return node != NULL ? node : find_primary(shard);
    }
    case SY_BALANCE_LEAST_CONNECTIONS:
        return by_connections(nodes, count, rotation);
    case SY_BALANCE_ZONE:
        count = keep_zone(database->config->reads.zone, nodes, count);
        break;
    case SY_BALANCE_ROUND_ROBIN:
        break;
    }
    return nodes[(*rotation)++ % count];
}
