/*
 * Groups that several shards share: each shard sends its part of every group in the order of the
 * group's keys, and the router makes one of equal neighbours. Every output is a key, an aggregate
 * whose parts can be put together, or an expression of keys and constants.
 */
#include <stdio.h>
#include <stdlib.h>

#include "router/plan/combine_internal.h"

/* ---- aggregates ---- */

static const struct {
    const char *name;
    enum sy_fold_kind kind;
    bool distinct; /* DISTINCT inside makes no difference */
} aggregates[] = {
    {"count", SY_FOLD_COUNT, false},     {"sum", SY_FOLD_SUM, false},
    {"avg", SY_FOLD_AVG, false},         {"min", SY_FOLD_MIN, true},
    {"max", SY_FOLD_MAX, true},          {"bool_and", SY_FOLD_BOOL_AND, true},
    {"every", SY_FOLD_BOOL_AND, true},   {"bool_or", SY_FOLD_BOOL_OR, true},
    {"bit_and", SY_FOLD_BIT_AND, true},  {"bit_or", SY_FOLD_BIT_OR, true},
    {"bit_xor", SY_FOLD_BIT_XOR, false},
};

/* DISTINCT x, where x is or contains the sharding key: no value is counted by two shards. */
static bool is_distinct_apart(const struct combine *c, const PgQuery__FuncCall *call,
                              enum sy_fold_kind kind)
{
    const PgQuery__Node *argument = call->n_args == 1 ? call->args[0] : NULL;
    if (argument == NULL || (kind != SY_FOLD_COUNT && kind != SY_FOLD_SUM && kind != SY_FOLD_AVG))
        return false;
    if (argument->node_case == PG_QUERY__NODE__NODE_ROW_EXPR)
        return kind == SY_FOLD_COUNT &&
               combine_names_key(c, argument->row_expr->args, argument->row_expr->n_args,
                                 COMBINE_EXPRESSIONS);
    const struct use *root = &c->route->uses[c->route->root];
    return !sy_shardmap_keyspace(c->route->map, root->table->keyspace)->has_hash_key &&
           combine_is_key(c, argument, false, false);
}

const PgQuery__FuncCall *combine_aggregate(const struct combine *c, const PgQuery__Node *node,
                                           enum sy_fold_kind *ret_kind)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return NULL;
    const PgQuery__FuncCall *call = node->func_call;
    if (call->over != NULL || call->agg_within_group || call->n_agg_order > 0 ||
        call->func_variadic || call->n_funcname > 2 || call->n_args > 1 ||
        (call->n_args == 0 && !call->agg_star))
        return NULL;
    if (call->n_funcname == 2 && strcmp(call->funcname[0]->string->sval, "pg_catalog") != 0)
        return NULL;
    const char *name = call->funcname[call->n_funcname - 1]->string->sval;
    for (size_t i = 0; i < sizeof(aggregates) / sizeof(aggregates[0]); i++)
        if (strcmp(aggregates[i].name, name) == 0 &&
            (!call->agg_distinct || aggregates[i].distinct ||
             is_distinct_apart(c, call, aggregates[i].kind))) {
            *ret_kind = aggregates[i].kind;
            return call;
        }
    return NULL;
}

static bool set_function(PgQuery__Node *node, const char *name)
{
    PgQuery__String *last = node->func_call->funcname[node->func_call->n_funcname - 1]->string;
    char *copy = strdup(name);
    if (copy == NULL)
        return false;
    free(last->sval);
    last->sval = copy;
    return true;
}

/* avg(x) is sum(x), and count(x) in a hidden column. */
static bool split_average(struct combine *c, PgQuery__ResTarget *target, struct sy_merge_fold *fold)
{
    PgQuery__Node *count = sy_node_copy(target->val);
    if (count == NULL || !set_function(count, "count") || !set_function(target->val, "sum")) {
        sy_node_free(count);
        return combine_no_memory(c);
    }
    if (target->name == NULL || target->name[0] == 0) {
        char *name = strdup("avg");
        if (name == NULL) {
            sy_node_free(count);
            return combine_no_memory(c);
        }
        if (target->name != NULL && (const char *)target->name != protobuf_c_empty_string)
            free(target->name);
        target->name = name;
    }
    return combine_add_hidden(c, count, &fold->count_column);
}

