/* See sqlite_server.h. Everything but start and stop runs on the server's loop. */
#include "tests/harness/sqlite_server.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/stream.h"
#include "router/engine/engine.h"
#include "router/engine/parameters.h"
#include "router/engine/sqlite/sqlite.h"
#include "router/wire/message.h"

enum { NODES_MAX = 4 };

struct port {
    struct sy_listener listener;
    struct sy_sqlite_server *server;
    struct sy_node *node;
    int fd;
    uint16_t number;
};

struct sy_sqlite_server {
    struct sy_loop *loop;
    pthread_t thread;
    struct port ports[NODES_MAX];
    uint32_t port_count;
    struct sy_list clients;
    struct sy_message stop;
    enum sy_loop_kind kind;
    bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool ready;
    struct sy_err err;
};

struct client {
    struct sy_list link_in_server;
    struct sy_stream stream;
    struct port *port;
    struct sy_link *link;
    struct sy_buf startup;
    bool started, stream_open;
};

/* ---- a client comes and goes ---- */

static void client_free_if_over(struct client *c)
{
    if (c->stream_open || c->link != NULL)
        return;
    struct sy_sqlite_server *server = c->port->server;
    sy_list_remove(&c->link_in_server);
    sy_buf_release(&c->startup);
    free(c);
    if (server->stopping && sy_list_empty(&server->clients))
        sy_loop_stop(server->loop);
}

static void stream_closed(struct sy_stream *stream, const struct sy_err *why)
{
    (void)why;
    struct client *c = sy_container_of(stream, struct client, stream);
    c->stream_open = false;
    if (c->link != NULL)
        c->link->engine->close(c->link);
    client_free_if_over(c);
}

static void link_closed(struct sy_link *link, const struct sy_err *why)
{
    struct client *c = link->owner;
    c->link = NULL;
    if (c->stream_open) {
        if (why != NULL && !c->started) {
            struct sy_buf out = {0};
            sy_write_error(&out, "FATAL", why);
            sy_stream_send_copy(&c->stream, out.data, out.bytes);
            sy_buf_release(&out);
        }
        sy_stream_close(&c->stream, 1000000);
    }
    client_free_if_over(c);
}

static void link_opened(struct sy_link *link)
{
    struct client *c = link->owner;
    struct sy_buf out = {0};
    c->started = true;
    sy_write_auth(&out, 0, (struct sy_slice){0});
    for (uint32_t i = 0; i < sy_parameters_count(link->parameters); i++) {
        struct sy_slice name, value;
        sy_parameters_at(link->parameters, i, &name, &value);
        sy_write_parameter_status(&out, name, value);
    }
    sy_write_backend_key(&out, link->backend_pid, SY_SLICE("key!"));
    sy_write_ready(&out, 'I');
    sy_stream_send_copy(&c->stream, out.data, out.bytes);
    sy_buf_release(&out);
}

static void link_data(struct sy_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct client *c = link->owner;
    if (!c->stream_open)
        return;
    sy_stream_send(&c->stream, chunk, from, to);
    if (sy_stream_congested(&c->stream))
        link->engine->pause(link);
}

static void link_drained(struct sy_link *link)
{
    struct client *c = link->owner;
    if (c->stream_open)
        sy_stream_resume(&c->stream);
}

static void stream_drained(struct sy_stream *stream)
{
    struct client *c = sy_container_of(stream, struct client, stream);
    if (c->link != NULL)
        c->link->engine->resume(c->link);
}

static const struct sy_link_events link_events = {
    .opened = link_opened,
    .data = link_data,
    .drained = link_drained,
    .closed = link_closed,
};

/* ---- startup ---- */

static void cancel_other(struct client *c, uint32_t pid)
{
    sy_list_each(node, &c->port->server->clients)
    {
        struct client *other = sy_container_of(node, struct client, link_in_server);
        if (other->link != NULL && other->link->backend_pid == pid)
            other->link->engine->cancel(other->link, NULL, NULL);
    }
    sy_stream_close(&c->stream, 0);
}

