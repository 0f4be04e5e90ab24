/* to_char, to_date, to_timestamp by templates (Source: manual 9.8, "Data Type Formatting
 * Functions"). */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/numeric.h"

enum key {
    K_HH24,
    K_HH12,
    K_MI,
    K_SSSS,
    K_SS,
    K_MS,
    K_US,
    K_FF,
    K_AM,
    K_AMD,
    K_YYYYC,
    K_YYYY,
    K_YYY,
    K_YY,
    K_Y,
    K_IYYY,
    K_IYY,
    K_IY,
    K_I,
    K_BC,
    K_BCD,
    K_MONTH,
    K_MON,
    K_MM,
    K_DAY,
    K_DY,
    K_DDD,
    K_IDDD,
    K_DD,
    K_D,
    K_ID,
    K_WW,
    K_IW,
    K_W,
    K_CC,
    K_J,
    K_Q,
    K_RM,
    K_TZH,
    K_TZM,
    K_TZ,
    K_OF,
    K_TEXT,
    K_END
};

/* Longer names first. */
static const struct {
    const char *name;
    enum key key;
} keys[] = {
    {"HH24", K_HH24},   {"HH12", K_HH12}, {"HH", K_HH12},  {"MI", K_MI},   {"SSSSS", K_SSSS},
    {"SSSS", K_SSSS},   {"SS", K_SS},     {"MS", K_MS},    {"US", K_US},   {"FF1", K_FF},
    {"FF2", K_FF},      {"FF3", K_FF},    {"FF4", K_FF},   {"FF5", K_FF},  {"FF6", K_FF},
    {"A.M.", K_AMD},    {"P.M.", K_AMD},  {"AM", K_AM},    {"PM", K_AM},   {"Y,YYY", K_YYYYC},
    {"YYYY", K_YYYY},   {"YYY", K_YYY},   {"YY", K_YY},    {"Y", K_Y},     {"IYYY", K_IYYY},
    {"IYY", K_IYY},     {"IDDD", K_IDDD}, {"IW", K_IW},    {"IY", K_IY},   {"ID", K_ID},
    {"I", K_I},         {"B.C.", K_BCD},  {"A.D.", K_BCD}, {"BC", K_BC},   {"AD", K_BC},
    {"MONTH", K_MONTH}, {"MON", K_MON},   {"MM", K_MM},    {"DAY", K_DAY}, {"DY", K_DY},
    {"DDD", K_DDD},     {"DD", K_DD},     {"D", K_D},      {"WW", K_WW},   {"W", K_W},
    {"CC", K_CC},       {"J", K_J},       {"Q", K_Q},      {"RM", K_RM},   {"TZH", K_TZH},
    {"TZM", K_TZM},     {"TZ", K_TZ},     {"OF", K_OF},
};

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* One piece of a template: a key with its modifiers and spelling, or literal text. */
struct piece {
    enum key key;
    bool fill_mode, th_upper, th_lower, quoted;
    struct sy_slice text; /* as written */
};

static bool read_piece(const char **p, const char *end, struct piece *piece)
{
    *piece = (struct piece){.key = K_TEXT};
    if (*p >= end)
        return false;
    while (end - *p >= 2 && strncasecmp(*p, "FM", 2) == 0) {
        piece->fill_mode = true;
        *p += 2;
    }
    while (end - *p >= 2 && (strncasecmp(*p, "FX", 2) == 0 || strncmp(*p, "TM", 2) == 0))
        *p += 2;
    if (*p >= end)
        return false;
    if (**p == '"') {
        const char *start = ++*p;
        while (*p < end && **p != '"')
            (*p)++;
        piece->text = (struct sy_slice){start, (size_t)(*p - start)};
        piece->quoted = true;
        if (*p < end)
            (*p)++;
        return true;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        size_t bytes = strlen(keys[i].name);
        if ((size_t)(end - *p) < bytes || strncasecmp(*p, keys[i].name, bytes) != 0)
            continue;
        piece->key = keys[i].key;
        piece->text = (struct sy_slice){*p, bytes};
        *p += bytes;
        if (end - *p >= 2 && strncmp(*p, "TH", 2) == 0)
            piece->th_upper = true;
        else if (end - *p >= 2 && strncmp(*p, "th", 2) == 0)
            piece->th_lower = true;
        if (piece->th_upper || piece->th_lower)
            *p += 2;
        return true;
    }
    if (**p == '\\' && *p + 1 < end)
        (*p)++;
    piece->text = (struct sy_slice){*p, 1};
    (*p)++;
    return true;
}

