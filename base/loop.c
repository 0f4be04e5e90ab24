/*
 * The loop: the order of a turn, messages, deferred work, and the slots through which the kernel
 * names polls and listeners. What waits and what moves bytes is in a backend; see loop_internal.h.
 *
 * A turn: flush (so that sends of whoever ran since go out) - wait - read the clock - deliver
 * completions - timers - messages - deferred work - flush - tell `closed`. Sends that the flush
 * prepares reach the kernel together with the next wait: one system call for all of them.
 *
 * Thread: the one that created it; sy_loop_post() and sy_loop_stop() any.
 */
#include "base/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/loop_internal.h"

enum { FIRST_SLOTS = 16, ACCEPT_RETRY_US = 100000, CHUNKS_KEPT = 64 };

/* ---- life ---- */

static enum sy_status start_backend(struct sy_loop *loop, const struct sy_loop_options *options,
                                    struct sy_err *err)
{
    if (options->kind != SY_LOOP_EPOLL) {
        struct sy_err why;
        loop->backend = &sy_backend_uring;
        enum sy_status status =
            SY_FAULT("loop.io_uring")
                ? sy_err_set_errno(&why, SY_E_UNSUPPORTED, EPERM, "io_uring is not available")
                : loop->backend->start(loop, options, &why);
        if (status == SY_OK)
            return SY_OK;
        if (options->kind == SY_LOOP_IO_URING) {
            if (err != NULL)
                *err = why;
            return status;
        }
        SY_LOG(SY_LOG_WARN, "loop_fallback", SY_KV_STR("kind", "epoll"), SY_KV_STR("why", why.text),
               SY_KV_STR("errno", why.sys_errno != 0 ? strerrordesc_np(why.sys_errno) : ""));
    }
    loop->backend = &sy_backend_epoll;
    return loop->backend->start(loop, options, err);
}

enum sy_status sy_loop_new(const struct sy_loop_options *options, struct sy_loop **ret_loop,
                           struct sy_err *err)
{
    static const struct sy_loop_options defaults = {.kind = SY_LOOP_AUTO};
    options = options != NULL ? options : &defaults;
    struct sy_loop *loop = aligned_alloc(_Alignof(struct sy_loop), sizeof(*loop));
    if (loop == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "no memory for an event loop");
    memset(loop, 0, sizeof(*loop));
    loop->clock = options->clock != NULL ? options->clock : sy_clock_real();
    loop->now_us = loop->clock->monotonic_us(loop->clock);
    loop->wall_us = loop->clock->wall_us(loop->clock);
    loop->free_slot = SLOT_NONE;
    loop->wake_fd = -1;
    sy_timer_wheel_init(&loop->timers, loop->now_us);
    sy_list_init(&loop->deferred);
    sy_list_init(&loop->dirty);
    sy_list_init(&loop->ready);
    sy_list_init(&loop->over);
    loop->chunks = sy_chunk_pool_new(SY_LIMIT_CHUNK_BYTES, CHUNKS_KEPT);
    enum sy_status status = SY_OK;
    if (loop->chunks == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "no memory for an event loop");
    else if ((loop->wake_fd = eventfd(0, EFD_CLOEXEC)) < 0)
        status = sy_err_set_errno(err, SY_E_IO, errno, "cannot create an eventfd");
    else
        status = start_backend(loop, options, err);
    if (status != SY_OK) {
        loop->backend = NULL;
        sy_loop_free(&loop);
        return status;
    }
    *ret_loop = loop;
    return SY_OK;
}

void sy_loop_free(struct sy_loop **loop)
{
    struct sy_loop *self = *loop;
    if (self == NULL)
        return;
    /* Whose message was delivered may not have woken us yet: it still needs the eventfd. */
    while (atomic_load(&self->callers) != 0)
        sched_yield();
    if (self->backend != NULL)
        self->backend->stop(self);
    if (self->wake_fd >= 0)
        close(self->wake_fd);
    if (self->copy_chunk != NULL)
        sy_chunk_unref(self->copy_chunk);
    sy_chunk_pool_free(&self->chunks);
    sy_send_free_blocks(self);
    free(self->slots);
    free(self);
    *loop = NULL;
}

