/*
 * The catalog: what the router remembers between starts, in one SQLite file
 * (<data_dir>/catalog.db). Schema in migrations/. Small and off the hot path.
 *
 * Thread: any; one call at a time, which the catalog sees to. Blocks: disk.
 */
#ifndef SY_CATALOG_CATALOG_H
#define SY_CATALOG_CATALOG_H

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"

struct sy_catalog;

enum { SY_CLUSTER_ID_BYTES = 33 }; /* 32 hexadecimal digits and a zero byte */

/*
 * Opens or creates the file and applies the migrations it lacks, each in a transaction. A catalog
 * is locked by the process that has it open. Ownership: free with sy_catalog_close(). Errors:
 * SY_E_CATALOG: cannot be opened, damaged, in use by another process, newer than the program, or a
 * released migration was edited; the hint says what to do.
 */
SY_MUST_CHECK enum sy_status sy_catalog_open(const char *path, const struct sy_clock *clock,
                                             struct sy_catalog **ret_catalog, struct sy_err *err);
void sy_catalog_close(struct sy_catalog **catalog); /* nobody uses it any more */

/*
 * The catalog of the process, opened by the first call that succeeds; later calls give the same one
 * and leave `path` unread. Ownership: borrowed until sy_catalog_end_sharing(), which is for the end
 * of the process. Errors: as sy_catalog_open().
 */
SY_MUST_CHECK enum sy_status sy_catalog_share(const char *path, struct sy_catalog **ret_catalog,
                                              struct sy_err *err);
void sy_catalog_end_sharing(void);

/* The number of the newest migration applied. */
unsigned sy_catalog_version(const struct sy_catalog *catalog);
/* A random name given to the cluster when the catalog was made. */
const char *sy_catalog_cluster_id(const struct sy_catalog *catalog);

/* Notes a start of the router and gives its incarnation number: larger than every one before. */
SY_MUST_CHECK enum sy_status sy_catalog_begin_incarnation(struct sy_catalog *catalog,
                                                          const char *version, int64_t *ret_number,
                                                          struct sy_err *err);
SY_MUST_CHECK enum sy_status sy_catalog_end_incarnation(struct sy_catalog *catalog, int64_t number,
                                                        struct sy_err *err);

/* What an admin declared. kind: "keyspace" or "table"; schema: "" for keyspaces. */
struct sy_catalog_declaration {
    const char *database, *kind, *schema, *name, *statement;
};
/* Errors: SY_E_CATALOG also when there is one of that name. */
SY_MUST_CHECK enum sy_status
sy_catalog_put_declaration(struct sy_catalog *catalog,
                           const struct sy_catalog_declaration *declaration, struct sy_err *err);
/* By database, kind, schema and name; one that is not there is no error. */
SY_MUST_CHECK enum sy_status
sy_catalog_remove_declaration(struct sy_catalog *catalog,
                              const struct sy_catalog_declaration *declaration, struct sy_err *err);
/* Keyspaces first, each kind in the order in which it was declared; borrowed for the call. */
SY_MUST_CHECK enum sy_status sy_catalog_each_declaration(
    struct sy_catalog *catalog,
    void (*row)(void *ctx, const struct sy_catalog_declaration *declaration), void *ctx,
    struct sy_err *err);

#endif
