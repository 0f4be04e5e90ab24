/* Dates and times: arithmetic, truncation, fields, construction. */
#include <math.h>
#include <stdio.h>

#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/numeric.h"

static const struct sy_timezone *zone_of(const struct sq_call *call)
{
    return call->session == NULL ? NULL : call->session->types.timezone;
}

static bool infinite(int64_t ts)
{
    return ts == SQ_TS_INFINITY || ts == SQ_TS_MINUS_INFINITY;
}

static void return_ts(struct sq_call *call, int64_t ts, bool overflow)
{
    if (overflow || (!infinite(ts) && (ts < SQ_TS_MIN || ts >= SQ_TS_END)))
        sq_fail(call, "22008", "timestamp out of range");
    else
        sq_return_int(call, ts);
}

static void return_date(struct sq_call *call, int64_t date)
{
    if (date != SQ_DATE_INFINITY && date != SQ_DATE_MINUS_INFINITY &&
        (date < SQ_DATE_MIN || date >= SQ_DATE_END))
        sq_fail(call, "22008", "date out of range");
    else
        sq_return_int(call, date);
}

static void return_interval(struct sq_call *call, const struct sq_interval *v)
{
    struct sy_buf buf = {0};
    sq_interval_print(v, &buf);
    sq_return_buf(call, &buf);
}

static bool interval_arg(struct sq_call *call, int index, struct sq_interval *v)
{
    if (sq_interval_parse(sq_arg_text(call, index), v))
        return true;
    sq_fail(call, "XX001", "a stored value is not of type interval");
    return false;
}

/* ---- conversions ---- */

static int64_t date_to_ts(int64_t date)
{
    if (date == SQ_DATE_INFINITY)
        return SQ_TS_INFINITY;
    return date == SQ_DATE_MINUS_INFINITY ? SQ_TS_MINUS_INFINITY : date * SQ_US_PER_DAY;
}

static int64_t ts_to_date(int64_t ts)
{
    if (ts == SQ_TS_INFINITY)
        return SQ_DATE_INFINITY;
    return ts == SQ_TS_MINUS_INFINITY ? SQ_DATE_MINUS_INFINITY : sq_floor_div(ts, SQ_US_PER_DAY);
}

static int64_t to_utc(const struct sy_timezone *zone, int64_t ts)
{
    return infinite(ts) ? ts : sq_zone_to_utc(zone, ts);
}

static int64_t to_local(const struct sy_timezone *zone, int64_t ts)
{
    return infinite(ts) ? ts : sq_zone_to_local(zone, ts);
}

static void f_date_ts(struct sq_call *call)
{
    return_ts(call, date_to_ts(sq_arg_int(call, 0)), false);
}

static void f_date_tstz(struct sq_call *call)
{
    return_ts(call, to_utc(zone_of(call), date_to_ts(sq_arg_int(call, 0))), false);
}

static void f_ts_date(struct sq_call *call)
{
    sq_return_int(call, ts_to_date(sq_arg_int(call, 0)));
}

static void f_tstz_date(struct sq_call *call)
{
    sq_return_int(call, ts_to_date(to_local(zone_of(call), sq_arg_int(call, 0))));
}

static void f_ts_tstz(struct sq_call *call)
{
    return_ts(call, to_utc(zone_of(call), sq_arg_int(call, 0)), false);
}

static void f_tstz_ts(struct sq_call *call)
{
    return_ts(call, to_local(zone_of(call), sq_arg_int(call, 0)), false);
}

static int64_t time_of(int64_t ts)
{
    return ts - sq_floor_div(ts, SQ_US_PER_DAY) * SQ_US_PER_DAY;
}

static void f_ts_time(struct sq_call *call)
{
    if (!infinite(sq_arg_int(call, 0)))
        sq_return_int(call, time_of(sq_arg_int(call, 0)));
}

static void f_tstz_timetz(struct sq_call *call)
{
    int64_t ts = sq_arg_int(call, 0);
    if (!infinite(ts))
        sq_return_int(call, sq_timetz_pack(time_of(to_local(zone_of(call), ts)),
                                           sq_zone_offset(zone_of(call), ts, NULL)));
}

static void f_timetz_time(struct sq_call *call)
{
    int64_t us = 0;
    int32_t east = 0;
    sq_timetz_unpack(sq_arg_int(call, 0), &us, &east);
    sq_return_int(call, us);
}

static void f_time_timetz(struct sq_call *call)
{
    int64_t now = call->session == NULL ? 0 : call->session->transaction_us;
    sq_return_int(call,
                  sq_timetz_pack(sq_arg_int(call, 0), sq_zone_offset(zone_of(call), now, NULL)));
}

static void f_time_iv(struct sq_call *call)
{
    return_interval(call, &(struct sq_interval){0, 0, sq_arg_int(call, 0)});
}

static void f_iv_time(struct sq_call *call)
{
    struct sq_interval v;
    if (interval_arg(call, 0, &v))
        sq_return_int(call, time_of(v.us));
}

/* ---- arithmetic ---- */

