/*
 * The event loop: completions, timers, messages from other threads. One loop per worker thread;
 * io_uring where the kernel allows it, else epoll; nothing above this header knows which runs.
 *
 * Everything here is called on the loop's own thread, except sy_loop_post() and sy_loop_stop().
 * Objects closed inside a callback are freed at the end of the loop's turn.
 */
#ifndef SY_BASE_LOOP_H
#define SY_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"

enum sy_loop_kind { SY_LOOP_AUTO, SY_LOOP_IO_URING, SY_LOOP_EPOLL };

struct sy_loop;

struct sy_loop_options {
    enum sy_loop_kind kind;       /* AUTO: io_uring, else epoll with a log line that says why */
    const struct sy_clock *clock; /* NULL: the real one */
    uint32_t receive_buffers;     /* provided buffers of SY_LIMIT_CHUNK_BYTES; 0: the default */
};

/* Creates a loop for the calling thread: with io_uring the thread that creates it must run it. */
SY_MUST_CHECK enum sy_status sy_loop_new(const struct sy_loop_options *options,
                                         struct sy_loop **ret_loop, struct sy_err *err);
void sy_loop_free(struct sy_loop **loop);

enum sy_loop_kind sy_loop_kind_of(const struct sy_loop *loop);
const char *sy_loop_kind_name(enum sy_loop_kind kind);

/* Runs until sy_loop_stop(); what was queued to send by then is handed to the kernel. */
SY_MUST_CHECK enum sy_status sy_loop_run(struct sy_loop *loop, struct sy_err *err);
/* One turn: submit, wait at most timeout_ms (-1: for ever, 0: not at all), deliver. For tests and
 * tools. */
SY_MUST_CHECK enum sy_status sy_loop_turn(struct sy_loop *loop, int timeout_ms, struct sy_err *err);
/* Any thread. */
void sy_loop_stop(struct sy_loop *loop);

/* What all streams of the loop together should have queued at most; 0: no matter. The nearer they
 * come, the earlier a stream is congested: from half of it on at a quarter of
 * SY_LIMIT_SEND_QUEUE_HIGH_BYTES, from three quarters on at SY_LIMIT_SEND_QUEUE_LEAST_BYTES. */
void sy_loop_set_queue_budget(struct sy_loop *loop, uint64_t bytes);
uint64_t sy_loop_queued_bytes(const struct sy_loop *loop);

/* Monotonic and wall time read once per turn: cheap. */
uint64_t sy_loop_now_us(const struct sy_loop *loop);
int64_t sy_loop_wall_us(const struct sy_loop *loop);

struct sy_loop_stats {
    uint64_t turns;
    uint64_t system_calls; /* made by the loop and its streams, accept and close included */
    uint64_t received_bytes, sent_bytes;
    uint32_t buffers;        /* receive buffers that there are */
    uint32_t buffers_in_use; /* held by somebody: 0 when all streams are idle */
    uint32_t buffer_copies;  /* receptions that were copied because buffers were scarce */
};
void sy_loop_stats(const struct sy_loop *loop, struct sy_loop_stats *ret_stats);

/* ---- timers: embedded, coarse (1 ms), cheap to start and to cancel (no system call) ---- */

struct sy_timer {
    struct sy_list link;
    uint64_t due_us;
    void (*fire)(
        struct sy_timer *self); /* the timer is already disarmed; it may be started again */
    uint32_t slot;              /* the loop's own */
};

void sy_timer_init(struct sy_timer *timer, void (*fire)(struct sy_timer *self));
/* Starts or restarts. */
void sy_timer_start(struct sy_loop *loop, struct sy_timer *timer, uint64_t delay_us);
void sy_timer_cancel(struct sy_loop *loop, struct sy_timer *timer);
bool sy_timer_armed(const struct sy_timer *timer);

/* ---- work at the end of the present turn, once per arming ---- */

struct sy_deferred {
    struct sy_list link;
    void (*run)(struct sy_deferred *self);
};

void sy_deferred_init(struct sy_deferred *deferred, void (*run)(struct sy_deferred *self));
void sy_loop_defer(struct sy_loop *loop, struct sy_deferred *deferred);
void sy_loop_defer_cancel(struct sy_deferred *deferred);

/* ---- messages from any thread ---- */

struct sy_message {
    struct sy_message *next;                                        /* the queue's own */
    void (*deliver)(struct sy_message *self, struct sy_loop *loop); /* on the loop's thread */
};

/* Queues a message and wakes the loop if it sleeps. Any thread; lock-free; the message is the
 * receiver's. */
void sy_loop_post(struct sy_loop *loop, struct sy_message *message);

/* ---- readiness of a descriptor that a library owns ---- */

struct sy_poll {
    int fd;
    bool active;
    uint32_t slot; /* the loop's own */
    void (*ready)(struct sy_poll *self,
                  uint32_t events); /* one shot; POLLIN/POLLOUT/POLLERR bits */
};

/* One poll for a descriptor at a time. Cancel before the library closes the descriptor. */
SY_MUST_CHECK enum sy_status sy_poll_start(struct sy_loop *loop, struct sy_poll *poll, int fd,
                                           uint32_t events, struct sy_err *err);
void sy_poll_cancel(struct sy_loop *loop, struct sy_poll *poll);

/* ---- accepting ---- */

struct sy_listener {
    struct sy_loop *loop;
    int fd;
    uint32_t slot; /* the loop's own */
    bool active;
    struct sy_timer retry;
    void *owner;
    /* fd is the callee's; peer is borrowed. */
    void (*accepted)(struct sy_listener *self, int fd, const struct sockaddr_storage *peer);
    /* EMFILE, ENFILE, ENOMEM...: the listener pauses and tries again by itself; for the log. */
    void (*failed)(struct sy_listener *self, const struct sy_err *why);
};

/*
 * fd: bound, listening, non-blocking; stays the caller's. The caller sets owner, accepted and
 * failed (may be NULL) first. What is accepted is non-blocking and close-on-exec.
 */
SY_MUST_CHECK enum sy_status sy_listener_start(struct sy_loop *loop, struct sy_listener *listener,
                                               int fd, struct sy_err *err);
void sy_listener_stop(struct sy_listener *listener);

#endif
