/* Arithmetic that fails where PostgreSQL's fails: integers, floats, exact numbers. */
#include <math.h>
#include <stdio.h>

#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/numeric.h"

/* ---- integers ---- */

static void return_integer(struct sq_call *call, int64_t value, bool overflow, int64_t bytes)
{
    static const char *const names[] = {"oid", "", "smallint", "", "integer", "", "", "", "bigint"};
    if (bytes == 2)
        overflow = overflow || value < INT16_MIN || value > INT16_MAX;
    else if (bytes == 4)
        overflow = overflow || value < INT32_MIN || value > INT32_MAX;
    else if (bytes == 0)
        overflow = overflow || value < 0 || value > UINT32_MAX;
    if (overflow)
        sq_fail(call, "22003", "%s out of range", names[bytes & 15]);
    else
        sq_return_int(call, value);
}

static void f_intpl(struct sq_call *call)
{
    int64_t out = 0;
    bool overflow = __builtin_add_overflow(sq_arg_int(call, 0), sq_arg_int(call, 1), &out);
    return_integer(call, out, overflow, sq_arg_int(call, 2));
}

static void f_intmi(struct sq_call *call)
{
    int64_t out = 0;
    bool overflow = __builtin_sub_overflow(sq_arg_int(call, 0), sq_arg_int(call, 1), &out);
    return_integer(call, out, overflow, sq_arg_int(call, 2));
}

static void f_intmul(struct sq_call *call)
{
    int64_t out = 0;
    bool overflow = __builtin_mul_overflow(sq_arg_int(call, 0), sq_arg_int(call, 1), &out);
    return_integer(call, out, overflow, sq_arg_int(call, 2));
}

static bool zero_divisor(struct sq_call *call, bool zero)
{
    if (zero)
        sq_fail(call, "22012", "division by zero");
    return zero;
}

static void f_intdiv(struct sq_call *call)
{
    int64_t a = sq_arg_int(call, 0), b = sq_arg_int(call, 1);
    if (zero_divisor(call, b == 0))
        return;
    bool overflow = a == INT64_MIN && b == -1;
    return_integer(call, overflow ? 0 : a / b, overflow, sq_arg_int(call, 2));
}

static void f_intmod(struct sq_call *call)
{
    int64_t a = sq_arg_int(call, 0), b = sq_arg_int(call, 1);
    if (!zero_divisor(call, b == 0))
        sq_return_int(call, b == -1 ? 0 : a % b);
}

static void f_intneg(struct sq_call *call)
{
    int64_t out = 0;
    bool overflow = __builtin_sub_overflow((int64_t)0, sq_arg_int(call, 0), &out);
    return_integer(call, out, overflow, sq_arg_int(call, 1));
}

static void f_intabs(struct sq_call *call)
{
    int64_t a = sq_arg_int(call, 0);
    return_integer(call, a == INT64_MIN ? 0 : a < 0 ? -a : a, a == INT64_MIN, sq_arg_int(call, 1));
}

static void f_intrange(struct sq_call *call)
{
    return_integer(call, sq_arg_int(call, 0), false, sq_arg_int(call, 1));
}

static int64_t wrap(int64_t value, int64_t bytes)
{
    return bytes == 2 ? (int16_t)value : bytes == 4 ? (int32_t)value : value;
}

static void f_shl(struct sq_call *call)
{
    int64_t bytes = sq_arg_int(call, 2), by = sq_arg_int(call, 1) & (bytes == 8 ? 63 : 31);
    sq_return_int(call, wrap((int64_t)((uint64_t)sq_arg_int(call, 0) << by), bytes));
}

static void f_shr(struct sq_call *call)
{
    int64_t bytes = sq_arg_int(call, 2), by = sq_arg_int(call, 1) & (bytes == 8 ? 63 : 31);
    sq_return_int(call, sq_arg_int(call, 0) >> by);
}

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

static void f_intgcd(struct sq_call *call)
{
    uint64_t out = gcd(magnitude(sq_arg_int(call, 0)), magnitude(sq_arg_int(call, 1)));
    return_integer(call, (int64_t)out, out > INT64_MAX, sq_arg_int(call, 2));
}

