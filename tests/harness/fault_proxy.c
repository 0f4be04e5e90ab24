/*
 * The relay's thread: one poll() loop, blocking writes with small buffers. Commands are a struct
 * under a lock and a byte in a pipe; the caller waits until the thread has seen it.
 */
#include "fault_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

enum { PAIRS_MAX = 256, PIECE_BYTES = 16384 };

struct piece {
    struct piece *next;
    long long due_ms;
    size_t bytes;
    char data[];
};

/* One direction of a connection. */
struct half {
    int from, to;
    bool ended; /* `from` has sent its end */
    struct piece *first, *last;
};

struct pair {
    struct half halves[2]; /* client to server, server to client */
    bool open;
};

struct sy_fault_proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t seen;
    enum sy_fault fault; /* under lock, with the three below */
    uint32_t delay_ms;
    uint64_t asked, done;
    bool stop;
    int listener, wake[2];
    uint16_t port, target;
    _Atomic uint64_t bytes;
    struct pair pairs[PAIRS_MAX];
};

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int loopback(uint16_t port, bool listening, uint16_t *ret_port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int result = listening ? bind(fd, (struct sockaddr *)&address, bytes)
                           : connect(fd, (struct sockaddr *)&address, bytes);
    if (result == 0 && listening)
        result = listen(fd, 128);
    if (result != 0 || getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        close(fd);
        return -1;
    }
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void close_pair(struct pair *pair, bool reset)
{
    for (int i = 0; i < 2; i++) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        if (reset)
            (void)setsockopt(pair->halves[i].from, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        close(pair->halves[i].from);
        while (pair->halves[i].first != NULL) {
            struct piece *piece = pair->halves[i].first;
            pair->halves[i].first = piece->next;
            free(piece);
        }
    }
    memset(pair, 0, sizeof(*pair));
}

static void accept_one(struct sy_fault_proxy *proxy, enum sy_fault fault)
{
    uint16_t unused = 0;
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0)
        return;
    int server = fault == SY_FAULT_CUT ? -1 : loopback(proxy->target, false, &unused);
    for (unsigned i = 0; server >= 0 && i < PAIRS_MAX; i++) {
        if (proxy->pairs[i].open)
            continue;
        proxy->pairs[i] = (struct pair){
            .halves = {{.from = client, .to = server}, {.from = server, .to = client}},
            .open = true};
        return;
    }
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(client);
    if (server >= 0)
        close(server);
}

/* Receives one piece; false: the pair is over. */
static bool receive(struct half *half, uint32_t delay_ms)
{
    struct piece *piece = malloc(sizeof(*piece) + PIECE_BYTES);
    if (piece == NULL)
        return false;
    ssize_t got = recv(half->from, piece->data, PIECE_BYTES, 0);
    if (got <= 0) {
        free(piece);
        half->ended = true;
        return got == 0;
    }
    piece->next = NULL;
    piece->bytes = (size_t)got;
    piece->due_ms = now_ms() + delay_ms;
    if (half->first == NULL)
        half->first = piece;
    else
        half->last->next = piece;
    half->last = piece;
    return true;
}

static bool deliver_due(struct sy_fault_proxy *proxy, struct half *half, bool vanish)
{
    while (half->first != NULL && half->first->due_ms <= now_ms()) {
        struct piece *piece = half->first;
        bool good = vanish || sy_send_all(half->to, piece->data, piece->bytes);
        atomic_fetch_add(&proxy->bytes, piece->bytes);
        half->first = piece->next;
        free(piece);
        if (!good)
            return false;
    }
    if (half->ended && half->first == NULL)
        shutdown(half->to, SHUT_WR);
    return true;
}

