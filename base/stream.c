/*
 * Streams: what is common to both backends, plain and TLS.
 *
 *     connecting -> open -> closing -> lingering -> torn -> over -> (closed is told)
 *
 * open      sy_stream_open(), or connect succeeded. Receives unless paused, sends what is queued.
 * closing   sy_stream_close(): delivers nothing more, sends what is queued.
 * lingering all is sent and shut down for writing; what the peer still sends is thrown away, since
 * closing a socket with unread input resets it and may destroy what we sent last. torn      shut
 * down; the kernel may still hold operations (in_flight) that point to our buffers. over nothing
 * points here any more, the descriptor is closed; `closed` follows at the end of the turn.
 *
 * A receive or send that fails in any state leads to torn. Callbacks may call anything on any
 * stream: memory stays valid until `closed`, which is only told at the end of a turn.
 */
#include "base/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/loop_internal.h"

enum {
    SLOW_BYTES = 4096,        /* this much queued on a busy socket: the peer is slow */
    SMALL_SLICE_BYTES = 2048, /* of a slow peer: copied, so that it does not pin a receive buffer */
    QUEUED_BYTES_MAX = 1 << 30, /* an owner that ignores congestion ends here */
};

struct sy_stream_linger {
    struct sy_timer timer;
    struct sy_stream *stream;
    uint32_t discarded_bytes;
};

/* ---- lists of the loop ---- */

void sy_stream_mark_dirty(struct sy_stream *stream)
{
    if (sy_list_empty(&stream->dirty_link))
        sy_list_append(&stream->loop->dirty, &stream->dirty_link);
}

void sy_stream_mark_ready(struct sy_stream *stream)
{
    if (sy_list_empty(&stream->ready_link))
        sy_list_append(&stream->loop->ready, &stream->ready_link);
}

/* ---- the end ---- */

static void free_held(struct sy_stream *stream)
{
    struct sy_stream_send *last = stream->held;
    if (last == NULL)
        return;
    struct sy_stream_send *send = last->next;
    last->next = NULL;
    stream->held = NULL;
    while (send != NULL) {
        struct sy_stream_send *next = send->next;
        sy_send_free(stream->loop, send);
        send = next;
    }
}

static void free_linger(struct sy_stream *stream)
{
    if (stream->linger == NULL)
        return;
    sy_timer_cancel(stream->loop, &stream->linger->timer);
    free(stream->linger);
    stream->linger = NULL;
}

void sy_stream_settle(struct sy_stream *stream)
{
    if ((stream->flags & (STREAM_TORN | STREAM_OVER)) != STREAM_TORN || stream->in_flight != 0)
        return;
    stream->flags |= STREAM_OVER;
    sy_send_consume(stream->loop, &stream->send_first, &stream->send_last, UINT32_MAX);
    sy_stream_count(stream, 0, stream->queued_bytes);
    close(stream->fd);
    stream->loop->stats.system_calls++;
    stream->fd = -1;
    sy_list_remove(&stream->ready_link);
    sy_list_remove(&stream->dirty_link);
    sy_list_append(&stream->loop->over, &stream->dirty_link);
}

static void tear_down(struct sy_stream *stream)
{
    if (stream->flags & STREAM_TORN)
        return;
    stream->flags = (stream->flags & ~(uint32_t)STREAM_OPEN) | STREAM_TORN;
    free_held(stream);
    free_linger(stream);
    stream->loop->backend->detach(stream);
    if (stream->in_flight != 0) { /* else close() says it all */
        shutdown(stream->fd, SHUT_RDWR);
        stream->loop->stats.system_calls++;
    }
    sy_stream_settle(stream);
}

void sy_stream_fail(struct sy_stream *stream, int error)
{
    if (stream->error == 0)
        stream->error = error;
    tear_down(stream);
}

static const struct sy_err *describe_end(const struct sy_stream *stream, struct sy_err *err)
{
    if (stream->flags & STREAM_CLOSING)
        return NULL;
    if (stream->tls != NULL && sy_tls_failed(stream->tls, err))
        return err;
    if (stream->error == 0)
        return NULL;
    if (stream->error == ENOMEM)
        (void)sy_err_set(err, SY_E_NO_MEMORY, "no memory for a connection's data");
    else if (stream->flags & STREAM_CONNECTING)
        (void)sy_err_set_errno(err, SY_E_CONNECT, stream->error, "cannot connect: %s",
                               strerrordesc_np(stream->error));
    else
        (void)sy_err_set_errno(err, SY_E_CONNECTION_LOST, stream->error, "connection lost: %s",
                               strerrordesc_np(stream->error));
    return err;
}

