/* A temporary table or a search path that shadows the name of a sharded table behaves as on one
 * server. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static void a_temporary_table_shadows_a_sharded_one(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL),
           *other = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "insert into customers values (1, 'one')"), "INSERT 0 1");
    assert_string_equal(sy_run(c, "insert into customers values (2, 'two')"), "INSERT 0 1");
    assert_string_equal(sy_run(c, "create temp table customers (id bigint, note text)"),
                        "CREATE TABLE");
    for (int id = 1; id <= 2; id++) { /* both stay in the one temporary table */
        char sql[96];
        snprintf(sql, sizeof(sql), "insert into customers values (%d, 'mine')", id);
        assert_string_equal(sy_run(c, sql), "INSERT 0 1");
    }
    assert_string_equal(sy_ask(c, "select count(*) from customers"), "2");
    assert_string_equal(sy_ask(other, "select name from customers where id = 2"), "two");
    assert_string_equal(sy_ask(c, "select name from public.customers where id = 1"), "one");
    assert_string_equal(sy_ask(c, "select name from public.customers where id = 2"), "two");
    assert_string_equal(sy_run(c, "drop table customers"), "DROP TABLE");
    assert_string_equal(sy_ask(c, "select name from customers where id = 2"), "two");
    PQfinish(c);
    PQfinish(other);
}

static void a_transaction_that_goes_back_takes_the_table_with_it(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    static const char *const ends[] = {"rollback", "commit"};
    for (int i = 0; i < 2; i++) {
        sy_run(c, "begin");
        assert_string_equal(
            sy_run(c, i == 0 ? "create temp table customers (id bigint, name text)"
                             : "create temp table customers (id bigint, name text) on commit drop"),
            "CREATE TABLE");
        assert_string_equal(sy_ask(c, "select count(*) from customers"), "0");
        sy_run(c, ends[i]);
        assert_string_equal(sy_ask(c, "select name from customers where id = 1"), "one");
        assert_string_equal(sy_ask(c, "select name from customers where id = 2"), "two");
    }
    sy_run(c, "create temp table customers (id bigint, name text)");
    sy_run(c, "begin");
    sy_run(c, "drop table customers");
    assert_string_equal(sy_ask(c, "select name from customers where id = 2"), "ERROR 0A000");
    sy_run(c, "rollback");
    assert_string_equal(sy_run(c, "discard temp"), "DISCARD TEMP");
    assert_string_equal(sy_ask(c, "select name from customers where id = 2"), "two");
    PQfinish(c);
}

static void a_temporary_table_meets_rows_of_its_own_shard_only(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_run(c, "create temp table picked (id bigint)");
    sy_run(c, "insert into picked values (1), (2)");
    int answers = 0, refusals = 0;
    for (int id = 1; id <= 2; id++) {
        char sql[128];
        snprintf(sql, sizeof(sql),
                 "select count(*) from customers join picked using (id) where customers.id = %d",
                 id);
        const char *answer = sy_ask(c, sql);
        answers += strcmp(answer, "1") == 0;
        refusals += strcmp(answer, "ERROR 0A000") == 0;
    }
    assert_int_equal(answers, 1);
    assert_int_equal(refusals, 1);
    PQfinish(c);
}

static void a_search_path_chooses_the_table(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL),
           *other = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "set search_path to archive, public"), "SET");
    assert_string_equal(sy_run(c, "insert into audit values (2, 'archived')"), "INSERT 0 1");
    assert_string_equal(sy_ask(c, "select what from audit where id = 2"), "archived");
    assert_string_equal(sy_ask(other, "select count(*) from audit where id = 2"), "0");
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_run(c, "set search_path to public"), "SET");
    assert_string_equal(sy_ask(c, "select count(*) from audit where id = 2"), "0");
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    assert_string_equal(sy_ask(c, "select count(*) from audit where id = 2"), "1");
    assert_string_equal(sy_ask(c, "select set_config('search_path', 'public', false)"), "public");
    assert_string_equal(sy_ask(c, "select count(*) from audit where id = 2"), "0");
    PQfinish(c);
    PQfinish(other);
}

/* "$user" is who the session is now: archive.audit is a table of s1, public.audit one of s0. */
static void a_role_brings_its_schema(void **state)
{
    (void)state;
    static const char *const archived[] = {
        "set role archive",
        "set role 'archive'",
        "set role U&'\\0061rchive'",
        "set role to \"archive\"",
        "set session authorization archive",
        "select set_config('role', 'archive', false)",
        "begin; set local role archive",
        "begin; set local session authorization archive",
        "begin; select set_config('role', 'archive', true)",
        "begin; set role archive; savepoint s; set local role none; rollback to s",
        "begin; set local role postgres; set local session authorization archive",
        "begin; set local role postgres; set session authorization archive",
        "set search_path = public; set role archive; set search_path = '$user', public",
    };
    static const char *const published[] = {
        "set role archive; reset role",
        "set role archive; set role none",
        "set role archive; set search_path = public",
        "set session authorization archive; set session authorization default",
        "set role archive; set session authorization postgres",
        "begin; set local role archive; commit",
        "begin; set role archive; rollback",
        "begin; set local role archive; set role none",
        "begin; set local role archive; set local session authorization postgres",
        "set role archive; discard all",
        "set role archive; begin; set local role none",
    };
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "insert into public.audit values (9, 'published')"),
                        "INSERT 0 1");
    assert_string_equal(sy_run(c, "insert into archive.audit values (9, 'archived')"),
                        "INSERT 0 1");
    for (int i = 0; i < 2; i++) {
        const char *const *texts = i == 0 ? archived : published;
        size_t count =
            i == 0 ? sizeof(archived) / sizeof(*texts) : sizeof(published) / sizeof(*texts);
        for (size_t j = 0; j < count; j++) {
            PGconn *other = sy_router_connect(router, "shop", NULL);
            PQclear(PQexec(other, texts[j]));
            print_message("%s\n", texts[j]);
            assert_string_equal(sy_ask(other, "select what from audit where id = 9"),
                                i == 0 ? "archived" : "published");
            PQfinish(other);
        }
    }
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_temporary_table_shadows_a_sharded_one),
        cmocka_unit_test(a_transaction_that_goes_back_takes_the_table_with_it),
        cmocka_unit_test(a_temporary_table_meets_rows_of_its_own_shard_only),
        cmocka_unit_test(a_search_path_chooses_the_table),
        cmocka_unit_test(a_role_brings_its_schema),
    };
    cluster = world_cluster();
    sy_cluster_sql(cluster, 0, "postgres", "create role archive");
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1",
                       "create schema archive; create table archive.audit(id int, what text);"
                       "grant usage on schema archive to archive;"
                       "grant all on archive.audit, public.audit to archive");
    char databases[4096], more[4096];
    snprintf(databases, sizeof(databases), "%s", world_databases(cluster, "size = 3;"));
    char *at = strstr(databases, "{ name = \"audit\"");
    snprintf(more, sizeof(more), "%.*s{ name = \"archive.audit\"; shard = \"s1\"; }, %s",
             (int)(at - databases), databases, at);
    router = sy_router_start(more, NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
