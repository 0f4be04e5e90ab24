/* OID translation between shards: OIDs themselves, and those inside binary values. Pure. */
#include <arpa/inet.h>
#include <string.h>

#include "router/topology/topology.h"

static uint32_t find(const struct sy_oid_pair *pairs, uint32_t count, uint32_t from)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (pairs[middle].from == from)
            return pairs[middle].to;
        if (pairs[middle].from < from)
            low = middle + 1;
        else
            high = middle;
    }
    return from;
}

enum { FIRST_USER_OID = 16384 }; /* PostgreSQL: FirstNormalObjectId */

uint32_t sy_type_map_type(const struct sy_type_map *map, uint32_t shard_oid)
{
    if (map == NULL || shard_oid < FIRST_USER_OID)
        return shard_oid;
    return map->unread ? 0 : find(map->types, map->type_count, shard_oid);
}

uint32_t sy_type_map_type_back(const struct sy_type_map *map, uint32_t canonical_oid)
{
    if (map == NULL || canonical_oid < FIRST_USER_OID)
        return canonical_oid;
    return map->unread ? 0 : find(map->types_back, map->back_count, canonical_oid);
}

uint32_t sy_type_map_table(const struct sy_type_map *map, uint32_t shard_oid)
{
    return map == NULL ? shard_oid : find(map->tables, map->table_count, shard_oid);
}

/* ---- inside values ---- */

enum {
    DEPTH_MAX = 32, /* of types within types */
    RECORD_OID = 2249,
    RECORD_ARRAY_OID = 2287,
    ARRAY_DIMENSIONS_MAX = 6, /* PostgreSQL: MAXDIM */
    RANGE_EMPTY = 0x01,       /* PostgreSQL: rangetypes.h */
    RANGE_LOWER_INFINITE = 0x08,
    RANGE_UPPER_INFINITE = 0x10,
    RANGE_LOWER_NULL = 0x20,
    RANGE_UPPER_NULL = 0x40,
};

static const struct sy_type_shape record = {.oid = RECORD_OID, .kind = SY_SHAPE_RECORD};
static const struct sy_type_shape records = {
    .oid = RECORD_ARRAY_OID, .kind = SY_SHAPE_ARRAY, .inner = RECORD_OID};

