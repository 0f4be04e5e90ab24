/* What the client is told about where its statements go: sizes and statistics of a sharded database
 * are added up or say whose they are, and EXPLAIN (ROUTE) takes any statement. */
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

struct notices {
    int count;
    char text[512], sqlstate[8];
};

static void note(void *opaque, const PGresult *result)
{
    struct notices *notices = opaque;
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    notices->count++;
    snprintf(notices->text, sizeof(notices->text), "%s", text == NULL ? "" : text);
    snprintf(notices->sqlstate, sizeof(notices->sqlstate), "%s", sqlstate == NULL ? "" : sqlstate);
}

static PGconn *connect_noting(struct notices *notices)
{
    PGconn *c = sy_router_connect(router, "shop", NULL);
    *notices = (struct notices){.count = 0};
    PQsetNoticeReceiver(c, note, notices);
    return c;
}

static long long sum_of_shards(const char *sql)
{
    return strtoll(sy_cluster_value(cluster, 0, "s0", sql), NULL, 10) +
           strtoll(sy_cluster_value(cluster, 0, "s1", sql), NULL, 10);
}

static void sizes_of_what_is_spread_are_added_up(void **state)
{
    (void)state;
    struct notices notices;
    PGconn *c = connect_noting(&notices);
    static const char *const sizes[] = {
        "pg_relation_size('customers')",    "pg_table_size('public.customers'::regclass)",
        "pg_indexes_size('customers')",     "pg_total_relation_size('customers')",
        "pg_total_relation_size('orders')",
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char sql[160], wanted[96];
        snprintf(sql, sizeof(sql), "select %s", sizes[i]);
        snprintf(wanted, sizeof(wanted), "%lld", sum_of_shards(sql));
        assert_string_equal(sy_ask_all(c, sql), wanted);
        PGresult *result = PQexecParams(c, sql, 0, NULL, NULL, NULL, NULL, 0);
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            fail_msg("%s", PQresultErrorMessage(result));
        assert_string_equal(PQgetvalue(result, 0, 0), wanted);
        assert_int_equal(PQftype(result, 0), 20);
        PQclear(result);
        snprintf(sql, sizeof(sql), "select pg_size_pretty(%s)", sizes[i]);
        char pretty[160];
        snprintf(pretty, sizeof(pretty), "select pg_size_pretty(%s::bigint)", wanted);
        result = PQexec(c, sql);
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            fail_msg("%s", PQresultErrorMessage(result));
        assert_string_equal(PQgetvalue(result, 0, 0), sy_cluster_value(cluster, 0, "s0", pretty));
        assert_string_equal(PQfname(result, 0), "pg_size_pretty");
        assert_int_equal(PQftype(result, 0), 25);
        PQclear(result);
    }
    assert_int_equal(notices.count, 0);
    PQfinish(c);
}

