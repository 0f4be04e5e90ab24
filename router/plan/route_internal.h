/*
 * A route: what is known of a template's statement before its values are. Made by route.c and its
 * helpers, read by eval.c and explain.c. Private to plan.
 */
#ifndef SY_ROUTER_PLAN_ROUTE_INTERNAL_H
#define SY_ROUTER_PLAN_ROUTE_INTERNAL_H

#include "router/plan/plan.h"
#include "router/plan/value.h"

enum use_kind {
    USE_SHARDED,
    USE_REFERENCE,
    USE_LOCAL,     /* on `shard` */
    USE_CATALOG,   /* system catalogs, sequences: answered by shard 0, always the same */
    USE_TEMPORARY, /* on the client's own server */
    USE_MISSING,   /* the schema is known and has no such relation */
    USE_UNPLACED,  /* exists or will exist, but no declaration and no default says where */
};

/* One occurrence of a table, resolved; the same index as in stmt->tables. */
struct use {
    enum use_kind kind;
    uint32_t shard;
    const struct sy_map_table *table;          /* declared; NULL else */
    const struct sy_schema_relation *relation; /* NULL: not known */
    bool is_view_on_sharded, is_view_on_reference;
    bool is_monitoring; /* its contents differ on a standby */
};

/* Whatever confines table use `from` confines `to`. */
struct edge {
    int32_t from, to;
};

/* The key columns of an INSERT into a sharded table. */
struct insert_rows {
    const struct sy_insert *insert;
    int32_t use;
    int32_t key_column,
        hash_column; /* position in a row (of VALUES, or of the query's outputs); -1: none */
    bool follows;    /* INSERT ... SELECT: an edge from the source's key says where the rows go */
    struct sy_value_target key_target, hash_target;
};

/* An assignment to a key column. */
struct key_assignment {
    int32_t use;
    bool is_hash_key;
    const struct sy_assignment *assignment;
};

struct sy_route {
    struct sy_arena arena;
    const struct sy_stmt *outer; /* the statement */
    const struct sy_stmt
        *stmt; /* the one that decides: the inner of EXPLAIN, DECLARE, COPY (query) */
    const struct sy_shardmap *map;
    const struct sy_schema *schema;
    const struct sy_config_database *database;
    bool sharded; /* more than one shard */

    struct use *uses; /* stmt->table_count */
    struct edge *edges;
    uint32_t edge_count, edge_max;
    struct insert_rows *inserts;
    uint32_t insert_count;
    struct key_assignment *key_assignments;
    uint32_t key_assignment_count;
    uint32_t keyspace; /* the only one involved; UINT32_MAX: none or several */

    bool read_only, writes, uses_temporary;
    bool calls_writer;     /* a function that may write, whatever the statement does */
    bool uses_fixed_shard; /* something besides the tables lives on fixed_shard only */
    uint32_t fixed_shard;
    bool conflicts;   /* ... and something else on another: refused */
    const char *pins; /* why the client must stay on its server; NULL: it need not */
    bool needs_values;
    bool makes_ids;        /* calls switchyard.next_id(): fresh.h */
    bool is_fixed;         /* `plan` is the answer, whatever the values */
    bool hint_cannot_help; /* REFUSED whatever a hint says */
    struct sy_plan plan;

    /* Writes on several shards, which scatter.h writes down for each. */
    bool freezes;        /* something in it is evaluated once and sent as a value */
    bool splits;         /* INSERT ... VALUES: each shard is sent its own rows */
    bool recalls;        /* calls currval() or lastval() */
    bool sets_sequences; /* setval() on all shards: sequence_set.c */
    bool spreads; /* DDL: sequences of it count in steps of their own on each shard: sequence.c */

    /* Several shards: NULL when their rows may be appended, else what would have to be combined. */
    const char *combine;
    int32_t root; /* the table use whose shards are asked then */
    bool merges;  /* ... but put in order or combined: combine.c */

    const char *figures; /* why the answer is one shard's own; NULL: it is not, or nobody minds */
    bool adds_sizes;     /* sizes of several shards, added up: combine_size.c */

    /* The last step: another server joins the rows. */
    const struct sy_federation *federation; /* NULL: none is configured */
    const char *no_federation;              /* why the statement is not for it; NULL: it is */
    bool federation_clock;
    bool spread_refused; /* `plan` is a refusal only because rows of several shards take part */

    /* COPY FROM. */
    int32_t copy_key, copy_hash_key;
    uint32_t copy_columns;

    /* One table, `key = value` and nothing else to look at: the hot path. */
    const struct sy_value *fast_value;
    struct sy_value_target fast_target;
};

/* Everything that preparing needs. */
struct prepare {
    struct sy_route *route;
    const struct sy_plan_context *context;
    struct sy_err *err;
};

/* resolve.c */
void sy_route_resolve(struct prepare *p, const struct sy_table_use *table, bool creates,
                      struct use *ret_use);
bool sy_route_is_safe(const struct sy_config_database *database, struct sy_slice schema,
                      struct sy_slice name);
/* route_ddl.c: a table that nobody declared, where there is no default placement. `use`: index. */
void sy_route_refuse_undeclared(struct sy_route *route, int32_t use);
/* A key column of a use by this name. */
bool sy_use_is_key(const struct use *use, struct sy_slice column);
bool sy_use_is_hash_key(const struct use *use, struct sy_slice column);

