/* All strategies and key types, in literals and parameters, as text and as binary: a row that was
 * written is found, and it is on the shard that a COPY of the same row would choose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

static struct sy_cluster *cluster;
static struct sy_router *router;
static PGconn *direct[2]; /* to the shards themselves */

static const struct key {
    const char *type, *strategy, *shards, *values[4];
} keys[] = {
    {"int2", "hash", "", {"1", "-2", "300", "-32768"}},
    {"int4", "hash", "", {"1", "-2", "70000", "2147483647"}},
    {"int8", "hash", "", {"1", "-2", "9000000000", "-9223372036854775808"}},
    {"text", "hash", "", {"a", "", "with ''quote''", "Grüße"}},
    {"varchar", "hash", "", {"a", "b", "cc ", "dddd"}},
    {"bpchar", "hash", "", {"a", "b", "cc", "dddd"}},
    {"uuid",
     "hash",
     "",
     {"00000000-0000-0000-0000-000000000001", "A0EEBC999C0B4EF8BB6D6BB9BD380A11",
      "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12}", "ffffffff-ffff-ffff-ffff-ffffffffffff"}},
    {"date", "hash", "", {"2024-02-29", "1999-12-31", "infinity", "0001-01-01"}},
    {"timestamp",
     "hash",
     "",
     {"2024-02-29 12:34:56", "1999-12-31 23:59:59.999999", "infinity", "2000-01-01"}},
    {"timestamptz",
     "hash",
     "",
     {"2024-02-29 12:34:56+02", "1999-12-31 23:59:59.9-05", "-infinity", "2000-01-01 00:00:00+00"}},
    {"int8",
     "range",
     "ranges = ( { upto = \"0\"; shard = \"s0\"; }, { upto = \"100\"; shard = \"s1\"; }, { shard = "
     "\"s0\"; } );",
     {"-1", "0", "99", "100"}},
    {"date",
     "range",
     "ranges = ( { upto = \"2020-01-01\"; shard = \"s0\"; }, { shard = \"s1\"; } );",
     {"2019-12-31", "2020-01-01", "2030-01-01", "1900-01-01"}},
    {"text",
     "list",
     "lists = ( { values = [\"a\", \"b\"]; shard = \"s0\"; }, { values = [\"c\", \"d\"]; shard = "
     "\"s1\"; } );",
     {"a", "b", "c", "d"}},
    {"text",
     "geo",
     "regions = ( { name = \"eu\"; values = [\"DE\", \"FR\"]; shards = [\"s0\"]; }, { name = "
     "\"default\"; shards = [\"s1\"]; } );",
     {"DE", "FR", "US", "JP"}},
};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static const char *databases(void)
{
    static char text[16384];
    unsigned port = sy_cluster_port(cluster, 0);
    int at =
        snprintf(text, sizeof(text),
                 "{ name = \"shop\"; engine = \"postgres\"; pool = { size = 3; };\n shards = ( "
                 "{ name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=s0 "
                 "user=postgres\"; } ); }, "
                 "{ name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=s1 "
                 "user=postgres\"; } ); } );\n"
                 " keyspaces = (",
                 port, port);
    for (int i = 0; i < KEYS; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at,
                       "%s { name = \"k%d\"; strategy = \"%s\"; type = \"%s\"; %s tables = ( { "
                       "name = \"t%d\"; key = \"k\"; } ); }",
                       i > 0 ? ",\n" : "", i, keys[i].strategy, keys[i].type, keys[i].shards, i);
    snprintf(text + at, sizeof(text) - (size_t)at, " ); } );");
    return text;
}

static const char *shard_with(int table, int v)
{
    static char found[8];
    char sql[96];
    snprintf(sql, sizeof(sql), "select count(*) from t%d where v = %d", table, v);
    bool s0 = strcmp(sy_ask(direct[0], sql), "1") == 0;
    bool s1 = strcmp(sy_ask(direct[1], sql), "1") == 0;
    snprintf(found, sizeof(found), "%s%s", s0 ? "s0" : "", s1 ? "s1" : "");
    return found;
}

static void unquote(const char *literal, char *plain)
{
    for (; *literal != 0; literal++) {
        *plain++ = *literal;
        if (literal[0] == '\'' && literal[1] == '\'')
            literal++;
    }
    *plain = 0;
}

/* The value in binary form, as a server sends it. */
static int binary_of(const struct key *key, const char *plain, char *bytes)
{
    char sql[64];
    snprintf(sql, sizeof(sql), "select $1::%s", key->type);
    PGresult *result = PQexecParams(direct[0], sql, 1, NULL, &plain, NULL, NULL, 1);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    int length = PQgetlength(result, 0, 0);
    memcpy(bytes, PQgetvalue(result, 0, 0), (size_t)length);
    PQclear(result);
    return length;
}

static const char *count_by(PGconn *c, int table, const char *value, int length, int format)
{
    static char found[16];
    char sql[64];
    snprintf(sql, sizeof(sql), "select count(*) from t%d where k = $1", table);
    PGresult *result = PQexecParams(c, sql, 1, NULL, &value, &length, &format, 0);
    snprintf(found, sizeof(found), "%s",
             PQresultStatus(result) == PGRES_TUPLES_OK
                 ? PQgetvalue(result, 0, 0)
                 : PQresultErrorField(result, PG_DIAG_SQLSTATE));
    PQclear(result);
    return found;
}

