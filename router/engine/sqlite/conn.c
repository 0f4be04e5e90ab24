/* SQLite connections of a shard: how they are opened, and their prepared statements. */
#include "router/engine/sqlite/conn.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "router/engine/sqlite/locks.h"
#include "router/engine/sqlite/pgcatalog.h"

enum { BUSY_TIMEOUT_MS = 10000, STATEMENT_KEY_EXEC = 0 };

static void configure_library(void)
{
    /* SQLite's own memory statistics take a process-wide lock on every allocation. Refused when the
     * library is already in use (the catalog opened first): slower then, not wrong. */
    if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK)
        SY_LOG(SY_LOG_DEBUG, "sqlite memory statistics stay on",
               SY_KV_STR("reason", "library already in use"));
}

static const char *const pragmas_writer =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA "
    "trusted_schema=OFF;"
    "PRAGMA recursive_triggers=ON; PRAGMA cache_size=-16384; PRAGMA mmap_size=268435456;"
    "PRAGMA journal_size_limit=67108864;";
static const char *const pragmas_reader = "PRAGMA query_only=ON; PRAGMA foreign_keys=ON; PRAGMA "
                                          "trusted_schema=OFF; PRAGMA cache_size=-16384;"
                                          "PRAGMA mmap_size=268435456;";

static enum sy_status configure(struct sy_sqlite_conn *conn, const char *path, struct sy_err *err)
{
    sqlite3_extended_result_codes(conn->db, 1);
    sqlite3_busy_timeout(conn->db, BUSY_TIMEOUT_MS);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL);
    if (sqlite3_exec(conn->db, conn->may_write ? pragmas_writer : pragmas_reader, NULL, NULL,
                     NULL) != SQLITE_OK)
        return sy_err_set(err, SY_E_IO, "cannot set up \"%s\": %s", path, sqlite3_errmsg(conn->db));
    return SY_OK;
}

