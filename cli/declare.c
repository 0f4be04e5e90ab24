/*
 * One declaration: against what is declared, against what the shards hold, into the catalog, into
 * force. A table is declared before it exists and until it is gone (docs/adr/0006): rows would lie
 * on shards where nobody looks for them.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "cli/publish_internal.h"
#include "config/declaration.h"
#include "router/engine/engine.h"

enum { HOLD_STEP_MS = 5, HOLD_STEPS = 1000 };

struct declaring {
    struct sy_publisher *publisher;
    struct sy_topology *topology; /* in force */
    const struct sy_topology_database *database;
    struct sy_declaration declaration;
    struct sy_catalog_declaration row;
    struct sy_buf statement; /* as it is stored */
    struct sy_arena arena;
    struct declared_rows before, after;
    bool adds, needs_no_table;
    bool held; /* new work for the database waits */
    struct sy_err *err;
};

static enum sy_status refuse(struct declaring *d, enum sy_status status, const char *sqlstate,
                             const char *hint)
{
    if (sqlstate != NULL)
        sy_err_state(d->err, sqlstate);
    if (hint != NULL)
        sy_err_hint(d->err, "%s", hint);
    return status;
}

/* ---- which database ---- */

static enum sy_status find_database(struct declaring *d, struct sy_slice session)
{
    const char *said = d->declaration.database;
    if (session.bytes > 0 && said != NULL && !sy_slice_eq(session, sy_slice_of(said))) {
        (void)sy_err_set(d->err, SY_E_UNSUPPORTED,
                         "a session of database \"%.*s\" declares nothing for database \"%s\"",
                         (int)session.bytes, session.data, said);
        return refuse(d, SY_E_UNSUPPORTED, NULL, "Connect to that database, or to the console.");
    }
    if (session.bytes == 0 && said == NULL && d->topology->database_count != 1) {
        (void)sy_err_set(d->err, SY_E_SYNTAX, "which database is meant?");
        return refuse(d, SY_E_SYNTAX, NULL,
                      "Write FOR DATABASE name behind the statement; SHOW DATABASES lists them.");
    }
    struct sy_slice name = session;
    if (session.bytes == 0)
        name =
            said != NULL ? sy_slice_of(said) : sy_slice_of(d->topology->databases[0].config->name);
    d->database = sy_topology_find(d->topology, name);
    if (d->database == NULL)
        return sy_err_set(d->err, SY_E_NO_DATABASE, "database \"%.*s\" does not exist",
                          (int)name.bytes, name.data);
    return SY_OK;
}

/* ---- against what is declared ---- */

static const char *file_name(const struct declaring *d)
{
    const char *path = d->topology->config->path;
    return path == NULL ? "the built-in configuration" : path;
}

static bool is_meant(const struct declaring *d, const struct sy_catalog_declaration *row)
{
    return strcmp(row->database, d->row.database) == 0 && strcmp(row->kind, d->row.kind) == 0 &&
           strcmp(row->schema, d->row.schema) == 0 && strcmp(row->name, d->row.name) == 0;
}

static bool is_stored(const struct declaring *d)
{
    for (uint32_t i = 0; i < d->before.count; i++)
        if (is_meant(d, &d->before.rows[i]))
            return true;
    return false;
}

/* What the file declares ends there. */
static enum sy_status refuse_file(struct declaring *d, const char *what,
                                  const struct sy_config_origin *origin)
{
    (void)sy_err_set(d->err, SY_E_STATE, "%s \"%s\" is declared in %s, line %u", what,
                     d->declaration.name, file_name(d), origin->line);
    return refuse(d, SY_E_STATE, NULL, "Take it out there, then RELOAD.");
}

static enum sy_status check_new_keyspace(struct declaring *d)
{
    if (sy_config_find_keyspace(d->database->config, d->declaration.name) == NULL && !is_stored(d))
        return SY_OK;
    (void)sy_err_set(d->err, SY_E_STATE, "keyspace \"%s\" already exists", d->declaration.name);
    return refuse(d, SY_E_STATE, "42710", "SHOW KEYSPACES on the console lists them.");
}

