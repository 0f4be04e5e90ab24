/* Reads are spread over replicas, and a client always reads its own writes there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static char where[128]; /* asks a server who it is: the replica's name is its port */

static bool reads_from_replica(PGconn *c)
{
    for (int i = 0; i < 200; i++) {
        if (strcmp(sy_ask(c, where), "replica") == 0)
            return true;
        sy_pause_ms(10);
    }
    return false;
}

static void reads_reach_a_replica_and_writes_the_primary(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_true(reads_from_replica(c));
    assert_string_equal(sy_run(c, "insert into t values (1000)"), "INSERT 0 1");
    PQfinish(c);
}

static void own_writes_are_seen_while_the_replica_lags(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL),
           *other = sy_router_connect(router, "blog", NULL);
    sy_cluster_sql(cluster, 1, "blog", "select pg_wal_replay_pause()");
    for (int i = 0; i < 20; i++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "insert into t values (%d)", 2000 + i);
        assert_string_equal(sy_run(c, sql), "INSERT 0 1");
        snprintf(sql, sizeof(sql), "select count(*) from t where a = %d", 2000 + i);
        assert_string_equal(sy_ask(c, sql), "1");
    }
    sy_run(c, "begin");
    sy_run(c, "insert into t values (3000)");
    sy_run(c, "commit");
    assert_string_equal(sy_ask(c, "select count(*) from t where a = 3000"), "1");
    const char *value = "3001";
    PGresult *result = PQexecParams(c, "insert into t values ($1)", 1, NULL, &value, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    result = PQexecParams(c, "select count(*) from t where a = $1", 1, NULL, &value, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(result, 0, 0), "1");
    PQclear(result);
    char set[128];
    snprintf(set, sizeof(set), "set switchyard.min_lsn to '%s'", sy_ask(c, "show switchyard.lsn"));
    assert_string_equal(sy_run(other, set),
                        "SET"); /* the position travels, as between web requests */
    assert_string_equal(sy_ask(other, "select count(*) from t where a = 3001"), "1");
    sy_cluster_sql(cluster, 1, "blog", "select pg_wal_replay_resume()");
    assert_true(reads_from_replica(c));
    assert_string_equal(sy_ask(c, "select count(*) from t where a = 3001"), "1");
    PQfinish(c);
    PQfinish(other);
}

static void strong_reads_stay_on_the_primary(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    sy_run(c, "set switchyard.consistency to strong");
    for (int i = 0; i < 10; i++)
        assert_string_equal(sy_ask(c, where), "primary");
    PQfinish(c);
}

static void a_read_only_transaction_may_use_a_replica(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_true(reads_from_replica(c));
    bool replica = false;
    for (int i = 0; i < 10 && !replica; i++) {
        sy_run(c, "begin read only");
        replica = strcmp(sy_ask(c, where), "replica") == 0;
        sy_run(c, "commit");
    }
    assert_true(replica);
    sy_run(c, "begin");
    assert_string_equal(sy_ask(c, where), "primary");
    sy_run(c, "commit");
    PQfinish(c);
}

/* A read-only block reads of a replica, and asks the primary what a replica may not answer: both
 * are of the same shard then, whose rows are told once. */
static void rows_are_told_once_where_replica_and_primary_have_joined(void **state)
{
    (void)state;
    static const char *const reads[] = {"select id from wide", "select id from wide order by id",
                                        "select id from wide order by id limit 100"};
    PGconn *c = sy_router_connect(router, "wide", NULL);
    for (int round = 0; round < 4; round++) {
        assert_string_equal(sy_run(c, "begin read only"), "BEGIN");
        assert_string_equal(sy_ask(c, "select 1"), "1");
        assert_string_equal(sy_ask(c, "select clock_timestamp() is null"), "f");
        for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
            assert_string_equal(sy_run(c, reads[i]), "SELECT 8");
            PGresult *said = PQexecParams(c, reads[i], 0, NULL, NULL, NULL, NULL, 0);
            assert_int_equal(PQntuples(said), 8);
            PQclear(said);
        }
        assert_string_equal(sy_ask(c, "select count(*) from wide"), "8");
        assert_string_equal(sy_run(c, "commit"), "COMMIT");
    }
    PQfinish(c);
}

static void what_a_replica_refuses_runs_on_the_primary(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    /* Declared stable, writes all the same: only the replica can tell. */
    for (int i = 0; i < 10; i++)
        assert_string_equal(sy_ask(c, "select liar()"), "done");
    PQfinish(c);
}

static void count_notice(void *opaque, const PGresult *result)
{
    (void)result;
    ++*(int *)opaque;
}

