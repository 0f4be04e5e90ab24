/*
 * One binary COPY out of several: the header of the first, the rows of all, the trailer of the
 * last, whatever the boundaries of the messages. Pure. Source: PostgreSQL manual, COPY, "Binary
 * Format".
 */
#ifndef SY_ROUTER_MERGE_COPY_JOIN_H
#define SY_ROUTER_MERGE_COPY_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum { SY_COPY_JOIN_HEADER_BYTES = 19 };

struct sy_copy_join {
    uint8_t state; /* enum copy_join_state of the .c file; 0: a stream begins */
    bool first, last;
    uint8_t have; /* bytes of `item` */
    char item[SY_COPY_JOIN_HEADER_BYTES];
    uint32_t left;   /* bytes of the value, or of the header's extension */
    uint32_t fields; /* of the row that are still to come */
};

/* The next stream. */
void sy_copy_join_begin(struct sy_copy_join *join, bool first, bool last);
/* Appends what is passed on of these bytes. False: they are no binary COPY. */
bool sy_copy_join_feed(struct sy_copy_join *join, const char *data, size_t bytes,
                       struct sy_buf *out);

#endif
