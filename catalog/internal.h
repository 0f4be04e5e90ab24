/* Shared by the files of catalog/ only. */
#ifndef SY_CATALOG_INTERNAL_H
#define SY_CATALOG_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>

#include "catalog/catalog.h"
#include "catalog/migrations.h"

struct sy_catalog {
    pthread_mutex_t lock; /* held by each public call that reads or writes */
    sqlite3 *db;
    const struct sy_clock *clock;
    unsigned version;
    char cluster_id[SY_CLUSTER_ID_BYTES];
};

void sy_catalog_lock(struct sy_catalog *catalog);
void sy_catalog_unlock(struct sy_catalog *catalog);

/* Fills *err from SQLite's last error: "catalog: <doing>: <why>". */
enum sy_status sy_catalog_fail(const struct sy_catalog *catalog, const char *doing,
                               struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_catalog_exec(struct sy_catalog *catalog, const char *sql,
                                             const char *doing, struct sy_err *err);
/*
 * Runs one statement with bound values, one letter of `types` each: 'i' int64_t, 't' const char *.
 * A row, if there is one, leaves its first column in *ret_number (may be NULL).
 */
SY_MUST_CHECK enum sy_status sy_catalog_run(struct sy_catalog *catalog, int64_t *ret_number,
                                            struct sy_err *err, const char *sql, const char *types,
                                            ...);

/* migrate.c: brings the schema up to sy_migration_count. `migrations` is an argument for tests. */
SY_MUST_CHECK enum sy_status sy_catalog_migrate(struct sy_catalog *catalog,
                                                const struct sy_migration *migrations,
                                                unsigned count, struct sy_err *err);

#endif
