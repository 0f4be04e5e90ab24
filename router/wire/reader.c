/* The cursor over a body. Pure. Every length is compared with what is left, by subtraction. */
#include <string.h>

#include "router/wire/message.h"

/* The place of the next `bytes` bytes, or NULL. */
static inline const char *take(struct sy_reader *reader, size_t bytes)
{
    if (reader->failed || bytes > sy_reader_left(reader)) {
        reader->failed = true;
        return NULL;
    }
    const char *at = reader->at;
    if (bytes > 0)
        reader->at += bytes;
    return at;
}

uint8_t sy_read_u8(struct sy_reader *reader)
{
    const char *at = take(reader, 1);
    return at == NULL ? 0 : (uint8_t)*at;
}

uint16_t sy_read_u16(struct sy_reader *reader)
{
    uint16_t wire = 0;
    const char *at = take(reader, sizeof(wire));
    if (at != NULL)
        memcpy(&wire, at, sizeof(wire));
    return __builtin_bswap16(wire);
}

uint32_t sy_read_u32(struct sy_reader *reader)
{
    uint32_t wire = 0;
    const char *at = take(reader, sizeof(wire));
    if (at != NULL)
        memcpy(&wire, at, sizeof(wire));
    return __builtin_bswap32(wire);
}

struct sy_slice sy_read_bytes(struct sy_reader *reader, size_t bytes)
{
    const char *at = take(reader, bytes);
    return (struct sy_slice){at, at == NULL ? 0 : bytes};
}

struct sy_slice sy_read_cstring(struct sy_reader *reader)
{
    size_t left = sy_reader_left(reader);
    const char *zero = reader->failed || left == 0 ? NULL : memchr(reader->at, 0, left);
    if (zero == NULL) {
        reader->failed = true;
        return (struct sy_slice){NULL, 0};
    }
    struct sy_slice text = {reader->at, (size_t)(zero - reader->at)};
    reader->at = zero + 1;
    return text;
}

bool sy_reader_done(const struct sy_reader *reader)
{
    return !reader->failed && reader->at == reader->end;
}

uint16_t sy_u16_at(const char *raw, uint32_t i)
{
    uint16_t wire;
    memcpy(&wire, raw + (size_t)i * sizeof(wire), sizeof(wire));
    return __builtin_bswap16(wire);
}

uint32_t sy_u32_at(const char *raw, uint32_t i)
{
    uint32_t wire;
    memcpy(&wire, raw + (size_t)i * sizeof(wire), sizeof(wire));
    return __builtin_bswap32(wire);
}

void sy_split_values(const char *raw, uint16_t count, struct sy_slice *ret)
{
    for (uint16_t i = 0; i < count; i++) {
        uint32_t bytes = sy_u32_at(raw, 0);
        raw += sizeof(bytes);
        if (bytes == UINT32_MAX) {
            ret[i] = (struct sy_slice){NULL, 0};
            continue;
        }
        ret[i] = (struct sy_slice){raw, bytes};
        raw += bytes;
    }
}
