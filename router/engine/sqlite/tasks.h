/*
 * Engine threads: a fixed set of threads that run tasks. A task (a session, a shard's writer, a
 * replica's applier) is an actor: it runs on one thread at a time and is woken by whoever has news
 * for it. A wake while it runs makes it run once more, so no news is lost.
 *
 * The threads are few and fixed because libpg_query uses up a pthread key per thread that parses.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_TASKS_H
#define SY_ROUTER_ENGINE_SQLITE_TASKS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

enum sy_sqlite_task_result {
    SY_TASK_WAITS, /* nothing to do until the next wake */
    SY_TASK_AGAIN, /* used up its turn: queue it behind the others */
    SY_TASK_GONE,  /* the task has freed itself: do not touch it */
};

struct sy_sqlite_task {
    struct sy_list link;
    uint8_t state; /* under the lock of tasks.c */
    enum sy_sqlite_task_result (*run)(struct sy_sqlite_task *self);
};

/* Starts the threads of the process when they do not run yet. threads 0: by the number of cores. */
SY_MUST_CHECK enum sy_status sy_sqlite_tasks_start(uint32_t threads, struct sy_err *err);
/* Ends the threads after the queue has run dry. Blocks. */
void sy_sqlite_tasks_stop(void);

void sy_sqlite_task_init(struct sy_sqlite_task *task,
                         enum sy_sqlite_task_result (*run)(struct sy_sqlite_task *self));
/* Runs the task soon. Any thread. */
void sy_sqlite_task_wake(struct sy_sqlite_task *task);

/* On an engine thread: it is about to wait for the disk / it has done so. Another thread takes over
 * meanwhile. */
void sy_sqlite_tasks_blocking(void);
void sy_sqlite_tasks_unblocked(void);

/* Something that must be looked at every few milliseconds (time limits). Called on a thread of its
 * own. */
struct sy_sqlite_tick {
    struct sy_list link;
    void (*tick)(struct sy_sqlite_tick *self, uint64_t now_us);
};
void sy_sqlite_tick_add(struct sy_sqlite_tick *tick);
void sy_sqlite_tick_remove(struct sy_sqlite_tick *tick);

#endif
