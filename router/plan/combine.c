/* A SELECT over several shards: what they are sent, and what is left to the router. */
#include "router/plan/combine.h"

#include <stdio.h>
#include <stdlib.h>

#include "router/plan/combine_internal.h"

/* ---- LIMIT and OFFSET ---- */

static bool read_bound(struct combine *c, const PgQuery__Node *node,
                       struct sy_merge_bound *ret_bound)
{
    int64_t number;
    if (node == NULL || (node->node_case == PG_QUERY__NODE__NODE_A_CONST && node->a_const->isnull))
        return true;
    const PgQuery__Node *inner = node;
    if (combine_integer(node, &number)) {
        *ret_bound = (struct sy_merge_bound){SY_BOUND_NUMBER, number};
        return true;
    }
    if (inner->node_case == PG_QUERY__NODE__NODE_PARAM_REF) {
        *ret_bound = (struct sy_merge_bound){SY_BOUND_PARAMETER, inner->param_ref->number};
        return true;
    }
    return combine_refuse(c, "LIMIT or OFFSET of an expression");
}

static bool read_bounds(struct combine *c)
{
    const PgQuery__SelectStmt *select = c->select;
    if (select->limit_count != NULL &&
        select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return combine_refuse(c, "FETCH FIRST ... WITH TIES");
    return read_bound(c, select->limit_count, &c->spec.limit) &&
           read_bound(c, select->limit_offset, &c->spec.offset);
}

static void drop(PgQuery__Node **node)
{
    sy_node_free(*node);
    *node = NULL;
}

static void note_option(PgQuery__SelectStmt *select)
{
    bool limited = select->limit_count != NULL || select->limit_offset != NULL;
    select->limit_option = limited ? PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_COUNT
                                   : PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
}

/* n - n, which keeps a parameter in the text without limiting anything; a null stays null, which is
 * no offset. */
static PgQuery__Node *nothing_of(PgQuery__Node *parameter)
{
    return sy_node_operator("-", sy_node_cast(sy_node_copy(parameter), "bigint"),
                            sy_node_cast(sy_node_copy(parameter), "bigint"));
}

/* LIMIT (if `limit` too) and OFFSET are the router's alone. */
static bool drop_bounds(struct combine *c, bool limit)
{
    PgQuery__SelectStmt *select = c->select;
    PgQuery__Node *rest = NULL, *other = NULL;
    bool keeps_offset = c->spec.offset.kind == SY_BOUND_PARAMETER;
    bool keeps_limit = limit && c->spec.limit.kind == SY_BOUND_PARAMETER;
    if (keeps_offset)
        rest = nothing_of(select->limit_offset);
    if (keeps_limit)
        other = nothing_of(select->limit_count);
    if ((keeps_offset && rest == NULL) || (keeps_limit && other == NULL)) {
        sy_node_free(rest);
        sy_node_free(other);
        return combine_no_memory(c);
    }
    if (keeps_offset && keeps_limit)
        rest = sy_node_operator("+", rest, other);
    else if (keeps_limit)
        rest = other;
    if (limit)
        drop(&select->limit_count);
    drop(&select->limit_offset);
    select->limit_offset = rest;
    note_option(select);
    return !(keeps_offset || keeps_limit) || rest != NULL || combine_no_memory(c);
}

/* Each shard may have to give all the rows up to the last one wanted: LIMIT n OFFSET m becomes
 * LIMIT n + m. */
static bool push_bounds(struct combine *c)
{
    PgQuery__SelectStmt *select = c->select;
    const struct sy_merge_spec *spec = &c->spec;
    if (spec->offset.kind == SY_BOUND_NONE || spec->limit.kind == SY_BOUND_NONE)
        return drop_bounds(c, false);
    PgQuery__Node *sum;
    if (spec->limit.kind == SY_BOUND_NUMBER && spec->offset.kind == SY_BOUND_NUMBER)
        sum = sy_node_integer(spec->limit.number + spec->offset.number);
    else
        sum = sy_node_operator("+", sy_node_cast(sy_node_copy(select->limit_count), "bigint"),
                               sy_node_cast(sy_node_copy(select->limit_offset), "bigint"));
    drop(&select->limit_offset);
    drop(&select->limit_count);
    select->limit_count = sum;
    note_option(select);
    return sum != NULL || combine_no_memory(c);
}

/* ---- ORDER BY ---- */

static bool read_direction(struct combine *c, const PgQuery__SortBy *sort,
                           struct sy_merge_key *ret_key)
{
    if (sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
        return combine_refuse(c, "ORDER BY ... USING");
    ret_key->descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    ret_key->nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                               ? ret_key->descending
                               : sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
    return true;
}

static bool read_sort(struct combine *c, const PgQuery__Node *item, bool hidden_allowed,
                      struct sy_merge_key *ret_key)
{
    const PgQuery__Node *value = NULL;
    uint32_t hidden = c->spec.hidden_count;
    if (item->node_case != PG_QUERY__NODE__NODE_SORT_BY)
        return combine_refuse(c, "this ORDER BY");
    if (!read_direction(c, item->sort_by, ret_key) ||
        !combine_find_output(c, item->sort_by->node, &ret_key->column, &value))
        return false;
    if (!hidden_allowed && c->spec.hidden_count > hidden)
        return combine_refuse(c, "DISTINCT with ORDER BY of an expression that is not selected");
    ret_key->by_bytes = combine_by_bytes(c, value);
    return combine_orders(c, value, ret_key->by_bytes);
}

static bool read_order(struct combine *c, bool hidden_allowed)
{
    size_t count = c->select->n_sort_clause;
    c->spec.keys = sy_arena_calloc(c->arena, count + 1, sizeof(*c->spec.keys));
    if (c->spec.keys == NULL)
        return combine_no_memory(c);
    if (count > COMBINE_KEYS_MAX)
        return combine_refuse(c, "ORDER BY of that many expressions");
    for (size_t i = 0; i < count; i++)
        if (!read_sort(c, c->select->sort_clause[i], hidden_allowed,
                       &c->spec.keys[c->spec.key_count++]))
            return false;
    return true;
}

/* ---- the forms ---- */

static bool is_distinct_on(const PgQuery__SelectStmt *select)
{
    return select->n_distinct_clause > 0 &&
           select->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET;
}

/* The expression that an item stands for; NULL: it cannot be told. */
static const PgQuery__Node *item_value(const struct combine *c, const PgQuery__Node *node,
                                       enum combine_items items)
{
    int64_t number;
    if (items == COMBINE_TARGETS)
        return node->res_target->val;
    if (items == COMBINE_EXPRESSIONS)
        return node;
    if (combine_integer(node, &number)) {
        bool known = number >= 1 && number <= c->visible && !combine_has_star(c, (uint32_t)number);
        return known ? c->select->target_list[number - 1]->res_target->val : NULL;
    }
    const char *name = items == COMBINE_DISTINCT_ON ? combine_plain_name(node) : NULL;
    for (uint32_t i = 0; name != NULL && i < c->visible; i++) {
        const PgQuery__ResTarget *target = c->select->target_list[i]->res_target;
        if (target->name != NULL && strcmp(target->name, name) == 0)
            return target->val;
    }
    return node;
}

bool combine_names_key(const struct combine *c, PgQuery__Node *const *list, size_t count,
                       enum combine_items items)
{
    const struct use *root = &c->route->uses[c->route->root];
    bool key = false,
         hash = !sy_shardmap_keyspace(c->route->map, root->table->keyspace)->has_hash_key;
    for (size_t i = 0; i < count; i++) {
        const PgQuery__Node *node = list[i] == NULL ? NULL : item_value(c, list[i], items);
        if (node == NULL)
            continue;
        key = key || combine_is_key(c, node, false, true);
        hash = hash || combine_is_key(c, node, true, true);
    }
    return key && hash;
}

/* DISTINCT ON: each shard gives its first row of a group; equal neighbours of several shards are
 * one. */
static bool combine_distinct_on(struct combine *c)
{
    PgQuery__SelectStmt *select = c->select;
    size_t count = select->n_distinct_clause;
    for (size_t i = 0; select->n_sort_clause < count && i < count; i++) {
        if (i < select->n_sort_clause)
            return combine_refuse(c, "DISTINCT ON with a shorter ORDER BY");
        PgQuery__Node *sort = sy_node_sort(sy_node_copy(select->distinct_clause[i]), false, false);
        if (!sy_node_append(&select->sort_clause, &select->n_sort_clause, sort))
            return combine_no_memory(c);
    }
    if (!read_order(c, true))
        return false;
    uint64_t named = 0; /* keys; COMBINE_KEYS_MAX at most */
    for (size_t i = 0; i < count; i++) {
        int32_t column = 0;
        const PgQuery__Node *value;
        uint64_t key = 0;
        if (!combine_find_output(c, select->distinct_clause[i], &column, &value))
            return false;
        for (size_t k = 0; k < count && key == 0; k++)
            key = c->spec.keys[k].column == column ? UINT64_C(1) << k : 0;
        /* One named twice would leave room for a key that is none of theirs. */
        if (key == 0 || (named & key) != 0)
            return combine_refuse(c, "DISTINCT ON whose expressions are not the first of ORDER BY");
        named |= key;
    }
    c->spec.unique = (int32_t)count;
    return push_bounds(c);
}

/* DISTINCT a, b is GROUP BY a, b without aggregates. */
static bool distinct_to_group(struct combine *c)
{
    PgQuery__SelectStmt *select = c->select;
    if (combine_has_star(c, c->visible))
        return combine_refuse(c, "DISTINCT of all columns without the sharding key");
    if (select->n_group_clause > 0 || select->having_clause != NULL)
        return combine_refuse(c, "DISTINCT together with GROUP BY or an aggregate");
    if (c->route->stmt->scopes[0].has_window)
        return combine_refuse(c, "DISTINCT together with a window function");
    c->was_distinct = true;
    sy_node_clear(&select->distinct_clause, &select->n_distinct_clause);
    for (uint32_t i = 0; i < c->visible; i++)
        if (!sy_node_append(&select->group_clause, &select->n_group_clause,
                            sy_node_integer((int64_t)i + 1)))
            return combine_no_memory(c);
    return true;
}

static bool renames(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    (void)opaque;
    (void)ret_skip;
    return node->node_case != PG_QUERY__NODE__NODE_RANGE_VAR || node->range_var->alias == NULL ||
           node->range_var->alias->n_colnames == 0;
}

/* FROM t AS x (a, b): the names are not those of the table. */
static bool check_names(struct combine *c)
{
    for (size_t i = 0; i < c->select->n_from_clause; i++)
        if (!sy_node_visit(c->select->from_clause[i], renames, NULL))
            return combine_refuse(c, "a table with renamed columns");
    return true;
}

static bool combine_select(struct combine *c)
{
    PgQuery__SelectStmt *select = c->select;
    const struct sy_scope *scope = &c->route->stmt->scopes[0];
    bool grouped =
        select->n_group_clause > 0 || scope->has_aggregate || select->having_clause != NULL;
    bool distinct = select->n_distinct_clause > 0;
    if (select->op != PG_QUERY__SET_OPERATION__SETOP_NONE || select->n_values_lists > 0 ||
        select->n_locking_clause > 0 || select->group_distinct || scope->has_grouping_sets)
        return combine_refuse(c, "this form of SELECT");
    c->spec.unique = -1;
    c->visible = (uint32_t)select->n_target_list;
    if (!check_names(c) || !read_bounds(c))
        return false;
    if (grouped &&
        combine_names_key(c, select->group_clause, select->n_group_clause, COMBINE_GROUP))
        grouped = false;
    if (scope->has_window && (grouped || !combine_windows_stay(c)))
        return combine_refuse(c, "a window function that is not partitioned by the sharding key");
    if (grouped && distinct)
        return combine_refuse(c, "DISTINCT together with GROUP BY or an aggregate");
    if (distinct && scope->has_aggregate)
        return combine_refuse(c, "DISTINCT together with an aggregate");
    if (distinct && is_distinct_on(select)) {
        if (!combine_names_key(c, select->distinct_clause, select->n_distinct_clause,
                               COMBINE_DISTINCT_ON))
            return combine_distinct_on(c);
    } else if (distinct &&
               !combine_names_key(c, select->target_list, c->visible, COMBINE_TARGETS)) {
        return distinct_to_group(c) && combine_groups(c);
    }
    if (grouped)
        return combine_groups(c);
    return read_order(c, !distinct || is_distinct_on(select)) && push_bounds(c);
}

static bool fold_bounds(struct combine *c)
{
    /* Groups that the router sorts or filters are limited by it alone. */
    bool pushes = c->spec.order_count == 0 && c->spec.having_count == 0 && c->spec.key_count > 0;
    if (c->spec.unique >= 0 && c->grouped && !pushes) {
        return drop_bounds(c, true);
    }
    return !c->grouped || push_bounds(c);
}

enum sy_status sy_route_combine(const struct sy_route *route, struct sy_slice text,
                                struct sy_arena *arena, struct sy_combined *ret_combined,
                                struct sy_err *err)
{
    PgQuery__ParseResult *tree = NULL;
    struct combine c = {.route = route, .arena = arena, .err = err};
    enum sy_status status = sy_rewrite_open(text, &tree, err);
    if (status != SY_OK)
        return status;
    bool fine = tree->n_stmts == 1 &&
                tree->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT &&
                (route->root >= 0 || route->adds_sizes);
    if (!fine) {
        (void)combine_refuse(&c, "this form of statement");
    } else {
        c.select = tree->stmts[0]->stmt->select_stmt;
        fine = route->adds_sizes ? combine_sizes(&c) : combine_select(&c) && fold_bounds(&c);
    }
    ret_combined->uncertain = fine && !route->adds_sizes && !combine_certain(&c);
    status = fine ? sy_rewrite_text(tree, arena, &ret_combined->sql, err) : err->status;
    sy_protobuf_free(&tree);
    if (status == SY_OK)
        ret_combined->spec = c.spec;
    return status;
}

enum sy_status sy_combined_give_up(struct sy_err *err)
{
    enum sy_status status =
        sy_err_set(err, SY_E_UNSUPPORTED,
                   "an order or aggregate of values whose type or collation is not known to be one "
                   "that the router compares itself, over several shards is not supported");
    sy_err_hint(err, "Order by numbers, dates, uuid or text COLLATE \"C\", or restrict the "
                     "sharding key.");
    return status;
}

/* ---- an execution ---- */

static bool read_parameter(const struct sy_plan_values *values, uint32_t index, bool *ret_null,
                           int64_t *ret_number)
{
    if (index >= values->parameter_count)
        return false;
    struct sy_slice value = values->parameters[index];
    uint32_t formats = values->parameter_format_count;
    uint16_t format = formats == 0 ? 0 : values->parameter_formats[formats == 1 ? 0 : index];
    *ret_null = value.data == NULL;
    if (*ret_null)
        return true;
    if (format == 1) {
        uint64_t bits = 0;
        if (value.bytes != 2 && value.bytes != 4 && value.bytes != 8)
            return false;
        for (size_t i = 0; i < value.bytes; i++)
            bits = bits << 8 | (uint8_t)value.data[i];
        unsigned shift = (unsigned)(64 - 8 * value.bytes);
        *ret_number = (int64_t)(bits << shift) >> shift;
        return true;
    }
    char copy[24], *end;
    if (value.bytes == 0 || value.bytes > 19)
        return false;
    memcpy(copy, value.data, value.bytes);
    copy[value.bytes] = 0;
    *ret_number = strtoll(copy, &end, 10);
    return *end == 0;
}

static enum sy_status read_value(const struct sy_merge_bound *bound,
                                 const struct sy_plan_values *values, const char *what,
                                 const char *sqlstate, uint64_t *value, struct sy_err *err)
{
    int64_t number = bound->number;
    bool null = false;
    if (bound->kind == SY_BOUND_NONE)
        return SY_OK;
    if (bound->kind == SY_BOUND_PARAMETER &&
        !read_parameter(values, (uint32_t)bound->number - 1, &null, &number)) {
        enum sy_status status =
            sy_err_set(err, SY_E_UNSUPPORTED,
                       "the parameter of %s over several shards is not an integer", what);
        sy_err_hint(err, "Bind it as bigint.");
        return status;
    }
    if (null)
        return SY_OK;
    if (number < 0) {
        enum sy_status status = sy_err_set(err, SY_E_VALUE, "%s must not be negative", what);
        sy_err_state(err, sqlstate);
        return status;
    }
    *value = (uint64_t)number;
    return SY_OK;
}

enum sy_status sy_combined_bounds(const struct sy_merge_spec *spec,
                                  const struct sy_plan_values *values, uint64_t *ret_limit,
                                  uint64_t *ret_offset, struct sy_err *err)
{
    uint64_t limit = UINT64_MAX, offset = 0;
    enum sy_status status = read_value(&spec->limit, values, "LIMIT", "2201W", &limit, err);
    if (status == SY_OK)
        status = read_value(&spec->offset, values, "OFFSET", "2201X", &offset, err);
    if (status != SY_OK)
        return status;
    *ret_limit = limit;
    *ret_offset = offset;
    return SY_OK;
}

/* ---- in words ---- */

static void put_column(struct sy_buf *out, int32_t column)
{
    if (column >= 0)
        sy_buf_printf(out, "column %d", column + 1);
    else
        sy_buf_printf(out, "hidden column %d", -column);
}

static void put_keys(struct sy_buf *out, const struct sy_merge_key *keys, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        sy_buf_append_str(out, i == 0 ? " " : ", ");
        put_column(out, keys[i].column);
        sy_buf_printf(out, "%s nulls %s", keys[i].descending ? " descending" : "",
                      keys[i].nulls_first ? "first" : "last");
    }
    sy_buf_append_str(out, "\n");
}

static void put_bound(struct sy_buf *out, const char *word, const struct sy_merge_bound *bound)
{
    if (bound->kind != SY_BOUND_NONE)
        sy_buf_printf(out, "Step: %s %s%lld, in the router\n", word,
                      bound->kind == SY_BOUND_PARAMETER ? "$" : "", (long long)bound->number);
}

void sy_combined_explain(const struct sy_combined *combined, struct sy_buf *out)
{
    static const char *const folds[] = {"count",
                                        "sum",
                                        "avg",
                                        "min",
                                        "max",
                                        "bool_and",
                                        "bool_or",
                                        "bit_and",
                                        "bit_or",
                                        "bit_xor",
                                        "pg_size_pretty of the sum"};
    const struct sy_merge_spec *spec = &combined->spec;
    sy_buf_append_str(out, "Each shard is sent: ");
    sy_buf_append_slice(out, combined->sql);
    sy_buf_append_str(out, "\n");
    if (spec->key_count > 0) {
        sy_buf_append_str(out, "Step: merge the sorted rows of the shards by");
        put_keys(out, spec->keys, spec->key_count);
    }
    if (spec->unique >= 0)
        sy_buf_printf(out, "Step: rows equal in the first %d keys become one\n", spec->unique);
    for (uint32_t i = 0; i < spec->fold_count; i++) {
        sy_buf_printf(out, "Step: %s of ", folds[spec->folds[i].kind]);
        put_column(out, spec->folds[i].column);
        sy_buf_append_str(out, "\n");
    }
    if (spec->having_count > 0)
        sy_buf_printf(out, "Step: HAVING, %u conditions, in the router\n", spec->having_count);
    if (spec->order_count > 0) {
        sy_buf_append_str(out, "Step: sort the groups by");
        put_keys(out, spec->order, spec->order_count);
    }
    put_bound(out, "OFFSET", &spec->offset);
    put_bound(out, "LIMIT", &spec->limit);
    if (spec->hidden_count > 0)
        sy_buf_printf(out, "Step: drop %u hidden columns\n", spec->hidden_count);
}

void sy_route_explain_text(const struct sy_route *route, struct sy_plan *plan, struct sy_slice text,
                           struct sy_arena *arena, struct sy_buf *out)
{
    struct sy_combined combined;
    bool merges = plan->kind == SY_PLAN_MERGE;
    enum sy_status status =
        merges ? sy_route_combine(route, text, arena, &combined, &plan->refusal) : SY_OK;
    if (merges && status == SY_OK && combined.uncertain && sy_route_federates(route))
        status = sy_combined_give_up(&plan->refusal);
    if (status != SY_OK) {
        plan->kind = SY_PLAN_REFUSED;
        merges = false;
        if (plan->refusal.status == SY_E_UNSUPPORTED)
            (void)sy_route_federate(route, plan);
    }
    sy_route_explain(route, plan, out);
    if (merges)
        sy_combined_explain(&combined, out);
}
