/* Servers that die, clients that cancel or vanish, limits, replicas: each gets a clear answer and
 * nobody else suffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness/expect.h"
#include "tests/harness/process.h"
#include "tests/integration/world.h"

enum { PATIENCE_MS = 60000 };

static struct sy_cluster *cluster;
static struct sy_router *router;

static void wait_until(const char *condition)
{
    assert_true(sy_cluster_wait(cluster, 0, "postgres", condition, PATIENCE_MS));
}

/* A statement that was sent is not yet one that the server runs: a cancel before that is for
 * nothing. */
static void wait_until_runs(const char *sql)
{
    char condition[200];
    snprintf(condition, sizeof(condition),
             "select count(*) > 0 from pg_stat_activity where state = 'active' and query = '%s'",
             sql);
    wait_until(condition);
}

/* The data path's servers of "blog"; those of the control plane come back while one waits. */
#define DATA_PATH                                                                                  \
    "pg_stat_activity where datname = 'blog' and backend_type = 'client backend' and "             \
    "application_name not like 'switchyard %'"

static void terminate_servers(void)
{
    sy_cluster_value(cluster, 0, "postgres",
                     "select count(pg_terminate_backend(pid)) from " DATA_PATH);
    wait_until("select count(*) = 0 from " DATA_PATH);
}

/* The router has seen that they are gone. */
static void wait_until_forgotten(void)
{
    PGconn *console = sy_router_connect(router, "switchyard", NULL);
    bool forgotten = false;
    for (int i = 0; i < PATIENCE_MS / 20 && !forgotten; i++) {
        PGresult *result = PQexec(console, "SHOW SERVERS");
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        forgotten = true;
        for (int row = 0; row < PQntuples(result); row++)
            if (strcmp(PQgetvalue(result, row, PQfnumber(result, "database")), "blog") == 0)
                forgotten = false;
        PQclear(result);
        sy_pause_ms(20);
    }
    PQfinish(console);
    assert_true(forgotten);
}

static void a_server_lost_while_idle_is_not_noticed(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(c, "select 1"), "1");
    terminate_servers();
    wait_until_forgotten();
    assert_string_equal(sy_ask(c, "select 2"), "2");
    PQfinish(c);
}

static void a_server_lost_in_a_transaction_is_told_once(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    sy_run(c, "insert into t values (10, 'lost')");
    terminate_servers();
    assert_string_equal(sy_ask(c, "select 1"), "ERROR 57P01");
    assert_string_equal(sy_ask(c, "select 1"), "ERROR 25P02");
    assert_int_equal(PQtransactionStatus(c), PQTRANS_INERROR);
    sy_expect(c, {"rollback", "ROLLBACK"}, {"select count(*) from t where a = 10", "0"},
              {"begin", "BEGIN"});
    sy_run(c, "insert into t values (10, 'lost')");
    terminate_servers();
    const char *told = sy_run(c, "commit"); /* not a quiet ROLLBACK; not known when the COMMIT was
                                               on its way already */
    assert_true(strcmp(told, "ERROR 57P01") == 0 || strcmp(told, "ERROR 08007") == 0);
    assert_int_equal(PQtransactionStatus(c), PQTRANS_IDLE);
    assert_string_equal(sy_ask(c, "select count(*) from t where a = 10"), "0");
    PQfinish(c);
}

static void a_server_lost_in_a_read_is_told_once(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_int_equal(PQsendQuery(c, "select pg_sleep(100)"), 1);
    wait_until_runs("select pg_sleep(100)");
    sy_cluster_value(cluster, 0, "postgres",
                     "select count(pg_terminate_backend(pid)) from pg_stat_activity where query "
                     "like '%pg_sleep(100)%' and pid <> pg_backend_pid()");
    PGresult *result = PQgetResult(c);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57P01");
    PQclear(result);
    assert_null(PQgetResult(c));
    assert_string_equal(sy_ask(c, "select 1"), "1");
    PQfinish(c);
}

