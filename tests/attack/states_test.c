/*
 * Framing cannot be confused: every message type, well formed, empty, with rubbish and with a lying
 * length, in every state of a client, sent to the router and to PostgreSQL itself. What comes back
 * (message types, severity and SQLSTATE of errors, the transaction status, whether the connection
 * is closed) is the same, and so is what follows.
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

#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

/* Whoever waits for the rest of a message is silent: that is what it is taken for after QUIET_MS.
 */
enum { AT_A_TIME = 24, QUIET_MS = 600, PATIENT_MS = 5000 };

/* ---- states ---- */

enum state {
    STARTUP,
    AUTH,
    IDLE,
    TXN,
    FAILED,
    BATCH,
    SKIPPING,
    COPY_IN,
    COPY_IN_EXTENDED,
    COPY_OUT,
    STATE_COUNT
};

static const char *const state_names[STATE_COUNT] = {"startup",
                                                     "auth",
                                                     "idle",
                                                     "in transaction",
                                                     "failed transaction",
                                                     "extended batch",
                                                     "error until Sync",
                                                     "copy in",
                                                     "copy in, extended",
                                                     "copy out"};

static bool enter_state(struct raw *raw, enum state state, uint16_t port)
{
    if (state == STARTUP)
        return raw_open(raw, port);
    if (state == AUTH) {
        if (!raw_open(raw, port))
            return false;
        raw_startup_packet(raw, "scrammy", "app");
        bool asked = raw_read(raw, 'R', 5000);
        sy_buf_clear(&raw->received);
        return asked;
    }
    if (!raw_login(raw, port, "postgres", "app"))
        return false;
    static const char *const statements[STATE_COUNT] = {
        [TXN] = "begin; insert into t values (1)",
        [FAILED] = "begin; select 1/0",
        [COPY_IN] = "copy t from stdin",
        [COPY_OUT] = "copy (select generate_series(1, 3000)) to stdout"};
    if (statements[state] != NULL)
        raw_query(raw, statements[state]);
    bool good = true;
    if (state == TXN || state == FAILED)
        good = raw_read(raw, 'Z', 5000);
    if (state == COPY_IN)
        good = raw_read(raw, 'G', 5000);
    if (state == BATCH)
        raw_extended(raw, "select 7");
    if (state == SKIPPING)
        raw_extended(raw, "select nosuch");
    if (state == COPY_IN_EXTENDED) {
        raw_extended(raw, "copy t from stdin");
        raw_message(raw, 'H', "", 0);
        good = raw_read(raw, 'G', 5000);
    }
    if (state != COPY_OUT)
        sy_buf_clear(&raw->received);
    return good;
}

/* ---- messages ---- */

struct attack {
    char label[48];
    char bytes[96];
    size_t count;
};

static void add(struct attack *attack, const char *label, char type, uint32_t length,
                const void *body, size_t bytes)
{
    snprintf(attack->label, sizeof(attack->label), "%s '%c' (%d)", label,
             type > 32 && type < 127 ? type : '.', (unsigned char)type);
    attack->bytes[0] = type;
    for (int i = 0; i < 4; i++)
        attack->bytes[1 + i] = (char)(length >> (24 - 8 * i));
    memcpy(attack->bytes + 5, body, bytes);
    attack->count = 5 + bytes;
}

static const struct {
    char type;
    const char *body;
    size_t bytes;
} formed[] = {{'Q', "select 5", 9},
              {'Q', "", 1},
              {'Q', "commit", 7},
              {'P', "\0select 6\0\0\0", 12},
              {'P', "n\0select $1::int\0\0\1\0\0\0\x17", 23},
              {'B', "\0\0\0\0\0\0\0\0", 8},
              {'B', "x\0nosuch\0\0\0\0\0\0\0", 15},
              {'D', "S\0", 2},
              {'D', "P\0", 2},
              {'D', "Pnosuch\0", 8},
              {'D', "X\0", 2},
              {'E', "\0\0\0\0\0", 5},
              {'E', "nosuch\0\0\0\0\0", 11},
              {'C', "S\0", 2},
              {'C', "Pnosuch\0", 8},
              {'C', "Z\0", 2},
              {'H', "", 0},
              {'S', "", 0},
              {'d', "1\tx\n", 4},
              {'d', "rubbish\n", 8},
              {'c', "", 0},
              {'f', "stop", 5},
              {'X', "", 0},
              {'F', "\0\0\0\0\0\0\0\0\0\0", 10},
              {'p', "secret", 7},
              {'p', "SCRAM-SHA-256\0\0\0\0\0", 18}};

