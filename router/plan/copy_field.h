/* One field of a COPY line in text or CSV form. Private to plan. */
#ifndef SY_ROUTER_PLAN_COPY_FIELD_H
#define SY_ROUTER_PLAN_COPY_FIELD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"
#include "parser/facts.h"

/* The options with their defaults filled in. `null_text` is borrowed from the facts. */
struct sy_copy_style {
    bool is_csv;
    char delimiter, quote, escape;
    struct sy_slice null_text;
};

struct sy_copy_field {
    bool is_null;
    struct sy_slice text; /* decoded; in the buffer that was given, or (binary) in the row */
};

struct sy_copy_style sy_copy_style_of(const struct sy_copy_facts *copy);
/* Field `ordinal` (from 0) of a line with or without its line end. False: the line has no such
 * field, or no memory. */
bool sy_copy_field_find(const struct sy_copy_style *style, struct sy_slice line, uint32_t ordinal,
                        struct sy_buf *buf, struct sy_copy_field *ret_field);

#endif
