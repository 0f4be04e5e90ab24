/* Command tags of several shards become one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/merge/tag.h"

static void adds_row_counts(void **state)
{
    (void)state;
    static const struct {
        const char *label, *a, *b, *sum;
    } cases[] = {
        {"select", "SELECT 3", "SELECT 4", "SELECT 7"},
        {"insert keeps its zero", "INSERT 0 1", "INSERT 0 2", "INSERT 0 3"},
        {"copy", "COPY 10", "COPY 0", "COPY 10"},
        {"no count", "CREATE TABLE", "CREATE TABLE", "CREATE TABLE"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_tag_sum sum = {0};
        char tag[SY_TAG_BYTES_MAX + 24];
        assert_true(sy_tag_sum_add(&sum, sy_slice_of(cases[i].a)));
        assert_true(sy_tag_sum_add(&sum, sy_slice_of(cases[i].b)));
        sy_tag_sum_write(&sum, sum.rows, tag);
        if (strcmp(tag, cases[i].sum) != 0)
            fail_msg("%s: %s", cases[i].label, tag);
    }
}

static void refuses_tags_of_different_commands(void **state)
{
    (void)state;
    struct sy_tag_sum sum = {0};
    assert_true(sy_tag_sum_add(&sum, SY_SLICE("SELECT 1")));
    assert_false(sy_tag_sum_add(&sum, SY_SLICE("UPDATE 1")));
    assert_int_equal(sum.rows, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_row_counts),
        cmocka_unit_test(refuses_tags_of_different_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
