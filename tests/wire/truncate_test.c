/* Every kind of message, cut at every byte and with a byte too many: an error, and no look beyond
 * the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "router/wire/message.h"
#include "tests/wire/recode.h"

typedef enum sy_status (*recoder)(char type, const char *body, size_t bytes, struct sy_buf *out,
                                  struct sy_err *err);

/* From memory of exactly this size, so that AddressSanitizer sees the first byte beyond. */
static enum sy_status recode_copy_of(recoder recode, char type, const char *body, size_t bytes,
                                     struct sy_buf *out, struct sy_err *err)
{
    char *copy = malloc(bytes == 0 ? 1 : bytes);
    assert_non_null(copy);
    if (bytes > 0)
        memcpy(copy, body, bytes);
    enum sy_status status = recode(type, copy, bytes, out, err);
    free(copy);
    return status;
}

/* `open`: the last field takes whatever is there, so that other lengths are messages too. */
static void cut_everywhere(recoder recode, const struct sy_buf *message, bool open)
{
    char type = message->data[0];
    const char *body = message->data + 5;
    size_t bytes = message->bytes - 5;
    print_message("'%c', %zu bytes\n", type, bytes);
    struct sy_buf out = {.data = NULL};
    struct sy_err err;
    assert_false(message->failed);
    assert_int_equal(recode_copy_of(recode, type, body, bytes, &out, &err), SY_OK);
    assert_int_equal(out.bytes, message->bytes);
    assert_memory_equal(out.data, message->data, out.bytes);
    for (size_t cut = 0; cut < bytes; cut++) {
        sy_buf_clear(&out);
        enum sy_status status = recode_copy_of(recode, type, body, cut, &out, &err);
        if (open && status == SY_OK)
            continue;
        assert_int_equal(status, SY_E_PROTOCOL);
        assert_int_equal(out.bytes, 0);
    }
    char *longer = malloc(bytes + 1);
    assert_non_null(longer);
    memcpy(longer, body, bytes);
    longer[bytes] = 'x';
    sy_buf_clear(&out);
    if (!open)
        assert_int_equal(recode_copy_of(recode, type, longer, bytes + 1, &out, &err),
                         SY_E_PROTOCOL);
    free(longer);
    sy_buf_release(&out);
}

static const struct sy_slice values[] = {{"ab", 2}, {NULL, 0}, {"", 0}};
static const uint16_t formats[] = {0, 1, 0};
static const uint32_t types[] = {23, 25, 0};

#define CUT(recode, open, call)                                                                    \
    do {                                                                                           \
        struct sy_buf message = {.data = NULL};                                                    \
        struct sy_buf *out = &message;                                                             \
        call;                                                                                      \
        cut_everywhere((recode), &message, (open));                                                \
        sy_buf_release(&message);                                                                  \
    } while (0)

static void clients_messages_are_exact(void **state)
{
    (void)state;
    const struct sy_bind_values bind = {
        SY_SLICE("p"), SY_SLICE("s"), formats, formats, values, 3, 3, 2};
    const struct sy_function_call_values call = {177, formats, values, 1, 3, 1};
    CUT(recode_frontend, false, sy_write_query(out, SY_SLICE("SELECT 1")));
    CUT(recode_frontend, false,
        sy_write_parse(out, SY_SLICE("s"), SY_SLICE("SELECT $1"), types, 3));
    CUT(recode_frontend, false, sy_write_bind(out, &bind));
    CUT(recode_frontend, false, sy_write_describe(out, 'S', SY_SLICE("name")));
    CUT(recode_frontend, false, sy_write_close(out, 'P', SY_SLICE("name")));
    CUT(recode_frontend, false, sy_write_execute(out, SY_SLICE("p"), 10));
    CUT(recode_frontend, false, sy_write_function_call(out, &call));
    CUT(recode_frontend, false, sy_write_copy_fail(out, SY_SLICE("no")));
    CUT(recode_frontend, false, sy_write_simple(out, 'S'));
    CUT(recode_frontend, false, sy_write_simple(out, 'H'));
    CUT(recode_frontend, false, sy_write_simple(out, 'X'));
    CUT(recode_frontend, false, sy_write_simple(out, 'c'));
    CUT(recode_frontend, true, sy_write_copy_data(out, SY_SLICE("row\n")));
    CUT(recode_frontend, true, sy_write_password(out, SY_SLICE("secret"), true));
    CUT(recode_frontend, true,
        sy_write_sasl_initial(out, SY_SLICE("SCRAM-SHA-256"), SY_SLICE("n,,n=,r=x")));
    CUT(recode_frontend, true,
        sy_write_sasl_initial(out, SY_SLICE("SCRAM-SHA-256"), (struct sy_slice){NULL, 0}));
}

