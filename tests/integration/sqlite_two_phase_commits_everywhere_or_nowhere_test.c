/* Transactions that write on several embedded shards: all or nothing, whenever the process is
 * killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/integration/two_phase_world.h"

enum { KILLS = 12, PAIRS = 3 };

static struct sy_router *router;

/* Ids 1, 3, 5 ... live on s0, ids 2, 4, 6 ... on s1. */
static const char databases[] =
    "{ name = \"shop\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; replicas = 1; }, { name = "
    "\"s1\"; } );\n keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\"; lists = ( "
    "{ "
    "values = [\"1\", \"3\", \"5\"]; shard = \"s0\"; }, { values = [\"2\", \"4\", \"6\"]; shard = "
    "\"s1\"; } );\n tables = ( { name = \"t\"; key = \"id\"; }, { name = \"child\"; key = "
    "\"t_id\"; "
    "} ); } );\n reference_tables = [ \"tags\" ]; } );";

static void restart(const char *fault)
{
    restart_with(&router, databases, fault);
}

static PGconn *connect_shop(void)
{
    return sy_router_connect(router, "shop", NULL);
}

static void refill(PGconn *c)
{
    sy_expect(c, {"drop table if exists child", "DROP TABLE"},
              {"drop table if exists t", "DROP TABLE"}, {"drop table if exists tags", "DROP TABLE"},
              {"create table t (id bigint primary key, v int not null)", "CREATE TABLE"},
              {"create table child (t_id bigint references t (id) deferrable initially "
               "deferred, n int)",
               "CREATE TABLE"},
              {"create table tags (id int primary key, t text)", "CREATE TABLE"});
    for (int id = 1; id <= 6; id++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "insert into t values (%d, 0)", id);
        assert_string_equal(sy_run(c, sql), "INSERT 0 1");
    }
}

static const char *value(PGconn *c, int id)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "/* switchyard: role=primary */ select v from t where id = %d", id);
    return sy_ask(c, sql);
}

static void assert_both(PGconn *c, const char *expected)
{
    assert_string_equal(value(c, 1), expected);
    assert_string_equal(value(c, 2), expected);
}

/* ---- without trouble ---- */

static void commits_on_both(void **state)
{
    (void)state;
    PGconn *c = connect_shop();
    refill(c);
    write_both(c, "5");
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    assert_both(c, "5");
    write_both(c, "6");
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    assert_both(c, "5");
    write_both_around_a_savepoint(c);
    assert_both(c, "7");
    fail_behind_a_write(c);
    assert_both(c, "7");
    /* Rows of several shards in one statement, a reference table, and whoever comes next. */
    assert_string_equal(sy_run(c, "insert into tags values (1, 'a'), (2, 'b')"), "INSERT 0 2");
    assert_string_equal(sy_run(c, "insert into tags values (1, 'c')"), "ERROR 23505");
    PGconn *other = connect_shop();
    write_both(other, "8");
    assert_string_equal(sy_run(other, "commit"), "COMMIT");
    assert_both(c, "8");
    PQfinish(other);
    PQfinish(c);
}

static void a_refusal_at_the_commit_undoes_all(void **state)
{
    (void)state;
    PGconn *c = connect_shop();
    refill(c);
    for (int bad = 1; bad <= 2; bad++) {
        char sql[96];
        write_both(c, "9");
        snprintf(sql, sizeof(sql), "delete from t where id = %d", bad + 4);
        assert_string_equal(sy_run(c, sql), "DELETE 1");
        snprintf(sql, sizeof(sql), "insert into child values (%d, 1)", bad + 4);
        assert_string_equal(sy_run(c, sql), "INSERT 0 1");
        assert_string_equal(sy_run(c, "commit"), "ERROR 23503");
        assert_both(c, "0");
        snprintf(sql, sizeof(sql), "select count(*) from t where id = %d", bad + 4);
        assert_string_equal(sy_ask(c, sql), "1");
    }
    write_both(c, "1");
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    assert_both(c, "1");
    PQfinish(c);
}

