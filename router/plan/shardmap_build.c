/*
 * From declarations to a shard map. The configuration loader reports problems with file and line;
 * what is checked here again keeps a map from ever being wrong. Boundaries of timestamptz ranges
 * without an offset are UTC.
 */
#include <stdlib.h>

#include "router/plan/key.h"
#include "router/plan/shardmap.h"
#include "router/plan/shardmap_internal.h"

static const struct sy_slice no_schema = {"", 0};

struct build {
    const struct sy_config_database *database;
    struct sy_arena *arena;
    struct sy_shardmap *map;
    struct sy_err *err;
};

static enum sy_status no_memory(struct build *b)
{
    return sy_err_set(b->err, SY_E_NO_MEMORY, "out of memory while building the shard map");
}

static struct sy_slice keep(struct build *b, const char *text)
{
    char *copy = text == NULL ? NULL : sy_arena_strdup(b->arena, text);
    return copy == NULL ? (struct sy_slice){"", 0} : sy_slice_of(copy);
}

static enum sy_status find_shard(struct build *b, const char *name, uint32_t *ret_shard)
{
    uint32_t shard =
        name == NULL ? SY_NAME_NONE : sy_shardmap_find_shard(b->map, sy_slice_of(name));
    if (shard == SY_NAME_NONE)
        return sy_err_set(b->err, SY_E_CONFIG, "database \"%s\" has no shard \"%s\"",
                          b->database->name, name == NULL ? "" : name);
    *ret_shard = shard;
    return SY_OK;
}

static enum sy_status read_key(struct build *b, enum sy_key_type type, const char *text,
                               struct sy_key *ret_key)
{
    const struct sy_key_context utc = {.time_zone = SY_SLICE("UTC"),
                                       .date_style = SY_SLICE("ISO, MDY")};
    struct sy_slice kept = keep(b, text);
    return sy_key_from_text(type, kept, &utc, ret_key, b->err) == SY_OK
               ? SY_OK
               : sy_err_set(b->err, SY_E_CONFIG, "\"%s\" is not a %s", text,
                            sy_key_type_name(type));
}

/* Buckets over `names` (all shards when there is none), as shard indexes. */
static enum sy_status assign_buckets(struct build *b, const char *const *names, uint32_t count,
                                     uint8_t **ret_bucket_shard, struct sy_shard_set *ret_shards)
{
    uint8_t owner[SY_LIMIT_BUCKETS];
    uint32_t shards[SY_LIMIT_SHARDS];
    struct sy_shard_set set = {{0}};
    uint32_t total = count == 0 ? b->map->shard_count : count;
    uint8_t *bucket_shard = sy_arena_alloc(b->arena, SY_LIMIT_BUCKETS);
    if (bucket_shard == NULL)
        return no_memory(b);
    if (total > SY_LIMIT_SHARDS)
        return sy_err_set(b->err, SY_E_CONFIG, "more than %d shards", SY_LIMIT_SHARDS);
    for (uint32_t i = 0; i < total; i++) {
        shards[i] = i;
        if (count != 0) {
            enum sy_status status = find_shard(b, names[i], &shards[i]);
            if (status != SY_OK)
                return status;
        }
        if (sy_shard_set_has(&set, shards[i]))
            return sy_err_set(b->err, SY_E_CONFIG, "shard \"%s\" is named twice", names[i]);
        sy_shard_set_add(&set, shards[i]);
    }
    sy_bucket_assign(total, owner);
    for (uint32_t i = 0; i < SY_LIMIT_BUCKETS; i++)
        bucket_shard[i] = (uint8_t)shards[owner[i]];
    *ret_bucket_shard = bucket_shard;
    *ret_shards = set;
    return SY_OK;
}