static enum sy_status check_drop_keyspace(struct declaring *d)
{
    const struct sy_config_keyspace *keyspace =
        sy_config_find_keyspace(d->database->config, d->declaration.name);
    if (keyspace == NULL)
        return sy_err_set(d->err, SY_E_NOT_FOUND, "keyspace \"%s\" does not exist",
                          d->declaration.name);
    if (!keyspace->origin.catalog)
        return is_stored(d) ? SY_OK : refuse_file(d, "keyspace", &keyspace->origin);
    if (keyspace->table_count == 0)
        return SY_OK;
    (void)sy_err_set(d->err, SY_E_STATE,
                     "cannot drop keyspace \"%s\" because table \"%s.%s\" is in it", keyspace->name,
                     keyspace->tables[0].schema, keyspace->tables[0].name);
    return refuse(d, SY_E_STATE, "2BP01", "DROP TABLE and UNSHARD TABLE its tables first.");
}

static enum sy_status check_new_table(struct declaring *d)
{
    const struct sy_declaration *declaration = &d->declaration;
    struct sy_declaration old;
    struct sy_config_origin origin;
    if (sy_config_find_table(d->database->config, declaration->schema, declaration->name, &old,
                             &origin)) {
        char where[200] = "the catalog";
        if (!origin.catalog)
            snprintf(where, sizeof(where), "%.150s, line %u", file_name(d), origin.line);
        (void)sy_err_set(d->err, SY_E_STATE, "table \"%s.%s\" is already declared in %s",
                         declaration->schema, declaration->name, where);
        return refuse(d, SY_E_STATE, "42710", "SHOW TABLES on the console lists them.");
    }
    if (declaration->kind == SY_DECLARE_SHARDED &&
        sy_config_find_keyspace(d->database->config, declaration->keyspace_name) == NULL) {
        (void)sy_err_set(d->err, SY_E_NOT_FOUND, "keyspace \"%s\" does not exist",
                         declaration->keyspace_name);
        return refuse(d, SY_E_NOT_FOUND, NULL,
                      "CREATE KEYSPACE makes one, as in CREATE KEYSPACE authors HASH (int8).");
    }
    if (declaration->kind == SY_DECLARE_LOCAL &&
        sy_shardmap_find_shard(d->database->map, sy_slice_of(declaration->shard)) == UINT32_MAX)
        return sy_err_set(d->err, SY_E_NOT_FOUND, "database \"%s\" has no shard \"%s\"",
                          d->database->config->name, declaration->shard);
    d->needs_no_table = true;
    return SY_OK;
}

static enum sy_status check_unshard(struct declaring *d)
{
    struct sy_declaration old;
    struct sy_config_origin origin;
    if (!sy_config_find_table(d->database->config, d->declaration.schema, d->declaration.name, &old,
                              &origin))
        return sy_err_set(d->err, SY_E_NOT_FOUND, "table \"%s.%s\" is not declared",
                          d->declaration.schema, d->declaration.name);
    if (!origin.catalog) /* the file goes on saying it */
        return is_stored(d) ? SY_OK : refuse_file(d, "table", &origin);
    d->needs_no_table = true;
    return SY_OK;
}

static enum sy_status check_declared(struct declaring *d)
{
    switch (d->declaration.kind) {
    case SY_DECLARE_KEYSPACE:
        return check_new_keyspace(d);
    case SY_DECLARE_DROP_KEYSPACE:
        return check_drop_keyspace(d);
    case SY_DECLARE_SHARDED:
    case SY_DECLARE_REFERENCE:
    case SY_DECLARE_LOCAL:
        return check_new_table(d);
    case SY_DECLARE_UNSHARD:
        return check_unshard(d);
    }
    return sy_err_set(d->err, SY_E_INTERNAL, "unknown declaration");
}

/* ---- against the shards ---- */

