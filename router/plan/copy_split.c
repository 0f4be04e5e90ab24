/*
 * Row boundaries by the rules of PostgreSQL's COPY, then the key's field of each row. A row that
 * lies whole in the data at hand is given in place; only a row that is cut by the end of the data
 * is copied.
 */
#include "router/plan/copy_split.h"

#include <stdio.h>
#include <stdlib.h>

#include "parser/facts.h"
#include "router/plan/copy_field.h"
#include "router/plan/value.h"

enum line_end { END_UNKNOWN, END_NL, END_CR, END_CRNL };

struct sy_copy_split {
    struct sy_copy_split_options options;
    struct sy_copy_facts copy;
    struct sy_copy_style style;
    struct sy_buf carry;             /* the start of a row that is not whole yet */
    struct sy_buf field, hash_field; /* decoded key fields of the row at hand */
    uint64_t line;                   /* number of the row at hand, from 1 */
    enum line_end line_end;
    size_t scanned; /* bytes of the row at hand that were looked at */
    bool quoted, last_was_escape;
    bool header_due; /* a header line, or the binary header, comes first */
    bool done;       /* the end marker or trailer was seen */
};

enum found { FOUND_MORE, FOUND_ROW, FOUND_HEADER, FOUND_TRAILER, FOUND_MARKER, FOUND_ERROR };

enum { SHOWN_BYTES = 100 }; /* of a line or a value */

/* "COPY t, line 3", ", column c" or not, and the text (not of binary data): PostgreSQL's words. */
static void set_context(const struct sy_copy_split *split, struct sy_err *err,
                        struct sy_slice column, struct sy_slice text)
{
    char where[80] = "";
    if (column.bytes > 0)
        snprintf(where, sizeof(where), ", column %.*s", (int)column.bytes, column.data);
    bool shown = split->copy.format != SY_COPY_BINARY && text.data != NULL;
    size_t bytes = text.bytes;
    if (bytes > SHOWN_BYTES) /* not in the middle of a character */
        for (bytes = SHOWN_BYTES; bytes > 0 && (text.data[bytes] & 0xc0) == 0x80;)
            bytes--;
    sy_err_context(err, "COPY %.*s, line %llu%s%s%.*s%s%s", (int)split->options.table.bytes,
                   split->options.table.bytes == 0 ? "" : split->options.table.data,
                   (unsigned long long)split->line, where, shown ? ": \"" : "",
                   shown ? (int)bytes : 0, shown ? text.data : "",
                   shown && bytes < text.bytes ? "..." : "", shown ? "\"" : "");
}

static enum sy_status bad_data(const struct sy_copy_split *split, struct sy_err *err,
                               const char *what)
{
    enum sy_status status = sy_err_set(err, SY_E_TEXT, "%s", what);
    sy_err_state(err, "22P04");
    set_context(split, err, (struct sy_slice){0}, (struct sy_slice){0});
    return status;
}

