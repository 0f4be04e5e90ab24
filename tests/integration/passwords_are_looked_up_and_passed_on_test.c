/*
 * Users that only the servers know: auth_query finds their secrets over connections of its own,
 * honours what the role may, is asked once for many logins, and is fooled by nobody's search_path.
 * What a login by SCRAM shows is enough to log in at servers that demand scram-sha-256 themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

/* "" when it got in, else the first line of the message. */
static const char *try_login(const char *database, const char *words)
{
    static char text[1024];
    char conninfo[1024];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=%s sslmode=disable %s",
             (unsigned)sy_router_port(router), database, words);
    PGconn *connection = PQconnectdb(conninfo);
    snprintf(text, sizeof(text), "%s",
             PQstatus(connection) == CONNECTION_OK ? "" : PQerrorMessage(connection));
    PQfinish(connection);
    return text;
}

/* Who the server says it is. */
static const char *who(const char *database, const char *words)
{
    PGconn *connection = sy_router_connect(router, database, words);
    const char *name = sy_ask(connection, "select current_user");
    PQfinish(connection);
    return name;
}

static void expect_refused(const char *database, const char *user, const char *password)
{
    char words[512], expected[512];
    snprintf(words, sizeof(words), "user='%s' password='%s'", user, password);
    snprintf(expected, sizeof(expected), "FATAL:  password authentication failed for user \"%s\"",
             user);
    const char *text = try_login(database, words);
    if (strstr(text, expected) == NULL)
        fail_msg("%s: %s", words, text[0] == '\0' ? "got in" : text);
}

static void users_of_the_servers_log_in_as_themselves(void **state)
{
    (void)state;
    static const char *const databases[] = {"blog", "plainly", "loose"};
    for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]); i++) {
        print_message("%s\n", databases[i]);
        assert_string_equal(who(databases[i], "user=alice password=wonder"), "alice");
        expect_refused(databases[i], "alice", "Wonder");
    }
    /* A database without auth_query knows only users of the configuration. */
    expect_refused("strict", "alice", "wonder");
}

static void what_the_role_may_not_is_refused_like_an_unknown_user(void **state)
{
    (void)state;
    static const struct {
        const char *label, *user, *password;
    } rows[] = {
        {"its password has expired", "bob", "secret"},
        {"NOLOGIN", "carol", "secret"},
        {"no password", "dave", ""},
        {"no password, any", "dave", "secret"},
        {"does not exist", "nobody", "secret"},
        {"another case", "ALICE", "wonder"},
        {"SQL in the name", "alice'' OR ''1''=''1", "wonder"},
        {"a quoted name", "\"alice\"", "wonder"},
        {"as long as a name can be",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "secret"},
        {"one longer than the role's name",
         "llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll", "secret"},
    };
    static const char *const databases[] = {"blog", "plainly"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t d = 0; d < 2; d++) {
            print_message("%s: %s\n", databases[d], rows[i].label);
            char words[512];
            snprintf(words, sizeof(words), "user='%s' password='%s'", rows[i].user,
                     rows[i].password[0] == '\0' ? "x" : rows[i].password);
            for (char *c = words; (c = strstr(c, "''")) != NULL; c++)
                memcpy(c, "\\'", 2);
            assert_non_null(strstr(try_login(databases[d], words),
                                   "FATAL:  password authentication failed for user"));
        }
    /* Bytes that are no text in the server's encoding are nobody's name. */
    assert_non_null(strstr(try_login("blog", "user=\xff\xfe password=x"),
                           "FATAL:  password authentication failed for user"));
}

static void the_roles_connection_limit_holds(void **state)
{
    (void)state;
    PGconn *first = sy_router_connect(router, "blog", "user=few password=secret");
    assert_non_null(
        strstr(try_login("blog", "user=few password=secret"), "too many connections for user"));
    PQfinish(first);
    assert_non_null(
        strstr(try_login("blog", "user=zero password=secret"), "too many connections for role"));
}

static int lookups(void)
{
    return atoi(sy_cluster_value(cluster, 0, "app", "select count(*) from auth.asked"));
}

