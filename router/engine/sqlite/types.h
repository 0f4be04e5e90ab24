/*
 * How PostgreSQL's values live in SQLite columns, and their way to and from the wire.
 *
 *   bool                     INTEGER 0/1
 *   int2 int4 int8 oid reg*  INTEGER
 *   float4 float8            REAL (NaN is refused: SQLite stores it as NULL)
 *   numeric                  TEXT, as PostgreSQL prints it, compared by COLLATE sy_numeric
 *   text varchar name "char" TEXT; bpchar TEXT, blank-padded, COLLATE RTRIM
 *   bytea                    BLOB
 *   date                     INTEGER days since 2000-01-01 (int32 limits: -/+infinity)
 *   timestamp timestamptz    INTEGER microseconds since 2000-01-01 UTC (int64 limits: -/+infinity)
 *   time                     INTEGER microseconds; timetz: INTEGER, see datetime.h
 *   interval                 TEXT "months days microseconds", COLLATE sy_interval
 *   uuid                     TEXT, canonical lower case
 *   json                     TEXT as given; jsonb TEXT as PostgreSQL prints it, COLLATE sy_jsonb
 *   arrays (expressions only) TEXT in PostgreSQL's array notation
 *
 * Pure: no I/O except a cache of time zone files (datetime.h). Thread: any.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_TYPES_H
#define SY_ROUTER_ENGINE_SQLITE_TYPES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* Of everything that is refused because this engine does not have it. */
#define SQ_UNSUPPORTED_HINT "This statement works on a database whose engine is \"postgres\"."

struct sqlite3_stmt;
struct sy_timezone;

/* OIDs of PostgreSQL's pg_type, fixed for ever. */
enum sy_type_oid {
    SY_T_BOOL = 16,
    SY_T_BYTEA = 17,
    SY_T_CHAR = 18,
    SY_T_NAME = 19,
    SY_T_INT8 = 20,
    SY_T_INT2 = 21,
    SY_T_INT2VECTOR = 22,
    SY_T_INT4 = 23,
    SY_T_REGPROC = 24,
    SY_T_TEXT = 25,
    SY_T_OID = 26,
    SY_T_TID = 27,
    SY_T_XID = 28,
    SY_T_CID = 29,
    SY_T_OIDVECTOR = 30,
    SY_T_JSON = 114,
    SY_T_PG_NODE_TREE = 194,
    SY_T_FLOAT4 = 700,
    SY_T_FLOAT8 = 701,
    SY_T_UNKNOWN = 705,
    SY_T_ACLITEM = 1033,
    SY_T_BPCHAR = 1042,
    SY_T_VARCHAR = 1043,
    SY_T_DATE = 1082,
    SY_T_TIME = 1083,
    SY_T_TIMESTAMP = 1114,
    SY_T_TIMESTAMPTZ = 1184,
    SY_T_INTERVAL = 1186,
    SY_T_TIMETZ = 1266,
    SY_T_NUMERIC = 1700,
    SY_T_REGPROCEDURE = 2202,
    SY_T_REGOPER = 2203,
    SY_T_REGOPERATOR = 2204,
    SY_T_REGCLASS = 2205,
    SY_T_REGTYPE = 2206,
    SY_T_RECORD = 2249,
    SY_T_CSTRING = 2275,
    SY_T_ANY = 2276,
    SY_T_ANYARRAY = 2277,
    SY_T_VOID = 2278,
    SY_T_ANYELEMENT = 2283,
    SY_T_UUID = 2950,
    SY_T_JSONB = 3802,
    SY_T_REGCONFIG = 3734,
    SY_T_REGNAMESPACE = 4089,
    SY_T_REGROLE = 4096,
    SY_T_REGCOLLATION = 4191,
    SY_T_BOOL_ARRAY = 1000,
    SY_T_BYTEA_ARRAY = 1001,
    SY_T_CHAR_ARRAY = 1002,
    SY_T_NAME_ARRAY = 1003,
    SY_T_INT2_ARRAY = 1005,
    SY_T_INT4_ARRAY = 1007,
    SY_T_TEXT_ARRAY = 1009,
    SY_T_BPCHAR_ARRAY = 1014,
    SY_T_VARCHAR_ARRAY = 1015,
    SY_T_INT8_ARRAY = 1016,
    SY_T_FLOAT4_ARRAY = 1021,
    SY_T_FLOAT8_ARRAY = 1022,
    SY_T_OID_ARRAY = 1028,
    SY_T_ACLITEM_ARRAY = 1034,
    SY_T_TIMESTAMP_ARRAY = 1115,
    SY_T_DATE_ARRAY = 1182,
    SY_T_TIME_ARRAY = 1183,
    SY_T_TIMESTAMPTZ_ARRAY = 1185,
    SY_T_INTERVAL_ARRAY = 1187,
    SY_T_NUMERIC_ARRAY = 1231,
    SY_T_TIMETZ_ARRAY = 1270,
    SY_T_REGTYPE_ARRAY = 2211,
    SY_T_REGCLASS_ARRAY = 2210,
    SY_T_UUID_ARRAY = 2951,
    SY_T_JSON_ARRAY = 199,
    SY_T_JSONB_ARRAY = 3807,
    SY_T_RECORD_ARRAY = 2287,
};

