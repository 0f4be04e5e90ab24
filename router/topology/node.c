/*
 * Nodes: made when a topology is built, kept alive by snapshots, links and the monitor through an
 * atomic reference count. What describes a node never changes after it was made; its live state is
 * atomics.
 */
#include "router/topology/node.h"

#include <stdlib.h>
#include <string.h>

#include "router/topology/conninfo.h"

struct sy_node *sy_node_ref(struct sy_node *node)
{
    atomic_fetch_add_explicit(&node->refs, 1, memory_order_relaxed);
    return node;
}

void sy_node_unref(struct sy_node *node)
{
    if (node == NULL || atomic_fetch_sub_explicit(&node->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (node->password != NULL)
        explicit_bzero((void *)(uintptr_t)node->password, strlen(node->password));
    sy_arena_release(&node->arena);
    free(node);
}

static void set_initial_state(struct sy_node *node, uint32_t node_count)
{
    bool is_static = node->engine == SY_ENGINE_SQLITE;
    int role = SY_NODE_UNKNOWN;
    if (node_count == 1)
        role = SY_NODE_PRIMARY; /* nobody else can be */
    else if (is_static)
        role = node->node_index == 0 ? SY_NODE_PRIMARY : SY_NODE_REPLICA;
    atomic_store(&node->role, role);
    atomic_store(&node->reachable, is_static || node_count == 1);
    atomic_store(&node->lag_us, node_count == 1 || is_static ? 0 : -1);
}

static enum sy_status copy_strings(struct sy_node *node, const struct sy_node_source *source,
                                   struct sy_err *err)
{
    struct sy_arena *arena = &node->arena;
    const struct sy_config_node *config = source->config;
    node->database = sy_arena_strdup(arena, source->database->name);
    const char *shard = source->shard_name != NULL ? source->shard_name : source->shard->name;
    node->shard = sy_arena_strdup(arena, shard);
    node->name = sy_arena_printf(arena, "%s/%u", shard, source->node_index);
    node->conninfo =
        sy_arena_strdup(arena, config != NULL && config->conninfo != NULL ? config->conninfo : "");
    node->zone = sy_arena_strdup(arena, config != NULL && config->zone != NULL ? config->zone : "");
    bool complete = node->database != NULL && node->shard != NULL && node->name != NULL &&
                    node->conninfo != NULL && node->zone != NULL;
    if (config != NULL && config->user != NULL) {
        node->user = sy_arena_strdup(arena, config->user);
        complete = complete && node->user != NULL;
    }
    if (config != NULL && config->password != NULL) {
        node->password = sy_arena_strdup(arena, config->password);
        complete = complete && node->password != NULL;
    }
    if (source->server_database != NULL) {
        node->other_database = sy_arena_strdup(arena, source->server_database);
        complete = complete && node->other_database != NULL;
    }
    if (node->engine == SY_ENGINE_SQLITE) {
        node->file = sy_node_file(arena, source);
        complete = complete && node->file != NULL;
    }
    return complete ? SY_OK : sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
}

const char *sy_node_file(struct sy_arena *arena, const struct sy_node_source *source)
{
    if (source->database->data_dir != NULL)
        return sy_arena_printf(arena, "%s/%s.db", source->database->data_dir, source->shard->name);
    return sy_arena_printf(arena, "%s/%s/%s.db", source->data_dir != NULL ? source->data_dir : ".",
                           source->database->name, source->shard->name);
}

static void fill_embedded(struct sy_node *node)
{
    node->host = node->hostaddr = node->port = node->sslrootcert = node->sslcert = node->sslkey =
        "";
    node->sslcrl = node->application_name = node->client_encoding = node->options = "";
    node->conninfo_user = node->conninfo_password = node->control_conninfo = "";
    node->server_database = node->database;
    node->sslmode = node->channel_binding = "disable";
    node->is_local = true;
}

enum sy_status sy_node_new(const struct sy_node_source *source, struct sy_node **ret_node,
                           struct sy_err *err)
{
    struct sy_node *node = calloc(1, sizeof(*node));
    if (node == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    atomic_store(&node->refs, 1);
    node->engine = source->database->engine;
    node->shard_index = source->shard_index;
    node->node_index = source->node_index;
    node->weight =
        source->config != NULL && source->config->weight != 0 ? source->config->weight : 1;
    enum sy_status status = copy_strings(node, source, err);
    if (status == SY_OK && node->engine == SY_ENGINE_SQLITE)
        fill_embedded(node);
    else if (status == SY_OK)
        status = sy_conninfo_resolve(node, err);
    if (status != SY_OK) {
        sy_node_unref(node);
        return status;
    }
    set_initial_state(node, source->node_count);
    *ret_node = node;
    return SY_OK;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a == NULL ? "" : a, b == NULL ? "" : b) == 0;
}

/* Files and the environment that a conninfo refers to may have changed: compare what was resolved,
 * too. */
bool sy_node_same(const struct sy_node *a, const struct sy_node *b)
{
    return a->engine == b->engine && a->shard_index == b->shard_index &&
           a->node_index == b->node_index && a->weight == b->weight &&
           same_text(a->database, b->database) && same_text(a->shard, b->shard) &&
           same_text(a->conninfo, b->conninfo) && same_text(a->zone, b->zone) &&
           same_text(a->user, b->user) && same_text(a->password, b->password) &&
           same_text(a->file, b->file) && same_text(a->control_conninfo, b->control_conninfo) &&
           same_text(a->channel_binding, b->channel_binding);
}
