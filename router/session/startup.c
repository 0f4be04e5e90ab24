/*
 * From an accepted socket to a client that may send statements: TLS and cancel requests, the
 * startup packet, the login (router/auth drives it, PBKDF2 runs off the loop), the client's
 * settings, and the parameters it is told. The worker's thread.
 */
#include <ctype.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/version.h"
#include "router/session/internal.h"

static const char console_name[] = "switchyard";

static void fatal(struct sy_session *session, struct sy_err *err)
{
    sy_session_fatal(session, err);
}

enum sy_status sy_startup_begin(struct sy_session *session, const struct sockaddr_storage *peer,
                                struct sy_err *err)
{
    struct sy_startup_state *startup = calloc(1, sizeof(*startup));
    if (startup == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_auth_peer_init(&startup->peer, peer, false);
    startup->topology = sy_topology_ref(session->worker->topology);
    session->startup = startup;
    return SY_OK;
}

void sy_startup_free(struct sy_session *session)
{
    struct sy_startup_state *startup = session->startup;
    session->startup = NULL;
    if (startup == NULL)
        return;
    if (startup->login_started)
        sy_login_release(&startup->login);
    sy_topology_unref(&startup->topology);
    free(startup);
}

/* ---- requests in front of the startup packet ---- */

static void answer_request(struct sy_session *session, enum sy_startup_kind kind)
{
    struct sy_startup_state *startup = session->startup;
    SSL_CTX *context = atomic_load(&session->worker->process->client_tls);
    bool offer = kind == SY_STARTUP_SSL && context != NULL && !startup->tls_done &&
                 !startup->peer.is_unix_socket;
    sy_session_put(session, offer ? "S" : "N", 1);
    if (!offer)
        return;
    struct sy_err err = {0};
    if (session->input_count > 0) { /* plain text behind the request could be an attacker's */
        (void)sy_err_set(&err, SY_E_PROTOCOL, "received unencrypted data after SSL request");
        fatal(session, &err);
        return;
    }
    startup->tls_done = true;
    sy_session_set_state(session, SY_SESSION_TLS);
    if (sy_stream_start_tls(&session->stream, context, true, NULL, &err) != SY_OK)
        sy_session_end(session);
}

void sy_startup_secured(struct sy_session *session)
{
    struct sy_startup_state *startup = session->startup;
    if (startup == NULL || session->state != SY_SESSION_TLS)
        return;
    startup->peer.is_tls = true;
    sy_session_set_state(session, SY_SESSION_STARTUP);
    sy_session_drive(session);
}

/* A cancel request travels to the worker that owns the session. */
struct cancel_message {
    struct sy_message message; /* first */
    struct sy_worker *worker;
    uint32_t pid;
};

static void deliver_cancel(struct sy_message *message, struct sy_loop *loop)
{
    struct cancel_message *request = (struct cancel_message *)(void *)message;
    (void)loop;
    sy_list_each_safe(node, &request->worker->sessions)
    {
        struct sy_session *session = sy_container_of(node, struct sy_session, link);
        if (session->registered && session->pid == request->pid) {
            sy_session_cancel(session);
            break;
        }
    }
    free(request);
}

static void pass_cancel(struct sy_session *session, const struct sy_startup *packet)
{
    struct sy_process *process = session->worker->process;
    uint32_t worker;
    if (sy_cancel_lookup(process->cancels, packet->cancel_pid, packet->cancel_key, &worker)) {
        struct cancel_message *request = calloc(1, sizeof(*request));
        if (request != NULL) {
            request->message.deliver = deliver_cancel;
            request->worker = process->workers[worker];
            request->pid = packet->cancel_pid;
            sy_loop_post(request->worker->loop, &request->message);
        }
    }
    sy_session_end(session);
}

/* ---- the startup packet ---- */

static bool is_setting_name(struct sy_slice name)
{
    if (name.bytes == 0 || name.bytes > SY_LIMIT_NAME_BYTES || isdigit((unsigned char)name.data[0]))
        return false;
    for (size_t i = 0; i < name.bytes; i++)
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_' && name.data[i] != '.')
            return false;
    return true;
}

static bool add_setting(struct sy_session *session, struct sy_slice name, struct sy_slice value,
                        struct sy_err *err)
{
    if (!is_setting_name(name)) {
        (void)sy_err_set(err, SY_E_NOT_FOUND, "unrecognized configuration parameter \"%.*s\"",
                         (int)name.bytes, name.data);
        return false;
    }
    char lower[SY_LIMIT_NAME_BYTES + 1];
    for (size_t i = 0; i < name.bytes; i++)
        lower[i] = (char)tolower((unsigned char)name.data[i]);
    struct sy_slice folded = {lower, name.bytes};
    struct sy_buf sql = {0};
    sy_settings_startup_sql(folded, value, &sql);
    struct sy_setting setting = {.name = folded, .sql = {sql.data, sql.bytes}, .value = value};
    struct sy_settings *next =
        sql.failed ? NULL : sy_settings_with(session->settings_startup, &setting, err);
    sy_buf_release(&sql);
    if (next == NULL)
        return false;
    sy_settings_unref(&session->settings_startup);
    session->settings_startup = next;
    return true;
}

/* options=-c name=value --name=value, with backslash before blanks. */
static bool add_options(struct sy_session *session, struct sy_slice options, struct sy_err *err)
{
    char word[1024];
    const char *at = options.data, *end = at + options.bytes;
    bool value_next = false;
    while (at < end) {
        size_t bytes = 0;
        for (; at < end && isspace((unsigned char)*at); at++)
            ;
        for (; at < end && !isspace((unsigned char)*at) && bytes < sizeof(word) - 1; at++) {
            if (*at == '\\' && at + 1 < end)
                at++;
            word[bytes++] = *at;
        }
        word[bytes] = 0;
        if (bytes == 0)
            break;
        char *setting = word;
        if (!value_next) {
            if (strcmp(word, "-c") == 0) {
                value_next = true;
                continue;
            }
            if (strncmp(word, "--", 2) == 0 || strncmp(word, "-c", 2) == 0) {
                setting = word + 2;
            } else {
                (void)sy_err_set(err, SY_E_UNSUPPORTED,
                                 "the option \"%s\" of \"options\" is not supported", word);
                sy_err_hint(err, "Use -c name=value.");
                return false;
            }
        }
        value_next = false;
        char *equals = strchr(setting, '=');
        if (equals == NULL) {
            (void)sy_err_set(err, SY_E_SYNTAX, "\"options\" needs name=value after -c");
            return false;
        }
        for (char *c = setting; c < equals; c++)
            if (*c == '-')
                *c = '_';
        if (!add_setting(session, (struct sy_slice){setting, (size_t)(equals - setting)},
                         sy_slice_of(equals + 1), err))
            return false;
    }
    return true;
}

static bool read_settings(struct sy_session *session, const struct sy_startup *packet,
                          struct sy_err *err)
{
    session->settings_startup = sy_settings_ref(session->worker->no_settings);
    for (uint32_t i = 0; i < packet->parameter_count; i++) {
        struct sy_slice name = packet->parameters[i].name, value = packet->parameters[i].value;
        if (sy_slice_eq(name, SY_SLICE("user")) || sy_slice_eq(name, SY_SLICE("database")) ||
            (name.bytes > 4 && memcmp(name.data, "_pq_.", 5) == 0))
            continue;
        if (sy_slice_eq(name, SY_SLICE("replication"))) {
            if (sy_slice_eq(value, SY_SLICE("false")) || sy_slice_eq(value, SY_SLICE("off")) ||
                sy_slice_eq(value, SY_SLICE("0")))
                continue;
            (void)sy_err_set(err, SY_E_UNSUPPORTED,
                             "replication connections are not supported through the router");
            sy_err_hint(err, "Connect to the server itself.");
            return false;
        }
        bool good = sy_slice_eq(name, SY_SLICE("options")) ? add_options(session, value, err)
                                                           : add_setting(session, name, value, err);
        if (!good)
            return false;
    }
    return true;
}

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
    struct sy_slice password = sy_slice_of(entry == NULL                ? NULL
                                           : entry->server_user != NULL ? entry->server_password
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

static void after_step(struct sy_session *session, enum sy_login_step step, struct sy_buf *out,
                       struct sy_err *err);

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

static void begin_login(struct sy_session *session, const struct sy_startup *packet)
{
    struct sy_startup_state *startup = session->startup;
    const struct sy_config *config = startup->topology->config;
    const struct sy_config_user *entry = find_user(config, packet->user);
    struct sy_auth_request request = {
        .database = packet->database, .user = packet->user, .peer = startup->peer};
    struct sy_err err = {0};
    if (!may_try(session, packet->user, &err)) {
        fatal(session, &err);
        return;
    }
    if (!keep_names(session, packet->user, entry)) {
        (void)sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
        fatal(session, &err);
        return;
    }
    struct sy_login_input input = {
        .method = sy_auth_method_for(config->auth, config->auth_count, config->user_count, &request,
                                     NULL),
        .user = sy_slice_of(session->user),
        .entry = entry,
        .unknown_as = common_credential(config),
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
    session->admin = entry != NULL ? entry->admin : config->user_count == 0;
    session->stats = entry != NULL ? entry->stats : false;
    struct sy_buf *out = sy_session_scratch(session);
    startup->login_started = true;
    sy_session_set_state(session, SY_SESSION_LOGIN);
    after_step(session, sy_login_start(&startup->login, &input, out, &err), out, &err);
}

/* The database's name is checked after the login, as PostgreSQL does: names are not for strangers.
 */
static bool keep_database(struct sy_session *session, const struct sy_startup *packet,
                          struct sy_err *err)
{
    session->database_is_console = sy_slice_eq(packet->database, sy_slice_of(console_name));
    session->database = sy_worker_database(session->worker, packet->database);
    if (session->database == NULL)
        (void)sy_err_set(err, SY_E_NO_DATABASE, "database \"%.*s\" does not exist",
                         (int)packet->database.bytes, packet->database.data);
    return session->database != NULL;
}

static void negotiate(struct sy_session *session, const struct sy_startup *packet)
{
    struct sy_slice unknown[SY_LIMIT_STARTUP_PARAMETERS];
    uint32_t count = sy_startup_options(packet, unknown);
    if (packet->minor == 0 && count == 0)
        return;
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_negotiate(out, SY_PROTOCOL_3_0, unknown, count);
    sy_session_put_buf(session, out);
}

static void handle_packet(struct sy_session *session, const struct sy_startup *packet)
{
    struct sy_err err = {0};
    switch (packet->kind) {
    case SY_STARTUP_SSL:
    case SY_STARTUP_GSSENC:
        answer_request(session, packet->kind);
        return;
    case SY_STARTUP_CANCEL:
        pass_cancel(session, packet);
        return;
    case SY_STARTUP_SESSION:
    default:
        break;
    }
    if (atomic_load(&session->worker->process->draining)) {
        (void)sy_err_set(&err, SY_E_SHUTDOWN, "the router is shutting down");
        sy_err_state(&err, "57P03");
        fatal(session, &err);
        return;
    }
    if (!read_settings(session, packet, &err)) {
        fatal(session, &err);
        return;
    }
    struct sy_err no_database = {0};
    if (!keep_database(session, packet, &no_database)) {
        session->wait_error = malloc(sizeof(no_database)); /* told after the login */
        if (session->wait_error != NULL)
            *session->wait_error = no_database;
    }
    negotiate(session, packet);
    begin_login(session, packet);
}

static bool contiguous(struct sy_session *session, struct sy_slice *ret)
{
    bool no_memory;
    if (session->input_count == 2) { /* rare: a packet in two receives */
        struct sy_chunk *chunk = sy_chunk_new(sy_input_bytes(session->input, 2) + 64);
        if (chunk == NULL)
            return false;
        for (int i = 0; i < 2; i++) {
            uint32_t bytes = session->input[i].to - session->input[i].from;
            memcpy(chunk->data + chunk->bytes,
                   session->input[i].chunk->data + session->input[i].from, bytes);
            chunk->bytes += bytes;
        }
        sy_input_drop(session->input, &session->input_count);
        sy_input_add(session->input, &session->input_count, chunk, 0, chunk->bytes, &no_memory);
        sy_chunk_unref(chunk);
    }
    if (session->input_count == 0)
        return false;
    const struct sy_piece *piece = &session->input[0];
    *ret = (struct sy_slice){piece->chunk->data + piece->from, piece->to - piece->from};
    return true;
}

static void read_packet(struct sy_session *session)
{
    struct sy_err err = {0};
    struct sy_slice data;
    uint32_t bytes = 0;
    if (!contiguous(session, &data))
        return;
    enum sy_status status = sy_startup_bytes(data.data, data.bytes, &bytes, &err);
    if (status != SY_OK) { /* whoever that is does not speak the protocol: closed without a word, as
                              PostgreSQL does */
        sy_session_end(session);
        return;
    }
    if (bytes == 0 || data.bytes < bytes)
        return;
    static _Thread_local struct sy_startup packet;
    if (sy_startup_read(data.data, bytes, &packet, &err) != SY_OK) {
        fatal(session, &err);
        return;
    }
    struct sy_piece held = session->input[0]; /* the packet's slices point into it */
    sy_chunk_ref(held.chunk);
    struct sy_frame frame = {.to = held.from + bytes};
    sy_input_consume(session, &frame);
    handle_packet(session, &packet);
    sy_chunk_unref(held.chunk);
    if (session->state == SY_SESSION_STARTUP && session->input_count > 0)
        read_packet(session);
}

/* ---- login ---- */

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
    const struct sy_config *config = session->startup->topology->config;
    const struct sy_config_user *entry = find_user(config, sy_slice_of(session->user));
    const struct sy_topology_database *database = session->database->topology;
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
        .user = entry == NULL ? 0 : entry->connections_max,
        .database = database == NULL ? 0 : database->config->clients_max,
    };
    session->counted_database = session->database->name;
    if (sy_client_counts_enter(process->counts, sy_slice_of(session->user),
                               session->counted_database, &limits, err) != SY_OK)
        return false;
    session->counted = true;
    session->database->clients++;
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
        if (enter(session, err)) {
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
        }
        if (session->database != NULL)
            sy_counter_add(&session->database->counters->login_failures, 1);
        break;
    }
    fatal(session, err);
}

