/*
 * May a read over several shards that the router cannot put together itself be run by the
 * federating database? That database knows tables and views by what the shards say, runs as the
 * client's user, and sees what is committed; it does not know the shards' catalogs, their rows'
 * places, or what one transaction has in hand.
 */
#include <stdio.h>

#include "router/plan/route_internal.h"

static const char *form_obstacle(const struct sy_route *route)
{
    const struct sy_stmt *outer = route->outer, *stmt = route->stmt;
    bool reads = stmt->kind == SY_STMT_SELECT && !route->writes && !stmt->writes;
    if (!reads || outer->kind == SY_STMT_DDL)
        return "what is not a plain read";
    if (outer->kind == SY_STMT_COPY_TO && !outer->copy.from_stdin_or_to_stdout)
        return "COPY TO a file or program of the server";
    if (outer->kind == SY_STMT_DECLARE && outer->with_hold)
        return "a cursor WITH HOLD";
    for (int32_t i = 0; i < stmt->scope_count; i++)
        if (stmt->scopes[i].has_locking)
            return "a locking clause";
    if (stmt->bound != NULL)
        return stmt->bound;
    if (route->uses_fixed_shard)
        return "a function that belongs to one shard (sequences, advisory locks, large objects)";
    return NULL;
}

/* Row-level security holds on each shard; a policy that looks at other rows sees that shard's. */
static bool policies_see_all(const struct sy_route *route, const struct sy_schema_relation *one)
{
    return !one->has_rls || sy_route_is_safe(route->database, one->schema, one->name);
}

static const char *relation_obstacle(struct sy_route *route, const struct use *use)
{
    if (use->kind != USE_SHARDED && use->kind != USE_REFERENCE && use->kind != USE_LOCAL)
        return "system catalogs, sequences or temporary tables";
    if (route->federation->assumed)
        return NULL;
    if (use->relation == NULL ||
        !sy_federation_has(route->federation, use->relation->schema, use->relation->name)) {
        struct sy_slice name = use->relation != NULL ? use->relation->name
                               : use->table != NULL  ? use->table->name
                                                     : SY_SLICE("");
        const char *words = sy_arena_printf(&route->arena, "\"%.*s\", which cannot be made there",
                                            (int)name.bytes, name.data);
        return words == NULL ? "one of the tables" : words;
    }
    if (use->relation->kind == SY_RELATION_VIEW && !use->relation->is_read_only_view)
        return "a view that calls functions which are not proven to read only";
    bool fine = policies_see_all(route, use->relation);
    for (uint32_t i = 0; i < use->relation->depend_count; i++)
        fine = fine && policies_see_all(
                           route, sy_schema_relation(route->schema, use->relation->depends[i]));
    return fine ? NULL : "tables with row-level security policies";
}

static const char *uses_obstacle(struct sy_route *route)
{
    const char *obstacle = NULL;
    for (int32_t i = 0; i < route->stmt->table_count && obstacle == NULL; i++)
        obstacle = relation_obstacle(route, &route->uses[i]);
    return obstacle;
}

void sy_route_check_federation(struct prepare *p)
{
    struct sy_route *route = p->route;
    route->federation = p->context->federation;
    route->no_federation = form_obstacle(route);
    if (route->no_federation != NULL || route->federation == NULL || !route->federation->ready)
        return;
    route->no_federation = uses_obstacle(route);
    if (route->no_federation == NULL)
        route->no_federation = sy_route_federation_function(p, &route->federation_clock);
}

bool sy_route_federates(const struct sy_route *route)
{
    return route->no_federation == NULL && route->federation != NULL && route->federation->ready;
}

bool sy_route_federation_clock(const struct sy_route *route)
{
    return route->federation_clock;
}

/* Says in an error why this last step does not serve either. */
static void explain_refusal(const struct sy_route *route, struct sy_err *refusal)
{
    if (route->stmt->kind != SY_STMT_SELECT || route->database == NULL ||
        route->database->engine != SY_ENGINE_POSTGRES)
        return;
    if (route->federation == NULL && route->no_federation == NULL) {
        char hint[SY_ERR_HINT_BYTES];
        snprintf(hint, sizeof(hint), "%.150s", refusal->hint);
        sy_err_hint(refusal, "%s%sOr give the database a federation = { node = \"%.*s\"; }.", hint,
                    hint[0] == '\0' ? "" : " ", (int)sy_shardmap_shard_name(route->map, 0).bytes,
                    sy_shardmap_shard_name(route->map, 0).data);
    } else if (route->federation != NULL && route->no_federation != NULL) {
        sy_err_detail(refusal, "The federating database cannot run it: it does not serve %s.",
                      route->no_federation);
    } else if (route->federation != NULL) {
        sy_err_detail(refusal, "The federating database is not ready: %s.", route->federation->why);
    }
}

bool sy_route_federate(const struct sy_route *route, struct sy_plan *plan)
{
    if (!sy_route_federates(route)) {
        explain_refusal(route, &plan->refusal);
        return false;
    }
    plan->kind = SY_PLAN_FEDERATE;
    plan->shards = (struct sy_shard_set){{0}};
    plan->shard = sy_shardmap_shard_count(route->map);
    plan->role = SY_ROLE_PRIMARY;
    return true;
}