enum sy_loop_kind sy_loop_kind_of(const struct sy_loop *loop)
{
    return loop->backend->kind;
}

const char *sy_loop_kind_name(enum sy_loop_kind kind)
{
    static const char *const names[] = {"auto", "io_uring", "epoll"};
    return names[kind];
}

void sy_loop_set_queue_budget(struct sy_loop *loop, uint64_t bytes)
{
    loop->queue_budget_bytes = bytes;
}

uint64_t sy_loop_queued_bytes(const struct sy_loop *loop)
{
    return loop->queued_bytes;
}

uint64_t sy_loop_now_us(const struct sy_loop *loop)
{
    return loop->now_us;
}

int64_t sy_loop_wall_us(const struct sy_loop *loop)
{
    return loop->wall_us;
}

void sy_loop_stats(const struct sy_loop *loop, struct sy_loop_stats *ret_stats)
{
    *ret_stats = loop->stats;
    loop->backend->stats(loop, ret_stats);
}

/* ---- deferred work ---- */

void sy_deferred_init(struct sy_deferred *deferred, void (*run)(struct sy_deferred *self))
{
    sy_list_init(&deferred->link);
    deferred->run = run;
}

void sy_loop_defer(struct sy_loop *loop, struct sy_deferred *deferred)
{
    if (sy_list_empty(&deferred->link))
        sy_list_append(&loop->deferred, &deferred->link);
}

void sy_loop_defer_cancel(struct sy_deferred *deferred)
{
    sy_list_remove(&deferred->link);
}

/* What arms itself again while it runs has its turn in the next turn. */
static void run_deferred(struct sy_loop *loop)
{
    struct sy_list batch;
    if (sy_list_empty(&loop->deferred))
        return;
    sy_list_init(&batch);
    sy_list_prepend(&loop->deferred, &batch);
    sy_list_remove(&loop->deferred);
    for (struct sy_list *node; (node = sy_list_pop(&batch)) != NULL;) {
        struct sy_deferred *deferred = sy_container_of(node, struct sy_deferred, link);
        deferred->run(deferred);
    }
}

/* ---- messages ---- */

static void wake(struct sy_loop *loop)
{
    if (atomic_exchange(&loop->asleep, false)) {
        uint64_t one = 1;
        ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));
        (void)ignored; /* it fails only when 2^64 - 2 wake-ups are already pending */
    }
}

void sy_loop_post(struct sy_loop *loop, struct sy_message *message)
{
    atomic_fetch_add(&loop->callers, 1);
    struct sy_message *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do
        message->next = head;
    while (!atomic_compare_exchange_weak(&loop->inbox, &head, message));
    wake(loop);
    atomic_fetch_sub(&loop->callers, 1); /* the last touch: the loop may be freed from here on */
}

static void deliver_messages(struct sy_loop *loop)
{
    if (atomic_load_explicit(&loop->inbox, memory_order_relaxed) == NULL)
        return;
    struct sy_message *newest = atomic_exchange(&loop->inbox, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct sy_message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct sy_message *message = oldest;
        oldest = oldest->next;
        message->deliver(message, loop);
    }
}

void sy_loop_stop(struct sy_loop *loop)
{
    atomic_fetch_add(&loop->callers, 1);
    atomic_store(&loop->stopping, true);
    wake(loop);
    atomic_fetch_sub(&loop->callers, 1);
}

/* ---- turns ---- */

void sy_loop_woke(struct sy_loop *loop)
{
    atomic_store_explicit(&loop->asleep, false, memory_order_relaxed);
    loop->now_us = loop->clock->monotonic_us(loop->clock);
    loop->wall_us = loop->clock->wall_us(loop->clock);
    loop->stats.turns++;
}

