/*
 * From a route and the values of one execution to a plan. Each use of a sharded table gets the set
 * of shards where rows of it can matter; tables tied by their keys confine each other; then either
 * one shard suffices, or the rows of several may be appended, or the statement is refused.
 *
 * Sets only ever leave out shards of which that is certain, so a condition that is not understood
 * costs shards, never rows.
 */
#include "router/plan/route_internal.h"

enum { SETS_ON_STACK = 16 };

struct eval {
    const struct sy_route *route;
    struct sy_value_reader reader;
    struct sy_shard_set *sets; /* one for each table use */
    struct sy_plan *plan;
    bool spread; /* refused only because rows of several shards take part */
};

static const struct sy_shard_set nowhere = {{0}};

static bool is_empty(const struct sy_shard_set *set)
{
    return sy_shard_set_first(set) == UINT32_MAX;
}

static struct sy_shard_set all_of(const struct eval *e, const struct use *use)
{
    if (use->table == NULL)
        return sy_shard_set_all(sy_shardmap_shard_count(e->route->map));
    return sy_shardmap_keyspace(e->route->map, use->table->keyspace)->shards;
}

/* ---- conditions ---- */

/* What a comparison on a column of the table use says. */
enum meaning { MEANS_NOTHING, MEANS_KEY, MEANS_HASH_KEY };

static enum meaning meaning_of(const struct eval *e, int32_t use, const struct sy_cond *cond)
{
    const struct sy_table_use *table = &e->route->stmt->tables[use];
    if (cond->table == SY_NO_INDEX ? cond->scope != table->scope : cond->table != use)
        return MEANS_NOTHING;
    if (sy_use_is_key(&e->route->uses[use], cond->column))
        return MEANS_KEY;
    return sy_use_is_hash_key(&e->route->uses[use], cond->column) ? MEANS_HASH_KEY : MEANS_NOTHING;
}

struct gather {
    const struct eval *e;
    uint32_t keyspace;
    const struct sy_key *hash_key; /* or NULL */
    struct sy_shard_set set;
};

static void gather_key(void *ctx, const struct sy_key *key)
{
    struct gather *gather = ctx;
    struct sy_shard_set found =
        sy_shardmap_shards_of(gather->e->route->map, gather->keyspace, key, gather->hash_key);
    gather->set = sy_shard_set_or(&gather->set, &found);
}

static struct sy_value_target compared(const struct sy_cond *cond, enum sy_key_type type)
{
    bool alone = cond->op != SY_OP_IN || cond->value_count == 1;
    return (struct sy_value_target){.type = type, .alone = alone, .time_precision = -1};
}

/* column = values or column IN values: the shards of all of them. `hash_key` narrows geo keys. */
static struct sy_shard_set equal_shards(const struct eval *e, const struct use *use,
                                        const struct sy_cond *cond, const struct sy_key *hash_key)
{
    const struct sy_keyspace_info *space =
        sy_shardmap_keyspace(e->route->map, use->table->keyspace);
    struct gather gather = {.e = e, .keyspace = use->table->keyspace, .hash_key = hash_key};
    struct sy_value_target target = compared(cond, space->type);
    for (int32_t i = 0; i < cond->value_count; i++) {
        const struct sy_value *value = &e->route->stmt->values[cond->first_value + i];
        struct sy_key key;
        if (value->array_element_of) {
            if (!sy_value_read_array(&e->reader, value, &target, gather_key, &gather))
                return space->shards;
            continue;
        }
        enum sy_value_state state = sy_value_read(&e->reader, value, &target, &key);
        if (state == SY_VALUE_UNKNOWN)
            return space->shards;
        if (state == SY_VALUE_KNOWN)
            gather_key(&gather, &key);
    }
    return gather.set;
}