static void a_hint_is_followed_told_or_refused(void **state)
{
    (void)state;
    int notices = 0;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    PQsetNoticeReceiver(c, count_notice, &notices);
    char hinted[192];
    snprintf(hinted, sizeof(hinted), "/* switchyard: role=primary */ %s", where);
    for (int i = 0; i < 5; i++)
        assert_string_equal(sy_ask(c, hinted), "primary");
    snprintf(hinted, sizeof(hinted), "/* switchyard: role=replica */ %s", where);
    bool replica = false;
    for (int i = 0; i < 200 && !replica; i++) {
        replica = strcmp(sy_ask(c, hinted), "replica") == 0;
        sy_pause_ms(10);
    }
    assert_true(replica);
    assert_int_equal(notices, 0);
    assert_string_equal(sy_run(c, "/* switchyard: role=replica */ insert into t values (1)"),
                        "ERROR 0A000");
    assert_string_equal(sy_run(c, "/* switchyard: role=replica */ select random()"), "ERROR 0A000");
    assert_string_equal(sy_run(c, "/* switchyard: rule=replica */ select 1"), "ERROR 42601");
    assert_string_equal(sy_run(c, "/* switchyard: role=replic */ select 1"), "ERROR 42601");
    assert_string_equal(sy_run(c, "/* switchyard: shard=nosuch */ select 1"), "ERROR 22023");
    sy_run(c, "begin");
    assert_string_equal(sy_ask(c, hinted), "primary");
    assert_int_equal(notices, 1);
    PQclear(PQexecParams(c, hinted, 0, NULL, NULL, NULL, NULL, 0));
    assert_int_equal(notices, 2);
    sy_run(c, "commit");
    sy_run(c, "set switchyard.consistency = strong");
    assert_string_equal(sy_ask(c, hinted), "primary");
    assert_int_equal(notices, 3);
    PQfinish(c);
}

static void a_replica_that_dies_is_left_out(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_true(reads_from_replica(c));
    sy_cluster_stop_node(cluster, 1, SY_STOP_KILL);
    int failures = 0;
    for (int i = 0; i < 100; i++) {
        failures += strncmp(sy_ask(c, where), "ERROR", 5) == 0;
        sy_pause_ms(10);
    }
    assert_int_equal(failures, 0);
    assert_string_equal(sy_ask(c, where), "primary");
    sy_cluster_start_node(cluster, 1);
    assert_true(reads_from_replica(c));
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_reach_a_replica_and_writes_the_primary),
        cmocka_unit_test(own_writes_are_seen_while_the_replica_lags),
        cmocka_unit_test(strong_reads_stay_on_the_primary),
        cmocka_unit_test(a_read_only_transaction_may_use_a_replica),
        cmocka_unit_test(rows_are_told_once_where_replica_and_primary_have_joined),
        cmocka_unit_test(what_a_replica_refuses_runs_on_the_primary),
        cmocka_unit_test(a_hint_is_followed_told_or_refused),
        cmocka_unit_test(a_replica_that_dies_is_left_out),
    };
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "s0", .replicas = 1});
    sy_cluster_sql(cluster, 0, "postgres", "create database blog");
    sy_cluster_sql(cluster, 0, "blog", "create table t(a int); insert into t values (1);");
    sy_cluster_sql(cluster, 0, "blog",
                   "create function liar() returns text stable language plpgsql as $$ begin "
                   "perform pg_current_wal_lsn(); return 'done'; end $$");
    sy_cluster_sql(cluster, 0, "blog",
                   "create function whoami() returns text stable language sql as $$ select "
                   "current_setting('port') $$");
    for (int shard = 0; shard < 2; shard++) {
        char name[8], sql[96];
        snprintf(name, sizeof(name), "w%d", shard);
        snprintf(sql, sizeof(sql), "create database %s", name);
        sy_cluster_sql(cluster, 0, "postgres", sql);
        snprintf(sql, sizeof(sql),
                 "create table wide(id int); insert into wide select generate_series(%d, %d)",
                 shard * 4, shard * 4 + 3);
        sy_cluster_sql(cluster, 0, name, sql);
    }
    sy_cluster_catch_up(cluster);
    char databases[2048];
    unsigned primary = sy_cluster_port(cluster, 0), replica = sy_cluster_port(cluster, 1);
    snprintf(databases, sizeof(databases),
             "{ name = \"wide\"; engine = \"postgres\"; shards = (\n"
             " { name = \"w0\"; nodes = (\n"
             "  { conninfo = \"host=127.0.0.1 port=%u dbname=w0 user=postgres\"; },\n"
             "  { conninfo = \"host=127.0.0.1 port=%u dbname=w0 user=postgres\"; } ); },\n"
             " { name = \"w1\"; nodes = (\n"
             "  { conninfo = \"host=127.0.0.1 port=%u dbname=w1 user=postgres\"; },\n"
             "  { conninfo = \"host=127.0.0.1 port=%u dbname=w1 user=postgres\"; } ); } );\n"
             " keyspaces = ( { name = \"k\"; strategy = \"range\"; type = \"int4\"; ranges = (\n"
             "  { upto = \"4\"; shard = \"w0\"; }, { shard = \"w1\"; } );\n"
             "  tables = ( { name = \"wide\"; key = \"id\"; } ); } ); },\n"
             "{ name = \"blog\"; engine = \"postgres\"; shards = ( { name = \"s0\"; nodes = (\n"
             "  { conninfo = \"host=127.0.0.1 port=%u dbname=blog user=postgres\"; },\n"
             "  { conninfo = \"host=127.0.0.1 port=%u dbname=blog user=postgres\"; } ); } ); } );",
             primary, replica, primary, replica, primary, replica);
    snprintf(where, sizeof(where),
             "select case when whoami() = '%u' then 'replica' else 'primary' end", replica);
    router = sy_router_start(databases, NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
