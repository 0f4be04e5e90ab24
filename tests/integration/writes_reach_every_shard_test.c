/* UPDATE, DELETE and INSERT ... SELECT that concern rows of several shards: as on one server, and
 * everywhere or nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>

#include "tests/harness/expect.h"
#include "tests/integration/shards_world.h"

static struct sy_router *router;

static const char *const tables =
    "create table t(id bigint primary key, v int not null check (v < 1000), w text);"
    "create table u(tid bigint, n int, at timestamptz default now());"
    "create table tags(id int primary key, name text);"
    "create function note(bigint) returns int language plpgsql as "
    "'begin insert into u values ($1, 77); return 1; end';";

static const char *const more =
    "tables = ( { name = \"t\"; key = \"id\"; }, { name = \"u\"; key = \"tid\"; } ); } );\n"
    " reference_tables = [ \"tags\" ]; safe_objects = [ \"note\" ]";

static void refill(void)
{
    char sql[200];
    on_shards("truncate t, u, tags; insert into tags values (1, 'one'), (2, 'two')");
    for (int id = 1; id <= 9; id++) {
        snprintf(sql, sizeof(sql),
                 "insert into t values (%d, %d, 'w%d'); insert into u values (%d, %d), (%d, %d)",
                 id, id * 10, id, id, id, id, id + 100);
        on_shard((id - 1) % 3, sql);
    }
}

static PGconn *open(void)
{
    refill();
    return sy_router_connect(router, "shop", NULL);
}

/* Tag of a statement in the extended protocol. */
static const char *run_extended(PGconn *c, const char *sql, int count, const char *const *values)
{
    static char text[64];
    PGresult *result = PQexecParams(c, sql, count, NULL, values, NULL, NULL, 0);
    const char *code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(text, sizeof(text), "%s%s", code != NULL ? "ERROR " : "",
             code != NULL ? code : PQcmdStatus(result));
    PQclear(result);
    return text;
}

/* ---- UPDATE and DELETE ---- */

static void counts_are_added_up(void **state)
{
    (void)state;
    PGconn *c = open();
    sy_expect(c, {"update t set v = v + 1", "UPDATE 9"}, {"select sum(v) from t", "459"},
              {"update t set v = 0 where w = 'w5'", "UPDATE 1"});
    assert_string_equal(from_shard(1, "select v from t where id = 5"), "0");
    sy_expect(c, {"update t set v = 3 where id in (1, 2)", "UPDATE 2"},
              {"update t set v = 3 where w = 'nobody'", "UPDATE 0"},
              {"delete from t where v > 60", "DELETE 4"}, {"select count(*) from t", "5"});
    const char *values[] = {"7", "w2"};
    assert_string_equal(run_extended(c, "update t set v = $1 where w = $2", 2, values), "UPDATE 1");
    assert_string_equal(from_shard(1, "select v from t where id = 2"), "7");
    assert_string_equal(run_extended(c, "delete from t", 0, NULL), "DELETE 5");
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, "select count(*) from t"), "0");
    assert_true(shards_settled());
    PQfinish(c);
}

static void returned_rows_come_from_all(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_ask_all(c, "update t set v = v + 1 where v < 40 returning id, v"),
                        "1|11\n2|21\n3|31");
    assert_string_equal(sy_ask_all(c, "delete from t where id in (7, 8, 9) returning w"),
                        "w7\nw8\nw9");
    PGresult *result =
        PQexecParams(c, "delete from t where v < 30 returning id", 0, NULL, NULL, NULL, NULL, 1);
    assert_int_equal(PQntuples(result), 2);
    assert_int_equal(PQgetvalue(result, 1, 0)[7], 2);
    assert_string_equal(PQcmdStatus(result), "DELETE 2");
    PQclear(result);
    PQfinish(c);
}

