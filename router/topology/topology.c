/*
 * Snapshots: building one from a configuration, and the process-wide current one.
 *
 * The current snapshot is a pointer behind a mutex that is held for a few instructions, so that
 * acquiring and dropping the last reference cannot race. Workers keep the reference they have and
 * compare the epoch (one relaxed load) to learn that it is old; the mutex is not on the path of a
 * statement.
 */
#include "router/topology/topology.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "router/topology/node.h"

static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sy_topology *current; /* under current_lock */
static _Atomic uint64_t current_epoch;

/* ---- building ---- */

/* The node of `previous` that `fresh` describes again, or NULL. */
static struct sy_node *find_same(const struct sy_topology *previous, const struct sy_node *fresh)
{
    if (previous == NULL)
        return NULL;
    const struct sy_topology_database *database =
        sy_topology_find(previous, sy_slice_of(fresh->database));
    if (database == NULL || fresh->shard_index > database->shard_count)
        return NULL;
    const struct sy_topology_shard *shard = fresh->shard_index == database->shard_count
                                                ? &database->federation
                                                : &database->shards[fresh->shard_index];
    if (fresh->node_index >= shard->node_count)
        return NULL;
    struct sy_node *old = shard->nodes[fresh->node_index];
    return sy_node_same(old, fresh) ? old : NULL;
}

static uint32_t count_nodes(const struct sy_config_database *database,
                            const struct sy_config_shard *shard)
{
    if (database->engine != SY_ENGINE_SQLITE)
        return shard->node_count;
    uint32_t embedded = 1 + shard->replicas;
    return shard->node_count > embedded ? shard->node_count : embedded;
}

/* `pattern` says all but config and node_index. */
static enum sy_status build_nodes(struct sy_topology *topology, const struct sy_topology *previous,
                                  const struct sy_node_source *pattern,
                                  struct sy_topology_shard *shard, struct sy_err *err)
{
    uint32_t node_count = pattern->node_count;
    shard->nodes = sy_arena_calloc(&topology->arena, node_count, sizeof(struct sy_node *));
    if (shard->nodes == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < node_count; i++) {
        struct sy_node_source source = *pattern;
        source.config = i < pattern->shard->node_count ? &pattern->shard->nodes[i] : NULL;
        source.node_index = i;
        struct sy_node *node = NULL;
        enum sy_status status = sy_node_new(&source, &node, err);
        if (status != SY_OK)
            return status;
        struct sy_node *same = find_same(previous, node);
        if (same != NULL) {
            sy_node_unref(node);
            node = sy_node_ref(same);
        }
        shard->nodes[i] = node;
        shard->node_count = i + 1;
    }
    return SY_OK;
}

static enum sy_status build_shard(struct sy_topology *topology, const struct sy_topology *previous,
                                  const struct sy_config_database *database, uint32_t shard_index,
                                  struct sy_topology_shard *shard, struct sy_err *err)
{
    const struct sy_config_shard *config = &database->shards[shard_index];
    uint32_t node_count = count_nodes(database, config);
    if (node_count == 0 || node_count > SY_LIMIT_NODES_PER_SHARD)
        return sy_err_set(err, SY_E_CONFIG,
                          "shard %s of database %s has %u nodes; 1 to %d are possible",
                          config->name, database->name, node_count, SY_LIMIT_NODES_PER_SHARD);
    shard->name = sy_slice_of(config->name);
    struct sy_node_source source = {
        .data_dir = topology->config->data_dir,
        .database = database,
        .shard = config,
        .shard_index = shard_index,
        .node_count = node_count,
    };
    return build_nodes(topology, previous, &source, shard, err);
}