static void read_password(struct sy_session *session)
{
    struct sy_frame frame;
    struct sy_err err = {0};
    struct sy_startup_state *startup = session->startup;
    if (startup->job_running)
        return;
    if (!sy_input_frame(session, &frame, &err)) {
        if (err.status == SY_E_LIMIT)
            (void)sy_err_set(&err, SY_E_PROTOCOL, "invalid password message length");
        if (err.status != SY_OK)
            fatal(session, &err);
        return;
    }
    struct sy_buf *out = sy_session_scratch(session);
    enum sy_login_step step = sy_login_message(&startup->login, frame.body, out, &err);
    sy_input_consume(session, &frame);
    after_step(session, step, out, &err);
}

/* ---- welcome ---- */

/* ParameterStatus messages for one set of startup settings, learnt from a server once. */
struct welcome {
    uint64_t settings_id;
    struct sy_buf messages;
};

static struct welcome *find_welcome(struct sy_session *session)
{
    uint64_t id = session->settings->id;
    return sy_map_get(&session->database->welcomes,
                      (struct sy_slice){(const char *)&id, sizeof(id)});
}

void sy_startup_forget_welcomes(struct sy_worker_database *database)
{
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&database->welcomes, &at, &entry);) {
        struct welcome *welcome = entry.value;
        sy_buf_release(&welcome->messages);
        free(welcome);
    }
    sy_map_clear(&database->welcomes);
}

