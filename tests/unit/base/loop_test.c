/* The loop itself, on both kinds: timers on a virtual clock, deferred work, messages, polls,
 * listeners. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/loop.h"
#include "tests/unit/base/both_loops.h"

enum { PATIENCE_S = 30 };

static struct sy_loop *loop;
static struct sy_clock clock_now;
static enum sy_loop_kind kind_now;

static void make_loop(const struct sy_clock *clock)
{
    struct sy_err err;
    struct sy_loop_options options = {.kind = kind_now, .clock = clock};
    if (sy_loop_new(&options, &loop, &err) != SY_OK)
        fail_msg("%s: %s", sy_loop_kind_name(kind_now), err.text);
}

static int set_up(void **state)
{
    kind_now = *(enum sy_loop_kind *)*state;
    make_loop(NULL);
    return 0;
}

static int set_up_virtual(void **state)
{
    kind_now = *(enum sy_loop_kind *)*state;
    sy_clock_init_virtual(&clock_now, 123456789, 1000);
    make_loop(&clock_now);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sy_loop_free(&loop);
    return 0;
}

static void turn(int timeout_ms)
{
    struct sy_err err;
    if (sy_loop_turn(loop, timeout_ms, &err) != SY_OK)
        fail_msg("%s", err.text);
}

#define TURN_UNTIL(condition)                                                                      \
    do {                                                                                           \
        time_t give_up = time(NULL) + PATIENCE_S;                                                  \
        while (!(condition)) {                                                                     \
            turn(10);                                                                              \
            if (time(NULL) > give_up)                                                              \
                fail_msg("in vain: " #condition);                                                  \
        }                                                                                          \
    } while (0)

/* ---- timers ---- */

enum { TIMERS = 2000 };

struct alarm_clock {
    struct sy_timer timer;
    uint64_t due_us;
    unsigned fired;
};

static struct alarm_clock alarms[TIMERS];
static uint64_t last_due_us;
static unsigned fired_total;

static void fire(struct sy_timer *timer)
{
    struct alarm_clock *alarm_clock = sy_container_of(timer, struct alarm_clock, timer);
    assert_false(sy_timer_armed(timer));
    assert_true(clock_now.virtual_monotonic_us >= alarm_clock->due_us);
    /* In order, as far as a millisecond tells them apart. */
    assert_true((alarm_clock->due_us + 999) / 1000 >= (last_due_us + 999) / 1000);
    last_due_us = alarm_clock->due_us;
    alarm_clock->fired++;
    fired_total++;
}

static void start(struct alarm_clock *alarm_clock, uint64_t delay_us)
{
    alarm_clock->due_us = clock_now.virtual_monotonic_us + delay_us;
    sy_timer_start(loop, &alarm_clock->timer, delay_us);
    assert_true(sy_timer_armed(&alarm_clock->timer));
}

static uint64_t random_delay_us(void)
{
    /* Spread over all levels of any wheel: from microseconds to weeks. */
    return (uint64_t)random() % (UINT64_C(1) << (random() % 41));
}

static void fires_timers_in_order(void **state)
{
    (void)state;
    srandom(3);
    last_due_us = 0;
    fired_total = 0;
    memset(alarms, 0, sizeof(alarms));
    for (unsigned i = 0; i < TIMERS; i++) {
        sy_timer_init(&alarms[i].timer, fire);
        assert_false(sy_timer_armed(&alarms[i].timer));
        start(&alarms[i], random_delay_us());
    }
    unsigned cancelled = 0;
    for (unsigned i = 0; i < TIMERS; i += 7, cancelled++)
        sy_timer_cancel(loop, &alarms[i].timer);
    for (unsigned i = 1; i < TIMERS; i += 7)
        start(&alarms[i], random_delay_us()); /* again, to another time */
    while (fired_total < TIMERS - cancelled) {
        sy_clock_advance(&clock_now, random_delay_us());
        turn(0);
    }
    for (unsigned i = 0; i < TIMERS; i++)
        assert_int_equal(alarms[i].fired, i % 7 != 0);
}

static void fires_a_timer_within_a_millisecond(void **state)
{
    (void)state;
    static const uint64_t delays_us[] = {0, 1, 999, 1000, 63999, 64000, 64001, 4096000, 262144000};
    for (unsigned i = 0; i < sizeof(delays_us) / sizeof(delays_us[0]); i++) {
        struct alarm_clock alarm_clock = {0};
        last_due_us = 0;
        sy_timer_init(&alarm_clock.timer, fire);
        turn(0);
        start(&alarm_clock, delays_us[i]);
        if (delays_us[i] > 1) {
            sy_clock_advance(&clock_now, delays_us[i] - 1);
            turn(0);
            assert_int_equal(alarm_clock.fired, 0);
            sy_clock_advance(&clock_now, 1001);
        } else {
            turn(0);
            sy_clock_advance(&clock_now, 1001);
        }
        turn(0);
        assert_int_equal(alarm_clock.fired, 1);
    }
}

