/* SCRAM-SHA-256: the RFC's example, both sides against each other, and what a liar gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "router/auth/scram.h"

/* RFC 7677, section 3. */
#define RFC_CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define RFC_SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_NONCE RFC_CLIENT_NONCE RFC_SERVER_NONCE
#define RFC_SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define RFC_CLIENT_FIRST "n,,n=user,r=" RFC_CLIENT_NONCE
#define RFC_SERVER_FIRST "r=" RFC_NONCE ",s=" RFC_SALT ",i=4096"
#define RFC_CLIENT_FINAL "c=biws,r=" RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static const char server_nonce[] = "0123456789abcdefghijklmn";

static void rfc_secret(struct sy_scram_secret *secret)
{
    uint8_t salt[64];
    uint32_t salt_bytes;
    struct sy_err err;
    assert_true(sy_base64_decode(SY_SLICE(RFC_SALT), salt, sizeof(salt), &salt_bytes));
    assert_int_equal(
        sy_scram_secret_derive(SY_SLICE("pencil"), salt, salt_bytes, 4096, secret, &err), SY_OK);
}

static void assert_text(const struct sy_buf *buf, const char *text)
{
    assert_false(buf->failed);
    assert_int_equal(buf->bytes, strlen(text));
    assert_memory_equal(buf->data, text, buf->bytes);
}

static void server_speaks_the_example_of_the_rfc(void **state)
{
    (void)state;
    struct sy_scram_secret secret;
    struct sy_scram_server server;
    struct sy_buf out = {.data = NULL};
    struct sy_err err;
    rfc_secret(&secret);
    sy_scram_server_init(&server, &secret, false);
    assert_int_equal(sy_scram_server_first(&server, SY_SLICE(RFC_CLIENT_FIRST), false,
                                           RFC_SERVER_NONCE, &out, &err),
                     SY_OK);
    assert_text(&out, RFC_SERVER_FIRST);
    sy_buf_clear(&out);
    assert_int_equal(sy_scram_server_final(&server, SY_SLICE(RFC_CLIENT_FINAL), &out, &err), SY_OK);
    assert_text(&out, RFC_SERVER_FINAL);
    assert_true(sy_scram_secret_matches(&secret, server.client_key, secret.server_key));
    sy_scram_server_release(&server);
    sy_buf_release(&out);
}

static void client_speaks_the_example_of_the_rfc(void **state)
{
    (void)state;
    struct sy_scram_client client;
    struct sy_buf out = {.data = NULL};
    struct sy_err err;
    uint8_t client_key[32], server_key[32];
    sy_scram_client_init(&client, false, NULL, 0);
    assert_int_equal(sy_scram_client_first(&client, RFC_CLIENT_NONCE, &out, &err), SY_OK);
    assert_text(&out, "n,,n=,r=" RFC_CLIENT_NONCE);
    /* The RFC names the user inside, PostgreSQL's clients do not. */
    sy_buf_clear(&client.first_bare);
    sy_buf_append_str(&client.first_bare, "n=user,r=" RFC_CLIENT_NONCE);
    assert_int_equal(sy_scram_client_server_first(&client, SY_SLICE(RFC_SERVER_FIRST), &err),
                     SY_OK);
    assert_int_equal(client.iterations, 4096);
    assert_int_equal(sy_scram_derive_keys(SY_SLICE("pencil"), client.salt, client.salt_bytes,
                                          client.iterations, client_key, server_key, &err),
                     SY_OK);
    sy_scram_client_set_keys(&client, client_key, server_key);
    sy_buf_clear(&out);
    assert_int_equal(sy_scram_client_final(&client, &out, &err), SY_OK);
    assert_text(&out, RFC_CLIENT_FINAL);
    assert_int_equal(sy_scram_client_verify(&client, SY_SLICE(RFC_SERVER_FINAL), &err), SY_OK);
    sy_scram_client_release(&client);
    sy_buf_release(&out);
}

static void secret_survives_writing_and_reading(void **state)
{
    (void)state;
    struct sy_scram_secret secret, again;
    struct sy_buf text = {.data = NULL};
    struct sy_err err;
    rfc_secret(&secret);
    sy_scram_secret_write(&secret, &text);
    assert_int_equal(sy_scram_secret_parse((struct sy_slice){text.data, text.bytes}, &again, &err),
                     SY_OK);
    assert_memory_equal(&secret, &again, sizeof(secret));
    for (size_t cut = 0; cut < text.bytes; cut++) {
        char *piece = malloc(cut + 1);
        memcpy(piece, text.data, cut);
        assert_int_equal(sy_scram_secret_parse((struct sy_slice){piece, cut}, &again, &err),
                         SY_E_VALUE);
        free(piece);
    }
    sy_buf_release(&text);
}

