/* Declarations as statements: what is read, what is written, what a configuration makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "config/declaration.h"

struct form {
    const char *said, *kept; /* kept NULL: the same */
};

static const struct form forms[] = {
    {"CREATE KEYSPACE authors HASH (int8)", NULL},
    {"create /* c */ keyspace Authors hash(bigint) on (S0,s1) ; ",
     "CREATE KEYSPACE authors HASH (int8) ON (s0, s1)"},
    {"CREATE KEYSPACE \"A \"\"b\" HASH (uuid)", NULL},
    {"CREATE KEYSPACE events RANGE (timestamptz) (s0 UPTO '2026-01-01', s1)", NULL},
    {"CREATE KEYSPACE kinds LIST (text) (s0 VALUES ('a', 'it''s; b'), s1 VALUES ('c'), s2 DEFAULT)",
     NULL},
    {"CREATE KEYSPACE kinds LIST (int4) (s2 DEFAULT)", NULL},
    {"CREATE KEYSPACE people GEO (text) (eu VALUES ('DE') ON (s0), default ON (s1))",
     "CREATE KEYSPACE people GEO (text, int8) (eu VALUES ('DE') ON (s0), default ON (s1))"},
    {"CREATE KEYSPACE people GEO (text, uuid) (eu VALUES ('DE', 'FR') ON (s0, s2))", NULL},
    {"DROP KEYSPACE authors", NULL},
    {"SHARD TABLE posts BY author_id IN authors",
     "SHARD TABLE public.posts BY author_id IN authors"},
    {"SHARD TABLE app.\"Posts\" BY \"K\" IN authors", NULL},
    {"shard table t by country, id in people for database blog",
     "SHARD TABLE public.t BY country, id IN people"},
    {"SHARD TABLE public.t BY id IN k PER SHARD CONSTRAINTS (t_u, \"*\")", NULL},
    {"REFERENCE TABLE tags", "REFERENCE TABLE public.tags"},
    {"LOCAL TABLE audit ON s0", "LOCAL TABLE public.audit ON s0"},
    {"-- c\nUNSHARD\nTABLE posts", "UNSHARD TABLE public.posts"},
    {"UNSHARD TABLE \"for\"", "UNSHARD TABLE public.for"},
};

static void assert_writes(const char *said, const char *kept)
{
    struct sy_declaration declaration;
    struct sy_arena arena = {0};
    struct sy_buf out = {0};
    struct sy_err err;
    sy_err_init(&err);
    assert_true(sy_declaration_begins(sy_slice_of(said)));
    if (sy_declaration_parse(sy_slice_of(said), &arena, &declaration, &err) != SY_OK)
        fail_msg("%s: %s", said, err.text);
    sy_declaration_write(&declaration, &out);
    sy_buf_append_u8(&out, 0);
    assert_string_equal(out.data, kept);
    sy_buf_release(&out);
    sy_arena_release(&arena);
}

static void what_is_written_says_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        const char *kept = forms[i].kept == NULL ? forms[i].said : forms[i].kept;
        assert_writes(forms[i].said, kept);
        assert_writes(kept, kept);
    }
}

static void the_database_is_told(void **state)
{
    (void)state;
    struct sy_declaration declaration;
    struct sy_arena arena = {0};
    struct sy_err err;
    assert_int_equal(sy_declaration_parse(SY_SLICE("REFERENCE TABLE t FOR DATABASE \"My Blog\";"),
                                          &arena, &declaration, &err),
                     SY_OK);
    assert_string_equal(declaration.database, "My Blog");
    sy_arena_release(&arena);
}

struct mistake {
    const char *said, *part;
    int position;
};

static const struct mistake mistakes[] = {
    {"SHARD TABLE posts", "at end of input, where BY should be", 18},
    {"SHARD TABLE posts BY id", "where IN should be", 24},
    {"SHARD TABLE posts BY id IN k; SELECT 1", "near \"SELECT\", where the end should be", 31},
    {"SHARD TABLE 'posts' BY id IN k", "where a table's name should be", 13},
    {"SHARD TABLE \"\" BY id IN k", "where a table's name should be", 13},
    {"SHARD TABLE \"posts BY id IN k", "unterminated quote", 13},
    {"CREATE KEYSPACE \xc3\xa4 SLOW (int8)", "where HASH, RANGE, LIST or GEO should be", 19},
    {"CREATE KEYSPACE k HASH (float8)", "where a key type", 25},
    {"CREATE KEYSPACE k HASH (int8) ON ()", "where a name should be", 35},
    {"CREATE KEYSPACE k RANGE (int8) (s0 UPTO 5)", "a value in single quotes", 41},
    {"CREATE KEYSPACE k LIST (int8) (s0 DEFAULT, s1 DEFAULT)", "one DEFAULT", 54},
    {"CREATE KEYSPACE k LIST (int8) (s0)", "where VALUES or DEFAULT should be", 34},
    {"CREATE KEYSPACE k GEO (text) (eu VALUES ('DE'))", "where ON should be", 47},
    {"REFERENCE TABLE t FOR blog", "where DATABASE should be", 23},
};

static void mistakes_are_told_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        struct sy_declaration declaration;
        struct sy_arena arena = {0};
        struct sy_err err;
        sy_err_init(&err);
        enum sy_status status =
            sy_declaration_parse(sy_slice_of(mistakes[i].said), &arena, &declaration, &err);
        if (status != SY_E_SYNTAX || strstr(err.text, mistakes[i].part) == NULL ||
            err.position != mistakes[i].position)
            fail_msg("%s: %d, %d: %s", mistakes[i].said, (int)status, err.position, err.text);
        sy_arena_release(&arena);
    }
}

