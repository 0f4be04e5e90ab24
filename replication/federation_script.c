/*
 * A sharded table becomes a partitioned table whose partitions are foreign tables, one for each
 * shard that may have rows of it.
 *
 * Partitions of a hash keyspace are declared by hash with an operator class of the keyspace's own,
 * whose hash function gives the shard: then the server knows that rows of equal keys are in
 * partitions of equal number, and sends joins and groups by the key to the shards whole. For other
 * keyspaces the partitions are declared by a list of numbers that no query mentions: a union, no
 * more. docs/adr/0005-federation.md has what was tried.
 */
#include "replication/federation_script.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"

/* What PostgreSQL adds to the hash of the only column of a partition key (hash_combine64 of 0). */
#define COMBINED "5305509591434766563"

struct writer {
    const struct federation_input *input;
    struct sy_arena *arena;
    struct federation_script *script;
    bool failed;
};

/* ---- words ---- */

static const char *quoted(struct sy_arena *arena, const char *text, char quote)
{
    size_t bytes = strlen(text), extra = 3;
    for (size_t i = 0; i < bytes; i++)
        extra += text[i] == quote || text[i] == '\\';
    char *out = sy_arena_alloc(arena, bytes + extra + 1);
    if (out == NULL)
        return NULL;
    char *at = out;
    bool escapes = quote == '\'' && strchr(text, '\\') != NULL;
    if (escapes)
        *at++ = 'E';
    *at++ = quote;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == quote || (escapes && text[i] == '\\'))
            *at++ = text[i];
        *at++ = text[i];
    }
    *at++ = quote;
    *at = '\0';
    return out;
}

const char *federation_identifier(struct sy_arena *arena, const char *name)
{
    return quoted(arena, name, '"');
}

const char *federation_literal(struct sy_arena *arena, const char *text)
{
    return quoted(arena, text, '\'');
}

static const char *id(struct writer *w, const char *name)
{
    const char *text = federation_identifier(w->arena, name);
    w->failed = w->failed || text == NULL;
    return text == NULL ? "" : text;
}

static const char *lit(struct writer *w, const char *value)
{
    const char *text = federation_literal(w->arena, value);
    w->failed = w->failed || text == NULL;
    return text == NULL ? "" : text;
}

bool federation_list_add(struct sy_arena *arena, struct federation_list *list, const char *schema,
                         const char *name, const char *sql)
{
    if (list->count == list->room) {
        uint32_t room = list->room == 0 ? 32 : list->room * 2;
        struct federation_object *more = sy_arena_calloc(arena, room, sizeof(*more));
        if (more == NULL)
            return false;
        if (list->count > 0)
            memcpy(more, list->items, list->count * sizeof(*more));
        list->items = more;
        list->room = room;
    }
    list->items[list->count++] = (struct federation_object){schema, name, sql};
    return sql != NULL;
}

/* ---- steps ---- */

static void add(struct writer *w, enum federation_need need, const char *schema, const char *name,
                const char *sql)
{
    struct federation_script *script = w->script;
    if (sql == NULL) {
        w->failed = true;
        return;
    }
    if (script->count == script->room) {
        uint32_t room = script->room == 0 ? 64 : script->room * 2;
        struct federation_step *more = sy_arena_calloc(w->arena, room, sizeof(*more));
        if (more == NULL) {
            w->failed = true;
            return;
        }
        if (script->count > 0)
            memcpy(more, script->steps, script->count * sizeof(*more));
        script->steps = more;
        script->room = room;
    }
    script->steps[script->count++] = (struct federation_step){need, false, schema, name, sql};
}

/* The buffer's text becomes a step; the buffer is emptied. */
static void add_buf(struct writer *w, enum federation_need need, const char *schema,
                    const char *name, struct sy_buf *text)
{
    const char *sql = text->failed ? NULL : sy_arena_strndup(w->arena, text->data, text->bytes);
    add(w, need, schema, name, sql);
    sy_buf_clear(text);
}

