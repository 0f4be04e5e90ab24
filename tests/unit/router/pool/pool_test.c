/*
 * Pools against a scripted engine on a virtual clock: who gets a server when, what is reset, what
 * waits, what the limits do, and that two workers share one limit fairly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "router/engine/parameters.h"
#include "router/pool/pool.h"
#include "router/wire/message.h"
#include "tests/harness/topology.h"

/* ---- the scripted engine ---- */

enum { FAKES_MAX = 64 };

struct fake {
    struct sy_link base;
    struct sy_deferred step; /* opens or closes at the end of a turn */
    bool live, ready, close_asked, hold_cancel;
    char queries[256]; /* what was sent, joined by | */
    void (*cancel_done)(void *ctx);
    void *cancel_ctx;
    struct sy_err why;
};

static struct fake fakes[FAKES_MAX];
static unsigned opens;           /* since the start of a test */
static struct sy_err refuse;     /* what every opening ends with, unless SY_OK */
static const char *answer_error; /* SQLSTATE that resets answer with, or NULL */

static struct fake *of_link(const struct sy_link *link)
{
    return (struct fake *)(uintptr_t)link;
}

static void fake_step(struct sy_deferred *deferred)
{
    struct fake *fake = sy_container_of(deferred, struct fake, step);
    if (!fake->close_asked && refuse.status == SY_OK) {
        fake->ready = true;
        fake->base.events->opened(&fake->base);
        return;
    }
    if (!fake->close_asked)
        fake->why = refuse;
    fake->base.events->closed(&fake->base, fake->why.status != SY_OK ? &fake->why : NULL);
    sy_parameters_free(&fake->base.parameters);
    sy_node_unref(fake->base.node);
    fake->live = false;
}

static const struct sy_engine fake_engine;

static enum sy_status fake_open(struct sy_loop *loop, const struct sy_link_target *target,
                                const struct sy_link_events *events, void *owner,
                                struct sy_link **ret_link, struct sy_err *err)
{
    (void)err;
    unsigned i = 0;
    while (i < FAKES_MAX && fakes[i].live)
        i++;
    assert_true(i < FAKES_MAX);
    struct fake *fake = &fakes[i];
    memset(fake, 0, sizeof(*fake));
    fake->base = (struct sy_link){.engine = &fake_engine,
                                  .events = events,
                                  .owner = owner,
                                  .loop = loop,
                                  .node = sy_node_ref(target->node),
                                  .id = sy_link_next_id(),
                                  .parameters = sy_parameters_new()};
    fake->live = true;
    opens++;
    sy_deferred_init(&fake->step, fake_step);
    sy_loop_defer(loop, &fake->step);
    *ret_link = &fake->base;
    return SY_OK;
}

static void deliver(struct fake *fake, const struct sy_buf *bytes)
{
    struct sy_chunk *chunk = sy_chunk_new((uint32_t)bytes->bytes + 1);
    memcpy(chunk->data, bytes->data, bytes->bytes);
    chunk->bytes = (uint32_t)bytes->bytes;
    fake->base.events->data(&fake->base, chunk, 0, chunk->bytes);
    sy_chunk_unref(chunk);
}

struct answer {
    struct sy_deferred deferred;
    struct fake *fake;
};

static void give_answer(struct sy_deferred *deferred)
{
    struct answer *answer = sy_container_of(deferred, struct answer, deferred);
    struct sy_buf out = {0};
    if (answer_error != NULL) {
        struct sy_err err = {0};
        (void)!sy_err_set(&err, SY_E_INTERNAL, "no");
        sy_write_error(&out, "ERROR", &err);
    } else {
        sy_write_parameter_status(&out, SY_SLICE("TimeZone"), SY_SLICE("UTC"));
        sy_write_command_complete(&out, "DONE");
    }
    sy_write_ready(&out, 'I');
    if (answer->fake->live && !answer->fake->close_asked) {
        /* In two pieces, to cross a message. */
        struct sy_buf first = {.data = out.data, .bytes = 9};
        struct sy_buf rest = {.data = out.data + 9, .bytes = out.bytes - 9};
        deliver(answer->fake, &first);
        deliver(answer->fake, &rest);
    }
    sy_buf_release(&out);
    free(answer);
}

