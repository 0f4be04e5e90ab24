/* Transactions that write on several shards: all or nothing, whoever is killed when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "router/topology/transactions.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/integration/two_phase_world.h"

static struct sy_cluster *shards[3]; /* s2 has prepared transactions switched off */
static struct sy_router *router;
static char databases[4096];

static const char *const tables = "create table t(id bigint primary key, v int not null);"
                                  "create table tags(id int primary key, t text);";

static void start_servers(void)
{
    static const char *const names[] = {"s0", "s1", "s2"};
    for (int i = 0; i < 3; i++) {
        shards[i] = sy_cluster_start(&(struct sy_cluster_options){
            .name = names[i], .conf = i == 2 ? "max_prepared_transactions = 0" : NULL});
        sy_cluster_sql(shards[i], 0, "postgres", tables);
    }
    unsigned p0 = sy_cluster_port(shards[0], 0), p1 = sy_cluster_port(shards[1], 0),
             p2 = sy_cluster_port(shards[2], 0);
    static const char one[] = "{ name = \"%s\"; engine = \"postgres\";\n shards = ("
                              "{ name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
                              "dbname=postgres user=postgres\"; } ); },\n"
                              "{ name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
                              "dbname=postgres user=postgres\"; } ); } );\n"
                              "keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\"; "
                              "lists = ( { values = [\"1\", \"3\"]; shard = \"s0\"; }, { values = "
                              "[\"2\", \"4\"]; shard = \"s1\"; } );\n tables = ( { name = \"t\"; "
                              "key = \"id\"; } ); } ); reference_tables = [ \"tags\" ]; }";
    int at = snprintf(databases, sizeof(databases), one, "shop", p0, p1);
    at += snprintf(databases + at, sizeof(databases) - (size_t)at, ",\n");
    at += snprintf(databases + at, sizeof(databases) - (size_t)at, one, "bare", p2, p1);
    static const char three[] =
        ",\n{ name = \"trio\"; engine = \"postgres\";\n shards = ("
        "{ name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=postgres "
        "user=postgres\"; } ); },\n { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 "
        "port=%u dbname=postgres user=postgres\"; } ); },\n { name = \"s2\"; nodes = ( { conninfo "
        "= \"host=127.0.0.1 port=%u dbname=postgres user=postgres\"; } ); } );\n"
        "keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\"; lists = ( { values = "
        "[\"1\", \"3\"]; shard = \"s0\"; }, { values = [\"2\", \"4\"]; shard = \"s1\"; }, { values "
        "= [\"5\"]; shard = \"s2\"; } );\n tables = ( { name = \"t\"; key = \"id\"; } ); } ); }";
    at += snprintf(databases + at, sizeof(databases) - (size_t)at, three, p0, p1, p2);
    snprintf(databases + at, sizeof(databases) - (size_t)at, ");");
}

static void restart(const char *fault)
{
    restart_with(&router, databases, fault);
}

static void refill(void)
{
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(shards[i], 0, "postgres", "delete from t; delete from tags");
    sy_cluster_sql(shards[0], 0, "postgres", "insert into t values (1, 0), (3, 0)");
    sy_cluster_sql(shards[1], 0, "postgres", "insert into t values (2, 0), (4, 0)");
}

static const char *value_on(int shard, int id)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "select v from t where id = %d", id);
    return sy_cluster_value(shards[shard], 0, "postgres", sql);
}

static void assert_both(const char *expected)
{
    assert_string_equal(value_on(0, 1), expected);
    assert_string_equal(value_on(1, 2), expected);
}

static bool nothing_prepared(int timeout_ms)
{
    bool good = true;
    for (int i = 0; i < 2; i++)
        good = good &&
               sy_cluster_wait(shards[i], 0, "postgres",
                               "select not exists (select from pg_prepared_xacts)", timeout_ms);
    return good;
}

static unsigned long long shard_id(const char *database, const char *shard)
{
    return sy_gid_shard(sy_slice_of(database), sy_slice_of(shard));
}

/* ---- without trouble ---- */

static void commits_on_both(void **state)
{
    (void)state;
    refill();
    PGconn *c = sy_router_connect(router, "shop", NULL);
    write_both(c, "5");
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    assert_both("5");
    write_both(c, "6");
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    assert_both("5");
    write_both_around_a_savepoint(c);
    assert_both("7");
    fail_behind_a_write(c);
    assert_both("7");
    assert_true(nothing_prepared(0));
    PQfinish(c);
}

