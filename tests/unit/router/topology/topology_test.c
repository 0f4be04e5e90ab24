/* Building snapshots, taking nodes over, choosing a node, publishing while others read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "router/topology/topology.h"
#include "tests/harness/topology.h"

static const char *one_node(const char *conninfo)
{
    static char text[1024];
    snprintf(text, sizeof(text),
             "databases = ( { name = \"app\"; engine = \"postgres\"; shards = ( { name = \"s0\";"
             " nodes = ( { conninfo = \"%s\"; } ); } ); } );",
             conninfo);
    return text;
}

static const char *three_nodes(const char *reads)
{
    static char text[2048];
    snprintf(text, sizeof(text),
             "databases = ( { name = \"app\"; engine = \"postgres\"; reads = { %s };"
             " shards = ( { name = \"s0\"; nodes = ("
             " { conninfo = \"host=127.0.0.1 port=1 dbname=a\"; },"
             " { conninfo = \"host=127.0.0.1 port=2 dbname=a\"; zone = \"eu\"; weight = 3; },"
             " { conninfo = \"host=127.0.0.1 port=3 dbname=a\"; zone = \"us\"; } ); } ); } );",
             reads);
    return text;
}

static struct sy_node *node_of(const struct sy_topology *topology, uint32_t index)
{
    return topology->databases[0].shards[0].nodes[index];
}

/* ---- conninfo ---- */

static void resolves_what_conninfo_says(void **state)
{
    (void)state;
    static const struct {
        const char *conninfo, *host, *port, *database, *user, *sslmode;
        bool local;
    } rows[] = {
        {"host=127.0.0.1 dbname=blog", "127.0.0.1", "5432", "blog", NULL, "prefer", true},
        {"host=10.0.0.1 port=5433 user=bob", "10.0.0.1", "5433", "app", "bob", "verify-full",
         false},
        {"host=10.0.0.1 sslmode=disable", "10.0.0.1", "5432", "app", NULL, "disable", false},
        {"postgresql://bob@db.example:6000/x?sslmode=require", "db.example", "6000", "x", "bob",
         "require", false},
        {"host=/run/postgresql dbname=x", "/run/postgresql", "5432", "x", NULL, "prefer", true},
        {"host=db.example hostaddr=127.0.0.2", "db.example", "5432", "app", NULL, "prefer", true},
        {"", "/var/run/postgresql", "5432", "app", NULL, "prefer", true},
        {"host=::1", "::1", "5432", "app", NULL, "prefer", true},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sy_topology *topology = topology_of_text(one_node(rows[i].conninfo), NULL);
        const struct sy_node *node = node_of(topology, 0);
        print_message("conninfo \"%s\"\n", rows[i].conninfo);
        assert_string_equal(node->host, rows[i].host);
        assert_string_equal(node->port, rows[i].port);
        assert_string_equal(node->server_database, rows[i].database);
        assert_string_equal(node->sslmode, rows[i].sslmode);
        assert_int_equal(node->is_local, rows[i].local);
        assert_int_equal(node->user_given, rows[i].user != NULL);
        if (rows[i].user != NULL)
            assert_string_equal(node->conninfo_user, rows[i].user);
        assert_non_null(strstr(node->control_conninfo, rows[i].sslmode));
        sy_topology_unref(&topology);
    }
}

static void reads_service_and_pass_files(void **state)
{
    (void)state;
    char service[] = "/tmp/sy-service-XXXXXX", pass[] = "/tmp/sy-pass-XXXXXX";
    int fd = mkstemp(service), fd2 = mkstemp(pass);
    assert_true(fd >= 0 && fd2 >= 0);
    static const char service_text[] =
        "[blog]\nhost=db.example\nuser=bob\nport=99\ndbname=b\nsslmode=require\n";
    static const char pass_text[] = "db.example:99:b:bob:it's \\\\ secret\n";
    assert_int_equal(write(fd, service_text, sizeof(service_text) - 1), sizeof(service_text) - 1);
    assert_int_equal(write(fd2, pass_text, sizeof(pass_text) - 1), sizeof(pass_text) - 1);
    close(fd);
    close(fd2);
    setenv("PGSERVICEFILE", service, 1);
    setenv("PGPASSFILE", pass, 1);
    struct sy_topology *topology = topology_of_text(one_node("service=blog"), NULL);
    const struct sy_node *node = node_of(topology, 0);
    assert_string_equal(node->host, "db.example");
    assert_string_equal(node->port, "99");
    assert_string_equal(node->server_database, "b");
    assert_string_equal(node->conninfo_user, "bob");
    assert_string_equal(node->conninfo_password, "it's \\ secret");
    assert_string_equal(node->sslmode, "require");
    assert_non_null(strstr(node->control_conninfo, "password='it\\'s \\\\ secret'"));
    sy_topology_unref(&topology);
    unsetenv("PGSERVICEFILE");
    unsetenv("PGPASSFILE");
    unlink(service);
    unlink(pass);
}

