/*
 * Promise: the router knows within moments which node is the primary, how far each replica has
 * replayed, which one lags or is gone, and that it came back; and it follows a promotion.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replication/monitor.h"
#include "replication/node_state.h"
#include "router/topology/topology.h"
#include "tests/harness/cluster.h"
#include "tests/harness/fault_proxy.h"
#include "tests/harness/process.h"

static struct sy_cluster *cluster;
static struct sy_fault_proxy *proxy; /* in front of the second replica */

static struct sy_topology *build(unsigned nodes)
{
    char text[1024];
    struct sy_config *config = NULL;
    struct sy_topology *topology = NULL, *previous = sy_topology_acquire();
    struct sy_buf problems = {0};
    struct sy_err err = {0};
    char second[160] = "", third[160] = "";
    if (nodes > 1)
        snprintf(second, sizeof(second),
                 ", { conninfo = \"host=localhost port=%u dbname=postgres user=postgres\"; }",
                 sy_cluster_port(cluster, 1));
    if (nodes > 2)
        snprintf(
            third, sizeof(third),
            ", { conninfo = \"host=127.0.0.1 port=%u dbname=postgres\"; user = \"postgres\"; }",
            sy_fault_proxy_port(proxy));
    snprintf(
        text, sizeof(text),
        "databases = ( { name = \"app\"; engine = \"postgres\"; reads = { max_lag = \"500ms\"; };"
        " shards = ( { name = \"s0\"; nodes = ("
        " { conninfo = \"host=127.0.0.1 port=%u dbname=postgres user=postgres\"; }%s%s ); } ); } "
        ");",
        sy_cluster_port(cluster, 0), second, third);
    if (sy_config_parse(text, "test", &config, &problems, &err) != SY_OK)
        fail_msg("%.*s", (int)problems.bytes, problems.data);
    assert_int_equal(sy_topology_build(config, previous, &topology, &err), SY_OK);
    sy_buf_release(&problems);
    sy_config_unref(&config);
    sy_topology_unref(&previous);
    return topology;
}

static struct sy_node *node_of(const struct sy_topology *topology, unsigned index)
{
    return topology->databases[0].shards[0].nodes[index];
}

static bool becomes(const _Atomic int *value, int wanted)
{
    for (int i = 0; i < 1500 && atomic_load(value) != wanted; i++)
        sy_pause_ms(10);
    return atomic_load(value) == wanted;
}

static bool reaches(const _Atomic uint64_t *value, uint64_t wanted)
{
    for (int i = 0; i < 1500 && atomic_load(value) < wanted; i++)
        sy_pause_ms(10);
    return atomic_load(value) >= wanted;
}

static void knows_roles_and_positions(void **state)
{
    (void)state;
    sy_topology_publish(build(3));
    assert_true(sy_monitor_wait_first(15000));
    struct sy_topology *topology = sy_topology_acquire();
    assert_true(becomes(&node_of(topology, 0)->role, SY_NODE_PRIMARY));
    assert_true(becomes(&node_of(topology, 1)->role, SY_NODE_REPLICA));
    assert_true(becomes(&node_of(topology, 2)->role, SY_NODE_REPLICA));
    sy_cluster_sql(cluster, 0, "postgres", "create table if not exists t(a int)");
    sy_cluster_sql(cluster, 0, "postgres", "insert into t select generate_series(1, 1000)");
    uint64_t lsn =
        strtoull(sy_cluster_value(cluster, 0, "postgres",
                                  "select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')"),
                 NULL, 10);
    for (unsigned i = 0; i < 3; i++)
        assert_true(reaches(&node_of(topology, i)->replay_lsn, lsn));
    uint32_t rotation = 0;
    const struct sy_topology_database *database = &topology->databases[0];
    assert_ptr_equal(sy_topology_pick(database, 0, false, 0, &rotation), node_of(topology, 0));
    assert_int_equal(sy_topology_pick(database, 0, true, lsn, &rotation)->role, SY_NODE_REPLICA);
    sy_topology_unref(&topology);
}

