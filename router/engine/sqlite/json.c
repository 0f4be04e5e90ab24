/* JSON: reading with PostgreSQL's strictness, and jsonb's canonical print and order. */
#include "router/engine/sqlite/json.h"

#include <stdlib.h>

#include "router/engine/sqlite/numeric.h"

enum { JSON_DEPTH_MAX = 500 };

struct reader {
    const char *p, *end;
    bool jsonb;
    struct sy_arena *arena;
    struct sy_err *err;
    uint32_t depth;
    enum sy_status status;
};

struct sq_json *sq_json_new(struct sy_arena *arena, enum sq_json_kind kind)
{
    struct sq_json *value = sy_arena_calloc(arena, 1, sizeof(*value));
    if (value != NULL)
        value->kind = kind;
    return value;
}

void sq_json_append(struct sq_json *parent, struct sq_json *child)
{
    child->next = NULL;
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
    parent->count++;
}

static struct sq_json *fail(struct reader *r, const char *detail)
{
    if (r->status != SY_OK)
        return NULL;
    r->status = sy_err_set(r->err, SY_E_TEXT, "invalid input syntax for type json");
    if (r->p >= r->end && detail == NULL)
        sy_err_detail(r->err, "The input string ended unexpectedly.");
    else if (detail != NULL)
        sy_err_detail(r->err, "%s", detail);
    else {
        const char *stop = r->p;
        while (stop < r->end && (unsigned char)*stop > ' ' && strchr(",:{}[]\"", *stop) == NULL)
            stop++;
        sy_err_detail(r->err, "Token \"%.*s\" is invalid.", (int)(stop == r->p ? 1 : stop - r->p),
                      r->p);
    }
    return NULL;
}