static void write_and_find(PGconn *c, int table, int index)
{
    const struct key *key = &keys[table];
    const char *literal = key->values[index];
    char plain[64], sql[256], binary[64];
    unquote(literal, plain);
    int length = binary_of(key, plain, binary);
    snprintf(sql, sizeof(sql), "insert into t%d (k, v) values ('%s', %d)", table, literal, index);
    if (strcmp(sy_run(c, sql), "INSERT 0 1") != 0)
        fail_msg("%s: %s", sql, PQerrorMessage(c));
    snprintf(sql, sizeof(sql), "select count(*) from t%d where k = '%s'", table, literal);
    assert_string_equal(sy_ask(c, sql), "1");
    assert_string_equal(count_by(c, table, plain, 0, 0), "1");
    assert_string_equal(count_by(c, table, binary, length, 1), "1");
    char shard[8];
    snprintf(shard, sizeof(shard), "%s", shard_with(table, index));
    assert_int_equal(strlen(shard), 2);
    /* the same key by a binary parameter and by COPY goes to the same shard */
    const char *value = binary;
    int format = 1;
    snprintf(sql, sizeof(sql), "insert into t%d (k, v) values ($1, %d)", table, index + 100);
    PGresult *result = PQexecParams(c, sql, 1, NULL, &value, &length, &format, 0);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    assert_string_equal(shard_with(table, index + 100), shard);
    snprintf(sql, sizeof(sql), "copy t%d (v, k) from stdin", table);
    result = PQexec(c, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    snprintf(sql, sizeof(sql), "%d\t%s\n", index + 200, plain);
    assert_int_equal(PQputCopyData(c, sql, (int)strlen(sql)), 1);
    assert_int_equal(PQputCopyEnd(c, NULL), 1);
    while ((result = PQgetResult(c)) != NULL) {
        assert_string_equal(PQcmdStatus(result), "COPY 1");
        PQclear(result);
    }
    assert_string_equal(shard_with(table, index + 200), shard);
    snprintf(sql, sizeof(sql), "update t%d set v = v where k = '%s'", table, literal);
    assert_string_equal(sy_run(c, sql), "UPDATE 3");
    snprintf(sql, sizeof(sql), "delete from t%d where k = '%s'", table, literal);
    assert_string_equal(sy_run(c, sql), "DELETE 3");
}

static void every_form_of_a_key_is_the_same_key(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (int table = 0; table < KEYS; table++)
        for (int index = 0; index < 4; index++)
            write_and_find(c, table, index);
    PQfinish(c);
}

static void a_key_that_maps_nowhere(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    const int list = 12;
    assert_string_equal(keys[list].strategy, "list");
    char sql[128];
    snprintf(sql, sizeof(sql), "insert into t%d (k, v) values ('z', 1)", list);
    assert_string_equal(sy_run(c, sql), "ERROR 23514");
    snprintf(sql, sizeof(sql), "select count(*) from t%d where k = 'z'", list);
    assert_string_equal(sy_ask(c, sql), "0");
    assert_string_equal(count_by(c, list, "z", 0, 0), "0");
    snprintf(sql, sizeof(sql), "update t%d set v = 2 where k = 'z'", list);
    assert_string_equal(sy_run(c, sql), "UPDATE 0");
    snprintf(sql, sizeof(sql), "copy t%d (k, v) from stdin", list);
    PGresult *result = PQexec(c, sql);
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    assert_int_equal(PQputCopyData(c, "a\t1\nz\t2\n", 8), 1);
    assert_int_equal(PQputCopyEnd(c, NULL), 1);
    result = PQgetResult(c);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "23514");
    PQclear(result);
    while ((result = PQgetResult(c)) != NULL)
        PQclear(result);
    snprintf(sql, sizeof(sql), "select count(*) from t%d where k = 'a'", list);
    assert_string_equal(sy_ask(c, sql), "0"); /* the whole COPY is undone */
    PQfinish(c);
}

static void a_bad_key_is_the_servers_error(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "select * from t2 where k = 'nonsense'"), "ERROR 22P02");
    assert_string_equal(sy_run(c, "insert into t0 (k, v) values (40000, 1)"), "ERROR 22003");
    assert_string_equal(sy_run(c, "insert into t7 (k, v) values ('2023-02-29', 1)"), "ERROR 22008");
    assert_string_equal(sy_ask(c, "select 1"), "1");
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_of_a_key_is_the_same_key),
        cmocka_unit_test(a_key_that_maps_nowhere),
        cmocka_unit_test(a_bad_key_is_the_servers_error),
    };
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "keys"});
    for (int shard = 0; shard < 2; shard++) {
        sy_cluster_sql(cluster, 0, "postgres",
                       shard == 0 ? "create database s0" : "create database s1");
        char conninfo[128];
        snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=s%d user=postgres",
                 (unsigned)sy_cluster_port(cluster, 0), shard);
        direct[shard] = PQconnectdb(conninfo);
        for (int i = 0; i < KEYS; i++) {
            char sql[96];
            snprintf(sql, sizeof(sql), "create table t%d (k %s, v int)", i, keys[i].type);
            assert_string_equal(sy_run(direct[shard], sql), "CREATE TABLE");
        }
    }
    router = sy_router_start(databases(), NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    PQfinish(direct[0]);
    PQfinish(direct[1]);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