/* The shards' databases have other names, and their sizes may change while nobody looks. */
static void the_size_of_the_database_is_that_of_all_shards(void **state)
{
    (void)state;
    struct notices notices;
    PGconn *c = connect_noting(&notices);
    long long least =
        strtoll(sy_cluster_value(cluster, 0, "s0", "select pg_database_size('s0')"), NULL, 10);
    static const char *const forms[] = {"select pg_database_size(current_database())",
                                        "select pg_database_size('shop')",
                                        "select pg_database_size(current_catalog)"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
        assert_true(strtoll(sy_ask(c, forms[i]), NULL, 10) > least * 3 / 2);
    assert_string_equal(sy_run(c, "begin isolation level repeatable read"), "BEGIN");
    assert_true(strtoll(sy_ask(c, forms[0]), NULL, 10) > least * 3 / 2);
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    assert_int_equal(notices.count, 0);
    PQfinish(c);
}

static void the_shard_of_a_local_table_is_asked(void **state)
{
    (void)state;
    struct notices notices;
    PGconn *c = connect_noting(&notices);
    assert_string_equal(sy_ask(c, "select pg_table_size('audit')"),
                        sy_cluster_value(cluster, 0, "s0", "select pg_table_size('audit')"));
    assert_int_equal(notices.count, 0);
    PQfinish(c);
}

static const char *const told[] = {
    "select pg_table_size('tags')",
    "select pg_table_size('customers') + pg_table_size('orders')",
    "select relname, pg_size_pretty(pg_table_size(oid)) from pg_class where relname = 'customers'",
    "select reltuples from pg_class where relname = 'customers'",
    "select n_live_tup from pg_stat_user_tables where relname = 'customers'",
    "select count(*) from pg_stat_activity",
};

static void the_rest_says_which_shard_it_is_of(void **state)
{
    (void)state;
    struct notices notices;
    PGconn *c = connect_noting(&notices);
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        notices.count = 0;
        PQclear(PQexec(c, told[i]));
        if (notices.count != 1)
            fail_msg("%d notices for %s", notices.count, told[i]);
        assert_string_equal(notices.text, "the figures are those of shard \"s0\" alone");
        assert_string_equal(notices.sqlstate, "00000");
        PQclear(PQexecParams(c, told[i], 0, NULL, NULL, NULL, NULL, 0));
        assert_int_equal(notices.count, 2);
        char sql[256];
        snprintf(sql, sizeof(sql), "select 1; %s; select 2", told[i]);
        PQclear(PQexec(c, sql));
        assert_int_equal(notices.count, 3);
        snprintf(sql, sizeof(sql), "/* switchyard: shard=s1 */ %s", told[i]);
        PGresult *result = PQexec(c, sql);
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        PQclear(result);
        assert_int_equal(notices.count, 3);
    }
    notices.count = 0;
    assert_string_equal(sy_run(c, "prepare p as select count(*) from pg_stat_activity"), "PREPARE");
    assert_int_equal(notices.count, 0);
    (void)sy_ask(c, "execute p");
    assert_int_equal(notices.count, 1);
    PQfinish(c);
}

static void who_wants_no_notices_gets_none(void **state)
{
    (void)state;
    struct notices notices;
    PGconn *c = connect_noting(&notices);
    assert_string_equal(sy_run(c, "set client_min_messages = warning"), "SET");
    (void)sy_ask(c, "select count(*) from pg_stat_activity");
    assert_int_equal(notices.count, 0);
    PQfinish(c);
    c = sy_router_connect(router, "blog", NULL);
    PQsetNoticeReceiver(c, note, &notices);
    assert_string_not_equal(sy_ask(c, "select pg_table_size('t')"), "");
    (void)sy_ask(c, "select count(*) from pg_stat_activity");
    assert_int_equal(notices.count, 0);
    PQfinish(c);
}

/* The shards' databases are called s0 and s1. */
static void the_database_is_the_clients(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *answer, *column;
    } cases[] = {
        {"select current_database()", "shop", "current_database"},
        {"select pg_catalog.current_database()::text as x, 1", "shop|1", "x"},
        {"select current_catalog, current_user", "shop|postgres", "current_catalog"},
        {"select current_database()::varchar(2)", "sh", "current_database"},
        {"select upper(current_database() || 'x')", "SHOPX", "upper"},
        {"select (select current_catalog)", "shop", "current_catalog"},
        {"with x as (select current_database()) select * from x", "shop", "current_database"},
        {"select current_database() from (values (1)) v (n)", "shop", "current_database"},
        {"select count(*) from customers where current_database() <> 'shop'", "0", "count"},
    };
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            assert_string_equal(sy_ask_all(c, cases[i].sql), cases[i].answer);
            PGresult *result = PQexecParams(c, cases[i].sql, 0, NULL, NULL, NULL, NULL, 0);
            assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
            assert_string_equal(PQfname(result, 0), cases[i].column);
            assert_memory_equal(PQgetvalue(result, 0, 0), cases[i].answer,
                                strlen(PQgetvalue(result, 0, 0)));
            PQclear(result);
        }
    PQclear(PQprepare(c, "named", "select current_database(), $1::int", 0, NULL));
    const char *value = "7";
    PGresult *result = PQexecPrepared(c, "named", 1, &value, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(result, 0, 0), "shop");
    assert_string_equal(PQgetvalue(result, 0, 1), "7");
    PQclear(result);
    assert_string_equal(sy_run(c, "prepare p as select current_database()"), "PREPARE");
    assert_string_equal(sy_ask(c, "execute p"), "shop");
    assert_string_equal(
        sy_run(c, "update customers set name = name where current_database() = 'shop'"),
        sy_run(c, "update customers set name = name"));
    assert_string_equal(sy_ask(c, "select 1; select current_database()"), "shop");
    assert_string_equal(sy_ask(c, "select datname from pg_database where datname = "
                                  "current_database()"),
                        "s0");
    PQfinish(c);
    c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(c, "select current_database()"), "blog");
    PQfinish(c);
}

