/*
 * Text to date, time and timestamp: ISO 8601, month names, slashes in MDY order, special words,
 * zones. Source: manual, appendix B "Date/Time Support".
 */
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "router/engine/sqlite/datetime.h"

struct scan {
    const char *p, *end;
    struct sq_civil civil;
    bool has_date, has_time, has_zone, bc;
    int pm; /* 1 am, 2 pm */
    int32_t east;
    const struct sy_timezone *zone;
    char special;       /* i -infinity I infinity n now t today m tomorrow y yesterday e epoch, 0 */
    int32_t numbers[2]; /* loose numbers of a textual date */
    int number_digits[2];
    int number_count;
    bool bad_field; /* 22008 rather than 22007 */
};

static bool word_is(struct sy_slice word, const char *text)
{
    return word.bytes == strlen(text) && strncasecmp(word.data, text, word.bytes) == 0;
}

static bool name_to_month(struct sy_slice word, int32_t *ret_month)
{
    static const char *const names[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};
    for (int32_t i = 0; i < 12; i++)
        if ((word.bytes == 3 || word.bytes == strlen(names[i]) || (i == 8 && word.bytes == 4)) &&
            strncasecmp(names[i], word.data, word.bytes) == 0) {
            *ret_month = i + 1;
            return true;
        }
    return false;
}

static bool is_weekday(struct sy_slice word)
{
    static const char *const names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday"};
    for (size_t i = 0; i < 7; i++)
        if (word.bytes >= 3 && word.bytes <= strlen(names[i]) &&
            strncasecmp(names[i], word.data, word.bytes) == 0)
            return true;
    return false;
}

static int read_digits(struct scan *s, int64_t *ret_value)
{
    int digits = 0;
    int64_t value = 0;
    while (s->p < s->end && isdigit((unsigned char)*s->p) != 0) {
        if (digits < 18)
            value = value * 10 + (*s->p - '0');
        digits++;
        s->p++;
    }
    *ret_value = value;
    return digits;
}

static struct sy_slice read_word(struct scan *s, bool zone)
{
    const char *start = s->p;
    while (s->p < s->end && (isalpha((unsigned char)*s->p) != 0 ||
                             (zone && strchr("/_+-0123456789", *s->p) != NULL)))
        s->p++;
    return (struct sy_slice){start, (size_t)(s->p - start)};
}

static bool read_fraction(struct scan *s, int32_t *ret_us)
{
    double scale = 100000, us = 0;
    int digits = 0;
    while (s->p < s->end && isdigit((unsigned char)*s->p) != 0) {
        us += (*s->p++ - '0') * scale;
        scale /= 10;
        digits++;
    }
    *ret_us = (int32_t)(us + 0.5);
    return true;
}

static bool read_time(struct scan *s, int64_t hour)
{
    int64_t value = 0;
    if (hour > 99)
        return false;
    s->civil.hour = (int32_t)hour;
    if (read_digits(s, &value) == 0 || value > 99)
        return false;
    s->civil.minute = (int32_t)value;
    if (s->p < s->end && *s->p == ':') {
        s->p++;
        if (read_digits(s, &value) == 0 || value > 99)
            return false;
        s->civil.second = (int32_t)value;
        if (s->p < s->end && *s->p == '.') {
            s->p++;
            (void)read_fraction(s, &s->civil.us);
        }
    }
    s->has_time = true;
    return true;
}

static bool read_offset(struct scan *s)
{
    bool negative = *s->p++ == '-';
    int64_t hour = 0, minute = 0, second = 0;
    int digits = read_digits(s, &hour);
    if (digits == 4) {
        minute = hour % 100;
        hour /= 100;
    } else if (digits == 0 || digits > 2) {
        return false;
    }
    if (s->p < s->end && *s->p == ':') {
        s->p++;
        if (read_digits(s, &minute) == 0)
            return false;
        if (s->p < s->end && *s->p == ':') {
            s->p++;
            if (read_digits(s, &second) == 0)
                return false;
        }
    }
    if (hour > 15 || minute > 59 || second > 59) {
        s->bad_field = true;
        return false;
    }
    s->east = (int32_t)(hour * 3600 + minute * 60 + second) * (negative ? -1 : 1);
    s->has_zone = true;
    return true;
}

static int32_t full_year(int64_t year, int digits)
{
    if (digits > 2)
        return (int32_t)year;
    return (int32_t)(year < 70 ? year + 2000 : year + 1900);
}

