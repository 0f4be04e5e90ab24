/*
 * What a federating database must have, read from the shards' catalogs. The servers write the DDL
 * of types, views and grants themselves, with every name qualified and quoted (the search path is
 * pg_catalog). What a user made and an extension owns comes with the extension.
 */
#include "replication/federation_read.h"
#include "router/engine/postgres/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define OURS(namespace)                                                                            \
    namespace ".nspname !~ '^pg_' and " namespace ".nspname not in ('information_schema', "        \
                                                  "'switchyard')"
#define NOT_OF_EXTENSION(catalog, oid)                                                             \
    "not exists (select from pg_depend e where e.classid = '" catalog                              \
    "'::regclass and e.objid = " oid " and e.deptype = 'e')"
/* Who may: the owner of the shards' database is nobody in particular on the federating server. */
#define GRANTEE                                                                                    \
    "case when x.grantee = 0 then 'public' when x.grantee = 'pg_database_owner'::regrole then "    \
    "(select quote_ident(pg_get_userbyid(datdba)) from pg_database where datname = "               \
    "current_database()) else quote_ident(pg_get_userbyid(x.grantee)) end"

static const char locale_query[] =
    "select pg_encoding_to_char(encoding), datcollate, datctype, "
    "coalesce(to_jsonb(d) ->> 'datlocprovider', 'c'), coalesce(to_jsonb(d) ->> 'daticulocale', "
    "to_jsonb(d) ->> 'datlocale', ''), concat_ws(' ', pg_database_collation_actual_version(d.oid), "
    "(select max(pg_collation_actual_version(oid)) from pg_collation where collname = "
    "'und-x-icu'), (select string_agg(distinct pg_collation_actual_version(c.oid), ' ') from "
    "pg_collation c where collprovider = 'c' and exists (select from pg_attribute a where "
    "a.attrelid >= 16384 and a.attcollation = c.oid))) "
    "from pg_database d where datname = current_database()";

static const char first_query[] =
    "select sql from ("
    "select 1 as turn, n.oid::int8 as at, format('create schema if not exists %I', "
    "nspname) as sql "
    "from pg_namespace n where " OURS(
        "n") " union all "
             "select 2, c.oid::int8, format('create collation %I.%I (provider = %s, "
             "deterministic = %s, "
             "%s)', n.nspname, collname, case collprovider when 'i' then 'icu' else "
             "'libc' end, "
             "case when collisdeterministic then 'true' else 'false' end, case collprovider when "
             "'i' then format('locale = %L', "
             "coalesce(to_jsonb(c) ->> 'colliculocale', to_jsonb(c) ->> 'colllocale')) "
             "else "
             "format('lc_collate = %L, lc_ctype = %L', collcollate, collctype) end) "
             "from pg_collation c join pg_namespace n on n.oid = collnamespace "
             "where " OURS("n") " and " NOT_OF_EXTENSION(
                 "pg_collation",
                 "c.oid") " union all "
                          "select 3, e.oid::int8, format('create extension if not exists "
                          "%I with schema %I version %L "
                          "cascade', extname, n.nspname, extversion) from pg_extension e "
                          "join pg_namespace n on n.oid = "
                          "extnamespace where extname not in ('plpgsql', 'postgres_fdw') "
                          "union all "
                          "select 4, t.oid::int8, case typtype "
                          "when 'e' then format('create type %I.%I as enum (%s)', "
                          "n.nspname, typname, "
                          "(select string_agg(quote_literal(enumlabel), ', ' order by "
                          "enumsortorder) from pg_enum e "
                          "where e.enumtypid = t.oid)) "
                          "when 'd' then format('create domain %I.%I as %s%s%s', "
                          "n.nspname, typname, "
                          "format_type(typbasetype, typtypmod), case when typnotnull then "
                          "' not null' else '' end, "
                          "(select string_agg(format(' constraint %I %s', conname, "
                          "pg_get_constraintdef(k.oid)), '' "
                          "order by conname) from pg_constraint k where k.contypid = "
                          "t.oid)) "
                          "else format('create type %I.%I as (%s)', n.nspname, typname, "
                          "(select string_agg(format('%I %s', attname, "
                          "format_type(atttypid, atttypmod)), ', ' order by "
                          "attnum) from pg_attribute a where a.attrelid = t.typrelid and "
                          "attnum > 0 and not "
                          "attisdropped)) end "
                          "from pg_type t join pg_namespace n on n.oid = typnamespace "
                          "left join pg_class r on r.oid = "
                          "t.typrelid where (typtype in ('e', 'd') or (typtype = 'c' and "
                          "r.relkind = 'c')) and " OURS("n") " and " NOT_OF_EXTENSION(
                              "pg_type",
                              "t.oid") " union all "
                                       "select 5, n.oid::int8, format('grant usage on "
                                       "schema %I to %s', nspname, " GRANTEE ") "
                                       "from pg_namespace n, aclexplode(coalesce(nspacl, "
                                       "acldefault('n', nspowner))) x "
                                       "where privilege_type = 'USAGE' and " OURS(
                                           "n") ") o order by turn, at, sql";

