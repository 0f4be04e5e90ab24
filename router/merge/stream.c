/* Rows of one shard: queued, read, compared. */
#include <stdlib.h>

#include "router/merge/internal.h"
#include "router/wire/message.h"

enum { QUEUE_SHIFT_BYTES = 64 * 1024 };

enum sy_status merge_row_make(struct sy_merge *merge, struct merge_row *row, struct sy_err *err)
{
    row->values = sy_arena_calloc(&merge->arena, merge->column_count + 1, sizeof(*row->values));
    uint32_t keys = merge->spec.key_count > merge->spec.order_count ? merge->spec.key_count
                                                                    : merge->spec.order_count;
    row->keys = sy_arena_calloc(&merge->arena, keys + 1, sizeof(*row->keys));
    if (row->values == NULL || row->keys == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    for (uint32_t i = 0; i < keys; i++)
        sy_datum_init(&row->keys[i]);
    return SY_OK;
}

void merge_row_release(struct merge_row *row, uint32_t key_count)
{
    sy_buf_release(&row->body);
    for (uint32_t i = 0; row->keys != NULL && i < key_count; i++)
        sy_datum_release(&row->keys[i]);
}

enum sy_status merge_row_read(struct sy_merge *merge, struct merge_row *row,
                              const struct merge_key *keys, uint32_t key_count, struct sy_err *err)
{
    struct sy_data_row_msg message;
    enum sy_status status = sy_data_row_read(row->body.data, row->body.bytes, &message, err);
    if (status != SY_OK)
        return status;
    if (message.count != merge->column_count)
        return sy_err_set(err, SY_E_PROTOCOL, "a row with %u columns where %u were described",
                          message.count, merge->column_count);
    sy_split_values(message.values, message.count, row->values);
    for (uint32_t i = 0; i < key_count && status == SY_OK; i++)
        status = sy_datum_read(&row->keys[i], keys[i].kind, keys[i].format,
                               row->values[keys[i].column], err);
    return status;
}

int merge_row_compare(const struct merge_key *keys, uint32_t count, const struct merge_row *a,
                      const struct merge_row *b)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct sy_datum *x = &a->keys[i], *y = &b->keys[i];
        int order = 0;
        if (x->null || y->null) {
            order = x->null - y->null;
            if (keys[i].what.nulls_first)
                order = -order;
        } else {
            order = sy_datum_compare(keys[i].kind, x, y);
            if (keys[i].what.descending)
                order = -order;
        }
        if (order != 0)
            return order;
    }
    return 0;
}

enum sy_status merge_stream_next(struct sy_merge *merge, struct merge_stream *stream,
                                 struct sy_err *err)
{
    stream->has_head = false;
    if (stream->queue.bytes - stream->taken < sizeof(uint32_t))
        return SY_OK;
    uint32_t bytes;
    memcpy(&bytes, stream->queue.data + stream->taken, sizeof(bytes));
    sy_buf_clear(&stream->head.body);
    sy_buf_append(&stream->head.body, stream->queue.data + stream->taken + sizeof(bytes), bytes);
    if (stream->head.body.failed)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    stream->taken += sizeof(bytes) + bytes;
    if (stream->taken == stream->queue.bytes) {
        sy_buf_clear(&stream->queue);
        stream->taken = 0;
    } else if (stream->taken > QUEUE_SHIFT_BYTES) {
        sy_buf_consume(&stream->queue, stream->taken);
        stream->taken = 0;
    }
    stream->has_head = true;
    return merge_row_read(merge, &stream->head, merge->keys, merge->spec.key_count, err);
}
