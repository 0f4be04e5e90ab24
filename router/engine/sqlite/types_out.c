/* To clients: stored values to text and binary forms; binding and reading of SQLite's values; the
 * types' order. */
#include <sqlite3.h>

#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/json.h"
#include "router/engine/sqlite/numeric.h"
#include "router/engine/sqlite/types_internal.h"

static enum sy_status corrupt(const struct sy_type_info *type, struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_INTERNAL, "a stored value is not of type %s", type->display);
    sy_err_state(err, "XX001");
    return SY_E_INTERNAL;
}

/* ---- text ---- */

static void bytea_out(struct sy_slice data, bool escape, struct sy_buf *out)
{
    if (!escape) {
        static const char digits[] = "0123456789abcdef";
        sy_buf_append_str(out, "\\x");
        char *place = sy_buf_reserve(out, data.bytes * 2 + 1);
        if (place == NULL)
            return;
        for (size_t i = 0; i < data.bytes; i++) {
            *place++ = digits[(unsigned char)data.data[i] >> 4];
            *place++ = digits[(unsigned char)data.data[i] & 15];
        }
        out->bytes += data.bytes * 2;
        return;
    }
    for (size_t i = 0; i < data.bytes; i++) {
        unsigned char c = (unsigned char)data.data[i];
        if (c == '\\')
            sy_buf_append_str(out, "\\\\");
        else if (c < 0x20 || c > 0x7e)
            sy_buf_printf(out, "\\%03o", c);
        else
            sy_buf_append(out, &data.data[i], 1);
    }
}

void sq_put_int(struct sy_buf *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        digits[--at] = '-';
    sy_buf_append(out, digits + at, sizeof(digits) - at);
}

static enum sy_status integer_out(const struct sy_type_info *type, int64_t value,
                                  const struct sy_type_settings *settings, struct sy_buf *out)
{
    switch (type->oid) {
    case SY_T_BOOL:
        sy_buf_append_str(out, value != 0 ? "t" : "f");
        break;
    case SY_T_DATE:
        sq_date_out(value, out);
        break;
    case SY_T_TIME:
        sq_time_out(value, out);
        break;
    case SY_T_TIMETZ: {
        int64_t us = 0;
        int32_t east = 0;
        sq_timetz_unpack(value, &us, &east);
        sq_time_out(us, out);
        sq_offset_out(east, out);
        break;
    }
    case SY_T_TIMESTAMP:
        sq_timestamp_out(value, out);
        break;
    case SY_T_TIMESTAMPTZ:
        sq_timestamptz_out(value, settings == NULL ? NULL : settings->timezone, out);
        break;
    default:
        if (strncmp(type->name, "reg", 3) == 0) {
            if (value == 0)
                sy_buf_append_str(out, "-");
            else if (type->oid == SY_T_REGTYPE && sy_type_find((uint32_t)value) != NULL)
                sy_type_format((uint32_t)value, -1, out);
            else if (settings == NULL || settings->reg_out == NULL ||
                     !settings->reg_out(settings->reg_ctx, type->oid, (uint32_t)value, out))
                sy_buf_printf(out, "%lld", (long long)value);
            break;
        }
        sq_put_int(out, value);
        break;
    }
    return SY_OK;
}

static enum sy_status encode_text(const struct sy_type_info *type, const struct sy_sqvalue *value,
                                  const struct sy_type_settings *settings, struct sy_buf *out,
                                  struct sy_err *err)
{
    if (type->storage == SY_SQ_INTEGER)
        return value->kind == SY_SQ_INTEGER ? integer_out(type, value->integer, settings, out)
                                            : corrupt(type, err);
    if (type->storage == SY_SQ_REAL) {
        double real = value->kind == SY_SQ_INTEGER ? (double)value->integer : value->real;
        if (type->oid == SY_T_FLOAT4)
            sq_float4_out((float)real, out);
        else
            sq_float8_out(real, out);
        return value->kind == SY_SQ_REAL || value->kind == SY_SQ_INTEGER ? SY_OK
                                                                         : corrupt(type, err);
    }
    if (type->oid == SY_T_BYTEA) {
        bytea_out(value->bytes, settings != NULL && settings->bytea_escape, out);
        return SY_OK;
    }
    if (value->kind == SY_SQ_INTEGER &&
        type->oid == SY_T_NUMERIC) { /* a constant that SQLite folded */
        sy_buf_printf(out, "%lld", (long long)value->integer);
        return SY_OK;
    }
    if (value->kind != SY_SQ_TEXT)
        return corrupt(type, err);
    if (type->oid == SY_T_INTERVAL) {
        struct sq_interval interval;
        if (!sq_interval_parse(value->bytes, &interval))
            return corrupt(type, err);
        sq_interval_out(&interval, out);
        return SY_OK;
    }
    sy_buf_append_slice(out, value->bytes);
    return SY_OK;
}

/* ---- binary ---- */

