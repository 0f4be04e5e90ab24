/* Writers of what clients send. Pure; each appends one whole message. */
#include "router/wire/message.h"

static void put_u16s(struct sy_buf *out, const uint16_t *values, uint16_t count)
{
    sy_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        sy_buf_append_u16(out, values[i]);
}

static void put_values(struct sy_buf *out, const struct sy_slice *values, uint16_t count)
{
    sy_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        sy_put_value(out, values[i]);
}

static void write_string(struct sy_buf *out, char type, struct sy_slice text)
{
    size_t start = sy_msg_begin(out, type);
    sy_put_cstring(out, text);
    sy_msg_end(out, start);
}

void sy_write_startup_minor(struct sy_buf *out, uint16_t minor,
                            const struct sy_startup_parameter *parameters, uint32_t count)
{
    size_t start = sy_msg_begin(out, '\0');
    sy_buf_append_u32(out, (uint32_t)SY_PROTOCOL_3_0 + minor);
    for (uint32_t i = 0; i < count; i++) {
        sy_put_cstring(out, parameters[i].name);
        sy_put_cstring(out, parameters[i].value);
    }
    sy_buf_append_u8(out, 0);
    sy_msg_end(out, start);
}

void sy_write_startup(struct sy_buf *out, const struct sy_startup_parameter *parameters,
                      uint32_t count)
{
    sy_write_startup_minor(out, 0, parameters, count);
}

void sy_write_request(struct sy_buf *out, uint32_t code)
{
    size_t start = sy_msg_begin(out, '\0');
    sy_buf_append_u32(out, code);
    sy_msg_end(out, start);
}

void sy_write_cancel(struct sy_buf *out, uint32_t pid, struct sy_slice key)
{
    size_t start = sy_msg_begin(out, '\0');
    sy_buf_append_u32(out, SY_CODE_CANCEL);
    sy_buf_append_u32(out, pid);
    sy_buf_append_slice(out, key);
    sy_msg_end(out, start);
}

void sy_write_password(struct sy_buf *out, struct sy_slice data, bool terminated)
{
    if (terminated) {
        write_string(out, 'p', data);
        return;
    }
    size_t start = sy_msg_begin(out, 'p');
    sy_buf_append_slice(out, data);
    sy_msg_end(out, start);
}

void sy_write_sasl_initial(struct sy_buf *out, struct sy_slice mechanism, struct sy_slice data)
{
    size_t start = sy_msg_begin(out, 'p');
    sy_put_cstring(out, mechanism);
    sy_put_value(out, data);
    sy_msg_end(out, start);
}

void sy_write_query(struct sy_buf *out, struct sy_slice sql)
{
    write_string(out, 'Q', sql);
}

void sy_write_parse(struct sy_buf *out, struct sy_slice name, struct sy_slice sql,
                    const uint32_t *types, uint16_t count)
{
    size_t start = sy_msg_begin(out, 'P');
    sy_put_cstring(out, name);
    sy_put_cstring(out, sql);
    sy_buf_append_u16(out, count);
    for (uint16_t i = 0; i < count; i++)
        sy_buf_append_u32(out, types[i]);
    sy_msg_end(out, start);
}

void sy_write_bind(struct sy_buf *out, const struct sy_bind_values *bind)
{
    size_t start = sy_msg_begin(out, 'B');
    sy_put_cstring(out, bind->portal);
    sy_put_cstring(out, bind->statement);
    put_u16s(out, bind->formats, bind->format_count);
    put_values(out, bind->parameters, bind->parameter_count);
    put_u16s(out, bind->result_formats, bind->result_format_count);
    sy_msg_end(out, start);
}

void sy_write_function_call(struct sy_buf *out, const struct sy_function_call_values *call)
{
    size_t start = sy_msg_begin(out, 'F');
    sy_buf_append_u32(out, call->function_oid);
    put_u16s(out, call->formats, call->format_count);
    put_values(out, call->arguments, call->argument_count);
    sy_buf_append_u16(out, call->result_format);
    sy_msg_end(out, start);
}

static void write_kind_name(struct sy_buf *out, char type, char kind, struct sy_slice name)
{
    size_t start = sy_msg_begin(out, type);
    sy_buf_append_u8(out, (uint8_t)kind);
    sy_put_cstring(out, name);
    sy_msg_end(out, start);
}

void sy_write_describe(struct sy_buf *out, char kind, struct sy_slice name)
{
    write_kind_name(out, 'D', kind, name);
}

void sy_write_close(struct sy_buf *out, char kind, struct sy_slice name)
{
    write_kind_name(out, 'C', kind, name);
}

void sy_write_execute(struct sy_buf *out, struct sy_slice portal, uint32_t row_limit)
{
    size_t start = sy_msg_begin(out, 'E');
    sy_put_cstring(out, portal);
    sy_buf_append_u32(out, row_limit);
    sy_msg_end(out, start);
}

void sy_write_copy_fail(struct sy_buf *out, struct sy_slice reason)
{
    write_string(out, 'f', reason);
}
