/* Engine threads and their run queue. One lock; a wake costs a system call only when a thread
 * sleeps. */
#include "router/engine/sqlite/tasks.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"

enum { TASK_IDLE, TASK_QUEUED, TASK_RUNNING, TASK_RUNNING_AGAIN };
enum { THREADS_MAX = 16, TICK_MS = 10 };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct sy_list queue;
    uint32_t queued, sleeping, waking;
    uint32_t active; /* threads that run tasks and are not inside a system call that blocks */
    uint64_t taken, taken_before; /* tasks begun, and how many at the last tick */
    uint32_t thread_count;
    _Atomic bool stopping;
    pthread_t threads[THREADS_MAX];

    pthread_mutex_t tick_lock;
    pthread_cond_t tick_wake;
    struct sy_list ticks;
    pthread_t ticker;
} pool = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .queue = {&pool.queue, &pool.queue},
    .tick_lock = PTHREAD_MUTEX_INITIALIZER,
    .tick_wake = PTHREAD_COND_INITIALIZER,
    .ticks = {&pool.ticks, &pool.ticks},
};

void sy_sqlite_task_init(struct sy_sqlite_task *task,
                         enum sy_sqlite_task_result (*run)(struct sy_sqlite_task *self))
{
    sy_list_init(&task->link);
    task->state = TASK_IDLE;
    task->run = run;
}

enum { BACKLOG_PER_THREAD = 4 };

/*
 * With the lock held. Tasks are short: a second thread is not worth its wake-up (and the cores that
 * the loops need) before some have gathered. A thread that blocks says so, and the ticker sees
 * tasks that are not short. True: the caller signals `work` when it has let go of the lock, which
 * the thread that wakes takes first thing.
 */
static bool wake_one(bool stuck)
{
    bool wanted = stuck || pool.active == 0 || pool.queued > pool.active * BACKLOG_PER_THREAD;
    if (!wanted || pool.queued == 0 || pool.waking > 0 || pool.sleeping == 0)
        return false;
    pool.waking++;
    return true;
}

static void unlock_and_wake(bool wake)
{
    pthread_mutex_unlock(&pool.lock);
    if (wake)
        pthread_cond_signal(&pool.work);
}

void sy_sqlite_tasks_blocking(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.active--;
    unlock_and_wake(wake_one(false));
}

void sy_sqlite_tasks_unblocked(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.active++;
    pthread_mutex_unlock(&pool.lock);
}

static void wake_if_stuck(void)
{
    pthread_mutex_lock(&pool.lock);
    bool wake = pool.queued > 0 && pool.taken == pool.taken_before && wake_one(true);
    pool.taken_before = pool.taken;
    unlock_and_wake(wake);
}

static void enqueue(struct sy_sqlite_task *task)
{
    task->state = TASK_QUEUED;
    sy_list_append(&pool.queue, &task->link);
    pool.queued++;
}

void sy_sqlite_task_wake(struct sy_sqlite_task *task)
{
    pthread_mutex_lock(&pool.lock);
    bool wake = false;
    if (task->state == TASK_IDLE) {
        enqueue(task);
        wake = wake_one(false);
    } else if (task->state == TASK_RUNNING) {
        task->state = TASK_RUNNING_AGAIN;
    }
    unlock_and_wake(wake);
}

static void run_one(void)
{
    struct sy_sqlite_task *task =
        sy_container_of(sy_list_pop(&pool.queue), struct sy_sqlite_task, link);
    pool.queued--;
    pool.taken++;
    bool wake = wake_one(false);
    task->state = TASK_RUNNING;
    unlock_and_wake(wake);
    enum sy_sqlite_task_result result = task->run(task);
    pthread_mutex_lock(&pool.lock);
    if (result == SY_TASK_GONE)
        return;
    if (result == SY_TASK_AGAIN || task->state == TASK_RUNNING_AGAIN)
        enqueue(task);
    else
        task->state = TASK_IDLE;
}

