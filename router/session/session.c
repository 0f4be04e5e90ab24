/*
 * The life of a session and its drive function. session.h has the state diagram. The worker's
 * thread.
 */
#include "router/session/session.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/encoding.h"
#include "router/session/internal.h"

enum {
    LINGER_US = 1000 * 1000,
    INPUT_HIGH_BYTES = 128 * 1024,
    INPUT_STRANGER_BYTES = 2 * SY_LIMIT_PREAUTH_MESSAGE_BYTES /* before the login is done */
};

/* ---- states ---- */

#define EDGE(state) (1u << (state))
/* What may follow each state. CLOSING may follow any. */
static const uint32_t legal_edges[SY_SESSION_STATE_COUNT] = {
    [SY_SESSION_STARTUP] = EDGE(SY_SESSION_TLS) | EDGE(SY_SESSION_LOGIN),
    [SY_SESSION_TLS] = EDGE(SY_SESSION_STARTUP),
    [SY_SESSION_LOGIN] = EDGE(SY_SESSION_WELCOME),
    [SY_SESSION_WELCOME] = EDGE(SY_SESSION_IDLE) | EDGE(SY_SESSION_WAIT) | EDGE(SY_SESSION_BARRIER),
    [SY_SESSION_IDLE] = EDGE(SY_SESSION_BATCH) | EDGE(SY_SESSION_WAIT) | EDGE(SY_SESSION_BARRIER) |
                        EDGE(SY_SESSION_ACTIVE),
    [SY_SESSION_BATCH] = EDGE(SY_SESSION_WAIT) | EDGE(SY_SESSION_BARRIER) |
                         EDGE(SY_SESSION_ACTIVE) | EDGE(SY_SESSION_COPY_IN) | EDGE(SY_SESSION_IDLE),
    [SY_SESSION_BARRIER] = EDGE(SY_SESSION_BATCH) | EDGE(SY_SESSION_IDLE) |
                           EDGE(SY_SESSION_WELCOME) | EDGE(SY_SESSION_COPY_IN),
    [SY_SESSION_WAIT] = EDGE(SY_SESSION_BATCH) | EDGE(SY_SESSION_IDLE) | EDGE(SY_SESSION_WELCOME),
    [SY_SESSION_ACTIVE] = EDGE(SY_SESSION_IDLE) | EDGE(SY_SESSION_COPY_IN) | EDGE(SY_SESSION_BATCH),
    [SY_SESSION_COPY_IN] = EDGE(SY_SESSION_ACTIVE) | EDGE(SY_SESSION_IDLE) | EDGE(SY_SESSION_BATCH),
    [SY_SESSION_CLOSING] = EDGE(SY_SESSION_CLOSED),
};

void sy_session_set_state(struct sy_session *session, enum sy_session_state state)
{
    if (session->state == state)
        return;
    bool legal = state == SY_SESSION_CLOSING || state == SY_SESSION_CLOSED ||
                 (legal_edges[session->state] & EDGE(state)) != 0;
    if (!legal) {
        if (session->state >= SY_SESSION_CLOSING)
            return; /* closing wins over whatever else happens in the same turn */
        SY_LOG(SY_LOG_ERROR, "illegal session state", SY_KV_INT("from", session->state),
               SY_KV_INT("to", state));
#ifndef NDEBUG
        abort();
#endif
    }
    session->state = (uint8_t)state;
    if (state == SY_SESSION_IDLE && session->buffers != NULL)
        sy_buffers_idle(session);
    session->state_since_us = sy_loop_now_us(session->worker->loop);
}

#ifndef NDEBUG
static void check(const struct sy_session *session)
{
    uint32_t busy = 0;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next) {
        busy += part->expect_count > 0;
        if (part->session != session || (part->server != NULL && part->server->user != part))
            abort();
    }
    if (busy != session->busy_parts)
        abort();
    if (session->state == SY_SESSION_IDLE && (busy > 0 || session->owed.bytes > 0) &&
        session->script == NULL)
        abort();
    if ((session->state == SY_SESSION_WAIT) != session->waiting &&
        session->state < SY_SESSION_CLOSING)
        abort();
}
#else
static void check(const struct sy_session *session)
{
    (void)session;
}
#endif

/* ---- to the client ---- */

