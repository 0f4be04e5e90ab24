/* The template cache: what shares an entry, what must not, eviction, references, positions, hints.
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

static const struct sy_parse_settings plain = {
    .standard_conforming_strings = true,
    .hints_enabled = true,
};

static struct sy_parser *new_parser(size_t cache_bytes_max)
{
    const struct sy_parser_options options = {.cache_bytes_max = cache_bytes_max};
    struct sy_parser *parser = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_parser_new(&options, &parser, &err), SY_OK);
    return parser;
}

static struct sy_template *parse(struct sy_parser *parser, const char *text, struct sy_scan *scan)
{
    struct sy_template *template_ = NULL;
    struct sy_err err = {0};
    enum sy_status status =
        sy_parser_parse(parser, sy_slice_of(text), &plain, &template_, scan, &err);
    if (status != SY_OK)
        fail_msg("%s: %s", text, err.text);
    return template_;
}

static bool share(const char *a, const char *b)
{
    struct sy_parser *parser = new_parser(0);
    struct sy_scan scan;
    struct sy_template *first = parse(parser, a, &scan), *second = parse(parser, b, &scan);
    bool same = first == second;
    sy_template_unref(parser, first);
    sy_template_unref(parser, second);
    sy_parser_free(&parser);
    return same;
}

static void texts_that_differ_in_literals_share_an_entry(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 987654"},
        {"SELECT a FROM t WHERE b = 'x'", "SELECT a FROM t WHERE b = 'y''z'"},
        {"SELECT a FROM t LIMIT 5", "SELECT a FROM t LIMIT 6"},
        {"/* switchyard: shard=s1 */ SELECT 1", "SELECT 2"},
        {"-- c\nSELECT 1", "  SELECT 2  /* trace=1 */ -- x"},
        {"SET application_name = 'a'", "SET application_name = 'b'"},
        {"NOTIFY c, 'a'", "NOTIFY c, 'b'"},
        {"SELECT a FROM t WHERE b = -1", "SELECT a FROM t WHERE b = -0"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (!share(pairs[i][0], pairs[i][1]))
            fail_msg("not shared: %s", pairs[i][0]);
}

