/*
 * TLS on a stream, both sides, 1.2 and later. OpenSSL reads from the slice that was just received
 * and writes into the stream's queue, through a BIO of our own: nothing is copied that encryption
 * does not copy anyway.
 *
 * Plaintext is queued as it comes and encrypted at the end of the turn, in records as full as
 * possible, and no further ahead than one send: the rest waits as plaintext. With
 * SSL_MODE_RELEASE_BUFFERS an idle session holds no record buffers.
 *
 * A stream that is paused in the middle of a reception keeps the rest of the ciphertext (`in`).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop_internal.h"

enum {
    RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH,
    WHOLE_SLICE_BYTES = 4096, /* a slice of this size is encrypted where it is */
    REASON_BYTES = 160,
};

struct sy_tls {
    SSL *ssl;
    struct sy_stream_send *plain_first, *plain_last;
    struct sy_chunk *in; /* ciphertext being read: borrowed within sy_tls_received(), else owned */
    uint32_t in_from, in_to;
    uint32_t plain_bytes;
    bool established;
    bool closing, shut; /* close_notify is wanted, was queued */
    bool failed;
    char reason[REASON_BYTES];
};

/* ---- the BIO ---- */

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *data, size_t bytes, size_t *ret_bytes)
{
    struct sy_stream *stream = BIO_get_data(bio);
    struct sy_tls *tls = stream->tls;
    BIO_clear_retry_flags(bio);
    if (tls->in == NULL || tls->in_from == tls->in_to) {
        BIO_set_retry_read(bio);
        return 0;
    }
    size_t left = tls->in_to - tls->in_from;
    size_t part = bytes < left ? bytes : left;
    memcpy(data, tls->in->data + tls->in_from, part);
    tls->in_from += (uint32_t)part;
    *ret_bytes = part;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t bytes, size_t *ret_bytes)
{
    struct sy_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    bool slow = (stream->flags & STREAM_SENDING) != 0 && bytes < WHOLE_SLICE_BYTES &&
                stream->queued_bytes >= WHOLE_SLICE_BYTES;
    if (!sy_send_append_copy(stream->loop, &stream->send_first, &stream->send_last, slow, data,
                             bytes))
        return 0;
    sy_stream_count(stream, (uint32_t)bytes, 0);
    *ret_bytes = bytes;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_PUSH || command == BIO_CTRL_POP;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "switchyard stream");
    if (method == NULL)
        return;
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}

/* ---- life ---- */

static void note_failure(struct sy_tls *tls, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    long verified = SSL_get_verify_result(tls->ssl);
    tls->failed = true;
    if (verified != X509_V_OK && !tls->established)
        reason = X509_verify_cert_error_string(verified);
    snprintf(tls->reason, sizeof(tls->reason), "TLS %s failed: %s", what,
             reason != NULL ? reason : "unknown reason");
    ERR_clear_error();
}

bool sy_tls_failed(const struct sy_tls *tls, struct sy_err *err)
{
    if (!tls->failed)
        return false;
    (void)sy_err_set(err, SY_E_PROTOCOL, "%s", tls->reason);
    return true;
}

void sy_tls_free(struct sy_tls **tls, struct sy_loop *loop)
{
    struct sy_tls *self = *tls;
    if (self == NULL)
        return;
    sy_send_consume(loop, &self->plain_first, &self->plain_last, UINT32_MAX);
    if (self->in != NULL)
        sy_chunk_unref(self->in);
    SSL_free(self->ssl);
    free(self);
    *tls = NULL;
}

static bool is_address(const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

/* Server Name Indication carries names only; a certificate is checked for either. */
static bool set_server_name(SSL *ssl, const char *name)
{
    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    return SSL_set1_host(ssl, name) == 1 &&
           /* What SSL_set_tlsext_host_name() does, without casting const away in its macro. */
           SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                    (void *)(uintptr_t)name) == 1;
}

