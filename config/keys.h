/*
 * The table of configuration keys: one row a key, with its type, place, limits, default and
 * documentation. The loader reads by it, `config check` reports by it, the reference documentation
 * is printed from it.
 */
#ifndef SY_CONFIG_KEYS_H
#define SY_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sy_key_kind {
    SY_KEY_IS_STRING,
    SY_KEY_IS_UINT32,
    SY_KEY_IS_PORT, /* uint16_t */
    SY_KEY_IS_BOOL,
    SY_KEY_IS_SIZE,     /* uint32_t bytes, written "64MB" */
    SY_KEY_IS_DURATION, /* uint64_t microseconds, written "30s" */
    SY_KEY_IS_WORD,     /* an enum (int), one of `words` */
    SY_KEY_IS_GROUP,    /* { ... } embedded at offset */
    SY_KEY_IS_GROUPS,   /* ( { ... }, ... ): pointer at offset, uint32_t count at count_offset */
    SY_KEY_IS_STRINGS,  /* [ "a", "b" ]: const char ** at offset, uint32_t count at count_offset */
    SY_KEY_IS_QNAMES,   /* [ "t", "schema.t" ]: struct sy_config_reference_table */
};

struct sy_key_word {
    const char *word;
    int value;
};

struct sy_key_row {
    const char *name;
    enum sy_key_kind kind;
    size_t offset;
    size_t count_offset;               /* GROUPS, STRINGS, QNAMES */
    const char *default_text;          /* NULL: none (zero, or required) */
    const struct sy_key_word *words;   /* WORD; ends with a NULL word */
    const struct sy_key_row *children; /* GROUP, GROUPS; ends with a NULL name */
    size_t element_bytes;              /* GROUPS */
    size_t origin_offset;  /* GROUPS: of the element's struct sy_config_origin; 0: it has none */
    uint64_t least, most;  /* UINT32, PORT, SIZE, DURATION; most 0: the type's own */
    uint32_t elements_max; /* GROUPS, STRINGS; 0: no limit of its own */
    bool required;
    bool secret;        /* never shown */
    bool needs_restart; /* RELOAD does not change it */
    const char *about;  /* one sentence or two, for the reference */
};

/* Rows of the whole file; ends with a NULL name. */
extern const struct sy_key_row sy_config_keys[];

#endif
