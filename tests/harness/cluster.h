/*
 * Real PostgreSQL servers for integration tests: a primary and streaming replicas on free loopback
 * ports, in a folder of their own under $TMPDIR, run as user postgres when the test runs as root.
 * See tests/README.md.
 *
 * Anything that goes wrong here ends the test program with a message that names the log: a test
 * without its servers has nothing to say. Logs and data stay when a test fails, and their place is
 * printed.
 *
 * Thread: one at a time.
 */
#ifndef SY_TESTS_HARNESS_CLUSTER_H
#define SY_TESTS_HARNESS_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include <libpq-fe.h>

struct sy_cluster;

struct sy_cluster_options {
    const char *name; /* for the folder and for messages, "s0" */
    uint32_t replicas;
    const char *hba_method; /* of users other than postgres: "trust" (also NULL), "md5",
                               "scram-sha-256", "password" */
    bool tls; /* ssl = on, with a certificate for localhost and 127.0.0.1 of a test authority */
    bool tls_only;    /* hostssl lines only */
    bool durable;     /* fsync = on (kill -9 of the server process alone needs no fsync) */
    const char *conf; /* further lines of postgresql.conf, or NULL */
};

enum sy_stop { SY_STOP_FAST, SY_STOP_IMMEDIATE, SY_STOP_KILL };

/* Starts a primary (node 0) and its replicas (nodes 1...), all accepting connections. Blocks: 0.3
 * s, and about 1 s for each replica. */
struct sy_cluster *sy_cluster_start(const struct sy_cluster_options *options);
/* Stops whatever runs; files stay until sy_harness_finish(). Accepts NULL. */
void sy_cluster_free(struct sy_cluster **cluster);

uint16_t sy_cluster_port(const struct sy_cluster *cluster, uint32_t node);
/* Folder of the Unix socket (".s.PGSQL.<port>"), of the certificates (ca.crt), and everything else.
 */
const char *sy_cluster_dir(const struct sy_cluster *cluster);
const char *sy_cluster_log(const struct sy_cluster *cluster, uint32_t node);
/* A conninfo of the superuser postgres: "host=127.0.0.1 port=N user=postgres dbname=...". In a
 * static ring of 8. */
const char *sy_cluster_conninfo(const struct sy_cluster *cluster, uint32_t node,
                                const char *dbname);

/* A connection as superuser; the caller calls PQfinish. */
PGconn *sy_cluster_connect(const struct sy_cluster *cluster, uint32_t node, const char *dbname);
/* Runs statements as superuser; an error ends the program. */
void sy_cluster_sql(const struct sy_cluster *cluster, uint32_t node, const char *dbname,
                    const char *sql);
/* First value of the answer, "" for NULL or none. In a static ring of 8. */
const char *sy_cluster_value(const struct sy_cluster *cluster, uint32_t node, const char *dbname,
                             const char *sql);
/* Waits until the condition (a SELECT of one boolean) is true, for at most timeout_ms; false when
 * it never was. */
bool sy_cluster_wait(const struct sy_cluster *cluster, uint32_t node, const char *dbname,
                     const char *condition, int timeout_ms);
/* Waits until every running replica has replayed what the primary has written. */
void sy_cluster_catch_up(const struct sy_cluster *cluster);

void sy_cluster_stop_node(struct sy_cluster *cluster, uint32_t node, enum sy_stop how);
void sy_cluster_start_node(struct sy_cluster *cluster, uint32_t node);
/* SIGSTOP and SIGCONT to the server and all its processes: it is there but does not answer. */
void sy_cluster_pause_node(struct sy_cluster *cluster, uint32_t node);
void sy_cluster_resume_node(struct sy_cluster *cluster, uint32_t node);
/* pg_promote() and wait. */
void sy_cluster_promote(struct sy_cluster *cluster, uint32_t node);
/* Replaces the rules for users other than postgres ("host all all all md5\n") and reloads. */
void sy_cluster_set_hba(struct sy_cluster *cluster, const char *lines);

/* A free loopback port. */
uint16_t sy_free_port(void);
/*
 * The end of main(): stops every server, removes the folders, or keeps and names them when failed
 * is not 0 or SY_TEST_KEEP is set. Returns failed.
 */
int sy_harness_finish(int failed);

#endif