static bool set_up(struct sy_stream *stream, SSL *ssl, bool as_server, const char *server_name)
{
    BIO *bio = method != NULL ? BIO_new(method) : NULL;
    if (bio == NULL)
        return false;
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                          SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    if (SSL_get_min_proto_version(ssl) < TLS1_2_VERSION &&
        SSL_set_min_proto_version(ssl, TLS1_2_VERSION) != 1)
        return false;
    if (as_server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return as_server || server_name == NULL || set_server_name(ssl, server_name);
}

static void step_handshake(struct sy_stream *stream);

enum sy_status sy_stream_start_tls(struct sy_stream *stream, SSL_CTX *ctx, bool as_server,
                                   const char *server_name, struct sy_err *err)
{
    pthread_once(&method_once, make_method);
    if ((stream->flags & STREAM_OPEN) == 0)
        return sy_err_set(err, SY_E_CONNECTION_LOST, "the connection is closed");
    if (stream->tls != NULL)
        return sy_err_set(err, SY_E_STATE, "TLS was already started");
    if (stream->held != NULL)
        return sy_err_set(err, SY_E_PROTOCOL, "unencrypted data arrived after the request for TLS");
    struct sy_tls *tls = calloc(1, sizeof(*tls));
    if (tls != NULL)
        tls->ssl = SSL_new(ctx);
    if (tls == NULL || tls->ssl == NULL || !set_up(stream, tls->ssl, as_server, server_name)) {
        if (tls != NULL)
            SSL_free(tls->ssl);
        free(tls);
        ERR_clear_error();
        return sy_err_set(err, SY_E_NO_MEMORY, "cannot set up TLS");
    }
    stream->tls = tls;
    if (!as_server)
        step_handshake(stream);
    return SY_OK;
}

SSL *sy_stream_ssl(const struct sy_stream *stream)
{
    return stream->tls != NULL ? stream->tls->ssl : NULL;
}

/* ---- receiving ---- */

static void fail(struct sy_stream *stream, const char *what)
{
    struct sy_tls *tls = stream->tls;
    note_failure(tls, what);
    /* An alert may have been queued: the peer deserves to know why. */
    if ((stream->flags & STREAM_SENDING) == 0)
        sy_stream_send_at_once(stream);
    sy_stream_fail(stream, EPROTO);
}

static void step_handshake(struct sy_stream *stream)
{
    struct sy_tls *tls = stream->tls;
    ERR_clear_error();
    int result = SSL_do_handshake(tls->ssl);
    sy_stream_mark_dirty(stream);
    if (result == 1) {
        tls->established = true;
        if (stream->events->secured != NULL)
            stream->events->secured(stream);
    } else if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ) {
        fail(stream, "handshake");
    }
}

/* Decrypts one record at most. False: nothing more can be read now. */
static bool read_record(struct sy_stream *stream)
{
    struct sy_tls *tls = stream->tls;
    struct sy_chunk *chunk = sy_chunk_pool_get(stream->loop->chunks);
    if (chunk == NULL) {
        sy_stream_fail(stream, ENOMEM);
        return false;
    }
    ERR_clear_error();
    int result = SSL_read(tls->ssl, chunk->data, (int)chunk->capacity);
    bool again = result > 0;
    if (result > 0) {
        chunk->bytes = (uint32_t)result;
        stream->events->data(stream, chunk, 0, chunk->bytes);
    } else {
        int reason = SSL_get_error(tls->ssl, result);
        if (reason == SSL_ERROR_ZERO_RETURN)
            sy_stream_fail(stream, 0); /* the peer's orderly end */
        else if (reason != SSL_ERROR_WANT_READ)
            fail(stream, "read");
        if (stream->send_first != NULL) /* an answer to what was read: key update, tickets */
            sy_stream_mark_dirty(stream);
    }
    sy_chunk_unref(chunk);
    return again;
}

static bool may_deliver(const struct sy_stream *stream)
{
    return (stream->flags & STREAM_OPEN) != 0 && (stream->flags & STREAM_PAUSED) == 0;
}

static void read_all(struct sy_stream *stream)
{
    struct sy_tls *tls = stream->tls;
    if (!tls->established)
        step_handshake(stream);
    while (tls->established && may_deliver(stream) && read_record(stream))
        ;
}