static void other_tables_stand_beside(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_run(c, "update t set w = g.name from tags g where g.id = t.id"),
                        "UPDATE 2");
    assert_string_equal(from_shard(0, "select w from t where id = 1"), "one");
    assert_string_equal(from_shard(1, "select w from t where id = 2"), "two");
    assert_string_equal(sy_run(c, "update t set v = u.n from u where u.tid = t.id and u.n > 100"),
                        "UPDATE 9");
    assert_string_equal(from_shard(2, "select v from t where id = 9"), "109");
    sy_expect(c, {"delete from u using t where t.id = u.tid and t.w = 'two'", "DELETE 2"},
              {"delete from t where not exists (select from u where u.tid = t.id)", "DELETE 1"},
              {"select count(*) from t where w = 'two'", "0"});
    /* Rows of other shards would be needed. */
    sy_expect(c, {"update t set v = u.n from u where u.n = t.id", "ERROR 0A000"},
              {"delete from t where v > (select avg(v) from t)", "ERROR 0A000"},
              {"update t set id = id + 1", "ERROR 0A000"});
    PQfinish(c);
}

static void selected_rows_are_copied_where_they_are(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_run(c, "insert into u (tid, n, at) select id, v, '2026-01-01' from t"),
                        "INSERT 0 9");
    assert_string_equal(from_shard(2, "select count(*) from u where n = 90 and tid = 9"), "1");
    assert_string_equal(sy_run(c, "insert into u (tid, n, at) select t.id, count(*), null from t "
                                  "join u on u.tid = t.id group by t.id"),
                        "INSERT 0 9");
    assert_string_equal(from_shard(0, "select count(*) from u where n = 3 and at is null"), "3");
    assert_string_equal(sy_run(c, "insert into u (tid, n) select v, id from t"), "ERROR 0A000");
    assert_string_equal(sy_run(c, "insert into u (tid, n, at) select id, 1, null from t limit 3"),
                        "ERROR 0A000");
    PQfinish(c);
}

/* Mappers write every column back: the key is set to what it is. */
static void a_key_that_stays_is_no_move(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_run(c, "update u set tid = 2, n = 500 where n = 2"), "UPDATE 1");
    assert_string_equal(from_shard(1, "select n from u where tid = 2 and n > 400"), "500");
    static const char *const values[] = {"2", "500"};
    assert_string_equal(run_extended(c, "update u set tid = $1, n = n + 1 where n = $2", 2, values),
                        "UPDATE 1");
    assert_string_equal(sy_run(c, "update u set tid = 1 where n = 501"), "ERROR 0A000");
    static const char *const other[] = {"3", "501"};
    assert_string_equal(run_extended(c, "update u set tid = $1, n = n + 1 where n = $2", 2, other),
                        "ERROR 0A000");
    sy_expect(c, {"update u set tid = 1 where n = 12345", "UPDATE 0"},
              {"update u set tid = tid where n = 501", "ERROR 0A000"}, {"begin", "BEGIN"},
              {"update u set n = 1", "UPDATE 18"}, {"update u set tid = 1", "ERROR 0A000"});
    assert_string_equal(sy_run(c, "select 1"), "ERROR 25P02");
    assert_string_equal(sy_run(c, "commit"), "ROLLBACK");
    assert_string_equal(from_shard(1, "select tid from u where n = 501"), "2");
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, "select count(*) from u"), "6");
    assert_true(shards_settled());
    PQfinish(c);
}

/* ---- in transactions ---- */

static void all_or_nothing(void **state)
{
    (void)state;
    PGconn *c = open();
    /* One shard's check fails: none keeps anything. */
    sy_expect(c, {"update t set v = v + 950 where v <= 60", "ERROR 23514"},
              {"select sum(v) from t", "450"}, {"begin", "BEGIN"},
              {"update t set v = v + 1", "UPDATE 9"}, {"savepoint a", "SAVEPOINT"},
              {"delete from t", "DELETE 9"}, {"rollback to a", "ROLLBACK"},
              {"select count(*) from t", "9"}, {"commit", "COMMIT"},
              {"select sum(v) from t", "459"}, {"begin", "BEGIN"}, {"delete from t", "DELETE 9"},
              {"rollback", "ROLLBACK"}, {"select count(*) from t", "9"}, {"begin", "BEGIN"},
              {"delete from u", "DELETE 18"}, {"update t set v = 2000", "ERROR 23514"},
              {"commit", "ROLLBACK"}, {"select count(*) from u", "18"});
    /* Several statements in one text are one transaction. */
    assert_string_equal(sy_run(c, "delete from u; update t set v = 2000"), "ERROR 23514");
    assert_string_equal(sy_ask(c, "select count(*) from u"), "18");
    assert_true(shards_settled());
    PQfinish(c);
}

