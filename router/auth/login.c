/* Client logins. Pure; runs on the session's loop. See login.h for the states. */
#include "router/auth/login.h"

#include <openssl/crypto.h>
#include <string.h>

#include "router/auth/scram_keys.h"
#include "router/wire/message.h"

#define MECHANISM "SCRAM-SHA-256"
#define MECHANISM_PLUS "SCRAM-SHA-256-PLUS"

enum { MOCK_PASSWORD_BYTES = 32 };

static enum sy_login_step fail(struct sy_login *login)
{
    login->state = SY_LOGIN_AT_END;
    return SY_LOGIN_FAILED;
}

/* The one answer for a wrong password, an unknown user and an unusable credential. */
static enum sy_login_step wrong_password(struct sy_login *login, struct sy_err *err)
{
    struct sy_slice user = login->input.user;
    sy_err_set(err, SY_E_AUTH, "password authentication failed for user \"%.*s\"",
               (int)(user.bytes < 256 ? user.bytes : 256), user.data);
    return fail(login);
}

static enum sy_login_step not_allowed(struct sy_login *login, struct sy_err *err, const char *why,
                                      const char *hint)
{
    sy_err_set(err, SY_E_AUTH_SPEC, "%s", why);
    if (hint != NULL)
        sy_err_hint(err, "%s", hint);
    return fail(login);
}

static enum sy_login_step succeed(struct sy_login *login, struct sy_buf *out)
{
    sy_write_auth(out, SY_AUTH_CODE_OK, (struct sy_slice){NULL, 0});
    login->state = SY_LOGIN_AT_END;
    return SY_LOGIN_OK;
}

/* ---- credentials ---- */

enum sy_credential sy_credential_of(const struct sy_config_user *user)
{
    if (user == NULL)
        return SY_CREDENTIAL_NONE;
    if (user->password != NULL)
        return SY_CREDENTIAL_CLEAR;
    struct sy_slice secret = sy_slice_of(user->secret);
    struct sy_scram_secret parsed;
    if (sy_md5_is_secret(secret))
        return SY_CREDENTIAL_MD5;
    if (secret.data != NULL && sy_scram_secret_parse(secret, &parsed, NULL) == SY_OK)
        return SY_CREDENTIAL_SCRAM;
    return SY_CREDENTIAL_NONE;
}

/* Decides what the exchange looks like: the user's own credential, or an imitation that must fail.
 */
static void choose_credential(struct sy_login *login, bool md5_usable)
{
    enum sy_credential own = sy_credential_of(login->input.entry);
    login->mock = own == SY_CREDENTIAL_NONE || (own == SY_CREDENTIAL_MD5 && !md5_usable);
    login->credential = login->mock ? login->input.unknown_as : own;
    if (login->credential == SY_CREDENTIAL_NONE ||
        (login->credential == SY_CREDENTIAL_MD5 && !md5_usable))
        login->credential = SY_CREDENTIAL_SCRAM;
    if (login->credential == SY_CREDENTIAL_MD5)
        return;
    sy_scram_secret_mock(login->input.user, login->input.mock_nonce, &login->secret);
    if (login->credential == SY_CREDENTIAL_SCRAM && !login->mock &&
        sy_scram_secret_parse(sy_slice_of(login->input.entry->secret), &login->secret, NULL) !=
            SY_OK)
        login->mock = true;
}

/* What the user's password or md5 secret is compared with; for an imitation something nobody types.
 */
static struct sy_slice stored_text(const struct sy_login *login)
{
    if (login->mock)
        return (struct sy_slice){(const char *)login->input.mock_nonce, MOCK_PASSWORD_BYTES};
    return sy_slice_of(login->credential == SY_CREDENTIAL_CLEAR ? login->input.entry->password
                                                                : login->input.entry->secret);
}