static void add_list(struct writer *w, const struct federation_list *list,
                     enum federation_need need)
{
    for (uint32_t i = 0; i < list->count; i++)
        add(w, need, list->items[i].schema, list->items[i].name, list->items[i].sql);
}

#define CLEAR_SETTINGS                                                                             \
    "for name in select d.setdatabase::text from pg_db_role_setting d where d.setdatabase = "      \
    "(select oid from pg_database where datname = current_database()) and d.setrole = 0 loop "     \
    "execute format('alter database %I reset all', current_database()); end loop; end $$"

/* Everything goes but the database itself. */
static const char clear_all[] =
    "do $$ declare name text; begin "
    "for name in select extname from pg_extension where extname <> 'plpgsql' loop "
    "execute format('drop extension if exists %I cascade', name); end loop; "
    "for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> "
    "'information_schema' loop "
    "execute format('drop schema %I cascade', name); end loop; " CLEAR_SETTINGS;

/* Tables, views and functions, and what belongs to the shards. */
static const char clear_tables[] =
    "do $$ declare name text; begin "
    "drop schema switchyard cascade; "
    "for name in select format('%s %I.%I', case relkind when 'v' then 'view' when 'f' then "
    "'foreign table' else 'table' end, n.nspname, relname) from pg_class c join pg_namespace n on "
    "n.oid = relnamespace where relkind in ('r', 'p', 'v', 'f') and not relispartition and "
    "n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not exists (select from "
    "pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e') "
    "loop execute regexp_replace('drop ' || name || ' cascade', '^drop (view|foreign "
    "table|table)', "
    "'drop \\1 if exists'); end loop; "
    "for name in select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = "
    "pronamespace where prokind = 'f' and n.nspname !~ '^pg_' and n.nspname <> "
    "'information_schema' and not exists (select from pg_depend e where e.classid = "
    "'pg_proc'::regclass and e.objid = p.oid and e.deptype = 'e') "
    "loop execute 'drop function if exists ' || name || ' cascade'; end loop; " CLEAR_SETTINGS;

static void write_base(struct writer *w)
{
    add(w, FEDERATION_MUST, NULL, NULL, "create schema switchyard");
    add(w, FEDERATION_MUST, NULL, NULL, "create extension postgres_fdw with schema switchyard");
    add(w, FEDERATION_MUST, NULL, NULL,
        "create function switchyard.part(anyelement) returns int4 language plpgsql immutable as "
        "'begin return 0; end'");
}

/* ---- shards and users ---- */

static void write_servers(struct writer *w)
{
    struct sy_buf sql = {0};
    for (uint32_t i = 0; i < w->input->shard_count; i++) {
        const struct federation_shard *shard = &w->input->shards[i];
        sy_buf_printf(&sql, "create server shard_%u foreign data wrapper postgres_fdw options (",
                      i);
        if (shard->host[0] != '\0')
            sy_buf_printf(&sql, "host %s, ", lit(w, shard->host));
        if (shard->hostaddr[0] != '\0')
            sy_buf_printf(&sql, "hostaddr %s, ", lit(w, shard->hostaddr));
        sy_buf_printf(&sql,
                      "port %s, dbname %s, sslmode %s, application_name 'switchyard federation', "
                      "connect_timeout '5', use_remote_estimate 'true', async_capable 'true', "
                      "fetch_size '1000')",
                      lit(w, shard->port), lit(w, shard->database), lit(w, shard->sslmode));
        add_buf(w, FEDERATION_MUST, NULL, NULL, &sql);
    }
    for (uint32_t i = 0; i < w->input->user_count; i++) {
        const struct federation_user *user = &w->input->users[i];
        sy_buf_printf(&sql, "create user mapping for %s server shard_%u options (user %s",
                      id(w, user->local), user->shard, lit(w, user->remote));
        if (user->password != NULL)
            sy_buf_printf(&sql, ", password %s", lit(w, user->password));
        if (w->input->superuser)
            sy_buf_append_str(&sql, ", password_required 'false'");
        sy_buf_append_str(&sql, ")");
        add_buf(w, FEDERATION_MAY, NULL, NULL, &sql);
    }
    sy_buf_release(&sql);
}

