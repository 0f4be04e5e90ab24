/* In what shards differ, and which of their OIDs are the same thing under another number. Pure over
 * the answers. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "router/engine/postgres/inspect_internal.h"
#include "router/plan/shardmap.h"

void inspect_differs(struct inspect_report *report, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (report->count == SY_LIMIT_SCHEMA_DIFFERENCES)
        return;
    if (report->count == report->room) {
        uint32_t room = report->room != 0 ? report->room * 2 : 16;
        const char **lines = sy_arena_calloc(report->arena, room, sizeof(*lines));
        if (lines == NULL) {
            report->failed = true;
            return;
        }
        if (report->count != 0)
            memcpy(lines, report->lines, report->count * sizeof(*lines));
        report->lines = lines;
        report->room = room;
    }
    const char *copy = sy_arena_strdup(report->arena, text);
    report->failed = report->failed || copy == NULL;
    if (copy != NULL)
        report->lines[report->count++] = copy;
}

/* ---- servers ---- */

static void compare_servers(struct inspect_report *report, const struct inspect_shard *first,
                            const struct inspect_shard *other)
{
    static const char *const what[] = {
        "server_version", NULL, "encoding", "collation", "character type", "collation version"};
    for (int i = 0; i < 6; i++) {
        const char *a = inspect_text(first, INSPECT_SERVER, 0, i),
                   *b = inspect_text(other, INSPECT_SERVER, 0, i);
        if (what[i] != NULL && strcmp(a, b) != 0)
            inspect_differs(report, "%s of shard %s is %s, of shard %s %s", what[i], first->name, a,
                            other->name, b);
    }
}

/* ---- tables ---- */

static void compare_columns(struct inspect_report *report, const struct inspect_shard *first, int a,
                            const struct inspect_shard *other, int b)
{
    const char *table = inspect_text(first, INSPECT_RELATIONS, a, 0);
    if (first->column_count[a] != other->column_count[b]) {
        inspect_differs(report, "table %s has %d columns on shard %s and %d on shard %s", table,
                        first->column_count[a], first->name, other->column_count[b], other->name);
        return;
    }
    for (int i = 0; i < first->column_count[a]; i++) {
        int x = first->first_column[a] + i, y = other->first_column[b] + i;
        const char *name = inspect_text(first, INSPECT_COLUMNS, x, 1),
                   *type = inspect_text(first, INSPECT_COLUMNS, x, 9);
        const char *name2 = inspect_text(other, INSPECT_COLUMNS, y, 1),
                   *type2 = inspect_text(other, INSPECT_COLUMNS, y, 9);
        if (strcmp(name, name2) != 0 || strcmp(type, type2) != 0)
            inspect_differs(report,
                            "column %d of table %s is %s %s on shard %s and %s %s on shard %s",
                            i + 1, table, name, type, first->name, name2, type2, other->name);
        else if (strcmp(inspect_text(first, INSPECT_COLUMNS, x, 7),
                        inspect_text(other, INSPECT_COLUMNS, y, 7)) != 0)
            inspect_differs(
                report, "column %s of table %s is generated on one of the shards %s and %s only",
                name, table, first->name, other->name);
    }
}

/* Tables that each shard must have: sharded and reference tables. */
static void compare_declared(struct inspect_report *report,
                             const struct sy_topology_database *database,
                             const struct inspect_shard *shard)
{
    uint32_t index = sy_shardmap_find_shard(database->map, sy_slice_of(shard->name));
    for (uint32_t i = 0; i < sy_shardmap_table_count(database->map); i++) {
        const struct sy_map_table *table = sy_shardmap_table(database->map, i);
        bool here = table->placement == SY_TABLE_REFERENCE ||
                    (table->placement == SY_TABLE_LOCAL && table->shard == index);
        if (table->placement == SY_TABLE_SHARDED)
            here = sy_shard_set_has(&sy_shardmap_keyspace(database->map, table->keyspace)->shards,
                                    index);
        if (!here)
            continue;
        bool found = false;
        int count = PQntuples(shard->results[INSPECT_RELATIONS]);
        for (int row = 0; row < count && !found; row++)
            found = sy_slice_eq(table->schema,
                                sy_slice_of(inspect_text(shard, INSPECT_RELATIONS, row, 1))) &&
                    sy_slice_eq(table->name,
                                sy_slice_of(inspect_text(shard, INSPECT_RELATIONS, row, 2)));
        if (!found)
            inspect_differs(report, "table %.*s.%.*s is declared, but shard %s does not have it",
                            (int)table->schema.bytes, table->schema.data, (int)table->name.bytes,
                            table->name.data, shard->name);
    }
}

static bool is_table(const char *kind)
{
    return strchr("rpmvf", kind[0]) != NULL;
}

