/* Settings: a table of what is known, values by transaction level, and what a change does. */
#include "router/engine/sqlite/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encoding.h"
#include "base/number.h"
#include "router/engine/sqlite/session.h"

enum kind {
    KIND_TEXT,
    KIND_BOOL,
    KIND_INT,
    KIND_MS,     /* a duration, milliseconds without a unit */
    KIND_FIXED,  /* cannot be changed: 55P02 */
    KIND_ONE_OF, /* `allowed` separated by '|', first is canonical for itself */
    KIND_TIMEZONE,
    KIND_ISOLATION,
    KIND_SEARCH_PATH,
    KIND_DATESTYLE,
    KIND_ENCODING,
};

static const struct known {
    const char *name, *initial;
    enum kind kind;
    bool reported;
    const char *allowed;
} known[] = {
    {"application_name", "", KIND_TEXT, true, NULL},
    {"backslash_quote", "safe_encoding", KIND_ONE_OF, false, "safe_encoding|on|off"},
    {"block_size", "8192", KIND_FIXED, false, NULL},
    {"bytea_output", "hex", KIND_ONE_OF, false, "hex|escape"},
    {"check_function_bodies", "on", KIND_BOOL, false, NULL},
    {"client_encoding", "UTF8", KIND_ENCODING, true, NULL},
    {"client_min_messages", "notice", KIND_ONE_OF, false,
     "notice|debug5|debug4|debug3|debug2|debug1|log|warning|error|info|debug|panic|fatal"},
    {"constraint_exclusion", "partition", KIND_ONE_OF, false, "partition|on|off"},
    {"cursor_tuple_fraction", "0.1", KIND_TEXT, false, NULL},
    {"DateStyle", "ISO, MDY", KIND_DATESTYLE, true, NULL},
    {"deadlock_timeout", "1s", KIND_MS, false, NULL},
    {"default_table_access_method", "heap", KIND_TEXT, false, NULL},
    {"default_tablespace", "", KIND_TEXT, false, NULL},
    {"default_text_search_config", "pg_catalog.simple", KIND_TEXT, false, NULL},
    {"default_transaction_deferrable", "off", KIND_BOOL, false, NULL},
    {"default_transaction_isolation", "read committed", KIND_ISOLATION, false, NULL},
    {"default_transaction_read_only", "off", KIND_BOOL, true, NULL},
    {"enable_seqscan", "on", KIND_BOOL, false, NULL},
    {"enable_indexscan", "on", KIND_BOOL, false, NULL},
    {"enable_hashjoin", "on", KIND_BOOL, false, NULL},
    {"enable_mergejoin", "on", KIND_BOOL, false, NULL},
    {"enable_nestloop", "on", KIND_BOOL, false, NULL},
    {"escape_string_warning", "on", KIND_BOOL, false, NULL},
    {"extra_float_digits", "1", KIND_ONE_OF, false, "1|2|3"},
    {"geqo", "on", KIND_BOOL, false, NULL},
    {"hot_standby", "on", KIND_FIXED, false, NULL},
    {"idle_in_transaction_session_timeout", "1min", KIND_MS, false, NULL},
    {"idle_session_timeout", "0", KIND_MS, false, NULL},
    {"in_hot_standby", "off", KIND_FIXED, true, NULL},
    {"integer_datetimes", "on", KIND_FIXED, true, NULL},
    {"IntervalStyle", "postgres", KIND_ONE_OF, true, "postgres"},
    {"is_superuser", "off", KIND_FIXED, true, NULL},
    {"jit", "off", KIND_BOOL, false, NULL},
    {"lc_collate", "C.UTF-8", KIND_FIXED, false, NULL},
    {"lc_ctype", "C.UTF-8", KIND_FIXED, false, NULL},
    {"lc_messages", "C", KIND_TEXT, false, NULL},
    {"lc_monetary", "C", KIND_TEXT, false, NULL},
    {"lc_numeric", "C", KIND_TEXT, false, NULL},
    {"lc_time", "C", KIND_TEXT, false, NULL},
    {"lock_timeout", "30s", KIND_MS, false, NULL},
    {"maintenance_work_mem", "64MB", KIND_TEXT, false, NULL},
    {"max_connections", "1000", KIND_FIXED, false, NULL},
    {"max_identifier_length", "63", KIND_FIXED, false, NULL},
    {"max_index_keys", "32", KIND_FIXED, false, NULL},
    {"max_parallel_workers_per_gather", "0", KIND_INT, false, NULL},
    {"password_encryption", "scram-sha-256", KIND_TEXT, false, NULL},
    {"plan_cache_mode", "auto", KIND_ONE_OF, false, "auto|force_generic_plan|force_custom_plan"},
    {"quote_all_identifiers", "off", KIND_BOOL, false, NULL},
    {"random_page_cost", "4", KIND_TEXT, false, NULL},
    {"role", "none", KIND_ONE_OF, false, "none"},
    {"row_security", "on", KIND_BOOL, false, NULL},
    {"search_path", "\"$user\", public", KIND_SEARCH_PATH, false, NULL},
    {"server_encoding", "UTF8", KIND_FIXED, true, NULL},
    {"server_version", "15.0 (Switchyard SQLite)", KIND_FIXED, true, NULL},
    {"server_version_num", "150000", KIND_FIXED, false, NULL},
    {"session_authorization", "", KIND_FIXED, true, NULL},
    {"session_replication_role", "origin", KIND_ONE_OF, false, "origin"},
    {"shared_buffers", "16MB", KIND_FIXED, false, NULL},
    {"ssl", "off", KIND_FIXED, false, NULL},
    {"standard_conforming_strings", "on", KIND_ONE_OF, true, "on|true|1|yes"},
    {"statement_timeout", "0", KIND_MS, false, NULL},
    {"synchronize_seqscans", "on", KIND_BOOL, false, NULL},
    {"synchronous_commit", "on", KIND_ONE_OF, false, "on|local|remote_write|remote_apply"},
    {"temp_buffers", "8MB", KIND_TEXT, false, NULL},
    {"TimeZone", "UTC", KIND_TIMEZONE, true, NULL},
    {"transaction_isolation", "read committed", KIND_ISOLATION, false, NULL},
    {"transaction_read_only", "off", KIND_BOOL, false, NULL},
    {"transform_null_equals", "off", KIND_ONE_OF, false, "off"},
    {"wal_level", "replica", KIND_FIXED, false, NULL},
    {"work_mem", "4MB", KIND_TEXT, false, NULL},
    {"xmloption", "content", KIND_TEXT, false, NULL},
};