static void float_send(const struct sy_type_info *type, double value, struct sy_buf *out)
{
    if (type->oid == SY_T_FLOAT4) {
        float single = (float)value;
        uint32_t bits = 0;
        memcpy(&bits, &single, sizeof(bits));
        sy_buf_append_u32(out, bits);
        return;
    }
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    sy_buf_append_u64(out, bits);
}

static void integer_send(const struct sy_type_info *type, int64_t value, struct sy_buf *out)
{
    if (type->oid == SY_T_TIMETZ) {
        int64_t us = 0;
        int32_t east = 0;
        sq_timetz_unpack(value, &us, &east);
        sy_buf_append_u64(out, (uint64_t)us);
        sy_buf_append_u32(out, (uint32_t)-east);
        return;
    }
    switch (type->length) {
    case 1:
        sy_buf_append_u8(out, (uint8_t)value);
        break;
    case 2:
        sy_buf_append_u16(out, (uint16_t)value);
        break;
    case 4:
        sy_buf_append_u32(out, (uint32_t)value);
        break;
    default:
        sy_buf_append_u64(out, (uint64_t)value);
        break;
    }
}

static enum sy_status numeric_send(struct sy_slice text, struct sy_buf *out)
{
    struct sq_num num;
    bool overflow = false;
    sq_num_init(&num);
    bool ok = sq_num_parse(&num, text, &overflow);
    if (ok)
        sq_num_send(&num, out);
    sq_num_clear(&num);
    return ok ? SY_OK : SY_E_INTERNAL;
}

static enum sy_status uuid_send(struct sy_slice text, struct sy_buf *out)
{
    int high = -1;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if (c == '-')
            continue;
        int digit = c >= 'a' ? c - 'a' + 10 : c - '0';
        if (high < 0) {
            high = digit;
            continue;
        }
        sy_buf_append_u8(out, (uint8_t)(high * 16 + digit));
        high = -1;
    }
    return SY_OK;
}

static enum sy_status encode_binary(const struct sy_type_info *type, const struct sy_sqvalue *value,
                                    struct sy_buf *out, struct sy_err *err)
{
    if (type->storage == SY_SQ_INTEGER && value->kind == SY_SQ_INTEGER) {
        integer_send(type, value->integer, out);
        return SY_OK;
    }
    if (type->storage == SY_SQ_REAL) {
        float_send(type, value->kind == SY_SQ_INTEGER ? (double)value->integer : value->real, out);
        return SY_OK;
    }
    struct sy_slice text = value->bytes;
    char digits[24];
    if (value->kind == SY_SQ_INTEGER && type->oid == SY_T_NUMERIC) {
        (void)sqlite3_snprintf(sizeof(digits), digits, "%lld", (long long)value->integer);
        text = sy_slice_of(digits);
    } else if (value->kind != SY_SQ_TEXT && value->kind != SY_SQ_BLOB) {
        return corrupt(type, err);
    }
    switch (type->oid) {
    case SY_T_NUMERIC:
        return numeric_send(text, out) == SY_OK ? SY_OK : corrupt(type, err);
    case SY_T_UUID:
        return text.bytes == 36 ? uuid_send(text, out) : corrupt(type, err);
    case SY_T_INTERVAL: {
        struct sq_interval interval;
        if (!sq_interval_parse(text, &interval))
            return corrupt(type, err);
        sy_buf_append_u64(out, (uint64_t)interval.us);
        sy_buf_append_u32(out, (uint32_t)interval.days);
        sy_buf_append_u32(out, (uint32_t)interval.months);
        return SY_OK;
    }
    case SY_T_JSONB:
        sy_buf_append_u8(out, 1);
        break;
    case SY_T_RECORD:
        return sy_err_set(err, SY_E_UNSUPPORTED,
                          "records in binary format are not supported by the sqlite engine");
    default:
        break;
    }
    sy_buf_append_slice(out, text);
    return SY_OK;
}

enum sy_status sy_type_encode(uint32_t oid, int format, const struct sy_sqvalue *value,
                              const struct sy_type_settings *settings, struct sy_buf *out,
                              struct sy_err *err)
{
    const struct sy_type_info *type = sy_type_find(oid);
    if (type == NULL)
        return sy_err_set(err, SY_E_INTERNAL, "type %u is not known to the sqlite engine", oid);
    enum sy_status status = SY_OK;
    if (oid == SY_T_VOID)
        return SY_OK;
    if (type->category == 'A' && type->element != 0)
        status = value->kind == SY_SQ_TEXT
                     ? sq_array_encode(type, format, value->bytes, settings, out, err)
                     : corrupt(type, err);
    else if (format == 0)
        status = encode_text(type, value, settings, out, err);
    else
        status = encode_binary(type, value, out, err);
    if (status == SY_OK && out->failed)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return status;
}