void sy_session_put(struct sy_session *session, const void *data, size_t bytes)
{
    struct sy_piece *run = &session->run;
    if (run->chunk != NULL && run->to > run->from) { /* what came before goes out before */
        sy_stream_send(&session->stream, run->chunk, run->from, run->to);
        sy_counter_add(&session->database->counters->bytes_to_clients, run->to - run->from);
        run->from = run->to;
    }
    if (session->database != NULL)
        sy_counter_add(&session->database->counters->bytes_to_clients, bytes);
    if (bytes > 0 && session->state != SY_SESSION_CLOSED)
        sy_stream_send_copy(&session->stream, data, bytes);
}

void sy_session_put_buf(struct sy_session *session, const struct sy_buf *buf)
{
    if (buf->failed) {
        sy_session_end(session);
        return;
    }
    sy_session_put(session, buf->data, buf->bytes);
}

struct sy_buf *sy_session_scratch(struct sy_session *session)
{
    sy_buf_clear(&session->worker->scratch);
    return &session->worker->scratch;
}

void sy_session_put_error(struct sy_session *session, const struct sy_err *err)
{
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_error(out, "ERROR", err);
    sy_session_put_buf(session, out);
    if (session->database != NULL)
        sy_counter_add(&session->database->counters->errors, 1);
}

void sy_session_put_notice(struct sy_session *session, const char *severity,
                           const struct sy_err *err)
{
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_notice(out, severity, err);
    sy_session_put_buf(session, out);
}

void sy_session_put_complete(struct sy_session *session, const char *tag)
{
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_command_complete(out, tag);
    sy_session_put_buf(session, out);
}

/* ---- settings ---- */

struct sy_slice sy_session_setting(const struct sy_session *session, struct sy_slice name)
{
    const struct sy_setting *setting = sy_settings_find(session->settings, name);
    return setting == NULL ? (struct sy_slice){0} : setting->value;
}

bool sy_session_setting_now(const struct sy_session *session, struct sy_slice name,
                            struct sy_slice *ret_value)
{
    const struct sy_prelude_entry *found = NULL, *entry = session->txn_state == NULL
                                                              ? NULL
                                                              : session->txn_state->first;
    for (; entry != NULL; entry = entry->next)
        if (entry->is_local && sy_slice_eq(entry->name, name))
            found = entry;
    const struct sy_setting *setting =
        sy_settings_find(found != NULL ? session->settings_startup : session->settings, name);
    if (found != NULL && !found->is_default)
        *ret_value = found->value;
    else
        *ret_value = setting == NULL ? (struct sy_slice){0} : setting->value;
    return setting != NULL || (found != NULL && !found->is_default);
}

/* A zone or style that is not known is none that keys are read by. */
static struct sy_slice of_keys(const struct sy_session *session, struct sy_slice name,
                               struct sy_slice reported)
{
    struct sy_slice value;
    if (!sy_session_setting_now(session, name, &value))
        return sy_worker_database_default(session->database, reported);
    return value.data == NULL ? SY_SLICE("unknown") : value;
}

void sy_session_settings_changed(struct sy_session *session, struct sy_settings *settings)
{
    struct sy_settings *old = session->settings;
    session->settings = settings;
    sy_settings_unref(&old);
    struct sy_slice path, strings, encoding;
    (void)sy_session_setting_now(session, SY_SLICE("search_path"), &path);
    (void)sy_session_setting_now(session, SY_SLICE("standard_conforming_strings"), &strings);
    (void)sy_session_setting_now(session, SY_SLICE("client_encoding"), &encoding);
    session->time_zone = of_keys(session, SY_SLICE("timezone"), SY_SLICE("TimeZone"));
    session->date_style = of_keys(session, SY_SLICE("datestyle"), SY_SLICE("DateStyle"));
    session->scs =
        !(sy_slice_eq(strings, SY_SLICE("off")) || sy_slice_eq(strings, SY_SLICE("false")));
    struct sy_slice server =
        sy_worker_database_default(session->database, SY_SLICE("server_encoding"));
    session->encoding_differs =
        encoding.bytes > 0 && server.bytes > 0 && !sy_encoding_same(encoding, server);
    uint64_t hash = XXH3_64bits(session->database->name.data, session->database->name.bytes);
    if (path.data != NULL)
        hash = XXH3_64bits_withSeed(path.data, path.bytes, hash);
    struct sy_slice user = sy_session_current_user(session);
    if (user.bytes > 0)
        hash = XXH3_64bits_withSeed(user.data, user.bytes, hash);
    if (session->temporary_bytes > 0)
        hash = XXH3_64bits_withSeed(session->temporary, session->temporary_bytes, hash);
    session->environment = hash;
}

