/* Running a portal: which connection, which SQLite statements, and its rows on their way out. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "router/engine/sqlite/conflict.h"
#include "router/engine/sqlite/copy.h"
#include "router/engine/sqlite/replica.h"
#include "router/engine/sqlite/session.h"
#include "router/engine/sqlite/session_env.h"
#include "router/engine/sqlite/settings.h"
#include "router/engine/sqlite/types_internal.h"

/* ---- connections ---- */

void sy_sqlite_run_mark(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn)
{
    conn->slot.session = &s->sq;
    pthread_mutex_lock(&s->lock);
    s->running = conn->db;
    pthread_mutex_unlock(&s->lock);
}

void sy_sqlite_run_unmark(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn)
{
    pthread_mutex_lock(&s->lock);
    s->running = NULL;
    pthread_mutex_unlock(&s->lock);
    conn->slot.session = NULL;
}

static enum sy_status open_snapshot(struct sy_sqlite_session *s, struct sy_err *err)
{
    enum sy_status status = sy_sqlite_reader_take(s->file, &s->snapshot, err);
    if (status != SY_OK)
        return status;
    /* BEGIN alone takes no snapshot: the first read does, and says at which position it stands. */
    sqlite3_stmt *stmt = NULL;
    int rc = sy_sqlite_conn_exec(s->snapshot, "BEGIN");
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(s->snapshot->db,
                                "SELECT value FROM sy_catalog_state WHERE name = 'lsn'", -1, &stmt,
                                NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        s->snapshot_lsn = (uint64_t)sqlite3_column_int64(stmt, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(stmt);
    if (rc == SQLITE_OK)
        return SY_OK;
    status =
        sy_err_set(err, SY_E_IO, "cannot open a snapshot: %s", sqlite3_errmsg(s->snapshot->db));
    sy_sqlite_conn_exec_quietly(s->snapshot, "ROLLBACK");
    sy_sqlite_reader_give(s->file, &s->snapshot);
    return status;
}

/* The connection to read on now, lent for one statement when *ret_lent. */
static enum sy_status read_conn(struct sy_sqlite_session *s, struct sy_sqlite_conn **ret_conn,
                                bool *ret_lent, struct sy_err *err)
{
    *ret_lent = false;
    if (s->writes) {
        *ret_conn = s->shard->writer;
        return SY_OK;
    }
    if (s->txn == 'T' && s->isolation >= SY_ISOLATION_REPEATABLE_READ) {
        enum sy_status status = s->snapshot == NULL ? open_snapshot(s, err) : SY_OK;
        *ret_conn = s->snapshot;
        return status;
    }
    *ret_lent = true;
    return sy_sqlite_reader_take(s->file, ret_conn, err);
}

enum sy_sqlite_step sy_sqlite_need_writer(struct sy_sqlite_session *s)
{
    if (s->writes)
        return SY_STEP_DONE;
    if (s->shard->owner != s) {
        s->batchable = false;
        sy_sqlite_session_limit(s, &s->lock_deadline_us,
                                sy_sqlite_settings_lock_limit_us(s->settings));
        if (!s->writer_wanted) {
            s->writer_wanted = true;
            return sy_sqlite_session_wait(s, SY_WAIT_WRITER);
        }
        /* Woken without the writer: there is a reason to stop. */
        s->writer_wanted = false;
        sy_sqlite_session_limit(s, &s->lock_deadline_us, 0);
        if (!sy_sqlite_session_interrupted(s))
            sy_err_set(&s->err, SY_E_INTERNAL, "the writer's queue lost a session");
        return SY_STEP_ERROR;
    }
    s->writer_wanted = false;
    sy_sqlite_session_limit(s, &s->lock_deadline_us, 0);
    if (!sy_sqlite_transaction_writes(s))
        return SY_STEP_ERROR;
    return SY_STEP_DONE;
}

/* ---- one SQLite statement ---- */

static bool run_begin(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn, bool lent,
                      uint64_t key, const struct sy_sqstep *step,
                      const struct sy_sqlite_portal *portal)
{
    sqlite3_stmt *stmt = NULL;
    s->sq.err.status = SY_OK;
    s->run = (struct sy_sqlite_run){.conn = conn, .returns_conn = lent, .key = key};
    sy_sqlite_run_mark(s, conn);
    int rc = sy_sqlite_conn_prepare(conn, key, sy_slice_of(step->sql), &stmt);
    s->run.stmt = stmt;
    uint32_t wanted =
        rc == SQLITE_OK && stmt != NULL ? (uint32_t)sqlite3_bind_parameter_count(stmt) : 0;
    for (uint32_t i = 0; rc == SQLITE_OK && i < wanted && i < portal->plan->t->parameter_count; i++)
        rc = sy_sqvalue_bind(stmt, (int)i + 1, &portal->parameters[i]);
    if (rc == SQLITE_OK)
        return true;
    sy_sqlite_error(s, conn, rc);
    return false;
}

void sy_sqlite_run_end(struct sy_sqlite_session *s)
{
    if (s->run.conn == NULL)
        return;
    sy_sqlite_run_unmark(s, s->run.conn);
    if (s->run.stmt != NULL)
        sy_sqlite_conn_release(s->run.conn, s->run.key, s->run.stmt);
    if (s->run.returns_conn)
        sy_sqlite_reader_give(s->file, &s->run.conn);
    s->run = (struct sy_sqlite_run){0};
}

/* ---- rows ---- */

enum { EXPLAIN_DETAIL = 3 }; /* column of EXPLAIN QUERY PLAN that is the text */

static void put_length(struct sy_buf *out, size_t at)
{
    uint32_t bytes = (uint32_t)(out->bytes - at - 4);
    char *to = out->data + at;
    to[0] = (char)(bytes >> 24);
    to[1] = (char)(bytes >> 16);
    to[2] = (char)(bytes >> 8);
    to[3] = (char)bytes;
}

bool sy_sqlite_put_value(struct sy_sqlite_session *s, struct sy_buf *out, uint32_t type, int format,
                         const struct sy_sqvalue *value)
{
    size_t at = out->bytes;
    if (value->kind == SY_SQ_NULL) {
        sy_buf_append_u32(out, UINT32_MAX);
        return true;
    }
    sy_buf_append_u32(out, 0);
    if (sy_type_encode(type, format, value, &s->sq.types, out, &s->err) != SY_OK)
        return false;
    if (out->failed) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory for a row");
        return false;
    }
    put_length(out, at);
    return true;
}

static bool put_row(struct sy_sqlite_session *s, const struct sy_sqlite_portal *portal,
                    struct sy_buf *out)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    size_t start = out->bytes, message = sy_msg_begin(out, 'D');
    sy_buf_append_u16(out, (uint16_t)t->column_count);
    for (uint32_t i = 0; i < t->column_count; i++) {
        struct sy_sqvalue value =
            sy_sqvalue_column(s->run.stmt, t->explain ? EXPLAIN_DETAIL : (int)i);
        int format = portal->same_format ? portal->format : portal->formats[i];
        if (!sy_sqlite_put_value(s, out, t->columns[i].type, format, &value)) {
            out->bytes = start;
            out->failed = false;
            return false;
        }
    }
    sy_msg_end(out, message);
    return true;
}