static void servers_messages_are_exact(void **state)
{
    (void)state;
    const struct sy_column_desc columns[] = {
        {SY_SLICE("a"), 16384, 1, 23, 4, -1, 0},
        {SY_SLICE(""), 0, 0, 25, -1, 36, 1},
    };
    const struct sy_notice_fields fields = {.severity = SY_SLICE("ERROR"),
                                            .severity_nonlocalized = SY_SLICE("ERROR"),
                                            .sqlstate = SY_SLICE("42P01"),
                                            .message = SY_SLICE("m"),
                                            .detail = SY_SLICE("d"),
                                            .hint = SY_SLICE("h"),
                                            .position = SY_SLICE("1"),
                                            .internal_position = SY_SLICE("2"),
                                            .internal_query = SY_SLICE("q"),
                                            .where = SY_SLICE("w"),
                                            .schema = SY_SLICE("s"),
                                            .table = SY_SLICE("t"),
                                            .column = SY_SLICE("c"),
                                            .data_type = SY_SLICE("d"),
                                            .constraint = SY_SLICE("n"),
                                            .file = SY_SLICE("f"),
                                            .line = SY_SLICE("3"),
                                            .routine = SY_SLICE("r")};
    const struct sy_notice_fields none = {.severity = {NULL, 0}};
    const struct sy_slice options[] = {SY_SLICE("_pq_.a"), SY_SLICE("_pq_.b")};
    CUT(recode_backend, true, sy_write_auth(out, 10, SY_SLICE("SCRAM-SHA-256\0\0")));
    CUT(recode_backend, false,
        sy_write_parameter_status(out, SY_SLICE("TimeZone"), SY_SLICE("UTC")));
    CUT(recode_backend, true, sy_write_backend_key(out, 7, SY_SLICE("12345678")));
    CUT(recode_backend, false, sy_write_ready(out, 'T'));
    CUT(recode_backend, false, sy_write_command_complete(out, "SELECT 1"));
    CUT(recode_backend, false, sy_write_empty_query(out));
    CUT(recode_backend, false, sy_write_notice_fields(out, 'E', &fields));
    CUT(recode_backend, false, sy_write_notice_fields(out, 'N', &none));
    CUT(recode_backend, false, sy_write_negotiate(out, 0, options, 2));
    CUT(recode_backend, false, sy_write_row_description(out, columns, 2));
    CUT(recode_backend, false, sy_write_data_row(out, values, 3));
    CUT(recode_backend, false, sy_write_parameter_description(out, types, 3));
    CUT(recode_backend, false, sy_write_notification(out, 9, SY_SLICE("c"), SY_SLICE("p")));
    CUT(recode_backend, false, sy_write_copy_response(out, 'G', 0, formats, 3));
    CUT(recode_backend, false, sy_write_copy_response(out, 'H', 1, formats, 0));
    CUT(recode_backend, false, sy_write_function_result(out, SY_SLICE("abc")));
    CUT(recode_backend, false, sy_write_function_result(out, (struct sy_slice){NULL, 0}));
    for (const char *type = "123nsc"; *type != '\0'; type++)
        CUT(recode_backend, false, sy_write_simple(out, *type));
}

static enum sy_status recode_packet(const char *data, size_t bytes, struct sy_buf *out)
{
    char *copy = malloc(bytes == 0 ? 1 : bytes);
    struct sy_err err;
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    enum sy_status status = recode_startup(copy, bytes, out, &err);
    free(copy);
    return status;
}

/* The declared length follows the cut, so that only what is inside can be wrong. */
static void cut_packet(const struct sy_buf *packet)
{
    struct sy_buf out = {.data = NULL};
    assert_int_equal(recode_packet(packet->data, packet->bytes, &out), SY_OK);
    assert_int_equal(out.bytes, packet->bytes);
    assert_memory_equal(out.data, packet->data, out.bytes);
    for (size_t cut = 4; cut < packet->bytes; cut++) {
        struct sy_buf piece = {.data = NULL};
        sy_buf_append_u32(&piece, (uint32_t)cut);
        sy_buf_append(&piece, packet->data + 4, cut - 4);
        sy_buf_clear(&out);
        enum sy_status status = recode_packet(piece.data, piece.bytes, &out);
        assert_true(status != SY_OK);
        assert_int_equal(out.bytes, 0);
        assert_int_equal(recode_packet(packet->data, cut, &out), SY_E_PROTOCOL);
        sy_buf_release(&piece);
    }
    sy_buf_release(&out);
}

static void packets_without_a_type_are_exact(void **state)
{
    (void)state;
    const struct sy_startup_parameter parameters[] = {{SY_SLICE("user"), SY_SLICE("app")},
                                                      {SY_SLICE("database"), SY_SLICE("blog")},
                                                      {SY_SLICE("x"), SY_SLICE("")}};
    struct sy_buf packet = {.data = NULL};
    sy_write_startup_minor(&packet, 2, parameters, 3);
    cut_packet(&packet);
    sy_buf_clear(&packet);
    sy_write_request(&packet, SY_CODE_SSL);
    cut_packet(&packet);
    sy_buf_clear(&packet);
    sy_write_request(&packet, SY_CODE_GSSENC);
    cut_packet(&packet);
    sy_buf_clear(&packet);
    sy_write_cancel(&packet, 4711, SY_SLICE("key!"));
    cut_packet(&packet);
    sy_buf_release(&packet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_messages_are_exact),
        cmocka_unit_test(servers_messages_are_exact),
        cmocka_unit_test(packets_without_a_type_are_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
