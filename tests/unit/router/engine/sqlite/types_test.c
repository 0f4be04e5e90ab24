/* Wire forms of every type: text to stored to text, and to binary and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "router/engine/sqlite/types.h"

struct form {
    uint32_t type;
    const char *in, *out; /* out NULL: the same */
    const char *binary; /* hex, as PostgreSQL's binary COPY writes it; NULL: only the round trip is
                           checked */
};

static const struct form forms[] = {
    {SY_T_BOOL, "true", "t", "01"},
    {SY_T_INT2, "-2", NULL, "fffe"},
    {SY_T_INT4, "258", NULL, "00000102"},
    {SY_T_INT8, "-9223372036854775808", NULL, "8000000000000000"},
    {SY_T_OID, "4294967295", NULL, "ffffffff"},
    {SY_T_FLOAT4, "1.5", NULL, "3fc00000"},
    {SY_T_FLOAT8, "-0.1", NULL, "bfb999999999999a"},
    {SY_T_FLOAT8, "1e300", "1e+300", NULL},
    {SY_T_NUMERIC, "0", NULL, "0000000000000000"},
    {SY_T_NUMERIC, "1.50", NULL, "000200000000000200011388"},
    {SY_T_NUMERIC, "-12345678.9", NULL, NULL},
    {SY_T_NUMERIC, "10000", NULL, "00010001000000000001"},
    {SY_T_NUMERIC, "0.0001", NULL, "0001ffff000000040001"},
    {SY_T_NUMERIC, "NaN", NULL, "00000000c0000000"},
    {SY_T_TEXT, "h\xc3\xa9", NULL, "68c3a9"},
    {SY_T_VARCHAR, "abc", NULL, "616263"},
    {SY_T_BYTEA, "\\x00ff", NULL, "00ff"},
    {SY_T_DATE, "2000-01-02", NULL, "00000001"},
    {SY_T_DATE, "infinity", NULL, "7fffffff"},
    {SY_T_TIME, "00:00:01", NULL, "00000000000f4240"},
    {SY_T_TIMETZ, "12:00:00+02", NULL, "0000000a0eebb000ffffe3e0"},
    {SY_T_TIMESTAMP, "2000-01-01 00:00:01", NULL, "00000000000f4240"},
    {SY_T_TIMESTAMPTZ, "2000-01-01 00:00:01+00", NULL, "00000000000f4240"},
    {SY_T_INTERVAL, "1 mon 2 days 00:00:03", NULL, "00000000002dc6c00000000200000001"},
    {SY_T_UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", NULL, "a0eebc999c0b4ef8bb6d6bb9bd380a11"},
    {SY_T_JSON, "{\"a\":1}", NULL, "7b2261223a317d"},
    {SY_T_JSONB, "{\"b\":1,\"a\":2}", "{\"a\": 2, \"b\": 1}", NULL},
    {SY_T_INT4_ARRAY, "{1,NULL,3}", NULL, NULL},
    {SY_T_TEXT_ARRAY, "{a,\"b c\",\"\"}", NULL, NULL},
    {SY_T_INT2VECTOR, "1 2", NULL, NULL},
};

static const char *to_hex(struct sy_arena *arena, const struct sy_buf *buf)
{
    char *out = sy_arena_alloc(arena, buf->bytes * 2 + 1);
    for (size_t i = 0; i < buf->bytes; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", (unsigned char)buf->data[i]);
    out[buf->bytes * 2] = '\0';
    return out;
}

static void converts_text_and_binary_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const struct form *form = &forms[i];
        struct sy_arena arena = {0};
        struct sy_err err = {0};
        struct sy_sqvalue value = {0}, again = {0};
        struct sy_buf text = {0}, binary = {0}, second = {0};
        if (sy_type_decode(form->type, -1, 0, sy_slice_of(form->in), NULL, &arena, &value, &err) !=
            SY_OK)
            fail_msg("%s: %s", form->in, err.text);
        assert_int_equal(sy_type_encode(form->type, 0, &value, NULL, &text, &err), SY_OK);
        sy_buf_append_u8(&text, 0);
        assert_string_equal(text.data, form->out == NULL ? form->in : form->out);
        assert_int_equal(sy_type_encode(form->type, 1, &value, NULL, &binary, &err), SY_OK);
        if (form->binary != NULL)
            assert_string_equal(to_hex(&arena, &binary), form->binary);
        if (form->type != SY_T_INT2VECTOR) {
            struct sy_slice data = {binary.data, binary.bytes};
            if (sy_type_decode(form->type, -1, 1, data, NULL, &arena, &again, &err) != SY_OK)
                fail_msg("%s in binary: %s", form->in, err.text);
            assert_int_equal(sy_type_encode(form->type, 0, &again, NULL, &second, &err), SY_OK);
            sy_buf_append_u8(&second, 0);
            assert_string_equal(second.data, text.data);
        }
        sy_buf_release(&text);
        sy_buf_release(&binary);
        sy_buf_release(&second);
        sy_arena_release(&arena);
    }
}

static void refuses_bad_input_with_the_right_state(void **state)
{
    static const struct {
        uint32_t type;
        int32_t typmod;
        int format;
        const char *in, *sqlstate;
    } cases[] = {
        {SY_T_INT4, -1, 0, "12x", "22P02"},         {SY_T_INT4, -1, 0, "3000000000", "22003"},
        {SY_T_INT4, -1, 1, "abc", "22P03"},         {SY_T_VARCHAR, 6, 0, "abc", "22001"},
        {SY_T_NUMERIC, 196612, 0, "1234", "22003"}, {SY_T_DATE, -1, 0, "2020-02-30", "22008"},
        {SY_T_DATE, -1, 0, "x", "22007"},           {SY_T_UUID, -1, 0, "x", "22P02"},
        {SY_T_JSONB, -1, 0, "{", "22P02"},          {SY_T_BOOL, -1, 0, "2", "22P02"},
        {SY_T_FLOAT8, -1, 0, "NaN", "0A000"},       {SY_T_INT4_ARRAY, -1, 0, "{1", "22P02"},
        {SY_T_INT4_ARRAY, -1, 0, "{{1}}", "0A000"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_arena arena = {0};
        struct sy_err err = {0};
        struct sy_sqvalue value = {0};
        assert_int_not_equal(sy_type_decode(cases[i].type, cases[i].typmod, cases[i].format,
                                            sy_slice_of(cases[i].in), NULL, &arena, &value, &err),
                             SY_OK);
        if (strcmp(sy_err_sqlstate(&err), cases[i].sqlstate) != 0)
            fail_msg("%s: %s %s", cases[i].in, sy_err_sqlstate(&err), err.text);
        sy_arena_release(&arena);
    }
}

static void formats_type_names(void **state)
{
    static const struct {
        uint32_t type;
        int32_t typmod;
        const char *name;
    } cases[] = {{SY_T_INT4, -1, "integer"},
                 {SY_T_VARCHAR, 14, "character varying(10)"},
                 {SY_T_NUMERIC, 655366, "numeric(10,2)"},
                 {SY_T_TIMESTAMPTZ, 3, "timestamp(3) with time zone"},
                 {SY_T_TEXT_ARRAY, -1, "text[]"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_buf buf = {0};
        sy_type_format(cases[i].type, cases[i].typmod, &buf);
        sy_buf_append_u8(&buf, 0);
        assert_string_equal(buf.data, cases[i].name);
        sy_buf_release(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(converts_text_and_binary_both_ways),
        cmocka_unit_test(refuses_bad_input_with_the_right_state),
        cmocka_unit_test(formats_type_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
