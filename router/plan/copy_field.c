/* Fields of COPY lines: delimiters, escapes and quotes, and which of them are NULL. Pure. */
#include "router/plan/copy_field.h"

struct sy_copy_style sy_copy_style_of(const struct sy_copy_facts *copy)
{
    struct sy_copy_style style = {.is_csv = copy->format == SY_COPY_CSV};
    style.delimiter = copy->delimiter != '\0' ? copy->delimiter : style.is_csv ? ',' : '\t';
    style.quote = copy->quote != '\0' ? copy->quote : '"';
    style.escape = copy->escape != '\0' ? copy->escape : style.quote;
    style.null_text = copy->has_null_text ? copy->null_text
                      : style.is_csv      ? SY_SLICE("")
                                          : SY_SLICE("\\N");
    return style;
}

static struct sy_slice without_line_end(struct sy_slice line)
{
    if (line.bytes > 0 && line.data[line.bytes - 1] == '\n') {
        line.bytes--;
        if (line.bytes > 0 && line.data[line.bytes - 1] == '\r')
            line.bytes--;
    } else if (line.bytes > 0 && line.data[line.bytes - 1] == '\r') {
        line.bytes--;
    }
    return line;
}

/* The end of the field that starts at `at`. */
static size_t text_field_end(const struct sy_copy_style *style, struct sy_slice line, size_t at)
{
    for (; at < line.bytes && line.data[at] != style->delimiter; at++)
        if (line.data[at] == '\\' && at + 1 < line.bytes)
            at++;
    return at;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* What follows a backslash at raw[*at]; moves *at behind it. */
static char unescape(struct sy_slice raw, size_t *at)
{
    static const char names[] = "bfnrtv", values[] = "\b\f\n\r\t\v";
    char c = raw.data[(*at)++];
    const char *name = c == '\0' ? NULL : strchr(names, c);
    if (name != NULL)
        return values[name - names];
    if (c >= '0' && c <= '7') {
        int value = c - '0';
        for (int i = 0; i < 2 && *at < raw.bytes && raw.data[*at] >= '0' && raw.data[*at] <= '7';
             i++)
            value = value * 8 + (raw.data[(*at)++] - '0');
        return (char)value;
    }
    if (c == 'x' && *at < raw.bytes && hex_value(raw.data[*at]) >= 0) {
        int value = hex_value(raw.data[(*at)++]);
        if (*at < raw.bytes && hex_value(raw.data[*at]) >= 0)
            value = value * 16 + hex_value(raw.data[(*at)++]);
        return (char)value;
    }
    return c;
}

static void decode_text(struct sy_slice raw, struct sy_buf *buf)
{
    for (size_t at = 0; at < raw.bytes;) {
        char c = raw.data[at++];
        if (c == '\\' && at < raw.bytes)
            c = unescape(raw, &at);
        sy_buf_append_u8(buf, (uint8_t)c);
    }
}

static bool find_text(const struct sy_copy_style *style, struct sy_slice line, uint32_t ordinal,
                      struct sy_buf *buf, struct sy_copy_field *ret_field)
{
    size_t at = 0;
    for (uint32_t i = 0; i < ordinal; i++) {
        at = text_field_end(style, line, at);
        if (at == line.bytes)
            return false;
        at++;
    }
    struct sy_slice raw = {line.data + at, text_field_end(style, line, at) - at};
    ret_field->is_null = sy_slice_eq(raw, style->null_text);
    if (raw.bytes > 0 && memchr(raw.data, '\\', raw.bytes) != NULL) {
        decode_text(raw, buf);
        raw = (struct sy_slice){buf->data, buf->bytes};
    }
    ret_field->text = raw;
    return !buf->failed;
}

/* One CSV field from *at to its delimiter, decoded into buf (NULL: skipped). */
static void csv_field(const struct sy_copy_style *style, struct sy_slice line, size_t *at,
                      struct sy_buf *buf, bool *ret_quoted)
{
    bool quoted = false;
    *ret_quoted = false;
    for (; *at < line.bytes; (*at)++) {
        char c = line.data[*at];
        if (!quoted && c == style->delimiter)
            return;
        if (!quoted && c == style->quote) {
            quoted = *ret_quoted = true;
            continue;
        }
        bool escapes = quoted && c == style->escape && *at + 1 < line.bytes &&
                       (line.data[*at + 1] == style->escape || line.data[*at + 1] == style->quote);
        if (escapes) {
            c = line.data[++*at];
        } else if (quoted && c == style->quote) {
            quoted = false;
            continue;
        }
        if (buf != NULL)
            sy_buf_append_u8(buf, (uint8_t)c);
    }
}

static bool find_csv(const struct sy_copy_style *style, struct sy_slice line, uint32_t ordinal,
                     struct sy_buf *buf, struct sy_copy_field *ret_field)
{
    size_t at = 0;
    bool quoted = false;
    for (uint32_t i = 0; i < ordinal; i++) {
        csv_field(style, line, &at, NULL, &quoted);
        if (at == line.bytes)
            return false;
        at++;
    }
    size_t start = at;
    csv_field(style, line, &at, buf, &quoted);
    struct sy_slice raw = {line.data + start, at - start};
    ret_field->is_null = !quoted && sy_slice_eq(raw, style->null_text);
    ret_field->text = (struct sy_slice){buf->data == NULL ? "" : buf->data, buf->bytes};
    return !buf->failed;
}

bool sy_copy_field_find(const struct sy_copy_style *style, struct sy_slice line, uint32_t ordinal,
                        struct sy_buf *buf, struct sy_copy_field *ret_field)
{
    struct sy_slice content = without_line_end(line);
    return style->is_csv ? find_csv(style, content, ordinal, buf, ret_field)
                         : find_text(style, content, ordinal, buf, ret_field);
}
