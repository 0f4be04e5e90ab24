/*
 * The running system as one immutable snapshot: configuration, shard maps, schemas, plus the live
 * state of every node (which outlives snapshots). Swapped atomically at RELOAD and when schemas or
 * roles change; a statement uses one snapshot from plan to end.
 *
 * Thread: sy_topology_acquire() from any thread. Live state of nodes is atomics.
 */
#ifndef SY_ROUTER_TOPOLOGY_TOPOLOGY_H
#define SY_ROUTER_TOPOLOGY_TOPOLOGY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "config/config.h"
#include "router/plan/federation.h"
#include "router/plan/schema.h"
#include "router/plan/shardmap.h"

enum sy_node_role { SY_NODE_UNKNOWN, SY_NODE_PRIMARY, SY_NODE_REPLICA };

/* A database server (or a SQLite shard file). Reference counted (atomic): links and snapshots hold
 * it. */
struct sy_node {
    _Atomic uint32_t refs;
    struct sy_arena arena;
    const char *database, *shard, *name; /* name: "s0/0" */
    uint32_t shard_index, node_index;
    enum sy_engine_kind engine;
    const char *conninfo, *zone;
    uint32_t weight;
    const char *user, *password; /* of the node's configuration, or NULL */
    /* Resolved by libpq's conninfo parser at load: where the data path dials. Never NULL except
     * where it says so. */
    const char *host, *port, *server_database, *sslmode, *sslrootcert, *conninfo_user,
        *conninfo_password;
    const char *hostaddr; /* numeric address that replaces the look-up of host; "" none */
    const char *sslcert, *sslkey, *sslcrl, *channel_binding;  /* "" where not given */
    const char *application_name, *client_encoding, *options; /* startup parameters; "" none */
    const char *control_conninfo; /* conninfo with the resolved sslmode: what libpq is given
                                     (control plane) */
    bool is_local;                /* Unix socket or loopback */
    bool user_given;  /* conninfo_user was written in the conninfo, not the process's own name */
    const char *file; /* sqlite: path of the shard's file (primary's) */
    const char *other_database; /* takes the place of the conninfo's dbname; NULL: that one */

    /* Live state, written by the health monitor (replication/) and by links. */
    _Atomic int role; /* enum sy_node_role */
    _Atomic bool reachable;
    _Atomic uint64_t replay_lsn;  /* replica: replayed up to; primary: flushed */
    _Atomic int64_t lag_us;       /* -1: unknown */
    _Atomic uint32_t active;      /* server connections in use by clients, all workers */
    _Atomic uint32_t connections; /* server connections, all workers: the pool limit's counter */
    _Atomic uint64_t last_failure_us;
    void *engine_state; /* sqlite: the shard's runtime (struct sy_sqlite_shard), owned by the engine
                         */

    /* Monitor's own, for SHOW NODES: the name and the reason of its state
     * (replication/node_state.h). */
    _Atomic int health;
    _Atomic uint64_t health_since_us;
};

/* OIDs of one shard that differ from shard 0's: enums, domains, composites, their arrays, tables.
 * Immutable. */
struct sy_oid_pair {
    uint32_t from, to;
};
/* A type whose binary values may hold OIDs, or values of another type that may. */
enum sy_type_shape_kind {
    SY_SHAPE_ARRAY,  /* its header names the element's type */
    SY_SHAPE_RECORD, /* each field's type stands before its value */
    SY_SHAPE_RANGE,  /* of `inner` */
    SY_SHAPE_MULTIRANGE,
    SY_SHAPE_DOMAIN, /* over `inner` */
};
struct sy_type_shape {
    uint32_t oid; /* of this shard */
    enum sy_type_shape_kind kind;
    uint32_t inner; /* 0 for records */
};
struct sy_type_map {
    bool unread; /* the shard could not be inspected: user-defined OIDs cannot be told */
    const struct sy_oid_pair *types; /* sorted by from: this shard's OID -> shard 0's OID */
    uint32_t type_count;
    const struct sy_oid_pair *types_back; /* sorted by from: shard 0's OID -> this shard's OID */
    uint32_t back_count;
    const struct sy_oid_pair *tables; /* sorted by from: this shard's pg_class OID -> shard 0's */
    uint32_t table_count;
    const struct sy_type_shape *shapes; /* sorted by oid: user-defined types, shard 0's map too */
    uint32_t shape_count;
};
/* The OID that shard 0 uses for a type (or a table); the same OID when it does not differ. map
 * NULL: the same. 0: shard 0 has no such type, or the shard has not been inspected: refuse rather
 * than show a wrong type. */
uint32_t sy_type_map_type(const struct sy_type_map *map, uint32_t shard_oid);
uint32_t sy_type_map_table(const struct sy_type_map *map, uint32_t shard_oid);
/* The other way: shard 0's type OID -> this shard's, for parameters. */
uint32_t sy_type_map_type_back(const struct sy_type_map *map, uint32_t canonical_oid);

/* Which way the OIDs inside values are translated. */
struct sy_value_map {
    const struct sy_type_map *oids;   /* of the shard */
    const struct sy_type_map *shapes; /* of the side that the value comes from */
    bool back;                        /* from shard 0's OIDs to the shard's: parameters */
};
/* Binary values of this type (an OID of the side that they come from) may hold OIDs that have to be
 * translated. */
bool sy_value_map_concerns(const struct sy_value_map *map, uint32_t type);
/*
 * Translates the OIDs inside one binary value, in place: an OID has four bytes on both sides.
 * False: it is not a value of that type, is nested too deeply, or the other side lacks a type that
 * it names (its OID is 0 then).
 * Source: PostgreSQL 15, array_send, record_send, range_send, multirange_send.
 */
