/*
 * From the startup packet to the first ReadyForQuery. The server is a peer that may be hostile:
 * every message is checked against the state, none may be longer than
 * SY_LIMIT_PREAUTH_MESSAGE_BYTES, the number of messages is bounded, every field may be missing,
 * and what a server may make us compute is limited by the SCRAM client.
 *
 * Source: PostgreSQL 15 manual 55.2.1, 55.3, 55.7.
 */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/limits.h"
#include "router/engine/postgres/link.h"
#include "router/wire/message.h"

enum { NONCE_RANDOM_BYTES = 18, NONCE_TEXT_BYTES = 25 };

/* Codes of AuthenticationRequest. */
enum auth_code {
    AUTH_OK = 0,
    AUTH_CLEARTEXT = 3,
    AUTH_MD5 = 5,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12
};

static enum sy_status protocol_error(struct pg_link *link, struct sy_err *err, const char *what)
{
    return sy_err_set(err, SY_E_PROTOCOL, "node %s broke the protocol while logging in: %s",
                      link->base.node->name, what);
}

static void send_and_release(struct pg_link *link, struct sy_buf *out)
{
    struct sy_err err = {0};
    if (out->failed) {
        (void)!sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
        pg_link_fail(link, &err);
    } else {
        sy_stream_send_copy(&link->dial.stream, out->data, out->bytes);
    }
    if (out->data != NULL)
        explicit_bzero(out->data, out->capacity); /* passwords pass through here */
    sy_buf_release(out);
}

void pg_login_begin(struct pg_link *link)
{
    const struct sy_node *node = link->base.node;
    const struct pg_login *login = link->login;
    struct sy_startup_parameter parameters[5];
    uint32_t count = 0;
    parameters[count++] = (struct sy_startup_parameter){SY_SLICE("user"), sy_slice_of(login->user)};
    parameters[count++] =
        (struct sy_startup_parameter){SY_SLICE("database"), sy_slice_of(login->database)};
    const char *name = node->application_name[0] != '\0' ? node->application_name : "switchyard";
    parameters[count++] =
        (struct sy_startup_parameter){SY_SLICE("application_name"), sy_slice_of(name)};
    if (node->client_encoding[0] != '\0' && strcmp(node->client_encoding, "auto") != 0)
        parameters[count++] = (struct sy_startup_parameter){SY_SLICE("client_encoding"),
                                                            sy_slice_of(node->client_encoding)};
    if (node->options[0] != '\0')
        parameters[count++] =
            (struct sy_startup_parameter){SY_SLICE("options"), sy_slice_of(node->options)};
    struct sy_buf out = {0};
    sy_write_startup(&out, parameters, count);
    send_and_release(link, &out);
}

void pg_login_free(struct pg_login **login)
{
    struct pg_login *self = *login;
    *login = NULL;
    if (self == NULL)
        return;
    explicit_bzero(self->password, sizeof(self->password));
    explicit_bzero(&self->keys, sizeof(self->keys));
    explicit_bzero(&self->job, sizeof(self->job));
    sy_scram_client_release(&self->scram);
    sy_buf_release(&self->in);
    free(self);
}

/* ---- authentication methods ---- */

static enum sy_status need_password(struct pg_link *link, struct sy_err *err)
{
    if (link->login->password_bytes != 0)
        return SY_OK;
    enum sy_status status =
        sy_err_set(err, SY_E_AUTH, "node %s asks for a password, but none is known for user \"%s\"",
                   link->base.node->name, link->login->user);
    sy_err_hint(err,
                "Give the node a user and a password, or a server_password to the user; a login "
                "by scram-sha-256 can also be passed on.");
    return status;
}

static enum sy_status answer_cleartext(struct pg_link *link, struct sy_err *err)
{
    enum sy_status status = need_password(link, err);
    if (status != SY_OK)
        return status;
    if (!pg_dial_is_encrypted(&link->dial) && !link->base.node->is_local) {
        status = sy_err_set(err, SY_E_AUTH_SPEC,
                            "node %s asks for a clear-text password over an unencrypted connection",
                            link->base.node->name);
        sy_err_hint(err, "Use scram-sha-256 in the server's pg_hba.conf, or TLS.");
        return status;
    }
    struct sy_buf out = {0};
    sy_write_password(&out, (struct sy_slice){link->login->password, link->login->password_bytes},
                      true);
    send_and_release(link, &out);
    return SY_OK;
}

