/*
 * The scanner against PostgreSQL's own lexer: the same literals at the same places, for
 * hand-written texts, for the corpus of statements and for random strings of lexical pieces; and
 * each literal's value as the parser has it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "parser/protobuf.h"
#include "parser/scan.h"
#include "tests/unit/parser/cases_dml.h"
#include "tests/unit/parser/cases_select.h"
#include "tests/unit/parser/cases_session.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_literal_token(const PgQuery__ScanToken *token)
{
    switch ((int)token->token) {
    case PG_QUERY__TOKEN__ICONST:
    case PG_QUERY__TOKEN__FCONST:
    case PG_QUERY__TOKEN__SCONST:
    case PG_QUERY__TOKEN__USCONST:
    case PG_QUERY__TOKEN__BCONST:
    case PG_QUERY__TOKEN__XCONST:
        return true;
    default:
        return false;
    }
}

/* Compares; texts that the lexer refuses are skipped. True when compared. */
static bool agrees(const char *text)
{
    static struct sy_scanner scanner;
    char plain[1024];
    snprintf(plain, sizeof(plain), "%s", text);
    (void)sy_scan_tame(plain, (uint32_t)strlen(plain), true);
    PgQueryScanResult lexed = pg_query_scan(plain);
    if (lexed.error != NULL) {
        pg_query_free_scan_result(lexed);
        return false;
    }
    PgQuery__ScanResult *result =
        pg_query__scan_result__unpack(NULL, lexed.pbuf.len, (const uint8_t *)lexed.pbuf.data);
    assert_non_null(result);
    assert_true(sy_scan_text(&scanner, sy_slice_of(text), true));
    uint32_t literal = 0;
    for (size_t i = 0; i < result->n_tokens; i++) {
        const PgQuery__ScanToken *token = result->tokens[i];
        if (!is_literal_token(token))
            continue;
        /* the library forgets where a U&'' string ends */
        bool ends = token->token == PG_QUERY__TOKEN__USCONST ||
                    (literal < scanner.literal_count &&
                     scanner.literals[literal].to == (uint32_t)token->end);
        if (literal >= scanner.literal_count || !ends ||
            scanner.literals[literal].from != (uint32_t)token->start)
            fail_msg("%s\n  literal %u: the lexer has %d to %d", text, literal, token->start,
                     token->end);
        literal++;
    }
    if (literal != scanner.literal_count)
        fail_msg("%s\n  %u literals, the lexer has %u", text, scanner.literal_count, literal);
    pg_query__scan_result__free_unpacked(result, NULL);
    pg_query_free_scan_result(lexed);
    return true;
}