/* Whether two texts are equal, in a time that depends on neither. */
static bool same_text(struct sy_slice a, struct sy_slice b)
{
    uint8_t hash_a[SY_SCRAM_KEY_BYTES], hash_b[SY_SCRAM_KEY_BYTES];
    bool ok = sy_scram_sha256(a.data, a.bytes, hash_a) && sy_scram_sha256(b.data, b.bytes, hash_b);
    bool same = ok && CRYPTO_memcmp(hash_a, hash_b, sizeof(hash_a)) == 0;
    OPENSSL_cleanse(hash_a, sizeof(hash_a));
    OPENSSL_cleanse(hash_b, sizeof(hash_b));
    return same;
}

/* ---- scram ---- */

static enum sy_login_step offer_scram(struct sy_login *login, struct sy_buf *out)
{
    const struct sy_login_input *input = &login->input;
    sy_scram_server_init(&login->scram, &login->secret, login->mock);
    struct sy_slice names = SY_SLICE(MECHANISM "\0\0");
    if (input->binding_bytes > 0 && input->binding_bytes <= sizeof(login->scram.binding)) {
        login->scram.tls = true;
        memcpy(login->scram.binding, input->binding, input->binding_bytes);
        login->scram.binding_bytes = input->binding_bytes;
        names = input->method == SY_AUTH_SCRAM_SHA_256_PLUS
                    ? SY_SLICE(MECHANISM_PLUS "\0\0")
                    : SY_SLICE(MECHANISM_PLUS "\0" MECHANISM "\0\0");
    }
    sy_write_auth(out, SY_AUTH_CODE_SASL, names);
    login->state = SY_LOGIN_AT_SCRAM_FIRST;
    return SY_LOGIN_MESSAGE;
}

static enum sy_login_step start_scram(struct sy_login *login, struct sy_buf *out,
                                      struct sy_err *err)
{
    bool plus_only = login->input.method == SY_AUTH_SCRAM_SHA_256_PLUS;
    if (plus_only && (!login->input.is_tls || login->input.binding_bytes == 0))
        return not_allowed(login, err, "connection requires TLS with channel binding",
                           "Connect with sslmode=require or stricter.");
    if (login->credential == SY_CREDENTIAL_CLEAR) {
        /* The stored password becomes a secret with the salt that an unknown user of that name
         * would get. */
        login->state = SY_LOGIN_AT_SCRAM_HASH;
        return SY_LOGIN_HASH;
    }
    return offer_scram(login, out);
}

static enum sy_login_step scram_first(struct sy_login *login, struct sy_slice body,
                                      struct sy_buf *out, struct sy_err *err)
{
    struct sy_sasl_initial_msg initial;
    if (sy_sasl_initial_read(body.data, body.bytes, &initial, err) != SY_OK)
        return fail(login);
    bool plus = sy_slice_eq(initial.mechanism, SY_SLICE(MECHANISM_PLUS));
    bool plain = sy_slice_eq(initial.mechanism, SY_SLICE(MECHANISM));
    bool plus_only = login->input.method == SY_AUTH_SCRAM_SHA_256_PLUS;
    if (!(plus && login->scram.tls) && !(plain && !plus_only)) {
        sy_err_set(err, SY_E_PROTOCOL, "client selected an invalid SASL authentication mechanism");
        return fail(login);
    }
    struct sy_buf reply = {.data = NULL};
    enum sy_status status = sy_scram_server_first(&login->scram, initial.data, plus,
                                                  login->input.server_nonce, &reply, err);
    if (status == SY_OK)
        sy_write_auth(out, SY_AUTH_CODE_SASL_CONTINUE, (struct sy_slice){reply.data, reply.bytes});
    sy_buf_release(&reply);
    if (status != SY_OK)
        return fail(login);
    login->state = SY_LOGIN_AT_SCRAM_FINAL;
    return SY_LOGIN_MESSAGE;
}