enum sy_status sy_type_decode(uint32_t oid, int32_t typmod, int format, struct sy_slice data,
                              const struct sy_type_settings *settings, struct sy_arena *arena,
                              struct sy_sqvalue *ret_value, struct sy_err *err)
{
    const struct sy_type_info *type = sy_type_find(oid);
    struct sy_sqvalue value = {0};
    if (type == NULL)
        return sy_err_set(err, SY_E_UNSUPPORTED, "type %u is not known to the sqlite engine", oid);
    if (data.data == NULL)
        data.data = "";
    enum sy_status status = format == 0
                                ? sq_decode_text(type, typmod, data, settings, arena, &value, err)
                                : sq_decode_binary(type, data, arena, &value, err);
    bool done = format == 0 && (oid == SY_T_NUMERIC || oid == SY_T_INTERVAL);
    if (status == SY_OK && !done)
        status = sq_apply_typmod(oid, typmod, false, arena, &value, err);
    if (status == SY_OK)
        *ret_value = value;
    return status;
}

/* ---- SQLite ---- */

int sy_sqvalue_bind(sqlite3_stmt *stmt, int index, const struct sy_sqvalue *value)
{
    switch (value->kind) {
    case SY_SQ_NULL:
        return sqlite3_bind_null(stmt, index);
    case SY_SQ_INTEGER:
        return sqlite3_bind_int64(stmt, index, value->integer);
    case SY_SQ_REAL:
        return sqlite3_bind_double(stmt, index, value->real);
    case SY_SQ_TEXT:
        return sqlite3_bind_text64(stmt, index, value->bytes.data, value->bytes.bytes,
                                   SQLITE_TRANSIENT, SQLITE_UTF8);
    case SY_SQ_BLOB:
        if (value->bytes.bytes == 0)
            return sqlite3_bind_zeroblob(stmt, index, 0);
        return sqlite3_bind_blob64(stmt, index, value->bytes.data, value->bytes.bytes,
                                   SQLITE_TRANSIENT);
    }
    return SQLITE_MISUSE;
}

struct sy_sqvalue sy_sqvalue_column(sqlite3_stmt *stmt, int index)
{
    struct sy_sqvalue value = {0};
    switch (sqlite3_column_type(stmt, index)) {
    case SQLITE_INTEGER:
        value.kind = SY_SQ_INTEGER;
        value.integer = sqlite3_column_int64(stmt, index);
        break;
    case SQLITE_FLOAT:
        value.kind = SY_SQ_REAL;
        value.real = sqlite3_column_double(stmt, index);
        break;
    case SQLITE_TEXT:
        value.kind = SY_SQ_TEXT;
        value.bytes.data = (const char *)sqlite3_column_text(stmt, index);
        value.bytes.bytes = (size_t)sqlite3_column_bytes(stmt, index);
        break;
    case SQLITE_BLOB:
        value.kind = SY_SQ_BLOB;
        value.bytes.data = sqlite3_column_blob(stmt, index);
        value.bytes.bytes = (size_t)sqlite3_column_bytes(stmt, index);
        break;
    default:
        break;
    }
    return value;
}

/* ---- order ---- */

static int compare_bytes(struct sy_slice a, struct sy_slice b)
{
    size_t common = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static struct sy_slice without_blanks(struct sy_slice text)
{
    while (text.bytes > 0 && text.data[text.bytes - 1] == ' ')
        text.bytes--;
    return text;
}

static int compare_jsonb(struct sy_slice a, struct sy_slice b)
{
    struct sy_arena arena = {0};
    struct sq_json *x = NULL, *y = NULL;
    int order = 0;
    if (sq_json_parse(a, true, &arena, &x, NULL) == SY_OK &&
        sq_json_parse(b, true, &arena, &y, NULL) == SY_OK)
        order = sq_jsonb_compare(x, y);
    else
        order = compare_bytes(a, b);
    sy_arena_release(&arena);
    return order;
}

int sq_value_compare(uint32_t oid, const struct sy_sqvalue *a, const struct sy_sqvalue *b)
{
    if (a->kind == SY_SQ_INTEGER && b->kind == SY_SQ_INTEGER)
        return (a->integer > b->integer) - (a->integer < b->integer);
    if ((a->kind == SY_SQ_REAL || a->kind == SY_SQ_INTEGER) &&
        (b->kind == SY_SQ_REAL || b->kind == SY_SQ_INTEGER)) {
        double x = a->kind == SY_SQ_REAL ? a->real : (double)a->integer;
        double y = b->kind == SY_SQ_REAL ? b->real : (double)b->integer;
        return (x > y) - (x < y);
    }
    switch (oid) {
    case SY_T_NUMERIC:
        return sq_num_compare_text(a->bytes.data, a->bytes.bytes, b->bytes.data, b->bytes.bytes);
    case SY_T_INTERVAL: {
        struct sq_interval x = {0}, y = {0};
        (void)sq_interval_parse(a->bytes, &x);
        (void)sq_interval_parse(b->bytes, &y);
        return sq_interval_compare(&x, &y);
    }
    case SY_T_JSONB:
        return compare_jsonb(a->bytes, b->bytes);
    case SY_T_BPCHAR:
        return compare_bytes(without_blanks(a->bytes), without_blanks(b->bytes));
    default:
        return compare_bytes(a->bytes, b->bytes);
    }
}