struct conversation {
    bool plus, server_tls, client_knows, mock;
    const char *password;
    uint32_t client_binding, server_binding; /* first byte of the hash; 0: none */
};

/* Runs both sides against each other; the first error ends it. */
static enum sy_status converse(const struct conversation *talk)
{
    struct sy_scram_secret secret;
    struct sy_scram_server server;
    struct sy_scram_client client;
    struct sy_buf a = {.data = NULL}, b = {.data = NULL};
    struct sy_err err;
    uint8_t binding[32] = {0}, client_key[32], server_key[32];
    rfc_secret(&secret);
    sy_scram_server_init(&server, &secret, talk->mock);
    server.tls = talk->server_tls;
    server.binding[0] = (uint8_t)talk->server_binding;
    server.binding_bytes = talk->server_binding != 0 ? 32 : 0;
    binding[0] = (uint8_t)talk->client_binding;
    sy_scram_client_init(&client, talk->plus, binding, talk->client_binding != 0 ? 32 : 0);
    enum sy_status status = sy_scram_client_first(&client, "abcdefghijklmnopqrstuvwx", &a, &err);
    if (status == SY_OK)
        status = sy_scram_server_first(&server, (struct sy_slice){a.data, a.bytes}, talk->plus,
                                       server_nonce, &b, &err);
    if (status == SY_OK)
        status = sy_scram_client_server_first(&client, (struct sy_slice){b.data, b.bytes}, &err);
    if (status == SY_OK)
        status = sy_scram_derive_keys(sy_slice_of(talk->password), client.salt, client.salt_bytes,
                                      client.iterations, client_key, server_key, &err);
    if (status == SY_OK)
        sy_scram_client_set_keys(&client, client_key, server_key);
    sy_buf_clear(&a);
    sy_buf_clear(&b);
    if (status == SY_OK)
        status = sy_scram_client_final(&client, &a, &err);
    if (status == SY_OK)
        status = sy_scram_server_final(&server, (struct sy_slice){a.data, a.bytes}, &b, &err);
    if (status == SY_OK)
        status = sy_scram_client_verify(&client, (struct sy_slice){b.data, b.bytes}, &err);
    sy_scram_server_release(&server);
    sy_scram_client_release(&client);
    sy_buf_release(&a);
    sy_buf_release(&b);
    return status;
}

static void both_sides_agree_or_say_why_not(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        struct conversation talk;
        enum sy_status status;
    } rows[] = {
        {"plain", {.password = "pencil"}, SY_OK},
        {"wrong password", {.password = "pen"}, SY_E_AUTH},
        {"empty password", {.password = ""}, SY_E_AUTH},
        {"unknown user", {.password = "pencil", .mock = true}, SY_E_AUTH},
        {"bound",
         {.password = "pencil",
          .plus = true,
          .server_tls = true,
          .client_binding = 7,
          .server_binding = 7},
         SY_OK},
        {"bound to another certificate",
         {.password = "pencil",
          .plus = true,
          .server_tls = true,
          .client_binding = 7,
          .server_binding = 8},
         SY_E_AUTH_SPEC},
        {"TLS, server without PLUS", {.password = "pencil", .client_binding = 7}, SY_OK},
        {"PLUS stripped on the way",
         {.password = "pencil", .client_binding = 7, .server_tls = true, .server_binding = 7},
         SY_E_AUTH_SPEC},
        {"client without binding on TLS",
         {.password = "pencil", .server_tls = true, .server_binding = 7},
         SY_OK},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        assert_int_equal(converse(&rows[i].talk), rows[i].status);
    }
}