static struct sy_shard_set compare_shards(const struct eval *e, int32_t use,
                                          const struct sy_cond *cond)
{
    const struct use *table = &e->route->uses[use];
    if (meaning_of(e, use, cond) != MEANS_KEY)
        return all_of(e, table);
    const struct sy_keyspace_info *space =
        sy_shardmap_keyspace(e->route->map, table->table->keyspace);
    switch (cond->op) {
    case SY_OP_EQ:
    case SY_OP_IN:
        return equal_shards(e, table, cond, NULL);
    case SY_OP_LT:
    case SY_OP_LE:
    case SY_OP_GT:
    case SY_OP_GE: {
        struct sy_value_target target = compared(cond, space->type);
        struct sy_key key;
        if (space->strategy != SY_STRATEGY_RANGE || cond->value_count != 1)
            return space->shards;
        enum sy_value_state state =
            sy_value_read(&e->reader, &e->route->stmt->values[cond->first_value], &target, &key);
        if (state == SY_VALUE_IS_NULL)
            return nowhere;
        return state == SY_VALUE_UNKNOWN
                   ? space->shards
                   : sy_shardmap_shards_where(e->route->map, table->table->keyspace, (int)cond->op,
                                              &key);
    }
    case SY_OP_IS_NULL:
        break;
    }
    return space->shards;
}

/* Geo with a second column: key = .. AND hash_key = .. together name a shard. */
static bool known_hash_key(const struct eval *e, int32_t use, const struct sy_cond *parent,
                           struct sy_key *ret_key)
{
    const struct sy_stmt *stmt = e->route->stmt;
    const struct use *table = &e->route->uses[use];
    if (table->table == NULL || table->table->hash_key.bytes == 0)
        return false;
    enum sy_key_type type = sy_shardmap_keyspace(e->route->map, table->table->keyspace)->hash_type;
    for (int32_t i = 0; i < parent->child_count; i++) {
        const struct sy_cond *child = &stmt->conds[stmt->cond_children[parent->first_child + i]];
        if (child->kind != SY_COND_COMPARE || child->op != SY_OP_EQ || child->value_count != 1 ||
            meaning_of(e, use, child) != MEANS_HASH_KEY)
            continue;
        struct sy_value_target target = compared(child, type);
        if (sy_value_read(&e->reader, &stmt->values[child->first_value], &target, ret_key) ==
            SY_VALUE_KNOWN)
            return true;
    }
    return false;
}

static struct sy_shard_set cond_shards(const struct eval *e, int32_t use, int32_t index,
                                       unsigned depth);

static struct sy_shard_set and_shards(const struct eval *e, int32_t use, const struct sy_cond *cond,
                                      unsigned depth)
{
    const struct sy_stmt *stmt = e->route->stmt;
    const struct use *table = &e->route->uses[use];
    struct sy_shard_set set = all_of(e, table);
    struct sy_key hash_key;
    bool hashed = known_hash_key(e, use, cond, &hash_key);
    for (int32_t i = 0; i < cond->child_count; i++) {
        int32_t child = stmt->cond_children[cond->first_child + i];
        const struct sy_cond *part = &stmt->conds[child];
        struct sy_shard_set found;
        bool equal =
            part->kind == SY_COND_COMPARE && (part->op == SY_OP_EQ || part->op == SY_OP_IN);
        if (hashed && equal && meaning_of(e, use, part) == MEANS_KEY)
            found = equal_shards(e, table, part, &hash_key);
        else
            found = cond_shards(e, use, child, depth + 1);
        set = sy_shard_set_and(&set, &found);
    }
    return set;
}

static struct sy_shard_set cond_shards(const struct eval *e, int32_t use, int32_t index,
                                       unsigned depth)
{
    const struct sy_stmt *stmt = e->route->stmt;
    const struct use *table = &e->route->uses[use];
    if (index < 0 || index >= stmt->cond_count || depth > SY_LIMIT_PARSE_DEPTH ||
        table->table == NULL)
        return all_of(e, table);
    const struct sy_cond *cond = &stmt->conds[index];
    switch (cond->kind) {
    case SY_COND_AND:
        return and_shards(e, use, cond, depth);
    case SY_COND_OR: {
        struct sy_shard_set set = nowhere;
        for (int32_t i = 0; i < cond->child_count; i++) {
            struct sy_shard_set found =
                cond_shards(e, use, stmt->cond_children[cond->first_child + i], depth + 1);
            set = sy_shard_set_or(&set, &found);
        }
        return set;
    }
    case SY_COND_COMPARE:
        return compare_shards(e, use, cond);
    case SY_COND_FALSE:
        return nowhere;
    case SY_COND_OTHER:
        break;
    }
    return all_of(e, table);
}

/* ---- inserted rows ---- */