static void restart_self(struct sy_timer *timer)
{
    fired_total++;
    sy_timer_start(loop, timer, 0);
}

static void fires_a_restarted_timer_in_a_later_turn(void **state)
{
    (void)state;
    struct sy_timer timer;
    fired_total = 0;
    sy_timer_init(&timer, restart_self);
    sy_timer_start(loop, &timer, 0);
    for (unsigned i = 0; i < 10; i++) {
        sy_clock_advance(&clock_now, 2000);
        turn(0);
        assert_in_range(fired_total, i + 1, 3 * (i + 1));
    }
    sy_timer_cancel(loop, &timer);
    sy_timer_cancel(loop, &timer);
}

static struct sy_timer victim;

static void cancel_victim(struct sy_timer *timer)
{
    (void)timer;
    sy_timer_cancel(loop, &victim);
    fired_total++;
}

static void cancels_a_timer_that_is_due_too(void **state)
{
    (void)state;
    struct sy_timer killer;
    fired_total = 0;
    sy_timer_init(&killer, cancel_victim);
    sy_timer_init(&victim, restart_self);
    sy_timer_start(loop, &killer, 5000);
    sy_timer_start(loop, &victim, 5000);
    sy_clock_advance(&clock_now, 10000);
    turn(0);
    assert_int_equal(fired_total, 1);
    assert_false(sy_timer_armed(&victim));
}

static void count_fire(struct sy_timer *timer)
{
    (void)timer;
    fired_total++;
}

static void sleeps_until_a_timer_is_due(void **state)
{
    (void)state;
    struct sy_timer timer;
    struct sy_loop_stats before, after;
    fired_total = 0;
    sy_timer_init(&timer, count_fire);
    sy_timer_start(loop, &timer, 30000);
    uint64_t began_us = sy_loop_now_us(loop);
    sy_loop_stats(loop, &before);
    while (fired_total == 0)
        turn(-1);
    sy_loop_stats(loop, &after);
    assert_in_range(sy_loop_now_us(loop) - began_us, 30000, 3000000);
    /* No spinning: a wake-up for each level of the wheel that the timer comes down. */
    assert_in_range(after.system_calls - before.system_calls, 1, 12);
}

/* ---- deferred ---- */

static unsigned ran;

static void run_again(struct sy_deferred *self)
{
    ran++;
    sy_loop_defer(loop, self);
}

static void runs_deferred_work_once_per_arming(void **state)
{
    (void)state;
    struct sy_deferred work, never;
    ran = 0;
    sy_deferred_init(&work, run_again);
    sy_deferred_init(&never, run_again);
    sy_loop_defer(loop, &work);
    sy_loop_defer(loop, &work);
    sy_loop_defer(loop, &never);
    sy_loop_defer_cancel(&never);
    for (unsigned i = 1; i <= 3; i++) {
        turn(-1); /* does not sleep: there is work */
        assert_int_equal(ran, i);
    }
    sy_loop_defer_cancel(&work);
    turn(0);
    assert_int_equal(ran, 3);
}

/* ---- messages ---- */

enum { THREADS = 4, MESSAGES = 100000 };

struct numbered {
    struct sy_message message;
    unsigned thread, number;
};

static unsigned next_number[THREADS];
static unsigned delivered;

static void deliver(struct sy_message *message, struct sy_loop *on)
{
    struct numbered *numbered = sy_container_of(message, struct numbered, message);
    assert_ptr_equal(on, loop);
    assert_int_equal(numbered->number, next_number[numbered->thread]);
    next_number[numbered->thread]++;
    if (++delivered == THREADS * MESSAGES)
        sy_loop_stop(on);
    free(numbered);
}

static void *post_all(void *argument)
{
    unsigned thread = *(unsigned *)argument;
    for (unsigned i = 0; i < MESSAGES; i++) {
        struct numbered *numbered = malloc(sizeof(*numbered));
        if (numbered == NULL)
            abort();
        *numbered = (struct numbered){.message.deliver = deliver, .thread = thread, .number = i};
        sy_loop_post(loop, &numbered->message);
        if (i % 1000 == 0)
            usleep(50); /* lets the loop fall asleep now and then */
    }
    return NULL;
}

