/* json and jsonb: operators, construction, paths. */
#include <ctype.h>
#include <stdlib.h>

#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/json.h"

static struct sq_json *parse(struct sq_call *call, struct sy_slice text, bool jsonb)
{
    struct sq_json *root = NULL;
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (sq_json_parse(text, jsonb, &call->arena, &root, &err) == SY_OK)
        return root;
    sq_fail_err(call, &err);
    return NULL;
}

static struct sq_json *parse_arg(struct sq_call *call, int index, bool jsonb)
{
    return parse(call, sq_arg_text(call, index), jsonb);
}

static void return_jsonb(struct sq_call *call, const struct sq_json *value)
{
    struct sy_buf out = {0};
    sq_jsonb_print(value, &out);
    sq_return_buf(call, &out);
}

/* json keeps the text as it was given, jsonb prints anew. */
static void return_part(struct sq_call *call, const struct sq_json *value, bool jsonb, bool as_text)
{
    if (value == NULL || (as_text && value->kind == SQ_JSON_NULL))
        return;
    if (as_text && value->kind == SQ_JSON_STRING)
        sq_return_text(call, value->text.data, value->text.bytes);
    else if (jsonb)
        return_jsonb(call, value);
    else
        sq_return_text(call, value->source.data, value->source.bytes);
}

static void get(struct sq_call *call, bool jsonb, bool as_text)
{
    const struct sq_json *root = parse_arg(call, 0, jsonb);
    if (root == NULL)
        return;
    if (sqlite3_value_type(call->argv[1]) == SQLITE_INTEGER)
        return_part(call, sq_json_element(root, sq_arg_int(call, 1)), jsonb, as_text);
    else
        return_part(call, sq_json_member(root, sq_arg_text(call, 1)), jsonb, as_text);
}

static void f_json_get(struct sq_call *call)
{
    get(call, false, false);
}

static void f_json_get_text(struct sq_call *call)
{
    get(call, false, true);
}

static void f_jsonb_get(struct sq_call *call)
{
    get(call, true, false);
}

static void f_jsonb_get_text(struct sq_call *call)
{
    get(call, true, true);
}

/* ---- paths ---- */

static bool path_index(struct sy_slice step, int64_t *ret_index)
{
    char copy[16], *end = NULL;
    if (step.bytes == 0 || step.bytes >= sizeof(copy))
        return false;
    memcpy(copy, step.data, step.bytes);
    copy[step.bytes] = '\0';
    *ret_index = strtol(copy, &end, 10);
    return *end == '\0';
}

static struct sq_json *step_into(const struct sq_json *value, struct sy_slice step)
{
    int64_t index = 0;
    if (value->kind == SQ_JSON_OBJECT)
        return sq_json_member(value, step);
    return path_index(step, &index) ? sq_json_element(value, index) : NULL;
}

/* The path: a text array in argument 1, or (VARIADIC) the arguments from 1 on. */
static uint32_t read_path(struct sq_call *call, struct sy_slice *steps, uint32_t max)
{
    struct sq_array_walk walk;
    struct sy_slice first = call->argc > 1 ? sq_arg_text(call, 1) : (struct sy_slice){"", 0};
    uint32_t count = 0;
    bool is_null = false;
    if (call->argc == 2 && first.bytes > 0 && first.data[0] == '{' &&
        sq_array_begin(&walk, first)) {
        while (count < max && sq_array_next(&walk, &call->arena, &steps[count], &is_null))
            count++;
        return count;
    }
    for (int i = 1; i < call->argc && count < max; i++)
        steps[count++] = sq_arg_text(call, i);
    return count;
}

enum { PATH_MAX_STEPS = 100 };

static void extract(struct sq_call *call, bool jsonb, bool as_text)
{
    struct sy_slice steps[PATH_MAX_STEPS];
    const struct sq_json *value = parse_arg(call, 0, jsonb);
    if (value == NULL)
        return;
    uint32_t count = read_path(call, steps, PATH_MAX_STEPS);
    for (uint32_t i = 0; i < count && value != NULL; i++)
        value = step_into(value, steps[i]);
    return_part(call, value, jsonb, as_text);
}

static void f_json_extract_path(struct sq_call *call)
{
    extract(call, false, false);
}

static void f_json_extract_path_text(struct sq_call *call)
{
    extract(call, false, true);
}

