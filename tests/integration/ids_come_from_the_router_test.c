/* switchyard.next_id(): a new value for each call of each execution, known before the statement is
 * routed, in both protocols, on PostgreSQL shards and on embedded ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/shards_world.h"

static struct sy_router *router;

static const char *const databases[] = {"wide", "blog"};

static const char *const tables = "create table notes (id bigint primary key, v int, w text)";

/* The same shards once more, by hash, and an embedded database. */
static const char *describe_databases(void)
{
    static char text[4096];
    int at = snprintf(text, sizeof(text), "{ name = \"wide\"; pool = { size = 1; }; shards = (");
    for (int i = 0; i < 3; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at,
                       "%s { name = \"s%d\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
                       "dbname=s%d user=postgres\"; } ); }",
                       i > 0 ? "," : "", i, (unsigned)sy_cluster_port(shard_server(i), 0), i);
    snprintf(text + at, sizeof(text) - (size_t)at,
             " ); keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int8\";"
             "  tables = ( { name = \"notes\"; key = \"id\"; } ); } ); },\n"
             "{ name = \"blog\"; engine = \"sqlite\"; shards = ( { name = \"e0\"; },"
             " { name = \"e1\"; }, { name = \"e2\"; } );"
             " keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int8\";"
             "  tables = ( { name = \"notes\"; key = \"id\"; } ); } ); } );");
    return text;
}

static int set_up(void **state)
{
    (void)state;
    (void)shards_start(tables, "");
    router = sy_router_start(describe_databases(), "node_id = 77;", NULL);
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, tables), "CREATE TABLE");
    PQfinish(c);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    int status = sy_router_stop(&router, SIGTERM);
    shards_stop();
    return status;
}

static PGconn *open_empty(const char *database)
{
    PGconn *c = sy_router_connect(router, database, NULL);
    assert_int_equal(strncmp(sy_run(c, "delete from notes"), "DELETE", 6), 0);
    return c;
}

/* Each row is where its key belongs: found by it alone. */
static void assert_all_found(PGconn *c, int count)
{
    PGresult *rows = PQexec(c, "select id from notes");
    assert_int_equal(PQntuples(rows), count);
    for (int i = 0; i < count; i++) {
        char sql[100];
        snprintf(sql, sizeof(sql), "select count(*) from notes where id = %s",
                 PQgetvalue(rows, i, 0));
        assert_string_equal(sy_ask(c, sql), "1");
    }
    PQclear(rows);
}

static void each_call_is_another_value(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        PGconn *c = open_empty(databases[d]);
        PGresult *result =
            PQexec(c, "select switchyard.next_id(), switchyard.next_id() as other, 'x'");
        assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
        assert_string_equal(PQfname(result, 0), "next_id");
        assert_string_equal(PQfname(result, 1), "other");
        assert_int_equal(PQftype(result, 0), 20);
        long long first = atoll(PQgetvalue(result, 0, 0)), second = atoll(PQgetvalue(result, 0, 1));
        assert_true(first > 0 && second > first);
        assert_int_equal(first >> 12 & 1023, 77);
        PQclear(result);
        assert_true(atoll(sy_ask(c, "select switchyard.next_id()")) > second);
        PQfinish(c);
    }
}

static void rows_go_to_the_shards_of_their_ids(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        PGconn *c = open_empty(databases[d]);
        for (int i = 0; i < 20; i++)
            assert_string_equal(
                sy_run(c, "insert into notes values (switchyard.next_id(), 5, 'one')"),
                "INSERT 0 1");
        assert_string_equal(sy_run(c, "insert into notes (v, id) values (1, switchyard.next_id()),"
                                      " (2, switchyard.next_id()), (3, switchyard.next_id())"),
                            "INSERT 0 3");
        assert_true(atoll(sy_ask(c, "insert into notes values (switchyard.next_id(), 9, 'r') "
                                    "returning id")) > 0);
        assert_string_equal(sy_run(c, "begin; insert into notes values (switchyard.next_id(), 1);"
                                      "insert into notes values (switchyard.next_id(), 2); commit"),
                            "COMMIT");
        assert_all_found(c, 26);
        PQfinish(c);
    }
    int filled = 0;
    for (int i = 0; i < 3; i++)
        filled += strcmp(from_shard(i, "select count(*) from notes"), "0") != 0;
    assert_true(filled > 1);
}

static void insert_prepared(PGconn *c, const char *name, int rows)
{
    for (int i = 0; i < rows; i++) {
        char number[12];
        snprintf(number, sizeof(number), "%d", i);
        const char *values[] = {number, name};
        PGresult *result = PQexecPrepared(c, name, 2, values, NULL, NULL, 0);
        assert_string_equal(PQcmdStatus(result), "INSERT 0 1");
        PQclear(result);
    }
}