static void add_months(struct sq_civil *c, int64_t months)
{
    int64_t month = (int64_t)c->year * 12 + c->month - 1 + months;
    c->year = (int32_t)sq_floor_div(month, 12);
    c->month = (int32_t)(month - (int64_t)c->year * 12) + 1;
    int32_t last = sq_days_in_month(c->year, c->month);
    c->day = c->day > last ? last : c->day;
}

bool sq_timestamp_plus(int64_t ts, const struct sq_interval *v, bool with_zone,
                       const struct sy_timezone *zone, int64_t *ret_ts)
{
    bool overflow = false;
    if (infinite(ts)) {
        *ret_ts = ts;
        return true;
    }
    if (v->months != 0 || v->days != 0) {
        int64_t local = with_zone ? sq_zone_to_local(zone, ts) : ts;
        if (v->months != 0) {
            struct sq_civil c = {0};
            sq_civil_from_ts(local, &c);
            add_months(&c, v->months);
            if (c.year > 300000 || c.year < -5000)
                return false;
            local = sq_ts_from_civil(&c);
        }
        overflow = __builtin_add_overflow(local, v->days * SQ_US_PER_DAY, &local);
        if (overflow || local < SQ_TS_MIN || local >= SQ_TS_END)
            return false;
        ts = with_zone ? sq_zone_to_utc(zone, local) : local;
    }
    overflow = __builtin_add_overflow(ts, v->us, &ts);
    *ret_ts = ts;
    return !overflow && ts >= SQ_TS_MIN && ts < SQ_TS_END;
}

static void move(struct sq_call *call, bool with_zone, bool subtract)
{
    struct sq_interval v;
    int64_t ts = 0;
    if (!interval_arg(call, 1, &v))
        return;
    if (subtract)
        v = (struct sq_interval){-v.months, -v.days, -v.us};
    bool ok = sq_timestamp_plus(sq_arg_int(call, 0), &v, with_zone, zone_of(call), &ts);
    return_ts(call, ts, !ok);
}

static void f_ts_add(struct sq_call *call)
{
    move(call, false, false);
}

static void f_ts_sub(struct sq_call *call)
{
    move(call, false, true);
}

static void f_tstz_add(struct sq_call *call)
{
    move(call, true, false);
}

static void f_tstz_sub(struct sq_call *call)
{
    move(call, true, true);
}

static void f_ts_diff(struct sq_call *call)
{
    int64_t a = sq_arg_int(call, 0), b = sq_arg_int(call, 1), us = 0;
    if (infinite(a) || infinite(b) || __builtin_sub_overflow(a, b, &us)) {
        sq_fail(call, "22008",
                infinite(a) || infinite(b) ? "cannot subtract infinite timestamps"
                                           : "interval out of range");
        return;
    }
    return_interval(call,
                    &(struct sq_interval){0, (int32_t)(us / SQ_US_PER_DAY), us % SQ_US_PER_DAY});
}

static void f_date_add(struct sq_call *call)
{
    int64_t date = sq_arg_int(call, 0);
    bool stays = date == SQ_DATE_INFINITY || date == SQ_DATE_MINUS_INFINITY;
    return_date(call, stays ? date : date + sq_arg_int(call, 1));
}

static void f_date_diff(struct sq_call *call)
{
    int64_t a = sq_arg_int(call, 0), b = sq_arg_int(call, 1);
    if (a == SQ_DATE_INFINITY || a == SQ_DATE_MINUS_INFINITY || b == SQ_DATE_INFINITY ||
        b == SQ_DATE_MINUS_INFINITY)
        sq_fail(call, "22008", "cannot subtract infinite dates");
    else
        sq_return_int(call, a - b);
}

static void f_date_time(struct sq_call *call)
{
    int64_t ts = date_to_ts(sq_arg_int(call, 0));
    return_ts(call, infinite(ts) ? ts : ts + sq_arg_int(call, 1), false);
}

static void time_move(struct sq_call *call, int64_t sign)
{
    struct sq_interval v;
    if (interval_arg(call, 1, &v))
        sq_return_int(call, time_of(sq_arg_int(call, 0) + sign * v.us));
}

static void f_time_add(struct sq_call *call)
{
    time_move(call, 1);
}

static void f_time_sub(struct sq_call *call)
{
    time_move(call, -1);
}

static void f_time_diff(struct sq_call *call)
{
    return_interval(call, &(struct sq_interval){0, 0, sq_arg_int(call, 0) - sq_arg_int(call, 1)});
}

static void interval_sum(struct sq_call *call, int sign)
{
    struct sq_interval a, b, out;
    if (!interval_arg(call, 0, &a) || !interval_arg(call, 1, &b))
        return;
    b = (struct sq_interval){sign * b.months, sign * b.days, sign * b.us};
    if (__builtin_add_overflow(a.months, b.months, &out.months) ||
        __builtin_add_overflow(a.days, b.days, &out.days) ||
        __builtin_add_overflow(a.us, b.us, &out.us))
        sq_fail(call, "22008", "interval out of range");
    else
        return_interval(call, &out);
}

