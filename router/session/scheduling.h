/* Whether a worker's thread pushes others aside when it is woken; see scheduling.c. */
#ifndef SY_ROUTER_SESSION_SCHEDULING_H
#define SY_ROUTER_SESSION_SCHEDULING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/loop.h"
#include "config/config.h"

struct sy_worker;

/* Part of a worker, touched by its thread. */
struct sy_scheduling {
    enum sy_scheduling_mode mode;
    struct sy_timer timer; /* armed while there is something to watch */
    uint64_t sampled_us, spent_us;
    uint64_t level; /* statements in flight, in thousandths, over the last samples */
    bool batch, refused;
};

void sy_scheduling_init(struct sy_worker *worker);
/* On the worker's thread, when it has its loop and its topology. */
void sy_scheduling_start(struct sy_worker *worker);
void sy_scheduling_release(struct sy_worker *worker);
/* A client has come. */
void sy_scheduling_watch(struct sy_worker *worker);
/* Once a second: watches again when there were statements. */
void sy_scheduling_tick(struct sy_worker *worker);

#endif
