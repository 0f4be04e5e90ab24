/* Reading a command and writing its answer. The commands themselves are data: commands.c. */
#include "router/console/console.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/number.h"
#include "config/declaration.h"
#include "router/console/internal.h"
#include "router/wire/message.h"

enum { WORDS_MAX = 4, OID_INT8 = 20, OID_TEXT = 25 };

struct words {
    struct sy_slice word[WORDS_MAX];
    unsigned count;
    bool too_many;
};

static bool is_blank(char c)
{
    return isspace((unsigned char)c) || c == ';';
}

/* Words are parted by blanks; double quotes keep one together. */
static void split_words(struct sy_slice sql, struct words *ret)
{
    const char *at = sql.data, *end = sql.data + sql.bytes;
    *ret = (struct words){.count = 0};
    for (;;) {
        while (at < end && is_blank(*at))
            at++;
        if (at == end)
            return;
        bool quoted = *at == '"';
        const char *start = quoted ? ++at : at;
        while (at < end && (quoted ? *at != '"' : !is_blank(*at)))
            at++;
        if (ret->count == WORDS_MAX) {
            ret->too_many = true;
            return;
        }
        ret->word[ret->count++] = (struct sy_slice){start, (size_t)(at - start)};
        if (quoted && at < end)
            at++;
    }
}

struct sy_slice sy_console_cut(struct sy_slice *rest)
{
    const char *at = rest->data, *end = rest->data + rest->bytes;
    while (at < end && is_blank(*at))
        at++;
    struct sy_slice command = {at, 0};
    for (char quote = 0; at < end && (quote != 0 || *at != ';'); at++) {
        if (quote == 0 && (*at == '"' || *at == '\''))
            quote = *at;
        else if (*at == quote)
            quote = 0;
    }
    command.bytes = (size_t)(at - command.data);
    while (at < end && is_blank(*at))
        at++;
    *rest = (struct sy_slice){at, (size_t)(end - at)};
    return command;
}

static bool word_is(struct sy_slice word, const char *text, size_t bytes)
{
    return word.bytes == bytes && strncasecmp(word.data, text, bytes) == 0;
}

/* How many words of `words` the row's own words take, 0: it is another command. */
static unsigned match_row(const struct sy_console_row *row, const struct words *words)
{
    const char *at = row->words;
    unsigned used = 0;
    while (*at != '\0') {
        size_t bytes = strcspn(at, " ");
        if (used == words->count || !word_is(words->word[used], at, bytes))
            return 0;
        used++;
        at += bytes;
        at += strspn(at, " ");
    }
    return used;
}

static enum sy_status read_argument(const struct sy_console_row *row, const struct words *words,
                                    unsigned used, struct sy_console_command *command,
                                    struct sy_err *err)
{
    bool given = words->count > used;
    if (words->too_many || words->count > used + 1 || (given && row->argument == NULL) ||
        (!given && row->argument != NULL && row->argument[0] != '[')) {
        sy_err_set(err, SY_E_SYNTAX, "%s is written: %s%s%s", row->words, row->words,
                   row->argument != NULL ? " " : "", row->argument != NULL ? row->argument : "");
        return SY_E_SYNTAX;
    }
    if (!given)
        return SY_OK;
    struct sy_slice word = words->word[used];
    if (word.bytes > SY_LIMIT_NAME_BYTES)
        return sy_err_set(err, SY_E_LIMIT, "the name is longer than %d bytes", SY_LIMIT_NAME_BYTES);
    memcpy(command->argument, word.data, word.bytes);
    if (command->action != SY_ACTION_KILL_CLIENT)
        return SY_OK;
    char *end;
    command->number = strtoull(command->argument, &end, 0);
    if (*end != '\0' || command->number == 0)
        return sy_err_set(err, SY_E_SYNTAX, "\"%s\" is no client id; take ptr from SHOW CLIENTS",
                          command->argument);
    return SY_OK;
}

