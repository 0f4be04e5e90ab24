/* Casts, length limits, the session's values, sequences, rows, and checks that SQLite lacks. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "router/engine/sqlite/datetime.h"
#include "router/engine/sqlite/functions_internal.h"

/* ---- types ---- */

/* sy_cast(value, from, to, typmod): through the text form, as PostgreSQL's I/O conversion. */
static void f_cast(struct sq_call *call)
{
    struct sy_sqvalue value = sq_arg_value(call, 0), out = {0};
    uint32_t from = (uint32_t)sq_arg_int(call, 1), to = (uint32_t)sq_arg_int(call, 2);
    struct sy_buf text = {0};
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (from == SY_T_BOOL &&
        (to == SY_T_TEXT || to == SY_T_VARCHAR)) { /* the cast says true, output says t */
        sq_return_text(call, value.integer != 0 ? "true" : "false", value.integer != 0 ? 4 : 5);
        return;
    }
    if (!sq_text_of(call, from, &value, &text)) {
        sy_buf_release(&text);
        return;
    }
    struct sy_slice input = {text.data, text.bytes};
    if (from == SY_T_BPCHAR)
        while (input.bytes > 0 && input.data[input.bytes - 1] == ' ')
            input.bytes--;
    if (sy_type_decode(to, (int32_t)sq_arg_int(call, 3), 0, input, sq_settings(call), &call->arena,
                       &out, &err) == SY_OK)
        sq_return_value(call, &out);
    else
        sq_fail_err(call, &err);
    sy_buf_release(&text);
}

static void f_typmod(struct sq_call *call)
{
    struct sy_sqvalue value = sq_arg_value(call, 0);
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (sq_apply_typmod((uint32_t)sq_arg_int(call, 1), (int32_t)sq_arg_int(call, 2),
                        sq_arg_int(call, 3) != 0, &call->arena, &value, &err) == SY_OK)
        sq_return_value(call, &value);
    else
        sq_fail_err(call, &err);
}

static void f_notnull(struct sq_call *call)
{
    struct sy_slice table = sq_arg_text(call, 1), column = sq_arg_text(call, 2);
    struct sy_sqvalue value = sq_arg_value(call, 0);
    if (value.kind == SY_SQ_NULL)
        sq_fail(call, "23502",
                "null value in column \"%.*s\" of relation \"%.*s\" violates not-null constraint",
                (int)column.bytes, column.data, (int)table.bytes, table.data);
    else
        sq_return_value(call, &value);
}

static void f_raise(struct sq_call *call)
{
    struct sy_slice state = sq_arg_text(call, 0), text = sq_arg_text(call, 1);
    char code[6] = "XX000";
    if (state.bytes == 5)
        memcpy(code, state.data, 5);
    sq_fail(call, code, "%.*s", (int)text.bytes, text.data);
}

/* LIMIT and OFFSET: NULL means none, a negative number is an error. */
static void f_limit(struct sq_call *call)
{
    bool offset = sq_arg_int(call, 1) != 0;
    int64_t value = sq_is_null(call, 0) ? (offset ? 0 : -1) : sq_arg_int(call, 0);
    if (!sq_is_null(call, 0) && value < 0)
        sq_fail(call, offset ? "2201X" : "2201W", "%s must not be negative",
                offset ? "OFFSET" : "LIMIT");
    else
        sq_return_int(call, value);
}

static void extreme(struct sq_call *call, int wanted)
{
    uint32_t type = (uint32_t)sq_arg_int(call, 0);
    struct sy_sqvalue best = {0};
    for (int i = 1; i < call->argc; i++) {
        struct sy_sqvalue value = sq_arg_value(call, i);
        if (value.kind == SY_SQ_NULL)
            continue;
        if (best.kind == SY_SQ_NULL || sq_value_compare(type, &value, &best) * wanted > 0)
            best = value;
    }
    sq_return_value(call, &best);
}

static void f_greatest(struct sq_call *call)
{
    extreme(call, 1);
}

static void f_least(struct sq_call *call)
{
    extreme(call, -1);
}

