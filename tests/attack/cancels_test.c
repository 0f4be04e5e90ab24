/*
 * Cancel requests that race with the ends of statements and with other clients' statements reach
 * only the owner: no client that nobody cancels ever sees 57014, and a cancelled statement's
 * connection serves the next client clean. A few thousand requests; SY_ATTACK_SCALE=50 sends
 * 100,000.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

enum {
    VICTIMS = 8,
    BYSTANDERS = 8,
    CANCELLERS = 4,
    REQUESTS = 500 /* of each canceller, times the scale */
};

static struct sy_cluster *cluster;
static struct sy_router *router;
static _Atomic bool stop;
static _Atomic unsigned sent, cancelled, finished, wrong, bystander_statements;
static struct {
    _Atomic uint64_t key; /* pid and key of the victim, 0: not connected */
} victims[VICTIMS];

static unsigned scale(void)
{
    const char *text = getenv("SY_ATTACK_SCALE");
    return text == NULL ? 1 : (unsigned)strtoul(text, NULL, 10);
}

/* One statement; what it answered. Anything else than the row wanted or a cancel is wrong. */
static void one_statement(struct raw *raw, unsigned number, bool may_be_cancelled)
{
    char sql[96], wanted[64];
    unsigned sleep_us = number % 7 == 0 ? 2000 : 0;
    snprintf(sql, sizeof(sql), "select %u, pg_sleep(%u * 0.000001)", number, sleep_us);
    snprintf(wanted, sizeof(wanted), "TDCZ(I)");
    sy_buf_clear(&raw->received);
    raw_query(raw, sql);
    bool complete = raw_read(raw, 'Z', 20000);
    struct sy_buf copy = {0}, text = {0};
    sy_buf_append(&copy, raw->received.data, raw->received.bytes);
    raw_describe(raw, &text);
    sy_buf_append_u8(&text, 0);
    char digits[16];
    int length = snprintf(digits, sizeof(digits), "%u", number);
    if (complete && strcmp(text.data, wanted) == 0 &&
        memmem(copy.data, copy.bytes, digits, (size_t)length) != NULL)
        atomic_fetch_add(&finished, 1);
    else if (complete && may_be_cancelled && strcmp(text.data, "TE(ERROR,57014)Z(I)") == 0)
        atomic_fetch_add(&cancelled, 1);
    else if (complete && may_be_cancelled && strcmp(text.data, "E(ERROR,57014)Z(I)") == 0)
        atomic_fetch_add(&cancelled, 1);
    else {
        atomic_fetch_add(&wrong, 1);
        fprintf(stderr, "%s: \"%s\" answered %s\n", may_be_cancelled ? "victim" : "bystander", sql,
                text.data);
    }
    sy_buf_release(&copy);
    sy_buf_release(&text);
}

static void *victim(void *arg)
{
    size_t index = (size_t)(uintptr_t)arg;
    struct raw raw;
    if (!raw_login(&raw, sy_router_port(router), "postgres", "app"))
        abort();
    atomic_store(&victims[index].key, (uint64_t)raw.pid << 32 | raw.key);
    for (unsigned number = 1000; !stop; number++)
        one_statement(&raw, number, true);
    raw_close(&raw);
    return NULL;
}

static void *bystander(void *arg)
{
    struct raw raw;
    if (!raw_login(&raw, sy_router_port(router), "postgres", "app"))
        abort();
    for (unsigned number = 1000 + 7 * (unsigned)(uintptr_t)arg; !stop; number++) {
        one_statement(&raw, number, false);
        atomic_fetch_add(&bystander_statements, 1);
    }
    raw_close(&raw);
    return NULL;
}

/* A third of the requests carry a key that is wrong by one bit, or the process number of nobody. */
static void *canceller(void *arg)
{
    unsigned seed = 7919u * ((unsigned)(uintptr_t)arg + 1);
    for (unsigned i = 0; i < REQUESTS * scale(); i++) {
        uint64_t key = atomic_load(&victims[(unsigned)rand_r(&seed) % VICTIMS].key);
        if (i % 3 == 2)
            key ^= 1ull << ((unsigned)rand_r(&seed) % 63);
        struct raw raw;
        if (key == 0 || !raw_open(&raw, sy_router_port(router)))
            continue;
        struct sy_buf packet = {0};
        sy_buf_append_u32(&packet, 16);
        sy_buf_append_u32(&packet, 80877102);
        sy_buf_append_u64(&packet, key);
        raw_send(&raw, packet.data, packet.bytes);
        sy_buf_release(&packet);
        if (i % 2 == 0)
            (void)raw_read(&raw, 0, 2000); /* until the router closes; the others do not wait */
        raw_close(&raw);
        atomic_fetch_add(&sent, 1);
    }
    return NULL;
}

static void cancels_reach_only_their_owner(void **state)
{
    (void)state;
    pthread_t threads[VICTIMS + BYSTANDERS], cancellers[CANCELLERS];
    for (size_t i = 0; i < VICTIMS + BYSTANDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < VICTIMS ? victim : bystander,
                                        (void *)(uintptr_t)(i < VICTIMS ? i : i - VICTIMS)),
                         0);
    for (size_t i = 0; i < VICTIMS; i++)
        while (atomic_load(&victims[i].key) == 0)
            sched_yield();
    for (size_t i = 0; i < CANCELLERS; i++)
        assert_int_equal(pthread_create(&cancellers[i], NULL, canceller, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < CANCELLERS; i++)
        pthread_join(cancellers[i], NULL);
    atomic_store(&stop, true);
    for (size_t i = 0; i < VICTIMS + BYSTANDERS; i++)
        pthread_join(threads[i], NULL);
    print_message(
        "%u cancel requests, %u statements cancelled, %u finished (%u of bystanders), %u wrong\n",
        sent, cancelled, finished, bystander_statements, wrong);
    assert_int_equal(wrong, 0);
    assert_true(cancelled > 0);
}

int main(void)
{
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "cancels"});
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    char databases[512];
    snprintf(
        databases, sizeof(databases),
        "{ name = \"app\"; engine = \"postgres\"; pool = { size = 6; };\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=app "
        "user=postgres\"; } ); } ); } );",
        (unsigned)sy_cluster_port(cluster, 0));
    router = sy_router_start(databases, NULL, NULL);
    const struct CMUnitTest tests[] = {cmocka_unit_test(cancels_reach_only_their_owner)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