static enum sy_status refuse_existing(struct declaring *d)
{
    const struct sy_declaration *declaration = &d->declaration;
    if (d->adds) {
        (void)sy_err_set(d->err, SY_E_STATE, "relation \"%s.%s\" already exists on a shard",
                         declaration->schema, declaration->name);
        sy_err_detail(d->err, "A table is declared before it is created: rows that it holds would "
                              "not be where they are looked for.");
        return refuse(d, SY_E_STATE, "42P07",
                      "Rename or drop it, declare the name, create the table and copy its rows.");
    }
    (void)sy_err_set(d->err, SY_E_STATE, "table \"%s.%s\" still exists", declaration->schema,
                     declaration->name);
    return refuse(d, SY_E_STATE, "55006", "DROP TABLE first: its rows could not be found again.");
}

/* Statements that may create the table: those of primaries. */
static bool is_in_use(const struct sy_topology_database *database)
{
    for (uint32_t s = 0; s < database->shard_count; s++)
        for (uint32_t n = 0; n < database->shards[s].node_count; n++) {
            const struct sy_node *node = database->shards[s].nodes[n];
            if (atomic_load(&node->role) != SY_NODE_REPLICA && atomic_load(&node->active) > 0)
                return true;
        }
    return false;
}

/*
 * What is not committed yet cannot be seen, and a statement under way keeps its plan: where the old
 * declarations let a table of that name be created, nobody may be at it while they change.
 */
static enum sy_status hold_others(struct declaring *d)
{
    const struct sy_config_database *config = d->database->config;
    bool creatable = !d->adds || config->default_placement != SY_PLACEMENT_REFUSED;
    if (!d->needs_no_table || !creatable || config->shard_count < 2 || d->publisher->hold == NULL)
        return SY_OK;
    d->held = true;
    if (!d->publisher->hold(d->publisher->ctx, config->name, true))
        return sy_err_set(d->err, SY_E_NO_MEMORY, "out of memory");
    for (int step = 0; step < HOLD_STEPS && is_in_use(d->database); step++)
        nanosleep(&(struct timespec){.tv_nsec = HOLD_STEP_MS * 1000 * 1000}, NULL);
    if (!is_in_use(d->database))
        return SY_OK;
    (void)sy_err_set(d->err, SY_E_STATE,
                     "transactions of database \"%s\" may be creating table \"%s.%s\"",
                     config->name, d->declaration.schema, d->declaration.name);
    return refuse(d, SY_E_STATE, "55006",
                  "Try again when they have ended, or hold new ones with PAUSE; SHOW CLIENTS on "
                  "the console lists them.");
}

/* All shards are asked afresh: another router, or somebody at the servers, may have made it. */
static enum sy_status check_shards(struct declaring *d)
{
    struct sy_topology_schema *schema = NULL;
    bool complete = false;
    if (!d->needs_no_table)
        return SY_OK;
    enum sy_status status =
        sy_engine_of(d->database->config->engine)->inspect(d->database, &schema, &complete, d->err);
    if (status != SY_OK)
        return status;
    bool exists = sy_schema_find(schema->schema, sy_slice_of(d->declaration.schema),
                                 sy_slice_of(d->declaration.name)) != NULL;
    sy_topology_schema_unref(schema);
    if (exists)
        return refuse_existing(d);
    if (complete)
        return SY_OK;
    (void)sy_err_set(d->err, SY_E_CONNECT,
                     "whether table \"%s.%s\" exists is not known: not every shard answers",
                     d->declaration.schema, d->declaration.name);
    return refuse(d, SY_E_CONNECT, NULL, "SHOW NODES on the console tells which.");
}

/* ---- carrying it out ---- */

static enum sy_status prepare(struct declaring *d)
{
    bool is_table = d->declaration.schema != NULL;
    d->adds = d->declaration.kind != SY_DECLARE_DROP_KEYSPACE &&
              d->declaration.kind != SY_DECLARE_UNSHARD;
    sy_declaration_write(&d->declaration, &d->statement);
    sy_buf_append_u8(&d->statement, 0);
    if (d->statement.failed)
        return sy_err_set(d->err, SY_E_NO_MEMORY, "out of memory");
    d->row = (struct sy_catalog_declaration){
        .database = d->database->config->name,
        .kind = is_table ? "table" : "keyspace",
        .schema = is_table ? d->declaration.schema : "",
        .name = d->declaration.name,
        .statement = d->statement.data,
    };
    enum sy_status status = sy_publisher_open(d->publisher, d->err);
    return status == SY_OK ? sy_declared_read(d->publisher->catalog, &d->before, d->err) : status;
}