enum {
    KNOWN = sizeof(known) / sizeof(known[0]),
    CUSTOM_MAX = 64,
    ENTRIES_MAX = KNOWN + CUSTOM_MAX
};

/* A value, shared by the levels that have it. One session, one thread: a plain count. */
struct text {
    uint32_t refs;
    char data[];
};

struct level {
    struct text *session[ENTRIES_MAX], *current[ENTRIES_MAX];
};

struct sy_sqlite_settings {
    struct level now;
    struct level *begin; /* as it was before the transaction's first SET; NULL: nothing set in it */
    bool local_used;
    char *custom[CUSTOM_MAX];
    uint32_t custom_count;
    uint64_t statement_us, lock_us, idle_us;
    bool quiet_notices;
    bool quiet_warnings;
};

static struct text *text_new(const char *value, size_t bytes)
{
    struct text *text = malloc(sizeof(*text) + bytes + 1);
    if (text != NULL) {
        text->refs = 1;
        memcpy(text->data, value, bytes);
        text->data[bytes] = '\0';
    }
    return text;
}

static struct text *text_ref(struct text *text)
{
    if (text != NULL)
        text->refs++;
    return text;
}

static void text_unref(struct text **text)
{
    if (*text != NULL && --(*text)->refs == 0)
        free(*text);
    *text = NULL;
}

static void level_copy(struct level *to, const struct level *from)
{
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        to->session[i] = text_ref(from->session[i]);
        to->current[i] = text_ref(from->current[i]);
    }
}

