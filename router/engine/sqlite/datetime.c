/* The calendar (proleptic Gregorian) and the text forms of dates, times and timestamps that go out.
 */
#include "router/engine/sqlite/datetime.h"

int64_t sq_floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - ((a % b != 0) && ((a < 0) != (b < 0)) ? 1 : 0);
}

/* Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms". */
int64_t sq_days_from_civil(int64_t year, int32_t month, int32_t day)
{
    int64_t y = year - (month <= 2 ? 1 : 0);
    int64_t era = sq_floor_div(y, 400);
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468 - 10957;
}

void sq_civil_from_days(int64_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day)
{
    int64_t z = days + 10957 + 719468;
    int64_t era = sq_floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *ret_day = (int32_t)(doy - (153 * mp + 2) / 5 + 1);
    *ret_month = (int32_t)(mp < 10 ? mp + 3 : mp - 9);
    *ret_year = (int32_t)(yoe + era * 400 + (*ret_month <= 2 ? 1 : 0));
}

int32_t sq_days_in_month(int32_t year, int32_t month)
{
    static const int32_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

void sq_civil_from_ts(int64_t ts, struct sq_civil *ret_civil)
{
    int64_t days = sq_floor_div(ts, SQ_US_PER_DAY);
    int64_t us = ts - days * SQ_US_PER_DAY;
    sq_civil_from_days(days, &ret_civil->year, &ret_civil->month, &ret_civil->day);
    ret_civil->us = (int32_t)(us % SQ_US_PER_SEC);
    int64_t seconds = us / SQ_US_PER_SEC;
    ret_civil->hour = (int32_t)(seconds / 3600);
    ret_civil->minute = (int32_t)(seconds / 60 % 60);
    ret_civil->second = (int32_t)(seconds % 60);
}

int64_t sq_ts_from_civil(const struct sq_civil *c)
{
    return sq_days_from_civil(c->year, c->month, c->day) * SQ_US_PER_DAY +
           ((c->hour * 60 + c->minute) * INT64_C(60) + c->second) * SQ_US_PER_SEC + c->us;
}

int64_t sq_round_us(int64_t us, int32_t precision)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (precision < 0 || precision > 5)
        return us;
    int64_t unit = units[precision];
    return us >= 0 ? (us + unit / 2) / unit * unit : -((-us + unit / 2) / unit * unit);
}

/* ".123456" without trailing zeros. */
static void fraction_out(int64_t us, struct sy_buf *out)
{
    char digits[8];
    if (us == 0)
        return;
    int used = 6;
    for (int i = 5; i >= 0; i--) {
        digits[i] = (char)('0' + us % 10);
        us /= 10;
    }
    while (used > 0 && digits[used - 1] == '0')
        used--;
    sy_buf_printf(out, ".%.*s", used, digits);
}

static void year_out(int32_t year, struct sy_buf *out)
{
    sy_buf_printf(out, "%04d", year > 0 ? year : 1 - year);
}

void sq_date_out(int64_t date, struct sy_buf *out)
{
    int32_t year = 0, month = 0, day = 0;
    if (date == SQ_DATE_INFINITY || date == SQ_DATE_MINUS_INFINITY) {
        sy_buf_append_str(out, date > 0 ? "infinity" : "-infinity");
        return;
    }
    sq_civil_from_days(date, &year, &month, &day);
    year_out(year, out);
    sy_buf_printf(out, "-%02d-%02d%s", month, day, year > 0 ? "" : " BC");
}

void sq_time_out(int64_t us, struct sy_buf *out)
{
    int64_t seconds = us / SQ_US_PER_SEC;
    sy_buf_printf(out, "%02d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60),
                  (int)(seconds % 60));
    fraction_out(us % SQ_US_PER_SEC, out);
}

void sq_offset_out(int32_t east, struct sy_buf *out)
{
    int32_t seconds = east < 0 ? -east : east;
    sy_buf_printf(out, "%c%02d", east < 0 ? '-' : '+', seconds / 3600);
    if (seconds % 3600 != 0)
        sy_buf_printf(out, ":%02d", seconds / 60 % 60);
    if (seconds % 60 != 0)
        sy_buf_printf(out, ":%02d", seconds % 60);
}

static bool infinite_out(int64_t ts, struct sy_buf *out)
{
    if (ts != SQ_TS_INFINITY && ts != SQ_TS_MINUS_INFINITY)
        return false;
    sy_buf_append_str(out, ts > 0 ? "infinity" : "-infinity");
    return true;
}

static bool local_out(int64_t ts, struct sy_buf *out)
{
    struct sq_civil c = {0};
    sq_civil_from_ts(ts, &c);
    year_out(c.year, out);
    sy_buf_printf(out, "-%02d-%02d %02d:%02d:%02d", c.month, c.day, c.hour, c.minute, c.second);
    fraction_out(c.us, out);
    return c.year > 0;
}

void sq_timestamp_out(int64_t ts, struct sy_buf *out)
{
    if (infinite_out(ts, out))
        return;
    if (!local_out(ts, out))
        sy_buf_append_str(out, " BC");
}

void sq_timestamptz_out(int64_t ts, const struct sy_timezone *zone, struct sy_buf *out)
{
    if (infinite_out(ts, out))
        return;
    int32_t east = sq_zone_offset(zone, ts, NULL);
    bool common_era = local_out(ts + east * SQ_US_PER_SEC, out);
    sq_offset_out(east, out);
    if (!common_era)
        sy_buf_append_str(out, " BC");
}

int64_t sq_timetz_pack(int64_t local_us, int32_t east)
{
    int64_t utc = local_us - east * SQ_US_PER_SEC + SQ_US_PER_DAY; /* kept positive */
    return (utc << 18) | (int64_t)(131072 - east);
}

void sq_timetz_unpack(int64_t packed, int64_t *ret_local_us, int32_t *ret_east)
{
    *ret_east = (int32_t)(131072 - (packed & 0x3ffff));
    *ret_local_us = (packed >> 18) - SQ_US_PER_DAY + *ret_east * SQ_US_PER_SEC;
}
