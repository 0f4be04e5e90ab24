/*
 * How many clients there are: in all, per user, per database. Process-wide; a mutex that is taken
 * at login and logout only.
 */
#ifndef SY_ROUTER_SESSION_CLIENTS_H
#define SY_ROUTER_SESSION_CLIENTS_H

#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

struct sy_client_counts;

struct sy_client_limits {
    uint32_t all, user, database; /* 0: no limit */
};

SY_MUST_CHECK enum sy_status sy_client_counts_new(struct sy_client_counts **ret_counts,
                                                  struct sy_err *err);
void sy_client_counts_free(struct sy_client_counts **counts);
/* Counts one client in, or SY_E_TOO_MANY (53300) naming the limit. */
SY_MUST_CHECK enum sy_status sy_client_counts_enter(struct sy_client_counts *counts,
                                                    struct sy_slice user, struct sy_slice database,
                                                    const struct sy_client_limits *limits,
                                                    struct sy_err *err);
void sy_client_counts_leave(struct sy_client_counts *counts, struct sy_slice user,
                            struct sy_slice database);

#endif