static bool refuse_null(struct eval *e, int32_t use, struct sy_slice column)
{
    struct sy_slice name = e->route->stmt->tables[use].name.name;
    sy_plan_refuse(
        e->plan, SY_E_NULL_KEY,
        "null value in column \"%.*s\" of relation \"%.*s\" violates not-null constraint",
        (int)column.bytes, column.data, (int)name.bytes, name.data);
    sy_err_hint(&e->plan->refusal,
                "The column is the sharding key: each row needs a value for it.");
    return false;
}

/* A stored key; false: refused. */
static bool stored_key(struct eval *e, int32_t use, const struct sy_value *value,
                       const struct sy_value_target *target, struct sy_slice column,
                       struct sy_key *ret_key)
{
    enum sy_value_state state = sy_value_read(&e->reader, value, target, ret_key);
    if (state == SY_VALUE_KNOWN)
        return true;
    if (state == SY_VALUE_IS_NULL)
        return refuse_null(e, use, column);
    if (e->reader.value_error->status != SY_OK) {
        e->plan->refusal = *e->reader.value_error;
        e->plan->kind = SY_PLAN_REFUSED;
        return false;
    }
    sy_plan_refuse(
        e->plan, SY_E_UNSUPPORTED,
        "the sharding key \"%.*s\" of a written row must be a plain constant or parameter",
        (int)column.bytes, column.data);
    sy_err_hint(&e->plan->refusal,
                "The row's shard follows from the key, so the router must be able to read it.");
    return false;
}

/* What a row, or the query that makes the rows, has at a position. */
static const struct sy_value *inserted(const struct eval *e, const struct insert_rows *rows,
                                       int32_t row, int32_t column)
{
    const struct sy_stmt *stmt = e->route->stmt;
    if (rows->insert->from_select)
        return &stmt->outputs[rows->insert->first_output + column].value;
    return &stmt->values[rows->insert->row_first_value + row * rows->insert->row_width + column];
}

static bool row_shards(struct eval *e, const struct insert_rows *rows, int32_t row,
                       struct sy_shard_set *ret_set)
{
    const struct use *use = &e->route->uses[rows->use];
    struct sy_key key, hash_key;
    if (!stored_key(e, rows->use, inserted(e, rows, row, rows->key_column), &rows->key_target,
                    use->table->key, &key))
        return false;
    if (rows->hash_column >= 0 &&
        !stored_key(e, rows->use, inserted(e, rows, row, rows->hash_column), &rows->hash_target,
                    use->table->hash_key, &hash_key))
        return false;
    *ret_set = sy_shardmap_shards_of(e->route->map, use->table->keyspace, &key,
                                     rows->hash_column >= 0 ? &hash_key : NULL);
    if (!is_empty(ret_set))
        return true;
    struct sy_slice name = use->table->name;
    sy_plan_refuse(e->plan, SY_E_NO_PARTITION, "no partition of relation \"%.*s\" found for row",
                   (int)name.bytes, name.data);
    sy_err_hint(&e->plan->refusal, "No shard of the keyspace is declared for this key.");
    return false;
}

static bool insert_shards(struct eval *e, const struct insert_rows *rows)
{
    struct sy_shard_set set = nowhere;
    if (rows->insert->from_select) {
        if (rows->follows)
            return true;
        const struct sy_insert *insert = rows->insert;
        bool constant = insert->output_count > 0 &&
                        inserted(e, rows, 0, rows->key_column)->kind != SY_VALUE_OPAQUE &&
                        (rows->hash_column < 0 ||
                         inserted(e, rows, 0, rows->hash_column)->kind != SY_VALUE_OPAQUE);
        if (constant)
            return row_shards(e, rows, 0, &e->sets[rows->use]);
        struct sy_slice name = e->route->stmt->tables[rows->use].name.name;
        sy_plan_refuse(e->plan, SY_E_UNSUPPORTED,
                       "INSERT ... SELECT into sharded table \"%.*s\" is not supported unless the "
                       "key is a constant "
                       "or the key of a table of the same keyspace",
                       (int)name.bytes, name.data);
        sy_err_hint(&e->plan->refusal, "Read the rows first, then INSERT or COPY them.");
        return false;
    }
    for (int32_t row = 0; row < rows->insert->row_count; row++) {
        struct sy_shard_set found;
        if (!row_shards(e, rows, row, &found))
            return false;
        set = sy_shard_set_or(&set, &found);
    }
    e->sets[rows->use] = set;
    return true;
}

