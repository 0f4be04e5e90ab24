/*
 * What clients can make the router hold: a message longer than its budget is refused at its header,
 * others wait for room and are answered, those that wait in vain are ended, and clients that never
 * read hold what their queue may hold and no more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

/* Small enough for the kernel's buffers: what is not read must not block the test. */
enum { KB = 1024, MB = 1024 * KB, CLIENT = 192 * KB, FIRST = 150 * KB, SECOND = 190 * KB };

static struct sy_router *router;

static const char databases[] =
    "{ name = \"app\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; "
    "replicas = 0; } ); } );";

static const char *settings(const char *wait, const char *all)
{
    static char text[512];
    snprintf(text, sizeof(text),
             "auth = ( { method = \"trust\"; } );\nusers = ( { name = \"app\"; }, { name = "
             "\"other\"; }, { name = \"boss\"; admin = true; } );\n"
             "buffers = { client = \"192KB\"; user = \"300KB\"; all = \"%s\"; wait = \"%s\"; };\n",
             all, wait);
    return text;
}

static void log_in(struct raw *raw, const char *user)
{
    assert_true(raw_login(raw, sy_router_port(router), user, "app"));
}

/* The header of a Query whose text has so many bytes, and the beginning of the text. */
static void begin_query(struct raw *raw, uint32_t text_bytes)
{
    char header[5 + 8] = "Q\0\0\0\0select 1";
    uint32_t length = htonl(4 + text_bytes + 1);
    memcpy(header + 1, &length, sizeof(length));
    raw_send(raw, header, sizeof(header));
}

/* The rest of it: blanks, and the closing zero. */
static void end_query(struct raw *raw, uint32_t text_bytes)
{
    uint32_t left = text_bytes - 8;
    char *blanks = malloc(left + 1);
    assert_non_null(blanks);
    memset(blanks, ' ', left);
    blanks[left] = '\0';
    raw_send(raw, blanks, left + 1);
    free(blanks);
}

static void expect(struct raw *raw, const char *wanted)
{
    struct sy_buf text = {0};
    (void)raw_read(raw, wanted[0] == 'E' ? 0 : 'Z', 30000);
    raw_describe(raw, &text);
    sy_buf_append_u8(&text, 0);
    assert_string_equal(text.data, wanted);
    sy_buf_release(&text);
}

/* ---- what the console tells ---- */

static PGconn *open_console(void)
{
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=boss dbname=switchyard",
             (unsigned)sy_router_port(router));
    PGconn *console = PQconnectdb(conninfo);
    assert_int_equal(PQstatus(console), CONNECTION_OK);
    return console;
}

static uint64_t buffered(PGconn *console, uint64_t *ret_most)
{
    PGresult *result = PQexec(console, "SHOW CLIENTS");
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    int column = PQfnumber(result, "buffered");
    uint64_t sum = 0;
    for (int i = 0; i < PQntuples(result); i++) {
        uint64_t bytes = strtoull(PQgetvalue(result, i, column), NULL, 10);
        sum += bytes;
        *ret_most = bytes > *ret_most ? bytes : *ret_most;
    }
    PQclear(result);
    return sum;
}

/* Clients of the user "app" that the router holds something of. */
static int holders(PGconn *console)
{
    PGresult *result = PQexec(console, "SHOW CLIENTS");
    int column = PQfnumber(result, "buffered"), user = PQfnumber(result, "user"), count = 0;
    for (int i = 0; i < PQntuples(result); i++)
        count += strcmp(PQgetvalue(result, i, user), "app") == 0 &&
                 strcmp(PQgetvalue(result, i, column), "0") != 0;
    PQclear(result);
    return count;
}

static void wait_for_holders(PGconn *console, int wanted)
{
    for (int i = 0; i < 600 && holders(console) != wanted; i++)
        (void)poll(NULL, 0, 50);
    assert_int_equal(holders(console), wanted);
}

static void a_message_beyond_its_budget_is_refused_at_its_header(void **state)
{
    (void)state;
    struct raw raw;
    log_in(&raw, "app");
    begin_query(&raw, CLIENT);
    expect(&raw, "E(FATAL,54000)!");
    raw_close(&raw);
    log_in(&raw, "app");
    begin_query(&raw, SECOND);
    end_query(&raw, SECOND);
    expect(&raw, "TDCZ(I)");
    /* In one batch they count together. */
    for (int i = 0; i < 3; i++) {
        static char parse[100 * KB];
        uint32_t length = htonl(sizeof(parse) - 1);
        memset(parse, ' ', sizeof(parse));
        memcpy(parse, "P", 1);
        memcpy(parse + 1, &length, sizeof(length));
        memcpy(parse + 5, "\0select 1", 9);
        memcpy(parse + sizeof(parse) - 3, "\0\0", 3);
        raw_send(&raw, parse, sizeof(parse));
    }
    (void)raw_read(&raw, 0, 30000);
    struct sy_buf text = {0};
    raw_describe(&raw, &text);
    sy_buf_append_u8(&text, 0);
    assert_non_null(strstr(text.data, "E(FATAL,54000)!"));
    sy_buf_release(&text);
    raw_close(&raw);
}

