/* SQLite's result codes in PostgreSQL's words, and errors and notices on their way out. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "router/engine/sqlite/session.h"

static const struct {
    int code; /* primary or extended result code */
    const char *sqlstate;
    const char *text; /* NULL: SQLite's own */
} codes[] = {
    {SQLITE_BUSY_SNAPSHOT, "40001", "could not serialize access due to concurrent update"},
    {SQLITE_BUSY, "40001", "could not serialize access: the shard is busy"},
    {SQLITE_LOCKED, "40001", "could not serialize access: a table is locked"},
    {SQLITE_FULL, "53100", "could not extend the shard's file: no space left on device"},
    {SQLITE_NOMEM, "53200", "out of memory"},
    {SQLITE_INTERRUPT, "57014", "canceling statement due to user request"},
    {SQLITE_READONLY, "25006", "cannot write in a read-only transaction"},
    {SQLITE_TOOBIG, "54000", "a value or a statement is too long"},
    {SQLITE_CORRUPT, "XX001", "the shard's file is damaged"},
    {SQLITE_NOTADB, "XX001", "the shard's file is not a database"},
    {SQLITE_IOERR, "58030", "input/output error on the shard's file"},
    {SQLITE_CANTOPEN, "58030", "cannot open the shard's file"},
    {SQLITE_CONSTRAINT_FOREIGNKEY, "23503", "a foreign key constraint is violated"},
    {SQLITE_CONSTRAINT_DATATYPE, "42804", NULL},
    {SQLITE_MISMATCH, "42804", "a value does not fit its column's type"},
    {SQLITE_RANGE, "08P01", "a parameter is missing"},
};

static void by_code(struct sy_err *err, int rc, const char *message)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code != rc && codes[i].code != (rc & 0xff))
            continue;
        sy_err_set(err, SY_E_IO, "%s", codes[i].text != NULL ? codes[i].text : message);
        sy_err_state(err, codes[i].sqlstate);
        if (codes[i].text != NULL)
            sy_err_detail(err, "%s", message);
        return;
    }
    sy_err_set(err, SY_E_INTERNAL, "%s", message);
    sy_err_hint(err, "The embedded engine did not expect this; please report the statement.");
}

void sy_sqlite_error(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn, int rc)
{
    /* A function that failed has said why itself. */
    if (s->sq.err.status != SY_OK) {
        s->err = s->sq.err;
        s->sq.err = (struct sy_err){0};
        return;
    }
    if ((rc & 0xff) == SQLITE_INTERRUPT && sy_sqlite_session_interrupted(s))
        return;
    if (rc == SQLITE_CONSTRAINT_FOREIGNKEY) {
        sy_sqlite_deferred_violation(s, conn);
        return;
    }
    char message[SY_ERR_TEXT_BYTES];
    snprintf(message, sizeof(message), "%s", sqlite3_errmsg(conn->db));
    if ((rc & 0xff) == SQLITE_CONSTRAINT && s->catalog != NULL &&
        sy_sqconstraint_error(&s->catalog->schema, message, &s->err))
        return;
    by_code(&s->err, rc, message);
}

/* ---- foreign keys: SQLite says that one is violated, not which ---- */

static const struct sy_sqconstraint *find_foreign_key(const struct sy_sqrelation *r,
                                                      const char *parent, int64_t index)
{
    /* PRAGMA foreign_key_list numbers the keys from the last one declared backwards. */
    int64_t seen = 0;
    for (uint32_t i = r->constraint_count; i-- > 0;) {
        if (r->constraints[i].kind != 'f')
            continue;
        if (seen++ == index && strcmp(r->constraints[i].ref_table, parent) == 0)
            return &r->constraints[i];
    }
    for (uint32_t i = 0; i < r->constraint_count; i++) {
        if (r->constraints[i].kind == 'f' && strcmp(r->constraints[i].ref_table, parent) == 0)
            return &r->constraints[i];
    }
    return NULL;
}

static const struct sy_sqrelation *by_sqlite_name(struct sy_sqlite_session *s, const char *name)
{
    for (uint32_t i = 0; i < s->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &s->catalog->relations[i];
        if (r->kind == 'r' && strcmp(r->sqlite_name != NULL ? r->sqlite_name : r->name, name) == 0)
            return r;
    }
    return NULL;
}

static bool name_violation(struct sy_sqlite_session *s, const char *child, const char *parent,
                           int64_t index)
{
    const struct sy_sqrelation *r = by_sqlite_name(s, child);
    const struct sy_sqconstraint *c = r == NULL ? NULL : find_foreign_key(r, parent, index);
    if (c == NULL)
        return false;
    sy_err_set(&s->err, SY_E_STATE,
               "insert or update on table \"%s\" violates foreign key constraint \"%s\"", r->name,
               c->name);
    sy_err_state(&s->err, "23503");
    return true;
}

