/*
 * The running system as one immutable snapshot: configuration, shard maps, schemas, plus the live state of every
 * node (which outlives snapshots). Swapped atomically at RELOAD and when schemas or roles change; a statement uses
 * one snapshot from plan to end.
 *
 * Thread: sy_topology_acquire() from any thread. Live state of nodes is atomics.
 */
#ifndef SY_ROUTER_TOPOLOGY_TOPOLOGY_H
#define SY_ROUTER_TOPOLOGY_TOPOLOGY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"
#include "router/plan/schema.h"
#include "router/plan/shardmap.h"

enum sy_node_role { SY_NODE_UNKNOWN, SY_NODE_PRIMARY, SY_NODE_REPLICA };

/* A database server (or a SQLite shard file). Reference counted (atomic): links and snapshots hold it. */
struct sy_node {
    _Atomic uint32_t refs;
    struct sy_arena arena;
    const char *database, *shard, *name; /* name: "s0/0" */
    uint32_t shard_index, node_index;
    enum sy_engine_kind engine;
    const char *conninfo, *zone;
    uint32_t weight;
    const char *user, *password;         /* of the node's configuration, or NULL */
    /* Resolved by libpq's conninfo parser at load: where the data path dials. */
    const char *host, *port, *server_database, *sslmode, *sslrootcert, *conninfo_user, *conninfo_password;
    const char *file;                    /* sqlite: path of the shard's file (primary's) */

    /* Live state, written by the health monitor (replication/) and by links. */
    _Atomic int role;                    /* enum sy_node_role */
    _Atomic bool reachable;
    _Atomic uint64_t replay_lsn;         /* replica: replayed up to; primary: flushed */
    _Atomic int64_t lag_us;              /* -1: unknown */
    _Atomic uint32_t active;             /* server connections in use by clients, all workers */
    _Atomic uint32_t connections;        /* server connections, all workers: the pool limit's counter */
    _Atomic uint64_t last_failure_us;
    void *engine_state;                  /* sqlite: the shard's runtime (struct sy_sqlite_shard), owned by the engine */
};

struct sy_topology_shard {
    struct sy_slice name;
    struct sy_node **nodes;
    uint32_t node_count;
    /* Index into nodes of the one believed to be the primary; re-read from node->role on use. */
};

struct sy_topology_database {
    const struct sy_config_database *config;
    const struct sy_shardmap *map;
    const struct sy_schema *schema;      /* NULL until it was read */
    struct sy_topology_shard *shards;
    uint32_t shard_count;
};

struct sy_topology {
    _Atomic uint32_t refs;
    uint64_t epoch;                      /* grows with every swap */
    struct sy_config *config;            /* referenced */
    struct sy_arena arena;
    struct sy_topology_database *databases;
    uint32_t database_count;
};

/* Builds a snapshot; nodes that stay the same (same database, shard and conninfo) are taken over from `previous`
 * (may be NULL) with their live state. Ownership: one reference. Does not connect anywhere. */
SY_MUST_CHECK enum sy_status sy_topology_build(struct sy_config *config, const struct sy_topology *previous,
                                               struct sy_topology **ret_topology, struct sy_err *err);
struct sy_topology *sy_topology_ref(struct sy_topology *topology);
void sy_topology_unref(struct sy_topology **topology);

/* The process-wide current snapshot. */
void sy_topology_publish(struct sy_topology *topology); /* takes the reference */
struct sy_topology *sy_topology_acquire(void);          /* a reference */
uint64_t sy_topology_current_epoch(void);               /* one relaxed load: has anything changed? */

const struct sy_topology_database *sy_topology_find(const struct sy_topology *topology, struct sy_slice database);

/* The node a statement should use. replica_ok: a replica may serve it by `balance` rules if its replay position
 * has reached min_lsn and its lag is in bounds; `rotation` is the caller's counter for round robin.
 * NULL: no primary is known (or reachable). */
struct sy_node *sy_topology_pick(const struct sy_topology_database *database, uint32_t shard, bool replica_ok,
                                 uint64_t min_lsn, uint32_t *rotation);

struct sy_node *sy_node_ref(struct sy_node *node);
void sy_node_unref(struct sy_node *node);

#endif