static void copies_and_definitions(void **state)
{
    (void)state;
    refill();
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_expect(c, {"insert into tags values (1, 'a'), (2, 'b')", "INSERT 0 2"},
              {"alter table tags add column more int", "ALTER TABLE"},
              {"alter table tags drop column more", "ALTER TABLE"},
              {"insert into tags values (1, 'c')", "ERROR 23505"});
    for (int i = 0; i < 2; i++)
        assert_string_equal(sy_cluster_value(shards[i], 0, "postgres",
                                             "select string_agg(t, ',' order by id) from tags"),
                            "a,b");
    assert_true(nothing_prepared(0));
    PQfinish(c);
}

/* 66 is refused at the commit. */
static const char late_refusal[] =
    "create function f() returns trigger language plpgsql as 'begin if new.v = 66 then raise "
    "exception ''no'' using errcode = ''22012''; end if; return null; end'; create constraint "
    "trigger late after update on t deferrable initially deferred for each row execute function "
    "f()";

/* A constraint that is checked at the commit fails on one of them: on none is anything changed. */
static void refusal_at_prepare_or_decision(void **state)
{
    (void)state;
    refill();
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(shards[i], 0, "postgres", late_refusal);
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (int bad = 1; bad <= 2; bad++) {
        char sql[100];
        assert_string_equal(sy_run(c, "begin"), "BEGIN");
        snprintf(sql, sizeof(sql), "update t set v = %d where id = 1", bad == 1 ? 66 : 10);
        assert_string_equal(sy_run(c, sql), "UPDATE 1");
        snprintf(sql, sizeof(sql), "update t set v = %d where id = 2", bad == 2 ? 66 : 10);
        assert_string_equal(sy_run(c, sql), "UPDATE 1");
        assert_string_equal(sy_run(c, "commit"), "ERROR 22012");
        assert_string_equal(sy_ask(c, "select 1"), "1");
        assert_both("0");
    }
    assert_true(nothing_prepared(0));
    PQfinish(c);
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(shards[i], 0, "postgres", "drop trigger late on t; drop function f");
}

static void a_setting_survives_what_became_of_the_transaction(void **state)
{
    (void)state;
    refill();
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_expect(c, {"set work_mem = '5MB'", "SET"}, {"begin", "BEGIN"},
              {"update t set v = 1 where id = 1", "UPDATE 1"}, {"set work_mem = '6MB'", "SET"},
              {"update t set v = 1 where id = 2", "UPDATE 1"}, {"rollback", "ROLLBACK"});
    for (int id = 1; id <= 2; id++) {
        char sql[100];
        snprintf(sql, sizeof(sql), "select current_setting('work_mem') from t where id = %d", id);
        assert_string_equal(sy_ask(c, sql), "5MB");
    }
    PQfinish(c);
}

static void a_server_without_prepared_transactions_is_named(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "bare", NULL);
    PGresult *result = PQexec(c, "insert into tags values (100, 'x')");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "55000");
    assert_non_null(
        strstr(PQresultErrorField(result, PG_DIAG_MESSAGE_HINT), "max_prepared_transactions"));
    assert_non_null(strstr(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), "s0/0"));
    PQclear(result);
    assert_string_equal(sy_cluster_value(shards[1], 0, "postgres",
                                         "select count(*) from tags "
                                         "where id = 100"),
                        "0");
    PQfinish(c);
}

/* ---- the router is killed ---- */

static void killed_at(const char *fault, const char *expected)
{
    refill();
    restart(fault);
    PGconn *c = sy_router_connect(router, "shop", NULL);
    write_both(c, "42");
    PGresult *result = PQexec(c, "commit");
    assert_int_not_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    PQfinish(c);
    restart(NULL);
    assert_true(nothing_prepared(10000));
    assert_both(expected);
}

static void the_router_dies_before_the_decision(void **state)
{
    (void)state;
    killed_at("two_phase.prepared=1", "0");
}

static void the_router_dies_after_the_decision(void **state)
{
    (void)state;
    killed_at("two_phase.decided=1", "42");
}

static void the_router_dies_before_it_can_tell(void **state)
{
    (void)state;
    killed_at("two_phase.finished=1", "42");
}

/* ---- servers are killed ---- */

/* A committed transaction whose participant is down carries a warning: nothing to fail for. */
static void on_notice(void *ctx, const PGresult *result)
{
    (void)ctx;
    print_message("%s", PQresultErrorMessage(result));
}