static bool has_work(const struct sy_loop *loop)
{
    return !sy_list_empty(&loop->deferred) || !sy_list_empty(&loop->over) ||
           !sy_list_empty(&loop->ready);
}

/* How long the wait may be. Announces the sleep first: a message posted after the look wakes the
 * loop. */
static int64_t choose_timeout(struct sy_loop *loop, int64_t most_us)
{
    if (most_us == 0 || has_work(loop))
        return 0;
    int64_t timer_us = sy_timer_wheel_next_us(&loop->timers, loop->now_us);
    int64_t timeout_us = timer_us >= 0 && (most_us < 0 || timer_us < most_us) ? timer_us : most_us;
    if (timeout_us == 0)
        return 0;
    atomic_store(&loop->asleep, true);
    if (atomic_load(&loop->inbox) != NULL || atomic_load(&loop->stopping))
        return 0;
    return timeout_us;
}

static enum sy_status turn(struct sy_loop *loop, int64_t most_us, struct sy_err *err)
{
    sy_stream_flush_all(loop);
    enum sy_status status = loop->backend->wait(loop, choose_timeout(loop, most_us), err);
    if (status != SY_OK)
        return status;
    sy_stream_run_ready(loop);
    sy_timer_wheel_advance(&loop->timers, loop->now_us);
    deliver_messages(loop);
    run_deferred(loop);
    sy_stream_flush_all(loop);
    sy_stream_tell_closed(loop);
    return SY_OK;
}

enum sy_status sy_loop_turn(struct sy_loop *loop, int timeout_ms, struct sy_err *err)
{
    return turn(loop, timeout_ms < 0 ? -1 : (int64_t)timeout_ms * 1000, err);
}

enum sy_status sy_loop_run(struct sy_loop *loop, struct sy_err *err)
{
    while (!atomic_load_explicit(&loop->stopping, memory_order_relaxed)) {
        enum sy_status status = turn(loop, -1, err);
        if (status != SY_OK)
            return status;
    }
    atomic_store(&loop->stopping, false);
    return turn(loop, 0, err);
}

/* ---- slots, polls, listeners ---- */

/* A slot for an owner. Errors: SY_E_NO_MEMORY. */
static enum sy_status slot_take(struct sy_loop *loop, enum sy_slot_kind kind, void *owner,
                                uint32_t *ret_slot, struct sy_err *err)
{
    if (SY_FAULT("loop.slot"))
        return sy_err_set(err, SY_E_NO_MEMORY, "no memory to watch a descriptor");
    if (loop->free_slot == SLOT_NONE) {
        uint32_t count = loop->slot_count != 0 ? loop->slot_count * 2 : FIRST_SLOTS;
        struct sy_slot *slots = realloc(loop->slots, count * sizeof(*slots));
        if (slots == NULL)
            return sy_err_set(err, SY_E_NO_MEMORY, "no memory to watch a descriptor");
        for (uint32_t i = count; i-- > loop->slot_count;) {
            slots[i] = (struct sy_slot){.kind = SLOT_FREE, .next_free = loop->free_slot};
            loop->free_slot = i;
        }
        loop->slots = slots;
        loop->slot_count = count;
    }
    uint32_t index = loop->free_slot;
    struct sy_slot *slot = &loop->slots[index];
    loop->free_slot = slot->next_free;
    slot->kind = kind;
    slot->owner = owner;
    *ret_slot = index;
    return SY_OK;
}

void sy_slot_free(struct sy_loop *loop, uint32_t index)
{
    struct sy_slot *slot = &loop->slots[index];
    slot->kind = SLOT_FREE;
    slot->owner = NULL;
    slot->generation++;
    slot->next_free = loop->free_slot;
    loop->free_slot = index;
}

struct sy_slot *sy_slot_find(struct sy_loop *loop, uint32_t index, uint32_t generation)
{
    struct sy_slot *slot = &loop->slots[index];
    return slot->kind != SLOT_FREE && slot->generation == generation ? slot : NULL;
}