static struct attack attacks[400];
static size_t attack_count;

static void make_attacks(void)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof(formed) / sizeof(formed[0]); i++)
        add(&attacks[n++], "formed", formed[i].type, (uint32_t)formed[i].bytes + 4, formed[i].body,
            formed[i].bytes);
    for (int type = 0; type < 128; type += type < 64 || type > 126 ? 9 : 1)
        add(&attacks[n++], "empty", (char)type, 4, "", 0);
    static const char letters[] = "QPBDECHSdcfFp";
    for (const char *type = letters; *type != 0; type++) {
        add(&attacks[n++], "rubbish", *type, 12, "\xff\xff\xff\xff\x80\x01\xff\xff", 8);
        add(&attacks[n++], "long", *type, 0x7fffffff, "abc", 3);
        add(&attacks[n++], "negative", *type, 0x80000000u, "abc", 3);
        add(&attacks[n++], "length 3", *type, 3, "abc", 3);
        add(&attacks[n++], "length 0", *type, 0, "abc", 3);
        add(&attacks[n++], "no end", *type, 12, "abcdefgh", 8);
    }
    attack_count = n;
}

/* ---- one state ---- */

/* In every state but those before the login this ends whatever is going on and gets one more
 * answer. */
static void probe(struct raw *raw, enum state state)
{
    if (state < IDLE)
        return;
    raw_message(raw, 'f', "stop", 5);
    raw_message(raw, 'S', "", 0);
    raw_query(raw, "select 42");
    raw_message(raw, 'X', "", 0);
}

/* What both peers do with a run of attacks, all at the same time: the waits overlap. */
static void collect(enum state state, uint16_t port, size_t from, size_t to, int quiet_ms,
                    char outcomes[][256])
{
    struct raw raws[AT_A_TIME];
    for (size_t i = from; i < to; i++) {
        struct raw *raw = &raws[i - from];
        if (!enter_state(raw, state, port))
            fail_msg("cannot enter the state \"%s\"", state_names[state]);
        raw_send(raw, attacks[i].bytes, attacks[i].count);
        probe(raw, state);
    }
    uint64_t end = raw_now_ms() + (uint64_t)quiet_ms;
    for (size_t i = from; i < to; i++) {
        struct raw *raw = &raws[i - from];
        struct sy_buf text = {0};
        uint64_t now = raw_now_ms();
        (void)raw_read(raw, 0, now < end ? (int)(end - now) : 1);
        raw_describe(raw, &text);
        snprintf(outcomes[i - from], 256, "%.*s", (int)text.bytes,
                 text.data == NULL ? "" : text.data);
        sy_buf_release(&text);
        raw_close(raw);
    }
}

/* Where the router differs on purpose. `type` 0: any message; the texts are the beginnings of what
 * both say. */
static const struct {
    enum state state;
    char type;
    const char *router_says, *server_says, *why;
} deviations[] = {
    {AUTH, 'p', "E(FATAL,08P01)!", "E(FATAL,28P01)!",
     "a password message that cannot be read is a broken protocol"},
    {COPY_IN, 'X', "!", "E(ERROR,08P01)E(FATAL,08P01)!", "Terminate ends a COPY without a word"},
    {COPY_IN_EXTENDED, 'X', "!", "E(ERROR,08P01)E(FATAL,08P01)!",
     "Terminate ends a COPY without a word"},
    {FAILED, 'P', "1Z(E)", "E(ERROR,25P02)Z(E)",
     "ParseComplete is told before a server sees the statement"},
};

static bool is_deviation(enum state state, char type, const char *router_says,
                         const char *server_says)
{
    for (size_t i = 0; i < sizeof(deviations) / sizeof(deviations[0]); i++)
        if (deviations[i].state == state &&
            (deviations[i].type == type || deviations[i].type == 0) &&
            strncmp(router_says, deviations[i].router_says, strlen(deviations[i].router_says)) ==
                0 &&
            strncmp(server_says, deviations[i].server_says, strlen(deviations[i].server_says)) == 0)
            return true;
    return false;
}

