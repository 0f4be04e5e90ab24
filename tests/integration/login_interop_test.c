/*
 * Our side of every password exchange against PostgreSQL's own: our SCRAM and md5 client logs in to
 * a PostgreSQL 15, and libpq logs in to our login machine, plain and over TLS with channel binding.
 * Blocking sockets, no router.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "router/auth/login.h"
#include "router/wire/message.h"
#include "tests/harness/certificates.h"
#include "tests/harness/cluster.h"

static struct sy_cluster *cluster;
static SSL_CTX *server_tls, *client_tls;

/* ---- bytes, plain or over TLS ---- */

struct channel {
    int fd;
    SSL *ssl;
    struct sy_buf in;
};

static bool channel_send(struct channel *channel, struct sy_buf *out)
{
    size_t bytes = out->bytes;
    ssize_t sent = channel->ssl != NULL ? SSL_write(channel->ssl, out->data, (int)bytes)
                                        : send(channel->fd, out->data, bytes, MSG_NOSIGNAL);
    sy_buf_clear(out);
    return sent == (ssize_t)bytes;
}

static bool channel_need(struct channel *channel, size_t bytes)
{
    while (channel->in.bytes < bytes) {
        char data[4096];
        ssize_t got = channel->ssl != NULL ? SSL_read(channel->ssl, data, sizeof(data))
                                           : recv(channel->fd, data, sizeof(data), 0);
        if (got <= 0)
            return false;
        sy_buf_append(&channel->in, data, (size_t)got);
    }
    return true;
}

/* One whole message; its body goes to `ret_body`. 0: the end of the stream. */
static char channel_message(struct channel *channel, struct sy_buf *ret_body)
{
    if (!channel_need(channel, 5))
        return '\0';
    size_t length = sy_u32_at(channel->in.data + 1, 0);
    if (!channel_need(channel, 1 + length))
        return '\0';
    char type = channel->in.data[0];
    sy_buf_clear(ret_body);
    sy_buf_append(ret_body, channel->in.data + 5, length - 4);
    sy_buf_consume(&channel->in, 1 + length);
    return type;
}

static void channel_close(struct channel *channel)
{
    SSL_free(channel->ssl);
    close(channel->fd);
    sy_buf_release(&channel->in);
}

/* ---- our client against PostgreSQL ---- */

struct attempt {
    const char *user, *password;
    bool tls, md5_seen, scram_seen, plus_seen;
};

static void upgrade(struct channel *channel)
{
    struct sy_buf out = {.data = NULL};
    sy_write_request(&out, SY_CODE_SSL);
    assert_true(channel_send(channel, &out));
    assert_true(channel_need(channel, 1));
    assert_int_equal(channel->in.data[0], 'S');
    sy_buf_clear(&channel->in);
    channel->ssl = SSL_new(client_tls);
    SSL_set_fd(channel->ssl, channel->fd);
    assert_int_equal(SSL_connect(channel->ssl), 1);
    sy_buf_release(&out);
}

static void start_scram(struct channel *channel, struct attempt *attempt,
                        struct sy_scram_client *scram, struct sy_slice mechanisms,
                        struct sy_buf *out)
{
    struct sy_reader reader = sy_reader_of(mechanisms.data, mechanisms.bytes);
    struct sy_slice name;
    struct sy_buf first = {.data = NULL};
    uint8_t binding[64];
    uint32_t binding_bytes = 0;
    while (sy_auth_next_mechanism(&reader, &name))
        attempt->plus_seen |= sy_slice_eq(name, SY_SLICE("SCRAM-SHA-256-PLUS"));
    if (channel->ssl != NULL) {
        X509 *certificate = SSL_get1_peer_certificate(channel->ssl);
        binding_bytes = sy_tls_server_end_point(certificate, binding);
        X509_free(certificate);
        assert_int_equal(binding_bytes, 32);
    }
    attempt->scram_seen = true;
    sy_scram_client_init(scram, attempt->plus_seen, binding, binding_bytes);
    assert_int_equal(sy_scram_client_first(scram, "abcdefghijklmnopqrstuvwx", &first, NULL), SY_OK);
    sy_write_sasl_initial(
        out, attempt->plus_seen ? SY_SLICE("SCRAM-SHA-256-PLUS") : SY_SLICE("SCRAM-SHA-256"),
        (struct sy_slice){first.data, first.bytes});
    sy_buf_release(&first);
}