/* COPY (query) TO takes rows in another form. */
static bool emit_row(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal)
{
    s->run.rows++;
    if (s->copy_out != NULL)
        return sy_sqlite_copy_out_row(s, portal, s->run.stmt);
    if (s->materialising == NULL)
        return put_row(s, portal, &s->out);
    uint64_t offset = s->materialising->rows.bytes;
    sy_buf_append(&s->materialising->offsets, &offset, sizeof(offset));
    if (s->materialising->offsets.failed) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory for a cursor");
        return false;
    }
    return put_row(s, portal, &s->materialising->rows);
}

/* Steps to the end, or until the client has to catch up. */
static enum sy_sqlite_step run_rows(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                                    bool may_wait)
{
    const bool rows_wanted = portal->plan->t->returns_rows;
    for (;;) {
        if (s->run.pending && !emit_row(s, portal))
            return SY_STEP_ERROR;
        s->run.pending = false;
        if (may_wait && s->out.bytes >= SY_SQLITE_FLUSH_BYTES) {
            s->run_flushed = true;
            if (sy_sqlite_session_output(s) == SY_STEP_WAIT)
                return SY_STEP_WAIT;
        }
        int rc = sqlite3_step(s->run.stmt);
        if (rc == SQLITE_DONE)
            return SY_STEP_DONE;
        if (rc != SQLITE_ROW) {
            sy_sqlite_error(s, s->run.conn, rc);
            /* Undone before its key is looked for: the statement holds what it has written until
             * then. */
            (void)sqlite3_reset(s->run.stmt);
            if ((rc & 0xff) == SQLITE_CONSTRAINT && s->run_writes) {
                sy_sqlite_conflict_detail(s, s->run.conn, portal,
                                          portal->plan->t->steps[s->step_at].sql);
                sy_sqlite_foreign_key_detail(s, s->run.conn, s->run.stmt);
            }
            return SY_STEP_ERROR;
        }
        s->run.pending = rows_wanted && s->run.main;
        uint32_t keep = portal->plan->t->steps[s->step_at].keep;
        if (keep > 0 && !sy_sqkeep_row(&s->sq, keep, s->run.stmt)) {
            sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory for the rows of a WITH query");
            return SY_STEP_ERROR;
        }
        s->analyze_rows += !s->run.main;
    }
}