static void texts_with_other_facts_do_not_share(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = '1'"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = 1.5"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = -1"},
        {"SELECT a FROM t WHERE b = 1", "SELECT a FROM T WHERE b = 1"},
        {"SELECT 1::float(3)", "SELECT 1::float(33)"},
        {"COPY t FROM STDIN WITH (DELIMITER ',')", "COPY t FROM STDIN WITH (DELIMITER ';')"},
        {"PREPARE TRANSACTION 'a'", "PREPARE TRANSACTION 'b'"},
        {"DO 'BEGIN END'", "DO 'BEGIN NULL; END'"},
        {"SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = $2"},
        {"SELECT 'a'", "SELECT $$a$$"},
        {"SELECT 1", "SELECT 99999999999999999999"},
        {"SELECT f(1)", "SELECT f(2147483648)"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (share(pairs[i][0], pairs[i][1]))
            fail_msg("shared: %s", pairs[i][0]);
}

static void settings_are_part_of_the_key(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser(0);
    struct sy_parse_settings other = plain;
    struct sy_template *a = NULL, *b = NULL, *c = NULL;
    struct sy_scan scan;
    struct sy_err err = {0};
    struct sy_slice text = SY_SLICE("SELECT 'a\\'");
    assert_int_equal(sy_parser_parse(parser, text, &plain, &a, &scan, &err), SY_OK);
    other.environment = 7;
    assert_int_equal(sy_parser_parse(parser, text, &other, &b, &scan, &err), SY_OK);
    assert_ptr_not_equal(a, b);
    other.environment = 0;
    other.standard_conforming_strings = false;
    assert_int_equal(sy_parser_parse(parser, text, &other, &c, &scan, &err), SY_E_SYNTAX);
    text = SY_SLICE("SELECT 'a\\'' , 2");
    assert_int_equal(sy_parser_parse(parser, text, &other, &c, &scan, &err), SY_OK);
    assert_int_equal(scan.literal_count, 2);
    assert_int_equal(scan.literals[0].kind, SY_LITERAL_ESCAPE_STRING);
    sy_template_unref(parser, a);
    sy_template_unref(parser, b);
    sy_template_unref(parser, c);
    sy_parser_free(&parser);
}

static void template_text_holds_no_literal(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser(0);
    struct sy_scan scan;
    struct sy_template *t =
        parse(parser,
              "/* x */ SELECT \"q\", 'secret', $tag$secret$tag$ FROM t WHERE a = E'sec' AND b=1.5",
              &scan);
    const char *expected = "SELECT \"q\", ?1, ?2 FROM t WHERE a = ?3 AND b=?4";
    assert_int_equal(t->text.bytes, strlen(expected));
    assert_memory_equal(t->text.data, expected, t->text.bytes);
    assert_int_equal(scan.body_from, 8);
    sy_template_unref(parser, t);
    sy_parser_free(&parser);
}

static void hints_come_from_leading_comments_only(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser(0);
    struct sy_scan scan;
    struct sy_template *t = parse(
        parser, " /* switchyard: key='a b' */ /* c */ /* switchyard: role=replica */ SELECT 1",
        &scan);
    assert_true(sy_slice_eq(scan.hints.key, SY_SLICE("a b")));
    assert_int_equal(scan.hints.role, SY_HINT_ROLE_REPLICA);
    sy_template_unref(parser, t);
    t = parse(parser, "/* SWITCHYARD: role=primary, Shard=s1 */ SELECT 1", &scan);
    assert_true(sy_slice_eq(scan.hints.shard, SY_SLICE("s1")));
    assert_int_equal(scan.hints.role, SY_HINT_ROLE_PRIMARY);
    sy_template_unref(parser, t);
    t = parse(parser, "SELECT /* switchyard: shard=s1 */ 1", &scan);
    assert_int_equal(scan.hints.shard.bytes, 0);
    sy_template_unref(parser, t);
    sy_parser_free(&parser);
}

static void what_is_no_hint_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
        int position;
    } cases[] = {
        {"/* switchyard: shrd=s1 */ SELECT 1", "unknown hint: \"shrd=s1\"", 16},
        {"/* switchyard: shard=s1 fast */ SELECT 1", "unknown hint: \"fast\"", 25},
        {"/* \xc3\xa9 */ /* switchyard: x */ SELECT 1", "unknown hint: \"x\"", 24},
        {"/* switchyard: role=foo */ SELECT 1", "unknown role in hint: \"role=foo\"", 16},
        {"/* switchyard: role= */ SELECT 1",
         "hint without a value, or with an open quote: \"role=\"", 16},
        {"/* switchyard: key='a */ SELECT 1",
         "hint without a value, or with an open quote: \"key='a\"", 16},
        {"/* switchyard: shard=a key=1 */ SELECT 1", "second hint for the shard: \"key=1\"", 24},
        {"/* switchyard: role=primary */ /* switchyard: role=primary */ SELECT 1",
         "second hint for the role: \"role=primary\"", 47},
    };
    struct sy_parser *parser = new_parser(0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_template *template_ = NULL;
        struct sy_scan scan;
        struct sy_err err = {0};
        assert_int_equal(
            sy_parser_parse(parser, sy_slice_of(cases[i].text), &plain, &template_, &scan, &err),
            SY_E_SYNTAX);
        assert_string_equal(err.text, cases[i].message);
        assert_int_equal(err.position, cases[i].position);
        assert_true(err.hint[0] != 0);
        struct sy_parse_settings off = plain;
        off.hints_enabled = false;
        assert_int_equal(
            sy_parser_parse(parser, sy_slice_of(cases[i].text), &off, &template_, &scan, &err),
            SY_OK);
        sy_template_unref(parser, template_);
    }
    sy_parser_free(&parser);
}

