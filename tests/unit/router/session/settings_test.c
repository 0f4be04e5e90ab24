/* Sets of session settings: interning, differences, startup values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>

#include <cmocka.h>

#include "router/session/settings.h"

static struct sy_settings *with(struct sy_settings *base, const char *name, const char *sql)
{
    struct sy_err err = {0};
    struct sy_setting setting = {.name = sy_slice_of(name), .sql = sy_slice_of(sql)};
    struct sy_settings *set = sy_settings_with(base, &setting, &err);
    assert_non_null(set);
    sy_settings_unref(&base);
    return set;
}

static void equal_sets_are_one_object(void **state)
{
    (void)state;
    struct sy_settings_registry registry = {0};
    struct sy_settings *a = sy_settings_empty(&registry, NULL),
                       *b = sy_settings_empty(&registry, NULL);
    a = with(with(a, "a", "SET a TO 1"), "b", "SET b TO 2");
    b = with(with(b, "b", "SET b TO 2"), "a", "SET a TO 1");
    assert_ptr_equal(a, b);
    struct sy_settings *c = sy_settings_without(a, SY_SLICE("a"), NULL);
    assert_int_equal(c->count, 1);
    sy_settings_unref(&a);
    sy_settings_unref(&b);
    sy_settings_unref(&c);
    assert_int_equal(registry.sets.count, 0);
    sy_settings_registry_release(&registry);
}

static void the_difference_resets_and_sets(void **state)
{
    (void)state;
    struct sy_settings_registry registry = {0};
    struct sy_settings *have = sy_settings_empty(&registry, NULL),
                       *want = sy_settings_empty(&registry, NULL);
    have = with(with(have, "my.var", "SET my.var TO 1"), "z", "SET z TO 1");
    want = with(with(want, "b", "SET b TO 2"), "z", "SET z TO 2");
    struct sy_buf out = {0};
    sy_settings_diff(have, want, &out);
    sy_buf_append_u8(&out, 0);
    assert_string_equal(out.data, "RESET \"my\".\"var\";SET b TO 2;SET z TO 2");
    sy_buf_clear(&out);
    sy_settings_diff(want, want, &out);
    assert_int_equal(out.bytes, 0);
    sy_buf_release(&out);
    sy_settings_unref(&have);
    sy_settings_unref(&want);
    sy_settings_registry_release(&registry);
}

/* A role that outlives its owner's turn is another client's. */
static void the_difference_undoes_roles_first_and_sets_them_last(void **state)
{
    (void)state;
    struct sy_settings_registry registry = {0};
    struct sy_settings *have = sy_settings_empty(&registry, NULL),
                       *want = sy_settings_empty(&registry, NULL);
    have = with(with(have, "role", "SET ROLE a"), "y.z", "SET y.z TO 1");
    have = with(have, "default_transaction_read_only", "SET default_transaction_read_only = on");
    want = with(with(want, "session_authorization", "SET SESSION AUTHORIZATION b"), "role",
                "SET ROLE c");
    want = with(with(want, "z", "SET z TO 1"), "default_transaction_read_only",
                "SET default_transaction_read_only = on");
    struct sy_buf out = {0};
    sy_settings_diff(have, want, &out);
    sy_buf_append_u8(&out, 0);
    assert_string_equal(out.data, "RESET \"role\";RESET \"y\".\"z\";SET z TO 1;"
                                  "SET SESSION AUTHORIZATION b;SET ROLE c");
    sy_buf_release(&out);
    sy_settings_unref(&have);
    sy_settings_unref(&want);
    sy_settings_registry_release(&registry);
}

static void startup_values_become_statements(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *sql;
    } cases[] = {
        {"datestyle", "ISO, MDY", "SET datestyle TO 'ISO, MDY'"},
        {"search_path", "\"$user\", Public,\"A\"\"b\"",
         "SET search_path TO '$user', 'public', 'A\"b'"},
        {"application_name", "it's \\ x", "SET application_name TO E'it''s \\\\ x'"},
        {"search_path", "", "SET search_path TO ''"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_buf out = {0};
        sy_settings_startup_sql(sy_slice_of(cases[i].name), sy_slice_of(cases[i].value), &out);
        sy_buf_append_u8(&out, 0);
        assert_string_equal(out.data, cases[i].sql);
        sy_buf_release(&out);
    }
}

static void too_many_settings_are_refused(void **state)
{
    (void)state;
    struct sy_settings_registry registry = {0};
    struct sy_settings *set = sy_settings_empty(&registry, NULL);
    struct sy_err err = {0};
    for (int i = 0; i < SY_SETTINGS_MAX + 5; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%03d", i);
        struct sy_setting setting = {.name = sy_slice_of(name), .sql = SY_SLICE("SET x TO 1")};
        struct sy_settings *next = sy_settings_with(set, &setting, &err);
        if (next == NULL)
            break;
        sy_settings_unref(&set);
        set = next;
    }
    assert_int_equal(err.status, SY_E_RATE);
    sy_settings_unref(&set);
    sy_settings_registry_release(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_sets_are_one_object),
        cmocka_unit_test(the_difference_resets_and_sets),
        cmocka_unit_test(the_difference_undoes_roles_first_and_sets_them_last),
        cmocka_unit_test(startup_values_become_statements),
        cmocka_unit_test(too_many_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