/* RESOLVE TRANSACTION gid COMMIT|ROLLBACK */
static enum sy_status read_resolve(const struct words *words, struct sy_console_command *command,
                                   struct sy_err *err)
{
    bool commit = words->count == 4 && word_is(words->word[3], "COMMIT", 6);
    bool back = words->count == 4 && word_is(words->word[3], "ROLLBACK", 8);
    if (words->too_many || (!commit && !back) || words->word[2].bytes >= sizeof(command->argument))
        return sy_err_set(
            err, SY_E_SYNTAX,
            "RESOLVE TRANSACTION is written: RESOLVE TRANSACTION gid COMMIT|ROLLBACK");
    memcpy(command->argument, words->word[2].data, words->word[2].bytes);
    command->number = commit;
    return SY_OK;
}

/* The statement is only checked: what it says is carried out elsewhere. */
static enum sy_status read_declaration(struct sy_slice sql, struct sy_console_command *command,
                                       struct sy_err *err)
{
    struct sy_declaration declaration;
    struct sy_arena arena = {0};
    enum sy_status status = sy_declaration_parse(sql, &arena, &declaration, err);
    if (status == SY_OK && declaration.database != NULL)
        snprintf(command->argument, sizeof(command->argument), "%s", declaration.database);
    sy_arena_release(&arena);
    command->text = sql;
    return status;
}

static enum sy_status read_rest(const struct sy_console_row *row, const struct words *words,
                                struct sy_slice sql, struct sy_console_command *command,
                                struct sy_err *err)
{
    if (row->action == SY_ACTION_RESOLVE)
        return read_resolve(words, command, err);
    if (row->action == SY_ACTION_DECLARE)
        return read_declaration(sql, command, err);
    return read_argument(row, words, match_row(row, words), command, err);
}

/* PgBouncer commands that have no counterpart get a reason instead of "no such command". */
static bool known_elsewhere(const struct words *words, struct sy_err *err)
{
    static const struct {
        const char *word, *why;
    } known[] = {
        {"SET", "Settings are changed in the configuration file, then RELOAD."},
        {"SUSPEND", "Use PAUSE: clients stay connected and wait."},
        {"WAIT_CLOSE",
         "RECONNECT closes server connections as they become free; SHOW SERVERS shows the rest."},
    };
    for (size_t i = 0; words->count > 0 && i < sizeof(known) / sizeof(known[0]); i++) {
        if (word_is(words->word[0], known[i].word, strlen(known[i].word))) {
            sy_err_set(err, SY_E_UNSUPPORTED, "%s is not a command of this console", known[i].word);
            sy_err_hint(err, "%s", known[i].why);
            return true;
        }
    }
    return false;
}

enum sy_status sy_console_parse(struct sy_slice sql, const struct sy_console_rights *rights,
                                struct sy_console_command *ret_command, struct sy_err *err)
{
    struct words words;
    struct sy_console_command command = {.scope = SY_CONSOLE_EMPTY};
    split_words(sql, &words);
    if (words.count == 0) {
        *ret_command = command;
        return SY_OK;
    }
    for (const struct sy_console_row *row = sy_console_rows; row->words != NULL; row++) {
        unsigned used = match_row(row, &words);
        if (used == 0)
            continue;
        if (!rights->admin && (row->needs_admin || !rights->stats)) {
            sy_err_set(err, SY_E_PRIVILEGE, "permission denied for %s", row->words);
            sy_err_hint(err, "The user needs %s = true in the configuration.",
                        row->needs_admin ? "admin" : "stats");
            return SY_E_PRIVILEGE;
        }
        command.row = row;
        command.scope = row->scope;
        command.action = row->action;
        enum sy_status status = read_rest(row, &words, sql, &command, err);
        if (status == SY_OK)
            *ret_command = command;
        return status;
    }
    if (known_elsewhere(&words, err))
        return SY_E_UNSUPPORTED;
    sy_err_set(err, SY_E_SYNTAX, "invalid command \"%.*s\"", (int)(sql.bytes < 80 ? sql.bytes : 80),
               sql.data);
    sy_err_hint(err, "SHOW HELP lists the commands.");
    return SY_E_SYNTAX;
}

