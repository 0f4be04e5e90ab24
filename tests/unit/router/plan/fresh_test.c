/* switchyard.next_id() becomes a value where an expression is evaluated once, and nowhere else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "router/plan/fresh.h"

static int64_t count_up(void *ctx)
{
    return ++*(int64_t *)ctx;
}

struct row {
    const char *text, *made; /* NULL: refused */
};

static const struct row rows[] = {
    {"select switchyard.next_id()", "SELECT 9000000001 AS next_id"},
    {"select switchyard.next_id(), switchyard.next_id() as b, 5",
     "SELECT 9000000001 AS next_id, 9000000002 AS b, 5"},
    {"select Switchyard . NEXT_ID ( )::text", "SELECT (9000000001)::text AS next_id"},
    {"select array[switchyard.next_id(), switchyard.next_id() % 7]",
     "SELECT ARRAY[9000000001, 9000000002 % 7]"},
    {"values (switchyard.next_id()), (switchyard.next_id())", "VALUES (9000000001), (9000000002)"},
    {"insert into t values (switchyard.next_id(), $1), (switchyard.next_id(), $2) returning id",
     "INSERT INTO t VALUES (9000000001, $1), (9000000002, $2) RETURNING id"},
    {"insert into t (a, b) select switchyard.next_id(), 'switchyard.next_id()'",
     "INSERT INTO t (a, b) SELECT 9000000001 AS next_id, 'switchyard.next_id()'"},
    {"insert into t values (coalesce($1, switchyard.next_id()), upper('x'))",
     "INSERT INTO t VALUES (COALESCE($1, 9000000001), upper('x'))"},
    {"explain insert into t values (switchyard.next_id())",
     "EXPLAIN INSERT INTO t VALUES (9000000001)"},
    {"execute p(switchyard.next_id(), 2)", "EXECUTE p(9000000001, 2)"},
    {"select -switchyard.next_id()", NULL}, /* would be another constant */
    {"select switchyard.next_id() from t", NULL},
    {"select switchyard.next_id(), generate_series(1, 3)", NULL},
    {"select switchyard.next_id() union all select 1", NULL},
    {"select (select switchyard.next_id())", NULL},
    {"with a as (select switchyard.next_id()) select * from a", NULL},
    {"update t set id = switchyard.next_id() where id = 1", NULL},
    {"delete from t where id < switchyard.next_id()", NULL},
    {"insert into t select switchyard.next_id() from u", NULL},
    {"insert into t values (1) returning switchyard.next_id()", NULL},
    {"insert into t values (1) on conflict (id) do update set v = switchyard.next_id()", NULL},
    {"insert into t values (switchyard.next_id(), (select switchyard.next_id()))", NULL},
    {"create table t (id int8 default switchyard.next_id())", NULL},
    {"declare c cursor for select switchyard.next_id()", NULL},
};

static void values_take_the_place_of_calls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t last = 9000000000;
        const struct sy_fresh_source source = {count_up, &last};
        struct sy_arena arena = {0};
        struct sy_slice made;
        struct sy_err err = {0};
        enum sy_status status =
            sy_fresh_text(sy_slice_of(rows[i].text), &source, &arena, &made, &err);
        if (rows[i].made == NULL) {
            if (status != SY_E_UNSUPPORTED)
                fail_msg("not refused: %s", rows[i].text);
        } else if (status != SY_OK) {
            fail_msg("%s: %s", rows[i].text, err.text);
        } else {
            assert_string_equal(made.data, rows[i].made);
        }
        sy_arena_release(&arena);
    }
}

static void only_its_own_name_counts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool makes;
    } cases[] = {
        {"select switchyard.next_id()", true},
        {"select next_id()", false},
        {"select other.next_id()", false},
        {"select switchyard.next_id(1)", false},
        {"explain select switchyard.next_id()", true},
        {"prepare p as insert into t values (switchyard.next_id())", true},
        {"execute p(switchyard.next_id())", true},
        {"create table t (id int8 default switchyard.next_id())", true},
        {"select * from t where id in (select switchyard.next_id())", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_arena arena = {0};
        const struct sy_facts *facts;
        struct sy_err err = {0};
        assert_int_equal(sy_parse_facts(sy_slice_of(cases[i].text), NULL, 0, &arena, &facts, &err),
                         SY_OK);
        if (sy_stmt_makes_ids(&facts->stmts[0]) != cases[i].makes)
            fail_msg("%s", cases[i].text);
        sy_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_take_the_place_of_calls),
        cmocka_unit_test(only_its_own_name_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
