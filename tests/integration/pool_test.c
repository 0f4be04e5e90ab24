/*
 * Promise: two workers share one limit on real servers without exceeding it or starving; a
 * restarted or killed server costs each client at most one error; what a client left behind is gone
 * for the next; a cancel never hits the next one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/auth/hash_pool.h"
#include "router/pool/pool.h"
#include "router/wire/frame.h"
#include "router/wire/message.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"

enum { WORKERS = 2, CLIENTS = 8, POOL_SIZE = 3 };

static struct sy_cluster *cluster;

/* ---- a client that runs one statement after the other through the pool ---- */

struct worker;

struct client {
    struct worker *worker;
    struct sy_pool_wait wait;
    struct sy_server *server;
    struct sy_frame_walker walker;
    const char *sql;       /* what it runs */
    bool changes, cancels; /* the statement leaves something behind; it is canceled */
    unsigned done, errors, canceled,
        in_a_row; /* statements; in_a_row: errors without a success between */
    unsigned in_a_row_max;
    char value[64]; /* first value of the last answer */
    bool sqlstate_seen;
    struct sy_timer pause;
};

struct worker {
    pthread_t thread;
    unsigned index;
    struct sy_loop *loop;
    struct sy_pool_set *set;
    struct client clients[CLIENTS];
    struct sy_timer end;
    uint64_t run_us;
    bool ending, closed;
};

static struct sy_topology *topology;

static void next_statement(struct client *client);

static void note_error(struct client *client)
{
    if (client->worker->ending)
        return;
    client->errors++;
    client->in_a_row++;
    if (client->in_a_row > client->in_a_row_max)
        client->in_a_row_max = client->in_a_row;
}

static void again_soon(struct client *client)
{
    if (!client->worker->ending)
        sy_timer_start(client->worker->loop, &client->pause, 1000);
}

static void on_pause(struct sy_timer *timer)
{
    next_statement(sy_container_of(timer, struct client, pause));
}

static void finish_statement(struct client *client, char status)
{
    struct sy_server *server = client->server;
    client->server = NULL;
    server->transaction_status = status;
    server->session_changed = client->changes;
    client->done++;
    client->in_a_row = 0;
    sy_pool_release(server);
    next_statement(client);
}

static void take_part(struct client *client, const struct sy_frame_part *part)
{
    if (part->type == 'D' && part->body_run > 6) {
        uint32_t bytes = part->body_run - 6 < sizeof(client->value) - 1
                             ? part->body_run - 6
                             : (uint32_t)sizeof(client->value) - 1;
        memcpy(client->value, part->body + 6, bytes);
        client->value[bytes] = '\0';
    }
    if (part->type == 'E' && memmem(part->body, part->body_run, "57014", 5) != NULL)
        client->canceled++;
}

static void on_data(struct sy_server *server, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct client *client = server->user;
    uint32_t offset = 0;
    struct sy_frame_part part;
    enum sy_status error = SY_OK;
    while (client->server == server &&
           sy_frame_next(&client->walker, chunk->data + from, to - from, &offset, &part, &error)) {
        take_part(client, &part);
        if (part.type == 'Z' && part.ends)
            finish_statement(client, part.body[0]);
    }
}

static void on_lost(struct sy_server *server, const struct sy_err *why)
{
    struct client *client = server->user;
    (void)why;
    client->server = NULL;
    note_error(client);
    again_soon(client);
}

static const struct sy_server_events server_events = {.data = on_data, .lost = on_lost};

static void run_on(struct client *client, struct sy_server *server)
{
    struct sy_buf out = {0};
    client->server = server;
    server->events = &server_events;
    server->user = client;
    memset(&client->walker, 0, sizeof(client->walker));
    sy_write_query(&out, sy_slice_of(client->sql));
    server->link->engine->send_copy(server->link, out.data, out.bytes);
    sy_buf_release(&out);
    if (client->cancels)
        sy_pool_cancel(server);
}

static void on_ready(struct sy_pool_wait *wait, struct sy_server *server)
{
    run_on(sy_container_of(wait, struct client, wait), server);
}

static void on_failed(struct sy_pool_wait *wait, const struct sy_err *why)
{
    struct client *client = sy_container_of(wait, struct client, wait);
    (void)why;
    note_error(client);
    again_soon(client);
}