enum sy_status sy_copy_split_new(const struct sy_copy_split_options *options,
                                 struct sy_copy_split **ret_split, struct sy_err *err)
{
    struct sy_copy_split *split = calloc(1, sizeof(*split));
    if (split == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory for COPY");
    split->options = *options;
    split->copy = *options->copy;
    split->options.copy = &split->copy;
    split->style = sy_copy_style_of(&split->copy);
    split->line = 1;
    split->header_due =
        split->copy.header || split->copy.header_match || split->copy.format == SY_COPY_BINARY;
    *ret_split = split;
    return SY_OK;
}

void sy_copy_split_free(struct sy_copy_split **split)
{
    if (split == NULL || *split == NULL)
        return;
    sy_buf_release(&(*split)->carry);
    sy_buf_release(&(*split)->field);
    sy_buf_release(&(*split)->hash_field);
    free(*split);
    *split = NULL;
}

/* ---- lines ---- */

/* A line end at `at`? 0: no; else its bytes. *ret_more: the next byte decides. */
static size_t line_end_at(struct sy_copy_split *split, struct sy_slice data, size_t at, bool last,
                          bool *ret_more, const char **ret_error)
{
    bool csv = split->style.is_csv;
    if (data.data[at] == '\n') {
        if (split->line_end == END_CR || split->line_end == END_CRNL) {
            *ret_error = csv ? "unquoted newline found in data" : "literal newline found in data";
            return 0;
        }
        split->line_end = END_NL;
        return 1;
    }
    if (split->line_end == END_CR)
        return 1;
    if (split->line_end == END_UNKNOWN || split->line_end == END_CRNL) {
        if (at + 1 == data.bytes && !last) {
            *ret_more = true;
            return 0;
        }
        if (at + 1 < data.bytes && data.data[at + 1] == '\n') {
            split->line_end = END_CRNL;
            return 2;
        }
        if (split->line_end == END_UNKNOWN) {
            split->line_end = END_CR;
            return 1;
        }
    }
    *ret_error =
        csv ? "unquoted carriage return found in data" : "literal carriage return found in data";
    return 0;
}

/* A backslash at `at`: how many bytes to step over; 0: the next bytes decide. */
static size_t backslash(const struct sy_copy_split *split, struct sy_slice data, size_t at,
                        bool last, bool *ret_marker, const char **ret_error)
{
    bool csv = split->style.is_csv;
    if (at + 1 == data.bytes)
        return last ? 1 : 0;
    if (data.data[at + 1] != '.')
        return csv ? 1 : 2;
    if (at + 2 == data.bytes && !last)
        return 0;
    bool alone = at + 2 == data.bytes || data.data[at + 2] == '\n' || data.data[at + 2] == '\r';
    if (alone && at == 0)
        *ret_marker = true;
    else if (!csv)
        *ret_error = "end-of-copy marker corrupt";
    return 1;
}

static void track_quotes(struct sy_copy_split *split, char c)
{
    char quote = split->style.quote;
    char escape = split->style.escape == quote ? '\0' : split->style.escape;
    if (split->quoted && c == escape)
        split->last_was_escape = !split->last_was_escape;
    if (c == quote && !split->last_was_escape)
        split->quoted = !split->quoted;
    if (c != escape)
        split->last_was_escape = false;
}

/*
 * How many bytes from `at` on mean nothing to find_line(). Most of a row does, and memchr() passes
 * it many times faster than a loop over bytes; the window bounds what is looked at again when every
 * second byte is special.
 */
static size_t plain_run(const struct sy_copy_split *split, struct sy_slice data, size_t at)
{
    enum { WINDOW = 256 };
    const char *from = data.data + at;
    size_t run = data.bytes - at < WINDOW ? data.bytes - at : WINDOW;
    bool csv = split->style.is_csv;
    const char specials[4] = {'\n', '\r', csv ? split->style.quote : '\\', split->style.escape};
    size_t count = csv && split->style.escape != split->style.quote ? 4 : 3;
    for (size_t i = 0; i < count; i++) {
        const char *special = memchr(from, specials[i], run);
        if (special != NULL)
            run = (size_t)(special - from);
    }
    return run;
}

static enum found find_line(struct sy_copy_split *split, struct sy_slice data, bool last,
                            size_t *ret_bytes, struct sy_err *err)
{
    bool csv = split->style.is_csv;
    size_t at = split->scanned;
    bool more = false, marker = false;
    const char *error = NULL;
    while (at < data.bytes && error == NULL && !more) {
        size_t run =
            csv && at == 0 ? 0 : plain_run(split, data, at); /* CSV: a backslash counts at 0 */
        if (run > 0) {
            at += run;
            split->last_was_escape = false;
            continue;
        }
        char c = data.data[at];
        size_t step = 1;
        if ((c == '\n' || c == '\r') && !split->quoted) {
            size_t end = line_end_at(split, data, at, last, &more, &error);
            if (end > 0) {
                *ret_bytes = at + end;
                return FOUND_ROW;
            }
            continue;
        }
        if (c == '\\' && (!csv || at == 0)) {
            step = backslash(split, data, at, last, &marker, &error);
            if (marker)
                return FOUND_MARKER;
            more = step == 0;
        }
        if (csv && !more)
            track_quotes(split, c);
        at += step;
    }
    split->scanned = at;
    if (error == NULL && last && split->quoted)
        error = "unterminated CSV quoted field";
    if (error != NULL) {
        bad_data(split, err, error);
        return FOUND_ERROR;
    }
    if (!last || data.bytes == 0)
        return FOUND_MORE;
    *ret_bytes = data.bytes;
    return FOUND_ROW;
}

/* ---- binary ---- */

static const char signature[11] = {'P',  'G',        'C',  'O',  'P', 'Y',
                                   '\n', (char)0xff, '\r', '\n', '\0'};

static uint32_t read_u32(const char *from)
{
    const unsigned char *b = (const unsigned char *)from;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static enum found find_binary_header(struct sy_copy_split *split, struct sy_slice data,
                                     size_t *ret_bytes, struct sy_err *err)
{
    size_t common = data.bytes < sizeof(signature) ? data.bytes : sizeof(signature);
    if (memcmp(data.data, signature, common) != 0) {
        bad_data(split, err, "COPY file signature not recognized");
        return FOUND_ERROR;
    }
    if (data.bytes < 19)
        return FOUND_MORE;
    uint32_t flags = read_u32(data.data + 11), extension = read_u32(data.data + 15);
    if (flags >> 16 != 0 || extension > INT32_MAX) {
        bad_data(split, err, "unrecognized critical flags or extension in COPY file header");
        return FOUND_ERROR;
    }
    if (data.bytes - 19 < extension)
        return FOUND_MORE;
    *ret_bytes = 19 + (size_t)extension;
    return FOUND_HEADER;
}

/* Walks the fields of a tuple; gives field `wanted` when it is reached. */
static enum found walk_tuple(struct sy_copy_split *split, struct sy_slice data, uint32_t wanted,
                             struct sy_copy_field *ret_field, size_t *ret_bytes, struct sy_err *err)
{
    if (data.bytes < 2)
        return FOUND_MORE;
    uint32_t count = (uint32_t)(unsigned char)data.data[0] << 8 | (unsigned char)data.data[1];
    size_t at = 2;
    if (count == 0xffff) {
        *ret_bytes = at;
        return FOUND_TRAILER;
    }
    if (count != split->options.column_count) {
        bad_data(split, err, "row field count does not match the column list");
        return FOUND_ERROR;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (data.bytes - at < 4)
            return FOUND_MORE;
        uint32_t bytes = read_u32(data.data + at);
        at += 4;
        if (bytes != UINT32_MAX && bytes > INT32_MAX) {
            bad_data(split, err, "invalid field size");
            return FOUND_ERROR;
        }
        if (i == wanted)
            *ret_field = (struct sy_copy_field){.is_null = bytes == UINT32_MAX,
                                                .text = {data.data + at, bytes}};
        if (bytes == UINT32_MAX)
            continue;
        if (data.bytes - at < bytes)
            return FOUND_MORE;
        at += bytes;
    }
    *ret_bytes = at;
    return FOUND_ROW;
}

static enum found find_binary(struct sy_copy_split *split, struct sy_slice data, bool last,
                              size_t *ret_bytes, struct sy_err *err)
{
    struct sy_copy_field ignored;
    if (data.bytes == 0)
        return FOUND_MORE;
    enum found found = split->header_due
                           ? find_binary_header(split, data, ret_bytes, err)
                           : walk_tuple(split, data, UINT32_MAX, &ignored, ret_bytes, err);
    if (found == FOUND_MORE && last) {
        bad_data(split, err, "unexpected EOF in COPY data");
        return FOUND_ERROR;
    }
    return found;
}

/* ---- from a row to its shard ---- */

/* Field `ordinal` of the row; text forms are decoded into `buf`. */
static struct sy_slice without_end(struct sy_slice row)
{
    while (row.bytes > 0 && (row.data[row.bytes - 1] == '\n' || row.data[row.bytes - 1] == '\r'))
        row.bytes--;
    return row;
}

static enum sy_status missing(const struct sy_copy_split *split, struct sy_slice row,
                              struct sy_err *err)
{
    enum sy_status status = bad_data(split, err, "missing data for the column of the sharding key");
    set_context(split, err, (struct sy_slice){0}, without_end(row));
    return status;
}

static enum sy_status get_field(struct sy_copy_split *split, struct sy_slice row, uint32_t ordinal,
                                struct sy_buf *buf, struct sy_copy_field *ret_field,
                                struct sy_err *err)
{
    *ret_field = (struct sy_copy_field){0};
    if (split->copy.format == SY_COPY_BINARY) {
        size_t bytes = 0;
        return walk_tuple(split, row, ordinal, ret_field, &bytes, err) == FOUND_ROW ? SY_OK
                                                                                    : SY_E_TEXT;
    }
    sy_buf_clear(buf);
    if (!sy_copy_field_find(&split->style, row, ordinal, buf, ret_field))
        return buf->failed ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory for COPY")
                           : missing(split, row, err);
    return SY_OK;
}

static enum sy_status unsure(const struct sy_copy_split *split, struct sy_err *err, const char *why)
{
    enum sy_status status =
        sy_err_set(err, SY_E_UNSUPPORTED, "cannot tell the shard of line %llu of COPY %.*s: %s",
                   (unsigned long long)split->line, (int)split->options.table.bytes,
                   split->options.table.bytes == 0 ? "" : split->options.table.data, why);
    sy_err_hint(
        err,
        "Write dates and times as 2026-01-31 10:00:00+00, and keys as their columns store them.");
    return status;
}

static enum sy_status read_key(struct sy_copy_split *split, const struct sy_copy_field *field,
                               enum sy_key_type type, bool is_key, struct sy_key *ret_key,
                               struct sy_err *err)
{
    if (field->is_null)
        return sy_err_set(
            err, SY_E_NULL_KEY,
            "null value in column \"%.*s\" of relation \"%.*s\" violates not-null constraint",
            (int)split->options.key.bytes,
            split->options.key.bytes == 0 ? "" : split->options.key.data,
            (int)split->options.table.bytes,
            split->options.table.bytes == 0 ? "" : split->options.table.data);
    struct sy_err why;
    enum sy_status status = SY_OK;
    sy_err_init(&why);
    if (split->copy.format == SY_COPY_BINARY) {
        status = sy_key_from_binary(type, 0, field->text, ret_key, &why);
        for (size_t i = 0;
             status == SY_OK && sy_key_is_text(type) &&
             split->options.key_context.server_encoding_differs && i < field->text.bytes;
             i++)
            if ((unsigned char)field->text.data[i] >= 0x80)
                return unsure(split, err, "a text key outside ASCII in another encoding");
    } else {
        status = sy_key_from_text(type, field->text, &split->options.key_context, ret_key, &why);
    }
    if (status == SY_E_TEXT) {
        if (err != NULL)
            *err = why;
        set_context(split, err, is_key ? split->options.key : (struct sy_slice){0}, field->text);
        return status;
    }
    struct sy_value_target target = {.type = type, .stored = true, .time_precision = -1};
    if (is_key) {
        target.may_trim = split->options.key_may_trim;
        target.time_precision = split->options.key_rounds ? split->options.key_time_precision : -1;
    }
    if (status == SY_OK && !sy_value_is_stored_as_read(&target, ret_key))
        return unsure(split, err, "the column's length or precision would change the key");
    return status == SY_OK ? SY_OK : unsure(split, err, why.text);
}

static enum sy_status shard_of_row(struct sy_copy_split *split, struct sy_slice row,
                                   uint32_t *ret_shard, struct sy_err *err)
{
    const struct sy_copy_split_options *o = &split->options;
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(o->map, o->keyspace);
    struct sy_copy_field field, hash_field;
    struct sy_key key, hash_key;
    bool hashed = o->hash_key_ordinal >= 0;
    enum sy_status status = get_field(split, row, o->key_ordinal, &split->field, &field, err);
    if (status == SY_OK)
        status = read_key(split, &field, space->type, true, &key, err);
    if (status == SY_OK && hashed)
        status = get_field(split, row, (uint32_t)o->hash_key_ordinal, &split->hash_field,
                           &hash_field, err);
    if (status == SY_OK && hashed)
        status = read_key(split, &hash_field, space->hash_type, false, &hash_key, err);
    if (status != SY_OK) {
        if (err != NULL && err->context[0] == 0)
            set_context(split, err, (struct sy_slice){0}, without_end(row));
        return status;
    }
    struct sy_shard_set set =
        sy_shardmap_shards_of(o->map, o->keyspace, &key, hashed ? &hash_key : NULL);
    *ret_shard = sy_shard_set_first(&set);
    if (*ret_shard != UINT32_MAX)
        return SY_OK;
    status = sy_err_set(err, SY_E_NO_PARTITION, "no partition of relation \"%.*s\" found for row",
                        (int)o->table.bytes, o->table.bytes == 0 ? "" : o->table.data);
    if (split->copy.format == SY_COPY_BINARY || hashed)
        sy_err_detail(err, "No shard of the keyspace is declared for this key.");
    else
        sy_err_detail(err, "Partition key of the failing row contains (%.*s) = (%.*s).",
                      (int)o->key.bytes, o->key.bytes == 0 ? "" : o->key.data,
                      (int)(field.text.bytes > SHOWN_BYTES ? SHOWN_BYTES : field.text.bytes),
                      field.text.bytes == 0 ? "" : field.text.data);
    set_context(split, err, (struct sy_slice){0}, without_end(row));
    return status;
}

/* ---- feeding ---- */

static enum sy_status give(struct sy_copy_split *split, enum found found, struct sy_slice row,
                           sy_copy_row_fn give_row, void *ctx, struct sy_err *err)
{
    uint32_t shard = UINT32_MAX;
    split->scanned = 0;
    split->quoted = split->last_was_escape = false;
    if (found == FOUND_ROW && !split->header_due) {
        enum sy_status status = shard_of_row(split, row, &shard, err);
        if (status != SY_OK)
            return status;
    }
    if (found != FOUND_TRAILER)
        split->header_due = false;
    split->line++;
    return give_row(ctx, shard, row.data, row.bytes, err);
}

/* Gives every whole row of `data`. *ret_used: bytes of it that are over and done with. */
static enum sy_status split_rows(struct sy_copy_split *split, struct sy_slice data, bool last,
                                 size_t *ret_used, sy_copy_row_fn row, void *ctx,
                                 struct sy_err *err)
{
    size_t used = 0;
    enum sy_status status = SY_OK;
    while (status == SY_OK && !split->done && used < data.bytes) {
        struct sy_slice rest = {data.data + used, data.bytes - used};
        size_t bytes = 0;
        enum found found = split->copy.format == SY_COPY_BINARY
                               ? find_binary(split, rest, last, &bytes, err)
                               : find_line(split, rest, last, &bytes, err);
        if (found == FOUND_ERROR)
            return SY_E_TEXT;
        if (found == FOUND_MORE)
            break;
        if (found == FOUND_MARKER) {
            split->done = true;
            used = data.bytes;
            break;
        }
        split->done = found == FOUND_TRAILER;
        status = give(split, found, (struct sy_slice){rest.data, bytes}, row, ctx, err);
        used += bytes;
    }
    if (status == SY_OK && split->done && split->copy.format == SY_COPY_BINARY && used < data.bytes)
        return bad_data(split, err, "received copy data after EOF marker");
    *ret_used = used;
    return status;
}

static enum sy_status too_long(const struct sy_copy_split *split, struct sy_err *err)
{
    enum sy_status status = sy_err_set(err, SY_E_LIMIT, "a line of COPY is longer than %d bytes",
                                       SY_LIMIT_MESSAGE_BYTES);
    set_context(split, err, (struct sy_slice){0}, (struct sy_slice){0});
    return status;
}

enum sy_status sy_copy_split_feed(struct sy_copy_split *split, const char *data, size_t bytes,
                                  sy_copy_row_fn row, void *ctx, struct sy_err *err)
{
    size_t used = 0;
    if (bytes == 0)
        return SY_OK;
    if (split->done)
        return split->copy.format == SY_COPY_BINARY
                   ? bad_data(split, err, "received copy data after EOF marker")
                   : SY_OK;
    bool carried = split->carry.bytes > 0;
    struct sy_slice all = {data, bytes};
    if (carried) {
        sy_buf_append(&split->carry, data, bytes);
        if (split->carry.failed)
            return too_long(split, err);
        all = (struct sy_slice){split->carry.data, split->carry.bytes};
    }
    enum sy_status status = split_rows(split, all, false, &used, row, ctx, err);
    if (status != SY_OK)
        return status;
    if (carried)
        sy_buf_consume(&split->carry, used);
    else if (used < bytes)
        sy_buf_append(&split->carry, data + used, bytes - used);
    return split->carry.failed ? too_long(split, err) : SY_OK;
}

enum sy_status sy_copy_split_end(struct sy_copy_split *split, sy_copy_row_fn row, void *ctx,
                                 struct sy_err *err)
{
    size_t used = 0;
    if (split->done)
        return SY_OK;
    struct sy_slice rest = {split->carry.data, split->carry.bytes};
    enum sy_status status = split_rows(split, rest, true, &used, row, ctx, err);
    sy_buf_clear(&split->carry);
    split->done = true;
    return status;
}
