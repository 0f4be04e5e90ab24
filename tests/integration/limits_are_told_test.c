/* Time limits, queues and numbers of clients: who passes one is told so with its SQLSTATE, the
 * others go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/harness/process.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static char *databases(const char *pool, const char *more)
{
    static char text[2048];
    snprintf(
        text, sizeof(text),
        "{ name = \"blog\"; engine = \"postgres\"; pool = { %s }; %s\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=blog "
        "user=postgres\"; } ); } ); } );",
        pool, more, (unsigned)sy_cluster_port(cluster, 0));
    return text;
}

static void begin(const char *pool, const char *more, const char *extra)
{
    router = sy_router_start(databases(pool, more), extra, getenv("SY_TEST_LOOP"));
}

static void end(void)
{
    assert_int_equal(sy_router_stop(&router, SIGTERM), 0);
}

/* SQLSTATE of a failed connection attempt is in its text only. */
static void refused(const char *more, const char *text)
{
    char conninfo[256];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=blog user=postgres %s",
             (unsigned)sy_router_port(router), more);
    PGconn *c = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    if (strstr(PQerrorMessage(c), text) == NULL)
        fail_msg("%s", PQerrorMessage(c));
    PQfinish(c);
}

/* libpq keeps the text, not the SQLSTATE, of what came while it was idle. */
static void told(PGconn *c, const char *text)
{
    const char *answer = sy_ask(c, "select 1");
    if (strstr(answer, text) == NULL)
        fail_msg("%s", answer);
}

static void queries_have_a_time_limit(void **state)
{
    (void)state;
    begin("size = 2;", "timeouts = { query = \"300ms\"; };", NULL);
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "select pg_sleep(5)"), "ERROR 57014");
    assert_string_equal(sy_ask(c, "select 1"), "1");
    PQfinish(c);
    end();
}

static void transactions_have_a_time_limit(void **state)
{
    (void)state;
    begin("size = 2;", "timeouts = { transaction = \"700ms\"; };", NULL);
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_run(c, "insert into t values (1, 'undone')"), "INSERT 0 1");
    assert_true(sy_router_speaks(c));
    assert_int_equal(strncmp(sy_ask(c, "select 1"), "ERROR", 5), 0);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    PQfinish(c);
    c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(c, "select count(*) from t where a = 1"), "0");
    PQfinish(c);
    end();
}

static void idle_clients_and_idle_transactions_have_a_time_limit(void **state)
{
    (void)state;
    begin("size = 2;", "timeouts = { idle_in_transaction = \"300ms\"; idle_client = \"900ms\"; };",
          NULL);
    PGconn *c = sy_router_connect(router, "blog", NULL),
           *idle = sy_router_connect(router, "blog", NULL);
    sy_run(c, "begin");
    sy_run(c, "insert into t values (2, 'undone')");
    assert_true(sy_router_speaks(c));
    told(c, "idle-in-transaction timeout");
    PQfinish(c);
    assert_true(sy_router_speaks(idle));
    told(idle, "idle-session timeout");
    PQfinish(idle);
    end();
}

static void a_login_has_a_time_limit(void **state)
{
    (void)state;
    begin("size = 2;", "", "login_timeout = \"400ms\";");
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u",
             (unsigned)sy_router_port(router));
    PGconn *slow = PQconnectStart(conninfo); /* a socket, and no startup packet */
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    char byte;
    while (recv(PQsocket(slow), &byte, 1, 0) > 0) {
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    assert_true(to.tv_sec - from.tv_sec < 5);
    PQfinish(slow);
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(c, "select 1"), "1");
    PQfinish(c);
    end();
}

/* Clients of the first pool that wait for a server, as SHOW POOLS counts them. */
static const char *waiting(PGconn *console)
{
    static char text[32];
    PGresult *pools = PQexec(console, "show pools");
    assert_int_equal(PQresultStatus(pools), PGRES_TUPLES_OK);
    snprintf(text, sizeof(text), "%s", PQgetvalue(pools, 0, PQfnumber(pools, "cl_waiting")));
    PQclear(pools);
    return text;
}

static void a_wait_for_a_server_has_a_time_limit_and_a_queue_an_end(void **state)
{
    (void)state;
    begin("size = 1; queue_max = 1; queue_timeout = \"2s\";", "", NULL);
    PGconn *holder = sy_router_connect(router, "blog", NULL),
           *first = sy_router_connect(router, "blog", NULL),
           *second = sy_router_connect(router, "blog", NULL),
           *console = sy_router_connect(router, "switchyard", NULL);
    sy_run(holder, "begin");
    sy_run(holder, "select 1");
    assert_int_equal(PQsendQuery(first, "select 2"), 1);
    for (int i = 0; i < 6000 && strcmp(waiting(console), "1") != 0; i++)
        sy_pause_ms(10);
    assert_string_equal(sy_ask(second, "select 3"), "ERROR 53300");
    PGresult *result = PQgetResult(first); /* waits out its time */
    assert_int_equal(PQresultStatus(result), PGRES_FATAL_ERROR);
    PQclear(result);
    while ((result = PQgetResult(first)) != NULL)
        PQclear(result);
    sy_run(holder, "commit");
    assert_string_equal(sy_ask(first, "select 2"), "2");
    assert_string_equal(sy_ask(second, "select 3"), "3");
    PQfinish(holder);
    PQfinish(first);
    PQfinish(second);
    PQfinish(console);
    end();
}

static void clients_are_limited_in_all_by_database_and_by_user(void **state)
{
    (void)state;
    begin("size = 2;", "clients_max = 3;",
          "users = ( { name = \"postgres\"; connections_max = 2; }, { name = \"other\"; } );\n"
          "auth = ( { address = \"127.0.0.1/32\"; method = \"trust\"; } );");
    PGconn *a = sy_router_connect(router, "blog", NULL),
           *b = sy_router_connect(router, "blog", NULL);
    refused("", "too many");
    PGconn *c = sy_router_connect(router, "blog", "user=other");
    refused("user=other", "too many");
    PQfinish(a);
    for (int i = 0; i < 100; i++) { /* the place is free again a moment later */
        char conninfo[128];
        snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=blog user=postgres",
                 (unsigned)sy_router_port(router));
        a = PQconnectdb(conninfo);
        if (PQstatus(a) == CONNECTION_OK)
            break;
        PQfinish(a);
        a = NULL;
        sy_pause_ms(20);
    }
    assert_non_null(a);
    PQfinish(a);
    PQfinish(b);
    PQfinish(c);
    end();
    begin("size = 2;", "", "clients_max = 1;");
    a = sy_router_connect(router, "blog", NULL);
    refused("", "too many");
    assert_string_equal(sy_ask(a, "select 1"), "1");
    PQfinish(a);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_have_a_time_limit),
        cmocka_unit_test(transactions_have_a_time_limit),
        cmocka_unit_test(idle_clients_and_idle_transactions_have_a_time_limit),
        cmocka_unit_test(a_login_has_a_time_limit),
        cmocka_unit_test(a_wait_for_a_server_has_a_time_limit_and_a_queue_an_end),
        cmocka_unit_test(clients_are_limited_in_all_by_database_and_by_user),
    };
    cluster = world_cluster();
    sy_cluster_sql(cluster, 0, "postgres", "create role other login");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
