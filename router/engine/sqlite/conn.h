/*
 * One SQLite connection: opened the way every connection of a shard is opened, with a cache of
 * prepared statements keyed by plan. Used by one thread at a time (no mutex inside SQLite).
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_CONN_H
#define SY_ROUTER_ENGINE_SQLITE_CONN_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slice.h"
#include "router/engine/sqlite/functions.h"

enum { SY_SQLITE_CONN_STATEMENTS = 512, SY_SQLITE_CONN_BUCKETS = 1024 };

struct sy_sqlite_cached_statement {
    struct sy_sqlite_cached_statement *next_in_bucket;
    struct sy_list by_use; /* least recently used first */
    uint64_t key;
    sqlite3_stmt *stmt;
    bool in_use;
};

struct sy_sqlite_conn {
    struct sy_list link; /* among the idle connections of a node */
    sqlite3 *db;
    bool may_write;
    struct sy_sqsession_slot slot; /* whose statement runs: what SQL functions ask */
    struct sy_sqlite_cached_statement *buckets[SY_SQLITE_CONN_BUCKETS];
    struct sy_list statements; /* by use */
    uint32_t statement_count;
};

/*
 * Opens (and for writers creates) a file: WAL, synchronous FULL, foreign keys on, double quotes are
 * identifiers, schemas not trusted, PostgreSQL's functions and collations registered. Blocks.
 */
SY_MUST_CHECK enum sy_status sy_sqlite_conn_open(const char *path, bool may_write,
                                                 struct sy_sqlite_conn **ret_conn,
                                                 struct sy_err *err);
void sy_sqlite_conn_close(struct sy_sqlite_conn **conn);

/*
 * The prepared statement for `key`, prepared from `sql` when the cache lacks it. The result is
 * reset and without bindings. A statement that is in use already is prepared again outside the
 * cache. Give it back with sy_sqlite_conn_release(). Errors: SQLite's result code; sqlite3_errmsg()
 * of the connection tells more.
 */
SY_MUST_CHECK int sy_sqlite_conn_prepare(struct sy_sqlite_conn *conn, uint64_t key,
                                         struct sy_slice sql, sqlite3_stmt **ret_stmt);
void sy_sqlite_conn_release(struct sy_sqlite_conn *conn, uint64_t key, sqlite3_stmt *stmt);
/* Forgets every cached statement that is not in use. */
void sy_sqlite_conn_forget(struct sy_sqlite_conn *conn);

/* Runs SQL without parameters or results. Returns SQLite's result code. */
SY_MUST_CHECK int sy_sqlite_conn_exec(struct sy_sqlite_conn *conn, const char *sql);
/* The same for cleaning up, where the outcome changes nothing. */
void sy_sqlite_conn_exec_quietly(struct sy_sqlite_conn *conn, const char *sql);

#endif
