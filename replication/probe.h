/* One node under watch: internal to replication/. The monitor's thread only. */
#ifndef SY_REPLICATION_PROBE_H
#define SY_REPLICATION_PROBE_H

#include <libpq-fe.h>

#include "base/loop.h"
#include "router/engine/postgres/resolve.h"
#include "router/topology/topology.h"

enum sy_probe_phase { SY_PROBE_RESTING, SY_PROBE_RESOLVING, SY_PROBE_CONNECTING, SY_PROBE_ASKING };

struct sy_probe {
    struct sy_list link;
    struct sy_loop *loop;
    struct sy_node *node;                        /* a reference */
    const struct sy_topology_database *database; /* of the monitor's snapshot */
    const struct sy_topology_shard *shard;
    enum sy_probe_phase phase;
    PGconn *conn;
    struct pg_resolve_job *resolving;
    struct sy_poll poll;
    struct sy_timer timer; /* RESTING: the next question; else: the time limit */
    uint32_t failures;     /* in a row */
    uint64_t asked_bytes;  /* received over the connection when the question was asked
                            */
    uint64_t caught_up_us; /* replica: last seen level with the primary; 0: never */
    bool wanted, settled, ending;
    char why[160]; /* last failure */
};

struct sy_probe *sy_probe_new(struct sy_loop *loop, struct sy_node *node);
/* Ends and frees, now or when a name look-up that is under way has returned. */
void sy_probe_end(struct sy_probe *probe);

#endif
