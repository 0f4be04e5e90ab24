/* Types and tables that have other OIDs on every shard look the same to the client, whichever shard
 * answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

/* Type OID and table OID of the first column, as the client is told. */
static void told(PGresult *result, Oid *type, Oid *table)
{
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    *type = PQftype(result, 0);
    *table = PQftable(result, 0);
    PQclear(result);
}

static void every_shard_tells_the_same_oids(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    Oid type[4], table[4];
    for (int i = 0; i < 2; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "select mood from people where id = %d", i + 1);
        told(PQexec(c, sql), &type[i], &table[i]);
        const char *value = i == 0 ? "1" : "2";
        told(PQexecParams(c, "select mood from people where id = $1", 1, NULL, &value, NULL, NULL,
                          0),
             &type[i + 2], &table[i + 2]);
    }
    for (int i = 1; i < 4; i++) {
        assert_int_equal(type[i], type[0]);
        assert_int_equal(table[i], table[0]);
    }
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "%u|%u", type[0], table[0]);
    assert_string_equal(sy_ask_all(c, "select 'mood'::regtype::oid, 'people'::regclass::oid"),
                        wanted);
    PQfinish(c);
}

static void a_parameter_of_such_a_type_reaches_every_shard(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    Oid mood = (Oid)strtoul(sy_ask(c, "select 'mood'::regtype::oid"), NULL, 10);
    for (int id = 1; id <= 2; id++) {
        char key[8];
        snprintf(key, sizeof(key), "%d", id);
        const Oid types[] = {mood, 20};
        const char *values[] = {"happy", key};
        PGresult *result = PQexecParams(c, "update people set mood = $1 where id = $2", 2, types,
                                        values, NULL, NULL, 0);
        if (PQresultStatus(result) != PGRES_COMMAND_OK)
            fail_msg("%s", PQresultErrorMessage(result));
        PQclear(result);
        char name[8], sql[64];
        snprintf(name, sizeof(name), "p%d", id);
        result =
            PQprepare(c, name, "select mood from people where mood = $1 and id = $2", 2, types);
        assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
        PQclear(result);
        result = PQexecPrepared(c, name, 2, values, NULL, NULL, 0);
        assert_string_equal(PQgetvalue(result, 0, 0), "happy");
        PQclear(result);
        result = PQdescribePrepared(c, name);
        assert_int_equal(PQparamtype(result, 0), mood);
        PQclear(result);
        snprintf(sql, sizeof(sql), "select mood from people where id = %d", id);
        assert_string_equal(sy_ask(c, sql), "happy");
    }
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shard_tells_the_same_oids),
        cmocka_unit_test(a_parameter_of_such_a_type_reaches_every_shard),
    };
    cluster = world_cluster();
    sy_cluster_sql(cluster, 0, "s1",
                   "create table before_it(i int); create type before_it_too as enum ('a')");
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1",
                       "create type mood as enum ('sad', 'happy');"
                       "create table people(id bigint primary key, mood mood);"
                       "insert into people values (1, 'sad'), (2, 'sad')");
    char databases[4096];
    snprintf(databases, sizeof(databases), "%s", world_databases(cluster, "size = 3;"));
    char *at = strstr(databases, "{ name = \"customers\"");
    char more[4096];
    snprintf(more, sizeof(more), "%.*s{ name = \"people\"; key = \"id\"; }, %s",
             (int)(at - databases), databases, at);
    router = sy_router_start(more, NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
