/*
 * `switchyard serve`: the running router. Threads, workers, signals, reload, shutdown.
 * Signals: SIGTERM drains and stops, SIGINT stops at once, SIGHUP reloads the configuration.
 * SIGUSR1 is the process's own: declarations wait (router/session/declaring.h).
 */
#ifndef SY_CLI_SERVE_H
#define SY_CLI_SERVE_H

#include <stdbool.h>
#include <stdint.h>

struct sy_serve_options {
    const char *config_path; /* NULL: the built-in demo */
    uint16_t port;           /* 0: as configured */
    const char *data_dir;    /* NULL: as configured */
    const char *loop;        /* "auto", "io_uring", "epoll"; NULL: as configured */
    int workers;             /* -1: as configured */
};

/* Runs until told to stop. Returns the process's exit status; says on standard error what went
 * wrong. Blocks. */
int sy_serve(const struct sy_serve_options *options);

#endif
