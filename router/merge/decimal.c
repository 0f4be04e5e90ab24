/* Exact decimals over GMP. */
#include "router/merge/decimal.h"

#include <stdlib.h>
#include <string.h>

enum {
    SIGN_PLUS = 0x0000,
    SIGN_MINUS = 0x4000,
    SIGN_NAN = 0xC000,
    SIGN_INFINITY = 0xD000,
    SIGN_MINUS_INFINITY = 0xF000,
    SCALE_MAX = 16383,
    INFINITY_SCALE = 32,
    GROUP = 4, /* decimal digits of one digit of the binary form */
    SIGNIFICANT_MIN = 16,
    DIVIDE_SCALE_MAX = 1000,
};

void sy_decimal_init(struct sy_decimal *decimal)
{
    mpz_init(decimal->digits);
    decimal->scale = 0;
    decimal->kind = SY_DECIMAL_FINITE;
}

void sy_decimal_release(struct sy_decimal *decimal)
{
    mpz_clear(decimal->digits);
}

void sy_decimal_set_int(struct sy_decimal *decimal, int64_t value)
{
    mpz_set_si(decimal->digits, value);
    decimal->scale = 0;
    decimal->kind = SY_DECIMAL_FINITE;
}

void sy_decimal_copy(struct sy_decimal *to, const struct sy_decimal *from)
{
    mpz_set(to->digits, from->digits);
    to->scale = from->scale;
    to->kind = from->kind;
}

/* ---- text ---- */

static bool read_special(struct sy_decimal *decimal, struct sy_slice text)
{
    if (sy_slice_eq(text, SY_SLICE("NaN")))
        decimal->kind = SY_DECIMAL_NAN;
    else if (sy_slice_eq(text, SY_SLICE("Infinity")))
        decimal->kind = SY_DECIMAL_INFINITY;
    else if (sy_slice_eq(text, SY_SLICE("-Infinity")))
        decimal->kind = SY_DECIMAL_MINUS_INFINITY;
    else
        return false;
    mpz_set_ui(decimal->digits, 0);
    decimal->scale = 0;
    return true;
}

static bool set_digits(struct sy_decimal *decimal, const char *digits, size_t bytes)
{
    char few[64], *copy = bytes < sizeof(few) ? few : malloc(bytes + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, digits, bytes);
    copy[bytes] = 0;
    bool fine = mpz_set_str(decimal->digits, copy, 10) == 0;
    if (copy != few)
        free(copy);
    return fine;
}

bool sy_decimal_read_text(struct sy_decimal *ret_decimal, struct sy_slice text)
{
    if (text.bytes == 0 || text.bytes > 2 * 131072 + SCALE_MAX)
        return false;
    if (read_special(ret_decimal, text))
        return true;
    char few[64], *plain = text.bytes < sizeof(few) ? few : malloc(text.bytes);
    size_t used = 0, digits = 0;
    uint32_t scale = 0;
    bool fine = plain != NULL, point = false;
    for (size_t i = 0; fine && i < text.bytes; i++) {
        char c = text.data[i];
        if (c == '-' && i == 0) {
            plain[used++] = c;
        } else if (c == '.' && !point) {
            point = true;
        } else if (c >= '0' && c <= '9') {
            plain[used++] = c;
            digits++;
            scale += point;
        } else {
            fine = false;
        }
    }
    fine = fine && digits > 0 && set_digits(ret_decimal, plain, used);
    if (plain != few)
        free(plain);
    ret_decimal->scale = scale;
    ret_decimal->kind = SY_DECIMAL_FINITE;
    return fine;
}

static const char *special_text(enum sy_decimal_kind kind)
{
    switch (kind) {
    case SY_DECIMAL_NAN:
        return "NaN";
    case SY_DECIMAL_INFINITY:
        return "Infinity";
    case SY_DECIMAL_MINUS_INFINITY:
        return "-Infinity";
    case SY_DECIMAL_FINITE:
    default:
        return NULL;
    }
}

static size_t count_digits(const struct sy_decimal *decimal, char **ret_text)
{
    size_t bytes = mpz_sizeinbase(decimal->digits, 10) + 2;
    char *text = malloc(bytes);
    *ret_text = text;
    if (text == NULL)
        return 0;
    mpz_get_str(text, 10, decimal->digits);
    if (text[0] == '-')
        memmove(text, text + 1, strlen(text));
    return strlen(text);
}

void sy_decimal_write_text(const struct sy_decimal *decimal, struct sy_buf *out)
{
    if (decimal->kind != SY_DECIMAL_FINITE) {
        sy_buf_append_str(out, special_text(decimal->kind));
        return;
    }
    char *text;
    size_t bytes = count_digits(decimal, &text), scale = decimal->scale;
    if (text == NULL) {
        out->failed = true;
        return;
    }
    if (mpz_sgn(decimal->digits) < 0)
        sy_buf_append_u8(out, '-');
    if (bytes > scale)
        sy_buf_append(out, text, bytes - scale);
    else
        sy_buf_append_u8(out, '0');
    if (scale > 0)
        sy_buf_append_u8(out, '.');
    for (size_t i = bytes; i < scale; i++)
        sy_buf_append_u8(out, '0');
    size_t tail = bytes < scale ? bytes : scale;
    sy_buf_append(out, text + bytes - tail, tail);
    free(text);
}

