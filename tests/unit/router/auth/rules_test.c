/* Which rule decides, cell by cell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>
#include <sys/un.h>

#include "router/auth/rules.h"

/* "local", an IPv4 or an IPv6 address. */
static struct sy_auth_peer peer_of(const char *address, bool is_tls)
{
    struct sockaddr_storage storage = {.ss_family = AF_UNIX};
    struct sy_auth_peer peer;
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, address, &in.sin_addr) == 1)
        memcpy(&storage, &in, sizeof(in));
    else if (inet_pton(AF_INET6, address, &in6.sin6_addr) == 1)
        memcpy(&storage, &in6, sizeof(in6));
    sy_auth_peer_init(&peer, &storage, is_tls);
    return peer;
}

static struct sy_config_auth_rule network(const char *address, unsigned bits)
{
    struct sy_config_auth_rule rule = {.prefix_bits = bits, .method = SY_AUTH_MD5};
    assert_int_equal(inet_pton(AF_INET6, address, &rule.network), 1);
    return rule;
}

static void each_condition_of_a_rule_counts(void **state)
{
    (void)state;
    struct sy_config_auth_rule ten = network("::ffff:10.0.0.0", 104);
    struct sy_config_auth_rule odd = network("::ffff:192.168.1.128", 121);
    struct sy_config_auth_rule host = network("::ffff:10.1.2.3", 128);
    struct sy_config_auth_rule six = network("2001:db8::", 33);
    struct sy_config_auth_rule all4 = network("::ffff:0.0.0.0", 96);
    struct sy_config_auth_rule all6 = network("::", 0);
    struct sy_config_auth_rule any = {.any_address = true, .method = SY_AUTH_MD5};
    struct sy_config_auth_rule local = {.local_socket = true, .method = SY_AUTH_MD5};
    struct sy_config_auth_rule tls = {
        .any_address = true, .tls_required = true, .method = SY_AUTH_MD5};
    struct sy_config_auth_rule database = {
        .any_address = true, .database = "blog", .method = SY_AUTH_MD5};
    struct sy_config_auth_rule user = {.any_address = true, .user = "app", .method = SY_AUTH_MD5};
    const struct {
        const char *label;
        const struct sy_config_auth_rule *rule;
        const char *database, *user, *address;
        bool is_tls, fits;
    } rows[] = {
        {"inside a network", &ten, "blog", "app", "10.200.3.4", false, true},
        {"outside", &ten, "blog", "app", "11.0.0.1", false, false},
        {"a network is not a socket", &all6, "blog", "app", "local", false, false},
        {"odd prefix, inside", &odd, "blog", "app", "192.168.1.129", false, true},
        {"odd prefix, outside", &odd, "blog", "app", "192.168.1.127", false, false},
        {"one host", &host, "blog", "app", "10.1.2.3", false, true},
        {"its neighbour", &host, "blog", "app", "10.1.2.2", false, false},
        {"IPv6 inside", &six, "blog", "app", "2001:db8:7fff::1", false, true},
        {"IPv6 outside", &six, "blog", "app", "2001:db8:8000::1", false, false},
        {"IPv4 rule, IPv6 peer", &all4, "blog", "app", "2001:db8::1", false, false},
        {"IPv4 rule, mapped peer", &all4, "blog", "app", "::ffff:1.2.3.4", false, true},
        {"any, TCP", &any, "blog", "app", "1.2.3.4", false, true},
        {"any, socket", &any, "blog", "app", "local", false, true},
        {"local, socket", &local, "blog", "app", "local", false, true},
        {"local is not loopback", &local, "blog", "app", "127.0.0.1", false, false},
        {"TLS wanted, plain", &tls, "blog", "app", "1.2.3.4", false, false},
        {"TLS wanted, socket", &tls, "blog", "app", "local", false, false},
        {"TLS wanted and there", &tls, "blog", "app", "1.2.3.4", true, true},
        {"database", &database, "blog", "app", "1.2.3.4", false, true},
        {"another database", &database, "blo", "app", "1.2.3.4", false, false},
        {"database in capitals", &database, "BLOG", "app", "1.2.3.4", false, false},
        {"user", &user, "blog", "app", "1.2.3.4", false, true},
        {"another user", &user, "blog", "apps", "1.2.3.4", false, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("%s\n", rows[i].label);
        struct sy_auth_request request = {sy_slice_of(rows[i].database), sy_slice_of(rows[i].user),
                                          peer_of(rows[i].address, rows[i].is_tls)};
        int decided;
        enum sy_auth_method method = sy_auth_method_for(rows[i].rule, 1, 1, &request, &decided);
        assert_int_equal(method, rows[i].fits ? SY_AUTH_MD5 : SY_AUTH_REJECT);
        assert_int_equal(decided, rows[i].fits ? 0 : -1);
    }
}

/* Every cell: database, user, address, TLS and method of a rule against what a connection may be.
 * Each condition is a table of its own here; a rule fits where all of them do. */
static void every_cell_of_the_table_is_right(void **state)
{
    (void)state;
    enum { PLACES = 6, PEERS = 7, NAMES = 4 };
    static const char *const names[NAMES] = {NULL, "blog", "blo", "BLOG"};
    static const bool name_fits[NAMES] = {true, true, false, false}; /* the connection says blog */
    static const char *const peers[PEERS] = {
        "local", "127.0.0.1", "10.1.2.3", "10.1.2.4", "11.0.0.1", "2001:db8::1", "::ffff:10.1.2.3"};
    const struct sy_config_auth_rule places[PLACES] = {
        {.any_address = true},           {.local_socket = true},
        network("::ffff:10.0.0.0", 104), network("::ffff:10.1.2.3", 128),
        network("2001:db8::", 32),       network("::ffff:127.0.0.1", 128)};
    static const bool place_fits[PLACES][PEERS] = {
        {true, true, true, true, true, true, true},       /* all */
        {true, false, false, false, false, false, false}, /* local */
        {false, false, true, true, false, false, true},   /* 10.0.0.0/8 */
        {false, false, true, false, false, false, true},  /* 10.1.2.3 */
        {false, false, false, false, false, true, false}, /* 2001:db8::/32 */
        {false, true, false, false, false, false, false}, /* 127.0.0.1 */
    };
    static const bool tls_fits[2][2] = {{true, true}, {false, true}}; /* rule wants, peer has */
    unsigned cells = 0;
    for (unsigned d = 0; d < NAMES; d++)
        for (unsigned u = 0; u < NAMES; u++)
            for (unsigned place = 0; place < PLACES; place++)
                for (unsigned cell = 0; cell < PEERS * 4; cell++)
                    for (unsigned method = SY_AUTH_REJECT; method <= SY_AUTH_PASSWORD; method++) {
                        unsigned peer = cell / 4, wants = cell / 2 % 2, has = cell % 2;
                        struct sy_config_auth_rule rule = places[place];
                        rule.database = names[d];
                        rule.user = names[u];
                        rule.tls_required = wants != 0;
                        rule.method = (enum sy_auth_method)method;
                        struct sy_auth_request request = {SY_SLICE("blog"), SY_SLICE("blog"),
                                                          peer_of(peers[peer], has != 0)};
                        bool fits = name_fits[d] && name_fits[u] && place_fits[place][peer] &&
                                    tls_fits[wants][has];
                        int decided;
                        enum sy_auth_method got =
                            sy_auth_method_for(&rule, 1, 1, &request, &decided);
                        if (got != (fits ? rule.method : SY_AUTH_REJECT) ||
                            decided != (fits ? 0 : -1))
                            fail_msg(
                                "database %s, user %s, address %u from %s, TLS %u of %u: method %d",
                                names[d], names[u], place, peers[peer], has, wants, (int)got);
                        cells++;
                    }
    assert_int_equal(cells, NAMES * NAMES * PLACES * PEERS * 4 * (SY_AUTH_PASSWORD + 1));
}

static void first_match_decides(void **state)
{
    (void)state;
    struct sy_config_auth_rule rules[] = {
        {.any_address = true, .user = "eve", .method = SY_AUTH_REJECT},
        network("::ffff:127.0.0.0", 104),
        {.any_address = true, .method = SY_AUTH_SCRAM_SHA_256},
    };
    struct sy_auth_request request = {SY_SLICE("blog"), SY_SLICE("eve"),
                                      peer_of("127.0.0.1", false)};
    int decided;
    assert_int_equal(sy_auth_method_for(rules, 3, 1, &request, &decided), SY_AUTH_REJECT);
    assert_int_equal(decided, 0);
    request.user = SY_SLICE("app");
    assert_int_equal(sy_auth_method_for(rules, 3, 1, &request, &decided), SY_AUTH_MD5);
    assert_int_equal(decided, 1);
    request.peer = peer_of("1.1.1.1", false);
    assert_int_equal(sy_auth_method_for(rules, 3, 1, &request, NULL), SY_AUTH_SCRAM_SHA_256);
}

static void without_rules_only_local_peers_get_in(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool local;
    } rows[] = {
        {"127.0.0.1", true},        {"127.9.9.9", true},  {"::1", true},       {"local", true},
        {"::ffff:127.0.0.1", true}, {"128.0.0.1", false}, {"10.0.0.1", false}, {"::", false},
        {"0.0.0.0", false},         {"fe80::1", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sy_auth_request request = {SY_SLICE("d"), SY_SLICE("u"),
                                          peer_of(rows[i].address, true)};
        int decided;
        assert_int_equal(sy_auth_method_for(NULL, 0, 1, &request, &decided),
                         rows[i].local ? SY_AUTH_SCRAM_SHA_256 : SY_AUTH_REJECT);
        assert_int_equal(sy_auth_method_for(NULL, 0, 0, &request, NULL),
                         rows[i].local ? SY_AUTH_TRUST : SY_AUTH_REJECT);
        assert_int_equal(decided, -1);
    }
    struct sockaddr_storage strange = {.ss_family = AF_APPLETALK};
    struct sy_auth_peer peer;
    sy_auth_peer_init(&peer, &strange, false);
    assert_false(sy_auth_peer_is_local(&peer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_of_a_rule_counts),
        cmocka_unit_test(every_cell_of_the_table_is_right),
        cmocka_unit_test(first_match_decides),
        cmocka_unit_test(without_rules_only_local_peers_get_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
