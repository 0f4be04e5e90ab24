/*
 * Splits the rows of COPY FROM STDIN by shard: finds row boundaries and the key field in text, CSV
 * and binary form, incrementally, whatever the boundaries of CopyData messages. Pure.
 *
 * What a single server would refuse because of the rows' order or neighbours (mixed line ends, data
 * behind a trailer) is refused here, since each shard sees only its own rows. The client's encoding
 * must be one in which no multi-byte character contains an ASCII byte (not SJIS, BIG5, GBK, UHC,
 * GB18030, JOHAB, SHIFT_JIS_2004).
 */
#ifndef SY_ROUTER_PLAN_COPY_SPLIT_H
#define SY_ROUTER_PLAN_COPY_SPLIT_H

#include "base/err.h"
#include "router/plan/plan.h"

struct sy_copy_split;

struct sy_copy_split_options {
    const struct sy_copy_facts *copy;
    const struct sy_shardmap *map;
    uint32_t keyspace;
    uint32_t key_ordinal;     /* position of the key in the row, from 0 */
    int32_t hash_key_ordinal; /* geo: position of the second column, or -1 */
    uint32_t column_count;    /* fields a row must have (the server checks too) */
    struct sy_key_context key_context;
    struct sy_slice table; /* for messages */
    struct sy_slice key;   /* its column, for messages */
    bool key_may_trim; /* varchar(n): trailing blanks may be cut, so a key that has some is refused
                        */
    bool key_rounds;   /* timestamp(p): a key with more digits is refused */
    int32_t key_time_precision; /* p */
};

/* One whole row (with its line end; binary: field count and fields) for one shard. Borrowed until
 * the call returns. Header lines and the binary header and trailer are given with shard UINT32_MAX:
 * they go to every shard. */
typedef enum sy_status (*sy_copy_row_fn)(void *ctx, uint32_t shard, const char *data, size_t bytes,
                                         struct sy_err *err);

SY_MUST_CHECK enum sy_status sy_copy_split_new(const struct sy_copy_split_options *options,
                                               struct sy_copy_split **ret_split,
                                               struct sy_err *err);
void sy_copy_split_free(struct sy_copy_split **split);
/* Feeds payload bytes of CopyData. Errors name the line: 23514 for a key that maps nowhere, 22P04
 * for bad data. */
SY_MUST_CHECK enum sy_status sy_copy_split_feed(struct sy_copy_split *split, const char *data,
                                                size_t bytes, sy_copy_row_fn row, void *ctx,
                                                struct sy_err *err);
/* At CopyDone: a last line without a line end is a row; a half row is an error. */
SY_MUST_CHECK enum sy_status sy_copy_split_end(struct sy_copy_split *split, sy_copy_row_fn row,
                                               void *ctx, struct sy_err *err);

#endif
