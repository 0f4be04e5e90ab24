/*
 * Keys from text and from binary, by the rules of PostgreSQL's input and receive functions. What
 * these rules leave to the server (settings, newer versions' syntax) is SY_E_UNSUPPORTED: the
 * caller then treats the value as unknown. Pure; any thread.
 */
#include "router/plan/key.h"

#include <endian.h>

struct type_row {
    const char *name;
    struct sy_slice catalog_name;
    uint32_t oid, array_oid;
};

static const struct type_row types[] = {
    [SY_KEY_INT2] = {"smallint", {"int2", 4}, SY_OID_INT2, SY_OID_INT2_ARRAY},
    [SY_KEY_INT4] = {"integer", {"int4", 4}, SY_OID_INT4, SY_OID_INT4_ARRAY},
    [SY_KEY_INT8] = {"bigint", {"int8", 4}, SY_OID_INT8, SY_OID_INT8_ARRAY},
    [SY_KEY_TEXT] = {"text", {"text", 4}, SY_OID_TEXT, SY_OID_TEXT_ARRAY},
    [SY_KEY_VARCHAR] = {"character varying", {"varchar", 7}, SY_OID_VARCHAR, SY_OID_VARCHAR_ARRAY},
    [SY_KEY_BPCHAR] = {"character", {"bpchar", 6}, SY_OID_BPCHAR, SY_OID_BPCHAR_ARRAY},
    [SY_KEY_UUID] = {"uuid", {"uuid", 4}, SY_OID_UUID, SY_OID_UUID_ARRAY},
    [SY_KEY_DATE] = {"date", {"date", 4}, SY_OID_DATE, SY_OID_DATE_ARRAY},
    [SY_KEY_TIMESTAMP] = {"timestamp without time zone",
                          {"timestamp", 9},
                          SY_OID_TIMESTAMP,
                          SY_OID_TIMESTAMP_ARRAY},
    [SY_KEY_TIMESTAMPTZ] = {"timestamp with time zone",
                            {"timestamptz", 11},
                            SY_OID_TIMESTAMPTZ,
                            SY_OID_TIMESTAMPTZ_ARRAY},
};
enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]) };

const char *sy_key_type_name(enum sy_key_type type)
{
    return types[type].name;
}

bool sy_key_type_from_catalog(struct sy_slice name, enum sy_key_type *ret_type)
{
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        if (sy_slice_eq(types[i].catalog_name, name)) {
            *ret_type = (enum sy_key_type)i;
            return true;
        }
    return false;
}

bool sy_key_type_from_oid(uint32_t oid, enum sy_key_type *ret_type)
{
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        if (types[i].oid == oid) {
            *ret_type = (enum sy_key_type)i;
            return true;
        }
    return false;
}

bool sy_key_type_from_array_oid(uint32_t oid, enum sy_key_type *ret_type)
{
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        if (types[i].array_oid == oid) {
            *ret_type = (enum sy_key_type)i;
            return true;
        }
    return false;
}

static struct sy_slice without_blanks(struct sy_slice text)
{
    while (text.bytes > 0 && text.data[text.bytes - 1] == ' ')
        text.bytes--;
    return text;
}

