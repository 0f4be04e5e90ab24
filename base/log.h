/*
 * Structured log lines, logfmt or JSON, to standard error or a file: one event, one line, key=value
 * fields. Never a password, a bind value or a statement's text. Control characters are escaped.
 *
 *     SY_LOG(SY_LOG_INFO, "listening", SY_KV_STR("address", text), SY_KV_INT("port", 6432));
 */
#ifndef SY_BASE_LOG_H
#define SY_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum sy_log_level { SY_LOG_DEBUG, SY_LOG_INFO, SY_LOG_WARN, SY_LOG_ERROR, SY_LOG_FATAL };
enum sy_log_format { SY_LOG_LOGFMT, SY_LOG_JSON };

struct sy_log_field {
    enum { SY_FIELD_STR, SY_FIELD_INT } kind;
    const char *key;
    const char *str;
    int64_t num;
};

#define SY_KV_STR(k, v) ((struct sy_log_field){.kind = SY_FIELD_STR, .key = (k), .str = (v)})
#define SY_KV_INT(k, v)                                                                            \
    ((struct sy_log_field){.kind = SY_FIELD_INT, .key = (k), .num = (int64_t)(v)})

/* Set once at start, before threads. fd is borrowed. */
void sy_log_configure(enum sy_log_level least, enum sy_log_format format, int fd);
bool sy_log_enabled(enum sy_log_level level);
/* Writes one line with one write(2). Any thread; never blocks on a lock. */
void sy_log_write(enum sy_log_level level, const char *event, const struct sy_log_field *fields,
                  unsigned field_count);
/* The same event with the fields of *err: status, sqlstate, errno text, message, place. */
void sy_log_err(enum sy_log_level level, const char *event, const struct sy_err *err);

#define SY_LOG(level, event, ...)                                                                  \
    do {                                                                                           \
        if (sy_log_enabled(level)) {                                                               \
            const struct sy_log_field sy_log_fields_[] = {__VA_ARGS__};                            \
            sy_log_write((level), (event), sy_log_fields_,                                         \
                         sizeof(sy_log_fields_) / sizeof(sy_log_fields_[0]));                      \
        }                                                                                          \
    } while (0)

#endif
