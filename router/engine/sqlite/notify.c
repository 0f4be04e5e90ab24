/* LISTEN/NOTIFY: a list of listeners under one lock, a mailbox per session. */
#include "router/engine/sqlite/notify.h"

#include <stdlib.h>
#include <string.h>

enum { PAYLOAD_BYTES_MAX = 7999, MAILBOX_BYTES_MAX = 8 * 1024 * 1024 };

struct channel {
    struct sy_list of_session, all;
    struct sy_sqlite_session *session;
    char *name;
};

static struct {
    pthread_mutex_t lock;
    struct sy_list channels;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .channels = {&table.channels, &table.channels}};

void sy_sqlite_notify_join(struct sy_sqlite_session *s)
{
    s->mailbox.bytes_max = MAILBOX_BYTES_MAX;
}

static void drop(struct channel *channel)
{
    sy_list_remove(&channel->of_session);
    sy_list_remove(&channel->all);
    free(channel->name);
    free(channel);
}

bool sy_sqlite_listen(struct sy_sqlite_session *s, struct sy_slice name)
{
    sy_list_each(node, &s->channels)
    {
        if (sy_slice_eq(sy_slice_of(sy_container_of(node, struct channel, of_session)->name), name))
            return true;
    }
    struct channel *channel = calloc(1, sizeof(*channel));
    if (channel == NULL || (channel->name = strndup(name.data, name.bytes)) == NULL) {
        free(channel);
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    channel->session = s;
    pthread_mutex_lock(&table.lock);
    sy_list_append(&s->channels, &channel->of_session);
    sy_list_append(&table.channels, &channel->all);
    pthread_mutex_unlock(&table.lock);
    return true;
}

void sy_sqlite_unlisten(struct sy_sqlite_session *s, struct sy_slice name)
{
    pthread_mutex_lock(&table.lock);
    sy_list_each_safe(node, &s->channels)
    {
        struct channel *channel = sy_container_of(node, struct channel, of_session);
        if (name.data == NULL || sy_slice_eq(sy_slice_of(channel->name), name))
            drop(channel);
    }
    pthread_mutex_unlock(&table.lock);
}

void sy_sqlite_notify_leave(struct sy_sqlite_session *s)
{
    sy_sqlite_unlisten(s, (struct sy_slice){0});
    sy_buf_release(&s->mailbox);
}

bool sy_sqlite_notify(struct sy_sqlite_session *s, struct sy_slice channel, struct sy_slice payload)
{
    if (payload.bytes > PAYLOAD_BYTES_MAX) {
        sy_err_set(&s->err, SY_E_VALUE, "payload string too long");
        return false;
    }
    sy_write_notification(&s->notifications, s->pid, channel, payload);
    if (s->notifications.failed) {
        sy_buf_clear(&s->notifications);
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    return true;
}

/* Equal notifications of one transaction are told once. */
static bool told_before(const struct sy_buf *all, size_t at, size_t bytes)
{
    for (size_t i = 0; i < at;) {
        struct sy_reader reader = sy_reader_of(all->data + i + 1, 4);
        size_t length = (size_t)sy_read_u32(&reader) + 1;
        if (length == bytes && memcmp(all->data + i, all->data + at, bytes) == 0)
            return true;
        i += length;
    }
    return false;
}

static void send_one(const struct sy_sqlite_session *from, const char *message, size_t bytes)
{
    /* Type, length and process id come before the channel's name. */
    const char *channel = message + 9;
    sy_list_each(node, &table.channels)
    {
        struct channel *listener = sy_container_of(node, struct channel, all);
        if (listener->session->shard != from->shard || strcmp(listener->name, channel) != 0)
            continue;
        sy_buf_append(&listener->session->mailbox, message, bytes);
        atomic_store(&listener->session->has_mail, true);
        if (listener->session != from)
            sy_sqlite_task_wake(&listener->session->task);
    }
}

void sy_sqlite_notify_commit(struct sy_sqlite_session *s)
{
    if (s->notifications.bytes == 0)
        return;
    pthread_mutex_lock(&table.lock);
    for (size_t at = 0; at < s->notifications.bytes;) {
        struct sy_reader reader = sy_reader_of(s->notifications.data + at + 1, 4);
        size_t bytes = (size_t)sy_read_u32(&reader) + 1;
        if (!told_before(&s->notifications, at, bytes))
            send_one(s, s->notifications.data + at, bytes);
        at += bytes;
    }
    pthread_mutex_unlock(&table.lock);
    sy_buf_clear(&s->notifications);
}

void sy_sqlite_notify_deliver(struct sy_sqlite_session *s)
{
    if (s->txn != 'I' || !atomic_load(&s->has_mail))
        return;
    pthread_mutex_lock(&table.lock);
    sy_buf_append(&s->out, s->mailbox.data, s->mailbox.bytes);
    sy_buf_clear(&s->mailbox);
    atomic_store(&s->has_mail, false);
    pthread_mutex_unlock(&table.lock);
}

void sy_sqlite_notify_idle(struct sy_sqlite_session *s)
{
    /* Between a statement and its ReadyForQuery nothing may come in between. */
    if (!atomic_load(&s->has_mail) || s->skip_to_sync || s->in_at != s->in.bytes || s->copy != NULL)
        return;
    sy_sqlite_notify_deliver(s);
    sy_sqlite_session_flush(s);
}