static void random_kills(void **state)
{
    (void)state;
    refill();
    int acknowledged = 0, unknown = 0;
    for (int round = 1; round <= 6; round++) {
        int victim = round % 2;
        char value[16];
        PGconn *c = sy_router_connect(router, "shop", NULL);
        PQsetNoticeReceiver(c, on_notice, NULL);
        snprintf(value, sizeof(value), "%d", round);
        write_both(c, value);
        assert_int_equal(PQsendQuery(c, "commit"), 1);
        nanosleep(&(struct timespec){0, round * 300000L}, NULL);
        sy_cluster_stop_node(shards[victim], 0, SY_STOP_KILL);
        PGresult *result = PQgetResult(c);
        bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
        const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        bool uncertain = code != NULL && strcmp(code, "08007") == 0;
        acknowledged += good;
        unknown += uncertain;
        PQclear(result);
        PQfinish(c);
        sy_cluster_start_node(shards[victim], 0);
        assert_true(nothing_prepared(20000));
        char left[16], right[16];
        snprintf(left, sizeof(left), "%s", value_on(0, 1));
        snprintf(right, sizeof(right), "%s", value_on(1, 2));
        assert_string_equal(left, right);
        if (good)
            assert_string_equal(left, value);
        else if (!uncertain)
            assert_string_not_equal(left, value);
    }
    print_message("acknowledged %d, unknown %d of 6\n", acknowledged, unknown);
}

/* ---- recovery beside a committer that is slow ---- */

static void recovery_waits_for_a_slow_committer(void **state)
{
    (void)state;
    refill();
    /* The decider's row is inserted and not committed: recovery's insert waits for it. What a
     * router of this cluster left is imitated by hand, with the name of an older incarnation. */
    PGconn *c = sy_router_connect(router, "shop", NULL);
    write_both(c, "1");
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    char key[128], gid[200], sql[400];
    snprintf(key, sizeof(key), "%s",
             sy_cluster_value(shards[1], 0, "postgres",
                              "select gid from switchyard.commit_log where gid like 'sy\\_%' order "
                              "by at desc limit 1"));
    PGconn *participant = sy_cluster_connect(shards[0], 0, "postgres");
    PGconn *decider = sy_cluster_connect(shards[1], 0, "postgres");
    assert_true(strlen(key) > 60);
    key[50] = key[50] == '0' ? '1' : '0'; /* another random number */
    assert_string_equal(sy_run(participant, "begin"), "BEGIN");
    assert_string_equal(sy_run(participant, "update t set v = 77 where id = 1"), "UPDATE 1");
    snprintf(gid, sizeof(gid), "%s_%016llx", key, shard_id("shop", "s0"));
    snprintf(sql, sizeof(sql), "prepare transaction '%s'", gid);
    assert_string_equal(sy_run(decider, "begin"), "BEGIN");
    assert_string_equal(sy_run(decider, "update t set v = 77 where id = 2"), "UPDATE 1");
    char insert[300];
    snprintf(insert, sizeof(insert),
             "insert into switchyard.commit_log (gid, decision) values ('%s', 'commit')", key);
    assert_string_equal(sy_run(decider, insert), "INSERT 0 1");
    assert_string_equal(sy_run(participant, sql), "PREPARE TRANSACTION");
    assert_true(sy_cluster_wait(shards[1], 0, "postgres",
                                "select count(*) > 0 from pg_stat_activity where wait_event_type = "
                                "'Lock' and query like '%commit_log%'",
                                60000)); /* recovery has looked, and waits */
    assert_string_equal(
        sy_cluster_value(shards[0], 0, "postgres", "select count(*) from pg_prepared_xacts"), "1");
    assert_string_equal(sy_run(decider, "commit"), "COMMIT");
    assert_true(nothing_prepared(10000));
    assert_both("77");
    /* And the other way round: recovery comes first, the committer finds its row taken. */
    key[51] = key[51] == '0' ? '1' : '0'; /* a third number: the first one's row says commit */
    snprintf(gid, sizeof(gid), "%s_%016llx", key, shard_id("shop", "s0"));
    snprintf(sql, sizeof(sql), "prepare transaction '%s'", gid);
    assert_string_equal(sy_run(participant, "begin"), "BEGIN");
    assert_string_equal(sy_run(participant, "update t set v = 78 where id = 1"), "UPDATE 1");
    assert_string_equal(sy_run(participant, sql), "PREPARE TRANSACTION");
    assert_string_equal(sy_run(decider, "begin"), "BEGIN");
    assert_string_equal(sy_run(decider, "update t set v = 78 where id = 2"), "UPDATE 1");
    assert_true(nothing_prepared(10000));
    snprintf(insert, sizeof(insert),
             "insert into switchyard.commit_log (gid, decision) values ('%s', 'commit')", key);
    assert_string_equal(sy_run(decider, insert), "ERROR 23505");
    assert_string_equal(sy_run(decider, "commit"), "ROLLBACK");
    assert_both("77");
    PQfinish(c);
    PQfinish(participant);
    PQfinish(decider);
}

