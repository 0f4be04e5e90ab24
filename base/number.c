/* Numbers, sizes and durations. */
#include "base/number.h"

#include <inttypes.h>
#include <stdio.h>

enum { SHOWN_BYTES = 40 }; /* of an offending text, in messages */

struct unit {
    const char *name;
    uint64_t factor;
};

/* Ascending; the last name of a factor is the one that is printed. */
static const struct unit size_units[] = {
    {"B", 1},
    {"KB", UINT64_C(1) << 10},
    {"kB", UINT64_C(1) << 10},
    {"MB", UINT64_C(1) << 20},
    {"GB", UINT64_C(1) << 30},
    {"TB", UINT64_C(1) << 40},
};
static const struct unit duration_units[] = {
    {"us", 1},
    {"ms", 1000},
    {"s", 1000000},
    {"min", UINT64_C(60) * 1000000},
    {"h", UINT64_C(3600) * 1000000},
    {"d", UINT64_C(86400) * 1000000},
};
enum {
    SIZE_UNITS = sizeof(size_units) / sizeof(size_units[0]),
    DURATION_UNITS = sizeof(duration_units) / sizeof(duration_units[0]),
};

static int shown(struct sy_slice text)
{
    return text.bytes < SHOWN_BYTES ? (int)text.bytes : (int)SHOWN_BYTES;
}

/* Reads leading digits; *ret_overflow when they exceed 64 bits. Returns how many characters they
 * are. */
static size_t read_digits(struct sy_slice text, uint64_t *ret_value, bool *ret_overflow)
{
    uint64_t value = 0;
    bool overflow = false;
    size_t at = 0;
    for (; at < text.bytes && text.data[at] >= '0' && text.data[at] <= '9'; at++) {
        overflow |= __builtin_mul_overflow(value, (uint64_t)10, &value);
        overflow |= __builtin_add_overflow(value, (uint64_t)(text.data[at] - '0'), &value);
    }
    *ret_value = value;
    *ret_overflow = overflow;
    return at;
}

static enum sy_status not_a_number(struct sy_slice text, struct sy_err *err)
{
    return sy_err_set(err, SY_E_TEXT, "\"%.*s\" is not a whole number", shown(text), text.data);
}

enum sy_status sy_number_parse_u64(struct sy_slice text, uint64_t least, uint64_t most,
                                   uint64_t *ret_value, struct sy_err *err)
{
    struct sy_slice digits = text;
    if (digits.bytes > 0 && digits.data[0] == '+')
        digits = (struct sy_slice){digits.data + 1, digits.bytes - 1};
    uint64_t value = 0;
    bool overflow = false;
    if (read_digits(digits, &value, &overflow) != digits.bytes || digits.bytes == 0)
        return not_a_number(text, err);
    if (overflow || value < least || value > most)
        return sy_err_set(err, SY_E_VALUE, "%.*s is outside %" PRIu64 " to %" PRIu64, shown(text),
                          text.data, least, most);
    *ret_value = value;
    return SY_OK;
}

enum sy_status sy_number_parse_i64(struct sy_slice text, int64_t least, int64_t most,
                                   int64_t *ret_value, struct sy_err *err)
{
    struct sy_slice digits = text;
    bool negative = text.bytes > 0 && text.data[0] == '-';
    if (text.bytes > 0 && (negative || text.data[0] == '+'))
        digits = (struct sy_slice){digits.data + 1, digits.bytes - 1};
    uint64_t magnitude = 0;
    bool overflow = false;
    if (read_digits(digits, &magnitude, &overflow) != digits.bytes || digits.bytes == 0)
        return not_a_number(text, err);
    overflow |= magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0);
    int64_t value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (overflow || value < least || value > most)
        return sy_err_set(err, SY_E_VALUE, "%.*s is outside %" PRId64 " to %" PRId64, shown(text),
                          text.data, least, most);
    *ret_value = value;
    return SY_OK;
}

struct quantity {
    const char *what, *hint;
    const struct unit *units;
    size_t unit_count;
};

static const struct quantity size_quantity = {
    "size", "Write digits and a unit: B, kB, MB, GB or TB, as in \"64MB\".", size_units,
    SIZE_UNITS};
static const struct quantity duration_quantity = {
    "duration", "Write digits and a unit: us, ms, s, min, h or d, as in \"30s\".", duration_units,
    DURATION_UNITS};

static const struct unit *find_unit(const struct quantity *quantity, struct sy_slice name)
{
    for (size_t i = 0; i < quantity->unit_count; i++)
        if (sy_slice_eq(name, sy_slice_of(quantity->units[i].name)))
            return &quantity->units[i];
    return NULL;
}

static enum sy_status parse_quantity(const struct quantity *quantity, struct sy_slice text,
                                     uint64_t *ret_value, struct sy_err *err)
{
    uint64_t value = 0;
    bool overflow = false;
    size_t digits = read_digits(text, &value, &overflow);
    size_t at = digits;
    while (at < text.bytes && text.data[at] == ' ')
        at++;
    struct sy_slice name = {text.data + at, text.bytes - at};
    const struct unit *unit = find_unit(quantity, name);
    bool bare_zero = name.bytes == 0 && value == 0 && !overflow;
    if (digits == 0 || (unit == NULL && !bare_zero)) {
        enum sy_status status = sy_err_set(err, SY_E_TEXT, "\"%.*s\" is not a %s", shown(text),
                                           text.data, quantity->what);
        sy_err_hint(err, "%s", quantity->hint);
        return status;
    }
    if (!bare_zero)
        overflow |= __builtin_mul_overflow(value, unit->factor, &value);
    if (overflow || value > INT64_MAX)
        return sy_err_set(err, SY_E_VALUE, "the %s \"%.*s\" is too large", quantity->what,
                          shown(text), text.data);
    *ret_value = value;
    return SY_OK;
}

enum sy_status sy_number_parse_size(struct sy_slice text, uint64_t *ret_bytes, struct sy_err *err)
{
    return parse_quantity(&size_quantity, text, ret_bytes, err);
}

enum sy_status sy_number_parse_duration(struct sy_slice text, uint64_t *ret_us, struct sy_err *err)
{
    return parse_quantity(&duration_quantity, text, ret_us, err);
}

static const char *format_quantity(const struct quantity *quantity, uint64_t value, char *buffer)
{
    size_t at = quantity->unit_count - 1;
    while (at > 0 && value % quantity->units[at].factor != 0)
        at--;
    if (value == 0)
        snprintf(buffer, SY_NUMBER_TEXT_BYTES, "0");
    else
        snprintf(buffer, SY_NUMBER_TEXT_BYTES, "%" PRIu64 "%s", value / quantity->units[at].factor,
                 quantity->units[at].name);
    return buffer;
}

const char *sy_number_format_size(uint64_t bytes, char buffer[static SY_NUMBER_TEXT_BYTES])
{
    return format_quantity(&size_quantity, bytes, buffer);
}

const char *sy_number_format_duration(uint64_t us, char buffer[static SY_NUMBER_TEXT_BYTES])
{
    return format_quantity(&duration_quantity, us, buffer);
}
