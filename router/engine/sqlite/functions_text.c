/* Strings: characters are Unicode code points, upper and lower as in C.UTF-8 (simple mappings). */
#include <openssl/evp.h>
#include <stdlib.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include "base/base64.h"
#include "base/limits.h"
#include "router/engine/sqlite/functions_internal.h"

/* ---- characters ---- */

static size_t next_char(struct sy_slice text, size_t at, UChar32 *ret_char)
{
    int32_t i = (int32_t)at;
    UChar32 c = 0;
    U8_NEXT((const uint8_t *)text.data, i, (int32_t)text.bytes, c);
    *ret_char = c;
    return (size_t)i;
}

static void put_char(struct sy_buf *out, UChar32 c)
{
    uint8_t bytes[4];
    int32_t used = 0;
    UBool failed = false;
    U8_APPEND(bytes, used, 4, (uint32_t)c, failed);
    if (!failed)
        sy_buf_append(out, bytes, (size_t)used);
}

static size_t char_count(struct sy_slice text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.bytes; i++)
        count += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return count;
}

/* Bytes of the first `count` characters. */
static size_t prefix_bytes(struct sy_slice text, size_t count)
{
    size_t i = 0;
    while (i < text.bytes && count > 0) {
        i++;
        while (i < text.bytes && ((unsigned char)text.data[i] & 0xc0) == 0x80)
            i++;
        count--;
    }
    return i;
}

static struct sy_slice after(struct sy_slice text, size_t bytes)
{
    return (struct sy_slice){text.data + bytes, text.bytes - bytes};
}

static void return_slice(struct sq_call *call, struct sy_slice text)
{
    sq_return_text(call, text.data, text.bytes);
}

static void map(struct sq_call *call, bool upper)
{
    struct sy_slice text = sq_arg_text(call, 0);
    struct sy_buf out = {0};
    for (size_t i = 0; i < text.bytes;) {
        UChar32 c = 0;
        i = next_char(text, i, &c);
        put_char(&out, upper ? u_toupper(c) : u_tolower(c));
    }
    sq_return_buf(call, &out);
}

static void f_upper(struct sq_call *call)
{
    map(call, true);
}

static void f_lower(struct sq_call *call)
{
    map(call, false);
}

static void f_initcap(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    struct sy_buf out = {0};
    bool inside = false;
    for (size_t i = 0; i < text.bytes;) {
        UChar32 c = 0;
        i = next_char(text, i, &c);
        put_char(&out, inside ? u_tolower(c) : u_toupper(c));
        inside = u_isalnum(c);
    }
    sq_return_buf(call, &out);
}

static void f_bpcharlen(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    while (text.bytes > 0 && text.data[text.bytes - 1] == ' ')
        text.bytes--;
    sq_return_int(call, (int64_t)char_count(text));
}

static void f_octet_length(struct sq_call *call)
{
    sq_return_int(call, (int64_t)sq_arg_text(call, 0).bytes);
}

static void f_bit_length(struct sq_call *call)
{
    sq_return_int(call, (int64_t)sq_arg_text(call, 0).bytes * 8);
}

/* ---- parts ---- */

/* Start (from 1, may be below) and length to a half-open range of positions from 0. */
static bool range(struct sq_call *call, int64_t *ret_from, int64_t *ret_to)
{
    int64_t start = sq_arg_int(call, 1), end = INT64_MAX;
    if (call->argc > 2) {
        int64_t length = sq_arg_int(call, 2);
        if (length < 0) {
            sq_fail(call, "22011", "negative substring length not allowed");
            return false;
        }
        end = start + length;
    }
    *ret_from = start < 1 ? 0 : start - 1;
    *ret_to = end < 1 ? 0 : end == INT64_MAX ? end : end - 1;
    return true;
}

static void f_substr(struct sq_call *call)
{
    int64_t from = 0, to = 0;
    struct sy_slice text = sq_arg_text(call, 0);
    if (!range(call, &from, &to))
        return;
    text = after(text, prefix_bytes(text, (size_t)from));
    text.bytes = to <= from ? 0 : prefix_bytes(text, (size_t)(to - from));
    return_slice(call, text);
}

