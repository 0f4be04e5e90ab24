/* Exact decimals: text, rounding, comparison, the four operations. */
#include "router/engine/sqlite/numeric.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { EXPONENT_MAX = 131072 };

void sq_num_init(struct sq_num *num)
{
    num->kind = SQ_NUM_FINITE;
    num->scale = 0;
    mpz_init(num->coefficient);
}

void sq_num_clear(struct sq_num *num)
{
    mpz_clear(num->coefficient);
}

void sq_num_set(struct sq_num *to, const struct sq_num *from)
{
    to->kind = from->kind;
    to->scale = from->scale;
    mpz_set(to->coefficient, from->coefficient);
}

void sq_num_set_int(struct sq_num *num, int64_t value)
{
    num->kind = SQ_NUM_FINITE;
    num->scale = 0;
    mpz_set_si(num->coefficient, value);
}

static void power_of_ten(mpz_t out, int32_t exponent)
{
    mpz_ui_pow_ui(out, 10, (unsigned long)exponent);
}

void sq_num_rescale(struct sq_num *num, int32_t scale)
{
    if (num->kind != SQ_NUM_FINITE || scale <= num->scale)
        return;
    mpz_t factor;
    mpz_init(factor);
    power_of_ten(factor, scale - num->scale);
    mpz_mul(num->coefficient, num->coefficient, factor);
    mpz_clear(factor);
    num->scale = scale;
}

/* Cuts digits; `half_up` rounds half away from zero. */
static void cut(struct sq_num *num, int32_t scale, bool half_up)
{
    if (num->kind != SQ_NUM_FINITE)
        return;
    if (scale >= num->scale) {
        sq_num_rescale(num, scale);
        return;
    }
    mpz_t factor, rest;
    mpz_init(factor);
    mpz_init(rest);
    power_of_ten(factor, num->scale - scale);
    mpz_tdiv_qr(num->coefficient, rest, num->coefficient, factor);
    int sign = mpz_sgn(rest);
    mpz_mul_ui(rest, rest, 2);
    if (half_up && mpz_cmpabs(rest, factor) >= 0) {
        if (sign > 0)
            mpz_add_ui(num->coefficient, num->coefficient, 1);
        else
            mpz_sub_ui(num->coefficient, num->coefficient, 1);
    }
    num->scale = scale;
    if (scale < 0) {
        power_of_ten(factor, -scale);
        mpz_mul(num->coefficient, num->coefficient, factor);
        num->scale = 0;
    }
    mpz_clear(factor);
    mpz_clear(rest);
}

void sq_num_round(struct sq_num *num, int32_t scale)
{
    cut(num, scale, true);
}

void sq_num_trunc(struct sq_num *num, int32_t scale)
{
    cut(num, scale, false);
}

/* ---- text ---- */

static bool parse_word(struct sq_num *num, const char *p, size_t bytes)
{
    bool negative = bytes > 0 && *p == '-';
    if (bytes > 0 && (*p == '-' || *p == '+')) {
        p++;
        bytes--;
    }
    bool infinite = (bytes == 3 && strncasecmp(p, "inf", 3) == 0) ||
                    (bytes == 8 && strncasecmp(p, "infinity", 8) == 0);
    if (infinite)
        num->kind = negative ? SQ_NUM_MINUS_INF : SQ_NUM_INF;
    else if (bytes == 3 && strncasecmp(p, "nan", 3) == 0 && !negative)
        num->kind = SQ_NUM_NAN;
    else
        return false;
    return true;
}

/* The digits between sign and exponent without the point. */
static bool parse_digits(struct sq_num *num, const char **p, const char *end, char *digits,
                         size_t *ret_count)
{
    size_t used = 0;
    bool point = false, any = false;
    for (; *p < end && (isdigit((unsigned char)**p) != 0 || (**p == '.' && !point)); (*p)++) {
        if (**p == '.') {
            point = true;
            continue;
        }
        any = true;
        digits[used++] = **p;
        num->scale += point ? 1 : 0;
    }
    *ret_count = used;
    return any;
}

static bool parse_exponent(const char **p, const char *end, long *ret_exponent)
{
    *ret_exponent = 0;
    if (*p >= end || (**p != 'e' && **p != 'E'))
        return true;
    (*p)++;
    bool negative = *p < end && **p == '-';
    if (*p < end && (**p == '-' || **p == '+'))
        (*p)++;
    const char *start = *p;
    long value = 0;
    for (; *p < end && isdigit((unsigned char)**p) != 0; (*p)++)
        value = value < 1000000 ? value * 10 + (**p - '0') : value;
    *ret_exponent = negative ? -value : value;
    return *p > start;
}

