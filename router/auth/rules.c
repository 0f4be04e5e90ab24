/* The rule table. Pure; any thread. */
#include "router/auth/rules.h"

#include <string.h>

void sy_auth_peer_init(struct sy_auth_peer *peer, const struct sockaddr_storage *address,
                       bool is_tls)
{
    *peer = (struct sy_auth_peer){.is_tls = is_tls};
    if (address->ss_family == AF_UNIX) {
        peer->is_unix_socket = true;
    } else if (address->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof(in));
        peer->address.s6_addr[10] = peer->address.s6_addr[11] = 0xff;
        memcpy(&peer->address.s6_addr[12], &in.sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof(in6));
        peer->address = in6.sin6_addr;
    }
}

bool sy_auth_peer_is_local(const struct sy_auth_peer *peer)
{
    static const uint8_t mapped_loopback[13] = {[10] = 0xff, 0xff, 127};
    return peer->is_unix_socket || IN6_IS_ADDR_LOOPBACK(&peer->address) ||
           memcmp(peer->address.s6_addr, mapped_loopback, sizeof(mapped_loopback)) == 0;
}

/* Whether the first `bits` bits agree. */
static bool in_network(const struct in6_addr *address, const struct in6_addr *network,
                       unsigned bits)
{
    if (bits > 128)
        return false;
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address->s6_addr, network->s6_addr, whole) != 0)
        return false;
    if (rest == 0)
        return true;
    unsigned differs = (unsigned)(address->s6_addr[whole] ^ network->s6_addr[whole]);
    return differs >> (8 - rest) == 0;
}

static bool address_fits(const struct sy_config_auth_rule *rule, const struct sy_auth_peer *peer)
{
    if (rule->any_address)
        return true;
    if (rule->local_socket || peer->is_unix_socket)
        return rule->local_socket && peer->is_unix_socket;
    return in_network(&peer->address, &rule->network, rule->prefix_bits);
}

static bool rule_fits(const struct sy_config_auth_rule *rule, const struct sy_auth_request *request)
{
    if (rule->tls_required && !request->peer.is_tls)
        return false;
    if (rule->database != NULL && !sy_slice_eq(sy_slice_of(rule->database), request->database))
        return false;
    if (rule->user != NULL && !sy_slice_eq(sy_slice_of(rule->user), request->user))
        return false;
    return address_fits(rule, &request->peer);
}

enum sy_auth_method sy_auth_method_for(const struct sy_config_auth_rule *rules, uint32_t rule_count,
                                       uint32_t user_count, const struct sy_auth_request *request,
                                       int *ret_rule)
{
    enum sy_auth_method method = SY_AUTH_REJECT;
    int decided = -1;
    for (uint32_t i = 0; i < rule_count && decided < 0; i++)
        if (rule_fits(&rules[i], request)) {
            decided = (int)i;
            method = rules[i].method;
        }
    if (rule_count == 0 && sy_auth_peer_is_local(&request->peer))
        method = user_count == 0 ? SY_AUTH_TRUST : SY_AUTH_SCRAM_SHA_256;
    if (ret_rule != NULL)
        *ret_rule = decided;
    return method;
}
