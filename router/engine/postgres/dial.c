/* Dialling: see dial.h. Runs on the worker's loop; nothing here waits. */
#include "router/engine/postgres/dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <string.h>

#include "router/wire/message.h"

static struct pg_dial *of_stream(struct sy_stream *stream)
{
    return sy_container_of(stream, struct pg_dial, stream);
}

static void note_why(struct pg_dial *dial, const struct sy_err *why)
{
    if (dial->why.status == SY_OK && why != NULL)
        dial->why = *why;
}

/* The end, at the end of the loop's turn, so that no caller sees it inside its own call. */
static void report_closed(struct sy_deferred *deferred)
{
    struct pg_dial *dial = sy_container_of(deferred, struct pg_dial, finish);
    struct sy_node *node = dial->node;
    dial->state = PG_DIAL_CLOSED;
    dial->events->closed(dial, dial->why.status != SY_OK ? &dial->why : NULL);
    sy_node_unref(node); /* `dial` may be gone */
}

static void finish_soon(struct pg_dial *dial)
{
    dial->state = PG_DIAL_CLOSING;
    sy_timer_cancel(dial->loop, &dial->timer);
    sy_loop_defer(dial->loop, &dial->finish);
}

static void set_up(struct pg_dial *dial)
{
    dial->state = PG_DIAL_UP;
    dial->was_up = true;
    dial->events->up(dial);
}

static const struct sy_stream_events stream_events;

/* Tries addresses from dial->address on until one starts. */
static enum sy_status connect_next(struct pg_dial *dial, struct sy_err *err)
{
    enum sy_status status =
        sy_err_set(err, SY_E_CONNECT, "node %s has no address", dial->node->name);
    for (; dial->address < dial->addresses.count; dial->address++) {
        dial->state = PG_DIAL_CONNECTING;
        status = sy_stream_connect(&dial->stream, dial->loop,
                                   (const struct sockaddr *)&dial->addresses.at[dial->address],
                                   dial->addresses.bytes[dial->address], &stream_events, err);
        if (status == SY_OK) {
            dial->stream_live = true;
            return SY_OK;
        }
    }
    return status;
}

static void connect_or_finish(struct pg_dial *dial)
{
    struct sy_err err = {0};
    if (connect_next(dial, &err) == SY_OK)
        return;
    note_why(dial, &err);
    finish_soon(dial);
}

static void on_resolved(void *owner, const struct pg_addresses *addresses, const struct sy_err *err)
{
    struct pg_dial *dial = owner;
    dial->resolving = NULL;
    if (dial->state != PG_DIAL_RESOLVING || err != NULL) {
        note_why(dial, err);
        finish_soon(dial);
        return;
    }
    dial->addresses = *addresses;
    connect_or_finish(dial);
}

static void on_timeout(struct sy_timer *timer)
{
    struct pg_dial *dial = sy_container_of(timer, struct pg_dial, timer);
    struct sy_err err = {0};
    (void)!sy_err_set(&err, SY_E_CONNECT, "connecting to node %s took longer than %llu ms",
                      dial->node->name, (unsigned long long)(dial->timeout_us / 1000));
    pg_dial_close(dial, &err, 0);
}

/* Requests and answers are small and come in pairs: no delay for either; dead peers are noticed by
 * keepalives. */
