/* The database that the plan tests route for: three shards, every strategy, a schema. Used by tests
 * and benchmarks. */
#ifndef SY_TESTS_UNIT_ROUTER_PLAN_WORLD_H
#define SY_TESTS_UNIT_ROUTER_PLAN_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "parser/parser.h"
#include "router/plan/plan.h"

static struct sy_config_shard world_shards[] = {{.name = "s0"}, {.name = "s1"}, {.name = "s2"}};
static const char *world_per_shard[] = {"posts_pkey", "posts_parent_fkey"};
static struct sy_config_keyspace_table world_authors[] = {
    {"public", "posts", "author_id", NULL, world_per_shard, 2, {0}},
    {"public", "authors", "id", NULL, NULL, 0, {0}},
    {"public", "comments", "author_id", NULL, NULL, 0, {0}},
    {"public", "author_stats", "author_id", NULL, NULL, 0, {0}},
    {"public", "guarded", "author_id", NULL, NULL, 0, {0}},
    {"public", "triggered", "author_id", NULL, NULL, 0, {0}},
    {"public", "samples", "author_id", NULL, NULL, 0, {0}},
    {"app", "notes", "author_id", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_accounts[] = {
    {"public", "accounts", "id", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_names[] = {
    {"public", "nicknames", "name", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_events[] = {
    {"public", "events", "at", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_measures[] = {
    {"public", "measures", "n", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_people[] = {
    {"public", "people", "country", NULL, NULL, 0, {0}},
    {"public", "addresses", "country", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_citizens[] = {
    {"public", "citizens", "country", "id", NULL, 0, {0}},
    {"public", "passports", "country", "citizen_id", NULL, 0, {0}}};
static struct sy_config_keyspace_table world_orders[] = {
    {"public", "orders", "status", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_days[] = {{"public", "days", "d", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table world_codes[] = {
    {"public", "codes", "code", NULL, NULL, 0, {0}}};
static struct sy_config_range world_event_ranges[] = {{"2026-01-01", "s0"}, {"2027-01-01", "s1"}};
static struct sy_config_range world_measure_ranges[] = {{"0", "s0"}, {"100", "s1"}, {NULL, "s2"}};
static const char *world_eu[] = {"DE", "FR"}, *world_us[] = {"US"}, *world_s0[] = {"s0"},
                  *world_s1[] = {"s1"}, *world_s2[] = {"s2"}, *world_s01[] = {"s0", "s1"};
static struct sy_config_region world_regions[] = {
    {.name = "eu", .values = world_eu, .value_count = 2, .shards = world_s0, .shard_count = 1},
    {.name = "us", .values = world_us, .value_count = 1, .shards = world_s1, .shard_count = 1}};
static struct sy_config_region world_hashed_regions[] = {
    {.name = "eu", .values = world_eu, .value_count = 2, .shards = world_s01, .shard_count = 2},
    {.name = "default", .shards = world_s2, .shard_count = 1}};
static const char *world_open[] = {"open", "paid"}, *world_closed[] = {"closed"};
static struct sy_config_list_value world_lists[] = {{world_open, 2, "s1"}, {world_closed, 1, "s2"}};

#define WORLD_TABLES(array) .tables = array, .table_count = sizeof(array) / sizeof((array)[0])

static struct sy_config_keyspace world_keyspaces[] = {
    {.name = "authors",
     .strategy = SY_STRATEGY_HASH,
     .type = SY_KEY_INT8,
     WORLD_TABLES(world_authors)},
    {.name = "accounts",
     .strategy = SY_STRATEGY_HASH,
     .type = SY_KEY_UUID,
     WORLD_TABLES(world_accounts)},
    {.name = "names", .strategy = SY_STRATEGY_HASH, .type = SY_KEY_TEXT, WORLD_TABLES(world_names)},
    {.name = "events",
     .strategy = SY_STRATEGY_RANGE,
     .type = SY_KEY_TIMESTAMPTZ,
     WORLD_TABLES(world_events),
     .ranges = world_event_ranges,
     .range_count = 2},
    {.name = "measures",
     .strategy = SY_STRATEGY_RANGE,
     .type = SY_KEY_INT4,
     WORLD_TABLES(world_measures),
     .ranges = world_measure_ranges,
     .range_count = 3},
    {.name = "people",
     .strategy = SY_STRATEGY_GEO,
     .type = SY_KEY_TEXT,
     WORLD_TABLES(world_people),
     .regions = world_regions,
     .region_count = 2},
    {.name = "citizens",
     .strategy = SY_STRATEGY_GEO,
     .type = SY_KEY_TEXT,
     .hash_type = SY_KEY_INT8,
     WORLD_TABLES(world_citizens),
     .regions = world_hashed_regions,
     .region_count = 2},
    {.name = "orders",
     .strategy = SY_STRATEGY_LIST,
     .type = SY_KEY_TEXT,
     WORLD_TABLES(world_orders),
     .lists = world_lists,
     .list_count = 2},
    {.name = "days", .strategy = SY_STRATEGY_HASH, .type = SY_KEY_DATE, WORLD_TABLES(world_days)},
    {.name = "codes",
     .strategy = SY_STRATEGY_HASH,
     .type = SY_KEY_VARCHAR,
     WORLD_TABLES(world_codes)},
};
static struct sy_config_reference_table world_references[] = {{"public", "sections", {0}},
                                                              {"public", "countries", {0}},
                                                              {"public", "secrets", {0}},
                                                              {"public", "weights", {0}}};
static struct sy_config_local_table world_locals[] = {{"public", "audit", "s2", {0}},
                                                      {"public", "logbook", "s1", {0}}};
static const char *world_safe[] = {"safe_posts", "safe_fn"};

static struct sy_config_database world_database = {
    .name = "blog",
    .engine = SY_ENGINE_POSTGRES,
    .hints = true,
    .safe_objects = world_safe,
    .safe_object_count = 2,
    .shards = world_shards,
    .shard_count = 3,
    .keyspaces = world_keyspaces,
    .keyspace_count = sizeof(world_keyspaces) / sizeof(world_keyspaces[0]),
    .reference_tables = world_references,
    .reference_table_count = 4,
    .local_tables = world_locals,
    .local_table_count = 2,
};

enum { WORLD_COLUMNS_MAX = 20 };

/* "name type flags": flags d default now(), di and dv a constant and a volatile default, s serial,
 * g generated, c of the collation C, o and on of another, on with equal strings that differ. */
struct world_relation {
    const char *schema, *name;
    enum sy_relation_kind kind;
    const char *columns[WORLD_COLUMNS_MAX];
    const char *reads[3]; /* views */
    bool triggers, rls, unlogged, read_only_view, calls_users;
};

static const struct world_relation world_relations[] = {
    {.schema = "public",
     .name = "posts",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8 s", "author_id int8", "title text", "body text", "at timestamptz d"}},
    {.schema = "public",
     .name = "authors",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8", "name text", "country text", "email varchar"}},
    {.schema = "public",
     .name = "comments",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8 s", "author_id int8", "post_id int8", "body text"}},
    {.schema = "public",
     .name = "author_stats",
     .kind = SY_RELATION_TABLE,
     .columns = {"author_id int8 s", "n int4"}},
    {.schema = "public",
     .name = "guarded",
     .kind = SY_RELATION_TABLE,
     .columns = {"author_id int8", "n int4"},
     .rls = true},
    {.schema = "public",
     .name = "triggered",
     .kind = SY_RELATION_TABLE,
     .columns = {"author_id int8", "n int4"},
     .triggers = true},
    {.schema = "public", /* a column of each type that matters to the merge */
     .name = "samples",
     .kind = SY_RELATION_TABLE,
     .columns = {"author_id int8", "i int4", "s int2", "n numeric", "f float4", "d float8",
                 "b bool", "t text c", "v varchar o", "w text on", "day date", "at timestamptz",
                 "u uuid", "j json", "p point"}},
    {.schema = "app",
     .name = "notes",
     .kind = SY_RELATION_TABLE,
     .columns = {"author_id int8", "note text"}},
    {.schema = "app",
     .name = "tags",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8", "name text"}},
    {.schema = "public",
     .name = "accounts",
     .kind = SY_RELATION_TABLE,
     .columns = {"id uuid", "owner text"}},
    {.schema = "public",
     .name = "nicknames",
     .kind = SY_RELATION_TABLE,
     .columns = {"name text", "author_id int8"}},
    {.schema = "public",
     .name = "events",
     .kind = SY_RELATION_TABLE,
     .columns = {"at timestamptz", "what text"}},
    {.schema = "public",
     .name = "measures",
     .kind = SY_RELATION_TABLE,
     .columns = {"n int4", "value float8"}},
    {.schema = "public",
     .name = "people",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8", "country text", "name text"}},
    {.schema = "public",
     .name = "addresses",
     .kind = SY_RELATION_TABLE,
     .columns = {"person_id int8", "country text", "street text"}},
    {.schema = "public",
     .name = "citizens",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8", "country text", "name text"}},
    {.schema = "public",
     .name = "passports",
     .kind = SY_RELATION_TABLE,
     .columns = {"citizen_id int8", "country text", "number text"}},
    {.schema = "public",
     .name = "orders",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8", "status text", "total numeric"}},
    {.schema = "public",
     .name = "days",
     .kind = SY_RELATION_TABLE,
     .columns = {"d date", "note text"}},
    {.schema = "public",
     .name = "codes",
     .kind = SY_RELATION_TABLE,
     .columns = {"code varchar", "note text"}},
    {.schema = "public",
     .name = "sections",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int4", "name text"}},
    {.schema = "public",
     .name = "weights",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int4", "w float8"}},
    {.schema = "public",
     .name = "countries",
     .kind = SY_RELATION_TABLE,
     .columns = {"code text", "name text", "added timestamptz d"}},
    {.schema = "public",
     .name = "secrets",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8"},
     .rls = true},
    {.schema = "public",
     .name = "audit",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8 s", "what text"}},
    {.schema = "public",
     .name = "logbook",
     .kind = SY_RELATION_TABLE,
     .columns = {"id int8", "what text"}},
    {.schema = "public", .name = "stray", .kind = SY_RELATION_TABLE, .columns = {"id int8"}},
    {.schema = "public", .name = "posts_id_seq", .kind = SY_RELATION_SEQUENCE},
    {.schema = "public",
     .name = "recent_posts",
     .kind = SY_RELATION_VIEW,
     .columns = {"id int8", "author_id int8"},
     .reads = {"posts"}},
    {.schema = "public",
     .name = "author_counts",
     .kind = SY_RELATION_VIEW,
     .columns = {"author_id int8", "n int8"},
     .reads = {"posts"},
     .read_only_view = true},
    {.schema = "public",
     .name = "safe_posts",
     .kind = SY_RELATION_VIEW,
     .columns = {"id int8", "author_id int8"},
     .reads = {"posts"}},
    {.schema = "public",
     .name = "section_names",
     .kind = SY_RELATION_VIEW,
     .columns = {"name text"},
     .reads = {"sections"},
     .read_only_view = true},
    {.schema = "public",
     .name = "called_names",
     .kind = SY_RELATION_VIEW,
     .columns = {"name text"},
     .reads = {"sections"},
     .calls_users = true},
    {.schema = "public",
     .name = "over_called_names",
     .kind = SY_RELATION_VIEW,
     .columns = {"name text"},
     .reads = {"called_names"}},
    {.schema = "public",
     .name = "audit_lines",
     .kind = SY_RELATION_VIEW,
     .columns = {"what text"},
     .reads = {"audit"}},
    {.schema = "pg_catalog",
     .name = "pg_class",
     .kind = SY_RELATION_TABLE,
     .columns = {"oid oid", "relname name"}},
};

static const struct {
    const char *schema, *name;
    enum sy_volatility volatility;
} world_functions[] = {
    {"pg_catalog", "count", SY_IMMUTABLE},
    {"pg_catalog", "sum", SY_IMMUTABLE},
    {"pg_catalog", "max", SY_IMMUTABLE},
    {"pg_catalog", "avg", SY_IMMUTABLE},
    {"pg_catalog", "stddev", SY_IMMUTABLE},
    {"pg_catalog", "corr", SY_IMMUTABLE},
    {"pg_catalog", "sqrt", SY_IMMUTABLE},
    {"pg_catalog", "min", SY_IMMUTABLE},
    {"pg_catalog", "bool_and", SY_IMMUTABLE},
    {"pg_catalog", "bool_or", SY_IMMUTABLE},
    {"pg_catalog", "every", SY_IMMUTABLE},
    {"pg_catalog", "bit_and", SY_IMMUTABLE},
    {"pg_catalog", "bit_or", SY_IMMUTABLE},
    {"pg_catalog", "bit_xor", SY_IMMUTABLE},
    {"pg_catalog", "round", SY_IMMUTABLE},
    {"pg_catalog", "ceil", SY_IMMUTABLE},
    {"pg_catalog", "floor", SY_IMMUTABLE},
    {"pg_catalog", "strpos", SY_IMMUTABLE},
    {"pg_catalog", "extract", SY_IMMUTABLE},
    {"pg_catalog", "string_agg", SY_IMMUTABLE},
    {"pg_catalog", "lower", SY_IMMUTABLE},
    {"pg_catalog", "length", SY_IMMUTABLE},
    {"pg_catalog", "coalesce", SY_IMMUTABLE},
    {"pg_catalog", "row_number", SY_IMMUTABLE},
    {"pg_catalog", "now", SY_STABLE},
    {"pg_catalog", "to_char", SY_STABLE},
    {"pg_catalog", "random", SY_VOLATILE},
    {"pg_catalog", "nextval", SY_VOLATILE},
    {"pg_catalog", "currval", SY_VOLATILE},
    {"pg_catalog", "setval", SY_VOLATILE},
    {"pg_catalog", "pg_advisory_lock", SY_VOLATILE},
    {"pg_catalog", "pg_advisory_xact_lock", SY_VOLATILE},
    {"pg_catalog", "txid_current", SY_STABLE},
    {"pg_catalog", "pg_backend_pid", SY_STABLE},
    {"pg_catalog", "version", SY_STABLE},
    {"pg_catalog", "generate_series", SY_IMMUTABLE},
    {"pg_catalog", "unnest", SY_IMMUTABLE},
    {"pg_catalog", "pg_table_size", SY_VOLATILE},
    {"pg_catalog", "pg_database_size", SY_VOLATILE},
    {"pg_catalog", "pg_size_pretty", SY_IMMUTABLE},
    {"pg_catalog", "pg_stat_get_live_tuples", SY_STABLE},
    {"pg_catalog", "current_database", SY_STABLE},
    {"pg_catalog", "current_setting", SY_STABLE},
    {"pg_catalog", "set_config", SY_VOLATILE},
    {"pg_catalog", "query_to_xml", SY_VOLATILE},
    {"pg_catalog", "pg_get_viewdef", SY_STABLE},
    {"pg_catalog", "array_agg", SY_IMMUTABLE},
    {"pg_catalog", "date_trunc", SY_STABLE},
    {"pg_catalog", "abs", SY_IMMUTABLE},
    {"public", "user_fn", SY_STABLE},
    {"public", "pure_fn", SY_IMMUTABLE},
    {"public", "safe_fn", SY_VOLATILE},
    {"public", "my_agg", SY_IMMUTABLE},
};

static inline uint32_t world_oid(const char *type)
{
    static const struct {
        const char *name;
        uint32_t oid;
    } types[] = {{"int8", 20},          {"int4", 23},  {"text", 25},      {"uuid", 2950},
                 {"timestamptz", 1184}, {"int2", 21},  {"numeric", 1700}, {"float4", 700},
                 {"float8", 701},       {"bool", 16},  {"varchar", 1043}, {"date", 1082},
                 {"json", 114},         {"point", 600}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].oid;
    return 0;
}

static inline void world_columns(struct sy_schema_builder *builder, uint32_t relation,
                                 const char *const *columns)
{
    for (int i = 0; i < WORLD_COLUMNS_MAX && columns[i] != NULL; i++) {
        char name[64], type[64], flag[8] = "";
        if (sscanf(columns[i], "%63s %63s %7s", name, type, flag) < 2)
            abort();
        struct sy_schema_column column = {.name = sy_slice_of(name),
                                          .type = sy_slice_of(type),
                                          .type_oid = world_oid(type),
                                          .type_modifier = -1,
                                          .has_default = flag[0] == 'd' || flag[0] == 's',
                                          .is_identity_or_serial = flag[0] == 's',
                                          .is_generated = flag[0] == 'g',
                                          .nondeterministic_collation = strcmp(flag, "on") == 0,
                                          .collation = flag[0] == 'c'   ? SY_COLLATION_C
                                                       : flag[0] == 'o' ? SY_COLLATION_OTHER
                                                                        : SY_COLLATION_UNKNOWN};
        if (flag[0] == 'd') { /* d: now(), di: a constant, dv: volatile */
            column.default_volatility = flag[1] == 'i'   ? SY_IMMUTABLE
                                        : flag[1] == 'v' ? SY_VOLATILE
                                                         : SY_STABLE;
            column.default_sql = sy_slice_of(flag[1] == 'i'   ? "'x'::text"
                                             : flag[1] == 'v' ? "gen_random_uuid()"
                                                              : "now()");
        }
        sy_schema_builder_add_column(builder, relation, &column);
    }
}

static inline const struct sy_schema *world_schema(void)
{
    enum { COUNT = sizeof(world_relations) / sizeof(world_relations[0]) };
    struct sy_schema_builder *builder = sy_schema_builder_new();
    sy_schema_builder_add_namespace(builder, SY_SLICE("public"));
    sy_schema_builder_add_namespace(builder, SY_SLICE("app"));
    for (uint32_t i = 0; i < COUNT; i++) {
        const struct world_relation *row = &world_relations[i];
        struct sy_schema_relation relation = {.schema = sy_slice_of(row->schema),
                                              .name = sy_slice_of(row->name),
                                              .oid = 16384 + i,
                                              .kind = row->kind,
                                              .is_unlogged = row->unlogged,
                                              .has_triggers = row->triggers,
                                              .has_rls = row->rls,
                                              .calls_users = row->calls_users,
                                              .is_read_only_view = row->read_only_view};
        uint32_t at = sy_schema_builder_add_relation(builder, &relation);
        world_columns(builder, at, row->columns);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        for (int k = 0; k < 3 && world_relations[i].reads[k] != NULL; k++)
            for (uint32_t j = 0; j < COUNT; j++)
                if (strcmp(world_relations[j].name, world_relations[i].reads[k]) == 0)
                    sy_schema_builder_add_dependency(builder, i, j);
    for (size_t i = 0; i < sizeof(world_functions) / sizeof(world_functions[0]); i++)
        sy_schema_builder_add_function(builder, sy_slice_of(world_functions[i].schema),
                                       sy_slice_of(world_functions[i].name),
                                       world_functions[i].volatility);
    const struct sy_schema *schema = NULL;
    if (sy_schema_builder_finish(&builder, &schema, NULL) != SY_OK)
        abort();
    return schema;
}

static inline const struct sy_shardmap *world_map(struct sy_arena *arena)
{
    const struct sy_shardmap *map = NULL;
    struct sy_err err = {0};
    if (sy_shardmap_build(&world_database, arena, &map, &err) != SY_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return map;
}

#endif