static void fake_send_copy(struct sy_link *link, const void *data, size_t bytes)
{
    struct fake *fake = of_link(link);
    size_t used = strlen(fake->queries);
    const char *body = data;
    assert_int_equal(body[0], 'Q');
    snprintf(fake->queries + used, sizeof(fake->queries) - used, "%.*s|", (int)bytes - 6, body + 5);
    struct answer *answer = calloc(1, sizeof(*answer));
    answer->fake = fake;
    sy_deferred_init(&answer->deferred, give_answer);
    sy_loop_defer(link->loop, &answer->deferred);
}

static void fake_send(struct sy_link *link, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    fake_send_copy(link, chunk->data + from, to - from);
}

static void fake_cancel(struct sy_link *link, void (*done)(void *ctx), void *ctx)
{
    of_link(link)->cancel_done = done;
    of_link(link)->cancel_ctx = ctx;
}

static void fake_close(struct sy_link *link)
{
    of_link(link)->close_asked = true;
    sy_loop_defer(link->loop, &of_link(link)->step);
}

static bool fake_congested(const struct sy_link *link)
{
    (void)link;
    return false;
}

static void fake_pause(struct sy_link *link)
{
    (void)link;
}

static const struct sy_engine fake_engine = {
    .name = "fake",
    .open = fake_open,
    .send = fake_send,
    .send_copy = fake_send_copy,
    .congested = fake_congested,
    .pause = fake_pause,
    .resume = fake_pause,
    .cancel = fake_cancel,
    .close = fake_close,
};

static void lose(struct sy_server *server, const char *sqlstate)
{
    struct fake *fake = of_link(server->link);
    fake->close_asked = true;
    (void)!sy_err_set(&fake->why, SY_E_SHUTDOWN,
                      "terminating connection due to administrator command");
    sy_err_state(&fake->why, sqlstate);
    sy_loop_defer(fake->base.loop, &fake->step);
}

/* ---- a worker, or two ---- */

struct client {
    struct sy_pool_wait wait;
    struct sy_server *server;
    struct sy_err why;
    bool lost;
};

struct world {
    struct sy_clock clock;
    struct sy_loop *loop;
    struct sy_pool_set *set[2];
    struct sy_topology *topology;
    struct sy_pool_key key;
    bool done[2];
};

static void on_ready(struct sy_pool_wait *wait, struct sy_server *server)
{
    sy_container_of(wait, struct client, wait)->server = server;
}

static void on_failed(struct sy_pool_wait *wait, const struct sy_err *why)
{
    sy_container_of(wait, struct client, wait)->why = *why;
}

static void on_server_data(struct sy_server *server, struct sy_chunk *chunk, uint32_t from,
                           uint32_t to)
{
    (void)server, (void)chunk, (void)from, (void)to;
}

static void on_lost(struct sy_server *server, const struct sy_err *why)
{
    struct client *client = server->user;
    client->lost = true;
    client->why = *why;
    client->server = NULL;
}

static const struct sy_server_events server_events = {.data = on_server_data, .lost = on_lost};

static void flag(void *ctx)
{
    *(bool *)ctx = true;
}

static struct sy_topology *build(const char *pool, unsigned port)
{
    char text[512];
    snprintf(text, sizeof(text),
             "databases = ( { name = \"app\"; engine = \"postgres\"; pool = { %s }; shards = ( { "
             "name = \"s0\";"
             " nodes = ( { conninfo = \"host=127.0.0.1 port=%u\"; } ); } ); } );",
             pool, port);
    return topology_of_text(text, NULL);
}

