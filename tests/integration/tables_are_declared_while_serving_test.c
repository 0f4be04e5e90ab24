/* Keyspaces and tables declared by statements: at the console and in a database, on PostgreSQL
 * shards and on embedded ones; kept over a restart; refused where rows would be lost from sight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/integration/shards_world.h"

static struct sy_router *router;

static const char *const databases[] = {"wide", "blog"};

static const char *const users =
    "users = ( { name = \"postgres\"; admin = true; }, { name = \"app\"; } );\n"
    "auth = ( { address = \"127.0.0.1/32\"; method = \"trust\"; } );";

/* PostgreSQL shards and embedded ones; `more`: of the first database. */
static const char *describe(const char *more)
{
    static char text[8192];
    int at = snprintf(text, sizeof(text), "{ name = \"wide\"; shards = (");
    for (int i = 0; i < 3; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at,
                       "%s { name = \"s%d\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
                       "dbname=s%d user=postgres\"; user = \"postgres\"; } ); }",
                       i > 0 ? "," : "", i, (unsigned)sy_cluster_port(shard_server(i), 0), i);
    snprintf(text + at, sizeof(text) - (size_t)at,
             " );\n keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\";\n"
             "  lists = ( { values = [\"1\", \"4\", \"7\"]; shard = \"s0\"; },\n"
             "            { values = [\"2\", \"5\", \"8\"]; shard = \"s1\"; },\n"
             "            { values = [\"3\", \"6\", \"9\"]; shard = \"s2\"; } );\n"
             "  tables = ( { name = \"filed\"; key = \"id\"; } ); } ); %s },\n"
             "{ name = \"blog\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; },"
             " { name = \"s1\"; }, { name = \"s2\"; } );"
             " keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\";\n"
             "  lists = ( { values = [\"1\", \"4\", \"7\"]; shard = \"s0\"; },\n"
             "            { values = [\"2\", \"5\", \"8\"]; shard = \"s1\"; },\n"
             "            { values = [\"3\", \"6\", \"9\"]; shard = \"s2\"; } );\n"
             "  tables = ( { name = \"filed\"; key = \"id\"; } ); } ); },\n"
             "{ name = \"loose\"; default_placement = \"local s0\"; shards = (\n"
             " { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=s0 "
             "user=postgres\"; user = \"postgres\"; } ); },\n"
             " { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=s1 "
             "user=postgres\"; user = \"postgres\"; } ); } ); },\n"
             "{ name = \"free\"; engine = \"sqlite\"; default_placement = \"local s0\"; "
             "shards = ( { name = \"s0\"; }, { name = \"s1\"; } ); } );",
             more, (unsigned)sy_cluster_port(shard_server(0), 0),
             (unsigned)sy_cluster_port(shard_server(1), 0));
    return text;
}

static PGconn *console;

static PGconn *connect_to(const char *database)
{
    return sy_router_connect(router, database, "user=postgres");
}

static int set_up(void **state)
{
    (void)state;
    (void)shards_start("create table early (id int8)", "");
    router = sy_router_start(describe(""), users, NULL);
    console = connect_to("switchyard");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    PQfinish(console);
    int status = sy_router_stop(&router, SIGTERM);
    shards_stop();
    return status;
}

static const char *at_console(const char *statement, const char *database)
{
    char sql[400];
    snprintf(sql, sizeof(sql), "%s FOR DATABASE %s", statement, database);
    return sy_run(console, sql);
}

/* The row of SHOW TABLES or SHOW KEYSPACES that begins so. */
static bool shown(const char *command, const char *row)
{
    const char *all = sy_ask_all(console, command);
    for (const char *line = all; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, row, strlen(row)) == 0)
            return true;
    }
    return false;
}

static const char *key_of(PGconn *c, int shard, const char *table)
{
    char sql[200];
    snprintf(sql, sizeof(sql),
             "/* switchyard: shard=s%d */ select string_agg(id::text, ',' order by id) from %s",
             shard, table);
    return sy_ask(c, sql);
}

