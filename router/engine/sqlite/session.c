/* The life of a session: opening, taking input, dispatching messages, waiting, ending. */
#include "router/engine/sqlite/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "router/engine/sqlite/copy.h"
#include "router/engine/sqlite/locks.h"
#include "router/engine/sqlite/notify.h"
#include "router/engine/sqlite/prepared.h"
#include "router/engine/sqlite/session_env.h"
#include "router/engine/sqlite/settings.h"

enum { TURN_MESSAGES = 256 }; /* handled before other sessions get a turn */

static enum sy_sqlite_task_result session_run(struct sy_sqlite_task *task);

/* ---- made and freed ---- */

static char *dup_slice(struct sy_slice text)
{
    char *copy = malloc(text.bytes + 1);
    if (copy != NULL) {
        if (text.bytes > 0)
            memcpy(copy, text.data, text.bytes);
        copy[text.bytes] = '\0';
    }
    return copy;
}

enum sy_status sy_sqlite_session_new(struct sy_sqlite_link *link, struct sy_node *node,
                                     struct sy_slice user, struct sy_slice database, uint32_t pid,
                                     struct sy_sqlite_session **ret_session, struct sy_err *err)
{
    struct sy_sqlite_session *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_sqlite_task_init(&s->task, session_run);
    s->link = link;
    s->node = node;
    s->pid = pid;
    s->txn = 'I';
    pthread_mutex_init(&s->lock, NULL);
    sy_list_init(&s->writer_link);
    sy_list_init(&s->timed_link);
    sy_list_init(&s->shard_link);
    sy_list_init(&s->savepoints);
    sy_list_init(&s->channels);
    sy_list_init(&s->locks);
    sy_list_init(&s->lock_link);
    s->user = dup_slice(user);
    s->database = dup_slice(database);
    s->settings = sy_sqlite_settings_new();
    if (s->user == NULL || s->database == NULL || s->settings == NULL) {
        sy_sqlite_session_free(&s);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    *ret_session = s;
    return SY_OK;
}

void sy_sqlite_session_free(struct sy_sqlite_session **session)
{
    struct sy_sqlite_session *s = *session;
    *session = NULL;
    if (s == NULL)
        return;
    sy_sqlite_extended_release(s);
    sy_sqlite_settings_free(&s->settings);
    sy_sqlite_env_release(s);
    sy_sqlite_catalog_unref(&s->catalog);
    sy_buf_release(&s->inbox);
    sy_buf_release(&s->in);
    sy_buf_release(&s->out);
    sy_buf_release(&s->notifications);
    sy_arena_release(&s->scratch);
    pthread_mutex_destroy(&s->lock);
    free(s->user);
    free(s->database);
    free(s);
}

/* ---- called from the loop and from other threads ---- */

void sy_sqlite_session_input(struct sy_sqlite_session *s, const void *data, size_t bytes)
{
    pthread_mutex_lock(&s->lock);
    sy_buf_append(&s->inbox, data, bytes);
    if (s->inbox.failed)
        s->stop |= SY_STOP_CLOSE;
    pthread_mutex_unlock(&s->lock);
    sy_sqlite_task_wake(&s->task);
}

void sy_sqlite_session_expire(struct sy_sqlite_session *s, enum sy_sqlite_stop why)
{
    pthread_mutex_lock(&s->lock);
    bool applies = s->busy || why == SY_STOP_CLOSE || why == SY_STOP_IDLE;
    if (applies) {
        s->stop |= (unsigned)why;
        if (s->running != NULL && why != SY_STOP_LOCK && why != SY_STOP_IDLE)
            sqlite3_interrupt(s->running);
    }
    pthread_mutex_unlock(&s->lock);
    if (applies)
        sy_sqlite_task_wake(&s->task);
}

bool sy_sqlite_session_stopped(struct sy_sqlite_session *s)
{
    return atomic_load(&s->stop) != 0;
}

void sy_sqlite_session_resume(struct sy_sqlite_session *s)
{
    atomic_store(&s->wait, SY_WAIT_NONE);
    sy_sqlite_task_wake(&s->task);
}

static void end_output_wait(struct sy_sqlite_session *s)
{
    int expected = SY_WAIT_OUTPUT;
    if (atomic_compare_exchange_strong(&s->wait, &expected, SY_WAIT_NONE))
        sy_sqlite_task_wake(&s->task);
}

void sy_sqlite_session_output_taken(struct sy_sqlite_session *s)
{
    end_output_wait(s);
}

/* The session is woken from whatever it waits for, to find the reason to stop. */
static void poke(struct sy_sqlite_session *s)
{
    if (s->shard != NULL && sy_sqlite_writer_withdraw(s->shard, s))
        sy_sqlite_session_resume(s);
    if (sy_sqlite_locks_withdraw(s))
        sy_sqlite_session_resume(s);
    end_output_wait(s);
}

void sy_sqlite_session_cancel(struct sy_sqlite_session *s)
{
    sy_sqlite_session_expire(s, SY_STOP_CANCEL);
    poke(s);
}

void sy_sqlite_session_close(struct sy_sqlite_session *s)
{
    sy_sqlite_session_expire(s, SY_STOP_CLOSE);
    poke(s);
}

bool sy_sqlite_session_signal(struct sy_sqlite_shard *shard, uint32_t pid, enum sy_sqlite_stop why)
{
    bool found = false;
    pthread_mutex_lock(&shard->lock);
    sy_list_each(node, &shard->sessions)
    {
        struct sy_sqlite_session *s = sy_container_of(node, struct sy_sqlite_session, shard_link);
        if (s->pid != pid)
            continue;
        found = true;
        sy_sqlite_session_expire(s, why);
        if (!sy_list_empty(&s->writer_link)) {
            sy_list_remove(&s->writer_link);
            sy_sqlite_session_resume(s);
        }
        if (sy_sqlite_locks_withdraw(s))
            sy_sqlite_session_resume(s);
        end_output_wait(s);
    }
    pthread_mutex_unlock(&shard->lock);
    return found;
}

/* ---- waiting ---- */

enum sy_sqlite_step sy_sqlite_session_wait(struct sy_sqlite_session *s, enum sy_sqlite_wait wait)
{
    atomic_store(&s->wait, (int)wait);
    return SY_STEP_WAIT;
}

void sy_sqlite_session_flush(struct sy_sqlite_session *s)
{
    if (s->out.bytes > 0)
        sy_sqlite_link_output(s->link, &s->out);
}

/* In the middle of a result: sends what has gathered; WAIT when the client does not keep up. */
enum sy_sqlite_step sy_sqlite_session_output(struct sy_sqlite_session *s)
{
    if (s->out.bytes < SY_SQLITE_FLUSH_BYTES)
        return SY_STEP_DONE;
    if (!sy_sqlite_link_output(s->link, &s->out))
        return SY_STEP_DONE;
    sy_sqlite_session_wait(s, SY_WAIT_OUTPUT);
    if (sy_sqlite_link_congested(s->link) && !sy_sqlite_session_stopped(s))
        return SY_STEP_WAIT;
    /* It was taken in the meantime: go on, unless the wait has been ended by the loop, which has
     * woken us then. */
    int expected = SY_WAIT_OUTPUT;
    return atomic_compare_exchange_strong(&s->wait, &expected, SY_WAIT_NONE) ? SY_STEP_DONE
                                                                             : SY_STEP_WAIT;
}

static const struct {
    unsigned why;
    const char *sqlstate, *text;
} stops[] = {
    {SY_STOP_DEADLOCK, "40P01", "deadlock detected"},
    {SY_STOP_LOCK, "55P03", "canceling statement due to lock timeout"},
    {SY_STOP_TIMEOUT, "57014", "canceling statement due to statement timeout"},
    {SY_STOP_CANCEL, "57014", "canceling statement due to user request"},
    {SY_STOP_CLOSE, "57P01", "terminating connection due to administrator command"},
};

bool sy_sqlite_session_interrupted(struct sy_sqlite_session *s)
{
    if (atomic_load(&s->stop) == 0)
        return false;
    pthread_mutex_lock(&s->lock);
    unsigned stop = s->stop;
    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        if ((stop & stops[i].why) == 0)
            continue;
        if (stops[i].why != SY_STOP_CLOSE)
            s->stop &= ~stops[i].why;
        sy_err_set(&s->err, SY_E_CANCELED, "%s", stops[i].text);
        sy_err_state(&s->err, stops[i].sqlstate);
        pthread_mutex_unlock(&s->lock);
        return true;
    }
    pthread_mutex_unlock(&s->lock);
    return false;
}