static void f_jsonb_extract_path(struct sq_call *call)
{
    extract(call, true, false);
}

static void f_jsonb_extract_path_text(struct sq_call *call)
{
    extract(call, true, true);
}

/* ---- construction ---- */

void sq_json_append_value(struct sq_call *call, uint32_t type, const struct sy_sqvalue *value,
                          struct sy_buf *out)
{
    const struct sy_type_info *info = sy_type_find(type);
    struct sy_buf text = {0};
    if (value->kind == SY_SQ_NULL || info == NULL) {
        sy_buf_append_str(out, "null");
        return;
    }
    if (type == SY_T_BOOL) {
        sy_buf_append_str(out, value->integer != 0 ? "true" : "false");
        return;
    }
    if (type == SY_T_JSON || type == SY_T_JSONB || type == SY_T_RECORD) {
        sy_buf_append_slice(out, value->bytes);
        return;
    }
    if (info->element != 0 && info->category == 'A') {
        struct sq_array_walk walk;
        struct sy_slice element = {0};
        bool is_null = false, first = true;
        struct sy_err err;
        memset(&err, 0, sizeof(err));
        sy_buf_append_str(out, "[");
        (void)sq_array_begin(&walk, value->bytes);
        while (!walk.bad && sq_array_next(&walk, &call->arena, &element, &is_null)) {
            struct sy_sqvalue item = {0};
            if (!first)
                sy_buf_append_str(out, ",");
            first = false;
            if (!is_null && sy_type_decode(info->element, -1, 0, element, sq_settings(call),
                                           &call->arena, &item, &err) != SY_OK)
                sq_fail_err(call, &err);
            sq_json_append_value(call, info->element, &item, out);
        }
        sy_buf_append_str(out, "]");
        return;
    }
    if (!sq_text_of(call, type, value, &text)) {
        sy_buf_release(&text);
        return;
    }
    struct sy_slice shown = {text.data == NULL ? "" : text.data, text.bytes};
    if ((type == SY_T_TIMESTAMP || type == SY_T_TIMESTAMPTZ) && text.data != NULL &&
        text.bytes > 10 && text.data[10] == ' ')
        text.data[10] = 'T';
    bool number = info->category == 'N' && info->storage != SY_SQ_TEXT;
    number = (number || type == SY_T_NUMERIC) && shown.bytes > 0 &&
             isalpha((unsigned char)shown.data[shown.bytes - 1]) == 0;
    if (type == SY_T_TIMESTAMPTZ && shown.bytes > 3 &&
        (shown.data[shown.bytes - 3] == '+' || shown.data[shown.bytes - 3] == '-'))
        sy_buf_append_str(&text, ":00");
    shown = (struct sy_slice){text.data == NULL ? "" : text.data, text.bytes};
    if (number && strncmp(info->name, "reg", 3) != 0)
        sy_buf_append_slice(out, shown);
    else
        sq_json_quote(shown, out);
    sy_buf_release(&text);
}

static void finish(struct sq_call *call, struct sy_buf *out, bool jsonb)
{
    if (jsonb) {
        struct sq_json *root = parse(call, (struct sy_slice){out->data, out->bytes}, true);
        if (root != NULL)
            return_jsonb(call, root);
        sy_buf_release(out);
        return;
    }
    sq_return_buf(call, out);
}

static void build_object(struct sq_call *call, bool jsonb)
{
    struct sy_buf out = {0};
    if (call->argc % 4 != 0) {
        sq_fail(call, "22023", "argument list must have even number of elements");
        return;
    }
    sy_buf_append_str(&out, "{");
    for (int i = 0; i < call->argc; i += 4) {
        struct sy_sqvalue key = sq_arg_value(call, i + 1), value = sq_arg_value(call, i + 3);
        struct sy_buf text = {0};
        if (key.kind == SY_SQ_NULL) {
            sq_fail(call, "22023",
                    jsonb ? "argument %d: key must not be null" : "argument %d cannot be null",
                    i / 2 + 1);
            sy_buf_release(&out);
            return;
        }
        if (i > 0)
            sy_buf_append_str(&out, ", ");
        uint32_t key_type = (uint32_t)sq_arg_int(call, i);
        if (key_type == SY_T_BOOL)
            sy_buf_append_str(&text, key.integer != 0 ? "true" : "false");
        else if (!sq_text_of(call, key_type, &key, &text))
            break;
        sq_json_quote((struct sy_slice){text.data == NULL ? "" : text.data, text.bytes}, &out);
        sy_buf_release(&text);
        sy_buf_append_str(&out, " : ");
        sq_json_append_value(call, (uint32_t)sq_arg_int(call, i + 2), &value, &out);
    }
    sy_buf_append_str(&out, "}");
    finish(call, &out, jsonb);
}

