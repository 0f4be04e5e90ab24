/*
 * From SQL text to facts, through the template cache.
 *
 *     scan(text) -> template hash + literals      (every statement; SIMD-friendly, no allocation)
 *     cache lookup by template text + settings    (one hash lookup)
 *     miss: libpg_query raw parse -> facts        (parser/tree.c, the only file that touches the
 * raw tree)
 *
 * Thread: a sy_parser belongs to one worker thread. sy_parser_new() parses once, so that the
 * library's per-thread initialisation, which calls exit() when memory is exhausted, happens at
 * start.
 */
#ifndef SY_PARSER_PARSER_H
#define SY_PARSER_PARSER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/slice.h"
#include "parser/facts.h"

/* A literal as written in the text at hand. */
enum sy_literal_kind {
    SY_LITERAL_INTEGER,       /* digits that fit int8 */
    SY_LITERAL_NUMBER,        /* other numeric: 1.5, 1e3, beyond int8 */
    SY_LITERAL_STRING,        /* '...' : quotes included in text */
    SY_LITERAL_ESCAPE_STRING, /* E'...', U&'...' (or '...' with standard_conforming_strings off) */
    SY_LITERAL_DOLLAR_STRING, /* $tag$...$tag$ */
    SY_LITERAL_BIT,           /* B'..' X'..' */
};

struct sy_literal {
    enum sy_literal_kind kind;
    uint32_t from, to; /* bytes of the text, quotes and prefix included */
};

/* What the scan of one text gives. `literals` is owned by the parser and valid until its next scan.
 */
struct sy_scan {
    const struct sy_literal *literals;
    uint32_t literal_count;
    uint32_t body_from; /* first byte behind leading blanks and comments */
    struct sy_hints hints;
};

/* Settings that change what a text means; part of the cache key. */
struct sy_parse_settings {
    bool standard_conforming_strings;
    bool hints_enabled;
    uint64_t environment; /* hash of search_path and of temporary objects that shadow a name; the
                             session's to compute */
};

/* A cached template. Valid while the caller holds a reference (sy_template_unref). */
struct sy_template {
    uint64_t hash;
    uint32_t refs;
    const struct sy_facts *facts;
    /* For router/plan: what it derived from the facts, for one topology epoch. Freed by
     * `plan_free`. */
    void *plan;
    uint64_t plan_epoch;
    void (*plan_free)(void *plan);
    /* The template text ("SELECT a FROM t WHERE b = ?1"), loggable: no literal in it. Empty when
     * not cacheable. */
    struct sy_slice text;
};

struct sy_parser;

struct sy_parser_options {
    size_t cache_bytes_max; /* 0: default (16 MiB); least recently used entries go first */
};

SY_MUST_CHECK enum sy_status sy_parser_new(const struct sy_parser_options *options,
                                           struct sy_parser **ret_parser, struct sy_err *err);
void sy_parser_free(struct sy_parser **parser);

/*
 * Finds or makes the template of `text`. On success *ret_template is referenced for the caller and
 * *ret_scan describes this text. Errors: SY_E_SYNTAX with err->position (1-based character) and
 * PostgreSQL's own message for text that PostgreSQL's grammar refuses, and for hints that are none;
 * SY_E_LIMIT.
 */
SY_MUST_CHECK enum sy_status sy_parser_parse(struct sy_parser *parser, struct sy_slice text,
                                             const struct sy_parse_settings *settings,
                                             struct sy_template **ret_template,
                                             struct sy_scan *ret_scan, struct sy_err *err);
void sy_template_unref(struct sy_parser *parser, struct sy_template *template_);

/*
 * A byte position of the facts (text_from, text_to, inner_text_from ...), which counts in the first
 * text of the template, as a position in the text that `scan` describes.
 */
uint32_t sy_template_position(const struct sy_template *template_, const struct sy_scan *scan,
                              uint32_t position);

struct sy_parser_stats {
    uint64_t hits, misses, evictions, uncached;
    size_t entries, bytes;
};
struct sy_parser_stats sy_parser_stats(const struct sy_parser *parser);

/*
 * The value of a literal as the server would see it: quotes removed, escapes decoded. Integers and
 * numbers are returned as written. The result points into `text` where nothing had to change, else
 * into the arena.
 */
SY_MUST_CHECK enum sy_status sy_literal_decode(struct sy_slice text,
                                               const struct sy_literal *literal,
                                               bool standard_conforming_strings,
                                               struct sy_arena *arena, struct sy_slice *ret_value,
                                               struct sy_err *err);

/* Facts without the cache, for tests and tools. `literals`: all of the text's, as scanned. */
SY_MUST_CHECK enum sy_status sy_parse_facts(struct sy_slice text, const struct sy_literal *literals,
                                            uint32_t literal_count, struct sy_arena *arena,
                                            const struct sy_facts **ret_facts, struct sy_err *err);

#endif