/* ---- out ---- */

struct moment {
    struct sq_civil c;
    int64_t day;
    int32_t east;
    bool with_zone, interval;
    const char *abbreviation;
};

static void number(struct sy_buf *out, const struct piece *piece, int64_t value, int width)
{
    if (piece->fill_mode)
        sy_buf_printf(out, "%lld", (long long)value);
    else
        sy_buf_printf(out, "%0*lld", value < 0 ? width + 1 : width, (long long)value);
    if (!piece->th_upper && !piece->th_lower)
        return;
    int64_t last = (value < 0 ? -value : value) % 100;
    const char *suffix = last >= 11 && last <= 13 ? "TH"
                         : last % 10 == 1         ? "ST"
                         : last % 10 == 2         ? "ND"
                         : last % 10 == 3         ? "RD"
                                                  : "TH";
    for (; *suffix != '\0'; suffix++)
        sy_buf_append_u8(out, (uint8_t)(piece->th_upper ? *suffix : tolower(*suffix)));
}

/* A name in the spelling of its key: MONTH, Month, month; blank-padded unless FM. */
static void name(struct sy_buf *out, const struct piece *piece, const char *word, size_t bytes,
                 size_t width)
{
    bool first_upper = isupper((unsigned char)piece->text.data[0]) != 0;
    bool second_upper = piece->text.bytes > 1 && isupper((unsigned char)piece->text.data[1]) != 0;
    for (size_t i = 0; i < bytes; i++) {
        bool upper = first_upper && (second_upper || i == 0);
        sy_buf_append_u8(out, (uint8_t)(upper ? toupper((unsigned char)word[i])
                                              : tolower((unsigned char)word[i])));
    }
    for (size_t i = bytes; i < width && !piece->fill_mode; i++)
        sy_buf_append_str(out, " ");
}

static void zone(struct sy_buf *out, const struct piece *piece, const struct moment *m)
{
    int32_t seconds = abs(m->east);
    if (piece->key == K_TZ) {
        for (const char *p = m->abbreviation; *p != '\0'; p++)
            sy_buf_append_u8(out, (uint8_t)(islower((unsigned char)piece->text.data[0]) != 0
                                                ? tolower((unsigned char)*p)
                                                : *p));
    } else if (piece->key == K_TZM) {
        sy_buf_printf(out, "%02d", seconds / 60 % 60);
    } else {
        sy_buf_printf(out, "%c%02d", m->east < 0 ? '-' : '+', seconds / 3600);
        if (piece->key == K_OF && seconds / 60 % 60 != 0)
            sy_buf_printf(out, ":%02d", seconds / 60 % 60);
    }
}

static void put_time(struct sy_buf *out, const struct piece *piece, const struct moment *m)
{
    const struct sq_civil *c = &m->c;
    int32_t hour12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
    bool upper = isupper((unsigned char)piece->text.data[0]) != 0;
    switch ((int)piece->key) {
    case K_HH24:
        number(out, piece, c->hour, 2);
        break;
    case K_HH12:
        number(out, piece, hour12, 2);
        break;
    case K_MI:
        number(out, piece, c->minute, 2);
        break;
    case K_SS:
        number(out, piece, c->second, 2);
        break;
    case K_SSSS:
        number(out, piece, c->hour * 3600 + c->minute * 60 + c->second, 0);
        break;
    case K_MS:
        number(out, piece, c->us / 1000, 3);
        break;
    case K_US:
        number(out, piece, c->us, 6);
        break;
    case K_FF: {
        int digits = piece->text.data[2] - '0', us = c->us;
        for (int i = digits; i < 6; i++)
            us /= 10;
        number(out, piece, us, digits);
        break;
    }
    case K_AM:
        sy_buf_append_str(out, c->hour >= 12 ? (upper ? "PM" : "pm") : (upper ? "AM" : "am"));
        break;
    default:
        sy_buf_append_str(out,
                          c->hour >= 12 ? (upper ? "P.M." : "p.m.") : (upper ? "A.M." : "a.m."));
        break;
    }
}