void sy_stream_tell_closed(struct sy_loop *loop)
{
    for (struct sy_list *node; (node = sy_list_pop(&loop->over)) != NULL;) {
        struct sy_stream *stream = sy_container_of(node, struct sy_stream, dirty_link);
        struct sy_err err;
        const struct sy_err *why = describe_end(stream, &err);
        sy_tls_free(&stream->tls, loop);
        stream->events->closed(stream, why);
    }
}

/* ---- receiving ---- */

/* Something received waits to be delivered: what comes after it must wait, too. */
static bool holds_input(const struct sy_stream *stream)
{
    return stream->held != NULL || (stream->tls != NULL && sy_tls_pending(stream->tls));
}

bool sy_stream_wants_receive(const struct sy_stream *stream)
{
    if (stream->flags & (STREAM_TORN | STREAM_CONNECTING | STREAM_AT_END))
        return false;
    if (stream->flags & STREAM_CLOSING)
        return stream->linger == NULL || stream->linger->discarded_bytes < SY_LIMIT_DISCARD_BYTES;
    return (stream->flags & STREAM_PAUSED) == 0 && !holds_input(stream);
}

static void hold_back(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct sy_stream_send *send = sy_send_new(stream->loop, chunk, from, to);
    if (send == NULL) {
        sy_stream_fail(stream, ENOMEM);
        return;
    }
    struct sy_stream_send *last = stream->held;
    send->next = last != NULL ? last->next : send;
    if (last != NULL)
        last->next = send;
    stream->held = send;
}

static void deliver(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    if (stream->tls != NULL)
        sy_tls_received(stream, chunk, from, to);
    else
        stream->events->data(stream, chunk, from, to);
}

/* A peer that goes on sending has no ears for our last words: after a while it is read no more, or
 * cut off. */
void sy_stream_discarded(struct sy_stream *stream, uint32_t bytes)
{
    if (stream->linger == NULL)
        return;
    stream->linger->discarded_bytes += bytes;
    if (stream->linger->discarded_bytes < SY_LIMIT_DISCARD_BYTES)
        return;
    if (stream->flags & STREAM_LINGERING)
        tear_down(stream);
    else
        sy_stream_mark_dirty(stream);
}

void sy_stream_received(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from,
                        uint32_t to)
{
    stream->loop->stats.received_bytes += to - from;
    if ((stream->flags & STREAM_OPEN) == 0) {
        sy_stream_discarded(stream, to - from);
        return;
    }
    if ((stream->flags & STREAM_PAUSED) || holds_input(stream))
        hold_back(stream, chunk, from, to);
    else
        deliver(stream, chunk, from, to);
}

void sy_stream_receive_ended(struct sy_stream *stream, int error)
{
    if (stream->flags & STREAM_TORN)
        return;
    stream->flags |= STREAM_AT_END;
    if (stream->error == 0)
        stream->error = error;
    if (stream->flags & STREAM_CLOSING) {
        /* The peer may still read what is queued; sending finds out. */
        if (error != 0 || (stream->flags & STREAM_LINGERING))
            tear_down(stream);
        return;
    }
    if (!holds_input(stream))
        tear_down(stream);
}

/* Delivers what was held while the stream was paused, as long as it is not paused again. */
static void deliver_held(struct sy_stream *stream)
{
    const uint32_t stops = STREAM_PAUSED | STREAM_TORN | STREAM_CLOSING;
    if (stream->tls != NULL && (stream->flags & stops) == 0)
        sy_tls_resume(stream);
    while (stream->held != NULL && (stream->flags & stops) == 0) {
        struct sy_stream_send *first = stream->held->next;
        if (first == stream->held)
            stream->held = NULL;
        else
            stream->held->next = first->next;
        deliver(stream, first->chunk, first->from, first->to);
        sy_send_free(stream->loop, first);
    }
    if ((stream->flags & stops) == 0 && (stream->flags & STREAM_AT_END) && !holds_input(stream))
        tear_down(stream);
}

