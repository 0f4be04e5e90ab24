/* Registration of functions, aggregates, collations; the wrappers around each call. */
#include "router/engine/sqlite/functions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/engine/sqlite/functions_internal.h"
#include "router/engine/sqlite/numeric.h"

struct binding {
    const struct sq_function *function;
    const struct sq_aggregate *aggregate;
    struct sy_sqsession_slot *slot;
};

/* ---- arguments and results ---- */

bool sq_is_null(const struct sq_call *call, int index)
{
    return index >= call->argc || sqlite3_value_type(call->argv[index]) == SQLITE_NULL;
}

int64_t sq_arg_int(const struct sq_call *call, int index)
{
    return sqlite3_value_int64(call->argv[index]);
}

double sq_arg_real(const struct sq_call *call, int index)
{
    return sqlite3_value_double(call->argv[index]);
}

struct sy_slice sq_arg_text(const struct sq_call *call, int index)
{
    sqlite3_value *value = call->argv[index];
    const char *data = sqlite3_value_type(value) == SQLITE_BLOB
                           ? sqlite3_value_blob(value)
                           : (const void *)sqlite3_value_text(value);
    size_t bytes = (size_t)sqlite3_value_bytes(value);
    return (struct sy_slice){data == NULL ? "" : data, data == NULL ? 0 : bytes};
}

struct sy_sqvalue sq_arg_value(const struct sq_call *call, int index)
{
    struct sy_sqvalue value = {0};
    switch (sqlite3_value_type(call->argv[index])) {
    case SQLITE_INTEGER:
        value.kind = SY_SQ_INTEGER;
        value.integer = sq_arg_int(call, index);
        break;
    case SQLITE_FLOAT:
        value.kind = SY_SQ_REAL;
        value.real = sq_arg_real(call, index);
        break;
    case SQLITE_TEXT:
        value.kind = SY_SQ_TEXT;
        value.bytes = sq_arg_text(call, index);
        break;
    case SQLITE_BLOB:
        value.kind = SY_SQ_BLOB;
        value.bytes = sq_arg_text(call, index);
        break;
    default:
        break;
    }
    return value;
}

const struct sy_type_settings *sq_settings(const struct sq_call *call)
{
    return call->session == NULL ? NULL : &call->session->types;
}

void sq_return_int(struct sq_call *call, int64_t value)
{
    sqlite3_result_int64(call->context, value);
}

void sq_return_bool(struct sq_call *call, bool value)
{
    sqlite3_result_int(call->context, value ? 1 : 0);
}

void sq_return_real(struct sq_call *call, double value)
{
    sqlite3_result_double(call->context, value);
}

void sq_return_text(struct sq_call *call, const char *data, size_t bytes)
{
    sqlite3_result_text64(call->context, data == NULL ? "" : data, bytes, SQLITE_TRANSIENT,
                          SQLITE_UTF8);
}

void sq_return_buf(struct sq_call *call, struct sy_buf *buf)
{
    if (buf->failed)
        sq_fail(call, "53200", "out of memory");
    else
        sq_return_text(call, buf->data, buf->bytes);
    sy_buf_release(buf);
}

void sq_return_num(struct sq_call *call, const struct sq_num *num)
{
    struct sy_buf buf = {0};
    sq_num_print(num, &buf);
    sq_return_buf(call, &buf);
}

void sq_return_blob(struct sq_call *call, const void *data, size_t bytes)
{
    if (bytes == 0)
        sqlite3_result_zeroblob(call->context, 0);
    else
        sqlite3_result_blob64(call->context, data, bytes, SQLITE_TRANSIENT);
}

void sq_return_null(struct sq_call *call)
{
    sqlite3_result_null(call->context);
}

void sq_return_value(struct sq_call *call, const struct sy_sqvalue *value)
{
    switch (value->kind) {
    case SY_SQ_NULL:
        sq_return_null(call);
        break;
    case SY_SQ_INTEGER:
        sq_return_int(call, value->integer);
        break;
    case SY_SQ_REAL:
        sq_return_real(call, value->real);
        break;
    case SY_SQ_TEXT:
        sq_return_text(call, value->bytes.data, value->bytes.bytes);
        break;
    case SY_SQ_BLOB:
        sq_return_blob(call, value->bytes.data, value->bytes.bytes);
        break;
    }
}

