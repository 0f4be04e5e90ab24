/* Reference tables: whatever is written to them, and by however many at once, the copies on all
 * shards are the same afterwards. */
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
    "create table t(id bigint primary key, v int);"
    "create table tags(id serial primary key, name text unique, kind text not null default 'plain',"
    " at timestamptz default now(), code uuid default gen_random_uuid());"
    "create table units(id int generated always as identity primary key, name text);"
    "create table counters(id int primary key, n int);";

static const char *const more = "tables = ( { name = \"t\"; key = \"id\"; } ); } );\n"
                                "reference_tables = [ \"tags\", \"units\", \"counters\" ]";

static PGconn *open(void)
{
    on_shards("truncate tags, units, counters; insert into counters values (1, 0), (2, 0)");
    return sy_router_connect(router, "shop", NULL);
}

static void assert_same(const char *table)
{
    char sql[100], first[2000];
    snprintf(sql, sizeof(sql),
             "select coalesce(string_agg(x::text, ' ' order by id), '') from %s x", table);
    snprintf(first, sizeof(first), "%s", from_shard(0, sql));
    for (int i = 1; i < 3; i++)
        assert_string_equal(from_shard(i, sql), first);
}

static void what_is_filled_in_is_the_same_everywhere(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_run(c, "insert into tags (name) values ('a'), ('b'), ('c')"),
                        "INSERT 0 3");
    assert_same("tags");
    assert_string_equal(from_shard(2, "select count(distinct id) || count(distinct code)::text || "
                                      "count(distinct at) || min(kind) from tags"),
                        "331plain");
    /* One answer, with the values that all have. */
    char returned[200];
    snprintf(returned, sizeof(returned), "%s",
             sy_ask_all(c, "insert into tags values (default, 'd', default, now(), "
                           "gen_random_uuid()) returning id, code"));
    assert_string_equal(returned, from_shard(1, "select id || '|' || code from tags where name = "
                                                "'d'"));
    assert_same("tags");
    assert_string_equal(sy_run(c, "insert into units (name) values ('kg'), ('m')"), "INSERT 0 2");
    assert_string_equal(sy_run(c, "insert into units values (default, 's')"), "INSERT 0 1");
    assert_same("units");
    assert_string_equal(sy_run(c, "insert into units values (77, 's')"), "ERROR 428C9");
    static const char *const values[] = {"e"};
    PGresult *result = PQexecParams(c,
                                    "insert into tags (name, kind) values ($1, upper($1)) "
                                    "returning kind",
                                    1, NULL, values, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(result, 0, 0), "E");
    assert_string_equal(PQcmdStatus(result), "INSERT 0 1");
    PQclear(result);
    assert_same("tags");
    assert_string_equal(sy_run(c,
                               "insert into tags (name) values ('a'), ('z') on conflict (name) do "
                               "update set kind = 'seen', at = now()"),
                        "INSERT 0 2");
    assert_same("tags");
    sy_expect(c,
              {"update tags set at = current_timestamp - interval '1 day', kind = "
               "default where name = 'a'",
               "UPDATE 1"},
              {"delete from tags where at < now() - interval '1 hour'", "DELETE 1"},
              {"insert into tags (name) values ('a')", "INSERT 0 1"},
              {"insert into tags (name) values ('a')", "ERROR 23505"});
    assert_same("tags");
    assert_string_equal(sy_run(c, "update tags set code = gen_random_uuid()"), "ERROR 0A000");
    assert_string_equal(sy_run(c, "insert into tags (name) select 'q'"), "ERROR 0A000");
    assert_true(shards_settled());
    PQfinish(c);
}

static void copies_take_the_same_order_of_writers(void **state)
{
    (void)state;
    enum { WRITERS = 6, ROUNDS = 15 };
    PGconn *c = open(), *writers[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        writers[i] = sy_router_connect(router, "shop", NULL);
    /* Each statement reads what the others write; half of them name the rows the other way round.
     */
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WRITERS; i++) {
            static const char *const sqls[] = {
                "update counters set n = (n * 3 + 1) % 1000 where id in (1, 2)",
                "insert into counters select 10 + count(*), sum(n) % 1000 from counters",
                "update counters set n = (select sum(n) % 1000 from counters) + id"};
            assert_int_equal(PQsendQuery(writers[i], sqls[(i + round) % 3]), 1);
        }
        for (int i = 0; i < WRITERS; i++) {
            PGresult *result = PQgetResult(writers[i]);
            assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
            PQclear(result);
            assert_null(PQgetResult(writers[i]));
        }
    }
    assert_same("counters");
    for (int i = 0; i < WRITERS; i++)
        PQfinish(writers[i]);
    PQfinish(c);
}