/* Views that say what a federating server would understand otherwise are left out. */
static const char views_query[] =
    "select n.nspname, c.relname, format('create view %I.%I%s as %s; alter view %I.%I owner to "
    "%I', n.nspname, relname, case when reloptions is null then '' else ' with (' || "
    "array_to_string(reloptions, ', ') || ')' end, rtrim(pg_get_viewdef(c.oid), '; '), n.nspname, "
    "relname, pg_get_userbyid(relowner)) "
    "from pg_class c join pg_namespace n on n.oid = relnamespace where relkind = 'v' and "
    "relpersistence <> 't' and " OURS("n") " and " NOT_OF_EXTENSION(
        "pg_class",
        "c.oid") " and pg_get_viewdef(c.oid) !~* "
                 "'\\m(ctid|tableoid|[cx]m(in|ax)|tablesample|pg_\\w+|reg[a-z]+|"
                 "now|age|current_\\w+|localtime\\w*|clock_timestamp|statement_timestamp|"
                 "transaction_timestamp|timeofday|only +\\w+\\.|for +(no +key +)?update|for +(key "
                 "+)?share)\\M' "
                 "order by c.oid";

/* Immutable functions of users that anybody may call; tried among the views, which may need them.
 */
static const char functions_query[] =
    "select pg_get_functiondef(p.oid) from pg_proc p join pg_namespace n on n.oid = pronamespace "
    "join pg_language l on l.oid = prolang where prokind = 'f' and provolatile = 'i' and not "
    "prosecdef and proacl is null and lanname in ('sql', 'plpgsql') and " OURS(
        "n") " and " NOT_OF_EXTENSION("pg_proc", "p.oid") " order by p.oid";

static const char settings_query[] =
    "select format(case when setrole = 0 then 'alter database %1$I set %3$I to %4$s' else 'alter "
    "role %2$I in database %1$I set %3$I to %4$s' end, $1::text, case when setrole = 0 then '' "
    "else pg_get_userbyid(setrole) end, name, case when name in ('search_path', "
    "'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries') then value else "
    "quote_literal(value) end) "
    "from pg_db_role_setting s, unnest(setconfig) one, split_part(one, '=', 1) name, "
    "substr(one, length(name) + 2) value where setdatabase = (select oid from pg_database where "
    "datname = current_database()) order by 1";

static const char last_query[] =
    "select distinct sql from ("
    "select format('grant select on %I.%I to %s', n.nspname, relname, " GRANTEE ") as sql "
    "from pg_class c join pg_namespace n on n.oid = relnamespace, "
    "aclexplode(coalesce(relacl, acldefault('r', relowner))) x where privilege_type = 'SELECT' "
    "and relkind in ('r', 'p', 'f', 'm', 'v') and " OURS(
        "n") " union all "
             "select format('grant select (%I) on %I.%I to %s', attname, n.nspname, "
             "relname, " GRANTEE ") "
             "from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on n.oid "
             "= "
             "relnamespace, aclexplode(attacl) x where attacl is not null and privilege_type = "
             "'SELECT' "
             "and relkind in ('r', 'p', 'f', 'm', 'v') and " OURS("n") ") o order by 1";

static const char tables_query[] =
    "select c.oid, n.nspname, relname, relkind from pg_class c join pg_namespace n on n.oid = "
    "relnamespace where relkind in ('r', 'p', 'f', 'm') and relpersistence <> 't' and " OURS(
        "n") " and " NOT_OF_EXTENSION("pg_class", "c.oid") " order by c.oid";

