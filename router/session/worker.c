/* A worker's life, its databases, and what other threads ask of it. */
#include "router/session/worker.h"

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "router/session/internal.h"
#include "router/topology/waits.h"

enum { TICK_US = 1000 * 1000 };

/* ---- databases ---- */

static void free_database(struct sy_worker_database *database)
{
    sy_startup_forget_welcomes(database);
    sy_map_release(&database->welcomes);
    sy_parameters_free(&database->defaults);
    free(database->node_counters);
    free((char *)(uintptr_t)database->name.data);
    free(database);
}

static bool is_renamed(const struct sy_topology_database *database)
{
    for (uint32_t i = 0; i < database->shard_count; i++)
        for (uint32_t n = 0; n < database->shards[i].node_count; n++) {
            const char *name = database->shards[i].nodes[n]->server_database;
            if (database->config->engine == SY_ENGINE_POSTGRES && name != NULL &&
                strcmp(name, database->config->name) != 0)
                return true;
        }
    return false;
}

static void refresh_database(const struct sy_worker *worker, struct sy_worker_database *database)
{
    database->topology = sy_topology_find(worker->topology, database->name);
    database->has_replicas = false;
    if (database->topology == NULL)
        return;
    database->sharded = database->topology->shard_count > 1;
    database->renamed = database->sharded && is_renamed(database->topology);
    if (!database->topology->config->reads.enabled)
        return;
    for (uint32_t i = 0; i < database->topology->shard_count; i++)
        if (database->topology->shards[i].node_count > 1)
            database->has_replicas = true;
}

struct sy_worker_database *sy_worker_database(struct sy_worker *worker, struct sy_slice name)
{
    struct sy_worker_database *database = sy_map_get(&worker->databases, name);
    if (database != NULL)
        return database->topology != NULL || sy_slice_eq(name, SY_SLICE("switchyard")) ? database
                                                                                       : NULL;
    if (sy_topology_find(worker->topology, name) == NULL &&
        !sy_slice_eq(name, SY_SLICE("switchyard")))
        return NULL;
    database = calloc(1, sizeof(*database));
    char *copy = database == NULL ? NULL : strndup(name.data, name.bytes);
    if (copy == NULL) {
        free(database);
        return NULL;
    }
    database->name = (struct sy_slice){copy, name.bytes};
    database->counters = sy_metrics_database(worker->metrics, copy);
    refresh_database(worker, database);
    if (sy_map_put(&worker->databases, database->name, database, NULL, NULL) != SY_OK) {
        free_database(database);
        return NULL;
    }
    return database;
}

struct sy_node_counters *sy_worker_node_counters(struct sy_worker *worker,
                                                 struct sy_worker_database *database,
                                                 uint32_t shard, const struct sy_node *node)
{
    uint32_t at = shard * SY_LIMIT_NODES_PER_SHARD + node->node_index % SY_LIMIT_NODES_PER_SHARD;
    if (at >= database->node_counter_count) {
        struct sy_node_counters **more =
            realloc(database->node_counters, (at + 1) * sizeof(struct sy_node_counters *));
        if (more == NULL)
            return NULL;
        for (uint32_t i = database->node_counter_count; i <= at; i++)
            more[i] = NULL;
        database->node_counters = more;
        database->node_counter_count = at + 1;
    }
    if (database->node_counters[at] == NULL)
        database->node_counters[at] =
            sy_metrics_node(worker->metrics, node->database, node->shard, node->name);
    return database->node_counters[at];
}

struct sy_slice sy_worker_database_default(const struct sy_worker_database *database,
                                           struct sy_slice name)
{
    if (database->defaults == NULL)
        return (struct sy_slice){0};
    return sy_parameters_get(database->defaults, name);
}

/* What a server of the database reports before any client's settings. */
void sy_worker_learn_defaults(struct sy_worker_database *database,
                              const struct sy_parameters *parameters)
{
    if (database->defaults != NULL || parameters == NULL)
        return;
    database->defaults = sy_parameters_new();
    for (uint32_t i = 0; database->defaults != NULL && i < sy_parameters_count(parameters); i++) {
        struct sy_slice name, value;
        struct sy_err err = {0};
        sy_parameters_at(parameters, i, &name, &value);
        (void)!sy_parameters_set(database->defaults, name, value, &err);
    }
}

/* ---- topology ---- */

static void take_topology(struct sy_worker *worker)
{
    struct sy_topology *next = sy_topology_acquire();
    if (next == NULL || next == worker->topology) {
        sy_topology_unref(&next);
        return;
    }
    sy_topology_unref(&worker->previous_topology);
    worker->previous_topology = worker->topology;
    worker->topology = next;
    worker->epoch = next->epoch;
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&worker->databases, &at, &entry);)
        refresh_database(worker, entry.value);
    if (worker->pools != NULL)
        sy_pool_set_topology(worker->pools, next);
    sy_worker_limit_queues(worker);
}

void sy_worker_refresh(struct sy_worker *worker)
{
    if (sy_topology_current_epoch() != worker->epoch)
        take_topology(worker);
}

