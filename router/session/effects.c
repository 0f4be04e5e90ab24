/*
 * What a statement changes in the session when the server has carried it out: settings, pins,
 * temporary names, prepared statements. Noted when it is sent, applied at its CommandComplete. The
 * worker's thread.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/grow.h"
#include "router/session/internal.h"

/* Unapplied effects are dropped with the cycle. */
enum effect_kind {
    EFFECT_NONE,
    EFFECT_SET,
    EFFECT_CHARACTERISTICS, /* SET SESSION CHARACTERISTICS: up to three settings */
    EFFECT_SET_LOCAL,
    EFFECT_RESET,
    EFFECT_RESET_ALL,
    EFFECT_PIN,
    EFFECT_TEMPORARY,
    EFFECT_CURSOR,
    EFFECT_TEMPORARY_DROP,
    EFFECT_SCHEMA, /* DDL: what the router knows of the schema is old */
};

struct effect {
    enum effect_kind kind;
    const char *pin;            /* static text */
    char *name, *sql, *value;   /* owned; characteristics: the isolation level is in value */
    char read_only, deferrable; /* characteristics: '+', '-' or 0 */
    bool to_default;            /* SET LOCAL ... TO DEFAULT */
    bool if_found;              /* set_config() for a row of pg_settings: not done without one */
    bool kept;                  /* SET LOCAL: for the servers that join later, once */
    struct sy_settings *result; /* reference: the session's settings after it, once applied */
};

struct sy_effects {
    uint32_t count, capacity;
    struct effect *list;
};

static void release(struct effect *effect)
{
    free(effect->name);
    free(effect->sql);
    free(effect->value);
    sy_settings_unref(&effect->result);
    *effect = (struct effect){.kind = EFFECT_NONE};
}

void sy_effect_drop(struct sy_session *session)
{
    struct sy_effects *effects = session->effects_list;
    if (effects == NULL)
        return;
    for (uint32_t i = 0; i < effects->count; i++)
        release(&effects->list[i]);
    free(effects->list);
    free(effects);
    session->effects_list = NULL;
    session->effects = false;
}

/* ---- SET's value, as SHOW would print it ---- */

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && isspace((unsigned char)*at))
        at++;
    return at;
}

/* Behind the first " TO " or "=" outside quotes; NULL: not of that form (SET TIME ZONE ...). */
static const char *find_value(const char *at, const char *end)
{
    bool quoted = false;
    for (; at < end; at++) {
        if (*at == '"')
            quoted = !quoted;
        if (quoted)
            continue;
        if (*at == '\'')
            return NULL;
        if (*at == '=')
            return at + 1;
        if (end - at > 3 && isspace((unsigned char)at[0]) && strncasecmp(at + 1, "to", 2) == 0 &&
            !isalnum((unsigned char)at[3]) && at[3] != '_')
            return at + 3;
    }
    return NULL;
}

/* SET TIME ZONE '...', SET SCHEMA '...', SET NAMES '...': the quote. NULL: not of that form. */
static const char *find_string(const char *begin, const char *end)
{
    static const char *const words[] = {"zone", "schema", "names"};
    const char *quote = begin, *word;
    while (quote < end && *quote != '\'')
        quote++;
    const char *to = quote;
    while (to > begin && isspace((unsigned char)to[-1]))
        to--;
    for (word = to; word > begin && isalpha((unsigned char)word[-1]); word--)
        continue;
    for (size_t i = 0; quote < end && i < sizeof(words) / sizeof(words[0]); i++)
        if ((size_t)(to - word) == strlen(words[i]) &&
            strncasecmp(word, words[i], strlen(words[i])) == 0)
            return quote;
    return NULL;
}

