/* Reading and comparing values. */
#include "router/merge/datum.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sy_datum_init(struct sy_datum *datum)
{
    *datum = (struct sy_datum){.null = true};
    sy_decimal_init(&datum->number);
}

void sy_datum_release(struct sy_datum *datum)
{
    sy_decimal_release(&datum->number);
}

/* ---- binary ---- */

static bool read_be(struct sy_slice value, int64_t *ret)
{
    uint64_t bits = 0;
    if (value.bytes == 0 || value.bytes > 8)
        return false;
    for (size_t i = 0; i < value.bytes; i++)
        bits = bits << 8 | (uint8_t)value.data[i];
    unsigned shift = (unsigned)(64 - 8 * value.bytes);
    *ret = (int64_t)(bits << shift) >> shift;
    return true;
}

static bool read_binary(struct sy_datum *datum, enum sy_datum_kind kind, struct sy_slice value)
{
    static const uint8_t sizes[] = {
        [SY_DATUM_BOOL] = 1, [SY_DATUM_INT2] = 2,      [SY_DATUM_INT4] = 4,   [SY_DATUM_INT8] = 8,
        [SY_DATUM_OID] = 4,  [SY_DATUM_FLOAT4] = 4,    [SY_DATUM_FLOAT8] = 8, [SY_DATUM_DATE] = 4,
        [SY_DATUM_TIME] = 8, [SY_DATUM_TIMESTAMP] = 8, [SY_DATUM_UUID] = 16,  [SY_DATUM_BPCHAR] = 0,
    };
    if (sizes[kind] != 0 && value.bytes != sizes[kind])
        return false;
    datum->bytes = value;
    if (kind == SY_DATUM_NUMERIC)
        return sy_decimal_read_binary(&datum->number, value);
    if (kind == SY_DATUM_UUID || sizes[kind] == 0)
        return true;
    if (!read_be(value, &datum->integer))
        return false;
    if (kind == SY_DATUM_OID)
        datum->integer &= 0xffffffff;
    if (kind == SY_DATUM_FLOAT4) {
        float single;
        uint32_t bits = (uint32_t)datum->integer;
        memcpy(&single, &bits, sizeof(single));
        datum->real = (double)single;
    } else if (kind == SY_DATUM_FLOAT8) {
        memcpy(&datum->real, &datum->integer, sizeof(datum->real));
    }
    return true;
}

/* ---- text ---- */

static bool read_integer(struct sy_slice value, int64_t *ret)
{
    size_t at = value.bytes > 0 && value.data[0] == '-' ? 1 : 0;
    int64_t result = 0;
    if (at == value.bytes || value.bytes > 20)
        return false;
    for (size_t i = at; i < value.bytes; i++) {
        char c = value.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(result, 10, &result) ||
            __builtin_sub_overflow(result, c - '0', &result))
            return false;
    }
    if (at == 0 && result == INT64_MIN)
        return false;
    *ret = at == 0 ? -result : result;
    return true;
}

static bool read_real(struct sy_slice value, bool single, double *ret)
{
    char copy[64], *end;
    if (value.bytes == 0 || value.bytes >= sizeof(copy))
        return false;
    memcpy(copy, value.data, value.bytes);
    copy[value.bytes] = 0;
    *ret = single ? (double)strtof(copy, &end) : strtod(copy, &end);
    return *end == 0;
}

/* A cursor over a date or time in the ISO style. */
struct iso {
    const char *at, *end;
};

static bool iso_number(struct iso *iso, int64_t *ret)
{
    const char *start = iso->at;
    int64_t value = 0;
    for (; iso->at < iso->end && *iso->at >= '0' && *iso->at <= '9' && iso->at - start < 9;
         iso->at++)
        value = value * 10 + (*iso->at - '0');
    *ret = value;
    return iso->at > start;
}