/* ---- schema ---- */

enum { SCHEMA_WAIT_US = 3000 * 1000, FIRST_SCHEMA_WAIT_US = 5000 * 1000, SCHEMA_POLL_US = 5000 };

static void on_schema_timer(struct sy_timer *timer)
{
    struct sy_session *session = sy_container_of(timer, struct sy_session, schema_timer);
    sy_cycle_check(session);
    sy_session_drive(session);
}

bool sy_session_awaits_schema(struct sy_session *session)
{
    if (!session->schema_changed || session->txn != 'I')
        return false;
    int64_t now = sy_loop_wall_us(session->worker->loop);
    if (session->schema_wanted_wall_us == 0) {
        session->schema_wanted_wall_us = now;
        sy_schema_refresh_request(session->database->name);
    }
    sy_worker_refresh(session->worker);
    const struct sy_topology_database *database = session->database->topology;
    if (!session->database->sharded || database == NULL || database->inspected == NULL ||
        database->inspected->read_at_us >= session->schema_wanted_wall_us ||
        now > session->schema_wanted_wall_us + SCHEMA_WAIT_US) {
        session->schema_wanted_wall_us = 0;
        session->schema_changed = false;
        return false;
    }
    sy_timer_start(session->worker->loop, &session->schema_timer, SCHEMA_POLL_US);
    return true;
}

static bool schema_is_missing(const struct sy_session *session)
{
    const struct sy_topology_database *database = session->database->topology;
    return session->database->sharded && database != NULL && database->schema == NULL &&
           database->config->engine == SY_ENGINE_POSTGRES;
}

/* True: nothing is known of a sharded database's schema yet; the next statement waits for it. */
static bool session_lacks_schema(struct sy_session *session)
{
    if (!schema_is_missing(session)) {
        session->schema_missed_wall_us = 0;
        return false;
    }
    int64_t now = sy_loop_wall_us(session->worker->loop);
    if (session->schema_missed_wall_us == 0)
        session->schema_missed_wall_us = now;
    if (now > session->schema_missed_wall_us + FIRST_SCHEMA_WAIT_US)
        return false; /* refused when it is planned */
    sy_timer_start(session->worker->loop, &session->schema_timer, SCHEMA_POLL_US * 10);
    return true;
}

enum sy_status sy_session_check_schema(const struct sy_session *session, struct sy_err *err)
{
    if (!schema_is_missing(session))
        return SY_OK;
    enum sy_status status =
        sy_err_set(err, SY_E_CONNECT, "the schema of database \"%.*s\" has not been read yet",
                   (int)session->database->name.bytes, session->database->name.data);
    sy_err_hint(err,
                "The first shard's primary must be reachable; SHOW NODES on the console tells.");
    return status;
}

/* ---- positions in the WAL ---- */

bool sy_session_wants_position(const struct sy_session *session, const struct sy_part *part)
{
    return session->database->has_replicas && part->primary &&
           session->consistency == SY_CONSISTENCY_SESSION;
}

void sy_session_saw_position(struct sy_session *session, const struct sy_part *part,
                             struct sy_slice row)
{
    unsigned high = UINT32_MAX, low = UINT32_MAX;
    struct sy_data_row_msg message;
    struct sy_err err = {0};
    if (row.data != NULL && sy_data_row_read(row.data, row.bytes, &message, &err) == SY_OK &&
        message.count == 1) {
        struct sy_slice value;
        sy_split_values(message.values, 1, &value);
        char text[32];
        snprintf(text, sizeof(text), "%.*s", (int)value.bytes,
                 value.data == NULL ? "" : value.data);
        if (sscanf(text, "%8X/%8X", &high, &low) != 2)
            high = low = UINT32_MAX;
    }
    if (session->min_lsn == NULL)
        session->min_lsn = calloc(SY_LIMIT_SHARDS, sizeof(*session->min_lsn));
    if (session->min_lsn != NULL)
        session->min_lsn[part->shard] = (uint64_t)high << 32 | low;
}

/* ---- the end ---- */

static void unwait(struct sy_session *session)
{
    if (!session->waiting)
        return;
    session->waiting = false;
    sy_pool_wait_cancel(&session->wait);
    sy_part_forget(session->waiting_part);
    session->waiting_part = NULL;
}

