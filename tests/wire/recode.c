/* One small function per shape of message: read it, write what was read. Any thread. */
#include "tests/wire/recode.h"

#include <stdlib.h>

#include "router/wire/message.h"

static enum sy_status no_memory(struct sy_err *err)
{
    return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
}

/* Values as slices; NULL when memory is exhausted. The caller frees. */
static struct sy_slice *split(const char *raw, uint16_t count)
{
    struct sy_slice *values = malloc(((size_t)count + 1) * sizeof(struct sy_slice));
    if (values != NULL)
        sy_split_values(raw, count, values);
    return values;
}

static uint16_t *numbers16(const char *raw, uint16_t count)
{
    uint16_t *numbers = malloc(((size_t)count + 1) * sizeof(uint16_t));
    for (uint16_t i = 0; numbers != NULL && i < count; i++)
        numbers[i] = sy_u16_at(raw, i);
    return numbers;
}

static uint32_t *numbers32(const char *raw, uint16_t count)
{
    uint32_t *numbers = malloc(((size_t)count + 1) * sizeof(uint32_t));
    for (uint16_t i = 0; numbers != NULL && i < count; i++)
        numbers[i] = sy_u32_at(raw, i);
    return numbers;
}

enum sy_status recode_startup(const char *data, size_t bytes, struct sy_buf *out,
                              struct sy_err *err)
{
    struct sy_startup startup;
    enum sy_status status = sy_startup_read(data, bytes, &startup, err);
    if (status != SY_OK)
        return status;
    switch (startup.kind) {
    case SY_STARTUP_SSL:
        sy_write_request(out, SY_CODE_SSL);
        break;
    case SY_STARTUP_GSSENC:
        sy_write_request(out, SY_CODE_GSSENC);
        break;
    case SY_STARTUP_CANCEL:
        sy_write_cancel(out, startup.cancel_pid, startup.cancel_key);
        break;
    case SY_STARTUP_SESSION:
    default:
        sy_write_startup_minor(out, startup.minor, startup.parameters, startup.parameter_count);
    }
    return SY_OK;
}

/* ---- frontend ---- */

static enum sy_status recode_string(char type, const char *body, size_t bytes, struct sy_buf *out,
                                    struct sy_err *err)
{
    struct sy_slice text;
    enum sy_status status = sy_string_read(body, bytes, &text, err);
    if (status != SY_OK)
        return status;
    if (type == 'Q')
        sy_write_query(out, text);
    else if (type == 'f')
        sy_write_copy_fail(out, text);
    else
        sy_write_command_complete(out, text.data);
    return SY_OK;
}

static enum sy_status recode_parse(const char *body, size_t bytes, struct sy_buf *out,
                                   struct sy_err *err)
{
    struct sy_parse_msg parse;
    enum sy_status status = sy_parse_read(body, bytes, &parse, err);
    if (status != SY_OK)
        return status;
    uint32_t *types = numbers32(parse.types, parse.type_count);
    if (types == NULL)
        return no_memory(err);
    sy_write_parse(out, parse.name, parse.query, types, parse.type_count);
    free(types);
    return SY_OK;
}

static enum sy_status recode_bind(const char *body, size_t bytes, struct sy_buf *out,
                                  struct sy_err *err)
{
    struct sy_bind_msg bind;
    enum sy_status status = sy_bind_read(body, bytes, &bind, err);
    if (status != SY_OK)
        return status;
    struct sy_slice *values = malloc(((size_t)bind.parameter_count + 1) * sizeof(struct sy_slice));
    uint16_t *formats = malloc(((size_t)bind.format_count + 1) * sizeof(uint16_t));
    uint16_t *results = numbers16(bind.result_formats, bind.result_format_count);
    if (values == NULL || formats == NULL || results == NULL) {
        status = no_memory(err);
    } else {
        sy_bind_parameters(&bind, values);
        sy_bind_formats(&bind, formats);
        const struct sy_bind_values again = {.portal = bind.portal,
                                             .statement = bind.statement,
                                             .formats = formats,
                                             .result_formats = results,
                                             .parameters = values,
                                             .format_count = bind.format_count,
                                             .parameter_count = bind.parameter_count,
                                             .result_format_count = bind.result_format_count};
        sy_write_bind(out, &again);
    }
    free(values);
    free(formats);
    free(results);
    return status;
}

static enum sy_status recode_call(const char *body, size_t bytes, struct sy_buf *out,
                                  struct sy_err *err)
{
    struct sy_function_call_msg call;
    enum sy_status status = sy_function_call_read(body, bytes, &call, err);
    if (status != SY_OK)
        return status;
    struct sy_slice *arguments = split(call.arguments, call.argument_count);
    uint16_t *formats = numbers16(call.formats, call.format_count);
    if (arguments == NULL || formats == NULL) {
        status = no_memory(err);
    } else {
        const struct sy_function_call_values again = {.function_oid = call.function_oid,
                                                      .formats = formats,
                                                      .arguments = arguments,
                                                      .format_count = call.format_count,
                                                      .argument_count = call.argument_count,
                                                      .result_format = call.result_format};
        sy_write_function_call(out, &again);
    }
    free(arguments);
    free(formats);
    return status;
}