/* sy_row(type, value, ...): "(1,abc,)" */
static void f_row(struct sq_call *call)
{
    struct sy_buf out = {0};
    sy_buf_append_str(&out, "(");
    for (int i = 0; i + 1 < call->argc; i += 2) {
        struct sy_sqvalue value = sq_arg_value(call, i + 1);
        struct sy_buf text = {0};
        if (i > 0)
            sy_buf_append_str(&out, ",");
        if (value.kind == SY_SQ_NULL)
            continue;
        if (!sq_text_of(call, (uint32_t)sq_arg_int(call, i), &value, &text)) {
            sy_buf_release(&text);
            sy_buf_release(&out);
            return;
        }
        bool quote = text.bytes == 0;
        for (size_t k = 0; k < text.bytes && !quote; k++)
            quote = strchr("\"\\(), \t\n\r\v\f", text.data[k]) != NULL;
        if (quote)
            sy_buf_append_str(&out, "\"");
        for (size_t k = 0; k < text.bytes; k++) {
            if (text.data[k] == '"' || text.data[k] == '\\')
                sy_buf_append(&out, &text.data[k], 1);
            sy_buf_append(&out, &text.data[k], 1);
        }
        if (quote)
            sy_buf_append_str(&out, "\"");
        sy_buf_release(&text);
    }
    sy_buf_append_str(&out, ")");
    sq_return_buf(call, &out);
}

static void count_nulls(struct sq_call *call, bool nulls)
{
    int64_t count = 0;
    for (int i = 0; i < call->argc; i++)
        count += sq_is_null(call, i) == nulls;
    sq_return_int(call, count);
}

static void f_num_nulls(struct sq_call *call)
{
    count_nulls(call, true);
}

static void f_num_nonnulls(struct sq_call *call)
{
    count_nulls(call, false);
}

/* ---- the session ---- */

static void return_string(struct sq_call *call, const char *text)
{
    if (text == NULL)
        sq_return_null(call);
    else
        sq_return_text(call, text, strlen(text));
}

static void f_current_user(struct sq_call *call)
{
    return_string(call, call->session == NULL ? NULL : call->session->user);
}

static void f_session_user(struct sq_call *call)
{
    return_string(call, call->session == NULL ? NULL : call->session->session_user);
}

static void f_current_database(struct sq_call *call)
{
    return_string(call, call->session == NULL ? NULL : call->session->database);
}

static void f_current_schema(struct sq_call *call)
{
    return_string(call, call->session == NULL ? NULL : call->session->schema);
}

static void f_current_schemas(struct sq_call *call)
{
    return_string(call, sq_arg_int(call, 0) != 0 ? "{pg_catalog,public}" : "{public}");
}

static void f_version(struct sq_call *call)
{
    return_string(call, "PostgreSQL 15.0 (Switchyard, SQLite " SQLITE_VERSION ")");
}

static void f_backend_pid(struct sq_call *call)
{
    sq_return_int(call, call->session == NULL ? 0 : (int64_t)call->session->backend_pid);
}

static void f_now(struct sq_call *call)
{
    sq_return_int(call, call->session == NULL ? 0 : call->session->transaction_us);
}

static void f_statement_timestamp(struct sq_call *call)
{
    sq_return_int(call, call->session == NULL ? 0 : call->session->types.now_us);
}

static int64_t wall_clock(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * SQ_US_PER_SEC + now.tv_nsec / 1000 - SY_TYPE_EPOCH_US;
}

static void f_clock_timestamp(struct sq_call *call)
{
    sq_return_int(call, wall_clock());
}

static void f_current_setting(struct sq_call *call)
{
    struct sy_buf out = {0};
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    bool missing_ok = call->argc > 1 && sq_arg_int(call, 1) != 0;
    struct sy_slice name = sq_arg_text(call, 0);
    if (call->session == NULL || call->session->setting_get == NULL) {
        sq_fail(call, "42704", "unrecognized configuration parameter \"%.*s\"", (int)name.bytes,
                name.data);
        return;
    }
    if (call->session->setting_get(call->session->ctx, name, missing_ok, &out, &err)) {
        sq_return_buf(call, &out);
        return;
    }
    sy_buf_release(&out);
    if (err.status != SY_OK)
        sq_fail_err(call, &err);
}

static void f_set_config(struct sq_call *call)
{
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    struct sy_slice value = sq_is_null(call, 1) ? (struct sy_slice){"", 0} : sq_arg_text(call, 1);
    if (call->session == NULL || call->session->setting_set == NULL)
        sq_fail(call, "0A000", "set_config is not supported here");
    else if (call->session->setting_set(call->session->ctx, sq_arg_text(call, 0), value,
                                        sq_arg_int(call, 2) != 0, &err))
        sq_return_text(call, value.data, value.bytes);
    else
        sq_fail_err(call, &err);
}

/* ---- sequences ---- */