/* Strings lose their quotes; in a list of names they become quoted identifiers. */
char *sy_set_value_text(struct sy_slice sql, bool names)
{
    const char *end = sql.data + sql.bytes, *at = find_value(sql.data, end);
    if (at == NULL)
        at = find_string(sql.data, end);
    if (at == NULL)
        return NULL;
    at = skip_blanks(at, end);
    while (end > at && (isspace((unsigned char)end[-1]) || end[-1] == ';'))
        end--;
    char *text = malloc((size_t)(end - at) * 2 + 3), *out = text;
    if (text == NULL)
        return NULL;
    while (at < end) {
        if (*at != '\'') {
            *out++ = *at++;
            continue;
        }
        const char *close = at + 1;
        for (; close < end && (*close != '\'' || (close + 1 < end && close[1] == '\'')); close++)
            if (*close == '\'')
                close++;
        if (names)
            *out++ = '"';
        for (const char *c = at + 1; c < close; c++) {
            *out++ = *c;
            if (*c == '\'')
                c++;
        }
        if (names)
            *out++ = '"';
        at = close < end ? close + 1 : end;
    }
    *out = 0;
    return text;
}

/* ---- noting ---- */

static struct effect *add(struct sy_session *session)
{
    if (session->effects_list == NULL)
        session->effects_list = calloc(1, sizeof(*session->effects_list));
    struct sy_effects *effects = session->effects_list;
    if (effects == NULL)
        return NULL;
    struct effect *list =
        sy_grown(effects->list, effects->count, &effects->capacity, 2, sizeof(*list));
    if (list == NULL)
        return NULL;
    effects->list = list;
    struct effect *effect = &effects->list[effects->count++];
    *effect = (struct effect){.kind = EFFECT_NONE};
    return effect;
}

static char *copy(struct sy_slice text)
{
    return strndup(text.data == NULL ? "" : text.data, text.bytes);
}

static bool is_set_config(const struct sy_stmt *stmt)
{
    for (int32_t i = 0; i < stmt->function_count; i++)
        if (sy_slice_eq(stmt->functions[i].name.name, SY_SLICE("set_config")))
            return true;
    return false;
}

static char *set_sql(struct sy_slice name, struct sy_slice value, bool local)
{
    enum { SET_BYTES = 4 };
    struct sy_buf set = {0}, sql = {0};
    sy_settings_startup_sql(name, value, &set);
    sy_buf_append_str(&sql, local ? "SET LOCAL " : "SET ");
    if (set.bytes > SET_BYTES)
        sy_buf_append(&sql, set.data + SET_BYTES, set.bytes - SET_BYTES);
    char *text = copy((struct sy_slice){sql.data, sql.bytes});
    sy_buf_release(&set);
    sy_buf_release(&sql);
    return text;
}

/* A name that SET takes without quotes. */
static bool fold_name(char *name)
{
    bool plain = name != NULL && *name != 0;
    for (char *c = name; plain && *c != 0; c++) {
        *c = (char)tolower((unsigned char)*c);
        plain = isalnum((unsigned char)*c) || *c == '_' || *c == '.';
    }
    return plain;
}

enum { WORDS_BYTES = 80 };

/* In small letters, without blanks, semicolons and `but`; what is too long is cut. */
static void squeeze(struct sy_slice text, struct sy_slice but, char out[static WORDS_BYTES])
{
    size_t bytes = 0;
    const char *end = text.data + text.bytes;
    for (const char *c = text.data; c < end && bytes + 1 < WORDS_BYTES; c++) {
        if (c == but.data && but.bytes > 0)
            c += but.bytes;
        if (c < end && !isspace((unsigned char)*c) && *c != ';')
            out[bytes++] = (char)tolower((unsigned char)*c);
    }
    out[bytes] = 0;
}

/* What stands before the value where the name is that of the row: "SELECT set_config(name,". */
static bool names_row(const struct sy_exec *exec, const struct sy_literal *value)
{
    char head[WORDS_BYTES];
    uint32_t from = exec->scan->body_from;
    squeeze((struct sy_slice){exec->text.data + from, value->from - from}, (struct sy_slice){0},
            head);
    return strcmp(head, "selectset_config(name,") == 0 ||
           strcmp(head, "selectpg_catalog.set_config(name,") == 0;
}

