/*
 * What the parts of the loop share: loop.c (turns, timers, messages), its two backends
 * (loop_uring.c, loop_epoll.c) and the streams on top (stream.c, stream_tls.c). Nobody else
 * includes this.
 */
#ifndef SY_BASE_LOOP_INTERNAL_H
#define SY_BASE_LOOP_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/chunk.h"
#include "base/limits.h"
#include "base/loop.h"
#include "base/stream.h"

/* ---- the timer wheel: timer.c ---- */

enum { TIMER_LEVELS = 7, TIMER_SLOTS = 64, TIMER_NEVER = -1 };

/* Level k has 64 slots of 64^k ms; a timer sits at the highest level where its due time differs
 * from now. */
struct sy_timer_wheel {
    uint64_t now_ms;
    uint64_t occupied[TIMER_LEVELS]; /* a bit per slot that may hold a timer */
    struct sy_list slots[TIMER_LEVELS][TIMER_SLOTS];
    struct sy_list expired;
};

void sy_timer_wheel_init(struct sy_timer_wheel *wheel, uint64_t now_us);
/* Microseconds until something may be due, TIMER_NEVER when nothing is armed. */
int64_t sy_timer_wheel_next_us(const struct sy_timer_wheel *wheel, uint64_t now_us);
/* Fires what is due, in order. */
void sy_timer_wheel_advance(struct sy_timer_wheel *wheel, uint64_t now_us);

/* ---- a backend ---- */

struct sy_backend {
    enum sy_loop_kind kind;
    enum sy_status (*start)(struct sy_loop *loop, const struct sy_loop_options *options,
                            struct sy_err *err);
    void (*stop)(struct sy_loop *loop);
    /* Submits, waits at most timeout_us (-1: for ever), then calls sy_loop_woke() and delivers. */
    enum sy_status (*wait)(struct sy_loop *loop, int64_t timeout_us, struct sy_err *err);
    /* A stream's descriptor is new. While CONNECTING is set: watch for sy_stream_connect_ready().
     */
    enum sy_status (*attach)(struct sy_stream *stream, struct sy_err *err);
    /* Start and stop to receive, at the end of a turn; both idempotent. */
    void (*receive)(struct sy_stream *stream);
    void (*hold)(struct sy_stream *stream);
    /* Reads now, for a stream of the ready list. NULL: the kernel does by itself. */
    void (*read)(struct sy_stream *stream);
    /* Called when something is queued and SENDING is not set: starts or does a send. */
    void (*send)(struct sy_stream *stream);
    /* Called once, before shutdown() and close(): lets in_flight come down to 0. */
    void (*detach)(struct sy_stream *stream);
    /* One-shot readiness and accepting; the slot was taken and filled by loop.c. */
    enum sy_status (*watch)(struct sy_loop *loop, uint32_t slot, int fd, uint32_t events,
                            struct sy_err *err);
    void (*unwatch)(struct sy_loop *loop, uint32_t slot, int fd);
    enum sy_status (*accept)(struct sy_loop *loop, uint32_t slot, int fd, struct sy_err *err);
    void (*stats)(const struct sy_loop *loop, struct sy_loop_stats *ret_stats);
};

extern const struct sy_backend sy_backend_uring, sy_backend_epoll;

/* ---- polls and listeners: the kernel holds a slot and its generation, never a pointer to them
 * ---- */

enum sy_slot_kind {
    SLOT_FREE,
    SLOT_POLL,
    SLOT_LISTENER,
    SLOT_ORPHAN,         /* a poll that was cancelled: the kernel has not yet said so */
    SLOT_ORPHAN_LISTENER /* likewise; what it still accepts is closed */
};

struct sy_slot {
    enum sy_slot_kind kind;
    uint32_t generation;
    uint32_t next_free;
    void *owner;
};

#define SLOT_NONE UINT32_MAX

struct sy_loop {
    const struct sy_backend *backend;
    void *backend_state;
    const struct sy_clock *clock;
    uint64_t now_us;
    int64_t wall_us;

    struct sy_timer_wheel timers;
    struct sy_list deferred;
    struct sy_list dirty; /* streams: by dirty_link */
    struct sy_list ready; /* streams that may receive again: by ready_link */
    struct sy_list over;  /* streams to tell `closed`: by dirty_link */

    struct sy_stream_send *free_sends;
    void *send_blocks;            /* where they come from */
    struct sy_chunk_pool *chunks; /* for copies, TLS and the receives of epoll */
    struct sy_chunk *copy_chunk;  /* being filled by small copies of any stream */

    struct sy_slot *slots;
    uint32_t slot_count, free_slot;

    struct sy_loop_stats stats;
    uint64_t queued_bytes;       /* of all streams */
    uint64_t queue_budget_bytes; /* what that should stay below; 0: no matter */
    int wake_fd;
    atomic_bool stopping;
    /* Written by other threads: on a line of its own. */
    _Alignas(64) _Atomic(struct sy_message *) inbox; /* newest first */
    atomic_bool asleep;
    atomic_uint callers; /* threads inside sy_loop_post() and sy_loop_stop() */
};

/* From a backend, right after it woke: the producers need not write to wake_fd any more; reads the
 * time. */
void sy_loop_woke(struct sy_loop *loop);
void sy_slot_free(struct sy_loop *loop, uint32_t slot);
/* NULL when the event is of an earlier user of the slot. */
struct sy_slot *sy_slot_find(struct sy_loop *loop, uint32_t slot, uint32_t generation);
/* A poll is ready: frees the slot, calls back. */
void sy_slot_ready(struct sy_loop *loop, uint32_t slot, uint32_t events);
/* A connection was accepted; accepting failed with an errno: frees the slot, the listener tries
 * again later. */