bool sq_num_parse(struct sq_num *num, struct sy_slice text, bool *ret_overflow)
{
    const char *p = text.data, *end = text.data + text.bytes;
    long exponent = 0;
    size_t count = 0;
    *ret_overflow = false;
    while (p < end && isspace((unsigned char)*p) != 0)
        p++;
    while (end > p && isspace((unsigned char)end[-1]) != 0)
        end--;
    num->kind = SQ_NUM_FINITE;
    num->scale = 0;
    if (parse_word(num, p, (size_t)(end - p)))
        return true;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    char small[64];
    size_t bytes = (size_t)(end - p);
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): the end is not before p */
    char *digits = bytes < sizeof(small) ? small : malloc(bytes + 1);
    if (digits == NULL)
        return false;
    bool ok = parse_digits(num, &p, end, digits, &count) && parse_exponent(&p, end, &exponent) &&
              p == end;
    if (ok && (exponent > EXPONENT_MAX || num->scale - exponent > SQ_NUM_SCALE_MAX ||
               count > 2 * EXPONENT_MAX)) {
        *ret_overflow = true;
        ok = false;
    }
    if (ok) {
        digits[count] = '\0';
        ok = mpz_set_str(num->coefficient, digits, 10) == 0;
        num->scale = (int32_t)(num->scale - exponent);
        if (negative)
            mpz_neg(num->coefficient, num->coefficient);
        if (ok && num->scale < 0) {
            mpz_t factor;
            mpz_init(factor);
            power_of_ten(factor, -num->scale);
            mpz_mul(num->coefficient, num->coefficient, factor);
            mpz_clear(factor);
            num->scale = 0;
        }
    }
    if (digits != small)
        free(digits);
    return ok;
}

void sq_num_print(const struct sq_num *num, struct sy_buf *out)
{
    if (num->kind != SQ_NUM_FINITE) {
        sy_buf_append_str(out, num->kind == SQ_NUM_NAN   ? "NaN"
                               : num->kind == SQ_NUM_INF ? "Infinity"
                                                         : "-Infinity");
        return;
    }
    size_t room = mpz_sizeinbase(num->coefficient, 10) + 3;
    char small[128], *digits = room < sizeof(small) ? small : malloc(room);
    if (digits == NULL) {
        out->failed = true;
        return;
    }
    (void)mpz_get_str(digits, 10, num->coefficient);
    const char *p = digits;
    if (*p == '-') {
        sy_buf_append_str(out, "-");
        p++;
    }
    size_t count = strlen(p), scale = (size_t)num->scale;
    if (count <= scale) {
        sy_buf_append_str(out, "0");
        if (scale > 0)
            sy_buf_append_str(out, ".");
        for (size_t i = count; i < scale; i++)
            sy_buf_append_str(out, "0");
        sy_buf_append(out, p, scale > 0 ? count : 0);
        if (scale == 0 && count > 0 && *p != '0')
            sy_buf_append(out, p, count);
    } else {
        sy_buf_append(out, p, count - scale);
        if (scale > 0) {
            sy_buf_append_str(out, ".");
            sy_buf_append(out, p + count - scale, scale);
        }
    }
    if (digits != small)
        free(digits);
}

/* ---- comparison ---- */

static int special_rank(enum sq_num_kind kind)
{
    return kind == SQ_NUM_MINUS_INF ? -1 : kind == SQ_NUM_INF ? 1 : kind == SQ_NUM_NAN ? 2 : 0;
}

int sq_num_compare(const struct sq_num *a, const struct sq_num *b)
{
    int ra = special_rank(a->kind), rb = special_rank(b->kind);
    if (ra != 0 || rb != 0)
        return (ra > rb) - (ra < rb);
    if (a->scale == b->scale)
        return mpz_cmp(a->coefficient, b->coefficient);
    struct sq_num copy;
    sq_num_init(&copy);
    sq_num_set(&copy, a->scale < b->scale ? a : b);
    sq_num_rescale(&copy, a->scale < b->scale ? b->scale : a->scale);
    int order = a->scale < b->scale ? mpz_cmp(copy.coefficient, b->coefficient)
                                    : mpz_cmp(a->coefficient, copy.coefficient);
    sq_num_clear(&copy);
    return order;
}

