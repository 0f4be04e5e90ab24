/*
 * Facts: what a statement is, as far as routing needs to know. Made from a parse tree by parser/,
 * read by router/plan. Knows nothing of shards, sockets or schemas. Immutable once made; lives in
 * the arena (cache entry) that it was made in; every pointer points into that arena.
 *
 * Values are recorded by position, never by content: entry `literal[i]` of the text at hand or
 * parameter $n. So one set of facts serves every text of the same template.
 */
#ifndef SY_PARSER_FACTS_H
#define SY_PARSER_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

enum sy_stmt_kind {
    SY_STMT_EMPTY,
    SY_STMT_SELECT, /* also VALUES and TABLE */
    SY_STMT_INSERT,
    SY_STMT_UPDATE,
    SY_STMT_DELETE,
    SY_STMT_MERGE,
    SY_STMT_COPY_FROM,
    SY_STMT_COPY_TO,
    SY_STMT_BEGIN,
    SY_STMT_COMMIT,
    SY_STMT_ROLLBACK,
    SY_STMT_SAVEPOINT,
    SY_STMT_RELEASE,
    SY_STMT_ROLLBACK_TO,
    SY_STMT_PREPARE_TRANSACTION,
    SY_STMT_COMMIT_PREPARED,
    SY_STMT_ROLLBACK_PREPARED,
    SY_STMT_SET, /* also SET TRANSACTION, SET CONSTRAINTS, SET SESSION AUTHORIZATION: see set_scope
                    and name */
    SY_STMT_RESET,
    SY_STMT_SHOW,
    SY_STMT_DISCARD,
    SY_STMT_PREPARE,
    SY_STMT_EXECUTE,
    SY_STMT_DEALLOCATE,
    SY_STMT_DECLARE,
    SY_STMT_FETCH, /* also MOVE */
    SY_STMT_CLOSE,
    SY_STMT_LISTEN,
    SY_STMT_UNLISTEN,
    SY_STMT_NOTIFY,
    SY_STMT_LOCK,
    SY_STMT_EXPLAIN,
    SY_STMT_CALL,
    SY_STMT_DO,
    SY_STMT_TRUNCATE,
    SY_STMT_DDL,         /* CREATE, ALTER, DROP, COMMENT, GRANT ... */
    SY_STMT_MAINTENANCE, /* VACUUM, ANALYZE, REINDEX, CLUSTER, CHECKPOINT, REFRESH: no transaction
                            block for some */
    SY_STMT_OTHER,
};

enum { SY_NO_INDEX = -1 };

/* An identifier after case folding and cutting to NAMEDATALEN - 1; data is terminated by a zero
 * byte. */
struct sy_qname {
    struct sy_slice schema; /* empty: found by search_path */
    struct sy_slice name;
};

enum sy_value_kind {
    SY_VALUE_LITERAL, /* literal[index] of the text */
    SY_VALUE_PARAM,   /* $index, 1-based */
    SY_VALUE_NULL,
    SY_VALUE_BOOL,    /* index 0 or 1: TRUE and FALSE are keywords, part of the template */
    SY_VALUE_DEFAULT, /* DEFAULT in INSERT or SET */
    SY_VALUE_OPAQUE,  /* an expression: unknown until a server evaluates it */
};

struct sy_value {
    enum sy_value_kind kind;
    bool negated; /* the literal at `index` is preceded by a minus that belongs to it */
    int32_t index;
    struct sy_slice cast;  /* innermost explicit cast's type name as in pg_catalog ("int8", "uuid",
                              "date"), or empty */
    bool array_element_of; /* the value is an array whose elements are the values: `= ANY(value)` */
};

/* ---- scopes and tables ---- */

/*
 * One query level. Scope 0 is the statement itself. A scope without any of the is_ flags below
 * scope 0 is an arm of its parent's set operation, or the SELECT of its parent's INSERT.
 *
 * The conditions of a scope restrict the tables of that very scope and nothing else. An unqualified
 * column is looked up in that very scope and nowhere else (a key column of one of its tables, or
 * nothing at all: never go on to the parent, whose column may be hidden by a column that is no
 * key). That a table's rows are restricted to none says nothing about the statement's result when
 * the table is on a nullable side or in a scope below.
 */