static enum sy_status recode_describe(char type, const char *body, size_t bytes, struct sy_buf *out,
                                      struct sy_err *err)
{
    struct sy_describe_msg describe;
    enum sy_status status = sy_describe_read(body, bytes, &describe, err);
    if (status != SY_OK)
        return status;
    if (type == 'D')
        sy_write_describe(out, describe.kind, describe.name);
    else
        sy_write_close(out, describe.kind, describe.name);
    return SY_OK;
}

static enum sy_status recode_execute(const char *body, size_t bytes, struct sy_buf *out,
                                     struct sy_err *err)
{
    struct sy_execute_msg execute;
    enum sy_status status = sy_execute_read(body, bytes, &execute, err);
    if (status == SY_OK)
        sy_write_execute(out, execute.portal, execute.row_limit);
    return status;
}

static enum sy_status recode_empty(char type, size_t bytes, struct sy_buf *out, struct sy_err *err)
{
    enum sy_status status = sy_empty_read(bytes, err);
    if (status == SY_OK)
        sy_write_simple(out, type);
    return status;
}

/* 'p' is told apart by the exchange only: a SASL initial response when it reads as one, else bytes.
 */
static enum sy_status recode_password(const char *body, size_t bytes, struct sy_buf *out)
{
    struct sy_sasl_initial_msg initial;
    if (sy_sasl_initial_read(body, bytes, &initial, NULL) == SY_OK)
        sy_write_sasl_initial(out, initial.mechanism, initial.data);
    else
        sy_write_password(out, (struct sy_slice){body, bytes}, false);
    return SY_OK;
}

enum sy_status recode_frontend(char type, const char *body, size_t bytes, struct sy_buf *out,
                               struct sy_err *err)
{
    switch (type) {
    case 'Q':
    case 'f':
        return recode_string(type, body, bytes, out, err);
    case 'P':
        return recode_parse(body, bytes, out, err);
    case 'B':
        return recode_bind(body, bytes, out, err);
    case 'D':
    case 'C':
        return recode_describe(type, body, bytes, out, err);
    case 'E':
        return recode_execute(body, bytes, out, err);
    case 'F':
        return recode_call(body, bytes, out, err);
    case 'S':
    case 'H':
    case 'X':
    case 'c':
        return recode_empty(type, bytes, out, err);
    case 'd':
        sy_write_copy_data(out, (struct sy_slice){body, bytes});
        return SY_OK;
    case 'p':
        return recode_password(body, bytes, out);
    default:
        return sy_err_set(err, SY_E_UNSUPPORTED, "no frontend message has type %d", type);
    }
}

/* ---- backend ---- */

static enum sy_status recode_auth(const char *body, size_t bytes, struct sy_buf *out,
                                  struct sy_err *err)
{
    struct sy_auth_msg auth;
    enum sy_status status = sy_auth_read(body, bytes, &auth, err);
    if (status != SY_OK)
        return status;
    struct sy_reader names = sy_reader_of(auth.data.data, auth.data.bytes);
    struct sy_slice name;
    while (auth.code == SY_AUTH_CODE_SASL && sy_auth_next_mechanism(&names, &name))
        continue;
    sy_write_auth(out, auth.code, auth.data);
    return SY_OK;
}

static enum sy_status recode_pair(const char *body, size_t bytes, struct sy_buf *out,
                                  struct sy_err *err)
{
    struct sy_pair_msg pair;
    enum sy_status status = sy_parameter_status_read(body, bytes, &pair, err);
    if (status == SY_OK)
        sy_write_parameter_status(out, pair.name, pair.value);
    return status;
}

static enum sy_status recode_key(const char *body, size_t bytes, struct sy_buf *out,
                                 struct sy_err *err)
{
    struct sy_backend_key_msg key;
    enum sy_status status = sy_backend_key_read(body, bytes, &key, err);
    if (status == SY_OK)
        sy_write_backend_key(out, key.pid, key.key);
    return status;
}

static enum sy_status recode_ready(const char *body, size_t bytes, struct sy_buf *out,
                                   struct sy_err *err)
{
    char transaction;
    enum sy_status status = sy_ready_read(body, bytes, &transaction, err);
    if (status == SY_OK)
        sy_write_ready(out, transaction);
    return status;
}

static enum sy_status recode_notice(char type, const char *body, size_t bytes, struct sy_buf *out,
                                    struct sy_err *err)
{
    struct sy_notice_fields fields;
    enum sy_status status = sy_notice_read(body, bytes, &fields, err);
    if (status == SY_OK)
        sy_write_notice_fields(out, type, &fields);
    return status;
}