/* ---- EXPLAIN ANALYZE ---- */

static void analyze_step(struct sy_sqlite_session *s, const struct sy_sqtranslation *t)
{
    uint64_t now_us = sy_clock_real()->monotonic_us(sy_clock_real());
    if (s->step_at == 0) {
        s->analyze_us = now_us;
        s->analyze_rows = 0;
    }
    if (s->step_at + 1 == t->step_count) {
        s->analyze_us = now_us - s->analyze_us;
        if (s->run_writes && s->analyze_rows == 0)
            s->analyze_rows = (uint64_t)sqlite3_changes64(s->shard->writer->db);
    }
}

static void put_line(struct sy_sqlite_session *s, const char *line)
{
    struct sy_sqlite_portal *portal = s->materialising;
    struct sy_slice value = sy_slice_of(line);
    uint64_t offset = portal == NULL ? 0 : portal->rows.bytes;
    if (portal != NULL)
        sy_buf_append(&portal->offsets, &offset, sizeof(offset));
    sy_write_data_row(portal == NULL ? &s->out : &portal->rows, &value, 1);
}

/* Rows that the statement gave, or changed when it gave none; and the time it took. */
static void put_analysis(struct sy_sqlite_session *s)
{
    char line[96];
    snprintf(line, sizeof(line), "Actual Rows: %llu", (unsigned long long)s->analyze_rows);
    put_line(s, line);
    snprintf(line, sizeof(line), "Execution Time: %.3f ms", (double)s->analyze_us / 1000);
    put_line(s, line);
}

/* ---- all statements of a plan ---- */

/* Sequences whose values the steps take are there before them. */
static bool goes_first(const struct sy_sqtranslation *t, const struct sy_sqddl *ddl)
{
    return t->calls_sequences && ddl->kind == SY_SQDDL_CREATE && ddl->relation->kind == 'S';
}

static bool apply_ddl(struct sy_sqlite_session *s, const struct sy_sqtranslation *t, bool first)
{
    struct sy_sqlite_conn *conn = s->shard->writer;
    uint32_t applied = 0;
    for (uint32_t i = 0; i < t->ddl_count; i++) {
        if (goes_first(t, &t->ddl[i]) != first)
            continue;
        if (sy_sqlite_catalog_apply(conn, &t->ddl[i], 1, &s->err) != SY_OK)
            return false;
        applied++;
    }
    if (first && applied == 0)
        return true;
    struct sy_sqlite_catalog *catalog = NULL;
    if (sy_sqlite_catalog_load(conn, &catalog, &s->err) != SY_OK)
        return false;
    sy_sqlite_catalog_unref(&s->catalog);
    s->catalog = catalog;
    s->catalog_own = true;
    return true;
}

