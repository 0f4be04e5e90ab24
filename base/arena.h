/*
 * Arenas: memory that is given back all at once. One per statement (reset at ReadyForQuery), one
 * per session, one per cached template. Passed explicitly. Under AddressSanitizer every allocation
 * is a malloc of its own.
 */
#ifndef SY_BASE_ARENA_H
#define SY_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/slice.h"

struct sy_arena_block;

/* Embeddable; all zero is a valid empty arena that holds no memory. */
struct sy_arena {
    struct sy_arena_block *blocks; /* newest first */
    size_t bytes_held;             /* sum of the blocks' sizes */
};

/* Memory aligned to 16 bytes, owned by the arena, not zeroed. Errors: NULL when memory is
 * exhausted. */
void *sy_arena_alloc(struct sy_arena *arena, size_t bytes);
/* The same, zeroed; count * size is checked for overflow. */
void *sy_arena_calloc(struct sy_arena *arena, size_t count, size_t size);
/* Copies with a terminating zero byte. Errors: NULL when memory is exhausted. */
char *sy_arena_strndup(struct sy_arena *arena, const char *text, size_t bytes);
char *sy_arena_strdup(struct sy_arena *arena, const char *text);
char *sy_arena_printf(struct sy_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Forgets every allocation; keeps one block for reuse. */
void sy_arena_reset(struct sy_arena *arena);
/* Forgets every allocation and frees all memory; the arena stays usable. */
void sy_arena_release(struct sy_arena *arena);

#endif