static void f_iv_add(struct sq_call *call)
{
    interval_sum(call, 1);
}

static void f_iv_sub(struct sq_call *call)
{
    interval_sum(call, -1);
}

static void f_iv_neg(struct sq_call *call)
{
    struct sq_interval v;
    if (interval_arg(call, 0, &v))
        return_interval(call, &(struct sq_interval){-v.months, -v.days, -v.us});
}

/* Fractions of months go to days (30), fractions of days to time. */
static void scale(struct sq_call *call, double factor)
{
    struct sq_interval v;
    if (!interval_arg(call, 0, &v))
        return;
    double months = v.months * factor, days = v.days * factor;
    if (fabs(months) > INT32_MAX || fabs(days) > INT32_MAX ||
        fabs((double)v.us * factor) > 9.2e18) {
        sq_fail(call, "22008", "interval out of range");
        return;
    }
    struct sq_interval out = {(int32_t)months, (int32_t)days, 0};
    double month_days = rint((months - out.months) * 30 * 1e6) / 1e6;
    double seconds = rint((days - out.days + month_days - trunc(month_days)) * 86400 * 1e6) / 1e6;
    if (fabs(seconds) >= 86400) {
        out.days += (int32_t)(seconds / 86400);
        seconds -= trunc(seconds / 86400) * 86400;
    }
    out.days += (int32_t)month_days;
    out.us = (int64_t)rint((double)v.us * factor + seconds * 1e6);
    return_interval(call, &out);
}

static void f_iv_mul(struct sq_call *call)
{
    scale(call, sq_arg_real(call, 1));
}

static void f_iv_div(struct sq_call *call)
{
    double by = sq_arg_real(call, 1);
    if (by == 0.0)
        sq_fail(call, "22012", "division by zero");
    else
        scale(call, 1.0 / by);
}

/* ---- fields ---- */

enum unit {
    U_US,
    U_MS,
    U_SECOND,
    U_MINUTE,
    U_HOUR,
    U_DAY,
    U_WEEK,
    U_MONTH,
    U_QUARTER,
    U_YEAR,
    U_DECADE,
    U_CENTURY,
    U_MILLENNIUM,
    U_EPOCH,
    U_DOW,
    U_ISODOW,
    U_DOY,
    U_ISOYEAR,
    U_TIMEZONE,
    U_TIMEZONE_H,
    U_TIMEZONE_M,
    U_JULIAN,
    U_NONE
};

static enum unit find_unit(struct sy_slice name)
{
    static const struct {
        const char *name;
        enum unit unit;
    } units[] = {{"microseconds", U_US},
                 {"microsecond", U_US},
                 {"us", U_US},
                 {"milliseconds", U_MS},
                 {"millisecond", U_MS},
                 {"ms", U_MS},
                 {"second", U_SECOND},
                 {"seconds", U_SECOND},
                 {"sec", U_SECOND},
                 {"s", U_SECOND},
                 {"minute", U_MINUTE},
                 {"minutes", U_MINUTE},
                 {"min", U_MINUTE},
                 {"m", U_MINUTE},
                 {"hour", U_HOUR},
                 {"hours", U_HOUR},
                 {"h", U_HOUR},
                 {"day", U_DAY},
                 {"days", U_DAY},
                 {"d", U_DAY},
                 {"week", U_WEEK},
                 {"weeks", U_WEEK},
                 {"w", U_WEEK},
                 {"month", U_MONTH},
                 {"months", U_MONTH},
                 {"mon", U_MONTH},
                 {"quarter", U_QUARTER},
                 {"year", U_YEAR},
                 {"years", U_YEAR},
                 {"y", U_YEAR},
                 {"decade", U_DECADE},
                 {"century", U_CENTURY},
                 {"millennium", U_MILLENNIUM},
                 {"epoch", U_EPOCH},
                 {"dow", U_DOW},
                 {"isodow", U_ISODOW},
                 {"doy", U_DOY},
                 {"isoyear", U_ISOYEAR},
                 {"timezone", U_TIMEZONE},
                 {"timezone_hour", U_TIMEZONE_H},
                 {"timezone_minute", U_TIMEZONE_M},
                 {"julian", U_JULIAN}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strlen(units[i].name) == name.bytes &&
            strncasecmp(units[i].name, name.data, name.bytes) == 0)
            return units[i].unit;
    return U_NONE;
}

/* Week 1 has the year's first Thursday; weeks begin on Monday. */
static int32_t iso_week(int64_t days, int32_t *ret_year)
{
    int64_t monday = days - (int64_t)(((days + 5) % 7 + 7) % 7); /* 2000-01-01 was a Saturday */
    int32_t year = 0, month = 0, day = 0;
    sq_civil_from_days(monday + 3, &year, &month, &day);
    if (ret_year != NULL)
        *ret_year = year;
    return (int32_t)((monday + 3 - sq_days_from_civil(year, 1, 1)) / 7) + 1;
}

