/* Shards of the process: their files, reader connections, catalogs, and the registry that finds
 * them by path. */
#include "router/engine/sqlite/shard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "router/engine/sqlite/folder.h"
#include "router/engine/sqlite/prepared.h"
#include "router/engine/sqlite/replica.h"
#include "router/engine/sqlite/session.h"
#include "router/engine/sqlite/sqlite.h"
#include "router/engine/sqlite/writer.h"
#include "router/plan/sequence.h"

static struct {
    pthread_mutex_t lock;
    struct sy_list shards;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER, .shards = {&registry.shards, &registry.shards}};

/* ---- files ---- */

static void file_free(struct sy_sqlite_file *file)
{
    if (file == NULL)
        return;
    sy_sqlite_plans_release(file);
    while (!sy_list_empty(&file->idle)) {
        struct sy_sqlite_conn *conn =
            sy_container_of(sy_list_pop(&file->idle), struct sy_sqlite_conn, link);
        sy_sqlite_conn_close(&conn);
    }
    sy_sqlite_catalog_unref(&file->catalog);
    if (file->node != NULL) {
        file->node->engine_state = NULL;
        sy_node_unref(file->node);
    }
    pthread_mutex_destroy(&file->lock);
    free(file->path);
    free(file);
}

static struct sy_sqlite_file *file_new(struct sy_sqlite_shard *shard, uint32_t index,
                                       const char *path)
{
    struct sy_sqlite_file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return NULL;
    file->shard = shard;
    file->index = index;
    pthread_mutex_init(&file->lock, NULL);
    sy_list_init(&file->idle);
    sy_list_init(&file->plans_by_use);
    int bytes = index == 0 ? asprintf(&file->path, "%s", path)
                           : asprintf(&file->path, "%s.r%u", path, index);
    if (bytes < 0) {
        file->path = NULL;
        file_free(file);
        return NULL;
    }
    return file;
}

void sy_sqlite_file_publish(struct sy_sqlite_file *file, uint64_t lsn)
{
    atomic_store(&file->lsn, lsn);
    pthread_mutex_lock(&file->lock);
    if (file->node != NULL) {
        atomic_store(&file->node->replay_lsn, lsn);
        atomic_store(&file->node->lag_us, 0);
    }
    pthread_mutex_unlock(&file->lock);
}

void sy_sqlite_file_attach(struct sy_sqlite_file *file, struct sy_node *node)
{
    pthread_mutex_lock(&file->lock);
    struct sy_node *before = file->node;
    if (before != node) {
        file->node = sy_node_ref(node);
        node->engine_state = file;
    }
    atomic_store(&node->role, file->index == 0 ? SY_NODE_PRIMARY : SY_NODE_REPLICA);
    atomic_store(&node->reachable, true);
    atomic_store(&node->replay_lsn, atomic_load(&file->lsn));
    atomic_store(&node->lag_us, 0);
    pthread_mutex_unlock(&file->lock);
    if (before != NULL && before != node)
        sy_node_unref(before);
}

/* ---- reader connections ---- */

enum sy_status sy_sqlite_reader_take(struct sy_sqlite_file *file, struct sy_sqlite_conn **ret_conn,
                                     struct sy_err *err)
{
    pthread_mutex_lock(&file->lock);
    struct sy_list *node = sy_list_pop(&file->idle);
    bool full = node == NULL && file->reader_count >= SY_SQLITE_READERS_MAX;
    if (node == NULL && !full)
        file->reader_count++;
    pthread_mutex_unlock(&file->lock);
    if (node != NULL) {
        *ret_conn = sy_container_of(node, struct sy_sqlite_conn, link);
        return SY_OK;
    }
    if (full) {
        enum sy_status status = sy_err_set(
            err, SY_E_TOO_MANY, "too many statements and snapshots are open on this shard");
        sy_err_hint(
            err,
            "At most %d read at the same time; close transactions and cursors that are not used.",
            SY_SQLITE_READERS_MAX);
        return status;
    }
    enum sy_status status = sy_sqlite_conn_open(file->path, false, ret_conn, err);
    if (status != SY_OK) {
        pthread_mutex_lock(&file->lock);
        file->reader_count--;
        pthread_mutex_unlock(&file->lock);
    }
    return status;
}

void sy_sqlite_reader_give(struct sy_sqlite_file *file, struct sy_sqlite_conn **conn)
{
    struct sy_sqlite_conn *given = *conn;
    *conn = NULL;
    if (given == NULL)
        return;
    given->slot.session = NULL;
    pthread_mutex_lock(&file->lock);
    bool keep = file->reader_count <= SY_SQLITE_IDLE_READERS;
    if (keep)
        sy_list_prepend(&file->idle, &given->link);
    else
        file->reader_count--;
    pthread_mutex_unlock(&file->lock);
    if (!keep)
        sy_sqlite_conn_close(&given);
}

/* ---- catalogs ---- */