static struct sy_shard_set assigned_shards(const struct eval *e, const struct key_assignment *a)
{
    const struct sy_route *route = e->route;
    const struct use *use = &route->uses[a->use];
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(route->map, use->table->keyspace);
    struct sy_value_target target = sy_route_stored_target(use, space->type, use->table->key);
    struct sy_key key;
    bool read = !a->is_hash_key && !space->has_hash_key &&
                sy_value_read(&e->reader, &a->assignment->value, &target, &key) == SY_VALUE_KNOWN;
    return read ? sy_shardmap_shards_of(route->map, use->table->keyspace, &key, NULL) : nowhere;
}

static void refuse_move(struct eval *e, const struct key_assignment *a)
{
    struct sy_slice name = e->route->stmt->tables[a->use].name.name;
    sy_plan_refuse(e->plan, SY_E_UNSUPPORTED,
                   "changing the sharding key of table \"%.*s\" would move rows to another "
                   "shard, which is not "
                   "supported",
                   (int)name.bytes, name.data);
    sy_err_hint(&e->plan->refusal, "INSERT the row under its new key, then DELETE the old one.");
}

/* UPDATE ... SET key = value on several shards, as mappers write whole rows back: nothing moves if
 * only the value's own shard has rows for it. The others are asked, too, and must have none. */
static bool find_home(struct eval *e)
{
    const struct sy_route *route = e->route;
    for (uint32_t i = 0; i < route->key_assignment_count; i++) {
        struct sy_shard_set found = assigned_shards(e, &route->key_assignments[i]);
        if (sy_shard_set_count(&found) != 1 || i > 0) {
            refuse_move(e, &route->key_assignments[i]);
            return false;
        }
        e->plan->home = sy_shard_set_first(&found);
    }
    return true;
}

/* A key may only change to one of the same shard. */
static bool check_assignments(struct eval *e, uint32_t shard)
{
    const struct sy_route *route = e->route;
    for (uint32_t i = 0; i < route->key_assignment_count; i++) {
        struct sy_shard_set found = assigned_shards(e, &route->key_assignments[i]);
        if (sy_shard_set_first(&found) == shard)
            continue;
        refuse_move(e, &route->key_assignments[i]);
        return false;
    }
    return true;
}

/* ---- all tables together ---- */

static bool table_shards(struct eval *e)
{
    const struct sy_route *route = e->route;
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->table_count; i++) {
        int32_t scope = stmt->tables[i].scope;
        e->sets[i] = nowhere;
        if (route->uses[i].kind == USE_SHARDED) {
            bool inside = scope >= 0 && scope < stmt->scope_count;
            e->sets[i] = cond_shards(e, i, inside ? stmt->scopes[scope].where : SY_NO_INDEX, 0);
        } else if (route->uses[i].kind == USE_LOCAL) {
            sy_shard_set_add(&e->sets[i], route->uses[i].shard);
        } else if (route->uses[i].kind == USE_CATALOG) {
            sy_shard_set_add(&e->sets[i], 0);
        }
    }
    for (uint32_t i = 0; i < route->insert_count; i++)
        if (!insert_shards(e, &route->inserts[i]))
            return false;
    return true;
}

static void propagate(struct eval *e)
{
    bool changed = e->route->edge_count > 0;
    while (changed) {
        changed = false;
        for (uint32_t i = 0; i < e->route->edge_count; i++) {
            const struct edge *edge = &e->route->edges[i];
            struct sy_shard_set both = sy_shard_set_and(&e->sets[edge->from], &e->sets[edge->to]);
            if (memcmp(&both, &e->sets[edge->to], sizeof(both)) != 0) {
                e->sets[edge->to] = both;
                changed = true;
            }
        }
    }
}

/* Where to ask when no row can match: a shard that surely has the table. */
static uint32_t any_shard(const struct sy_route *route)
{
    if (route->keyspace == UINT32_MAX)
        return 0;
    return sy_shard_set_first(&sy_shardmap_keyspace(route->map, route->keyspace)->shards);
}