struct sy_scope {
    int32_t parent;         /* index, SY_NO_INDEX for scope 0 */
    enum sy_stmt_kind kind; /* SELECT, INSERT, UPDATE, DELETE, MERGE */
    int32_t where;          /* root condition: index into conds, SY_NO_INDEX: none */
    bool is_cte;
    bool is_from_subquery;
    bool is_sublink; /* EXISTS, IN, scalar, ANY, ALL, ARRAY */
    bool is_array;   /* ARRAY(...): in its value, the order of the rows shows */
    bool has_order_by, has_limit, has_offset, has_distinct, has_distinct_on;
    bool has_group_by, has_grouping_sets, has_having, has_aggregate, has_window, has_set_operation;
    bool has_locking;     /* FOR UPDATE / SHARE ... */
    bool has_srf;         /* a set-returning function in FROM */
    bool has_renames;     /* a FROM item gives its columns names of its own: t AS x (a, b) */
    bool names_estimates; /* a column of pg_class that ANALYZE fills, or all columns */
    bool is_recursive;
};

enum sy_table_role { SY_TABLE_READ, SY_TABLE_TARGET, SY_TABLE_DEFINE /* DDL, LOCK, VACUUM ... */ };

struct sy_table_use {
    struct sy_qname name;
    struct sy_slice
        alias; /* the name by which columns refer to it (alias, else the table's name) */
    int32_t scope;
    enum sy_table_role role;
    bool nullable_side; /* may be null-extended by an outer join */
};

/* ---- conditions ---- */

enum sy_cond_kind {
    SY_COND_AND,     /* children */
    SY_COND_OR,      /* children */
    SY_COND_COMPARE, /* column op value(s) */
    SY_COND_FALSE,   /* constant false or null: no row */
    SY_COND_OTHER,   /* restricts rows in a way not understood: treat as true */
};

enum sy_cond_op { SY_OP_EQ, SY_OP_IN, SY_OP_LT, SY_OP_LE, SY_OP_GT, SY_OP_GE, SY_OP_IS_NULL };

/* BETWEEN becomes AND of GE and LE; row comparison (a,b)=(1,2) becomes AND of EQ; x = ANY(array) is
 * SY_OP_IN. */
struct sy_cond {
    enum sy_cond_kind kind;
    enum sy_cond_op op;
    int32_t first_child, child_count; /* into cond_children (indexes into conds) */
    int32_t table; /* index into tables; SY_NO_INDEX: the column is unqualified (scope tells where
                      to look) */
    int32_t scope; /* of the expression */
    struct sy_slice column;
    int32_t first_value, value_count; /* into values */
};

/*
 * Equality of two columns, directed: rows of `to` that matter have to.column equal to some row's
 * from.column, so whatever restricts `from` restricts `to`. An inner join gives both directions; a
 * left join gives preserved -> nullable only; a correlated subquery gives outer -> inner only.
 *
 * An unqualified column of an ON clause of an outer join or inside a larger FROM (first_table <
 * end_table) is one of the tables [first_table, end_table) of that scope; who has no schema cannot
 * know of which.
 * Either an unqualified name or both may mean a scope around: then the direction must be checked
 * again, since only outer -> inner holds.
 */
struct sy_equality {
    int32_t first_table, end_table; /* both 0: all tables of the scope */
    int32_t to_first, to_end;       /* and the tables among them that may be restricted */
    int32_t from_table, to_table;   /* SY_NO_INDEX: unqualified */
    int32_t from_scope, to_scope;   /* where an unqualified name is looked up */
    struct sy_slice from_column, to_column;
};

/* An item of SET (UPDATE, ON CONFLICT DO UPDATE, MERGE) or of the INSERT of a MERGE, in any scope.
 */
struct sy_assignment {
    struct sy_slice column; /* empty: an INSERT of MERGE without a column list */
    struct sy_value value;
    int32_t scope;
};

/* An INSERT in any scope. That of scope 0 is told in sy_stmt's own fields as well. */
struct sy_insert {
    int32_t scope, table;
    int32_t first_column, column_count;            /* into sy_stmt.columns */
    int32_t row_first_value, row_count, row_width; /* into values, as in sy_stmt */
    bool from_select, default_values, has_on_conflict;
    bool conflict_named; /* ON CONFLICT (columns), all of them plain */
    bool conflict_any;   /* ON CONFLICT DO NOTHING: whatever constraint */
    int32_t first_conflict_column, conflict_column_count; /* into sy_stmt.columns */
    int32_t first_output,
        output_count; /* INSERT ... SELECT a, 5, ...: into sy_stmt.outputs; 0: not a plain list */
};

/* A column that a query puts out: a plain column, else a plain value (kind OPAQUE: neither). */
struct sy_output {
    int32_t table; /* as in sy_cond; SY_NO_INDEX: unqualified, looked up in `scope` */
    int32_t scope;
    struct sy_slice column; /* empty: not a plain column */
    struct sy_value value;
};

