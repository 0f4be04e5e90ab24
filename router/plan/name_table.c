/* Open addressing with linear probing at no more than half full. Immutable after building, so no
 * deletion. */
#include "router/plan/name_table.h"

static uint64_t mix_in(uint64_t hash, struct sy_slice text)
{
    for (size_t i = 0; i < text.bytes; i++)
        hash = (hash ^ (unsigned char)text.data[i]) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static uint32_t first_slot(const struct sy_name_table *table, struct sy_slice schema,
                           struct sy_slice name)
{
    uint64_t hash = mix_in(mix_in(UINT64_C(0xcbf29ce484222325), schema), name);
    return (uint32_t)(hash ^ hash >> 32) & (table->slot_count - 1);
}

bool sy_name_table_init(struct sy_name_table *table, struct sy_arena *arena, uint32_t entries)
{
    uint32_t slots = 8;
    while (slots < entries * UINT64_C(2) + 2)
        slots *= 2;
    *table = (struct sy_name_table){.slot_count = slots};
    table->slots = sy_arena_calloc(arena, slots, sizeof(*table->slots));
    return table->slots != NULL;
}

static struct sy_name_entry *probe(const struct sy_name_table *table, struct sy_slice schema,
                                   struct sy_slice name)
{
    uint32_t at = first_slot(table, schema, name);
    for (;;) {
        struct sy_name_entry *entry = &table->slots[at];
        if (entry->name.data == NULL)
            return entry;
        if (sy_slice_eq(entry->name, name) && sy_slice_eq(entry->schema, schema))
            return entry;
        at = (at + 1) & (table->slot_count - 1);
    }
}

uint32_t *sy_name_table_put(struct sy_name_table *table, struct sy_slice schema,
                            struct sy_slice name)
{
    struct sy_name_entry *entry = probe(table, schema, name);
    if (entry->name.data != NULL)
        return &entry->value;
    if (table->used + 1 >= table->slot_count)
        return NULL;
    table->used++;
    *entry = (struct sy_name_entry){schema, name, SY_NAME_NONE};
    if (name.data == NULL)
        entry->name.data = "";
    return &entry->value;
}

uint32_t sy_name_table_get(const struct sy_name_table *table, struct sy_slice schema,
                           struct sy_slice name)
{
    if (table->slot_count == 0)
        return SY_NAME_NONE;
    const struct sy_name_entry *entry = probe(table, schema, name);
    return entry->name.data == NULL ? (uint32_t)SY_NAME_NONE : entry->value;
}