int32_t sq_iso_week(int64_t days, int32_t *ret_year)
{
    return iso_week(days, ret_year);
}

struct field {
    int64_t whole; /* value * 10^scale */
    int32_t scale;
    bool ok;
};

static struct field plain(int64_t value)
{
    return (struct field){value, 0, true};
}

static int64_t century_of(int32_t year, int32_t years)
{
    return year > 0 ? (year + years - 1) / years : -((years - 1 - (year - 1)) / years);
}

static struct field civil_field(enum unit unit, const struct sq_civil *c, int64_t days)
{
    int32_t year = 0;
    int32_t shown = c->year > 0 ? c->year : c->year - 1;
    int32_t weekday = (int32_t)(((days + 6) % 7 + 7) % 7);
    switch ((int)unit) {
    case U_DAY:
        return plain(c->day);
    case U_WEEK:
        return plain(iso_week(days, NULL));
    case U_MONTH:
        return plain(c->month);
    case U_QUARTER:
        return plain((c->month - 1) / 3 + 1);
    case U_YEAR:
        return plain(shown);
    case U_DECADE:
        return plain(sq_floor_div(c->year, 10));
    case U_CENTURY:
        return plain(century_of(c->year, 100));
    case U_MILLENNIUM:
        return plain(century_of(c->year, 1000));
    case U_DOW:
        return plain(weekday);
    case U_ISODOW:
        return plain(weekday == 0 ? 7 : weekday);
    case U_DOY:
        return plain(days - sq_days_from_civil(c->year, 1, 1) + 1);
    case U_ISOYEAR:
        (void)iso_week(days, &year);
        return plain(year > 0 ? year : year - 1);
    default:
        return (struct field){0, 0, false};
    }
}

static struct field clock_field(enum unit unit, int64_t us)
{
    int64_t in_minute = us % (60 * SQ_US_PER_SEC);
    switch ((int)unit) {
    case U_US:
        return plain(in_minute);
    case U_MS:
        return (struct field){in_minute, 3, true};
    case U_SECOND:
        return (struct field){in_minute, 6, true};
    case U_MINUTE:
        return plain(us / (60 * SQ_US_PER_SEC) % 60);
    case U_HOUR:
        return plain(us / (3600 * SQ_US_PER_SEC));
    default:
        return (struct field){0, 0, false};
    }
}

static struct field interval_field(enum unit unit, const struct sq_interval *v)
{
    int32_t years = v->months / 12;
    switch ((int)unit) {
    case U_DAY:
        return plain(v->days);
    case U_MONTH:
        return plain(v->months % 12);
    case U_QUARTER:
        return plain(v->months % 12 / 3 + 1);
    case U_YEAR:
        return plain(years);
    case U_DECADE:
        return plain(years / 10);
    case U_CENTURY:
        return plain(years / 100);
    case U_MILLENNIUM:
        return plain(years / 1000);
    case U_EPOCH: { /* a year is 365.25 days */
        int64_t days = (int64_t)(v->months % 12) * 30 + v->days;
        return (struct field){((int64_t)years * 31557600 + days * 86400) * SQ_US_PER_SEC + v->us, 6,
                              true};
    }
    default:
        return clock_field(unit, v->us);
    }
}

static struct field stamp_field(struct sq_call *call, enum unit unit, int64_t ts, uint32_t type)
{
    const struct sy_timezone *zone = zone_of(call);
    int32_t east = type == SY_T_TIMESTAMPTZ ? sq_zone_offset(zone, ts, NULL) : 0;
    int64_t local = ts + east * SQ_US_PER_SEC, days = sq_floor_div(local, SQ_US_PER_DAY);
    struct sq_civil c = {0};
    if (unit == U_EPOCH)
        return (struct field){ts + SY_TYPE_EPOCH_US, type == SY_T_DATE ? 6 : 6, true};
    if (type == SY_T_TIMESTAMPTZ && unit == U_TIMEZONE)
        return plain(east);
    if (type == SY_T_TIMESTAMPTZ && unit == U_TIMEZONE_H)
        return plain(east / 3600);
    if (type == SY_T_TIMESTAMPTZ && unit == U_TIMEZONE_M)
        return plain(east / 60 % 60);
    sq_civil_from_ts(local, &c);
    if (type == SY_T_DATE && unit == U_JULIAN)
        return plain(days + 2451545);
    struct field field = civil_field(unit, &c, days);
    return field.ok || type == SY_T_DATE ? field : clock_field(unit, local - days * SQ_US_PER_DAY);
}

static struct field time_field(enum unit unit, int64_t us, int32_t east, bool with_zone)
{
    if (unit == U_EPOCH)
        return (struct field){us - east * SQ_US_PER_SEC, 6, true};
    if (with_zone && unit == U_TIMEZONE)
        return plain(east);
    if (with_zone && unit == U_TIMEZONE_H)
        return plain(east / 3600);
    if (with_zone && unit == U_TIMEZONE_M)
        return plain(east / 60 % 60);
    return clock_field(unit, us);
}

