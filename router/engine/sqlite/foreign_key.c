/*
 * Which foreign key is violated, and by which value: SQLite says only that one is. A statement that
 * was undone runs once more with its checks put off, in a savepoint that is rolled back; a
 * changeset says which rows it touched, and each is looked up. Costs only those who fail.
 */
#include "router/engine/sqlite/conflict.h"

#include <stdio.h>
#include <string.h>

enum { CHECKS_MAX = 64, KEY_COLUMNS_MAX = 32 };

/* One key to look up for the rows of the table at hand. */
struct check {
    const struct sy_sqrelation *child, *parent;
    const struct sy_sqconstraint *constraint;
    bool as_parent; /* the table at hand is the one that is referred to */
    sqlite3_stmt *stmt;
    int positions[KEY_COLUMNS_MAX]; /* in the table at hand, as SQLite counts its columns */
};

/* The table whose changes are being read. */
struct table {
    sqlite3 *db;
    char name[SY_LIMIT_NAME_BYTES * 2 + 1];
    struct check checks[CHECKS_MAX];
    uint32_t count;
};

static const char *sqlite_name(const struct sy_sqrelation *r)
{
    return r->sqlite_name != NULL ? r->sqlite_name : r->name;
}

static const struct sy_sqrelation *by_sqlite_name(struct sy_sqlite_session *s, const char *name)
{
    for (uint32_t i = 0; i < s->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &s->catalog->relations[i];
        if (r->kind == 'r' && strcmp(sqlite_name(r), name) == 0)
            return r;
    }
    return NULL;
}

static const struct sy_sqrelation *by_name(struct sy_sqlite_session *s, const char *name)
{
    return sy_sqlite_catalog_find(s->catalog, NULL, name);
}

/* ---- words ---- */

static const char *child_column(const struct check *check, uint32_t i)
{
    return check->child->columns[check->constraint->columns[i]].name;
}

static const struct sy_sqcolumn *column_of(const struct check *check, uint32_t i)
{
    if (!check->as_parent)
        return &check->child->columns[check->constraint->columns[i]];
    for (uint32_t k = 0; k < check->parent->column_count; k++) {
        if (strcmp(check->parent->columns[k].name, check->constraint->ref_columns[i]) == 0)
            return &check->parent->columns[k];
    }
    return NULL;
}

static void say(struct sy_sqlite_session *s, const struct check *check)
{
    if (check->as_parent)
        sy_err_set(&s->err, SY_E_STATE,
                   "update or delete on table \"%s\" violates foreign key constraint \"%s\" on "
                   "table \"%s\"",
                   check->parent->name, check->constraint->name, check->child->name);
    else
        sy_err_set(&s->err, SY_E_STATE,
                   "insert or update on table \"%s\" violates foreign key constraint \"%s\"",
                   check->child->name, check->constraint->name);
    sy_err_state(&s->err, "23503");
}

static void say_key(struct sy_sqlite_session *s, const struct check *check,
                    sqlite3_value *const *key)
{
    struct sy_buf names = {0}, values = {0};
    struct sy_err ignored = {0};
    bool ok = true;
    say(s, check);
    for (uint32_t i = 0; ok && i < check->constraint->column_count; i++) {
        const struct sy_sqcolumn *column = column_of(check, i);
        struct sy_sqvalue value = sy_sqlite_stored_value(key[i]);
        sy_buf_append_str(&names, i == 0 ? "" : ", ");
        sy_buf_append_str(&values, i == 0 ? "" : ", ");
        ok = column != NULL && value.kind != SY_SQ_NULL &&
             sy_type_encode(column->type, 0, &value, &s->sq.types, &values, &ignored) == SY_OK;
        if (ok)
            sy_sqlite_put_identifier(&names, column->name);
    }
    if (ok && !names.failed && !values.failed)
        sy_err_detail(&s->err,
                      check->as_parent ? "Key (%.*s)=(%.*s) is still referenced from table \"%s\"."
                                       : "Key (%.*s)=(%.*s) is not present in table \"%s\".",
                      (int)names.bytes, names.data, (int)values.bytes, values.data,
                      check->as_parent ? check->child->name : check->parent->name);
    sy_buf_release(&names);
    sy_buf_release(&values);
}

/* ---- lookups ---- */

static void put_quoted(struct sy_buf *buf, const char *name)
{
    sy_buf_append_u8(buf, '"');
    for (; *name != '\0'; name++) {
        sy_buf_append_u8(buf, (uint8_t)*name);
        if (*name == '"')
            sy_buf_append_u8(buf, '"');
    }
    sy_buf_append_u8(buf, '"');
}