static void level_release(struct level *level)
{
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        text_unref(&level->session[i]);
        text_unref(&level->current[i]);
    }
}

struct sy_sqlite_settings *sy_sqlite_settings_new(void)
{
    struct sy_sqlite_settings *settings = calloc(1, sizeof(*settings));
    bool ok = settings != NULL;
    for (uint32_t i = 0; ok && i < KNOWN; i++) {
        settings->now.session[i] = text_new(known[i].initial, strlen(known[i].initial));
        settings->now.current[i] = text_ref(settings->now.session[i]);
        ok = settings->now.session[i] != NULL;
    }
    if (!ok) {
        sy_sqlite_settings_free(&settings);
        return NULL;
    }
    settings->lock_us = 30 * UINT64_C(1000000);
    settings->idle_us = 60 * UINT64_C(1000000);
    return settings;
}

void sy_sqlite_settings_free(struct sy_sqlite_settings **settings)
{
    struct sy_sqlite_settings *self = *settings;
    *settings = NULL;
    if (self == NULL)
        return;
    level_release(&self->now);
    void *begin = self->begin;
    sy_sqlite_settings_forget(&begin);
    for (uint32_t i = 0; i < self->custom_count; i++)
        free(self->custom[i]);
    free(self);
}

/* ---- finding ---- */

static const char *entry_name(const struct sy_sqlite_settings *settings, uint32_t index)
{
    return index < KNOWN ? known[index].name : settings->custom[index - KNOWN];
}

static int find(const struct sy_sqlite_settings *settings, struct sy_slice name)
{
    for (uint32_t i = 0; i < KNOWN + settings->custom_count; i++) {
        const char *entry = entry_name(settings, i);
        if (strlen(entry) == name.bytes && strncasecmp(entry, name.data, name.bytes) == 0)
            return (int)i;
    }
    return -1;
}

static bool unknown(struct sy_sqlite_session *s, struct sy_slice name)
{
    sy_err_set(&s->err, SY_E_NOT_FOUND, "unrecognized configuration parameter \"%.*s\"",
               (int)name.bytes, name.data);
    return false;
}

/* A name with a dot is the application's own, made when it is first set. */
static int find_or_make(struct sy_sqlite_session *s, struct sy_slice name)
{
    struct sy_sqlite_settings *settings = s->settings;
    int index = find(settings, name);
    if (index >= 0)
        return index;
    if (memchr(name.data, '.', name.bytes) == NULL) {
        unknown(s, name);
        return -1;
    }
    char *copy = settings->custom_count < CUSTOM_MAX ? strndup(name.data, name.bytes) : NULL;
    if (copy == NULL) {
        sy_err_set(&s->err, SY_E_LIMIT, "a session keeps at most %d settings of its own",
                   CUSTOM_MAX);
        return -1;
    }
    settings->custom[settings->custom_count++] = copy;
    return (int)(KNOWN + settings->custom_count - 1);
}

const char *sy_sqlite_settings_get(struct sy_sqlite_session *s, struct sy_slice name)
{
    static const char *const levels[] = {"read committed", "repeatable read", "serializable"};
    int index = find(s->settings, name);
    if (index < 0)
        return NULL;
    if (index < (int)KNOWN && strcmp(known[index].name, "transaction_isolation") == 0)
        return levels[s->txn == 'I' ? s->default_isolation : s->isolation];
    if (index < (int)KNOWN && strcmp(known[index].name, "transaction_read_only") == 0)
        return s->file->index > 0 || (s->txn == 'I' ? s->default_read_only : s->read_only) ? "on"
                                                                                           : "off";
    if (index < (int)KNOWN && strcmp(known[index].name, "in_hot_standby") == 0)
        return s->file->index > 0 ? "on" : "off";
    if (index < (int)KNOWN && strcmp(known[index].name, "session_authorization") == 0)
        return s->user;
    return s->settings->now.current[index] == NULL ? NULL : s->settings->now.current[index]->data;
}

