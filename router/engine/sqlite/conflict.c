/*
 * Which key a unique violation is about: SQLite names the columns, not the values. The statement is
 * run once more as INSERT OR REPLACE in a savepoint that is rolled back; what it replaced is the
 * row in the way, and a changeset says what was in it. Costs only those who fail.
 */
#include "router/engine/sqlite/conflict.h"

#include <string.h>

/* Positions of the key's columns in the table as SQLite has it (a hidden key comes first). */
struct key {
    const struct sy_sqrelation *relation;
    const int16_t *columns;
    uint32_t count;
};

static bool find_key(const struct sy_sqrelation *r, const char *name, struct key *ret_key)
{
    for (uint32_t i = 0; i < r->constraint_count; i++) {
        const struct sy_sqconstraint *c = &r->constraints[i];
        if (strcmp(c->name, name) == 0 && (c->kind == 'p' || c->kind == 'u')) {
            *ret_key = (struct key){r, c->columns, c->column_count};
            return true;
        }
    }
    for (uint32_t i = 0; i < r->index_count; i++) {
        const struct sy_sqindex *x = &r->indexes[i];
        if (strcmp(x->name, name) == 0 && x->key_columns != NULL) {
            *ret_key = (struct key){r, x->key_columns, x->key_count};
            return true;
        }
    }
    return false;
}