static void others_wait_for_room_and_are_answered(void **state)
{
    (void)state;
    struct raw first, second, third;
    PGconn *console = open_console();
    log_in(&first, "app");
    log_in(&second, "app");
    log_in(&third, "other");
    begin_query(&first, FIRST);
    wait_for_holders(console, 1);
    begin_query(&second, SECOND); /* of the user's 300 KB half is left */
    assert_false(raw_read(&first, 'Z', 300));
    end_query(&second, SECOND);
    assert_false(raw_read(&second, 'Z', 1000)); /* it is not even read to its end */
    begin_query(&third, SECOND);                /* another user has a budget of its own */
    end_query(&third, SECOND);
    expect(&third, "TDCZ(I)");
    end_query(&first, FIRST);
    expect(&first, "TDCZ(I)");
    expect(&second, "TDCZ(I)");
    /* A client that goes away in the middle gives back what it had. */
    begin_query(&first, SECOND);
    wait_for_holders(console, 1);
    begin_query(&second, SECOND);
    wait_for_holders(console, 2);
    raw_close(&first);
    end_query(&second, SECOND);
    expect(&second, "TDCZ(I)");
    raw_close(&second);
    raw_close(&third);
    PQfinish(console);
}

/* More of it comes while the session is busy than is kept: the rest is read when it is not. */
static void a_long_message_behind_a_busy_session_is_read(void **state)
{
    (void)state;
    struct raw raw;
    log_in(&raw, "app");
    raw_query(&raw, "with recursive r(n) as (select 1 union all select n + 1 from r where n < "
                    "1000000) select count(*) from r");
    begin_query(&raw, SECOND);
    end_query(&raw, SECOND);
    struct sy_buf text = {0};
    for (int i = 0; i < 600 && text.bytes < strlen("TDCZ(I)TDCZ(I)"); i++) {
        (void)raw_read(&raw, 'Z', 100); /* both answers may come at once */
        raw_describe(&raw, &text);
    }
    sy_buf_append_u8(&text, 0);
    assert_string_equal(text.data, "TDCZ(I)TDCZ(I)");
    sy_buf_release(&text);
    raw_close(&raw);
}

/* ---- clients that never read ---- */

enum { READERS = 60, ASKED = 1500 };

static const char *config_value(PGconn *console, const char *key)
{
    static char value[64];
    PGresult *result = PQexec(console, "SHOW CONFIG");
    value[0] = '\0';
    for (int i = 0; i < PQntuples(result); i++)
        if (strcmp(PQgetvalue(result, i, 0), key) == 0)
            snprintf(value, sizeof(value), "%s", PQgetvalue(result, i, 1));
    PQclear(result);
    return value;
}

static void who_never_reads_holds_its_budget_and_no_more(void **state)
{
    (void)state;
    static struct raw readers[READERS];
    struct sy_buf many = {0};
    sy_router_reload(router, databases, settings("500ms", "4MB"));
    const char sql[] = "select repeat('x', 8000)";
    for (int i = 0; i < ASKED; i++) {
        sy_buf_append_u8(&many, 'Q');
        sy_buf_append_u32(&many, 4 + sizeof(sql));
        sy_buf_append(&many, sql, sizeof(sql));
    }
    PGconn *console = open_console();
    const char *known = "";
    for (int i = 0; i < 600 && strcmp(known, "4MB") != 0; i++) {
        known = config_value(console, "buffers.all");
        (void)poll(NULL, 0, 50);
    }
    assert_string_equal(known, "4MB"); /* the reload is known */
    for (int i = 0; i < READERS; i++) {
        int small = 4096;
        log_in(&readers[i], "app");
        setsockopt(readers[i].fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    }
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(fcntl(readers[i].fd, F_SETFL, O_NONBLOCK), 0);
        (void)!send(readers[i].fd, many.data, many.bytes, MSG_NOSIGNAL);
    }
    uint64_t sum = 0, before = 1, most = 0;
    for (int same = 0, turn = 0; same < 10 && turn < 600; turn++) { /* until all stand still */
        sum = buffered(console, &most);
        same = sum == before ? same + 1 : 0;
        before = sum;
        (void)poll(NULL, 0, 100);
    }
    print_message("%d clients that do not read: %llu kB, the most of one %llu kB\n", READERS,
                  (unsigned long long)sum / KB, (unsigned long long)most / KB);
    assert_true(most < 600 * KB); /* a queue, and what was sent and not handled */
    /* Half of "all" for answers, 16 KiB and a message above it, and the unhandled queries. */
    assert_true(sum < 2 * MB + (uint64_t)READERS * (16 + 16 + 160) * KB);
    PGconn *good = sy_router_connect(router, "app", "user=other");
    for (int i = 0; i < 200; i++)
        assert_string_equal(sy_ask(good, "select 1"), "1");
    PQfinish(good);
    /* Their user has nothing left for long messages: one that waits in vain is ended. */
    struct raw raw;
    log_in(&raw, "app");
    begin_query(&raw, SECOND);
    expect(&raw, "E(FATAL,53200)!");
    raw_close(&raw);
    PQfinish(console);
    for (int i = 0; i < READERS; i++)
        raw_close(&readers[i]);
    sy_buf_release(&many);
    /* And when they are gone there is room again. */
    for (int turn = 0; turn < 100; turn++) {
        struct sy_buf text = {0};
        log_in(&raw, "app");
        begin_query(&raw, SECOND);
        end_query(&raw, SECOND);
        (void)raw_read(&raw, 'Z', 30000);
        raw_describe(&raw, &text);
        sy_buf_append_u8(&text, 0);
        bool answered = strcmp(text.data, "TDCZ(I)") == 0;
        sy_buf_release(&text);
        raw_close(&raw);
        if (answered)
            return;
    }
    fail_msg("what was held was not given back");
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    router = sy_router_start(databases, settings("60s", "64MB"), getenv("SY_TEST_LOOP"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_beyond_its_budget_is_refused_at_its_header),
        cmocka_unit_test(others_wait_for_room_and_are_answered),
        cmocka_unit_test(a_long_message_behind_a_busy_session_is_read),
        cmocka_unit_test(who_never_reads_holds_its_budget_and_no_more),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