static void refuses_what_the_data_path_cannot_do(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"host=a,b", "several hosts"},
        {"host=a,b port=1,2", "several hosts"},
        {"host=a port=1,2", "could not match"},
        {"host=a gssencmode=require", "gssencmode=require is not supported"},
        {"host=a target_session_attrs=read-write", "target_session_attrs"},
        {"host=a replication=database", "replication=database"},
        {"host=a password=two words", "the conninfo cannot be read"},
        {"host=a password=two words=more", "the conninfo cannot be read"},
        {"host=a sslmode=maybe", "sslmode"},
        {"host=a sslpassword=x", "sslpassword=***"},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sy_config *config = NULL;
        struct sy_topology *topology = NULL;
        struct sy_buf problems = {0};
        struct sy_err err = {0};
        assert_int_equal(sy_config_parse(one_node(rows[i][0]), "test", &config, &problems, &err),
                         SY_OK);
        assert_int_equal(sy_topology_build(config, NULL, &topology, &err), SY_E_CONFIG);
        print_message("%s -> %s\n", rows[i][0], err.text);
        assert_non_null(strstr(err.text, rows[i][1]));
        assert_non_null(strstr(err.text, "node s0/0 of database app"));
        assert_null(strstr(err.text, "words"));
        assert_null(topology);
        sy_buf_release(&problems);
        sy_config_unref(&config);
    }
}

/* ---- snapshots ---- */

static void takes_over_nodes_that_stay_the_same(void **state)
{
    (void)state;
    struct sy_topology *first = topology_of_text(three_nodes(""), NULL);
    atomic_store(&node_of(first, 1)->replay_lsn, 77);
    struct sy_topology *second = topology_of_text(three_nodes("balance = \"weighted\";"), first);
    assert_ptr_equal(node_of(first, 1), node_of(second, 1));
    struct sy_topology *third =
        topology_of_text(one_node("host=127.0.0.1 port=1 dbname=a"), second);
    assert_ptr_equal(node_of(third, 0), node_of(second, 0));
    struct sy_topology *fourth =
        topology_of_text(one_node("host=127.0.0.1 port=9 dbname=a"), third);
    assert_ptr_not_equal(node_of(fourth, 0), node_of(third, 0));
    struct sy_node *kept = sy_node_ref(node_of(second, 1));
    sy_topology_unref(&first);
    sy_topology_unref(&second);
    sy_topology_unref(&third);
    sy_topology_unref(&fourth);
    assert_int_equal(atomic_load(&kept->replay_lsn), 77); /* a link still holds it */
    sy_node_unref(kept);
}

static void embedded_shards_have_static_roles(void **state)
{
    (void)state;
    struct sy_config *config = NULL;
    struct sy_topology *topology = NULL;
    struct sy_err err = {0};
    assert_int_equal(sy_config_builtin(&config, &err), SY_OK);
    assert_int_equal(sy_topology_build(config, NULL, &topology, &err), SY_OK);
    const struct sy_topology_database *database = sy_topology_find(topology, SY_SLICE("demo"));
    assert_non_null(database);
    for (uint32_t s = 0; s < database->shard_count; s++)
        for (uint32_t n = 0; n < database->shards[s].node_count; n++) {
            const struct sy_node *node = database->shards[s].nodes[n];
            assert_int_equal(node->role, n == 0 ? SY_NODE_PRIMARY : SY_NODE_REPLICA);
            assert_true(node->reachable);
            assert_non_null(strstr(node->file, node->shard));
        }
    assert_null(sy_topology_find(topology, SY_SLICE("nope")));
    sy_topology_unref(&topology);
    sy_config_unref(&config);
}

/* ---- choosing ---- */

static void set_node(struct sy_node *node, int role, bool reachable, uint64_t lsn, int64_t lag_us)
{
    atomic_store(&node->role, role);
    atomic_store(&node->reachable, reachable);
    atomic_store(&node->replay_lsn, lsn);
    atomic_store(&node->lag_us, lag_us);
}

static struct sy_topology *with_roles(const char *reads)
{
    struct sy_topology *topology = topology_of_text(three_nodes(reads), NULL);
    set_node(node_of(topology, 0), SY_NODE_PRIMARY, true, 100, 0);
    set_node(node_of(topology, 1), SY_NODE_REPLICA, true, 100, 1000);
    set_node(node_of(topology, 2), SY_NODE_REPLICA, true, 90, 2000000);
    return topology;
}

