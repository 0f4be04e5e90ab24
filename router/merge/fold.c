/* One aggregate at a time. The server's rules: nulls do not count, sums widen, averages are exact.
 */
#include "router/merge/fold.h"

#include <math.h>
#include <stdio.h>

enum { OID_TEXT = 25, OID_NUMERIC = 1700, OID_FLOAT8 = 701 };

void sy_fold_init(struct sy_fold *fold, const struct sy_merge_fold *what)
{
    *fold = (struct sy_fold){.what = *what};
    sy_datum_init(&fold->sum);
    sy_datum_init(&fold->next);
}

void sy_fold_release(struct sy_fold *fold)
{
    sy_datum_release(&fold->sum);
    sy_datum_release(&fold->next);
    sy_buf_release(&fold->best);
}

static bool is_integer(enum sy_datum_kind kind)
{
    return kind == SY_DATUM_INT2 || kind == SY_DATUM_INT4 || kind == SY_DATUM_INT8;
}

static bool fits(const struct sy_fold *fold, enum sy_datum_kind kind)
{
    switch (fold->what.kind) {
    case SY_FOLD_COUNT:
    case SY_FOLD_PRETTY_SIZE:
        return kind == SY_DATUM_INT8;
    case SY_FOLD_SUM: /* the type of a sum, not of its argument */
        return kind == SY_DATUM_INT8 || kind == SY_DATUM_NUMERIC || kind == SY_DATUM_FLOAT4 ||
               kind == SY_DATUM_FLOAT8;
    case SY_FOLD_AVG: /* the sum of float4 has lost digits that their average needs */
        return (kind == SY_DATUM_INT8 || kind == SY_DATUM_NUMERIC || kind == SY_DATUM_FLOAT8) &&
               fold->type.count_kind == SY_DATUM_INT8;
    case SY_FOLD_MIN:
    case SY_FOLD_MAX:
        return kind != SY_DATUM_UNKNOWN && (!sy_datum_is_text(kind) || fold->what.by_bytes);
    case SY_FOLD_BOOL_AND:
    case SY_FOLD_BOOL_OR:
        return kind == SY_DATUM_BOOL;
    case SY_FOLD_BIT_AND:
    case SY_FOLD_BIT_OR:
    case SY_FOLD_BIT_XOR:
        return is_integer(kind);
    }
    return false;
}

enum sy_status sy_fold_set_type(struct sy_fold *fold, const struct sy_fold_type *type, uint32_t oid,
                                struct sy_err *err)
{
    fold->type = *type;
    if (fits(fold, type->kind))
        return SY_OK;
    enum sy_status status =
        sy_err_set(err, SY_E_UNSUPPORTED,
                   "an aggregate of this type cannot be put together from several shards");
    sy_err_detail(err, "The type's OID is %u.", oid);
    sy_err_hint(err, "Cast its argument, for instance to numeric or double precision, or group by "
                     "the sharding key.");
    return status;
}

uint32_t sy_fold_result_type(const struct sy_fold *fold, uint32_t column_type)
{
    if (fold->what.kind == SY_FOLD_PRETTY_SIZE)
        return OID_TEXT;
    if (fold->what.kind != SY_FOLD_AVG)
        return column_type;
    return fold->type.kind == SY_DATUM_FLOAT8 ? OID_FLOAT8 : OID_NUMERIC;
}

void sy_fold_begin(struct sy_fold *fold)
{
    fold->any = false;
    fold->count = 0;
    fold->sum.integer = 0;
    fold->sum.real = 0;
    sy_decimal_set_int(&fold->sum.number, 0);
}

static enum sy_status out_of_range(const char *what, struct sy_err *err)
{
    enum sy_status status = sy_err_set(err, SY_E_VALUE, "%s", what);
    sy_err_state(err, "22003");
    return status;
}