/* What stands behind the value: ",false)", or ",true)", and then nothing or the condition that the
 * setting exists, with the name `last`. */
static bool read_tail(struct sy_slice rest, struct sy_slice last, bool *ret_local)
{
    static const char *const sources[] = {
        "", "frompg_settingswherename=", "frompg_catalog.pg_settingswherename=",
        "frompg_show_all_settings()wherename=", "frompg_catalog.pg_show_all_settings()wherename="};
    char tail[WORDS_BYTES];
    squeeze(rest, last, tail);
    *ret_local = strncmp(tail, ",true)", 6) == 0;
    const char *from = *ret_local ? tail + 6 : strncmp(tail, ",false)", 7) == 0 ? tail + 7 : NULL;
    bool known = false;
    for (size_t i = 0; from != NULL && i < sizeof(sources) / sizeof(sources[0]); i++)
        known = known || (strcmp(from, sources[i]) == 0 && (i > 0) == (last.bytes > 0));
    return known;
}

/* A call that is followed: where its parts are among the literals. */
struct config_form {
    uint32_t count, name, value;
    bool conditional; /* the last literal is the name that the row of pg_settings has */
};

static bool read_form(const struct sy_exec *exec, struct config_form *form)
{
    const struct sy_scan *scan = exec->scan;
    const struct sy_stmt *stmt = exec->stmt;
    if (stmt->set_config_count != 1 || scan->literal_count < 2 || scan->literal_count > 3)
        return false;
    bool row = stmt->set_configs[0].name.kind == SY_VALUE_OPAQUE;
    *form = (struct config_form){.count = scan->literal_count,
                                 .name = row ? 1 : 0,
                                 .value = row ? 0 : 1,
                                 .conditional = row || scan->literal_count == 3};
    if (row)
        return scan->literal_count == 2 && names_row(exec, &scan->literals[0]);
    return form->conditional || (stmt->function_count == 1 && stmt->table_count == 0);
}

/* SELECT [pg_catalog.]set_config('name', 'value', false) with literals, alone or for the row that
 * pg_settings has of it, or set_config(name, ...) for that row: tracked as a SET; with true as a
 * SET LOCAL. */
static bool note_set_config(struct sy_session *session, const struct sy_exec *exec,
                            struct effect *effect)
{
    struct sy_slice words[3] = {{0}}, last = {0};
    struct sy_err err;
    struct config_form form;
    const struct sy_literal *literals = exec->scan->literals;
    if (!read_form(exec, &form))
        return false;
    for (uint32_t i = 0; i < form.count; i++)
        if (literals[i].kind != SY_LITERAL_STRING ||
            sy_literal_decode(exec->text, &literals[i], session->scs, &session->worker->arena,
                              &words[i], &err) != SY_OK)
            return false;
    const struct sy_literal *end = &literals[form.count - 1];
    if (form.conditional)
        last = (struct sy_slice){exec->text.data + end->from, end->to - end->from};
    struct sy_slice rest = {exec->text.data + literals[form.value].to,
                            exec->text.bytes - literals[form.value].to};
    bool local = false;
    if (!read_tail(rest, last, &local) ||
        (form.conditional && !sy_slice_eq(words[form.count - 1], words[form.name])))
        return false;
    effect->name = copy(words[form.name]);
    if (!fold_name(effect->name))
        return false;
    effect->sql = set_sql(sy_slice_of(effect->name), words[form.value], local);
    effect->value = copy(words[form.value]);
    effect->kind = local ? EFFECT_SET_LOCAL : EFFECT_SET;
    effect->if_found = form.conditional;
    return true;
}

static void follow_config(struct sy_session *session, const struct sy_exec *exec,
                          struct effect *effect)
{
    if (note_set_config(session, exec, effect))
        return;
    release(effect);
    *effect = (struct effect){.kind = EFFECT_PIN, .pin = "set_config()"};
}

