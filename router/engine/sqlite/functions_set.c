/*
 * Set-returning functions as eponymous virtual tables: columns value, key, ordinality, then the
 * arguments (hidden). The rows of unnest and of the JSON functions are made when the scan begins;
 * generate_series counts as it goes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/json.h"
#include "router/engine/sqlite/numeric.h"

enum { COLUMN_VALUE, COLUMN_KEY, COLUMN_ORDINALITY, COLUMN_ARGUMENTS };

struct set_row {
    struct sy_sqvalue value, key;
};

struct cursor;

struct set_kind {
    const char *name;
    int required; /* arguments */
    /* Fills cursor->rows; an error is reported through cursor->err. */
    bool (*fill)(struct cursor *cursor, struct sq_call *call);
};

struct table {
    sqlite3_vtab base;
    const struct set_kind *kind;
    struct sy_sqsession_slot *slot;
};

struct module_data {
    const struct set_kind *kind;
    struct sy_sqsession_slot *slot;
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct sy_arena arena;
    struct set_row *rows;
    size_t count, at;
    uint32_t capacity;
    struct sy_err err;
    /* generate_series over integers and timestamps needs no rows. */
    bool series, done;
    int64_t current, stop, step;
    struct sq_interval interval;
    uint32_t type;
    const struct sy_timezone *zone;
};

static bool add_row(struct cursor *c, struct sy_sqvalue value, struct sy_sqvalue key)
{
    struct set_row *rows = sy_grown(c->rows, (uint32_t)c->count, &c->capacity, 16, sizeof(*rows));
    if (rows == NULL)
        return false;
    c->rows = rows;
    c->rows[c->count++] = (struct set_row){value, key};
    return true;
}

static bool fail(struct cursor *c, const char *sqlstate, const char *text)
{
    (void)sy_err_set(&c->err, SY_E_VALUE, "%s", text);
    sy_err_state(&c->err, sqlstate);
    return false;
}

static struct sy_sqvalue kept(struct cursor *c, struct sy_sqvalue value)
{
    if (value.kind == SY_SQ_TEXT || value.kind == SY_SQ_BLOB) {
        const char *copy = sy_arena_strndup(&c->arena, value.bytes.data, value.bytes.bytes);
        value.bytes.data = copy == NULL ? "" : copy;
        value.bytes.bytes = copy == NULL ? 0 : value.bytes.bytes;
    }
    return value;
}

/* ---- generate_series(start, stop, step, type) ---- */

static bool numeric_series(struct cursor *c, struct sq_call *call)
{
    struct sq_num at, stop, step, next;
    bool overflow = false, ok = true;
    sq_num_init(&at);
    sq_num_init(&stop);
    sq_num_init(&step);
    sq_num_init(&next);
    (void)sq_num_parse(&at, sq_arg_text(call, 0), &overflow);
    (void)sq_num_parse(&stop, sq_arg_text(call, 1), &overflow);
    (void)sq_num_parse(&step, sq_arg_text(call, 2), &overflow);
    int sign = mpz_sgn(step.coefficient);
    if (sign == 0)
        ok = fail(c, "22023", "step size cannot equal zero");
    while (ok && sq_num_compare(&at, &stop) * sign <= 0) {
        struct sy_buf buf = {0};
        struct sy_sqvalue value = {0};
        sq_num_print(&at, &buf);
        ok = sq_value_take(&buf, &c->arena, &value, &c->err) == SY_OK &&
             add_row(c, value, (struct sy_sqvalue){0});
        sq_num_add(&next, &at, &step);
        sq_num_set(&at, &next);
    }
    sq_num_clear(&at);
    sq_num_clear(&stop);
    sq_num_clear(&step);
    sq_num_clear(&next);
    return ok;
}

