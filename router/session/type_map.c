/*
 * Types and tables whose OIDs differ between shards (enums, domains, composites): clients see those
 * of shard 0. RowDescription and ParameterDescription are rewritten in place, parameter types of
 * Parse the other way. The worker's thread.
 */
#include <arpa/inet.h>

#include "router/session/internal.h"

static const struct sy_type_map *map_of(const struct sy_part *part)
{
    const struct sy_topology_database *database = part->session->database->topology;
    if (part->shard == 0 || database == NULL || database->inspected == NULL ||
        part->shard >= database->inspected->shard_count)
        return NULL;
    const struct sy_type_map *map = &database->inspected->maps[part->shard];
    return map->type_count == 0 && map->table_count == 0 ? NULL : map;
}

bool sy_part_maps_types(const struct sy_part *part)
{
    return map_of(part) != NULL;
}

static void put_u32(char *at, uint32_t value)
{
    uint32_t wire = htonl(value);
    memcpy(at, &wire, sizeof(wire));
}

/* name, zero, table OID, attribute, type OID, size, modifier, format */
static void map_columns(const struct sy_type_map *map, char *body, size_t bytes)
{
    size_t at = 2;
    while (at < bytes) {
        const char *zero = memchr(body + at, 0, bytes - at);
        if (zero == NULL || bytes - (size_t)(zero + 1 - body) < 18)
            return;
        char *fields = body + (zero + 1 - body);
        put_u32(fields, sy_type_map_table(map, sy_u32_at(fields, 0)));
        put_u32(fields + 6, sy_type_map_type(map, sy_u32_at(fields + 6, 0)));
        at = (size_t)(fields + 18 - body);
    }
}

void sy_part_map_description(const struct sy_part *part, char type, char *body, size_t bytes)
{
    const struct sy_type_map *map = map_of(part);
    if (map == NULL || bytes < 2)
        return;
    if (type == 'T') {
        map_columns(map, body, bytes);
        return;
    }
    for (size_t at = 2; at + 4 <= bytes; at += 4)
        put_u32(body + at, sy_type_map_type(map, sy_u32_at(body + at, 0)));
}

void sy_part_map_parse(const struct sy_part *part, const uint32_t *types, uint16_t count,
                       uint32_t *ret_types)
{
    const struct sy_type_map *map = map_of(part);
    for (uint16_t i = 0; i < count; i++)
        ret_types[i] = map == NULL ? types[i] : sy_type_map_type_back(map, types[i]);
}