static void server_refuses_damaged_first_messages(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text;
        bool plus;
        enum sy_status status;
    } rows[] = {
        {"empty", "", false, SY_E_PROTOCOL},
        {"flag only", "n", false, SY_E_PROTOCOL},
        {"no header", "n=user,r=abc", false, SY_E_PROTOCOL},
        {"authorization identity", "n,a=root,n=,r=abc", false, SY_E_UNSUPPORTED},
        {"mandatory extension", "n,,m=x,n=,r=abc", false, SY_E_UNSUPPORTED},
        {"no nonce", "n,,n=user", false, SY_E_PROTOCOL},
        {"empty nonce", "n,,n=,r=", false, SY_E_PROTOCOL},
        {"nonce with a blank", "n,,n=,r=a b", false, SY_E_PROTOCOL},
        {"trailing comma", "n,,n=,r=abc,", false, SY_E_PROTOCOL},
        {"extension", "n,,n=,r=abc,x=y", false, SY_OK},
        {"binding not negotiated", "p=tls-server-end-point,,n=,r=abc", false, SY_E_PROTOCOL},
        {"binding missing", "n,,n=,r=abc", true, SY_E_PROTOCOL},
        {"binding denied", "y,,n=,r=abc", true, SY_E_PROTOCOL},
        {"other binding", "p=tls-unique,,n=,r=abc", true, SY_E_PROTOCOL},
        {"unknown flag", "q,,n=,r=abc", false, SY_E_PROTOCOL},
    };
    struct sy_scram_secret secret;
    rfc_secret(&secret);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct sy_scram_server server;
        struct sy_buf out = {.data = NULL};
        struct sy_err err;
        sy_scram_server_init(&server, &secret, false);
        assert_int_equal(sy_scram_server_first(&server, sy_slice_of(rows[i].text), rows[i].plus,
                                               server_nonce, &out, &err),
                         rows[i].status);
        if (rows[i].status != SY_OK) {
            assert_int_equal(out.bytes, 0);
            assert_int_equal(sy_scram_server_final(&server, SY_SLICE(RFC_CLIENT_FINAL), &out, &err),
                             SY_E_STATE);
        }
        sy_scram_server_release(&server);
        sy_buf_release(&out);
    }
}

static void server_limits_the_nonce(void **state)
{
    (void)state;
    struct sy_scram_secret secret;
    rfc_secret(&secret);
    for (size_t own = 225; own <= 240; own++) {
        char text[300];
        int bytes = snprintf(text, sizeof(text), "n,,n=,r=%0*d", (int)own, 0);
        struct sy_scram_server server;
        struct sy_buf out = {.data = NULL};
        struct sy_err err;
        sy_scram_server_init(&server, &secret, false);
        enum sy_status status = sy_scram_server_first(
            &server, (struct sy_slice){text, (size_t)bytes}, false, server_nonce, &out, &err);
        assert_int_equal(status, own + 24 < SY_SCRAM_NONCE_BYTES_MAX ? SY_OK : SY_E_PROTOCOL);
        sy_scram_server_release(&server);
        sy_buf_release(&out);
    }
}

