/* Transactions that wait for each other on different servers: one of them gets 40P01, the others go
 * on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include "tests/integration/shards_world.h"

static struct sy_router *router;

static const char *const tables = "create table t(id bigint primary key, v int);";
static const char *const more = "tables = ( { name = \"t\"; key = \"id\"; } ); } )";

static PGconn *open(void)
{
    return sy_router_connect(router, "shop", NULL);
}

static void refill(void)
{
    char sql[64];
    on_shards("truncate t");
    for (int id = 1; id <= 9; id++) {
        snprintf(sql, sizeof(sql), "insert into t values (%d, 0)", id);
        on_shard((id - 1) % 3, sql);
    }
}

static void hold(PGconn *c, int id)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "update t set v = v + 1 where id = %d", id);
    assert_string_equal(sy_run(c, sql), "UPDATE 1");
}

static void want(PGconn *c, int id)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "update t set v = v + 1 where id = %d", id);
    assert_int_equal(PQsendQuery(c, sql), 1);
}

/* "" or the SQLSTATE of what was sent. */
static const char *outcome(PGconn *c)
{
    static char codes[4][8];
    static int next;
    char *code = codes[next++ % 4];
    PGresult *result = PQgetResult(c);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(code, 8, "%s", state == NULL ? "" : state);
    PQclear(result);
    assert_null(PQgetResult(c));
    return code;
}

/* The first of the connections whose answer is there, within a generous limit. */
static int first_answer(PGconn *const *c, int count)
{
    for (int turn = 0; turn < 100; turn++) { /* parts of an answer may come before the rest */
        struct pollfd fds[4];
        for (int i = 0; i < count; i++)
            fds[i] = (struct pollfd){.fd = PQsocket(c[i]), .events = POLLIN};
        assert_true(poll(fds, (nfds_t)count, 60000) > 0);
        for (int i = 0; i < count; i++)
            if (fds[i].revents != 0 && PQconsumeInput(c[i]) == 1 && !PQisBusy(c[i]))
                return i;
    }
    return -1;
}

static void two_in_a_circle(void **state)
{
    (void)state;
    refill();
    PGconn *c[2] = {open(), open()};
    for (int i = 0; i < 2; i++)
        assert_string_equal(sy_run(c[i], "begin"), "BEGIN");
    hold(c[0], 1);
    hold(c[1], 3);
    want(c[0], 3);
    want(c[1], 1);
    int loser = first_answer(c, 2);
    assert_string_equal(outcome(c[loser]), "40P01");
    assert_string_equal(sy_run(c[loser], "commit"), "ROLLBACK");
    assert_string_equal(outcome(c[1 - loser]), "");
    assert_string_equal(sy_run(c[1 - loser], "commit"), "COMMIT");
    assert_string_equal(sy_ask(c[0], "select v from t where id = 1"), "1");
    assert_string_equal(sy_ask(c[0], "select v from t where id = 3"), "1");
    assert_true(shards_settled());
    for (int i = 0; i < 2; i++)
        PQfinish(c[i]);
}

/* s0 and s1 are databases of one server, which sees only processes; and one that waits is in no
 * transaction over several shards. */
static void through_a_client_of_one_shard(void **state)
{
    (void)state;
    refill();
    PGconn *c[3] = {open(), open(), open()};
    for (int i = 0; i < 3; i++)
        assert_string_equal(sy_run(c[i], "begin"), "BEGIN");
    hold(c[0], 1);
    hold(c[1], 2);
    hold(c[2], 5);
    want(c[2], 2); /* on s1, for the second */
    want(c[1], 1); /* on s0, for the first */
    want(c[0], 5); /* on s1, for the third */
    int loser = first_answer(c, 3);
    assert_in_range(loser, 0, 1);
    assert_string_equal(outcome(c[loser]), "40P01");
    assert_string_equal(sy_run(c[loser], "rollback"), "ROLLBACK");
    static const int then[2][2] = {{1, 2}, {2, 0}}; /* who goes on, and who after that */
    /* The first lost: the second gets its row. The second lost: the third does. */
    int next = then[loser][0], last = then[loser][1];
    assert_string_equal(outcome(c[next]), "");
    assert_string_equal(sy_run(c[next], "commit"), "COMMIT");
    assert_string_equal(outcome(c[last]), "");
    assert_string_equal(sy_run(c[last], "commit"), "COMMIT");
    for (int i = 0; i < 3; i++)
        PQfinish(c[i]);
}

/* Statements on all shards, in the extended protocol, meet each other anywhere. */
static void statements_on_all_shards(void **state)
{
    (void)state;
    refill();
    PGconn *c[2] = {open(), open()};
    for (int i = 0; i < 2; i++)
        assert_string_equal(sy_run(c[i], "begin"), "BEGIN");
    hold(c[0], 1);
    hold(c[1], 3);
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            PQsendQueryParams(c[i], "update t set v = v + 10", 0, NULL, NULL, NULL, NULL, 0), 1);
    int loser = first_answer(c, 2);
    assert_string_equal(outcome(c[loser]), "40P01");
    assert_string_equal(sy_run(c[loser], "rollback"), "ROLLBACK");
    assert_string_equal(outcome(c[1 - loser]), "");
    assert_string_equal(sy_run(c[1 - loser], "commit"), "COMMIT");
    assert_string_equal(sy_ask(c[0], "select sum(v) from t"), "91");
    assert_true(shards_settled());
    for (int i = 0; i < 2; i++)
        PQfinish(c[i]);
}

int main(void)
{
    router = sy_router_start(shards_start(tables, more), NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_in_a_circle),
        cmocka_unit_test(through_a_client_of_one_shard),
        cmocka_unit_test(statements_on_all_shards),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_router_stop(&router, SIGINT);
    shards_stop();
    return sy_harness_finish(failed);
}