static void f_intlcm(struct sq_call *call)
{
    uint64_t a = magnitude(sq_arg_int(call, 0)), b = magnitude(sq_arg_int(call, 1)), out = 0;
    bool overflow = false;
    if (a != 0 && b != 0)
        overflow = __builtin_mul_overflow(a / gcd(a, b), b, &out);
    return_integer(call, (int64_t)out, overflow || out > INT64_MAX, sq_arg_int(call, 2));
}

/* ---- floats ---- */

static void return_float(struct sq_call *call, double value, bool infinite_input, bool nonzero,
                         int64_t bytes)
{
    if (bytes == 4)
        value = (double)(float)value;
    if (isnan(value))
        sq_fail(call, "0A000",
                "NaN in a floating-point value is not supported by the sqlite engine");
    else if (isinf(value) && !infinite_input)
        sq_fail(call, "22003", "value out of range: overflow");
    else if (value == 0.0 && nonzero)
        sq_fail(call, "22003", "value out of range: underflow");
    else
        sq_return_real(call, value);
}

static void float_operation(struct sq_call *call, char op)
{
    double a = sq_arg_real(call, 0), b = sq_arg_real(call, 1), out = 0;
    int64_t bytes = sq_arg_int(call, 2);
    bool infinite = isinf(a) || isinf(b), nonzero = false;
    if (op == '/' && zero_divisor(call, b == 0.0))
        return;
    switch (op) {
    case '+':
        out = bytes == 4 ? (double)((float)a + (float)b) : a + b;
        break;
    case '-':
        out = bytes == 4 ? (double)((float)a - (float)b) : a - b;
        break;
    case '*':
        out = bytes == 4 ? (double)((float)a * (float)b) : a * b;
        nonzero = a != 0.0 && b != 0.0;
        break;
    default:
        out = bytes == 4 ? (double)((float)a / (float)b) : a / b;
        nonzero = a != 0.0 && !isinf(b);
        break;
    }
    return_float(call, out, infinite, nonzero, bytes);
}

static void f_floatpl(struct sq_call *call)
{
    float_operation(call, '+');
}

static void f_floatmi(struct sq_call *call)
{
    float_operation(call, '-');
}

static void f_floatmul(struct sq_call *call)
{
    float_operation(call, '*');
}

static void f_floatdiv(struct sq_call *call)
{
    float_operation(call, '/');
}

static void f_tofloat4(struct sq_call *call)
{
    double value = sq_arg_real(call, 0);
    return_float(call, value, isinf(value), value != 0.0, 4);
}

static void f_floatint(struct sq_call *call)
{
    double value = rint(sq_arg_real(call, 0));
    bool overflow = !(value >= -9223372036854775808.0 && value < 9223372036854775808.0);
    return_integer(call, overflow ? 0 : (int64_t)value, overflow, sq_arg_int(call, 1));
}

/* sy_floatnum(x, digits): PostgreSQL goes through %.15g (float8) or %.6g (float4). */
static void f_floatnum(struct sq_call *call)
{
    struct sq_num num;
    struct sy_buf buf = {0};
    char text[64];
    bool overflow = false;
    (void)snprintf(text, sizeof(text), "%.*g", (int)sq_arg_int(call, 1), sq_arg_real(call, 0));
    sq_num_init(&num);
    if (sq_num_parse(&num, sy_slice_of(text), &overflow)) {
        sq_num_print(&num, &buf);
        sq_return_buf(call, &buf);
    } else {
        sq_fail(call, "22003", "value overflows numeric format");
    }
    sq_num_clear(&num);
}

enum { DOMAIN_NONE, DOMAIN_UNIT, DOMAIN_ACOSH, DOMAIN_ATANH };

static void math(struct sq_call *call, double (*function)(double), int domain)
{
    double x = sq_arg_real(call, 0);
    bool bad = (domain == DOMAIN_UNIT && fabs(x) > 1) || (domain == DOMAIN_ACOSH && x < 1) ||
               (domain == DOMAIN_ATANH && fabs(x) > 1);
    if (bad || isnan(function(x)))
        sq_fail(call, "22003", "input is out of range");
    else
        return_float(call, function(x), isinf(x) || domain == DOMAIN_ATANH, false, 8);
}

