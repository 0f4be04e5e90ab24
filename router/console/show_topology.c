/* SHOW SHARDS, KEYSPACES, TABLES, NODES, USERS, CONFIG, VERSION, HELP: the snapshot and the program
 * itself. */
#include <stdio.h>

#include "base/version.h"
#include "router/console/internal.h"

static const char *const role_names[] = {"unknown", "primary", "replica"};

static void write_shard(struct sy_console_view *view, const struct sy_topology_database *database,
                        const struct sy_topology_shard *shard)
{
    const char *primary = NULL;
    uint32_t serving = 0, active = 0;
    for (uint32_t i = 0; i < shard->node_count; i++) {
        const struct sy_node *node = shard->nodes[i];
        int role = atomic_load(&node->role);
        if (role == SY_NODE_PRIMARY)
            primary = node->name;
        serving += role == SY_NODE_REPLICA && atomic_load(&node->reachable);
        active += atomic_load(&node->active);
    }
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, database->config->name);
    sy_console_slice(view, shard->name);
    sy_console_text(view, primary);
    sy_console_int(view, shard->node_count);
    sy_console_int(view, serving);
    sy_console_int(view, active);
    sy_console_row_end(view, start);
}

void sy_show_shards(struct sy_console_view *view)
{
    for (uint32_t i = 0; i < view->topology->database_count; i++) {
        for (uint32_t s = 0; s < view->topology->databases[i].shard_count; s++)
            write_shard(view, &view->topology->databases[i],
                        &view->topology->databases[i].shards[s]);
    }
}

static void write_node(struct sy_console_view *view, const struct sy_topology_database *database,
                       const struct sy_topology_shard *shard, const struct sy_node *node)
{
    char lsn[32];
    uint64_t position = atomic_load(&node->replay_lsn);
    snprintf(lsn, sizeof(lsn), "%X/%X", (unsigned)(position >> 32), (unsigned)position);
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, database->config->name);
    sy_console_slice(view, shard->name);
    sy_console_text(view, node->name);
    sy_console_text(view, node->engine == SY_ENGINE_SQLITE ? node->file : node->host);
    sy_console_text(view, node->port);
    sy_console_text(view, node->zone);
    sy_console_int(view, node->weight);
    sy_console_text(view, role_names[atomic_load(&node->role)]);
    sy_console_text(view, atomic_load(&node->reachable) ? "yes" : "no");
    sy_console_text(view, lsn);
    sy_console_int(view, atomic_load(&node->lag_us));
    sy_console_int(view, atomic_load(&node->connections));
    sy_console_int(view, atomic_load(&node->active));
    sy_console_row_end(view, start);
}

void sy_show_nodes(struct sy_console_view *view)
{
    for (uint32_t i = 0; i < view->topology->database_count; i++) {
        const struct sy_topology_database *database = &view->topology->databases[i];
        for (uint32_t s = 0; s < database->shard_count; s++) {
            for (uint32_t n = 0; n < database->shards[s].node_count; n++)
                write_node(view, database, &database->shards[s], database->shards[s].nodes[n]);
        }
    }
}

void sy_show_federation(struct sy_console_view *view)
{
    for (uint32_t i = 0; i < view->topology->database_count; i++) {
        const struct sy_topology_database *database = &view->topology->databases[i];
        if (database->federation.node_count == 0)
            continue;
        const struct sy_topology_federation *made =
            database->inspected == NULL ? NULL : database->inspected->federation;
        bool ready = made != NULL && made->facts.ready;
        size_t start = sy_console_row_begin(view);
        sy_console_text(view, database->config->name);
        sy_console_slice(view, database->shards[database->federation_host].name);
        sy_console_text(view, database->federation.nodes[0]->server_database);
        sy_console_text(view, ready ? "yes" : "no");
        sy_console_int(view, ready ? made->facts.relation_count : 0);
        sy_console_text(view, made == NULL ? "it is being built" : made->facts.why);
        sy_console_row_end(view, start);
    }
}

static const char *const strategy_names[] = {"hash", "range", "list", "geo"};
static const char *const type_names[] = {"int2",   "int4", "int8", "text",      "varchar",
                                         "bpchar", "uuid", "date", "timestamp", "timestamptz"};

