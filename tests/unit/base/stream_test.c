/*
 * Streams over both kinds of loop: what arrives, what happens under pressure, and how streams end.
 * Every test runs twice; the loop that the kernel does not allow is a failure, not a skip.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/stream.h"
#include "tests/unit/base/both_loops.h"

enum { ECHO_BYTES = 10 * 1024 * 1024, LINGER_US = 2000000, PATIENCE_S = 20 };

static struct sy_loop *loop;

static int set_up(void **state)
{
    enum sy_loop_kind kind = *(enum sy_loop_kind *)*state;
    struct sy_err err;
    struct sy_loop_options options = {.kind = kind, .receive_buffers = 64};
    if (sy_loop_new(&options, &loop, &err) != SY_OK)
        fail_msg("%s: %s", sy_loop_kind_name(kind), err.text);
    assert_int_equal(sy_loop_kind_of(loop), kind);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sy_loop_free(&loop);
    return 0;
}

/* Turns until the condition holds. */
#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        time_t turn_until = time(NULL) + PATIENCE_S;                                               \
        while (!(condition)) {                                                                     \
            struct sy_err turn_err;                                                                \
            if (sy_loop_turn(loop, 10, &turn_err) != SY_OK)                                        \
                fail_msg("%s", turn_err.text);                                                     \
            if (time(NULL) > turn_until)                                                           \
                fail_msg("in vain: " #condition);                                                  \
        }                                                                                          \
    } while (0)

static void turn_some(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++)
        assert_int_equal(sy_loop_turn(loop, 1, NULL), SY_OK);
}

/* A stream with what a test wants to know of it. */
struct end {
    struct sy_stream stream;
    struct end *echo_to; /* where received bytes are sent on */
    uint64_t received, hash;
    unsigned connected, secured, drained, closed;
    bool why_given, keep, pause_on_data, close_on_data;
    enum sy_status why;
    struct sy_chunk *kept[512];
    unsigned kept_count;
};

static uint64_t hash_on(uint64_t hash, const char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)data[i]) * 0x100000001b3U;
    return hash;
}

static struct end *end_of(struct sy_stream *stream)
{
    return sy_container_of(stream, struct end, stream);
}

static void on_connected(struct sy_stream *stream)
{
    end_of(stream)->connected++;
}

static void on_secured(struct sy_stream *stream)
{
    end_of(stream)->secured++;
}

static void on_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct end *end = end_of(stream);
    assert_int_equal(end->closed, 0);
    assert_true(from < to && to <= chunk->bytes);
    end->received += to - from;
    end->hash = hash_on(end->hash, chunk->data + from, to - from);
    if (end->keep && end->kept_count < 512)
        end->kept[end->kept_count++] = sy_chunk_ref(chunk);
    if (end->echo_to != NULL) {
        sy_stream_send(&end->echo_to->stream, chunk, from, to);
        if (sy_stream_congested(&end->echo_to->stream))
            sy_stream_pause(stream);
    }
    if (end->pause_on_data)
        sy_stream_pause(stream);
    if (end->close_on_data)
        sy_stream_close(stream, 0);
}

static void on_drained(struct sy_stream *stream)
{
    struct end *end = end_of(stream);
    end->drained++;
    if (end->echo_to != NULL)
        sy_stream_resume(&end->echo_to->stream);
}

static void on_closed(struct sy_stream *stream, const struct sy_err *why)
{
    struct end *end = end_of(stream);
    end->closed++;
    end->why_given = why != NULL;
    if (why != NULL) {
        end->why = why->status;
        assert_true(why->text[0] != '\0');
    }
    /* The owner may free it here: nothing of it is touched any more. */
    memset(stream, 0xa5, sizeof(*stream));
}

static const struct sy_stream_events events = {on_connected, on_secured, on_data, on_drained,
                                               on_closed};

static void open_end(struct end *end, int fd)
{
    struct sy_err err;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (sy_stream_open(&end->stream, loop, fd, &events, &err) != SY_OK)
        fail_msg("%s", err.text);
}

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

/* Two connected TCP sockets: [0] blocking, for the test; [1] for a stream. */
static void make_tcp_pair(int pair[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)(void *)&address, bytes), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)(void *)&address, &bytes), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(pair[0], (struct sockaddr *)(void *)&address, bytes), 0);
    pair[1] = accept(listener, NULL, NULL);
    assert_true(pair[1] >= 0);
    close(listener);
}

