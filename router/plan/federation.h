/*
 * What the federating database of a sharded database offers: the relations that exist there under
 * their own names as unions of all shards' parts, and the users' immutable functions. Written by
 * replication/federation.c, read by the planner. Immutable.
 */
#ifndef SY_ROUTER_PLAN_FEDERATION_H
#define SY_ROUTER_PLAN_FEDERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { SY_FEDERATION_WHY_BYTES = 160 };

struct sy_federation_relation {
    struct sy_slice schema, name;
};

struct sy_federation {
    bool ready;
    bool assumed;                      /* no server was asked: everything may be there */
    char why[SY_FEDERATION_WHY_BYTES]; /* why it is not */
    const struct sy_federation_relation *relations;
    uint32_t relation_count;                        /* sorted by sy_federation_compare() */
    const struct sy_federation_relation *functions; /* every one of the name is there */
    uint32_t function_count;                        /* sorted likewise */
};

/* By schema, then name; for qsort(). */
int sy_federation_compare(const void *a, const void *b);
bool sy_federation_has(const struct sy_federation *federation, struct sy_slice schema,
                       struct sy_slice name);
bool sy_federation_has_function(const struct sy_federation *federation, struct sy_slice schema,
                                struct sy_slice name);

#endif
