/*
 * What the files functions_*.c share: one call of an SQL function, its arguments and results. A
 * function is a row of a table; the wrapper gives NULL for NULL arguments (unless told otherwise)
 * and an arena for the call.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_FUNCTIONS_INTERNAL_H
#define SY_ROUTER_ENGINE_SQLITE_FUNCTIONS_INTERNAL_H

#include <sqlite3.h>

#include "router/engine/sqlite/functions.h"
#include "router/engine/sqlite/types_internal.h"

struct sq_num; /* numeric.h */

struct sq_call {
    sqlite3_context *context;
    int argc;
    sqlite3_value **argv;
    struct sy_sqsession *session; /* NULL: nobody uses the connection */
    struct sy_arena arena;        /* of this call */
};

enum {
    SQ_F_NULLS = 1,    /* called with NULL arguments too */
    SQ_F_VOLATILE = 2, /* result differs from call to call */
};

struct sq_function {
    const char *name;
    int nargs; /* -1: any */
    int flags;
    void (*run)(struct sq_call *call);
};

struct sq_function_table {
    const struct sq_function *functions;
    size_t count;
};

/* Aggregates keep their state in memory that SQLite zeroes; `step` may use call->context's
 * aggregate memory. */
struct sq_aggregate {
    const char *name;
    int nargs;
    size_t state_bytes;
    void (*step)(struct sq_call *call, void *state);
    void (*inverse)(struct sq_call *call, void *state); /* NULL: not a window function */
    void (*value)(struct sq_call *call, void *state);   /* state NULL: no rows */
    void (*release)(void *state);
};

struct sq_aggregate_table {
    const struct sq_aggregate *aggregates;
    size_t count;
};

extern const struct sq_function_table sq_functions_text, sq_functions_numeric,
    sq_functions_datetime, sq_functions_datefield, sq_functions_json, sq_functions_regex,
    sq_functions_misc, sq_functions_format, sq_functions_array, sq_functions_tochar,
    sq_functions_decimal, sq_functions_logarithm, sq_functions_rows;
extern const struct sq_aggregate_table sq_aggregates;

/* Virtual tables: generate_series, unnest and friends. */
int sq_sets_register(sqlite3 *db, struct sy_sqsession_slot *slot);

/* LATERAL subqueries: sy_rows, sy_rows_pack. */
int sq_rows_register(sqlite3 *db);

/* xDisconnect of a table that was calloc()ed. */
int sq_table_disconnect(sqlite3_vtab *base);
/* xBestIndex of a table that stands for a function: its hidden columns from `first_column` on are
 * the arguments, and a scan needs the first `required` of them. */
enum { SQ_TABLE_ARGUMENTS_MAX = 4 };
int sq_table_take_arguments(sqlite3_index_info *info, int first_column, int required);

/* ---- arguments ---- */
bool sq_is_null(const struct sq_call *call, int index);
int64_t sq_arg_int(const struct sq_call *call, int index);
double sq_arg_real(const struct sq_call *call, int index);
struct sy_slice sq_arg_text(const struct sq_call *call, int index); /* text or blob */
struct sy_sqvalue sq_arg_value(const struct sq_call *call, int index);
const struct sy_type_settings *sq_settings(const struct sq_call *call);

/* ---- results ---- */
void sq_return_int(struct sq_call *call, int64_t value);
void sq_return_bool(struct sq_call *call, bool value);
void sq_return_real(struct sq_call *call, double value);
void sq_return_text(struct sq_call *call, const char *data, size_t bytes);
void sq_return_buf(struct sq_call *call, struct sy_buf *buf); /* releases it */
/* A numeric that is neither NaN nor infinite; false: the error is reported. */
bool sq_arg_finite(struct sq_call *call, int index, struct sq_num *num);
/* A power whose exponent is not a whole number. */
void sq_fraction_power(struct sq_call *call, const struct sq_num *base,
                       const struct sq_num *exponent);
void sq_return_num(struct sq_call *call, const struct sq_num *num);
void sq_return_blob(struct sq_call *call, const void *data, size_t bytes);
void sq_return_value(struct sq_call *call, const struct sy_sqvalue *value);
void sq_return_null(struct sq_call *call);
/* An error of PostgreSQL. */
void sq_fail(struct sq_call *call, const char *sqlstate, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sq_fail_err(struct sq_call *call, const struct sy_err *err);

/* Text of a stored value of a type, appended. False: the error is reported. */
bool sq_text_of(struct sq_call *call, uint32_t type, const struct sy_sqvalue *value,
                struct sy_buf *out);
/* A value as a member of JSON text (to_json). Reports its own errors. */
void sq_json_append_value(struct sq_call *call, uint32_t type, const struct sy_sqvalue *value,
                          struct sy_buf *out);

#endif
