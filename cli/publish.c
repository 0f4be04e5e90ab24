/* Building and publishing snapshots. */
#include "cli/publish.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/harden.h"
#include "cli/publish_internal.h"
#include "router/engine/sqlite/sqlite.h"

/* ---- the configuration ---- */

/* Nobody else has seen the configuration yet: options given on the command line replace what it
 * says. */
static enum sy_status apply_options(const struct sy_serve_options *options,
                                    struct sy_config *config, struct sy_err *err)
{
    if (options->port != 0)
        config->listen.port = options->port;
    if (options->workers >= 0)
        config->workers = (uint32_t)options->workers;
    if (options->data_dir != NULL) {
        config->data_dir = sy_arena_strdup(&config->arena, options->data_dir);
        if (config->data_dir == NULL)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    if (options->loop == NULL)
        return SY_OK;
    for (int kind = SY_LOOP_AUTO; kind <= SY_LOOP_EPOLL; kind++) {
        if (strcmp(options->loop, sy_loop_kind_name((enum sy_loop_kind)kind)) != 0)
            continue;
        config->loop = (enum sy_loop_kind)kind;
        return SY_OK;
    }
    return sy_err_set(err, SY_E_CONFIG, "--loop is auto, io_uring or epoll, not \"%s\"",
                      options->loop);
}

static enum sy_status load(const struct sy_publisher *publisher, const struct sy_buf *text,
                           struct sy_config **ret_config, struct sy_buf *problems,
                           struct sy_err *err)
{
    struct sy_config *config = NULL;
    const char *path = publisher->options->config_path;
    enum sy_status status = path != NULL ? sy_config_parse(text->data, path, &config, problems, err)
                                         : sy_config_builtin(&config, err);
    if (status == SY_OK)
        status = apply_options(publisher->options, config, err);
    if (status != SY_OK) {
        sy_config_unref(&config);
        return status;
    }
    *ret_config = config;
    return SY_OK;
}

/* ---- the catalog ---- */

bool sy_declared_add(struct declared_rows *rows, const struct sy_catalog_declaration *row)
{
    if (rows->count == rows->capacity) {
        uint32_t capacity = rows->capacity == 0 ? 16 : rows->capacity * 2;
        struct sy_catalog_declaration *more =
            sy_arena_calloc(&rows->arena, capacity, sizeof(*more));
        if (more == NULL) {
            rows->failed = true;
            return false;
        }
        if (rows->count > 0)
            memcpy(more, rows->rows, rows->count * sizeof(*more));
        rows->rows = more;
        rows->capacity = capacity;
    }
    const struct sy_catalog_declaration kept = {
        .database = sy_arena_strdup(&rows->arena, row->database),
        .kind = sy_arena_strdup(&rows->arena, row->kind),
        .schema = sy_arena_strdup(&rows->arena, row->schema),
        .name = sy_arena_strdup(&rows->arena, row->name),
        .statement = sy_arena_strdup(&rows->arena, row->statement),
    };
    if (kept.database == NULL || kept.kind == NULL || kept.schema == NULL || kept.name == NULL ||
        kept.statement == NULL)
        rows->failed = true;
    else
        rows->rows[rows->count++] = kept;
    return !rows->failed;
}

static void take_row(void *ctx, const struct sy_catalog_declaration *row)
{
    (void)sy_declared_add(ctx, row);
}

enum sy_status sy_declared_read(struct sy_catalog *catalog, struct declared_rows *rows,
                                struct sy_err *err)
{
    enum sy_status status = sy_catalog_each_declaration(catalog, take_row, rows, err);
    if (status == SY_OK && rows->failed)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return status;
}

enum sy_status sy_publisher_open(struct sy_publisher *publisher, struct sy_err *err)
{
    if (publisher->catalog != NULL)
        return SY_OK;
    return sy_catalog_share(publisher->catalog_path, &publisher->catalog, err);
}

static bool has_several_shards(const struct sy_config *config)
{
    for (uint32_t i = 0; i < config->database_count; i++)
        if (config->databases[i].shard_count > 1)
            return true;
    return false;
}

/* A catalog that is there must be read: tables whose declaration is not known would be taken for
 * undeclared ones. Where none can be made, there are no declarations. */
static enum sy_status find_rows(struct sy_publisher *publisher, const struct sy_config *config,
                                struct declared_rows *rows, struct sy_err *err)
{
    const char *folder = config->data_dir == NULL ? "." : config->data_dir;
    if (publisher->catalog_path == NULL &&
        asprintf(&publisher->catalog_path, "%s/catalog.db", folder) < 0) {
        publisher->catalog_path = NULL;
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    if (!has_several_shards(config))
        return SY_OK;
    bool there = access(publisher->catalog_path, F_OK) == 0;
    enum sy_status status = sy_publisher_open(publisher, err);
    if (status == SY_OK)
        return sy_declared_read(publisher->catalog, rows, err);
    if (there)
        return status;
    sy_err_init(err);
    return SY_OK;
}

/* ---- snapshots ---- */

/* Embedded shards are opened before anybody is told of them: what another process holds must not be
 * served. What fails for any other reason is tried again by the inspector. */
static enum sy_status open_embedded(const struct sy_topology *topology, struct sy_err *err)
{
    for (uint32_t i = 0; i < topology->database_count; i++) {
        const struct sy_topology_database *database = &topology->databases[i];
        if (database->config->engine != SY_ENGINE_SQLITE)
            continue;
        enum sy_status status = sy_sqlite_database_open(database, err);
        if (status == SY_E_STATE)
            return status;
        if (status != SY_OK)
            sy_log_err(SY_LOG_ERROR, "embedded shards cannot be opened", err);
    }
    return SY_OK;
}

static enum sy_status declare_all(struct sy_config *config, const struct declared_rows *rows,
                                  struct sy_buf *problems, struct sy_err *err)
{
    struct sy_config_declared *declared = calloc((size_t)rows->count + 1, sizeof(*declared));
    if (declared == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < rows->count; i++)
        declared[i] = (struct sy_config_declared){rows->rows[i].database, rows->rows[i].statement};
    enum sy_status status = sy_config_declare(config, declared, rows->count, problems, err);
    free(declared);
    return status;
}

static enum sy_status build(struct sy_config *config, const struct declared_rows *rows,
                            struct sy_topology **ret_topology, struct sy_buf *problems,
                            struct sy_err *err)
{
    struct sy_topology *previous = sy_topology_acquire();
    enum sy_status status = declare_all(config, rows, problems, err);
    if (status == SY_OK)
        status = sy_topology_build(config, previous, ret_topology, err);
    sy_topology_unref(&previous);
    return status;
}

enum sy_status sy_publisher_build(struct sy_publisher *publisher, const struct sy_buf *text,
                                  const struct declared_rows *rows,
                                  struct sy_topology **ret_topology, struct sy_buf *problems,
                                  struct sy_err *err)
{
    struct sy_config *config = NULL;
    enum sy_status status = load(publisher, text, &config, problems, err);
    if (status == SY_OK)
        status = build(config, rows, ret_topology, problems, err);
    sy_config_unref(&config); /* the snapshot holds its own reference */
    return status;
}

static enum sy_status publish_text(struct sy_publisher *publisher, const struct sy_buf *text,
                                   bool first, struct sy_buf *problems, struct sy_err *err)
{
    struct sy_config *config = NULL;
    struct sy_topology *next = NULL;
    struct declared_rows rows = {0};
    enum sy_status status = load(publisher, text, &config, problems, err);
    if (status == SY_OK && first)
        status = sy_harden(config, err);
    if (status == SY_OK)
        status = find_rows(publisher, config, &rows, err);
    if (status == SY_OK)
        status = build(config, &rows, &next, problems, err);
    if (status == SY_OK)
        status = open_embedded(next, err);
    if (status == SY_OK)
        sy_topology_publish(next);
    else
        sy_topology_unref(&next);
    sy_arena_release(&rows.arena);
    sy_config_unref(&config);
    return status;
}

enum sy_status sy_publish(struct sy_publisher *publisher, bool first, struct sy_buf *problems,
                          struct sy_err *err)
{
    struct sy_buf text = {0};
    enum sy_status status = SY_OK;
    if (publisher->options->config_path != NULL)
        status = sy_config_read_file(publisher->options->config_path, &text, err);
    if (status == SY_OK)
        status = publish_text(publisher, &text, first, problems, err);
    if (problems->bytes > 0)
        fwrite(problems->data, 1, problems->bytes, stderr);
    if (status == SY_OK) {
        sy_buf_release(&publisher->text);
        publisher->text = text;
    } else {
        sy_buf_release(&text);
    }
    return status;
}

void sy_publisher_release(struct sy_publisher *publisher)
{
    sy_buf_release(&publisher->text);
    free(publisher->catalog_path);
    publisher->catalog_path = NULL;
    publisher->catalog = NULL;
    sy_catalog_end_sharing();
}