static void give_back_all(struct sy_session *session)
{
    struct sy_part *part = session->parts;
    while (part != NULL) {
        struct sy_part *next = part->next;
        if (part->status == 'I' && part->expect_count == 0 && !part->in_txn)
            sy_part_release(part);
        else
            sy_part_discard(part);
        part = next;
    }
}

void sy_session_known(struct sy_session *session)
{
    if (sy_list_empty(&session->stranger_link))
        return;
    sy_list_remove(&session->stranger_link);
    session->worker->stranger_count--;
    atomic_fetch_sub(&session->worker->process->unauthenticated, 1);
}

/* The oldest connection of this worker that has not logged in; of one address when it is given. */
static struct sy_session *oldest_stranger(struct sy_worker *worker, const char *peer,
                                          uint32_t *ret_count)
{
    struct sy_session *oldest = NULL;
    *ret_count = 0;
    sy_list_each(node, &worker->strangers)
    {
        struct sy_session *session = sy_container_of(node, struct sy_session, stranger_link);
        if (peer != NULL && strcmp(session->peer, peer) != 0)
            continue;
        if (oldest == NULL)
            oldest = session;
        ++*ret_count;
    }
    return oldest;
}

/* A flood of connections that never log in must not keep others out: the oldest has had the most
 * time, and goes. */
static void make_room(struct sy_worker *worker, const char *peer)
{
    const struct sy_config *config = worker->topology->config;
    uint32_t of_address, of_worker, workers = worker->process->worker_count;
    struct sy_session *gone = NULL;
    if (worker->stranger_count >= config->unauthenticated_per_address / workers) {
        gone = oldest_stranger(worker, peer, &of_address);
        if (of_address < (config->unauthenticated_per_address + workers - 1) / workers)
            gone = NULL;
    }
    if (gone == NULL &&
        atomic_load(&worker->process->unauthenticated) >= config->unauthenticated_max)
        gone = oldest_stranger(worker, NULL, &of_worker);
    if (gone == NULL)
        return;
    sy_counter_add(&sy_metrics_worker(worker->metrics)->strangers_evicted, 1);
    sy_session_known(gone);
    sy_session_end(gone);
    sy_stream_close(&gone->stream, 0);
}

void sy_session_end(struct sy_session *session)
{
    if (session->state >= SY_SESSION_CLOSING)
        return;
    sy_session_known(session);
    sy_session_set_state(session, SY_SESSION_CLOSING);
    sy_timer_cancel(session->worker->loop, &session->timer);
    sy_timer_cancel(session->worker->loop, &session->schema_timer);
    unwait(session);
    session->run.chunk = NULL;
    sy_loop_defer(session->worker->loop, &session->ending);
    sy_stream_close(&session->stream, LINGER_US);
}

/* Servers are given back at the end of the turn: the callback of one of them may be running. */
static void on_ending(struct sy_deferred *deferred)
{
    struct sy_session *session = sy_container_of(deferred, struct sy_session, ending);
    give_back_all(session);
}

void sy_session_fatal(struct sy_session *session, const struct sy_err *err)
{
    if (session->state >= SY_SESSION_CLOSING)
        return;
    if (sy_is_mid_message(session)) {
        sy_session_end(session);
        return;
    }
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_error(out, "FATAL", err);
    sy_session_put_buf(session, out);
    sy_session_end(session);
}

static void leave_counts(struct sy_session *session)
{
    struct sy_process *process = session->worker->process;
    if (session->registered)
        sy_cancel_unregister(process->cancels, session->pid);
    if (session->counted) {
        sy_client_counts_leave(process->counts, sy_slice_of(session->user),
                               session->counted_database);
        session->database->clients--;
    }
    sy_session_known(session);
}