void sq_fail_err(struct sq_call *call, const struct sy_err *err)
{
    if (call->session != NULL)
        call->session->err = *err;
    sqlite3_result_error(call->context, err->text, -1);
}

void sq_fail(struct sq_call *call, const char *sqlstate, const char *format, ...)
{
    struct sy_err err;
    char text[SY_ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memset(&err, 0, sizeof(err));
    (void)sy_err_set(&err, strcmp(sqlstate, "0A000") == 0 ? SY_E_UNSUPPORTED : SY_E_VALUE, "%s",
                     text);
    sy_err_state(&err, sqlstate);
    if (err.status == SY_E_UNSUPPORTED)
        sy_err_hint(&err, "%s", SQ_UNSUPPORTED_HINT);
    sq_fail_err(call, &err);
}

bool sq_text_of(struct sq_call *call, uint32_t type, const struct sy_sqvalue *value,
                struct sy_buf *out)
{
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (value->kind == SY_SQ_NULL ||
        sy_type_encode(type, 0, value, sq_settings(call), out, &err) == SY_OK)
        return true;
    sq_fail_err(call, &err);
    return false;
}

/* ---- wrappers ---- */

static void run_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct binding *binding = sqlite3_user_data(context);
    for (int i = 0; i < argc && (binding->function->flags & SQ_F_NULLS) == 0; i++)
        if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
            return;
    struct sq_call call = {context, argc, argv, binding->slot->session, {0}};
    binding->function->run(&call);
    sy_arena_release(&call.arena);
}

static void run_step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct binding *binding = sqlite3_user_data(context);
    void *state = sqlite3_aggregate_context(context, (int)binding->aggregate->state_bytes);
    struct sq_call call = {context, argc, argv, binding->slot->session, {0}};
    if (state == NULL)
        sqlite3_result_error_nomem(context);
    else
        binding->aggregate->step(&call, state);
    sy_arena_release(&call.arena);
}

static void run_inverse(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct binding *binding = sqlite3_user_data(context);
    void *state = sqlite3_aggregate_context(context, (int)binding->aggregate->state_bytes);
    struct sq_call call = {context, argc, argv, binding->slot->session, {0}};
    if (state != NULL)
        binding->aggregate->inverse(&call, state);
    sy_arena_release(&call.arena);
}

static void run_value(sqlite3_context *context)
{
    const struct binding *binding = sqlite3_user_data(context);
    struct sq_call call = {context, 0, NULL, binding->slot->session, {0}};
    binding->aggregate->value(&call, sqlite3_aggregate_context(context, 0));
    sy_arena_release(&call.arena);
}

static void run_final(sqlite3_context *context)
{
    const struct binding *binding = sqlite3_user_data(context);
    void *state = sqlite3_aggregate_context(context, 0);
    run_value(context);
    if (state != NULL && binding->aggregate->release != NULL)
        binding->aggregate->release(state);
}

/* ---- collations ---- */

static int collate_numeric(void *unused, int a_bytes, const void *a, int b_bytes, const void *b)
{
    (void)unused;
    return sq_num_compare_text(a, (size_t)a_bytes, b, (size_t)b_bytes);
}

static int collate_type(uint32_t type, int a_bytes, const void *a, int b_bytes, const void *b)
{
    struct sy_sqvalue x = sq_value_text((struct sy_slice){a, (size_t)a_bytes});
    struct sy_sqvalue y = sq_value_text((struct sy_slice){b, (size_t)b_bytes});
    return sq_value_compare(type, &x, &y);
}

static int collate_interval(void *unused, int a_bytes, const void *a, int b_bytes, const void *b)
{
    (void)unused;
    return collate_type(SY_T_INTERVAL, a_bytes, a, b_bytes, b);
}

static int collate_jsonb(void *unused, int a_bytes, const void *a, int b_bytes, const void *b)
{
    (void)unused;
    return collate_type(SY_T_JSONB, a_bytes, a, b_bytes, b);
}

/* ---- registration ---- */

