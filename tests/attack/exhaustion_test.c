/*
 * Descriptors and disk run out while the router serves: those who are there go on, it is said in
 * the log, the process does not spin, and when there is room again everybody is served as before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

enum { PATIENCE_MS = 30000, CROWD = 120, FEW_DESCRIPTORS = 90, OWN_DESCRIPTORS = 12 };

static struct sy_cluster *cluster;
static struct sy_router *router;

/* ---- the router's process, from outside ---- */

static unsigned open_descriptors(void)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)sy_router_pid(router));
    DIR *folder = opendir(path);
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count - 2;
}

/* Ticks of CPU time so far. */
static unsigned long cpu_ticks(void)
{
    char path[64], text[1024];
    unsigned long user = 0, kernel = 0;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)sy_router_pid(router));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    size_t bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = '\0';
    const char *rest = strrchr(text, ')');
    assert_int_equal(
        sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel),
        2);
    return user + kernel;
}

static unsigned log_lines_with(const char *text)
{
    char line[4200];
    unsigned count = 0;
    FILE *file = fopen(sy_router_log(router), "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, text) != NULL;
    fclose(file);
    return count;
}

static void limit(int resource, rlim_t value)
{
    struct rlimit old;
    assert_int_equal(prlimit(sy_router_pid(router), (__rlimit_resource_t)resource, NULL, &old), 0);
    old.rlim_cur = value < old.rlim_max ? value : old.rlim_max;
    assert_int_equal(prlimit(sy_router_pid(router), (__rlimit_resource_t)resource, &old, NULL), 0);
}

/* ---- descriptors ---- */

static void everybody_is_served_later(void)
{
    uint64_t end = raw_now_ms() + PATIENCE_MS;
    bool served = false;
    while (!served && raw_now_ms() < end) {
        struct raw good;
        struct sy_buf seen = {0};
        if (raw_login(&good, sy_router_port(router), "postgres", "app")) {
            raw_query(&good, "select 1");
            (void)raw_read(&good, 'Z', PATIENCE_MS);
            raw_describe(&good, &seen);
            served = seen.bytes == 7 && memcmp(seen.data, "TDCZ(I)", 7) == 0;
        }
        sy_buf_release(&seen);
        raw_close(&good);
    }
    assert_true(served);
}

/* The router raises its limit as far as it may, and io_uring looks at it when it is told to accept:
 * so it is born with a small one. */
static void restart_with_descriptors(const struct rlimit *limits)
{
    struct rlimit old, mine;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    mine = limits != NULL ? *limits : old;
    (void)setrlimit(RLIMIT_NOFILE, &mine);
    sy_router_restart(router, true);
    (void)setrlimit(RLIMIT_NOFILE, &old); /* not root: the test has few from now on, too */
}

static void descriptors_run_out(void **state)
{
    (void)state;
    static const char said[] = "cannot accept clients for a moment";
    const struct rlimit few = {.rlim_cur = FEW_DESCRIPTORS, .rlim_max = FEW_DESCRIPTORS};
    struct raw crowd[CROWD];
    unsigned here = 0;
    restart_with_descriptors(&few);
    PGconn *there = sy_router_connect(router, "app", NULL);
    assert_string_equal(sy_ask(there, "select 1"), "1");
    while (here < CROWD && raw_open(&crowd[here], sy_router_port(router)))
        here++; /* the kernel takes them, the router cannot */
    for (unsigned i = 0; i < OWN_DESCRIPTORS && i < here; i++)
        raw_close(&crowd[--here]); /* the test may have as few, and needs some */
    for (uint64_t end = raw_now_ms() + PATIENCE_MS;
         log_lines_with(said) == 0 && raw_now_ms() < end;) {
        assert_string_equal(sy_ask(there, "select 1"), "1");
        sy_pause_ms(1);
    }
    unsigned lines = log_lines_with(said);
    unsigned long ticks = cpu_ticks();
    for (uint64_t begin = raw_now_ms(); raw_now_ms() - begin < 1000;) {
        assert_string_equal(sy_ask(there, "select 1"), "1");
        sy_pause_ms(50);
    }
    ticks = cpu_ticks() - ticks;
    print_message("without descriptors: %lu ticks of CPU in a second, %u lines in the log\n", ticks,
                  log_lines_with(said));
    assert_true(lines > 0);
    assert_true(log_lines_with(said) < 200); /* one that spins says it, too, without end */
    while (here > 0)
        raw_close(&crowd[--here]);
    everybody_is_served_later();
    assert_string_equal(sy_ask(there, "select 1"), "1");
    PQfinish(there);
    restart_with_descriptors(NULL);
}

/* A statement needs a server connection, for which there is no descriptor. */
static void a_server_connection_cannot_be_opened(void **state)
{
    (void)state;
    PGconn *there = sy_router_connect(router, "other", NULL);
    limit(RLIMIT_NOFILE, open_descriptors());
    const char *answer = sy_ask(there, "select 1"); /* unless a connection was there already */
    if (strcmp(answer, "1") != 0 && strncmp(answer, "ERROR 08", 8) != 0 &&
        strncmp(answer, "ERROR 53", 8) != 0 && strncmp(answer, "ERROR 58", 8) != 0)
        fail_msg("the client was told %s", answer);
    limit(RLIMIT_NOFILE, RLIM_INFINITY);
    uint64_t end = raw_now_ms() + PATIENCE_MS;
    while (strcmp(sy_ask(there, "select 1"), "1") != 0 && raw_now_ms() < end)
        sy_pause_ms(10);
    assert_string_equal(sy_ask(there, "select 1"), "1");
    PQfinish(there);
}

/* ---- disk ---- */

static void a_full_disk_fails_writes_of_the_embedded_engine(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "lite", NULL);
    assert_string_equal(sy_run(c, "create table big(id int primary key, t text)"), "CREATE TABLE");
    assert_string_equal(sy_run(c, "insert into big values (1, 'kept')"), "INSERT 0 1");
    limit(RLIMIT_FSIZE, 256 * 1024);
    const char *answer = "";
    for (unsigned i = 2; i < 200 && strncmp(answer, "ERROR", 5) != 0; i++) {
        char sql[128];
        snprintf(sql, sizeof(sql), "insert into big values (%u, repeat('x', 20000))", i);
        answer = sy_run(c, sql);
    }
    print_message("a write to a full disk: %s\n", answer);
    assert_true(strcmp(answer, "ERROR 53100") == 0 || strcmp(answer, "ERROR 58030") == 0);
    assert_string_equal(sy_ask(c, "select t from big where id = 1"), "kept");
    sy_run(c, "begin");
    answer = sy_run(c, "insert into big select g, repeat('y', 20000) from generate_series(1000, "
                       "1100) g");
    if (strncmp(answer, "ERROR", 5) != 0)
        answer = sy_run(c, "commit");
    assert_int_equal(strncmp(answer, "ERROR", 5), 0);
    sy_run(c, "rollback");
    assert_string_equal(sy_ask(c, "select count(*) from big where id >= 1000"), "0");
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
    assert_string_equal(sy_run(c, "insert into big values (5000, 'again')"), "INSERT 0 1");
    assert_string_equal(sy_ask(c, "select t from big where id = 5000"), "again");
    PQfinish(c);
    everybody_is_served_later();
}

