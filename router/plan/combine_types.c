/*
 * Of what type is an expression, as far as its text tells? The router learns types only when shards
 * answer; where another server could take the statement, it must know before whether it can put
 * these values in order or together itself. "Not known" is always allowed.
 */
#include "router/plan/combine_internal.h"

enum type_class {
    TYPE_UNKNOWN, /* or one that the router cannot compare */
    TYPE_TEXT,
    TYPE_BOOL,
    TYPE_INTEGER,
    TYPE_NUMERIC,
    TYPE_FLOAT4,
    TYPE_FLOAT8,
    TYPE_OTHER, /* dates, times, uuid, bytea */
};

static enum type_class class_of_oid(uint32_t oid)
{
    switch (oid) {
    case 16:
        return TYPE_BOOL;
    case 20:
    case 21:
    case 23:
        return TYPE_INTEGER;
    case 25:
    case 1042:
    case 1043:
        return TYPE_TEXT;
    case 700:
        return TYPE_FLOAT4;
    case 701:
        return TYPE_FLOAT8;
    case 1700:
        return TYPE_NUMERIC;
    case 17:
    case 19:
    case 26:
    case 1082:
    case 1083:
    case 1114:
    case 1184:
    case 2950:
        return TYPE_OTHER;
    default:
        return TYPE_UNKNOWN;
    }
}

static bool is_number(enum type_class class_)
{
    return class_ >= TYPE_INTEGER && class_ <= TYPE_FLOAT8;
}

