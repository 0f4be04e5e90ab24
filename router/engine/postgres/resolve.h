/*
 * Where a node is: numeric addresses and Unix sockets at once, names through getaddrinfo on threads
 * of their own, because a name server that does not answer must not stop a loop.
 */
#ifndef SY_ROUTER_ENGINE_POSTGRES_RESOLVE_H
#define SY_ROUTER_ENGINE_POSTGRES_RESOLVE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/loop.h"

struct sy_node;

enum { PG_ADDRESSES_MAX = SY_LIMIT_ADDRESSES };

struct pg_addresses {
    struct sockaddr_storage at[PG_ADDRESSES_MAX];
    socklen_t bytes[PG_ADDRESSES_MAX];
    uint32_t count;
};

struct pg_resolve_job;

/*
 * Resolves without blocking. Either *ret_addresses is filled, or *ret_job is set and `done` comes
 * later on `loop` (err NULL: addresses are valid; both borrowed for the call). Errors: SY_E_CONNECT
 * (a Unix socket path or a port that cannot be), SY_E_NO_MEMORY.
 */
SY_MUST_CHECK enum sy_status pg_resolve(
    const struct sy_node *node, struct sy_loop *loop, void *owner,
    void (*done)(void *owner, const struct pg_addresses *addresses, const struct sy_err *err),
    struct pg_addresses *ret_addresses, struct pg_resolve_job **ret_job, struct sy_err *err);
/* True: `done` will not come. False: the answer is already on its way to the loop, wait for it. */
bool pg_resolve_abandon(struct pg_resolve_job *job);

#endif