static enum sy_status answer_md5(struct pg_link *link, struct sy_reader *body, struct sy_err *err)
{
    struct sy_slice salt = sy_read_bytes(body, 4);
    if (!sy_reader_done(body))
        return protocol_error(link, err, "bad MD5 salt");
    enum sy_status status = need_password(link, err);
    if (status != SY_OK)
        return status;
    char response[36];
    uint8_t salt_bytes[4];
    memcpy(salt_bytes, salt.data, sizeof(salt_bytes));
    sy_md5_response(sy_slice_of(link->login->user),
                    (struct sy_slice){link->login->password, link->login->password_bytes},
                    salt_bytes, response);
    struct sy_buf out = {0};
    sy_write_password(&out, sy_slice_of(response), true);
    send_and_release(link, &out);
    return SY_OK;
}

static enum sy_status make_nonce(char ret_text[static NONCE_TEXT_BYTES], struct sy_err *err)
{
    uint8_t raw[NONCE_RANDOM_BYTES];
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        return sy_err_set(err, SY_E_INTERNAL, "no random bytes");
    for (unsigned i = 0; i < NONCE_RANDOM_BYTES / 3; i++) {
        uint32_t bits = (uint32_t)raw[3 * i] << 16 | (uint32_t)raw[3 * i + 1] << 8 | raw[3 * i + 2];
        for (unsigned j = 0; j < 4; j++)
            ret_text[4 * i + j] = digits[bits >> (18 - 6 * j) & 63];
    }
    ret_text[NONCE_TEXT_BYTES - 1] = '\0';
    return SY_OK;
}

/* Chooses plain or -PLUS and the channel binding data. */
static enum sy_status choose_mechanism(struct pg_link *link, struct sy_reader *body, bool *ret_plus,
                                       struct sy_err *err)
{
    bool offered_plain = false, offered_plus = false;
    const struct sy_node *node = link->base.node;
    for (;;) {
        struct sy_slice mechanism = sy_read_cstring(body);
        if (body->failed)
            return protocol_error(link, err, "bad list of SASL mechanisms");
        if (mechanism.bytes == 0)
            break;
        offered_plain = offered_plain || sy_slice_eq(mechanism, SY_SLICE("SCRAM-SHA-256"));
        offered_plus = offered_plus || sy_slice_eq(mechanism, SY_SLICE("SCRAM-SHA-256-PLUS"));
    }
    bool encrypted = pg_dial_is_encrypted(&link->dial);
    if (offered_plus && !encrypted)
        return protocol_error(link, err, "it offers channel binding without TLS");
    bool plus = offered_plus && strcmp(node->channel_binding, "disable") != 0;
    if (!plus && strcmp(node->channel_binding, "require") == 0)
        return sy_err_set(err, SY_E_AUTH_SPEC,
                          "channel binding is required, but node %s does not offer it", node->name);
    if (!plus && !offered_plain)
        return sy_err_set(err, SY_E_AUTH_SPEC, "node %s offers no SASL mechanism that is supported",
                          node->name);
    *ret_plus = plus;
    return SY_OK;
}

static enum sy_status begin_scram(struct pg_link *link, struct sy_reader *body, struct sy_err *err)
{
    struct pg_login *login = link->login;
    bool plus = false;
    enum sy_status status = choose_mechanism(link, body, &plus, err);
    if (status == SY_OK && !login->have_keys)
        status = need_password(link, err);
    if (status != SY_OK)
        return status;
    uint8_t binding[64];
    uint32_t binding_bytes = 0;
    /* With data but without -PLUS the client says "I could have": a server that could too notices a
     * downgrade. */
    if (pg_dial_is_encrypted(&link->dial) &&
        strcmp(link->base.node->channel_binding, "disable") != 0) {
        X509 *certificate = SSL_get1_peer_certificate(sy_stream_ssl(&link->dial.stream));
        binding_bytes = certificate != NULL ? sy_tls_server_end_point(certificate, binding) : 0;
        X509_free(certificate);
        if (plus && binding_bytes == 0)
            return sy_err_set(err, SY_E_AUTH_SPEC,
                              "the certificate of node %s cannot be used for channel binding",
                              link->base.node->name);
    }
    char nonce[NONCE_TEXT_BYTES];
    struct sy_buf first = {0}, out = {0};
    sy_scram_client_init(&login->scram, plus, binding, binding_bytes);
    status = make_nonce(nonce, err);
    if (status == SY_OK)
        status = sy_scram_client_first(&login->scram, nonce, &first, err);
    if (status == SY_OK) {
        sy_write_sasl_initial(&out,
                              plus ? SY_SLICE("SCRAM-SHA-256-PLUS") : SY_SLICE("SCRAM-SHA-256"),
                              (struct sy_slice){first.data, first.bytes});
        send_and_release(link, &out);
        if (link->state == PG_LINK_AUTH)
            pg_link_set_state(link, PG_LINK_SASL_FIRST);
    }
    sy_buf_release(&first);
    return status;
}