static void f_json_build_object(struct sq_call *call)
{
    build_object(call, false);
}

static void f_jsonb_build_object(struct sq_call *call)
{
    build_object(call, true);
}

static void build_array(struct sq_call *call, bool jsonb)
{
    struct sy_buf out = {0};
    sy_buf_append_str(&out, "[");
    for (int i = 0; i + 1 < call->argc; i += 2) {
        struct sy_sqvalue value = sq_arg_value(call, i + 1);
        if (i > 0)
            sy_buf_append_str(&out, ", ");
        sq_json_append_value(call, (uint32_t)sq_arg_int(call, i), &value, &out);
    }
    sy_buf_append_str(&out, "]");
    finish(call, &out, jsonb);
}

static void f_json_build_array(struct sq_call *call)
{
    build_array(call, false);
}

static void f_jsonb_build_array(struct sq_call *call)
{
    build_array(call, true);
}

/* sy_row_json(name, type, value, ...) */
static void f_row_json(struct sq_call *call)
{
    struct sy_buf out = {0};
    sy_buf_append_str(&out, "{");
    for (int i = 0; i + 2 < call->argc; i += 3) {
        struct sy_sqvalue value = sq_arg_value(call, i + 2);
        if (i > 0)
            sy_buf_append_str(&out, ",");
        sq_json_quote(sq_arg_text(call, i), &out);
        sy_buf_append_str(&out, ":");
        sq_json_append_value(call, (uint32_t)sq_arg_int(call, i + 1), &value, &out);
    }
    sy_buf_append_str(&out, "}");
    sq_return_buf(call, &out);
}

static void to_json(struct sq_call *call, bool jsonb)
{
    struct sy_buf out = {0};
    struct sy_sqvalue value = sq_arg_value(call, 1);
    if (value.kind == SY_SQ_NULL)
        return;
    sq_json_append_value(call, (uint32_t)sq_arg_int(call, 0), &value, &out);
    finish(call, &out, jsonb);
}

static void f_to_json(struct sq_call *call)
{
    to_json(call, false);
}

static void f_to_jsonb(struct sq_call *call)
{
    to_json(call, true);
}

/* ---- questions ---- */

static void type_of(struct sq_call *call)
{
    static const char *const names[] = {"null", "string", "number", "boolean", "array", "object"};
    const struct sq_json *root = parse_arg(call, 0, false);
    if (root != NULL)
        sq_return_text(call, names[root->kind], strlen(names[root->kind]));
}

static void array_length(struct sq_call *call)
{
    const struct sq_json *root = parse_arg(call, 0, false);
    if (root == NULL)
        return;
    if (root->kind == SQ_JSON_ARRAY)
        sq_return_int(call, root->count);
    else
        sq_fail(call, "22023",
                root->kind == SQ_JSON_OBJECT ? "cannot get array length of a non-array"
                                             : "cannot get array length of a scalar");
}

static void strip(struct sq_json *value)
{
    struct sq_json *child = value->first;
    bool object = value->kind == SQ_JSON_OBJECT;
    value->first = value->last = NULL;
    value->count = 0;
    while (child != NULL) {
        struct sq_json *next = child->next;
        strip(child);
        if (!object || child->kind != SQ_JSON_NULL)
            sq_json_append(value, child);
        child = next;
    }
}

static void print_compact(const struct sq_json *value, struct sy_buf *out)
{
    bool object = value->kind == SQ_JSON_OBJECT;
    if (!object && value->kind != SQ_JSON_ARRAY) {
        sq_jsonb_print(value, out);
        return;
    }
    sy_buf_append_str(out, object ? "{" : "[");
    for (const struct sq_json *child = value->first; child != NULL; child = child->next) {
        if (object) {
            sq_json_quote(child->key, out);
            sy_buf_append_str(out, ":");
        }
        print_compact(child, out);
        if (child->next != NULL)
            sy_buf_append_str(out, ",");
    }
    sy_buf_append_str(out, object ? "}" : "]");
}