static void other_statements_are_left_alone(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "create table keyspace (a int)",
                                         "create keyspaces k",
                                         "drop table shard",
                                         "shard",
                                         "reference tables t",
                                         "select 'SHARD TABLE'",
                                         "-- SHARD TABLE t",
                                         "/* SHARD TABLE t"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(sy_declaration_begins(sy_slice_of(others[i])));
}

static void long_names_are_refused(void **state)
{
    (void)state;
    char text[200] = "REFERENCE TABLE ";
    struct sy_declaration declaration;
    struct sy_arena arena = {0};
    struct sy_err err;
    sy_err_init(&err);
    memset(text + strlen(text), 'x', SY_LIMIT_NAME_BYTES + 1);
    assert_int_equal(sy_declaration_parse(sy_slice_of(text), &arena, &declaration, &err),
                     SY_E_LIMIT);
    sy_arena_release(&arena);
}

/* ---- beside a configuration ---- */

static const char file[] = "databases = ( { name = \"blog\"; engine = \"sqlite\";\n"
                           "  shards = ( { name = \"s0\"; }, { name = \"s1\"; } );\n"
                           "  keyspaces = ( { name = \"k\"; strategy = \"hash\"; type = \"int8\";\n"
                           "    tables = ( { name = \"posts\"; key = \"id\"; } ); } );\n"
                           "  reference_tables = [ \"tags\",\n"
                           "    \"words\" ];\n"
                           "  local_tables = ( { name = \"audit\"; shard = \"s0\"; } ); } );\n";

/* What is in force, and the problems. */
static struct sy_config *declare(const struct sy_config_declared *declared, uint32_t count,
                                 struct sy_buf *problems, enum sy_status *ret_status)
{
    struct sy_config *config = NULL;
    struct sy_err err;
    sy_err_init(&err);
    assert_int_equal(sy_config_parse(file, "f.conf", &config, problems, &err), SY_OK);
    *ret_status = sy_config_declare(config, declared, count, problems, &err);
    sy_buf_append_u8(problems, 0);
    return config;
}

static void declarations_stand_beside_the_files(void **state)
{
    (void)state;
    static const struct sy_config_declared declared[] = {
        {"blog", "CREATE KEYSPACE people HASH (uuid)"},
        {"blog", "CREATE KEYSPACE k HASH (int8)"}, /* alike: the file's */
        {"gone", "CREATE KEYSPACE k RANGE (int8) (s7)"},
        {"blog", "SHARD TABLE public.notes BY who IN people"},
        {"blog", "SHARD TABLE public.likes BY id IN k"},
        {"blog", "SHARD TABLE public.posts BY id IN k"},
        {"blog", "REFERENCE TABLE public.tags"},
        {"blog", "REFERENCE TABLE app.tags"},
        {"blog", "LOCAL TABLE public.log ON s1"},
    };
    struct sy_buf problems = {0};
    enum sy_status status;
    struct sy_config *config = declare(declared, 9, &problems, &status);
    if (status != SY_OK)
        fail_msg("%s", problems.data);
    const struct sy_config_database *database = &config->databases[0];
    assert_int_equal(database->keyspace_count, 2);
    assert_false(database->keyspaces[0].origin.catalog);
    assert_int_equal(database->keyspaces[0].table_count, 2);
    assert_false(database->keyspaces[0].tables[0].origin.catalog);
    assert_true(database->keyspaces[0].tables[1].origin.catalog);
    assert_true(database->keyspaces[1].origin.catalog);
    assert_int_equal(database->reference_table_count, 3);
    assert_int_equal(database->local_table_count, 2);
    sy_buf_release(&problems);
    sy_config_unref(&config);
}

struct contradiction {
    const char *statement, *problem;
};

static const struct contradiction contradictions[] = {
    {"CREATE KEYSPACE k HASH (int4)", "f.conf:3: keyspace \"k\" is declared here, and otherwise"},
    {"SHARD TABLE public.posts BY author IN k", "f.conf:4: table \"posts\" is declared here"},
    {"REFERENCE TABLE public.posts", "f.conf:4: "},
    {"LOCAL TABLE public.words ON s0", "f.conf:6: "},
    {"LOCAL TABLE public.audit ON s1", "f.conf:7: "},
    {"SHARD TABLE public.t BY id IN gone", "there is no such keyspace"},
    {"LOCAL TABLE public.t ON s7", "names shard \"s7\""},
    {"CREATE KEYSPACE o HASH (int8) ON (s7)", "names shard \"s7\""},
    {"CREATE KEYSPACE o RANGE (int8) (s0, s1)", "only the last range may lack"},
    {"SHARD TABLE public.t BY id, a IN k", "a second column is for geo keyspaces"},
};

static void contradictions_name_the_line_of_the_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(contradictions) / sizeof(contradictions[0]); i++) {
        const struct sy_config_declared declared = {"blog", contradictions[i].statement};
        struct sy_buf problems = {0};
        enum sy_status status;
        struct sy_config *config = declare(&declared, 1, &problems, &status);
        if (status != SY_E_CONFIG || strstr(problems.data, contradictions[i].problem) == NULL)
            fail_msg("%s: %d: %s", contradictions[i].statement, (int)status, problems.data);
        sy_buf_release(&problems);
        sy_config_unref(&config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_says_the_same),
        cmocka_unit_test(the_database_is_told),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(other_statements_are_left_alone),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(declarations_stand_beside_the_files),
        cmocka_unit_test(contradictions_name_the_line_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
