/* Token buckets: one second's worth, earned steadily, and owed when it was taken in advance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "router/session/rates.h"

enum { SECOND_US = 1000000, START_US = 5 * SECOND_US };

static void a_full_bucket_holds_one_second(void **state)
{
    (void)state;
    static const uint32_t per_second[] = {1, 3, 10, 1000, SY_RATE_MAX};
    for (size_t i = 0; i < sizeof(per_second) / sizeof(per_second[0]); i++) {
        struct sy_rate_bucket bucket = {0};
        uint64_t wait = 1;
        sy_rate_set(&bucket, per_second[i]);
        for (uint32_t n = 0; n < per_second[i]; n++) {
            assert_true(sy_rate_take(&bucket, 1, START_US, 0, &wait));
            assert_int_equal(wait, 0);
        }
        assert_false(sy_rate_take(&bucket, 1, START_US, 0, &wait));
        assert_true(wait > 0 && wait <= SECOND_US / per_second[i] + 1);
        /* What was refused was not taken: it is there when it is earned. */
        assert_true(sy_rate_take(&bucket, 1, START_US + wait, 0, &wait));
    }
}

static void never_more_than_the_rate_over_a_long_time(void **state)
{
    (void)state;
    struct sy_rate_bucket bucket = {0};
    uint64_t wait, taken = 0;
    sy_rate_set(&bucket, 100);
    for (uint64_t now = START_US; now < START_US + 20 * SECOND_US; now += 3000)
        taken += sy_rate_take(&bucket, 1, now, 0, &wait);
    assert_in_range(taken, 20 * 100, 21 * 100);
    /* An idle hour fills it no further than a second. */
    uint64_t later = START_US + (uint64_t)3600 * SECOND_US;
    for (taken = 0; sy_rate_take(&bucket, 1, later, 0, &wait); taken++)
        ;
    assert_int_equal(taken, 100);
}

static void waits_stand_in_line_up_to_the_bound(void **state)
{
    (void)state;
    struct sy_rate_bucket bucket = {0};
    uint64_t wait, before = 0;
    sy_rate_set(&bucket, 10);
    for (int i = 0; i < 10; i++)
        assert_true(sy_rate_take(&bucket, 1, START_US, SECOND_US, &wait));
    for (int i = 1; i <= 10; i++) {
        assert_true(sy_rate_take(&bucket, 1, START_US, SECOND_US, &wait));
        assert_true(wait > before);
        before = wait;
    }
    assert_int_equal(wait, SECOND_US);
    assert_false(sy_rate_take(&bucket, 1, START_US, SECOND_US, &wait));
    sy_rate_give_back(&bucket, 1);
    assert_true(sy_rate_take(&bucket, 1, START_US, SECOND_US, &wait));
}

static void what_is_owed_is_waited_for(void **state)
{
    (void)state;
    struct sy_rate_bucket bucket = {0};
    uint64_t wait;
    sy_rate_set(&bucket, 10);
    sy_rate_owe(&bucket, 100, START_US);
    assert_false(sy_rate_take(&bucket, 1, START_US, 9 * SECOND_US, &wait));
    assert_true(sy_rate_take(&bucket, 1, START_US, 10 * SECOND_US, &wait));
    assert_int_equal(wait, 9 * SECOND_US + SECOND_US / 10);
}

static void without_a_rate_nothing_is_counted(void **state)
{
    (void)state;
    struct sy_rate_bucket bucket = {0};
    uint64_t wait;
    for (int i = 0; i < 1000; i++)
        assert_true(sy_rate_take(&bucket, 1000, START_US, 0, &wait));
    assert_int_equal(atomic_load(&bucket.earned_ns), 0);
}

static void a_reload_changes_rates_and_keeps_buckets(void **state)
{
    (void)state;
    struct sy_config_user users[] = {{.name = "app", .statement_rate = 10}, {.name = "free"}};
    struct sy_config_database databases[] = {{.name = "app", .connection_rate = 1}};
    struct sy_config config = {
        .users = users, .user_count = 2, .databases = databases, .database_count = 1};
    struct sy_rates *rates = NULL;
    struct sy_err err = {0};
    uint64_t wait;
    assert_int_equal(sy_rates_new(&rates, &err), SY_OK);
    assert_int_equal(sy_rates_configure(rates, &config, &err), SY_OK);
    struct sy_rate_pair *user = sy_rates_user(rates, SY_SLICE("app"));
    assert_non_null(user);
    assert_ptr_not_equal(user, sy_rates_database(rates, SY_SLICE("app")));
    assert_null(sy_rates_user(rates, SY_SLICE("free")));
    assert_null(sy_rates_database(rates, SY_SLICE("other")));
    sy_rate_owe(&user->statements, 20, START_US);
    assert_true(sy_rate_take(&user->connections, 1, START_US, 0, &wait));
    assert_int_equal(sy_rates_configure(rates, &config, &err), SY_OK);
    assert_ptr_equal(sy_rates_user(rates, SY_SLICE("app")), user);
    assert_false(sy_rate_take(&user->statements, 1, START_US, 0, &wait));
    config.user_count = 0;
    assert_int_equal(sy_rates_configure(rates, &config, &err), SY_OK);
    assert_true(sy_rate_take(&user->statements, 1, START_US, 0, &wait));
    sy_rates_free(&rates);
    sy_rates_free(&rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_holds_one_second),
        cmocka_unit_test(never_more_than_the_rate_over_a_long_time),
        cmocka_unit_test(waits_stand_in_line_up_to_the_bound),
        cmocka_unit_test(what_is_owed_is_waited_for),
        cmocka_unit_test(without_a_rate_nothing_is_counted),
        cmocka_unit_test(a_reload_changes_rates_and_keeps_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
