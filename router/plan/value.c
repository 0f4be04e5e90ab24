/*
 * A value's type decides what its characters mean. This file follows PostgreSQL's rules for
 * constants, parameters and casts as far as they are certain, and says UNKNOWN for the rest: an
 * unknown value never picks a shard.
 */
#include "router/plan/value.h"

/* The type a value has before it meets the key: a key type, numeric, or something else. */
struct source {
    bool is_key_type, is_numeric;
    enum sy_key_type type;
};

static struct source source_of_cast(struct sy_slice cast)
{
    struct source source = {0};
    source.is_key_type = sy_key_type_from_catalog(cast, &source.type);
    source.is_numeric = sy_slice_eq(cast, SY_SLICE("numeric"));
    return source;
}

static struct source source_of_oid(uint32_t oid)
{
    struct source source = {0};
    source.is_key_type = sy_key_type_from_oid(oid, &source.type);
    source.is_numeric = oid == SY_OID_NUMERIC;
    return source;
}

static enum sy_value_state note_error(const struct sy_value_reader *reader, enum sy_status status,
                                      const struct sy_err *err)
{
    if (status == SY_E_TEXT && reader->value_error != NULL && reader->value_error->status == SY_OK)
        *reader->value_error = *err;
    return SY_VALUE_UNKNOWN;
}

/* "12", "12.", "12.000": an integer written as a number. */
static bool parse_integral(struct sy_slice text, bool negated, int64_t *ret_value)
{
    size_t at = 0;
    int64_t value = 0;
    if (text.bytes > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        negated ^= text.data[0] == '-';
        at++;
    }
    size_t digits = 0;
    for (; at < text.bytes && text.data[at] >= '0' && text.data[at] <= '9'; at++, digits++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text.data[at] - '0', &value))
            return false;
    if (digits > 0 && at < text.bytes && text.data[at] == '.')
        for (at++; at < text.bytes && text.data[at] == '0';)
            at++;
    if (digits == 0 || at != text.bytes)
        return false;
    if (!negated && __builtin_sub_overflow(0, value, &value))
        return false;
    *ret_value = value;
    return true;
}

bool sy_value_is_stored_as_read(const struct sy_value_target *target, const struct sy_key *key)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (!target->stored)
        return true;
    if (target->may_trim && sy_key_is_text(key->type) && key->text.bytes > 0 &&
        key->text.data[key->text.bytes - 1] == ' ')
        return false;
    return target->time_precision < 0 || target->time_precision > 6 || key->type == SY_KEY_DATE ||
           !sy_key_is_time(key->type) || key->integer % units[target->time_precision] == 0;
}

/* A key of type `from` meets a key column of the target's type. */
static enum sy_value_state convert(const struct sy_value_reader *reader, struct sy_key *key,
                                   const struct sy_value_target *target)
{
    enum sy_key_type to = target->type;
    if (sy_key_is_time(to) && sy_key_is_time(key->type)) {
        if (key->type != to && !target->alone)
            return SY_VALUE_UNKNOWN;
        if (sy_key_time_convert(key, to, &reader->values->key_context, key, NULL) != SY_OK)
            return SY_VALUE_UNKNOWN;
    } else if (!(key->type == to || (sy_key_is_integer(key->type) && sy_key_is_integer(to)) ||
                 (sy_key_is_text(key->type) && sy_key_is_text(to)))) {
        return SY_VALUE_UNKNOWN;
    }
    key->type = to;
    return sy_value_is_stored_as_read(target, key) ? SY_VALUE_KNOWN : SY_VALUE_UNKNOWN;
}

static enum sy_value_state from_number(struct sy_slice text, bool negated,
                                       const struct sy_value_target *target, struct sy_key *ret_key)
{
    int64_t value = 0;
    if (!sy_key_is_integer(target->type) || !parse_integral(text, negated, &value))
        return SY_VALUE_UNKNOWN;
    *ret_key = (struct sy_key){.type = target->type, .integer = value};
    return SY_VALUE_KNOWN;
}

