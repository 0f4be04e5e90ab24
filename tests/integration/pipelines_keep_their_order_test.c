/* Extended messages in a pipeline are answered in order, over one shard and over several, with
 * errors in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static PGconn *pipeline(const char *database)
{
    PGconn *connection = sy_router_connect(router, database, NULL);
    assert_int_equal(PQenterPipelineMode(connection), 1);
    return connection;
}

static void send1(PGconn *connection, const char *sql, const char *value)
{
    assert_int_equal(
        PQsendQueryParams(connection, sql, value == NULL ? 0 : 1, NULL, &value, NULL, NULL, 0), 1);
}

/* The next result as "TUPLES value", "OK tag", "ERROR state", "SYNC", "ABORTED". */
static const char *next(PGconn *connection)
{
    static char text[256];
    PGresult *result = PQgetResult(connection);
    if (result == NULL)
        result = PQgetResult(connection);
    assert_non_null(result);
    switch ((int)PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        snprintf(text, sizeof(text), "TUPLES %d %s", PQntuples(result),
                 PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
        break;
    case PGRES_COMMAND_OK:
        snprintf(text, sizeof(text), "OK %s", PQcmdStatus(result));
        break;
    case PGRES_PIPELINE_SYNC:
        snprintf(text, sizeof(text), "SYNC");
        break;
    case PGRES_PIPELINE_ABORTED:
        snprintf(text, sizeof(text), "ABORTED");
        break;
    default:
        snprintf(text, sizeof(text), "ERROR %s", PQresultErrorField(result, PG_DIAG_SQLSTATE));
    }
    PQclear(result);
    return text;
}

static void answers_come_in_order_on_one_server(void **state)
{
    (void)state;
    PGconn *c = pipeline("blog");
    for (int i = 0; i < 50; i++) {
        char value[16];
        snprintf(value, sizeof(value), "%d", i);
        send1(c, "select $1::int", value);
    }
    PQpipelineSync(c);
    for (int i = 0; i < 50; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "TUPLES 1 %d", i);
        assert_string_equal(next(c), expected);
    }
    assert_string_equal(next(c), "SYNC");
    PQfinish(c);
}

static void an_error_skips_to_sync_and_undoes_the_batch(void **state)
{
    (void)state;
    PGconn *c = pipeline("blog");
    send1(c, "insert into t values (1000 + $1::int, 'x')", "1");
    send1(c, "select 1/$1::int", "0");
    send1(c, "select 5", NULL);
    PQpipelineSync(c);
    send1(c, "select count(*) from t where a = $1", "1001");
    PQpipelineSync(c);
    assert_string_equal(next(c), "OK INSERT 0 1");
    assert_string_equal(next(c), "ERROR 22012");
    assert_string_equal(next(c), "ABORTED");
    assert_string_equal(next(c), "SYNC");
    assert_string_equal(next(c), "TUPLES 1 0");
    assert_string_equal(next(c), "SYNC");
    PQfinish(c);
}

static void an_error_of_the_router_undoes_the_batch(void **state)
{
    (void)state;
    PGconn *c = pipeline("blog");
    send1(c, "insert into t values (2000 + $1::int, 'x')", "1");
    send1(c, "selec", NULL); /* refused by the parser, no server sees it */
    PQpipelineSync(c);
    send1(c, "select count(*) from t where a = $1", "2001");
    PQpipelineSync(c);
    assert_string_equal(next(c), "OK INSERT 0 1");
    assert_string_equal(next(c), "ERROR 42601");
    assert_string_equal(next(c), "SYNC");
    assert_string_equal(next(c), "TUPLES 1 0");
    assert_string_equal(next(c), "SYNC");
    PQfinish(c);
}

static void one_batch_reads_several_shards(void **state)
{
    (void)state;
    PGconn *c = pipeline("shop");
    static const char *const ids[] = {"1", "2", "3", "4", "2", "1"};
    send1(c, "insert into customers(id, name) values ($1, 'one')", "1");
    PQpipelineSync(c);
    send1(c, "insert into customers(id, name) values ($1, 'two')", "2");
    PQpipelineSync(c);
    for (int i = 0; i < 6; i++)
        send1(c, "select name from customers where id = $1", ids[i]);
    send1(c, "select count(*) from tags", NULL);
    PQpipelineSync(c);
    assert_string_equal(next(c), "OK INSERT 0 1");
    assert_string_equal(next(c), "SYNC");
    assert_string_equal(next(c), "OK INSERT 0 1");
    assert_string_equal(next(c), "SYNC");
    static const char *const expected[] = {"TUPLES 1 one", "TUPLES 1 two", "TUPLES 0 ",
                                           "TUPLES 0 ",    "TUPLES 1 two", "TUPLES 1 one",
                                           "TUPLES 1 0",   "SYNC"};
    for (int i = 0; i < 8; i++)
        assert_string_equal(next(c), expected[i]);
    PQfinish(c);
}

