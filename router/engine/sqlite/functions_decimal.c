/* Roots, powers and buckets of exact numbers. */
#include <math.h>
#include <stdlib.h>

#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/numeric.h"

bool sq_arg_finite(struct sq_call *call, int index, struct sq_num *num)
{
    bool overflow = false;
    sq_num_init(num);
    if (sq_num_parse(num, sq_arg_text(call, index), &overflow) && num->kind == SQ_NUM_FINITE)
        return true;
    sq_fail(call, "0A000", "NaN and infinity are not supported here by the sqlite engine");
    sq_num_clear(num);
    return false;
}

void sq_num_sqrt(struct sq_num *out, const struct sq_num *value, int32_t scale)
{
    struct sq_num wide;
    sq_num_init(&wide);
    sq_num_set(&wide, value);
    int32_t digits =
        scale + 1; /* one digit more decides the rounding: a root is never exactly half */
    sq_num_rescale(&wide, 2 * digits > wide.scale ? 2 * digits : wide.scale);
    if (wide.scale % 2 != 0)
        sq_num_rescale(&wide, wide.scale + 1);
    mpz_sqrt(out->coefficient, wide.coefficient);
    out->kind = SQ_NUM_FINITE;
    out->scale = wide.scale / 2;
    sq_num_round(out, scale);
    sq_num_clear(&wide);
}

/* Groups of four digits before the point, less one. */
static int32_t weight(const struct sq_num *value)
{
    if (mpz_sgn(value->coefficient) == 0)
        return 0;
    int32_t digits = (int32_t)mpz_sizeinbase(value->coefficient, 10);
    mpz_t limit;
    mpz_init(limit);
    mpz_ui_pow_ui(limit, 10, (unsigned long)digits - 1);
    if (mpz_cmpabs(value->coefficient, limit) < 0)
        digits--;
    mpz_clear(limit);
    int32_t whole = digits - value->scale;
    return whole > 0 ? (whole - 1) / 4 : -((-whole) / 4 + 1);
}

static void f_numsqrt(struct sq_call *call)
{
    struct sq_num value, out;
    if (!sq_arg_finite(call, 0, &value))
        return;
    if (mpz_sgn(value.coefficient) < 0) {
        sq_fail(call, "2201F", "cannot take square root of a negative number");
        sq_num_clear(&value);
        return;
    }
    int32_t scale = SQ_NUM_SIGNIFICANT_MIN - ((weight(&value) + 1) * 4 / 2 - 1);
    scale = scale < value.scale ? value.scale : scale;
    scale = scale < 0 ? 0 : scale > SQ_NUM_DISPLAY_MAX ? SQ_NUM_DISPLAY_MAX : scale;
    sq_num_init(&out);
    sq_num_sqrt(&out, &value, scale);
    sq_return_num(call, &out);
    sq_num_clear(&out);
    sq_num_clear(&value);
}

/* A whole exponent: exact, then rounded to the scale that PostgreSQL shows. */
static void whole_power(struct sq_call *call, const struct sq_num *base, int64_t exponent)
{
    struct sq_num out, one, result;
    int32_t scale = base->scale > SQ_NUM_SIGNIFICANT_MIN ? base->scale : SQ_NUM_SIGNIFICANT_MIN;
    uint64_t times = exponent < 0 ? 0 - (uint64_t)exponent : (uint64_t)exponent;
    double size = (double)times * fabs(log10(fabs(sq_num_to_double(base))));
    if (mpz_sgn(base->coefficient) == 0 && exponent < 0) {
        sq_fail(call, "2201F", "zero raised to a negative power is undefined");
        return;
    }
    if (mpz_sgn(base->coefficient) != 0 &&
        (size > 131072 || (double)times * (double)(base->scale + 1) > 1e6)) {
        sq_fail(call, exponent > 0 ? "22003" : "0A000",
                exponent > 0 ? "value overflows numeric format"
                             : "this power is not supported by the sqlite engine");
        return;
    }
    sq_num_init(&out);
    sq_num_init(&one);
    sq_num_init(&result);
    mpz_pow_ui(out.coefficient, base->coefficient, (unsigned long)times);
    out.scale = base->scale * (int32_t)times;
    if (exponent < 0) {
        sq_num_set_int(&one, 1);
        sq_num_div_to(&result, &one, &out, scale);
    } else {
        sq_num_set(&result, &out);
        sq_num_round(&result, scale);
    }
    sq_return_num(call, &result);
    sq_num_clear(&out);
    sq_num_clear(&one);
    sq_num_clear(&result);
}

