/* Trees to text and back. Walks messages by their descriptors, so that no kind of node is
 * forgotten. */
#include "parser/rewrite.h"

#include <pg_query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- walking messages ---- */

static bool is_location(const char *name)
{
    return strcmp(name, "location") == 0 || strcmp(name, "stmt_location") == 0 ||
           strcmp(name, "stmt_len") == 0;
}

static void *member(ProtobufCMessage *message, unsigned offset)
{
    return (char *)(void *)message + offset;
}

static bool is_set(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
        return true;
    return *(const uint32_t *)member(message, field->quantifier_offset) == field->id;
}

static void clear_locations(ProtobufCMessage *message)
{
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        void *at = member(message, field->offset);
        if (field->type == PROTOBUF_C_TYPE_INT32 && field->label != PROTOBUF_C_LABEL_REPEATED &&
            is_location(field->name))
            *(int32_t *)at = 0;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || !is_set(message, field))
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(const size_t *)member(message, field->quantifier_offset);
            for (size_t k = 0; k < count; k++)
                if ((*(ProtobufCMessage ***)at)[k] != NULL)
                    clear_locations((*(ProtobufCMessage ***)at)[k]);
        } else if (*(ProtobufCMessage **)at != NULL) {
            clear_locations(*(ProtobufCMessage **)at);
        }
    }
}

static bool visit(ProtobufCMessage *message, sy_node_look *look, void *opaque)
{
    if (message == NULL)
        return true;
    bool skip = false;
    if (message->descriptor == &pg_query__node__descriptor &&
        !look((const PgQuery__Node *)(const void *)message, opaque, &skip))
        return false;
    for (unsigned i = 0; !skip && i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        void *at = member(message, field->offset);
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || !is_set(message, field))
            continue;
        bool many = field->label == PROTOBUF_C_LABEL_REPEATED;
        size_t count = many ? *(const size_t *)member(message, field->quantifier_offset) : 1;
        ProtobufCMessage **items = many ? *(ProtobufCMessage ***)at : (ProtobufCMessage **)at;
        for (size_t k = 0; k < count; k++)
            if (!visit(items[k], look, opaque))
                return false;
    }
    return true;
}

bool sy_node_visit(const PgQuery__Node *node, sy_node_look *look, void *opaque)
{
    union { /* the walk changes nothing, but protobuf-c's fields are not const */
        const PgQuery__Node *node;
        ProtobufCMessage *message;
    } as = {.node = node};
    return visit(as.message, look, opaque);
}

struct editing {
    sy_node_change *change;
    void *opaque;
};

static bool edit(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    const struct editing *editing = opaque;
    union { /* what sy_node_edit() was given is not const */
        const PgQuery__Node *seen;
        PgQuery__Node *node;
    } as = {.seen = node};
    return editing->change(as.node, editing->opaque, ret_skip);
}

bool sy_node_edit(PgQuery__Node *node, sy_node_change *change, void *opaque)
{
    struct editing editing = {.change = change, .opaque = opaque};
    return visit(&node->base, edit, &editing);
}

/* ---- text ---- */

enum sy_status sy_rewrite_open(struct sy_slice text, PgQuery__ParseResult **ret_tree,
                               struct sy_err *err)
{
    enum sy_status status = sy_parse_protobuf(text, ret_tree, err);
    if (status == SY_OK)
        clear_locations(&(*ret_tree)->base);
    return status;
}

static uint8_t *pack(const ProtobufCMessage *message, size_t *ret_bytes)
{
    *ret_bytes = protobuf_c_message_get_packed_size(message);
    uint8_t *data = malloc(*ret_bytes + 1);
    if (data != NULL)
        protobuf_c_message_pack(message, data);
    return data;
}

static enum sy_status not_faithful(struct sy_err *err)
{
    enum sy_status status =
        sy_err_set(err, SY_E_UNSUPPORTED, "the statement cannot be rewritten for several shards");
    sy_err_hint(err,
                "Write it more simply, or restrict the sharding key so that one shard answers it.");
    return status;
}

