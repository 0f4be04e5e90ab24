/*
 * Rows of several shards to rows of one answer: a k-way merge (loser tree) of sorted streams, which
 * drops or folds equal neighbours, sorts groups where the client wants another order, and applies
 * LIMIT and OFFSET. Pure: bodies of messages in, whole messages out. Memory is bounded by the
 * streams, except for a sort of groups, which is bounded by SY_LIMIT_MERGE_SORT_BYTES.
 *
 *     new -> columns (each stream) -> push rows, end -> step, step ... until DONE
 */
#ifndef SY_ROUTER_MERGE_MERGE_H
#define SY_ROUTER_MERGE_MERGE_H

#include "base/buf.h"
#include "base/err.h"
#include "router/plan/merge_spec.h"

struct sy_merge;

enum sy_merge_state {
    SY_MERGE_NEEDS,  /* rows of some stream */
    SY_MERGE_FULL,   /* the output has its fill */
    SY_MERGE_PAUSED, /* at the row that sy_merge_pause_at() named */
    SY_MERGE_DONE,   /* no more rows will come; what streams still send is of no interest */
};

/* What an execution knows. UINT64_MAX as limit: none. */
struct sy_merge_options {
    uint64_t limit, offset;
    bool bytes_differ;  /* client and server use different encodings: text cannot be compared */
    bool styles_differ; /* dates are not in ISO style, floats not with all digits */
};

/* `spec` is copied. Ownership: free with sy_merge_free(). Errors: SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status sy_merge_new(const struct sy_merge_spec *spec,
                                          const struct sy_merge_options *options,
                                          uint32_t stream_count, struct sy_merge **ret_merge,
                                          struct sy_err *err);
void sy_merge_free(struct sy_merge **merge);

/* A stream's RowDescription. Errors: SY_E_UNSUPPORTED for types that are not merged and shards that
 * differ. */
SY_MUST_CHECK enum sy_status sy_merge_columns(struct sy_merge *merge, uint32_t stream,
                                              struct sy_slice body, struct sy_err *err);
bool sy_merge_has_columns(const struct sy_merge *merge); /* of every stream */
/* The answer's RowDescription, as a message. */
void sy_merge_write_columns(const struct sy_merge *merge, struct sy_buf *out);

/* A stream's DataRow, which is copied. Errors: SY_E_PROTOCOL, SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status sy_merge_push(struct sy_merge *merge, uint32_t stream,
                                           struct sy_slice body, struct sy_err *err);
void sy_merge_end(struct sy_merge *merge, uint32_t stream);
uint32_t sy_merge_queued_bytes(const struct sy_merge *merge, uint32_t stream);

/* The stream has nothing left that was pushed, and has not ended. */
bool sy_merge_wants(const struct sy_merge *merge, uint32_t stream);
/* Stops behind so many rows in all; UINT64_MAX: does not stop. */
void sy_merge_pause_at(struct sy_merge *merge, uint64_t rows);

/* Appends rows to `out` until it holds `bytes_max`. Errors: SY_E_UNSUPPORTED, SY_E_LIMIT, 22003 (a
 * sum). */
SY_MUST_CHECK enum sy_status sy_merge_step(struct sy_merge *merge, struct sy_buf *out,
                                           size_t bytes_max, enum sy_merge_state *ret_state,
                                           struct sy_err *err);
uint64_t sy_merge_rows(const struct sy_merge *merge); /* rows put out so far */

#endif