/* What follows "digits-" or "month-": two more parts. */
static bool read_date(struct scan *s, int64_t first, int first_digits, int32_t first_month)
{
    char separator = *s->p++;
    int64_t parts[3] = {first, 0, 0};
    int digits[3] = {first_digits, 0, 0};
    int32_t month = first_month;
    int month_at = first_month > 0 ? 0 : -1;
    for (int i = 1; i < 3; i++) {
        if (s->p < s->end && isalpha((unsigned char)*s->p) != 0) {
            if (month > 0 || !name_to_month(read_word(s, false), &month))
                return false;
            month_at = i;
        } else if ((digits[i] = read_digits(s, &parts[i])) == 0) {
            return false;
        }
        if (i == 1) {
            if (s->p >= s->end || *s->p != separator)
                return false;
            s->p++;
        }
    }
    int y = 0, m = 1, d = 2;
    if (month_at >= 0) { /* the month is named: day and year are what is left */
        int a = month_at == 0 ? 1 : 0, b = month_at == 2 ? 1 : 2;
        y = digits[a] > 2 ? a : b;
        d = y == a ? b : a;
        m = month_at;
        parts[m] = month;
    } else if (first_digits <= 2) {
        m = 0;
        d = 1;
        y = 2;
    }
    if (parts[y] > 9999999 || parts[m] > 99 || parts[d] > 99)
        return false;
    s->civil.year = full_year(parts[y], digits[y]);
    s->civil.month = (int32_t)parts[m];
    s->civil.day = (int32_t)parts[d];
    s->has_date = true;
    return true;
}

static bool read_number(struct scan *s)
{
    int64_t value = 0;
    int digits = read_digits(s, &value);
    char next = s->p < s->end ? *s->p : '\0';
    if (next == ':') {
        s->p++;
        return !s->has_time && read_time(s, value);
    }
    if ((next == '-' || next == '/' || next == '.') && !s->has_date && s->number_count == 0 &&
        s->p + 1 < s->end && isalnum((unsigned char)s->p[1]) != 0)
        return read_date(s, value, digits, 0);
    if (!s->has_date && digits == 8 && s->number_count == 0) {
        s->civil.year = (int32_t)(value / 10000);
        s->civil.month = (int32_t)(value / 100 % 100);
        s->civil.day = (int32_t)(value % 100);
        s->has_date = true;
        return true;
    }
    if (s->has_date && !s->has_time && (digits == 6 || digits == 4)) {
        if (digits == 4)
            value *= 100;
        s->civil.hour = (int32_t)(value / 10000);
        s->civil.minute = (int32_t)(value / 100 % 100);
        s->civil.second = (int32_t)(value % 100);
        s->has_time = true;
        if (next == '.') {
            s->p++;
            return read_fraction(s, &s->civil.us);
        }
        return true;
    }
    if (s->number_count == 2 || digits > 6)
        return false;
    s->number_digits[s->number_count] = digits;
    s->numbers[s->number_count++] = (int32_t)value;
    return true;
}

