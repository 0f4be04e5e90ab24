/* A plan in words, for people: EXPLAIN (ROUTE) and `switchyard explain`. One step a line. */
#include "router/plan/route_internal.h"

static void put_name(struct sy_buf *out, struct sy_slice name)
{
    sy_buf_append_slice(out, name);
}

static void put_shards(struct sy_buf *out, const struct sy_route *route,
                       const struct sy_shard_set *set)
{
    uint32_t total = sy_shardmap_shard_count(route->map);
    const char *separator = "";
    for (uint32_t i = 0; i < total; i++)
        if (sy_shard_set_has(set, i)) {
            sy_buf_append_str(out, separator);
            put_name(out, sy_shardmap_shard_name(route->map, i));
            separator = ", ";
        }
}

static const char *role_words(const struct sy_plan *plan)
{
    return plan->role == SY_ROLE_REPLICA ? "a replica may answer" : "the primary";
}

static void explain_kind(struct sy_buf *out, const struct sy_route *route,
                         const struct sy_plan *plan)
{
    switch (plan->kind) {
    case SY_PLAN_SINGLE:
        sy_buf_append_str(out, "Route: one shard, ");
        put_name(out, sy_shardmap_shard_name(route->map, plan->shard));
        sy_buf_printf(out, " (%s)\n", role_words(plan));
        break;
    case SY_PLAN_CONCAT:
        sy_buf_append_str(out, plan->writes ? "Route: the same statement on each of "
                                            : "Route: append the rows of ");
        put_shards(out, route, &plan->shards);
        sy_buf_printf(out, " (%s)\n", role_words(plan));
        break;
    case SY_PLAN_MERGE:
        sy_buf_append_str(out, "Route: combine the rows of ");
        put_shards(out, route, &plan->shards);
        sy_buf_printf(out, " (%s)\n", role_words(plan));
        break;
    case SY_PLAN_ALL:
        sy_buf_append_str(out, "Route: the same statement on ");
        put_shards(out, route, &plan->shards);
        sy_buf_append_str(out, "\n");
        break;
    case SY_PLAN_SPLIT:
        sy_buf_append_str(out, "Route: each row to the shard of its key, among ");
        put_shards(out, route, &plan->shards);
        sy_buf_append_str(out, "\n");
        break;
    case SY_PLAN_ROWS:
        sy_buf_append_str(out, "Route: each row of the INSERT to the shard of its key, on ");
        put_shards(out, route, &plan->shards);
        sy_buf_append_str(out, "\n");
        break;
    case SY_PLAN_ANY:
        sy_buf_append_str(out, "Route: any of ");
        put_shards(out, route, &plan->shards);
        sy_buf_printf(out, " (%s)\n", role_words(plan));
        break;
    case SY_PLAN_FEDERATE:
        sy_buf_printf(out,
                      "Route: step 3, federation: database switchyard_fed_%s beside shard %s reads "
                      "all shards as the client's user\n"
                      "Steps 1 (append) and 2 (merge in the router) do not serve: %s\n",
                      route->database->name, route->database->federation_node, plan->refusal.text);
        break;
    case SY_PLAN_ROUTER:
        sy_buf_append_str(out, "Route: the router itself answers or tracks it\n");
        break;
    case SY_PLAN_REFUSED:
        sy_buf_printf(out, "Route: refused (%s): %s\n", sy_err_sqlstate(&plan->refusal),
                      plan->refusal.text);
        if (plan->refusal.detail[0] != '\0')
            sy_buf_printf(out, "Detail: %s\n", plan->refusal.detail);
        if (plan->refusal.hint[0] != '\0')
            sy_buf_printf(out, "Hint: %s\n", plan->refusal.hint);
        break;
    }
}

static const char *const strategies[] = {[SY_STRATEGY_HASH] = "hash",
                                         [SY_STRATEGY_RANGE] = "range",
                                         [SY_STRATEGY_LIST] = "list",
                                         [SY_STRATEGY_GEO] = "geo"};

static void explain_use(struct sy_buf *out, const struct sy_route *route, int32_t index)
{
    const struct use *use = &route->uses[index];
    sy_buf_append_str(out, "Table ");
    put_name(out, route->stmt->tables[index].name.name);
    switch (use->kind) {
    case USE_SHARDED:
        if (use->table == NULL) {
            sy_buf_append_str(out, ": a view over sharded tables\n");
            return;
        }
        const struct sy_keyspace_info *space =
            sy_shardmap_keyspace(route->map, use->table->keyspace);
        sy_buf_printf(out, ": sharded by %s of ", strategies[space->strategy]);
        put_name(out, use->table->key);
        sy_buf_append_str(out, ", keyspace ");
        put_name(out, space->name);
        sy_buf_append_str(out, "\n");
        return;
    case USE_REFERENCE:
        sy_buf_append_str(out, ": reference table, a copy on each shard\n");
        return;
    case USE_LOCAL:
        sy_buf_append_str(out, ": local to shard ");
        put_name(out, sy_shardmap_shard_name(route->map, use->shard));
        sy_buf_append_str(out, "\n");
        return;
    case USE_CATALOG:
        sy_buf_append_str(out, ": system catalog or sequence, answered by shard ");
        put_name(out, sy_shardmap_shard_name(route->map, 0));
        sy_buf_append_str(out, "\n");
        return;
    case USE_TEMPORARY:
        sy_buf_append_str(out, ": temporary, on the client's own server\n");
        return;
    case USE_MISSING:
        sy_buf_append_str(out, ": does not exist\n");
        return;
    case USE_UNPLACED:
        sy_buf_append_str(out, ": not declared\n");
        return;
    }
}

void sy_route_explain(const struct sy_route *route, const struct sy_plan *plan, struct sy_buf *out)
{
    explain_kind(out, route, plan);
    if (!route->sharded) {
        sy_buf_append_str(out, "The database has one shard.\n");
    } else {
        for (int32_t i = 0; i < route->stmt->table_count; i++)
            explain_use(out, route, i);
        if (plan->maps_nowhere)
            sy_buf_append_str(
                out, "No row can match: the key maps to no shard, or the conditions exclude each "
                     "other.\n");
        if (plan->kind == SY_PLAN_CONCAT && plan->home != UINT32_MAX) {
            sy_buf_append_str(out, "It sets the sharding key to one of shard ");
            put_name(out, sy_shardmap_shard_name(route->map, plan->home));
            sy_buf_append_str(out, ": a row on another one is an error.\n");
        }
        if (plan->kind == SY_PLAN_CONCAT && plan->writes)
            sy_buf_append_str(out, "Each shard changes its own rows; counts are added up, and all "
                                   "commit or none.\n");
        else if (plan->kind == SY_PLAN_CONCAT)
            sy_buf_append_str(out, "Nothing needs combining: every row comes from one shard.\n");
        if (plan->uses_temporary)
            sy_buf_append_str(out, "Uses a temporary object.\n");
    }
    if (route->figures != NULL && plan->kind != SY_PLAN_REFUSED)
        sy_buf_printf(out, "The figures are those of this shard alone; the client is told. %s\n",
                      route->figures);
    if (route->pins != NULL)
        sy_buf_printf(out, "The client stays on its server: %s.\n", route->pins);
    if (plan->kind == SY_PLAN_ROUTER)
        return;
    sy_buf_printf(out, "%s\n",
                  route->read_only ? "Read-only: proven."
                                   : "Read-only: not proven, so the primary runs it.");
}
