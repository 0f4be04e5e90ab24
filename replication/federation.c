/*
 * Making and checking a federating database over libpq. One transaction rebuilds it, only when what
 * the shards say has changed. What cannot be made there (a type of an absent extension, a view that
 * needs it) is left out, and the planner refuses what names it.
 */
#include "replication/federation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "replication/federation_read.h"
#include "router/engine/postgres/ask.h"

struct keeper {
    const struct sy_topology *topology;
    const struct sy_topology_database *database;
    const struct sy_node *host; /* the federating database on its server */
    struct sy_topology_federation *made;
    struct sy_arena arena; /* of this run */
    struct federation_input input;
    struct federation_script script;
    PGconn *conn;  /* to the federating database */
    PGconn *first; /* to shard 0 */
    bool fresh;    /* the database was created just now */
    uint32_t left_out;
};

static bool fail(struct keeper *k, const char *what, const char *message)
{
    federation_note(k->made->facts.why, what, message);
    return false;
}

static void ignore_notice(void *argument, const PGresult *result)
{
    (void)argument, (void)result;
}

static const struct sy_node *primary_of(const struct sy_topology_database *database, uint32_t shard)
{
    uint32_t rotation = 0;
    const struct sy_node *node = sy_topology_pick(database, shard, false, 0, &rotation);
    if (node != NULL)
        return node;
    const struct sy_topology_shard *of =
        shard == database->shard_count ? &database->federation : &database->shards[shard];
    return of->nodes[0];
}

static bool done(struct keeper *k, PGconn *conn, const struct federation_question *question)
{
    PGresult *result = federation_ask(conn, question, k->made->facts.why);
    PQclear(result);
    return result != NULL;
}

/* NULL: failed, why says how. */
static PGconn *dial(struct keeper *k, const struct sy_node *node)
{
    static const char prologue[] =
        "set search_path = pg_catalog; set statement_timeout = '60s'; set lock_timeout = '5s'; "
        "set standard_conforming_strings = on; set row_security = on";
    const char *names[] = {"dbname", "fallback_application_name", "connect_timeout", NULL};
    const char *values[] = {node->control_conninfo, "switchyard federation", "5", NULL};
    PGconn *conn = PQconnectdbParams(names, values, 1);
    PQsetNoticeReceiver(conn, ignore_notice, NULL);
    char what[64];
    snprintf(what, sizeof(what), "%.20s cannot be asked", node->name);
    if (PQstatus(conn) != CONNECTION_OK)
        fail(k, what, PQerrorMessage(conn));
    else if (done(k, conn, &(struct federation_question){.sql = prologue, .what = what}))
        return conn;
    PQfinish(conn);
    return NULL;
}

static bool run(struct keeper *k, const char *sql)
{
    return done(k, k->conn,
                &(struct federation_question){.sql = sql,
                                              .what = "the federating database cannot be built"});
}

static PGresult *ask(struct keeper *k, PGconn *conn, const char *sql, const char *parameter)
{
    return federation_ask(conn,
                          &(struct federation_question){sql, parameter == NULL ? 0 : 1, &parameter,
                                                        "the federating database cannot be asked"},
                          k->made->facts.why);
}

/* ---- the database itself ---- */

static bool create_database(struct keeper *k, PGconn *conn, const struct federation_locale *like)
{
    static const char what[] = "the federating database cannot be made";
    const char *name = federation_identifier(&k->arena, k->host->server_database);
    const char *words[4] = {federation_literal(&k->arena, like->encoding),
                            federation_literal(&k->arena, like->collate),
                            federation_literal(&k->arena, like->ctype),
                            federation_literal(&k->arena, like->icu_locale)};
    struct sy_buf sql = {0};
    if (name == NULL || words[0] == NULL || words[1] == NULL || words[2] == NULL ||
        words[3] == NULL)
        return fail(k, what, "out of memory");
    sy_buf_printf(&sql,
                  "create database %s template template0 encoding %s lc_collate %s lc_ctype %s",
                  name, words[0], words[1], words[2]);
    if (like->provider[0] == 'i')
        sy_buf_printf(&sql, " locale_provider icu icu_locale %s", words[3]);
    sy_buf_append_u8(&sql, 0);
    bool good = sql.failed
                    ? fail(k, what, "out of memory")
                    : done(k, conn, &(struct federation_question){.sql = sql.data, .what = what});
    sy_buf_release(&sql);
    return good;
}