static void reset_by_peer(int fd)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
}

static void assert_idle(void)
{
    struct sy_loop_stats stats;
    turn_some(3);
    sy_loop_stats(loop, &stats);
    assert_int_equal(stats.buffers_in_use, 0);
}

/* ---- bytes ---- */

static void send_random(struct end *end, uint64_t *left, uint64_t *hash)
{
    static char data[50000];
    while (*left > 0 && !sy_stream_congested(&end->stream)) {
        size_t bytes = (size_t)random() % (random() % 4 == 0 ? sizeof(data) : 300) + 1;
        bytes = bytes < *left ? bytes : (size_t)*left;
        for (size_t i = 0; i < bytes; i++)
            data[i] = (char)random();
        *hash = hash_on(*hash, data, bytes);
        *left -= bytes;
        if (random() % 2 == 0) {
            sy_stream_send_copy(&end->stream, data, bytes);
            continue;
        }
        struct sy_chunk *chunk = sy_chunk_new((uint32_t)bytes);
        memcpy(chunk->data, data, bytes);
        chunk->bytes = (uint32_t)bytes;
        uint32_t cut = (uint32_t)bytes / 2;
        sy_stream_send(&end->stream, chunk, 0, cut);
        sy_stream_send(&end->stream, chunk, cut, (uint32_t)bytes);
        sy_chunk_unref(chunk);
    }
}

static void echo_through(struct end *source, struct end *mirror)
{
    uint64_t left = ECHO_BYTES, hash = 0;
    mirror->echo_to = mirror;
    time_t give_up = time(NULL) + PATIENCE_S;
    while (source->received < ECHO_BYTES && time(NULL) <= give_up) {
        send_random(source, &left, &hash);
        assert_int_equal(sy_loop_turn(loop, 10, NULL), SY_OK);
        assert_true(sy_stream_queued_bytes(&source->stream) <
                    SY_LIMIT_SEND_QUEUE_HIGH_BYTES + 120000);
    }
    assert_int_equal(source->received, ECHO_BYTES);
    assert_true(source->hash == hash);
}

static void close_both(struct end *a, struct end *b)
{
    sy_stream_close(&a->stream, 0);
    sy_stream_close(&a->stream, LINGER_US);
    TURN_UNTIL(a->closed && b->closed);
    turn_some(2);
    assert_int_equal(a->closed, 1);
    assert_int_equal(b->closed, 1);
    assert_false(a->why_given);
}

static void echoes_ten_megabytes(void **state)
{
    (void)state;
    struct end source = {0}, mirror = {0};
    int pair[2];
    make_pair(pair);
    open_end(&source, pair[0]);
    open_end(&mirror, pair[1]);
    srandom(1);
    echo_through(&source, &mirror);
    assert_idle();
    close_both(&source, &mirror);
    assert_false(mirror.why_given);
}

/* Two streams that throw a ball: on io_uring a turn is one call, whatever it did; on epoll receive
 * and send are more. */
static void spends_one_system_call_a_turn(void **state)
{
    (void)state;
    enum { THROWS = 1000 };
    struct end a = {0}, b = {0};
    struct sy_loop_stats before, after;
    int pair[2];
    make_tcp_pair(pair);
    open_end(&a, pair[0]);
    open_end(&b, pair[1]);
    a.echo_to = &a;
    b.echo_to = &b;
    turn_some(2);
    sy_loop_stats(loop, &before);
    sy_stream_send_copy(&a.stream, "ball", 4);
    while (a.received + b.received < 4 * THROWS)
        assert_int_equal(sy_loop_turn(loop, -1, NULL), SY_OK);
    sy_loop_stats(loop, &after);
    uint64_t calls = after.system_calls - before.system_calls, turns = after.turns - before.turns;
    assert_in_range(turns, THROWS, THROWS + 5);
    if (sy_loop_kind_of(loop) == SY_LOOP_IO_URING)
        assert_int_equal(calls, turns);
    else
        assert_in_range(calls, 3 * THROWS - 3, 3 * THROWS + 5);
    close_both(&a, &b);
}

/* ---- ends ---- */