static void compare_tables(struct inspect_report *report,
                           const struct sy_topology_database *database,
                           const struct inspect_shard *first, const struct inspect_shard *other)
{
    int count = PQntuples(first->results[INSPECT_RELATIONS]);
    for (int a = 0; a < count; a++) {
        const char *schema = inspect_text(first, INSPECT_RELATIONS, a, 1);
        if (!is_table(inspect_text(first, INSPECT_RELATIONS, a, 4)) ||
            strcmp(schema, "pg_catalog") == 0 || strcmp(schema, "information_schema") == 0)
            continue;
        const struct sy_map_table *table =
            sy_shardmap_find_table(database->map, sy_slice_of(schema),
                                   sy_slice_of(inspect_text(first, INSPECT_RELATIONS, a, 2)));
        int b = inspect_find(&other->relations, inspect_text(first, INSPECT_RELATIONS, a, 0));
        if (b >= 0 && (table == NULL || table->placement != SY_TABLE_LOCAL))
            compare_columns(report, first, a, other, b);
    }
}

static void compare_types(struct inspect_report *report, const struct inspect_shard *first,
                          const struct inspect_shard *other)
{
    int count = PQntuples(first->results[INSPECT_TYPES]);
    for (int a = 0; a < count; a++) {
        const char *key = inspect_text(first, INSPECT_TYPES, a, 0),
                   *what = inspect_text(first, INSPECT_TYPES, a, 3);
        int b = inspect_find(&other->types, key);
        if (b >= 0 && strcmp(what, inspect_text(other, INSPECT_TYPES, b, 3)) != 0)
            inspect_differs(report, "type %s is (%.100s) on shard %s and (%.100s) on shard %s", key,
                            what, first->name, inspect_text(other, INSPECT_TYPES, b, 3),
                            other->name);
        else if (b < 0 && strncmp(what, "composite", 9) != 0)
            inspect_differs(report, "type %s exists on shard %s, but not on shard %s", key,
                            first->name, other->name);
    }
}

/* ---- sequences ---- */

static long long number(const struct inspect_shard *shard, int row, int column)
{
    return strtoll(inspect_text(shard, INSPECT_SEQUENCES, row, column), NULL, 10);
}

/* They give values that the other one gives, too: router/plan/sequence.h. */
static bool count_alike(const struct inspect_shard *first, int a, const struct inspect_shard *other,
                        int b)
{
    long long step = number(first, a, 1);
    if (step != number(other, b, 1) || (step >= -1 && step <= 1))
        return true;
    return (number(first, a, 2) % step - number(other, b, 2) % step) % step == 0;
}

static bool is_told(const struct inspect_report *report, const char *key)
{
    char begin[200];
    snprintf(begin, sizeof(begin), "sequence %s of ", key);
    for (uint32_t i = 0; i < report->count; i++)
        if (strncmp(report->lines[i], begin, strlen(begin)) == 0)
            return true;
    return false;
}

static void compare_sequences(struct inspect_report *report,
                              const struct sy_topology_database *database,
                              const struct inspect_shard *first, const struct inspect_shard *other)
{
    int mine = PQntuples(first->results[INSPECT_SEQUENCES]),
        theirs = PQntuples(other->results[INSPECT_SEQUENCES]);
    for (int a = 0, b = 0; a < mine; a++) { /* both are in order */
        const char *key = inspect_text(first, INSPECT_SEQUENCES, a, 0),
                   *schema = inspect_text(first, INSPECT_SEQUENCES, a, 3),
                   *name = inspect_text(first, INSPECT_SEQUENCES, a, 4);
        while (b < theirs && strcmp(inspect_text(other, INSPECT_SEQUENCES, b, 0), key) < 0)
            b++;
        if (b == theirs || strcmp(inspect_text(other, INSPECT_SEQUENCES, b, 0), key) != 0)
            continue;
        const struct sy_map_table *table =
            sy_shardmap_find_table(database->map, sy_slice_of(schema), sy_slice_of(name));
        if (table != NULL && table->placement == SY_TABLE_SHARDED &&
            count_alike(first, a, other, b) && !is_told(report, key))
            inspect_differs(report,
                            "sequence %s of table %s.%s gives the same values on shards %s and "
                            "%s; this spreads it: ALTER SEQUENCE %s RESTART WITH a value above "
                            "all in use",
                            key, schema, name, first->name, other->name, key);
    }
}

void inspect_compare(struct inspect_report *report, const struct sy_topology_database *database,
                     const struct inspect_shard *first, const struct inspect_shard *other)
{
    compare_declared(report, database, other);
    if (first == other)
        return;
    compare_servers(report, first, other);
    compare_tables(report, database, first, other);
    compare_types(report, first, other);
    compare_sequences(report, database, first, other);
}

/* ---- OIDs ---- */

