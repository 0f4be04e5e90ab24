/*
 * Status codes and the error record that every fallible function fills.
 *
 * One X-macro lists each status with its SQLSTATE and a default text. SY_E_UNCERTAIN is the status
 * of a write that may have happened: it is never retried.
 */
#ifndef SY_BASE_ERR_H
#define SY_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*       name                sqlstate  text */
#define SY_STATUS_TABLE(X)                                                                         \
    X(SY_OK, "00000", "success")                                                                   \
    X(SY_E_INTERNAL, "XX000", "internal error")                                                    \
    X(SY_E_NO_MEMORY, "53200", "out of memory")                                                    \
    X(SY_E_IO, "58030", "input/output error")                                                      \
    X(SY_E_LIMIT, "54000", "a limit was exceeded")                                                 \
    X(SY_E_TOO_MANY, "53300", "too many connections")                                              \
    X(SY_E_RATE, "53400", "rate limit reached")                                                    \
    X(SY_E_PROTOCOL, "08P01", "protocol violation")                                                \
    X(SY_E_CONNECT, "08001", "cannot connect to the server")                                       \
    X(SY_E_CONNECTION_LOST, "08006", "the server connection was lost")                             \
    X(SY_E_UNCERTAIN, "08007", "the outcome of the transaction is unknown")                        \
    X(SY_E_AUTH, "28P01", "authentication failed")                                                 \
    X(SY_E_AUTH_SPEC, "28000", "not allowed to connect")                                           \
    X(SY_E_NO_DATABASE, "3D000", "database does not exist")                                        \
    X(SY_E_SYNTAX, "42601", "syntax error")                                                        \
    X(SY_E_NO_COLUMN, "42703", "column does not exist")                                            \
    X(SY_E_UNSUPPORTED, "0A000", "not supported")                                                  \
    X(SY_E_NO_PARTITION, "23514", "no shard holds this key")                                       \
    X(SY_E_NULL_KEY, "23502", "the sharding key is null")                                          \
    X(SY_E_VALUE, "22023", "invalid value")                                                        \
    X(SY_E_TEXT, "22P02", "invalid text representation")                                           \
    X(SY_E_PRIVILEGE, "42501", "permission denied")                                                \
    X(SY_E_SHUTDOWN, "57P01", "terminating connection: the server shuts down")                     \
    X(SY_E_CANCELED, "57014", "canceling statement due to user request")                           \
    X(SY_E_TIMEOUT, "57014", "a time limit was exceeded")                                          \
    X(SY_E_IDLE_TIMEOUT, "57P05", "terminating connection due to idle timeout")                    \
    X(SY_E_IDLE_TXN_TIMEOUT, "25P03", "idle-in-transaction timeout")                               \
    X(SY_E_TXN_FAILED, "25P02", "current transaction is aborted")                                  \
    X(SY_E_CONFIG, "F0000", "configuration file error")                                            \
    X(SY_E_CATALOG, "58000", "catalog error")                                                      \
    X(SY_E_NOT_FOUND, "42704", "no such object")                                                   \
    X(SY_E_STATE, "55000", "not possible in this state")

enum sy_status {
#define X(name, sqlstate, text) name,
    SY_STATUS_TABLE(X)
#undef X
        SY_STATUS_COUNT
};

enum { SY_ERR_TEXT_BYTES = 512, SY_ERR_HINT_BYTES = 256 };

/* A bounded error: what happened, why, and what to do next. Plain data; zero-initialised means "no
 * error". */
struct sy_err {
    enum sy_status status;
    int sys_errno;    /* errno or 0 */
    char sqlstate[6]; /* overrides the status's own SQLSTATE when not empty */
    const char *file; /* place that raised it */
    int line;
    int position;                 /* 1-based character of the statement, 0: none */
    char text[SY_ERR_TEXT_BYTES]; /* primary message, without a trailing full stop */
    char detail[SY_ERR_HINT_BYTES];
    char hint[SY_ERR_HINT_BYTES];
    char context[SY_ERR_HINT_BYTES]; /* where in the client's data: "COPY t, line 3" */
};

#define SY_MUST_CHECK __attribute__((warn_unused_result))

/*
 * "No error" at the price of the head: `= {0}` would clear the texts too, 1 KiB for every statement
 * of the hot path. What is read of a text ends at its first zero byte.
 */
static inline void sy_err_init(struct sy_err *err)
{
    err->status = SY_OK;
    err->sys_errno = err->line = err->position = 0;
    err->file = NULL;
    err->sqlstate[0] = err->text[0] = err->detail[0] = err->hint[0] = err->context[0] = '\0';
}

const char *sy_status_name(enum sy_status status);
const char *sy_status_sqlstate(enum sy_status status);
const char *sy_status_text(enum sy_status status);

/* The SQLSTATE to send: the record's own, else the status's. */
const char *sy_err_sqlstate(const struct sy_err *err);

/* Fills *err (may be NULL). Callers write `return sy_err_set(err, status, format, ...)`. */
void sy_err_set_at(struct sy_err *err, enum sy_status status, int sys_errno, const char *file,
                   int line, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The status is given back here, not by the function, so that whoever reads the caller alone - the
 * compiler's analyzer, clang-tidy - sees that a failure is never SY_OK. */
#define sy_err_set(err, status, ...) sy_err_set_errno((err), (status), 0, __VA_ARGS__)
#define sy_err_set_errno(err, status, sys_errno, ...)                                              \
    __extension__({                                                                                \
        const enum sy_status sy_err_status_ = (status);                                            \
        sy_err_set_at((err), sy_err_status_, (sys_errno), __FILE__, __LINE__, __VA_ARGS__);        \
        sy_err_status_;                                                                            \
    })

/* Adds a way out to an error that was set. */
void sy_err_hint(struct sy_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sy_err_detail(struct sy_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sy_err_context(struct sy_err *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void sy_err_state(struct sy_err *err, const char sqlstate[static 5]);

#endif
