/*
 * Constraints that a shard cannot enforce alone. A unique one must contain the sharding key, so
 * that equal rows would be on one shard; a foreign key must refer to a reference table, or carry
 * the key along to a table of the same keyspace. Others are refused, unless the declaration of the
 * table accepts them by name: then they hold on each shard for itself.
 */
#include "router/plan/route_internal.h"

static bool accepted(const struct sy_map_table *table, struct sy_slice name)
{
    for (uint32_t i = 0; i < table->per_shard_count; i++) {
        struct sy_slice given = sy_slice_of(table->per_shard[i]);
        if (sy_slice_eq(given, SY_SLICE("*")) || (name.bytes > 0 && sy_slice_eq(given, name)))
            return true;
    }
    return false;
}

static bool holds_key(const struct sy_route *route, const struct use *use,
                      const struct sy_constraint *constraint)
{
    bool key = false, hash = use->table->hash_key.bytes == 0;
    for (int32_t i = 0; i < constraint->column_count; i++) {
        struct sy_slice column = route->stmt->columns[constraint->first_column + i];
        key = key || sy_use_is_key(use, column);
        hash = hash || sy_use_is_hash_key(use, column);
    }
    return key && hash;
}

/* The key of the referring row goes with that of the row that it refers to. */
static bool carries_key(const struct sy_route *route, const struct use *use,
                        const struct use *target, const struct sy_constraint *constraint)
{
    bool key = false, hash = use->table->hash_key.bytes == 0;
    if (target->table == NULL || target->table->keyspace != use->table->keyspace)
        return false;
    /* Without a list of columns: the other table's primary key, which is one column then. */
    if (constraint->target_count == 0)
        return constraint->column_count == 1 && hash && holds_key(route, use, constraint);
    for (int32_t i = 0; i < constraint->column_count && i < constraint->target_count; i++) {
        struct sy_slice from = route->stmt->columns[constraint->first_column + i];
        struct sy_slice to = route->stmt->columns[constraint->first_target + i];
        key = key || (sy_use_is_key(use, from) && sy_use_is_key(target, to));
        hash = hash || (sy_use_is_hash_key(use, from) && sy_use_is_hash_key(target, to));
    }
    return key && hash;
}

static void refuse(struct sy_route *route, struct sy_slice table,
                   const struct sy_constraint *constraint, const char *why)
{
    struct sy_slice name = constraint->name;
    bool named = name.bytes > 0;
    sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED, "%s%.*s%s of sharded table \"%.*s\" %s",
                   named ? "constraint \"" : "a constraint", (int)name.bytes, name.data,
                   named ? "\"" : "", (int)table.bytes, table.data, why);
}

static const char *const kinds[] = {
    [SY_CONSTRAINT_PRIMARY] = "does not contain the sharding key: no shard alone can enforce it",
    [SY_CONSTRAINT_UNIQUE] = "does not contain the sharding key: no shard alone can enforce it",
    [SY_CONSTRAINT_EXCLUDE] = "excludes rows that may be on other shards",
    [SY_CONSTRAINT_FOREIGN] = "refers to rows that may be on other shards",
    [SY_CONSTRAINT_COPIED] = "would copy constraints that are not known here"};

static bool check_sharded(struct sy_route *route, const struct use *use, const struct use *target,
                          const struct sy_constraint *constraint)
{
    bool fine = false;
    switch (constraint->kind) {
    case SY_CONSTRAINT_PRIMARY:
    case SY_CONSTRAINT_UNIQUE:
        fine = holds_key(route, use, constraint);
        break;
    case SY_CONSTRAINT_FOREIGN:
        fine = target->kind == USE_REFERENCE || carries_key(route, use, target, constraint);
        break;
    case SY_CONSTRAINT_EXCLUDE:
    case SY_CONSTRAINT_COPIED:
        break;
    }
    if (fine || accepted(use->table, constraint->name))
        return true;
    refuse(route, use->table->name, constraint, kinds[constraint->kind]);
    sy_err_hint(&route->plan.refusal,
                constraint->kind == SY_CONSTRAINT_FOREIGN
                    ? "Refer by the sharding key, or accept the constraint for each shard by "
                      "itself, by its name: per_shard_constraints of the table in the "
                      "configuration, PER SHARD CONSTRAINTS behind SHARD TABLE."
                    : "Add the sharding key to its columns, or accept the constraint for each "
                      "shard by itself, by its name: per_shard_constraints of the table in the "
                      "configuration, PER SHARD CONSTRAINTS behind SHARD TABLE.");
    return false;
}

bool sy_route_check_constraints(struct prepare *p)
{
    struct sy_route *route = p->route;
    const struct sy_stmt *stmt = route->stmt;
    if (stmt->constraint_count == 0 || stmt->table_count == 0)
        return true;
    const struct use *use = &route->uses[0];
    for (int32_t i = 0; i < stmt->constraint_count; i++) {
        const struct sy_constraint *constraint = &stmt->constraints[i];
        struct use target = {.kind = USE_MISSING};
        if (constraint->kind == SY_CONSTRAINT_FOREIGN) {
            struct sy_table_use named = {.name = constraint->target, .role = SY_TABLE_READ};
            sy_route_resolve(p, &named, false, &target);
        }
        if (use->kind == USE_SHARDED && use->table != NULL &&
            !check_sharded(route, use, &target, constraint))
            return false;
        if (use->kind == USE_REFERENCE && target.kind == USE_SHARDED) {
            sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                           "a foreign key of a reference table cannot refer to sharded table "
                           "\"%.*s\"",
                           (int)constraint->target.name.bytes, constraint->target.name.data);
            sy_err_hint(&route->plan.refusal,
                        "Each copy would need the rows of all shards: leave it out.");
            return false;
        }
    }
    return true;
}