/* ---- sharded tables ---- */

/* Types whose hash the servers can compute in SQL as the router does. `type` is the operator
 * class's. */
struct hashed_type {
    const char *column, *type, *argument, *function, *plain;
};
static const struct hashed_type hashed_types[] = {
    {"int2", "int2", "k::int8", "hashint8extended", "hashint2"},
    {"int4", "int4", "k::int8", "hashint8extended", "hashint4"},
    {"int8", "int8", "k", "hashint8extended", "hashint8"},
    {"text", "text", "k", "hashtextextended", "hashtext"},
    {"varchar", "text", "k", "hashtextextended", "hashtext"},
    {"uuid", "uuid", "k", "uuid_hash_extended", "uuid_hash"},
};

static const struct hashed_type *hashed_type(const struct writer *w,
                                             const struct federation_table *table)
{
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(w->input->map, table->keyspace);
    if (space->strategy != SY_STRATEGY_HASH || space->has_hash_key || !w->input->superuser)
        return NULL;
    for (uint32_t c = 0; c < table->column_count; c++)
        for (size_t t = 0; t < sizeof(hashed_types) / sizeof(hashed_types[0]); t++)
            if (strcmp(table->columns[c].name, table->key) == 0 &&
                strcmp(table->columns[c].type_name, hashed_types[t].column) == 0)
                return &hashed_types[t];
    return NULL;
}

/* The operator class by which tables of a keyspace with keys of this type are partitioned. */
static void write_class(struct writer *w, uint32_t keyspace, const struct hashed_type *type)
{
    struct sy_buf sql = {0};
    sy_buf_printf(&sql,
                  "create function switchyard.shard_%u_%s(k %s, seed int8) returns int8 language "
                  "sql immutable strict parallel safe as $$ select (('{",
                  keyspace, type->type, type->type);
    for (uint32_t bucket = 0; bucket < SY_LIMIT_BUCKETS; bucket++)
        sy_buf_printf(&sql, bucket == 0 ? "%u" : ",%u",
                      sy_shardmap_bucket_shard(w->input->map, keyspace, bucket));
    sy_buf_printf(&sql,
                  "}'::pg_catalog.int2[])[1 + (((pg_catalog.%s(%s, 8816678312871386365) & 4095) + "
                  "2275) & 4095)::int4])::int8 - " COMBINED " $$",
                  type->function, type->argument);
    add_buf(w, FEDERATION_MUST, NULL, NULL, &sql);
    sy_buf_printf(&sql,
                  "create operator class switchyard.keyspace_%u_%s for type %s using hash as "
                  "operator 1 =(%s, %s), function 1 pg_catalog.%s(%s), "
                  "function 2 switchyard.shard_%u_%s(%s, int8)",
                  keyspace, type->type, type->type, type->type, type->type, type->plain, type->type,
                  keyspace, type->type, type->type);
    add_buf(w, FEDERATION_MUST, NULL, NULL, &sql);
    sy_buf_release(&sql);
}

static void write_classes(struct writer *w)
{
    for (uint32_t i = 0; i < w->input->table_count; i++) {
        const struct federation_table *table = &w->input->tables[i];
        const struct hashed_type *type = table->key == NULL ? NULL : hashed_type(w, table),
                                 *other = NULL;
        bool known = type == NULL;
        for (uint32_t k = 0; k < i && !known; k++) {
            const struct federation_table *before = &w->input->tables[k];
            if (before->key != NULL && before->keyspace == table->keyspace)
                other = hashed_type(w, before);
            known = other != NULL && strcmp(other->type, type->type) == 0;
        }
        if (!known)
            write_class(w, table->keyspace, type);
    }
}

static void write_columns(struct writer *w, const struct federation_table *table,
                          struct sy_buf *sql)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct federation_column *column = &table->columns[i];
        sy_buf_printf(sql, "%s%s %s", i == 0 ? "" : ", ", id(w, column->name), column->type);
        if (column->collation[0] != '\0')
            sy_buf_printf(sql, " collate %s", column->collation);
        if (column->not_null)
            sy_buf_append_str(sql, " not null");
    }
}