/* Connects to the federating database; makes it first if it is not there. */
static bool open_database(struct keeper *k, const struct federation_locale *like)
{
    PGconn *beside = dial(k, primary_of(k->database, k->database->federation_host));
    if (beside == NULL)
        return false;
    PGresult *found =
        ask(k, beside, "select 1 from pg_database where datname = $1", k->host->server_database);
    bool good = found != NULL;
    if (good && PQntuples(found) == 0) {
        good = create_database(k, beside, like);
        k->fresh = true;
    }
    PQclear(found);
    PQfinish(beside);
    k->conn = good ? dial(k, k->host) : NULL;
    return k->conn != NULL;
}

static bool same_locale(const struct federation_locale *a, const struct federation_locale *b)
{
    return strcmp(a->encoding, b->encoding) == 0 && strcmp(a->collate, b->collate) == 0 &&
           strcmp(a->ctype, b->ctype) == 0 && strcmp(a->provider, b->provider) == 0 &&
           strcmp(a->icu_locale, b->icu_locale) == 0;
}

/* ---- who may come ---- */

static const char *password_of(const struct keeper *k, const struct sy_node *node, const char *user)
{
    const struct sy_config *config = k->topology->config;
    if (node->user != NULL && strcmp(node->user, user) == 0 && node->password != NULL)
        return node->password;
    for (uint32_t i = 0; i < config->user_count; i++) {
        const struct sy_config_user *one = &config->users[i];
        const char *name = one->server_user != NULL ? one->server_user : one->name;
        const char *password = one->server_user != NULL ? one->server_password : one->password;
        if (strcmp(name, user) == 0 && password != NULL)
            return password;
    }
    bool given = strcmp(node->conninfo_user, user) == 0 && node->conninfo_password[0] != '\0';
    return given ? node->conninfo_password : NULL;
}

/* Whoever can log in at the federating server goes on to each shard under the same name; the user
 * that a node's configuration puts in everybody's place goes on as the other node's. */
static bool read_users(struct keeper *k)
{
    PGresult *roles =
        ask(k, k->conn, "select rolname from pg_roles where rolcanlogin order by rolname", NULL);
    if (roles == NULL)
        return false;
    size_t count = (size_t)PQntuples(roles) * k->database->shard_count;
    struct federation_user *users = sy_arena_calloc(&k->arena, count + 1, sizeof(*users));
    for (int r = 0; users != NULL && r < PQntuples(roles); r++)
        for (uint32_t s = 0; s < k->database->shard_count; s++) {
            const struct sy_node *node = primary_of(k->database, s);
            const char *local = sy_arena_strdup(&k->arena, pg_value(roles, r, 0)), *remote = local;
            if (local != NULL && k->host->user != NULL && strcmp(k->host->user, local) == 0 &&
                node->user != NULL)
                remote = node->user;
            if (local == NULL)
                break;
            users[k->input.user_count++] =
                (struct federation_user){s, local, remote, password_of(k, node, remote)};
        }
    PQclear(roles);
    k->input.users = users;
    return (users != NULL && k->input.user_count == count) ||
           fail(k, "the users cannot be read", "out of memory");
}

static bool describe_shards(struct keeper *k)
{
    struct federation_shard *shards =
        sy_arena_calloc(&k->arena, k->database->shard_count, sizeof(*shards));
    if (shards == NULL)
        return fail(k, "the shards cannot be described", "out of memory");
    for (uint32_t i = 0; i < k->database->shard_count; i++) {
        const struct sy_node *node = primary_of(k->database, i);
        shards[i] = (struct federation_shard){node->host, node->hostaddr, node->port,
                                              node->server_database, node->sslmode};
    }
    k->input.shards = shards;
    k->input.shard_count = k->database->shard_count;
    k->input.map = k->database->map;
    return true;
}

