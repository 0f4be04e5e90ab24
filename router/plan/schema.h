/*
 * What the router knows of a database's schema: read from a server by the control plane (postgres)
 * or the engine itself (sqlite), immutable once built, part of a topology snapshot. Lookup only;
 * pure.
 *
 *     sy_schema_builder_new() -> add_namespace/relation/column/dependency/function ... -> finish()
 * -> sy_schema
 */
#ifndef SY_ROUTER_PLAN_SCHEMA_H
#define SY_ROUTER_PLAN_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* How text of a column is ordered. */
enum sy_collation {
    SY_COLLATION_UNKNOWN,   /* also: the type has none */
    SY_COLLATION_C,         /* by bytes, said by the column */
    SY_COLLATION_DEFAULT_C, /* the same, by default of the database */
    SY_COLLATION_OTHER,
};

enum sy_volatility { SY_VOLATILE_UNKNOWN, SY_IMMUTABLE, SY_STABLE, SY_VOLATILE };

struct sy_schema_column {
    struct sy_slice name;
    struct sy_slice type; /* pg_type.typname, "int8" */
    uint32_t type_oid;
    int32_t type_modifier; /* pg_attribute.atttypmod; -1: none. Fill it: varchar(n), timestamp(p)
                              change stored keys */
    bool has_default;
    enum sy_volatility default_volatility; /* UNKNOWN: the expression is not known either */
    struct sy_slice default_sql;           /* the expression, names written in full */
    bool is_identity_or_serial;
    bool is_generated;
    bool nondeterministic_collation;
    enum sy_collation collation;
};

enum sy_relation_kind {
    SY_RELATION_TABLE,
    SY_RELATION_VIEW,
    SY_RELATION_MATVIEW,
    SY_RELATION_SEQUENCE,
    SY_RELATION_FOREIGN,
    SY_RELATION_INDEX
};

struct sy_schema_relation {
    struct sy_slice schema, name;
    uint32_t oid;
    enum sy_relation_kind kind;
    bool is_unlogged, has_triggers,
        has_rls;            /* triggers: the users' own, not those of foreign keys; rules, too */
    bool calls_users;       /* views: a function of users that is not immutable, or one that runs
                               a query that it is given, stands in it */
    bool is_read_only_view; /* views: the loader has proved that no function in it is volatile or
                               differs on a standby */
    struct sy_schema_column *columns;
    uint32_t column_count;
    /* Views: the relations they read, transitively after finish() (indexes into relations). */
    uint32_t *depends;
    uint32_t depend_count;
};

struct sy_schema;

/* By exact schema and name. NULL: there is none (or `schema` is NULL). */
const struct sy_schema_relation *sy_schema_find(const struct sy_schema *schema,
                                                struct sy_slice schema_name, struct sy_slice name);
/* NULL: no such column. */
const struct sy_schema_column *sy_schema_column(const struct sy_schema_relation *relation,
                                                struct sy_slice name);
/* The most volatile of all functions of this name (any schema when schema_name is empty); UNKNOWN
 * when there is none. */
enum sy_volatility sy_schema_volatility(const struct sy_schema *schema, struct sy_slice schema_name,
                                        struct sy_slice name);
bool sy_schema_has_namespace(const struct sy_schema *schema, struct sy_slice name);
uint32_t sy_schema_relation_count(const struct sy_schema *schema);
const struct sy_schema_relation *sy_schema_relation(const struct sy_schema *schema, uint32_t index);

/* A schema is shared by threads and snapshots: an atomic reference count. NULL is accepted. */
const struct sy_schema *sy_schema_ref(const struct sy_schema *schema);
void sy_schema_unref(const struct sy_schema **schema);

/*
 * Building. Strings are copied. Memory errors are remembered and reported once, by finish(), so
 * that loaders need not check each row. Thread: one at a time.
 */
struct sy_schema_builder;

/* NULL when memory is exhausted (every other function accepts a NULL builder). */
struct sy_schema_builder *sy_schema_builder_new(void);
void sy_schema_builder_free(struct sy_schema_builder **builder);
void sy_schema_builder_add_namespace(struct sy_schema_builder *builder, struct sy_slice name);
/* `columns` and `depends` of *relation are ignored. Returns the relation's index, UINT32_MAX on
 * failure. */
uint32_t sy_schema_builder_add_relation(struct sy_schema_builder *builder,
                                        const struct sy_schema_relation *relation);
/* Columns in their order in the table, dropped ones left out. */
void sy_schema_builder_add_column(struct sy_schema_builder *builder, uint32_t relation,
                                  const struct sy_schema_column *column);
/* A view reads a relation; finish() adds what that one reads in turn. */
void sy_schema_builder_add_dependency(struct sy_schema_builder *builder, uint32_t view,
                                      uint32_t relation);
/* Functions, procedures and aggregates, those of pg_catalog included; overloads may be added one by
 * one. */
void sy_schema_builder_add_function(struct sy_schema_builder *builder, struct sy_slice schema_name,
                                    struct sy_slice name, enum sy_volatility volatility);
/* Freezes. Ownership: *ret_schema has one reference; the builder is freed in any case. Errors:
 * SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status sy_schema_builder_finish(struct sy_schema_builder **builder,
                                                      const struct sy_schema **ret_schema,
                                                      struct sy_err *err);

#endif
