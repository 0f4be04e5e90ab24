/* Settings, prepared statements, transactions and COPY through transaction pooling, over one server
 * connection that several clients share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/expect.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static void settings_belong_to_their_client(void **state)
{
    (void)state;
    PGconn *a = sy_router_connect(router, "blog", "application_name=a options='-c work_mem=5MB'");
    PGconn *b = sy_router_connect(router, "blog", "application_name=b");
    assert_string_equal(sy_ask(a, "show work_mem"), "5MB");
    assert_string_equal(sy_ask(b, "show work_mem"), "4MB");
    assert_string_equal(sy_run(a, "set timezone to 'Europe/Berlin'"), "SET");
    assert_string_equal(PQparameterStatus(a, "TimeZone"), "Europe/Berlin");
    assert_string_equal(sy_run(b, "set timezone to 'Asia/Tokyo'"), "SET");
    for (int i = 0; i < 3; i++) {
        assert_string_equal(sy_ask(a, "show timezone"), "Europe/Berlin");
        assert_string_equal(sy_ask(b, "show timezone"), "Asia/Tokyo");
        assert_string_equal(sy_ask(a, "show application_name"), "a");
        assert_string_equal(sy_ask(b, "show application_name"), "b");
    }
    sy_expect(a, {"reset work_mem", "RESET"}, {"show work_mem", "5MB"},
              {"discard all", "DISCARD ALL"}, {"show work_mem", "5MB"});
    assert_string_equal(sy_ask(b, "select set_config('work_mem', '6MB', false)"), "6MB");
    assert_string_equal(sy_ask(a, "show work_mem"), "5MB");
    assert_string_equal(sy_ask(b, "show work_mem"), "6MB");
    PQfinish(a);
    PQfinish(b);
}

static void rollback_undoes_settings(void **state)
{
    (void)state;
    PGconn *a = sy_router_connect(router, "blog", NULL);
    PGconn *b = sy_router_connect(router, "blog", NULL);
    sy_expect(a, {"set work_mem to '5MB'", "SET"}, {"begin", "BEGIN"},
              {"set work_mem to '6MB'", "SET"}, {"savepoint s", "SAVEPOINT"},
              {"set work_mem to '7MB'", "SET"}, {"show work_mem", "7MB"},
              {"rollback to s", "ROLLBACK"}, {"show work_mem", "6MB"}, {"rollback", "ROLLBACK"});
    assert_string_equal(sy_ask(b, "show work_mem"), "4MB");
    sy_expect(a, {"show work_mem", "5MB"}, {"begin", "BEGIN"},
              {"set local work_mem to '8MB'", "SET"}, {"show work_mem", "8MB"});
    sy_expect(a, {"set constraints all deferred", "SET CONSTRAINTS"}, {"commit", "COMMIT"},
              {"set constraints all deferred", "SET CONSTRAINTS"}); /* a warning, as there */
    assert_string_equal(sy_ask(a, "show work_mem"), "5MB");
    assert_string_equal(sy_run(a, "begin; set work_mem to '9MB'; commit"), "COMMIT");
    assert_string_equal(sy_ask(b, "show work_mem"), "4MB");
    assert_string_equal(sy_ask(a, "show work_mem"), "9MB");
    PQfinish(a);
    PQfinish(b);
}

static const char *execute(PGconn *c, const char *name, const char *value)
{
    static char text[128];
    PGresult *result = PQexecPrepared(c, name, 1, &value, NULL, NULL, 0);
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0)
        snprintf(text, sizeof(text), "%s", PQgetvalue(result, 0, 0));
    else if (PQresultStatus(result) == PGRES_COMMAND_OK ||
             PQresultStatus(result) == PGRES_TUPLES_OK)
        snprintf(text, sizeof(text), "%s", PQcmdStatus(result));
    else
        snprintf(text, sizeof(text), "ERROR %s", PQresultErrorField(result, PG_DIAG_SQLSTATE));
    PQclear(result);
    return text;
}

static void prepare(PGconn *c, const char *name, const char *sql)
{
    PGresult *result = PQprepare(c, name, sql, 0, NULL);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
}