static void go_on_with_scram(struct attempt *attempt, struct sy_scram_client *scram,
                             struct sy_slice data, struct sy_buf *out)
{
    uint8_t client_key[32], server_key[32];
    struct sy_buf final = {.data = NULL};
    assert_int_equal(sy_scram_client_server_first(scram, data, NULL), SY_OK);
    assert_int_equal(sy_scram_derive_keys(sy_slice_of(attempt->password), scram->salt,
                                          scram->salt_bytes, scram->iterations, client_key,
                                          server_key, NULL),
                     SY_OK);
    sy_scram_client_set_keys(scram, client_key, server_key);
    assert_int_equal(sy_scram_client_final(scram, &final, NULL), SY_OK);
    sy_write_password(out, (struct sy_slice){final.data, final.bytes}, false);
    sy_buf_release(&final);
}

/* Answers one authentication request. */
static void answer(struct channel *channel, struct attempt *attempt, struct sy_scram_client *scram,
                   const struct sy_buf *body)
{
    struct sy_auth_msg auth;
    struct sy_buf out = {.data = NULL};
    uint8_t salt[4];
    char text[36];
    assert_int_equal(sy_auth_read(body->data, body->bytes, &auth, NULL), SY_OK);
    switch (auth.code) {
    case SY_AUTH_CODE_OK:
        break;
    case SY_AUTH_CODE_MD5:
        memcpy(salt, auth.data.data, 4);
        sy_md5_response(sy_slice_of(attempt->user), sy_slice_of(attempt->password), salt, text);
        sy_write_password(&out, sy_slice_of(text), true);
        attempt->md5_seen = true;
        break;
    case SY_AUTH_CODE_SASL:
        start_scram(channel, attempt, scram, auth.data, &out);
        break;
    case SY_AUTH_CODE_SASL_CONTINUE:
        go_on_with_scram(attempt, scram, auth.data, &out);
        break;
    case SY_AUTH_CODE_SASL_FINAL:
        assert_int_equal(sy_scram_client_verify(scram, auth.data, NULL), SY_OK);
        break;
    default:
        fail_msg("authentication code %u", auth.code);
    }
    if (out.bytes > 0)
        assert_true(channel_send(channel, &out));
    sy_buf_release(&out);
}

/* Whether PostgreSQL lets our client in; ret_sqlstate: why not. */
static bool log_in(struct attempt *attempt, char ret_sqlstate[6])
{
    struct channel channel = {.fd = socket(AF_INET, SOCK_STREAM, 0)};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(sy_cluster_port(cluster, 0)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(channel.fd, (struct sockaddr *)&address, sizeof(address)), 0);
    if (attempt->tls)
        upgrade(&channel);
    struct sy_buf out = {.data = NULL}, body = {.data = NULL};
    const struct sy_startup_parameter parameters[] = {
        {SY_SLICE("user"), sy_slice_of(attempt->user)},
        {SY_SLICE("database"), SY_SLICE("postgres")}};
    sy_write_startup(&out, parameters, 2);
    assert_true(channel_send(&channel, &out));
    struct sy_scram_client scram = {.state = SY_SCRAM_START};
    char type;
    while ((type = channel_message(&channel, &body)) == 'R')
        answer(&channel, attempt, &scram, &body);
    bool in = type == 'S';
    if (type == 'E') {
        struct sy_notice_fields fields;
        assert_int_equal(sy_notice_read(body.data, body.bytes, &fields, NULL), SY_OK);
        snprintf(ret_sqlstate, 6, "%.5s", fields.sqlstate.data);
    }
    sy_scram_client_release(&scram);
    channel_close(&channel);
    sy_buf_release(&out);
    sy_buf_release(&body);
    return in;
}