enum sy_status sy_poll_start(struct sy_loop *loop, struct sy_poll *poll, int fd, uint32_t events,
                             struct sy_err *err)
{
    if (poll->active)
        sy_poll_cancel(loop, poll);
    uint32_t slot = SLOT_NONE;
    enum sy_status status = slot_take(loop, SLOT_POLL, poll, &slot, err);
    if (status != SY_OK)
        return status;
    status = loop->backend->watch(loop, slot, fd, events, err);
    if (status != SY_OK) {
        sy_slot_free(loop, slot);
        return status;
    }
    poll->fd = fd;
    poll->slot = slot;
    poll->active = true;
    return SY_OK;
}

void sy_poll_cancel(struct sy_loop *loop, struct sy_poll *poll)
{
    if (!poll->active)
        return;
    poll->active = false;
    loop->backend->unwatch(loop, poll->slot, poll->fd);
}

void sy_slot_ready(struct sy_loop *loop, uint32_t index, uint32_t events)
{
    struct sy_poll *poll = loop->slots[index].owner;
    sy_slot_free(loop, index);
    poll->active = false;
    poll->ready(poll, events);
}

static void retry_accept(struct sy_timer *timer)
{
    struct sy_listener *listener = sy_container_of(timer, struct sy_listener, retry);
    struct sy_err err;
    struct sy_loop *loop = listener->loop;
    enum sy_status status = slot_take(loop, SLOT_LISTENER, listener, &listener->slot, &err);
    if (status == SY_OK) {
        status = loop->backend->accept(loop, listener->slot, listener->fd, &err);
        if (status == SY_OK)
            return;
        sy_slot_free(loop, listener->slot);
    }
    listener->slot = SLOT_NONE;
    sy_timer_start(loop, &listener->retry, ACCEPT_RETRY_US);
    if (listener->failed != NULL)
        listener->failed(listener, &err);
}

enum sy_status sy_listener_start(struct sy_loop *loop, struct sy_listener *listener, int fd,
                                 struct sy_err *err)
{
    listener->loop = loop;
    listener->fd = fd;
    sy_timer_init(&listener->retry, retry_accept);
    enum sy_status status = slot_take(loop, SLOT_LISTENER, listener, &listener->slot, err);
    if (status != SY_OK)
        return status;
    status = loop->backend->accept(loop, listener->slot, fd, err);
    if (status != SY_OK)
        sy_slot_free(loop, listener->slot);
    listener->active = status == SY_OK;
    return status;
}

void sy_listener_stop(struct sy_listener *listener)
{
    if (!listener->active)
        return;
    listener->active = false;
    sy_timer_cancel(listener->loop, &listener->retry);
    if (listener->slot != SLOT_NONE)
        listener->loop->backend->unwatch(listener->loop, listener->slot, listener->fd);
}

void sy_slot_accepted(struct sy_loop *loop, uint32_t index, int fd)
{
    struct sy_listener *listener = loop->slots[index].owner;
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t bytes = sizeof(peer);
    loop->stats.system_calls++;
    /* It fails when the peer is already gone: the stream will tell. */
    if (getpeername(fd, (struct sockaddr *)(void *)&peer, &bytes) != 0)
        peer.ss_family = AF_UNSPEC;
    listener->accepted(listener, fd, &peer);
}

void sy_slot_accept_failed(struct sy_loop *loop, uint32_t index, int error)
{
    struct sy_listener *listener = loop->slots[index].owner;
    struct sy_err why;
    (void)sy_err_set_errno(&why, SY_E_IO, error, "cannot accept a connection");
    sy_slot_free(loop, index);
    listener->slot = SLOT_NONE;
    sy_timer_start(loop, &listener->retry, ACCEPT_RETRY_US);
    if (listener->failed != NULL)
        listener->failed(listener, &why);
}