static void put_year(struct sy_buf *out, const struct piece *piece, const struct moment *m)
{
    int32_t year = m->c.year;
    if (piece->key >= K_IYYY && piece->key <= K_I)
        (void)sq_iso_week(m->day, &year);
    if (!m->interval)
        year = year > 0 ? year : 1 - year;
    switch ((int)piece->key) {
    case K_YYYYC:
        sy_buf_printf(out, "%d,%03d", year / 1000, year % 1000);
        break;
    case K_YYYY:
    case K_IYYY:
        number(out, piece, year, 4);
        break;
    case K_YYY:
    case K_IYY:
        number(out, piece, year % 1000, 3);
        break;
    case K_YY:
    case K_IY:
        number(out, piece, year % 100, 2);
        break;
    default:
        number(out, piece, year % 10, 1);
        break;
    }
}

static void put_day(struct sy_buf *out, const struct piece *piece, const struct moment *m)
{
    static const char *const roman[] = {"I",   "II",   "III", "IV", "V",  "VI",
                                        "VII", "VIII", "IX",  "X",  "XI", "XII"};
    const struct sq_civil *c = &m->c;
    int32_t weekday = (int32_t)(((m->day + 6) % 7 + 7) % 7), iso_year = 0;
    int32_t of_year = (int32_t)(m->day - sq_days_from_civil(c->year, 1, 1)) + 1;
    int32_t month = c->month < 1 ? 1 : c->month;
    switch ((int)piece->key) {
    case K_MONTH:
        name(out, piece, months[month - 1], strlen(months[month - 1]), 9);
        break;
    case K_MON:
        name(out, piece, months[month - 1], 3, 3);
        break;
    case K_MM:
        number(out, piece, c->month, 2);
        break;
    case K_DAY:
        name(out, piece, days[weekday], strlen(days[weekday]), 9);
        break;
    case K_DY:
        name(out, piece, days[weekday], 3, 3);
        break;
    case K_DDD:
        number(out, piece, of_year, 3);
        break;
    case K_IDDD:
        number(out, piece, (sq_iso_week(m->day, &iso_year) - 1) * 7 + (weekday == 0 ? 7 : weekday),
               3);
        break;
    case K_DD:
        number(out, piece, c->day, 2);
        break;
    case K_D:
        number(out, piece, weekday + 1, 1);
        break;
    case K_ID:
        number(out, piece, weekday == 0 ? 7 : weekday, 1);
        break;
    case K_WW:
        number(out, piece, (of_year - 1) / 7 + 1, 2);
        break;
    case K_IW:
        number(out, piece, sq_iso_week(m->day, NULL), 2);
        break;
    case K_W:
        number(out, piece, (c->day - 1) / 7 + 1, 1);
        break;
    case K_CC:
        number(out, piece, c->year > 0 ? (c->year + 99) / 100 : -((-c->year) / 100 + 1), 2);
        break;
    case K_J:
        number(out, piece, m->day + 2451545, 0);
        break;
    case K_Q:
        number(out, piece, (month - 1) / 3 + 1, 1);
        break;
    default:
        name(out, piece, roman[month - 1], strlen(roman[month - 1]), 4);
        break;
    }
}

