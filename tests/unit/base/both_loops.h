/* Runs a list of tests on each kind of loop; a test finds the kind in its initial state. */
#ifndef SY_TESTS_UNIT_BASE_BOTH_LOOPS_H
#define SY_TESTS_UNIT_BASE_BOTH_LOOPS_H

#include <stdio.h>
#include <string.h>

#include "base/loop.h"

enum { BOTH_LOOPS_TESTS_MAX = 64 };

/* For an array of tests that is not longer than BOTH_LOOPS_TESTS_MAX. Failures in all. */
#define run_on_both_loops(all, group_setup, group_teardown)                                        \
    run_on_loops((all), sizeof(all) / sizeof((all)[0]), (group_setup), (group_teardown))

static inline int run_on_loops(const struct CMUnitTest *all, size_t count,
                               CMFixtureFunction group_setup, CMFixtureFunction group_teardown)
{
    static enum sy_loop_kind kinds[] = {SY_LOOP_IO_URING, SY_LOOP_EPOLL};
    int failed = 0;
    if (count > BOTH_LOOPS_TESTS_MAX)
        return 1;
    for (unsigned k = 0; k < 2; k++) {
        struct CMUnitTest tests[BOTH_LOOPS_TESTS_MAX] = {{0}};
        memcpy(tests, all, count * sizeof(*all));
        for (size_t i = 0; i < count; i++)
            tests[i].initial_state = &kinds[k];
        printf("loop = %s\n", sy_loop_kind_name(kinds[k]));
        failed += _cmocka_run_group_tests("tests", tests, count, group_setup, group_teardown);
    }
    return failed;
}

#endif
