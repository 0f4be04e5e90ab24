/*
 * exp, ln, log and fractional powers of exact numbers. How many digits PostgreSQL shows depends on
 * estimates of the result's size, which are made here as it makes them; the value itself is
 * computed with digits to spare and rounded once.
 */
#include <math.h>
#include <stdlib.h>

#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/numeric.h"

enum { SPARE_DIGITS = 24, RESULT_SCALE_MAX = 2000, GROUP_DIGITS = 4, GROUP = 10000 };

#define LN_10 2.302585092994046
#define LOG10_E 0.434294481903252
#define BITS_PER_DIGIT 3.3219280948873626

static int32_t clamp_scale(int32_t scale, int32_t least)
{
    scale = scale < least ? least : scale;
    scale = scale < 0 ? 0 : scale;
    return scale > SQ_NUM_DISPLAY_MAX ? SQ_NUM_DISPLAY_MAX : scale;
}

static mp_bitcnt_t bits_for(int32_t digits)
{
    return (mp_bitcnt_t)((double)(digits + SPARE_DIGITS) * BITS_PER_DIGIT) + 64;
}

/* ---- between the two kinds of numbers ---- */

static void to_float(mpf_t out, const struct sq_num *value, mp_bitcnt_t bits)
{
    mpz_t power;
    mpf_t divisor;
    mpf_init2(out, bits + 64);
    mpf_init2(divisor, bits + 64);
    mpz_init(power);
    mpz_ui_pow_ui(power, 10, (unsigned long)value->scale);
    mpf_set_z(out, value->coefficient);
    mpf_set_z(divisor, power);
    mpf_div(out, out, divisor);
    mpf_clear(divisor);
    mpz_clear(power);
}

static void from_float(struct sq_num *out, const mpf_t value, int32_t scale)
{
    mpf_t shifted, power;
    mpz_t whole;
    mp_bitcnt_t bits = mpf_get_prec(value) + (mp_bitcnt_t)(scale * 4) + 64;
    mpf_init2(shifted, bits);
    mpf_init2(power, bits);
    mpz_init(whole);
    mpz_ui_pow_ui(whole, 10, (unsigned long)scale);
    mpf_set_z(power, whole);
    mpf_mul(shifted, value, power);
    mpf_set_d(power, mpf_sgn(value) < 0 ? -0.5 : 0.5);
    mpf_add(shifted, shifted, power);
    mpz_set_f(out->coefficient, shifted); /* towards zero */
    out->kind = SQ_NUM_FINITE;
    out->scale = scale;
    mpf_clear(shifted);
    mpf_clear(power);
    mpz_clear(whole);
}

/* ---- series ---- */

/* e^x: the argument is halved until the series is short, and the result squared as often. */
static void exp_float(mpf_t out, const mpf_t x, mp_bitcnt_t bits)
{
    enum { SMALL = 8 };
    signed long exponent = 0;
    (void)mpf_get_d_2exp(&exponent, x);
    mp_bitcnt_t halvings = exponent + SMALL > 0 ? (mp_bitcnt_t)(exponent + SMALL) : 0;
    mpf_t r, term;
    mpf_init2(r, bits + 2 * halvings);
    mpf_init2(term, bits + 2 * halvings);
    mpf_init2(out, bits + 2 * halvings);
    mpf_div_2exp(r, x, halvings);
    mpf_set_ui(term, 1);
    mpf_set_ui(out, 1);
    for (unsigned long n = 1; mpf_sgn(term) != 0; n++) {
        mpf_mul(term, term, r);
        mpf_div_ui(term, term, n);
        (void)mpf_get_d_2exp(&exponent, term);
        if (exponent < -(signed long)(bits + 2 * halvings))
            break;
        mpf_add(out, out, term);
    }
    for (mp_bitcnt_t i = 0; i < halvings; i++)
        mpf_mul(out, out, out);
    mpf_clear(r);
    mpf_clear(term);
}

