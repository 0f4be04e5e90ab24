/* The loader: what a good file gives, that every problem is reported with its line, that nothing
 * wraps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "config/config.h"
#include "config/keys.h"

static const char good[] =
    "listen = { address = \"127.0.0.1\"; port = 7000; };\n"
    "workers = 2;\n"
    "login_timeout = \"5s\";\n"
    "template_cache = \"1MB\";\n"
    "users = ( { name = \"app\"; password = \"x\"; }, { name = \"adm\"; secret = \"md5abc\"; admin "
    "= true; } );\n"
    "auth = ( { address = \"10.0.0.0/8\"; database = \"blog\"; user = \"app\"; method = \"md5\"; "
    "},\n"
    "         { method = \"reject\"; } );\n"
    "databases = ( { name = \"blog\";\n"
    "  pool = { mode = \"session\"; size = 5; };\n"
    "  reads = { balance = \"weighted\"; max_lag = \"250ms\"; };\n"
    "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=a\"; weight = 3; } ); },\n"
    "             { name = \"s1\"; nodes = ( { conninfo = \"host=b\"; } ); } );\n"
    "  keyspaces = ( { name = \"k\"; strategy = \"range\"; type = \"timestamptz\";\n"
    "    ranges = ( { upto = \"2026-01-01\"; shard = \"s0\"; }, { shard = \"s1\"; } );\n"
    "    tables = ( { name = \"app.events\"; key = \"at\"; } ); } );\n"
    "  reference_tables = [ \"tags\", \"app.units\" ];\n"
    "  default_placement = \"local s1\"; } );\n";

static struct sy_config *load(const char *text)
{
    struct sy_buf problems = {0};
    struct sy_config *config = NULL;
    struct sy_err err;
    if (sy_config_parse(text, "t.conf", &config, &problems, &err) != SY_OK)
        fail_msg("%s: %.*s", err.text, (int)problems.bytes, problems.data);
    sy_buf_release(&problems);
    return config;
}

static void reads_every_kind_of_value(void **state)
{
    (void)state;
    struct sy_config *config = load(good);
    assert_int_equal(config->listen.port, 7000);
    assert_int_equal(config->login_timeout_us, 5000000);
    assert_int_equal(config->template_cache_bytes, 1 << 20);
    assert_int_equal(config->clients_max, 10000);
    assert_true(config->users[1].admin);
    assert_int_equal(config->auth[0].prefix_bits, 96 + 8);
    assert_true(config->auth[1].any_address);
    const struct sy_config_database *database = &config->databases[0];
    assert_int_equal(database->pool.mode, SY_POOL_SESSION);
    assert_string_equal(database->pool.reset_query, "DISCARD ALL");
    assert_int_equal(database->reads.max_lag_us, 250000);
    assert_int_equal(database->shards[0].nodes[0].weight, 3);
    assert_int_equal(database->shards[1].nodes[0].weight, 1);
    assert_string_equal(database->keyspaces[0].tables[0].schema, "app");
    assert_string_equal(database->keyspaces[0].tables[0].name, "events");
    assert_string_equal(database->reference_tables[0].schema, "public");
    assert_string_equal(database->reference_tables[1].name, "units");
    assert_int_equal(database->default_placement, SY_PLACEMENT_LOCAL);
    assert_string_equal(database->default_placement_shard, "s1");
    sy_config_unref(&config);
    assert_null(config);
}

struct bad_case {
    const char *label, *text, *expect;
};

#define ONE_SHARD "shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=a\"; } ); } );"

static const struct bad_case bad_cases[] = {
    {"syntax", "a = ;", "t.conf:1: "},
    {"unknown key", "wrokers = 1;\ndatabases = ();",
     "t.conf:1: unknown key \"wrokers\"; known here: listen"},
    {"missing list", "workers = 1;", "\"databases\" is missing"},
    {"wrapping number", "\nworkers = 3000000000;\ndatabases = ();",
     "t.conf:2: \"workers\" is 3000000000; it must"},
    {"64-bit wrap", "workers = 4294967297L;\ndatabases = ();", "between 0 and 256"},
    {"32-bit wrap to a legal value", "workers = 4294967298;\ndatabases = ();",
     "is 4294967298; it must"},
    {"beyond 64 bits", "workers = 18446744073709551618;\ndatabases = ();",
     "more digits than 64 bits"},
    {"negative", "workers = -1;\ndatabases = ();", "\"workers\" is -1"},
    {"type", "workers = \"two\";\ndatabases = ();", "\"workers\" must be a whole number"},
    {"duration without unit", "login_timeout = \"10\";\ndatabases = ();",
     "\"login_timeout\" must be a duration"},
    {"word", "loop = \"kqueue\";\ndatabases = ();", "must be one of: auto, io_uring, epoll"},
    {"network", "auth = ( { address = \"10.0.0.0/33\"; method = \"md5\"; } );\ndatabases = ();",
     "write a network such as"},
    {"no shard", "databases = ( { name = \"d\"; shards = (); } );", "database \"d\" has no shard"},
    {"no node", "databases = ( { name = \"d\"; shards = ( { name = \"s0\"; } ); } );",
     "has no nodes"},
    {"unknown shard",
     "databases = ( { name = \"d\"; " ONE_SHARD
     " local_tables = ( { name = \"t\"; shard = \"s9\"; } ); } );",
     "local_tables names shard \"s9\""},
    {"table twice",
     "databases = ( { name = \"d\"; " ONE_SHARD " reference_tables = [ \"t\", \"public.t\" ]; } );",
     "\"public.t\" is declared twice"},
    {"strategy without its key",
     "databases = ( { name = \"d\"; " ONE_SHARD
     " keyspaces = ( { name = \"k\"; strategy = \"geo\"; type = \"text\"; } ); } );",
     "needs \"regions\""},
    {"console's name", "databases = ( { name = \"switchyard\"; " ONE_SHARD " } );",
     "that is the admin console"},
    {"auth_query without a user",
     "databases = ( { name = \"d\"; " ONE_SHARD " auth_query = { query = \"select $1\"; }; } );",
     "auth_query needs \"user\""},
    {"auth_query without the name",
     "databases = ( { name = \"d\"; " ONE_SHARD
     " auth_query = { user = \"a\"; query = \"select 1, 2\"; }; } );",
     "auth_query.query needs $1"},
    {"auth_query of embedded shards",
     "databases = ( { name = \"d\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; } ); "
     "auth_query = { "
     "user = \"a\"; }; } );",
     "auth_query needs the engine \"postgres\""},
    {"federation of embedded shards",
     "databases = ( { name = \"d\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; } ); "
     "federation = { node = \"s0\"; }; } );",
     "federation is for the postgres engine"},
    {"federation under a long name",
     "databases = ( { name = \"a123456789b123456789c123456789d123456789e12345678\"; " ONE_SHARD
     " federation = { node = \"s0\"; }; } );",
     "a name has at most 48 bytes"},
    {"tls without files", "client_tls = { mode = \"require\"; };\ndatabases = ();",
     "client_tls.cert_file"},
};

static void reports_each_problem_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
        struct sy_buf problems = {0};
        struct sy_config *config = NULL;
        struct sy_err err;
        enum sy_status status =
            sy_config_parse(bad_cases[i].text, "t.conf", &config, &problems, &err);
        sy_buf_append_u8(&problems, 0);
        if (status != SY_E_CONFIG || strstr(problems.data, bad_cases[i].expect) == NULL)
            fail_msg("%s: status %d, problems: %s", bad_cases[i].label, (int)status, problems.data);
        assert_null(config);
        sy_buf_release(&problems);
    }
}

static void reports_all_problems_at_once(void **state)
{
    (void)state;
    struct sy_buf problems = {0};
    struct sy_config *config = NULL;
    struct sy_err err;
    assert_int_equal(sy_config_parse("workers = -1;\nloop = \"x\";\nfoo = 1;\ndatabases = ();",
                                     "t.conf", &config, &problems, &err),
                     SY_E_CONFIG);
    sy_buf_append_u8(&problems, 0);
    assert_non_null(strstr(problems.data, "t.conf:1:"));
    assert_non_null(strstr(problems.data, "t.conf:2:"));
    assert_non_null(strstr(problems.data, "t.conf:3:"));
    assert_string_equal(err.text, "t.conf has 3 problems");
    sy_buf_release(&problems);
}

static void builtin_configuration_is_sound(void **state)
{
    (void)state;
    struct sy_config *config = NULL;
    struct sy_err err = {0};
    if (sy_config_builtin(&config, &err) != SY_OK)
        fail_msg("%s: %s", err.text, err.detail);
    assert_string_equal(config->databases[0].name, "demo");
    assert_int_equal(config->databases[0].shard_count, 2);
    assert_int_equal(config->databases[0].keyspace_count, 3);
    sy_config_unref(&config);
}

static void count_secret(void *ctx, const char *key, const char *value, const char *default_value,
                         bool changeable)
{
    (void)default_value;
    (void)changeable;
    assert_null(strstr(key, "password"));
    assert_null(strstr(value, "md5abc"));
    (*(unsigned *)ctx)++;
}

static void settings_never_show_a_secret(void **state)
{
    (void)state;
    struct sy_config *config = load(good);
    unsigned rows = 0;
    sy_config_each_setting(config, count_secret, &rows);
    assert_true(rows > 15);
    sy_config_unref(&config);
}

static void need_about(const struct sy_key_row *rows)
{
    for (; rows->name != NULL; rows++) {
        if (rows->about == NULL || rows->about[0] == '\0')
            fail_msg("key %s has no documentation", rows->name);
        if (rows->children != NULL)
            need_about(rows->children);
    }
}

static void every_key_is_documented(void **state)
{
    (void)state;
    need_about(sy_config_keys);
    struct sy_buf out = {0};
    sy_config_write_reference(&out);
    sy_buf_append_u8(&out, 0);
    assert_non_null(strstr(out.data, "`databases[].pool.size`"));
    sy_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(reports_each_problem_with_its_line),
        cmocka_unit_test(reports_all_problems_at_once),
        cmocka_unit_test(builtin_configuration_is_sound),
        cmocka_unit_test(settings_never_show_a_secret),
        cmocka_unit_test(every_key_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
