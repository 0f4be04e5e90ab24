/* A program of one listener on 127.0.0.1 and one loop, until SIGINT or SIGTERM. */
#ifndef SY_TESTS_BENCH_SERVE_H
#define SY_TESTS_BENCH_SERVE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"

static struct sy_loop *loop;

static void bench_end(int signal_number)
{
    (void)signal_number;
    sy_loop_stop(loop); /* atomics and a write(2): safe in a handler */
}

static int bench_listen_on(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)) != 0 ||
        listen(fd, 1024) != 0)
        return -1;
    return fd;
}

/* False: said why. */
static bool bench_serve(const char *program, uint16_t port,
                        void (*accepted)(struct sy_listener *listener, int fd,
                                         const struct sockaddr_storage *peer),
                        const struct sy_loop_options *options)
{
    struct sy_err err;
    static struct sy_listener listener;
    listener.accepted = accepted;
    int fd = bench_listen_on(port);
    if (fd < 0) {
        fprintf(stderr, "%s: port %u: %s\n", program, (unsigned)port, strerror(errno));
        return false;
    }
    if (sy_loop_new(options, &loop, &err) != SY_OK ||
        sy_listener_start(loop, &listener, fd, &err) != SY_OK) {
        fprintf(stderr, "%s: %s\n", program, err.text);
        return false;
    }
    signal(SIGINT, bench_end);
    signal(SIGTERM, bench_end);
    signal(SIGPIPE, SIG_IGN);
    fprintf(stderr, "%s: 127.0.0.1:%u with %s\n", program, (unsigned)port,
            sy_loop_kind_name(sy_loop_kind_of(loop)));
    if (sy_loop_run(loop, &err) != SY_OK) {
        fprintf(stderr, "%s: %s\n", program, err.text);
        return false;
    }
    return true;
}

#endif
