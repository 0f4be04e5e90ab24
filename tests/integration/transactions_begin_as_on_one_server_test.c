/* BEGIN, its modes and the defaults of transactions do what they do on one server, in whatever
 * order they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "tests/harness/expect.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

/* Statements in turn; the answers, "ERROR sqlstate" or the tag or the value, with a space behind
 * each. */
static void answers(PGconn *c, const char *const *statements, char *text, size_t bytes)
{
    size_t at = 0;
    text[0] = 0;
    for (; *statements != NULL; statements++) {
        const char *said =
            strncmp(*statements, "show", 4) == 0 ? sy_ask(c, *statements) : sy_run(c, *statements);
        at += (size_t)snprintf(text + at, bytes - at, "%s; ", said);
    }
}

static const char *const cases[][12] = {
    {"begin", "begin isolation level repeatable read", "show transaction_isolation", "rollback"},
    {"begin", "select name from customers where id = 1", "begin isolation level serializable",
     "rollback"},
    {"begin", "select name from customers where id = 1", "begin", "commit"},
    {"begin", "select name from customers where id = 1", "begin read only",
     "insert into customers(id) values (3)", "rollback"},
    {"begin", "start transaction read only", "insert into customers(id) values (3)", "rollback"},
    {"begin isolation level serializable", "savepoint a", "begin isolation level read committed",
     "rollback"},
    {"start transaction", "begin read write", "insert into customers(id) values (3)", "rollback"},
    {"begin", "begin isolation level serializable read only deferrable",
     "show transaction_deferrable", "show transaction_isolation", "rollback"},
    {"set session characteristics as transaction read only",
     "set default_transaction_read_only = off", "insert into customers(id) values (3)",
     "delete from customers where id = 3", "show default_transaction_read_only",
     "reset default_transaction_read_only"},
    {"set default_transaction_read_only = off",
     "set session characteristics as transaction read only", "insert into customers(id) values (3)",
     "show default_transaction_read_only", "reset default_transaction_read_only",
     "insert into customers(id) values (3)", "delete from customers where id = 3"},
    {"set session characteristics as transaction isolation level repeatable read, deferrable",
     "begin", "show transaction_isolation", "show transaction_deferrable", "rollback",
     "set default_transaction_isolation to 'read committed'", "begin", "show transaction_isolation",
     "rollback", "reset all"},
};

static void answers_are_those_of_a_server(void **state)
{
    (void)state;
    PGconn *server = sy_cluster_connect(cluster, 0, "s0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char wanted[1024], said[1024];
        answers(server, cases[i], wanted, sizeof(wanted));
        for (int round = 0; round < 3; round++) { /* other servers each time */
            PGconn *c = sy_router_connect(router, "shop", NULL);
            answers(c, cases[i], said, sizeof(said));
            if (strcmp(said, wanted) != 0)
                fail_msg("%s, %s: %s, PostgreSQL: %s", cases[i][0], cases[i][1], said, wanted);
            PQfinish(c);
        }
    }
    PQfinish(server);
}

/* The default isolation promises one snapshot, however it was set. */
static void a_snapshot_by_default_is_not_read_from_two_shards(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "select name from customers order by name"), "SELECT 2");
    sy_expect(c, {"set session characteristics as transaction isolation level serializable", "SET"},
              {"select name from customers order by name", "ERROR 0A000"},
              {"set default_transaction_isolation = 'read committed'", "SET"});
    assert_string_equal(sy_run(c, "select name from customers order by name"), "SELECT 2");
    PQfinish(c);
}

static void clock_is(PGconn *c, int customer, const char *expected)
{
    char sql[100];
    snprintf(sql, sizeof(sql),
             "select (timestamptz '2024-01-01 00:00Z')::text from customers where id = %d",
             customer);
    assert_string_equal(sy_ask(c, sql), expected);
}

