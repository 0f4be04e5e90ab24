/* Intervals: input in all of PostgreSQL's styles, output in the default one, the stored form,
 * comparison. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "router/engine/sqlite/datetime.h"

enum unit {
    UNIT_US,
    UNIT_MS,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_NONE
};

static enum unit find_unit(const char *word, size_t bytes)
{
    static const struct {
        const char *name;
        enum unit unit;
    } units[] = {{"us", UNIT_US},
                 {"usec", UNIT_US},
                 {"usecs", UNIT_US},
                 {"microsecond", UNIT_US},
                 {"microseconds", UNIT_US},
                 {"ms", UNIT_MS},
                 {"msec", UNIT_MS},
                 {"msecs", UNIT_MS},
                 {"millisecond", UNIT_MS},
                 {"milliseconds", UNIT_MS},
                 {"s", UNIT_SECOND},
                 {"sec", UNIT_SECOND},
                 {"secs", UNIT_SECOND},
                 {"second", UNIT_SECOND},
                 {"seconds", UNIT_SECOND},
                 {"m", UNIT_MINUTE},
                 {"min", UNIT_MINUTE},
                 {"mins", UNIT_MINUTE},
                 {"minute", UNIT_MINUTE},
                 {"minutes", UNIT_MINUTE},
                 {"h", UNIT_HOUR},
                 {"hr", UNIT_HOUR},
                 {"hrs", UNIT_HOUR},
                 {"hour", UNIT_HOUR},
                 {"hours", UNIT_HOUR},
                 {"d", UNIT_DAY},
                 {"day", UNIT_DAY},
                 {"days", UNIT_DAY},
                 {"w", UNIT_WEEK},
                 {"week", UNIT_WEEK},
                 {"weeks", UNIT_WEEK},
                 {"mon", UNIT_MONTH},
                 {"mons", UNIT_MONTH},
                 {"month", UNIT_MONTH},
                 {"months", UNIT_MONTH},
                 {"y", UNIT_YEAR},
                 {"yr", UNIT_YEAR},
                 {"yrs", UNIT_YEAR},
                 {"year", UNIT_YEAR},
                 {"years", UNIT_YEAR},
                 {"decade", UNIT_DECADE},
                 {"decades", UNIT_DECADE},
                 {"century", UNIT_CENTURY},
                 {"centuries", UNIT_CENTURY},
                 {"millennium", UNIT_MILLENNIUM},
                 {"millennia", UNIT_MILLENNIUM}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strlen(units[i].name) == bytes && strncasecmp(units[i].name, word, bytes) == 0)
            return units[i].unit;
    return UNIT_NONE;
}

struct total {
    double months, days, us; /* whole months and days, kept exactly below 2^53 */
};

static void add_days(struct total *t, double days)
{
    double whole = trunc(days);
    t->days += whole;
    t->us += rint((days - whole) * 86400e6);
}

static void add_months(struct total *t, double months)
{
    double whole = trunc(months);
    t->months += whole;
    add_days(t, rint((months - whole) * 30e6) / 1e6);
}

static bool add_unit(struct total *t, double value, enum unit unit)
{
    static const double us[] = {1, 1e3, 1e6, 60e6, 3600e6};
    switch (unit) {
    case UNIT_US:
    case UNIT_MS:
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        t->us += rint(value * us[unit]);
        return true;
    case UNIT_DAY:
        add_days(t, value);
        return true;
    case UNIT_WEEK:
        add_days(t, value * 7);
        return true;
    case UNIT_MONTH:
        add_months(t, value);
        return true;
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM: {
        double years = value * (unit == UNIT_YEAR      ? 1
                                : unit == UNIT_DECADE  ? 10
                                : unit == UNIT_CENTURY ? 100
                                                       : 1000);
        t->months += rint(years * 12); /* a fraction of a year is rounded to months */
        return true;
    }
    case UNIT_NONE:
        return false;
    }
    return false;
}

/* "hh:mm[:ss[.fff]]", sign taken already. */
static bool add_clock(struct total *t, const char **p, double hours, bool negative)
{
    double parts[2] = {0, 0};
    char *end = NULL;
    for (int i = 0; i < 2 && **p == ':'; i++) {
        parts[i] = strtod(*p + 1, &end);
        if (end == *p + 1)
            return false;
        *p = end;
    }
    double us = hours * 3600e6 + parts[0] * 60e6 + rint(parts[1] * 1e6);
    t->us += negative ? -us : us;
    return true;
}