static bool fill_series(struct cursor *c, struct sq_call *call)
{
    c->type = (uint32_t)sq_arg_int(call, 3);
    if (c->type == SY_T_NUMERIC)
        return numeric_series(c, call);
    c->series = true;
    c->current = sq_arg_int(call, 0);
    c->stop = sq_arg_int(call, 1);
    c->count = 0;
    if (c->type == 4 || c->type == 8) {
        c->step = sq_arg_int(call, 2);
        if (c->step == 0)
            return fail(c, "22023", "step size cannot equal zero");
    } else {
        struct sq_interval zero = {0, 0, 0};
        if (!sq_interval_parse(sq_arg_text(call, 2), &c->interval))
            return fail(c, "XX001", "a stored value is not of type interval");
        c->step = sq_interval_compare(&c->interval, &zero);
        if (c->step == 0)
            return fail(c, "22023", "step size cannot equal zero");
        c->zone = call->session == NULL ? NULL : call->session->types.timezone;
    }
    c->done = c->step > 0 ? c->current > c->stop : c->current < c->stop;
    return true;
}

static void series_next(struct cursor *c)
{
    bool overflow = false;
    if (c->type == 4 || c->type == 8) {
        overflow = __builtin_add_overflow(c->current, c->step, &c->current);
        if (c->type == 4)
            overflow = overflow || c->current > INT32_MAX || c->current < INT32_MIN;
    } else {
        overflow = !sq_timestamp_plus(c->current, &c->interval, c->type == SY_T_TIMESTAMPTZ,
                                      c->zone, &c->current);
    }
    c->count++;
    c->done = overflow || (c->step > 0 ? c->current > c->stop : c->current < c->stop);
}

/* ---- unnest(array, element type), generate_subscripts(array, dimension) ---- */

static bool walk_array(struct cursor *c, struct sq_call *call, bool subscripts)
{
    struct sy_slice array = sq_arg_text(call, 0), element = {0};
    struct sq_array_walk walk;
    bool is_null = false, vector = array.bytes == 0 || array.data[0] != '{';
    uint32_t type = subscripts ? SY_T_TEXT : (uint32_t)sq_arg_int(call, 1);
    const char *p = array.data, *end = array.data + array.bytes;
    if (!vector)
        (void)sq_array_begin(&walk, array);
    for (int64_t at = vector ? 0 : 1;; at++) {
        struct sy_sqvalue value = {0};
        if (vector) {
            while (p < end && *p == ' ')
                p++;
            const char *start = p;
            while (p < end && *p != ' ')
                p++;
            element = (struct sy_slice){start, (size_t)(p - start)};
            if (element.bytes == 0)
                break;
        } else if (!sq_array_next(&walk, &c->arena, &element, &is_null)) {
            break;
        }
        if (subscripts)
            value = sq_value_int(at);
        else if (!is_null && sy_type_decode(type, -1, 0, element, sq_settings(call), &c->arena,
                                            &value, &c->err) != SY_OK)
            return false;
        if (!add_row(c, kept(c, value), (struct sy_sqvalue){0}))
            return false;
    }
    return true;
}

static bool fill_unnest(struct cursor *c, struct sq_call *call)
{
    return walk_array(c, call, false);
}

static bool fill_subscripts(struct cursor *c, struct sq_call *call)
{
    return sq_arg_int(call, 1) != 1 || walk_array(c, call, true);
}

/* pg_options_to_table(array of "name=value"): key and value; the value is NULL where there is no
 * '='. */
static bool fill_options(struct cursor *c, struct sq_call *call)
{
    struct sq_array_walk walk;
    struct sy_slice element = {0};
    bool is_null = false;
    (void)sq_array_begin(&walk, sq_arg_text(call, 0));
    while (sq_array_next(&walk, &c->arena, &element, &is_null)) {
        const char *equals = is_null ? NULL : memchr(element.data, '=', element.bytes);
        size_t bytes = equals == NULL ? element.bytes : (size_t)(equals - element.data);
        struct sy_sqvalue value = {0};
        if (is_null)
            continue;
        if (equals != NULL)
            value =
                kept(c, sq_value_text((struct sy_slice){equals + 1, element.bytes - bytes - 1}));
        if (!add_row(c, value, kept(c, sq_value_text((struct sy_slice){element.data, bytes}))))
            return false;
    }
    return true;
}