static enum sy_login_step scram_final(struct sy_login *login, struct sy_slice body,
                                      struct sy_buf *out, struct sy_err *err)
{
    struct sy_buf reply = {.data = NULL};
    enum sy_status status = sy_scram_server_final(&login->scram, body, &reply, err);
    if (status == SY_OK)
        sy_write_auth(out, SY_AUTH_CODE_SASL_FINAL, (struct sy_slice){reply.data, reply.bytes});
    sy_buf_release(&reply);
    if (status == SY_E_AUTH)
        return wrong_password(login, err);
    if (status != SY_OK)
        return fail(login);
    login->have_client_key = true;
    return succeed(login, out);
}

/* ---- md5 and clear text ---- */

static enum sy_login_step check_md5(struct sy_login *login, struct sy_slice body,
                                    struct sy_buf *out, struct sy_err *err)
{
    struct sy_slice typed;
    if (sy_string_read(body.data, body.bytes, &typed, err) != SY_OK)
        return fail(login);
    char expected[36];
    sy_md5_response(login->input.user, stored_text(login), login->input.md5_salt, expected);
    bool same = expected[0] != '\0' && same_text(typed, sy_slice_of(expected));
    OPENSSL_cleanse(expected, sizeof(expected));
    return same && !login->mock ? succeed(login, out) : wrong_password(login, err);
}

static enum sy_login_step check_password(struct sy_login *login, struct sy_slice body,
                                         struct sy_buf *out, struct sy_err *err)
{
    struct sy_slice typed;
    if (sy_string_read(body.data, body.bytes, &typed, err) != SY_OK)
        return fail(login);
    bool same = false;
    if (login->credential == SY_CREDENTIAL_SCRAM) {
        /* A password too long for a job is nobody's: wrong, like any other. */
        struct sy_hash_job *job = NULL;
        if (typed.bytes == 0 || typed.bytes > sizeof(job->password))
            return wrong_password(login, err);
        sy_buf_append_slice(&login->typed, typed);
        if (login->typed.failed) {
            sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
            return fail(login);
        }
        login->state = SY_LOGIN_AT_PASSWORD_HASH;
        return SY_LOGIN_HASH;
    }
    if (login->credential == SY_CREDENTIAL_MD5) {
        char secret[36];
        sy_md5_secret(login->input.user, typed, secret);
        same = secret[0] != '\0' && same_text(sy_slice_of(secret), stored_text(login));
        OPENSSL_cleanse(secret, sizeof(secret));
    } else {
        same = same_text(typed, stored_text(login));
    }
    return same && typed.bytes > 0 && !login->mock ? succeed(login, out)
                                                   : wrong_password(login, err);
}

/* ---- the interface ---- */

static enum sy_login_step start_certificate(struct sy_login *login, struct sy_buf *out,
                                            struct sy_err *err)
{
    const struct sy_login_input *input = &login->input;
    if (input->is_tls && input->entry != NULL && input->certificate_user.data != NULL &&
        sy_slice_eq(input->certificate_user, input->user))
        return succeed(login, out);
    return not_allowed(login, err, "certificate authentication failed",
                       "Connect with a client certificate whose common name is the user's name.");
}

enum sy_login_step sy_login_start(struct sy_login *login, const struct sy_login_input *input,
                                  struct sy_buf *out, struct sy_err *err)
{
    memset(login, 0, sizeof(*login));
    login->input = *input;
    switch (input->method) {
    case SY_AUTH_TRUST:
        return succeed(login, out);
    case SY_AUTH_CERT:
        return start_certificate(login, out, err);
    case SY_AUTH_PASSWORD:
        if (!input->is_tls && !input->is_local)
            return not_allowed(login, err, "a clear-text password is accepted over TLS only",
                               "Connect with sslmode=require or stricter.");
        choose_credential(login, true);
        sy_write_auth(out, SY_AUTH_CODE_CLEARTEXT, (struct sy_slice){NULL, 0});
        login->state = SY_LOGIN_AT_PASSWORD;
        return SY_LOGIN_MESSAGE;
    case SY_AUTH_MD5:
        choose_credential(login, true);
        if (login->credential == SY_CREDENTIAL_SCRAM)
            return start_scram(login, out, err);
        sy_write_auth(out, SY_AUTH_CODE_MD5,
                      (struct sy_slice){(const char *)login->input.md5_salt, 4});
        login->state = SY_LOGIN_AT_MD5;
        return SY_LOGIN_MESSAGE;
    case SY_AUTH_SCRAM_SHA_256:
    case SY_AUTH_SCRAM_SHA_256_PLUS:
        choose_credential(login, false);
        return start_scram(login, out, err);
    case SY_AUTH_REJECT:
    default:
        return not_allowed(login, err, "no authentication rule accepts this connection", NULL);
    }
}

