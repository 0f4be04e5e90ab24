/*
 * Time. Code takes time as an argument where it can; where it must ask, it asks a clock, so that
 * tests run on a virtual one. Monotonic microseconds drive timers; wall time is for people and for
 * SQL's now().
 */
#ifndef SY_BASE_CLOCK_H
#define SY_BASE_CLOCK_H

#include <stdint.h>

struct sy_clock {
    uint64_t (*monotonic_us)(const struct sy_clock *self);
    int64_t (*wall_us)(const struct sy_clock *self); /* microseconds since 1970-01-01 UTC */
    uint64_t virtual_monotonic_us;                   /* of a virtual clock */
    int64_t virtual_wall_us;
};

/* The machine's clock. Any thread. */
const struct sy_clock *sy_clock_real(void);
/* A clock that moves only when told. */
void sy_clock_init_virtual(struct sy_clock *clock, uint64_t monotonic_us, int64_t wall_us);
void sy_clock_advance(struct sy_clock *clock, uint64_t us);

#endif