bool sy_value_map_apply(const struct sy_value_map *map, uint32_t type, char *data, size_t bytes);

/* The federating database as it was found or built: what the planner may use, and the OIDs of its
 * types. Owned by one sy_topology_schema. */
struct sy_topology_federation {
    struct sy_arena arena;
    struct sy_federation facts;
    struct sy_type_map types; /* its OIDs -> shard 0's, and back */
};
void sy_topology_federation_free(struct sy_topology_federation *federation); /* accepts NULL */

/* What an inspection of a database found: the schema, one type map per shard, and differences
 * between shards. Reference counted (atomic), immutable, held by snapshots. `release` frees what
 * the maker owns. */
struct sy_topology_schema {
    _Atomic uint32_t refs;
    const struct sy_schema *schema;
    struct sy_type_map *maps; /* shard_count of them; maps[0] is empty */
    uint32_t shard_count;
    const char **differences; /* one sentence each, for SHOW and the log */
    uint32_t difference_count;
    const char *server_version, *server_encoding, *collation; /* of shard 0 */
    uint32_t server_version_num;
    int64_t read_at_us;                        /* wall time at which reading began */
    struct sy_topology_federation *federation; /* NULL: none is configured */
    void (*release)(struct sy_topology_schema *self);
};
void sy_topology_schema_unref(struct sy_topology_schema *schema); /* accepts NULL */

struct sy_topology_shard {
    struct sy_slice name;
    struct sy_node **nodes;
    uint32_t node_count;
    /* Index into nodes of the one believed to be the primary; re-read from node->role on use. */
};

struct sy_topology_database {
    const struct sy_config_database *config;
    const struct sy_shardmap *map;
    const struct sy_schema *schema; /* NULL until it was read */
    struct sy_topology_schema
        *inspected; /* owner of schema: type maps, differences; NULL until it was read */
    struct sy_topology_shard *shards;
    uint32_t shard_count;
    /* The federating database, reached as one more shard, numbered shard_count. Its nodes are those
     * of `federation_host`, one for one, with another database name. node_count 0: none. */
    struct sy_topology_shard federation;
    uint32_t federation_host;
};

/* Any shard's name, the federating database's for shard_count. */
struct sy_slice sy_topology_shard_name(const struct sy_topology_database *database, uint32_t shard);

struct sy_topology {
    _Atomic uint32_t refs;
    uint64_t epoch;           /* grows with every swap */
    struct sy_config *config; /* referenced */
    struct sy_arena arena;
    struct sy_topology_database *databases;
    uint32_t database_count;
};

/* Builds a snapshot; nodes that stay the same (same database, shard and conninfo) are taken over
 * from `previous` (may be NULL) with their live state. Ownership: one reference. Does not connect
 * anywhere. */
SY_MUST_CHECK enum sy_status sy_topology_build(struct sy_config *config,
                                               const struct sy_topology *previous,
                                               struct sy_topology **ret_topology,
                                               struct sy_err *err);
/* The same configuration with another schema for one database (by index): what the inspection
 * publishes. Takes over the caller's reference to `schema` on success. */
SY_MUST_CHECK enum sy_status sy_topology_with_schema(const struct sy_topology *previous,
                                                     uint32_t database,
                                                     struct sy_topology_schema *schema,
                                                     struct sy_topology **ret_topology,
                                                     struct sy_err *err);
struct sy_topology *sy_topology_ref(struct sy_topology *topology);
void sy_topology_unref(struct sy_topology **topology);

/* The process-wide current snapshot. Publishing gives the snapshot its epoch. Any thread. */
void sy_topology_publish(struct sy_topology *topology); /* takes the reference */
/* Publishes only if `expected` is still the current one; false: somebody else was faster, the
 * caller keeps its reference and builds again. */
bool sy_topology_publish_over(const struct sy_topology *expected, struct sy_topology *topology);
/* Forgets the current snapshot (end of the process, tests). */
void sy_topology_retire(void);
struct sy_topology *sy_topology_acquire(void); /* a reference; NULL before the first publish */
uint64_t sy_topology_current_epoch(void);      /* one relaxed load: has anything changed? */

const struct sy_topology_database *sy_topology_find(const struct sy_topology *topology,
                                                    struct sy_slice database);

/* The node a statement should use. replica_ok: a replica may serve it by `balance` rules if its
 * replay position has reached min_lsn and its lag is in bounds; `rotation` is the caller's counter
 * for round robin. A primary that the monitor cannot reach is still returned when no other is
 * known: dialling it tells more than a guess would. NULL: no primary is known. Borrowed from the
 * snapshot. */
struct sy_node *sy_topology_pick(const struct sy_topology_database *database, uint32_t shard,
                                 bool replica_ok, uint64_t min_lsn, uint32_t *rotation);

/*
 * Asks for a database's schema to be read again (the session does so after DDL that a server has
 * acknowledged). Cheap and never blocks for long: the monitor's thread takes the requests. Asking
 * twice is asking once. Any thread.
 */
void sy_schema_refresh_request(struct sy_slice database);
/* Takes one request: its name into *ret_database (empty: all databases). false: there is none. For
 * the monitor. */
bool sy_schema_refresh_take(struct sy_buf *ret_database);

struct sy_node *sy_node_ref(struct sy_node *node);
void sy_node_unref(struct sy_node *node);

#endif
