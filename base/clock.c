/* The real clock and the virtual one. */
#include "base/clock.h"

#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t real_monotonic(const struct sy_clock *self)
{
    (void)self;
    return (uint64_t)read_us(CLOCK_MONOTONIC);
}

static int64_t real_wall(const struct sy_clock *self)
{
    (void)self;
    return read_us(CLOCK_REALTIME);
}

static uint64_t virtual_monotonic(const struct sy_clock *self)
{
    return self->virtual_monotonic_us;
}

static int64_t virtual_wall(const struct sy_clock *self)
{
    return self->virtual_wall_us;
}

const struct sy_clock *sy_clock_real(void)
{
    static const struct sy_clock real = {.monotonic_us = real_monotonic, .wall_us = real_wall};
    return &real;
}

void sy_clock_init_virtual(struct sy_clock *clock, uint64_t monotonic_us, int64_t wall_us)
{
    *clock = (struct sy_clock){.monotonic_us = virtual_monotonic,
                               .wall_us = virtual_wall,
                               .virtual_monotonic_us = monotonic_us,
                               .virtual_wall_us = wall_us};
}

void sy_clock_advance(struct sy_clock *clock, uint64_t us)
{
    clock->virtual_monotonic_us += us;
    clock->virtual_wall_us += (int64_t)us;
}