static void statements_of_two_clients_do_not_meet(void **state)
{
    (void)state;
    PGconn *a = sy_router_connect(router, "blog", NULL),
           *b = sy_router_connect(router, "blog", NULL);
    prepare(a, "p", "select 'a' || $1::text");
    prepare(b, "p", "select 'b' || $1::text");
    for (int i = 0; i < 3; i++) {
        assert_string_equal(execute(a, "p", "1"), "a1");
        assert_string_equal(execute(b, "p", "2"), "b2");
    }
    PGresult *result = PQdescribePrepared(a, "p");
    assert_int_equal(PQnparams(result), 1);
    assert_int_equal(PQparamtype(result, 0), 25);
    PQclear(result);
    assert_string_equal(sy_run(a, "deallocate p"), "DEALLOCATE");
    assert_string_equal(execute(a, "p", "1"), "ERROR 26000");
    assert_string_equal(execute(b, "p", "2"), "b2");
    PQfinish(a);
    PQfinish(b);
}

static void many_statements_fit_into_few(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    char name[16], sql[64], expected[16];
    for (int i = 0; i < 30; i++) { /* prepared_max is 8 */
        snprintf(name, sizeof(name), "m%d", i);
        snprintf(sql, sizeof(sql), "select $1::int + %d", i);
        prepare(c, name, sql);
    }
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 30; i++) {
            snprintf(name, sizeof(name), "m%d", i);
            snprintf(expected, sizeof(expected), "%d", 100 + i);
            assert_string_equal(execute(c, name, "100"), expected);
        }
    assert_true(atoi(sy_ask(c, "select count(*) from pg_prepared_statements")) <= 8);
    PQfinish(c);
}

static void a_changed_table_does_not_break_statements(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    sy_run(c, "create table if not exists changing(a int)");
    sy_run(c, "insert into changing values (1)");
    prepare(c, "ch", "select * from changing where a = $1::int");
    assert_string_equal(execute(c, "ch", "1"), "1");
    assert_string_equal(sy_run(c, "alter table changing add column b int"), "ALTER TABLE");
    (void)execute(c, "ch", "1"); /* PostgreSQL itself refuses once: the result type changed */
    assert_string_equal(execute(c, "ch", "1"), "1");
    PQfinish(c);
}

static void sql_prepare_works_across_shards(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_run(c, "insert into customers(id, name) values (1, 'one')");
    sy_run(c, "insert into customers(id, name) values (2, 'two')");
    sy_expect(c, {"prepare q(bigint) as select name from customers where id = $1", "PREPARE"},
              {"execute q(1)", "one"}, {"execute q(2)", "two"});
    assert_string_equal(execute(c, "q", "2"), "two");
    sy_expect(c, {"prepare bad as select nosuch", "ERROR 42703"}, {"execute bad", "ERROR 26000"},
              {"deallocate all", "DEALLOCATE ALL"}, {"execute q(1)", "ERROR 26000"});
    PQfinish(c);
}

static void sql_execute_touches_several_shards(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_run(c, "delete from orders");
    sy_run(c, "insert into orders values (1, 1, 10)");
    sy_run(c, "insert into orders values (2, 2, 20)");
    sy_run(c, "insert into orders values (3, 2, 30)");
    for (int round = 0; round < 2; round++) { /* prepared on the servers, and known there */
        sy_run(c, "deallocate all");
        sy_run(c, "prepare sorted(int) as select id from orders where v > $1 order by v desc");
        sy_run(c, "prepare few(int) as select id from orders where v > $1");
        sy_run(c, "prepare total as select sum(v), count(*) from orders");
        sy_run(c, "prepare page(int, int) as select id from orders order by id limit $1 offset $2");
        sy_run(c,
               "prepare one(bigint) as select id from orders where customer_id = $1 order by id");
        sy_run(c, "prepare tag(int, text) as insert into tags values ($1, $2)");
        for (int again = 0; again < 2; again++) {
            assert_string_equal(sy_ask_all(c, "execute sorted(10)"), "3\n2");
            assert_string_equal(sy_run(c, "execute few(5)"), "SELECT 3");
            assert_string_equal(sy_ask_all(c, "execute total"), "60|3");
            assert_string_equal(sy_ask_all(c, "execute page(1, 1)"), "2");
            assert_string_equal(sy_ask_all(c, "execute one(2)"), "2\n3");
        }
        assert_string_equal(
            sy_run(c, round == 0 ? "execute tag(901, 'a')" : "execute tag(902, 'b')"),
            "INSERT 0 1");
        assert_string_equal(sy_run(c, "execute tag(901, 'twice')"), "ERROR 23505");
    }
    assert_string_equal(
        sy_cluster_value(cluster, 0, "s1", "select count(*) from tags where id > 900"), "2");
    sy_expect(c, {"begin", "BEGIN"}, {"execute tag(901, 'twice')", "ERROR 23505"},
              {"execute total", "ERROR 25P02"}, {"rollback", "ROLLBACK"});
    /* A table that went meanwhile: one error is told. */
    sy_expect(
        c, {"prepare gone as select v from orders order by v", "PREPARE"},
        {"alter table orders rename column v to w", "ALTER TABLE"}, {"execute gone", "ERROR 42703"},
        {"alter table orders rename column w to v", "ALTER TABLE"}, {"execute gone", "10\n20\n30"});
    sy_run(c, "delete from orders");
    sy_run(c, "delete from tags where id > 900");
    PQfinish(c);
}

