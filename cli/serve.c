/*
 * `switchyard serve`: starts everything in order, waits for signals, stops everything in the
 * reverse order.
 *
 * Threads: this one (signals, reload), one per worker, and those that the engines, the hash pool,
 * the monitor and the metrics endpoint start for themselves.
 */
#include "cli/serve.h"

#include <errno.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/gauges.h"
#include "cli/harden.h"
#include "cli/nonce.h"
#include "cli/publish.h"
#include "config/config.h"
#include "replication/deadlocks.h"
#include "replication/inspector.h"
#include "replication/monitor.h"
#include "replication/resolver.h"
#include "router/accept/accept.h"
#include "router/auth/hash_pool.h"
#include "router/engine/engine.h"
#include "router/engine/sqlite/sqlite.h"
#include "router/metrics/counters.h"
#include "router/metrics/endpoint.h"
#include "router/session/worker.h"

enum { HASH_THREADS = 2, WORKERS_MAX = 64 };

/* A worker's thread with what it owns. */
struct seat {
    struct sy_worker worker;
    struct sy_accept accept;
    pthread_t thread;
    struct server *server;
    struct sy_message stop_accepting;
    enum sy_status status; /* of the start */
    struct sy_err err;
    bool started;
};

struct server {
    struct sy_publisher publisher;
    struct sy_process process;
    struct seat *seats;
    uint32_t count;
    struct sy_metrics_endpoint *metrics;
    pthread_barrier_t ready; /* workers and the main thread */
    bool hashing, monitoring, inspecting, resolving;
};

static void complain(const char *what, const struct sy_err *err)
{
    fprintf(stderr, "switchyard serve: %s%s%s\n", what, what[0] != 0 ? ": " : "", err->text);
    if (err->detail[0] != 0)
        fprintf(stderr, "  %s\n", err->detail);
    if (err->hint[0] != 0)
        fprintf(stderr, "  %s\n", err->hint);
}

/* ---- TLS of the listeners ---- */

/* A client that names protocols (ALPN) must name ours: what comes is not meant for a web server. */
static int choose_protocol(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_bytes,
                           const unsigned char *offered, unsigned offered_bytes, void *unused)
{
    static const unsigned char ours[] = "\012postgresql";
    unsigned char *name = NULL;
    (void)ssl;
    (void)unused;
    if (SSL_select_next_proto(&name, ret_bytes, ours, sizeof(ours) - 1, offered, offered_bytes) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

static enum sy_status make_tls(const struct sy_config *config, SSL_CTX **ret_context,
                               struct sy_err *err)
{
    *ret_context = NULL;
    if (config->client_tls.mode == SY_TLS_DISABLE || config->client_tls.cert_file == NULL)
        return SY_OK;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    const char *key = config->client_tls.key_file != NULL ? config->client_tls.key_file
                                                          : config->client_tls.cert_file;
    bool good = SSL_CTX_use_certificate_chain_file(context, config->client_tls.cert_file) == 1;
    if (!good)
        (void)sy_err_set(err, SY_E_CONFIG, "cannot use the certificate %s",
                         config->client_tls.cert_file);
    if (good && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        (void)sy_err_set(err, SY_E_CONFIG, "cannot use the private key %s", key);
        good = false;
    }
    if (good && config->client_tls.ca_file != NULL) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(context, config->client_tls.ca_file, NULL) != 1) {
            (void)sy_err_set(err, SY_E_CONFIG, "cannot use the CA file %s",
                             config->client_tls.ca_file);
            good = false;
        }
    }
    if (!good) {
        SSL_CTX_free(context);
        return SY_E_CONFIG;
    }
    *ret_context = context;
    return SY_OK;
}

/* An old context lives on in its connections: OpenSSL counts references. */
static enum sy_status renew_tls(struct server *server, struct sy_err *err)
{
    struct sy_topology *topology = sy_topology_acquire();
    SSL_CTX *context = NULL;
    enum sy_status status = make_tls(topology->config, &context, err);
    sy_topology_unref(&topology);
    if (status == SY_OK)
        sy_process_set_client_tls(&server->process, context);
    return status;
}

/* ---- workers ---- */

/* Its clients and servers hang on a loop that does not turn any more: nobody could end them in
 * order, and the kernel would go on giving its listeners clients. As after a crash, whoever started
 * the process starts it again. Not exit(): the other threads still run. */
_Noreturn static void end_process(const struct seat *seat)
{
    sy_log_err(SY_LOG_ERROR, "worker failed, the process ends", &seat->err);
    _exit(SY_EXIT_FAILED);
}