/* ---- what the shards say ---- */

static bool read_shard(struct keeper *k, uint32_t shard, struct federation_locale *first)
{
    PGconn *conn = dial(k, primary_of(k->database, shard));
    struct federation_locale locale;
    char *why = k->made->facts.why;
    if (conn == NULL)
        return false;
    bool good = federation_read_locale(conn, &k->arena, &locale, why);
    if (good && shard == 0)
        *first = locale;
    if (good && !same_locale(first, &locale))
        good = fail(k, "the shards order text differently",
                    "their encodings or default collations are not the same");
    else if (good && strcmp(first->versions, locale.versions) != 0)
        good = fail(k, "the shards may order text differently",
                    "the versions of their collations are not the same");
    good = good && federation_read_tables(conn, k->database, shard, &k->arena, &k->input, why);
    if (good && shard == 0)
        good = federation_read_objects(conn, &k->arena, k->host->server_database, &k->input, why);
    if (good && shard == 0)
        k->first = conn;
    else
        PQfinish(conn);
    return good;
}

/* ---- building ---- */

/* Not the statement itself: it may hold a password. */
static void log_left_out(const struct keeper *k, const struct federation_step *step,
                         const PGresult *result)
{
    const char *why = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    SY_LOG(SY_LOG_DEBUG, "left out of the federating database",
           SY_KV_STR("database", k->database->config->name),
           SY_KV_STR("what", step->name != NULL ? step->name : "a type, grant or user"),
           SY_KV_STR("why", why != NULL ? why : "the connection was lost"));
}

static bool step_works(struct keeper *k, const struct federation_step *step)
{
    if (!run(k, "savepoint step"))
        return false;
    PGresult *result = pg_ask(k->conn, step->sql, 0, NULL, FEDERATION_PATIENCE_MS);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!good)
        log_left_out(k, step, result);
    PQclear(result);
    return run(k, good ? "release savepoint step" : "rollback to savepoint step") && good;
}

static bool tell_relation(struct keeper *k, const struct federation_step *step)
{
    const char *values[] = {step->schema, step->name};
    return step->name == NULL ||
           done(k, k->conn,
                &(struct federation_question){"insert into switchyard.relation values ($1, $2)", 2,
                                              values, "the federating database cannot be built"});
}

/* Views may need views that come later: as long as one can be made, the rest is tried again. */
static bool run_again_steps(struct keeper *k)
{
    const struct federation_script *script = &k->script;
    bool *done = sy_arena_calloc(&k->arena, (size_t)script->count + 1, sizeof(*done));
    bool progress = done != NULL, good = done != NULL;
    while (progress && good) {
        progress = false;
        k->left_out = 0;
        for (uint32_t i = 0; i < script->count && good; i++) {
            const struct federation_step *step = &script->steps[i];
            if (step->need != FEDERATION_AGAIN || done[i])
                continue;
            done[i] = step_works(k, step);
            progress = progress || done[i];
            k->left_out += !done[i];
            good = PQtransactionStatus(k->conn) == PQTRANS_INTRANS &&
                   (!done[i] || tell_relation(k, step));
        }
    }
    return good;
}

static bool run_steps(struct keeper *k, bool types_stay)
{
    const struct federation_script *script = &k->script;
    bool made_views = false, good = run(k, types_stay ? script->clear_tables : script->clear_all);
    for (uint32_t i = 0; i < script->count && good; i++) {
        const struct federation_step *step = &script->steps[i];
        if (types_stay && step->kept)
            continue;
        if (step->need == FEDERATION_MUST) {
            good = run(k, step->sql);
            if (good && strcmp(step->sql, "create schema switchyard") == 0)
                good =
                    run(k, "create table switchyard.built(version text, types text); create table "
                           "switchyard.relation(schema name, name name)");
        } else if (step->need == FEDERATION_AGAIN) {
            good = made_views || run_again_steps(k);
            made_views = true;
        } else if (step_works(k, step)) {
            good = tell_relation(k, step);
        } else {
            good = PQtransactionStatus(k->conn) == PQTRANS_INTRANS;
            k->left_out += step->name != NULL;
        }
    }
    return good;
}