static enum sy_status send_proof(struct pg_link *link, const uint8_t client_key[SY_SCRAM_KEY_BYTES],
                                 const uint8_t server_key[SY_SCRAM_KEY_BYTES], struct sy_err *err)
{
    struct sy_buf final = {0}, out = {0};
    sy_scram_client_set_keys(&link->login->scram, client_key, server_key);
    enum sy_status status = sy_scram_client_final(&link->login->scram, &final, err);
    if (status == SY_OK) {
        sy_write_password(&out, (struct sy_slice){final.data, final.bytes}, false);
        send_and_release(link, &out);
        link->login->proved = true;
        if (link->state != PG_LINK_CLOSING)
            pg_link_set_state(link, PG_LINK_SASL_FINAL);
    }
    sy_buf_release(&final);
    return status;
}

static void on_hashed(struct sy_hash_job *job)
{
    struct pg_login *login = job->owner;
    struct pg_link *link = login->link;
    login->hashing = false;
    if (link->gone) {
        pg_link_finish(link, link->why.status != SY_OK ? &link->why : NULL);
        return;
    }
    struct sy_err err = {0};
    enum sy_status status = job->status;
    if (link->state != PG_LINK_HASHING)
        return;
    if (status != SY_OK)
        (void)!sy_err_set(&err, status, "cannot compute the SCRAM proof for user \"%s\"",
                          login->user);
    else
        status = send_proof(link, job->client_key, job->server_key, &err);
    explicit_bzero(job->client_key, sizeof(job->client_key));
    explicit_bzero(job->server_key, sizeof(job->server_key));
    if (status != SY_OK)
        pg_link_fail(link, &err);
    else if (login->in.bytes != 0 && link->state != PG_LINK_CLOSING)
        pg_login_take(link, NULL, 0, 0);
}

/* A client's key belongs to one salt and one number of iterations. */
static bool keys_fit(const struct pg_login *login)
{
    return login->keys.iterations == login->scram.iterations &&
           login->keys.salt_bytes == login->scram.salt_bytes &&
           memcmp(login->keys.salt, login->scram.salt, login->scram.salt_bytes) == 0;
}

static enum sy_status continue_scram(struct pg_link *link, struct sy_reader *body,
                                     struct sy_err *err)
{
    struct pg_login *login = link->login;
    struct sy_slice message = sy_read_bytes(body, sy_reader_left(body));
    enum sy_status status = sy_scram_client_server_first(&login->scram, message, err);
    if (status != SY_OK)
        return status;
    if (login->have_keys) {
        if (!keys_fit(login)) {
            status = sy_err_set(err, SY_E_AUTH,
                                "the SCRAM secret of user \"%s\" is not the one that node %s has",
                                login->user, link->base.node->name);
            sy_err_hint(err, "Copy the secret of this user, salt and iterations included, from one "
                             "server to all.");
            return status;
        }
        return send_proof(link, login->keys.client_key, login->keys.server_key, err);
    }
    struct sy_hash_job *job = &login->job;
    if (login->password_bytes > sizeof(job->password) ||
        login->scram.salt_bytes > sizeof(job->salt))
        return sy_err_set(err, SY_E_AUTH, "the password of server user \"%s\" is too long",
                          login->user);
    *job = (struct sy_hash_job){
        .loop = link->base.loop,
        .password_bytes = (uint32_t)login->password_bytes,
        .salt_bytes = login->scram.salt_bytes,
        .iterations = login->scram.iterations,
        .owner = login,
        .done = on_hashed,
    };
    memcpy(job->password, login->password, login->password_bytes);
    memcpy(job->salt, login->scram.salt, login->scram.salt_bytes);
    status = sy_hash_pool_submit(job, err);
    if (status == SY_OK) {
        login->hashing = true;
        pg_link_set_state(link, PG_LINK_HASHING);
    }
    return status;
}

