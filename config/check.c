/*
 * What one key can't say: names that must exist, things listed twice, keys that go together. Pure;
 * reports every problem it finds. Bounds and key values are checked where their types are known: by
 * sy_shardmap_build().
 */
#include "config/internal.h"

struct check {
    struct sy_config_reading *reading;
    const struct sy_config_database *database; /* being checked */
};

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static bool has_shard(const struct sy_config_database *database, const char *name)
{
    for (uint32_t i = 0; i < database->shard_count; i++) {
        if (same(database->shards[i].name, name))
            return true;
    }
    return false;
}

static void need_shard(const struct check *check, const char *name, const char *who)
{
    if (name != NULL && !has_shard(check->database, name))
        sy_config_problem(check->reading, NULL,
                          "database \"%s\": %s names shard \"%s\", which is not among its shards",
                          check->database->name, who, name);
}

static void check_shards(const struct check *check)
{
    const struct sy_config_database *database = check->database;
    if (database->shard_count == 0)
        sy_config_problem(check->reading, NULL,
                          "database \"%s\" has no shard; give it at least one", database->name);
    for (uint32_t i = 0; i < database->shard_count; i++) {
        const struct sy_config_shard *shard = &database->shards[i];
        for (uint32_t j = 0; j < i; j++) {
            if (same(shard->name, database->shards[j].name))
                sy_config_problem(check->reading, NULL,
                                  "database \"%s\": shard \"%s\" is listed twice", database->name,
                                  shard->name);
        }
        if (database->engine != SY_ENGINE_SQLITE && shard->node_count == 0)
            sy_config_problem(check->reading, NULL,
                              "database \"%s\": shard \"%s\" has no nodes; add nodes = ( { "
                              "conninfo = \"...\"; } )",
                              database->name, shard->name);
        if (database->engine == SY_ENGINE_SQLITE && shard->node_count > 0)
            sy_config_problem(
                check->reading, NULL,
                "database \"%s\": shard \"%s\": the sqlite engine has no nodes; use replicas = N",
                database->name, shard->name);
    }
}

static void check_placement_keys(const struct check *check,
                                 const struct sy_config_keyspace *keyspace)
{
    static const struct {
        enum sy_strategy strategy;
        const char *word, *needs;
    } rules[] = {{SY_STRATEGY_HASH, "hash", NULL},
                 {SY_STRATEGY_RANGE, "range", "ranges"},
                 {SY_STRATEGY_LIST, "list", "lists"},
                 {SY_STRATEGY_GEO, "geo", "regions"}};
    const uint32_t given[] = {0, keyspace->range_count, keyspace->list_count,
                              keyspace->region_count};
    for (size_t i = 1; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (keyspace->strategy == rules[i].strategy && given[i] == 0)
            sy_config_problem(
                check->reading, NULL,
                "database \"%s\": keyspace \"%s\" has strategy \"%s\" and needs \"%s\"",
                check->database->name, keyspace->name, rules[i].word, rules[i].needs);
        if (keyspace->strategy != rules[i].strategy && given[i] != 0)
            sy_config_problem(
                check->reading, NULL,
                "database \"%s\": keyspace \"%s\" has \"%s\", which strategy \"%s\" does not use",
                check->database->name, keyspace->name, rules[i].needs,
                rules[keyspace->strategy].word);
    }
}

static void check_keyspace_shards(const struct check *check,
                                  const struct sy_config_keyspace *keyspace)
{
    char who[160];
    snprintf(who, sizeof(who), "keyspace \"%.63s\"", keyspace->name);
    for (uint32_t i = 0; i < keyspace->shard_count; i++)
        need_shard(check, keyspace->shards[i], who);
    for (uint32_t i = 0; i < keyspace->range_count; i++) {
        need_shard(check, keyspace->ranges[i].shard, who);
        if (keyspace->ranges[i].upto == NULL && i + 1 < keyspace->range_count)
            sy_config_problem(check->reading, NULL,
                              "database \"%s\": %s: only the last range may lack \"upto\"",
                              check->database->name, who);
    }
    for (uint32_t i = 0; i < keyspace->list_count; i++)
        need_shard(check, keyspace->lists[i].shard, who);
    need_shard(check, keyspace->default_shard, who);
    for (uint32_t i = 0; i < keyspace->region_count; i++) {
        const struct sy_config_region *region = &keyspace->regions[i];
        for (uint32_t j = 0; j < region->shard_count; j++)
            need_shard(check, region->shards[j], who);
        for (uint32_t t = 0; region->shard_count > 1 && t < keyspace->table_count; t++) {
            if (keyspace->tables[t].hash_key == NULL)
                sy_config_problem(
                    check->reading, NULL,
                    "database \"%s\": %s: region \"%s\" has several shards, so table \"%s\" "
                    "needs a hash_key",
                    check->database->name, who, region->name, keyspace->tables[t].name);
        }
    }
}

