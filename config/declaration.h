/*
 * Declarations of keyspaces and tables as statements, for those that are made while the router
 * runs:
 *
 *     CREATE KEYSPACE authors HASH (int8) [ON (s0, s1)]
 *     CREATE KEYSPACE events RANGE (timestamptz) (s0 UPTO '2026-01-01', s1)
 *     CREATE KEYSPACE kinds LIST (text) (s0 VALUES ('a', 'b'), s1 DEFAULT)
 *     CREATE KEYSPACE people GEO (text [, int8]) (eu VALUES ('DE', 'FR') ON (s0), "default" ON
 * (s1)) DROP KEYSPACE authors SHARD TABLE posts BY author_id [, second] IN authors [PER SHARD
 * CONSTRAINTS (a, b)] REFERENCE TABLE tags LOCAL TABLE audit ON s0 UNSHARD TABLE posts
 *
 * each with FOR DATABASE name behind it where the place does not tell. Names are read as in SQL:
 * folded to lower case unless quoted; a table without a schema is in public. None of these begins a
 * statement of PostgreSQL. The catalog keeps the text that sy_declaration_write() makes. Pure.
 */
#ifndef SY_CONFIG_DECLARATION_H
#define SY_CONFIG_DECLARATION_H

#include "base/slice.h"
#include "config/config.h"

enum sy_declaration_kind {
    SY_DECLARE_KEYSPACE,
    SY_DECLARE_DROP_KEYSPACE,
    SY_DECLARE_SHARDED,
    SY_DECLARE_REFERENCE,
    SY_DECLARE_LOCAL,
    SY_DECLARE_UNSHARD,
};

struct sy_declaration {
    enum sy_declaration_kind kind;
    const char *database;                       /* NULL: not said */
    const char *schema, *name;                  /* schema NULL: a keyspace */
    struct sy_config_keyspace keyspace;         /* KEYSPACE: what it is, without tables */
    const char *keyspace_name, *key, *hash_key; /* SHARDED; hash_key may be NULL */
    const char **per_shard_constraints;
    uint32_t per_shard_constraint_count;
    const char *shard; /* LOCAL */
};

/* The statement begins like a declaration. Cheap: looks at its first two words. */
bool sy_declaration_begins(struct sy_slice text);
/* "SHARD TABLE": of CommandComplete. */
const char *sy_declaration_tag(enum sy_declaration_kind kind);
/* Everything lives in `arena`. Errors: SY_E_SYNTAX with the position, SY_E_LIMIT. */
SY_MUST_CHECK enum sy_status sy_declaration_parse(struct sy_slice text, struct sy_arena *arena,
                                                  struct sy_declaration *ret_declaration,
                                                  struct sy_err *err);
/* The statement that says the same, in one form and without FOR DATABASE. Two keyspaces are the
 * same if their texts are. */
void sy_declaration_write(const struct sy_declaration *declaration, struct sy_buf *out);

#endif