/* All that can fail comes before the main thread looks; clients are taken when the loops turn. */
static void *run_worker(void *arg)
{
    struct seat *seat = arg;
    struct server *server = seat->server;
    char name[16];
    snprintf(name, sizeof(name), "worker-%u", (unsigned)(seat - server->seats));
    pthread_setname_np(pthread_self(), name);
    seat->status = sy_worker_init(&seat->worker, &server->process, (uint32_t)(seat - server->seats),
                                  &seat->err);
    if (seat->status == SY_OK)
        seat->status = sy_accept_start(&seat->accept, &seat->worker, &seat->err);
    pthread_barrier_wait(
        &server->ready); /* every worker's loop exists before any client can be handed to it */
    pthread_barrier_wait(&server->ready); /* the main thread has seen whether all are well */
    if (server->process.worker_count != 0) {
        seat->status = sy_worker_run(&seat->worker, &seat->err);
        if (seat->status != SY_OK)
            end_process(seat);
    }
    sy_accept_stop(&seat->accept);
    return NULL;
}

static void deliver_stop_accepting(struct sy_message *message, struct sy_loop *loop)
{
    struct seat *seat =
        (struct seat *)(void *)((char *)message - offsetof(struct seat, stop_accepting));
    (void)loop;
    sy_accept_stop(&seat->accept);
}

static uint32_t worker_count(const struct sy_config *config)
{
    uint32_t count = config->workers;
    if (count == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        count = cores > 0 ? (uint32_t)cores : 1;
    }
    return count > WORKERS_MAX ? WORKERS_MAX : count;
}

static enum sy_status bind_all(struct server *server, const struct sy_config *config,
                               struct sy_err *err)
{
    for (uint32_t i = 0; i < server->count; i++) {
        enum sy_status status = sy_accept_bind(&server->seats[i].accept, config, i == 0, err);
        if (status != SY_OK)
            return status;
    }
    return SY_OK;
}

