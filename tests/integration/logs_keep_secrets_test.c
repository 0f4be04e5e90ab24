/* Whatever clients, servers and operators do wrong, the log has no password, no bind value, no text
 * of a statement, and no control character that could forge a line or move a terminal. */
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

#define MARK "Xyzzy7"

static struct sy_cluster *cluster;
static struct sy_router *router;

static const char users[] =
    "log = { level = \"debug\"; };\n"
    "users = ( { name = \"app\"; password = \"" MARK "-password\"; }, { name = \"postgres\"; "
    "admin = true; } );\n"
    "auth = ( { address = \"127.0.0.1\"; user = \"app\"; method = \"scram-sha-256\"; }, "
    "{ address = \"127.0.0.1\"; method = \"trust\"; } );\n";

static void try_login(const char *user, const char *database, const char *password,
                      const char *application)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)sy_router_port(router));
    const char *words[] = {"host", "port", "user", "dbname", "password", "application_name", NULL};
    const char *values[] = {"127.0.0.1", port, user, database, password, application, NULL};
    PGconn *c = PQconnectdbParams(words, values, 0);
    if (PQstatus(c) == CONNECTION_OK)
        PQclear(PQexec(c, "select '" MARK "'"));
    PQfinish(c);
}

static void ignore(void *opaque, const char *message)
{
    (void)opaque;
    (void)message;
}

static void logins(void)
{
    static const char forged[] = "a\nts=1 level=info event=forged\r\x1b[2J\x7f\xc2\x9b";
    try_login("app", "blog", MARK "-password", forged);
    try_login("app", "blog", MARK "-wrong", "x");
    try_login(forged, "blog", MARK, "x");
    try_login("app", forged, MARK, forged);
    try_login("postgres", forged, MARK, forged);
}

static void statements(const char *database)
{
    static const char *const wrong[] = {
        "selec '" MARK "'",
        "select '" MARK "'::int",
        "insert into nosuch values ('" MARK "')",
        "insert into customers values (1, '" MARK "'), (1, '" MARK "')",
        "update customers set name = '" MARK "' where id = 1 and 1/0 = 1",
        "/* switchyard: " MARK " */ select 1",
        "do $$ begin raise warning '" MARK "'; raise exception '" MARK "'; end $$",
        "set search_path to '" MARK "'",
        "prepare " MARK " as select '" MARK "'",
        "execute " MARK "('" MARK "')",
        "explain (route) select '" MARK "' from " MARK,
        "begin; select '" MARK "'; commit prepared '" MARK "'",
        "commit",
    };
    PGconn *c = sy_router_connect(router, database, NULL);
    PQsetNoticeProcessor(c, ignore, NULL);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        PQclear(PQexec(c, wrong[i]));
    const char *value = MARK;
    PQclear(PQexecParams(c, "select $1::int", 1, NULL, &value, NULL, NULL, 0));
    PQclear(
        PQexecParams(c, "select * from customers where id = $1", 1, NULL, &value, NULL, NULL, 0));
    PQclear(PQexec(c, "copy customers from stdin"));
    (void)PQputCopyData(c, MARK "\t" MARK "\n", 14);
    (void)PQputCopyEnd(c, NULL);
    for (PGresult *result; (result = PQgetResult(c)) != NULL;)
        PQclear(result);
    PQfinish(c);
}

static void lost_servers(void)
{
    PGconn *c = sy_router_connect(router, "blog", NULL);
    (void)sy_ask(c, "select 1");
    (void)sy_ask(c, "select pg_terminate_backend(pg_backend_pid()), '" MARK "'");
    sy_run(c, "alter role postgres password '" MARK "'");
    sy_run(c, "insert into t values (pg_terminate_backend(pg_backend_pid())::int, '" MARK "')");
    PQfinish(c);
}

static void files_with_problems(const char *databases)
{
    PGconn *c = sy_router_connect(router, "switchyard", NULL);
    PQsetNoticeProcessor(c, ignore, NULL);
    static const char *const bad[] = {
        "users = ( { name = \"app\"; password = \"" MARK "\"; nonsense = 1; } );",
        "users = ( { name = \"app\"; secret = \"" MARK "\"; } );",
        "users = ( { name = \"app\"; secret = \"SCRAM-SHA-256$" MARK "\"; password = \"" MARK
        "\"; } );",
        "users = ( { name = \"app\"; password = ( \"" MARK "\" ); } );",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        sy_router_reload(router, databases, bad[i]);
        (void)sy_run(c, "RELOAD");
    }
    sy_router_reload(router,
                     "{ name = \"blog\"; shards = ( { name = \"s0\"; nodes = ( { conninfo = "
                     "\"host=a,b password=" MARK " sslmode=maybe\"; } ); } ); } );",
                     users);
    assert_string_equal(sy_run(c, "RELOAD"), "ERROR F0000");
    sy_router_reload(router, databases, users);
    assert_string_equal(sy_run(c, "RELOAD"), "RELOAD");
    PQfinish(c);
}

static void the_log_has_no_secret_and_no_control_character(void **state)
{
    (void)state;
    char *databases = strdup(world_databases(cluster, "size = 3;"));
    logins();
    statements("blog");
    statements("shop");
    lost_servers();
    files_with_problems(databases);
    free(databases);
    FILE *file = fopen(sy_router_log(router), "r");
    assert_non_null(file);
    char *line = NULL;
    size_t room = 0;
    int lines = 0;
    for (ssize_t bytes; (bytes = getline(&line, &room, file)) > 0; lines++) {
        assert_int_equal(strncmp(line, "ts=1 ", 5) == 0, 0);
        if (strstr(line, MARK) != NULL)
            fail_msg("a secret in the log: %s", line);
        for (ssize_t i = 0; i < bytes - 1; i++)
            if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
                fail_msg("control character %d in the log: %s", line[i], line);
    }
    assert_true(lines > 3);
    free(line);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_has_no_secret_and_no_control_character),
    };
    cluster = world_cluster();
    router = sy_router_start(world_databases(cluster, "size = 3;"), users, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
