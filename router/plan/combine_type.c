/*
 * What is known of an expression's type before any server has said it, so that what the router
 * cannot put in order is refused (or federated) before shards are asked. A guess only ever refuses:
 * what it lets through, the merge checks again when the shards describe their columns.
 */
#include <string.h>

#include "router/plan/combine_internal.h"
#include "router/plan/merge_type.h"

enum { OID_TEXT = 25, OID_FLOAT4 = 700 };

static const char *last_name(PgQuery__Node *const *names, size_t count)
{
    const PgQuery__Node *last = count == 0 ? NULL : names[count - 1];
    return last != NULL && last->node_case == PG_QUERY__NODE__NODE_STRING ? last->string->sval : "";
}

static uint32_t type_of_cast(const PgQuery__TypeName *name)
{
    static const struct {
        const char *name;
        uint32_t oid;
    } types[] = {
        {"bool", 16},       {"bytea", 17},     {"int8", 20},        {"int2", 21},
        {"int4", 23},       {"text", 25},      {"json", 114},       {"point", 600},
        {"float4", 700},    {"float8", 701},   {"money", 790},      {"inet", 869},
        {"cidr", 650},      {"bpchar", 1042},  {"varchar", 1043},   {"date", 1082},
        {"time", 1083},     {"timetz", 1266},  {"timestamp", 1114}, {"timestamptz", 1184},
        {"interval", 1186}, {"numeric", 1700}, {"uuid", 2950},      {"jsonb", 3802},
    };
    enum { OID_ARRAY = 1009 };
    if (name->n_array_bounds > 0)
        return OID_ARRAY;
    const char *last = last_name(name->names, name->n_names);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, last) == 0)
            return types[i].oid;
    return 0;
}

static uint32_t first_type(const struct combine *c, PgQuery__Node *const *list, size_t count)
{
    uint32_t type = 0;
    for (size_t i = 0; i < count && type == 0; i++)
        type = combine_type(c, list[i]);
    return type;
}

static uint32_t type_of_call(const struct combine *c, const PgQuery__FuncCall *call)
{
    static const char *const texts[] = {
        "lower",   "upper",  "initcap", "substring", "substr",  "left",    "right",     "btrim",
        "ltrim",   "rtrim",  "concat",  "concat_ws", "replace", "repeat",  "reverse",   "translate",
        "to_char", "format", "lpad",    "rpad",      "md5",     "overlay", "split_part"};
    const char *name = last_name(call->funcname, call->n_funcname);
    if ((strcmp(name, "min") == 0 || strcmp(name, "max") == 0) && call->n_args == 1)
        return combine_type(c, call->args[0]);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(texts[i], name) == 0)
            return OID_TEXT;
    return 0;
}

uint32_t combine_type(const struct combine *c, const PgQuery__Node *node)
{
    if (node == NULL)
        return 0;
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const struct sy_schema_column *column = combine_column(c, node);
        return column == NULL ? 0 : column->type_oid;
    }
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return OID_TEXT;
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return type_of_cast(node->type_cast->type_name);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return type_of_call(c, node->func_call);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return first_type(c, node->coalesce_expr->args, node->coalesce_expr->n_args);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return first_type(c, node->min_max_expr->args, node->min_max_expr->n_args);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return strcmp(last_name(node->a_expr->name, node->a_expr->n_name), "||") == 0 ? OID_TEXT
                                                                                      : 0;
    default:
        return 0;
    }
}

/* An order by one of these cannot be checked again by what the servers say: (a, b) is a record. */
static bool is_row(const PgQuery__Node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR;
}

bool combine_orders(struct combine *c, const PgQuery__Node *node, bool by_bytes)
{
    uint32_t type = combine_type(c, node);
    enum sy_datum_kind kind = sy_datum_kind_of(type);
    if (is_row(node) || (type != 0 && kind == SY_DATUM_UNKNOWN))
        return combine_refuse(c, "an order of values of a type that the router does not order");
    if (type != 0 && sy_datum_is_text(kind) && !by_bytes)
        return combine_refuse(c, "an order of text that is not known to be in the collation C");
    return true;
}

bool combine_folds(struct combine *c, const PgQuery__FuncCall *call, enum sy_fold_kind kind)
{
    const PgQuery__Node *argument = call->n_args == 1 ? call->args[0] : NULL;
    uint32_t type = combine_type(c, argument);
    enum sy_datum_kind datum = sy_datum_kind_of(type);
    if (type == 0 || kind == SY_FOLD_COUNT)
        return true;
    if (kind == SY_FOLD_MIN || kind == SY_FOLD_MAX)
        return combine_orders(c, argument, combine_by_bytes(c, argument));
    if (datum == SY_DATUM_UNKNOWN || (kind == SY_FOLD_AVG && type == OID_FLOAT4))
        return combine_refuse(c, "an aggregate of values of this type");
    return true;
}