static struct field field_of(struct sq_call *call, enum unit unit, uint32_t type)
{
    struct sq_interval v;
    int64_t us = 0;
    int32_t east = 0;
    switch (type) {
    case SY_T_INTERVAL:
        return interval_arg(call, 1, &v) ? interval_field(unit, &v) : (struct field){0, 0, false};
    case SY_T_TIME:
        return time_field(unit, sq_arg_int(call, 1), 0, false);
    case SY_T_TIMETZ:
        sq_timetz_unpack(sq_arg_int(call, 1), &us, &east);
        return time_field(unit, us, east, true);
    case SY_T_DATE:
        return stamp_field(call, unit, date_to_ts(sq_arg_int(call, 1)), type);
    default:
        return stamp_field(call, unit, sq_arg_int(call, 1), type);
    }
}

static void get_field(struct sq_call *call, bool as_float)
{
    struct sy_slice name = sq_arg_text(call, 0);
    uint32_t type = (uint32_t)sq_arg_int(call, 2);
    enum unit unit = find_unit(name);
    struct sy_buf display = {0}, out = {0};
    bool stamp = type == SY_T_TIMESTAMP || type == SY_T_TIMESTAMPTZ;
    if ((stamp && infinite(sq_arg_int(call, 1))) ||
        (type == SY_T_DATE && infinite(date_to_ts(sq_arg_int(call, 1))))) {
        bool positive = sq_arg_int(call, 1) > 0, grows = unit == U_EPOCH ||
                                                         (unit >= U_YEAR && unit <= U_MILLENNIUM) ||
                                                         unit == U_ISOYEAR;
        if (grows && as_float)
            sq_return_real(call, positive ? (double)INFINITY : -(double)INFINITY);
        else if (grows)
            sq_return_text(call, positive ? "Infinity" : "-Infinity", positive ? 8 : 9);
        return;
    }
    struct field field = field_of(call, unit, type);
    if (!field.ok) {
        sy_type_format(type, -1, &display);
        sq_fail(call, unit == U_NONE ? "22023" : "0A000", "unit \"%.*s\" not %s for type %.*s",
                (int)name.bytes, name.data, unit == U_NONE ? "recognized" : "supported",
                (int)display.bytes, display.data);
        sy_buf_release(&display);
        return;
    }
    if (as_float) {
        sq_return_real(call, (double)field.whole / (field.scale == 6   ? 1e6
                                                    : field.scale == 3 ? 1e3
                                                                       : 1));
        return;
    }
    if (type == SY_T_DATE && unit == U_EPOCH) {
        sq_return_buf(call,
                      (sy_buf_printf(&out, "%lld", (long long)(field.whole / 1000000)), &out));
        return;
    }
    struct sq_num num;
    sq_num_init(&num);
    sq_num_set_int(&num, field.whole);
    num.scale = field.scale;
    sq_num_print(&num, &out);
    sq_num_clear(&num);
    sq_return_buf(call, &out);
}

static void f_extract(struct sq_call *call)
{
    get_field(call, false);
}

static void f_date_part(struct sq_call *call)
{
    get_field(call, true);
}

/* ---- truncation ---- */

static bool truncate_civil(enum unit unit, struct sq_civil *c)
{
    int64_t days = sq_days_from_civil(c->year, c->month, c->day);
    switch ((int)unit) {
    case U_WEEK:
        days -= ((days + 5) % 7 + 7) % 7;
        sq_civil_from_days(days, &c->year, &c->month, &c->day);
        break;
    case U_MILLENNIUM:
        c->year = (int32_t)(century_of(c->year, 1000) * 1000 - 999);
        break;
    case U_CENTURY:
        c->year = (int32_t)(century_of(c->year, 100) * 100 - 99);
        break;
    case U_DECADE:
        c->year = (int32_t)sq_floor_div(c->year, 10) * 10;
        break;
    case U_QUARTER:
        c->month = (c->month - 1) / 3 * 3 + 1;
        break;
    case U_YEAR:
    case U_MONTH:
    case U_DAY:
    case U_HOUR:
    case U_MINUTE:
    case U_SECOND:
        break;
    case U_MS:
        c->us = c->us / 1000 * 1000;
        return true;
    case U_US:
        return true;
    default:
        return false;
    }
    c->us = 0;
    c->second = unit > U_SECOND ? 0 : c->second;
    c->minute = unit > U_MINUTE ? 0 : c->minute;
    c->hour = unit > U_HOUR ? 0 : c->hour;
    if (unit >= U_MONTH)
        c->day = 1;
    if (unit >= U_YEAR)
        c->month = 1;
    return true;
}

static void bad_unit(struct sq_call *call, struct sy_slice name, enum unit unit, const char *type)
{
    sq_fail(call, unit == U_NONE ? "22023" : "0A000", "unit \"%.*s\" not %s for type %s",
            (int)name.bytes, name.data, unit == U_NONE ? "recognized" : "supported", type);
}