static void tells_the_peers_end_once(void **state)
{
    (void)state;
    struct end end = {0};
    int pair[2];
    make_tcp_pair(pair);
    open_end(&end, pair[1]);
    assert_int_equal(write(pair[0], "bye", 3), 3);
    close(pair[0]);
    TURN_UNTIL(end.closed);
    assert_int_equal(end.received, 3);
    assert_false(end.why_given);
    assert_idle();
}

/* What a stream is doing when the peer resets the connection. */
enum moment { FRESH, IDLE, PAUSED, SENDING, SENDING_PAUSED, CLOSING, HOLDING, MOMENTS };

static void bring_to(struct end *end, enum moment moment)
{
    static const char block[65536];
    if (moment != FRESH)
        turn_some(2);
    if (moment == PAUSED || moment == SENDING_PAUSED)
        sy_stream_pause(&end->stream);
    if (moment == SENDING || moment == SENDING_PAUSED || moment == CLOSING)
        for (unsigned i = 0; i < 200; i++)
            sy_stream_send_copy(&end->stream, block, sizeof(block));
    if (moment == CLOSING)
        sy_stream_close(&end->stream, LINGER_US);
    if (moment != FRESH)
        turn_some(2);
}

static void survives_a_reset_at_any_moment(void **state)
{
    (void)state;
    for (enum moment moment = FRESH; moment < MOMENTS; moment++) {
        struct end end = {.pause_on_data = moment == HOLDING};
        int pair[2];
        make_tcp_pair(pair);
        open_end(&end, pair[1]);
        bring_to(&end, moment);
        if (moment == HOLDING) {
            assert_int_equal(write(pair[0], "one", 3), 3);
            turn_some(3);
            assert_int_equal(write(pair[0], "two", 3), 3);
        }
        reset_by_peer(pair[0]);
        turn_some(5);
        if (moment == PAUSED ||
            moment == HOLDING) { /* nobody looks before somebody reads or sends */
            end.pause_on_data = false;
            if (!end.closed)
                sy_stream_resume(&end.stream);
        }
        TURN_UNTIL(end.closed);
        turn_some(2);
        assert_int_equal(end.closed, 1);
        if (moment == CLOSING)
            assert_false(end.why_given);
        else if (!end.why_given || end.why != SY_E_CONNECTION_LOST)
            fail_msg("moment %d: why %d", (int)moment, end.why_given ? (int)end.why : -1);
        assert_idle();
    }
}

/* ---- connecting ---- */

static void connects_and_talks(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    struct end end = {0};
    struct sy_err err;
    char text[8] = {0};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)(void *)&address, bytes), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)(void *)&address, &bytes), 0);
    assert_int_equal(sy_stream_connect(&end.stream, loop, (struct sockaddr *)(void *)&address,
                                       bytes, &events, &err),
                     SY_OK);
    sy_stream_send_copy(&end.stream, "early", 5); /* before it is up: sent once it is */
    TURN_UNTIL(end.connected);
    int peer = accept(listener, NULL, NULL);
    turn_some(2);
    assert_int_equal(read(peer, text, sizeof(text)), 5);
    assert_string_equal(text, "early");
    assert_int_equal(write(peer, "hello", 5), 5);
    TURN_UNTIL(end.received == 5);
    close(peer);
    TURN_UNTIL(end.closed);
    assert_int_equal(end.connected, 1);
    assert_false(end.why_given);
    close(listener);
}

static void tells_a_refused_connection(void **state)
{
    (void)state;
    struct sockaddr_in tcp = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(1)};
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all"};
    const struct {
        const void *address;
        socklen_t bytes;
    } rows[] = {{&tcp, sizeof(tcp)}, {&local, sizeof(local)}};
    for (unsigned i = 0; i < 2; i++) {
        struct end end = {0};
        struct sy_err err;
        assert_int_equal(
            sy_stream_connect(&end.stream, loop, rows[i].address, rows[i].bytes, &events, &err),
            SY_OK);
        assert_int_equal(end.closed, 0);
        TURN_UNTIL(end.closed);
        turn_some(2);
        assert_int_equal(end.closed, 1);
        assert_int_equal(end.connected, 0);
        assert_true(end.why_given);
        assert_int_equal(end.why, SY_E_CONNECT);
    }
}

