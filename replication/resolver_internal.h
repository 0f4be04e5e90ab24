/* Shared by resolver.c (the thread and the connections) and resolve.c (what is done on them). */
#ifndef SY_REPLICATION_RESOLVER_INTERNAL_H
#define SY_REPLICATION_RESOLVER_INTERNAL_H

#include <libpq-fe.h>

#include "router/engine/postgres/ask.h"
#include "router/topology/topology.h"
#include "router/topology/transactions.h"

/* Longer than the statement_timeout that the connections have. */
enum { RESOLVER_PATIENCE_MS = 10 * 1000 };

/* A primary of the database under the look. */
struct resolver_shard {
    PGconn *conn; /* borrowed; NULL: cannot be reached */
    uint64_t id;  /* sy_gid_shard() */
    const char *name;
};

struct resolver_look {
    const struct sy_topology_database *database;
    struct resolver_shard *shards;
    uint32_t shard_count;
    char cluster[SY_GID_CLUSTER_BYTES];
    int64_t incarnation;
    int64_t
        oldest_prepared; /* the oldest incarnation of this cluster that has something prepared */
    bool complete;       /* every shard was read */
    struct sy_transaction_found *rows;
    uint32_t row_count, row_room;
};

/* Reads what is prepared on every shard and resolves what is to be resolved. */
void sy_resolver_look(struct resolver_look *look);
/* The operator's decision, stored at the decider; the next look obeys it. False: not of this
 * database. */
bool sy_resolver_decide(struct resolver_look *look, const char *gid_text, bool commit);
/* Removes rows of incarnations before `below`, and remembers at each decider that it did. */
void sy_resolver_prune(struct resolver_look *look, int64_t below);

#endif
