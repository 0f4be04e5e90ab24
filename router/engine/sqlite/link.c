/*
 * The loop's side of a session: queues bytes in, hands bytes out, keeps back-pressure both ways.
 * Runs on the link's loop, except the functions that session.h lists, which engine threads call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "router/engine/engine.h"
#include "router/engine/parameters.h"
#include "router/engine/sqlite/session.h"
#include "router/engine/sqlite/sqlite.h"

enum { STEAL_BYTES = 16 * 1024 };

struct reply {
    struct sy_message message;
    struct sy_sqlite_link *link;
    struct reply *next;
    enum sy_sqlite_reply_kind kind;
    struct sy_chunk *chunk;
    struct sy_buf parameters; /* name, zero, value, zero, ... */
    struct sy_err *err;       /* of CLOSED, or NULL: a kilobyte that the others do without */
};

struct sy_sqlite_link {
    struct sy_link base;
    struct sy_sqlite_session *session;
    bool paused;
    struct reply *first, *last; /* held back while paused */
    struct sy_deferred deliver;
    _Atomic uint32_t in_bytes;  /* queued and not yet looked at by the session */
    _Atomic uint32_t out_bytes; /* given by the session and not yet taken by the owner */
    _Atomic bool above_high;
    struct sy_buf parameters; /* the session's: to go with its next reply */
};

/* Held while a link's last message is posted: who delivers it may free the loop, which the poster
 * is still waking. */
static pthread_mutex_t last_word = PTHREAD_MUTEX_INITIALIZER;

static struct sy_sqlite_link *of(struct sy_link *link)
{
    return sy_container_of(link, struct sy_sqlite_link, base);
}

/* ---- engine threads ---- */

static void deliver_reply(struct sy_message *message, struct sy_loop *loop);

static struct reply *reply_new(struct sy_sqlite_link *link, enum sy_sqlite_reply_kind kind)
{
    struct reply *reply = calloc(1, sizeof(*reply));
    if (reply == NULL) {
        /* Without a word to the loop its client would wait for ever: nothing sound is left to do.
         */
        SY_LOG(SY_LOG_FATAL, "out of memory", SY_KV_STR("where", "reply of the embedded engine"));
        abort();
    }
    reply->message.deliver = deliver_reply;
    reply->link = link;
    reply->kind = kind;
    reply->parameters = link->parameters;
    link->parameters = (struct sy_buf){0};
    return reply;
}

static void recycle_stolen(struct sy_chunk *chunk, void *provider)
{
    (void)provider;
    free(chunk->data);
    free(chunk);
}

static struct sy_chunk *chunk_of(struct sy_buf *out)
{
    if (out->bytes < STEAL_BYTES) {
        struct sy_chunk *chunk = sy_chunk_new((uint32_t)out->bytes);
        if (chunk != NULL) {
            memcpy(chunk->data, out->data, out->bytes);
            chunk->bytes = (uint32_t)out->bytes;
            out->bytes = 0;
        }
        return chunk;
    }
    struct sy_chunk *chunk = calloc(1, sizeof(*chunk));
    if (chunk == NULL)
        return NULL;
    *chunk = (struct sy_chunk){.data = out->data,
                               .bytes = (uint32_t)out->bytes,
                               .capacity = (uint32_t)out->capacity,
                               .refs = 1,
                               .recycle = recycle_stolen};
    *out = (struct sy_buf){.bytes_max = out->bytes_max};
    return chunk;
}

bool sy_sqlite_link_output(struct sy_sqlite_link *link, struct sy_buf *out)
{
    if (out->bytes == 0)
        return sy_sqlite_link_congested(link);
    struct reply *reply = reply_new(link, SY_REPLY_DATA);
    uint32_t bytes = (uint32_t)out->bytes;
    reply->chunk = chunk_of(out);
    if (reply->chunk == NULL) {
        SY_LOG(SY_LOG_FATAL, "out of memory", SY_KV_STR("where", "reply of the embedded engine"));
        abort();
    }
    uint32_t queued = atomic_fetch_add(&link->out_bytes, bytes) + bytes;
    sy_loop_post(link->base.loop, &reply->message);
    return queued > SY_LIMIT_SEND_QUEUE_HIGH_BYTES;
}

bool sy_sqlite_link_congested(struct sy_sqlite_link *link)
{
    return atomic_load(&link->out_bytes) > SY_LIMIT_SEND_QUEUE_HIGH_BYTES;
}

