/*
 * The inspector's thread. It looks every 50 ms whether something is to be done: a new
 * configuration, a request, a shard that could not be read the last time. One database after the
 * other; libpq may block here.
 */
#include "replication/inspector.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "replication/federation.h"
#include "replication/waiting.h"
#include "router/engine/engine.h"
#include "router/engine/postgres/ask.h"
#include "router/topology/topology.h"

enum {
    LOOK_MS = 50,
    RETRY_US = 2 * 1000 * 1000,
    FEDERATION_RETRY_US = 5 * 1000 * 1000,
    PUBLISH_TRIES = 100
};

struct state {
    struct sy_config *config; /* seen last; referenced, so that its address means it */
    bool *wanted;             /* per database of that configuration */
    char **failure;           /* per database: what was logged last; NULL: it was read */
    uint64_t *retry_us;       /* per database: when to try again, 0: no need */
    uint64_t *federation_us;  /* per database: when to try the federating database again, 0: no need
                               */
    uint32_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool stopping; /* under lock */
static uint64_t
    settled_epoch; /* under lock: all databases of a snapshot up to this one were tried; 0: none */
static pthread_t thread;
static bool started;

static uint64_t now_us(void)
{
    const struct sy_clock *clock = sy_clock_real();
    return clock->monotonic_us(clock);
}

/* ---- one database ---- */

static bool was_told(const struct sy_topology_schema *before, const char *difference)
{
    for (uint32_t i = 0; before != NULL && i < before->difference_count; i++)
        if (strcmp(before->differences[i], difference) == 0)
            return true;
    return false;
}

/* Each difference is logged when it is new, not again after every DDL. */
static void log_differences(const char *database, const struct sy_topology_schema *schema,
                            const struct sy_topology_schema *before)
{
    for (uint32_t i = 0; i < schema->difference_count; i++)
        if (!was_told(before, schema->differences[i]))
            SY_LOG(SY_LOG_WARN, "shards differ", SY_KV_STR("database", database),
                   SY_KV_STR("what", schema->differences[i]));
}

/* Somebody else may publish meanwhile: build on the newest one again. */
static bool publish(const char *database, struct sy_topology_schema *schema, struct sy_err *err)
{
    for (int i = 0; i < PUBLISH_TRIES; i++) {
        struct sy_topology *current = sy_topology_acquire(), *next = NULL;
        const struct sy_topology_database *target =
            current != NULL ? sy_topology_find(current, sy_slice_of(database)) : NULL;
        bool fits = target != NULL && target->shard_count == schema->shard_count;
        bool built =
            fits && sy_topology_with_schema(current, (uint32_t)(target - current->databases),
                                            schema, &next, err) == SY_OK;
        if (built && sy_topology_publish_over(current, next)) {
            sy_topology_unref(&current);
            return true;
        }
        if (built) {
            atomic_fetch_add(&schema->refs,
                             1); /* the snapshot that was not published drops the one it took */
            sy_topology_unref(&next);
        }
        sy_topology_unref(&current);
        if (!built)
            break;
    }
    sy_topology_schema_unref(schema);
    return false;
}

/* What changed is told once. */
static void log_federation(const struct sy_topology_database *database,
                           const struct sy_topology_federation *now)
{
    const struct sy_topology_federation *before =
        database->inspected == NULL ? NULL : database->inspected->federation;
    bool same = before != NULL && before->facts.ready == now->facts.ready &&
                before->facts.relation_count == now->facts.relation_count &&
                strcmp(before->facts.why, now->facts.why) == 0;
    if (same)
        return;
    if (now->facts.ready)
        SY_LOG(SY_LOG_INFO, "federating database ready",
               SY_KV_STR("database", database->config->name),
               SY_KV_INT("relations", now->facts.relation_count));
    else
        SY_LOG(SY_LOG_WARN, "federating database not ready",
               SY_KV_STR("database", database->config->name), SY_KV_STR("why", now->facts.why));
}

/* True: all shards were read and the result is published. */
static bool inspect(const struct sy_topology *topology, uint32_t index, char **failure,
                    bool *ret_federated)
{
    const struct sy_topology_database *database = &topology->databases[index];
    const char *name = database->config->name;
    struct sy_topology_schema *schema = NULL;
    struct sy_err err = {0};
    bool complete = false;
    uint64_t begin_us = now_us();
    const struct sy_engine *engine = sy_engine_of(database->config->engine);
    if (engine->inspect(database, &schema, &complete, &err) != SY_OK) {
        if (*failure == NULL || strcmp(*failure, err.text) != 0)
            sy_log_err(SY_LOG_WARN, "schema not read", &err);
        free(*failure);
        *failure = strdup(err.text);
        return false;
    }
    bool again = *failure != NULL;
    free(*failure);
    *failure = NULL;
    log_differences(name, schema, database->inspected);
    SY_LOG(database->inspected == NULL || again ? SY_LOG_INFO : SY_LOG_DEBUG, "schema read",
           SY_KV_STR("database", name),
           SY_KV_INT("relations", sy_schema_relation_count(schema->schema)),
           SY_KV_INT("differences", schema->difference_count),
           SY_KV_INT("us", now_us() - begin_us));
    /* Before the schema is published: who is told of it finds the federating database current. */
    schema->federation = sy_federation_keep(topology, database, complete);
    if (schema->federation != NULL)
        log_federation(database, schema->federation);
    *ret_federated = database->federation.node_count == 0 ||
                     (schema->federation != NULL && schema->federation->facts.ready);
    return publish(name, schema, &err) && complete;
}

/* ---- what is to be done ---- */

static void forget(struct state *state)
{
    for (uint32_t i = 0; state->failure != NULL && i < state->count; i++)
        free(state->failure[i]);
    free(state->failure);
    free(state->wanted);
    free(state->retry_us);
    free(state->federation_us);
    sy_config_unref(&state->config);
    memset(state, 0, sizeof(*state));
}

static void follow_config(struct state *state, const struct sy_topology *topology)
{
    if (topology->config == state->config)
        return;
    forget(state);
    state->wanted = calloc((size_t)topology->database_count + 1, sizeof(bool));
    state->retry_us = calloc((size_t)topology->database_count + 1, sizeof(uint64_t));
    state->federation_us = calloc((size_t)topology->database_count + 1, sizeof(uint64_t));
    state->failure = calloc((size_t)topology->database_count + 1, sizeof(char *));
    if (state->wanted == NULL || state->retry_us == NULL || state->failure == NULL ||
        state->federation_us == NULL) {
        forget(state);
        return;
    }
    state->config = sy_config_ref(topology->config);
    state->count = topology->database_count;
    for (uint32_t i = 0; i < state->count; i++)
        state->wanted[i] = true;
}

static void take_requests(struct state *state, const struct sy_topology *topology)
{
    struct sy_buf name = {0};
    while (sy_schema_refresh_take(&name))
        for (uint32_t i = 0; i < state->count; i++) {
            const struct sy_config_database *config = topology->databases[i].config;
            bool named = name.bytes == 0 || sy_slice_eq(sy_slice_of(config->name),
                                                        (struct sy_slice){name.data, name.bytes});
            if (named)
                state->wanted[i] = true;
        }
    sy_buf_release(&name);
}

static bool must_stop(void)
{
    pthread_mutex_lock(&lock);
    bool stop = stopping;
    pthread_mutex_unlock(&lock);
    return stop;
}

/* A federating database that could not be kept is tried again; only a success is news. */
static void retry_federation(struct state *state, const struct sy_topology *topology, uint32_t i)
{
    if (state->federation_us[i] == 0 || now_us() < state->federation_us[i])
        return;
    struct sy_topology_federation *found =
        sy_federation_keep(topology, &topology->databases[i], true);
    if (found != NULL && found->facts.ready)
        state->wanted[i] = true;
    state->federation_us[i] = now_us() + FEDERATION_RETRY_US;
    sy_topology_federation_free(found);
}

static void work(struct state *state, const struct sy_topology *topology)
{
    for (uint32_t i = 0; i < state->count && !must_stop(); i++) {
        retry_federation(state, topology, i);
        if (!state->wanted[i] && (state->retry_us[i] == 0 || now_us() < state->retry_us[i]))
            continue;
        bool federated = true;
        state->wanted[i] = false;
        state->retry_us[i] =
            inspect(topology, i, &state->failure[i], &federated) ? 0 : now_us() + RETRY_US;
        state->federation_us[i] = federated ? 0 : now_us() + FEDERATION_RETRY_US;
    }
}

static void tell_settled(uint64_t epoch)
{
    pthread_mutex_lock(&lock);
    if (epoch > settled_epoch) {
        settled_epoch = epoch;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
}

/* A migration of a thousand statements asks a thousand times: at most half of the time goes to
 * reading. */
static void rest(uint64_t worked_us)
{
    enum { REST_MAX_US = 500 * 1000 };
    uint64_t us = worked_us < REST_MAX_US ? worked_us : REST_MAX_US;
    us = us > LOOK_MS * 1000 ? us : LOOK_MS * 1000;
    nanosleep(&(struct timespec){0, (long)us * 1000}, NULL);
}

static void *inspector_main(void *unused)
{
    struct state state = {0};
    (void)unused;
    while (!must_stop()) {
        uint64_t begin_us = now_us();
        struct sy_topology *topology = sy_topology_acquire();
        if (topology != NULL) {
            follow_config(&state, topology);
            take_requests(&state, topology);
            work(&state, topology);
            tell_settled(topology->epoch);
        }
        sy_topology_unref(&topology);
        rest(now_us() - begin_us);
    }
    forget(&state);
    return NULL;
}

enum sy_status sy_inspector_start(struct sy_err *err)
{
    stopping = false;
    settled_epoch = 0;
    int code = pthread_create(&thread, NULL, inspector_main, NULL);
    if (code != 0)
        return sy_err_set_errno(err, SY_E_IO, code, "cannot start the schema inspector");
    started = true;
    return SY_OK;
}

static bool is_settled(uint64_t epoch)
{
    return settled_epoch >= epoch;
}

bool sy_inspector_wait_first(int timeout_ms)
{
    return sy_wait_done(&lock, &changed, is_settled, sy_topology_current_epoch(), timeout_ms);
}

void sy_inspector_stop(void)
{
    if (!started)
        return;
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_mutex_unlock(&lock);
    pg_ask_interrupt(true); /* a server that does not answer must not be waited for */
    pthread_join(thread, NULL);
    pg_ask_interrupt(false);
    started = false;
}
