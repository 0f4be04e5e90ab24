/*
 * Promise: the router logs in to real PostgreSQL servers by every method they offer, encrypted or
 * not, on both loops; passes bytes through; cancels; and ends with the server's own error, or a
 * clear one, when it cannot.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/auth/hash_pool.h"
#include "router/engine/engine.h"
#include "router/engine/parameters.h"
#include "router/topology/topology.h"
#include "router/wire/message.h"
#include "tests/harness/cluster.h"
#include "tests/harness/fault_proxy.h"
#include "tests/harness/topology.h"

enum { TURN_MS = 10, PATIENCE_MS = 20000 };

static struct sy_cluster *plain, *tls;

static const char *const passwords_sql =
    "set password_encryption = 'scram-sha-256'; create role scram_user login password 'sec ret';"
    "set password_encryption = 'md5'; create role md5_user login password 'sec ret';"
    "create role trust_user login; create role nossl_user login; create database app;";
static const char *const rules =
    "host all trust_user 127.0.0.1/32 trust\nhostnossl all nossl_user 127.0.0.1/32 trust\nhost all "
    "md5_user 127.0.0.1/32 md5\n"
    "host app scram_user 127.0.0.1/32 scram-sha-256\nhost postgres scram_user 127.0.0.1/32 "
    "password\n"
    "host nothere scram_user 127.0.0.1/32 scram-sha-256\n";

/* ---- a link under test ---- */

struct probe {
    struct sy_loop *loop;
    struct sy_topology *topology;
    struct sy_link *link;
    bool opened, closed, canceled;
    struct sy_err why;
    bool have_why;
    uint64_t bytes;
    char tail[256]; /* the last bytes received */
    uint32_t pause_left;
};

static void on_opened(struct sy_link *link)
{
    ((struct probe *)link->owner)->opened = true;
}

static void on_data(struct sy_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct probe *probe = link->owner;
    probe->bytes += to - from;
    for (uint32_t i = from; i < to; i++) {
        memmove(probe->tail, probe->tail + 1, sizeof(probe->tail) - 1);
        probe->tail[sizeof(probe->tail) - 1] = chunk->data[i];
    }
    if (probe->pause_left != 0) {
        probe->pause_left--;
        link->engine->pause(link);
    }
}

static void on_closed(struct sy_link *link, const struct sy_err *why)
{
    struct probe *probe = link->owner;
    probe->closed = true;
    probe->link = NULL;
    probe->have_why = why != NULL;
    if (why != NULL)
        probe->why = *why;
}

static const struct sy_link_events events = {
    .opened = on_opened, .data = on_data, .closed = on_closed};

static void on_canceled(void *ctx)
{
    ((struct probe *)ctx)->canceled = true;
}

static void turn_until(struct probe *probe, const bool *condition)
{
    struct sy_err err = {0};
    for (int i = 0; i < PATIENCE_MS / TURN_MS && !*condition; i++)
        assert_int_equal(sy_loop_turn(probe->loop, TURN_MS, &err), SY_OK);
    assert_true(*condition);
}

static void turn(struct probe *probe, int times)
{
    struct sy_err err = {0};
    for (int i = 0; i < times; i++)
        assert_int_equal(sy_loop_turn(probe->loop, TURN_MS, &err), SY_OK);
}

static bool seen(const struct probe *probe, const char *text)
{
    return memmem(probe->tail, sizeof(probe->tail), text, strlen(text)) != NULL;
}

static struct sy_topology *topology_of(const char *conninfo)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "databases = ( { name = \"app\"; engine = \"postgres\"; shards = ( { name = \"s0\";"
             " nodes = ( { conninfo = \"%s\"; } ); } ); } );",
             conninfo);
    return topology_of_text(text, NULL);
}

static enum sy_loop_kind loop_kind = SY_LOOP_AUTO;

static void probe_init(struct probe *probe, const char *conninfo)
{
    struct sy_err err = {0};
    memset(probe, 0, sizeof(*probe));
    struct sy_loop_options options = {.kind = loop_kind};
    assert_int_equal(sy_loop_new(&options, &probe->loop, &err), SY_OK);
    probe->topology = topology_of(conninfo);
}

