/* Arrays of one dimension in PostgreSQL's text form. */
#include "router/engine/sqlite/functions_internal.h"

/* Elements of an array or a vector, one after the other. */
struct elements {
    struct sq_array_walk walk;
    bool vector;
};

static void begin(struct elements *e, struct sy_slice text)
{
    e->vector = text.bytes == 0 || text.data[0] != '{';
    if (e->vector)
        e->walk = (struct sq_array_walk){text.data, text.data + text.bytes, true, false};
    else
        (void)sq_array_begin(&e->walk, text);
}

static bool next(struct sq_call *call, struct elements *e, struct sy_slice *ret_text,
                 bool *ret_null)
{
    *ret_null = false;
    if (!e->vector)
        return sq_array_next(&e->walk, &call->arena, ret_text, ret_null);
    while (e->walk.p < e->walk.end && *e->walk.p == ' ')
        e->walk.p++;
    const char *start = e->walk.p;
    while (e->walk.p < e->walk.end && *e->walk.p != ' ')
        e->walk.p++;
    *ret_text = (struct sy_slice){start, (size_t)(e->walk.p - start)};
    return ret_text->bytes > 0;
}

static int64_t length(struct sq_call *call, int index)
{
    struct elements e;
    struct sy_slice text = {0};
    bool is_null = false;
    int64_t count = 0;
    begin(&e, sq_arg_text(call, index));
    while (next(call, &e, &text, &is_null))
        count++;
    return count;
}

/* sy_array(element type, values...) */
static void f_array(struct sq_call *call)
{
    struct sy_buf out = {0};
    sy_buf_append_str(&out, "{");
    for (int i = 1; i < call->argc; i++) {
        struct sy_sqvalue value = sq_arg_value(call, i);
        struct sy_buf text = {0};
        bool ok = sq_text_of(call, (uint32_t)sq_arg_int(call, 0), &value, &text);
        if (ok)
            sq_array_append_element(
                &out, i == 1, (struct sy_slice){text.data == NULL ? "" : text.data, text.bytes},
                value.kind == SY_SQ_NULL);
        sy_buf_release(&text);
        if (!ok) {
            sy_buf_release(&out);
            return;
        }
    }
    sy_buf_append_str(&out, "}");
    sq_return_buf(call, &out);
}

/* sy_array_get(array, element type, index, base) */
static void f_array_get(struct sq_call *call)
{
    struct elements e;
    struct sy_slice text = {0};
    struct sy_sqvalue value = {0};
    struct sy_err err;
    bool is_null = false;
    int64_t at = sq_arg_int(call, 3), wanted = sq_arg_int(call, 2);
    memset(&err, 0, sizeof(err));
    begin(&e, sq_arg_text(call, 0));
    for (; next(call, &e, &text, &is_null); at++) {
        if (at != wanted)
            continue;
        if (is_null)
            return;
        if (sy_type_decode((uint32_t)sq_arg_int(call, 1), -1, 0, text, sq_settings(call),
                           &call->arena, &value, &err) == SY_OK)
            sq_return_value(call, &value);
        else
            sq_fail_err(call, &err);
        return;
    }
}

/* sy_name_get(name, index): a name is 64 bytes that are counted from 0. */
static void f_name_get(struct sq_call *call)
{
    enum { NAME_BYTES = 64 };
    struct sy_slice name = sq_arg_text(call, 0);
    int64_t at = sq_arg_int(call, 1);
    if (at < 0 || at >= NAME_BYTES)
        return;
    if (at >= (int64_t)name.bytes)
        sq_return_text(call, "", 0);
    else if ((unsigned char)name.data[at] >= 0x80)
        sq_fail(call, "0A000", "a byte of a name outside ASCII cannot be shown");
    else
        sq_return_text(call, name.data + at, 1);
}

static void f_cardinality(struct sq_call *call)
{
    sq_return_int(call, length(call, 0));
}

static void f_array_length(struct sq_call *call)
{
    int64_t count = length(call, 0);
    if (sq_arg_int(call, 1) == 1 && count > 0)
        sq_return_int(call, count);
}

static void f_array_lower(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    if (sq_arg_int(call, 1) == 1 && length(call, 0) > 0)
        sq_return_int(call, text.data[0] == '{' ? 1 : 0);
}

static void f_array_upper(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    int64_t count = length(call, 0);
    if (sq_arg_int(call, 1) == 1 && count > 0)
        sq_return_int(call, text.data[0] == '{' ? count : count - 1);
}

static void f_array_ndims(struct sq_call *call)
{
    if (length(call, 0) > 0)
        sq_return_int(call, 1);
}

static void f_array_to_string(struct sq_call *call)
{
    struct elements e;
    struct sy_slice text = {0}, by = {0};
    struct sy_buf out = {0};
    bool is_null = false, first = true;
    if (sq_is_null(call, 0) || sq_is_null(call, 1))
        return;
    by = sq_arg_text(call, 1);
    begin(&e, sq_arg_text(call, 0));
    while (next(call, &e, &text, &is_null)) {
        if (is_null && sq_is_null(call, 2))
            continue;
        if (!first)
            sy_buf_append_slice(&out, by);
        sy_buf_append_slice(&out, is_null ? sq_arg_text(call, 2) : text);
        first = false;
    }
    sq_return_buf(call, &out);
}

static void split_element(struct sq_call *call, struct sy_buf *out, bool first,
                          struct sy_slice part)
{
    bool is_null = !sq_is_null(call, 2) && sy_slice_eq(part, sq_arg_text(call, 2));
    sq_array_append_element(out, first, part, is_null);
}

