/* Passwords prepared as RFC 4013 says, with PostgreSQL's exceptions; md5 secrets; base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "router/auth/saslprep.h"
#include "router/auth/scram.h"

static void passwords_get_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *label, *in, *out;
    } rows[] = {
        {"ASCII", "pencil", "pencil"},
        {"empty", "", ""},
        {"ASCII with a control character stays", "a\x01", "a\x01"},
        {"soft hyphen vanishes", "I\xc2\xadX", "IX"},
        {"case stays", "USER\xc3\xa9", "USER\xc3\xa9"},
        {"feminine ordinal becomes a", "\xc2\xaa", "a"},
        {"roman nine becomes IX", "\xe2\x85\xa8", "IX"},
        {"no-break space becomes a space",
         "a\xc2\xa0"
         "b",
         "a b"},
        {"decomposed is composed", "e\xcc\x81", "\xc3\xa9"},
        {"prohibited stays as it is", "\xc2\x85x", "\xc2\x85x"},
        {"wrong bidirectional text stays",
         "\xd8\xa7"
         "1",
         "\xd8\xa7"
         "1"},
        {"not UTF-8 stays", "\xff\xfe", "\xff\xfe"},
        {"nothing left stays", "\xc2\xad", "\xc2\xad"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct sy_buf out = {.data = NULL};
        struct sy_err err;
        assert_int_equal(sy_saslprep(sy_slice_of(rows[i].in), &out, &err), SY_OK);
        assert_int_equal(out.bytes, strlen(rows[i].out));
        if (out.bytes > 0)
            assert_memory_equal(out.data, rows[i].out, out.bytes);
        sy_buf_release(&out);
    }
}

static void md5_is_postgresqls(void **state)
{
    (void)state;
    char secret[36], response[36], again[36];
    /* select 'md5' || md5('secret' || 'app') */
    sy_md5_secret(SY_SLICE("app"), SY_SLICE("secret"), secret);
    assert_string_equal(secret, "md56a422f785c9e20873908ce25d1736ae2");
    assert_true(sy_md5_is_secret(sy_slice_of(secret)));
    assert_false(sy_md5_is_secret(SY_SLICE("md5secret")));
    assert_false(sy_md5_is_secret(SY_SLICE("md56A422F785C9E20873908CE25D1736AE2")));
    const uint8_t salt[4] = {1, 2, 3, 4};
    sy_md5_response(SY_SLICE("app"), SY_SLICE("secret"), salt, response);
    sy_md5_response(SY_SLICE("app"), sy_slice_of(secret), salt, again);
    assert_string_equal(response, again);
    assert_int_equal(strlen(response), 35);
}

static void base64_is_strict(void **state)
{
    (void)state;
    uint8_t data[8];
    uint32_t bytes;
    static const struct {
        const char *text;
        bool ok;
        uint32_t bytes;
    } rows[] = {{"", true, 0},      {"AA==", true, 1},         {"AAA=", true, 2},
                {"AAAA", true, 3},  {"AAAAAAAAAAA=", true, 8}, {"AAAAAAAAAAAA", false, 0},
                {"A", false, 0},    {"AA", false, 0},          {"AA=", false, 0},
                {"AB==", false, 0}, {"AAB=", false, 0},        {"A===", false, 0},
                {"====", false, 0}, {"AA=A", false, 0},        {"A A=", false, 0},
                {"AA\n=", false, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("\"%s\"\n", rows[i].text);
        assert_int_equal(sy_base64_decode(sy_slice_of(rows[i].text), data, sizeof(data), &bytes),
                         rows[i].ok);
        if (rows[i].ok)
            assert_int_equal(bytes, rows[i].bytes);
    }
    for (size_t n = 0; n <= sizeof(data); n++) {
        struct sy_buf text = {.data = NULL};
        uint8_t again[8];
        for (size_t i = 0; i < n; i++)
            data[i] = (uint8_t)(i * 83 + n);
        sy_base64_append(&text, data, n);
        assert_true(sy_base64_decode((struct sy_slice){text.data, text.bytes}, again, 8, &bytes));
        assert_int_equal(bytes, n);
        assert_memory_equal(again, data, n);
        sy_buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passwords_get_one_form),
        cmocka_unit_test(md5_is_postgresqls),
        cmocka_unit_test(base64_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
