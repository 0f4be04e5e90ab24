/* The runner of trace scripts: blocking sockets and the router's own codec, no libpq. One thread.
 */
#include "tests/wire/conversation.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/wire/frame.h"
#include "router/wire/message.h"
#include "tests/wire/trace.h"

enum {
    CONNECTIONS = 4,
    WAIT_MS = 10000,
    CANCEL_WAIT_MS = 100,
    CANCEL_TRIES = 100,
    VALUES_MAX = 64
};

struct connection {
    int fd; /* 0: not open */
    uint32_t pid;
    char key[256];
    size_t key_bytes;
    struct sy_buf pending;  /* to be sent */
    struct sy_buf received; /* not yet walked */
};

struct runner {
    const char *host, *port;
    struct connection connections[CONNECTIONS];
    unsigned current;
    struct sy_buf *trace;
    struct sy_err *err;
};

static struct connection *present(struct runner *runner)
{
    return &runner->connections[runner->current];
}

/* ---- words ---- */

static struct sy_slice take_word(struct sy_slice *rest)
{
    while (rest->bytes > 0 && rest->data[0] == ' ')
        *rest = (struct sy_slice){rest->data + 1, rest->bytes - 1};
    size_t bytes = 0;
    while (bytes < rest->bytes && rest->data[bytes] != ' ')
        bytes++;
    struct sy_slice word = {rest->data, bytes};
    *rest = (struct sy_slice){rest->data + bytes, rest->bytes - bytes};
    if (rest->bytes > 0)
        *rest = (struct sy_slice){rest->data + 1, rest->bytes - 1};
    return sy_slice_eq(word, SY_SLICE("-")) ? SY_SLICE("") : word;
}

static uint32_t number_of(struct sy_slice word)
{
    uint32_t number = 0;
    for (size_t i = 0; i < word.bytes && word.data[i] >= '0' && word.data[i] <= '9'; i++)
        number = number * 10 + (uint32_t)(word.data[i] - '0');
    return number;
}

/* "0,1,1" */
static uint16_t take_numbers(struct sy_slice *rest, uint32_t numbers[VALUES_MAX])
{
    struct sy_slice word = take_word(rest);
    uint16_t count = 0;
    while (word.bytes > 0 && count < VALUES_MAX) {
        numbers[count++] = number_of(word);
        const char *comma = memchr(word.data, ',', word.bytes);
        if (comma == NULL)
            break;
        word = (struct sy_slice){comma + 1, word.bytes - (size_t)(comma + 1 - word.data)};
    }
    return count;
}

static uint16_t take_formats(struct sy_slice *rest, uint16_t formats[VALUES_MAX])
{
    uint32_t numbers[VALUES_MAX];
    uint16_t count = take_numbers(rest, numbers);
    for (uint16_t i = 0; i < count; i++)
        formats[i] = (uint16_t)numbers[i];
    return count;
}

/* Values until the end of the line; their bytes go to `store`, whose memory must not move: it is
 * reserved first. */
static uint16_t take_values(struct sy_slice *rest, struct sy_buf *store,
                            struct sy_slice values[VALUES_MAX])
{
    uint16_t count = 0;
    if (sy_buf_reserve(store, rest->bytes * 4 + 1) == NULL)
        return 0;
    while (rest->bytes > 0 && count < VALUES_MAX) {
        struct sy_slice word = take_word(rest);
        size_t before = store->bytes;
        if (sy_slice_eq(word, SY_SLICE("null"))) {
            values[count++] = (struct sy_slice){NULL, 0};
            continue;
        }
        struct sy_slice text = {word.data + 2, word.bytes < 2 ? 0 : word.bytes - 2};
        if (word.bytes >= 2 && word.data[0] == 'x') {
            struct sy_buf escaped = {.data = NULL};
            for (size_t i = 0; i + 1 < text.bytes; i += 2)
                sy_buf_printf(&escaped, "\\x%.2s", text.data + i);
            trace_unescape(store, (struct sy_slice){escaped.data, escaped.bytes});
            sy_buf_release(&escaped);
        } else {
            trace_unescape(store, text);
        }
        values[count++] = (struct sy_slice){store->data + before, store->bytes - before};
    }
    return count;
}

/* ---- the connection ---- */

static int dial(struct runner *runner)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(runner->host, runner->port, &hints, &found) != 0)
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

