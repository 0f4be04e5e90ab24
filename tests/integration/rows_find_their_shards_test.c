/* INSERT of rows of several shards, and values that every shard must be sent: as on one server. */
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
    "create table t(id bigint, k int not null default 7, w text, at timestamptz default now(), "
    "d date default current_date, u uuid default gen_random_uuid(), primary key (id, k));";

static const char *const more = "tables = ( { name = \"t\"; key = \"id\"; "
                                "per_shard_constraints = [ \"t_u_key\" ]; } ); } )";

static PGconn *open(void)
{
    on_shards("truncate t");
    return sy_router_connect(router, "shop", NULL);
}

static const char *rows_of(PGresult *result)
{
    static char text[1000];
    size_t at = 0;
    text[0] = 0;
    if (PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL)
        at = (size_t)snprintf(text, sizeof(text), "ERROR %s",
                              PQresultErrorField(result, PG_DIAG_SQLSTATE));
    for (int row = 0; row < PQntuples(result); row++)
        for (int i = 0; i < PQnfields(result); i++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
                                   i > 0     ? "|"
                                   : row > 0 ? " "
                                             : "",
                                   PQgetvalue(result, row, i));
    PQclear(result);
    return text;
}

static void rows_are_where_they_belong(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_run(c, "insert into t (id, w) values (1, 'a'), (2, 'b'), (3, 'c'), "
                                  "(4, E'it''s'), (5, null)"),
                        "INSERT 0 5");
    assert_string_equal(from_shard(0, "select string_agg(id || w, ',' order by id) from t"),
                        "1a,4it's");
    assert_string_equal(from_shard(1, "select string_agg(id::text, ',' order by id) from t"),
                        "2,5");
    assert_string_equal(from_shard(2, "select string_agg(id || w, ',' order by id) from t"), "3c");
    /* Columns that are left out are filled in as in one statement. */
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, "select bool_and(k = 7 and d = current_date) from t"),
                            "t");
    assert_string_equal(sy_ask_all(c, "select at from t group by at"),
                        from_shard(0, "select at from t limit 1"));
    assert_string_equal(sy_ask(c, "select count(*) from t where u is null"), "0");
    assert_string_equal(sy_run(c, "insert into t values (6, default, 'x', default), (7, 8, 'y', "
                                  "now())"),
                        "INSERT 0 2");
    char first[64];
    snprintf(first, sizeof(first), "%s", sy_ask(c, "select at from t where id = 6"));
    assert_string_equal(sy_ask(c, "select at from t where id = 7"), first);
    sy_expect(c, {"insert into t values (8, 1), (0, 1)", "ERROR 23514"},
              {"insert into t (id, k) values (1, 1), (2, nextval('s'))", "ERROR 0A000"},
              {"select count(*) from t", "7"});
    assert_true(shards_settled());
    PQfinish(c);
}

/* Drivers and mappers give returned values to their rows by position. */
static void returned_rows_come_in_the_order_of_the_rows(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_ask_all(c, "insert into t (id, w) values (3, 'a'), (1, 'b'), (6, 'c'), "
                                      "(2, 'd'), (4, 'e'), (5, 'f') returning id, w"),
                        "3|a\n1|b\n6|c\n2|d\n4|e\n5|f");
    static const char *const values[] = {"9", "g", "7", "h", "8", "i"};
    PGresult *result = PQexecParams(c,
                                    "insert into t (id, w) values ($1, $2), ($3, $4), ($5, $6) "
                                    "returning w, id",
                                    6, NULL, values, NULL, NULL, 0);
    assert_string_equal(PQcmdStatus(result), "INSERT 0 3");
    assert_string_equal(rows_of(result), "g|9 h|7 i|8");
    PQfinish(c);
}

