/*
 * The growing parts of one statement's facts: vectors that end up in the arena, names, scopes,
 * tables, and the way back from a constant in the tree to the literal in the text. No knowledge of
 * SQL clauses.
 */
#include "parser/tree_internal.h"

#include <stdlib.h>

#include "base/limits.h"
#include "parser/scan.h"

void sy_build_no_memory(struct sy_facts_context *context)
{
    if (context->status == SY_OK)
        context->status = sy_err_set(context->err, SY_E_NO_MEMORY, "out of memory while parsing");
}

/* Where writes go after memory ran out: the caller need not check each push, the status tells at
 * the end. */
static void *scrap(size_t bytes)
{
    static _Thread_local union {
        struct sy_scope scope;
        struct sy_table_use table;
        struct sy_cond cond;
        struct sy_equality equality;
        struct sy_range range;
        struct sy_insert insert;
        struct sy_output output;
        struct sy_set_config set_config;
        char bytes[256];
    } area;
    memset(&area, 0, bytes <= sizeof(area) ? bytes : sizeof(area));
    return &area;
}

void *sy_build_push(struct sy_facts_builder *b, struct sy_vec *vec)
{
    if (vec->count == vec->capacity) {
        int32_t capacity = vec->capacity == 0 ? 8 : vec->capacity * 2;
        char *data = capacity > INT32_MAX / 4
                         ? NULL
                         : realloc(vec->data, (size_t)capacity * vec->item_bytes);
        if (data == NULL) {
            sy_build_no_memory(b->context);
            return scrap(vec->item_bytes);
        }
        vec->data = data;
        vec->capacity = capacity;
    }
    void *item = vec->data + (size_t)vec->count * vec->item_bytes;
    memset(item, 0, vec->item_bytes);
    vec->count++;
    return item;
}

struct sy_scope *sy_build_scope(struct sy_facts_builder *b, int32_t scope)
{
    if (scope < 0 || scope >= b->scopes.count)
        return scrap(sizeof(struct sy_scope));
    return (struct sy_scope *)(void *)b->scopes.data + scope;
}

struct sy_table_use *sy_build_table(struct sy_facts_builder *b, int32_t table)
{
    if (table < 0 || table >= b->tables.count)
        return scrap(sizeof(struct sy_table_use));
    return (struct sy_table_use *)(void *)b->tables.data + table;
}

void sy_build_init(struct sy_facts_builder *b, struct sy_facts_context *context,
                   struct sy_stmt *stmt)
{
    *b = (struct sy_facts_builder){
        .context = context,
        .stmt = stmt,
        .scopes.item_bytes = sizeof(struct sy_scope),
        .tables.item_bytes = sizeof(struct sy_table_use),
        .conds.item_bytes = sizeof(struct sy_cond),
        .children.item_bytes = sizeof(int32_t),
        .values.item_bytes = sizeof(struct sy_value),
        .equalities.item_bytes = sizeof(struct sy_equality),
        .functions.item_bytes = sizeof(struct sy_function_use),
        .set_configs.item_bytes = sizeof(struct sy_set_config),
        .sizes.item_bytes = sizeof(struct sy_size_use),
        .columns.item_bytes = sizeof(struct sy_slice),
        .inserts.item_bytes = sizeof(struct sy_insert),
        .constraints.item_bytes = sizeof(struct sy_constraint),
        .column_changes.item_bytes = sizeof(struct sy_column_change),
        .outputs.item_bytes = sizeof(struct sy_output),
        .assignments.item_bytes = sizeof(struct sy_assignment),
        .arguments.item_bytes = sizeof(struct sy_value),
        .words.item_bytes = sizeof(struct sy_slice),
        .ranges.item_bytes = sizeof(struct sy_range),
        .stack.item_bytes = sizeof(int32_t),
    };
}

static void *settle(struct sy_facts_builder *b, struct sy_vec *vec, int32_t *ret_count)
{
    void *copy = NULL;
    *ret_count = 0;
    if (vec->count > 0) {
        size_t bytes = (size_t)vec->count * vec->item_bytes;
        copy = sy_arena_alloc(b->context->arena, bytes);
        if (copy == NULL) {
            sy_build_no_memory(b->context);
        } else {
            memcpy(copy, vec->data, bytes);
            *ret_count = vec->count;
        }
    }
    free(vec->data);
    *vec = (struct sy_vec){.item_bytes = vec->item_bytes};
    return copy;
}

void sy_build_finish(struct sy_facts_builder *b)
{
    struct sy_stmt *s = b->stmt;
    int32_t ignored = 0;
    s->scopes = settle(b, &b->scopes, &s->scope_count);
    s->tables = settle(b, &b->tables, &s->table_count);
    s->conds = settle(b, &b->conds, &s->cond_count);
    s->cond_children = settle(b, &b->children, &ignored);
    s->values = settle(b, &b->values, &s->value_count);
    s->equalities = settle(b, &b->equalities, &s->equality_count);
    s->functions = settle(b, &b->functions, &s->function_count);
    s->set_configs = settle(b, &b->set_configs, &s->set_config_count);
    s->sizes = settle(b, &b->sizes, &s->size_count);
    s->columns = settle(b, &b->columns, &s->column_count);
    s->inserts = settle(b, &b->inserts, &s->insert_count);
    s->constraints = settle(b, &b->constraints, &s->constraint_count);
    s->column_changes = settle(b, &b->column_changes, &s->column_change_count);
    s->outputs = settle(b, &b->outputs, &s->output_count);
    s->assignments = settle(b, &b->assignments, &s->assignment_count);
    s->arguments = settle(b, &b->arguments, &s->argument_count);
    s->argument_words = settle(b, &b->words, &ignored);
    free(b->ranges.data);
    free(b->stack.data);
    b->ranges = b->stack = (struct sy_vec){0};
}