/* A call of set_config(), which acts like SET. A value is OPAQUE when it is not a literal or
 * parameter. */
struct sy_set_config {
    struct sy_value name, value, is_local;
};

enum sy_constraint_kind {
    SY_CONSTRAINT_PRIMARY,
    SY_CONSTRAINT_UNIQUE, /* also a unique index; columns without those that are expressions */
    SY_CONSTRAINT_EXCLUDE,
    SY_CONSTRAINT_FOREIGN,
    SY_CONSTRAINT_COPIED, /* LIKE ... INCLUDING INDEXES: whatever the other table has */
};

/* A constraint that DDL of the first table defines. */
struct sy_constraint {
    enum sy_constraint_kind kind;
    struct sy_slice name;               /* given or as PostgreSQL chooses it; empty: not known */
    int32_t first_column, column_count; /* into sy_stmt.columns */
    struct sy_qname target;             /* FOREIGN: the other table ... */
    int32_t first_target, target_count; /* ... and its columns; 0: its primary key */
};

enum sy_column_change_kind {
    SY_COLUMN_DEFINED, /* by CREATE TABLE or ADD COLUMN */
    SY_COLUMN_COPIED,  /* all columns of `source`: LIKE, INHERITS, PARTITION OF */
    SY_COLUMN_UNKNOWN, /* those of a type: OF */
    SY_COLUMN_DROPPED,
    SY_COLUMN_RENAMED,
    SY_COLUMN_RETYPED,
};

/* What DDL of the first table does to its columns. */
struct sy_column_change {
    enum sy_column_change_kind kind;
    struct sy_slice name; /* the old one of RENAMED; empty: COPIED, UNKNOWN */
    struct sy_slice type; /* DEFINED, RETYPED: the last part of its name; empty: not given */
    bool is_builtin_type; /* its name is unqualified or in pg_catalog */
    bool is_array;
    bool has_modifier; /* varchar(10) */
    int32_t modifier;  /* a single one, SY_NO_INDEX: none, or not a plain number */
    bool has_using;    /* RETYPED: the new values are computed */
    struct sy_qname source;
};

/* A function or procedure that is called somewhere, for the volatility check. */
struct sy_function_use {
    struct sy_qname name;
    int32_t arg_count;
};

/* A size in the list of a SELECT that puts out nothing but sizes and reads no rows. */
struct sy_size_use {
    struct sy_qname relation; /* its name is empty: of a database */
    struct sy_slice database; /* as a literal names it; empty: current_database() */
    bool pretty;              /* through pg_size_pretty() */
};

enum sy_set_scope { SY_SET_SESSION, SY_SET_LOCAL, SY_SET_TRANSACTION, SY_SET_CHARACTERISTICS };

enum sy_copy_format { SY_COPY_TEXT, SY_COPY_CSV, SY_COPY_BINARY };

/* Options of COPY as written; a zero delimiter/quote/escape means the format's default. */
struct sy_copy_facts {
    enum sy_copy_format format;
    bool from_stdin_or_to_stdout;
    bool is_query; /* COPY (query) TO */
    bool header;   /* HEADER true or MATCH */
    bool header_match;
    char delimiter, quote, escape;
    struct sy_slice null_text; /* empty data: the format's default */
    bool has_null_text;
    struct sy_slice encoding; /* empty: client_encoding */
    bool has_force_null;      /* FORCE_NULL / FORCE_NOT_NULL given */
    bool has_where;
    bool has_freeze;
};

/* One statement. */
struct sy_stmt {
    enum sy_stmt_kind kind;
    const char *tag; /* command tag word(s) for messages: "SELECT", "CREATE TABLE" */
    uint32_t text_from,
        text_to; /* bytes of the parsed text (of the first text seen with this template) */

    struct sy_scope *scopes;
    int32_t scope_count;
    struct sy_table_use *tables;
    int32_t table_count; /* CTE names are not tables and are left out */
    struct sy_cond *conds;
    int32_t cond_count;
    int32_t *cond_children;
    struct sy_value *values;
    int32_t value_count;
    struct sy_equality *equalities;
    int32_t equality_count;
    struct sy_function_use *functions;
    int32_t function_count;
    struct sy_set_config *set_configs;
    int32_t set_config_count;
    struct sy_size_use *sizes; /* one for each column; none: it is not such a SELECT */
    int32_t size_count;

