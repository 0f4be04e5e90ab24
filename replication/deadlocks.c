/* The thread that watches for deadlocks across shards. libpq may block here. */
#include "replication/deadlocks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/grow.h"
#include "base/log.h"
#include "router/engine/postgres/ask.h"
#include "router/topology/topology.h"
#include "router/topology/waits.h"

enum {
    STEP_MS = 200,
    OLD_US = 1000 * 1000, /* PostgreSQL's own deadlock_timeout, by default */
    SERVERS_MAX = 64,
    PATIENCE_MS = 5000,
};

struct server {
    struct sy_node *node; /* reference: one of its databases */
    PGconn *conn;
    bool used;
};

struct look {
    struct sy_deadlock_edge *edges;
    uint32_t edge_count, edge_max;
    struct sy_deadlock_member *members;
    uint32_t member_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool stopping; /* under lock */
static pthread_t thread;
static bool started;
/* The thread's own. */
static struct server servers[SERVERS_MAX];
static uint32_t server_count;

static uint64_t now_us(void)
{
    const struct sy_clock *clock = sy_clock_real();
    return clock->monotonic_us(clock);
}

/* ---- connections ---- */

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument;
    (void)result;
}

static bool same_server(const struct sy_node *a, const struct sy_node *b)
{
    return strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

/* Servers keep their numbers while a look goes on. */
static uint32_t server_of(struct sy_node *node)
{
    for (uint32_t i = 0; i < server_count; i++)
        if (same_server(servers[i].node, node)) {
            servers[i].used = true;
            return i;
        }
    if (server_count == SERVERS_MAX)
        return UINT32_MAX;
    servers[server_count] = (struct server){.node = sy_node_ref(node), .used = true};
    return server_count++;
}

static void close_unused(void)
{
    for (uint32_t i = server_count; i-- > 0;) {
        if (servers[i].used)
            continue;
        PQfinish(servers[i].conn);
        sy_node_unref(servers[i].node);
        servers[i] = servers[--server_count];
    }
}

static void dial(struct server *server)
{
    const char *names[] = {"dbname", "fallback_application_name", "connect_timeout", NULL};
    const char *values[] = {server->node->control_conninfo, "switchyard deadlock watch", "3", NULL};
    server->conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(server->conn) != CONNECTION_OK) {
        PQfinish(server->conn);
        server->conn = NULL;
        return;
    }
    PQsetNoticeReceiver(server->conn, ignore_notice, NULL);
    PQclear(pg_ask(server->conn, "SET search_path = pg_catalog; SET statement_timeout = '5s'", 0,
                   NULL, PATIENCE_MS));
}

/* ---- a look ---- */

static bool add_edge(struct look *look, struct sy_deadlock_edge edge)
{
    struct sy_deadlock_edge *edges =
        sy_grown(look->edges, look->edge_count, &look->edge_max, 64, sizeof(*edges));
    if (edges == NULL)
        return false;
    look->edges = edges;
    look->edges[look->edge_count++] = edge;
    return true;
}

/* Prepared transactions block as process 0, which waits for nobody. Everybody may read pg_locks,
 * and not what others wait for in pg_stat_activity. */
static void ask_server(struct look *look, uint32_t index)
{
    struct server *server = &servers[index];
    if (server->conn == NULL)
        dial(server);
    if (server->conn == NULL)
        return;
    PGresult *result = pg_ask(server->conn,
                              "SELECT a.pid, b.pid FROM (SELECT DISTINCT pid FROM pg_locks WHERE "
                              "NOT granted AND pid IS NOT NULL) a, unnest(pg_blocking_pids(a.pid)) "
                              "b(pid) WHERE b.pid <> 0",
                              0, NULL, PATIENCE_MS);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        PQfinish(server->conn);
        server->conn = NULL;
    }
    for (int row = 0; row < PQntuples(result); row++) {
        struct sy_deadlock_edge edge = {
            .server = index,
            .from = (uint32_t)strtoul(pg_value(result, row, 0), NULL, 10),
            .to = (uint32_t)strtoul(pg_value(result, row, 1), NULL, 10)};
        if (!add_edge(look, edge))
            break;
    }
    PQclear(result);
}

/* Transactions that have lasted; fewer than two clients cannot wait in a circle over servers. */
static bool collect(struct look *look, const struct sy_wait_member *waiting, uint32_t count)
{
    uint64_t now = now_us();
    uint32_t first = 0, clients = 0;
    look->members = calloc(count + 1u, sizeof(*look->members));
    for (uint32_t i = 0; look->members != NULL && i < count; i++) {
        if (waiting[i].since_us + OLD_US > now)
            continue;
        uint32_t server = server_of(waiting[i].node);
        if (server == UINT32_MAX)
            continue;
        look->members[look->member_count++] =
            (struct sy_deadlock_member){.client = waiting[i].client,
                                        .server = server,
                                        .pid = waiting[i].backend_pid,
                                        .since_us = waiting[i].since_us};
        clients += clients == 0 || (clients == 1 && waiting[i].client != first);
        first = clients == 1 && first == 0 ? waiting[i].client : first;
    }
    return clients > 1;
}

/* The victim of this look; 0: none. */
static uint32_t look_once(const struct sy_wait_member *waiting, uint32_t count)
{
    struct look look = {0};
    uint32_t victim = 0;
    for (uint32_t i = 0; i < server_count; i++)
        servers[i].used = false;
    bool worth = collect(&look, waiting, count);
    for (uint32_t i = 0; worth && i < server_count; i++)
        if (servers[i].used)
            ask_server(&look, i);
    if (look.edge_count > 0)
        victim = sy_deadlock_victim(look.edges, look.edge_count, look.members, look.member_count);
    free(look.edges);
    free(look.members);
    close_unused();
    return victim;
}

/* The servers are not asked at the same instant: what two looks find is no accident of that. */
static void watch(uint32_t *last)
{
    struct sy_wait_member *waiting;
    uint32_t count = sy_waits_members(&waiting);
    uint32_t victim = count < 2 ? 0 : look_once(waiting, count);
    if (victim != 0 && victim == *last) {
        SY_LOG(SY_LOG_WARN, "a deadlock across shards: one transaction is canceled",
               SY_KV_INT("client", victim));
        sy_waits_condemn(victim);
        victim = 0;
    }
    *last = victim;
    sy_waits_free_members(waiting, count);
}

static bool pause_step(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += STEP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&lock);
    if (!stopping)
        pthread_cond_timedwait(&changed, &lock, &until);
    bool stop = stopping;
    pthread_mutex_unlock(&lock);
    return !stop;
}

static void *run(void *argument)
{
    uint32_t last = 0;
    (void)argument;
    while (pause_step())
        watch(&last);
    for (uint32_t i = 0; i < server_count; i++) {
        PQfinish(servers[i].conn);
        sy_node_unref(servers[i].node);
    }
    server_count = 0;
    return NULL;
}

enum sy_status sy_deadlocks_start(struct sy_err *err)
{
    stopping = false;
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        return sy_err_set(err, SY_E_INTERNAL, "cannot start the thread that watches for deadlocks");
    started = true;
    return SY_OK;
}

void sy_deadlocks_stop(void)
{
    if (!started)
        return;
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    started = false;
}
