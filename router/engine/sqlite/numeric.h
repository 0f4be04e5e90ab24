/*
 * Exact decimals with PostgreSQL's rules for scales. A number is coefficient / 10^scale; NaN and
 * infinities exist. Internal to router/engine/sqlite. Source: PostgreSQL manual 8.1.2; the scale of
 * a quotient as numeric division displays it.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_NUMERIC_H
#define SY_ROUTER_ENGINE_SQLITE_NUMERIC_H

#include <gmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum sq_num_kind { SQ_NUM_FINITE, SQ_NUM_NAN, SQ_NUM_INF, SQ_NUM_MINUS_INF };

struct sq_num {
    enum sq_num_kind kind;
    int32_t scale; /* digits after the point, >= 0 */
    mpz_t coefficient;
};

enum { SQ_NUM_SCALE_MAX = 16383, SQ_NUM_SIGNIFICANT_MIN = 16, SQ_NUM_DISPLAY_MAX = 1000 };

void sq_num_init(struct sq_num *num);
void sq_num_clear(struct sq_num *num);
/* Reads PostgreSQL's syntax; surrounding blanks allowed. False: not a number (or too large:
 * *ret_overflow). */
bool sq_num_parse(struct sq_num *num, struct sy_slice text, bool *ret_overflow);
void sq_num_print(const struct sq_num *num, struct sy_buf *out);
void sq_num_set_int(struct sq_num *num, int64_t value);
void sq_num_set(struct sq_num *to, const struct sq_num *from);

/* Square root, rounded to `scale` digits; value is not negative. */
void sq_num_sqrt(struct sq_num *out, const struct sq_num *value, int32_t scale);
/* Half away from zero; a negative scale rounds to the left of the point. */
void sq_num_round(struct sq_num *num, int32_t scale);
void sq_num_trunc(struct sq_num *num, int32_t scale);
/* Gives it more digits after the point without changing the value. */
void sq_num_rescale(struct sq_num *num, int32_t scale);
/* Copies at the larger scale of the two, which is returned; the caller clears them. */
int32_t sq_num_align(struct sq_num *x, struct sq_num *y, const struct sq_num *a,
                     const struct sq_num *b);
int sq_num_compare(const struct sq_num *a, const struct sq_num *b);
/* Comparison of texts without arithmetic, for the collation. */
int sq_num_compare_text(const char *a, size_t a_bytes, const char *b, size_t b_bytes);

void sq_num_add(struct sq_num *out, const struct sq_num *a, const struct sq_num *b);
void sq_num_sub(struct sq_num *out, const struct sq_num *a, const struct sq_num *b);
void sq_num_mul(struct sq_num *out, const struct sq_num *a, const struct sq_num *b);
/* b is not zero. */
void sq_num_div(struct sq_num *out, const struct sq_num *a, const struct sq_num *b);
int32_t sq_num_div_scale(const struct sq_num *a, const struct sq_num *b);
/* Quotient rounded to `scale` digits. */
void sq_num_div_to(struct sq_num *out, const struct sq_num *a, const struct sq_num *b,
                   int32_t scale);
void sq_num_mod(struct sq_num *out, const struct sq_num *a, const struct sq_num *b);

double sq_num_to_double(const struct sq_num *num);
/* Rounds to an integer. False: out of range, NaN or infinite. */
bool sq_num_to_int64(const struct sq_num *num, int64_t *ret_value);
/* numeric(p,s). Errors: 22003. */
SY_MUST_CHECK enum sy_status sq_num_apply_typmod(struct sq_num *num, int32_t typmod,
                                                 struct sy_err *err);

/* The binary wire form. */
void sq_num_send(const struct sq_num *num, struct sy_buf *out);
SY_MUST_CHECK enum sy_status sq_num_recv(struct sq_num *num, struct sy_slice data,
                                         struct sy_err *err);

/* Shortest text that reads back as the same float, laid out as PostgreSQL does. */
void sq_float8_out(double value, struct sy_buf *out);
void sq_float4_out(float value, struct sy_buf *out);

#endif