static void log_line(struct runner *runner, char direction, char type, struct sy_slice body)
{
    if (runner->current != 1)
        sy_buf_printf(runner->trace, "%u", runner->current);
    sy_buf_printf(runner->trace, "%c %c ", direction, type == '\0' ? '-' : type);
    trace_escape(runner->trace, body);
    sy_buf_append_u8(runner->trace, '\n');
}

/* A message built in `message` is logged and queued. */
static void queue_message(struct runner *runner, struct sy_buf *message, bool typed)
{
    size_t head = typed ? SY_FRAME_HEADER_BYTES : sizeof(uint32_t);
    if (!message->failed && message->bytes >= head) {
        log_line(runner, '>', typed ? message->data[0] : '\0',
                 (struct sy_slice){message->data + head, message->bytes - head});
        sy_buf_append(&present(runner)->pending, message->data, message->bytes);
    }
    sy_buf_release(message);
}

static enum sy_status send_pending(struct runner *runner)
{
    struct connection *connection = present(runner);
    size_t sent = 0;
    while (sent < connection->pending.bytes) {
        ssize_t run = send(connection->fd, connection->pending.data + sent,
                           connection->pending.bytes - sent, MSG_NOSIGNAL);
        if (run <= 0)
            return sy_err_set_errno(runner->err, SY_E_IO, errno, "cannot send");
        sent += (size_t)run;
    }
    sy_buf_clear(&connection->pending);
    return SY_OK;
}

/* Whole messages of what was received are logged; true when one of type `wanted` was among them. */
static bool walk_received(struct runner *runner, char wanted)
{
    struct connection *connection = present(runner);
    bool found = false;
    size_t at = 0;
    while (!found && connection->received.bytes - at >= SY_FRAME_HEADER_BYTES) {
        const char *frame = connection->received.data + at;
        uint32_t length = sy_u32_at(frame + 1, 0);
        if (length < sizeof(uint32_t) || length > connection->received.bytes - at - 1)
            break;
        struct sy_slice body = {frame + SY_FRAME_HEADER_BYTES, length - sizeof(uint32_t)};
        struct sy_backend_key_msg key;
        if (*frame == 'K' && sy_backend_key_read(body.data, body.bytes, &key, NULL) == SY_OK) {
            connection->pid = key.pid;
            connection->key_bytes = key.key.bytes;
            memcpy(connection->key, key.key.data, key.key.bytes);
        }
        struct sy_buf masked = {.data = NULL};
        trace_mask(&masked, *frame, body);
        log_line(runner, '<', *frame,
                 (struct sy_slice){masked.data + SY_FRAME_HEADER_BYTES,
                                   masked.bytes - SY_FRAME_HEADER_BYTES});
        sy_buf_release(&masked);
        found = *frame == wanted;
        at += 1 + length;
    }
    sy_buf_consume(&connection->received, at);
    return found;
}

static enum sy_status wait_for(struct runner *runner, char wanted)
{
    struct connection *connection = present(runner);
    enum sy_status status = send_pending(runner);
    while (status == SY_OK && !walk_received(runner, wanted)) {
        struct pollfd readable = {.fd = connection->fd, .events = POLLIN};
        if (poll(&readable, 1, WAIT_MS) <= 0)
            return sy_err_set(runner->err, SY_E_TIMEOUT, "nothing came for %d ms, waiting for '%c'",
                              WAIT_MS, wanted == '\0' ? '-' : wanted);
        char data[4096];
        ssize_t run = recv(connection->fd, data, sizeof(data), 0);
        if (run > 0) {
            sy_buf_append(&connection->received, data, (size_t)run);
            continue;
        }
        walk_received(runner, '\0');
        sy_buf_append_str(runner->trace, "< closed\n");
        return wanted == '\0' ? SY_OK
                              : sy_err_set(runner->err, SY_E_CONNECTION_LOST,
                                           "the connection closed, waiting for '%c'", wanted);
    }
    return status;
}

/* ---- commands ---- */

