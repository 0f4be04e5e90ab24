/* Failed logins: buckets fill, leak, are forgotten, and cannot be made to grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/limits.h"
#include "router/session/failures.h"

static const struct sy_login_rate rate = {.max = 3, .wait_us = 1000};
#define user SY_SLICE("app")
#define address SY_SLICE("10.0.0.1")

static struct sy_login_failures *make(void)
{
    struct sy_login_failures *failures;
    struct sy_err err = {0};
    assert_int_equal(sy_login_failures_new(7, &failures, &err), SY_OK);
    return failures;
}

static void holds_off_after_the_limit_and_forgives_with_time(void **state)
{
    (void)state;
    struct sy_login_failures *failures = make();
    uint64_t wait = 0, now = 50000;
    for (int i = 0; i < 3; i++) {
        assert_true(sy_login_failures_allow(failures, user, address, &rate, now, &wait));
        sy_login_failures_add(failures, user, address, &rate, now);
    }
    assert_false(sy_login_failures_allow(failures, user, address, &rate, now, &wait));
    assert_int_equal(wait, 1000);
    assert_true(sy_login_failures_allow(failures, user, SY_SLICE("10.0.0.2"), &rate, now, &wait));
    assert_true(sy_login_failures_allow(failures, SY_SLICE("other"), address, &rate, now, &wait));
    assert_false(sy_login_failures_allow(failures, user, address, &rate, now + 999, &wait));
    assert_true(sy_login_failures_allow(failures, user, address, &rate, now + 1000, &wait));
    sy_login_failures_free(&failures);
}

static void forgets_after_a_success(void **state)
{
    (void)state;
    struct sy_login_failures *failures = make();
    uint64_t wait;
    for (int i = 0; i < 9; i++)
        sy_login_failures_add(failures, user, address, &rate, 1);
    assert_false(sy_login_failures_allow(failures, user, address, &rate, 1, &wait));
    sy_login_failures_clear(failures, user, address);
    assert_true(sy_login_failures_allow(failures, user, address, &rate, 1, &wait));
    sy_login_failures_free(&failures);
}

static void no_limit_counts_nothing(void **state)
{
    (void)state;
    struct sy_login_failures *failures = make();
    const struct sy_login_rate none = {0};
    uint64_t wait;
    for (int i = 0; i < 100; i++)
        sy_login_failures_add(failures, user, address, &none, 1);
    assert_true(sy_login_failures_allow(failures, user, address, &none, 1, &wait));
    sy_login_failures_free(&failures);
}

static void a_flood_of_names_pushes_out_the_least(void **state)
{
    (void)state;
    struct sy_login_failures *failures = make();
    uint64_t wait;
    for (int i = 0; i < 20; i++)
        sy_login_failures_add(failures, user, address, &rate, 1);
    for (int i = 0; i < SY_LIMIT_LOGIN_FAILURES * 4; i++) {
        char name[32];
        int bytes = snprintf(name, sizeof(name), "user%d", i);
        sy_login_failures_add(failures, (struct sy_slice){name, (size_t)bytes}, address, &rate, 1);
    }
    assert_false(sy_login_failures_allow(failures, user, address, &rate, 1, &wait));
    sy_login_failures_free(&failures);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_off_after_the_limit_and_forgives_with_time),
        cmocka_unit_test(forgets_after_a_success),
        cmocka_unit_test(no_limit_counts_nothing),
        cmocka_unit_test(a_flood_of_names_pushes_out_the_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
