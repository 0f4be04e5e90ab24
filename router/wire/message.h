/*
 * Bodies of messages: readers that check every length by subtraction and never read past the end,
 * and writers that append whole messages to a buffer. Pure. Readers borrow: slices point into the
 * body given.
 */
#ifndef SY_ROUTER_WIRE_MESSAGE_H
#define SY_ROUTER_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/slice.h"

/* ---- a cursor over a body ---- */

struct sy_reader {
    const char *at, *end;
    bool failed; /* a read did not fit; all later reads give zero */
};

static inline struct sy_reader sy_reader_of(const char *body, size_t bytes)
{
    return (struct sy_reader){.at = body, .end = bytes == 0 ? body : body + bytes};
}
uint8_t sy_read_u8(struct sy_reader *reader);
uint16_t sy_read_u16(struct sy_reader *reader);
uint32_t sy_read_u32(struct sy_reader *reader);
struct sy_slice sy_read_bytes(struct sy_reader *reader, size_t bytes);
struct sy_slice sy_read_cstring(struct sy_reader *reader); /* without the zero byte */
static inline size_t sy_reader_left(const struct sy_reader *reader)
{
    return (size_t)(reader->end - reader->at);
}
/* True when everything was read and nothing failed: what a message must end with. */
bool sy_reader_done(const struct sy_reader *reader);

/* ---- startup phase (no type byte) ---- */

enum {
    SY_PROTOCOL_3_0 = 196608,
    SY_CODE_CANCEL = 80877102,
    SY_CODE_SSL = 80877103,
    SY_CODE_GSSENC = 80877104,
};

enum sy_startup_kind { SY_STARTUP_SSL, SY_STARTUP_GSSENC, SY_STARTUP_CANCEL, SY_STARTUP_SESSION };

struct sy_startup_parameter {
    struct sy_slice name, value;
};

struct sy_startup {
    enum sy_startup_kind kind;
    uint16_t major, minor; /* SESSION */
    struct sy_slice user, database;
    struct sy_startup_parameter
        parameters[SY_LIMIT_STARTUP_PARAMETERS]; /* all, user and database included */
    uint32_t parameter_count;
    uint32_t cancel_pid;
    struct sy_slice cancel_key; /* 4 bytes in 3.0, up to 256 in 3.2 */
};

/* Bytes of the whole packet once the first 4 are there; 0: more needed. Errors: SY_E_PROTOCOL
 * outside 8..10000. */
SY_MUST_CHECK enum sy_status sy_startup_bytes(const char *data, size_t bytes, uint32_t *ret_bytes,
                                              struct sy_err *err);
/*
 * A whole packet, as long as sy_startup_bytes() said. A newer minor version and names that begin
 * with "_pq_." are not errors: answer them with sy_write_negotiate(). database is the user when the
 * client named none. Errors: SY_E_PROTOCOL (layout, too many parameters), SY_E_UNSUPPORTED (another
 * major version), SY_E_AUTH_SPEC (no user).
 */
SY_MUST_CHECK enum sy_status sy_startup_read(const char *data, size_t bytes,
                                             struct sy_startup *ret_startup, struct sy_err *err);
/* Names of protocol options ("_pq_....") that the client asked for; room for all parameters.
 * Returns how many. */
uint32_t sy_startup_options(const struct sy_startup *startup,
                            struct sy_slice ret_names[SY_LIMIT_STARTUP_PARAMETERS]);

/* ---- frontend messages, read ---- */

struct sy_parse_msg { /* 'P' */
    struct sy_slice name, query;
    uint16_t type_count;
    const char *types; /* type_count big-endian u32 */
};
struct sy_bind_msg { /* 'B' */
    struct sy_slice portal, statement;
    uint16_t format_count, parameter_count, result_format_count;
    const char *formats, *parameters,
        *result_formats; /* raw, checked: walk with the functions below */
};
struct sy_describe_msg { /* 'D' and 'C' */
    char kind;           /* 'S' or 'P' */
    struct sy_slice name;
};
struct sy_execute_msg { /* 'E' */
    struct sy_slice portal;
    uint32_t row_limit;
};