enum sy_status sy_effect_check_config(struct sy_session *session, const struct sy_exec *exec,
                                      struct sy_err *err)
{
    struct effect effect = {.kind = EFFECT_NONE};
    bool followed = note_set_config(session, exec, &effect);
    bool reaches_all =
        effect.kind != EFFECT_SET_LOCAL ||
        (sy_parts_in_txn(session) <= 1 && (session->txn != 'I' || !sy_script_is_cut(session)));
    release(&effect);
    if (followed && reaches_all)
        return SY_OK;
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "this call of set_config() would reach one shard only, and is not supported");
    sy_err_hint(err, "Use SET or SET LOCAL, or SELECT set_config('name', 'value', false) with "
                     "literals and nothing else.");
    return SY_E_UNSUPPORTED;
}

static char mode_of(bool on, bool off)
{
    return on ? '+' : off ? '-' : 0;
}

/* Who SET ROLE and SET SESSION AUTHORIZATION name: a word or a string, in each of their forms. */
static char *named_user(const struct sy_session *session, const struct sy_exec *exec)
{
    const struct sy_stmt *stmt = exec->stmt;
    struct sy_slice name = {0};
    struct sy_err err;
    if (stmt->argument_count != 1)
        return NULL;
    const struct sy_value *value = &stmt->arguments[0];
    if (value->kind != SY_VALUE_LITERAL)
        name = stmt->argument_words[0];
    else if (sy_literal_decode(exec->text, &exec->scan->literals[value->index], session->scs,
                               &session->worker->arena, &name, &err) != SY_OK)
        return NULL;
    return name.data == NULL ? NULL : copy(name);
}

static char *value_of(const struct sy_session *session, const struct sy_exec *exec,
                      struct sy_slice text)
{
    struct sy_slice name = exec->stmt->name;
    if (sy_slice_eq(name, SY_SLICE("role")) || sy_slice_eq(name, SY_SLICE("session_authorization")))
        return named_user(session, exec);
    return sy_set_value_text(text, sy_slice_eq(name, SY_SLICE("search_path")));
}

static void note_set(const struct sy_session *session, const struct sy_exec *exec,
                     struct effect *effect)
{
    const struct sy_stmt *stmt = exec->stmt;
    if (stmt->set_scope == SY_SET_LOCAL || stmt->set_scope == SY_SET_TRANSACTION) {
        effect->kind = EFFECT_SET_LOCAL;
        effect->sql = copy(exec->text);
        effect->name = copy(stmt->name);
        effect->to_default = stmt->set_to_default;
        if (!stmt->set_to_default)
            effect->value = value_of(session, exec, exec->text);
        return;
    }
    if (stmt->set_scope == SY_SET_CHARACTERISTICS) {
        effect->kind = EFFECT_CHARACTERISTICS;
        effect->value = stmt->isolation.bytes > 0 ? copy(stmt->isolation) : NULL;
        effect->read_only = mode_of(stmt->transaction_read_only, stmt->transaction_read_write);
        effect->deferrable =
            mode_of(stmt->transaction_deferrable, stmt->transaction_not_deferrable);
        return;
    }
    bool everything = sy_slice_eq(stmt->name, SY_SLICE("all"));
    effect->kind = stmt->kind == SY_STMT_RESET || stmt->set_to_default
                       ? everything ? EFFECT_RESET_ALL : EFFECT_RESET
                       : EFFECT_SET;
    effect->name = copy(stmt->name);
    struct sy_slice text = exec->text;
    while (text.bytes > 0 &&
           (isspace((unsigned char)text.data[text.bytes - 1]) || text.data[text.bytes - 1] == ';'))
        text.bytes--;
    effect->sql = copy(text);
    if (effect->kind == EFFECT_SET)
        effect->value = value_of(session, exec, text);
}

