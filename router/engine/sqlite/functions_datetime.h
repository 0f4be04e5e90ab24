/* What the functions over dates and times share. Internal to functions_datetime.c and
 * functions_datefield.c. */
#ifndef SY_ROUTER_ENGINE_SQLITE_FUNCTIONS_DATETIME_H
#define SY_ROUTER_ENGINE_SQLITE_FUNCTIONS_DATETIME_H

#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/functions_internal.h"

static inline const struct sy_timezone *sq_dt_zone(const struct sq_call *call)
{
    return call->session == NULL ? NULL : call->session->types.timezone;
}

static inline bool sq_dt_infinite(int64_t ts)
{
    return ts == SQ_TS_INFINITY || ts == SQ_TS_MINUS_INFINITY;
}

static inline void sq_dt_return(struct sq_call *call, int64_t ts, bool overflow)
{
    if (overflow || (!sq_dt_infinite(ts) && (ts < SQ_TS_MIN || ts >= SQ_TS_END)))
        sq_fail(call, "22008", "timestamp out of range");
    else
        sq_return_int(call, ts);
}

static inline void sq_dt_return_interval(struct sq_call *call, const struct sq_interval *v)
{
    struct sy_buf buf = {0};
    sq_interval_print(v, &buf);
    sq_return_buf(call, &buf);
}

static inline bool sq_dt_interval_arg(struct sq_call *call, int index, struct sq_interval *v)
{
    if (sq_interval_parse(sq_arg_text(call, index), v))
        return true;
    sq_fail(call, "XX001", "a stored value is not of type interval");
    return false;
}

static inline int64_t sq_dt_date_to_ts(int64_t date)
{
    if (date == SQ_DATE_INFINITY)
        return SQ_TS_INFINITY;
    return date == SQ_DATE_MINUS_INFINITY ? SQ_TS_MINUS_INFINITY : date * SQ_US_PER_DAY;
}

static inline const struct sy_timezone *sq_dt_named_zone(struct sq_call *call, int index)
{
    struct sy_slice name = sq_arg_text(call, index);
    const struct sy_timezone *zone = sy_timezone_find(name);
    if (zone == NULL)
        sq_fail(call, "22023", "time zone \"%.*s\" not recognized", (int)name.bytes, name.data);
    return zone;
}

#endif
