/*
 * The io_uring backend. One system call a turn: it submits everything the turn prepared and waits
 * for what comes. Receives are multishot into a ring of provided buffers, so an idle stream holds
 * none; a send is one operation for all slices a stream gathered in a turn.
 *
 * What the kernel holds: a stream's address (in_flight keeps the stream from being over), or the
 * slot and the generation of a poll or listener. The low bits of user_data say which.
 *
 * Receive buffers. At most half of them may be held by those who took references; beyond that,
 * receptions are copied into chunks of their own and the buffer goes back at once. So the other
 * half always comes back by itself: nobody's slowness starves anybody, and -ENOBUFS only means that
 * a burst was larger than the ring; the receive is armed again after the buffers of the burst have
 * been given back.
 *
 * Source: io_uring_enter(2), io_uring_register(2); liburing 2.3 has no io_uring_setup_buf_ring(),
 * hence the mmap.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/loop_internal.h"

enum {
    SQ_ENTRIES = 1024,
    CQ_ENTRIES = 8192,
    CQE_BATCH = 256,
    BUFFER_GROUP = 0,
    BUFFERS_MIN = 8,
    BUFFERS_MAX = 32768,
    /* Buffers start at different places of a page: else all first lines compete for the same cache
       sets. */
    BUFFER_STRIDE = SY_LIMIT_CHUNK_BYTES + 3 * 64,
    VECTORS = 4096, /* of the sends between two submissions */
    /* Sends of at most so many bytes are tried once and complete while they are submitted; see
       enter(). */
    PROMPT_SEND_BYTES = 16 * 1024,
};

#define NO_TIMEOUT UINT64_MAX

/* What a completion is about, in the low bits of user_data. */
enum {
    TAG_RECEIVE,
    TAG_SEND,
    TAG_CONNECT,
    TAG_SLOT,
    TAG_WAKE,
    TAG_TIMEOUT,
    TAG_IGNORE,
    TAG_MASK = 7
};

/* The buffers may outlive the loop: the last chunk that goes takes them along. */
struct buffer_ring {
    struct io_uring_buf_ring *ring; /* shared with the kernel */
    size_t ring_bytes;
    char *memory;
    size_t memory_bytes;
    uint32_t count;
    uint32_t in_use;
    uint32_t returned; /* put back, not yet shown to the kernel */
    bool stopped;
    struct sy_chunk chunks[];
};

struct uring_backend {
    struct io_uring ring;
    bool ring_ready;
    struct buffer_ring *buffers;
    uint64_t wakes; /* read from wake_fd */
    unsigned vectors_used, messages_used;
    unsigned prompt_sends;  /* since the last wait */
    uint64_t timeout_at_us; /* of the timeout that the kernel holds, NO_TIMEOUT: none */
    struct __kernel_timespec timeout;
    struct msghdr messages[VECTORS / 2];
    struct iovec vectors[VECTORS];
};

static struct uring_backend *state_of(const struct sy_loop *loop)
{
    return loop->backend_state;
}

/* ---- submission ---- */

static void submit_now(struct sy_loop *loop)
{
    struct uring_backend *self = state_of(loop);
    int submitted = io_uring_submit(&self->ring);
    (void)submitted; /* what was not taken stays queued; a ring that is broken fails in wait() */
    loop->stats.system_calls++;
    /* The kernel has copied vectors and messages (IORING_FEAT_SUBMIT_STABLE). */
    if (io_uring_sq_ready(&self->ring) == 0)
        self->vectors_used = self->messages_used = 0;
}

static struct io_uring_sqe *get_sqe(struct sy_loop *loop)
{
    struct uring_backend *self = state_of(loop);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    if (sqe == NULL) {
        submit_now(loop);
        sqe = io_uring_get_sqe(&self->ring);
    }
    return sqe;
}

static uint64_t stream_data(const struct sy_stream *stream, unsigned tag)
{
    return (uint64_t)(uintptr_t)stream | tag;
}