/* "s0, s1": appended as one text cell. */
static void write_shard_names(struct sy_console_view *view, const struct sy_shardmap *map,
                              const struct sy_shard_set *shards)
{
    struct sy_buf names = {0};
    for (uint32_t i = 0; i < sy_shardmap_shard_count(map); i++) {
        if (!sy_shard_set_has(shards, i))
            continue;
        if (names.bytes > 0)
            sy_buf_append_str(&names, ", ");
        sy_buf_append_slice(&names, sy_shardmap_shard_name(map, i));
    }
    sy_console_slice(view, (struct sy_slice){names.bytes > 0 ? names.data : "", names.bytes});
    sy_buf_release(&names);
}

static uint32_t tables_of(const struct sy_shardmap *map, uint32_t keyspace)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < sy_shardmap_table_count(map); i++) {
        const struct sy_map_table *table = sy_shardmap_table(map, i);
        count += table->placement == SY_TABLE_SHARDED && table->keyspace == keyspace;
    }
    return count;
}

void sy_show_keyspaces(struct sy_console_view *view)
{
    for (uint32_t d = 0; d < view->topology->database_count; d++) {
        const struct sy_topology_database *database = &view->topology->databases[d];
        for (uint32_t i = 0; i < sy_shardmap_keyspace_count(database->map); i++) {
            const struct sy_keyspace_info *keyspace = sy_shardmap_keyspace(database->map, i);
            size_t start = sy_console_row_begin(view);
            sy_console_text(view, database->config->name);
            sy_console_slice(view, keyspace->name);
            sy_console_text(view, strategy_names[keyspace->strategy]);
            sy_console_text(view, type_names[keyspace->type]);
            write_shard_names(view, database->map, &keyspace->shards);
            sy_console_int(view, tables_of(database->map, i));
            sy_console_text(view, keyspace->from_catalog ? "catalog" : "configuration");
            sy_console_row_end(view, start);
        }
    }
}

static void write_table(struct sy_console_view *view, const struct sy_topology_database *database,
                        const struct sy_map_table *table)
{
    static const char *const placements[] = {"unknown", "sharded", "reference", "local"};
    char name[2 * SY_LIMIT_NAME_BYTES + 4];
    bool is_sharded = table->placement == SY_TABLE_SHARDED;
    const struct sy_slice none = {NULL, 0};
    snprintf(name, sizeof(name), "%.*s.%.*s", (int)table->schema.bytes, table->schema.data,
             (int)table->name.bytes, table->name.data);
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, database->config->name);
    sy_console_text(view, name);
    sy_console_text(view, placements[table->placement]);
    sy_console_slice(view, is_sharded ? sy_shardmap_keyspace(database->map, table->keyspace)->name
                                      : none);
    sy_console_slice(view, is_sharded ? table->key : none);
    sy_console_slice(view, table->placement == SY_TABLE_LOCAL
                               ? sy_shardmap_shard_name(database->map, table->shard)
                               : none);
    sy_console_text(view, table->from_catalog ? "catalog" : "configuration");
    sy_console_row_end(view, start);
}

void sy_show_tables(struct sy_console_view *view)
{
    for (uint32_t d = 0; d < view->topology->database_count; d++) {
        const struct sy_topology_database *database = &view->topology->databases[d];
        for (uint32_t i = 0; i < sy_shardmap_table_count(database->map); i++)
            write_table(view, database, sy_shardmap_table(database->map, i));
    }
}

void sy_show_users(struct sy_console_view *view)
{
    const struct sy_config *config = view->topology->config;
    for (uint32_t i = 0; i < config->user_count; i++) {
        size_t start = sy_console_row_begin(view);
        sy_console_text(view, config->users[i].name);
        sy_console_text(view, NULL);
        sy_console_int(view, config->users[i].connections_max);
        sy_console_text(view, config->users[i].admin   ? "admin"
                              : config->users[i].stats ? "stats"
                                                       : "");
        sy_console_row_end(view, start);
    }
}

static void write_setting(void *ctx, const char *key, const char *value, const char *default_value,
                          bool changeable)
{
    struct sy_console_view *view = ctx;
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, key);
    sy_console_text(view, value);
    sy_console_text(view, default_value);
    sy_console_text(view, changeable ? "yes" : "no");
    sy_console_row_end(view, start);
}

void sy_show_config(struct sy_console_view *view)
{
    sy_config_each_setting(view->topology->config, write_setting, view);
}

void sy_show_version(struct sy_console_view *view)
{
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, "Switchyard " SY_VERSION);
    sy_console_row_end(view, start);
}

static void write_help(void *ctx, const char *syntax, const char *help)
{
    struct sy_console_view *view = ctx;
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, syntax);
    sy_console_text(view, help);
    sy_console_row_end(view, start);
}

void sy_show_help(struct sy_console_view *view)
{
    sy_console_each_command(write_help, view);
}