/* ---- a server that only read is lost while the others commit ---- */

/* From now on a commit that wrote 99 there waits for a lock. */
static void make_slow(int shard)
{
    refill();
    sy_cluster_sql(shards[shard], 0, "postgres",
                   "create function wait_77() returns trigger language plpgsql as $$ begin perform "
                   "pg_advisory_xact_lock(77); return null; end $$; create constraint trigger "
                   "slow after update on t deferrable initially deferred for each row when (new.v "
                   "= 99) execute function wait_77()");
}

/* What comes of `sql`, which commits, when the connection to s2, where no row was, is ended while
 * the commit waits on the slow shard. */
static const char *loses_a_reader(PGconn *c, int slow, const char *sql)
{
    static char answer[64];
    PGconn *holder = sy_cluster_connect(shards[slow], 0, "postgres");
    assert_string_equal(sy_run(holder, "select pg_advisory_lock(77)"), "SELECT 1");
    assert_int_equal(PQsendQuery(c, sql), 1);
    assert_true(sy_cluster_wait(shards[slow], 0, "postgres",
                                "select exists (select from pg_locks where locktype = 'advisory' "
                                "and not granted)",
                                30000));
    static const char left[] = "select not exists (select from pg_stat_activity where state like "
                               "'idle in transaction%')";
    sy_cluster_sql(shards[2], 0, "postgres",
                   "select pg_terminate_backend(pid) from pg_stat_activity where state like 'idle "
                   "in transaction%'");
    assert_true(sy_cluster_wait(shards[2], 0, "postgres", left, 30000));
    PQfinish(holder);
    answer[0] = '\0';
    for (PGresult *result; (result = PQgetResult(c)) != NULL; PQclear(result)) {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        snprintf(answer, sizeof(answer), "%s", state != NULL ? state : PQcmdStatus(result));
    }
    sy_cluster_sql(shards[slow], 0, "postgres", "drop trigger slow on t; drop function wait_77()");
    return answer;
}

static void a_lost_reader_is_told_as_it_is(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "trio", NULL);
    for (int slow = 0; slow < 2; slow++) {
        make_slow(slow);
        const char *answer = loses_a_reader(c, slow, "update t set v = 99");
        /* While s1 decides, nothing else matters any more. While s0 prepares, all is undone, if the
         * router has noticed by then. */
        bool committed = strncmp(answer, "UPDATE", 6) == 0;
        assert_true(committed || slow == 0);
        assert_true(nothing_prepared(30000));
        assert_both(committed ? "99" : "0");
        make_slow(slow);
        assert_string_equal(sy_run(c, "begin"), "BEGIN");
        assert_string_equal(sy_run(c, "update t set v = 99"), "UPDATE 4");
        committed = strcmp(loses_a_reader(c, slow, "commit"), "COMMIT") == 0;
        assert_true(committed || slow == 0);
        assert_true(nothing_prepared(30000));
        assert_both(committed ? "99" : "0");
        assert_string_equal(sy_ask(c, "select v from t where id = 1"), committed ? "99" : "0");
    }
    PQfinish(c);
}

/* One server wrote, and commits by itself: what the others have read is of no concern then. */
static void a_lost_reader_does_not_matter_to_the_only_writer(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "trio", NULL);
    make_slow(0);
    sy_cluster_sql(shards[1], 0, "postgres", "update t set v = 1");
    assert_string_equal(loses_a_reader(c, 0, "update t set v = 99 where v = 0"), "UPDATE 2");
    assert_string_equal(value_on(0, 1), "99");
    assert_string_equal(sy_ask(c, "select v from t where id = 1"), "99");
    make_slow(0);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_run(c, "update t set v = 99 where id = 1"), "UPDATE 1");
    assert_string_equal(sy_ask(c, "select count(*) from t where id = 5"), "0");
    assert_string_equal(loses_a_reader(c, 0, "commit"), "COMMIT");
    assert_string_equal(value_on(0, 1), "99");
    assert_string_equal(sy_ask(c, "select v from t where id = 1"), "99");
    PQfinish(c);
}

