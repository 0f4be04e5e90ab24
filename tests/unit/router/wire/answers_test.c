/* Every byte as a type, for everything that can be asked, and every length that is one too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/limits.h"
#include "router/wire/answers.h"
#include "router/wire/states.h"

static bool has(const char *set, int type)
{
    return type != 0 && strchr(set, type) != NULL;
}

static void servers_answer_what_was_asked(void **state)
{
    (void)state;
    static const struct {
        enum sy_answers_to to;
        const char *legal;
    } rows[] = {
        {SY_ANSWERS_NOTHING, "ENSA"},
        {SY_ANSWERS_QUERY, "ENSATDCIGHVZ"},
        {SY_ANSWERS_PARSE, "ENSA1"},
        {SY_ANSWERS_BIND, "ENSA2"},
        {SY_ANSWERS_DESCRIBE_STATEMENT, "ENSAt"},
        {SY_ANSWERS_DESCRIBE, "ENSATn"},
        {SY_ANSWERS_EXECUTE, "ENSADCIGHs"},
        {SY_ANSWERS_CLOSE, "ENSA3"},
        {SY_ANSWERS_SYNC, "ENSAZ"},
        {SY_ANSWERS_COPY_IN, "ENSAC"},
        {SY_ANSWERS_COPY_OUT, "ENSAdc"},
    };
    assert_int_equal(sizeof(rows) / sizeof(rows[0]), SY_ANSWERS_COUNT);
    for (size_t i = 0; i < SY_ANSWERS_COUNT; i++)
        for (int type = 0; type < 256; type++)
            assert_int_equal(sy_answer_is_legal(rows[i].to, (char)type, 0),
                             has(rows[i].legal, type));
}

/* The golden traces are checked against states.h: both tables say the same. */
static void the_table_agrees_with_the_one_of_replies(void **state)
{
    (void)state;
    static const struct {
        enum sy_answers_to to, later;
        char request;
    } rows[] = {
        {SY_ANSWERS_PARSE, SY_ANSWERS_PARSE, 'P'},
        {SY_ANSWERS_BIND, SY_ANSWERS_BIND, 'B'},
        {SY_ANSWERS_CLOSE, SY_ANSWERS_CLOSE, 'C'},
        {SY_ANSWERS_DESCRIBE, SY_ANSWERS_DESCRIBE, 'D'},
        {SY_ANSWERS_DESCRIBE_STATEMENT, SY_ANSWERS_DESCRIBE, 'd'},
        {SY_ANSWERS_EXECUTE, SY_ANSWERS_COPY_OUT, 'E'},
        {SY_ANSWERS_SYNC, SY_ANSWERS_SYNC, 'S'},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (int type = 1; type < 256; type++) {
            bool legal = sy_answer_is_legal(rows[i].to, (char)type, 0) ||
                         sy_answer_is_legal(rows[i].later, (char)type, 0);
            assert_int_equal(legal, sy_reply_of(rows[i].request, (char)type) != SY_REPLY_WRONG);
        }
}

static void lengths_have_an_end(void **state)
{
    (void)state;
    static const struct {
        const char *types;
        uint32_t max;
    } rows[] = {
        {"123nIsc", 0},
        {"Z", 1},
        {"CSAGHK", SY_LIMIT_SHORT_MESSAGE_BYTES},
        {"ENTt", SY_LIMIT_SERVER_MESSAGE_BYTES},
        {"DdV", SY_LIMIT_MESSAGE_BYTES},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (const char *type = rows[i].types; *type != '\0'; type++)
            assert_int_equal(sy_answer_body_bytes_max(*type), rows[i].max);
    assert_true(sy_answer_is_legal(SY_ANSWERS_SYNC, 'Z', 1));
    assert_false(sy_answer_is_legal(SY_ANSWERS_SYNC, 'Z', 2));
    assert_true(sy_answer_is_legal(SY_ANSWERS_QUERY, 'D', SY_LIMIT_MESSAGE_BYTES));
    assert_false(sy_answer_is_legal(SY_ANSWERS_PARSE, '1', 1));
}

static void rows_come_to_those_who_asked_for_rows(void **state)
{
    (void)state;
    for (int to = 0; to < SY_ANSWERS_COUNT; to++)
        assert_int_equal(sy_answers_with_rows((enum sy_answers_to)to),
                         sy_answer_is_legal((enum sy_answers_to)to, 'D', 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_answer_what_was_asked),
        cmocka_unit_test(the_table_agrees_with_the_one_of_replies),
        cmocka_unit_test(lengths_have_an_end),
        cmocka_unit_test(rows_come_to_those_who_asked_for_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
