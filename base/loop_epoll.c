/*
 * The epoll backend. A stream's descriptor is registered once, edge-triggered, for everything: to
 * pause, resume, and to wait for room to send costs no system call. The price is that READABLE must
 * be remembered until a receive comes back short, and SENDING until an edge says that there is room
 * again.
 *
 * Receives go into pooled chunks, several small ones after each other into the same chunk, so that
 * the bytes of a busy loop stay in the cache. Polls and listeners are level-triggered and named by
 * slot and generation.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/loop_internal.h"

#define NO_TIMEOUT UINT64_MAX

enum { EVENTS_MAX = 512, RECEIVE_BYTES_MIN = 8 * 1024 };

struct epoll_backend {
    int fd, timer_fd;
    uint64_t timeout_at_us; /* what timer_fd is set to, NO_TIMEOUT: nothing */
    uint32_t held_max;      /* chunks in use above which receptions are copied */
    uint32_t buffers;
    struct sy_chunk *chunk;       /* being received into */
    struct sy_chunk_pool *chunks; /* for it */
    struct epoll_event events[EVENTS_MAX];
};

/* What an event is about: the low bits of a pointer to a stream are free. */
enum { TAG_STREAM = 0, TAG_SLOT = 1, TAG_WAKE = 2, TAG_TIMEOUT = 3, TAG_MASK = 3 };

static struct epoll_backend *state_of(const struct sy_loop *loop)
{
    return loop->backend_state;
}

static uint64_t slot_data(const struct sy_loop *loop, uint32_t slot)
{
    return (uint64_t)loop->slots[slot].generation << 32 | (uint64_t)slot << 2 | TAG_SLOT;
}

static int control(struct sy_loop *loop, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    loop->stats.system_calls++;
    return epoll_ctl(state_of(loop)->fd, operation, fd, &event);
}

static enum sy_status start(struct sy_loop *loop, const struct sy_loop_options *options,
                            struct sy_err *err)
{
    struct epoll_backend *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "no memory for an event loop");
    loop->backend_state = self;
    self->buffers = options->receive_buffers != 0 ? options->receive_buffers
                                                  : (uint32_t)SY_LIMIT_RECEIVE_BUFFERS;
    self->held_max = self->buffers / 2;
    self->chunks = sy_chunk_pool_new(SY_LIMIT_CHUNK_BYTES, self->buffers);
    self->timeout_at_us = NO_TIMEOUT;
    self->fd = epoll_create1(EPOLL_CLOEXEC);
    self->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    enum sy_status status = SY_OK;
    if (self->chunks == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "no memory for an event loop");
    else if (self->fd < 0 || self->timer_fd < 0 ||
             control(loop, EPOLL_CTL_ADD, loop->wake_fd, EPOLLIN, TAG_WAKE) != 0 ||
             control(loop, EPOLL_CTL_ADD, self->timer_fd, EPOLLIN, TAG_TIMEOUT) != 0)
        status = sy_err_set_errno(err, SY_E_IO, errno, "cannot set up epoll");
    if (status != SY_OK)
        sy_backend_epoll.stop(loop);
    return status;
}

static void stop(struct sy_loop *loop)
{
    struct epoll_backend *self = state_of(loop);
    if (self->fd >= 0)
        close(self->fd);
    if (self->timer_fd >= 0)
        close(self->timer_fd);
    if (self->chunk != NULL)
        sy_chunk_unref(self->chunk);
    sy_chunk_pool_free(&self->chunks);
    free(self);
    loop->backend_state = NULL;
}

/* ---- receiving ---- */

/* A chunk with room for one good receive. */
static struct sy_chunk *receive_chunk(struct epoll_backend *self)
{
    struct sy_chunk *chunk = self->chunk;
    if (chunk != NULL && chunk->refs == 1)
        chunk->bytes = 0;
    if (chunk != NULL && chunk->capacity - chunk->bytes >= RECEIVE_BYTES_MIN)
        return chunk;
    self->chunk = sy_chunk_pool_get(self->chunks);
    if (chunk != NULL)
        sy_chunk_unref(chunk);
    return self->chunk;
}

