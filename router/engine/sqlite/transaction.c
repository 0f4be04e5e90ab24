/*
 * Transactions: BEGIN to COMMIT, savepoints, and how a block comes to own the writer.
 *
 * Savepoints set before the first write exist only here; when the block gets the writer they are
 * set there too, under names of their own ("sy1", "sy2", ... by depth), so that a client's name
 * needs no quoting and may repeat.
 */
#include <pg_query/pg_query.pb-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "router/engine/sqlite/locks.h"
#include "router/engine/sqlite/notify.h"
#include "router/engine/sqlite/prepared.h"
#include "router/engine/sqlite/replica.h"
#include "router/engine/sqlite/session.h"
#include "router/engine/sqlite/settings.h"

int64_t sy_sqlite_now_us(void)
{
    return sy_clock_real()->wall_us(sy_clock_real()) - SY_TYPE_EPOCH_US;
}

void sy_sqlite_refresh_catalog(struct sy_sqlite_session *s)
{
    if (s->catalog_own)
        return;
    if (s->catalog != NULL &&
        s->catalog->generation == atomic_load_explicit(&s->file->generation, memory_order_acquire))
        return;
    sy_sqlite_catalog_unref(&s->catalog);
    s->catalog = sy_sqlite_file_catalog(s->file);
}

/* ---- savepoints ---- */

static void savepoint_free(struct sy_sqlite_savepoint *savepoint)
{
    sy_list_remove(&savepoint->link);
    sy_sqlite_settings_forget(&savepoint->settings);
    free(savepoint->name);
    free(savepoint);
}

static void drop_savepoints(struct sy_sqlite_session *s)
{
    while (!sy_list_empty(&s->savepoints))
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the list */
        savepoint_free(sy_container_of(s->savepoints.prev, struct sy_sqlite_savepoint, link));
    s->savepoint_depth = 0;
}

static int savepoint_sql(struct sy_sqlite_session *s, const char *verb, uint32_t depth)
{
    char sql[48];
    snprintf(sql, sizeof(sql), "%s sy%u", verb, depth);
    return sy_sqlite_conn_exec(s->shard->writer, sql);
}

static struct sy_sqlite_savepoint *find_savepoint(struct sy_sqlite_session *s, const char *name)
{
    for (struct sy_list *node = s->savepoints.prev; node != &s->savepoints; node = node->prev) {
        struct sy_sqlite_savepoint *savepoint =
            sy_container_of(node, struct sy_sqlite_savepoint, link);
        if (strcmp(savepoint->name, name) == 0)
            return savepoint;
    }
    sy_err_set(&s->err, SY_E_STATE, "savepoint \"%s\" does not exist", name);
    sy_err_state(&s->err, "3B001");
    return NULL;
}

static bool savepoint_set(struct sy_sqlite_session *s, const char *name)
{
    struct sy_sqlite_savepoint *savepoint = calloc(1, sizeof(*savepoint));
    if (savepoint != NULL)
        savepoint->name = strdup(name);
    if (savepoint == NULL || savepoint->name == NULL) {
        free(savepoint);
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    sy_list_init(&savepoint->link);
    savepoint->depth = s->savepoint_depth + 1;
    int rc = s->writes ? savepoint_sql(s, "SAVEPOINT", savepoint->depth) : SQLITE_OK;
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, s->shard->writer, rc);
        savepoint_free(savepoint);
        return false;
    }
    savepoint->settings = sy_sqlite_settings_save(s->settings);
    sy_list_append(&s->savepoints, &savepoint->link);
    s->savepoint_depth = savepoint->depth;
    return true;
}

static bool savepoint_release(struct sy_sqlite_session *s, const char *name)
{
    struct sy_sqlite_savepoint *savepoint = find_savepoint(s, name);
    if (savepoint == NULL)
        return false;
    uint32_t depth = savepoint->depth;
    int rc = s->writes ? savepoint_sql(s, "RELEASE", depth) : SQLITE_OK;
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, s->shard->writer, rc);
        return false;
    }
    while (s->savepoint_depth >= depth && !sy_list_empty(&s->savepoints)) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the list */
        savepoint_free(sy_container_of(s->savepoints.prev, struct sy_sqlite_savepoint, link));
        s->savepoint_depth--;
    }
    return true;
}

static bool reload_catalog(struct sy_sqlite_session *s)
{
    struct sy_sqlite_catalog *catalog = NULL;
    if (sy_sqlite_catalog_load(s->shard->writer, &catalog, &s->err) != SY_OK)
        return false;
    sy_sqlite_catalog_unref(&s->catalog);
    s->catalog = catalog;
    return true;
}

