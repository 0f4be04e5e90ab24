/* Writers of what servers send, and what both directions share. Pure; each appends one whole
 * message. */
#include <stdio.h>
#include <string.h>

#include "router/wire/message.h"

enum { TEXT_OID = 25, COLUMN_FIXED_BYTES = 18 };

static inline void store_u16(char *at, uint16_t value)
{
    uint16_t wire = __builtin_bswap16(value);
    memcpy(at, &wire, sizeof(wire));
}

static inline void store_u32(char *at, uint32_t value)
{
    uint32_t wire = __builtin_bswap32(value);
    memcpy(at, &wire, sizeof(wire));
}

size_t sy_msg_begin(struct sy_buf *out, char type)
{
    size_t start = out->bytes;
    size_t head = type == '\0' ? sizeof(uint32_t) : 1 + sizeof(uint32_t);
    char *place = sy_buf_reserve(out, head);
    if (place == NULL)
        return start;
    if (type != '\0')
        *place++ = type;
    memset(place, 0, sizeof(uint32_t));
    out->bytes += head;
    /* The length counts from itself, not from the type byte: remember where it stands. */
    return type == '\0' ? start : start + 1;
}

void sy_msg_end(struct sy_buf *out, size_t start)
{
    if (out->failed)
        return;
    size_t length = out->bytes - start;
    if (length > (size_t)SY_LIMIT_MESSAGE_BYTES + sizeof(uint32_t)) {
        out->failed = true;
        return;
    }
    store_u32(out->data + start, (uint32_t)length);
}

void sy_put_cstring(struct sy_buf *out, struct sy_slice text)
{
    if (text.bytes > 0 && memchr(text.data, 0, text.bytes) != NULL) {
        out->failed = true;
        return;
    }
    sy_buf_append_slice(out, text);
    sy_buf_append_u8(out, 0);
}

void sy_put_value(struct sy_buf *out, struct sy_slice value)
{
    if (value.data == NULL) {
        sy_buf_append_u32(out, UINT32_MAX);
        return;
    }
    if (value.bytes > SY_LIMIT_MESSAGE_BYTES) {
        out->failed = true;
        return;
    }
    sy_buf_append_u32(out, (uint32_t)value.bytes);
    sy_buf_append_slice(out, value);
}

void sy_write_simple(struct sy_buf *out, char type)
{
    char *place = sy_buf_reserve(out, 1 + sizeof(uint32_t));
    if (place == NULL)
        return;
    *place = type;
    store_u32(place + 1, sizeof(uint32_t));
    out->bytes += 1 + sizeof(uint32_t);
}

void sy_write_auth(struct sy_buf *out, uint32_t code, struct sy_slice data)
{
    size_t start = sy_msg_begin(out, 'R');
    sy_buf_append_u32(out, code);
    sy_buf_append_slice(out, data);
    sy_msg_end(out, start);
}

void sy_write_parameter_status(struct sy_buf *out, struct sy_slice name, struct sy_slice value)
{
    size_t start = sy_msg_begin(out, 'S');
    sy_put_cstring(out, name);
    sy_put_cstring(out, value);
    sy_msg_end(out, start);
}

void sy_write_backend_key(struct sy_buf *out, uint32_t pid, struct sy_slice key)
{
    size_t start = sy_msg_begin(out, 'K');
    sy_buf_append_u32(out, pid);
    sy_buf_append_slice(out, key);
    sy_msg_end(out, start);
}

void sy_write_ready(struct sy_buf *out, char transaction_status)
{
    size_t start = sy_msg_begin(out, 'Z');
    sy_buf_append_u8(out, (uint8_t)transaction_status);
    sy_msg_end(out, start);
}

void sy_write_command_complete(struct sy_buf *out, const char *tag)
{
    size_t start = sy_msg_begin(out, 'C');
    sy_put_cstring(out, sy_slice_of(tag));
    sy_msg_end(out, start);
}

void sy_write_empty_query(struct sy_buf *out)
{
    sy_write_simple(out, 'I');
}

/* Prose for people: a zero byte in it ends it, where a name or SQL text would be refused. */
static void put_field(struct sy_buf *out, char code, struct sy_slice text)
{
    if (text.data == NULL)
        return;
    sy_buf_append_u8(out, (uint8_t)code);
    sy_put_cstring(out, (struct sy_slice){text.data, strnlen(text.data, text.bytes)});
}

void sy_write_notice_fields(struct sy_buf *out, char type, const struct sy_notice_fields *fields)
{
    size_t start = sy_msg_begin(out, type);
    put_field(out, 'S', fields->severity);
    put_field(out, 'V', fields->severity_nonlocalized);
    put_field(out, 'C', fields->sqlstate);
    put_field(out, 'M', fields->message);
    put_field(out, 'D', fields->detail);
    put_field(out, 'H', fields->hint);
    put_field(out, 'P', fields->position);
    put_field(out, 'p', fields->internal_position);
    put_field(out, 'q', fields->internal_query);
    put_field(out, 'W', fields->where);
    put_field(out, 's', fields->schema);
    put_field(out, 't', fields->table);
    put_field(out, 'c', fields->column);
    put_field(out, 'd', fields->data_type);
    put_field(out, 'n', fields->constraint);
    put_field(out, 'F', fields->file);
    put_field(out, 'L', fields->line);
    put_field(out, 'R', fields->routine);
    sy_buf_append_u8(out, 0);
    sy_msg_end(out, start);
}

static struct sy_slice slice_if_any(const char *text)
{
    return text[0] == '\0' ? (struct sy_slice){NULL, 0} : sy_slice_of(text);
}

