/*
 * What each worker tells the console about itself: plain records in growing arrays. Filled on the
 * worker's own thread, read by the asking worker after the hand-over.
 */
#ifndef SY_ROUTER_CONSOLE_GATHER_H
#define SY_ROUTER_CONSOLE_GATHER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

enum { SY_GATHER_ADDRESS_BYTES = 64, SY_GATHER_REASON_BYTES = 64 };

struct sy_console_client {
    uint64_t id; /* unique in the process */
    char user[SY_LIMIT_NAME_BYTES + 1], database[SY_LIMIT_NAME_BYTES + 1];
    char application_name[SY_LIMIT_NAME_BYTES + 1];
    char address[SY_GATHER_ADDRESS_BYTES],
        local_address[SY_GATHER_ADDRESS_BYTES]; /* "unix" for the socket */
    uint16_t port, local_port;
    const char *state;                        /* "active", "waiting", "idle", "login" */
    int64_t connect_wall_us, request_wall_us; /* since 1970 */
    uint64_t wait_us;                         /* of the present wait */
    uint64_t server_id;                       /* link it uses, 0: none */
    char tls[32];                             /* "TLSv1.3/cipher" or empty */
    char wait_reason[SY_GATHER_REASON_BYTES]; /* why it waits, or empty */
    char pin_reason[SY_GATHER_REASON_BYTES];  /* why it keeps its server, or empty */
    char transaction[2];                      /* "I", "T", "E" */
    uint32_t prepared, worker;
    uint64_t buffered; /* bytes held for it: received and not handled, or to be sent */
};

struct sy_console_server {
    uint64_t id;
    char user[SY_LIMIT_NAME_BYTES + 1], database[SY_LIMIT_NAME_BYTES + 1];
    char shard[SY_LIMIT_NAME_BYTES + 1], node[SY_LIMIT_NAME_BYTES + 1];
    char address[SY_GATHER_ADDRESS_BYTES], local_address[SY_GATHER_ADDRESS_BYTES];
    uint16_t port, local_port;
    const char *state; /* "active", "idle", "used", "tested", "new" */
    int64_t connect_wall_us, request_wall_us;
    bool close_needed;
    uint64_t client_id; /* 0: none */
    uint32_t remote_pid, worker, prepared;
    char tls[32];
    char application_name[SY_LIMIT_NAME_BYTES + 1];
};

struct sy_console_pool {
    char database[SY_LIMIT_NAME_BYTES + 1], user[SY_LIMIT_NAME_BYTES + 1];
    char shard[SY_LIMIT_NAME_BYTES + 1], node[SY_LIMIT_NAME_BYTES + 1];
    uint32_t clients_active, clients_waiting;
    uint32_t servers_active, servers_idle, servers_used, servers_tested, servers_login,
        servers_being_cancelled;
    uint64_t longest_wait_us;
    const char *mode; /* "transaction" */
};

struct sy_console_database {
    char name[SY_LIMIT_NAME_BYTES + 1];
    bool paused, disabled;
};

/* Of one worker. All zero is empty. */
struct sy_console_gathered {
    struct sy_console_database *databases;
    uint32_t database_count, database_room;
    struct sy_console_client *clients;
    struct sy_console_server *servers;
    struct sy_console_pool *pools;
    uint32_t client_count, server_count, pool_count;
    uint32_t client_room, server_room, pool_room;
    bool no_memory; /* rows are missing: the answer says so */
};

/* A new zeroed record at the end of its array, or NULL when memory is exhausted. */
struct sy_console_client *sy_gather_client(struct sy_console_gathered *gathered);
struct sy_console_server *sy_gather_server(struct sy_console_gathered *gathered);
struct sy_console_pool *sy_gather_pool(struct sy_console_gathered *gathered);
struct sy_console_database *sy_gather_database(struct sy_console_gathered *gathered);
void sy_gather_release(struct sy_console_gathered *gathered);

#endif