/* fresh.c */
void sy_route_refuse_ids(struct sy_route *route);

/* function_rules.c */
/* False: refused; the plan says why. Sets uses_fixed_shard and the functions' part of read_only. */
bool sy_route_check_functions(struct prepare *p);
/* A function of users that is neither immutable nor declared safe, or one that nobody knows. */
bool sy_route_may_read_tables(const struct prepare *p, struct sy_qname name);
/* Functions whose value may differ between shards or calls: NULL when there are none. */
const char *sy_route_shard_dependent_function(const struct sy_route *route);
/* What the federating database cannot call; NULL: nothing. *ret_clock: the clock is read. */
const char *sy_route_federation_function(const struct prepare *p, bool *ret_clock);
/* What a function means to a write on several shards. */
enum sy_freeze {
    SY_FREEZE_NOT,  /* each server may call it */
    SY_FREEZE_ONCE, /* one value for the whole statement */
    SY_FREEZE_EACH, /* one value for each place where it is written, the same in all copies */
    SY_FREEZE_CANNOT,
};
/* `copies`: the write goes to all copies of a reference table, which must not differ; else to rows
 * of several shards. */
enum sy_freeze sy_route_freeze_of(const struct sy_route *route, struct sy_qname name,
                                  int32_t arg_count, bool copies);
/* The most demanding function of the statement; *ret_name: which. */
enum sy_freeze sy_route_freeze_most(const struct sy_route *route, bool copies,
                                    const char **ret_name);
/* A default that the servers would fill in: NOT when each may do so. CANNOT: the expression is not
 * known. */
enum sy_freeze sy_route_freeze_default(const struct sy_schema_column *column, bool copies);
/* The defaults that an INSERT leaves to be filled in. *ret_column: the one that demands most. */
enum sy_freeze sy_route_freeze_insert(const struct sy_route *route, const struct sy_insert *insert,
                                      bool copies, const struct sy_schema_column **ret_column);
/* Values can be asked for before the write is sent. */
bool sy_route_can_freeze(const struct sy_route *route);
bool sy_route_is_monitoring(struct sy_slice name);
/* route_order.c: the first words of a refusal if the order or place of a table's rows shows in what
 * the statement writes; NULL: it does not. */
const char *sy_route_order_dependent(const struct sy_route *route);

/* route_figures.c */
/* A built-in function that measures what one server stores. */
bool sy_route_is_size(struct sy_slice function);
void sy_route_note_figures(struct sy_route *route);
/* A SELECT of sizes alone that one shard has, or all can add up. True: the plan is made. */
bool sy_route_add_sizes(struct prepare *p);

/* Says that `shard` has something that the statement cannot do without. */
void sy_route_fix_shard(struct sy_route *route, uint32_t shard);

/* route_constraint.c. False: refused. */
bool sy_route_check_constraints(struct prepare *p);
/* route_key_column.c. False: refused. */
bool sy_route_check_key_columns(struct prepare *p);

/* sequence_set.c: setval(). A statement without tables is planned; true. */
bool sy_route_set_sequences(struct sy_route *route);
/* In one with sharded tables it is refused, as are currval() and lastval(); true. */
bool sy_route_refuse_sequence_calls(struct sy_route *route);
void sy_route_note_recalls(struct sy_route *route);

/* sequence.c: after the plan of DDL is made, is it to be wrapped? */
void sy_route_note_sequences(struct sy_route *route);

/* route_ddl.c: statements that define or maintain. */
void sy_route_prepare_ddl(struct prepare *p);

/* route_write.c */
/* Inserts, key assignments, triggers, MERGE on sharded tables; reference-table writes. False:
 * refused. */
bool sy_route_check_writes(struct prepare *p);
bool sy_route_prepare_copy_from(struct prepare *p);
struct sy_value_target sy_route_stored_target(const struct use *use, enum sy_key_type type,
                                              struct sy_slice column);

/* route_spread.c: may the rows of several shards be appended? Sets combine and root. */
void sy_route_check_spread(struct sy_route *route);
/* Everything sharded lives beside a row of `root`; marks it in `reached`, one for each use. */
bool sy_route_reaches_all(const struct sy_route *route, int32_t root, bool *reached);
/* What keeps a table of the statement from being on every shard; NULL: nothing. */
const char *sy_route_uses_obstacle(const struct sy_route *route);

/* route_spread_write.c: the same for UPDATE, DELETE and INSERT. False: it is none of these. */
bool sy_route_check_spread_write(struct sy_route *route);

/* route_federate.c: may the federating database run it? */
void sy_route_check_federation(struct prepare *p);

/* plan_make.c: shapes of plans. */
void sy_plan_set_single(struct sy_plan *plan, uint32_t shard);
void sy_plan_set_several(struct sy_plan *plan, enum sy_plan_kind kind, struct sy_shard_set shards);
/* The refusal's message follows; add a hint with sy_err_hint(&plan->refusal, ...). */
void sy_plan_refuse(struct sy_plan *plan, enum sy_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds how to name the key of a sharded table or a shard. */
void sy_plan_hint_key(struct sy_plan *plan, const struct sy_route *route);

#endif
