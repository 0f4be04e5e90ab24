/* The merge's own structures. Private to router/merge. Order of reading: stream.c, merge.c, sort.c.
 */
#ifndef SY_ROUTER_MERGE_INTERNAL_H
#define SY_ROUTER_MERGE_INTERNAL_H

#include "base/arena.h"
#include "router/merge/fold.h"
#include "router/merge/merge.h"

/* A key, once the columns are known. */
struct merge_key {
    struct sy_merge_key what;
    uint32_t column;
    enum sy_datum_kind kind;
    uint16_t format;
};

/* A row with its values found and its keys read. */
struct merge_row {
    struct sy_buf body;      /* DataRow: count and values */
    struct sy_slice *values; /* into body; column_count */
    struct sy_datum *keys;   /* key_count */
};

struct merge_stream {
    struct sy_buf queue; /* (length, body) after each other */
    size_t taken;        /* bytes of the queue that are used up */
    struct merge_row head;
    bool has_head, ended, has_columns;
};

struct sy_merge {
    struct sy_arena arena;
    struct sy_merge_spec spec;
    struct sy_merge_options options;
    struct sy_slice columns; /* the first RowDescription seen */
    uint32_t column_count, visible_count;
    uint32_t *types;
    uint16_t *formats;
    struct merge_key *keys, *order;
    struct sy_fold *folds;
    struct sy_decimal *having;
    uint32_t *fold_of; /* column -> fold, UINT32_MAX: none */
    struct merge_stream *streams;
    uint32_t stream_count;
    uint32_t *tree; /* losers; tree[0] is the winner */
    bool tree_made, done;
    uint32_t turn; /* of spec.turns, then of the streams */
    bool in_group;
    struct merge_row group; /* the first row of the present group */
    struct sy_buf finished; /* a folded row */
    struct sort *sort;      /* groups that wait to be sorted */
    uint64_t skipped, rows;
    uint64_t pause_at; /* rows */
};

/* stream.c */
enum sy_status merge_row_make(struct sy_merge *merge, struct merge_row *row, struct sy_err *err);
/* Finds the values and reads the keys of row->body. */
enum sy_status merge_row_read(struct sy_merge *merge, struct merge_row *row,
                              const struct merge_key *keys, uint32_t key_count, struct sy_err *err);
void merge_row_release(struct merge_row *row, uint32_t key_count);
/* By the first `count` keys. */
int merge_row_compare(const struct merge_key *keys, uint32_t count, const struct merge_row *a,
                      const struct merge_row *b);
/* Takes the next row off the queue to be the head. False: there is none. */
enum sy_status merge_stream_next(struct sy_merge *merge, struct merge_stream *stream,
                                 struct sy_err *err);

/* sort.c */
enum sy_status sort_new(struct sy_merge *merge, struct sort **ret_sort, struct sy_err *err);
void sort_free(struct sort **sort);
enum sy_status sort_add(struct sort *sort, struct sy_slice body, struct sy_err *err);
/* The next row in order; data NULL: no more. The first call sorts. */
struct sy_slice sort_next(struct sort *sort);

#endif