enum sy_value_kind_sq { SY_SQ_NULL, SY_SQ_INTEGER, SY_SQ_REAL, SY_SQ_TEXT, SY_SQ_BLOB };

/* A stored value. `bytes` is borrowed or lives in the arena that the function was given. */
struct sy_sqvalue {
    enum sy_value_kind_sq kind;
    int64_t integer;
    double real;
    struct sy_slice bytes;
};

struct sy_type_info {
    uint32_t oid;
    const char *name;    /* pg_type.typname: "int4" */
    const char *display; /* format_type(): "integer" */
    int16_t length;      /* pg_type.typlen */
    char category;       /* pg_type.typcategory */
    bool preferred;
    uint32_t element; /* of an array (or int2vector, oidvector), else 0 */
    uint32_t array;   /* its array type, 0: none */
    enum sy_value_kind_sq storage;
    const char *column_type; /* in a STRICT table: "INTEGER", NULL: not allowed as a column */
    const char *collation;   /* SQLite collation for comparisons, or NULL */
};

/* NULL: not a type of this engine. */
const struct sy_type_info *sy_type_find(uint32_t oid);
/* By pg_type.typname or an SQL alias that the grammar leaves alone. NULL: none. */
const struct sy_type_info *sy_type_find_name(const char *name);
/* All of them, for the emulation of pg_type. */
const struct sy_type_info *sy_type_at(uint32_t index);
uint32_t sy_type_count(void);
/* format_type(oid, typmod), "character varying(10)". */
void sy_type_format(uint32_t oid, int32_t typmod, struct sy_buf *out);

/* What conversions depend on: the session's settings. All zero: UTC and PostgreSQL's defaults. */
struct sy_type_settings {
    const struct sy_timezone *timezone; /* NULL: UTC */
    int64_t now_us;    /* statement time (us since 2000-01-01 UTC): 'now', 'today' */
    bool bytea_escape; /* bytea_output */
    /* Names for regclass and friends; NULL: numbers only. Appends the name of `oid` or returns
     * false. */
    bool (*reg_out)(void *ctx, uint32_t type, uint32_t oid, struct sy_buf *out);
    /* OID for a name; false: not found (err is set: 42P01, 42704, ...). */
    bool (*reg_in)(void *ctx, uint32_t type, struct sy_slice name, uint32_t *ret_oid,
                   struct sy_err *err);
    void *reg_ctx;
};

/*
 * From a client (format 0 text, 1 binary) to a stored value, length limits and precision of
 * `typmod` (-1: none) applied as for an assignment. Also the input function for literals. ret_value
 * may point into `data` or into `arena`. Errors: 22P02, 22P03, 22001, 22003, 22007, 22008 and
 * others with PostgreSQL's texts.
 */
SY_MUST_CHECK enum sy_status sy_type_decode(uint32_t oid, int32_t typmod, int format,
                                            struct sy_slice data,
                                            const struct sy_type_settings *settings,
                                            struct sy_arena *arena, struct sy_sqvalue *ret_value,
                                            struct sy_err *err);
/*
 * Appends the wire form (without a length word) of a stored value that is not NULL. Errors: a
 * stored value that is not of the type (XX001), binary form that does not exist (0A000).
 */
SY_MUST_CHECK enum sy_status sy_type_encode(uint32_t oid, int format,
                                            const struct sy_sqvalue *value,
                                            const struct sy_type_settings *settings,
                                            struct sy_buf *out, struct sy_err *err);

/* Bind parameter `index` (1-based) / read result column `index` (0-based; borrowed until the next
 * step). */
int sy_sqvalue_bind(struct sqlite3_stmt *stmt, int index, const struct sy_sqvalue *value);
struct sy_sqvalue sy_sqvalue_column(struct sqlite3_stmt *stmt, int index);

/* Finds a zone in the system's time zone database ("Europe/Berlin", "UTC", "+02", "EST5EDT");
 * cached for ever, NULL: unknown. Thread: any. */
const struct sy_timezone *sy_timezone_find(struct sy_slice name);
/* The name as SHOW TimeZone prints it. */
const char *sy_timezone_name(const struct sy_timezone *zone);
/* Microseconds between 1970 (clocks) and 2000 (stored values). */
#define SY_TYPE_EPOCH_US INT64_C(946684800000000)

#endif
