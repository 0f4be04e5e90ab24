/* COPY FROM STDIN: cutting the stream into rows and fields, and inserting them. */
#include <string.h>

#include "router/engine/sqlite/conflict.h"
#include "router/engine/sqlite/copy.h"
#include "router/engine/sqlite/session_env.h"

static bool bad(struct sy_sqlite_session *s, const char *text)
{
    sy_err_set(&s->err, SY_E_TEXT, "%s", text);
    sy_err_state(&s->err, "22P04");
    return false;
}

/* ---- a row into the table ---- */

static bool insert_row(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy)
{
    int format = copy->format == SY_COPY_BINARY;
    int rc = SQLITE_OK;
    for (uint32_t i = 0; rc == SQLITE_OK && i < copy->column_count; i++) {
        const struct sy_sqcolumn *column = &copy->relation->columns[copy->columns[i]];
        struct sy_sqvalue value = {.kind = SY_SQ_NULL};
        if (copy->fields[i].data != NULL &&
            sy_type_decode(column->type, column->typmod, format, copy->fields[i], &s->sq.types,
                           &copy->row, &value, &s->err) != SY_OK)
            return false;
        rc = sy_sqvalue_bind(copy->stmt, (int)i + 1, &value);
    }
    s->sq.err.status = SY_OK;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(copy->stmt);
    bool ok = rc == SQLITE_DONE || rc == SQLITE_ROW;
    if (!ok)
        sy_sqlite_error(s, s->shard->writer, rc);
    sqlite3_reset(copy->stmt);
    if (!ok)
        sy_sqlite_foreign_key_detail(s, s->shard->writer, copy->stmt);
    sy_arena_reset(&copy->row);
    copy->rows += ok;
    return ok;
}

static bool check_header(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, uint32_t count)
{
    copy->header_seen = true;
    if (!copy->header_match)
        return true;
    bool same = count == copy->column_count;
    for (uint32_t i = 0; same && i < count; i++)
        same = sy_slice_eq(copy->fields[i],
                           sy_slice_of(copy->relation->columns[copy->columns[i]].name));
    return same || bad(s, "column names in the header line do not match");
}

static bool row_done(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, uint32_t count,
                     bool extra)
{
    if (copy->header && !copy->header_seen)
        return check_header(s, copy, count);
    if (extra)
        return bad(s, "extra data after last expected column");
    if (count < copy->column_count) {
        sy_err_set(&s->err, SY_E_TEXT, "missing data for column \"%s\"",
                   copy->relation->columns[copy->columns[count]].name);
        sy_err_state(&s->err, "22P04");
        return false;
    }
    return insert_row(s, copy);
}

/* ---- text ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The character that the escape at text[*at] stands for; *at moves behind it. */
static char unescape(const char *text, size_t bytes, size_t *at)
{
    static const char letters[] = "bfnrtv", values[] = "\b\f\n\r\t\v";
    char c = text[(*at)++];
    const char *found = c == '\0' ? NULL : strchr(letters, c);
    if (found != NULL)
        return values[found - letters];
    if (c >= '0' && c <= '7') {
        int value = c - '0';
        for (int i = 0; i < 2 && *at < bytes && text[*at] >= '0' && text[*at] <= '7'; i++)
            value = value * 8 + (text[(*at)++] - '0');
        return (char)value;
    }
    if (c == 'x' && *at < bytes && hex_digit(text[*at]) >= 0) {
        int value = 0;
        for (int i = 0; i < 2 && *at < bytes && hex_digit(text[*at]) >= 0; i++)
            value = value * 16 + hex_digit(text[(*at)++]);
        return (char)value;
    }
    return c;
}