static void a_failed_transaction_changes_no_shard(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_expect(c, {"begin", "BEGIN"}, {"update customers set name = 'x' where id = 1", "UPDATE 1"},
              {"select name from customers where id = 2", "two"},
              {"update customers set name = 'x' where id = 2", "UPDATE 1"},
              {"select nosuch", "ERROR 42703"}, {"select 1", "ERROR 25P02"}, {"commit", "ROLLBACK"},
              {"select name from customers where id = 1", "one"},
              {"select name from customers where id = 2", "two"});
    assert_int_equal(PQtransactionStatus(c), PQTRANS_IDLE);
    sy_expect(c, {"begin", "BEGIN"}, {"savepoint s", "SAVEPOINT"},
              {"update customers set name = 'x' where id = 1", "UPDATE 1"},
              {"select 1/0", "ERROR 22012"}, {"rollback to s", "ROLLBACK"},
              {"update customers set name = 'eins' where id = 1", "UPDATE 1"}, {"commit", "COMMIT"},
              {"select name from customers where id = 1", "eins"},
              {"begin isolation level repeatable read", "BEGIN"});
    sy_ask(c, "select name from customers where id = 1");
    sy_expect(c, {"select name from customers where id = 2", "ERROR 0A000"},
              {"rollback", "ROLLBACK"}, {"begin isolation level serializable", "BEGIN"},
              {"select name from customers", "ERROR 0A000"}, {"rollback", "ROLLBACK"},
              {"set default_transaction_isolation = 'repeatable read'", "SET"},
              {"select name from customers", "ERROR 0A000"}, {"begin", "BEGIN"},
              {"select name from customers", "ERROR 0A000"}, {"rollback", "ROLLBACK"},
              {"reset default_transaction_isolation", "RESET"},
              {"commit and chain", "ERROR 25P01"});
    PQfinish(c);
}

static void copies_of_reference_tables_change_together(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "insert into tags values (1, 'a'), (2, 'b')"), "INSERT 0 2");
    assert_string_equal(sy_run(c, "update tags set t = 'c'"), "UPDATE 2");
    sy_cluster_sql(cluster, 0, "s1", "insert into tags values (9, 'only here')");
    assert_string_equal(sy_run(c, "insert into tags values (9, 'x')"), "ERROR 23505");
    assert_string_equal(
        sy_cluster_value(cluster, 0, "s0", "select count(*) from tags where id = 9"), "0");
    assert_string_equal(sy_run(c, "update tags set t = 'd' where id = 9"), "ERROR 55000");
    assert_string_equal(sy_cluster_value(cluster, 0, "s1", "select t from tags where id = 9"),
                        "only here");
    sy_cluster_sql(cluster, 0, "s1", "delete from tags where id = 9");
    sy_expect(c, {"begin", "BEGIN"}, {"delete from tags where id = 1", "DELETE 1"},
              {"rollback", "ROLLBACK"});
    assert_string_equal(sy_cluster_value(cluster, 0, "s0", "select count(*) from tags"), "2");
    sy_expect(c, {"begin", "BEGIN"}, {"delete from tags where id = 1", "DELETE 1"},
              {"insert into customers(id, name) values (5, 'five')", "INSERT 0 1"},
              {"commit", "COMMIT"});
    assert_string_equal(sy_cluster_value(cluster, 0, "s0", "select count(*) from tags"), "1");
    assert_string_equal(sy_cluster_value(cluster, 0, "s1", "select count(*) from tags"), "1");
    PQfinish(c);
}