enum sy_login_step sy_login_message(struct sy_login *login, struct sy_slice body,
                                    struct sy_buf *out, struct sy_err *err)
{
    switch (login->state) {
    case SY_LOGIN_AT_PASSWORD:
        return check_password(login, body, out, err);
    case SY_LOGIN_AT_MD5:
        return check_md5(login, body, out, err);
    case SY_LOGIN_AT_SCRAM_FIRST:
        return scram_first(login, body, out, err);
    case SY_LOGIN_AT_SCRAM_FINAL:
        return scram_final(login, body, out, err);
    case SY_LOGIN_AT_START:
    case SY_LOGIN_AT_PASSWORD_HASH:
    case SY_LOGIN_AT_SCRAM_HASH:
    case SY_LOGIN_AT_END:
    default:
        sy_err_set(err, SY_E_PROTOCOL, "unexpected authentication message");
        return fail(login);
    }
}

void sy_login_fill_job(const struct sy_login *login, struct sy_hash_job *job)
{
    struct sy_slice password = stored_text(login);
    if (login->state == SY_LOGIN_AT_PASSWORD_HASH)
        password = (struct sy_slice){login->typed.data, login->typed.bytes};
    /* A configured password that does not fit: no prefix of it may stand for it (sy_login_hashed
     * refuses). */
    job->password_bytes = password.bytes <= sizeof(job->password) ? (uint32_t)password.bytes : 0;
    if (job->password_bytes > 0)
        memcpy(job->password, password.data, password.bytes);
    memcpy(job->salt, login->secret.salt, sizeof(job->salt));
    job->salt_bytes = login->secret.salt_bytes;
    job->iterations = login->secret.iterations;
}

enum sy_login_step sy_login_hashed(struct sy_login *login, const struct sy_hash_job *job,
                                   struct sy_buf *out, struct sy_err *err)
{
    if (job->status != SY_OK) {
        sy_err_set(err, job->status, "passwords cannot be checked at the moment");
        return fail(login);
    }
    if (login->state == SY_LOGIN_AT_PASSWORD_HASH) {
        bool same = sy_scram_secret_matches(&login->secret, job->client_key, job->server_key);
        memcpy(login->scram.client_key, job->client_key, sizeof(login->scram.client_key));
        login->have_client_key = same && !login->mock;
        return same && !login->mock ? succeed(login, out) : wrong_password(login, err);
    }
    if (login->state != SY_LOGIN_AT_SCRAM_HASH) {
        sy_err_set(err, SY_E_STATE, "no keys were asked for");
        return fail(login);
    }
    size_t stored_bytes = stored_text(login).bytes;
    if (stored_bytes == 0 || stored_bytes > sizeof(job->password))
        login->mock = true;
    struct sy_scram_secret secret;
    sy_scram_secret_from_keys(login->secret.salt, login->secret.salt_bytes,
                              login->secret.iterations, job->client_key, job->server_key, &secret);
    login->secret = secret;
    OPENSSL_cleanse(&secret, sizeof(secret));
    return offer_scram(login, out);
}

void sy_login_release(struct sy_login *login)
{
    sy_scram_server_release(&login->scram);
    if (login->typed.data != NULL)
        OPENSSL_cleanse(login->typed.data, login->typed.capacity);
    sy_buf_release(&login->typed);
    OPENSSL_cleanse(login, sizeof(*login));
}
