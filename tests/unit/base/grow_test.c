/* Arrays that double: what they hold stays, and a failure changes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/grow.h"

static void keeps_what_it_holds(void **state)
{
    (void)state;
    uint32_t *list = NULL, room = 0;
    for (uint32_t count = 0; count < 1000; count++) {
        uint32_t *grown = sy_grown(list, count, &room, 3, sizeof(*grown));
        assert_non_null(grown);
        assert_true(count < room);
        list = grown;
        list[count] = count;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(list[i], i);
    assert_int_equal(room, 3 * 512);
    free(list);
}

static void stays_as_it_was_when_there_is_no_more(void **state)
{
    (void)state;
    char kept;
    uint32_t room = UINT32_C(1) << 31; /* doubled it would be none */
    assert_null(sy_grown(&kept, room, &room, 3, 1));
    assert_int_equal(room, UINT32_C(1) << 31);
    assert_ptr_equal(sy_grown(&kept, room - 1, &room, 3, 1), &kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_what_it_holds),
        cmocka_unit_test(stays_as_it_was_when_there_is_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
