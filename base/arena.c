/* Bump allocation in a list of blocks. Not thread-safe: an arena has one owner. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/sanitizer.h"

enum { ALIGN = 16, FIRST_BLOCK_BYTES = 1024, BLOCK_BYTES_MAX = 65536 };
/* So that a use beyond one allocation is found. */
enum { ARENA_EACH_ALONE = SY_ADDRESS_SANITIZER };

struct sy_arena_block {
    struct sy_arena_block *older;
    size_t bytes, used;
    _Alignas(ALIGN) char data[];
};

static struct sy_arena_block *add_block(struct sy_arena *arena, size_t need)
{
    size_t bytes = FIRST_BLOCK_BYTES;
    if (ARENA_EACH_ALONE)
        bytes = need;
    else if (arena->blocks != NULL)
        bytes = arena->blocks->bytes * 2 < BLOCK_BYTES_MAX ? arena->blocks->bytes * 2
                                                           : (size_t)BLOCK_BYTES_MAX;
    if (bytes < need)
        bytes = need;
    struct sy_arena_block *block = malloc(sizeof(*block) + bytes);
    if (block == NULL)
        return NULL;
    *block = (struct sy_arena_block){.older = arena->blocks, .bytes = bytes};
    arena->blocks = block;
    arena->bytes_held += bytes;
    return block;
}

void *sy_arena_alloc(struct sy_arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;
    size_t need = (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    struct sy_arena_block *block = arena->blocks;
    if (block == NULL || ARENA_EACH_ALONE || block->bytes - block->used < need) {
        block = add_block(arena, ARENA_EACH_ALONE ? bytes : need);
        if (block == NULL)
            return NULL;
    }
    void *place = block->data + block->used;
    block->used += ARENA_EACH_ALONE ? block->bytes : need;
    return place;
}

void *sy_arena_calloc(struct sy_arena *arena, size_t count, size_t size)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *place = sy_arena_alloc(arena, bytes);
    if (place != NULL)
        memset(place, 0, bytes);
    return place;
}

char *sy_arena_strndup(struct sy_arena *arena, const char *text, size_t bytes)
{
    char *copy = sy_arena_alloc(arena, bytes + 1);
    if (copy == NULL)
        return NULL;
    if (bytes > 0)
        memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    return copy;
}

char *sy_arena_strdup(struct sy_arena *arena, const char *text)
{
    return sy_arena_strndup(arena, text, strlen(text));
}

char *sy_arena_printf(struct sy_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (bytes < 0)
        return NULL;
    char *text = sy_arena_alloc(arena, (size_t)bytes + 1);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    vsnprintf(text, (size_t)bytes + 1, format, args);
    va_end(args);
    return text;
}

void sy_arena_reset(struct sy_arena *arena)
{
    struct sy_arena_block *block = arena->blocks;
    if (ARENA_EACH_ALONE || block == NULL) {
        sy_arena_release(arena);
        return;
    }
    while (block->older != NULL) {
        struct sy_arena_block *older = block->older;
        block->older = older->older;
        arena->bytes_held -= older->bytes;
        free(older);
    }
    block->used = 0;
}

void sy_arena_release(struct sy_arena *arena)
{
    while (arena->blocks != NULL) {
        struct sy_arena_block *block = arena->blocks;
        arena->blocks = block->older;
        free(block);
    }
    arena->bytes_held = 0;
}