static void world_init(struct world *world, const char *pool)
{
    struct sy_err err = {0};
    memset(world, 0, sizeof(*world));
    memset(&refuse, 0, sizeof(refuse));
    answer_error = NULL;
    opens = 0;
    sy_clock_init_virtual(&world->clock, 1000000, 0);
    struct sy_loop_options options = {.kind = SY_LOOP_EPOLL, .clock = &world->clock};
    assert_int_equal(sy_loop_new(&options, &world->loop, &err), SY_OK);
    sy_engine_register(SY_ENGINE_POSTGRES, &fake_engine);
    world->topology = build(pool, 5432);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sy_pool_set_new(world->loop, i, &world->set[i], &err), SY_OK);
        sy_pool_set_topology(world->set[i], world->topology);
    }
    world->key = (struct sy_pool_key){.node = world->topology->databases[0].shards[0].nodes[0],
                                      .user = SY_SLICE("bob"),
                                      .password = SY_SLICE("x"),
                                      .client_database = SY_SLICE("app")};
}

static void turns(struct world *world, int count)
{
    struct sy_err err = {0};
    for (int i = 0; i < count; i++)
        assert_int_equal(sy_loop_turn(world->loop, 0, &err), SY_OK);
}

static void advance(struct world *world, uint64_t us)
{
    sy_clock_advance(&world->clock, us);
    turns(world, 6);
}

static void world_release(struct world *world)
{
    for (unsigned i = 0; i < 2; i++)
        sy_pool_set_close(world->set[i], flag, &world->done[i]);
    for (int i = 0; i < 50 && !(world->done[0] && world->done[1]); i++)
        advance(world, 100000);
    assert_true(world->done[0] && world->done[1]);
    assert_int_equal(atomic_load(&world->key.node->connections), 0);
    assert_int_equal(atomic_load(&world->key.node->active), 0);
    for (unsigned i = 0; i < 2; i++)
        sy_pool_set_free(&world->set[i]);
    sy_topology_unref(&world->topology);
    sy_loop_free(&world->loop);
    for (unsigned i = 0; i < FAKES_MAX; i++)
        assert_false(fakes[i].live);
}

static enum sy_status ask_of(struct world *world, unsigned worker, struct client *client)
{
    memset(client, 0, sizeof(*client));
    client->wait.ready = on_ready;
    client->wait.failed = on_failed;
    enum sy_status status =
        sy_pool_checkout(world->set[worker], &world->key, world->topology->databases[0].config,
                         &client->wait, &client->server, &client->why);
    if (client->server != NULL) {
        client->server->events = &server_events;
        client->server->user = client;
    }
    return status;
}

static void ask(struct world *world, struct client *client)
{
    assert_int_equal(ask_of(world, 0, client), SY_OK);
}

static void take(struct world *world, struct client *client)
{
    ask(world, client);
    turns(world, 4);
    assert_non_null(client->server);
    client->server->events = &server_events;
    client->server->user = client;
}

static void give(struct client *client)
{
    struct sy_server *server = client->server;
    client->server = NULL;
    sy_pool_release(server);
}

/* ---- lending ---- */

static void lends_the_most_recently_used_first(void **state)
{
    (void)state;
    struct world world;
    struct client a, b, c;
    world_init(&world, "size = 5;");
    take(&world, &a);
    take(&world, &b);
    struct sy_server *first = a.server, *second = b.server;
    assert_ptr_not_equal(first, second);
    give(&b);
    give(&a);
    ask(&world, &c);
    assert_ptr_equal(c.server, first);
    assert_int_equal(opens, 2);
    give(&c);
    world_release(&world);
}