static bool iso_skip(struct iso *iso, char c)
{
    if (iso->at >= iso->end || *iso->at != c)
        return false;
    iso->at++;
    return true;
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool iso_date(struct iso *iso, int64_t *ret_days)
{
    int64_t year, month, day;
    if (!iso_number(iso, &year) || !iso_skip(iso, '-') || !iso_number(iso, &month) ||
        !iso_skip(iso, '-') || !iso_number(iso, &day) || month < 1 || month > 12 || day < 1 ||
        day > 31)
        return false;
    if (iso->end - iso->at >= 0 && iso->end[-1] == 'C' && iso->end[-2] == 'B' &&
        iso->end[-3] == ' ') {
        iso->end -= 3;
        year = 1 - year;
    }
    *ret_days = days_of(year, month, day);
    return true;
}

static bool iso_time(struct iso *iso, int64_t *ret_us)
{
    int64_t hour, minute, second, fraction = 0;
    if (!iso_number(iso, &hour) || !iso_skip(iso, ':') || !iso_number(iso, &minute) ||
        !iso_skip(iso, ':') || !iso_number(iso, &second))
        return false;
    if (iso_skip(iso, '.')) {
        const char *start = iso->at;
        if (!iso_number(iso, &fraction) || iso->at - start > 6)
            return false;
        for (ptrdiff_t i = iso->at - start; i < 6; i++)
            fraction *= 10;
    }
    *ret_us = ((hour * 60 + minute) * 60 + second) * 1000000 + fraction;
    return true;
}

/* +02, -03:30, +00:19:32; none: without time zone. */
static bool iso_zone(struct iso *iso, int64_t *ret_us)
{
    int64_t hour, minute = 0, second = 0;
    *ret_us = 0;
    if (iso->at == iso->end)
        return true;
    bool east = *iso->at == '+';
    if (!east && *iso->at != '-')
        return false;
    iso->at++;
    if (!iso_number(iso, &hour) || (iso_skip(iso, ':') && !iso_number(iso, &minute)) ||
        (iso_skip(iso, ':') && !iso_number(iso, &second)))
        return false;
    int64_t us = ((hour * 60 + minute) * 60 + second) * 1000000;
    *ret_us = east ? us : -us;
    return true;
}

static bool read_when(struct sy_datum *datum, enum sy_datum_kind kind, struct sy_slice value)
{
    struct iso iso = {value.data, value.data + value.bytes};
    int64_t days = 0, us = 0, zone = 0;
    if (kind != SY_DATUM_TIME && sy_slice_eq(value, SY_SLICE("infinity"))) {
        datum->integer = INT64_MAX;
        return true;
    }
    if (kind != SY_DATUM_TIME && sy_slice_eq(value, SY_SLICE("-infinity"))) {
        datum->integer = INT64_MIN;
        return true;
    }
    if (value.bytes < 8)
        return false;
    if (kind != SY_DATUM_TIME && !iso_date(&iso, &days))
        return false;
    if (kind == SY_DATUM_TIMESTAMP && !iso_skip(&iso, ' '))
        return false;
    if (kind != SY_DATUM_DATE && !iso_time(&iso, &us))
        return false;
    if (kind == SY_DATUM_TIMESTAMP && !iso_zone(&iso, &zone))
        return false;
    if (kind == SY_DATUM_TIMESTAMP && __builtin_mul_overflow(days, INT64_C(86400000000), &days))
        return false;
    datum->integer = days + us - zone;
    return iso.at == iso.end;
}

static bool read_text(struct sy_datum *datum, enum sy_datum_kind kind, struct sy_slice value)
{
    datum->bytes = value;
    switch (kind) {
    case SY_DATUM_BOOL:
        datum->integer = value.bytes == 1 && value.data[0] == 't';
        return value.bytes == 1;
    case SY_DATUM_INT2:
    case SY_DATUM_INT4:
    case SY_DATUM_INT8:
    case SY_DATUM_OID:
        return read_integer(value, &datum->integer);
    case SY_DATUM_FLOAT4:
    case SY_DATUM_FLOAT8:
        return read_real(value, kind == SY_DATUM_FLOAT4, &datum->real);
    case SY_DATUM_NUMERIC:
        return sy_decimal_read_text(&datum->number, value);
    case SY_DATUM_DATE:
    case SY_DATUM_TIME:
    case SY_DATUM_TIMESTAMP:
        return read_when(datum, kind, value);
    case SY_DATUM_BYTEA: /* hex digits sort as the bytes do */
        return value.bytes >= 2 && value.data[0] == '\\' && value.data[1] == 'x';
    case SY_DATUM_UUID:
    case SY_DATUM_NAME:
    case SY_DATUM_TEXT:
    case SY_DATUM_BPCHAR:
        return true;
    case SY_DATUM_UNKNOWN:
    default:
        return false;
    }
}

enum sy_status sy_datum_read(struct sy_datum *ret_datum, enum sy_datum_kind kind, uint16_t format,
                             struct sy_slice value, struct sy_err *err)
{
    ret_datum->null = value.data == NULL;
    if (ret_datum->null)
        return SY_OK;
    bool fine = format == 1 ? kind != SY_DATUM_UNKNOWN && read_binary(ret_datum, kind, value)
                            : read_text(ret_datum, kind, value);
    if (!fine) {
        enum sy_status status =
            sy_err_set(err, SY_E_UNSUPPORTED,
                       "a value of a shard cannot be compared with those of others: \"%.*s\"",
                       format == 1 ? 0 : (int)(value.bytes < 60 ? value.bytes : 60), value.data);
        sy_err_hint(
            err, "Use DateStyle ISO and bytea_output hex, or restrict the statement to one shard.");
        return status;
    }
    if (kind == SY_DATUM_BPCHAR)
        while (ret_datum->bytes.bytes > 0 &&
               ret_datum->bytes.data[ret_datum->bytes.bytes - 1] == ' ')
            ret_datum->bytes.bytes--;
    return SY_OK;
}

/* ---- order ---- */

static int compare_real(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

static int compare_bytes(struct sy_slice a, struct sy_slice b)
{
    size_t common = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

int sy_datum_compare(enum sy_datum_kind kind, const struct sy_datum *a, const struct sy_datum *b)
{
    switch (kind) {
    case SY_DATUM_FLOAT4:
    case SY_DATUM_FLOAT8:
        return compare_real(a->real, b->real);
    case SY_DATUM_NUMERIC:
        return sy_decimal_compare(&a->number, &b->number);
    case SY_DATUM_UUID:
    case SY_DATUM_BYTEA:
    case SY_DATUM_NAME:
    case SY_DATUM_TEXT:
    case SY_DATUM_BPCHAR:
        return compare_bytes(a->bytes, b->bytes);
    case SY_DATUM_BOOL:
    case SY_DATUM_INT2:
    case SY_DATUM_INT4:
    case SY_DATUM_INT8:
    case SY_DATUM_OID:
    case SY_DATUM_DATE:
    case SY_DATUM_TIME:
    case SY_DATUM_TIMESTAMP:
    case SY_DATUM_UNKNOWN:
    default:
        return (a->integer > b->integer) - (a->integer < b->integer);
    }
}

/* ---- floats in text ---- */

/* The shortest digits that read back as the same value; returns the decimal exponent of the first.
 */
static int shortest(double value, bool single, char digits[32])
{
    char text[40];
    int precision = 0, most = single ? 9 : 17;
    for (; precision < most; precision++) {
        snprintf(text, sizeof(text), "%.*e", precision, value);
        if (single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value)
            break;
    }
    size_t used = 0;
    const char *at = text;
    for (; *at != 'e' && *at != 0; at++)
        if (*at >= '0' && *at <= '9')
            digits[used++] = *at;
    digits[used] = 0;
    return (int)strtol(at + 1, NULL, 10);
}

void sy_float_write_text(double value, bool single, struct sy_buf *out)
{
    if (isnan(value) || isinf(value)) {
        sy_buf_append_str(out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    if (signbit(value))
        sy_buf_append_u8(out, '-');
    char digits[32];
    int exponent = shortest(fabs(value), single, digits), count = (int)strlen(digits);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (exponent < -4 || exponent >= (single ? 6 : 15)) {
        sy_buf_printf(out, "%c%s%.*se%c%02d", digits[0], count > 1 ? "." : "", count - 1,
                      digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        sy_buf_printf(out, "0.%.*s%.*s", -exponent - 1, "0000", count, digits);
    } else if (exponent + 1 >= count) {
        sy_buf_printf(out, "%.*s%.*s", count, digits, exponent + 1 - count, "00000000000000000");
    } else {
        sy_buf_printf(out, "%.*s.%.*s", exponent + 1, digits, count - exponent - 1,
                      digits + exponent + 1);
    }
}