/* ---- JSON ---- */

static struct sy_sqvalue json_value(struct cursor *c, const struct sq_json *value, bool text)
{
    struct sy_buf buf = {0};
    struct sy_sqvalue out = {0};
    if (text && value->kind == SQ_JSON_NULL)
        return out;
    if (text && value->kind == SQ_JSON_STRING)
        return kept(c, sq_value_text(value->text));
    sy_buf_append_slice(&buf, value->source);
    (void)sq_value_take(&buf, &c->arena, &out, &c->err);
    return out;
}

static struct sq_json *json_argument(struct cursor *c, struct sq_call *call)
{
    struct sq_json *root = NULL;
    struct sy_sqvalue copy = kept(c, sq_value_text(sq_arg_text(call, 0)));
    return sq_json_parse(copy.bytes, false, &c->arena, &root, &c->err) == SY_OK ? root : NULL;
}

static bool fill_elements(struct cursor *c, struct sq_call *call)
{
    const struct sq_json *root = json_argument(c, call);
    bool text = sq_arg_int(call, 1) != 0;
    if (root == NULL)
        return false;
    if (root->kind != SQ_JSON_ARRAY)
        return fail(c, "22023",
                    root->kind == SQ_JSON_OBJECT ? "cannot extract elements from an object"
                                                 : "cannot extract elements from a scalar");
    for (const struct sq_json *child = root->first; child != NULL; child = child->next)
        if (!add_row(c, json_value(c, child, text), (struct sy_sqvalue){0}))
            return false;
    return true;
}

static bool members(struct cursor *c, struct sq_call *call, bool keys, bool text)
{
    const struct sq_json *root = json_argument(c, call);
    if (root == NULL)
        return false;
    if (root->kind != SQ_JSON_OBJECT) {
        const char *what = root->kind == SQ_JSON_ARRAY ? "an array" : "a scalar";
        char message[80];
        (void)sqlite3_snprintf(sizeof(message), message,
                               keys ? "cannot call %s on %s" : "cannot deconstruct %s%s",
                               keys ? "json_object_keys" : what, keys ? what : "");
        return fail(c, "22023", message);
    }
    for (const struct sq_json *child = root->first; child != NULL; child = child->next) {
        struct sy_sqvalue key = kept(c, sq_value_text(child->key));
        if (!add_row(c, keys ? key : json_value(c, child, text), key))
            return false;
    }
    return true;
}

static bool fill_keys(struct cursor *c, struct sq_call *call)
{
    return members(c, call, true, false);
}

static bool fill_each(struct cursor *c, struct sq_call *call)
{
    return members(c, call, false, sq_arg_int(call, 1) != 0);
}

static const struct set_kind kinds[] = {
    {"sy_generate_series", 4, fill_series},
    {"sy_unnest", 2, fill_unnest},
    {"sy_generate_subscripts", 2, fill_subscripts},
    {"sy_options_to_table", 1, fill_options},
    {"sy_json_elements", 2, fill_elements},
    {"sy_json_keys", 1, fill_keys},
    {"sy_json_each", 2, fill_each},
};

/* ---- the virtual table ---- */

static int set_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                       sqlite3_vtab **ret_table, char **error)
{
    const struct module_data *data = aux;
    (void)argc;
    (void)argv;
    (void)error;
    int rc = sqlite3_declare_vtab(
        db, "CREATE TABLE x(value, key, ordinality, a1 HIDDEN, a2 HIDDEN, a3 HIDDEN, a4 HIDDEN)");
    struct table *table = rc == SQLITE_OK ? calloc(1, sizeof(*table)) : NULL;
    if (table == NULL)
        return rc == SQLITE_OK ? SQLITE_NOMEM : rc;
    table->kind = data->kind;
    table->slot = data->slot;
    (void)sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int set_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    union {
        sqlite3_vtab *in;
        struct table *out;
    } cast = {.in = base};
    info->estimatedRows = 100;
    return sq_table_take_arguments(info, COLUMN_ARGUMENTS, cast.out->kind->required);
}