#define MATH(name, function, domain)                                                               \
    static void f_##name(struct sq_call *call)                                                     \
    {                                                                                              \
        math(call, function, domain);                                                              \
    }

static double cotangent(double x)
{
    return 1.0 / tan(x);
}

static double radians(double x)
{
    return x * (3.14159265358979323846 / 180.0);
}

static double degrees(double x)
{
    return x / (3.14159265358979323846 / 180.0);
}

static double signum(double x)
{
    return x > 0 ? 1.0 : x < 0 ? -1.0 : 0.0;
}

MATH(dacos, acos, DOMAIN_UNIT)
MATH(dasin, asin, DOMAIN_UNIT)
MATH(datan, atan, DOMAIN_NONE)
MATH(dcos, cos, DOMAIN_NONE)
MATH(dsin, sin, DOMAIN_NONE)
MATH(dtan, tan, DOMAIN_NONE)
MATH(dcot, cotangent, DOMAIN_NONE)
MATH(dsinh, sinh, DOMAIN_NONE)
MATH(dcosh, cosh, DOMAIN_NONE)
MATH(dtanh, tanh, DOMAIN_NONE)
MATH(dasinh, asinh, DOMAIN_NONE)
MATH(dacosh, acosh, DOMAIN_ACOSH)
MATH(datanh, atanh, DOMAIN_ATANH)
MATH(dexp, exp, DOMAIN_NONE)
MATH(dcbrt, cbrt, DOMAIN_NONE)
MATH(radians, radians, DOMAIN_NONE)
MATH(degrees, degrees, DOMAIN_NONE)
MATH(dround, rint, DOMAIN_NONE)
MATH(dtrunc, trunc, DOMAIN_NONE)
MATH(dceil, ceil, DOMAIN_NONE)
MATH(dfloor, floor, DOMAIN_NONE)
MATH(dsign, signum, DOMAIN_NONE)

static bool bad_logarithm(struct sq_call *call, double x)
{
    if (x > 0)
        return false;
    sq_fail(call, "2201E", "cannot take logarithm of %s", x == 0.0 ? "zero" : "a negative number");
    return true;
}

static void f_dlog1(struct sq_call *call)
{
    if (!bad_logarithm(call, sq_arg_real(call, 0)))
        sq_return_real(call, log(sq_arg_real(call, 0)));
}

static void f_dlog10(struct sq_call *call)
{
    if (!bad_logarithm(call, sq_arg_real(call, 0)))
        sq_return_real(call, log10(sq_arg_real(call, 0)));
}

static void f_dsqrt(struct sq_call *call)
{
    if (sq_arg_real(call, 0) < 0)
        sq_fail(call, "2201F", "cannot take square root of a negative number");
    else
        sq_return_real(call, sqrt(sq_arg_real(call, 0)));
}

static void f_dpow(struct sq_call *call)
{
    double a = sq_arg_real(call, 0), b = sq_arg_real(call, 1);
    if (a == 0.0 && b < 0)
        sq_fail(call, "2201F", "zero raised to a negative power is undefined");
    else if (a < 0 && floor(b) != b)
        sq_fail(call, "2201F",
                "a negative number raised to a non-integer power yields a complex result");
    else
        return_float(call, pow(a, b), isinf(a) || isinf(b), a != 0.0 && !isinf(a) && !isinf(b), 8);
}

static void f_datan2(struct sq_call *call)
{
    sq_return_real(call, atan2(sq_arg_real(call, 0), sq_arg_real(call, 1)));
}

/* ---- exact numbers ---- */

static bool argument(struct sq_call *call, int index, struct sq_num *num)
{
    bool overflow = false;
    sq_num_init(num);
    if (sq_num_parse(num, sq_arg_text(call, index), &overflow))
        return true;
    sq_fail(call, "XX001", "a stored value is not of type numeric");
    sq_num_clear(num);
    return false;
}

