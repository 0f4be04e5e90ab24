/*
 * The one writer of a shard. A queue, first in, first out; the statements at its head that are
 * transactions of their own are gathered into one SQLite transaction, a savepoint each, and
 * answered after its COMMIT has reached the disk.
 */
#include "router/engine/sqlite/writer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "router/engine/sqlite/prepared.h"
#include "router/engine/sqlite/replica.h"
#include "router/engine/sqlite/session.h"

/* Prepared statements of the writer itself: below the keys of plans. */
enum { KEY_BEGIN = 1, KEY_COMMIT, KEY_SAVEPOINT, KEY_RELEASE, KEY_BACK, KEY_LSN, KEY_SEQUENCE };

static int run_key(struct sy_sqlite_conn *conn, uint64_t key, struct sy_slice sql)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sy_sqlite_conn_prepare(conn, key, sql, &stmt);
    if (rc != SQLITE_OK)
        return rc;
    rc = sqlite3_step(stmt);
    sy_sqlite_conn_release(conn, key, stmt);
    return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

/* ---- transactions ---- */

int sy_sqlite_writer_begin(struct sy_sqlite_shard *shard, bool redo)
{
    if (shard->owed != NULL && !sy_sqlite_branch_pay(shard))
        return SQLITE_BUSY;
    int rc = run_key(shard->writer, KEY_BEGIN, SY_SLICE("BEGIN IMMEDIATE"));
    shard->changes_before = sqlite3_total_changes64(shard->writer->db);
    if (rc == SQLITE_OK)
        rc = sy_sqlite_capture_begin(shard, redo);
    return rc;
}

static int write_sequences(struct sy_sqlite_shard *shard)
{
    int rc = SQLITE_OK;
    for (uint32_t i = 0; rc == SQLITE_OK && shard->sequences_dirty && i < shard->sequence_count;
         i++) {
        struct sy_sqlite_sequence *sequence = &shard->sequences[i];
        sqlite3_stmt *stmt = NULL;
        if (!sequence->dirty)
            continue;
        rc = sy_sqlite_conn_prepare(
            shard->writer, KEY_SEQUENCE,
            SY_SLICE("UPDATE sy_catalog_sequence SET last_value = ?, is_called = ?"
                     " WHERE oid = ?"),
            &stmt);
        if (rc != SQLITE_OK)
            break;
        sqlite3_bind_int64(stmt, 1, sequence->last_value);
        sqlite3_bind_int(stmt, 2, sequence->is_called);
        sqlite3_bind_int64(stmt, 3, sequence->oid);
        rc = sqlite3_step(stmt);
        rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
        sy_sqlite_conn_release(shard->writer, KEY_SEQUENCE, stmt);
    }
    return rc;
}

/* What was written is written now; what a failed commit took back is written by the next one. */
static void sequences_written(struct sy_sqlite_shard *shard)
{
    for (uint32_t i = 0; shard->sequences_dirty && i < shard->sequence_count; i++)
        shard->sequences[i].dirty = false;
    shard->sequences_dirty = false;
}