static void takes_messages_from_threads_in_order(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    unsigned numbers[THREADS];
    delivered = 0;
    memset(next_number, 0, sizeof(next_number));
    for (unsigned i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, post_all, &numbers[i]), 0);
    }
    struct sy_err err;
    assert_int_equal(sy_loop_run(loop, &err), SY_OK);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    turn(0);
    assert_int_equal(delivered, THREADS * MESSAGES);
}

static void *stop_it(void *argument)
{
    usleep(20000);
    sy_loop_stop(argument);
    return NULL;
}

static void stops_from_another_thread(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, stop_it, loop), 0);
    assert_int_equal(sy_loop_run(loop, NULL), SY_OK);
    pthread_join(thread, NULL);
    sy_loop_stop(loop); /* before it runs: returns at once */
    assert_int_equal(sy_loop_run(loop, NULL), SY_OK);
}

/* The poster's last look at the loop may come after its message was delivered: whoever frees the
 * loop then waits for it. ThreadSanitizer tells. */
static void stop_on_delivery(struct sy_message *message, struct sy_loop *on)
{
    (void)message;
    sy_loop_stop(on);
}

static void *post_one(void *argument)
{
    struct sy_message *message = argument;
    usleep(2000); /* the loop sleeps by now, most likely */
    sy_loop_post(loop, message);
    return NULL;
}

static void may_be_freed_when_its_last_message_came(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct sy_message message = {.deliver = stop_on_delivery};
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, post_one, &message), 0);
        assert_int_equal(sy_loop_run(loop, NULL), SY_OK);
        assert_int_equal(tear_down(state), 0);
        pthread_join(thread, NULL);
        assert_int_equal(set_up(state), 0);
    }
}

/* ---- polls ---- */

struct watcher {
    struct sy_poll poll;
    struct watcher *cancels;
    unsigned ready;
    uint32_t events;
};

static void on_ready(struct sy_poll *poll, uint32_t events)
{
    struct watcher *watcher = sy_container_of(poll, struct watcher, poll);
    assert_false(poll->active);
    watcher->ready++;
    watcher->events = events;
    if (watcher->cancels != NULL)
        sy_poll_cancel(loop, &watcher->cancels->poll);
}

static void tells_readiness_once(void **state)
{
    (void)state;
    struct watcher watcher = {.poll.ready = on_ready};
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(sy_poll_start(loop, &watcher.poll, pipe_ends[0], POLLIN, NULL), SY_OK);
    turn(0);
    turn(5);
    assert_int_equal(watcher.ready, 0);
    assert_int_equal(write(pipe_ends[1], "x", 1), 1);
    TURN_UNTIL(watcher.ready == 1);
    assert_int_equal(watcher.events & POLLIN, POLLIN);
    turn(5);
    assert_int_equal(watcher.ready, 1); /* one shot */
    assert_int_equal(sy_poll_start(loop, &watcher.poll, pipe_ends[0], POLLIN, NULL), SY_OK);
    TURN_UNTIL(watcher.ready == 2); /* still readable */
    char byte;
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(sy_poll_start(loop, &watcher.poll, pipe_ends[0], POLLIN, NULL), SY_OK);
    turn(0);
    sy_poll_cancel(loop, &watcher.poll);
    assert_int_equal(write(pipe_ends[1], "x", 1), 1);
    turn(5);
    turn(5);
    assert_int_equal(watcher.ready, 2);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* Both are ready in one turn; the first cancels the second, whose memory may then be gone. */
static void cancels_a_poll_that_is_ready_too(void **state)
{
    (void)state;
    struct watcher *watchers[2];
    int pipes[2][2];
    for (unsigned i = 0; i < 2; i++) {
        watchers[i] = calloc(1, sizeof(*watchers[i]));
        watchers[i]->poll.ready = on_ready;
        assert_int_equal(pipe(pipes[i]), 0);
        assert_int_equal(write(pipes[i][1], "x", 1), 1);
    }
    watchers[0]->cancels = watchers[1];
    watchers[1]->cancels = watchers[0];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(sy_poll_start(loop, &watchers[i]->poll, pipes[i][0], POLLIN, NULL), SY_OK);
    TURN_UNTIL(watchers[0]->ready + watchers[1]->ready > 0);
    turn(5);
    assert_int_equal(watchers[0]->ready + watchers[1]->ready, 1);
    for (unsigned i = 0; i < 2; i++) {
        free(watchers[i]);
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    turn(5);
}

/* ---- listeners ---- */

struct door {
    struct sy_listener listener;
    unsigned accepted, failed;
    int fds[64];
    bool stop_on_accept;
};

static void on_accepted(struct sy_listener *listener, int fd, const struct sockaddr_storage *peer)
{
    struct door *door = listener->owner;
    assert_int_equal(peer->ss_family, AF_INET);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    door->fds[door->accepted++] = fd;
    if (door->stop_on_accept)
        sy_listener_stop(listener);
}

static void on_failed(struct sy_listener *listener, const struct sy_err *why)
{
    struct door *door = listener->owner;
    assert_int_equal(why->sys_errno, EMFILE);
    door->failed++;
}

static struct sockaddr_in address;

static int open_door(struct door *door)
{
    socklen_t bytes = sizeof(address);
    address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, bytes), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&address, &bytes), 0);
    door->listener.owner = door;
    door->listener.accepted = on_accepted;
    door->listener.failed = on_failed;
    assert_int_equal(sy_listener_start(loop, &door->listener, fd, NULL), SY_OK);
    return fd;
}