static int by_from(const void *a, const void *b)
{
    const struct sy_oid_pair *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

static void add_type(struct sy_oid_pair *forth, uint32_t *forth_count, struct sy_oid_pair *back,
                     uint32_t *back_count, struct sy_oid_pair pair)
{
    if (pair.from == pair.to || pair.from == 0)
        return;
    forth[(*forth_count)++] = pair;
    if (pair.to != 0)
        back[(*back_count)++] = (struct sy_oid_pair){pair.to, pair.from};
}

/* A type of shard 0 that the other lacks must not be sent there under its number, which may be
 * another type's. */
static void add_missing(const struct inspect_shard *first, const struct inspect_shard *other,
                        struct sy_oid_pair *back, uint32_t *back_count)
{
    int count = PQntuples(first->results[INSPECT_TYPES]);
    for (int a = 0; a < count; a++) {
        if (inspect_find(&other->types, inspect_text(first, INSPECT_TYPES, a, 0)) >= 0)
            continue;
        for (int column = 1; column <= 2; column++) {
            uint32_t oid = inspect_oid(first, INSPECT_TYPES, a, column);
            if (oid != 0)
                back[(*back_count)++] = (struct sy_oid_pair){oid, 0};
        }
    }
}

static bool map_types(struct sy_arena *arena, const struct inspect_shard *first,
                      const struct inspect_shard *other, struct sy_type_map *ret_map)
{
    int count = PQntuples(other->results[INSPECT_TYPES]),
        mine = PQntuples(first->results[INSPECT_TYPES]);
    struct sy_oid_pair *forth = sy_arena_calloc(arena, 2 * (size_t)count + 1, sizeof(*forth));
    struct sy_oid_pair *back =
        sy_arena_calloc(arena, 2 * ((size_t)count + (size_t)mine) + 1, sizeof(*back));
    uint32_t forth_count = 0, back_count = 0;
    if (forth == NULL || back == NULL)
        return false;
    for (int b = 0; b < count; b++) {
        int a = inspect_find(&first->types, inspect_text(other, INSPECT_TYPES, b, 0));
        for (int column = 1; column <= 2; column++) {
            struct sy_oid_pair pair = {inspect_oid(other, INSPECT_TYPES, b, column),
                                       a < 0 ? 0 : inspect_oid(first, INSPECT_TYPES, a, column)};
            add_type(forth, &forth_count, back, &back_count, pair);
        }
    }
    add_missing(first, other, back, &back_count);
    qsort(forth, forth_count, sizeof(*forth), by_from);
    qsort(back, back_count, sizeof(*back), by_from);
    ret_map->types = forth;
    ret_map->type_count = forth_count;
    ret_map->types_back = back;
    ret_map->back_count = back_count;
    return true;
}

static int by_oid(const void *a, const void *b)
{
    const struct sy_type_shape *x = a, *y = b;
    return x->oid < y->oid ? -1 : x->oid > y->oid;
}

bool inspect_map_shapes(struct sy_arena *arena, const struct inspect_shard *shard,
                        struct sy_type_map *ret_map)
{
    int count = PQntuples(shard->results[INSPECT_TYPES]);
    struct sy_type_shape *shapes = sy_arena_calloc(arena, 2 * (size_t)count + 1, sizeof(*shapes));
    uint32_t used = 0;
    if (shapes == NULL)
        return false;
    for (int row = 0; row < count; row++) {
        uint32_t oid = inspect_oid(shard, INSPECT_TYPES, row, 1),
                 array = inspect_oid(shard, INSPECT_TYPES, row, 2),
                 inner = inspect_oid(shard, INSPECT_TYPES, row, 5);
        if (array != 0)
            shapes[used++] = (struct sy_type_shape){array, SY_SHAPE_ARRAY, oid};
        switch (inspect_text(shard, INSPECT_TYPES, row, 4)[0]) {
        case 'c':
            shapes[used++] = (struct sy_type_shape){oid, SY_SHAPE_RECORD, 0};
            break;
        case 'd':
            shapes[used++] = (struct sy_type_shape){oid, SY_SHAPE_DOMAIN, inner};
            break;
        case 'r':
            shapes[used++] = (struct sy_type_shape){oid, SY_SHAPE_RANGE, inner};
            break;
        case 'm':
            shapes[used++] = (struct sy_type_shape){oid, SY_SHAPE_MULTIRANGE, inner};
            break;
        default: /* base types and enums hold no OIDs */
            break;
        }
    }
    qsort(shapes, used, sizeof(*shapes), by_oid);
    ret_map->shapes = shapes;
    ret_map->shape_count = used;
    return true;
}

bool inspect_map_oids(struct sy_arena *arena, const struct inspect_shard *first,
                      const struct inspect_shard *other, struct sy_type_map *ret_map)
{
    int count = PQntuples(other->results[INSPECT_RELATIONS]);
    struct sy_oid_pair *tables = sy_arena_calloc(arena, (size_t)count + 1, sizeof(*tables));
    uint32_t table_count = 0;
    if (tables == NULL || !map_types(arena, first, other, ret_map))
        return false;
    for (int b = 0; b < count; b++) {
        int a = inspect_find(&first->relations, inspect_text(other, INSPECT_RELATIONS, b, 0));
        uint32_t from = inspect_oid(other, INSPECT_RELATIONS, b, 3);
        uint32_t to = a < 0 ? from : inspect_oid(first, INSPECT_RELATIONS, a, 3);
        if (from != to)
            tables[table_count++] = (struct sy_oid_pair){from, to};
    }
    qsort(tables, table_count, sizeof(*tables), by_from);
    ret_map->tables = tables;
    ret_map->table_count = table_count;
    return true;
}