static void f_string_to_array(struct sq_call *call)
{
    struct sy_buf out = {0};
    if (sq_is_null(call, 0))
        return;
    struct sy_slice text = sq_arg_text(call, 0), by = {0};
    bool characters = sq_is_null(call, 1), first = true;
    if (!characters)
        by = sq_arg_text(call, 1);
    sy_buf_append_str(&out, "{");
    while (text.bytes > 0) {
        size_t bytes = text.bytes, skip = 0;
        if (characters) {
            bytes = 1;
            while (bytes < text.bytes && ((unsigned char)text.data[bytes] & 0xc0) == 0x80)
                bytes++;
        } else if (by.bytes > 0) {
            const char *at = memmem(text.data, text.bytes, by.data, by.bytes);
            if (at != NULL) {
                bytes = (size_t)(at - text.data);
                skip = by.bytes;
            }
        }
        split_element(call, &out, first, (struct sy_slice){text.data, bytes});
        first = false;
        text = (struct sy_slice){text.data + bytes + skip, text.bytes - bytes - skip};
        if (skip > 0 && text.bytes == 0)
            split_element(call, &out, false, (struct sy_slice){"", 0});
    }
    sy_buf_append_str(&out, "}");
    sq_return_buf(call, &out);
}

static bool contains(struct sq_call *call, struct sy_slice array, struct sy_slice wanted)
{
    struct elements e;
    struct sy_slice text = {0};
    bool is_null = false;
    begin(&e, array);
    while (next(call, &e, &text, &is_null))
        if (!is_null && sy_slice_eq(text, wanted))
            return true;
    return false;
}

static void f_array_contains(struct sq_call *call)
{
    struct elements e;
    struct sy_slice text = {0};
    bool is_null = false, all = true;
    begin(&e, sq_arg_text(call, 1));
    while (all && next(call, &e, &text, &is_null))
        all = !is_null && contains(call, sq_arg_text(call, 0), text);
    sq_return_bool(call, all);
}

static void f_array_overlap(struct sq_call *call)
{
    struct elements e;
    struct sy_slice text = {0};
    bool is_null = false, any = false;
    begin(&e, sq_arg_text(call, 1));
    while (!any && next(call, &e, &text, &is_null))
        any = !is_null && contains(call, sq_arg_text(call, 0), text);
    sq_return_bool(call, any);
}

/* sy_array_cat(a, b): NULL is nothing to add. */
static void f_array_cat(struct sq_call *call)
{
    struct sy_buf out = {0};
    bool first = true;
    if (sq_is_null(call, 0) && sq_is_null(call, 1))
        return;
    sy_buf_append_str(&out, "{");
    for (int i = 0; i < 2; i++) {
        struct elements e;
        struct sy_slice text = {0};
        bool is_null = false;
        if (sq_is_null(call, i))
            continue;
        begin(&e, sq_arg_text(call, i));
        while (next(call, &e, &text, &is_null)) {
            sq_array_append_element(&out, first, text, is_null);
            first = false;
        }
    }
    sy_buf_append_str(&out, "}");
    sq_return_buf(call, &out);
}

/* sy_array_remove(array, array of one element): without those that equal it; NULL equals NULL. */
static void f_array_remove(struct sq_call *call)
{
    struct sy_buf out = {0};
    struct elements e;
    struct sy_slice text = {0}, wanted = {0};
    bool is_null = false, wanted_null = false, first = true;
    begin(&e, sq_arg_text(call, 1));
    (void)next(call, &e, &wanted, &wanted_null);
    sy_buf_append_str(&out, "{");
    begin(&e, sq_arg_text(call, 0));
    while (next(call, &e, &text, &is_null)) {
        if (is_null == wanted_null && (is_null || sy_slice_eq(text, wanted)))
            continue;
        sq_array_append_element(&out, first, text, is_null);
        first = false;
    }
    sy_buf_append_str(&out, "}");
    sq_return_buf(call, &out);
}

/* sy_array_position(array, type, element) */
static void f_array_position(struct sq_call *call)
{
    struct elements e;
    struct sy_slice text = {0};
    struct sy_buf wanted = {0};
    bool is_null = false, none = sq_is_null(call, 2);
    struct sy_sqvalue value = sq_arg_value(call, 2);
    if (sq_is_null(call, 0) || !sq_text_of(call, (uint32_t)sq_arg_int(call, 1), &value, &wanted))
        return;
    begin(&e, sq_arg_text(call, 0));
    for (int64_t at = 1; next(call, &e, &text, &is_null); at++)
        if (is_null ? none
                    : !none && sy_slice_eq(text, (struct sy_slice){wanted.data, wanted.bytes})) {
            sq_return_int(call, at);
            break;
        }
    sy_buf_release(&wanted);
}

static const struct sq_function functions[] = {
    {"sy_array_position", 3, SQ_F_NULLS, f_array_position},
    {"sy_array_cat", 2, SQ_F_NULLS, f_array_cat},
    {"sy_array_remove", 2, 0, f_array_remove},
    {"sy_array", -1, SQ_F_NULLS, f_array},
    {"sy_array_get", 4, 0, f_array_get},
    {"sy_name_get", 2, 0, f_name_get},
    {"sy_cardinality", 1, 0, f_cardinality},
    {"sy_array_length", 2, 0, f_array_length},
    {"sy_array_lower", 2, 0, f_array_lower},
    {"sy_array_upper", 2, 0, f_array_upper},
    {"sy_array_ndims", 1, 0, f_array_ndims},
    {"sy_array_to_string", -1, SQ_F_NULLS, f_array_to_string},
    {"sy_string_to_array", -1, SQ_F_NULLS, f_string_to_array},
    {"sy_array_contains", 2, 0, f_array_contains},
    {"sy_array_overlap", 2, 0, f_array_overlap},
};

const struct sq_function_table sq_functions_array = {functions,
                                                     sizeof(functions) / sizeof(functions[0])};
