/*
 * The resolver's thread: connections to the primaries, the catalog's identity, when to look and
 * when rows may go. libpq and the disk may block here.
 */
#include "replication/resolver.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "catalog/catalog.h"
#include "replication/resolver_internal.h"
#include "replication/waiting.h"

enum {
    STEP_MS = 100,
    LOOK_US = 3 * 1000 * 1000,
    CONNECTIONS_MAX = 256,
};
/* Then a new one begins, so that rows of the old can go. */
static const uint64_t INCARNATION_US = UINT64_C(60) * 60 * 1000 * 1000;

struct connection {
    struct sy_node *node; /* reference */
    PGconn *conn;
};

struct state {
    struct sy_catalog *catalog; /* the process's */
    int64_t incarnation;
    uint64_t incarnation_us, looked_us;
    bool told_catalog;
    struct connection connections[CONNECTIONS_MAX];
    uint32_t connection_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool stopping, looked; /* under lock */
static char *catalog_path;
static pthread_t thread;
static bool started;

static uint64_t now_us(void)
{
    const struct sy_clock *clock = sy_clock_real();
    return clock->monotonic_us(clock);
}

static bool must_stop(void)
{
    pthread_mutex_lock(&lock);
    bool stop = stopping;
    pthread_mutex_unlock(&lock);
    return stop;
}

/* ---- the catalog ---- */

/* Embedded shards need names for their transactions too, but recover them when they are opened. */
static bool recovers(const struct sy_topology_database *database)
{
    return database->config->engine == SY_ENGINE_POSTGRES;
}

static void new_incarnation(struct state *state)
{
    struct sy_err err = {0};
    int64_t next;
    if (sy_catalog_begin_incarnation(state->catalog, SY_VERSION, &next, &err) != SY_OK) {
        sy_log_err(SY_LOG_WARN, "the catalog cannot be written", &err);
        return;
    }
    state->incarnation = next;
    state->incarnation_us = now_us();
    sy_transactions_identify(sy_catalog_cluster_id(state->catalog), next, NULL);
}

static void open_catalog(struct state *state)
{
    struct sy_err err = {0};
    if (sy_catalog_share(catalog_path, &state->catalog, &err) == SY_OK) {
        new_incarnation(state);
        return;
    }
    if (!state->told_catalog)
        sy_log_err(SY_LOG_ERROR, "no catalog: transactions over several shards are refused", &err);
    state->told_catalog = true;
    sy_transactions_identify(NULL, 0, err.text);
}

/* ---- connections ---- */

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument;
    (void)result;
}

static void make_log(PGconn *conn)
{
    PGresult *result = pg_ask(conn, "SELECT to_regclass('switchyard.commit_log') IS NULL", 0, NULL,
                              RESOLVER_PATIENCE_MS);
    bool missing = PQresultStatus(result) == PGRES_TUPLES_OK && pg_value(result, 0, 0)[0] == 't';
    PQclear(result);
    if (!missing)
        return;
    result = pg_ask(conn, sy_commit_log_sql, 0, NULL, RESOLVER_PATIENCE_MS);
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        SY_LOG(SY_LOG_WARN, "cannot make switchyard.commit_log", SY_KV_STR("database", PQdb(conn)),
               SY_KV_STR("why", PQresultErrorMessage(result)),
               SY_KV_STR("hint", sy_commit_log_sql));
    PQclear(result);
}

