/* Which output column an expression means, and how text in it is ordered. */
#include <stdio.h>

#include "router/plan/combine_internal.h"

bool combine_refuse(struct combine *c, const char *format, ...)
{
    char text[SY_ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)sy_err_set(c->err, SY_E_UNSUPPORTED, "%s over several shards is not supported", text);
    sy_err_hint(
        c->err,
        "Restrict the statement to one value of the sharding key, or write it more simply.");
    return false;
}

bool combine_no_memory(struct combine *c)
{
    (void)sy_err_set(c->err, SY_E_NO_MEMORY, "out of memory while planning");
    return false;
}

/* ---- references ---- */

static const char *field(const PgQuery__ColumnRef *reference, size_t index)
{
    const PgQuery__Node *node = reference->fields[index];
    return node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval : NULL;
}

const char *combine_plain_name(const PgQuery__Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1)
        return NULL;
    return field(node->column_ref, 0);
}

static bool is_in_scope(const struct combine *c, int32_t use)
{
    return c->route->stmt->tables[use].scope <= 0;
}

/* Everything in FROM is a table: no subquery, function or WITH query brings columns of its own. */
static bool only_tables(const struct combine *c)
{
    for (int32_t i = 1; i < c->route->stmt->scope_count; i++)
        if (c->route->stmt->scopes[i].is_from_subquery || c->route->stmt->scopes[i].is_cte)
            return false;
    return c->route->stmt->scope_count > 0 && !c->route->stmt->scopes[0].has_srf;
}

const struct sy_schema_column *combine_column(const struct combine *c, const PgQuery__Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return NULL;
    const PgQuery__ColumnRef *reference = node->column_ref;
    const char *table = reference->n_fields == 2 ? field(reference, 0) : NULL;
    const char *name = reference->n_fields <= 2 ? field(reference, reference->n_fields - 1) : NULL;
    if (name == NULL || (reference->n_fields == 2 && table == NULL) ||
        (table == NULL && !only_tables(c)))
        return NULL;
    const struct sy_schema_column *found = NULL;
    for (int32_t i = 0; i < c->route->stmt->table_count; i++) {
        const struct use *use = &c->route->uses[i];
        if (!is_in_scope(c, i) ||
            (table != NULL && !sy_slice_eq(c->route->stmt->tables[i].alias, sy_slice_of(table))))
            continue;
        if (use->relation == NULL)
            return NULL;
        const struct sy_schema_column *column = sy_schema_column(use->relation, sy_slice_of(name));
        /* Columns merged by USING: both must say the same. */
        if (column != NULL && found != NULL &&
            (found->collation != column->collation || found->type_oid != column->type_oid))
            return NULL;
        found = column != NULL ? column : found;
    }
    return found;
}

/* A column of a table use that is its key; *ret_has: the table has such a column at all. */
static bool use_key(const struct combine *c, int32_t index, struct sy_slice name, bool hash,
                    bool *ret_has)
{
    const struct use *use = &c->route->uses[index];
    bool key = hash ? sy_use_is_hash_key(use, name) : sy_use_is_key(use, name);
    *ret_has = key || (use->relation != NULL && sy_schema_column(use->relation, name) != NULL);
    return key;
}