static void *thread_main(void *unused)
{
    (void)unused;
    (void)pthread_setname_np(pthread_self(), "sqlite");
    pthread_mutex_lock(&pool.lock);
    pool.active++;
    for (;;) {
        while (!sy_list_empty(&pool.queue))
            run_one();
        if (pool.stopping)
            break;
        pool.active--;
        pool.sleeping++;
        pthread_cond_wait(&pool.work, &pool.lock);
        pool.sleeping--;
        pool.active++;
        if (pool.waking > 0)
            pool.waking--;
    }
    pool.active--;
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

static void *ticker_main(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&pool.tick_lock);
    while (!pool.stopping) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        /* With nobody to look after, sleep long; sy_sqlite_tick_add() wakes. */
        int64_t wait_ns = sy_list_empty(&pool.ticks) ? 1000000000 : (int64_t)TICK_MS * 1000000;
        int64_t ns = until.tv_nsec + wait_ns;
        until.tv_sec += ns / 1000000000;
        until.tv_nsec = ns % 1000000000;
        pthread_cond_timedwait(&pool.tick_wake, &pool.tick_lock, &until);
        uint64_t now_us = sy_clock_real()->monotonic_us(sy_clock_real());
        sy_list_each_safe(node, &pool.ticks)
        {
            struct sy_sqlite_tick *tick = sy_container_of(node, struct sy_sqlite_tick, link);
            tick->tick(tick, now_us);
        }
        wake_if_stuck();
    }
    pthread_mutex_unlock(&pool.tick_lock);
    return NULL;
}

static uint32_t default_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    /* One more than the cores: a thread that waits for a commit's fsync does not keep a core idle.
     */
    uint32_t wanted = cores < 1 ? 2 : (uint32_t)cores + 1;
    return wanted > THREADS_MAX ? THREADS_MAX : wanted;
}

enum sy_status sy_sqlite_tasks_start(uint32_t threads, struct sy_err *err)
{
    enum sy_status status = SY_OK;
    pthread_mutex_lock(&pool.lock);
    if (pool.thread_count == 0) {
        uint32_t wanted = threads == 0            ? default_threads()
                          : threads > THREADS_MAX ? THREADS_MAX
                                                  : threads;
        pool.stopping = false;
        pool.sleeping = pool.waking = pool.active = 0;
        /* Signals are the program's business: engine threads take none. */
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int rc = pthread_create(&pool.ticker, NULL, ticker_main, NULL);
        while (rc == 0 && pool.thread_count < wanted) {
            rc = pthread_create(&pool.threads[pool.thread_count], NULL, thread_main, NULL);
            if (rc == 0)
                pool.thread_count++;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc != 0 && pool.thread_count == 0)
            status = sy_err_set_errno(err, SY_E_NO_MEMORY, rc, "cannot start an engine thread");
    }
    pthread_mutex_unlock(&pool.lock);
    return status;
}

void sy_sqlite_tasks_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    uint32_t count = pool.thread_count;
    pool.stopping = true;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.lock);
    if (count == 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        pthread_join(pool.threads[i], NULL);
    pthread_mutex_lock(&pool.tick_lock);
    pthread_cond_signal(&pool.tick_wake);
    pthread_mutex_unlock(&pool.tick_lock);
    pthread_join(pool.ticker, NULL);
    pthread_mutex_lock(&pool.lock);
    pool.thread_count = 0;
    pthread_mutex_unlock(&pool.lock);
}

void sy_sqlite_tick_add(struct sy_sqlite_tick *tick)
{
    pthread_mutex_lock(&pool.tick_lock);
    sy_list_append(&pool.ticks, &tick->link);
    pthread_cond_signal(&pool.tick_wake);
    pthread_mutex_unlock(&pool.tick_lock);
}

void sy_sqlite_tick_remove(struct sy_sqlite_tick *tick)
{
    pthread_mutex_lock(&pool.tick_lock);
    sy_list_remove(&tick->link);
    pthread_mutex_unlock(&pool.tick_lock);
}