/* What was built last, "" where nothing was. */
static bool read_built(struct keeper *k, char version[32], char types[32])
{
    version[0] = types[0] = '\0';
    /* The columns by name: an older table may lack one. */
    PGresult *there = ask(k, k->conn,
                          "select count(*) from pg_attribute where attrelid = "
                          "to_regclass('switchyard.built') and attname in ('version', 'types')",
                          NULL);
    bool has = there != NULL && pg_value(there, 0, 0)[0] == '2', asked = there != NULL;
    PQclear(there);
    PGresult *row =
        has ? ask(k, k->conn, "select version, types from switchyard.built", NULL) : NULL;
    if (row != NULL && PQntuples(row) == 1) {
        snprintf(version, 32, "%s", pg_value(row, 0, 0));
        snprintf(types, 32, "%s", pg_value(row, 0, 1));
    }
    PQclear(row);
    return asked && (!has || row != NULL);
}

static bool build(struct keeper *k)
{
    char version[32], types[32], built[32], built_types[32], store[128];
    snprintf(version, sizeof(version), "%016" PRIx64, k->script.version);
    snprintf(types, sizeof(types), "%016" PRIx64, k->script.types);
    snprintf(store, sizeof(store), "insert into switchyard.built values ('%s', '%s')", version,
             types);
    if (!run(k, "begin; select pg_advisory_xact_lock(8316874539862290)"))
        return false;
    bool good = read_built(k, built, built_types) &&
                (strcmp(built, version) == 0 ||
                 (run_steps(k, strcmp(built_types, types) == 0) && run(k, store)));
    if (!good) {
        char why[SY_FEDERATION_WHY_BYTES];
        snprintf(why, sizeof(why), "%s", k->made->facts.why);
        (void)run(k, "rollback");
        snprintf(k->made->facts.why, sizeof(why), "%s", why);
        return false;
    }
    return run(k, "commit");
}

/* ---- what is there ---- */

static bool read_relations(struct keeper *k)
{
    struct sy_topology_federation *made = k->made;
    PGresult *rows = ask(k, k->conn, "select schema, name from switchyard.relation", NULL);
    if (rows == NULL)
        return false;
    uint32_t count = (uint32_t)PQntuples(rows);
    struct sy_federation_relation *relations =
        sy_arena_calloc(&made->arena, (size_t)count + 1, sizeof(*relations));
    for (uint32_t i = 0; relations != NULL && i < count; i++) {
        const char *schema = sy_arena_strdup(&made->arena, pg_value(rows, (int)i, 0));
        const char *name = sy_arena_strdup(&made->arena, pg_value(rows, (int)i, 1));
        if (schema == NULL || name == NULL)
            break;
        relations[made->facts.relation_count++] =
            (struct sy_federation_relation){sy_slice_of(schema), sy_slice_of(name)};
    }
    PQclear(rows);
    if (relations == NULL || made->facts.relation_count != count)
        return fail(k, "the federating database cannot be read", "out of memory");
    qsort(relations, count, sizeof(*relations), sy_federation_compare);
    made->facts.relations = relations;
    return true;
}

