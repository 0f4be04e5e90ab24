/* The catalog of a shard file: system tables, the image in memory, and how DDL changes them. */
#include "router/engine/sqlite/catalog.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic uint64_t last_generation;

static const char create_sql[] =
    "CREATE TABLE IF NOT EXISTS sy_catalog_relation (oid INTEGER PRIMARY KEY, schema TEXT NOT NULL,"
    " name TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (schema, name)) STRICT;"
    "CREATE TABLE IF NOT EXISTS sy_catalog_object (relation INTEGER NOT NULL, kind TEXT NOT NULL,"
    " name TEXT NOT NULL, oid INTEGER NOT NULL, PRIMARY KEY (relation, kind, name)) STRICT, "
    "WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS sy_catalog_sequence (oid INTEGER PRIMARY KEY, last_value INTEGER "
    "NOT NULL,"
    " is_called INTEGER NOT NULL) STRICT;"
    "CREATE TABLE IF NOT EXISTS sy_catalog_state (name TEXT PRIMARY KEY NOT NULL, value INTEGER "
    "NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    /* What transactions that this shard decided have changed on others: see prepared.h. */
    "CREATE TABLE IF NOT EXISTS sy_catalog_redo (shard TEXT NOT NULL, lsn INTEGER NOT NULL, gid "
    "TEXT NOT NULL, parts BLOB NOT NULL, PRIMARY KEY (shard, lsn)) STRICT;"
    "INSERT OR IGNORE INTO sy_catalog_state VALUES ('format', 1), ('lsn', 1), ('next_oid', 16384);";

enum { CATALOG_FORMAT = 1 };

static enum sy_status sqlite_failed(struct sy_sqlite_conn *conn, struct sy_err *err)
{
    return sy_err_set(err, SY_E_CATALOG, "the shard's catalog cannot be used: %s",
                      sqlite3_errmsg(conn->db));
}

/* Runs one statement with up to four integer or text parameters given by `types` ("it": int64_t,
 * const char *). */
static enum sy_status run(struct sy_sqlite_conn *conn, int64_t *ret_first, struct sy_err *err,
                          const char *sql, const char *types, ...)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(conn->db, sql, -1, &stmt, NULL);
    va_list args;
    va_start(args, types);
    for (int i = 0; rc == SQLITE_OK && types[i] != '\0'; i++) {
        if (types[i] == 'i')
            rc = sqlite3_bind_int64(stmt, i + 1, va_arg(args, int64_t));
        else
            rc = sqlite3_bind_text(stmt, i + 1, va_arg(args, const char *), -1, SQLITE_STATIC);
    }
    va_end(args);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW && ret_first != NULL)
        *ret_first = sqlite3_column_int64(stmt, 0);
    enum sy_status status =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? SY_OK : sqlite_failed(conn, err);
    sqlite3_finalize(stmt);
    return status;
}

enum sy_status sy_sqlite_catalog_create(struct sy_sqlite_conn *conn, struct sy_err *err)
{
    if (sy_sqlite_conn_exec(conn, create_sql) != SQLITE_OK)
        return sqlite_failed(conn, err);
    int64_t format = 0;
    enum sy_status status =
        run(conn, &format, err, "SELECT value FROM sy_catalog_state WHERE name = 'format'", "");
    if (status == SY_OK && format != CATALOG_FORMAT)
        return sy_err_set(err, SY_E_CATALOG,
                          "the shard file has format %lld, this program understands %d",
                          (long long)format, CATALOG_FORMAT);
    return status;
}

/* ---- lookups ---- */

static void *lookup(const struct sy_map *map, const char *schema, const char *name)
{
    char key[2 * 64 + 2];
    int bytes = snprintf(key, sizeof(key), "%.64s.%.64s", schema, name);
    return bytes < 0 ? NULL : sy_map_get(map, (struct sy_slice){key, (size_t)bytes});
}

static void *lookup_path(const struct sy_map *map, const char *schema, const char *name)
{
    if (schema != NULL)
        return lookup(map, schema, name);
    /* pg_catalog is searched first when search_path does not name it, as in PostgreSQL. */
    void *found = lookup(map, "pg_catalog", name);
    return found != NULL ? found : lookup(map, "public", name);
}

const struct sy_sqrelation *sy_sqlite_catalog_find(const struct sy_sqlite_catalog *catalog,
                                                   const char *schema, const char *name)
{
    return lookup_path(&catalog->by_name, schema, name);
}

static const struct sy_sqrelation *find_relation(void *ctx, const char *schema, const char *name)
{
    return sy_sqlite_catalog_find(ctx, schema, name);
}