/* The value of a target that is an aggregate: folded from now on. */
static bool add_fold(struct combine *c, uint32_t target, int32_t column, enum sy_fold_kind kind)
{
    if (c->spec.fold_count == COMBINE_FOLDS_MAX)
        return combine_refuse(c, "a query of that many aggregates");
    struct sy_merge_fold *fold = &c->spec.folds[c->spec.fold_count++];
    PgQuery__ResTarget *at = c->select->target_list[target]->res_target;
    *fold = (struct sy_merge_fold){.kind = kind, .column = column};
    if (!combine_folds(c, at->val->func_call, kind))
        return false;
    if (at->val->func_call->n_args == 1)
        fold->by_bytes = combine_by_bytes(c, at->val->func_call->args[0]);
    return kind != SY_FOLD_AVG || split_average(c, at, fold);
}

/* ---- keys ---- */

static bool use_has_column(const struct combine *c, const char *name, bool *ret_sure)
{
    *ret_sure = true;
    for (int32_t i = 0; i < c->route->stmt->table_count; i++) {
        if (c->route->stmt->tables[i].scope > 0)
            continue;
        const struct sy_schema_relation *relation = c->route->uses[i].relation;
        if (relation == NULL)
            *ret_sure = false;
        else if (sy_schema_column(relation, sy_slice_of(name)) != NULL)
            return true;
    }
    for (int32_t i = 1; i < c->route->stmt->scope_count; i++)
        *ret_sure = *ret_sure && !c->route->stmt->scopes[i].is_from_subquery &&
                    !c->route->stmt->scopes[i].is_cte;
    *ret_sure = *ret_sure && !c->route->stmt->scopes[0].has_srf;
    return false;
}

/* A name in GROUP BY means a column of a table first, and an output's alias second. */
static bool group_alias(struct combine *c, const char *name, int32_t *ret_target)
{
    *ret_target = -1;
    for (uint32_t i = 0; i < c->visible && *ret_target < 0; i++) {
        const char *alias = c->select->target_list[i]->res_target->name;
        if (alias != NULL && strcmp(alias, name) == 0)
            *ret_target = (int32_t)i;
    }
    if (*ret_target < 0)
        return true;
    bool sure;
    if (use_has_column(c, name, &sure)) {
        *ret_target = -1;
        return true;
    }
    return sure || combine_refuse(c, "GROUP BY of a name that may be an alias or a column");
}

static bool read_group(struct combine *c, uint32_t index)
{
    PgQuery__Node *node = c->select->group_clause[index];
    int64_t number;
    int32_t target = -1;
    const char *name = combine_plain_name(node);
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET)
        return combine_refuse(c, "GROUPING SETS, ROLLUP or CUBE");
    if (combine_integer(node, &number)) {
        if (number < 1 || number > c->visible)
            return combine_refuse(c, "GROUP BY of a position that is not in the select list");
        target = (int32_t)number - 1;
    } else if (name != NULL && !group_alias(c, name, &target)) {
        return false;
    }
    for (uint32_t i = 0; target < 0 && i < c->visible; i++)
        if (combine_same(c, c->select->target_list[i]->res_target->val, node))
            target = (int32_t)i;
    c->group[index] = target >= 0 ? c->select->target_list[target]->res_target->val : node;
    c->group_columns[index] = target;
    return target >= 0 || combine_add_hidden(c, sy_node_copy(node), &c->group_columns[index]);
}

static int32_t find_group(const struct combine *c, const PgQuery__Node *node)
{
    for (uint32_t i = 0; i < c->group_count; i++)
        if (combine_same(c, c->group[i], node))
            return (int32_t)i;
    return -1;
}