static void serve_pair(struct sy_fault_proxy *proxy, struct pair *pair, const struct pollfd *polled,
                       enum sy_fault fault, uint32_t delay_ms)
{
    bool good = true;
    for (int i = 0; i < 2 && good; i++) {
        struct half *half = &pair->halves[i];
        if (!half->ended && (polled[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
            good = receive(half, fault == SY_FAULT_DELAY ? delay_ms : 0);
        if (good)
            good = deliver_due(proxy, half, fault == SY_FAULT_HALF && i == 1);
    }
    if (!good || (pair->halves[0].ended && pair->halves[1].ended && pair->halves[0].first == NULL &&
                  pair->halves[1].first == NULL))
        close_pair(pair, !good);
}

static bool read_command(struct sy_fault_proxy *proxy, enum sy_fault *ret_fault,
                         uint32_t *ret_delay_ms)
{
    pthread_mutex_lock(&proxy->lock);
    *ret_fault = proxy->fault;
    *ret_delay_ms = proxy->delay_ms;
    bool stop = proxy->stop, fresh = proxy->done != proxy->asked;
    pthread_mutex_unlock(&proxy->lock);
    if (stop || *ret_fault == SY_FAULT_CUT)
        for (unsigned i = 0; i < PAIRS_MAX; i++)
            if (proxy->pairs[i].open)
                close_pair(&proxy->pairs[i], true);
    if (fresh) {
        pthread_mutex_lock(&proxy->lock);
        proxy->done = proxy->asked;
        pthread_cond_broadcast(&proxy->seen);
        pthread_mutex_unlock(&proxy->lock);
    }
    return !stop;
}

static void *proxy_main(void *argument)
{
    struct sy_fault_proxy *proxy = argument;
    struct pollfd polled[2 + 2 * PAIRS_MAX];
    enum sy_fault fault = SY_FAULT_NONE;
    uint32_t delay_ms = 0;
    while (read_command(proxy, &fault, &delay_ms)) {
        bool delayed = false;
        polled[0] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        polled[1] = (struct pollfd){.fd = proxy->wake[0], .events = POLLIN};
        for (unsigned i = 0; i < PAIRS_MAX; i++)
            for (unsigned h = 0; h < 2; h++) {
                struct pair *pair = &proxy->pairs[i];
                bool watch = pair->open && !pair->halves[h].ended && fault != SY_FAULT_BLACKHOLE;
                polled[2 + 2 * i + h] =
                    (struct pollfd){.fd = watch ? pair->halves[h].from : -1, .events = POLLIN};
                delayed = delayed || (pair->open && pair->halves[h].first != NULL);
            }
        (void)poll(polled, 2 + 2 * PAIRS_MAX, delayed && fault != SY_FAULT_BLACKHOLE ? 1 : -1);
        char drain[64];
        if (polled[1].revents != 0)
            (void)!read(proxy->wake[0], drain, sizeof(drain));
        if (polled[0].revents != 0)
            accept_one(proxy, fault);
        for (unsigned i = 0; i < PAIRS_MAX && fault != SY_FAULT_BLACKHOLE; i++)
            if (proxy->pairs[i].open && polled[2 + 2 * i].fd + polled[3 + 2 * i].fd != -2)
                serve_pair(proxy, &proxy->pairs[i], &polled[2 + 2 * i], fault, delay_ms);
            else if (proxy->pairs[i].open && delayed)
                serve_pair(proxy, &proxy->pairs[i], &polled[2 + 2 * i], fault, delay_ms);
    }
    return NULL;
}

struct sy_fault_proxy *sy_fault_proxy_start(uint16_t target_port)
{
    struct sy_fault_proxy *proxy = calloc(1, sizeof(*proxy));
    if (proxy == NULL || pipe(proxy->wake) != 0)
        sy_harness_die("cannot start a fault proxy");
    proxy->target = target_port;
    proxy->listener = loopback(0, true, &proxy->port);
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->seen, NULL);
    if (proxy->listener < 0 || pthread_create(&proxy->thread, NULL, proxy_main, proxy) != 0)
        sy_harness_die("cannot start a fault proxy");
    return proxy;
}

uint16_t sy_fault_proxy_port(const struct sy_fault_proxy *proxy)
{
    return proxy->port;
}

uint64_t sy_fault_proxy_bytes(const struct sy_fault_proxy *proxy)
{
    return atomic_load(&proxy->bytes);
}

static void command(struct sy_fault_proxy *proxy, enum sy_fault fault, uint32_t delay_ms, bool stop)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->fault = fault;
    proxy->delay_ms = delay_ms;
    proxy->stop = stop;
    uint64_t mine = ++proxy->asked;
    (void)!write(proxy->wake[1], "x", 1);
    while (proxy->done < mine)
        pthread_cond_wait(&proxy->seen, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
}

void sy_fault_proxy_set(struct sy_fault_proxy *proxy, enum sy_fault fault, uint32_t delay_ms)
{
    command(proxy, fault, delay_ms, false);
}

void sy_fault_proxy_stop(struct sy_fault_proxy **proxy)
{
    struct sy_fault_proxy *self = *proxy;
    *proxy = NULL;
    if (self == NULL)
        return;
    command(self, SY_FAULT_NONE, 0, true);
    pthread_join(self->thread, NULL);
    close(self->listener);
    close(self->wake[0]);
    close(self->wake[1]);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->seen);
    free(self);
}