static void f_bytea_substr(struct sq_call *call)
{
    int64_t from = 0, to = 0;
    struct sy_slice data = sq_arg_text(call, 0);
    if (!range(call, &from, &to))
        return;
    int64_t bytes = (int64_t)data.bytes;
    from = from > bytes ? bytes : from;
    to = to > bytes ? bytes : to < from ? from : to;
    sq_return_blob(call, data.data + from, (size_t)(to - from));
}

static const char *find(struct sy_slice text, struct sy_slice what)
{
    return what.bytes == 0 ? text.data : memmem(text.data, text.bytes, what.data, what.bytes);
}

static void f_strpos(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    const char *at = find(text, sq_arg_text(call, 1));
    sq_return_int(call, at == NULL ? 0
                                   : (int64_t)char_count(
                                         (struct sy_slice){text.data, (size_t)(at - text.data)}) +
                                         1);
}

static void f_replace(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0), from = sq_arg_text(call, 1),
                    to = sq_arg_text(call, 2);
    struct sy_buf out = {0};
    while (from.bytes > 0) {
        const char *at = find(text, from);
        if (at == NULL)
            break;
        sy_buf_append(&out, text.data, (size_t)(at - text.data));
        sy_buf_append_slice(&out, to);
        text = after(text, (size_t)(at - text.data) + from.bytes);
    }
    sy_buf_append_slice(&out, text);
    sq_return_buf(call, &out);
}

static void f_left(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    int64_t n = sq_arg_int(call, 1);
    if (n < 0)
        n += (int64_t)char_count(text);
    text.bytes = n <= 0 ? 0 : prefix_bytes(text, (size_t)n);
    return_slice(call, text);
}

static void f_right(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    int64_t n = sq_arg_int(call, 1), count = (int64_t)char_count(text);
    int64_t skip = n < 0 ? -n : count - n;
    return_slice(call, skip <= 0 ? text : after(text, prefix_bytes(text, (size_t)skip)));
}

static void f_reverse(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    struct sy_buf out = {0};
    for (size_t end = text.bytes; end > 0;) {
        size_t start = end - 1;
        while (start > 0 && ((unsigned char)text.data[start] & 0xc0) == 0x80)
            start--;
        sy_buf_append(&out, text.data + start, end - start);
        end = start;
    }
    sq_return_buf(call, &out);
}

static void f_repeat(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    int64_t n = sq_arg_int(call, 1);
    struct sy_buf out = {0};
    if (n > 0 && text.bytes > 0 && (uint64_t)n > SY_LIMIT_MESSAGE_BYTES / text.bytes) {
        sq_fail(call, "54000", "requested length too large");
        return;
    }
    for (; n > 0 && text.bytes > 0; n--)
        sy_buf_append_slice(&out, text);
    sq_return_buf(call, &out);
}

static void pad(struct sq_call *call, bool left)
{
    struct sy_slice text = sq_arg_text(call, 0);
    struct sy_slice fill = call->argc > 2 ? sq_arg_text(call, 2) : (struct sy_slice){" ", 1};
    int64_t wanted = sq_arg_int(call, 1);
    size_t have = char_count(text), fill_count = char_count(fill);
    struct sy_buf out = {0};
    if (wanted > SY_LIMIT_MESSAGE_BYTES / 4) {
        sq_fail(call, "54000", "requested length too large");
        return;
    }
    size_t target = wanted < 0 ? 0 : (size_t)wanted;
    size_t missing = target > have && fill_count > 0 ? target - have : 0;
    struct sy_slice kept = {text.data, have > target ? prefix_bytes(text, target) : text.bytes};
    if (!left)
        sy_buf_append_slice(&out, kept);
    for (; missing >= fill_count && fill_count > 0; missing -= fill_count)
        sy_buf_append_slice(&out, fill);
    sy_buf_append(&out, fill.data, prefix_bytes(fill, missing));
    if (left)
        sy_buf_append_slice(&out, kept);
    sq_return_buf(call, &out);
}

static void f_lpad(struct sq_call *call)
{
    pad(call, true);
}

static void f_rpad(struct sq_call *call)
{
    pad(call, false);
}

static bool has_char(struct sy_slice set, struct sy_slice c)
{
    for (size_t i = 0; i < set.bytes;) {
        size_t bytes = prefix_bytes(after(set, i), 1);
        if (bytes == c.bytes && memcmp(set.data + i, c.data, bytes) == 0)
            return true;
        i += bytes;
    }
    return false;
}

