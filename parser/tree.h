/*
 * What parser/tree*.c offer to the rest of parser/ without showing PostgreSQL's node structs.
 * Private to parser/.
 */
#ifndef SY_PARSER_TREE_H
#define SY_PARSER_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "parser/facts.h"
#include "parser/parser.h"

/*
 * Parses `text` and packs its tree as libpg_query's protobuf ParseResult. *ret_data is malloc'ed,
 * the caller's. Errors: as sy_parse_protobuf().
 */
SY_MUST_CHECK enum sy_status sy_tree_pack(struct sy_slice text, uint8_t **ret_data,
                                          size_t *ret_bytes, struct sy_err *err);

/* What facts are made from. */
struct sy_tree_input {
    struct sy_slice text;
    uint32_t body_to; /* end of the last token: where the last statement ends */
    bool standard_conforming_strings;
    const struct sy_literal *literals; /* of the scan of `text`, all of them, in order */
    uint32_t literal_count;
};

struct sy_tree_facts {
    const struct sy_facts *facts;
    /* Literals whose content (not only whose place) the tree or the facts depend on, ascending: a
     * text shares these facts only if it has the same ones. In the arena. */
    const uint32_t *pinned;
    uint32_t pinned_count;
};

/* Facts of a text, in `arena`. Errors: as sy_parser_parse(). */
SY_MUST_CHECK enum sy_status sy_tree_make_facts(const struct sy_tree_input *input,
                                                struct sy_arena *arena,
                                                struct sy_tree_facts *ret_facts,
                                                struct sy_err *err);

#endif
