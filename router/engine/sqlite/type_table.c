/* The table of types: what pg_type says about those that this engine knows, and how they are
 * stored. */
#include <stdlib.h>
#include <strings.h>

#include "router/engine/sqlite/types.h"

#define INT_COLUMN SY_SQ_INTEGER, "INTEGER", NULL
#define REAL_COLUMN SY_SQ_REAL, "REAL", NULL
#define TEXT_COLUMN SY_SQ_TEXT, "TEXT", NULL
#define NO_COLUMN SY_SQ_TEXT, NULL, NULL
#define ARRAY(oid, name, display, element)                                                         \
    {                                                                                              \
        oid, name, display, -1, 'A', false, element, 0, NO_COLUMN                                  \
    }

static const struct sy_type_info types[] = {
    {SY_T_BOOL, "bool", "boolean", 1, 'B', true, 0, SY_T_BOOL_ARRAY, INT_COLUMN},
    {SY_T_BYTEA, "bytea", "bytea", -1, 'U', false, 0, SY_T_BYTEA_ARRAY, SY_SQ_BLOB, "BLOB", NULL},
    {SY_T_CHAR, "char", "\"char\"", 1, 'Z', false, 0, SY_T_CHAR_ARRAY, TEXT_COLUMN},
    {SY_T_NAME, "name", "name", 64, 'S', false, 0, SY_T_NAME_ARRAY, TEXT_COLUMN},
    {SY_T_INT8, "int8", "bigint", 8, 'N', false, 0, SY_T_INT8_ARRAY, INT_COLUMN},
    {SY_T_INT2, "int2", "smallint", 2, 'N', false, 0, SY_T_INT2_ARRAY, INT_COLUMN},
    {SY_T_INT2VECTOR, "int2vector", "int2vector", -1, 'A', false, SY_T_INT2, 1006, NO_COLUMN},
    {SY_T_INT4, "int4", "integer", 4, 'N', false, 0, SY_T_INT4_ARRAY, INT_COLUMN},
    {SY_T_REGPROC, "regproc", "regproc", 4, 'N', false, 0, 1008, SY_SQ_INTEGER, NULL, NULL},
    {SY_T_TEXT, "text", "text", -1, 'S', true, 0, SY_T_TEXT_ARRAY, TEXT_COLUMN},
    {SY_T_OID, "oid", "oid", 4, 'N', true, 0, SY_T_OID_ARRAY, INT_COLUMN},
    {SY_T_XID, "xid", "xid", 4, 'U', false, 0, 1011, INT_COLUMN},
    {SY_T_OIDVECTOR, "oidvector", "oidvector", -1, 'A', false, SY_T_OID, 1013, NO_COLUMN},
    {SY_T_JSON, "json", "json", -1, 'U', false, 0, SY_T_JSON_ARRAY, TEXT_COLUMN},
    {SY_T_PG_NODE_TREE, "pg_node_tree", "pg_node_tree", -1, 'Z', false, 0, 0, NO_COLUMN},
    {SY_T_FLOAT4, "float4", "real", 4, 'N', false, 0, SY_T_FLOAT4_ARRAY, REAL_COLUMN},
    {SY_T_FLOAT8, "float8", "double precision", 8, 'N', true, 0, SY_T_FLOAT8_ARRAY, REAL_COLUMN},
    {SY_T_UNKNOWN, "unknown", "unknown", -2, 'X', false, 0, 0, NO_COLUMN},
    {SY_T_ACLITEM, "aclitem", "aclitem", 12, 'U', false, 0, SY_T_ACLITEM_ARRAY, NO_COLUMN},
    {SY_T_BPCHAR, "bpchar", "character", -1, 'S', false, 0, SY_T_BPCHAR_ARRAY, SY_SQ_TEXT, "TEXT",
     "RTRIM"},
    {SY_T_VARCHAR, "varchar", "character varying", -1, 'S', false, 0, SY_T_VARCHAR_ARRAY,
     TEXT_COLUMN},
    {SY_T_DATE, "date", "date", 4, 'D', false, 0, SY_T_DATE_ARRAY, INT_COLUMN},
    {SY_T_TIME, "time", "time without time zone", 8, 'D', false, 0, SY_T_TIME_ARRAY, INT_COLUMN},
    {SY_T_TIMESTAMP, "timestamp", "timestamp without time zone", 8, 'D', false, 0,
     SY_T_TIMESTAMP_ARRAY, INT_COLUMN},
    {SY_T_TIMESTAMPTZ, "timestamptz", "timestamp with time zone", 8, 'D', true, 0,
     SY_T_TIMESTAMPTZ_ARRAY, INT_COLUMN},
    {SY_T_INTERVAL, "interval", "interval", 16, 'T', true, 0, SY_T_INTERVAL_ARRAY, SY_SQ_TEXT,
     "TEXT", "sy_interval"},
    {SY_T_TIMETZ, "timetz", "time with time zone", 12, 'D', false, 0, SY_T_TIMETZ_ARRAY,
     INT_COLUMN},
    {SY_T_NUMERIC, "numeric", "numeric", -1, 'N', false, 0, SY_T_NUMERIC_ARRAY, SY_SQ_TEXT, "TEXT",
     "sy_numeric"},
    {SY_T_REGPROCEDURE, "regprocedure", "regprocedure", 4, 'N', false, 0, 2207, SY_SQ_INTEGER, NULL,
     NULL},
    {SY_T_REGOPER, "regoper", "regoper", 4, 'N', false, 0, 2208, SY_SQ_INTEGER, NULL, NULL},
    {SY_T_REGOPERATOR, "regoperator", "regoperator", 4, 'N', false, 0, 2209, SY_SQ_INTEGER, NULL,
     NULL},
    {SY_T_REGCLASS, "regclass", "regclass", 4, 'N', false, 0, SY_T_REGCLASS_ARRAY, SY_SQ_INTEGER,
     NULL, NULL},
    {SY_T_REGTYPE, "regtype", "regtype", 4, 'N', false, 0, SY_T_REGTYPE_ARRAY, SY_SQ_INTEGER, NULL,
     NULL},
    {SY_T_REGCONFIG, "regconfig", "regconfig", 4, 'N', false, 0, 3735, SY_SQ_INTEGER, NULL, NULL},
    {SY_T_REGNAMESPACE, "regnamespace", "regnamespace", 4, 'N', false, 0, 4090, SY_SQ_INTEGER, NULL,
     NULL},
    {SY_T_REGROLE, "regrole", "regrole", 4, 'N', false, 0, 4097, SY_SQ_INTEGER, NULL, NULL},
    {SY_T_REGCOLLATION, "regcollation", "regcollation", 4, 'N', false, 0, 4192, SY_SQ_INTEGER, NULL,
     NULL},
    {SY_T_UUID, "uuid", "uuid", 16, 'U', false, 0, SY_T_UUID_ARRAY, TEXT_COLUMN},
    {SY_T_JSONB, "jsonb", "jsonb", -1, 'U', false, 0, SY_T_JSONB_ARRAY, SY_SQ_TEXT, "TEXT",
     "sy_jsonb"},
    {SY_T_RECORD, "record", "record", -1, 'P', false, 0, SY_T_RECORD_ARRAY, NO_COLUMN},
    {SY_T_CSTRING, "cstring", "cstring", -2, 'P', false, 0, 1263, NO_COLUMN},
    {SY_T_ANY, "any", "\"any\"", 4, 'P', false, 0, 0, NO_COLUMN},
    {SY_T_ANYARRAY, "anyarray", "anyarray", -1, 'P', false, 0, 0, NO_COLUMN},
    {SY_T_VOID, "void", "void", 4, 'P', false, 0, 0, NO_COLUMN},
    {SY_T_ANYELEMENT, "anyelement", "anyelement", 4, 'P', false, 0, 0, NO_COLUMN},
    ARRAY(SY_T_BOOL_ARRAY, "_bool", "boolean[]", SY_T_BOOL),
    ARRAY(SY_T_BYTEA_ARRAY, "_bytea", "bytea[]", SY_T_BYTEA),
    ARRAY(SY_T_CHAR_ARRAY, "_char", "\"char\"[]", SY_T_CHAR),
    ARRAY(SY_T_NAME_ARRAY, "_name", "name[]", SY_T_NAME),
    ARRAY(SY_T_INT2_ARRAY, "_int2", "smallint[]", SY_T_INT2),
    ARRAY(SY_T_INT4_ARRAY, "_int4", "integer[]", SY_T_INT4),
    ARRAY(SY_T_TEXT_ARRAY, "_text", "text[]", SY_T_TEXT),
    ARRAY(SY_T_BPCHAR_ARRAY, "_bpchar", "character[]", SY_T_BPCHAR),
    ARRAY(SY_T_VARCHAR_ARRAY, "_varchar", "character varying[]", SY_T_VARCHAR),
    ARRAY(SY_T_INT8_ARRAY, "_int8", "bigint[]", SY_T_INT8),
    ARRAY(SY_T_FLOAT4_ARRAY, "_float4", "real[]", SY_T_FLOAT4),
    ARRAY(SY_T_FLOAT8_ARRAY, "_float8", "double precision[]", SY_T_FLOAT8),
    ARRAY(SY_T_OID_ARRAY, "_oid", "oid[]", SY_T_OID),
    ARRAY(SY_T_ACLITEM_ARRAY, "_aclitem", "aclitem[]", SY_T_ACLITEM),
    ARRAY(SY_T_TIMESTAMP_ARRAY, "_timestamp", "timestamp without time zone[]", SY_T_TIMESTAMP),
    ARRAY(SY_T_DATE_ARRAY, "_date", "date[]", SY_T_DATE),
    ARRAY(SY_T_TIME_ARRAY, "_time", "time without time zone[]", SY_T_TIME),
    ARRAY(SY_T_TIMESTAMPTZ_ARRAY, "_timestamptz", "timestamp with time zone[]", SY_T_TIMESTAMPTZ),
    ARRAY(SY_T_INTERVAL_ARRAY, "_interval", "interval[]", SY_T_INTERVAL),
    ARRAY(SY_T_NUMERIC_ARRAY, "_numeric", "numeric[]", SY_T_NUMERIC),
    ARRAY(SY_T_TIMETZ_ARRAY, "_timetz", "time with time zone[]", SY_T_TIMETZ),
    ARRAY(SY_T_REGTYPE_ARRAY, "_regtype", "regtype[]", SY_T_REGTYPE),
    ARRAY(SY_T_REGCLASS_ARRAY, "_regclass", "regclass[]", SY_T_REGCLASS),
    ARRAY(SY_T_UUID_ARRAY, "_uuid", "uuid[]", SY_T_UUID),
    ARRAY(SY_T_JSON_ARRAY, "_json", "json[]", SY_T_JSON),
    ARRAY(SY_T_JSONB_ARRAY, "_jsonb", "jsonb[]", SY_T_JSONB),
    {SY_T_RECORD_ARRAY, "_record", "record[]", -1, 'P', false, SY_T_RECORD, 0, NO_COLUMN},
};

enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]) };

const struct sy_type_info *sy_type_find(uint32_t oid)
{
    for (uint32_t i = 0; i < TYPE_COUNT; i++)
        if (types[i].oid == oid)
            return &types[i];
    return NULL;
}

const struct sy_type_info *sy_type_find_name(const char *name)
{
    for (uint32_t i = 0; i < TYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

const struct sy_type_info *sy_type_at(uint32_t index)
{
    return index < TYPE_COUNT ? &types[index] : NULL;
}

uint32_t sy_type_count(void)
{
    return TYPE_COUNT;
}

static void format_typmod(uint32_t oid, int32_t typmod, struct sy_buf *out)
{
    switch (oid) {
    case SY_T_VARCHAR:
    case SY_T_BPCHAR:
        sy_buf_printf(out, "(%d)", typmod - 4);
        break;
    case SY_T_NUMERIC: {
        int32_t scale = (typmod - 4) & 0x7ff;
        sy_buf_printf(out, "(%d,%d)", ((typmod - 4) >> 16) & 0xffff, (scale ^ 1024) - 1024);
        break;
    }
    default:
        break;
    }
}

void sy_type_format(uint32_t oid, int32_t typmod, struct sy_buf *out)
{
    const struct sy_type_info *type = sy_type_find(oid);
    if (type == NULL) {
        sy_buf_append_str(out, "???");
        return;
    }
    if (typmod >= 0 && type->category == 'A' && type->element != 0 && oid != SY_T_INT2VECTOR) {
        sy_type_format(type->element, typmod, out);
        sy_buf_append_str(out, "[]");
        return;
    }
    bool timed =
        oid == SY_T_TIME || oid == SY_T_TIMETZ || oid == SY_T_TIMESTAMP || oid == SY_T_TIMESTAMPTZ;
    if (typmod >= 0 && timed) {
        bool stamp = oid == SY_T_TIMESTAMP || oid == SY_T_TIMESTAMPTZ;
        sy_buf_printf(out, "%s(%d) %s time zone", stamp ? "timestamp" : "time", typmod,
                      oid == SY_T_TIMETZ || oid == SY_T_TIMESTAMPTZ ? "with" : "without");
        return;
    }
    if (oid == SY_T_BPCHAR && typmod < 0) {
        sy_buf_append_str(out, "bpchar");
        return;
    }
    if (oid == SY_T_INTERVAL && typmod >= 0) {
        sy_buf_append_str(out, "interval");
        if ((typmod & 0xffff) != 0xffff)
            sy_buf_printf(out, "(%d)", typmod & 0xffff);
        return;
    }
    sy_buf_append_str(out, type->display);
    if (typmod >= 0)
        format_typmod(oid, typmod, out);
}