static const char columns_query[] =
    "select attrelid, attname, format_type(atttypid, atttypmod), typname, case when attcollation "
    "<> 0 and attcollation <> typcollation then format('%I.%I', cn.nspname, collname) else '' end, "
    "attnotnull from pg_attribute a join pg_class c on c.oid = attrelid join pg_namespace n on "
    "n.oid = relnamespace join pg_type t on t.oid = atttypid left join pg_collation co on co.oid = "
    "attcollation left join pg_namespace cn on cn.oid = collnamespace where attnum > 0 and not "
    "attisdropped and relkind in ('r', 'p', 'f', 'm') and relpersistence <> 't' and " OURS(
        "n") " and " NOT_OF_EXTENSION("pg_class", "c.oid") " order by attrelid, attnum";

void federation_note(char why[], const char *what, const char *message)
{
    size_t bytes = strcspn(message, "\n");
    snprintf(why, SY_FEDERATION_WHY_BYTES, "%s: %.*s", what, (int)bytes, message);
}

PGresult *federation_ask(PGconn *conn, const struct federation_question *question, char why[])
{
    PGresult *result =
        pg_ask(conn, question->sql, question->count, question->values, FEDERATION_PATIENCE_MS);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    const char *message = result == NULL ? "no whole answer in time" : PQerrorMessage(conn);
    federation_note(why, question->what, message);
    PQclear(result);
    return NULL;
}

static PGresult *ask(PGconn *conn, const char *sql, const char *parameter, char why[])
{
    return federation_ask(conn,
                          &(struct federation_question){sql, parameter == NULL ? 0 : 1, &parameter,
                                                        "a catalog cannot be read"},
                          why);
}

/* Values of one row live as long as the arena. */
static const char *keep(struct sy_arena *arena, const PGresult *result, int row, int column)
{
    return sy_arena_strdup(arena, pg_value(result, row, column));
}

bool federation_read_locale(PGconn *conn, struct sy_arena *arena,
                            struct federation_locale *ret_locale, char why[])
{
    PGresult *result = ask(conn, locale_query, NULL, why);
    if (result == NULL)
        return false;
    bool good = PQntuples(result) == 1;
    if (good)
        *ret_locale = (struct federation_locale){
            keep(arena, result, 0, 0), keep(arena, result, 0, 1), keep(arena, result, 0, 2),
            keep(arena, result, 0, 3), keep(arena, result, 0, 4), keep(arena, result, 0, 5)};
    PQclear(result);
    return good;
}

/* ---- objects that the server describes itself ---- */

static bool read_list(PGconn *conn, const char *sql, const char *parameter, struct sy_arena *arena,
                      struct federation_list *list, char why[])
{
    PGresult *result = ask(conn, sql, parameter, why);
    if (result == NULL)
        return false;
    bool named = PQnfields(result) == 3, good = true;
    for (int i = 0; i < PQntuples(result) && good; i++)
        good = named ? federation_list_add(arena, list, keep(arena, result, i, 0),
                                           keep(arena, result, i, 1), keep(arena, result, i, 2))
                     : federation_list_add(arena, list, NULL, NULL, keep(arena, result, i, 0));
    PQclear(result);
    if (!good)
        federation_note(why, "the catalogs cannot be kept", "out of memory");
    return good;
}

bool federation_read_objects(PGconn *conn, struct sy_arena *arena, const char *federating,
                             struct federation_input *input, char why[])
{
    return read_list(conn, settings_query, federating, arena, &input->settings, why) &&
           read_list(conn, first_query, NULL, arena, &input->first, why) &&
           read_list(conn, functions_query, NULL, arena, &input->views, why) &&
           read_list(conn, views_query, NULL, arena, &input->views, why) &&
           read_list(conn, last_query, NULL, arena, &input->last, why);
}

/* ---- tables ---- */

/* Where a table's rows are, as the planner places it; false: nobody said. */
static bool place(const struct sy_topology_database *database, const char *schema, const char *name,
                  struct federation_table *table)
{
    const struct sy_config_database *config = database->config;
    const struct sy_map_table *declared =
        sy_shardmap_find_table(database->map, sy_slice_of(schema), sy_slice_of(name));
    enum sy_table_placement placement = SY_TABLE_UNKNOWN;
    uint32_t shard = 0;
    if (declared != NULL) {
        placement = declared->placement;
        shard = declared->shard;
    } else if (config->default_placement == SY_PLACEMENT_REFERENCE) {
        placement = SY_TABLE_REFERENCE;
    } else if (config->default_placement == SY_PLACEMENT_LOCAL) {
        placement = SY_TABLE_LOCAL;
        if (config->default_placement_shard != NULL)
            shard =
                sy_shardmap_find_shard(database->map, sy_slice_of(config->default_placement_shard));
    }
    *table = (struct federation_table){.schema = schema, .name = name, .keyspace = UINT32_MAX};
    if (placement == SY_TABLE_SHARDED) {
        table->keyspace = declared->keyspace;
        table->key = declared->key.data;
        table->shards = sy_shardmap_keyspace(database->map, declared->keyspace)->shards;
    } else if (placement == SY_TABLE_REFERENCE) {
        sy_shard_set_add(&table->shards, database->federation_host);
    } else if (placement == SY_TABLE_LOCAL && shard < database->shard_count) {
        sy_shard_set_add(&table->shards, shard);
    } else {
        return false;
    }
    return true;
}

