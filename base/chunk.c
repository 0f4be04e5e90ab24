/* Heap chunks; the event loop has its own provider. */
#include "base/chunk.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/sanitizer.h"

static void free_chunk(struct sy_chunk *self, void *provider)
{
    (void)provider;
    free(self);
}

struct sy_chunk *sy_chunk_new(uint32_t capacity)
{
    struct sy_chunk *chunk = SY_FAULT("chunk.memory") ? NULL : malloc(sizeof(*chunk) + capacity);
    if (chunk == NULL)
        return NULL;
    *chunk = (struct sy_chunk){
        .data = (char *)(chunk + 1), .capacity = capacity, .refs = 1, .recycle = free_chunk};
    return chunk;
}

/* Under AddressSanitizer nothing is kept, so that a use after the last unref is found. */
enum { KEEP_NONE = SY_ADDRESS_SANITIZER };

struct sy_chunk_pool {
    uint32_t capacity;
    uint32_t keep_max, kept;
    uint32_t in_use;
    bool freed; /* by its owner, while chunks were still in use */
    struct sy_chunk *free_chunks[];
};

static void recycle_pooled(struct sy_chunk *self, void *provider)
{
    struct sy_chunk_pool *pool = provider;
    pool->in_use--;
    if (!pool->freed && pool->kept < pool->keep_max) {
        pool->free_chunks[pool->kept++] = self;
        return;
    }
    free(self);
    if (pool->freed && pool->in_use == 0)
        free(pool);
}

struct sy_chunk_pool *sy_chunk_pool_new(uint32_t capacity, uint32_t keep_max)
{
    uint32_t keep = KEEP_NONE ? 0 : keep_max;
    struct sy_chunk_pool *pool = calloc(1, sizeof(*pool) + keep * sizeof(pool->free_chunks[0]));
    if (pool == NULL)
        return NULL;
    pool->capacity = capacity;
    pool->keep_max = keep;
    return pool;
}

struct sy_chunk *sy_chunk_pool_get(struct sy_chunk_pool *pool)
{
    struct sy_chunk *chunk =
        pool->kept > 0 ? pool->free_chunks[--pool->kept] : sy_chunk_new(pool->capacity);
    if (chunk == NULL)
        return NULL;
    pool->in_use++;
    chunk->bytes = 0;
    chunk->refs = 1;
    chunk->recycle = recycle_pooled;
    chunk->provider = pool;
    return chunk;
}

uint32_t sy_chunk_pool_in_use(const struct sy_chunk_pool *pool)
{
    return pool->in_use;
}

void sy_chunk_pool_free(struct sy_chunk_pool **pool)
{
    if (*pool == NULL)
        return;
    while ((*pool)->kept > 0)
        free((*pool)->free_chunks[--(*pool)->kept]);
    if ((*pool)->in_use == 0)
        free(*pool);
    else
        (*pool)->freed = true;
    *pool = NULL;
}