static void put_notices(struct sy_sqlite_session *s, const struct sy_sqtranslation *t)
{
    for (uint32_t i = 0; i < t->notice_count; i++)
        sy_sqlite_notice(s, t->notices[i].severity, t->notices[i].sqlstate, "%s",
                         t->notices[i].text);
}

/* A step of a change of the schema that writes rows of a table. */
static bool writes_rows(const char *sql)
{
    return strncmp(sql, "INSERT INTO ", 12) == 0 || strncmp(sql, "DELETE FROM ", 12) == 0 ||
           (strncmp(sql, "UPDATE ", 7) == 0 && strncmp(sql, "UPDATE sqlite_schema ", 21) != 0);
}

/* A step that changes the schema goes to the replicas as it is; rows go as what became of them,
 * since what they were made of (random(), sequences, parameters) is not at hand there. */
static bool ship_step(struct sy_sqlite_session *s, const struct sy_sqtranslation *t,
                      const struct sy_sqstep *step)
{
    if (t->ddl_count == 0 || !s->run_writes)
        return true;
    if (strncmp(step->sql, "SELECT ", 7) == 0) /* looks whether it may be done */
        return true;
    int rc = writes_rows(step->sql) ? sy_sqlite_capture_resume(s->shard)
                                    : sy_sqlite_capture_ddl(s->shard, step->sql);
    if (rc == SQLITE_OK)
        return true;
    sy_sqlite_error(s, s->shard->writer, rc);
    return false;
}

static enum sy_sqlite_step run_step(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                                    bool may_wait)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    const struct sy_sqstep *step = &t->steps[s->step_at];
    if (s->run.conn == NULL) {
        struct sy_sqlite_conn *conn = NULL;
        bool lent = false;
        if (s->run_writes)
            conn = s->shard->writer;
        else if (read_conn(s, &conn, &lent, &s->err) != SY_OK)
            return SY_STEP_ERROR;
        uint64_t key =
            portal->plan->key == 0 || t->ddl_count > 0 ? 0 : portal->plan->key + s->step_at;
        if (!ship_step(s, t, step) || !run_begin(s, conn, lent, key, step, portal)) {
            if (s->run.conn == NULL && lent)
                sy_sqlite_reader_give(s->file, &conn);
            return SY_STEP_ERROR;
        }
        s->run.main = step->main;
    }
    if (s->run.stmt == NULL)
        return SY_STEP_DONE;
    return run_rows(s, portal, may_wait);
}

static enum sy_sqlite_step run_steps(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                                     bool may_wait)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    if (s->step_at == 0 && t->ddl_count > 0 && !apply_ddl(s, t, true))
        return SY_STEP_ERROR;
    while (s->step_at < t->step_count) {
        if (t->analyze && s->run.conn == NULL)
            analyze_step(s, t);
        if (t->steps[s->step_at].keep > 0 && s->run.conn == NULL)
            sy_sqkeep_clear(&s->sq, t->steps[s->step_at].keep);
        enum sy_sqlite_step step = run_step(s, portal, may_wait);
        if (step == SY_STEP_WAIT)
            return step;
        if (step == SY_STEP_DONE && t->steps[s->step_at].main)
            s->run_count =
                t->returns_rows ? s->run.rows : (uint64_t)sqlite3_changes64(s->run.conn->db);
        sy_sqlite_run_end(s);
        if (step == SY_STEP_ERROR)
            return step;
        s->step_at++;
    }
    put_notices(s, t);
    if (t->step_count > 1 && t->steps[0].keep > 0)
        sy_sqkeep_release(&s->sq);
    if (t->analyze)
        put_analysis(s);
    if (t->ddl_count > 0) {
        int rc = sy_sqlite_capture_resume(s->shard);
        if (rc != SQLITE_OK) {
            sy_sqlite_error(s, s->shard->writer, rc);
            return SY_STEP_ERROR;
        }
        if (!apply_ddl(s, t, false))
            return SY_STEP_ERROR;
    }
    for (uint32_t i = 0; i < t->restart_count; i++) {
        if (!sy_sqlite_env_restart_sequence(s, t->restart_sequences[i]))
            return SY_STEP_ERROR;
    }
    return SY_STEP_DONE;
}