enum sy_status sy_sqlite_conn_open(const char *path, bool may_write,
                                   struct sy_sqlite_conn **ret_conn, struct sy_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure_library);
    struct sy_sqlite_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_list_init(&conn->link);
    sy_list_init(&conn->statements);
    conn->may_write = may_write;
    /* "unix-excl": the file is this process's alone, so its WAL needs no shared memory and a read
     * no fcntl(). A reader opens read-write too, or it could not join a WAL whose index has to be
     * rebuilt; query_only keeps it from writing. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (may_write ? SQLITE_OPEN_CREATE : 0);
    enum sy_status status = SY_OK;
    if (sqlite3_open_v2(path, &conn->db, flags, "unix-excl") != SQLITE_OK)
        status = sy_err_set(err, SY_E_IO, "cannot open \"%s\": %s", path,
                            conn->db == NULL ? "out of memory" : sqlite3_errmsg(conn->db));
    if (status == SY_OK)
        status = configure(conn, path, err);
    if (status == SY_OK)
        status = sy_sqfunctions_register(conn->db, &conn->slot, err);
    if (status == SY_OK && (sy_sqlite_pgcatalog_register(conn->db, &conn->slot) != SQLITE_OK ||
                            sy_sqlite_pgfunctions_register(conn->db, &conn->slot) != SQLITE_OK ||
                            sy_sqlite_locks_register(conn->db, &conn->slot) != SQLITE_OK))
        status = sy_err_set(err, SY_E_NO_MEMORY, "cannot register functions: %s",
                            sqlite3_errmsg(conn->db));
    if (status != SY_OK) {
        sy_sqlite_conn_close(&conn);
        return status;
    }
    *ret_conn = conn;
    return SY_OK;
}

void sy_sqlite_conn_close(struct sy_sqlite_conn **conn)
{
    if (*conn == NULL)
        return;
    sy_sqlite_conn_forget(*conn);
    sqlite3_close_v2((*conn)->db);
    free(*conn);
    *conn = NULL;
}

static struct sy_sqlite_cached_statement **bucket_of(struct sy_sqlite_conn *conn, uint64_t key)
{
    return &conn->buckets[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 54];
}

static struct sy_sqlite_cached_statement *find(struct sy_sqlite_conn *conn, uint64_t key)
{
    struct sy_sqlite_cached_statement *entry = *bucket_of(conn, key);
    while (entry != NULL && entry->key != key)
        entry = entry->next_in_bucket;
    return entry;
}

static void drop(struct sy_sqlite_conn *conn, struct sy_sqlite_cached_statement *entry)
{
    struct sy_sqlite_cached_statement **at = bucket_of(conn, entry->key);
    while (*at != entry)
        at = &(*at)->next_in_bucket;
    *at = entry->next_in_bucket;
    sy_list_remove(&entry->by_use);
    conn->statement_count--;
    sqlite3_finalize(entry->stmt);
    free(entry);
}

void sy_sqlite_conn_forget(struct sy_sqlite_conn *conn)
{
    sy_list_each_safe(node, &conn->statements)
    {
        struct sy_sqlite_cached_statement *entry =
            sy_container_of(node, struct sy_sqlite_cached_statement, by_use);
        if (!entry->in_use)
            drop(conn, entry);
    }
}

static void make_room(struct sy_sqlite_conn *conn)
{
    if (conn->statement_count < SY_SQLITE_CONN_STATEMENTS)
        return;
    sy_list_each_safe(node, &conn->statements)
    {
        struct sy_sqlite_cached_statement *entry =
            sy_container_of(node, struct sy_sqlite_cached_statement, by_use);
        if (!entry->in_use) {
            drop(conn, entry);
            return;
        }
    }
}

/* Without memory for the entry the statement simply is not cached. */
static void remember(struct sy_sqlite_conn *conn, uint64_t key, sqlite3_stmt *stmt)
{
    make_room(conn);
    struct sy_sqlite_cached_statement *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return;
    struct sy_sqlite_cached_statement **bucket = bucket_of(conn, key);
    *entry = (struct sy_sqlite_cached_statement){
        .next_in_bucket = *bucket, .key = key, .stmt = stmt, .in_use = true};
    *bucket = entry;
    sy_list_append(&conn->statements, &entry->by_use);
    conn->statement_count++;
}

int sy_sqlite_conn_prepare(struct sy_sqlite_conn *conn, uint64_t key, struct sy_slice sql,
                           sqlite3_stmt **ret_stmt)
{
    struct sy_sqlite_cached_statement *entry = key == STATEMENT_KEY_EXEC ? NULL : find(conn, key);
    if (entry != NULL && !entry->in_use) {
        entry->in_use = true;
        sy_list_remove(&entry->by_use);
        sy_list_append(&conn->statements, &entry->by_use);
        *ret_stmt = entry->stmt;
        return SQLITE_OK;
    }
    sqlite3_stmt *stmt = NULL;
    unsigned flags = key == STATEMENT_KEY_EXEC ? 0 : SQLITE_PREPARE_PERSISTENT;
    int rc = sqlite3_prepare_v3(conn->db, sql.data, (int)sql.bytes, flags, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    if (entry == NULL && key != STATEMENT_KEY_EXEC)
        remember(conn, key, stmt);
    *ret_stmt = stmt;
    return SQLITE_OK;
}

void sy_sqlite_conn_release(struct sy_sqlite_conn *conn, uint64_t key, sqlite3_stmt *stmt)
{
    struct sy_sqlite_cached_statement *entry = key == STATEMENT_KEY_EXEC ? NULL : find(conn, key);
    if (entry == NULL || entry->stmt != stmt) {
        sqlite3_finalize(stmt);
        return;
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    entry->in_use = false;
}

int sy_sqlite_conn_exec(struct sy_sqlite_conn *conn, const char *sql)
{
    return sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}

void sy_sqlite_conn_exec_quietly(struct sy_sqlite_conn *conn, const char *sql)
{
    (void)sqlite3_exec(conn->db, sql, NULL, NULL, NULL);
}