static void skip_space(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static int32_t hex4(const char *p)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static size_t put_utf8(char *out, int32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

static bool read_unicode(struct reader *r, char *out, size_t *used)
{
    int32_t c = r->end - r->p >= 5 ? hex4(r->p + 1) : -1;
    if (c < 0)
        return fail(r, "\"\\u\" must be followed by four hexadecimal digits.") != NULL;
    r->p += 5;
    if (c >= 0xd800 && c < 0xdc00 && r->end - r->p >= 6 && r->p[0] == '\\' && r->p[1] == 'u') {
        int32_t low = hex4(r->p + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            r->p += 6;
        }
    }
    if (c >= 0xd800 && c < 0xe000)
        return fail(r, "Unicode low surrogate must follow a high surrogate.") != NULL;
    if (c == 0 && r->jsonb) {
        r->status = sy_err_set(r->err, SY_E_TEXT, "unsupported Unicode escape sequence");
        sy_err_state(r->err, "22P05");
        sy_err_detail(r->err, "\\u0000 cannot be converted to text.");
        return false;
    }
    *used += put_utf8(out + *used, c);
    return true;
}

static bool read_string(struct reader *r, struct sy_slice *ret_text)
{
    const char *start = ++r->p;
    while (r->p < r->end && *r->p != '"') {
        if ((unsigned char)*r->p < 0x20)
            return fail(r, "Character with value must be escaped.") != NULL;
        r->p += *r->p == '\\' ? 2 : 1;
    }
    if (r->p >= r->end) {
        r->p = r->end;
        return fail(r, NULL) != NULL;
    }
    size_t bytes = (size_t)(r->p - start);
    const char *close = r->p;
    if (memchr(start, '\\', bytes) == NULL) {
        *ret_text = (struct sy_slice){start, bytes};
        r->p = close + 1;
        return true;
    }
    char *out = sy_arena_alloc(r->arena, bytes + 1);
    size_t used = 0;
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    for (r->p = start; out != NULL && r->p < close;) {
        if (*r->p != '\\') {
            out[used++] = *r->p++;
            continue;
        }
        r->p++;
        const char *at = *r->p == 'u' ? NULL : strchr(from, *r->p);
        if (*r->p == 'u') {
            if (!read_unicode(r, out, &used))
                return false;
        } else if (at == NULL) {
            return fail(r, "Escape sequence is invalid.") != NULL;
        } else {
            out[used++] = to[at - from];
            r->p++;
        }
    }
    r->p = close + 1;
    *ret_text = (struct sy_slice){out, used};
    return out != NULL || fail(r, "out of memory") != NULL;
}

static struct sq_json *read_number(struct reader *r)
{
    const char *start = r->p;
    struct sq_json *value = sq_json_new(r->arena, SQ_JSON_NUMBER);
    if (r->p < r->end && *r->p == '-')
        r->p++;
    const char *whole = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    bool ok = value != NULL && r->p > whole && (*whole != '0' || r->p == whole + 1);
    if (ok && r->p < r->end && *r->p == '.') {
        const char *fraction = ++r->p;
        while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
            r->p++;
        ok = r->p > fraction;
    }
    if (ok && r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        r->p++;
        if (r->p < r->end && (*r->p == '-' || *r->p == '+'))
            r->p++;
        const char *exponent = r->p;
        while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
            r->p++;
        ok = r->p > exponent;
    }
    if (!ok || (r->p < r->end && strchr(",:]} \t\r\n", *r->p) == NULL)) {
        r->p = start;
        return fail(r, NULL);
    }
    value->text = (struct sy_slice){start, (size_t)(r->p - start)};
    if (!r->jsonb)
        return value;
    struct sq_num num;
    struct sy_buf buf = {0};
    bool overflow = false;
    sq_num_init(&num);
    if (sq_num_parse(&num, value->text, &overflow))
        sq_num_print(&num, &buf);
    sq_num_clear(&num);
    value->text = (struct sy_slice){
        sy_arena_strndup(r->arena, buf.bytes == 0 ? "" : buf.data, buf.bytes), buf.bytes};
    sy_buf_release(&buf);
    return value->text.bytes > 0 ? value : fail(r, "number out of range");
}

static struct sq_json *read_value(struct reader *r);

static bool key_and_colon(struct reader *r, struct sy_slice *ret_key)
{
    skip_space(r);
    if (r->p >= r->end || *r->p != '"')
        return fail(r, NULL) != NULL;
    if (!read_string(r, ret_key))
        return false;
    skip_space(r);
    if (r->p >= r->end || *r->p != ':')
        return fail(r, NULL) != NULL;
    r->p++;
    return true;
}

static struct sq_json *read_container(struct reader *r, bool object)
{
    struct sq_json *value = sq_json_new(r->arena, object ? SQ_JSON_OBJECT : SQ_JSON_ARRAY);
    char close = object ? '}' : ']';
    if (value == NULL || ++r->depth > JSON_DEPTH_MAX)
        return fail(r, "nesting is too deep");
    r->p++;
    skip_space(r);
    bool empty = r->p < r->end && *r->p == close;
    while (!empty) {
        struct sy_slice key = {NULL, 0};
        if (object && !key_and_colon(r, &key))
            return NULL;
        struct sq_json *child = read_value(r);
        if (child == NULL)
            return NULL;
        child->key = key;
        sq_json_append(value, child);
        skip_space(r);
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            continue;
        }
        if (r->p >= r->end || *r->p != close)
            return fail(r, NULL);
        break;
    }
    r->p++;
    r->depth--;
    if (r->jsonb && object && !sq_jsonb_sort(value, r->arena))
        return fail(r, "out of memory");
    return value;
}

static struct sq_json *read_literal(struct reader *r)
{
    static const struct {
        const char *text;
        enum sq_json_kind kind;
        bool boolean;
    } words[] = {{"null", SQ_JSON_NULL, false},
                 {"true", SQ_JSON_BOOL, true},
                 {"false", SQ_JSON_BOOL, false}};
    for (size_t i = 0; i < 3; i++) {
        size_t bytes = strlen(words[i].text);
        if ((size_t)(r->end - r->p) < bytes || memcmp(r->p, words[i].text, bytes) != 0)
            continue;
        if (r->p + bytes < r->end && strchr(",:]} \t\r\n", r->p[bytes]) == NULL)
            break;
        struct sq_json *value = sq_json_new(r->arena, words[i].kind);
        if (value != NULL)
            value->boolean = words[i].boolean;
        r->p += bytes;
        return value;
    }
    return fail(r, NULL);
}

static struct sq_json *read_value(struct reader *r)
{
    struct sq_json *value = NULL;
    skip_space(r);
    const char *start = r->p;
    if (r->p >= r->end)
        return fail(r, NULL);
    if (*r->p == '{' || *r->p == '[') {
        value = read_container(r, *r->p == '{');
    } else if (*r->p == '"') {
        value = sq_json_new(r->arena, SQ_JSON_STRING);
        if (value != NULL && !read_string(r, &value->text))
            return NULL;
    } else if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) {
        value = read_number(r);
    } else {
        value = read_literal(r);
    }
    if (value != NULL)
        value->source = (struct sy_slice){start, (size_t)(r->p - start)};
    return value;
}

