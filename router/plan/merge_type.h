/*
 * Types whose order and equality the router reproduces exactly. What is sent to shards is planned
 * by them, and router/merge compares and adds up values of them. Pure.
 */
#ifndef SY_ROUTER_PLAN_MERGE_TYPE_H
#define SY_ROUTER_PLAN_MERGE_TYPE_H

#include <stdbool.h>
#include <stdint.h>

enum sy_datum_kind {
    SY_DATUM_UNKNOWN, /* neither compared nor added up */
    SY_DATUM_BOOL,
    SY_DATUM_INT2,
    SY_DATUM_INT4,
    SY_DATUM_INT8,
    SY_DATUM_OID,
    SY_DATUM_FLOAT4,
    SY_DATUM_FLOAT8,
    SY_DATUM_NUMERIC,
    SY_DATUM_DATE,
    SY_DATUM_TIME,
    SY_DATUM_TIMESTAMP, /* also with time zone */
    SY_DATUM_UUID,
    SY_DATUM_BYTEA,
    SY_DATUM_NAME,   /* always ordered by bytes */
    SY_DATUM_TEXT,   /* ordered by bytes only in the collation C */
    SY_DATUM_BPCHAR, /* the same; trailing blanks do not count */
};

enum sy_datum_kind sy_datum_kind_of(uint32_t type_oid);
bool sy_datum_is_text(enum sy_datum_kind kind); /* needs to know a collation */

#endif
