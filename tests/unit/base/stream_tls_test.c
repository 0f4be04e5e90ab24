/* TLS on streams, both sides in one loop, on both kinds. The certificate is made here and signs
 * itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/stream.h"
#include "tests/unit/base/both_loops.h"

enum { BYTES = 10 * 1024 * 1024, PATIENCE_S = 30, LINGER_US = 2000000 };

static struct sy_loop *loop;
static SSL_CTX *server_ctx, *client_ctx;

/* ---- a certificate ---- */

static void add_name(X509 *certificate, const char *name)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, subject);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:db.example,IP:127.0.0.1");
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static int make_contexts(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    assert_non_null(key);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    add_name(certificate, "db.example");
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    server_ctx = SSL_CTX_new(TLS_server_method());
    client_ctx = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_use_certificate(server_ctx, certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_ctx, key), 1);
    assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(client_ctx), certificate), 1);
    SSL_CTX_set_verify(client_ctx, SSL_VERIFY_PEER, NULL);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}

static int free_contexts(void **state)
{
    (void)state;
    SSL_CTX_free(server_ctx);
    SSL_CTX_free(client_ctx);
    return 0;
}

/* ---- two ends ---- */

struct end {
    struct sy_stream stream;
    struct end *other, *echo_to;
    uint64_t received, hash;
    unsigned secured, closed;
    bool why_given, pause_on_data;
    char why[SY_ERR_TEXT_BYTES];
};

static struct end client, server;

static uint64_t hash_on(uint64_t hash, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3U;
    return hash;
}

static void on_secured(struct sy_stream *stream)
{
    sy_container_of(stream, struct end, stream)->secured++;
}

static void on_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct end *end = sy_container_of(stream, struct end, stream);
    end->received += to - from;
    end->hash = hash_on(end->hash, chunk->data + from, to - from);
    if (end->echo_to != NULL) {
        sy_stream_send(&end->echo_to->stream, chunk, from, to);
        if (sy_stream_congested(&end->echo_to->stream))
            sy_stream_pause(stream);
    }
    if (end->pause_on_data)
        sy_stream_pause(stream);
}

static void on_drained(struct sy_stream *stream)
{
    struct end *end = sy_container_of(stream, struct end, stream);
    if (end->echo_to != NULL)
        sy_stream_resume(&end->echo_to->stream);
}

static void on_closed(struct sy_stream *stream, const struct sy_err *why)
{
    struct end *end = sy_container_of(stream, struct end, stream);
    end->closed++;
    end->why_given = why != NULL;
    if (why != NULL)
        snprintf(end->why, sizeof(end->why), "%s", why->text);
    memset(stream, 0xa5, sizeof(*stream));
}

static const struct sy_stream_events events = {NULL, on_secured, on_data, on_drained, on_closed};

static int set_up(void **state)
{
    struct sy_loop_options options = {.kind = *(enum sy_loop_kind *)*state, .receive_buffers = 64};
    struct sy_err err;
    int pair[2];
    if (sy_loop_new(&options, &loop, &err) != SY_OK)
        fail_msg("%s", err.text);
    memset(&client, 0, sizeof(client));
    memset(&server, 0, sizeof(server));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(sy_stream_open(&client.stream, loop, pair[0], &events, NULL), SY_OK);
    assert_int_equal(sy_stream_open(&server.stream, loop, pair[1], &events, NULL), SY_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sy_loop_free(&loop);
    return 0;
}

#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        time_t turn_until = time(NULL) + PATIENCE_S;                                               \
        while (!(condition)) {                                                                     \
            assert_int_equal(sy_loop_turn(loop, 10, NULL), SY_OK);                                 \
            if (time(NULL) > turn_until)                                                           \
                fail_msg("in vain: " #condition);                                                  \
        }                                                                                          \
    } while (0)

static void secure(const char *name)
{
    assert_int_equal(sy_stream_start_tls(&server.stream, server_ctx, true, NULL, NULL), SY_OK);
    assert_int_equal(sy_stream_start_tls(&client.stream, client_ctx, false, name, NULL), SY_OK);
    assert_int_equal(sy_stream_start_tls(&client.stream, client_ctx, false, name, NULL),
                     SY_E_STATE);
}

static void assert_idle(void)
{
    struct sy_loop_stats stats;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sy_loop_turn(loop, 1, NULL), SY_OK);
    sy_loop_stats(loop, &stats);
    assert_int_equal(stats.buffers_in_use, 0);
}