/* Functions of users of which every overload is the same here and on the shards, and immutable. */
static bool read_functions(struct keeper *k)
{
    static const char query[] =
        "select n.nspname, proname, string_agg(concat(pg_get_function_identity_arguments(p.oid), "
        "' ', prokind, provolatile), '; ' order by pg_get_function_identity_arguments(p.oid)), "
        "bool_and(provolatile = 'i') from pg_proc p join pg_namespace n on n.oid = pronamespace "
        "where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'switchyard') "
        "group by 1, 2";
    struct sy_topology_federation *made = k->made;
    struct sy_map here_by_name = {0};
    PGresult *here = ask(k, k->conn, query, NULL);
    PGresult *there = here == NULL ? NULL : ask(k, k->first, query, NULL);
    size_t room = there == NULL ? 0 : (size_t)PQntuples(there);
    struct sy_federation_relation *list = sy_arena_calloc(&made->arena, room + 1, sizeof(*list));
    bool good = there != NULL && list != NULL;
    for (int i = 0; good && i < PQntuples(here); i++) {
        const char *key =
            sy_arena_printf(&k->arena, "%s %s", pg_value(here, i, 0), pg_value(here, i, 1));
        good = key != NULL && sy_map_put(&here_by_name, sy_slice_of(key), (void *)(intptr_t)(i + 1),
                                         NULL, NULL) == SY_OK;
    }
    for (int i = 0; good && i < PQntuples(there); i++) {
        const char *schema = sy_arena_strdup(&made->arena, pg_value(there, i, 0));
        const char *name = sy_arena_strdup(&made->arena, pg_value(there, i, 1));
        const char *key =
            sy_arena_printf(&k->arena, "%s %s", pg_value(there, i, 0), pg_value(there, i, 1));
        good = schema != NULL && name != NULL && key != NULL;
        int row = !good ? -1 : (int)(intptr_t)sy_map_get(&here_by_name, sy_slice_of(key)) - 1;
        if (row >= 0 && pg_value(there, i, 3)[0] == 't' &&
            strcmp(pg_value(there, i, 2), pg_value(here, row, 2)) == 0)
            list[made->facts.function_count++] =
                (struct sy_federation_relation){sy_slice_of(schema), sy_slice_of(name)};
    }
    sy_map_release(&here_by_name);
    PQclear(here);
    PQclear(there);
    if (!good && made->facts.why[0] == '\0')
        fail(k, "the functions cannot be read", "out of memory");
    if (!good)
        return false;
    qsort(list, made->facts.function_count, sizeof(*list), sy_federation_compare);
    made->facts.functions = list;
    return true;
}

static int by_from(const void *a, const void *b)
{
    const struct sy_oid_pair *left = a, *right = b;
    return left->from < right->from ? -1 : left->from > right->from;
}

static uint32_t oid_at(const PGresult *result, int row, int column)
{
    return (uint32_t)strtoul(pg_value(result, row, column), NULL, 10);
}

/* Clients know the types of shard 0. */
static bool map_types(struct keeper *k, const PGresult *here, const PGresult *there)
{
    struct sy_type_map *map = &k->made->types;
    struct sy_map by_name = {0};
    size_t room = (size_t)PQntuples(here) * 2 + 1;
    struct sy_oid_pair *to = sy_arena_calloc(&k->made->arena, room, sizeof(*to));
    struct sy_oid_pair *back = sy_arena_calloc(&k->made->arena, room, sizeof(*back));
    bool good = to != NULL && back != NULL;
    for (int i = 0; good && i < PQntuples(there); i++)
        good = sy_map_put(&by_name, sy_slice_of(pg_value(there, i, 0)), (void *)(intptr_t)(i + 1),
                          NULL, NULL) == SY_OK;
    for (int i = 0; good && i < PQntuples(here); i++) {
        int row = (int)(intptr_t)sy_map_get(&by_name, sy_slice_of(pg_value(here, i, 0))) - 1;
        for (int c = 1; row >= 0 && c <= 2; c++) {
            uint32_t from = oid_at(here, i, c), canonical = oid_at(there, row, c);
            if (from == 0 || canonical == 0)
                continue;
            to[map->type_count++] = (struct sy_oid_pair){from, canonical};
            back[map->back_count++] = (struct sy_oid_pair){canonical, from};
        }
    }
    sy_map_release(&by_name);
    if (!good)
        return fail(k, "the types cannot be read", "out of memory");
    qsort(to, map->type_count, sizeof(*to), by_from);
    qsort(back, map->back_count, sizeof(*back), by_from);
    map->types = to;
    map->types_back = back;
    return true;
}

static int by_oid(const void *a, const void *b)
{
    const struct sy_type_shape *left = a, *right = b;
    return left->oid < right->oid ? -1 : left->oid > right->oid;
}

