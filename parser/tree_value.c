/*
 * Expressions that are plain values: a literal, a parameter, NULL, TRUE or FALSE, with at most one
 * cast that keeps the value. Anything else is OPAQUE.
 */
#include "parser/tree_internal.h"

#include <strings.h>

#include "parser/scan.h"

/* The cast's type, when it is one of pg_catalog without modifiers; NULL else. An array type gives
 * its element's. */
static const char *plain_type(const TypeName *type, bool *ret_array)
{
    *ret_array = type->arrayBounds != NULL;
    if (type->typmods != NULL || type->setof || type->pct_type)
        return NULL;
    return sy_list_catalog_name(type->names);
}

static struct sy_value opaque(void)
{
    return (struct sy_value){.kind = SY_VALUE_OPAQUE};
}

static void note_parameter(struct sy_facts_builder *b, const ParamRef *param)
{
    b->stmt->has_parameters = true;
    if (param->number > b->stmt->parameter_max)
        b->stmt->parameter_max = param->number;
}

static struct sy_value constant_value(struct sy_facts_builder *b, const A_Const *constant)
{
    if (constant->isnull)
        return (struct sy_value){.kind = SY_VALUE_NULL};
    if (IsA(&constant->val.node, Boolean))
        return (struct sy_value){.kind = SY_VALUE_BOOL, .index = constant->val.boolval.boolval};
    struct sy_value value = {.kind = SY_VALUE_LITERAL};
    value.index = sy_build_literal(b, constant, &value.negated);
    if (value.index == SY_NO_INDEX)
        return opaque();
    sy_build_literal_state(b, value.index, SY_LITERAL_LIFTED);
    return value;
}

/* Whether the literal is U&'..' with a UESCAPE clause behind it, which decoding does not see. */
static bool has_foreign_escape(struct sy_facts_builder *b, int32_t literal)
{
    const struct sy_tree_input *input = b->context->input;
    const struct sy_literal *place = &input->literals[literal];
    char first = input->text.data[place->from];
    if ((first != 'U' && first != 'u') || input->text.bytes - place->to < 7)
        return false;
    uint32_t at = sy_scan_skip_blank(input->text, place->to);
    return input->text.bytes - at >= 7 && strncasecmp(input->text.data + at, "uescape", 7) == 0;
}

static struct sy_value cast_value(struct sy_facts_builder *b, const TypeCast *cast)
{
    if (!sy_build_enter(b))
        return opaque();
    struct sy_value value = sy_build_value(b, cast->arg);
    sy_build_leave(b);
    bool array = false;
    const char *type = plain_type(cast->typeName, &array);
    if (value.kind == SY_VALUE_OPAQUE || value.kind == SY_VALUE_DEFAULT || type == NULL || array)
        return opaque();
    if (value.kind == SY_VALUE_NULL)
        return value;
    if (value.kind == SY_VALUE_BOOL)
        return strcmp(type, "bool") == 0 ? value : opaque();
    /* A second cast may change the value ('5.7'::numeric::int), unless it is the same one again. */
    if (value.cast.bytes > 0)
        return strcmp(value.cast.data, type) == 0 ? value : opaque();
    value.cast = sy_build_name(b, type);
    return value;
}

struct sy_value sy_build_value(struct sy_facts_builder *b, const Node *node)
{
    if (node == NULL)
        return opaque();
    if (IsA(node, A_Const)) {
        struct sy_value value = constant_value(b, (const A_Const *)node);
        if (value.kind == SY_VALUE_LITERAL && has_foreign_escape(b, value.index))
            return opaque();
        return value;
    }
    if (IsA(node, ParamRef)) {
        note_parameter(b, (const ParamRef *)node);
        return (struct sy_value){.kind = SY_VALUE_PARAM, .index = ((const ParamRef *)node)->number};
    }
    if (IsA(node, SetToDefault))
        return (struct sy_value){.kind = SY_VALUE_DEFAULT};
    if (IsA(node, TypeCast))
        return cast_value(b, (const TypeCast *)node);
    return opaque();
}

static bool element_values(struct sy_facts_builder *b, const List *elements, const char *type)
{
    int32_t mark = b->values.count;
    int32_t count = elements == NULL ? 0 : elements->length;
    for (int32_t i = 0; i < count; i++) {
        struct sy_value value = sy_build_value(b, elements->elements[i].ptr_value);
        bool fits = value.cast.bytes == 0 || type == NULL || strcmp(value.cast.data, type) == 0;
        if (value.kind == SY_VALUE_OPAQUE || value.kind == SY_VALUE_DEFAULT || !fits) {
            b->values.count = mark;
            return false;
        }
        if (value.kind == SY_VALUE_NULL)
            continue;
        if (type != NULL && value.cast.bytes == 0)
            value.cast = sy_build_name(b, type);
        *(struct sy_value *)sy_build_push(b, &b->values) = value;
    }
    return true;
}

bool sy_build_array_values(struct sy_facts_builder *b, const Node *node)
{
    const char *type = NULL;
    if (IsA(node, TypeCast)) {
        const TypeCast *cast = (const TypeCast *)node;
        bool array = false;
        type = plain_type(cast->typeName, &array);
        if (type == NULL || !array || cast->typeName->arrayBounds->length != 1)
            return false;
        node = cast->arg;
    }
    if (IsA(node, A_ArrayExpr))
        return element_values(b, ((const A_ArrayExpr *)node)->elements, type);
    if (!IsA(node, A_Const) && !IsA(node, ParamRef))
        return false;
    struct sy_value value = sy_build_value(b, node);
    if (value.kind == SY_VALUE_NULL)
        return true;
    if (value.kind != SY_VALUE_LITERAL && value.kind != SY_VALUE_PARAM)
        return false;
    if (type != NULL)
        value.cast = sy_build_name(b, type);
    value.array_element_of = true;
    *(struct sy_value *)sy_build_push(b, &b->values) = value;
    return true;
}
