/* Aggregates: exact sums, single-row subqueries, those that collect rows (with ORDER BY and
 * DISTINCT inside). */
#include <math.h>
#include <stdlib.h>

#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/json.h"
#include "router/engine/sqlite/numeric.h"

/* ---- sums of exact numbers ---- */

struct sum_state {
    bool ready;
    int64_t count;
    struct sq_num sum, squares;
    int64_t
        scales[40]; /* how many values have this scale: a sum shows the largest one still there */
};

static bool sum_begin(struct sq_call *call, struct sum_state *s, struct sq_num *ret_value)
{
    bool overflow = false;
    if (sqlite3_value_type(call->argv[0]) == SQLITE_NULL)
        return false;
    if (!s->ready) {
        sq_num_init(&s->sum);
        sq_num_init(&s->squares);
        s->ready = true;
    }
    sq_num_init(ret_value);
    (void)sq_num_parse(ret_value, sq_arg_text(call, 0), &overflow);
    return true;
}

static void sum_move(struct sq_call *call, void *state, bool add)
{
    struct sum_state *s = state;
    struct sq_num value, square, out;
    if (!sum_begin(call, s, &value))
        return;
    sq_num_init(&square);
    sq_num_init(&out);
    sq_num_mul(&square, &value, &value);
    (add ? sq_num_add : sq_num_sub)(&out, &s->sum, &value);
    sq_num_set(&s->sum, &out);
    (add ? sq_num_add : sq_num_sub)(&out, &s->squares, &square);
    sq_num_set(&s->squares, &out);
    s->scales[value.scale < 40 ? value.scale : 39] += add ? 1 : -1;
    s->count += add ? 1 : -1;
    sq_num_clear(&value);
    sq_num_clear(&square);
    sq_num_clear(&out);
}

static void sum_step(struct sq_call *call, void *state)
{
    sum_move(call, state, true);
}

static void sum_inverse(struct sq_call *call, void *state)
{
    sum_move(call, state, false);
}

static void sum_release(void *state)
{
    struct sum_state *s = state;
    if (!s->ready)
        return;
    sq_num_clear(&s->sum);
    sq_num_clear(&s->squares);
    s->ready = false;
}

static void return_num(struct sq_call *call, const struct sq_num *num)
{
    struct sy_buf buf = {0};
    sq_num_print(num, &buf);
    sq_return_buf(call, &buf);
}

static int32_t shown_scale(const struct sum_state *s)
{
    int32_t scale = 38;
    if (s->scales[39] > 0)
        return s->sum.scale;
    while (scale > 0 && s->scales[scale] == 0)
        scale--;
    return scale;
}

static void sum_value(struct sq_call *call, void *state)
{
    struct sum_state *s = state;
    if (s == NULL || s->count == 0)
        return;
    struct sq_num out;
    sq_num_init(&out);
    sq_num_set(&out, &s->sum);
    sq_num_trunc(&out, shown_scale(s));
    return_num(call, &out);
    sq_num_clear(&out);
}

static void avg_value(struct sq_call *call, void *state)
{
    struct sum_state *s = state;
    struct sq_num count, sum, out;
    if (s == NULL || s->count == 0)
        return;
    sq_num_init(&count);
    sq_num_init(&sum);
    sq_num_init(&out);
    sq_num_set_int(&count, s->count);
    sq_num_set(&sum, &s->sum);
    sq_num_trunc(&sum, shown_scale(s));
    sq_num_div(&out, &sum, &count);
    return_num(call, &out);
    sq_num_clear(&count);
    sq_num_clear(&sum);
    sq_num_clear(&out);
}

/* ---- sums of floats: SQLite's own make NULL of infinity - infinity ---- */

struct real_state {
    int64_t count, positive, negative; /* infinite ones are not in the sum */
    double sum;
};