void sy_tls_received(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct sy_tls *tls = stream->tls;
    tls->in = chunk;
    tls->in_from = from;
    tls->in_to = to;
    read_all(stream);
    if (tls->in_from == tls->in_to)
        tls->in = NULL;
    else
        sy_chunk_ref(chunk);
}

void sy_tls_resume(struct sy_stream *stream)
{
    struct sy_tls *tls = stream->tls;
    if (!sy_tls_pending(tls))
        return;
    struct sy_chunk *chunk = tls->in;
    read_all(stream);
    if (chunk != NULL && tls->in_from == tls->in_to) {
        tls->in = NULL;
        sy_chunk_unref(chunk);
    }
}

enum sy_status sy_stream_start_tls_with(struct sy_stream *stream, SSL_CTX *ctx,
                                        struct sy_chunk *chunk, uint32_t from, uint32_t to,
                                        struct sy_err *err)
{
    enum sy_status status = sy_stream_start_tls(stream, ctx, true, NULL, err);
    if (status == SY_OK)
        sy_tls_received(stream, chunk, from, to);
    return status;
}

bool sy_tls_pending(const struct sy_tls *tls)
{
    return tls->in != NULL || SSL_pending(tls->ssl) > 0;
}

/* ---- sending ---- */

bool sy_tls_queue(struct sy_stream *stream, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct sy_tls *tls = stream->tls;
    tls->plain_bytes += to - from;
    return sy_send_append(stream->loop, &tls->plain_first, &tls->plain_last, chunk, from, to);
}

bool sy_tls_queue_copy(struct sy_stream *stream, bool slow, const void *data, size_t bytes)
{
    struct sy_tls *tls = stream->tls;
    tls->plain_bytes += (uint32_t)bytes;
    return sy_send_append_copy(stream->loop, &tls->plain_first, &tls->plain_last, slow, data,
                               bytes);
}

/* The next record's plaintext: a large slice where it is, small ones gathered. Returns its length.
 */
static uint32_t next_record(const struct sy_tls *tls, char *buffer, const char **ret_data)
{
    const struct sy_stream_send *send = tls->plain_first;
    uint32_t bytes = send->to - send->from;
    if (bytes >= WHOLE_SLICE_BYTES || send->next == NULL) {
        *ret_data = send->chunk->data + send->from;
        return bytes < RECORD_BYTES ? bytes : (uint32_t)RECORD_BYTES;
    }
    uint32_t filled = 0;
    for (; send != NULL && filled < RECORD_BYTES; send = send->next) {
        uint32_t room = RECORD_BYTES - filled;
        bytes = send->to - send->from < room ? send->to - send->from : room;
        memcpy(buffer + filled, send->chunk->data + send->from, bytes);
        filled += bytes;
    }
    *ret_data = buffer;
    return filled;
}

void sy_tls_flush(struct sy_stream *stream)
{
    struct sy_tls *tls = stream->tls;
    char buffer[RECORD_BYTES];
    if (!tls->established || tls->failed)
        return;
    while (tls->plain_first != NULL &&
           stream->queued_bytes - tls->plain_bytes < SY_LIMIT_SEND_BYTES) {
        const char *data = NULL;
        uint32_t bytes = next_record(tls, buffer, &data);
        ERR_clear_error();
        int result = SSL_write(tls->ssl, data, (int)bytes);
        if (result <= 0) {
            if (SSL_get_error(tls->ssl, result) != SSL_ERROR_WANT_READ)
                fail(stream, "write");
            return;
        }
        sy_send_consume(stream->loop, &tls->plain_first, &tls->plain_last, (uint32_t)result);
        tls->plain_bytes -= (uint32_t)result;
        sy_stream_count(stream, 0, (uint32_t)result);
    }
    if (tls->closing && !tls->shut && tls->plain_first == NULL) {
        tls->shut = true;
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl); /* 0: sent, the peer's is not awaited */
    }
}

void sy_tls_shutdown(struct sy_stream *stream)
{
    stream->tls->closing = true;
    sy_tls_flush(stream);
}

bool sy_tls_flushed(const struct sy_tls *tls)
{
    return !tls->established || tls->failed ||
           (tls->plain_first == NULL && (!tls->closing || tls->shut));
}
