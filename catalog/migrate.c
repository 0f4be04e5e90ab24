/*
 * Brings a catalog's schema up to date: applies what it lacks in order, each migration in a
 * transaction together with the row that records it, and refuses what it can't be sure of.
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "catalog/internal.h"

enum { DIGEST_TEXT_BYTES = 65 };

static void digest_of(const char *sql, char ret_text[static DIGEST_TEXT_BYTES])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    EVP_Digest(sql, strlen(sql), digest, &bytes, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 32; i++)
        snprintf(ret_text + (size_t)2 * i, 3, "%02x", i < bytes ? digest[i] : 0U);
}

static enum sy_status newest_applied(struct sy_catalog *catalog, unsigned known, struct sy_err *err)
{
    int64_t newest = 0;
    enum sy_status status = sy_catalog_exec(
        catalog,
        "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, "
        "name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_us INTEGER NOT NULL) STRICT",
        "creating the list of migrations", err);
    if (status == SY_OK)
        status = sy_catalog_run(catalog, &newest, err,
                                "SELECT coalesce(max(number), 0) FROM migrations", "");
    if (status != SY_OK)
        return status;
    if (newest > known) {
        sy_err_set(err, SY_E_CATALOG,
                   "the catalog has version %lld, but this program knows only up to %u",
                   (long long)newest, known);
        sy_err_hint(
            err,
            "It was written by a newer switchyard. Run that one, or restore the catalog's backup.");
        return SY_E_CATALOG;
    }
    catalog->version = (unsigned)newest;
    return SY_OK;
}

static enum sy_status check_applied(struct sy_catalog *catalog,
                                    const struct sy_migration *migration, struct sy_err *err)
{
    char digest[DIGEST_TEXT_BYTES];
    int64_t same = 0;
    digest_of(migration->sql, digest);
    enum sy_status status = sy_catalog_run(
        catalog, &same, err, "SELECT count(*) FROM migrations WHERE number = ? AND sha256 = ?",
        "it", (int64_t)migration->number, digest);
    if (status == SY_OK && same != 1) {
        sy_err_set(err, SY_E_CATALOG, "migration %s is not the one that made this catalog",
                   migration->name);
        sy_err_hint(err,
                    "A released migration was edited. Run the program that wrote the catalog.");
        return SY_E_CATALOG;
    }
    return status;
}

static enum sy_status apply_inside(struct sy_catalog *catalog, const struct sy_migration *migration,
                                   struct sy_err *err)
{
    char digest[DIGEST_TEXT_BYTES];
    digest_of(migration->sql, digest);
    enum sy_status status = sy_catalog_exec(catalog, migration->sql, migration->name, err);
    if (status != SY_OK)
        return status;
    return sy_catalog_run(catalog, NULL, err, "INSERT INTO migrations VALUES (?, ?, ?, ?)", "itti",
                          (int64_t)migration->number, migration->name, digest,
                          catalog->clock->wall_us(catalog->clock));
}

static enum sy_status apply(struct sy_catalog *catalog, const struct sy_migration *migration,
                            struct sy_err *err)
{
    enum sy_status status =
        sy_catalog_exec(catalog, "BEGIN IMMEDIATE", "starting a migration", err);
    if (status != SY_OK)
        return status;
    status = apply_inside(catalog, migration, err);
    if (status == SY_OK)
        status = sy_catalog_exec(catalog, "COMMIT", "committing a migration", err);
    if (status != SY_OK) {
        sqlite3_exec(catalog->db, "ROLLBACK", NULL, NULL, NULL);
        return status;
    }
    catalog->version = migration->number;
    return SY_OK;
}

enum sy_status sy_catalog_migrate(struct sy_catalog *catalog, const struct sy_migration *migrations,
                                  unsigned count, struct sy_err *err)
{
    enum sy_status status = newest_applied(catalog, count, err);
    for (unsigned i = 0; i < count && status == SY_OK; i++) {
        if (migrations[i].number <= catalog->version)
            status = check_applied(catalog, &migrations[i], err);
        else
            status = apply(catalog, &migrations[i], err);
    }
    return status;
}
