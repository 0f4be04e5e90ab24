/*
 * Threads for the one expensive step of authentication, PBKDF2: a bounded queue, results delivered
 * to the asking loop, results cached by (password digest, salt, iterations).
 */
#ifndef SY_ROUTER_AUTH_HASH_POOL_H
#define SY_ROUTER_AUTH_HASH_POOL_H

#include "base/loop.h"
#include "router/auth/scram.h"

struct sy_hash_job {
    struct sy_message message; /* delivery; the pool's own */
    struct sy_loop *loop;      /* where to deliver */
    char password[256];        /* zeroed by the pool after use */
    uint32_t password_bytes;
    uint8_t salt[SY_SCRAM_SALT_BYTES_MAX];
    uint32_t salt_bytes, iterations;
    enum sy_status status;
    uint8_t client_key[32], server_key[32];
    void *owner;
    void (*done)(struct sy_hash_job *self); /* on `loop`; the job is the caller's again */
    struct sy_hash_job *next;
};

SY_MUST_CHECK enum sy_status sy_hash_pool_start(uint32_t threads,
                                                struct sy_err *err); /* process-wide */
/* Ends the threads; jobs that still wait are delivered with SY_E_SHUTDOWN: their loops must outlive
 * this call. */
void sy_hash_pool_stop(void);
/*
 * Until `done` the job is the pool's and must stay where it is; on an error it stays the caller's,
 * password included. Errors: SY_E_LIMIT when the queue is full. A cached result is delivered
 * through the loop too.
 */
SY_MUST_CHECK enum sy_status sy_hash_pool_submit(struct sy_hash_job *job, struct sy_err *err);

#endif
