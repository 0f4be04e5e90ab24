/*
 * Asking one node, without ever blocking the monitor's thread: names are resolved elsewhere, libpq
 * connects and answers by polling. The socket is never polled while libpq may close it (its number
 * would be reused).
 */
#include "replication/probe.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "replication/monitor.h"
#include "replication/node_state.h"
#include "router/engine/postgres/ask.h"

enum {
    SINGLE_PERIOD_US = 1000 * 1000,
    ANSWER_LIMIT_US = 3 * 1000 * 1000, /* connecting, and each answer */
    BACKOFF_MAX_US = 2 * 1000 * 1000,
    ANSWER_BYTES_MAX = 1024 * 1024, /* the answer is one row */
};

/* In recovery, the position replayed, else the position flushed; and the age of the last replayed
 * transaction. */
static const char question[] =
    "select pg_catalog.pg_is_in_recovery(), "
    "pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() "
    "then coalesce(pg_catalog.pg_last_wal_replay_lsn(), '0/0') "
    "else pg_catalog.pg_current_wal_flush_lsn() end, '0/0'), "
    "(extract(epoch from pg_catalog.clock_timestamp() - "
    "pg_catalog.pg_last_xact_replay_timestamp()) "
    "operator(pg_catalog.*) 1000000)::pg_catalog.int8";

static void start_question(struct sy_probe *probe);

/* ---- publishing ---- */

static void change_state(struct sy_probe *probe, const struct sy_probe_facts *facts)
{
    struct sy_node *node = probe->node;
    enum sy_node_health from = (enum sy_node_health)atomic_load(&node->health);
    const struct sy_health_edge *edge = sy_health_next(from, facts);
    if (edge == NULL)
        return;
    atomic_store(&node->reachable, edge->action == SY_HEALTH_ADMIT);
    atomic_store(&node->health, (int)edge->to);
    atomic_store(&node->health_since_us, (uint64_t)sy_loop_wall_us(probe->loop));
    SY_LOG(edge->to == SY_HEALTH_DOWN ? SY_LOG_WARN : SY_LOG_INFO, "node state",
           SY_KV_STR("database", node->database), SY_KV_STR("node", node->name),
           SY_KV_STR("from", sy_health_name(edge->from)), SY_KV_STR("to", sy_health_name(edge->to)),
           SY_KV_STR("why", edge->why),
           SY_KV_STR("detail", edge->to == SY_HEALTH_DOWN ? probe->why : ""));
}

static uint64_t primary_lsn(const struct sy_probe *probe)
{
    uint64_t lsn = 0;
    for (uint32_t i = 0; i < probe->shard->node_count; i++) {
        const struct sy_node *node = probe->shard->nodes[i];
        uint64_t at = atomic_load(&node->replay_lsn);
        if (atomic_load(&node->role) == SY_NODE_PRIMARY && at > lsn)
            lsn = at;
    }
    return lsn;
}

/* The age of the last transaction grows on an idle primary, too: it counts only while the replica
 * is behind, and no longer than it has been behind. */
static int64_t replica_lag_us(struct sy_probe *probe, uint64_t lsn, int64_t age_us)
{
    uint64_t now_us = sy_loop_now_us(probe->loop), primary = primary_lsn(probe);
    if (primary != 0 && lsn >= primary) {
        probe->caught_up_us = now_us;
        return 0;
    }
    if (probe->caught_up_us == 0)
        return age_us;
    int64_t behind_us = (int64_t)(now_us - probe->caught_up_us);
    return age_us < 0 || behind_us < age_us ? behind_us : age_us;
}

static void publish_role(const struct sy_probe *probe, int role)
{
    struct sy_node *node = probe->node;
    int old = atomic_exchange(&node->role, role);
    if (old == role)
        return;
    SY_LOG(SY_LOG_INFO, "node role", SY_KV_STR("database", node->database),
           SY_KV_STR("node", node->name),
           SY_KV_STR("role", role == SY_NODE_PRIMARY ? "primary" : "replica"));
    for (uint32_t i = 0; role == SY_NODE_PRIMARY && i < probe->shard->node_count; i++) {
        const struct sy_node *other = probe->shard->nodes[i];
        if (other != node && atomic_load(&other->role) == SY_NODE_PRIMARY &&
            atomic_load(&other->reachable))
            SY_LOG(SY_LOG_ERROR, "two primaries in one shard",
                   SY_KV_STR("database", node->database), SY_KV_STR("node", node->name),
                   SY_KV_STR("other", other->name));
    }
}

