/*
 * Memory runs out after start-up: one after the other, each allocation that a session makes fails.
 * Its client is told, or is let go; nobody waits for ever, the process stays up, and the next
 * client is served as if nothing had been. SY_ATTACK_SCALE=N lets N allocations fail in a row.
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

#include "base/sanitizer.h"
#include "tests/attack/raw.h"
#include "tests/attack/starve.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

enum {
    PATIENCE_MS = 30000,
    ANSWERS = 15, /* of a session that nothing happens to */
#if SY_ADDRESS_SANITIZER || SY_THREAD_SANITIZER
    FRESH_STEP = 55 /* each allocation of an arena is one of its own there */
#else
    FRESH_STEP = 5 /* each needs a process of its own */
#endif
};

static struct sy_cluster *cluster;
static struct sy_router *router;

static uint64_t in_a_row(void)
{
    const char *text = getenv("SY_ATTACK_SCALE");
    return text == NULL ? 1 : strtoull(text, NULL, 10);
}

/* How many answers a session got that were not 53200 (out of memory), nor the end. */
static unsigned good_answers;

/* What a client says before it waits for ReadyForQuery. False: the connection is gone. */
static bool waits(struct raw *client, const char *what)
{
    if (raw_read(client, 'Z', PATIENCE_MS)) {
        good_answers += memmem(client->received.data, client->received.bytes, "C53200", 7) == NULL;
        sy_buf_clear(&client->received);
        return true;
    }
    if (!client->closed)
        fail_msg("nobody answers to: %s", what);
    return false;
}

static bool ask(struct raw *client, const char *sql)
{
    raw_query(client, sql);
    return waits(client, sql);
}

static bool ask_extended(struct raw *client, const char *sql)
{
    raw_extended(client, sql);
    raw_message(client, 'S', NULL, 0);
    return waits(client, sql);
}

static bool copy(struct raw *client)
{
    raw_query(client, "copy k from stdin");
    raw_message(client, 'd', "1001\tx\n1002\tx\n1003\tx\n", 21);
    raw_message(client, 'c', NULL, 0);
    return waits(client, "copy");
}

/* Rows of a block that has begun go with it: a BEGIN that was answered and not sent would leave
 * them. */
static bool copy_and_go_back(struct raw *client)
{
    unsigned before = good_answers;
    if (!ask(client, "begin"))
        return false;
    bool begun = good_answers > before;
    return (!begun || copy(client)) && ask(client, "rollback");
}

static bool prepare(struct raw *client)
{
    raw_message(client, 'P', "name\0select 7\0\0\0", 16);
    raw_message(client, 'D', "Sname", 6);
    raw_message(client, 'S', NULL, 0);
    return waits(client, "prepare");
}

static void spend_a_session(void)
{
    struct raw client;
    if (!raw_open(&client, sy_router_port(router)))
        fail_msg("the router does not listen any more");
    raw_startup_packet(&client, "postgres", "app");
    (void)(waits(&client, "the login") && ask(&client, "select 1") &&
           ask(&client, "select id from k order by id") && ask(&client, "select 1/0") &&
           ask(&client, "set work_mem = '1MB'") &&
           ask_extended(&client, "select count(*) from k") && prepare(&client) &&
           copy_and_go_back(&client) && ask(&client, "begin") &&
           ask(&client, "update k set name = 'y' where id = 3") &&
           ask(&client, "update k set name = 'y' where id = 4") && ask(&client, "commit") &&
           ask(&client, "create temporary table mine(a int)") &&
           ask(&client, "select relname from pg_class limit 1"));
    raw_message(&client, 'X', NULL, 0);
    raw_close(&client);
}