static void serves_waiters_in_order(void **state)
{
    (void)state;
    struct world world;
    struct client clients[4], late;
    world_init(&world, "size = 1;");
    take(&world, &clients[0]);
    for (int i = 1; i < 4; i++) {
        ask(&world, &clients[i]);
        turns(&world, 1);
        assert_null(clients[i].server);
        assert_string_equal(clients[i].wait.reason, "pool full");
    }
    for (int i = 1; i < 4; i++) {
        give(&clients[i - 1]);
        if (i == 1) { /* nobody overtakes those who wait */
            ask(&world, &late);
            assert_null(late.server);
        }
        turns(&world, 2);
        assert_non_null(clients[i].server);
        if (i < 3)
            assert_null(clients[i + 1].server);
    }
    give(&clients[3]);
    turns(&world, 2);
    assert_non_null(late.server);
    assert_int_equal(opens, 1);
    give(&late);
    world_release(&world);
}

static void refuses_when_the_queue_is_full(void **state)
{
    (void)state;
    struct world world;
    struct client a, b, c;
    world_init(&world, "size = 1; queue_max = 1;");
    take(&world, &a);
    ask(&world, &b);
    assert_int_equal(ask_of(&world, 0, &c), SY_E_TOO_MANY);
    assert_string_equal(sy_err_sqlstate(&c.why), "53300");
    assert_int_equal(ask_of(&world, 1, &c), SY_E_TOO_MANY); /* one queue for all workers */
    sy_pool_wait_cancel(&b.wait);
    ask(&world, &c);
    sy_pool_wait_cancel(&c.wait);
    sy_pool_wait_cancel(&c.wait); /* harmless */
    give(&a);
    world_release(&world);
}

static void gives_up_waiting_after_the_limit(void **state)
{
    (void)state;
    struct world world;
    struct client a, b, c;
    world_init(&world, "size = 1; queue_timeout = \"2s\";");
    take(&world, &a);
    ask(&world, &b);
    advance(&world, 1500000);
    ask(&world, &c);
    assert_int_equal(b.why.status, SY_OK);
    advance(&world, 600000);
    assert_int_equal(b.why.status, SY_E_TIMEOUT);
    assert_string_equal(b.why.text, "query_wait_timeout");
    assert_int_equal(c.why.status, SY_OK);
    advance(&world, 1500000);
    assert_int_equal(c.why.status, SY_E_TIMEOUT);
    give(&a);
    world_release(&world);
}

/* ---- giving back ---- */

static void resets_only_what_changed(void **state)
{
    (void)state;
    static const struct {
        const char *label;
        char status;
        bool changed;
        const char *queries; /* NULL: closed */
    } rows[] = {
        {"clean", 'I', false, ""},
        {"changed", 'I', true, "DISCARD ALL|"},
        {"in a transaction", 'T', false, "ROLLBACK|"},
        {"in a failed one, changed", 'E', true, "ROLLBACK|DISCARD ALL|"},
        {"messages outstanding", 0, false, NULL},
    };
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        struct client a, b;
        print_message("%s\n", rows[i].label);
        world_init(&world, "size = 1;");
        take(&world, &a);
        struct fake *fake = of_link(a.server->link);
        uint64_t id = fake->base.id;
        a.server->transaction_status = rows[i].status;
        a.server->session_changed = rows[i].changed;
        give(&a);
        ask(&world, &b);
        turns(&world, 8);
        assert_non_null(b.server);
        assert_int_equal(b.server->transaction_status, 'I');
        assert_false(b.server->session_changed);
        if (rows[i].queries != NULL) {
            assert_string_equal(fake->queries, rows[i].queries);
            assert_int_equal(b.server->link->id, id);
        } else {
            assert_int_not_equal(b.server->link->id, id);
        }
        give(&b);
        world_release(&world);
    }
}

static unsigned states_freed;

static void free_state(void *session_state)
{
    states_freed++;
    free(session_state);
}

