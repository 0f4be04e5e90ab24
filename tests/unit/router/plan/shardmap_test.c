/* Shard maps: balance and movement of buckets, the four strategies, names, refused declarations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "parser/facts.h"
#include "router/plan/key.h"
#include "router/plan/shardmap.h"

static void counts(const uint8_t *owner, uint32_t shards, uint32_t *ret_least, uint32_t *ret_most)
{
    uint32_t count[SY_LIMIT_SHARDS] = {0};
    for (uint32_t i = 0; i < SY_LIMIT_BUCKETS; i++) {
        assert_true(owner[i] < shards);
        count[owner[i]]++;
    }
    *ret_least = *ret_most = count[0];
    for (uint32_t i = 1; i < shards; i++) {
        *ret_least = count[i] < *ret_least ? count[i] : *ret_least;
        *ret_most = count[i] > *ret_most ? count[i] : *ret_most;
    }
}

static void keeps_buckets_within_one_of_even_and_moves_only_a_share(void **state)
{
    (void)state;
    static uint8_t before[SY_LIMIT_BUCKETS], after[SY_LIMIT_BUCKETS];
    sy_bucket_assign(1, before);
    for (uint32_t shards = 2; shards <= SY_LIMIT_SHARDS; shards++) {
        uint32_t least = 0, most = 0, moved = 0;
        sy_bucket_assign(shards, after);
        counts(after, shards, &least, &most);
        assert_true(most - least <= 1);
        for (uint32_t i = 0; i < SY_LIMIT_BUCKETS; i++)
            if (before[i] != after[i]) {
                assert_int_equal(after[i], shards - 1);
                moved++;
            }
        assert_true(moved * shards <= SY_LIMIT_BUCKETS);
        memcpy(before, after, sizeof(before));
    }
}

static struct sy_config_shard shards[] = {
    {.name = "s0"}, {.name = "s1"}, {.name = "s2"}, {.name = "s3"}};

static enum sy_status build(struct sy_arena *arena, struct sy_config_keyspace *keyspace,
                            const struct sy_shardmap **ret_map, struct sy_err *err)
{
    // static: a test builds a second map from the same keyspace
    static struct sy_config_keyspace_table table = {.schema = "public", .name = "t", .key = "k"};
    struct sy_config_reference_table reference = {"public", "tags", {0}};
    struct sy_config_local_table local = {"public", "audit", "s2", {0}};
    keyspace->name = "space";
    if (keyspace->tables == NULL) {
        keyspace->tables = &table;
        keyspace->table_count = 1;
    }
    struct sy_config_database database = {.name = "blog",
                                          .shards = shards,
                                          .shard_count = 4,
                                          .keyspaces = keyspace,
                                          .keyspace_count = 1,
                                          .reference_tables = &reference,
                                          .reference_table_count = 1,
                                          .local_tables = &local,
                                          .local_table_count = 1};
    return sy_shardmap_build(&database, arena, ret_map, err);
}

static uint32_t shard_of(const struct sy_shardmap *map, const char *text)
{
    const struct sy_key_context utc = {.time_zone = SY_SLICE("UTC")};
    struct sy_key key = {.is_null = true};
    enum sy_key_type type = sy_shardmap_keyspace(map, 0)->type;
    if (text != NULL)
        assert_int_equal(sy_key_from_text(type, sy_slice_of(text), &utc, &key, NULL), SY_OK);
    struct sy_shard_set set = sy_shardmap_shards_of(map, 0, &key, NULL);
    assert_true(sy_shard_set_count(&set) <= 1);
    return sy_shard_set_first(&set);
}

static void hash_uses_the_declared_shards_evenly(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const char *names[] = {"s3", "s1"};
    const struct sy_shardmap *map = NULL;
    struct sy_config_keyspace keyspace = {
        .strategy = SY_STRATEGY_HASH, .type = SY_KEY_INT8, .shards = names, .shard_count = 2};
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    uint32_t on_s3 = 0;
    for (uint32_t i = 0; i < SY_LIMIT_BUCKETS; i++) {
        uint32_t shard = sy_shardmap_bucket_shard(map, 0, i);
        assert_true(shard == 1 || shard == 3);
        on_s3 += shard == 3;
    }
    assert_int_equal(on_s3, SY_LIMIT_BUCKETS / 2);
    assert_int_equal(shard_of(map, NULL), UINT32_MAX);
    assert_int_equal(sy_shard_set_count(&sy_shardmap_keyspace(map, 0)->shards), 2);
    sy_arena_release(&arena);
}

static struct sy_shard_set where(const struct sy_shardmap *map, int op, const char *text)
{
    struct sy_key key;
    enum sy_key_type type = sy_shardmap_keyspace(map, 0)->type;
    assert_int_equal(sy_key_from_text(type, sy_slice_of(text), NULL, &key, NULL), SY_OK);
    return sy_shardmap_shards_where(map, 0, op, &key);
}

static void ranges_have_exclusive_upper_bounds(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = NULL;
    struct sy_config_range ranges[] = {{"10", "s0"}, {"20", "s1"}, {"30", "s2"}};
    struct sy_config_keyspace keyspace = {
        .strategy = SY_STRATEGY_RANGE, .type = SY_KEY_INT4, .ranges = ranges, .range_count = 3};
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    assert_int_equal(shard_of(map, "-5"), 0);
    assert_int_equal(shard_of(map, "9"), 0);
    assert_int_equal(shard_of(map, "10"), 1);
    assert_int_equal(shard_of(map, "29"), 2);
    assert_int_equal(shard_of(map, "30"), UINT32_MAX);
    const struct {
        int op;
        const char *key;
        uint64_t bits;
    } rows[] = {
        {SY_OP_LT, "10", 1}, {SY_OP_LE, "10", 3}, {SY_OP_LT, "11", 3}, {SY_OP_LT, "30", 7},
        {SY_OP_LE, "99", 7}, {SY_OP_LT, "-9", 1}, {SY_OP_GT, "9", 7},  {SY_OP_GE, "10", 6},
        {SY_OP_GE, "29", 4}, {SY_OP_GT, "30", 0}, {SY_OP_GE, "-1", 7},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(where(map, rows[i].op, rows[i].key).bits[0], rows[i].bits);
    sy_arena_release(&arena);
}

static void an_unbounded_range_takes_the_rest(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = NULL;
    struct sy_config_range ranges[] = {{"2026-01-01", "s0"}, {NULL, "s1"}};
    struct sy_config_keyspace keyspace = {.strategy = SY_STRATEGY_RANGE,
                                          .type = SY_KEY_TIMESTAMPTZ,
                                          .ranges = ranges,
                                          .range_count = 2};
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    assert_int_equal(shard_of(map, "2025-12-31 23:59:59.999999"), 0);
    assert_int_equal(shard_of(map, "2026-01-01 01:00:00+02"), 0);
    assert_int_equal(shard_of(map, "2026-01-01 02:00:00+02"), 1);
    assert_int_equal(shard_of(map, "infinity"), 1);
    assert_int_equal(shard_of(map, "-infinity"), 0);
    assert_int_equal(shard_of(map, NULL), UINT32_MAX);
    sy_arena_release(&arena);
}

static void lists_fall_back_to_the_default_shard(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = NULL;
    const char *first[] = {"b", "a"};
    const char *second[] = {"zz"};
    struct sy_config_list_value lists[] = {{first, 2, "s1"}, {second, 1, "s2"}};
    struct sy_config_keyspace keyspace = {
        .strategy = SY_STRATEGY_LIST, .type = SY_KEY_TEXT, .lists = lists, .list_count = 2};
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    assert_int_equal(shard_of(map, "a"), 1);
    assert_int_equal(shard_of(map, "zz"), 2);
    assert_int_equal(shard_of(map, "z"), UINT32_MAX);
    keyspace.default_shard = "s3";
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    assert_int_equal(shard_of(map, "z"), 3);
    assert_int_equal(shard_of(map, NULL), 3);
    sy_arena_release(&arena);
}

static void geo_goes_from_country_to_region_to_default(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = NULL;
    const char *eu_values[] = {"DE", "FR"}, *us_values[] = {"US"};
    const char *eu_shards[] = {"s0", "s1"}, *us_shards[] = {"s2"}, *rest[] = {"s3"};
    struct sy_config_region regions[] = {{.name = "eu",
                                          .values = eu_values,
                                          .value_count = 2,
                                          .shards = eu_shards,
                                          .shard_count = 2},
                                         {.name = "us",
                                          .values = us_values,
                                          .value_count = 1,
                                          .shards = us_shards,
                                          .shard_count = 1},
                                         {.name = "default", .shards = rest, .shard_count = 1}};
    struct sy_config_keyspace_table table = {"public", "people", "country", "id", NULL, 0, {0}};
    struct sy_config_keyspace keyspace = {.strategy = SY_STRATEGY_GEO,
                                          .type = SY_KEY_TEXT,
                                          .hash_type = SY_KEY_INT8,
                                          .regions = regions,
                                          .region_count = 3,
                                          .tables = &table,
                                          .table_count = 1};
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    assert_int_equal(shard_of(map, "US"), 2);
    assert_int_equal(shard_of(map, "us"), 2);
    assert_int_equal(shard_of(map, "JP"), 3);
    struct sy_key country = {.type = SY_KEY_TEXT, .text = SY_SLICE("DE")};
    struct sy_shard_set set = sy_shardmap_shards_of(map, 0, &country, NULL);
    assert_int_equal(set.bits[0], 3);
    uint32_t on_s0 = 0;
    for (int64_t id = 0; id < 1000; id++) {
        struct sy_key hash_key = {.type = SY_KEY_INT8, .integer = id};
        set = sy_shardmap_shards_of(map, 0, &country, &hash_key);
        assert_int_equal(sy_shard_set_count(&set), 1);
        assert_true(sy_shard_set_first(&set) < 2);
        on_s0 += sy_shard_set_first(&set) == 0;
    }
    assert_in_range(on_s0, 400, 600);
    table.hash_key = NULL; /* then the country itself is hashed over the region's shards */
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    assert_true(shard_of(map, "DE") < 2);
    sy_arena_release(&arena);
}