const char *sy_sqlite_settings_title(struct sy_sqlite_session *s, struct sy_slice name)
{
    int index = find(s->settings, name);
    return index < 0 ? NULL : entry_name(s->settings, (uint32_t)index);
}

bool sy_sqlite_settings_at(struct sy_sqlite_session *s, uint32_t index, const char **ret_name,
                           const char **ret_value, const char **ret_default)
{
    if (index >= KNOWN + s->settings->custom_count)
        return false;
    *ret_name = entry_name(s->settings, index);
    const char *value = sy_sqlite_settings_get(s, sy_slice_of(*ret_name));
    *ret_value = value == NULL ? "" : value;
    *ret_default = index < KNOWN ? known[index].initial : "";
    return true;
}

/* ---- checking ---- */

static bool invalid(struct sy_sqlite_session *s, const char *name, struct sy_slice value)
{
    sy_err_set(&s->err, SY_E_VALUE, "invalid value for parameter \"%s\": \"%.*s\"", name,
               (int)value.bytes, value.data);
    return false;
}

static bool equals(struct sy_slice value, const char *word)
{
    return strlen(word) == value.bytes && strncasecmp(word, value.data, value.bytes) == 0;
}

static bool one_of(struct sy_slice value, const char *allowed, struct sy_slice *ret_word)
{
    while (*allowed != '\0') {
        size_t bytes = strcspn(allowed, "|");
        if (bytes == value.bytes && strncasecmp(allowed, value.data, bytes) == 0) {
            *ret_word = (struct sy_slice){allowed, bytes};
            return true;
        }
        allowed += bytes + (allowed[bytes] == '|');
    }
    return false;
}

static bool parse_bool(struct sy_slice value, bool *ret)
{
    static const char *const words[] = {"on", "off", "true", "false", "yes", "no",
                                        "1",  "0",   "t",    "f",     "y",   "n"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (equals(value, words[i])) {
            *ret = i % 2 == 0;
            return true;
        }
    }
    return false;
}

/* "5s", "100 ms", "250": microseconds. */
static bool parse_ms(struct sy_slice value, uint64_t *ret_us)
{
    struct sy_err ignored = {0};
    uint64_t ms = 0;
    if (sy_number_parse_u64(value, 0, INT32_MAX, &ms, &ignored) == SY_OK) {
        *ret_us = ms * 1000;
        return true;
    }
    return sy_number_parse_duration(value, ret_us, &ignored) == SY_OK;
}

static const char *const ms_units[] = {"d", "h", "min", "s", "ms"};
static const uint64_t ms_sizes[] = {86400000, 3600000, 60000, 1000, 1};

static void format_ms(uint64_t us, struct sy_buf *out)
{
    uint64_t ms = us / 1000;
    if (ms == 0) {
        sy_buf_append_str(out, "0");
        return;
    }
    size_t unit = 0;
    while (ms % ms_sizes[unit] != 0)
        unit++;
    sy_buf_printf(out, "%llu%s", (unsigned long long)(ms / ms_sizes[unit]), ms_units[unit]);
}

static bool check_search_path(struct sy_sqlite_session *s, struct sy_slice value)
{
    static const char *const known_schemas[] = {"public", "pg_catalog",         "pg_temp",
                                                "$user",  "information_schema", ""};
    const char *at = value.data, *end = value.data + value.bytes;
    while (at < end) {
        const char *comma = memchr(at, ',', (size_t)(end - at));
        const char *stop = comma == NULL ? end : comma;
        while (at < stop && (*at == ' ' || *at == '"' || *at == '\''))
            at++;
        const char *last = stop;
        while (last > at && (last[-1] == ' ' || last[-1] == '"' || last[-1] == '\''))
            last--;
        bool found = false;
        for (size_t i = 0; i < sizeof(known_schemas) / sizeof(known_schemas[0]); i++)
            found = found || equals((struct sy_slice){at, (size_t)(last - at)}, known_schemas[i]);
        if (!found && !equals((struct sy_slice){at, (size_t)(last - at)}, s->user)) {
            sy_err_set(&s->err, SY_E_UNSUPPORTED,
                       "the embedded engine has no schema \"%.*s\" for search_path",
                       (int)(last - at), at);
            sy_err_hint(&s->err, "Everything is in schema \"public\".");
            return false;
        }
        at = comma == NULL ? end : comma + 1;
    }
    return true;
}

