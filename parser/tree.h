/*
 * What parser/tree*.c offer to the rest of parser/ without showing PostgreSQL's node structs.
 * Private to parser/.
 */
#ifndef SY_PARSER_TREE_H
#define SY_PARSER_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/*
 * Parses `text` and packs its tree as libpg_query's protobuf ParseResult. *ret_data is malloc'ed,
 * the caller's. Errors: as sy_parse_protobuf().
 */
SY_MUST_CHECK enum sy_status sy_tree_pack(struct sy_slice text, uint8_t **ret_data,
                                          size_t *ret_bytes, struct sy_err *err);

#endif
