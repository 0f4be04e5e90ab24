/* Whoever acts after DDL was acknowledged is planned with it, on whatever connection and worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

enum { OTHERS = 4 }; /* more than the router's workers */

static PGconn *maker, *others[OTHERS];

static int set_up(void **state)
{
    (void)state;
    maker = sy_router_connect(router, "shop", NULL);
    for (int i = 0; i < OTHERS; i++)
        others[i] = sy_router_connect(router, "shop", NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    PQfinish(maker);
    for (int i = 0; i < OTHERS; i++)
        PQfinish(others[i]);
    return 0;
}

/* An INSERT without a column list needs to know the columns: it fails while the table is not known.
 */
static void others_use_the_table(void)
{
    for (int i = 0; i < OTHERS; i++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "insert into customers values (%d, 'x', %d)", i + 1, i * 10);
        assert_string_equal(sy_run(others[i], sql), "INSERT 0 1");
        snprintf(sql, sizeof(sql), "select extra from customers where id = %d", i + 1);
        char wanted[16];
        snprintf(wanted, sizeof(wanted), "%d", i * 10);
        assert_string_equal(sy_ask(maker, sql), wanted);
    }
}

static void a_created_table_is_known_to_all(void **state)
{
    (void)state;
    assert_string_equal(sy_run(maker, "drop table customers"), "DROP TABLE");
    assert_string_equal(
        sy_run(maker, "create table customers(id bigint primary key, name text, extra int)"),
        "CREATE TABLE");
    others_use_the_table();
}

static void ddl_in_a_transaction_is_known_at_its_commit(void **state)
{
    (void)state;
    assert_string_equal(sy_run(maker, "begin"), "BEGIN");
    assert_string_equal(sy_run(maker, "drop table customers"), "DROP TABLE");
    assert_string_equal(
        sy_run(maker, "create table customers(name text, id bigint primary key, extra int)"),
        "CREATE TABLE");
    assert_string_equal(sy_run(maker, "commit"), "COMMIT");
    for (int i = 0; i < OTHERS; i++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "insert into customers values ('x', %d, 5)", i + 1);
        assert_string_equal(sy_run(others[i], sql), "INSERT 0 1");
        snprintf(sql, sizeof(sql), "select extra from customers where id = %d", i + 1);
        assert_string_equal(sy_ask(maker, sql), "5");
    }
}

static void ddl_of_the_extended_protocol_and_of_several_statements(void **state)
{
    (void)state;
    PGresult *result = PQexecParams(maker, "drop table customers", 0, NULL, NULL, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    assert_string_equal(sy_run(maker, "create table customers(id bigint, name text);"
                                      "alter table customers add extra int;"
                                      "alter table customers add primary key (id)"),
                        "ALTER TABLE");
    others_use_the_table();
}

static void ddl_that_fails_on_one_shard_is_undone_on_all(void **state)
{
    (void)state;
    sy_cluster_sql(cluster, 0, "s1", "create table tags_extra_name(i int)");
    sy_run(maker, "begin");
    assert_string_equal(sy_run(maker, "alter table tags add column n int"), "ALTER TABLE");
    assert_string_equal(sy_run(maker, "alter table tags rename to tags_extra_name"), "ERROR 42P07");
    assert_string_equal(sy_run(maker, "commit"), "ROLLBACK");
    assert_string_equal(sy_run(maker, "alter table tags rename to tags_extra_name"), "ERROR 42P07");
    for (int i = 0; i < 2; i++)
        assert_string_equal(sy_cluster_value(cluster, 0, i == 0 ? "s0" : "s1",
                                             "select count(*) from pg_attribute where attrelid = "
                                             "'tags'::regclass and attname = 'n'"),
                            "0");
}

static void a_schema_nobody_uses_costs_no_wait_for_others(void **state)
{
    (void)state;
    for (int i = 0; i < OTHERS; i++)
        assert_string_equal(sy_ask(others[i], "select 1"), "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_created_table_is_known_to_all),
        cmocka_unit_test(ddl_in_a_transaction_is_known_at_its_commit),
        cmocka_unit_test(ddl_of_the_extended_protocol_and_of_several_statements),
        cmocka_unit_test(ddl_that_fails_on_one_shard_is_undone_on_all),
        cmocka_unit_test(a_schema_nobody_uses_costs_no_wait_for_others),
    };
    cluster = world_cluster();
    router = sy_router_start(world_databases(cluster, "size = 4;"), NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
