/* The merge itself: a loser tree over the heads of the streams, groups, LIMIT, and what is put out.
 */
#include "router/merge/merge.h"

#include <stdlib.h>

#include "router/merge/internal.h"
#include "router/wire/message.h"

enum { OID_FLOAT8 = 701 };

/* ---- life ---- */

static void *copy_of(struct sy_merge *merge, const void *data, size_t count, size_t size,
                     bool *fine)
{
    void *copy = sy_arena_calloc(&merge->arena, count + 1, size);
    if (copy == NULL)
        *fine = false;
    else if (count > 0)
        memcpy(copy, data, count * size);
    return copy;
}

static bool copy_spec(struct sy_merge *merge, const struct sy_merge_spec *spec)
{
    bool fine = true;
    merge->spec = *spec;
    merge->spec.keys = copy_of(merge, spec->keys, spec->key_count, sizeof(*spec->keys), &fine);
    merge->spec.folds = copy_of(merge, spec->folds, spec->fold_count, sizeof(*spec->folds), &fine);
    merge->spec.order = copy_of(merge, spec->order, spec->order_count, sizeof(*spec->order), &fine);
    merge->spec.having =
        copy_of(merge, spec->having, spec->having_count, sizeof(*spec->having), &fine);
    merge->spec.turns = copy_of(merge, spec->turns, spec->turn_count, sizeof(*spec->turns), &fine);
    merge->keys = copy_of(merge, NULL, 0, (spec->key_count + 1) * sizeof(*merge->keys), &fine);
    merge->order = copy_of(merge, NULL, 0, (spec->order_count + 1) * sizeof(*merge->order), &fine);
    merge->folds = copy_of(merge, NULL, 0, (spec->fold_count + 1) * sizeof(*merge->folds), &fine);
    merge->having =
        copy_of(merge, NULL, 0, (spec->having_count + 1) * sizeof(*merge->having), &fine);
    merge->streams =
        copy_of(merge, NULL, 0, (merge->stream_count + 1) * sizeof(*merge->streams), &fine);
    merge->tree = copy_of(merge, NULL, 0, (merge->stream_count + 1) * sizeof(*merge->tree), &fine);
    if (!fine)
        return false;
    for (uint32_t i = 0; i < spec->fold_count; i++)
        sy_fold_init(&merge->folds[i], &spec->folds[i]);
    for (uint32_t i = 0; i < spec->having_count; i++) {
        sy_decimal_init(&merge->having[i]);
        fine = fine && sy_decimal_read_text(&merge->having[i], sy_slice_of(spec->having[i].number));
    }
    return fine;
}

