/* The SQL that makes a federating database, from a description. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "replication/federation_script.h"

static struct sy_config_shard shards[] = {{.name = "s0"}, {.name = "s1"}};
static struct sy_config_keyspace_table by_author[] = {
    {"public", "posts", "author_id", NULL, NULL, 0, {0}},
    {"public", "authors", "id", NULL, NULL, 0, {0}}};
static struct sy_config_keyspace_table by_status[] = {
    {"public", "orders", "status", NULL, NULL, 0, {0}}};
static const char *open_values[] = {"open"}, *closed_values[] = {"closed"};
static struct sy_config_list_value lists[] = {{open_values, 1, "s0"}, {closed_values, 1, "s1"}};
static struct sy_config_keyspace keyspaces[] = {
    {.name = "authors",
     .strategy = SY_STRATEGY_HASH,
     .type = SY_KEY_INT8,
     .tables = by_author,
     .table_count = 2},
    {.name = "orders",
     .strategy = SY_STRATEGY_LIST,
     .type = SY_KEY_TEXT,
     .tables = by_status,
     .table_count = 1,
     .lists = lists,
     .list_count = 2},
};
static const struct sy_config_database database = {.name = "blog",
                                                   .engine = SY_ENGINE_POSTGRES,
                                                   .shards = shards,
                                                   .shard_count = 2,
                                                   .keyspaces = keyspaces,
                                                   .keyspace_count = 2};

static const struct federation_shard places[] = {{"10.0.0.1", "", "5432", "blog", "verify-full"},
                                                 {"/run/pg", "", "5433", "it's", "disable"}};
static const struct federation_user users[] = {{0, "app", "app", "pa'ss\\word"},
                                               {1, "app", "other", NULL}};
static const struct federation_column post_columns[] = {
    {"id", "bigint", "int8", "", true},
    {"author_id", "bigint", "int8", "", true},
    {"Ti\"tle", "character varying(20)", "varchar", "pg_catalog.\"en-x-icu\"", false}};
static const struct federation_column author_columns[] = {{"id", "bigint", "int8", "", true}};
static const struct federation_column order_columns[] = {{"status", "text", "text", "", true}};
static const struct federation_column tag_columns[] = {{"t", "public.mood", "mood", "", false}};

struct world {
    struct sy_arena arena;
    struct federation_table tables[4];
    struct federation_input input;
};

static void make(struct world *w)
{
    struct sy_shard_set both = sy_shard_set_all(2), second = {{2}};
    const struct sy_shardmap *map = NULL;
    *w = (struct world){.tables = {
                            {"public", "posts", both, 0, "author_id", post_columns, 3},
                            {"public", "authors", both, 0, "id", author_columns, 1},
                            {"public", "orders", both, 1, "status", order_columns, 1},
                            {"public", "tags", second, UINT32_MAX, NULL, tag_columns, 1},
                        }};
    assert_int_equal(sy_shardmap_build(&database, &w->arena, &map, NULL), SY_OK);
    w->input = (struct federation_input){.map = map,
                                         .superuser = true,
                                         .shards = places,
                                         .shard_count = 2,
                                         .users = users,
                                         .user_count = 2,
                                         .tables = w->tables,
                                         .table_count = 4};
    assert_true(
        federation_list_add(&w->arena, &w->input.first, NULL, NULL, "create schema public"));
    assert_true(federation_list_add(&w->arena, &w->input.views, "public", "v", "create view v"));
    assert_true(federation_list_add(&w->arena, &w->input.last, NULL, NULL, "grant x"));
}

static struct federation_script written(struct world *w)
{
    struct federation_script script;
    assert_int_equal(federation_write(&w->input, &w->arena, &script, NULL), SY_OK);
    return script;
}

static const struct federation_step *find(const struct federation_script *script, const char *begin)
{
    for (uint32_t i = 0; i < script->count; i++)
        if (strncmp(script->steps[i].sql, begin, strlen(begin)) == 0)
            return &script->steps[i];
    return NULL;
}

static void says(const struct federation_script *script, const char *begin, const char *whole)
{
    const struct federation_step *step = find(script, begin);
    assert_non_null(step);
    assert_string_equal(step->sql, whole);
}

static void shards_and_users_are_quoted(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    struct federation_script script = written(&w);
    says(&script, "create server shard_1",
         "create server shard_1 foreign data wrapper postgres_fdw options (host '/run/pg', port "
         "'5433', dbname 'it''s', sslmode 'disable', application_name 'switchyard federation', "
         "connect_timeout '5', use_remote_estimate 'true', async_capable 'true', fetch_size "
         "'1000')");
    says(&script, "create user mapping for \"app\" server shard_0",
         "create user mapping for \"app\" server shard_0 options (user 'app', password "
         "E'pa''ss\\\\word', password_required 'false')");
    says(&script, "create user mapping for \"app\" server shard_1",
         "create user mapping for \"app\" server shard_1 options (user 'other', "
         "password_required 'false')");
    sy_arena_release(&w.arena);
}

static void hashed_tables_are_partitioned_by_their_shard(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    struct federation_script script = written(&w);
    says(&script, "create table \"public\".\"posts\"",
         "create table \"public\".\"posts\" (\"id\" bigint not null, \"author_id\" bigint not "
         "null, \"Ti\"\"tle\" character varying(20) collate pg_catalog.\"en-x-icu\") partition by "
         "hash (\"author_id\" switchyard.keyspace_0_int8); "
         "create foreign table switchyard.t0_0 partition of \"public\".\"posts\" for values with "
         "(modulus 2, remainder 0) server shard_0 options (schema_name 'public', table_name "
         "'posts'); "
         "create foreign table switchyard.t0_1 partition of \"public\".\"posts\" for values with "
         "(modulus 2, remainder 1) server shard_1 options (schema_name 'public', table_name "
         "'posts')");
    const struct federation_step *function = find(&script, "create function switchyard.shard_0");
    assert_non_null(function);
    /* The number that takes away what PostgreSQL adds, so that the remainder is the shard. */
    assert_non_null(strstr(function->sql, "- 5305509591434766563 $$"));
    uint32_t commas = 0;
    for (const char *at = function->sql; *at != '\0'; at++)
        commas += *at == ',';
    assert_int_equal(commas, 4095 + 2); /* one owner for each bucket; two argument lists */
    uint32_t classes = 0;
    for (uint32_t i = 0; i < script.count; i++)
        classes += strncmp(script.steps[i].sql, "create operator class", 21) == 0;
    assert_int_equal(classes, 1); /* for both tables of the keyspace, none for the list keyspace */
    sy_arena_release(&w.arena);
}

