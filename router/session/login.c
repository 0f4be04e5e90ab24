/*
 * The login of a client: whom the configuration or the servers know under its name, which method
 * the rules say, the exchange (router/auth decides, PBKDF2 runs off the loop), and what follows
 * from its success. The worker's thread.
 */
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "router/session/internal.h"

void sy_session_forget_secrets(struct sy_session *session)
{
    if (session->server_password != NULL)
        OPENSSL_cleanse(session->server_password, strlen(session->server_password));
    if (session->keys != NULL)
        OPENSSL_cleanse(session->keys, sizeof(*session->keys));
    free(session->keys);
    session->keys = NULL;
}

/* ---- who ---- */

static const struct sy_config_user *find_user(const struct sy_config *config, struct sy_slice name)
{
    for (uint32_t i = 0; i < config->user_count; i++)
        if (sy_slice_eq(sy_slice_of(config->users[i].name), name))
            return &config->users[i];
    return NULL;
}

/* user, server user and its password in one allocation. */
static bool keep_names(struct sy_session *session, struct sy_slice user,
                       const struct sy_config_user *entry)
{
    struct sy_slice server_user = sy_slice_of(entry == NULL ? NULL : entry->server_user);
    struct sy_slice password = sy_slice_of(entry == NULL                    ? NULL
                                           : entry->server_password != NULL ? entry->server_password
                                                                            : entry->password);
    char *at = calloc(1, user.bytes + server_user.bytes + password.bytes + 3);
    if (at == NULL)
        return false;
    session->user = at;
    memcpy(at, user.data, user.bytes);
    at += user.bytes + 1;
    if (server_user.data != NULL) {
        session->server_user = memcpy(at, server_user.data, server_user.bytes);
        at += server_user.bytes + 1;
    }
    if (password.data != NULL)
        session->server_password = memcpy(at, password.data, password.bytes);
    return true;
}

static enum sy_credential common_credential(const struct sy_config *config)
{
    uint32_t counts[SY_CREDENTIAL_SCRAM + 1] = {0};
    for (uint32_t i = 0; i < config->user_count; i++)
        counts[sy_credential_of(&config->users[i])]++;
    enum sy_credential best = SY_CREDENTIAL_CLEAR;
    for (int kind = SY_CREDENTIAL_CLEAR; kind <= SY_CREDENTIAL_SCRAM; kind++)
        if (counts[kind] > counts[best])
            best = (enum sy_credential)kind;
    return best;
}

static void make_nonce(char nonce[64])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char random[24];
    if (RAND_bytes(random, sizeof(random)) != 1)
        abort(); /* without random numbers nothing here is safe */
    for (size_t i = 0; i < sizeof(random); i++)
        nonce[i] = letters[random[i] & 63];
    nonce[sizeof(random)] = 0;
}

static struct sy_login_rate failure_rate(const struct sy_session *session)
{
    const struct sy_config *config = session->startup->topology->config;
    return (struct sy_login_rate){config->login_failures_max, config->login_failure_wait_us};
}

/* Before any work is done for it. */
static bool may_try(struct sy_session *session, struct sy_slice user, struct sy_err *err)
{
    struct sy_login_rate rate = failure_rate(session);
    uint64_t wait_us;
    if (sy_login_failures_allow(session->worker->process->failures, user,
                                sy_slice_of(session->peer), &rate,
                                sy_loop_now_us(session->worker->loop), &wait_us))
        return true;
    (void)sy_err_set(err, SY_E_RATE, "too many failed logins of user \"%.*s\" from %s",
                     (int)(user.bytes < 256 ? user.bytes : 256), user.data, session->peer);
    sy_err_hint(err, "Try again in %llu seconds.", (unsigned long long)(wait_us / 1000000 + 1));
    sy_counter_add(&sy_metrics_worker(session->worker->metrics)->logins_held_off, 1);
    return false;
}

/* The common name of a client certificate that an authority in client_tls.ca_file signed; data
 * NULL: none. Names with a zero byte inside are nobody's. */