enum sy_status sy_merge_new(const struct sy_merge_spec *spec,
                            const struct sy_merge_options *options, uint32_t stream_count,
                            struct sy_merge **ret_merge, struct sy_err *err)
{
    struct sy_merge *merge = calloc(1, sizeof(*merge));
    if (merge == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    merge->stream_count = stream_count;
    merge->options = *options;
    merge->pause_at = UINT64_MAX;
    if (!copy_spec(merge, spec)) {
        sy_arena_release(&merge->arena);
        free(merge);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    }
    *ret_merge = merge;
    return SY_OK;
}

void sy_merge_free(struct sy_merge **merge)
{
    struct sy_merge *m = *merge;
    *merge = NULL;
    if (m == NULL)
        return;
    uint32_t keys =
        m->spec.key_count > m->spec.order_count ? m->spec.key_count : m->spec.order_count;
    for (uint32_t i = 0; i < m->stream_count; i++) {
        sy_buf_release(&m->streams[i].queue);
        merge_row_release(&m->streams[i].head, keys);
    }
    for (uint32_t i = 0; i < m->spec.fold_count; i++)
        sy_fold_release(&m->folds[i]);
    for (uint32_t i = 0; i < m->spec.having_count; i++)
        sy_decimal_release(&m->having[i]);
    merge_row_release(&m->group, keys);
    sy_buf_release(&m->finished);
    sort_free(&m->sort);
    sy_arena_release(&m->arena);
    free(m);
}

/* ---- columns ---- */

static uint32_t position(const struct sy_merge *merge, int32_t column)
{
    return column >= 0 ? (uint32_t)column : merge->visible_count + (uint32_t)(-1 - column);
}

static enum sy_status no_merge(const struct sy_merge *merge, uint32_t column, const char *why,
                               struct sy_err *err)
{
    enum sy_status status = sy_err_set(
        err, SY_E_UNSUPPORTED, "rows of several shards cannot be put in order by column %u, %s",
        column + 1, why);
    sy_err_detail(err, "Its type has the OID %u.", merge->types[column]);
    sy_err_hint(
        err, "Order by numbers, dates, uuid or text COLLATE \"C\", or restrict the sharding key.");
    return status;
}

static enum sy_status resolve_keys(struct sy_merge *merge, const struct sy_merge_key *from,
                                   uint32_t count, struct merge_key *keys, struct sy_err *err)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = position(merge, from[i].column);
        if (column >= merge->column_count) {
            enum sy_status status = sy_err_set(
                err, SY_E_UNSUPPORTED, "ORDER BY position %u is not in select list", column + 1);
            sy_err_state(err, "42P10");
            return status;
        }
        enum sy_datum_kind kind = sy_datum_kind_of(merge->types[column]);
        keys[i] = (struct merge_key){from[i], column, kind, merge->formats[column]};
        if (kind == SY_DATUM_UNKNOWN)
            return no_merge(merge, column, "whose type the router does not order", err);
        if (sy_datum_is_text(kind) && !from[i].by_bytes)
            return no_merge(merge, column,
                            "which is text that is not known to be in the collation C", err);
        if ((sy_datum_is_text(kind) || kind == SY_DATUM_NAME) && merge->options.bytes_differ)
            return no_merge(merge, column, "since the client's encoding is not the server's", err);
        bool styled = kind == SY_DATUM_FLOAT4 || kind == SY_DATUM_FLOAT8 || kind == SY_DATUM_DATE ||
                      kind == SY_DATUM_TIMESTAMP || kind == SY_DATUM_BYTEA;
        if (styled && merge->formats[column] == 0 && merge->options.styles_differ)
            return no_merge(merge, column, "whose text form the session's settings change", err);
    }
    return SY_OK;
}

static enum sy_status resolve_folds(struct sy_merge *merge, struct sy_err *err)
{
    for (uint32_t i = 0; i < merge->column_count; i++)
        merge->fold_of[i] = UINT32_MAX;
    for (uint32_t i = 0; i < merge->spec.fold_count; i++) {
        struct sy_fold *fold = &merge->folds[i];
        uint32_t column = position(merge, fold->what.column);
        if (column >= merge->column_count)
            return sy_err_set(err, SY_E_INTERNAL, "a column to be folded is missing");
        merge->fold_of[column] = i;
        struct sy_fold_type type = {.kind = sy_datum_kind_of(merge->types[column]),
                                    .format = merge->formats[column]};
        if (fold->what.kind == SY_FOLD_AVG) {
            uint32_t count = position(merge, fold->what.count_column);
            type.count_kind = sy_datum_kind_of(merge->types[count]);
            type.count_format = merge->formats[count];
        }
        bool styled = type.kind != SY_DATUM_INT8 && type.kind != SY_DATUM_NUMERIC;
        if (styled && type.format == 0 && merge->options.styles_differ)
            return no_merge(merge, column, "whose text form the session's settings change", err);
        if (sy_datum_is_text(type.kind) && merge->options.bytes_differ)
            return no_merge(merge, column, "since the client's encoding is not the server's", err);
        enum sy_status status = sy_fold_set_type(fold, &type, merge->types[column], err);
        if (status != SY_OK)
            return status;
    }
    for (uint32_t i = 0; i < merge->spec.having_count; i++) {
        uint32_t fold = merge->fold_of[position(merge, merge->spec.having[i].column)];
        enum sy_datum_kind kind =
            fold == UINT32_MAX ? SY_DATUM_UNKNOWN : merge->folds[fold].type.kind;
        if (kind != SY_DATUM_INT2 && kind != SY_DATUM_INT4 && kind != SY_DATUM_INT8 &&
            kind != SY_DATUM_NUMERIC)
            return no_merge(merge, position(merge, merge->spec.having[i].column),
                            "which HAVING compares and is neither integer nor numeric", err);
    }
    return SY_OK;
}

