/* Shared by types_in.c, types_out.c and types_array.c: arrays, errors. Internal to
 * router/engine/sqlite. */
#ifndef SY_ROUTER_ENGINE_SQLITE_TYPES_INTERNAL_H
#define SY_ROUTER_ENGINE_SQLITE_TYPES_INTERNAL_H

#include "router/engine/sqlite/types.h"

/* Walks PostgreSQL's text form of an array of one dimension, "{a,\"b c\",NULL}". */
struct sq_array_walk {
    const char *p, *end;
    bool first, bad;
};

bool sq_array_begin(struct sq_array_walk *walk, struct sy_slice text);
/* False at the end, or when the text is malformed (walk->bad). `element` lives in the arena. */
bool sq_array_next(struct sq_array_walk *walk, struct sy_arena *arena, struct sy_slice *ret_element,
                   bool *ret_null);
void sq_array_append_element(struct sy_buf *out, bool first, struct sy_slice element, bool is_null);

enum sy_status sq_array_decode(const struct sy_type_info *type, int format, struct sy_slice data,
                               const struct sy_type_settings *settings, struct sy_arena *arena,
                               struct sy_sqvalue *ret_value, struct sy_err *err);
enum sy_status sq_array_encode(const struct sy_type_info *type, int format, struct sy_slice stored,
                               const struct sy_type_settings *settings, struct sy_buf *out,
                               struct sy_err *err);

enum sy_status sq_invalid(const char *type, struct sy_slice text, struct sy_err *err);
/* Length limits and precision; explicit casts cut where assignments fail. In place. */
enum sy_status sq_apply_typmod(uint32_t oid, int32_t typmod, bool explicit_cast,
                               struct sy_arena *arena, struct sy_sqvalue *value,
                               struct sy_err *err);
/* The number in decimal, appended without the price of a format. */
void sq_put_int(struct sy_buf *out, int64_t value);
struct sy_sqvalue sq_value_int(int64_t value);
struct sy_sqvalue sq_value_text(struct sy_slice text);
/* Moves a buffer's bytes to the arena and releases it. */
enum sy_status sq_value_take(struct sy_buf *buf, struct sy_arena *arena,
                             struct sy_sqvalue *ret_value, struct sy_err *err);
/* -1, 0, 1 by the type's own order; both not NULL. */
int sq_value_compare(uint32_t oid, const struct sy_sqvalue *a, const struct sy_sqvalue *b);

enum sy_status sq_decode_text(const struct sy_type_info *type, int32_t typmod, struct sy_slice data,
                              const struct sy_type_settings *settings, struct sy_arena *arena,
                              struct sy_sqvalue *ret_value, struct sy_err *err);
enum sy_status sq_decode_binary(const struct sy_type_info *type, struct sy_slice data,
                                struct sy_arena *arena, struct sy_sqvalue *ret_value,
                                struct sy_err *err);

#endif