static void prepared_statements_make_new_ids_each_time(void **state)
{
    (void)state;
    static const char *const names[] = {"", "named"};
    for (int run = 0; run < 4; run++) {
        PGconn *c = open_empty(databases[run % 2]);
        const char *name = names[run / 2];
        PGresult *result = PQprepare(
            c, name, "insert into notes (id, v, w) values (switchyard.next_id(), $1, $2)", 0, NULL);
        assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
        PQclear(result);
        result = PQdescribePrepared(c, name);
        assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
        assert_int_equal(PQnparams(result), 2);
        assert_int_equal(PQparamtype(result, 0), 23);
        PQclear(result);
        insert_prepared(c, name, 12);
        assert_all_found(c, 12);
        assert_string_equal(sy_ask(c, "select max(v) from notes"), "11");
        PQfinish(c);
    }
}

static void several_rows_and_columns_of_a_prepared_statement(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        PGconn *c = open_empty(databases[d]);
        const char *values[] = {"7", "a", "b"};
        PGresult *result = PQexecParams(c,
                                        "insert into notes values (switchyard.next_id(), $1, $2),"
                                        " (switchyard.next_id(), $1::int + 1, $3)",
                                        3, NULL, values, NULL, NULL, 0);
        assert_string_equal(PQcmdStatus(result), "INSERT 0 2");
        PQclear(result);
        assert_all_found(c, 2);
        assert_string_equal(sy_ask_all(c, "select v, w from notes order by v"), "7|a\n8|b");
        result = PQexecParams(c, "select switchyard.next_id()", 0, NULL, NULL, NULL, NULL, 1);
        assert_int_equal(PQgetlength(result, 0, 0), 8);
        PQclear(result);
        PQfinish(c);
    }
}

/* While a statement waits for a server it stays the same statement. */
static void ids_stay_while_servers_are_waited_for(void **state)
{
    (void)state;
    enum { CLIENTS = 8, ROUNDS = 15 };
    PGconn *c = open_empty("wide"), *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = sy_router_connect(router, "wide", NULL);
    for (int round = 0; round < ROUNDS; round++) {
        static const char sql[] = "insert into notes values (switchyard.next_id(), 1)";
        for (int i = 0; i < CLIENTS; i++)
            assert_true(i % 2 == 0
                            ? PQsendQuery(clients[i], sql)
                            : PQsendQueryParams(clients[i], sql, 0, NULL, NULL, NULL, NULL, 0));
        for (int i = 0; i < CLIENTS; i++) {
            PGresult *result = PQgetResult(clients[i]);
            assert_string_equal(PQcmdStatus(result), "INSERT 0 1");
            PQclear(result);
            assert_null(PQgetResult(clients[i]));
        }
    }
    for (int i = 0; i < CLIENTS; i++)
        PQfinish(clients[i]);
    assert_all_found(c, CLIENTS * ROUNDS);
    PQfinish(c);
}

static void execute_takes_them_as_arguments(void **state)
{
    (void)state;
    PGconn *c = open_empty("wide");
    assert_string_equal(sy_run(c, "prepare p (bigint, int) as insert into notes values ($1, $2)"),
                        "PREPARE");
    for (int i = 0; i < 5; i++)
        assert_string_equal(sy_run(c, "execute p(switchyard.next_id(), 4)"), "INSERT 0 1");
    assert_all_found(c, 5);
    assert_string_equal(
        sy_run(c, "prepare q as insert into notes values (switchyard.next_id(), 1)"),
        "ERROR 0A000");
    PQfinish(c);
}

static void other_places_are_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "select switchyard.next_id() from notes",
        "update notes set v = 1, id = switchyard.next_id()",
        "insert into notes select switchyard.next_id(), v from notes",
        "select switchyard.next_id(), generate_series(1, 2)",
        "create table other (id bigint default switchyard.next_id())",
    };
    for (int d = 0; d < 2; d++) {
        PGconn *c = open_empty(databases[d]);
        for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
            assert_string_equal(sy_run(c, refused[i]), "ERROR 0A000");
            PGresult *result = PQexecParams(c, refused[i], 0, NULL, NULL, NULL, NULL, 0);
            assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "0A000");
            PQclear(result);
        }
        PGresult *result = PQexec(c, "select switchyard.next_id() from notes");
        assert_non_null(strstr(PQerrorMessage(c), "SELECT switchyard.next_id()"));
        PQclear(result);
        PQfinish(c);
    }
}

static void explain_tells_one_shard(void **state)
{
    (void)state;
    PGconn *c = open_empty("wide");
    const char *plan =
        sy_ask_all(c, "explain (route) insert into notes values (switchyard.next_id(), 1)");
    assert_int_equal(strncmp(plan, "Route: one shard, ", 18), 0);
    assert_true(strncmp(sy_ask(c, "explain insert into notes values (switchyard.next_id(), 1)"),
                        "Insert on notes", 15) == 0);
    assert_string_equal(sy_ask(c, "select count(*) from notes"), "0");
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_is_another_value),
        cmocka_unit_test(rows_go_to_the_shards_of_their_ids),
        cmocka_unit_test(prepared_statements_make_new_ids_each_time),
        cmocka_unit_test(several_rows_and_columns_of_a_prepared_statement),
        cmocka_unit_test(ids_stay_while_servers_are_waited_for),
        cmocka_unit_test(execute_takes_them_as_arguments),
        cmocka_unit_test(other_places_are_refused),
        cmocka_unit_test(explain_tells_one_shard),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
