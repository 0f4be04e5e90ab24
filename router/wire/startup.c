/* The packets that have no type byte: startup, SSLRequest, GSSENCRequest, CancelRequest. Pure. */
#include <string.h>

#include "router/wire/internal.h"

enum { STARTUP_BYTES_MIN = 8, CANCEL_KEY_BYTES_MIN = 4, CANCEL_KEY_BYTES_MAX = 256 };

enum sy_status sy_startup_bytes(const char *data, size_t bytes, uint32_t *ret_bytes,
                                struct sy_err *err)
{
    if (bytes < sizeof(uint32_t)) {
        *ret_bytes = 0;
        return SY_OK;
    }
    uint32_t length = sy_u32_at(data, 0);
    if (length < STARTUP_BYTES_MIN || length > SY_LIMIT_STARTUP_BYTES)
        return sy_err_set(err, SY_E_PROTOCOL, "invalid length of startup packet");
    *ret_bytes = length;
    return SY_OK;
}

static enum sy_status read_cancel(struct sy_reader *reader, struct sy_startup *startup,
                                  struct sy_err *err)
{
    startup->kind = SY_STARTUP_CANCEL;
    startup->cancel_pid = sy_read_u32(reader);
    size_t key_bytes = sy_reader_left(reader);
    if (key_bytes < CANCEL_KEY_BYTES_MIN || key_bytes > CANCEL_KEY_BYTES_MAX)
        return sy_err_set(err, SY_E_PROTOCOL, "invalid length of cancel request");
    startup->cancel_key = sy_read_bytes(reader, key_bytes);
    return SY_OK;
}

static enum sy_status read_parameters(struct sy_reader *reader, struct sy_startup *startup,
                                      struct sy_err *err)
{
    for (;;) {
        struct sy_slice name = sy_read_cstring(reader);
        if (reader->failed || name.bytes == 0)
            break;
        struct sy_slice value = sy_read_cstring(reader);
        if (reader->failed)
            break;
        if (startup->parameter_count == SY_LIMIT_STARTUP_PARAMETERS)
            return sy_err_set(err, SY_E_PROTOCOL, "startup packet has more than %d parameters",
                              SY_LIMIT_STARTUP_PARAMETERS);
        startup->parameters[startup->parameter_count++] =
            (struct sy_startup_parameter){name, value};
        if (sy_slice_eq(name, SY_SLICE("user")))
            startup->user = value;
        else if (sy_slice_eq(name, SY_SLICE("database")))
            startup->database = value;
    }
    if (!sy_reader_done(reader))
        return sy_err_set(err, SY_E_PROTOCOL,
                          "invalid startup packet layout: expected terminator as last byte");
    if (startup->user.bytes == 0)
        return sy_err_set(err, SY_E_AUTH_SPEC,
                          "no PostgreSQL user name specified in startup packet");
    if (startup->database.bytes == 0)
        startup->database = startup->user;
    return SY_OK;
}

static enum sy_status read_session(struct sy_reader *reader, uint32_t code,
                                   struct sy_startup *startup, struct sy_err *err)
{
    startup->kind = SY_STARTUP_SESSION;
    startup->major = (uint16_t)(code >> 16);
    startup->minor = (uint16_t)(code & 0xffff);
    if (startup->major != SY_PROTOCOL_3_0 >> 16)
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0",
                          startup->major, startup->minor);
    return read_parameters(reader, startup, err);
}

enum sy_status sy_startup_read(const char *data, size_t bytes, struct sy_startup *ret_startup,
                               struct sy_err *err)
{
    uint32_t declared = 0;
    enum sy_status status = sy_startup_bytes(data, bytes, &declared, err);
    if (status != SY_OK)
        return status;
    if (declared != bytes)
        return sy_err_set(err, SY_E_PROTOCOL, "incomplete startup packet");
    struct sy_startup startup = {.kind = SY_STARTUP_SESSION};
    struct sy_reader reader = sy_reader_of(data, bytes);
    sy_read_u32(&reader);
    uint32_t code = sy_read_u32(&reader);
    switch (code) {
    case SY_CODE_SSL:
    case SY_CODE_GSSENC:
        startup.kind = code == SY_CODE_SSL ? SY_STARTUP_SSL : SY_STARTUP_GSSENC;
        if (!sy_reader_done(&reader))
            status = sy_err_set(err, SY_E_PROTOCOL, "invalid length of encryption request");
        break;
    case SY_CODE_CANCEL:
        status = read_cancel(&reader, &startup, err);
        break;
    default:
        status = read_session(&reader, code, &startup, err);
    }
    if (status == SY_OK)
        *ret_startup = startup;
    return status;
}

uint32_t sy_startup_options(const struct sy_startup *startup,
                            struct sy_slice ret_names[SY_LIMIT_STARTUP_PARAMETERS])
{
    static const char prefix[] = "_pq_.";
    uint32_t count = 0;
    for (uint32_t i = 0; i < startup->parameter_count; i++) {
        struct sy_slice name = startup->parameters[i].name;
        if (name.bytes >= sizeof(prefix) - 1 && memcmp(name.data, prefix, sizeof(prefix) - 1) == 0)
            ret_names[count++] = name;
    }
    return count;
}
