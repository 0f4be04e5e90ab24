/*
 * Servers for tests. initdb runs once per user and version, into a template folder under $TMPDIR
 * that is copied for each cluster; the copy and the start take a third of a second.
 */
#include "cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "certificates.h"
#include "process.h"

#define BIN "/usr/lib/postgresql/15/bin/"

enum { PATH_BYTES = 256, NODES_MAX = 8, CLUSTERS_MAX = 32, RING = 8, START_TIMEOUT_MS = 60000 };

struct server {
    char data[PATH_BYTES + 32], log[PATH_BYTES + 32];
    uint16_t port;
    pid_t pid; /* 0: not running */
};

struct sy_cluster {
    char dir[PATH_BYTES];
    char name[32];
    struct server nodes[NODES_MAX];
    uint32_t node_count;
};

static char run_dir[PATH_BYTES];
static struct sy_cluster *clusters[CLUSTERS_MAX];
static unsigned cluster_count;
static bool finished;

static const char *temp_root(void)
{
    const char *root = getenv("TMPDIR");
    return root != NULL && root[0] != '\0' && strlen(root) < 100 ? root : "/tmp";
}

static long long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint16_t sy_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, bytes) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        sy_harness_die("no free port: %s", strerror(errno));
    close(fd);
    return ntohs(address.sin_port);
}

/* ---- folders ---- */

static void stop_all(void)
{
    for (unsigned i = 0; i < cluster_count; i++)
        for (uint32_t n = 0; clusters[i] != NULL && n < clusters[i]->node_count; n++)
            if (clusters[i]->nodes[n].pid != 0)
                sy_cluster_stop_node(clusters[i], n, SY_STOP_IMMEDIATE);
}

static void at_exit(void)
{
    if (finished)
        return;
    stop_all();
    if (run_dir[0] != '\0')
        fprintf(stderr, "harness: logs and data are in %s\n", run_dir);
}

static void make_run_dir(void)
{
    if (run_dir[0] != '\0')
        return;
    snprintf(run_dir, sizeof(run_dir), "%s/switchyard-test-XXXXXX", temp_root());
    if (mkdtemp(run_dir) == NULL || chmod(run_dir, 0755) != 0)
        sy_harness_die("cannot make a folder in %s: %s", temp_root(), strerror(errno));
    sy_give_file(run_dir);
    atexit(at_exit);
}

/* Several test programs may run at once: the template is made under a lock, and is whole once its
 * mark is there. */
static void make_template(char *ret_path, size_t capacity)
{
    char lock_path[PATH_BYTES + 16], mark[PATH_BYTES + 16], log[PATH_BYTES + 16];
    snprintf(ret_path, capacity, "%s/switchyard-template-15-%u", temp_root(), (unsigned)geteuid());
    snprintf(lock_path, sizeof(lock_path), "%s.lock", ret_path);
    snprintf(mark, sizeof(mark), "%s.ready", ret_path);
    snprintf(log, sizeof(log), "%s/initdb.log", run_dir);
    int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        sy_harness_die("cannot lock %s: %s", lock_path, strerror(errno));
    char version[PATH_BYTES + 16];
    snprintf(version, sizeof(version), "%s/PG_VERSION", ret_path);
    if (access(mark, F_OK) != 0 || access(version, F_OK) != 0) {
        sy_remove_tree(ret_path);
        sy_make_dir(ret_path);
        const char *const argv[] = {BIN "initdb", "-D",
                                    ret_path,     "-U",
                                    "postgres",   "-A",
                                    "trust",      "-E",
                                    "UTF8",       "--locale=C.UTF-8",
                                    "--no-sync",  "--no-instructions",
                                    NULL};
        sy_process_run(log, argv);
        sy_write_file(mark, "ready\n", false);
    }
    close(fd);
}

