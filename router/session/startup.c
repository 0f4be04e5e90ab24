/*
 * From an accepted socket to a client that may send statements: TLS and cancel requests, the
 * startup packet, the client's settings, and the parameters it is told; the login between them is
 * login.c's. The worker's thread.
 */
#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/ssl.h>
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
    sy_auth_lookup_abandon(&startup->lookup);
    sy_topology_unref(&startup->topology);
    OPENSSL_cleanse(startup, sizeof(*startup));
    free(startup);
}

/* ---- requests in front of the startup packet ---- */

static void answer_request(struct sy_session *session, enum sy_startup_kind kind)
{
    struct sy_startup_state *startup = session->startup;
    struct sy_err err = {0};
    bool may = kind == SY_STARTUP_SSL && !startup->tls_done && !startup->peer.is_unix_socket;
    SSL_CTX *context = may ? sy_process_client_tls(session->worker->process) : NULL;
    startup->asked = true;
    sy_session_put(session, context != NULL ? "S" : "N", 1);
    if (context == NULL)
        return;
    if (session->input_count > 0) { /* plain text behind the request could be an attacker's */
        (void)sy_err_set(&err, SY_E_PROTOCOL, "received unencrypted data after SSL request");
        fatal(session, &err);
    } else {
        startup->tls_done = true;
        sy_session_set_state(session, SY_SESSION_TLS);
        if (sy_stream_start_tls(&session->stream, context, true, NULL, &err) != SY_OK)
            sy_session_end(session);
    }
    SSL_CTX_free(context);
}

enum { TLS_HANDSHAKE_RECORD = 0x16 }; /* no startup packet is so long that it begins like this */

/* PostgreSQL 17's sslnegotiation=direct: the client's hello comes first, and names us by ALPN. */
static void begin_direct_tls(struct sy_session *session)
{
    struct sy_startup_state *startup = session->startup;
    SSL_CTX *context =
        startup->peer.is_unix_socket ? NULL : sy_process_client_tls(session->worker->process);
    struct sy_err err = {0};
    if (context == NULL) {
        sy_session_end(session);
        return;
    }
    struct sy_piece hello = session->input[0];
    sy_chunk_ref(hello.chunk);
    sy_input_drop(session->input, &session->input_count);
    startup->tls_done = startup->tls_direct = true;
    sy_session_set_state(session, SY_SESSION_TLS);
    if (sy_stream_start_tls_with(&session->stream, context, hello.chunk, hello.from, hello.to,
                                 &err) != SY_OK)
        sy_session_end(session);
    sy_chunk_unref(hello.chunk);
    SSL_CTX_free(context);
}

/* Without ALPN the bytes could be meant for another protocol's server: refused, as by PostgreSQL.
 */
static bool names_our_protocol(const SSL *ssl)
{
    const unsigned char *name = NULL;
    unsigned bytes = 0;
    SSL_get0_alpn_selected(ssl, &name, &bytes);
    return name != NULL;
}

void sy_startup_secured(struct sy_session *session)
{
    struct sy_startup_state *startup = session->startup;
    if (startup == NULL || session->state != SY_SESSION_TLS)
        return;
    if (startup->tls_direct && !names_our_protocol(sy_stream_ssl(&session->stream))) {
        sy_session_end(session);
        return;
    }
    startup->peer.is_tls = true;
    /* A password may come: OpenSSL is to wipe its own copy as long as the login lasts. */
    SSL_set_options(sy_stream_ssl(&session->stream), SSL_OP_CLEANSE_PLAINTEXT);
    sy_session_set_state(session, SY_SESSION_STARTUP);
    sy_session_drive(session);
}

/* A cancel request travels to the worker that owns the session, and back: its connection is closed
 * when it has been obeyed, so that a client that waits for that may send its next statement. */
struct cancel_message {
    struct sy_message message; /* first */
    struct sy_worker *worker;
    struct sy_session *asker;
    uint32_t pid;
};

static void cancel_by_pid(struct sy_worker *worker, uint32_t pid)
{
    sy_list_each_safe(node, &worker->sessions)
    {
        struct sy_session *session = sy_container_of(node, struct sy_session, link);
        if (session->registered && session->pid == pid) {
            sy_session_cancel(session);
            break;
        }
    }
}

static void on_cancel_obeyed(struct sy_message *message, struct sy_loop *loop)
{
    struct cancel_message *request = (struct cancel_message *)(void *)message;
    struct sy_session *asker = request->asker;
    (void)loop;
    free(request);
    asker->cancel_passing = false;
    if (asker->state == SY_SESSION_CLOSED)
        sy_session_free_closed(asker);
    else
        sy_session_end(asker);
}

static void deliver_cancel(struct sy_message *message, struct sy_loop *loop)
{
    struct cancel_message *request = (struct cancel_message *)(void *)message;
    (void)loop;
    cancel_by_pid(request->worker, request->pid);
    request->message.deliver = on_cancel_obeyed;
    sy_loop_post(request->asker->worker->loop, &request->message);
}

static void pass_cancel(struct sy_session *session, const struct sy_startup *packet)
{
    struct sy_process *process = session->worker->process;
    uint32_t worker;
    bool known =
        sy_cancel_lookup(process->cancels, packet->cancel_pid, packet->cancel_key, &worker);
    struct cancel_message *request = NULL;
    if (known && process->workers[worker] == session->worker)
        cancel_by_pid(session->worker, packet->cancel_pid);
    else if (known)
        request = calloc(1, sizeof(*request));
    if (request == NULL) {
        sy_session_end(session);
        return;
    }
    session->cancel_passing = true;
    *request = (struct cancel_message){.message.deliver = deliver_cancel,
                                       .worker = process->workers[worker],
                                       .asker = session,
                                       .pid = packet->cancel_pid};
    sy_loop_post(request->worker->loop, &request->message);
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
    const struct sy_auth_peer *peer = &session->startup->peer;
    if (session->startup->topology->config->client_tls.mode == SY_TLS_REQUIRE && !peer->is_tls &&
        !peer->is_unix_socket) {
        (void)sy_err_set(&err, SY_E_AUTH_SPEC, "connection requires TLS");
        sy_err_hint(&err, "Connect with sslmode=require or stricter.");
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
    sy_session_login_begin(session, packet);
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
    if (data.bytes > 0 && data.data[0] == TLS_HANDSHAKE_RECORD && !session->startup->asked &&
        !session->startup->tls_done) {
        begin_direct_tls(session);
        return;
    }
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
    if (sy_stream_ssl(&session->stream) != NULL)
        SSL_clear_options(sy_stream_ssl(&session->stream), SSL_OP_CLEANSE_PLAINTEXT);
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
        if (!session->cancel_passing)
            read_packet(session);
        return;
    case SY_SESSION_LOGIN:
        sy_session_login_message(session);
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
