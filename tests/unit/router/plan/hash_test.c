/*
 * Hashes and buckets against vectors that a PostgreSQL 15 server computed (hash_vectors.inc: type,
 * text, hash, bucket; each bucket was confirmed there by satisfies_hash_partition). With
 * SY_HASH_VECTORS=FILE the same check runs over a file of tab-separated vectors of any length.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/plan/key.h"

struct vector {
    const char *type, *text;
    int64_t hash;
    uint32_t bucket;
};

static const struct vector vectors[] = {
#include "tests/unit/router/plan/hash_vectors.inc"
};

static void check(const struct vector *vector)
{
    const struct sy_key_context utc = {.time_zone = SY_SLICE("UTC")};
    enum sy_key_type type = SY_KEY_INT2;
    struct sy_key key;
    struct sy_err err = {0};
    assert_true(sy_key_type_from_catalog(sy_slice_of(vector->type), &type));
    if (sy_key_from_text(type, sy_slice_of(vector->text), &utc, &key, &err) != SY_OK)
        fail_msg("%s '%s': %s", vector->type, vector->text, err.text);
    if ((int64_t)sy_key_hash(&key) != vector->hash || sy_key_bucket(&key) != vector->bucket)
        fail_msg("%s '%s': hash %lld, bucket %u; PostgreSQL says %lld, %u", vector->type,
                 vector->text, (long long)sy_key_hash(&key), sy_key_bucket(&key),
                 (long long)vector->hash, vector->bucket);
}

static void equals_the_servers_hash_and_partition(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        check(&vectors[i]);
}

static void equals_the_servers_on_a_file_of_vectors(void **state)
{
    (void)state;
    const char *path = getenv("SY_HASH_VECTORS");
    FILE *file = path == NULL ? NULL : fopen(path, "r");
    char line[4096];
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        char *fields[4];
        char *rest = line;
        for (int i = 0; i < 4; i++)
            fields[i] = strsep(&rest, "\t\n");
        check(&(struct vector){fields[0], fields[1], strtoll(fields[2], NULL, 10),
                               (uint32_t)strtoul(fields[3], NULL, 10)});
    }
    if (file != NULL)
        fclose(file);
}

static void hashes_integers_of_all_widths_alike(void **state)
{
    (void)state;
    struct sy_key small = {.type = SY_KEY_INT2, .integer = -77};
    struct sy_key large = {.type = SY_KEY_INT8, .integer = -77};
    assert_int_equal(sy_key_hash(&small), sy_key_hash(&large));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_servers_hash_and_partition),
        cmocka_unit_test(equals_the_servers_on_a_file_of_vectors),
        cmocka_unit_test(hashes_integers_of_all_widths_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