static uint64_t slot_data(const struct sy_loop *loop, uint32_t slot)
{
    return (uint64_t)loop->slots[slot].generation << 32 | (uint64_t)slot << 3 | TAG_SLOT;
}

/* Asks for the end of an operation; its own completion tells when. */
static void cancel(struct sy_loop *loop, uint64_t user_data)
{
    struct io_uring_sqe *sqe = get_sqe(loop);
    if (sqe == NULL)
        return;
    io_uring_prep_cancel64(sqe, user_data, 0);
    io_uring_sqe_set_data64(sqe, TAG_IGNORE);
}

/* ---- receive buffers ---- */

static void free_buffers(struct buffer_ring *buffers)
{
    if (buffers->ring != NULL)
        munmap(buffers->ring, buffers->ring_bytes);
    if (buffers->memory != NULL)
        munmap(buffers->memory, buffers->memory_bytes);
    free(buffers);
}

static void put_back(struct buffer_ring *buffers, const struct sy_chunk *chunk)
{
    io_uring_buf_ring_add(buffers->ring, chunk->data, SY_LIMIT_CHUNK_BYTES, (uint16_t)chunk->tag,
                          io_uring_buf_ring_mask(buffers->count), (int)buffers->returned);
    buffers->returned++;
}

static void recycle_buffer(struct sy_chunk *chunk, void *provider)
{
    struct buffer_ring *buffers = provider;
    buffers->in_use--;
    if (!buffers->stopped)
        put_back(buffers, chunk);
    else if (buffers->in_use == 0)
        free_buffers(buffers);
}

static void show_returned(struct buffer_ring *buffers)
{
    if (buffers->returned != 0) /* not ..._cq_advance(): it does not release the entries in order */
        io_uring_buf_ring_advance(buffers->ring, (int)buffers->returned);
    buffers->returned = 0;
}

static void *map(size_t bytes)
{
    void *place = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    return place != MAP_FAILED ? place : NULL;
}

static uint32_t buffer_count(uint32_t wanted)
{
    uint32_t count = BUFFERS_MIN;
    while (count < wanted && count < BUFFERS_MAX)
        count *= 2;
    return count;
}

static enum sy_status start_buffers(struct uring_backend *self, uint32_t wanted, struct sy_err *err)
{
    uint32_t count = buffer_count(wanted != 0 ? wanted : (uint32_t)SY_LIMIT_RECEIVE_BUFFERS);
    struct buffer_ring *buffers = calloc(1, sizeof(*buffers) + count * sizeof(buffers->chunks[0]));
    if (buffers == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "no memory for receive buffers");
    self->buffers = buffers;
    buffers->count = count;
    buffers->ring_bytes = count * sizeof(struct io_uring_buf);
    buffers->ring = map(buffers->ring_bytes);
    buffers->memory_bytes = (size_t)count * BUFFER_STRIDE;
    buffers->memory = map(buffers->memory_bytes);
    if (buffers->ring == NULL || buffers->memory == NULL)
        return sy_err_set_errno(err, SY_E_NO_MEMORY, errno, "no memory for receive buffers");
    io_uring_buf_ring_init(buffers->ring);
    struct io_uring_buf_reg registration = {
        .ring_addr = (uintptr_t)buffers->ring, .ring_entries = count, .bgid = BUFFER_GROUP};
    int result = io_uring_register_buf_ring(&self->ring, &registration, 0);
    if (result < 0)
        return sy_err_set_errno(err, SY_E_UNSUPPORTED, -result, "io_uring has no provided buffers");
    for (uint32_t i = 0; i < count; i++) {
        buffers->chunks[i] = (struct sy_chunk){.data = buffers->memory + (size_t)i * BUFFER_STRIDE,
                                               .capacity = SY_LIMIT_CHUNK_BYTES,
                                               .tag = i,
                                               .recycle = recycle_buffer,
                                               .provider = buffers};
        put_back(buffers, &buffers->chunks[i]);
    }
    show_returned(buffers);
    return SY_OK;
}

