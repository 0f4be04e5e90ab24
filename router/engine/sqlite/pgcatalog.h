/*
 * pg_catalog and information_schema: each relation is an eponymous virtual table of SQLite
 * ("sy_pg_class", "sy_information_schema_tables") whose rows are made from the catalog's image that
 * the session sees.
 *
 * pgcatalog.c: the virtual table, relations as the translator sees them. pgcatalog_columns.c: their
 * columns. pgcatalog_objects.c, _fixed.c, _information.c: rows. pgcatalog_acl.c: roles and
 * privileges. pgcatalog_qualify.c: names with their schema. pgcatalog_functions.c:
 * pg_get_indexdef() and its like.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_PGCATALOG_H
#define SY_ROUTER_ENGINE_SQLITE_PGCATALOG_H

#include "router/engine/sqlite/session.h"

struct sy_sqlite_emulated_columns {
    uint32_t oid;
    const char *schema, *name;
    char kind;
    const char *columns; /* "name:type name:type ..." */
};

extern const struct sy_sqlite_emulated_columns sy_sqlite_emulated_columns[];
extern const uint32_t sy_sqlite_emulated_count;

/* Gathers the rows of one relation. Values are set by column name; what is not set is zero, false
 * or NULL, whichever PostgreSQL's catalogs have for "nothing" in a column of that type. */
struct sy_emit {
    struct sy_sqlite_session *session;
    const struct sy_sqlite_catalog *catalog;
    const struct sy_sqrelation *relation;
    struct sy_arena *arena;
    struct sy_sqvalue *row; /* being set */
    struct sy_buf *rows;    /* struct sy_sqvalue, column_count for each row */
    bool failed;            /* memory */
};

void sy_emit_begin(struct sy_emit *e);
void sy_emit_int(struct sy_emit *e, const char *column, int64_t value);
void sy_emit_text(struct sy_emit *e, const char *column, const char *text); /* NULL: NULL; copied */
void sy_emit_char(struct sy_emit *e, const char *column, char value);
void sy_emit_format(struct sy_emit *e, const char *column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sy_emit_end(struct sy_emit *e);

struct sy_emit_source {
    const char *schema, *name;
    void (*rows)(struct sy_emit *e);
    bool changes; /* depends on more than the catalog's image: made anew for every scan */
};

/* Tables of sources, ended by a NULL name. */
extern const struct sy_emit_source sy_emit_objects[], sy_emit_fixed[], sy_emit_information[];

/* Registers the virtual tables / the functions on a connection. */
SY_MUST_CHECK int sy_sqlite_pgcatalog_register(sqlite3 *db, struct sy_sqsession_slot *slot);
SY_MUST_CHECK int sy_sqlite_pgfunctions_register(sqlite3 *db, struct sy_sqsession_slot *slot);

uint32_t sy_sqlite_schema_oid(const char *name);
/* pg_type.typstorage, which columns of the type have too. */
char sy_sqlite_storage_of(const struct sy_type_info *type);
/* NULL: no such role. */
const char *sy_sqlite_role_name(const struct sy_sqlite_session *session, int64_t oid);
uint32_t sy_sqlite_role_oid(const struct sy_sqlite_session *session, const char *name); /* 0 */
/* acldefault(): false: no such kind of object. */
bool sy_sqlite_acl_default(char kind, const char *owner, struct sy_buf *out);
/* pg_namespace.nspacl of the schemas that are always there. */
void sy_sqlite_acl_schema(const char *owner, struct sy_buf *out);
/* Definitions as PostgreSQL prints them; pretty: with fewer parentheses. */
void sy_sqlite_indexdef(const struct sy_sqlite_object *object, bool pretty, struct sy_buf *out);
/* The user's relations that a query names. */
void sy_sqlite_query_relations(const struct sy_sqlite_catalog *catalog, const char *text,
                               void (*each)(void *ctx, const struct sy_sqrelation *relation),
                               void *ctx);
bool sy_sqlite_public_is_searched(struct sy_sqlite_session *session);
/* A query or an expression of the catalog, relations with their schema where the session needs it.
 */
void sy_sqlite_put_query(struct sy_sqlite_session *session, const char *text, struct sy_buf *out);
void sy_sqlite_put_expression(struct sy_sqlite_session *session, const char *text,
                              struct sy_buf *out);
/* Attribute number of a column of `relation` by name, 0: none. */
int16_t sy_sqlite_attnum(const struct sy_sqrelation *relation, const char *column);

#endif
