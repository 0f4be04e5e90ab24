/* Feeding replicas: recording on the writer, shipping, applying, and copying anew. */
#include "router/engine/sqlite/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

/*
 * One transaction as it travels: parts in order, each a changeset ('C') or SQL text ('D'), with a
 * 32-bit length. Shared by the replicas of a shard, counted atomically.
 */
struct shipment {
    _Atomic uint32_t refs;
    uint64_t lsn;
    bool resync;
    struct sy_buf parts;
};

struct sy_sqlite_capture {
    sqlite3_session *session;
    struct sy_buf parts;
    bool active, spoiled, failed;
};

struct queued {
    struct sy_list link;
    struct shipment *shipment;
};

struct sy_sqlite_replica {
    struct sy_sqlite_file *file;
    struct sy_sqlite_conn *conn; /* used by the task only */
    struct sy_sqlite_task task;
    pthread_mutex_t lock;
    struct sy_list queue;
    uint32_t queued;
    bool resync; /* copy before anything else; what is queued is covered by the copy */
};

enum { QUEUE_MAX = 4096, TURN = 64 };

static void shipment_unref(struct shipment *shipment)
{
    if (atomic_fetch_sub_explicit(&shipment->refs, 1, memory_order_acq_rel) != 1)
        return;
    sy_buf_release(&shipment->parts);
    free(shipment);
}

/* ---- recording ---- */

static bool has_replicas(struct sy_sqlite_shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    bool has = shard->file_count > 1;
    pthread_mutex_unlock(&shard->lock);
    return has;
}

/* The position travels with the shipment itself; what other shards lack is not theirs. */
static int wanted_table(void *unused, const char *name)
{
    (void)unused;
    return strcmp(name, "sy_catalog_state") != 0 && strcmp(name, "sy_catalog_redo") != 0 &&
           strncmp(name, "sqlite_", 7) != 0;
}

static int open_session(struct sy_sqlite_shard *shard)
{
    struct sy_sqlite_capture *capture = shard->capture;
    int rc = sqlite3session_create(shard->writer->db, "main", &capture->session);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3session_table_filter(capture->session, wanted_table, NULL);
    return sqlite3session_attach(capture->session, NULL);
}

int sy_sqlite_capture_begin(struct sy_sqlite_shard *shard, bool redo)
{
    if (!redo && !has_replicas(shard))
        return SQLITE_OK;
    if (shard->capture == NULL && (shard->capture = calloc(1, sizeof(*shard->capture))) == NULL)
        return SQLITE_NOMEM;
    shard->capture->active = true;
    shard->capture->spoiled = shard->capture->failed = false;
    sy_buf_clear(&shard->capture->parts);
    return open_session(shard);
}

static void put_part(struct sy_sqlite_capture *capture, uint8_t kind, const void *data,
                     size_t bytes)
{
    sy_buf_append_u8(&capture->parts, kind);
    sy_buf_append_u32(&capture->parts, (uint32_t)bytes);
    sy_buf_append(&capture->parts, data, bytes);
    if (capture->parts.failed)
        capture->spoiled = true;
}

/* What was recorded up to here becomes a part. A session that cannot say it spoils the record, not
 * the transaction. */
static void cut(struct sy_sqlite_shard *shard)
{
    struct sy_sqlite_capture *capture = shard->capture;
    int bytes = 0;
    void *changeset = NULL;
    if (capture->session == NULL)
        return;
    if (!capture->spoiled) {
        if (sqlite3session_changeset(capture->session, &bytes, &changeset) != SQLITE_OK)
            capture->spoiled = true;
        else if (bytes > 0)
            put_part(capture, 'C', changeset, (size_t)bytes);
    }
    sqlite3_free(changeset);
    sqlite3session_delete(capture->session);
    capture->session = NULL;
}

int sy_sqlite_capture_ddl(struct sy_sqlite_shard *shard, const char *sql)
{
    struct sy_sqlite_capture *capture = shard->capture;
    if (capture == NULL || !capture->active)
        return SQLITE_OK;
    cut(shard);
    put_part(capture, 'D', sql, strlen(sql) + 1);
    return SQLITE_OK;
}

