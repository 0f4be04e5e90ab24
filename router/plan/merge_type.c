/* Which types are merged. */
#include "router/plan/merge_type.h"

#include <stddef.h>

static const struct {
    uint32_t oid;
    enum sy_datum_kind kind;
} kinds[] = {
    {16, SY_DATUM_BOOL},        {17, SY_DATUM_BYTEA},     {19, SY_DATUM_NAME},
    {20, SY_DATUM_INT8},        {21, SY_DATUM_INT2},      {23, SY_DATUM_INT4},
    {25, SY_DATUM_TEXT},        {26, SY_DATUM_OID},       {700, SY_DATUM_FLOAT4},
    {701, SY_DATUM_FLOAT8},     {1042, SY_DATUM_BPCHAR},  {1043, SY_DATUM_TEXT},
    {1082, SY_DATUM_DATE},      {1083, SY_DATUM_TIME},    {1114, SY_DATUM_TIMESTAMP},
    {1184, SY_DATUM_TIMESTAMP}, {1700, SY_DATUM_NUMERIC}, {2950, SY_DATUM_UUID},
};

enum sy_datum_kind sy_datum_kind_of(uint32_t type_oid)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].oid == type_oid)
            return kinds[i].kind;
    return SY_DATUM_UNKNOWN;
}

bool sy_datum_is_text(enum sy_datum_kind kind)
{
    return kind == SY_DATUM_TEXT || kind == SY_DATUM_BPCHAR;
}
