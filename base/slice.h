/* A borrowed run of bytes: pointer and length, never owned, not terminated. */
#ifndef SY_BASE_SLICE_H
#define SY_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct sy_slice {
    const char *data;
    size_t bytes;
};

#define SY_SLICE(literal) ((struct sy_slice){(literal), sizeof(literal) - 1})

static inline struct sy_slice sy_slice_of(const char *text)
{
    return (struct sy_slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool sy_slice_eq(struct sy_slice a, struct sy_slice b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

#endif
