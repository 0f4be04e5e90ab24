/*
 * The monitor's thread: which nodes are watched, and when they are asked. What a single probe does
 * is in probe.c.
 */
#include "replication/monitor.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "replication/probe.h"
#include "replication/waiting.h"

enum { LOOK_US = 50 * 1000 }; /* how often the thread looks for a new topology */

struct monitor {
    pthread_t thread;
    struct sy_loop *loop;
    struct sy_list probes;
    struct sy_timer look;
    struct sy_message stop;
    uint64_t epoch;
    bool stopping;
    struct sy_topology *topology;
};

static struct monitor *running; /* between start and stop */

/* For sy_monitor_wait_first() and for the start. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t settled_epoch; /* under lock: every node of this epoch has been probed */
static enum { STARTING, RUNNING, FAILED } phase; /* under lock */
static struct sy_err start_error;                /* under lock */

static struct sy_probe *find(const struct monitor *monitor, const struct sy_node *node)
{
    sy_list_each(at, &monitor->probes)
    {
        struct sy_probe *probe = sy_container_of(at, struct sy_probe, link);
        if (probe->node == node)
            return probe;
    }
    return NULL;
}

static void watch_node(struct monitor *monitor, const struct sy_topology_database *database,
                       uint32_t shard, struct sy_node *node)
{
    struct sy_probe *probe = find(monitor, node);
    if (probe == NULL) {
        probe = sy_probe_new(monitor->loop, node);
        if (probe == NULL)
            return; /* out of memory: tried again with the next topology */
        sy_list_append(&monitor->probes, &probe->link);
    }
    probe->wanted = true;
    probe->database = database;
    probe->shard = &database->shards[shard];
}

static void watch_all(struct monitor *monitor)
{
    const struct sy_topology *topology = monitor->topology;
    for (uint32_t d = 0; d < topology->database_count; d++) {
        const struct sy_topology_database *database = &topology->databases[d];
        for (uint32_t s = 0; s < database->shard_count; s++)
            for (uint32_t n = 0; n < database->shards[s].node_count; n++)
                if (database->shards[s].nodes[n]->engine == SY_ENGINE_POSTGRES)
                    watch_node(monitor, database, s, database->shards[s].nodes[n]);
    }
}

static void follow_topology(struct monitor *monitor)
{
    if (sy_topology_current_epoch() == monitor->epoch)
        return;
    struct sy_topology *old = monitor->topology;
    monitor->topology = sy_topology_acquire();
    sy_list_each(at, &monitor->probes)
    {
        sy_container_of(at, struct sy_probe, link)->wanted = false;
    }
    if (monitor->topology != NULL) {
        monitor->epoch = monitor->topology->epoch;
        watch_all(monitor);
    }
    sy_list_each_safe(at, &monitor->probes)
    {
        struct sy_probe *probe = sy_container_of(at, struct sy_probe, link);
        if (!probe->wanted)
            sy_probe_end(probe);
    }
    sy_topology_unref(&old);
}

static void tell_settled(const struct monitor *monitor)
{
    sy_list_each(at, &monitor->probes)
    {
        if (!sy_container_of(at, struct sy_probe, link)->settled)
            return;
    }
    pthread_mutex_lock(&lock);
    if (settled_epoch != monitor->epoch) {
        settled_epoch = monitor->epoch;
        pthread_cond_broadcast(&changed);
    }
    pthread_mutex_unlock(&lock);
}

static void on_look(struct sy_timer *timer)
{
    struct monitor *monitor = sy_container_of(timer, struct monitor, look);
    if (monitor->stopping) {
        if (sy_list_empty(&monitor->probes)) {
            sy_loop_stop(monitor->loop);
            return;
        }
    } else {
        follow_topology(monitor);
        tell_settled(monitor);
    }
    sy_timer_start(monitor->loop, &monitor->look, monitor->stopping ? 1000 : LOOK_US);
}

static void on_stop(struct sy_message *message, struct sy_loop *loop)
{
    struct monitor *monitor = sy_container_of(message, struct monitor, stop);
    monitor->stopping = true;
    sy_list_each_safe(at, &monitor->probes)
    {
        sy_probe_end(sy_container_of(at, struct sy_probe, link));
    }
    sy_timer_start(loop, &monitor->look, 0);
}

static void tell_started(const struct sy_err *err)
{
    pthread_mutex_lock(&lock);
    phase = err == NULL ? RUNNING : FAILED;
    if (err != NULL)
        start_error = *err;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void *monitor_main(void *argument)
{
    struct monitor *monitor = argument;
    struct sy_err err = {0};
    /* A few sockets that wake up now and then: epoll serves them as well as a ring, and needs no
     * locked memory. */
    struct sy_loop_options options = {.kind = SY_LOOP_EPOLL};
    if (sy_loop_new(&options, &monitor->loop, &err) != SY_OK) {
        tell_started(&err);
        return NULL;
    }
    sy_timer_init(&monitor->look, on_look);
    sy_timer_start(monitor->loop, &monitor->look, 0);
    tell_started(NULL);
    if (sy_loop_run(monitor->loop, &err) != SY_OK)
        sy_log_err(SY_LOG_ERROR, "the health monitor stopped", &err);
    sy_topology_unref(&monitor->topology);
    return NULL;
}

enum sy_status sy_monitor_start(struct sy_err *err)
{
    struct monitor *monitor = calloc(1, sizeof(*monitor));
    if (monitor == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_list_init(&monitor->probes);
    monitor->stop.deliver = on_stop;
    monitor->epoch = UINT64_MAX;
    phase = STARTING;
    settled_epoch = UINT64_MAX;
    int code = pthread_create(&monitor->thread, NULL, monitor_main, monitor);
    if (code != 0) {
        free(monitor);
        return sy_err_set_errno(err, SY_E_IO, code, "cannot start the health monitor");
    }
    pthread_mutex_lock(&lock);
    while (phase == STARTING)
        pthread_cond_wait(&changed, &lock);
    bool failed = phase == FAILED;
    if (failed && err != NULL)
        *err = start_error;
    enum sy_status status = failed ? start_error.status : SY_OK;
    pthread_mutex_unlock(&lock);
    if (failed) {
        pthread_join(monitor->thread, NULL);
        free(monitor);
        return status;
    }
    running = monitor;
    return SY_OK;
}

static bool is_settled(uint64_t epoch)
{
    return settled_epoch != UINT64_MAX && settled_epoch >= epoch;
}

bool sy_monitor_wait_first(int timeout_ms)
{
    return sy_wait_done(&lock, &changed, is_settled, sy_topology_current_epoch(), timeout_ms);
}

void sy_monitor_stop(void)
{
    struct monitor *monitor = running;
    running = NULL;
    if (monitor == NULL)
        return;
    sy_loop_post(monitor->loop, &monitor->stop);
    pthread_join(monitor->thread, NULL);
    sy_loop_free(&monitor->loop); /* here: the thread may have taken the message before the post
                                     above returned */
    free(monitor);
}
