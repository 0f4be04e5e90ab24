/* Making and comparing nodes: internal to router/topology. */
#ifndef SY_ROUTER_TOPOLOGY_NODE_H
#define SY_ROUTER_TOPOLOGY_NODE_H

#include "router/topology/topology.h"

struct sy_node_source {
    const char *data_dir;
    const struct sy_config_database *database;
    const struct sy_config_shard *shard;
    const struct sy_config_node
        *config; /* NULL: an embedded node that the configuration does not list */
    uint32_t shard_index, node_index, node_count;
    const char *server_database; /* instead of the conninfo's; NULL: the conninfo says */
    const char *shard_name;      /* instead of shard->name; NULL: that one */
};

/* Ownership: *ret_node has one reference. Blocks: conninfo resolution reads files. */
SY_MUST_CHECK enum sy_status sy_node_new(const struct sy_node_source *source,
                                         struct sy_node **ret_node, struct sy_err *err);
/* True when everything that was declared or resolved is equal: live state can be taken over. */
bool sy_node_same(const struct sy_node *a, const struct sy_node *b);
/* Path of an embedded shard's file. */
const char *sy_node_file(struct sy_arena *arena, const struct sy_node_source *source);

#endif