static bool zone_abbreviation(struct sy_slice word, int32_t *ret_east)
{
    static const struct {
        const char *name;
        int32_t hours;
    } zones[] = {{"UTC", 0},  {"GMT", 0},  {"Z", 0},    {"UT", 0},    {"ZULU", 0},
                 {"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},  {"MST", -7},
                 {"MDT", -6}, {"PST", -8}, {"PDT", -7}, {"CET", 1},   {"CEST", 2},
                 {"EET", 2},  {"EEST", 3}, {"WET", 0},  {"WEST", 1},  {"BST", 1},
                 {"MSK", 3},  {"JST", 9},  {"KST", 9},  {"AEST", 10}, {"AEDT", 11}};
    for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
        if (word_is(word, zones[i].name)) {
            *ret_east = zones[i].hours * 3600;
            return true;
        }
    return false;
}

static bool read_special(struct scan *s, struct sy_slice word)
{
    static const struct {
        const char *name;
        char code;
    } words[] = {{"now", 'n'},   {"today", 't'},    {"tomorrow", 'm'}, {"yesterday", 'y'},
                 {"epoch", 'e'}, {"infinity", 'I'}, {"inf", 'I'},      {"allballs", 'z'}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (word_is(word, words[i].name)) {
            s->special = words[i].code;
            return true;
        }
    return false;
}

static bool read_letters(struct scan *s)
{
    const char *start = s->p;
    struct sy_slice word = read_word(s, false);
    int32_t month = 0;
    bool next_digit = s->p < s->end && isdigit((unsigned char)*s->p) != 0;
    if (word_is(word, "t") && next_digit && s->has_date)
        return true;
    if (name_to_month(word, &month)) {
        if (s->p < s->end && *s->p == '-' && !s->has_date)
            return read_date(s, 0, 0, month);
        s->civil.month = month;
        return true;
    }
    if (word_is(word, "am") || word_is(word, "pm")) {
        s->pm = word_is(word, "am") ? 1 : 2;
        return s->has_time;
    }
    if (word_is(word, "bc") || word_is(word, "ad")) {
        s->bc = word_is(word, "bc");
        return true;
    }
    if (read_special(s, word) || is_weekday(word))
        return true;
    if (zone_abbreviation(word, &s->east) && (s->p == s->end || strchr(" ,", *s->p) != NULL)) {
        s->has_zone = true;
        return true;
    }
    s->p = start;
    s->zone = sy_timezone_find(read_word(s, true));
    s->has_zone = s->zone != NULL;
    return s->has_zone;
}

static bool read_item(struct scan *s)
{
    unsigned char c = (unsigned char)*s->p;
    if (isspace(c) != 0 || c == ',') {
        s->p++;
        return true;
    }
    if (isdigit(c) != 0)
        return read_number(s);
    if (isalpha(c) != 0)
        return read_letters(s);
    if ((c == '+' || c == '-') &&
        (s->has_time || s->has_date)) /* JDBC sends dates with an offset */
        return read_offset(s);
    if (c == '-' && s->end - s->p >= 4 && strncasecmp(s->p + 1, "inf", 3) == 0) {
        s->p++;
        (void)read_word(s, false);
        s->special = 'i';
        return true;
    }
    return false;
}

/* "Jan 5 2020", "5 Jan 2020", "2020 Jan 5". */
static bool textual_date(struct scan *s)
{
    if (s->has_date || s->civil.month == 0)
        return s->number_count == 0;
    if (s->number_count != 2)
        return false;
    int y = s->number_digits[0] > 2 ? 0 : 1;
    s->civil.year = full_year(s->numbers[y], s->number_digits[y]);
    s->civil.day = s->numbers[1 - y];
    s->has_date = true;
    return true;
}

static bool valid_fields(struct scan *s)
{
    struct sq_civil *c = &s->civil;
    if (s->pm != 0) {
        if (c->hour > 12)
            return false;
        c->hour = c->hour % 12 + (s->pm == 2 ? 12 : 0);
    }
    if (s->has_date) {
        if (c->month < 1 || c->month > 12 || c->day < 1)
            return false;
        if (s->bc)
            c->year = 1 - c->year;
        else if (c->year == 0)
            return false;
        if (c->day > sq_days_in_month(c->year, c->month))
            return false;
    }
    bool midnight = c->hour == 24 && c->minute == 0 && c->second == 0 && c->us == 0;
    return (c->hour < 24 || midnight) && c->minute < 60 && c->second <= 60;
}

static enum sy_status syntax(struct sy_slice text, const char *type, struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_TEXT, "invalid input syntax for type %s: \"%.*s\"", type,
                     (int)text.bytes, text.data);
    sy_err_state(err, "22007");
    return SY_E_TEXT;
}

static enum sy_status out_of_range(struct sy_slice text, struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_VALUE, "date/time field value out of range: \"%.*s\"",
                     (int)text.bytes, text.data);
    sy_err_state(err, "22008");
    return SY_E_VALUE;
}

static enum sy_status scan_text(struct sy_slice text, const char *type, struct scan *s,
                                struct sy_err *err)
{
    *s = (struct scan){.p = text.data, .end = text.data + text.bytes};
    while (s->p < s->end)
        if (!read_item(s))
            return s->bad_field ? out_of_range(text, err) : syntax(text, type, err);
    if (!textual_date(s))
        return syntax(text, type, err);
    if (!s->has_date && !s->has_time && s->special == 0)
        return syntax(text, type, err);
    if (!valid_fields(s)) {
        enum sy_status status = out_of_range(text, err);
        if (s->has_date && s->civil.month > 12)
            sy_err_hint(err, "Perhaps you need a different \"datestyle\" setting.");
        return status;
    }
    return SY_OK;
}

static int64_t special_day(const struct scan *s, const struct sy_type_settings *settings)
{
    int64_t local = sq_zone_to_local(settings == NULL ? NULL : settings->timezone,
                                     settings == NULL ? 0 : settings->now_us);
    int64_t day = sq_floor_div(local, SQ_US_PER_DAY);
    return s->special == 'm' ? day + 1 : s->special == 'y' ? day - 1 : day;
}