/* ---- what happens to a commit while one of its steps waits ---- */

/* Writes 99 on both shards and sends the COMMIT: s0 (0) waits to prepare, or s1 (1) to decide. */
static PGconn *waits_in_commit(PGconn *c, int slow)
{
    make_slow(slow);
    PGconn *holder = sy_cluster_connect(shards[slow], 0, "postgres");
    assert_string_equal(sy_run(holder, "select pg_advisory_lock(77)"), "SELECT 1");
    write_both(c, "99");
    assert_int_equal(PQsendQuery(c, "commit"), 1);
    assert_true(sy_cluster_wait(shards[slow], 0, "postgres",
                                "select exists (select from pg_locks where locktype = 'advisory' "
                                "and not granted)",
                                30000));
    return holder;
}

static void waits_no_more(int slow)
{
    assert_true(sy_cluster_wait(shards[slow], 0, "postgres",
                                "select not exists (select from pg_locks where locktype = "
                                "'advisory')",
                                30000));
    assert_true(nothing_prepared(30000));
    sy_cluster_sql(shards[slow], 0, "postgres", "drop trigger slow on t; drop function wait_77()");
}

static void count_warnings(void *ctx, const PGresult *result)
{
    *(int *)ctx += strcmp(PQresultErrorField(result, PG_DIAG_SEVERITY), "WARNING") == 0;
}

static void a_participant_that_is_down_gets_its_commit_later(void **state)
{
    (void)state;
    int warnings = 0;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    PQsetNoticeReceiver(c, count_warnings, &warnings);
    PGconn *holder = waits_in_commit(c, 1);
    sy_cluster_stop_node(shards[0], 0, SY_STOP_KILL); /* it has prepared */
    PQfinish(holder);
    PGresult *result = PQgetResult(c);
    assert_string_equal(PQcmdStatus(result), "COMMIT");
    PQclear(result);
    assert_null(PQgetResult(c));
    assert_int_equal(warnings, 1);
    assert_string_equal(value_on(1, 2), "99");
    sy_cluster_start_node(shards[0], 0);
    waits_no_more(1);
    assert_both("99");
    PQfinish(c);
}

/* Before anything is decided. */
static void a_cancelled_commit_undoes_all(void **state)
{
    (void)state;
    char why[256];
    PGconn *c = sy_router_connect(router, "shop", NULL);
    PGconn *holder = waits_in_commit(c, 0);
    PGcancel *cancel = PQgetCancel(c);
    assert_int_equal(PQcancel(cancel, why, sizeof(why)), 1);
    PQfreeCancel(cancel);
    PGresult *result = PQgetResult(c);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "57014");
    PQclear(result);
    assert_null(PQgetResult(c));
    PQfinish(holder);
    waits_no_more(0);
    assert_both("0");
    assert_string_equal(sy_ask(c, "select v from t where id = 1"), "0");
    PQfinish(c);
}

static void a_client_that_leaves_its_commit_tears_nothing(void **state)
{
    (void)state;
    for (int slow = 0; slow < 2; slow++) {
        PGconn *c = sy_router_connect(router, "shop", NULL);
        PGconn *holder = waits_in_commit(c, slow);
        PQfinish(c);
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        PQfinish(holder);
        waits_no_more(slow);
        assert_both(strcmp(value_on(1, 2), "99") == 0 ? "99" : "0");
    }
}

