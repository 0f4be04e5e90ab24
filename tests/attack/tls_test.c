/*
 * TLS at the router's door: a client that begins with it at once must name our protocol, where TLS
 * is required nobody gets in without, and a renewed certificate is for new connections only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/wire/message.h"
#include "tests/attack/raw.h"
#include "tests/harness/certificates.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

static struct sy_router *router;
static SSL_CTX *context;
static char certificates[96], renewed[96];

/* An embedded database: no server is needed to shake hands. */
static const char databases[] =
    "{ name = \"app\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; "
    "replicas = 0; } ); } );";

static const char *settings(const char *mode)
{
    static char text[1024];
    snprintf(text, sizeof(text),
             "auth = ( { method = \"trust\"; } );\nclient_tls = { mode = \"%s\"; cert_file = "
             "\"%s/server.crt\"; key_file = \"%s/server.key\"; };\n",
             mode, certificates, certificates);
    return text;
}

/* ---- a client that begins with TLS ---- */

struct direct {
    struct raw raw;
    SSL *ssl;
};

static void direct_open(struct direct *direct, const char *protocols)
{
    assert_true(raw_open(&direct->raw, sy_router_port(router)));
    direct->ssl = SSL_new(context);
    assert_non_null(direct->ssl);
    if (protocols != NULL)
        assert_int_equal(SSL_set_alpn_protos(direct->ssl, (const unsigned char *)protocols,
                                             (unsigned)strlen(protocols)),
                         0);
    assert_int_equal(SSL_set_fd(direct->ssl, direct->raw.fd), 1);
}

static void direct_close(struct direct *direct)
{
    SSL_free(direct->ssl);
    raw_close(&direct->raw);
}

/* Startup packet, and all up to ReadyForQuery; false: the router closed instead. */
static bool direct_login(struct direct *direct)
{
    const struct sy_startup_parameter parameters[] = {{SY_SLICE("user"), SY_SLICE("app")},
                                                      {SY_SLICE("database"), SY_SLICE("app")}};
    struct sy_buf out = {0}, in = {0};
    sy_write_startup(&out, parameters, 2);
    bool ready = SSL_write(direct->ssl, out.data, (int)out.bytes) == (int)out.bytes;
    while (ready && !(in.bytes >= 6 && memcmp(in.data + in.bytes - 6, "Z\0\0\0\5I", 6) == 0)) {
        char data[4096];
        int bytes = SSL_read(direct->ssl, data, sizeof(data));
        ready = bytes > 0;
        if (ready)
            sy_buf_append(&in, data, (size_t)bytes);
    }
    sy_buf_release(&out);
    sy_buf_release(&in);
    return ready;
}

static void tls_may_come_first_and_must_name_our_protocol(void **state)
{
    (void)state;
    static const struct {
        const char *label, *protocols;
        bool hands, in;
    } rows[] = {
        {"ours", "\012postgresql", true, true},
        {"ours among others", "\010http/1.1\012postgresql", true, true},
        {"another's", "\010http/1.1", false, false},
        {"nearly ours", "\011postgresq", false, false},
        {"none", NULL, true, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct direct direct;
        direct_open(&direct, rows[i].protocols);
        assert_int_equal(SSL_connect(direct.ssl) == 1, rows[i].hands);
        if (rows[i].hands)
            assert_int_equal(direct_login(&direct), rows[i].in);
        direct_close(&direct);
    }
}

/* A hello that arrives byte by byte is the same hello. */
static void a_slow_hello_is_a_hello(void **state)
{
    (void)state;
    struct direct direct;
    direct_open(&direct, "\012postgresql");
    BIO *written = BIO_new(BIO_s_mem()), *read_from = BIO_new(BIO_s_mem());
    SSL_set_bio(direct.ssl, read_from, written);
    bool done = false;
    for (int turn = 0; turn < 50 && !done; turn++) {
        done = SSL_connect(direct.ssl) == 1;
        char *data;
        long bytes = BIO_get_mem_data(written, &data);
        for (long i = 0; i < bytes; i++) {
            assert_int_equal(send(direct.raw.fd, data + i, 1, MSG_NOSIGNAL), 1);
            if (i < 12) /* apart, as far as the kernel lets us say that */
                sy_pause_ms(2);
        }
        (void)BIO_reset(written);
        char answer[8192];
        ssize_t got = done ? 0 : recv(direct.raw.fd, answer, sizeof(answer), 0);
        if (got > 0)
            BIO_write(read_from, answer, (int)got);
    }
    assert_true(done);
    direct_close(&direct);
}

static void garbage_that_looks_like_a_hello_ends_the_connection(void **state)
{
    (void)state;
    struct raw raw;
    char garbage[600];
    memset(garbage, 0x5a, sizeof(garbage));
    memcpy(garbage, "\x16\x03\x01\x02\x00\x01", 6);
    assert_true(raw_open(&raw, sy_router_port(router)));
    raw_send(&raw, garbage, sizeof(garbage));
    raw_read(&raw, 0, 30000);
    assert_true(raw.closed);
    raw_close(&raw);
    /* After an SSLRequest was answered, a hello is no first word any more: the answer is awaited.
     */
    assert_true(raw_open(&raw, sy_router_port(router)));
    raw_send(&raw, "\0\0\0\x8\x04\xd2\x16\x30", 8); /* GSSENCRequest: N */
    raw_send(&raw, garbage, sizeof(garbage));
    raw_read(&raw, 0, 30000);
    assert_true(raw.closed);
    raw_close(&raw);
}

/* ---- libpq ---- */

static PGconn *connect_with(const char *words)
{
    char conninfo[256];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=app dbname=app %s",
             (unsigned)sy_router_port(router), words);
    return PQconnectdb(conninfo);
}