static void locks_are_taken_and_given_back(void **state)
{
    (void)state;
    PGconn *c = open(), *other = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    assert_string_equal(sy_run(c, "insert into tags (name) values ('a')"), "INSERT 0 1");
    static const char *const held = "select count(*) from pg_locks where mode = "
                                    "'ShareRowExclusiveLock' and granted and relation = "
                                    "'tags'::regclass";
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, held), "1");
    sy_expect(other, {"select count(*) from tags", "0"}, {"set lock_timeout = '50ms'", "SET"},
              {"insert into tags (name) values ('b')", "ERROR 55P03"});
    PGresult *result =
        PQexecParams(other, "insert into tags (name) values ('b')", 0, NULL, NULL, NULL, NULL, 0);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "55P03");
    PQclear(result);
    assert_string_equal(sy_run(other, "begin"), "BEGIN");
    assert_string_equal(sy_run(other, "insert into tags (name) values ('b')"), "ERROR 55P03");
    assert_string_equal(sy_run(other, "select 1"), "ERROR 25P02");
    assert_string_equal(sy_run(other, "rollback"), "ROLLBACK");
    sy_expect(c, {"savepoint s", "SAVEPOINT"},
              {"insert into units (name) values ('x')", "INSERT 0 1"},
              {"rollback to s", "ROLLBACK"});
    assert_string_equal(sy_run(other, "insert into units (name) values ('y')"), "INSERT 0 1");
    assert_string_equal(sy_run(c, "insert into units (name) values ('z')"), "INSERT 0 1");
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, held), "0");
    sy_expect(other, {"insert into tags (name) values ('b')", "INSERT 0 1"},
              {"begin read only", "BEGIN"}, {"insert into tags (name) values ('c')", "ERROR 25006"},
              {"rollback", "ROLLBACK"});
    assert_same("tags");
    assert_same("units");
    PQfinish(c);
    PQfinish(other);
}

static void together_with_rows_of_shards(void **state)
{
    (void)state;
    PGconn *c = open();
    on_shards("truncate t");
    sy_expect(c, {"begin", "BEGIN"}, {"insert into t values (1, 1), (2, 2), (3, 3)", "INSERT 0 3"},
              {"insert into tags (name) values ('a')", "INSERT 0 1"}, {"commit", "COMMIT"});
    assert_string_equal(
        sy_run(c, "insert into tags (name) values ('b'); update t set v = v + 1; insert into tags "
                  "(name) values ('b')"),
        "ERROR 23505");
    assert_string_equal(sy_ask(c, "select sum(v) from t"), "6");
    assert_string_equal(sy_ask(c, "select count(*) from tags"), "1");
    assert_same("tags");
    assert_true(shards_settled());
    PQfinish(c);
}

static void a_lost_server_undoes_it_on_the_others(void **state)
{
    (void)state;
    PGconn *c = open();
    lose_a_server_under(c, "lock table tags in share row exclusive mode",
                        "insert into tags (name) values ('a')");
    assert_string_equal(sy_ask(c, "select count(*) from t where id = 1"), "1");
    PQfinish(c);
    sy_cluster_start_node(shard_server(2), 0);
    assert_true(shards_settled());
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, "select count(*) from tags"), "0");
}

int main(void)
{
    router = sy_router_start(shards_start(tables, more), NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_filled_in_is_the_same_everywhere),
        cmocka_unit_test(copies_take_the_same_order_of_writers),
        cmocka_unit_test(locks_are_taken_and_given_back),
        cmocka_unit_test(together_with_rows_of_shards),
        cmocka_unit_test(a_lost_server_undoes_it_on_the_others),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_router_stop(&router, SIGINT);
    shards_stop();
    return sy_harness_finish(failed);
}