static int sqlite_position(sqlite3 *db, const struct sy_sqrelation *r, const char *column)
{
    sqlite3_stmt *stmt = NULL;
    int position = -1;
    if (sqlite3_prepare_v2(db, "SELECT cid FROM pragma_table_info(?1) WHERE name = ?2", -1, &stmt,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, r->sqlite_name != NULL ? r->sqlite_name : r->name, -1,
                          SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, column, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            position = sqlite3_column_int(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return position;
}

struct sy_sqvalue sy_sqlite_stored_value(sqlite3_value *value)
{
    struct sy_sqvalue v = {.kind = SY_SQ_NULL};
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        v = (struct sy_sqvalue){.kind = SY_SQ_INTEGER, .integer = sqlite3_value_int64(value)};
        break;
    case SQLITE_FLOAT:
        v = (struct sy_sqvalue){.kind = SY_SQ_REAL, .real = sqlite3_value_double(value)};
        break;
    case SQLITE_TEXT:
        v.kind = SY_SQ_TEXT;
        v.bytes.data = (const char *)sqlite3_value_text(value);
        v.bytes.bytes = (size_t)sqlite3_value_bytes(value);
        break;
    case SQLITE_BLOB:
        v.kind = SY_SQ_BLOB;
        v.bytes.data = sqlite3_value_blob(value);
        v.bytes.bytes = (size_t)sqlite3_value_bytes(value);
        break;
    default:
        break;
    }
    return v;
}

static bool put_value(struct sy_sqlite_session *s, sqlite3 *db, const struct key *key, uint32_t i,
                      sqlite3_changeset_iter *change, struct sy_buf *out)
{
    if (key->columns[i] < 0)
        return false;
    const struct sy_sqcolumn *column = &key->relation->columns[key->columns[i]];
    int position = sqlite_position(db, key->relation, column->name);
    sqlite3_value *old = NULL;
    struct sy_err ignored = {0};
    if (position < 0 || sqlite3changeset_old(change, position, &old) != SQLITE_OK || old == NULL)
        return false;
    struct sy_sqvalue value = sy_sqlite_stored_value(old);
    if (value.kind == SY_SQ_NULL)
        return false;
    return sy_type_encode(column->type, 0, &value, &s->sq.types, out, &ignored) == SY_OK;
}

/* "(a, b)=(1, x)" of the first row that was replaced. */
static bool describe(struct sy_sqlite_session *s, sqlite3 *db, const struct key *key, int bytes,
                     void *changeset)
{
    sqlite3_changeset_iter *change = NULL;
    bool found = false;
    if (sqlite3changeset_start(&change, bytes, changeset) != SQLITE_OK)
        return false;
    const char *wanted =
        key->relation->sqlite_name != NULL ? key->relation->sqlite_name : key->relation->name;
    while (!found && sqlite3changeset_next(change) == SQLITE_ROW) {
        const char *table = NULL;
        int columns = 0, operation = 0, indirect = 0;
        sqlite3changeset_op(change, &table, &columns, &operation, &indirect);
        if (operation == SQLITE_INSERT || strcmp(table, wanted) != 0)
            continue;
        struct sy_buf names = {0}, values = {0};
        found = true;
        for (uint32_t i = 0; found && i < key->count; i++) {
            sy_buf_append_str(&names, i == 0 ? "" : ", ");
            sy_buf_append_str(&values, i == 0 ? "" : ", ");
            if (key->columns[i] >= 0)
                sy_sqlite_put_identifier(&names, key->relation->columns[key->columns[i]].name);
            found = put_value(s, db, key, i, change, &values);
        }
        if (found && !names.failed && !values.failed)
            sy_err_detail(&s->err, "Key (%.*s)=(%.*s) already exists.", (int)names.bytes,
                          names.data, (int)values.bytes, values.data);
        sy_buf_release(&names);
        sy_buf_release(&values);
    }
    sqlite3changeset_finalize(change);
    return found;
}

static void run_again(sqlite3 *db, const char *sql, const struct sy_sqlite_portal *portal)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    int count = rc == SQLITE_OK ? sqlite3_bind_parameter_count(stmt) : 0;
    for (int i = 0; rc == SQLITE_OK && i < count; i++) {
        if ((uint32_t)i < portal->plan->t->parameter_count)
            rc = sy_sqvalue_bind(stmt, i + 1, &portal->parameters[i]);
    }
    while (rc == SQLITE_OK || rc == SQLITE_ROW)
        rc = sqlite3_step(stmt);
    sqlite3_finalize(stmt);
}

static void run_replacing(sqlite3 *db, const char *sql, const struct sy_sqlite_portal *portal)
{
    static const char plain[] = "INSERT INTO ";
    struct sy_buf replacing = {0};
    sy_buf_append_str(&replacing, "INSERT OR REPLACE INTO ");
    sy_buf_append_str(&replacing, sql + sizeof(plain) - 1);
    sy_buf_append_u8(&replacing, 0);
    if (!replacing.failed)
        run_again(db, replacing.data, portal);
    sy_buf_release(&replacing);
}

bool sy_sqlite_rerun_begin(struct sy_sqlite_rerun *rerun, struct sy_sqlite_session *s,
                           struct sy_sqlite_conn *conn)
{
    *rerun = (struct sy_sqlite_rerun){.session = s, .conn = conn, .err = s->err};
    if (sy_sqlite_conn_exec(conn, "SAVEPOINT sy_detail") != SQLITE_OK)
        return false;
    if (sqlite3session_create(conn->db, "main", &rerun->recorder) == SQLITE_OK &&
        sqlite3session_attach(rerun->recorder, NULL) == SQLITE_OK)
        return true;
    sy_sqlite_rerun_end(rerun);
    return false;
}

bool sy_sqlite_rerun_read(struct sy_sqlite_rerun *rerun)
{
    rerun->session->err = rerun->err;
    return sqlite3session_changeset(rerun->recorder, &rerun->bytes, &rerun->changeset) == SQLITE_OK;
}

void sy_sqlite_rerun_end(struct sy_sqlite_rerun *rerun)
{
    sqlite3_free(rerun->changeset);
    if (rerun->recorder != NULL)
        sqlite3session_delete(rerun->recorder);
    rerun->session->sq.err = (struct sy_err){0};
    sy_sqlite_conn_exec_quietly(rerun->conn, "ROLLBACK TO sy_detail");
    sy_sqlite_conn_exec_quietly(rerun->conn, "RELEASE sy_detail");
}

void sy_sqlite_conflict_detail(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn,
                               const struct sy_sqlite_portal *portal, const char *sql)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    const char *quote = strchr(s->err.text, '"');
    char name[SY_LIMIT_NAME_BYTES + 1] = "";
    struct key key = {0};
    if (strcmp(sy_err_sqlstate(&s->err), "23505") != 0 || quote == NULL ||
        t->kind != SY_STMT_INSERT || strncmp(sql, "INSERT INTO ", 12) != 0 ||
        sqlite3_get_autocommit(conn->db) != 0)
        return;
    strncat(name, quote + 1, strcspn(quote + 1, "\"") > 63 ? 63 : strcspn(quote + 1, "\""));
    const struct sy_sqrelation *r =
        sy_sqlite_catalog_find(s->catalog, NULL, t->relation_count > 0 ? t->relations[0] : "");
    struct sy_sqlite_rerun rerun;
    if (r == NULL || !find_key(r, name, &key) || !sy_sqlite_rerun_begin(&rerun, s, conn))
        return;
    run_replacing(conn->db, sql, portal);
    if (sy_sqlite_rerun_read(&rerun))
        describe(s, conn->db, &key, rerun.bytes, rerun.changeset);
    sy_sqlite_rerun_end(&rerun);
}