/* One reception in a chunk of its own size, so that those who keep it do not keep more. */
static void deliver_copy(struct sy_stream *stream, const char *data, uint32_t bytes)
{
    struct sy_chunk *copy = sy_chunk_new(bytes);
    if (copy == NULL) {
        sy_stream_fail(stream, ENOMEM);
        return;
    }
    memcpy(copy->data, data, bytes);
    copy->bytes = bytes;
    stream->loop->stats.buffer_copies++;
    sy_stream_received(stream, copy, 0, bytes);
    sy_chunk_unref(copy);
}

static void deliver(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t bytes)
{
    struct epoll_backend *self = state_of(stream->loop);
    uint32_t from = chunk->bytes;
    if (sy_chunk_pool_in_use(self->chunks) > self->held_max) {
        deliver_copy(stream, chunk->data + from, bytes);
        return;
    }
    chunk->bytes += bytes;
    sy_chunk_ref(chunk);
    sy_stream_received(stream, chunk, from, from + bytes);
    sy_chunk_unref(chunk);
}

static void read_stream(struct sy_stream *stream)
{
    struct epoll_backend *self = state_of(stream->loop);
    for (unsigned i = 0; i < SY_LIMIT_RECEIVES_PER_TURN; i++) {
        if ((stream->flags & STREAM_READABLE) == 0 || !sy_stream_wants_receive(stream))
            return;
        struct sy_chunk *chunk = receive_chunk(self);
        if (chunk == NULL) {
            sy_stream_fail(stream, ENOMEM);
            return;
        }
        size_t room = chunk->capacity - chunk->bytes;
        ssize_t bytes = recv(stream->fd, chunk->data + chunk->bytes, room, 0);
        stream->loop->stats.system_calls++;
        if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) {
            if (errno == EAGAIN)
                stream->flags &= ~(uint32_t)STREAM_READABLE;
        } else if (bytes <= 0) {
            stream->flags &= ~(uint32_t)STREAM_READABLE;
            sy_stream_receive_ended(stream, bytes < 0 ? errno : 0);
        } else {
            /* Short: the socket is empty, and what comes next is a new edge; unless the end has
             * come already. */
            if ((size_t)bytes < room && (stream->flags & STREAM_ENDING) == 0)
                stream->flags &= ~(uint32_t)STREAM_READABLE;
            deliver(stream, chunk, (uint32_t)bytes);
        }
    }
    if ((stream->flags & (STREAM_READABLE | STREAM_TORN)) == STREAM_READABLE)
        sy_stream_mark_ready(stream); /* others first */
}

static void receive(struct sy_stream *stream)
{
    if (stream->flags & STREAM_READABLE)
        sy_stream_mark_ready(stream);
}

static void hold(struct sy_stream *stream)
{
    (void)stream; /* edges are remembered, nothing is read */
}

/* ---- sending ---- */

static ssize_t send_once(struct sy_stream *stream)
{
    struct iovec vectors[SY_LIMIT_SEND_SLICES];
    struct msghdr message = {.msg_iov = vectors, .msg_iovlen = sy_stream_gather(stream, vectors)};
    stream->loop->stats.system_calls++;
    if (message.msg_iovlen == 1)
        return send(stream->fd, vectors[0].iov_base, vectors[0].iov_len, MSG_NOSIGNAL);
    return sendmsg(stream->fd, &message, MSG_NOSIGNAL);
}