/* ---- time limits: registered with the shard, looked at by its tick ---- */

void sy_sqlite_session_limit(struct sy_sqlite_session *s, _Atomic uint64_t *deadline_us,
                             uint64_t limit_us)
{
    if (limit_us == 0 && *deadline_us == 0)
        return;
    pthread_mutex_lock(&s->shard->lock);
    *deadline_us = limit_us == 0 ? 0 : sy_clock_real()->monotonic_us(sy_clock_real()) + limit_us;
    if (limit_us != 0 && sy_list_empty(&s->timed_link))
        sy_list_append(&s->shard->timed, &s->timed_link);
    pthread_mutex_unlock(&s->shard->lock);
}

static void forget_limits(struct sy_sqlite_session *s)
{
    pthread_mutex_lock(&s->shard->lock);
    sy_list_remove(&s->timed_link);
    sy_list_remove(&s->shard_link);
    pthread_mutex_unlock(&s->shard->lock);
}

/* ---- input ---- */

static void take_input(struct sy_sqlite_session *s)
{
    if (s->in_at == s->in.bytes) {
        sy_buf_clear(&s->in);
        s->in_at = 0;
    }
    pthread_mutex_lock(&s->lock);
    size_t bytes = s->inbox.bytes;
    if (bytes > 0) {
        s->busy = true;
        if (s->in.bytes == 0) {
            struct sy_buf empty = s->in;
            s->in = s->inbox;
            s->inbox = empty;
        } else {
            sy_buf_consume(&s->in, s->in_at);
            s->in_at = 0;
            sy_buf_append(&s->in, s->inbox.data, bytes);
            sy_buf_clear(&s->inbox);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (bytes > 0)
        sy_sqlite_link_consumed(s->link, bytes);
}

static void quiet(struct sy_sqlite_session *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->inbox.bytes == 0 && s->in_at == s->in.bytes) {
        s->busy = false;
        s->stop &= (unsigned)(SY_STOP_CLOSE | SY_STOP_IDLE);
    }
    pthread_mutex_unlock(&s->lock);
}

/* A frame that is there as a whole. False: more bytes are needed, or s->err is set. */
static bool next_frame(struct sy_sqlite_session *s, char *ret_type, struct sy_slice *ret_body)
{
    size_t left = s->in.bytes - s->in_at;
    if (left < 5)
        return false;
    const char *at = s->in.data + s->in_at;
    struct sy_reader reader = sy_reader_of(at + 1, 4);
    uint32_t length = sy_read_u32(&reader);
    if (length < 4 || length > SY_LIMIT_MESSAGE_BYTES) {
        sy_err_set(&s->err, SY_E_PROTOCOL, "invalid message length");
        return false;
    }
    if (left < (size_t)length + 1)
        return false;
    *ret_type = *at;
    *ret_body = (struct sy_slice){at + 5, length - 4};
    s->in_at += (size_t)length + 1;
    return true;
}

bool sy_sqlite_session_ends_here(const struct sy_sqlite_session *s)
{
    size_t at = s->in_at;
    while (s->in.bytes - at >= 5) {
        char type = s->in.data[at];
        struct sy_reader reader = sy_reader_of(s->in.data + at + 1, 4);
        uint32_t length = sy_read_u32(&reader);
        if (type == 'S')
            return true;
        if (type != 'H' && type != 'C' && type != 'D')
            return false;
        if (s->in.bytes - at < (size_t)length + 1)
            return false;
        at += (size_t)length + 1;
    }
    return false;
}

/* ---- messages ---- */

void sy_sqlite_session_ready(struct sy_sqlite_session *s)
{
    sy_sqlite_notify_deliver(s);
    sy_write_ready(&s->out, s->txn);
    uint64_t limit_us =
        s->txn == 'I' ? 0 : sy_sqlite_settings_idle_limit_us(s->settings, s->writes);
    sy_sqlite_session_limit(s, &s->idle_deadline_us, limit_us);
    sy_sqlite_session_limit(s, &s->statement_deadline_us, 0);
    /* A reason to stop the statement that has ended is none any more. */
    if (atomic_load(&s->stop) != 0)
        atomic_fetch_and(&s->stop, (unsigned)(SY_STOP_CLOSE | SY_STOP_IDLE));
    sy_arena_reset(&s->scratch);
}

static void protocol_error(struct sy_sqlite_session *s, const char *what)
{
    sy_err_set(&s->err, SY_E_PROTOCOL, "%s", what);
    pthread_mutex_lock(&s->lock);
    s->stop |= SY_STOP_CLOSE;
    pthread_mutex_unlock(&s->lock);
    s->fatal = true;
}

static void handle_sync(struct sy_sqlite_session *s)
{
    bool failed = s->skip_to_sync;
    s->skip_to_sync = false;
    if (!failed && !sy_sqlite_sync(s))
        sy_sqlite_write_error(s, "ERROR");
    sy_sqlite_session_ready(s);
}

static void handle_extended(struct sy_sqlite_session *s, char type, struct sy_slice body)
{
    if (sy_sqlite_extended(s, type, body))
        return;
    sy_sqlite_transaction_failed(s);
    sy_sqlite_write_error(s, "ERROR");
    s->skip_to_sync = true;
}

static void handle(struct sy_sqlite_session *s, char type, struct sy_slice body)
{
    if (s->skip_to_sync && type != 'S' && type != 'X')
        return;
    switch (type) {
    case 'Q':
        sy_sqlite_simple_start(s,
                               (struct sy_slice){body.data, body.bytes == 0 ? 0 : body.bytes - 1});
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        handle_extended(s, type, body);
        break;
    case 'H':
        sy_sqlite_session_flush(s);
        break;
    case 'S':
        handle_sync(s);
        break;
    case 'X':
        sy_sqlite_session_expire(s, SY_STOP_CLOSE);
        break;
    case 'F':
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "the function call message is not supported by the embedded engine");
        sy_err_hint(&s->err, "Call the function with SELECT.");
        sy_sqlite_transaction_failed(s);
        sy_sqlite_write_error(s, "ERROR");
        sy_sqlite_session_ready(s);
        break;
    case 'd':
    case 'c':
    case 'f':
        break; /* the rest of a COPY that has failed */
    default:
        protocol_error(s, "unexpected message type");
        break;
    }
}

