/*
 * From PostgreSQL's SQL to SQLite's. One statement of a parse tree goes in, with what the catalog
 * knows; out come SQLite texts, the columns and types that the client is told, and for DDL what
 * changes in the catalog. Right or refused: what is not understood gets 0A000 with a hint, never a
 * statement that means something else.
 *
 * Pure: everything comes in as arguments. Thread: any; a translation is owned by its arena.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_TRANSLATE_H
#define SY_ROUTER_ENGINE_SQLITE_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "parser/facts.h"
#include "router/engine/sqlite/types.h"

struct PgQuery__Node; /* pg_query/pg_query.pb-c.h */

/* ---- what the catalog knows ---- */

struct sy_sqcolumn {
    const char *name;
    uint32_t type;
    int32_t typmod; /* -1: none */
    int16_t attnum; /* pg_attribute.attnum; stays when other columns are dropped */
    bool not_null;
    bool rowid;     /* SQLite's INTEGER PRIMARY KEY: NOT NULL is checked by the translated text */
    char identity;  /* 0, 'a' always, 'd' by default */
    char generated; /* 0, 's' stored */
    const char
        *default_sql;    /* PostgreSQL text of the default or generation expression, NULL: none */
    const char *comment; /* COMMENT ON, NULL: none */
};

struct sy_sqconstraint {
    const char *name;
    char kind; /* pg_constraint.contype: 'p' 'u' 'f' 'c' */
    const int16_t
        *columns; /* indexes into the relation's columns, 0-based; for 'c' those it mentions */
    uint32_t column_count;
    const char *expression; /* 'c': PostgreSQL text */
    const char *ref_table;  /* 'f' */
    const char *const *ref_columns;
    char on_update, on_delete; /* 'f': pg_constraint.confupdtype: a r c n d */
    bool deferrable, deferred;
};

struct sy_sqindex {
    const char *name;
    bool unique, primary; /* made by a constraint of the same name when constraint is true */
    bool constraint;
    const char *const
        *keys; /* PostgreSQL text of each key: a column's name (quoted if need be) or expression */
    const int16_t *key_columns; /* index of the column, -1: an expression */
    const uint8_t *key_options; /* bit 0: DESC, bit 1: NULLS FIRST (as pg_index.indoption) */
    uint32_t key_count;
    const char *predicate; /* PostgreSQL text, NULL: not partial */
    const char *method;    /* "btree" */
};

struct sy_sqsequence {
    uint32_t type; /* int2, int4, int8 */
    int64_t start, increment, minimum, maximum, cache;
    bool cycle;
    const char *owner_table, *owner_column; /* NULL: free-standing */
    bool identity;
};

/* Relations of every kind: tables, views, sequences, and the catalog's own (pg_class ...). */
struct sy_sqrelation {
    uint32_t oid;
    const char *schema; /* "public", "pg_catalog", "information_schema" */
    const char *name;
    char kind;               /* pg_class.relkind: 'r' 'v' 'S' */
    const char *sqlite_name; /* the SQLite table, unquoted; NULL: same as name */
    bool read_only;          /* catalog relations: DML gets 42501 */
    bool temporary;
    bool hidden_key; /* has the extra column sy_hidden_key INTEGER PRIMARY KEY */
    const struct sy_sqcolumn *columns;
    uint32_t column_count;
    const struct sy_sqconstraint *constraints;
    uint32_t constraint_count;
    const struct sy_sqindex *indexes; /* those of constraints included */
    uint32_t index_count;
    const char *view_sql;                 /* 'v': PostgreSQL text of the query */
    const struct sy_sqsequence *sequence; /* 'S' */
    const char *comment;
};

/* Found objects stay valid as long as the translation is made. `schema` NULL: by search_path. */
struct sy_sqschema {
    void *ctx;
    const struct sy_sqrelation *(*relation)(void *ctx, const char *schema, const char *name);
    /* The table that has an index of this name, NULL: none. */
    const struct sy_sqrelation *(*index_owner)(void *ctx, const char *schema, const char *name);
    bool (*has_schema)(void *ctx, const char *schema);
    /* Iterates (index 0, 1, ...) over the user's relations, NULL at the end: for DROP ... CASCADE
     * checks. */
    const struct sy_sqrelation *(*at)(void *ctx, uint32_t index);
};

/* ---- what the translator is asked ---- */