/* Whether a shard was in the block before or joins it afterwards. */
static void a_local_setting_holds_on_every_shard(void **state)
{
    (void)state;
    static const char utc[] = "2024-01-01 00:00:00+00", tokyo[] = "2024-01-01 09:00:00+09",
                      kolkata[] = "2024-01-01 05:30:00+05:30";
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "begin"), "BEGIN");
    clock_is(c, 1, utc);
    clock_is(c, 2, utc);
    assert_string_equal(sy_run(c, "set local timezone = 'Asia/Tokyo'"), "SET");
    clock_is(c, 1, tokyo);
    clock_is(c, 2, tokyo);
    sy_expect(c, {"savepoint s", "SAVEPOINT"}, {"set local timezone = 'Asia/Kolkata'", "SET"});
    clock_is(c, 1, kolkata);
    clock_is(c, 2, kolkata);
    assert_string_equal(sy_run(c, "rollback to s"), "ROLLBACK");
    clock_is(c, 1, tokyo);
    clock_is(c, 2, tokyo);
    sy_expect(c, {"select set_config('timezone', 'UTC', true)", "ERROR 0A000"},
              {"rollback", "ROLLBACK"}, {"begin", "BEGIN"});
    assert_string_equal(sy_ask(c, "select set_config('TimeZone', 'Asia/Tokyo', true)"),
                        "Asia/Tokyo");
    clock_is(c, 1, tokyo);
    clock_is(c, 2, tokyo);
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    clock_is(c, 1, utc);
    clock_is(c, 2, utc);
    PQfinish(c);
}

/* What a SET does not say stays as it was, on every shard. */
static void a_date_style_is_set_in_parts(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    sy_expect(c, {"set datestyle = german", "SET"}, {"set datestyle = us", "SET"},
              {"show datestyle", "German, MDY"});
    for (int i = 1; i <= 2; i++) {
        char sql[80];
        snprintf(sql, sizeof(sql), "select (date '2/1/2024')::text from customers where id = %d",
                 i);
        assert_string_equal(sy_ask(c, sql), "01.02.2024");
    }
    sy_expect(c, {"set datestyle to sql, dmy", "SET"}, {"set datestyle = iso", "SET"},
              {"show datestyle", "ISO, DMY"}, {"set datestyle = 'German'", "SET"},
              {"show datestyle", "German, DMY"});
    PQfinish(c);
}

/* What cannot be followed is not set on one shard alone. */
static void set_config_holds_on_every_shard_or_is_refused(void **state)
{
    (void)state;
    static const char *const followed[] = {
        "select pg_catalog.set_config('timezone', 'Asia/Tokyo', false);",
        "select set_config('TimeZone','Asia/Tokyo',false) from pg_catalog.pg_show_all_settings() "
        "where name = 'TimeZone'",
        "/* as pg_dump asks */ SELECT set_config(name, 'Asia/Tokyo', false) FROM pg_settings "
        "WHERE name = 'TimeZone'",
    };
    static const char *const refused[] = {
        "select set_config('timezone', 'Asia/' || 'Tokyo', false)",
        "select set_config('timezone', 'Asia/Tokyo', false) where 1 = 2",
        "select set_config('timezone', 'Asia/Tokyo', false) from pg_settings where name = 'a'",
        "select set_config('timezone', 'UTC', false), set_config('datestyle', 'SQL', false)",
        "select set_config('timezone', 'Asia/Tokyo', false) from customers where id = 1",
        "select set_config(name, 'Asia/Tokyo', false) from pg_settings where name like 'Time%'",
        "select set_config(name || '', 'UTC', false) from pg_settings where name = 'TimeZone'",
    };
    for (size_t i = 0; i < sizeof(followed) / sizeof(followed[0]); i++) {
        PGconn *c = sy_router_connect(router, "shop", NULL);
        assert_string_equal(sy_ask(c, followed[i]), "Asia/Tokyo");
        clock_is(c, 1, "2024-01-01 09:00:00+09");
        clock_is(c, 2, "2024-01-01 09:00:00+09");
        PQfinish(c);
    }
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_string_equal(sy_run(c, refused[i]), "ERROR 0A000");
    const char *zone = "Asia/Tokyo";
    PGresult *said =
        PQexecParams(c, "select set_config('timezone', $1, false)", 1, NULL, &zone, NULL, NULL, 0);
    assert_string_equal(PQresultErrorField(said, PG_DIAG_SQLSTATE), "0A000");
    PQclear(said);
    said = PQexecParams(c, "select set_config('timezone', 'Asia/Tokyo', false)", 0, NULL, NULL,
                        NULL, NULL, 0);
    assert_int_equal(PQresultStatus(said), PGRES_TUPLES_OK);
    PQclear(said);
    clock_is(c, 1, "2024-01-01 09:00:00+09");
    clock_is(c, 2, "2024-01-01 09:00:00+09");
    PQfinish(c);
}