static void positions_follow_the_text_at_hand(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser(0);
    struct sy_scan scan;
    const char *first = "SELECT 'a'; SELECT 22, 3 ; PREPARE p AS SELECT 4";
    const char *second =
        "/* c */SELECT 'abcdef'; SELECT 2, 33333 ; PREPARE p AS SELECT 4444 -- end";
    struct sy_template *a = parse(parser, first, &scan);
    struct sy_template *b = parse(parser, second, &scan);
    assert_ptr_equal(a, b);
    static const char *const parts[] = {"SELECT 'abcdef'", " SELECT 2, 33333 ",
                                        " PREPARE p AS SELECT 4444"};
    for (int i = 0; i < 3; i++) {
        const struct sy_stmt *stmt = &b->facts->stmts[i];
        uint32_t from = sy_template_position(b, &scan, stmt->text_from);
        uint32_t to = sy_template_position(b, &scan, stmt->text_to);
        if (i == 0)
            from = scan.body_from;
        assert_int_equal(to - from, strlen(parts[i]));
        assert_memory_equal(second + from, parts[i], to - from);
    }
    const struct sy_stmt *stmt = &b->facts->stmts[2];
    uint32_t from = sy_template_position(b, &scan, stmt->inner_text_from);
    uint32_t to = sy_template_position(b, &scan, stmt->inner_text_to);
    assert_int_equal(to - from, strlen("SELECT 4444"));
    assert_memory_equal(second + from, "SELECT 4444", to - from);
    sy_template_unref(parser, a);
    sy_template_unref(parser, b);
    sy_parser_free(&parser);
}

static void statements_seen_once_do_not_push_out_hot_ones(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser(256 * 1024);
    struct sy_scan scan;
    char text[64];
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "SELECT a FROM hot%d WHERE b = 1", i);
        sy_template_unref(parser, parse(parser, text, &scan));
        sy_template_unref(parser, parse(parser, text, &scan));
    }
    for (int i = 0; i < 5000; i++) {
        snprintf(text, sizeof(text), "SELECT a FROM once%d WHERE b = 1", i);
        sy_template_unref(parser, parse(parser, text, &scan));
        assert_true(sy_parser_stats(parser).bytes <= 256 * 1024);
    }
    uint64_t misses = sy_parser_stats(parser).misses;
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "SELECT a FROM hot%d WHERE b = 1", i);
        sy_template_unref(parser, parse(parser, text, &scan));
    }
    assert_int_equal(sy_parser_stats(parser).misses, misses);
    assert_true(sy_parser_stats(parser).evictions > 4000);
    sy_parser_free(&parser);
}

static int plans_freed;

static void free_plan(void *plan)
{
    free(plan);
    plans_freed++;
}

static void an_entry_in_use_outlives_its_eviction(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser(64 * 1024);
    struct sy_scan scan;
    char text[64];
    plans_freed = 0;
    struct sy_template *kept = parse(parser, "SELECT a FROM kept WHERE b = 1", &scan);
    kept->plan = malloc(8);
    kept->plan_free = free_plan;
    for (int i = 0; i < 2000; i++) {
        snprintf(text, sizeof(text), "SELECT a FROM once%d WHERE b = 1", i);
        sy_template_unref(parser, parse(parser, text, &scan));
    }
    assert_int_equal(kept->refs, 1);
    assert_int_equal(plans_freed, 0);
    assert_int_equal(kept->facts->stmt_count, 1);
    sy_template_unref(parser, kept);
    assert_int_equal(plans_freed, 1);
    sy_parser_free(&parser);
}

static void long_texts_pass_by_the_cache(void **state)
{
    (void)state;
    struct sy_parser *parser = new_parser(0);
    struct sy_scan scan;
    size_t rows = 20000;
    char *text = malloc(rows * 8 + 64);
    size_t at = (size_t)sprintf(text, "INSERT INTO t (a, b) VALUES (1,2)");
    for (size_t i = 1; i < rows; i++)
        at += (size_t)sprintf(text + at, ",(1,2)");
    struct sy_template *t = parse(parser, text, &scan);
    assert_int_equal(t->refs, 1);
    assert_int_equal(scan.literal_count, 2 * rows);
    assert_int_equal(t->facts->stmts[0].row_count, rows);
    assert_int_equal(sy_parser_stats(parser).uncached, 1);
    sy_template_unref(parser, t);
    free(text);
    sy_parser_free(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_that_differ_in_literals_share_an_entry),
        cmocka_unit_test(texts_with_other_facts_do_not_share),
        cmocka_unit_test(settings_are_part_of_the_key),
        cmocka_unit_test(template_text_holds_no_literal),
        cmocka_unit_test(hints_come_from_leading_comments_only),
        cmocka_unit_test(what_is_no_hint_is_told),
        cmocka_unit_test(positions_follow_the_text_at_hand),
        cmocka_unit_test(statements_seen_once_do_not_push_out_hot_ones),
        cmocka_unit_test(an_entry_in_use_outlives_its_eviction),
        cmocka_unit_test(long_texts_pass_by_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
