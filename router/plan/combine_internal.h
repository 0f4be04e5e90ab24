/* One SELECT being rewritten. Private to router/plan/combine*.c. */
#ifndef SY_ROUTER_PLAN_COMBINE_INTERNAL_H
#define SY_ROUTER_PLAN_COMBINE_INTERNAL_H

#include "parser/rewrite.h"
#include "router/plan/combine.h"
#include "router/plan/route_internal.h"

enum { COMBINE_KEYS_MAX = 64, COMBINE_FOLDS_MAX = 256 };

struct combine {
    const struct sy_route *route;
    struct sy_arena *arena;
    struct sy_err *err;
    PgQuery__SelectStmt *select;
    uint32_t visible;  /* targets of the client's own */
    bool grouped;      /* aggregates or GROUP BY, over groups that shards share */
    bool was_distinct; /* the groups are those of SELECT DISTINCT */
    struct sy_merge_spec spec;
    PgQuery__Node **group; /* grouped: the expressions of GROUP BY, borrowed */
    int32_t *group_columns;
    uint32_t group_count;
};

/* combine_column.c */
/* Refuses with 0A000; returns false. */
bool combine_refuse(struct combine *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool combine_no_memory(struct combine *c);
/* Text that this expression gives is ordered by bytes. */
bool combine_by_bytes(const struct combine *c, const PgQuery__Node *node);
/* The column of a table that a reference means; NULL: not known. */
const struct sy_schema_column *combine_column(const struct combine *c, const PgQuery__Node *node);
/* A reference to the key of a table, so that equal values come from one shard only. `nulls`: nulls
 * too, which an outer join may put in on every shard. */
bool combine_is_key(const struct combine *c, const PgQuery__Node *node, bool hash, bool nulls);
/* What an item of a list may be besides an expression. */
enum combine_items {
    COMBINE_TARGETS,     /* the select list */
    COMBINE_GROUP,       /* GROUP BY: a position */
    COMBINE_DISTINCT_ON, /* a position, or an output's name before a column's */
    COMBINE_EXPRESSIONS, /* nothing else */
};
/* Expressions that name the whole key, nulls included: rows equal in them live on one shard. */
bool combine_names_key(const struct combine *c, PgQuery__Node *const *list, size_t count,
                       enum combine_items items);
bool combine_has_star(const struct combine *c, uint32_t before);
/* The number of a plain integer constant. */
bool combine_integer(const PgQuery__Node *node, int64_t *ret_value);
/* The name in a reference of one part; NULL: something else. */
const char *combine_plain_name(const PgQuery__Node *node);
/* The output column that an item of ORDER BY or DISTINCT ON means; a hidden one is added for an
 * expression that is not put out. *ret_value is the expression, NULL when it is hidden behind a
 * star. */
bool combine_find_output(struct combine *c, const PgQuery__Node *node, int32_t *ret_column,
                         const PgQuery__Node **ret_value);
/* A new hidden column; takes the node. */
bool combine_add_hidden(struct combine *c, PgQuery__Node *value, int32_t *ret_column);

/* combine_types.c: whether the router will be able to compare and add up what the shards send is
 * known from the text and the schema. */
bool combine_certain(const struct combine *c);

/* combine_size.c */
bool combine_sizes(struct combine *c);

/* combine_type.c */
/* The OID of an expression's type, 0: not known. */
uint32_t combine_type(const struct combine *c, const PgQuery__Node *node);
/* Refuses an order by the expression, or an aggregate, whose type is known not to be merged. */
bool combine_orders(struct combine *c, const PgQuery__Node *node, bool by_bytes);
bool combine_folds(struct combine *c, const PgQuery__FuncCall *call, enum sy_fold_kind kind);

/* combine_window.c */
/* Every window of the query is made of rows of one shard. */
bool combine_windows_stay(const struct combine *c);

/* combine_group.c */
bool combine_groups(struct combine *c);
/* Is it an aggregate that can be put together? */
const PgQuery__FuncCall *combine_aggregate(const struct combine *c, const PgQuery__Node *node,
                                           enum sy_fold_kind *ret_kind);
bool combine_same(const struct combine *c, const PgQuery__Node *a, const PgQuery__Node *b);

#endif
