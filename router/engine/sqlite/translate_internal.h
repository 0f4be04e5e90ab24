/*
 * Shared by the files translate*.c only. A translation is one walk over the parse tree that builds
 * SQLite text bottom up: every expression is turned into (text, PostgreSQL type), and a coercion
 * wraps the text. Names are resolved by us, so that SQLite sees only qualified, quoted names that
 * exist.
 *
 * Texts of expressions are self-delimited (a literal, a column, a call, or parenthesised), so
 * templates need no precedence. A function that returns NULL or false has filled cx->err.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_TRANSLATE_INTERNAL_H
#define SY_ROUTER_ENGINE_SQLITE_TRANSLATE_INTERNAL_H

#include <pg_query/pg_query.pb-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "router/engine/sqlite/catalog_data.h"
#include "router/engine/sqlite/translate.h"

typedef PgQuery__Node sq_node; /* the library's own typedef under a short name */

enum {
    SQ_DEPTH_MAX = 400,    /* nesting of the tree; SQLite's own expression limit is 1000 */
    SQ_ARGS_MAX = 100,     /* as PostgreSQL's FUNC_MAX_ARGS */
    SQ_COLUMNS_MAX = 1600, /* as PostgreSQL's */
};

enum sq_expr_kind {
    SQ_PLAIN,
    SQ_LITERAL, /* quoted string whose type is not known yet (literal != NULL) or bare NULL */
    SQ_PARAM,
    SQ_COLUMN,
    SQ_CONSTANT, /* a literal of known type */
    SQ_RECORD,   /* fields[] */
};

struct sq_expr {
    const char *sql;
    uint32_t type;
    int32_t typmod;
    int32_t location;
    enum sq_expr_kind kind;
    const char *literal; /* SQ_LITERAL: the string; NULL: the value NULL */
    int32_t param;       /* SQ_PARAM */
    bool not_null;
    uint32_t table_oid; /* SQ_COLUMN of a table */
    int16_t attnum;
    struct sq_field *fields; /* SQ_RECORD */
    uint32_t field_count;
};

struct sq_field {
    const char *name;
    struct sq_expr *expr;
};

/* A growing list of pointers. */
struct sq_list {
    void **items;
    uint32_t count, capacity;
};

/* One name that FROM brings in: a relation or a join. */
struct sq_nsitem {
    const char *name; /* NULL: an unnamed join */
    bool rel_visible, cols_visible;
    struct sq_field *columns; /* expr: text, type */
    uint32_t column_count;
    const struct sy_sqrelation *relation; /* NULL: subquery, function, join */
    const char *sql_name;                 /* quoted, as in SQLite */
    bool scalar;                          /* a function of one column: its name is also its value */
};

struct sq_cte {
    const char *name;
    struct sq_field *columns;
    uint32_t column_count;
    bool referenced;
    bool no_rows; /* changes rows and returns none */
};

/* One query level. */
struct sq_level {
    struct sq_level *parent;
    struct sq_list items; /* struct sq_nsitem */
    struct sq_list ctes;  /* struct sq_cte */
    const char
        *clause; /* "WHERE", "JOIN conditions" ...: where aggregates are refused; NULL: allowed */
    bool no_windows; /* window functions refused in this clause */
    bool in_aggregate;
    bool has_aggregate;
    struct sq_list group_sql;  /* char *: texts of GROUP BY expressions */
    struct sq_list loose;      /* struct sq_loose: columns used outside aggregates, to be judged */
    struct sq_list windows;    /* struct sq_window */
    struct sq_list extra_from; /* char *: set-returning functions of the SELECT list */
    bool srf_allowed;
    bool correlated;        /* refers to an outer level */
    bool hidden;            /* its FROM items are out of sight (a subquery in FROM is being read) */
    uint32_t first_visible; /* items before this one are out of sight (inside ON) */
};

struct sq_loose {
    const struct sq_nsitem *item;
    const char *column;
    const char *sql;
    int32_t location;
};

struct sq_window {
    const char *name;
    const PgQuery__WindowDef *def;
};

