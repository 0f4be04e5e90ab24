/* The client's name of its database, where the shards' databases have other names. Pure. */
#ifndef SY_ROUTER_PLAN_RENAME_H
#define SY_ROUTER_PLAN_RENAME_H

#include "router/plan/plan.h"

/* The statement says current_database() somewhere, and not beside catalogs alone. */
bool sy_route_names_database(const struct sy_route *route);
/*
 * The text of such a statement with `database` in place of current_database() and current_catalog;
 * columns keep their names. In the arena, terminated. Errors: SY_E_UNSUPPORTED when it cannot be
 * written, SY_E_NO_MEMORY.
 */
SY_MUST_CHECK enum sy_status sy_route_rename(struct sy_slice text, struct sy_slice database,
                                             struct sy_arena *arena, struct sy_slice *ret_text,
                                             struct sy_err *err);

#endif
