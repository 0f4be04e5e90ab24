/*
 * What a federating database is made of, and the SQL that makes it. Pure: a description in, a list
 * of statements out; nothing is connected. Internal to replication.
 */
#ifndef SY_REPLICATION_FEDERATION_SCRIPT_H
#define SY_REPLICATION_FEDERATION_SCRIPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "router/plan/shardmap.h"

/* A shard as the federating server reaches it. */
struct federation_shard {
    const char *host, *hostaddr, *port, *database, *sslmode;
};

/* Who may come, and as whom they go on to a shard. */
struct federation_user {
    uint32_t shard;
    const char *local, *remote;
    const char *password; /* NULL: none is known, the shard must trust */
};

struct federation_column {
    const char *name, *type; /* type: qualified, with its modifier */
    const char *type_name;   /* pg_type.typname */
    const char *collation;   /* qualified and quoted; "": the type's own */
    bool not_null;
};

struct federation_table {
    const char *schema, *name;
    struct sy_shard_set shards; /* one: a foreign table; several: the union of its parts */
    uint32_t keyspace;          /* UINT32_MAX: not sharded */
    const char *key;            /* of a sharded table; NULL else */
    const struct federation_column *columns;
    uint32_t column_count;
};

/* DDL that a server wrote itself: a type, a view, a grant. What fails is left out. */
struct federation_object {
    const char *schema, *name; /* of a view: it can be used when it was made; NULL else */
    const char *sql;
};

struct federation_list {
    struct federation_object *items;
    uint32_t count, room;
};

struct federation_input {
    const struct sy_shardmap *map;
    bool superuser; /* the builder's role: may map users without passwords, make operator classes */
    const struct federation_shard *shards;
    uint32_t shard_count;
    const struct federation_user *users;
    uint32_t user_count;
    struct federation_list settings; /* of the database */
    struct federation_list first;    /* schemas, extensions, types, in order */
    const struct federation_table *tables;
    uint32_t table_count;
    struct federation_list views; /* in any order */
    struct federation_list last;  /* grants */
};

enum federation_need {
    FEDERATION_MUST,  /* a failure ends the attempt */
    FEDERATION_MAY,   /* what fails is absent */
    FEDERATION_AGAIN, /* the same, but tried again as long as others of the kind succeed */
};

struct federation_step {
    enum federation_need need;
    bool kept; /* schemas, extensions, types: not made again while the list of them is the same */
    const char *schema, *name; /* the relation that exists when the step succeeded; NULL: none */
    const char *sql;
};

struct federation_script {
    struct federation_step *steps;
    uint32_t count, room;
    uint64_t version; /* of all it says: equal versions make equal databases */
    uint64_t types;   /* of the steps that are kept */
    /* What goes before the steps: everything, or all but what is kept, so that types keep their
     * OIDs, on which prepared statements depend. */
    const char *clear_all, *clear_tables;
};

/* Everything lives in the arena. Errors: SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status federation_write(const struct federation_input *input,
                                              struct sy_arena *arena,
                                              struct federation_script *ret_script,
                                              struct sy_err *err);
/* SQL of an identifier and a string, in the arena; NULL: no memory. */
const char *federation_identifier(struct sy_arena *arena, const char *name);
const char *federation_literal(struct sy_arena *arena, const char *text);
/* Appends; false: no memory. */
bool federation_list_add(struct sy_arena *arena, struct federation_list *list, const char *schema,
                         const char *name, const char *sql);

#endif