static void parameters_go_with_their_rows(void **state)
{
    (void)state;
    PGconn *c = open();
    PQclear(PQprepare(c, "ins",
                      "insert into t (w, id, k) values ($2, $1, 1), ('lit', 5, $3), "
                      "($2, $4, $3)",
                      0, NULL));
    static const char *const sets[][4] = {
        {"1", "a", "10", "3"}, {"2", "b", "20", "6"}, {"4", "c", "30", "7"}};
    for (int i = 0; i < 3; i++) {
        PGresult *result = PQexecPrepared(c, "ins", 4, sets[i], NULL, NULL, 0);
        assert_string_equal(PQcmdStatus(result), "INSERT 0 3");
        PQclear(result);
    }
    assert_string_equal(
        sy_ask_all(c, "select id, k, w from t where id in (1, 4, 7) order by id, k"),
        "1|1|a\n4|1|c\n7|30|c");
    assert_string_equal(sy_ask_all(c, "select id, k, w from t where id = 5 order by k"),
                        "5|10|lit\n5|20|lit\n5|30|lit");
    /* Binary parameters with types. */
    static const char id[2][8] = {{0, 0, 0, 0, 0, 0, 0, 8}, {0, 0, 0, 0, 0, 0, 0, 9}};
    static const char *const binary[] = {id[0], "x", id[1]};
    static const int lengths[] = {8, 1, 8}, formats[] = {1, 0, 1};
    static const Oid types[] = {20, 0, 20};
    PGresult *result = PQexecParams(c,
                                    "insert into t (id, w) values ($1, $2), ($3, $2) returning "
                                    "id",
                                    3, types, binary, lengths, formats, 1);
    assert_int_equal(PQntuples(result), 2);
    assert_int_equal(PQgetvalue(result, 0, 0)[7], 8);
    assert_int_equal(PQgetvalue(result, 1, 0)[7], 9);
    PQclear(result);
    /* The server's own errors come through, once. */
    static const char *const wrong[] = {"1", "x", "2"};
    result = PQexecParams(c, "insert into t (id, k) values ($1, $2), ($3, 5)", 3, NULL, wrong, NULL,
                          NULL, 0);
    assert_string_equal(rows_of(result), "ERROR 22P02");
    result = PQexecParams(c, "insert into t (id, nosuch) values ($1, $2), ($3, 5)", 3, NULL, wrong,
                          NULL, NULL, 0);
    assert_string_equal(rows_of(result), "ERROR 42703");
    result = PQexecParams(c, "update t set nosuch = 1", 0, NULL, NULL, NULL, NULL, 0);
    assert_string_equal(rows_of(result), "ERROR 42703");
    assert_string_equal(sy_ask(c, "select count(*) from t where id = 8"), "1");
    PQfinish(c);
}

static void conflicts_are_seen_on_the_rows_own_shard(void **state)
{
    (void)state;
    PGconn *c = open();
    sy_expect(c, {"insert into t (id, w) values (1, 'a'), (2, 'b')", "INSERT 0 2"},
              {"insert into t (id, w) values (2, 'x'), (3, 'x')", "ERROR 23505"},
              {"select count(*) from t", "2"},
              {"insert into t (id, w) values (2, 'x'), (3, 'x') on conflict "
               "do nothing returning id",
               "3"},
              {"insert into t (id, w) values (4, 'n'), (2, 'n'), (1, 'n') on conflict (id, k) "
               "do update set w = excluded.w || t.w, at = default returning id, w",
               "4|n\n2|nb\n1|na"},
              {"insert into t (id, w) values (4, 'n'), (2, 'n') on conflict (k) do nothing",
               "ERROR 0A000"});
    PQfinish(c);
}