static int write_lsn(struct sy_sqlite_shard *shard, uint64_t lsn)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sy_sqlite_conn_prepare(
        shard->writer, KEY_LSN,
        SY_SLICE("UPDATE sy_catalog_state SET value = ? WHERE name = 'lsn'"), &stmt);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_bind_int64(stmt, 1, (int64_t)lsn);
    rc = sqlite3_step(stmt);
    sy_sqlite_conn_release(shard->writer, KEY_LSN, stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int sy_sqlite_writer_prepare(struct sy_sqlite_shard *shard)
{
    int rc = write_sequences(shard);
    shard->changed =
        rc == SQLITE_OK && sqlite3_total_changes64(shard->writer->db) != shard->changes_before;
    if (shard->changed)
        rc = write_lsn(shard, atomic_load(&shard->files[0]->lsn) + 1);
    if (rc == SQLITE_OK && shard->changed)
        rc = sy_sqlite_capture_finish(shard);
    return rc;
}

int sy_sqlite_writer_finish(struct sy_sqlite_shard *shard)
{
    uint64_t lsn = atomic_load(&shard->files[0]->lsn) + 1;
    sy_sqlite_tasks_blocking();
    int rc = run_key(shard->writer, KEY_COMMIT, SY_SLICE("COMMIT"));
    sy_sqlite_tasks_unblocked();
    if (rc != SQLITE_OK)
        return rc;
    sequences_written(shard);
    if (shard->changed) {
        sy_sqlite_file_publish(shard->files[0], lsn);
        sy_sqlite_capture_ship(shard, lsn);
    } else {
        sy_sqlite_capture_drop(shard);
    }
    return SQLITE_OK;
}

int sy_sqlite_writer_commit(struct sy_sqlite_shard *shard)
{
    int rc = sy_sqlite_writer_prepare(shard);
    return rc == SQLITE_OK ? sy_sqlite_writer_finish(shard) : rc;
}

void sy_sqlite_writer_rollback(struct sy_sqlite_shard *shard)
{
    sy_sqlite_capture_drop(shard);
    if (sqlite3_get_autocommit(shard->writer->db) == 0)
        sy_sqlite_conn_exec_quietly(shard->writer, "ROLLBACK");
}

/* ---- group commit ---- */

static struct sy_sqlite_session *pop_batchable(struct sy_sqlite_shard *shard)
{
    struct sy_sqlite_session *s = NULL;
    pthread_mutex_lock(&shard->lock);
    if (!sy_list_empty(&shard->waiters)) {
        struct sy_sqlite_session *head =
            sy_container_of(shard->waiters.next, struct sy_sqlite_session, writer_link);
        if (head->batchable) {
            s = head;
            sy_list_remove(&s->writer_link);
        }
    }
    pthread_mutex_unlock(&shard->lock);
    return s;
}

bool sy_sqlite_has_deferred_violation(struct sy_sqlite_conn *conn)
{
    int now = 0, highest = 0;
    return sqlite3_db_status(conn->db, SQLITE_DBSTATUS_DEFERRED_FKS, &now, &highest, 0) ==
               SQLITE_OK &&
           now > 0;
}

/* One member: false when the whole transaction is gone. */
static bool run_member(struct sy_sqlite_shard *shard, struct sy_sqlite_session *s)
{
    struct sy_sqlite_conn *conn = shard->writer;
    int rc = run_key(conn, KEY_SAVEPOINT, SY_SLICE("SAVEPOINT sy_unit"));
    bool ok = rc == SQLITE_OK;
    if (!ok)
        sy_sqlite_error(s, conn, rc);
    else
        ok = sy_sqlite_batch_run(s);
    if (ok && sy_sqlite_has_deferred_violation(conn)) {
        sy_sqlite_deferred_violation(s, conn);
        ok = false;
    }
    s->batch = ok ? SY_BATCH_DONE : SY_BATCH_FAILED;
    if (sqlite3_get_autocommit(conn->db) != 0)
        return false;
    if (!ok)
        rc = run_key(conn, KEY_BACK, SY_SLICE("ROLLBACK TO sy_unit"));
    if (rc == SQLITE_OK)
        rc = run_key(conn, KEY_RELEASE, SY_SLICE("RELEASE sy_unit"));
    return rc == SQLITE_OK;
}

static void fail_member(struct sy_sqlite_shard *shard, struct sy_sqlite_session *s, int rc)
{
    if (s->batch == SY_BATCH_FAILED)
        return;
    s->batch = SY_BATCH_FAILED;
    s->out.bytes = s->batch_mark;
    sy_sqlite_error(s, shard->writer, rc);
}

static void run_batch(struct sy_sqlite_shard *shard)
{
    struct sy_sqlite_session *members[SY_SQLITE_BATCH];
    uint32_t count = 0;
    uint64_t started_us = sy_clock_real()->monotonic_us(sy_clock_real());
    int rc = sy_sqlite_writer_begin(shard, false);
    bool whole = rc == SQLITE_OK;
    while (count < SY_SQLITE_BATCH && (whole || count == 0)) {
        struct sy_sqlite_session *s = pop_batchable(shard);
        if (s == NULL)
            break;
        members[count++] = s;
        if (whole)
            whole = run_member(shard, s);
        if (sy_clock_real()->monotonic_us(sy_clock_real()) - started_us > SY_SQLITE_BATCH_US)
            break;
    }
    if (whole)
        rc = sy_sqlite_writer_commit(shard);
    else if (rc == SQLITE_OK)
        rc = SQLITE_ABORT;
    for (uint32_t i = 0; rc != SQLITE_OK && i < count; i++)
        fail_member(shard, members[i], rc);
    if (rc != SQLITE_OK)
        sy_sqlite_writer_rollback(shard);
    pthread_mutex_lock(&shard->lock);
    shard->group_commits++;
    shard->group_statements += count;
    pthread_mutex_unlock(&shard->lock);
    for (uint32_t i = 0; i < count; i++)
        sy_sqlite_session_resume(members[i]);
}

enum sy_sqlite_task_result sy_sqlite_writer_run(struct sy_sqlite_task *task)
{
    struct sy_sqlite_shard *shard = sy_container_of(task, struct sy_sqlite_shard, writer_task);
    struct sy_sqlite_session *owner = NULL;
    pthread_mutex_lock(&shard->lock);
    bool idle = sy_list_empty(&shard->waiters) || shard->owner != NULL || shard->prepared != NULL;
    if (!idle) {
        struct sy_sqlite_session *head =
            sy_container_of(shard->waiters.next, struct sy_sqlite_session, writer_link);
        if (!head->batchable) {
            owner = head;
            shard->owner = owner;
            sy_list_remove(&owner->writer_link);
        }
    }
    if (idle || owner != NULL)
        shard->driving = false;
    pthread_mutex_unlock(&shard->lock);
    if (owner != NULL)
        sy_sqlite_session_resume(owner);
    if (idle || owner != NULL)
        return SY_TASK_WAITS;
    run_batch(shard);
    return SY_TASK_AGAIN;
}

/* ---- the queue ---- */

static void drive(struct sy_sqlite_shard *shard)
{
    if (shard->owner == NULL && shard->prepared == NULL && !shard->driving &&
        !sy_list_empty(&shard->waiters)) {
        shard->driving = true;
        sy_sqlite_task_wake(&shard->writer_task);
    }
}

void sy_sqlite_writer_request(struct sy_sqlite_shard *shard, struct sy_sqlite_session *session)
{
    pthread_mutex_lock(&shard->lock);
    /* A cancel that came while it was on its way here has not found it in the queue. */
    bool stopped = sy_sqlite_session_stopped(session);
    if (!stopped) {
        sy_list_append(&shard->waiters, &session->writer_link);
        drive(shard);
    }
    pthread_mutex_unlock(&shard->lock);
    if (stopped)
        sy_sqlite_session_resume(session);
}

bool sy_sqlite_writer_withdraw(struct sy_sqlite_shard *shard, struct sy_sqlite_session *session)
{
    pthread_mutex_lock(&shard->lock);
    bool waiting = !sy_list_empty(&session->writer_link);
    sy_list_remove(&session->writer_link);
    pthread_mutex_unlock(&shard->lock);
    return waiting;
}

void sy_sqlite_writer_release(struct sy_sqlite_shard *shard, struct sy_sqlite_session *session)
{
    pthread_mutex_lock(&shard->lock);
    if (shard->owner == session) {
        shard->owner = NULL;
        drive(shard);
    }
    pthread_mutex_unlock(&shard->lock);
}

void sy_sqlite_writer_lend(struct sy_sqlite_shard *shard, struct sy_sqlite_branch *branch)
{
    pthread_mutex_lock(&shard->lock);
    shard->prepared = branch;
    shard->owner = NULL;
    drive(shard);
    pthread_mutex_unlock(&shard->lock);
}

/* ---- time limits ---- */

static bool passed(_Atomic uint64_t *deadline_us, uint64_t now_us)
{
    if (*deadline_us == 0 || now_us < *deadline_us)
        return false;
    *deadline_us = 0;
    return true;
}

void sy_sqlite_writer_tick(struct sy_sqlite_shard *shard, uint64_t now_us)
{
    pthread_mutex_lock(&shard->lock);
    sy_list_each_safe(node, &shard->timed)
    {
        struct sy_sqlite_session *s = sy_container_of(node, struct sy_sqlite_session, timed_link);
        bool waits = !sy_list_empty(&s->writer_link);
        if (passed(&s->idle_deadline_us, now_us))
            sy_sqlite_session_expire(s, SY_STOP_IDLE);
        if (passed(&s->lock_deadline_us, now_us))
            sy_sqlite_session_expire(s, SY_STOP_LOCK);
        if (passed(&s->statement_deadline_us, now_us))
            sy_sqlite_session_expire(s, SY_STOP_TIMEOUT);
        if (waits && sy_sqlite_session_stopped(s)) {
            sy_list_remove(&s->writer_link);
            sy_sqlite_session_resume(s);
        }
        if (s->idle_deadline_us == 0 && s->lock_deadline_us == 0 && s->statement_deadline_us == 0)
            sy_list_remove(&s->timed_link);
    }
    pthread_mutex_unlock(&shard->lock);
}

/* ---- sequences and position ---- */

static int load_sequences(struct sy_sqlite_shard *shard)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(shard->writer->db,
                                "SELECT oid, last_value, is_called FROM sy_catalog_sequence", -1,
                                &stmt, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct sy_sqlite_sequence *grown =
            realloc(shard->sequences, (shard->sequence_count + 1) * sizeof(*shard->sequences));
        if (grown == NULL) {
            rc = SQLITE_NOMEM;
            break;
        }
        shard->sequences = grown;
        shard->sequences[shard->sequence_count++] = (struct sy_sqlite_sequence){
            .oid = (uint32_t)sqlite3_column_int64(stmt, 0),
            .last_value = sqlite3_column_int64(stmt, 1),
            .is_called = sqlite3_column_int(stmt, 2) != 0,
        };
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

enum sy_status sy_sqlite_writer_load(struct sy_sqlite_shard *shard, struct sy_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(shard->writer->db,
                                "SELECT value FROM sy_catalog_state WHERE name = 'lsn'", -1, &stmt,
                                NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        atomic_store(&shard->files[0]->lsn, (uint64_t)sqlite3_column_int64(stmt, 0));
    sqlite3_finalize(stmt);
    if (rc == SQLITE_ROW)
        rc = load_sequences(shard);
    if (rc != SQLITE_OK)
        return sy_err_set(err, SY_E_CATALOG, "cannot read \"%s\": %s", shard->files[0]->path,
                          sqlite3_errmsg(shard->writer->db));
    return SY_OK;
}

static bool read_sequence(struct sy_sqlite_shard *shard, uint32_t oid,
                          struct sy_sqlite_sequence *ret)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(
        shard->writer->db, "SELECT last_value, is_called FROM sy_catalog_sequence WHERE oid = ?",
        -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 1, oid);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret = (struct sy_sqlite_sequence){.oid = oid,
                                           .last_value = sqlite3_column_int64(stmt, 0),
                                           .is_called = sqlite3_column_int(stmt, 1) != 0};
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW;
}

struct sy_sqlite_sequence *sy_sqlite_sequence(struct sy_sqlite_shard *shard, uint32_t oid)
{
    for (uint32_t i = 0; i < shard->sequence_count; i++) {
        if (shard->sequences[i].oid == oid)
            return &shard->sequences[i];
    }
    struct sy_sqlite_sequence fresh;
    if (!read_sequence(shard, oid, &fresh))
        return NULL;
    struct sy_sqlite_sequence *grown =
        realloc(shard->sequences, (shard->sequence_count + 1) * sizeof(*shard->sequences));
    if (grown == NULL)
        return NULL;
    shard->sequences = grown;
    shard->sequences[shard->sequence_count] = fresh;
    return &shard->sequences[shard->sequence_count++];
}