void sy_stream_run_ready(struct sy_loop *loop)
{
    struct sy_list batch;
    if (sy_list_empty(&loop->ready))
        return;
    sy_list_init(&batch);
    sy_list_prepend(&loop->ready, &batch);
    sy_list_remove(&loop->ready);
    for (struct sy_list *node; (node = sy_list_pop(&batch)) != NULL;) {
        struct sy_stream *stream = sy_container_of(node, struct sy_stream, ready_link);
        if (stream->flags & STREAM_TORN)
            continue;
        if (stream->flags & STREAM_CONNECTING) {
            sy_stream_connect_ready(stream);
            continue;
        }
        deliver_held(stream);
        if (loop->backend->read != NULL && sy_stream_wants_receive(stream))
            loop->backend->read(stream);
        sy_stream_mark_dirty(stream); /* the flush arms the receive again */
    }
}

void sy_stream_pause(struct sy_stream *stream)
{
    if ((stream->flags & (STREAM_PAUSED | STREAM_TORN | STREAM_CLOSING)) != 0)
        return;
    stream->flags |= STREAM_PAUSED;
    if ((stream->flags & STREAM_CONNECTING) == 0)
        sy_stream_mark_dirty(stream);
}

void sy_stream_resume(struct sy_stream *stream)
{
    if ((stream->flags & STREAM_PAUSED) == 0)
        return;
    stream->flags &= ~(uint32_t)STREAM_PAUSED;
    if (stream->flags & (STREAM_TORN | STREAM_CLOSING | STREAM_CONNECTING))
        return;
    if (holds_input(stream) || (stream->flags & STREAM_AT_END))
        sy_stream_mark_ready(stream);
    else
        sy_stream_mark_dirty(stream);
}

/* ---- sending ---- */

static bool may_queue(struct sy_stream *stream, size_t bytes)
{
    if ((stream->flags & (STREAM_OPEN | STREAM_CONNECTING)) == 0 ||
        (stream->flags & (STREAM_TORN | STREAM_SEND_FAILED)) != 0)
        return false;
    if (bytes > QUEUED_BYTES_MAX - stream->queued_bytes) {
        sy_stream_fail(stream, ENOBUFS);
        return false;
    }
    return true;
}

static bool is_slow(const struct sy_stream *stream)
{
    return (stream->flags & STREAM_SENDING) != 0 && stream->queued_bytes >= SLOW_BYTES;
}

static uint32_t high_mark(const struct sy_loop *loop)
{
    uint64_t budget = loop->queue_budget_bytes;
    if (budget == 0 || loop->queued_bytes < budget / 2)
        return SY_LIMIT_SEND_QUEUE_HIGH_BYTES;
    return loop->queued_bytes < budget / 4 * 3 ? SY_LIMIT_SEND_QUEUE_HIGH_BYTES / 4
                                               : SY_LIMIT_SEND_QUEUE_LEAST_BYTES;
}

static void queued(struct sy_stream *stream, bool success, uint32_t bytes)
{
    if (!success) {
        sy_stream_fail(stream, ENOMEM);
        return;
    }
    sy_stream_count(stream, bytes, 0);
    if (stream->queued_bytes >= SY_LIMIT_SEND_QUEUE_LEAST_BYTES &&
        stream->queued_bytes >= high_mark(stream->loop))
        stream->flags |= STREAM_CONGESTED;
    if ((stream->flags & STREAM_CONNECTING) == 0)
        sy_stream_mark_dirty(stream);
}

static void queue_copy(struct sy_stream *stream, const void *data, uint32_t bytes)
{
    bool slow = is_slow(stream);
    bool success = stream->tls != NULL ? sy_tls_queue_copy(stream, slow, data, bytes)
                                       : sy_send_append_copy(stream->loop, &stream->send_first,
                                                             &stream->send_last, slow, data, bytes);
    queued(stream, success, bytes);
}

void sy_stream_send(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    uint32_t bytes = to - from;
    if (bytes == 0 || !may_queue(stream, bytes))
        return;
    if (bytes < SMALL_SLICE_BYTES && is_slow(stream)) {
        queue_copy(stream, chunk->data + from, bytes);
        return;
    }
    bool success = stream->tls != NULL ? sy_tls_queue(stream, chunk, from, to)
                                       : sy_send_append(stream->loop, &stream->send_first,
                                                        &stream->send_last, chunk, from, to);
    queued(stream, success, bytes);
}

