/*
 * Reference-counted runs of received or built bytes: what makes "forwarded, not copied" possible. A
 * receive fills a chunk; whoever wants to send a part of it later (a stream's send queue) holds a
 * reference.
 *
 * Thread: the count is not atomic. A chunk belongs to one worker; an engine thread that built one
 * hands it over whole (with a message), never shares it.
 */
#ifndef SY_BASE_CHUNK_H
#define SY_BASE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

struct sy_chunk {
    char *data;
    uint32_t bytes; /* filled */
    uint32_t capacity;
    uint32_t refs;
    uint32_t tag; /* of the provider, e.g. provided-buffer number */
    void (*recycle)(struct sy_chunk *self, void *provider); /* called when refs reaches 0 */
    void *provider;
};

/* A heap chunk of the given capacity with one reference. Errors: NULL when memory is exhausted. */
struct sy_chunk *sy_chunk_new(uint32_t capacity);

/*
 * A pool of chunks of one size: the last one given back is the first one handed out, while it is
 * still in the processor's cache. Same thread as its chunks.
 */
struct sy_chunk_pool;

/* keep_max: free chunks kept for reuse. Errors: NULL when memory is exhausted. */
struct sy_chunk_pool *sy_chunk_pool_new(uint32_t capacity, uint32_t keep_max);
/* Chunks that are still referenced stay valid; the pool's memory goes with the last of them. */
void sy_chunk_pool_free(struct sy_chunk_pool **pool);
/* An empty chunk with one reference. Errors: NULL when memory is exhausted. */
struct sy_chunk *sy_chunk_pool_get(struct sy_chunk_pool *pool);
/* Chunks that somebody holds. */
uint32_t sy_chunk_pool_in_use(const struct sy_chunk_pool *pool);

static inline struct sy_chunk *sy_chunk_ref(struct sy_chunk *chunk)
{
    chunk->refs++;
    return chunk;
}

static inline void sy_chunk_unref(struct sy_chunk *chunk)
{
    if (--chunk->refs == 0)
        chunk->recycle(chunk, chunk->provider);
}

#endif
