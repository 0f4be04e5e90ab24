/*
 * Dates and timestamps from text: the ISO forms, whose reading does not depend on DateStyle.
 * Anything else that PostgreSQL may or may not accept (other orders, month names, abbreviations of
 * zones, "now", BC) is SY_E_UNSUPPORTED, so that the value counts as unknown rather than as a
 * guess. Pure; any thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unicode/ucal.h>
#include <unicode/ustring.h>

#include "router/plan/key.h"

static const int64_t second_us = INT64_C(1000000);
static const int64_t day_us = INT64_C(86400) * INT64_C(1000000);
enum {
    DAYS_1970_TO_2000 = 10957,
    /* Named zones are trusted in these years only: their rules agree in every edition of the time
       zone database. */
    ZONE_YEAR_MIN = 1990,
    ZONE_YEAR_MAX = 2030,
};

struct moment {
    int year, month, day;
    int64_t time_us; /* of the day */
    bool has_zone;
    struct sy_slice zone; /* a name, or empty when offset_s holds */
    int64_t offset_s;     /* east of Greenwich */
    int infinite;         /* -1, 1, or 0 */
};

struct cursor {
    const char *at, *end;
};

static bool digit(const struct cursor *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool take(struct cursor *c, char expected)
{
    if (c->at == c->end || *c->at != expected)
        return false;
    c->at++;
    return true;
}

static bool digits(struct cursor *c, int least, int most, int *ret_value)
{
    int value = 0;
    int count = 0;
    for (; digit(c) && count < most; count++)
        value = value * 10 + (*c->at++ - '0');
    if (count < least || digit(c))
        return false;
    *ret_value = value;
    return true;
}

static bool blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(struct cursor *c)
{
    while (c->at < c->end && blank(*c->at))
        c->at++;
}

static int64_t days_from_civil(int year, int month, int day)
{
    /* Days since 1970-01-01 of the proleptic Gregorian calendar, counted from 1 March of year 0. */
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in_month(int year, int month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1 : 0);
}

/* HH:MM[:SS[.ffffff]] */
static bool parse_time(struct cursor *c, struct moment *m)
{
    int hour = 0, minute = 0, second = 0;
    int64_t fraction = 0;
    if (!digits(c, 1, 2, &hour) || !take(c, ':') || !digits(c, 2, 2, &minute))
        return false;
    if (take(c, ':')) {
        if (!digits(c, 2, 2, &second))
            return false;
        if (take(c, '.')) {
            int64_t unit = 100000;
            for (; digit(c); unit /= 10) {
                if (unit == 0)
                    return false; /* a seventh digit is rounded by rules of floating point */
                fraction += unit * (*c->at++ - '0');
            }
        }
    }
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    m->time_us = ((int64_t)hour * 3600 + minute * 60 + second) * second_us + fraction;
    return true;
}

/* +HH, +HHMM, +HH:MM, +HH:MM:SS */
static bool parse_offset(struct cursor *c, int64_t *ret_offset_s)
{
    int sign = *c->at == '-' ? -1 : 1;
    c->at++;
    const char *start = c->at;
    int hour = 0, minute = 0, second = 0;
    if (!digits(c, 1, 4, &hour))
        return false;
    ptrdiff_t count = c->at - start;
    if (count == 3)
        return false;
    if (count == 4) {
        minute = hour % 100;
        hour /= 100;
    } else if (take(c, ':')) {
        if (!digits(c, 2, 2, &minute) || (take(c, ':') && !digits(c, 2, 2, &second)))
            return false;
    }
    if (hour > 15 || minute > 59 || second > 59)
        return false;
    *ret_offset_s = sign * (hour * 3600 + minute * 60 + second);
    return true;
}

static bool same_word(struct sy_slice text, const char *word)
{
    return text.bytes == strlen(word) && strncasecmp(text.data, word, text.bytes) == 0;
}

static bool is_utc_name(struct sy_slice name)
{
    static const char *const names[] = {
        "UTC",           "GMT",  "Z",       "Etc/UTC",   "Etc/GMT",       "Zulu",
        "Etc/Zulu",      "UCT",  "Etc/UCT", "Universal", "Etc/Universal", "Greenwich",
        "Etc/Greenwich", "GMT0", "Etc/GMT0"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (same_word(name, names[i]))
            return true;
    return false;
}

/* What follows the time: nothing, an offset, Z, or the full name of a zone (Area/City). */
static bool parse_zone(struct cursor *c, struct moment *m)
{
    skip_blanks(c);
    if (c->at == c->end)
        return true;
    m->has_zone = true;
    if (*c->at == '+' || *c->at == '-') {
        if (!parse_offset(c, &m->offset_s))
            return false;
        skip_blanks(c);
        return c->at == c->end;
    }
    struct sy_slice name = {c->at, (size_t)(c->end - c->at)};
    while (name.bytes > 0 && blank(name.data[name.bytes - 1]))
        name.bytes--;
    if (same_word(name, "Z") || same_word(name, "UTC") || same_word(name, "GMT"))
        return true;
    if (memchr(name.data, '/', name.bytes) == NULL || memchr(name.data, ' ', name.bytes) != NULL)
        return false; /* an abbreviation, BC, ... */
    m->zone = name;
    return true;
}

static bool parse_infinity(struct sy_slice text, struct moment *m)
{
    while (text.bytes > 0 && blank(*text.data)) {
        text.data++;
        text.bytes--;
    }
    while (text.bytes > 0 && blank(text.data[text.bytes - 1]))
        text.bytes--;
    if (same_word(text, "infinity") || same_word(text, "-infinity"))
        m->infinite = text.data[0] == '-' ? -1 : 1;
    return m->infinite != 0;
}

/* False: not a form that is certain. *ret_impossible: the form is right, the date does not exist.
 */
static bool parse(struct sy_slice text, struct moment *m, bool *ret_impossible)
{
    struct cursor c = {text.data, text.data + text.bytes};
    skip_blanks(&c);
    const char *start = c.at;
    if (!digits(&c, 4, 4, &m->year) || c.at - start != 4 || !take(&c, '-') ||
        !digits(&c, 2, 2, &m->month) || !take(&c, '-') || !digits(&c, 2, 2, &m->day))
        return false;
    if (m->year < 1 || m->month < 1 || m->month > 12 || m->day < 1 ||
        m->day > days_in_month(m->year, m->month)) {
        skip_blanks(&c);
        *ret_impossible = c.at == c.end;
        return false;
    }
    if (c.at < c.end && (*c.at == 'T' || *c.at == 't'))
        c.at++;
    else
        skip_blanks(&c);
    if (c.at == c.end)
        return c.at[-1] != 'T' && c.at[-1] != 't';
    if (!digit(&c))
        return false; /* a date with a zone and no time: rare, left to the server */
    return parse_time(&c, m) && parse_zone(&c, m);
}

/* Settings: "UTC", "Europe/Berlin", "+02", "2", "<+02>-02" (how SHOW prints a numeric one). */
static bool fixed_offset(struct sy_slice zone, int64_t *ret_offset_s)
{
    if (is_utc_name(zone)) {
        *ret_offset_s = 0;
        return true;
    }
    char text[16] = {0};
    if (zone.bytes == 0 || zone.bytes >= sizeof(text))
        return false;
    memcpy(text, zone.data, zone.bytes);
    int name_hour = 0, posix_hour = 0, end = 0;
    char sign = 0, posix_sign = 0;
    if (sscanf(text, "<%c%2d>%c%2d%n", &sign, &name_hour, &posix_sign, &posix_hour, &end) == 4) {
        bool opposite = (sign == '+' && posix_sign == '-') || (sign == '-' && posix_sign == '+');
        if ((size_t)end != zone.bytes || !opposite || name_hour != posix_hour)
            return false;
        *ret_offset_s = (sign == '-' ? -1 : 1) * (int64_t)name_hour * 3600;
        return true;
    }
    char *rest = NULL;
    long hours = strtol(text, &rest, 10);
    if (rest == text || *rest != '\0' || hours < -15 || hours > 15)
        return false;
    *ret_offset_s = hours * 3600;
    return true;
}

static bool offset_at(UCalendar *calendar, int64_t utc_s, int64_t *ret_offset_s)
{
    UErrorCode code = U_ZERO_ERROR;
    ucal_setMillis(calendar, (double)utc_s * 1000.0, &code);
    int32_t zone = ucal_get(calendar, UCAL_ZONE_OFFSET, &code);
    int32_t summer = ucal_get(calendar, UCAL_DST_OFFSET, &code);
    *ret_offset_s = ((int64_t)zone + summer) / 1000;
    return U_SUCCESS(code);
}

/* The offset of local time `local_s` (seconds since 1970 as if UTC), when there is exactly one. */
static bool unique_offset(UCalendar *calendar, int64_t local_s, int64_t *ret_offset_s)
{
    int64_t before = 0, after = 0, check = 0;
    if (!offset_at(calendar, local_s - 86400, &before) ||
        !offset_at(calendar, local_s + 86400, &after))
        return false;
    bool before_fits = offset_at(calendar, local_s - before, &check) && check == before;
    bool after_fits = offset_at(calendar, local_s - after, &check) && check == after;
    if (before_fits == after_fits && before != after)
        return false; /* in the gap or the repeated hour of a change */
    *ret_offset_s = before_fits ? before : after;
    return before_fits || after_fits;
}

static bool named_offset(struct sy_slice zone, int year, int64_t local_s, int64_t *ret_offset_s)
{
    UChar name[64];
    UErrorCode code = U_ZERO_ERROR;
    if (zone.bytes == 0 || zone.bytes >= 60 || year < ZONE_YEAR_MIN || year > ZONE_YEAR_MAX)
        return false;
    for (size_t i = 0; i < zone.bytes; i++) {
        if ((unsigned char)zone.data[i] >= 0x80)
            return false;
        name[i] = (UChar)zone.data[i];
    }
    /* ICU answers "unknown" names with GMT: ask for the canonical form first. */
    UChar canonical[64];
    UBool is_system = false;
    ucal_getCanonicalTimeZoneID(name, (int32_t)zone.bytes, canonical, 64, &is_system, &code);
    if (U_FAILURE(code) || !is_system)
        return false;
    UCalendar *calendar = ucal_open(name, (int32_t)zone.bytes, "", UCAL_GREGORIAN, &code);
    if (U_FAILURE(code))
        return false;
    bool found = unique_offset(calendar, local_s, ret_offset_s);
    ucal_close(calendar);
    return found;
}

static bool zone_offset(struct sy_slice zone, int year, int64_t local_s, int64_t *ret_offset_s)
{
    return fixed_offset(zone, ret_offset_s) || named_offset(zone, year, local_s, ret_offset_s);
}

static enum sy_status unsure(enum sy_key_type type, struct sy_slice text, struct sy_err *err)
{
    return sy_err_set(err, SY_E_UNSUPPORTED, "cannot be sure of the %s \"%.*s\"",
                      sy_key_type_name(type), (int)(text.bytes < 100 ? text.bytes : 100),
                      text.data == NULL ? "" : text.data);
}

static bool utc_offset(const struct moment *m, const struct sy_key_context *context,
                       int64_t local_us, int64_t *ret_offset_s)
{
    int64_t local_s = local_us / second_us + (int64_t)DAYS_1970_TO_2000 * 86400;
    if (m->has_zone && m->zone.bytes > 0)
        return zone_offset(m->zone, m->year, local_s, ret_offset_s);
    if (m->has_zone) {
        *ret_offset_s = m->offset_s;
        return true;
    }
    return context != NULL && zone_offset(context->time_zone, m->year, local_s, ret_offset_s);
}

enum sy_status sy_key_time_from_text(enum sy_key_type type, struct sy_slice text,
                                     const struct sy_key_context *context, struct sy_key *ret_key,
                                     struct sy_err *err)
{
    struct moment m = {0};
    bool impossible = false;
    struct sy_key key = {.type = type};
    if (text.bytes == 0)
        return unsure(type, text, err);
    if (parse_infinity(text, &m)) {
        if (type == SY_KEY_DATE)
            key.integer = m.infinite > 0 ? INT32_MAX : INT32_MIN;
        else
            key.integer = m.infinite > 0 ? INT64_MAX : INT64_MIN;
        *ret_key = key;
        return SY_OK;
    }
    if (!parse(text, &m, &impossible)) {
        if (!impossible)
            return unsure(type, text, err);
        enum sy_status status =
            sy_err_set(err, SY_E_TEXT, "date/time field value out of range: \"%.*s\"",
                       (int)(text.bytes < 100 ? text.bytes : 100), text.data);
        sy_err_state(err, "22008");
        return status;
    }
    key.integer = days_from_civil(m.year, m.month, m.day) - DAYS_1970_TO_2000;
    if (type != SY_KEY_DATE)
        key.integer = key.integer * day_us + m.time_us;
    if (type == SY_KEY_TIMESTAMPTZ) {
        int64_t offset_s = 0;
        if (!utc_offset(&m, context, key.integer, &offset_s))
            return unsure(type, text, err);
        key.integer -= offset_s * second_us;
    }
    *ret_key = key;
    return SY_OK;
}

static int64_t floor_days(int64_t us)
{
    return us / day_us - (us % day_us < 0 ? 1 : 0);
}

/* The local time of a timestamp without zone, read in the session's zone. */
static bool local_to_utc(int64_t local_us, const struct sy_key_context *context, int64_t *ret_us)
{
    int64_t offset_s = 0;
    struct moment m = {.year = (int)(2000 + floor_days(local_us) * 400 / 146097)};
    if (!utc_offset(&m, context, local_us, &offset_s))
        return false;
    *ret_us = local_us - offset_s * second_us;
    return true;
}

enum sy_status sy_key_time_convert(const struct sy_key *from, enum sy_key_type to,
                                   const struct sy_key_context *context, struct sy_key *ret_key,
                                   struct sy_err *err)
{
    if (from->type == to) {
        *ret_key = *from;
        return SY_OK;
    }
    bool infinite = from->type == SY_KEY_DATE
                        ? from->integer == INT32_MAX || from->integer == INT32_MIN
                        : from->integer == INT64_MAX || from->integer == INT64_MIN;
    int64_t value = from->integer;
    int64_t offset_s = 0;
    bool sure = !infinite && to != SY_KEY_DATE;
    if (sure && from->type == SY_KEY_DATE) /* dates reach further than timestamps */
        sure = !__builtin_mul_overflow(from->integer, day_us, &value);
    if (sure && to == SY_KEY_TIMESTAMPTZ)
        sure = local_to_utc(value, context, &value);
    else if (sure && from->type == SY_KEY_TIMESTAMPTZ) {
        /* Only fixed zones: then local time is a shift. */
        sure = context != NULL && fixed_offset(context->time_zone, &offset_s);
        value += offset_s * second_us;
    }
    if (!sure)
        return sy_err_set(err, SY_E_UNSUPPORTED, "a %s for a key of type %s",
                          sy_key_type_name(from->type), sy_key_type_name(to));
    *ret_key = (struct sy_key){.type = to, .integer = value};
    return SY_OK;
}