static X509 *certificate_of(PGconn *connection)
{
    SSL *ssl = PQsslStruct(connection, "OpenSSL");
    return ssl == NULL ? NULL : SSL_get0_peer_certificate(ssl);
}

static void copy_file(const char *name)
{
    char command[512];
    snprintf(command, sizeof(command), "cp -p %s/%s %s/%s.new && mv %s/%s.new %s/%s", renewed, name,
             certificates, name, certificates, name, certificates, name);
    assert_int_equal(system(command), 0);
}

static X509 *read_certificate(const char *dir)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/server.crt", dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_non_null(certificate);
    return certificate;
}

/* Whether a new connection shows this certificate. */
static bool is_shown(const X509 *wanted)
{
    PGconn *connection = connect_with("sslmode=require");
    X509 *certificate = certificate_of(connection);
    bool same = certificate != NULL && X509_cmp(certificate, wanted) == 0;
    PQfinish(connection);
    return same;
}

/* Within a minute: the signal is not answered. */
static bool is_shown_soon(const X509 *wanted)
{
    bool shown = is_shown(wanted);
    for (int i = 0; i < 1200 && !shown; i++) {
        sy_pause_ms(50);
        shown = is_shown(wanted);
    }
    return shown;
}

static void a_renewed_certificate_is_for_new_connections(void **state)
{
    (void)state;
    PGconn *old = connect_with("sslmode=require");
    assert_int_equal(PQstatus(old), CONNECTION_OK);
    X509 *last = NULL;
    for (int i = 0; i < 3; i++) { /* more than once: what is replaced is freed when it is unused */
        sy_test_certificates(renewed, NULL);
        copy_file("server.key");
        copy_file("server.crt");
        X509_free(last);
        last = read_certificate(renewed);
        kill(sy_router_pid(router), SIGHUP);
        assert_true(is_shown_soon(last));
    }
    assert_string_equal(sy_ask(old, "select 42"), "42"); /* the old one lives on */
    char path[128];
    snprintf(path, sizeof(path), "%s/server.crt", certificates);
    sy_write_file(path, "not a certificate\n", false);
    kill(sy_router_pid(router), SIGHUP);
    sy_router_wait_log(router, "reload failed, the old configuration stays");
    for (int i = 0; i < 20; i++) /* one that cannot be read changes nothing */
        assert_true(is_shown(last));
    assert_string_equal(sy_ask(old, "select 43"), "43");
    X509_free(last);
    PQfinish(old);
    copy_file("server.crt");
}

static void where_tls_is_required_nobody_gets_in_without(void **state)
{
    (void)state;
    PGconn *connection = connect_with("sslmode=disable");
    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    PQfinish(connection);
    sy_router_reload(router, databases, settings("require"));
    bool refused = false;
    for (int i = 0; i < 600 && !refused; i++) {
        connection = connect_with("sslmode=disable");
        refused = PQstatus(connection) != CONNECTION_OK;
        if (refused)
            assert_non_null(strstr(PQerrorMessage(connection), "connection requires TLS"));
        PQfinish(connection);
        sy_pause_ms(50);
    }
    assert_true(refused);
    connection = connect_with("sslmode=require");
    assert_int_equal(PQstatus(connection), CONNECTION_OK);
    PQfinish(connection);
    struct direct direct;
    direct_open(&direct, "\012postgresql");
    assert_int_equal(SSL_connect(direct.ssl), 1);
    assert_true(direct_login(&direct));
    direct_close(&direct);
}

static void without_a_certificate_a_hello_is_no_protocol_of_ours(void **state)
{
    (void)state;
    sy_router_reload(router, databases, "auth = ( { method = \"trust\"; } );\n");
    bool closed = false;
    for (int i = 0; i < 600 && !closed; i++) {
        struct direct direct;
        direct_open(&direct, "\012postgresql");
        closed = SSL_connect(direct.ssl) != 1;
        direct_close(&direct);
        sy_pause_ms(50);
    }
    assert_true(closed);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const char *tmp = getenv("TMPDIR");
    snprintf(certificates, sizeof(certificates), "%.40s/sy-tls-%d", tmp == NULL ? "/tmp" : tmp,
             (int)getpid());
    snprintf(renewed, sizeof(renewed), "%.80s/new", certificates);
    sy_make_dir(certificates);
    sy_make_dir(renewed);
    sy_test_certificates(certificates, NULL);
    context = SSL_CTX_new(TLS_client_method());
    router = sy_router_start(databases, settings("allow"), getenv("SY_TEST_LOOP"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tls_may_come_first_and_must_name_our_protocol),
        cmocka_unit_test(a_slow_hello_is_a_hello),
        cmocka_unit_test(garbage_that_looks_like_a_hello_ends_the_connection),
        cmocka_unit_test(a_renewed_certificate_is_for_new_connections),
        cmocka_unit_test(where_tls_is_required_nobody_gets_in_without),
        cmocka_unit_test(without_a_certificate_a_hello_is_no_protocol_of_ours),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    SSL_CTX_free(context);
    sy_remove_tree(certificates);
    return sy_harness_finish(failed);
}
