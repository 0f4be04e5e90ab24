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

#include "tests/harness/process.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static PGconn *console;
static uint16_t metrics_port;

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
    sy_pause_ms(200);
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
        sy_pause_ms(10);
    }
    assert_string_equal(sy_run(open, "commit"), "COMMIT");
    assert_string_equal(sy_ask(c, "select b from t where a = 1"), "over a reload");
    sy_router_reload(router, "{ name = \"blog\"; engine = \"nonsense\"; } );", NULL);
    sy_router_wait_log(router, "reload failed, the old configuration stays");
    assert_string_equal(sy_ask(c, "select 1"), "1"); /* a bad file changes nothing */
    sy_router_reload(router, databases, NULL);
    free(databases);
    PQfinish(c);
    PQfinish(open);
}

static void collect(void *opaque, const PGresult *result)
{
    char *text = opaque;
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    size_t used = strlen(text);
    snprintf(text + used, 1024 - used, "%s\n", message == NULL ? "" : message);
}

/* The answer waits until the file was read: RELOAD means that it is in force, an error why not. */
static void reload_tells_what_is_wrong_with_the_file(void **state)
{
    (void)state;
    char warnings[1024] = "";
    PGconn *c = sy_router_connect(router, "switchyard", NULL);
    PQsetNoticeReceiver(c, collect, warnings);
    char *databases = strdup(world_databases(cluster, "size = 4;"));
    sy_router_reload(router, "{ name = \"blog\"; engine = \"nonsense\"; colour = 1; } );", NULL);
    assert_string_equal(sy_run(c, "RELOAD; SHOW VERSION"), "ERROR F0000");
    assert_non_null(strstr(PQerrorMessage(c), "nothing was reloaded"));
    assert_non_null(strstr(warnings, "\"engine\" is \"nonsense\""));
    assert_non_null(strstr(warnings, "unknown key \"colour\""));
    assert_non_null(strstr(warnings, ".conf:"));
    warnings[0] = 0;
    sy_router_reload(router, databases, NULL);
    assert_string_equal(sy_run(c, "RELOAD"), "RELOAD");
    assert_string_equal(warnings, "");
    bool in_force = false;
    PGresult *result = PQexec(c, "SHOW DATABASES");
    for (int i = 0; i < PQntuples(result); i++)
        in_force |= strcmp(PQgetvalue(result, i, PQfnumber(result, "pool_size")), "4") == 0;
    assert_true(in_force);
    PQclear(result);
    free(databases);
    PQfinish(c);
}

static void a_client_that_is_not_there_is_not_killed(void **state)
{
    (void)state;
    assert_string_equal(sy_run(console, "KILL_CLIENT 0x7ffffff0"), "ERROR 42704");
    assert_string_equal(sy_run(console, "KILL_CLIENT x"), "ERROR 42601");
    PGconn *c = sy_router_connect(router, "blog", "application_name=victim");
    char sql[64] = "";
    PGresult *result = PQexec(console, "SHOW CLIENTS");
    for (int i = 0; i < PQntuples(result); i++)
        if (strcmp(PQgetvalue(result, i, PQfnumber(result, "application_name")), "victim") == 0)
            snprintf(sql, sizeof(sql), "KILL_CLIENT %s",
                     PQgetvalue(result, i, PQfnumber(result, "ptr")));
    PQclear(result);
    assert_string_equal(sy_run(console, sql), "KILL_CLIENT");
    assert_string_equal(sy_run(console, sql), "ERROR 42704");
    PQfinish(c);
}

/* As psql -c sends them, with some that have to ask all workers. */
static void several_commands_in_one_query_are_answered_in_order(void **state)
{
    (void)state;
    assert_int_equal(
        PQsendQuery(console, "SHOW VERSION; SHOW CLIENTS;; SHOW LISTS; SHOW VERSION; "), 1);
    static const char *const columns[] = {"version", "type", "list", "version"};
    for (size_t i = 0; i < 4; i++) {
        PGresult *result = PQgetResult(console);
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        assert_string_equal(PQfname(result, 0), columns[i]);
        PQclear(result);
    }
    assert_null(PQgetResult(console));
    assert_string_equal(sy_run(console, "SHOW LISTS; NOSUCH; SHOW VERSION"), "ERROR 42601");
    assert_string_equal(sy_run(console, "SHOW VERSION"), "SHOW");
    assert_string_equal(sy_run(console, " ; "), "");
}

static long long total_of(const char *name)
{
    long long total = -1;
    PGresult *result = PQexec(console, "SHOW STATS");
    for (int i = 0; i < PQntuples(result); i++)
        if (strcmp(PQgetvalue(result, i, 0), "blog") == 0)
            total = strtoll(PQgetvalue(result, i, PQfnumber(result, name)), NULL, 10);
    PQclear(result);
    return total;
}

/* The router counts when it has answered, so the count may come a moment later. */
static void wait_for_count(long long count)
{
    for (int i = 0; i < 1000 && total_of("total_xact_count") < count; i++)
        sy_pause_ms(10);
    assert_int_equal(total_of("total_xact_count"), count);
}

static void time_counts_with_and_without_a_block(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    long long before = total_of("total_xact_time"), count = total_of("total_xact_count");
    (void)sy_ask(c, "select pg_sleep(0.05)");
    wait_for_count(count + 1);
    long long alone = total_of("total_xact_time") - before;
    assert_true(alone >= 50000);
    sy_run(c, "begin");
    (void)sy_ask(c, "select pg_sleep(0.05)");
    sy_run(c, "commit");
    wait_for_count(count + 2);
    assert_true(total_of("total_xact_time") - before - alone >= 50000);
    /* Blocks are counted once, though their statements are queries, too. */
    long long query = total_of("total_query_time");
    before = total_of("total_xact_time");
    sy_run(c, "begin; select pg_sleep(0.05); commit");
    wait_for_count(count + 3);
    assert_true(total_of("total_xact_time") - before <= total_of("total_query_time") - query);
    PQfinish(c);
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
        sy_pause_ms(10);
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
        "POOLS",   "CLIENTS", "SERVERS",      "SOCKETS",        "DATABASES",  "STATS",  "TOTALS",
        "LISTS",   "CONFIG",  "SHARDS",       "KEYSPACES",      "FEDERATION", "TABLES", "NODES",
        "VERSION", "USERS",   "STATS_TOTALS", "STATS_AVERAGES", "HELP"};
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
        cmocka_unit_test(reload_tells_what_is_wrong_with_the_file),
        cmocka_unit_test(a_client_that_is_not_there_is_not_killed),
        cmocka_unit_test(several_commands_in_one_query_are_answered_in_order),
        cmocka_unit_test(time_counts_with_and_without_a_block),
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