struct sy_function_call_msg { /* 'F' */
    uint32_t function_oid;
    uint16_t format_count, argument_count, result_format;
    const char *formats, *arguments; /* raw, checked, laid out as in Bind */
};
struct sy_sasl_initial_msg {         /* first 'p' of a SASL exchange */
    struct sy_slice mechanism, data; /* data.data NULL: no initial response */
};

/*
 * All readers below: Errors: SY_E_PROTOCOL when the body is not exactly one message of its kind.
 * PostgreSQL answers that with ERROR, not FATAL: the frame's boundaries are still known.
 */
SY_MUST_CHECK enum sy_status sy_parse_read(const char *body, size_t bytes, struct sy_parse_msg *ret,
                                           struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_bind_read(const char *body, size_t bytes, struct sy_bind_msg *ret,
                                          struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_describe_read(const char *body, size_t bytes,
                                              struct sy_describe_msg *ret, struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_execute_read(const char *body, size_t bytes,
                                             struct sy_execute_msg *ret, struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_function_call_read(const char *body, size_t bytes,
                                                   struct sy_function_call_msg *ret,
                                                   struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_sasl_initial_read(const char *body, size_t bytes,
                                                  struct sy_sasl_initial_msg *ret,
                                                  struct sy_err *err);
/* One string and nothing else: Query 'Q', CopyFail 'f', PasswordMessage 'p', CommandComplete 'C'.
 */
SY_MUST_CHECK enum sy_status sy_string_read(const char *body, size_t bytes, struct sy_slice *ret,
                                            struct sy_err *err);
/* No body: Sync, Flush, Terminate, CopyDone, ParseComplete... */
SY_MUST_CHECK enum sy_status sy_empty_read(size_t bytes, struct sy_err *err);
/* Splits Bind's parameters into slices (data NULL: SQL NULL). `ret` has room for
 * bind->parameter_count. */
void sy_bind_parameters(const struct sy_bind_msg *bind, struct sy_slice *ret);
void sy_bind_formats(const struct sy_bind_msg *bind,
                     uint16_t *ret); /* bind->format_count of them */
/* Value i of a raw run of big-endian 16-bit or 32-bit numbers (formats, type OIDs). */
uint16_t sy_u16_at(const char *raw, uint32_t i);
uint32_t sy_u32_at(const char *raw, uint32_t i);
/* Splits `count` values of the form (int32 length or -1, bytes), already checked, into slices. */
void sy_split_values(const char *raw, uint16_t count, struct sy_slice *ret);

/* ---- backend messages, read ---- */

struct sy_column_desc { /* a column of RowDescription */
    struct sy_slice name;
    uint32_t table_oid;
    uint16_t attribute;
    uint32_t type_oid;
    int16_t type_size;
    int32_t type_modifier;
    uint16_t format;
};
/* Reads column after column: call sy_read_u16 for the count first. */
struct sy_column_desc sy_read_column_desc(struct sy_reader *reader);

struct sy_notice_fields { /* ErrorResponse and NoticeResponse: every field optional (data NULL) */
    struct sy_slice severity, severity_nonlocalized, sqlstate, message, detail, hint, position,
        internal_position, internal_query, where, schema, table, column, data_type, constraint,
        file, line, routine;
};
SY_MUST_CHECK enum sy_status sy_notice_read(const char *body, size_t bytes,
                                            struct sy_notice_fields *ret, struct sy_err *err);

struct sy_auth_msg { /* 'R' */
    uint32_t code;
    struct sy_slice data; /* salt, mechanisms, SASL data */
};
struct sy_pair_msg { /* ParameterStatus 'S' */
    struct sy_slice name, value;
};
struct sy_backend_key_msg { /* 'K' */
    uint32_t pid;
    struct sy_slice key; /* 4 to 256 bytes */
};
struct sy_notification_msg { /* 'A' */
    uint32_t pid;
    struct sy_slice channel, payload;
};
struct sy_copy_response_msg { /* 'G' 'H' 'W' */
    uint8_t format;
    uint16_t count;
    const char *formats; /* raw, sy_u16_at() */
};
struct sy_data_row_msg { /* 'D' */
    uint16_t count;
    const char *values; /* raw, checked: sy_split_values() */
};
struct sy_negotiate_msg { /* 'v' */
    uint32_t newest_minor, option_count;
    struct sy_slice options; /* option_count strings, raw */
};

enum {
    SY_AUTH_CODE_OK = 0,
    SY_AUTH_CODE_CLEARTEXT = 3,
    SY_AUTH_CODE_MD5 = 5,
    SY_AUTH_CODE_SASL = 10,
    SY_AUTH_CODE_SASL_CONTINUE = 11,
    SY_AUTH_CODE_SASL_FINAL = 12,
};

SY_MUST_CHECK enum sy_status sy_auth_read(const char *body, size_t bytes, struct sy_auth_msg *ret,
                                          struct sy_err *err);
/* Next name of an AuthenticationSASL list; false at its end or when it is damaged (reader->failed).
 */
bool sy_auth_next_mechanism(struct sy_reader *reader, struct sy_slice *ret_name);
SY_MUST_CHECK enum sy_status sy_parameter_status_read(const char *body, size_t bytes,
                                                      struct sy_pair_msg *ret, struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_backend_key_read(const char *body, size_t bytes,
                                                 struct sy_backend_key_msg *ret,
                                                 struct sy_err *err);
/* ReadyForQuery: 'I', 'T' or 'E'. */
SY_MUST_CHECK enum sy_status sy_ready_read(const char *body, size_t bytes, char *ret_status,
                                           struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_notification_read(const char *body, size_t bytes,
                                                  struct sy_notification_msg *ret,
                                                  struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_copy_response_read(const char *body, size_t bytes,
                                                   struct sy_copy_response_msg *ret,
                                                   struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_data_row_read(const char *body, size_t bytes,
                                              struct sy_data_row_msg *ret, struct sy_err *err);
/* RowDescription and ParameterDescription: checks the whole body and leaves the reader at the first
 * entry. */
SY_MUST_CHECK enum sy_status sy_row_description_read(const char *body, size_t bytes,
                                                     uint16_t *ret_count,
                                                     struct sy_reader *ret_columns,
                                                     struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_parameter_description_read(const char *body, size_t bytes,
                                                           uint16_t *ret_count,
                                                           struct sy_reader *ret_types,
                                                           struct sy_err *err);
/* FunctionCallResponse: data NULL for SQL NULL. */
SY_MUST_CHECK enum sy_status sy_function_result_read(const char *body, size_t bytes,
                                                     struct sy_slice *ret, struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_negotiate_read(const char *body, size_t bytes,
                                               struct sy_negotiate_msg *ret, struct sy_err *err);

/* CommandComplete's tag: "INSERT 0 5" -> 5, "SELECT 3" -> 3; false when the tag has no count. */
bool sy_tag_rows(struct sy_slice tag, uint64_t *ret_rows);

/* ---- writers: each appends one whole message; check buf->failed once at the end ---- */

/* Begin a message of a type with a length to be filled in; returns the offset for sy_msg_end().
 * type 0: no type byte. */
size_t sy_msg_begin(struct sy_buf *out, char type);
void sy_msg_end(struct sy_buf *out, size_t start);
/* Adds the zero byte. A zero inside the text would end the string early and shift all that follows:
 * out->failed. */
void sy_put_cstring(struct sy_buf *out, struct sy_slice text);
void sy_put_value(struct sy_buf *out,
                  struct sy_slice value); /* int32 length and bytes; data NULL: -1 */

/* Backend side */
void sy_write_auth(struct sy_buf *out, uint32_t code, struct sy_slice data); /* 'R' */
void sy_write_parameter_status(struct sy_buf *out, struct sy_slice name, struct sy_slice value);
void sy_write_backend_key(struct sy_buf *out, uint32_t pid, struct sy_slice key);
void sy_write_ready(struct sy_buf *out, char transaction_status);
void sy_write_command_complete(struct sy_buf *out, const char *tag);
void sy_write_empty_query(struct sy_buf *out);
/* severity "ERROR", "FATAL", "NOTICE", "WARNING"...; is_error: 'E', else 'N'. Uses status,
 * sqlstate, position, text, detail, hint. */
void sy_write_error(struct sy_buf *out, const char *severity, const struct sy_err *err);
void sy_write_notice(struct sy_buf *out, const char *severity, const struct sy_err *err);
void sy_write_notice_fields(struct sy_buf *out, char type, const struct sy_notice_fields *fields);
void sy_write_simple(struct sy_buf *out,
                     char type); /* '1' '2' '3' 'n' 's' 'c' 'S' 'H' 'X' ...: no body */
/* newest_minor: PostgreSQL sends the whole code, SY_PROTOCOL_3_0, and libpq expects that. */
void sy_write_negotiate(struct sy_buf *out, uint32_t newest_minor, const struct sy_slice *unknown,
                        uint32_t count);
void sy_write_row_description(struct sy_buf *out, const struct sy_column_desc *columns,
                              uint16_t count);
void sy_write_text_columns(struct sy_buf *out, const char *const *names,
                           uint16_t count); /* RowDescription, all text */
void sy_write_data_row(struct sy_buf *out, const struct sy_slice *values,
                       uint16_t count); /* data NULL: NULL */
void sy_write_parameter_description(struct sy_buf *out, const uint32_t *types, uint16_t count);
void sy_write_notification(struct sy_buf *out, uint32_t pid, struct sy_slice channel,
                           struct sy_slice payload);
void sy_write_copy_response(struct sy_buf *out, char type, uint8_t format, const uint16_t *formats,
                            uint16_t count); /* 'G' 'H' 'W' */
void sy_write_copy_data(struct sy_buf *out, struct sy_slice data);
void sy_write_function_result(struct sy_buf *out, struct sy_slice value); /* 'V'; data NULL: NULL */
/* Frontend side */
void sy_write_startup(struct sy_buf *out, const struct sy_startup_parameter *parameters,
                      uint32_t count);
void sy_write_startup_minor(struct sy_buf *out, uint16_t minor,
                            const struct sy_startup_parameter *parameters,
                            uint32_t count);              /* asks for 3.minor */
void sy_write_request(struct sy_buf *out, uint32_t code); /* SSL, GSSENC */
void sy_write_cancel(struct sy_buf *out, uint32_t pid, struct sy_slice key);
void sy_write_password(struct sy_buf *out, struct sy_slice data, bool terminated); /* 'p' */
void sy_write_sasl_initial(struct sy_buf *out, struct sy_slice mechanism, struct sy_slice data);
void sy_write_query(struct sy_buf *out, struct sy_slice sql);
void sy_write_parse(struct sy_buf *out, struct sy_slice name, struct sy_slice sql,
                    const uint32_t *types, uint16_t count);
struct sy_bind_values {
    struct sy_slice portal, statement;
    const uint16_t *formats, *result_formats;
    const struct sy_slice *parameters; /* data NULL: NULL */
    uint16_t format_count, parameter_count, result_format_count;
};
void sy_write_bind(struct sy_buf *out, const struct sy_bind_values *bind);
struct sy_function_call_values {
    uint32_t function_oid;
    const uint16_t *formats;
    const struct sy_slice *arguments;
    uint16_t format_count, argument_count, result_format;
};
void sy_write_function_call(struct sy_buf *out, const struct sy_function_call_values *call);
void sy_write_describe(struct sy_buf *out, char kind, struct sy_slice name);
void sy_write_close(struct sy_buf *out, char kind, struct sy_slice name);
void sy_write_execute(struct sy_buf *out, struct sy_slice portal, uint32_t row_limit);
void sy_write_copy_fail(struct sy_buf *out, struct sy_slice reason);

#endif