/* A query before its text: targets can still be coerced. */
struct sq_query {
    struct sq_field *columns;
    uint32_t column_count;
    bool is_setop;
    /* plain SELECT: "SELECT [DISTINCT] <targets> <tail>" */
    const char *head, *tail;
    /* set operation */
    struct sq_query *left, *right;
    const char *op;
    bool all_rewritten; /* INTERSECT ALL / EXCEPT ALL by row numbers */
    /* VALUES: rows of expressions */
    struct sq_expr **rows;
    uint32_t row_count;
    const char *with;  /* "WITH ... " before the whole query */
    const char *order; /* " ORDER BY ..." of a set operation or VALUES, with LIMIT */
    bool has_limit_or_order;
    bool single_row;  /* never more than one row */
    bool distinct_on; /* head/tail wrap an inner query: see translate_select.c */
    struct sq_query *inner;
};

struct sq_cx {
    const struct sy_sqinput *input;
    struct sy_arena *arena;
    struct sy_err *err;
    struct sq_level *level;
    uint32_t *param_types;
    uint32_t param_count, param_capacity;
    uint32_t depth;
    uint32_t next_alias; /* for invented names */
    bool writes, calls_sequences;
    struct sq_list relations;         /* char * */
    struct sq_list notices;           /* struct sy_sqnotice */
    const struct sq_nsitem *excluded; /* ON CONFLICT DO UPDATE */
    bool in_index; /* index expressions and predicates: immutable functions only */
    uint32_t view_depth;
    bool bare_columns; /* CHECK, index, generated: columns without a table name */
    bool in_default;   /* a default: no columns at all */
    /* Statements in the outermost WITH that change rows: translate_changes.c. */
    const PgQuery__WithClause *outermost; /* NULL: there is none */
    struct sq_list changes;               /* struct sy_sqstep */
    struct sq_list changed, used_in_with; /* char *: tables */
    uint32_t kept_count;
};

/* ---- translate.c: errors, text, lists ---- */

/* All return false / NULL so that callers `return sq_error(...)`. location: byte offset in the
 * text, -1: none. */