/* ---- binary ---- */

static uint16_t u16(const char *at)
{
    return (uint16_t)(((unsigned)(uint8_t)at[0] << 8) | (uint8_t)at[1]);
}

static void scale_by(mpz_t value, int64_t power)
{
    mpz_t factor;
    mpz_init(factor);
    mpz_ui_pow_ui(factor, 10, (unsigned long)(power < 0 ? -power : power));
    if (power >= 0)
        mpz_mul(value, value, factor);
    else
        mpz_tdiv_q(value, value, factor);
    mpz_clear(factor);
}

bool sy_decimal_read_binary(struct sy_decimal *ret_decimal, struct sy_slice bytes)
{
    if (bytes.bytes < 8)
        return false;
    uint16_t count = u16(bytes.data), sign = u16(bytes.data + 4), scale = u16(bytes.data + 6);
    int64_t weight = (int16_t)u16(bytes.data + 2);
    if (bytes.bytes != 8u + 2u * count || scale > SCALE_MAX)
        return false;
    ret_decimal->scale = 0;
    mpz_set_ui(ret_decimal->digits, 0);
    if (sign == SIGN_NAN || sign == SIGN_INFINITY || sign == SIGN_MINUS_INFINITY) {
        ret_decimal->kind = sign == SIGN_NAN        ? SY_DECIMAL_NAN
                            : sign == SIGN_INFINITY ? SY_DECIMAL_INFINITY
                                                    : SY_DECIMAL_MINUS_INFINITY;
        return true;
    }
    if (sign != SIGN_PLUS && sign != SIGN_MINUS)
        return false;
    for (uint16_t i = 0; i < count; i++) {
        uint16_t digit = u16(bytes.data + 8 + 2 * i);
        if (digit > 9999)
            return false;
        mpz_mul_ui(ret_decimal->digits, ret_decimal->digits, 10000);
        mpz_add_ui(ret_decimal->digits, ret_decimal->digits, digit);
    }
    if (count > 0)
        scale_by(ret_decimal->digits, GROUP * (weight - count + 1) + scale);
    if (sign == SIGN_MINUS)
        mpz_neg(ret_decimal->digits, ret_decimal->digits);
    ret_decimal->scale = scale;
    ret_decimal->kind = SY_DECIMAL_FINITE;
    return true;
}

static void write_header(struct sy_buf *out, size_t count, int64_t weight, uint16_t sign,
                         uint32_t scale)
{
    sy_buf_append_u16(out, (uint16_t)count);
    sy_buf_append_u16(out, (uint16_t)(int16_t)weight);
    sy_buf_append_u16(out, sign);
    sy_buf_append_u16(out, (uint16_t)scale);
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value >= 0 ? value / by : -((-value + by - 1) / by);
}

/* Four decimal digits from exponent 4*group + 3 down; `top` is the exponent of text[0]. */
static unsigned group_at(const char *text, size_t bytes, int64_t top, int64_t group)
{
    unsigned value = 0;
    for (int64_t exponent = GROUP * group + GROUP - 1; exponent >= GROUP * group; exponent--) {
        int64_t at = top - exponent;
        bool inside = at >= 0 && at < (int64_t)bytes;
        value = value * 10 + (inside ? (unsigned)(text[at] - '0') : 0);
    }
    return value;
}

void sy_decimal_write_binary(const struct sy_decimal *decimal, struct sy_buf *out)
{
    if (decimal->kind != SY_DECIMAL_FINITE) {
        uint16_t sign = decimal->kind == SY_DECIMAL_NAN        ? SIGN_NAN
                        : decimal->kind == SY_DECIMAL_INFINITY ? SIGN_INFINITY
                                                               : SIGN_MINUS_INFINITY;
        /* The server sends the bits that its header has in the place of the scale. */
        write_header(out, 0, 0, sign, decimal->kind == SY_DECIMAL_NAN ? 0 : INFINITY_SCALE);
        return;
    }
    if (mpz_sgn(decimal->digits) == 0) {
        write_header(out, 0, 0, SIGN_PLUS, decimal->scale);
        return;
    }
    char *text;
    size_t bytes = count_digits(decimal, &text);
    if (text == NULL) {
        out->failed = true;
        return;
    }
    int64_t top = (int64_t)bytes - 1 - decimal->scale;
    int64_t weight = floor_div(top, GROUP), last = floor_div(-(int64_t)decimal->scale, GROUP);
    while (last < weight && group_at(text, bytes, top, last) == 0)
        last++;
    write_header(out, (size_t)(weight - last + 1), weight,
                 mpz_sgn(decimal->digits) < 0 ? SIGN_MINUS : SIGN_PLUS, decimal->scale);
    for (int64_t group = weight; group >= last; group--)
        sy_buf_append_u16(out, (uint16_t)group_at(text, bytes, top, group));
    free(text);
}