/* ---- start and stop ---- */

static enum sy_status start_ring(struct uring_backend *self, struct sy_err *err)
{
    const unsigned common = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_SUBMIT_ALL;
    const unsigned tries[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                              IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG};
    int result = 0;
    struct io_uring_params params;
    for (unsigned i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        memset(&params, 0, sizeof(params));
        params.flags = common | tries[i];
        params.cq_entries = CQ_ENTRIES;
        result = io_uring_queue_init_params(SQ_ENTRIES, &self->ring, &params);
        if (result != -EINVAL)
            break;
    }
    if (result < 0)
        return sy_err_set_errno(err, SY_E_UNSUPPORTED, -result, "io_uring is not available");
    self->ring_ready = true;
    const unsigned needed = IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
    if ((params.features & needed) != needed)
        return sy_err_set(err, SY_E_UNSUPPORTED, "the kernel's io_uring is too old");
    (void)io_uring_register_ring_fd(&self->ring); /* saves a lookup in each call; not everywhere */
    return SY_OK;
}

/* Multishot receive came with Linux 6.0 and cannot be asked for: try one. */
static enum sy_status try_multishot(struct uring_backend *self, struct sy_err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return sy_err_set_errno(err, SY_E_IO, errno, "cannot create a socket");
    bool works = false;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    io_uring_prep_recv_multishot(sqe, pair[0], NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data64(sqe, TAG_IGNORE);
    if (write(pair[1], "x", 1) == 1 && io_uring_submit_and_wait(&self->ring, 1) >= 0) {
        bool more = true;
        for (unsigned i = 0; i < 3 && more; i++) {
            struct io_uring_cqe *cqe;
            if (io_uring_wait_cqe(&self->ring, &cqe) != 0)
                break;
            more = (cqe->flags & IORING_CQE_F_MORE) != 0;
            if (cqe->res == 1 && (cqe->flags & IORING_CQE_F_BUFFER)) {
                works = more;
                put_back(self->buffers,
                         &self->buffers->chunks[cqe->flags >> IORING_CQE_BUFFER_SHIFT]);
                shutdown(pair[1], SHUT_RDWR); /* and the receive ends */
            }
            io_uring_cqe_seen(&self->ring, cqe);
        }
    }
    show_returned(self->buffers);
    close(pair[0]);
    close(pair[1]);
    return works ? SY_OK : sy_err_set(err, SY_E_UNSUPPORTED, "io_uring has no multishot receive");
}

static void arm_wake(struct sy_loop *loop)
{
    struct io_uring_sqe *sqe = get_sqe(loop);
    if (sqe == NULL)
        return;
    io_uring_prep_read(sqe, loop->wake_fd, &state_of(loop)->wakes, sizeof(uint64_t), 0);
    io_uring_sqe_set_data64(sqe, TAG_WAKE);
}

static void stop(struct sy_loop *loop)
{
    struct uring_backend *self = state_of(loop);
    if (self->ring_ready)
        io_uring_queue_exit(&self->ring);
    if (self->buffers != NULL) {
        self->buffers->stopped = true;
        if (self->buffers->in_use == 0)
            free_buffers(self->buffers);
    }
    free(self);
    loop->backend_state = NULL;
}

static enum sy_status start(struct sy_loop *loop, const struct sy_loop_options *options,
                            struct sy_err *err)
{
    struct uring_backend *self = calloc(1, sizeof(*self));
    if (self == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "no memory for an event loop");
    loop->backend_state = self;
    self->timeout_at_us = NO_TIMEOUT;
    enum sy_status status = start_ring(self, err);
    if (status == SY_OK)
        status = start_buffers(self, options->receive_buffers, err);
    if (status == SY_OK)
        status = try_multishot(self, err);
    if (status != SY_OK) {
        stop(loop);
        return status;
    }
    arm_wake(loop);
    return SY_OK;
}

/* ---- streams: what is asked of the kernel ---- */

static void receive(struct sy_stream *stream)
{
    if (stream->flags & STREAM_RECEIVING)
        return;
    struct io_uring_sqe *sqe = get_sqe(stream->loop);
    if (sqe == NULL) {
        sy_stream_mark_ready(stream); /* next turn */
        return;
    }
    io_uring_prep_recv_multishot(sqe, stream->fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data64(sqe, stream_data(stream, TAG_RECEIVE));
    stream->flags |= STREAM_RECEIVING;
    stream->in_flight++;
}

static void hold(struct sy_stream *stream)
{
    if ((stream->flags & (STREAM_RECEIVING | STREAM_UNRECEIVING)) != STREAM_RECEIVING)
        return;
    stream->flags |= STREAM_UNRECEIVING;
    cancel(stream->loop, stream_data(stream, TAG_RECEIVE));
}

static void send_stream(struct sy_stream *stream)
{
    struct sy_loop *loop = stream->loop;
    struct uring_backend *self = state_of(loop);
    if (self->vectors_used + SY_LIMIT_SEND_SLICES > VECTORS || self->messages_used >= VECTORS / 2)
        submit_now(loop);
    struct io_uring_sqe *sqe =
        self->vectors_used + SY_LIMIT_SEND_SLICES <= VECTORS ? get_sqe(loop) : NULL;
    if (sqe == NULL) {
        sy_stream_mark_ready(stream); /* the kernel is short of memory: next turn */
        return;
    }
    bool prompt = stream->queued_bytes <= PROMPT_SEND_BYTES && (stream->flags & STREAM_FULL) == 0;
    int flags = MSG_NOSIGNAL | (prompt ? MSG_DONTWAIT : MSG_WAITALL);
    self->prompt_sends += prompt;
    struct iovec *vectors = &self->vectors[self->vectors_used];
    unsigned count = sy_stream_gather(stream, vectors);
    stream->sending_bytes = 0;
    for (unsigned i = 0; i < count; i++)
        stream->sending_bytes += (uint32_t)vectors[i].iov_len;
    if (count == 1) {
        io_uring_prep_send(sqe, stream->fd, vectors->iov_base, vectors->iov_len, flags);
    } else {
        struct msghdr *message = &self->messages[self->messages_used++];
        *message = (struct msghdr){.msg_iov = vectors, .msg_iovlen = count};
        self->vectors_used += count;
        io_uring_prep_sendmsg(sqe, stream->fd, message, (unsigned)flags);
    }
    io_uring_sqe_set_data64(sqe, stream_data(stream, TAG_SEND));
    stream->flags |= STREAM_SENDING;
    stream->in_flight++;
}

static enum sy_status attach(struct sy_stream *stream, struct sy_err *err)
{
    if ((stream->flags & STREAM_CONNECTING) == 0)
        return SY_OK;
    struct io_uring_sqe *sqe = get_sqe(stream->loop);
    if (sqe == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "the submission queue is full");
    io_uring_prep_poll_add(sqe, stream->fd, POLLOUT);
    io_uring_sqe_set_data64(sqe, stream_data(stream, TAG_CONNECT));
    stream->in_flight++;
    return SY_OK;
}

static void detach(struct sy_stream *stream)
{
    /* shutdown(), which follows, ends receives and sends; a poll on a socket that connects it may
     * not. */
    if ((stream->flags & STREAM_CONNECTING) && stream->in_flight != 0)
        cancel(stream->loop, stream_data(stream, TAG_CONNECT));
}

/* ---- streams: what the kernel says ---- */

/* Returns a chunk with one reference: the buffer itself, or a copy while buffers are scarce. NULL:
 * no memory. */
static struct sy_chunk *take_buffer(struct sy_loop *loop, uint32_t index, uint32_t bytes)
{
    struct buffer_ring *buffers = state_of(loop)->buffers;
    struct sy_chunk *chunk = &buffers->chunks[index];
    if (buffers->in_use < buffers->count / 2) {
        buffers->in_use++;
        chunk->refs = 1;
        chunk->bytes = bytes;
        return chunk;
    }
    struct sy_chunk *copy = sy_chunk_new(bytes);
    if (copy != NULL) {
        memcpy(copy->data, chunk->data, bytes);
        copy->bytes = bytes;
        loop->stats.buffer_copies++;
    }
    put_back(buffers, chunk);
    return copy;
}

static void take_received(struct sy_stream *stream, const struct io_uring_cqe *cqe)
{
    struct sy_loop *loop = stream->loop;
    uint32_t index = cqe->flags >> IORING_CQE_BUFFER_SHIFT, bytes = (uint32_t)cqe->res;
    if ((stream->flags & STREAM_OPEN) == 0) {
        sy_stream_discarded(stream, bytes);
        put_back(state_of(loop)->buffers, &state_of(loop)->buffers->chunks[index]);
        return;
    }
    struct sy_chunk *chunk = take_buffer(loop, index, bytes);
    if (chunk == NULL) {
        sy_stream_fail(stream, ENOMEM);
        return;
    }
    sy_stream_received(stream, chunk, 0, bytes);
    sy_chunk_unref(chunk);
}

static void on_receive(struct sy_stream *stream, const struct io_uring_cqe *cqe)
{
    bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if (!more) {
        stream->flags &= ~(uint32_t)(STREAM_RECEIVING | STREAM_UNRECEIVING);
        stream->in_flight--;
    }
    if (cqe->res > 0)
        take_received(stream, cqe);
    else if (cqe->flags & IORING_CQE_F_BUFFER)
        put_back(state_of(stream->loop)->buffers,
                 &state_of(stream->loop)->buffers->chunks[cqe->flags >> IORING_CQE_BUFFER_SHIFT]);
    if (more)
        return;
    switch (cqe->res) {
    case 0:
        sy_stream_receive_ended(stream, 0);
        break;
    case -ENOBUFS:
    case -ECANCELED:
    case -EINTR:
    case -EAGAIN:
        break;
    default:
        if (cqe->res < 0)
            sy_stream_receive_ended(stream, -cqe->res);
        break;
    }
    if (stream->flags & STREAM_TORN)
        sy_stream_settle(stream);
    else
        sy_stream_mark_dirty(stream); /* the flush arms it again, if it is still wanted */
}

static void on_send(struct sy_stream *stream, const struct io_uring_cqe *cqe)
{
    bool full = cqe->res == -EAGAIN || (cqe->res > 0 && (uint32_t)cqe->res < stream->sending_bytes);
    stream->flags &= ~(uint32_t)(STREAM_SENDING | STREAM_FULL);
    if (full) /* the next send waits for room */
        stream->flags |= STREAM_FULL;
    stream->in_flight--;
    if (stream->flags & STREAM_TORN)
        sy_stream_settle(stream);
    else if (cqe->res > 0)
        sy_stream_sent(stream, (uint32_t)cqe->res);
    else if (cqe->res == -EINTR || cqe->res == -EAGAIN)
        sy_stream_mark_dirty(stream);
    else
        sy_stream_send_failed(stream, cqe->res < 0 ? -cqe->res : EPIPE);
}

static void on_connect(struct sy_stream *stream)
{
    stream->in_flight--;
    if (stream->flags & STREAM_TORN)
        sy_stream_settle(stream);
    else
        sy_stream_connect_ready(stream);
}

/* ---- polls and listeners ---- */

static enum sy_status watch(struct sy_loop *loop, uint32_t slot, int fd, uint32_t events,
                            struct sy_err *err)
{
    struct io_uring_sqe *sqe = get_sqe(loop);
    if (sqe == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "the submission queue is full");
    io_uring_prep_poll_add(sqe, fd, events);
    io_uring_sqe_set_data64(sqe, slot_data(loop, slot));
    return SY_OK;
}

static enum sy_status accept_slot(struct sy_loop *loop, uint32_t slot, int fd, struct sy_err *err)
{
    struct io_uring_sqe *sqe = get_sqe(loop);
    if (sqe == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "the submission queue is full");
    io_uring_prep_multishot_accept(sqe, fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    io_uring_sqe_set_data64(sqe, slot_data(loop, slot));
    return SY_OK;
}

static void unwatch(struct sy_loop *loop, uint32_t index, int fd)
{
    (void)fd;
    struct sy_slot *slot = &loop->slots[index];
    /* Until its last completion. */
    slot->kind = slot->kind == SLOT_LISTENER ? SLOT_ORPHAN_LISTENER : SLOT_ORPHAN;
    slot->owner = NULL;
    cancel(loop, slot_data(loop, index));
    /* The descriptor may be closed right after this: the kernel must look it up, and let go of it,
     * before. */
    submit_now(loop);
}

static void on_accept(struct sy_loop *loop, uint32_t index, uint32_t generation,
                      const struct io_uring_cqe *cqe)
{
    bool more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    int result = cqe->res;
    if (result >= 0)
        sy_slot_accepted(loop, index, result);
    if (more)
        return;
    struct sy_slot *slot = sy_slot_find(loop, index, generation);
    if (slot == NULL)
        return;
    if (slot->kind != SLOT_LISTENER) { /* stopped inside the callback */
        sy_slot_free(loop, index);
        return;
    }
    struct sy_listener *listener = slot->owner;
    struct sy_err err;
    bool passing = result >= 0 || result == -ECONNABORTED || result == -EINTR || result == -EAGAIN;
    if (passing && accept_slot(loop, index, listener->fd, &err) == SY_OK)
        return;
    sy_slot_accept_failed(loop, index, passing ? ENOMEM : -result);
}

static void on_slot(struct sy_loop *loop, const struct io_uring_cqe *cqe)
{
    uint32_t index = (uint32_t)cqe->user_data >> 3, generation = (uint32_t)(cqe->user_data >> 32);
    struct sy_slot *slot = sy_slot_find(loop, index, generation);
    if (slot == NULL)
        return;
    if (slot->kind == SLOT_LISTENER) {
        on_accept(loop, index, generation, cqe);
    } else if (slot->kind == SLOT_POLL) {
        sy_slot_ready(loop, index, cqe->res >= 0 ? (uint32_t)cqe->res : (uint32_t)POLLERR);
    } else {
        if (slot->kind == SLOT_ORPHAN_LISTENER && cqe->res >= 0)
            close(cqe->res);
        if ((cqe->flags & IORING_CQE_F_MORE) == 0)
            sy_slot_free(loop, index);
    }
}

/* ---- a turn ---- */

static void on_completion(struct sy_loop *loop, const struct io_uring_cqe *cqe)
{
    uint64_t data = cqe->user_data;
    struct sy_stream *stream = (struct sy_stream *)(uintptr_t)(data & ~(uint64_t)TAG_MASK);
    switch (data & TAG_MASK) {
    case TAG_RECEIVE:
        on_receive(stream, cqe);
        break;
    case TAG_SEND:
        on_send(stream, cqe);
        break;
    case TAG_CONNECT:
        on_connect(stream);
        break;
    case TAG_SLOT:
        on_slot(loop, cqe);
        break;
    case TAG_WAKE:
        arm_wake(loop);
        break;
    case TAG_TIMEOUT:
        state_of(loop)->timeout_at_us = NO_TIMEOUT;
        break;
    default:
        break;
    }
}

/*
 * The kernel holds one timeout, which stays when the earliest timer moves to a later time (then it
 * wakes the loop once for nothing) and is updated when that moves to an earlier one. A timeout of
 * each wait would be started and stopped each turn, which on a virtual machine costs more than
 * everything else of a small turn.
 */
static void arm_timeout(struct sy_loop *loop, uint64_t at_us)
{
    struct uring_backend *self = state_of(loop);
    if (at_us >= self->timeout_at_us)
        return;
    struct io_uring_sqe *sqe = get_sqe(loop);
    if (sqe == NULL)
        return;
    self->timeout.tv_sec = (int64_t)(at_us / 1000000);
    self->timeout.tv_nsec = (int64_t)(at_us % 1000000 * 1000);
    if (self->timeout_at_us == NO_TIMEOUT) {
        io_uring_prep_timeout(sqe, &self->timeout, 0, IORING_TIMEOUT_ABS);
        io_uring_sqe_set_data64(sqe, TAG_TIMEOUT);
    } else {
        io_uring_prep_timeout_update(sqe, &self->timeout, TAG_TIMEOUT, IORING_TIMEOUT_ABS);
        io_uring_sqe_set_data64(sqe, TAG_IGNORE);
        self->prompt_sends++; /* completes at once, like them */
    }
    self->timeout_at_us = at_us;
}

/*
 * A prompt send completes while it is submitted, and its completion would end the wait before
 * anything else has happened: two calls a turn. So the wait is for one completion more than there
 * are such sends.
 */
static int enter(struct sy_loop *loop, int64_t timeout_us)
{
    struct uring_backend *self = state_of(loop);
    bool real = loop->clock == sy_clock_real();
    if (timeout_us > 0 && real)
        arm_timeout(loop, loop->now_us + (uint64_t)timeout_us);
    unsigned count = self->prompt_sends + 1;
    self->prompt_sends = 0;
    loop->stats.system_calls++;
    if (timeout_us == 0)
        return io_uring_submit_and_get_events(&self->ring);
    if (timeout_us < 0 || real)
        return io_uring_submit_and_wait(&self->ring, count);
    struct __kernel_timespec timeout = {.tv_sec = timeout_us / 1000000,
                                        .tv_nsec = timeout_us % 1000000 * 1000};
    struct io_uring_cqe *first = NULL;
    return io_uring_submit_and_wait_timeout(&self->ring, &first, count, &timeout, NULL);
}

static enum sy_status wait(struct sy_loop *loop, int64_t timeout_us, struct sy_err *err)
{
    struct uring_backend *self = state_of(loop);
    show_returned(self->buffers);
    int result = enter(loop, timeout_us);
    if (io_uring_sq_ready(&self->ring) == 0)
        self->vectors_used = self->messages_used = 0;
    sy_loop_woke(loop);
    if (result < 0 && result != -ETIME && result != -EINTR && result != -EAGAIN && result != -EBUSY)
        return sy_err_set_errno(err, SY_E_IO, -result, "io_uring_enter failed: %s",
                                strerrordesc_np(-result));
    struct io_uring_cqe *batch[CQE_BATCH];
    unsigned left = io_uring_cq_ready(&self->ring); /* what comes meanwhile has the next turn */
    while (left > 0) {
        unsigned count =
            io_uring_peek_batch_cqe(&self->ring, batch, left < CQE_BATCH ? left : CQE_BATCH);
        if (count == 0)
            break;
        for (unsigned i = 0; i < count; i++)
            on_completion(loop, batch[i]);
        io_uring_cq_advance(&self->ring, count);
        left -= count < left ? count : left;
    }
    return SY_OK;
}

static void stats(const struct sy_loop *loop, struct sy_loop_stats *ret_stats)
{
    ret_stats->buffers = state_of(loop)->buffers->count;
    ret_stats->buffers_in_use = state_of(loop)->buffers->in_use;
}

const struct sy_backend sy_backend_uring = {
    .kind = SY_LOOP_IO_URING,
    .start = start,
    .stop = stop,
    .wait = wait,
    .attach = attach,
    .receive = receive,
    .hold = hold,
    .read = NULL,
    .send = send_stream,
    .detach = detach,
    .watch = watch,
    .unwatch = unwatch,
    .accept = accept_slot,
    .stats = stats,
};