/* ln x, x > 0: roots are taken until x is near 1, then 2 artanh((x - 1) / (x + 1)). */
static void ln_float(mpf_t out, const mpf_t x, mp_bitcnt_t bits)
{
    enum { NEAR = -8, ROOTS_MAX = 64 };
    mp_bitcnt_t wide = bits + ROOTS_MAX;
    mpf_t near_one, above, square, term, part;
    unsigned long roots = 0;
    signed long exponent = 0;
    mpf_init2(near_one, wide);
    mpf_init2(above, wide);
    mpf_init2(square, wide);
    mpf_init2(term, wide);
    mpf_init2(part, wide);
    mpf_init2(out, wide);
    mpf_set(near_one, x);
    for (; roots < ROOTS_MAX; roots++) {
        mpf_set(above, near_one);
        mpf_sub_ui(above, above, 1);
        (void)mpf_get_d_2exp(&exponent, above);
        if (mpf_sgn(above) == 0 || exponent < NEAR)
            break;
        mpf_sqrt(near_one, near_one);
    }
    mpf_add_ui(term, near_one, 1);
    mpf_div(term, above, term);
    mpf_mul(square, term, term);
    mpf_set(out, term);
    for (unsigned long n = 3; mpf_sgn(term) != 0; n += 2) {
        mpf_mul(term, term, square);
        mpf_div_ui(part, term, n);
        (void)mpf_get_d_2exp(&exponent, part);
        if (mpf_sgn(part) == 0 || exponent < -(signed long)wide)
            break;
        mpf_add(out, out, part);
    }
    mpf_mul_2exp(out, out, roots + 1);
    mpf_clear(near_one);
    mpf_clear(above);
    mpf_clear(square);
    mpf_clear(term);
    mpf_clear(part);
}

/* ---- PostgreSQL's estimates ---- */

/* The first groups of four digits, and the weight of the first; value is not zero. */
static void leading_groups(const struct sq_num *value, int64_t groups[2], int32_t *ret_weight,
                           bool *ret_more)
{
    mpz_t c, power, rest;
    mpz_init(c);
    mpz_init(power);
    mpz_init(rest);
    int32_t pad = (GROUP_DIGITS - value->scale % GROUP_DIGITS) % GROUP_DIGITS;
    mpz_ui_pow_ui(power, 10, (unsigned long)pad);
    mpz_abs(c, value->coefficient);
    mpz_mul(c, c, power);
    int32_t count = 1;
    for (mpz_set_ui(power, GROUP); mpz_cmp(c, power) >= 0; count++)
        mpz_mul_ui(power, power, GROUP);
    mpz_divexact_ui(power, power, GROUP);
    mpz_tdiv_qr(c, rest, c, power);
    groups[0] = mpz_get_si(c);
    *ret_more = mpz_sgn(rest) != 0;
    groups[1] = 0;
    if (count > 1) {
        mpz_divexact_ui(power, power, GROUP);
        mpz_tdiv_q(rest, rest, power);
        groups[1] = mpz_get_si(rest);
    }
    *ret_weight = count - (value->scale + pad) / GROUP_DIGITS - 1;
    mpz_clear(c);
    mpz_clear(power);
    mpz_clear(rest);
}

/* Decimal weight of ln(value), value > 0. */
static int32_t ln_weight(const struct sq_num *value)
{
    struct sq_num x, one;
    int64_t groups[2] = {0, 0};
    int32_t weight = 0, result = 0;
    bool more = false;
    double size = sq_num_to_double(value);
    sq_num_init(&x);
    sq_num_init(&one);
    sq_num_set_int(&one, 1);
    sq_num_sub(&x, value, &one);
    if (size >= 0.9 && size <= 1.1) {
        if (mpz_sgn(x.coefficient) != 0) {
            leading_groups(&x, groups, &weight, &more);
            result = weight * GROUP_DIGITS + (int32_t)log10((double)groups[0]);
        }
    } else {
        leading_groups(value, groups, &weight, &more);
        double digits = (double)groups[0];
        int32_t digit_weight = weight * GROUP_DIGITS;
        if (more) {
            digits = digits * GROUP + (double)groups[1];
            digit_weight -= GROUP_DIGITS;
        }
        result = (int32_t)log10(fabs(log(digits) + digit_weight * LN_10));
    }
    sq_num_clear(&x);
    sq_num_clear(&one);
    return result;
}

