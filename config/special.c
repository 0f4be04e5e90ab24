/* Keys that are written as one text and stored in several fields. */
#include <arpa/inet.h>
#include <stdlib.h>

#include "config/internal.h"

static void split(struct sy_config_reading *reading, const char *text, char separator,
                  const char **ret_first, const char **ret_second)
{
    const char *at = strchr(text, separator);
    struct sy_arena *arena = &reading->config->arena;
    *ret_first = at == NULL ? NULL : sy_arena_strndup(arena, text, (size_t)(at - text));
    *ret_second = sy_arena_strdup(arena, at == NULL ? text : at + 1);
    if (*ret_second == NULL || (at != NULL && *ret_first == NULL))
        reading->no_memory = true;
}

void sy_config_split_name(struct sy_config_reading *reading, const char *text,
                          const char **ret_schema, const char **ret_name)
{
    split(reading, text, '.', ret_schema, ret_name);
    if (*ret_schema == NULL)
        *ret_schema = "public";
}

/* "10.0.0.0/8" -> mapped IPv6 network and prefix. */
static bool read_network(const char *text, struct sy_config_auth_rule *rule)
{
    char address[INET6_ADDRSTRLEN + 1];
    const char *slash = strchr(text, '/');
    size_t bytes = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (bytes >= sizeof(address))
        return false;
    memcpy(address, text, bytes);
    address[bytes] = '\0';
    struct in_addr v4;
    unsigned base = 0, most = 128;
    if (inet_pton(AF_INET, address, &v4) == 1) {
        memset(&rule->network, 0, sizeof(rule->network));
        rule->network.s6_addr[10] = rule->network.s6_addr[11] = 0xff;
        memcpy(&rule->network.s6_addr[12], &v4, sizeof(v4));
        base = 96;
        most = 32;
    } else if (inet_pton(AF_INET6, address, &rule->network) != 1) {
        return false;
    }
    rule->prefix_bits = base + most;
    if (slash == NULL)
        return true;
    char *end;
    unsigned long prefix = strtoul(slash + 1, &end, 10);
    if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || prefix > most)
        return false;
    rule->prefix_bits = base + (unsigned)prefix;
    return true;
}

static void read_address(struct sy_config_reading *reading, const char *text,
                         const config_setting_t *setting, struct sy_config_auth_rule *rule)
{
    rule->any_address = strcmp(text, "all") == 0;
    rule->local_socket = strcmp(text, "local") == 0;
    if (!rule->any_address && !rule->local_socket && !read_network(text, rule))
        sy_config_problem(
            reading, setting,
            "\"address\" is \"%s\"; write a network such as \"10.0.0.0/8\" or \"::1/128\", one "
            "address, \"all\" or \"local\"",
            text);
}

static void read_placement(struct sy_config_reading *reading, const char *text,
                           const config_setting_t *setting, struct sy_config_database *database)
{
    const char *word, *shard;
    split(reading, text, ' ', &word, &shard);
    if (strcmp(text, "refused") == 0) {
        database->default_placement = SY_PLACEMENT_REFUSED;
    } else if (strcmp(text, "reference") == 0) {
        database->default_placement = SY_PLACEMENT_REFERENCE;
    } else if (word != NULL && strcmp(word, "local") == 0) {
        database->default_placement = SY_PLACEMENT_LOCAL;
        database->default_placement_shard = shard;
    } else {
        sy_config_problem(
            reading, setting,
            "\"default_placement\" is \"%s\"; write \"refused\", \"reference\" or \"local "
            "SHARD\"",
            text);
    }
}

void sy_config_read_special(struct sy_config_reading *reading, const char *key, const char *text,
                            const config_setting_t *setting, void *base)
{
    if (strcmp(key, "address") == 0)
        read_address(reading, text, setting, base);
    else
        read_placement(reading, text, setting, base);
}
