/* Serial and identity columns of sharded tables on embedded shards: every value is given once in
 * the whole database, also after a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/router.h"

static struct sy_router *router;

static const char databases[] =
    "{ name = \"shop\"; engine = \"sqlite\";\n"
    " shards = ( { name = \"s0\"; }, { name = \"s1\"; }, { name = \"s2\"; }, { name = \"s3\"; } "
    ");\n"
    " keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\";\n"
    "  lists = ( { values = [\"1\"]; shard = \"s0\"; }, { values = [\"2\"]; shard = \"s1\"; },\n"
    "            { values = [\"3\"]; shard = \"s2\"; }, { values = [\"4\"]; shard = \"s3\"; } );\n"
    "  tables = ( { name = \"posts\"; key = \"k\"; }, { name = \"notes\"; key = \"k\"; } ); } ); } "
    ");";

static void insert(PGconn *c, const char *table, int rounds)
{
    char sql[120];
    for (int i = 0; i < rounds; i++)
        for (int k = 1; k <= 4; k++) {
            snprintf(sql, sizeof(sql), "insert into %s (k) values (%d), (%d)", table, k, 1);
            assert_string_equal(sy_run(c, sql), "INSERT 0 2");
        }
}

static void assert_unique(PGconn *c, const char *table, const char *answer)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "select count(*), min(id), max(id) from %s", table);
    assert_string_equal(sy_ask_all(c, sql), answer);
    snprintf(sql, sizeof(sql), "select id from %s group by id having count(*) > 1", table);
    assert_string_equal(sy_ask_all(c, sql), "");
}

static void ids_are_given_once(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "create table posts (k bigint not null, id serial)"),
                        "CREATE TABLE");
    assert_string_equal(sy_run(c, "create table notes (k bigint, id bigint generated always as "
                                  "identity (start with 100 increment by -10 maxvalue 1000 "
                                  "minvalue -100000))"),
                        "CREATE TABLE");
    insert(c, "posts", 5);
    insert(c, "notes", 5);
    /* 25 rows on the first shard, 5 on each other one. */
    assert_unique(c, "posts", "40|1|409");
    assert_unique(c, "notes", "40|-3980|100");
    PQfinish(c);
    sy_router_restart(router, true);
    c = sy_router_connect(router, "shop", NULL);
    insert(c, "posts", 1);
    assert_unique(c, "posts", "48|1|494");
    PQfinish(c);
}

static void they_are_moved_on_all_shards(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_ask(c, "select setval('posts_id_seq', 1000)"), "1000");
    static const char *const next[] = {"1004", "1005", "1006", "1007"};
    char sql[100];
    for (int k = 1; k <= 4; k++) {
        snprintf(sql, sizeof(sql), "insert into posts values (%d) returning id", k);
        assert_string_equal(sy_ask(c, sql), next[k - 1]);
    }
    assert_string_equal(sy_run(c, "alter sequence posts_id_seq restart with 2000"),
                        "ALTER SEQUENCE");
    assert_string_equal(sy_ask(c, "insert into posts values (2) returning id"), "2001");
    assert_string_equal(sy_ask(c, "insert into posts values (4) returning id"), "2003");
    assert_string_equal(sy_run(c, "alter sequence posts_id_seq increment 3"), "ERROR 0A000");
    assert_string_equal(sy_run(c, "alter table posts add w serial"), "ALTER TABLE");
    assert_string_equal(sy_ask_all(c, "select w from posts group by w having count(*) > 1"), "");
    assert_string_equal(sy_run(c, "truncate posts restart identity"), "TRUNCATE TABLE");
    assert_string_equal(sy_ask(c, "insert into posts values (2) returning id"), "2001");
    PQfinish(c);
}

static int set_up(void **state)
{
    (void)state;
    router = sy_router_start(databases, NULL, NULL);
    return router == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    return sy_router_stop(&router, SIGTERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_given_once),
        cmocka_unit_test(they_are_moved_on_all_shards),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
