/*
 * What the router knows of a database's schema: read from a server by the control plane (postgres) or the
 * engine itself (sqlite), immutable, part of a topology snapshot. Lookup only; pure.
 */
#ifndef SY_ROUTER_PLAN_SCHEMA_H
#define SY_ROUTER_PLAN_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct sy_schema_column {
    struct sy_slice name;
    struct sy_slice type; /* pg_type.typname, "int8" */
    uint32_t type_oid;
    bool has_default;
    bool is_identity_or_serial;
    bool is_generated;
};

enum sy_relation_kind {
    SY_RELATION_TABLE, SY_RELATION_VIEW, SY_RELATION_MATVIEW, SY_RELATION_SEQUENCE, SY_RELATION_FOREIGN,
    SY_RELATION_INDEX
};

struct sy_schema_relation {
    struct sy_slice schema, name;
    uint32_t oid;
    enum sy_relation_kind kind;
    bool is_unlogged, has_triggers, has_rls;
    struct sy_schema_column *columns;
    uint32_t column_count;
    /* Views: the base relations they read, transitively (indexes into relations). */
    uint32_t *depends;
    uint32_t depend_count;
};

enum sy_volatility { SY_VOLATILE_UNKNOWN, SY_IMMUTABLE, SY_STABLE, SY_VOLATILE };

struct sy_schema;

struct sy_schema_builder; /* in schema.c: loaders fill relations and functions, then freeze */

const struct sy_schema_relation *sy_schema_find(const struct sy_schema *schema, struct sy_slice schema_name,
                                                struct sy_slice name);
/* The most volatile of all functions of this name (any schema in the path when schema_name is empty);
 * UNKNOWN when there is none. */
enum sy_volatility sy_schema_volatility(const struct sy_schema *schema, struct sy_slice schema_name,
                                        struct sy_slice name);

#endif
