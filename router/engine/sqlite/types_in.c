/* From clients: text and binary forms to stored values. */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/json.h"
#include "router/engine/sqlite/numeric.h"
#include "router/engine/sqlite/types_internal.h"

struct sy_sqvalue sq_value_int(int64_t value)
{
    return (struct sy_sqvalue){.kind = SY_SQ_INTEGER, .integer = value};
}

struct sy_sqvalue sq_value_text(struct sy_slice text)
{
    return (struct sy_sqvalue){.kind = SY_SQ_TEXT, .bytes = text};
}

enum sy_status sq_value_take(struct sy_buf *buf, struct sy_arena *arena,
                             struct sy_sqvalue *ret_value, struct sy_err *err)
{
    const char *text =
        buf->failed ? NULL : sy_arena_strndup(arena, buf->bytes == 0 ? "" : buf->data, buf->bytes);
    *ret_value = sq_value_text((struct sy_slice){text, buf->bytes});
    sy_buf_release(buf);
    return text == NULL ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory") : SY_OK;
}

enum sy_status sq_invalid(const char *type, struct sy_slice text, struct sy_err *err)
{
    return sy_err_set(err, SY_E_TEXT, "invalid input syntax for type %s: \"%.*s\"", type,
                      (int)text.bytes, text.data);
}

static enum sy_status range_error(struct sy_err *err, const char *type, struct sy_slice text)
{
    (void)sy_err_set(err, SY_E_VALUE, "value \"%.*s\" is out of range for type %s", (int)text.bytes,
                     text.data, type);
    sy_err_state(err, "22003");
    return SY_E_VALUE;
}

static struct sy_slice trim(struct sy_slice text)
{
    while (text.bytes > 0 && isspace((unsigned char)text.data[0]) != 0) {
        text.data++;
        text.bytes--;
    }
    while (text.bytes > 0 && isspace((unsigned char)text.data[text.bytes - 1]) != 0)
        text.bytes--;
    return text;
}

/* ---- numbers ---- */

static enum sy_status integer_in(const struct sy_type_info *type, struct sy_slice data, int64_t low,
                                 int64_t high, struct sy_sqvalue *ret_value, struct sy_err *err)
{
    char copy[64], *end = NULL;
    struct sy_slice text = trim(data);
    size_t sign = text.bytes > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
    if (text.bytes == sign)
        return sq_invalid(type->display, data, err);
    for (size_t i = sign; i < text.bytes; i++)
        if (isdigit((unsigned char)text.data[i]) == 0)
            return sq_invalid(type->display, data, err);
    if (text.bytes >= sizeof(copy))
        return range_error(err, type->display, data);
    memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = '\0';
    errno = 0;
    long long value = strtoll(copy, &end, 10);
    if (errno == ERANGE || value < low || value > high)
        return range_error(err, type->display, data);
    *ret_value = sq_value_int(
        type->oid == SY_T_OID || type->oid == SY_T_XID ? (int64_t)(uint32_t)value : value);
    return SY_OK;
}

static enum sy_status float_in(const struct sy_type_info *type, struct sy_slice data,
                               struct sy_sqvalue *ret_value, struct sy_err *err)
{
    char copy[512], *end = NULL;
    struct sy_slice text = trim(data);
    if (text.bytes == 0 || text.bytes >= sizeof(copy))
        return sq_invalid(type->display, data, err);
    memcpy(copy, text.data, text.bytes);
    copy[text.bytes] = '\0';
    errno = 0;
    double value = type->oid == SY_T_FLOAT4 ? (double)strtof(copy, &end) : strtod(copy, &end);
    bool word = isalpha((unsigned char)copy[copy[0] == '-' || copy[0] == '+' ? 1 : 0]) != 0;
    if (*end != '\0' || strpbrk(copy, "xX(") != NULL)
        return sq_invalid(type->display, data, err);
    if (isnan(value))
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "NaN in a floating-point value is not supported by the sqlite engine");
    if (errno == ERANGE && !word && (isinf(value) || value == 0.0)) {
        (void)sy_err_set(err, SY_E_VALUE, "\"%s\" is out of range for type %s", copy,
                         type->display);
        sy_err_state(err, "22003");
        return SY_E_VALUE;
    }
    *ret_value = (struct sy_sqvalue){.kind = SY_SQ_REAL, .real = value};
    return SY_OK;
}