/* ---- the functions ---- */

static bool positive(struct sq_call *call, const struct sq_num *value)
{
    int sign = mpz_sgn(value->coefficient);
    if (sign <= 0)
        sq_fail(call, "2201E", "cannot take logarithm of %s",
                sign == 0 ? "zero" : "a negative number");
    return sign > 0;
}

static void overflows(struct sq_call *call)
{
    sq_fail(call, "22003", "value overflows numeric format");
}

/* e^x shown with `scale` digits; weight: how many digits stand before its point, about. */
static void return_exp(struct sq_call *call, const mpf_t x, double weight, int32_t scale)
{
    struct sq_num result;
    mpf_t e;
    sq_num_init(&result);
    int32_t whole = weight > 0 ? (int32_t)weight + 1 : 0;
    exp_float(e, x, bits_for(scale + whole));
    from_float(&result, e, scale);
    sq_return_num(call, &result);
    mpf_clear(e);
    sq_num_clear(&result);
}

static void f_numexp(struct sq_call *call)
{
    struct sq_num value, zero;
    if (!sq_arg_finite(call, 0, &value))
        return;
    double x = sq_num_to_double(&value), weight = x * LOG10_E;
    weight = weight < -RESULT_SCALE_MAX ? -RESULT_SCALE_MAX : weight;
    weight = weight > RESULT_SCALE_MAX ? RESULT_SCALE_MAX : weight;
    int32_t scale = clamp_scale(SQ_NUM_SIGNIFICANT_MIN - (int32_t)weight, value.scale);
    if (fabs(x) >= RESULT_SCALE_MAX * 3.0) {
        sq_num_init(&zero);
        sq_num_rescale(&zero, scale);
        if (x > 0)
            overflows(call);
        else
            sq_return_num(call, &zero);
        sq_num_clear(&zero);
    } else {
        mpf_t exact;
        to_float(exact, &value, bits_for(scale + (weight > 0 ? (int32_t)weight : 0)));
        return_exp(call, exact, weight, scale);
        mpf_clear(exact);
    }
    sq_num_clear(&value);
}

static void f_numln(struct sq_call *call)
{
    struct sq_num value, result;
    if (!sq_arg_finite(call, 0, &value))
        return;
    if (positive(call, &value)) {
        mpf_t x, ln;
        int32_t scale = clamp_scale(SQ_NUM_SIGNIFICANT_MIN - ln_weight(&value), value.scale);
        mp_bitcnt_t bits = bits_for(scale + value.scale);
        to_float(x, &value, bits);
        ln_float(ln, x, bits);
        sq_num_init(&result);
        from_float(&result, ln, scale);
        sq_return_num(call, &result);
        sq_num_clear(&result);
        mpf_clear(x);
        mpf_clear(ln);
    }
    sq_num_clear(&value);
}

static void return_log(struct sq_call *call, const struct sq_num *base, const struct sq_num *value)
{
    int32_t weight = ln_weight(value) - ln_weight(base);
    int32_t least = base->scale > value->scale ? base->scale : value->scale;
    int32_t scale = clamp_scale(SQ_NUM_SIGNIFICANT_MIN - weight, least);
    mp_bitcnt_t bits = bits_for(2 * scale + 2 * least + abs(weight));
    struct sq_num result;
    mpf_t x, ln_value, ln_base;
    to_float(x, value, bits);
    ln_float(ln_value, x, bits);
    mpf_clear(x);
    to_float(x, base, bits);
    ln_float(ln_base, x, bits);
    mpf_clear(x);
    if (mpf_sgn(ln_base) == 0) {
        sq_fail(call, "22012", "division by zero");
    } else {
        mpf_div(ln_value, ln_value, ln_base);
        sq_num_init(&result);
        from_float(&result, ln_value, scale);
        sq_return_num(call, &result);
        sq_num_clear(&result);
    }
    mpf_clear(ln_value);
    mpf_clear(ln_base);
}