static bool savepoint_back(struct sy_sqlite_session *s, const char *name)
{
    struct sy_sqlite_savepoint *savepoint = find_savepoint(s, name);
    if (savepoint == NULL)
        return false;
    uint32_t depth = savepoint->depth;
    int rc = s->writes ? savepoint_sql(s, "ROLLBACK TO", depth) : SQLITE_OK;
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, s->shard->writer, rc);
        return false;
    }
    if (s->writes)
        sy_sqlite_capture_spoil(s->shard);
    while (s->savepoint_depth > depth) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what was freed left the list */
        savepoint_free(sy_container_of(s->savepoints.prev, struct sy_sqlite_savepoint, link));
        s->savepoint_depth--;
    }
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): only deeper ones were freed */
    sy_sqlite_settings_back(s, savepoint->settings);
    s->txn = 'T';
    return !s->catalog_own || reload_catalog(s);
}

/* ---- the writer ---- */

bool sy_sqlite_transaction_writes(struct sy_sqlite_session *s)
{
    bool had_snapshot = s->snapshot != NULL;
    if (had_snapshot) {
        sy_sqlite_conn_exec_quietly(s->snapshot, "ROLLBACK");
        sy_sqlite_reader_give(s->file, &s->snapshot);
    }
    /* The writer sees what the snapshot saw only if nothing was committed since. */
    if (had_snapshot && s->snapshot_lsn != atomic_load(&s->shard->files[0]->lsn)) {
        sy_err_set(&s->err, SY_E_STATE, "could not serialize access due to concurrent update");
        sy_err_state(&s->err, "40001");
        sy_err_hint(&s->err, "The transaction might succeed if retried.");
        return false;
    }
    int rc = sy_sqlite_writer_begin(s->shard, s->txn == 'T' && atomic_load(&s->shard->several));
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, s->shard->writer, rc);
        sy_sqlite_writer_rollback(s->shard);
        return false;
    }
    s->writes = true;
    s->implicit = s->txn == 'I';
    sy_list_each(node, &s->savepoints)
    {
        struct sy_sqlite_savepoint *savepoint =
            sy_container_of(node, struct sy_sqlite_savepoint, link);
        rc = savepoint_sql(s, "SAVEPOINT", savepoint->depth);
        if (rc != SQLITE_OK) {
            sy_sqlite_error(s, s->shard->writer, rc);
            return false;
        }
    }
    return true;
}

static void leave_writer(struct sy_sqlite_session *s)
{
    if (atomic_load(&s->shard->owner) == s)
        sy_sqlite_writer_release(s->shard, s);
    s->writes = false;
    s->writer_wanted = false;
    s->implicit = false;
}

static void leave_snapshot(struct sy_sqlite_session *s)
{
    if (s->snapshot == NULL)
        return;
    sy_sqlite_conn_exec_quietly(s->snapshot, "ROLLBACK");
    sy_sqlite_reader_give(s->file, &s->snapshot);
}

static void end_block(struct sy_sqlite_session *s, bool committed)
{
    leave_snapshot(s);
    drop_savepoints(s);
    sy_sqlite_portals_end(s, committed);
    s->txn = 'I';
    s->txn_used = false;
    s->txn_start_us = 0;
    sy_sqlite_settings_end(s, committed);
}

void sy_sqlite_rollback(struct sy_sqlite_session *s)
{
    sy_sqlite_run_end(s);
    if (s->writes)
        sy_sqlite_writer_rollback(s->shard);
    if (s->catalog_own) {
        s->catalog_own = false;
        sy_sqlite_catalog_unref(&s->catalog);
    }
    if (s->shard != NULL)
        leave_writer(s);
    sy_buf_clear(&s->notifications);
    if (s->file != NULL) {
        sy_sqlite_refresh_catalog(s);
        sy_sqlite_locks_end(s);
        end_block(s, false);
    }
}

void sy_sqlite_transaction_prepared(struct sy_sqlite_session *s, struct sy_sqlite_branch *branch)
{
    if (branch != NULL)
        sy_sqlite_writer_lend(s->shard, branch);
    leave_writer(s);
    sy_sqlite_refresh_catalog(s);
    end_block(s, true);
}

/* With what it decides for other shards. */
static int commit_writer(struct sy_sqlite_session *s)
{
    const char *decision = sy_sqlite_decision(s);
    struct sy_sqlite_branch *decided = NULL;
    if (decision != NULL && !sy_sqlite_decision_write(s, decision, &decided))
        return SQLITE_ABORT;
    int rc = sy_sqlite_writer_commit(s->shard);
    sy_sqlite_decision_done(&decided, rc == SQLITE_OK);
    return rc;
}

