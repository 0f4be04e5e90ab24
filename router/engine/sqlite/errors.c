/* SQLite's result codes in PostgreSQL's words, and errors and notices on their way out. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
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
    char message[SY_ERR_TEXT_BYTES];
    snprintf(message, sizeof(message), "%s", sqlite3_errmsg(conn->db));
    if ((rc & 0xff) == SQLITE_CONSTRAINT && s->catalog != NULL &&
        sy_sqconstraint_error(&s->catalog->schema, message, &s->err))
        return;
    by_code(&s->err, rc, message);
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

/* The words of 23505 name the constraint alone. */
static struct sy_slice table_of(const struct sy_sqlite_session *s, struct sy_slice index)
{
    char name[SY_LIMIT_NAME_BYTES + 1];
    if (s->catalog == NULL || index.data == NULL || index.bytes >= sizeof(name))
        return (struct sy_slice){0};
    memcpy(name, index.data, index.bytes);
    name[index.bytes] = '\0';
    const struct sy_sqschema *schema = &s->catalog->schema;
    const struct sy_sqrelation *r =
        schema->index_owner == NULL ? NULL : schema->index_owner(schema->ctx, NULL, name);
    return r == NULL ? (struct sy_slice){0} : sy_slice_of(r->name);
}

/* Class 23 names table, column and constraint in fields of their own, as PostgreSQL does: taken
 * from its words. */
static void add_names(const struct sy_sqlite_session *s, struct sy_notice_fields *fields)
{
    const struct sy_err *err = &s->err;
    if (strncmp(sy_err_sqlstate(err), "23", 2) != 0)
        return;
    fields->constraint = quoted(err->text, "constraint \"");
    fields->column = quoted(err->text, "column \"");
    fields->table = quoted(err->text, " on table \"");
    if (fields->table.data == NULL)
        fields->table = quoted(err->text, "relation \"");
    if (fields->table.data == NULL)
        fields->table = table_of(s, fields->constraint);
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
    add_names(s, &fields);
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