static enum sy_status build_ranges(struct build *b, const struct sy_config_keyspace *config,
                                   struct keyspace *space)
{
    space->ranges = sy_arena_calloc(b->arena, config->range_count + 1, sizeof(*space->ranges));
    if (space->ranges == NULL)
        return no_memory(b);
    for (uint32_t i = 0; i < config->range_count; i++) {
        const struct sy_config_range *range = &config->ranges[i];
        struct range_row *row = &space->ranges[i];
        enum sy_status status = find_shard(b, range->shard, &row->shard);
        row->unbounded = range->upto == NULL;
        if (status == SY_OK && !row->unbounded)
            status = read_key(b, config->type, range->upto, &row->upto);
        if (status != SY_OK)
            return status;
        if (i > 0 &&
            (space->ranges[i - 1].unbounded ||
             (!row->unbounded && sy_key_compare(&space->ranges[i - 1].upto, &row->upto) >= 0)))
            return sy_err_set(b->err, SY_E_CONFIG,
                              "the ranges of keyspace \"%s\" are not ascending", config->name);
        sy_shard_set_add(&space->info.shards, row->shard);
        space->range_count++;
    }
    return SY_OK;
}

static int by_key(const void *a, const void *b)
{
    return sy_key_compare(&((const struct value_row *)a)->key, &((const struct value_row *)b)->key);
}

static enum sy_status sort_values(struct build *b, const struct sy_config_keyspace *config,
                                  struct keyspace *space)
{
    if (space->value_count > 1)
        qsort(space->values, space->value_count, sizeof(*space->values), by_key);
    for (uint32_t i = 1; i < space->value_count; i++)
        if (by_key(&space->values[i - 1], &space->values[i]) == 0)
            return sy_err_set(b->err, SY_E_CONFIG, "a value is listed twice in keyspace \"%s\"",
                              config->name);
    return SY_OK;
}

static enum sy_status build_lists(struct build *b, const struct sy_config_keyspace *config,
                                  struct keyspace *space)
{
    size_t total = 0;
    for (uint32_t i = 0; i < config->list_count; i++)
        total += config->lists[i].value_count;
    space->values = sy_arena_calloc(b->arena, total + 1, sizeof(*space->values));
    if (space->values == NULL)
        return no_memory(b);
    for (uint32_t i = 0; i < config->list_count; i++) {
        const struct sy_config_list_value *list = &config->lists[i];
        uint32_t shard = 0;
        enum sy_status status = find_shard(b, list->shard, &shard);
        for (uint32_t v = 0; status == SY_OK && v < list->value_count; v++) {
            struct value_row *row = &space->values[space->value_count];
            row->target = shard;
            status = read_key(b, config->type, list->values[v], &row->key);
            space->value_count++;
        }
        if (status != SY_OK)
            return status;
        sy_shard_set_add(&space->info.shards, shard);
    }
    if (config->default_shard != NULL) {
        enum sy_status status = find_shard(b, config->default_shard, &space->default_target);
        if (status != SY_OK)
            return status;
        sy_shard_set_add(&space->info.shards, space->default_target);
    }
    return sort_values(b, config, space);
}

static bool lists_value(const struct sy_config_keyspace *config, const char *value)
{
    for (uint32_t i = 0; i < config->region_count; i++)
        for (uint32_t v = 0; v < config->regions[i].value_count; v++)
            if (strcmp(config->regions[i].values[v], value) == 0)
                return true;
    return false;
}

/* Country codes of a region, and its own name as a code when no region lists that. */
static enum sy_status add_region_values(struct build *b, const struct sy_config_keyspace *config,
                                        uint32_t index, struct keyspace *space)
{
    const struct sy_config_region *region = &config->regions[index];
    enum sy_status status = SY_OK;
    for (uint32_t v = 0; status == SY_OK && v < region->value_count; v++) {
        struct value_row *row = &space->values[space->value_count++];
        row->target = index;
        status = read_key(b, config->type, region->values[v], &row->key);
    }
    if (status == SY_OK && sy_key_is_text(config->type) && !lists_value(config, region->name) &&
        strcmp(region->name, "default") != 0) {
        struct value_row *row = &space->values[space->value_count++];
        row->target = index;
        status = read_key(b, config->type, region->name, &row->key);
    }
    return status;
}