/* Characters of type `source`, as its input function reads them. */
static enum sy_value_state from_characters(const struct sy_value_reader *reader,
                                           struct sy_slice text, struct source source,
                                           const struct sy_value_target *target,
                                           struct sy_key *ret_key)
{
    if (source.is_numeric)
        return from_number(text, false, target, ret_key);
    if (!source.is_key_type)
        return SY_VALUE_UNKNOWN;
    struct sy_err err; /* written only on failure */
    enum sy_status status =
        sy_key_from_text(source.type, text, &reader->values->key_context, ret_key, &err);
    if (status != SY_OK)
        return note_error(reader, status, &err);
    return convert(reader, ret_key, target);
}

/* An integer constant stored into a text column is cast to its decimal form. */
static enum sy_value_state integer_as_text(const struct sy_value_reader *reader,
                                           struct sy_slice digits, bool negated,
                                           const struct sy_value_target *target,
                                           struct sy_key *ret_key)
{
    int64_t value = 0;
    if (!target->stored || reader->arena == NULL || !parse_integral(digits, negated, &value))
        return SY_VALUE_UNKNOWN;
    char *text = sy_arena_printf(reader->arena, "%lld", (long long)value);
    if (text == NULL)
        return SY_VALUE_UNKNOWN;
    *ret_key = (struct sy_key){.type = target->type, .text = sy_slice_of(text)};
    return SY_VALUE_KNOWN;
}

static enum sy_value_state read_literal(const struct sy_value_reader *reader,
                                        const struct sy_value *value,
                                        const struct sy_value_target *target,
                                        struct sy_key *ret_key)
{
    const struct sy_plan_values *values = reader->values;
    if (values->scan == NULL || value->index < 0 ||
        (uint32_t)value->index >= values->scan->literal_count)
        return SY_VALUE_UNKNOWN;
    const struct sy_literal *literal = &values->scan->literals[value->index];
    if (literal->to > values->text.bytes || literal->from >= literal->to)
        return SY_VALUE_UNKNOWN;
    struct sy_slice raw = {values->text.data + literal->from, literal->to - literal->from};
    struct source source = source_of_cast(value->cast);
    switch (literal->kind) {
    case SY_LITERAL_INTEGER:
    case SY_LITERAL_NUMBER:
        if (value->cast.bytes == 0 && literal->kind == SY_LITERAL_INTEGER &&
            sy_key_is_text(target->type))
            return integer_as_text(reader, raw, value->negated, target, ret_key);
        if (value->cast.bytes > 0 && !source.is_numeric &&
            !(source.is_key_type && sy_key_is_integer(source.type)))
            return SY_VALUE_UNKNOWN;
        return from_number(raw, value->negated, target, ret_key);
    case SY_LITERAL_STRING:
    case SY_LITERAL_ESCAPE_STRING:
    case SY_LITERAL_DOLLAR_STRING: {
        struct sy_slice text;
        if (value->negated ||
            sy_literal_decode(values->text, literal, values->standard_conforming_strings,
                              reader->arena, &text, NULL) != SY_OK)
            return SY_VALUE_UNKNOWN;
        if (value->cast.bytes == 0)
            source = (struct source){.is_key_type = true, .type = target->type};
        return from_characters(reader, text, source, target, ret_key);
    }
    case SY_LITERAL_BIT:
        break;
    }
    return SY_VALUE_UNKNOWN;
}

/* Whether $n occurs exactly once, so that nothing else can have decided its type. */
static bool used_once(struct sy_slice text, int32_t number)
{
    unsigned found = 0;
    const char *at = text.data;
    const char *end = text.data == NULL ? NULL : text.data + text.bytes;
    while (at != NULL && at < end && (at = memchr(at, '$', (size_t)(end - at))) != NULL) {
        int64_t n = 0;
        for (at++; at < end && *at >= '0' && *at <= '9' && n < INT32_MAX; at++)
            n = n * 10 + (*at - '0');
        found += n == number;
    }
    return found == 1;
}