static void finish(void)
{
    sy_stream_close(&client.stream, LINGER_US);
    TURN_UNTIL(client.closed && server.closed);
    assert_int_equal(client.closed, 1);
    assert_int_equal(server.closed, 1);
    assert_false(client.why_given);
    assert_false(server.why_given);
}

/* ---- tests ---- */

static void carries_bytes_both_ways(void **state)
{
    (void)state;
    static char data[60000];
    uint64_t left = BYTES, hash = 0;
    srandom(5);
    secure("db.example");
    sy_stream_send_copy(&client.stream, "early", 5); /* queued until the handshake is done */
    hash = hash_on(0, "early", 5);
    left -= 5;
    server.echo_to = &server;
    TURN_UNTIL(client.secured == 1 && server.secured == 1);
    assert_true(SSL_version(sy_stream_ssl(&client.stream)) >= TLS1_2_VERSION);
    time_t give_up = time(NULL) + PATIENCE_S;
    while (client.received < BYTES && time(NULL) <= give_up) {
        while (left > 0 && !sy_stream_congested(&client.stream)) {
            size_t bytes = (size_t)random() % (random() % 4 == 0 ? sizeof(data) : 300) + 1;
            bytes = bytes < left ? bytes : (size_t)left;
            for (size_t i = 0; i < bytes; i++)
                data[i] = (char)random();
            hash = hash_on(hash, data, bytes);
            sy_stream_send_copy(&client.stream, data, bytes);
            left -= bytes;
        }
        assert_int_equal(sy_loop_turn(loop, 10, NULL), SY_OK);
    }
    assert_int_equal(client.received, BYTES);
    assert_true(client.hash == hash);
    assert_int_equal(sy_stream_queued_bytes(&client.stream), 0);
    assert_int_equal(sy_stream_queued_bytes(&server.stream), 0);
    assert_idle();
    finish();
}

static void upgrades_after_a_plain_exchange(void **state)
{
    (void)state;
    sy_stream_send_copy(&client.stream, "please", 6);
    TURN_UNTIL(server.received == 6);
    sy_stream_send_copy(&server.stream, "S", 1); /* plain, although TLS starts at once */
    assert_int_equal(sy_stream_start_tls(&server.stream, server_ctx, true, NULL, NULL), SY_OK);
    TURN_UNTIL(client.received == 1);
    assert_int_equal(sy_stream_start_tls(&client.stream, client_ctx, false, "127.0.0.1", NULL),
                     SY_OK);
    TURN_UNTIL(client.secured && server.secured);
    sy_stream_send_copy(&server.stream, "hello", 5);
    TURN_UNTIL(client.received == 6);
    finish();
}

static void delivers_nothing_while_paused(void **state)
{
    (void)state;
    static char block[100000];
    secure("db.example");
    TURN_UNTIL(client.secured && server.secured);
    server.pause_on_data = true;
    sy_stream_send_copy(&client.stream, block, sizeof(block));
    TURN_UNTIL(server.received > 0);
    uint64_t first = server.received;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(sy_loop_turn(loop, 2, NULL), SY_OK);
    assert_int_equal(server.received, first);
    sy_stream_close(&client.stream, LINGER_US); /* its end waits behind its data */
    for (unsigned i = 0; i < 200 && server.received < sizeof(block); i++) {
        uint64_t before = server.received;
        sy_stream_resume(&server.stream);
        TURN_UNTIL(server.received > before);
    }
    assert_int_equal(server.received, sizeof(block));
    server.pause_on_data = false;
    sy_stream_resume(&server.stream);
    TURN_UNTIL(client.closed && server.closed);
    assert_false(server.why_given);
}

