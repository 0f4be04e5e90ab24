/* The catalog's promises: migrations are atomic, checksummed and never guessed at; one process at a
 * time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog/internal.h"

static char folder[] = "/tmp/sy-catalog-XXXXXX";
static char path[64];
static struct sy_clock test_clock;

static int set_up(void **state)
{
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof(path), "%s/catalog.db", folder);
    sy_clock_init_virtual(&test_clock, 1, 1000000);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static struct sy_catalog *open_it(void)
{
    struct sy_catalog *catalog = NULL;
    struct sy_err err = {0};
    if (sy_catalog_open(path, &test_clock, &catalog, &err) != SY_OK)
        fail_msg("%s", err.text);
    return catalog;
}

static void keeps_its_name_and_counts_starts(void **state)
{
    (void)state;
    char name[SY_CLUSTER_ID_BYTES];
    int64_t first = 0, second = 0;
    struct sy_err err;
    struct sy_catalog *catalog = open_it();
    assert_int_equal(sy_catalog_version(catalog), sy_migration_count);
    assert_int_equal(strlen(sy_catalog_cluster_id(catalog)), 32);
    strcpy(name, sy_catalog_cluster_id(catalog));
    assert_int_equal(sy_catalog_begin_incarnation(catalog, "1", &first, &err), SY_OK);
    assert_int_equal(sy_catalog_end_incarnation(catalog, first, &err), SY_OK);
    sy_catalog_close(&catalog);
    catalog = open_it();
    assert_string_equal(sy_catalog_cluster_id(catalog), name);
    assert_int_equal(sy_catalog_begin_incarnation(catalog, "1", &second, &err), SY_OK);
    assert_true(second > first);
    sy_catalog_close(&catalog);
}

static void makes_its_folders(void **state)
{
    (void)state;
    snprintf(path, sizeof(path), "%s/a/b/catalog.db", folder);
    struct sy_catalog *catalog = open_it();
    sy_catalog_close(&catalog);
    assert_int_equal(access(path, R_OK), 0);
}

static void note_declaration(void *ctx, const struct sy_catalog_declaration *declaration)
{
    char *text = ctx;
    snprintf(text + strlen(text), 400 - strlen(text), "%s/%s/%s.%s: %s\n", declaration->database,
             declaration->kind, declaration->schema, declaration->name, declaration->statement);
}

static void keeps_declarations(void **state)
{
    (void)state;
    const struct sy_catalog_declaration table = {"blog", "table", "public", "posts",
                                                 "SHARD TABLE public.posts BY id IN k"},
                                        keyspace = {"blog", "keyspace", "", "k",
                                                    "CREATE KEYSPACE k HASH (int8)"};
    struct sy_err err;
    char text[400] = "";
    struct sy_catalog *catalog = open_it();
    assert_int_equal(sy_catalog_put_declaration(catalog, &table, &err), SY_OK);
    assert_int_equal(sy_catalog_put_declaration(catalog, &keyspace, &err), SY_OK);
    assert_int_equal(sy_catalog_put_declaration(catalog, &table, &err), SY_E_CATALOG);
    sy_catalog_close(&catalog);
    catalog = open_it();
    assert_int_equal(sy_catalog_each_declaration(catalog, note_declaration, text, &err), SY_OK);
    assert_string_equal(text, "blog/keyspace/.k: CREATE KEYSPACE k HASH (int8)\n"
                              "blog/table/public.posts: SHARD TABLE public.posts BY id IN k\n");
    text[0] = '\0';
    assert_int_equal(sy_catalog_remove_declaration(catalog, &table, &err), SY_OK);
    assert_int_equal(sy_catalog_each_declaration(catalog, note_declaration, text, &err), SY_OK);
    assert_string_equal(text, "blog/keyspace/.k: CREATE KEYSPACE k HASH (int8)\n");
    sy_catalog_close(&catalog);
}

/* A catalog that an earlier version made: the new table comes to what is there. */
static void brings_an_older_catalog_up_to_date(void **state)
{
    (void)state;
    struct sy_catalog *catalog = open_it();
    struct sy_err err;
    char name[SY_CLUSTER_ID_BYTES], text[400] = "";
    strcpy(name, sy_catalog_cluster_id(catalog));
    assert_int_equal(
        sy_catalog_exec(catalog,
                        "DROP TABLE declarations; CREATE TABLE events (number INTEGER); "
                        "DELETE FROM migrations WHERE number > 1",
                        "test", &err),
        SY_OK);
    sy_catalog_close(&catalog);
    catalog = open_it();
    assert_int_equal(sy_catalog_version(catalog), sy_migration_count);
    assert_string_equal(sy_catalog_cluster_id(catalog), name);
    assert_int_equal(sy_catalog_each_declaration(catalog, note_declaration, text, &err), SY_OK);
    assert_string_equal(text, "");
    sy_catalog_close(&catalog);
}

