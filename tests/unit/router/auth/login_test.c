/* The login machine against a small client: every method, right, wrong and unknown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "router/auth/login.h"
#include "router/wire/message.h"

/* "secret" with a salt of 16 bytes, made by sy_scram_secret_derive() in main(). */
static char scram_secret[256], md5_secret[36];
static const uint8_t mock_nonce[32] = "0123456789abcdef0123456789abcde";
static const uint8_t binding[32] = {1, 2, 3};

struct outcome {
    bool ok, hashed;
    char codes[16]; /* authentication codes seen, as letters 'a' + code */
    struct sy_err err;
};

/* The message bodies of one turn, 'R' messages only. */
static uint32_t take_auth(struct sy_buf *out, struct sy_slice *ret_data, struct outcome *outcome)
{
    uint32_t code = UINT32_MAX;
    size_t at = 0;
    while (at < out->bytes) {
        assert_int_equal(out->data[at], 'R');
        uint32_t length = sy_u32_at(out->data + at + 1, 0);
        struct sy_auth_msg message;
        struct sy_err err;
        assert_int_equal(sy_auth_read(out->data + at + 5, length - 4, &message, &err), SY_OK);
        size_t seen = strlen(outcome->codes);
        assert_true(seen + 1 < sizeof(outcome->codes));
        outcome->codes[seen] = (char)('a' + message.code);
        code = message.code;
        *ret_data = message.data;
        at += 1 + length;
    }
    return code;
}

struct client {
    const char *user, *password;
    bool plus;
    struct sy_scram_client scram;
};

/* The client's answer to an authentication request, as a message body. */
static void answer(struct client *client, uint32_t code, struct sy_slice data, struct sy_buf *reply)
{
    struct sy_err err;
    struct sy_buf whole = {.data = NULL}, inner = {.data = NULL};
    uint8_t salt[4], client_key[32], server_key[32];
    char text[36];
    switch (code) {
    case SY_AUTH_CODE_CLEARTEXT:
        sy_write_password(&whole, sy_slice_of(client->password), true);
        break;
    case SY_AUTH_CODE_MD5:
        assert_int_equal(data.bytes, 4);
        memcpy(salt, data.data, 4);
        sy_md5_response(sy_slice_of(client->user), sy_slice_of(client->password), salt, text);
        sy_write_password(&whole, sy_slice_of(text), true);
        break;
    case SY_AUTH_CODE_SASL:
        sy_scram_client_init(&client->scram, client->plus, binding, client->plus ? 32 : 0);
        assert_int_equal(
            sy_scram_client_first(&client->scram, "abcdefghijklmnopqrstuvwx", &inner, &err), SY_OK);
        sy_write_sasl_initial(
            &whole, client->plus ? SY_SLICE("SCRAM-SHA-256-PLUS") : SY_SLICE("SCRAM-SHA-256"),
            (struct sy_slice){inner.data, inner.bytes});
        break;
    case SY_AUTH_CODE_SASL_CONTINUE:
        assert_int_equal(sy_scram_client_server_first(&client->scram, data, &err), SY_OK);
        assert_int_equal(sy_scram_derive_keys(sy_slice_of(client->password), client->scram.salt,
                                              client->scram.salt_bytes, client->scram.iterations,
                                              client_key, server_key, &err),
                         SY_OK);
        sy_scram_client_set_keys(&client->scram, client_key, server_key);
        assert_int_equal(sy_scram_client_final(&client->scram, &inner, &err), SY_OK);
        sy_write_password(&whole, (struct sy_slice){inner.data, inner.bytes}, false);
        break;
    default:
        fail_msg("unexpected authentication code %u", code);
    }
    sy_buf_append(reply, whole.data + 5, whole.bytes - 5);
    sy_buf_release(&whole);
    sy_buf_release(&inner);
}

static void do_job(struct sy_login *login, struct sy_hash_job *job)
{
    memset(job, 0, sizeof(*job));
    sy_login_fill_job(login, job);
    job->status = sy_scram_derive_keys((struct sy_slice){job->password, job->password_bytes},
                                       job->salt, job->salt_bytes, job->iterations, job->client_key,
                                       job->server_key, NULL);
}

