/*
 * A TCP relay between a test and a server that misbehaves on command. One thread of its own.
 */
#ifndef SY_TESTS_HARNESS_FAULT_PROXY_H
#define SY_TESTS_HARNESS_FAULT_PROXY_H

#include <stdint.h>

struct sy_fault_proxy;

enum sy_fault {
    SY_FAULT_NONE,      /* relays */
    SY_FAULT_DELAY,     /* every byte arrives delay_ms later, in both directions */
    SY_FAULT_BLACKHOLE, /* accepts and reads nothing, sends nothing, closes nothing */
    SY_FAULT_CUT,       /* resets every connection now, and new ones at once */
    SY_FAULT_HALF,      /* relays to the server; its answers vanish */
};

/* Relays a free loopback port to 127.0.0.1:target_port. Failures end the program. */
struct sy_fault_proxy *sy_fault_proxy_start(uint16_t target_port);
uint16_t sy_fault_proxy_port(const struct sy_fault_proxy *proxy);
/* Takes effect for connections that exist, too, before this returns. */
void sy_fault_proxy_set(struct sy_fault_proxy *proxy, enum sy_fault fault, uint32_t delay_ms);
/* Bytes relayed so far, both directions. */
uint64_t sy_fault_proxy_bytes(const struct sy_fault_proxy *proxy);
void sy_fault_proxy_stop(struct sy_fault_proxy **proxy);

#endif