static bool has_sequences(struct sq_call *call)
{
    if (call->session != NULL && call->session->sequence_next != NULL)
        return true;
    sq_fail(call, "0A000", "sequences are not supported here");
    return false;
}

static void sequence_value(struct sq_call *call,
                           bool (*get)(void *, struct sy_slice, int64_t *, struct sy_err *))
{
    int64_t value = 0;
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (get(call->session->ctx, sq_arg_text(call, 0), &value, &err))
        sq_return_int(call, value);
    else
        sq_fail_err(call, &err);
}

static void f_nextval(struct sq_call *call)
{
    if (has_sequences(call))
        sequence_value(call, call->session->sequence_next);
}

static void f_currval(struct sq_call *call)
{
    if (has_sequences(call))
        sequence_value(call, call->session->sequence_current);
}

static void f_lastval(struct sq_call *call)
{
    int64_t value = 0;
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (!has_sequences(call))
        return;
    if (call->session->sequence_last(call->session->ctx, &value, &err))
        sq_return_int(call, value);
    else
        sq_fail_err(call, &err);
}

static void f_setval(struct sq_call *call)
{
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    int64_t value = sq_arg_int(call, 1);
    if (!has_sequences(call))
        return;
    if (call->session->sequence_set(call->session->ctx, sq_arg_text(call, 0), value,
                                    sq_arg_int(call, 2) != 0, &err))
        sq_return_int(call, value);
    else
        sq_fail_err(call, &err);
}

/* ---- random ---- */

static void f_random(struct sq_call *call)
{
    uint64_t bits = 0;
    sqlite3_randomness((int)sizeof(bits), &bits);
    sq_return_real(call, (double)(bits >> 11) * 0x1.0p-53);
}

static void f_gen_random_uuid(struct sq_call *call)
{
    unsigned char b[16];
    char text[40];
    if (RAND_bytes(b, sizeof(b)) != 1) {
        sq_fail(call, "XX000", "could not generate random values");
        return;
    }
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    (void)snprintf(text, sizeof(text),
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                   b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                   b[14], b[15]);
    sq_return_text(call, text, 36);
}

static const struct sq_function functions[] = {
    {"sy_cast", 4, 0, f_cast},
    {"sy_typmod", 4, 0, f_typmod},
    {"sy_notnull", 3, SQ_F_NULLS, f_notnull},
    {"sy_raise", 2, SQ_F_VOLATILE, f_raise},
    {"sy_limit", 2, SQ_F_NULLS, f_limit},
    {"sy_greatest", -1, SQ_F_NULLS, f_greatest},
    {"sy_least", -1, SQ_F_NULLS, f_least},
    {"sy_row", -1, SQ_F_NULLS, f_row},
    {"sy_num_nulls", -1, SQ_F_NULLS, f_num_nulls},
    {"sy_num_nonnulls", -1, SQ_F_NULLS, f_num_nonnulls},
    {"sy_current_user", 0, SQ_F_VOLATILE, f_current_user},
    {"sy_session_user", 0, SQ_F_VOLATILE, f_session_user},
    {"sy_current_database", 0, SQ_F_VOLATILE, f_current_database},
    {"sy_current_schema", 0, SQ_F_VOLATILE, f_current_schema},
    {"sy_current_schemas", 1, SQ_F_VOLATILE, f_current_schemas},
    {"sy_version", 0, 0, f_version},
    {"sy_backend_pid", 0, SQ_F_VOLATILE, f_backend_pid},
    {"sy_now", 0, SQ_F_VOLATILE, f_now},
    {"sy_statement_timestamp", 0, SQ_F_VOLATILE, f_statement_timestamp},
    {"sy_clock_timestamp", 0, SQ_F_VOLATILE, f_clock_timestamp},
    {"sy_current_setting", -1, SQ_F_VOLATILE, f_current_setting},
    {"sy_set_config", 3, SQ_F_VOLATILE | SQ_F_NULLS, f_set_config},
    {"sy_nextval", 1, SQ_F_VOLATILE, f_nextval},
    {"sy_currval", 1, SQ_F_VOLATILE, f_currval},
    {"sy_lastval", 0, SQ_F_VOLATILE, f_lastval},
    {"sy_setval", 3, SQ_F_VOLATILE, f_setval},
    {"sy_random", 0, SQ_F_VOLATILE, f_random},
    {"sy_gen_random_uuid", 0, SQ_F_VOLATILE, f_gen_random_uuid},
};

const struct sq_function_table sq_functions_misc = {functions,
                                                    sizeof(functions) / sizeof(functions[0])};