static enum sy_status add_sum(struct sy_fold *fold, struct sy_err *err)
{
    struct sy_datum *sum = &fold->sum;
    const struct sy_datum *next = &fold->next;
    if (fold->type.kind == SY_DATUM_NUMERIC ||
        (fold->what.kind == SY_FOLD_AVG && fold->type.kind == SY_DATUM_INT8)) {
        if (fold->type.kind == SY_DATUM_INT8)
            sy_decimal_set_int(&fold->next.number, next->integer);
        sy_decimal_add(&sum->number, &next->number);
        return SY_OK;
    }
    if (fold->type.kind == SY_DATUM_INT8)
        return __builtin_add_overflow(sum->integer, next->integer, &sum->integer)
                   ? out_of_range("bigint out of range", err)
                   : SY_OK;
    bool finite = isfinite(next->real) && (!fold->any || isfinite(sum->real));
    sum->real = fold->any ? sum->real + next->real : next->real;
    if (fold->type.kind == SY_DATUM_FLOAT4)
        sum->real = (double)(float)sum->real;
    return finite && !isfinite(sum->real) ? out_of_range("value out of range: overflow", err)
                                          : SY_OK;
}

/* MIN and MAX keep the value as it was sent. */
static void keep_best(struct sy_fold *fold, struct sy_slice value)
{
    if (fold->any) {
        int order = sy_datum_compare(fold->type.kind, &fold->next, &fold->sum);
        if (fold->what.kind == SY_FOLD_MIN ? order >= 0 : order <= 0)
            return;
    }
    sy_buf_clear(&fold->best);
    if (sy_buf_reserve(&fold->best, value.bytes + 1) != NULL)
        sy_buf_append_slice(&fold->best, value);
    fold->sum.integer = fold->next.integer;
    sy_decimal_copy(&fold->sum.number, &fold->next.number);
}

static void add_bits(struct sy_fold *fold)
{
    int64_t *sum = &fold->sum.integer, next = fold->next.integer;
    if (!fold->any)
        *sum = next;
    else if (fold->what.kind == SY_FOLD_BIT_AND || fold->what.kind == SY_FOLD_BOOL_AND)
        *sum &= next;
    else if (fold->what.kind == SY_FOLD_BIT_XOR)
        *sum ^= next;
    else
        *sum |= next;
}

enum sy_status sy_fold_add(struct sy_fold *fold, struct sy_slice value, struct sy_slice count,
                           struct sy_err *err)
{
    enum sy_status status =
        sy_datum_read(&fold->next, fold->type.kind, fold->type.format, value, err);
    if (status != SY_OK || fold->next.null)
        return status;
    switch (fold->what.kind) {
    case SY_FOLD_AVG:
        status = add_sum(fold, err);
        if (status == SY_OK)
            status = sy_datum_read(&fold->next, SY_DATUM_INT8, fold->type.count_format, count, err);
        fold->count += fold->next.integer;
        break;
    case SY_FOLD_COUNT:
    case SY_FOLD_SUM:
    case SY_FOLD_PRETTY_SIZE:
        status = add_sum(fold, err);
        break;
    case SY_FOLD_MIN:
    case SY_FOLD_MAX:
        if (fold->any) /* its bytes may have moved */
            status = sy_datum_read(&fold->sum, fold->type.kind, fold->type.format,
                                   (struct sy_slice){fold->best.data, fold->best.bytes}, err);
        keep_best(fold, value);
        break;
    case SY_FOLD_BOOL_AND:
    case SY_FOLD_BOOL_OR:
    case SY_FOLD_BIT_AND:
    case SY_FOLD_BIT_OR:
    case SY_FOLD_BIT_XOR:
    default:
        add_bits(fold);
        break;
    }
    fold->any = true;
    return fold->best.failed ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging")
                             : status;
}

/* ---- results ---- */

static void write_integer(const struct sy_fold *fold, struct sy_buf *out)
{
    int64_t value = fold->sum.integer;
    if (fold->type.format == 0 && fold->type.kind == SY_DATUM_BOOL)
        sy_buf_append_u8(out, value != 0 ? 't' : 'f');
    else if (fold->type.format == 0)
        sy_buf_printf(out, "%lld", (long long)value);
    else if (fold->type.kind == SY_DATUM_BOOL)
        sy_buf_append_u8(out, (uint8_t)value);
    else if (fold->type.kind == SY_DATUM_INT2)
        sy_buf_append_u16(out, (uint16_t)value);
    else if (fold->type.kind == SY_DATUM_INT4)
        sy_buf_append_u32(out, (uint32_t)value);
    else
        sy_buf_append_u64(out, (uint64_t)value);
}

