/*
 * A connection to a PostgreSQL server up to the point where the protocol begins: name resolution,
 * TCP or Unix socket, SSLRequest, TLS and the check of the server's certificate. Links and cancel
 * requests both start here.
 *
 *     resolving -> connecting -> [ssl_reply -> handshake] -> up -> closing -> closed
 *
 * Exactly one `closed` follows a successful start, never inside a call of this interface; after it
 * the memory is the owner's again. One worker's own.
 */
#ifndef SY_ROUTER_ENGINE_POSTGRES_DIAL_H
#define SY_ROUTER_ENGINE_POSTGRES_DIAL_H

#include "base/stream.h"
#include "router/engine/postgres/resolve.h"
#include "router/engine/postgres/tls.h"
#include "router/topology/topology.h"

struct pg_dial;

struct pg_dial_events {
    void (*up)(struct pg_dial *dial);
    void (*data)(struct pg_dial *dial, struct sy_chunk *chunk, uint32_t from, uint32_t to);
    void (*drained)(struct pg_dial *dial);
    void (*closed)(struct pg_dial *dial, const struct sy_err *why);
};

enum pg_dial_state {
    PG_DIAL_RESOLVING,
    PG_DIAL_CONNECTING,
    PG_DIAL_SSL_REPLY,
    PG_DIAL_HANDSHAKE,
    PG_DIAL_UP,
    PG_DIAL_CLOSING,
    PG_DIAL_CLOSED
};

struct pg_dial {
    struct sy_stream stream;
    const struct pg_dial_events *events;
    struct sy_loop *loop;
    struct sy_node *node; /* a reference of its own */
    enum pg_dial_state state;
    enum pg_tls_mode tls;
    bool stream_live; /* a `closed` of the stream is still to come */
    bool redial;      /* start over when the stream has closed */
    bool was_up;
    struct pg_addresses addresses;
    uint32_t address; /* being tried, or connected to */
    struct pg_resolve_job *resolving;
    struct sy_timer timer; /* of everything until pg_dial_finished() */
    struct sy_deferred finish;
    struct sy_err why; /* status SY_OK: closed in order */
    uint64_t timeout_us;
};

/* Starts. Errors: what is known at once (memory, an address that cannot be used, an unreadable
 * certificate). */
SY_MUST_CHECK enum sy_status pg_dial_start(struct pg_dial *dial, struct sy_loop *loop,
                                           struct sy_node *node, uint64_t timeout_us,
                                           const struct pg_dial_events *events, struct sy_err *err);
/* The same to the address, and with the encryption, that `like` has: for cancel requests. */
SY_MUST_CHECK enum sy_status pg_dial_start_like(struct pg_dial *dial, const struct pg_dial *like,
                                                const struct pg_dial_events *events,
                                                struct sy_err *err);
/* The protocol has begun well: no time limit from here on. */
void pg_dial_finished(struct pg_dial *dial);
/* Closes; `closed` gets `why` (NULL: in order). The first reason given wins. */
void pg_dial_close(struct pg_dial *dial, const struct sy_err *why, uint64_t linger_us);
/* Starts over without TLS if the mode allows it; false: it does not. */
bool pg_dial_retry_plain(struct pg_dial *dial);
bool pg_dial_is_encrypted(const struct pg_dial *dial);

#endif