static void binary(struct sq_call *call,
                   void (*operation)(struct sq_num *, const struct sq_num *, const struct sq_num *),
                   bool divides)
{
    struct sq_num a, b, out;
    if (!argument(call, 0, &a))
        return;
    if (argument(call, 1, &b)) {
        sq_num_init(&out);
        if (!zero_divisor(call, divides && b.kind == SQ_NUM_FINITE && a.kind != SQ_NUM_NAN &&
                                    mpz_sgn(b.coefficient) == 0)) {
            operation(&out, &a, &b);
            sq_return_num(call, &out);
        }
        sq_num_clear(&out);
        sq_num_clear(&b);
    }
    sq_num_clear(&a);
}

static void f_numadd(struct sq_call *call)
{
    binary(call, sq_num_add, false);
}

static void f_numsub(struct sq_call *call)
{
    binary(call, sq_num_sub, false);
}

static void f_nummul(struct sq_call *call)
{
    binary(call, sq_num_mul, false);
}

static void f_numdiv(struct sq_call *call)
{
    binary(call, sq_num_div, true);
}

static void f_nummod(struct sq_call *call)
{
    binary(call, sq_num_mod, true);
}

static void divide_whole(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    if (a->kind != SQ_NUM_FINITE || b->kind != SQ_NUM_FINITE) {
        sq_num_div(out, a, b);
        return;
    }
    struct sq_num x, y;
    int32_t scale = a->scale > b->scale ? a->scale : b->scale;
    sq_num_init(&x);
    sq_num_init(&y);
    sq_num_set(&x, a);
    sq_num_set(&y, b);
    sq_num_rescale(&x, scale);
    sq_num_rescale(&y, scale);
    mpz_tdiv_q(out->coefficient, x.coefficient, y.coefficient);
    out->scale = 0;
    sq_num_clear(&x);
    sq_num_clear(&y);
}

static void f_numdivtrunc(struct sq_call *call)
{
    binary(call, divide_whole, true);
}

static void op_neg(struct sq_num *num)
{
    if (num->kind == SQ_NUM_INF || num->kind == SQ_NUM_MINUS_INF)
        num->kind = num->kind == SQ_NUM_INF ? SQ_NUM_MINUS_INF : SQ_NUM_INF;
    mpz_neg(num->coefficient, num->coefficient);
}

static void op_abs(struct sq_num *num)
{
    if (num->kind == SQ_NUM_MINUS_INF)
        num->kind = SQ_NUM_INF;
    mpz_abs(num->coefficient, num->coefficient);
}

static void op_floor(struct sq_num *num)
{
    struct sq_num whole;
    sq_num_init(&whole);
    sq_num_set(&whole, num);
    sq_num_trunc(&whole, 0);
    if (num->kind == SQ_NUM_FINITE && mpz_sgn(num->coefficient) < 0 &&
        sq_num_compare(&whole, num) != 0)
        mpz_sub_ui(whole.coefficient, whole.coefficient, 1);
    sq_num_set(num, &whole);
    sq_num_clear(&whole);
}

static void op_ceil(struct sq_num *num)
{
    op_neg(num);
    op_floor(num);
    op_neg(num);
}

static void op_sign(struct sq_num *num)
{
    int sign = num->kind == SQ_NUM_FINITE      ? mpz_sgn(num->coefficient)
               : num->kind == SQ_NUM_MINUS_INF ? -1
                                               : 1;
    if (num->kind != SQ_NUM_NAN)
        sq_num_set_int(num, sign);
}

static int32_t least_scale(const struct sq_num *num)
{
    struct sq_num cut;
    int32_t scale = num->scale;
    sq_num_init(&cut);
    while (scale > 0 && num->kind == SQ_NUM_FINITE) {
        sq_num_set(&cut, num);
        sq_num_trunc(&cut, scale - 1);
        if (sq_num_compare(&cut, num) != 0)
            break;
        scale--;
    }
    sq_num_clear(&cut);
    return scale;
}

static void op_trim(struct sq_num *num)
{
    sq_num_trunc(num, least_scale(num));
}