static enum sy_status finish_scram(struct pg_link *link, struct sy_reader *body, struct sy_err *err)
{
    struct sy_slice message = sy_read_bytes(body, sy_reader_left(body));
    enum sy_status status = sy_scram_client_verify(&link->login->scram, message, err);
    link->login->verified = status == SY_OK;
    return status;
}

static enum sy_status authenticated(struct pg_link *link, struct sy_reader *body,
                                    struct sy_err *err)
{
    const struct pg_login *login = link->login;
    if (!sy_reader_done(body))
        return protocol_error(link, err, "AuthenticationOk with a body");
    /* A server that skips the end of the exchange has not shown that it knows the secret. */
    if (login->proved != login->verified || link->state == PG_LINK_SASL_FIRST)
        return protocol_error(link, err, "it accepted without proving itself");
    if (strcmp(link->base.node->channel_binding, "require") == 0 &&
        !(login->verified && login->scram.plus))
        return sy_err_set(err, SY_E_AUTH_SPEC,
                          "channel binding is required, but node %s did not use it",
                          link->base.node->name);
    pg_link_set_state(link, PG_LINK_STARTING);
    explicit_bzero(link->login->password, sizeof(link->login->password));
    return SY_OK;
}

static enum sy_status take_auth(struct pg_link *link, struct sy_reader *body, struct sy_err *err)
{
    uint32_t code = sy_read_u32(body);
    bool first = link->state == PG_LINK_AUTH && !link->login->answered;
    switch (code) {
    case AUTH_OK:
        if (link->state == PG_LINK_STARTING)
            break;
        return authenticated(link, body, err);
    case AUTH_CLEARTEXT:
    case AUTH_MD5:
    case AUTH_SASL:
        if (!first)
            break;
        link->login->answered = true;
        if (code == AUTH_SASL)
            return begin_scram(link, body, err);
        if (code == AUTH_MD5)
            return answer_md5(link, body, err);
        return answer_cleartext(link, err);
    case AUTH_SASL_CONTINUE:
        if (link->state != PG_LINK_SASL_FIRST)
            break;
        return continue_scram(link, body, err);
    case AUTH_SASL_FINAL:
        if (link->state != PG_LINK_SASL_FINAL || link->login->verified)
            break;
        return finish_scram(link, body, err);
    default:
        return sy_err_set(err, SY_E_AUTH_SPEC,
                          "node %s asks for authentication method %u, which is not supported",
                          link->base.node->name, code);
    }
    return protocol_error(link, err, "an authentication request out of order");
}

/* ---- the other messages ---- */