static void open_link(struct client *c, const struct sy_startup *startup)
{
    struct sy_link_target target = {
        .node = c->port->node,
        .user = startup->user,
        .database = startup->database.bytes > 0 ? startup->database : startup->user,
        .client_database = startup->database.bytes > 0 ? startup->database : startup->user,
    };
    struct sy_err err = {0};
    if (sy_engine_sqlite()->open(c->port->server->loop, &target, &link_events, c, &c->link, &err) !=
        SY_OK) {
        struct sy_buf out = {0};
        sy_write_error(&out, "FATAL", &err);
        sy_stream_send_copy(&c->stream, out.data, out.bytes);
        sy_buf_release(&out);
        sy_stream_close(&c->stream, 1000000);
    }
}

static void take_startup(struct client *c)
{
    struct sy_err err = {0};
    struct sy_startup startup;
    uint32_t bytes = 0;
    while (c->link == NULL && c->stream_open) {
        if (sy_startup_bytes(c->startup.data, c->startup.bytes, &bytes, &err) != SY_OK) {
            sy_stream_close(&c->stream, 0);
            return;
        }
        if (bytes == 0 || c->startup.bytes < bytes)
            return;
        if (sy_startup_read(c->startup.data, bytes, &startup, &err) != SY_OK) {
            sy_stream_close(&c->stream, 0);
            return;
        }
        if (startup.kind == SY_STARTUP_SSL || startup.kind == SY_STARTUP_GSSENC) {
            sy_stream_send_copy(&c->stream, "N", 1);
        } else if (startup.kind == SY_STARTUP_CANCEL) {
            cancel_other(c, startup.cancel_pid);
            return;
        } else {
            open_link(c, &startup);
        }
        sy_buf_consume(&c->startup, bytes);
    }
    if (c->link != NULL && c->startup.bytes > 0)
        c->link->engine->send_copy(c->link, c->startup.data, c->startup.bytes);
    sy_buf_clear(&c->startup);
}

static void stream_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from,
                        uint32_t to)
{
    struct client *c = sy_container_of(stream, struct client, stream);
    if (c->link == NULL) {
        sy_buf_append(&c->startup, chunk->data + from, to - from);
        take_startup(c);
        return;
    }
    c->link->engine->send(c->link, chunk, from, to);
    if (c->link->engine->congested(c->link))
        sy_stream_pause(stream);
}

static const struct sy_stream_events stream_events = {
    .data = stream_data,
    .drained = stream_drained,
    .closed = stream_closed,
};

static void accepted(struct sy_listener *listener, int fd, const struct sockaddr_storage *peer)
{
    (void)peer;
    struct port *port = sy_container_of(listener, struct port, listener);
    struct client *c = calloc(1, sizeof(*c));
    struct sy_err err = {0};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (c == NULL ||
        sy_stream_open(&c->stream, listener->loop, fd, &stream_events, &err) != SY_OK) {
        free(c);
        close(fd);
        return;
    }
    c->port = port;
    c->stream_open = true;
    sy_list_append(&port->server->clients, &c->link_in_server);
}

static void accept_failed(struct sy_listener *listener, const struct sy_err *why)
{
    (void)listener;
    fprintf(stderr, "sqlite_server: %s\n", why->text);
}

/* ---- the server ---- */