static enum sy_status build_regions(struct build *b, const struct sy_config_keyspace *config,
                                    struct keyspace *space)
{
    size_t total = 0;
    for (uint32_t i = 0; i < config->region_count; i++)
        total += config->regions[i].value_count + 1;
    space->values = sy_arena_calloc(b->arena, total + 1, sizeof(*space->values));
    space->regions = sy_arena_calloc(b->arena, config->region_count + 1, sizeof(*space->regions));
    if (space->values == NULL || space->regions == NULL)
        return no_memory(b);
    space->region_count = config->region_count;
    for (uint32_t i = 0; i < config->region_count; i++) {
        const struct sy_config_region *region = &config->regions[i];
        if (region->shard_count == 0)
            return sy_err_set(b->err, SY_E_CONFIG, "region \"%s\" has no shard", region->name);
        struct region *made = &space->regions[i];
        made->name = keep(b, region->name);
        enum sy_status status = assign_buckets(b, region->shards, region->shard_count,
                                               &made->bucket_shard, &made->shards);
        if (status == SY_OK)
            status = add_region_values(b, config, i, space);
        if (status != SY_OK)
            return status;
        if (strcmp(region->name, "default") == 0)
            space->default_target = i;
        space->info.shards = sy_shard_set_or(&space->info.shards, &made->shards);
    }
    return sort_values(b, config, space);
}

static enum sy_status build_keyspace(struct build *b, const struct sy_config_keyspace *config,
                                     struct keyspace *space)
{
    *space = (struct keyspace){.info = {.name = keep(b, config->name),
                                        .strategy = config->strategy,
                                        .type = config->type,
                                        .hash_type = config->hash_type,
                                        .from_catalog = config->origin.catalog},
                               .default_target = UINT32_MAX};
    for (uint32_t i = 0; i < config->table_count; i++) {
        bool hashed = config->strategy == SY_STRATEGY_GEO && config->tables[i].hash_key != NULL;
        if (i > 0 && hashed != space->info.has_hash_key)
            return sy_err_set(b->err, SY_E_CONFIG,
                              "in keyspace \"%s\" either every table has a hash_key or none",
                              config->name);
        space->info.has_hash_key = hashed;
    }
    switch (config->strategy) {
    case SY_STRATEGY_HASH:
        return assign_buckets(b, config->shards, config->shard_count, &space->bucket_shard,
                              &space->info.shards);
    case SY_STRATEGY_RANGE:
        return build_ranges(b, config, space);
    case SY_STRATEGY_LIST:
        return build_lists(b, config, space);
    case SY_STRATEGY_GEO:
        return build_regions(b, config, space);
    }
    return sy_err_set(b->err, SY_E_CONFIG, "keyspace \"%s\" has no strategy", config->name);
}

static enum sy_status add_table(struct build *b, struct sy_map_table table)
{
    uint32_t *place = sy_name_table_put(&b->map->table_names, table.schema, table.name);
    if (place == NULL)
        return no_memory(b);
    if (*place != SY_NAME_NONE)
        return sy_err_set(b->err, SY_E_CONFIG, "table \"%s.%s\" is declared twice",
                          table.schema.data, table.name.data);
    *place = b->map->table_count;
    b->map->tables[b->map->table_count++] = table;
    return SY_OK;
}

static const char *schema_or_public(const char *schema)
{
    return schema == NULL ? "public" : schema;
}

static void keep_constraints(struct build *b, const struct sy_config_keyspace_table *table,
                             struct sy_map_table *row)
{
    const char **names =
        sy_arena_calloc(b->arena, table->per_shard_constraint_count + 1u, sizeof(*names));
    for (uint32_t i = 0; names != NULL && i < table->per_shard_constraint_count; i++)
        names[i] = keep(b, table->per_shard_constraints[i]).data;
    row->per_shard = names;
    row->per_shard_count = names == NULL ? 0 : table->per_shard_constraint_count;
}

static enum sy_status build_sharded_tables(struct build *b, uint32_t keyspace)
{
    const struct sy_config_keyspace *config = &b->database->keyspaces[keyspace];
    for (uint32_t i = 0; i < config->table_count; i++) {
        const struct sy_config_keyspace_table *table = &config->tables[i];
        struct sy_map_table row = {.schema = keep(b, schema_or_public(table->schema)),
                                   .name = keep(b, table->name),
                                   .placement = SY_TABLE_SHARDED,
                                   .keyspace = keyspace,
                                   .key = keep(b, table->key),
                                   .from_catalog = table->origin.catalog};
        if (config->strategy == SY_STRATEGY_GEO)
            row.hash_key = keep(b, table->hash_key);
        keep_constraints(b, table, &row);
        enum sy_status status = add_table(b, row);
        if (status != SY_OK)
            return status;
    }
    return SY_OK;
}