static bool look_covered(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    const struct combine *c = opaque;
    if (find_group(c, node) >= 0) {
        *ret_skip = true;
        return true;
    }
    enum sy_fold_kind kind;
    bool call = node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL &&
                (node->func_call->agg_star || node->func_call->agg_distinct ||
                 node->func_call->agg_filter != NULL || node->func_call->n_agg_order > 0 ||
                 node->func_call->over != NULL);
    return !call && combine_aggregate(c, node, &kind) == NULL &&
           node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF &&
           node->node_case != PG_QUERY__NODE__NODE_SUB_LINK &&
           node->node_case != PG_QUERY__NODE__NODE_GROUPING_FUNC;
}

/* Made of keys and constants only, so the same in every part of a group. An aggregate has
 * arguments, which are columns that are no keys, or is among those known; a call of nothing but
 * keys may be one that is not known. */
static bool has_call(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    const struct combine *c = opaque;
    *ret_skip = find_group(c, node) >= 0;
    return *ret_skip || node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL;
}

static bool is_covered(struct combine *c, const PgQuery__Node *node)
{
    return sy_node_visit(node, look_covered, c) && sy_node_visit(node, has_call, c);
}

static bool read_targets(struct combine *c)
{
    for (uint32_t i = 0; i < c->visible; i++) {
        const PgQuery__Node *value = c->select->target_list[i]->res_target->val;
        enum sy_fold_kind kind;
        if (find_group(c, value) >= 0)
            continue;
        if (combine_aggregate(c, value, &kind) != NULL) {
            if (!add_fold(c, i, (int32_t)i, kind))
                return false;
        } else if (!is_covered(c, value)) {
            return combine_refuse(
                c, "an output that is neither a key of GROUP BY nor count, sum, avg, min, max, "
                   "bool_and, bool_or, bit_and or bit_or of all rows");
        }
    }
    return true;
}

/* ---- HAVING ---- */

/* The column of an aggregate: one that is put out already, else a hidden one. */
static bool aggregate_column(struct combine *c, const PgQuery__Node *node, enum sy_fold_kind kind,
                             int32_t *ret_column)
{
    for (uint32_t i = 0; i < c->select->n_target_list && kind != SY_FOLD_AVG; i++)
        if (sy_node_equal(c->select->target_list[i]->res_target->val, node)) {
            int32_t column = i < c->visible ? (int32_t)i : -1 - (int32_t)(i - c->visible);
            for (uint32_t f = 0; f < c->spec.fold_count; f++)
                if (c->spec.folds[f].column == column && c->spec.folds[f].kind == kind) {
                    *ret_column = column;
                    return true;
                }
        }
    uint32_t target = (uint32_t)c->select->n_target_list;
    return combine_add_hidden(c, sy_node_copy(node), ret_column) &&
           add_fold(c, target, *ret_column, kind);
}

static bool read_number(const PgQuery__Node *node, char number[48])
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->isnull)
        return false;
    if (node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        snprintf(number, 48, "%d", node->a_const->ival->ival);
        return true;
    }
    if (node->a_const->val_case != PG_QUERY__A__CONST__VAL_FVAL ||
        strlen(node->a_const->fval->fval) >= 48 ||
        strspn(node->a_const->fval->fval, "-0123456789.") != strlen(node->a_const->fval->fval))
        return false;
    snprintf(number, 48, "%s", node->a_const->fval->fval);
    return true;
}

static bool read_operator(const PgQuery__AExpr *expression, bool flipped, enum sy_merge_op *ret_op)
{
    static const struct {
        const char *name;
        enum sy_merge_op op, flipped;
    } operators[] = {
        {"=", SY_MERGE_EQ, SY_MERGE_EQ}, {"<>", SY_MERGE_NE, SY_MERGE_NE},
        {"<", SY_MERGE_LT, SY_MERGE_GT}, {"<=", SY_MERGE_LE, SY_MERGE_GE},
        {">", SY_MERGE_GT, SY_MERGE_LT}, {">=", SY_MERGE_GE, SY_MERGE_LE},
    };
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]) && expression->n_name == 1; i++)
        if (strcmp(expression->name[0]->string->sval, operators[i].name) == 0) {
            *ret_op = flipped ? operators[i].flipped : operators[i].op;
            return true;
        }
    return false;
}

