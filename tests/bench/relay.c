/*
 * A bare relay on the event loop, without any knowledge of a protocol: what a proxy costs at least.
 * Benchmarks compare Switchyard with it.
 *
 *     bench_relay LISTEN_PORT TARGET_PORT [--loop io_uring|epoll]
 *
 * Both ports are on 127.0.0.1. SIGINT or SIGTERM ends it; it then prints the loop's counters as one
 * line of JSON.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "base/stream.h"
#include "tests/bench/serve.h"

enum { LINGER_US = 1000000 };

static struct sockaddr_in target;

struct pair {
    struct sy_stream client, server;
    unsigned open; /* streams that have not told `closed` */
};

static struct pair *pair_of_client(struct sy_stream *stream)
{
    return sy_container_of(stream, struct pair, client);
}

static struct pair *pair_of_server(struct sy_stream *stream)
{
    return sy_container_of(stream, struct pair, server);
}

static void pass_on(struct sy_stream *from, struct sy_stream *to, struct sy_chunk *chunk,
                    uint32_t start, uint32_t end)
{
    sy_stream_send(to, chunk, start, end);
    if (sy_stream_congested(to))
        sy_stream_pause(from);
}

static void client_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from,
                        uint32_t to)
{
    pass_on(stream, &pair_of_client(stream)->server, chunk, from, to);
}

static void server_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from,
                        uint32_t to)
{
    pass_on(stream, &pair_of_server(stream)->client, chunk, from, to);
}

static void client_drained(struct sy_stream *stream)
{
    sy_stream_resume(&pair_of_client(stream)->server);
}

static void server_drained(struct sy_stream *stream)
{
    sy_stream_resume(&pair_of_server(stream)->client);
}

static void one_closed(struct pair *pair, struct sy_stream *other)
{
    if (--pair->open == 0)
        free(pair);
    else
        sy_stream_close(other, LINGER_US);
}

static void client_closed(struct sy_stream *stream, const struct sy_err *why)
{
    (void)why;
    struct pair *pair = pair_of_client(stream);
    one_closed(pair, &pair->server);
}

static void server_closed(struct sy_stream *stream, const struct sy_err *why)
{
    (void)why;
    struct pair *pair = pair_of_server(stream);
    one_closed(pair, &pair->client);
}

static const struct sy_stream_events client_events = {
    .data = client_data, .drained = client_drained, .closed = client_closed};
static const struct sy_stream_events server_events = {
    .data = server_data, .drained = server_drained, .closed = server_closed};

static void accepted(struct sy_listener *listener, int fd, const struct sockaddr_storage *peer)
{
    (void)listener;
    (void)peer;
    struct sy_err err;
    struct pair *pair = calloc(1, sizeof(*pair));
    if (pair == NULL || sy_stream_open(&pair->client, loop, fd, &client_events, &err) != SY_OK) {
        free(pair);
        close(fd);
        return;
    }
    pair->open = 2;
    if (sy_stream_connect(&pair->server, loop, (const struct sockaddr *)(const void *)&target,
                          sizeof(target), &server_events, &err) != SY_OK) {
        fprintf(stderr, "bench_relay: %s\n", err.text);
        pair->open = 1;
        sy_stream_close(&pair->client, 0);
    }
}

static int usage(void)
{
    fprintf(stderr, "usage: bench_relay LISTEN_PORT TARGET_PORT [--loop io_uring|epoll]\n");
    return 2;
}

static int run(uint16_t port, const struct sy_loop_options *options)
{
    if (!bench_serve("bench_relay", port, accepted, options))
        return 1;
    struct sy_loop_stats stats;
    sy_loop_stats(loop, &stats);
    printf("{\"turns\":%" PRIu64 ",\"system_calls\":%" PRIu64 ",\"received_bytes\":%" PRIu64
           ",\"sent_bytes\":%" PRIu64 ",\"buffer_copies\":%u}\n",
           stats.turns, stats.system_calls, stats.received_bytes, stats.sent_bytes,
           stats.buffer_copies);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t ports[2];
    struct sy_loop_options options = {.kind = SY_LOOP_IO_URING};
    if (argc != 3 && argc != 5)
        return usage();
    for (int i = 0; i < 2; i++)
        if (sy_number_parse_u64(sy_slice_of(argv[1 + i]), 1, 65535, &ports[i], NULL) != SY_OK)
            return usage();
    if (argc == 5) {
        if (strcmp(argv[3], "--loop") != 0)
            return usage();
        if (strcmp(argv[4], "epoll") == 0)
            options.kind = SY_LOOP_EPOLL;
        else if (strcmp(argv[4], "io_uring") != 0)
            return usage();
    }
    target = (struct sockaddr_in){.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)ports[1])};
    return run((uint16_t)ports[0], &options);
}