static const struct sy_link_keys *keys; /* of the user, given instead of a password */

static void probe_open(struct probe *probe, const char *user, const char *password)
{
    struct sy_err err = {0};
    struct sy_link_target target = {
        .node = probe->topology->databases[0].shards[0].nodes[0],
        .user = sy_slice_of(user),
        .password = sy_slice_of(password),
        .keys = keys,
        .connect_timeout_us = 5000000,
    };
    probe->opened = probe->closed = false;
    if (sy_engine_postgres()->open(probe->loop, &target, &events, probe, &probe->link, &err) !=
        SY_OK)
        fail_msg("%s", err.text);
}

/* The hash pool posts to loops; one is freed when its threads are gone. */
enum { RETIRED_MAX = 512 };
static struct sy_loop *retired[RETIRED_MAX];
static unsigned retired_count;

static void probe_release(struct probe *probe)
{
    if (probe->link != NULL) {
        sy_engine_postgres()->close(probe->link);
        turn_until(probe, &probe->closed);
    }
    sy_topology_unref(&probe->topology);
    assert_true(retired_count < RETIRED_MAX);
    retired[retired_count++] = probe->loop;
}

static void query(struct probe *probe, const char *sql)
{
    struct sy_buf out = {0};
    sy_write_query(&out, sy_slice_of(sql));
    probe->link->engine->send_copy(probe->link, out.data, out.bytes);
    sy_buf_release(&out);
}

static void expect_answer(struct probe *probe, const char *sql, const char *text)
{
    memset(probe->tail, 0, sizeof(probe->tail));
    query(probe, sql);
    for (int i = 0; i < PATIENCE_MS / TURN_MS && !seen(probe, text) && !probe->closed; i++)
        turn(probe, 1);
    assert_true(seen(probe, text));
}

static void expect_refused(struct probe *probe, const char *sqlstate, const char *text)
{
    turn_until(probe, &probe->closed);
    assert_false(probe->opened);
    assert_true(probe->have_why);
    print_message("  %s %s\n", sy_err_sqlstate(&probe->why), probe->why.text);
    assert_string_equal(sy_err_sqlstate(&probe->why), sqlstate);
    assert_non_null(strstr(probe->why.text, text));
}

static const char *conninfo_of(const struct sy_cluster *cluster, const char *host, const char *rest)
{
    static char text[512];
    snprintf(text, sizeof(text), "host=%s port=%u %s", host, sy_cluster_port(cluster, 0), rest);
    return text;
}

/* ---- logging in ---- */

