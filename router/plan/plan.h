/*
 * From facts + shard map + values to a plan: which shards, which role, how answers combine. Pure.
 *
 *     template's facts --sy_route_prepare()--> route   (once per template and topology epoch,
 * cached) route + literals/parameters --sy_route_eval()--> plan   (every execution; no allocation
 * for one shard)
 */
#ifndef SY_ROUTER_PLAN_PLAN_H
#define SY_ROUTER_PLAN_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "parser/facts.h"
#include "parser/parser.h"
#include "router/plan/federation.h"
#include "router/plan/schema.h"
#include "router/plan/shardmap.h"

enum sy_plan_kind {
    SY_PLAN_SINGLE, /* one shard answers */
    SY_PLAN_CONCAT, /* a statement on several shards, as it is: a read whose rows are appended, or a
                       write (UPDATE, DELETE, INSERT ... SELECT) whose counts are added up, too */
    SY_PLAN_MERGE,  /* a read on several shards whose rows are put in order, made one or added up:
                       router/plan/combine.h says what each shard is sent */
    SY_PLAN_ALL, /* the same statement on every shard of the set (DDL, reference-table writes): tags
                    must agree, one answer is forwarded */
    SY_PLAN_SPLIT, /* COPY FROM: rows go to the shards of their keys */
    SY_PLAN_ROWS, /* INSERT ... VALUES: the same, `rows` says where; router/plan/scatter.h says what
                     each shard is sent */
    SY_PLAN_ANY, /* no table, or reference tables only: any shard, preferably the one already in use
                  */
    SY_PLAN_FEDERATE, /* the federating database reads all shards; `refusal` says why nothing
                         simpler does */
    SY_PLAN_ROUTER,   /* the session itself answers or tracks (BEGIN, SET, PREPARE, ...): see the
                         statement's kind */
    SY_PLAN_REFUSED,  /* `refusal` says why */
};

enum sy_role { SY_ROLE_PRIMARY, SY_ROLE_REPLICA /* a replica may serve it */ };

struct sy_plan {
    enum sy_plan_kind kind;
    enum sy_role role;
    struct sy_shard_set shards;
    uint32_t shard;       /* SINGLE; FEDERATE: the number of shards */
    const uint32_t *rows; /* ROWS: the shard of each row, in the arena */
    uint32_t row_count;
    uint32_t home; /* CONCAT that sets the sharding key: the only shard that may have a row for it;
                      UINT32_MAX: any */
    bool writes;
    bool maps_nowhere;     /* no row can match (a key without a shard, a contradiction): one shard
                              answers that */
    bool uses_temporary;   /* names a temporary object: only the client's own server has it */
    struct sy_err refusal; /* REFUSED; for writes to keys without a shard too (23514) */
};

/* The values of one execution. */
struct sy_plan_values {
    struct sy_slice text; /* the statement as sent; literals index into it */
    const struct sy_scan *scan;
    /* Bind parameters; NULL/0 in the simple protocol. data NULL: SQL NULL. */
    const struct sy_slice *parameters;
    uint32_t parameter_count;
    const uint16_t *parameter_formats; /* as in Bind: 0, 1 or parameter_count entries */
    uint32_t parameter_format_count;
    const uint32_t *parameter_types; /* OIDs from Parse; 0 unspecified; may be shorter */
    uint32_t parameter_type_count;
    struct sy_key_context key_context;
    bool standard_conforming_strings;
};

/* What a plan depends on. */
struct sy_plan_context {
    const struct sy_shardmap *map;
    const struct sy_schema
        *schema; /* may be NULL: nothing known, then unknown functions mean primary */
    const struct sy_config_database *database;
    const struct sy_slice
        *search_path; /* schema names in order, "$user" resolved, pg_temp left out */
    uint32_t search_path_count;
    const struct sy_slice *temporary; /* names of this session's temporary relations: they shadow */
    uint32_t temporary_count;
    const struct sy_federation *federation; /* NULL: none is configured */
};

struct sy_route; /* one per statement of the text */

/* The statement, the map, the schema and the database are borrowed for the life of the route: a
 * route lives and dies with its template and the topology epoch. search_path and temporary are read
 * only during the call. Ownership: *ret_route must be freed with sy_route_free(). Never fails for
 * what is merely unsupported: the route then evaluates to REFUSED. Errors: SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status sy_route_prepare(const struct sy_stmt *stmt,
                                              const struct sy_plan_context *context,
                                              struct sy_route **ret_route, struct sy_err *err);
void sy_route_free(struct sy_route **route);

/* `arena` only for long or escaped keys. Errors: value errors (22P02 ...) that PostgreSQL would
 * raise. */
SY_MUST_CHECK enum sy_status sy_route_eval(const struct sy_route *route,
                                           const struct sy_plan_values *values,
                                           const struct sy_hints *hints, struct sy_arena *arena,
                                           struct sy_plan *ret_plan, struct sy_err *err);

/* The shards that may have rows of its sharded tables that matter, also for a statement that is
 * refused over several shards: an upper bound. False: it cannot be told (no sharded table, a key
 * that cannot be read). `arena` as in sy_route_eval(). */
bool sy_route_matter(const struct sy_route *route, const struct sy_plan_values *values,
                     struct sy_arena *arena, struct sy_shard_set *ret_set);

/* Facts about a route that do not need values. */
/* Sizes, statistics or estimates that the one shard that is asked has of its own; in words why,
 * NULL when there are none. Static text. */
const char *sy_route_figures(const struct sy_route *route);
bool sy_route_read_only(const struct sy_route *route); /* proven: may run on a replica */
/* It writes the rows that its count tells and nothing else: where that is 0, nothing was written.
 */
bool sy_route_writes_counted(const struct sy_route *route);
bool sy_route_needs_values(
    const struct sy_route *route); /* the shard depends on literals or parameters */
bool sy_route_pins(const struct sy_route *route,
                   const char **ret_why); /* keeps the client on its server */

/* The federating database can run it. */
bool sy_route_federates(const struct sy_route *route);
/* It reads the clock, which agrees with the client's transaction only outside of a block. */
bool sy_route_federation_clock(const struct sy_route *route);
/* For a plan that turned out not to serve, with the reason in plan->refusal: FEDERATE instead.
 * false: that is not possible either, and the refusal says why. */
bool sy_route_federate(const struct sy_route *route, struct sy_plan *plan);

struct sy_copy_split_options;
/* For a route whose plan is SPLIT: what router/plan/copy_split.h needs, but for key_context. */
void sy_route_copy_options(const struct sy_route *route, struct sy_copy_split_options *ret_options);

/* Why, in words, one step a line: for EXPLAIN (ROUTE) and `switchyard explain`. */
void sy_route_explain(const struct sy_route *route, const struct sy_plan *plan, struct sy_buf *out);

#endif
