/*
 * Sockets that clients connect to. One listening socket per address and worker (SO_REUSEPORT: the
 * kernel spreads clients), one for the Unix socket, taken by worker 0's loop and handed round.
 *
 * Thread: sy_accept_bind() before the workers run; each worker starts and stops its own listeners
 * on its thread.
 */
#ifndef SY_ROUTER_ACCEPT_ACCEPT_H
#define SY_ROUTER_ACCEPT_ACCEPT_H

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "config/config.h"
#include "router/session/worker.h"

enum { SY_ACCEPT_ADDRESSES_MAX = 16 };

/* One worker's listeners. */
struct sy_accept {
    struct sy_worker *worker;
    struct sy_listener listeners[SY_ACCEPT_ADDRESSES_MAX + 1];
    int fds[SY_ACCEPT_ADDRESSES_MAX + 1];
    uint32_t count;
    uint32_t next_worker; /* Unix socket: whose turn */
    char unix_path[108];  /* worker 0: to be removed at the end; empty: none */
};

/* Binds the addresses of the configuration for one worker. with_unix: also the Unix socket.
 * Errors: SY_E_IO naming the address; nothing stays bound. */
SY_MUST_CHECK enum sy_status sy_accept_bind(struct sy_accept *accept,
                                            const struct sy_config *config, bool with_unix,
                                            struct sy_err *err);
/* On the worker's thread, after sy_worker_init(); clients are taken once its loop turns. Errors:
 * the loop's, naming the worker; sy_accept_stop() ends what was started. */
SY_MUST_CHECK enum sy_status sy_accept_start(struct sy_accept *accept, struct sy_worker *worker,
                                             struct sy_err *err);
/* On the worker's thread: no new clients from here on. */
void sy_accept_stop(struct sy_accept *accept);
/* Closes the sockets, removes the Unix socket's file. */
void sy_accept_release(struct sy_accept *accept);

#endif
