/* Shared by inspect*.c; not for others. */
#ifndef SY_ROUTER_ENGINE_POSTGRES_INSPECT_INTERNAL_H
#define SY_ROUTER_ENGINE_POSTGRES_INSPECT_INTERNAL_H

#include <libpq-fe.h>

#include "base/map.h"
#include "router/engine/postgres/ask.h"
#include "router/engine/postgres/inspect.h"

/* What is asked, and the columns of the answers. */
enum inspect_query {
    INSPECT_SERVER,     /* version, version_num, encoding, collate, ctype, collation version */
    INSPECT_NAMESPACES, /* name */
    INSPECT_RELATIONS,  /* key, schema, name, oid, kind, unlogged, triggers, rls, provable,
                           calls_users */
    INSPECT_COLUMNS,    /* relation oid, name, type, type oid, typmod, default, serial, generated,
                           nondeterministic,    formatted type */
    INSPECT_DEPENDS,    /* view oid, relation oid */
    INSPECT_FUNCTIONS,  /* schema, name, volatility */
    INSPECT_TYPES,      /* key, oid, array oid, definition, typtype, inner oid */
    INSPECT_SEQUENCES,  /* key, increment, start, schema and name of the table that owns it */
    INSPECT_QUERIES
};

struct inspect_shard {
    const char *name;
    bool read;
    char why[200]; /* why not */
    PGresult *results[INSPECT_QUERIES];
    struct sy_map relations;          /* key -> row + 1 of INSPECT_RELATIONS */
    struct sy_map relations_by_oid;   /* oid text -> row + 1 */
    struct sy_map types;              /* key -> row + 1 of INSPECT_TYPES */
    int *first_column, *column_count; /* per row of INSPECT_RELATIONS: rows of INSPECT_COLUMNS */
};

/* inspect_read.c. Fills *shard; read is false, and why set, when the server could not be asked. */
void inspect_read(struct inspect_shard *shard, const struct sy_node *node);
void inspect_release(struct inspect_shard *shard);
static inline const char *inspect_text(const struct inspect_shard *shard, enum inspect_query query,
                                       int row, int column)
{
    return pg_value(shard->results[query], row, column);
}
static inline uint32_t inspect_oid(const struct inspect_shard *shard, enum inspect_query query,
                                   int row, int column)
{
    return (uint32_t)strtoul(inspect_text(shard, query, row, column), NULL, 10);
}
/* Row of a key in one of the maps, -1: none. */
int inspect_find(const struct sy_map *map, const char *key);

/* inspect_compare.c */
struct inspect_report {
    struct sy_arena *arena;
    const char **lines;
    uint32_t count, room;
    bool failed;
};
void inspect_differs(struct inspect_report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void inspect_compare(struct inspect_report *report, const struct sy_topology_database *database,
                     const struct inspect_shard *first, const struct inspect_shard *other);
/* Fills the shapes of *ret_map, for any shard; false: out of memory. */
bool inspect_map_shapes(struct sy_arena *arena, const struct inspect_shard *shard,
                        struct sy_type_map *ret_map);
/* Fills the OIDs of *ret_map; false: out of memory. */
bool inspect_map_oids(struct sy_arena *arena, const struct inspect_shard *first,
                      const struct inspect_shard *other, struct sy_type_map *ret_map);

#endif