/* The database that joins rows of several shards: beside one shard, on each of its servers. */
static enum sy_status build_federation(struct sy_topology *topology,
                                       const struct sy_topology *previous,
                                       struct sy_topology_database *database, struct sy_err *err)
{
    const struct sy_config_database *config = database->config;
    if (config->federation_node == NULL || config->engine != SY_ENGINE_POSTGRES ||
        config->shard_count < 2)
        return SY_OK;
    if (config->shard_count == SY_LIMIT_SHARDS)
        return sy_err_set(err, SY_E_CONFIG, "database %s: federation is for %d shards at most",
                          config->name, SY_LIMIT_SHARDS - 1);
    uint32_t host = sy_shardmap_find_shard(database->map, sy_slice_of(config->federation_node));
    const char *name = sy_arena_printf(&topology->arena, "switchyard_fed_%s", config->name);
    if (name == NULL || host == UINT32_MAX)
        return sy_err_set(err, name == NULL ? SY_E_NO_MEMORY : SY_E_CONFIG,
                          "database %s: federation.node is not one of its shards", config->name);
    database->federation_host = host;
    database->federation.name = SY_SLICE("federation");
    struct sy_node_source source = {
        .data_dir = topology->config->data_dir,
        .database = config,
        .shard = &config->shards[host],
        .shard_index = config->shard_count,
        .node_count = database->shards[host].node_count,
        .server_database = name,
        .shard_name = "federation",
    };
    return build_nodes(topology, previous, &source, &database->federation, err);
}

struct sy_slice sy_topology_shard_name(const struct sy_topology_database *database, uint32_t shard)
{
    return shard < database->shard_count ? database->shards[shard].name : database->federation.name;
}

static struct sy_topology_schema *schema_ref(struct sy_topology_schema *schema)
{
    if (schema != NULL)
        atomic_fetch_add_explicit(&schema->refs, 1, memory_order_relaxed);
    return schema;
}

void sy_topology_schema_unref(struct sy_topology_schema *schema)
{
    if (schema == NULL || atomic_fetch_sub_explicit(&schema->refs, 1, memory_order_acq_rel) != 1)
        return;
    sy_topology_federation_free(schema->federation);
    schema->federation = NULL;
    schema->release(schema);
}

void sy_topology_federation_free(struct sy_topology_federation *federation)
{
    if (federation == NULL)
        return;
    sy_arena_release(&federation->arena);
    free(federation);
}

static enum sy_status build_database(struct sy_topology *topology,
                                     const struct sy_topology *previous, uint32_t index,
                                     struct sy_err *err)
{
    struct sy_topology_database *database = &topology->databases[index];
    const struct sy_config_database *config = &topology->config->databases[index];
    database->config = config;
    if (config->engine == SY_ENGINE_MYSQL)
        return sy_err_set(err, SY_E_CONFIG,
                          "database %s: engine \"mysql\" is not supported by this version",
                          config->name);
    if (config->shard_count == 0 || config->shard_count > SY_LIMIT_SHARDS)
        return sy_err_set(err, SY_E_CONFIG, "database %s has %u shards; 1 to %d are possible",
                          config->name, config->shard_count, SY_LIMIT_SHARDS);
    enum sy_status status = sy_shardmap_build(config, &topology->arena, &database->map, err);
    if (status != SY_OK)
        return status;
    database->shards =
        sy_arena_calloc(&topology->arena, config->shard_count, sizeof(*database->shards));
    if (database->shards == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < config->shard_count; i++) {
        database->shard_count = i + 1;
        status = build_shard(topology, previous, config, i, &database->shards[i], err);
        if (status != SY_OK)
            return status;
    }
    status = build_federation(topology, previous, database, err);
    if (status != SY_OK)
        return status;
    const struct sy_topology_database *old =
        previous == NULL ? NULL : sy_topology_find(previous, sy_slice_of(config->name));
    /* A schema stays true until the next inspection, unless the shards are others now. */
    if (old != NULL && old->inspected != NULL && old->shard_count == config->shard_count &&
        old->config->engine == config->engine) {
        database->inspected = schema_ref(old->inspected);
        database->schema = old->inspected->schema;
    }
    return SY_OK;
}