static void logs_in_by_every_method(void **state)
{
    (void)state;
    static const struct {
        bool tls;
        const char *host, *rest, *user, *password, *encrypted;
    } rows[] = {
        {false, "127.0.0.1", "dbname=app", "trust_user", "", "f"},
        {false, "localhost", "dbname=app", "trust_user", "", "f"},
        {false, "127.0.0.1", "dbname=app", "md5_user", "sec ret", "f"},
        {false, "127.0.0.1", "dbname=app", "scram_user", "sec ret", "f"},
        {false, "127.0.0.1", "dbname=postgres", "scram_user", "sec ret", "f"},
        {true, "127.0.0.1", "dbname=app", "trust_user", "", "t"},
        {true, "127.0.0.1", "dbname=app sslmode=disable", "trust_user", "", "f"},
        {true, "127.0.0.1", "dbname=app", "nossl_user", "", "f"}, /* refused with TLS */
        {true, "127.0.0.1", "dbname=app sslmode=require", "md5_user", "sec ret", "t"},
        {true, "127.0.0.1", "dbname=app sslmode=require", "scram_user", "sec ret", "t"},
        {true, "127.0.0.1", "dbname=app sslmode=require channel_binding=require", "scram_user",
         "sec ret", "t"},
        {true, "127.0.0.1", "dbname=app sslmode=require channel_binding=disable", "scram_user",
         "sec ret", "t"},
        {true, "localhost", "dbname=app sslmode=verify-full sslrootcert=%s/ca.crt", "scram_user",
         "sec ret", "t"},
        {true, "127.0.0.1", "dbname=app sslmode=verify-full sslrootcert=%s/ca.crt", "scram_user",
         "sec ret", "t"},
        {true, "wrong.example",
         "hostaddr=127.0.0.1 dbname=app sslmode=verify-ca sslrootcert=%s/ca.crt", "scram_user",
         "sec ret", "t"},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sy_cluster *cluster = rows[i].tls ? tls : plain;
        char rest[400], answer[8] = {0, 0, 0, 1, rows[i].encrypted[0]};
        struct probe probe;
        (void)answer;
        const char *mark = strstr(rows[i].rest, "%s");
        snprintf(rest, sizeof(rest), "%.*s%s%s", mark != NULL ? (int)(mark - rows[i].rest) : 300,
                 rows[i].rest, mark != NULL ? sy_cluster_dir(cluster) : "",
                 mark != NULL ? mark + 2 : "");
        print_message("%s %s as %s\n", rows[i].host, rest, rows[i].user);
        probe_init(&probe, conninfo_of(cluster, rows[i].host, rest));
        probe_open(&probe, rows[i].user, rows[i].password);
        for (int j = 0; j < PATIENCE_MS / TURN_MS && !probe.opened && !probe.closed; j++)
            turn(&probe, 1);
        if (!probe.opened)
            fail_msg("%s", probe.why.text);
        assert_true(probe.link->backend_pid != 0);
        assert_true(
            sy_slice_eq(sy_parameters_get(probe.link->parameters, SY_SLICE("client_encoding")),
                        SY_SLICE("UTF8")));
        char expected[32];
        snprintf(expected, sizeof(expected), "tls=%s", rows[i].encrypted);
        expect_answer(&probe,
                      "select 'tls=' || case when ssl then 't' else 'f' end from pg_stat_ssl where "
                      "pid = pg_backend_pid()",
                      expected);
        expect_answer(
            &probe,
            "select 'user=' || current_user || ' app=' || current_setting('application_name')",
            "app=switchyard");
        probe_release(&probe);
    }
}

static void logs_in_over_a_unix_socket(void **state)
{
    (void)state;
    struct probe probe;
    probe_init(&probe, conninfo_of(plain, sy_cluster_dir(plain), "dbname=app sslmode=verify-full"));
    probe_open(&probe, "postgres", "");
    turn_until(&probe, &probe.opened);
    expect_answer(&probe, "select 'addr=' || coalesce(inet_client_addr()::text, 'none')",
                  "addr=none");
    probe_release(&probe);
}