static void several_statements_in_one_text_are_one_transaction(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "insert into customers(id, name) values (7, 'x'); select 1/0"),
                        "ERROR 22012");
    assert_string_equal(sy_ask(c, "select count(*) from customers where id = 7"), "0");
    assert_string_equal(sy_run(c, "insert into customers(id, name) values (7, 'x'); insert into "
                                  "customers(id, name) values (8, 'x')"),
                        "INSERT 0 1");
    assert_string_equal(sy_ask(c, "select count(*) from customers where id = 8"), "1");
    assert_string_equal(sy_run(c, "delete from customers where id = 7; delete from customers where "
                                  "id = 8"),
                        "DELETE 1");
    assert_string_equal(sy_ask(c, "select count(*) from customers where id = 7"), "0");
    assert_string_equal(
        sy_ask(c,
               "select name from customers where id = 1; select name from customers where id = 2"),
        "two");
    assert_string_equal(sy_run(c, "begin; insert into customers(id, name) values (7, 'x'); commit"),
                        "COMMIT");
    assert_string_equal(sy_ask(c, "select count(*) from customers where id = 7"), "1");
    assert_string_equal(
        sy_run(c, "insert into tags values (29, 'm'); insert into tags values (30, 'm')"),
        "INSERT 0 1");
    assert_string_equal(
        sy_cluster_value(cluster, 0, "s1", "select count(*) from tags where id = 30"), "1");
    PQfinish(c);
}

static const char *copy_in(PGconn *c, const char *sql, const char *data, const char *fail)
{
    static char text[64];
    PGresult *result = PQexec(c, sql);
    if (PQresultStatus(result) != PGRES_COPY_IN) {
        snprintf(text, sizeof(text), "ERROR %s", PQresultErrorField(result, PG_DIAG_SQLSTATE));
        PQclear(result);
        return text;
    }
    PQclear(result);
    size_t bytes = strlen(data);
    for (size_t at = 0; at < bytes; at += 3) /* rows across message boundaries */
        PQputCopyData(c, data + at, (int)(bytes - at < 3 ? bytes - at : 3));
    PQputCopyEnd(c, fail);
    result = PQgetResult(c);
    if (PQresultStatus(result) == PGRES_COMMAND_OK)
        snprintf(text, sizeof(text), "%s", PQcmdStatus(result));
    else
        snprintf(text, sizeof(text), "ERROR %s", PQresultErrorField(result, PG_DIAG_SQLSTATE));
    PQclear(result);
    while ((result = PQgetResult(c)) != NULL)
        PQclear(result);
    return text;
}

static void copy_brings_each_row_to_its_shard(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(
        copy_in(c, "copy orders from stdin", "1\t1\t10\n2\t2\t20\n3\t3\t30\n4\t2\t40\n", NULL),
        "COPY 4");
    assert_string_equal(sy_cluster_value(cluster, 0, "s0", "select count(*) from orders"), "2");
    assert_string_equal(sy_cluster_value(cluster, 0, "s1", "select count(*) from orders"), "2");
    assert_string_equal(
        copy_in(c, "copy orders(customer_id, id, v) from stdin csv", "1,5,1\n2,6,bad\n", NULL),
        "ERROR 22P02");
    assert_string_equal(copy_in(c, "copy orders from stdin", "7\t1\t1\n8\t99\t1\n", NULL),
                        "ERROR 23514");
    assert_string_equal(copy_in(c, "copy orders from stdin", "7\t1\t1\n", "changed my mind"),
                        "ERROR 57014");
    assert_string_equal(sy_ask_all(c, "select id from orders where customer_id = 1"), "1");
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(copy_in(c, "copy orders from stdin", "9\t1\t1\n9\t2\t1\n", NULL), "COPY 2");
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    assert_string_equal(sy_ask_all(c, "select id from orders where customer_id = 1"), "1");
    assert_string_equal(copy_in(c, "copy tags from stdin", "50\tx\n", NULL), "COPY 1");
    assert_string_equal(
        sy_cluster_value(cluster, 0, "s1", "select count(*) from tags where id = 50"), "1");
    PQfinish(c);
}