static void zone_is_tokyo_on_both(PGconn *c)
{
    clock_is(c, 1, "2024-01-01 09:00:00+09");
    clock_is(c, 2, "2024-01-01 09:00:00+09");
}

/* Where the setting is a row of pg_settings; without one no server is told of it. */
static void set_config_of_a_row_is_followed(void **state)
{
    (void)state;
    static const char *const missing[] = {
        "select set_config(name, 'view, foreign-table', false) from pg_settings where name = "
        "'no_such_setting'",
        "select set_config('no_such_setting', 'on', false) from pg_settings where name = "
        "'no_such_setting'",
        "select set_config(name, 'UTC', false) from pg_settings where name = 'timezone'",
    };
    static const char tokyo[] = "select pg_catalog.set_config(name, 'Asia/Tokyo', false) from "
                                "pg_catalog.pg_settings where name = 'TimeZone'",
                      local[] = "select set_config(name, 'Asia/Tokyo', true) from pg_settings "
                                "where name = 'TimeZone'";
    PGconn *c = sy_router_connect(router, "shop", NULL);
    PGresult *said = PQexecParams(c, tokyo, 0, NULL, NULL, NULL, NULL, 0);
    assert_string_equal(PQgetvalue(said, 0, 0), "Asia/Tokyo");
    PQclear(said);
    zone_is_tokyo_on_both(c);
    for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
        assert_string_equal(sy_run(c, missing[i]), "SELECT 0");
        zone_is_tokyo_on_both(c);
        said = PQexecParams(c, missing[i], 0, NULL, NULL, NULL, NULL, 0);
        assert_string_equal(PQcmdStatus(said), "SELECT 0");
        PQclear(said);
        zone_is_tokyo_on_both(c);
    }
    PQfinish(c);
    c = sy_router_connect(router, "shop", NULL);
    sy_expect(c, {"begin", "BEGIN"}, {local, "Asia/Tokyo"});
    zone_is_tokyo_on_both(c);
    sy_expect(c, {local, "ERROR 0A000"}, {"rollback", "ROLLBACK"}); /* two shards have begun */
    clock_is(c, 1, "2024-01-01 00:00:00+00");
    PQfinish(c);
}

#define DAYS                                                                                       \
    "create table days(at timestamptz, name text); create schema archive;"                         \
    "create table archive.days(at timestamptz, name text);"

/* The world's databases, and in it a keyspace of moments and a table of the same name. */
static const char *databases_with_days(void)
{
    static char text[4096 + 400];
    const char *from = world_databases(cluster, "size = 3;");
    const char *list = strstr(from, " );\n  reference_tables"),
               *local = strstr(from, "{ name = \"audit\"");
    assert_true(list != NULL && local > list);
    snprintf(
        text, sizeof(text),
        "%.*s, { name = \"days\"; strategy = \"range\"; type = \"timestamptz\"; ranges = ( "
        "{ upto = \"2025-01-01 00:00:00+00\"; shard = \"s0\"; }, { shard = \"s1\"; } ); tables "
        "= ( { name = \"days\"; key = \"at\"; } ); }%.*s{ name = \"archive.days\"; shard = "
        "\"s0\"; }, %s",
        (int)(list - from), from, (int)(local - list), list, local);
    return text;
}

/* SET LOCAL, SET TIME ZONE and SET SCHEMA change which row a text means, and so its shard. Days of
 * 2024 in UTC are on s0, later ones on s1; archive.days is a table of s0 alone. */