/* Keyspaces stand before tables. */
static enum sy_status make_after(struct declaring *d)
{
    if (d->adds && strcmp(d->row.kind, "keyspace") == 0)
        (void)sy_declared_add(&d->after, &d->row);
    for (uint32_t i = 0; i < d->before.count; i++)
        if (d->adds || !is_meant(d, &d->before.rows[i]))
            (void)sy_declared_add(&d->after, &d->before.rows[i]);
    if (d->adds && strcmp(d->row.kind, "table") == 0)
        (void)sy_declared_add(&d->after, &d->row);
    return d->after.failed ? sy_err_set(d->err, SY_E_NO_MEMORY, "out of memory") : SY_OK;
}

/* What the check of a configuration calls a problem of it is the statement's here. */
static void tell_as_statement(struct declaring *d, const struct sy_buf *problems)
{
    static const char prefix[] = "catalog: ";
    if (d->err->status != SY_E_CONFIG)
        return;
    char text[SY_ERR_TEXT_BYTES];
    snprintf(text, sizeof(text), "%s", d->err->text);
    if (problems->bytes > 0) {
        const char *end = memchr(problems->data, '\n', problems->bytes);
        size_t bytes = end == NULL ? problems->bytes : (size_t)(end - problems->data);
        bool prefixed = bytes > strlen(prefix) && memcmp(problems->data, prefix, 9) == 0;
        size_t skip = prefixed ? strlen(prefix) : 0;
        snprintf(text, sizeof(text), "%.*s", (int)(bytes - skip), problems->data + skip);
    }
    sy_err_init(d->err);
    (void)sy_err_set(d->err, SY_E_VALUE, "%s", text);
}

static enum sy_status put_into_force(struct declaring *d)
{
    struct sy_topology *next = NULL;
    struct sy_buf problems = {0};
    enum sy_status status =
        sy_publisher_build(d->publisher, &d->publisher->text, &d->after, &next, &problems, d->err);
    if (status != SY_OK) {
        tell_as_statement(d, &problems);
        status = d->err->status;
    }
    sy_buf_release(&problems);
    if (status == SY_OK)
        status = d->adds ? sy_catalog_put_declaration(d->publisher->catalog, &d->row, d->err)
                         : sy_catalog_remove_declaration(d->publisher->catalog, &d->row, d->err);
    if (status == SY_OK)
        sy_topology_publish(next);
    else
        sy_topology_unref(&next);
    return status;
}

static enum sy_status carry_out(struct declaring *d, struct sy_slice session, struct sy_slice text)
{
    enum sy_status status = sy_declaration_parse(text, &d->arena, &d->declaration, d->err);
    if (status == SY_OK)
        status = find_database(d, session);
    if (status == SY_OK)
        status = prepare(d);
    if (status == SY_OK)
        status = check_declared(d);
    if (status == SY_OK)
        status = make_after(d);
    if (status == SY_OK)
        status = hold_others(d);
    if (status == SY_OK)
        status = check_shards(d);
    if (status == SY_OK)
        status = put_into_force(d);
    return status;
}

enum sy_status sy_publish_declaration(struct sy_publisher *publisher, struct sy_slice database,
                                      struct sy_slice text, struct sy_err *err)
{
    struct declaring d = {.publisher = publisher, .topology = sy_topology_acquire(), .err = err};
    enum sy_status status = carry_out(&d, database, text);
    if (d.held)
        (void)publisher->hold(publisher->ctx, d.database->config->name, false);
    if (status == SY_OK)
        SY_LOG(SY_LOG_INFO, "declared", SY_KV_STR("database", d.row.database),
               SY_KV_STR("statement", d.row.statement),
               SY_KV_INT("epoch", sy_topology_current_epoch()));
    sy_topology_unref(&d.topology);
    sy_buf_release(&d.statement);
    sy_arena_release(&d.arena);
    sy_arena_release(&d.before.arena);
    sy_arena_release(&d.after.arena);
    return status;
}
