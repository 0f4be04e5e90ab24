/* Calendar, time zones, and the text forms of date and time types. Internal to
 * router/engine/sqlite. */
#ifndef SY_ROUTER_ENGINE_SQLITE_DATETIME_H
#define SY_ROUTER_ENGINE_SQLITE_DATETIME_H

#include <stdbool.h>
#include <stdint.h>

#include "router/engine/sqlite/types.h"

#define SQ_US_PER_DAY INT64_C(86400000000)
#define SQ_US_PER_SEC INT64_C(1000000)
#define SQ_DATE_INFINITY INT32_MAX
#define SQ_DATE_MINUS_INFINITY INT32_MIN
#define SQ_TS_INFINITY INT64_MAX
#define SQ_TS_MINUS_INFINITY INT64_MIN
/* Limits of PostgreSQL: 4714-11-24 BC, 5874898-01-01 (date), 294277-01-01 (timestamp). */
#define SQ_DATE_MIN (-2451545)
#define SQ_DATE_END (2147483494 - 2451545)
#define SQ_TS_MIN INT64_C(-211813488000000000)
#define SQ_TS_END INT64_C(9223371331200000000)

struct sq_interval {
    int32_t months, days;
    int64_t us;
};

struct sq_civil {
    int32_t year, month, day, hour, minute, second, us;
};

/* Days since 2000-01-01; years are astronomical (0 = 1 BC). */
int64_t sq_days_from_civil(int64_t year, int32_t month, int32_t day);
void sq_civil_from_days(int64_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day);
void sq_civil_from_ts(int64_t ts, struct sq_civil *ret_civil);
int64_t sq_ts_from_civil(const struct sq_civil *civil);
int32_t sq_days_in_month(int32_t year, int32_t month);
int64_t sq_floor_div(int64_t a, int64_t b);

/* Seconds east of UTC at an instant; of a local time (PostgreSQL's choice in gaps and overlaps).
 * zone NULL: UTC. */
int32_t sq_zone_offset(const struct sy_timezone *zone, int64_t utc_us,
                       const char **ret_abbreviation);
int64_t sq_zone_to_utc(const struct sy_timezone *zone, int64_t local_us);
int64_t sq_zone_to_local(const struct sy_timezone *zone, int64_t utc_us);

enum sy_status sq_date_in(struct sy_slice text, const struct sy_type_settings *settings,
                          int32_t *ret_date, struct sy_err *err);
enum sy_status sq_timestamp_in(struct sy_slice text, bool with_zone,
                               const struct sy_type_settings *settings, int64_t *ret_ts,
                               struct sy_err *err);
enum sy_status sq_time_in(struct sy_slice text, bool with_zone,
                          const struct sy_type_settings *settings, int64_t *ret_us,
                          int32_t *ret_east, struct sy_err *err);
void sq_date_out(int64_t date, struct sy_buf *out);
void sq_timestamp_out(int64_t ts, struct sy_buf *out);
void sq_timestamptz_out(int64_t ts, const struct sy_timezone *zone, struct sy_buf *out);
void sq_time_out(int64_t us, struct sy_buf *out);
void sq_offset_out(int32_t east, struct sy_buf *out);

/* timetz is one sortable integer: (UTC time, then zone west). */
int64_t sq_timetz_pack(int64_t local_us, int32_t east);
void sq_timetz_unpack(int64_t packed, int64_t *ret_local_us, int32_t *ret_east);

enum sy_status sq_interval_in(struct sy_slice text, int32_t typmod,
                              struct sq_interval *ret_interval, struct sy_err *err);
void sq_interval_out(const struct sq_interval *interval, struct sy_buf *out);
/* The stored form "months days microseconds". */
bool sq_interval_parse(struct sy_slice stored, struct sq_interval *ret_interval);
void sq_interval_print(const struct sq_interval *interval, struct sy_buf *out);
int sq_interval_compare(const struct sq_interval *a, const struct sq_interval *b);
/* The ISO week of a day, and the year that it belongs to (may be NULL). */
int32_t sq_iso_week(int64_t days, int32_t *ret_year);
/* Rounds microseconds to a precision of 0..6 digits. */
int64_t sq_round_us(int64_t us, int32_t precision);
/* A timestamp moved by an interval: months, then days (of local time when with_zone), then time.
 * False: overflow. */
bool sq_timestamp_plus(int64_t ts, const struct sq_interval *interval, bool with_zone,
                       const struct sy_timezone *zone, int64_t *ret_ts);

#endif