static const char *pin_of(const struct sy_exec *exec)
{
    const struct sy_stmt *stmt = exec->stmt;
    const char *why = NULL;
    if (stmt->kind == SY_STMT_LISTEN)
        return "LISTEN";
    if (stmt->uses_advisory_lock)
        return "session-level advisory lock";
    if (stmt->with_hold)
        return "cursor WITH HOLD";
    if (stmt->creates_temp)
        return "temporary object";
    return sy_route_pins(exec->route, &why) ? why != NULL ? why : "session state" : NULL;
}

static struct sy_slice temporary_name(const struct sy_stmt *stmt)
{
    for (int32_t i = 0; i < stmt->table_count; i++)
        if (stmt->tables[i].role == SY_TABLE_DEFINE)
            return stmt->tables[i].name.name;
    return (struct sy_slice){0};
}

/* CREATE TEMP TABLE ... ON COMMIT DROP. A comment or a string that says so errs on the safe side:
 * the name is in doubt then. */
static bool goes_at_commit(struct sy_slice text)
{
    for (size_t i = 0; i + 6 < text.bytes; i++) {
        if (strncasecmp(text.data + i, "commit", 6) != 0)
            continue;
        size_t at = i + 6;
        while (at < text.bytes && isspace((unsigned char)text.data[at]))
            at++;
        if (text.bytes - at >= 4 && strncasecmp(text.data + at, "drop", 4) == 0)
            return true;
    }
    return false;
}

/* The names, each with its zero byte, behind an empty last one. */
static void note_drop(const struct sy_stmt *stmt, struct effect *effect)
{
    struct sy_buf names = {0};
    for (int32_t i = 0; i < stmt->table_count; i++) {
        sy_buf_append_slice(&names, stmt->tables[i].name.name);
        sy_buf_append_u8(&names, 0);
    }
    sy_buf_append_u8(&names, 0);
    effect->kind = EFFECT_TEMPORARY_DROP;
    effect->name = names.failed ? NULL : malloc(names.bytes);
    if (effect->name != NULL)
        memcpy(effect->name, names.data, names.bytes);
    sy_buf_release(&names);
}

bool sy_effect_has(struct sy_session *session, const struct sy_exec *exec)
{
    const struct sy_stmt *stmt = exec->stmt;
    (void)session;
    return stmt->kind == SY_STMT_SET || stmt->kind == SY_STMT_RESET || stmt->kind == SY_STMT_DDL ||
           stmt->kind == SY_STMT_DECLARE || pin_of(exec) != NULL ||
           (stmt->function_count > 0 && is_set_config(stmt));
}

void sy_effect_note(struct sy_session *session, const struct sy_exec *exec, bool always)
{
    const struct sy_stmt *stmt = exec->stmt;
    bool set = stmt->kind == SY_STMT_SET || stmt->kind == SY_STMT_RESET;
    const char *pin = pin_of(exec);
    bool config = stmt->function_count > 0 && is_set_config(stmt);
    bool ddl = stmt->kind == SY_STMT_DDL;
    if (!always && !sy_effect_has(session, exec))
        return;
    struct effect *effect = add(session);
    if (effect == NULL)
        return;
    session->effects = true;
    if (set)
        note_set(session, exec, effect);
    else if (config)
        follow_config(session, exec, effect);
    else if (stmt->creates_temp)
        *effect = (struct effect){.kind = EFFECT_TEMPORARY,
                                  .pin = pin,
                                  .name = copy(temporary_name(stmt)),
                                  .sql = goes_at_commit(exec->text) ? strdup("") : NULL};
    else if (ddl && strncmp(stmt->tag, "DROP ", 5) == 0 && sy_temporary_names(session, stmt))
        note_drop(stmt, effect);
    else if (stmt->kind == SY_STMT_DECLARE)
        *effect = (struct effect){.kind = EFFECT_CURSOR, .pin = pin, .name = copy(stmt->name)};
    else if (pin != NULL)
        *effect = (struct effect){.kind = EFFECT_PIN, .pin = pin};
    else if (ddl)
        effect->kind = EFFECT_SCHEMA;
}