/* Appends "TAG n" as CommandComplete. */
static void complete(struct sy_sqlite_session *s, const struct sy_sqtranslation *t, uint64_t rows)
{
    size_t message = sy_msg_begin(&s->out, 'C');
    sy_buf_append_str(&s->out, t->tag);
    if (t->tag_count) {
        sy_buf_append_u8(&s->out, ' ');
        sq_put_int(&s->out, (int64_t)rows);
    }
    sy_buf_append_u8(&s->out, 0);
    sy_msg_end(&s->out, message);
}

static bool refused(struct sy_sqlite_session *s, const struct sy_sqtranslation *t)
{
    bool writes = t->writes || t->calls_sequences;
    if (!writes)
        return false;
    if (s->file->index == 0 && !(s->txn == 'T' ? s->read_only : s->default_read_only))
        return false;
    size_t tag = strlen(t->tag);
    if (tag > 2 && strcmp(t->tag + tag - 2, " 0") == 0)
        tag -= 2; /* "INSERT 0" */
    sy_err_set(&s->err, SY_E_STATE, "cannot execute %.*s in a read-only transaction", (int)tag,
               t->tag);
    sy_err_state(&s->err, "25006");
    return true;
}

static bool failed_block(struct sy_sqlite_session *s)
{
    if (s->txn != 'E')
        return false;
    sy_err_set(&s->err, SY_E_TXN_FAILED,
               "current transaction is aborted, commands ignored until end of transaction block");
    return true;
}

/* The schema may have changed while the statement waited, or since it was bound. */
static bool fits_schema(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal)
{
    if (s->catalog_own || s->snapshot != NULL ||
        portal->plan->generation ==
            atomic_load_explicit(&s->file->generation, memory_order_acquire))
        return true;
    return sy_sqlite_plan_renew(s, &portal->plan);
}

bool sy_sqlite_batch_run(struct sy_sqlite_session *s)
{
    struct sy_sqlite_portal *portal = s->batch_portal;
    s->batch_mark = s->out.bytes;
    s->step_at = 0;
    s->run_count = 0;
    s->run_writes = true;
    if (sy_sqlite_session_interrupted(s) || !fits_schema(s, portal))
        return false;
    enum sy_sqlite_step step = run_steps(s, portal, false);
    sy_sqlite_run_end(s);
    if (step != SY_STEP_DONE) {
        s->out.bytes = s->batch_mark;
        return false;
    }
    return true;
}

/* A statement that is a transaction of its own: the shard's writer task runs it. */
static enum sy_sqlite_step run_in_batch(struct sy_sqlite_session *s,
                                        struct sy_sqlite_portal *portal)
{
    if (!s->writer_wanted) {
        s->writer_wanted = true;
        s->batchable = true;
        s->batch = SY_BATCH_NONE;
        s->batch_portal = portal;
        sy_sqlite_session_limit(s, &s->lock_deadline_us,
                                sy_sqlite_settings_lock_limit_us(s->settings));
        return sy_sqlite_session_wait(s, SY_WAIT_WRITER);
    }
    s->writer_wanted = false;
    sy_sqlite_session_limit(s, &s->lock_deadline_us, 0);
    s->batch_portal = NULL;
    if (s->batch == SY_BATCH_DONE)
        return SY_STEP_DONE;
    if (s->batch == SY_BATCH_NONE && !sy_sqlite_session_interrupted(s))
        sy_err_set(&s->err, SY_E_INTERNAL, "the writer's queue lost a session");
    return SY_STEP_ERROR;
}

static bool can_batch(const struct sy_sqlite_session *s, const struct sy_sqtranslation *t)
{
    return s->txn == 'I' && !s->writes && t->ddl_count == 0 && t->restart_count == 0 &&
           s->materialising == NULL && s->copy_out == NULL && s->shard->owner != s &&
           (s->simple.active ? s->simple.count == 1 : sy_sqlite_session_ends_here(s));
}