static void write_real(double value, enum sy_datum_kind kind, uint16_t format, struct sy_buf *out)
{
    uint64_t wide;
    uint32_t narrow;
    float single = (float)value;
    if (format == 0) {
        sy_float_write_text(value, kind == SY_DATUM_FLOAT4, out);
    } else if (kind == SY_DATUM_FLOAT4) {
        memcpy(&narrow, &single, sizeof(narrow));
        sy_buf_append_u32(out, narrow);
    } else {
        memcpy(&wide, &value, sizeof(wide));
        sy_buf_append_u64(out, wide);
    }
}

static void write_number(const struct sy_decimal *number, uint16_t format, struct sy_buf *out)
{
    if (format == 0)
        sy_decimal_write_text(number, out);
    else
        sy_decimal_write_binary(number, out);
}

static void write_average(const struct sy_fold *fold, struct sy_buf *out)
{
    if (fold->type.kind == SY_DATUM_FLOAT8) {
        write_real(fold->sum.real / (double)fold->count, SY_DATUM_FLOAT8, fold->type.format, out);
        return;
    }
    struct sy_decimal average;
    sy_decimal_init(&average);
    sy_decimal_average(&average, &fold->sum.number, fold->count);
    write_number(&average, fold->type.format, out);
    sy_decimal_release(&average);
}

/* As pg_size_pretty(bigint) tells it: a unit serves up to 10239.5 of it, and halves are rounded up.
 * Sizes are not negative. Source: checked against PostgreSQL 15. */
static void write_pretty_size(int64_t bytes, struct sy_buf *out)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    size_t unit = 0;
    int64_t halves = bytes / 512;
    if (bytes < 10240) {
        sy_buf_printf(out, "%lld bytes", (long long)bytes);
        return;
    }
    while (halves >= 20479 && unit + 1 < sizeof(units) / sizeof(units[0])) {
        halves /= 1024;
        unit++;
    }
    sy_buf_printf(out, "%lld %s", (long long)((halves + 1) / 2), units[unit]);
}

static void write_value(const struct sy_fold *fold, struct sy_buf *out)
{
    if (fold->what.kind == SY_FOLD_MIN || fold->what.kind == SY_FOLD_MAX)
        sy_buf_append(out, fold->best.data, fold->best.bytes);
    else if (fold->what.kind == SY_FOLD_AVG)
        write_average(fold, out);
    else if (fold->what.kind == SY_FOLD_PRETTY_SIZE)
        write_pretty_size(fold->sum.integer, out);
    else if (fold->type.kind == SY_DATUM_NUMERIC)
        write_number(&fold->sum.number, fold->type.format, out);
    else if (fold->type.kind == SY_DATUM_FLOAT4 || fold->type.kind == SY_DATUM_FLOAT8)
        write_real(fold->sum.real, fold->type.kind, fold->type.format, out);
    else
        write_integer(fold, out);
}

void sy_fold_write(const struct sy_fold *fold, struct sy_buf *out)
{
    size_t start = out->bytes;
    bool null = !fold->any || (fold->what.kind == SY_FOLD_AVG && fold->count == 0);
    sy_buf_append_u32(out, null ? UINT32_MAX : 0);
    if (null)
        return;
    write_value(fold, out);
    if (out->failed)
        return;
    uint32_t bytes = __builtin_bswap32((uint32_t)(out->bytes - start - 4));
    memcpy(out->data + start, &bytes, sizeof(bytes));
}

bool sy_fold_number(const struct sy_fold *fold, struct sy_decimal *ret_number)
{
    if (!fold->any)
        return false;
    if (fold->what.kind == SY_FOLD_AVG)
        sy_decimal_average(ret_number, &fold->sum.number, fold->count);
    else if (fold->type.kind == SY_DATUM_NUMERIC)
        sy_decimal_copy(ret_number, &fold->sum.number);
    else
        sy_decimal_set_int(ret_number, fold->sum.integer);
    return true;
}
