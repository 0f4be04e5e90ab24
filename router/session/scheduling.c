/*
 * How the kernel schedules a worker where there is more work than cores. An ordinary thread that is
 * woken pushes aside who runs on its core: a server process, most often, that is about to answer
 * another client. A batch thread waits until that one sleeps or has used up its slice, and by then
 * more has come, which one turn of the loop serves. With 16 or 64 clients on 2 cores this takes a
 * fifth to a third off the CPU time of a transaction, and the throughput grows. With one client it
 * only makes it wait. So a worker looks how many statements it has in flight: the time that was
 * spent in statements by the time that has passed. Where a core is free neither matters.
 *
 * The worker's thread.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/log.h"
#include "router/session/internal.h"

enum {
    SAMPLE_US = 100 * 1000,
    SCALE = 1000,        /* of the level */
    MANY = 4 * SCALE,    /* statements in flight: batch from here on */
    FEW = 2 * SCALE,     /* ordinary below */
    MOST = 10 * MANY,    /* one sample counts no more: many ended at once */
    SAMPLES_IN_LEVEL = 4 /* that a change takes to be seen */
};

static uint64_t spent_us(const struct sy_worker *worker)
{
    uint64_t sum = 0;
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&worker->databases, &at, &entry);) {
        const struct sy_worker_database *database = entry.value;
        if (database->counters != NULL)
            sum += sy_counter_get(&database->counters->statement_us);
    }
    return sum;
}

static void set_batch(struct sy_worker *worker, bool batch)
{
    struct sy_scheduling *self = &worker->scheduling;
    const struct sched_param none = {0};
    int policy = batch ? SCHED_BATCH : SCHED_OTHER;
    if (self->batch == batch || self->refused)
        return;
    self->batch = batch;
    if (sched_setscheduler(0, policy, &none) == 0)
        return;
    self->refused = true;
    SY_LOG(SY_LOG_WARN, "worker_scheduling_refused", SY_KV_STR("why", strerrordesc_np(errno)));
}

static void on_sample(struct sy_timer *timer)
{
    struct sy_worker *worker = sy_container_of(timer, struct sy_worker, scheduling.timer);
    struct sy_scheduling *self = &worker->scheduling;
    uint64_t now = sy_loop_now_us(worker->loop), spent = spent_us(worker);
    uint64_t passed = now - self->sampled_us;
    uint64_t sample = passed != 0 ? (spent - self->spent_us) * SCALE / passed : 0;
    if (sample > MOST)
        sample = MOST;
    bool idle = spent == self->spent_us && self->level < FEW;
    self->level = self->level - self->level / SAMPLES_IN_LEVEL + sample / SAMPLES_IN_LEVEL;
    self->sampled_us = now;
    self->spent_us = spent;
    if (self->level >= MANY)
        set_batch(worker, true);
    else if (self->level < FEW)
        set_batch(worker, false);
    if (!idle) /* else the next client or the tick begins again */
        sy_timer_start(worker->loop, &self->timer, SAMPLE_US);
}

void sy_scheduling_init(struct sy_worker *worker)
{
    sy_timer_init(&worker->scheduling.timer, on_sample);
}

void sy_scheduling_start(struct sy_worker *worker)
{
    struct sy_scheduling *self = &worker->scheduling;
    self->mode = worker->topology->config->worker_scheduling;
    if (self->mode == SY_SCHEDULING_BATCH)
        set_batch(worker, true);
}

void sy_scheduling_watch(struct sy_worker *worker)
{
    struct sy_scheduling *self = &worker->scheduling;
    if (self->mode != SY_SCHEDULING_AUTO || sy_timer_armed(&self->timer))
        return;
    self->sampled_us = sy_loop_now_us(worker->loop);
    self->spent_us = spent_us(worker);
    sy_timer_start(worker->loop, &self->timer, SAMPLE_US);
}

void sy_scheduling_tick(struct sy_worker *worker)
{
    if (worker->scheduling.spent_us != spent_us(worker))
        sy_scheduling_watch(worker);
}

void sy_scheduling_release(struct sy_worker *worker)
{
    if (sy_timer_armed(&worker->scheduling.timer))
        sy_timer_cancel(worker->loop, &worker->scheduling.timer);
}
