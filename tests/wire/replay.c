/*
 * wire_replay HOST PORT GOLDENDIR [USER [DATABASE]]: runs the scripts of all traces of a folder
 * against a server or the router and prints, per command, the lines that differ from the golden
 * ones ('-' golden, '+' seen). What says nothing about the protocol is not compared: source places
 * in errors, and which parameters a server reports at start. Exit status: 0 no difference, 1
 * differences.
 */
#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "router/wire/message.h"
#include "tests/wire/conversation.h"
#include "tests/wire/trace.h"

/* An error or a notice without the place in the source that raised it. */
static void plain_notice(struct sy_buf *out, char type, struct sy_slice body)
{
    struct sy_notice_fields fields;
    if (sy_notice_read(body.data, body.bytes, &fields, NULL) != SY_OK)
        return;
    fields.file = fields.line = fields.routine = (struct sy_slice){NULL, 0};
    /* Where a statement was when it was cancelled is chance. */
    if (sy_slice_eq(fields.sqlstate, SY_SLICE("57014")))
        fields.where = (struct sy_slice){NULL, 0};
    struct sy_buf message = {.data = NULL};
    sy_write_notice_fields(&message, type, &fields);
    trace_escape(out, (struct sy_slice){message.data + 5, message.bytes - 5});
    sy_buf_release(&message);
}

/* Appends the line as it is compared. `starting`: before the first ReadyForQuery of a connection.
 */
static void normalize(struct sy_buf *out, struct sy_slice line, bool *starting)
{
    const char *mark = line.bytes == 0 ? NULL : memchr(line.data, ' ', line.bytes);
    size_t head = mark == NULL ? line.bytes : (size_t)(mark - line.data);
    bool message = head > 0 && line.bytes >= head + 3 && line.data[head + 2] == ' ';
    char direction = head > 0 ? line.data[head - 1] : ' ';
    char type = message ? line.data[head + 1] : ' ';
    if (direction == '>' && type == '-')
        *starting = true;
    if (direction == '<' && type == 'Z')
        *starting = false;
    if (direction == '<' && type == 'S' && *starting)
        return;
    /* Who connects to what is the caller's choice. */
    if (line.bytes > 10 && memcmp(line.data, "$ connect ", 10) == 0)
        line.bytes = 11;
    if (direction == '>' && type == '-')
        line.bytes = head + 3;
    if (direction == '<' && (type == 'E' || type == 'N')) {
        struct sy_buf body = {.data = NULL};
        sy_buf_append(out, line.data, head + 3);
        if (trace_unescape(&body, (struct sy_slice){line.data + head + 3, line.bytes - head - 3}))
            plain_notice(out, type, (struct sy_slice){body.data, body.bytes});
        sy_buf_release(&body);
    } else {
        sy_buf_append_slice(out, line);
    }
    sy_buf_append_u8(out, '\n');
}

static void normalize_all(struct sy_buf *out, struct sy_slice text)
{
    struct sy_slice line;
    bool starting = false;
    while (conversation_line(&text, &line))
        normalize(out, line, &starting);
}

/* Takes one command and the lines that follow it up to the next command. */
static struct sy_slice take_block(struct sy_slice *rest)
{
    struct sy_slice block = {rest->data, 0}, line;
    while (rest->bytes > 0) {
        struct sy_slice after = *rest;
        conversation_line(&after, &line);
        if (block.bytes > 0 && line.bytes > 0 && line.data[0] == '$')
            break;
        block.bytes += rest->bytes - after.bytes;
        *rest = after;
    }
    return block;
}

static void print_block(char sign, struct sy_slice block)
{
    struct sy_slice line;
    while (conversation_line(&block, &line))
        printf("%c %.*s\n", sign, (int)line.bytes, line.data);
}

static unsigned compare(const char *path, struct sy_slice golden, struct sy_slice seen)
{
    unsigned differences = 0;
    while (golden.bytes > 0 || seen.bytes > 0) {
        struct sy_slice a = take_block(&golden), b = take_block(&seen);
        if (sy_slice_eq(a, b))
            continue;
        if (differences++ == 0)
            printf("%s\n", path);
        print_block('-', a);
        print_block('+', b);
    }
    return differences;
}

/* The script with another user and database where its connect commands say "postgres". */
static void readdress(struct sy_buf *out, struct sy_slice text, const char *user,
                      const char *database)
{
    static const struct sy_slice own_user = {" user=postgres", 14};
    static const struct sy_slice own_database = {" database=postgres", 18};
    struct sy_slice line;
    while (conversation_line(&text, &line)) {
        bool connects = line.bytes > 10 && memcmp(line.data, "$ connect ", 10) == 0;
        while (connects && line.bytes > 0) {
            size_t bytes = 1;
            while (bytes < line.bytes && line.data[bytes] != ' ')
                bytes++;
            struct sy_slice word = {line.data, bytes};
            if (sy_slice_eq(word, own_user))
                sy_buf_printf(out, " user=%s", user);
            else if (sy_slice_eq(word, own_database))
                sy_buf_printf(out, " database=%s", database);
            else
                sy_buf_append_slice(out, word);
            line = (struct sy_slice){line.data + bytes, line.bytes - bytes};
        }
        sy_buf_append_slice(out, line);
        sy_buf_append_u8(out, '\n');
    }
}

static unsigned replay(const char *path, const char *host, const char *port, const char *user,
                       const char *database)
{
    struct sy_buf text = {.data = NULL}, script = {.data = NULL}, trace = {.data = NULL};
    struct sy_buf golden = {.data = NULL}, seen = {.data = NULL};
    struct sy_err err = {.status = SY_OK};
    unsigned differences = 0;
    if (conversation_load(path, &text, &err) == SY_OK) {
        readdress(&script, (struct sy_slice){text.data, text.bytes}, user, database);
        if (conversation_run(host, port, (struct sy_slice){script.data, script.bytes}, &trace,
                             &err) == SY_OK)
            err.text[0] = '\0';
    }
    normalize_all(&golden, (struct sy_slice){text.data, text.bytes});
    normalize_all(&seen, (struct sy_slice){trace.data, trace.bytes});
    if (err.text[0] != '\0') {
        printf("%s: %s\n", path, err.text);
        differences = 1;
    }
    differences += compare(path, (struct sy_slice){golden.data, golden.bytes},
                           (struct sy_slice){seen.data, seen.bytes});
    struct sy_buf *const all[] = {&text, &script, &trace, &golden, &seen};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        sy_buf_release(all[i]);
    return differences;
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc > 6) {
        fprintf(stderr, "usage: wire_replay HOST PORT GOLDENDIR [USER [DATABASE]]\n");
        return 2;
    }
    char pattern[4096];
    snprintf(pattern, sizeof(pattern), "%s/*.trace", argv[3]);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "no traces in %s\n", argv[3]);
        return 2;
    }
    const char *user = argc > 4 ? argv[4] : "postgres";
    const char *database = argc > 5 ? argv[5] : user;
    unsigned differences = 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        differences += replay(found.gl_pathv[i], argv[1], argv[2], user, database);
    printf("%zu traces, %u commands with differences\n", found.gl_pathc, differences);
    globfree(&found);
    return differences == 0 ? 0 : 1;
}
