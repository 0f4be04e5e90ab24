/*
 * A growable byte buffer with a ceiling. Grows with the bytes put into it, never with a length that
 * a peer declared. After a failed append the buffer is unchanged and `failed` stays set, so that a
 * writer may append many pieces and check once.
 */
#ifndef SY_BASE_BUF_H
#define SY_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

/* Embeddable; all zero is a valid empty buffer with the default ceiling (SY_LIMIT_MESSAGE_BYTES).
 */
struct sy_buf {
    char *data;
    size_t bytes;     /* in use */
    size_t capacity;  /* allocated */
    size_t bytes_max; /* ceiling, 0: the default */
    bool failed;      /* an append did not fit or memory was exhausted */
};

void sy_buf_release(struct sy_buf *buf);
/* Empties; keeps the memory; clears `failed`. */
void sy_buf_clear(struct sy_buf *buf);
/* Makes room for `bytes` more and returns the place, without counting them as used. NULL on
 * failure. */
char *sy_buf_reserve(struct sy_buf *buf, size_t bytes);
void sy_buf_append(struct sy_buf *buf, const void *data, size_t bytes);
void sy_buf_append_slice(struct sy_buf *buf, struct sy_slice slice);
void sy_buf_append_str(struct sy_buf *buf, const char *text); /* without the zero byte */
void sy_buf_append_u8(struct sy_buf *buf, uint8_t value);
void sy_buf_append_u16(struct sy_buf *buf, uint16_t value); /* network byte order */
void sy_buf_append_u32(struct sy_buf *buf, uint32_t value); /* network byte order */
void sy_buf_append_u64(struct sy_buf *buf, uint64_t value); /* network byte order */
void sy_buf_printf(struct sy_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops the first `bytes` bytes (moves the rest down). */
void sy_buf_consume(struct sy_buf *buf, size_t bytes);

#endif
