/*
 * Clients that mean harm: half-open start-ups, random bytes, headers that promise 2 GiB, one byte
 * at a time, results and errors that nobody reads, floods of connects, floods of prepared
 * statements. The process stays up, its memory stays bounded, and a good client is served
 * meanwhile. The figures are printed, for docs/reliability.md; SY_ATTACK_SCALE multiplies the
 * numbers.
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
#include <sys/resource.h>
#include <time.h>

#include "base/sanitizer.h"
#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

enum {
    HALF_OPEN = 1500,
    RUBBISH = 300,
    CONNECTS = 5000,
    GOOD_STATEMENTS = 200,
/* What an attack may cost: a thousand strangers with a socket, a session and what they sent. */
#if SY_ADDRESS_SANITIZER || SY_THREAD_SANITIZER
    GROWTH_KB_MAX = 4 * 1024 * 1024 /* sanitizers keep what was freed: only the crash counts */
#else
    GROWTH_KB_MAX = 160 * 1024
#endif
};

static struct sy_cluster *cluster;
static struct sy_router *router;

static unsigned scale(void)
{
    const char *text = getenv("SY_ATTACK_SCALE");
    return text == NULL ? 1 : (unsigned)strtoul(text, NULL, 10);
}

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* A good client logs in and works; the p99 of its statements in microseconds. */
static uint64_t good_client(void)
{
    struct raw good;
    uint64_t times[GOOD_STATEMENTS];
    if (!raw_login(&good, sy_router_port(router), "postgres", "app"))
        fail_msg("a good client cannot log in");
    for (int i = 0; i < GOOD_STATEMENTS; i++) {
        struct sy_buf text = {0};
        uint64_t begin = now_us();
        raw_query(&good, "select 1");
        bool answered = raw_read(&good, 'Z', 10000);
        raw_describe(&good, &text);
        sy_buf_append_u8(&text, 0);
        assert_true(answered);
        assert_string_equal(text.data, "TDCZ(I)");
        sy_buf_release(&text);
        times[i] = now_us() - begin;
    }
    raw_close(&good);
    qsort(times, GOOD_STATEMENTS, sizeof(times[0]), by_number);
    return times[GOOD_STATEMENTS * 99 / 100];
}

static uint64_t resident_before, p99_before;

static void begin_attack(void)
{
    p99_before = good_client();
    resident_before = raw_resident_kb(sy_router_pid(router));
}

static void survives(const char *what, unsigned tried)
{
    uint64_t p99 = good_client(), now = raw_resident_kb(sy_router_pid(router));
    uint64_t growth = now > resident_before ? now - resident_before : 0;
    print_message("%s: %u tried, memory %+lld kB (now %llu), a good client's p99 %llu us, %llu us "
                  "before\n",
                  what, tried, (long long)growth, (unsigned long long)now, (unsigned long long)p99,
                  (unsigned long long)p99_before);
    assert_true(now > 0);
    assert_true(growth < GROWTH_KB_MAX);
}

/* ---- before the login ---- */

static void half_open_startups_do_not_lock_others_out(void **state)
{
    (void)state;
    unsigned count = HALF_OPEN * scale();
    struct raw *raws = calloc(count, sizeof(*raws));
    begin_attack();
    for (unsigned i = 0; i < count; i++)
        if (raw_open(&raws[i], sy_router_port(router)) && i % 2 == 0)
            raw_send(&raws[i], "\0\0\0\x20\0\3\0\0us", 10);
    survives("half-open start-ups", count);
    for (unsigned i = 0; i < count; i++)
        raw_close(&raws[i]);
    free(raws);
}

