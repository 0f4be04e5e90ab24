/* Aggregates of groups whose parts come from several shards. Private to router/merge. */
#ifndef SY_ROUTER_MERGE_FOLD_H
#define SY_ROUTER_MERGE_FOLD_H

#include "router/merge/datum.h"
#include "router/plan/merge_spec.h"

struct sy_fold_type {
    enum sy_datum_kind kind, count_kind;
    uint16_t format, count_format;
};

struct sy_fold {
    struct sy_merge_fold what;
    struct sy_fold_type type;
    bool any;             /* a value that is not null */
    int64_t count;        /* AVG */
    struct sy_datum sum;  /* of SUM, AVG, COUNT, BOOL, BIT; the best of MIN and MAX */
    struct sy_datum next; /* scratch */
    struct sy_buf best;   /* MIN, MAX: the bytes of the value */
};

void sy_fold_init(struct sy_fold *fold, const struct sy_merge_fold *what);
void sy_fold_release(struct sy_fold *fold);
/* Errors: SY_E_UNSUPPORTED when the column's type cannot be folded this way. */
SY_MUST_CHECK enum sy_status sy_fold_set_type(struct sy_fold *fold, const struct sy_fold_type *type,
                                              uint32_t oid, struct sy_err *err);
/* The type of the folded column. */
uint32_t sy_fold_result_type(const struct sy_fold *fold, uint32_t column_type);
void sy_fold_begin(struct sy_fold *fold); /* a new group */
SY_MUST_CHECK enum sy_status sy_fold_add(struct sy_fold *fold, struct sy_slice value,
                                         struct sy_slice count, struct sy_err *err);
/* Appends the length and the value, as in a DataRow. */
void sy_fold_write(const struct sy_fold *fold, struct sy_buf *out);
/* The value as a number, for HAVING; false: null. */
bool sy_fold_number(const struct sy_fold *fold, struct sy_decimal *ret_number);

#endif