static void f_numpower(struct sq_call *call)
{
    struct sq_num base, exponent, whole;
    int64_t value = 0;
    if (!sq_arg_finite(call, 0, &base))
        return;
    if (sq_arg_finite(call, 1, &exponent)) {
        sq_num_init(&whole);
        sq_num_set(&whole, &exponent);
        sq_num_trunc(&whole, 0);
        bool is_whole = sq_num_compare(&whole, &exponent) == 0 && sq_num_to_int64(&whole, &value) &&
                        value >= INT32_MIN && value <= INT32_MAX;
        if (is_whole)
            whole_power(call, &base, value);
        else
            sq_fraction_power(call, &base, &exponent);
        sq_num_clear(&whole);
        sq_num_clear(&exponent);
    }
    sq_num_clear(&base);
}

static void f_width_bucket_n(struct sq_call *call)
{
    struct sq_num value, low, high, a, b, c;
    int64_t count = sq_arg_int(call, 3), bucket = 0;
    if (count <= 0) {
        sq_fail(call, "2201G", "count must be greater than zero");
        return;
    }
    if (!sq_arg_finite(call, 0, &value))
        return;
    bool ok = sq_arg_finite(call, 1, &low);
    if (ok && sq_arg_finite(call, 2, &high)) {
        sq_num_init(&a);
        sq_num_init(&b);
        sq_num_init(&c);
        int order = sq_num_compare(&low, &high), sign = order < 0 ? 1 : -1;
        if (order == 0) {
            sq_fail(call, "2201G", "lower bound cannot equal upper bound");
        } else {
            if (sq_num_compare(&value, &low) * sign < 0) {
                bucket = 0;
            } else if (sq_num_compare(&value, &high) * sign >= 0) {
                bucket = count + 1;
            } else { /* floor(count * (value - low) / (high - low)) + 1 */
                sq_num_sub(&a, &value, &low);
                sq_num_sub(&b, &high, &low);
                sq_num_set_int(&c, count);
                struct sq_num top;
                sq_num_init(&top);
                sq_num_mul(&top, &a, &c);
                int32_t scale = top.scale > b.scale ? top.scale : b.scale;
                sq_num_rescale(&top, scale);
                sq_num_rescale(&b, scale);
                mpz_tdiv_q(top.coefficient, top.coefficient, b.coefficient);
                bucket = mpz_get_si(top.coefficient) + 1;
                sq_num_clear(&top);
            }
            sq_return_int(call, bucket);
        }
        sq_num_clear(&a);
        sq_num_clear(&b);
        sq_num_clear(&c);
        sq_num_clear(&high);
    }
    if (ok)
        sq_num_clear(&low);
    sq_num_clear(&value);
}

static void f_width_bucket_f(struct sq_call *call)
{
    double value = sq_arg_real(call, 0), low = sq_arg_real(call, 1), high = sq_arg_real(call, 2);
    int64_t count = sq_arg_int(call, 3);
    double part = low < high ? (value - low) / (high - low) : (low - value) / (low - high);
    if (count <= 0 || low == high)
        sq_fail(call, "2201G",
                count <= 0 ? "count must be greater than zero"
                           : "lower bound cannot equal upper bound");
    else
        sq_return_int(call, part < 0    ? 0
                            : part >= 1 ? count + 1
                                        : (int64_t)((double)count * part) + 1);
}

static const struct sq_function functions[] = {
    {"sy_numsqrt", 1, 0, f_numsqrt},
    {"sy_numpower", 2, 0, f_numpower},
    {"sy_width_bucket_n", 4, 0, f_width_bucket_n},
    {"sy_width_bucket_f", 4, 0, f_width_bucket_f},
};

const struct sq_function_table sq_functions_decimal = {functions,
                                                       sizeof(functions) / sizeof(functions[0])};
