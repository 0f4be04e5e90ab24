/*
 * Keys from text against what a PostgreSQL 15 server read (key_vectors.inc: type, time zone, text,
 * "ok VALUE" or "error SQLSTATE"). A key that the router reads must be the server's; what the
 * server refuses must not be read; the router may be unsure. With SY_KEY_VECTORS=FILE the same
 * check runs over a tab-separated file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/plan/key.h"

struct vector {
    const char *type, *zone, *text, *result;
};

static const struct vector vectors[] = {
#include "tests/unit/router/plan/key_vectors.inc"
};

static void print_key(const struct sy_key *key, char *out, size_t bytes)
{
    if (key->type == SY_KEY_UUID) {
        for (unsigned i = 0; i < 16; i++)
            snprintf(out + 2 * i, bytes - 2 * i, "%02x", key->uuid[i]);
        return;
    }
    bool date = key->type == SY_KEY_DATE;
    if (sy_key_is_time(key->type) && key->integer == (date ? INT32_MAX : INT64_MAX))
        snprintf(out, bytes, "infinity");
    else if (sy_key_is_time(key->type) && key->integer == (date ? INT32_MIN : INT64_MIN))
        snprintf(out, bytes, "-infinity");
    else
        snprintf(out, bytes, "%" PRId64, key->integer);
}

/* 1: read, and as the server does; 0: not read. */
static unsigned check(const struct vector *vector)
{
    const struct sy_key_context context = {.time_zone = sy_slice_of(vector->zone)};
    enum sy_key_type type = SY_KEY_INT2;
    struct sy_key key;
    struct sy_err err = {0};
    char got[64] = "ok ";
    assert_true(sy_key_type_from_catalog(sy_slice_of(vector->type), &type));
    enum sy_status status = sy_key_from_text(type, sy_slice_of(vector->text), &context, &key, &err);
    if (status == SY_E_UNSUPPORTED)
        return 0;
    if (status == SY_OK)
        print_key(&key, got + 3, sizeof(got) - 3);
    else
        snprintf(got, sizeof(got), "error %s", sy_err_sqlstate(&err));
    if (strcmp(got, vector->result) != 0)
        fail_msg("%s '%s' in %s: %s; PostgreSQL says %s", vector->type, vector->text, vector->zone,
                 got, vector->result);
    return status == SY_OK;
}

static void reads_as_the_server_reads_or_is_unsure(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check(&vectors[i]);
}

static void reads_a_file_of_vectors(void **state)
{
    (void)state;
    const char *path = getenv("SY_KEY_VECTORS");
    FILE *file = path == NULL ? NULL : fopen(path, "r");
    char line[4096];
    unsigned total = 0, known = 0;
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *fields[4];
        char *rest = line;
        for (int i = 0; i < 4; i++)
            fields[i] = strsep(&rest, "\t\n");
        if (strchr(fields[2], '\\') != NULL)
            continue;
        known += check(&(struct vector){fields[0], fields[1], fields[2], fields[3]});
        total++;
    }
    if (file != NULL) {
        fclose(file);
        printf("%u vectors, %u read\n", total, known);
    }
}

static void must_read(const char *type_name, const char *text, int64_t expected)
{
    const struct sy_key_context utc = {.time_zone = SY_SLICE("UTC")};
    enum sy_key_type type = SY_KEY_INT2;
    struct sy_key key;
    assert_true(sy_key_type_from_catalog(sy_slice_of(type_name), &type));
    assert_int_equal(sy_key_from_text(type, sy_slice_of(text), &utc, &key, NULL), SY_OK);
    assert_true(key.integer == expected);
}

static void is_sure_of_the_forms_that_drivers_send(void **state)
{
    (void)state;
    must_read("int8", " -42\n", -42);
    must_read("date", "2000-01-02", 1);
    must_read("timestamp", "2000-01-01T00:00:01.5", 1500000);
    must_read("timestamptz", "2000-01-01 02:00:00+02", 0);
    must_read("timestamptz", "2000-01-01 00:00:00.000001Z", 1);
    must_read("timestamptz", "1999-12-31 18:30:00-0530", 0);
    must_read("timestamptz", "2000-01-01 00:00:00", 0);
}

