/*
 * The raw parse tree of libpg_query: private to parser/tree*.c, the only files that see
 * PostgreSQL's own node structs. Every other file of the program works on facts or on the public
 * protobuf tree.
 *
 * The interface is not a stable one: it belongs to libpg_query 15-4.0.0 and the PostgreSQL 15
 * headers. A tree lives between sy_tree_parse() and sy_tree_free(). Nothing here may reach a
 * function of the library that calls elog(): outside the library's own guards that ends the
 * process.
 *
 * Thread: the library keeps its state per thread; parse and free on the same one.
 */
#ifndef SY_PARSER_TREE_INTERNAL_H
#define SY_PARSER_TREE_INTERNAL_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"

#undef printf
#undef fprintf
#undef sprintf
#undef snprintf
#undef vprintf
#undef vfprintf
#undef vsprintf
#undef vsnprintf
#undef strerror
#undef strerror_r

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "parser/facts.h"
#include "parser/tree.h"

struct sy_tree {
    List *stmts;           /* of RawStmt; NULL for an empty text */
    MemoryContext context; /* holds the tree */
};

/*
 * Parses `text`. Errors: SY_E_SYNTAX with PostgreSQL's own message, SQLSTATE and position;
 * SY_E_NO_MEMORY. Nothing is to be freed after an error.
 */
SY_MUST_CHECK enum sy_status sy_tree_parse(struct sy_slice text, bool conforming_strings,
                                           struct sy_tree *ret_tree, struct sy_err *err);
void sy_tree_free(struct sy_tree *tree);

/* The children of a node, lists included. False when `index` is past the last; a child may be NULL.
 */
bool sy_tree_child(const Node *node, unsigned index, const Node **ret_child);
/* True when every node below is of a known kind and nesting stays within depth_max levels. */
bool sy_tree_within_depth(const Node *node, int depth_max);

/* tree_bound.c: see sy_stmt.bound and names_places. */
struct sy_facts_context;
void sy_tree_bound(struct sy_facts_context *context, const Node *node, struct sy_stmt *stmt);

/* ---- building facts ---- */

/* A growing array of plain items. */
struct sy_vec {
    char *data;
    size_t item_bytes;
    int32_t count, capacity;
};

/* What all statements of one text share while facts are made. */
struct sy_facts_context {
    struct sy_arena *arena;
    const struct sy_tree_input *input;
    uint32_t literal_hint;  /* where the next literal probably is */
    uint8_t *literal_state; /* per literal: enum sy_literal_state */
    enum sy_status status;  /* first failure */
    struct sy_err *err;
    int depth; /* of the walk, statements inside statements included */
    /* Whether the text may have a name that sy_tree_bound() looks for: once for all statements. */
    bool names_looked_for, may_name_bound;
};

/* A literal is LIFTED when every use of it was recorded by position; READ once its content decided
 * something. */
enum sy_literal_state { SY_LITERAL_UNSEEN, SY_LITERAL_LIFTED, SY_LITERAL_READ };

/* FROM items in sight at once. Each qualified name looks through them; more make the statement
 * too_deep. */
enum { SY_RANGES_MAX = 1024 };

/* What a name in front of a dot may mean: one FROM item, or the target of DML. */
struct sy_range {
    int32_t scope;
    int32_t table; /* SY_NO_INDEX: a CTE, subquery, function, or a table with renamed columns */
    struct sy_slice schema, name;
    bool has_alias;   /* then schema.name.column does not reach it */
    bool renamed;     /* an alias renames columns: unqualified names mean nothing */
    bool hidden;      /* not in sight of the FROM subquery at work, which is not LATERAL */
    const void *node; /* RangeVar it came from, NULL else */
};

/* WITH names in sight, innermost first. `visible` counts those defined so far. */
struct sy_cte_frame {
    const struct sy_cte_frame *outer;
    const List *ctes;
    int visible;
};

/* One statement in the making. */
struct sy_facts_builder {
    struct sy_facts_context *context;
    struct sy_stmt *stmt;
    struct sy_vec scopes, tables, conds, children, values, equalities, functions, set_configs,
        sizes;
    struct sy_vec columns, inserts, outputs, assignments, arguments, words, constraints,
        column_changes;
    struct sy_vec ranges; /* of the scope at work and those around it, outermost first */
    struct sy_vec stack;  /* ids of conditions that wait for their parent */
    const struct sy_cte_frame *ctes;
    const void *whole_from; /* the join that is all of FROM of the SELECT at work, NULL: none */
    const void *noted;      /* a RangeVar that the walk must not note again */
};

/* tree_build.c */
/* tree_sequence.c */
void sy_build_sequences(struct sy_facts_builder *b, const Node *node);
/* tree_constraint.c */
void sy_build_constraints(struct sy_facts_builder *b, const Node *node);
/* tree_column.c */
void sy_build_column_changes(struct sy_facts_builder *b, const Node *node);
void *sy_build_push(struct sy_facts_builder *b, struct sy_vec *vec);
struct sy_scope *sy_build_scope(struct sy_facts_builder *b, int32_t scope);
struct sy_table_use *sy_build_table(struct sy_facts_builder *b, int32_t table);
void sy_build_init(struct sy_facts_builder *b, struct sy_facts_context *context,
                   struct sy_stmt *stmt);