/* Work that has begun goes on before the next message is looked at. DONE: nothing is left of it. */
static enum sy_sqlite_step continue_work(struct sy_sqlite_session *s)
{
    if (s->copy != NULL)
        return SY_STEP_DONE;
    if (s->executing.portal != NULL)
        return sy_sqlite_execute_step(s);
    if (s->simple.active)
        return sy_sqlite_simple_step(s);
    return SY_STEP_DONE;
}

static bool dispatch_one(struct sy_sqlite_session *s)
{
    char type = 0;
    struct sy_slice body = {0};
    sy_err_init(&s->err);
    if (!next_frame(s, &type, &body)) {
        if (s->err.status != SY_OK)
            protocol_error(s, "invalid message length");
        return false;
    }
    sy_sqlite_session_limit(s, &s->idle_deadline_us, 0);
    if (s->copy != NULL)
        sy_sqlite_copy_message(s, type, body);
    else
        handle(s, type, body);
    return true;
}

/* ---- running ---- */

static bool open_session(struct sy_sqlite_session *s)
{
    struct sy_err err = {0};
    struct sy_sqlite_file *file = NULL;
    enum sy_status status = sy_sqlite_file_find(s->node->file, s->node->node_index, &file, &err);
    if (status != SY_OK) {
        sy_sqlite_link_closed(s->link, &err);
        return false;
    }
    sy_sqlite_file_attach(file, s->node);
    s->file = file;
    s->shard = file->shard;
    s->opened = true;
    pthread_mutex_lock(&s->shard->lock);
    sy_list_append(&s->shard->sessions, &s->shard_link);
    pthread_mutex_unlock(&s->shard->lock);
    sy_sqlite_env_init(s);
    sy_sqlite_refresh_catalog(s);
    sy_sqlite_settings_report_all(s);
    sy_sqlite_notify_join(s);
    sy_sqlite_link_opened(s->link);
    return true;
}

