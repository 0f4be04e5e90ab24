/*
 * What a statement asks about sizes: a SELECT of nothing but sizes, which several servers can add
 * up, and columns with the planner's estimates.
 */
#include "parser/tree_internal.h"

#include <ctype.h>

static bool is_function(const FuncCall *call, const char *const *names)
{
    const char *name = sy_list_catalog_name(call->funcname);
    bool plain = call->args != NULL && call->args->length == 1 && call->agg_order == NULL &&
                 call->agg_filter == NULL && call->over == NULL && !call->agg_distinct &&
                 !call->func_variadic;
    for (; plain && name != NULL && *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

/* One identifier of a name in a string, as regclass reads it; NULL: not one. */
static const char *read_identifier(const char *at, char *word, size_t room)
{
    size_t bytes = 0;
    bool quoted = *at == '"';
    for (at += quoted; *at != '\0'; at++) {
        if (quoted ? *at == '"' && at[1] != '"' : *at == '.')
            break;
        if (!quoted && !isalnum((unsigned char)*at) && *at != '_' && *at != '$' && *at >= 0)
            return NULL;
        if (bytes + 1 >= room)
            return NULL;
        at += quoted && *at == '"';
        word[bytes++] = quoted ? *at : (char)(*at >= 0 ? tolower((unsigned char)*at) : *at);
    }
    word[bytes] = '\0';
    if (bytes == 0 || (quoted && *at != '"'))
        return NULL;
    return at + quoted;
}

static bool read_relation(struct sy_facts_builder *b, const char *text, struct sy_qname *ret_name)
{
    char first[NAMEDATALEN], second[NAMEDATALEN];
    const char *at = read_identifier(text, first, sizeof(first));
    if (at == NULL || isdigit((unsigned char)*text))
        return false;
    if (*at == '\0') {
        *ret_name = (struct sy_qname){.name = sy_build_name(b, first)};
        return true;
    }
    at = *at == '.' ? read_identifier(at + 1, second, sizeof(second)) : NULL;
    if (at == NULL || *at != '\0')
        return false;
    *ret_name =
        (struct sy_qname){.schema = sy_build_name(b, first), .name = sy_build_name(b, second)};
    return true;
}

/* The string of a literal, whose content decides from now on; NULL: no such thing. */
static const char *literal_text(struct sy_facts_builder *b, const Node *node)
{
    if (node == NULL || !IsA(node, A_Const))
        return NULL;
    const A_Const *constant = (const A_Const *)node;
    bool negated = false;
    if (constant->isnull || !IsA(&constant->val.node, String))
        return NULL;
    int32_t index = sy_build_literal(b, constant, &negated);
    if (index == SY_NO_INDEX)
        return NULL;
    sy_build_literal_state(b, index, SY_LITERAL_READ);
    return constant->val.sval.sval;
}

static bool is_current_database(const Node *node)
{
    if (node != NULL && IsA(node, SQLValueFunction))
        return ((const SQLValueFunction *)node)->op == SVFOP_CURRENT_CATALOG;
    if (node == NULL || !IsA(node, FuncCall))
        return false;
    const FuncCall *call = (const FuncCall *)node;
    const char *name = sy_list_catalog_name(call->funcname);
    return name != NULL && strcmp(name, "current_database") == 0 && call->args == NULL;
}

static bool read_size(struct sy_facts_builder *b, const FuncCall *call, struct sy_size_use *use)
{
    static const char *const of_relations[] = {"pg_relation_size", "pg_table_size",
                                               "pg_indexes_size", "pg_total_relation_size", NULL};
    static const char *const of_databases[] = {"pg_database_size", NULL};
    if (is_function(call, of_databases)) {
        const Node *argument = call->args->elements[0].ptr_value;
        const char *name = literal_text(b, argument);
        if (name != NULL)
            use->database = sy_build_name(b, name);
        return name != NULL || is_current_database(argument);
    }
    if (!is_function(call, of_relations))
        return false;
    const Node *argument = call->args->elements[0].ptr_value;
    if (argument != NULL && IsA(argument, TypeCast)) {
        const TypeCast *cast = (const TypeCast *)argument;
        const char *type = sy_list_catalog_name(cast->typeName->names);
        argument = type != NULL && strcmp(type, "regclass") == 0 ? cast->arg : NULL;
    }
    const char *name = literal_text(b, argument);
    return name != NULL && read_relation(b, name, &use->relation);
}

static bool read_target(struct sy_facts_builder *b, const Node *target, struct sy_size_use *use)
{
    static const char *const pretty[] = {"pg_size_pretty", NULL};
    if (!IsA(target, ResTarget))
        return false;
    const Node *value = ((const ResTarget *)target)->val;
    if (value == NULL || !IsA(value, FuncCall))
        return false;
    const FuncCall *call = (const FuncCall *)value;
    if (is_function(call, pretty)) {
        use->pretty = true;
        value = call->args->elements[0].ptr_value;
        if (value == NULL || !IsA(value, FuncCall))
            return false;
        call = (const FuncCall *)value;
    }
    return read_size(b, call, use);
}

void sy_build_sizes(struct sy_facts_builder *b, const SelectStmt *select)
{
    bool bare = select->fromClause == NULL && select->whereClause == NULL &&
                select->valuesLists == NULL && select->distinctClause == NULL &&
                select->groupClause == NULL && select->havingClause == NULL &&
                select->windowClause == NULL && select->intoClause == NULL &&
                select->withClause == NULL && select->sortClause == NULL &&
                select->limitCount == NULL && select->limitOffset == NULL &&
                select->lockingClause == NULL && select->targetList != NULL;
    for (int i = 0; bare && i < select->targetList->length; i++) {
        struct sy_size_use use = {.pretty = false};
        if (!read_target(b, select->targetList->elements[i].ptr_value, &use)) {
            b->sizes.count = 0;
            return;
        }
        *(struct sy_size_use *)sy_build_push(b, &b->sizes) = use;
    }
}

void sy_build_estimates(struct sy_facts_builder *b, const Node *node, int32_t scope)
{
    static const char *const names[] = {"reltuples", "relpages", "relallvisible"};
    const List *fields = ((const ColumnRef *)node)->fields;
    const Node *last = fields->elements[fields->length - 1].ptr_value;
    bool found = last != NULL && IsA(last, A_Star);
    const char *name = sy_list_last_name(fields);
    for (size_t i = 0; name != NULL && i < sizeof(names) / sizeof(names[0]); i++)
        found = found || strcmp(name, names[i]) == 0;
    if (found && scope >= 0 && scope < b->scopes.count)
        sy_build_scope(b, scope)->names_estimates = true;
}