enum { WELCOMES_MAX = 1000 };

static struct welcome *learn_welcome(struct sy_session *session,
                                     const struct sy_parameters *parameters)
{
    if (session->database->welcomes.count >= WELCOMES_MAX)
        sy_startup_forget_welcomes(session->database);
    struct welcome *welcome = calloc(1, sizeof(*welcome));
    if (welcome == NULL)
        return NULL;
    welcome->settings_id = session->settings->id;
    for (uint32_t i = 0; i < sy_parameters_count(parameters); i++) {
        struct sy_slice name, value;
        sy_parameters_at(parameters, i, &name, &value);
        if (sy_slice_eq(name, SY_SLICE("session_authorization")))
            value = sy_slice_of(session->user);
        sy_write_parameter_status(&welcome->messages, name, value);
    }
    struct sy_slice key = {(const char *)&welcome->settings_id, sizeof(welcome->settings_id)};
    if (welcome->messages.failed ||
        sy_map_put(&session->database->welcomes, key, welcome, NULL, NULL) != SY_OK) {
        sy_buf_release(&welcome->messages);
        free(welcome);
        return NULL;
    }
    return welcome;
}

static void console_welcome(struct sy_buf *out)
{
    static const char *const pairs[][2] = {{"server_version", "15.0 (switchyard " SY_VERSION ")"},
                                           {"client_encoding", "UTF8"},
                                           {"server_encoding", "UTF8"},
                                           {"DateStyle", "ISO, MDY"},
                                           {"TimeZone", "UTC"},
                                           {"standard_conforming_strings", "on"},
                                           {"integer_datetimes", "on"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        sy_write_parameter_status(out, sy_slice_of(pairs[i][0]), sy_slice_of(pairs[i][1]));
}

static void finish(struct sy_session *session, const struct welcome *welcome)
{
    struct sy_buf *out = sy_session_scratch(session);
    if (welcome != NULL)
        sy_buf_append(out, welcome->messages.data, welcome->messages.bytes);
    else
        console_welcome(out);
    sy_write_backend_key(out, session->pid,
                         (struct sy_slice){(const char *)session->key, sizeof(session->key)});
    sy_write_ready(out, 'I');
    sy_session_put_buf(session, out);
    sy_startup_free(session);
    sy_session_known(session);
    sy_timer_cancel(session->worker->loop, &session->timer);
    sy_session_set_state(session, SY_SESSION_IDLE);
    if (!session->database_is_console)
        sy_session_start_timer(session);
}

static void welcome_client(struct sy_session *session)
{
    if (session->database_is_console) {
        finish(session, NULL);
        return;
    }
    if (session->cycle_errored) { /* a server refused a setting: the ErrorResponse went out */
        sy_session_end(session);
        return;
    }
    struct welcome *welcome = find_welcome(session);
    struct sy_err err = {0};
    if (welcome == NULL) {
        struct sy_part *part;
        enum sy_step step = sy_part_get(session, 0, false, &part, &err);
        if (step == SY_STEP_DONE) {
            if (sy_part_state(part)->settings == session->worker->no_settings)
                sy_worker_learn_defaults(session->database, part->server->link->parameters);
            step = sy_part_prepare(part, &err);
        }
        if (step == SY_STEP_ERROR)
            fatal(session, &err);
        if (step != SY_STEP_DONE)
            return;
        if (session->busy_parts > 0) {
            sy_session_set_state(session, SY_SESSION_BARRIER);
            return;
        }
        welcome = learn_welcome(session, part->server->link->parameters);
        if (!session->pinned_by_mode)
            sy_parts_release_idle(session);
        sy_session_settings_changed(session, sy_settings_ref(session->settings));
    }
    if (welcome != NULL) {
        finish(session, welcome);
        return;
    }
    (void)sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
    fatal(session, &err);
}

void sy_startup_step(struct sy_session *session)
{
    switch ((enum sy_session_state)session->state) {
    case SY_SESSION_STARTUP:
        read_packet(session);
        return;
    case SY_SESSION_LOGIN:
        read_password(session);
        return;
    case SY_SESSION_WELCOME:
        welcome_client(session);
        return;
    case SY_SESSION_TLS:
    case SY_SESSION_IDLE:
    case SY_SESSION_BATCH:
    case SY_SESSION_BARRIER:
    case SY_SESSION_WAIT:
    case SY_SESSION_ACTIVE:
    case SY_SESSION_COPY_IN:
    case SY_SESSION_CLOSING:
    case SY_SESSION_CLOSED:
    case SY_SESSION_STATE_COUNT:
    default:
        return;
    }
}