static void a_reset_forgets_the_session_state(void **state)
{
    (void)state;
    struct world world;
    struct client a;
    states_freed = 0;
    world_init(&world, "size = 1;");
    take(&world, &a);
    a.server->session_state = malloc(1);
    a.server->session_state_free = free_state;
    give(&a);
    turns(&world, 4);
    assert_int_equal(states_freed, 0); /* nothing changed: prepared statements are still there */
    take(&world, &a);
    a.server->session_changed = true;
    give(&a);
    turns(&world, 4);
    assert_int_equal(states_freed, 1);
    take(&world, &a);
    a.server->session_state = malloc(1);
    a.server->session_state_free = free_state;
    sy_pool_discard(a.server);
    turns(&world, 4);
    assert_int_equal(states_freed, 2);
    world_release(&world);
}

static void a_failed_reset_costs_the_connection(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 1;");
    answer_error = "42501";
    take(&world, &a);
    a.server->session_changed = true;
    give(&a);
    ask(&world, &b);
    turns(&world, 8);
    assert_non_null(b.server);
    assert_int_equal(opens, 2);
    give(&b);
    world_release(&world);
}

static void idle_servers_may_speak_only_of_themselves(void **state)
{
    (void)state;
    struct world world;
    struct client a;
    struct sy_buf out = {0};
    world_init(&world, "size = 1;");
    take(&world, &a);
    struct fake *fake = of_link(a.server->link);
    give(&a);
    sy_write_parameter_status(&out, SY_SLICE("DateStyle"), SY_SLICE("German"));
    sy_write_notification(&out, 1, SY_SLICE("c"), SY_SLICE(""));
    deliver(fake, &out);
    take(&world, &a);
    assert_int_equal(opens, 1);
    assert_true(sy_slice_eq(sy_parameters_get(a.server->link->parameters, SY_SLICE("datestyle")),
                            SY_SLICE("German")));
    give(&a);
    sy_buf_clear(&out);
    sy_write_command_complete(&out, "SELECT 1");
    deliver(fake, &out);
    take(&world, &a);
    assert_int_equal(opens, 2);
    give(&a);
    sy_buf_release(&out);
    world_release(&world);
}

/* ---- failures ---- */

static void tells_all_waiters_when_nothing_can_be_opened(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 3;");
    (void)!sy_err_set(&refuse, SY_E_AUTH, "password authentication failed for user \"bob\"");
    ask(&world, &a);
    ask(&world, &b);
    turns(&world, 4);
    assert_int_equal(a.why.status, SY_E_AUTH);
    assert_int_equal(b.why.status, SY_E_AUTH);
    assert_string_equal(b.why.text, "password authentication failed for user \"bob\"");
    unsigned tried = opens;
    ask(&world, &a); /* waits out the back-off, then hears of the next attempt */
    turns(&world, 4);
    assert_int_equal(opens, tried);
    assert_int_equal(a.why.status, SY_OK);
    memset(&refuse, 0, sizeof(refuse));
    advance(&world, 2000000);
    assert_non_null(a.server);
    give(&a);
    world_release(&world);
}

static void waiters_stay_while_other_connections_live(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 3;");
    take(&world, &a);
    (void)!sy_err_set(&refuse, SY_E_TOO_MANY, "sorry, too many clients already");
    ask(&world, &b);
    turns(&world, 4);
    assert_int_equal(b.why.status, SY_OK);
    give(&a);
    turns(&world, 2);
    assert_non_null(b.server);
    give(&b);
    memset(&refuse, 0, sizeof(refuse));
    world_release(&world);
}

static void a_lost_server_is_told_once_and_replaced(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 1;");
    take(&world, &a);
    ask(&world, &b);
    lose(a.server, "57P01");
    turns(&world, 6);
    assert_true(a.lost);
    assert_string_equal(sy_err_sqlstate(&a.why), "57P01");
    assert_non_null(b.server);
    assert_int_equal(opens, 2);
    struct sy_server *server = b.server;
    give(&b);
    lose(server, "57P01"); /* idle: nobody is told */
    turns(&world, 4);
    take(&world, &a);
    assert_int_equal(opens, 3);
    give(&a);
    world_release(&world);
}