static void unary(struct sq_call *call, void (*operation)(struct sq_num *))
{
    struct sq_num num;
    if (!argument(call, 0, &num))
        return;
    operation(&num);
    sq_return_num(call, &num);
    sq_num_clear(&num);
}

static void f_numneg(struct sq_call *call)
{
    unary(call, op_neg);
}

static void f_numabs(struct sq_call *call)
{
    unary(call, op_abs);
}

static void f_numfloor(struct sq_call *call)
{
    unary(call, op_floor);
}

static void f_numceil(struct sq_call *call)
{
    unary(call, op_ceil);
}

static void f_numsign(struct sq_call *call)
{
    unary(call, op_sign);
}

static void f_numtrim(struct sq_call *call)
{
    unary(call, op_trim);
}

static void rounded(struct sq_call *call, bool half_up)
{
    struct sq_num num;
    int64_t scale = sq_arg_int(call, 1);
    if (!argument(call, 0, &num))
        return;
    scale = scale < -2000 ? -2000 : scale > 2000 ? 2000 : scale;
    if (half_up)
        sq_num_round(&num, (int32_t)scale);
    else
        sq_num_trunc(&num, (int32_t)scale);
    sq_return_num(call, &num);
    sq_num_clear(&num);
}

static void f_numround(struct sq_call *call)
{
    rounded(call, true);
}

static void f_numtrunc(struct sq_call *call)
{
    rounded(call, false);
}

static void scale_of(struct sq_call *call, bool least)
{
    struct sq_num num;
    if (!argument(call, 0, &num))
        return;
    if (num.kind != SQ_NUM_FINITE)
        sq_return_null(call);
    else
        sq_return_int(call, least ? least_scale(&num) : num.scale);
    sq_num_clear(&num);
}

static void f_numscale(struct sq_call *call)
{
    scale_of(call, false);
}

static void f_numminscale(struct sq_call *call)
{
    scale_of(call, true);
}

static void f_numint(struct sq_call *call)
{
    struct sq_num num;
    int64_t value = 0;
    static const char *const names[] = {"", "", "smallint", "", "integer", "", "", "", "bigint"};
    if (!argument(call, 0, &num))
        return;
    if (num.kind != SQ_NUM_FINITE)
        sq_fail(call, "0A000", "cannot convert %s to %s",
                num.kind == SQ_NUM_NAN ? "NaN" : "infinity", names[sq_arg_int(call, 1) & 15]);
    else {
        bool fits = sq_num_to_int64(&num, &value);
        return_integer(call, value, !fits, sq_arg_int(call, 1));
    }
    sq_num_clear(&num);
}

static void f_numfloat(struct sq_call *call)
{
    struct sq_num num;
    if (!argument(call, 0, &num))
        return;
    double value = sq_num_to_double(&num);
    return_float(call, value, num.kind != SQ_NUM_FINITE, mpz_sgn(num.coefficient) != 0,
                 sq_arg_int(call, 1));
    sq_num_clear(&num);
}

static void f_numfac(struct sq_call *call)
{
    int64_t n = sq_arg_int(call, 0);
    struct sq_num num;
    if (n < 0) {
        sq_fail(call, "22003", "factorial of a negative number is undefined");
        return;
    }
    if (n > 32177) {
        sq_fail(call, "22003", "value overflows numeric format");
        return;
    }
    sq_num_init(&num);
    mpz_fac_ui(num.coefficient, (unsigned long)n);
    sq_return_num(call, &num);
    sq_num_clear(&num);
}

static void divisors(struct sq_num *out, const struct sq_num *a, const struct sq_num *b,
                     void (*operation)(mpz_ptr, mpz_srcptr, mpz_srcptr))
{
    struct sq_num x, y;
    out->scale = sq_num_align(&x, &y, a, b);
    operation(out->coefficient, x.coefficient, y.coefficient);
    sq_num_clear(&x);
    sq_num_clear(&y);
}

static void gcd_numbers(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    divisors(out, a, b, mpz_gcd);
}

