/*
 * Failed logins, counted per user and address in leaky buckets: whoever fails too often waits
 * before the next try is looked at. A table of fixed size, so that an attacker who varies names or
 * addresses cannot make it grow; what is pushed out of it is the bucket with the least in it.
 *
 * Thread: any; one mutex.
 */
#ifndef SY_ROUTER_SESSION_FAILURES_H
#define SY_ROUTER_SESSION_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct sy_login_failures;

/* `seed`: secret, so that nobody can aim at another's bucket. */
SY_MUST_CHECK enum sy_status
sy_login_failures_new(uint64_t seed, struct sy_login_failures **ret_failures, struct sy_err *err);
void sy_login_failures_free(struct sy_login_failures **failures);

struct sy_login_rate {
    uint32_t max;     /* failures in a row before each further try has to wait; 0: no limit */
    uint64_t wait_us; /* in which one failure is forgiven */
};

/* Whether a login may be tried now. *ret_wait_us: how long until it may (0 when it may). */
bool sy_login_failures_allow(struct sy_login_failures *failures, struct sy_slice user,
                             struct sy_slice address, const struct sy_login_rate *rate,
                             uint64_t now_us, uint64_t *ret_wait_us);
void sy_login_failures_add(struct sy_login_failures *failures, struct sy_slice user,
                           struct sy_slice address, const struct sy_login_rate *rate,
                           uint64_t now_us);
/* A login succeeded: what was counted is forgotten. */
void sy_login_failures_clear(struct sy_login_failures *failures, struct sy_slice user,
                             struct sy_slice address);

#endif
