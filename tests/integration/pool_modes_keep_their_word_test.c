/* Session, transaction and statement pooling each keep what they promise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/process.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static void open_router(const char *mode)
{
    char pool[64];
    snprintf(pool, sizeof(pool), "size = 2; mode = \"%s\";", mode);
    router = sy_router_start(world_databases(cluster, pool), NULL, getenv("SY_TEST_LOOP"));
}

static void close_router(void)
{
    assert_int_equal(sy_router_stop(&router, SIGTERM), 0);
}

static void a_session_keeps_its_server(void **state)
{
    (void)state;
    open_router("session");
    PGconn *c = sy_router_connect(router, "blog", NULL);
    char pid[32];
    snprintf(pid, sizeof(pid), "%s", sy_ask(c, "select pg_backend_pid()"));
    sy_run(c, "create temp table mine(i int)");
    sy_run(c, "set work_mem to '9MB'");
    sy_run(c, "select pg_advisory_lock(99)");
    for (int i = 0; i < 10; i++) {
        PGconn *other = sy_router_connect(router, "blog", NULL);
        assert_string_not_equal(sy_ask(other, "select pg_backend_pid()"), pid);
        assert_string_equal(sy_ask(other, "show work_mem"), "4MB");
        PQfinish(other);
        assert_string_equal(sy_ask(c, "select pg_backend_pid()"), pid);
        assert_string_equal(sy_ask(c, "select count(*) from mine"), "0");
    }
    PQfinish(c);
    c = sy_router_connect(router, "blog", NULL); /* what it left behind is gone */
    bool free_again = false;
    for (int i = 0; i < 100 && !free_again; i++) {
        free_again = strcmp(sy_ask(c, "select pg_try_advisory_lock(99)"), "t") == 0;
        sy_pause_ms(10);
    }
    assert_true(free_again);
    assert_string_equal(sy_ask(c, "select to_regclass('mine') is null"), "t");
    PQfinish(c);
    close_router();
}

/* Whoever gets the only server uses it before it is passed on. */
static void a_server_is_shared_by_more_workers(void **state)
{
    (void)state;
    enum { CLIENTS = 8, ROUNDS = 6 };
    PGconn *clients[CLIENTS];
    router = sy_router_start(world_databases(cluster, "size = 1;"), NULL, getenv("SY_TEST_LOOP"));
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = sy_router_connect(router, "blog", NULL);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < CLIENTS; i++)
            assert_true(PQsendQuery(clients[i], "select pg_sleep(0.02)"));
        for (int i = 0; i < CLIENTS; i++) {
            PGresult *result = PQgetResult(clients[i]);
            if (PQresultStatus(result) != PGRES_TUPLES_OK)
                fail_msg("%s", PQresultErrorMessage(result));
            PQclear(result);
            assert_null(PQgetResult(clients[i]));
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        PQfinish(clients[i]);
    close_router();
}

static void transactions_share_servers(void **state)
{
    (void)state;
    open_router("transaction");
    PGconn *many[10];
    for (int i = 0; i < 10; i++)
        many[i] = sy_router_connect(router, "blog", NULL);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 10; i++)
            assert_string_equal(sy_ask(many[i], "select 1"), "1");
    assert_true(atoi(sy_cluster_value(
                    cluster, 0, "postgres",
                    "select count(*) from pg_stat_activity where datname = 'blog' and "
                    "application_name <> 'switchyard inspect' and query like 'select 1%'")) <= 2);
    sy_run(many[0], "begin");
    char pid[32];
    snprintf(pid, sizeof(pid), "%s", sy_ask(many[0], "select pg_backend_pid()"));
    for (int i = 1; i < 10; i++)
        assert_string_not_equal(sy_ask(many[i], "select pg_backend_pid()"), pid);
    assert_string_equal(sy_ask(many[0], "select pg_backend_pid()"), pid);
    sy_run(many[0], "commit");
    for (int i = 0; i < 10; i++)
        PQfinish(many[i]);
    close_router();
}

static void statements_allow_no_blocks(void **state)
{
    (void)state;
    open_router("statement");
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "begin"), "ERROR 0A000");
    assert_string_equal(sy_run(c, "insert into t values (77, 'x')"), "INSERT 0 1");
    assert_string_equal(sy_ask(c, "select b from t where a = 77"), "x");
    assert_string_equal(sy_run(c, "select 1; select 2"), "SELECT 1");
    PQfinish(c);
    close_router();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_keeps_its_server),
        cmocka_unit_test(a_server_is_shared_by_more_workers),
        cmocka_unit_test(transactions_share_servers),
        cmocka_unit_test(statements_allow_no_blocks),
    };
    cluster = world_cluster();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
