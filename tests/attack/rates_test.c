/*
 * Rates of users and databases: statements over theirs wait, unread, or are refused with 53400, in
 * both protocols; logins over theirs are refused; and nobody else notices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/sanitizer.h"
#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

#if SY_ADDRESS_SANITIZER || SY_THREAD_SANITIZER
enum { GROWTH_KB_MAX = 4 * 1024 * 1024 }; /* sanitizers keep what was freed */
#else
enum { GROWTH_KB_MAX = 16 * 1024 };
#endif

static struct sy_router *router;

/* Embedded databases: no server is needed to count. */
#define EMBEDDED(name, more)                                                                       \
    "{ name = \"" name "\"; engine = \"sqlite\"; " more                                            \
    " shards = ( { name = \"s0\"; replicas = 0; } ); }"
static const char databases[] = EMBEDDED("app", "") ", " EMBEDDED(
    "narrow", "statements_per_second = 5; connections_per_second = 1000;") " );";

static const char *settings(const char *wait_max)
{
    static char text[1024];
    snprintf(text, sizeof(text),
             "auth = ( { method = \"trust\"; } );\nstatement_wait_max = \"%s\";\n"
             "users = ( { name = \"slow\"; statements_per_second = 10; }, { name = \"once\"; "
             "statements_per_second = 1; }, { name = \"door\"; connections_per_second = 1; }, { "
             "name = \"free\"; } );\n",
             wait_max);
    return text;
}

static PGconn *connect_as(const char *user, const char *database)
{
    char conninfo[256];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=%s dbname=%s",
             (unsigned)sy_router_port(router), user, database);
    return PQconnectdb(conninfo);
}

static PGconn *must_connect(const char *user, const char *database)
{
    PGconn *connection = connect_as(user, database);
    if (PQstatus(connection) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(connection));
    return connection;
}

static uint64_t time_of(PGconn *connection, const char *sql, int times)
{
    uint64_t began = raw_now_ms();
    for (int i = 0; i < times; i++)
        assert_string_equal(sy_ask(connection, sql), "1");
    return raw_now_ms() - began;
}

/* Lower bounds only: a busy machine makes everything later. */
static void statements_over_the_rate_wait(void **state)
{
    (void)state;
    PGconn *slow = must_connect("slow", "app"), *narrow = must_connect("free", "narrow");
    assert_true(time_of(slow, "select 1", 25) >= 1400); /* 10 at once, then one each 100 ms */
    PGconn *second = must_connect("slow", "app");       /* the rate is the user's */
    assert_true(time_of(second, "select 1", 5) >= 300);
    assert_true(time_of(narrow, "select 1", 10) >= 900);
    PQfinish(slow);
    PQfinish(second);
    PQfinish(narrow);
}

static void each_statement_of_a_query_counts(void **state)
{
    (void)state;
    PGconn *slow = must_connect("slow", "app");
    char sql[400] = "";
    for (int i = 0; i < 40; i++)
        strcat(sql, "select 1;");
    uint64_t began = raw_now_ms();
    assert_string_equal(sy_ask(slow, sql), "1");
    assert_string_equal(sy_ask(slow, "select 1"), "1");
    assert_true(raw_now_ms() - began >= 2500); /* 41, of which 10 may come at once */
    PQfinish(slow);
}

/* What was sent before the router stopped to read. */
static size_t push(struct raw *raw, const char *message, size_t bytes, size_t most)
{
    size_t sent = 0, at = 0;
    assert_int_equal(fcntl(raw->fd, F_SETFL, O_NONBLOCK), 0);
    for (;;) {
        struct pollfd wait = {.fd = raw->fd, .events = POLLOUT};
        if (sent >= most || poll(&wait, 1, 2000) <= 0)
            return sent;
        ssize_t part = send(raw->fd, message + at, bytes - at, MSG_NOSIGNAL);
        if (part <= 0)
            continue;
        sent += (size_t)part;
        at = (at + (size_t)part) % bytes;
    }
}

