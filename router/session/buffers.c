/*
 * A session's part of the byte budgets: what it has taken for long messages and for a queue that
 * its client does not read, and the wait for more. Made when it is first needed; most sessions
 * never have one. The worker's thread.
 */
#include <stdlib.h>

#include "router/session/internal.h"

enum { LOOK_US = 20 * 1000 };

struct sy_buffers {
    struct sy_session *session;
    struct sy_timer timer;
    uint64_t waiting_since_us; /* 0: does not wait */
    uint64_t frame_bytes;      /* taken for the message that is being received or handled */
    uint64_t cycle_bytes;      /* for messages whose work is not over */
    uint64_t queue_bytes;      /* for the queue to the client, while it is congested */
};

static const struct sy_config *config_of(const struct sy_session *session)
{
    return session->worker->topology->config;
}

static void on_timer(struct sy_timer *timer)
{
    struct sy_buffers *buffers = sy_container_of(timer, struct sy_buffers, timer);
    sy_session_drive(buffers->session);
}

static struct sy_buffers *ensure(struct sy_session *session)
{
    if (session->buffers != NULL)
        return session->buffers;
    struct sy_buffers *buffers = calloc(1, sizeof(*buffers));
    if (buffers == NULL)
        return NULL;
    buffers->session = session;
    sy_timer_init(&buffers->timer, on_timer);
    session->buffers = buffers;
    return buffers;
}

static void give(struct sy_session *session, uint64_t *bytes)
{
    if (*bytes != 0)
        sy_budget_give(session->worker->process->budget, sy_slice_of(session->user), *bytes);
    *bytes = 0;
}

void sy_worker_limit_queues(struct sy_worker *worker)
{
    uint32_t workers = worker->process->worker_count;
    uint64_t half = worker->topology->config->buffers.all_bytes / 2;
    sy_loop_set_queue_budget(worker->loop, workers == 0 ? half : half / workers);
}

/* ---- long messages ---- */

/* It cannot be had at all, or not in time. */
static enum sy_status refuse(const struct sy_session *session, uint64_t bytes, const char *key,
                             bool never, struct sy_err *err)
{
    sy_counter_add(&session->database->counters->buffer_refused, 1);
    (void)sy_err_set(err, SY_E_NO_MEMORY, "no room for a message of %llu bytes",
                     (unsigned long long)bytes);
    sy_err_hint(err,
                never ? "It is longer than %s allows."
                      : "%s is used up by other messages and by clients that do not read.",
                key);
    if (never)
        sy_err_state(err, sy_status_sqlstate(SY_E_LIMIT));
    return SY_E_NO_MEMORY;
}

static const char *too_long_for(const struct sy_session *session, uint64_t bytes)
{
    const struct sy_config *config = config_of(session);
    uint64_t user = config->buffers.user_bytes, all = config->buffers.all_bytes / 2;
    uint64_t mine = session->buffers->cycle_bytes + bytes;
    if (mine > config->buffers.client_bytes)
        return "buffers.client";
    return user != 0 && mine > user ? "buffers.user"
           : all != 0 && mine > all ? "buffers.all"
                                    : NULL;
}

enum sy_step sy_buffers_frame(struct sy_session *session, uint32_t bytes, struct sy_err *err)
{
    struct sy_buffers *buffers = ensure(session);
    if (buffers == NULL)
        return (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory"), SY_STEP_ERROR;
    if (buffers->frame_bytes != 0)
        return SY_STEP_DONE;
    const char *key = too_long_for(session, bytes);
    if (key != NULL)
        return (void)refuse(session, bytes, key, true, err), SY_STEP_ERROR;
    const struct sy_config *config = config_of(session);
    const struct sy_budget_limits limits = {config->buffers.user_bytes,
                                            config->buffers.all_bytes / 2};
    enum sy_budget_answer answer = sy_budget_take(session->worker->process->budget,
                                                  sy_slice_of(session->user), bytes, &limits);
    if (answer == SY_BUDGET_TAKEN) {
        buffers->frame_bytes = bytes;
        buffers->waiting_since_us = 0;
        sy_timer_cancel(session->worker->loop, &buffers->timer);
        if (session->client_paused) {
            session->client_paused = false;
            sy_stream_resume(&session->stream);
        }
        return SY_STEP_DONE;
    }
    uint64_t now_us = sy_loop_now_us(session->worker->loop);
    if (buffers->waiting_since_us == 0) {
        buffers->waiting_since_us = now_us;
        sy_counter_add(&session->database->counters->buffer_waits, 1);
    } else if (now_us - buffers->waiting_since_us >= config->buffers.wait_us) {
        key = answer == SY_BUDGET_USER_FULL ? "buffers.user" : "buffers.all";
        return (void)refuse(session, bytes, key, false, err), SY_STEP_ERROR;
    }
    sy_timer_start(session->worker->loop, &buffers->timer, LOOK_US);
    return SY_STEP_AGAIN;
}

bool sy_buffers_wait(const struct sy_session *session)
{
    return session->buffers != NULL && session->buffers->waiting_since_us != 0;
}

void sy_buffers_handled(struct sy_session *session)
{
    struct sy_buffers *buffers = session->buffers;
    buffers->cycle_bytes += buffers->frame_bytes;
    buffers->frame_bytes = 0;
    /* COPY data is split or passed on at once, and its servers' pace is the client's. */
    if (session->state == SY_SESSION_COPY_IN || session->state == SY_SESSION_IDLE)
        give(session, &buffers->cycle_bytes);
}

void sy_buffers_idle(struct sy_session *session)
{
    give(session, &session->buffers->cycle_bytes);
}

/* ---- clients that do not read ---- */

static void give_queue(struct sy_session *session)
{
    struct sy_buffers *buffers = session->buffers;
    if (buffers->queue_bytes != 0)
        sy_budget_unqueued(session->worker->process->budget, sy_slice_of(session->user),
                           buffers->queue_bytes);
    buffers->queue_bytes = 0;
}

void sy_buffers_congested(struct sy_session *session)
{
    struct sy_buffers *buffers = session->user == NULL ? NULL : ensure(session);
    uint64_t bytes = sy_stream_queued_bytes(&session->stream);
    if (buffers != NULL && buffers->queue_bytes == 0 &&
        sy_budget_queued(session->worker->process->budget, sy_slice_of(session->user), bytes))
        buffers->queue_bytes = bytes;
}

void sy_buffers_drained(struct sy_session *session)
{
    give_queue(session);
}

void sy_buffers_free(struct sy_session *session)
{
    struct sy_buffers *buffers = session->buffers;
    if (buffers == NULL)
        return;
    sy_timer_cancel(session->worker->loop, &buffers->timer);
    give(session, &buffers->frame_bytes);
    give(session, &buffers->cycle_bytes);
    give_queue(session);
    free(buffers);
    session->buffers = NULL;
}