static void free_session(struct sy_session *session)
{
    struct sy_worker *worker = session->worker;
    unwait(session);
    sy_loop_defer_cancel(&session->ending);
    sy_loop_defer_cancel(&session->resume);
    sy_script_free(session);
    sy_fresh_free(session);
    sy_parts_discard_or_release(session);
    leave_counts(session);
    sy_timer_cancel(worker->loop, &session->timer);
    sy_timer_cancel(worker->loop, &session->schema_timer);
    sy_startup_free(session);
    sy_extended_free(session);
    sy_effect_drop(session);
    sy_effect_forget_cursors(session, true);
    sy_copy_free(session);
    sy_asking_free(session);
    sy_declaring_free(session);
    sy_txn_unwatch(session);
    sy_txn_free(session);
    sy_gather_reset(session);
    free(session->gather);
    if (session->replay.chunk != NULL)
        sy_chunk_unref(session->replay.chunk);
    sy_input_drop(session->input, &session->input_count);
    sy_buf_release(&session->owed);
    sy_buf_release(&session->held_columns);
    sy_settings_unref(&session->settings);
    sy_settings_unref(&session->settings_startup);
    free(session->wait_error);
    sy_throttle_free(session);
    sy_buffers_free(session);
    sy_session_forget_secrets(session);
    free(session->user);
    free(session->temporary);
    free(session->min_lsn);
    sy_list_remove(&session->link);
    worker->session_count--;
    sy_counter_add(&sy_metrics_worker(worker->metrics)->clients_closed, 1);
    free(session);
    sy_worker_session_gone(worker);
}

void sy_parts_discard_or_release(struct sy_session *session)
{
    give_back_all(session);
}

/* ---- events ---- */

static struct sy_session *of_stream(struct sy_stream *stream)
{
    return sy_container_of(stream, struct sy_session, stream);
}

static bool takes_frames(const struct sy_session *session)
{
    return session->state == SY_SESSION_IDLE || session->state == SY_SESSION_BATCH ||
           session->state == SY_SESSION_COPY_IN;
}

/* More was received than can be handled now: the rest stays in the socket, and so with the sender.
 */
static bool has_enough(const struct sy_session *session)
{
    if (sy_buffers_wait(session))
        return true;
    if (takes_frames(session) && session->script == NULL && !session->cancel_sent &&
        !sy_stream_congested(&session->stream) && !sy_throttle_waits(session))
        return false;
    uint32_t most = session->state < SY_SESSION_IDLE ? INPUT_STRANGER_BYTES : INPUT_HIGH_BYTES;
    return sy_input_bytes(session->input, session->input_count) > most;
}

static void on_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct sy_session *session = of_stream(stream);
    if (session->state >= SY_SESSION_CLOSING)
        return;
    bool no_memory;
    sy_input_add(session->input, &session->input_count, chunk, from, to, &no_memory);
    if (no_memory) {
        sy_session_end(session);
        return;
    }
    if (session->database != NULL)
        sy_counter_add(&session->database->counters->bytes_from_clients, to - from);
    sy_session_drive(session);
    if (session->state < SY_SESSION_CLOSING && !session->client_paused && has_enough(session)) {
        session->client_paused = true;
        sy_stream_pause(&session->stream);
    }
}

static void on_drained(struct sy_stream *stream)
{
    struct sy_session *session = of_stream(stream);
    if (session->buffers != NULL)
        sy_buffers_drained(session);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->paused || part->stalled || part->server == NULL)
            continue;
        part->paused = false;
        part->server->link->engine->resume(part->server->link);
    }
    if (sy_merge_pending(session)) {
        sy_merge_pump(session);
        sy_cycle_check(session);
    }
    if (session->input_count > 0 || session->client_paused)
        sy_session_drive(session);
}

static void on_closed(struct sy_stream *stream, const struct sy_err *why)
{
    struct sy_session *session = of_stream(stream);
    (void)why;
    if (session->state < SY_SESSION_CLOSING)
        sy_session_set_state(session, SY_SESSION_CLOSING);
    sy_session_set_state(session, SY_SESSION_CLOSED);
    if (session->startup != NULL && session->startup->job_running)
        return; /* the hash pool still writes into it; startup.c frees the session then */
    if (session->console_running != NULL || session->cancel_passing)
        return;
    free_session(session);
}

void sy_session_free_closed(struct sy_session *session)
{
    free_session(session);
}

static void on_secured(struct sy_stream *stream)
{
    sy_startup_secured(of_stream(stream));
}

static const struct sy_stream_events stream_events = {
    .secured = on_secured, .data = on_data, .drained = on_drained, .closed = on_closed};

/* ---- drive ---- */