static void real_move(struct sq_call *call, void *state, int sign)
{
    struct real_state *s = state;
    if (sqlite3_value_type(call->argv[0]) == SQLITE_NULL)
        return;
    double value = sq_arg_real(call, 0);
    s->count += sign;
    if (isinf(value))
        *(value > 0 ? &s->positive : &s->negative) += sign;
    else
        s->sum += sign * value;
    if (isinf(s->sum))
        sq_fail(call, "22003", "value out of range: overflow");
}

static void real_step(struct sq_call *call, void *state)
{
    real_move(call, state, 1);
}

static void real_inverse(struct sq_call *call, void *state)
{
    real_move(call, state, -1);
}

static void real_return(struct sq_call *call, const struct real_state *s, double finite)
{
    if (s->positive > 0 && s->negative > 0)
        sq_fail(call, "0A000",
                "NaN in a floating-point value is not supported by the sqlite engine");
    else if (s->positive > 0 || s->negative > 0)
        sq_return_real(call, s->positive > 0 ? INFINITY : -INFINITY);
    else
        sq_return_real(call, finite);
}

static void real_sum(struct sq_call *call, void *state)
{
    const struct real_state *s = state;
    if (s != NULL && s->count > 0)
        real_return(call, s, s->sum);
}

static void real_average(struct sq_call *call, void *state)
{
    const struct real_state *s = state;
    if (s != NULL && s->count > 0)
        real_return(call, s, s->sum / (double)s->count);
}

/* Variance and deviation of exact numbers; the mode is argument 1 (see stat_step). */
struct spread_state {
    struct sum_state sums;
    int64_t mode;
};

static void spread_step(struct sq_call *call, void *state)
{
    struct spread_state *s = state;
    s->mode = sq_arg_int(call, 1);
    sum_move(call, &s->sums, true);
}

static void spread_inverse(struct sq_call *call, void *state)
{
    struct spread_state *s = state;
    sum_move(call, &s->sums, false);
}

static void spread_release(void *state)
{
    struct spread_state *s = state;
    sum_release(&s->sums);
}