static void our_client_logs_in_to_postgresql(void **state)
{
    (void)state;
    static const struct {
        const char *label, *user, *password;
        bool tls, md5, in;
    } rows[] = {
        {"scram", "plain", "secret", false, false, true},
        {"scram, wrong", "plain", "Secret", false, false, false},
        {"scram over TLS, bound", "plain", "secret", true, false, true},
        {"scram over TLS, wrong", "plain", "secre", true, false, false},
        {"a password that SASLprep changes", "prepared", "\xe2\x85\xa8", false, false, true},
        {"and what it becomes", "prepared", "IX", false, false, true},
        {"a secret of our making", "ours", "made here", false, false, true},
        {"md5", "old", "secret", false, true, true},
        {"md5, wrong", "old", "secret!", false, true, false},
        {"nobody", "nobody", "secret", false, false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct attempt attempt = {
            .user = rows[i].user, .password = rows[i].password, .tls = rows[i].tls};
        char sqlstate[6] = "";
        assert_int_equal(log_in(&attempt, sqlstate), rows[i].in);
        assert_string_equal(sqlstate, rows[i].in ? "" : "28P01");
        assert_int_equal(attempt.md5_seen, rows[i].md5);
        assert_int_equal(attempt.scram_seen, !rows[i].md5);
        assert_int_equal(attempt.plus_seen, rows[i].tls);
    }
}

/* ---- libpq against our login machine ---- */

/* What the next login is asked, and what came of it: set by one thread, read by the other. */
static struct {
    int listener;
    uint16_t port;
    _Atomic enum sy_auth_method method;
    const struct sy_config_user *_Atomic entry;
    _Atomic bool plus_used;
} ours;

static void fill_input(struct sy_login_input *input, const struct channel *channel,
                       const struct sy_startup *startup, uint8_t binding[64])
{
    static const uint8_t mock_nonce[32] = "a secret that nobody is told....";
    *input = (struct sy_login_input){.method = ours.method,
                                     .user = startup->user,
                                     .is_local = true,
                                     .mock_nonce = mock_nonce,
                                     .md5_salt = {5, 6, 7, 8},
                                     .unknown_as = SY_CREDENTIAL_CLEAR,
                                     .server_nonce = "ABCDEFGHIJKLMNOPQRSTUVWX"};
    const struct sy_config_user *entry = ours.entry;
    if (entry != NULL && sy_slice_eq(startup->user, sy_slice_of(entry->name)))
        input->entry = entry;
    if (channel->ssl == NULL)
        return;
    input->is_tls = true;
    input->binding = binding;
    input->binding_bytes = sy_tls_server_end_point(SSL_get_certificate(channel->ssl), binding);
}

/* Drives the machine to its end; what is to be sent last is left in `out`. */
static enum sy_login_step drive(struct channel *channel, const struct sy_login_input *input,
                                struct sy_buf *out, struct sy_err *err)
{
    struct sy_login login;
    struct sy_buf body = {.data = NULL};
    enum sy_login_step step = sy_login_start(&login, input, out, err);
    while (step == SY_LOGIN_MESSAGE || step == SY_LOGIN_HASH) {
        if (step == SY_LOGIN_HASH) {
            struct sy_hash_job job = {.status = SY_OK};
            sy_login_fill_job(&login, &job);
            job.status = sy_scram_derive_keys((struct sy_slice){job.password, job.password_bytes},
                                              job.salt, job.salt_bytes, job.iterations,
                                              job.client_key, job.server_key, NULL);
            step = sy_login_hashed(&login, &job, out, err);
            continue;
        }
        if (!channel_send(channel, out) || channel_message(channel, &body) != 'p')
            break;
        step = sy_login_message(&login, (struct sy_slice){body.data, body.bytes}, out, err);
    }
    ours.plus_used = login.scram.plus;
    sy_login_release(&login);
    sy_buf_release(&body);
    return step;
}

static void serve(struct channel *channel)
{
    struct sy_buf out = {.data = NULL}, body = {.data = NULL};
    struct sy_startup startup = {.kind = SY_STARTUP_SSL};
    struct sy_buf packet = {.data = NULL};
    struct sy_err err = {.status = SY_OK};
    while (startup.kind == SY_STARTUP_SSL || startup.kind == SY_STARTUP_GSSENC) {
        uint32_t bytes;
        if (!channel_need(channel, 4) ||
            sy_startup_bytes(channel->in.data, 4, &bytes, &err) != SY_OK ||
            !channel_need(channel, bytes))
            goto out;
        sy_buf_clear(&packet);
        sy_buf_append(&packet, channel->in.data, bytes);
        sy_buf_consume(&channel->in, bytes);
        if (sy_startup_read(packet.data, packet.bytes, &startup, &err) != SY_OK)
            goto out;
        if (startup.kind == SY_STARTUP_SESSION)
            break;
        sy_buf_append_str(&out, startup.kind == SY_STARTUP_SSL ? "S" : "N");
        channel_send(channel, &out);
        if (startup.kind == SY_STARTUP_SSL) {
            channel->ssl = SSL_new(server_tls);
            SSL_set_fd(channel->ssl, channel->fd);
            if (SSL_accept(channel->ssl) != 1)
                goto out;
        }
    }
    struct sy_login_input input;
    uint8_t binding[64];
    fill_input(&input, channel, &startup, binding);
    if (drive(channel, &input, &out, &err) == SY_LOGIN_OK) {
        sy_write_backend_key(&out, 1, SY_SLICE("key!"));
        sy_write_ready(&out, 'I');
    } else {
        sy_write_error(&out, "FATAL", &err);
    }
    channel_send(channel, &out);
    channel_message(channel, &body);
out:
    sy_buf_release(&out);
    sy_buf_release(&body);
    sy_buf_release(&packet);
}

static void *serve_all(void *unused)
{
    (void)unused;
    for (;;) {
        struct channel channel = {.fd = accept(ours.listener, NULL, NULL)};
        if (channel.fd < 0)
            return NULL;
        serve(&channel);
        channel_close(&channel);
    }
}

/* "secret" as a stored secret. */
static void write_secret(char *ret_text, size_t bytes)
{
    struct sy_scram_secret secret;
    struct sy_buf text = {.data = NULL};
    const uint8_t *salt = (const uint8_t *)"0123456789abcdef";
    assert_int_equal(sy_scram_secret_derive(SY_SLICE("secret"), salt, 16, 4096, &secret, NULL),
                     SY_OK);
    sy_scram_secret_write(&secret, &text);
    snprintf(ret_text, bytes, "%.*s", (int)text.bytes, text.data);
    sy_buf_release(&text);
}

static void libpq_logs_in_to_us(void **state)
{
    (void)state;
    static char scram_text[256];
    static const struct sy_config_user clear_user = {.name = "app",
                                                     .password = "\xe2\x85\xa8 pass"};
    static const struct sy_config_user scram_user = {.name = "app", .secret = scram_text};
    static const struct sy_config_user md5_user = {.name = "app",
                                                   .secret = "md56a422f785c9e20873908ce25d1736ae2"};
    write_secret(scram_text, sizeof(scram_text));
    static const struct {
        const char *label;
        enum sy_auth_method method;
        const struct sy_config_user *entry;
        const char *options;
        bool in, plus;
    } rows[] = {
        {"scram, secret", SY_AUTH_SCRAM_SHA_256, &scram_user, "sslmode=disable password=secret",
         true, false},
        {"scram, wrong", SY_AUTH_SCRAM_SHA_256, &scram_user, "sslmode=disable password=Secret",
         false, false},
        {"scram, clear text", SY_AUTH_SCRAM_SHA_256, &clear_user,
         "sslmode=disable password='IX pass'", true, false},
        {"scram, unknown", SY_AUTH_SCRAM_SHA_256, NULL, "sslmode=disable password=secret", false,
         false},
        {"bound", SY_AUTH_SCRAM_SHA_256, &scram_user,
         "sslmode=require channel_binding=require password=secret", true, true},
        {"bound, wrong", SY_AUTH_SCRAM_SHA_256, &scram_user,
         "sslmode=require channel_binding=require password=x", false, true},
        {"TLS, not bound", SY_AUTH_SCRAM_SHA_256, &scram_user,
         "sslmode=require channel_binding=disable password=secret", true, false},
        {"binding demanded", SY_AUTH_SCRAM_SHA_256_PLUS, &scram_user,
         "sslmode=require password=secret", true, true},
        {"binding demanded, plain", SY_AUTH_SCRAM_SHA_256_PLUS, &scram_user,
         "sslmode=disable password=secret", false, false},
        {"md5, secret", SY_AUTH_MD5, &md5_user, "sslmode=disable password=secret", true, false},
        {"md5, wrong", SY_AUTH_MD5, &md5_user, "sslmode=disable password=Secret", false, false},
        {"md5, scram secret", SY_AUTH_MD5, &scram_user, "sslmode=disable password=secret", true,
         false},
        {"clear text", SY_AUTH_PASSWORD, &scram_user, "sslmode=disable password=secret", true,
         false},
        {"clear text, wrong", SY_AUTH_PASSWORD, &md5_user, "sslmode=disable password=Secret", false,
         false},
        {"trust", SY_AUTH_TRUST, NULL, "sslmode=disable", true, false},
        {"reject", SY_AUTH_REJECT, &scram_user, "sslmode=disable password=secret", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        ours.method = rows[i].method;
        ours.entry = rows[i].entry;
        ours.plus_used = false;
        char conninfo[512];
        snprintf(conninfo, sizeof(conninfo),
                 "host=127.0.0.1 port=%u user=app dbname=x gssencmode=disable %s", ours.port,
                 rows[i].options);
        PGconn *conn = PQconnectdb(conninfo);
        if ((PQstatus(conn) == CONNECTION_OK) != rows[i].in)
            fail_msg("%s", PQerrorMessage(conn));
        if (!rows[i].in && rows[i].method != SY_AUTH_REJECT &&
            strstr(rows[i].label, "demanded") == NULL)
            assert_non_null(strstr(PQerrorMessage(conn),
                                   "FATAL:  password authentication failed for user \"app\""));
        PQfinish(conn);
        assert_int_equal(ours.plus_used, rows[i].plus);
    }
}

/* ---- around the tests ---- */

static int set_up(void **state)
{
    (void)state;
    const struct sy_cluster_options options = {.name = "login", .hba_method = "md5", .tls = true};
    cluster = sy_cluster_start(&options);
    struct sy_scram_secret secret;
    struct sy_buf text = {.data = NULL};
    if (sy_scram_secret_derive(SY_SLICE("made here"), (const uint8_t *)"our own salt....", 16, 8000,
                               &secret, NULL) != SY_OK)
        return -1;
    sy_buf_append_str(
        &text,
        "SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'secret';"
        "SET password_encryption = 'scram-sha-256'; CREATE ROLE plain LOGIN PASSWORD 'secret';"
        "CREATE ROLE prepared LOGIN PASSWORD 'IX'; CREATE ROLE ours LOGIN PASSWORD '");
    sy_scram_secret_write(&secret, &text);
    sy_buf_append(&text, "'", 2);
    sy_cluster_sql(cluster, 0, "postgres", text.data);
    sy_buf_release(&text);
    char certificate[4200], key[4200];
    snprintf(certificate, sizeof(certificate), "%s/ours", sy_cluster_dir(cluster));
    char command[4300];
    snprintf(command, sizeof(command), "mkdir -p %s", certificate);
    if (system(command) != 0)
        return -1;
    sy_test_certificates(certificate, NULL);
    snprintf(key, sizeof(key), "%s/ours/server.key", sy_cluster_dir(cluster));
    snprintf(certificate, sizeof(certificate), "%s/ours/server.crt", sy_cluster_dir(cluster));
    client_tls = SSL_CTX_new(TLS_client_method());
    server_tls = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_file(server_tls, certificate, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(server_tls, key, SSL_FILETYPE_PEM) != 1)
        return -1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    ours.listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(ours.listener, (struct sockaddr *)&address, bytes) != 0 ||
        listen(ours.listener, 8) != 0 ||
        getsockname(ours.listener, (struct sockaddr *)&address, &bytes) != 0)
        return -1;
    ours.port = ntohs(address.sin_port);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_client_logs_in_to_postgresql),
        cmocka_unit_test(libpq_logs_in_to_us),
    };
    if (set_up(NULL) != 0)
        return sy_harness_finish(1);
    pthread_t server;
    if (pthread_create(&server, NULL, serve_all, NULL) != 0)
        return sy_harness_finish(1);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    shutdown(ours.listener, SHUT_RDWR);
    pthread_join(server, NULL);
    close(ours.listener);
    SSL_CTX_free(client_tls);
    SSL_CTX_free(server_tls);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
