/* Fault points, and what base does when they fire: a stream that ends, never a crash or a leak. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/stream.h"

static void counts_passages(void **state)
{
    (void)state;
    sy_fault_configure("a=2,b=2+,c");
    static const bool a[] = {false, true, false, false}, b[] = {false, true, true, true},
                      c[] = {true, false, false, false};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(sy_fault_passed("a"), a[i]);
        assert_int_equal(sy_fault_passed("b"), b[i]);
        assert_int_equal(sy_fault_passed("c"), c[i]);
        assert_false(sy_fault_passed("d"));
    }
    assert_int_equal(sy_fault_passages("a"), 4);
    sy_fault_configure(NULL);
    assert_false(sy_fault_passed("b"));
    assert_int_equal(sy_fault_passages("a"), 0);
    sy_fault_configure(",,=,x=,a=1");
    assert_true(sy_fault_passed("a"));
    sy_fault_configure("");
}

#ifndef NDEBUG
struct end {
    struct sy_stream stream;
    unsigned closed;
    enum sy_status why;
};

static void on_data(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    static const char answer[5000];
    sy_stream_send(stream, chunk, from, to);
    sy_stream_send_copy(stream, answer, sizeof(answer));
    sy_stream_pause(stream);
    sy_stream_resume(stream);
}

static void on_closed(struct sy_stream *stream, const struct sy_err *why)
{
    struct end *end = sy_container_of(stream, struct end, stream);
    end->closed++;
    end->why = why != NULL ? why->status : SY_OK;
}

static const struct sy_stream_events events = {.data = on_data, .closed = on_closed};

/* One conversation with a fault at the given passage. True when it fired. */
static bool converse(enum sy_loop_kind kind, const char *place, unsigned passage)
{
    struct sy_loop_options options = {.kind = kind, .receive_buffers = 8};
    struct sy_loop *loop = NULL;
    struct end end = {0};
    struct sy_err err;
    char spec[64], block[20000] = {0};
    int pair[2];
    assert_int_equal(sy_loop_new(&options, &loop, &err), SY_OK);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(sy_stream_open(&end.stream, loop, pair[1], &events, &err), SY_OK);
    snprintf(spec, sizeof(spec), "%s=%u+", place, passage);
    sy_fault_configure(spec);
    for (unsigned i = 0; i < 20; i++) {
        ssize_t ignored = send(pair[0], block, sizeof(block), MSG_NOSIGNAL);
        (void)ignored;
        assert_int_equal(sy_loop_turn(loop, 1, &err), SY_OK);
        if (i > 10)
            ignored = read(pair[0], block, sizeof(block));
    }
    bool fired = sy_fault_passages(place) >= passage;
    sy_fault_configure(NULL);
    for (unsigned i = 0; i < 50 && fired && !end.closed; i++)
        assert_int_equal(sy_loop_turn(loop, 10, &err), SY_OK);
    assert_int_equal(end.closed, fired);
    if (fired)
        assert_int_equal(end.why, SY_E_NO_MEMORY);
    close(pair[0]);
    for (unsigned i = 0; i < 50 && !end.closed; i++)
        assert_int_equal(sy_loop_turn(loop, 10, &err), SY_OK);
    assert_int_equal(end.closed, 1);
    sy_loop_free(&loop);
    return fired;
}

static void ends_the_stream_when_memory_runs_out(void **state)
{
    (void)state;
    static const char *const places[] = {"chunk.memory", "stream.memory"};
    for (unsigned p = 0; p < 2; p++)
        for (enum sy_loop_kind kind = SY_LOOP_IO_URING; kind <= SY_LOOP_EPOLL; kind++) {
            unsigned passage = 1;
            while (converse(kind, places[p], passage))
                passage++;
            if (passage == 1)
                fail_msg("%s is never passed", places[p]);
        }
}

static void falls_back_to_epoll(void **state)
{
    (void)state;
    struct sy_loop *loop = NULL;
    struct sy_loop_options options = {.kind = SY_LOOP_IO_URING};
    struct sy_err err;
    sy_fault_configure("loop.io_uring=1+");
    assert_int_equal(sy_loop_new(&options, &loop, &err), SY_E_UNSUPPORTED);
    assert_null(loop);
    options.kind = SY_LOOP_AUTO;
    assert_int_equal(sy_loop_new(&options, &loop, &err), SY_OK);
    assert_int_equal(sy_loop_kind_of(loop), SY_LOOP_EPOLL);
    sy_loop_free(&loop);
    sy_fault_configure(NULL);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_passages),
#ifndef NDEBUG
        cmocka_unit_test(ends_the_stream_when_memory_runs_out),
        cmocka_unit_test(falls_back_to_epoll),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
