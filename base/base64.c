/* Base64, strict on the way in: one text for one value, so that nobody can say the same thing
 * twice. */
#include "base/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sy_base64_append(struct sy_buf *out, const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 3) {
        size_t left = bytes - i;
        uint32_t group = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                         (left > 2 ? (uint32_t)data[i + 2] : 0);
        char text[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63],
                        left > 1 ? alphabet[group >> 6 & 63] : '=',
                        left > 2 ? alphabet[group & 63] : '='};
        sy_buf_append(out, text, sizeof(text));
    }
}

int sy_base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool sy_base64_decode(struct sy_slice text, uint8_t *ret_data, uint32_t capacity,
                      uint32_t *ret_bytes)
{
    size_t digits = text.bytes;
    if (digits % 4 != 0)
        return false;
    while (digits > 0 && text.bytes - digits < 2 && text.data[digits - 1] == '=')
        digits--;
    uint32_t bytes = 0, group = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = sy_base64_digit(text.data[i]);
        if (digit < 0)
            return false;
        group = group << 6 | (uint32_t)digit;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        if (bytes == capacity)
            return false;
        ret_data[bytes++] = (uint8_t)(group >> bits);
        group &= (1U << bits) - 1;
    }
    if (group != 0)
        return false;
    *ret_bytes = bytes;
    return true;
}
