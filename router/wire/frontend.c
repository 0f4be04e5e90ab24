/* Readers of what clients send. Pure; slices point into the body. */
#include "router/wire/internal.h"

enum sy_status sy_wire_finish(const struct sy_reader *reader, struct sy_err *err)
{
    if (reader->failed)
        return sy_err_set(err, SY_E_PROTOCOL, "insufficient data left in message");
    if (reader->at != reader->end)
        return sy_err_set(err, SY_E_PROTOCOL, "invalid message format");
    return SY_OK;
}

void sy_wire_skip_values(struct sy_reader *reader, uint16_t count)
{
    for (uint16_t i = 0; i < count && !reader->failed; i++) {
        uint32_t bytes = sy_read_u32(reader);
        /* Other negative lengths are large as unsigned numbers and do not fit. */
        if (bytes != UINT32_MAX)
            sy_read_bytes(reader, bytes);
    }
}

enum sy_status sy_string_read(const char *body, size_t bytes, struct sy_slice *ret,
                              struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_slice text = sy_read_cstring(&reader);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = text;
    return status;
}

enum sy_status sy_empty_read(size_t bytes, struct sy_err *err)
{
    return bytes == 0 ? SY_OK : sy_err_set(err, SY_E_PROTOCOL, "invalid message format");
}

enum sy_status sy_parse_read(const char *body, size_t bytes, struct sy_parse_msg *ret,
                             struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_parse_msg message = {.name = sy_read_cstring(&reader)};
    message.query = sy_read_cstring(&reader);
    message.type_count = sy_read_u16(&reader);
    message.types = sy_read_bytes(&reader, (size_t)message.type_count * sizeof(uint32_t)).data;
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

enum sy_status sy_bind_read(const char *body, size_t bytes, struct sy_bind_msg *ret,
                            struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_bind_msg message = {.portal = sy_read_cstring(&reader)};
    message.statement = sy_read_cstring(&reader);
    message.format_count = sy_read_u16(&reader);
    message.formats = sy_read_bytes(&reader, (size_t)message.format_count * sizeof(uint16_t)).data;
    message.parameter_count = sy_read_u16(&reader);
    message.parameters = reader.at;
    sy_wire_skip_values(&reader, message.parameter_count);
    message.result_format_count = sy_read_u16(&reader);
    message.result_formats =
        sy_read_bytes(&reader, (size_t)message.result_format_count * sizeof(uint16_t)).data;
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status != SY_OK)
        return status;
    if (message.format_count > 1 && message.format_count != message.parameter_count)
        return sy_err_set(err, SY_E_PROTOCOL,
                          "bind message has %u parameter formats but %u parameters",
                          message.format_count, message.parameter_count);
    *ret = message;
    return SY_OK;
}

enum sy_status sy_describe_read(const char *body, size_t bytes, struct sy_describe_msg *ret,
                                struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_describe_msg message = {.kind = (char)sy_read_u8(&reader)};
    message.name = sy_read_cstring(&reader);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status != SY_OK)
        return status;
    if (message.kind != 'S' && message.kind != 'P')
        return sy_err_set(err, SY_E_PROTOCOL, "invalid DESCRIBE or CLOSE message subtype %d",
                          message.kind);
    *ret = message;
    return SY_OK;
}

enum sy_status sy_execute_read(const char *body, size_t bytes, struct sy_execute_msg *ret,
                               struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_execute_msg message = {.portal = sy_read_cstring(&reader)};
    message.row_limit = sy_read_u32(&reader);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

enum sy_status sy_function_call_read(const char *body, size_t bytes,
                                     struct sy_function_call_msg *ret, struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_function_call_msg message = {.function_oid = sy_read_u32(&reader)};
    message.format_count = sy_read_u16(&reader);
    message.formats = sy_read_bytes(&reader, (size_t)message.format_count * sizeof(uint16_t)).data;
    message.argument_count = sy_read_u16(&reader);
    message.arguments = reader.at;
    sy_wire_skip_values(&reader, message.argument_count);
    message.result_format = sy_read_u16(&reader);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status != SY_OK)
        return status;
    if (message.format_count > 1 && message.format_count != message.argument_count)
        return sy_err_set(err, SY_E_PROTOCOL,
                          "function call message contains %u argument formats but %u arguments",
                          message.format_count, message.argument_count);
    *ret = message;
    return SY_OK;
}

enum sy_status sy_sasl_initial_read(const char *body, size_t bytes, struct sy_sasl_initial_msg *ret,
                                    struct sy_err *err)
{
    struct sy_reader reader = sy_reader_of(body, bytes);
    struct sy_sasl_initial_msg message = {.mechanism = sy_read_cstring(&reader)};
    uint32_t data_bytes = sy_read_u32(&reader);
    if (data_bytes != UINT32_MAX)
        message.data = sy_read_bytes(&reader, data_bytes);
    enum sy_status status = sy_wire_finish(&reader, err);
    if (status == SY_OK)
        *ret = message;
    return status;
}

void sy_bind_parameters(const struct sy_bind_msg *bind, struct sy_slice *ret)
{
    sy_split_values(bind->parameters, bind->parameter_count, ret);
}

void sy_bind_formats(const struct sy_bind_msg *bind, uint16_t *ret)
{
    for (uint16_t i = 0; i < bind->format_count; i++)
        ret[i] = sy_u16_at(bind->formats, i);
}
