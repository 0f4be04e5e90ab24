/*
 * What the rest of the program asks of the embedded engine, besides sy_engine_sqlite() of
 * router/engine/engine.h.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_SQLITE_H
#define SY_ROUTER_ENGINE_SQLITE_SQLITE_H

#include "base/err.h"
#include "router/plan/schema.h"
#include "router/topology/topology.h"

/*
 * Opens (creates) the file of a node and ties the node to it: from now on the engine keeps
 * node->role, reachable, replay_lsn and lag_us. Node 0 of a shard is the primary (node->file); node
 * k > 0 is a replica that the engine keeps in "<file>.r<k>" and feeds. For a shard by itself: one
 * of a database is opened with all others (below), and its links tie their nodes. Blocks (a new
 * replica is copied from its primary). Errors: SY_E_IO, SY_E_CATALOG, SY_E_NO_MEMORY.
 */
SY_MUST_CHECK enum sy_status sy_sqlite_node_attach(struct sy_node *node, struct sy_err *err);

/*
 * Opens (creates) the files of all shards of a database, for this process alone, and completes
 * transactions that a crash has left on some of them only: until then none may be used. The nodes
 * are not tied yet. Once is enough; again is harmless. Blocks. Errors: SY_E_STATE (another process
 * has the folder), and as above.
 */
SY_MUST_CHECK enum sy_status sy_sqlite_database_open(const struct sy_topology_database *database,
                                                     struct sy_err *err);

/*
 * The schema of a database for the router: relations and columns of all shards, the volatility of
 * the functions that the engine knows, table OIDs that differ. As struct sy_engine.inspect. Blocks.
 * Errors: as above.
 */
SY_MUST_CHECK enum sy_status sy_sqlite_inspect(const struct sy_topology_database *database,
                                               struct sy_topology_schema **ret_schema,
                                               bool *ret_complete, struct sy_err *err);

/* Closes all shards and ends the engine threads; every link must be closed. Blocks. */
void sy_sqlite_stop(void);

#endif