static void closes_while_it_connects(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr =
                                      htonl(0xc0000201), /* 192.0.2.1: goes nowhere */
                                  .sin_port = htons(9)};
    for (unsigned turns = 0; turns < 2; turns++) {
        struct end end = {0};
        struct sy_err err;
        assert_int_equal(sy_stream_connect(&end.stream, loop, (struct sockaddr *)(void *)&address,
                                           sizeof(address), &events, &err),
                         SY_OK);
        turn_some(turns);
        if (!end.closed) /* without any network it may have failed by now */
            sy_stream_close(&end.stream, LINGER_US);
        TURN_UNTIL(end.closed);
        turn_some(2);
        assert_int_equal(end.closed, 1);
        assert_int_equal(end.connected, 0);
    }
}

/* ---- back-pressure ---- */

static void delivers_nothing_while_paused(void **state)
{
    (void)state;
    struct end end = {.pause_on_data = true};
    int pair[2];
    make_pair(pair);
    open_end(&end, pair[1]);
    turn_some(2);
    assert_int_equal(write(pair[0], "a", 1), 1);
    TURN_UNTIL(end.received == 1);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(write(pair[0], "bcdef", 5), 5);
        turn_some(2);
        assert_int_equal(end.received, 1);
    }
    end.pause_on_data = false;
    sy_stream_resume(&end.stream);
    TURN_UNTIL(end.received == 26);
    sy_stream_pause(&end.stream);
    sy_stream_resume(&end.stream); /* in one turn: nothing happened */
    assert_int_equal(write(pair[0], "g", 1), 1);
    TURN_UNTIL(end.received == 27);
    assert_true(end.hash == hash_on(0, "abcdefbcdefbcdefbcdefbcdefg", 27));
    sy_stream_pause(&end.stream);
    turn_some(2);
    assert_int_equal(write(pair[0], "last", 4), 4);
    close(pair[0]); /* the end comes after the data, when both are wanted */
    turn_some(3);
    sy_stream_resume(&end.stream);
    TURN_UNTIL(end.closed);
    assert_int_equal(end.received, 31);
    assert_false(end.why_given);
}

/* source -> relay -> sink that does not read: the source must come to rest, the rest of it arrive
 * later. */
static void bound_slow_reader(uint64_t budget, uint32_t most)
{
    sy_loop_set_queue_budget(loop, budget);
    struct end in = {0}, out = {0};
    int from[2], to[2];
    static char block[65536];
    uint64_t written = 0, got = 0;
    make_tcp_pair(from);
    make_tcp_pair(to);
    open_end(&in, from[1]);
    open_end(&out, to[1]);
    in.echo_to = &out;
    out.echo_to = &in; /* drained: resume the source */
    fcntl(from[0], F_SETFL, O_NONBLOCK);
    for (unsigned still = 0; still < 30;) {
        ssize_t bytes = write(from[0], block, sizeof(block));
        still = bytes > 0 ? 0 : still + 1;
        written += bytes > 0 ? (uint64_t)bytes : 0;
        turn_some(1);
        assert_true(sy_stream_queued_bytes(&out.stream) < most);
        assert_true(sy_loop_queued_bytes(loop) >= sy_stream_queued_bytes(&out.stream));
    }
    assert_true(sy_stream_congested(&out.stream));
    fcntl(to[0], F_SETFL, O_NONBLOCK);
    time_t give_up = time(NULL) + PATIENCE_S;
    while (got < written && time(NULL) <= give_up) {
        ssize_t bytes = read(to[0], block, sizeof(block));
        got += bytes > 0 ? (uint64_t)bytes : 0;
        assert_int_equal(sy_loop_turn(loop, 1, NULL), SY_OK);
    }
    assert_int_equal(got, written);
    assert_true(out.drained > 0);
    assert_false(sy_stream_congested(&out.stream));
    assert_idle();
    close(from[0]);
    close(to[0]);
    TURN_UNTIL(in.closed && out.closed);
    assert_int_equal(sy_loop_queued_bytes(loop), 0);
}

static void bounds_what_a_slow_reader_is_owed(void **state)
{
    (void)state;
    bound_slow_reader(0, 2 * SY_LIMIT_SEND_QUEUE_HIGH_BYTES);
}

