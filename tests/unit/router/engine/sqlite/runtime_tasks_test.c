/* Engine threads: a task runs on one thread at a time, and no wake is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "router/engine/sqlite/tasks.h"

enum { TASKS = 20, WAKERS = 4, WAKES = 5000 };

struct counter {
    struct sy_sqlite_task task;
    atomic_int inside;
    atomic_long wanted, seen; /* seen follows wanted */
    atomic_bool overlapped;
};

static struct counter counters[TASKS];

static enum sy_sqlite_task_result count(struct sy_sqlite_task *task)
{
    struct counter *c = sy_container_of(task, struct counter, task);
    if (atomic_fetch_add(&c->inside, 1) != 0)
        atomic_store(&c->overlapped, true);
    atomic_store(&c->seen, atomic_load(&c->wanted));
    atomic_fetch_sub(&c->inside, 1);
    return SY_TASK_WAITS;
}

static void *wake_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < WAKES; i++) {
        struct counter *c = &counters[i % TASKS];
        atomic_fetch_add(&c->wanted, 1);
        sy_sqlite_task_wake(&c->task);
    }
    return NULL;
}

static void no_wake_is_lost_and_nothing_overlaps(void **state)
{
    (void)state;
    struct sy_err err = {0};
    pthread_t wakers[WAKERS];
    assert_int_equal(sy_sqlite_tasks_start(3, &err), SY_OK);
    for (int i = 0; i < TASKS; i++)
        sy_sqlite_task_init(&counters[i].task, count);
    for (int i = 0; i < WAKERS; i++)
        assert_int_equal(pthread_create(&wakers[i], NULL, wake_many, NULL), 0);
    for (int i = 0; i < WAKERS; i++)
        pthread_join(wakers[i], NULL);
    sy_sqlite_tasks_stop(); /* after the queue has run dry */
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(atomic_load(&counters[i].wanted), (long)WAKERS * WAKES / TASKS);
        assert_int_equal(atomic_load(&counters[i].seen), atomic_load(&counters[i].wanted));
        assert_false(atomic_load(&counters[i].overlapped));
    }
}

static enum sy_sqlite_task_result block(struct sy_sqlite_task *task)
{
    struct counter *c = sy_container_of(task, struct counter, task);
    sy_sqlite_tasks_blocking();
    while (atomic_load(&c->wanted) == 0)
        usleep(1000);
    sy_sqlite_tasks_unblocked();
    atomic_store(&c->seen, 1);
    return SY_TASK_WAITS;
}

static enum sy_sqlite_task_result release(struct sy_sqlite_task *task)
{
    (void)task;
    atomic_store(&counters[0].wanted, 1);
    return SY_TASK_WAITS;
}

static void a_thread_that_blocks_does_not_hold_up_the_others(void **state)
{
    (void)state;
    struct sy_err err = {0};
    assert_int_equal(sy_sqlite_tasks_start(2, &err), SY_OK);
    atomic_store(&counters[0].wanted, 0);
    atomic_store(&counters[0].seen, 0);
    sy_sqlite_task_init(&counters[0].task, block);
    sy_sqlite_task_init(&counters[1].task, release);
    sy_sqlite_task_wake(&counters[0].task);
    sy_sqlite_task_wake(&counters[1].task);
    sy_sqlite_tasks_stop(); /* hangs if the second never ran */
    assert_int_equal(atomic_load(&counters[0].seen), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_is_lost_and_nothing_overlaps),
        cmocka_unit_test(a_thread_that_blocks_does_not_hold_up_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
