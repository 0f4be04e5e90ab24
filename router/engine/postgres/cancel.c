/*
 * CancelRequest on a connection of its own, encrypted if the link's is. Its end is the server's
 * close: only then has the postmaster's child sent the signal, and only then may the link serve
 * somebody else.
 */
#include <stdlib.h>

#include "router/engine/postgres/link.h"
#include "router/wire/message.h"

struct cancel {
    struct pg_dial dial;
    struct sy_deferred report; /* when nothing could be started */
    void (*done)(void *ctx);
    void *ctx;
    uint32_t pid, key_bytes;
    uint8_t key[PG_CANCEL_KEY_BYTES_MAX];
};

static void finish(struct cancel *cancel)
{
    void (*done)(void *ctx) = cancel->done;
    void *ctx = cancel->ctx;
    explicit_bzero(cancel->key, sizeof(cancel->key));
    free(cancel);
    if (done != NULL)
        done(ctx);
}

static void on_up(struct pg_dial *dial)
{
    struct cancel *cancel = sy_container_of(dial, struct cancel, dial);
    struct sy_buf out = {0};
    sy_write_cancel(&out, cancel->pid,
                    (struct sy_slice){(const char *)cancel->key, cancel->key_bytes});
    if (!out.failed)
        sy_stream_send_copy(&dial->stream, out.data, out.bytes);
    sy_buf_release(&out);
}

static void on_data(struct pg_dial *dial, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    (void)dial, (void)chunk, (void)from, (void)to; /* a server answers nothing to this request */
}

static void on_closed(struct pg_dial *dial, const struct sy_err *why)
{
    struct cancel *cancel = sy_container_of(dial, struct cancel, dial);
    if (why != NULL && why->status != SY_E_CONNECTION_LOST)
        sy_log_err(SY_LOG_WARN, "cancel request failed", why);
    finish(cancel);
}

static const struct pg_dial_events events = {.up = on_up, .data = on_data, .closed = on_closed};

static void report_failure(struct sy_deferred *deferred)
{
    finish(sy_container_of(deferred, struct cancel, report));
}

void pg_cancel_send(struct pg_link *link, void (*done)(void *ctx), void *ctx)
{
    struct cancel *cancel = calloc(1, sizeof(*cancel));
    if (cancel == NULL) {
        if (done != NULL)
            done(ctx);
        return;
    }
    cancel->done = done;
    cancel->ctx = ctx;
    cancel->pid = link->base.backend_pid;
    cancel->key_bytes = link->cancel_key_bytes;
    memcpy(cancel->key, link->cancel_key, link->cancel_key_bytes);
    sy_deferred_init(&cancel->report, report_failure);
    struct sy_err err = {0};
    enum sy_status status = SY_E_STATE;
    if (link->state == PG_LINK_READY && link->cancel_key_bytes != 0)
        status = pg_dial_start_like(&cancel->dial, &link->dial, &events, &err);
    if (status == SY_OK)
        return;
    if (err.status != SY_OK)
        sy_log_err(SY_LOG_WARN, "cancel request failed", &err);
    sy_loop_defer(link->base.loop, &cancel->report);
}