bool sy_sqlite_commit(struct sy_sqlite_session *s)
{
    if (s->writes) {
        sy_err_init(&s->err);
        int rc = commit_writer(s);
        if (rc != SQLITE_OK) {
            if (s->err.status != SY_OK)
                ; /* it was told already */
            else if (rc == SQLITE_CONSTRAINT_FOREIGNKEY)
                sy_sqlite_deferred_violation(s, s->shard->writer);
            else
                sy_sqlite_error(s, s->shard->writer, rc);
            struct sy_err err = s->err;
            sy_sqlite_rollback(s);
            s->err = err;
            return false;
        }
        if (s->catalog_own) {
            /* Before the writer goes to the next: it must not see an older catalog than its file.
             */
            s->catalog_own = false;
            sy_sqlite_file_set_catalog(s->file, sy_sqlite_catalog_ref(s->catalog));
        }
    }
    leave_writer(s);
    sy_sqlite_notify_commit(s);
    sy_sqlite_locks_end(s);
    end_block(s, true);
    return true;
}

void sy_sqlite_transaction_failed(struct sy_sqlite_session *s)
{
    struct sy_err err = s->err;
    sy_sqlite_run_end(s);
    s->materialising = NULL;
    sy_sqlite_session_limit(s, &s->lock_deadline_us, 0);
    if (s->txn == 'I') {
        sy_sqlite_rollback(s);
    } else {
        s->txn = 'E';
        leave_snapshot(s);
        /* Without a savepoint to go back to nothing can be saved: let the others write. */
        if (sy_list_empty(&s->savepoints)) {
            if (s->writes)
                sy_sqlite_writer_rollback(s->shard);
            leave_writer(s);
            if (s->catalog_own) {
                s->catalog_own = false;
                sy_sqlite_refresh_catalog(s);
            }
        } else if (!s->writes) {
            leave_writer(s);
        }
    }
    s->err = err;
}

/* ---- statements ---- */

static bool is_word(const char *text, const char *word)
{
    return text != NULL && strcasecmp(text, word) == 0;
}

bool sy_sqlite_isolation_of(const char *text, uint8_t *ret_isolation)
{
    if (is_word(text, "serializable"))
        *ret_isolation = SY_ISOLATION_SERIALIZABLE;
    else if (is_word(text, "repeatable read"))
        *ret_isolation = SY_ISOLATION_REPEATABLE_READ;
    else if (is_word(text, "read committed") || is_word(text, "read uncommitted"))
        *ret_isolation = SY_ISOLATION_READ_COMMITTED;
    else
        return false;
    return true;
}

/* Options of BEGIN and SET TRANSACTION. */
bool sy_sqlite_transaction_options(struct sy_sqlite_session *s, PgQuery__Node *const *options,
                                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM)
            continue;
        const PgQuery__DefElem *e = options[i]->def_elem;
        const PgQuery__AConst *value =
            e->arg != NULL && e->arg->node_case == PG_QUERY__NODE__NODE_A_CONST ? e->arg->a_const
                                                                                : NULL;
        if (value == NULL)
            continue;
        uint8_t isolation = s->isolation;
        if (strcmp(e->defname, "transaction_isolation") == 0 &&
            value->val_case == PG_QUERY__A__CONST__VAL_SVAL &&
            sy_sqlite_isolation_of(value->sval->sval, &isolation)) {
            if (s->txn_used && isolation != s->isolation) {
                sy_err_set(&s->err, SY_E_STATE,
                           "SET TRANSACTION ISOLATION LEVEL must be called before any query");
                sy_err_state(&s->err, "25001");
                return false;
            }
            s->isolation = isolation;
        } else if (strcmp(e->defname, "transaction_read_only") == 0) {
            bool wanted = value->val_case == PG_QUERY__A__CONST__VAL_IVAL && value->ival->ival != 0;
            if (!wanted && s->read_only && s->txn_used) {
                sy_err_set(&s->err, SY_E_STATE,
                           "transaction read-write mode must be set before any query");
                sy_err_state(&s->err, "25001");
                return false;
            }
            s->read_only = wanted;
        }
    }
    return true;
}

static bool begin(struct sy_sqlite_session *s, const PgQuery__TransactionStmt *stmt)
{
    if (s->txn == 'T') {
        sy_sqlite_notice(s, "WARNING", "25001", "there is already a transaction in progress");
        return true;
    }
    s->txn = 'T';
    s->txn_used = s->writes;
    s->implicit = false; /* what the query text has written so far becomes part of the block, as in
                            PostgreSQL */
    s->isolation = s->default_isolation;
    s->read_only = s->default_read_only;
    if (s->txn_start_us == 0)
        s->txn_start_us = sy_sqlite_now_us();
    return sy_sqlite_transaction_options(s, stmt->options, stmt->n_options);
}

static void chain(struct sy_sqlite_session *s, uint8_t isolation, bool read_only)
{
    s->txn = 'T';
    s->isolation = isolation;
    s->read_only = read_only;
    s->txn_start_us = sy_sqlite_now_us();
}