static enum sy_step handle(struct sy_session *session, const struct sy_frame *frame)
{
    switch (frame->type) {
    case 'Q':
        if (session->database_is_console)
            return sy_session_console(session, frame);
        return session->in_batch ? sy_extended_query_in_batch(session, frame)
                                 : sy_simple_query(session, frame);
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
    case 'H':
    case 'S':
        if (session->database_is_console)
            return sy_session_console_extended(session, frame);
        return sy_extended_message(session, frame);
    case 'F':
        return session->in_batch ? sy_extended_query_in_batch(session, frame)
                                 : sy_simple_function_call(session, frame);
    case 'X':
        sy_session_end(session);
        return SY_STEP_AGAIN;
    case 'd':
    case 'c':
    case 'f':
        return SY_STEP_DONE; /* COPY data that was on its way when the COPY failed */
    default: {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_PROTOCOL, "invalid frontend message type %d", frame->type);
        sy_session_fatal(session, &err);
        return SY_STEP_AGAIN;
    }
    }
}

static void flush_parts(struct sy_session *session)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        sy_part_flush(part);
}

/* True: there may be more to do. */
static bool one_frame(struct sy_session *session)
{
    struct sy_frame frame;
    struct sy_err err;
    sy_err_init(&err);
    if (!sy_input_frame(session, &frame, &err)) {
        /* A length that cannot be: where the next message begins is not known. */
        bool copying = session->state == SY_SESSION_COPY_IN;
        if (err.status == SY_E_PROTOCOL && copying) /* the error of the COPY, and then the end */
            sy_session_put_error(session, &err);
        if ((err.status == SY_E_LIMIT || err.status == SY_E_PROTOCOL) && copying)
            (void)sy_err_set(&err, SY_E_PROTOCOL,
                             "terminating connection because protocol synchronization was lost");
        if (err.status == SY_E_LIMIT)
            sy_session_end(session);
        else if (err.status != SY_OK)
            sy_session_fatal(session, &err);
        return false;
    }
    if (session->state == SY_SESSION_IDLE)
        sy_worker_refresh(session->worker);
    if (session->database->topology == NULL && !session->database_is_console) {
        (void)sy_err_set(&err, SY_E_NO_DATABASE, "the database was removed from the configuration");
        sy_err_state(&err, "57P01");
        sy_session_fatal(session, &err);
        return false;
    }
    if (session->state == SY_SESSION_IDLE && frame.type != 'X' && session_lacks_schema(session))
        return false;
    bool copying = session->state == SY_SESSION_COPY_IN;
    enum sy_step step = copying ? sy_copy_message(session, &frame) : handle(session, &frame);
    if (session->state >= SY_SESSION_CLOSING)
        return false;
    if (step == SY_STEP_DONE) {
        sy_input_consume(session, &frame);
        if (session->throttle != NULL)
            sy_throttle_handled(session);
        if (session->buffers != NULL)
            sy_buffers_handled(session);
    }
    sy_arena_reset(&session->worker->arena);
    if (session->state == SY_SESSION_ACTIVE && session->busy_parts == 0 &&
        session->console_running == NULL)
        sy_cycle_check(session);
    return step == SY_STEP_DONE;
}

/* Servers that the session keeps (in a transaction) may still have to be reached by a cancel that
 * was meant for a statement that has ended: it must not hit the next one. */
static bool cancel_is_under_way(struct sy_session *session)
{
    if (session->script != NULL) /* its next statement belongs to the same message */
        return false;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->server != NULL && sy_pool_cancels(part->server))
            return true;
    session->cancel_sent = false;
    return false;
}

static bool drive_once(struct sy_session *session)
{
    if (session->state < SY_SESSION_IDLE) {
        sy_startup_step(session);
        return false;
    }
    if (!takes_frames(session))
        return false;
    if (session->state == SY_SESSION_COPY_IN && session->client_paused && !sy_buffers_wait(session))
        return false; /* the server does not keep up */
    if (session->state != SY_SESSION_COPY_IN && sy_stream_congested(&session->stream))
        return false; /* the client does not read its answers: it gets no more of them */
    if (session->leave_when_idle && session->state == SY_SESSION_IDLE && session->txn == 'I' &&
        session->script == NULL) {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_SHUTDOWN,
                         "terminating connection due to administrator command");
        sy_session_fatal(session, &err);
        return false;
    }
    if (session->cancel_sent && session->state == SY_SESSION_IDLE && cancel_is_under_way(session))
        return false; /* on_cancelled() of backend.c drives again */
    return one_frame(session);
}

