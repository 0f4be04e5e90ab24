/* See prepared.h. The registry of branches is the process's; whoever takes a branch out of it is
 * the only one to touch it. */
#include "router/engine/sqlite/prepared.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "router/engine/sqlite/locks.h"
#include "router/engine/sqlite/replica.h"
#include "router/engine/sqlite/settings.h"
#include "router/engine/sqlite/writer.h"
#include "router/topology/transactions.h"

enum branch_state { BRANCH_PREPARED, BRANCH_DECIDING, BRANCH_COMMITTED };

struct sy_sqlite_branch {
    struct sy_list link;
    char gid[SY_GID_TEXT_BYTES], key[SY_GID_TEXT_BYTES]; /* of the branch, of the transaction */
    enum branch_state state;
    struct sy_sqlite_branch *next;     /* of those that one decider decides */
    struct sy_sqlite_session *session; /* that prepared it; NULL: it has gone */
    struct sy_sqlite_shard *shard;
    struct sy_sqlite_catalog *catalog; /* its own image after DDL, or NULL */
    bool holds_writer;                 /* false: it only read */
    uint64_t lsn;                      /* the position its commit makes; 0: it changed nothing */
    struct sy_buf redo;
};

static struct {
    pthread_mutex_t lock;
    struct sy_list branches;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER,
              .branches = {&registry.branches, &registry.branches}};

static struct sy_sqlite_branch *of(struct sy_list *node)
{
    return sy_container_of(node, struct sy_sqlite_branch, link);
}

void sy_sqlite_branch_free(struct sy_sqlite_branch **branch)
{
    struct sy_sqlite_branch *self = *branch;
    *branch = NULL;
    if (self == NULL)
        return;
    sy_sqlite_catalog_unref(&self->catalog);
    sy_buf_release(&self->redo);
    free(self);
}

/* The file's name: what a shard is called in another's redo. All files of a database are in one
 * folder. */
static const char *name_of(const struct sy_sqlite_shard *shard)
{
    const char *slash = strrchr(shard->files[0]->path, '/');
    return slash == NULL ? shard->files[0]->path : slash + 1;
}

static bool state_error(struct sy_sqlite_session *s, const char *sqlstate, const char *gid,
                        const char *what)
{
    sy_err_set(&s->err, SY_E_STATE, "prepared transaction \"%s\" %s", gid, what);
    sy_err_state(&s->err, sqlstate);
    return false;
}

/* Under the registry's lock. */
static struct sy_sqlite_branch *find_branch(const char *gid)
{
    sy_list_each(node, &registry.branches)
    {
        if (strcmp(of(node)->gid, gid) == 0)
            return of(node);
    }
    return NULL;
}

/* ---- PREPARE TRANSACTION ---- */

static bool may_prepare(struct sy_sqlite_session *s, const char *gid, struct sy_gid *ret_gid)
{
    if (!atomic_load(&s->shard->several) || !sy_gid_parse(gid, ret_gid)) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "prepared transactions are not supported by the embedded engine");
        sy_err_hint(&s->err, "Use COMMIT.");
        return false;
    }
    if (s->notifications.bytes > 0) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "cannot PREPARE a transaction that has executed LISTEN, UNLISTEN, or NOTIFY");
        return false;
    }
    pthread_mutex_lock(&registry.lock);
    bool taken = find_branch(gid) != NULL;
    pthread_mutex_unlock(&registry.lock);
    return !taken || state_error(s, "42710", gid, "exists already");
}

/* Everything that can fail but the disk. */
static bool finish_work(struct sy_sqlite_session *s, struct sy_sqlite_branch *branch)
{
    struct sy_sqlite_shard *shard = s->shard;
    if (sy_sqlite_has_deferred_violation(shard->writer)) {
        sy_sqlite_deferred_violation(s, shard->writer);
        return false;
    }
    int rc = sy_sqlite_writer_prepare(shard);
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, shard->writer, rc);
        return false;
    }
    if (!shard->changed)
        return true;
    branch->lsn = atomic_load(&shard->files[0]->lsn) + 1;
    if (!sy_sqlite_capture_redo(shard, &branch->redo)) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "what the transaction changed on this shard cannot be recorded, which a commit "
                   "over several embedded shards needs");
        sy_err_hint(&s->err,
                    "It changed more than %d MiB, or took back a change of the schema with "
                    "ROLLBACK TO.",
                    SY_LIMIT_REDO_BYTES / (1024 * 1024));
        return false;
    }
    return true;
}