/* What failed may have to be tried again by the router (a server connection), but not for long. */
static void others_are_served(uint64_t n)
{
    uint64_t end = raw_now_ms() + PATIENCE_MS;
    bool served = false;
    char last[200] = "no login";
    while (!served && raw_now_ms() < end) {
        struct raw good;
        struct sy_buf seen = {0};
        if (raw_login(&good, sy_router_port(router), "postgres", "app") && ask(&good, "select 1")) {
            raw_query(&good, "select id from k where id < 10 order by id");
            (void)raw_read(&good, 'Z', PATIENCE_MS);
            raw_describe(&good, &seen);
            served = seen.bytes == 7 && memcmp(seen.data, "TDCZ(I)", 7) == 0;
            snprintf(last, sizeof(last), "%.*s", (int)seen.bytes, seen.data);
        }
        sy_buf_release(&seen);
        raw_close(&good);
    }
    if (!served)
        fail_msg("after allocation %llu failed others see: %s", (unsigned long long)n, last);
}

static void nothing_is_left(uint64_t n)
{
    PGconn *c = sy_router_connect(router, "app", NULL);
    if (strcmp(sy_ask(c, "select count(*) from k where id > 1000"), "0") != 0)
        fail_msg("after allocation %llu failed rows of a block that was rolled back are there",
                 (unsigned long long)n);
    PQfinish(c);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t calls = 0, more = in_a_row() - 1;
    for (int i = 0; i < 3; i++) { /* what is made once */
        spend_a_session();
        others_are_served(0);
    }
    starve_begin(UINT64_MAX / 2, 0);
    spend_a_session();
    calls = starve_end();
    print_message("a session allocates %llu times\n", (unsigned long long)calls);
    assert_true(calls > 20);
    unsigned disturbed = 0;
    for (uint64_t n = 1; n <= calls + 10; n++) {
        good_answers = 0;
        starve_begin(n, more);
        spend_a_session();
        (void)starve_end();
        disturbed += good_answers < ANSWERS;
        others_are_served(n);
        nothing_is_left(n);
    }
    print_message("%u of them were noticed by the client\n", disturbed);
    assert_true(disturbed > 0);
}

/* The first session of a process makes what later ones find: the same from the beginning. */
static void a_fresh_process_may_be_starved_too(void **state)
{
    (void)state;
    uint64_t calls = 100;
    unsigned disturbed = 0, tried = 0;
    for (uint64_t n = 1; n < calls; n += FRESH_STEP, tried++) {
        sy_router_restart(router, true);
        good_answers = 0;
        starve_begin(n, 0);
        spend_a_session();
        uint64_t made = starve_end();
        calls = made > calls ? made : calls;
        disturbed += good_answers < ANSWERS;
        others_are_served(n);
        nothing_is_left(n);
    }
    print_message("a first session allocates %llu times; %u tried, %u noticed by the client\n",
                  (unsigned long long)calls, tried, disturbed);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    starve_prepare();
    cluster = sy_cluster_start(
        &(struct sy_cluster_options){.name = "memory", .conf = "max_prepared_transactions = 10\n"});
    for (int i = 0; i < 2; i++) {
        sy_cluster_sql(cluster, 0, "postgres",
                       i == 0 ? "create database s0" : "create database s1");
        sy_cluster_sql(cluster, 0, i == 0 ? "s0" : "s1",
                       "create table k(id int primary key, name text)");
    }
    char databases[1024];
    unsigned port = sy_cluster_port(cluster, 0);
    snprintf(databases, sizeof(databases),
             "{ name = \"app\"; engine = \"postgres\"; pool = { size = 4; };\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s0 user=postgres\"; } ); },\n"
             "             { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s1 user=postgres\"; } ); } );\n"
             "  keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int4\";\n"
             "     tables = ( { name = \"k\"; key = \"id\"; } ); } ); } );",
             port, port);
    router = sy_router_start(databases, "log = { level = \"warn\"; };\n", getenv("SY_TEST_LOOP"));
    for (int i = 1; i < 20; i++) {
        char sql[80];
        PGconn *c = sy_router_connect(router, "app", NULL);
        snprintf(sql, sizeof(sql), "insert into k values (%d, 'x')", i);
        assert_string_equal(sy_run(c, sql), "INSERT 0 1");
        PQfinish(c);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(a_fresh_process_may_be_starved_too),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