static void finds_tables_and_shards_by_exact_name(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = NULL;
    struct sy_config_keyspace keyspace = {.strategy = SY_STRATEGY_HASH, .type = SY_KEY_INT8};
    assert_int_equal(build(&arena, &keyspace, &map, NULL), SY_OK);
    struct sy_slice public = SY_SLICE("public");
    assert_int_equal(sy_shardmap_find_table(map, public, SY_SLICE("t"))->placement,
                     SY_TABLE_SHARDED);
    assert_int_equal(sy_shardmap_find_table(map, public, SY_SLICE("tags"))->placement,
                     SY_TABLE_REFERENCE);
    assert_int_equal(sy_shardmap_find_table(map, public, SY_SLICE("audit"))->shard, 2);
    assert_null(sy_shardmap_find_table(map, SY_SLICE("app"), SY_SLICE("t")));
    assert_int_equal(sy_shardmap_find_shard(map, SY_SLICE("s3")), 3);
    assert_int_equal(sy_shardmap_find_shard(map, SY_SLICE("s4")), UINT32_MAX);
    assert_true(sy_shardmap_is_sharded(map));
    sy_arena_release(&arena);
}

static void refuses_declarations_that_contradict_themselves(void **state)
{
    (void)state;
    struct sy_arena arena = {0};
    const struct sy_shardmap *map = NULL;
    struct sy_config_range descending[] = {{"20", "s0"}, {"10", "s1"}};
    struct sy_config_range unbounded_first[] = {{NULL, "s0"}, {"10", "s1"}};
    const char *twice[] = {"s0", "s0"}, *missing[] = {"s9"}, *same[] = {"1", "01"};
    struct sy_config_list_value lists[] = {{same, 2, "s0"}};
    struct sy_config_keyspace_table tables[] = {{"public", "a", "c", "id", NULL, 0, {0}},
                                                {"public", "b", "c", NULL, NULL, 0, {0}}};
    struct sy_config_keyspace_table doubled[] = {{"public", "a", "c", NULL, NULL, 0, {0}},
                                                 {"public", "a", "d", NULL, NULL, 0, {0}}};
    struct sy_config_keyspace rows[] = {
        {.strategy = SY_STRATEGY_RANGE,
         .type = SY_KEY_INT8,
         .ranges = descending,
         .range_count = 2},
        {.strategy = SY_STRATEGY_RANGE,
         .type = SY_KEY_INT8,
         .ranges = unbounded_first,
         .range_count = 2},
        {.strategy = SY_STRATEGY_RANGE,
         .type = SY_KEY_UUID,
         .ranges = descending,
         .range_count = 2},
        {.strategy = SY_STRATEGY_HASH, .type = SY_KEY_INT8, .shards = twice, .shard_count = 2},
        {.strategy = SY_STRATEGY_HASH, .type = SY_KEY_INT8, .shards = missing, .shard_count = 1},
        {.strategy = SY_STRATEGY_LIST, .type = SY_KEY_INT8, .lists = lists, .list_count = 1},
        {.strategy = SY_STRATEGY_GEO, .type = SY_KEY_TEXT, .tables = tables, .table_count = 2},
        {.strategy = SY_STRATEGY_HASH, .type = SY_KEY_INT8, .tables = doubled, .table_count = 2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sy_err err = {0};
        assert_int_equal(build(&arena, &rows[i], &map, &err), SY_E_CONFIG);
        assert_true(err.text[0] != '\0');
    }
    sy_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_buckets_within_one_of_even_and_moves_only_a_share),
        cmocka_unit_test(hash_uses_the_declared_shards_evenly),
        cmocka_unit_test(ranges_have_exclusive_upper_bounds),
        cmocka_unit_test(an_unbounded_range_takes_the_rest),
        cmocka_unit_test(lists_fall_back_to_the_default_shard),
        cmocka_unit_test(geo_goes_from_country_to_region_to_default),
        cmocka_unit_test(finds_tables_and_shards_by_exact_name),
        cmocka_unit_test(refuses_declarations_that_contradict_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