static const struct sy_sqrelation *find_index_owner(void *ctx, const char *schema, const char *name)
{
    const struct sy_sqlite_catalog *catalog = ctx;
    return lookup_path(&catalog->index_by_name, schema, name);
}

static bool has_schema(void *ctx, const char *schema)
{
    (void)ctx;
    return strcmp(schema, "public") == 0 || strcmp(schema, "pg_catalog") == 0 ||
           strcmp(schema, "information_schema") == 0;
}

static const struct sy_sqrelation *relation_at(void *ctx, uint32_t index)
{
    const struct sy_sqlite_catalog *catalog = ctx;
    return index < catalog->relation_count ? &catalog->relations[index] : NULL;
}

const struct sy_sqrelation *sy_sqlite_catalog_by_oid(const struct sy_sqlite_catalog *catalog,
                                                     uint32_t oid)
{
    if (oid < SY_SQLITE_FIRST_OID) {
        const struct sy_sqrelation *emulated = NULL;
        for (uint32_t i = 0; (emulated = sy_sqlite_emulated_at(i)) != NULL; i++) {
            if (emulated->oid == oid)
                return emulated;
        }
        return NULL;
    }
    uint32_t low = 0, high = catalog->relation_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (catalog->relations[middle].oid < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < catalog->relation_count && catalog->relations[low].oid == oid
               ? &catalog->relations[low]
               : NULL;
}

const struct sy_sqlite_object *sy_sqlite_catalog_object(const struct sy_sqlite_catalog *catalog,
                                                        uint32_t oid)
{
    for (uint32_t i = 0; i < catalog->object_count; i++) {
        if (catalog->objects[i].oid == oid)
            return &catalog->objects[i];
    }
    return NULL;
}

/* ---- loading ---- */

static enum sy_status add_name(struct sy_sqlite_catalog *catalog, struct sy_map *map,
                               const char *schema, const char *name,
                               const struct sy_sqrelation *relation, struct sy_err *err)
{
    char *key = sy_arena_printf(&catalog->arena, "%s.%s", schema, name);
    if (key == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    void *value = NULL;
    memcpy(&value, &relation, sizeof(value));
    return sy_map_put(map, sy_slice_of(key), value, NULL, err);
}

static enum sy_status index_names(struct sy_sqlite_catalog *catalog, struct sy_err *err)
{
    enum sy_status status = SY_OK;
    const struct sy_sqrelation *emulated = NULL;
    for (uint32_t i = 0; status == SY_OK && (emulated = sy_sqlite_emulated_at(i)) != NULL; i++)
        status =
            add_name(catalog, &catalog->by_name, emulated->schema, emulated->name, emulated, err);
    for (uint32_t i = 0; status == SY_OK && i < catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &catalog->relations[i];
        status = add_name(catalog, &catalog->by_name, r->schema, r->name, r, err);
        for (uint32_t x = 0; status == SY_OK && x < r->index_count; x++)
            status =
                add_name(catalog, &catalog->index_by_name, r->schema, r->indexes[x].name, r, err);
    }
    return status;
}

static enum sy_status load_relations(struct sy_sqlite_catalog *catalog, struct sy_sqlite_conn *conn,
                                     struct sy_err *err)
{
    int64_t count = 0;
    enum sy_status status = run(conn, &count, err, "SELECT count(*) FROM sy_catalog_relation", "");
    if (status != SY_OK)
        return status;
    catalog->relations =
        sy_arena_calloc(&catalog->arena, (size_t)count + 1, sizeof(*catalog->relations));
    if (catalog->relations == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sqlite3_stmt *stmt = NULL;
    if (sqlite3_prepare_v2(conn->db, "SELECT oid, body FROM sy_catalog_relation ORDER BY oid", -1,
                           &stmt, NULL) != SQLITE_OK)
        return sqlite_failed(conn, err);
    int rc = SQLITE_DONE;
    while (status == SY_OK && catalog->relation_count < count &&
           (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct sy_sqrelation *r = &catalog->relations[catalog->relation_count];
        status = sy_sqlite_relation_read((const char *)sqlite3_column_text(stmt, 1),
                                         &catalog->arena, r, err);
        r->oid = (uint32_t)sqlite3_column_int64(stmt, 0);
        catalog->relation_count++;
    }
    sqlite3_finalize(stmt);
    if (status == SY_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        status = sqlite_failed(conn, err);
    return status;
}

static void place_object(struct sy_sqlite_catalog *catalog, uint32_t relation_oid, char kind,
                         const char *name, uint32_t oid)
{
    const struct sy_sqrelation *r = sy_sqlite_catalog_by_oid(catalog, relation_oid);
    if (r == NULL)
        return;
    struct sy_sqlite_object object = {.oid = oid, .relation = r};
    for (uint32_t i = 0; kind == 'i' && i < r->index_count; i++) {
        if (strcmp(r->indexes[i].name, name) == 0)
            object.index = &r->indexes[i];
    }
    for (uint32_t i = 0; kind == 'c' && i < r->constraint_count; i++) {
        if (strcmp(r->constraints[i].name, name) == 0)
            object.constraint = &r->constraints[i];
    }
    if (object.index == NULL && object.constraint == NULL)
        return;
    for (uint32_t i = 0; kind == 'c' && i < catalog->object_count; i++) {
        const struct sy_sqlite_object *other = &catalog->objects[i];
        if (other->relation == r && other->index != NULL && other->index->constraint &&
            strcmp(other->index->name, name) == 0)
            object.index_oid = other->oid;
    }
    catalog->objects[catalog->object_count++] = object;
}

static enum sy_status load_objects(struct sy_sqlite_catalog *catalog, struct sy_sqlite_conn *conn,
                                   struct sy_err *err)
{
    int64_t count = 0;
    enum sy_status status = run(conn, &count, err, "SELECT count(*) FROM sy_catalog_object", "");
    if (status != SY_OK)
        return status;
    catalog->objects =
        sy_arena_calloc(&catalog->arena, (size_t)count + 1, sizeof(*catalog->objects));
    if (catalog->objects == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sqlite3_stmt *stmt = NULL;
    /* Indexes before constraints: a constraint looks for its index among those already placed. */
    if (sqlite3_prepare_v2(
            conn->db,
            "SELECT relation, kind, name, oid FROM sy_catalog_object ORDER BY kind DESC, oid", -1,
            &stmt, NULL) != SQLITE_OK)
        return sqlite_failed(conn, err);
    int rc = SQLITE_DONE;
    while (catalog->object_count < count && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        place_object(
            catalog, (uint32_t)sqlite3_column_int64(stmt, 0), (char)sqlite3_column_text(stmt, 1)[0],
            (const char *)sqlite3_column_text(stmt, 2), (uint32_t)sqlite3_column_int64(stmt, 3));
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SY_OK : sqlite_failed(conn, err);
}

enum sy_status sy_sqlite_catalog_load(struct sy_sqlite_conn *conn,
                                      struct sy_sqlite_catalog **ret_catalog, struct sy_err *err)
{
    struct sy_sqlite_catalog *catalog = calloc(1, sizeof(*catalog));
    if (catalog == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    catalog->refs = 1;
    catalog->generation = atomic_fetch_add(&last_generation, 1) + 1;
    catalog->schema = (struct sy_sqschema){
        .ctx = catalog,
        .relation = find_relation,
        .index_owner = find_index_owner,
        .has_schema = has_schema,
        .at = relation_at,
    };
    enum sy_status status = load_relations(catalog, conn, err);
    if (status == SY_OK)
        status = load_objects(catalog, conn, err);
    if (status == SY_OK)
        status = index_names(catalog, err);
    if (status != SY_OK) {
        sy_sqlite_catalog_unref(&catalog);
        return status;
    }
    *ret_catalog = catalog;
    return SY_OK;
}

struct sy_sqlite_catalog *sy_sqlite_catalog_ref(struct sy_sqlite_catalog *catalog)
{
    atomic_fetch_add_explicit(&catalog->refs, 1, memory_order_relaxed);
    return catalog;
}

void sy_sqlite_catalog_unref(struct sy_sqlite_catalog **catalog)
{
    struct sy_sqlite_catalog *self = *catalog;
    *catalog = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    sy_map_release(&self->by_name);
    sy_map_release(&self->index_by_name);
    sy_arena_release(&self->arena);
    free(self);
}

/* ---- changes ---- */

static enum sy_status next_oid(struct sy_sqlite_conn *conn, uint32_t *ret_oid, struct sy_err *err)
{
    int64_t oid = 0;
    enum sy_status status = run(
        conn, &oid, err,
        "UPDATE sy_catalog_state SET value = value + 1 WHERE name = 'next_oid' RETURNING value - 1",
        "");
    if (status == SY_OK && oid > UINT32_MAX)
        return sy_err_set(err, SY_E_LIMIT, "the shard has used up its object identifiers");
    *ret_oid = (uint32_t)oid;
    return status;
}

static enum sy_status keep_object(struct sy_sqlite_conn *conn, uint32_t relation, const char *kind,
                                  const char *name, struct sy_err *err)
{
    int64_t known = 0;
    enum sy_status status =
        run(conn, &known, err,
            "SELECT oid FROM sy_catalog_object WHERE relation = ? AND kind = ? AND name = ?", "itt",
            (int64_t)relation, kind, name);
    uint32_t oid = 0;
    if (status == SY_OK && known == 0)
        status = next_oid(conn, &oid, err);
    if (status == SY_OK && known == 0)
        status = run(conn, NULL, err, "INSERT INTO sy_catalog_object VALUES (?, ?, ?, ?)", "itti",
                     (int64_t)relation, kind, name, (int64_t)oid);
    return status;
}

/* OIDs for what is new; objects that are gone stay as rows without effect until their relation
 * goes: harmless, and an object that comes back under its name has its old OID. */
static enum sy_status keep_objects(struct sy_sqlite_conn *conn, const struct sy_sqrelation *r,
                                   struct sy_err *err)
{
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; status == SY_OK && i < r->index_count; i++)
        status = keep_object(conn, r->oid, "i", r->indexes[i].name, err);
    for (uint32_t i = 0; status == SY_OK && i < r->constraint_count; i++)
        status = keep_object(conn, r->oid, "c", r->constraints[i].name, err);
    return status;
}

static enum sy_status store(struct sy_sqlite_conn *conn, const struct sy_sqrelation *r,
                            struct sy_err *err)
{
    char *json = NULL;
    enum sy_status status = sy_sqlite_relation_write(r, &json, err);
    if (status == SY_OK)
        status = run(conn, NULL, err,
                     "INSERT INTO sy_catalog_relation VALUES (?1, ?2, ?3, ?4) ON CONFLICT (oid) DO "
                     "UPDATE SET"
                     " schema = ?2, name = ?3, body = ?4",
                     "ittt", (int64_t)r->oid, r->schema, r->name, json);
    free(json);
    if (status == SY_OK)
        status = keep_objects(conn, r, err);
    return status;
}

static enum sy_status create(struct sy_sqlite_conn *conn, const struct sy_sqrelation *relation,
                             struct sy_err *err)
{
    struct sy_sqrelation r = *relation;
    enum sy_status status = next_oid(conn, &r.oid, err);
    if (status == SY_OK)
        status = store(conn, &r, err);
    if (status == SY_OK && r.sequence != NULL)
        status = run(conn, NULL, err, "INSERT INTO sy_catalog_sequence VALUES (?, ?, 0)", "ii",
                     (int64_t)r.oid, r.sequence->start);
    return status;
}

static enum sy_status find_oid(struct sy_sqlite_conn *conn, const struct sy_sqddl *ddl,
                               int64_t *ret_oid, struct sy_err *err)
{
    *ret_oid = 0;
    enum sy_status status =
        run(conn, ret_oid, err, "SELECT oid FROM sy_catalog_relation WHERE schema = ? AND name = ?",
            "tt", ddl->schema == NULL ? "public" : ddl->schema, ddl->name);
    if (status == SY_OK && *ret_oid == 0)
        return sy_err_set(err, SY_E_CATALOG, "the shard's catalog has no relation \"%s\"",
                          ddl->name);
    return status;
}

static enum sy_status drop(struct sy_sqlite_conn *conn, int64_t oid, struct sy_err *err)
{
    enum sy_status status =
        run(conn, NULL, err, "DELETE FROM sy_catalog_relation WHERE oid = ?", "i", oid);
    if (status == SY_OK)
        status = run(conn, NULL, err, "DELETE FROM sy_catalog_object WHERE relation = ?", "i", oid);
    if (status == SY_OK)
        status = run(conn, NULL, err, "DELETE FROM sy_catalog_sequence WHERE oid = ?", "i", oid);
    return status;
}

enum sy_status sy_sqlite_catalog_apply(struct sy_sqlite_conn *conn, const struct sy_sqddl *ddl,
                                       uint32_t ddl_count, struct sy_err *err)
{
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; status == SY_OK && i < ddl_count; i++) {
        int64_t oid = 0;
        if (ddl[i].kind == SY_SQDDL_CREATE) {
            status = create(conn, ddl[i].relation, err);
            continue;
        }
        status = find_oid(conn, &ddl[i], &oid, err);
        if (status == SY_OK && ddl[i].kind == SY_SQDDL_DROP) {
            status = drop(conn, oid, err);
        } else if (status == SY_OK) {
            struct sy_sqrelation r = *ddl[i].relation;
            r.oid = (uint32_t)oid;
            status = store(conn, &r, err);
        }
    }
    return status;
}
