/*
 * Promise: the router knows the shards' schemas, maps types whose OIDs differ between shards, tells
 * in what shards differ, and learns of DDL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/inspector.h"
#include "router/engine/engine.h"
#include "router/engine/postgres/inspect.h"
#include "router/topology/topology.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/topology.h"

static struct sy_cluster *s0, *s1;

static const char *const schema_sql[] = {
    "create type mood as enum ('sad', 'ok', 'it''s fine')",
    "create domain percent as int check (value between 0 and 100)",
    "create type point3 as (x int, y int, z numeric(5,2))",
    "create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    "create table users(id bigint primary key, name varchar(20) not null, feeling mood, feelings "
    "mood[], p percent,"
    " made timestamptz(3) default now(), seq serial, doubled bigint generated always as (id * 2) "
    "stored,"
    " loose_name text collate loose)",
    "create unlogged table scratch(a int)",
    "create table audit(at timestamptz)",
    "create schema other",
    "create table other.users(id int)",
    "create sequence counter",
    "create function volatile_one() returns int language sql as 'select 1'",
    "create function stable_one(int) returns int stable language sql as 'select 1'",
    "create function mixed(int) returns int immutable language sql as 'select 1'",
    "create function mixed(text) returns int volatile language sql as 'select 1'",
    "create view v1 as select id, upper(name) u from users where id + 1 > 2",
    "create view v2 as select count(*) from v1 join other.users o using (id)",
    "create view v_random as select random() r from users",
    "create view v_over_random as select * from v_random",
    "create view v_pid as select pg_backend_pid()",
    "create view v_sequence as select last_value from counter",
    "create view v_volatile as select volatile_one()",
    "create view v_xml as select query_to_xml('select 1', true, true, '')",
    "create materialized view m_stable as select stable_one(1)",
    "create view v_scratch as select * from scratch",
    "create materialized view m1 as select id from users",
    "create function trig() returns trigger language plpgsql as 'begin return new; end'",
    "create trigger t before insert on other.users for each row execute function trig()",
    "alter table audit enable row level security",
    "alter table users add foreign key (id) references users(id)",
};

static struct sy_topology *build(void)
{
    char text[2048];
    snprintf(text, sizeof(text),
             "databases = ( { name = \"app\"; engine = \"postgres\"; shards = ("
             " { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=app "
             "user=postgres\"; } ); },"
             " { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=app "
             "user=postgres\"; } ); } );"
             " keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int8\";"
             "  tables = ( { name = \"users\"; key = \"id\"; } ); } );"
             " reference_tables = [ \"absent\" ];"
             " local_tables = ( { name = \"audit\"; shard = \"s0\"; }, { name = \"only1\"; shard = "
             "\"s1\"; } ); } );",
             sy_cluster_port(s0, 0), sy_cluster_port(s1, 0));
    return topology_of_text(text, NULL);
}

static struct sy_topology *topology;
static struct sy_topology_schema *found;

static const struct sy_schema_relation *relation(const char *schema, const char *name)
{
    const struct sy_schema_relation *result =
        sy_schema_find(found->schema, sy_slice_of(schema), sy_slice_of(name));
    if (result == NULL)
        fail_msg("no relation %s.%s", schema, name);
    return result;
}

static void reads_relations_and_columns(void **state)
{
    (void)state;
    const struct sy_schema_relation *users = relation("public", "users");
    assert_int_equal(users->kind, SY_RELATION_TABLE);
    assert_int_equal(users->column_count, 9);
    assert_false(users->has_triggers); /* those of foreign keys do not count */
    static const struct {
        const char *name, *type;
        int32_t modifier;
        bool has_default, serial, generated, loose;
    } rows[] = {
        {"id", "int8", -1, false, false, false, false},
        {"name", "varchar", 24, false, false, false, false},
        {"feeling", "mood", -1, false, false, false, false},
        {"feelings", "_mood", -1, false, false, false, false},
        {"p", "percent", -1, false, false, false, false},
        {"made", "timestamptz", 3, true, false, false, false},
        {"seq", "int4", -1, true, true, false, false},
        {"doubled", "int8", -1, true, false, true, false},
        {"loose_name", "text", -1, false, false, false, true},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct sy_schema_column *column = &users->columns[i];
        print_message("%s\n", rows[i].name);
        assert_true(sy_slice_eq(column->name, sy_slice_of(rows[i].name)));
        assert_true(sy_slice_eq(column->type, sy_slice_of(rows[i].type)));
        assert_int_equal(column->type_modifier, rows[i].modifier);
        assert_int_equal(column->has_default, rows[i].has_default);
        assert_int_equal(column->is_identity_or_serial, rows[i].serial);
        assert_int_equal(column->is_generated, rows[i].generated);
        assert_int_equal(column->nondeterministic_collation, rows[i].loose);
    }
    assert_true(relation("public", "scratch")->is_unlogged);
    assert_true(relation("other", "users")->has_triggers);
    assert_true(relation("public", "audit")->has_rls);
    assert_int_equal(relation("public", "counter")->kind, SY_RELATION_SEQUENCE);
    assert_int_equal(relation("public", "users_pkey")->kind, SY_RELATION_INDEX);
    assert_int_equal(relation("public", "m1")->kind, SY_RELATION_MATVIEW);
    assert_int_equal(relation("pg_catalog", "pg_class")->oid, 1259);
    assert_non_null(relation("public", "only1")); /* which only s1 has */
    assert_true(sy_schema_has_namespace(found->schema, SY_SLICE("other")));
}