static int knock(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    return fd;
}

static void accepts_until_stopped(void **state)
{
    (void)state;
    struct door door = {0};
    int listener = open_door(&door), peers[10];
    turn(0);
    for (unsigned i = 0; i < 10; i++)
        peers[i] = knock();
    TURN_UNTIL(door.accepted == 10);
    door.stop_on_accept = true;
    int one = knock(), two = knock();
    TURN_UNTIL(door.accepted == 11);
    turn(5);
    turn(5);
    sy_listener_stop(&door.listener);
    assert_int_equal(door.accepted, 11);
    for (unsigned i = 0; i < 11; i++)
        close(door.fds[i]);
    for (unsigned i = 0; i < 10; i++)
        close(peers[i]);
    close(one);
    close(two);
    close(listener);
}

static void rests_when_descriptors_run_out(void **state)
{
    (void)state;
    struct door door = {0};
    int listener = open_door(&door);
    int peer = knock();
    struct rlimit normal, none;
    getrlimit(RLIMIT_NOFILE, &normal);
    none = normal;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    TURN_UNTIL(door.failed > 0);
    unsigned failed = door.failed;
    struct sy_loop_stats before, after;
    sy_loop_stats(loop, &before);
    turn(20);
    turn(20);
    sy_loop_stats(loop, &after);
    assert_in_range(after.system_calls - before.system_calls, 1, 12); /* no spinning */
    assert_in_range(door.failed, failed, failed + 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &normal), 0);
    assert_int_equal(door.accepted, 0);
    TURN_UNTIL(door.accepted == 1); /* by itself */
    close(door.fds[0]);
    close(peer);
    sy_listener_stop(&door.listener);
    turn(0);
    close(listener);
}

/* ---- choosing ---- */

static void names_its_kind(void **state)
{
    (void)state;
    assert_int_equal(sy_loop_kind_of(loop), kind_now);
    assert_string_equal(sy_loop_kind_name(SY_LOOP_IO_URING), "io_uring");
    assert_string_equal(sy_loop_kind_name(SY_LOOP_EPOLL), "epoll");
    struct sy_loop *automatic = NULL;
    assert_int_equal(sy_loop_new(NULL, &automatic, NULL), SY_OK);
    assert_int_not_equal(sy_loop_kind_of(automatic), SY_LOOP_AUTO);
    sy_loop_free(&automatic);
    assert_null(automatic);
    sy_loop_free(&automatic);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define VIRTUAL_TEST(function) cmocka_unit_test_setup_teardown(function, set_up_virtual, tear_down)

static const struct CMUnitTest all_tests[] = {
    VIRTUAL_TEST(fires_timers_in_order),
    VIRTUAL_TEST(fires_a_timer_within_a_millisecond),
    VIRTUAL_TEST(fires_a_restarted_timer_in_a_later_turn),
    VIRTUAL_TEST(cancels_a_timer_that_is_due_too),
    TEST(sleeps_until_a_timer_is_due),
    TEST(runs_deferred_work_once_per_arming),
    TEST(takes_messages_from_threads_in_order),
    TEST(stops_from_another_thread),
    TEST(may_be_freed_when_its_last_message_came),
    TEST(tells_readiness_once),
    TEST(cancels_a_poll_that_is_ready_too),
    TEST(accepts_until_stopped),
    TEST(rests_when_descriptors_run_out),
    TEST(names_its_kind),
};

int main(void)
{
    return run_on_both_loops(all_tests, NULL, NULL);
}
