/*
 * libconfig 1.5 reads an integer without the suffix L into 32 bits and wraps it silently
 * (3000000000 becomes -1294967296, 4294967298 becomes 2). So the text is given the suffix where a
 * number needs it, before it is parsed. Lines and columns stay as they are, but for the letter.
 * Pure.
 */
#include <ctype.h>

#include "config/internal.h"

enum { DIGITS_OF_INT32 = 9, HEX_DIGITS_OF_INT32 = 7, DIGITS_OF_INT64 = 18 };

/* The end of a string or comment that starts at `at`, else `at`. */
static const char *skip_opaque(const char *at)
{
    if (at[0] == '"') {
        for (at++; *at != '\0' && *at != '"'; at++) {
            if (at[0] == '\\' && at[1] != '\0')
                at++;
        }
        return *at == '"' ? at + 1 : at;
    }
    if (at[0] == '#' || (at[0] == '/' && at[1] == '/'))
        return at + strcspn(at, "\n");
    if (at[0] == '/' && at[1] == '*') {
        const char *end = strstr(at + 2, "*/");
        return end != NULL ? end + 2 : at + strlen(at);
    }
    return at;
}

/* Copies a word or number; adds the suffix to a wide integer. */
static const char *copy_word(const char *at, struct sy_buf *out, bool *ret_too_wide)
{
    const char *end = at;
    while (isalnum((unsigned char)*end) || *end == '_' || *end == '.' || *end == '-')
        end++;
    sy_buf_append(out, at, (size_t)(end - at));
    bool hex = at[0] == '0' && (at[1] == 'x' || at[1] == 'X');
    const char *digits = hex ? at + 2 : at;
    size_t count = 0;
    while (digits + count < end &&
           (hex ? isxdigit((unsigned char)digits[count]) : isdigit((unsigned char)digits[count])))
        count++;
    bool whole = digits + count == end;
    if (!isdigit((unsigned char)*at) || !whole)
        return end;
    if (count > DIGITS_OF_INT64)
        *ret_too_wide = true;
    if (count > (hex ? (size_t)HEX_DIGITS_OF_INT32 : (size_t)DIGITS_OF_INT32))
        sy_buf_append_u8(out, 'L');
    return end;
}

void sy_config_widen_integers(const char *text, struct sy_buf *out, bool *ret_too_wide,
                              bool *ret_includes)
{
    *ret_too_wide = *ret_includes = false;
    for (const char *at = text; *at != '\0';) {
        const char *end = skip_opaque(at);
        if (end != at) {
            sy_buf_append(out, at, (size_t)(end - at));
            at = end;
        } else if (isalnum((unsigned char)*at) || *at == '_') {
            at = copy_word(at, out, ret_too_wide);
        } else {
            if (strncmp(at, "@include", 8) == 0)
                *ret_includes = true;
            sy_buf_append_u8(out, (uint8_t)*at++);
        }
    }
    sy_buf_append_u8(out, 0);
}
