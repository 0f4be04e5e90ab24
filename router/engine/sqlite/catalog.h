/*
 * The catalog of one shard file: relations as PostgreSQL knows them, kept in the file's own table
 * sy_catalog_relation (one row per relation, stable OIDs), and its immutable image in memory that
 * translations read.
 *
 * A transaction that changes the schema loads an image of its own from the writer's connection; the
 * others see the new one when it has committed. Thread: images are immutable and counted
 * atomically.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_CATALOG_H
#define SY_ROUTER_ENGINE_SQLITE_CATALOG_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/map.h"
#include "router/engine/sqlite/conn.h"
#include "router/engine/sqlite/translate.h"

enum {
    SY_SQLITE_FIRST_OID = 16384, /* as PostgreSQL's FirstNormalObjectId */
    SY_SQLITE_SCHEMA_PUBLIC = 2200,
    SY_SQLITE_SCHEMA_PG_CATALOG = 11,
    SY_SQLITE_SCHEMA_INFORMATION = 13000,
    SY_SQLITE_ROLE = 10, /* the one owner of everything, but for the schema public: */
    SY_SQLITE_ROLE_DATABASE_OWNER = 6171,
    SY_SQLITE_DATABASE = 5,
};

/* An index or constraint by OID, for pg_index, pg_constraint and their functions. */
struct sy_sqlite_object {
    uint32_t oid;
    const struct sy_sqrelation *relation;
    const struct sy_sqindex *index;           /* or NULL */
    const struct sy_sqconstraint *constraint; /* or NULL */
    uint32_t index_oid;                       /* of a constraint: its index's, else 0 */
};

struct sy_sqlite_catalog {
    _Atomic uint32_t refs;
    uint64_t generation; /* unique in the process: a new image, a new number */
    struct sy_arena arena;
    struct sy_sqrelation *relations; /* the user's, by OID */
    uint32_t relation_count;
    struct sy_sqlite_object *objects; /* indexes first, then constraints */
    uint32_t object_count;
    struct sy_map by_name;       /* "schema.name" -> relation, the emulated ones too */
    struct sy_map index_by_name; /* "schema.index" -> relation */
    struct sy_sqschema schema;   /* what the translator is given */
};

/* Creates the system tables in a new file. Inside or outside a transaction of the writer. Blocks.
 */
SY_MUST_CHECK enum sy_status sy_sqlite_catalog_create(struct sy_sqlite_conn *conn,
                                                      struct sy_err *err);
/* Reads the image that `conn` sees. Ownership: one reference. Blocks. */
SY_MUST_CHECK enum sy_status sy_sqlite_catalog_load(struct sy_sqlite_conn *conn,
                                                    struct sy_sqlite_catalog **ret_catalog,
                                                    struct sy_err *err);
struct sy_sqlite_catalog *sy_sqlite_catalog_ref(struct sy_sqlite_catalog *catalog);
void sy_sqlite_catalog_unref(struct sy_sqlite_catalog **catalog);

/* Writes what a translation changes into the system tables, on the writer inside a transaction. */
SY_MUST_CHECK enum sy_status sy_sqlite_catalog_apply(struct sy_sqlite_conn *conn,
                                                     const struct sy_sqddl *ddl, uint32_t ddl_count,
                                                     struct sy_err *err);

const struct sy_sqrelation *sy_sqlite_catalog_find(const struct sy_sqlite_catalog *catalog,
                                                   const char *schema, const char *name);
/* The user's or an emulated relation, NULL: none. */
const struct sy_sqrelation *sy_sqlite_catalog_by_oid(const struct sy_sqlite_catalog *catalog,
                                                     uint32_t oid);
const struct sy_sqlite_object *sy_sqlite_catalog_object(const struct sy_sqlite_catalog *catalog,
                                                        uint32_t oid);

/* A relation to and from the text that is stored (JSON). */
SY_MUST_CHECK enum sy_status sy_sqlite_relation_write(const struct sy_sqrelation *relation,
                                                      char **ret_json, struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_sqlite_relation_read(const char *json, struct sy_arena *arena,
                                                     struct sy_sqrelation *ret_relation,
                                                     struct sy_err *err);

/* The emulated relations of pg_catalog and information_schema (pgcatalog*.c). NULL at the end. */
const struct sy_sqrelation *sy_sqlite_emulated_at(uint32_t index);

#endif