static void write_conf(const struct sy_cluster *cluster, const struct server *server,
                       const struct sy_cluster_options *options)
{
    char path[PATH_BYTES + 64], text[2048];
    snprintf(path, sizeof(path), "%s/postgresql.conf", server->data);
    snprintf(
        text, sizeof(text),
        "\nlisten_addresses = '127.0.0.1'\nport = %u\nunix_socket_directories = '%s'\n"
        "fsync = %s\nsynchronous_commit = %s\nfull_page_writes = %s\nmax_connections = 60\n"
        "shared_buffers = '16MB'\nwal_level = logical\nmax_wal_senders = 10\nhot_standby = on\n"
        "max_prepared_transactions = 20\nwal_keep_size = '64MB'\nlog_min_messages = info\n"
        "log_line_prefix = '%%m [%%p] %%q%%u@%%d %%a '\nautovacuum_naptime = '1h'\n"
        "wal_receiver_status_interval = '1s'\nwal_retrieve_retry_interval = '200ms'\n"
        "timezone = 'UTC'\nlog_timezone = 'UTC'\n%s%s\n",
        server->port, cluster->dir, options->durable ? "on" : "off",
        options->durable ? "on" : "local", options->durable ? "on" : "off",
        options->tls ? "ssl = on\nssl_cert_file = '../server.crt'\nssl_key_file = '../server.key'\n"
                     : "",
        options->conf != NULL ? options->conf : "");
    sy_write_file(path, text, true);
}

static void write_hba(const struct sy_cluster *cluster, const struct server *server,
                      const char *lines)
{
    char path[PATH_BYTES + 64], text[2048];
    (void)cluster;
    snprintf(path, sizeof(path), "%s/pg_hba.conf", server->data);
    snprintf(
        text, sizeof(text),
        "local all postgres trust\nlocal replication postgres trust\n"
        "host all postgres 127.0.0.1/32 trust\nhost replication postgres 127.0.0.1/32 trust\n%s",
        lines);
    sy_write_file(path, text, false);
}

/* ---- starting and stopping ---- */

static bool has_exited(struct server *server)
{
    int status = 0;
    if (waitpid(server->pid, &status, WNOHANG) != server->pid)
        return false;
    server->pid = 0;
    return true;
}

static bool wait_accepting(struct server *server)
{
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo),
             "host=127.0.0.1 port=%u user=postgres dbname=postgres connect_timeout=2",
             server->port);
    for (long long end = now_ms() + START_TIMEOUT_MS; now_ms() < end; sy_pause_ms(10)) {
        if (has_exited(server))
            return false;
        if (PQping(conninfo) == PQPING_OK)
            return true;
    }
    sy_harness_die("a server does not accept connections, see %s", server->log);
}

void sy_cluster_start_node(struct sy_cluster *cluster, uint32_t node)
{
    struct server *server = &cluster->nodes[node];
    const char *const argv[] = {BIN "postgres", "-D", server->data, NULL};
    /* After a kill -9 the old processes need a moment to go, and hold the data folder until then.
     */
    for (int tries = 0; tries < 100; tries++) {
        server->pid = sy_process_start(server->log, argv);
        if (wait_accepting(server))
            return;
        sy_pause_ms(100);
    }
    sy_harness_die("a server does not start, see %s", server->log);
}

void sy_cluster_stop_node(struct sy_cluster *cluster, uint32_t node, enum sy_stop how)
{
    static const int signals[] = {
        [SY_STOP_FAST] = SIGINT, [SY_STOP_IMMEDIATE] = SIGQUIT, [SY_STOP_KILL] = SIGKILL};
    struct server *server = &cluster->nodes[node];
    if (server->pid == 0)
        return;
    if (how == SY_STOP_KILL)
        sy_process_signal_tree(server->pid, SIGKILL);
    else
        kill(server->pid, signals[how]);
    for (long long end = now_ms() + START_TIMEOUT_MS; now_ms() < end; sy_pause_ms(5))
        if (has_exited(server))
            return;
    sy_harness_die("a server does not stop, see %s", server->log);
}

void sy_cluster_pause_node(struct sy_cluster *cluster, uint32_t node)
{
    sy_process_signal_tree(cluster->nodes[node].pid, SIGSTOP);
}