static void one_batch_does_not_write_two_shards(void **state)
{
    (void)state;
    PGconn *c = pipeline("shop");
    send1(c, "insert into customers(id, name) values ($1, 'x')", "3");
    send1(c, "insert into customers(id, name) values ($1, 'x')", "4");
    PQpipelineSync(c);
    assert_string_equal(next(c), "OK INSERT 0 1");
    assert_string_equal(next(c), "ERROR 0A000");
    assert_string_equal(next(c), "SYNC");
    send1(c, "select count(*) from customers where id = $1", "3");
    PQpipelineSync(c);
    assert_string_equal(next(c), "TUPLES 1 0");
    assert_string_equal(next(c), "SYNC");
    PQfinish(c);
}

static void a_statement_on_all_shards_gives_all_rows(void **state)
{
    (void)state;
    PGconn *c = pipeline("shop");
    send1(c, "select id from customers where id < $1 + 1000", "0");
    send1(c, "insert into tags values (7, $1)", "x");
    PQpipelineSync(c);
    assert_string_equal(next(c), "TUPLES 2 1");
    assert_string_equal(next(c), "OK INSERT 0 1");
    assert_string_equal(next(c), "SYNC");
    PQfinish(c);
    assert_string_equal(sy_cluster_value(cluster, 0, "s0", "select t from tags where id = 7"), "x");
    assert_string_equal(sy_cluster_value(cluster, 0, "s1", "select t from tags where id = 7"), "x");
}

static void a_transaction_may_live_in_one_pipeline(void **state)
{
    (void)state;
    PGconn *c = pipeline("shop");
    send1(c, "begin", NULL);
    send1(c, "update customers set name = 'zwei' where id = $1", "2");
    send1(c, "commit", NULL);
    send1(c, "select name from customers where id = $1", "2");
    send1(c, "begin", NULL);
    send1(c, "update customers set name = 'deux' where id = $1", "2");
    send1(c, "rollback", NULL);
    send1(c, "select name from customers where id = $1", "2");
    PQpipelineSync(c);
    static const char *const expected[] = {"OK BEGIN",      "OK UPDATE 1",   "OK COMMIT",
                                           "TUPLES 1 zwei", "OK BEGIN",      "OK UPDATE 1",
                                           "OK ROLLBACK",   "TUPLES 1 zwei", "SYNC"};
    for (int i = 0; i < 9; i++)
        assert_string_equal(next(c), expected[i]);
    PQfinish(c);
}

static void flush_gives_what_is_there(void **state)
{
    (void)state;
    PGconn *c = pipeline("blog");
    send1(c, "select $1::int", "11");
    PQsendFlushRequest(c);
    PQflush(c);
    assert_string_equal(next(c), "TUPLES 1 11");
    send1(c, "select $1::int", "12");
    PQpipelineSync(c);
    assert_string_equal(next(c), "TUPLES 1 12");
    assert_string_equal(next(c), "SYNC");
    PQfinish(c);
}

/* The columns are the router's own answer, the rows are not forwarded but merged. */
static void combined_rows_come_behind_their_columns(void **state)
{
    (void)state;
    PGconn *c = pipeline("shop");
    for (int i = 0; i < 3; i++) {
        send1(c, "select max(id) from customers where id < $1", "0");
        send1(c, "select count(*) from customers where false", NULL);
        send1(c, "select 5", NULL);
    }
    PQpipelineSync(c);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(next(c), "TUPLES 1 ");
        assert_string_equal(next(c), "TUPLES 1 0");
        assert_string_equal(next(c), "TUPLES 1 5");
    }
    assert_string_equal(next(c), "SYNC");
    PQfinish(c);
    c = sy_router_connect(router, "shop", NULL);
    PGresult *result =
        PQexecParams(c, "select count(*) from customers", 0, NULL, NULL, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    assert_int_equal(PQntuples(result), 1);
    PQclear(result);
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_in_order_on_one_server),
        cmocka_unit_test(an_error_skips_to_sync_and_undoes_the_batch),
        cmocka_unit_test(an_error_of_the_router_undoes_the_batch),
        cmocka_unit_test(one_batch_reads_several_shards),
        cmocka_unit_test(one_batch_does_not_write_two_shards),
        cmocka_unit_test(a_statement_on_all_shards_gives_all_rows),
        cmocka_unit_test(a_transaction_may_live_in_one_pipeline),
        cmocka_unit_test(combined_rows_come_behind_their_columns),
        cmocka_unit_test(flush_gives_what_is_there),
    };
    cluster = world_cluster();
    router = sy_router_start(world_databases(cluster, "size = 4;"), NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