void sy_sqlite_link_consumed(struct sy_sqlite_link *link, size_t bytes)
{
    uint32_t left = atomic_fetch_sub(&link->in_bytes, (uint32_t)bytes) - (uint32_t)bytes;
    if (left < SY_LIMIT_SEND_QUEUE_LOW_BYTES && atomic_exchange(&link->above_high, false))
        sy_loop_post(link->base.loop, &reply_new(link, SY_REPLY_DRAINED)->message);
}

void sy_sqlite_link_parameter(struct sy_sqlite_link *link, struct sy_slice name,
                              struct sy_slice value)
{
    sy_put_cstring(&link->parameters, name);
    sy_put_cstring(&link->parameters, value);
}

void sy_sqlite_link_opened(struct sy_sqlite_link *link)
{
    sy_loop_post(link->base.loop, &reply_new(link, SY_REPLY_OPENED)->message);
}

void sy_sqlite_link_closed(struct sy_sqlite_link *link, const struct sy_err *why)
{
    struct reply *reply = reply_new(link, SY_REPLY_CLOSED);
    reply->err = why == NULL ? NULL : malloc(sizeof(*why));
    if (reply->err != NULL)
        *reply->err = *why;
    pthread_mutex_lock(&last_word);
    sy_loop_post(link->base.loop, &reply->message);
    pthread_mutex_unlock(&last_word);
}

/* ---- the loop ---- */

static void take_parameters(struct sy_sqlite_link *link, struct reply *reply)
{
    struct sy_reader reader = sy_reader_of(reply->parameters.data, reply->parameters.bytes);
    while (sy_reader_left(&reader) > 0 && !reader.failed) {
        struct sy_slice name = sy_read_cstring(&reader);
        struct sy_slice value = sy_read_cstring(&reader);
        struct sy_err err = {0};
        if (!reader.failed && sy_parameters_set(link->base.parameters, name, value, &err) != SY_OK)
            sy_log_err(SY_LOG_WARN, "parameter of the embedded engine not kept", &err);
    }
}

static void link_free(struct sy_sqlite_link *link)
{
    sy_sqlite_session_free(&link->session);
    while (link->first != NULL) {
        struct reply *reply = link->first;
        link->first = reply->next;
        if (reply->chunk != NULL)
            sy_chunk_unref(reply->chunk);
        sy_buf_release(&reply->parameters);
        free(reply);
    }
    sy_loop_defer_cancel(&link->deliver);
    sy_parameters_free(&link->base.parameters);
    sy_buf_release(&link->parameters);
    sy_node_unref(link->base.node);
    free(link);
}

static void deliver_data(struct sy_sqlite_link *link, struct reply *reply)
{
    uint32_t bytes = reply->chunk->bytes;
    link->base.events->data(&link->base, reply->chunk, 0, bytes);
    sy_chunk_unref(reply->chunk);
    uint32_t left = atomic_fetch_sub(&link->out_bytes, bytes) - bytes;
    if (left < SY_LIMIT_SEND_QUEUE_LOW_BYTES)
        sy_sqlite_session_output_taken(link->session);
}

static void deliver_now(struct sy_sqlite_link *link, struct reply *reply)
{
    const struct sy_link_events *events = link->base.events;
    take_parameters(link, reply);
    switch (reply->kind) {
    case SY_REPLY_OPENED:
        events->opened(&link->base);
        break;
    case SY_REPLY_DATA:
        deliver_data(link, reply);
        break;
    case SY_REPLY_DRAINED:
        events->drained(&link->base);
        break;
    case SY_REPLY_CLOSED:
        pthread_mutex_lock(&last_word);
        pthread_mutex_unlock(&last_word);
        events->closed(&link->base, reply->err);
        link_free(link);
        break;
    }
    sy_buf_release(&reply->parameters);
    free(reply->err);
    free(reply);
}

static void deliver_reply(struct sy_message *message, struct sy_loop *loop)
{
    (void)loop;
    struct reply *reply = sy_container_of(message, struct reply, message);
    struct sy_sqlite_link *link = reply->link;
    /* The end is told whether paused or not: nobody may want the rest any more. */
    bool held = (link->paused || link->first != NULL) && reply->kind == SY_REPLY_DATA;
    if (!held) {
        deliver_now(link, reply);
        return;
    }
    if (link->last == NULL)
        link->first = reply;
    else
        link->last->next = reply;
    link->last = reply;
}