/* Types whose binary values hold OIDs. */
static bool read_shapes(struct keeper *k, const PGresult *here)
{
    struct sy_type_map *map = &k->made->types;
    size_t room = (size_t)PQntuples(here) * 2 + 1;
    struct sy_type_shape *shapes = sy_arena_calloc(&k->made->arena, room, sizeof(*shapes));
    if (shapes == NULL)
        return fail(k, "the types cannot be read", "out of memory");
    for (int i = 0; i < PQntuples(here); i++) {
        uint32_t oid = oid_at(here, i, 1), array = oid_at(here, i, 2), inner = oid_at(here, i, 4);
        char kind = pg_value(here, i, 3)[0];
        if (array != 0)
            shapes[map->shape_count++] = (struct sy_type_shape){array, SY_SHAPE_ARRAY, oid};
        if (kind == 'c')
            shapes[map->shape_count++] = (struct sy_type_shape){oid, SY_SHAPE_RECORD, 0};
        if (kind == 'd')
            shapes[map->shape_count++] = (struct sy_type_shape){oid, SY_SHAPE_DOMAIN, inner};
    }
    qsort(shapes, map->shape_count, sizeof(*shapes), by_oid);
    map->shapes = shapes;
    return true;
}

static bool read_types(struct keeper *k)
{
    static const char query[] =
        "select format('%I.%I', n.nspname, typname), t.oid, typarray, typtype, typbasetype from "
        "pg_type t join "
        "pg_namespace n on n.oid = typnamespace where t.oid >= 16384 and typcategory <> 'A' and "
        "nspname !~ '^pg_'";
    PGresult *here = ask(k, k->conn, query, NULL);
    PGresult *there = here == NULL ? NULL : ask(k, k->first, query, NULL);
    bool good = there != NULL && map_types(k, here, there) && read_shapes(k, here);
    PQclear(here);
    PQclear(there);
    return good;
}

/* ---- the whole ---- */

static bool superuser(struct keeper *k)
{
    PGresult *result =
        ask(k, k->conn, "select rolsuper from pg_roles where rolname = current_user", NULL);
    k->input.superuser =
        result != NULL && PQntuples(result) == 1 && pg_value(result, 0, 0)[0] == 't';
    PQclear(result);
    return result != NULL;
}

static bool keep(struct keeper *k, bool rebuild)
{
    struct federation_locale like;
    struct sy_err err = {0};
    k->host = primary_of(k->database, k->database->shard_count);
    if (strlen(k->host->server_database) > SY_LIMIT_NAME_BYTES)
        return fail(k, "the federating database cannot be named",
                    "switchyard_fed_ and the database's name are longer than 63 bytes");
    if (!describe_shards(k))
        return false;
    uint32_t shard = 0;
    do
        if (!read_shard(k, shard, &like))
            return false;
    while (rebuild && ++shard < k->database->shard_count);
    if (!open_database(k, &like) || !superuser(k) || (rebuild && !read_users(k)))
        return false;
    struct federation_locale locale;
    if (!federation_read_locale(k->conn, &k->arena, &locale, k->made->facts.why))
        return false;
    if (!same_locale(&like, &locale))
        return fail(k, k->host->server_database,
                    "its encoding or collation is not that of the shards: drop it");
    if (rebuild && federation_write(&k->input, &k->arena, &k->script, &err) != SY_OK)
        return fail(k, "the federating database cannot be described", err.text);
    return (!rebuild || build(k)) && read_relations(k) && read_functions(k) && read_types(k);
}

struct sy_topology_federation *sy_federation_keep(const struct sy_topology *topology,
                                                  const struct sy_topology_database *database,
                                                  bool rebuild)
{
    if (database->federation.node_count == 0)
        return NULL;
    struct keeper k = {.topology = topology, .database = database};
    k.made = calloc(1, sizeof(*k.made));
    if (k.made == NULL)
        return NULL;
    k.made->facts.ready = keep(&k, rebuild);
    if (k.made->facts.ready)
        k.made->facts.why[0] = '\0';
    if (k.left_out > 0)
        SY_LOG(SY_LOG_INFO, "relations left out of the federating database",
               SY_KV_STR("database", database->config->name), SY_KV_INT("count", k.left_out));
    PQfinish(k.conn);
    PQfinish(k.first);
    sy_arena_release(&k.arena);
    return k.made;
}