static void strip(struct sq_call *call, bool left, bool right)
{
    struct sy_slice text = sq_arg_text(call, 0);
    struct sy_slice set = call->argc > 1 ? sq_arg_text(call, 1) : (struct sy_slice){" ", 1};
    while (left && text.bytes > 0) {
        struct sy_slice c = {text.data, prefix_bytes(text, 1)};
        if (!has_char(set, c))
            break;
        text = after(text, c.bytes);
    }
    while (right && text.bytes > 0) {
        size_t start = text.bytes - 1;
        while (start > 0 && ((unsigned char)text.data[start] & 0xc0) == 0x80)
            start--;
        if (!has_char(set, after(text, start)))
            break;
        text.bytes = start;
    }
    return_slice(call, text);
}

static void f_btrim(struct sq_call *call)
{
    strip(call, true, true);
}

static void f_ltrim(struct sq_call *call)
{
    strip(call, true, false);
}

static void f_rtrim(struct sq_call *call)
{
    strip(call, false, true);
}

static void f_split_part(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0), by = sq_arg_text(call, 1);
    int64_t n = sq_arg_int(call, 2), fields = 1;
    if (n == 0) {
        sq_fail(call, "22023", "field position must not be zero");
        return;
    }
    if (by.bytes == 0) {
        return_slice(call, n == 1 || n == -1 ? text : (struct sy_slice){"", 0});
        return;
    }
    struct sy_slice rest = text;
    for (const char *at = find(rest, by); n < 0 && at != NULL; at = find(rest, by)) {
        fields++;
        rest = after(rest, (size_t)(at - rest.data) + by.bytes);
    }
    if (n < 0)
        n = fields + n + 1;
    for (; n > 1; n--) {
        const char *at = find(text, by);
        if (at == NULL) {
            sq_return_text(call, "", 0);
            return;
        }
        text = after(text, (size_t)(at - text.data) + by.bytes);
    }
    const char *at = n < 1 ? text.data : find(text, by);
    if (at != NULL)
        text.bytes = (size_t)(at - text.data);
    return_slice(call, text);
}

static void f_overlay(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0), by = sq_arg_text(call, 1);
    int64_t from = sq_arg_int(call, 2),
            length = call->argc > 3 ? sq_arg_int(call, 3) : (int64_t)char_count(by);
    struct sy_buf out = {0};
    if (from < 1) {
        sq_fail(call, "22011", "negative substring length not allowed");
        return;
    }
    sy_buf_append(&out, text.data, prefix_bytes(text, (size_t)(from - 1)));
    sy_buf_append_slice(&out, by);
    int64_t skip = from - 1 + length;
    sy_buf_append_slice(&out, after(text, skip <= 0 ? 0 : prefix_bytes(text, (size_t)skip)));
    sq_return_buf(call, &out);
}

static void f_starts_with(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0), prefix = sq_arg_text(call, 1);
    sq_return_bool(call,
                   prefix.bytes <= text.bytes && memcmp(text.data, prefix.data, prefix.bytes) == 0);
}

/* ---- codes ---- */

static void f_ascii(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    UChar32 c = 0;
    if (text.bytes > 0)
        (void)next_char(text, 0, &c);
    sq_return_int(call, c);
}

static void f_chr(struct sq_call *call)
{
    int64_t code = sq_arg_int(call, 0);
    struct sy_buf out = {0};
    if (code == 0) {
        sq_fail(call, "54000", "null character not permitted");
        return;
    }
    if (code < 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        sq_fail(call, "54000",
                code < 0 ? "character number must be positive"
                         : "requested character not valid for encoding: %lld",
                (long long)code);
        return;
    }
    put_char(&out, (UChar32)code);
    sq_return_buf(call, &out);
}

static void f_translate(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0), from = sq_arg_text(call, 1),
                    to = sq_arg_text(call, 2);
    struct sy_buf out = {0};
    for (size_t i = 0; i < text.bytes;) {
        UChar32 c = 0, f = 0, t = 0;
        i = next_char(text, i, &c);
        size_t fi = 0, ti = 0;
        bool found = false, has = false;
        while (fi < from.bytes && !found) {
            fi = next_char(from, fi, &f);
            has = ti < to.bytes;
            if (has)
                ti = next_char(to, ti, &t);
            found = f == c;
        }
        if (!found)
            put_char(&out, c);
        else if (has)
            put_char(&out, t);
    }
    sq_return_buf(call, &out);
}