/* A condition on the keys of a group holds for all of its parts or for none: the shards look. */
static bool keep_having(struct combine *c, const PgQuery__Node *node, PgQuery__Node **kept)
{
    PgQuery__Node *copy = sy_node_copy(node);
    if (*kept == NULL)
        *kept = copy;
    else
        *kept = sy_node_and(*kept, copy);
    return *kept != NULL || combine_no_memory(c);
}

static bool read_having(struct combine *c, const PgQuery__Node *node, PgQuery__Node **kept)
{
    if (node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
        node->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        for (size_t i = 0; i < node->bool_expr->n_args; i++)
            if (!read_having(c, node->bool_expr->args[i], kept))
                return false;
        return true;
    }
    if (c->group_count > 0 && is_covered(c, node))
        return keep_having(c, node, kept);
    enum sy_fold_kind kind = SY_FOLD_COUNT;
    struct sy_merge_having having = {0};
    bool plain = node->node_case == PG_QUERY__NODE__NODE_A_EXPR &&
                 node->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP &&
                 node->a_expr->lexpr != NULL && node->a_expr->rexpr != NULL &&
                 c->spec.having_count < COMBINE_KEYS_MAX;
    bool flipped = plain && combine_aggregate(c, node->a_expr->rexpr, &kind) != NULL;
    const PgQuery__Node *side = !plain ? NULL : flipped ? node->a_expr->rexpr : node->a_expr->lexpr;
    if (!plain || combine_aggregate(c, side, &kind) == NULL ||
        !read_number(flipped ? node->a_expr->lexpr : node->a_expr->rexpr, having.number) ||
        !read_operator(node->a_expr, flipped, &having.op))
        return combine_refuse(
            c, "HAVING, but for aggregates compared with numbers and joined by AND,");
    if (!aggregate_column(c, side, kind, &having.column))
        return false;
    c->spec.having[c->spec.having_count++] = having;
    return true;
}

/* The router looks at aggregates, the shards at keys. */
static bool split_having(struct combine *c)
{
    PgQuery__Node *kept = NULL;
    if (c->select->having_clause == NULL)
        return true;
    bool fine = read_having(c, c->select->having_clause, &kept);
    sy_node_free(c->select->having_clause);
    c->select->having_clause = kept;
    return fine;
}

/* ---- order ---- */