static bool is_binary(const struct sy_plan_values *values, uint32_t index)
{
    if (values->parameter_format_count == 0)
        return false;
    if (values->parameter_format_count == 1)
        return values->parameter_formats[0] == 1;
    return index < values->parameter_format_count && values->parameter_formats[index] == 1;
}

static bool has_high_byte(struct sy_slice text)
{
    for (size_t i = 0; i < text.bytes; i++)
        if ((unsigned char)text.data[i] >= 0x80)
            return true;
    return false;
}

static enum sy_value_state from_binary(const struct sy_value_reader *reader, struct sy_slice data,
                                       uint32_t oid, struct source source,
                                       const struct sy_value_target *target, struct sy_key *ret_key)
{
    if (!source.is_key_type)
        return SY_VALUE_UNKNOWN;
    if (sy_key_is_text(source.type) && reader->values->key_context.server_encoding_differs &&
        has_high_byte(data))
        return SY_VALUE_UNKNOWN;
    struct sy_err err; /* written only on failure */
    enum sy_status status = sy_key_from_binary(source.type, oid, data, ret_key, &err);
    if (status != SY_OK)
        return note_error(reader, status, &err);
    return convert(reader, ret_key, target);
}

/* The source's own text form in a text that a cast then reads: only text does that. */
static bool cast_applies(struct sy_slice cast, struct source declared, struct source *ret_source)
{
    struct source wanted = source_of_cast(cast);
    if (!wanted.is_key_type && !wanted.is_numeric)
        return false;
    bool same = (wanted.is_key_type && declared.is_key_type && wanted.type == declared.type) ||
                (wanted.is_numeric && declared.is_numeric);
    bool integers =
        wanted.is_key_type && sy_key_is_integer(wanted.type) &&
        ((declared.is_key_type && sy_key_is_integer(declared.type)) || declared.is_numeric);
    bool through_text =
        declared.is_key_type && sy_key_is_text(declared.type) && declared.type != SY_KEY_BPCHAR;
    *ret_source = through_text ? wanted : declared;
    return same || integers || through_text;
}

static enum sy_value_state read_parameter(const struct sy_value_reader *reader,
                                          const struct sy_value *value,
                                          const struct sy_value_target *target,
                                          struct sy_key *ret_key)
{
    const struct sy_plan_values *values = reader->values;
    uint32_t index = (uint32_t)value->index - 1;
    if (value->index < 1 || index >= values->parameter_count)
        return SY_VALUE_UNKNOWN;
    struct sy_slice data = values->parameters[index];
    if (data.data == NULL)
        return SY_VALUE_IS_NULL;
    uint32_t oid = index < values->parameter_type_count ? values->parameter_types[index] : 0;
    bool binary = is_binary(values, index);
    if (oid == SY_OID_UNKNOWN)
        oid = 0;
    struct source source = {.is_key_type = true, .type = target->type};
    if (oid == 0) {
        if (value->cast.bytes > 0)
            source = source_of_cast(value->cast);
        /* Its type is inferred where it occurs first; the text of an integer means the same for
         * every type. */
        bool fixed = (!binary && sy_key_is_integer(target->type)) || value->cast.bytes > 0;
        if (!fixed && (!target->alone || !used_once(values->text, value->index)))
            return SY_VALUE_UNKNOWN;
        if (fixed && value->cast.bytes > 0 && !used_once(values->text, value->index) &&
            (binary || !sy_key_is_integer(target->type)))
            return SY_VALUE_UNKNOWN;
        return binary ? from_binary(reader, data, 0, source, target, ret_key)
                      : from_characters(reader, data, source, target, ret_key);
    }
    source = source_of_oid(oid);
    struct source declared = source;
    if (value->cast.bytes > 0 && !cast_applies(value->cast, declared, &source))
        return SY_VALUE_UNKNOWN;
    bool text_inside = declared.is_key_type && sy_key_is_text(declared.type);
    if (binary && !text_inside)
        return from_binary(reader, data, oid, source, target, ret_key);
    return from_characters(reader, data, source, target, ret_key);
}