static void tells_why_a_login_failed(void **state)
{
    (void)state;
    static const struct {
        bool tls;
        const char *host, *rest, *user, *password, *sqlstate, *text;
    } rows[] = {
        {false, "127.0.0.1", "dbname=app", "scram_user", "wrong", "28P01",
         "password authentication failed"},
        {false, "127.0.0.1", "dbname=app", "md5_user", "wrong", "28P01",
         "password authentication failed"},
        {false, "127.0.0.1", "dbname=app", "scram_user", "", "28P01", "none is known"},
        {false, "127.0.0.1", "dbname=nothere", "trust_user", "", "3D000",
         "database \"nothere\" does not exist"},
        {false, "127.0.0.1", "dbname=app", "stranger", "", "28000", "no pg_hba.conf entry"},
        {false, "127.0.0.1", "dbname=app sslmode=require", "trust_user", "", "08001",
         "does not support TLS"},
        {false, "127.0.0.1", "dbname=app channel_binding=require", "scram_user", "sec ret", "28000",
         "channel binding is required"},
        {true, "127.0.0.1", "dbname=app sslmode=require channel_binding=require", "trust_user", "",
         "28000", "channel binding is required"},
        {true, "wrong.example",
         "hostaddr=127.0.0.1 dbname=app sslmode=verify-full sslrootcert=%s/ca.crt", "trust_user",
         "", "08001", "wrong.example"},
        {true, "127.0.0.1",
         "dbname=app sslmode=verify-full sslrootcert=/etc/ssl/certs/ca-certificates.crt",
         "trust_user", "", "08001", "certificate"},
        {true, "127.0.0.1", "dbname=app sslmode=verify-ca sslrootcert=/nowhere.crt", "trust_user",
         "", "08001", "/nowhere.crt"},
        {false, "no-such-host.invalid", "dbname=app sslmode=disable", "trust_user", "", "08001",
         "no-such-host.invalid"},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sy_cluster *cluster = rows[i].tls ? tls : plain;
        char rest[400];
        struct probe probe;
        const char *mark = strstr(rows[i].rest, "%s");
        snprintf(rest, sizeof(rest), "%.*s%s%s", mark != NULL ? (int)(mark - rows[i].rest) : 300,
                 rows[i].rest, mark != NULL ? sy_cluster_dir(cluster) : "",
                 mark != NULL ? mark + 2 : "");
        print_message("%s %s as %s\n", rows[i].host, rest, rows[i].user);
        probe_init(&probe, conninfo_of(cluster, rows[i].host, rest));
        probe_open(&probe, rows[i].user, rows[i].password);
        expect_refused(&probe, rows[i].sqlstate, rows[i].text);
        probe_release(&probe);
    }
}

/* What the server has stored for the user, and the client key that only a login shows. */
static void keys_of(const struct sy_cluster *cluster, const char *user, const char *password,
                    struct sy_link_keys *ret_keys)
{
    char sql[128];
    struct sy_scram_secret secret;
    snprintf(sql, sizeof(sql), "select rolpassword from pg_authid where rolname = '%s'", user);
    const char *text = sy_cluster_value(cluster, 0, "postgres", sql);
    assert_int_equal(sy_scram_secret_parse(sy_slice_of(text), &secret, NULL), SY_OK);
    *ret_keys =
        (struct sy_link_keys){.salt_bytes = secret.salt_bytes, .iterations = secret.iterations};
    memcpy(ret_keys->salt, secret.salt, secret.salt_bytes);
    assert_int_equal(sy_scram_derive_keys(sy_slice_of(password), secret.salt, secret.salt_bytes,
                                          secret.iterations, ret_keys->client_key,
                                          ret_keys->server_key, NULL),
                     SY_OK);
}

static void a_clients_keys_are_as_good_as_its_password(void **state)
{
    (void)state;
    static const struct {
        bool tls;
        const char *rest;
    } rows[] = {
        {false, "dbname=app"},
        {true, "dbname=app sslmode=require channel_binding=require"},
        {true, "dbname=app sslmode=require channel_binding=disable"},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sy_cluster *cluster = rows[i].tls ? tls : plain;
        struct sy_link_keys good, other;
        struct probe probe;
        print_message("%s\n", rows[i].rest);
        keys_of(cluster, "scram_user", "sec ret", &good);
        keys = &good;
        probe_init(&probe, conninfo_of(cluster, "127.0.0.1", rows[i].rest));
        probe_open(&probe, "scram_user", "");
        turn_until(&probe, &probe.opened);
        expect_answer(&probe, "select 'user=' || current_user", "user=scram_user");
        probe_release(&probe);
        other = good; /* of another password */
        other.client_key[0] ^= 1;
        keys = &other;
        probe_init(&probe, conninfo_of(cluster, "127.0.0.1", rows[i].rest));
        probe_open(&probe, "scram_user", "");
        expect_refused(&probe, "28P01", "password authentication failed");
        probe_release(&probe);
        other = good; /* the server does not know what it should */
        other.server_key[0] ^= 1;
        probe_init(&probe, conninfo_of(cluster, "127.0.0.1", rows[i].rest));
        probe_open(&probe, "scram_user", "");
        turn_until(&probe, &probe.closed);
        assert_false(probe.opened);
        probe_release(&probe);
        other = good; /* of another secret of the same password */
        other.salt[0] ^= 1;
        probe_init(&probe, conninfo_of(cluster, "127.0.0.1", rows[i].rest));
        probe_open(&probe, "scram_user", "");
        expect_refused(&probe, "28P01", "is not the one that node s0/0 has");
        probe_release(&probe);
        /* A password that is given counts. */
        probe_init(&probe, conninfo_of(cluster, "127.0.0.1", rows[i].rest));
        probe_open(&probe, "scram_user", "sec ret");
        turn_until(&probe, &probe.opened);
        probe_release(&probe);
        keys = NULL;
    }
}

