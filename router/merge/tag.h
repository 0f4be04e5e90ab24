/* Adds up the command tags of one statement that ran on several shards: "SELECT 3" + "SELECT 4" =
 * "SELECT 7". Pure. */
#ifndef SY_ROUTER_MERGE_TAG_H
#define SY_ROUTER_MERGE_TAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum { SY_TAG_BYTES_MAX = 64 };

/* All zero: no tag was added yet. */
struct sy_tag_sum {
    char word[SY_TAG_BYTES_MAX]; /* the tag without its row count: "INSERT 0", "CREATE TABLE" */
    uint64_t rows;
    uint32_t parts;
    bool counted; /* the tag ends in a row count */
};

/* False: the tag is not of the same command as those before (nothing is added), or too long to be
 * one. */
bool sy_tag_sum_add(struct sy_tag_sum *sum, struct sy_slice tag);
/* Writes the combined tag with a zero byte; rows: what the shards reported together, or once. */
void sy_tag_sum_write(const struct sy_tag_sum *sum, uint64_t rows,
                      char ret_tag[SY_TAG_BYTES_MAX + 24]);

#endif
