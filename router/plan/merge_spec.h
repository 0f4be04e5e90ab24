/*
 * What has to be done with the rows of several shards so that they make one answer. Plain data:
 * written by router/plan, obeyed by router/merge.
 *
 * A column is counted from the left of what the shards send (0, 1 ...); hidden ones, which were
 * added for the router and are not told to the client, stand at the end and are -1 (the first of
 * them), -2 ...
 */
#ifndef SY_ROUTER_PLAN_MERGE_SPEC_H
#define SY_ROUTER_PLAN_MERGE_SPEC_H

#include <stdbool.h>
#include <stdint.h>

/* A column by which rows are ordered or compared. */
struct sy_merge_key {
    int32_t column;
    bool descending, nulls_first;
    bool by_bytes; /* should it be text: the shards order it by bytes */
};

enum sy_fold_kind {
    SY_FOLD_COUNT,
    SY_FOLD_SUM,
    SY_FOLD_AVG, /* the column has the sum, `count_column` the count */
    SY_FOLD_MIN,
    SY_FOLD_MAX,
    SY_FOLD_BOOL_AND,
    SY_FOLD_BOOL_OR,
    SY_FOLD_BIT_AND,
    SY_FOLD_BIT_OR,
    SY_FOLD_BIT_XOR,
    SY_FOLD_PRETTY_SIZE, /* a sum of bytes, told as pg_size_pretty() would */
};

/* A column whose values of one group become one. */
struct sy_merge_fold {
    enum sy_fold_kind kind;
    int32_t column, count_column;
    bool by_bytes;
};

enum sy_merge_op { SY_MERGE_EQ, SY_MERGE_NE, SY_MERGE_LT, SY_MERGE_LE, SY_MERGE_GT, SY_MERGE_GE };

/* HAVING: a folded integer or numeric column against a number. All must hold. */
struct sy_merge_having {
    int32_t column;
    enum sy_merge_op op;
    char number[48];
};

/* LIMIT and OFFSET: a number, or a parameter ($n) whose value the execution knows. */
struct sy_merge_bound {
    enum { SY_BOUND_NONE, SY_BOUND_NUMBER, SY_BOUND_PARAMETER } kind;
    int64_t number; /* or n */
};

struct sy_merge_spec {
    struct sy_merge_key *keys; /* the order in which each shard sends its rows */
    uint32_t key_count;
    int32_t unique; /* rows equal in the first `unique` keys are one; -1: all rows stay */
    struct sy_merge_fold *folds;
    uint32_t fold_count;
    struct sy_merge_having *having;
    uint32_t having_count;
    struct sy_merge_key *order; /* groups are sorted once more, by these */
    uint32_t order_count;
    uint32_t hidden_count;
    /* Instead of an order: the stream that each row in turn comes from. A stream that has no more
       rows is passed over; rows that are left come at the end. */
    uint16_t *turns;
    uint32_t turn_count;
    struct sy_merge_bound limit, offset;
};

#endif
