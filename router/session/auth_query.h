/*
 * Looking a user's password up at a database's servers (auth_query). The connections are the
 * router's own: of a pool that no client is ever lent a server from, logged in as auth_query.user,
 * with settings that are the same whoever asks. Nothing of the client reaches them but its name, as
 * a bound parameter.
 *
 * Besides the operator's query, pg_roles is asked whether the role may log in, whether its password
 * has expired, and how many connections it may have: a query that does not say so must not let a
 * locked role in.
 *
 * Thread: the worker's; nothing blocks.
 */
#ifndef SY_ROUTER_SESSION_AUTH_QUERY_H
#define SY_ROUTER_SESSION_AUTH_QUERY_H

#include "router/session/auth_cache.h"
#include "router/session/worker.h"

struct sy_auth_lookup;

/* The default of auth_query.query. */
extern const char sy_auth_query_default[];

/*
 * Starts. `done` is called later, once, unless the look-up is abandoned first: with the role, or
 * with NULL when nothing could be found out (the log says why). Errors: what is known at once.
 */
SY_MUST_CHECK enum sy_status
sy_auth_lookup_start(struct sy_worker *worker, const struct sy_topology_database *database,
                     struct sy_slice user, void (*done)(void *ctx, const struct sy_auth_role *role),
                     void *ctx, struct sy_auth_lookup **ret_lookup, struct sy_err *err);
/* Nobody waits for it any more. It goes on by itself, so that a client that leaves early does not
 * cost a server connection. */
void sy_auth_lookup_abandon(struct sy_auth_lookup **lookup);

#endif
