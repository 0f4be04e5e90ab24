/* One thread accepts, one serves each connection; all of it blocks. */
#include "scripted_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "process.h"
#include "router/wire/message.h"

enum { SAYINGS = 6, CONNECTIONS_MAX = 256, CODE_SSL = 80877103, CODE_CANCEL = 80877102 };

struct text {
    char *data;
    size_t bytes;
};

struct sy_scripted_server {
    pthread_t thread;
    pthread_mutex_t lock;
    struct text sayings[SAYINGS]; /* under lock, by enum saying */
    bool closes;                  /* under lock */
    int sockets[CONNECTIONS_MAX]; /* under lock; -1: free */
    uint32_t served;              /* under lock: threads that run */
    int listener;
    uint16_t honest_port;
    const char *lies_to; /* an application_name */
    _Atomic uint64_t answers;
    atomic_bool stop;
};

enum saying { LOGIN, PROOF_1, PROOF_2, FIRST, ANSWER, AGAIN };

struct connection {
    struct sy_scripted_server *server;
    int fd;
    char nonce[128];
    bool asked; /* before */
};

/* ---- sockets ---- */

static bool receive_all(int fd, char *data, size_t bytes)
{
    while (bytes != 0) {
        ssize_t got = recv(fd, data, bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        data += got;
        bytes -= (size_t)got;
    }
    return true;
}

static uint32_t u32_at(const char *at)
{
    uint32_t wire;
    memcpy(&wire, at, sizeof(wire));
    return ntohl(wire);
}

/* The body of a message, or of a startup packet, behind its length. Malloced; NULL: the end. */
static char *receive_body(int fd, size_t *ret_bytes)
{
    char length[4];
    if (!receive_all(fd, length, sizeof(length)) || u32_at(length) < 4 ||
        u32_at(length) > 1024 * 1024)
        return NULL;
    size_t bytes = u32_at(length) - 4;
    char *body = calloc(1, bytes + 1);
    if (body != NULL && !receive_all(fd, body, bytes)) {
        free(body);
        return NULL;
    }
    *ret_bytes = bytes;
    return body;
}

/* ---- saying ---- */

static char *copy_saying(struct sy_scripted_server *server, enum saying which, size_t *ret_bytes,
                         bool *ret_closes)
{
    pthread_mutex_lock(&server->lock);
    const struct text *text = &server->sayings[which];
    char *copy = text->data == NULL ? NULL : malloc(text->bytes + 1);
    if (copy != NULL)
        memcpy(copy, text->data, text->bytes);
    *ret_bytes = text->bytes;
    *ret_closes = server->closes;
    pthread_mutex_unlock(&server->lock);
    return copy;
}

/* A proof: the nonce is filled in, and the length of the message made right. */
static bool say_with_nonce(const struct connection *connection, const char *text, size_t bytes)
{
    const char *place = memmem(text, bytes, "%r", 2);
    if (place == NULL)
        return sy_send_all(connection->fd, text, bytes);
    size_t before = (size_t)(place - text), nonce = strlen(connection->nonce);
    struct sy_buf out = {0};
    sy_buf_append(&out, text, before);
    sy_buf_append(&out, connection->nonce, nonce);
    sy_buf_append(&out, place + 2, bytes - before - 2);
    uint32_t length = htonl((uint32_t)out.bytes - 1);
    bool good = !out.failed && out.bytes > 5;
    if (good) {
        memcpy(out.data + 1, &length, sizeof(length));
        good = sy_send_all(connection->fd, out.data, out.bytes);
    }
    sy_buf_release(&out);
    return good;
}

/* False: the connection is over. */
static bool say(const struct connection *connection, enum saying which)
{
    size_t bytes, again_bytes;
    bool closes;
    char *text = copy_saying(connection->server, which, &bytes, &closes);
    bool good = text == NULL || say_with_nonce(connection, text, bytes);
    char *again =
        which == ANSWER ? copy_saying(connection->server, AGAIN, &again_bytes, &closes) : NULL;
    bool ends = closes && (which == ANSWER || text != NULL);
    free(text);
    while (good && again != NULL && !atomic_load(&connection->server->stop))
        good = sy_send_all(connection->fd, again, again_bytes);
    free(again);
    return good && !ends;
}

static bool say_welcome(int fd)
{
    static const char *const parameters[][2] = {
        {"server_version", "15.0"},        {"server_encoding", "UTF8"},
        {"client_encoding", "UTF8"},       {"DateStyle", "ISO, MDY"},
        {"TimeZone", "Etc/UTC"},           {"integer_datetimes", "on"},
        {"IntervalStyle", "postgres"},     {"is_superuser", "on"},
        {"session_authorization", "liar"}, {"standard_conforming_strings", "on"},
    };
    struct sy_buf out = {0};
    sy_write_auth(&out, SY_AUTH_CODE_OK, (struct sy_slice){0});
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
        sy_write_parameter_status(&out, sy_slice_of(parameters[i][0]),
                                  sy_slice_of(parameters[i][1]));
    sy_write_backend_key(&out, 4711, SY_SLICE("key!"));
    sy_write_ready(&out, 'I');
    bool good = !out.failed && sy_send_all(fd, out.data, out.bytes);
    sy_buf_release(&out);
    return good;
}

/* ---- a connection ---- */

static void note_nonce(struct connection *connection, const char *body, size_t bytes)
{
    const char *place = memmem(body, bytes, ",r=", 3);
    if (place == NULL)
        return;
    size_t length = bytes - (size_t)(place + 3 - body);
    length = length < sizeof(connection->nonce) - 1 ? length : sizeof(connection->nonce) - 1;
    memcpy(connection->nonce, place + 3, length);
    connection->nonce[length] = '\0';
}

static bool say_answer(struct connection *connection)
{
    size_t bytes;
    bool closes;
    char *first =
        connection->asked ? NULL : copy_saying(connection->server, FIRST, &bytes, &closes);
    connection->asked = true;
    if (first == NULL)
        return say(connection, ANSWER);
    bool good = sy_send_all(connection->fd, first, bytes);
    free(first);
    return good;
}

static void serve_lies(struct connection *connection)
{
    bool scripted, closes, good;
    size_t bytes, proofs = 0;
    char *login = copy_saying(connection->server, LOGIN, &bytes, &closes);
    scripted = login != NULL;
    free(login);
    good = scripted ? say(connection, LOGIN) : say_welcome(connection->fd);
    char type;
    while (good && receive_all(connection->fd, &type, 1)) {
        char *body = receive_body(connection->fd, &bytes);
        if (body == NULL)
            break;
        if (type == 'p' && proofs == 0)
            note_nonce(connection, body, bytes);
        if (type == 'p')
            good = proofs >= 2 || say(connection, proofs == 0 ? PROOF_1 : PROOF_2);
        proofs += type == 'p';
        if (type == 'Q' || type == 'S') {
            atomic_fetch_add(&connection->server->answers, 1);
            good = say_answer(connection);
        }
        good = good && type != 'X';
        free(body);
    }
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void relay(int client, int server)
{
    char block[16384];
    for (;;) {
        struct pollfd polled[2] = {{.fd = client, .events = POLLIN},
                                   {.fd = server, .events = POLLIN}};
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return;
        for (int i = 0; i < 2; i++) {
            if (polled[i].revents == 0)
                continue;
            ssize_t got = recv(polled[i].fd, block, sizeof(block), 0);
            if (got <= 0 || !sy_send_all(i == 0 ? server : client, block, (size_t)got))
                return;
        }
    }
}

/* A real server's: the startup packet is passed on, then everything. */
static void serve_honestly(const struct connection *connection, const char *packet, size_t bytes)
{
    int server = dial(connection->server->honest_port);
    uint32_t length = htonl((uint32_t)bytes + 4);
    if (server < 0)
        return;
    if (sy_send_all(server, (const char *)&length, sizeof(length)) &&
        sy_send_all(server, packet, bytes))
        relay(connection->fd, server);
    close(server);
}

static void forget_socket(struct sy_scripted_server *server, int fd)
{
    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        if (server->sockets[i] == fd)
            server->sockets[i] = -1;
    close(fd);
    server->served--;
    pthread_mutex_unlock(&server->lock);
}

static bool is_lied_to(const struct sy_scripted_server *server, const char *packet, size_t bytes)
{
    static const char key[] = "application_name";
    const char *place = memmem(packet, bytes, key, sizeof(key));
    /* The body ends with a zero byte of receive_body()'s at the latest. */
    return place != NULL && strcmp(place + sizeof(key), server->lies_to) == 0;
}

static void *connection_main(void *argument)
{
    struct connection *connection = argument;
    size_t bytes = 0;
    char *packet = receive_body(connection->fd, &bytes);
    while (packet != NULL && bytes >= 4 && u32_at(packet) == CODE_SSL) {
        free(packet);
        packet = sy_send_all(connection->fd, "N", 1) ? receive_body(connection->fd, &bytes) : NULL;
    }
    if (packet != NULL && bytes >= 4 && u32_at(packet) != CODE_CANCEL) {
        if (is_lied_to(connection->server, packet, bytes))
            serve_lies(connection);
        else
            serve_honestly(connection, packet, bytes);
    }
    free(packet);
    forget_socket(connection->server, connection->fd);
    free(connection);
    return NULL;
}

/* False: too many. */
static bool remember_socket(struct sy_scripted_server *server, int fd)
{
    bool found = false;
    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < CONNECTIONS_MAX && !found; i++) {
        found = server->sockets[i] < 0;
        if (found)
            server->sockets[i] = fd;
    }
    server->served += found;
    pthread_mutex_unlock(&server->lock);
    return found;
}

static void *server_main(void *argument)
{
    struct sy_scripted_server *server = argument;
    while (!atomic_load(&server->stop)) {
        int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        struct connection *connection = calloc(1, sizeof(*connection));
        pthread_t thread;
        if (connection == NULL || !remember_socket(server, fd))
            sy_harness_die("a scripted server has too many connections");
        *connection = (struct connection){.server = server, .fd = fd};
        if (pthread_create(&thread, NULL, connection_main, connection) != 0)
            sy_harness_die("a scripted server cannot start a thread");
        pthread_detach(thread);
    }
    return NULL;
}

/* ---- the server ---- */

struct sy_scripted_server *sy_scripted_server_start(uint16_t port, uint16_t honest_port,
                                                    const char *lies_to)
{
    int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sy_scripted_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        sy_harness_die("out of memory");
    server->honest_port = honest_port;
    server->lies_to = lies_to;
    for (int i = 0; i < CONNECTIONS_MAX; i++)
        server->sockets[i] = -1;
    pthread_mutex_init(&server->lock, NULL);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server->listener < 0 ||
        setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(server->listener, 128) != 0 ||
        pthread_create(&server->thread, NULL, server_main, server) != 0)
        sy_harness_die("cannot start a scripted server: %s", strerror(errno));
    return server;
}