static void put_moment(struct sq_call *call, struct sy_slice template_, const struct moment *m)
{
    const char *p = template_.data, *end = p + template_.bytes;
    struct sy_buf out = {0};
    struct piece piece;
    while (read_piece(&p, end, &piece)) {
        if (piece.key == K_TEXT)
            sy_buf_append_slice(&out, piece.text);
        else if (piece.key <= K_AMD)
            put_time(&out, &piece, m);
        else if (piece.key <= K_I)
            put_year(&out, &piece, m);
        else if (piece.key <= K_BCD) {
            bool upper = isupper((unsigned char)piece.text.data[0]) != 0, dots = piece.key == K_BCD;
            const char *word = m->c.year <= 0 ? (dots ? "B.C." : "BC") : (dots ? "A.D." : "AD");
            for (; *word != '\0'; word++)
                sy_buf_append_u8(&out, (uint8_t)(upper ? *word : tolower(*word)));
        } else if (piece.key >= K_TZH)
            zone(&out, &piece, m);
        else
            put_day(&out, &piece, m);
    }
    sq_return_buf(call, &out);
}

static void f_to_char_ts(struct sq_call *call)
{
    struct moment m = {.abbreviation = ""};
    int64_t ts = sq_arg_int(call, 0);
    if (ts == SQ_TS_INFINITY || ts == SQ_TS_MINUS_INFINITY) {
        sq_return_text(call, ts > 0 ? "infinity" : "-infinity", ts > 0 ? 8 : 9);
        return;
    }
    m.with_zone = sq_arg_int(call, 2) != 0;
    if (m.with_zone) {
        m.east = sq_zone_offset(call->session == NULL ? NULL : call->session->types.timezone, ts,
                                &m.abbreviation);
        ts += m.east * SQ_US_PER_SEC;
    }
    sq_civil_from_ts(ts, &m.c);
    m.day = sq_floor_div(ts, SQ_US_PER_DAY);
    put_moment(call, sq_arg_text(call, 1), &m);
}

static void f_to_char_iv(struct sq_call *call)
{
    struct sq_interval v = {0, 0, 0};
    struct moment m = {.abbreviation = "", .interval = true};
    (void)sq_interval_parse(sq_arg_text(call, 0), &v);
    int64_t seconds = v.us / SQ_US_PER_SEC;
    m.c = (struct sq_civil){v.months / 12,
                            v.months % 12,
                            v.days,
                            (int32_t)(seconds / 3600),
                            (int32_t)(seconds / 60 % 60),
                            (int32_t)(seconds % 60),
                            (int32_t)(v.us % SQ_US_PER_SEC)};
    put_moment(call, sq_arg_text(call, 1), &m);
}

/* ---- in ---- */

struct reading {
    struct sq_civil c;
    int32_t of_year, julian, east;
    bool bc, pm, am, hour12, has_zone, has_julian, has_of_year;
};

static bool read_number(const char **p, const char *end, int width, int64_t *ret_value,
                        int *ret_digits)
{
    const char *start = *p;
    int64_t value = 0;
    while (*p < end && isdigit((unsigned char)**p) != 0 && (width == 0 || *p - start < width))
        value = value * 10 + (*(*p)++ - '0');
    *ret_value = value;
    *ret_digits = (int)(*p - start);
    return *p > start;
}

static bool read_month(const char **p, const char *end, int32_t *ret_month)
{
    for (int32_t i = 0; i < 12; i++) {
        size_t full = strlen(months[i]);
        bool whole = (size_t)(end - *p) >= full && strncasecmp(*p, months[i], full) == 0;
        if (!whole && !((size_t)(end - *p) >= 3 && strncasecmp(*p, months[i], 3) == 0))
            continue;
        *p += whole ? full : 3;
        *ret_month = i + 1;
        return true;
    }
    return false;
}

static void skip_day_name(const char **p, const char *end)
{
    while (*p < end && isalpha((unsigned char)**p) != 0)
        (*p)++;
}

