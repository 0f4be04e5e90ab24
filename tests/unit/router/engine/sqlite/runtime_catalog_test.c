/* The catalog of a shard: relations survive being stored, OIDs stay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/catalog.h"

static const struct sy_sqcolumn columns[] = {
    {.name = "id",
     .type = SY_T_INT8,
     .typmod = -1,
     .attnum = 1,
     .not_null = true,
     .rowid = true,
     .identity = 'a'},
    {.name = "Odd \"name\"",
     .type = SY_T_NUMERIC,
     .typmod = 524294,
     .attnum = 3,
     .default_sql = "1.5",
     .comment = "what it is"},
};
static const int16_t first_column[] = {0}, second_column[] = {1};
static const char *const ref_columns[] = {"x"};
static const struct sy_sqconstraint constraints[] = {
    {.name = "t_pkey", .kind = 'p', .columns = first_column, .column_count = 1},
    {.name = "t_fkey",
     .kind = 'f',
     .columns = second_column,
     .column_count = 1,
     .ref_table = "u",
     .ref_columns = ref_columns,
     .on_update = 'a',
     .on_delete = 'c',
     .deferrable = true},
    {.name = "t_check",
     .kind = 'c',
     .columns = second_column,
     .column_count = 1,
     .expression = "a > 'it''s'"},
};
static const char *const keys[] = {"id"};
static const uint8_t key_options[] = {3};
static const struct sy_sqindex indexes[] = {
    {.name = "t_pkey",
     .unique = true,
     .primary = true,
     .constraint = true,
     .keys = keys,
     .key_columns = first_column,
     .key_options = key_options,
     .key_count = 1,
     .predicate = "id > 0",
     .method = "btree"},
};
static const struct sy_sqsequence sequence = {
    .type = SY_T_INT8,
    .start = 1,
    .increment = 1,
    .minimum = 1,
    .maximum = INT64_MAX,
    .cache = 1,
    .owner_table = "t",
    .owner_column = "id",
    .identity = true,
};

static struct sy_sqrelation table_named(const char *name)
{
    return (struct sy_sqrelation){.schema = "public",
                                  .name = name,
                                  .kind = 'r',
                                  .columns = columns,
                                  .column_count = 2,
                                  .constraints = constraints,
                                  .constraint_count = 3,
                                  .indexes = indexes,
                                  .index_count = 1,
                                  .comment = "a table"};
}

static void a_relation_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct sy_sqrelation from = table_named("t"), to = {0};
    struct sy_arena arena = {0};
    struct sy_err err = {0};
    char *json = NULL;
    from.oid = 16400;
    from.sequence = &sequence;
    assert_int_equal(sy_sqlite_relation_write(&from, &json, &err), SY_OK);
    assert_int_equal(sy_sqlite_relation_read(json, &arena, &to, &err), SY_OK);
    assert_int_equal(to.oid, 16400);
    assert_string_equal(to.columns[1].name, "Odd \"name\"");
    assert_int_equal(to.columns[1].typmod, 524294);
    assert_int_equal(to.columns[1].attnum, 3);
    assert_int_equal(to.columns[0].identity, 'a');
    assert_true(to.columns[0].rowid && to.columns[0].not_null && !to.columns[1].not_null);
    assert_string_equal(to.columns[1].comment, "what it is");
    assert_null(to.columns[0].default_sql);
    assert_int_equal(to.constraint_count, 3);
    assert_int_equal(to.constraints[1].on_delete, 'c');
    assert_string_equal(to.constraints[1].ref_columns[0], "x");
    assert_true(to.constraints[1].deferrable && !to.constraints[1].deferred);
    assert_string_equal(to.constraints[2].expression, "a > 'it''s'");
    assert_int_equal(to.indexes[0].key_options[0], 3);
    assert_string_equal(to.indexes[0].predicate, "id > 0");
    assert_true(to.sequence->maximum == INT64_MAX);
    free(json);
    sy_arena_release(&arena);
}

static void damaged_text_is_an_error(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "{", "[]", "{\"oid\":1}", "null", "{\"name\":1,\"schema\":2}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sy_arena arena = {0};
        struct sy_sqrelation relation;
        struct sy_err err = {0};
        assert_int_not_equal(sy_sqlite_relation_read(texts[i], &arena, &relation, &err), SY_OK);
        sy_arena_release(&arena);
    }
}

static struct sy_sqlite_catalog *change(struct sy_sqlite_conn *conn, const struct sy_sqddl *ddl)
{
    struct sy_sqlite_catalog *catalog = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_sqlite_catalog_apply(conn, ddl, 1, &err), SY_OK);
    assert_int_equal(sy_sqlite_catalog_load(conn, &catalog, &err), SY_OK);
    return catalog;
}

static void oids_stay_when_a_relation_is_replaced(void **state)
{
    (void)state;
    struct sy_sqlite_conn *conn = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_sqlite_conn_open(":memory:", true, &conn, &err), SY_OK);
    assert_int_equal(sy_sqlite_catalog_create(conn, &err), SY_OK);
    struct sy_sqrelation first = table_named("t"), renamed = table_named("t2");
    struct sy_sqlite_catalog *catalog =
        change(conn, &(struct sy_sqddl){.kind = SY_SQDDL_CREATE, .relation = &first});
    const struct sy_sqrelation *found = sy_sqlite_catalog_find(catalog, NULL, "t");
    assert_non_null(found);
    assert_ptr_equal(sy_sqlite_catalog_by_oid(catalog, found->oid), found);
    assert_int_equal(catalog->object_count, 4);
    assert_ptr_equal(catalog->schema.index_owner(catalog->schema.ctx, NULL, "t_pkey"), found);
    uint32_t oid = found->oid, index_oid = catalog->objects[0].oid;
    sy_sqlite_catalog_unref(&catalog);

    catalog = change(
        conn, &(struct sy_sqddl){.kind = SY_SQDDL_REPLACE, .name = "t", .relation = &renamed});
    assert_null(sy_sqlite_catalog_find(catalog, NULL, "t"));
    assert_int_equal(sy_sqlite_catalog_find(catalog, "public", "t2")->oid, oid);
    assert_int_equal(catalog->objects[0].oid, index_oid);
    sy_sqlite_catalog_unref(&catalog);

    catalog = change(conn, &(struct sy_sqddl){.kind = SY_SQDDL_DROP, .name = "t2"});
    assert_null(sy_sqlite_catalog_by_oid(catalog, oid));
    assert_int_equal(catalog->object_count, 0);
    assert_non_null(sy_sqlite_catalog_find(catalog, NULL, "pg_class"));
    assert_int_equal(sy_sqlite_catalog_find(catalog, "information_schema", "tables")->read_only,
                     true);
    sy_sqlite_catalog_unref(&catalog);
    sy_sqlite_conn_close(&conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_relation_is_read_as_it_was_written),
        cmocka_unit_test(damaged_text_is_an_error),
        cmocka_unit_test(oids_stay_when_a_relation_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
