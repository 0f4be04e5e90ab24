/* A hash table from (schema, name) to a number: open addressing, built once, then only read.
 * Private to plan. */
#ifndef SY_ROUTER_PLAN_NAME_TABLE_H
#define SY_ROUTER_PLAN_NAME_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/slice.h"

struct sy_name_entry {
    struct sy_slice schema, name; /* name.data NULL: an empty slot */
    uint32_t value;
};

struct sy_name_table {
    struct sy_name_entry *slots;
    uint32_t slot_count; /* a power of two, or 0 */
    uint32_t used;
};

#define SY_NAME_NONE UINT32_MAX

/* Room for `entries`; memory from `arena`. False: no memory. */
bool sy_name_table_init(struct sy_name_table *table, struct sy_arena *arena, uint32_t entries);
/* The place of a value, made with SY_NAME_NONE when the name is new. The slices are borrowed. NULL:
 * the table is full. */
uint32_t *sy_name_table_put(struct sy_name_table *table, struct sy_slice schema,
                            struct sy_slice name);
/* SY_NAME_NONE: absent. */
uint32_t sy_name_table_get(const struct sy_name_table *table, struct sy_slice schema,
                           struct sy_slice name);

#endif