/* ---- life ---- */

static void update_counters(struct sy_worker *worker)
{
    struct sy_parser_stats stats = sy_parser_stats(worker->parser);
    struct sy_worker_counters *counters = sy_metrics_worker(worker->metrics);
    atomic_store_explicit(&counters->template_hits, stats.hits, memory_order_relaxed);
    atomic_store_explicit(&counters->template_misses, stats.misses, memory_order_relaxed);
    atomic_store_explicit(&counters->template_evictions, stats.evictions, memory_order_relaxed);
}

static void end_deadlocks(struct sy_worker *worker)
{
    sy_list_each_safe(node, &worker->sessions)
    {
        struct sy_session *session = sy_container_of(node, struct sy_session, link);
        if (!session->watched || !sy_waits_take_condemned(session->pid))
            continue;
        session->deadlocked = true;
        sy_session_cancel(session);
    }
}

static void on_tick(struct sy_timer *timer)
{
    struct sy_worker *worker = sy_container_of(timer, struct sy_worker, tick);
    update_counters(worker);
    sy_scheduling_tick(worker);
    if (sy_waits_any_condemned())
        end_deadlocks(worker);
    if (worker->index == 0) {
        uint64_t now = sy_loop_now_us(worker->loop);
        if (now - worker->stats_ticked_us >= SY_CONSOLE_STATS_PERIOD_US) {
            worker->stats_ticked_us = now;
            sy_console_stats_tick(now);
        }
    }
    sy_timer_start(worker->loop, &worker->tick, TICK_US);
}

SSL_CTX *sy_process_client_tls(struct sy_process *process)
{
    pthread_mutex_lock(&process->tls_lock);
    SSL_CTX *context = process->client_tls;
    if (context != NULL && SSL_CTX_up_ref(context) != 1)
        context = NULL;
    pthread_mutex_unlock(&process->tls_lock);
    return context;
}

void sy_process_set_client_tls(struct sy_process *process, SSL_CTX *context)
{
    pthread_mutex_lock(&process->tls_lock);
    SSL_CTX *old = process->client_tls;
    process->client_tls = context;
    pthread_mutex_unlock(&process->tls_lock);
    SSL_CTX_free(old);
}

enum sy_status sy_worker_init(struct sy_worker *worker, struct sy_process *process, uint32_t index,
                              struct sy_err *err)
{
    *worker = (struct sy_worker){.process = process, .index = index};
    sy_list_init(&worker->sessions);
    sy_list_init(&worker->strangers);
    sy_list_init(&worker->free_parts);
    sy_timer_init(&worker->tick, on_tick);
    sy_scheduling_init(worker);
    worker->topology = sy_topology_acquire();
    worker->epoch = worker->topology->epoch;
    const struct sy_config *config = worker->topology->config;
    struct sy_loop_options loop = {.kind = config->loop};
    struct sy_parser_options parser = {.cache_bytes_max = config->template_cache_bytes};
    enum sy_status status = sy_loop_new(&loop, &worker->loop, err);
    if (status == SY_OK)
        status = sy_parser_new(&parser, &worker->parser, err);
    if (status == SY_OK)
        status = sy_pool_set_new(worker->loop, index, &worker->pools, err);
    if (status == SY_OK)
        status = sy_metrics_block_new(index, &worker->metrics, err);
    if (status == SY_OK)
        worker->no_settings = sy_settings_empty(&worker->settings, err);
    if (status != SY_OK || worker->no_settings == NULL) {
        sy_worker_release(worker);
        return status != SY_OK ? status : SY_E_NO_MEMORY;
    }
    sy_pool_set_topology(worker->pools, worker->topology);
    sy_worker_limit_queues(worker);
    worker->statements.parser = worker->parser;
    sy_timer_start(worker->loop, &worker->tick, TICK_US);
    sy_scheduling_start(worker);
    return SY_OK;
}

void sy_worker_release(struct sy_worker *worker)
{
    if (worker->loop != NULL && sy_timer_armed(&worker->tick))
        sy_timer_cancel(worker->loop, &worker->tick);
    if (worker->loop != NULL)
        sy_scheduling_release(worker);
    sy_pool_set_free(&worker->pools);
    struct sy_list *node;
    while ((node = sy_list_pop(&worker->free_parts)) != NULL)
        free(sy_container_of(node, struct sy_part, free_link));
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&worker->databases, &at, &entry);)
        free_database(entry.value);
    sy_map_release(&worker->databases);
    sy_statement_registry_release(&worker->statements);
    sy_settings_unref(&worker->no_settings);
    sy_settings_registry_release(&worker->settings);
    sy_parser_free(&worker->parser);
    sy_topology_unref(&worker->topology);
    sy_topology_unref(&worker->previous_topology);
    sy_arena_release(&worker->arena);
    sy_buf_release(&worker->scratch);
    sy_loop_free(&worker->loop);
}

enum sy_status sy_worker_run(struct sy_worker *worker, struct sy_err *err)
{
    if (SY_FAULT("worker.run"))
        return sy_err_set(err, SY_E_IO, "the loop does not turn");
    return sy_loop_run(worker->loop, err);
}