static bool store(struct reading *r, const struct piece *piece, int64_t value, int digits)
{
    switch ((int)piece->key) {
    case K_YYYY:
    case K_IYYY:
    case K_YYY:
    case K_YY:
    case K_Y:
        r->c.year =
            (int32_t)(digits <= 2 && piece->key != K_YYYY ? value + (value < 70 ? 2000 : 1900)
                                                          : value);
        return true;
    case K_MM:
        r->c.month = (int32_t)value;
        return value >= 1 && value <= 12;
    case K_DD:
        r->c.day = (int32_t)value;
        return value >= 1 && value <= 31;
    case K_DDD:
        r->of_year = (int32_t)value;
        r->has_of_year = true;
        return value >= 1 && value <= 366;
    case K_HH24:
        r->c.hour = (int32_t)value;
        return value <= 24;
    case K_HH12:
        r->c.hour = (int32_t)value;
        r->hour12 = true;
        return value >= 1 && value <= 12;
    case K_MI:
        r->c.minute = (int32_t)value;
        return value < 60;
    case K_SS:
        r->c.second = (int32_t)value;
        return value < 60;
    case K_MS:
        for (; digits < 3; digits++)
            value *= 10;
        r->c.us += (int32_t)value * 1000;
        return true;
    case K_US:
    case K_FF:
        for (; digits < 6; digits++)
            value *= 10;
        r->c.us += (int32_t)value;
        return true;
    case K_J:
        r->julian = (int32_t)value;
        r->has_julian = true;
        return true;
    default:
        return true;
    }
}

static int field_width(const struct piece *piece, bool next_is_digit)
{
    switch ((int)piece->key) {
    case K_YYYY:
        return next_is_digit ? 4 : 0;
    case K_YYY:
    case K_DDD:
    case K_MS:
        return 3;
    case K_US:
        return 6;
    case K_FF:
        return piece->text.data[2] - '0';
    case K_Y:
        return 1;
    case K_J:
        return 0;
    default:
        return 2;
    }
}

/* One key against the text. */
static bool read_field(struct sq_call *call, const struct piece *piece, bool digits_follow,
                       const char **p, const char *end, struct reading *r)
{
    int64_t value = 0;
    int digits = 0;
    while (*p < end && **p == ' ')
        (*p)++;
    if (piece->key == K_MONTH || piece->key == K_MON)
        return read_month(p, end, &r->c.month);
    if (piece->key == K_DAY || piece->key == K_DY) {
        skip_day_name(p, end);
        return true;
    }
    if (piece->key == K_AM || piece->key == K_AMD || piece->key == K_BC || piece->key == K_BCD) {
        const char *start = *p;
        while (*p < end && (isalpha((unsigned char)**p) != 0 || **p == '.'))
            (*p)++;
        bool second = *p > start && (tolower((unsigned char)*start) == 'p' ||
                                     tolower((unsigned char)*start) == 'b');
        *((piece->key == K_AM || piece->key == K_AMD) ? (second ? &r->pm : &r->am) : &r->bc) =
            second || piece->key <= K_AMD;
        return true;
    }
    if (piece->key == K_TZH || piece->key == K_OF) {
        bool negative = *p < end && **p == '-';
        if (*p < end && (**p == '-' || **p == '+'))
            (*p)++;
        if (!read_number(p, end, 2, &value, &digits))
            return false;
        r->east = (int32_t)value * (negative ? -3600 : 3600);
        r->has_zone = true;
        return true;
    }
    if (piece->key == K_TZM && read_number(p, end, 2, &value, &digits)) {
        r->east += (int32_t)value * (r->east < 0 ? -60 : 60);
        return true;
    }
    if (!read_number(p, end, field_width(piece, digits_follow), &value, &digits)) {
        sq_fail(call, "22007", "invalid value \"%.*s\" for \"%.*s\"",
                (int)(end - *p > 10 ? 10 : end - *p), *p, (int)piece->text.bytes, piece->text.data);
        return false;
    }
    if (store(r, piece, value, digits))
        return true;
    struct sy_slice text = sq_arg_text(call, 0);
    sq_fail(call, "22008", "date/time field value out of range: \"%.*s\"", (int)text.bytes,
            text.data);
    return false;
}

