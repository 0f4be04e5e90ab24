/* Inputs meant to harm: deep, long, cut in the middle, random. Each gives facts or an error, in
 * bounded time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/sanitizer.h"
#include "parser/parser.h"
#include "parser/protobuf.h"

static const struct sy_parse_settings settings = {
    .standard_conforming_strings = true,
    .hints_enabled = true,
};

static struct sy_parser *new_parser(void)
{
    struct sy_parser *parser = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_parser_new(NULL, &parser, &err), SY_OK);
    return parser;
}

static char *repeated(const char *head, const char *piece, size_t count, const char *tail)
{
    size_t head_bytes = strlen(head), piece_bytes = strlen(piece);
    char *text = malloc(head_bytes + piece_bytes * count + strlen(tail) + 1);
    memcpy(text, head, head_bytes);
    for (size_t i = 0; i < count; i++)
        memcpy(text + head_bytes + i * piece_bytes, piece, piece_bytes);
    strcpy(text + head_bytes + piece_bytes * count, tail);
    return text;
}

static const struct {
    const char *head, *piece, *tail;
    size_t count;
} deep[] = {
    {"SELECT 1", "+1", "", 200000},
    {"SELECT * FROM t WHERE a = 1", "::int", "", 200000},
    {"SELECT * FROM t WHERE a IN (1", "||'x'", ")", 200000},
    {"SELECT 1", " UNION ALL SELECT 1", "", 100000},
    {"SELECT 1 FROM a", " JOIN a ON true", "", 100000},
    {"SELECT * FROM t WHERE ", "NOT ", "true", 9000},
    {"SELECT * FROM ", "(SELECT * FROM ", "t", 2000},
    {"INSERT INTO t VALUES (1", "+1", ")", 100000},
    {"SELECT x", ".y", "", 100},
    {"SELECT f", "(f", "", 5000},
    {"", "EXPLAIN ", "SELECT 1", 5000},
    {"SELECT ", "(", "", 100000},
    {"SELECT ", "-", "1", 100000},
    {"SELECT * FROM t WHERE ROW", "(ROW", "", 3000},
    {"", "/*", "", 100000},
    {"SELECT ", "CASE WHEN true THEN ", "1", 5000},
    {"SELECT 1 ", "+", "1", 500000},
    {"SELECT 1 ", "+-", "1", 500000},
    {"SELECT /*", "/", "*/ 1", 500000},
    {"SELECT * FROM t WHERE ", "a IN (SELECT b FROM c) AND ", "true", 30000},
    {"SELECT * FROM t", ",t", " WHERE t.a = 1", 20000},
};

/* Runs on a small stack, as a worker might have one. */
static void *parse_deep(void *unused)
{
    (void)unused;
    struct sy_parser *parser = new_parser();
    for (size_t i = 0; i < sizeof(deep) / sizeof(deep[0]); i++) {
        char *text = repeated(deep[i].head, deep[i].piece, deep[i].count, deep[i].tail);
        struct sy_template *template_ = NULL;
        struct sy_scan scan;
        struct sy_err err = {0};
        enum sy_status status =
            sy_parser_parse(parser, sy_slice_of(text), &settings, &template_, &scan, &err);
        assert_true(status == SY_OK || status == SY_E_SYNTAX);
        if (status == SY_OK)
            sy_template_unref(parser, template_);
        free(text);
    }
    sy_parser_free(&parser);
    return NULL;
}