void sy_stream_send_copy(struct sy_stream *stream, const void *data, size_t bytes)
{
    if (bytes != 0 && may_queue(stream, bytes))
        queue_copy(stream, data, (uint32_t)bytes);
}

uint32_t sy_stream_queued_bytes(const struct sy_stream *stream)
{
    return stream->queued_bytes;
}

bool sy_stream_congested(const struct sy_stream *stream)
{
    return (stream->flags & STREAM_CONGESTED) != 0;
}

static bool is_unsent(const struct sy_stream *stream)
{
    return stream->send_first != NULL || (stream->tls != NULL && !sy_tls_flushed(stream->tls));
}

static uint32_t low_mark(const struct sy_loop *loop)
{
    uint32_t half = high_mark(loop) / 2;
    return half < SY_LIMIT_SEND_QUEUE_LOW_BYTES ? half : SY_LIMIT_SEND_QUEUE_LOW_BYTES;
}

void sy_stream_sent(struct sy_stream *stream, uint32_t bytes)
{
    stream->loop->stats.sent_bytes += bytes;
    if (stream->flags & STREAM_TORN)
        return;
    sy_send_consume(stream->loop, &stream->send_first, &stream->send_last, bytes);
    sy_stream_count(stream, 0, bytes);
    if (is_unsent(stream) || (stream->flags & STREAM_CLOSING))
        sy_stream_mark_dirty(stream);
    if ((stream->flags & STREAM_CONGESTED) == 0 || stream->queued_bytes > low_mark(stream->loop))
        return;
    stream->flags &= ~(uint32_t)STREAM_CONGESTED;
    if ((stream->flags & STREAM_OPEN) && stream->events->drained != NULL)
        stream->events->drained(stream);
}

/*
 * What the peer sent before it went (a server's reason for closing, say) is still worth reading, so
 * a failed send does not end the stream: the receive does, at once or soon. If nobody receives,
 * there is no point.
 */
void sy_stream_send_failed(struct sy_stream *stream, int error)
{
    if (stream->flags & STREAM_TORN)
        return;
    if (stream->error == 0)
        stream->error = error;
    stream->flags |= STREAM_SEND_FAILED;
    sy_send_consume(stream->loop, &stream->send_first, &stream->send_last, UINT32_MAX);
    sy_stream_count(stream, 0, stream->queued_bytes);
    if (!sy_stream_wants_receive(stream) || (stream->flags & STREAM_CLOSING))
        tear_down(stream);
    else
        sy_stream_mark_ready(stream);
}

static void close_when_sent(struct sy_stream *stream)
{
    if (is_unsent(stream) && (stream->flags & STREAM_SEND_FAILED) == 0)
        return;
    if (stream->linger == NULL || (stream->flags & (STREAM_AT_END | STREAM_SEND_FAILED)) != 0 ||
        stream->linger->discarded_bytes >= SY_LIMIT_DISCARD_BYTES) {
        tear_down(stream);
        return;
    }
    if (stream->flags & STREAM_LINGERING)
        return;
    stream->flags |= STREAM_LINGERING;
    shutdown(stream->fd, SHUT_WR);
    stream->loop->stats.system_calls++;
}

static void flush(struct sy_stream *stream)
{
    const struct sy_backend *backend = stream->loop->backend;
    if (stream->flags & (STREAM_TORN | STREAM_CONNECTING))
        return;
    if (stream->tls != NULL && (stream->flags & STREAM_SEND_FAILED) == 0)
        sy_tls_flush(stream);
    if (stream->send_first != NULL && (stream->flags & (STREAM_SENDING | STREAM_TORN)) == 0)
        backend->send(stream);
    if ((stream->flags & (STREAM_CLOSING | STREAM_TORN)) == STREAM_CLOSING)
        close_when_sent(stream);
    if (stream->flags & STREAM_TORN)
        return;
    if (sy_stream_wants_receive(stream))
        backend->receive(stream);
    else
        backend->hold(stream);
}

void sy_stream_flush_all(struct sy_loop *loop)
{
    for (struct sy_list *node; (node = sy_list_pop(&loop->dirty)) != NULL;)
        flush(sy_container_of(node, struct sy_stream, dirty_link));
}

/* ---- opening ---- */