/* The one shard that has every row that matters; false: there is none. */
static bool one_shard(const struct eval *e, uint32_t *ret_shard, bool *ret_nothing)
{
    const struct sy_route *route = e->route;
    uint32_t shard = route->uses_fixed_shard ? route->fixed_shard : UINT32_MAX;
    if (route->conflicts)
        return false;
    *ret_nothing = false;
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        enum use_kind kind = route->uses[i].kind;
        if (kind != USE_SHARDED && kind != USE_LOCAL && kind != USE_CATALOG)
            continue;
        uint32_t count = sy_shard_set_count(&e->sets[i]);
        uint32_t first = sy_shard_set_first(&e->sets[i]);
        if (count == 0) {
            *ret_nothing |=
                route->stmt->tables[i].scope <= 0 && !route->stmt->tables[i].nullable_side;
            continue; /* no row of it matters, here or elsewhere */
        }
        if (count > 1 || (shard != UINT32_MAX && shard != first))
            return false;
        shard = first;
    }
    *ret_shard = shard == UINT32_MAX ? any_shard(route) : shard;
    return true;
}

static void refuse_several(struct eval *e)
{
    const struct sy_route *route = e->route;
    if (e->reader.value_error->status != SY_OK) {
        e->plan->kind = SY_PLAN_REFUSED;
        e->plan->refusal = *e->reader.value_error;
        return;
    }
    e->spread = true;
    const char *what = route->combine == NULL ? "a statement" : route->combine;
    if (route->uses_fixed_shard && route->outer->kind != SY_STMT_DDL)
        what = "a sequence, advisory lock or large object of the first shard together with rows";
    bool inserts =
        route->insert_count > 0 && route->stmt->table_count == 1 && !route->uses_fixed_shard;
    sy_plan_refuse(e->plan, SY_E_UNSUPPORTED,
                   inserts ? "%s of rows of several shards is not supported"
                           : "%s over several shards is not supported",
                   what);
    if (inserts)
        sy_err_hint(&e->plan->refusal,
                    "Insert rows of different shards with different statements, or use COPY.");
    else
        sy_plan_hint_key(e->plan, route);
}

/* Rows of one INSERT to the shards of their keys. */
static void split_rows(struct eval *e)
{
    const struct insert_rows *rows = &e->route->inserts[0];
    uint32_t count = (uint32_t)rows->insert->row_count;
    uint32_t *shards = sy_arena_calloc(e->reader.arena, count + 1u, sizeof(*shards));
    struct sy_shard_set found;
    for (uint32_t row = 0; shards != NULL && row < count; row++) {
        if (!row_shards(e, rows, (int32_t)row, &found))
            return;
        if (sy_shard_set_count(&found) != 1) {
            refuse_several(e);
            return;
        }
        shards[row] = sy_shard_set_first(&found);
    }
    if (shards == NULL) {
        sy_plan_refuse(e->plan, SY_E_NO_MEMORY, "out of memory while planning");
        return;
    }
    sy_plan_set_several(e->plan, SY_PLAN_ROWS, e->sets[rows->use]);
    e->plan->rows = shards;
    e->plan->row_count = count;
}

static void decide(struct eval *e)
{
    const struct sy_route *route = e->route;
    uint32_t shard = 0;
    bool nothing = false;
    if (!table_shards(e))
        return;
    propagate(e);
    if (one_shard(e, &shard, &nothing)) {
        sy_plan_set_single(e->plan, shard);
        e->plan->maps_nowhere = nothing;
        if (!nothing)
            check_assignments(e, shard);
        return;
    }
    if (route->combine != NULL || (route->root < 0 && !route->splits) ||
        (route->merges && e->reader.value_error->status != SY_OK)) {
        refuse_several(e);
        return;
    }
    if (route->splits) {
        split_rows(e);
        return;
    }
    struct sy_shard_set shards = e->sets[route->root];
    if (is_empty(&shards)) {
        sy_plan_set_single(e->plan, any_shard(route));
        e->plan->maps_nowhere = true;
    } else {
        sy_plan_set_several(e->plan, route->merges ? SY_PLAN_MERGE : SY_PLAN_CONCAT, shards);
        (void)find_home(e);
    }
}

/* ---- hints ---- */

/* A shard that the client names takes the statement as it is, unless that would put rows where they
 * do not belong. */