enum sy_value_state sy_value_read(const struct sy_value_reader *reader,
                                  const struct sy_value *value,
                                  const struct sy_value_target *target, struct sy_key *ret_key)
{
    if (value->array_element_of)
        return SY_VALUE_UNKNOWN;
    switch (value->kind) {
    case SY_VALUE_LITERAL:
        return read_literal(reader, value, target, ret_key);
    case SY_VALUE_PARAM:
        return value->negated ? SY_VALUE_UNKNOWN : read_parameter(reader, value, target, ret_key);
    case SY_VALUE_NULL:
        return SY_VALUE_IS_NULL;
    case SY_VALUE_BOOL:
    case SY_VALUE_DEFAULT:
    case SY_VALUE_OPAQUE:
        break;
    }
    return SY_VALUE_UNKNOWN;
}

enum sy_value_state sy_value_read_hint(struct sy_slice text, const struct sy_value_target *target,
                                       const struct sy_value_reader *reader, struct sy_key *ret_key)
{
    struct source source = {.is_key_type = true, .type = target->type};
    return from_characters(reader, text, source, target, ret_key);
}

/* ---- arrays ---- */

struct array {
    const struct sy_value_reader *reader;
    struct sy_value_target target;
    struct source source;
    void (*each)(void *ctx, const struct sy_key *key);
    void *ctx;
};

static bool give(struct array *array, enum sy_value_state state, const struct sy_key *key)
{
    if (state == SY_VALUE_KNOWN)
        array->each(array->ctx, key);
    return state != SY_VALUE_UNKNOWN;
}

static bool array_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* One element of '{...}' into `out` (as long as the rest of the text). Moves *at behind it. */
static bool text_element(struct sy_slice text, size_t *at, char *out, struct sy_slice *ret_element,
                         bool *ret_quoted)
{
    size_t bytes = 0, i = *at;
    *ret_quoted = false;
    while (i < text.bytes && array_blank(text.data[i]))
        i++;
    if (i < text.bytes && text.data[i] == '"') {
        *ret_quoted = true;
        for (i++; i < text.bytes && text.data[i] != '"'; i++) {
            if (text.data[i] == '\\')
                i++;
            if (i >= text.bytes)
                return false;
            out[bytes++] = text.data[i];
        }
        if (i++ >= text.bytes)
            return false;
        while (i < text.bytes && array_blank(text.data[i]))
            i++;
    } else {
        for (; i < text.bytes && text.data[i] != ',' && text.data[i] != '}'; i++) {
            if (strchr("{\"\\", text.data[i]) != NULL)
                return false; /* nested, or written in a way that is left to the server */
            out[bytes++] = text.data[i];
        }
        while (bytes > 0 && array_blank(out[bytes - 1]))
            bytes--;
        if (bytes == 0)
            return false;
    }
    *at = i;
    *ret_element = (struct sy_slice){out, bytes};
    return i < text.bytes && (text.data[i] == ',' || text.data[i] == '}');
}

static bool text_array(struct array *array, struct sy_slice text)
{
    size_t at = 0;
    while (at < text.bytes && array_blank(text.data[at]))
        at++;
    while (text.bytes > at && array_blank(text.data[text.bytes - 1]))
        text.bytes--;
    if (text.bytes - at < 2 || text.data[at] != '{' || text.data[text.bytes - 1] != '}')
        return false;
    size_t inside = at + 1;
    while (inside < text.bytes && array_blank(text.data[inside]))
        inside++;
    if (inside == text.bytes - 1)
        return true;
    while (text.data[at] != '}' || at + 1 != text.bytes) {
        if (at + 1 >= text.bytes)
            return false;
        at++; /* '{' or ',' */
        char *out = sy_arena_alloc(array->reader->arena, text.bytes - at + 1);
        struct sy_slice element;
        bool quoted = false;
        if (out == NULL || !text_element(text, &at, out, &element, &quoted))
            return false;
        if (!quoted && element.bytes == 4 && strncasecmp(element.data, "null", 4) == 0)
            continue;
        struct sy_key key;
        enum sy_value_state state =
            from_characters(array->reader, element, array->source, &array->target, &key);
        if (!give(array, state, &key))
            return false;
    }
    return true;
}