static void leaves_out_a_replica_that_lags(void **state)
{
    (void)state;
    struct sy_topology *topology = sy_topology_acquire();
    const struct sy_topology_database *database = &topology->databases[0];
    uint32_t rotation = 0;
    sy_cluster_sql(cluster, 1, "postgres", "select pg_wal_replay_pause()");
    assert_true(sy_cluster_wait(cluster, 1, "postgres",
                                "select pg_get_wal_replay_pause_state() = 'paused'", 5000));
    sy_cluster_sql(cluster, 0, "postgres", "insert into t select generate_series(1, 10)");
    assert_true(becomes(&node_of(topology, 1)->health, SY_HEALTH_LAGGING));
    assert_true(atomic_load(&node_of(topology, 1)->lag_us) > 500000);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(sy_topology_pick(database, 0, true, 0, &rotation), node_of(topology, 2));
    sy_cluster_sql(cluster, 1, "postgres", "select pg_wal_replay_resume()");
    assert_true(becomes(&node_of(topology, 1)->health, SY_HEALTH_UP));
    assert_int_equal(atomic_load(&node_of(topology, 1)->lag_us), 0);
    /* An idle primary does not make replicas look late. */
    sy_pause_ms(1000);
    assert_int_equal(atomic_load(&node_of(topology, 1)->health), SY_HEALTH_UP);
    sy_topology_unref(&topology);
}

static void notices_nodes_that_go_and_come_back(void **state)
{
    (void)state;
    struct sy_topology *topology = sy_topology_acquire();
    sy_cluster_stop_node(cluster, 1, SY_STOP_IMMEDIATE);
    assert_true(becomes(&node_of(topology, 1)->health, SY_HEALTH_DOWN));
    assert_false(atomic_load(&node_of(topology, 1)->reachable));
    sy_cluster_start_node(cluster, 1);
    assert_true(becomes(&node_of(topology, 1)->health, SY_HEALTH_UP));
    /* One that is there but silent. */
    sy_fault_proxy_set(proxy, SY_FAULT_BLACKHOLE, 0);
    assert_true(becomes(&node_of(topology, 2)->health, SY_HEALTH_DOWN));
    assert_int_equal(atomic_load(&node_of(topology, 0)->health), SY_HEALTH_UP);
    sy_fault_proxy_set(proxy, SY_FAULT_CUT, 0);
    sy_fault_proxy_set(proxy, SY_FAULT_NONE, 0);
    assert_true(becomes(&node_of(topology, 2)->health, SY_HEALTH_UP));
    sy_topology_unref(&topology);
}

static void follows_a_promotion(void **state)
{
    (void)state;
    struct sy_topology *topology = sy_topology_acquire();
    const struct sy_topology_database *database = &topology->databases[0];
    uint32_t rotation = 0;
    sy_cluster_stop_node(cluster, 0, SY_STOP_KILL);
    assert_true(becomes(&node_of(topology, 0)->health, SY_HEALTH_DOWN));
    assert_ptr_equal(sy_topology_pick(database, 0, false, 0, &rotation), node_of(topology, 0));
    sy_cluster_promote(cluster, 1);
    assert_true(becomes(&node_of(topology, 1)->role, SY_NODE_PRIMARY));
    assert_ptr_equal(sy_topology_pick(database, 0, false, 0, &rotation), node_of(topology, 1));
    sy_topology_unref(&topology);
}

static void follows_a_new_configuration(void **state)
{
    (void)state;
    struct sy_topology *old = sy_topology_acquire();
    struct sy_node *gone = sy_node_ref(node_of(old, 2));
    sy_topology_unref(&old);
    sy_topology_publish(build(2));
    assert_true(sy_monitor_wait_first(5000));
    for (int i = 0; i < 500 && atomic_load(&gone->refs) != 1; i++)
        sy_pause_ms(10);
    assert_int_equal(atomic_load(&gone->refs), 1); /* nobody watches it any more */
    sy_node_unref(gone);
}

int main(void)
{
    struct sy_err err = {0};
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "s0", .replicas = 2});
    proxy = sy_fault_proxy_start(sy_cluster_port(cluster, 2));
    if (sy_monitor_start(&err) != SY_OK)
        return sy_harness_finish(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_roles_and_positions),
        cmocka_unit_test(leaves_out_a_replica_that_lags),
        cmocka_unit_test(notices_nodes_that_go_and_come_back),
        cmocka_unit_test(follows_a_promotion),
        cmocka_unit_test(follows_a_new_configuration),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_monitor_stop();
    sy_topology_retire();
    sy_fault_proxy_stop(&proxy);
    return sy_harness_finish(failed);
}
