/* Rows in portions (Execute with a row limit) are those of one server: as many as were asked for, a
 * suspended portal while there may be more, other statements in between, whichever shards the rows
 * come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "tests/attack/raw.h"
#include "tests/integration/world.h"

static struct sy_cluster *cluster;
static struct sy_router *router;

static void parse(struct raw *raw, const char *name, const char *sql)
{
    struct sy_buf body = {0};
    sy_buf_append(&body, name, strlen(name) + 1);
    sy_buf_append(&body, sql, strlen(sql) + 1);
    sy_buf_append_u16(&body, 0);
    raw_message(raw, 'P', body.data, body.bytes);
    sy_buf_release(&body);
}

static void bind_to(struct raw *raw, const char *portal, const char *statement)
{
    struct sy_buf body = {0};
    sy_buf_append(&body, portal, strlen(portal) + 1);
    sy_buf_append(&body, statement, strlen(statement) + 1);
    for (int i = 0; i < 3; i++)
        sy_buf_append_u16(&body, 0);
    raw_message(raw, 'B', body.data, body.bytes);
    sy_buf_release(&body);
}

static void on_portal(struct raw *raw, char type, const char *portal, uint32_t limit)
{
    struct sy_buf body = {0};
    if (type != 'E')
        sy_buf_append_u8(&body, 'P');
    sy_buf_append(&body, portal, strlen(portal) + 1);
    if (type == 'E')
        sy_buf_append_u32(&body, limit);
    raw_message(raw, type, body.data, body.bytes);
    sy_buf_release(&body);
}

/* Takes what was received: rows as their first value, other messages as their letter or tag. */
static void tell(struct raw *raw, struct sy_buf *out)
{
    const char *at = raw->received.data, *end = at + raw->received.bytes;
    while (at != NULL && end - at >= 5) {
        uint32_t length;
        memcpy(&length, at + 1, 4);
        length = ntohl(length);
        const char *body = at + 5;
        uint32_t value;
        if (*at == 'D') {
            memcpy(&value, body + 2, 4);
            value = ntohl(value);
            sy_buf_printf(out, "%.*s ", (int)value, body + 6);
        } else if (*at == 'C') {
            sy_buf_printf(out, "%s ", body);
        } else if (*at == 'E') {
            sy_buf_append_str(out, "error ");
        } else if (*at != 'N' && *at != 'S') {
            sy_buf_printf(out, "%c ", *at);
        }
        at += 1 + length;
    }
    sy_buf_clear(&raw->received);
}

static void sync_and_tell(struct raw *raw, struct sy_buf *out)
{
    raw_message(raw, 'S', "", 0);
    assert_true(raw_read(raw, 'Z', 20000));
    tell(raw, out);
}

/* The rows come in an order of their own, so the statements ask for one value in all of them. */
static const struct {
    const char *sql;
    int count;
    uint32_t limits[8];
} cases[] = {
    {"select 'r' from orders", 6, {2, 2, 2, 2, 2, 2}},
    {"select 'r' from orders", 3, {3, 4, 0}},
    {"select 'r' from orders", 2, {7, 1}},
    {"select 'r' from orders", 2, {10, 3}},
    {"select 'r' from orders", 1, {100}},
    {"select 'r' from orders where v > 1000", 2, {1, 1}},
    {"select id from orders order by id", 6, {2, 2, 2, 2, 2, 2}},
    {"select id from orders order by id desc", 3, {3, 4, 0}},
    {"select id from orders order by v, id", 2, {10, 3}},
    {"select id from orders order by id limit 5 offset 3", 3, {3, 2, 7}},
    {"select id from orders order by id limit 5", 3, {4, 4, 1}},
    {"select v, count(*) from orders group by v order by v", 4, {1, 2, 1, 1}},
    {"select distinct v from orders order by v", 2, {3, 3}},
    {"select count(*) from orders", 2, {1, 1}},
    {"select id from orders where v > 1000 order by id", 2, {1, 1}},
    {"select 'r' from orders where customer_id = 2", 3, {1, 1, 5}},
};

static void play(uint16_t port, const char *database, size_t i, struct sy_buf *out)
{
    struct raw raw = {.fd = -1};
    assert_true(raw_login(&raw, port, "postgres", database));
    sy_buf_clear(&raw.received);
    raw_query(&raw, "begin");
    assert_true(raw_read(&raw, 'Z', 20000));
    tell(&raw, out);
    parse(&raw, "s", cases[i].sql);
    bind_to(&raw, "p", "s");
    on_portal(&raw, 'D', "p", 0);
    for (int k = 0; k < cases[i].count; k++) {
        on_portal(&raw, 'E', "p", cases[i].limits[k]);
        sync_and_tell(&raw, out);
        raw_query(&raw, "select 'between' from orders where customer_id = 1 limit 1");
        assert_true(raw_read(&raw, 'Z', 20000));
        tell(&raw, out);
    }
    on_portal(&raw, 'C', "p", 0);
    bind_to(&raw, "p", "s"); /* the name is free again */
    on_portal(&raw, 'E', "p", 1);
    sync_and_tell(&raw, out);
    raw_query(&raw, "commit");
    assert_true(raw_read(&raw, 'Z', 20000));
    tell(&raw, out);
    sy_buf_append_u8(out, 0);
    raw_close(&raw);
}

static void portions_are_those_of_one_server(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sy_buf routed = {0}, direct = {0};
        play(sy_router_port(router), "shop", i, &routed);
        play((uint16_t)sy_cluster_port(cluster, 0), "blog", i, &direct);
        if (strcmp(routed.data, direct.data) != 0)
            fail_msg("%s:\n%s\nPostgreSQL:\n%s", cases[i].sql, routed.data, direct.data);
        sy_buf_release(&routed);
        sy_buf_release(&direct);
    }
}

/* A limit on what returns no rows is nothing to look at: drivers send one for the sake of it. */
static void a_limit_on_a_write_is_not_looked_at(void **state)
{
    (void)state;
    struct raw raw = {.fd = -1};
    struct sy_buf out = {0};
    assert_true(raw_login(&raw, sy_router_port(router), "postgres", "shop"));
    sy_buf_clear(&raw.received);
    parse(&raw, "", "insert into tags values (70, 'seventy')");
    bind_to(&raw, "", "");
    on_portal(&raw, 'E', "", 1);
    sync_and_tell(&raw, &out);
    sy_buf_append_u8(&out, 0);
    assert_string_equal(out.data, "1 2 INSERT 0 1 Z ");
    assert_string_equal(sy_cluster_value(cluster, 0, "s1", "select t from tags where id = 70"),
                        "seventy");
    sy_buf_release(&out);
    raw_close(&raw);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(portions_are_those_of_one_server),
        cmocka_unit_test(a_limit_on_a_write_is_not_looked_at),
    };
    cluster = world_cluster();
    sy_cluster_sql(cluster, 0, "blog", "create table orders(id int, customer_id bigint, v int)");
    for (int i = 0; i < 10; i++) { /* seven rows on one shard, three on the other */
        char sql[100];
        int customer = i < 7 ? 1 : 2;
        snprintf(sql, sizeof(sql), "insert into orders values (%d, %d, %d)", i, customer, i % 4);
        sy_cluster_sql(cluster, 0, "blog", sql);
        sy_cluster_sql(cluster, 0, customer == 1 ? "s0" : "s1", sql);
    }
    router = sy_router_start(world_databases(cluster, "size = 3;"), NULL, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