void sy_cluster_resume_node(struct sy_cluster *cluster, uint32_t node)
{
    sy_process_signal_tree(cluster->nodes[node].pid, SIGCONT);
}

static void copy_template(const struct server *server)
{
    char template[PATH_BYTES - 16];
    make_template(template, sizeof(template));
    const char *const argv[] = {"/bin/cp", "-a", "--reflink=auto", template, server->data, NULL};
    sy_process_run(server->log, argv);
}

static void add_replica(struct sy_cluster *cluster, uint32_t node,
                        const struct sy_cluster_options *options)
{
    struct server *server = &cluster->nodes[node];
    char port[16], conf[PATH_BYTES + 64], text[64];
    snprintf(port, sizeof(port), "%u", cluster->nodes[0].port);
    const char *const argv[] = {
        BIN "pg_basebackup", "-D", server->data, "-h",   "127.0.0.1", "-p",     port,        "-U",
        "postgres",          "-R", "-c",         "fast", "-X",        "stream", "--no-sync", NULL};
    sy_process_run(server->log, argv);
    snprintf(conf, sizeof(conf), "%s/postgresql.conf", server->data);
    snprintf(text, sizeof(text), "\nport = %u\n", server->port);
    sy_write_file(conf, text, true);
    (void)options;
    sy_cluster_start_node(cluster, node);
}

struct sy_cluster *sy_cluster_start(const struct sy_cluster_options *options)
{
    if (cluster_count == CLUSTERS_MAX || options->replicas >= NODES_MAX)
        sy_harness_die("too many clusters or replicas");
    make_run_dir();
    struct sy_cluster *cluster = calloc(1, sizeof(*cluster));
    if (cluster == NULL)
        sy_harness_die("out of memory");
    snprintf(cluster->name, sizeof(cluster->name), "%s",
             options->name != NULL ? options->name : "cluster");
    if (snprintf(cluster->dir, sizeof(cluster->dir), "%.150s/%s-%u", run_dir, cluster->name,
                 cluster_count) < 0)
        sy_harness_die("path too long");
    clusters[cluster_count++] = cluster;
    sy_make_dir(cluster->dir);
    if (options->tls)
        sy_test_certificates(cluster->dir, NULL);
    cluster->node_count = 1 + options->replicas;
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        struct server *server = &cluster->nodes[i];
        snprintf(server->data, sizeof(server->data), "%s/node%u", cluster->dir, i);
        snprintf(server->log, sizeof(server->log), "%s/node%u.log", cluster->dir, i);
        server->port = sy_free_port();
    }
    copy_template(&cluster->nodes[0]);
    write_conf(cluster, &cluster->nodes[0], options);
    char rule[128];
    snprintf(rule, sizeof(rule), "local all all %s\n%s all all 127.0.0.1/32 %s\n",
             options->hba_method != NULL ? options->hba_method : "trust",
             options->tls_only ? "hostssl" : "host",
             options->hba_method != NULL ? options->hba_method : "trust");
    write_hba(cluster, &cluster->nodes[0], rule);
    sy_cluster_start_node(cluster, 0);
    for (uint32_t i = 1; i < cluster->node_count; i++)
        add_replica(cluster, i, options);
    return cluster;
}

void sy_cluster_free(struct sy_cluster **cluster)
{
    struct sy_cluster *self = *cluster;
    *cluster = NULL;
    if (self == NULL)
        return;
    for (uint32_t i = 0; i < self->node_count; i++)
        sy_cluster_stop_node(self, i, SY_STOP_IMMEDIATE);
    for (unsigned i = 0; i < cluster_count; i++)
        if (clusters[i] == self)
            clusters[i] = NULL;
    free(self);
}

int sy_harness_finish(int failed)
{
    stop_all();
    finished = true;
    for (unsigned i = 0; i < cluster_count; i++)
        free(clusters[i]);
    cluster_count = 0;
    if (run_dir[0] == '\0')
        return failed;
    if (failed != 0 || getenv("SY_TEST_KEEP") != NULL)
        fprintf(stderr, "harness: logs and data are in %s\n", run_dir);
    else
        sy_remove_tree(run_dir);
    return failed;
}

