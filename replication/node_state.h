/*
 * What a node is believed to be, as a table of transitions. Pure: facts of a probe come in, the
 * next state and the reason come out. The reason is the log line and what SHOW NODES prints.
 *
 *     unknown -> up <-> lagging, and each of them <-> down
 */
#ifndef SY_REPLICATION_NODE_STATE_H
#define SY_REPLICATION_NODE_STATE_H

#include <stdbool.h>
#include <stdint.h>

enum sy_node_health {
    SY_HEALTH_UNKNOWN,
    SY_HEALTH_UP,
    SY_HEALTH_LAGGING,
    SY_HEALTH_DOWN,
    SY_HEALTH_COUNT
};

/* What one probe has shown. */
struct sy_probe_facts {
    bool answered;   /* else: refused, lost, or no answer in time */
    bool beyond_lag; /* a replica beyond its database's lag limit */
};

enum sy_health_action {
    SY_HEALTH_ADMIT,   /* reads may use it (by the rules of balancing) */
    SY_HEALTH_EXCLUDE, /* nothing is sent there while there is another choice */
};

struct sy_health_edge {
    enum sy_node_health from, to;
    bool (*guard)(const struct sy_probe_facts *facts);
    enum sy_health_action action;
    const char *why;
};

/* The edge that the facts ask for, or NULL: stay. */
const struct sy_health_edge *sy_health_next(enum sy_node_health state,
                                            const struct sy_probe_facts *facts);
const char *sy_health_name(enum sy_node_health state);
/* The whole table, for the generated diagram and the tests. */
const struct sy_health_edge *sy_health_edges(unsigned *ret_count);

#endif
