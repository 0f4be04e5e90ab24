/* The set of statements that a server has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/session/prepared.h"

static void evicts_what_was_used_longest_ago(void **state)
{
    (void)state;
    struct sy_prepared_set set = {0};
    for (uint64_t id = 1; id <= 3; id++)
        assert_int_equal(sy_prepared_set_add(&set, id, NULL), SY_OK);
    assert_true(sy_prepared_set_touch(&set, 1));
    uint64_t id = 0;
    assert_true(sy_prepared_set_evict(&set, &id));
    assert_int_equal(id, 2);
    assert_false(sy_prepared_set_touch(&set, 2));
    assert_true(sy_prepared_set_evict(&set, &id));
    assert_int_equal(id, 3);
    sy_prepared_set_remove(&set, 2);
    assert_int_equal(sy_prepared_set_count(&set), 2);
    sy_prepared_set_release(&set);
}

static void a_close_that_was_skipped_keeps_the_statement(void **state)
{
    (void)state;
    struct sy_prepared_set set = {0};
    uint64_t id = 0;
    assert_false(sy_prepared_set_evict(&set, &id));
    assert_int_equal(sy_prepared_set_add(&set, 7, NULL), SY_OK);
    assert_true(sy_prepared_set_evict(&set, &id));
    assert_false(sy_prepared_set_touch(&set, 7));
    sy_prepared_set_keep(&set, 7);
    assert_true(sy_prepared_set_touch(&set, 7));
    sy_prepared_set_clear(&set);
    assert_false(sy_prepared_set_touch(&set, 7));
    sy_prepared_set_release(&set);
}

static void names_are_made_of_ids(void **state)
{
    (void)state;
    char name[SY_STATEMENT_NAME_BYTES];
    assert_int_equal(sy_statement_name(17, name), 5);
    assert_string_equal(name, "sy_17");
    assert_int_equal(sy_statement_name(UINT64_MAX, name), 23);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evicts_what_was_used_longest_ago),
        cmocka_unit_test(a_close_that_was_skipped_keeps_the_statement),
        cmocka_unit_test(names_are_made_of_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
