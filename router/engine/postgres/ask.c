/* Control-plane statements with an end: see ask.h. */
#include "router/engine/postgres/ask.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "base/limits.h"

enum { SLICE_MS = 100 };

static atomic_bool interrupted;

void pg_ask_interrupt(bool on)
{
    atomic_store(&interrupted, on);
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t pg_received_bytes(const PGconn *conn)
{
    struct tcp_info info = {0};
    socklen_t bytes = sizeof(info);
    if (getsockopt(PQsocket(conn), IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0)
        return 0;
    return info.tcpi_bytes_received;
}

/* Waits for the socket. False: out of patience, or the connection is broken. */
static bool wait_for_more(PGconn *conn, uint64_t end_ms, uint64_t bytes_max)
{
    int unsent = PQflush(conn);
    uint64_t now = now_ms();
    if (unsent < 0 || now >= end_ms || atomic_load(&interrupted))
        return false;
    uint64_t left = end_ms - now < SLICE_MS ? end_ms - now : SLICE_MS;
    struct pollfd polled = {.fd = PQsocket(conn),
                            .events = (short)(POLLIN | (unsent == 1 ? POLLOUT : 0))};
    if (poll(&polled, 1, (int)left) <= 0)
        return true; /* a slice is over */
    return PQconsumeInput(conn) == 1 && pg_received_bytes(conn) <= bytes_max;
}

static bool is_copy(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

PGresult *pg_ask(PGconn *conn, const char *sql, int count, const char *const *values,
                 uint32_t timeout_ms)
{
    PGresult *last = NULL;
    uint64_t end_ms = now_ms() + timeout_ms;
    uint64_t bytes_max = pg_received_bytes(conn) + SY_LIMIT_CONTROL_ANSWER_BYTES;
    bool good =
        PQsetnonblocking(conn, 1) == 0 &&
        (count == 0 ? PQsendQuery(conn, sql)
                    : PQsendQueryParams(conn, sql, count, NULL, values, NULL, NULL, 0)) == 1;
    while (good) {
        while (good && PQisBusy(conn))
            good = wait_for_more(conn, end_ms, bytes_max);
        PGresult *next = good ? PQgetResult(conn) : NULL;
        if (next == NULL)
            break;
        PQclear(last);
        last = next;
        /* PQexec() stops at a broken connection too: PQgetResult() would say it for ever. */
        good = !is_copy(next) && PQstatus(conn) == CONNECTION_OK;
    }
    if (good)
        return last;
    if (PQresultStatus(last) != PGRES_FATAL_ERROR) {
        PQclear(last);
        last = NULL;
    }
    return last;
}