static void says_when_nobody_listens(void **state)
{
    (void)state;
    struct probe probe;
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=app", sy_free_port());
    probe_init(&probe, conninfo);
    probe_open(&probe, "trust_user", "");
    expect_refused(&probe, "08001", "Connection refused");
    probe_release(&probe);
}

static void gives_up_on_a_server_that_never_answers(void **state)
{
    (void)state;
    struct sy_fault_proxy *proxy = sy_fault_proxy_start(sy_cluster_port(plain, 0));
    sy_fault_proxy_set(proxy, SY_FAULT_BLACKHOLE, 0);
    struct probe probe;
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=app",
             sy_fault_proxy_port(proxy));
    probe_init(&probe, conninfo);
    probe_open(&probe, "trust_user", "");
    expect_refused(&probe, "08001", "took longer than 5000 ms");
    probe_release(&probe);
    sy_fault_proxy_stop(&proxy);
}

/* ---- open links ---- */

static void passes_a_large_result_and_pauses(void **state)
{
    (void)state;
    struct probe probe;
    probe_init(&probe, conninfo_of(plain, "127.0.0.1", "dbname=app"));
    probe_open(&probe, "trust_user", "");
    turn_until(&probe, &probe.opened);
    probe.pause_left = 1;
    query(&probe, "select repeat('x', 1000) from generate_series(1, 20000)");
    turn(&probe, 20);
    uint64_t held = probe.bytes;
    assert_true(held > 0 && held < 4000000);
    turn(&probe, 10);
    assert_int_equal(probe.bytes, held); /* nothing while paused */
    probe.link->engine->resume(probe.link);
    for (int i = 0; i < PATIENCE_MS / TURN_MS && !seen(&probe, "SELECT 20000"); i++)
        turn(&probe, 1);
    assert_true(probe.bytes > 20000 * 1000);
    probe_release(&probe);
}

static void cancels_what_runs(void **state)
{
    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        struct probe probe;
        probe_init(&probe, conninfo_of(encrypted ? tls : plain, "127.0.0.1", "dbname=app"));
        probe_open(&probe, "trust_user", "");
        turn_until(&probe, &probe.opened);
        query(&probe, "select pg_sleep(60)");
        turn(&probe, 20);
        probe.link->engine->cancel(probe.link, on_canceled, &probe);
        assert_false(probe.canceled); /* never inside the call */
        turn_until(&probe, &probe.canceled);
        for (int i = 0; i < PATIENCE_MS / TURN_MS && !seen(&probe, "57014"); i++)
            turn(&probe, 1);
        assert_true(seen(&probe, "57014"));
        expect_answer(&probe, "select 'still ' || 'here'", "still here");
        probe_release(&probe);
    }
}

static void tells_when_the_connection_is_lost(void **state)
{
    (void)state;
    struct sy_fault_proxy *proxy = sy_fault_proxy_start(sy_cluster_port(plain, 0));
    struct probe probe;
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=app",
             sy_fault_proxy_port(proxy));
    probe_init(&probe, conninfo);
    probe_open(&probe, "trust_user", "");
    turn_until(&probe, &probe.opened);
    sy_fault_proxy_set(proxy, SY_FAULT_CUT, 0);
    turn_until(&probe, &probe.closed);
    assert_true(probe.have_why);
    assert_string_equal(sy_err_sqlstate(&probe.why), "08006");
    probe_release(&probe);
    sy_fault_proxy_stop(&proxy);
}