/* ---- cursors ---- */

struct sy_cursor {
    struct sy_cursor *next;
    uint32_t shard;
    bool with_hold;
    char name[SY_LIMIT_NAME_BYTES + 1];
};

uint32_t sy_effect_cursor_shard(const struct sy_session *session, struct sy_slice name)
{
    for (const struct sy_cursor *cursor = session->cursors; cursor != NULL; cursor = cursor->next)
        if (sy_slice_eq(sy_slice_of(cursor->name), name))
            return cursor->shard;
    return UINT32_MAX;
}

bool sy_effect_has_cursor(const struct sy_session *session, uint32_t shard)
{
    for (const struct sy_cursor *cursor = session->cursors; cursor != NULL; cursor = cursor->next)
        if (cursor->shard == shard)
            return true;
    return false;
}

void sy_effect_forget_cursors(struct sy_session *session, bool all)
{
    struct sy_cursor **at = &session->cursors;
    while (*at != NULL) {
        struct sy_cursor *cursor = *at;
        if (cursor->with_hold && !all) {
            at = &cursor->next;
            continue;
        }
        *at = cursor->next;
        free(cursor);
    }
}

static void add_cursor(struct sy_session *session, const struct sy_part *part,
                       const struct effect *effect)
{
    struct sy_cursor *cursor = effect->name == NULL ? NULL : calloc(1, sizeof(*cursor));
    if (cursor == NULL)
        return;
    snprintf(cursor->name, sizeof(cursor->name), "%s", effect->name);
    cursor->shard = part->shard;
    cursor->with_hold = effect->pin != NULL;
    cursor->next = session->cursors;
    session->cursors = cursor;
}

/* ---- applying ---- */

/* RESET ALL leaves the role and the session user as they are. Takes over the reference `onto`. */
static struct sy_settings *keep_identity(const struct sy_settings *from, struct sy_settings *onto)
{
    static const struct sy_slice names[] = {{"role", 4}, {"session_authorization", 21}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && onto != NULL; i++) {
        const struct sy_setting *kept = sy_settings_find(from, names[i]);
        struct sy_settings *next = kept == NULL ? sy_settings_without(onto, names[i], NULL)
                                                : sy_settings_with(onto, kept, NULL);
        sy_settings_unref(&onto);
        onto = next;
    }
    return onto;
}

/* Another session user, and the role is none again. Takes over the reference. */
static struct sy_settings *drop_role(const struct effect *effect, struct sy_settings *settings)
{
    if (settings == NULL || effect->name == NULL ||
        strcmp(effect->name, "session_authorization") != 0)
        return settings;
    struct sy_settings *next = sy_settings_without(settings, SY_SLICE("role"), NULL);
    sy_settings_unref(&settings);
    return next;
}

/* One of the characteristics as the setting that holds it. Takes over the reference. */
static struct sy_settings *with_default(struct sy_settings *settings, const char *name,
                                        const char *value)
{
    struct sy_err err = {0};
    char sql[100];
    if (settings == NULL || value == NULL)
        return settings;
    snprintf(sql, sizeof(sql), "SET %s = '%s'", name, value);
    const struct sy_setting setting = {
        .name = sy_slice_of(name), .sql = sy_slice_of(sql), .value = sy_slice_of(value)};
    struct sy_settings *next = sy_settings_with(settings, &setting, &err);
    sy_settings_unref(&settings);
    return next;
}

static struct sy_settings *with_characteristics(struct sy_settings *settings,
                                                const struct effect *effect)
{
    static const char *const words[] = {['+'] = "on", ['-'] = "off"};
    settings =
        with_default(sy_settings_ref(settings), "default_transaction_isolation", effect->value);
    settings = with_default(settings, "default_transaction_read_only",
                            effect->read_only == 0 ? NULL : words[(int)effect->read_only]);
    return with_default(settings, "default_transaction_deferrable",
                        effect->deferrable == 0 ? NULL : words[(int)effect->deferrable]);
}

