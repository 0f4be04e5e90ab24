/* Readers of what servers send. Pure. A server is a peer like any other: nothing it says is
 * believed unchecked. */
#include "router/wire/internal.h"

enum { KEY_BYTES_MIN = 4, KEY_BYTES_MAX = 256 };

enum sy_status sy_auth_read(const char *body, size_t bytes, struct sy_auth_msg *ret,
                            struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_auth_msg message = {.code = sy_read_u32(&reader)};
    message.data = sy_read_bytes(&reader, sy_reader_left(&reader));
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

bool sy_auth_next_mechanism(struct sy_reader *reader, struct sy_slice *ret_name)
{
    struct sy_slice name = sy_read_cstring(reader);
    if (name.bytes == 0)
        return false;
    *ret_name = name;
    return true;
}

enum sy_status sy_parameter_status_read(const char *body, size_t bytes, struct sy_pair_msg *ret,
                                        struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_pair_msg message = {.name = sy_read_cstring(&reader)};
    message.value = sy_read_cstring(&reader);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

enum sy_status sy_backend_key_read(const char *body, size_t bytes, struct sy_backend_key_msg *ret,
                                   struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_backend_key_msg message = {.pid = sy_read_u32(&reader)};
    message.key = sy_read_bytes(&reader, sy_reader_left(&reader));
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status != SY_OK)
        return status;
    if (message.key.bytes < KEY_BYTES_MIN || message.key.bytes > KEY_BYTES_MAX)
        return sy_err_set(err, SY_E_PROTOCOL, "invalid length of cancellation key");
    *ret = message;
    return SY_OK;
}

enum sy_status sy_ready_read(const char *body, size_t bytes, char *ret_status, struct sy_err *err)
{
    if (bytes != 1 || (*body != 'I' && *body != 'T' && *body != 'E'))
        return sy_err_set(err, SY_E_PROTOCOL, "invalid ReadyForQuery message");
    *ret_status = *body;
    return SY_OK;
}

enum sy_status sy_notification_read(const char *body, size_t bytes, struct sy_notification_msg *ret,
                                    struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_notification_msg message = {.pid = sy_read_u32(&reader)};
    message.channel = sy_read_cstring(&reader);
    message.payload = sy_read_cstring(&reader);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

enum sy_status sy_copy_response_read(const char *body, size_t bytes,
                                     struct sy_copy_response_msg *ret, struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_copy_response_msg message = {.format = sy_read_u8(&reader)};
    message.count = sy_read_u16(&reader);
    message.formats = sy_read_bytes(&reader, (size_t)message.count * sizeof(uint16_t)).data;
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

enum sy_status sy_data_row_read(const char *body, size_t bytes, struct sy_data_row_msg *ret,
                                struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_data_row_msg message = {.count = sy_read_u16(&reader)};
    message.values = reader.at;
    sy_wire_skip_values(&reader, message.count);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

struct sy_column_desc sy_read_column_desc(struct sy_reader *reader)
{
    struct sy_column_desc column = {.name = sy_read_cstring(reader)};
    column.table_oid = sy_read_u32(reader);
    column.attribute = sy_read_u16(reader);
    column.type_oid = sy_read_u32(reader);
    column.type_size = (int16_t)sy_read_u16(reader);
    column.type_modifier = (int32_t)sy_read_u32(reader);
    column.format = sy_read_u16(reader);
    return column;
}

enum sy_status sy_row_description_read(const char *body, size_t bytes, uint16_t *ret_count,
                                       struct sy_reader *ret_columns, struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    uint16_t count = sy_read_u16(&reader);
    struct sy_reader columns = reader;
    for (uint16_t i = 0; i < count && !reader.failed; i++)
        sy_read_column_desc(&reader);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status != SY_OK)
        return status;
    *ret_count = count;
    *ret_columns = columns;
    return SY_OK;
}

enum sy_status sy_parameter_description_read(const char *body, size_t bytes, uint16_t *ret_count,
                                             struct sy_reader *ret_types, struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    uint16_t count = sy_read_u16(&reader);
    struct sy_reader types = reader;
    sy_read_bytes(&reader, (size_t)count * sizeof(uint32_t));
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status != SY_OK)
        return status;
    *ret_count = count;
    *ret_types = types;
    return SY_OK;
}

enum sy_status sy_function_result_read(const char *body, size_t bytes, struct sy_slice *ret,
                                       struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    uint32_t value_bytes = sy_read_u32(&reader);
    struct sy_slice value = {NULL, 0};
    if (value_bytes != UINT32_MAX)
        value = sy_read_bytes(&reader, value_bytes);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = value;
    return status;
}

enum sy_status sy_negotiate_read(const char *body, size_t bytes, struct sy_negotiate_msg *ret,
                                 struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_negotiate_msg message = {.newest_minor = sy_read_u32(&reader)};
    message.option_count = sy_read_u32(&reader);
    struct sy_reader options = reader;
    for (uint32_t i = 0; i < message.option_count && !reader.failed; i++)
        sy_read_cstring(&reader);
    message.options = (struct sy_slice){options.at, sy_reader_left(&options)};
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

/* Where a field with this code goes; NULL: a code we do not know, which the protocol says to
 * ignore. */
static struct sy_slice *notice_field(struct sy_notice_fields *fields, char code)
{
    switch (code) {
    case 'S':
        return &fields->severity;
    case 'V':
        return &fields->severity_nonlocalized;
    case 'C':
        return &fields->sqlstate;
    case 'M':
        return &fields->message;
    case 'D':
        return &fields->detail;
    case 'H':
        return &fields->hint;
    case 'P':
        return &fields->position;
    case 'p':
        return &fields->internal_position;
    case 'q':
        return &fields->internal_query;
    case 'W':
        return &fields->where;
    case 's':
        return &fields->schema;
    case 't':
        return &fields->table;
    case 'c':
        return &fields->column;
    case 'd':
        return &fields->data_type;
    case 'n':
        return &fields->constraint;
    case 'F':
        return &fields->file;
    case 'L':
        return &fields->line;
    case 'R':
        return &fields->routine;
    default:
        return NULL;
    }
}

enum sy_status sy_notice_read(const char *body, size_t bytes, struct sy_notice_fields *ret,
                              struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_notice_fields fields = {.severity = {NULL, 0}};
    for (;;) {
        char code = (char)sy_read_u8(&reader);
        if (code == '\0')
            break;
        struct sy_slice text = sy_read_cstring(&reader);
        struct sy_slice *place = notice_field(&fields, code);
        if (place != NULL)
            *place = text;
    }
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = fields;
    return status;
}

bool sy_tag_rows(struct sy_slice tag, uint64_t *ret_rows)
{
    size_t digits = 0;
    while (digits < tag.bytes && tag.data[tag.bytes - 1 - digits] >= '0' &&
           tag.data[tag.bytes - 1 - digits] <= '9')
        digits++;
    /* A number follows a blank: a tag is never a number alone. */
    if (digits == 0 || digits == tag.bytes || tag.data[tag.bytes - 1 - digits] != ' ')
        return false;
    uint64_t rows = 0;
    for (size_t i = tag.bytes - digits; i < tag.bytes; i++) {
        uint64_t digit = (uint64_t)(tag.data[i] - '0');
        if (rows > (UINT64_MAX - digit) / 10)
            return false;
        rows = rows * 10 + digit;
    }
    *ret_rows = rows;
    return true;
}