/* ---- cancel ---- */

static unsigned cancels_told;

static void note_cancelled(struct sy_server *server)
{
    assert_false(sy_pool_cancels(server));
    cancels_told++;
}

/* Its borrower is told when the last of them was delivered. */
static void tells_the_borrower_when_a_cancel_was_delivered(void **state)
{
    (void)state;
    static const struct sy_server_events events = {.cancelled = note_cancelled};
    struct world world;
    struct client a;
    world_init(&world, "size = 1;");
    take(&world, &a);
    struct fake *fake = of_link(a.server->link);
    const struct sy_server_events *before = a.server->events;
    a.server->events = &events;
    assert_false(sy_pool_cancels(a.server));
    sy_pool_cancel(a.server);
    sy_pool_cancel(a.server);
    assert_true(sy_pool_cancels(a.server));
    fake->cancel_done(fake->cancel_ctx);
    assert_true(sy_pool_cancels(a.server));
    assert_int_equal(cancels_told, 0);
    fake->cancel_done(fake->cancel_ctx);
    assert_int_equal(cancels_told, 1);
    a.server->events = before;
    give(&a);
    turns(&world, 4);
    world_release(&world);
}

static void holds_a_server_until_its_cancel_was_delivered(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 1;");
    take(&world, &a);
    struct fake *fake = of_link(a.server->link);
    sy_pool_cancel(a.server);
    give(&a);
    ask(&world, &b);
    turns(&world, 4);
    assert_null(b.server);
    fake->cancel_done(fake->cancel_ctx);
    turns(&world, 4);
    assert_non_null(b.server);
    /* And when the connection is gone before the cancel was delivered. */
    fake = of_link(b.server->link);
    sy_pool_cancel(b.server);
    void (*done)(void *ctx) = fake->cancel_done;
    void *ctx = fake->cancel_ctx;
    lose(b.server, "57P01");
    turns(&world, 4);
    assert_true(b.why.status != SY_OK || b.server != NULL);
    done(ctx);
    turns(&world, 2);
    world_release(&world);
}

/* ---- age ---- */

static void closes_idle_and_old_servers(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 5; idle_timeout = \"10s\"; lifetime = \"60s\";");
    take(&world, &a);
    take(&world, &b);
    give(&b);
    advance(&world, 9000000);
    assert_int_equal(atomic_load(&world.key.node->connections), 2);
    for (int i = 0; i < 4; i++)
        advance(&world, 1000000);
    assert_int_equal(atomic_load(&world.key.node->connections), 1); /* b's rested too long */
    advance(&world, 60000000);
    give(&a);
    turns(&world, 4);
    assert_int_equal(atomic_load(&world.key.node->connections), 0); /* a's is too old */
    world_release(&world);
}

/* ---- the console ---- */

static void pause_holds_and_resume_releases(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    bool paused = false;
    world_init(&world, "size = 2;");
    take(&world, &a);
    sy_pool_pause(world.set[0], SY_SLICE("app"), flag, &paused);
    ask(&world, &b);
    turns(&world, 4);
    assert_null(b.server);
    assert_string_equal(b.wait.reason, "paused");
    assert_false(paused);
    give(&a);
    turns(&world, 6);
    assert_true(paused);
    assert_null(b.server);
    sy_pool_resume(world.set[0], SY_SLICE("app"));
    turns(&world, 6);
    assert_non_null(b.server);
    give(&b);
    paused = false;
    sy_pool_pause(world.set[0], SY_SLICE("other"), flag, &paused);
    turns(&world, 2);
    assert_true(paused);
    take(&world, &a);
    give(&a);
    sy_pool_resume(world.set[0], SY_SLICE(""));
    world_release(&world);
}