/* How a connection ended that did not get to the probe: "E(FATAL,xxxxx)!" or "!"; NULL: it got
 * there, or lives on. */
static const char *violent_end(const char *says)
{
    size_t bytes = strlen(says);
    const char *fatal = strstr(says, "E(FATAL");
    if (fatal != NULL)
        return fatal;
    return bytes > 0 && says[bytes - 1] == '!' && strstr(says, "TDCZ") == NULL &&
                   strstr(says, "25P02)Z") == NULL
               ? says + bytes - 1
               : NULL;
}

static bool same(enum state state, char type, const char *router_says, const char *server_says)
{
    if (state == SKIPPING && strncmp(router_says, "1E", 2) == 0)
        router_says++; /* ParseComplete is told before a server sees the statement */
    if (strcmp(router_says, server_says) == 0)
        return true;
    /* When the connection ends by force, what was under way is not answered any more by either:
     * only the end counts. */
    const char *ours = violent_end(router_says), *theirs = violent_end(server_says);
    if (ours != NULL && theirs != NULL && strcmp(ours, theirs) == 0)
        return true;
    return is_deviation(state, type, router_says, server_says);
}

static void answers_in_state(enum state state)
{
    unsigned different = 0;
    static char ours[AT_A_TIME][256], theirs[AT_A_TIME][256];
    for (size_t from = 0; from < attack_count; from += AT_A_TIME) {
        size_t to = from + AT_A_TIME < attack_count ? from + AT_A_TIME : attack_count;
        collect(state, sy_cluster_port(cluster, 0), from, to, QUIET_MS, theirs);
        collect(state, sy_router_port(router), from, to, QUIET_MS, ours);
        for (size_t i = from; i < to; i++) {
            if (same(state, attacks[i].bytes[0], ours[i - from], theirs[i - from]))
                continue;
            collect(state, sy_cluster_port(cluster, 0), i, i + 1, PATIENT_MS,
                    &theirs[i - from]); /* or only slow? */
            collect(state, sy_router_port(router), i, i + 1, PATIENT_MS, &ours[i - from]);
            if (same(state, attacks[i].bytes[0], ours[i - from], theirs[i - from]))
                continue;
            different++;
            print_message("%s, %s: router %s, PostgreSQL %s\n", state_names[state],
                          attacks[i].label, ours[i - from], theirs[i - from]);
        }
    }
    print_message("%s: %zu messages compared, %u differences\n", state_names[state], attack_count,
                  different);
    assert_int_equal(different, 0);
}

static void answers_alike(void **state)
{
    answers_in_state((enum state)(uintptr_t)*state);
}

int main(void)
{
    cluster = sy_cluster_start(&(struct sy_cluster_options){
        .name = "states", .hba_method = "scram-sha-256", .conf = "max_connections = 200\n"});
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    sy_cluster_sql(cluster, 0, "app", "create table t (a int, b text)");
    sy_cluster_sql(cluster, 0, "app", "create role scrammy login password 'secret'");
    char databases[512];
    snprintf(
        databases, sizeof(databases),
        "{ name = \"app\"; engine = \"postgres\"; pool = { size = 60; };\n"
        "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=app "
        "user=postgres\"; } ); } ); } );",
        (unsigned)sy_cluster_port(cluster, 0));
    router = sy_router_start(
        databases,
        "users = ( { name = \"postgres\"; }, { name = \"scrammy\"; password = \"secret\"; } );\n"
        "auth = ( { address = \"127.0.0.1/32\"; user = \"postgres\"; method = \"trust\"; },\n"
        "         { address = \"127.0.0.1/32\"; method = \"scram-sha-256\"; } );\n",
        NULL);
    make_attacks();
    struct CMUnitTest tests[STATE_COUNT];
    for (uintptr_t i = 0; i < STATE_COUNT; i++)
        tests[i] = (struct CMUnitTest){
            .name = state_names[i], .test_func = answers_alike, .initial_state = (void *)i};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