static void obey_shard(struct eval *e, uint32_t shard)
{
    const struct sy_route *route = e->route;
    if (route->is_fixed && route->plan.kind == SY_PLAN_ROUTER)
        return;
    if (route->hint_cannot_help)
        return;
    if (route->is_fixed && (route->plan.kind == SY_PLAN_ALL || route->plan.kind == SY_PLAN_SPLIT) &&
        route->outer->kind != SY_STMT_DDL && route->outer->kind != SY_STMT_MAINTENANCE) {
        sy_plan_refuse(e->plan, SY_E_UNSUPPORTED,
                       "a write for several shards cannot be steered to one");
        sy_err_hint(&e->plan->refusal, "Leave the hint out.");
        return;
    }
    if (!route->is_fixed && (route->insert_count > 0 || route->key_assignment_count > 0)) {
        bool refused = !table_shards(e);
        for (uint32_t i = 0; !refused && i < route->insert_count; i++) {
            const struct sy_shard_set *set = &e->sets[route->inserts[i].use];
            refused = sy_shard_set_count(set) != 1 || sy_shard_set_first(set) != shard;
            if (refused) {
                sy_plan_refuse(e->plan, SY_E_UNSUPPORTED,
                               "the rows do not belong on the shard that the hint names");
                sy_err_hint(&e->plan->refusal,
                            "Leave the hint out: the key says where the rows go.");
            }
        }
        if (refused || !check_assignments(e, shard))
            return;
    }
    sy_plan_set_single(e->plan, shard);
}

static bool hinted_keyspace(const struct sy_route *route, uint32_t *ret_keyspace)
{
    *ret_keyspace = route->keyspace;
    if (route->keyspace == UINT32_MAX && sy_shardmap_keyspace_count(route->map) == 1)
        *ret_keyspace = 0;
    return *ret_keyspace != UINT32_MAX;
}

static void obey_key(struct eval *e, struct sy_slice text)
{
    uint32_t keyspace = 0;
    struct sy_key key;
    if (!hinted_keyspace(e->route, &keyspace)) {
        sy_plan_refuse(e->plan, SY_E_UNSUPPORTED, "the key hint does not say of which keyspace");
        sy_err_hint(&e->plan->refusal, "Use a shard hint: /* switchyard: shard=... */.");
        return;
    }
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(e->route->map, keyspace);
    struct sy_value_target target = {.type = space->type, .alone = true, .time_precision = -1};
    if (sy_value_read_hint(text, &target, &e->reader, &key) != SY_VALUE_KNOWN) {
        sy_plan_refuse(e->plan, SY_E_VALUE, "the key hint \"%.*s\" is not a %s",
                       (int)(text.bytes < 100 ? text.bytes : 100), text.data,
                       sy_key_type_name(space->type));
        return;
    }
    struct sy_shard_set found = sy_shardmap_shards_of(e->route->map, keyspace, &key, NULL);
    if (sy_shard_set_count(&found) == 1) {
        obey_shard(e, sy_shard_set_first(&found));
        return;
    }
    sy_plan_refuse(e->plan, is_empty(&found) ? SY_E_NO_PARTITION : SY_E_UNSUPPORTED,
                   "the key hint \"%.*s\" belongs to %s",
                   (int)(text.bytes < 100 ? text.bytes : 100), text.data,
                   is_empty(&found) ? "no shard" : "several shards");
}

/* False: there is none of that name, and the plan says so. */
static bool check_shard(struct eval *e, struct sy_slice name)
{
    if (sy_shardmap_find_shard(e->route->map, name) != UINT32_MAX)
        return true;
    sy_plan_refuse(e->plan, SY_E_VALUE, "there is no shard \"%.*s\"",
                   (int)(name.bytes < 100 ? name.bytes : 100), name.data);
    return false;
}

static void obey(struct eval *e, const struct sy_hints *hints)
{
    if (hints->shard.bytes > 0) {
        if (check_shard(e, hints->shard))
            obey_shard(e, sy_shardmap_find_shard(e->route->map, hints->shard));
    } else {
        obey_key(e, hints->key);
    }
}

/* ---- entry ---- */

static void start(const struct sy_route *route, struct sy_plan *plan)
{
    /* Not the whole struct: the refusal is large, and only looked at when it is set. */
    plan->kind = SY_PLAN_SINGLE;
    plan->role = route->plan.role;
    plan->shards = nowhere;
    plan->shard = 0;
    plan->rows = NULL;
    plan->row_count = 0;
    plan->writes = route->plan.writes;
    plan->maps_nowhere = false;
    plan->home = UINT32_MAX;
    plan->uses_temporary = route->plan.uses_temporary;
    plan->refusal.status = SY_OK;
}