void sy_build_finish(struct sy_facts_builder *b);
void sy_build_no_memory(struct sy_facts_context *context);
struct sy_slice sy_build_name(struct sy_facts_builder *b, const char *name);
int32_t sy_build_new_scope(struct sy_facts_builder *b, int32_t parent, enum sy_stmt_kind kind);
int32_t sy_build_add_table(struct sy_facts_builder *b, const RangeVar *var, int32_t scope,
                           enum sy_table_role role);
/* Goes one level down; false (and too_deep set) beyond the limit. Every true needs a
 * sy_build_leave(). */
bool sy_build_enter(struct sy_facts_builder *b);
void sy_build_leave(struct sy_facts_builder *b);
/* The literal that an A_Const was made of, SY_NO_INDEX when it is none of the text's literals. */
int32_t sy_build_literal(struct sy_facts_builder *b, const A_Const *constant, bool *ret_negated);
void sy_build_literal_state(struct sy_facts_builder *b, int32_t literal,
                            enum sy_literal_state state);
/* The last string of a list of String (a function's, type's or operator's name), NULL when it is
 * not one. */
const char *sy_list_last_name(const List *names);
/* The same when the name is unqualified or in pg_catalog. */
const char *sy_list_catalog_name(const List *names);

/* tree_value.c: kind OPAQUE when the expression is not a plain value; then it has not been walked.
 */
struct sy_value sy_build_value(struct sy_facts_builder *b, const Node *node);
/* An array whose elements are wanted: appends to `values`; false when not understood (nothing
 * appended). */
bool sy_build_array_values(struct sy_facts_builder *b, const Node *node);

/* tree_cond.c */
/* What an ON or WHERE clause may restrict. */
struct sy_cond_place {
    int32_t scope;
    bool only_ranges; /* only tables of ranges [first, end), by qualified names; never FALSE as a
                         whole */
    int32_t first_range, end_range;
    bool no_unqualified;            /* an ON clause sees only its own join, not the whole scope: */
    int32_t first_table, end_table; /* these tables, */
    int32_t to_first, to_end;       /* of which it may restrict these */
    bool conjunct;                  /* reached through AND only: equalities hold */
};
/* Walks the whole clause and appends its condition's id to the stack, unless that is plain TRUE. */
void sy_build_clause(struct sy_facts_builder *b, const Node *node,
                     const struct sy_cond_place *place);
/* Joins what the stack holds above `mark` with AND; SY_NO_INDEX when that is nothing. */
int32_t sy_build_conjunction(struct sy_facts_builder *b, int32_t mark, int32_t scope);
/* What a column reference means. */
struct sy_column {
    bool found;           /* a column of a table, or an unqualified one of the scope at hand */
    int32_t scope;        /* of the table */
    int32_t table, range; /* SY_NO_INDEX: unqualified */
    const char *name;
};
struct sy_column sy_build_column(struct sy_facts_builder *b, const Node *node, int32_t scope);
void sy_build_equality(struct sy_facts_builder *b, const struct sy_column *from,
                       const struct sy_column *to);

/* tree_from.c */
void sy_build_from_item(struct sy_facts_builder *b, const Node *item, int32_t scope, bool nullable);
void sy_build_from_list(struct sy_facts_builder *b, const List *from, int32_t scope);
/* The target of DML; returns its table index. */
int32_t sy_build_target(struct sy_facts_builder *b, const RangeVar *var, int32_t scope,
                        bool nullable);

/* tree_query.c */
/* Walks any expression or list: functions, subqueries, parameters, literals. */
void sy_build_walk(struct sy_facts_builder *b, const Node *node, int32_t scope);
/* SELECT, INSERT, UPDATE, DELETE or MERGE as a scope of its own; returns its index. */
int32_t sy_build_query(struct sy_facts_builder *b, const Node *query, int32_t parent);
/* The same, but its names stay in b->ranges until the caller cuts them off. */
int32_t sy_build_query_open(struct sy_facts_builder *b, const Node *query, int32_t parent);
/* FROM is done: WHERE, RETURNING and so on of a DML statement share this. */
void sy_build_where(struct sy_facts_builder *b, const Node *where, int32_t scope);
/* WITH: makes its names visible in *frame (kept by the caller until it restores b->ctes). */
void sy_build_with(struct sy_facts_builder *b, const WithClause *with, int32_t scope,
                   struct sy_cte_frame *frame);

/* tree_size.c */
/* Notes a SELECT of sizes alone. */
void sy_build_sizes(struct sy_facts_builder *b, const SelectStmt *select);
/* Notes that a ColumnRef names what ANALYZE fills. */
void sy_build_estimates(struct sy_facts_builder *b, const Node *node, int32_t scope);

/* tree_dml.c */
void sy_build_insert(struct sy_facts_builder *b, const InsertStmt *insert, int32_t scope);
void sy_build_update(struct sy_facts_builder *b, const UpdateStmt *update, int32_t scope);
void sy_build_delete(struct sy_facts_builder *b, const DeleteStmt *del, int32_t scope);
void sy_build_merge(struct sy_facts_builder *b, const MergeStmt *merge, int32_t scope);

/* tree_stmt.c */
/* Fills *stmt from a statement of any kind; its text starts at `from`. */
void sy_build_statement(struct sy_facts_context *context, const Node *node, struct sy_stmt *stmt);
/* Makes `node` the statement inside `outer`. */
void sy_build_inner(struct sy_facts_builder *b, const Node *outer, const Node *node);

/* tree_session.c, tree_ddl.c */
/* Kinds other than queries. False when it is none of those it knows. */
bool sy_build_session(struct sy_facts_builder *b, const Node *node);
void sy_build_ddl(struct sy_facts_builder *b, const Node *node);

#endif