static bool check_datestyle(struct sy_sqlite_session *s, struct sy_slice value, struct sy_buf *out)
{
    static const char *const accepted[] = {"ISO",     "ISO, MDY", "ISO,MDY",
                                           "ISO, US", "DEFAULT",  "MDY"};
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        if (equals(value, accepted[i])) {
            sy_buf_append_str(out, "ISO, MDY");
            return true;
        }
    }
    sy_err_set(&s->err, SY_E_UNSUPPORTED,
               "DateStyle \"%.*s\" is not supported by the embedded engine", (int)value.bytes,
               value.data);
    sy_err_hint(&s->err, "Use DateStyle \"ISO, MDY\" and format dates with to_char().");
    return false;
}

static bool check_encoding(struct sy_sqlite_session *s, struct sy_slice value, struct sy_buf *out)
{
    if (sy_encoding_same(value, SY_SLICE("UTF8"))) {
        sy_buf_append_str(out, "UTF8");
        return true;
    }
    sy_err_set(&s->err, SY_E_UNSUPPORTED,
               "client_encoding \"%.*s\" is not supported by the embedded engine", (int)value.bytes,
               value.data);
    sy_err_hint(&s->err, "Use UTF8.");
    return false;
}

static bool check_timezone(struct sy_sqlite_session *s, struct sy_slice value, struct sy_buf *out)
{
    const struct sy_timezone *zone = sy_timezone_find(value);
    if (zone == NULL)
        return invalid(s, "TimeZone", value);
    sy_buf_append_str(out, sy_timezone_name(zone));
    return true;
}

/* The canonical form of a value, or false with s->err set. */
static bool check(struct sy_sqlite_session *s, const struct known *k, struct sy_slice value,
                  struct sy_buf *out)
{
    bool on = false;
    int64_t number = 0;
    uint64_t us = 0;
    uint8_t isolation = 0;
    struct sy_slice word = value;
    struct sy_err ignored = {0};
    switch (k->kind) {
    case KIND_FIXED:
        sy_err_set(&s->err, SY_E_STATE, "parameter \"%s\" cannot be changed", k->name);
        sy_err_state(&s->err, "55P02");
        return false;
    case KIND_BOOL:
        if (!parse_bool(value, &on)) {
            sy_err_set(&s->err, SY_E_VALUE, "parameter \"%s\" requires a Boolean value", k->name);
            return false;
        }
        sy_buf_append_str(out, on ? "on" : "off");
        return true;
    case KIND_INT:
        if (sy_number_parse_i64(value, INT32_MIN, INT32_MAX, &number, &ignored) != SY_OK)
            return invalid(s, k->name, value);
        sy_buf_printf(out, "%lld", (long long)number);
        return true;
    case KIND_MS:
        if (!parse_ms(value, &us))
            return invalid(s, k->name, value);
        format_ms(us, out);
        return true;
    case KIND_ONE_OF:
        if (!one_of(value, k->allowed, &word)) {
            sy_err_set(&s->err, SY_E_UNSUPPORTED,
                       "value \"%.*s\" of \"%s\" is not supported by the embedded engine",
                       (int)value.bytes, value.data, k->name);
            sy_err_hint(&s->err, "Supported: %s", k->allowed);
            return false;
        }
        break;
    case KIND_TIMEZONE:
        return check_timezone(s, value, out);
    case KIND_ISOLATION:
        if (!sy_sqlite_isolation_of(sy_arena_strndup(&s->scratch, value.data, value.bytes),
                                    &isolation))
            return invalid(s, k->name, value);
        break;
    case KIND_SEARCH_PATH:
        if (!check_search_path(s, value))
            return false;
        break;
    case KIND_DATESTYLE:
        return check_datestyle(s, value, out);
    case KIND_ENCODING:
        return check_encoding(s, value, out);
    case KIND_TEXT:
        break;
    }
    sy_buf_append_slice(out, word);
    return true;
}