int sy_key_compare(const struct sy_key *a, const struct sy_key *b)
{
    if (sy_key_is_text(a->type)) {
        struct sy_slice x = a->type == SY_KEY_BPCHAR ? without_blanks(a->text) : a->text;
        struct sy_slice y = b->type == SY_KEY_BPCHAR ? without_blanks(b->text) : b->text;
        size_t common = x.bytes < y.bytes ? x.bytes : y.bytes;
        int order = common == 0 ? 0 : memcmp(x.data, y.data, common);
        return order != 0 ? order : (x.bytes > y.bytes) - (x.bytes < y.bytes);
    }
    if (a->type == SY_KEY_UUID)
        return memcmp(a->uuid, b->uuid, sizeof(a->uuid));
    return (a->integer > b->integer) - (a->integer < b->integer);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int shown(struct sy_slice text)
{
    return (int)(text.bytes < 200 ? text.bytes : 200);
}

static enum sy_status bad_text(enum sy_key_type type, struct sy_slice text, struct sy_err *err)
{
    return sy_err_set(err, SY_E_TEXT, "invalid input syntax for type %s: \"%.*s\"",
                      sy_key_type_name(type), shown(text), text.data == NULL ? "" : text.data);
}

static enum sy_status out_of_range(enum sy_key_type type, struct sy_slice text, struct sy_err *err)
{
    enum sy_status status = sy_err_set(err, SY_E_TEXT, "value \"%.*s\" is out of range for type %s",
                                       shown(text), text.data, sy_key_type_name(type));
    sy_err_state(err, "22003");
    return status;
}

/* Digits as a negative number, so that the smallest int8 fits. */
static enum sy_status integer_from_text(enum sy_key_type type, struct sy_slice text,
                                        struct sy_key *ret_key, struct sy_err *err)
{
    const char *at = text.data;
    const char *end = text.data == NULL ? NULL : text.data + text.bytes;
    while (at < end && is_space(*at))
        at++;
    bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+'))
        at++;
    if (at == end || *at < '0' || *at > '9')
        return bad_text(type, text, err);
    int64_t value = 0;
    bool overflow = false;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        overflow |= __builtin_mul_overflow(value, 10, &value) ||
                    __builtin_sub_overflow(value, *at - '0', &value);
    while (at < end && is_space(*at))
        at++;
    if (at != end)
        return bad_text(type, text, err);
    if (!negative)
        overflow |= __builtin_sub_overflow(0, value, &value);
    if (overflow || (type == SY_KEY_INT4 && (value < INT32_MIN || value > INT32_MAX)) ||
        (type == SY_KEY_INT2 && (value < INT16_MIN || value > INT16_MAX)))
        return out_of_range(type, text, err);
    *ret_key = (struct sy_key){.type = type, .integer = value};
    return SY_OK;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* 32 hex digits, a hyphen allowed after each group of four, braces allowed around all. */
static enum sy_status uuid_from_text(struct sy_slice text, struct sy_key *ret_key,
                                     struct sy_err *err)
{
    struct sy_key key = {.type = SY_KEY_UUID};
    size_t at = 0;
    bool braces = text.bytes > 0 && text.data[0] == '{';
    if (braces)
        at++;
    for (unsigned i = 0; i < 16; i++) {
        int high = at + 1 < text.bytes ? hex_digit(text.data[at]) : -1;
        int low = high >= 0 ? hex_digit(text.data[at + 1]) : -1;
        if (low < 0)
            return bad_text(SY_KEY_UUID, text, err);
        key.uuid[i] = (uint8_t)(high << 4 | low);
        at += 2;
        if (i % 2 == 1 && i < 15 && at < text.bytes && text.data[at] == '-')
            at++;
    }
    if (braces && (at >= text.bytes || text.data[at++] != '}'))
        return bad_text(SY_KEY_UUID, text, err);
    if (at != text.bytes)
        return bad_text(SY_KEY_UUID, text, err);
    *ret_key = key;
    return SY_OK;
}

static enum sy_status text_key(enum sy_key_type type, struct sy_slice text,
                               const struct sy_key_context *context, struct sy_key *ret_key,
                               struct sy_err *err)
{
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.data[i] == '\0')
            return sy_err_set(err, SY_E_UNSUPPORTED, "a zero byte in a text key");
        if (context != NULL && context->server_encoding_differs &&
            (unsigned char)text.data[i] >= 0x80)
            return sy_err_set(
                err, SY_E_UNSUPPORTED,
                "a text key outside ASCII while client_encoding differs from the server's");
    }
    *ret_key =
        (struct sy_key){.type = type, .text = type == SY_KEY_BPCHAR ? without_blanks(text) : text};
    return SY_OK;
}