uint64_t sy_scripted_server_answers(const struct sy_scripted_server *server)
{
    return atomic_load(&server->answers);
}

static void set_text(struct text *text, const struct sy_saying *saying)
{
    free(text->data);
    *text = (struct text){0};
    if (saying->data == NULL)
        return;
    text->data = malloc(saying->bytes + 1);
    if (text->data == NULL)
        sy_harness_die("out of memory");
    memcpy(text->data, saying->data, saying->bytes);
    text->bytes = saying->bytes;
}

void sy_scripted_server_set(struct sy_scripted_server *server, const struct sy_script *script)
{
    pthread_mutex_lock(&server->lock);
    set_text(&server->sayings[LOGIN], &script->login);
    set_text(&server->sayings[PROOF_1], &script->proof[0]);
    set_text(&server->sayings[PROOF_2], &script->proof[1]);
    set_text(&server->sayings[FIRST], &script->first);
    set_text(&server->sayings[ANSWER], &script->answer);
    set_text(&server->sayings[AGAIN], &script->again);
    server->closes = script->closes;
    pthread_mutex_unlock(&server->lock);
}

void sy_scripted_server_stop(struct sy_scripted_server **server)
{
    struct sy_scripted_server *self = *server;
    *server = NULL;
    if (self == NULL)
        return;
    atomic_store(&self->stop, true);
    shutdown(self->listener, SHUT_RDWR);
    pthread_join(self->thread, NULL);
    close(self->listener);
    bool busy = true;
    while (busy) {
        pthread_mutex_lock(&self->lock);
        for (int i = 0; i < CONNECTIONS_MAX; i++)
            if (self->sockets[i] >= 0)
                (void)shutdown(self->sockets[i], SHUT_RDWR);
        busy = self->served != 0;
        pthread_mutex_unlock(&self->lock);
        sy_pause_ms(1);
    }
    for (int i = 0; i < SAYINGS; i++)
        free(self->sayings[i].data);
    pthread_mutex_destroy(&self->lock);
    free(self);
}