static void tune_socket(const struct pg_dial *dial)
{
    int on = 1, idle_s = 60, interval_s = 10, probes = 5;
    int fd = dial->stream.fd;
    if (dial->addresses.at[dial->address].ss_family == AF_UNIX)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void on_connected(struct sy_stream *stream)
{
    struct pg_dial *dial = of_stream(stream);
    tune_socket(dial);
    if (dial->tls == PG_TLS_OFF) {
        set_up(dial);
        return;
    }
    dial->state = PG_DIAL_SSL_REPLY;
    struct sy_buf out = {0};
    sy_write_request(&out, SY_CODE_SSL);
    sy_stream_send_copy(stream, out.data, out.bytes);
    sy_buf_release(&out);
}

static void start_handshake(struct pg_dial *dial)
{
    struct sy_err err = {0};
    SSL_CTX *ctx = NULL;
    /* The stream checks the name it is given where the context verifies; verify-ca wants no such
     * check. */
    const char *name = dial->tls == PG_TLS_VERIFY_CA ? NULL : pg_tls_server_name(dial->node);
    dial->state = PG_DIAL_HANDSHAKE;
    enum sy_status status = pg_tls_context(dial->node, dial->tls, &ctx, &err);
    if (status == SY_OK)
        status = sy_stream_start_tls(&dial->stream, ctx, false, name, &err);
    SSL_CTX_free(ctx);
    if (status != SY_OK)
        pg_dial_close(dial, &err, 0);
}

/* The one byte that answers SSLRequest. Anything beside it was not encrypted and must not be
 * believed (CVE-2021-23222); an error text at this point may come from anybody and is not shown
 * (CVE-2024-10977). */
static void take_ssl_reply(struct pg_dial *dial, const char *data, uint32_t bytes)
{
    struct sy_err err = {0};
    if (bytes == 1 && data[0] == 'S') {
        start_handshake(dial);
        return;
    }
    if (bytes == 1 && data[0] == 'N' && dial->tls == PG_TLS_TRY) {
        dial->tls = PG_TLS_OFF;
        set_up(dial);
        return;
    }
    if (bytes == 1 && data[0] == 'N') {
        (void)!sy_err_set(&err, SY_E_CONNECT, "node %s does not support TLS, but sslmode is %s",
                          dial->node->name, dial->node->sslmode);
        sy_err_hint(
            &err,
            "Turn on ssl in the server, or write sslmode=prefer or sslmode=disable in the conninfo "
            "if the network is trusted.");
    } else {
        (void)!sy_err_set(&err, SY_E_PROTOCOL,
                          "node %s answered the request for TLS with something else",
                          dial->node->name);
    }
    pg_dial_close(dial, &err, 0);
}

static void on_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct pg_dial *dial = of_stream(stream);
    if (dial->state == PG_DIAL_UP)
        dial->events->data(dial, chunk, from, to);
    else if (dial->state == PG_DIAL_SSL_REPLY)
        take_ssl_reply(dial, chunk->data + from, to - from);
}

static void on_secured(struct sy_stream *stream)
{
    struct pg_dial *dial = of_stream(stream);
    struct sy_err err = {0};
    if (dial->state != PG_DIAL_HANDSHAKE)
        return;
    if (dial->tls == PG_TLS_VERIFY_FULL &&
        pg_tls_check_name(dial->node, sy_stream_ssl(stream), &err) != SY_OK)
        pg_dial_close(dial, &err, 0);
    else
        set_up(dial);
}

static void on_drained(struct sy_stream *stream)
{
    struct pg_dial *dial = of_stream(stream);
    if (dial->state == PG_DIAL_UP && dial->events->drained != NULL)
        dial->events->drained(dial);
}

static void on_closed(struct sy_stream *stream, const struct sy_err *why)
{
    struct pg_dial *dial = of_stream(stream);
    dial->stream_live = false;
    if (dial->redial) {
        dial->redial = false;
        connect_or_finish(dial);
        return;
    }
    /* The next address, or the same without TLS, is worth a try only while nothing of the protocol
     * was seen. */
    if (dial->state == PG_DIAL_CONNECTING && dial->address + 1 < dial->addresses.count) {
        dial->address++;
        connect_or_finish(dial);
        return;
    }
    if (dial->state == PG_DIAL_HANDSHAKE && dial->tls == PG_TLS_TRY) {
        dial->tls = PG_TLS_OFF;
        connect_or_finish(dial);
        return;
    }
    if (why == NULL && dial->state < PG_DIAL_UP)
        (void)!sy_err_set(&dial->why, SY_E_CONNECT, "node %s closed the connection",
                          dial->node->name);
    if (why != NULL && !dial->was_up && dial->why.status == SY_OK) {
        const struct sy_node *node = dial->node;
        (void)!sy_err_set_errno(
            &dial->why, SY_E_CONNECT, why->sys_errno, "cannot connect to node %s at %s port %s: %s",
            node->name, node->host[0] != '\0' ? node->host : node->hostaddr, node->port, why->text);
    }
    note_why(dial, why);
    finish_soon(dial);
}

