/* Dates and times: conversions, arithmetic, zones, construction. functions_datefield.c has their
 * fields. */
#include <math.h>
#include <stdio.h>

#include "router/engine/sqlite/functions_datetime.h"
#include "router/engine/sqlite/numeric.h"

static void return_date(struct sq_call *call, int64_t date)
{
    if (date != SQ_DATE_INFINITY && date != SQ_DATE_MINUS_INFINITY &&
        (date < SQ_DATE_MIN || date >= SQ_DATE_END))
        sq_fail(call, "22008", "date out of range");
    else
        sq_return_int(call, date);
}

/* ---- conversions ---- */

static int64_t ts_to_date(int64_t ts)
{
    if (ts == SQ_TS_INFINITY)
        return SQ_DATE_INFINITY;
    return ts == SQ_TS_MINUS_INFINITY ? SQ_DATE_MINUS_INFINITY : sq_floor_div(ts, SQ_US_PER_DAY);
}

static int64_t to_utc(const struct sy_timezone *zone, int64_t ts)
{
    return sq_dt_infinite(ts) ? ts : sq_zone_to_utc(zone, ts);
}

static int64_t to_local(const struct sy_timezone *zone, int64_t ts)
{
    return sq_dt_infinite(ts) ? ts : sq_zone_to_local(zone, ts);
}

static void f_date_ts(struct sq_call *call)
{
    sq_dt_return(call, sq_dt_date_to_ts(sq_arg_int(call, 0)), false);
}

static void f_date_tstz(struct sq_call *call)
{
    sq_dt_return(call, to_utc(sq_dt_zone(call), sq_dt_date_to_ts(sq_arg_int(call, 0))), false);
}

static void f_ts_date(struct sq_call *call)
{
    sq_return_int(call, ts_to_date(sq_arg_int(call, 0)));
}

static void f_tstz_date(struct sq_call *call)
{
    sq_return_int(call, ts_to_date(to_local(sq_dt_zone(call), sq_arg_int(call, 0))));
}

static void f_ts_tstz(struct sq_call *call)
{
    sq_dt_return(call, to_utc(sq_dt_zone(call), sq_arg_int(call, 0)), false);
}

static void f_tstz_ts(struct sq_call *call)
{
    sq_dt_return(call, to_local(sq_dt_zone(call), sq_arg_int(call, 0)), false);
}

static int64_t time_of(int64_t ts)
{
    return ts - sq_floor_div(ts, SQ_US_PER_DAY) * SQ_US_PER_DAY;
}

static void f_ts_time(struct sq_call *call)
{
    if (!sq_dt_infinite(sq_arg_int(call, 0)))
        sq_return_int(call, time_of(sq_arg_int(call, 0)));
}

static void f_tstz_timetz(struct sq_call *call)
{
    int64_t ts = sq_arg_int(call, 0);
    if (!sq_dt_infinite(ts))
        sq_return_int(call, sq_timetz_pack(time_of(to_local(sq_dt_zone(call), ts)),
                                           sq_zone_offset(sq_dt_zone(call), ts, NULL)));
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
                  sq_timetz_pack(sq_arg_int(call, 0), sq_zone_offset(sq_dt_zone(call), now, NULL)));
}

static void f_time_iv(struct sq_call *call)
{
    sq_dt_return_interval(call, &(struct sq_interval){0, 0, sq_arg_int(call, 0)});
}

