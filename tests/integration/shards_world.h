/* Three shards on two servers (s0 and s1 are databases of the first one), for tests of what spans
 * shards. Keys 1, 4, 7 live on s0; 2, 5, 8 on s1; 3, 6, 9 on s2. */
#ifndef SY_TESTS_INTEGRATION_SHARDS_WORLD_H
#define SY_TESTS_INTEGRATION_SHARDS_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

static struct sy_cluster *shard_servers[2];
static const char *const shard_databases[3] = {"s0", "s1", "s2"};

static inline struct sy_cluster *shard_server(int shard)
{
    return shard_servers[shard == 2];
}

static inline void on_shard(int shard, const char *sql)
{
    sy_cluster_sql(shard_server(shard), 0, shard_databases[shard], sql);
}

static inline void on_shards(const char *sql)
{
    for (int i = 0; i < 3; i++)
        on_shard(i, sql);
}

static inline const char *from_shard(int shard, const char *sql)
{
    return sy_cluster_value(shard_server(shard), 0, shard_databases[shard], sql);
}

/* Servers with the tables; returns what stands behind "databases = (". `more`: further lines of
 * the database. */
static inline const char *shards_start(const char *tables, const char *more)
{
    static char text[4096];
    static const char *const names[] = {"a", "b"};
    char create[64];
    for (int i = 0; i < 2; i++)
        shard_servers[i] = sy_cluster_start(&(struct sy_cluster_options){.name = names[i]});
    for (int i = 0; i < 3; i++) {
        snprintf(create, sizeof(create), "create database %s", shard_databases[i]);
        sy_cluster_sql(shard_server(i), 0, "postgres", create);
        on_shard(i, tables);
    }
    int at = snprintf(text, sizeof(text), "{ name = \"shop\"; engine = \"postgres\";\n shards = (");
    for (int i = 0; i < 3; i++)
        at += snprintf(text + at, sizeof(text) - (size_t)at,
                       "%s { name = \"s%d\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
                       "dbname=s%d user=postgres\"; } ); }",
                       i > 0 ? ",\n" : "", i, (unsigned)sy_cluster_port(shard_server(i), 0), i);
    snprintf(text + at, sizeof(text) - (size_t)at,
             " );\n keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\";\n"
             "  lists = ( { values = [\"1\", \"4\", \"7\"]; shard = \"s0\"; },\n"
             "            { values = [\"2\", \"5\", \"8\"]; shard = \"s1\"; },\n"
             "            { values = [\"3\", \"6\", \"9\"]; shard = \"s2\"; } );\n %s } );",
             more);
    return text;
}

static inline void shards_stop(void)
{
    for (int i = 0; i < 2; i++)
        sy_cluster_free(&shard_servers[i]);
}

/* Nothing is left prepared on any server. */
static inline bool shards_settled(void)
{
    bool good = true;
    for (int i = 0; i < 2; i++)
        good = sy_cluster_wait(shard_servers[i], 0, "postgres",
                               "select not exists (select from pg_prepared_xacts)", 20000) &&
               good;
    return good;
}

/* A statement that waits, on s2, for what `held` holds there: its server is killed. The client is
 * told an error, and nothing stays prepared once the server is back (started by the caller). */
static inline void lose_a_server_under(PGconn *c, const char *held, const char *sql)
{
    PGconn *holder = sy_cluster_connect(shard_server(2), 0, shard_databases[2]);
    PQclear(PQexec(holder, "begin"));
    PQclear(PQexec(holder, held));
    assert_int_equal(PQtransactionStatus(holder), PQTRANS_INTRANS);
    assert_int_equal(PQsendQuery(c, sql), 1);
    assert_true(sy_cluster_wait(shard_server(2), 0, shard_databases[2],
                                "select exists (select from pg_locks where not granted)", 20000));
    sy_cluster_stop_node(shard_server(2), 0, SY_STOP_KILL);
    PGresult *result = PQgetResult(c);
    assert_non_null(PQresultErrorField(result, PG_DIAG_SQLSTATE));
    PQclear(result);
    assert_null(PQgetResult(c));
    PQfinish(holder);
}

#endif