static void random_bytes_are_turned_away(void **state)
{
    (void)state;
    unsigned seed = 4711, count = RUBBISH * scale();
    begin_attack();
    for (unsigned i = 0; i < count; i++) {
        struct raw raw;
        unsigned char bytes[600];
        for (size_t at = 0; at < sizeof(bytes); at++)
            bytes[at] = (unsigned char)rand_r(&seed);
        if (i % 3 == 1) /* a plausible beginning */
            memcpy(bytes, "\0\0\0\x60\0\3\0\0user\0", 13);
        if (i % 3 == 2) /* rubbish behind a login */
            assert_true(raw_login(&raw, sy_router_port(router), "postgres", "app"));
        else
            assert_true(raw_open(&raw, sy_router_port(router)));
        raw_send(&raw, bytes, sizeof(bytes));
        (void)raw_read(&raw, 0, 2);
        raw_close(&raw);
    }
    survives("random bytes", count);
}

static void a_promise_of_two_gigabytes_reserves_nothing(void **state)
{
    (void)state;
    enum { COUNT = 60 };
    struct raw raws[COUNT];
    begin_attack();
    for (unsigned i = 0; i < COUNT; i++) {
        static const char *const headers[] = {"Q\x3f\xff\xff\xff", "P\x3f\xff\xff\xff",
                                              "Q\x7f\xff\xff\xff", "d\x3f\xff\xff\xff"};
        assert_true(raw_login(&raws[i], sy_router_port(router), "postgres", "app"));
        raw_send(&raws[i], headers[i % 4], 5);
        raw_send(&raws[i], "select", 6);
    }
    survives("headers that promise 1 and 2 GiB", COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        raw_close(&raws[i]);
}

static void one_byte_at_a_time_ends_with_the_login_timeout(void **state)
{
    (void)state;
    enum { COUNT = 200, ROUNDS = 60 };
    struct raw raws[COUNT];
    unsigned closed = 0;
    begin_attack();
    for (unsigned i = 0; i < COUNT; i++)
        assert_true(raw_open(&raws[i], sy_router_port(router)));
    static const char packet[ROUNDS + 8] =
        "\0\0\0\x60\0\3\0\0user\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < COUNT; i++)
            raw_send(&raws[i], packet + round, 1);
        (void)raw_read(&raws[0], 0, 50);
    }
    survives("slowloris", COUNT);
    for (unsigned i = 0; i < COUNT; i++) { /* login_timeout is 2 s here */
        (void)raw_read(&raws[i], 0, 3000);
        closed += raws[i].closed;
        raw_close(&raws[i]);
    }
    assert_int_equal(closed, COUNT);
}

static void a_flood_of_connects_leaves_room(void **state)
{
    (void)state;
    unsigned count = CONNECTS * scale(), refused = 0;
    begin_attack();
    uint64_t begin = raw_now_ms();
    for (unsigned i = 0; i < count; i++) {
        struct raw raw;
        if (!raw_open(&raw, sy_router_port(router)))
            refused++;
        else
            raw_close(&raw);
    }
    uint64_t took = raw_now_ms() - begin;
    print_message("%u connects in %llu ms, %u refused\n", count, (unsigned long long)took, refused);
    survives("connects", count);
}

/* ---- after it ---- */

static void results_that_nobody_reads_wait_at_the_server(void **state)
{
    (void)state;
    enum { COUNT = 8 };
    struct raw raws[COUNT];
    begin_attack();
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(raw_login(&raws[i], sy_router_port(router), "postgres", "app"));
        raw_query(&raws[i], "select repeat('x', 1000) from generate_series(1, 2000000)");
    }
    for (int i = 0; i < 5; i++)
        (void)good_client();
    survives("results of 2 GB that nobody reads", COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        raw_close(&raws[i]);
}

static void answers_that_nobody_reads_stop_the_questions(void **state)
{
    (void)state;
    enum { COUNT = 4, MEGABYTES = 64 };
    struct raw raws[COUNT];
    struct sy_buf block = {0};
    while (block.bytes < 1024 * 1024) /* errors of the router's own: 20 bytes in, 100 out */
        sy_buf_append(&block, "Q\0\0\0\x0dselec 1;\0", 14);
    begin_attack();
    for (unsigned i = 0; i < COUNT; i++) {
        assert_true(raw_login(&raws[i], sy_router_port(router), "postgres", "app"));
        uint64_t begin = raw_now_ms();
        for (unsigned m = 0; m < MEGABYTES && raw_now_ms() - begin < 1500; m++)
            raw_send(&raws[i], block.data, block.bytes);
    }
    survives("pipelined errors that nobody reads", COUNT);
    for (unsigned i = 0; i < COUNT; i++)
        raw_close(&raws[i]);
    sy_buf_release(&block);
}

