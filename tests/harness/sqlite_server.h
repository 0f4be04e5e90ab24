/*
 * The embedded engine behind a port, without the router: one loop on a thread of its own, every
 * client trusted, one link per client. For tests of the engine and for trying it with psql
 * (program: sqlite_server).
 */
#ifndef SY_TESTS_HARNESS_SQLITE_SERVER_H
#define SY_TESTS_HARNESS_SQLITE_SERVER_H

#include <stdint.h>

#include "base/err.h"
#include "router/topology/topology.h"

struct sy_sqlite_server;

struct sy_sqlite_server_options {
    const char *file;  /* of the shard */
    uint16_t port;     /* of 127.0.0.1; 0: any free one */
    uint32_t replicas; /* node k of the shard listens on the port after it, k = 1 .. replicas, when
                          port is given; else on any (sy_sqlite_server_port) */
    enum sy_loop_kind loop;
};

SY_MUST_CHECK enum sy_status sy_sqlite_server_start(const struct sy_sqlite_server_options *options,
                                                    struct sy_sqlite_server **ret_server,
                                                    struct sy_err *err);
uint16_t sy_sqlite_server_port(const struct sy_sqlite_server *server, uint32_t node);
struct sy_node *sy_sqlite_server_node(const struct sy_sqlite_server *server, uint32_t node);
/* Drops the clients, ends the loop; the engine keeps running (sy_sqlite_stop()). Blocks. */
void sy_sqlite_server_stop(struct sy_sqlite_server **server);

#endif