/* ---- arithmetic ---- */

int sy_decimal_compare(const struct sy_decimal *a, const struct sy_decimal *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    if (a->kind != SY_DECIMAL_FINITE)
        return 0;
    if (a->scale == b->scale)
        return mpz_cmp(a->digits, b->digits);
    const struct sy_decimal *shorter = a->scale < b->scale ? a : b;
    mpz_t same;
    mpz_init_set(same, shorter->digits);
    scale_by(same, shorter == a ? (int64_t)b->scale - a->scale : (int64_t)a->scale - b->scale);
    int order = shorter == a ? mpz_cmp(same, b->digits) : mpz_cmp(a->digits, same);
    mpz_clear(same);
    return order;
}

void sy_decimal_add(struct sy_decimal *sum, const struct sy_decimal *value)
{
    if (sum->kind != SY_DECIMAL_FINITE || value->kind != SY_DECIMAL_FINITE) {
        bool nan = sum->kind == SY_DECIMAL_NAN || value->kind == SY_DECIMAL_NAN ||
                   (sum->kind != SY_DECIMAL_FINITE && value->kind != SY_DECIMAL_FINITE &&
                    sum->kind != value->kind);
        if (nan)
            sum->kind = SY_DECIMAL_NAN;
        else if (sum->kind == SY_DECIMAL_FINITE)
            sum->kind = value->kind;
        return;
    }
    if (sum->scale < value->scale) {
        scale_by(sum->digits, (int64_t)value->scale - sum->scale);
        sum->scale = value->scale;
    }
    if (sum->scale == value->scale) {
        mpz_add(sum->digits, sum->digits, value->digits);
        return;
    }
    mpz_t same;
    mpz_init_set(same, value->digits);
    scale_by(same, (int64_t)sum->scale - value->scale);
    mpz_add(sum->digits, sum->digits, same);
    mpz_clear(same);
}

/* Weight and first digit to the base 10000, both 0 for zero. */
static void leading(const struct sy_decimal *value, int64_t *ret_weight, unsigned *ret_first)
{
    *ret_weight = 0;
    *ret_first = 0;
    char *text;
    size_t bytes = count_digits(value, &text);
    if (text != NULL && mpz_sgn(value->digits) != 0) {
        int64_t top = (int64_t)bytes - 1 - value->scale;
        *ret_weight = floor_div(top, GROUP);
        *ret_first = group_at(text, bytes, top, *ret_weight);
    }
    free(text);
}

static uint32_t divide_scale(const struct sy_decimal *a, const struct sy_decimal *b)
{
    int64_t weight_a, weight_b;
    unsigned first_a, first_b;
    leading(a, &weight_a, &first_a);
    leading(b, &weight_b, &first_b);
    int64_t weight = weight_a - weight_b - (first_a <= first_b);
    int64_t scale = SIGNIFICANT_MIN - weight * GROUP;
    if (scale < (int64_t)a->scale)
        scale = a->scale;
    if (scale < 0)
        scale = 0;
    return (uint32_t)(scale > DIVIDE_SCALE_MAX ? DIVIDE_SCALE_MAX : scale);
}

void sy_decimal_average(struct sy_decimal *ret_average, const struct sy_decimal *sum, int64_t count)
{
    if (sum->kind != SY_DECIMAL_FINITE) {
        sy_decimal_copy(ret_average, sum);
        return;
    }
    struct sy_decimal by;
    sy_decimal_init(&by);
    sy_decimal_set_int(&by, count);
    uint32_t scale = divide_scale(sum, &by);
    mpz_t twice;
    mpz_init_set(twice, sum->digits);
    /* Halves go away from zero: trunc((2 * sum + count) / (2 * count)). */
    int sign = mpz_sgn(twice);
    mpz_abs(twice, twice);
    mpz_mul_ui(twice, twice, 2);
    scale_by(twice, scale >= sum->scale ? (int64_t)scale - sum->scale : 0);
    if (scale < sum->scale)
        scale_by(by.digits, (int64_t)sum->scale - scale);
    mpz_add(twice, twice, by.digits);
    mpz_mul_ui(by.digits, by.digits, 2);
    mpz_fdiv_q(ret_average->digits, twice, by.digits);
    if (sign < 0)
        mpz_neg(ret_average->digits, ret_average->digits);
    ret_average->scale = scale;
    ret_average->kind = SY_DECIMAL_FINITE;
    mpz_clear(twice);
    sy_decimal_release(&by);
}
