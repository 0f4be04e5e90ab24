/*
 * Who may connect, and how they prove who they are: the operator's table of rules, as pg_hba.conf
 * is one. The first rule that fits decides; none: rejected. Pure.
 */
#ifndef SY_ROUTER_AUTH_RULES_H
#define SY_ROUTER_AUTH_RULES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/slice.h"
#include "config/config.h"

/* Where a client comes from. */
struct sy_auth_peer {
    struct in6_addr address; /* IPv4 as mapped address; not used on a Unix socket */
    bool is_unix_socket;
    bool is_tls;
};

struct sy_auth_request {
    struct sy_slice database, user;
    struct sy_auth_peer peer;
};

/* Reads an accepted socket's peer address; an unknown family counts as a foreign address. */
void sy_auth_peer_init(struct sy_auth_peer *peer, const struct sockaddr_storage *address,
                       bool is_tls);
/* 127.0.0.0/8, ::1 or a Unix socket. */
bool sy_auth_peer_is_local(const struct sy_auth_peer *peer);

/*
 * A rule with tls_required fits TLS connections only (a Unix socket is not one). any_address fits
 * every peer; a rule with local_socket fits Unix sockets only, one with a network TCP only. Without
 * any rule, local peers get scram-sha-256 (trust where no user is configured at all) and others are
 * rejected. ret_rule (may be NULL): the index of the rule that decided, or -1.
 */
enum sy_auth_method sy_auth_method_for(const struct sy_config_auth_rule *rules, uint32_t rule_count,
                                       uint32_t user_count, const struct sy_auth_request *request,
                                       int *ret_rule);

#endif