static void follows_views(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool provable;
    } rows[] = {
        {"v1", true},     {"v2", true},          {"v_random", false},   {"v_over_random", false},
        {"v_pid", false}, {"v_sequence", false}, {"v_volatile", false}, {"v_scratch", false},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].name);
        assert_int_equal(relation("public", rows[i].name)->is_read_only_view, rows[i].provable);
    }
    static const char *const callers[] = {"v_volatile", "v_xml", "m_stable"};
    for (unsigned i = 0; i < sizeof(callers) / sizeof(callers[0]); i++)
        assert_true(relation("public", callers[i])->calls_users);
    assert_false(relation("public", "v1")->calls_users);
    assert_false(relation("public", "v_random")->calls_users);
    const struct sy_schema_relation *v2 = relation("public", "v2");
    unsigned users = 0;
    for (uint32_t i = 0; i < v2->depend_count; i++)
        users +=
            sy_slice_eq(sy_schema_relation(found->schema, v2->depends[i])->name, SY_SLICE("users"));
    assert_int_equal(users, 2); /* public.users through v1, and other.users */
}

static void knows_how_volatile_functions_are(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *name;
        enum sy_volatility volatility;
    } rows[] = {
        {"public", "volatile_one", SY_VOLATILE}, {"public", "stable_one", SY_STABLE},
        {"public", "mixed", SY_VOLATILE},        {"pg_catalog", "upper", SY_IMMUTABLE},
        {"pg_catalog", "now", SY_STABLE},        {"", "random", SY_VOLATILE},
        {"public", "nope", SY_VOLATILE_UNKNOWN}, {"pg_catalog", "count", SY_IMMUTABLE},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(sy_schema_volatility(found->schema, sy_slice_of(rows[i].schema),
                                              sy_slice_of(rows[i].name)),
                         rows[i].volatility);
}

static uint32_t oid_on(const struct sy_cluster *cluster, const char *expression)
{
    char sql[200];
    snprintf(sql, sizeof(sql), "select (%s)::oid", expression);
    return (uint32_t)strtoul(sy_cluster_value(cluster, 0, "app", sql), NULL, 10);
}

static void maps_types_and_tables_between_shards(void **state)
{
    (void)state;
    static const char *const types[] = {"'mood'::regtype",     "'mood[]'::regtype",
                                        "'percent'::regtype",  "'point3'::regtype",
                                        "'point3[]'::regtype", "'users'::regtype"};
    const struct sy_type_map *map = &found->maps[1];
    assert_int_equal(found->shard_count, 2);
    for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        uint32_t here = oid_on(s0, types[i]), there = oid_on(s1, types[i]);
        print_message("%s: %u and %u\n", types[i], here, there);
        assert_int_not_equal(here, there);
        assert_int_equal(sy_type_map_type(map, there), here);
        assert_int_equal(sy_type_map_type_back(map, here), there);
        assert_int_equal(sy_type_map_type(&found->maps[0], here), here);
    }
    assert_int_equal(sy_type_map_type(map, 23), 23);
    assert_int_equal(sy_type_map_table(map, oid_on(s1, "'users'::regclass")),
                     oid_on(s0, "'users'::regclass"));
    assert_int_equal(sy_type_map_type(map, oid_on(s1, "'extra'::regtype")),
                     0); /* s0 has no such type */
}

static bool told(const char *text)
{
    for (uint32_t i = 0; i < found->difference_count; i++)
        if (strstr(found->differences[i], text) != NULL)
            return true;
    return false;
}