static enum sy_status do_connect(struct runner *runner, struct sy_slice rest)
{
    struct sy_startup_parameter parameters[VALUES_MAX];
    uint32_t count = 0, minor = 0;
    uint32_t number = number_of(take_word(&rest));
    if (number == 0 || number >= CONNECTIONS || runner->connections[number].fd != 0)
        return sy_err_set(runner->err, SY_E_VALUE, "no such connection number");
    while (rest.bytes > 0 && count < VALUES_MAX) {
        struct sy_slice word = take_word(&rest);
        const char *equals = word.bytes == 0 ? NULL : memchr(word.data, '=', word.bytes);
        if (equals == NULL)
            continue;
        struct sy_slice name = {word.data, (size_t)(equals - word.data)};
        struct sy_slice value = {equals + 1, word.bytes - name.bytes - 1};
        if (sy_slice_eq(name, SY_SLICE("minor")))
            minor = number_of(value);
        else
            parameters[count++] = (struct sy_startup_parameter){name, value};
    }
    runner->current = number;
    present(runner)->fd = dial(runner);
    if (present(runner)->fd < 0) {
        present(runner)->fd = 0;
        return sy_err_set_errno(runner->err, SY_E_CONNECT, errno, "cannot connect");
    }
    struct sy_buf message = {.data = NULL};
    sy_write_startup_minor(&message, (uint16_t)minor, parameters, count);
    queue_message(runner, &message, false);
    return SY_OK;
}

static enum sy_status do_cancel(struct runner *runner, struct sy_slice rest)
{
    uint32_t number = number_of(take_word(&rest));
    if (number == 0 || number >= CONNECTIONS || runner->connections[number].fd == 0)
        return sy_err_set(runner->err, SY_E_VALUE, "no such connection number");
    struct connection *target = &runner->connections[number];
    enum sy_status status = send_pending(runner);
    for (int i = 0; status == SY_OK && i < CANCEL_TRIES; i++) {
        struct sy_buf request = {.data = NULL};
        sy_write_cancel(&request, target->pid, (struct sy_slice){target->key, target->key_bytes});
        int fd = dial(runner);
        char byte;
        if (fd < 0 || send(fd, request.data, request.bytes, MSG_NOSIGNAL) < 0 ||
            recv(fd, &byte, 1, 0) != 0)
            status = sy_err_set(runner->err, SY_E_IO, "the cancel request was not taken");
        if (fd >= 0)
            close(fd);
        sy_buf_release(&request);
        struct pollfd readable = {.fd = target->fd, .events = POLLIN};
        if (status == SY_OK && poll(&readable, 1, CANCEL_WAIT_MS) > 0)
            return SY_OK;
    }
    return status != SY_OK ? status
                           : sy_err_set(runner->err, SY_E_TIMEOUT, "nothing was cancelled");
}

static void do_bind(struct sy_buf *message, struct sy_slice rest)
{
    struct sy_bind_values bind = {.portal = take_word(&rest)};
    uint16_t formats[VALUES_MAX], result_formats[VALUES_MAX];
    struct sy_slice values[VALUES_MAX];
    struct sy_buf store = {.data = NULL};
    bind.statement = take_word(&rest);
    bind.format_count = take_formats(&rest, formats);
    bind.result_format_count = take_formats(&rest, result_formats);
    bind.parameter_count = take_values(&rest, &store, values);
    bind.formats = formats;
    bind.result_formats = result_formats;
    bind.parameters = values;
    sy_write_bind(message, &bind);
    sy_buf_release(&store);
}

static void do_call(struct sy_buf *message, struct sy_slice rest)
{
    struct sy_function_call_values call = {.function_oid = number_of(take_word(&rest))};
    uint16_t formats[VALUES_MAX];
    struct sy_slice values[VALUES_MAX];
    struct sy_buf store = {.data = NULL};
    call.format_count = take_formats(&rest, formats);
    call.result_format = (uint16_t)number_of(take_word(&rest));
    call.argument_count = take_values(&rest, &store, values);
    call.formats = formats;
    call.arguments = values;
    sy_write_function_call(message, &call);
    sy_buf_release(&store);
}

static void do_parse(struct sy_buf *message, struct sy_slice rest)
{
    uint32_t types[VALUES_MAX];
    struct sy_slice name = take_word(&rest);
    uint16_t count = take_numbers(&rest, types);
    sy_write_parse(message, name, rest, types, count);
}

static void do_text(struct sy_buf *message, char type, struct sy_slice rest)
{
    struct sy_buf text = {.data = NULL};
    trace_unescape(&text, rest);
    struct sy_slice bytes = {text.data, text.bytes};
    if (type == 'd')
        sy_write_copy_data(message, bytes);
    else if (type == 'f')
        sy_write_copy_fail(message, bytes);
    else
        sy_write_query(message, bytes);
    sy_buf_release(&text);
}