static void a_table_is_declared_then_created_then_spread(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        char row[100];
        PGconn *c = connect_to(databases[d]);
        assert_string_equal(sy_run(c, "create table posts (id int8 primary key, v text)"),
                            "ERROR 0A000");
        assert_non_null(strstr(PQerrorMessage(c), "SHARD TABLE posts BY column IN keyspace"));
        assert_string_equal(at_console("SHARD TABLE posts BY id IN k", databases[d]),
                            "SHARD TABLE");
        snprintf(row, sizeof(row), "%s|public.posts|sharded|k|id||catalog", databases[d]);
        assert_true(shown("SHOW TABLES", row));
        assert_string_equal(sy_run(c, "create table posts (id int8 primary key, v text)"),
                            "CREATE TABLE");
        assert_string_equal(sy_run(c, "insert into posts values (1, 'a'), (2, 'b'), (3, 'c'), "
                                      "(5, 'e')"),
                            "INSERT 0 4");
        assert_string_equal(sy_ask(c, "select v from posts where id = 5"), "e");
        assert_string_equal(sy_ask(c, "select count(*) from posts"), "4");
        PQfinish(c);
    }
    assert_string_equal(from_shard(1, "select string_agg(id::text, ',' order by id) from posts"),
                        "2,5");
    assert_string_equal(from_shard(2, "select count(*) from posts"), "1");
    PGconn *c = connect_to("blog");
    assert_string_equal(key_of(c, 0, "posts"), "1");
    assert_string_equal(key_of(c, 1, "posts"), "2,5");
    PQfinish(c);
}

static void a_database_of_its_own_hears_it_too(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        PGconn *c = connect_to(databases[d]), *other = connect_to(databases[d]);
        assert_string_equal(
            sy_run(other, "prepare p as select 1; create table notes (who int8, v text)"),
            "ERROR 0A000");
        assert_string_equal(sy_run(c, "CREATE KEYSPACE people HASH (int8)"), "CREATE KEYSPACE");
        assert_string_equal(sy_run(c, "shard table notes by who in people;"), "SHARD TABLE");
        assert_string_equal(sy_run(c, "reference table tags"), "REFERENCE TABLE");
        assert_string_equal(sy_run(c, "local table audit on s2"), "LOCAL TABLE");
        assert_string_equal(sy_run(other, "create table notes (who int8, v text)"), "CREATE TABLE");
        assert_string_equal(sy_run(other, "create table tags (t text primary key)"),
                            "CREATE TABLE");
        assert_string_equal(sy_run(other, "create table audit (t text)"), "CREATE TABLE");
        for (int i = 1; i <= 30; i++) {
            char sql[60];
            snprintf(sql, sizeof(sql), "insert into notes values (%d, 'x')", i);
            assert_string_equal(sy_run(other, sql), "INSERT 0 1");
        }
        assert_string_equal(sy_run(other, "insert into tags values ('a'), ('b')"), "INSERT 0 2");
        assert_string_equal(sy_run(other, "insert into audit values ('a')"), "INSERT 0 1");
        assert_string_equal(sy_ask(c, "select count(*) from notes"), "30");
        assert_string_equal(sy_ask(c, "select count(*) from tags"), "2");
        PQfinish(c);
        PQfinish(other);
    }
    int filled = 0;
    for (int i = 0; i < 3; i++) {
        filled += strcmp(from_shard(i, "select count(*) from notes"), "0") != 0;
        assert_string_equal(from_shard(i, "select count(*) from tags"), "2");
        assert_string_equal(from_shard(i, "select to_regclass('audit') is not null"),
                            i == 2 ? "t" : "f");
    }
    assert_true(filled > 1);
}

static void constraints_are_accepted_by_name(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        PGconn *c = connect_to(databases[d]);
        static const char *const create =
            "create table mapped (id int8 primary key, author int8 not null)";
        assert_string_equal(sy_run(c, "SHARD TABLE mapped BY author IN k"), "SHARD TABLE");
        assert_string_equal(sy_run(c, create), "ERROR 0A000");
        assert_non_null(strstr(PQerrorMessage(c), "PER SHARD CONSTRAINTS"));
        assert_string_equal(sy_run(c, "UNSHARD TABLE mapped"), "UNSHARD TABLE");
        assert_string_equal(
            sy_run(c, "SHARD TABLE mapped BY author IN k PER SHARD CONSTRAINTS (mapped_pkey)"),
            "SHARD TABLE");
        assert_string_equal(sy_run(c, create), "CREATE TABLE");
        assert_string_equal(sy_run(c, "insert into mapped values (7, 1)"), "INSERT 0 1");
        assert_string_equal(sy_run(c, "insert into mapped values (7, 4)"), "ERROR 23505");
        PQfinish(c);
    }
}

