/*
 * Edits a statement's protobuf tree and makes SQL of it again. Nothing is taken on trust: what the
 * deparser wrote is parsed once more and must be the edited tree, else the rewrite is refused.
 *
 * Nodes made here are malloc'ed as the tree's own: whoever puts one into a tree gives it away.
 */
#ifndef SY_PARSER_REWRITE_H
#define SY_PARSER_REWRITE_H

#include "base/arena.h"
#include "parser/protobuf.h"

/* Parses `text` with every location set to 0, so that equal expressions have equal nodes. Errors
 * and ownership: as sy_parse_protobuf(). */
SY_MUST_CHECK enum sy_status sy_rewrite_open(struct sy_slice text, PgQuery__ParseResult **ret_tree,
                                             struct sy_err *err);
/* The tree's SQL, in the arena, terminated. Errors: SY_E_UNSUPPORTED when it could not be written
 * faithfully. */
SY_MUST_CHECK enum sy_status sy_rewrite_text(const PgQuery__ParseResult *tree,
                                             struct sy_arena *arena, struct sy_slice *ret_text,
                                             struct sy_err *err);

/* ---- nodes: NULL when memory is exhausted, and for NULL ---- */

PgQuery__Node *sy_node_copy(const PgQuery__Node *node);
void sy_node_free(PgQuery__Node *node);
bool sy_node_equal(const PgQuery__Node *a, const PgQuery__Node *b);
PgQuery__Node *sy_node_integer(int64_t value);
/* These take the node they are given, also on failure. */
PgQuery__Node *sy_node_target(const char *name, PgQuery__Node *value);
PgQuery__Node *sy_node_sort(PgQuery__Node *value, bool descending, bool nulls_first);
PgQuery__Node *sy_node_collate_c(PgQuery__Node *value);
PgQuery__Node *sy_node_cast(PgQuery__Node *value, const char *type);
PgQuery__Node *sy_node_and(PgQuery__Node *left, PgQuery__Node *right);
PgQuery__Node *sy_node_operator(const char *name, PgQuery__Node *left, PgQuery__Node *right);
/* Appends to a list of a tree; takes the node. False: no memory, or node is NULL. */
bool sy_node_append(PgQuery__Node ***list, size_t *count, PgQuery__Node *node);
void sy_node_clear(PgQuery__Node ***list, size_t *count);

/* Exchanges what two nodes are, wherever they stand. */
void sy_node_swap(PgQuery__Node *a, PgQuery__Node *b);
/* DEFAULT, NULL and a string; an expression that is written out. */
PgQuery__Node *sy_node_null(void);
PgQuery__Node *sy_node_string(struct sy_slice value);
PgQuery__Node *sy_node_parse(const char *expression);
/* As in SET or the column list of INSERT: no value. */
PgQuery__Node *sy_node_column(const char *name);

/* Calls `change` for every node below `node` and for itself, until it returns false; returns that.
 * A node whose `change` sets *ret_skip is not entered; what it is may be exchanged. */
typedef bool sy_node_change(PgQuery__Node *node, void *opaque, bool *ret_skip);
bool sy_node_edit(PgQuery__Node *node, sy_node_change *change, void *opaque);

/* Calls `look` for every node below `node` and for itself, until it returns false; returns that. A
 * node whose `look` sets *ret_skip is not entered. */
typedef bool sy_node_look(const PgQuery__Node *node, void *opaque, bool *ret_skip);
bool sy_node_visit(const PgQuery__Node *node, sy_node_look *look, void *opaque);

#endif
