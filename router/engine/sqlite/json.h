/* JSON values as trees in an arena: numbers keep their digits. Internal to router/engine/sqlite. */
#ifndef SY_ROUTER_ENGINE_SQLITE_JSON_H
#define SY_ROUTER_ENGINE_SQLITE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum sq_json_kind {
    SQ_JSON_NULL,
    SQ_JSON_STRING,
    SQ_JSON_NUMBER,
    SQ_JSON_BOOL,
    SQ_JSON_ARRAY,
    SQ_JSON_OBJECT
};

struct sq_json {
    enum sq_json_kind kind;
    bool boolean;
    struct sy_slice text;   /* string: decoded; number: as written, canonical in jsonb */
    struct sy_slice source; /* where it stood in the input */
    struct sy_slice key;    /* member of an object */
    struct sq_json *first, *last, *next;
    uint32_t count;
};

/* jsonb: numbers canonical, keys sorted (length, then bytes), the last of equal keys wins. Errors:
 * 22P02, 54001. */
SY_MUST_CHECK enum sy_status sq_json_parse(struct sy_slice text, bool jsonb, struct sy_arena *arena,
                                           struct sq_json **ret_root, struct sy_err *err);
/* As PostgreSQL prints jsonb. */
void sq_jsonb_print(const struct sq_json *value, struct sy_buf *out);
void sq_jsonb_pretty(const struct sq_json *value, uint32_t indent, struct sy_buf *out);
void sq_json_quote(struct sy_slice text, struct sy_buf *out);
int sq_jsonb_compare(const struct sq_json *a, const struct sq_json *b);
bool sq_jsonb_contains(const struct sq_json *a, const struct sq_json *b, bool top);
struct sq_json *sq_json_member(const struct sq_json *object, struct sy_slice key);
struct sq_json *sq_json_element(const struct sq_json *array,
                                int64_t index); /* negative: from the end */
struct sq_json *sq_json_new(struct sy_arena *arena, enum sq_json_kind kind);
void sq_json_append(struct sq_json *parent, struct sq_json *child);
/* Sorts members and drops older ones of equal keys. */
bool sq_jsonb_sort(struct sq_json *object, struct sy_arena *arena);

#endif
