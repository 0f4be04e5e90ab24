/*
 * From what the operator says to the snapshot that all use: the configuration's file (or the
 * built-in one), options of the command line, and the catalog's declarations (docs/adr/0006). The
 * main thread.
 */
#ifndef SY_CLI_PUBLISH_H
#define SY_CLI_PUBLISH_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"
#include "catalog/catalog.h"
#include "cli/serve.h"

struct sy_publisher {
    const struct sy_serve_options *options;
    struct sy_buf text; /* of the configuration in force, with a zero byte; empty: built in */
    struct sy_catalog *catalog; /* NULL: not opened */
    char *catalog_path;         /* settled by the first configuration */
    /* Holds new work for a database, or lets it go on; when it returns, every worker does so. */
    bool (*hold)(void *ctx, const char *database, bool hold);
    void *ctx;
};

/*
 * Reads the configuration and the declarations, and publishes. Whatever is wrong, the running
 * snapshot stays; a catalog that is there and cannot be read is wrong. `first`: the process is
 * hardened. Problems are written to standard error and left in *problems. Blocks.
 */
SY_MUST_CHECK enum sy_status sy_publish(struct sy_publisher *publisher, bool first,
                                        struct sy_buf *problems, struct sy_err *err);
/*
 * Carries out one declaration (config/declaration.h): checks it against what is declared and
 * against the shards, stores it and publishes. The configuration's file is not read again.
 * `database`: of the session that said it, empty: the console. Blocks: until transactions that may
 * be creating the table have ended (5 s at most), and while the shards are looked at. Errors:
 * 42710, 42704, 2BP01, 42P07, 55000, 55006, 22023, 08001, 58000.
 */
SY_MUST_CHECK enum sy_status sy_publish_declaration(struct sy_publisher *publisher,
                                                    struct sy_slice database, struct sy_slice text,
                                                    struct sy_err *err);
void sy_publisher_release(struct sy_publisher *publisher);

#endif
