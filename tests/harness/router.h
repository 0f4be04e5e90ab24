/*
 * The router under test: `switchyard serve` in a child process, on a free loopback port, with a
 * configuration given as text. Failures end the program (exit 99) and name the log.
 */
#ifndef SY_TESTS_HARNESS_ROUTER_H
#define SY_TESTS_HARNESS_ROUTER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <libpq-fe.h>

struct sy_router;

/* `databases`: what stands behind "databases = (", with its closing; the rest (listen, trust for
 * loopback) is added. `extra`: further top-level lines, or NULL. loop: "auto", "io_uring" or
 * "epoll", or NULL. Blocks until it accepts clients. */
struct sy_router *sy_router_start(const char *databases, const char *extra, const char *loop);
uint16_t sy_router_port(const struct sy_router *router);
pid_t sy_router_pid(const struct sy_router *router);
/* A connection that must succeed; the caller calls PQfinish. `more`: conninfo words, or NULL. */
PGconn *sy_router_connect(const struct sy_router *router, const char *database, const char *more);
/* Replaces the databases part and sends SIGHUP. */
void sy_router_reload(struct sy_router *router, const char *databases, const char *extra);
/* The file that the router's log goes to. */
const char *sy_router_log(const struct sy_router *router);
/* Waits until the router's log has this text; none within 30 s ends the program. */
void sy_router_wait_log(const struct sy_router *router, const char *text);
/* Waits for the router's own end (a fault that kills it), or kills it with SIGKILL first, and
 * starts it again on the same port and data folder. */
void sy_router_restart(struct sy_router *router, bool kill_first);
/* Sends the signal and waits; the exit status. */
int sy_router_stop(struct sy_router **router, int signal);

/* Waits until the other side of a connection says something unasked, or closes it: a limit that
 * passes, a notification. False: not within a minute. */
bool sy_router_speaks(PGconn *connection);

/* ---- statements, for tests that read like a psql session ---- */

/* First value of a statement's answer ("" for none or NULL), or "ERROR <sqlstate>". In a static
 * ring of 8. */
const char *sy_ask(PGconn *connection, const char *sql);
/* All values: columns with '|', rows with '\n' (no trailing one), or "ERROR <sqlstate>". Same ring.
 */
const char *sy_ask_all(PGconn *connection, const char *sql);
/* Command tag of a statement, or "ERROR <sqlstate>". Same ring. */
const char *sy_run(PGconn *connection, const char *sql);
/* What sy_ask_all() says of a statement with columns, and sy_run() of one without. Same ring. */
const char *sy_tell(PGconn *connection, const char *sql);

#endif