static void to_hex(struct sq_call *call, uint64_t value)
{
    struct sy_buf out = {0};
    sy_buf_printf(&out, "%llx", (unsigned long long)value);
    sq_return_buf(call, &out);
}

static void f_to_hex32(struct sq_call *call)
{
    to_hex(call, (uint32_t)sq_arg_int(call, 0));
}

static void f_to_hex64(struct sq_call *call)
{
    to_hex(call, (uint64_t)sq_arg_int(call, 0));
}

static void digest(struct sq_call *call, const EVP_MD *method, bool text)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int used = 0;
    struct sy_slice data = sq_arg_text(call, 0);
    if (EVP_Digest(data.data, data.bytes, bytes, &used, method, NULL) != 1) {
        sq_fail(call, "XX000", "could not compute a hash");
        return;
    }
    if (!text) {
        sq_return_blob(call, bytes, used);
        return;
    }
    struct sy_buf out = {0};
    for (unsigned int i = 0; i < used; i++)
        sy_buf_printf(&out, "%02x", bytes[i]);
    sq_return_buf(call, &out);
}

static void f_md5(struct sq_call *call)
{
    digest(call, EVP_md5(), true);
}

static void f_sha224(struct sq_call *call)
{
    digest(call, EVP_sha224(), false);
}

static void f_sha256(struct sq_call *call)
{
    digest(call, EVP_sha256(), false);
}

static void f_sha384(struct sq_call *call)
{
    digest(call, EVP_sha384(), false);
}

static void f_sha512(struct sq_call *call)
{
    digest(call, EVP_sha512(), false);
}

static bool format_is(struct sy_slice format, const char *name)
{
    return format.bytes == strlen(name) && strncasecmp(format.data, name, format.bytes) == 0;
}

static void f_encode(struct sq_call *call)
{
    struct sy_slice data = sq_arg_text(call, 0), format = sq_arg_text(call, 1);
    struct sy_buf out = {0};
    if (format_is(format, "hex")) {
        for (size_t i = 0; i < data.bytes; i++)
            sy_buf_printf(&out, "%02x", (unsigned char)data.data[i]);
    } else if (format_is(format, "base64")) {
        for (size_t i = 0; i < data.bytes; i += 57) { /* lines of 76 characters */
            unsigned char line[80];
            size_t bytes = data.bytes - i < 57 ? data.bytes - i : 57;
            int used = EVP_EncodeBlock(line, (const unsigned char *)data.data + i, (int)bytes);
            if (i > 0)
                sy_buf_append_str(&out, "\n");
            sy_buf_append(&out, line, (size_t)used);
        }
    } else if (format_is(format, "escape")) {
        for (size_t i = 0; i < data.bytes; i++) {
            unsigned char c = (unsigned char)data.data[i];
            if (c == 0 || c > 0x7f)
                sy_buf_printf(&out, "\\%03o", c);
            else if (c == '\\')
                sy_buf_append_str(&out, "\\\\");
            else
                sy_buf_append(&out, &data.data[i], 1);
        }
    } else {
        sq_fail(call, "22023", "unrecognized encoding: \"%.*s\"", (int)format.bytes, format.data);
        return;
    }
    sq_return_buf(call, &out);
}

static void decode_base64(struct sq_call *call, struct sy_slice text)
{
    struct sy_buf out = {0};
    uint32_t bits = 0;
    int count = 0, padding = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            continue;
        int digit = c == '=' ? 0 : sy_base64_digit(c);
        if (digit < 0 || (padding > 0 && c != '=')) {
            sq_fail(call, "22023", "invalid symbol \"%c\" found while decoding base64 sequence", c);
            sy_buf_release(&out);
            return;
        }
        padding += c == '=';
        bits = bits << 6 | (uint32_t)digit;
        if (++count == 4) {
            for (int k = 0; k < 3 - padding; k++)
                sy_buf_append_u8(&out, (uint8_t)(bits >> (16 - 8 * k)));
            bits = 0;
            count = 0;
        }
    }
    if (count != 0)
        sq_fail(call, "22023", "invalid base64 end sequence");
    else
        sq_return_blob(call, out.data, out.bytes);
    sy_buf_release(&out);
}