static PGconn *dial(const struct sy_node *node)
{
    const char *names[] = {"dbname", "fallback_application_name", "connect_timeout", NULL};
    const char *values[] = {node->control_conninfo, "switchyard resolver", "3", NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    if (PQstatus(conn) != CONNECTION_OK) {
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    PGresult *result = pg_ask(conn,
                              "SET search_path = pg_catalog; SET synchronous_commit = on; SET "
                              "statement_timeout = '5s'; SET standard_conforming_strings = on",
                              0, NULL, RESOLVER_PATIENCE_MS);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    result =
        good ? pg_ask(conn, "SELECT pg_is_in_recovery()", 0, NULL, RESOLVER_PATIENCE_MS) : NULL;
    good = PQresultStatus(result) == PGRES_TUPLES_OK && pg_value(result, 0, 0)[0] == 'f';
    PQclear(result);
    if (!good) {
        PQfinish(conn);
        return NULL;
    }
    return conn;
}

static void close_connection(struct state *state, uint32_t index)
{
    PQfinish(state->connections[index].conn);
    sy_node_unref(state->connections[index].node);
    state->connections[index] = state->connections[--state->connection_count];
}

static bool answers(PGconn *conn)
{
    PGresult *result = pg_ask(conn, "SELECT pg_is_in_recovery()", 0, NULL, RESOLVER_PATIENCE_MS);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK && pg_value(result, 0, 0)[0] == 'f';
    PQclear(result);
    return good;
}

static PGconn *connection_of(struct state *state, struct sy_node *node)
{
    for (uint32_t i = 0; i < state->connection_count; i++) {
        if (state->connections[i].node != node)
            continue;
        if (answers(state->connections[i].conn)) {
            make_log(state->connections[i].conn);
            return state->connections[i].conn;
        }
        close_connection(state, i);
        break;
    }
    if (state->connection_count == CONNECTIONS_MAX)
        close_connection(state, 0);
    PGconn *conn = dial(node);
    if (conn == NULL)
        return NULL;
    make_log(conn);
    state->connections[state->connection_count++] = (struct connection){sy_node_ref(node), conn};
    return conn;
}

static void forget_unused(struct state *state, const struct sy_topology *topology)
{
    for (uint32_t i = state->connection_count; i-- > 0;) {
        bool used = false;
        for (uint32_t d = 0; d < topology->database_count && !used; d++)
            for (uint32_t s = 0; s < topology->databases[d].shard_count && !used; s++)
                for (uint32_t n = 0; n < topology->databases[d].shards[s].node_count; n++)
                    used = used ||
                           topology->databases[d].shards[s].nodes[n] == state->connections[i].node;
        if (!used)
            close_connection(state, i);
    }
}

/* ---- a look ---- */

static bool ask_bool(PGconn *conn, const char *sql)
{
    PGresult *result = pg_ask(conn, sql, 0, NULL, RESOLVER_PATIENCE_MS);
    bool yes = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0 &&
               pg_value(result, 0, 0)[0] == 't';
    PQclear(result);
    return yes;
}

/* Rows may go when every standby that could be promoted has replayed the COMMIT PREPAREDs: each
 * configured one must be streaming and have passed where the WAL ended when nothing was left. */
static bool standbys_have_replayed(const struct resolver_look *look)
{
    for (uint32_t s = 0; s < look->shard_count; s++) {
        uint32_t standbys = look->database->shards[s].node_count - 1;
        char sql[200];
        if (look->shards[s].conn == NULL)
            return false;
        PGresult *result = pg_ask(look->shards[s].conn, "SELECT pg_current_wal_insert_lsn()", 0,
                                  NULL, RESOLVER_PATIENCE_MS);
        bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
        char lsn[32];
        snprintf(lsn, sizeof(lsn), "%s", good ? pg_value(result, 0, 0) : "");
        PQclear(result);
        if (!good)
            return false;
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) >= %u AND coalesce(bool_and(replay_lsn >= '%s'), true) FROM "
                 "pg_stat_replication WHERE state = 'streaming'",
                 standbys, lsn);
        if (!ask_bool(look->shards[s].conn, sql))
            return false;
    }
    return true;
}

/* `below` is from before the look: a transaction that ended during it may have left something that
 * the look came too early for. */
static void prune(struct resolver_look *look, int64_t below)
{
    if (!look->complete || look->oldest_prepared < below)
        return;
    char sql[200];
    snprintf(sql, sizeof(sql),
             "SELECT EXISTS (SELECT FROM switchyard.commit_log WHERE gid LIKE 'sy\\_%s\\_%%' AND "
             "split_part(gid, '_', 3)::bigint < %lld)",
             look->cluster, (long long)below);
    bool any = false;
    for (uint32_t s = 0; s < look->shard_count && !any; s++)
        any = look->shards[s].conn != NULL && ask_bool(look->shards[s].conn, sql);
    if (any && standbys_have_replayed(look))
        sy_resolver_prune(look, below);
}

