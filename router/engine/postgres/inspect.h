/*
 * Reads the schemas of a database's shards through libpq, from each shard's primary: what the
 * planner needs to know of tables, views and functions, which OIDs differ between shards, and in
 * what the shards differ.
 *
 * The schema is shard 0's, and what only other shards have (local tables) beside it.
 */
#ifndef SY_ROUTER_ENGINE_POSTGRES_INSPECT_H
#define SY_ROUTER_ENGINE_POSTGRES_INSPECT_H

#include "router/topology/topology.h"

/*
 * Ownership: *ret_schema has one reference. Blocks: connects to every shard (5 s at most for each)
 * and reads its catalog (about 50 ms). A shard other than the first that cannot be read becomes a
 * difference, with its type map marked `unread`; *ret_complete tells whether all were read. Errors:
 * SY_E_CONNECT (shard 0 cannot be read), SY_E_NO_MEMORY.
 */
SY_MUST_CHECK enum sy_status pg_inspect(const struct sy_topology_database *database,
                                        struct sy_topology_schema **ret_schema, bool *ret_complete,
                                        struct sy_err *err);

#endif