static struct binding *bind(struct sy_sqsession_slot *slot, const struct sq_function *function,
                            const struct sq_aggregate *aggregate)
{
    struct binding *binding = malloc(sizeof(*binding));
    if (binding != NULL)
        *binding = (struct binding){function, aggregate, slot};
    return binding;
}

int sq_table_disconnect(sqlite3_vtab *base)
{
    free(base);
    return SQLITE_OK;
}

int sq_table_take_arguments(sqlite3_index_info *info, int first_column, int required)
{
    int found[SQ_TABLE_ARGUMENTS_MAX];
    for (int i = 0; i < SQ_TABLE_ARGUMENTS_MAX; i++)
        found[i] = -1;
    for (int i = 0; i < info->nConstraint; i++) {
        int argument = info->aConstraint[i].iColumn - first_column;
        if (argument < 0 || argument >= SQ_TABLE_ARGUMENTS_MAX ||
            info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (info->aConstraint[i].usable == 0)
            return SQLITE_CONSTRAINT;
        found[argument] = i;
    }
    for (int i = 0; i < required; i++) {
        if (found[i] < 0)
            return SQLITE_CONSTRAINT;
        info->aConstraintUsage[found[i]].argvIndex = i + 1;
        info->aConstraintUsage[found[i]].omit = 1;
    }
    info->estimatedCost = 100;
    return SQLITE_OK;
}

static int register_table(sqlite3 *db, struct sy_sqsession_slot *slot,
                          const struct sq_function_table *table)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < table->count && rc == SQLITE_OK; i++) {
        const struct sq_function *function = &table->functions[i];
        struct binding *binding = bind(slot, function, NULL);
        int flags = SQLITE_UTF8 | SQLITE_INNOCUOUS |
                    ((function->flags & SQ_F_VOLATILE) == 0 ? SQLITE_DETERMINISTIC : 0);
        if (binding == NULL)
            return SQLITE_NOMEM;
        rc = sqlite3_create_function_v2(db, function->name, function->nargs, flags, binding,
                                        run_function, NULL, NULL, free);
    }
    return rc;
}

static int register_aggregates(sqlite3 *db, struct sy_sqsession_slot *slot)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; i < sq_aggregates.count && rc == SQLITE_OK; i++) {
        const struct sq_aggregate *aggregate = &sq_aggregates.aggregates[i];
        struct binding *binding = bind(slot, NULL, aggregate);
        bool window = aggregate->inverse != NULL;
        if (binding == NULL)
            return SQLITE_NOMEM;
        rc = sqlite3_create_window_function(
            db, aggregate->name, aggregate->nargs, SQLITE_UTF8 | SQLITE_INNOCUOUS, binding,
            run_step, run_final, window ? run_value : NULL, window ? run_inverse : NULL, free);
    }
    return rc;
}

enum sy_status sy_sqfunctions_register(sqlite3 *db, struct sy_sqsession_slot *slot,
                                       struct sy_err *err)
{
    static const struct sq_function_table *const tables[] = {
        &sq_functions_text,  &sq_functions_numeric, &sq_functions_datetime, &sq_functions_datefield,
        &sq_functions_json,  &sq_functions_regex,   &sq_functions_misc,     &sq_functions_format,
        &sq_functions_array, &sq_functions_tochar,  &sq_functions_decimal,  &sq_functions_logarithm,
        &sq_functions_rows};
    int rc = sqlite3_create_collation(db, "sy_numeric", SQLITE_UTF8, NULL, collate_numeric);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_collation(db, "sy_interval", SQLITE_UTF8, NULL, collate_interval);
    if (rc == SQLITE_OK)
        rc = sqlite3_create_collation(db, "sy_jsonb", SQLITE_UTF8, NULL, collate_jsonb);
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]) && rc == SQLITE_OK; i++)
        rc = register_table(db, slot, tables[i]);
    if (rc == SQLITE_OK)
        rc = register_aggregates(db, slot);
    if (rc == SQLITE_OK)
        rc = sq_sets_register(db, slot);
    if (rc == SQLITE_OK)
        rc = sq_rows_register(db);
    if (rc != SQLITE_OK)
        return sy_err_set(err, rc == SQLITE_NOMEM ? SY_E_NO_MEMORY : SY_E_INTERNAL,
                          "cannot register functions: %s", sqlite3_errmsg(db));
    return SY_OK;
}