static void server_refuses_damaged_final_messages(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text;
        enum sy_status status;
    } rows[] = {
        {"as it should be", RFC_CLIENT_FINAL, SY_OK},
        {"other header",
         "c=eSws,r=" RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SY_E_PROTOCOL},
        {"other nonce",
         "c=biws,r=" RFC_CLIENT_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
         SY_E_PROTOCOL},
        {"no proof", "c=biws,r=" RFC_NONCE, SY_E_PROTOCOL},
        {"short proof", "c=biws,r=" RFC_NONCE ",p=dHzb", SY_E_PROTOCOL},
        {"something behind", RFC_CLIENT_FINAL ",x=y", SY_E_PROTOCOL},
        {"bits behind the last byte",
         "c=biws,r=" RFC_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVR=", SY_E_PROTOCOL},
        {"another proof",
         "c=biws,r=" RFC_NONCE ",p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SY_E_AUTH},
        {"extension changes the proof",
         "c=biws,r=" RFC_NONCE ",x=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SY_E_AUTH},
    };
    struct sy_scram_secret secret;
    rfc_secret(&secret);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct sy_scram_server server;
        struct sy_buf out = {.data = NULL};
        struct sy_err err;
        sy_scram_server_init(&server, &secret, false);
        assert_int_equal(sy_scram_server_first(&server, SY_SLICE(RFC_CLIENT_FIRST), false,
                                               RFC_SERVER_NONCE, &out, &err),
                         SY_OK);
        assert_int_equal(sy_scram_server_final(&server, sy_slice_of(rows[i].text), &out, &err),
                         rows[i].status);
        sy_scram_server_release(&server);
        sy_buf_release(&out);
    }
}

static void client_limits_what_a_server_may_demand(void **state)
{
    (void)state;
    static const struct {
        const char *label, *text;
        enum sy_status status;
    } rows[] = {
        {"as it should be", "r=nonceX,s=AAAA,i=4096", SY_OK},
        {"the maximum", "r=nonceX,s=AAAA,i=100000", SY_OK},
        {"too few iterations", "r=nonceX,s=AAAA,i=4095", SY_E_PROTOCOL},
        {"too many", "r=nonceX,s=AAAA,i=100001", SY_E_PROTOCOL},
        {"more than 32 bits", "r=nonceX,s=AAAA,i=4294971392", SY_E_PROTOCOL},
        {"negative", "r=nonceX,s=AAAA,i=-4096", SY_E_PROTOCOL},
        {"octal", "r=nonceX,s=AAAA,i=04096", SY_E_PROTOCOL},
        {"nothing of its own", "r=nonce,s=AAAA,i=4096", SY_E_PROTOCOL},
        {"another nonce", "r=nancyX,s=AAAA,i=4096", SY_E_PROTOCOL},
        {"no salt", "r=nonceX,s=,i=4096", SY_E_PROTOCOL},
        {"damaged salt", "r=nonceX,s=AA,i=4096", SY_E_PROTOCOL},
        {"mandatory extension", "m=x,r=nonceX,s=AAAA,i=4096", SY_E_UNSUPPORTED},
        {"extension", "r=nonceX,s=AAAA,i=4096,x=y", SY_OK},
        {"empty", "", SY_E_PROTOCOL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct sy_scram_client client;
        struct sy_buf out = {.data = NULL};
        struct sy_err err;
        sy_scram_client_init(&client, false, NULL, 0);
        assert_int_equal(sy_scram_client_first(&client, "nonce", &out, &err), SY_OK);
        assert_int_equal(sy_scram_client_server_first(&client, sy_slice_of(rows[i].text), &err),
                         rows[i].status);
        sy_scram_client_release(&client);
        sy_buf_release(&out);
    }
}

static void client_wants_the_servers_signature(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "v=", "v=AAAA", "e=other-error",
                                        "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};
    uint8_t client_key[32], server_key[32];
    struct sy_err err;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct sy_scram_client client;
        struct sy_buf out = {.data = NULL};
        sy_scram_client_init(&client, false, NULL, 0);
        assert_int_equal(sy_scram_client_first(&client, RFC_CLIENT_NONCE, &out, &err), SY_OK);
        assert_int_equal(sy_scram_client_final(&client, &out, &err), SY_E_STATE);
        assert_int_equal(sy_scram_client_server_first(&client, SY_SLICE(RFC_SERVER_FIRST), &err),
                         SY_OK);
        assert_int_equal(sy_scram_derive_keys(SY_SLICE("pencil"), client.salt, client.salt_bytes,
                                              4096, client_key, server_key, &err),
                         SY_OK);
        sy_scram_client_set_keys(&client, client_key, server_key);
        assert_int_equal(sy_scram_client_final(&client, &out, &err), SY_OK);
        assert_true(sy_scram_client_verify(&client, sy_slice_of(texts[i]), &err) != SY_OK);
        assert_int_equal(sy_scram_client_verify(&client, SY_SLICE(RFC_SERVER_FINAL), &err),
                         SY_E_STATE);
        sy_scram_client_release(&client);
        sy_buf_release(&out);
    }
}

static void salt_of_an_unknown_user_is_stable(void **state)
{
    (void)state;
    const uint8_t nonce[32] = {1};
    struct sy_scram_secret a, b, c;
    sy_scram_secret_mock(SY_SLICE("nobody"), nonce, &a);
    sy_scram_secret_mock(SY_SLICE("nobody"), nonce, &b);
    sy_scram_secret_mock(SY_SLICE("somebody"), nonce, &c);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(a.salt, c.salt, a.salt_bytes);
    assert_int_equal(a.iterations, SY_SCRAM_ITERATIONS_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(server_speaks_the_example_of_the_rfc),
        cmocka_unit_test(client_speaks_the_example_of_the_rfc),
        cmocka_unit_test(secret_survives_writing_and_reading),
        cmocka_unit_test(both_sides_agree_or_say_why_not),
        cmocka_unit_test(server_refuses_damaged_first_messages),
        cmocka_unit_test(server_limits_the_nonce),
        cmocka_unit_test(server_refuses_damaged_final_messages),
        cmocka_unit_test(client_limits_what_a_server_may_demand),
        cmocka_unit_test(client_wants_the_servers_signature),
        cmocka_unit_test(salt_of_an_unknown_user_is_stable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