static void publish_answer(struct sy_probe *probe, const PGresult *result)
{
    struct sy_node *node = probe->node;
    bool replica = PQgetvalue(result, 0, 0)[0] == 't';
    uint64_t lsn = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    int64_t age_us = PQgetisnull(result, 0, 2) ? -1 : strtoll(PQgetvalue(result, 0, 2), NULL, 10);
    atomic_store(&node->replay_lsn, lsn);
    int64_t lag_us = replica ? replica_lag_us(probe, lsn, age_us) : 0;
    atomic_store(&node->lag_us, lag_us);
    publish_role(probe, replica ? SY_NODE_REPLICA : SY_NODE_PRIMARY);
    uint64_t limit_us = probe->database->config->reads.max_lag_us;
    struct sy_probe_facts facts = {
        .answered = true,
        .beyond_lag = replica && limit_us != 0 && (lag_us < 0 || (uint64_t)lag_us > limit_us),
    };
    change_state(probe, &facts);
}

/* ---- resting and failing ---- */

static void drop_connection(struct sy_probe *probe)
{
    sy_poll_cancel(probe->loop, &probe->poll);
    PQfinish(probe->conn);
    probe->conn = NULL;
}

static void rest(struct sy_probe *probe)
{
    uint64_t period_us =
        probe->shard->node_count > 1 ? (uint64_t)SY_MONITOR_PERIOD_MS * 1000 : SINGLE_PERIOD_US;
    for (uint32_t i = 1; i < probe->failures && period_us < BACKOFF_MAX_US; i++)
        period_us *= 2;
    probe->phase = SY_PROBE_RESTING;
    probe->settled = true;
    sy_timer_start(probe->loop, &probe->timer,
                   period_us < BACKOFF_MAX_US ? period_us : BACKOFF_MAX_US);
}

static void fail(struct sy_probe *probe, const char *why)
{
    struct sy_probe_facts facts = {.answered = false};
    size_t bytes = strcspn(why, "\n");
    snprintf(probe->why, sizeof(probe->why), "%.*s", (int)bytes, why);
    drop_connection(probe);
    probe->failures++;
    change_state(probe, &facts);
    rest(probe);
}

/* ---- libpq ---- */

static void wait_for(struct sy_probe *probe, short wanted)
{
    struct sy_err err = {0};
    if (sy_poll_start(probe->loop, &probe->poll, PQsocket(probe->conn), (uint32_t)wanted, &err) !=
        SY_OK)
        fail(probe, err.text);
}

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument, (void)result;
}

/* The end of the last exchange, which came after its row. */
static void drain(PGconn *conn)
{
    PGresult *result = NULL;
    (void)PQconsumeInput(conn);
    while (!PQisBusy(conn) && (result = PQgetResult(conn)) != NULL)
        PQclear(result);
}

static void ask(struct sy_probe *probe)
{
    drain(probe->conn);
    probe->phase = SY_PROBE_ASKING;
    sy_timer_start(probe->loop, &probe->timer, ANSWER_LIMIT_US);
    probe->asked_bytes = pg_received_bytes(probe->conn);
    if (PQsendQuery(probe->conn, question) != 1)
        fail(probe, PQerrorMessage(probe->conn));
    else
        wait_for(probe, POLLIN | (PQflush(probe->conn) == 1 ? POLLOUT : 0));
}

static void continue_connecting(struct sy_probe *probe)
{
    switch (PQconnectPoll(probe->conn)) {
    case PGRES_POLLING_OK:
        PQsetnonblocking(probe->conn, 1);
        ask(probe);
        return;
    case PGRES_POLLING_READING:
        wait_for(probe, POLLIN);
        return;
    case PGRES_POLLING_WRITING:
        wait_for(probe, POLLOUT);
        return;
    case PGRES_POLLING_FAILED:
    case PGRES_POLLING_ACTIVE:
        break;
    }
    fail(probe, PQerrorMessage(probe->conn));
}

static void take_answer(struct sy_probe *probe)
{
    if (PQconsumeInput(probe->conn) != 1) {
        fail(probe, PQerrorMessage(probe->conn));
        return;
    }
    if (pg_received_bytes(probe->conn) - probe->asked_bytes > ANSWER_BYTES_MAX) {
        fail(probe, "the answer is too long");
        return;
    }
    if (PQisBusy(probe->conn)) {
        wait_for(probe, POLLIN | (PQflush(probe->conn) == 1 ? POLLOUT : 0));
        return;
    }
    PGresult *result = PQgetResult(probe->conn);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
                PQnfields(result) == 3;
    if (good) {
        probe->failures = 0;
        publish_answer(probe, result);
    }
    PQclear(result);
    if (good)
        rest(probe);
    else
        fail(probe, PQerrorMessage(probe->conn)[0] != '\0' ? PQerrorMessage(probe->conn)
                                                           : "unexpected answer");
}

static void on_ready(struct sy_poll *poll, uint32_t ready)
{
    struct sy_probe *probe = sy_container_of(poll, struct sy_probe, poll);
    (void)ready;
    if (probe->phase == SY_PROBE_CONNECTING)
        continue_connecting(probe);
    else if (probe->phase == SY_PROBE_ASKING)
        take_answer(probe);
}