/* ---- rows ---- */

size_t sy_console_row_begin(struct sy_console_view *view)
{
    size_t start = sy_msg_begin(view->out, 'D');
    sy_buf_append_u16(view->out, view->column_count);
    return start;
}

void sy_console_row_end(struct sy_console_view *view, size_t start)
{
    sy_msg_end(view->out, start);
    view->rows++;
}

void sy_console_slice(struct sy_console_view *view, struct sy_slice text)
{
    sy_buf_append_u32(view->out, text.data == NULL ? UINT32_MAX : (uint32_t)text.bytes);
    sy_buf_append_slice(view->out, text);
}

void sy_console_text(struct sy_console_view *view, const char *text)
{
    sy_console_slice(view, sy_slice_of(text));
}

void sy_console_int(struct sy_console_view *view, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    sy_console_text(view, text);
}

void sy_console_time(struct sy_console_view *view, int64_t wall_us)
{
    char text[40];
    struct tm parts;
    time_t seconds = (time_t)(wall_us / 1000000);
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts);
    sy_console_text(view, text);
}

void sy_console_id(struct sy_console_view *view, uint64_t id)
{
    char text[24] = "";
    if (id != 0)
        snprintf(text, sizeof(text), "0x%llx", (unsigned long long)id);
    sy_console_text(view, text);
}

void sy_console_describe(const struct sy_console_command *command, struct sy_buf *out)
{
    struct sy_column_desc columns[64];
    uint16_t count = 0;
    if (command->row == NULL || command->row->columns == NULL) {
        sy_write_simple(out, 'n');
        return;
    }
    for (const struct sy_console_column *column = command->row->columns; column->name != NULL;
         column++)
        columns[count++] =
            (struct sy_column_desc){.name = sy_slice_of(column->name),
                                    .type_oid = column->type == 'i' ? OID_INT8 : OID_TEXT,
                                    .type_size = column->type == 'i' ? 8 : -1,
                                    .type_modifier = -1};
    sy_write_row_description(out, columns, count);
}

static void warn_of_missing_rows(struct sy_console_view *view)
{
    for (uint32_t i = 0; i < view->worker_count; i++) {
        if (view->gathered[i].no_memory) {
            struct sy_err why;
            sy_err_set(&why, SY_E_NO_MEMORY,
                       "rows are missing: a worker ran out of memory while gathering them");
            sy_write_notice(view->out, "WARNING", &why);
            return;
        }
    }
}

void sy_console_answer(const struct sy_console_command *command, const struct sy_topology *topology,
                       const struct sy_console_gathered *gathered, uint32_t worker_count,
                       struct sy_buf *out)
{
    struct sy_console_view view = {command, topology, gathered, worker_count, out, 0, 0};
    if (command->row == NULL) {
        sy_write_empty_query(out);
        return;
    }
    if (command->row->columns != NULL) {
        for (const struct sy_console_column *column = command->row->columns; column->name != NULL;
             column++)
            view.column_count++;
        sy_console_describe(command, out);
        command->row->write_rows(&view);
        warn_of_missing_rows(&view);
    }
    if (command->action == SY_ACTION_RESOLVE)
        sy_console_tell_evidence(&view);
    sy_write_command_complete(out, command->row->tag);
}

void sy_console_each_command(void (*row)(void *ctx, const char *syntax, const char *help),
                             void *ctx)
{
    for (const struct sy_console_row *at = sy_console_rows; at->words != NULL; at++) {
        char syntax[80];
        snprintf(syntax, sizeof(syntax), "%s%s%s", at->words, at->argument != NULL ? " " : "",
                 at->argument != NULL ? at->argument : "");
        row(ctx, syntax, at->help);
    }
}
