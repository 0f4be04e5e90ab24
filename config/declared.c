/*
 * What admins declared while the router ran, put beside what the file declares (docs/adr/0006). A
 * name that both declare alike is the file's; one that they declare otherwise is a problem, told
 * with the file's line.
 */
#include <stdio.h>
#include <stdlib.h>

#include "config/declaration.h"
#include "config/internal.h"

struct merging {
    struct sy_config_reading reading;
    struct sy_config_database *database;
    const struct sy_config_declared *declared; /* at hand */
};

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* ---- what the file says of a name, as a declaration ---- */

static void from_keyspace_table(const struct sy_config_keyspace *keyspace,
                                const struct sy_config_keyspace_table *table,
                                struct sy_declaration *ret)
{
    *ret = (struct sy_declaration){
        .kind = SY_DECLARE_SHARDED,
        .schema = table->schema,
        .name = table->name,
        .keyspace_name = keyspace->name,
        .key = table->key,
        .hash_key = table->hash_key,
        .per_shard_constraints = table->per_shard_constraints,
        .per_shard_constraint_count = table->per_shard_constraint_count,
    };
}

static bool find_sharded(const struct sy_config_database *database, const char *schema,
                         const char *name, struct sy_declaration *ret,
                         struct sy_config_origin *ret_origin)
{
    for (uint32_t i = 0; i < database->keyspace_count; i++)
        for (uint32_t t = 0; t < database->keyspaces[i].table_count; t++) {
            const struct sy_config_keyspace_table *table = &database->keyspaces[i].tables[t];
            if (!same(table->schema, schema) || !same(table->name, name))
                continue;
            from_keyspace_table(&database->keyspaces[i], table, ret);
            *ret_origin = table->origin;
            return true;
        }
    return false;
}

bool sy_config_find_table(const struct sy_config_database *database, const char *schema,
                          const char *name, struct sy_declaration *ret,
                          struct sy_config_origin *ret_origin)
{
    for (uint32_t i = 0; i < database->reference_table_count; i++) {
        const struct sy_config_reference_table *table = &database->reference_tables[i];
        if (!same(table->schema, schema) || !same(table->name, name))
            continue;
        *ret = (struct sy_declaration){
            .kind = SY_DECLARE_REFERENCE, .schema = table->schema, .name = table->name};
        *ret_origin = table->origin;
        return true;
    }
    for (uint32_t i = 0; i < database->local_table_count; i++) {
        const struct sy_config_local_table *table = &database->local_tables[i];
        if (!same(table->schema, schema) || !same(table->name, name))
            continue;
        *ret = (struct sy_declaration){.kind = SY_DECLARE_LOCAL,
                                       .schema = table->schema,
                                       .name = table->name,
                                       .shard = table->shard};
        *ret_origin = table->origin;
        return true;
    }
    return find_sharded(database, schema, name, ret, ret_origin);
}

const struct sy_config_keyspace *sy_config_find_keyspace(const struct sy_config_database *database,
                                                         const char *name)
{
    for (uint32_t i = 0; i < database->keyspace_count; i++)
        if (same(database->keyspaces[i].name, name))
            return &database->keyspaces[i];
    return NULL;
}

/* ---- merging ---- */

static void problem(struct merging *merging, const char *what)
{
    sy_config_problem(&merging->reading, NULL, "database \"%s\": %.200s: %s",
                      merging->database->name, merging->declared->statement, what);
}

static bool says_the_same(struct merging *merging, const struct sy_declaration *file)
{
    struct sy_buf text = {0};
    sy_declaration_write(file, &text);
    sy_buf_append_u8(&text, 0);
    if (text.failed)
        merging->reading.no_memory = true;
    bool equal = !text.failed && same(text.data, merging->declared->statement);
    sy_buf_release(&text);
    return equal;
}

static void contradiction(struct merging *merging, const struct sy_config_origin *origin,
                          const char *what, const char *name)
{
    char text[400];
    const char *file = merging->reading.config->path;
    snprintf(text, sizeof(text),
             "%s \"%.130s\" is declared here, and otherwise in the catalog: %.160s; let this line "
             "say the same, or take it out",
             what, name, merging->declared->statement);
    sy_buf_printf(merging->reading.problems, "%s:%u: %s\n",
                  file == NULL ? "built-in configuration" : file, origin->line, text);
    merging->reading.problem_count++;
}

/* One more element at the end; the old array stays in the arena. NULL: no memory. */
static void *append(struct merging *merging, void *elements, uint32_t *count, size_t bytes)
{
    char *more = sy_arena_calloc(&merging->reading.config->arena, (size_t)*count + 1, bytes);
    if (more == NULL) {
        merging->reading.no_memory = true;
        return NULL;
    }
    if (*count > 0)
        memcpy(more, elements, *count * bytes);
    ++*count;
    return more;
}

static const struct sy_config_origin from_catalog = {.catalog = true};

