/* pg_dump and pg_restore run through the router: a whole unsharded database, a table of a sharded
 * one. */
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

static char folder[64];

/* In the folder, with $PORT and PostgreSQL's programs at hand. */
static int shell(const char *command)
{
    char with[640];
    snprintf(with, sizeof(with),
             "PATH=/usr/lib/postgresql/15/bin:$PATH; export PGHOST=127.0.0.1 PGPORT=%u "
             "PGUSER=postgres; cd %s && %s",
             (unsigned)sy_router_port(router), folder, command);
    return system(with); /* NOLINT: fixed commands of a test */
}

static void an_unsharded_database_is_dumped_and_restored(void **state)
{
    (void)state;
    sy_cluster_sql(cluster, 0, "blog",
                   "insert into t select i, repeat('x', i % 90) from generate_series(1, 2000) i;"
                   "create view v as select a from t; create sequence q; create index on t (b);"
                   "create function f(int) returns int language sql as 'select $1 + 1'");
    assert_int_equal(shell("pg_dump -Fc -f whole blog"), 0);
    assert_int_equal(shell("pg_restore --exit-on-error -d copy whole"), 0);
    static const char sum[] =
        "select count(*) || '/' || sum(a) || '/' || md5(string_agg(b, ',' order by a)) from t";
    char before[128];
    snprintf(before, sizeof(before), "%s", sy_cluster_value(cluster, 0, "blog", sum));
    assert_string_equal(sy_cluster_value(cluster, 0, "copied", sum), before);
    assert_string_equal(sy_cluster_value(cluster, 0, "copied", "select f(1)"), "2");
}

static void a_sharded_table_is_dumped_and_restored(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (int id = 1; id <= 8; id++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "insert into customers values (%d, 'name %d')", id, id);
        assert_string_equal(sy_run(c, sql), "INSERT 0 1");
    }
    assert_int_equal(shell("pg_dump --data-only -t customers -f data.sql shop"), 0);
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1", "truncate customers");
    assert_int_equal(shell("psql -X -q -v ON_ERROR_STOP=1 -f data.sql shop >/dev/null"), 0);
    for (int id = 1; id <= 8; id++) {
        char sql[96], wanted[16];
        snprintf(sql, sizeof(sql), "select name from customers where id = %d", id);
        snprintf(wanted, sizeof(wanted), "name %d", id);
        assert_string_equal(sy_ask(c, sql), wanted);
    }
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unsharded_database_is_dumped_and_restored),
        cmocka_unit_test(a_sharded_table_is_dumped_and_restored),
    };
    cluster = world_cluster();
    sy_cluster_sql(cluster, 0, "postgres", "create database copied");
    snprintf(folder, sizeof(folder), "/tmp/sy-dump-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    char databases[8192];
    snprintf(databases, sizeof(databases),
             "{ name = \"copy\"; engine = \"postgres\"; shards = ( { name = \"s0\"; nodes = ( { "
             "conninfo = "
             "\"host=127.0.0.1 port=%u dbname=copied user=postgres\"; } ); } ); },\n%s",
             (unsigned)sy_cluster_port(cluster, 0), world_databases(cluster, "size = 3;"));
    router = sy_router_start(databases, NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    if (failed == 0)
        sy_remove_tree(folder);
    return sy_harness_finish(failed);
}
