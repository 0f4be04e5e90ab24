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
        time_t give_up = time(NULL) + PATIENCE_S;                                                  \
        while (!(condition)) {                                                                     \
            struct sy_err turn_err;                                                                \
            if (sy_loop_turn(loop, 10, &turn_err) != SY_OK)                                        \
                fail_msg("%s", turn_err.text);                                                     \
            if (time(NULL) > give_up)                                                              \
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

static const struct CMUnitTest all_tests[] = {
    cmocka_unit_test_setup_teardown(echoes_ten_megabytes, set_up, tear_down),
    cmocka_unit_test_setup_teardown(tells_the_peers_end_once, set_up, tear_down),
    cmocka_unit_test_setup_teardown(survives_a_reset_at_any_moment, set_up, tear_down),
};

int main(void)
{
    enum { TESTS = sizeof(all_tests) / sizeof(all_tests[0]) };
    static enum sy_loop_kind kinds[] = {SY_LOOP_IO_URING, SY_LOOP_EPOLL};
    int failed = 0;
    for (unsigned k = 0; k < 2; k++) {
        struct CMUnitTest tests[TESTS];
        memcpy(tests, all_tests, sizeof(tests));
        for (unsigned i = 0; i < TESTS; i++)
            tests[i].initial_state = &kinds[k];
        printf("loop = %s\n", sy_loop_kind_name(kinds[k]));
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