static void who_waits_is_not_read(void **state)
{
    (void)state;
    enum { MESSAGES = 2000, MOST = 256 << 20 };
    struct raw raw;
    struct sy_buf many = {0};
    static char padded[1000];
    memset(padded, ' ', sizeof(padded));
    memcpy(padded, "Q\0\0\3\347select 1", 13);
    padded[sizeof(padded) - 1] = '\0';
    for (int i = 0; i < MESSAGES; i++)
        sy_buf_append(&many, padded, sizeof(padded));
    assert_true(raw_login(&raw, sy_router_port(router), "once", "app"));
    uint64_t before = raw_resident_kb(sy_router_pid(router));
    size_t sent = push(&raw, many.data, many.bytes, MOST);
    uint64_t after = raw_resident_kb(sy_router_pid(router));
    print_message("%zu bytes taken, resident %llu -> %llu kB\n", sent, (unsigned long long)before,
                  (unsigned long long)after);
    assert_true(sent < MOST / 2); /* the kernel's buffers, and a little */
    assert_true(after < before + GROWTH_KB_MAX);
    PGconn *free_user = must_connect("free", "app");
    for (int i = 0; i < 200; i++)
        assert_string_equal(sy_ask(free_user, "select 1"), "1");
    PQfinish(free_user);
    sy_buf_release(&many);
    raw_close(&raw);
}

/* Many at once, each behind its own Sync. */
static void count_pipelined(PGconn *connection, int times, int *ret_good, int *ret_refused)
{
    *ret_good = *ret_refused = 0;
    assert_int_equal(PQenterPipelineMode(connection), 1);
    for (int i = 0; i < times; i++) {
        assert_int_equal(PQsendQueryParams(connection, "select 1", 0, NULL, NULL, NULL, NULL, 0),
                         1);
        assert_int_equal(PQpipelineSync(connection), 1);
    }
    for (int syncs = 0; syncs < times;) {
        PGresult *result = PQgetResult(connection);
        if (result == NULL)
            continue;
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        *ret_good += PQresultStatus(result) == PGRES_TUPLES_OK;
        *ret_refused += sqlstate != NULL && strcmp(sqlstate, "53400") == 0;
        syncs += PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        PQclear(result);
    }
    assert_int_equal(PQexitPipelineMode(connection), 1);
}

static void who_would_wait_too_long_is_refused(void **state)
{
    (void)state;
    sy_router_reload(router, databases, settings("0s"));
    PGconn *once = must_connect("once", "app");
    bool refused = false;
    for (int i = 0; i < 600 && !refused; i++) /* until the reload is known */
        refused = strcmp(sy_ask(once, "select 1"), "ERROR 53400") == 0;
    assert_true(refused);
    int good, pipelined;
    count_pipelined(once, 30, &good, &pipelined);
    assert_int_equal(good + pipelined, 30);
    assert_true(pipelined > 0);
    /* What has begun may end. */
    bool began = false;
    for (int i = 0; i < 3000 && !began; i++) {
        began = strcmp(sy_run(once, "begin"), "BEGIN") == 0;
        (void)poll(NULL, 0, 20);
    }
    assert_true(began);
    for (int i = 0; i < 100; i++)
        assert_string_equal(sy_ask(once, "select 1"), "1");
    assert_string_equal(sy_run(once, "commit"), "COMMIT");
    assert_string_equal(sy_ask(once, "select 1"), "ERROR 53400"); /* 100 seconds are owed */
    PQfinish(once);
}

static void logins_over_the_rate_are_refused(void **state)
{
    (void)state;
    int in = 0, refused = 0;
    for (int i = 0; i < 40; i++) {
        PGconn *connection = connect_as("door", "app");
        in += PQstatus(connection) == CONNECTION_OK;
        refused += strstr(PQerrorMessage(connection),
                          "too many connections per second of user \"door\"") != NULL;
        PQfinish(connection);
    }
    assert_int_equal(in + refused, 40);
    assert_true(in > 0 && refused > 0);
    for (int i = 0; i < 40; i++)
        PQfinish(must_connect("free", "app"));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    router = sy_router_start(databases, settings("60s"), getenv("SY_TEST_LOOP"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_over_the_rate_wait),
        cmocka_unit_test(each_statement_of_a_query_counts),
        cmocka_unit_test(who_waits_is_not_read),
        cmocka_unit_test(who_would_wait_too_long_is_refused),
        cmocka_unit_test(logins_over_the_rate_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