bool sq_error(struct sq_cx *cx, const char *sqlstate, int32_t location, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void *sq_error_null(struct sq_cx *cx, const char *sqlstate, int32_t location, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));
void *sq_unsupported(struct sq_cx *cx, int32_t location, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *sq_printf(struct sq_cx *cx, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void *sq_alloc(struct sq_cx *cx, size_t bytes);
bool sq_list_add(struct sq_cx *cx, struct sq_list *list, void *item);
/* Quoted identifier / string literal. */
const char *sq_ident(struct sq_cx *cx, const char *name);
const char *sq_string(struct sq_cx *cx, const char *text, size_t bytes);
/* A buffer for longer texts, finished into the arena. */
const char *sq_finish(struct sq_cx *cx, struct sy_buf *buf);
bool sq_enter(struct sq_cx *cx); /* depth check; paired with sq_leave */
void sq_leave(struct sq_cx *cx);
const char *sq_str(const sq_node *node); /* of a String node, else NULL */
bool sq_note_relation(struct sq_cx *cx, const char *name);
bool sq_notice(struct sq_cx *cx, const char *sqlstate, const char *text);
/* Parses PostgreSQL text (a view, a default) and gives its only statement. Freed by *ret_owner's
 * free function. */
PgQuery__ParseResult *sq_parse(struct sq_cx *cx, const char *text);
void sq_parse_free(PgQuery__ParseResult *tree);

/* ---- translate_type.c ---- */

bool sq_type_name(struct sq_cx *cx, const PgQuery__TypeName *name, uint32_t *ret_type,
                  int32_t *ret_typmod);
const char *sq_type_display(struct sq_cx *cx, uint32_t type);
struct sq_expr *sq_new(struct sq_cx *cx, uint32_t type, int32_t location, const char *sql);
/* Implicit coercion exists (PostgreSQL's can_coerce_type). context: i, a or e. */
bool sq_can_coerce(uint32_t from, uint32_t to, char context);
/* NULL: error 42846/42804 set by the caller's choice of context. */
struct sq_expr *sq_coerce(struct sq_cx *cx, struct sq_expr *expr, uint32_t type, int32_t typmod,
                          char context, int32_t location);
/* For INSERT/UPDATE: error names the column. */
struct sq_expr *sq_coerce_assign(struct sq_cx *cx, struct sq_expr *expr,
                                 const struct sy_sqcolumn *column);
/* select_common_type; 0: error is set. what: "CASE", "UNION", "IN", ... */
uint32_t sq_common_type(struct sq_cx *cx, struct sq_expr **exprs, uint32_t count, const char *what);
/* Argument of WHERE, AND ...: boolean or 42804. */
struct sq_expr *sq_coerce_bool(struct sq_cx *cx, struct sq_expr *expr, const char *what);
/* The text with its collation, for comparisons, DISTINCT, ORDER BY. */
const char *sq_collated(struct sq_cx *cx, const struct sq_expr *expr);
/* Unknown literals and undetermined parameters of an output become text. */
struct sq_expr *sq_settle(struct sq_cx *cx, struct sq_expr *expr);
bool sq_is_string(uint32_t type);
struct sq_expr *sq_literal_typed(struct sq_cx *cx, const char *text, uint32_t type, int32_t typmod,
                                 int32_t location, bool explicit_cast);

/* ---- translate_resolve.c: operators and functions by PostgreSQL's rules ---- */

struct sq_expr *sq_operator_call(struct sq_cx *cx, const char *name, struct sq_expr *left,
                                 struct sq_expr *right, int32_t location);
/* Picks a pg_proc row; coerces args in place (variadic and defaults done). NULL: error set. */
const struct sq_proc *sq_resolve_proc(struct sq_cx *cx, const char *name, struct sq_expr **args,
                                      uint32_t *arg_count, int32_t location, uint32_t *ret_type,
                                      bool star);
/* Fills a template. */
const char *sq_expand(struct sq_cx *cx, const char *template_, struct sq_expr **args,
                      uint32_t arg_count, uint32_t result_type);

/* ---- translate_expr.c ---- */

struct sq_expr *sq_expr(struct sq_cx *cx, const sq_node *node);
struct sq_expr *sq_expr_bool(struct sq_cx *cx, const sq_node *node, const char *what);
const char *sq_default_name(const sq_node *node); /* FigureColname */
struct sq_expr *sq_expr_in(struct sq_cx *cx, const PgQuery__AExpr *node);
struct sq_expr *sq_expr_any_array(struct sq_cx *cx, const PgQuery__AExpr *node, bool all);
struct sq_expr *sq_expr_sublink(struct sq_cx *cx, const PgQuery__SubLink *node);
struct sq_expr *sq_expr_array(struct sq_cx *cx, const PgQuery__AArrayExpr *node,
                              uint32_t element_type);
struct sq_expr *sq_expr_row(struct sq_cx *cx, const PgQuery__RowExpr *node);
struct sq_expr *sq_record_settle(struct sq_cx *cx, struct sq_expr *expr);

/* ---- translate_func.c ---- */

struct sq_expr *sq_expr_func(struct sq_cx *cx, const PgQuery__FuncCall *node);
struct sq_expr *sq_expr_sqlvalue(struct sq_cx *cx, const PgQuery__SQLValueFunction *node);

/* ---- translate_from.c ---- */

struct sq_level *sq_push_level(struct sq_cx *cx);
void sq_pop_level(struct sq_cx *cx);
/* The FROM text; adds to cx->level->items. */
const char *sq_from(struct sq_cx *cx, sq_node *const *from, size_t count);
struct sq_expr *sq_expr_column(struct sq_cx *cx, const PgQuery__ColumnRef *node);
struct sq_expr *sq_find_column(struct sq_cx *cx, const char *name, int32_t location, bool quiet);
const struct sy_sqrelation *sq_find_relation(struct sq_cx *cx, const PgQuery__RangeVar *range,
                                             bool missing_ok);
struct sq_nsitem *sq_add_relation(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                  const char *alias, const char *sql_name);
const char *sq_relation_sql(const struct sy_sqrelation *relation);
/* Function in FROM, or moved there from the SELECT list: text with alias, columns. */
const char *sq_from_function(struct sq_cx *cx, const PgQuery__FuncCall *call, const char *alias,
                             bool ordinality, struct sq_field **ret_columns, uint32_t *ret_count);

/* ---- translate_select.c ---- */

/* Analyses SELECT/VALUES/set operations in a level of its own. */
struct sq_query *sq_select(struct sq_cx *cx, const PgQuery__SelectStmt *select);
const char *sq_query_text(struct sq_cx *cx, struct sq_query *query);
bool sq_query_settle(struct sq_cx *cx, struct sq_query *query);
/* The target list of SELECT or RETURNING with stars expanded. */
bool sq_targets(struct sq_cx *cx, sq_node *const *list, size_t count, struct sq_field **ret_columns,
                uint32_t *ret_count);
const char *sq_target_text(struct sq_cx *cx, const struct sq_field *columns, uint32_t count,
                           bool named);
/* " ORDER BY a, b" over output columns and the level's names; empty when there is none. */
const char *sq_order_by(struct sq_cx *cx, sq_node *const *sort, size_t count,
                        const struct sq_field *outputs, uint32_t output_count, bool ordinals);
const char *sq_sort_item(struct sq_cx *cx, const PgQuery__SortBy *sort, const char *sql,
                         bool not_null);
const char *sq_with(struct sq_cx *cx, const PgQuery__WithClause *with);
const char *sq_limit(struct sq_cx *cx, const PgQuery__SelectStmt *select);
/* Columns that an item brings, renamed by an alias's column list. */
/* Names of SQLite for the output columns, unique without regard to case; in place. */
bool sq_unique_names(struct sq_cx *cx, struct sq_query *query);
struct sq_cte *sq_find_cte(struct sq_cx *cx, const char *name);

/* ---- translate_setop.c ---- */
struct sq_query *sq_setop(struct sq_cx *cx, const PgQuery__SelectStmt *select);
struct sq_query *sq_values(struct sq_cx *cx, const PgQuery__SelectStmt *select);
bool sq_group_check(struct sq_cx *cx);

/* ---- translate_window.c ---- */
const char *sq_window_spec(struct sq_cx *cx, const PgQuery__WindowDef *def);

/* ---- results ---- */

struct sq_out {
    struct sy_sqtranslation *t;
    struct sq_list steps;    /* struct sy_sqstep */
    struct sq_list ddl;      /* struct sy_sqddl */
    struct sq_list restarts; /* char * */
};

bool sq_step(struct sq_cx *cx, struct sq_out *out, const char *sql, bool main);
bool sq_ddl(struct sq_cx *cx, struct sq_out *out, enum sy_sqddl_kind kind, const char *schema,
            const char *name, const struct sy_sqrelation *relation);
bool sq_result_columns(struct sq_cx *cx, struct sq_out *out, const struct sq_field *columns,
                       uint32_t count);

/* ---- translate_changes.c ---- */

/* The text of a name in WITH whose statement changes rows; `before`: the WITH so far. */
const char *sq_changing_cte(struct sq_cx *cx, const PgQuery__CommonTableExpr *node,
                            struct sq_cte *cte, const char *before);
/* Puts their steps before the main one. */
bool sq_finish_changes(struct sq_cx *cx, struct sq_out *out);

/* ---- translate_dml.c ---- */
bool sq_insert(struct sq_cx *cx, const PgQuery__InsertStmt *node, struct sq_out *out);
bool sq_update(struct sq_cx *cx, const PgQuery__UpdateStmt *node, struct sq_out *out);
bool sq_delete(struct sq_cx *cx, const PgQuery__DeleteStmt *node, struct sq_out *out);
bool sq_truncate(struct sq_cx *cx, const PgQuery__TruncateStmt *node, struct sq_out *out);
const char *sq_on_conflict(struct sq_cx *cx, const struct sy_sqrelation *relation,
                           const char *alias, const char *sql_name,
                           const PgQuery__OnConflictClause *node);
const char *sq_assignments(struct sq_cx *cx, const struct sy_sqrelation *relation,
                           sq_node *const *list, size_t count);
/* The value a column gets when the statement gives none. */
struct sq_expr *sq_column_default(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                  const struct sy_sqcolumn *column);
/* Wraps the value of a rowid column and others so that SQLite's own check is PostgreSQL's. */
const char *sq_stored(struct sq_cx *cx, const struct sy_sqrelation *relation,
                      const struct sy_sqcolumn *column, const struct sq_expr *value);
int sq_column_index(const struct sy_sqrelation *relation, const char *name);
/* Translates a stored PostgreSQL expression text in the current level. */
struct sq_expr *sq_expr_text(struct sq_cx *cx, const char *text);

/* ---- translate_ddl.c ... ---- */
bool sq_create_table(struct sq_cx *cx, const PgQuery__CreateStmt *node, struct sq_out *out);
bool sq_create_table_as(struct sq_cx *cx, const PgQuery__CreateTableAsStmt *node,
                        struct sq_out *out);
bool sq_create_view(struct sq_cx *cx, const PgQuery__ViewStmt *node, struct sq_out *out);
bool sq_create_index(struct sq_cx *cx, const PgQuery__IndexStmt *node, struct sq_out *out);
bool sq_create_sequence(struct sq_cx *cx, const PgQuery__CreateSeqStmt *node, struct sq_out *out);
bool sq_alter_sequence(struct sq_cx *cx, const PgQuery__AlterSeqStmt *node, struct sq_out *out);
bool sq_alter_table(struct sq_cx *cx, const PgQuery__AlterTableStmt *node, struct sq_out *out);
bool sq_rename(struct sq_cx *cx, const PgQuery__RenameStmt *node, struct sq_out *out);
bool sq_drop(struct sq_cx *cx, const PgQuery__DropStmt *node, struct sq_out *out);
bool sq_comment(struct sq_cx *cx, const PgQuery__CommentStmt *node, struct sq_out *out);

/* The CREATE TABLE and CREATE INDEX texts of a definition. */
const char *sq_table_sql(struct sq_cx *cx, const struct sy_sqrelation *relation,
                         const char *sqlite_name);
const char *sq_index_sql(struct sq_cx *cx, const struct sy_sqrelation *relation,
                         const struct sy_sqindex *index);
/* PostgreSQL text of an expression or query node. */
const char *sq_deparse(struct sq_cx *cx, sq_node *node);
const char *sq_deparse_query(struct sq_cx *cx, sq_node *node);
/* An expression over one table's columns in SQLite's text, for CHECK, indexes and generated
 * columns. */
struct sq_expr *sq_table_expr(struct sq_cx *cx, const struct sy_sqrelation *relation,
                              const char *text, bool immutable);

/* A relation that is being defined: lists that grow. */
struct sq_def {
    struct sy_sqrelation *relation;
    struct sy_sqcolumn *columns;
    uint32_t column_count, column_capacity;
    struct sq_list constraints; /* struct sy_sqconstraint */
    struct sq_list indexes;     /* struct sy_sqindex */
    struct sq_list sequences;   /* struct sy_sqrelation */
};

bool sq_def_init(struct sq_cx *cx, struct sq_def *def, const struct sy_sqrelation *from,
                 uint32_t room);
/* Puts the lists into the relation. */
bool sq_def_finish(struct sq_cx *cx, struct sq_def *def);
/* A column's constraint with what stands behind it as nodes of their own: DEFERRABLE ... */
PgQuery__Constraint sq_column_constraint(const PgQuery__ColumnDef *node, size_t at);
/* GENERATED ... AS IDENTITY: the column gets a sequence. */
bool sq_def_identity(struct sq_cx *cx, struct sq_def *def, struct sy_sqcolumn *column,
                     const PgQuery__Constraint *node);
bool sq_def_column(struct sq_cx *cx, struct sq_def *def, const PgQuery__ColumnDef *node);
bool sq_def_constraint(struct sq_cx *cx, struct sq_def *def, const PgQuery__Constraint *node,
                       int column);
/* PostgreSQL's ChooseRelationName: table_column_label, cut, numbered until unused. */
const char *sq_choose_name(struct sq_cx *cx, const struct sq_def *def, const char *a, const char *b,
                           const char *label);
bool sq_name_taken(struct sq_cx *cx, const char *name);
bool sq_check_schema(struct sq_cx *cx, const PgQuery__RangeVar *range);
struct sy_sqsequence *sq_sequence_options(struct sq_cx *cx, const struct sy_sqsequence *from,
                                          sq_node *const *options, size_t count, uint32_t type,
                                          bool *ret_restart);
/* DDL steps of the indexes of a definition. */
bool sq_index_steps(struct sq_cx *cx, struct sq_out *out, const struct sy_sqrelation *relation);
/* Steps that give the table the text of its new definition, without touching its rows. */
bool sq_redefine(struct sq_cx *cx, struct sq_out *out, const struct sy_sqrelation *relation);

#endif