/* log(base, value); log(value): to the base of 10. */
static void f_numlog(struct sq_call *call)
{
    struct sq_num base, value;
    if (call->argc == 1) {
        sq_num_init(&base);
        sq_num_set_int(&base, 10);
    } else if (!sq_arg_finite(call, 0, &base)) {
        return;
    }
    if (sq_arg_finite(call, call->argc - 1, &value)) {
        if (positive(call, &base) && positive(call, &value))
            return_log(call, &base, &value);
        sq_num_clear(&value);
    }
    sq_num_clear(&base);
}

/* exponent * ln(base), as coarsely as PostgreSQL looks at it before it chooses a scale. */
static double coarse_size(const struct sq_num *base, const struct sq_num *exponent)
{
    int32_t scale = clamp_scale(8 - ln_weight(base), 0);
    struct sq_num rough, product;
    mpf_t x, ln;
    mp_bitcnt_t bits = bits_for(scale + base->scale);
    sq_num_init(&rough);
    sq_num_init(&product);
    to_float(x, base, bits);
    ln_float(ln, x, bits);
    from_float(&rough, ln, scale);
    sq_num_mul(&product, &rough, exponent);
    sq_num_round(&product, scale);
    double size = sq_num_to_double(&product);
    mpf_clear(x);
    mpf_clear(ln);
    sq_num_clear(&rough);
    sq_num_clear(&product);
    return size;
}

void sq_fraction_power(struct sq_call *call, const struct sq_num *base,
                       const struct sq_num *exponent)
{
    struct sq_num zero;
    int sign = mpz_sgn(base->coefficient);
    sq_num_init(&zero);
    if (sign <= 0) {
        sq_num_rescale(&zero, SQ_NUM_SIGNIFICANT_MIN);
        if (sign < 0)
            sq_fail(call, "2201F",
                    "a negative number raised to a non-integer power yields a complex result");
        else if (mpz_sgn(exponent->coefficient) < 0)
            sq_fail(call, "2201F", "zero raised to a negative power is undefined");
        else
            sq_return_num(call, &zero);
        sq_num_clear(&zero);
        return;
    }
    double size = coarse_size(base, exponent), weight = size * LOG10_E;
    int32_t least = base->scale > exponent->scale ? base->scale : exponent->scale;
    int32_t scale = clamp_scale(SQ_NUM_SIGNIFICANT_MIN - (int32_t)weight, least);
    if (fabs(size) > RESULT_SCALE_MAX * 3.01) {
        sq_num_rescale(&zero, SQ_NUM_DISPLAY_MAX);
        if (size > 0)
            overflows(call);
        else
            sq_return_num(call, &zero);
    } else {
        mpf_t x, ln, times;
        mp_bitcnt_t bits = bits_for(scale + abs((int32_t)weight) + least + exponent->scale);
        to_float(x, base, bits);
        ln_float(ln, x, bits);
        to_float(times, exponent, bits);
        mpf_mul(ln, ln, times);
        return_exp(call, ln, weight, scale);
        mpf_clear(x);
        mpf_clear(ln);
        mpf_clear(times);
    }
    sq_num_clear(&zero);
}

static const struct sq_function functions[] = {
    {"sy_numexp", 1, 0, f_numexp},
    {"sy_numln", 1, 0, f_numln},
    {"sy_numlog", -1, 0, f_numlog},
};

const struct sq_function_table sq_functions_logarithm = {functions,
                                                         sizeof(functions) / sizeof(functions[0])};