static struct outcome log_in(const struct sy_login_input *input, struct client *client)
{
    struct outcome outcome = {.ok = false};
    struct sy_login login;
    struct sy_buf out = {.data = NULL}, reply = {.data = NULL};
    struct sy_slice data = {NULL, 0};
    enum sy_login_step step = sy_login_start(&login, input, &out, &outcome.err);
    for (;;) {
        uint32_t code = take_auth(&out, &data, &outcome);
        sy_buf_clear(&reply);
        if (step == SY_LOGIN_MESSAGE)
            answer(client, code, data, &reply);
        sy_buf_clear(&out);
        if (step == SY_LOGIN_MESSAGE) {
            step = sy_login_message(&login, (struct sy_slice){reply.data, reply.bytes}, &out,
                                    &outcome.err);
        } else if (step == SY_LOGIN_HASH) {
            struct sy_hash_job job;
            do_job(&login, &job);
            outcome.hashed = true;
            step = sy_login_hashed(&login, &job, &out, &outcome.err);
        } else {
            break;
        }
        if (step == SY_LOGIN_FAILED)
            assert_int_equal(out.bytes, 0);
    }
    outcome.ok = step == SY_LOGIN_OK;
    if (outcome.ok)
        assert_int_equal(outcome.codes[strlen(outcome.codes) - 1], 'a');
    sy_scram_client_release(&client->scram);
    sy_login_release(&login);
    sy_buf_release(&out);
    sy_buf_release(&reply);
    return outcome;
}

static struct sy_login_input input_for(enum sy_auth_method method,
                                       const struct sy_config_user *entry)
{
    struct sy_login_input input = {.method = method,
                                   .user = SY_SLICE("app"),
                                   .entry = entry,
                                   .is_local = true,
                                   .mock_nonce = mock_nonce,
                                   .md5_salt = {9, 8, 7, 6},
                                   .server_nonce = "ABCDEFGHIJKLMNOPQRSTUVWX"};
    return input;
}

static const struct sy_config_user clear_user = {.name = "app", .password = "secret"};
static const struct sy_config_user md5_user = {.name = "app", .secret = md5_secret};
static const struct sy_config_user scram_user = {.name = "app", .secret = scram_secret};
static const struct sy_config_user broken_user = {.name = "app", .secret = "SCRAM-SHA-256$1:x$y:z"};

static void right_password_gets_in_wrong_and_unknown_look_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        enum sy_auth_method method;
        const struct sy_config_user *user;
        enum sy_credential like;
        bool ok;
    } rows[] = {
        {"scram, clear", SY_AUTH_SCRAM_SHA_256, &clear_user, SY_CREDENTIAL_CLEAR, true},
        {"scram, secret", SY_AUTH_SCRAM_SHA_256, &scram_user, SY_CREDENTIAL_SCRAM, true},
        {"scram, md5 secret cannot", SY_AUTH_SCRAM_SHA_256, &md5_user, SY_CREDENTIAL_MD5, false},
        {"scram, broken secret", SY_AUTH_SCRAM_SHA_256, &broken_user, SY_CREDENTIAL_SCRAM, false},
        {"md5, clear", SY_AUTH_MD5, &clear_user, SY_CREDENTIAL_CLEAR, true},
        {"md5, md5 secret", SY_AUTH_MD5, &md5_user, SY_CREDENTIAL_MD5, true},
        {"md5, scram secret", SY_AUTH_MD5, &scram_user, SY_CREDENTIAL_SCRAM, true},
        {"password, clear", SY_AUTH_PASSWORD, &clear_user, SY_CREDENTIAL_CLEAR, true},
        {"password, md5 secret", SY_AUTH_PASSWORD, &md5_user, SY_CREDENTIAL_MD5, true},
        {"password, scram secret", SY_AUTH_PASSWORD, &scram_user, SY_CREDENTIAL_SCRAM, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct sy_login_input input = input_for(rows[i].method, rows[i].user);
        input.unknown_as = rows[i].like;
        struct client right = {.user = "app", .password = "secret"};
        struct client wrong = {.user = "app", .password = "Secret"};
        struct outcome good = log_in(&input, &right);
        assert_int_equal(good.ok, rows[i].ok);
        struct outcome bad = log_in(&input, &wrong);
        assert_false(bad.ok);
        input.entry = NULL;
        struct outcome unknown = log_in(&input, &right);
        assert_false(unknown.ok);
        assert_string_equal(bad.err.text, "password authentication failed for user \"app\"");
        assert_string_equal(unknown.err.text, bad.err.text);
        assert_string_equal(sy_err_sqlstate(&bad.err), "28P01");
        assert_string_equal(sy_err_sqlstate(&unknown.err), "28P01");
        assert_string_equal(unknown.err.detail, bad.err.detail);
        assert_string_equal(unknown.codes, bad.codes);
        assert_int_equal(unknown.hashed, bad.hashed);
    }
}

static void trust_certificate_and_reject_decide_at_once(void **state)
{
    (void)state;
    struct client client = {.user = "app", .password = "secret"};
    struct sy_login_input input = input_for(SY_AUTH_TRUST, NULL);
    assert_true(log_in(&input, &client).ok);
    input.method = SY_AUTH_REJECT;
    assert_int_equal(log_in(&input, &client).err.status, SY_E_AUTH_SPEC);
    input.method = SY_AUTH_CERT;
    input.is_tls = true;
    input.certificate_user = SY_SLICE("app");
    assert_false(log_in(&input, &client).ok);
    input.entry = &clear_user;
    assert_true(log_in(&input, &client).ok);
    input.certificate_user = SY_SLICE("ap");
    assert_false(log_in(&input, &client).ok);
    input.certificate_user = (struct sy_slice){NULL, 0};
    assert_false(log_in(&input, &client).ok);
    input.certificate_user = SY_SLICE("app");
    input.is_tls = false;
    assert_int_equal(log_in(&input, &client).err.status, SY_E_AUTH_SPEC);
}

