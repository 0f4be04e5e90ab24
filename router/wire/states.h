/*
 * Which message types may come in which state, from clients and from servers, as two tables. What
 * is not in a table ends the connection: after a message that cannot be, nothing that follows can
 * be trusted to mean what it says. Pure.
 *
 * Clients (what PostgreSQL 15 does with the same type in the same state):
 *
 *     STARTUP --startup packet--> AUTH --AuthenticationOk sent--> READY <--> SKIP <--> COPY_IN any
 * --> CLOSED
 *
 *   STARTUP   packets without a type byte only: no frame is legal
 *   AUTH      'p' only
 *   READY     every request, also while earlier ones still run (pipelining); late 'd' 'c' 'f' of a
 * COPY that failed are read and dropped SKIP      after an error in an extended batch: all requests
 * are read and dropped until Sync (or Terminate) COPY_IN   after CopyInResponse: 'd' 'c' 'f'; Flush
 * and Sync are read and dropped CLOSED    nothing
 *
 * Servers:
 *
 *     AUTH --'R' 0--> SETUP --'Z'--> IDLE --request--> BUSY --'Z' of the last request--> IDLE
 *                                                      BUSY --'G'--> COPY_IN, 'H'--> COPY_OUT -->
 * BUSY BUSY --'E'--> FAILED --'Z'--> BUSY or IDLE
 *
 *   AUTH      'R', 'v'
 *   SETUP     'S', 'K' and the first 'Z'
 *   IDLE      nothing was asked: only what may come at any time
 *   BUSY      answers; sy_reply_of() says which ones belong to which request
 *   COPY_IN   'C' when the data was taken
 *   COPY_OUT  'd', 'c'; 'C' comes when it is BUSY again
 *   FAILED    'Z' (extended: after the Sync)
 *   CLOSED    nothing
 *   In all but CLOSED: 'E' and 'N'; from SETUP on also 'S', and from IDLE on 'A'.
 *
 * Source: PostgreSQL 15 manual, 55.2 and 55.7.
 */
#ifndef SY_ROUTER_WIRE_STATES_H
#define SY_ROUTER_WIRE_STATES_H

#include <stdbool.h>
#include <stdint.h>

enum sy_client_state {
    SY_CLIENT_STARTUP,
    SY_CLIENT_AUTH,
    SY_CLIENT_READY,
    SY_CLIENT_SKIP,
    SY_CLIENT_COPY_IN,
    SY_CLIENT_CLOSED,
    SY_CLIENT_STATE_COUNT
};
enum sy_server_state {
    SY_SERVER_AUTH,
    SY_SERVER_SETUP,
    SY_SERVER_IDLE,
    SY_SERVER_BUSY,
    SY_SERVER_COPY_IN,
    SY_SERVER_COPY_OUT,
    SY_SERVER_FAILED,
    SY_SERVER_CLOSED,
    SY_SERVER_STATE_COUNT
};

enum sy_frame_verdict {
    SY_FRAME_REFUSE, /* ends the connection: FATAL 08P01 to a client, a server is closed */
    SY_FRAME_IGNORE, /* legal here, read and dropped */
    SY_FRAME_ACCEPT,
};

enum sy_frame_verdict sy_client_may_send(enum sy_client_state state, char type);
enum sy_frame_verdict sy_server_may_send(enum sy_server_state state, char type);

/*
 * The longest body that a client's message of this type may have, in bytes: 10,000 for those that
 * hold only names and numbers (Describe, Execute, Close, Sync, ...), SY_LIMIT_MESSAGE_BYTES for
 * those that hold data. 0 bytes are legal for every type here.
 */
uint32_t sy_client_body_bytes_max(char type);

/* What a backend message is to the request at the head of the queue. */
enum sy_reply {
    SY_REPLY_WRONG, /* cannot be an answer to it */
    SY_REPLY_ASYNC, /* 'N', 'S', 'A': belongs to no request */
    SY_REPLY_PART,  /* more follows */
    SY_REPLY_LAST,  /* the request is answered */
    SY_REPLY_ERROR, /* 'E': answered; in an extended batch everything up to Sync is skipped by the
                       server */
};

/*
 * request: 'Q', 'F', 'P', 'B', 'D' (of a portal), 'd' (Describe of a statement), 'E', 'C', 'S'.
 * Flush has no answer. An error in 'Q' or 'F' is followed by their 'Z', which is SY_REPLY_LAST.
 */
enum sy_reply sy_reply_of(char request, char reply);

/* "Query", "Bind"...: for messages and logs; "unknown" for a type that does not exist. */
const char *sy_client_type_name(char type);
const char *sy_server_type_name(char type);

#endif