static void count_picks(const struct sy_topology *topology, uint64_t min_lsn, unsigned picks[3])
{
    uint32_t rotation = 0;
    memset(picks, 0, 3 * sizeof(*picks));
    for (int i = 0; i < 100; i++) {
        const struct sy_node *node =
            sy_topology_pick(&topology->databases[0], 0, true, min_lsn, &rotation);
        assert_non_null(node);
        picks[node->node_index]++;
    }
}

static void spreads_reads_by_the_rule(void **state)
{
    (void)state;
    static const struct {
        const char *reads;
        uint64_t min_lsn;
        unsigned picks[3];
    } rows[] = {
        {"balance = \"round_robin\"; max_lag = \"10s\";", 0, {0, 50, 50}},
        {"balance = \"round_robin\"; max_lag = \"1s\";", 0, {0, 100, 0}},
        {"balance = \"round_robin\"; max_lag = \"10s\";", 95, {0, 100, 0}},
        {"balance = \"round_robin\"; max_lag = \"10s\";", 101, {100, 0, 0}},
        {"balance = \"weighted\"; max_lag = \"10s\";", 0, {0, 75, 25}},
        {"balance = \"zone\"; zone = \"us\"; max_lag = \"10s\";", 0, {0, 0, 100}},
        {"balance = \"zone\"; zone = \"us\"; max_lag = \"10s\";", 95, {0, 100, 0}},
        {"balance = \"zone\"; zone = \"asia\"; max_lag = \"10s\";", 0, {0, 50, 50}},
        {"balance = \"least_connections\"; max_lag = \"10s\";", 0, {0, 50, 50}},
        {"enabled = false;", 0, {100, 0, 0}},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sy_topology *topology = with_roles(rows[i].reads);
        unsigned picks[3];
        count_picks(topology, rows[i].min_lsn, picks);
        print_message("%s min %u: %u %u %u\n", rows[i].reads, (unsigned)rows[i].min_lsn, picks[0],
                      picks[1], picks[2]);
        assert_memory_equal(picks, rows[i].picks, sizeof(picks));
        sy_topology_unref(&topology);
    }
}

static void fewest_connections_count_by_weight(void **state)
{
    (void)state;
    struct sy_topology *topology =
        with_roles("balance = \"least_connections\"; max_lag = \"10s\";");
    unsigned picks[3];
    atomic_store(&node_of(topology, 1)->active, 5); /* weight 3: 1.7 each */
    atomic_store(&node_of(topology, 2)->active, 2);
    count_picks(topology, 0, picks);
    assert_int_equal(picks[1], 100);
    atomic_store(&node_of(topology, 1)->active, 7);
    count_picks(topology, 0, picks);
    assert_int_equal(picks[2], 100);
    sy_topology_unref(&topology);
}

/* A division by their sum ended the process. */
static void replicas_of_weight_0_take_no_reads(void **state)
{
    (void)state;
    struct sy_topology *topology = with_roles("balance = \"weighted\"; max_lag = \"10s\";");
    uint32_t rotation = 0;
    node_of(topology, 1)->weight = node_of(topology, 2)->weight = 0;
    for (int i = 0; i < 3; i++)
        assert_ptr_equal(sy_topology_pick(&topology->databases[0], 0, true, 0, &rotation),
                         node_of(topology, 0));
    node_of(topology, 2)->weight = 1;
    assert_ptr_equal(sy_topology_pick(&topology->databases[0], 0, true, 0, &rotation),
                     node_of(topology, 2));
    sy_topology_unref(&topology);
}

static void leaves_out_what_cannot_be_reached(void **state)
{
    (void)state;
    struct sy_topology *topology = with_roles("max_lag = \"10s\";");
    const struct sy_topology_database *database = &topology->databases[0];
    unsigned picks[3];
    uint32_t rotation = 0;
    atomic_store(&node_of(topology, 1)->reachable, false);
    count_picks(topology, 0, picks);
    assert_int_equal(picks[2], 100);
    atomic_store(&node_of(topology, 2)->reachable, false);
    count_picks(topology, 0, picks);
    assert_int_equal(picks[0], 100);
    atomic_store(&node_of(topology, 0)->reachable, false);
    assert_ptr_equal(sy_topology_pick(database, 0, false, 0, &rotation), node_of(topology, 0));
    /* After a failover the new primary wins over the lost one. */
    set_node(node_of(topology, 2), SY_NODE_PRIMARY, true, 100, 0);
    assert_ptr_equal(sy_topology_pick(database, 0, false, 0, &rotation), node_of(topology, 2));
    set_node(node_of(topology, 0), SY_NODE_UNKNOWN, false, 0, -1);
    set_node(node_of(topology, 2), SY_NODE_UNKNOWN, false, 0, -1);
    assert_null(sy_topology_pick(database, 0, false, 0, &rotation));
    sy_topology_unref(&topology);
}