static enum sy_status recode_columns(const char *body, size_t bytes, struct sy_buf *out,
                                     struct sy_err *err)
{
    uint16_t count;
    struct sy_reader reader;
    enum sy_status status = sy_row_description_read(body, bytes, &count, &reader, err);
    if (status != SY_OK)
        return status;
    struct sy_column_desc *columns = malloc(((size_t)count + 1) * sizeof(struct sy_column_desc));
    if (columns == NULL)
        return no_memory(err);
    for (uint16_t i = 0; i < count; i++)
        columns[i] = sy_read_column_desc(&reader);
    sy_write_row_description(out, columns, count);
    free(columns);
    return SY_OK;
}

static enum sy_status recode_row(const char *body, size_t bytes, struct sy_buf *out,
                                 struct sy_err *err)
{
    struct sy_data_row_msg row;
    enum sy_status status = sy_data_row_read(body, bytes, &row, err);
    if (status != SY_OK)
        return status;
    struct sy_slice *values = split(row.values, row.count);
    if (values == NULL)
        return no_memory(err);
    sy_write_data_row(out, values, row.count);
    free(values);
    return SY_OK;
}

static enum sy_status recode_types(const char *body, size_t bytes, struct sy_buf *out,
                                   struct sy_err *err)
{
    uint16_t count;
    struct sy_reader reader;
    enum sy_status status = sy_parameter_description_read(body, bytes, &count, &reader, err);
    if (status != SY_OK)
        return status;
    uint32_t *types = numbers32(reader.at, count);
    if (types == NULL)
        return no_memory(err);
    sy_write_parameter_description(out, types, count);
    free(types);
    return SY_OK;
}

static enum sy_status recode_notification(const char *body, size_t bytes, struct sy_buf *out,
                                          struct sy_err *err)
{
    struct sy_notification_msg message;
    enum sy_status status = sy_notification_read(body, bytes, &message, err);
    if (status == SY_OK)
        sy_write_notification(out, message.pid, message.channel, message.payload);
    return status;
}

static enum sy_status recode_copy(char type, const char *body, size_t bytes, struct sy_buf *out,
                                  struct sy_err *err)
{
    struct sy_copy_response_msg copy;
    enum sy_status status = sy_copy_response_read(body, bytes, &copy, err);
    if (status != SY_OK)
        return status;
    uint16_t *formats = numbers16(copy.formats, copy.count);
    if (formats == NULL)
        return no_memory(err);
    sy_write_copy_response(out, type, copy.format, formats, copy.count);
    free(formats);
    return SY_OK;
}

static enum sy_status recode_result(const char *body, size_t bytes, struct sy_buf *out,
                                    struct sy_err *err)
{
    struct sy_slice value;
    enum sy_status status = sy_function_result_read(body, bytes, &value, err);
    if (status == SY_OK)
        sy_write_function_result(out, value);
    return status;
}

static enum sy_status recode_negotiate(const char *body, size_t bytes, struct sy_buf *out,
                                       struct sy_err *err)
{
    struct sy_negotiate_msg message;
    enum sy_status status = sy_negotiate_read(body, bytes, &message, err);
    if (status != SY_OK)
        return status;
    /* As many strings as bytes at most: the count was checked against what is there. */
    struct sy_slice *names = malloc(((size_t)message.option_count + 1) * sizeof(struct sy_slice));
    if (names == NULL)
        return no_memory(err);
    struct sy_reader reader = sy_reader_of(message.options.data, message.options.bytes);
    for (uint32_t i = 0; i < message.option_count; i++)
        names[i] = sy_read_cstring(&reader);
    sy_write_negotiate(out, message.newest_minor, names, message.option_count);
    free(names);
    return SY_OK;
}

enum sy_status recode_backend(char type, const char *body, size_t bytes, struct sy_buf *out,
                              struct sy_err *err)
{
    switch (type) {
    case 'R':
        return recode_auth(body, bytes, out, err);
    case 'S':
        return recode_pair(body, bytes, out, err);
    case 'K':
        return recode_key(body, bytes, out, err);
    case 'Z':
        return recode_ready(body, bytes, out, err);
    case 'E':
    case 'N':
        return recode_notice(type, body, bytes, out, err);
    case 'T':
        return recode_columns(body, bytes, out, err);
    case 'D':
        return recode_row(body, bytes, out, err);
    case 'C':
        return recode_string(type, body, bytes, out, err);
    case 't':
        return recode_types(body, bytes, out, err);
    case 'A':
        return recode_notification(body, bytes, out, err);
    case 'G':
    case 'H':
    case 'W':
        return recode_copy(type, body, bytes, out, err);
    case 'V':
        return recode_result(body, bytes, out, err);
    case 'v':
        return recode_negotiate(body, bytes, out, err);
    case 'd':
        sy_write_copy_data(out, (struct sy_slice){body, bytes});
        return SY_OK;
    case '1':
    case '2':
    case '3':
    case 'n':
    case 's':
    case 'I':
    case 'c':
        return recode_empty(type, bytes, out, err);
    default:
        return sy_err_set(err, SY_E_UNSUPPORTED, "no backend message has type %d", type);
    }
}
