/* Trace lines. Masking decodes a message and encodes it again, so that a masked message is still a
 * message. */
#include "tests/wire/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/wire/message.h"

enum { FIRST_USER_OID = 16384 };

void trace_escape(struct sy_buf *out, struct sy_slice bytes)
{
    for (size_t i = 0; i < bytes.bytes; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c == '\\')
            sy_buf_append_str(out, "\\\\");
        else if (c >= 0x20 && c < 0x7f)
            sy_buf_append_u8(out, c);
        else
            sy_buf_printf(out, "\\x%02x", c);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool trace_unescape(struct sy_buf *out, struct sy_slice text)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] != '\\') {
            sy_buf_append_u8(out, (uint8_t)text.data[i]);
            continue;
        }
        size_t left = text.bytes - i - 1;
        if (left >= 1 && text.data[i + 1] == '\\') {
            sy_buf_append_u8(out, '\\');
            i += 1;
            continue;
        }
        if (left < 3 || text.data[i + 1] != 'x' || hex_digit(text.data[i + 2]) < 0 ||
            hex_digit(text.data[i + 3]) < 0)
            return false;
        sy_buf_append_u8(out,
                         (uint8_t)(hex_digit(text.data[i + 2]) * 16 + hex_digit(text.data[i + 3])));
        i += 3;
    }
    return !out->failed;
}

static void mask_key(struct sy_buf *out, struct sy_slice body)
{
    static const char zeros[256];
    struct sy_backend_key_msg key;
    if (sy_backend_key_read(body.data, body.bytes, &key, NULL) == SY_OK)
        sy_write_backend_key(out, 0, (struct sy_slice){zeros, key.key.bytes});
}

static void mask_parameter(struct sy_buf *out, struct sy_slice body)
{
    struct sy_pair_msg pair;
    if (sy_parameter_status_read(body.data, body.bytes, &pair, NULL) != SY_OK)
        return;
    if (sy_slice_eq(pair.name, SY_SLICE("server_version")))
        pair.value = SY_SLICE("15.0");
    sy_write_parameter_status(out, pair.name, pair.value);
}

static void mask_notice(struct sy_buf *out, char type, struct sy_slice body)
{
    struct sy_notice_fields fields;
    if (sy_notice_read(body.data, body.bytes, &fields, NULL) != SY_OK)
        return;
    if (fields.line.data != NULL)
        fields.line = SY_SLICE("0");
    if (fields.schema.bytes > 8 && memcmp(fields.schema.data, "pg_temp_", 8) == 0)
        fields.schema = SY_SLICE("pg_temp");
    sy_write_notice_fields(out, type, &fields);
}

static void mask_notification(struct sy_buf *out, struct sy_slice body)
{
    struct sy_notification_msg message;
    if (sy_notification_read(body.data, body.bytes, &message, NULL) == SY_OK)
        sy_write_notification(out, 0, message.channel, message.payload);
}

static void mask_columns(struct sy_buf *out, struct sy_slice body)
{
    uint16_t count;
    struct sy_reader reader;
    if (sy_row_description_read(body.data, body.bytes, &count, &reader, NULL) != SY_OK)
        return;
    struct sy_column_desc *columns = calloc((size_t)count + 1, sizeof(struct sy_column_desc));
    for (uint16_t i = 0; columns != NULL && i < count; i++) {
        columns[i] = sy_read_column_desc(&reader);
        if (columns[i].table_oid > FIRST_USER_OID)
            columns[i].table_oid = FIRST_USER_OID;
    }
    if (columns != NULL)
        sy_write_row_description(out, columns, count);
    free(columns);
}

void trace_mask(struct sy_buf *out, char type, struct sy_slice body)
{
    size_t before = out->bytes;
    if (type == 'K')
        mask_key(out, body);
    else if (type == 'S')
        mask_parameter(out, body);
    else if (type == 'E' || type == 'N')
        mask_notice(out, type, body);
    else if (type == 'A')
        mask_notification(out, body);
    else if (type == 'T')
        mask_columns(out, body);
    if (out->bytes != before)
        return;
    size_t start = sy_msg_begin(out, type);
    sy_buf_append_slice(out, body);
    sy_msg_end(out, start);
}