void sy_slot_accepted(struct sy_loop *loop, uint32_t slot, int fd);
void sy_slot_accept_failed(struct sy_loop *loop, uint32_t slot, int error);

/* ---- streams ---- */

enum {
    STREAM_CONNECTING = 1 << 0,  /* stays set when connecting failed */
    STREAM_OPEN = 1 << 1,        /* up, and not closed by its owner */
    STREAM_CLOSING = 1 << 2,     /* closed by its owner: nothing is delivered any more */
    STREAM_LINGERING = 1 << 3,   /* all was sent, shut down for writing; waits for the peer's end */
    STREAM_TORN = 1 << 4,        /* shut down; waits for in_flight to reach 0 */
    STREAM_OVER = 1 << 5,        /* in the list of those to tell */
    STREAM_PAUSED = 1 << 6,      /* by its owner */
    STREAM_AT_END = 1 << 7,      /* end of file or an error was received, told after what is held */
    STREAM_SEND_FAILED = 1 << 8, /* the peer takes nothing any more; what it sent is still read */
    STREAM_CONGESTED = 1 << 9,   /* passed the high mark and not yet the low one */
    /* the backends' own */
    STREAM_SENDING = 1 << 10,     /* a send is in flight, or the socket is full (epoll) */
    STREAM_RECEIVING = 1 << 11,   /* io_uring: a receive is armed */
    STREAM_UNRECEIVING = 1 << 12, /* io_uring: its cancellation is under way */
    STREAM_READABLE = 1 << 13,    /* epoll: the socket may hold more */
    STREAM_ENDING = 1 << 14,      /* epoll: the peer's end, or an error, is behind what it holds */
    STREAM_FULL = 1 << 15, /* io_uring: the socket did not take all of the last prompt send */
};

struct sy_stream_send {
    struct sy_stream_send *next;
    struct sy_chunk *chunk;
    uint32_t from, to;
};

/* From a backend. Callbacks run inside: look at the flags again afterwards. */
void sy_stream_received(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from,
                        uint32_t to);
void sy_stream_discarded(struct sy_stream *stream,
                         uint32_t bytes); /* received, but nobody wants it */
void sy_stream_receive_ended(struct sy_stream *stream, int error); /* 0: end of file */
void sy_stream_sent(struct sy_stream *stream, uint32_t bytes);
void sy_stream_send_failed(struct sy_stream *stream, int error);
void sy_stream_connect_ready(struct sy_stream *stream); /* connect() has an outcome */
/* in_flight went down. */
void sy_stream_settle(struct sy_stream *stream);
/* Whether the backend should receive for it now. */
bool sy_stream_wants_receive(const struct sy_stream *stream);
void sy_stream_mark_dirty(struct sy_stream *stream);
void sy_stream_mark_ready(struct sy_stream *stream);
struct iovec;
/* The head of the queue as at most SY_LIMIT_SEND_SLICES vectors; returns how many. */
unsigned sy_stream_gather(const struct sy_stream *stream, struct iovec *vectors);

/* From loop.c. */
void sy_stream_run_ready(struct sy_loop *loop);
void sy_stream_flush_all(struct sy_loop *loop);
void sy_stream_tell_closed(struct sy_loop *loop);
void sy_send_free_blocks(struct sy_loop *loop);

/* Between stream.c and stream_tls.c. */
struct sy_stream_send *sy_send_new(struct sy_loop *loop, struct sy_chunk *chunk, uint32_t from,
                                   uint32_t to); /* takes a reference; NULL: no memory */
void sy_send_free(struct sy_loop *loop, struct sy_stream_send *send); /* drops the reference */
/* A queue of slices: appends, joining neighbours of one chunk. False: no memory. */
bool sy_send_append(struct sy_loop *loop, struct sy_stream_send **first,
                    struct sy_stream_send **last, struct sy_chunk *chunk, uint32_t from,
                    uint32_t to);
/* Drops `bytes` from the front. */
void sy_send_consume(struct sy_loop *loop, struct sy_stream_send **first,
                     struct sy_stream_send **last, uint32_t bytes);
/* Copies into chunks and appends those. False: no memory. */
bool sy_send_append_copy(struct sy_loop *loop, struct sy_stream_send **first,
                         struct sy_stream_send **last, bool slow, const void *data, size_t bytes);
/* Last words before the end, when no send is in flight: as much as the socket takes at once. */
void sy_stream_send_at_once(struct sy_stream *stream);
/* It is over, because of an errno; 0: the peer's orderly end. */
void sy_stream_fail(struct sy_stream *stream, int error);

/* TLS: stream_tls.c. */
void sy_tls_free(struct sy_tls **tls, struct sy_loop *loop);
void sy_tls_received(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to);
void sy_tls_resume(struct sy_stream *stream);  /* delivers what was held back */
bool sy_tls_pending(const struct sy_tls *tls); /* something is held back */
static inline void sy_stream_count(struct sy_stream *stream, uint32_t more, uint32_t less)
{
    stream->queued_bytes = stream->queued_bytes + more - less;
    stream->loop->queued_bytes = stream->loop->queued_bytes + more - less;
}

/* Where plaintext is queued, counted in queued_bytes like everything else. */
bool sy_tls_queue(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to);
bool sy_tls_queue_copy(struct sy_stream *stream, bool slow, const void *data, size_t bytes);
void sy_tls_flush(struct sy_stream *stream);    /* encrypts what is queued */
void sy_tls_shutdown(struct sy_stream *stream); /* close_notify after what is queued */
bool sy_tls_flushed(const struct sy_tls *tls);  /* nothing waits to be encrypted */
bool sy_tls_failed(const struct sy_tls *tls, struct sy_err *err); /* and why */

#endif