struct sy_sqlite_catalog *sy_sqlite_file_catalog(struct sy_sqlite_file *file)
{
    pthread_mutex_lock(&file->lock);
    struct sy_sqlite_catalog *catalog = sy_sqlite_catalog_ref(file->catalog);
    pthread_mutex_unlock(&file->lock);
    return catalog;
}

void sy_sqlite_file_set_catalog(struct sy_sqlite_file *file, struct sy_sqlite_catalog *catalog)
{
    pthread_mutex_lock(&file->lock);
    struct sy_sqlite_catalog *before = file->catalog;
    file->catalog = catalog;
    atomic_store(&file->generation, catalog->generation);
    pthread_mutex_unlock(&file->lock);
    sy_sqlite_catalog_unref(&before);
}

/* ---- shards ---- */

static void shard_tick(struct sy_sqlite_tick *tick, uint64_t now_us)
{
    sy_sqlite_writer_tick(sy_container_of(tick, struct sy_sqlite_shard, tick), now_us);
}

static void shard_free(struct sy_sqlite_shard *shard)
{
    sy_sqlite_branch_free(&shard->owed);
    sy_sqlite_capture_free(&shard->capture);
    sy_sqlite_conn_close(&shard->writer);
    for (uint32_t i = 0; i < shard->file_count; i++) {
        sy_sqlite_replica_free(&shard->files[i]->replica);
        file_free(shard->files[i]);
    }
    free(shard->sequences);
    pthread_mutex_destroy(&shard->lock);
    free(shard);
}

