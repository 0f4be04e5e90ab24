/* The table of node states. Pure. */
#include "replication/node_state.h"

#include <stddef.h>

static bool is_good(const struct sy_probe_facts *facts)
{
    return facts->answered && !facts->beyond_lag;
}

static bool is_late(const struct sy_probe_facts *facts)
{
    return facts->answered && facts->beyond_lag;
}

static bool is_silent(const struct sy_probe_facts *facts)
{
    return !facts->answered;
}

static const struct sy_health_edge edges[] = {
    {SY_HEALTH_UNKNOWN, SY_HEALTH_UP, is_good, SY_HEALTH_ADMIT, "first answer"},
    {SY_HEALTH_UNKNOWN, SY_HEALTH_LAGGING, is_late, SY_HEALTH_ADMIT,
     "first answer, behind the lag limit"},
    {SY_HEALTH_UNKNOWN, SY_HEALTH_DOWN, is_silent, SY_HEALTH_EXCLUDE, "no answer since the start"},
    {SY_HEALTH_UP, SY_HEALTH_LAGGING, is_late, SY_HEALTH_ADMIT, "fell behind the lag limit"},
    {SY_HEALTH_UP, SY_HEALTH_DOWN, is_silent, SY_HEALTH_EXCLUDE, "stopped answering"},
    {SY_HEALTH_LAGGING, SY_HEALTH_UP, is_good, SY_HEALTH_ADMIT, "caught up"},
    {SY_HEALTH_LAGGING, SY_HEALTH_DOWN, is_silent, SY_HEALTH_EXCLUDE, "stopped answering"},
    {SY_HEALTH_DOWN, SY_HEALTH_UP, is_good, SY_HEALTH_ADMIT, "answers again"},
    {SY_HEALTH_DOWN, SY_HEALTH_LAGGING, is_late, SY_HEALTH_ADMIT,
     "answers again, behind the lag limit"},
};
enum { EDGE_COUNT = sizeof(edges) / sizeof(edges[0]) };

const struct sy_health_edge *sy_health_next(enum sy_node_health state,
                                            const struct sy_probe_facts *facts)
{
    for (unsigned i = 0; i < EDGE_COUNT; i++)
        if (edges[i].from == state && edges[i].guard(facts))
            return &edges[i];
    return NULL;
}

const char *sy_health_name(enum sy_node_health state)
{
    static const char *const names[SY_HEALTH_COUNT] = {
        [SY_HEALTH_UNKNOWN] = "unknown",
        [SY_HEALTH_UP] = "up",
        [SY_HEALTH_LAGGING] = "lagging",
        [SY_HEALTH_DOWN] = "down",
    };
    return names[state];
}

const struct sy_health_edge *sy_health_edges(unsigned *ret_count)
{
    *ret_count = EDGE_COUNT;
    return edges;
}