struct sy_slice sy_build_name(struct sy_facts_builder *b, const char *name)
{
    if (name == NULL)
        return (struct sy_slice){0};
    size_t bytes = strlen(name);
    char *copy = sy_arena_strndup(b->context->arena, name, bytes);
    if (copy == NULL) {
        sy_build_no_memory(b->context);
        return (struct sy_slice){0};
    }
    return (struct sy_slice){copy, bytes};
}

int32_t sy_build_new_scope(struct sy_facts_builder *b, int32_t parent, enum sy_stmt_kind kind)
{
    int32_t index = b->scopes.count;
    struct sy_scope *scope = sy_build_push(b, &b->scopes);
    scope->parent = parent;
    scope->kind = kind;
    scope->where = SY_NO_INDEX;
    return index;
}

int32_t sy_build_add_table(struct sy_facts_builder *b, const RangeVar *var, int32_t scope,
                           enum sy_table_role role)
{
    int32_t index = b->tables.count;
    struct sy_table_use use = {
        .name = {sy_build_name(b, var->schemaname), sy_build_name(b, var->relname)},
        .scope = scope,
        .role = role,
    };
    use.alias = var->alias != NULL ? sy_build_name(b, var->alias->aliasname) : use.name.name;
    *(struct sy_table_use *)sy_build_push(b, &b->tables) = use;
    return index;
}

bool sy_build_enter(struct sy_facts_builder *b)
{
    if (b->context->depth >= SY_LIMIT_PARSE_DEPTH) {
        b->stmt->too_deep = true;
        return false;
    }
    b->context->depth++;
    return true;
}

void sy_build_leave(struct sy_facts_builder *b)
{
    b->context->depth--;
}

/* Index of the first literal that starts at or behind `location`. */
static uint32_t literal_from(struct sy_facts_context *context, uint32_t location)
{
    const struct sy_literal *literals = context->input->literals;
    uint32_t count = context->input->literal_count;
    uint32_t hint = context->literal_hint;
    if (hint < count && literals[hint].from >= location &&
        (hint == 0 || literals[hint - 1].from < location))
        return hint;
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (literals[middle].from < location)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/*
 * The grammar folds signs and parentheses into a constant and moves its location to the sign. The
 * number of minus signs is read from the text, not from the constant: -0 must not look like 0, or
 * it would share facts with -5. False when something else stands there.
 */
static bool signs_between(struct sy_slice text, uint32_t from, uint32_t to, bool *ret_negated)
{
    bool negated = false;
    uint32_t at = from;
    while (at < to) {
        at = sy_scan_skip_blank(text, at);
        if (at >= to)
            break;
        char c = text.data[at++];
        if (c == '-')
            negated = !negated;
        else if (c != '(' && c != '+')
            return false;
    }
    *ret_negated = negated;
    return at == to;
}

int32_t sy_build_literal(struct sy_facts_builder *b, const A_Const *constant, bool *ret_negated)
{
    *ret_negated = false;
    if (constant->location < 0 || constant->isnull)
        return SY_NO_INDEX;
    struct sy_facts_context *context = b->context;
    uint32_t location = (uint32_t)constant->location;
    uint32_t index = literal_from(context, location);
    if (index >= context->input->literal_count || location >= context->input->text.bytes)
        return SY_NO_INDEX;
    uint32_t start = context->input->literals[index].from;
    char first = context->input->text.data[location];
    if (start != location && ((first != '-' && first != '+') ||
                              !signs_between(context->input->text, location, start, ret_negated)))
        return SY_NO_INDEX;
    context->literal_hint = index + 1;
    return (int32_t)index;
}

void sy_build_literal_state(struct sy_facts_builder *b, int32_t literal,
                            enum sy_literal_state state)
{
    if (literal != SY_NO_INDEX && b->context->literal_state[literal] < state)
        b->context->literal_state[literal] = (uint8_t)state;
}

const char *sy_list_last_name(const List *names)
{
    if (names == NULL)
        return NULL;
    const Node *last = names->elements[names->length - 1].ptr_value;
    return last != NULL && IsA(last, String) ? ((const String *)last)->sval : NULL;
}

const char *sy_list_catalog_name(const List *names)
{
    if (names == NULL || names->length > 2)
        return NULL;
    if (names->length == 2) {
        const Node *schema = names->elements[0].ptr_value;
        if (!IsA(schema, String) || strcmp(((const String *)schema)->sval, "pg_catalog") != 0)
            return NULL;
    }
    return sy_list_last_name(names);
}