static void prepared_statements_have_a_limit(void **state)
{
    (void)state;
    struct raw raw;
    char body[64];
    begin_attack();
    assert_true(raw_login(&raw, sy_router_port(router), "postgres", "app"));
    unsigned count = 0;
    struct sy_buf text = {0};
    for (; count < 20000 && text.bytes < 100; count++) {
        int bytes = snprintf(body, sizeof(body), "s%u%cselect %u%c%c", count, 0, count, 0, 0);
        raw_message(&raw, 'P', body, (size_t)bytes + 1);
        if (count % 1000 == 999) {
            raw_message(&raw, 'S', "", 0);
            assert_true(raw_read(&raw, 'Z', 10000));
            raw_describe(&raw, &text);
            if (memmem(text.data, text.bytes, "E(ERROR,53400)", 14) != NULL)
                break;
        }
    }
    print_message("prepared statements of one client: refused within %u\n", count + 1);
    assert_true(count < 20000);
    sy_buf_release(&text);
    raw_close(&raw);
    survives("prepared statements", count);
}

/* Few of them, but long: what counts is what they hold. */
static void prepared_texts_have_a_limit(void **state)
{
    (void)state;
    enum { TEXT_BYTES = 1 << 20 };
    struct raw raw;
    static char body[TEXT_BYTES];
    begin_attack();
    assert_true(raw_login(&raw, sy_router_port(router), "postgres", "app"));
    unsigned count = 0;
    bool refused = false;
    for (; count < 100 && !refused; count++) {
        struct sy_buf text = {0};
        memset(body, ' ', sizeof(body));
        int bytes = snprintf(body, 32, "long%u%cselect %u", count, 0, count);
        body[bytes] = ' ';
        memset(body + sizeof(body) - 3, 0, 3);
        raw_message(&raw, 'P', body, sizeof(body));
        raw_message(&raw, 'S', "", 0);
        assert_true(raw_read(&raw, 'Z', 30000));
        raw_describe(&raw, &text);
        refused = memmem(text.data, text.bytes, "E(ERROR,53400)", 14) != NULL;
        sy_buf_release(&text);
    }
    print_message("prepared statements of 1 MB: the one number %u was refused\n", count);
    assert_true(refused && count > 60 && count <= 65);
    raw_close(&raw);
    survives("long prepared statements", count);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    raise_file_limit();
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "hostile"});
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    char databases[512];
    snprintf(
        databases, sizeof(databases),
        "{ name = \"app\"; engine = \"postgres\"; pool = { size = 20; };\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=app "
        "user=postgres\"; } ); } ); } );",
        (unsigned)sy_cluster_port(cluster, 0));
    router = sy_router_start(databases, "login_timeout = \"2s\";\nlog = { level = \"error\"; };\n",
                             getenv("SY_ATTACK_LOOP"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_open_startups_do_not_lock_others_out),
        cmocka_unit_test(random_bytes_are_turned_away),
        cmocka_unit_test(a_promise_of_two_gigabytes_reserves_nothing),
        cmocka_unit_test(one_byte_at_a_time_ends_with_the_login_timeout),
        cmocka_unit_test(a_flood_of_connects_leaves_room),
        cmocka_unit_test(results_that_nobody_reads_wait_at_the_server),
        cmocka_unit_test(answers_that_nobody_reads_stop_the_questions),
        cmocka_unit_test(prepared_statements_have_a_limit),
        cmocka_unit_test(prepared_texts_have_a_limit),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
