/* What an operator does while clients work: RELOAD, PAUSE, RESUME, RECONNECT, KILL, the console,
 * metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness/process.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static PGconn *console;
static uint16_t metrics_port;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

/* The answer of a statement that was sent, after it became readable. */
static const char *late_answer(PGconn *c)
{
    static char text[64];
    PGresult *result = PQgetResult(c);
    snprintf(text, sizeof(text), "%s",
             PQresultStatus(result) == PGRES_TUPLES_OK ? PQgetvalue(result, 0, 0)
                                                       : PQresultErrorMessage(result));
    PQclear(result);
    while ((result = PQgetResult(c)) != NULL)
        PQclear(result);
    return text;
}

static void pause_holds_statements_and_resume_lets_them_go(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_ask(c, "select 1"), "1");
    assert_string_equal(sy_run(console, "PAUSE blog"), "PAUSE");
    assert_int_equal(PQsendQuery(c, "select 7"), 1);
    pause_ms(200);
    assert_int_equal(PQconsumeInput(c), 1);
    assert_int_equal(PQisBusy(c), 1);
    assert_string_equal(sy_run(console, "RESUME blog"), "RESUME");
    assert_string_equal(late_answer(c), "7");
    assert_string_equal(sy_run(console, "PAUSE nosuch"), "ERROR 3D000");
    assert_string_equal(sy_run(console, "KILL nosuch"), "ERROR 3D000");
    PQfinish(c);
}

static void reload_keeps_clients_and_their_settings(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL),
           *open = sy_router_connect(router, "blog", NULL);
    sy_run(c, "set work_mem to '7MB'");
    sy_run(open, "begin");
    sy_run(open, "insert into t values (1, 'over a reload')");
    char *databases = strdup(world_databases(cluster, "size = 5;"));
    sy_router_reload(router, databases, "metrics = { enabled = true; };");
    assert_string_equal(sy_run(console, "RELOAD"), "RELOAD");
    for (int i = 0; i < 20; i++) {
        assert_string_equal(sy_ask(c, "show work_mem"), "7MB");
        pause_ms(10);
    }
    assert_string_equal(sy_run(open, "commit"), "COMMIT");
    assert_string_equal(sy_ask(c, "select b from t where a = 1"), "over a reload");
    sy_router_reload(router, "{ name = \"blog\"; engine = \"nonsense\"; } );", NULL);
    pause_ms(200);
    assert_string_equal(sy_ask(c, "select 1"), "1"); /* a bad file changes nothing */
    sy_router_reload(router, databases, NULL);
    free(databases);
    PQfinish(c);
    PQfinish(open);
}

static void reconnect_replaces_servers_unseen(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    char before[32];
    snprintf(before, sizeof(before), "%s", sy_ask(c, "select pg_backend_pid()"));
    assert_string_equal(sy_run(console, "RECONNECT blog"), "RECONNECT");
    bool replaced = false;
    for (int i = 0; i < 100 && !replaced; i++) {
        const char *now = sy_ask(c, "select pg_backend_pid()");
        assert_int_not_equal(strncmp(now, "ERROR", 5), 0);
        replaced = strcmp(now, before) != 0;
        pause_ms(10);
    }
    assert_true(replaced);
    PQfinish(c);
}

static const char *column(PGresult *result, int row, const char *name)
{
    int at = PQfnumber(result, name);
    if (at < 0)
        fail_msg("no column %s", name);
    return PQgetvalue(result, row, at);
}

static void servers_and_clients_are_shown_whole(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", "application_name=shown");
    sy_run(c, "begin");
    sy_run(c, "select 1");
    PGresult *result = PQexec(console, "SHOW SERVERS");
    bool seen = false;
    for (int i = 0; i < PQntuples(result); i++) {
        if (strcmp(column(result, i, "state"), "active") != 0)
            continue;
        seen = true;
        assert_string_equal(column(result, i, "user"), "postgres");
        assert_string_equal(column(result, i, "database"), "blog");
        assert_string_equal(column(result, i, "local_addr"), "127.0.0.1");
        assert_true(atoi(column(result, i, "local_port")) > 0);
        assert_true(atoi(column(result, i, "remote_pid")) > 0);
        assert_int_equal(strncmp(column(result, i, "connect_time"), "19", 2) == 0, 0);
        assert_int_equal(strncmp(column(result, i, "request_time"), "19", 2) == 0, 0);
        assert_true(strlen(column(result, i, "link")) > 0);
        assert_string_equal(column(result, i, "shard"), "s0");
    }
    assert_true(seen);
    PQclear(result);
    result = PQexec(console, "SHOW CLIENTS");
    seen = false;
    for (int i = 0; i < PQntuples(result); i++) {
        if (strcmp(column(result, i, "application_name"), "shown") != 0)
            continue;
        seen = true;
        assert_string_equal(column(result, i, "state"), "active");
        assert_string_equal(column(result, i, "transaction"), "T");
        assert_int_equal(atoi(column(result, i, "local_port")), sy_router_port(router));
        assert_true(strlen(column(result, i, "link")) > 0);
    }
    assert_true(seen);
    PQclear(result);
    sy_run(c, "commit");
    PQfinish(c);
}

static void every_show_answers(void **state)
{
    (void)state;
    static const char *const shows[] = {
        "POOLS",  "CLIENTS", "SERVERS", "SOCKETS",      "DATABASES",      "STATS",
        "TOTALS", "LISTS",   "CONFIG",  "SHARDS",       "KEYSPACES",      "TABLES",
        "NODES",  "VERSION", "USERS",   "STATS_TOTALS", "STATS_AVERAGES", "HELP"};
    for (size_t i = 0; i < sizeof(shows) / sizeof(shows[0]); i++) {
        char sql[48];
        snprintf(sql, sizeof(sql), "SHOW %s", shows[i]);
        PGresult *result = PQexec(console, sql);
        if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
            fail_msg("%s: %s", sql, PQerrorMessage(console));
        PQclear(result);
    }
}

static void metrics_count(void **state)
{
    (void)state;
    char command[160], line[512];
    snprintf(command, sizeof(command), "/usr/bin/curl -s http://127.0.0.1:%u/metrics",
             (unsigned)metrics_port);
    FILE *pipe = popen(command, "r"); /* NOLINT: a fixed command */
    assert_non_null(pipe);
    bool ended = false, statements = false, up = false;
    while (fgets(line, sizeof(line), pipe) != NULL) {
        ended = strcmp(line, "# EOF\n") == 0;
        up = up || (strstr(line, "switchyard_node_up{") != NULL && strstr(line, "} 1\n") != NULL);
        statements =
            statements || (strstr(line, "statements") != NULL && strstr(line, "blog") != NULL);
    }
    pclose(pipe);
    assert_true(ended);
    assert_true(statements);
    assert_true(up);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pause_holds_statements_and_resume_lets_them_go),
        cmocka_unit_test(reload_keeps_clients_and_their_settings),
        cmocka_unit_test(reconnect_replaces_servers_unseen),
        cmocka_unit_test(servers_and_clients_are_shown_whole),
        cmocka_unit_test(every_show_answers),
        cmocka_unit_test(metrics_count),
    };
    cluster = world_cluster();
    metrics_port = sy_free_port();
    char extra[128];
    snprintf(extra, sizeof(extra), "metrics = { enabled = true; port = %u; };",
             (unsigned)metrics_port);
    router = sy_router_start(world_databases(cluster, "size = 3;"), extra, getenv("SY_TEST_LOOP"));
    console = sy_router_connect(router, "switchyard", NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(console);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