struct date_style {
    const char *style, *order; /* NULL: not said */
    bool strange;
};

static struct date_style read_date_style(struct sy_slice text)
{
    static const struct {
        const char *word, *style, *order;
    } words[] = {{"iso", "ISO", NULL},         {"sql", "SQL", NULL}, {"postgres", "Postgres", NULL},
                 {"german", "German", NULL},   {"dmy", NULL, "DMY"}, {"european", NULL, "DMY"},
                 {"euro", NULL, "DMY"},        {"mdy", NULL, "MDY"}, {"us", NULL, "MDY"},
                 {"noneuropean", NULL, "MDY"}, {"ymd", NULL, "YMD"}};
    enum { COUNT = sizeof(words) / sizeof(words[0]) };
    struct date_style found = {0};
    const char *at = text.data, *end = text.data + text.bytes;
    while (at < end) {
        const char *from = at;
        while (at < end && isalpha((unsigned char)*at))
            at++;
        size_t bytes = (size_t)(at - from), i = 0;
        while (bytes > 0 && i < COUNT &&
               (strlen(words[i].word) != bytes || strncasecmp(words[i].word, from, bytes) != 0))
            i++;
        found.strange = found.strange || i == COUNT;
        if (bytes > 0 && i < COUNT && words[i].style != NULL)
            found.style = words[i].style;
        if (bytes > 0 && i < COUNT && words[i].order != NULL)
            found.order = words[i].order;
        at += bytes == 0;
    }
    return found;
}

/* DateStyle is two settings: what a SET does not say stays as it was, which a server that is told
 * only the last SET would not know. False: as the client said it. */
static bool whole_date_style(const struct sy_session *session, struct sy_slice value,
                             char text[static 32])
{
    struct sy_slice before = sy_session_setting(session, SY_SLICE("datestyle"));
    if (before.data == NULL)
        before = sy_worker_database_default(session->database, SY_SLICE("DateStyle"));
    struct date_style now = read_date_style(value), was = read_date_style(before);
    if (now.order == NULL && now.style != NULL && strcmp(now.style, "German") == 0)
        now.order = "DMY";
    now.style = now.style == NULL ? was.style : now.style;
    now.order = now.order == NULL ? was.order : now.order;
    if (now.strange || now.style == NULL || now.order == NULL)
        return false;
    snprintf(text, 32, "%s, %s", now.style, now.order);
    return true;
}

static struct sy_settings *settings_after(struct sy_session *session, const struct effect *effect)
{
    struct sy_err err = {0};
    struct sy_slice name = sy_slice_of(effect->name == NULL ? "" : effect->name);
    struct sy_setting setting = {.name = name,
                                 .sql = sy_slice_of(effect->sql == NULL ? "" : effect->sql),
                                 .value = sy_slice_of(effect->value)};
    struct sy_settings *next;
    char style[32], sql[64];
    if (effect->kind == EFFECT_SET && sy_slice_eq(name, SY_SLICE("datestyle")) &&
        whole_date_style(session, setting.value, style)) {
        snprintf(sql, sizeof(sql), "SET DateStyle TO '%s'", style);
        setting.value = sy_slice_of(style);
        setting.sql = sy_slice_of(sql);
    }
    if (effect->kind == EFFECT_SET) {
        next = sy_settings_with(session->settings, &setting, &err);
    } else if (effect->kind == EFFECT_CHARACTERISTICS) {
        next = with_characteristics(session->settings, effect);
    } else if (effect->kind == EFFECT_RESET_ALL) {
        next = keep_identity(session->settings, sy_settings_ref(session->settings_startup));
    } else {
        const struct sy_setting *startup = sy_settings_find(session->settings_startup, name);
        next = startup != NULL ? sy_settings_with(session->settings, startup, &err)
                               : sy_settings_without(session->settings, name, &err);
    }
    return drop_role(effect, next);
}