static void truncate(struct sq_call *call, bool with_zone, const struct sy_timezone *zone)
{
    struct sy_slice name = sq_arg_text(call, 0);
    enum unit unit = find_unit(name);
    int64_t ts = sq_arg_int(call, 1);
    struct sq_civil c = {0};
    sq_civil_from_ts(with_zone && !infinite(ts) ? sq_zone_to_local(zone, ts)
                     : infinite(ts)             ? 0
                                                : ts,
                     &c);
    if (!truncate_civil(unit, &c)) {
        bad_unit(call, name, unit,
                 with_zone ? "timestamp with time zone" : "timestamp without time zone");
        return;
    }
    int64_t out = sq_ts_from_civil(&c);
    return_ts(call, infinite(ts) ? ts : with_zone ? sq_zone_to_utc(zone, out) : out, false);
}

static void f_ts_trunc(struct sq_call *call)
{
    truncate(call, false, NULL);
}

static const struct sy_timezone *named_zone(struct sq_call *call, int index)
{
    struct sy_slice name = sq_arg_text(call, index);
    const struct sy_timezone *zone = sy_timezone_find(name);
    if (zone == NULL)
        sq_fail(call, "22023", "time zone \"%.*s\" not recognized", (int)name.bytes, name.data);
    return zone;
}

static void f_tstz_trunc(struct sq_call *call)
{
    const struct sy_timezone *zone = call->argc > 2 ? named_zone(call, 2) : zone_of(call);
    if (zone != NULL || call->argc <= 2)
        truncate(call, true, zone);
}

static void f_iv_trunc(struct sq_call *call)
{
    struct sy_slice name = sq_arg_text(call, 0);
    enum unit unit = find_unit(name);
    struct sq_interval v;
    static const int64_t units[] = {1, 1000, SQ_US_PER_SEC, 60 * SQ_US_PER_SEC,
                                    3600 * SQ_US_PER_SEC};
    if (!interval_arg(call, 1, &v))
        return;
    if (unit > U_MILLENNIUM || unit == U_WEEK) {
        bad_unit(call, name, unit, "interval");
        return;
    }
    int32_t months = unit == U_QUARTER      ? 3
                     : unit == U_YEAR       ? 12
                     : unit == U_DECADE     ? 120
                     : unit == U_CENTURY    ? 1200
                     : unit == U_MILLENNIUM ? 12000
                                            : 1;
    v.us = unit <= U_HOUR ? v.us / units[unit] * units[unit] : 0;
    v.days = unit <= U_DAY ? v.days : 0;
    v.months = v.months / months * months;
    return_interval(call, &v);
}

/* ---- age, zones, construction ---- */

static void age(struct sq_call *call, int64_t a, int64_t b)
{
    struct sq_civil x = {0}, y = {0};
    bool negative = a < b;
    if (infinite(a) || infinite(b)) {
        sq_fail(call, "22008", "timestamp out of range");
        return;
    }
    sq_civil_from_ts(negative ? b : a, &x);
    sq_civil_from_ts(negative ? a : b, &y);
    int64_t us = time_of(negative ? b : a) - time_of(negative ? a : b);
    int32_t days = x.day - y.day, months = (x.year - y.year) * 12 + x.month - y.month;
    if (us < 0) {
        us += SQ_US_PER_DAY;
        days--;
    }
    while (days < 0) {
        days += sq_days_in_month(y.year, y.month);
        months--;
    }
    int32_t sign = negative ? -1 : 1;
    return_interval(call, &(struct sq_interval){sign * months, sign * days, sign * us});
}

static void f_age(struct sq_call *call)
{
    age(call, sq_arg_int(call, 0), sq_arg_int(call, 1));
}

/* age(x): since midnight of today. */
static void f_age_now(struct sq_call *call)
{
    int64_t now = call->session == NULL ? 0 : call->session->transaction_us;
    int64_t local = sq_zone_to_local(zone_of(call), now);
    int64_t ts = sq_arg_int(call, 0);
    if (sq_arg_int(call, 1) == SY_T_TIMESTAMPTZ)
        ts = to_local(zone_of(call), ts);
    age(call, sq_floor_div(local, SQ_US_PER_DAY) * SQ_US_PER_DAY, ts);
}

static void f_at_zone_ts(struct sq_call *call)
{
    const struct sy_timezone *zone = named_zone(call, 0);
    if (zone != NULL)
        return_ts(call, to_utc(zone, sq_arg_int(call, 1)), false);
}

static void f_at_zone_tstz(struct sq_call *call)
{
    const struct sy_timezone *zone = named_zone(call, 0);
    if (zone != NULL)
        return_ts(call, to_local(zone, sq_arg_int(call, 1)), false);
}

static void at_interval(struct sq_call *call, int64_t sign)
{
    struct sq_interval v;
    int64_t ts = sq_arg_int(call, 1);
    if (interval_arg(call, 0, &v))
        return_ts(call, infinite(ts) ? ts : ts + sign * v.us, false);
}

static void f_at_izone_ts(struct sq_call *call)
{
    at_interval(call, -1);
}

static void f_at_izone_tstz(struct sq_call *call)
{
    at_interval(call, 1);
}