static struct sy_sqlite_branch *branch_new(struct sy_sqlite_session *s, const char *gid,
                                           const struct sy_gid *parsed)
{
    struct sy_sqlite_branch *branch = calloc(1, sizeof(*branch));
    if (branch == NULL) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return NULL;
    }
    snprintf(branch->gid, sizeof(branch->gid), "%s", gid);
    sy_gid_write_key(parsed, branch->key);
    branch->session = s;
    branch->shard = s->shard;
    branch->redo.bytes_max = SY_LIMIT_REDO_BYTES;
    sy_list_init(&branch->link);
    return branch;
}

bool sy_sqlite_branch_prepare(struct sy_sqlite_session *s, const char *gid)
{
    struct sy_gid parsed;
    struct sy_sqlite_branch *branch = NULL;
    bool ok = may_prepare(s, gid, &parsed) && (branch = branch_new(s, gid, &parsed)) != NULL;
    if (ok && s->writes)
        ok = finish_work(s, branch);
    if (!ok) {
        struct sy_err err = s->err;
        sy_sqlite_branch_free(&branch);
        sy_sqlite_rollback(s);
        s->err = err;
        return false;
    }
    if (s->catalog_own) {
        branch->catalog = s->catalog;
        s->catalog = NULL;
        s->catalog_own = false;
    }
    branch->holds_writer = s->writes;
    sy_sqlite_transaction_prepared(s, branch->holds_writer ? branch : NULL);
    pthread_mutex_lock(&registry.lock);
    sy_list_append(&registry.branches, &branch->link);
    pthread_mutex_unlock(&registry.lock);
    return true;
}

/* ---- the end of a branch ---- */

/* The caller has taken it out of the registry; it is freed. */
static int end_branch(struct sy_sqlite_branch *branch, bool commit)
{
    struct sy_sqlite_shard *shard = branch->shard;
    int rc = SQLITE_OK;
    if (branch->holds_writer && commit)
        rc = sy_sqlite_writer_finish(shard);
    if (branch->holds_writer && (!commit || rc != SQLITE_OK))
        sy_sqlite_writer_rollback(shard);
    if (commit && rc == SQLITE_OK && branch->catalog != NULL)
        sy_sqlite_file_set_catalog(shard->files[0], sy_sqlite_catalog_ref(branch->catalog));
    bool owed = rc != SQLITE_OK && branch->lsn > 0;
    if (owed)
        SY_LOG(SY_LOG_ERROR, "a decided transaction cannot be committed yet",
               SY_KV_STR("file", shard->files[0]->path), SY_KV_STR("reason", sqlite3_errstr(rc)));
    if (branch->holds_writer) {
        if (owed)
            shard->owed = branch;
        sy_sqlite_writer_lend(shard, NULL);
    }
    if (!owed)
        sy_sqlite_branch_free(&branch);
    return rc;
}

bool sy_sqlite_branch_end(struct sy_sqlite_session *s, const char *gid, bool commit)
{
    bool undecided = false;
    pthread_mutex_lock(&registry.lock);
    struct sy_sqlite_branch *branch = find_branch(gid);
    if (branch != NULL && branch->shard != s->shard)
        branch = NULL;
    if (branch != NULL && branch->state != (commit ? BRANCH_COMMITTED : BRANCH_PREPARED)) {
        undecided = true;
        branch = NULL;
    }
    if (branch != NULL)
        sy_list_remove(&branch->link);
    pthread_mutex_unlock(&registry.lock);
    if (branch == NULL)
        return undecided ? state_error(s, "55000", gid, "is not decided in this way")
                         : state_error(s, "42704", gid, "does not exist");
    int rc = end_branch(branch, commit);
    sy_sqlite_locks_end(s);
    sy_sqlite_refresh_catalog(s);
    if (rc == SQLITE_OK)
        return true;
    sy_sqlite_error(s, s->shard->writer, rc);
    return false;
}