static bool no_block(struct sy_sqlite_session *s, const PgQuery__TransactionStmt *stmt)
{
    if (s->txn != 'I')
        return false;
    if (stmt->chain) {
        sy_err_set(&s->err, SY_E_STATE, "%s AND CHAIN can only be used in transaction blocks",
                   stmt->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT ? "COMMIT"
                                                                                    : "ROLLBACK");
        sy_err_state(&s->err, "25P01");
        return true;
    }
    sy_sqlite_notice(s, "WARNING", "25P01", "there is no transaction in progress");
    return false;
}

static bool end(struct sy_sqlite_session *s, const PgQuery__TransactionStmt *stmt, bool commit,
                const char **ret_tag)
{
    bool failed = s->txn == 'E';
    uint8_t isolation = s->isolation;
    bool read_only = s->read_only;
    if (no_block(s, stmt))
        return false;
    *ret_tag = commit && !failed ? "COMMIT" : "ROLLBACK";
    if (commit && !failed) {
        if (!sy_sqlite_commit(s))
            return false;
    } else {
        sy_sqlite_rollback(s);
    }
    if (stmt->chain)
        chain(s, isolation, read_only);
    return true;
}

static bool needs_block(struct sy_sqlite_session *s, const char *what)
{
    if (s->txn != 'I')
        return true;
    sy_err_set(&s->err, SY_E_STATE, "%s can only be used in transaction blocks", what);
    sy_err_state(&s->err, "25P01");
    return false;
}

static bool aborted(struct sy_sqlite_session *s)
{
    if (s->txn != 'E')
        return false;
    sy_err_set(&s->err, SY_E_TXN_FAILED,
               "current transaction is aborted, commands ignored until end of transaction block");
    return true;
}

static bool outside_block(struct sy_sqlite_session *s, const char *what)
{
    if (s->txn == 'I')
        return true;
    sy_err_set(&s->err, SY_E_STATE, "%s cannot run inside a transaction block", what);
    sy_err_state(&s->err, "25001");
    return false;
}

static bool prepare(struct sy_sqlite_session *s, const char *gid, const char **ret_tag)
{
    bool failed = s->txn == 'E';
    if (!needs_block(s, "PREPARE TRANSACTION"))
        return false;
    *ret_tag = failed ? "ROLLBACK" : "PREPARE TRANSACTION";
    if (!failed)
        return sy_sqlite_branch_prepare(s, gid);
    sy_sqlite_rollback(s);
    return true;
}

static bool run_statement(struct sy_sqlite_session *s, const PgQuery__TransactionStmt *stmt,
                          const char **ret_tag)
{
    const char *name = stmt->savepoint_name;
    switch (stmt->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
        *ret_tag = stmt->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN
                       ? "BEGIN"
                       : "START TRANSACTION";
        return !aborted(s) && begin(s, stmt);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
        return end(s, stmt, true, ret_tag);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
        return end(s, stmt, false, ret_tag);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
        *ret_tag = "SAVEPOINT";
        return !aborted(s) && needs_block(s, "SAVEPOINT") && savepoint_set(s, name);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
        *ret_tag = "RELEASE";
        return !aborted(s) && needs_block(s, "RELEASE SAVEPOINT") && savepoint_release(s, name);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
        *ret_tag = "ROLLBACK";
        return needs_block(s, "ROLLBACK TO SAVEPOINT") && savepoint_back(s, name);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE:
        return prepare(s, stmt->gid, ret_tag);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED:
        *ret_tag = "COMMIT PREPARED";
        return outside_block(s, *ret_tag) && sy_sqlite_branch_end(s, stmt->gid, true);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED:
        *ret_tag = "ROLLBACK PREPARED";
        return outside_block(s, *ret_tag) && sy_sqlite_branch_end(s, stmt->gid, false);
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANSACTION_STMT_KIND_UNDEFINED:
    case _PG_QUERY__TRANSACTION_STMT_KIND_IS_INT_SIZE:
        break;
    }
    sy_err_set(&s->err, SY_E_UNSUPPORTED, "this statement is not supported");
    return false;
}

enum sy_sqlite_step sy_sqlite_transaction(struct sy_sqlite_session *s,
                                          const struct sy_sqlite_plan *plan)
{
    const char *tag = "";
    const PgQuery__TransactionStmt *stmt = plan->node->transaction_stmt;
    /* What it decides is written in its own transaction, whether it has written or not. */
    if (stmt->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT && !s->writes &&
        sy_sqlite_decision(s) != NULL) {
        enum sy_sqlite_step step = sy_sqlite_need_writer(s);
        if (step != SY_STEP_DONE)
            return step;
    }
    if (!run_statement(s, stmt, &tag))
        return SY_STEP_ERROR;
    sy_write_command_complete(&s->out, tag);
    return SY_STEP_DONE;
}