static void f_json_strip_nulls(struct sq_call *call)
{
    struct sq_json *root = parse_arg(call, 0, false);
    struct sy_buf out = {0};
    if (root == NULL)
        return;
    strip(root);
    print_compact(root, &out);
    sq_return_buf(call, &out);
}

static void f_jsonb_strip_nulls(struct sq_call *call)
{
    struct sq_json *root = parse_arg(call, 0, true);
    if (root == NULL)
        return;
    strip(root);
    return_jsonb(call, root);
}

static void f_jsonb_contains(struct sq_call *call)
{
    const struct sq_json *a = parse_arg(call, 0, true),
                         *b = a == NULL ? NULL : parse_arg(call, 1, true);
    if (b != NULL)
        sq_return_bool(call, sq_jsonb_contains(a, b, true));
}

static bool exists(const struct sq_json *root, struct sy_slice key)
{
    if (root->kind == SQ_JSON_OBJECT)
        return sq_json_member(root, key) != NULL;
    if (root->kind == SQ_JSON_STRING)
        return sy_slice_eq(root->text, key);
    for (const struct sq_json *child = root->first; child != NULL; child = child->next)
        if (child->kind == SQ_JSON_STRING && sy_slice_eq(child->text, key))
            return true;
    return false;
}

static void f_jsonb_exists(struct sq_call *call)
{
    const struct sq_json *root = parse_arg(call, 0, true);
    if (root != NULL)
        sq_return_bool(call, exists(root, sq_arg_text(call, 1)));
}

static void exists_many(struct sq_call *call, bool all)
{
    const struct sq_json *root = parse_arg(call, 0, true);
    struct sq_array_walk walk;
    struct sy_slice key = {0};
    bool is_null = false, result = all;
    if (root == NULL || !sq_array_begin(&walk, sq_arg_text(call, 1)))
        return;
    while (sq_array_next(&walk, &call->arena, &key, &is_null))
        if (!is_null && exists(root, key) != all)
            result = !all;
    sq_return_bool(call, result);
}

static void f_jsonb_exists_any(struct sq_call *call)
{
    exists_many(call, false);
}

static void f_jsonb_exists_all(struct sq_call *call)
{
    exists_many(call, true);
}

/* ---- changes (jsonb) ---- */

static struct sq_json *as_array(struct sq_call *call, struct sq_json *value)
{
    if (value->kind == SQ_JSON_ARRAY)
        return value;
    struct sq_json *array = sq_json_new(&call->arena, SQ_JSON_ARRAY);
    if (array != NULL)
        sq_json_append(array, value);
    return array;
}

static void f_jsonb_concat(struct sq_call *call)
{
    struct sq_json *a = parse_arg(call, 0, true), *b = a == NULL ? NULL : parse_arg(call, 1, true);
    if (b == NULL)
        return;
    bool objects = a->kind == SQ_JSON_OBJECT && b->kind == SQ_JSON_OBJECT;
    if (!objects) {
        bool mixed = (a->kind == SQ_JSON_OBJECT && b->kind != SQ_JSON_ARRAY) ||
                     (b->kind == SQ_JSON_OBJECT && a->kind != SQ_JSON_ARRAY);
        if (mixed) {
            sq_fail(call, "22023", "invalid concatenation of jsonb objects");
            return;
        }
        a = as_array(call, a);
        b = as_array(call, b);
    }
    for (struct sq_json *child = b->first; child != NULL;) {
        struct sq_json *next = child->next;
        sq_json_append(a, child);
        child = next;
    }
    if (objects && !sq_jsonb_sort(a, &call->arena))
        return;
    return_jsonb(call, a);
}

static void remove_child(struct sq_json *parent, const struct sq_json *gone)
{
    struct sq_json *child = parent->first;
    parent->first = parent->last = NULL;
    parent->count = 0;
    while (child != NULL) {
        struct sq_json *next = child->next;
        if (child != gone)
            sq_json_append(parent, child);
        child = next;
    }
}