/* Answers of one pipeline keep their order, whichever has to wait for the commit. */
static void pipelines_keep_their_order(void **state)
{
    (void)state;
    PGconn *c = open();
    static const char *const sqls[] = {"insert into tags values (3, 'three')", "update t set v = 1",
                                       "select 5", "delete from u"};
    static const char *const tags[] = {"INSERT 0 1", "UPDATE 9", "SELECT 1", "DELETE 18"};
    assert_int_equal(PQenterPipelineMode(c), 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(PQsendQueryParams(c, sqls[i], 0, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(PQpipelineSync(c), 1);
    for (int i = 0; i < 4; i++) {
        PGresult *result = PQgetResult(c);
        assert_string_equal(PQcmdStatus(result), tags[i]);
        PQclear(result);
        assert_null(PQgetResult(c));
    }
    PGresult *result = PQgetResult(c);
    assert_int_equal(PQresultStatus(result), PGRES_PIPELINE_SYNC);
    PQclear(result);
    assert_int_equal(PQexitPipelineMode(c), 1);
    assert_string_equal(sy_ask(c, "select sum(v) from t"), "9");
    assert_string_equal(from_shard(1, "select count(*) from u"), "0");
    PQfinish(c);
}

/* A function that writes makes its shard a writer, also when SELECT calls it. */
static void a_function_that_writes_counts(void **state)
{
    (void)state;
    PGconn *c = open();
    on_shards("delete from switchyard.commit_log where gid like 'sy%'");
    sy_expect(c, {"begin", "BEGIN"}, {"select note(id) from t where id = 1", "1"},
              {"update t set v = 5 where id = 2", "UPDATE 1"}, {"commit", "COMMIT"});
    assert_string_equal(from_shard(0, "select count(*) from u where n = 77"), "1");
    int rows = 0;
    for (int i = 0; i < 3; i++)
        rows += atoi(from_shard(i, "select count(*) from switchyard.commit_log where gid like "
                                   "'sy%'"));
    assert_int_equal(rows, 1);
    PQfinish(c);
}

/* ---- trouble ---- */

static void a_client_that_leaves_leaves_nothing(void **state)
{
    (void)state;
    PGconn *c = open(), *holder = sy_cluster_connect(shard_server(1), 0, "s1");
    assert_string_equal(sy_run(holder, "begin"), "BEGIN");
    assert_string_equal(sy_run(holder, "update t set w = 'held' where id = 2"), "UPDATE 1");
    assert_int_equal(PQsendQuery(c, "update t set v = 999"), 1);
    assert_true(sy_cluster_wait(shard_server(1), 0, "s1",
                                "select exists (select from pg_locks where not granted)", 20000));
    PQfinish(c);
    assert_string_equal(sy_run(holder, "rollback"), "ROLLBACK");
    PQfinish(holder);
    assert_true(sy_cluster_wait(shard_server(1), 0, "s1",
                                "select not exists (select from pg_locks where relation = "
                                "'t'::regclass)",
                                20000));
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, "select count(*) from t where v = 999"), "0");
    assert_true(shards_settled());
}

static void a_lost_server_undoes_it_on_the_others(void **state)
{
    (void)state;
    PGconn *c = open();
    lose_a_server_under(c, "update t set w = 'held' where id = 3", "update t set v = 999");
    PQfinish(c);
    sy_cluster_start_node(shard_server(2), 0);
    assert_true(shards_settled());
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, "select count(*) from t where v = 999"), "0");
}

int main(void)
{
    router = sy_router_start(shards_start(tables, more), NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_added_up),
        cmocka_unit_test(returned_rows_come_from_all),
        cmocka_unit_test(other_tables_stand_beside),
        cmocka_unit_test(selected_rows_are_copied_where_they_are),
        cmocka_unit_test(a_key_that_stays_is_no_move),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(pipelines_keep_their_order),
        cmocka_unit_test(a_function_that_writes_counts),
        cmocka_unit_test(a_client_that_leaves_leaves_nothing),
        cmocka_unit_test(a_lost_server_undoes_it_on_the_others),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_router_stop(&router, SIGINT);
    shards_stop();
    return sy_harness_finish(failed);
}
