/*
 * The public protobuf form of a parse tree, for code that rewrites or translates statements (the
 * raw tree is private to parser/tree*.c). It costs about ten times the raw parse: not for the path
 * of every statement.
 */
#ifndef SY_PARSER_PROTOBUF_H
#define SY_PARSER_PROTOBUF_H

#include <pg_query/pg_query.pb-c.h>

#include "base/err.h"
#include "base/slice.h"

/*
 * Parses `text` into *ret_result, to be freed with sy_protobuf_free(). Locations in the tree are
 * byte offsets into `text`. Errors: SY_E_SYNTAX with PostgreSQL's own message, err->position
 * (1-based character) and SQLSTATE; SY_E_LIMIT (54001) for a tree nested deeper than
 * SY_LIMIT_PARSE_DEPTH, which would overrun the stack of whoever walks it; SY_E_NO_MEMORY. Thread:
 * one of the fixed set that parses; the result may go to another thread.
 */
SY_MUST_CHECK enum sy_status
sy_parse_protobuf(struct sy_slice text, PgQuery__ParseResult **ret_result, struct sy_err *err);
/* Frees and sets NULL; accepts NULL inside. */
void sy_protobuf_free(PgQuery__ParseResult **result);

#endif