static bool listed(const char *const *list, const char *name)
{
    for (; *list != NULL; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static enum type_class class_of_name(const PgQuery__TypeName *type)
{
    static const char *const texts[] = {"text", "varchar", "bpchar", NULL};
    static const char *const integers[] = {"int2", "int4", "int8", "bigint", NULL};
    static const char *const others[] = {"date", "time", "timestamp", "uuid", "timestamptz", NULL};
    const char *name = type->n_names == 0 ? "" : type->names[type->n_names - 1]->string->sval;
    if (type->n_array_bounds > 0 || type->setof)
        return TYPE_UNKNOWN;
    if (listed(texts, name))
        return TYPE_TEXT;
    if (listed(integers, name))
        return TYPE_INTEGER;
    if (strcmp(name, "bool") == 0)
        return TYPE_BOOL;
    if (strcmp(name, "numeric") == 0)
        return TYPE_NUMERIC;
    if (strcmp(name, "float4") == 0)
        return TYPE_FLOAT4;
    if (strcmp(name, "float8") == 0)
        return TYPE_FLOAT8;
    return listed(others, name) ? TYPE_OTHER : TYPE_UNKNOWN;
}

enum { DEPTH_MAX = 64 };

static enum type_class class_of(const struct combine *c, const PgQuery__Node *node, int depth);

static enum type_class class_of_argument(const struct combine *c, const PgQuery__FuncCall *call,
                                         size_t index, int depth)
{
    return index < call->n_args ? class_of(c, call->args[index], depth + 1) : TYPE_UNKNOWN;
}

static enum type_class class_of_call(const struct combine *c, const PgQuery__FuncCall *call,
                                     int depth)
{
    static const char *const texts[] = {
        "lower",   "upper",     "initcap",    "substr", "substring", "btrim",   "ltrim",
        "rtrim",   "left",      "right",      "concat", "replace",   "reverse", "concat_ws",
        "to_char", "translate", "split_part", "lpad",   "rpad",      "md5",     NULL};
    static const char *const integers[] = {"count",  "length",       "char_length",
                                           "strpos", "octet_length", "row_number",
                                           "rank",   "dense_rank",   NULL};
    static const char *const same[] = {"abs", "min", "max", "mod", NULL};
    static const char *const rounds[] = {"round", "ceil", "ceiling", "floor", "trunc", NULL};
    const char *name =
        call->n_funcname == 0 ? "" : call->funcname[call->n_funcname - 1]->string->sval;
    enum type_class first = class_of_argument(c, call, 0, depth);
    if (listed(texts, name))
        return first == TYPE_OTHER && strcmp(name, "to_char") != 0 ? TYPE_UNKNOWN : TYPE_TEXT;
    if (listed(integers, name))
        return TYPE_INTEGER;
    if (listed(same, name))
        return first;
    if (listed(rounds, name))
        return first == TYPE_NUMERIC ? TYPE_NUMERIC : is_number(first) ? TYPE_FLOAT8 : TYPE_UNKNOWN;
    if (strcmp(name, "sum") == 0)
        return first == TYPE_INTEGER ? TYPE_NUMERIC : is_number(first) ? first : TYPE_UNKNOWN;
    if (strcmp(name, "avg") == 0)
        return first == TYPE_INTEGER || first == TYPE_NUMERIC ? TYPE_NUMERIC
               : is_number(first)                             ? TYPE_FLOAT8
                                                              : TYPE_UNKNOWN;
    if (strcmp(name, "date_trunc") == 0)
        return class_of_argument(c, call, 1, depth) == TYPE_OTHER ? TYPE_OTHER : TYPE_UNKNOWN;
    return strcmp(name, "extract") == 0 ? TYPE_NUMERIC : TYPE_UNKNOWN;
}

static enum type_class class_of_operator(const struct combine *c, const PgQuery__AExpr *expression,
                                         int depth)
{
    static const char *const compare[] = {"=", "<>", "<", "<=", ">", ">=", "~", "~~", NULL};
    static const char *const count[] = {"+", "-", "*", "/", "%", NULL};
    const char *name =
        expression->n_name == 0 ? "" : expression->name[expression->n_name - 1]->string->sval;
    if (expression->kind != PG_QUERY__A__EXPR__KIND__AEXPR_OP || expression->rexpr == NULL)
        return TYPE_UNKNOWN;
    if (listed(compare, name))
        return TYPE_BOOL;
    enum type_class right = class_of(c, expression->rexpr, depth + 1);
    if (expression->lexpr == NULL)
        return is_number(right) && listed(count, name) ? right : TYPE_UNKNOWN;
    enum type_class left = class_of(c, expression->lexpr, depth + 1);
    if (strcmp(name, "||") == 0)
        return left == TYPE_TEXT && right == TYPE_TEXT ? TYPE_TEXT : TYPE_UNKNOWN;
    if (!is_number(left) || !is_number(right) || !listed(count, name))
        return TYPE_UNKNOWN;
    return left == right ? left : left < right ? right : left;
}

static enum type_class class_of_first(const struct combine *c, PgQuery__Node *const *list,
                                      size_t count, int depth)
{
    enum type_class found = TYPE_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        enum type_class one = class_of(c, list[i], depth + 1);
        if (i > 0 && one != found && !(is_number(one) && is_number(found)))
            return TYPE_UNKNOWN;
        found = i == 0 || one > found ? one : found;
    }
    return found;
}

/* CASE: all results, and ELSE if there is one, agree. */
static enum type_class class_of_case(const struct combine *c, const PgQuery__CaseExpr *case_,
                                     int depth)
{
    enum { RESULTS_MAX = 32 };
    PgQuery__Node *results[RESULTS_MAX + 1];
    size_t count = 0;
    if (case_->n_args > RESULTS_MAX)
        return TYPE_UNKNOWN;
    for (size_t i = 0; i < case_->n_args; i++)
        results[count++] = case_->args[i]->case_when->result;
    if (case_->defresult != NULL)
        results[count++] = case_->defresult;
    return class_of_first(c, results, count, depth);
}

static enum type_class class_of(const struct combine *c, const PgQuery__Node *node, int depth)
{
    if (node == NULL || depth > DEPTH_MAX)
        return TYPE_UNKNOWN;
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const struct sy_schema_column *column = combine_column(c, node);
        return column == NULL ? TYPE_UNKNOWN : class_of_oid(column->type_oid);
    }
    case PG_QUERY__NODE__NODE_A_CONST:
        if (node->a_const->isnull)
            return TYPE_UNKNOWN;
        return node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL      ? TYPE_INTEGER
               : node->a_const->val_case == PG_QUERY__A__CONST__VAL_FVAL    ? TYPE_NUMERIC
               : node->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL ? TYPE_BOOL
               : node->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL    ? TYPE_TEXT
                                                                            : TYPE_UNKNOWN;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return class_of_name(node->type_cast->type_name);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return class_of(c, node->collate_clause->arg, depth + 1);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return class_of_call(c, node->func_call, depth);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return class_of_operator(c, node->a_expr, depth);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return class_of_first(c, node->coalesce_expr->args, node->coalesce_expr->n_args, depth);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return class_of_case(c, node->case_expr, depth);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
    case PG_QUERY__NODE__NODE_NULL_TEST:
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return TYPE_BOOL;
    default:
        return TYPE_UNKNOWN;
    }
}

