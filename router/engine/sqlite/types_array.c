/* Arrays of one dimension: PostgreSQL's text form is also the stored one. int2vector and oidvector:
 * "1 2 3". */
#include <ctype.h>
#include <strings.h>

#include "router/engine/sqlite/types_internal.h"

bool sq_array_begin(struct sq_array_walk *walk, struct sy_slice text)
{
    *walk = (struct sq_array_walk){text.data, text.data + text.bytes, true, false};
    while (walk->p < walk->end && isspace((unsigned char)*walk->p) != 0)
        walk->p++;
    if (walk->p >= walk->end || *walk->p != '{') {
        walk->bad = true;
        return false;
    }
    walk->p++;
    return true;
}

static void skip_space(struct sq_array_walk *walk)
{
    while (walk->p < walk->end && isspace((unsigned char)*walk->p) != 0)
        walk->p++;
}

static bool quoted_element(struct sq_array_walk *walk, struct sy_arena *arena,
                           struct sy_slice *ret_element)
{
    char *out = sy_arena_alloc(arena, (size_t)(walk->end - walk->p) + 1);
    size_t used = 0;
    walk->p++;
    while (out != NULL && walk->p < walk->end && *walk->p != '"') {
        if (*walk->p == '\\' && walk->p + 1 < walk->end)
            walk->p++;
        out[used++] = *walk->p++;
    }
    if (out == NULL || walk->p >= walk->end) {
        walk->bad = true;
        return false;
    }
    walk->p++;
    *ret_element = (struct sy_slice){out, used};
    return true;
}

static bool plain_element(struct sq_array_walk *walk, struct sy_arena *arena,
                          struct sy_slice *ret_element, bool *ret_null)
{
    char *out = sy_arena_alloc(arena, (size_t)(walk->end - walk->p) + 1);
    size_t used = 0;
    bool escaped = false;
    while (out != NULL && walk->p < walk->end && *walk->p != ',' && *walk->p != '}') {
        if (*walk->p == '{' || *walk->p == '"') {
            walk->bad = true;
            return false;
        }
        if (*walk->p == '\\' && walk->p + 1 < walk->end) {
            walk->p++;
            escaped = true;
        }
        out[used++] = *walk->p++;
    }
    while (used > 0 && isspace((unsigned char)out[used - 1]) != 0)
        used--;
    if (out == NULL || used == 0) {
        walk->bad = true;
        return false;
    }
    *ret_null = !escaped && used == 4 && strncasecmp(out, "null", 4) == 0;
    *ret_element = (struct sy_slice){out, used};
    return true;
}

bool sq_array_next(struct sq_array_walk *walk, struct sy_arena *arena, struct sy_slice *ret_element,
                   bool *ret_null)
{
    skip_space(walk);
    if (walk->p >= walk->end) {
        walk->bad = true;
        return false;
    }
    if (*walk->p == '}') {
        walk->p++;
        skip_space(walk);
        walk->bad = walk->p != walk->end;
        return false;
    }
    if (!walk->first) {
        if (*walk->p != ',') {
            walk->bad = true;
            return false;
        }
        walk->p++;
        skip_space(walk);
    }
    walk->first = false;
    *ret_null = false;
    if (walk->p < walk->end && *walk->p == '"')
        return quoted_element(walk, arena, ret_element);
    return plain_element(walk, arena, ret_element, ret_null);
}

static bool needs_quotes(struct sy_slice element)
{
    if (element.bytes == 0 || (element.bytes == 4 && strncasecmp(element.data, "null", 4) == 0))
        return true;
    for (size_t i = 0; i < element.bytes; i++)
        if (strchr("{},\"\\", element.data[i]) != NULL ||
            isspace((unsigned char)element.data[i]) != 0)
            return true;
    return false;
}