static void deep_nesting_does_not_overrun_a_stack_of_one_megabyte(void **state)
{
    (void)state;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    /* Under AddressSanitizer a frame takes several times its size. */
    size_t bytes = (size_t)(1 << 20);
#if SY_ADDRESS_SANITIZER
    bytes *= 8;
#endif
    pthread_attr_setstacksize(&attributes, bytes);
    assert_int_equal(pthread_create(&thread, &attributes, parse_deep, NULL), 0);
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

static void deep_statements_are_told_and_count_as_writes(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser();
    char *text = repeated("SELECT * FROM t WHERE a = 1", "+1", SY_LIMIT_PARSE_DEPTH + 100, "");
    struct sy_template *template_ = NULL;
    struct sy_scan scan;
    struct sy_err err = {0};
    assert_int_equal(sy_parser_parse(parser, sy_slice_of(text), &settings, &template_, &scan, &err),
                     SY_OK);
    assert_true(template_->facts->stmts[0].too_deep);
    assert_true(template_->facts->stmts[0].writes);
    sy_template_unref(parser, template_);
    free(text);
    sy_parser_free(&parser);
}

static void megabytes_are_parsed_without_a_template(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser();
    char *texts[] = {
        repeated("SELECT '", "abcdefgh", 131072, "'"),
        repeated("SELECT 1 ", "-- comment\n", 100000, ""),
        repeated("SELECT 1", ",1", 500000, ""),
        repeated("SELECT * FROM t WHERE a IN (1", ",$1,'x'", 150000, ")"),
        repeated("SELECT * FROM t WHERE a = 1", " OR a = 2", 100000, ""),
        repeated("BEGIN", "; SELECT 1", 50000, ""),
        repeated("INSERT INTO t VALUES (1, 'a')", ",(2,'b')", 100000, ""),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sy_template *template_ = NULL;
        struct sy_scan scan;
        struct sy_err err = {0};
        assert_int_equal(
            sy_parser_parse(parser, sy_slice_of(texts[i]), &settings, &template_, &scan, &err),
            SY_OK);
        assert_int_equal(template_->refs, 1);
        sy_template_unref(parser, template_);
        free(texts[i]);
    }
    assert_int_equal(sy_parser_stats(parser).uncached, sizeof(texts) / sizeof(texts[0]));
    sy_parser_free(&parser);
}

static void any_bytes_give_facts_or_an_error(void **state)
{
    (void)state;
    static const char *const seeds[] = {
        "SELECT 'a\xc3\xa4', \"\xf0\x9f\x98\x80\" FROM t WHERE b = E'\\u00e4' AND c = $$x$$",
        "INSERT INTO t (a, b) VALUES (1, 'x'), (-2, DEFAULT) ON CONFLICT DO UPDATE SET a = 3",
        "/* switchyard: key='a b' role=replica */ COPY t FROM STDIN WITH (FORMAT csv)",
    };
    struct sy_parser *parser = new_parser();
    uint32_t random = 12345;
    for (int round = 0; round < 60000; round++) {
        char text[128];
        struct sy_slice seed = sy_slice_of(seeds[round % 3]);
        random = random * 1664525 + 1013904223;
        size_t bytes = (random >> 8) % (seed.bytes + 1);
        memcpy(text, seed.data, bytes); /* cut anywhere, inside a character too */
        for (uint32_t change = 0; bytes > 0 && change < random % 4; change++) {
            random = random * 1664525 + 1013904223;
            text[(random >> 8) % bytes] = (char)(random >> 24);
        }
        char *exact = malloc(bytes + (bytes == 0)); /* so that reads beyond the end are seen */
        memcpy(exact, text, bytes);
        struct sy_template *template_ = NULL;
        struct sy_scan scan;
        struct sy_err err = {0};
        enum sy_status status = sy_parser_parse(parser, (struct sy_slice){exact, bytes}, &settings,
                                                &template_, &scan, &err);
        if (status == SY_OK)
            sy_template_unref(parser, template_);
        else
            assert_true(err.text[0] != '\0' && err.position <= (int)bytes + 1);
        free(exact);
    }
    sy_parser_free(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deep_nesting_does_not_overrun_a_stack_of_one_megabyte),
        cmocka_unit_test(deep_statements_are_told_and_count_as_writes),
        cmocka_unit_test(megabytes_are_parsed_without_a_template),
        cmocka_unit_test(any_bytes_give_facts_or_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