/* The field that starts at *at, unescaped. */
static bool text_field(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, const char *line,
                       size_t bytes, size_t *at, struct sy_slice *ret)
{
    size_t from = *at, used = 0;
    while (*at < bytes && line[*at] != copy->delimiter)
        *at += line[*at] == '\\' && *at + 1 < bytes ? 2 : 1;
    if (*at > bytes)
        *at = bytes;
    size_t raw = *at - from;
    if (raw == copy->null_text.bytes &&
        (raw == 0 || memcmp(line + from, copy->null_text.data, raw) == 0)) {
        *ret = (struct sy_slice){0};
        return true;
    }
    char *value = sy_arena_alloc(&copy->row, raw + 1);
    if (value == NULL) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    for (size_t i = from; i < *at;) {
        char c = line[i++];
        value[used++] = c == '\\' && i < *at ? unescape(line, *at, &i) : c;
    }
    *ret = (struct sy_slice){value, used};
    return true;
}

static bool text_line(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, const char *line,
                      size_t bytes)
{
    if (bytes == 2 && memcmp(line, "\\.", 2) == 0) {
        copy->end_seen = true;
        return true;
    }
    uint32_t count = 0;
    bool extra = false;
    for (size_t at = 0;; at++) {
        struct sy_slice field = {0};
        if (!text_field(s, copy, line, bytes, &at, &field))
            return false;
        extra = count == copy->column_count;
        if (!extra)
            copy->fields[count++] = field;
        if (at >= bytes || extra)
            break;
    }
    /* A table without columns has empty lines. */
    return row_done(s, copy, copy->column_count == 0 ? 0 : count, extra && copy->column_count > 0);
}

/* ---- CSV ---- */

static bool csv_field(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, const char *line,
                      size_t bytes, size_t *at, struct sy_slice *ret, bool *ret_quoted)
{
    char *value = sy_arena_alloc(&copy->row, bytes - *at + 1);
    if (value == NULL) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    size_t used = 0;
    bool inside = false;
    *ret_quoted = false;
    for (; *at < bytes; (*at)++) {
        char c = line[*at];
        if (!inside && c == copy->delimiter)
            break;
        if (!inside && c == copy->quote) {
            inside = *ret_quoted = true;
        } else if (inside && c == copy->escape && *at + 1 < bytes &&
                   (line[*at + 1] == copy->quote || line[*at + 1] == copy->escape)) {
            value[used++] = line[++(*at)];
        } else if (inside && c == copy->quote) {
            inside = false;
        } else {
            value[used++] = c;
        }
    }
    if (inside)
        return bad(s, "unterminated CSV quoted field");
    *ret = (struct sy_slice){value, used};
    return true;
}

static void csv_null(const struct sy_sqlite_copy *copy, uint32_t column, bool quoted,
                     struct sy_slice *field)
{
    bool matches = sy_slice_eq(*field, copy->null_text);
    if (matches && !copy->force_not_null[column] && (!quoted || copy->force_null[column]))
        *field = (struct sy_slice){0};
}

static bool csv_line(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, const char *line,
                     size_t bytes)
{
    if (bytes == 2 && memcmp(line, "\\.", 2) == 0) {
        copy->end_seen = true;
        return true;
    }
    uint32_t count = 0;
    bool extra = false, is_header = copy->header && !copy->header_seen;
    for (size_t at = 0;; at++) {
        struct sy_slice field = {0};
        bool quoted = false;
        if (!csv_field(s, copy, line, bytes, &at, &field, &quoted))
            return false;
        extra = count == copy->column_count;
        if (!extra) {
            if (!is_header)
                csv_null(copy, count, quoted, &field);
            copy->fields[count++] = field;
        }
        if (at >= bytes || extra)
            break;
    }
    return row_done(s, copy, count, extra);
}

/* ---- lines ---- */

/* Bytes of the first line without its end; false: its end is not there yet. */
static bool find_line(const struct sy_sqlite_copy *copy, const char *data, size_t bytes,
                      size_t *ret_bytes)
{
    bool inside = false;
    for (size_t i = 0; i < bytes; i++) {
        char c = data[i];
        if (copy->format == SY_COPY_CSV) {
            if (inside && c == copy->escape && copy->escape != copy->quote)
                i++;
            else if (c == copy->quote)
                inside = !inside;
        } else if (c == '\\') {
            i++;
            continue;
        }
        if (c == '\n' && !inside) {
            *ret_bytes = i;
            return true;
        }
    }
    return false;
}

