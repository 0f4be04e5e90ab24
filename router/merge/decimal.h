/*
 * PostgreSQL's numeric: exact decimals with a display scale, NaN and the infinities. Reads and
 * writes both wire formats; adds, compares, and divides by a count as the server does. Pure.
 */
#ifndef SY_ROUTER_MERGE_DECIMAL_H
#define SY_ROUTER_MERGE_DECIMAL_H

#include <gmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

enum sy_decimal_kind {
    SY_DECIMAL_MINUS_INFINITY,
    SY_DECIMAL_FINITE,
    SY_DECIMAL_INFINITY,
    SY_DECIMAL_NAN
};

/* digits * 10^-scale. Initialise before use; release afterwards. */
struct sy_decimal {
    mpz_t digits;
    uint32_t scale;
    enum sy_decimal_kind kind;
};

void sy_decimal_init(struct sy_decimal *decimal); /* zero */
void sy_decimal_release(struct sy_decimal *decimal);
void sy_decimal_set_int(struct sy_decimal *decimal, int64_t value);
void sy_decimal_copy(struct sy_decimal *to, const struct sy_decimal *from);

/* Reads a value as a server sends it. False: it is none. */
bool sy_decimal_read_text(struct sy_decimal *ret_decimal, struct sy_slice text);
bool sy_decimal_read_binary(struct sy_decimal *ret_decimal, struct sy_slice bytes);
void sy_decimal_write_text(const struct sy_decimal *decimal, struct sy_buf *out);
void sy_decimal_write_binary(const struct sy_decimal *decimal, struct sy_buf *out);

/* The server's order: -Infinity, finite values, Infinity, NaN (equal to itself). */
int sy_decimal_compare(const struct sy_decimal *a, const struct sy_decimal *b);
void sy_decimal_add(struct sy_decimal *sum, const struct sy_decimal *value);
/* sum / count with the scale that avg() gives. count > 0. Source: select_div_scale() in
 * PostgreSQL's numeric.c. */
void sy_decimal_average(struct sy_decimal *ret_average, const struct sy_decimal *sum,
                        int64_t count);

#endif