static void next_statement(struct client *client)
{
    struct sy_err err = {0};
    struct sy_server *server = NULL;
    const struct sy_topology_database *database = &topology->databases[0];
    struct sy_pool_key key = {.node = database->shards[0].nodes[0],
                              .user = SY_SLICE("bob"),
                              .password = SY_SLICE("secret"),
                              .client_database = SY_SLICE("app")};
    if (client->worker->ending)
        return;
    client->wait.ready = on_ready;
    client->wait.failed = on_failed;
    if (sy_pool_checkout(client->worker->set, &key, database->config, &client->wait, &server,
                         &err) != SY_OK) {
        note_error(client);
        again_soon(client);
    } else if (server != NULL) {
        run_on(client, server);
    }
}

/* ---- workers ---- */

static void on_closed(void *ctx)
{
    struct worker *worker = ctx;
    worker->closed = true;
    sy_loop_stop(worker->loop);
}

static void on_end(struct sy_timer *timer)
{
    struct worker *worker = sy_container_of(timer, struct worker, end);
    worker->ending = true;
    for (unsigned i = 0; i < CLIENTS; i++)
        sy_timer_cancel(worker->loop, &worker->clients[i].pause);
    sy_pool_set_close(worker->set, on_closed, worker);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct sy_err err = {0};
    if (sy_loop_new(NULL, &worker->loop, &err) != SY_OK ||
        sy_pool_set_new(worker->loop, worker->index, &worker->set, &err) != SY_OK)
        abort();
    sy_pool_set_topology(worker->set, topology);
    sy_timer_init(&worker->end, on_end);
    sy_timer_start(worker->loop, &worker->end, worker->run_us);
    for (unsigned i = 0; i < CLIENTS; i++) {
        sy_timer_init(&worker->clients[i].pause, on_pause);
        worker->clients[i].worker = worker;
        if (worker->clients[i].sql != NULL)
            next_statement(&worker->clients[i]);
    }
    if (sy_loop_run(worker->loop, &err) != SY_OK)
        abort();
    sy_pool_set_free(&worker->set);
    sy_loop_free(&worker->loop);
    return NULL;
}

static struct worker workers[WORKERS];

static void start_workers(uint64_t run_us, const char *sql)
{
    memset(workers, 0, sizeof(workers));
    for (unsigned w = 0; w < WORKERS; w++) {
        workers[w].index = w;
        workers[w].run_us = run_us;
        for (unsigned i = 0; i < CLIENTS; i++)
            workers[w].clients[i].sql = sql;
    }
}

static void launch(void)
{
    for (unsigned w = 0; w < WORKERS; w++)
        assert_int_equal(pthread_create(&workers[w].thread, NULL, worker_main, &workers[w]), 0);
}

static void join_workers(void)
{
    for (unsigned w = 0; w < WORKERS; w++) {
        pthread_join(workers[w].thread, NULL);
        assert_true(workers[w].closed);
    }
    assert_int_equal(atomic_load(&topology->databases[0].shards[0].nodes[0]->connections), 0);
}

/* ---- promises ---- */

static void keeps_the_limit_and_starves_nobody(void **state)
{
    (void)state;
    unsigned most = 0, least = UINT32_MAX;
    start_workers(2000000, "select 1");
    launch();
    PGconn *conn = sy_cluster_connect(cluster, 0, "postgres");
    for (int i = 0; i < 150; i++) {
        PGresult *result =
            PQexec(conn, "select count(*) from pg_stat_activity where usename = 'bob'");
        unsigned now = (unsigned)atoi(PQgetvalue(result, 0, 0));
        most = now > most ? now : most;
        PQclear(result);
        sy_pause_ms(10);
    }
    PQfinish(conn);
    join_workers();
    unsigned sums[WORKERS] = {0};
    for (unsigned w = 0; w < WORKERS; w++)
        for (unsigned i = 0; i < CLIENTS; i++) {
            const struct client *client = &workers[w].clients[i];
            assert_int_equal(client->errors, 0);
            least = client->done < least ? client->done : least;
            sums[w] += client->done;
        }
    print_message("%u and %u statements, the slowest client %u, at most %u connections\n", sums[0],
                  sums[1], least, most);
    assert_true(most <= POOL_SIZE);
    assert_true(least > 50);
}