static bool take_line(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, const char *line,
                      size_t bytes)
{
    if (bytes > 0 && line[bytes - 1] == '\r')
        bytes--;
    copy->line++;
    return copy->format == SY_COPY_CSV ? csv_line(s, copy, line, bytes)
                                       : text_line(s, copy, line, bytes);
}

static bool take_lines(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, bool last)
{
    size_t at = 0, bytes = 0;
    bool ok = true;
    while (ok && !copy->end_seen &&
           find_line(copy, copy->pending.data + at, copy->pending.bytes - at, &bytes)) {
        ok = take_line(s, copy, copy->pending.data + at, bytes);
        at += bytes + 1;
    }
    if (ok && last && !copy->end_seen && at < copy->pending.bytes)
        ok = take_line(s, copy, copy->pending.data + at, copy->pending.bytes - at);
    sy_buf_consume(&copy->pending, at > copy->pending.bytes ? copy->pending.bytes : at);
    return ok;
}

/* ---- binary ---- */

static bool take_signature(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, bool *ret_more)
{
    enum { HEADER_BYTES = 19 };
    *ret_more = true;
    if (copy->pending.bytes < HEADER_BYTES)
        return true;
    if (memcmp(copy->pending.data, "PGCOPY\n\377\r\n\0", 11) != 0)
        return bad(s, "COPY file signature not recognized");
    struct sy_reader reader = sy_reader_of(copy->pending.data + 11, 8);
    uint32_t flags = sy_read_u32(&reader), extension = sy_read_u32(&reader);
    if ((flags & 0xffff0000u) != 0)
        return bad(s, "unrecognized critical flags in COPY file header");
    if (copy->pending.bytes < HEADER_BYTES + (size_t)extension)
        return true;
    sy_buf_consume(&copy->pending, HEADER_BYTES + (size_t)extension);
    copy->signature_seen = true;
    *ret_more = false;
    return true;
}

/* One tuple; *ret_bytes 0: it is not there as a whole. */
static bool take_tuple(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, const char *data,
                       size_t bytes, size_t *ret_bytes)
{
    *ret_bytes = 0;
    struct sy_reader reader = sy_reader_of(data, bytes);
    uint16_t count = sy_read_u16(&reader);
    if (reader.failed)
        return true;
    if (count == UINT16_MAX) {
        copy->end_seen = true;
        *ret_bytes = 2;
        return true;
    }
    copy->line++;
    if (count != copy->column_count) {
        sy_err_set(&s->err, SY_E_TEXT, "row field count is %u, expected %u", count,
                   copy->column_count);
        sy_err_state(&s->err, "22P04");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = sy_read_u32(&reader);
        copy->fields[i] = (struct sy_slice){0};
        if (!reader.failed && length != UINT32_MAX)
            copy->fields[i] = sy_read_bytes(&reader, length);
        if (reader.failed) {
            copy->line--;
            return true;
        }
    }
    *ret_bytes = (size_t)(reader.at - data);
    return insert_row(s, copy);
}

static bool take_tuples(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, bool last)
{
    bool more = false, ok = true;
    if (!copy->signature_seen && !take_signature(s, copy, &more))
        return false;
    size_t at = 0, bytes = 1;
    while (ok && !more && !copy->end_seen && bytes > 0) {
        ok = take_tuple(s, copy, copy->pending.data + at, copy->pending.bytes - at, &bytes);
        at += bytes;
    }
    sy_buf_consume(&copy->pending, at);
    if (ok && last && !copy->end_seen)
        return bad(s, "unexpected EOF in COPY data");
    return ok;
}

bool sy_sqlite_copy_rows(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, bool last)
{
    sy_sqlite_run_mark(s, s->shard->writer);
    bool writes = s->run_writes;
    s->run_writes = true;
    bool ok =
        copy->format == SY_COPY_BINARY ? take_tuples(s, copy, last) : take_lines(s, copy, last);
    s->run_writes = writes;
    sy_sqlite_run_unmark(s, s->shard->writer);
    return ok;
}