/* A table is described by the first shard that has rows of it. */
static bool describes(const struct federation_table *table, uint32_t shard)
{
    return sy_shard_set_first(&table->shards) == shard;
}

static bool read_columns(const PGresult *columns, int *at, const char *oid, struct sy_arena *arena,
                         struct federation_table *table)
{
    while (*at < PQntuples(columns) &&
           strtoul(pg_value(columns, *at, 0), NULL, 10) < strtoul(oid, NULL, 10))
        ++*at;
    int end = *at;
    while (end < PQntuples(columns) && strcmp(pg_value(columns, end, 0), oid) == 0)
        end++;
    uint32_t count = (uint32_t)(end - *at);
    struct federation_column *list = sy_arena_calloc(arena, (size_t)count + 1, sizeof(*list));
    for (uint32_t i = 0; list != NULL && i < count; i++, ++*at) {
        list[i] = (struct federation_column){
            .name = keep(arena, columns, *at, 1),
            .type = keep(arena, columns, *at, 2),
            .type_name = keep(arena, columns, *at, 3),
            .collation = keep(arena, columns, *at, 4),
            .not_null = pg_value(columns, *at, 5)[0] == 't',
        };
        if (list[i].name == NULL || list[i].type == NULL || list[i].type_name == NULL ||
            list[i].collation == NULL)
            return false;
    }
    table->columns = list;
    table->column_count = count;
    return list != NULL;
}

/* Amounts of money are told, and read, by a setting of each server. */
static bool depends_on_locale(const struct federation_table *table)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].type_name, "money") == 0 ||
            strcmp(table->columns[i].type_name, "_money") == 0)
            return true;
    return false;
}

static bool take_tables(const PGresult *tables, const PGresult *columns,
                        const struct sy_topology_database *database, uint32_t shard,
                        struct sy_arena *arena, struct federation_input *input)
{
    uint32_t room = input->table_count + (uint32_t)PQntuples(tables);
    struct federation_table *all = sy_arena_calloc(arena, (size_t)room + 1, sizeof(*all));
    if (all == NULL)
        return false;
    if (input->table_count > 0)
        memcpy(all, input->tables, input->table_count * sizeof(*all));
    int at = 0;
    for (int i = 0; i < PQntuples(tables); i++) {
        const char *schema = keep(arena, tables, i, 1), *name = keep(arena, tables, i, 2);
        struct federation_table table;
        if (schema == NULL || name == NULL)
            return false;
        /* An undeclared materialized view is a view to the planner. */
        bool made =
            pg_value(tables, i, 3)[0] == 'm' &&
            sy_shardmap_find_table(database->map, sy_slice_of(schema), sy_slice_of(name)) == NULL;
        if (made || !place(database, schema, name, &table) || !describes(&table, shard))
            continue;
        if (!read_columns(columns, &at, pg_value(tables, i, 0), arena, &table))
            return false;
        if (!depends_on_locale(&table))
            all[input->table_count++] = table;
    }
    input->tables = all;
    return true;
}

bool federation_read_tables(PGconn *conn, const struct sy_topology_database *database,
                            uint32_t shard, struct sy_arena *arena, struct federation_input *input,
                            char why[])
{
    PGresult *tables = ask(conn, tables_query, NULL, why);
    PGresult *columns = tables == NULL ? NULL : ask(conn, columns_query, NULL, why);
    bool good = columns != NULL;
    if (good && !take_tables(tables, columns, database, shard, arena, input)) {
        federation_note(why, "the catalogs cannot be kept", "out of memory");
        good = false;
    }
    PQclear(tables);
    PQclear(columns);
    return good;
}