static enum sy_status start_workers(struct server *server, const struct sy_config *config,
                                    struct sy_err *err)
{
    uint32_t count = worker_count(config);
    server->seats = calloc(count, sizeof(*server->seats));
    server->process.workers = calloc(count, sizeof(struct sy_worker *));
    if (server->seats == NULL || server->process.workers == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    server->count = count;
    enum sy_status status = bind_all(server, config, err);
    if (status != SY_OK)
        return status;
    server->process.worker_count = server->count;
    pthread_barrier_init(&server->ready, NULL, server->count + 1);
    for (uint32_t i = 0; i < server->count; i++) {
        struct seat *seat = &server->seats[i];
        seat->server = server;
        server->process.workers[i] = &seat->worker;
        int code = pthread_create(&seat->thread, NULL, run_worker, seat);
        if (code != 0) { /* others wait at the barrier for good: nothing to save at this point */
            fprintf(stderr, "switchyard serve: cannot start a thread: %s\n", strerror(code));
            exit(SY_EXIT_FAILED);
        }
        seat->started = true;
    }
    pthread_barrier_wait(&server->ready);
    for (uint32_t i = 0; i < server->count; i++)
        if (server->seats[i].status != SY_OK) {
            *err = server->seats[i].err;
            status = server->seats[i].status;
            server->process.worker_count = 0;
        }
    pthread_barrier_wait(&server->ready);
    return status;
}

static void join_workers(struct server *server)
{
    for (uint32_t i = 0; i < server->count; i++)
        if (server->seats[i].started)
            pthread_join(server->seats[i].thread, NULL);
}

/* ---- start ---- */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static enum sy_status start_parts(struct server *server, const struct sy_config *config,
                                  struct sy_err *err)
{
    enum sy_status status = sy_cancel_registry_new(&server->process.cancels, err);
    if (status == SY_OK)
        status = sy_client_counts_new(&server->process.counts, err);
    server->process.reloads = sy_reload_board_new();
    server->process.declarations = sy_declare_board_new();
    if (status == SY_OK &&
        (server->process.reloads == NULL || server->process.declarations == NULL))
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    server->process.ids.node = config->node_id;
    uint64_t seed = 0;
    if (status == SY_OK && RAND_bytes((unsigned char *)&seed, sizeof(seed)) != 1)
        status = sy_err_set(err, SY_E_INTERNAL, "no random numbers");
    if (status == SY_OK)
        status = sy_login_failures_new(seed, &server->process.failures, err);
    if (status == SY_OK)
        status = sy_auth_cache_new(seed, &server->process.auth_cache, err);
    if (status == SY_OK)
        status = sy_rates_new(&server->process.rates, err);
    if (status == SY_OK)
        status = sy_budget_new(&server->process.budget, err);
    if (status == SY_OK)
        status = sy_rates_configure(server->process.rates, config, err);
    if (status == SY_OK)
        status = sy_nonce_load(config->data_dir, server->process.mock_nonce, err);
    if (status == SY_OK)
        status = renew_tls(server, err);
    if (status == SY_OK)
        status = sy_hash_pool_start(HASH_THREADS, err);
    server->hashing = status == SY_OK;
    if (status == SY_OK)
        status = sy_monitor_start(err);
    server->monitoring = status == SY_OK;
    if (status == SY_OK)
        (void)sy_monitor_wait_first(2000);
    if (status == SY_OK)
        status = sy_resolver_start(config->data_dir, err);
    server->resolving = status == SY_OK;
    if (status == SY_OK)
        status = sy_deadlocks_start(err);
    if (status == SY_OK)
        (void)sy_resolver_wait_first(5000); /* what a crash left is resolved before clients look */
    if (status == SY_OK)
        status = sy_inspector_start(err);
    server->inspecting = status == SY_OK;
    if (status == SY_OK)
        (void)sy_inspector_wait_first(5000); /* the first clients should find the schemas read */
    /* Workers last: once they run, they end by a signal, not by a failure of what comes after them.
     */
    if (status == SY_OK && config->metrics.enabled)
        status = sy_metrics_endpoint_start(config->metrics.address, config->metrics.port,
                                           sy_write_node_gauges, NULL, &server->metrics, err);
    if (status == SY_OK)
        status = start_workers(server, config, err);
    return status;
}

static void stop_parts(struct server *server)
{
    for (uint32_t i = 0; i < server->count; i++)
        sy_accept_release(&server->seats[i].accept);
    sy_metrics_endpoint_stop(&server->metrics);
    if (server->inspecting)
        sy_inspector_stop();
    sy_deadlocks_stop();
    if (server->resolving)
        sy_resolver_stop();
    if (server->monitoring)
        sy_monitor_stop();
    if (server->hashing)
        sy_hash_pool_stop();
    for (uint32_t i = 0; i < server->count; i++)
        if (server->seats[i].started && server->seats[i].worker.loop != NULL)
            sy_worker_release(&server->seats[i].worker);
    sy_cancel_registry_free(&server->process.cancels);
    sy_client_counts_free(&server->process.counts);
    sy_reload_board_free(&server->process.reloads);
    sy_declare_board_free(&server->process.declarations);
    sy_login_failures_free(&server->process.failures);
    sy_auth_cache_free(&server->process.auth_cache);
    sy_rates_free(&server->process.rates);
    sy_budget_free(&server->process.budget);
    sy_process_set_client_tls(&server->process, NULL);
    free(server->process.workers);
    free(server->seats);
    sy_topology_retire();
    sy_publisher_release(&server->publisher);
    sy_metrics_release_all();
}

/* ---- signals ---- */

static void wake_all(struct server *server)
{
    for (uint32_t i = 0; i < server->count; i++)
        sy_worker_wake(&server->seats[i].worker);
}

static enum sy_status renew_rates(struct server *server, struct sy_err *err)
{
    struct sy_topology *topology = sy_topology_acquire();
    enum sy_status status = sy_rates_configure(server->process.rates, topology->config, err);
    sy_topology_unref(&topology);
    return status;
}

static void reload(struct server *server)
{
    struct sy_err err = {0};
    struct sy_buf problems = {0};
    uint64_t requests = sy_reload_asked(server->process.reloads);
    enum sy_status status = sy_publish(&server->publisher, false, &problems, &err);
    if (status == SY_OK)
        status = renew_tls(server, &err);
    if (status == SY_OK)
        status = renew_rates(server, &err);
    sy_reload_tell(server->process.reloads, requests, &err,
                   (struct sy_slice){problems.data, problems.bytes});
    sy_buf_release(&problems);
    if (status != SY_OK) {
        sy_log_err(SY_LOG_ERROR, "reload failed, the old configuration stays", &err);
        return;
    }
    SY_LOG(SY_LOG_INFO, "configuration reloaded", SY_KV_INT("epoch", sy_topology_current_epoch()));
    wake_all(server);
}

/* Workers that were told are told otherwise when one cannot be. */
static bool hold(void *ctx, const char *database, bool on)
{
    struct server *server = ctx;
    _Atomic uint32_t done = 0;
    uint32_t told = 0;
    bool all = true;
    for (uint32_t i = 0; i < server->count; i++) {
        bool sent = sy_worker_hold(&server->seats[i].worker, database, on, &done);
        told += sent;
        all = all && sent;
    }
    while (atomic_load(&done) < told)
        nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
    return all;
}

/* SIGUSR1: what sessions and the console have asked for since. */
static void declare(struct server *server)
{
    struct sy_buf database = {0}, text = {0};
    uint64_t request;
    while ((request = sy_declare_take(server->process.declarations, &database, &text)) != 0) {
        struct sy_err err;
        sy_err_init(&err);
        enum sy_status status = SY_OK;
        if (database.failed || text.failed)
            status = sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
        else
            status = sy_publish_declaration(&server->publisher,
                                            (struct sy_slice){database.data, database.bytes},
                                            (struct sy_slice){text.data, text.bytes}, &err);
        sy_declare_tell(server->process.declarations, request, &err);
        if (status == SY_OK)
            wake_all(server);
    }
    sy_buf_release(&database);
    sy_buf_release(&text);
}

static bool anybody_left(struct server *server)
{
    struct sy_worker_counters sum;
    (void)server;
    sy_metrics_worker_sum(&sum);
    return sy_counter_get(&sum.clients_accepted) != sy_counter_get(&sum.clients_closed);
}

/* No new clients; those that are in a transaction may finish it within the configured time. */
static void drain(struct server *server, const sigset_t *signals)
{
    struct sy_topology *topology = sy_topology_acquire();
    uint64_t limit_us = topology->config->shutdown_timeout_us;
    sy_topology_unref(&topology);
    SY_LOG(SY_LOG_INFO, "shutting down: waiting for transactions to end",
           SY_KV_INT("timeout_ms", limit_us / 1000));
    atomic_store(&server->process.draining, true);
    for (uint32_t i = 0; i < server->count; i++) {
        server->seats[i].stop_accepting.deliver = deliver_stop_accepting;
        sy_loop_post(server->seats[i].worker.loop, &server->seats[i].stop_accepting);
    }
    wake_all(server);
    const struct timespec step = {.tv_nsec = 50 * 1000 * 1000};
    for (uint64_t waited_us = 0; waited_us < limit_us && anybody_left(server); waited_us += 50000) {
        int signal_number = sigtimedwait(signals, NULL, &step);
        if (signal_number == SIGINT || signal_number == SIGTERM)
            return;
    }
}

static void block_signals(sigset_t *signals)
{
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    sigaddset(signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit is a write that fails, not the end */
}

static void wait_for_signals(struct server *server, const sigset_t *signals)
{
    for (;;) {
        int signal_number = sigwaitinfo(signals, NULL);
        if (signal_number == SIGHUP)
            reload(server);
        if (signal_number == SIGUSR1)
            declare(server);
        if (signal_number == SIGTERM)
            drain(server, signals);
        if (signal_number == SIGTERM || signal_number == SIGINT)
            break;
    }
    for (uint32_t i = 0; i < server->count; i++)
        sy_worker_stop(&server->seats[i].worker);
    join_workers(server);
}

static void request_reload(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGHUP);
}

static void request_declare(void *ctx)
{
    (void)ctx;
    kill(getpid(), SIGUSR1);
}

static void request_shutdown(void *ctx, bool immediately)
{
    (void)ctx;
    kill(getpid(), immediately ? SIGINT : SIGTERM);
}

int sy_serve(const struct sy_serve_options *options)
{
    struct sy_err err = {0};
    struct server server = {.publisher = {.options = options, .hold = hold, .ctx = &server}};
    pthread_mutex_init(&server.process.tls_lock, NULL);
    sigset_t signals;
    block_signals(&signals);
    raise_file_limit();
    sy_engine_register(SY_ENGINE_POSTGRES, sy_engine_postgres());
    sy_engine_register(SY_ENGINE_SQLITE, sy_engine_sqlite());
    struct sy_buf problems = {0};
    enum sy_status status = sy_publish(&server.publisher, true, &problems, &err);
    sy_buf_release(&problems);
    if (status != SY_OK) {
        complain("", &err);
        return SY_EXIT_FAILED;
    }
    struct sy_topology *topology = sy_topology_acquire();
    const struct sy_config *config = topology->config;
    sy_log_configure(config->log.level, config->log.format, STDERR_FILENO);
    server.process.request_reload = request_reload;
    server.process.request_declare = request_declare;
    server.process.request_shutdown = request_shutdown;
    status = start_parts(&server, config, &err);
    if (status == SY_OK) {
        SY_LOG(SY_LOG_INFO, "ready", SY_KV_STR("version", SY_VERSION),
               SY_KV_STR("hardening", sy_harden_summary()),
               SY_KV_STR("address", config->listen.address), SY_KV_INT("port", config->listen.port),
               SY_KV_INT("workers", server.count),
               SY_KV_STR("loop", sy_loop_kind_name(sy_loop_kind_of(server.seats[0].worker.loop))));
        wait_for_signals(&server, &signals);
        SY_LOG(SY_LOG_INFO, "stopped", SY_KV_INT("pid", getpid()));
    } else {
        complain("cannot start", &err);
        join_workers(&server);
    }
    sy_topology_unref(&topology);
    stop_parts(&server);
    return status == SY_OK ? SY_EXIT_OK : SY_EXIT_FAILED;
}