/* ISO 8601: P1Y2M3DT4H5M6S. */
static bool read_iso(const char *p, struct total *t)
{
    bool time = false;
    for (p++; *p != '\0';) {
        if (*p == 'T' || *p == 't') {
            time = true;
            p++;
            continue;
        }
        char *end = NULL;
        double value = strtod(p, &end);
        if (end == p)
            return false;
        enum unit unit = UNIT_NONE;
        switch (toupper((unsigned char)*end)) {
        case 'Y':
            unit = UNIT_YEAR;
            break;
        case 'M':
            unit = time ? UNIT_MINUTE : UNIT_MONTH;
            break;
        case 'W':
            unit = UNIT_WEEK;
            break;
        case 'D':
            unit = UNIT_DAY;
            break;
        case 'H':
            unit = UNIT_HOUR;
            break;
        case 'S':
            unit = UNIT_SECOND;
            break;
        default:
            return false;
        }
        if (!add_unit(t, value, unit))
            return false;
        p = end + 1;
    }
    return true;
}

/* The unit of a bare number under INTERVAL '..' DAY TO SECOND: the last field of the range. */
static enum unit range_unit(int32_t typmod)
{
    int32_t range = typmod < 0 ? 0x7fff : (typmod >> 16) & 0x7fff;
    if (range == 0x7fff || (range & (1 << 12)) != 0)
        return UNIT_SECOND;
    if ((range & (1 << 11)) != 0)
        return UNIT_MINUTE;
    if ((range & (1 << 10)) != 0)
        return UNIT_HOUR;
    if ((range & (1 << 3)) != 0)
        return UNIT_DAY;
    if ((range & (1 << 1)) != 0)
        return UNIT_MONTH;
    return (range & (1 << 2)) != 0 ? UNIT_YEAR : UNIT_SECOND;
}

static bool read_word(const char **p, struct total *t, bool *ago, const double *pending)
{
    const char *start = *p;
    while (isalpha((unsigned char)**p) != 0)
        (*p)++;
    size_t bytes = (size_t)(*p - start);
    if (bytes == 3 && strncasecmp(start, "ago", 3) == 0) {
        *ago = true;
        return pending == NULL;
    }
    return pending != NULL && add_unit(t, *pending, find_unit(start, bytes));
}

static bool read_items(const char *p, struct total *t, bool *ago, int32_t typmod)
{
    double value = 0;
    bool pending = false, any = false;
    while (*p == '@' || isspace((unsigned char)*p) != 0)
        p++;
    if (*p == 'P' || *p == 'p')
        return read_iso(p, t);
    while (*p != '\0') {
        if (isspace((unsigned char)*p) != 0 || *p == ',') {
            p++;
            continue;
        }
        if (isalpha((unsigned char)*p) != 0) {
            if (!read_word(&p, t, ago, pending ? &value : NULL))
                return false;
            pending = false;
            continue;
        }
        char *end = NULL;
        if (pending && !add_unit(t, value, UNIT_DAY)) /* "1 12:00:00": days before a clock */
            return false;
        bool negative = *p == '-';
        value = strtod(p, &end);
        if (end == p || memchr(p, 'x', (size_t)(end - p)) != NULL ||
            isalpha((unsigned char)p[negative ? 1 : 0]) != 0)
            return false;
        any = true;
        p = end;
        pending = true;
        if (*p == ':') {
            pending = false;
            if (!add_clock(t, &p, fabs(value), negative))
                return false;
        } else if (*p == '-' && isdigit((unsigned char)p[1]) != 0) { /* SQL: years-months */
            double months = strtod(p + 1, &end);
            t->months += (negative ? -1 : 1) * (fabs(value) * 12 + months);
            pending = false;
            p = end;
        }
    }
    return any && (!pending || add_unit(t, value, range_unit(typmod)));
}

/* A range keeps only its fields and those above its last one. */
static void apply_range(struct sq_interval *v, int32_t typmod)
{
    int32_t range = typmod < 0 ? 0x7fff : (typmod >> 16) & 0x7fff,
            precision = typmod < 0 ? 6 : typmod & 0xffff;
    if (range == (1 << 2)) {
        v->months = v->months / 12 * 12;
        v->days = 0;
        v->us = 0;
    } else if (range == (1 << 1) || range == ((1 << 2) | (1 << 1))) {
        v->days = 0;
        v->us = 0;
    } else if (range == (1 << 3)) {
        v->us = 0;
    } else if (range == (1 << 10) || range == ((1 << 3) | (1 << 10))) {
        v->us = v->us / (3600 * SQ_US_PER_SEC) * (3600 * SQ_US_PER_SEC);
    } else if (range == (1 << 11) || range == ((1 << 3) | (1 << 10) | (1 << 11)) ||
               range == ((1 << 10) | (1 << 11))) {
        v->us = v->us / (60 * SQ_US_PER_SEC) * (60 * SQ_US_PER_SEC);
    }
    v->us = sq_round_us(v->us, precision);
}