static void write_place(struct writer *w, const struct federation_table *table, uint32_t shard,
                        struct sy_buf *sql)
{
    sy_buf_printf(sql, " server shard_%u options (schema_name %s, table_name %s)", shard,
                  lit(w, table->schema), lit(w, table->name));
}

static void write_partition(struct writer *w, const struct federation_table *table, uint32_t index,
                            uint32_t shard, struct sy_buf *sql)
{
    sy_buf_printf(sql, "; create foreign table switchyard.t%u_%u partition of %s.%s ", index, shard,
                  id(w, table->schema), id(w, table->name));
    if (hashed_type(w, table) != NULL)
        sy_buf_printf(sql, "for values with (modulus %u, remainder %u)", w->input->shard_count,
                      shard);
    else
        sy_buf_printf(sql, "for values in (%u)", shard);
    write_place(w, table, shard, sql);
}

static void write_table(struct writer *w, uint32_t index)
{
    const struct federation_table *table = &w->input->tables[index];
    struct sy_buf sql = {0};
    if (table->key == NULL) {
        sy_buf_printf(&sql, "create foreign table %s.%s (", id(w, table->schema),
                      id(w, table->name));
        write_columns(w, table, &sql);
        sy_buf_append_str(&sql, ")");
        write_place(w, table, sy_shard_set_first(&table->shards), &sql);
    } else {
        const struct hashed_type *type = hashed_type(w, table);
        sy_buf_printf(&sql, "create table %s.%s (", id(w, table->schema), id(w, table->name));
        write_columns(w, table, &sql);
        if (type != NULL)
            sy_buf_printf(&sql, ") partition by hash (%s switchyard.keyspace_%u_%s)",
                          id(w, table->key), table->keyspace, type->type);
        else
            sy_buf_printf(&sql, ") partition by list (switchyard.part(%s))", id(w, table->key));
        for (uint32_t shard = 0; shard < w->input->shard_count; shard++)
            if (sy_shard_set_has(&table->shards, shard))
                write_partition(w, table, index, shard, &sql);
    }
    add_buf(w, FEDERATION_MAY, table->schema, table->name, &sql);
    sy_buf_release(&sql);
}

/* ---- the whole ---- */

/* FNV-1a over every statement: the same text, the same database. */
static uint64_t version_of(const struct federation_script *script, bool kept_only)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < script->count; i++)
        for (const char *at = script->steps[i].sql; (!kept_only || script->steps[i].kept) &&
                                                    (at == script->steps[i].sql || at[-1] != '\0');
             at++)
            hash = (hash ^ (uint8_t)*at) * UINT64_C(1099511628211);
    return hash;
}

enum sy_status federation_write(const struct federation_input *input, struct sy_arena *arena,
                                struct federation_script *ret_script, struct sy_err *err)
{
    *ret_script = (struct federation_script){0};
    struct writer w = {.input = input, .arena = arena, .script = ret_script};
    ret_script->clear_all = clear_all;
    ret_script->clear_tables = clear_tables;
    write_base(&w);
    add(&w, FEDERATION_MUST, NULL, NULL,
        "do $$ begin execute format('alter database %I set enable_partitionwise_join = on', "
        "current_database()); execute format('alter database %I set "
        "enable_partitionwise_aggregate = on', current_database()); end $$");
    add_list(&w, &input->settings, FEDERATION_MAY);
    uint32_t first = ret_script->count;
    add_list(&w, &input->first, FEDERATION_MAY);
    for (uint32_t i = first; i < ret_script->count; i++)
        ret_script->steps[i].kept = true;
    write_servers(&w);
    write_classes(&w);
    for (uint32_t i = 0; i < input->table_count; i++)
        write_table(&w, i);
    add_list(&w, &input->views, FEDERATION_AGAIN);
    add_list(&w, &input->last, FEDERATION_MAY);
    if (w.failed)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    ret_script->version = version_of(ret_script, false);
    ret_script->types = version_of(ret_script, true);
    return SY_OK;
}