bool combine_is_key(const struct combine *c, const PgQuery__Node *node, bool hash, bool nulls)
{
    if (c->route->root < 0 || node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return false;
    const PgQuery__ColumnRef *reference = node->column_ref;
    const char *name = reference->n_fields <= 2 ? field(reference, reference->n_fields - 1) : NULL;
    const char *table = reference->n_fields == 2 ? field(reference, 0) : NULL;
    if (name == NULL || (reference->n_fields == 2 && table == NULL) ||
        (table == NULL && !only_tables(c)))
        return false;
    bool found = false, certain = false;
    for (int32_t i = 0; i < c->route->stmt->table_count; i++) {
        const struct sy_table_use *use = &c->route->stmt->tables[i];
        bool has;
        if (!is_in_scope(c, i) || (table != NULL && !sy_slice_eq(use->alias, sy_slice_of(table))))
            continue;
        if (table == NULL && c->route->uses[i].relation == NULL && c->route->stmt->table_count > 1)
            return false;
        bool key = use_key(c, i, sy_slice_of(name), hash, &has);
        /* An unqualified column of several tables is merged by USING: then it must be the key of
         * each. */
        if (has && !key)
            return false;
        found |= key;
        certain |= key && !use->nullable_side;
    }
    return found && (certain || !nulls);
}

/* ---- collations ---- */

static bool is_c_name(const PgQuery__CollateClause *clause)
{
    const PgQuery__Node *last = clause->collname[clause->n_collname - 1];
    return last->node_case == PG_QUERY__NODE__NODE_STRING &&
           (strcmp(last->string->sval, "C") == 0 || strcmp(last->string->sval, "POSIX") == 0);
}

static bool no_collate(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    (void)opaque;
    (void)ret_skip;
    return node->node_case != PG_QUERY__NODE__NODE_COLLATE_CLAUSE &&
           node->node_case != PG_QUERY__NODE__NODE_SUB_LINK;
}

/* The database's own collation is C, and so is that of every column in reach. */
static bool all_c(const struct combine *c)
{
    bool found = false;
    for (int32_t i = 0; i < c->route->stmt->table_count; i++) {
        const struct sy_schema_relation *relation = c->route->uses[i].relation;
        for (uint32_t k = 0; relation != NULL && k < relation->column_count; k++) {
            enum sy_collation collation = relation->columns[k].collation;
            if (collation == SY_COLLATION_OTHER)
                return false;
            found |= collation == SY_COLLATION_DEFAULT_C;
        }
        if (relation == NULL)
            return false;
    }
    return found;
}

bool combine_by_bytes(const struct combine *c, const PgQuery__Node *node)
{
    if (node == NULL)
        return all_c(c);
    if (node->node_case == PG_QUERY__NODE__NODE_COLLATE_CLAUSE)
        return is_c_name(node->collate_clause);
    const struct sy_schema_column *column = combine_column(c, node);
    if (column != NULL && column->collation != SY_COLLATION_UNKNOWN)
        return column->collation == SY_COLLATION_C || column->collation == SY_COLLATION_DEFAULT_C;
    return all_c(c) && sy_node_visit(node, no_collate, NULL);
}

/* ---- output columns ---- */

static bool is_star(const PgQuery__Node *node)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF ||
        node->column_ref->n_fields == 0)
        return false;
    const PgQuery__ColumnRef *reference = node->column_ref;
    return reference->fields[reference->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

bool combine_has_star(const struct combine *c, uint32_t before)
{
    for (uint32_t i = 0; i < before; i++) {
        const PgQuery__Node *value = c->select->target_list[i]->res_target->val;
        if (is_star(value) ||
            (value != NULL && value->node_case == PG_QUERY__NODE__NODE_A_INDIRECTION))
            return true; /* (f(x)).* too */
    }
    return false;
}

bool combine_integer(const PgQuery__Node *node, int64_t *ret_value)
{
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->isnull ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL)
        return false;
    *ret_value = node->a_const->ival->ival;
    return true;
}

static const char *last_string(PgQuery__Node *const *list, size_t count)
{
    const PgQuery__Node *last = count == 0 ? NULL : list[count - 1];
    return last != NULL && last->node_case == PG_QUERY__NODE__NODE_STRING ? last->string->sval
                                                                          : NULL;
}

/* The name that PostgreSQL gives an expression; *ret_sure false: not known. NULL: "?column?". */
static const char *figure_name(const PgQuery__Node *node, bool *ret_sure)
{
    *ret_sure = true;
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return last_string(node->column_ref->fields, node->column_ref->n_fields);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return last_string(node->func_call->funcname, node->func_call->n_funcname);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return figure_name(node->collate_clause->arg, ret_sure);
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const char *name = figure_name(node->type_cast->arg, ret_sure);
        return name != NULL ? name
                            : last_string(node->type_cast->type_name->names,
                                          node->type_cast->type_name->n_names);
    }
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return "coalesce";
    case PG_QUERY__NODE__NODE_A_EXPR:
        *ret_sure = node->a_expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF;
        return NULL;
    case PG_QUERY__NODE__NODE_A_CONST:
    case PG_QUERY__NODE__NODE_PARAM_REF:
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
    case PG_QUERY__NODE__NODE_NULL_TEST:
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return NULL;
    default:
        *ret_sure = false;
        return NULL;
    }
}

