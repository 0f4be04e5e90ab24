/*
 * One client: the only place that calls the stages in order (wire, parser, plan, pool, engine,
 * merge). One drive function with a switch over the states below; everything that happens to a
 * session (bytes from the client, bytes from a server, a server lent, a time limit) changes its
 * fields and calls drive.
 *
 *                 accept
 *                   v
 *   +-----------> STARTUP <--- TLS          startup.c: packet, SSLRequest, CancelRequest
 *   |               v
 *   |             LOGIN                     startup.c: password messages, hashing off the loop
 *   |               v
 *   |            WELCOME                    startup.c: a server's parameters are learnt (once per
 * settings) |               v |  +--------> IDLE <-----------------+  between two client commands:
 * no server is owed an answer |  |            v                    | |  |          BATCH  <-->
 * BARRIER    |  extended messages since the last Sync; BARRIER: until servers are quiet |  | v <-->
 * WAIT       |  WAIT: for a server connection (the same frame is handled again after it) |  |
 * ACTIVE ----------------+  the command is with the servers; client bytes wait |  |            v |
 * +------- COPY_IN                     client bytes are CopyData
 *   |
 *   +-- any state --> CLOSING --> CLOSED    session.c
 *
 * Invariants (check() in session.c, in debug builds): IDLE: no part has expectations, nothing is
 * owed, no gather; WAIT: exactly one pool wait is armed; CLOSED: no parts, no wait, no timer. A
 * part is in one session's list and its server's `user` points at it. busy_parts counts the parts
 * with expectations.
 *
 * Thread: the worker that accepted it.
 */
#ifndef SY_ROUTER_SESSION_SESSION_H
#define SY_ROUTER_SESSION_SESSION_H

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"

struct sy_session;
struct sy_worker;

/*                 name       word for SHOW CLIENTS */
#define SY_SESSION_STATES(X)                                                                       \
    X(SY_SESSION_STARTUP, "startup")                                                               \
    X(SY_SESSION_TLS, "tls")                                                                       \
    X(SY_SESSION_LOGIN, "login")                                                                   \
    X(SY_SESSION_WELCOME, "login")                                                                 \
    X(SY_SESSION_IDLE, "idle")                                                                     \
    X(SY_SESSION_BATCH, "active")                                                                  \
    X(SY_SESSION_BARRIER, "active")                                                                \
    X(SY_SESSION_WAIT, "waiting")                                                                  \
    X(SY_SESSION_ACTIVE, "active")                                                                 \
    X(SY_SESSION_COPY_IN, "active")                                                                \
    X(SY_SESSION_CLOSING, "closing")                                                               \
    X(SY_SESSION_CLOSED, "closed")

enum sy_session_state {
#define X(name, word) name,
    SY_SESSION_STATES(X)
#undef X
        SY_SESSION_STATE_COUNT
};

/* Takes over an accepted socket. On failure the socket is closed. */
SY_MUST_CHECK enum sy_status sy_session_open(struct sy_worker *worker, int fd,
                                             const struct sockaddr_storage *peer,
                                             struct sy_err *err);
/* A graceful shutdown: leaves now if nothing is going on, else when the transaction ends. */
void sy_session_drain(struct sy_session *session);
/* Ends it with FATAL 57P01 and this text. */
void sy_session_kill(struct sy_session *session, const char *text);
/* A cancel request with the right key came: the running statement is cancelled, if there is one. */
void sy_session_cancel(struct sy_session *session);

#endif