/* (n * sum(x^2) - sum(x)^2) / (n * (n or n - 1)) */
static void spread_value(struct sq_call *call, void *state)
{
    struct spread_state *s = state;
    bool sample = s != NULL && (s->mode & 1) != 0;
    if (s == NULL || s->sums.count < (sample ? 2 : 1))
        return;
    struct sq_num n, a, b, top, bottom, out, root;
    struct sq_num *const all[] = {&n, &a, &b, &top, &bottom, &out, &root};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        sq_num_init(all[i]);
    sq_num_set_int(&n, s->sums.count);
    sq_num_mul(&a, &n, &s->sums.squares);
    sq_num_mul(&b, &s->sums.sum, &s->sums.sum);
    sq_num_sub(&top, &a, &b);
    sq_num_set_int(&a, sample ? s->sums.count - 1 : s->sums.count);
    sq_num_mul(&bottom, &n, &a);
    if (mpz_sgn(top.coefficient) <= 0) {
        sq_num_set_int(&out, 0);
        return_num(call, &out);
    } else {
        int32_t scale = sq_num_div_scale(&top, &bottom);
        sq_num_div_to(&out, &top, &bottom, scale);
        if (s->mode < 2)
            sq_num_sqrt(&root, &out, scale);
        return_num(call, s->mode < 2 ? &root : &out);
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        sq_num_clear(all[i]);
}

/* ---- subqueries of one row ---- */

struct single_state {
    sqlite3_value *value;
    int64_t count;
};

static void single_step(struct sq_call *call, void *state)
{
    struct single_state *s = state;
    if (++s->count > 1) {
        sq_fail(call, "21000", "more than one row returned by a subquery used as an expression");
        return;
    }
    s->value = sqlite3_value_dup(call->argv[0]);
}

static void single_value(struct sq_call *call, void *state)
{
    struct single_state *s = state;
    if (s != NULL && s->value != NULL)
        sqlite3_result_value(call->context, s->value);
}

static void single_release(void *state)
{
    struct single_state *s = state;
    sqlite3_value_free(s->value);
    s->value = NULL;
}

/* ---- bits ---- */

struct bit_state {
    bool any;
    int64_t value;
};

static void bits(struct sq_call *call, void *state, char op)
{
    struct bit_state *s = state;
    if (sqlite3_value_type(call->argv[0]) == SQLITE_NULL)
        return;
    int64_t value = sq_arg_int(call, 0);
    if (!s->any)
        s->value = value;
    else
        s->value = op == '&' ? s->value & value : op == '|' ? s->value | value : s->value ^ value;
    s->any = true;
}

static void bit_and_step(struct sq_call *call, void *state)
{
    bits(call, state, '&');
}

static void bit_or_step(struct sq_call *call, void *state)
{
    bits(call, state, '|');
}

static void bit_xor_step(struct sq_call *call, void *state)
{
    bits(call, state, '^');
}

static void bit_value(struct sq_call *call, void *state)
{
    const struct bit_state *s = state;
    if (s != NULL && s->any)
        sq_return_int(call, s->value);
}

/* ---- intervals ---- */

struct interval_state {
    int64_t count, months, days, us;
};

static void interval_move(struct sq_call *call, void *state, int64_t sign)
{
    struct interval_state *s = state;
    struct sq_interval v;
    if (sqlite3_value_type(call->argv[0]) == SQLITE_NULL ||
        !sq_interval_parse(sq_arg_text(call, 0), &v))
        return;
    s->count += sign;
    s->months += sign * v.months;
    s->days += sign * v.days;
    s->us += sign * v.us;
}

static void interval_step(struct sq_call *call, void *state)
{
    interval_move(call, state, 1);
}

static void interval_inverse(struct sq_call *call, void *state)
{
    interval_move(call, state, -1);
}

static void return_interval(struct sq_call *call, const struct sq_interval *v)
{
    struct sy_buf buf = {0};
    sq_interval_print(v, &buf);
    sq_return_buf(call, &buf);
}

static void interval_sum(struct sq_call *call, void *state)
{
    const struct interval_state *s = state;
    if (s != NULL && s->count > 0)
        return_interval(call, &(struct sq_interval){(int32_t)s->months, (int32_t)s->days, s->us});
}

/* As interval division does: fractions go down to days and time. */
static void interval_avg(struct sq_call *call, void *state)
{
    const struct interval_state *s = state;
    if (s == NULL || s->count == 0)
        return;
    double n = (double)s->count, months = (double)s->months / n, days = (double)s->days / n;
    struct sq_interval v = {(int32_t)trunc(months), (int32_t)trunc(days), 0};
    double month_days = rint((months - v.months) * 30 * 1e6) / 1e6;
    double seconds = rint(((days - v.days) + month_days - trunc(month_days)) * 86400 * 1e6) / 1e6;
    if (fabs(seconds) >= 86400) {
        v.days += (int32_t)(seconds / 86400);
        seconds -= trunc(seconds / 86400) * 86400;
    }
    v.days += (int32_t)month_days;
    v.us = (int64_t)rint((double)s->us / n + seconds * 1e6);
    return_interval(call, &v);
}

/* ---- standard deviation and variance; the mode is argument 1: 0 stddev_pop 1 stddev_samp 2
 * var_pop 3 var_samp ---- */

struct stat_state {
    double n, sum, deviations; /* Youngs and Cramer's updates */
    int64_t mode;
};

static void stat_step(struct sq_call *call, void *state)
{
    struct stat_state *s = state;
    if (sqlite3_value_type(call->argv[0]) == SQLITE_NULL)
        return;
    double x = sq_arg_real(call, 0);
    s->mode = sq_arg_int(call, 1);
    s->n += 1;
    s->sum += x;
    if (s->n > 1) {
        double t = x * s->n - s->sum;
        s->deviations += t * t / (s->n * (s->n - 1));
    }
}

static void stat_value(struct sq_call *call, void *state)
{
    const struct stat_state *s = state;
    bool sample = s != NULL && (s->mode & 1) != 0;
    if (s == NULL || s->n < (sample ? 2 : 1))
        return;
    double variance = s->deviations / (sample ? s->n - 1 : s->n);
    sq_return_real(call, s->mode < 2 ? sqrt(variance) : variance);
}

/* ---- collecting ---- */

struct row {
    struct row *next;
    sqlite3_value **values; /* argc of them */
};

struct collect_state {
    struct row *first, *last;
    int64_t count;
    int argc;
    char *spec;
};

/* Argument 0 is the order: "D" distinct, then "a|d" "f|l" type ";" per key; the keys follow, then
 * the arguments. */
static void collect_step(struct sq_call *call, void *state)
{
    struct collect_state *s = state;
    if (s->spec == NULL) {
        s->spec = strndup(sq_arg_text(call, 0).data, sq_arg_text(call, 0).bytes);
        s->argc = call->argc;
    }
    struct row *row = calloc(1, sizeof(*row));
    sqlite3_value **values = calloc((size_t)call->argc, sizeof(*values));
    if (row == NULL || values == NULL || s->spec == NULL) {
        free(row);
        free(values);
        sqlite3_result_error_nomem(call->context);
        return;
    }
    for (int i = 1; i < call->argc; i++)
        values[i] = sqlite3_value_dup(call->argv[i]);
    row->values = values;
    if (s->last == NULL)
        s->first = row;
    else
        s->last->next = row;
    s->last = row;
    s->count++;
}

static void collect_release(void *state)
{
    struct collect_state *s = state;
    while (s->first != NULL) {
        struct row *row = s->first;
        s->first = row->next;
        for (int i = 1; i < s->argc; i++)
            sqlite3_value_free(row->values[i]);
        free(row->values);
        free(row);
    }
    free(s->spec);
    s->spec = NULL;
}

static int key_count(const char *spec)
{
    int keys = 0;
    for (; *spec != '\0'; spec++)
        keys += *spec == ';';
    return keys;
}

static struct sy_sqvalue value_of(sqlite3_value *value)
{
    struct sq_call call = {.argc = 1, .argv = &value};
    return sq_arg_value(&call, 0);
}

static int compare_rows(const struct collect_state *s, const struct row *a, const struct row *b)
{
    const char *p = s->spec[0] == 'D' ? s->spec + 1 : s->spec;
    for (int key = 1; *p != '\0'; key++) {
        bool desc = p[0] == 'd', nulls_first = p[1] == 'f';
        char *end = NULL;
        uint32_t type = (uint32_t)strtoul(p + 2, &end, 10);
        p = end + 1;
        struct sy_sqvalue x = value_of(a->values[key]), y = value_of(b->values[key]);
        if (x.kind == SY_SQ_NULL || y.kind == SY_SQ_NULL) {
            int order = (x.kind == SY_SQ_NULL) - (y.kind == SY_SQ_NULL); /* 1: a is the NULL one */
            if (order != 0)
                return nulls_first ? -order : order;
            continue;
        }
        int order = sq_value_compare(type, &x, &y);
        if (order != 0)
            return desc ? -order : order;
    }
    return 0;
}

/* Stable merge sort of the list. */
static struct row *sort_rows(const struct collect_state *s, struct row *list, int64_t count)
{
    if (count < 2)
        return list;
    struct row *cut = list, head = {0}, *tail = &head;
    for (int64_t i = 1; i < count / 2; i++)
        cut = cut->next;
    struct row *right = cut->next;
    cut->next = NULL;
    struct row *left = sort_rows(s, list, count / 2);
    right = sort_rows(s, right, count - count / 2);
    while (left != NULL && right != NULL) {
        struct row **from = compare_rows(s, left, right) <= 0 ? &left : &right;
        tail->next = *from;
        tail = *from;
        *from = (*from)->next;
    }
    tail->next = left != NULL ? left : right;
    return head.next;
}

static bool same_arguments(const struct collect_state *s, const struct row *a, const struct row *b,
                           int from)
{
    for (int i = from; i < s->argc; i++) {
        struct sy_sqvalue x = value_of(a->values[i]), y = value_of(b->values[i]);
        if (x.kind != y.kind || (x.kind != SY_SQ_NULL && sq_value_compare(SY_T_TEXT, &x, &y) != 0))
            return false;
    }
    return true;
}

/* Rows in order, and the index of the first real argument; NULL: no rows. DISTINCT also sorts its
 * rows. */
static struct row *ordered(struct collect_state *s, int *ret_from)
{
    if (s == NULL || s->first == NULL)
        return NULL;
    int keys = key_count(s->spec);
    *ret_from = 1 + keys;
    if (keys > 0)
        s->first = sort_rows(s, s->first, s->count);
    if (s->spec[0] != 'D')
        return s->first;
    for (struct row *row = s->first; row != NULL; row = row->next)
        for (struct row **other = &row->next; *other != NULL;) {
            if (!same_arguments(s, row, *other, *ret_from)) {
                other = &(*other)->next;
                continue;
            }
            struct row *gone = *other;
            *other = gone->next;
            for (int i = 1; i < s->argc; i++)
                sqlite3_value_free(gone->values[i]);
            free(gone->values);
            free(gone);
        }
    return s->first;
}

static void string_agg_value(struct sq_call *call, void *state)
{
    int from = 0;
    struct sy_buf out = {0};
    bool any = false;
    for (struct row *row = ordered(state, &from); row != NULL; row = row->next) {
        struct sy_sqvalue value = value_of(row->values[from]), by = value_of(row->values[from + 1]);
        if (value.kind == SY_SQ_NULL)
            continue;
        if (any && by.kind != SY_SQ_NULL)
            sy_buf_append_slice(&out, by.bytes);
        sy_buf_append_slice(&out, value.bytes);
        any = true;
    }
    if (any)
        sq_return_buf(call, &out);
    sy_buf_release(&out);
}

static void array_agg_value(struct sq_call *call, void *state)
{
    int from = 0;
    struct sy_buf out = {0};
    bool first = true;
    for (struct row *row = ordered(state, &from); row != NULL; row = row->next) {
        struct sy_sqvalue value = value_of(row->values[from]);
        struct sy_buf text = {0};
        if (first)
            sy_buf_append_str(&out, "{");
        if (!sq_text_of(call, (uint32_t)sqlite3_value_int64(row->values[from + 1]), &value,
                        &text)) {
            sy_buf_release(&text);
            sy_buf_release(&out);
            return;
        }
        sq_array_append_element(&out, first,
                                (struct sy_slice){text.data == NULL ? "" : text.data, text.bytes},
                                value.kind == SY_SQ_NULL);
        sy_buf_release(&text);
        first = false;
    }
    if (first)
        return;
    sy_buf_append_str(&out, "}");
    sq_return_buf(call, &out);
}

static void finish_json(struct sq_call *call, struct sy_buf *out, bool jsonb)
{
    struct sq_json *root = NULL;
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (!jsonb) {
        sq_return_buf(call, out);
        return;
    }
    struct sy_buf canonical = {0};
    if (sq_json_parse((struct sy_slice){out->data, out->bytes}, true, &call->arena, &root, &err) ==
        SY_OK) {
        sq_jsonb_print(root, &canonical);
        sq_return_buf(call, &canonical);
    } else {
        sq_fail_err(call, &err);
    }
    sy_buf_release(out);
}

static void json_agg(struct sq_call *call, void *state, bool jsonb, bool object)
{
    int from = 0;
    struct sy_buf out = {0};
    bool first = true;
    for (struct row *row = ordered(state, &from); row != NULL; row = row->next) {
        struct sy_sqvalue value = value_of(row->values[from + (object ? 3 : 1)]);
        const struct sy_type_info *info =
            sy_type_find((uint32_t)sqlite3_value_int64(row->values[from]));
        bool structured = info != NULL && !object && value.kind != SY_SQ_NULL &&
                          (info->oid == SY_T_RECORD || info->category == 'A');
        sy_buf_append_str(&out, first ? (object ? "{ " : "[") : structured ? ", \n " : ", ");
        if (object) {
            struct sy_sqvalue key = value_of(row->values[from + 1]);
            struct sy_buf text = {0};
            if (key.kind == SY_SQ_NULL) {
                sq_fail(call, "22023", "field name must not be null");
                sy_buf_release(&out);
                return;
            }
            if (sq_text_of(call, (uint32_t)sqlite3_value_int64(row->values[from]), &key, &text))
                sq_json_quote((struct sy_slice){text.data == NULL ? "" : text.data, text.bytes},
                              &out);
            sy_buf_release(&text);
            sy_buf_append_str(&out, " : ");
        }
        sq_json_append_value(call,
                             (uint32_t)sqlite3_value_int64(row->values[from + (object ? 2 : 0)]),
                             &value, &out);
        first = false;
    }
    if (first)
        return;
    sy_buf_append_str(&out, object ? " }" : "]");
    finish_json(call, &out, jsonb);
}

static void json_agg_value(struct sq_call *call, void *state)
{
    json_agg(call, state, false, false);
}

static void jsonb_agg_value(struct sq_call *call, void *state)
{
    json_agg(call, state, true, false);
}

static void json_object_agg_value(struct sq_call *call, void *state)
{
    json_agg(call, state, false, true);
}

static void jsonb_object_agg_value(struct sq_call *call, void *state)
{
    json_agg(call, state, true, true);
}

#define COLLECT(name, value)                                                                       \
    {                                                                                              \
        name, -1, sizeof(struct collect_state), collect_step, NULL, value, collect_release         \
    }

static const struct sq_aggregate aggregates[] = {
    {"sy_sum_n", 1, sizeof(struct sum_state), sum_step, sum_inverse, sum_value, sum_release},
    {"sy_avg_n", 1, sizeof(struct sum_state), sum_step, sum_inverse, avg_value, sum_release},
    {"sy_sum_f", 1, sizeof(struct real_state), real_step, real_inverse, real_sum, NULL},
    {"sy_avg_f", 1, sizeof(struct real_state), real_step, real_inverse, real_average, NULL},
    {"sy_single", 1, sizeof(struct single_state), single_step, NULL, single_value, single_release},
    {"sy_bit_and", 1, sizeof(struct bit_state), bit_and_step, NULL, bit_value, NULL},
    {"sy_bit_or", 1, sizeof(struct bit_state), bit_or_step, NULL, bit_value, NULL},
    {"sy_bit_xor", 1, sizeof(struct bit_state), bit_xor_step, NULL, bit_value, NULL},
    {"sy_sum_iv", 1, sizeof(struct interval_state), interval_step, interval_inverse, interval_sum,
     NULL},
    {"sy_avg_iv", 1, sizeof(struct interval_state), interval_step, interval_inverse, interval_avg,
     NULL},
    {"sy_stat_n", 2, sizeof(struct spread_state), spread_step, spread_inverse, spread_value,
     spread_release},
    {"sy_stat_f", 2, sizeof(struct stat_state), stat_step, NULL, stat_value, NULL},
    COLLECT("sy_string_agg", string_agg_value),
    COLLECT("sy_array_agg", array_agg_value),
    COLLECT("sy_json_agg", json_agg_value),
    COLLECT("sy_jsonb_agg", jsonb_agg_value),
    COLLECT("sy_json_object_agg", json_object_agg_value),
    COLLECT("sy_jsonb_object_agg", jsonb_object_agg_value),
};

const struct sq_aggregate_table sq_aggregates = {aggregates,
                                                 sizeof(aggregates) / sizeof(aggregates[0])};