static void a_cancel_reaches_the_running_statement(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL),
           *other = sy_router_connect(router, "blog", NULL);
    assert_int_equal(PQsendQuery(c, "select pg_sleep(100)"), 1);
    assert_int_equal(PQsendQuery(other, "select pg_sleep(0.6)"), 1);
    wait_until_runs("select pg_sleep(100)");
    char text[256];
    PGcancel *cancel = PQgetCancel(c);
    assert_int_equal(PQcancel(cancel, text, sizeof(text)), 1);
    PGresult *result = PQgetResult(c);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57014");
    PQclear(result);
    assert_null(PQgetResult(c));
    assert_int_equal(PQcancel(cancel, text, sizeof(text)), 1); /* nothing runs: nothing happens */
    PQfreeCancel(cancel);
    assert_string_equal(sy_ask(c, "select 1"), "1");
    result = PQgetResult(other);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
    assert_null(PQgetResult(other));
    PQfinish(c);
    PQfinish(other);
}

static void a_client_that_vanishes_leaves_nothing_behind(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    sy_run(c, "insert into t values (20, 'gone')");
    shutdown(PQsocket(c), SHUT_RDWR); /* no Terminate */
    wait_until("select count(*) = 0 from pg_stat_activity where state like 'idle in%'");
    PGconn *d = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(d, "select count(*) from t where a = 20"), "0");
    PGresult *result = PQexec(d, "copy t from stdin");
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    PQputCopyData(d, "21\tx\n", 5);
    PQflush(d);
    shutdown(PQsocket(d), SHUT_RDWR);
    PGconn *e = sy_router_connect(router, "blog", NULL);
    for (int i = 0; i < 50 && strcmp(sy_ask(e, "select count(*) from t where a = 21"), "0") != 0;
         i++)
        sy_pause_ms(20);
    assert_string_equal(sy_ask(e, "select count(*) from t where a = 21"), "0");
    PQfinish(c);
    PQfinish(d);
    PQfinish(e);
}

static void a_full_pool_lets_clients_wait_their_turn(void **state)
{
    (void)state;
    PGconn *c[6];
    for (int i = 0; i < 6; i++) {
        c[i] = sy_router_connect(router, "blog", NULL);
        assert_int_equal(PQsendQuery(c[i], "select pg_sleep(0.1)"), 1);
    }
    for (int i = 0; i < 6; i++) {
        PGresult *result = PQgetResult(c[i]);
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        PQclear(result);
        PQfinish(c[i]);
    }
}

static void temporary_tables_pin_the_session(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL),
           *other = sy_router_connect(router, "blog", NULL);
    sy_run(c, "create temporary table mine(a int)");
    sy_run(c, "insert into mine values (1)");
    for (int i = 0; i < 5; i++) {
        assert_string_equal(sy_ask(other, "select to_regclass('pg_temp.mine') is null"), "t");
        assert_string_equal(sy_ask(c, "select a from mine"), "1");
    }
    sy_run(c, "select pg_advisory_lock(5)");
    assert_string_equal(sy_run(c, "discard all"), "DISCARD ALL");
    assert_string_equal(sy_ask(c, "select a from mine"), "ERROR 42P01");
    assert_string_equal(sy_ask(other, "select pg_try_advisory_lock(5)"), "t");
    PQfinish(c);
    PQfinish(other);
}

static void large_rows_and_texts_pass(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(c, "select sum(length(x)) from (select repeat('x', 100000) x from "
                                  "generate_series(1, 200)) y"),
                        "20000000");
    PGresult *result = PQexec(c, "select repeat('x', 100000) from generate_series(1, 300)");
    assert_int_equal(PQntuples(result), 300);
    assert_int_equal(PQgetlength(result, 299, 0), 100000);
    PQclear(result);
    size_t bytes = 3 * 1000 * 1000;
    char *sql = malloc(bytes + 64);
    strcpy(sql, "select length('");
    size_t at = strlen(sql);
    memset(sql + at, 'y', bytes);
    strcpy(sql + at + bytes, "')");
    assert_string_equal(sy_ask(c, sql), "3000000");
    const char *value = sql;
    result = PQexecParams(c, "select length($1::text)", 1, NULL, &value, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(result, 0, 0), "3000017");
    PQclear(result);
    free(sql);
    PQfinish(c);
}