static struct sy_slice certificate_name(SSL *ssl, char name[SY_LIMIT_NAME_BYTES + 2])
{
    X509 *certificate = ssl == NULL ? NULL : SSL_get0_peer_certificate(ssl);
    if (certificate == NULL || SSL_get_verify_result(ssl) != X509_V_OK ||
        (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) == 0)
        return (struct sy_slice){0};
    X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 ||
        X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) /* none, or not clear which */
        return (struct sy_slice){0};
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    unsigned char *text = NULL;
    int bytes = ASN1_STRING_to_UTF8(&text, value);
    bool good = bytes > 0 && bytes <= SY_LIMIT_NAME_BYTES && memchr(text, 0, (size_t)bytes) == NULL;
    if (good)
        memcpy(name, text, (size_t)bytes);
    OPENSSL_free(text);
    return good ? (struct sy_slice){name, (size_t)bytes} : (struct sy_slice){0};
}

/* ---- the exchange ---- */

static void after_step(struct sy_session *session, enum sy_login_step step, struct sy_buf *out,
                       struct sy_err *err);

static void hashed(struct sy_hash_job *job)
{
    struct sy_session *session = job->owner;
    struct sy_startup_state *startup = session->startup;
    startup->job_running = false;
    if (session->state == SY_SESSION_CLOSED) {
        sy_session_free_closed(session);
        return;
    }
    if (session->state >= SY_SESSION_CLOSING)
        return;
    struct sy_err err = {0};
    struct sy_buf *out = sy_session_scratch(session);
    after_step(session, sy_login_hashed(&startup->login, job, out, &err), out, &err);
    sy_session_drive(session);
}

static bool start_hash(struct sy_session *session, struct sy_err *err)
{
    struct sy_startup_state *startup = session->startup;
    sy_login_fill_job(&startup->login, &startup->job);
    startup->job.loop = session->worker->loop;
    startup->job.owner = session;
    startup->job.done = hashed;
    if (sy_hash_pool_submit(&startup->job, err) != SY_OK)
        return false;
    startup->job_running = true;
    return true;
}

static bool enter(struct sy_session *session, struct sy_err *err)
{
    if (session->wait_error != NULL) {
        *err = *session->wait_error;
        free(session->wait_error);
        session->wait_error = NULL;
        return false;
    }
    struct sy_process *process = session->worker->process;
    const struct sy_startup_state *startup = session->startup;
    const struct sy_config *config = startup->topology->config;
    const struct sy_topology_database *database = session->database->topology;
    if (startup->looked_up && startup->role.connections_max == 0)
        return sy_err_set(err, SY_E_TOO_MANY, "too many connections for role \"%s\"",
                          session->user),
               false;
    if (session->database_is_console && !session->admin && !session->stats)
        return sy_err_set(err, SY_E_PRIVILEGE, "user \"%s\" may not use the console",
                          session->user),
               false;
    if (session->database->disabled)
        return sy_err_set(err, SY_E_TOO_MANY, "database \"%.*s\" is disabled",
                          (int)session->database->name.bytes, session->database->name.data),
               false;
    uint32_t kept =
        session->admin || config->admin_slots >= config->clients_max ? 0 : config->admin_slots;
    uint32_t clients_max = config->clients_max - kept;
    struct sy_client_limits limits = {
        .all = session->database_is_console ? 0 : clients_max,
        .user = startup->entry == NULL ? 0 : startup->entry->connections_max,
        .database = database == NULL ? 0 : database->config->clients_max,
    };
    session->counted_database = session->database->name;
    if (sy_client_counts_enter(process->counts, sy_slice_of(session->user),
                               session->counted_database, &limits, err) != SY_OK)
        return false;
    session->counted = true;
    session->database->clients++;
    if (!session->database_is_console && sy_throttle_enter(session, err) != SY_OK)
        return false;
    if (sy_cancel_register(process->cancels, session->worker->index, &session->pid, session->key,
                           err) != SY_OK)
        return false;
    session->registered = true;
    if (database != NULL) {
        session->consistency = (uint8_t)database->config->reads.consistency;
        session->pinned_by_mode = database->config->pool.mode == SY_POOL_SESSION;
    }
    sy_session_settings_changed(session, sy_settings_ref(session->settings_startup));
    return true;
}

