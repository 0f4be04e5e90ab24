/* Keys inside plan: comparison, and the date and time part of reading them. Private to plan. */
#ifndef SY_ROUTER_PLAN_KEY_H
#define SY_ROUTER_PLAN_KEY_H

#include "router/plan/shardmap.h"

/* Type OIDs of PostgreSQL's pg_type.dat that keys may come in. */
enum {
    SY_OID_BYTEA = 17,
    SY_OID_NAME = 19,
    SY_OID_INT8 = 20,
    SY_OID_INT2 = 21,
    SY_OID_INT4 = 23,
    SY_OID_TEXT = 25,
    SY_OID_UNKNOWN = 705,
    SY_OID_BPCHAR = 1042,
    SY_OID_VARCHAR = 1043,
    SY_OID_DATE = 1082,
    SY_OID_TIMESTAMP = 1114,
    SY_OID_TIMESTAMPTZ = 1184,
    SY_OID_NUMERIC = 1700,
    SY_OID_UUID = 2950,
    SY_OID_INT2_ARRAY = 1005,
    SY_OID_INT4_ARRAY = 1007,
    SY_OID_TEXT_ARRAY = 1009,
    SY_OID_BPCHAR_ARRAY = 1014,
    SY_OID_VARCHAR_ARRAY = 1015,
    SY_OID_INT8_ARRAY = 1016,
    SY_OID_TIMESTAMP_ARRAY = 1115,
    SY_OID_DATE_ARRAY = 1182,
    SY_OID_TIMESTAMPTZ_ARRAY = 1185,
    SY_OID_UUID_ARRAY = 2951,
};

/* The name that PostgreSQL's messages use: "bigint", "timestamp with time zone". */
const char *sy_key_type_name(enum sy_key_type type);
/* By pg_type.typname: "int8", "timestamptz". */
bool sy_key_type_from_catalog(struct sy_slice name, enum sy_key_type *ret_type);
bool sy_key_type_from_oid(uint32_t oid, enum sy_key_type *ret_type);
/* Array types of key types. */
bool sy_key_type_from_array_oid(uint32_t oid, enum sy_key_type *ret_type);

static inline bool sy_key_is_integer(enum sy_key_type type)
{
    return type == SY_KEY_INT2 || type == SY_KEY_INT4 || type == SY_KEY_INT8;
}
static inline bool sy_key_is_text(enum sy_key_type type)
{
    return type == SY_KEY_TEXT || type == SY_KEY_VARCHAR || type == SY_KEY_BPCHAR;
}
static inline bool sy_key_is_time(enum sy_key_type type)
{
    return type == SY_KEY_DATE || type == SY_KEY_TIMESTAMP || type == SY_KEY_TIMESTAMPTZ;
}

/* Order of two non-null keys of one type: <0, 0, >0. Text by bytes (the C collation), trailing
 * blanks of bpchar left out. */
int sy_key_compare(const struct sy_key *a, const struct sy_key *b);

/* Date and time types; key_time.c. */
enum sy_status sy_key_time_from_text(enum sy_key_type type, struct sy_slice text,
                                     const struct sy_key_context *context, struct sy_key *ret_key,
                                     struct sy_err *err);
/* Converts among date, timestamp and timestamptz as PostgreSQL's casts do, with the session's zone.
 * Errors: SY_E_UNSUPPORTED when the router cannot be sure. */
enum sy_status sy_key_time_convert(const struct sy_key *from, enum sy_key_type to,
                                   const struct sy_key_context *context, struct sy_key *ret_key,
                                   struct sy_err *err);

#endif