/* ---- messages ---- */

struct worker_message {
    struct sy_message message; /* first */
    struct sy_worker *worker;
};

static void post(struct sy_worker *worker, void (*deliver)(struct sy_message *, struct sy_loop *))
{
    struct worker_message *request = calloc(1, sizeof(*request));
    if (request == NULL)
        return;
    request->message.deliver = deliver;
    request->worker = worker;
    sy_loop_post(worker->loop, &request->message);
}

static void on_pools_closed(void *ctx)
{
    struct sy_worker *worker = ctx;
    sy_loop_stop(worker->loop);
}

void sy_worker_session_gone(struct sy_worker *worker)
{
    if (!worker->stopping || worker->session_count > 0 || worker->pools_closed)
        return;
    worker->pools_closed = true;
    sy_pool_set_close(worker->pools, on_pools_closed, worker);
}

static void deliver_stop(struct sy_message *message, struct sy_loop *loop)
{
    struct sy_worker *worker = ((struct worker_message *)(void *)message)->worker;
    (void)loop;
    free(message);
    if (worker->stopping)
        return;
    worker->stopping = true;
    sy_list_each_safe(node, &worker->sessions)
        sy_session_kill(sy_container_of(node, struct sy_session, link),
                        "terminating connection due to administrator command");
    sy_worker_session_gone(worker);
}

void sy_worker_stop(struct sy_worker *worker)
{
    post(worker, deliver_stop);
}

static void deliver_wake(struct sy_message *message, struct sy_loop *loop)
{
    struct sy_worker *worker = ((struct worker_message *)(void *)message)->worker;
    (void)loop;
    free(message);
    sy_worker_refresh(worker);
    if (!atomic_load(&worker->process->draining))
        return;
    sy_list_each_safe(node, &worker->sessions)
        sy_session_drain(sy_container_of(node, struct sy_session, link));
}

void sy_worker_wake(struct sy_worker *worker)
{
    post(worker, deliver_wake);
}

struct hold_message {
    struct sy_message message; /* first */
    struct sy_worker *worker;
    _Atomic uint32_t *done;
    bool hold;
    char database[]; /* its name */
};

static void on_held(void *ctx)
{
    (void)ctx; /* who asked looks at the nodes */
}

static void hold(struct sy_worker *worker, struct sy_slice name, bool on)
{
    struct sy_worker_database *database = sy_worker_database(worker, name);
    if (database == NULL || database->paused || on == database->held) {
        if (database != NULL)
            database->held = false;
        return;
    }
    database->held = on;
    if (on)
        sy_pool_pause(worker->pools, name, on_held, NULL);
    else
        sy_pool_resume(worker->pools, name);
}

static void deliver_hold(struct sy_message *message, struct sy_loop *loop)
{
    struct hold_message *request = (struct hold_message *)(void *)message;
    (void)loop;
    if (!request->hold)
        sy_worker_refresh(request->worker);
    hold(request->worker, sy_slice_of(request->database), request->hold);
    atomic_fetch_add(request->done, 1);
    free(request);
}

bool sy_worker_hold(struct sy_worker *worker, const char *database, bool on, _Atomic uint32_t *done)
{
    struct hold_message *request = calloc(1, sizeof(*request) + strlen(database) + 1);
    if (request == NULL)
        return false;
    request->message.deliver = deliver_hold;
    request->worker = worker;
    request->done = done;
    request->hold = on;
    memcpy(request->database, database, strlen(database) + 1);
    sy_loop_post(worker->loop, &request->message);
    return true;
}

/* ---- visiting all workers ---- */

struct visit {
    struct sy_message message; /* first */
    struct sy_worker *asking;
    uint32_t next;
    void (*visit)(struct sy_worker *worker, void *ctx);
    void (*done)(struct sy_worker *asking, void *ctx);
    void *ctx;
};

static void deliver_visit(struct sy_message *message, struct sy_loop *loop)
{
    struct visit *visit = (struct visit *)(void *)message;
    struct sy_process *process = visit->asking->process;
    (void)loop;
    if (visit->next == process->worker_count) {
        visit->done(visit->asking, visit->ctx);
        free(visit);
        return;
    }
    visit->visit(process->workers[visit->next++], visit->ctx);
    struct sy_worker *to =
        visit->next == process->worker_count ? visit->asking : process->workers[visit->next];
    sy_loop_post(to->loop, &visit->message);
}

enum sy_status sy_worker_visit_all(struct sy_worker *asking,
                                   void (*visit)(struct sy_worker *worker, void *ctx),
                                   void (*done)(struct sy_worker *asking, void *ctx), void *ctx,
                                   struct sy_err *err)
{
    struct visit *round = calloc(1, sizeof(*round));
    if (round == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *round = (struct visit){.message.deliver = deliver_visit,
                            .asking = asking,
                            .visit = visit,
                            .done = done,
                            .ctx = ctx};
    sy_loop_post(asking->process->workers[0]->loop, &round->message);
    return SY_OK;
}