static void finds_the_literals_that_the_lexer_finds(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "SELECT 'a', E'a\\'b', 'a''b', B'1', x'ff', $$a$$, $t$ $$ $t$, 1, 1.5, .5, 5., 1e5, 1.e-5",
        "SELECT 1..10, 1...5, a.1, a.b.5, $1.5, $12, a$1, a$b$c",
        "SELECT 'a'\n'b', 'a' -- c\n 'b', 'a' /* c */ , E'a'\n'\\'b', 'a'\n\n -- x\n -- y\n'b'",
        "SELECT 'a'/**/,'b' 'c'",
        "/* a /* 'b' */ 1 */ SELECT 2 -- '3\n, 4 --5",
        "SELECT \"a'b\", \"a\"\"b\", U&\"x\" UESCAPE '!', U&'x', u&'y' UESCAPE '!'",
        "SELECT a-1, a--1\n, a- -1, a/1, a/*1*/, a*/**/1, 1+/*x*/2, @-1, <--1\n 5",
        "SELECT $tag$a$ta$b$tag$, $a$$a$, $a$x$b$y$a$, $$ $a$ $$",
        "SELECT N'x', n'y', e'z', E'\\\\', E'\\\n', E'a''b'",
        ("SELECT fooE'x', b 'x', e 'x', _'x', _1, a1, \xc3\xa4'x', \xc3\xa4"
         "1"),
        "SELECT 1::int4, 'x'::text[1], 1e, 1e+, 1.5e",
        "SELECT 0x1F, 1_000, 1a, 1.5b",
        "SELECT 'a\\', 'b'",
        "SELECT 9223372036854775807, 9223372036854775808, 00000000000000000000001",
        "SELECT $1a, $1'x', x'a''b', b'1' -- c\n '0'",
    };
    int compared = 0;
    for (size_t i = 0; i < COUNT(texts); i++)
        compared += agrees(texts[i]);
    assert_true(compared >= 12);
    for (size_t i = 0; i < COUNT(select_cases); i++)
        agrees(select_cases[i].text);
    for (size_t i = 0; i < COUNT(dml_cases); i++)
        agrees(dml_cases[i].text);
    for (size_t i = 0; i < COUNT(session_cases); i++)
        agrees(session_cases[i].text);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static void agrees_with_the_lexer_on_random_pieces(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "'",  "''", "\\",       "\\'", "\"",   "$",     "$$",      "$a$", "$1", "E'",         "e'",
        "B'", "x'", "N'",       "U&'", "U&\"", "--",    "/*",      "*/",  "\n", " ",          "\t",
        "\f", "a",  "E",        "_",   "1",    "0",     "12",      ".",   "..", "e",          "e5",
        "e+", "-",  "+",        "*",   "/",    "<",     "@",       "?",   "::", "(",          ")",
        ",",  ";",  "\xc3\xa4", "\r",  "'a'",  "\"b\"", "UESCAPE", "a$",  "=",  "9999999999",
    };
    uint32_t seed = 20260101;
    int compared = 0;
    char text[256];
    for (int round = 0; round < 200000; round++) {
        size_t at = 0;
        uint32_t count = 1 + next_random(&seed) % 14;
        for (uint32_t i = 0; i < count; i++) {
            const char *piece = pieces[next_random(&seed) % COUNT(pieces)];
            memcpy(text + at, piece, strlen(piece));
            at += strlen(piece);
        }
        text[at] = '\0';
        compared += agrees(text);
    }
    assert_true(compared > 30000);
}

/* ---- values ---- */

static const PgQuery__AConst *only_constant(const PgQuery__ParseResult *result)
{
    const PgQuery__SelectStmt *select = result->stmts[0]->stmt->select_stmt;
    const PgQuery__Node *value = select->target_list[0]->res_target->val;
    return value->node_case == PG_QUERY__NODE__NODE_A_CONST ? value->a_const : NULL;
}

static const char *constant_text(const PgQuery__AConst *constant)
{
    switch ((int)constant->val_case) {
    case PG_QUERY__A__CONST__VAL_SVAL:
        return constant->sval->sval;
    case PG_QUERY__A__CONST__VAL_BSVAL:
        return constant->bsval->bsval + 1; /* behind the b or x */
    case PG_QUERY__A__CONST__VAL_FVAL:
        return constant->fval->fval;
    default:
        return NULL;
    }
}

/* SELECT literal: decoded here and in the parser. False when the parser refuses it. */
static bool decodes(const char *literal)
{
    static struct sy_scanner scanner;
    char text[512];
    snprintf(text, sizeof(text), "SELECT %s", literal);
    PgQuery__ParseResult *result = NULL;
    struct sy_arena arena = {0};
    struct sy_slice value = {0};
    struct sy_err err = {0};
    bool parsed = sy_parse_protobuf(sy_slice_of(text), &result, &err) == SY_OK;
    assert_true(sy_scan_text(&scanner, sy_slice_of(text), true));
    const PgQuery__AConst *constant =
        parsed && scanner.literal_count == 1 && result->n_stmts == 1 ? only_constant(result) : NULL;
    const char *expected = constant != NULL ? constant_text(constant) : NULL;
    if (expected != NULL) {
        enum sy_status status =
            sy_literal_decode(sy_slice_of(text), &scanner.literals[0], true, &arena, &value, &err);
        if (status != SY_OK || !sy_slice_eq(value, sy_slice_of(expected)))
            fail_msg("%s: got %.*s (%s), expected %s", literal, (int)value.bytes, value.data,
                     err.text, expected);
    }
    sy_protobuf_free(&result);
    sy_arena_release(&arena);
    return expected != NULL;
}