/* ---- asking ---- */

uint16_t sy_cluster_port(const struct sy_cluster *cluster, uint32_t node)
{
    return cluster->nodes[node].port;
}

const char *sy_cluster_dir(const struct sy_cluster *cluster)
{
    return cluster->dir;
}

const char *sy_cluster_log(const struct sy_cluster *cluster, uint32_t node)
{
    return cluster->nodes[node].log;
}

const char *sy_cluster_conninfo(const struct sy_cluster *cluster, uint32_t node, const char *dbname)
{
    static char ring[RING][256];
    static unsigned next;
    char *text = ring[next++ % RING];
    snprintf(text, sizeof(ring[0]), "host=127.0.0.1 port=%u user=postgres dbname=%s",
             cluster->nodes[node].port, dbname);
    return text;
}

PGconn *sy_cluster_connect(const struct sy_cluster *cluster, uint32_t node, const char *dbname)
{
    PGconn *conn = PQconnectdb(sy_cluster_conninfo(cluster, node, dbname));
    if (PQstatus(conn) != CONNECTION_OK)
        sy_harness_die("%s node %u: %s", cluster->name, node, PQerrorMessage(conn));
    return conn;
}

const char *sy_cluster_value(const struct sy_cluster *cluster, uint32_t node, const char *dbname,
                             const char *sql)
{
    static char ring[RING][4096];
    static unsigned next;
    char *text = ring[next++ % RING];
    PGconn *conn = sy_cluster_connect(cluster, node, dbname);
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
        sy_harness_die("%s node %u: %s: %s", cluster->name, node, sql, PQerrorMessage(conn));
    snprintf(text, sizeof(ring[0]), "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(conn);
    return text;
}

void sy_cluster_sql(const struct sy_cluster *cluster, uint32_t node, const char *dbname,
                    const char *sql)
{
    sy_cluster_value(cluster, node, dbname, sql);
}

bool sy_cluster_wait(const struct sy_cluster *cluster, uint32_t node, const char *dbname,
                     const char *condition, int timeout_ms)
{
    for (long long end = now_ms() + timeout_ms;;) {
        if (strcmp(sy_cluster_value(cluster, node, dbname, condition), "t") == 0)
            return true;
        if (now_ms() >= end)
            return false;
        sy_pause_ms(10);
    }
}

void sy_cluster_catch_up(const struct sy_cluster *cluster)
{
    char condition[160];
    for (uint32_t i = 1; i < cluster->node_count; i++) {
        if (cluster->nodes[i].pid == 0)
            continue;
        snprintf(condition, sizeof(condition), "select pg_last_wal_replay_lsn() >= '%s'::pg_lsn",
                 sy_cluster_value(cluster, 0, "postgres", "select pg_current_wal_flush_lsn()"));
        if (!sy_cluster_wait(cluster, i, "postgres", condition, START_TIMEOUT_MS))
            sy_harness_die("replica %u of %s does not catch up, see %s", i, cluster->name,
                           cluster->nodes[i].log);
    }
}

void sy_cluster_promote(struct sy_cluster *cluster, uint32_t node)
{
    sy_cluster_sql(cluster, node, "postgres", "select pg_promote(true, 60)");
    if (!sy_cluster_wait(cluster, node, "postgres", "select not pg_is_in_recovery()",
                         START_TIMEOUT_MS))
        sy_harness_die("node %u of %s was not promoted, see %s", node, cluster->name,
                       cluster->nodes[node].log);
}

void sy_cluster_set_hba(struct sy_cluster *cluster, const char *lines)
{
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        write_hba(cluster, &cluster->nodes[i], lines);
        if (cluster->nodes[i].pid != 0)
            sy_cluster_sql(cluster, i, "postgres", "select pg_reload_conf()");
    }
    sy_pause_ms(
        100); /* the postmaster reads the file when the signal arrives; nothing shows that it has */
}