int sy_sqlite_capture_resume(struct sy_sqlite_shard *shard)
{
    struct sy_sqlite_capture *capture = shard->capture;
    if (capture == NULL || !capture->active || capture->session != NULL)
        return SQLITE_OK;
    return open_session(shard);
}

void sy_sqlite_capture_spoil(struct sy_sqlite_shard *shard)
{
    if (shard->capture == NULL || !shard->capture->active)
        return;
    /* A changeset compares with the state at its end, so what a savepoint took back is not in it;
     * but parts that were cut before are what they are. */
    if (shard->capture->parts.bytes > 0)
        shard->capture->spoiled = true;
}

int sy_sqlite_capture_finish(struct sy_sqlite_shard *shard)
{
    if (shard->capture == NULL || !shard->capture->active)
        return SQLITE_OK;
    cut(shard);
    return SQLITE_OK;
}

bool sy_sqlite_capture_redo(struct sy_sqlite_shard *shard, struct sy_buf *out)
{
    const struct sy_sqlite_capture *capture = shard->capture;
    if (capture == NULL || !capture->active || capture->spoiled || capture->failed)
        return false;
    sy_buf_append(out, capture->parts.data, capture->parts.bytes);
    return !out->failed;
}

void sy_sqlite_capture_drop(struct sy_sqlite_shard *shard)
{
    struct sy_sqlite_capture *capture = shard->capture;
    if (capture == NULL)
        return;
    if (capture->session != NULL)
        sqlite3session_delete(capture->session);
    capture->session = NULL;
    capture->active = false;
    sy_buf_clear(&capture->parts);
}

void sy_sqlite_capture_free(struct sy_sqlite_capture **capture)
{
    if (*capture == NULL)
        return;
    if ((*capture)->session != NULL)
        sqlite3session_delete((*capture)->session);
    sy_buf_release(&(*capture)->parts);
    free(*capture);
    *capture = NULL;
}

/* ---- shipping ---- */

static void replica_queue(struct sy_sqlite_replica *replica, struct shipment *shipment)
{
    struct queued *queued = calloc(1, sizeof(*queued));
    pthread_mutex_lock(&replica->lock);
    if (queued == NULL || shipment == NULL || shipment->resync || replica->queued >= QUEUE_MAX) {
        replica->resync = true;
        free(queued);
    } else {
        atomic_fetch_add(&shipment->refs, 1);
        queued->shipment = shipment;
        sy_list_append(&replica->queue, &queued->link);
        replica->queued++;
    }
    pthread_mutex_unlock(&replica->lock);
    sy_sqlite_task_wake(&replica->task);
}

void sy_sqlite_capture_ship(struct sy_sqlite_shard *shard, uint64_t lsn)
{
    pthread_mutex_lock(&shard->lock);
    uint32_t count = shard->file_count;
    pthread_mutex_unlock(&shard->lock);
    struct sy_sqlite_capture *capture = shard->capture;
    bool recorded = capture != NULL && capture->active;
    struct shipment *shipment = recorded ? calloc(1, sizeof(*shipment)) : NULL;
    if (shipment != NULL) {
        shipment->refs = 1;
        shipment->lsn = lsn;
        shipment->resync = capture->spoiled;
        shipment->parts = capture->parts;
        capture->parts = (struct sy_buf){0};
    }
    /* A replica that came while this transaction ran has not got a record of it: it is copied. */
    for (uint32_t i = 1; i < count; i++)
        replica_queue(shard->files[i]->replica, shipment);
    if (shipment != NULL)
        shipment_unref(shipment);
    sy_sqlite_capture_drop(shard);
}

/* ---- applying ---- */

/* The replica holds what the primary held: any conflict means that it does not, and it is copied
 * anew. */
static int on_conflict(void *unused, int why, sqlite3_changeset_iter *iterator)
{
    (void)unused;
    (void)why;
    (void)iterator;
    return SQLITE_CHANGESET_ABORT;
}

int sy_sqlite_set_lsn(struct sy_sqlite_conn *conn, uint64_t lsn)
{
    char sql[96];
    snprintf(sql, sizeof(sql), "UPDATE sy_catalog_state SET value = %llu WHERE name = 'lsn'",
             (unsigned long long)lsn);
    return sy_sqlite_conn_exec(conn, sql);
}