static void put_exists(struct sy_buf *buf, const struct check *check, bool in_child)
{
    sy_buf_append_str(buf, "EXISTS (SELECT 1 FROM ");
    put_quoted(buf, sqlite_name(in_child ? check->child : check->parent));
    for (uint32_t i = 0; i < check->constraint->column_count; i++) {
        sy_buf_append_str(buf, i == 0 ? " WHERE " : " AND ");
        put_quoted(buf, in_child ? child_column(check, i) : check->constraint->ref_columns[i]);
        sy_buf_printf(buf, " = ?%u", i + 1);
    }
    sy_buf_append_str(buf, ")");
}

static int position_of(sqlite3 *db, const char *table, const char *column)
{
    sqlite3_stmt *stmt = NULL;
    int position = -1;
    if (sqlite3_prepare_v2(db, "SELECT cid FROM pragma_table_xinfo(?1) WHERE name = ?2", -1, &stmt,
                           NULL) == SQLITE_OK) {
        sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, column, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            position = sqlite3_column_int(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return position;
}

static bool add_check(struct table *table, struct check check)
{
    struct sy_buf sql = {0};
    bool ok = table->count < CHECKS_MAX && check.constraint->column_count <= KEY_COLUMNS_MAX;
    for (uint32_t i = 0; ok && i < check.constraint->column_count; i++) {
        const char *name =
            check.as_parent ? check.constraint->ref_columns[i] : child_column(&check, i);
        check.positions[i] = position_of(table->db, table->name, name);
        ok = check.positions[i] >= 0;
    }
    if (!ok)
        return false;
    sy_buf_append_str(&sql, "SELECT 1 WHERE ");
    if (check.as_parent) {
        put_exists(&sql, &check, true);
        sy_buf_append_str(&sql, " AND ");
    }
    sy_buf_append_str(&sql, "NOT ");
    put_exists(&sql, &check, false);
    ok = !sql.failed &&
         sqlite3_prepare_v2(table->db, sql.data, (int)sql.bytes, &check.stmt, NULL) == SQLITE_OK;
    sy_buf_release(&sql);
    if (ok)
        table->checks[table->count++] = check;
    return ok;
}

static void leave_table(struct table *table)
{
    for (uint32_t i = 0; i < table->count; i++)
        sqlite3_finalize(table->checks[i].stmt);
    table->count = 0;
}

/* The keys of a table, and those that refer to it. */
static void enter_table(struct sy_sqlite_session *s, struct table *table, const char *name)
{
    leave_table(table);
    snprintf(table->name, sizeof(table->name), "%s", name);
    const struct sy_sqrelation *r = by_sqlite_name(s, name);
    for (uint32_t k = 0; r != NULL && k < s->catalog->relation_count; k++) {
        const struct sy_sqrelation *child = &s->catalog->relations[k];
        for (uint32_t i = 0; i < child->constraint_count; i++) {
            const struct sy_sqconstraint *c = &child->constraints[i];
            if (c->kind != 'f' || c->ref_columns == NULL)
                continue;
            if (child == r)
                add_check(table, (struct check){.child = r,
                                                .parent = by_name(s, c->ref_table),
                                                .constraint = c});
            if (strcmp(c->ref_table, r->name) == 0)
                add_check(table,
                          (struct check){
                              .child = child, .parent = r, .constraint = c, .as_parent = true});
        }
    }
}

/* False: no such row, or its key did not change. */
static bool read_key(const struct check *check, sqlite3_changeset_iter *change, int operation,
                     sqlite3_value **ret_key)
{
    bool changed = operation != SQLITE_UPDATE;
    if (operation == (check->as_parent ? SQLITE_INSERT : SQLITE_DELETE))
        return false;
    for (uint32_t i = 0; i < check->constraint->column_count; i++) {
        sqlite3_value *now = NULL, *before = NULL;
        if (operation != SQLITE_DELETE)
            (void)sqlite3changeset_new(change, check->positions[i], &now);
        if (operation != SQLITE_INSERT)
            (void)sqlite3changeset_old(change, check->positions[i], &before);
        changed = changed || now != NULL;
        ret_key[i] = check->as_parent ? before : now != NULL ? now : before;
        if (ret_key[i] == NULL || sqlite3_value_type(ret_key[i]) == SQLITE_NULL)
            return false;
    }
    return changed;
}

static bool violated(struct sy_sqlite_session *s, struct table *table,
                     sqlite3_changeset_iter *change, int operation)
{
    for (uint32_t i = 0; i < table->count; i++) {
        struct check *check = &table->checks[i];
        sqlite3_value *key[KEY_COLUMNS_MAX];
        if (!read_key(check, change, operation, key))
            continue;
        for (uint32_t k = 0; k < check->constraint->column_count; k++)
            (void)sqlite3_bind_value(check->stmt, (int)k + 1, key[k]);
        bool alone = sqlite3_step(check->stmt) == SQLITE_ROW;
        sqlite3_reset(check->stmt);
        if (alone) {
            say_key(s, check, key);
            return true;
        }
    }
    return false;
}

static bool find_in_changes(struct sy_sqlite_session *s, sqlite3 *db, int bytes, void *changeset)
{
    sqlite3_changeset_iter *change = NULL;
    struct table table = {.db = db};
    bool found = false;
    if (sqlite3changeset_start(&change, bytes, changeset) != SQLITE_OK)
        return false;
    while (!found && sqlite3changeset_next(change) == SQLITE_ROW) {
        const char *name = NULL;
        int columns = 0, operation = 0, indirect = 0;
        sqlite3changeset_op(change, &name, &columns, &operation, &indirect);
        if (strcmp(name, table.name) != 0)
            enter_table(s, &table, name);
        found = violated(s, &table, change, operation);
    }
    leave_table(&table);
    sqlite3changeset_finalize(change);
    return found;
}

void sy_sqlite_foreign_key_detail(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn,
                                  sqlite3_stmt *stmt)
{
    struct sy_sqlite_rerun rerun;
    if (strcmp(sy_err_sqlstate(&s->err), "23503") != 0 || sqlite3_get_autocommit(conn->db) != 0 ||
        !sy_sqlite_rerun_begin(&rerun, s, conn))
        return;
    if (sy_sqlite_conn_exec(conn, "PRAGMA defer_foreign_keys=ON") == SQLITE_OK) {
        while (sqlite3_step(stmt) == SQLITE_ROW)
            continue;
        sqlite3_reset(stmt);
        if (sy_sqlite_rerun_read(&rerun))
            find_in_changes(s, conn->db, rerun.bytes, rerun.changeset);
    }
    sy_sqlite_rerun_end(&rerun);
    sy_sqlite_conn_exec_quietly(conn, "PRAGMA defer_foreign_keys=OFF");
}

/* ---- checks at the end of a transaction: SQLite can list the rows that are alone ---- */

/* PRAGMA foreign_key_list numbers the keys from the last one declared backwards. */
static const struct sy_sqconstraint *numbered_key(const struct sy_sqrelation *r, int64_t index)
{
    for (uint32_t i = r->constraint_count; i-- > 0;) {
        if (r->constraints[i].kind == 'f' && index-- == 0)
            return &r->constraints[i];
    }
    return NULL;
}

static void read_row(struct sy_sqlite_session *s, sqlite3 *db, const struct check *check,
                     sqlite3_int64 row)
{
    struct sy_buf sql = {0};
    sqlite3_stmt *stmt = NULL;
    sqlite3_value *key[KEY_COLUMNS_MAX];
    uint32_t count = check->constraint->column_count;
    if (count > KEY_COLUMNS_MAX)
        return;
    for (uint32_t i = 0; i < count; i++) {
        sy_buf_append_str(&sql, i == 0 ? "SELECT " : ", ");
        put_quoted(&sql, child_column(check, i));
    }
    sy_buf_append_str(&sql, " FROM ");
    put_quoted(&sql, sqlite_name(check->child));
    sy_buf_append_str(&sql, " WHERE rowid = ?1");
    if (!sql.failed && sqlite3_prepare_v2(db, sql.data, (int)sql.bytes, &stmt, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(stmt, 1, row) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        for (uint32_t i = 0; i < count; i++)
            key[i] = sqlite3_column_value(stmt, (int)i);
        say_key(s, check, key);
    }
    sqlite3_finalize(stmt);
    sy_buf_release(&sql);
}

void sy_sqlite_deferred_violation(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn)
{
    sqlite3_stmt *stmt = NULL;
    sy_err_set(&s->err, SY_E_STATE, "a foreign key constraint is violated");
    sy_err_state(&s->err, "23503");
    if (sqlite3_get_autocommit(conn->db) == 0 &&
        sqlite3_prepare_v2(conn->db, "PRAGMA foreign_key_check", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW) {
        const struct sy_sqrelation *r =
            by_sqlite_name(s, (const char *)sqlite3_column_text(stmt, 0));
        struct check check = {.child = r};
        check.constraint = r == NULL ? NULL : numbered_key(r, sqlite3_column_int64(stmt, 3));
        check.parent = check.constraint == NULL ? NULL : by_name(s, check.constraint->ref_table);
        if (check.parent != NULL) {
            say(s, &check);
            if (sqlite3_column_type(stmt, 1) == SQLITE_INTEGER)
                read_row(s, conn->db, &check, sqlite3_column_int64(stmt, 1));
        }
    }
    sqlite3_finalize(stmt);
}
