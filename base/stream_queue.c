/*
 * Queues of slices: what streams have to send, or have received and may not deliver yet. Nodes come
 * from a free list of the loop, so that a send allocates nothing.
 *
 * Copies of small messages of all streams share a chunk, which stays in the cache. A stream whose
 * peer is slow does not take part: its few bytes would pin whole chunks for as long as it likes; it
 * gets small ones of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/fault.h"
#include "base/loop_internal.h"

enum { BLOCK_NODES = 128, PRIVATE_BYTES = 4096, TAG_PRIVATE = 0x70726976 };

struct send_block {
    struct send_block *older;
    struct sy_stream_send nodes[BLOCK_NODES];
};

static bool add_block(struct sy_loop *loop)
{
    struct send_block *block = malloc(sizeof(*block));
    if (block == NULL)
        return false;
    block->older = loop->send_blocks;
    loop->send_blocks = block;
    for (unsigned i = 0; i < BLOCK_NODES; i++) {
        block->nodes[i].next = loop->free_sends;
        loop->free_sends = &block->nodes[i];
    }
    return true;
}

void sy_send_free_blocks(struct sy_loop *loop)
{
    while (loop->send_blocks != NULL) {
        struct send_block *block = loop->send_blocks;
        loop->send_blocks = block->older;
        free(block);
    }
    loop->free_sends = NULL;
}

struct sy_stream_send *sy_send_new(struct sy_loop *loop, struct sy_chunk *chunk, uint32_t from,
                                   uint32_t to)
{
    if (SY_FAULT("stream.memory") || (loop->free_sends == NULL && !add_block(loop)))
        return NULL;
    struct sy_stream_send *send = loop->free_sends;
    loop->free_sends = send->next;
    *send = (struct sy_stream_send){.chunk = sy_chunk_ref(chunk), .from = from, .to = to};
    return send;
}

void sy_send_free(struct sy_loop *loop, struct sy_stream_send *send)
{
    struct sy_chunk *chunk = send->chunk;
    send->next = loop->free_sends;
    loop->free_sends = send;
    sy_chunk_unref(chunk);
}

bool sy_send_append(struct sy_loop *loop, struct sy_stream_send **first,
                    struct sy_stream_send **last, struct sy_chunk *chunk, uint32_t from,
                    uint32_t to)
{
    /* Also right while the last one is in flight: its completion counts bytes, not slices. */
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a queue with a first has a last */
    if (*first != NULL && (*last)->chunk == chunk && (*last)->to == from) {
        (*last)->to = to;
        return true;
    }
    struct sy_stream_send *send = sy_send_new(loop, chunk, from, to);
    if (send == NULL)
        return false;
    if (*first == NULL)
        *first = send;
    else
        (*last)->next = send;
    *last = send;
    return true;
}

void sy_send_consume(struct sy_loop *loop, struct sy_stream_send **first,
                     struct sy_stream_send **last, uint32_t bytes)
{
    while (bytes > 0 && *first != NULL) {
        struct sy_stream_send *send = *first;
        uint32_t left = send->to - send->from;
        if (bytes < left) {
            send->from += bytes;
            return;
        }
        bytes -= left;
        *first = send->next;
        if (*first == NULL)
            *last = NULL;
        sy_send_free(loop, send);
    }
}

/* Room at the end of the shared chunk. */
static struct sy_chunk *shared_chunk(struct sy_loop *loop)
{
    struct sy_chunk *chunk = loop->copy_chunk;
    if (chunk != NULL && chunk->refs == 1)
        chunk->bytes = 0; /* all that was copied into it is sent */
    if (chunk != NULL && chunk->bytes < chunk->capacity)
        return chunk;
    loop->copy_chunk = sy_chunk_pool_get(loop->chunks);
    if (chunk != NULL)
        sy_chunk_unref(chunk);
    return loop->copy_chunk;
}

/* Room at the end of the stream's own last chunk, or of a new one, which *ret_fresh says. */
static struct sy_chunk *private_chunk(struct sy_stream_send *last, bool *ret_fresh)
{
    *ret_fresh = false;
    if (last != NULL && last->chunk->tag == TAG_PRIVATE && last->to == last->chunk->bytes &&
        last->chunk->bytes < last->chunk->capacity)
        return last->chunk;
    struct sy_chunk *chunk = sy_chunk_new(PRIVATE_BYTES);
    if (chunk != NULL) {
        chunk->tag = TAG_PRIVATE;
        *ret_fresh = true;
    }
    return chunk;
}

bool sy_send_append_copy(struct sy_loop *loop, struct sy_stream_send **first,
                         struct sy_stream_send **last, bool slow, const void *data, size_t bytes)
{
    const char *at = data;
    while (bytes > 0) {
        bool fresh = false;
        struct sy_chunk *chunk =
            slow ? private_chunk(*first != NULL ? *last : NULL, &fresh) : shared_chunk(loop);
        if (chunk == NULL)
            return false;
        uint32_t room = chunk->capacity - chunk->bytes;
        uint32_t part = bytes < room ? (uint32_t)bytes : room;
        memcpy(chunk->data + chunk->bytes, at, part);
        uint32_t from = chunk->bytes;
        chunk->bytes += part;
        bool queued = sy_send_append(loop, first, last, chunk, from, from + part);
        if (fresh)
            sy_chunk_unref(chunk); /* the queue holds it */
        if (!queued)
            return false;
        at += part;
        bytes -= part;
    }
    return true;
}

unsigned sy_stream_gather(const struct sy_stream *stream, struct iovec *vectors)
{
    unsigned count = 0;
    size_t bytes = 0;
    for (struct sy_stream_send *send = stream->send_first;
         send != NULL && count < SY_LIMIT_SEND_SLICES && bytes < SY_LIMIT_SEND_BYTES;
         send = send->next) {
        vectors[count].iov_base = send->chunk->data + send->from;
        vectors[count].iov_len = send->to - send->from;
        bytes += vectors[count++].iov_len;
    }
    return count;
}