static void keys_are_read_by_the_settings_of_the_moment(void **state)
{
    (void)state;
    static const char *const settings[] = {
        "begin; set local timezone = 'Asia/Tokyo'",
        "begin; select set_config('timezone', 'Asia/Tokyo', true)",
        "set time zone 'Asia/Tokyo'",
        "set time zone interval '+09:00' hour to minute",
        "set time zone 9",
        "begin; set time zone 'America/New_York'; savepoint s; set local time zone 'Asia/Tokyo'",
        "begin; set local time zone 'America/New_York'; set timezone to 'Asia/Tokyo'",
        "begin; set local time zone 'Asia/Tokyo'; savepoint s; set local time zone 'UTC'; "
        "rollback to s",
    };
    static const char last_hour[] = "select name from days where at = '2025-01-01 08:00:00'";
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        PGconn *c = sy_router_connect(router, "shop", NULL);
        PQclear(PQexec(c, settings[i]));
        print_message("%s\n", settings[i]);
        assert_string_equal(sy_ask(c, last_hour), "last hour");
        PQfinish(c);
    }
    static const char *const texts[] = {
        "set timezone = 'Asia/Tokyo'; select name from days where at = '2025-01-01 08:00:00'",
        "begin; set local timezone = 'Asia/Tokyo'; select name from days where at = '2025-01-01 "
        "08:00:00'; ",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        PGconn *c = sy_router_connect(router, "shop", NULL);
        assert_string_equal(sy_ask(c, texts[i]), "last hour");
        PQfinish(c);
    }
    PGconn *c = sy_router_connect(router, "shop", NULL);
    assert_string_equal(sy_run(c, "select name from customers where id = 2; set local timezone = "
                                  "'Asia/Tokyo'; select 1"),
                        "ERROR 0A000"); /* no block to keep it in */
    assert_string_equal(sy_run(c, "begin; set local timezone = 'Asia/Tokyo'"), "SET");
    assert_string_equal(sy_run(c, "commit"), "COMMIT");
    assert_string_equal(sy_run(c, last_hour), "SELECT 0");
    sy_expect(c, {"begin", "BEGIN"}, {"set local search_path = archive", "SET"},
              {"select name from days where at = '2026-01-01'", "kept"}, {"rollback", "ROLLBACK"},
              {"set schema 'archive'", "SET"},
              {"select name from days where at = '2026-01-01'", "kept"},
              {"set schema 'public'", "SET"});
    PQfinish(c);
}

/* The statements in one pipeline, and the last answer: its value, its tag or "ERROR sqlstate". */
static const char *piped(PGconn *c, const char *const *statements)
{
    static char text[96];
    PGresult *result;
    int syncs = 0;
    assert_int_equal(PQenterPipelineMode(c), 1);
    for (; *statements != NULL; statements++)
        assert_int_equal(PQsendQueryParams(c, *statements, 0, NULL, NULL, NULL, NULL, 0), 1);
    assert_int_equal(PQpipelineSync(c), 1);
    while (syncs == 0) {
        while ((result = PQgetResult(c)) != NULL) {
            const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
            ExecStatusType status = PQresultStatus(result);
            syncs += status == PGRES_PIPELINE_SYNC;
            if (state != NULL)
                snprintf(text, sizeof(text), "ERROR %s", state);
            else if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
                snprintf(text, sizeof(text), "%s",
                         PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : PQcmdStatus(result));
            PQclear(result);
            if (syncs > 0)
                break;
        }
    }
    assert_int_equal(PQexitPipelineMode(c), 1);
    return text;
}

/* Without BEGIN it holds until Sync. Over several shards what comes behind it would be looked for
 * under the settings that were. */
static void a_local_setting_holds_until_sync_or_is_refused(void **state)
{
    (void)state;
    static const char *const refused[][4] = {
        {"set local timezone = 'Asia/Tokyo'",
         "select name from days where at = '2025-01-01 08:00:00'"},
        {"select name from customers where id = 2", "set local timezone = 'Asia/Tokyo'",
         "select name from days where at = '2025-01-01 08:00:00'"},
        {"select set_config('search_path', 'archive', true)",
         "select name from days where at = '2026-01-01'"},
        {"set local search_path = archive", "select name from days where at = '2026-01-01'"},
        {"update customers set name = name", "set local statement_timeout = 1000", "select 1"},
        {"set local timezone = 'Asia/Tokyo'", "begin"},
    };
    static const char *const allowed[][5] = {
        {"set local timezone = 'Asia/Tokyo'"},
        {"begin", "set local timezone = 'Asia/Tokyo'",
         "select name from days where at = '2025-01-01 08:00:00'"},
    };
    static const char *const one[] = {"set local timezone = 'Asia/Tokyo'", "show timezone", NULL};
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        print_message("%s\n", refused[i][0]);
        assert_string_equal(piped(c, refused[i]), "ERROR 0A000");
    }
    assert_string_equal(sy_run(c, "select set_config('timezone', 'Asia/Tokyo', true); "
                                  "select name from days where at = '2025-01-01 08:00:00'"),
                        "ERROR 0A000");
    assert_string_equal(sy_ask(c, "select count(*) from days where at = '2025-01-01 08:00:00'"),
                        "0");
    assert_string_equal(piped(c, allowed[0]), "SET");
    assert_string_equal(piped(c, allowed[1]), "last hour");
    assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
    assert_string_equal(sy_ask(c, "select set_config('timezone', 'Asia/Tokyo', true)"),
                        "Asia/Tokyo");
    clock_is(c, 1, "2024-01-01 00:00:00+00");
    PQfinish(c);
    c = sy_router_connect(router, "blog", NULL);
    assert_string_equal(piped(c, one), "Asia/Tokyo");
    assert_string_equal(sy_ask(c, "show timezone"), "UTC");
    PQfinish(c);
}