/* Inside the transaction that violates it the check says which rows are alone. */
static bool find_violation(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn)
{
    sqlite3_stmt *stmt = NULL;
    bool found = false;
    if (sqlite3_get_autocommit(conn->db) == 0 &&
        sqlite3_prepare_v2(conn->db, "PRAGMA foreign_key_check", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        found = name_violation(s, (const char *)sqlite3_column_text(stmt, 0),
                               (const char *)sqlite3_column_text(stmt, 2),
                               sqlite3_column_int64(stmt, 3));
    sqlite3_finalize(stmt);
    return found;
}

/* A statement that was undone leaves no trace to check: the tables that it names have to do. */
static bool guess_violation(struct sy_sqlite_session *s)
{
    const struct sy_sqlite_portal *portal = s->batch_portal != NULL       ? s->batch_portal
                                            : s->executing.portal != NULL ? s->executing.portal
                                                                          : &s->simple.portal;
    if (portal->plan == NULL || portal->plan->t->relation_count == 0)
        return false;
    const struct sy_sqtranslation *t = portal->plan->t;
    const struct sy_sqrelation *target = sy_sqlite_catalog_find(s->catalog, NULL, t->relations[0]);
    if (target == NULL)
        return false;
    bool deletes = t->kind == SY_STMT_DELETE || t->kind == SY_STMT_TRUNCATE;
    const struct sy_sqconstraint *own = NULL;
    for (uint32_t i = 0; i < target->constraint_count && own == NULL; i++)
        own = target->constraints[i].kind == 'f' ? &target->constraints[i] : NULL;
    if (!deletes && own != NULL) {
        sy_err_set(&s->err, SY_E_STATE,
                   "insert or update on table \"%s\" violates foreign key constraint \"%s\"",
                   target->name, own->name);
        sy_err_state(&s->err, "23503");
        return true;
    }
    for (uint32_t r = 0; r < s->catalog->relation_count; r++) {
        const struct sy_sqrelation *child = &s->catalog->relations[r];
        for (uint32_t i = 0; i < child->constraint_count; i++) {
            const struct sy_sqconstraint *c = &child->constraints[i];
            if (c->kind != 'f' || strcmp(c->ref_table, target->name) != 0)
                continue;
            sy_err_set(&s->err, SY_E_STATE,
                       "update or delete on table \"%s\" violates foreign key constraint \"%s\" on "
                       "table \"%s\"",
                       target->name, c->name, child->name);
            sy_err_state(&s->err, "23503");
            return true;
        }
    }
    return false;
}

void sy_sqlite_deferred_violation(struct sy_sqlite_session *s, struct sy_sqlite_conn *conn)
{
    if (find_violation(s, conn) || guess_violation(s))
        return;
    sy_err_set(&s->err, SY_E_STATE, "a foreign key constraint is violated");
    sy_err_state(&s->err, "23503");
}

/* ---- on the wire ---- */

static struct sy_slice quoted(const char *text, const char *before)
{
    const char *at = strstr(text, before);
    if (at == NULL)
        return (struct sy_slice){0};
    at += strlen(before);
    const char *end = strchr(at, '"');
    return end == NULL ? (struct sy_slice){0} : (struct sy_slice){at, (size_t)(end - at)};
}

/* Class 23 names table, column and constraint in fields of their own, as PostgreSQL does: taken
 * from its words. */
static void add_names(const struct sy_err *err, struct sy_notice_fields *fields)
{
    if (strncmp(sy_err_sqlstate(err), "23", 2) != 0)
        return;
    fields->constraint = quoted(err->text, "constraint \"");
    fields->column = quoted(err->text, "column \"");
    fields->table = quoted(err->text, " on table \"");
    if (fields->table.data == NULL)
        fields->table = quoted(err->text, "relation \"");
    if (fields->constraint.data != NULL || fields->column.data != NULL)
        fields->schema = SY_SLICE("public");
}

static struct sy_slice optional(const char *text)
{
    return text[0] == '\0' ? (struct sy_slice){0} : sy_slice_of(text);
}

void sy_sqlite_write_error(struct sy_sqlite_session *s, const char *severity)
{
    char position[16];
    snprintf(position, sizeof(position), "%d", s->err.position);
    struct sy_notice_fields fields = {
        .severity = sy_slice_of(severity),
        .severity_nonlocalized = sy_slice_of(severity),
        .sqlstate = sy_slice_of(sy_err_sqlstate(&s->err)),
        .message = sy_slice_of(s->err.text),
        .detail = optional(s->err.detail),
        .hint = optional(s->err.hint),
        .position = s->err.position > 0 ? sy_slice_of(position) : (struct sy_slice){0},
    };
    fields.where = optional(s->err_context);
    add_names(&s->err, &fields);
    sy_write_notice_fields(&s->out, 'E', &fields);
    s->err_context[0] = '\0';
}

void sy_sqlite_notice(struct sy_sqlite_session *s, const char *severity, const char *sqlstate,
                      const char *format, ...)
{
    char text[SY_ERR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (!sy_sqlite_wants_notice(s, severity))
        return;
    struct sy_notice_fields fields = {
        .severity = sy_slice_of(severity),
        .severity_nonlocalized = sy_slice_of(severity),
        .sqlstate = sy_slice_of(sqlstate),
        .message = sy_slice_of(text),
    };
    sy_write_notice_fields(&s->out, 'N', &fields);
}