enum sy_status sy_topology_build(struct sy_config *config, const struct sy_topology *previous,
                                 struct sy_topology **ret_topology, struct sy_err *err)
{
    struct sy_topology *topology = calloc(1, sizeof(*topology));
    if (topology == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    atomic_store(&topology->refs, 1);
    topology->config = sy_config_ref(config);
    topology->epoch = previous != NULL ? previous->epoch + 1 : 1;
    enum sy_status status = SY_OK;
    topology->databases =
        sy_arena_calloc(&topology->arena, config->database_count + 1, sizeof(*topology->databases));
    if (topology->databases == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; status == SY_OK && i < config->database_count; i++) {
        topology->database_count = i + 1;
        status = build_database(topology, previous, i, err);
    }
    if (status != SY_OK) {
        sy_topology_unref(&topology);
        return status;
    }
    *ret_topology = topology;
    return SY_OK;
}

enum sy_status sy_topology_with_schema(const struct sy_topology *previous, uint32_t database,
                                       struct sy_topology_schema *schema,
                                       struct sy_topology **ret_topology, struct sy_err *err)
{
    struct sy_topology *topology = NULL;
    enum sy_status status = sy_topology_build(previous->config, previous, &topology, err);
    if (status != SY_OK)
        return status;
    struct sy_topology_database *target = &topology->databases[database];
    sy_topology_schema_unref(target->inspected);
    target->inspected = schema;
    target->schema = schema->schema;
    *ret_topology = topology;
    return SY_OK;
}

/* ---- references ---- */

struct sy_topology *sy_topology_ref(struct sy_topology *topology)
{
    atomic_fetch_add_explicit(&topology->refs, 1, memory_order_relaxed);
    return topology;
}

void sy_topology_unref(struct sy_topology **topology)
{
    struct sy_topology *self = *topology;
    *topology = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t d = 0; d < self->database_count; d++) {
        struct sy_topology_database *database = &self->databases[d];
        for (uint32_t s = 0; s < database->shard_count; s++)
            for (uint32_t n = 0; n < database->shards[s].node_count; n++)
                sy_node_unref(database->shards[s].nodes[n]);
        for (uint32_t n = 0; n < database->federation.node_count; n++)
            sy_node_unref(database->federation.nodes[n]);
        sy_topology_schema_unref(database->inspected);
    }
    sy_config_unref(&self->config);
    sy_arena_release(&self->arena);
    free(self);
}

static struct sy_topology *swap_current(struct sy_topology *topology)
{
    struct sy_topology *old = current;
    uint64_t epoch = atomic_load_explicit(&current_epoch, memory_order_relaxed) + 1;
    if (topology != NULL)
        topology->epoch = epoch;
    current = topology;
    atomic_store_explicit(&current_epoch, epoch, memory_order_release);
    return old;
}

void sy_topology_publish(struct sy_topology *topology)
{
    pthread_mutex_lock(&current_lock);
    struct sy_topology *old = swap_current(topology);
    pthread_mutex_unlock(&current_lock);
    sy_topology_unref(&old);
}

bool sy_topology_publish_over(const struct sy_topology *expected, struct sy_topology *topology)
{
    struct sy_topology *old = NULL;
    pthread_mutex_lock(&current_lock);
    bool still = current == expected;
    if (still)
        old = swap_current(topology);
    pthread_mutex_unlock(&current_lock);
    sy_topology_unref(&old);
    return still;
}

void sy_topology_retire(void)
{
    sy_topology_publish(NULL);
}

struct sy_topology *sy_topology_acquire(void)
{
    pthread_mutex_lock(&current_lock);
    struct sy_topology *topology = current != NULL ? sy_topology_ref(current) : NULL;
    pthread_mutex_unlock(&current_lock);
    return topology;
}

uint64_t sy_topology_current_epoch(void)
{
    return atomic_load_explicit(&current_epoch, memory_order_relaxed);
}

const struct sy_topology_database *sy_topology_find(const struct sy_topology *topology,
                                                    struct sy_slice database)
{
    for (uint32_t i = 0; i < topology->database_count; i++)
        if (sy_slice_eq(sy_slice_of(topology->databases[i].config->name), database))
            return &topology->databases[i];
    return NULL;
}