static bool read_template(struct sq_call *call, struct reading *r)
{
    struct sy_slice text = sq_arg_text(call, 0), template_ = sq_arg_text(call, 1);
    const char *p = text.data, *end = p + text.bytes, *t = template_.data,
               *t_end = t + template_.bytes;
    struct piece piece;
    *r = (struct reading){.c = {.year = 0, .month = 1, .day = 1}};
    while (p < end && read_piece(&t, t_end, &piece)) {
        bool digits_follow = t < t_end && isalpha((unsigned char)*t) != 0;
        if (piece.key != K_TEXT) {
            if (!read_field(call, &piece, digits_follow, &p, end, r)) {
                if (call->session == NULL || call->session->err.status == SY_OK)
                    sq_fail(call, "22007", "invalid value \"%.*s\" for \"%.*s\"",
                            (int)(end - p > 10 ? 10 : end - p), p, (int)piece.text.bytes,
                            piece.text.data);
                return false;
            }
            continue;
        }
        if (piece.quoted || isalnum((unsigned char)piece.text.data[0]) != 0)
            p += piece.text.bytes < (size_t)(end - p) ? piece.text.bytes : (size_t)(end - p);
        else if (isalnum((unsigned char)*p) == 0)
            p++;
    }
    return true;
}

static bool reading_ts(struct sq_call *call, struct reading *r, int64_t *ret_ts)
{
    struct sy_slice text = sq_arg_text(call, 0);
    if (!read_template(call, r))
        return false;
    if (r->hour12 || r->pm || r->am)
        r->c.hour = r->c.hour % 12 + (r->pm ? 12 : 0);
    if (r->bc)
        r->c.year = 1 - r->c.year;
    if (r->c.year == 0 && !r->bc)
        r->c.year = 0; /* 1 BC, as PostgreSQL gives for an absent year */
    if (r->c.day > sq_days_in_month(r->c.year, r->c.month)) {
        sq_fail(call, "22008", "date/time field value out of range: \"%.*s\"", (int)text.bytes,
                text.data);
        return false;
    }
    *ret_ts = sq_ts_from_civil(&r->c);
    if (r->has_of_year)
        *ret_ts += (sq_days_from_civil(r->c.year, 1, 1) + r->of_year - 1 -
                    sq_days_from_civil(r->c.year, r->c.month, r->c.day)) *
                   SQ_US_PER_DAY;
    if (r->has_julian)
        *ret_ts = (int64_t)(r->julian - 2451545) * SQ_US_PER_DAY;
    return true;
}

static void f_to_date(struct sq_call *call)
{
    struct reading r;
    int64_t ts = 0;
    if (reading_ts(call, &r, &ts))
        sq_return_int(call, sq_floor_div(ts, SQ_US_PER_DAY));
}

static void f_to_timestamp(struct sq_call *call)
{
    struct reading r;
    int64_t ts = 0;
    if (reading_ts(call, &r, &ts))
        sq_return_int(
            call,
            r.has_zone
                ? ts - r.east * SQ_US_PER_SEC
                : sq_zone_to_utc(call->session == NULL ? NULL : call->session->types.timezone, ts));
}

/* ---- numbers ---- */

struct shape {
    bool fill_mode, sign_front, sign_back, minus_back, angle, bad;
    int whole, fraction; /* digits asked for on each side */
    int first_zero;      /* position of the first 0 among the whole digits, -1: none */
    int last_zero;       /* of the last 0 among the fraction digits, -1: none */
    bool point;
};