/* ---- publishing ---- */

static _Atomic bool stop_readers;

static void *reader(void *unused)
{
    (void)unused;
    uint64_t last = 0;
    while (!atomic_load(&stop_readers)) {
        struct sy_topology *topology = sy_topology_acquire();
        if (topology->epoch < last || topology->databases[0].shards[0].nodes[0]->port[0] == '\0')
            return (void *)1;
        last = topology->epoch;
        sy_topology_unref(&topology);
    }
    return NULL;
}

static void publishes_under_readers(void **state)
{
    (void)state;
    assert_null(sy_topology_acquire());
    sy_topology_publish(topology_of_text(one_node("host=127.0.0.1"), NULL));
    uint64_t first = sy_topology_current_epoch();
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, NULL), 0);
    for (int i = 0; i < 200; i++) {
        struct sy_topology *current = sy_topology_acquire();
        struct sy_topology *next =
            topology_of_text(one_node(i % 2 != 0 ? "host=127.0.0.1" : "host=127.0.0.2"), current);
        if (i % 3 == 0) {
            assert_true(sy_topology_publish_over(current, next));
        } else {
            sy_topology_publish(next);
        }
        sy_topology_unref(&current);
    }
    atomic_store(&stop_readers, true);
    for (int i = 0; i < 3; i++) {
        void *bad = NULL;
        pthread_join(threads[i], &bad);
        assert_null(bad);
    }
    assert_int_equal(sy_topology_current_epoch(), first + 200);
    struct sy_topology *late = topology_of_text(one_node("host=127.0.0.1"), NULL);
    assert_false(sy_topology_publish_over(NULL, late));
    sy_topology_unref(&late);
    sy_topology_retire();
}

static void refresh_requests_are_taken_once(void **state)
{
    (void)state;
    struct sy_buf name = {0};
    assert_false(sy_schema_refresh_take(&name));
    sy_schema_refresh_request(SY_SLICE("app"));
    sy_schema_refresh_request(SY_SLICE("app"));
    assert_true(sy_schema_refresh_take(&name));
    assert_int_equal(name.bytes, 3);
    assert_false(sy_schema_refresh_take(&name));
    char text[16];
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "db%d", i);
        sy_schema_refresh_request(sy_slice_of(text));
    }
    assert_true(sy_schema_refresh_take(&name));
    assert_int_equal(name.bytes, 0); /* too many to name: all */
    while (sy_schema_refresh_take(&name))
        ;
    sy_buf_release(&name);
}

static void maps_oids_both_ways(void **state)
{
    (void)state;
    static const struct sy_oid_pair types[] = {{17010, 17100}, {17020, 17200}, {17030, 0}};
    static const struct sy_oid_pair back[] = {{17100, 17010}, {17200, 17020}},
                                    tables[] = {{17005, 17050}};
    struct sy_type_map map = {.types = types,
                              .type_count = 3,
                              .types_back = back,
                              .back_count = 2,
                              .tables = tables,
                              .table_count = 1};
    assert_int_equal(sy_type_map_type(&map, 17020), 17200);
    assert_int_equal(sy_type_map_type(&map, 17021), 17021);
    assert_int_equal(sy_type_map_type(&map, 17030), 0); /* shard 0 has no such type */
    assert_int_equal(sy_type_map_type(&map, 23), 23);
    assert_int_equal(sy_type_map_type_back(&map, 17100), 17010);
    assert_int_equal(sy_type_map_table(&map, 17005), 17050);
    map.unread = true;
    assert_int_equal(sy_type_map_type(&map, 17020), 0);
    assert_int_equal(sy_type_map_type(&map, 23), 23);
    assert_int_equal(sy_type_map_table(NULL, 5), 5);
}

int main(void)
{
    unsetenv("PGSSLMODE");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolves_what_conninfo_says),
        cmocka_unit_test(reads_service_and_pass_files),
        cmocka_unit_test(refuses_what_the_data_path_cannot_do),
        cmocka_unit_test(takes_over_nodes_that_stay_the_same),
        cmocka_unit_test(embedded_shards_have_static_roles),
        cmocka_unit_test(spreads_reads_by_the_rule),
        cmocka_unit_test(fewest_connections_count_by_weight),
        cmocka_unit_test(replicas_of_weight_0_take_no_reads),
        cmocka_unit_test(leaves_out_what_cannot_be_reached),
        cmocka_unit_test(publishes_under_readers),
        cmocka_unit_test(refresh_requests_are_taken_once),
        cmocka_unit_test(maps_oids_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