static void pin(struct sy_session *session, struct sy_part *part, const char *why)
{
    part->pinned = true;
    part->server->session_changed = true;
    if (session->pin_reason == NULL)
        session->pin_reason = why;
}

/* What the server has after a RESET is its own default, without what the startup packet said. */
static void set_part(struct sy_session *session, struct sy_part *part, const struct effect *effect)
{
    if (part->in_txn && part->settings_begin == NULL)
        part->settings_begin = sy_settings_ref(sy_part_state(part)->settings);
    if (effect->kind == EFFECT_SET || effect->kind == EFFECT_CHARACTERISTICS) {
        sy_part_set_settings(part, effect->result);
        return;
    }
    struct sy_settings *left =
        effect->kind == EFFECT_RESET_ALL
            ? keep_identity(sy_part_state(part)->settings,
                            sy_settings_ref(session->worker->no_settings))
            : drop_role(effect, sy_settings_without(sy_part_state(part)->settings,
                                                    sy_slice_of(effect->name), NULL));
    if (left != NULL)
        sy_part_set_settings(part, left);
    else
        pin(session, part, "too many settings");
    sy_settings_unref(&left);
}

static void apply_settings(struct sy_session *session, struct sy_part *part, struct effect *effect)
{
    if (effect->result == NULL) {
        if (effect->kind == EFFECT_RESET_ALL || effect->name != NULL)
            sy_txn_forget_local(session, sy_slice_of(effect->name));
        if (effect->name != NULL && strcmp(effect->name, "session_authorization") == 0)
            sy_txn_forget_local(session, SY_SLICE("role"));
        effect->result = settings_after(session, effect);
        if (effect->result == NULL) { /* not representable: the server itself remembers */
            pin(session, part, "settings too large to follow");
            return;
        }
        effect->result->proven = effect->result->proven || effect->kind == EFFECT_SET ||
                                 effect->kind == EFFECT_CHARACTERISTICS;
        sy_session_settings_changed(session, sy_settings_ref(effect->result));
    }
    set_part(session, part, effect);
}

void sy_effect_apply(struct sy_session *session, struct sy_part *part, struct sy_slice tag)
{
    struct sy_effects *effects = session->effects_list;
    if (effects == NULL || part->effects_done >= effects->count)
        return;
    struct effect *effect = &effects->list[part->effects_done++];
    if (effect->if_found && sy_slice_eq(tag, SY_SLICE("SELECT 0")))
        return;
    switch (effect->kind) {
    case EFFECT_SET:
    case EFFECT_CHARACTERISTICS:
    case EFFECT_RESET:
    case EFFECT_RESET_ALL:
        apply_settings(session, part, effect);
        break;
    case EFFECT_SET_LOCAL:
        if (session->txn == 'I' && session->in_batch)
            session->batch_local = session->need_barrier = true; /* see extended.c */
        if (session->txn != 'I' && effect->sql != NULL && !effect->kept)
            sy_txn_add_local(session, &(struct sy_txn_local){
                                          .name = sy_slice_of(effect->name),
                                          .value = sy_slice_of(effect->value),
                                          .sql = sy_slice_of(effect->sql),
                                          .is_default = effect->to_default,
                                      });
        effect->kept = true;
        break;
    case EFFECT_TEMPORARY:
        sy_temporary_add(session, effect->name, effect->sql != NULL);
        part->has_temporary = true;
        pin(session, part, effect->pin);
        break;
    case EFFECT_CURSOR:
        add_cursor(session, part, effect);
        if (effect->pin != NULL)
            pin(session, part, effect->pin);
        break;
    case EFFECT_PIN:
        pin(session, part, effect->pin);
        break;
    case EFFECT_TEMPORARY_DROP:
        for (const char *at = effect->name; at != NULL && *at != 0; at += strlen(at) + 1)
            sy_temporary_drop(session, at);
        break;
    case EFFECT_SCHEMA:
        session->schema_changed = true; /* read anew when the transaction has ended */
        break;
    case EFFECT_NONE:
    default:
        break;
    }
}