static void add_keyspace(struct merging *merging, const struct sy_declaration *declaration)
{
    struct sy_config_database *database = merging->database;
    const struct sy_config_keyspace *old = sy_config_find_keyspace(database, declaration->name);
    if (old != NULL) {
        const struct sy_declaration file = {
            .kind = SY_DECLARE_KEYSPACE, .name = old->name, .keyspace = *old};
        if (!says_the_same(merging, &file))
            contradiction(merging, &old->origin, "keyspace", old->name);
        return;
    }
    uint32_t count = database->keyspace_count;
    struct sy_config_keyspace *keyspaces =
        append(merging, database->keyspaces, &count, sizeof(*keyspaces));
    if (keyspaces == NULL)
        return;
    keyspaces[count - 1] = declaration->keyspace;
    keyspaces[count - 1].origin = from_catalog;
    database->keyspaces = keyspaces;
    database->keyspace_count = count;
}

static void add_sharded(struct merging *merging, const struct sy_declaration *declaration)
{
    struct sy_config_keyspace *keyspace =
        (struct sy_config_keyspace *)(uintptr_t)sy_config_find_keyspace(merging->database,
                                                                        declaration->keyspace_name);
    if (keyspace == NULL) {
        problem(merging, "there is no such keyspace, neither in the configuration nor in the "
                         "catalog; declare it again under that name");
        return;
    }
    uint32_t count = keyspace->table_count;
    struct sy_config_keyspace_table *tables =
        append(merging, keyspace->tables, &count, sizeof(*tables));
    if (tables == NULL)
        return;
    tables[count - 1] = (struct sy_config_keyspace_table){
        .schema = declaration->schema,
        .name = declaration->name,
        .key = declaration->key,
        .hash_key = declaration->hash_key,
        .per_shard_constraints = declaration->per_shard_constraints,
        .per_shard_constraint_count = declaration->per_shard_constraint_count,
        .origin = from_catalog,
    };
    if (declaration->hash_key != NULL && keyspace->strategy != SY_STRATEGY_GEO)
        problem(merging, "a second column is for geo keyspaces");
    keyspace->tables = tables;
    keyspace->table_count = count;
}

static void add_reference(struct merging *merging, const struct sy_declaration *declaration)
{
    struct sy_config_database *database = merging->database;
    uint32_t count = database->reference_table_count;
    struct sy_config_reference_table *tables =
        append(merging, database->reference_tables, &count, sizeof(*tables));
    if (tables == NULL)
        return;
    tables[count - 1] = (struct sy_config_reference_table){
        .schema = declaration->schema, .name = declaration->name, .origin = from_catalog};
    database->reference_tables = tables;
    database->reference_table_count = count;
}

static void add_local(struct merging *merging, const struct sy_declaration *declaration)
{
    struct sy_config_database *database = merging->database;
    uint32_t count = database->local_table_count;
    struct sy_config_local_table *tables =
        append(merging, database->local_tables, &count, sizeof(*tables));
    if (tables == NULL)
        return;
    tables[count - 1] = (struct sy_config_local_table){.schema = declaration->schema,
                                                       .name = declaration->name,
                                                       .shard = declaration->shard,
                                                       .origin = from_catalog};
    database->local_tables = tables;
    database->local_table_count = count;
}

static void add_table(struct merging *merging, const struct sy_declaration *declaration)
{
    struct sy_declaration file;
    struct sy_config_origin origin;
    if (sy_config_find_table(merging->database, declaration->schema, declaration->name, &file,
                             &origin)) {
        if (!says_the_same(merging, &file))
            contradiction(merging, &origin, "table", declaration->name);
    } else if (declaration->kind == SY_DECLARE_SHARDED) {
        add_sharded(merging, declaration);
    } else if (declaration->kind == SY_DECLARE_REFERENCE) {
        add_reference(merging, declaration);
    } else {
        add_local(merging, declaration);
    }
}

static struct sy_config_database *find_database(struct sy_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->database_count; i++)
        if (same(config->databases[i].name, name))
            return &config->databases[i];
    return NULL;
}

static void add(struct merging *merging, const struct sy_config_declared *declared)
{
    struct sy_declaration declaration;
    struct sy_err err;
    sy_err_init(&err);
    merging->declared = declared;
    merging->database = find_database(merging->reading.config, declared->database);
    if (merging->database == NULL)
        return; /* in force again when the database is back */
    enum sy_status status = sy_declaration_parse(
        sy_slice_of(declared->statement), &merging->reading.config->arena, &declaration, &err);
    if (status == SY_E_NO_MEMORY)
        merging->reading.no_memory = true;
    else if (status != SY_OK)
        problem(merging, err.text);
    else if (declaration.kind == SY_DECLARE_KEYSPACE)
        add_keyspace(merging, &declaration);
    else
        add_table(merging, &declaration);
}

enum sy_status sy_config_declare(struct sy_config *config,
                                 const struct sy_config_declared *declared, uint32_t count,
                                 struct sy_buf *problems, struct sy_err *err)
{
    struct merging merging = {
        .reading = {.name = "catalog", .config = config, .problems = problems}};
    for (uint32_t i = 0; i < count; i++)
        add(&merging, &declared[i]);
    if (merging.reading.problem_count == 0 && !merging.reading.no_memory)
        sy_config_check_declared(&merging.reading);
    if (merging.reading.no_memory || problems->failed)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (merging.reading.problem_count == 0)
        return SY_OK;
    sy_err_set(err, SY_E_CONFIG, "the configuration and the catalog's declarations do not fit");
    sy_err_hint(err, "Mend what is listed in the configuration.");
    return SY_E_CONFIG;
}