static void many_logins_ask_once(void **state)
{
    (void)state;
    int before = lookups();
    for (int i = 0; i < 5; i++)
        assert_string_equal(try_login("blog", "user=erin password=secret"), "");
    assert_int_equal(lookups(), before + 1);
    for (int i = 0; i < 5; i++)
        expect_refused("blog", "ghost", "secret");
    assert_int_equal(lookups(), before + 2);
}

static void a_new_password_counts_at_the_second_try_at_latest(void **state)
{
    (void)state;
    PGconn *old = sy_router_connect(router, "blog", "user=frank password=first");
    assert_string_equal(sy_ask(old, "select current_user"), "frank");
    sy_cluster_sql(cluster, 0, "app", "alter role frank password 'second'");
    (void)try_login("blog", "user=frank password=second");
    assert_string_equal(who("blog", "user=frank password=second"), "frank");
    expect_refused("blog", "frank", "first");
    PQfinish(old);
    /* Locked since: known to nobody once it is asked again. */
    sy_cluster_sql(cluster, 0, "app", "alter role frank nologin");
    (void)try_login("blog", "user=frank password=wrong");
    expect_refused("blog", "frank", "second");
    /* What is expired later is asked about, too. */
    sy_cluster_sql(cluster, 0, "app", "alter role frank login valid until '1999-01-01'");
    expect_refused("plainly", "frank", "second");
}

/* The hole of CVE-2025-12819: the client's settings reach the query that checks its password. */
static void nobodys_search_path_is_followed(void **state)
{
    (void)state;
    expect_refused("loose", "mallory", "known");
    const char *text =
        try_login("loose", "user=mallory password=known options='-c search_path=evil'");
    assert_non_null(strstr(text, "password authentication failed"));
    assert_string_equal(who("loose", "user=alice password=wonder options='-c search_path=evil'"),
                        "alice");
}

static void no_client_gets_a_connection_that_asks(void **state)
{
    (void)state;
    PGconn *client = sy_router_connect(router, "blog", "user=lookup password=lookup");
    assert_string_equal(sy_ask(client, "select current_user"), "lookup");
    char sql[128];
    snprintf(sql, sizeof(sql), "select count(*) from auth.asked where pid = %s",
             sy_ask(client, "select pg_backend_pid()"));
    assert_string_equal(sy_cluster_value(cluster, 0, "app", sql), "0");
    assert_true(lookups() > 0);
    PQfinish(client);
}

static void a_server_that_cannot_be_asked_is_no_wrong_password(void **state)
{
    (void)state;
    static const char *const databases[] = {"broken", "absent", "twofold", "narrow"};
    for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]); i++) {
        const char *text = try_login(databases[i], "user=alice password=wonder");
        print_message("%s: %s", databases[i], text);
        assert_non_null(strstr(text, "FATAL:  the password of user \"alice\" cannot be checked"));
        assert_null(strstr(text, "lookup")); /* nothing of the server's own words */
    }
    /* Users of the configuration need nobody. */
    assert_string_equal(try_login("broken", "user=own password=own"), "");
}

static void a_configured_secret_is_passed_on(void **state)
{
    (void)state;
    PGconn *client = sy_router_connect(router, "strict", "user=kept password=secret");
    assert_string_equal(sy_ask(client, "select current_user"), "kept");
    /* Again when the connection has to be opened again. */
    sy_cluster_sql(cluster, 0, "app",
                   "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'kept'");
    assert_true(sy_cluster_wait(cluster, 0, "app",
                                "select count(*) = 0 from pg_stat_activity where usename = 'kept'",
                                30000));
    const char *name = "";
    for (int i = 0; i < 50 && strcmp(name, "kept") != 0; i++) /* the loss may be told first */
        name = sy_ask(client, "select current_user");
    assert_string_equal(name, "kept");
    PQfinish(client);
    /* The router knows another secret than the server: told at the login, or by the first statement
     * when no server is needed before. */
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo),
             "host=127.0.0.1 port=%u dbname=strict user=stale "
             "password=secret sslmode=disable",
             (unsigned)sy_router_port(router));
    client = PQconnectdb(conninfo);
    PGresult *result = PQstatus(client) == CONNECTION_OK ? PQexec(client, "select 1") : NULL;
    if (strstr(PQerrorMessage(client), "is not the one that node s0/0 has") == NULL)
        fail_msg("%s", PQerrorMessage(client));
    PQclear(result);
    PQfinish(client);
}