struct pieces {
    bool negative;
    int special;
    const char *whole, *fraction;
    size_t whole_bytes, fraction_bytes;
};

static struct pieces split(const char *p, size_t bytes)
{
    struct pieces out = {0};
    const char *end = p + bytes;
    if (bytes > 0 && *p == '-') {
        out.negative = true;
        p++;
    }
    if (p < end && isalpha((unsigned char)*p) != 0) {
        out.special = *p == 'N' ? 2 : out.negative ? -1 : 1;
        return out;
    }
    while (p < end && *p == '0')
        p++;
    out.whole = p;
    while (p < end && *p != '.')
        p++;
    out.whole_bytes = (size_t)(p - out.whole);
    out.fraction = p < end ? p + 1 : end;
    while (end > out.fraction && end[-1] == '0')
        end--;
    out.fraction_bytes = (size_t)(end - out.fraction);
    if (out.whole_bytes == 0 && out.fraction_bytes == 0)
        out.negative = false;
    return out;
}

int sq_num_compare_text(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    struct pieces x = split(a, a_bytes), y = split(b, b_bytes);
    if (x.special != 0 || y.special != 0)
        return (x.special > y.special) - (x.special < y.special);
    if (x.negative != y.negative)
        return x.negative ? -1 : 1;
    int order = (x.whole_bytes > y.whole_bytes) - (x.whole_bytes < y.whole_bytes);
    if (order == 0)
        order = memcmp(x.whole, y.whole, x.whole_bytes);
    if (order == 0) {
        size_t common = x.fraction_bytes < y.fraction_bytes ? x.fraction_bytes : y.fraction_bytes;
        order = memcmp(x.fraction, y.fraction, common);
        if (order == 0)
            order = (x.fraction_bytes > y.fraction_bytes) - (x.fraction_bytes < y.fraction_bytes);
    }
    return x.negative ? -order : order;
}

/* ---- arithmetic ---- */

static bool special_sum(struct sq_num *out, const struct sq_num *a, const struct sq_num *b,
                        bool subtract)
{
    if (a->kind == SQ_NUM_FINITE && b->kind == SQ_NUM_FINITE)
        return false;
    int ra = special_rank(a->kind), rb = special_rank(b->kind);
    if (subtract && rb != 2)
        rb = -rb;
    out->scale = 0;
    if (ra == 2 || rb == 2 || (ra != 0 && rb != 0 && ra != rb))
        out->kind = SQ_NUM_NAN;
    else
        out->kind = (ra != 0 ? ra : rb) > 0 ? SQ_NUM_INF : SQ_NUM_MINUS_INF;
    return true;
}

int32_t sq_num_align(struct sq_num *x, struct sq_num *y, const struct sq_num *a,
                     const struct sq_num *b)
{
    int32_t scale = a->scale > b->scale ? a->scale : b->scale;
    sq_num_init(x);
    sq_num_init(y);
    sq_num_set(x, a);
    sq_num_set(y, b);
    sq_num_rescale(x, scale);
    sq_num_rescale(y, scale);
    return scale;
}

static void sum(struct sq_num *out, const struct sq_num *a, const struct sq_num *b, bool subtract)
{
    if (special_sum(out, a, b, subtract))
        return;
    struct sq_num x, y;
    int32_t scale = sq_num_align(&x, &y, a, b);
    if (subtract)
        mpz_sub(out->coefficient, x.coefficient, y.coefficient);
    else
        mpz_add(out->coefficient, x.coefficient, y.coefficient);
    out->kind = SQ_NUM_FINITE;
    out->scale = scale;
    sq_num_clear(&x);
    sq_num_clear(&y);
}

void sq_num_add(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    sum(out, a, b, false);
}

void sq_num_sub(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    sum(out, a, b, true);
}

static int sign_of(const struct sq_num *num)
{
    return num->kind == SQ_NUM_FINITE      ? mpz_sgn(num->coefficient)
           : num->kind == SQ_NUM_MINUS_INF ? -1
                                           : 1;
}

