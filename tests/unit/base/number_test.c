/* Numbers, sizes and durations: tables of texts and what they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/number.h"

static void reads_integers_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum sy_status status;
        int64_t value;
    } rows[] = {
        {"0", SY_OK, 0},
        {"-0", SY_OK, 0},
        {"+7", SY_OK, 7},
        {"007", SY_OK, 7},
        {"9223372036854775807", SY_OK, INT64_MAX},
        {"-9223372036854775808", SY_OK, INT64_MIN},
        {"9223372036854775808", SY_E_VALUE, 0},
        {"-9223372036854775809", SY_E_VALUE, 0},
        {"18446744073709551616", SY_E_VALUE, 0},
        {"99999999999999999999999999", SY_E_VALUE, 0},
        {"", SY_E_TEXT, 0},
        {"-", SY_E_TEXT, 0},
        {"+-1", SY_E_TEXT, 0},
        {" 1", SY_E_TEXT, 0},
        {"1 ", SY_E_TEXT, 0},
        {"1.0", SY_E_TEXT, 0},
        {"0x10", SY_E_TEXT, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t value = 42;
        enum sy_status status =
            sy_number_parse_i64(sy_slice_of(rows[i].text), INT64_MIN, INT64_MAX, &value, NULL);
        if (status != rows[i].status || value != (status == SY_OK ? rows[i].value : 42))
            fail_msg("%s", rows[i].text);
    }
    int64_t value = 0;
    uint64_t natural = 0;
    struct sy_err err;
    assert_int_equal(sy_number_parse_i64(SY_SLICE("70000"), 1, 65535, &value, &err), SY_E_VALUE);
    assert_string_equal(err.text, "70000 is outside 1 to 65535");
    assert_int_equal(
        sy_number_parse_u64(SY_SLICE("18446744073709551615"), 0, UINT64_MAX, &natural, NULL),
        SY_OK);
    assert_true(natural == UINT64_MAX);
    assert_int_equal(sy_number_parse_u64(SY_SLICE("-1"), 0, UINT64_MAX, &natural, NULL), SY_E_TEXT);
    assert_int_equal(
        sy_number_parse_u64(SY_SLICE("18446744073709551616"), 0, UINT64_MAX, &natural, NULL),
        SY_E_VALUE);
}

static void reads_and_writes_quantities(void **state)
{
    (void)state;
    static const struct {
        bool size;
        const char *text;
        enum sy_status status;
        uint64_t value;
        const char *back;
    } rows[] = {
        {true, "64MB", SY_OK, 64 << 20, "64MB"},
        {true, "1024 kB", SY_OK, 1 << 20, "1MB"},
        {true, "1KB", SY_OK, 1024, "1kB"},
        {true, "1500B", SY_OK, 1500, "1500B"},
        {true, "0", SY_OK, 0, "0"},
        {true, "0TB", SY_OK, 0, "0"},
        {true, "3TB", SY_OK, UINT64_C(3) << 40, "3TB"},
        {true, "8388608TB", SY_E_VALUE, 0, NULL},
        {true, "99999999999999999999B", SY_E_VALUE, 0, NULL},
        {true, "64", SY_E_TEXT, 0, NULL},
        {true, "64mb", SY_E_TEXT, 0, NULL},
        {true, "MB", SY_E_TEXT, 0, NULL},
        {true, "-1MB", SY_E_TEXT, 0, NULL},
        {true, "1MB ", SY_E_TEXT, 0, NULL},
        {true, "", SY_E_TEXT, 0, NULL},
        {false, "30s", SY_OK, 30000000, "30s"},
        {false, "500ms", SY_OK, 500000, "500ms"},
        {false, "5min", SY_OK, 300000000, "5min"},
        {false, "90 s", SY_OK, 90000000, "90s"},
        {false, "7us", SY_OK, 7, "7us"},
        {false, "24h", SY_OK, UINT64_C(86400000000), "1d"},
        {false, "0", SY_OK, 0, "0"},
        {false, "5m", SY_E_TEXT, 0, NULL},
        {false, "1.5s", SY_E_TEXT, 0, NULL},
        {false, "30", SY_E_TEXT, 0, NULL},
        {false, "106751992d", SY_E_VALUE, 0, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value = 1;
        struct sy_err err = {0};
        char back[SY_NUMBER_TEXT_BYTES];
        enum sy_status status =
            rows[i].size ? sy_number_parse_size(sy_slice_of(rows[i].text), &value, &err)
                         : sy_number_parse_duration(sy_slice_of(rows[i].text), &value, &err);
        if (status != rows[i].status)
            fail_msg("%s: status %s", rows[i].text, sy_status_name(status));
        if (status == SY_E_TEXT)
            assert_true(err.hint[0] != '\0');
        if (status != SY_OK)
            continue;
        assert_int_equal(value, rows[i].value);
        assert_string_equal(rows[i].size ? sy_number_format_size(value, back)
                                         : sy_number_format_duration(value, back),
                            rows[i].back);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_integers_exactly),
        cmocka_unit_test(reads_and_writes_quantities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
