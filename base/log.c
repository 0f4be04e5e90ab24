/*
 * Log lines. A line is built in a buffer on the stack and written with one write(2), so that lines
 * of several threads never mix and no lock is needed. What does not fit is cut, and the line stays
 * well formed.
 *
 * An event that repeats without end (a peer that reconnects in a loop) must not fill the disk: each
 * event name has a budget of lines per second; the line that tells of the suppression comes first,
 * the count afterwards.
 *
 * Thread: any. The settings are written once, before threads start.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/limits.h"

enum {
    TAIL_BYTES = 8,     /* kept free for what closes a cut line: ..."}\n */
    BUDGET_SLOTS = 512, /* event names are literals of the program: far fewer */
    BUDGET_PROBES = 8,
    WINDOW_US = 1000000,
};

static struct {
    enum sy_log_level least;
    enum sy_log_format format;
    int fd;
} settings = {.least = SY_LOG_INFO, .format = SY_LOG_LOGFMT, .fd = STDERR_FILENO};

static const char *const level_names[] = {"debug", "info", "warn", "error", "fatal"};

/* ---- the line under construction ---- */

struct line {
    char text[SY_LIMIT_LOG_LINE_BYTES];
    size_t bytes;
    bool cut; /* no room: everything after is dropped */
};

static void put(struct line *line, const char *text, size_t bytes)
{
    if (line->cut || line->bytes + bytes > sizeof(line->text) - TAIL_BYTES) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->bytes, text, bytes);
    line->bytes += bytes;
}

static void put_str(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* Length of the well-formed UTF-8 sequence at `text`, or 0. */
static size_t utf8_bytes(const unsigned char *text)
{
    unsigned char first = text[0];
    size_t bytes = first < 0x80   ? 1
                   : first < 0xc2 ? 0
                   : first < 0xe0 ? 2
                   : first < 0xf0 ? 3
                   : first < 0xf5 ? 4
                                  : 0;
    for (size_t i = 1; i < bytes; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((first == 0xe0 && text[1] < 0xa0) || (first == 0xf0 && text[1] < 0x90))
        return 0;
    if ((first == 0xed && text[1] > 0x9f) || (first == 0xf4 && text[1] > 0x8f))
        return 0;
    return bytes;
}

/* Control characters (C0, DEL, C1) and bytes that are not UTF-8 never reach a terminal as they are.
 */
static void put_escaped(struct line *line, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0' && !line->cut;) {
        size_t bytes = utf8_bytes(at);
        char escape[8];
        if (bytes == 0) {
            put_str(line, "\\ufffd");
            at++;
            continue;
        }
        unsigned code = bytes == 1   ? *at
                        : bytes == 2 ? (*at & 0x1fU) << 6 | (at[1] & 0x3fU)
                                     : 0x100;
        if (*at == '"' || *at == '\\') {
            escape[0] = '\\';
            escape[1] = (char)*at;
            put(line, escape, 2);
        } else if (*at == '\n') {
            put_str(line, "\\n");
        } else if (*at == '\t') {
            put_str(line, "\\t");
        } else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            snprintf(escape, sizeof(escape), "\\u%04x", code);
            put_str(line, escape);
        } else {
            put(line, (const char *)at, bytes);
        }
        at += bytes;
    }
}

static bool is_bare(const char *text)
{
    if (*text == '\0')
        return false;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++)
        if (*at <= ' ' || *at == '"' || *at == '\\' || *at == '=' || *at >= 0x7f)
            return false; /* bytes of UTF-8 are quoted as well */
    return true;
}

static void put_key(struct line *line, const char *key)
{
    bool json = settings.format == SY_LOG_JSON;
    if (line->bytes > (json ? 1U : 0U))
        put_str(line, json ? "," : " ");
    if (json)
        put_str(line, "\"");
    put_str(line, key);
    put_str(line, json ? "\":" : "=");
}

/* A field that does not begin to fit is left out; a text that does not end to fit is cut with
 * "...". */
static void put_text_field(struct line *line, const char *key, const char *value)
{
    size_t before = line->bytes;
    bool bare = settings.format == SY_LOG_LOGFMT && is_bare(value);
    put_key(line, key);
    put_str(line, bare ? value : "\"");
    if (line->cut) {
        line->bytes = before;
        return;
    }
    if (bare)
        return;
    put_escaped(line, value);
    const char *close = line->cut ? "...\"" : "\"";
    memcpy(line->text + line->bytes, close, strlen(close)); /* into the reserve, if need be */
    line->bytes += strlen(close);
}

static void put_field(struct line *line, const struct sy_log_field *field)
{
    size_t before = line->bytes;
    if (line->cut || before > sizeof(line->text) - TAIL_BYTES)
        return;
    if (field->kind == SY_FIELD_STR) {
        put_text_field(line, field->key, field->str != NULL ? field->str : "");
        return;
    }
    char number[24];
    snprintf(number, sizeof(number), "%" PRId64, field->num);
    put_key(line, field->key);
    put_str(line, number);
    if (line->cut) /* half a field would break the line */
        line->bytes = before;
}