/* Only who prepared may finish: COMMIT PREPARED comes when SET LOCAL is over. */
static void a_role_of_the_transaction_does_not_delay_it(void **state)
{
    (void)state;
    refill();
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(shards[i], 0, "postgres",
                       "create role plain; create role app login; grant plain to app; grant all on "
                       "t to plain");
    PGconn *c = sy_router_connect(router, "shop", "user=app");
    int warnings = 0;
    PQsetNoticeReceiver(c, count_warnings, &warnings);
    static const char *const ways[] = {"set local role plain",
                                       "select set_config('role', 'plain', true)"};
    for (int i = 0; i < 2; i++) {
        char sql[100];
        assert_string_equal(sy_run(c, "begin"), "BEGIN");
        assert_string_not_equal(sy_run(c, ways[i]), "");
        for (int id = 1; id <= 2; id++) {
            snprintf(sql, sizeof(sql), "update t set v = %d where id = %d", i + 5, id);
            assert_string_equal(sy_run(c, sql), "UPDATE 1");
        }
        assert_string_equal(sy_run(c, "commit"), "COMMIT");
        assert_int_equal(warnings, 0);
        assert_both(i == 0 ? "5" : "6");
        for (int id = 1; id <= 2; id++) { /* and it is gone */
            snprintf(sql, sizeof(sql), "select current_user from t where id = %d", id);
            assert_string_equal(sy_ask(c, sql), "app");
        }
    }
    /* Rolled back, as the decider refuses. */
    sy_cluster_sql(shards[1], 0, "postgres", late_refusal);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_run(c, "set local role plain"), "SET");
    assert_string_equal(sy_run(c, "update t set v = 7 where id = 1"), "UPDATE 1");
    assert_string_equal(sy_run(c, "update t set v = 66 where id = 2"), "UPDATE 1");
    assert_string_equal(sy_run(c, "commit"), "ERROR 22012");
    assert_true(nothing_prepared(0));
    assert_both("6");
    PQfinish(c);
    sy_cluster_sql(shards[1], 0, "postgres", "drop trigger late on t; drop function f");
}

/* ---- the operator ---- */

static void what_is_in_doubt_is_left_to_the_operator(void **state)
{
    (void)state;
    refill();
    PGconn *console = sy_router_connect(router, "switchyard", NULL);
    char cluster[40], gid[200], sql[400];
    snprintf(cluster, sizeof(cluster), "%s",
             sy_cluster_value(shards[1], 0, "postgres",
                              "select split_part(gid, '_', 2) from switchyard.commit_log where gid "
                              "like 'sy\\_%' limit 1"));
    snprintf(sql, sizeof(sql),
             "insert into switchyard.commit_log (gid, decision) values ('low_water_%s', '1') on "
             "conflict (gid) do update set decision = '1'",
             cluster);
    sy_cluster_sql(shards[1], 0, "postgres", sql);
    snprintf(gid, sizeof(gid), "sy_%s_0_00000000000000aa_%016llx_%016llx", cluster,
             shard_id("shop", "s1"), shard_id("shop", "s0"));
    PGconn *participant = sy_cluster_connect(shards[0], 0, "postgres");
    sy_run(participant, "begin");
    sy_run(participant, "update t set v = 99 where id = 1");
    snprintf(sql, sizeof(sql), "prepare transaction '%s'", gid);
    assert_string_equal(sy_run(participant, sql), "PREPARE TRANSACTION");
    bool told = false;
    for (int i = 0; i < 600 && !told; i++) {
        sy_pause_ms(100);
        told = strstr(sy_ask_all(console, "show transactions"), "in doubt") != NULL;
    }
    assert_true(told);
    assert_string_equal(value_on(0, 1), "0");
    snprintf(sql, sizeof(sql), "resolve transaction %s commit", gid);
    assert_string_equal(sy_run(console, sql), "RESOLVE");
    assert_true(nothing_prepared(10000));
    assert_string_equal(value_on(0, 1), "99");
    PQfinish(participant);
    PQfinish(console);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    start_servers();
    restart(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commits_on_both),
        cmocka_unit_test(copies_and_definitions),
        cmocka_unit_test(refusal_at_prepare_or_decision),
        cmocka_unit_test(a_setting_survives_what_became_of_the_transaction),
        cmocka_unit_test(a_server_without_prepared_transactions_is_named),
        cmocka_unit_test(the_router_dies_before_the_decision),
        cmocka_unit_test(the_router_dies_after_the_decision),
        cmocka_unit_test(the_router_dies_before_it_can_tell),
        cmocka_unit_test(random_kills),
        cmocka_unit_test(recovery_waits_for_a_slow_committer),
        cmocka_unit_test(a_lost_reader_is_told_as_it_is),
        cmocka_unit_test(a_lost_reader_does_not_matter_to_the_only_writer),
        cmocka_unit_test(a_participant_that_is_down_gets_its_commit_later),
        cmocka_unit_test(a_cancelled_commit_undoes_all),
        cmocka_unit_test(a_client_that_leaves_its_commit_tears_nothing),
        cmocka_unit_test(a_role_of_the_transaction_does_not_delay_it),
        cmocka_unit_test(what_is_in_doubt_is_left_to_the_operator),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_router_stop(&router, SIGINT);
    for (int i = 0; i < 3; i++)
        sy_cluster_free(&shards[i]);
    return sy_harness_finish(failed);
}