/* A close may come at any moment of a login; nothing may leak or be touched afterwards. */
static void closes_at_any_moment(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct probe probe;
        probe_init(&probe, conninfo_of(turns % 2 != 0 ? tls : plain,
                                       turns % 3 != 0 ? "127.0.0.1" : "localhost", "dbname=app"));
        probe_open(&probe, "scram_user", "sec ret");
        struct sy_err err = {0};
        for (int i = 0; i < turns; i++)
            assert_int_equal(sy_loop_turn(probe.loop, 1, &err), SY_OK);
        probe_release(&probe);
        assert_true(probe.closed);
    }
}

/* ---- hostile servers ---- */

struct script {
    int listener;
    const char *data;
    size_t bytes;
    bool answers_ssl; /* reads the SSLRequest and answers N first */
};

static void *serve_script(void *argument)
{
    const struct script *script = argument;
    char buffer[4096];
    int fd = accept(script->listener, NULL, NULL);
    if (fd < 0)
        return NULL;
    if (script->answers_ssl) {
        (void)!read(fd, buffer, sizeof(buffer));
        (void)!write(fd, "N", 1);
    }
    (void)!read(fd, buffer, sizeof(buffer));
    size_t done = 0;
    while (done < script->bytes) {
        ssize_t sent = send(fd, script->data + done, script->bytes - done, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        done += (size_t)sent;
    }
    while (read(fd, buffer, sizeof(buffer)) > 0)
        ;
    close(fd);
    return NULL;
}

#define BYTES(text) (text), sizeof(text) - 1

static const struct hostile {
    const char *label, *mode, *data;
    size_t bytes;
    bool answers_ssl;
    const char *sqlstate, *text;
} hostile[] = {
    {"a length of 2 GiB", "disable", BYTES("R\x7f\xff\xff\xff\0\0\0\0"), false, "08P01",
     "impossible length"},
    {"a length of 0", "disable", BYTES("R\0\0\0\0"), false, "08P01", "impossible length"},
    {"a length over the limit", "disable", BYTES("R\0\0\x27\x11"), false, "08P01",
     "impossible length"},
    {"data before authentication", "disable", BYTES("D\0\0\0\6\0\0"), false, "08P01",
     "unexpected message"},
    {"ReadyForQuery before authentication", "disable", BYTES("Z\0\0\0\5I"), false, "08P01",
     "unexpected"},
    {"SASLContinue first", "disable",
     BYTES("R\0\0\0\x0c\0\0\0\x0b"
           "abcd"),
     false, "08P01", "out of order"},
    {"SASLFinal first", "disable",
     BYTES("R\0\0\0\x0c\0\0\0\x0c"
           "abcd"),
     false, "08P01", "out of order"},
    {"an unknown method", "disable", BYTES("R\0\0\0\x08\0\0\0\x63"), false, "28000", "method 99"},
    {"GSSAPI", "disable", BYTES("R\0\0\0\x08\0\0\0\x07"), false, "28000", "method 7"},
    {"no SASL mechanism of ours", "disable",
     BYTES("R\0\0\0\x0e\0\0\0\x0a"
           "FOO\0\0\0"),
     false, "28000", "no SASL mechanism"},
    {"mechanisms without an end", "disable",
     BYTES("R\0\0\0\x0b\0\0\0\x0a"
           "FOO"),
     false, "08P01", "mechanisms"},
    {"an error without any field", "disable", BYTES("E\0\0\0\5\0"), false, "08001",
     "gave no reason"},
    {"an error with a broken SQLSTATE", "disable",
     BYTES("E\0\0\0\x0f"
           "C1\0Mhello\0\0"),
     false, "08001", "hello"},
    {"OK with a session in a transaction", "disable", BYTES("R\0\0\0\x08\0\0\0\0Z\0\0\0\5T"), false,
     "08P01", "not idle"},
    {"two OKs", "disable", BYTES("R\0\0\0\x08\0\0\0\0R\0\0\0\x08\0\0\0\0"), false, "08P01",
     "out of order"},
    {"a short cancel key", "disable", BYTES("R\0\0\0\x08\0\0\0\0K\0\0\0\6\0\0"), false, "08P01",
     "BackendKey"},
    {"S with more behind it", "prefer", BYTES("SE\0\0\0\5\0"), false, "08P01", "something else"},
    {"an error instead of S or N", "prefer",
     BYTES("E\0\0\0\x0b"
           "Mevil!\0\0"),
     false, "08P01", "something else"},
    {"N, then -PLUS", "prefer",
     BYTES("R\0\0\0\x1d\0\0\0\x0a"
           "SCRAM-SHA-256-PLUS\0\0\0"),
     true, "08P01", "channel binding without TLS"},
};

static void meet(const struct hostile *row)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    struct script script = {
        .data = row->data, .bytes = row->bytes, .answers_ssl = row->answers_ssl};
    pthread_t thread;
    script.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(script.listener, (struct sockaddr *)&address, bytes), 0);
    assert_int_equal(listen(script.listener, 4), 0);
    assert_int_equal(getsockname(script.listener, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(pthread_create(&thread, NULL, serve_script, &script), 0);
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u dbname=app sslmode=%s",
             ntohs(address.sin_port), row->mode);
    print_message("%s\n", row->label);
    struct probe probe;
    probe_init(&probe, conninfo);
    probe_open(&probe, "scram_user", "sec ret");
    expect_refused(&probe, row->sqlstate, row->text);
    probe_release(&probe);
    pthread_join(thread, NULL);
    close(script.listener);
}

