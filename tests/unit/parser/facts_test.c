/*
 * Facts of hand-written statements, against tables of expected ones; and the same statements with
 * other literals, through the cache and afresh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "parser/facts_print.h"
#include "parser/parser.h"
#include "tests/unit/parser/cases_dml.h"
#include "tests/unit/parser/cases_select.h"
#include "tests/unit/parser/cases_session.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
    const struct facts_case *cases;
    size_t count;
} tables[] = {
    {select_cases, COUNT(select_cases)},
    {dml_cases, COUNT(dml_cases)},
    {session_cases, COUNT(session_cases)},
};

static const struct sy_parse_settings settings = {.standard_conforming_strings = true};

static struct sy_parser *new_parser(void)
{
    struct sy_parser *parser = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_parser_new(NULL, &parser, &err), SY_OK);
    return parser;
}

/* The printed facts, or "ERROR sqlstate text @position"; fresh: without the cache. */
static void facts_of(struct sy_parser *parser, struct sy_slice text, bool fresh, struct sy_buf *out)
{
    struct sy_template *template_ = NULL;
    struct sy_scan scan;
    struct sy_err err = {0};
    struct sy_arena arena = {0};
    sy_buf_clear(out);
    enum sy_status status = sy_parser_parse(parser, text, &settings, &template_, &scan, &err);
    const struct sy_facts *facts = status == SY_OK ? template_->facts : NULL;
    if (status == SY_OK && fresh)
        status = sy_parse_facts(text, scan.literals, scan.literal_count, &arena, &facts, &err);
    if (status == SY_OK)
        sy_facts_print(facts, out);
    else
        sy_buf_printf(out, "ERROR %s %s @%d", sy_err_sqlstate(&err), err.text, err.position);
    sy_buf_append(out, "", 1);
    sy_template_unref(parser, template_);
    sy_arena_release(&arena);
}

static void facts_are_as_expected(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser();
    struct sy_buf out = {0};
    int wrong = 0;
    for (size_t t = 0; t < COUNT(tables); t++)
        for (size_t i = 0; i < tables[t].count; i++) {
            const struct facts_case *c = &tables[t].cases[i];
            facts_of(parser, sy_slice_of(c->text), false, &out);
            if (strcmp(out.data, c->facts) == 0)
                continue;
            print_error("%s\n  expected %s\n  got      %s\n", c->text, c->facts, out.data);
            wrong++;
        }
    sy_buf_release(&out);
    sy_parser_free(&parser);
    assert_int_equal(wrong, 0);
}

/* Appends another literal of the same kind. */
static void vary(struct sy_slice text, const struct sy_literal *literal, unsigned variant,
                 struct sy_buf *out)
{
    static const char *const integers[] = {"0", "7", "123456789", "2147483648"};
    static const char *const numbers[] = {"0.0", "1e3", "99999999999999999999"};
    static const char *const strings[] = {"''", "'csv'", "'it''s'", "'a'\n'b'"};
    static const char *const escapes[] = {"E''", "E'\\''", "e'x\\\\'"};
    static const char *const dollars[] = {"$$$$", "$q$a$$b$q$"};
    static const char *const bits[] = {"B'0'", "X'1f'"};
    bool unicode = (text.data[literal->from] | 0x20) == 'u';
    switch (literal->kind) {
    case SY_LITERAL_INTEGER:
        sy_buf_append_str(out, integers[variant % COUNT(integers)]);
        break;
    case SY_LITERAL_NUMBER:
        sy_buf_append_str(out, numbers[variant % COUNT(numbers)]);
        break;
    case SY_LITERAL_STRING:
        sy_buf_append_str(out, strings[variant % COUNT(strings)]);
        break;
    case SY_LITERAL_ESCAPE_STRING:
        sy_buf_append_str(out, unicode ? "U&'x'" : escapes[variant % COUNT(escapes)]);
        break;
    case SY_LITERAL_DOLLAR_STRING:
        sy_buf_append_str(out, dollars[variant % COUNT(dollars)]);
        break;
    case SY_LITERAL_BIT:
        sy_buf_append_str(out, bits[variant % COUNT(bits)]);
        break;
    }
}

static void with_other_literals(struct sy_parser *parser, const char *statement, unsigned variant,
                                struct sy_buf *out)
{
    struct sy_template *template_ = NULL;
    struct sy_scan scan;
    struct sy_slice text = sy_slice_of(statement);
    uint32_t copied = 0;
    sy_buf_clear(out);
    if (sy_parser_parse(parser, text, &settings, &template_, &scan, NULL) != SY_OK)
        return;
    for (uint32_t i = 0; i < scan.literal_count; i++) {
        sy_buf_append(out, text.data + copied, scan.literals[i].from - copied);
        vary(text, &scan.literals[i], variant + i, out);
        copied = scan.literals[i].to;
    }
    sy_buf_append(out, text.data + copied, text.bytes - copied);
    sy_template_unref(parser, template_);
}

static void facts_through_the_cache_equal_fresh_ones(void **state)
{
    (void)state;
    struct sy_parser *warm = new_parser(), *cold = new_parser();
    struct sy_buf text = {0}, cached = {0}, fresh = {0};
    for (size_t t = 0; t < COUNT(tables); t++)
        for (size_t i = 0; i < tables[t].count * 12; i++) {
            const char *statement = tables[t].cases[i / 12].text;
            with_other_literals(warm, statement, (unsigned)i % 12, &text);
            struct sy_slice varied = {text.data, text.bytes};
            facts_of(warm, varied, false, &cached);
            facts_of(cold, varied, true, &fresh);
            if (strcmp(cached.data, fresh.data) != 0)
                fail_msg("%.*s\n  cached %s\n  fresh  %s", (int)varied.bytes, varied.data,
                         cached.data, fresh.data);
        }
    assert_true(sy_parser_stats(warm).hits > 1000);
    sy_buf_release(&text);
    sy_buf_release(&cached);
    sy_buf_release(&fresh);
    sy_parser_free(&warm);
    sy_parser_free(&cold);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_as_expected),
        cmocka_unit_test(facts_through_the_cache_equal_fresh_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