void sq_num_mul(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    if (a->kind != SQ_NUM_FINITE || b->kind != SQ_NUM_FINITE) {
        int sign = sign_of(a) * sign_of(b);
        bool nan = a->kind == SQ_NUM_NAN || b->kind == SQ_NUM_NAN || sign == 0;
        out->kind = nan ? SQ_NUM_NAN : sign > 0 ? SQ_NUM_INF : SQ_NUM_MINUS_INF;
        out->scale = 0;
        return;
    }
    mpz_mul(out->coefficient, a->coefficient, b->coefficient);
    out->kind = SQ_NUM_FINITE;
    out->scale = a->scale + b->scale;
    if (out->scale > SQ_NUM_SCALE_MAX)
        sq_num_round(out, SQ_NUM_SCALE_MAX);
}

/* Weight (in groups of four digits, the point between groups) and value of the first non-zero
 * group. */
static void first_group(const struct sq_num *num, int32_t *ret_weight, int32_t *ret_digit)
{
    char *text = NULL;
    *ret_weight = 0;
    *ret_digit = 0;
    if (mpz_sgn(num->coefficient) == 0)
        return;
    text = mpz_get_str(NULL, 10, num->coefficient);
    const char *p = text[0] == '-' ? text + 1 : text;
    int32_t whole =
        (int32_t)strlen(p) - num->scale; /* digits before the point, <= 0: zeros after it */
    int32_t weight = whole > 0 ? (whole - 1) / 4 : -((-whole) / 4 + 1);
    int32_t in_group = whole - weight * 4; /* digits of the first group: 1..4 */
    int32_t digit = 0;
    for (int32_t i = 0; i < in_group; i++) {
        digit = digit * 10 + (*p != '\0' ? *p - '0' : 0);
        p += *p != '\0' ? 1 : 0;
    }
    *ret_weight = weight;
    *ret_digit = digit;
    void (*release)(void *, size_t) = NULL;
    mp_get_memory_functions(NULL, NULL, &release);
    release(text, strlen(text) + 1);
}

int32_t sq_num_div_scale(const struct sq_num *a, const struct sq_num *b)
{
    int32_t wa = 0, wb = 0, da = 0, db = 0;
    first_group(a, &wa, &da);
    first_group(b, &wb, &db);
    int32_t weight = wa - wb - (da <= db ? 1 : 0);
    int32_t scale = SQ_NUM_SIGNIFICANT_MIN - weight * 4;
    scale = scale < a->scale ? a->scale : scale;
    scale = scale < b->scale ? b->scale : scale;
    scale = scale < 0 ? 0 : scale;
    return scale > SQ_NUM_DISPLAY_MAX ? SQ_NUM_DISPLAY_MAX : scale;
}

void sq_num_div_to(struct sq_num *out, const struct sq_num *a, const struct sq_num *b,
                   int32_t scale)
{
    /* One digit more than asked for is computed exactly; what is left over decides the rounding. */
    mpz_t top, bottom, rest, factor;
    mpz_inits(top, bottom, rest, factor, NULL);
    mpz_set(top, a->coefficient);
    mpz_set(bottom, b->coefficient);
    int32_t shift = scale + b->scale - a->scale;
    power_of_ten(factor, shift < 0 ? -shift : shift);
    if (shift >= 0)
        mpz_mul(top, top, factor);
    else
        mpz_mul(bottom, bottom, factor);
    int sign = mpz_sgn(top) * mpz_sgn(bottom);
    mpz_tdiv_qr(out->coefficient, rest, top, bottom);
    mpz_mul_ui(rest, rest, 2);
    if (mpz_cmpabs(rest, bottom) >= 0) {
        if (sign > 0)
            mpz_add_ui(out->coefficient, out->coefficient, 1);
        else
            mpz_sub_ui(out->coefficient, out->coefficient, 1);
    }
    out->kind = SQ_NUM_FINITE;
    out->scale = scale;
    mpz_clears(top, bottom, rest, factor, NULL);
}

void sq_num_div(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    if (a->kind == SQ_NUM_FINITE && b->kind == SQ_NUM_FINITE) {
        sq_num_div_to(out, a, b, sq_num_div_scale(a, b));
        return;
    }
    out->scale = 0;
    if (a->kind == SQ_NUM_FINITE && b->kind != SQ_NUM_NAN) {
        sq_num_set_int(out, 0);
        return;
    }
    bool nan = a->kind == SQ_NUM_NAN || b->kind != SQ_NUM_FINITE;
    out->kind = nan ? SQ_NUM_NAN : sign_of(a) * sign_of(b) > 0 ? SQ_NUM_INF : SQ_NUM_MINUS_INF;
}