void sq_array_append_element(struct sy_buf *out, bool first, struct sy_slice element, bool is_null)
{
    if (!first)
        sy_buf_append_str(out, ",");
    if (is_null) {
        sy_buf_append_str(out, "NULL");
        return;
    }
    if (!needs_quotes(element)) {
        sy_buf_append_slice(out, element);
        return;
    }
    sy_buf_append_str(out, "\"");
    for (size_t i = 0; i < element.bytes; i++) {
        if (element.data[i] == '"' || element.data[i] == '\\')
            sy_buf_append_str(out, "\\");
        sy_buf_append(out, &element.data[i], 1);
    }
    sy_buf_append_str(out, "\"");
}

static enum sy_status malformed(struct sy_slice text, struct sy_err *err)
{
    const char *p = memchr(text.data, '{', text.bytes);
    if (p != NULL && memchr(p + 1, '{', (size_t)(text.data + text.bytes - p - 1)) != NULL)
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "multidimensional arrays are not supported by the sqlite engine");
    return sy_err_set(err, SY_E_TEXT, "malformed array literal: \"%.*s\"", (int)text.bytes,
                      text.data);
}

static bool is_vector(uint32_t oid)
{
    return oid == SY_T_INT2VECTOR || oid == SY_T_OIDVECTOR;
}

/* ---- in ---- */

static enum sy_status decode_text(const struct sy_type_info *type, struct sy_slice data,
                                  const struct sy_type_settings *settings, struct sy_arena *arena,
                                  struct sy_sqvalue *ret_value, struct sy_err *err)
{
    struct sq_array_walk walk;
    struct sy_slice element = {0};
    struct sy_buf buf = {0};
    bool is_null = false, first = true;
    enum sy_status status = SY_OK;
    if (!sq_array_begin(&walk, data))
        return malformed(data, err);
    sy_buf_append_str(&buf, "{");
    while (status == SY_OK && sq_array_next(&walk, arena, &element, &is_null)) {
        struct sy_sqvalue value = {0};
        struct sy_buf text = {0};
        if (!is_null)
            status = sy_type_decode(type->element, -1, 0, element, settings, arena, &value, err);
        if (status == SY_OK && !is_null)
            status = sy_type_encode(type->element, 0, &value, settings, &text, err);
        sq_array_append_element(&buf, first, (struct sy_slice){text.data, text.bytes}, is_null);
        sy_buf_release(&text);
        first = false;
    }
    sy_buf_append_str(&buf, "}");
    if (status == SY_OK && walk.bad)
        status = malformed(data, err);
    if (status == SY_OK)
        return sq_value_take(&buf, arena, ret_value, err);
    sy_buf_release(&buf);
    return status;
}

static uint32_t read_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static enum sy_status binary_error(struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_TEXT, "invalid array in binary format");
    sy_err_state(err, "22P03");
    return SY_E_TEXT;
}

static enum sy_status decode_binary(const struct sy_type_info *type, struct sy_slice data,
                                    struct sy_arena *arena, struct sy_sqvalue *ret_value,
                                    struct sy_err *err)
{
    struct sy_buf buf = {0};
    enum sy_status status = SY_OK;
    if (data.bytes < 12)
        return binary_error(err);
    uint32_t dimensions = read_u32(data.data), element_type = read_u32(data.data + 8);
    if (dimensions > 1)
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "multidimensional arrays are not supported by the sqlite engine");
    if (dimensions == 1 && (data.bytes < 20 || sy_type_find(element_type) == NULL))
        return binary_error(err);
    uint32_t count = dimensions == 0 ? 0 : read_u32(data.data + 12);
    size_t at = 20;
    (void)type;
    sy_buf_append_str(&buf, "{");
    for (uint32_t i = 0; i < count && status == SY_OK; i++) {
        struct sy_sqvalue value = {0};
        struct sy_buf text = {0};
        int32_t bytes = data.bytes < at + 4 ? -2 : (int32_t)read_u32(data.data + at);
        at += 4;
        if (bytes < -1 || (bytes >= 0 && data.bytes < at + (size_t)bytes)) {
            status = binary_error(err);
            break;
        }
        if (bytes >= 0) {
            struct sy_slice element = {data.data + at, (size_t)bytes};
            status = sy_type_decode(element_type, -1, 1, element, NULL, arena, &value, err);
            if (status == SY_OK)
                status = sy_type_encode(element_type, 0, &value, NULL, &text, err);
            at += (size_t)bytes;
        }
        sq_array_append_element(&buf, i == 0, (struct sy_slice){text.data, text.bytes}, bytes < 0);
        sy_buf_release(&text);
    }
    sy_buf_append_str(&buf, "}");
    if (status == SY_OK)
        return sq_value_take(&buf, arena, ret_value, err);
    sy_buf_release(&buf);
    return status;
}