static enum sy_status numeric_store(struct sq_num *num, int32_t typmod, struct sy_arena *arena,
                                    struct sy_sqvalue *ret_value, struct sy_err *err)
{
    struct sy_buf buf = {0};
    enum sy_status status = sq_num_apply_typmod(num, typmod, err);
    if (status != SY_OK)
        return status;
    sq_num_print(num, &buf);
    return sq_value_take(&buf, arena, ret_value, err);
}

static enum sy_status numeric_in(struct sy_slice data, int32_t typmod, struct sy_arena *arena,
                                 struct sy_sqvalue *ret_value, struct sy_err *err)
{
    struct sq_num num;
    bool overflow = false;
    enum sy_status status = SY_OK;
    sq_num_init(&num);
    if (sq_num_parse(&num, data, &overflow)) {
        status = numeric_store(&num, typmod, arena, ret_value, err);
    } else if (overflow) {
        status = sy_err_set(err, SY_E_VALUE, "value overflows numeric format");
        sy_err_state(err, "22003");
    } else {
        status = sq_invalid("numeric", data, err);
    }
    sq_num_clear(&num);
    return status;
}

/* ---- others ---- */

static enum sy_status bool_in(struct sy_slice data, struct sy_sqvalue *ret_value,
                              struct sy_err *err)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    struct sy_slice text = trim(data);
    for (size_t i = 0; i < 8; i++) {
        size_t least = i == 4 || i == 5 ? 2 : 1; /* "o" alone is ambiguous */
        if (text.bytes >= least && text.bytes <= strlen(words[i]) &&
            strncasecmp(text.data, words[i], text.bytes) == 0) {
            *ret_value = sq_value_int((int64_t)(i & 1));
            return SY_OK;
        }
    }
    return sq_invalid("boolean", data, err);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum sy_status uuid_in(struct sy_slice data, struct sy_arena *arena,
                              struct sy_sqvalue *ret_value, struct sy_err *err)
{
    char digits[33];
    size_t used = 0;
    struct sy_slice text = data;
    if (text.bytes >= 2 && text.data[0] == '{' && text.data[text.bytes - 1] == '}')
        text = (struct sy_slice){text.data + 1, text.bytes - 2};
    bool ok = true;
    for (size_t i = 0; i < text.bytes && ok; i++) {
        if (text.data[i] == '-') {
            ok = used > 0 && used % 4 == 0 && used < 32;
            continue;
        }
        ok = used < 32 && hex_digit(text.data[i]) >= 0;
        if (ok)
            digits[used++] = (char)tolower((unsigned char)text.data[i]);
    }
    if (!ok || used != 32)
        return sq_invalid("uuid", data, err);
    const char *out = sy_arena_printf(arena, "%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8,
                                      digits + 12, digits + 16, digits + 20);
    if (out == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *ret_value = sq_value_text((struct sy_slice){out, 36});
    return SY_OK;
}

static enum sy_status bytea_in(struct sy_slice data, struct sy_arena *arena,
                               struct sy_sqvalue *ret_value, struct sy_err *err)
{
    char *out = sy_arena_alloc(arena, data.bytes + 1);
    size_t used = 0;
    if (out == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    bool hex = data.bytes >= 2 && data.data[0] == '\\' && data.data[1] == 'x';
    for (size_t i = hex ? 2 : 0; i < data.bytes;) {
        const char *p = data.data + i;
        size_t left = data.bytes - i;
        if (hex && isspace((unsigned char)*p) != 0) {
            i++;
        } else if (hex) {
            int high = hex_digit(p[0]), low = left > 1 ? hex_digit(p[1]) : -1;
            if (high < 0 || low < 0) {
                (void)sy_err_set(err, SY_E_VALUE,
                                 left < 2 && high >= 0
                                     ? "invalid hexadecimal data: odd number of digits"
                                     : "invalid hexadecimal digit: \"%c\"",
                                 high < 0 ? p[0] : p[1]);
                return SY_E_VALUE;
            }
            out[used++] = (char)(high * 16 + low);
            i += 2;
        } else if (*p != '\\') {
            out[used++] = *p;
            i++;
        } else if (left >= 2 && p[1] == '\\') {
            out[used++] = '\\';
            i += 2;
        } else if (left >= 4 && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                   p[3] >= '0' && p[3] <= '7') {
            out[used++] = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
            i += 4;
        } else {
            return sy_err_set(err, SY_E_TEXT, "invalid input syntax for type bytea");
        }
    }
    *ret_value = (struct sy_sqvalue){.kind = SY_SQ_BLOB, .bytes = {out, used}};
    return SY_OK;
}

static enum sy_status json_in(struct sy_slice data, bool jsonb, struct sy_arena *arena,
                              struct sy_sqvalue *ret_value, struct sy_err *err)
{
    struct sq_json *root = NULL;
    enum sy_status status = sq_json_parse(data, jsonb, arena, &root, err);
    if (status != SY_OK)
        return status;
    if (!jsonb) {
        *ret_value = sq_value_text(data);
        return SY_OK;
    }
    struct sy_buf buf = {0};
    sq_jsonb_print(root, &buf);
    return sq_value_take(&buf, arena, ret_value, err);
}

/* ---- date and time ---- */

static enum sy_status datetime_in(uint32_t oid, int32_t typmod, struct sy_slice data,
                                  const struct sy_type_settings *settings, struct sy_arena *arena,
                                  struct sy_sqvalue *ret_value, struct sy_err *err)
{
    int32_t date = 0, east = 0;
    int64_t us = 0;
    enum sy_status status = SY_OK;
    if (oid == SY_T_INTERVAL) {
        struct sq_interval interval;
        struct sy_buf buf = {0};
        status = sq_interval_in(data, typmod, &interval, err);
        if (status != SY_OK)
            return status;
        sq_interval_print(&interval, &buf);
        return sq_value_take(&buf, arena, ret_value, err);
    }
    if (oid == SY_T_DATE) {
        status = sq_date_in(data, settings, &date, err);
        us = date;
    } else if (oid == SY_T_TIME || oid == SY_T_TIMETZ) {
        status = sq_time_in(data, oid == SY_T_TIMETZ, settings, &us, &east, err);
        us = sq_round_us(us, typmod);
        if (oid == SY_T_TIMETZ)
            us = sq_timetz_pack(us, east);
    } else {
        status = sq_timestamp_in(data, oid == SY_T_TIMESTAMPTZ, settings, &us, err);
        if (us != SQ_TS_INFINITY && us != SQ_TS_MINUS_INFINITY)
            us = sq_round_us(us, typmod);
    }
    *ret_value = sq_value_int(us);
    return status;
}

static enum sy_status reg_in(uint32_t oid, struct sy_slice data,
                             const struct sy_type_settings *settings, struct sy_sqvalue *ret_value,
                             struct sy_err *err)
{
    uint32_t found = 0;
    bool number = data.bytes > 0 && data.bytes < 11;
    for (size_t i = 0; i < data.bytes && number; i++)
        number = isdigit((unsigned char)data.data[i]) != 0;
    if (number) {
        uint64_t value = 0;
        for (size_t i = 0; i < data.bytes; i++)
            value = value * 10 + (uint64_t)(data.data[i] - '0');
        *ret_value = sq_value_int((int64_t)(uint32_t)value);
        return SY_OK;
    }
    if (data.bytes == 1 && data.data[0] == '-') {
        *ret_value = sq_value_int(0);
        return SY_OK;
    }
    if (settings == NULL || settings->reg_in == NULL)
        return sy_err_set(err, SY_E_UNSUPPORTED, "names of objects are not known here");
    if (!settings->reg_in(settings->reg_ctx, oid, data, &found, err))
        return err == NULL || err->status == SY_OK ? SY_E_NOT_FOUND : err->status;
    *ret_value = sq_value_int(found);
    return SY_OK;
}

static enum sy_status string_in(uint32_t oid, struct sy_slice data, struct sy_arena *arena,
                                struct sy_sqvalue *ret_value, struct sy_err *err)
{
    if (memchr(data.data == NULL ? "" : data.data, 0, data.bytes) != NULL) {
        (void)sy_err_set(err, SY_E_VALUE, "invalid byte sequence for encoding \"UTF8\": 0x00");
        sy_err_state(err, "22021");
        return SY_E_VALUE;
    }
    if (oid == SY_T_CHAR && data.bytes > 1)
        data.bytes = 1;
    if (oid == SY_T_NAME && data.bytes > 63)
        data.bytes = 63;
    (void)arena;
    *ret_value = sq_value_text(data);
    return SY_OK;
}

enum sy_status sq_decode_text(const struct sy_type_info *type, int32_t typmod, struct sy_slice data,
                              const struct sy_type_settings *settings, struct sy_arena *arena,
                              struct sy_sqvalue *ret_value, struct sy_err *err)
{
    if (type->category == 'A' && type->element != 0)
        return sq_array_decode(type, 0, data, settings, arena, ret_value, err);
    switch (type->oid) {
    case SY_T_BOOL:
        return bool_in(data, ret_value, err);
    case SY_T_INT2:
        return integer_in(type, data, INT16_MIN, INT16_MAX, ret_value, err);
    case SY_T_INT4:
        return integer_in(type, data, INT32_MIN, INT32_MAX, ret_value, err);
    case SY_T_INT8:
        return integer_in(type, data, INT64_MIN, INT64_MAX, ret_value, err);
    case SY_T_OID:
    case SY_T_XID:
        return integer_in(type, data, INT32_MIN, UINT32_MAX, ret_value, err);
    case SY_T_FLOAT4:
    case SY_T_FLOAT8:
        return float_in(type, data, ret_value, err);
    case SY_T_NUMERIC:
        return numeric_in(data, typmod, arena, ret_value, err);
    case SY_T_UUID:
        return uuid_in(data, arena, ret_value, err);
    case SY_T_BYTEA:
        return bytea_in(data, arena, ret_value, err);
    case SY_T_JSON:
    case SY_T_JSONB:
        return json_in(data, type->oid == SY_T_JSONB, arena, ret_value, err);
    case SY_T_DATE:
    case SY_T_TIME:
    case SY_T_TIMETZ:
    case SY_T_TIMESTAMP:
    case SY_T_TIMESTAMPTZ:
    case SY_T_INTERVAL:
        return datetime_in(type->oid, typmod, data, settings, arena, ret_value, err);
    case SY_T_RECORD:
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "input of anonymous composite types is not implemented");
    default:
        if (strncmp(type->name, "reg", 3) == 0)
            return reg_in(type->oid, data, settings, ret_value, err);
        return string_in(type->oid, data, arena, ret_value, err);
    }
}

/* ---- binary ---- */

static int64_t big_endian(struct sy_slice data)
{
    uint64_t value = data.bytes > 0 && (data.data[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (size_t i = 0; i < data.bytes; i++)
        value = value << 8 | (unsigned char)data.data[i];
    return (int64_t)value;
}

static enum sy_status binary_error(struct sy_err *err, const char *type)
{
    (void)sy_err_set(err, SY_E_TEXT, "incorrect binary data format for type %s", type);
    sy_err_state(err, "22P03");
    return SY_E_TEXT;
}

static enum sy_status float_recv(const struct sy_type_info *type, struct sy_slice data,
                                 struct sy_sqvalue *ret_value, struct sy_err *err)
{
    double value = 0;
    uint64_t bits = (uint64_t)big_endian(data);
    if (type->oid == SY_T_FLOAT4) {
        float single = 0;
        uint32_t half = (uint32_t)bits;
        memcpy(&single, &half, sizeof(single));
        value = (double)single;
    } else {
        memcpy(&value, &bits, sizeof(value));
    }
    if (isnan(value))
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "NaN in a floating-point value is not supported by the sqlite engine");
    *ret_value = (struct sy_sqvalue){.kind = SY_SQ_REAL, .real = value};
    return SY_OK;
}

static enum sy_status wide_recv(const struct sy_type_info *type, struct sy_slice data,
                                struct sy_arena *arena, struct sy_sqvalue *ret_value,
                                struct sy_err *err)
{
    struct sy_buf buf = {0};
    if (type->oid == SY_T_TIMETZ) {
        int64_t us = big_endian((struct sy_slice){data.data, 8});
        int64_t west = big_endian((struct sy_slice){data.data + 8, 4});
        *ret_value = sq_value_int(sq_timetz_pack(us, (int32_t)-west));
        return SY_OK;
    }
    if (type->oid == SY_T_UUID) {
        for (size_t i = 0; i < 16; i++)
            sy_buf_printf(&buf, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                          (unsigned char)data.data[i]);
    } else {
        struct sq_interval interval = {(int32_t)big_endian((struct sy_slice){data.data + 12, 4}),
                                       (int32_t)big_endian((struct sy_slice){data.data + 8, 4}),
                                       big_endian((struct sy_slice){data.data, 8})};
        sq_interval_print(&interval, &buf);
    }
    return sq_value_take(&buf, arena, ret_value, err);
}

static enum sy_status numeric_recv(struct sy_slice data, struct sy_arena *arena,
                                   struct sy_sqvalue *ret_value, struct sy_err *err)
{
    struct sq_num num;
    sq_num_init(&num);
    enum sy_status status = sq_num_recv(&num, data, err);
    if (status == SY_OK)
        status = numeric_store(&num, -1, arena, ret_value, err);
    sq_num_clear(&num);
    return status;
}

enum sy_status sq_decode_binary(const struct sy_type_info *type, struct sy_slice data,
                                struct sy_arena *arena, struct sy_sqvalue *ret_value,
                                struct sy_err *err)
{
    if (type->category == 'A' && type->element != 0)
        return sq_array_decode(type, 1, data, NULL, arena, ret_value, err);
    if (type->length > 0 && type->oid != SY_T_NAME && data.bytes != (size_t)type->length)
        return binary_error(err, type->display);
    switch (type->oid) {
    case SY_T_BOOL:
        *ret_value = sq_value_int(data.data[0] != 0);
        return SY_OK;
    case SY_T_FLOAT4:
    case SY_T_FLOAT8:
        return float_recv(type, data, ret_value, err);
    case SY_T_NUMERIC:
        return numeric_recv(data, arena, ret_value, err);
    case SY_T_UUID:
    case SY_T_TIMETZ:
    case SY_T_INTERVAL:
        return wide_recv(type, data, arena, ret_value, err);
    case SY_T_BYTEA:
        *ret_value = (struct sy_sqvalue){.kind = SY_SQ_BLOB,
                                         .bytes = {data.data == NULL ? "" : data.data, data.bytes}};
        return SY_OK;
    case SY_T_JSONB:
        if (data.bytes < 1 || data.data[0] != 1)
            return binary_error(err, "jsonb");
        return json_in((struct sy_slice){data.data + 1, data.bytes - 1}, true, arena, ret_value,
                       err);
    case SY_T_JSON:
        return json_in(data, false, arena, ret_value, err);
    default:
        break;
    }
    if (type->storage == SY_SQ_INTEGER) {
        int64_t value = big_endian(data);
        bool is_unsigned =
            type->oid == SY_T_OID || type->oid == SY_T_XID || strncmp(type->name, "reg", 3) == 0;
        *ret_value = sq_value_int(is_unsigned ? (int64_t)(uint32_t)value : value);
        return SY_OK;
    }
    return string_in(type->oid, data, arena, ret_value, err);
}

/* ---- length and precision ---- */

static size_t utf8_prefix(struct sy_slice text, size_t characters)
{
    size_t i = 0;
    while (i < text.bytes && characters > 0) {
        i++;
        while (i < text.bytes && ((unsigned char)text.data[i] & 0xc0) == 0x80)
            i++;
        characters--;
    }
    return i;
}

static size_t utf8_length(struct sy_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.bytes; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

static enum sy_status limit_string(uint32_t oid, size_t limit, bool explicit_cast,
                                   struct sy_arena *arena, struct sy_sqvalue *value,
                                   struct sy_err *err)
{
    size_t length = utf8_length(value->bytes);
    if (length > limit) {
        size_t prefix = utf8_prefix(value->bytes, limit);
        for (size_t i = prefix; i < value->bytes.bytes && !explicit_cast; i++)
            if (value->bytes.data[i] != ' ') {
                (void)sy_err_set(err, SY_E_VALUE, "value too long for type %s(%zu)",
                                 oid == SY_T_BPCHAR ? "character" : "character varying", limit);
                sy_err_state(err, "22001");
                return SY_E_VALUE;
            }
        value->bytes.bytes = prefix;
    } else if (oid == SY_T_BPCHAR && length < limit) {
        size_t padding = limit - length;
        char *out = sy_arena_alloc(arena, value->bytes.bytes + padding + 1);
        if (out == NULL)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        memcpy(out, value->bytes.data, value->bytes.bytes);
        memset(out + value->bytes.bytes, ' ', padding);
        value->bytes = (struct sy_slice){out, value->bytes.bytes + padding};
    }
    return SY_OK;
}

enum sy_status sq_apply_typmod(uint32_t oid, int32_t typmod, bool explicit_cast,
                               struct sy_arena *arena, struct sy_sqvalue *value, struct sy_err *err)
{
    if (typmod < 0 || value->kind == SY_SQ_NULL)
        return SY_OK;
    switch (oid) {
    case SY_T_VARCHAR:
    case SY_T_BPCHAR:
        return limit_string(oid, (size_t)(typmod - 4), explicit_cast, arena, value, err);
    case SY_T_NUMERIC:
        return numeric_in(value->bytes, typmod, arena, value, err);
    case SY_T_TIME:
        value->integer = sq_round_us(value->integer, typmod);
        return SY_OK;
    case SY_T_TIMETZ: {
        int64_t us = 0;
        int32_t east = 0;
        sq_timetz_unpack(value->integer, &us, &east);
        value->integer = sq_timetz_pack(sq_round_us(us, typmod), east);
        return SY_OK;
    }
    case SY_T_TIMESTAMP:
    case SY_T_TIMESTAMPTZ:
        if (value->integer != SQ_TS_INFINITY && value->integer != SQ_TS_MINUS_INFINITY)
            value->integer = sq_round_us(value->integer, typmod);
        return SY_OK;
    case SY_T_INTERVAL: {
        struct sq_interval interval;
        struct sy_buf buf = {0};
        if (!sq_interval_parse(value->bytes, &interval))
            return SY_OK;
        sq_interval_out(&interval, &buf);
        enum sy_status status =
            sq_interval_in((struct sy_slice){buf.data, buf.bytes}, typmod, &interval, err);
        sy_buf_clear(&buf);
        sq_interval_print(&interval, &buf);
        return status != SY_OK ? status : sq_value_take(&buf, arena, value, err);
    }
    default:
        return SY_OK;
    }
}