/* ---- effects ---- */

static void apply(struct sy_sqlite_session *s, uint32_t index)
{
    struct sy_sqlite_settings *settings = s->settings;
    if (index >= KNOWN)
        return;
    const char *name = known[index].name, *value = settings->now.current[index]->data;
    struct sy_slice slice = sy_slice_of(value);
    if (known[index].kind == KIND_TIMEZONE)
        s->sq.types.timezone = sy_timezone_find(slice);
    else if (strcmp(name, "bytea_output") == 0)
        s->sq.types.bytea_escape = strcmp(value, "escape") == 0;
    else if (strcmp(name, "default_transaction_isolation") == 0)
        (void)sy_sqlite_isolation_of(value, &s->default_isolation);
    else if (strcmp(name, "default_transaction_read_only") == 0)
        s->default_read_only = strcmp(value, "on") == 0;
    else if (strcmp(name, "statement_timeout") == 0)
        (void)parse_ms(slice, &settings->statement_us);
    else if (strcmp(name, "lock_timeout") == 0)
        (void)parse_ms(slice, &settings->lock_us);
    else if (strcmp(name, "idle_in_transaction_session_timeout") == 0)
        (void)parse_ms(slice, &settings->idle_us);
    else if (strcmp(name, "client_min_messages") == 0) {
        settings->quiet_notices = strcmp(value, "warning") == 0 || strcmp(value, "error") == 0 ||
                                  strcmp(value, "fatal") == 0 || strcmp(value, "panic") == 0;
        settings->quiet_warnings = settings->quiet_notices && strcmp(value, "warning") != 0;
    }
    if (known[index].reported) {
        sy_write_parameter_status(&s->out, sy_slice_of(name), slice);
        sy_sqlite_link_parameter(s->link, sy_slice_of(name), slice);
    }
}

bool sy_sqlite_wants_notice(struct sy_sqlite_session *s, const char *severity)
{
    if (strcmp(severity, "WARNING") == 0)
        return !s->settings->quiet_warnings;
    return !s->settings->quiet_notices || strcmp(severity, "NOTICE") != 0;
}

static void level_restore(struct sy_sqlite_session *s, const struct level *from)
{
    struct level *now = &s->settings->now;
    for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
        bool changed = now->current[i] != from->current[i];
        struct text *session = text_ref(from->session[i]), *current = text_ref(from->current[i]);
        text_unref(&now->session[i]);
        text_unref(&now->current[i]);
        now->session[i] = session;
        now->current[i] = current;
        if (changed && current != NULL)
            apply(s, i);
    }
}

void *sy_sqlite_settings_save(struct sy_sqlite_settings *settings)
{
    struct level *level = calloc(1, sizeof(*level));
    if (level != NULL)
        level_copy(level, &settings->now);
    return level;
}

void sy_sqlite_settings_forget(void **saved)
{
    if (*saved == NULL)
        return;
    level_release(*saved);
    free(*saved);
    *saved = NULL;
}

void sy_sqlite_settings_back(struct sy_sqlite_session *s, void *saved)
{
    if (saved != NULL)
        level_restore(s, saved);
}

void sy_sqlite_settings_end(struct sy_sqlite_session *s, bool committed)
{
    struct sy_sqlite_settings *settings = s->settings;
    if (settings->begin == NULL)
        return;
    if (!committed) {
        level_restore(s, settings->begin);
    } else if (settings->local_used) {
        for (uint32_t i = 0; i < ENTRIES_MAX; i++) {
            if (settings->now.current[i] == settings->now.session[i])
                continue;
            text_unref(&settings->now.current[i]);
            settings->now.current[i] = text_ref(settings->now.session[i]);
            if (settings->now.current[i] != NULL)
                apply(s, i);
        }
    }
    void *begin = settings->begin;
    sy_sqlite_settings_forget(&begin);
    settings->begin = NULL;
    settings->local_used = false;
}