/* A sharded table without its key could hold no row, and one whose key changed would not be found.
 */
static void the_sharding_key_is_there_and_stays(void **state)
{
    (void)state;
    static const struct {
        const char *statement, *answer;
    } steps[] = {
        {"SHARD TABLE keyed BY id IN k", "SHARD TABLE"},
        {"create table keyed (v text)", "ERROR 42703"},
        {"create table keyed (id text, v text)", "ERROR 0A000"},
        {"create table keyed (id int8 primary key, v text)", "CREATE TABLE"},
        {"alter table keyed drop column id", "ERROR 0A000"},
        {"alter table keyed rename column id to other", "ERROR 0A000"},
        {"alter table keyed alter column id type text", "ERROR 0A000"},
        {"alter table keyed rename column v to w", "ALTER TABLE"},
        {"insert into keyed (id, w) values (1, 'a'), (2, 'b')", "INSERT 0 2"},
    };
    for (int d = 0; d < 2; d++) {
        PGconn *c = connect_to(databases[d]);
        for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
            assert_string_equal(sy_run(c, steps[i].statement), steps[i].answer);
            if (strncmp(steps[i].answer, "ERROR", 5) == 0)
                assert_non_null(strstr(PQerrorMessage(c), "The table is declared BY id IN k: "));
        }
        assert_string_equal(sy_ask(c, "select w from keyed where id = 2"), "b");
        PQfinish(c);
    }
    PGconn *c = connect_to("wide"); /* LIKE is PostgreSQL's */
    assert_string_equal(sy_run(c, "SHARD TABLE likened BY id IN k"), "SHARD TABLE");
    assert_string_equal(sy_run(c, "create table likened (like keyed)"), "CREATE TABLE");
    assert_string_equal(sy_run(c, "insert into likened (id, w) values (3, 'c')"), "INSERT 0 1");
    PQfinish(c);
}

/* What runs meanwhile under the old declarations is not answered by an old plan afterwards. */
static void prepared_statements_follow(void **state)
{
    (void)state;
    PGconn *c = connect_to("wide");
    PGresult *result = PQprepare(c, "later", "select count(*) from latecomers", 0, NULL);
    PQclear(result);
    assert_string_equal(at_console("SHARD TABLE latecomers BY id IN k", "wide"), "SHARD TABLE");
    assert_string_equal(sy_run(c, "create table latecomers (id int8)"), "CREATE TABLE");
    assert_string_equal(sy_run(c, "insert into latecomers values (1), (2), (3)"), "INSERT 0 3");
    assert_string_equal(sy_run(c, "prepare q as select count(*) from latecomers"), "PREPARE");
    assert_string_equal(sy_ask(c, "execute q"), "3");
    assert_string_equal(sy_run(c, "drop table latecomers"), "DROP TABLE");
    assert_string_equal(at_console("UNSHARD TABLE latecomers", "wide"), "UNSHARD TABLE");
    assert_string_equal(at_console("LOCAL TABLE latecomers ON s1", "wide"), "LOCAL TABLE");
    assert_string_equal(sy_run(c, "create table latecomers (id int8)"), "CREATE TABLE");
    assert_string_equal(sy_run(c, "insert into latecomers values (1), (2)"), "INSERT 0 2");
    assert_string_equal(sy_ask(c, "execute q"), "2");
    PQfinish(c);
}

struct refusal {
    const char *statement, *state, *part;
};

