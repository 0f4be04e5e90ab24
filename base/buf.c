/* Growable buffer. Not thread-safe: a buffer has one owner. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"

enum { FIRST_BYTES = 256 };

void sy_buf_release(struct sy_buf *buf)
{
    free(buf->data);
    *buf = (struct sy_buf){.bytes_max = buf->bytes_max};
}

void sy_buf_clear(struct sy_buf *buf)
{
    buf->bytes = 0;
    buf->failed = false;
}

char *sy_buf_reserve(struct sy_buf *buf, size_t bytes)
{
    if (buf->capacity - buf->bytes >= bytes && buf->data != NULL)
        return buf->data + buf->bytes;
    size_t max = buf->bytes_max != 0 ? buf->bytes_max : (size_t)SY_LIMIT_MESSAGE_BYTES;
    if (bytes > max || buf->bytes > max - bytes) {
        buf->failed = true;
        return NULL;
    }
    size_t capacity = buf->capacity != 0 ? buf->capacity : FIRST_BYTES;
    while (capacity - buf->bytes < bytes)
        capacity *= 2;
    /* Never more than the ceiling: what fits in the capacity is not compared with it again. */
    if (capacity > max)
        capacity = max;
    char *data = realloc(buf->data, capacity);
    if (data == NULL) {
        buf->failed = true;
        return NULL;
    }
    buf->data = data;
    buf->capacity = capacity;
    return data + buf->bytes;
}

void sy_buf_append(struct sy_buf *buf, const void *data, size_t bytes)
{
    if (bytes == 0)
        return;
    char *place = sy_buf_reserve(buf, bytes);
    if (place == NULL)
        return;
    memcpy(place, data, bytes);
    buf->bytes += bytes;
}

void sy_buf_append_slice(struct sy_buf *buf, struct sy_slice slice)
{
    sy_buf_append(buf, slice.data, slice.bytes);
}

void sy_buf_append_str(struct sy_buf *buf, const char *text)
{
    sy_buf_append(buf, text, strlen(text));
}

void sy_buf_append_u8(struct sy_buf *buf, uint8_t value)
{
    sy_buf_append(buf, &value, 1);
}

void sy_buf_append_u16(struct sy_buf *buf, uint16_t value)
{
    uint16_t wire = __builtin_bswap16(value);
    sy_buf_append(buf, &wire, sizeof(wire));
}

void sy_buf_append_u32(struct sy_buf *buf, uint32_t value)
{
    uint32_t wire = __builtin_bswap32(value);
    sy_buf_append(buf, &wire, sizeof(wire));
}

void sy_buf_append_u64(struct sy_buf *buf, uint64_t value)
{
    uint64_t wire = __builtin_bswap64(value);
    sy_buf_append(buf, &wire, sizeof(wire));
}

void sy_buf_printf(struct sy_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int bytes = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *place = bytes < 0 ? NULL : sy_buf_reserve(buf, (size_t)bytes + 1);
    if (place == NULL) {
        buf->failed = true;
        return;
    }
    va_start(args, format);
    vsnprintf(place, (size_t)bytes + 1, format, args);
    va_end(args);
    buf->bytes += (size_t)bytes;
}

void sy_buf_consume(struct sy_buf *buf, size_t bytes)
{
    if (bytes >= buf->bytes) {
        buf->bytes = 0;
        return;
    }
    memmove(buf->data, buf->data + bytes, buf->bytes - bytes);
    buf->bytes -= bytes;
}