    /* What the statement does. */
    bool writes; /* DML anywhere (CTEs included), locking clause, SELECT INTO, nextval/setval... is
                    by function */
    bool creates_temp;    /* CREATE TEMP TABLE/VIEW/SEQUENCE, SELECT INTO TEMP */
    bool counts_sequence; /* DDL: makes a sequence (serial, identity ...) or says how one counts; */
    bool restarts_sequence;  /* ... RESTART among others */
    bool not_in_transaction; /* CREATE INDEX CONCURRENTLY, VACUUM, CREATE DATABASE ... */
    bool has_parameters;     /* any $n */
    int32_t parameter_max;   /* highest n */
    bool has_returning;
    const char *bound; /* what it names that only the rows' own server can tell (system columns,
                          ONLY, TABLESAMPLE, regclass ...), in words; NULL: nothing */
    bool names_places; /* a system column or TABLESAMPLE, but for its own RETURNING: what says where
                          a row is stored, which is not the same in copies of a table */
    bool uses_advisory_lock; /* session-level pg_advisory_lock family */
    bool too_deep; /* nesting beyond SY_LIMIT_PARSE_DEPTH: conditions are incomplete, refuse on
                      sharded databases */

    /* INSERT and COPY: the column list (empty: all columns in order) and the rows of VALUES, row by
     * row. */
    struct sy_slice *columns;
    int32_t column_count;
    int32_t row_first_value, row_count,
        row_width; /* values[row_first_value + r*row_width + c]; row_width may vary never */
    bool insert_from_select;
    bool insert_default_values;
    bool has_on_conflict;
    bool override_identity;

    struct sy_insert *inserts;
    int32_t insert_count;
    struct sy_output *outputs;
    int32_t output_count;

    struct sy_constraint *constraints;
    int32_t constraint_count;

    struct sy_column_change *column_changes;
    int32_t column_change_count;

    struct sy_assignment *assignments;
    int32_t assignment_count; /* UPDATE SET, ON CONFLICT DO UPDATE SET, MERGE */

    /* LIMIT/OFFSET of scope 0 (kind OPAQUE when an expression or WITH TIES; NULL when there is
     * none). */
    struct sy_value limit, offset;

    /* Statement-specific names: SET/SHOW/RESET variable ("all" for RESET ALL/DISCARD ALL in
     * `name`), prepared statement, portal, savepoint, channel, GID. DISCARD: name is "all",
     * "plans", "sequences" or "temp". */
    struct sy_slice name;
    enum sy_set_scope set_scope;
    bool set_to_default;
    bool all; /* DEALLOCATE ALL, CLOSE ALL, UNLISTEN *, RESET ALL, SHOW ALL, DISCARD ALL: `name` is
                 "all" then */
    struct sy_value *arguments;
    int32_t argument_count;          /* SET values, EXECUTE and CALL arguments, NOTIFY payload */
    struct sy_slice *argument_words; /* as long as `arguments`: the word where a SET value is a bare
                                        word (kind OPAQUE), else empty */
    bool chain;                      /* COMMIT/ROLLBACK AND CHAIN */
    bool transaction_read_only;      /* BEGIN READ ONLY, SET TRANSACTION READ ONLY */
    bool transaction_read_write;
    bool transaction_deferrable, transaction_not_deferrable;
    struct sy_slice isolation; /* "serializable", "repeatable read", ... or empty */
    bool with_hold;            /* DECLARE ... WITH HOLD */
    bool explain_analyze;
    bool explain_route;    /* EXPLAIN (ROUTE): the router answers */
    struct sy_stmt *inner; /* PREPARE, EXPLAIN, DECLARE, COPY (query) TO, CREATE TABLE AS, CREATE
                              VIEW: the statement inside */
    uint32_t inner_text_from, inner_text_to; /* both 0: unknown (CREATE TABLE AS, CREATE VIEW) */
    struct sy_copy_facts copy;
    /* DDL: what kind of object, for messages and for deciding where it goes ("table", "index",
     * "view", ...). */
    struct sy_slice object_kind;
};

/* Hints from a leading comment: / * switchyard: shard=s1 * / etc. Read from the text, not from the
 * tree. */
struct sy_hints {
    struct sy_slice shard; /* empty: not given */
    struct sy_slice key;
    enum { SY_HINT_ROLE_NONE, SY_HINT_ROLE_PRIMARY, SY_HINT_ROLE_REPLICA } role;
};

/* All statements of one query text. */
struct sy_facts {
    struct sy_stmt *stmts;
    int32_t stmt_count;
};

#endif
