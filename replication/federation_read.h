/* Reading the catalogs of shards into the description of a federating database. Internal to
 * replication. */
#ifndef SY_REPLICATION_FEDERATION_READ_H
#define SY_REPLICATION_FEDERATION_READ_H

#include <libpq-fe.h>

#include "replication/federation_script.h"
#include "router/topology/topology.h"

/* How a database was made: the federating one must compare text in the same way. */
struct federation_locale {
    const char *encoding, *collate, *ctype, *provider, *icu_locale; /* icu_locale "": none */
    const char *versions; /* of the libraries that compare text: one server may have newer ones */
};

/* One shard after the other, the first in `shards` first. `input` has map, shards and shard_count.
 * Everything lives in the arena. false: *why says what failed. */
bool federation_read_locale(PGconn *conn, struct sy_arena *arena,
                            struct federation_locale *ret_locale, char why[]);
bool federation_read_objects(PGconn *conn, struct sy_arena *arena, const char *federating,
                             struct federation_input *input, char why[]);
bool federation_read_tables(PGconn *conn, const struct sy_topology_database *database,
                            uint32_t shard, struct sy_arena *arena, struct federation_input *input,
                            char why[]);
/* The first line of an error, for `why` of SY_FEDERATION_WHY_BYTES. */
void federation_note(char why[], const char *what, const char *message);

/* A little more than the statement_timeout that the keeper's connections have: past it the server
 * itself is in trouble. */
enum { FEDERATION_PATIENCE_MS = 65 * 1000 };

struct federation_question {
    const char *sql;
    int count; /* of values */
    const char *const *values;
    const char *what; /* for *why: what cannot be done without the answer */
};

/* The result, rows or not, to be cleared; NULL: *why says what failed. */
PGresult *federation_ask(PGconn *conn, const struct federation_question *question, char why[]);

#endif