static bool valid_date(struct sq_call *call, int64_t year, int64_t month, int64_t day)
{
    if (year != 0 && year < 6000000 && month >= 1 && month <= 12 && day >= 1 &&
        day <= sq_days_in_month((int32_t)(year < 0 ? year + 1 : year), (int32_t)month))
        return true;
    sq_fail(call, "22008", "date field value out of range: %lld-%02lld-%02lld", (long long)year,
            (long long)month, (long long)day);
    return false;
}

static bool valid_time(struct sq_call *call, int64_t hour, int64_t minute, double second,
                       int64_t *ret_us)
{
    bool ok = hour >= 0 && hour <= 24 && minute >= 0 && minute <= 59 && second >= 0 && second <= 60;
    *ret_us = (hour * 60 + minute) * 60 * SQ_US_PER_SEC + (int64_t)rint(second * 1e6);
    if (ok && *ret_us <= SQ_US_PER_DAY)
        return true;
    sq_fail(call, "22008", "time field value out of range: %lld:%02lld:%02g", (long long)hour,
            (long long)minute, second);
    return false;
}

static void f_make_date(struct sq_call *call)
{
    int64_t year = sq_arg_int(call, 0), month = sq_arg_int(call, 1), day = sq_arg_int(call, 2);
    if (valid_date(call, year, month, day))
        return_date(call,
                    sq_days_from_civil(year < 0 ? year + 1 : year, (int32_t)month, (int32_t)day));
}

static void f_make_time(struct sq_call *call)
{
    int64_t us = 0;
    if (valid_time(call, sq_arg_int(call, 0), sq_arg_int(call, 1), sq_arg_real(call, 2), &us))
        sq_return_int(call, us);
}

static bool made_timestamp(struct sq_call *call, int64_t *ret_ts)
{
    int64_t year = sq_arg_int(call, 0), us = 0;
    if (!valid_date(call, year, sq_arg_int(call, 1), sq_arg_int(call, 2)) ||
        !valid_time(call, sq_arg_int(call, 3), sq_arg_int(call, 4), sq_arg_real(call, 5), &us))
        return false;
    *ret_ts = sq_days_from_civil(year < 0 ? year + 1 : year, (int32_t)sq_arg_int(call, 1),
                                 (int32_t)sq_arg_int(call, 2)) *
                  SQ_US_PER_DAY +
              us;
    return true;
}

static void f_make_timestamp(struct sq_call *call)
{
    int64_t ts = 0;
    if (made_timestamp(call, &ts))
        return_ts(call, ts, false);
}

static void f_make_timestamptz(struct sq_call *call)
{
    int64_t ts = 0;
    const struct sy_timezone *zone = call->argc > 6 ? named_zone(call, 6) : zone_of(call);
    if ((call->argc <= 6 || zone != NULL) && made_timestamp(call, &ts))
        return_ts(call, sq_zone_to_utc(zone, ts), false);
}

static void f_make_interval(struct sq_call *call)
{
    struct sq_interval v = {(int32_t)(sq_arg_int(call, 0) * 12 + sq_arg_int(call, 1)),
                            (int32_t)(sq_arg_int(call, 2) * 7 + sq_arg_int(call, 3)),
                            (sq_arg_int(call, 4) * 60 + sq_arg_int(call, 5)) * 60 * SQ_US_PER_SEC +
                                (int64_t)rint(sq_arg_real(call, 6) * 1e6)};
    return_interval(call, &v);
}

static void f_isfinite(struct sq_call *call)
{
    int64_t value = sq_arg_int(call, 0);
    sq_return_bool(call, !infinite(sq_arg_int(call, 1) == SY_T_DATE ? date_to_ts(value) : value));
}

static void f_justify(struct sq_call *call)
{
    struct sq_interval v;
    int64_t mode = sq_arg_int(call, 1);
    if (!interval_arg(call, 0, &v))
        return;
    if ((mode & 2) != 0) {
        v.days += (int32_t)(v.us / SQ_US_PER_DAY);
        v.us %= SQ_US_PER_DAY;
    }
    if ((mode & 1) != 0) {
        v.months += v.days / 30;
        v.days %= 30;
        bool with_time = mode == 3;
        if (v.months > 0 && (v.days < 0 || (with_time && v.days == 0 && v.us < 0))) {
            v.days += 30;
            v.months--;
        } else if (v.months < 0 && (v.days > 0 || (with_time && v.days == 0 && v.us > 0))) {
            v.days -= 30;
            v.months++;
        }
    }
    if ((mode & 2) != 0 && v.days > 0 && v.us < 0) {
        v.us += SQ_US_PER_DAY;
        v.days--;
    } else if ((mode & 2) != 0 && v.days < 0 && v.us > 0) {
        v.us -= SQ_US_PER_DAY;
        v.days++;
    }
    return_interval(call, &v);
}

