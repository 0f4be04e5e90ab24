/* Each message of the golden traces, decoded and encoded again, is the same to the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "router/wire/frame.h"
#include "router/wire/message.h"
#include "router/wire/states.h"
#include "tests/wire/conversation.h"
#include "tests/wire/recode.h"
#include "tests/wire/trace.h"

enum { CONNECTIONS = 4 };

struct coverage {
    unsigned messages;
    bool client[256], server[256];
};

/* The message of a line; false when the line is none. */
static bool message_of(struct sy_slice line, char *ret_direction, unsigned *ret_connection,
                       char *ret_type, struct sy_buf *ret_body)
{
    *ret_connection = 1;
    if (line.bytes > 0 && line.data[0] >= '2' && line.data[0] <= '9') {
        *ret_connection = (unsigned)(line.data[0] - '0');
        line = (struct sy_slice){line.data + 1, line.bytes - 1};
    }
    if (line.bytes < 4 || (line.data[0] != '<' && line.data[0] != '>') || line.data[3] != ' ')
        return false;
    *ret_direction = line.data[0];
    *ret_type = line.data[2] == '-' ? '\0' : line.data[2];
    assert_true(trace_unescape(ret_body, (struct sy_slice){line.data + 4, line.bytes - 4}));
    return true;
}

/* The whole message as it was on the wire. */
static void frame_message(struct sy_buf *out, char type, const struct sy_buf *body)
{
    size_t start = sy_msg_begin(out, type);
    sy_buf_append(out, body->data, body->bytes);
    sy_msg_end(out, start);
    assert_false(out->failed);
}

static void check_message(char direction, char type, const struct sy_buf *body)
{
    struct sy_buf wire = {.data = NULL}, again = {.data = NULL};
    struct sy_err err = {.status = SY_OK};
    frame_message(&wire, type, body);
    enum sy_status status;
    if (type == '\0')
        status = recode_startup(wire.data, wire.bytes, &again, &err);
    else if (direction == '>')
        status = recode_frontend(type, body->data, body->bytes, &again, &err);
    else
        status = recode_backend(type, body->data, body->bytes, &again, &err);
    if (status != SY_OK)
        fail_msg("%c %c: %s", direction, type, err.text);
    assert_int_equal(again.bytes, wire.bytes);
    assert_memory_equal(again.data, wire.data, wire.bytes);
    sy_buf_release(&wire);
    sy_buf_release(&again);
}

static void check_trace(const char *path, struct coverage *coverage)
{
    struct sy_buf text = {.data = NULL};
    struct sy_err err;
    print_message("%s\n", path);
    assert_int_equal(conversation_load(path, &text, &err), SY_OK);
    struct sy_slice rest = {text.data, text.bytes}, line;
    while (conversation_line(&rest, &line)) {
        struct sy_buf body = {.data = NULL};
        char direction, type;
        unsigned connection;
        if (message_of(line, &direction, &connection, &type, &body)) {
            check_message(direction, type, &body);
            coverage->messages++;
            (direction == '>' ? coverage->client : coverage->server)[(unsigned char)type] = true;
        }
        sy_buf_release(&body);
    }
    sy_buf_release(&text);
}

static void for_each_trace(void (*check)(const char *path, struct coverage *coverage),
                           struct coverage *coverage)
{
    glob_t found;
    assert_int_equal(glob(GOLDEN_DIR "/*.trace", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check(found.gl_pathv[i], coverage);
    globfree(&found);
}

static void every_recorded_message_survives_decoding_and_encoding(void **state)
{
    (void)state;
    struct coverage coverage = {.messages = 0};
    for_each_trace(check_trace, &coverage);
    assert_true(coverage.messages > 500);
    for (const char *type = "QPBDECSHFXdcf"; *type != '\0'; type++)
        if (!coverage.client[(unsigned char)*type])
            fail_msg("no trace has a client's '%c'", *type);
    for (const char *type = "RSKZENTDC123ntsIAGHdcVv"; *type != '\0'; type++)
        if (!coverage.server[(unsigned char)*type])
            fail_msg("no trace has a server's '%c'", *type);
}

/* Where a server stands after a message of this type; what was asked for meanwhile makes it busy
 * again. */
static enum sy_server_state server_after(enum sy_server_state state, char type,
                                         const struct sy_buf *body)
{
    switch (type) {
    case 'R':
        return body->bytes >= 4 && sy_u32_at(body->data, 0) == 0 ? SY_SERVER_SETUP : state;
    case 'Z':
        return SY_SERVER_BUSY;
    case 'E':
        return state == SY_SERVER_AUTH ? SY_SERVER_AUTH : SY_SERVER_FAILED;
    case 'G':
        return SY_SERVER_COPY_IN;
    case 'H':
        return SY_SERVER_COPY_OUT;
    case 'C':
    case 'c':
        return SY_SERVER_BUSY;
    default:
        return state;
    }
}

static void check_states(const char *path, struct coverage *coverage)
{
    struct sy_buf text = {.data = NULL};
    struct sy_err err;
    enum sy_server_state states[CONNECTIONS] = {SY_SERVER_AUTH, SY_SERVER_AUTH, SY_SERVER_AUTH,
                                                SY_SERVER_AUTH};
    print_message("%s\n", path);
    assert_int_equal(conversation_load(path, &text, &err), SY_OK);
    struct sy_slice rest = {text.data, text.bytes}, line;
    while (conversation_line(&rest, &line)) {
        struct sy_buf body = {.data = NULL};
        char direction, type;
        unsigned n;
        if (message_of(line, &direction, &n, &type, &body) && direction == '<') {
            assert_true(n < CONNECTIONS);
            if (sy_server_may_send(states[n], type) != SY_FRAME_ACCEPT)
                fail_msg("'%c' is not allowed in state %d", type, (int)states[n]);
            states[n] = server_after(states[n], type, &body);
            coverage->messages++;
        }
        sy_buf_release(&body);
    }
    sy_buf_release(&text);
}

static void every_recorded_answer_is_legal_in_its_state(void **state)
{
    (void)state;
    struct coverage coverage = {.messages = 0};
    for_each_trace(check_states, &coverage);
    assert_true(coverage.messages > 300);
}

static void escapes_survive(void **state)
{
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    struct sy_buf text = {.data = NULL}, again = {.data = NULL};
    trace_escape(&text, (struct sy_slice){all, sizeof(all)});
    assert_true(trace_unescape(&again, (struct sy_slice){text.data, text.bytes}));
    assert_int_equal(again.bytes, sizeof(all));
    assert_memory_equal(again.data, all, sizeof(all));
    assert_false(trace_unescape(&again, SY_SLICE("\\")));
    assert_false(trace_unescape(&again, SY_SLICE("\\x0")));
    assert_false(trace_unescape(&again, SY_SLICE("\\n")));
    sy_buf_release(&text);
    sy_buf_release(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_message_survives_decoding_and_encoding),
        cmocka_unit_test(every_recorded_answer_is_legal_in_its_state),
        cmocka_unit_test(escapes_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