static enum sy_status first_columns(struct sy_merge *merge, struct sy_slice body,
                                    struct sy_err *err)
{
    uint16_t count;
    struct sy_reader reader;
    enum sy_status status = sy_row_description_read(body.data, body.bytes, &count, &reader, err);
    if (status != SY_OK)
        return status;
    if (count < merge->spec.hidden_count)
        return sy_err_set(err, SY_E_PROTOCOL, "a shard described too few columns");
    merge->column_count = count;
    merge->visible_count = count - merge->spec.hidden_count;
    char *copy = sy_arena_strndup(&merge->arena, body.data, body.bytes);
    merge->types = sy_arena_calloc(&merge->arena, count + 1u, sizeof(*merge->types));
    merge->formats = sy_arena_calloc(&merge->arena, count + 1u, sizeof(*merge->formats));
    merge->fold_of = sy_arena_calloc(&merge->arena, count + 1u, sizeof(*merge->fold_of));
    if (copy == NULL || merge->types == NULL || merge->formats == NULL || merge->fold_of == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    merge->columns = (struct sy_slice){copy, body.bytes};
    for (uint16_t i = 0; i < count; i++) {
        struct sy_column_desc column = sy_read_column_desc(&reader);
        merge->types[i] = column.type_oid;
        merge->formats[i] = column.format;
    }
    const struct sy_merge_spec *spec = &merge->spec;
    status = resolve_keys(merge, spec->keys, spec->key_count, merge->keys, err);
    if (status == SY_OK)
        status = resolve_folds(merge, err);
    if (status == SY_OK)
        status = resolve_keys(merge, spec->order, spec->order_count, merge->order, err);
    /* An average is compared as what it becomes. */
    for (uint32_t i = 0; status == SY_OK && i < spec->order_count; i++) {
        uint32_t fold = merge->fold_of[merge->order[i].column];
        if (fold != UINT32_MAX)
            merge->order[i].kind = sy_datum_kind_of(
                sy_fold_result_type(&merge->folds[fold], merge->types[merge->order[i].column]));
    }
    if (status == SY_OK)
        status = merge_row_make(merge, &merge->group, err);
    for (uint32_t i = 0; status == SY_OK && i < merge->stream_count; i++)
        status = merge_row_make(merge, &merge->streams[i].head, err);
    if (status == SY_OK && spec->order_count > 0)
        status = sort_new(merge, &merge->sort, err);
    return status;
}

/* Names and types must be the first one's; table OIDs may differ. */
static enum sy_status same_columns(const struct sy_merge *merge, struct sy_slice body,
                                   struct sy_err *err)
{
    uint16_t count, first_count;
    struct sy_reader reader, first;
    enum sy_status status = sy_row_description_read(body.data, body.bytes, &count, &reader, err);
    if (status == SY_OK)
        status = sy_row_description_read(merge->columns.data, merge->columns.bytes, &first_count,
                                         &first, err);
    if (status != SY_OK)
        return status;
    bool same = count == first_count;
    for (uint16_t i = 0; same && i < count; i++) {
        struct sy_column_desc a = sy_read_column_desc(&first), b = sy_read_column_desc(&reader);
        same = sy_slice_eq(a.name, b.name) && a.type_oid == b.type_oid && a.format == b.format;
    }
    if (same)
        return SY_OK;
    status = sy_err_set(err, SY_E_STATE, "the shards describe different columns");
    sy_err_hint(err, "The schemas of the shards differ, or a type has another OID on each.");
    return status;
}

enum sy_status sy_merge_columns(struct sy_merge *merge, uint32_t stream, struct sy_slice body,
                                struct sy_err *err)
{
    enum sy_status status = merge->columns.data == NULL ? first_columns(merge, body, err)
                                                        : same_columns(merge, body, err);
    merge->streams[stream].has_columns = status == SY_OK;
    return status;
}

bool sy_merge_has_columns(const struct sy_merge *merge)
{
    for (uint32_t i = 0; i < merge->stream_count; i++)
        if (!merge->streams[i].has_columns)
            return false;
    return true;
}

void sy_merge_write_columns(const struct sy_merge *merge, struct sy_buf *out)
{
    uint16_t count;
    struct sy_reader reader;
    struct sy_err err;
    if (sy_row_description_read(merge->columns.data, merge->columns.bytes, &count, &reader, &err) !=
        SY_OK)
        return;
    size_t start = sy_msg_begin(out, 'T');
    sy_buf_append_u16(out, (uint16_t)merge->visible_count);
    for (uint32_t i = 0; i < merge->visible_count; i++) {
        struct sy_column_desc column = sy_read_column_desc(&reader);
        uint32_t fold = merge->fold_of[i];
        uint32_t type = fold == UINT32_MAX
                            ? column.type_oid
                            : sy_fold_result_type(&merge->folds[fold], column.type_oid);
        if (type != column.type_oid)
            column.type_size = type == OID_FLOAT8 ? 8 : -1;
        column.type_oid = type;
        sy_put_cstring(out, column.name);
        sy_buf_append_u32(out, column.table_oid);
        sy_buf_append_u16(out, column.attribute);
        sy_buf_append_u32(out, column.type_oid);
        sy_buf_append_u16(out, (uint16_t)column.type_size);
        sy_buf_append_u32(out, (uint32_t)column.type_modifier);
        sy_buf_append_u16(out, column.format);
    }
    sy_msg_end(out, start);
}

/* ---- streams ---- */

enum sy_status sy_merge_push(struct sy_merge *merge, uint32_t stream, struct sy_slice body,
                             struct sy_err *err)
{
    if (!merge->streams[stream].has_columns)
        return sy_err_set(err, SY_E_PROTOCOL, "a shard sent a row before its columns");
    if (merge->done)
        return SY_OK;
    struct sy_buf *queue = &merge->streams[stream].queue;
    uint32_t bytes = (uint32_t)body.bytes;
    sy_buf_append(queue, &bytes, sizeof(bytes));
    sy_buf_append_slice(queue, body);
    return queue->failed ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging") : SY_OK;
}

void sy_merge_end(struct sy_merge *merge, uint32_t stream)
{
    merge->streams[stream].ended = true;
}

uint32_t sy_merge_queued_bytes(const struct sy_merge *merge, uint32_t stream)
{
    const struct merge_stream *s = &merge->streams[stream];
    return merge->done ? 0 : (uint32_t)(s->queue.bytes - s->taken);
}

uint64_t sy_merge_rows(const struct sy_merge *merge)
{
    return merge->rows;
}

/* Stream a's head comes before stream b's; ties go to the stream that comes first. */
static bool beats(const struct sy_merge *merge, uint32_t a, uint32_t b)
{
    const struct merge_stream *x = &merge->streams[a], *y = &merge->streams[b];
    if (!x->has_head || !y->has_head)
        return x->has_head || (!y->has_head && a < b);
    int order = merge_row_compare(merge->keys, merge->spec.key_count, &x->head, &y->head);
    return order != 0 ? order < 0 : a < b;
}

static uint32_t play(struct sy_merge *merge, uint32_t node)
{
    if (node >= merge->stream_count)
        return node - merge->stream_count;
    uint32_t left = play(merge, 2 * node), right = play(merge, 2 * node + 1);
    bool first = beats(merge, left, right);
    merge->tree[node] = first ? right : left;
    return first ? left : right;
}

static void replay(struct sy_merge *merge, uint32_t stream)
{
    uint32_t winner = stream;
    for (uint32_t node = (stream + merge->stream_count) / 2; node >= 1; node /= 2)
        if (beats(merge, merge->tree[node], winner)) {
            uint32_t loser = winner;
            winner = merge->tree[node];
            merge->tree[node] = loser;
        }
    merge->tree[0] = winner;
}

/* The stream whose turn it is. */
static enum sy_status next_turn(struct sy_merge *merge, struct merge_stream **ret_stream,
                                bool *ret_ready, struct sy_err *err)
{
    uint32_t turns = merge->spec.turn_count;
    *ret_ready = false;
    for (; merge->turn < turns + merge->stream_count; merge->turn++) {
        bool left = merge->turn >= turns; /* streams in order, each to its end */
        struct merge_stream *stream =
            &merge->streams[left ? merge->turn - turns : merge->spec.turns[merge->turn]];
        enum sy_status status = merge_stream_next(merge, stream, err);
        if (status != SY_OK || (!stream->has_head && !stream->ended))
            return status;
        if (!stream->has_head)
            continue;
        merge->turn += !left;
        *ret_ready = true;
        *ret_stream = stream;
        return SY_OK;
    }
    *ret_ready = true;
    *ret_stream = NULL;
    return SY_OK;
}

/* The stream with the next row. False: rows of some stream are not there yet. */
static enum sy_status next_stream(struct sy_merge *merge, struct merge_stream **ret_stream,
                                  bool *ret_ready, struct sy_err *err)
{
    if (merge->spec.turn_count > 0)
        return next_turn(merge, ret_stream, ret_ready, err);
    *ret_ready = false;
    uint32_t first = merge->tree_made ? merge->tree[0] : 0;
    uint32_t last = merge->tree_made ? first + 1 : merge->stream_count;
    for (uint32_t i = first; i < last; i++) {
        struct merge_stream *stream = &merge->streams[i];
        if (stream->has_head)
            continue;
        enum sy_status status = merge_stream_next(merge, stream, err);
        if (status != SY_OK)
            return status;
        if (!stream->has_head && !stream->ended)
            return SY_OK;
    }
    if (merge->tree_made)
        replay(merge, first);
    else
        merge->tree[0] = merge->stream_count == 1 ? 0 : play(merge, 1);
    merge->tree_made = true;
    *ret_ready = true;
    struct merge_stream *winner = &merge->streams[merge->tree[0]];
    *ret_stream = winner->has_head ? winner : NULL;
    return SY_OK;
}

/* ---- output ---- */

/* The first visible_count columns of a row, as a message. */
static void put_row(struct sy_merge *merge, struct sy_slice body, struct sy_buf *out)
{
    struct sy_data_row_msg message;
    struct sy_err err;
    if (merge->options.offset > merge->skipped) {
        merge->skipped++;
        return;
    }
    if (merge->rows >= merge->options.limit ||
        sy_data_row_read(body.data, body.bytes, &message, &err) != SY_OK)
        return;
    const char *end = message.values;
    for (uint32_t i = 0; i < merge->visible_count; i++) {
        uint32_t bytes = sy_u32_at(end, 0);
        end += 4 + (bytes == UINT32_MAX ? 0 : bytes);
    }
    size_t start = sy_msg_begin(out, 'D');
    sy_buf_append_u16(out, (uint16_t)merge->visible_count);
    sy_buf_append(out, message.values, (size_t)(end - message.values));
    sy_msg_end(out, start);
    merge->rows++;
}

static bool keeps(struct sy_merge *merge)
{
    bool keep = true;
    struct sy_decimal number;
    sy_decimal_init(&number);
    for (uint32_t i = 0; keep && i < merge->spec.having_count; i++) {
        const struct sy_merge_having *having = &merge->spec.having[i];
        const struct sy_fold *fold = &merge->folds[merge->fold_of[position(merge, having->column)]];
        keep = sy_fold_number(fold, &number);
        int order = keep ? sy_decimal_compare(&number, &merge->having[i]) : 0;
        const bool holds[] = {[SY_MERGE_EQ] = order == 0,
                              [SY_MERGE_NE] = order != 0,
                              [SY_MERGE_LT] =
                                  order<0, [SY_MERGE_LE] = order <= 0, [SY_MERGE_GT] = order> 0,
                              [SY_MERGE_GE] = order >= 0};
        keep = keep && holds[having->op];
    }
    sy_decimal_release(&number);
    return keep;
}

static enum sy_status finish_group(struct sy_merge *merge, struct sy_buf *out, struct sy_err *err)
{
    merge->in_group = false;
    if (!keeps(merge))
        return SY_OK;
    struct sy_buf *row = &merge->group.body;
    if (merge->spec.fold_count > 0) {
        row = &merge->finished;
        sy_buf_clear(row);
        sy_buf_append_u16(row, (uint16_t)merge->column_count);
        for (uint32_t i = 0; i < merge->column_count; i++)
            if (merge->fold_of[i] != UINT32_MAX)
                sy_fold_write(&merge->folds[merge->fold_of[i]], row);
            else
                sy_put_value(row, merge->group.values[i]);
        if (row->failed)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    }
    struct sy_slice body = {row->data, row->bytes};
    if (merge->sort != NULL)
        return sort_add(merge->sort, body, err);
    put_row(merge, body, out);
    return SY_OK;
}

static enum sy_status begin_group(struct sy_merge *merge, struct merge_stream *stream,
                                  struct sy_err *err)
{
    struct sy_buf spare = merge->group.body;
    merge->group.body = stream->head.body;
    stream->head.body = spare;
    for (uint32_t i = 0; i < merge->spec.fold_count; i++)
        sy_fold_begin(&merge->folds[i]);
    merge->in_group = true;
    return merge_row_read(merge, &merge->group, merge->keys, merge->spec.key_count, err);
}

static enum sy_status add_to_group(struct sy_merge *merge, const struct merge_row *row,
                                   struct sy_err *err)
{
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; i < merge->spec.fold_count && status == SY_OK; i++) {
        struct sy_fold *fold = &merge->folds[i];
        struct sy_slice count = {0};
        if (fold->what.kind == SY_FOLD_AVG)
            count = row->values[position(merge, fold->what.count_column)];
        status = sy_fold_add(fold, row->values[position(merge, fold->what.column)], count, err);
    }
    return status;
}

