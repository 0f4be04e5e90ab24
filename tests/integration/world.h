/* Two shards (databases s0 and s1 of one server) and an unsharded database, for tests of the
 * session. */
#ifndef SY_TESTS_INTEGRATION_WORLD_H
#define SY_TESTS_INTEGRATION_WORLD_H

#include <stdio.h>

#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

static inline const char *world_databases(const struct sy_cluster *cluster, const char *pool)
{
    static char text[4096];
    unsigned port = sy_cluster_port(cluster, 0);
    snprintf(text, sizeof(text),
             "{ name = \"blog\"; engine = \"postgres\"; pool = { %s };\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=blog user=postgres\"; } ); } ); },\n"
             "{ name = \"shop\"; engine = \"postgres\"; pool = { %s };\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s0 user=postgres\"; } ); },\n"
             "             { name = \"s1\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=s1 user=postgres\"; } ); } );\n"
             "  keyspaces = ( { name = \"k\"; strategy = \"list\"; type = \"int8\";\n"
             "     lists = ( { values = [\"1\", \"3\", \"5\", \"7\"]; shard = \"s0\"; }, { values "
             "= [\"2\", \"4\", \"6\", \"8\"]; shard = \"s1\"; } );\n"
             "     tables = ( { name = \"customers\"; key = \"id\"; }, { name = \"orders\"; key = "
             "\"customer_id\"; } ); } );\n"
             "  reference_tables = [ \"tags\" ]; local_tables = ( { name = \"audit\"; shard = "
             "\"s0\"; } ); } );",
             pool, port, pool, port, port);
    return text;
}

static inline struct sy_cluster *world_cluster(void)
{
    struct sy_cluster *cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "world"});
    sy_cluster_sql(cluster, 0, "postgres", "create database blog");
    static const char *const shards[] = {"s0", "s1"};
    for (int i = 0; i < 2; i++) {
        char sql[64];
        snprintf(sql, sizeof(sql), "create database %s", shards[i]);
        sy_cluster_sql(cluster, 0, "postgres", sql);
        sy_cluster_sql(cluster, 0, shards[i],
                       "create table customers(id bigint primary key, name text);"
                       "create table orders(id int, customer_id bigint, v int);"
                       "create table tags(id int primary key, t text);"
                       "create table audit(id int, what text);");
    }
    sy_cluster_sql(cluster, 0, "blog", "create table t(a int primary key, b text);");
    return cluster;
}

#endif