static void a_client_that_goes_away_leaves_nothing(void **state)
{
    (void)state;
    PGconn *c = connect_shop();
    refill(c);
    PGconn *gone = connect_shop();
    write_both(gone, "3");
    PQfinish(gone);
    write_both(c, "4"); /* waits until the writers are free */
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    assert_both(c, "4");
    PQfinish(c);
}

/* Each holds the writer of one shard and wants the other's: nobody sees the circle, the limit for
 * locks ends it. */
static void a_circle_over_two_shards_ends(void **state)
{
    (void)state;
    PGconn *c = connect_shop(), *other = connect_shop();
    refill(c);
    assert_string_equal(sy_ask(c, "show lock_timeout"), "30s");
    assert_string_equal(sy_run(c, "set lock_timeout = '300ms'"), "SET");
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_run(c, "update t set v = 1 where id = 1"), "UPDATE 1");
    assert_string_equal(sy_run(other, "begin"), "BEGIN");
    assert_string_equal(sy_run(other, "update t set v = 2 where id = 2"), "UPDATE 1");
    assert_int_equal(PQsendQuery(other, "update t set v = 2 where id = 1"), 1);
    assert_string_equal(sy_run(c, "update t set v = 1 where id = 2"), "ERROR 55P03");
    assert_string_equal(sy_run(c, "commit"), "ROLLBACK");
    PGresult *result = PQgetResult(other);
    assert_string_equal(PQcmdStatus(result), "UPDATE 1");
    PQclear(result);
    assert_null(PQgetResult(other));
    assert_string_equal(sy_run(other, "commit"), "COMMIT");
    assert_both(c, "2");
    PQfinish(other);
    PQfinish(c);
}

static void prepared_transactions_are_not_the_clients(void **state)
{
    (void)state;
    PGconn *c = connect_shop();
    refill(c);
    sy_expect(c, {"begin", "BEGIN"}, {"update t set v = 1 where id = 1", "UPDATE 1"},
              {"prepare transaction 'mine'", "ERROR 0A000"}, {"rollback", "ROLLBACK"});
    assert_string_equal(value(c, 1), "0");
    PQfinish(c);
}

/* ---- killed between the phases ---- */

static void dies_while_committing(PGconn *c)
{
    PGresult *result = PQexec(c, "commit");
    PQclear(result);
    assert_int_equal(PQstatus(c), CONNECTION_BAD);
    PQfinish(c);
}

static void killed_between_the_phases(void **state)
{
    (void)state;
    static const struct {
        const char *fault, *expected;
    } places[] = {{"two_phase.prepared=1", "0"},
                  {"two_phase.decided=1", "42"},
                  {"two_phase.finished=1", "42"}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        PGconn *c = connect_shop();
        refill(c);
        PQfinish(c);
        restart(places[i].fault);
        c = connect_shop();
        write_both(c, "42");
        dies_while_committing(c);
        restart(NULL);
        c = connect_shop();
        assert_both(c, places[i].expected);
        /* And on: the positions are in order, the replica follows. */
        write_both(c, "43");
        assert_string_equal(sy_run(c, "commit"), "COMMIT");
        assert_both(c, "43");
        assert_string_equal(sy_ask(c, "select v from t where id = 1"), "43");
        PQfinish(c);
    }
}