static bool is_container(struct sq_call *call, const struct sq_json *root, const char *what)
{
    if (root->kind == SQ_JSON_ARRAY || root->kind == SQ_JSON_OBJECT)
        return true;
    sq_fail(call, "22023", "cannot %s scalar", what);
    return false;
}

static void f_jsonb_delete(struct sq_call *call)
{
    struct sq_json *root = parse_arg(call, 0, true);
    if (root == NULL || !is_container(call, root, "delete from"))
        return;
    struct sy_slice key = sq_arg_text(call, 1);
    for (struct sq_json *child = root->first; child != NULL;) {
        struct sq_json *next = child->next;
        bool hit = root->kind == SQ_JSON_OBJECT
                       ? sy_slice_eq(child->key, key)
                       : child->kind == SQ_JSON_STRING && sy_slice_eq(child->text, key);
        if (hit)
            remove_child(root, child);
        child = next;
    }
    return_jsonb(call, root);
}

static void f_jsonb_delete_idx(struct sq_call *call)
{
    struct sq_json *root = parse_arg(call, 0, true);
    if (root == NULL || !is_container(call, root, "delete from"))
        return;
    if (root->kind == SQ_JSON_OBJECT) {
        sq_fail(call, "22023", "cannot delete from object using integer index");
        return;
    }
    remove_child(root, sq_json_element(root, sq_arg_int(call, 1)));
    return_jsonb(call, root);
}

static void f_jsonb_delete_path(struct sq_call *call)
{
    struct sy_slice steps[PATH_MAX_STEPS];
    struct sq_json *root = parse_arg(call, 0, true), *parent = root;
    uint32_t count = read_path(call, steps, PATH_MAX_STEPS);
    if (root == NULL || !is_container(call, root, "delete path in"))
        return;
    for (uint32_t i = 0; i + 1 < count && parent != NULL; i++)
        parent = step_into(parent, steps[i]);
    if (parent != NULL && count > 0)
        remove_child(parent, step_into(parent, steps[count - 1]));
    return_jsonb(call, root);
}

/* jsonb_set(target, path, new, create_if_missing) */
static void f_jsonb_set(struct sq_call *call)
{
    struct sy_slice steps[PATH_MAX_STEPS];
    struct sq_json *root = parse_arg(call, 0, true),
                   *value = root == NULL ? NULL : parse_arg(call, 2, true);
    bool create = call->argc < 4 || sq_arg_int(call, 3) != 0;
    if (value == NULL || !is_container(call, root, "set path in"))
        return;
    int argc = call->argc;
    call->argc = 2;
    uint32_t count = read_path(call, steps, PATH_MAX_STEPS);
    call->argc = argc;
    struct sq_json *parent = root;
    for (uint32_t i = 0; i + 1 < count && parent != NULL; i++)
        parent = step_into(parent, steps[i]);
    if (parent != NULL && count > 0 &&
        (parent->kind == SQ_JSON_OBJECT || parent->kind == SQ_JSON_ARRAY)) {
        struct sq_json *old = step_into(parent, steps[count - 1]);
        int64_t index = 0;
        if (old != NULL) {
            struct sq_json *next = old->next;
            struct sy_slice key = old->key;
            *old = *value;
            old->key = key;
            old->next = next;
        } else if (create && parent->kind == SQ_JSON_OBJECT) {
            value->key = steps[count - 1];
            sq_json_append(parent, value);
            (void)sq_jsonb_sort(parent, &call->arena);
        } else if (create && path_index(steps[count - 1], &index)) {
            if (index < 0) {
                value->next = parent->first;
                parent->first = value;
                parent->count++;
            } else {
                sq_json_append(parent, value);
            }
        } else if (create) {
            sq_fail(call, "22P02", "path element at position %u is not an integer: \"%.*s\"", count,
                    (int)steps[count - 1].bytes, steps[count - 1].data);
            return;
        }
    }
    return_jsonb(call, root);
}

static void f_jsonb_pretty(struct sq_call *call)
{
    const struct sq_json *root = parse_arg(call, 0, true);
    struct sy_buf out = {0};
    if (root == NULL)
        return;
    sq_jsonb_pretty(root, 0, &out);
    sq_return_buf(call, &out);
}