static void finish(struct sy_sqlite_session *s)
{
    sy_sqlite_run_end(s);
    sy_sqlite_copy_abort(s);
    sy_sqlite_rollback(s);
    sy_sqlite_branch_abandon(s);
    sy_sqlite_notify_leave(s);
    sy_sqlite_locks_release_all(s);
    forget_limits(s);
    pthread_mutex_lock(&s->lock);
    bool idle = (s->stop & SY_STOP_IDLE) != 0;
    pthread_mutex_unlock(&s->lock);
    if (idle) {
        sy_err_set(&s->err, SY_E_IDLE_TXN_TIMEOUT,
                   "terminating connection due to idle-in-transaction timeout");
        sy_sqlite_write_error(s, "FATAL");
    } else if (s->fatal) {
        sy_sqlite_write_error(s, "FATAL");
    }
    sy_sqlite_session_flush(s);
    sy_sqlite_link_closed(s->link, idle || s->fatal ? &s->err : NULL);
}

static bool must_end(struct sy_sqlite_session *s)
{
    return (atomic_load(&s->stop) & (SY_STOP_CLOSE | SY_STOP_IDLE)) != 0;
}

/* The session's last step of a turn: from here others may touch it. */
static enum sy_sqlite_task_result park(struct sy_sqlite_session *s)
{
    if (atomic_load(&s->wait) == SY_WAIT_WRITER) {
        if (!s->batchable)
            sy_sqlite_session_flush(s);
        if (sy_sqlite_locks_deadlock(s))
            sy_sqlite_session_expire(s, SY_STOP_DEADLOCK);
        sy_sqlite_writer_request(s->shard, s);
    } else if (atomic_load(&s->wait) == SY_WAIT_LOCK) {
        sy_sqlite_session_flush(s);
        sy_sqlite_locks_request(s);
    }
    return SY_TASK_WAITS;
}

static enum sy_sqlite_task_result session_run(struct sy_sqlite_task *task)
{
    struct sy_sqlite_session *s = sy_sqlite_session_of(task);
    if (atomic_load(&s->wait) != SY_WAIT_NONE)
        return SY_TASK_WAITS;
    if (!s->opened && !open_session(s))
        return SY_TASK_GONE;
    take_input(s);
    bool more = true;
    for (uint32_t turn = 0; more && turn < TURN_MESSAGES; turn++) {
        if (must_end(s)) {
            finish(s);
            return SY_TASK_GONE;
        }
        if (continue_work(s) == SY_STEP_WAIT)
            return park(s);
        more = dispatch_one(s);
        if (!more && continue_work(s) == SY_STEP_WAIT)
            return park(s);
    }
    sy_sqlite_session_flush(s);
    if (must_end(s)) {
        finish(s);
        return SY_TASK_GONE;
    }
    if (more)
        return SY_TASK_AGAIN;
    quiet(s);
    sy_sqlite_notify_idle(s);
    return SY_TASK_WAITS;
}