static void decodes_literals_as_the_parser_does(void **state)
{
    (void)state;
    static const char *const literals[] = {
        "'abc'",
        "''",
        "''''",
        "'it''s'",
        "'a'\n'b'",
        "'a' -- c\n  'b''c'",
        "'a\\nb'",
        "E'a\\nb\\t\\b\\f\\r\\v\\\\\\'\\\"\\q'",
        "E'\\101\\7\\x41\\x4\\xg\\1234'",
        "e'\\u00e4\\U0001F600'",
        "E'\\uD83D\\uDE00'",
        "E'a''b\\''",
        "E'a'\n'\\n'",
        "U&'\\0041\\+01F600\\\\'",
        "U&'d\\0061t'''",
        "U&'\\D83D\\DE00'",
        "u&'a'\n'\\0042'",
        "$$a'b$$",
        "$t$$$ $t$",
        "B'0101'",
        "X'1fA'",
        "b'1'\n'0'",
        "1.5",
        ".5",
        "1e5",
        "99999999999999999999",
        "'\xc3\xa4'",
    };
    for (size_t i = 0; i < COUNT(literals); i++)
        if (!decodes(literals[i]))
            fail_msg("not parsed: %s", literals[i]);
}

static void decodes_random_escapes_as_the_parser_does(void **state)
{
    (void)state;
    static const char *const pieces[] = {"\\", "'", "''",   "a",    "1",    "7",
                                         "x",  "u", "U",    "0041", "+",    "\n",
                                         "f",  "n", "D83D", "DE00", "\\\\", "-- c\n"};
    static const char *const starts[] = {"E'", "'", "U&'", "$$", "$a$"};
    static const char *const ends[] = {"'", "'", "'", "$$", "$a$"};
    uint32_t seed = 7;
    int compared = 0;
    char text[256];
    for (int round = 0; round < 100000; round++) {
        uint32_t form = next_random(&seed) % COUNT(starts);
        size_t at = (size_t)sprintf(text, "%s", starts[form]);
        uint32_t count = next_random(&seed) % 7;
        for (uint32_t i = 0; i < count; i++)
            at += (size_t)sprintf(text + at, "%s", pieces[next_random(&seed) % COUNT(pieces)]);
        sprintf(text + at, "%s", ends[form]);
        compared += decodes(text);
    }
    assert_true(compared > 10000);
}

static void refuses_bad_escapes(void **state)
{
    (void)state;
    static const char *const texts[] = {"E'\\u00zz'", "E'\\u0000'", "E'\\uD83Dx'",   "E'\\uDE00'",
                                        "U&'\\zz'",   "U&'\\+12'",  "E'\\U00110000'"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct sy_scanner scanner = {0};
        struct sy_arena arena = {0};
        struct sy_slice value;
        struct sy_err err = {0};
        assert_true(sy_scan_text(&scanner, sy_slice_of(texts[i]), true));
        assert_int_equal(scanner.literal_count, 1);
        assert_int_equal(sy_literal_decode(sy_slice_of(texts[i]), &scanner.literals[0], true,
                                           &arena, &value, &err),
                         SY_E_SYNTAX);
        sy_arena_release(&arena);
        sy_scanner_release(&scanner);
    }
}

/* A statement seen before is not parsed again: the same with a literal that does not end must not
 * be believed. */
static void an_unterminated_dollar_string_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"$$", "$", "$tag$ab", "$tag$tag", "$tag$x$$", "$tag$$ta"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sy_slice text = sy_slice_of(texts[i]), value = {0};
        struct sy_literal literal = {
            .from = 0, .to = (uint32_t)text.bytes, .kind = SY_LITERAL_DOLLAR_STRING};
        struct sy_arena arena = {0};
        struct sy_err err = {0};
        assert_int_equal(sy_literal_decode(text, &literal, true, &arena, &value, &err),
                         SY_E_SYNTAX);
        sy_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unterminated_dollar_string_is_refused),
        cmocka_unit_test(finds_the_literals_that_the_lexer_finds),
        cmocka_unit_test(agrees_with_the_lexer_on_random_pieces),
        cmocka_unit_test(decodes_literals_as_the_parser_does),
        cmocka_unit_test(decodes_random_escapes_as_the_parser_does),
        cmocka_unit_test(refuses_bad_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
