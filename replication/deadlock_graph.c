/* Circles in the graph of waits. A transaction is one vertex, however many server processes it has;
 * a process that belongs to none is a vertex of its own. Pure. */
#include <stdlib.h>

#include "replication/deadlocks.h"

struct graph {
    const struct sy_deadlock_edge *edges;
    uint32_t edge_count;
    const struct sy_deadlock_member *members;
    uint32_t member_count;
    bool *seen; /* for each edge: a search has gone along it */
};

/* The transaction of a process; NULL: it has none. */
static const struct sy_deadlock_member *member_of(const struct graph *g, uint32_t server,
                                                  uint32_t pid)
{
    for (uint32_t i = 0; i < g->member_count; i++)
        if (g->members[i].server == server && g->members[i].pid == pid)
            return &g->members[i];
    return NULL;
}

/* Edge `next` starts where `edge` ends. */
static bool follows(const struct graph *g, const struct sy_deadlock_edge *edge,
                    const struct sy_deadlock_edge *next)
{
    const struct sy_deadlock_member *to = member_of(g, edge->server, edge->to);
    if (to == NULL)
        return next->server == edge->server && next->from == edge->to;
    const struct sy_deadlock_member *from = member_of(g, next->server, next->from);
    return from != NULL && from->client == to->client;
}

/* A path from behind `edge` back to `client`. */
static bool leads_back(struct graph *g, uint32_t index, uint32_t client, uint32_t depth)
{
    const struct sy_deadlock_edge *edge = &g->edges[index];
    const struct sy_deadlock_member *to = member_of(g, edge->server, edge->to);
    if (to != NULL && to->client == client)
        return true;
    if (depth == 0)
        return false;
    for (uint32_t i = 0; i < g->edge_count; i++) {
        if (g->seen[i] || !follows(g, edge, &g->edges[i]))
            continue;
        g->seen[i] = true;
        if (leads_back(g, i, client, depth - 1))
            return true;
    }
    return false;
}

static bool is_in_circle(struct graph *g, uint32_t client)
{
    enum { DEPTH_MAX = 1000 };
    for (uint32_t i = 0; i < g->edge_count; i++)
        g->seen[i] = false;
    for (uint32_t i = 0; i < g->edge_count; i++) {
        const struct sy_deadlock_member *from = member_of(g, g->edges[i].server, g->edges[i].from);
        if (from == NULL || from->client != client || g->seen[i])
            continue;
        g->seen[i] = true;
        if (leads_back(g, i, client, DEPTH_MAX))
            return true;
    }
    return false;
}

uint32_t sy_deadlock_victim(const struct sy_deadlock_edge *edges, uint32_t edge_count,
                            const struct sy_deadlock_member *members, uint32_t member_count)
{
    struct graph g = {.edges = edges,
                      .edge_count = edge_count,
                      .members = members,
                      .member_count = member_count,
                      .seen = calloc(edge_count + 1u, sizeof(bool))};
    const struct sy_deadlock_member *victim = NULL;
    for (uint32_t i = 0; g.seen != NULL && i < member_count; i++) {
        bool younger =
            victim == NULL || members[i].since_us > victim->since_us ||
            (members[i].since_us == victim->since_us && members[i].client > victim->client);
        if (younger && is_in_circle(&g, members[i].client))
            victim = &members[i];
    }
    free(g.seen);
    return victim == NULL ? 0 : victim->client;
}