/* Both shards are databases of one server, which has one set of roles. */
static void roles_are_changed_once_per_server(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "create role told_role"), "CREATE ROLE");
    assert_string_equal(sy_run(c, "alter role told_role password 'x'"), "ALTER ROLE");
    assert_string_equal(sy_run(c, "grant select on customers to told_role"), "GRANT");
    for (int i = 0; i < 2; i++)
        assert_string_equal(
            sy_cluster_value(cluster, 0, i == 0 ? "s0" : "s1",
                             "select has_table_privilege('told_role', 'customers', 'select')"),
            "t");
    assert_string_equal(sy_run(c, "revoke select on customers from told_role"), "REVOKE");
    PQclear(PQexecParams(c, "drop role told_role", 0, NULL, NULL, NULL, NULL, 0));
    assert_string_equal(
        sy_cluster_value(cluster, 0, "s0",
                         "select count(*) from pg_roles where rolname = 'told_role'"),
        "0");
    PQfinish(c);
}

/* PostgreSQL's EXPLAIN takes none of these. */
static void any_statement_can_be_asked_for_its_route(void **state)
{
    (void)state;
    static const struct {
        const char *sql, *route;
    } cases[] = {
        {"create index on customers (name)", "Route: the same statement on s0, s1"},
        {"copy customers from stdin", "Route: each row to the shard of its key, among s0, s1"},
        {"set x.y = 'z'", "Route: the router itself answers or tracks it"},
        {"begin", "Route: the router itself answers or tracks it"},
        {"listen c", "Route: the router itself answers or tracks it"},
        {"vacuum audit", "Route: one shard, s0 (the primary)"},
        {"select pg_table_size('orders')", "Route: combine the rows of s0, s1 (the primary)"},
    };
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "explain (route) %s", cases[i].sql);
        assert_string_equal(sy_ask(c, sql), cases[i].route);
        PGresult *result = PQexecParams(c, sql, 0, NULL, NULL, NULL, NULL, 0);
        assert_string_equal(PQgetvalue(result, 0, 0), cases[i].route);
        PQclear(result);
    }
    assert_int_equal(PQtransactionStatus(c), PQTRANS_IDLE);
    assert_string_equal(sy_ask(c, "explain (route) begin; select 1"), "ERROR 42601");
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_of_what_is_spread_are_added_up),
        cmocka_unit_test(the_size_of_the_database_is_that_of_all_shards),
        cmocka_unit_test(the_shard_of_a_local_table_is_asked),
        cmocka_unit_test(the_rest_says_which_shard_it_is_of),
        cmocka_unit_test(the_database_is_the_clients),
        cmocka_unit_test(roles_are_changed_once_per_server),
        cmocka_unit_test(any_statement_can_be_asked_for_its_route),
        cmocka_unit_test(who_wants_no_notices_gets_none),
    };
    cluster = world_cluster();
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1",
                       "alter table customers set (autovacuum_enabled = off);"
                       "insert into customers select case current_database() when 's0' then 1 else "
                       "2 end + 20 * g, repeat('x', 500) from generate_series(1, 2000) g "
                       "where current_database() = 's0' or g < 500;"
                       "insert into audit values (1, 'x')");
    /* What VACUUM makes (free space maps) does not come about between two looks. */
    sy_cluster_sql(cluster, 0, "s0", "vacuum customers");
    sy_cluster_sql(cluster, 0, "s1", "vacuum customers");
    router = sy_router_start(world_databases(cluster, "size = 3;"), NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