static void other_tables_are_unions_or_foreign_tables(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    struct federation_script script = written(&w);
    const struct federation_step *orders = find(&script, "create table \"public\".\"orders\"");
    assert_non_null(orders);
    assert_string_equal(orders->name, "orders");
    assert_non_null(strstr(orders->sql, "partition by list (switchyard.part(\"status\"))"));
    assert_non_null(strstr(orders->sql, "for values in (1) server shard_1"));
    says(&script, "create foreign table \"public\".\"tags\"",
         "create foreign table \"public\".\"tags\" (\"t\" public.mood) server shard_1 options "
         "(schema_name 'public', table_name 'tags')");
    sy_arena_release(&w.arena);
}

/* Without superuser rights: no operator class, and every mapping needs its password. */
static void does_without_a_superuser(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    w.input.superuser = false;
    struct federation_script script = written(&w);
    assert_null(find(&script, "create operator class"));
    const struct federation_step *posts = find(&script, "create table \"public\".\"posts\"");
    assert_non_null(posts);
    assert_non_null(strstr(posts->sql, "partition by list (switchyard.part(\"author_id\"))"));
    for (uint32_t i = 0; i < script.count; i++)
        assert_null(strstr(script.steps[i].sql, "password_required"));
    sy_arena_release(&w.arena);
}

/* Types before tables before views before grants; a failed view is tried again, a failed table is
 * not there. */
static void the_order_of_things(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    struct federation_script script = written(&w);
    const struct federation_step *schema = find(&script, "create schema public"),
                                 *server = find(&script, "create server shard_0"),
                                 *table = find(&script, "create table"),
                                 *view = find(&script, "create view"),
                                 *grant = find(&script, "grant");
    assert_true(schema < server && server < table && table < view && view < grant);
    assert_int_equal(schema->need, FEDERATION_MAY);
    assert_true(schema->kept && !server->kept && !table->kept);
    assert_int_equal(server->need, FEDERATION_MUST);
    assert_int_equal(table->need, FEDERATION_MAY);
    assert_int_equal(view->need, FEDERATION_AGAIN);
    assert_string_equal(view->name, "v");
    assert_null(grant->name);
    sy_arena_release(&w.arena);
}

static void the_version_follows_what_is_said(void **state)
{
    struct world w, other;
    (void)state;
    make(&w);
    make(&other);
    uint64_t version = written(&w).version;
    assert_true(version == written(&other).version);
    other.tables[1].column_count = 0;
    assert_true(version != written(&other).version);
    assert_true(written(&w).types == written(&other).types); /* types stay as they are */
    other.tables[1].column_count = 1;
    other.input.user_count = 1;
    assert_true(version != written(&other).version);
    assert_true(federation_list_add(&other.arena, &other.input.first, NULL, NULL, "create type t"));
    assert_true(written(&w).types != written(&other).types);
    sy_arena_release(&w.arena);
    sy_arena_release(&other.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_and_users_are_quoted),
        cmocka_unit_test(hashed_tables_are_partitioned_by_their_shard),
        cmocka_unit_test(other_tables_are_unions_or_foreign_tables),
        cmocka_unit_test(does_without_a_superuser),
        cmocka_unit_test(the_order_of_things),
        cmocka_unit_test(the_version_follows_what_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