/* Without a catalog nothing is written on several shards; everything else goes on. */
static void a_full_disk_at_the_start_costs_the_catalog(void **state)
{
    (void)state;
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    none = old;
    none.rlim_cur = 2048;
    char catalog[160];
    const char *log = sy_router_log(router); /* in the data folder */
    snprintf(catalog, sizeof(catalog), "%.*s/catalog.db", (int)(strrchr(log, '/') - log), log);
    assert_int_equal(unlink(catalog), 0);
    signal(SIGXFSZ, SIG_IGN); /* of the test itself; the router has to see to its own */
    assert_int_equal(truncate(sy_router_log(router), 0), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    signal(SIGXFSZ, SIG_DFL);
    sy_router_restart(router, true);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    everybody_is_served_later();
    PGconn *c = sy_router_connect(router, "shards", NULL);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    (void)sy_run(c, "insert into k values (1), (2), (3), (4), (5), (6)");
    const char *answer = sy_run(c, "commit");
    print_message("a commit on several shards without a catalog: %s\n", answer);
    assert_true(strcmp(answer, "COMMIT") != 0);
    PQfinish(c);
    limit(RLIMIT_FSIZE, RLIM_INFINITY);
}

static void start_router(void)
{
    char databases[2048];
    unsigned port = sy_cluster_port(cluster, 0);
    snprintf(databases, sizeof(databases),
             "{ name = \"app\"; engine = \"postgres\"; shards = ( { name = \"s0\"; nodes = ( {\n"
             "  conninfo = \"host=127.0.0.1 port=%u dbname=s0 user=postgres\"; } ); } ); },\n"
             "{ name = \"other\"; engine = \"postgres\"; shards = ( { name = \"s0\"; nodes = ( {\n"
             "  conninfo = \"host=127.0.0.1 port=%u dbname=s1 user=postgres\"; } ); } ); },\n"
             "{ name = \"lite\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; } ); },\n"
             "{ name = \"shards\"; engine = \"postgres\";\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s0 user=postgres\"; } ); },\n"
             "             { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s1 user=postgres\"; } ); } );\n"
             "  keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int4\";\n"
             "     tables = ( { name = \"k\"; key = \"id\"; } ); } ); } );",
             port, port, port, port);
    router = sy_router_start(databases, NULL, getenv("SY_TEST_LOOP"));
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    signal(SIGPIPE, SIG_IGN);
    cluster = sy_cluster_start(&(struct sy_cluster_options){
        .name = "exhaustion", .conf = "max_prepared_transactions = 10\n"});
    for (int i = 0; i < 2; i++) {
        sy_cluster_sql(cluster, 0, "postgres",
                       i == 0 ? "create database s0" : "create database s1");
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1", "create table k(id int primary key)");
    }
    start_router();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_connection_cannot_be_opened),
        cmocka_unit_test(a_full_disk_fails_writes_of_the_embedded_engine),
        cmocka_unit_test(a_full_disk_at_the_start_costs_the_catalog),
        cmocka_unit_test(descriptors_run_out),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