static void tells_differences(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < found->difference_count; i++)
        print_message("%s\n", found->differences[i]);
    assert_true(told("table public.absent is declared, but shard s0 does not have it"));
    assert_true(told("table public.absent is declared, but shard s1 does not have it"));
    assert_true(told(
        "column 2 of table other.users is extra integer on shard s0 and extra text on shard s1"));
    assert_true(told("type public.changed is"));
    assert_false(told("audit"));
    assert_false(told("only1"));
    assert_false(told("public.users has"));
}

static void a_shard_that_is_away_is_marked(void **state)
{
    (void)state;
    struct sy_topology_schema *partial = NULL;
    struct sy_err err = {0};
    bool complete = true;
    sy_cluster_stop_node(s1, 0, SY_STOP_FAST);
    assert_int_equal(pg_inspect(&topology->databases[0], &partial, &complete, &err), SY_OK);
    assert_false(complete);
    assert_true(partial->maps[1].unread);
    assert_int_equal(sy_type_map_type(&partial->maps[1], 20000), 0);
    assert_int_equal(sy_type_map_type(&partial->maps[1], 25), 25);
    sy_topology_schema_unref(partial);
    sy_cluster_start_node(s1, 0);
    sy_cluster_stop_node(s0, 0, SY_STOP_FAST);
    assert_int_equal(pg_inspect(&topology->databases[0], &partial, &complete, &err), SY_E_CONNECT);
    assert_non_null(strstr(err.text, "shard s0"));
    sy_cluster_start_node(s0, 0);
}

static void publishes_and_learns_of_ddl(void **state)
{
    (void)state;
    struct sy_err err = {0};
    sy_topology_publish(sy_topology_ref(topology));
    assert_int_equal(sy_inspector_start(&err), SY_OK);
    assert_true(sy_inspector_wait_first(20000));
    struct sy_topology *now = sy_topology_acquire();
    assert_non_null(now->databases[0].schema);
    assert_null(sy_schema_find(now->databases[0].schema, SY_SLICE("public"), SY_SLICE("fresh")));
    sy_topology_unref(&now);
    sy_cluster_sql(s0, 0, "app", "create table fresh(a int)");
    sy_schema_refresh_request(SY_SLICE("app"));
    bool seen = false;
    for (int i = 0; i < 1000 && !seen; i++) {
        sy_pause_ms(10);
        now = sy_topology_acquire();
        seen =
            sy_schema_find(now->databases[0].schema, SY_SLICE("public"), SY_SLICE("fresh")) != NULL;
        sy_topology_unref(&now);
    }
    assert_true(seen);
    sy_inspector_stop();
    sy_topology_retire();
}

static void prepare(const struct sy_cluster *cluster, bool second)
{
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    if (second) { /* other OIDs for everything that follows */
        sy_cluster_sql(cluster, 0, "app", "create table filler1(a serial)");
        sy_cluster_sql(cluster, 0, "app", "create type extra as enum ('only here')");
        sy_cluster_sql(cluster, 0, "app", "create table only1(a int)");
    }
    for (unsigned i = 0; i < sizeof(schema_sql) / sizeof(schema_sql[0]); i++)
        sy_cluster_sql(cluster, 0, "app", schema_sql[i]);
    sy_cluster_sql(cluster, 0, "app",
                   second ? "alter table other.users add extra text"
                          : "alter table other.users add extra int");
    sy_cluster_sql(cluster, 0, "app",
                   second ? "create type changed as enum ('a', 'b')"
                          : "create type changed as enum ('a', 'c')");
}

int main(void)
{
    struct sy_err err = {0};
    sy_engine_register(SY_ENGINE_POSTGRES, sy_engine_postgres());
    bool complete = false;
    s0 = sy_cluster_start(&(struct sy_cluster_options){.name = "s0"});
    s1 = sy_cluster_start(&(struct sy_cluster_options){.name = "s1"});
    prepare(s0, false);
    prepare(s1, true);
    topology = build();
    if (pg_inspect(&topology->databases[0], &found, &complete, &err) != SY_OK || !complete) {
        fprintf(stderr, "%s\n", err.text);
        return sy_harness_finish(1);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_relations_and_columns),
        cmocka_unit_test(follows_views),
        cmocka_unit_test(knows_how_volatile_functions_are),
        cmocka_unit_test(maps_types_and_tables_between_shards),
        cmocka_unit_test(tells_differences),
        cmocka_unit_test(a_shard_that_is_away_is_marked),
        cmocka_unit_test(publishes_and_learns_of_ddl),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_topology_schema_unref(found);
    sy_topology_unref(&topology);
    return sy_harness_finish(failed);
}
