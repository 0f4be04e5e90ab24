/* What the readers and writers promise beyond round trips (those are in tests/wire). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "router/wire/message.h"

static void rows_of_a_tag(void **state)
{
    (void)state;
    static const struct {
        const char *tag;
        bool has;
        uint64_t rows;
    } rows[] = {
        {"INSERT 0 5", true, 5},
        {"SELECT 3", true, 3},
        {"COPY 0", true, 0},
        {"BEGIN", false, 0},
        {"", false, 0},
        {"42", false, 0},
        {"CREATE TABLE", false, 0},
        {"X9", false, 0},
        {"SELECT ", false, 0},
        {"SELECT 18446744073709551615", true, UINT64_MAX},
        {"SELECT 18446744073709551616", false, 0},
        {"SELECT 99999999999999999999", false, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("\"%s\"\n", rows[i].tag);
        uint64_t count = 77;
        assert_int_equal(sy_tag_rows(sy_slice_of(rows[i].tag), &count), rows[i].has);
        assert_int_equal(count, rows[i].has ? rows[i].rows : 77);
    }
}

static struct sy_notice_fields fields_of(const struct sy_buf *out, char type)
{
    struct sy_notice_fields fields;
    struct sy_err err;
    assert_false(out->failed);
    assert_int_equal(out->data[0], type);
    assert_int_equal(sy_u32_at(out->data + 1, 0), out->bytes - 1);
    assert_int_equal(sy_notice_read(out->data + 5, out->bytes - 5, &fields, &err), SY_OK);
    return fields;
}

static void assert_slice(struct sy_slice slice, const char *text)
{
    assert_int_equal(slice.bytes, strlen(text));
    assert_memory_equal(slice.data, text, slice.bytes);
}

static void errors_are_written_with_what_they_have(void **state)
{
    (void)state;
    struct sy_buf out = {.data = NULL};
    struct sy_err err;
    sy_err_set(&err, SY_E_SYNTAX, "syntax error at or near \"%s\"", "SELEC");
    sy_write_error(&out, "ERROR", &err);
    struct sy_notice_fields fields = fields_of(&out, 'E');
    assert_slice(fields.severity, "ERROR");
    assert_slice(fields.severity_nonlocalized, "ERROR");
    assert_slice(fields.sqlstate, "42601");
    assert_slice(fields.message, "syntax error at or near \"SELEC\"");
    assert_null(fields.detail.data);
    assert_null(fields.hint.data);
    assert_null(fields.position.data);
    sy_buf_clear(&out);
    sy_err_state(&err, "42P01");
    sy_err_detail(&err, "why");
    sy_err_hint(&err, "try");
    err.position = 8;
    sy_write_notice(&out, "WARNING", &err);
    fields = fields_of(&out, 'N');
    assert_slice(fields.severity, "WARNING");
    assert_slice(fields.sqlstate, "42P01");
    assert_slice(fields.detail, "why");
    assert_slice(fields.hint, "try");
    assert_slice(fields.position, "8");
    sy_buf_clear(&out);
    const struct sy_err bare = {.status = SY_E_TOO_MANY};
    sy_write_error(&out, "FATAL", &bare);
    assert_slice(fields_of(&out, 'E').message, "too many connections");
    sy_buf_release(&out);
}

static void unknown_fields_of_an_error_are_ignored(void **state)
{
    (void)state;
    static const char body[] = "?strange\0Mtold\0";
    struct sy_notice_fields fields;
    struct sy_err err;
    assert_int_equal(sy_notice_read(body, sizeof(body), &fields, &err), SY_OK);
    assert_slice(fields.message, "told");
    assert_null(fields.severity.data);
}

static void a_zero_byte_never_enters_a_string(void **state)
{
    (void)state;
    static const char text[] = "a\0Qb";
    const struct sy_slice slice = {text, sizeof(text) - 1};
    struct sy_buf out = {.data = NULL};
    sy_write_query(&out, slice);
    assert_true(out.failed);
    sy_buf_clear(&out);
    sy_write_parse(&out, slice, SY_SLICE("SELECT 1"), NULL, 0);
    assert_true(out.failed);
    sy_buf_clear(&out);
    sy_write_notice_fields(&out, 'E',
                           &(struct sy_notice_fields){.message = slice, .hint = SY_SLICE("h")});
    struct sy_notice_fields fields = fields_of(&out, 'E');
    assert_slice(fields.message, "a");
    assert_slice(fields.hint, "h");
    sy_buf_release(&out);
}

static void a_full_buffer_fails_every_writer(void **state)
{
    (void)state;
    char text[700];
    memset(text, 'x', sizeof(text));
    const struct sy_slice values[] = {{text, sizeof(text)}, {NULL, 0}};
    const struct sy_column_desc column = {.name = values[0]};
    struct sy_buf out = {.bytes_max = 600};
    sy_write_data_row(&out, values, 2);
    assert_true(out.failed);
    assert_int_equal(out.bytes, 0);
    sy_buf_clear(&out);
    sy_write_row_description(&out, &column, 1);
    assert_true(out.failed);
    sy_buf_clear(&out);
    sy_write_query(&out, values[0]);
    assert_true(out.failed);
    sy_buf_clear(&out);
    sy_write_copy_data(&out, values[0]);
    assert_true(out.failed);
    sy_buf_release(&out);
}

static void a_small_ceiling_holds_to_the_byte(void **state)
{
    (void)state;
    for (size_t max = 1; max < 40; max++) {
        struct sy_buf out = {.bytes_max = max};
        for (size_t i = 0; i < 40; i++)
            sy_buf_append_u8(&out, 'x');
        assert_int_equal(out.bytes, max);
        assert_true(out.failed);
        sy_buf_release(&out);
    }
}

static void startup_packets_name_what_they_are(void **state)
{
    (void)state;
    struct sy_startup startup;
    struct sy_err err;
    uint32_t bytes = 99;
    assert_int_equal(sy_startup_bytes("\0\0\0", 3, &bytes, &err), SY_OK);
    assert_int_equal(bytes, 0);
    assert_int_equal(sy_startup_bytes("\0\0\0\7", 4, &bytes, &err), SY_E_PROTOCOL);
    assert_int_equal(sy_startup_bytes("\0\0\x27\x10", 4, &bytes, &err), SY_OK);
    assert_int_equal(bytes, 10000);
    assert_int_equal(sy_startup_bytes("\0\0\x27\x11", 4, &bytes, &err), SY_E_PROTOCOL);
    assert_int_equal(sy_startup_bytes("GET ", 4, &bytes, &err), SY_E_PROTOCOL);
    assert_int_equal(sy_startup_read("\0\0\0\x9\0\2\0\0\0", 9, &startup, &err), SY_E_UNSUPPORTED);
    assert_string_equal(err.text, "unsupported frontend protocol 2.0: server supports 3.0 to 3.0");
    assert_int_equal(sy_startup_read("\0\0\0\x9\0\3\0\0\0", 9, &startup, &err), SY_E_AUTH_SPEC);
    struct sy_startup_parameter parameters[66];
    for (size_t i = 0; i < 66; i++)
        parameters[i] = (struct sy_startup_parameter){SY_SLICE("_pq_.x"), SY_SLICE("v")};
    parameters[0] = (struct sy_startup_parameter){SY_SLICE("user"), SY_SLICE("app")};
    for (uint32_t count = 63; count <= 66; count++) {
        struct sy_buf packet = {.data = NULL};
        sy_write_startup(&packet, parameters, count);
        enum sy_status status = sy_startup_read(packet.data, packet.bytes, &startup, &err);
        assert_int_equal(status, count <= 64 ? SY_OK : SY_E_PROTOCOL);
        if (status == SY_OK) {
            struct sy_slice names[SY_LIMIT_STARTUP_PARAMETERS];
            assert_slice(startup.user, "app");
            assert_slice(startup.database, "app");
            assert_int_equal(startup.parameter_count, count);
            assert_int_equal(sy_startup_options(&startup, names), count - 1);
        }
        sy_buf_release(&packet);
    }
}

static void bind_formats_must_fit(void **state)
{
    (void)state;
    static const uint16_t formats[] = {1, 1, 1};
    static const struct sy_slice values[] = {{"a", 1}, {NULL, 0}, {"c", 1}};
    for (uint16_t count = 0; count <= 3; count++) {
        const struct sy_bind_values bind = {.formats = formats,
                                            .format_count = count,
                                            .parameters = values,
                                            .parameter_count = 3,
                                            .portal = SY_SLICE(""),
                                            .statement = SY_SLICE("s")};
        struct sy_buf out = {.data = NULL};
        struct sy_bind_msg again;
        struct sy_err err;
        sy_write_bind(&out, &bind);
        assert_int_equal(sy_bind_read(out.data + 5, out.bytes - 5, &again, &err),
                         count == 2 ? SY_E_PROTOCOL : SY_OK);
        if (count != 2) {
            struct sy_slice parameters[3];
            sy_bind_parameters(&again, parameters);
            assert_slice(parameters[0], "a");
            assert_null(parameters[1].data);
            assert_slice(parameters[2], "c");
        }
        sy_buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_tag),
        cmocka_unit_test(errors_are_written_with_what_they_have),
        cmocka_unit_test(unknown_fields_of_an_error_are_ignored),
        cmocka_unit_test(a_zero_byte_never_enters_a_string),
        cmocka_unit_test(a_full_buffer_fails_every_writer),
        cmocka_unit_test(a_small_ceiling_holds_to_the_byte),
        cmocka_unit_test(startup_packets_name_what_they_are),
        cmocka_unit_test(bind_formats_must_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
