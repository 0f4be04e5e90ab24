/* The catalog's file: opening it, and the few things the router asks of it. */
#include "catalog/catalog.h"

#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "catalog/internal.h"

enum sy_status sy_catalog_fail(const struct sy_catalog *catalog, const char *doing,
                               struct sy_err *err)
{
    int code = catalog->db != NULL ? sqlite3_errcode(catalog->db) : SQLITE_NOMEM;
    sy_err_set(err, SY_E_CATALOG, "catalog: %s: %s", doing,
               catalog->db != NULL ? sqlite3_errmsg(catalog->db) : "out of memory");
    if (code == SQLITE_BUSY)
        sy_err_hint(err,
                    "Another switchyard uses this data_dir. Stop it, or give this one its own.");
    else if (code == SQLITE_CANTOPEN || code == SQLITE_READONLY)
        sy_err_hint(err, "The folder must exist and be writable by this user: see data_dir.");
    else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        sy_err_hint(
            err,
            "The file is damaged or not a catalog. Restore it from a backup, or move it away.");
    return SY_E_CATALOG;
}

enum sy_status sy_catalog_exec(struct sy_catalog *catalog, const char *sql, const char *doing,
                               struct sy_err *err)
{
    if (sqlite3_exec(catalog->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return sy_catalog_fail(catalog, doing, err);
    return SY_OK;
}

void sy_catalog_lock(struct sy_catalog *catalog)
{
    pthread_mutex_lock(&catalog->lock);
}

void sy_catalog_unlock(struct sy_catalog *catalog)
{
    pthread_mutex_unlock(&catalog->lock);
}

static void bind_all(sqlite3_stmt *statement, const char *types, va_list values)
{
    for (int i = 0; types[i] != '\0'; i++) {
        if (types[i] == 'i')
            sqlite3_bind_int64(statement, i + 1, va_arg(values, int64_t));
        else
            sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1, SQLITE_TRANSIENT);
    }
}

enum sy_status sy_catalog_run(struct sy_catalog *catalog, int64_t *ret_number, struct sy_err *err,
                              const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list values;
    if (sqlite3_prepare_v2(catalog->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return sy_catalog_fail(catalog, "preparing", err);
    va_start(values, types);
    bind_all(statement, types, values);
    va_end(values);
    int code = sqlite3_step(statement);
    int64_t number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    while (code == SQLITE_ROW)
        code = sqlite3_step(statement);
    enum sy_status status = code == SQLITE_DONE ? SY_OK : sy_catalog_fail(catalog, "writing", err);
    sqlite3_finalize(statement);
    if (status == SY_OK && ret_number != NULL)
        *ret_number = number;
    return status;
}

static enum sy_status name_cluster(struct sy_catalog *catalog, struct sy_err *err)
{
    unsigned char random[16];
    char fresh[SY_CLUSTER_ID_BYTES];
    sqlite3_stmt *statement = NULL;
    if (RAND_bytes(random, sizeof(random)) != 1)
        return sy_err_set(err, SY_E_INTERNAL, "no random bytes for the cluster's name");
    for (size_t i = 0; i < sizeof(random); i++)
        snprintf(fresh + 2 * i, 3, "%02x", random[i]);
    enum sy_status status =
        sy_catalog_run(catalog, NULL, err, "INSERT OR IGNORE INTO cluster VALUES (1, ?, ?)", "ti",
                       fresh, catalog->clock->wall_us(catalog->clock));
    if (status != SY_OK)
        return status;
    if (sqlite3_prepare_v2(catalog->db, "SELECT id FROM cluster", -1, &statement, NULL) !=
            SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        status = sy_catalog_fail(catalog, "reading the cluster's name", err);
    else
        snprintf(catalog->cluster_id, sizeof(catalog->cluster_id), "%s",
                 (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return status;
}

/* The folders of the file, as mkdir -p. What fails here is told when the file cannot be opened. */
static void make_folders(const char *path)
{
    char folder[4096];
    size_t bytes = strlen(path);
    if (bytes >= sizeof(folder))
        return;
    for (size_t i = 1; i < bytes; i++) {
        if (path[i] != '/')
            continue;
        memcpy(folder, path, i);
        folder[i] = '\0';
        (void)mkdir(folder, 0700);
    }
}

static enum sy_status open_file(struct sy_catalog *catalog, const char *path, struct sy_err *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    make_folders(path);
    if (sqlite3_open_v2(path, &catalog->db, flags, NULL) != SQLITE_OK)
        return sy_catalog_fail(catalog, path, err);
    /* Exclusive: a second router on the same data_dir must not start. Set before the first read. */
    return sy_catalog_exec(
        catalog,
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
        "PRAGMA foreign_keys = ON; BEGIN IMMEDIATE; COMMIT",
        path, err);
}

enum sy_status sy_catalog_open(const char *path, const struct sy_clock *clock,
                               struct sy_catalog **ret_catalog, struct sy_err *err)
{
    struct sy_catalog *catalog = calloc(1, sizeof(*catalog));
    if (catalog == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    catalog->clock = clock;
    pthread_mutex_init(&catalog->lock, NULL);
    enum sy_status status = open_file(catalog, path, err);
    if (status == SY_OK)
        status = sy_catalog_migrate(catalog, sy_migrations, sy_migration_count, err);
    if (status == SY_OK)
        status = name_cluster(catalog, err);
    if (status != SY_OK)
        sy_catalog_close(&catalog);
    else
        *ret_catalog = catalog;
    return status;
}

void sy_catalog_close(struct sy_catalog **catalog)
{
    if (*catalog == NULL)
        return;
    sqlite3_close_v2((*catalog)->db);
    pthread_mutex_destroy(&(*catalog)->lock);
    free(*catalog);
    *catalog = NULL;
}

unsigned sy_catalog_version(const struct sy_catalog *catalog)
{
    return catalog->version;
}

const char *sy_catalog_cluster_id(const struct sy_catalog *catalog)
{
    return catalog->cluster_id;
}

enum sy_status sy_catalog_begin_incarnation(struct sy_catalog *catalog, const char *version,
                                            int64_t *ret_number, struct sy_err *err)
{
    sy_catalog_lock(catalog);
    enum sy_status status = sy_catalog_run(
        catalog, NULL, err, "INSERT INTO incarnations (started_us, version) VALUES (?, ?)", "it",
        catalog->clock->wall_us(catalog->clock), version);
    if (status == SY_OK)
        *ret_number = sqlite3_last_insert_rowid(catalog->db);
    sy_catalog_unlock(catalog);
    return status;
}

enum sy_status sy_catalog_end_incarnation(struct sy_catalog *catalog, int64_t number,
                                          struct sy_err *err)
{
    sy_catalog_lock(catalog);
    enum sy_status status =
        sy_catalog_run(catalog, NULL, err, "UPDATE incarnations SET ended_us = ? WHERE number = ?",
                       "ii", catalog->clock->wall_us(catalog->clock), number);
    sy_catalog_unlock(catalog);
    return status;
}