static void obey_role(const struct sy_route *route, const struct sy_hints *hints,
                      struct sy_plan *plan)
{
    if (hints->role == SY_HINT_ROLE_PRIMARY)
        plan->role = SY_ROLE_PRIMARY;
    if (hints->role != SY_HINT_ROLE_REPLICA || plan->kind == SY_PLAN_ROUTER ||
        plan->kind == SY_PLAN_REFUSED)
        return;
    if (route->read_only && !route->uses_temporary) {
        plan->role = SY_ROLE_REPLICA;
        return;
    }
    sy_plan_refuse(plan, SY_E_UNSUPPORTED, "the hint role=replica on %s is not supported",
                   plan->writes ? "a write" : "a statement that is not proven to only read");
    sy_err_hint(&plan->refusal, "Leave the hint out: the primary answers.");
}

/* One comparison decides: no set for each table, nothing allocated. */
static bool fast(const struct sy_route *route, const struct sy_value_reader *reader,
                 struct sy_plan *plan)
{
    struct sy_key key;
    if (route->fast_value == NULL ||
        sy_value_read(reader, route->fast_value, &route->fast_target, &key) != SY_VALUE_KNOWN)
        return false;
    struct sy_shard_set set = sy_shardmap_shards_of(route->map, route->keyspace, &key, NULL);
    uint32_t shard = sy_shard_set_first(&set);
    plan->maps_nowhere = shard == UINT32_MAX && !route->stmt->tables[0].nullable_side;
    plan->shard = shard == UINT32_MAX ? any_shard(route) : shard;
    plan->shards = nowhere;
    sy_shard_set_add(&plan->shards, plan->shard);
    return true;
}

enum sy_status sy_route_eval(const struct sy_route *route, const struct sy_plan_values *values,
                             const struct sy_hints *hints, struct sy_arena *arena,
                             struct sy_plan *ret_plan, struct sy_err *err)
{
    struct sy_shard_set on_stack[SETS_ON_STACK];
    struct sy_err value_error;
    value_error.status = SY_OK;
    struct eval e = {.route = route,
                     .reader = {.values = values, .arena = arena, .value_error = &value_error},
                     .sets = on_stack,
                     .plan = ret_plan};
    bool steered =
        hints != NULL && (hints->shard.bytes > 0 || hints->key.bytes > 0) && route->sharded;
    start(route, ret_plan);
    if (!steered && !route->is_fixed && fast(route, &e.reader, ret_plan)) {
        if (hints != NULL && hints->role != SY_HINT_ROLE_NONE)
            obey_role(route, hints, ret_plan);
        return SY_OK;
    }
    if (route->stmt->table_count > SETS_ON_STACK) {
        e.sets = sy_arena_calloc(arena, (size_t)route->stmt->table_count, sizeof(*e.sets));
        if (e.sets == NULL)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while planning");
    }
    if (route->is_fixed) {
        ret_plan->kind = route->plan.kind;
        ret_plan->shards = route->plan.shards;
        ret_plan->shard = route->plan.shard;
        if (route->plan.kind == SY_PLAN_REFUSED)
            ret_plan->refusal = route->plan.refusal;
        e.spread = route->spread_refused;
    } else if (!steered) {
        decide(&e);
    }
    if (e.spread && !steered && ret_plan->kind == SY_PLAN_REFUSED)
        (void)sy_route_federate(route, ret_plan);
    if (steered)
        obey(&e, hints);
    else if (hints != NULL && hints->shard.bytes > 0)
        check_shard(&e, hints->shard);
    if (hints != NULL)
        obey_role(route, hints, ret_plan);
    return SY_OK;
}

bool sy_route_matter(const struct sy_route *route, const struct sy_plan_values *values,
                     struct sy_arena *arena, struct sy_shard_set *ret_set)
{
    struct sy_err value_error;
    struct sy_plan plan;
    value_error.status = SY_OK;
    size_t count = (size_t)route->stmt->table_count;
    struct eval e = {.route = route,
                     .reader = {.values = values, .arena = arena, .value_error = &value_error},
                     .sets = sy_arena_calloc(arena, count + 1, sizeof(*e.sets)),
                     .plan = &plan};
    if (route->is_fixed || e.sets == NULL || !table_shards(&e))
        return false;
    propagate(&e);
    *ret_set = nowhere;
    for (size_t i = 0; i < count; i++)
        if (route->uses[i].kind == USE_SHARDED || route->uses[i].kind == USE_LOCAL)
            *ret_set = sy_shard_set_or(ret_set, &e.sets[i]);
    return true;
}
