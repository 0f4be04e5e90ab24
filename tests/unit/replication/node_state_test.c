/* The table of node states: every fact leads somewhere from every state, and each edge says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "replication/node_state.h"

static void follows_the_facts(void **state)
{
    (void)state;
    static const struct {
        enum sy_node_health from;
        bool answered, late;
        enum sy_node_health to;
    } rows[] = {
        {SY_HEALTH_UNKNOWN, true, false, SY_HEALTH_UP},
        {SY_HEALTH_UNKNOWN, true, true, SY_HEALTH_LAGGING},
        {SY_HEALTH_UNKNOWN, false, false, SY_HEALTH_DOWN},
        {SY_HEALTH_UP, true, false, SY_HEALTH_UP},
        {SY_HEALTH_UP, true, true, SY_HEALTH_LAGGING},
        {SY_HEALTH_UP, false, true, SY_HEALTH_DOWN},
        {SY_HEALTH_LAGGING, true, true, SY_HEALTH_LAGGING},
        {SY_HEALTH_LAGGING, true, false, SY_HEALTH_UP},
        {SY_HEALTH_LAGGING, false, false, SY_HEALTH_DOWN},
        {SY_HEALTH_DOWN, false, false, SY_HEALTH_DOWN},
        {SY_HEALTH_DOWN, true, false, SY_HEALTH_UP},
        {SY_HEALTH_DOWN, true, true, SY_HEALTH_LAGGING},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sy_probe_facts facts = {.answered = rows[i].answered, .beyond_lag = rows[i].late};
        const struct sy_health_edge *edge = sy_health_next(rows[i].from, &facts);
        assert_int_equal(edge == NULL ? rows[i].from : edge->to, rows[i].to);
        if (edge != NULL)
            assert_int_equal(edge->action,
                             rows[i].to == SY_HEALTH_DOWN ? SY_HEALTH_EXCLUDE : SY_HEALTH_ADMIT);
    }
}

static void every_edge_has_a_reason_and_moves(void **state)
{
    (void)state;
    unsigned count = 0;
    const struct sy_health_edge *edges = sy_health_edges(&count);
    for (unsigned i = 0; i < count; i++) {
        assert_true(edges[i].from != edges[i].to);
        assert_true(strlen(edges[i].why) > 5);
        assert_true(strlen(sy_health_name(edges[i].to)) > 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_facts),
        cmocka_unit_test(every_edge_has_a_reason_and_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