static int set_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor)
{
    struct cursor *c = calloc(1, sizeof(*c));
    (void)base;
    if (c == NULL)
        return SQLITE_NOMEM;
    *ret_cursor = &c->base;
    return SQLITE_OK;
}

static struct cursor *cursor_of(sqlite3_vtab_cursor *base)
{
    union {
        sqlite3_vtab_cursor *in;
        struct cursor *out;
    } cast = {.in = base};
    return cast.out;
}

static int set_close(sqlite3_vtab_cursor *base)
{
    struct cursor *c = cursor_of(base);
    free(c->rows);
    sy_arena_release(&c->arena);
    free(c);
    return SQLITE_OK;
}

static int set_filter(sqlite3_vtab_cursor *base, int number, const char *text, int argc,
                      sqlite3_value **argv)
{
    struct cursor *c = cursor_of(base);
    union {
        sqlite3_vtab *in;
        struct table *out;
    } cast = {.in = base->pVtab};
    struct table *table = cast.out;
    (void)number;
    (void)text;
    c->count = c->at = 0;
    c->series = false;
    c->done = false;
    memset(&c->err, 0, sizeof(c->err));
    sy_arena_reset(&c->arena);
    for (int i = 0; i < argc; i++)
        if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
            return SQLITE_OK; /* no rows, as a strict function */
    struct sq_call call = {NULL, argc, argv, table->slot->session, {0}};
    bool ok = table->kind->fill(c, &call);
    sy_arena_release(&call.arena);
    if (ok)
        return SQLITE_OK;
    if (call.session != NULL)
        call.session->err = c->err;
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = sqlite3_mprintf("%s", c->err.text);
    return SQLITE_ERROR;
}

static int set_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = cursor_of(base);
    if (c->series)
        series_next(c);
    else
        c->at++;
    return SQLITE_OK;
}

static int set_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *c = cursor_of(base);
    return c->series ? c->done : c->at >= c->count;
}

static int set_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    struct cursor *c = cursor_of(base);
    struct sq_call call = {.context = context};
    if (column == COLUMN_ORDINALITY)
        sq_return_int(&call, (int64_t)(c->series ? c->count : c->at) + 1);
    else if (column == COLUMN_VALUE && c->series)
        sq_return_int(&call, c->current);
    else if (column == COLUMN_VALUE)
        sq_return_value(&call, &c->rows[c->at].value);
    else if (column == COLUMN_KEY && !c->series)
        sq_return_value(&call, &c->rows[c->at].key);
    return SQLITE_OK;
}

static int set_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
    const struct cursor *c = cursor_of(base);
    *ret_rowid = (sqlite3_int64)(c->series ? c->count : c->at) + 1;
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .xConnect = set_connect,
    .xBestIndex = set_best_index,
    .xDisconnect = sq_table_disconnect,
    .xOpen = set_open,
    .xClose = set_close,
    .xFilter = set_filter,
    .xNext = set_next,
    .xEof = set_eof,
    .xColumn = set_column,
    .xRowid = set_rowid,
};

int sq_sets_register(sqlite3 *db, struct sy_sqsession_slot *slot)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct module_data *data = malloc(sizeof(*data));
        if (data == NULL)
            return SQLITE_NOMEM;
        *data = (struct module_data){&kinds[i], slot};
        int rc = sqlite3_create_module_v2(db, kinds[i].name, &module, data, free);
        if (rc != SQLITE_OK)
            return rc;
    }
    return SQLITE_OK;
}
