/*
 * Bytes that clients make the router hold: messages of theirs that are longer than
 * SY_LIMIT_UNCOUNTED_MESSAGE_BYTES, from their header until what they ask for is done, and answers
 * that slow readers leave in their queues. Counted for each user and in all, over all workers.
 *
 * A long message takes its whole length before its body is read, or waits unread: so no two
 * half-received messages can wait for each other. What is queued already is counted for its user
 * without being asked; in all, queues are bounded by their loops (sy_loop_set_queue_budget).
 *
 * Thread: any; one mutex, taken for what is long or slow only.
 */
#ifndef SY_ROUTER_SESSION_BUDGET_H
#define SY_ROUTER_SESSION_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct sy_budget;

enum sy_budget_answer {
    SY_BUDGET_TAKEN,
    SY_BUDGET_USER_FULL,
    SY_BUDGET_FULL,
    SY_BUDGET_NO_MEMORY, /* to count with */
};

struct sy_budget_limits {
    uint64_t user, all; /* 0: no limit */
};

SY_MUST_CHECK enum sy_status sy_budget_new(struct sy_budget **ret_budget, struct sy_err *err);
void sy_budget_free(struct sy_budget **budget);
/* All or nothing. */
enum sy_budget_answer sy_budget_take(struct sy_budget *budget, struct sy_slice user, uint64_t bytes,
                                     const struct sy_budget_limits *limits);
void sy_budget_give(struct sy_budget *budget, struct sy_slice user, uint64_t bytes);
/* What is queued for a client of the user, or was. False: it could not be counted. */
bool sy_budget_queued(struct sy_budget *budget, struct sy_slice user, uint64_t bytes);
void sy_budget_unqueued(struct sy_budget *budget, struct sy_slice user, uint64_t bytes);
uint64_t sy_budget_used(const struct sy_budget *budget);

#endif