enum sy_status sq_json_parse(struct sy_slice text, bool jsonb, struct sy_arena *arena,
                             struct sq_json **ret_root, struct sy_err *err)
{
    struct reader r = {text.data, text.data + text.bytes, jsonb, arena, err, 0, SY_OK};
    struct sq_json *root = read_value(&r);
    skip_space(&r);
    if (root != NULL && r.p < r.end)
        root = fail(&r, NULL);
    if (root == NULL)
        return r.status != SY_OK ? r.status : sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *ret_root = root;
    return SY_OK;
}

/* ---- order of members ---- */

static int compare_keys(struct sy_slice a, struct sy_slice b)
{
    if (a.bytes != b.bytes)
        return a.bytes < b.bytes ? -1 : 1;
    return a.bytes == 0 ? 0 : memcmp(a.data, b.data, a.bytes);
}

struct keyed {
    struct sq_json *value;
    uint32_t position;
};

static int compare_members(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = compare_keys(x->value->key, y->value->key);
    return order != 0 ? order : x->position < y->position ? -1 : 1;
}

bool sq_jsonb_sort(struct sq_json *object, struct sy_arena *arena)
{
    uint32_t count = object->count, used = 0;
    struct keyed *items = sy_arena_calloc(arena, count + 1, sizeof(*items));
    if (items == NULL)
        return false;
    for (struct sq_json *child = object->first; child != NULL; child = child->next) {
        items[used].value = child;
        items[used].position = used;
        used++;
    }
    qsort(items, count, sizeof(*items), compare_members);
    object->first = object->last = NULL;
    object->count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (i + 1 == count || compare_keys(items[i].value->key, items[i + 1].value->key) != 0)
            sq_json_append(object, items[i].value);
    return true;
}

struct sq_json *sq_json_member(const struct sq_json *object, struct sy_slice key)
{
    struct sq_json *found = NULL;
    for (struct sq_json *child = object->first; object->kind == SQ_JSON_OBJECT && child != NULL;
         child = child->next)
        if (sy_slice_eq(child->key, key))
            found = child;
    return found;
}

struct sq_json *sq_json_element(const struct sq_json *array, int64_t index)
{
    if (array->kind != SQ_JSON_ARRAY)
        return NULL;
    if (index < 0)
        index += array->count;
    struct sq_json *child = index < 0 ? NULL : array->first;
    while (child != NULL && index-- > 0)
        child = child->next;
    return child;
}

/* ---- print ---- */

void sq_json_quote(struct sy_slice text, struct sy_buf *out)
{
    sy_buf_append_str(out, "\"");
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        static const char from[] = "\"\\\b\f\n\r\t", *const to[] = {"\\\"", "\\\\", "\\b", "\\f",
                                                                    "\\n",  "\\r",  "\\t"};
        const char *at = c == 0 ? NULL : strchr(from, c);
        if (at != NULL)
            sy_buf_append_str(out, to[at - from]);
        else if (c < 0x20)
            sy_buf_printf(out, "\\u%04x", c);
        else
            sy_buf_append(out, &text.data[i], 1);
    }
    sy_buf_append_str(out, "\"");
}