/* The folders of a file, as mkdir -p. What fails here is told when the file cannot be opened. */
static void make_folders(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", path);
    for (char *at = strchr(folder + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
        *at = '\0';
        (void)mkdir(folder, 0700);
        *at = '/';
    }
}

enum sy_status sy_sqlite_shard_reload(struct sy_sqlite_shard *shard, struct sy_err *err)
{
    struct sy_sqlite_file *file = shard->files[0];
    struct sy_sqlite_catalog *before = file->catalog;
    file->catalog = NULL;
    sy_sqlite_catalog_unref(&before);
    shard->sequence_count = 0;
    enum sy_status status = sy_sqlite_catalog_load(shard->writer, &file->catalog, err);
    if (status == SY_OK)
        status = sy_sqlite_writer_load(shard, err);
    if (status == SY_OK)
        atomic_store(&file->generation, file->catalog->generation);
    return status;
}

static enum sy_status open_primary(struct sy_sqlite_shard *shard, struct sy_err *err)
{
    struct sy_sqlite_file *file = shard->files[0];
    make_folders(file->path);
    enum sy_status status = sy_sqlite_folder_claim(file->path, err);
    if (status == SY_OK)
        status = sy_sqlite_conn_open(file->path, true, &shard->writer, err);
    if (status == SY_OK)
        status = sy_sqlite_catalog_create(shard->writer, err);
    return status == SY_OK ? sy_sqlite_shard_reload(shard, err) : status;
}

static enum sy_status shard_new(const char *path, struct sy_sqlite_shard **ret_shard,
                                struct sy_err *err)
{
    struct sy_sqlite_shard *shard = calloc(1, sizeof(*shard));
    if (shard == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    pthread_mutex_init(&shard->lock, NULL);
    sy_list_init(&shard->waiters);
    sy_list_init(&shard->timed);
    sy_list_init(&shard->sessions);
    sy_sqlite_task_init(&shard->writer_task, sy_sqlite_writer_run);
    shard->files[0] = file_new(shard, 0, path);
    enum sy_status status = SY_OK;
    if (shard->files[0] == NULL) {
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    } else {
        shard->file_count = 1;
        status = open_primary(shard, err);
    }
    if (status != SY_OK) {
        shard_free(shard);
        return status;
    }
    shard->started_us = sy_sqlite_now_us();
    shard->tick.tick = shard_tick;
    sy_sqlite_tick_add(&shard->tick);
    *ret_shard = shard;
    return SY_OK;
}

static struct sy_sqlite_shard *find_shard(const char *path)
{
    sy_list_each(node, &registry.shards)
    {
        struct sy_sqlite_shard *shard = sy_container_of(node, struct sy_sqlite_shard, link);
        if (strcmp(shard->files[0]->path, path) == 0)
            return shard;
    }
    return NULL;
}

/* Adds replicas up to `index`: each gets its copy before the next write can be committed. */
static enum sy_status add_replicas(struct sy_sqlite_shard *shard, uint32_t index,
                                   struct sy_err *err)
{
    enum sy_status status = SY_OK;
    while (status == SY_OK && shard->file_count <= index) {
        struct sy_sqlite_file *file = file_new(shard, shard->file_count, shard->files[0]->path);
        if (file == NULL)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        status = sy_sqlite_replica_new(file, err);
        if (status != SY_OK) {
            file_free(file);
            return status;
        }
        pthread_mutex_lock(&shard->lock);
        shard->files[shard->file_count] = file;
        shard->file_count++;
        pthread_mutex_unlock(&shard->lock);
        sy_sqlite_replica_start(file->replica);
    }
    return status;
}

/* The shard of a path, opened when it is not: not ready then. Under the registry's lock. */
static enum sy_status get_shard(const char *path, struct sy_sqlite_shard **ret_shard,
                                struct sy_err *err)
{
    struct sy_sqlite_shard *shard = find_shard(path);
    if (shard == NULL) {
        enum sy_status status = shard_new(path, &shard, err);
        if (status != SY_OK)
            return status;
        sy_list_append(&registry.shards, &shard->link);
    }
    *ret_shard = shard;
    return SY_OK;
}

enum sy_status sy_sqlite_file_find(const char *path, uint32_t index,
                                   struct sy_sqlite_file **ret_file, struct sy_err *err)
{
    pthread_mutex_lock(&registry.lock);
    struct sy_sqlite_shard *shard = find_shard(path);
    bool found = shard != NULL && shard->ready && index < shard->file_count;
    if (found)
        *ret_file = shard->files[index];
    pthread_mutex_unlock(&registry.lock);
    if (found)
        return SY_OK;
    enum sy_status status =
        sy_err_set(err, SY_E_CONNECT, "the embedded shard \"%s\" is not open", path);
    sy_err_hint(err, "The log says why it, or another shard of its database, cannot be opened.");
    return status;
}

enum sy_status sy_sqlite_node_attach(struct sy_node *node, struct sy_err *err)
{
    struct sy_sqlite_shard *shard = NULL;
    enum sy_status status = sy_sqlite_tasks_start(0, err);
    if (status != SY_OK)
        return status;
    if (node->node_index >= SY_LIMIT_NODES_PER_SHARD)
        return sy_err_set(err, SY_E_LIMIT, "a shard has at most %d nodes",
                          SY_LIMIT_NODES_PER_SHARD);
    pthread_mutex_lock(&registry.lock);
    status = get_shard(node->file, &shard, err);
    if (status == SY_OK)
        status = add_replicas(shard, node->node_index, err);
    if (status == SY_OK) {
        shard->ready = true;
        sy_sqlite_file_attach(shard->files[node->node_index], node);
    }
    pthread_mutex_unlock(&registry.lock);
    return status;
}

/* Under the registry's lock. */
static enum sy_status open_all(const struct sy_topology_database *database,
                               struct sy_sqlite_shard **shards, struct sy_err *err)
{
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; status == SY_OK && i < database->shard_count; i++)
        status = get_shard(database->shards[i].nodes[0]->file, &shards[i], err);
    if (status == SY_OK)
        status = sy_sqlite_recover(shards, database->shard_count, err);
    for (uint32_t i = 0; status == SY_OK && i < database->shard_count; i++)
        status = add_replicas(shards[i], database->shards[i].node_count - 1, err);
    for (uint32_t i = 0; status == SY_OK && i < database->shard_count; i++) {
        atomic_store(&shards[i]->several, database->shard_count > 1);
        atomic_store(&shards[i]->class_index, i);
        atomic_store(&shards[i]->class_count,
                     database->shard_count > 1 ? sy_sequence_modulus(database->shard_count) : 1);
        shards[i]->ready = true;
    }
    return status;
}

enum sy_status sy_sqlite_database_open(const struct sy_topology_database *database,
                                       struct sy_err *err)
{
    enum sy_status status = sy_sqlite_tasks_start(0, err);
    struct sy_sqlite_shard **shards =
        calloc(database->shard_count + 1, sizeof(struct sy_sqlite_shard *));
    if (shards == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    pthread_mutex_lock(&registry.lock);
    if (status == SY_OK)
        status = open_all(database, shards, err);
    pthread_mutex_unlock(&registry.lock);
    free(shards);
    return status;
}

void sy_sqlite_each_shard(void (*each)(void *ctx, struct sy_sqlite_shard *shard), void *ctx)
{
    pthread_mutex_lock(&registry.lock);
    sy_list_each(node, &registry.shards)
    {
        each(ctx, sy_container_of(node, struct sy_sqlite_shard, link));
    }
    pthread_mutex_unlock(&registry.lock);
}

/* Closes every shard: no session may be left. */
static void close_all(void)
{
    pthread_mutex_lock(&registry.lock);
    while (!sy_list_empty(&registry.shards)) {
        struct sy_sqlite_shard *shard =
            sy_container_of(sy_list_pop(&registry.shards), struct sy_sqlite_shard, link);
        sy_sqlite_tick_remove(&shard->tick);
        shard_free(shard);
    }
    sy_sqlite_folders_release();
    pthread_mutex_unlock(&registry.lock);
}

void sy_sqlite_stop(void)
{
    sy_sqlite_tasks_stop();
    close_all();
}
