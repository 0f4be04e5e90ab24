/*
 * Point reads through sqlite3's own interface, without a server: what the embedded engine's CPU is
 * compared with.
 *
 *     bench_sqlite_api FILE READS      prints nanoseconds of CPU per read
 *
 * FILE is created with the rows of pgbench_accounts at scale 1 when it does not exist.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/number.h"

enum { ROWS = 100000 };

static void must(sqlite3 *db, int result)
{
    if (result != SQLITE_OK && result != SQLITE_DONE && result != SQLITE_ROW) {
        fprintf(stderr, "bench_sqlite_api: %s\n", sqlite3_errmsg(db));
        exit(1);
    }
}

static void fill(sqlite3 *db)
{
    must(db,
         sqlite3_exec(
             db,
             "PRAGMA journal_mode = WAL;"
             "CREATE TABLE IF NOT EXISTS pgbench_accounts (aid INTEGER PRIMARY KEY, bid INTEGER, "
             "abalance INTEGER, filler TEXT) STRICT;"
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
             "INSERT OR IGNORE INTO pgbench_accounts SELECT i, 1, 0, printf('%84s', '') FROM n;",
             NULL, NULL, NULL));
}

int main(int argc, char **argv)
{
    uint64_t reads, sum = 0;
    sqlite3 *db;
    sqlite3_stmt *statement;
    struct timespec from, to;
    if (argc != 3 ||
        sy_number_parse_u64(sy_slice_of(argv[2]), 1, 1000000000, &reads, NULL) != SY_OK) {
        fprintf(stderr, "usage: bench_sqlite_api FILE READS\n");
        return 2;
    }
    must(NULL, sqlite3_open(argv[1], &db));
    fill(db);
    must(db, sqlite3_prepare_v2(db, "SELECT abalance FROM pgbench_accounts WHERE aid = ?1", -1,
                                &statement, NULL));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    uint64_t seed = 1;
    for (uint64_t i = 0; i < reads; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1;
        must(db, sqlite3_bind_int64(statement, 1, (int64_t)(seed >> 33) % ROWS + 1));
        must(db, sqlite3_step(statement));
        sum += (uint64_t)sqlite3_column_bytes(statement, 0); /* as text, as the protocol sends it */
        must(db, sqlite3_reset(statement));
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    double took = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
    printf("%.0f\n", took / (double)reads);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return sum > 0 ? 0 : 1;
}