/* ---- what the router does with them ---- */

/* The expression in a column of what the shards send; NULL: behind a star. */
static const PgQuery__Node *expression_of(const struct combine *c, int32_t column)
{
    uint32_t at = column >= 0 ? (uint32_t)column : c->visible + (uint32_t)(-1 - column);
    if (at >= c->select->n_target_list || (column >= 0 && combine_has_star(c, at + 1)))
        return NULL;
    return c->select->target_list[at]->res_target->val;
}

/* All columns that a star may stand for. */
static bool columns_compare(const struct combine *c)
{
    for (int32_t i = 0; i < c->route->stmt->table_count; i++) {
        const struct sy_schema_relation *relation = c->route->uses[i].relation;
        if (relation == NULL)
            return false;
        for (uint32_t k = 0; k < relation->column_count; k++) {
            const struct sy_schema_column *column = &relation->columns[k];
            enum type_class class_ = class_of_oid(column->type_oid);
            bool bytes =
                column->collation == SY_COLLATION_C || column->collation == SY_COLLATION_DEFAULT_C;
            if (class_ == TYPE_UNKNOWN || (class_ == TYPE_TEXT && !bytes))
                return false;
        }
    }
    return true;
}

static bool key_compares(const struct combine *c, const struct sy_merge_key *key)
{
    const PgQuery__Node *node = expression_of(c, key->column);
    if (node == NULL)
        return columns_compare(c);
    enum type_class class_ = class_of(c, node, 0);
    return class_ == TYPE_TEXT ? key->by_bytes : class_ != TYPE_UNKNOWN;
}

static bool folds(const struct combine *c, const struct sy_merge_fold *fold)
{
    const PgQuery__Node *node = expression_of(c, fold->column);
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return false;
    enum type_class class_ = class_of_argument(c, node->func_call, 0, 0);
    switch (fold->kind) {
    case SY_FOLD_COUNT:
    case SY_FOLD_PRETTY_SIZE:
        return true;
    case SY_FOLD_SUM:
        return is_number(class_);
    case SY_FOLD_AVG:
        return is_number(class_) && class_ != TYPE_FLOAT4;
    case SY_FOLD_MIN:
    case SY_FOLD_MAX:
        return class_ == TYPE_TEXT ? fold->by_bytes : class_ != TYPE_UNKNOWN && class_ != TYPE_BOOL;
    case SY_FOLD_BOOL_AND:
    case SY_FOLD_BOOL_OR:
        return class_ == TYPE_BOOL;
    case SY_FOLD_BIT_AND:
    case SY_FOLD_BIT_OR:
    case SY_FOLD_BIT_XOR:
        return class_ == TYPE_INTEGER;
    }
    return false;
}

static bool having_compares(const struct combine *c, const struct sy_merge_having *having)
{
    enum type_class class_ = class_of(c, expression_of(c, having->column), 0);
    return class_ == TYPE_INTEGER || class_ == TYPE_NUMERIC;
}

bool combine_certain(const struct combine *c)
{
    bool fine = true;
    for (uint32_t i = 0; i < c->spec.key_count; i++)
        fine = fine && key_compares(c, &c->spec.keys[i]);
    for (uint32_t i = 0; i < c->spec.order_count; i++)
        fine = fine && key_compares(c, &c->spec.order[i]);
    for (uint32_t i = 0; i < c->spec.fold_count; i++)
        fine = fine && folds(c, &c->spec.folds[i]);
    for (uint32_t i = 0; i < c->spec.having_count; i++)
        fine = fine && having_compares(c, &c->spec.having[i]);
    return fine;
}
