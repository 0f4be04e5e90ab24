/*
 * Which server connections belong to one transaction over several shards: a deadlock among those is
 * seen by no server, since each sees only some of the waits. Sessions join when their transaction
 * gets its second server, replication/deadlocks.c looks who waits for whom and condemns one of a
 * circle; its session cancels what it runs.
 *
 * Thread: any; one mutex, held for moments. A transaction on one shard never comes here.
 */
#ifndef SY_ROUTER_TOPOLOGY_WAITS_H
#define SY_ROUTER_TOPOLOGY_WAITS_H

#include <stdbool.h>
#include <stdint.h>

struct sy_node;

struct sy_wait_member {
    uint32_t client;      /* the session, by the process id that its client was told */
    uint32_t backend_pid; /* its server process there */
    struct sy_node *node; /* reference */
    uint64_t since_us;    /* on the monotonic clock: when the transaction got its second server */
    bool condemned;
};

/* Again: nothing happens. Without memory the deadlock is not seen. */
void sy_waits_join(uint32_t client, struct sy_node *node, uint32_t backend_pid, uint64_t now_us);
/* The transaction is over. */
void sy_waits_leave(uint32_t client);

/* A copy with references of its own, for sy_waits_free_members(); *ret_members NULL: none. */
uint32_t sy_waits_members(struct sy_wait_member **ret_members);
void sy_waits_free_members(struct sy_wait_member *members, uint32_t count);
void sy_waits_condemn(uint32_t client);
/* One relaxed load. */
bool sy_waits_any_condemned(void);
/* True, once: the transaction is the one to end. */
bool sy_waits_take_condemned(uint32_t client);

#endif