int sy_sqlite_apply_parts(struct sy_sqlite_conn *conn, const struct sy_buf *parts, bool *ret_ddl)
{
    int rc = SQLITE_OK;
    for (size_t at = 0; rc == SQLITE_OK && at + 5 <= parts->bytes;) {
        const unsigned char *head = (const unsigned char *)parts->data + at;
        uint32_t bytes =
            (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 8 | head[4];
        char *body = parts->data + at + 5;
        if (head[0] == 'D') {
            *ret_ddl = true;
            rc = sy_sqlite_conn_exec(conn, body);
        } else {
            rc = sqlite3changeset_apply(conn->db, (int)bytes, body, NULL, on_conflict, NULL);
        }
        at += 5 + (size_t)bytes;
    }
    return rc;
}

static bool reload_catalog(struct sy_sqlite_replica *replica)
{
    struct sy_sqlite_catalog *catalog = NULL;
    struct sy_err err = {0};
    if (sy_sqlite_catalog_load(replica->conn, &catalog, &err) != SY_OK) {
        sy_log_err(SY_LOG_ERROR, "replica's catalog cannot be read", &err);
        return false;
    }
    sy_sqlite_file_set_catalog(replica->file, catalog);
    return true;
}

static bool apply(struct sy_sqlite_replica *replica, const struct shipment *shipment)
{
    struct sy_sqlite_conn *conn = replica->conn;
    bool ddl = false;
    int rc = sy_sqlite_conn_exec(conn, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = sy_sqlite_apply_parts(conn, &shipment->parts, &ddl);
    if (rc == SQLITE_OK)
        rc = sy_sqlite_set_lsn(conn, shipment->lsn);
    if (rc == SQLITE_OK)
        rc = sy_sqlite_conn_exec(conn, "COMMIT");
    if (rc == SQLITE_OK) {
        if (ddl && !reload_catalog(replica))
            return false;
        sy_sqlite_file_publish(replica->file, shipment->lsn);
        return true;
    }
    SY_LOG(SY_LOG_WARN, "replica does not follow, copying it",
           SY_KV_STR("file", replica->file->path), SY_KV_STR("reason", sqlite3_errmsg(conn->db)),
           SY_KV_INT("lsn", shipment->lsn));
    if (sqlite3_get_autocommit(conn->db) == 0)
        sy_sqlite_conn_exec_quietly(conn, "ROLLBACK");
    return false;
}

/* ---- copying ---- */

static uint64_t position_of(struct sy_sqlite_conn *conn)
{
    sqlite3_stmt *stmt = NULL;
    uint64_t lsn = 0;
    if (sqlite3_prepare_v2(conn->db, "SELECT value FROM sy_catalog_state WHERE name = 'lsn'", -1,
                           &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        lsn = (uint64_t)sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return lsn;
}

/* Copies the primary's file as one snapshot. Readers of the replica see the old state until it is
 * done. */
static int copy_primary(struct sy_sqlite_replica *replica)
{
    struct sy_sqlite_conn *source = NULL;
    struct sy_err err = {0};
    if (sy_sqlite_conn_open(replica->file->shard->files[0]->path, false, &source, &err) != SY_OK) {
        sy_log_err(SY_LOG_ERROR, "replica cannot be copied", &err);
        return SQLITE_CANTOPEN;
    }
    sy_sqlite_conn_forget(replica->conn);
    int rc = SQLITE_OK;
    sqlite3_backup *backup = sqlite3_backup_init(replica->conn->db, "main", source->db, "main");
    if (backup != NULL)
        rc = sqlite3_backup_step(backup, -1);
    rc = backup == NULL ? sqlite3_errcode(replica->conn->db) : rc;
    int finish = backup == NULL ? rc : sqlite3_backup_finish(backup);
    rc = rc == SQLITE_DONE ? finish : rc;
    sy_sqlite_conn_close(&source);
    if (rc == SQLITE_OK && !reload_catalog(replica))
        rc = SQLITE_ERROR;
    if (rc == SQLITE_OK)
        sy_sqlite_file_publish(replica->file, position_of(replica->conn));
    else
        SY_LOG(SY_LOG_ERROR, "replica cannot be copied", SY_KV_STR("file", replica->file->path),
               SY_KV_STR("reason", sqlite3_errstr(rc)));
    return rc;
}

/* ---- the task ---- */

static struct queued *pop(struct sy_sqlite_replica *replica, bool *ret_resync)
{
    pthread_mutex_lock(&replica->lock);
    struct sy_list *node = sy_list_pop(&replica->queue);
    if (node != NULL)
        replica->queued--;
    *ret_resync = replica->resync;
    if (*ret_resync)
        replica->resync = false;
    pthread_mutex_unlock(&replica->lock);
    return node == NULL ? NULL : sy_container_of(node, struct queued, link);
}

static void want_copy(struct sy_sqlite_replica *replica)
{
    pthread_mutex_lock(&replica->lock);
    replica->resync = true;
    pthread_mutex_unlock(&replica->lock);
}

static enum sy_sqlite_task_result replica_run(struct sy_sqlite_task *task)
{
    struct sy_sqlite_replica *replica = sy_container_of(task, struct sy_sqlite_replica, task);
    for (uint32_t turn = 0; turn < TURN; turn++) {
        bool resync = false;
        struct queued *queued = pop(replica, &resync);
        if (resync && copy_primary(replica) != SQLITE_OK) {
            if (queued != NULL) {
                shipment_unref(queued->shipment);
                free(queued);
            }
            want_copy(replica);
            return SY_TASK_WAITS; /* the next commit tries again */
        }
        if (queued == NULL)
            return SY_TASK_WAITS;
        /* What the copy has already is skipped by its position. */
        if (queued->shipment->lsn > atomic_load(&replica->file->lsn)) {
            bool in_order = queued->shipment->lsn == atomic_load(&replica->file->lsn) + 1;
            if (!in_order || !apply(replica, queued->shipment))
                want_copy(replica);
        }
        shipment_unref(queued->shipment);
        free(queued);
    }
    return SY_TASK_AGAIN;
}

/* ---- opening ---- */

void sy_sqlite_apply_configure(struct sy_sqlite_conn *conn)
{
    sy_sqlite_conn_exec_quietly(conn, "PRAGMA foreign_keys=OFF");
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
}

enum sy_status sy_sqlite_replica_new(struct sy_sqlite_file *file, struct sy_err *err)
{
    struct sy_sqlite_replica *replica = calloc(1, sizeof(*replica));
    if (replica == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    replica->file = file;
    pthread_mutex_init(&replica->lock, NULL);
    sy_list_init(&replica->queue);
    sy_sqlite_task_init(&replica->task, replica_run);
    enum sy_status status = sy_sqlite_conn_open(file->path, true, &replica->conn, err);
    if (status == SY_OK) {
        sy_sqlite_apply_configure(replica->conn);
        /* Losing the last commits in a crash is harmless: the position says so, and the copy is
         * made anew. */
        sy_sqlite_conn_exec_quietly(replica->conn, "PRAGMA synchronous=NORMAL");
        uint64_t lsn = position_of(replica->conn);
        if (lsn != 0 && lsn == atomic_load(&file->shard->files[0]->lsn) && reload_catalog(replica))
            atomic_store(&file->lsn, lsn);
        else if (copy_primary(replica) != SQLITE_OK)
            status =
                sy_err_set(err, SY_E_IO, "cannot copy the shard to its replica \"%s\"", file->path);
    }
    file->replica = replica;
    if (status != SY_OK)
        sy_sqlite_replica_free(&file->replica);
    return status;
}

void sy_sqlite_replica_start(struct sy_sqlite_replica *replica)
{
    /* Commits between the copy and now have not been shipped here. */
    if (atomic_load(&replica->file->lsn) != atomic_load(&replica->file->shard->files[0]->lsn))
        want_copy(replica);
    sy_sqlite_task_wake(&replica->task);
}

void sy_sqlite_replica_free(struct sy_sqlite_replica **replica)
{
    struct sy_sqlite_replica *self = *replica;
    *replica = NULL;
    if (self == NULL)
        return;
    while (!sy_list_empty(&self->queue)) {
        struct queued *queued = sy_container_of(sy_list_pop(&self->queue), struct queued, link);
        shipment_unref(queued->shipment);
        free(queued);
    }
    sy_sqlite_conn_close(&self->conn);
    pthread_mutex_destroy(&self->lock);
    free(self);
}