static const struct refusal refusals[] = {
    {"SHARD TABLE posts BY id IN k", "42710", "is already declared in the catalog"},
    {"SHARD TABLE filed BY id IN k", "42710", ", line "},
    {"REFERENCE TABLE posts", "42710", "already declared"},
    {"SHARD TABLE other BY id IN nowhere", "42704", "keyspace \"nowhere\" does not exist"},
    {"LOCAL TABLE other ON s9", "42704", "no shard \"s9\""},
    {"UNSHARD TABLE posts", "55006", "still exists"},
    {"UNSHARD TABLE filed", "55000", "is declared in "},
    {"UNSHARD TABLE nothing", "42704", "is not declared"},
    {"CREATE KEYSPACE k HASH (int8)", "42710", "already exists"},
    {"CREATE KEYSPACE bad HASH (int8) ON (s0, s9)", "22023", "names shard \"s9\""},
    {"CREATE KEYSPACE bad RANGE (date) (s0 UPTO '2026-02-30', s1)", "22023", "is not a date"},
    {"CREATE KEYSPACE bad RANGE (int8) (s0 UPTO '9', s1 UPTO '3')", "22023", "not ascending"},
    {"DROP KEYSPACE k", "55000", "is declared in "},
    {"DROP KEYSPACE people", "2BP01", "is in it"},
    {"DROP KEYSPACE nowhere", "42704", "does not exist"},
    {"SHARD TABLE other BY id", "42601", "where IN should be"},
    {"CREATE KEYSPACE bad HASH (float8)", "42601", "a key type"},
};

static void what_would_lose_rows_is_refused(void **state)
{
    (void)state;
    for (int d = 0; d < 2; d++) {
        PGconn *c = connect_to(databases[d]);
        for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
            char wanted[20];
            snprintf(wanted, sizeof(wanted), "ERROR %s", refusals[i].state);
            const char *got = sy_run(c, refusals[i].statement);
            if (strcmp(got, wanted) != 0 || strstr(PQerrorMessage(c), refusals[i].part) == NULL)
                fail_msg("%s: %s: %s", refusals[i].statement, got, PQerrorMessage(c));
        }
        assert_string_equal(sy_run(c, "begin"), "BEGIN");
        assert_string_equal(sy_run(c, "reference table other"), "ERROR 25001");
        assert_string_equal(sy_run(c, "reference table other"), "ERROR 25P02");
        assert_string_equal(sy_run(c, "rollback"), "ROLLBACK");
        PGresult *result = PQexecParams(c, "reference table other", 0, NULL, NULL, NULL, NULL, 0);
        assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "0A000");
        PQclear(result);
        PQfinish(c);
        PGconn *app = sy_router_connect(router, databases[d], "user=app");
        assert_string_equal(sy_run(app, "reference table other"), "ERROR 42501");
        assert_string_equal(sy_run(app, "drop keyspace people"), "ERROR 42501");
        PQfinish(app);
    }
    /* Made behind the router's back. */
    assert_string_equal(at_console("SHARD TABLE early BY id IN k", "wide"), "ERROR 42P07");
    on_shard(2, "create table hidden (id int8)");
    assert_string_equal(at_console("REFERENCE TABLE hidden", "wide"), "ERROR 42P07");
    on_shard(2, "drop table hidden");
    assert_string_equal(sy_run(console, "REFERENCE TABLE other"), "ERROR 42601");
    assert_string_equal(at_console("REFERENCE TABLE other", "nowhere"), "ERROR 3D000");
}

/* With a default placement a table may be on its way without anybody seeing it. */
static void a_table_that_is_being_created_is_waited_for(void **state)
{
    (void)state;
    static const char *const loose[] = {"loose", "free"};
    for (int d = 0; d < 2; d++) {
        PGconn *maker = connect_to(loose[d]), *admin = connect_to(loose[d]);
        assert_string_equal(at_console("CREATE KEYSPACE h HASH (int8)", loose[d]),
                            "CREATE KEYSPACE");
        assert_string_equal(sy_run(maker, "begin"), "BEGIN");
        assert_string_equal(sy_run(maker, "create table racing (id int8)"), "CREATE TABLE");
        assert_string_equal(sy_run(admin, "SHARD TABLE racing BY id IN h"), "ERROR 55006");
        assert_non_null(strstr(PQerrorMessage(admin), "may be creating table"));
        assert_string_equal(sy_run(maker, "commit"), "COMMIT"); /* it is held no longer */
        assert_string_equal(sy_run(admin, "SHARD TABLE racing BY id IN h"), "ERROR 42P07");
        assert_string_equal(sy_run(maker, "drop table racing"), "DROP TABLE");
        assert_string_equal(sy_run(admin, "SHARD TABLE racing BY id IN h"), "SHARD TABLE");
        assert_string_equal(sy_run(maker, "create table racing (id int8)"), "CREATE TABLE");
        assert_string_equal(sy_run(maker, "insert into racing values (1), (2), (3), (4), (5), (6)"),
                            "INSERT 0 6");
        assert_string_equal(sy_ask(admin, "select count(*) from racing"), "6");
        assert_string_not_equal(
            sy_ask(admin, "/* switchyard: shard=s1 */ select count(*) from racing"), "0");
        PQfinish(maker);
        PQfinish(admin);
    }
    /* What an operator holds stays held. */
    PGconn *c = connect_to("loose");
    assert_string_equal(sy_run(console, "PAUSE loose"), "PAUSE");
    assert_string_equal(at_console("REFERENCE TABLE quiet", "loose"), "REFERENCE TABLE");
    assert_true(shown("SHOW TABLES", "loose|public.quiet|reference||||catalog"));
    assert_int_equal(PQsendQuery(c, "select count(*) from racing"), 1);
    assert_int_equal(PQflush(c), 0);
    bool waits = false;
    for (int i = 0; i < 3000 && !waits; i++) {
        waits = strstr(sy_ask_all(console, "SHOW CLIENTS"), "|paused|") != NULL;
        if (!waits)
            usleep(10 * 1000);
    }
    assert_true(waits);
    assert_string_equal(sy_run(console, "RESUME loose"), "RESUME");
    PGresult *result = PQgetResult(c);
    assert_string_equal(PQgetvalue(result, 0, 0), "6");
    PQclear(result);
    PQfinish(c);
}