static void passwords_for_the_servers_can_be_configured(void **state)
{
    (void)state;
    assert_string_equal(who("strict", "user=own password=own"), "own");
    assert_string_equal(who("strict", "user=mapped password=mine"), "service");
    assert_string_equal(who("strict", "user=other password=mine"), "other");
    assert_string_equal(who("noded", "user=mapped password=mine"), "service");
    assert_string_equal(who("noded", "user=own password=own"), "nodeuser");
}

/* The last test: the server goes. */
static void without_the_server_nobody_new_gets_in_and_the_router_lives(void **state)
{
    (void)state;
    sy_cluster_pause_node(cluster, 0); /* it takes connections and says nothing */
    const char *text = try_login("plainly", "user=alice password=wonder");
    print_message("%s", text);
    assert_true(strstr(text, "cannot be checked") != NULL ||
                strstr(text, "canceling authentication due to timeout") != NULL);
    /* What is remembered still serves: the right password gets as far as the server. */
    expect_refused("blog", "erin", "wrong");
    sy_cluster_resume_node(cluster, 0);
    sy_cluster_stop_node(cluster, 0, SY_STOP_IMMEDIATE);
    text = try_login("plainly", "user=alice password=wonder");
    assert_non_null(strstr(text, "FATAL:  the password of user \"alice\" cannot be checked"));
    sy_cluster_start_node(cluster, 0);
    for (int i = 0; i < 600 && text[0] != '\0'; i++) {
        text = try_login("plainly", "user=alice password=wonder");
        sy_pause_ms(50);
    }
    assert_string_equal(text, "");
}

/* ---- around the tests ---- */

static const char roles[] =
    "create role lookup login password 'lookup';"
    "create role looker login superuser password 'looker';"
    "create role alice login password 'wonder'; create role erin login password 'secret';"
    "create role frank login password 'first';"
    "create role bob login password 'secret' valid until '2001-01-01';"
    "create role carol nologin password 'secret'; create role dave login;"
    "create role few login password 'secret' connection limit 1;"
    "create role zero login password 'secret' connection limit 0;"
    "create role lllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll login password "
    "'secret';"
    "create role own login password 'own'; create role kept login password 'secret';"
    "create role stale login password 'secret'; create role service login password 'service';"
    "create role other login password 'elsewhere'; create role nodeuser login password 'node';";

/* As docs/operating.md has it, and a note of each call. */
static const char functions[] =
    "create schema auth; create table auth.asked(pid int);"
    "create function auth.secret_of(wanted text, out name text, out secret text)"
    "  returns setof record language sql security definer set search_path = pg_catalog as $$"
    "  insert into auth.asked select pg_backend_pid() from generate_series(1, 1);"
    "  select rolname::text, rolpassword from pg_catalog.pg_authid"
    "   where rolname = wanted and not rolsuper $$;"
    "revoke all on function auth.secret_of(text) from public;"
    "grant usage on schema auth to lookup; grant execute on function auth.secret_of(text) to "
    "lookup;"
    "create schema evil; grant usage on schema evil to public;"
    "create table evil.pg_shadow(usename name, passwd text);"
    "grant select on evil.pg_shadow to public;"
    "insert into evil.pg_shadow select 'mallory', rolpassword from pg_authid where rolname = "
    "'kept';"
    "create table evil.pg_roles as select rolname, true as rolcanlogin, null::timestamptz as "
    "rolvaliduntil, -1 as rolconnlimit, false as rolsuper from pg_authid;"
    "alter role looker set search_path = evil, pg_catalog;"
    "alter role lookup set search_path = evil, pg_catalog;";

