/*
 * Values of columns by which rows of several shards are ordered, made one or added up. Only types
 * whose order and equality are reproduced exactly, in both wire formats. Pure.
 */
#ifndef SY_ROUTER_MERGE_DATUM_H
#define SY_ROUTER_MERGE_DATUM_H

#include "base/err.h"
#include "router/merge/decimal.h"
#include "router/plan/merge_type.h"

/* A value read. `number` is initialised by sy_datum_init() and reused. Bytes are borrowed. */
struct sy_datum {
    bool null;
    int64_t integer;
    double real;
    struct sy_slice bytes;
    struct sy_decimal number;
};

void sy_datum_init(struct sy_datum *datum);
void sy_datum_release(struct sy_datum *datum);

/* Reads a column; text in ISO date style, floats with all digits, bytea in hex. Errors:
 * SY_E_UNSUPPORTED. */
SY_MUST_CHECK enum sy_status sy_datum_read(struct sy_datum *ret_datum, enum sy_datum_kind kind,
                                           uint16_t format, struct sy_slice value,
                                           struct sy_err *err);
/* The server's order of two values that are not null. */
int sy_datum_compare(enum sy_datum_kind kind, const struct sy_datum *a, const struct sy_datum *b);
/* A float as the server writes it with extra_float_digits = 1. */
void sy_float_write_text(double value, bool single, struct sy_buf *out);

#endif
