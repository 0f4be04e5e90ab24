/* Bytes held for clients: all or nothing, per user and in all, and what is queued already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "router/session/budget.h"

#define app SY_SLICE("app")
#define other SY_SLICE("other")

static struct sy_budget *make(void)
{
    struct sy_budget *budget = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_budget_new(&budget, &err), SY_OK);
    return budget;
}

static void users_and_all_have_their_own_limits(void **state)
{
    (void)state;
    struct sy_budget *budget = make();
    const struct sy_budget_limits limits = {.user = 100, .all = 150};
    assert_int_equal(sy_budget_take(budget, app, 60, &limits), SY_BUDGET_TAKEN);
    assert_int_equal(sy_budget_take(budget, app, 41, &limits), SY_BUDGET_USER_FULL);
    assert_int_equal(sy_budget_take(budget, app, 40, &limits), SY_BUDGET_TAKEN);
    assert_int_equal(sy_budget_take(budget, app, 1, &limits), SY_BUDGET_USER_FULL);
    assert_int_equal(sy_budget_take(budget, other, 51, &limits), SY_BUDGET_FULL);
    assert_int_equal(sy_budget_take(budget, other, 50, &limits), SY_BUDGET_TAKEN);
    assert_int_equal(sy_budget_used(budget), 150);
    sy_budget_give(budget, app, 100);
    assert_int_equal(sy_budget_take(budget, other, 50, &limits), SY_BUDGET_TAKEN);
    assert_int_equal(sy_budget_take(budget, other, UINT64_MAX, &limits), SY_BUDGET_USER_FULL);
    sy_budget_give(budget, other, 100);
    assert_int_equal(sy_budget_used(budget), 0);
    sy_budget_free(&budget);
    sy_budget_free(&budget);
}

static void without_limits_everything_is_counted(void **state)
{
    (void)state;
    struct sy_budget *budget = make();
    const struct sy_budget_limits none = {0};
    for (int i = 0; i < 1000; i++)
        assert_int_equal(sy_budget_take(budget, app, 1 << 30, &none), SY_BUDGET_TAKEN);
    assert_true(sy_budget_used(budget) == (uint64_t)1000 << 30);
    const struct sy_budget_limits limits = {.all = 1};
    assert_int_equal(sy_budget_take(budget, app, 1, &limits), SY_BUDGET_FULL);
    sy_budget_free(&budget); /* with something in it: a user's share is freed */
}

static void queues_count_for_their_user_only(void **state)
{
    (void)state;
    struct sy_budget *budget = make();
    const struct sy_budget_limits limits = {.user = 100, .all = 100};
    assert_true(sy_budget_queued(budget, app, 80));
    assert_int_equal(sy_budget_used(budget), 0);
    assert_int_equal(sy_budget_take(budget, app, 21, &limits), SY_BUDGET_USER_FULL);
    assert_int_equal(sy_budget_take(budget, app, 20, &limits), SY_BUDGET_TAKEN);
    assert_int_equal(sy_budget_take(budget, other, 80, &limits), SY_BUDGET_TAKEN);
    assert_true(sy_budget_queued(budget, app, 1000)); /* it is there already */
    sy_budget_unqueued(budget, app, 1080);
    sy_budget_give(budget, other, 80);
    assert_int_equal(sy_budget_take(budget, app, 80, &limits), SY_BUDGET_TAKEN);
    sy_budget_give(budget, app, 100);
    assert_int_equal(sy_budget_used(budget), 0);
    sy_budget_free(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_and_all_have_their_own_limits),
        cmocka_unit_test(without_limits_everything_is_counted),
        cmocka_unit_test(queues_count_for_their_user_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