static void a_restart_costs_one_error_each(void **state)
{
    (void)state;
    for (int how = SY_STOP_FAST; how <= SY_STOP_KILL; how++) {
        start_workers(4000000, "select pg_sleep(0.002)");
        launch();
        sy_pause_ms(700);
        sy_cluster_stop_node(cluster, 0, (enum sy_stop)how);
        sy_cluster_start_node(cluster, 0);
        sy_pause_ms(1200);
        join_workers();
        unsigned most = 0;
        for (unsigned w = 0; w < WORKERS; w++)
            for (unsigned i = 0; i < CLIENTS; i++) {
                const struct client *client = &workers[w].clients[i];
                assert_true(client->done > 20);
                assert_int_equal(client->in_a_row, 0); /* it works again */
                most = client->errors > most ? client->errors : most;
            }
        print_message("stop %d: at most %u errors per client\n", how, most);
    }
}

static void nothing_is_left_for_the_next_client(void **state)
{
    (void)state;
    start_workers(1500000, NULL);
    for (unsigned w = 0; w < WORKERS; w++) {
        workers[w].clients[0].sql =
            "set application_name = 'left behind'; create temp table left_behind(a int)";
        workers[w].clients[0].changes = true;
        workers[w].clients[1].sql =
            "begin; set local work_mem = '1MB'; select 1/0"; /* failed transaction */
        workers[w].clients[2].sql =
            "begin; lock table pg_class in access share mode"; /* open transaction */
        workers[w].clients[3].sql =
            "select case when current_setting('application_name') = 'switchyard' and"
            " to_regclass('left_behind') is null then 'clean' else 'dirty' end";
    }
    launch();
    join_workers();
    for (unsigned w = 0; w < WORKERS; w++) {
        for (unsigned i = 0; i < 4; i++)
            assert_true(workers[w].clients[i].done > 20);
        assert_string_equal(workers[w].clients[3].value, "clean");
        assert_int_equal(workers[w].clients[3].errors, 0);
    }
}

static void a_cancel_hits_only_its_own_statement(void **state)
{
    (void)state;
    unsigned hits = 0, sent = 0;
    start_workers(3000000, "select 1");
    for (unsigned w = 0; w < WORKERS; w++)
        for (unsigned i = 0; i < 4; i++) {
            workers[w].clients[i].sql = i % 2 != 0 ? "select pg_sleep(0.003)" : "select 1";
            workers[w].clients[i].cancels = true;
        }
    launch();
    join_workers();
    for (unsigned w = 0; w < WORKERS; w++)
        for (unsigned i = 0; i < CLIENTS; i++) {
            const struct client *client = &workers[w].clients[i];
            if (i < 4) {
                hits += client->canceled;
                sent += client->done;
            } else {
                assert_int_equal(client->canceled, 0);
                assert_true(client->done > 0);
            }
        }
    print_message("%u cancels sent, %u hit\n", sent, hits);
    assert_true(sent > 100 && hits > 0);
}

static int start(void)
{
    struct sy_config *config = NULL;
    struct sy_buf problems = {0};
    struct sy_err err = {0};
    char text[512];
    cluster =
        sy_cluster_start(&(struct sy_cluster_options){.name = "s0", .hba_method = "scram-sha-256"});
    sy_cluster_sql(cluster, 0, "postgres", "create role bob login password 'secret'");
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    sy_cluster_sql(cluster, 0, "app", "grant all on schema public to bob");
    snprintf(text, sizeof(text),
             "databases = ( { name = \"app\"; engine = \"postgres\"; pool = { size = %d; }; shards "
             "= ( { name = \"s0\";"
             " nodes = ( { conninfo = \"host=127.0.0.1 port=%u dbname=app\"; } ); } ); } );",
             POOL_SIZE, sy_cluster_port(cluster, 0));
    if (sy_config_parse(text, "test", &config, &problems, &err) != SY_OK ||
        sy_topology_build(config, NULL, &topology, &err) != SY_OK ||
        sy_hash_pool_start(1, &err) != SY_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    sy_config_unref(&config);
    sy_buf_release(&problems);
    sy_engine_register(SY_ENGINE_POSTGRES, sy_engine_postgres());
    sy_log_configure(SY_LOG_ERROR, SY_LOG_LOGFMT, 2);
    return 0;
}

int main(void)
{
    if (start() != 0)
        return sy_harness_finish(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_the_limit_and_starves_nobody),
        cmocka_unit_test(a_restart_costs_one_error_each),
        cmocka_unit_test(nothing_is_left_for_the_next_client),
        cmocka_unit_test(a_cancel_hits_only_its_own_statement),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_topology_unref(&topology);
    sy_hash_pool_stop();
    return sy_harness_finish(failed);
}
