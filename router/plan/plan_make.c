/* Shapes of plans and the words of refusals. */
#include <stdio.h>

#include "router/plan/route_internal.h"

void sy_plan_set_single(struct sy_plan *plan, uint32_t shard)
{
    plan->kind = SY_PLAN_SINGLE;
    plan->shard = shard;
    plan->refusal.status = SY_OK;
    plan->shards = (struct sy_shard_set){{0}};
    sy_shard_set_add(&plan->shards, shard);
}

void sy_plan_set_several(struct sy_plan *plan, enum sy_plan_kind kind, struct sy_shard_set shards)
{
    plan->kind = kind;
    plan->shards = shards;
    plan->shard = sy_shard_set_first(&shards);
}

void sy_plan_refuse(struct sy_plan *plan, enum sy_status status, const char *format, ...)
{
    char text[SY_ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    plan->kind = SY_PLAN_REFUSED;
    plan->shards = (struct sy_shard_set){{0}};
    plan->shard = 0;
    sy_err_set(&plan->refusal, status, "%s", text);
}

void sy_route_fix_shard(struct sy_route *route, uint32_t shard)
{
    route->conflicts |= route->uses_fixed_shard && route->fixed_shard != shard;
    route->uses_fixed_shard = true;
    route->fixed_shard = shard;
}

static const struct use *first_sharded(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (route->uses[i].kind == USE_SHARDED && route->uses[i].table != NULL)
            return &route->uses[i];
    return NULL;
}

void sy_plan_hint_key(struct sy_plan *plan, const struct sy_route *route)
{
    const struct use *use = first_sharded(route);
    struct sy_slice shard = sy_shardmap_shard_name(route->map, 0);
    if (use == NULL) {
        sy_err_hint(&plan->refusal, "Name a shard: /* switchyard: shard=%.*s */.", (int)shard.bytes,
                    shard.data);
        return;
    }
    sy_err_hint(&plan->refusal,
                "Confine table \"%.*s\" to one value of its key \"%.*s\", or name a shard: "
                "/* switchyard: shard=%.*s */.",
                (int)use->table->name.bytes, use->table->name.data, (int)use->table->key.bytes,
                use->table->key.data, (int)shard.bytes, shard.data);
}