void sy_session_drive(struct sy_session *session)
{
    if (session->driving) {
        session->driving_again = true;
        return;
    }
    session->driving = true;
    bool more;
    do {
        session->driving_again = false;
        enum sy_session_state before = (enum sy_session_state)session->state;
        more = drive_once(session);
        more = more || session->driving_again ||
               (before < SY_SESSION_IDLE && session->state == SY_SESSION_IDLE);
    } while (more && session->state < SY_SESSION_CLOSING);
    session->driving = false;
    if (session->state >= SY_SESSION_CLOSING)
        return;
    flush_parts(session);
    if (session->client_paused && takes_frames(session) && session->state != SY_SESSION_COPY_IN &&
        !sy_stream_congested(&session->stream) && !sy_buffers_wait(session) &&
        (session->wants_more ||
         sy_input_bytes(session->input, session->input_count) < INPUT_HIGH_BYTES)) {
        session->client_paused = false;
        sy_stream_resume(&session->stream);
    }
    check(session);
}

void sy_session_yield(struct sy_session *session)
{
    sy_loop_defer(session->worker->loop, &session->resume);
}

bool sy_session_yields(const struct sy_session *session)
{
    return !sy_list_empty(&session->resume.link);
}

static void on_resume(struct sy_deferred *deferred)
{
    struct sy_session *session = sy_container_of(deferred, struct sy_session, resume);
    sy_session_drive(session);
}

/* ---- time limits ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a == 0 ? b : b == 0 || a < b ? a : b;
}

/* When the next limit of the present state is due, 0: none. `ret_error` says what its passing
 * means. */
static uint64_t next_limit(const struct sy_session *session, struct sy_err *err)
{
    const struct sy_config_database *config = session->database->topology->config;
    uint64_t due = 0;
    if (session->state == SY_SESSION_IDLE && session->txn == 'I' &&
        config->timeouts.idle_client_us > 0) {
        due = session->state_since_us + config->timeouts.idle_client_us;
        (void)sy_err_set(err, SY_E_IDLE_TIMEOUT,
                         "terminating connection due to idle-session timeout");
    }
    if (session->state == SY_SESSION_IDLE && session->txn != 'I' &&
        config->timeouts.idle_transaction_us > 0) {
        due = session->state_since_us + config->timeouts.idle_transaction_us;
        (void)sy_err_set(err, SY_E_IDLE_TXN_TIMEOUT,
                         "terminating connection due to idle-in-transaction timeout");
    }
    if (session->txn != 'I' && session->txn_state != NULL && config->timeouts.transaction_us > 0) {
        uint64_t end = session->txn_state->began_us + config->timeouts.transaction_us;
        if (sooner(due, end) == end)
            (void)sy_err_set(err, SY_E_TIMEOUT,
                             "terminating connection due to transaction timeout");
        due = sooner(due, end);
    }
    return due;
}

void sy_session_start_timer(struct sy_session *session)
{
    if (session->database->topology == NULL)
        return;
    const struct sy_config_database *config = session->database->topology->config;
    if (config->timeouts.idle_client_us == 0 && config->timeouts.idle_transaction_us == 0 &&
        config->timeouts.transaction_us == 0 && config->timeouts.query_us == 0)
        return;
    struct sy_err err = {0};
    uint64_t now = sy_loop_now_us(session->worker->loop), due = next_limit(session, &err);
    if (session->state > SY_SESSION_IDLE && config->timeouts.query_us > 0)
        due = sooner(due, session->cycle_started_us + config->timeouts.query_us);
    /* Armed no later than the shortest limit, so that a state that begins meanwhile is not missed.
     */
    uint64_t shortest =
        sooner(sooner(config->timeouts.idle_client_us, config->timeouts.idle_transaction_us),
               sooner(config->timeouts.transaction_us, config->timeouts.query_us));
    uint64_t delay = due > now ? due - now : due == 0 ? shortest : 1000;
    if (!sy_timer_armed(&session->timer) || session->timer.due_us > now + delay)
        sy_timer_start(session->worker->loop, &session->timer, delay < shortest ? delay : shortest);
}

static void on_login_timeout(struct sy_session *session)
{
    struct sy_err err = {0};
    (void)sy_err_set(&err, SY_E_TIMEOUT, "canceling authentication due to timeout");
    sy_err_state(&err, "08006");
    sy_session_fatal(session, &err);
}