enum sy_status sq_interval_in(struct sy_slice text, int32_t typmod,
                              struct sq_interval *ret_interval, struct sy_err *err)
{
    char copy[256];
    struct total t = {0, 0, 0};
    bool ago = false, ok = text.bytes < sizeof(copy);
    if (ok) {
        memcpy(copy, text.data, text.bytes);
        copy[text.bytes] = '\0';
        ok = read_items(copy, &t, &ago, typmod);
    }
    if (!ok) {
        (void)sy_err_set(err, SY_E_TEXT, "invalid input syntax for type interval: \"%.*s\"",
                         (int)text.bytes, text.data);
        sy_err_state(err, "22007");
        return SY_E_TEXT;
    }
    if (fabs(t.months) > INT32_MAX || fabs(t.days) > INT32_MAX || fabs(t.us) > 9.2233720368547e18) {
        (void)sy_err_set(err, SY_E_VALUE, "interval field value out of range: \"%.*s\"",
                         (int)text.bytes, text.data);
        sy_err_state(err, "22015");
        return SY_E_VALUE;
    }
    int32_t sign = ago ? -1 : 1;
    *ret_interval = (struct sq_interval){(int32_t)t.months * sign, (int32_t)t.days * sign,
                                         (int64_t)t.us * sign};
    apply_range(ret_interval, typmod);
    return SY_OK;
}

/* ---- output ---- */

static void part(struct sy_buf *out, size_t start, int64_t value, const char *unit, bool *negative)
{
    if (value == 0)
        return;
    sy_buf_printf(out, "%s%s%lld %s%s", out->bytes > start ? " " : "",
                  *negative && value > 0 ? "+" : "", (long long)value, unit, value == 1 ? "" : "s");
    *negative = value < 0;
}

void sq_interval_out(const struct sq_interval *v, struct sy_buf *out)
{
    size_t start = out->bytes;
    bool negative = false;
    part(out, start, v->months / 12, "year", &negative);
    part(out, start, v->months % 12, "mon", &negative);
    part(out, start, v->days, "day", &negative);
    if (v->us == 0 && out->bytes > start)
        return;
    uint64_t us = v->us < 0 ? 0 - (uint64_t)v->us : (uint64_t)v->us;
    uint64_t seconds = us / 1000000;
    sy_buf_printf(out, "%s%s%02llu:%02u:%02u", out->bytes > start ? " " : "",
                  v->us < 0  ? "-"
                  : negative ? "+"
                             : "",
                  (unsigned long long)(seconds / 3600), (unsigned int)(seconds / 60 % 60),
                  (unsigned int)(seconds % 60));
    if (us % 1000000 != 0) {
        char digits[8];
        (void)snprintf(digits, sizeof(digits), "%06u", (unsigned int)(us % 1000000));
        size_t used = 6;
        while (digits[used - 1] == '0')
            used--;
        sy_buf_printf(out, ".%.*s", (int)used, digits);
    }
}

/* ---- stored form ---- */

bool sq_interval_parse(struct sy_slice stored, struct sq_interval *v)
{
    char copy[80];
    char *end = NULL;
    if (stored.bytes >= sizeof(copy))
        return false;
    memcpy(copy, stored.data, stored.bytes);
    copy[stored.bytes] = '\0';
    v->months = (int32_t)strtol(copy, &end, 10);
    if (*end != ' ')
        return false;
    v->days = (int32_t)strtol(end + 1, &end, 10);
    if (*end != ' ')
        return false;
    v->us = strtoll(end + 1, &end, 10);
    return *end == '\0';
}

void sq_interval_print(const struct sq_interval *v, struct sy_buf *out)
{
    sy_buf_printf(out, "%d %d %lld", v->months, v->days, (long long)v->us);
}

/* A month counts as 30 days, a day as 24 hours. */
int sq_interval_compare(const struct sq_interval *a, const struct sq_interval *b)
{
    int64_t x = (int64_t)a->months * 30 + a->days + a->us / SQ_US_PER_DAY;
    int64_t y = (int64_t)b->months * 30 + b->days + b->us / SQ_US_PER_DAY;
    int64_t xr = a->us % SQ_US_PER_DAY, yr = b->us % SQ_US_PER_DAY;
    x -= xr < 0 ? 1 : 0;
    y -= yr < 0 ? 1 : 0;
    xr += xr < 0 ? SQ_US_PER_DAY : 0;
    yr += yr < 0 ? SQ_US_PER_DAY : 0;
    if (x != y)
        return x < y ? -1 : 1;
    return (xr > yr) - (xr < yr);
}
