/*
 * The value of a literal: quotes removed, doubled quotes and escapes decoded, continued parts
 * joined. Pure.
 *
 * Source: PostgreSQL manual, section 4.1.2 (constants).
 */
#include <strings.h>

#include "parser/parser.h"
#include "parser/scan.h"

/* Reads the literal's bytes; out has room for the whole literal. */
struct decoder {
    struct sy_slice text;
    size_t at; /* behind the opening quote */
    char *out;
    size_t bytes;
    bool conforming;
};

static enum sy_status bad_escape(struct sy_err *err, const char *what)
{
    enum sy_status status = sy_err_set(err, SY_E_SYNTAX, "%s", what);
    sy_err_state(err, "22025");
    return status;
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* Exactly `count` hexadecimal digits at the decoder's place; false when they are not there. */
static bool hex_digits(struct decoder *d, unsigned count, uint32_t *ret_value)
{
    uint32_t value = 0;
    if (d->text.bytes - d->at < count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        int digit = hex_of(d->text.data[d->at + i]);
        if (digit < 0)
            return false;
        value = value << 4 | (uint32_t)digit;
    }
    d->at += count;
    *ret_value = value;
    return true;
}

static void put_utf8(struct decoder *d, uint32_t c)
{
    if (c < 0x80) {
        d->out[d->bytes++] = (char)c;
    } else if (c < 0x800) {
        d->out[d->bytes++] = (char)(0xc0 | c >> 6);
        d->out[d->bytes++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        d->out[d->bytes++] = (char)(0xe0 | c >> 12);
        d->out[d->bytes++] = (char)(0x80 | (c >> 6 & 0x3f));
        d->out[d->bytes++] = (char)(0x80 | (c & 0x3f));
    } else {
        d->out[d->bytes++] = (char)(0xf0 | c >> 18);
        d->out[d->bytes++] = (char)(0x80 | (c >> 12 & 0x3f));
        d->out[d->bytes++] = (char)(0x80 | (c >> 6 & 0x3f));
        d->out[d->bytes++] = (char)(0x80 | (c & 0x3f));
    }
}

/* A code point that was written as an escape; `low` gives the next escape when this one is a high
 * surrogate. */
static enum sy_status put_code_point(struct decoder *d, uint32_t c,
                                     bool (*low)(struct decoder *d, uint32_t *ret_value),
                                     struct sy_err *err)
{
    if (c >= 0xd800 && c <= 0xdbff) {
        uint32_t second = 0;
        if (!low(d, &second) || second < 0xdc00 || second > 0xdfff)
            return sy_err_set(err, SY_E_SYNTAX, "invalid Unicode surrogate pair");
        c = 0x10000 + ((c & 0x3ff) << 10) + (second & 0x3ff);
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return sy_err_set(err, SY_E_SYNTAX, "invalid Unicode surrogate pair");
    }
    if (c == 0 || c > 0x10ffff)
        return bad_escape(err, "invalid Unicode escape value");
    put_utf8(d, c);
    return SY_OK;
}

/* ---- E'' ---- */

static bool escaped_unicode(struct decoder *d, uint32_t *ret_value)
{
    if (d->text.bytes - d->at < 2 || d->text.data[d->at] != '\\')
        return false;
    char form = d->text.data[d->at + 1];
    if (form != 'u' && form != 'U')
        return false;
    d->at += 2;
    return hex_digits(d, form == 'u' ? 4 : 8, ret_value);
}

static void octal_or_hex(struct decoder *d, unsigned base_bits, unsigned digits_max)
{
    unsigned value = 0;
    for (unsigned i = 0; i < digits_max && d->at < d->text.bytes; i++) {
        int digit = hex_of(d->text.data[d->at]);
        if (digit < 0 || digit >= 1 << base_bits)
            break;
        value = value << base_bits | (unsigned)digit;
        d->at++;
    }
    d->out[d->bytes++] = (char)(value & 0xff);
}

/* At a backslash. */
static enum sy_status escape(struct decoder *d, struct sy_err *err)
{
    static const char letters[] = "bfnrt", values[] = "\b\f\n\r\t";
    uint32_t code = 0;
    if (d->at + 1 >= d->text.bytes)
        return bad_escape(err, "invalid escape at the end of a string");
    char c = d->text.data[d->at + 1];
    if (c == 'u' || c == 'U') {
        if (!escaped_unicode(d, &code))
            return bad_escape(err, "invalid Unicode escape");
        return put_code_point(d, code, escaped_unicode, err);
    }
    d->at += 2;
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter != NULL) {
        d->out[d->bytes++] = values[letter - letters];
    } else if (c >= '0' && c <= '7') {
        d->at--;
        octal_or_hex(d, 3, 3);
    } else if (c == 'x' && d->at < d->text.bytes && hex_of(d->text.data[d->at]) >= 0) {
        octal_or_hex(d, 4, 2);
    } else {
        d->out[d->bytes++] = c;
    }
    return SY_OK;
}

/* ---- U&'' with the default escape character ---- */

static bool unicode_escape(struct decoder *d, uint32_t *ret_value)
{
    if (d->text.bytes - d->at < 2 || d->text.data[d->at] != '\\')
        return false;
    bool wide = d->text.data[d->at + 1] == '+';
    d->at += wide ? 2 : 1;
    return hex_digits(d, wide ? 6 : 4, ret_value);
}

static enum sy_status unicode(struct decoder *d, struct sy_err *err)
{
    uint32_t code = 0;
    if (d->at + 1 < d->text.bytes && d->text.data[d->at + 1] == '\\') {
        d->out[d->bytes++] = '\\';
        d->at += 2;
        return SY_OK;
    }
    if (!unicode_escape(d, &code))
        return bad_escape(err, "invalid Unicode escape");
    return put_code_point(d, code, unicode_escape, err);
}

/* ---- strings ---- */

/* Behind a quote that closes a part: goes on to the next part, or to the end. */
static void next_part(struct decoder *d)
{
    d->at = sy_scan_skip_blank(d->text, (uint32_t)d->at);
    if (d->at < d->text.bytes)
        d->at++;
}

typedef enum sy_status escape_fn(struct decoder *d, struct sy_err *err);

static enum sy_status decode_string(struct decoder *d, escape_fn *escapes, struct sy_err *err)
{
    while (d->at < d->text.bytes) {
        char c = d->text.data[d->at];
        if (c == '\\' && escapes != NULL) {
            enum sy_status status = escapes(d, err);
            if (status != SY_OK)
                return status;
        } else if (c != '\'') {
            d->out[d->bytes++] = c;
            d->at++;
        } else if (d->at + 1 < d->text.bytes && d->text.data[d->at + 1] == '\'') {
            d->out[d->bytes++] = c;
            d->at += 2;
        } else {
            d->at++;
            next_part(d);
        }
    }
    return SY_OK;
}

static enum sy_status quoted(struct sy_slice text, size_t prefix, escape_fn *escapes,
                             struct sy_arena *arena, struct sy_slice *ret_value, struct sy_err *err)
{
    size_t body = text.bytes - prefix;
    /* 'abc' without anything to decode: the bytes between the quotes. */
    bool plain = body >= 2 && memchr(text.data + prefix + 1, '\'', body - 2) == NULL &&
                 (escapes == NULL || memchr(text.data, '\\', text.bytes) == NULL);
    if (plain && text.data[text.bytes - 1] == '\'') {
        *ret_value = (struct sy_slice){text.data + prefix + 1, body - 2};
        return SY_OK;
    }
    struct decoder d = {.text = text, .at = prefix + 1};
    d.out = sy_arena_alloc(arena, text.bytes + 1);
    if (d.out == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory for a string");
    enum sy_status status = decode_string(&d, escapes, err);
    if (status == SY_OK)
        *ret_value = (struct sy_slice){d.out, d.bytes};
    return status;
}

enum sy_status sy_literal_decode(struct sy_slice text, const struct sy_literal *literal,
                                 bool standard_conforming_strings, struct sy_arena *arena,
                                 struct sy_slice *ret_value, struct sy_err *err)
{
    struct sy_slice part = {text.data + literal->from, literal->to - literal->from};
    char first = (char)(part.data[0] | 0x20);
    switch (literal->kind) {
    case SY_LITERAL_INTEGER:
    case SY_LITERAL_NUMBER:
        *ret_value = part;
        return SY_OK;
    case SY_LITERAL_STRING:
        return quoted(part, 0, standard_conforming_strings ? NULL : escape, arena, ret_value, err);
    case SY_LITERAL_ESCAPE_STRING:
        if (first == 'u')
            return quoted(part, 2, unicode, arena, ret_value, err);
        return quoted(part, first == 'e' ? 1 : 0, escape, arena, ret_value, err);
    case SY_LITERAL_BIT:
        return quoted(part, 1, NULL, arena, ret_value, err);
    case SY_LITERAL_DOLLAR_STRING: {
        const char *tag_end = part.bytes < 2 ? NULL : memchr(part.data + 1, '$', part.bytes - 1);
        size_t tag = tag_end == NULL ? part.bytes : (size_t)(tag_end - part.data) + 1;
        /* One without an end gets here when the rest of its statement was seen before: the scanner
         * leaves it to the parser to refuse, and a template that is known is not parsed again. */
        if (part.bytes < 2 * tag || memcmp(part.data, part.data + part.bytes - tag, tag) != 0)
            return sy_err_set(err, SY_E_SYNTAX, "unterminated dollar-quoted string");
        *ret_value = (struct sy_slice){part.data + tag, part.bytes - 2 * tag};
        return SY_OK;
    }
    }
    return sy_err_set(err, SY_E_INTERNAL, "unknown kind of literal");
}