static bool take_u32(struct sy_slice *data, uint32_t *ret_value)
{
    if (data->bytes < 4)
        return false;
    const unsigned char *b = (const unsigned char *)data->data;
    *ret_value = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    data->data += 4;
    data->bytes -= 4;
    return true;
}

static bool binary_array(struct array *array, struct sy_slice data)
{
    uint32_t dimensions = 0, flags = 0, oid = 0, count = 0, lower = 0, bytes = 0;
    if (!take_u32(&data, &dimensions) || !take_u32(&data, &flags) || !take_u32(&data, &oid))
        return false;
    if (dimensions == 0)
        return true;
    if (dimensions != 1 || !take_u32(&data, &count) || !take_u32(&data, &lower))
        return false;
    struct source source = source_of_oid(oid);
    for (uint32_t i = 0; i < count; i++) {
        if (!take_u32(&data, &bytes))
            return false;
        if (bytes == UINT32_MAX)
            continue;
        if (bytes > data.bytes)
            return false;
        struct sy_key key;
        struct sy_slice element = {data.data, bytes};
        enum sy_value_state state =
            from_binary(array->reader, element, oid, source, &array->target, &key);
        if (!give(array, state, &key))
            return false;
        data.data += bytes;
        data.bytes -= bytes;
    }
    return data.bytes == 0;
}

static bool parameter_array(struct array *array, const struct sy_value *value)
{
    const struct sy_plan_values *values = array->reader->values;
    uint32_t index = (uint32_t)value->index - 1;
    if (value->index < 1 || index >= values->parameter_count)
        return false;
    struct sy_slice data = values->parameters[index];
    if (data.data == NULL)
        return true; /* = ANY(NULL): no row */
    uint32_t oid = index < values->parameter_type_count ? values->parameter_types[index] : 0;
    bool untyped = oid == 0 || oid == SY_OID_UNKNOWN;
    if (untyped && value->cast.bytes == 0 && !used_once(values->text, value->index))
        return false;
    if (!untyped) {
        array->source = (struct source){0};
        array->source.is_key_type = sy_key_type_from_array_oid(oid, &array->source.type);
        if (!array->source.is_key_type)
            return false;
        struct source cast = source_of_cast(value->cast);
        if (value->cast.bytes > 0 && (!cast.is_key_type || cast.type != array->source.type))
            return false;
    }
    return is_binary(values, index) ? binary_array(array, data) : text_array(array, data);
}

bool sy_value_read_array(const struct sy_value_reader *reader, const struct sy_value *value,
                         const struct sy_value_target *target,
                         void (*each)(void *ctx, const struct sy_key *key), void *ctx)
{
    struct array array = {.reader = reader, .target = *target, .each = each, .ctx = ctx};
    array.source = value->cast.bytes > 0
                       ? source_of_cast(value->cast)
                       : (struct source){.is_key_type = true, .type = target->type};
    if (reader->arena == NULL)
        return false;
    if (value->kind == SY_VALUE_NULL)
        return true;
    if (value->kind == SY_VALUE_PARAM)
        return parameter_array(&array, value);
    const struct sy_plan_values *values = reader->values;
    if (value->kind != SY_VALUE_LITERAL || values->scan == NULL || value->index < 0 ||
        (uint32_t)value->index >= values->scan->literal_count)
        return false;
    const struct sy_literal *literal = &values->scan->literals[value->index];
    struct sy_slice text;
    if (literal->kind == SY_LITERAL_INTEGER || literal->kind == SY_LITERAL_NUMBER ||
        literal->kind == SY_LITERAL_BIT ||
        sy_literal_decode(values->text, literal, values->standard_conforming_strings, reader->arena,
                          &text, NULL) != SY_OK)
        return false;
    return text_array(&array, text);
}