static void survives_hostile_servers(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        meet(&hostile[i]);
}

/* ---- */

static int start(void **state)
{
    (void)state;
    struct sy_err err = {0};
    plain = sy_cluster_start(&(struct sy_cluster_options){.name = "plain"});
    tls = sy_cluster_start(&(struct sy_cluster_options){.name = "tls", .tls = true});
    struct sy_cluster *both[] = {plain, tls};
    for (int i = 0; i < 2; i++) {
        PGconn *conn = sy_cluster_connect(both[i], 0, "postgres");
        char sql[600];
        snprintf(sql, sizeof(sql), "%s", passwords_sql);
        for (char *rest = NULL, *at = strtok_r(sql, ";", &rest); at != NULL;
             at = strtok_r(NULL, ";", &rest)) {
            PGresult *result = PQexec(conn, at);
            if (PQresultStatus(result) != PGRES_COMMAND_OK)
                print_message("%s\n", PQerrorMessage(conn));
            PQclear(result);
        }
        PQfinish(conn);
        sy_cluster_set_hba(both[i], rules);
    }
    return sy_hash_pool_start(1, &err) == SY_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    sy_hash_pool_stop();
    while (retired_count != 0)
        sy_loop_free(&retired[--retired_count]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_in_by_every_method),
        cmocka_unit_test(logs_in_over_a_unix_socket),
        cmocka_unit_test(tells_why_a_login_failed),
        cmocka_unit_test(a_clients_keys_are_as_good_as_its_password),
        cmocka_unit_test(says_when_nobody_listens),
        cmocka_unit_test(gives_up_on_a_server_that_never_answers),
        cmocka_unit_test(passes_a_large_result_and_pauses),
        cmocka_unit_test(cancels_what_runs),
        cmocka_unit_test(tells_when_the_connection_is_lost),
        cmocka_unit_test(closes_at_any_moment),
        cmocka_unit_test(survives_hostile_servers),
    };
    static const enum sy_loop_kind kinds[] = {SY_LOOP_AUTO, SY_LOOP_EPOLL};
    int failed = start(NULL);
    for (unsigned i = 0; failed == 0 && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        loop_kind = kinds[i];
        print_message("loop %s\n", sy_loop_kind_name(loop_kind));
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    stop(NULL);
    return sy_harness_finish(failed);
}
