/*
 * Who may cancel what: process-wide registry of (pid, key) of the logged-in clients. Keys come from
 * the kernel's random numbers and are compared in constant time; a request reaches only the session
 * that owns the key.
 *
 * Thread: any; a mutex, taken at login, at logout and per cancel request only.
 */
#ifndef SY_ROUTER_SESSION_CANCEL_H
#define SY_ROUTER_SESSION_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum { SY_CANCEL_KEY_BYTES = 4 };

struct sy_cancel_registry;

SY_MUST_CHECK enum sy_status sy_cancel_registry_new(struct sy_cancel_registry **ret_registry,
                                                    struct sy_err *err);
void sy_cancel_registry_free(struct sy_cancel_registry **registry);
/* Draws a pid that no other session has and a key. `worker` is given back by the lookup. */
SY_MUST_CHECK enum sy_status sy_cancel_register(struct sy_cancel_registry *registry,
                                                uint32_t worker, uint32_t *ret_pid,
                                                uint8_t ret_key[SY_CANCEL_KEY_BYTES],
                                                struct sy_err *err);
void sy_cancel_unregister(struct sy_cancel_registry *registry, uint32_t pid);
/* False: no such pid, or another key. */
bool sy_cancel_lookup(struct sy_cancel_registry *registry, uint32_t pid, struct sy_slice key,
                      uint32_t *ret_worker);

#endif
