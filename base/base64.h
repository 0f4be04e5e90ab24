/* Base64 (RFC 4648) as SCRAM writes it: one line, padded, nothing else allowed. Pure. */
#ifndef SY_BASE_BASE64_H
#define SY_BASE_BASE64_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/slice.h"

void sy_base64_append(struct sy_buf *out, const uint8_t *data, size_t bytes);
/* What a character stands for, 0 to 63; -1: no digit. */
int sy_base64_digit(char c);
/* False: not base64, stray bits behind the last byte, or more than `capacity` bytes. */
bool sy_base64_decode(struct sy_slice text, uint8_t *ret_data, uint32_t capacity,
                      uint32_t *ret_bytes);

#endif