static int add_database(char *text, int size, const char *name, const char *auth_query,
                        const char *node)
{
    return snprintf(text, (size_t)size,
                    "{ name = \"%s\"; engine = \"postgres\"; pool = { size = 5; connect_timeout = "
                    "\"5s\"; };%s%s%s\n  shards = ( { name = \"s0\"; nodes = ( { conninfo = "
                    "\"host=127.0.0.1 port=%u dbname=app user=postgres\"; %s } ); } ); },\n",
                    name, auth_query[0] == '\0' ? "" : " auth_query = { ", auth_query,
                    auth_query[0] == '\0' ? "" : " };", (unsigned)sy_cluster_port(cluster, 0),
                    node);
}

static void start_router(void)
{
    static const struct {
        const char *name, *auth_query, *node;
    } databases[] = {
        {"blog",
         "user = \"lookup\"; password = \"lookup\"; query = \"select * from auth.secret_of($1)\"; "
         "remember = \"600s\"; remember_unknown = \"600s\";",
         ""},
        {"plainly", "user = \"postgres\"; remember = \"0s\"; remember_unknown = \"0s\";", ""},
        {"loose",
         "user = \"looker\"; password = \"looker\"; query = \"select usename, passwd from "
         "pg_shadow where usename = $1\"; remember = \"0s\"; remember_unknown = \"0s\";",
         ""},
        {"broken", "user = \"lookup\"; password = \"wrong\";", ""},
        {"absent", "user = \"lookup\"; password = \"lookup\";", ""}, /* may not read pg_authid */
        {"twofold",
         "user = \"lookup\"; password = \"lookup\"; query = \"select $1::text, 'md5' from "
         "pg_catalog.generate_series(1, 2)\";",
         ""},
        {"narrow",
         "user = \"lookup\"; password = \"lookup\"; query = \"select 'lookup' where $1 <> ''\";",
         ""},
        {"strict", "", ""},
        {"noded", "", "user = \"nodeuser\"; password = \"node\";"},
    };
    char text[8192], extra[4096];
    int bytes = 0;
    for (size_t i = 0; i < sizeof(databases) / sizeof(databases[0]); i++)
        bytes += add_database(text + bytes, (int)sizeof(text) - bytes, databases[i].name,
                              databases[i].auth_query, databases[i].node);
    snprintf(text + bytes - 2, sizeof(text) - (size_t)bytes + 2, " );\n");
    const char *kept = sy_cluster_value(cluster, 0, "app",
                                        "select rolpassword from pg_authid where rolname = 'kept'");
    snprintf(extra, sizeof(extra),
             "login_failures_max = 0;\n"
             "users = ( { name = \"own\"; password = \"own\"; },\n"
             "  { name = \"kept\"; secret = \"%s\"; }, { name = \"stale\"; secret = \"%s\"; },\n"
             "  { name = \"other\"; password = \"mine\"; server_password = \"elsewhere\"; },\n"
             "  { name = \"mapped\"; password = \"mine\"; server_user = \"service\"; "
             "server_password = \"service\"; } );\n",
             kept, kept);
    router = sy_router_start(text, extra, getenv("SY_TEST_LOOP"));
}

int main(void)
{
    const struct sy_cluster_options options = {.name = "lookups", .hba_method = "scram-sha-256"};
    cluster = sy_cluster_start(&options);
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    sy_cluster_sql(cluster, 0, "app", roles);
    sy_cluster_sql(cluster, 0, "app", functions);
    start_router();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_of_the_servers_log_in_as_themselves),
        cmocka_unit_test(what_the_role_may_not_is_refused_like_an_unknown_user),
        cmocka_unit_test(the_roles_connection_limit_holds),
        cmocka_unit_test(many_logins_ask_once),
        cmocka_unit_test(a_new_password_counts_at_the_second_try_at_latest),
        cmocka_unit_test(nobodys_search_path_is_followed),
        cmocka_unit_test(no_client_gets_a_connection_that_asks),
        cmocka_unit_test(a_server_that_cannot_be_asked_is_no_wrong_password),
        cmocka_unit_test(a_configured_secret_is_passed_on),
        cmocka_unit_test(passwords_for_the_servers_can_be_configured),
        cmocka_unit_test(without_the_server_nobody_new_gets_in_and_the_router_lives),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
