/* Ids grow, whatever the clock does and however many threads ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "router/session/ids.h"

static const int64_t epoch_us = 1767225600000000; /* 2026-01-01 */
static const int64_t hour_us = (int64_t)3600 * 1000 * 1000;

static int64_t ms_of(int64_t id)
{
    return id >> 22;
}

static void bits_are_time_node_and_counter(void **state)
{
    (void)state;
    struct sy_id_source source = {.node = 0x2a5};
    int64_t first = sy_id_next(&source, epoch_us + hour_us);
    int64_t second = sy_id_next(&source, epoch_us + hour_us + 999);
    int64_t third = sy_id_next(&source, epoch_us + hour_us + 1000);
    assert_int_equal(ms_of(first), 3600 * 1000);
    assert_int_equal(first >> 12 & 1023, 0x2a5);
    assert_int_equal(first & 4095, 0);
    assert_int_equal(second, first + 1);
    assert_int_equal(ms_of(third), 3600 * 1000 + 1);
    assert_int_equal(third & 4095, 0);
}

static void a_clock_that_goes_back_takes_no_id_back(void **state)
{
    (void)state;
    struct sy_id_source source = {.node = SY_ID_NODE_MAX};
    int64_t before = sy_id_next(&source, epoch_us + 2 * hour_us);
    for (int i = 0; i < 10000; i++) {
        int64_t next = sy_id_next(&source, epoch_us + hour_us);
        assert_true(next > before);
        assert_int_equal(next >> 12 & 1023, SY_ID_NODE_MAX);
        before = next;
    }
    assert_int_equal(ms_of(before), 2 * 3600 * 1000 + 2); /* borrowed */
    assert_true(sy_id_next(&source, epoch_us + 3 * hour_us) > before);
}

static void ids_are_never_small_nor_negative(void **state)
{
    (void)state;
    struct sy_id_source source = {.node = 0}, late = {.node = 1};
    assert_true(sy_id_next(&source, 0) > INT32_MAX);
    assert_true(sy_id_next(&source, -hour_us) > INT32_MAX);
    assert_true(sy_id_next(&late, epoch_us + (int64_t)100 * 366 * 24 * hour_us) > 0);
}

enum { THREADS = 4, EACH = 20000 };

struct asker {
    pthread_t thread;
    struct sy_id_source *source;
    int64_t ids[EACH];
};

static void *ask(void *opaque)
{
    struct asker *asker = opaque;
    for (int i = 0; i < EACH; i++)
        asker->ids[i] = sy_id_next(asker->source, epoch_us + hour_us + i);
    return NULL;
}

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

static void threads_never_get_the_same(void **state)
{
    (void)state;
    static struct asker askers[THREADS];
    static int64_t all[THREADS * EACH];
    struct sy_id_source source = {.node = 3};
    for (int i = 0; i < THREADS; i++) {
        askers[i].source = &source;
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        for (int at = 0; at < EACH; at++) {
            assert_true(at == 0 || askers[i].ids[at] > askers[i].ids[at - 1]);
            all[i * EACH + at] = askers[i].ids[at];
        }
    qsort(all, THREADS * EACH, sizeof(all[0]), by_value);
    for (int i = 1; i < THREADS * EACH; i++)
        assert_true(all[i] != all[i - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_are_time_node_and_counter),
        cmocka_unit_test(a_clock_that_goes_back_takes_no_id_back),
        cmocka_unit_test(ids_are_never_small_nor_negative),
        cmocka_unit_test(threads_never_get_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