static void f_to_timestamp_epoch(struct sq_call *call)
{
    double seconds = sq_arg_real(call, 0);
    if (isinf(seconds))
        sq_return_int(call, seconds > 0 ? SQ_TS_INFINITY : SQ_TS_MINUS_INFINITY);
    else if (fabs(seconds) > 9.3e12)
        sq_fail(call, "22008", "timestamp out of range: \"%g\"", seconds);
    else
        return_ts(call, (int64_t)rint((seconds - 946684800.0) * 1e6), false);
}

static void f_date_bin(struct sq_call *call)
{
    struct sq_interval stride;
    int64_t ts = sq_arg_int(call, 1), origin = sq_arg_int(call, 2);
    if (!interval_arg(call, 0, &stride))
        return;
    int64_t us = stride.days * SQ_US_PER_DAY + stride.us;
    if (stride.months != 0)
        sq_fail(call, "0A000",
                "timestamps cannot be binned into intervals containing months or years");
    else if (us <= 0)
        sq_fail(call, "22008", "stride must be greater than zero");
    else
        return_ts(call, infinite(ts) ? ts : origin + sq_floor_div(ts - origin, us) * us, false);
}

static void f_overlaps(struct sq_call *call)
{
    int64_t s1 = sq_arg_int(call, 0), e1 = sq_arg_int(call, 1), s2 = sq_arg_int(call, 2),
            e2 = sq_arg_int(call, 3);
    int64_t a = s1 < e1 ? s1 : e1, b = s1 < e1 ? e1 : s1, c = s2 < e2 ? s2 : e2,
            d = s2 < e2 ? e2 : s2;
    sq_return_bool(call, a == c ? true : a < c ? c < b : a < d);
}

static const struct sq_function functions[] = {
    {"sy_date_ts", 1, 0, f_date_ts},
    {"sy_date_tstz", 1, 0, f_date_tstz},
    {"sy_ts_date", 1, 0, f_ts_date},
    {"sy_tstz_date", 1, 0, f_tstz_date},
    {"sy_ts_tstz", 1, 0, f_ts_tstz},
    {"sy_tstz_ts", 1, 0, f_tstz_ts},
    {"sy_ts_time", 1, 0, f_ts_time},
    {"sy_tstz_timetz", 1, 0, f_tstz_timetz},
    {"sy_timetz_time", 1, 0, f_timetz_time},
    {"sy_time_timetz", 1, 0, f_time_timetz},
    {"sy_time_iv", 1, 0, f_time_iv},
    {"sy_iv_time", 1, 0, f_iv_time},
    {"sy_ts_add", 2, 0, f_ts_add},
    {"sy_ts_sub", 2, 0, f_ts_sub},
    {"sy_tstz_add", 2, 0, f_tstz_add},
    {"sy_tstz_sub", 2, 0, f_tstz_sub},
    {"sy_ts_diff", 2, 0, f_ts_diff},
    {"sy_date_add", 2, 0, f_date_add},
    {"sy_date_diff", 2, 0, f_date_diff},
    {"sy_date_time", 2, 0, f_date_time},
    {"sy_time_add", 2, 0, f_time_add},
    {"sy_time_sub", 2, 0, f_time_sub},
    {"sy_time_diff", 2, 0, f_time_diff},
    {"sy_iv_add", 2, 0, f_iv_add},
    {"sy_iv_sub", 2, 0, f_iv_sub},
    {"sy_iv_neg", 1, 0, f_iv_neg},
    {"sy_iv_mul", 2, 0, f_iv_mul},
    {"sy_iv_div", 2, 0, f_iv_div},
    {"sy_extract", 3, 0, f_extract},
    {"sy_date_part", 3, 0, f_date_part},
    {"sy_ts_trunc", 2, 0, f_ts_trunc},
    {"sy_tstz_trunc", -1, 0, f_tstz_trunc},
    {"sy_iv_trunc", 2, 0, f_iv_trunc},
    {"sy_age", 2, 0, f_age},
    {"sy_age_now", 2, SQ_F_VOLATILE, f_age_now},
    {"sy_at_zone_ts", 2, 0, f_at_zone_ts},
    {"sy_at_zone_tstz", 2, 0, f_at_zone_tstz},
    {"sy_at_izone_ts", 2, 0, f_at_izone_ts},
    {"sy_at_izone_tstz", 2, 0, f_at_izone_tstz},
    {"sy_make_date", 3, 0, f_make_date},
    {"sy_make_time", 3, 0, f_make_time},
    {"sy_make_timestamp", 6, 0, f_make_timestamp},
    {"sy_make_timestamptz", -1, 0, f_make_timestamptz},
    {"sy_make_interval", 7, 0, f_make_interval},
    {"sy_isfinite", 2, 0, f_isfinite},
    {"sy_justify", 2, 0, f_justify},
    {"sy_to_timestamp_epoch", 1, 0, f_to_timestamp_epoch},
    {"sy_date_bin", 3, 0, f_date_bin},
    {"sy_overlaps", 4, 0, f_overlaps},
};

const struct sq_function_table sq_functions_datetime = {functions,
                                                        sizeof(functions) / sizeof(functions[0])};