struct sy_sqinput {
    const struct PgQuery__Node *node; /* the statement itself (RawStmt's stmt) */
    struct sy_slice text;             /* the whole query text: positions of errors */
    const struct sy_sqschema *schema;
    const struct sy_type_settings *settings; /* literals are converted under these */
    const uint32_t *parameter_types;         /* as given in Parse; 0: to be inferred */
    uint32_t parameter_count;
    const char *user, *database,
        *search_schema; /* for current_user ... in names; search_schema: "public" */
};

/* ---- what it answers ---- */

struct sy_sqresult_column {
    const char *name;
    uint32_t type;
    int32_t typmod;
    uint32_t table_oid; /* 0: an expression */
    int16_t attnum;
};

enum sy_sqddl_kind {
    SY_SQDDL_CREATE,  /* relation: a new table, view or sequence (oid 0: the catalog gives one) */
    SY_SQDDL_REPLACE, /* name -> relation: altered, renamed, an index added or dropped */
    SY_SQDDL_DROP,    /* name */
};

/* Applied to the catalog in order, in the same transaction as the SQLite texts. */
struct sy_sqddl {
    enum sy_sqddl_kind kind;
    const char *schema, *name; /* of REPLACE and DROP: the old name */
    const struct sy_sqrelation *relation;
};

/* One SQLite text. Parameters are ?1..?n = the client's $1..$n. */
struct sy_sqstep {
    const char *sql;
    bool main;     /* its rows (if returns_rows) and its change count are the answer */
    uint32_t keep; /* its rows are kept for the steps behind it, as sy_kept(keep - 1); 0: not */
};

struct sy_sqnotice {
    const char *severity, *sqlstate, *text; /* NOTICE 00000/42P07 ... */
};

struct sy_sqtranslation {
    enum sy_stmt_kind kind; /* runtime kinds (BEGIN, SET, COPY ...) come back without steps */
    const char
        *tag; /* "SELECT", "INSERT 0", "UPDATE", "CREATE TABLE": a count follows when tag_count */
    bool tag_count;
    bool writes;          /* needs the writer connection */
    bool calls_sequences; /* nextval/setval: writes through the session's callbacks */
    bool returns_rows;
    const struct sy_sqresult_column *columns;
    uint32_t column_count;
    const uint32_t *parameter_types; /* resolved */
    uint32_t parameter_count;
    const struct sy_sqstep *steps;
    uint32_t step_count;
    const struct sy_sqddl *ddl;
    uint32_t ddl_count;
    const struct sy_sqnotice *notices;
    uint32_t notice_count;
    /* TRUNCATE ... RESTART IDENTITY and DROP/ALTER SEQUENCE RESTART: sequences to set back to their
     * start. */
    const char *const *restart_sequences;
    uint32_t restart_count;
    bool rebuilds_table; /* steps copy a table under a new definition: run with foreign_keys
                            deferred */
    /* What the statement read or wrote: names for the cache of translations and for conflict
     * checks. */
    const char *const *relations;
    uint32_t relation_count;
    bool explain; /* rows are SQLite's plan, by the last step */
    bool analyze; /* the steps before it run the statement */
};

/*
 * Translates one statement. Everything in *ret_translation lives in `arena`. Errors: PostgreSQL's
 * SQLSTATE, text and position (err->sqlstate, err->position).
 */
SY_MUST_CHECK enum sy_status sy_sqtranslate(const struct sy_sqinput *input, struct sy_arena *arena,
                                            const struct sy_sqtranslation **ret_translation,
                                            struct sy_err *err);
/* The same from text that holds exactly one statement (tests, catalog views). */
SY_MUST_CHECK enum sy_status sy_sqtranslate_text(const struct sy_sqinput *input,
                                                 struct sy_arena *arena,
                                                 const struct sy_sqtranslation **ret_translation,
                                                 struct sy_err *err);

/*
 * Turns SQLite's constraint error ("UNIQUE constraint failed: t.a, t.b") into PostgreSQL's: 23505
 * with the constraint's name, 23502, 23514, 23503. False: the message is none of these.
 */
bool sy_sqconstraint_error(const struct sy_sqschema *schema, const char *message,
                           struct sy_err *err);

/*
 * What COPY FROM needs: the INSERT for these columns (indexes into relation->columns; the rest gets
 * its defaults), parameters ?1..?n in stored form (sy_type_decode with the column's typmod).
 */
SY_MUST_CHECK enum sy_status
sy_sqtranslate_copy_insert(const struct sy_sqinput *input, const struct sy_sqrelation *relation,
                           const uint16_t *columns, uint32_t column_count, struct sy_arena *arena,
                           const char **ret_sql, struct sy_err *err);

#endif
