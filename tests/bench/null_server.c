/*
 * A null server: speaks as much of the protocol as pgbench needs and answers fixed bytes, one row
 * to each statement, on the event loop of the router. What stands in front of the embedded engine
 * can be no faster than this.
 *
 *     bench_null_server PORT [--loop io_uring|epoll]
 *
 * On 127.0.0.1. SIGINT or SIGTERM ends it. Not for anything but benchmarks: it believes what
 * clients send.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/number.h"
#include "base/stream.h"
#include "router/wire/frame.h"
#include "router/wire/message.h"
#include "tests/bench/serve.h"

static struct sy_buf welcome, row_description, row, ready;

struct client {
    struct sy_stream stream;
    struct sy_frame_walker walker;
    bool started;
};

static void append(struct sy_buf *out, const struct sy_buf *what)
{
    sy_buf_append(out, what->data, what->bytes);
}

static void answer(struct sy_buf *out, char type)
{
    switch (type) {
    case 'P':
        sy_write_simple(out, '1');
        break;
    case 'B':
        sy_write_simple(out, '2');
        break;
    case 'D':
        append(out, &row_description);
        break;
    case 'E':
        append(out, &row);
        break;
    case 'C':
        sy_write_simple(out, '3');
        break;
    case 'S':
        append(out, &ready);
        break;
    case 'Q':
        append(out, &row_description);
        append(out, &row);
        append(out, &ready);
        break;
    default:
        break;
    }
}

static void data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct client *client = sy_container_of(stream, struct client, stream);
    static struct sy_buf out;
    struct sy_frame_part part;
    enum sy_status status = SY_OK;
    out.bytes = 0;
    if (!client->started) { /* the startup packet comes whole on loopback */
        client->started = true;
        append(&out, &welcome);
        from = to;
    }
    while (sy_frame_next(&client->walker, chunk->data, to, &from, &part, &status))
        if (part.ends)
            answer(&out, part.type);
    if (status != SY_OK)
        sy_stream_close(stream, 0);
    else if (out.bytes > 0)
        sy_stream_send_copy(stream, out.data, out.bytes);
}

static void closed(struct sy_stream *stream, const struct sy_err *why)
{
    (void)why;
    free(sy_container_of(stream, struct client, stream));
}

static const struct sy_stream_events events = {.data = data, .closed = closed};

static void accepted(struct sy_listener *listener, int fd, const struct sockaddr_storage *peer)
{
    (void)listener;
    (void)peer;
    struct sy_err err;
    struct client *client = calloc(1, sizeof(*client));
    if (client == NULL || sy_stream_open(&client->stream, loop, fd, &events, &err) != SY_OK) {
        free(client);
        close(fd);
    }
}

static void make_answers(void)
{
    struct sy_slice value = SY_SLICE("-1234");
    struct sy_column_desc column = {
        .name = SY_SLICE("abalance"), .type_oid = 23, .type_size = 4, .type_modifier = -1};
    sy_write_auth(&welcome, SY_AUTH_CODE_OK, (struct sy_slice){0});
    sy_write_parameter_status(&welcome, SY_SLICE("server_version"), SY_SLICE("15.0"));
    sy_write_parameter_status(&welcome, SY_SLICE("client_encoding"), SY_SLICE("UTF8"));
    sy_write_parameter_status(&welcome, SY_SLICE("standard_conforming_strings"), SY_SLICE("on"));
    sy_write_ready(&ready, 'I');
    append(&welcome, &ready);
    sy_write_row_description(&row_description, &column, 1);
    sy_write_data_row(&row, &value, 1);
    sy_write_command_complete(&row, "SELECT 1");
}

int main(int argc, char **argv)
{
    uint64_t port;
    struct sy_loop_options options = {.kind = SY_LOOP_IO_URING};
    if ((argc != 2 && argc != 4) ||
        sy_number_parse_u64(sy_slice_of(argv[1]), 1, 65535, &port, NULL) != SY_OK ||
        (argc == 4 && strcmp(argv[2], "--loop") != 0)) {
        fprintf(stderr, "usage: bench_null_server PORT [--loop io_uring|epoll]\n");
        return 2;
    }
    if (argc == 4 && strcmp(argv[3], "epoll") == 0)
        options.kind = SY_LOOP_EPOLL;
    make_answers();
    return bench_serve("bench_null_server", (uint16_t)port, accepted, &options) ? 0 : 1;
}
