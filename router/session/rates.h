/*
 * How many statements and logins a user or a database may have in a second: token buckets that hold
 * one second's worth. A statement over the rate waits, its client unread meanwhile, for at most
 * statement_wait_max; what would have to wait longer is refused (53400), and so is a login at once.
 *
 * A bucket is one number: when the last of what was taken will have been earned. All workers take
 * from the same one without a lock.
 *
 * Thread: buckets from any; the registry under one mutex, at logins and reloads only.
 */
#ifndef SY_ROUTER_SESSION_RATES_H
#define SY_ROUTER_SESSION_RATES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"
#include "config/config.h"

struct sy_rate_bucket {
    _Atomic uint64_t interval_ns; /* of one; 0: no limit */
    _Atomic uint64_t earned_ns;   /* when all that was taken is earned */
};

enum { SY_RATE_MAX = 1000000 }; /* in a second */

void sy_rate_set(struct sy_rate_bucket *bucket, uint32_t per_second);
/* Takes `count`. True: they may go on in *ret_wait_us (0: now). False: that would be longer than
 * max_wait_us, and nothing was taken. */
bool sy_rate_take(struct sy_rate_bucket *bucket, uint32_t count, uint64_t now_us,
                  uint64_t max_wait_us, uint64_t *ret_wait_us);
/* Takes what has run already: whoever comes next waits for it. */
void sy_rate_owe(struct sy_rate_bucket *bucket, uint32_t count, uint64_t now_us);
/* What was taken is not used after all. */
void sy_rate_give_back(struct sy_rate_bucket *bucket, uint32_t count);

/* One user's or one database's. */
struct sy_rate_pair {
    struct sy_rate_bucket statements, connections;
};

struct sy_rates;

SY_MUST_CHECK enum sy_status sy_rates_new(struct sy_rates **ret_rates, struct sy_err *err);
void sy_rates_free(struct sy_rates **rates);
/* Takes the rates of a configuration over; buckets stay as full as they are. */
SY_MUST_CHECK enum sy_status sy_rates_configure(struct sy_rates *rates,
                                                const struct sy_config *config, struct sy_err *err);
/* NULL: it never had a rate. Stays valid as long as the registry. */
struct sy_rate_pair *sy_rates_user(struct sy_rates *rates, struct sy_slice name);
struct sy_rate_pair *sy_rates_database(struct sy_rates *rates, struct sy_slice name);

#endif
