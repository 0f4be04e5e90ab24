/* Gauges of nodes: reachability, role, lag, and how the pools' limit is used. Data in one table. */
#include "cli/gauges.h"

#include "router/metrics/endpoint.h"
#include "router/topology/topology.h"

static double reachable(const struct sy_node *node)
{
    return atomic_load(&node->reachable) ? 1 : 0;
}

static double is_primary(const struct sy_node *node)
{
    return atomic_load(&node->role) == SY_NODE_PRIMARY ? 1 : 0;
}

static double lag_seconds(const struct sy_node *node)
{
    return (double)atomic_load(&node->lag_us) * 1e-6;
}

static double connections(const struct sy_node *node)
{
    return atomic_load(&node->connections);
}

static double active(const struct sy_node *node)
{
    return atomic_load(&node->active);
}

static bool lag_is_known(const struct sy_node *node)
{
    return atomic_load(&node->lag_us) >= 0;
}

static const struct family {
    const char *name, *unit, *help;
    double (*value)(const struct sy_node *node);
    bool (*known)(const struct sy_node *node); /* NULL: always */
} families[] = {
    {"switchyard_node_up", "", "1 when the health monitor reaches the node.", reachable, NULL},
    {"switchyard_node_primary", "", "1 when the node is the shard's primary.", is_primary, NULL},
    {"switchyard_node_lag_seconds", "seconds", "How far the node is behind its primary.",
     lag_seconds, lag_is_known},
    {"switchyard_pool_connections", "", "Server connections open, all workers and users.",
     connections, NULL},
    {"switchyard_pool_active", "", "Server connections in use by clients.", active, NULL},
};

static void write_shard(const struct family *family, const char *database,
                        const struct sy_topology_shard *shard, struct sy_buf *out)
{
    for (uint32_t i = 0; i < shard->node_count; i++) {
        const struct sy_node *node = shard->nodes[i];
        const char *labels[] = {"database", database,   "shard", node->shard,
                                "node",     node->name, NULL};
        if (family->known == NULL || family->known(node))
            sy_metrics_write_sample(out, family->name, labels, family->value(node));
    }
}

void sy_write_node_gauges(void *ctx, struct sy_buf *out)
{
    (void)ctx;
    struct sy_topology *topology = sy_topology_acquire();
    for (size_t f = 0; topology != NULL && f < sizeof(families) / sizeof(families[0]); f++) {
        sy_buf_printf(out, "# TYPE %s gauge\n", families[f].name);
        if (families[f].unit[0] != '\0')
            sy_buf_printf(out, "# UNIT %s %s\n", families[f].name, families[f].unit);
        sy_buf_printf(out, "# HELP %s %s\n", families[f].name, families[f].help);
        for (uint32_t d = 0; d < topology->database_count; d++) {
            const struct sy_topology_database *database = &topology->databases[d];
            for (uint32_t s = 0; s < database->shard_count; s++)
                write_shard(&families[f], database->config->name, &database->shards[s], out);
        }
    }
    sy_topology_unref(&topology);
}