enum sy_status sq_date_in(struct sy_slice text, const struct sy_type_settings *settings,
                          int32_t *ret_date, struct sy_err *err)
{
    struct scan s;
    enum sy_status status = scan_text(text, "date", &s, err);
    if (status != SY_OK)
        return status;
    if (s.special == 'I' || s.special == 'i') {
        *ret_date = s.special == 'I' ? SQ_DATE_INFINITY : SQ_DATE_MINUS_INFINITY;
        return SY_OK;
    }
    if (s.special == 'e') {
        *ret_date = -10957;
        return SY_OK;
    }
    if (s.special != 0) {
        *ret_date = (int32_t)special_day(&s, settings);
        return SY_OK;
    }
    if (!s.has_date)
        return syntax(text, "date", err);
    int64_t days = sq_days_from_civil(s.civil.year, s.civil.month, s.civil.day);
    if (days < SQ_DATE_MIN || days >= SQ_DATE_END) {
        (void)sy_err_set(err, SY_E_VALUE, "date out of range: \"%.*s\"", (int)text.bytes,
                         text.data);
        sy_err_state(err, "22008");
        return SY_E_VALUE;
    }
    *ret_date = (int32_t)days;
    return SY_OK;
}

static int64_t apply_zone(const struct scan *s, const struct sy_type_settings *settings,
                          int64_t local)
{
    if (s->zone != NULL)
        return sq_zone_to_utc(s->zone, local);
    if (s->has_zone)
        return local - s->east * SQ_US_PER_SEC;
    return sq_zone_to_utc(settings == NULL ? NULL : settings->timezone, local);
}

enum sy_status sq_timestamp_in(struct sy_slice text, bool with_zone,
                               const struct sy_type_settings *settings, int64_t *ret_ts,
                               struct sy_err *err)
{
    struct scan s;
    const char *type = with_zone ? "timestamp with time zone" : "timestamp";
    enum sy_status status = scan_text(text, type, &s, err);
    const struct sy_timezone *zone = settings == NULL ? NULL : settings->timezone;
    if (status != SY_OK)
        return status;
    if (s.special == 'I' || s.special == 'i') {
        *ret_ts = s.special == 'I' ? SQ_TS_INFINITY : SQ_TS_MINUS_INFINITY;
        return SY_OK;
    }
    int64_t ts = 0;
    if (s.special == 'n') {
        int64_t now = settings == NULL ? 0 : settings->now_us;
        *ret_ts = with_zone ? now : sq_zone_to_local(zone, now);
        return SY_OK;
    }
    if (s.special == 'e') {
        *ret_ts = -SY_TYPE_EPOCH_US;
        return SY_OK;
    }
    int64_t clock = sq_ts_from_civil(
        &(struct sq_civil){2000, 1, 1, s.civil.hour, s.civil.minute, s.civil.second, s.civil.us});
    if (s.special != 0)
        ts = special_day(&s, settings) * SQ_US_PER_DAY + clock;
    else if (!s.has_date)
        return syntax(text, type, err);
    else
        ts = sq_days_from_civil(s.civil.year, s.civil.month, s.civil.day) >= SQ_DATE_END / 2
                 ? INT64_MAX - 1
                 : sq_days_from_civil(s.civil.year, s.civil.month, s.civil.day) * SQ_US_PER_DAY +
                       clock;
    if (with_zone && ts < SQ_TS_END)
        ts = apply_zone(&s, settings, ts);
    if (ts < SQ_TS_MIN || ts >= SQ_TS_END) {
        (void)sy_err_set(err, SY_E_VALUE, "timestamp out of range: \"%.*s\"", (int)text.bytes,
                         text.data);
        sy_err_state(err, "22008");
        return SY_E_VALUE;
    }
    *ret_ts = ts;
    return SY_OK;
}

enum sy_status sq_time_in(struct sy_slice text, bool with_zone,
                          const struct sy_type_settings *settings, int64_t *ret_us,
                          int32_t *ret_east, struct sy_err *err)
{
    struct scan s;
    const char *type = with_zone ? "time with time zone" : "time";
    enum sy_status status = scan_text(text, type, &s, err);
    const struct sy_timezone *zone = settings == NULL ? NULL : settings->timezone;
    if (status != SY_OK)
        return status;
    int64_t now = settings == NULL ? 0 : settings->now_us;
    if (s.special == 'n') {
        int64_t local = sq_zone_to_local(zone, now);
        *ret_us = local - sq_floor_div(local, SQ_US_PER_DAY) * SQ_US_PER_DAY;
        *ret_east = sq_zone_offset(zone, now, NULL);
        return SY_OK;
    }
    if (!s.has_time && s.special != 'z')
        return syntax(text, type, err);
    *ret_us =
        ((s.civil.hour * 60 + s.civil.minute) * INT64_C(60) + s.civil.second) * SQ_US_PER_SEC +
        s.civil.us;
    *ret_east = s.has_zone && s.zone == NULL
                    ? s.east
                    : sq_zone_offset(s.zone != NULL ? s.zone : zone, now, NULL);
    return SY_OK;
}
