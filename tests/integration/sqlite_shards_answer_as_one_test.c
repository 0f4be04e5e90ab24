/* Embedded shards behind the router answer as one database: text is ordered by bytes on each of
 * them, so the router merges it, and only a key whose column rounds is taken for one
 * that may be rounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness/expect.h"
#include "tests/harness/router.h"

static const char DATABASES[] =
    "{ name = \"blog\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; }, { name = \"s1\"; } );"
    "  keyspaces = ( { name = \"authors\"; strategy = \"hash\"; type = \"int8\";"
    "                  tables = ( { name = \"posts\"; key = \"author_id\"; } ); },"
    "                { name = \"days\"; strategy = \"range\"; type = \"timestamp\";"
    "                  ranges = ( { upto = \"2026-01-01\"; shard = \"s0\"; }, { shard = \"s1\"; } "
    ");"
    "                  tables = ( { name = \"exact\"; key = \"at\"; },"
    "                             { name = \"seconds\"; key = \"at\"; } ); } ); } );";

static struct sy_router *router;

static int set_up(void **state)
{
    (void)state;
    router = sy_router_start(DATABASES, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return sy_router_stop(&router, SIGTERM);
}

static void text_is_merged_by_bytes(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "create table posts (author_id int8, title text, kind varchar(9),"
                                  " primary key (author_id, title))"),
                        "CREATE TABLE");
    for (int i = 1; i <= 8; i++) {
        char sql[160];
        snprintf(sql, sizeof(sql), "insert into posts values (%d, '%c%d', 'k%d')", i,
                 i % 2 == 0 ? 'a' : 'B', i, i % 3);
        assert_string_equal(sy_run(c, sql), "INSERT 0 1");
    }
    assert_string_equal(sy_ask_all(c, "select title from posts order by title desc limit 3"),
                        "a8\na6\na4");
    assert_string_equal(
        sy_ask_all(c, "select kind, count(*), max(title) from posts group by kind order by kind"),
        "k0|2|a6\nk1|3|a4\nk2|3|a8");
    PQfinish(c);
}

static void a_key_keeps_its_precision(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "create table exact (at timestamp primary key)"), "CREATE TABLE");
    assert_string_equal(sy_run(c, "create table seconds (at timestamp(0) primary key)"),
                        "CREATE TABLE");
    const char *moment = "2025-12-31 23:59:59.6";
    char sql[160];
    snprintf(sql, sizeof(sql), "insert into exact values ('%s')", moment);
    assert_string_equal(sy_run(c, sql), "INSERT 0 1");
    assert_string_equal(sy_ask(c, "/* switchyard: shard=s0 */ select at from exact"), moment);
    snprintf(sql, sizeof(sql), "insert into seconds values ('%s')", moment);
    assert_string_equal(sy_run(c, sql), "ERROR 0A000"); /* the server would round it */
    assert_string_equal(sy_run(c, "insert into seconds values ('2025-12-31 23:59:59')"),
                        "INSERT 0 1");
    assert_string_equal(sy_ask(c, "/* switchyard: shard=s0 */ select at from seconds"),
                        "2025-12-31 23:59:59");
    assert_string_equal(sy_ask(c, "select at from exact where at = '2025-12-31 23:59:59.6'"),
                        moment);
    PQfinish(c);
}

static void rows_go_to_their_shards(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(sy_run(c, "alter table posts add column likes int default 3"),
                        "ALTER TABLE");
    assert_string_equal(sy_ask_all(c, "insert into posts (author_id, title) values (21, 'a'), (22, "
                                      "'b'), (23, 'c'), (24, 'd') returning author_id, likes"),
                        "21|3\n22|3\n23|3\n24|3");
    static const char *const values[] = {"26", "f", "25", "e"};
    PGresult *result = PQexecParams(c,
                                    "insert into posts (author_id, title) values ($1, $2), ($3, "
                                    "$4)",
                                    4, NULL, values, NULL, NULL, 0);
    assert_string_equal(PQcmdStatus(result), "INSERT 0 2");
    PQclear(result);
    sy_expect(c,
              {"update posts set likes = likes + 1 where likes = 3 and author_id "
               "> 20",
               "UPDATE 6"},
              {"insert into posts (author_id, title) values (27, 'x'), (21, "
               "'a')",
               "ERROR 23505"},
              {"delete from posts where likes = 4", "DELETE 6"},
              {"select count(*) from posts where author_id > 20", "0"});
    PQfinish(c);
}

/* COPY with the extended protocol, as far as its end: the tag or the SQLSTATE. */
static const char *copy_in(PGconn *c, const char *sql, const char *data)
{
    static char text[64];
    PGresult *result = PQexecParams(c, sql, 0, NULL, NULL, NULL, NULL, 0);
    assert_int_equal(PQresultStatus(result), PGRES_COPY_IN);
    PQclear(result);
    assert_int_equal(PQputCopyData(c, data, (int)strlen(data)), 1);
    assert_int_equal(PQputCopyEnd(c, NULL), 1);
    result = PQgetResult(c);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(text, sizeof(text), "%s", state != NULL ? state : PQcmdStatus(result));
    PQclear(result);
    assert_null(PQgetResult(c));
    return text;
}

static void bound_copies_bring_rows_to_their_shards(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "blog", NULL);
    const char *sql = "copy posts (author_id, title) from stdin";
    assert_string_equal(copy_in(c, sql, "31\ta\n32\tb\n33\tc\n34\td\n"), "COPY 4");
    assert_string_equal(copy_in(c, sql, "35\te\n36\tf\n37\tg\n31\ta\n"), "23505");
    assert_string_equal(copy_in(c, sql, "38\th\nbad\ti\n"), "22P02");
    assert_string_equal(
        sy_ask_all(c, "select author_id from posts where author_id > 30 order by author_id"),
        "31\n32\n33\n34");
    assert_string_equal(sy_run(c, "delete from posts where author_id > 30"), "DELETE 4");
    PQfinish(c);
}

/* Without BEGIN it would hold on one shard, until Sync. */
static void a_local_setting_without_a_block_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"set local timezone = 'Asia/Tokyo'", "show timezone"};
    PGconn *c = sy_router_connect(router, "blog", NULL);
    assert_int_equal(PQenterPipelineMode(c), 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(PQsendQueryParams(c, texts[i], 0, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(PQpipelineSync(c), 1);
    PGresult *result = PQgetResult(c);
    assert_int_equal(PQresultStatus(result), PGRES_COMMAND_OK);
    PQclear(result);
    assert_null(PQgetResult(c));
    result = PQgetResult(c);
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "0A000");
    PQclear(result);
    PQfinish(c);
}

/* A driver reads an int4: what has no address has port 0, as PgBouncer's has, and no host. */
static void the_console_tells_no_address(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "switchyard", NULL);
    PGresult *result = PQexec(c, "SHOW DATABASES");
    assert_int_equal(PQntuples(result), 1);
    assert_string_equal(PQgetvalue(result, 0, PQfnumber(result, "port")), "0");
    assert_true(PQgetisnull(result, 0, PQfnumber(result, "host")));
    PQclear(result);
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_merged_by_bytes),
        cmocka_unit_test(a_key_keeps_its_precision),
        cmocka_unit_test(rows_go_to_their_shards),
        cmocka_unit_test(bound_copies_bring_rows_to_their_shards),
        cmocka_unit_test(a_local_setting_without_a_block_is_refused),
        cmocka_unit_test(the_console_tells_no_address),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