/* What COPY TO sends is one file, which a server takes. */
static void copy_to_of_several_shards_is_one_file(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL),
           *server = sy_cluster_connect(cluster, 0, "blog");
    sy_run(c, "delete from orders");
    sy_run(server, "create table copied(id int, customer_id bigint, v int)");
    for (int rows = 0; rows < 3; rows++) { /* none, one on the second shard, one on each */
        if (rows > 0)
            sy_run(c, rows == 1 ? "insert into orders values (1, 2, 7)"
                                : "insert into orders values (2, 1, null)");
        static const char *const formats[] = {"binary", "csv header", "delimiter '|'"};
        for (int f = 0; f < 6; f++) { /* each in both protocols */
            char sql[100], *data;
            snprintf(sql, sizeof(sql), "copy orders to stdout with %s", formats[f % 3]);
            PGresult *result =
                f < 3 ? PQexec(c, sql) : PQexecParams(c, sql, 0, NULL, NULL, NULL, NULL, 0);
            if (PQresultStatus(result) != PGRES_COPY_OUT)
                fail_msg("%d, %s: %s", f, sql, PQresultErrorMessage(result));
            PQclear(result);
            sy_run(server, "truncate copied");
            snprintf(sql, sizeof(sql), "copy copied from stdin with %s", formats[f % 3]);
            PQclear(PQexec(server, sql));
            for (int bytes; (bytes = PQgetCopyData(c, &data, 0)) > 0; PQfreemem(data))
                PQputCopyData(server, data, bytes);
            PQputCopyEnd(server, NULL);
            result = PQgetResult(server);
            if (PQresultStatus(result) != PGRES_COMMAND_OK)
                fail_msg("%d, %s: %s", rows, sql, PQresultErrorMessage(result));
            PQclear(result);
            while ((result = PQgetResult(server)) != NULL)
                PQclear(result);
            result = PQgetResult(c);
            snprintf(sql, sizeof(sql), "COPY %d", rows);
            assert_string_equal(PQcmdStatus(result), sql);
            PQclear(result);
            while ((result = PQgetResult(c)) != NULL)
                PQclear(result);
            assert_string_equal(sy_ask_all(server, "select * from copied order by id"),
                                rows == 0   ? ""
                                : rows == 1 ? "1|2|7"
                                            : "1|2|7\n2|1|");
        }
    }
    sy_run(c, "delete from orders");
    sy_run(server, "drop table copied");
    PQfinish(server);
    PQfinish(c);
}

/* The context of a COPY's error: PostgreSQL's words, and for a shard's own error whose line it
 * counts. */
static void copy_errors_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *data, *context;
        bool same; /* as on PostgreSQL */
    } cases[] = {
        {"1\t1\t1\n2\tbad\t1\n", "COPY orders, line 2, column customer_id: \"bad\"", true},
        {"1\t1\t1\n2\t2\tbad\n",
         "COPY orders, line 1 of the rows for shard \"s1\", column v: \"bad\"", false},
        {"1\n", "COPY orders, line 1: \"1\"", true},
        {"1\t99\t1\n", "COPY orders, line 1: \"1\t99\t1\"", false},
    };
    for (int direct = 0; direct < 2; direct++) {
        PGconn *c =
            direct ? sy_cluster_connect(cluster, 0, "s0") : sy_router_connect(router, "shop", NULL);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            if (direct && !cases[i].same)
                continue;
            PQclear(PQexec(c, "copy orders from stdin"));
            PQputCopyData(c, cases[i].data, (int)strlen(cases[i].data));
            PQputCopyEnd(c, NULL);
            PGresult *result = PQgetResult(c);
            const char *context = PQresultErrorField(result, PG_DIAG_CONTEXT);
            assert_non_null(context);
            assert_string_equal(context, cases[i].context);
            PQclear(result);
            while ((result = PQgetResult(c)) != NULL)
                PQclear(result);
        }
        PQfinish(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_belong_to_their_client),
        cmocka_unit_test(rollback_undoes_settings),
        cmocka_unit_test(statements_of_two_clients_do_not_meet),
        cmocka_unit_test(many_statements_fit_into_few),
        cmocka_unit_test(a_changed_table_does_not_break_statements),
        cmocka_unit_test(sql_prepare_works_across_shards),
        cmocka_unit_test(sql_execute_touches_several_shards),
        cmocka_unit_test(a_failed_transaction_changes_no_shard),
        cmocka_unit_test(copies_of_reference_tables_change_together),
        cmocka_unit_test(several_statements_in_one_text_are_one_transaction),
        cmocka_unit_test(copy_brings_each_row_to_its_shard),
        cmocka_unit_test(copy_errors_say_where),
        cmocka_unit_test(copy_to_of_several_shards_is_one_file),
    };
    cluster = world_cluster();
    router = sy_router_start(world_databases(cluster, "size = 1; prepared_max = 8;"), NULL,
                             getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
