/* Status tables and the error record. Pure; any thread. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct status_row {
    const char *name, *sqlstate, *text;
};

static const struct status_row rows[SY_STATUS_COUNT] = {
#define X(name, sqlstate, text) [name] = {#name, sqlstate, text},
    SY_STATUS_TABLE(X)
#undef X
};

const char *sy_status_name(enum sy_status status)
{
    return rows[status].name;
}

const char *sy_status_sqlstate(enum sy_status status)
{
    return rows[status].sqlstate;
}

const char *sy_status_text(enum sy_status status)
{
    return rows[status].text;
}

const char *sy_err_sqlstate(const struct sy_err *err)
{
    return err->sqlstate[0] != '\0' ? err->sqlstate : rows[err->status].sqlstate;
}

void sy_err_set_at(struct sy_err *err, enum sy_status status, int sys_errno, const char *file,
                   int line, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    char text[SY_ERR_TEXT_BYTES];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    memset(err, 0, offsetof(struct sy_err, text));
    err->status = status;
    err->sys_errno = sys_errno;
    err->file = file;
    err->line = line;
    memcpy(err->text, text, sizeof(text));
    err->detail[0] = '\0';
    err->hint[0] = '\0';
    err->context[0] = '\0';
}

void sy_err_hint(struct sy_err *err, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof(err->hint), format, args);
    va_end(args);
}

void sy_err_detail(struct sy_err *err, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->detail, sizeof(err->detail), format, args);
    va_end(args);
}

void sy_err_context(struct sy_err *err, const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(err->context, sizeof(err->context), format, args);
    va_end(args);
}

void sy_err_state(struct sy_err *err, const char sqlstate[static 5])
{
    if (err == NULL)
        return;
    memcpy(err->sqlstate, sqlstate, 5);
    err->sqlstate[5] = '\0';
}