static void send_stream(struct sy_stream *stream)
{
    ssize_t bytes = send_once(stream);
    if (bytes > 0) {
        sy_stream_sent(stream,
                       (uint32_t)bytes); /* what is left makes it dirty again: tries until full */
        return;
    }
    if (errno == EAGAIN)
        stream->flags |= STREAM_SENDING; /* until there is an edge */
    else if (errno == EINTR)
        sy_stream_mark_dirty(stream);
    else {
        stream->flags |= STREAM_READABLE; /* there is an end to be read */
        sy_stream_send_failed(stream, errno);
    }
}

/* ---- descriptors ---- */

static enum sy_status attach(struct sy_stream *stream, struct sy_err *err)
{
    uint64_t data = (uint64_t)(uintptr_t)stream | TAG_STREAM;
    uint32_t events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | (uint32_t)EPOLLET;
    if (control(stream->loop, EPOLL_CTL_ADD, stream->fd, events, data) != 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot watch a socket: %s",
                                strerrordesc_np(errno));
    return SY_OK;
}

static void detach(struct sy_stream *stream)
{
    /* close() would do, were it not for copies of the descriptor in a child process. */
    (void)control(stream->loop, EPOLL_CTL_DEL, stream->fd, 0, 0);
    stream->flags &= ~(uint32_t)(STREAM_READABLE | STREAM_SENDING);
}

static enum sy_status watch_slot(struct sy_loop *loop, uint32_t slot, int fd, uint32_t events,
                                 struct sy_err *err)
{
    if (control(loop, EPOLL_CTL_ADD, fd, events, slot_data(loop, slot)) != 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot watch descriptor %d: %s", fd,
                                strerrordesc_np(errno));
    return SY_OK;
}

static enum sy_status watch(struct sy_loop *loop, uint32_t slot, int fd, uint32_t events,
                            struct sy_err *err)
{
    _Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR, "same bits");
    return watch_slot(loop, slot, fd, events | EPOLLONESHOT, err);
}

static void unwatch(struct sy_loop *loop, uint32_t slot, int fd)
{
    (void)control(loop, EPOLL_CTL_DEL, fd, 0, 0);
    sy_slot_free(loop, slot);
}

static enum sy_status accept_slot(struct sy_loop *loop, uint32_t slot, int fd, struct sy_err *err)
{
    return watch_slot(loop, slot, fd, EPOLLIN | EPOLLEXCLUSIVE, err);
}

/* ---- a turn ---- */

static void accept_some(struct sy_loop *loop, uint32_t index, uint32_t generation)
{
    for (unsigned i = 0; i < SY_LIMIT_ACCEPTS_PER_TURN; i++) {
        struct sy_slot *slot = sy_slot_find(loop, index, generation);
        if (slot == NULL) /* stopped by a callback */
            return;
        int listener_fd = ((struct sy_listener *)slot->owner)->fd;
        int fd = accept4(listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        loop->stats.system_calls++;
        if (fd >= 0) {
            sy_slot_accepted(loop, index, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            int error = errno;
            (void)control(loop, EPOLL_CTL_DEL, listener_fd, 0, 0);
            sy_slot_accept_failed(loop, index, error);
            return;
        }
    }
}

static void slot_event(struct sy_loop *loop, uint64_t data, uint32_t events)
{
    uint32_t index = (uint32_t)data >> 2, generation = (uint32_t)(data >> 32);
    struct sy_slot *slot = sy_slot_find(loop, index, generation);
    if (slot == NULL) /* cancelled by a callback of this turn */
        return;
    if (slot->kind == SLOT_LISTENER) {
        accept_some(loop, index, generation);
        return;
    }
    (void)control(loop, EPOLL_CTL_DEL, ((struct sy_poll *)slot->owner)->fd, 0, 0);
    sy_slot_ready(loop, index, events & (EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLERR | EPOLLHUP));
}

static void stream_event(struct sy_stream *stream, uint32_t events)
{
    if (stream->flags & STREAM_TORN) /* by a callback of this turn */
        return;
    if (stream->flags & STREAM_CONNECTING) {
        sy_stream_connect_ready(stream);
        if (stream->flags & STREAM_TORN)
            return;
    }
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) && (stream->flags & STREAM_SENDING)) {
        stream->flags &= ~(uint32_t)STREAM_SENDING;
        sy_stream_mark_dirty(stream);
    }
    if (events & (EPOLLRDHUP | EPOLLERR | EPOLLHUP))
        stream->flags |= STREAM_ENDING;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) {
        stream->flags |= STREAM_READABLE;
        read_stream(stream);
    }
}

