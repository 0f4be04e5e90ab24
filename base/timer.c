/*
 * Timers: a hierarchical wheel. A timer sits in the level of the highest base-64 digit in which its
 * due time (in ms) differs from the wheel's time, in the slot of that digit; when the wheel reaches
 * the slot, the timer moves down, or fires. Starting and cancelling are a few instructions; finding
 * the next due time looks at 7 words.
 *
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", 1987.
 * Thread: the loop's.
 */
#include "base/loop_internal.h"

enum { DIGIT_BITS = 6, DIGIT_MASK = TIMER_SLOTS - 1, US_PER_MS = 1000 };
enum { SLOT_EXPIRED = TIMER_LEVELS * TIMER_SLOTS };
/* About 69 years: keeps every due time within the top level. */
#define DELAY_MS_MAX (UINT64_C(1) << 41)

void sy_timer_wheel_init(struct sy_timer_wheel *wheel, uint64_t now_us)
{
    wheel->now_ms = now_us / US_PER_MS;
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < TIMER_SLOTS; slot++)
            sy_list_init(&wheel->slots[level][slot]);
    }
    sy_list_init(&wheel->expired);
}

static uint64_t due_ms(const struct sy_timer *timer)
{
    return (timer->due_us + US_PER_MS - 1) / US_PER_MS;
}

static void place(struct sy_timer_wheel *wheel, struct sy_timer *timer, uint64_t at_ms)
{
    if (at_ms <= wheel->now_ms) {
        timer->slot = SLOT_EXPIRED;
        sy_list_append(&wheel->expired, &timer->link);
        return;
    }
    unsigned level = (unsigned)(63 - __builtin_clzll(at_ms ^ wheel->now_ms)) / DIGIT_BITS;
    if (level >= TIMER_LEVELS)
        level = TIMER_LEVELS - 1;
    unsigned slot = (unsigned)(at_ms >> (DIGIT_BITS * level)) & DIGIT_MASK;
    timer->slot = level * TIMER_SLOTS + slot;
    wheel->occupied[level] |= UINT64_C(1) << slot;
    sy_list_append(&wheel->slots[level][slot], &timer->link);
}

static void timer_wheel_add(struct sy_timer_wheel *wheel, struct sy_timer *timer)
{
    uint64_t at_ms = due_ms(timer);
    if (at_ms <= wheel->now_ms) /* never within the turn that started it */
        at_ms = wheel->now_ms + 1;
    place(wheel, timer, at_ms);
}

static void timer_wheel_remove(struct sy_timer_wheel *wheel, struct sy_timer *timer)
{
    sy_list_remove(&timer->link);
    if (timer->slot == SLOT_EXPIRED)
        return;
    unsigned level = timer->slot / TIMER_SLOTS, slot = timer->slot % TIMER_SLOTS;
    if (sy_list_empty(&wheel->slots[level][slot]))
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
}

/* The first moment at which a slot is reached; UINT64_MAX when the wheel is empty. */
static uint64_t next_ms(const struct sy_timer_wheel *wheel)
{
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        if (wheel->occupied[level] == 0)
            continue;
        unsigned shift = DIGIT_BITS * level;
        uint64_t digit = (wheel->now_ms >> shift) & DIGIT_MASK;
        /* Slots behind the hand belong to the next round; that happens only on the top level. */
        uint64_t ahead = wheel->occupied[level] & (~UINT64_C(0) << digit);
        uint64_t round = (wheel->now_ms >> shift) - digit;
        if (ahead == 0) {
            ahead = wheel->occupied[level];
            round += TIMER_SLOTS;
        }
        return (round + (uint64_t)__builtin_ctzll(ahead)) << shift;
    }
    return UINT64_MAX;
}

int64_t sy_timer_wheel_next_us(const struct sy_timer_wheel *wheel, uint64_t now_us)
{
    uint64_t at_ms = next_ms(wheel);
    if (at_ms == UINT64_MAX)
        return TIMER_NEVER;
    uint64_t at_us = at_ms * US_PER_MS;
    return at_us <= now_us ? 0 : (int64_t)(at_us - now_us);
}

/* Moves the hand to `to_ms`, the next occupied slot: its timers go down a level or expire. */
static void step(struct sy_timer_wheel *wheel, uint64_t to_ms)
{
    struct sy_list moved;
    sy_list_init(&moved);
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        unsigned slot = (unsigned)(to_ms >> (DIGIT_BITS * level)) & DIGIT_MASK;
        struct sy_list *list = &wheel->slots[level][slot];
        for (struct sy_list *node; (node = sy_list_pop(list)) != NULL;)
            sy_list_append(&moved, node);
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        if ((to_ms & ((UINT64_C(1) << (DIGIT_BITS * (level + 1))) - 1)) != 0)
            break; /* the digits above do not change at this moment */
    }
    wheel->now_ms = to_ms;
    for (struct sy_list *node; (node = sy_list_pop(&moved)) != NULL;) {
        struct sy_timer *timer = sy_container_of(node, struct sy_timer, link);
        place(wheel, timer, due_ms(timer));
    }
}

static void fire_expired(struct sy_timer_wheel *wheel)
{
    for (struct sy_list *node; (node = sy_list_pop(&wheel->expired)) != NULL;) {
        struct sy_timer *timer = sy_container_of(node, struct sy_timer, link);
        timer->fire(timer);
    }
}

void sy_timer_wheel_advance(struct sy_timer_wheel *wheel, uint64_t now_us)
{
    uint64_t now_ms = now_us / US_PER_MS;
    for (uint64_t at_ms = next_ms(wheel); at_ms <= now_ms; at_ms = next_ms(wheel)) {
        step(wheel, at_ms);
        fire_expired(wheel);
    }
    if (now_ms > wheel->now_ms)
        wheel->now_ms = now_ms;
}

/* ---- public ---- */

void sy_timer_init(struct sy_timer *timer, void (*fire)(struct sy_timer *self))
{
    sy_list_init(&timer->link);
    timer->fire = fire;
    timer->due_us = 0;
    timer->slot = 0;
}

void sy_timer_start(struct sy_loop *loop, struct sy_timer *timer, uint64_t delay_us)
{
    sy_timer_cancel(loop, timer);
    uint64_t delay_us_max = DELAY_MS_MAX * US_PER_MS;
    timer->due_us = loop->now_us + (delay_us < delay_us_max ? delay_us : delay_us_max);
    timer_wheel_add(&loop->timers, timer);
}

void sy_timer_cancel(struct sy_loop *loop, struct sy_timer *timer)
{
    if (sy_timer_armed(timer))
        timer_wheel_remove(&loop->timers, timer);
}

bool sy_timer_armed(const struct sy_timer *timer)
{
    return !sy_list_empty(&timer->link);
}