static void declarations_outlive_the_process(void **state)
{
    (void)state;
    PQfinish(console);
    sy_router_restart(router, true);
    console = connect_to("switchyard");
    for (int d = 0; d < 2; d++) {
        char row[100];
        snprintf(row, sizeof(row), "%s|public.notes|sharded|people|who||catalog", databases[d]);
        assert_true(shown("SHOW TABLES", row));
        snprintf(row, sizeof(row), "%s|people|hash|int8|s0, s1, s2|1|catalog", databases[d]);
        assert_true(shown("SHOW KEYSPACES", row));
        PGconn *c = connect_to(databases[d]);
        assert_string_equal(sy_ask(c, "select count(*) from notes"), "30");
        assert_string_equal(sy_ask(c, "select v from posts where id = 2"), "b");
        assert_string_equal(sy_run(c, "insert into posts values (8, 'h')"), "INSERT 0 1");
        PQfinish(c);
    }
    assert_string_equal(from_shard(1, "select count(*) from posts"), "3");
}

static void the_file_and_the_catalog_must_agree(void **state)
{
    (void)state;
    /* Alike in both: the file's. */
    sy_router_reload(router, describe("reference_tables = [ \"tags\" ];"), users);
    sy_router_wait_log(router, "configuration reloaded");
    assert_true(shown("SHOW TABLES", "wide|public.tags|reference||||configuration"));
    assert_true(shown("SHOW TABLES", "wide|public.posts|sharded|k|id||catalog"));
    assert_string_equal(at_console("UNSHARD TABLE tags", "wide"), "UNSHARD TABLE");
    assert_true(shown("SHOW TABLES", "wide|public.tags|reference||||configuration"));
    assert_string_equal(at_console("UNSHARD TABLE tags", "wide"), "ERROR 55000");
    /* Otherwise: nothing changes. */
    sy_router_reload(router, describe("reference_tables = [ \"tags\",\n \"posts\" ];"), users);
    sy_router_wait_log(router, "the configuration and the catalog's declarations do not fit");
    sy_router_wait_log(router, "table \"posts\" is declared here, and otherwise in the catalog");
    assert_true(shown("SHOW TABLES", "wide|public.posts|sharded|k|id||catalog"));
    PGconn *c = connect_to("wide");
    assert_string_equal(sy_ask(c, "select count(*) from posts"), "5");
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_declared_then_created_then_spread),
        cmocka_unit_test(a_database_of_its_own_hears_it_too),
        cmocka_unit_test(constraints_are_accepted_by_name),
        cmocka_unit_test(the_sharding_key_is_there_and_stays),
        cmocka_unit_test(prepared_statements_follow),
        cmocka_unit_test(what_would_lose_rows_is_refused),
        cmocka_unit_test(a_table_that_is_being_created_is_waited_for),
        cmocka_unit_test(declarations_outlive_the_process),
        cmocka_unit_test(the_file_and_the_catalog_must_agree),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