static bool print_scalar(const struct sq_json *value, struct sy_buf *out)
{
    switch (value->kind) {
    case SQ_JSON_NULL:
        sy_buf_append_str(out, "null");
        return true;
    case SQ_JSON_BOOL:
        sy_buf_append_str(out, value->boolean ? "true" : "false");
        return true;
    case SQ_JSON_NUMBER:
        sy_buf_append_slice(out, value->text);
        return true;
    case SQ_JSON_STRING:
        sq_json_quote(value->text, out);
        return true;
    case SQ_JSON_ARRAY:
    case SQ_JSON_OBJECT:
        return false;
    }
    return false;
}

void sq_jsonb_print(const struct sq_json *value, struct sy_buf *out)
{
    if (print_scalar(value, out))
        return;
    bool object = value->kind == SQ_JSON_OBJECT;
    sy_buf_append_str(out, object ? "{" : "[");
    for (const struct sq_json *child = value->first; child != NULL; child = child->next) {
        if (object) {
            sq_json_quote(child->key, out);
            sy_buf_append_str(out, ": ");
        }
        sq_jsonb_print(child, out);
        if (child->next != NULL)
            sy_buf_append_str(out, ", ");
    }
    sy_buf_append_str(out, object ? "}" : "]");
}

void sq_jsonb_pretty(const struct sq_json *value, uint32_t indent, struct sy_buf *out)
{
    if (print_scalar(value, out))
        return;
    bool object = value->kind == SQ_JSON_OBJECT;
    sy_buf_append_str(out, object ? "{" : "[");
    for (const struct sq_json *child = value->first; child != NULL; child = child->next) {
        sy_buf_printf(out, "\n%*s", (int)(indent + 1) * 4, "");
        if (object) {
            sq_json_quote(child->key, out);
            sy_buf_append_str(out, ": ");
        }
        sq_jsonb_pretty(child, indent + 1, out);
        if (child->next != NULL)
            sy_buf_append_str(out, ",");
    }
    sy_buf_printf(out, "\n%*s%s", (int)indent * 4, "", object ? "}" : "]");
}

/* ---- jsonb's order and containment ---- */

int sq_jsonb_compare(const struct sq_json *a, const struct sq_json *b)
{
    if (a->kind != b->kind) /* Object > Array > Boolean > Number > String > Null */
        return a->kind < b->kind ? -1 : 1;
    if (a->kind == SQ_JSON_BOOL)
        return (int)a->boolean - (int)b->boolean;
    if (a->kind == SQ_JSON_NUMBER)
        return sq_num_compare_text(a->text.data, a->text.bytes, b->text.data, b->text.bytes);
    if (a->kind == SQ_JSON_STRING) {
        size_t common = a->text.bytes < b->text.bytes ? a->text.bytes : b->text.bytes;
        int order = common == 0 ? 0 : memcmp(a->text.data, b->text.data, common);
        return order != 0 ? order
                          : (a->text.bytes > b->text.bytes) - (a->text.bytes < b->text.bytes);
    }
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    const struct sq_json *x = a->first, *y = b->first;
    for (; x != NULL && y != NULL; x = x->next, y = y->next) {
        int order = a->kind == SQ_JSON_OBJECT ? compare_keys(x->key, y->key) : 0;
        if (order == 0)
            order = sq_jsonb_compare(x, y);
        if (order != 0)
            return order;
    }
    return 0;
}

static bool array_contains(const struct sq_json *a, const struct sq_json *wanted)
{
    for (const struct sq_json *child = a->first; child != NULL; child = child->next)
        if (sq_jsonb_contains(child, wanted, false))
            return true;
    return false;
}

bool sq_jsonb_contains(const struct sq_json *a, const struct sq_json *b, bool top)
{
    bool scalar = b->kind != SQ_JSON_ARRAY && b->kind != SQ_JSON_OBJECT;
    if (a->kind != b->kind)
        return top && a->kind == SQ_JSON_ARRAY && scalar && array_contains(a, b);
    if (scalar)
        return sq_jsonb_compare(a, b) == 0;
    for (const struct sq_json *child = b->first; child != NULL; child = child->next) {
        if (a->kind == SQ_JSON_OBJECT) {
            const struct sq_json *member = sq_json_member(a, child->key);
            if (member == NULL || !sq_jsonb_contains(member, child, false))
                return false;
        } else if (!array_contains(a, child)) {
            return false;
        }
    }
    return true;
}