static void is_shared_by_the_process(void **state)
{
    (void)state;
    struct sy_catalog *one = NULL, *two = NULL;
    struct sy_err err;
    assert_int_equal(sy_catalog_share("/proc/nowhere/catalog.db", &one, &err), SY_E_CATALOG);
    assert_int_equal(sy_catalog_share(path, &one, &err), SY_OK);
    assert_int_equal(sy_catalog_share(path, &two, &err), SY_OK);
    assert_ptr_equal(one, two);
    sy_catalog_end_sharing();
    struct sy_catalog *catalog = open_it();
    sy_catalog_close(&catalog);
}

static void refuses_a_second_process(void **state)
{
    (void)state;
    struct sy_catalog *catalog = open_it();
    pid_t child = fork();
    if (child == 0) {
        struct sy_catalog *other = NULL;
        struct sy_err err;
        enum sy_status status = sy_catalog_open(path, &test_clock, &other, &err);
        _exit(status == SY_E_CATALOG && strstr(err.hint, "Another switchyard") != NULL ? 0 : 1);
    }
    int result = 0;
    waitpid(child, &result, 0);
    assert_int_equal(WEXITSTATUS(result), 0);
    sy_catalog_close(&catalog);
}

static void refuses_a_newer_catalog(void **state)
{
    (void)state;
    struct sy_catalog *catalog = open_it(), *again = NULL;
    struct sy_err err;
    assert_int_equal(
        sy_catalog_exec(catalog, "INSERT INTO migrations VALUES (9999, 'x', 'x', 0)", "test", &err),
        SY_OK);
    sy_catalog_close(&catalog);
    assert_int_equal(sy_catalog_open(path, &test_clock, &again, &err), SY_E_CATALOG);
    assert_non_null(strstr(err.text, "has version 9999"));
    assert_null(again);
}

static void refuses_an_edited_migration(void **state)
{
    (void)state;
    struct sy_catalog *catalog = open_it();
    struct sy_err err;
    struct sy_migration edited[20];
    assert_true(sy_migration_count <= 20);
    memcpy(edited, sy_migrations, sy_migration_count * sizeof(edited[0]));
    edited[0].sql = "CREATE TABLE other (a)";
    assert_int_equal(sy_catalog_migrate(catalog, edited, sy_migration_count, &err), SY_E_CATALOG);
    assert_non_null(strstr(err.hint, "released migration was edited"));
    sy_catalog_close(&catalog);
}

static void failing_migration_leaves_nothing(void **state)
{
    (void)state;
    struct sy_catalog *catalog = open_it();
    struct sy_err err;
    int64_t tables = -1;
    struct sy_migration steps[20];
    assert_true(sy_migration_count < 20);
    memcpy(steps, sy_migrations, sy_migration_count * sizeof(steps[0]));
    steps[sy_migration_count] = (struct sy_migration){
        sy_migration_count + 1, "9999_bad.sql", "CREATE TABLE half (a); CREATE TABLE cluster (b)"};
    assert_int_equal(sy_catalog_migrate(catalog, steps, sy_migration_count + 1, &err),
                     SY_E_CATALOG);
    assert_non_null(strstr(err.text, "9999_bad.sql"));
    assert_int_equal(sy_catalog_run(catalog, &tables, &err,
                                    "SELECT count(*) FROM sqlite_schema WHERE name = 'half'", ""),
                     SY_OK);
    assert_int_equal(tables, 0);
    assert_int_equal(sy_catalog_version(catalog), sy_migration_count);
    sy_catalog_close(&catalog);
}

static void refuses_a_file_that_is_no_catalog(void **state)
{
    (void)state;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 2000; i++)
        fputs("not a database ", file);
    fclose(file);
    struct sy_catalog *catalog = NULL;
    struct sy_err err;
    assert_int_equal(sy_catalog_open(path, &test_clock, &catalog, &err), SY_E_CATALOG);
    assert_non_null(strstr(err.hint, "damaged or not a catalog"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_its_name_and_counts_starts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_its_folders, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_declarations, set_up, tear_down),
        cmocka_unit_test_setup_teardown(brings_an_older_catalog_up_to_date, set_up, tear_down),
        cmocka_unit_test_setup_teardown(is_shared_by_the_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_second_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_newer_catalog, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_an_edited_migration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failing_migration_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_a_file_that_is_no_catalog, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