static void refuses_a_certificate_of_another_name(void **state)
{
    (void)state;
    secure("other.example");
    TURN_UNTIL(client.closed && server.closed);
    assert_true(client.why_given);
    assert_non_null(strstr(client.why, "ostname mismatch"));
    assert_true(server.why_given); /* it is told why: an alert */
    assert_non_null(strstr(server.why, "alert"));
    assert_int_equal(client.secured, 0);
}

static void refuses_what_is_not_tls(void **state)
{
    (void)state;
    assert_int_equal(sy_stream_start_tls(&server.stream, server_ctx, true, NULL, NULL), SY_OK);
    sy_stream_send_copy(&client.stream, "GET / HTTP/1.0\r\n\r\n", 18);
    TURN_UNTIL(client.closed && server.closed);
    assert_true(server.why_given);
    assert_int_equal(server.secured, 0);
}

static void refuses_old_versions(void **state)
{
    (void)state;
    SSL_CTX *old = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(old, TLS1_1_VERSION);
    assert_int_equal(sy_stream_start_tls(&server.stream, server_ctx, true, NULL, NULL), SY_OK);
    assert_int_equal(sy_stream_start_tls(&client.stream, old, false, NULL, NULL), SY_OK);
    SSL_CTX_free(old); /* the stream holds a reference */
    TURN_UNTIL(client.closed && server.closed);
    assert_true(client.why_given);
    assert_int_equal(client.secured + server.secured, 0);
}

static void refuses_plaintext_that_precedes_tls(void **state)
{
    (void)state;
    server.pause_on_data = true;
    sy_stream_send_copy(&client.stream, "request", 7);
    TURN_UNTIL(server.received == 7);
    struct sy_err err;
    if (sy_loop_kind_of(loop) ==
        SY_LOOP_IO_URING) { /* epoll leaves it in the socket: not TLS, later */
        sy_stream_send_copy(&client.stream, "smuggled", 8);
        /* The cancellation of the receive may win: then it stays in the socket, too. */
        for (unsigned i = 0; i < 5; i++)
            assert_int_equal(sy_loop_turn(loop, 2, NULL), SY_OK);
    } else {
        sy_stream_send_copy(&client.stream, "smuggled", 8);
    }
    if (sy_stream_start_tls(&server.stream, server_ctx, true, NULL, &err) == SY_OK) {
        sy_stream_resume(&server.stream);
        TURN_UNTIL(server.closed);
        assert_true(server.why_given);
    } else {
        assert_int_equal(err.status, SY_E_PROTOCOL);
        sy_stream_close(&server.stream, 0);
    }
    TURN_UNTIL(client.closed && server.closed);
    assert_int_equal(server.secured, 0);
}

static void survives_a_peer_that_goes_during_the_handshake(void **state)
{
    (void)state;
    assert_int_equal(sy_stream_start_tls(&client.stream, client_ctx, false, NULL, NULL), SY_OK);
    sy_stream_close(&server.stream, 0);
    TURN_UNTIL(client.closed && server.closed);
    assert_int_equal(client.secured, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static const struct CMUnitTest all_tests[] = {
    TEST(carries_bytes_both_ways),
    TEST(upgrades_after_a_plain_exchange),
    TEST(delivers_nothing_while_paused),
    TEST(refuses_a_certificate_of_another_name),
    TEST(refuses_what_is_not_tls),
    TEST(refuses_old_versions),
    TEST(refuses_plaintext_that_precedes_tls),
    TEST(survives_a_peer_that_goes_during_the_handshake),
};

int main(void)
{
    return run_on_both_loops(all_tests, make_contexts, free_contexts);
}