/* The first target by that name: -1 when none has it; false: cannot be told. */
static bool find_name(struct combine *c, const char *name, int32_t *ret_target)
{
    bool all_sure = true;
    for (uint32_t i = 0; i < c->visible; i++) {
        const PgQuery__ResTarget *target = c->select->target_list[i]->res_target;
        bool sure = true;
        const char *own = target->name != NULL && target->name[0] != 0 ? target->name
                          : is_star(target->val)                       ? NULL
                                                 : figure_name(target->val, &sure);
        all_sure = all_sure && sure;
        if (own != NULL && strcmp(own, name) == 0) {
            *ret_target = (int32_t)i;
            return true;
        }
    }
    *ret_target = -1;
    return all_sure || combine_refuse(c, "ORDER BY of a name beside unnamed columns");
}

/* t.* is one value there, and several columns in a select list. */
static bool refuse_row(struct combine *c)
{
    return combine_refuse(c, "a whole row in ORDER BY, GROUP BY or DISTINCT ON");
}

bool combine_add_hidden(struct combine *c, PgQuery__Node *value, int32_t *ret_column)
{
    char name[32];
    if (is_star(value)) {
        sy_node_free(value);
        return refuse_row(c);
    }
    snprintf(name, sizeof(name), "_switchyard_%u", c->spec.hidden_count + 1);
    PgQuery__Node *target = sy_node_target(name, value);
    if (!sy_node_append(&c->select->target_list, &c->select->n_target_list, target))
        return combine_no_memory(c);
    *ret_column = -1 - (int32_t)c->spec.hidden_count++;
    return true;
}

bool combine_same(const struct combine *c, const PgQuery__Node *a, const PgQuery__Node *b)
{
    if (sy_node_equal(a, b))
        return true;
    /* t.a and a, where t is all there is. */
    if (a == NULL || b == NULL || a->node_case != PG_QUERY__NODE__NODE_COLUMN_REF ||
        b->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || c->route->stmt->table_count != 1 ||
        c->route->stmt->scope_count != 1)
        return false;
    const struct sy_schema_column *x = combine_column(c, a), *y = combine_column(c, b);
    return x != NULL && x == y;
}

static bool find_ordinal(struct combine *c, int64_t number, int32_t *ret_column,
                         const PgQuery__Node **ret_value)
{
    bool known = number >= 1 && number <= c->visible && !combine_has_star(c, (uint32_t)number);
    if (!known && (number < 1 || number > 1664 || !combine_has_star(c, c->visible)))
        return combine_refuse(c, "ORDER BY of a position that is not in the select list");
    *ret_column = (int32_t)number - 1;
    *ret_value = known ? c->select->target_list[number - 1]->res_target->val : NULL;
    return true;
}

bool combine_find_output(struct combine *c, const PgQuery__Node *node, int32_t *ret_column,
                         const PgQuery__Node **ret_value)
{
    int64_t number;
    int32_t target = -1;
    if (combine_integer(node, &number))
        return find_ordinal(c, number, ret_column, ret_value);
    if (is_star(node))
        return refuse_row(c);
    const char *name = combine_plain_name(node);
    if (name != NULL && !find_name(c, name, &target))
        return false;
    for (uint32_t i = 0; target < 0 && i < c->select->n_target_list; i++)
        if (combine_same(c, c->select->target_list[i]->res_target->val, node))
            target = (int32_t)i;
    const PgQuery__Node *value =
        target < 0 ? node : c->select->target_list[target]->res_target->val;
    *ret_value = value;
    if (target >= (int32_t)c->visible) {
        *ret_column = -1 - (target - (int32_t)c->visible);
        return true;
    }
    if (target >= 0 && !combine_has_star(c, (uint32_t)target)) {
        *ret_column = target;
        return true;
    }
    return combine_add_hidden(c, sy_node_copy(value), ret_column);
}