static void check_keyspaces(const struct check *check)
{
    const struct sy_config_database *database = check->database;
    for (uint32_t i = 0; i < database->keyspace_count; i++) {
        const struct sy_config_keyspace *keyspace = &database->keyspaces[i];
        for (uint32_t j = 0; j < i; j++) {
            if (same(keyspace->name, database->keyspaces[j].name))
                sy_config_problem(check->reading, NULL,
                                  "database \"%s\": keyspace \"%s\" is listed twice",
                                  database->name, keyspace->name);
        }
        check_placement_keys(check, keyspace);
        check_keyspace_shards(check, keyspace);
    }
}

/* Calls for every declared table in a fixed order, so that two walks can be compared by their
 * counters. */
static void each_table(const struct sy_config_database *database,
                       void (*visit)(void *ctx, unsigned number, const char *schema,
                                     const char *name),
                       void *ctx)
{
    unsigned number = 0;
    for (uint32_t i = 0; i < database->keyspace_count; i++) {
        for (uint32_t t = 0; t < database->keyspaces[i].table_count; t++)
            visit(ctx, number++, database->keyspaces[i].tables[t].schema,
                  database->keyspaces[i].tables[t].name);
    }
    for (uint32_t i = 0; i < database->reference_table_count; i++)
        visit(ctx, number++, database->reference_tables[i].schema,
              database->reference_tables[i].name);
    for (uint32_t i = 0; i < database->local_table_count; i++)
        visit(ctx, number++, database->local_tables[i].schema, database->local_tables[i].name);
}

struct pair_search {
    const struct check *check;
    unsigned number;
    const char *schema, *name;
};

static void compare_table(void *ctx, unsigned number, const char *schema, const char *name)
{
    const struct pair_search *search = ctx;
    if (number < search->number && same(schema, search->schema) && same(name, search->name))
        sy_config_problem(
            search->check->reading, NULL,
            "database \"%s\": table \"%s.%s\" is declared twice; a table has one placement",
            search->check->database->name, schema, name);
}

static void search_earlier(void *ctx, unsigned number, const char *schema, const char *name)
{
    const struct check *check = ctx;
    struct pair_search search = {check, number, schema, name};
    each_table(check->database, compare_table, &search);
}

static void split_table_names(struct sy_config_reading *reading,
                              struct sy_config_database *database)
{
    for (uint32_t i = 0; i < database->keyspace_count; i++) {
        struct sy_config_keyspace *keyspace = &database->keyspaces[i];
        for (uint32_t t = 0; t < keyspace->table_count; t++)
            sy_config_split_name(reading, keyspace->tables[t].name, &keyspace->tables[t].schema,
                                 &keyspace->tables[t].name);
    }
    for (uint32_t i = 0; i < database->local_table_count; i++)
        sy_config_split_name(reading, database->local_tables[i].name,
                             &database->local_tables[i].schema, &database->local_tables[i].name);
}

/* One shard and no word about it: everything lives there. */
static void settle_default_placement(struct sy_config_database *database)
{
    if (database->shard_count == 1 && database->default_placement == SY_PLACEMENT_REFUSED &&
        database->keyspace_count == 0) {
        database->default_placement = SY_PLACEMENT_LOCAL;
        database->default_placement_shard = database->shards[0].name;
    }
}

