/*
 * Prepared statements on both sides of the router.
 *
 * struct sy_statement: a statement as some client prepared it (text, parameter types), interned per
 * worker, so that clients that prepare the same share one; its id names it on servers ("sy_17").
 * struct sy_prepared_set: which of them one server has, bounded, least recently used first out. Ids
 * are never reused, so a name on a server never means anything else than what it meant when it was
 * prepared there.
 *
 * Thread: everything here belongs to one worker.
 */
#ifndef SY_ROUTER_SESSION_PREPARED_H
#define SY_ROUTER_SESSION_PREPARED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"
#include "parser/parser.h"

struct sy_statement_registry {
    struct sy_map statements; /* by key */
    uint64_t last_id;
    struct sy_parser *parser; /* borrowed: templates are given back to it */
};

struct sy_statement {
    struct sy_statement_registry *registry;
    uint64_t id;
    uint32_t refs;
    uint16_t type_count;
    bool by_sql;         /* PREPARE name(types) AS ...: types are words, in sql_types */
    struct sy_slice key; /* environment, types, text */
    struct sy_slice text;
    struct sy_slice sql_types; /* "(int, text)" or empty */
    uint32_t *types;           /* OIDs as declared by the client, 0: unspecified */
    /* What the parser said of the text; facts through template. */
    struct sy_template *template;
    struct sy_scan scan; /* with its own copy of the literals */
    /* What servers said of it, in the OIDs that clients are told; type_map.c. */
    uint32_t *learned; /* types of its parameters; NULL: never asked */
    uint16_t learned_count;
    uint64_t plain_epoch; /* of the topology in which no column held OIDs to be mapped; 0: none */
    /* What shards are sent instead when the router combines their rows; the last one made.
     * Reference. */
    struct sy_statement *rewritten;
};

struct sy_statement_key {
    struct sy_slice text, sql_types;
    const uint32_t *types;
    uint16_t type_count;
    bool by_sql;
    uint64_t environment; /* struct sy_parse_settings.environment */
};

void sy_statement_registry_release(struct sy_statement_registry *registry);
/*
 * Finds or makes; parses when it is new. *ret_statement is referenced for the caller.
 * Errors: those of sy_parser_parse(); SY_E_SYNTAX when the text holds several statements.
 */
SY_MUST_CHECK enum sy_status sy_statement_intern(struct sy_statement_registry *registry,
                                                 const struct sy_statement_key *key,
                                                 const struct sy_parse_settings *settings,
                                                 struct sy_statement **ret_statement,
                                                 struct sy_err *err);
static inline struct sy_statement *sy_statement_ref(struct sy_statement *statement)
{
    statement->refs++;
    return statement;
}
void sy_statement_unref(struct sy_statement **statement);

/* What servers told of the parameters of `from`, whose parameters are the same. */
void sy_statement_learn_from(struct sy_statement *statement, const struct sy_statement *from);

enum { SY_STATEMENT_NAME_BYTES = 24 };
/* "sy_<id>"; returns its length. */
uint32_t sy_statement_name(uint64_t id, char buffer[static SY_STATEMENT_NAME_BYTES]);

/* ---- what one server has ---- */

struct sy_prepared_entry {
    struct sy_list link; /* least recently used first */
    uint64_t id;
    bool closing; /* a Close was sent and is not answered yet */
};

struct sy_prepared_set {
    struct sy_map entries; /* by id */
    struct sy_list used;
    bool ready; /* `used` is initialised: an all-zero set is empty */
};

void sy_prepared_set_release(struct sy_prepared_set *set);
/* Forgets everything (DISCARD ALL, DEALLOCATE ALL ran on the server). */
void sy_prepared_set_clear(struct sy_prepared_set *set);
uint32_t sy_prepared_set_count(const struct sy_prepared_set *set);
/* True when the server has it; counts as a use. */
bool sy_prepared_set_touch(struct sy_prepared_set *set, uint64_t id);
SY_MUST_CHECK enum sy_status sy_prepared_set_add(struct sy_prepared_set *set, uint64_t id,
                                                 struct sy_err *err);
void sy_prepared_set_remove(struct sy_prepared_set *set, uint64_t id);
/* The least recently used one that is not being closed already, marked as closing; false: none. */
bool sy_prepared_set_evict(struct sy_prepared_set *set, uint64_t *ret_id);
/* The Close was answered: gone, unless it was prepared again behind it. */
void sy_prepared_set_closed(struct sy_prepared_set *set, uint64_t id);
/* The Close was skipped by the server after an error: the statement is still there. */
void sy_prepared_set_keep(struct sy_prepared_set *set, uint64_t id);

#endif
