/*
 * Statements of the control plane over libpq, within limits: PQexec() waits for ever, and takes as
 * many rows as a server likes to send.
 *
 * Thread: any but a loop's.
 */
#ifndef SY_ROUTER_ENGINE_POSTGRES_ASK_H
#define SY_ROUTER_ENGINE_POSTGRES_ASK_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

/*
 * PQexec(), or PQexecParams() with text parameters when count is not 0; the caller clears the
 * result. NULL: no answer within timeout_ms, more than SY_LIMIT_CONTROL_ANSWER_BYTES of it, COPY,
 * or pg_ask_interrupt(): the connection is good for nothing but PQfinish().
 *
 * Blocks: at most timeout_ms.
 */
PGresult *pg_ask(PGconn *conn, const char *sql, int count, const char *const *values,
                 uint32_t timeout_ms);
/* Ends every pg_ask() of the process, and those to come, until it is called with false. */
void pg_ask_interrupt(bool on);

/* Bytes that came over a connection since it was opened; 0 for a Unix socket, whose server is
 * trusted. */
uint64_t pg_received_bytes(const PGconn *conn);

/* A value of an answer, "" for NULL and for one that the server left out. */
static inline const char *pg_value(const PGresult *result, int row, int column)
{
    if (row < 0 || row >= PQntuples(result) || column >= PQnfields(result))
        return "";
    return PQgetvalue(result, row, column);
}

#endif