static void init(struct sy_stream *stream, struct sy_loop *loop, int fd,
                 const struct sy_stream_events *events, uint32_t flags)
{
    *stream = (struct sy_stream){.loop = loop, .events = events, .fd = fd, .flags = flags};
    sy_list_init(&stream->dirty_link);
    sy_list_init(&stream->ready_link);
    /* The loop gathers what belongs together; the kernel shall not wait for more. Unix sockets
     * refuse it. */
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    loop->stats.system_calls++;
}

enum sy_status sy_stream_open(struct sy_stream *stream, struct sy_loop *loop, int fd,
                              const struct sy_stream_events *events, struct sy_err *err)
{
    init(stream, loop, fd, events, STREAM_OPEN);
    enum sy_status status = loop->backend->attach(stream, err);
    if (status != SY_OK) {
        stream->flags = STREAM_TORN | STREAM_OVER;
        return status;
    }
    sy_stream_mark_dirty(stream);
    return SY_OK;
}

enum sy_status sy_stream_connect(struct sy_stream *stream, struct sy_loop *loop,
                                 const struct sockaddr *address, socklen_t bytes,
                                 const struct sy_stream_events *events, struct sy_err *err)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return sy_err_set_errno(err, SY_E_CONNECT, errno, "cannot create a socket: %s",
                                strerrordesc_np(errno));
    init(stream, loop, fd, events, STREAM_CONNECTING);
    loop->stats.system_calls += 2;
    if (connect(fd, address, bytes) != 0 && errno != EINPROGRESS)
        stream->error = errno; /* told by `closed`, as when it comes later */
    enum sy_status status = loop->backend->attach(stream, err);
    if (status != SY_OK) {
        stream->flags = STREAM_TORN | STREAM_OVER;
        close(fd);
    }
    return status;
}

void sy_stream_connect_ready(struct sy_stream *stream)
{
    int error = stream->error;
    socklen_t bytes = sizeof(error);
    if (stream->flags & STREAM_TORN)
        return;
    if (error == 0) {
        stream->loop->stats.system_calls++;
        if (getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0)
            error = errno;
    }
    if (error != 0) {
        sy_stream_fail(stream, error);
        return;
    }
    stream->flags = (stream->flags & ~(uint32_t)STREAM_CONNECTING) | STREAM_OPEN;
    sy_stream_mark_dirty(stream);
    if (stream->events->connected != NULL)
        stream->events->connected(stream);
}

bool sy_stream_is_open(const struct sy_stream *stream)
{
    return (stream->flags & STREAM_OPEN) != 0;
}

/* ---- closing ---- */

static void linger_over(struct sy_timer *timer)
{
    tear_down(sy_container_of(timer, struct sy_stream_linger, timer)->stream);
}

void sy_stream_send_at_once(struct sy_stream *stream)
{
    struct iovec vectors[SY_LIMIT_SEND_SLICES];
    while (stream->send_first != NULL) {
        struct msghdr message = {.msg_iov = vectors,
                                 .msg_iovlen = sy_stream_gather(stream, vectors)};
        ssize_t bytes = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        stream->loop->stats.system_calls++;
        if (bytes <= 0)
            return;
        sy_send_consume(stream->loop, &stream->send_first, &stream->send_last, (uint32_t)bytes);
    }
}

void sy_stream_close(struct sy_stream *stream, uint64_t linger_us)
{
    if (stream->flags & (STREAM_CLOSING | STREAM_OVER))
        return;
    bool was_open = (stream->flags & STREAM_OPEN) != 0;
    stream->flags = (stream->flags & ~(uint32_t)(STREAM_OPEN | STREAM_CONGESTED)) | STREAM_CLOSING;
    if (!was_open) { /* connecting, or torn already */
        tear_down(stream);
        return;
    }
    free_held(stream);
    if (stream->tls != NULL && (stream->flags & STREAM_SEND_FAILED) == 0)
        sy_tls_shutdown(stream);
    if (stream->flags & STREAM_TORN) /* encrypting failed */
        return;
    if (linger_us != 0)
        stream->linger = malloc(sizeof(*stream->linger));
    if (stream->linger == NULL) {
        if ((stream->flags & (STREAM_SENDING | STREAM_SEND_FAILED)) == 0)
            sy_stream_send_at_once(stream);
        tear_down(stream);
        return;
    }
    stream->linger->stream = stream;
    stream->linger->discarded_bytes = 0;
    sy_timer_init(&stream->linger->timer, linger_over);
    sy_timer_start(stream->loop, &stream->linger->timer, linger_us);
    sy_stream_mark_dirty(stream);
}
