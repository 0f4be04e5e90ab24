/*
 * From a node's conninfo to the fields the data path dials with. libpq does the parsing, and fills
 * in what service files, pass files, the environment and its defaults say; nothing is connected.
 */
#ifndef SY_ROUTER_TOPOLOGY_CONNINFO_H
#define SY_ROUTER_TOPOLOGY_CONNINFO_H

#include "base/err.h"
#include "router/topology/topology.h"

/*
 * Fills the resolved fields of node (host ... control_conninfo, is_local) from node->conninfo, in
 * the node's arena. Blocks: reads service and pass files. Errors: SY_E_CONFIG with the node's name:
 * a conninfo that libpq refuses, or one that asks for what the data path cannot do (several hosts,
 * GSS encryption, target_session_attrs, a replication connection).
 */
SY_MUST_CHECK enum sy_status sy_conninfo_resolve(struct sy_node *node, struct sy_err *err);

#endif
