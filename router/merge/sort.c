/* Groups in another order than that of their keys: kept in memory, up to a limit, then sorted once.
 */
#include <stdlib.h>

#include "base/grow.h"
#include "base/limits.h"
#include "router/merge/internal.h"

struct sort {
    struct sy_merge *merge;
    struct merge_row *rows;
    uint32_t count, room, next;
    size_t bytes;
    bool sorted;
};

enum sy_status sort_new(struct sy_merge *merge, struct sort **ret_sort, struct sy_err *err)
{
    struct sort *sort = calloc(1, sizeof(*sort));
    if (sort == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    sort->merge = merge;
    *ret_sort = sort;
    return SY_OK;
}

void sort_free(struct sort **sort)
{
    struct sort *s = *sort;
    *sort = NULL;
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++) {
        merge_row_release(&s->rows[i], s->merge->spec.order_count);
        free(s->rows[i].keys);
    }
    free(s->rows);
    free(s);
}

static bool grow(struct sort *sort)
{
    struct merge_row *rows = sy_grown(sort->rows, sort->count, &sort->room, 64, sizeof(*rows));
    if (rows == NULL)
        return false;
    sort->rows = rows;
    return true;
}

enum sy_status sort_add(struct sort *sort, struct sy_slice body, struct sy_err *err)
{
    struct sy_merge *merge = sort->merge;
    uint32_t keys = merge->spec.order_count;
    sort->bytes += body.bytes + sizeof(struct merge_row) + keys * sizeof(struct sy_datum);
    if (sort->bytes > SY_LIMIT_MERGE_SORT_BYTES) {
        enum sy_status status =
            sy_err_set(err, SY_E_LIMIT, "too many groups of several shards to be sorted");
        sy_err_hint(
            err,
            "Order by the columns of GROUP BY, or restrict the statement; the limit is %d bytes.",
            (int)SY_LIMIT_MERGE_SORT_BYTES);
        return status;
    }
    struct merge_row row = {.keys = calloc(keys + 1, sizeof(*row.keys)),
                            .values = merge->group.values};
    if (row.keys == NULL || !grow(sort)) {
        free(row.keys);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging");
    }
    for (uint32_t i = 0; i < keys; i++)
        sy_datum_init(&row.keys[i]);
    sy_buf_append_slice(&row.body, body);
    struct merge_row *kept = &sort->rows[sort->count++];
    *kept = row;
    return row.body.failed ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory while merging")
                           : merge_row_read(merge, kept, merge->order, keys, err);
}

static int compare(const void *a, const void *b, void *opaque)
{
    const struct sort *sort = opaque;
    return merge_row_compare(sort->merge->order, sort->merge->spec.order_count, a, b);
}

struct sy_slice sort_next(struct sort *sort)
{
    if (!sort->sorted && sort->count > 0)
        qsort_r(sort->rows, sort->count, sizeof(*sort->rows), compare, sort);
    sort->sorted = true;
    if (sort->next == sort->count)
        return (struct sy_slice){0};
    const struct sy_buf *body = &sort->rows[sort->next++].body;
    return (struct sy_slice){body->data, body->bytes};
}