static enum sy_sqlite_step run_sql(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    if (s->run.conn != NULL)
        return run_steps(s, portal, s->materialising == NULL);
    bool writes = t->writes || t->calls_sequences;
    if (s->writer_wanted && s->batchable)
        return run_in_batch(s, portal);
    if (writes && !s->writes && !s->writer_wanted && can_batch(s, t))
        return run_in_batch(s, portal);
    if (writes && !s->writes) {
        enum sy_sqlite_step step = sy_sqlite_need_writer(s);
        if (step != SY_STEP_DONE)
            return step;
    }
    if (!fits_schema(s, portal))
        return SY_STEP_ERROR;
    s->step_at = 0;
    s->run_count = 0;
    s->run_writes = s->writes;
    return run_steps(s, portal, s->materialising == NULL);
}

/* The statement was undone because a lock is held by somebody else: it waits, and runs again. */
static enum sy_sqlite_step wait_for_lock(struct sy_sqlite_session *s)
{
    sy_sqlite_run_end(s);
    s->lock_needed = false;
    sy_err_init(&s->err);
    if (s->out.bytes < s->statement_mark || s->run_flushed) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "a statement that has returned rows cannot wait for an advisory lock");
        return SY_STEP_ERROR;
    }
    s->out.bytes = s->statement_mark;
    if (s->materialising != NULL) {
        sy_buf_clear(&s->materialising->rows);
        sy_buf_clear(&s->materialising->offsets);
    }
    sy_sqlite_session_limit(s, &s->lock_deadline_us, sy_sqlite_settings_lock_limit_us(s->settings));
    return sy_sqlite_session_wait(s, SY_WAIT_LOCK);
}

static enum sy_sqlite_step run_whole(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    if (s->run.conn == NULL && !s->writer_wanted) {
        s->statement_mark = s->out.bytes;
        s->run_flushed = false;
        if (failed_block(s) || refused(s, t))
            return SY_STEP_ERROR;
        sy_sqlite_env_query(s);
        sy_sqlite_session_limit(s, &s->statement_deadline_us,
                                sy_sqlite_settings_statement_limit_us(s->settings));
    }
    /* Whoever waited for the writer may have been served already: it is asked there. */
    if (!s->writer_wanted && sy_sqlite_session_interrupted(s))
        return SY_STEP_ERROR;
    enum sy_sqlite_step step = run_sql(s, portal);
    return step == SY_STEP_ERROR && s->lock_needed ? wait_for_lock(s) : step;
}

enum sy_sqlite_step sy_sqlite_portal_rows(struct sy_sqlite_session *s,
                                          struct sy_sqlite_portal *portal)
{
    enum sy_sqlite_step step = run_whole(s, portal);
    if (step != SY_STEP_WAIT)
        sy_sqlite_run_end(s);
    return step;
}

enum sy_sqlite_step sy_sqlite_portal_materialise(struct sy_sqlite_session *s,
                                                 struct sy_sqlite_portal *portal)
{
    s->materialising = portal;
    enum sy_sqlite_step step = run_whole(s, portal);
    if (step == SY_STEP_WAIT)
        return step;
    sy_sqlite_run_end(s);
    s->materialising = NULL;
    if (step == SY_STEP_DONE) {
        portal->materialised = true;
        portal->row_count = portal->offsets.bytes / sizeof(uint64_t);
        portal->row_at = 0;
    }
    return step;
}

uint64_t sy_sqlite_portal_put_rows(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                                   uint64_t from, uint64_t to)
{
    const uint64_t *offsets = (const uint64_t *)(const void *)portal->offsets.data;
    if (from >= to)
        return 0;
    uint64_t end = to < portal->row_count ? offsets[to] : portal->rows.bytes;
    sy_buf_append(&s->out, portal->rows.data + offsets[from], end - offsets[from]);
    return to - from;
}

/* A portal that was asked for a part of its rows: the whole is kept, and given piece by piece. */
static enum sy_sqlite_step run_part(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                                    uint32_t row_limit)
{
    if (!portal->materialised) {
        enum sy_sqlite_step step = sy_sqlite_portal_materialise(s, portal);
        if (step != SY_STEP_DONE)
            return step;
    }
    uint64_t left = portal->row_count - portal->row_at;
    uint64_t wanted = row_limit == 0 || row_limit > left ? left : row_limit;
    sy_sqlite_portal_put_rows(s, portal, portal->row_at, portal->row_at + wanted);
    portal->row_at += wanted;
    if (row_limit != 0 && wanted == row_limit) {
        sy_write_simple(&s->out, 's');
        return SY_STEP_DONE;
    }
    portal->done = true;
    complete(s, portal->plan->t, wanted);
    return SY_STEP_DONE;
}