static enum sy_status take(struct sy_merge *merge, struct merge_stream *stream, struct sy_buf *out,
                           struct sy_err *err)
{
    stream->has_head = false;
    if (merge->spec.unique < 0) {
        put_row(merge, (struct sy_slice){stream->head.body.data, stream->head.body.bytes}, out);
        return SY_OK;
    }
    enum sy_status status = SY_OK;
    bool same = merge->in_group && merge_row_compare(merge->keys, (uint32_t)merge->spec.unique,
                                                     &merge->group, &stream->head) == 0;
    if (same)
        return add_to_group(merge, &stream->head, err);
    if (merge->in_group)
        status = finish_group(merge, out, err);
    if (status == SY_OK)
        status = begin_group(merge, stream, err);
    return status == SY_OK ? add_to_group(merge, &merge->group, err) : status;
}

/* A shard that says it is done, and never said with what. */
static enum sy_status ended_without_columns(const struct sy_merge *merge, struct sy_err *err)
{
    for (uint32_t i = 0; i < merge->stream_count; i++)
        if (merge->streams[i].ended && !merge->streams[i].has_columns)
            return sy_err_set(err, SY_E_PROTOCOL, "a shard did not describe its columns");
    return SY_OK;
}

/* Every stream is at its end. */
static enum sy_status drain(struct sy_merge *merge, struct sy_buf *out, size_t bytes_max,
                            enum sy_merge_state *ret_state, struct sy_err *err)
{
    enum sy_status status = merge->in_group ? finish_group(merge, out, err) : SY_OK;
    while (status == SY_OK && merge->sort != NULL && out->bytes < bytes_max &&
           merge->rows < merge->options.limit && merge->rows < merge->pause_at) {
        struct sy_slice body = sort_next(merge->sort);
        if (body.data == NULL)
            break;
        put_row(merge, body, out);
    }
    bool paused = merge->rows >= merge->pause_at;
    merge->done = merge->sort == NULL || (out->bytes < bytes_max && !paused);
    *ret_state = paused ? SY_MERGE_PAUSED : merge->done ? SY_MERGE_DONE : SY_MERGE_FULL;
    return status;
}

