/* Heap chunks; the event loop has its own provider. */
#include "base/chunk.h"

#include <stdlib.h>

static void free_chunk(struct sy_chunk *self, void *provider)
{
    (void)provider;
    free(self);
}

struct sy_chunk *sy_chunk_new(uint32_t capacity)
{
    struct sy_chunk *chunk = malloc(sizeof(*chunk) + capacity);
    if (chunk == NULL)
        return NULL;
    *chunk = (struct sy_chunk){.data = (char *)(chunk + 1),
                               .capacity = capacity,
                               .refs = 1,
                               .recycle = free_chunk};
    return chunk;
}