static void they_are_part_of_transactions(void **state)
{
    (void)state;
    PGconn *c = open();
    sy_expect(
        c, {"begin", "BEGIN"}, {"insert into t (id) values (2), (1), (3) returning id", "2\n1\n3"},
        {"savepoint a", "SAVEPOINT"}, {"insert into t (id) values (2), (4)", "ERROR 23505"},
        {"rollback to a", "ROLLBACK"}, {"update t set w = 'z', at = current_timestamp", "UPDATE 3"},
        {"select count(distinct at) from t where id = 1", "1"}, {"commit", "COMMIT"});
    char first[64];
    snprintf(first, sizeof(first), "%s", from_shard(0, "select at from t"));
    assert_string_equal(from_shard(1, "select at from t"), first);
    assert_string_equal(from_shard(2, "select at from t"), first);
    assert_string_equal(sy_run(c, "delete from t where at < clock_timestamp() and at <= now()"),
                        "DELETE 3");
    /* In one text, and in one pipeline. */
    assert_string_equal(sy_run(c, "insert into t (id) values (1), (2); insert into t (id) values "
                                  "(3), (2)"),
                        "ERROR 23505");
    assert_string_equal(sy_ask(c, "select count(*) from t"), "0");
    static const char *const sqls[] = {"insert into t (id) values (5), (4) returning id",
                                       "insert into t (id) values (7), (8)",
                                       "insert into t (id) values (9), (1) returning id"};
    static const char *const answers[] = {"5 4", "", "9 1"};
    assert_int_equal(PQenterPipelineMode(c), 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(PQsendQueryParams(c, sqls[i], 0, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(PQpipelineSync(c), 1);
    for (int i = 0; i < 3; i++) {
        PGresult *result = PQgetResult(c);
        assert_string_equal(PQcmdStatus(result), "INSERT 0 2");
        assert_string_equal(rows_of(result), answers[i]);
        assert_null(PQgetResult(c));
    }
    PQclear(PQgetResult(c));
    assert_int_equal(PQexitPipelineMode(c), 1);
    assert_string_equal(sy_ask(c, "select count(*) from t"), "6");
    assert_true(shards_settled());
    PQfinish(c);
}

static void many_rows_at_once(void **state)
{
    (void)state;
    static char sql[40000];
    PGconn *c = open();
    size_t at = (size_t)snprintf(sql, sizeof(sql), "insert into t (id, k, w) values ");
    for (int i = 0; i < 1000; i++)
        at += (size_t)snprintf(sql + at, sizeof(sql) - at, "%s(%d, %d, 'row %d')",
                               i > 0 ? ", " : "", i % 9 + 1, i, i);
    snprintf(sql + at, sizeof(sql) - at, " returning k");
    PGresult *result = PQexec(c, sql);
    assert_int_equal(PQntuples(result), 1000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(atoi(PQgetvalue(result, i, 0)), i);
    PQclear(result);
    assert_string_equal(sy_ask(c, "select count(distinct k) from t where id = 3"), "111");
    PQfinish(c);
}

/* EXECUTE has the values in the text: they cannot be given to the shards one by one. */
static void statements_prepared_in_sql(void **state)
{
    (void)state;
    PGconn *c = open();
    assert_string_equal(sy_run(c, "prepare p (int8, int8) as insert into t (id, k) values ($1, 1), "
                                  "($2, 2)"),
                        "PREPARE");
    assert_string_equal(sy_run(c, "execute p (1, 4)"), "INSERT 0 2");
    assert_string_equal(sy_run(c, "execute p (2, 3)"), "ERROR 0A000");
    assert_string_equal(sy_ask(c, "select count(*) from t"), "2");
    assert_string_equal(sy_run(c, "prepare q as update t set at = now()"), "PREPARE");
    assert_string_equal(sy_run(c, "execute q"), "UPDATE 2");
    PQfinish(c);
}

static void what_no_shard_enforces_alone_is_accepted_by_name(void **state)
{
    (void)state;
    PGconn *c = open();
    static const char *const found = "select count(*) from pg_constraint where conname like 't_%' "
                                     "and conrelid = 't'::regclass and contype = 'u'";
    sy_expect(c, {"alter table t add unique (w)", "ERROR 0A000"},
              {"create unique index on t (k)", "ERROR 0A000"},
              {"create unique index t_w on t (w, id)", "CREATE INDEX"});
    assert_string_equal(from_shard(1, found), "0");
    assert_string_equal(sy_run(c, "alter table t add unique (u)"), "ALTER TABLE");
    for (int i = 0; i < 3; i++)
        assert_string_equal(from_shard(i, found), "1");
    assert_string_equal(sy_run(c, "alter table t drop constraint t_u_key"), "ALTER TABLE");
    assert_string_equal(sy_run(c, "drop index t_w"), "DROP INDEX");
    PQfinish(c);
}

static void the_route_says_what_is_sent(void **state)
{
    (void)state;
    PGconn *c = open();
    const char *text = sy_ask_all(c, "explain (route) insert into t (id, k, at, d) values (1, 2, "
                                     "null, null), (3, 4, null, null)");
    assert_non_null(strstr(text, "each row of the INSERT to the shard of its key, on s0, s2"));
    assert_non_null(
        strstr(text, "Sent to s0: INSERT INTO t (id, k, at, d) VALUES (1, 2, NULL, NULL)"));
    assert_non_null(
        strstr(text, "Sent to s2: INSERT INTO t (id, k, at, d) VALUES (3, 4, NULL, NULL)"));
    text = sy_ask_all(c, "explain (route) update t set at = now()");
    assert_non_null(strstr(text, "the same statement on each of s0, s1, s2"));
    assert_non_null(strstr(text, "Values that all shards are sent come from s0: SELECT"));
    static const char *const as_written[] = {"explain (route) update t set at = at + '1 day'",
                                             "explain (route) delete from t"};
    for (size_t i = 0; i < sizeof(as_written) / sizeof(as_written[0]); i++) {
        text = sy_ask_all(c, as_written[i]);
        assert_non_null(strstr(text, "the same statement on each of s0, s1, s2"));
        assert_null(strstr(text, "Refused"));
    }
    PQfinish(c);
}

int main(void)
{
    router = sy_router_start(shards_start(tables, more), NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_where_they_belong),
        cmocka_unit_test(returned_rows_come_in_the_order_of_the_rows),
        cmocka_unit_test(parameters_go_with_their_rows),
        cmocka_unit_test(conflicts_are_seen_on_the_rows_own_shard),
        cmocka_unit_test(they_are_part_of_transactions),
        cmocka_unit_test(many_rows_at_once),
        cmocka_unit_test(statements_prepared_in_sql),
        cmocka_unit_test(what_no_shard_enforces_alone_is_accepted_by_name),
        cmocka_unit_test(the_route_says_what_is_sent),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_router_stop(&router, SIGINT);
    shards_stop();
    return sy_harness_finish(failed);
}