static void put_time(struct line *line)
{
    int64_t now_us = sy_clock_real()->wall_us(sy_clock_real());
    time_t seconds = (time_t)(now_us / 1000000);
    struct tm utc;
    char text[40], stamp[56];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(stamp, sizeof(stamp), "%s.%03dZ", text, (int)(now_us / 1000 % 1000));
    put_text_field(line, "ts", stamp);
}

static void write_line(enum sy_log_level level, const char *event,
                       const struct sy_log_field *fields, unsigned field_count)
{
    struct line line;
    line.bytes = 0;
    line.cut = false;
    if (settings.format == SY_LOG_JSON)
        put_str(&line, "{");
    put_time(&line);
    put_text_field(&line, "level", level_names[level]);
    put_text_field(&line, "event", event);
    for (unsigned i = 0; i < field_count; i++)
        put_field(&line, &fields[i]);
    if (settings.format == SY_LOG_JSON)
        line.text[line.bytes++] = '}';
    line.text[line.bytes++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    ssize_t ignored = write(settings.fd, line.text, line.bytes);
    (void)ignored;
}

/* ---- budgets ---- */

struct budget {
    _Atomic uint64_t name_hash; /* 0: free */
    _Atomic uint64_t window_us; /* start of the present second */
    atomic_uint lines;
    atomic_uint suppressed;
};

static struct budget budgets[BUDGET_SLOTS];

static struct budget *find_budget(const char *event)
{
    uint64_t hash = XXH3_64bits(event, strlen(event)) | 1;
    for (unsigned probe = 0; probe < BUDGET_PROBES; probe++) {
        struct budget *slot = &budgets[(hash / 2 + probe) % BUDGET_SLOTS];
        uint64_t found = 0;
        if (atomic_compare_exchange_strong(&slot->name_hash, &found, hash) || found == hash)
            return slot;
    }
    return NULL;
}

static void tell_suppressed(const char *event, unsigned lines)
{
    const struct sy_log_field fields[] = {SY_KV_STR("of", event), SY_KV_INT("lines", lines)};
    write_line(SY_LOG_WARN, "suppressed", fields, lines > 0 ? 2 : 1);
}

/* Whether this line may be written. Races between threads cost a line more or less, nothing else.
 */
static bool spend(const char *event)
{
    struct budget *budget = find_budget(event);
    if (budget == NULL)
        return true;
    uint64_t now_us = sy_clock_real()->monotonic_us(sy_clock_real());
    uint64_t window_us = atomic_load_explicit(&budget->window_us, memory_order_relaxed);
    if (now_us - window_us >= WINDOW_US &&
        atomic_compare_exchange_strong(&budget->window_us, &window_us, now_us)) {
        atomic_store(&budget->lines, 0);
        unsigned suppressed = atomic_exchange(&budget->suppressed, 0);
        if (suppressed > 0)
            tell_suppressed(event, suppressed);
    }
    unsigned lines = atomic_fetch_add(&budget->lines, 1);
    if (lines < SY_LIMIT_LOG_LINES_PER_SECOND)
        return true;
    if (lines == SY_LIMIT_LOG_LINES_PER_SECOND)
        tell_suppressed(event, 0);
    atomic_fetch_add(&budget->suppressed, 1);
    return false;
}

/* ---- public ---- */

void sy_log_configure(enum sy_log_level least, enum sy_log_format format, int fd)
{
    settings.least = least;
    settings.format = format;
    settings.fd = fd;
}

bool sy_log_enabled(enum sy_log_level level)
{
    return level >= settings.least;
}

void sy_log_write(enum sy_log_level level, const char *event, const struct sy_log_field *fields,
                  unsigned field_count)
{
    if (!sy_log_enabled(level))
        return;
    int saved_errno = errno;
    /* The last word of a dying process is never dropped. */
    if (level == SY_LOG_FATAL || spend(event))
        write_line(level, event, fields, field_count);
    errno = saved_errno;
}

void sy_log_err(enum sy_log_level level, const char *event, const struct sy_err *err)
{
    struct sy_log_field fields[8];
    unsigned count = 0;
    fields[count++] = SY_KV_STR("status", sy_status_name(err->status));
    fields[count++] = SY_KV_STR("sqlstate", sy_err_sqlstate(err));
    fields[count++] = SY_KV_STR("message", err->text);
    if (err->sys_errno != 0) {
        const char *name = strerrordesc_np(err->sys_errno);
        fields[count++] = SY_KV_STR("errno", name != NULL ? name : "unknown");
    }
    if (err->detail[0] != '\0')
        fields[count++] = SY_KV_STR("detail", err->detail);
    if (err->hint[0] != '\0')
        fields[count++] = SY_KV_STR("hint", err->hint);
    if (err->file != NULL) {
        fields[count++] = SY_KV_STR("file", err->file);
        fields[count++] = SY_KV_INT("line", err->line);
    }
    sy_log_write(level, event, fields, count);
}
