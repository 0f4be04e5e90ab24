/* The schema builder and its lookups. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "router/plan/schema.h"

static uint32_t add(struct sy_schema_builder *builder, const char *name, enum sy_relation_kind kind)
{
    return sy_schema_builder_add_relation(
        builder, &(struct sy_schema_relation){
                     .schema = SY_SLICE("public"), .name = sy_slice_of(name), .kind = kind});
}

static void finds_relations_and_columns_by_exact_name(void **state)
{
    (void)state;
    struct sy_schema_builder *builder = sy_schema_builder_new();
    char name[16];
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        uint32_t at = add(builder, name, SY_RELATION_TABLE);
        for (int c = 0; c <= i % 20; c++) {
            snprintf(name, sizeof(name), "c%d", c);
            sy_schema_builder_add_column(
                builder, at,
                &(struct sy_schema_column){.name = sy_slice_of(name), .type = SY_SLICE("int8")});
        }
    }
    sy_schema_builder_add_namespace(builder, SY_SLICE("public"));
    const struct sy_schema *schema = NULL;
    assert_int_equal(sy_schema_builder_finish(&builder, &schema, NULL), SY_OK);
    assert_null(builder);
    const struct sy_schema_relation *t =
        sy_schema_find(schema, SY_SLICE("public"), SY_SLICE("t219"));
    assert_non_null(t);
    assert_int_equal(t->column_count, 20);
    assert_non_null(sy_schema_column(t, SY_SLICE("c19")));
    assert_null(sy_schema_column(t, SY_SLICE("c20")));
    assert_null(sy_schema_find(schema, SY_SLICE("other"), SY_SLICE("t219")));
    assert_null(sy_schema_find(schema, SY_SLICE("public"), SY_SLICE("t300")));
    assert_true(sy_schema_has_namespace(schema, SY_SLICE("public")));
    assert_false(sy_schema_has_namespace(schema, SY_SLICE("app")));
    const struct sy_schema *again = sy_schema_ref(schema);
    sy_schema_unref(&schema);
    assert_null(schema);
    assert_int_equal(sy_schema_relation_count(again), 300);
    sy_schema_unref(&again);
}

static void closes_view_dependencies_transitively(void **state)
{
    (void)state;
    struct sy_schema_builder *builder = sy_schema_builder_new();
    uint32_t outer = add(builder, "outer_view", SY_RELATION_VIEW);
    uint32_t inner = add(builder, "inner_view", SY_RELATION_VIEW);
    uint32_t base = add(builder, "base", SY_RELATION_TABLE);
    sy_schema_builder_add_dependency(builder, outer, inner);
    sy_schema_builder_add_dependency(builder, inner, base);
    sy_schema_builder_add_dependency(builder, inner, outer); /* a loop must end */
    const struct sy_schema *schema = NULL;
    assert_int_equal(sy_schema_builder_finish(&builder, &schema, NULL), SY_OK);
    const struct sy_schema_relation *view = sy_schema_relation(schema, outer);
    assert_int_equal(view->depend_count, 2);
    assert_int_equal(view->depends[0], inner);
    assert_int_equal(view->depends[1], base);
    sy_schema_unref(&schema);
}

static void answers_with_the_most_volatile_overload(void **state)
{
    (void)state;
    struct sy_schema_builder *builder = sy_schema_builder_new();
    sy_schema_builder_add_function(builder, SY_SLICE("pg_catalog"), SY_SLICE("f"), SY_IMMUTABLE);
    sy_schema_builder_add_function(builder, SY_SLICE("pg_catalog"), SY_SLICE("f"), SY_STABLE);
    sy_schema_builder_add_function(builder, SY_SLICE("app"), SY_SLICE("f"), SY_VOLATILE);
    const struct sy_schema *schema = NULL;
    assert_int_equal(sy_schema_builder_finish(&builder, &schema, NULL), SY_OK);
    struct sy_slice any = {NULL, 0};
    assert_int_equal(sy_schema_volatility(schema, any, SY_SLICE("f")), SY_VOLATILE);
    assert_int_equal(sy_schema_volatility(schema, SY_SLICE("pg_catalog"), SY_SLICE("f")),
                     SY_STABLE);
    assert_int_equal(sy_schema_volatility(schema, any, SY_SLICE("g")), SY_VOLATILE_UNKNOWN);
    assert_int_equal(sy_schema_volatility(NULL, any, SY_SLICE("f")), SY_VOLATILE_UNKNOWN);
    sy_schema_unref(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_relations_and_columns_by_exact_name),
        cmocka_unit_test(closes_view_dependencies_transitively),
        cmocka_unit_test(answers_with_the_most_volatile_overload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
