/* Encoding names are one when PostgreSQL takes them for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/encoding.h"

static void same_name_in_every_spelling(void **state)
{
    (void)state;
    static const char *const same[] = {"UTF8", "utf8", "utf-8", "'utf-8'", "Unicode", "UTF_8"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
        assert_true(sy_encoding_same(sy_slice_of(same[i]), SY_SLICE("UTF8")));
    static const char *const other[] = {"", "LATIN1", "UTF16", "utf88", "SQL_ASCII"};
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        assert_false(sy_encoding_same(sy_slice_of(other[i]), SY_SLICE("UTF8")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_name_in_every_spelling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