void sq_num_mod(struct sq_num *out, const struct sq_num *a, const struct sq_num *b)
{
    if (a->kind != SQ_NUM_FINITE || b->kind != SQ_NUM_FINITE) {
        bool same = a->kind == SQ_NUM_FINITE && b->kind != SQ_NUM_NAN;
        if (same)
            sq_num_set(out, a);
        else
            out->kind = SQ_NUM_NAN;
        return;
    }
    struct sq_num x, y;
    int32_t scale = sq_num_align(&x, &y, a, b);
    mpz_tdiv_r(out->coefficient, x.coefficient, y.coefficient);
    out->kind = SQ_NUM_FINITE;
    out->scale = scale;
    sq_num_clear(&x);
    sq_num_clear(&y);
}

/* ---- conversions ---- */

double sq_num_to_double(const struct sq_num *num)
{
    struct sy_buf buf = {0};
    sq_num_print(num, &buf);
    sy_buf_append_u8(&buf, 0);
    double value = buf.failed ? 0.0 : strtod(buf.data, NULL);
    sy_buf_release(&buf);
    return value;
}

bool sq_num_to_int64(const struct sq_num *num, int64_t *ret_value)
{
    if (num->kind != SQ_NUM_FINITE)
        return false;
    struct sq_num copy;
    sq_num_init(&copy);
    sq_num_set(&copy, num);
    sq_num_round(&copy, 0);
    bool fits = mpz_fits_slong_p(copy.coefficient) != 0;
    if (fits)
        *ret_value = mpz_get_si(copy.coefficient);
    sq_num_clear(&copy);
    return fits;
}

enum sy_status sq_num_apply_typmod(struct sq_num *num, int32_t typmod, struct sy_err *err)
{
    if (typmod < 4 || num->kind == SQ_NUM_NAN)
        return SY_OK;
    int32_t precision = ((typmod - 4) >> 16) & 0xffff;
    int32_t scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
    bool fits = num->kind == SQ_NUM_FINITE;
    if (fits) {
        sq_num_round(num, scale);
        mpz_t limit;
        mpz_init(limit);
        int32_t digits = precision - scale + num->scale;
        power_of_ten(limit, digits < 0 ? 0 : digits);
        fits = mpz_cmpabs(num->coefficient, limit) < 0;
        mpz_clear(limit);
    }
    if (fits)
        return SY_OK;
    (void)sy_err_set(err, SY_E_VALUE, "numeric field overflow");
    sy_err_state(err, "22003");
    if (num->kind != SQ_NUM_FINITE)
        sy_err_detail(err, "A field with precision %d, scale %d cannot hold an infinite value.",
                      precision, scale);
    else
        sy_err_detail(
            err,
            "A field with precision %d, scale %d must round to an absolute value less than %s%d.",
            precision, scale, precision - scale == 0 ? "" : "10^",
            precision - scale == 0 ? 1 : precision - scale);
    return SY_E_VALUE;
}

/* ---- binary form: groups of four digits ---- */

void sq_num_send(const struct sq_num *num, struct sy_buf *out)
{
    static const uint16_t signs[] = {0, 0xC000, 0xD000, 0xF000};
    if (num->kind != SQ_NUM_FINITE) {
        sy_buf_append_u16(out, 0);
        sy_buf_append_u16(out, 0);
        sy_buf_append_u16(out, signs[num->kind]);
        sy_buf_append_u16(out, 0);
        return;
    }
    struct sq_num copy;
    sq_num_init(&copy);
    sq_num_set(&copy, num);
    int32_t fraction_groups = (num->scale + 3) / 4;
    sq_num_rescale(&copy, fraction_groups * 4);
    bool negative = mpz_sgn(copy.coefficient) < 0;
    mpz_abs(copy.coefficient, copy.coefficient);
    size_t capacity = mpz_sizeinbase(copy.coefficient, 10) / 4 + 2, count = 0, skip = 0;
    uint16_t *groups = calloc(capacity, sizeof(*groups));
    while (groups != NULL && mpz_sgn(copy.coefficient) != 0 && count < capacity)
        groups[count++] = (uint16_t)mpz_tdiv_q_ui(copy.coefficient, copy.coefficient, 10000);
    while (skip < count && groups[skip] == 0)
        skip++;
    sy_buf_append_u16(out, (uint16_t)(count - skip));
    sy_buf_append_u16(out, (uint16_t)(count == 0 ? 0 : (int32_t)count - 1 - fraction_groups));
    sy_buf_append_u16(out, negative ? 0x4000 : 0);
    sy_buf_append_u16(out, (uint16_t)num->scale);
    for (size_t i = count; i > skip; i--)
        sy_buf_append_u16(out, groups[i - 1]);
    free(groups);
    sq_num_clear(&copy);
}