static void reconnect_replaces_and_kill_drops(void **state)
{
    (void)state;
    struct world world;
    struct client a, b, c;
    world_init(&world, "size = 2;");
    take(&world, &a);
    take(&world, &b);
    give(&b);
    sy_pool_reconnect(world.set[0], SY_SLICE("app"));
    turns(&world, 4);
    assert_int_equal(atomic_load(&world.key.node->connections), 1);
    give(&a);
    turns(&world, 4);
    assert_int_equal(atomic_load(&world.key.node->connections), 0);
    take(&world, &a);
    take(&world, &b);
    ask(&world, &c);
    sy_pool_kill(world.set[0], SY_SLICE("app"));
    assert_true(a.lost && b.lost);
    assert_string_equal(sy_err_sqlstate(&a.why), "57P01");
    assert_string_equal(sy_err_sqlstate(&c.why), "57P01");
    turns(&world, 4);
    assert_int_equal(atomic_load(&world.key.node->connections), 0);
    world_release(&world);
}

static void a_node_that_left_drains(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 1;");
    struct sy_node *node = sy_node_ref(world.key.node);
    take(&world, &a);
    ask(&world, &b);
    struct sy_topology *next = build("size = 1;", 6000);
    sy_pool_set_topology(world.set[0], next);
    assert_string_equal(sy_err_sqlstate(&b.why), "57P01");
    assert_non_null(a.server); /* its statement may end */
    give(&a);
    turns(&world, 4);
    assert_int_equal(atomic_load(&node->connections), 0);
    world_release(&world);
    sy_topology_unref(&next);
    sy_node_unref(node);
}

/* ---- two workers, one limit ---- */

static void an_idle_connection_elsewhere_is_handed_over(void **state)
{
    (void)state;
    struct world world;
    struct client a, b;
    world_init(&world, "size = 1;");
    take(&world, &a);
    give(&a);
    turns(&world, 2);
    assert_int_equal(ask_of(&world, 1, &b), SY_OK);
    turns(&world, 10);
    assert_non_null(b.server);
    assert_int_equal(opens, 2);
    assert_int_equal(atomic_load(&world.key.node->connections), 1);
    give(&b);
    world_release(&world);
}

static void a_busy_worker_does_not_starve_another(void **state)
{
    (void)state;
    struct world world;
    struct client busy[8], other;
    unsigned served = 0;
    world_init(&world, "size = 2;");
    for (int i = 0; i < 8; i++)
        ask(&world, &busy[i]);
    turns(&world, 4);
    assert_int_equal(ask_of(&world, 1, &other), SY_OK);
    for (int round = 0; round < 100 && served == 0; round++) {
        for (int i = 0; i < 8; i++)
            if (busy[i].server != NULL) {
                give(&busy[i]);
                ask(&world, &busy[i]);
            }
        advance(&world, 1000);
        if (other.server != NULL)
            served++;
    }
    assert_int_equal(served, 1);
    /* One each now: level, so nothing moves any more. */
    unsigned settled = opens;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 8; i++)
            if (busy[i].server != NULL) {
                give(&busy[i]);
                ask(&world, &busy[i]);
            }
        struct client again;
        (void)again;
        advance(&world, 1000);
    }
    assert_int_equal(opens, settled);
    for (int i = 0; i < 8; i++)
        if (busy[i].server != NULL)
            give(&busy[i]);
    give(&other);
    world_release(&world);
}

static void one_connection_goes_round_between_workers(void **state)
{
    (void)state;
    struct world world;
    struct client clients[2][3];
    unsigned served[2] = {0};
    world_init(&world, "size = 1;");
    for (int w = 0; w < 2; w++)
        for (int i = 0; i < 3; i++)
            assert_int_equal(ask_of(&world, (unsigned)w, &clients[w][i]), SY_OK);
    for (int round = 0; round < 400; round++) {
        for (int w = 0; w < 2; w++)
            for (int i = 0; i < 3; i++)
                if (clients[w][i].server != NULL) {
                    served[w]++;
                    give(&clients[w][i]);
                    assert_int_equal(ask_of(&world, (unsigned)w, &clients[w][i]), SY_OK);
                }
        advance(&world, 1000);
        assert_true(atomic_load(&world.key.node->connections) <= 1);
    }
    print_message("served %u and %u, %u connections opened\n", served[0], served[1], opens);
    assert_true(served[0] > 50 && served[1] > 50);
    world_release(&world);
}

