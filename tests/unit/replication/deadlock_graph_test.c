/* Who is in a circle of waits, and who pays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "replication/deadlocks.h"

/* Clients 1, 2 and 3, the later the younger, each with process 10 * client + server on servers 0
 * and 1; other processes belong to nobody. */
static const struct sy_deadlock_member members[] = {{1, 0, 10, 100}, {1, 1, 11, 100},
                                                    {2, 0, 20, 200}, {2, 1, 21, 200},
                                                    {3, 0, 30, 300}, {3, 1, 31, 300}};

static uint32_t victim(const struct sy_deadlock_edge *edges, uint32_t count)
{
    return sy_deadlock_victim(edges, count, members, sizeof(members) / sizeof(members[0]));
}

static void two_that_wait_for_each_other(void **state)
{
    (void)state;
    const struct sy_deadlock_edge edges[] = {{1, 11, 21}, {0, 20, 10}};
    assert_int_equal(victim(edges, 2), 2);
    assert_int_equal(victim(edges, 1), 0);
    assert_int_equal(victim(edges + 1, 1), 0);
}

static void a_queue_is_no_circle(void **state)
{
    (void)state;
    const struct sy_deadlock_edge edges[] = {{1, 11, 21}, {0, 20, 30}, {0, 10, 30}, {1, 11, 31}};
    assert_int_equal(victim(edges, 4), 0);
}

static void through_a_process_of_nobody(void **state)
{
    (void)state;
    const struct sy_deadlock_edge edges[] = {{1, 21, 77}, {1, 77, 11}, {0, 10, 20}};
    assert_int_equal(victim(edges, 3), 2);
    /* Process 77 of another server is another one. */
    const struct sy_deadlock_edge other[] = {{1, 21, 77}, {0, 77, 10}, {0, 10, 20}};
    assert_int_equal(victim(other, 3), 0);
}

static void the_youngest_of_the_circle_pays(void **state)
{
    (void)state;
    const struct sy_deadlock_edge three[] = {{0, 10, 20}, {1, 21, 31}, {0, 30, 10}};
    assert_int_equal(victim(three, 3), 3);
    /* Client 3 waits for the circle and is not in it. */
    const struct sy_deadlock_edge outside[] = {{0, 10, 20}, {1, 21, 11}, {0, 30, 10}};
    assert_int_equal(victim(outside, 3), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_that_wait_for_each_other),
        cmocka_unit_test(a_queue_is_no_circle),
        cmocka_unit_test(through_a_process_of_nobody),
        cmocka_unit_test(the_youngest_of_the_circle_pays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