static const struct sy_type_shape *shape_of(const struct sy_value_map *map, uint32_t type)
{
    if (type < FIRST_USER_OID)
        return type == RECORD_OID ? &record : type == RECORD_ARRAY_OID ? &records : NULL;
    uint32_t low = 0, high = map->shapes->shape_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct sy_type_shape *shape = &map->shapes->shapes[middle];
        if (shape->oid == type)
            return shape;
        if (shape->oid < type)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static uint32_t translated(const struct sy_value_map *map, uint32_t oid)
{
    return map->back ? sy_type_map_type_back(map->oids, oid) : sy_type_map_type(map->oids, oid);
}

static bool concerns(const struct sy_value_map *map, uint32_t type, int depth)
{
    const struct sy_type_shape *shape = shape_of(map, type);
    if (shape == NULL)
        return false;
    if (depth == DEPTH_MAX || shape->kind == SY_SHAPE_RECORD)
        return true;
    if (shape->kind == SY_SHAPE_ARRAY && translated(map, shape->inner) != shape->inner)
        return true;
    return concerns(map, shape->inner, depth + 1);
}

bool sy_value_map_concerns(const struct sy_value_map *map, uint32_t type)
{
    if (map->oids == NULL || (map->oids->type_count == 0 && map->oids->back_count == 0))
        return false;
    return concerns(map, type, 0);
}

/* The rest of a value. */
struct rest {
    char *data;
    size_t bytes;
};

static bool take_u32(struct rest *rest, uint32_t *ret_value)
{
    if (rest->bytes < 4)
        return false;
    memcpy(ret_value, rest->data, 4);
    *ret_value = ntohl(*ret_value);
    rest->data += 4;
    rest->bytes -= 4;
    return true;
}

static bool apply(const struct sy_value_map *map, uint32_t type, struct rest value, int depth);

/* A length and so many bytes of a value; or -1, NULL. */
static bool apply_next(const struct sy_value_map *map, uint32_t type, struct rest *rest, int depth)
{
    uint32_t bytes;
    if (!take_u32(rest, &bytes))
        return false;
    if (bytes == UINT32_MAX)
        return true;
    if (bytes > rest->bytes)
        return false;
    struct rest value = {rest->data, bytes};
    rest->data += bytes;
    rest->bytes -= bytes;
    return apply(map, type, value, depth);
}

static bool apply_oid(const struct sy_value_map *map, struct rest *rest, uint32_t *ret_from)
{
    char *at = rest->data;
    if (!take_u32(rest, ret_from))
        return false;
    uint32_t to = translated(map, *ret_from), wire = htonl(to);
    memcpy(at, &wire, sizeof(wire));
    return to != 0 || *ret_from == 0;
}

/* Dimensions, flags, element type; per dimension length and lower bound; elements. */
static bool apply_array(const struct sy_value_map *map, struct rest rest, int depth)
{
    uint32_t dimensions, flags, element, length, bound;
    if (!take_u32(&rest, &dimensions) || dimensions > ARRAY_DIMENSIONS_MAX ||
        !take_u32(&rest, &flags) || !apply_oid(map, &rest, &element))
        return false;
    for (uint32_t i = 0; i < dimensions; i++)
        if (!take_u32(&rest, &length) || !take_u32(&rest, &bound))
            return false;
    if (shape_of(map, element) == NULL)
        return true; /* nothing inside its elements */
    while (rest.bytes > 0)
        if (!apply_next(map, element, &rest, depth))
            return false;
    return true;
}

static bool apply_record(const struct sy_value_map *map, struct rest rest, int depth)
{
    uint32_t fields, type;
    if (!take_u32(&rest, &fields))
        return false;
    for (uint32_t i = 0; i < fields; i++)
        if (!apply_oid(map, &rest, &type) || !apply_next(map, type, &rest, depth))
            return false;
    return rest.bytes == 0;
}

static bool apply_range(const struct sy_value_map *map, uint32_t inner, struct rest rest, int depth)
{
    if (rest.bytes == 0)
        return false;
    uint8_t flags = (uint8_t)*rest.data;
    rest.data++;
    rest.bytes--;
    bool empty = (flags & RANGE_EMPTY) != 0;
    bool lower = !empty && (flags & (RANGE_LOWER_INFINITE | RANGE_LOWER_NULL)) == 0;
    bool upper = !empty && (flags & (RANGE_UPPER_INFINITE | RANGE_UPPER_NULL)) == 0;
    return (!lower || apply_next(map, inner, &rest, depth)) &&
           (!upper || apply_next(map, inner, &rest, depth)) && rest.bytes == 0;
}

static bool apply_multirange(const struct sy_value_map *map, uint32_t inner, struct rest rest,
                             int depth)
{
    uint32_t count;
    if (!take_u32(&rest, &count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!apply_next(map, inner, &rest, depth))
            return false;
    return rest.bytes == 0;
}

static bool apply(const struct sy_value_map *map, uint32_t type, struct rest value, int depth)
{
    const struct sy_type_shape *shape = shape_of(map, type);
    if (shape == NULL)
        return true;
    if (depth == DEPTH_MAX)
        return false;
    switch (shape->kind) {
    case SY_SHAPE_ARRAY:
        return apply_array(map, value, depth + 1);
    case SY_SHAPE_RECORD:
        return apply_record(map, value, depth + 1);
    case SY_SHAPE_RANGE:
        return apply_range(map, shape->inner, value, depth + 1);
    case SY_SHAPE_MULTIRANGE:
        return apply_multirange(map, shape->inner, value, depth + 1);
    case SY_SHAPE_DOMAIN:
        return apply(map, shape->inner, value, depth + 1);
    default:
        return false;
    }
}

bool sy_value_map_apply(const struct sy_value_map *map, uint32_t type, char *data, size_t bytes)
{
    return apply(map, type, (struct rest){data, bytes}, 0);
}
