/* Declarations of keyspaces and tables, kept as the statements that made them. */
#include <string.h>

#include "catalog/internal.h"

enum sy_status sy_catalog_put_declaration(struct sy_catalog *catalog,
                                          const struct sy_catalog_declaration *declaration,
                                          struct sy_err *err)
{
    sy_catalog_lock(catalog);
    enum sy_status status = sy_catalog_run(
        catalog, NULL, err,
        "INSERT INTO declarations (database, kind, schema, name, statement, declared_us) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        "ttttti", declaration->database, declaration->kind, declaration->schema, declaration->name,
        declaration->statement, catalog->clock->wall_us(catalog->clock));
    sy_catalog_unlock(catalog);
    return status;
}

enum sy_status sy_catalog_remove_declaration(struct sy_catalog *catalog,
                                             const struct sy_catalog_declaration *declaration,
                                             struct sy_err *err)
{
    sy_catalog_lock(catalog);
    enum sy_status status = sy_catalog_run(
        catalog, NULL, err,
        "DELETE FROM declarations WHERE database = ? AND kind = ? AND schema = ? AND name = ?",
        "tttt", declaration->database, declaration->kind, declaration->schema, declaration->name);
    sy_catalog_unlock(catalog);
    return status;
}

static enum sy_status each(struct sy_catalog *catalog,
                           void (*row)(void *ctx, const struct sy_catalog_declaration *declaration),
                           void *ctx, struct sy_err *err)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(catalog->db,
                           "SELECT database, kind, schema, name, statement FROM declarations "
                           "ORDER BY kind, number",
                           -1, &statement, NULL) != SQLITE_OK)
        return sy_catalog_fail(catalog, "reading declarations", err);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *text[5];
        for (int i = 0; i < 5; i++)
            text[i] = (const char *)sqlite3_column_text(statement, i);
        const struct sy_catalog_declaration declaration = {text[0], text[1], text[2], text[3],
                                                           text[4]};
        row(ctx, &declaration);
    }
    enum sy_status status =
        code == SQLITE_DONE ? SY_OK : sy_catalog_fail(catalog, "reading declarations", err);
    sqlite3_finalize(statement);
    return status;
}

enum sy_status sy_catalog_each_declaration(
    struct sy_catalog *catalog,
    void (*row)(void *ctx, const struct sy_catalog_declaration *declaration), void *ctx,
    struct sy_err *err)
{
    sy_catalog_lock(catalog);
    enum sy_status status = each(catalog, row, ctx, err);
    sy_catalog_unlock(catalog);
    return status;
}