/* A scalar of jsonb as another type, named by its OID. */
static void f_jsonb_scalar(struct sq_call *call)
{
    static const char *const names[] = {"null", "string", "numeric", "boolean", "array", "object"};
    const struct sq_json *root = parse_arg(call, 0, true);
    uint32_t type = (uint32_t)sq_arg_int(call, 1);
    struct sy_sqvalue value = {0};
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (root == NULL)
        return;
    enum sq_json_kind wanted = type == SY_T_BOOL ? SQ_JSON_BOOL : SQ_JSON_NUMBER;
    const struct sy_type_info *info = sy_type_find(type);
    if (root->kind != wanted || info == NULL) {
        sq_fail(call, "22023", "cannot cast jsonb %s to type %s", names[root->kind],
                info == NULL ? "" : info->display);
        return;
    }
    if (type == SY_T_BOOL) {
        sq_return_bool(call, root->boolean);
        return;
    }
    struct sy_slice digits = root->text;
    if (info->storage == SY_SQ_INTEGER) { /* numeric first, then rounded */
        char *whole = sy_arena_strndup(&call->arena, digits.data, digits.bytes);
        double rounded = whole == NULL ? 0 : strtod(whole, NULL);
        bool plain = memchr(digits.data, '.', digits.bytes) == NULL;
        if (!plain) {
            const char *text =
                sy_arena_printf(&call->arena, "%.0f", rounded < 0 ? rounded - 0.5 + 0.5 : rounded);
            digits = sy_slice_of(text);
        }
    }
    if (sy_type_decode(type, -1, 0, digits, NULL, &call->arena, &value, &err) == SY_OK)
        sq_return_value(call, &value);
    else
        sq_fail_err(call, &err);
}

static const struct sq_function functions[] = {
    {"sy_json_get", 2, 0, f_json_get},
    {"sy_json_get_text", 2, 0, f_json_get_text},
    {"sy_jsonb_get", 2, 0, f_jsonb_get},
    {"sy_jsonb_get_text", 2, 0, f_jsonb_get_text},
    {"sy_json_extract_path", -1, 0, f_json_extract_path},
    {"sy_json_extract_path_text", -1, 0, f_json_extract_path_text},
    {"sy_jsonb_extract_path", -1, 0, f_jsonb_extract_path},
    {"sy_jsonb_extract_path_text", -1, 0, f_jsonb_extract_path_text},
    {"sy_json_build_object", -1, SQ_F_NULLS, f_json_build_object},
    {"sy_jsonb_build_object", -1, SQ_F_NULLS, f_jsonb_build_object},
    {"sy_json_build_array", -1, SQ_F_NULLS, f_json_build_array},
    {"sy_jsonb_build_array", -1, SQ_F_NULLS, f_jsonb_build_array},
    {"sy_row_json", -1, SQ_F_NULLS, f_row_json},
    {"sy_to_json", 2, 0, f_to_json},
    {"sy_to_jsonb", 2, 0, f_to_jsonb},
    {"sy_json_typeof", 1, 0, type_of},
    {"sy_jsonb_typeof", 1, 0, type_of},
    {"sy_json_array_length", 1, 0, array_length},
    {"sy_jsonb_array_length", 1, 0, array_length},
    {"sy_json_strip_nulls", 1, 0, f_json_strip_nulls},
    {"sy_jsonb_strip_nulls", 1, 0, f_jsonb_strip_nulls},
    {"sy_jsonb_contains", 2, 0, f_jsonb_contains},
    {"sy_jsonb_exists", 2, 0, f_jsonb_exists},
    {"sy_jsonb_exists_any", 2, 0, f_jsonb_exists_any},
    {"sy_jsonb_exists_all", 2, 0, f_jsonb_exists_all},
    {"sy_jsonb_concat", 2, 0, f_jsonb_concat},
    {"sy_jsonb_delete", 2, 0, f_jsonb_delete},
    {"sy_jsonb_delete_idx", 2, 0, f_jsonb_delete_idx},
    {"sy_jsonb_delete_path", 2, 0, f_jsonb_delete_path},
    {"sy_jsonb_set", -1, 0, f_jsonb_set},
    {"sy_jsonb_pretty", 1, 0, f_jsonb_pretty},
    {"sy_jsonb_scalar", 2, 0, f_jsonb_scalar},
};

const struct sq_function_table sq_functions_json = {functions,
                                                    sizeof(functions) / sizeof(functions[0])};