static enum sy_status status_of_sqlstate(struct sy_slice sqlstate)
{
    static const struct {
        const char *sqlstate;
        enum sy_status status;
    } rows[] = {
        {"28P01", SY_E_AUTH},     {"28000", SY_E_AUTH_SPEC}, {"3D000", SY_E_NO_DATABASE},
        {"53300", SY_E_TOO_MANY}, {"42501", SY_E_PRIVILEGE}, {"57P01", SY_E_SHUTDOWN},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (sy_slice_eq(sqlstate, sy_slice_of(rows[i].sqlstate)))
            return rows[i].status;
    return SY_E_CONNECT;
}

static bool is_sqlstate(struct sy_slice text)
{
    if (text.bytes != 5)
        return false;
    for (size_t i = 0; i < 5; i++)
        if (!((text.data[i] >= '0' && text.data[i] <= '9') ||
              (text.data[i] >= 'A' && text.data[i] <= 'Z')))
            return false;
    return true;
}

static enum sy_status take_error(struct pg_link *link, const char *body, size_t bytes,
                                 struct sy_err *err)
{
    struct sy_notice_fields fields = {0};
    if (sy_notice_read(body, bytes, &fields, err) != SY_OK)
        return protocol_error(link, err, "a broken error message");
    struct sy_slice text =
        fields.message.bytes != 0 ? fields.message : SY_SLICE("the server gave no reason");
    enum sy_status status = sy_err_set(err, status_of_sqlstate(fields.sqlstate), "%.*s",
                                       (int)(text.bytes < 400 ? text.bytes : 400), text.data);
    if (is_sqlstate(fields.sqlstate))
        sy_err_state(err, fields.sqlstate.data);
    if (fields.detail.bytes != 0 && fields.detail.bytes < sizeof(err->detail))
        sy_err_detail(err, "%.*s", (int)fields.detail.bytes, fields.detail.data);
    if (fields.hint.bytes != 0 && fields.hint.bytes < sizeof(err->hint))
        sy_err_hint(err, "%.*s", (int)fields.hint.bytes, fields.hint.data);
    return status;
}

static enum sy_status take_parameter(struct pg_link *link, struct sy_reader *body,
                                     struct sy_err *err)
{
    struct sy_slice name = sy_read_cstring(body), value = sy_read_cstring(body);
    if (!sy_reader_done(body))
        return protocol_error(link, err, "a broken ParameterStatus");
    return sy_parameters_set(link->base.parameters, name, value, err);
}

static enum sy_status take_key(struct pg_link *link, struct sy_reader *body, struct sy_err *err)
{
    link->base.backend_pid = sy_read_u32(body);
    size_t bytes = sy_reader_left(body);
    if (body->failed || bytes < 4 || bytes > sizeof(link->cancel_key))
        return protocol_error(link, err, "a broken BackendKeyData");
    memcpy(link->cancel_key, body->at, bytes);
    link->cancel_key_bytes = (uint32_t)bytes;
    return SY_OK;
}

static enum sy_status take_message(struct pg_link *link, char type, const char *data,
                                   uint32_t bytes, struct sy_err *err)
{
    struct sy_reader body = sy_reader_of(data, bytes);
    bool starting = link->state == PG_LINK_STARTING;
    if (++link->login->messages > SY_LIMIT_LOGIN_MESSAGES)
        return protocol_error(link, err, "too many messages");
    if (type == 'N')
        return SY_OK;
    if (type == 'E')
        return take_error(link, data, bytes, err);
    if (type == 'R')
        return take_auth(link, &body, err);
    if (starting && type == 'S')
        return take_parameter(link, &body, err);
    if (starting && type == 'K')
        return take_key(link, &body, err);
    if (starting && type == 'Z') {
        if (bytes != 1 || data[0] != 'I')
            return protocol_error(link, err, "a new session that is not idle");
        pg_link_set_state(link, PG_LINK_READY);
        return SY_OK;
    }
    return protocol_error(link, err, "an unexpected message");
}

/* Takes the whole messages off the front of `in`. */
static enum sy_status take_messages(struct pg_link *link, struct sy_err *err)
{
    enum { HEADER_BYTES = 5 };
    struct sy_buf *in = &link->login->in;
    size_t at = 0;
    enum sy_status status = SY_OK;
    while (status == SY_OK && link->state < PG_LINK_READY && link->state != PG_LINK_HASHING &&
           link->state != PG_LINK_DIALLING && in->bytes - at >= HEADER_BYTES) {
        struct sy_reader header = sy_reader_of(in->data + at + 1, 4);
        uint32_t length = sy_read_u32(&header);
        if (length < 4 || length > SY_LIMIT_PREAUTH_MESSAGE_BYTES)
            return protocol_error(link, err, "a message of impossible length");
        if (in->bytes - at - 1 < length)
            break;
        status = take_message(link, in->data[at], in->data + at + HEADER_BYTES, length - 4, err);
        at += (size_t)1 + length;
    }
    sy_buf_consume(in, at);
    return status;
}

void pg_login_take(struct pg_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct pg_login *login = link->login;
    struct sy_err err = {0};
    if (chunk != NULL)
        sy_buf_append(&login->in, chunk->data + from, to - from);
    enum sy_status status = login->in.failed ? protocol_error(link, &err, "too much data") : SY_OK;
    if (status == SY_OK)
        status = take_messages(link, &err);
    if (status != SY_OK) {
        /* libpq's rule for sslmode=prefer: what the server refuses with TLS it may accept without.
         */
        if (link->state == PG_LINK_AUTH && !login->answered && status != SY_E_PROTOCOL &&
            pg_dial_retry_plain(&link->dial)) {
            sy_buf_clear(&login->in);
            login->messages = 0;
            pg_link_set_state(link, PG_LINK_DIALLING);
            return;
        }
        pg_link_fail(link, &err);
        return;
    }
    if (link->state != PG_LINK_READY)
        return;
    uint32_t rest = (uint32_t)login->in.bytes;
    if (rest != 0 && chunk == NULL) {
        (void)!protocol_error(link, &err, "it went ahead of the exchange");
        pg_link_fail(link, &err);
        return;
    }
    pg_dial_finished(&link->dial);
    pg_login_free(&link->login);
    link->base.events->opened(&link->base);
    /* ReadyForQuery was completed by this chunk, so what follows it lies in this chunk. */
    if (rest != 0 && link->state == PG_LINK_READY)
        link->base.events->data(&link->base, chunk, to - rest, to);
}
