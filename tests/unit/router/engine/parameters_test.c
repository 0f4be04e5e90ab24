/* ParameterStatus values of a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "router/engine/parameters.h"

static void set(struct sy_parameters *parameters, const char *name, const char *value)
{
    struct sy_err err = {0};
    assert_int_equal(sy_parameters_set(parameters, sy_slice_of(name), sy_slice_of(value), &err),
                     SY_OK);
}

static void assert_value(const struct sy_parameters *parameters, const char *name,
                         const char *value)
{
    struct sy_slice got = sy_parameters_get(parameters, sy_slice_of(name));
    assert_true(sy_slice_eq(got, sy_slice_of(value)));
}

static void names_ignore_case_and_keep_order(void **state)
{
    (void)state;
    struct sy_parameters *parameters = sy_parameters_new();
    set(parameters, "TimeZone", "UTC");
    set(parameters, "DateStyle", "ISO, MDY");
    set(parameters, "timezone", "Europe/Berlin");
    set(parameters, "DateStyle", "");
    assert_int_equal(sy_parameters_count(parameters), 2);
    assert_value(parameters, "TIMEZONE", "Europe/Berlin");
    assert_value(parameters, "datestyle", "");
    struct sy_slice name, value;
    sy_parameters_at(parameters, 0, &name, &value);
    assert_true(sy_slice_eq(name, SY_SLICE("TimeZone")));
    assert_null(sy_parameters_get(parameters, SY_SLICE("nope")).data);
    assert_non_null(sy_parameters_get(parameters, SY_SLICE("DateStyle")).data);
    sy_parameters_free(&parameters);
    assert_null(parameters);
    sy_parameters_free(&parameters);
}

static void refuses_too_many_and_too_long(void **state)
{
    (void)state;
    struct sy_parameters *parameters = sy_parameters_new();
    struct sy_err err = {0};
    char name[32], long_value[1100];
    memset(long_value, 'x', sizeof(long_value));
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof(name), "p%d", i);
        set(parameters, name, "v");
    }
    assert_int_equal(sy_parameters_set(parameters, SY_SLICE("one_more"), SY_SLICE("v"), &err),
                     SY_E_LIMIT);
    set(parameters, "p7", "still changes");
    assert_value(parameters, "p7", "still changes");
    struct sy_slice value = {long_value, 1025};
    assert_int_equal(sy_parameters_set(parameters, SY_SLICE("p7"), value, &err), SY_E_LIMIT);
    assert_value(parameters, "p7", "still changes");
    assert_int_equal(sy_parameters_set(parameters, SY_SLICE(""), SY_SLICE("v"), &err), SY_E_LIMIT);
    sy_parameters_free(&parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_ignore_case_and_keep_order),
        cmocka_unit_test(refuses_too_many_and_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