/*
 * One timerfd stands for the earliest timer. It stays when that moves to a later time (then it
 * wakes the loop once for nothing) and is set again when it moves to an earlier one, which is rare.
 * A time limit of each wait would start and stop a kernel timer each turn, which on a virtual
 * machine costs more than the rest of a small turn.
 */
static void arm_timeout(struct sy_loop *loop, uint64_t at_us)
{
    struct epoll_backend *self = state_of(loop);
    struct itimerspec at = {.it_value = {.tv_sec = (time_t)(at_us / 1000000),
                                         .tv_nsec = (long)(at_us % 1000000 * 1000)}};
    if (at_us >= self->timeout_at_us)
        return;
    loop->stats.system_calls++;
    if (timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0)
        self->timeout_at_us = at_us;
}

static int wait_for_events(struct sy_loop *loop, int64_t timeout_us)
{
    struct epoll_backend *self = state_of(loop);
    if (timeout_us > 0 && loop->clock == sy_clock_real()) {
        arm_timeout(loop, loop->now_us + (uint64_t)timeout_us);
        timeout_us = -1;
    }
    int64_t timeout_ms = timeout_us < 0 ? -1 : (timeout_us + 999) / 1000;
    return epoll_wait(self->fd, self->events, EVENTS_MAX,
                      timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
}

static void empty(struct sy_loop *loop, int fd)
{
    uint64_t count;
    ssize_t ignored = read(fd, &count, sizeof(count));
    (void)ignored;
    loop->stats.system_calls++;
}

static enum sy_status wait(struct sy_loop *loop, int64_t timeout_us, struct sy_err *err)
{
    struct epoll_backend *self = state_of(loop);
    int count = wait_for_events(loop, timeout_us);
    int error = errno;
    loop->stats.system_calls++;
    sy_loop_woke(loop);
    if (count < 0 && error != EINTR)
        return sy_err_set_errno(err, SY_E_IO, error, "epoll_wait failed: %s",
                                strerrordesc_np(error));
    for (int i = 0; i < count; i++) {
        uint64_t data = self->events[i].data.u64;
        uint32_t events = self->events[i].events;
        if ((data & TAG_MASK) == TAG_STREAM) {
            stream_event((struct sy_stream *)(uintptr_t)data, events);
        } else if ((data & TAG_MASK) == TAG_SLOT) {
            slot_event(loop, data, events);
        } else if ((data & TAG_MASK) == TAG_WAKE) {
            empty(loop, loop->wake_fd);
        } else {
            empty(loop, self->timer_fd);
            self->timeout_at_us = NO_TIMEOUT;
        }
    }
    return SY_OK;
}

static void stats(const struct sy_loop *loop, struct sy_loop_stats *ret_stats)
{
    const struct epoll_backend *self = state_of(loop);
    ret_stats->buffers = self->buffers;
    ret_stats->buffers_in_use = sy_chunk_pool_in_use(self->chunks);
    if (self->chunk != NULL && self->chunk->refs == 1)
        ret_stats->buffers_in_use--; /* nobody's but ours */
}

const struct sy_backend sy_backend_epoll = {
    .kind = SY_LOOP_EPOLL,
    .start = start,
    .stop = stop,
    .wait = wait,
    .attach = attach,
    .receive = receive,
    .hold = hold,
    .read = read_stream,
    .send = send_stream,
    .detach = detach,
    .watch = watch,
    .unwatch = unwatch,
    .accept = accept_slot,
    .stats = stats,
};