static void f_decode(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0), format = sq_arg_text(call, 1);
    struct sy_sqvalue value = {0};
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (format_is(format, "base64")) {
        decode_base64(call, text);
        return;
    }
    if (!format_is(format, "hex") && !format_is(format, "escape")) {
        sq_fail(call, "22023", "unrecognized encoding: \"%.*s\"", (int)format.bytes, format.data);
        return;
    }
    struct sy_buf input = {0};
    if (format_is(format, "hex"))
        sy_buf_append_str(&input, "\\x");
    sy_buf_append_slice(&input, text);
    if (sy_type_decode(SY_T_BYTEA, -1, 0, (struct sy_slice){input.data, input.bytes}, NULL,
                       &call->arena, &value, &err) == SY_OK)
        sq_return_value(call, &value);
    else
        sq_fail_err(call, &err);
    sy_buf_release(&input);
}

static void f_byteacat(struct sq_call *call)
{
    struct sy_buf out = {0};
    sy_buf_append_slice(&out, sq_arg_text(call, 0));
    sy_buf_append_slice(&out, sq_arg_text(call, 1));
    sq_return_blob(call, out.data, out.bytes);
    sy_buf_release(&out);
}

static void f_get_byte(struct sq_call *call)
{
    struct sy_slice data = sq_arg_text(call, 0);
    int64_t n = sq_arg_int(call, 1);
    if (n < 0 || n >= (int64_t)data.bytes)
        sq_fail(call, "2202E", "index %lld out of valid range, 0..%lld", (long long)n,
                (long long)data.bytes - 1);
    else
        sq_return_int(call, (unsigned char)data.data[n]);
}

static void convert_check(struct sq_call *call, bool to_bytes)
{
    struct sy_slice text = sq_arg_text(call, 0), name = sq_arg_text(call, 1);
    if (!format_is(name, "UTF8") && !format_is(name, "UTF-8"))
        sq_fail(call, "0A000", "only encoding UTF8 is supported by the sqlite engine");
    else if (to_bytes)
        sq_return_blob(call, text.data, text.bytes);
    else if (memchr(text.data, 0, text.bytes) != NULL)
        sq_fail(call, "22021", "invalid byte sequence for encoding \"UTF8\": 0x00");
    else
        return_slice(call, text);
}

static void f_convert_to(struct sq_call *call)
{
    convert_check(call, true);
}

static void f_convert_from(struct sq_call *call)
{
    convert_check(call, false);
}

static void f_name(struct sq_call *call)
{
    struct sy_slice text = sq_arg_text(call, 0);
    if (text.bytes > SY_LIMIT_NAME_BYTES) {
        text.bytes = SY_LIMIT_NAME_BYTES;
        while (text.bytes > 0 && ((unsigned char)text.data[text.bytes] & 0xc0) == 0x80)
            text.bytes--;
    }
    return_slice(call, text);
}

/* ---- LIKE ---- */

static bool fold_equal(struct sy_slice a, struct sy_slice b, bool fold)
{
    if (!fold)
        return a.bytes == b.bytes && memcmp(a.data, b.data, a.bytes) == 0;
    UChar32 x = 0, y = 0;
    (void)next_char(a, 0, &x);
    (void)next_char(b, 0, &y);
    return u_tolower(x) == u_tolower(y);
}

/* 1 match, 0 no match, -1 pattern ends in its escape. Backtracks to the last % only: linear in
 * practice. */
static int like(struct sy_slice text, struct sy_slice pattern, bool fold)
{
    size_t t = 0, p = 0, star_t = 0, star_p = SIZE_MAX;
    while (t < text.bytes || p < pattern.bytes) {
        bool matched = false;
        if (p < pattern.bytes && pattern.data[p] == '%') {
            star_p = ++p;
            star_t = t;
            continue;
        }
        if (p < pattern.bytes && t < text.bytes) {
            size_t tc = prefix_bytes(after(text, t), 1);
            bool escaped = pattern.data[p] == '\\';
            if (escaped && ++p >= pattern.bytes)
                return -1;
            size_t pc = prefix_bytes(after(pattern, p), 1);
            matched = (!escaped && pattern.data[p] == '_') ||
                      fold_equal((struct sy_slice){text.data + t, tc},
                                 (struct sy_slice){pattern.data + p, pc}, fold);
            if (matched) {
                t += tc;
                p += pc;
            }
        }
        if (matched)
            continue;
        if (star_p == SIZE_MAX || star_t >= text.bytes)
            return 0;
        star_t += prefix_bytes(after(text, star_t), 1);
        t = star_t;
        p = star_p;
    }
    return 1;
}

