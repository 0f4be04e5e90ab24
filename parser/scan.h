/*
 * The template scanner: where the literals of a text are, without a parse. It follows PostgreSQL
 * 15's lexer. One pass, no allocation beyond its two growing buffers.
 *
 * The template is the text from its first to its last token, with each literal replaced by two
 * bytes: SY_SCAN_MARK and the literal's kind. Comments before the first and behind the last token
 * are left out of it (hints, and the trace ids that libraries append), those in between stay.
 * SY_SCAN_MARK elsewhere is a syntax error or stands in a quoted identifier, where no literal is
 * marked, so two texts of one template differ in their literals only.
 */
#ifndef SY_PARSER_SCAN_H
#define SY_PARSER_SCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "parser/parser.h"

enum { SY_SCAN_MARK = 1 };

/* The buffers of scans, reused; all zero is a valid start. */
struct sy_scanner {
    struct sy_literal *literals;
    uint32_t literal_count, literal_capacity;
    char *template_text;
    uint32_t template_bytes, template_capacity;
    uint32_t body_from, body_to; /* first and last token of the text */
    bool bypass; /* too long or too many literals: the template text is incomplete */
};

/* Scans `text`. False when memory is exhausted. What is lexically wrong is left to the parser to
 * complain about. */
bool sy_scan_text(struct sy_scanner *scanner, struct sy_slice text,
                  bool standard_conforming_strings);
void sy_scanner_release(struct sy_scanner *scanner);

/* Hints from the comments at the very start of the text. Errors: SY_E_SYNTAX for what is no hint.
 */
SY_MUST_CHECK enum sy_status sy_scan_hints(struct sy_slice text, struct sy_hints *ret_hints,
                                           struct sy_err *err);

/* The first byte at or behind `at` that is neither white space nor part of a comment; text.bytes at
 * the end. */
uint32_t sy_scan_skip_blank(struct sy_slice text, uint32_t at);

/* What a text had to be spared from; see below. */
struct sy_scan_taming {
    uint32_t open_comment;  /* start of a block comment that is not closed, UINT32_MAX: none */
    uint32_t long_operator; /* start of a run of operator characters that is no operator,
                               UINT32_MAX: none */
};

/*
 * Makes a copy of a text fit for libpg_query, in place and without moving a byte:
 * - comments between the parts of one continued string ('a' -- c, line break, 'b') are blanked:
 * PostgreSQL allows them there, the library's lexer does not;
 * - slashes and asterisks inside block comments are blanked, on which its lexer spends quadratic
 * time (40 s for 200 kB), as it does on long runs of plus and minus, which are reported.
 */
struct sy_scan_taming sy_scan_tame(char *text, uint32_t bytes, bool standard_conforming_strings);

/* The end of the token that starts at `at` (not a blank); at least at + 1. */
uint32_t sy_scan_token_end(struct sy_slice text, uint32_t at, bool standard_conforming_strings);

#endif
