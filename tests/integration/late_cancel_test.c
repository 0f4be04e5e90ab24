/* A cancel request that reaches the server when its statement has ended hits no later one, though
 * the client keeps the server: it is in a transaction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

enum { PATIENCE_MS = 60000 };

static struct sy_cluster *cluster;
static struct sy_router *router;

static void gets_row(PGconn *connection)
{
    PGresult *result = PQgetResult(connection);
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s", PQresultErrorMessage(result));
    PQclear(result);
    assert_null(PQgetResult(connection));
}

/* The server that accepts connections, which a cancel request needs one of, is stopped while the
 * request is made and its statement ends; the processes behind it work on. */
static void a_late_cancel_hits_no_later_statement(void **state)
{
    (void)state;
    char text[256];
    pid_t postmaster = atoi(sy_cluster_value(
        cluster, 0, "postgres", "select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)"));
    assert_true(postmaster > 1);
    PGconn *c = sy_router_connect(router, "app", NULL);
    PGcancel *cancel = PQgetCancel(c);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(sy_run(c, "begin"), "BEGIN");
        assert_int_equal(PQsendQuery(c, "select pg_sleep(0.3), 1"), 1);
        assert_true(sy_cluster_wait(cluster, 0, "postgres",
                                    "select count(*) > 0 from pg_stat_activity where query = "
                                    "'select pg_sleep(0.3), 1'",
                                    PATIENCE_MS));
        assert_int_equal(kill(postmaster, SIGSTOP), 0);
        int asked = PQcancel(cancel, text, sizeof(text));
        PGresult *result = PQgetResult(c);
        ExecStatusType first = PQresultStatus(result);
        PQclear(result);
        result = PQgetResult(c);
        int sent = PQsendQuery(c, "select pg_sleep(0.5), 2");
        sy_pause_ms(100); /* it could begin */
        assert_int_equal(kill(postmaster, SIGCONT), 0);
        assert_int_equal(asked, 1);
        assert_int_equal(first, PGRES_TUPLES_OK);
        assert_null(result);
        assert_int_equal(sent, 1);
        gets_row(c);
        assert_string_equal(sy_run(c, "commit"), "COMMIT");
    }
    PQfreeCancel(cancel);
    PQfinish(c);
}

int main(void)
{
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "late"});
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    char databases[512];
    snprintf(databases, sizeof(databases),
             "{ name = \"app\"; engine = \"postgres\"; pool = { size = 3; connect_timeout = "
             "\"60s\"; };\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=app user=postgres\"; } ); } ); } );",
             (unsigned)sy_cluster_port(cluster, 0));
    router = sy_router_start(databases, NULL, getenv("SY_TEST_LOOP"));
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_late_cancel_hits_no_later_statement)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