static void run_like(struct sq_call *call, bool fold)
{
    int result = like(sq_arg_text(call, 0), sq_arg_text(call, 1), fold);
    if (result < 0)
        sq_fail(call, "22025", "LIKE pattern must not end with escape character");
    else
        sq_return_bool(call, result == 1);
}

static void f_like(struct sq_call *call)
{
    run_like(call, false);
}

static void f_ilike(struct sq_call *call)
{
    run_like(call, true);
}

/* Rewrites a pattern with another escape character to one with a backslash. */
static void f_like_escape(struct sq_call *call)
{
    struct sy_slice pattern = sq_arg_text(call, 0), escape = sq_arg_text(call, 1);
    struct sy_buf out = {0};
    if (char_count(escape) > 1) {
        sq_fail(call, "22025", "invalid escape string");
        return;
    }
    for (size_t i = 0; i < pattern.bytes;) {
        size_t bytes = prefix_bytes(after(pattern, i), 1);
        bool is_escape = escape.bytes > 0 && bytes == escape.bytes &&
                         memcmp(pattern.data + i, escape.data, bytes) == 0;
        if (is_escape && i + bytes < pattern.bytes) {
            i += bytes;
            bytes = prefix_bytes(after(pattern, i), 1);
            sy_buf_append_str(&out, "\\");
        } else if (is_escape || pattern.data[i] == '\\') {
            sy_buf_append_str(&out, is_escape ? "" : "\\");
            if (is_escape) {
                sy_buf_append_str(&out, "\\");
                break;
            }
        }
        sy_buf_append(&out, pattern.data + i, bytes);
        i += bytes;
    }
    sq_return_buf(call, &out);
}

static const struct sq_function functions[] = {
    {"sy_upper", 1, 0, f_upper},
    {"sy_lower", 1, 0, f_lower},
    {"sy_initcap", 1, 0, f_initcap},
    {"sy_bpcharlen", 1, 0, f_bpcharlen},
    {"sy_octet_length", 1, 0, f_octet_length},
    {"sy_bit_length", 1, 0, f_bit_length},
    {"sy_substr", -1, 0, f_substr},
    {"sy_bytea_substr", -1, 0, f_bytea_substr},
    {"sy_strpos", 2, 0, f_strpos},
    {"sy_replace", 3, 0, f_replace},
    {"sy_left", 2, 0, f_left},
    {"sy_right", 2, 0, f_right},
    {"sy_reverse", 1, 0, f_reverse},
    {"sy_repeat", 2, 0, f_repeat},
    {"sy_lpad", -1, 0, f_lpad},
    {"sy_rpad", -1, 0, f_rpad},
    {"sy_btrim", -1, 0, f_btrim},
    {"sy_ltrim", -1, 0, f_ltrim},
    {"sy_rtrim", -1, 0, f_rtrim},
    {"sy_split_part", 3, 0, f_split_part},
    {"sy_overlay", -1, 0, f_overlay},
    {"sy_starts_with", 2, 0, f_starts_with},
    {"sy_ascii", 1, 0, f_ascii},
    {"sy_chr", 1, 0, f_chr},
    {"sy_translate", 3, 0, f_translate},
    {"sy_to_hex32", 1, 0, f_to_hex32},
    {"sy_to_hex64", 1, 0, f_to_hex64},
    {"sy_md5", 1, 0, f_md5},
    {"sy_sha224", 1, 0, f_sha224},
    {"sy_sha256", 1, 0, f_sha256},
    {"sy_sha384", 1, 0, f_sha384},
    {"sy_sha512", 1, 0, f_sha512},
    {"sy_encode", 2, 0, f_encode},
    {"sy_decode", 2, 0, f_decode},
    {"sy_byteacat", 2, 0, f_byteacat},
    {"sy_get_byte", 2, 0, f_get_byte},
    {"sy_convert_to", 2, 0, f_convert_to},
    {"sy_convert_from", 2, 0, f_convert_from},
    {"sy_name", 1, 0, f_name},
    {"sy_like", 2, 0, f_like},
    {"sy_ilike", 2, 0, f_ilike},
    {"sy_like_escape", 2, 0, f_like_escape},
};

const struct sq_function_table sq_functions_text = {functions,
                                                    sizeof(functions) / sizeof(functions[0])};