static void f_numgcd(struct sq_call *call)
{
    binary(call, gcd_numbers, false);
}

static void lcm_numbers(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    divisors(out, a, b, mpz_lcm);
}

static void f_numlcm(struct sq_call *call)
{
    binary(call, lcm_numbers, false);
}

#define MATH_ROW(name)                                                                             \
    {                                                                                              \
        "sy_" #name, 1, 0, f_##name                                                                \
    }

static const struct sq_function functions[] = {
    {"sy_intpl", 3, 0, f_intpl},
    {"sy_intmi", 3, 0, f_intmi},
    {"sy_intmul", 3, 0, f_intmul},
    {"sy_intdiv", 3, 0, f_intdiv},
    {"sy_intmod", 2, 0, f_intmod},
    {"sy_intneg", 2, 0, f_intneg},
    {"sy_intabs", 2, 0, f_intabs},
    {"sy_intrange", 2, 0, f_intrange},
    {"sy_shl", 3, 0, f_shl},
    {"sy_shr", 3, 0, f_shr},
    {"sy_intgcd", 3, 0, f_intgcd},
    {"sy_intlcm", 3, 0, f_intlcm},
    {"sy_floatpl", 3, 0, f_floatpl},
    {"sy_floatmi", 3, 0, f_floatmi},
    {"sy_floatmul", 3, 0, f_floatmul},
    {"sy_floatdiv", 3, 0, f_floatdiv},
    {"sy_tofloat4", 1, 0, f_tofloat4},
    {"sy_floatint", 2, 0, f_floatint},
    {"sy_floatnum", 2, 0, f_floatnum},
    {"sy_dlog1", 1, 0, f_dlog1},
    {"sy_dlog10", 1, 0, f_dlog10},
    {"sy_dsqrt", 1, 0, f_dsqrt},
    {"sy_dpow", 2, 0, f_dpow},
    {"sy_datan2", 2, 0, f_datan2},
    MATH_ROW(dacos),
    MATH_ROW(dasin),
    MATH_ROW(datan),
    MATH_ROW(dcos),
    MATH_ROW(dsin),
    MATH_ROW(dtan),
    MATH_ROW(dcot),
    MATH_ROW(dsinh),
    MATH_ROW(dcosh),
    MATH_ROW(dtanh),
    MATH_ROW(dasinh),
    MATH_ROW(dacosh),
    MATH_ROW(datanh),
    MATH_ROW(dexp),
    MATH_ROW(dcbrt),
    MATH_ROW(radians),
    MATH_ROW(degrees),
    MATH_ROW(dround),
    MATH_ROW(dtrunc),
    MATH_ROW(dceil),
    MATH_ROW(dfloor),
    MATH_ROW(dsign),
    {"sy_numadd", 2, 0, f_numadd},
    {"sy_numsub", 2, 0, f_numsub},
    {"sy_nummul", 2, 0, f_nummul},
    {"sy_numdiv", 2, 0, f_numdiv},
    {"sy_nummod", 2, 0, f_nummod},
    {"sy_numdivtrunc", 2, 0, f_numdivtrunc},
    {"sy_numneg", 1, 0, f_numneg},
    {"sy_numabs", 1, 0, f_numabs},
    {"sy_numfloor", 1, 0, f_numfloor},
    {"sy_numceil", 1, 0, f_numceil},
    {"sy_numsign", 1, 0, f_numsign},
    {"sy_numtrim", 1, 0, f_numtrim},
    {"sy_numround", 2, 0, f_numround},
    {"sy_numtrunc", 2, 0, f_numtrunc},
    {"sy_numscale", 1, 0, f_numscale},
    {"sy_numminscale", 1, 0, f_numminscale},
    {"sy_numint", 2, 0, f_numint},
    {"sy_numfloat", 2, 0, f_numfloat},
    {"sy_numfac", 1, 0, f_numfac},
    {"sy_numgcd", 2, 0, f_numgcd},
    {"sy_numlcm", 2, 0, f_numlcm},
};

const struct sq_function_table sq_functions_numeric = {functions,
                                                       sizeof(functions) / sizeof(functions[0])};