static void a_slow_client_does_not_fill_the_router(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL),
           *other = sy_router_connect(router, "blog", NULL);
    assert_int_equal(PQsendQuery(c, "select repeat('x', 10000) from generate_series(1, 20000)"), 1);
    PQflush(c);
    for (int i = 0; i < 20; i++) {
        assert_string_equal(sy_ask(other, "select 1"), "1");
        sy_pause_ms(10);
    }
    PGresult *result = PQgetResult(c);
    assert_int_equal(PQntuples(result), 20000);
    PQclear(result);
    PQfinish(c);
    PQfinish(other);
}

static void garbage_is_answered_and_closed(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_true(send(PQsocket(c), "\x7fjunk junk junk", 15, 0) == 15);
    PGresult *result = PQexec(c, "select 1");
    assert_int_not_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
    PQfinish(c);
    c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(c, "select 1"), "1");
    PQfinish(c);
}

static void listeners_hear_notifications(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL),
           *other = sy_router_connect(router, "blog", NULL);
    sy_run(c, "listen news");
    sy_run(other, "notify news, 'hello'");
    PGnotify *note = NULL;
    for (int i = 0; i < PATIENCE_MS / 10 && note == NULL; i++) {
        PQconsumeInput(c);
        note = PQnotifies(c);
        sy_pause_ms(10);
    }
    assert_non_null(note);
    assert_string_equal(note->extra, "hello");
    PQfreemem(note);
    PQfinish(c);
    PQfinish(other);
}

static void a_shutdown_lets_transactions_end(void **state)
{
    (void)state;
    PGconn *idle = sy_router_connect(router, "blog", NULL),
           *busy = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(busy, "begin"), "BEGIN");
    sy_run(busy, "insert into t values (30, 'kept')");
    kill(sy_router_pid(router), SIGTERM);
    bool left = false; /* the signal may take its time */
    for (int i = 0; i < PATIENCE_MS / 20 && !left; i++) {
        sy_pause_ms(20);
        left = strncmp(sy_ask(idle, "select 1"), "ERROR", 5) == 0;
    }
    assert_true(left);
    assert_string_equal(sy_run(busy, "update t set b = 'still' where a = 30"), "UPDATE 1");
    assert_string_equal(sy_run(busy, "commit"), "COMMIT");
    PQfinish(idle);
    PQfinish(busy);
    assert_string_equal(sy_cluster_value(cluster, 0, "blog", "select b from t where a = 30"),
                        "still");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_lost_while_idle_is_not_noticed),
        cmocka_unit_test(a_server_lost_in_a_transaction_is_told_once),
        cmocka_unit_test(a_server_lost_in_a_read_is_told_once),
        cmocka_unit_test(a_cancel_reaches_the_running_statement),
        cmocka_unit_test(a_client_that_vanishes_leaves_nothing_behind),
        cmocka_unit_test(a_full_pool_lets_clients_wait_their_turn),
        cmocka_unit_test(temporary_tables_pin_the_session),
        cmocka_unit_test(large_rows_and_texts_pass),
        cmocka_unit_test(a_slow_client_does_not_fill_the_router),
        cmocka_unit_test(garbage_is_answered_and_closed),
        cmocka_unit_test(listeners_hear_notifications),
        cmocka_unit_test(a_shutdown_lets_transactions_end),
    };
    cluster = world_cluster();
    router = sy_router_start(world_databases(cluster, "size = 3;"), NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