bool sy_merge_wants(const struct sy_merge *merge, uint32_t stream)
{
    const struct merge_stream *s = &merge->streams[stream];
    return !s->ended && !s->has_head && s->taken == s->queue.bytes;
}

void sy_merge_pause_at(struct sy_merge *merge, uint64_t rows)
{
    merge->pause_at = rows;
}

enum sy_status sy_merge_step(struct sy_merge *merge, struct sy_buf *out, size_t bytes_max,
                             enum sy_merge_state *ret_state, struct sy_err *err)
{
    *ret_state = SY_MERGE_NEEDS;
    if (merge->rows >= merge->pause_at) {
        *ret_state = SY_MERGE_PAUSED;
        return SY_OK;
    }
    if (merge->done) {
        *ret_state = SY_MERGE_DONE;
        return SY_OK;
    }
    if (!sy_merge_has_columns(merge))
        return ended_without_columns(merge, err);
    while (out->bytes < bytes_max) {
        struct merge_stream *stream = NULL;
        bool ready;
        if (merge->rows >= merge->pause_at) {
            *ret_state = SY_MERGE_PAUSED;
            return SY_OK;
        }
        if (merge->rows >= merge->options.limit) {
            merge->done = true;
            *ret_state = SY_MERGE_DONE;
            return SY_OK;
        }
        enum sy_status status = next_stream(merge, &stream, &ready, err);
        if (status != SY_OK || !ready)
            return status;
        if (stream == NULL)
            return drain(merge, out, bytes_max, ret_state, err);
        status = take(merge, stream, out, err);
        if (status != SY_OK)
            return status;
        if (out->failed)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    }
    *ret_state = SY_MERGE_FULL;
    return SY_OK;
}