static void f_iv_time(struct sq_call *call)
{
    struct sq_interval v;
    if (sq_dt_interval_arg(call, 0, &v))
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
    if (sq_dt_infinite(ts)) {
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
    if (!sq_dt_interval_arg(call, 1, &v))
        return;
    if (subtract)
        v = (struct sq_interval){-v.months, -v.days, -v.us};
    bool ok = sq_timestamp_plus(sq_arg_int(call, 0), &v, with_zone, sq_dt_zone(call), &ts);
    sq_dt_return(call, ts, !ok);
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
    if (sq_dt_infinite(a) || sq_dt_infinite(b) || __builtin_sub_overflow(a, b, &us)) {
        sq_fail(call, "22008",
                sq_dt_infinite(a) || sq_dt_infinite(b) ? "cannot subtract infinite timestamps"
                                                       : "interval out of range");
        return;
    }
    sq_dt_return_interval(
        call, &(struct sq_interval){0, (int32_t)(us / SQ_US_PER_DAY), us % SQ_US_PER_DAY});
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
    int64_t ts = sq_dt_date_to_ts(sq_arg_int(call, 0));
    sq_dt_return(call, sq_dt_infinite(ts) ? ts : ts + sq_arg_int(call, 1), false);
}

static void time_move(struct sq_call *call, int64_t sign)
{
    struct sq_interval v;
    if (sq_dt_interval_arg(call, 1, &v))
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
    sq_dt_return_interval(call,
                          &(struct sq_interval){0, 0, sq_arg_int(call, 0) - sq_arg_int(call, 1)});
}

static void interval_sum(struct sq_call *call, int sign)
{
    struct sq_interval a, b, out;
    if (!sq_dt_interval_arg(call, 0, &a) || !sq_dt_interval_arg(call, 1, &b))
        return;
    b = (struct sq_interval){sign * b.months, sign * b.days, sign * b.us};
    if (__builtin_add_overflow(a.months, b.months, &out.months) ||
        __builtin_add_overflow(a.days, b.days, &out.days) ||
        __builtin_add_overflow(a.us, b.us, &out.us))
        sq_fail(call, "22008", "interval out of range");
    else
        sq_dt_return_interval(call, &out);
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
    if (sq_dt_interval_arg(call, 0, &v))
        sq_dt_return_interval(call, &(struct sq_interval){-v.months, -v.days, -v.us});
}

/* Fractions of months go to days (30), fractions of days to time. */
static void scale(struct sq_call *call, double factor)
{
    struct sq_interval v;
    if (!sq_dt_interval_arg(call, 0, &v))
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
    sq_dt_return_interval(call, &out);
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

/* ---- age, zones, construction ---- */

static void age(struct sq_call *call, int64_t a, int64_t b)
{
    struct sq_civil x = {0}, y = {0};
    bool negative = a < b;
    if (sq_dt_infinite(a) || sq_dt_infinite(b)) {
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
    sq_dt_return_interval(call, &(struct sq_interval){sign * months, sign * days, sign * us});
}

static void f_age(struct sq_call *call)
{
    age(call, sq_arg_int(call, 0), sq_arg_int(call, 1));
}

/* age(x): since midnight of today. */
static void f_age_now(struct sq_call *call)
{
    int64_t now = call->session == NULL ? 0 : call->session->transaction_us;
    int64_t local = sq_zone_to_local(sq_dt_zone(call), now);
    int64_t ts = sq_arg_int(call, 0);
    if (sq_arg_int(call, 1) == SY_T_TIMESTAMPTZ)
        ts = to_local(sq_dt_zone(call), ts);
    age(call, sq_floor_div(local, SQ_US_PER_DAY) * SQ_US_PER_DAY, ts);
}

static void f_at_zone_ts(struct sq_call *call)
{
    const struct sy_timezone *zone = sq_dt_named_zone(call, 0);
    if (zone != NULL)
        sq_dt_return(call, to_utc(zone, sq_arg_int(call, 1)), false);
}

static void f_at_zone_tstz(struct sq_call *call)
{
    const struct sy_timezone *zone = sq_dt_named_zone(call, 0);
    if (zone != NULL)
        sq_dt_return(call, to_local(zone, sq_arg_int(call, 1)), false);
}

static void at_interval(struct sq_call *call, int64_t sign)
{
    struct sq_interval v;
    int64_t ts = sq_arg_int(call, 1);
    if (sq_dt_interval_arg(call, 0, &v))
        sq_dt_return(call, sq_dt_infinite(ts) ? ts : ts + sign * v.us, false);
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
        sq_dt_return(call, ts, false);
}

static void f_make_timestamptz(struct sq_call *call)
{
    int64_t ts = 0;
    const struct sy_timezone *zone = call->argc > 6 ? sq_dt_named_zone(call, 6) : sq_dt_zone(call);
    if ((call->argc <= 6 || zone != NULL) && made_timestamp(call, &ts))
        sq_dt_return(call, sq_zone_to_utc(zone, ts), false);
}

static void f_make_interval(struct sq_call *call)
{
    struct sq_interval v = {(int32_t)(sq_arg_int(call, 0) * 12 + sq_arg_int(call, 1)),
                            (int32_t)(sq_arg_int(call, 2) * 7 + sq_arg_int(call, 3)),
                            (sq_arg_int(call, 4) * 60 + sq_arg_int(call, 5)) * 60 * SQ_US_PER_SEC +
                                (int64_t)rint(sq_arg_real(call, 6) * 1e6)};
    sq_dt_return_interval(call, &v);
}

static void f_isfinite(struct sq_call *call)
{
    int64_t value = sq_arg_int(call, 0);
    sq_return_bool(
        call, !sq_dt_infinite(sq_arg_int(call, 1) == SY_T_DATE ? sq_dt_date_to_ts(value) : value));
}

static void f_justify(struct sq_call *call)
{
    struct sq_interval v;
    int64_t mode = sq_arg_int(call, 1);
    if (!sq_dt_interval_arg(call, 0, &v))
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
    sq_dt_return_interval(call, &v);
}

static void f_to_timestamp_epoch(struct sq_call *call)
{
    double seconds = sq_arg_real(call, 0);
    if (isinf(seconds))
        sq_return_int(call, seconds > 0 ? SQ_TS_INFINITY : SQ_TS_MINUS_INFINITY);
    else if (fabs(seconds) > 9.3e12)
        sq_fail(call, "22008", "timestamp out of range: \"%g\"", seconds);
    else
        sq_dt_return(call, (int64_t)rint((seconds - 946684800.0) * 1e6), false);
}

static void f_date_bin(struct sq_call *call)
{
    struct sq_interval stride;
    int64_t ts = sq_arg_int(call, 1), origin = sq_arg_int(call, 2);
    if (!sq_dt_interval_arg(call, 0, &stride))
        return;
    int64_t us = stride.days * SQ_US_PER_DAY + stride.us;
    if (stride.months != 0)
        sq_fail(call, "0A000",
                "timestamps cannot be binned into intervals containing months or years");
    else if (us <= 0)
        sq_fail(call, "22008", "stride must be greater than zero");
    else
        sq_dt_return(call, sq_dt_infinite(ts) ? ts : origin + sq_floor_div(ts - origin, us) * us,
                     false);
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