static struct shape read_shape(struct sy_slice t)
{
    struct shape s = {.first_zero = -1, .last_zero = -1};
    for (size_t i = 0; i < t.bytes && !s.bad; i++) {
        const char *p = t.data + i;
        size_t left = t.bytes - i;
        if (*p == '9' || *p == '0') {
            if (*p == '0' && !s.point && s.first_zero < 0)
                s.first_zero = s.whole;
            if (*p == '0' && s.point)
                s.last_zero = s.fraction;
            *(s.point ? &s.fraction : &s.whole) += 1;
        } else if (*p == '.' || toupper((unsigned char)*p) == 'D') {
            s.bad = s.point;
            s.point = true;
        } else if (left >= 2 && strncasecmp(p, "FM", 2) == 0) {
            s.fill_mode = true;
            i++;
        } else if (left >= 2 && strncasecmp(p, "MI", 2) == 0) {
            s.minus_back = true;
            i++;
        } else if (left >= 2 && strncasecmp(p, "PR", 2) == 0) {
            s.angle = true;
            i++;
        } else if (toupper((unsigned char)*p) == 'S') {
            *(s.whole + s.fraction == 0 ? &s.sign_front : &s.sign_back) = true;
        } else if (*p == '"') {
            for (i++; i < t.bytes && t.data[i] != '"';)
                i++;
        } else if (*p != ',' && toupper((unsigned char)*p) != 'G' && *p != ' ' &&
                   ispunct((unsigned char)*p) == 0) {
            s.bad = true;
        }
    }
    return s;
}

/* The digits of |x| rounded to the fraction, whole part left-padded with 'b' where nothing stands.
 */
static bool shape_digits(const struct sq_num *value, const struct shape *s, char *whole,
                         char *fraction, bool *ret_fits)
{
    struct sq_num copy;
    struct sy_buf text = {0};
    sq_num_init(&copy);
    sq_num_set(&copy, value);
    mpz_abs(copy.coefficient, copy.coefficient);
    sq_num_round(&copy, s->fraction);
    sq_num_print(&copy, &text);
    sq_num_clear(&copy);
    const char *point = memchr(text.data, '.', text.bytes);
    size_t whole_bytes = point == NULL ? text.bytes : (size_t)(point - text.data);
    const char *p = text.data;
    if (whole_bytes == 1 && *p == '0' && s->point) /* "0.5" as ".5" */
        whole_bytes = 0;
    *ret_fits = whole_bytes <= (size_t)s->whole || (whole_bytes == 1 && *p == '0');
    memset(whole, ' ', (size_t)s->whole);
    if (*ret_fits && whole_bytes <= (size_t)s->whole)
        memcpy(whole + s->whole - whole_bytes, p, whole_bytes);
    for (int i = s->first_zero < 0 ? s->whole : s->first_zero; i < s->whole; i++)
        whole[i] = whole[i] == ' ' ? '0' : whole[i];
    if (point != NULL)
        memcpy(fraction, point + 1, (size_t)s->fraction);
    sy_buf_release(&text);
    return true;
}

/* The digits with the sign where the format wants it: before them (at sign_at), behind, or around.
 */
static void put_signed(struct sy_buf *final, const struct sy_buf *out, size_t sign_at,
                       const struct shape *s, bool negative)
{
    bool front = !s->minus_back && !s->sign_back && !s->angle;
    const char *mark = front ? (negative        ? "-"
                                : s->sign_front ? "+"
                                : s->fill_mode  ? ""
                                                : " ")
                             : "";
    if (s->angle)
        mark = negative ? "<" : s->fill_mode ? "" : " ";
    sy_buf_append(final, out->data, sign_at);
    sy_buf_append_str(final, mark);
    sy_buf_append(final, out->data + sign_at, out->bytes - sign_at);
    if (s->minus_back)
        sy_buf_append_str(final, negative ? "-" : s->fill_mode ? "" : " ");
    if (s->sign_back)
        sy_buf_append_str(final, negative ? "-" : "+");
    if (s->angle)
        sy_buf_append_str(final, negative ? ">" : s->fill_mode ? "" : " ");
}