static int listen_on(uint16_t port, uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(address);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        close(fd);
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static struct sy_node *node_new(const char *file, uint32_t index)
{
    struct sy_node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return NULL;
    atomic_store(&node->refs, 1);
    node->engine = SY_ENGINE_SQLITE;
    node->node_index = index;
    node->database = "test";
    node->shard = "s0";
    node->name = sy_arena_printf(&node->arena, "s0/%u", index);
    node->file = sy_arena_strdup(&node->arena, file);
    return node;
}

static enum sy_status open_port(struct sy_sqlite_server *server,
                                const struct sy_sqlite_server_options *options, uint32_t index,
                                struct sy_err *err)
{
    struct port *port = &server->ports[index];
    port->server = server;
    port->node = node_new(options->file, index);
    port->fd = listen_on(options->port == 0 ? 0 : (uint16_t)(options->port + index), &port->number);
    if (port->node == NULL || port->fd < 0)
        return sy_err_set(err, SY_E_IO, "cannot listen on a port");
    server->port_count++;
    return sy_sqlite_node_attach(port->node, err);
}

static void *server_main(void *argument)
{
    struct sy_sqlite_server *server = argument;
    const struct sy_loop_options options = {.kind = server->kind};
    enum sy_status status = sy_loop_new(&options, &server->loop, &server->err);
    for (uint32_t i = 0; status == SY_OK && i < server->port_count; i++) {
        struct port *port = &server->ports[i];
        port->listener.accepted = accepted;
        port->listener.failed = accept_failed;
        status = sy_listener_start(server->loop, &port->listener, port->fd, &server->err);
    }
    pthread_mutex_lock(&server->lock);
    server->ready = true;
    pthread_cond_signal(&server->changed);
    pthread_mutex_unlock(&server->lock);
    if (status == SY_OK)
        status = sy_loop_run(server->loop, &server->err);
    return NULL;
}

static void server_free(struct sy_sqlite_server *server)
{
    for (uint32_t i = 0; i < server->port_count; i++) {
        close(server->ports[i].fd);
        sy_node_unref(server->ports[i].node);
    }
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
    free(server);
}

enum sy_status sy_sqlite_server_start(const struct sy_sqlite_server_options *options,
                                      struct sy_sqlite_server **ret_server, struct sy_err *err)
{
    struct sy_sqlite_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_list_init(&server->clients);
    server->kind = options->loop;
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->changed, NULL);
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; status == SY_OK && i <= options->replicas && i < NODES_MAX; i++)
        status = open_port(server, options, i, err);
    if (status == SY_OK && pthread_create(&server->thread, NULL, server_main, server) != 0)
        status = sy_err_set(err, SY_E_NO_MEMORY, "cannot start a thread");
    if (status != SY_OK) {
        server_free(server);
        return status;
    }
    pthread_mutex_lock(&server->lock);
    while (!server->ready)
        pthread_cond_wait(&server->changed, &server->lock);
    pthread_mutex_unlock(&server->lock);
    *ret_server = server;
    return SY_OK;
}

uint16_t sy_sqlite_server_port(const struct sy_sqlite_server *server, uint32_t node)
{
    return server->ports[node].number;
}

struct sy_node *sy_sqlite_server_node(const struct sy_sqlite_server *server, uint32_t node)
{
    return server->ports[node].node;
}

static void stop_on_loop(struct sy_message *message, struct sy_loop *loop)
{
    struct sy_sqlite_server *server = sy_container_of(message, struct sy_sqlite_server, stop);
    server->stopping = true;
    for (uint32_t i = 0; i < server->port_count; i++)
        sy_listener_stop(&server->ports[i].listener);
    sy_list_each_safe(node, &server->clients)
    {
        struct client *c = sy_container_of(node, struct client, link_in_server);
        if (c->stream_open)
            sy_stream_close(&c->stream, 0);
    }
    if (sy_list_empty(&server->clients))
        sy_loop_stop(loop);
}

void sy_sqlite_server_stop(struct sy_sqlite_server **server)
{
    struct sy_sqlite_server *self = *server;
    *server = NULL;
    if (self == NULL)
        return;
    self->stop.deliver = stop_on_loop;
    sy_loop_post(self->loop, &self->stop);
    pthread_join(self->thread, NULL);
    sy_loop_free(&self->loop);
    server_free(self);
}