static uint16_t read_u16(const char *p)
{
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

enum sy_status sq_num_recv(struct sq_num *num, struct sy_slice data, struct sy_err *err)
{
    uint16_t count = data.bytes < 8 ? 0 : read_u16(data.data),
             sign = data.bytes < 8 ? 1 : read_u16(data.data + 4);
    int32_t weight = data.bytes < 8 ? 0 : (int16_t)read_u16(data.data + 2);
    int32_t scale = data.bytes < 8 ? 0 : read_u16(data.data + 6);
    bool special = sign == 0xC000 || sign == 0xD000 || sign == 0xF000;
    if (data.bytes != 8 + 2U * count || scale > SQ_NUM_SCALE_MAX ||
        (!special && sign != 0 && sign != 0x4000)) {
        (void)sy_err_set(err, SY_E_TEXT, "invalid numeric value in binary format");
        sy_err_state(err, "22P03");
        return SY_E_TEXT;
    }
    num->kind = sign == 0xC000   ? SQ_NUM_NAN
                : sign == 0xD000 ? SQ_NUM_INF
                : sign == 0xF000 ? SQ_NUM_MINUS_INF
                                 : SQ_NUM_FINITE;
    mpz_set_ui(num->coefficient, 0);
    num->scale = 0;
    if (special)
        return SY_OK;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t group = read_u16(data.data + 8 + 2U * i);
        if (group > 9999) {
            (void)sy_err_set(err, SY_E_TEXT, "invalid digit in external \"numeric\" value");
            sy_err_state(err, "22P03");
            return SY_E_TEXT;
        }
        mpz_mul_ui(num->coefficient, num->coefficient, 10000);
        mpz_add_ui(num->coefficient, num->coefficient, group);
    }
    int32_t have = (count - 1 - weight) * 4; /* digits after the point so far */
    if (have < 0) {
        mpz_t factor;
        mpz_init(factor);
        power_of_ten(factor, -have);
        mpz_mul(num->coefficient, num->coefficient, factor);
        mpz_clear(factor);
        have = 0;
    }
    num->scale = have;
    if (sign == 0x4000)
        mpz_neg(num->coefficient, num->coefficient);
    sq_num_trunc(num, scale);
    return SY_OK;
}

/* ---- floats ---- */

static void layout(const char *scientific, int fixed_limit, struct sy_buf *out)
{
    char digits[24];
    size_t used = 0;
    const char *p = scientific;
    if (*p == '-') {
        sy_buf_append_str(out, "-");
        p++;
    }
    for (; *p != 'e' && *p != '\0'; p++)
        if (*p != '.')
            digits[used++] = *p;
    int exponent = *p == 'e' ? (int)strtol(p + 1, NULL, 10) : 0;
    while (used > 1 && digits[used - 1] == '0')
        used--;
    if (exponent < -4 || exponent >= fixed_limit) {
        sy_buf_append(out, digits, 1);
        if (used > 1) {
            sy_buf_append_str(out, ".");
            sy_buf_append(out, digits + 1, used - 1);
        }
        sy_buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        sy_buf_append_str(out, "0.");
        for (int i = -1; i > exponent; i--)
            sy_buf_append_str(out, "0");
        sy_buf_append(out, digits, used);
        return;
    }
    for (int i = 0; i <= exponent || (size_t)i < used; i++) {
        if (i == exponent + 1)
            sy_buf_append_str(out, ".");
        sy_buf_append(out, (size_t)i < used ? &digits[i] : "0", 1);
    }
}

static bool float_special(double value, struct sy_buf *out)
{
    if (isnan(value))
        sy_buf_append_str(out, "NaN");
    else if (isinf(value))
        sy_buf_append_str(out, value > 0 ? "Infinity" : "-Infinity");
    else
        return false;
    return true;
}

void sq_float8_out(double value, struct sy_buf *out)
{
    char text[40];
    if (float_special(value, out))
        return;
    for (int precision = 14; precision <= 16; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    layout(text, 15, out);
}

void sq_float4_out(float value, struct sy_buf *out)
{
    char text[40];
    if (float_special((double)value, out))
        return;
    for (int precision = 5; precision <= 8; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    layout(text, 6, out);
}