static void refuses_local_times_that_a_change_of_clocks_repeats_or_leaves_out(void **state)
{
    (void)state;
    const struct sy_key_context berlin = {.time_zone = SY_SLICE("Europe/Berlin")};
    static const struct {
        const char *text;
        enum sy_status status;
    } rows[] = {
        {"2024-03-31 01:59:59", SY_OK},
        {"2024-03-31 02:30:00", SY_E_UNSUPPORTED},
        {"2024-03-31 03:00:00", SY_OK},
        {"2024-10-27 01:59:59", SY_OK},
        {"2024-10-27 02:30:00", SY_E_UNSUPPORTED},
        {"2024-10-27 03:00:00", SY_OK},
        {"2024-10-27 02:30:00+02", SY_OK},
        {"2040-01-01 00:00:00", SY_E_UNSUPPORTED},
        {"1900-01-01 00:00:00", SY_E_UNSUPPORTED},
    };
    struct sy_key key;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(
            sy_key_from_text(SY_KEY_TIMESTAMPTZ, sy_slice_of(rows[i].text), &berlin, &key, NULL),
            rows[i].status);
}

static void binary(enum sy_key_type type, uint32_t oid, const char *bytes, size_t count,
                   enum sy_status status, int64_t expected)
{
    struct sy_key key = {0};
    assert_int_equal(sy_key_from_binary(type, oid, (struct sy_slice){bytes, count}, &key, NULL),
                     status);
    if (status == SY_OK)
        assert_true(key.integer == expected);
}

static void reads_binary_of_the_same_family(void **state)
{
    (void)state;
    binary(SY_KEY_INT8, SY_OID_INT8, "\377\377\377\377\377\377\377\376", 8, SY_OK, -2);
    binary(SY_KEY_INT8, SY_OID_INT4, "\377\377\377\376", 4, SY_OK, -2);
    binary(SY_KEY_INT8, SY_OID_INT2, "\377\376", 2, SY_OK, -2);
    binary(SY_KEY_INT8, 0, "\377\376", 2, SY_OK, -2);
    binary(SY_KEY_INT8, SY_OID_INT8, "\377\376", 2, SY_E_TEXT, 0);
    binary(SY_KEY_INT8, SY_OID_TEXT, "6", 1, SY_E_UNSUPPORTED, 0);
    binary(SY_KEY_INT8, 701, "\0\0\0\0\0\0\0\0", 8, SY_E_UNSUPPORTED, 0);
    binary(SY_KEY_DATE, SY_OID_DATE, "\0\0\0\1", 4, SY_OK, 1);
    binary(SY_KEY_DATE, SY_OID_TIMESTAMP, "\0\0\0\0\0\0\0\0", 8, SY_E_UNSUPPORTED, 0);
    binary(SY_KEY_TIMESTAMPTZ, SY_OID_TIMESTAMPTZ, "\0\0\0\0\0\0\0\7", 8, SY_OK, 7);
    binary(SY_KEY_TIMESTAMPTZ, SY_OID_TIMESTAMP, "\0\0\0\0\0\0\0\7", 8, SY_E_UNSUPPORTED, 0);
    binary(SY_KEY_UUID, SY_OID_UUID, "0123456789abcde", 15, SY_E_TEXT, 0);
    struct sy_key key;
    assert_int_equal(sy_key_from_binary(SY_KEY_TEXT, SY_OID_VARCHAR, SY_SLICE("x "), &key, NULL),
                     SY_OK);
    assert_true(sy_slice_eq(key.text, SY_SLICE("x ")));
    assert_int_equal(sy_key_from_binary(SY_KEY_TEXT, SY_OID_NAME, SY_SLICE("x"), &key, NULL),
                     SY_E_UNSUPPORTED);
}

static void text_keys_outside_ascii_need_the_servers_encoding(void **state)
{
    (void)state;
    const struct sy_key_context same = {0}, differs = {.server_encoding_differs = true};
    struct sy_key key;
    assert_int_equal(sy_key_from_text(SY_KEY_TEXT, SY_SLICE("\303\274"), &same, &key, NULL), SY_OK);
    assert_int_equal(sy_key_from_text(SY_KEY_TEXT, SY_SLICE("\303\274"), &differs, &key, NULL),
                     SY_E_UNSUPPORTED);
    assert_int_equal(sy_key_from_text(SY_KEY_TEXT, SY_SLICE("u"), &differs, &key, NULL), SY_OK);
    assert_int_equal(sy_key_from_text(SY_KEY_TEXT, SY_SLICE("a\0b"), &same, &key, NULL),
                     SY_E_UNSUPPORTED);
    assert_int_equal(sy_key_from_text(SY_KEY_BPCHAR, SY_SLICE("a  "), &same, &key, NULL), SY_OK);
    assert_int_equal(key.text.bytes, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_as_the_server_reads_or_is_unsure),
        cmocka_unit_test(reads_a_file_of_vectors),
        cmocka_unit_test(is_sure_of_the_forms_that_drivers_send),
        cmocka_unit_test(refuses_local_times_that_a_change_of_clocks_repeats_or_leaves_out),
        cmocka_unit_test(reads_binary_of_the_same_family),
        cmocka_unit_test(text_keys_outside_ascii_need_the_servers_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