/* The loop's streams together have little to queue: one of them is congested much earlier. */
static void owes_a_slow_reader_less_when_the_budget_is_short(void **state)
{
    (void)state;
    bound_slow_reader(2 * SY_LIMIT_SEND_QUEUE_LEAST_BYTES, SY_LIMIT_SEND_QUEUE_HIGH_BYTES / 2);
}

static void copies_when_buffers_are_scarce(void **state)
{
    (void)state;
    enum { HOARD = 200 };
    struct end hoarder = {.keep = true}, other = {0};
    struct sy_loop_stats stats;
    int pair[2], busy[2];
    make_pair(pair);
    make_pair(busy);
    open_end(&hoarder, pair[1]);
    open_end(&other, busy[1]);
    for (unsigned i = 0; i < HOARD; i++) {
        char text[8192];
        memset(text, (int)i, sizeof(text));
        assert_int_equal(write(pair[0], text, sizeof(text)), sizeof(text));
        turn_some(1);
    }
    TURN_UNTIL(hoarder.received == HOARD * 8192);
    sy_loop_stats(loop, &stats);
    assert_true(stats.buffer_copies > 0);
    assert_in_range(stats.buffers_in_use, 1, stats.buffers / 2 + 1);
    assert_int_equal(write(busy[0], "served", 6), 6); /* everybody else is */
    TURN_UNTIL(other.received == 6);
    for (unsigned i = 0; i < hoarder.kept_count; i++)
        sy_chunk_unref(hoarder.kept[i]);
    assert_idle();
    close(pair[0]);
    close(busy[0]);
    TURN_UNTIL(hoarder.closed && other.closed);
}

/* More data ready at once than there are buffers: the burst is served in portions. */
static void survives_a_burst_larger_than_the_buffers(void **state)
{
    (void)state;
    enum { STREAMS = 300, BYTES = 3000 };
    static struct end ends[STREAMS];
    static int pairs[STREAMS][2];
    static char block[BYTES];
    memset(ends, 0, sizeof(ends));
    for (unsigned i = 0; i < STREAMS; i++) {
        make_pair(pairs[i]);
        open_end(&ends[i], pairs[i][1]);
    }
    turn_some(2);
    for (unsigned i = 0; i < STREAMS; i++)
        assert_int_equal(write(pairs[i][0], block, BYTES), BYTES);
    for (unsigned i = 0; i < STREAMS; i++)
        TURN_UNTIL(ends[i].received == BYTES);
    assert_idle();
    for (unsigned i = 0; i < STREAMS; i++)
        close(pairs[i][0]);
    for (unsigned i = 0; i < STREAMS; i++)
        TURN_UNTIL(ends[i].closed);
}

static void holds_no_buffer_for_idle_streams(void **state)
{
    (void)state;
    enum { STREAMS = 2000 };
    static struct end ends[STREAMS];
    static int peers[STREAMS];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    assert_true(sizeof(struct sy_stream) <= 128);
    memset(ends, 0, sizeof(ends));
    for (unsigned i = 0; i < STREAMS; i++) {
        int pair[2];
        make_pair(pair);
        peers[i] = pair[0];
        ends[i].echo_to = &ends[i];
        open_end(&ends[i], pair[1]);
    }
    turn_some(2);
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_int_equal(write(peers[i], "x", 1), 1);
        if (i % 50 == 0)
            turn_some(1);
    }
    for (unsigned i = 0; i < STREAMS; i++)
        TURN_UNTIL(ends[i].received == 1);
    assert_idle();
    for (unsigned i = 0; i < STREAMS; i++)
        close(peers[i]);
    for (unsigned i = 0; i < STREAMS; i++)
        TURN_UNTIL(ends[i].closed);
}

/* ---- closing ---- */