static void check_database(struct sy_config_reading *reading, struct sy_config_database *database)
{
    struct check check = {reading, database};
    split_table_names(reading, database);
    settle_default_placement(database);
    check_shards(&check);
    check_keyspaces(&check);
    for (uint32_t i = 0; i < database->local_table_count; i++)
        need_shard(&check, database->local_tables[i].shard, "local_tables");
    need_shard(&check, database->default_placement_shard, "default_placement");
    need_shard(&check, database->federation_node, "federation.node");
    if (database->federation_node != NULL && database->engine != SY_ENGINE_POSTGRES)
        sy_config_problem(reading, NULL, "database \"%s\": federation is for the postgres engine",
                          database->name);
    if (database->federation_node != NULL &&
        strlen(database->name) > SY_LIMIT_NAME_BYTES - strlen("switchyard_fed_"))
        sy_config_problem(reading, NULL,
                          "database \"%s\": with federation a name has at most 48 bytes",
                          database->name);
    each_table(database, search_earlier, &check);
    if (same(database->name, "switchyard"))
        sy_config_problem(reading, NULL,
                          "a database can't be named \"switchyard\": that is the admin console");
    if (database->engine == SY_ENGINE_MYSQL)
        sy_config_problem(
            reading, NULL,
            "database \"%s\": this version has no mysql engine; use \"postgres\" or \"sqlite\"",
            database->name);
}

void sy_config_check_declared(struct sy_config_reading *reading)
{
    for (uint32_t i = 0; i < reading->config->database_count; i++) {
        const struct sy_config_database *database = &reading->config->databases[i];
        struct check check = {reading, database};
        check_keyspaces(&check);
        for (uint32_t t = 0; t < database->local_table_count; t++)
            need_shard(&check, database->local_tables[t].shard, "LOCAL TABLE");
    }
}

static void check_auth_query(struct sy_config_reading *reading,
                             const struct sy_config_database *database)
{
    const char *name = database->name;
    if (database->auth_query.user == NULL) {
        if (database->auth_query.query != NULL || database->auth_query.password != NULL)
            sy_config_problem(reading, NULL, "database \"%s\": auth_query needs \"user\"", name);
        return;
    }
    if (database->engine != SY_ENGINE_POSTGRES)
        sy_config_problem(reading, NULL,
                          "database \"%s\": auth_query needs the engine \"postgres\"", name);
    if (database->auth_query.query != NULL && strstr(database->auth_query.query, "$1") == NULL)
        sy_config_problem(reading, NULL,
                          "database \"%s\": auth_query.query needs $1 for the user's name", name);
}

static void check_users(struct sy_config_reading *reading, const struct sy_config *config)
{
    for (uint32_t i = 0; i < config->user_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (same(config->users[i].name, config->users[j].name))
                sy_config_problem(reading, NULL, "user \"%s\" is listed twice",
                                  config->users[i].name);
        }
        if (config->users[i].password != NULL && config->users[i].secret != NULL)
            sy_config_problem(reading, NULL,
                              "user \"%s\" has both \"password\" and \"secret\"; give one",
                              config->users[i].name);
    }
}

static void check_tls(struct sy_config_reading *reading, const struct sy_config *config)
{
    bool has_files = config->client_tls.cert_file != NULL && config->client_tls.key_file != NULL;
    if (config->client_tls.mode != SY_TLS_DISABLE && !has_files)
        sy_config_problem(reading, NULL,
                          "client_tls.mode needs client_tls.cert_file and client_tls.key_file");
    for (uint32_t i = 0; i < config->auth_count; i++) {
        const struct sy_config_auth_rule *rule = &config->auth[i];
        bool needs_tls = rule->tls_required || rule->method == SY_AUTH_SCRAM_SHA_256_PLUS ||
                         rule->method == SY_AUTH_CERT;
        if (needs_tls && config->client_tls.mode == SY_TLS_DISABLE)
            sy_config_problem(reading, NULL,
                              "auth rule %u can never match: client_tls.mode is \"disable\"",
                              i + 1);
        if (rule->method == SY_AUTH_CERT && config->client_tls.ca_file == NULL)
            sy_config_problem(reading, NULL,
                              "auth rule %u: method \"cert\" needs client_tls.ca_file", i + 1);
    }
}

void sy_config_check(struct sy_config_reading *reading)
{
    struct sy_config *config = reading->config;
    for (uint32_t i = 0; i < config->auth_count; i++) {
        struct sy_config_auth_rule *rule = &config->auth[i];
        if (rule->prefix_bits == 0 && !rule->local_socket)
            rule->any_address = true;
    }
    check_users(reading, config);
    check_tls(reading, config);
    for (uint32_t i = 0; i < config->database_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (same(config->databases[i].name, config->databases[j].name))
                sy_config_problem(reading, NULL, "database \"%s\" is listed twice",
                                  config->databases[i].name);
        }
        check_database(reading, &config->databases[i]);
        check_auth_query(reading, &config->databases[i]);
    }
}
