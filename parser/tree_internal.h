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

#include "base/err.h"
#include "base/slice.h"

struct sy_tree {
    List *stmts;           /* of RawStmt; NULL for an empty text */
    MemoryContext context; /* holds the tree */
};

/*
 * Parses `text`. Errors: SY_E_SYNTAX with PostgreSQL's own message, SQLSTATE and position;
 * SY_E_NO_MEMORY. Nothing is to be freed after an error.
 */
SY_MUST_CHECK enum sy_status sy_tree_parse(struct sy_slice text, struct sy_tree *ret_tree,
                                           struct sy_err *err);
void sy_tree_free(struct sy_tree *tree);

/* The children of a node, lists included. False when `index` is past the last; a child may be NULL.
 */
bool sy_tree_child(const Node *node, unsigned index, const Node **ret_child);
/* True when every node below is of a known kind and nesting stays within depth_max levels. */
bool sy_tree_within_depth(const Node *node, int depth_max);

#endif
