/*
 * Whether a server's message can be an answer to what was asked, and how long it may be: asked for
 * every message of a server that serves a client, before anything is done with it. What is not
 * legal ends both connections: after it nothing that follows can be trusted to mean what it says.
 * Pure: constant data and a shift per message.
 *
 * Source: PostgreSQL 15 manual, 55.2 and 55.7.
 */
#ifndef SY_ROUTER_WIRE_ANSWERS_H
#define SY_ROUTER_WIRE_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

/* The request at the head of the queue, or what has become of it. */
enum sy_answers_to {
    SY_ANSWERS_NOTHING, /* nothing was asked: notices, parameters, notifications, errors */
    SY_ANSWERS_QUERY,   /* Query or FunctionCall, up to ReadyForQuery */
    SY_ANSWERS_PARSE,
    SY_ANSWERS_BIND,
    SY_ANSWERS_DESCRIBE_STATEMENT, /* ParameterDescription is to come */
    SY_ANSWERS_DESCRIBE,           /* of a portal, or the columns of a statement */
    SY_ANSWERS_EXECUTE,
    SY_ANSWERS_CLOSE,
    SY_ANSWERS_SYNC,     /* also a Query that has failed: ReadyForQuery alone is left */
    SY_ANSWERS_COPY_IN,  /* CopyInResponse was seen: CommandComplete or an error */
    SY_ANSWERS_COPY_OUT, /* CopyOutResponse was seen: data, CopyDone */
    SY_ANSWERS_COUNT
};

/* True: a message of this type and with so long a body may come now. */
bool sy_answer_is_legal(enum sy_answers_to to, char type, uint32_t body_bytes);
/* True: runs of DataRow may come now. Likewise CopyData: SY_ANSWERS_COPY_OUT alone. */
static inline bool sy_answers_with_rows(enum sy_answers_to to)
{
    return to == SY_ANSWERS_QUERY || to == SY_ANSWERS_EXECUTE;
}
/* The longest body of a message of this type, in bytes. */
uint32_t sy_answer_body_bytes_max(char type);

#endif