/* What a login by SCRAM has shown: enough to log in at servers with the same stored secret. */
static bool keep_keys(struct sy_session *session, struct sy_err *err)
{
    const struct sy_login *login = &session->startup->login;
    const struct sy_scram_secret *secret = &login->secret;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    if (!login->have_client_key || login->credential != SY_CREDENTIAL_SCRAM ||
        session->server_password != NULL || secret->salt_bytes > sizeof(session->keys->salt))
        return true;
    struct sy_link_keys *keys = calloc(1, sizeof(*keys));
    if (keys == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory"), false;
    memcpy(keys->client_key, login->scram.client_key, sizeof(keys->client_key));
    memcpy(keys->server_key, secret->server_key, sizeof(keys->server_key));
    memcpy(keys->salt, secret->salt, secret->salt_bytes);
    keys->salt_bytes = secret->salt_bytes;
    keys->iterations = secret->iterations;
    SHA256((const unsigned char *)keys, sizeof(*keys), digest); /* its identity is zero yet */
    memcpy(keys->identity, digest, sizeof(keys->identity));
    OPENSSL_cleanse(digest, sizeof(digest));
    session->keys = keys;
    return true;
}

static void after_step(struct sy_session *session, enum sy_login_step step, struct sy_buf *out,
                       struct sy_err *err)
{
    if (step != SY_LOGIN_FAILED)
        sy_session_put_buf(session, out);
    switch (step) {
    case SY_LOGIN_MESSAGE:
        return;
    case SY_LOGIN_HASH:
        if (start_hash(session, err))
            return;
        break;
    case SY_LOGIN_OK:
        sy_login_failures_clear(session->worker->process->failures, sy_slice_of(session->user),
                                sy_slice_of(session->peer));
        if (enter(session, err) && keep_keys(session, err)) {
            sy_counter_add(&session->database->counters->logins, 1);
            sy_session_set_state(session, SY_SESSION_WELCOME);
            sy_session_drive(session);
            return;
        }
        break;
    case SY_LOGIN_FAILED:
    default:
        if (err->status == SY_E_AUTH) {
            struct sy_login_rate rate = failure_rate(session);
            sy_login_failures_add(session->worker->process->failures, sy_slice_of(session->user),
                                  sy_slice_of(session->peer), &rate,
                                  sy_loop_now_us(session->worker->loop));
            if (session->startup->role.may_log_in) /* its password may have changed */
                sy_auth_cache_forget(session->worker->process->auth_cache, session->database->name,
                                     sy_slice_of(session->user));
        }
        if (session->database != NULL)
            sy_counter_add(&session->database->counters->login_failures, 1);
        break;
    }
    sy_session_fatal(session, err);
}

static void start_login(struct sy_session *session)
{
    struct sy_startup_state *startup = session->startup;
    const struct sy_config *config = startup->topology->config;
    struct sy_err err = {0};
    struct sy_login_input input = {
        .method = startup->method,
        .user = sy_slice_of(session->user),
        .entry = startup->entry,
        .unknown_as = startup->looked_up ? SY_CREDENTIAL_SCRAM : common_credential(config),
        .is_tls = startup->peer.is_tls,
        .is_local = sy_auth_peer_is_local(&startup->peer),
        .mock_nonce = session->worker->process->mock_nonce,
    };
    SSL *ssl = sy_stream_ssl(&session->stream);
    if (ssl != NULL && SSL_get_certificate(ssl) != NULL) {
        input.binding_bytes = sy_tls_server_end_point(SSL_get_certificate(ssl), startup->binding);
        input.binding = startup->binding;
    }
    char common_name[SY_LIMIT_NAME_BYTES + 2];
    input.certificate_user =
        certificate_name(ssl, common_name); /* looked at by sy_login_start() only */
    if (RAND_bytes(input.md5_salt, sizeof(input.md5_salt)) != 1)
        abort();
    make_nonce(input.server_nonce);
    struct sy_buf *out = sy_session_scratch(session);
    startup->login_started = true;
    after_step(session, sy_login_start(&startup->login, &input, out, &err), out, &err);
}

/* ---- users that the servers know (auth_query) ---- */

static void take_role(struct sy_session *session, const struct sy_auth_role *role)
{
    struct sy_startup_state *startup = session->startup;
    startup->looked_up = true;
    startup->role = *role;
    if (!role->may_log_in)
        return;
    startup->found = (struct sy_config_user){
        .name = session->user,
        .secret = startup->role.secret,
        .connections_max = role->connections_max > 0 ? (uint32_t)role->connections_max : 0,
    };
    startup->entry = &startup->found;
}

/* Whether such a user exists is not told, nor what is wrong with the server. */
static void cannot_look_up(struct sy_session *session)
{
    struct sy_err err = {0};
    (void)sy_err_set(&err, SY_E_CONNECTION_LOST,
                     "the password of user \"%s\" cannot be checked at the moment", session->user);
    sy_err_hint(&err, "The server that knows the database's users cannot be asked. Try again.");
    sy_session_fatal(session, &err);
}

static void on_role(void *ctx, const struct sy_auth_role *role)
{
    struct sy_session *session = ctx;
    session->startup->lookup = NULL;
    if (session->state >= SY_SESSION_CLOSING)
        return;
    if (role == NULL) {
        cannot_look_up(session);
        return;
    }
    take_role(session, role);
    start_login(session);
    sy_session_drive(session);
}

static void look_up(struct sy_session *session)
{
    struct sy_startup_state *startup = session->startup;
    struct sy_slice user = sy_slice_of(session->user);
    struct sy_auth_role role = {.may_log_in = false, .connections_max = -1};
    struct sy_err err = {0};
    bool known = user.bytes > SY_LIMIT_NAME_BYTES || /* no role has such a name */
                 sy_auth_cache_find(session->worker->process->auth_cache, session->database->name,
                                    user, sy_loop_now_us(session->worker->loop), &role);
    if (known) {
        take_role(session, &role);
        OPENSSL_cleanse(&role, sizeof(role));
        start_login(session);
        return;
    }
    if (sy_auth_lookup_start(session->worker, session->database->topology, user, on_role, session,
                             &startup->lookup, &err) == SY_OK)
        return;
    sy_log_err(SY_LOG_WARN, "a password could not be looked up", &err);
    cannot_look_up(session);
}

/* Where users are looked up, there are some, though none may be configured. */
static bool has_users(const struct sy_config *config)
{
    bool found = config->user_count > 0;
    for (uint32_t i = 0; i < config->database_count && !found; i++)
        found = config->databases[i].auth_query.user != NULL;
    return found;
}

static bool wants_lookup(const struct sy_session *session)
{
    const struct sy_startup_state *startup = session->startup;
    if (startup->entry != NULL || startup->method == SY_AUTH_REJECT ||
        startup->method == SY_AUTH_TRUST || session->database == NULL ||
        session->database->topology == NULL)
        return false;
    return session->database->topology->config->auth_query.user != NULL;
}

void sy_session_login_begin(struct sy_session *session, const struct sy_startup *packet)
{
    struct sy_startup_state *startup = session->startup;
    const struct sy_config *config = startup->topology->config;
    struct sy_auth_request request = {
        .database = packet->database, .user = packet->user, .peer = startup->peer};
    struct sy_err err = {0};
    if (!may_try(session, packet->user, &err)) {
        sy_session_fatal(session, &err);
        return;
    }
    startup->entry = find_user(config, packet->user);
    if (!keep_names(session, packet->user, startup->entry)) {
        (void)sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
        sy_session_fatal(session, &err);
        return;
    }
    bool users = has_users(config);
    startup->method =
        sy_auth_method_for(config->auth, config->auth_count, users ? 1 : 0, &request, NULL);
    session->admin = startup->entry != NULL ? startup->entry->admin : !users;
    session->stats = startup->entry != NULL ? startup->entry->stats : false;
    sy_session_set_state(session, SY_SESSION_LOGIN);
    if (wants_lookup(session))
        look_up(session);
    else
        start_login(session);
}

void sy_session_login_message(struct sy_session *session)
{
    struct sy_frame frame;
    struct sy_err err = {0};
    struct sy_startup_state *startup = session->startup;
    if (startup->job_running || startup->lookup != NULL)
        return;
    if (!sy_input_frame(session, &frame, &err)) {
        if (err.status == SY_E_LIMIT)
            (void)sy_err_set(&err, SY_E_PROTOCOL, "invalid password message length");
        if (err.status != SY_OK)
            sy_session_fatal(session, &err);
        return;
    }
    struct sy_buf *out = sy_session_scratch(session);
    enum sy_login_step step = sy_login_message(&startup->login, frame.body, out, &err);
    /* It may be a password. */
    OPENSSL_cleanse(frame.chunk->data + frame.from, frame.to - frame.from);
    sy_input_consume(session, &frame);
    after_step(session, step, out, &err);
}
