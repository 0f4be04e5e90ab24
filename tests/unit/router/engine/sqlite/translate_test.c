/* What the recorded statements cannot show: inferred parameters, catalog effects, errors of
 * constraints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/engine/sqlite/translate.h"

static const struct sy_sqcolumn columns[] = {
    {.name = "id", .type = SY_T_INT4, .typmod = -1, .attnum = 1, .not_null = true, .rowid = true},
    {.name = "name", .type = SY_T_VARCHAR, .typmod = 14, .attnum = 2},
    {.name = "price", .type = SY_T_NUMERIC, .typmod = -1, .attnum = 3},
    {.name = "at", .type = SY_T_TIMESTAMPTZ, .typmod = -1, .attnum = 4},
};
static const int16_t key[] = {0}, name_column[] = {1};
static const struct sy_sqconstraint constraints[] = {
    {.name = "items_pkey", .kind = 'p', .columns = key, .column_count = 1},
    {.name = "items_name_key", .kind = 'u', .columns = name_column, .column_count = 1},
    {.name = "price_positive", .kind = 'c', .expression = "price > 0"},
};
static const char *const id_key[] = {"id"}, *const name_key[] = {"name"};
static const uint8_t options[] = {0};
static const struct sy_sqindex indexes[] = {
    {.name = "items_pkey",
     .unique = true,
     .primary = true,
     .constraint = true,
     .keys = id_key,
     .key_columns = key,
     .key_options = options,
     .key_count = 1,
     .method = "btree"},
    {.name = "items_name_key",
     .unique = true,
     .constraint = true,
     .keys = name_key,
     .key_columns = name_column,
     .key_options = options,
     .key_count = 1,
     .method = "btree"},
};
static const struct sy_sqrelation items = {.oid = 16384,
                                           .schema = "public",
                                           .name = "items",
                                           .kind = 'r',
                                           .columns = columns,
                                           .column_count = 4,
                                           .constraints = constraints,
                                           .constraint_count = 3,
                                           .indexes = indexes,
                                           .index_count = 2};

static const struct sy_sqrelation *find(void *ctx, const char *schema, const char *name)
{
    (void)ctx;
    (void)schema;
    return strcmp(name, "items") == 0 ? &items : NULL;
}

static const struct sy_sqrelation *at(void *ctx, uint32_t index)
{
    (void)ctx;
    return index == 0 ? &items : NULL;
}

static const struct sy_sqschema schema = {NULL, find, NULL, NULL, at};

static enum sy_status translate(const char *sql, const uint32_t *types, uint32_t count,
                                struct sy_arena *arena, const struct sy_sqtranslation **t,
                                struct sy_err *err)
{
    static const struct sy_type_settings settings;
    struct sy_sqinput input = {.text = sy_slice_of(sql),
                               .schema = &schema,
                               .settings = &settings,
                               .parameter_types = types,
                               .parameter_count = count};
    return sy_sqtranslate_text(&input, arena, t, err);
}

static void infers_parameters_from_context(void **state)
{
    static const struct {
        const char *sql;
        uint32_t types[3];
    } cases[] = {
        {"SELECT * FROM items WHERE id = $1", {SY_T_INT4}},
        {"SELECT * FROM items WHERE name = $1", {SY_T_TEXT}},
        {"SELECT * FROM items WHERE price > $1 AND at < $2", {SY_T_NUMERIC, SY_T_TIMESTAMPTZ}},
        {"SELECT $1", {SY_T_TEXT}},
        {"SELECT $1 + 1, $2 || 'x'", {SY_T_INT4, SY_T_TEXT}},
        {"SELECT $1::int8, $2::date", {SY_T_INT8, SY_T_DATE}},
        {"SELECT * FROM items LIMIT $1 OFFSET $2", {SY_T_INT8, SY_T_INT8}},
        {"SELECT * FROM items WHERE id = ANY($1)", {SY_T_INT4_ARRAY}},
        {"SELECT * FROM items WHERE id IN ($1, $2)", {SY_T_INT4, SY_T_INT4}},
        {"INSERT INTO items VALUES ($1, $2, $3)", {SY_T_INT4, SY_T_VARCHAR, SY_T_NUMERIC}},
        {"UPDATE items SET name = $2 WHERE id = $1", {SY_T_INT4, SY_T_VARCHAR}},
        {"SELECT coalesce($1, 5), lower($2)", {SY_T_INT4, SY_T_TEXT}},
        {"SELECT CASE WHEN $1 THEN 1 END", {SY_T_BOOL}},
        {"SELECT id FROM items WHERE at > now() - $1::interval", {SY_T_INTERVAL}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_arena arena = {0};
        struct sy_err err = {0};
        const struct sy_sqtranslation *t = NULL;
        if (translate(cases[i].sql, NULL, 0, &arena, &t, &err) != SY_OK)
            fail_msg("%s: %s", cases[i].sql, err.text);
        for (uint32_t p = 0; p < t->parameter_count; p++)
            if (t->parameter_types[p] != cases[i].types[p])
                fail_msg("%s: $%u is %u", cases[i].sql, p + 1, t->parameter_types[p]);
        sy_arena_release(&arena);
    }
}

static void keeps_types_that_the_client_gives(void **state)
{
    const uint32_t types[] = {SY_T_INT8};
    struct sy_arena arena = {0};
    struct sy_err err = {0};
    const struct sy_sqtranslation *t = NULL;
    (void)state;
    assert_int_equal(translate("SELECT $1 + 1", types, 1, &arena, &t, &err), SY_OK);
    assert_int_equal(t->columns[0].type, SY_T_INT8);
    assert_int_equal(t->parameter_types[0], SY_T_INT8);
    assert_int_equal(translate("SELECT 1 WHERE $2 IS NULL", types, 1, &arena, &t, &err),
                     SY_E_SYNTAX);
    assert_string_equal(sy_err_sqlstate(&err), "42P18");
    sy_arena_release(&arena);
}

static void says_where_columns_come_from(void **state)
{
    struct sy_arena arena = {0};
    struct sy_err err = {0};
    const struct sy_sqtranslation *t = NULL;
    (void)state;
    assert_int_equal(translate("SELECT name, id + 1 FROM items", NULL, 0, &arena, &t, &err), SY_OK);
    assert_int_equal(t->columns[0].table_oid, 16384);
    assert_int_equal(t->columns[0].attnum, 2);
    assert_int_equal(t->columns[0].typmod, 14);
    assert_int_equal(t->columns[1].table_oid, 0);
    assert_false(t->writes);
    assert_int_equal(t->relation_count, 1);
    assert_int_equal(translate("DELETE FROM items", NULL, 0, &arena, &t, &err), SY_OK);
    assert_true(t->writes);
    sy_arena_release(&arena);
}

static void reports_positions_in_characters(void **state)
{
    static const struct {
        const char *sql, *sqlstate;
        int position;
    } cases[] = {
        {"SELECT 'é', nope FROM items", "42703", 13},
        {"SELECT * FROM nosuch", "42P01", 15},
        {"SELECT id + 'x' FROM items", "22P02", 13},
        {"SELECT lower(id, 1) FROM items", "42883", 8},
        {"SELEC 1", "42601", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_arena arena = {0};
        struct sy_err err = {0};
        const struct sy_sqtranslation *t = NULL;
        assert_int_not_equal(translate(cases[i].sql, NULL, 0, &arena, &t, &err), SY_OK);
        assert_string_equal(sy_err_sqlstate(&err), cases[i].sqlstate);
        assert_int_equal(err.position, cases[i].position);
        sy_arena_release(&arena);
    }
}

static void names_the_violated_constraint(void **state)
{
    static const struct {
        const char *message, *sqlstate, *text;
    } cases[] = {
        {"UNIQUE constraint failed: items.id", "23505",
         "duplicate key value violates unique constraint \"items_pkey\""},
        {"UNIQUE constraint failed: items.name", "23505",
         "duplicate key value violates unique constraint \"items_name_key\""},
        {"NOT NULL constraint failed: items.name", "23502",
         "null value in column \"name\" of relation \"items\" violates not-null constraint"},
        {"CHECK constraint failed: price_positive", "23514",
         "new row for relation \"items\" violates check constraint \"price_positive\""},
    };
    struct sy_err err;
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&err, 0, sizeof(err));
        assert_true(sy_sqconstraint_error(&schema, cases[i].message, &err));
        assert_string_equal(sy_err_sqlstate(&err), cases[i].sqlstate);
        assert_string_equal(err.text, cases[i].text);
    }
    assert_false(sy_sqconstraint_error(&schema, "disk I/O error", &err));
}

static void describes_what_ddl_changes(void **state)
{
    struct sy_arena arena = {0};
    struct sy_err err = {0};
    const struct sy_sqtranslation *t = NULL;
    (void)state;
    assert_int_equal(
        translate(
            "CREATE TABLE a (id bigserial PRIMARY KEY, x text UNIQUE, i int REFERENCES items)",
            NULL, 0, &arena, &t, &err),
        SY_OK);
    assert_int_equal(t->ddl_count, 2);
    assert_string_equal(t->ddl[0].relation->name, "a_id_seq");
    const struct sy_sqrelation *a = t->ddl[1].relation;
    assert_string_equal(a->columns[0].default_sql, "nextval('a_id_seq'::regclass)");
    assert_true(a->columns[0].rowid);
    assert_string_equal(a->constraints[0].name, "a_pkey");
    assert_string_equal(a->constraints[1].name, "a_x_key");
    assert_string_equal(a->constraints[2].name, "a_i_fkey");
    assert_string_equal(a->constraints[2].ref_columns[0], "id");
    sy_arena_release(&arena);
}

/* A row has no SQLite value whose order or equality is that of its columns. */
static void refuses_rows_where_they_would_be_compared_as_text(void **state)
{
    static const char *const refused[] = {
        "SELECT id FROM items ORDER BY (price, id)",
        "SELECT count(DISTINCT (id, price)) FROM items",
        "SELECT array_agg((id, name)) FROM items",
    };
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_sqtranslation *t = NULL;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct sy_err err = {0};
        assert_int_equal(translate(refused[i], NULL, 0, &arena, &t, &err), SY_E_UNSUPPORTED);
        assert_string_equal(sy_err_sqlstate(&err), "0A000");
    }
    struct sy_err err = {0};
    assert_int_equal(translate("SELECT count((id, price)) FROM items", NULL, 0, &arena, &t, &err),
                     SY_OK);
    sy_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infers_parameters_from_context),
        cmocka_unit_test(keeps_types_that_the_client_gives),
        cmocka_unit_test(says_where_columns_come_from),
        cmocka_unit_test(reports_positions_in_characters),
        cmocka_unit_test(names_the_violated_constraint),
        cmocka_unit_test(describes_what_ddl_changes),
        cmocka_unit_test(refuses_rows_where_they_would_be_compared_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
