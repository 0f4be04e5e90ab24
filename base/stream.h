/*
 * A byte stream over a socket, with or without TLS. Receives into shared buffers (an idle stream
 * holds none) and hands them up as chunks; sends slices of chunks without copying them.
 *
 * States: connecting -> open -> closing -> closed. Exactly one `closed` callback per opened stream,
 * whoever closed it; after it the owner may free the memory that embeds the stream (the loop has
 * let go of it). One send and one receive are in flight at most. Sends are gathered until the end
 * of the loop's turn.
 */
#ifndef SY_BASE_STREAM_H
#define SY_BASE_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/chunk.h"
#include "base/err.h"
#include "base/loop.h"

struct sy_stream;

struct sy_stream_events {
    /* TCP (and, where asked for at connect, TLS) is up. Only for streams that connect. May be NULL
     * else. */
    void (*connected)(struct sy_stream *stream);
    /* The TLS handshake begun by sy_stream_start_tls() is done. */
    void (*secured)(struct sy_stream *stream);
    /* Bytes chunk->data[from..to) arrived. The chunk is borrowed: take a reference to keep it. */
    void (*data)(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to);
    /* The send queue fell to SY_LIMIT_SEND_QUEUE_LOW_BYTES, or to half the mark that the loop's
     * budget allows, after it had passed the mark. */
    void (*drained)(struct sy_stream *stream);
    /* The stream is over; why is NULL when the peer closed in order or when sy_stream_close() was
     * called. */
    void (*closed)(struct sy_stream *stream, const struct sy_err *why);
};

struct sy_stream_send;   /* a queued slice */
struct sy_stream_linger; /* a close that waits for the queue to empty */
struct sy_tls;           /* TLS state, NULL on a plain stream */

/* Embeddable. Fields are the stream's own; read them through the functions below. */
struct sy_stream {
    struct sy_loop *loop;
    const struct sy_stream_events *events;
    struct sy_tls *tls;
    struct sy_stream_send *send_first,
        *send_last;                  /* bytes for the wire, the first may be in flight */
    struct sy_stream_send *held;     /* received while paused: the last of a ring, NULL: none */
    struct sy_stream_linger *linger; /* NULL unless closing with a time limit */
    struct sy_list dirty_link; /* in the loop's list of streams with something to do this turn */
    struct sy_list ready_link; /* in the loop's list of streams to receive again */
    uint32_t queued_bytes;
    uint32_t sending_bytes; /* of the send in flight */
    int fd;
    int error;          /* the first errno that hurt the stream, 0: none */
    uint32_t flags;     /* state and in-flight bits, see stream.c */
    uint16_t in_flight; /* operations that the kernel holds; 0 before `closed` */
};

/* Takes over a connected, non-blocking socket and starts to receive. */
SY_MUST_CHECK enum sy_status sy_stream_open(struct sy_stream *stream, struct sy_loop *loop, int fd,
                                            const struct sy_stream_events *events,
                                            struct sy_err *err);
/* Starts a connection (TCP or Unix socket; `address` is copied); ends in `connected` or `closed`.
 */
SY_MUST_CHECK enum sy_status sy_stream_connect(struct sy_stream *stream, struct sy_loop *loop,
                                               const struct sockaddr *address, socklen_t bytes,
                                               const struct sy_stream_events *events,
                                               struct sy_err *err);

/*
 * Starts TLS. As a server: call it inside `data` or right after open, with nothing received beyond
 * the request (else SY_E_PROTOCOL: plaintext must not precede TLS). server_name: for SNI and
 * verification, client only, may be NULL. `ctx` is referenced. Ends in `secured` or `closed`.
 */
SY_MUST_CHECK enum sy_status sy_stream_start_tls(struct sy_stream *stream, SSL_CTX *ctx,
                                                 bool as_server, const char *server_name,
                                                 struct sy_err *err);
/* The same as a server when the client began with its hello, unasked: chunk->data[from..to) is what
 * was delivered of it. To be called inside `data`. */
SY_MUST_CHECK enum sy_status sy_stream_start_tls_with(struct sy_stream *stream, SSL_CTX *ctx,
                                                      struct sy_chunk *chunk, uint32_t from,
                                                      uint32_t to, struct sy_err *err);
/* NULL on a plain stream. For channel binding and certificate checks. */
SSL *sy_stream_ssl(const struct sy_stream *stream);

/* Queues a slice of a chunk; takes a reference of its own. Never fails: memory exhaustion closes
 * the stream. */
void sy_stream_send(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to);
/* Queues a copy of a small message. */
void sy_stream_send_copy(struct sy_stream *stream, const void *data, size_t bytes);
/* Bytes queued and not yet taken by the kernel. Above SY_LIMIT_SEND_QUEUE_HIGH_BYTES: pause the
 * source. */
uint32_t sy_stream_queued_bytes(const struct sy_stream *stream);
bool sy_stream_congested(const struct sy_stream *stream);

/* Back-pressure: stop and start receiving. Bytes that were already received may still be delivered
 * once. */
void sy_stream_pause(struct sy_stream *stream);
void sy_stream_resume(struct sy_stream *stream);

/* Sends what is queued (for at most linger_us), then closes. Idempotent; `closed` follows on a
 * later turn. */
void sy_stream_close(struct sy_stream *stream, uint64_t linger_us);
bool sy_stream_is_open(const struct sy_stream *stream);

#endif