enum sy_status sy_key_from_text(enum sy_key_type type, struct sy_slice text,
                                const struct sy_key_context *context, struct sy_key *ret_key,
                                struct sy_err *err)
{
    switch (type) {
    case SY_KEY_INT2:
    case SY_KEY_INT4:
    case SY_KEY_INT8:
        return integer_from_text(type, text, ret_key, err);
    case SY_KEY_UUID:
        return uuid_from_text(text, ret_key, err);
    case SY_KEY_TEXT:
    case SY_KEY_VARCHAR:
    case SY_KEY_BPCHAR:
        return text_key(type, text, context, ret_key, err);
    case SY_KEY_DATE:
    case SY_KEY_TIMESTAMP:
    case SY_KEY_TIMESTAMPTZ:
        return sy_key_time_from_text(type, text, context, ret_key, err);
    }
    return sy_err_set(err, SY_E_INTERNAL, "unknown key type %d", (int)type);
}

static bool integer_from_binary(struct sy_slice value, int64_t *ret_value)
{
    uint64_t raw = 0;
    memcpy((char *)&raw + (8 - value.bytes), value.data, value.bytes);
    raw = be64toh(raw);
    if (value.bytes == 8)
        *ret_value = (int64_t)raw;
    else if (value.bytes == 4)
        *ret_value = (int32_t)(uint32_t)raw;
    else
        *ret_value = (int16_t)(uint16_t)raw;
    return true;
}

static enum sy_status bad_binary(enum sy_key_type type, struct sy_err *err)
{
    enum sy_status status = sy_err_set(err, SY_E_TEXT, "incorrect binary data format for type %s",
                                       sy_key_type_name(type));
    sy_err_state(err, "22P03");
    return status;
}

/* Bytes that a value of a fixed-width type must have; 0: any. */
static size_t width_of(enum sy_key_type type)
{
    static const unsigned char widths[] = {
        [SY_KEY_INT2] = 2, [SY_KEY_INT4] = 4,      [SY_KEY_INT8] = 8,       [SY_KEY_UUID] = 16,
        [SY_KEY_DATE] = 4, [SY_KEY_TIMESTAMP] = 8, [SY_KEY_TIMESTAMPTZ] = 8};
    return type < sizeof(widths) ? widths[type] : 0;
}

/* Whether a binary value of type `source` is a value of type `type` without knowing the session's
 * settings. */
static bool same_family(enum sy_key_type type, enum sy_key_type source)
{
    return type == source || (sy_key_is_integer(type) && sy_key_is_integer(source)) ||
           (sy_key_is_text(type) && sy_key_is_text(source));
}

enum sy_status sy_key_from_binary(enum sy_key_type type, uint32_t type_oid, struct sy_slice value,
                                  struct sy_key *ret_key, struct sy_err *err)
{
    enum sy_key_type source = type;
    if (type_oid == SY_OID_UNKNOWN && sy_key_is_text(type))
        type_oid = 0;
    if (type_oid != 0 && (!sy_key_type_from_oid(type_oid, &source) || !same_family(type, source)))
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "a binary value of type OID %u for a key of type %s", type_oid,
                          sy_key_type_name(type));
    size_t bytes = value.bytes;
    if (sy_key_is_integer(type)) {
        /* Without a declared type the server infers the column's, which may be narrower than the
         * keyspace's. */
        if (type_oid != 0 ? bytes != width_of(source) : bytes != 2 && bytes != 4 && bytes != 8)
            return bad_binary(source, err);
        struct sy_key key = {.type = type};
        integer_from_binary(value, &key.integer);
        *ret_key = key;
        return SY_OK;
    }
    if (sy_key_is_text(type))
        return text_key(type, value, NULL, ret_key, err);
    if (bytes != width_of(type))
        return bad_binary(type, err);
    struct sy_key key = {.type = type};
    if (type == SY_KEY_UUID)
        memcpy(key.uuid, value.data, sizeof(key.uuid));
    else
        integer_from_binary(value, &key.integer);
    *ret_key = key;
    return SY_OK;
}