static void put(struct sy_sqlite_session *s, uint32_t index, struct text *text, bool is_local)
{
    struct sy_sqlite_settings *settings = s->settings;
    /* Outside a block a SET is a transaction of its own: nothing to go back to. */
    if (s->txn != 'I' && settings->begin == NULL)
        settings->begin = sy_sqlite_settings_save(settings);
    text_unref(&settings->now.current[index]);
    settings->now.current[index] = text_ref(text);
    if (is_local) {
        settings->local_used = true;
    } else {
        text_unref(&settings->now.session[index]);
        settings->now.session[index] = text_ref(text);
    }
    apply(s, index);
}

static bool set_transaction(struct sy_sqlite_session *s, const char *name, const char *value)
{
    if (s->txn == 'I')
        return true;
    if (strcmp(name, "transaction_isolation") == 0)
        return sy_sqlite_isolation_of(value, &s->isolation);
    s->read_only = strcmp(value, "on") == 0;
    return true;
}

bool sy_sqlite_settings_set(struct sy_sqlite_session *s, struct sy_slice name,
                            struct sy_slice value, bool is_local)
{
    int index = find_or_make(s, name);
    if (index < 0)
        return false;
    struct sy_buf canonical = {0};
    if (value.data == NULL)
        sy_buf_append_str(&canonical, index < (int)KNOWN ? known[index].initial : "");
    else if (index >= (int)KNOWN)
        sy_buf_append_slice(&canonical, value);
    else if (!check(s, &known[index], value, &canonical)) {
        sy_buf_release(&canonical);
        return false;
    }
    struct text *text = text_new(canonical.bytes == 0 ? "" : canonical.data, canonical.bytes);
    sy_buf_release(&canonical);
    if (text == NULL) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    bool ok = true;
    if (index < (int)KNOWN && strncmp(known[index].name, "transaction_", 12) == 0)
        ok = set_transaction(s, known[index].name, text->data);
    else if (is_local && s->txn == 'I')
        sy_sqlite_notice(s, "WARNING", "25P01", "SET LOCAL can only be used in transaction blocks");
    else
        put(s, (uint32_t)index, text, is_local);
    text_unref(&text);
    return ok;
}

void sy_sqlite_settings_reset(struct sy_sqlite_session *s)
{
    for (uint32_t i = 0; i < KNOWN + s->settings->custom_count; i++) {
        const char *initial = i < KNOWN ? known[i].initial : "";
        bool fixed = i < KNOWN && (known[i].kind == KIND_FIXED ||
                                   strncmp(known[i].name, "transaction_", 12) == 0);
        struct text *now = s->settings->now.current[i];
        if (fixed || (now != NULL && strcmp(now->data, initial) == 0))
            continue;
        struct text *text = text_new(initial, strlen(initial));
        if (text != NULL)
            put(s, i, text, false);
        text_unref(&text);
    }
}

void sy_sqlite_settings_report_all(struct sy_sqlite_session *s)
{
    for (uint32_t i = 0; i < KNOWN; i++) {
        if (!known[i].reported)
            continue;
        struct sy_slice name = sy_slice_of(known[i].name);
        sy_sqlite_link_parameter(s->link, name, sy_slice_of(sy_sqlite_settings_get(s, name)));
    }
}

uint64_t sy_sqlite_settings_statement_limit_us(const struct sy_sqlite_settings *settings)
{
    return settings->statement_us;
}

uint64_t sy_sqlite_settings_lock_limit_us(const struct sy_sqlite_settings *settings)
{
    return settings->lock_us;
}

uint64_t sy_sqlite_settings_idle_limit_us(const struct sy_sqlite_settings *settings,
                                          bool holds_writer)
{
    const uint64_t holder_limit_us = UINT64_C(3600) * 1000000;
    if (settings->idle_us == 0 && holds_writer)
        return holder_limit_us;
    return settings->idle_us;
}
