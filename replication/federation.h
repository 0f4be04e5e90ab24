/*
 * Keeps the federating databases: a database of the router's own on a server that the operator
 * named (federation.node), in which every table of all shards can be read under its own name. Runs
 * on the inspector's thread, before a schema is published, so that whoever is told of a schema
 * change finds it there, too.
 */
#ifndef SY_REPLICATION_FEDERATION_H
#define SY_REPLICATION_FEDERATION_H

#include "router/topology/topology.h"

/*
 * Makes the federating database say what the shards have now, or finds that it does. rebuild false:
 * some shard could not be read, so what is there stays. Returns what it offers, or why it cannot be
 * used; NULL when none is configured or memory is exhausted. Blocks: connects to every shard.
 */
struct sy_topology_federation *sy_federation_keep(const struct sy_topology *topology,
                                                  const struct sy_topology_database *database,
                                                  bool rebuild);

#endif