enum sy_status sy_rewrite_text(const PgQuery__ParseResult *tree, struct sy_arena *arena,
                               struct sy_slice *ret_text, struct sy_err *err)
{
    size_t bytes, again_bytes;
    uint8_t *packed = pack(&tree->base, &bytes), *again = NULL;
    if (packed == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while rewriting");
    PgQueryProtobuf protobuf = {.len = bytes, .data = (char *)packed};
    PgQueryDeparseResult deparsed = pg_query_deparse_protobuf(protobuf);
    enum sy_status status = SY_OK;
    PgQuery__ParseResult *parsed = NULL;
    if (deparsed.error != NULL || deparsed.query == NULL ||
        sy_rewrite_open(sy_slice_of(deparsed.query), &parsed, err) != SY_OK)
        status = not_faithful(err);
    if (status == SY_OK && (again = pack(&parsed->base, &again_bytes)) == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory while rewriting");
    if (status == SY_OK && (again_bytes != bytes || memcmp(again, packed, bytes) != 0))
        status = not_faithful(err);
    if (status == SY_OK) {
        ret_text->bytes = strlen(deparsed.query);
        ret_text->data = sy_arena_strndup(arena, deparsed.query, ret_text->bytes);
        if (ret_text->data == NULL)
            status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory while rewriting");
    }
    pg_query_free_deparse_result(deparsed);
    sy_protobuf_free(&parsed);
    free(packed);
    free(again);
    return status;
}

/* ---- nodes ---- */

PgQuery__Node *sy_node_copy(const PgQuery__Node *node)
{
    if (node == NULL)
        return NULL;
    size_t bytes;
    uint8_t *packed = pack(&node->base, &bytes);
    PgQuery__Node *copy = packed == NULL ? NULL : pg_query__node__unpack(NULL, bytes, packed);
    free(packed);
    return copy;
}

void sy_node_free(PgQuery__Node *node)
{
    if (node != NULL)
        pg_query__node__free_unpacked(node, NULL);
}

bool sy_node_equal(const PgQuery__Node *a, const PgQuery__Node *b)
{
    if (a == NULL || b == NULL || a->node_case != b->node_case)
        return false;
    size_t bytes, other_bytes;
    uint8_t *packed = pack(&a->base, &bytes), *other = pack(&b->base, &other_bytes);
    bool equal = packed != NULL && other != NULL && bytes == other_bytes &&
                 memcmp(packed, other, bytes) == 0;
    free(packed);
    free(other);
    return equal;
}

bool sy_node_append(PgQuery__Node ***list, size_t *count, PgQuery__Node *node)
{
    PgQuery__Node **more = node == NULL ? NULL : realloc(*list, (*count + 1) * sizeof(*more));
    if (more == NULL) {
        sy_node_free(node);
        return false;
    }
    more[(*count)++] = node;
    *list = more;
    return true;
}

void sy_node_clear(PgQuery__Node ***list, size_t *count)
{
    for (size_t i = 0; i < *count; i++)
        sy_node_free((*list)[i]);
    free(*list);
    *list = NULL;
    *count = 0;
}

/* New nodes are made by parsing: the parser fills in every field as it does for a client's text. */
static PgQuery__ParseResult *parse_own(const char *text, PgQuery__SelectStmt **ret_select)
{
    PgQuery__ParseResult *tree = NULL;
    struct sy_err err = {0};
    if (sy_rewrite_open(sy_slice_of(text), &tree, &err) != SY_OK)
        return NULL;
    *ret_select = tree->stmts[0]->stmt->select_stmt;
    return tree;
}

/* Takes the value of the first target out of a text of ours. */
static PgQuery__Node *take_value(const char *text)
{
    PgQuery__SelectStmt *select = NULL;
    PgQuery__ParseResult *tree = parse_own(text, &select);
    PgQuery__Node *value = tree == NULL ? NULL : select->target_list[0]->res_target->val;
    if (value != NULL)
        select->target_list[0]->res_target->val = NULL;
    sy_protobuf_free(&tree);
    return value;
}

static PgQuery__Node *replace(PgQuery__Node *made, PgQuery__Node **place, PgQuery__Node *value)
{
    if (made == NULL || value == NULL) {
        sy_node_free(made);
        sy_node_free(value);
        return NULL;
    }
    sy_node_free(*place);
    *place = value;
    return made;
}

PgQuery__Node *sy_node_integer(int64_t value)
{
    char text[64];
    snprintf(text, sizeof(text), "SELECT %lld", (long long)value);
    return take_value(text);
}

PgQuery__Node *sy_node_parse(const char *expression)
{
    size_t bytes = strlen(expression) + 16;
    char *text = malloc(bytes);
    if (text == NULL)
        return NULL;
    snprintf(text, bytes, "SELECT (%s)", expression);
    PgQuery__Node *value = take_value(text);
    free(text);
    return value;
}

PgQuery__Node *sy_node_null(void)
{
    return take_value("SELECT NULL");
}

PgQuery__Node *sy_node_string(struct sy_slice value)
{
    PgQuery__Node *made = take_value("SELECT 'x'");
    char *copy = made == NULL ? NULL : strndup(value.data, value.bytes);
    if (copy == NULL) {
        sy_node_free(made);
        return NULL;
    }
    free(made->a_const->sval->sval);
    made->a_const->sval->sval = copy;
    return made;
}

PgQuery__Node *sy_node_column(const char *name)
{
    PgQuery__SelectStmt *select = NULL;
    PgQuery__ParseResult *tree = parse_own("SELECT 1 AS a", &select);
    PgQuery__Node *made = tree == NULL ? NULL : sy_node_copy(select->target_list[0]);
    sy_protobuf_free(&tree);
    char *copy = made == NULL ? NULL : strdup(name);
    if (copy == NULL) {
        sy_node_free(made);
        return NULL;
    }
    free(made->res_target->name);
    made->res_target->name = copy;
    sy_node_free(made->res_target->val);
    made->res_target->val = NULL;
    return made;
}

void sy_node_swap(PgQuery__Node *a, PgQuery__Node *b)
{
    PgQuery__Node kept = *a;
    *a = *b;
    *b = kept;
}

PgQuery__Node *sy_node_target(const char *name, PgQuery__Node *value)
{
    char text[160];
    PgQuery__SelectStmt *select = NULL;
    snprintf(text, sizeof(text), "SELECT 1 AS \"%s\"", name);
    PgQuery__ParseResult *tree = parse_own(text, &select);
    PgQuery__Node *made = tree == NULL ? NULL : sy_node_copy(select->target_list[0]);
    sy_protobuf_free(&tree);
    return replace(made, made == NULL ? NULL : &made->res_target->val, value);
}

PgQuery__Node *sy_node_sort(PgQuery__Node *value, bool descending, bool nulls_first)
{
    char text[80];
    PgQuery__SelectStmt *select = NULL;
    snprintf(text, sizeof(text), "SELECT 1 ORDER BY 1 %s NULLS %s", descending ? "DESC" : "ASC",
             nulls_first ? "FIRST" : "LAST");
    PgQuery__ParseResult *tree = parse_own(text, &select);
    PgQuery__Node *made = tree == NULL ? NULL : sy_node_copy(select->sort_clause[0]);
    sy_protobuf_free(&tree);
    return replace(made, made == NULL ? NULL : &made->sort_by->node, value);
}

PgQuery__Node *sy_node_collate_c(PgQuery__Node *value)
{
    PgQuery__Node *made = take_value("SELECT a COLLATE \"C\"");
    return replace(made, made == NULL ? NULL : &made->collate_clause->arg, value);
}

PgQuery__Node *sy_node_cast(PgQuery__Node *value, const char *type)
{
    char text[160];
    snprintf(text, sizeof(text), "SELECT CAST(a AS %s)", type);
    PgQuery__Node *made = take_value(text);
    return replace(made, made == NULL ? NULL : &made->type_cast->arg, value);
}

PgQuery__Node *sy_node_operator(const char *name, PgQuery__Node *left, PgQuery__Node *right)
{
    char text[80];
    snprintf(text, sizeof(text), "SELECT a %s b", name);
    PgQuery__Node *made = take_value(text);
    made = replace(made, made == NULL ? NULL : &made->a_expr->lexpr, left);
    if (made == NULL) {
        sy_node_free(right);
        return NULL;
    }
    return replace(made, &made->a_expr->rexpr, right);
}

/* As the grammar does: a AND b AND c is one node of three. */
PgQuery__Node *sy_node_and(PgQuery__Node *left, PgQuery__Node *right)
{
    bool more = left != NULL && left->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR &&
                left->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    if (more && sy_node_append(&left->bool_expr->args, &left->bool_expr->n_args, right))
        return left;
    if (more) {
        sy_node_free(left);
        return NULL;
    }
    PgQuery__Node *made = take_value("SELECT a AND b");
    made = replace(made, made == NULL ? NULL : &made->bool_expr->args[0], left);
    if (made == NULL) {
        sy_node_free(right);
        return NULL;
    }
    return replace(made, &made->bool_expr->args[1], right);
}
