/*
 * What auth_query found, remembered for a short while: per database and user, found or not. A table
 * of fixed size (SY_LIMIT_AUTH_QUERY_CACHE), so that a guesser of names cannot make it grow; what
 * goes first is what was to be forgotten first.
 *
 * Thread: any; one mutex, taken at logins only.
 */
#ifndef SY_ROUTER_SESSION_AUTH_CACHE_H
#define SY_ROUTER_SESSION_AUTH_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum { SY_AUTH_SECRET_BYTES = 256 };

/* A role as the servers know it. */
struct sy_auth_role {
    bool may_log_in;                   /* it exists, may log in, and its password has not expired */
    char secret[SY_AUTH_SECRET_BYTES]; /* "SCRAM-SHA-256$..." or "md5..."; "": none */
    int32_t connections_max;           /* rolconnlimit; -1: no limit */
};

struct sy_auth_cache;

/* `seed`: secret, so that nobody can aim at another's place. */
SY_MUST_CHECK enum sy_status sy_auth_cache_new(uint64_t seed, struct sy_auth_cache **ret_cache,
                                               struct sy_err *err);
void sy_auth_cache_free(struct sy_auth_cache **cache); /* wipes */
/* False: not known (any more). Wipe *ret_role after use. */
bool sy_auth_cache_find(struct sy_auth_cache *cache, struct sy_slice database, struct sy_slice user,
                        uint64_t now_us, struct sy_auth_role *ret_role);
void sy_auth_cache_put(struct sy_auth_cache *cache, struct sy_slice database, struct sy_slice user,
                       const struct sy_auth_role *role, uint64_t until_us);
/* The next login asks again: a password that did not fit may be a new one. */
void sy_auth_cache_forget(struct sy_auth_cache *cache, struct sy_slice database,
                          struct sy_slice user);

#endif