static bool read_client_order(struct combine *c, bool *ret_keys_only)
{
    PgQuery__SelectStmt *select = c->select;
    *ret_keys_only = true;
    for (size_t i = 0; i < select->n_sort_clause; i++) {
        struct sy_merge_key *key = &c->spec.order[c->spec.order_count++];
        const PgQuery__SortBy *sort = select->sort_clause[i]->sort_by;
        const PgQuery__Node *value = NULL;
        enum sy_fold_kind kind;
        if (sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
            return combine_refuse(c, "ORDER BY ... USING");
        key->descending = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        key->nulls_first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_DEFAULT
                               ? key->descending
                               : sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST;
        if (combine_aggregate(c, sort->node, &kind) != NULL) {
            key->by_bytes = sort->node->func_call->n_args == 1 &&
                            combine_by_bytes(c, sort->node->func_call->args[0]);
            *ret_keys_only = false;
            if (!aggregate_column(c, sort->node, kind, &key->column))
                return false;
            continue;
        }
        if (!combine_find_output(c, sort->node, &key->column, &value))
            return false;
        if (c->was_distinct && key->column < 0)
            return combine_refuse(c,
                                  "DISTINCT with ORDER BY of an expression that is not selected");
        int32_t group = find_group(c, value);
        *ret_keys_only = *ret_keys_only && group >= 0;
        key->by_bytes =
            combine_aggregate(c, value, &kind) == NULL
                ? combine_by_bytes(c, value)
                : value->func_call->n_args == 1 && combine_by_bytes(c, value->func_call->args[0]);
        if (group < 0 && key->column < 0 && !is_covered(c, value))
            return combine_refuse(c, "ORDER BY of an expression of aggregates");
        if (!combine_orders(c, value, key->by_bytes))
            return false;
    }
    return true;
}

/* Text is grouped by bytes, whatever its collation, as long as that tells equal from different. */
static bool add_key(struct combine *c, uint32_t index)
{
    struct sy_merge_key *key = &c->spec.keys[c->spec.key_count++];
    const struct sy_schema_column *column = combine_column(c, c->group[index]);
    *key = (struct sy_merge_key){.column = c->group_columns[index],
                                 .by_bytes = combine_by_bytes(c, c->group[index])};
    int64_t place = key->column >= 0 ? key->column + 1 : (int64_t)c->visible - key->column;
    PgQuery__Node *value = NULL;
    if (!key->by_bytes && column != NULL && column->collation == SY_COLLATION_OTHER &&
        !column->nondeterministic_collation) {
        key->by_bytes = true;
        value = sy_node_collate_c(sy_node_copy(c->group[index]));
    } else {
        value = sy_node_integer(place);
    }
    PgQuery__Node *sort = sy_node_sort(value, false, false);
    if (!combine_orders(c, c->group[index], key->by_bytes)) {
        sy_node_free(sort);
        return false;
    }
    return sy_node_append(&c->select->sort_clause, &c->select->n_sort_clause, sort) ||
           combine_no_memory(c);
}

static bool is_key_already(const struct combine *c, int32_t column)
{
    for (uint32_t i = 0; i < c->spec.key_count; i++)
        if (c->spec.keys[i].column == column)
            return true;
    return false;
}

/* The shards' order: the client's, when it names keys only, and then the keys that are left. */
static bool order_shards(struct combine *c)
{
    bool keys_only = true;
    if (!read_client_order(c, &keys_only))
        return false;
    if (!keys_only || c->group_count == 0) {
        sy_node_clear(&c->select->sort_clause, &c->select->n_sort_clause);
        if (c->group_count == 0)
            c->spec.order_count = 0; /* one row */
    } else {
        memcpy(c->spec.keys, c->spec.order, c->spec.order_count * sizeof(*c->spec.order));
        c->spec.key_count = c->spec.order_count;
        c->spec.order_count = 0;
    }
    for (uint32_t i = 0; i < c->group_count; i++)
        if (!is_key_already(c, c->group_columns[i]) && !add_key(c, i))
            return false;
    c->spec.unique = (int32_t)c->spec.key_count;
    return true;
}

static bool make_room(struct combine *c)
{
    size_t sorts = c->select->n_sort_clause, groups = c->select->n_group_clause;
    if (sorts > COMBINE_KEYS_MAX || groups > COMBINE_KEYS_MAX)
        return combine_refuse(c, "ORDER BY or GROUP BY of that many expressions");
    c->spec.keys = sy_arena_calloc(c->arena, sorts + groups + 1, sizeof(*c->spec.keys));
    c->spec.order = sy_arena_calloc(c->arena, sorts + 1, sizeof(*c->spec.order));
    c->spec.folds = sy_arena_calloc(c->arena, COMBINE_FOLDS_MAX, sizeof(*c->spec.folds));
    c->spec.having = sy_arena_calloc(c->arena, COMBINE_KEYS_MAX, sizeof(*c->spec.having));
    c->group = sy_arena_calloc(c->arena, groups + 1, sizeof(*c->group));
    c->group_columns = sy_arena_calloc(c->arena, groups + 1, sizeof(*c->group_columns));
    return (c->spec.keys != NULL && c->spec.order != NULL && c->spec.folds != NULL &&
            c->spec.having != NULL && c->group != NULL && c->group_columns != NULL) ||
           combine_no_memory(c);
}

bool combine_groups(struct combine *c)
{
    PgQuery__SelectStmt *select = c->select;
    c->grouped = true;
    if (!make_room(c))
        return false;
    if (combine_has_star(c, c->visible))
        return combine_refuse(c, "* in a query with groups");
    c->group_count = (uint32_t)select->n_group_clause;
    for (uint32_t i = 0; i < c->group_count; i++)
        if (!read_group(c, i))
            return false;
    if (!read_targets(c))
        return false;
    return split_having(c) && order_shards(c);
}