/* ---- connecting ---- */

/* "addr,addr" of what a name was resolved to, and the name as often, so that libpq checks
 * certificates by it. */
static void write_hosts(const struct sy_node *node, const struct pg_addresses *addresses,
                        struct sy_buf *hosts, struct sy_buf *numeric)
{
    char text[NI_MAXHOST];
    for (uint32_t i = 0; i < addresses->count; i++) {
        if (getnameinfo((const struct sockaddr *)&addresses->at[i], addresses->bytes[i], text,
                        sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        sy_buf_printf(hosts, "%s%s", hosts->bytes != 0 ? "," : "", node->host);
        sy_buf_printf(numeric, "%s%s", numeric->bytes != 0 ? "," : "", text);
    }
    sy_buf_append_u8(hosts, 0);
    sy_buf_append_u8(numeric, 0);
}

static void connect_to(struct sy_probe *probe, const struct pg_addresses *addresses)
{
    const struct sy_node *node = probe->node;
    struct sy_buf hosts = {0}, numeric = {0};
    const char *names[] = {"dbname", "fallback_application_name", "host", "hostaddr", NULL};
    const char *values[] = {node->control_conninfo, "switchyard monitor", NULL, NULL, NULL};
    if (addresses != NULL) {
        write_hosts(node, addresses, &hosts, &numeric);
        values[2] = hosts.failed ? NULL : hosts.data;
        values[3] = numeric.failed ? NULL : numeric.data;
    }
    probe->conn = PQconnectStartParams(names, values, 1);
    sy_buf_release(&hosts);
    sy_buf_release(&numeric);
    probe->phase = SY_PROBE_CONNECTING;
    if (probe->conn == NULL) {
        fail(probe, "out of memory");
        return;
    }
    PQsetNoticeReceiver(probe->conn, ignore_notice, NULL);
    if (PQstatus(probe->conn) == CONNECTION_BAD)
        fail(probe, PQerrorMessage(probe->conn));
    else
        wait_for(probe, POLLOUT);
}

static void free_probe(struct sy_probe *probe)
{
    drop_connection(probe);
    sy_timer_cancel(probe->loop, &probe->timer);
    sy_list_remove(&probe->link);
    sy_node_unref(probe->node);
    free(probe);
}

static void on_resolved(void *owner, const struct pg_addresses *addresses, const struct sy_err *err)
{
    struct sy_probe *probe = owner;
    probe->resolving = NULL;
    if (probe->ending)
        free_probe(probe);
    else if (probe->phase != SY_PROBE_RESOLVING)
        return; /* it took longer than the limit; the next attempt asks again */
    else if (err != NULL)
        fail(probe, err->text);
    else
        connect_to(probe, addresses);
}

static void start_question(struct sy_probe *probe)
{
    if (probe->conn != NULL) {
        ask(probe);
        return;
    }
    if (probe->resolving != NULL) {
        fail(probe, "its name is still being looked up");
        return;
    }
    struct pg_addresses addresses;
    struct sy_err err = {0};
    probe->phase = SY_PROBE_RESOLVING;
    sy_timer_start(probe->loop, &probe->timer, ANSWER_LIMIT_US);
    enum sy_status status = pg_resolve(probe->node, probe->loop, probe, on_resolved, &addresses,
                                       &probe->resolving, &err);
    if (status != SY_OK)
        fail(probe, err.text);
    else if (probe->resolving == NULL)
        connect_to(probe, NULL); /* numeric, or a Unix socket: libpq need not look anything up */
}

static void on_timer(struct sy_timer *timer)
{
    struct sy_probe *probe = sy_container_of(timer, struct sy_probe, timer);
    if (probe->phase == SY_PROBE_RESTING)
        start_question(probe);
    else
        fail(probe, probe->phase == SY_PROBE_RESOLVING ? "its name cannot be looked up in time"
                                                       : "no answer in time");
}

struct sy_probe *sy_probe_new(struct sy_loop *loop, struct sy_node *node)
{
    struct sy_probe *probe = calloc(1, sizeof(*probe));
    if (probe == NULL)
        return NULL;
    sy_list_init(&probe->link);
    probe->loop = loop;
    probe->node = sy_node_ref(node);
    probe->poll.ready = on_ready;
    probe->poll.fd = -1;
    sy_timer_init(&probe->timer, on_timer);
    sy_timer_start(loop, &probe->timer, 0);
    return probe;
}

void sy_probe_end(struct sy_probe *probe)
{
    if (probe->ending)
        return;
    probe->ending = true;
    if (probe->resolving == NULL || pg_resolve_abandon(probe->resolving)) {
        free_probe(probe);
        return;
    }
    sy_timer_cancel(probe->loop, &probe->timer);
}
