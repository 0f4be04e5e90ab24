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

/* ---- inside binary values ---- */

static uint32_t word_at(const char *data, size_t at)
{
    const uint8_t *b = (const uint8_t *)data + at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* What the text form of a value says, so that a whole binary value can be compared with it. */
static Oid oid_of(PGconn *c, const char *name)
{
    char sql[100];
    snprintf(sql, sizeof(sql), "select '%s'::regtype::oid", name);
    return (Oid)strtoul(sy_ask(c, sql), NULL, 10);
}

/* mood[] is an array of mood, pair a record of int and mood, pair[] an array of those, whichever
 * shard tells. */
static void check_row(PGresult *result, int row, Oid mood, Oid pair)
{
    const char *array = PQgetvalue(result, row, 1), *record = PQgetvalue(result, row, 2),
               *nested = PQgetvalue(result, row, 3), *range = PQgetvalue(result, row, 4);
    assert_int_equal(word_at(array, 8), mood);
    assert_int_equal(word_at(record, 0), 2);
    assert_int_equal(word_at(record, 4), 23);
    assert_int_equal(word_at(record, 16), mood);
    assert_int_equal(word_at(nested, 8), pair);
    assert_int_equal(word_at(nested, 24 + 16), mood);
    assert_int_equal(word_at(range, 5 + 16), mood);
}

static const char columns[] = "id, moods, one, many, spread";

/* One shard by its key, both at once, in order (a merge), by name and unnamed, and without
 * Describe. */
static void oids_inside_binary_values_are_the_first_shards(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    Oid mood = oid_of(c, "mood"), pair = oid_of(c, "pair");
    static const struct {
        const char *where;
        int rows;
    } reads[] = {{"where id = 1", 1}, {"where id = 2", 1}, {"", 2}, {"order by id desc", 2}};
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
            char sql[160];
            snprintf(sql, sizeof(sql), "select %s from people %s", columns, reads[i].where);
            PGresult *result = PQexecParams(c, sql, 0, NULL, NULL, NULL, NULL, 1);
            if (PQntuples(result) != reads[i].rows)
                fail_msg("%s: %s", sql, PQresultErrorMessage(result));
            for (int row = 0; row < reads[i].rows; row++)
                check_row(result, row, mood, pair);
            PQclear(result);
        }
    /* A cursor in binary tells its columns itself. */
    sy_run(c, "begin");
    char sql[160];
    snprintf(sql, sizeof(sql), "declare c binary cursor for select %s from people where id = 2",
             columns);
    assert_string_equal(sy_run(c, sql), "DECLARE CURSOR");
    PGresult *result = PQexec(c, "fetch all from c");
    assert_int_equal(PQntuples(result), 1);
    check_row(result, 0, mood, pair);
    PQclear(result);
    sy_run(c, "commit");
    PQfinish(c);
}

/* A value as one shard tells it is taken by every other. */
static void binary_values_are_parameters_everywhere(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    PGresult *rows = PQexecParams(c, "select moods, one, many, spread from people where id = 1", 0,
                                  NULL, NULL, NULL, NULL, 1);
    assert_int_equal(PQntuples(rows), 1);
    const char *set =
        "update people set moods = $1, one = $2, many = $3, spread = $4 where id = $5";
    for (int prepared = 0; prepared < 2; prepared++)
        for (int id = 1; id <= 2; id++) {
            char key[8], name[8];
            snprintf(key, sizeof(key), "%d", id);
            snprintf(name, sizeof(name), "u%d", id);
            Oid types[5];
            const char *values[5] = {[4] = key};
            int lengths[5] = {0}, formats[5] = {1, 1, 1, 1, 0};
            for (int i = 0; i < 4; i++) {
                types[i] = PQftype(rows, i);
                values[i] = PQgetvalue(rows, 0, i);
                lengths[i] = PQgetlength(rows, 0, i);
            }
            types[4] = 20;
            PGresult *result;
            if (prepared == 0) {
                result = PQexecParams(c, set, 5, types, values, lengths, formats, 0);
            } else { /* the types as the server tells them */
                PQclear(PQprepare(c, name, set, 0, NULL));
                PQclear(PQdescribePrepared(c, name));
                result = PQexecPrepared(c, name, 5, values, lengths, formats, 0);
            }
            if (strcmp(PQcmdTuples(result), "1") != 0)
                fail_msg("id %d: %s", id, PQresultErrorMessage(result));
            PQclear(result);
            char sql[80];
            snprintf(sql, sizeof(sql), "select moods, one, many, spread from people where id = %d",
                     id);
            assert_string_equal(
                sy_ask_all(c, sql),
                "{sad,happy}|(1,sad)|{\"(1,sad)\",\"(2,happy)\"}|[\"(1,sad)\",\"(2,happy)\")");
        }
    PQclear(rows);
    PQfinish(c);
}