static void clear_passwords_need_tls_or_loopback(void **state)
{
    (void)state;
    struct client client = {.user = "app", .password = "secret"};
    struct sy_login_input input = input_for(SY_AUTH_PASSWORD, &clear_user);
    input.is_local = false;
    assert_int_equal(log_in(&input, &client).err.status, SY_E_AUTH_SPEC);
    input.is_tls = true;
    assert_true(log_in(&input, &client).ok);
}

static void binding_is_offered_and_can_be_demanded(void **state)
{
    (void)state;
    struct client plain = {.user = "app", .password = "secret"};
    struct client plus = {.user = "app", .password = "secret", .plus = true};
    struct sy_login_input input = input_for(SY_AUTH_SCRAM_SHA_256, &scram_user);
    assert_int_equal(log_in(&input, &plus).err.status, SY_E_PROTOCOL);
    input.is_tls = true;
    input.binding = binding;
    input.binding_bytes = 32;
    assert_true(log_in(&input, &plain).ok);
    assert_true(log_in(&input, &plus).ok);
    input.method = SY_AUTH_SCRAM_SHA_256_PLUS;
    assert_true(log_in(&input, &plus).ok);
    assert_int_equal(log_in(&input, &plain).err.status, SY_E_PROTOCOL);
    input.is_tls = false;
    assert_int_equal(log_in(&input, &plus).err.status, SY_E_AUTH_SPEC);
}

static void empty_and_overlong_passwords_are_wrong(void **state)
{
    (void)state;
    char overlong[400];
    memset(overlong, 'x', sizeof(overlong) - 1);
    overlong[sizeof(overlong) - 1] = '\0';
    static const struct sy_config_user empty_user = {.name = "app", .password = ""};
    const struct sy_config_user long_user = {.name = "app", .password = overlong};
    const struct sy_config_user *const users[] = {&scram_user, &clear_user, &md5_user, &empty_user,
                                                  &long_user};
    for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
        struct client none = {.user = "app", .password = ""};
        struct sy_login_input input = input_for(SY_AUTH_PASSWORD, users[i]);
        assert_false(log_in(&input, &none).ok);
        input.method = SY_AUTH_SCRAM_SHA_256;
        assert_false(log_in(&input, &none).ok);
        struct client endless = {.user = "app", .password = overlong};
        assert_false(log_in(&input, &endless).ok);
    }
}

static void messages_out_of_turn_end_the_login(void **state)
{
    (void)state;
    struct sy_login_input input = input_for(SY_AUTH_SCRAM_SHA_256, &clear_user);
    struct sy_login login;
    struct sy_buf out = {.data = NULL};
    struct sy_err err;
    assert_int_equal(sy_login_start(&login, &input, &out, &err), SY_LOGIN_HASH);
    assert_int_equal(sy_login_message(&login, SY_SLICE("x\0"), &out, &err), SY_LOGIN_FAILED);
    struct sy_hash_job job = {.status = SY_OK};
    assert_int_equal(sy_login_hashed(&login, &job, &out, &err), SY_LOGIN_FAILED);
    assert_int_equal(sy_login_message(&login, SY_SLICE("x\0"), &out, &err), SY_LOGIN_FAILED);
    sy_login_release(&login);
    sy_login_release(&login);
    sy_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_password_gets_in_wrong_and_unknown_look_the_same),
        cmocka_unit_test(trust_certificate_and_reject_decide_at_once),
        cmocka_unit_test(clear_passwords_need_tls_or_loopback),
        cmocka_unit_test(binding_is_offered_and_can_be_demanded),
        cmocka_unit_test(empty_and_overlong_passwords_are_wrong),
        cmocka_unit_test(messages_out_of_turn_end_the_login),
    };
    static const uint8_t salt[16] = "salty salty salt";
    struct sy_scram_secret secret;
    struct sy_buf text = {.data = NULL};
    struct sy_err err;
    if (sy_scram_secret_derive(SY_SLICE("secret"), salt, sizeof(salt), 4096, &secret, &err) !=
        SY_OK)
        return 1;
    sy_scram_secret_write(&secret, &text);
    snprintf(scram_secret, sizeof(scram_secret), "%.*s", (int)text.bytes, text.data);
    sy_buf_release(&text);
    sy_md5_secret(SY_SLICE("app"), SY_SLICE("secret"), md5_secret);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