enum sy_sqlite_step sy_sqlite_portal_run(struct sy_sqlite_session *s,
                                         struct sy_sqlite_portal *portal, uint32_t row_limit)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    if (t->kind == SY_STMT_EMPTY) {
        sy_write_empty_query(&s->out);
        return SY_STEP_DONE;
    }
    if (sy_sqlite_is_utility(t->kind))
        return sy_sqlite_utility(s, portal);
    if (portal->done) {
        complete(s, t, 0);
        return SY_STEP_DONE;
    }
    bool is_read = t->returns_rows && !t->writes && !t->calls_sequences;
    if (portal->materialised || s->materialising == portal || (row_limit != 0 && is_read))
        return run_part(s, portal, row_limit);
    enum sy_sqlite_step step = run_whole(s, portal);
    if (step == SY_STEP_WAIT)
        return step;
    sy_sqlite_run_end(s);
    if (step == SY_STEP_DONE) {
        portal->done = true;
        s->tag_mark = s->out.bytes;
        complete(s, portal->plan->t, s->run_count); /* it may be another plan now */
    }
    return step;
}

/* ---- values of expressions ---- */

static bool convert(struct sy_sqlite_session *s, const struct sy_sqtranslation *t,
                    sqlite3_stmt *stmt, const uint32_t *types, struct sy_arena *arena,
                    struct sy_sqvalue *ret_values)
{
    struct sy_buf text = {0};
    bool ok = true;
    for (uint32_t i = 0; ok && i < t->column_count; i++) {
        struct sy_sqvalue value = sy_sqvalue_column(stmt, (int)i);
        ret_values[i] = (struct sy_sqvalue){.kind = SY_SQ_NULL};
        if (value.kind == SY_SQ_NULL)
            continue;
        sy_buf_clear(&text);
        ok = sy_type_encode(t->columns[i].type, 0, &value, &s->sq.types, &text, &s->err) == SY_OK;
        struct sy_slice copy = {
            ok ? sy_arena_strndup(arena, text.data == NULL ? "" : text.data, text.bytes) : NULL,
            text.bytes};
        ok = ok && copy.data != NULL &&
             sy_type_decode(types[i], -1, 0, copy, &s->sq.types, arena, &ret_values[i], &s->err) ==
                 SY_OK;
    }
    sy_buf_release(&text);
    return ok;
}

bool sy_sqlite_evaluate_plan(struct sy_sqlite_session *s, struct sy_sqlite_script *script,
                             const PgQuery__Node *select, const uint32_t *types,
                             struct sy_arena *arena, struct sy_sqvalue *ret_values)
{
    struct sy_sqlite_plan *plan = NULL;
    struct sy_sqlite_portal portal = {0};
    sy_sqlite_env_query(s);
    if (sy_sqlite_plan_make(s, script, select, NULL, 0, &plan, &s->err) != SY_OK)
        return false;
    struct sy_sqlite_conn *conn = NULL;
    bool lent = false;
    portal.plan = plan;
    bool ok = plan->t->step_count == 1 && !plan->t->writes && !plan->t->calls_sequences;
    if (!ok)
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "arguments of EXECUTE must be constants or simple expressions");
    ok = ok && read_conn(s, &conn, &lent, &s->err) == SY_OK;
    if (ok) {
        ok = run_begin(s, conn, lent, 0, &plan->t->steps[0], &portal);
        int rc = ok ? sqlite3_step(s->run.stmt) : SQLITE_ROW;
        if (rc != SQLITE_ROW) {
            sy_sqlite_error(s, conn, rc);
            ok = false;
        }
        ok = ok && convert(s, plan->t, s->run.stmt, types, arena, ret_values);
        sy_sqlite_run_end(s);
    }
    sy_sqlite_plan_unref(&plan);
    return ok;
}
