/*
 * Reference-counted runs of received or built bytes: what makes "forwarded, not copied" possible. A receive
 * fills a chunk; whoever wants to send a part of it later (a stream's send queue) holds a reference.
 *
 * Thread: the count is not atomic. A chunk belongs to one worker; an engine thread that built one hands it
 * over whole (with a message), never shares it.
 */
#ifndef SY_BASE_CHUNK_H
#define SY_BASE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

struct sy_chunk {
    char *data;
    uint32_t bytes;                       /* filled */
    uint32_t capacity;
    uint32_t refs;
    uint32_t tag;                         /* of the provider, e.g. provided-buffer number */
    void (*recycle)(struct sy_chunk *self, void *provider); /* called when refs reaches 0 */
    void *provider;
};

/* A heap chunk of the given capacity with one reference. Errors: NULL when memory is exhausted. */
struct sy_chunk *sy_chunk_new(uint32_t capacity);

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
