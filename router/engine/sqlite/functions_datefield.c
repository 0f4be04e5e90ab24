/* Fields of dates and times: extract(), date_part(), date_trunc(). */
#include <math.h>

#include "router/engine/sqlite/functions_datetime.h"
#include "router/engine/sqlite/numeric.h"

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
int32_t sq_iso_week(int64_t days, int32_t *ret_year)
{
    int64_t monday = days - (int64_t)(((days + 5) % 7 + 7) % 7); /* 2000-01-01 was a Saturday */
    int32_t year = 0, month = 0, day = 0;
    sq_civil_from_days(monday + 3, &year, &month, &day);
    if (ret_year != NULL)
        *ret_year = year;
    return (int32_t)((monday + 3 - sq_days_from_civil(year, 1, 1)) / 7) + 1;
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
        return plain(sq_iso_week(days, NULL));
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
        (void)sq_iso_week(days, &year);
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
    const struct sy_timezone *zone = sq_dt_zone(call);
    int32_t east = type == SY_T_TIMESTAMPTZ ? sq_zone_offset(zone, ts, NULL) : 0;
    int64_t local = ts + east * SQ_US_PER_SEC, days = sq_floor_div(local, SQ_US_PER_DAY);
    struct sq_civil c = {0};
    if (unit == U_EPOCH)
        return (struct field){ts + SY_TYPE_EPOCH_US, 6, true};
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
        return sq_dt_interval_arg(call, 1, &v) ? interval_field(unit, &v)
                                               : (struct field){0, 0, false};
    case SY_T_TIME:
        return time_field(unit, sq_arg_int(call, 1), 0, false);
    case SY_T_TIMETZ:
        sq_timetz_unpack(sq_arg_int(call, 1), &us, &east);
        return time_field(unit, us, east, true);
    case SY_T_DATE:
        return stamp_field(call, unit, sq_dt_date_to_ts(sq_arg_int(call, 1)), type);
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
    if ((stamp && sq_dt_infinite(sq_arg_int(call, 1))) ||
        (type == SY_T_DATE && sq_dt_infinite(sq_dt_date_to_ts(sq_arg_int(call, 1))))) {
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
    sq_civil_from_ts(with_zone && !sq_dt_infinite(ts) ? sq_zone_to_local(zone, ts)
                     : sq_dt_infinite(ts)             ? 0
                                                      : ts,
                     &c);
    if (!truncate_civil(unit, &c)) {
        bad_unit(call, name, unit,
                 with_zone ? "timestamp with time zone" : "timestamp without time zone");
        return;
    }
    int64_t out = sq_ts_from_civil(&c);
    sq_dt_return(call,
                 sq_dt_infinite(ts) ? ts
                 : with_zone        ? sq_zone_to_utc(zone, out)
                                    : out,
                 false);
}

static void f_ts_trunc(struct sq_call *call)
{
    truncate(call, false, NULL);
}

static void f_tstz_trunc(struct sq_call *call)
{
    const struct sy_timezone *zone = call->argc > 2 ? sq_dt_named_zone(call, 2) : sq_dt_zone(call);
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
    if (!sq_dt_interval_arg(call, 1, &v))
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
    sq_dt_return_interval(call, &v);
}

static const struct sq_function functions[] = {
    {"sy_extract", 3, 0, f_extract},   {"sy_date_part", 3, 0, f_date_part},
    {"sy_ts_trunc", 2, 0, f_ts_trunc}, {"sy_tstz_trunc", -1, 0, f_tstz_trunc},
    {"sy_iv_trunc", 2, 0, f_iv_trunc},
};

const struct sq_function_table sq_functions_datefield = {functions,
                                                         sizeof(functions) / sizeof(functions[0])};