/* Statements of a pipeline whose columns differ do not take each other's for theirs. */
static void a_pipeline_keeps_columns_apart(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    Oid mood = oid_of(c, "mood"), pair = oid_of(c, "pair");
    static const char *const texts[] = {
        "select 'row '::bytea from people where id = $1",
        "select id, moods, one, many, spread from people where id = $1",
        "select id::int4, 7, 'some bytes of text' from people where id = $1"};
    assert_int_equal(PQenterPipelineMode(c), 1);
    for (int round = 0; round < 3; round++) {
        const char *value = "2";
        for (int i = 0; i < 3; i++)
            PQsendQueryParams(c, texts[i], 1, NULL, &value, NULL, NULL, 1);
        PQpipelineSync(c);
        for (int i = 0; i < 3; i++) {
            PGresult *result = PQgetResult(c);
            assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
            if (i == 1)
                check_row(result, 0, mood, pair);
            PQclear(result);
            assert_null(PQgetResult(c));
        }
        PGresult *sync = PQgetResult(c);
        assert_int_equal(PQresultStatus(sync), PGRES_PIPELINE_SYNC);
        PQclear(sync);
    }
    PQfinish(c);
}

static void binary_copy_that_would_carry_oids_is_refused(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "copy people from stdin binary"), "ERROR 0A000");
    assert_string_equal(sy_run(c, "/* switchyard: shard=s1 */ copy people to stdout binary"),
                        "ERROR 0A000");
    assert_string_equal(
        sy_run(c, "/* switchyard: shard=s1 */ copy (select * from people) to stdout binary"),
        "ERROR 0A000");
    PGresult *result = PQexec(c, "/* switchyard: shard=s1 */ copy orders to stdout binary");
    assert_int_equal(PQresultStatus(result), PGRES_COPY_OUT);
    PQclear(result);
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shard_tells_the_same_oids),
        cmocka_unit_test(a_parameter_of_such_a_type_reaches_every_shard),
        cmocka_unit_test(oids_inside_binary_values_are_the_first_shards),
        cmocka_unit_test(binary_values_are_parameters_everywhere),
        cmocka_unit_test(a_pipeline_keeps_columns_apart),
        cmocka_unit_test(binary_copy_that_would_carry_oids_is_refused),
    };
    cluster = world_cluster();
    sy_cluster_sql(cluster, 0, "s1",
                   "create table before_it(i int); create type before_it_too as enum ('a')");
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1",
                       "create type mood as enum ('sad', 'happy');"
                       "create type pair as (a int, m mood);"
                       "create type span as range (subtype = pair);"
                       "create table people(id bigint primary key, mood mood, moods mood[], "
                       "one pair, many pair[], spread span);");
    for (int i = 0; i < 2; i++) {
        char sql[256];
        snprintf(sql, sizeof(sql),
                 "insert into people values (%d, 'sad', '{sad,happy}', (1, 'sad'), "
                 "array[(1, 'sad')::pair, (2, 'happy')::pair], span((1, 'sad')::pair, (2, "
                 "'happy')::pair))",
                 i + 1);
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1", sql);
    }
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