static void number_to_char(struct sq_call *call, const struct sq_num *value, struct sy_slice t)
{
    char whole[128], fraction[128];
    struct shape s = read_shape(t);
    struct sy_buf out = {0};
    bool fits = true, started = false, point = false, negative = mpz_sgn(value->coefficient) < 0;
    if (s.bad || s.whole > 100 || s.fraction > 100) {
        sq_fail(call, "0A000", "this number format is not supported by the sqlite engine: \"%.*s\"",
                (int)t.bytes, t.data);
        return;
    }
    memset(fraction, '0', sizeof(fraction));
    (void)shape_digits(value, &s, whole, fraction, &fits);
    if (!fits) {
        memset(whole, '#', sizeof(whole));
        memset(fraction, '#', sizeof(fraction));
    }
    int last = s.fraction - 1;
    while (s.fill_mode && fits && last > s.last_zero && fraction[last] == '0')
        last--;
    int w = 0, f = 0;
    size_t sign_at = 0;
    for (size_t i = 0; i < t.bytes; i++) {
        const char *p = t.data + i;
        char upper = (char)toupper((unsigned char)*p);
        if (*p == '9' || *p == '0') {
            if (point) {
                if (f <= last)
                    sy_buf_append(&out, &fraction[f], 1);
                f++;
            } else {
                started = started || whole[w] != ' ';
                if (!started)
                    sign_at = out.bytes + (s.fill_mode ? 0 : 1);
                if (started || !s.fill_mode)
                    sy_buf_append(&out, &whole[w], 1);
                w++;
            }
        } else if (*p == '.' || upper == 'D') {
            point = true;
            if (!started)
                sign_at = out.bytes;
            started = true;
            sy_buf_append_str(&out, ".");
        } else if (*p == ',' || upper == 'G') {
            sy_buf_append_str(&out, started ? "," : s.fill_mode ? "" : " ");
            if (!started)
                sign_at = out.bytes;
        } else if (upper == 'F' || upper == 'M' || upper == 'P') {
            i++;
        } else if (*p == '"') {
            for (i++; i < t.bytes && t.data[i] != '"'; i++)
                sy_buf_append(&out, &t.data[i], 1);
        } else if (upper != 'S') {
            sy_buf_append(&out, p, 1);
        }
    }
    struct sy_buf final = {0};
    put_signed(&final, &out, sign_at, &s, negative);
    sy_buf_release(&out);
    sq_return_buf(call, &final);
}

static void f_to_char_n(struct sq_call *call)
{
    struct sq_num num;
    bool overflow = false;
    sq_num_init(&num);
    if (sq_num_parse(&num, sq_arg_text(call, 0), &overflow) && num.kind == SQ_NUM_FINITE)
        number_to_char(call, &num, sq_arg_text(call, 1));
    else
        sq_fail(call, "0A000", "to_char of NaN and infinity is not supported by the sqlite engine");
    sq_num_clear(&num);
}

static void f_to_char_f(struct sq_call *call)
{
    char text[64];
    struct sq_num num;
    bool overflow = false;
    (void)snprintf(text, sizeof(text), "%.15g", sq_arg_real(call, 0));
    sq_num_init(&num);
    if (sq_num_parse(&num, sy_slice_of(text), &overflow) && num.kind == SQ_NUM_FINITE)
        number_to_char(call, &num, sq_arg_text(call, 1));
    else
        sq_fail(call, "0A000", "to_char of NaN and infinity is not supported by the sqlite engine");
    sq_num_clear(&num);
}

static const struct sq_function functions[] = {
    {"sy_to_char_ts", 3, 0, f_to_char_ts}, {"sy_to_char_iv", 2, 0, f_to_char_iv},
    {"sy_to_char_n", 2, 0, f_to_char_n},   {"sy_to_char_f", 2, 0, f_to_char_f},
    {"sy_to_date", 2, 0, f_to_date},       {"sy_to_timestamp", 2, 0, f_to_timestamp},
};

const struct sq_function_table sq_functions_tochar = {functions,
                                                      sizeof(functions) / sizeof(functions[0])};