/* Commands that send one message. False: not one of them. */
static bool build_message(struct sy_buf *message, struct sy_slice command, struct sy_slice rest)
{
    static const struct {
        struct sy_slice word;
        char type;
    } rows[] = {
        {{"query", 5}, 'Q'},     {{"parse", 5}, 'P'},    {{"bind", 4}, 'B'}, {{"describe", 8}, 'D'},
        {{"close", 5}, 'C'},     {{"execute", 7}, 'E'},  {{"call", 4}, 'F'}, {{"copydata", 8}, 'd'},
        {{"copydone", 8}, 'c'},  {{"copyfail", 8}, 'f'}, {{"sync", 4}, 'S'}, {{"flush", 5}, 'H'},
        {{"terminate", 9}, 'X'},
    };
    char type = '\0';
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (sy_slice_eq(rows[i].word, command))
            type = rows[i].type;
    struct sy_slice first;
    switch (type) {
    case '\0':
        return false;
    case 'Q':
    case 'd':
    case 'f':
        do_text(message, type, rest);
        return true;
    case 'P':
        do_parse(message, rest);
        return true;
    case 'B':
        do_bind(message, rest);
        return true;
    case 'F':
        do_call(message, rest);
        return true;
    case 'D':
        first = take_word(&rest);
        sy_write_describe(message, first.bytes > 0 ? first.data[0] : '?', take_word(&rest));
        return true;
    case 'C':
        first = take_word(&rest);
        sy_write_close(message, first.bytes > 0 ? first.data[0] : '?', take_word(&rest));
        return true;
    case 'E':
        first = take_word(&rest);
        sy_write_execute(message, first, number_of(take_word(&rest)));
        return true;
    default:
        sy_write_simple(message, type);
        return true;
    }
}

static enum sy_status run_command(struct runner *runner, struct sy_slice line)
{
    struct sy_slice rest = line;
    struct sy_slice command = take_word(&rest);
    if (sy_slice_eq(command, SY_SLICE("connect")))
        return do_connect(runner, rest);
    if (sy_slice_eq(command, SY_SLICE("cancel")))
        return do_cancel(runner, rest);
    if (sy_slice_eq(command, SY_SLICE("use"))) {
        runner->current = number_of(take_word(&rest)) % CONNECTIONS;
        return SY_OK;
    }
    if (sy_slice_eq(command, SY_SLICE("wait"))) {
        struct sy_slice what = take_word(&rest);
        return wait_for(runner, what.bytes == 1 ? what.data[0] : '\0');
    }
    struct sy_buf message = {.data = NULL};
    if (!build_message(&message, command, rest))
        return sy_err_set(runner->err, SY_E_SYNTAX, "unknown command: %.*s", (int)line.bytes,
                          line.data);
    queue_message(runner, &message, true);
    return SY_OK;
}

bool conversation_line(struct sy_slice *rest, struct sy_slice *ret_line)
{
    if (rest->bytes == 0)
        return false;
    const char *end = memchr(rest->data, '\n', rest->bytes);
    size_t bytes = end == NULL ? rest->bytes : (size_t)(end - rest->data);
    *ret_line = (struct sy_slice){rest->data, bytes};
    size_t used = end == NULL ? bytes : bytes + 1;
    *rest = (struct sy_slice){rest->data + used, rest->bytes - used};
    return true;
}

enum sy_status conversation_run(const char *host, const char *port, struct sy_slice script,
                                struct sy_buf *ret_trace, struct sy_err *err)
{
    struct runner runner = {.host = host, .port = port, .trace = ret_trace, .err = err};
    struct sy_slice rest = script, line;
    enum sy_status status = SY_OK;
    while (status == SY_OK && conversation_line(&rest, &line)) {
        if (line.bytes > 0 && line.data[0] != '$' && line.data[0] != '#')
            continue;
        sy_buf_append_slice(ret_trace, line);
        sy_buf_append_u8(ret_trace, '\n');
        if (line.bytes > 2 && line.data[0] == '$')
            status = run_command(&runner, (struct sy_slice){line.data + 2, line.bytes - 2});
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (runner.connections[i].fd != 0)
            close(runner.connections[i].fd);
        sy_buf_release(&runner.connections[i].pending);
        sy_buf_release(&runner.connections[i].received);
    }
    if (status == SY_OK && ret_trace->failed)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return status;
}

enum sy_status conversation_load(const char *path, struct sy_buf *ret_text, struct sy_err *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot open %s", path);
    char data[4096];
    size_t run;
    while ((run = fread(data, 1, sizeof(data), file)) > 0)
        sy_buf_append(ret_text, data, run);
    fclose(file);
    return SY_OK;
}