static enum sy_status build_tables(struct build *b)
{
    const struct sy_config_database *database = b->database;
    uint32_t total = database->reference_table_count + database->local_table_count;
    for (uint32_t i = 0; i < database->keyspace_count; i++)
        total += database->keyspaces[i].table_count;
    b->map->tables = sy_arena_calloc(b->arena, (size_t)total + 1, sizeof(*b->map->tables));
    if (b->map->tables == NULL || !sy_name_table_init(&b->map->table_names, b->arena, total))
        return no_memory(b);
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; status == SY_OK && i < database->keyspace_count; i++)
        status = build_sharded_tables(b, i);
    for (uint32_t i = 0; status == SY_OK && i < database->reference_table_count; i++)
        status = add_table(
            b, (struct sy_map_table){
                   .schema = keep(b, schema_or_public(database->reference_tables[i].schema)),
                   .name = keep(b, database->reference_tables[i].name),
                   .placement = SY_TABLE_REFERENCE,
                   .from_catalog = database->reference_tables[i].origin.catalog});
    for (uint32_t i = 0; status == SY_OK && i < database->local_table_count; i++) {
        struct sy_map_table row = {.schema =
                                       keep(b, schema_or_public(database->local_tables[i].schema)),
                                   .name = keep(b, database->local_tables[i].name),
                                   .placement = SY_TABLE_LOCAL,
                                   .from_catalog = database->local_tables[i].origin.catalog};
        status = find_shard(b, database->local_tables[i].shard, &row.shard);
        if (status == SY_OK)
            status = add_table(b, row);
    }
    return status;
}

static enum sy_status build_shards(struct build *b)
{
    uint32_t count = b->database->shard_count;
    if (count == 0 || count > SY_LIMIT_SHARDS)
        return sy_err_set(b->err, SY_E_CONFIG,
                          "database \"%s\" has %u shards; 1 to %d are possible", b->database->name,
                          count, SY_LIMIT_SHARDS);
    b->map->shards = sy_arena_calloc(b->arena, count, sizeof(*b->map->shards));
    if (b->map->shards == NULL || !sy_name_table_init(&b->map->shard_names, b->arena, count))
        return no_memory(b);
    for (uint32_t i = 0; i < count; i++) {
        b->map->shards[i] = keep(b, b->database->shards[i].name);
        uint32_t *place = sy_name_table_put(&b->map->shard_names, no_schema, b->map->shards[i]);
        if (place == NULL)
            return no_memory(b);
        if (*place != SY_NAME_NONE)
            return sy_err_set(b->err, SY_E_CONFIG, "shard \"%s\" is declared twice",
                              b->database->shards[i].name);
        *place = i;
    }
    b->map->shard_count = count;
    return SY_OK;
}

enum sy_status sy_shardmap_build(const struct sy_config_database *database, struct sy_arena *arena,
                                 const struct sy_shardmap **ret_map, struct sy_err *err)
{
    struct build b = {.database = database, .arena = arena, .err = err};
    b.map = sy_arena_calloc(arena, 1, sizeof(*b.map));
    if (b.map == NULL)
        return no_memory(&b);
    b.map->keyspaces =
        sy_arena_calloc(arena, (size_t)database->keyspace_count + 1, sizeof(*b.map->keyspaces));
    if (b.map->keyspaces == NULL)
        return no_memory(&b);
    enum sy_status status = build_shards(&b);
    for (uint32_t i = 0; status == SY_OK && i < database->keyspace_count; i++) {
        status = build_keyspace(&b, &database->keyspaces[i], &b.map->keyspaces[i]);
        b.map->keyspace_count = i + 1;
    }
    if (status == SY_OK)
        status = build_tables(&b);
    if (status == SY_OK)
        *ret_map = b.map;
    return status;
}