static const struct sy_stream_events stream_events = {
    .connected = on_connected,
    .secured = on_secured,
    .data = on_data,
    .drained = on_drained,
    .closed = on_closed,
};

static void init(struct pg_dial *dial, struct sy_loop *loop, struct sy_node *node,
                 uint64_t timeout_us, const struct pg_dial_events *events)
{
    memset(dial, 0, sizeof(*dial));
    dial->events = events;
    dial->loop = loop;
    dial->node = node;
    dial->timeout_us = timeout_us;
    sy_timer_init(&dial->timer, on_timeout);
    sy_deferred_init(&dial->finish, report_closed);
}

/* Common end of both starts: the reference and the timer exist only for a dial that will report
 * `closed`. */
static void begin(struct pg_dial *dial)
{
    sy_node_ref(dial->node);
    if (dial->timeout_us != 0)
        sy_timer_start(dial->loop, &dial->timer, dial->timeout_us);
}

enum sy_status pg_dial_start(struct pg_dial *dial, struct sy_loop *loop, struct sy_node *node,
                             uint64_t timeout_us, const struct pg_dial_events *events,
                             struct sy_err *err)
{
    init(dial, loop, node, timeout_us, events);
    dial->tls = pg_tls_mode_of(node);
    dial->state = PG_DIAL_RESOLVING;
    enum sy_status status =
        pg_resolve(node, loop, dial, on_resolved, &dial->addresses, &dial->resolving, err);
    if (status == SY_OK && dial->resolving == NULL)
        status = connect_next(dial, err);
    if (status == SY_OK)
        begin(dial);
    return status;
}

enum sy_status pg_dial_start_like(struct pg_dial *dial, const struct pg_dial *like,
                                  const struct pg_dial_events *events, struct sy_err *err)
{
    init(dial, like->loop, like->node, like->timeout_us, events);
    dial->tls = like->tls == PG_TLS_TRY ? PG_TLS_ENCRYPT : like->tls;
    dial->addresses.at[0] = like->addresses.at[like->address];
    dial->addresses.bytes[0] = like->addresses.bytes[like->address];
    dial->addresses.count = 1;
    enum sy_status status = connect_next(dial, err);
    if (status == SY_OK)
        begin(dial);
    return status;
}

void pg_dial_finished(struct pg_dial *dial)
{
    sy_timer_cancel(dial->loop, &dial->timer);
}

void pg_dial_close(struct pg_dial *dial, const struct sy_err *why, uint64_t linger_us)
{
    if (dial->state >= PG_DIAL_CLOSING)
        return;
    note_why(dial, why);
    bool was_resolving = dial->state == PG_DIAL_RESOLVING;
    dial->state = PG_DIAL_CLOSING;
    dial->redial = false;
    sy_timer_cancel(dial->loop, &dial->timer);
    if (dial->stream_live)
        sy_stream_close(&dial->stream, linger_us);
    else if (!was_resolving || pg_resolve_abandon(dial->resolving))
        finish_soon(dial);
}

bool pg_dial_retry_plain(struct pg_dial *dial)
{
    if (dial->tls != PG_TLS_TRY || dial->state != PG_DIAL_UP)
        return false;
    dial->tls = PG_TLS_OFF;
    dial->state = PG_DIAL_CONNECTING;
    dial->redial = true;
    dial->was_up = false;
    sy_stream_close(&dial->stream, 0);
    return true;
}

bool pg_dial_is_encrypted(const struct pg_dial *dial)
{
    return dial->stream_live && sy_stream_ssl(&dial->stream) != NULL;
}
