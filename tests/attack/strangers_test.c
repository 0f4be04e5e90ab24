/*
 * Who asks for a user that does not exist learns nothing from the exchange: messages of the same
 * shape as for one that does, a salt that is the same at every try and after every restart, and the
 * same words at the end.
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
#include <sys/stat.h>

#include "router/auth/scram.h"
#include "router/wire/message.h"
#include "tests/attack/raw.h"
#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

static struct sy_router *router;

struct exchange {
    char mechanisms[64], salt[64], rest[64], failure[256];
    size_t nonce_bytes;
};

/* The body of the next whole message, which must be of this type. */
static struct sy_slice next_body(struct raw *raw, char type)
{
    if (!raw_read(raw, type, 30000))
        fail_msg("no message of type %c", type);
    uint32_t length = sy_u32_at(raw->received.data + 1, 0);
    assert_int_equal(raw->received.data[0], type);
    return (struct sy_slice){raw->received.data + 5, length - 4};
}

static void take(struct raw *raw, struct sy_slice body)
{
    sy_buf_consume(&raw->received, body.bytes + 5);
}

static void copy(char *to, size_t room, const char *from, size_t bytes)
{
    assert_true(bytes < room);
    memcpy(to, from, bytes);
    to[bytes] = '\0';
}

/* "r=NONCE,s=SALT,i=N" */
static void read_challenge(struct exchange *exchange, struct sy_slice body)
{
    char text[512];
    copy(text, sizeof(text), body.data + 4, body.bytes - 4);
    char *salt = strstr(text, ",s="), *rest = strstr(text, ",i=");
    assert_true(salt != NULL && rest != NULL && salt < rest);
    exchange->nonce_bytes = (size_t)(salt - text);
    copy(exchange->salt, sizeof(exchange->salt), salt + 3, (size_t)(rest - salt - 3));
    copy(exchange->rest, sizeof(exchange->rest), rest, strlen(rest));
}

static struct exchange ask(const char *user)
{
    static const char first[] = "n,,n=,r=abcdefghijklmnopqrstuvwx";
    struct exchange exchange = {0};
    struct raw raw;
    assert_true(raw_open(&raw, sy_router_port(router)));
    raw_startup_packet(&raw, user, "app");
    struct sy_slice body = next_body(&raw, 'R');
    assert_int_equal(sy_u32_at(body.data, 0), SY_AUTH_CODE_SASL);
    copy(exchange.mechanisms, sizeof(exchange.mechanisms), body.data + 4, body.bytes - 4);
    take(&raw, body);
    struct sy_buf out = {0};
    sy_write_sasl_initial(&out, SY_SLICE("SCRAM-SHA-256"), sy_slice_of(first));
    raw_send(&raw, out.data, out.bytes);
    body = next_body(&raw, 'R');
    assert_int_equal(sy_u32_at(body.data, 0), SY_AUTH_CODE_SASL_CONTINUE);
    read_challenge(&exchange, body);
    char final[400];
    snprintf(final, sizeof(final), "c=biws,%.*s,p=%s", (int)exchange.nonce_bytes, body.data + 4,
             "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    take(&raw, body);
    sy_buf_clear(&out);
    sy_write_password(&out, sy_slice_of(final), false);
    raw_send(&raw, out.data, out.bytes);
    body = next_body(&raw, 'E');
    struct sy_notice_fields fields;
    assert_int_equal(sy_notice_read(body.data, body.bytes, &fields, NULL), SY_OK);
    snprintf(exchange.failure, sizeof(exchange.failure), "%.*s %.*s", (int)fields.sqlstate.bytes,
             fields.sqlstate.data, (int)fields.message.bytes, fields.message.data);
    sy_buf_release(&out);
    raw_close(&raw);
    return exchange;
}

static void strangers_look_like_users(void **state)
{
    (void)state;
    struct exchange known = ask("known"), stranger = ask("nobody"), other = ask("somebody");
    assert_string_equal(known.mechanisms, stranger.mechanisms);
    assert_int_equal(known.nonce_bytes, stranger.nonce_bytes);
    assert_int_equal(strlen(known.salt), strlen(stranger.salt));
    assert_string_equal(known.rest, stranger.rest);
    assert_string_not_equal(stranger.salt, other.salt);
    assert_string_equal(known.failure, "28P01 password authentication failed for user \"known\"");
    assert_string_equal(stranger.failure,
                        "28P01 password authentication failed for user \"nobody\"");
}

static void a_strangers_salt_outlives_the_process(void **state)
{
    (void)state;
    struct exchange known = ask("known"), clear = ask("clear"), stranger = ask("nobody");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(ask("nobody").salt, stranger.salt);
        sy_router_restart(router, true);
    }
    assert_string_equal(ask("nobody").salt, stranger.salt);
    assert_string_equal(ask("known").salt, known.salt);
    assert_string_equal(ask("clear").salt, clear.salt); /* a password is salted like a stranger */
}

int main(void)
{
    struct sy_scram_secret secret;
    struct sy_buf text = {0};
    char settings[600];
    if (sy_scram_secret_derive(SY_SLICE("secret"), (const uint8_t *)"0123456789abcdef", 16, 4096,
                               &secret, NULL) != SY_OK)
        return 1;
    sy_scram_secret_write(&secret, &text);
    snprintf(settings, sizeof(settings),
             "login_failures_max = 0;\nauth = ( { method = \"scram-sha-256\"; } );\nusers = ( { "
             "name = \"known\"; secret = \"%.*s\"; }, { name = \"clear\"; password = \"secret\"; } "
             ");\n",
             (int)text.bytes, text.data);
    sy_buf_release(&text);
    router = sy_router_start("{ name = \"app\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; "
                             "replicas = 0; } ); } );",
                             settings, getenv("SY_TEST_LOOP"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_look_like_users),
        cmocka_unit_test(a_strangers_salt_outlives_the_process),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (sy_router_stop(&router, SIGTERM) != 0)
        failed++;
    return sy_harness_finish(failed);
}