static void on_timer(struct sy_timer *timer)
{
    struct sy_session *session = sy_container_of(timer, struct sy_session, timer);
    if (session->startup != NULL) {
        on_login_timeout(session);
        return;
    }
    if (session->database->topology == NULL)
        return;
    struct sy_err err = {0};
    uint64_t now = sy_loop_now_us(session->worker->loop), due = next_limit(session, &err);
    if (due != 0 && due <= now) {
        sy_session_fatal(session, &err);
        return;
    }
    uint64_t query = session->database->topology->config->timeouts.query_us;
    if (query > 0 && session->state > SY_SESSION_IDLE && session->cycle_started_us + query <= now)
        sy_session_cancel(session);
    sy_session_start_timer(session);
}

/* ---- from outside ---- */

void sy_session_cancel(struct sy_session *session)
{
    if (session->state == SY_SESSION_WAIT) {
        struct sy_err *err = malloc(sizeof(*err));
        if (err == NULL)
            return;
        unwait(session);
        *err = (struct sy_err){0};
        (void)sy_err_set(err, SY_E_CANCELED, "canceling statement due to user request");
        session->wait_error = err;
        sy_session_set_state(session, session->in_batch          ? SY_SESSION_BATCH
                                      : session->startup != NULL ? SY_SESSION_WELCOME
                                                                 : SY_SESSION_IDLE);
        sy_session_drive(session);
        return;
    }
    if (session->phase == SY_PHASE_PREPARE)
        sy_two_phase_cancel(session);
    else if (session->phase != SY_PHASE_NONE)
        return; /* a COMMIT over several servers is not interrupted when it may be decided */
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (part->expect_count == 0 || part->server == NULL)
            continue;
        session->cancel_sent = true;
        sy_pool_cancel(part->server);
    }
}

void sy_session_drain(struct sy_session *session)
{
    session->leave_when_idle = true;
    if (session->state < SY_SESSION_IDLE) {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_SHUTDOWN, "the router is shutting down");
        sy_err_state(&err, "57P03");
        sy_session_fatal(session, &err);
        return;
    }
    sy_session_drive(session);
}

void sy_session_kill(struct sy_session *session, const char *text)
{
    struct sy_err err = {0};
    (void)sy_err_set(&err, SY_E_SHUTDOWN, "%s", text);
    sy_session_fatal(session, &err);
}

static void describe_peer(struct sy_session *session, const struct sockaddr_storage *peer)
{
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)peer;
        inet_ntop(AF_INET, &in->sin_addr, session->peer, sizeof(session->peer));
        session->peer_port = ntohs(in->sin_port);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)peer;
        inet_ntop(AF_INET6, &in->sin6_addr, session->peer, sizeof(session->peer));
        session->peer_port = ntohs(in->sin6_port);
    } else {
        snprintf(session->peer, sizeof(session->peer), "unix");
    }
}

enum sy_status sy_session_open(struct sy_worker *worker, int fd,
                               const struct sockaddr_storage *peer, struct sy_err *err)
{
    static _Atomic uint64_t last_id;
    struct sy_session *session = calloc(1, sizeof(*session));
    if (session == NULL) {
        close(fd);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    session->worker = worker;
    session->id = atomic_fetch_add(&last_id, 1) + 1;
    session->txn = 'I';
    session->scs = true;
    sy_list_init(&session->link);
    sy_list_init(&session->stranger_link);
    sy_timer_init(&session->timer, on_timer);
    sy_timer_init(&session->schema_timer, on_schema_timer);
    sy_deferred_init(&session->ending, on_ending);
    sy_deferred_init(&session->resume, on_resume);
    describe_peer(session, peer);
    make_room(worker, session->peer);
    session->connected_us = sy_loop_now_us(worker->loop);
    session->connected_wall_us = sy_loop_wall_us(worker->loop);
    enum sy_status status = sy_startup_begin(session, peer, err);
    if (status == SY_OK)
        status = sy_stream_open(&session->stream, worker->loop, fd, &stream_events, err);
    else
        close(fd);
    if (status != SY_OK) {
        sy_startup_free(session);
        free(session);
        return status;
    }
    atomic_fetch_add(&worker->process->unauthenticated, 1);
    worker->stranger_count++;
    sy_list_append(&worker->strangers, &session->stranger_link);
    sy_list_append(&worker->sessions, &session->link);
    worker->session_count++;
    sy_scheduling_watch(worker);
    sy_counter_add(&sy_metrics_worker(worker->metrics)->clients_accepted, 1);
    sy_timer_start(worker->loop, &session->timer, worker->topology->config->login_timeout_us);
    return SY_OK;
}