static void sends_what_is_queued_before_it_closes(void **state)
{
    (void)state;
    enum { BYTES = 3000000 };
    struct end end = {0};
    int pair[2];
    static char block[BYTES];
    make_tcp_pair(pair);
    open_end(&end, pair[1]);
    turn_some(1);
    assert_int_equal(write(pair[0], "unread", 6), 6);
    sy_stream_send_copy(&end.stream, block, BYTES);
    sy_stream_close(&end.stream, LINGER_US);
    assert_false(sy_stream_is_open(&end.stream));
    sy_stream_send_copy(&end.stream, "late", 4); /* dropped */
    uint64_t got = 0;
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    for (bool ended = false; !ended;) {
        ssize_t bytes = read(pair[0], block, BYTES);
        ended = bytes == 0;
        got += bytes > 0 ? (uint64_t)bytes : 0;
        assert_true(bytes >= 0 || errno == EAGAIN);
        turn_some(1);
    }
    assert_int_equal(got, BYTES);
    assert_int_equal(end.closed, 0);
    assert_int_equal(end.received, 0);
    close(pair[0]);
    TURN_UNTIL(end.closed);
    assert_false(end.why_given);
}

/* A peer that floods a stream that is being closed: it is cut off before the linger time is over.
 */
static void cuts_off_a_peer_that_goes_on_sending(void **state)
{
    (void)state;
    struct end end = {0};
    int pair[2];
    static char block[65536];
    make_tcp_pair(pair);
    open_end(&end, pair[1]);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    sy_stream_close(&end.stream, UINT64_C(1000000) * 3600);
    uint64_t written = 0;
    while (!end.closed && written < 64 * 1024 * 1024) {
        ssize_t bytes = send(pair[0], block, sizeof(block), MSG_NOSIGNAL);
        written += bytes > 0 ? (uint64_t)bytes : 0;
        turn_some(1);
    }
    assert_int_equal(end.closed, 1);
    assert_false(end.why_given);
    assert_true(written >= SY_LIMIT_DISCARD_BYTES);
    close(pair[0]);
}

static void lingers_no_longer_than_told(void **state)
{
    (void)state;
    struct end end = {0};
    int pair[2];
    static char block[8000000];
    make_pair(pair);
    open_end(&end, pair[1]);
    sy_stream_send_copy(&end.stream, block, sizeof(block));
    turn_some(2);
    uint64_t began_us = sy_loop_now_us(loop);
    sy_stream_close(&end.stream, 50000);
    TURN_UNTIL(end.closed);
    assert_in_range(sy_loop_now_us(loop) - began_us, 50000, 5000000);
    close(pair[0]);
}

static void says_last_words_without_lingering(void **state)
{
    (void)state;
    struct end end = {0};
    int pair[2];
    char text[8] = {0};
    make_pair(pair);
    open_end(&end, pair[1]);
    turn_some(1);
    sy_stream_send_copy(&end.stream, "X", 1);
    sy_stream_close(&end.stream, 0);
    assert_int_equal(end.closed, 0); /* not before the end of the turn */
    TURN_UNTIL(end.closed);
    assert_int_equal(read(pair[0], text, sizeof(text)), 1);
    assert_int_equal(read(pair[0], text, sizeof(text)), 0);
    close(pair[0]);
}

static void may_be_closed_inside_its_callbacks(void **state)
{
    (void)state;
    struct end end = {.close_on_data = true, .echo_to = &end};
    int pair[2];
    make_pair(pair);
    open_end(&end, pair[1]);
    turn_some(1);
    assert_int_equal(write(pair[0], "abc", 3), 3);
    TURN_UNTIL(end.closed);
    assert_int_equal(end.received, 3);
    assert_false(end.why_given);
    close(pair[0]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static const struct CMUnitTest all_tests[] = {
    TEST(echoes_ten_megabytes),
    TEST(spends_one_system_call_a_turn),
    TEST(tells_the_peers_end_once),
    TEST(survives_a_reset_at_any_moment),
    TEST(connects_and_talks),
    TEST(tells_a_refused_connection),
    TEST(closes_while_it_connects),
    TEST(delivers_nothing_while_paused),
    TEST(bounds_what_a_slow_reader_is_owed),
    TEST(owes_a_slow_reader_less_when_the_budget_is_short),
    TEST(copies_when_buffers_are_scarce),
    TEST(survives_a_burst_larger_than_the_buffers),
    TEST(holds_no_buffer_for_idle_streams),
    TEST(sends_what_is_queued_before_it_closes),
    TEST(cuts_off_a_peer_that_goes_on_sending),
    TEST(lingers_no_longer_than_told),
    TEST(says_last_words_without_lingering),
    TEST(may_be_closed_inside_its_callbacks),
};

int main(void)
{
    return run_on_both_loops(all_tests, NULL, NULL);
}