static void write_err(struct sy_buf *out, char type, const char *severity, const struct sy_err *err)
{
    char position[16] = "";
    if (err->position > 0)
        snprintf(position, sizeof(position), "%d", err->position);
    const char *text = err->text[0] != '\0' ? err->text : sy_status_text(err->status);
    const struct sy_notice_fields fields = {
        .severity = sy_slice_of(severity),
        .severity_nonlocalized = sy_slice_of(severity),
        .sqlstate = sy_slice_of(sy_err_sqlstate(err)),
        .message = sy_slice_of(text),
        .detail = slice_if_any(err->detail),
        .hint = slice_if_any(err->hint),
        .position = slice_if_any(position),
        .where = slice_if_any(err->context),
    };
    sy_write_notice_fields(out, type, &fields);
}

void sy_write_error(struct sy_buf *out, const char *severity, const struct sy_err *err)
{
    write_err(out, 'E', severity, err);
}

void sy_write_notice(struct sy_buf *out, const char *severity, const struct sy_err *err)
{
    write_err(out, 'N', severity, err);
}

void sy_write_negotiate(struct sy_buf *out, uint32_t newest_minor, const struct sy_slice *unknown,
                        uint32_t count)
{
    size_t start = sy_msg_begin(out, 'v');
    sy_buf_append_u32(out, newest_minor);
    sy_buf_append_u32(out, count);
    for (uint32_t i = 0; i < count; i++)
        sy_put_cstring(out, unknown[i]);
    sy_msg_end(out, start);
}

static void put_column(struct sy_buf *out, const struct sy_column_desc *column)
{
    sy_put_cstring(out, column->name);
    char *at = sy_buf_reserve(out, COLUMN_FIXED_BYTES);
    if (at == NULL)
        return;
    store_u32(at, column->table_oid);
    store_u16(at + 4, column->attribute);
    store_u32(at + 6, column->type_oid);
    store_u16(at + 10, (uint16_t)column->type_size);
    store_u32(at + 12, (uint32_t)column->type_modifier);
    store_u16(at + 16, column->format);
    out->bytes += COLUMN_FIXED_BYTES;
}

void sy_write_row_description(struct sy_buf *out, const struct sy_column_desc *columns,
                              uint16_t count)
{
    size_t start = sy_msg_begin(out, 'T');
    sy_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        put_column(out, &columns[i]);
    sy_msg_end(out, start);
}

void sy_write_text_columns(struct sy_buf *out, const char *const *names, uint16_t count)
{
    size_t start = sy_msg_begin(out, 'T');
    sy_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++) {
        const struct sy_column_desc column = {.name = sy_slice_of(names[i]),
                                              .type_oid = TEXT_OID,
                                              .type_size = -1,
                                              .type_modifier = -1};
        put_column(out, &column);
    }
    sy_msg_end(out, start);
}

void sy_write_data_row(struct sy_buf *out, const struct sy_slice *values, uint16_t count)
{
    /* One reservation for the row: this runs once per row that the router makes itself. */
    size_t body = sizeof(uint16_t) + (size_t)count * sizeof(uint32_t);
    for (uint16_t i = 0; i < count; i++) {
        if (values[i].data == NULL)
            continue;
        if (values[i].bytes > SY_LIMIT_MESSAGE_BYTES - body) {
            out->failed = true;
            return;
        }
        body += values[i].bytes;
    }
    char *at = sy_buf_reserve(out, 1 + sizeof(uint32_t) + body);
    if (at == NULL)
        return;
    *at = 'D';
    store_u32(at + 1, (uint32_t)(sizeof(uint32_t) + body));
    store_u16(at + 5, count);
    at += 7;
    for (uint16_t i = 0; i < count; i++) {
        bool null = values[i].data == NULL;
        store_u32(at, null ? UINT32_MAX : (uint32_t)values[i].bytes);
        at += sizeof(uint32_t);
        if (!null && values[i].bytes > 0) {
            memcpy(at, values[i].data, values[i].bytes);
            at += values[i].bytes;
        }
    }
    out->bytes += 1 + sizeof(uint32_t) + body;
}

void sy_write_parameter_description(struct sy_buf *out, const uint32_t *types, uint16_t count)
{
    size_t start = sy_msg_begin(out, 't');
    sy_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        sy_buf_append_u32(out, types[i]);
    sy_msg_end(out, start);
}

void sy_write_notification(struct sy_buf *out, uint32_t pid, struct sy_slice channel,
                           struct sy_slice payload)
{
    size_t start = sy_msg_begin(out, 'A');
    sy_buf_append_u32(out, pid);
    sy_put_cstring(out, channel);
    sy_put_cstring(out, payload);
    sy_msg_end(out, start);
}

void sy_write_copy_response(struct sy_buf *out, char type, uint8_t format, const uint16_t *formats,
                            uint16_t count)
{
    size_t start = sy_msg_begin(out, type);
    sy_buf_append_u8(out, format);
    sy_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        sy_buf_append_u16(out, formats[i]);
    sy_msg_end(out, start);
}

void sy_write_copy_data(struct sy_buf *out, struct sy_slice data)
{
    size_t start = sy_msg_begin(out, 'd');
    sy_buf_append_slice(out, data);
    sy_msg_end(out, start);
}

void sy_write_function_result(struct sy_buf *out, struct sy_slice value)
{
    size_t start = sy_msg_begin(out, 'V');
    sy_put_value(out, value);
    sy_msg_end(out, start);
}