enum sy_status sq_array_decode(const struct sy_type_info *type, int format, struct sy_slice data,
                               const struct sy_type_settings *settings, struct sy_arena *arena,
                               struct sy_sqvalue *ret_value, struct sy_err *err)
{
    if (format == 0 && is_vector(type->oid)) {
        *ret_value = sq_value_text(data);
        return SY_OK;
    }
    return format == 0 ? decode_text(type, data, settings, arena, ret_value, err)
                       : decode_binary(type, data, arena, ret_value, err);
}

/* ---- out ---- */

/* A vector's elements stand between blanks. */
static bool vector_next(const char **p, const char *end, struct sy_slice *ret_element)
{
    while (*p < end && **p == ' ')
        (*p)++;
    const char *start = *p;
    while (*p < end && **p != ' ')
        (*p)++;
    *ret_element = (struct sy_slice){start, (size_t)(*p - start)};
    return *p > start;
}

static enum sy_status send_element(uint32_t type, struct sy_slice element, bool is_null,
                                   const struct sy_type_settings *settings, struct sy_arena *arena,
                                   struct sy_buf *out, struct sy_err *err)
{
    struct sy_sqvalue value = {0};
    struct sy_buf body = {0};
    if (is_null) {
        sy_buf_append_u32(out, UINT32_MAX);
        return SY_OK;
    }
    enum sy_status status = sy_type_decode(type, -1, 0, element, settings, arena, &value, err);
    if (status == SY_OK)
        status = sy_type_encode(type, 1, &value, settings, &body, err);
    sy_buf_append_u32(out, (uint32_t)body.bytes);
    sy_buf_append(out, body.data == NULL ? "" : body.data, body.bytes);
    sy_buf_release(&body);
    return status;
}

static enum sy_status encode_binary(const struct sy_type_info *type, struct sy_slice stored,
                                    const struct sy_type_settings *settings, struct sy_buf *out,
                                    struct sy_err *err)
{
    struct sy_arena arena = {0};
    struct sy_buf elements = {0};
    struct sq_array_walk walk;
    struct sy_slice element = {0};
    const char *p = stored.data, *end = stored.data + stored.bytes;
    bool is_null = false, any_null = false, vector = is_vector(type->oid);
    uint32_t count = 0;
    enum sy_status status = SY_OK;
    if (!vector && !sq_array_begin(&walk, stored))
        status = malformed(stored, err);
    while (status == SY_OK && (vector ? vector_next(&p, end, &element)
                                      : sq_array_next(&walk, &arena, &element, &is_null))) {
        status = send_element(type->element, element, is_null, settings, &arena, &elements, err);
        any_null = any_null || is_null;
        count++;
    }
    if (status == SY_OK && !vector && walk.bad)
        status = malformed(stored, err);
    if (status == SY_OK) {
        sy_buf_append_u32(out, count == 0 && !vector ? 0 : 1);
        sy_buf_append_u32(out, any_null ? 1 : 0);
        sy_buf_append_u32(out, type->element);
        if (count > 0 || vector) {
            sy_buf_append_u32(out, count);
            sy_buf_append_u32(out, vector ? 0 : 1);
            sy_buf_append(out, elements.data == NULL ? "" : elements.data, elements.bytes);
        }
    }
    sy_buf_release(&elements);
    sy_arena_release(&arena);
    return status;
}

enum sy_status sq_array_encode(const struct sy_type_info *type, int format, struct sy_slice stored,
                               const struct sy_type_settings *settings, struct sy_buf *out,
                               struct sy_err *err)
{
    if (format == 1)
        return encode_binary(type, stored, settings, out, err);
    sy_buf_append_slice(out, stored);
    return SY_OK;
}