static void deliver_held(struct sy_deferred *deferred)
{
    struct sy_sqlite_link *link = sy_container_of(deferred, struct sy_sqlite_link, deliver);
    while (!link->paused && link->first != NULL) {
        struct reply *reply = link->first;
        link->first = reply->next;
        if (link->first == NULL)
            link->last = NULL;
        reply->next = NULL;
        deliver_now(link, reply);
    }
}

/* ---- the interface ---- */

static enum sy_status link_open(struct sy_loop *loop, const struct sy_link_target *target,
                                const struct sy_link_events *events, void *owner,
                                struct sy_link **ret_link, struct sy_err *err)
{
    struct sy_sqlite_link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    link->base = (struct sy_link){
        .engine = sy_engine_sqlite(),
        .events = events,
        .owner = owner,
        .loop = loop,
        .node = sy_node_ref(target->node),
        .id = sy_link_next_id(),
        .epoch = sy_topology_current_epoch(),
        .parameters = sy_parameters_new(),
    };
    link->base.backend_pid = (uint32_t)link->base.id & 0x7fffffff;
    sy_deferred_init(&link->deliver, deliver_held);
    enum sy_status status = sy_sqlite_tasks_start(0, err);
    if (status == SY_OK && link->base.parameters == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    struct sy_slice database =
        target->client_database.bytes > 0 ? target->client_database : target->database;
    if (status == SY_OK)
        status = sy_sqlite_session_new(link, target->node, target->user, database,
                                       link->base.backend_pid, &link->session, err);
    if (status != SY_OK) {
        link_free(link);
        return status;
    }
    *ret_link = &link->base;
    sy_sqlite_task_wake(&link->session->task);
    return SY_OK;
}

static void link_send_copy(struct sy_link *base, const void *data, size_t bytes)
{
    struct sy_sqlite_link *link = of(base);
    uint32_t queued = atomic_fetch_add(&link->in_bytes, (uint32_t)bytes) + (uint32_t)bytes;
    if (queued > SY_LIMIT_SEND_QUEUE_HIGH_BYTES)
        atomic_store(&link->above_high, true);
    sy_sqlite_session_input(link->session, data, bytes);
}

static void link_send(struct sy_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    link_send_copy(link, chunk->data + from, to - from);
}

static bool link_congested(const struct sy_link *link)
{
    const struct sy_sqlite_link *self = (const struct sy_sqlite_link *)(const void *)link;
    return atomic_load(&self->above_high);
}

static void link_pause(struct sy_link *link)
{
    of(link)->paused = true;
}

static void link_resume(struct sy_link *link)
{
    struct sy_sqlite_link *self = of(link);
    self->paused = false;
    if (self->first != NULL)
        sy_loop_defer(link->loop, &self->deliver);
}

struct cancelled {
    struct sy_message message;
    void (*done)(void *ctx);
    void *ctx;
};

static void deliver_cancelled(struct sy_message *message, struct sy_loop *loop)
{
    (void)loop;
    struct cancelled *cancelled = sy_container_of(message, struct cancelled, message);
    cancelled->done(cancelled->ctx);
    free(cancelled);
}

static void link_cancel(struct sy_link *link, void (*done)(void *ctx), void *ctx)
{
    sy_sqlite_session_cancel(of(link)->session);
    if (done == NULL)
        return;
    struct cancelled *cancelled = calloc(1, sizeof(*cancelled));
    if (cancelled == NULL) {
        SY_LOG(SY_LOG_FATAL, "out of memory", SY_KV_STR("where", "cancel of the embedded engine"));
        abort();
    }
    *cancelled = (struct cancelled){.message.deliver = deliver_cancelled, .done = done, .ctx = ctx};
    sy_loop_post(link->loop, &cancelled->message);
}

static void link_close(struct sy_link *link)
{
    sy_sqlite_session_close(of(link)->session);
}

static void write_decision(const struct sy_decision *decision, char *sql, size_t bytes)
{
    snprintf(sql, bytes, "SET LOCAL switchyard.decision = '%u %s'; COMMIT", decision->participants,
             decision->key);
}

const struct sy_engine *sy_engine_sqlite(void)
{
    static const struct sy_engine engine = {
        .name = "sqlite",
        .write_decision = write_decision,
        .open = link_open,
        .send = link_send,
        .send_copy = link_send_copy,
        .congested = link_congested,
        .pause = link_pause,
        .resume = link_resume,
        .cancel = link_cancel,
        .close = link_close,
        .inspect = sy_sqlite_inspect,
    };
    return &engine;
}