static void a_change_of_the_schema_is_completed(void **state)
{
    (void)state;
    PGconn *c = connect_shop();
    refill(c);
    PQfinish(c);
    restart("two_phase.decided=1");
    c = connect_shop();
    sy_expect(c, {"begin", "BEGIN"}, {"alter table t add column s serial", "ALTER TABLE"},
              {"update t set v = 1 where id = 2", "UPDATE 1"},
              {"update t set v = 1 where id = 1", "UPDATE 1"});
    dies_while_committing(c);
    restart(NULL);
    c = connect_shop();
    assert_both(c, "1");
    for (int id = 1; id <= 2; id++) {
        char sql[96];
        snprintf(sql, sizeof(sql), "select s > 0 from t where id = %d", id);
        assert_string_equal(sy_ask(c, sql), "t");
        snprintf(sql, sizeof(sql), "delete from t where id = %d", id);
        assert_string_equal(sy_run(c, sql), "DELETE 1");
        snprintf(sql, sizeof(sql), "insert into t values (%d, 7) returning s", id);
        /* The fourth of its shard. */
        assert_string_equal(sy_ask(c, sql), id == 1 ? "52" : "53");
    }
    /* New objects get numbers of their own. */
    assert_string_equal(sy_run(c, "drop table tags"), "DROP TABLE");
    assert_string_equal(sy_run(c, "create table tags (id int primary key, t text)"),
                        "CREATE TABLE");
    for (int shard = 0; shard < 2; shard++) {
        char sql[128];
        snprintf(sql, sizeof(sql),
                 "/* switchyard: shard=s%d */ select count(*) - count(distinct oid) from pg_class",
                 shard);
        assert_string_equal(sy_ask(c, sql), "0");
    }
    PQfinish(c);
}

/* ---- killed at any moment ---- */

struct writer {
    pthread_t thread;
    PGconn *connection;
    int first, second; /* ids on different shards */
    long acknowledged;
};

/* Both rows get the same number, one more each time, in either order. */
static void *write_until_cut(void *argument)
{
    struct writer *w = argument;
    PGconn *c = w->connection;
    for (long v = w->acknowledged + 1;; v++) {
        char sql[200];
        snprintf(sql, sizeof(sql),
                 "begin; update t set v = %ld where id = %d; update t set v = %ld where id = %d; "
                 "commit",
                 v, w->first, v, w->second);
        PGresult *result = PQexec(c, sql);
        bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        if (!good)
            break;
        w->acknowledged = v;
    }
    PQfinish(c);
    return NULL;
}

static void check(PGconn *c, struct writer *w)
{
    long first = strtol(value(c, w->first), NULL, 10),
         second = strtol(value(c, w->second), NULL, 10);
    if (first != second || first < w->acknowledged || first > w->acknowledged + 1)
        fail_msg("rows %d and %d have %ld and %ld; %ld was acknowledged", w->first, w->second,
                 first, second, w->acknowledged);
    w->acknowledged = first;
}

static void killed_at_any_moment(void **state)
{
    (void)state;
    PGconn *c = connect_shop();
    refill(c);
    PQfinish(c);
    struct writer writers[PAIRS] = {
        {.first = 1, .second = 2}, {.first = 3, .second = 4}, {.first = 5, .second = 6}};
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    for (int round = 0; round < KILLS; round++) {
        for (int i = 0; i < PAIRS; i++)
            writers[i].connection = connect_shop();
        for (int i = 0; i < PAIRS; i++)
            pthread_create(&writers[i].thread, NULL, write_until_cut, &writers[i]);
        /* Not a wait for anything: the moment of the kill is what varies. */
        struct timespec pause = {.tv_nsec = 20000000L + (long)(rand_r(&seed) % 200000000)};
        nanosleep(&pause, NULL);
        kill(sy_router_pid(router), SIGKILL);
        for (int i = 0; i < PAIRS; i++)
            pthread_join(writers[i].thread, NULL);
        restart(NULL);
        c = connect_shop();
        for (int i = 0; i < PAIRS; i++)
            check(c, &writers[i]);
        PQfinish(c);
    }
    long total = 0;
    for (int i = 0; i < PAIRS; i++)
        total += writers[i].acknowledged;
    assert_true(total > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_on_both),
        cmocka_unit_test(a_refusal_at_the_commit_undoes_all),
        cmocka_unit_test(a_client_that_goes_away_leaves_nothing),
        cmocka_unit_test(a_circle_over_two_shards_ends),
        cmocka_unit_test(prepared_transactions_are_not_the_clients),
        cmocka_unit_test(killed_between_the_phases),
        cmocka_unit_test(a_change_of_the_schema_is_completed),
        cmocka_unit_test(killed_at_any_moment),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    restart(NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    return failed;
}
