/* A Query or a COMMIT behind extended messages that no Sync has ended: one transaction with them,
 * as on a server, whichever shards they go to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/attack/raw.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

/* Extended statements, then Queries, then Sync; what was answered, and what is left in the tables.
 */
static const struct {
    const char *label;
    const char *extended, *queries[3];
    const char *left; /* keys of orders, from both shards */
} cases[] = {
    {"both stay",
     "insert into orders(id, customer_id) values (1, 1)",
     {"insert into orders(id, customer_id) values (2, 1)"},
     "1 2"},
    {"both go", "insert into orders(id, customer_id) values (1, 1)", {"select 1/0"}, ""},
    {"on two shards both stay",
     "insert into orders(id, customer_id) values (1, 1)",
     {"insert into orders(id, customer_id) values (2, 2)"},
     "1 2"},
    {"on two shards both go",
     "insert into orders(id, customer_id) values (1, 1)",
     {"insert into orders(id, customer_id) values (2, 2); select 1/0"},
     ""},
    {"a block takes over what was done",
     "insert into orders(id, customer_id) values (1, 1)",
     {"begin", "insert into orders(id, customer_id) values (2, 2)", "rollback"},
     ""},
    {"a block keeps what was done",
     "insert into orders(id, customer_id) values (1, 1)",
     {"begin", "insert into orders(id, customer_id) values (2, 2)", "commit"},
     "1 2"},
    {"a read before it", "select 1", {"insert into orders(id, customer_id) values (2, 2)"}, "2"},
    {"the second Query is by itself",
     "insert into orders(id, customer_id) values (1, 1)",
     {"select 1", "select 1/0"},
     "1"},
};

static void run(uint16_t port, const char *database, size_t i, struct sy_buf *out)
{
    struct raw raw = {.fd = -1};
    assert_true(raw_login(&raw, port, "postgres", database));
    sy_buf_clear(&raw.received);
    raw_extended(&raw, cases[i].extended);
    for (int q = 0; q < 3 && cases[i].queries[q] != NULL; q++) {
        raw_query(&raw, cases[i].queries[q]);
        assert_true(raw_read(&raw, 'Z', 20000));
        raw_describe(&raw, out);
    }
    raw_message(&raw, 'S', "", 0);
    assert_true(raw_read(&raw, 'Z', 20000));
    raw_describe(&raw, out);
    sy_buf_append_u8(out, 0);
    raw_close(&raw);
}

static void a_query_shares_the_transaction(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "shop", NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sy_run(c, "delete from orders");
        sy_cluster_sql(cluster, 0, "blog", "truncate orders");
        struct sy_buf sharded = {0}, single = {0}, server = {0};
        run(sy_router_port(router), "shop", i, &sharded);
        run(sy_router_port(router), "blog", i, &single);
        char *through = strdup(sy_cluster_value(
            cluster, 0, "blog", "select string_agg(id::text, ' ' order by id) from orders"));
        sy_cluster_sql(cluster, 0, "blog", "truncate orders");
        run((uint16_t)sy_cluster_port(cluster, 0), "blog", i, &server);
        const char *direct = sy_cluster_value(
            cluster, 0, "blog", "select string_agg(id::text, ' ' order by id) from orders");
        char *rows = strdup(sy_ask_all(c, "select id from orders order by id"));
        for (char *at = rows; *at != 0; at++)
            *at = *at == '\n' ? ' ' : *at;
        if (strcmp(sharded.data, server.data) != 0 || strcmp(single.data, server.data) != 0)
            fail_msg("%s: %s, %s, PostgreSQL %s", cases[i].label, sharded.data, single.data,
                     server.data);
        if (strcmp(direct, cases[i].left) != 0 || strcmp(rows, direct) != 0 ||
            strcmp(through, direct) != 0)
            fail_msg("%s: left are %s and %s, PostgreSQL has %s", cases[i].label, rows, through,
                     direct);
        free(rows);
        free(through);
        sy_buf_release(&sharded);
        sy_buf_release(&single);
        sy_buf_release(&server);
    }
    PQfinish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_query_shares_the_transaction)};
    cluster = world_cluster();
    sy_cluster_sql(cluster, 0, "blog", "create table orders(id int, customer_id bigint, v int)");
    router = sy_router_start(world_databases(cluster, "size = 3;"), NULL, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