static void says_when_memory_is_exhausted(void **state)
{
    (void)state;
    struct world world;
    struct client a;
    world_init(&world, "size = 1;");
    sy_fault_configure("pool.memory=1");
    assert_int_equal(ask_of(&world, 0, &a), SY_E_NO_MEMORY);
    sy_fault_configure("pool.server=1");
    ask(&world, &a);
    turns(&world, 4);
    assert_int_equal(a.why.status, SY_E_NO_MEMORY);
    sy_fault_configure(NULL);
    ask(&world, &a);
    advance(&world, 2000000);
    assert_non_null(a.server); /* and works again */
    give(&a);
    world_release(&world);
}

struct rows {
    unsigned pools, servers;
    struct sy_pool_stats last;
};

static void count_pool(void *ctx, const struct sy_pool_stats *stats)
{
    ((struct rows *)ctx)->pools++;
    ((struct rows *)ctx)->last = *stats;
}

static void count_server(void *ctx, const struct sy_server *server, const char *state_name)
{
    (void)server;
    ((struct rows *)ctx)->servers += strcmp(state_name, "active") == 0 ? 100 : 1;
}

static void shows_rows(void **state)
{
    (void)state;
    struct world world;
    struct client a, b, c;
    struct rows rows = {0};
    world_init(&world, "size = 2;");
    take(&world, &a);
    take(&world, &b);
    ask(&world, &c);
    advance(&world, 5000);
    sy_pool_each(world.set[0], count_pool, &rows);
    assert_int_equal(rows.pools, 1);
    assert_string_equal(rows.last.database, "app");
    assert_string_equal(rows.last.user, "bob");
    assert_string_equal(rows.last.node, "s0/0");
    assert_int_equal(rows.last.active, 2);
    assert_int_equal(rows.last.waiting, 1);
    assert_int_equal(rows.last.oldest_wait_us, 5000);
    sy_pool_wait_cancel(&c.wait);
    give(&a);
    sy_pool_each_server(world.set[0], count_server, &rows);
    assert_int_equal(rows.servers, 101);
    give(&b);
    world_release(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lends_the_most_recently_used_first),
        cmocka_unit_test(serves_waiters_in_order),
        cmocka_unit_test(refuses_when_the_queue_is_full),
        cmocka_unit_test(gives_up_waiting_after_the_limit),
        cmocka_unit_test(resets_only_what_changed),
        cmocka_unit_test(a_reset_forgets_the_session_state),
        cmocka_unit_test(a_failed_reset_costs_the_connection),
        cmocka_unit_test(idle_servers_may_speak_only_of_themselves),
        cmocka_unit_test(tells_all_waiters_when_nothing_can_be_opened),
        cmocka_unit_test(waiters_stay_while_other_connections_live),
        cmocka_unit_test(a_lost_server_is_told_once_and_replaced),
        cmocka_unit_test(tells_the_borrower_when_a_cancel_was_delivered),
        cmocka_unit_test(holds_a_server_until_its_cancel_was_delivered),
        cmocka_unit_test(closes_idle_and_old_servers),
        cmocka_unit_test(pause_holds_and_resume_releases),
        cmocka_unit_test(reconnect_replaces_and_kill_drops),
        cmocka_unit_test(a_node_that_left_drains),
        cmocka_unit_test(an_idle_connection_elsewhere_is_handed_over),
        cmocka_unit_test(a_busy_worker_does_not_starve_another),
        cmocka_unit_test(one_connection_goes_round_between_workers),
        cmocka_unit_test(says_when_memory_is_exhausted),
        cmocka_unit_test(shows_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