static struct sy_sqlite_branch *take_abandoned(struct sy_sqlite_session *s)
{
    struct sy_sqlite_branch *taken = NULL;
    pthread_mutex_lock(&registry.lock);
    sy_list_each_safe(node, &registry.branches)
    {
        struct sy_sqlite_branch *branch = of(node);
        if (branch->session != s)
            continue;
        branch->session = NULL;
        if (branch->state == BRANCH_DECIDING)
            continue;
        sy_list_remove(&branch->link);
        taken = branch;
        break;
    }
    pthread_mutex_unlock(&registry.lock);
    return taken;
}

void sy_sqlite_branch_abandon(struct sy_sqlite_session *s)
{
    for (struct sy_sqlite_branch *branch = NULL; (branch = take_abandoned(s)) != NULL;)
        (void)end_branch(branch, branch->state == BRANCH_COMMITTED);
}

/* ---- the decider ---- */

const char *sy_sqlite_decision(struct sy_sqlite_session *s)
{
    const char *value = s->txn == 'T' && atomic_load(&s->shard->several)
                            ? sy_sqlite_settings_get(s, SY_SLICE("switchyard.decision"))
                            : NULL;
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* "N key": all N branches, which are the decider's from now on, or none. */
static bool gather(const char *decision, struct sy_sqlite_branch **ret_decided)
{
    char *key = NULL;
    unsigned long wanted = strtoul(decision, &key, 10), found = 0;
    struct sy_sqlite_branch *decided = NULL;
    key += *key == ' ';
    pthread_mutex_lock(&registry.lock);
    sy_list_each(node, &registry.branches)
    {
        struct sy_sqlite_branch *branch = of(node);
        if (branch->state != BRANCH_PREPARED || strcmp(branch->key, key) != 0)
            continue;
        branch->next = decided;
        decided = branch;
        found++;
    }
    for (struct sy_sqlite_branch *at = decided; at != NULL && found == wanted; at = at->next)
        at->state = BRANCH_DECIDING;
    pthread_mutex_unlock(&registry.lock);
    *ret_decided = found == wanted ? decided : NULL;
    return found == wanted;
}

struct look {
    const char *folder, *name;
    size_t folder_bytes;
    uint64_t lsn;
};

static void look_at(void *ctx, struct sy_sqlite_shard *shard)
{
    struct look *look = ctx;
    if (strncmp(shard->files[0]->path, look->folder, look->folder_bytes) == 0 &&
        strcmp(shard->files[0]->path + look->folder_bytes, look->name) == 0)
        look->lsn = atomic_load(&shard->files[0]->lsn);
}

/* Redo that has become commits is not needed any more: what earlier decisions left. */
static int forget_applied(struct sy_sqlite_shard *decider)
{
    sqlite3_stmt *rows = NULL, *drop = NULL;
    sqlite3 *db = decider->writer->db;
    const char *path = decider->files[0]->path;
    int rc = sqlite3_prepare_v2(db, "SELECT shard, lsn FROM sy_catalog_redo", -1, &rows, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, "DELETE FROM sy_catalog_redo WHERE shard = ?1 AND lsn <= ?2",
                                -1, &drop, NULL);
    while (rc == SQLITE_OK && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
        struct look look = {.folder = path,
                            .folder_bytes = strlen(path) - strlen(name_of(decider)),
                            .name = (const char *)sqlite3_column_text(rows, 0)};
        sy_sqlite_each_shard(look_at, &look);
        rc = SQLITE_OK;
        if (look.lsn < (uint64_t)sqlite3_column_int64(rows, 1))
            continue;
        sqlite3_bind_text(drop, 1, look.name, -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(drop, 2, (int64_t)look.lsn);
        rc = sqlite3_step(drop) == SQLITE_DONE ? SQLITE_OK : SQLITE_ERROR;
        sqlite3_reset(drop);
    }
    sqlite3_finalize(rows);
    sqlite3_finalize(drop);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int write_redo(struct sy_sqlite_shard *decider, const struct sy_sqlite_branch *decided)
{
    sqlite3_stmt *insert = NULL;
    int rc = sqlite3_prepare_v2(
        decider->writer->db,
        "INSERT OR REPLACE INTO sy_catalog_redo (shard, lsn, gid, parts) VALUES (?1, ?2, ?3, ?4)",
        -1, &insert, NULL);
    for (; rc == SQLITE_OK && decided != NULL; decided = decided->next) {
        if (decided->lsn == 0)
            continue;
        sqlite3_bind_text(insert, 1, name_of(decided->shard), -1, SQLITE_TRANSIENT);
        sqlite3_bind_int64(insert, 2, (int64_t)decided->lsn);
        sqlite3_bind_text(insert, 3, decided->gid, -1, SQLITE_STATIC);
        sqlite3_bind_blob64(insert, 4, decided->redo.data, decided->redo.bytes, SQLITE_STATIC);
        rc = sqlite3_step(insert) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(decider->writer->db);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    return rc;
}

bool sy_sqlite_decision_write(struct sy_sqlite_session *s, const char *decision,
                              struct sy_sqlite_branch **ret_decided)
{
    struct sy_sqlite_branch *decided = NULL;
    if (!gather(decision, &decided)) {
        sy_err_set(&s->err, SY_E_STATE,
                   "the transaction was rolled back: not every shard was prepared for its commit");
        sy_err_state(&s->err, "40001");
        return false;
    }
    int rc = forget_applied(s->shard);
    if (rc == SQLITE_OK)
        rc = write_redo(s->shard, decided);
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, s->shard->writer, rc);
        sy_sqlite_decision_done(&decided, false);
        return false;
    }
    *ret_decided = decided;
    return true;
}

void sy_sqlite_decision_done(struct sy_sqlite_branch **decided, bool committed)
{
    struct sy_sqlite_branch *at = *decided, *next = NULL;
    *decided = NULL;
    for (; at != NULL; at = next) {
        pthread_mutex_lock(&registry.lock);
        next = at->next;
        at->state = committed ? BRANCH_COMMITTED : BRANCH_PREPARED;
        bool orphan = at->session == NULL;
        if (orphan)
            sy_list_remove(&at->link);
        pthread_mutex_unlock(&registry.lock);
        if (orphan)
            (void)end_branch(at, committed);
    }
}

/* ---- after a crash, or a disk that was full ---- */

/* As a transaction of its own, on a connection of its own. */
static int apply_redo(struct sy_sqlite_conn *conn, uint64_t lsn, const struct sy_buf *redo)
{
    bool ddl = false;
    sy_sqlite_apply_configure(conn);
    int rc = sy_sqlite_conn_exec(conn, "BEGIN IMMEDIATE");
    if (rc == SQLITE_OK)
        rc = sy_sqlite_apply_parts(conn, redo, &ddl);
    if (rc == SQLITE_OK && ddl) /* numbers that it has given to objects are not given again */
        rc = sy_sqlite_conn_exec(
            conn,
            "UPDATE sy_catalog_state SET value = max(value, 1 + (SELECT max(oid) FROM (SELECT "
            "oid FROM sy_catalog_relation UNION ALL SELECT oid FROM sy_catalog_object))) "
            "WHERE name = 'next_oid'");
    if (rc == SQLITE_OK)
        rc = sy_sqlite_set_lsn(conn, lsn);
    if (rc == SQLITE_OK)
        rc = sy_sqlite_conn_exec(conn, "COMMIT");
    return rc;
}

bool sy_sqlite_branch_pay(struct sy_sqlite_shard *shard)
{
    struct sy_sqlite_branch *branch = shard->owed;
    struct sy_sqlite_conn *conn = NULL;
    struct sy_err err = {0};
    if (sy_sqlite_conn_open(shard->files[0]->path, true, &conn, &err) != SY_OK)
        return false;
    int rc = apply_redo(conn, branch->lsn, &branch->redo);
    sy_sqlite_conn_close(&conn);
    if (rc != SQLITE_OK)
        return false;
    if (branch->catalog != NULL)
        sy_sqlite_file_set_catalog(shard->files[0], sy_sqlite_catalog_ref(branch->catalog));
    sy_sqlite_file_publish(shard->files[0], branch->lsn);
    sy_sqlite_capture_ship(shard, branch->lsn); /* nothing was recorded: replicas are copied */
    sy_sqlite_branch_free(&shard->owed);
    return true;
}

static struct sy_sqlite_shard *find(struct sy_sqlite_shard *const *shards, uint32_t count,
                                    const char *name)
{
    for (uint32_t i = 0; name != NULL && i < count; i++)
        if (strcmp(name_of(shards[i]), name) == 0)
            return shards[i];
    return NULL;
}

static enum sy_status complete(struct sy_sqlite_shard *shard, uint64_t lsn,
                               const struct sy_buf *redo, struct sy_err *err)
{
    struct sy_sqlite_conn *conn = NULL;
    uint64_t position = atomic_load(&shard->files[0]->lsn);
    if (position + 1 != lsn) {
        enum sy_status status = sy_err_set(
            err, SY_E_CATALOG, "\"%s\" is older than a transaction that it has a part in",
            shard->files[0]->path);
        sy_err_detail(err,
                      "It is at position %" PRIu64 ", the transaction made position %" PRIu64 ".",
                      position, lsn);
        sy_err_hint(err, "Restore all files of the database from the same backup.");
        return status;
    }
    enum sy_status status = sy_sqlite_conn_open(shard->files[0]->path, true, &conn, err);
    if (status == SY_OK && apply_redo(conn, lsn, redo) != SQLITE_OK)
        status = sy_err_set(err, SY_E_CATALOG, "cannot complete a transaction in \"%s\": %s",
                            shard->files[0]->path, sqlite3_errmsg(conn->db));
    sy_sqlite_conn_close(&conn);
    return status == SY_OK ? sy_sqlite_shard_reload(shard, err) : status;
}

/* What one shard has decided for the others. */
static enum sy_status recover_from(struct sy_sqlite_shard *decider,
                                   struct sy_sqlite_shard *const *shards, uint32_t count,
                                   struct sy_err *err)
{
    struct sy_sqlite_conn *conn = NULL;
    sqlite3_stmt *rows = NULL;
    enum sy_status status = sy_sqlite_conn_open(decider->files[0]->path, false, &conn, err);
    if (status != SY_OK)
        return status;
    int rc = sqlite3_prepare_v2(conn->db,
                                "SELECT shard, lsn, gid, parts FROM sy_catalog_redo ORDER BY 1, 2",
                                -1, &rows, NULL);
    while (rc == SQLITE_OK && status == SY_OK && (rc = sqlite3_step(rows)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(rows, 0);
        struct sy_sqlite_shard *shard = find(shards, count, name);
        uint64_t lsn = (uint64_t)sqlite3_column_int64(rows, 1);
        struct sy_buf redo = {.bytes_max = SY_LIMIT_REDO_BYTES};
        rc = SQLITE_OK;
        if (shard == NULL)
            SY_LOG(SY_LOG_WARN, "a transaction has a part in a shard that is not configured",
                   SY_KV_STR("file", name == NULL ? "" : name),
                   SY_KV_STR("gid", (const char *)sqlite3_column_text(rows, 2)));
        if (shard == NULL || shard->ready || atomic_load(&shard->files[0]->lsn) >= lsn)
            continue;
        sy_buf_append(&redo, sqlite3_column_blob(rows, 3), (size_t)sqlite3_column_bytes(rows, 3));
        status = redo.failed ? sy_err_set(err, SY_E_NO_MEMORY, "out of memory")
                             : complete(shard, lsn, &redo, err);
        sy_buf_release(&redo);
        if (status == SY_OK)
            SY_LOG(SY_LOG_INFO, "a transaction that a crash interrupted is complete",
                   SY_KV_STR("file", shard->files[0]->path),
                   SY_KV_STR("gid", (const char *)sqlite3_column_text(rows, 2)));
    }
    if (status == SY_OK && rc != SQLITE_DONE)
        status = sy_err_set(err, SY_E_CATALOG, "cannot read \"%s\": %s", decider->files[0]->path,
                            sqlite3_errmsg(conn->db));
    sqlite3_finalize(rows);
    sy_sqlite_conn_close(&conn);
    return status;
}

enum sy_status sy_sqlite_recover(struct sy_sqlite_shard *const *shards, uint32_t count,
                                 struct sy_err *err)
{
    enum sy_status status = SY_OK;
    for (uint32_t i = 0; status == SY_OK && i < count; i++)
        status = recover_from(shards[i], shards, count, err);
    return status;
}