/* Parse, Bind, Execute of SET LOCAL and a Query behind them without a Sync, which libpq does not
 * send. True: ReadyForQuery came, and `expected` stood somewhere in front of it. */
static bool query_behind_local(PGconn *c, const char *expected)
{
    static const char set[] = "set local timezone = 'Asia/Tokyo'", query[] = "show timezone";
    struct sy_buf out = {0}, in = {0};
    sy_buf_append_u8(&out, 'P');
    sy_buf_append_u32(&out, 4 + 1 + sizeof(set) + 2);
    sy_buf_append(&out, "", 1);
    sy_buf_append(&out, set, sizeof(set));
    sy_buf_append(&out, "\0\0B\0\0\0\f\0\0\0\0\0\0\0\0E\0\0\0\t\0\0\0\0\0Q", 26);
    sy_buf_append_u32(&out, 4 + sizeof(query));
    sy_buf_append(&out, query, sizeof(query));
    assert_int_equal(send(PQsocket(c), out.data, out.bytes, 0), out.bytes);
    char piece[512];
    bool ready = false;
    while (!ready) {
        struct pollfd fd = {.fd = PQsocket(c), .events = POLLIN};
        ssize_t got = poll(&fd, 1, 30000) == 1 ? recv(fd.fd, piece, sizeof(piece), 0) : 0;
        if (got <= 0)
            break;
        sy_buf_append(&in, piece, (size_t)got);
        ready = in.bytes > 6 && memcmp(in.data + in.bytes - 6, "Z\0\0\0\5I", 6) == 0;
    }
    bool found = memmem(in.data, in.bytes, expected, strlen(expected)) != NULL;
    sy_buf_release(&out);
    sy_buf_release(&in);
    return ready && found;
}

static void a_query_behind_a_local_setting_has_it_or_is_refused(void **state)
{
    (void)state;
    static const char *const databases[] = {"shop", "blog"}, *const expected[] = {"0A000",
                                                                                  "Asia/Tokyo"};
    for (int i = 0; i < 2; i++) {
        PGconn *c = sy_router_connect(router, databases[i], NULL);
        assert_true(query_behind_local(c, expected[i]));
        assert_string_equal(sy_ask(c, "show timezone"), "UTC");
        PQfinish(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_a_server),
        cmocka_unit_test(a_snapshot_by_default_is_not_read_from_two_shards),
        cmocka_unit_test(a_local_setting_holds_on_every_shard),
        cmocka_unit_test(a_date_style_is_set_in_parts),
        cmocka_unit_test(set_config_holds_on_every_shard_or_is_refused),
        cmocka_unit_test(set_config_of_a_row_is_followed),
        cmocka_unit_test(keys_are_read_by_the_settings_of_the_moment),
        cmocka_unit_test(a_local_setting_holds_until_sync_or_is_refused),
        cmocka_unit_test(a_query_behind_a_local_setting_has_it_or_is_refused),
    };
    cluster = world_cluster();
    for (int i = 0; i < 2; i++)
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1",
                       i == 0 ? "insert into customers values (1, 'one');" DAYS
                                "insert into days values ('2024-12-31 23:00Z', 'last hour');"
                                "insert into archive.days values ('2026-01-01', 'kept')"
                              : "insert into customers values (2, 'two');" DAYS);
    router = sy_router_start(databases_with_days(), NULL, getenv("SY_TEST_LOOP"));
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