static void look_at_database(struct state *state, const struct sy_topology_database *database,
                             const char *requested, bool commit, struct resolver_look *look)
{
    look->database = database;
    look->shard_count = database->shard_count;
    look->incarnation = state->incarnation;
    snprintf(look->cluster, sizeof(look->cluster), "%s", sy_catalog_cluster_id(state->catalog));
    look->shards = calloc(database->shard_count, sizeof(*look->shards));
    if (look->shards == NULL)
        return;
    struct sy_slice name = sy_slice_of(database->config->name);
    for (uint32_t i = 0; i < database->shard_count && !must_stop(); i++) {
        uint32_t rotation = 0;
        struct sy_node *node = sy_topology_pick(database, i, false, 0, &rotation);
        look->shards[i].id = sy_gid_shard(name, database->shards[i].name);
        look->shards[i].name = database->config->shards[i].name;
        look->shards[i].conn = node == NULL ? NULL : connection_of(state, node);
    }
    if (requested[0] != 0)
        (void)sy_resolver_decide(look, requested, commit);
    int64_t below = sy_transactions_oldest();
    sy_resolver_look(look);
    prune(look, below);
    free(look->shards);
    look->shards = NULL;
}

static void look_everywhere(struct state *state, const struct sy_topology *topology,
                            const char *requested, bool commit)
{
    struct resolver_look look = {0};
    for (uint32_t i = 0; i < topology->database_count && !must_stop(); i++) {
        if (topology->databases[i].shard_count < 2)
            continue;
        if (state->catalog == NULL)
            open_catalog(state);
        if (state->catalog != NULL && state->incarnation > 0 && recovers(&topology->databases[i]))
            look_at_database(state, &topology->databases[i], requested, commit, &look);
    }
    if (state->catalog != NULL && now_us() - state->incarnation_us > INCARNATION_US)
        new_incarnation(state);
    sy_transactions_found(look.rows, look.row_count);
    forget_unused(state, topology);
}

static void tell_looked(void)
{
    pthread_mutex_lock(&lock);
    looked = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void *resolver_main(void *unused)
{
    struct state state = {0};
    (void)unused;
    while (!must_stop()) {
        char requested[SY_GID_TEXT_BYTES];
        bool commit, asked = sy_transactions_take_request(requested, &commit);
        struct sy_topology *topology = sy_topology_acquire();
        if (topology != NULL &&
            (asked || state.looked_us == 0 || now_us() - state.looked_us >= LOOK_US)) {
            look_everywhere(&state, topology, requested, commit);
            state.looked_us = now_us();
            tell_looked();
        }
        sy_topology_unref(&topology);
        nanosleep(&(struct timespec){0, STEP_MS * 1000000L}, NULL);
    }
    while (state.connection_count > 0)
        close_connection(&state, 0);
    struct sy_err err = {0};
    if (state.catalog != NULL && state.incarnation > 0 &&
        sy_catalog_end_incarnation(state.catalog, state.incarnation, &err) != SY_OK)
        sy_log_err(SY_LOG_WARN, "the catalog cannot be written", &err);
    sy_transactions_found(NULL, 0);
    return NULL;
}

enum sy_status sy_resolver_start(const char *data_dir, struct sy_err *err)
{
    stopping = looked = false;
    if (asprintf(&catalog_path, "%s/catalog.db", data_dir == NULL ? "." : data_dir) < 0) {
        catalog_path = NULL;
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    int code = pthread_create(&thread, NULL, resolver_main, NULL);
    if (code != 0) {
        free(catalog_path);
        return sy_err_set_errno(err, SY_E_IO, code, "cannot start the transaction resolver");
    }
    started = true;
    return SY_OK;
}

static bool has_looked(uint64_t unused)
{
    (void)unused;
    return looked;
}

bool sy_resolver_wait_first(int timeout_ms)
{
    return sy_wait_done(&lock, &changed, has_looked, 0, timeout_ms);
}

void sy_resolver_stop(void)
{
    if (!started)
        return;
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_mutex_unlock(&lock);
    pg_ask_interrupt(true); /* a server that does not answer must not be waited for */
    pthread_join(thread, NULL);
    pg_ask_interrupt(false);
    free(catalog_path);
    catalog_path = NULL;
    started = false;
}
