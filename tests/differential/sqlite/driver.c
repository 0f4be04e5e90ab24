#include "tests/differential/sqlite/driver.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/engine/sqlite/functions.h"
#include "router/engine/sqlite/translate.h"

enum { RELATIONS_MAX = 256 };

struct sequence_state {
    int64_t value;
    bool called, current_known;
    int64_t current;
};

struct driver {
    sqlite3 *db;
    struct sy_sqsession session;
    struct sy_sqsession_slot slot;
    struct sy_sqschema schema;
    struct sy_arena catalog, arena;
    const struct sy_sqrelation *relations[RELATIONS_MAX];
    struct sequence_state sequences[RELATIONS_MAX];
    uint32_t count, next_oid;
    int64_t last_value;
    bool last_known;
    const char *last_sql;
};

/* ---- catalog ---- */

static int find(const struct driver *d, const char *name)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (strcmp(d->relations[i]->name, name) == 0)
            return (int)i;
    return -1;
}

static const struct sy_sqrelation *lookup(void *ctx, const char *schema, const char *name)
{
    struct driver *d = ctx;
    int index = schema == NULL || strcmp(schema, "public") == 0 ? find(d, name) : -1;
    return index < 0 ? NULL : d->relations[index];
}

static const struct sy_sqrelation *index_owner(void *ctx, const char *schema, const char *name)
{
    const struct driver *d = ctx;
    (void)schema;
    for (uint32_t i = 0; i < d->count; i++)
        for (uint32_t k = 0; k < d->relations[i]->index_count; k++)
            if (strcmp(d->relations[i]->indexes[k].name, name) == 0)
                return d->relations[i];
    return NULL;
}

static bool has_schema(void *ctx, const char *schema)
{
    (void)ctx;
    return strcmp(schema, "public") == 0 || strcmp(schema, "pg_catalog") == 0;
}

static const struct sy_sqrelation *at(void *ctx, uint32_t index)
{
    const struct driver *d = ctx;
    return index < d->count ? d->relations[index] : NULL;
}

static bool reg_in(void *ctx, uint32_t type, struct sy_slice name, uint32_t *ret_oid,
                   struct sy_err *err)
{
    const struct driver *d = ctx;
    char copy[128];
    (void)type;
    if (name.bytes > 2 && name.data[0] == '"')
        name = (struct sy_slice){name.data + 1, name.bytes - 2};
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)name.bytes, name.data);
    int index = find(d, copy);
    if (index < 0) {
        (void)sy_err_set(err, SY_E_NOT_FOUND, "relation \"%s\" does not exist", copy);
        sy_err_state(err, "42P01");
        return false;
    }
    *ret_oid = d->relations[index]->oid;
    return true;
}

/* The arena of definitions is never reset: strings of a translation are shared by keeping its arena
 * alive. */
static bool apply(struct driver *d, const struct sy_sqddl *ddl)
{
    int index = ddl->kind == SY_SQDDL_CREATE ? -1 : find(d, ddl->name);
    if (ddl->kind == SY_SQDDL_DROP) {
        for (uint32_t i = (uint32_t)index; i + 1 < d->count; i++) {
            d->relations[i] = d->relations[i + 1];
            d->sequences[i] = d->sequences[i + 1];
        }
        d->count -= index >= 0 ? 1 : 0;
        return true;
    }
    if (ddl->kind == SY_SQDDL_CREATE && d->count == RELATIONS_MAX)
        return false;
    struct sy_sqrelation *copy = sy_arena_alloc(&d->arena, sizeof(*copy));
    if (copy == NULL)
        return false;
    *copy = *ddl->relation;
    if (ddl->kind == SY_SQDDL_CREATE) {
        copy->oid = d->next_oid++;
        index = (int)d->count++;
        d->sequences[index] = (struct sequence_state){0};
        if (copy->sequence != NULL)
            d->sequences[index].value = copy->sequence->start;
    }
    d->relations[index] = copy;
    return true;
}

/* As the runtime does: sequences whose values the steps take are there before them. */
static void apply_all(struct driver *d, const struct sy_sqtranslation *t, bool first)
{
    for (uint32_t i = 0; i < t->ddl_count; i++) {
        bool early = t->calls_sequences && t->ddl[i].kind == SY_SQDDL_CREATE &&
                     t->ddl[i].relation->kind == 'S';
        if (early == first)
            (void)apply(d, &t->ddl[i]);
    }
}

/* ---- sequences ---- */

static int sequence(struct driver *d, struct sy_slice name, struct sy_err *err)
{
    char copy[128];
    (void)snprintf(copy, sizeof(copy), "%.*s", (int)name.bytes, name.data);
    for (uint32_t i = 0; i < d->count; i++)
        if (d->relations[i]->kind == 'S' && (strcmp(d->relations[i]->name, copy) == 0 ||
                                             d->relations[i]->oid == (uint32_t)atol(copy)))
            return (int)i;
    (void)sy_err_set(err, SY_E_NOT_FOUND, "relation \"%s\" does not exist", copy);
    sy_err_state(err, "42P01");
    return -1;
}

static bool next(void *ctx, struct sy_slice name, int64_t *ret_value, struct sy_err *err)
{
    struct driver *d = ctx;
    int index = sequence(d, name, err);
    if (index < 0)
        return false;
    struct sequence_state *s = &d->sequences[index];
    const struct sy_sqsequence *definition = d->relations[index]->sequence;
    int64_t value = s->called ? s->value + definition->increment : s->value;
    if (value > definition->maximum || value < definition->minimum) {
        if (!definition->cycle) {
            (void)sy_err_set(err, SY_E_VALUE,
                             "nextval: reached maximum value of sequence \"%s\" (%lld)",
                             d->relations[index]->name, (long long)definition->maximum);
            sy_err_state(err, "2200H");
            return false;
        }
        value = definition->increment > 0 ? definition->minimum : definition->maximum;
    }
    *s = (struct sequence_state){value, true, true, value};
    d->last_value = value;
    d->last_known = true;
    *ret_value = value;
    return true;
}

static bool current(void *ctx, struct sy_slice name, int64_t *ret_value, struct sy_err *err)
{
    struct driver *d = ctx;
    int index = sequence(d, name, err);
    if (index < 0)
        return false;
    *ret_value = d->sequences[index].current;
    if (d->sequences[index].current_known)
        return true;
    (void)sy_err_set(err, SY_E_STATE,
                     "currval of sequence \"%s\" is not yet defined in this session",
                     d->relations[index]->name);
    return false;
}

static bool last(void *ctx, int64_t *ret_value, struct sy_err *err)
{
    const struct driver *d = ctx;
    *ret_value = d->last_value;
    return d->last_known ||
           (sy_err_set(err, SY_E_STATE, "lastval is not yet defined in this session"), false);
}

static bool set(void *ctx, struct sy_slice name, int64_t value, bool is_called, struct sy_err *err)
{
    struct driver *d = ctx;
    int index = sequence(d, name, err);
    if (index < 0)
        return false;
    d->sequences[index].value = value;
    d->sequences[index].called = is_called;
    if (is_called) {
        d->sequences[index].current = value;
        d->sequences[index].current_known = true;
    }
    return true;
}

/* ---- running ---- */

struct driver *driver_new(void)
{
    struct driver *d = calloc(1, sizeof(*d));
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    if (d == NULL || sqlite3_open(":memory:", &d->db) != SQLITE_OK)
        abort();
    d->next_oid = 16384;
    d->slot.session = &d->session;
    d->session = (struct sy_sqsession){.user = "postgres",
                                       .session_user = "postgres",
                                       .database = "postgres",
                                       .schema = "public",
                                       .backend_pid = 1,
                                       .sequence_next = next,
                                       .sequence_current = current,
                                       .sequence_last = last,
                                       .sequence_set = set,
                                       .ctx = d};
    d->session.types.now_us = d->session.transaction_us = INT64_C(757382400000000); /* 2024-01-01 */
    d->session.types.reg_in = reg_in;
    d->session.types.reg_ctx = d;
    d->schema = (struct sy_sqschema){d, lookup, index_owner, has_schema, at};
    (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(d->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    (void)sqlite3_exec(d->db, "PRAGMA foreign_keys=ON", NULL, NULL, NULL);
    if (sy_sqfunctions_register(d->db, &d->slot, &err) != SY_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return d;
}

void driver_free(struct driver **driver)
{
    (void)sqlite3_close((*driver)->db);
    sy_sqkeep_release(&(*driver)->session);
    sy_arena_release(&(*driver)->arena);
    free(*driver);
    *driver = NULL;
}

const char *driver_last_sql(const struct driver *driver)
{
    return driver->last_sql == NULL ? "" : driver->last_sql;
}

static void put_error(struct sy_buf *out, const struct sy_err *err)
{
    sy_buf_printf(out, "E %s %d %s\n", sy_err_sqlstate(err), err->position, err->text);
}

static void put_value(struct sy_buf *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\\' || text[i] == '|')
            sy_buf_append_str(out, "\\");
        if (text[i] == '\n')
            sy_buf_append_str(out, "\\n");
        else
            sy_buf_append(out, &text[i], 1);
    }
}

static bool put_row(struct driver *d, const struct sy_sqtranslation *t, sqlite3_stmt *stmt,
                    struct sy_buf *out)
{
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    sy_buf_append_str(out, "R ");
    for (uint32_t c = 0; c < t->column_count; c++) {
        struct sy_sqvalue value = sy_sqvalue_column(stmt, (int)c + (t->explain ? 3 : 0));
        struct sy_buf text = {0};
        if (c > 0)
            sy_buf_append_str(out, "|");
        if (value.kind == SY_SQ_NULL) {
            sy_buf_append_str(out, "\\N");
            continue;
        }
        if (sy_type_encode(t->columns[c].type, 0, &value, &d->session.types, &text, &err) !=
            SY_OK) {
            put_error(out, &err);
            sy_buf_release(&text);
            return false;
        }
        put_value(out, text.data, text.bytes);
        sy_buf_release(&text);
    }
    sy_buf_append_str(out, "\n");
    return true;
}

static void sqlite_failure(struct driver *d, struct sy_buf *out)
{
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    const char *message = sqlite3_errmsg(d->db);
    if (d->session.err.status != SY_OK)
        err = d->session.err;
    else if (!sy_sqconstraint_error(&d->schema, message, &err))
        (void)sy_err_set(&err, SY_E_INTERNAL, "SQLite: %s", message);
    err.position = 0;
    put_error(out, &err);
}

/* False: an error was put out. */
static bool run_step(struct driver *d, const struct sy_sqtranslation *t,
                     const struct sy_sqstep *step, int64_t *rows, struct sy_buf *out)
{
    sqlite3_stmt *stmt = NULL;
    memset(&d->session.err, 0, sizeof(d->session.err));
    d->last_sql = step->sql;
    int rc = sqlite3_prepare_v2(d->db, step->sql, -1, &stmt, NULL);
    bool ok = rc == SQLITE_OK;
    if (step->keep > 0)
        sy_sqkeep_clear(&d->session, step->keep);
    while (ok && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        if (step->main && t->returns_rows)
            ok = put_row(d, t, stmt, out);
        if (step->keep > 0)
            ok = sy_sqkeep_row(&d->session, step->keep, stmt);
        *rows += step->main ? 1 : 0;
    }
    if (ok && rc != SQLITE_DONE)
        ok = false;
    if (!ok)
        sqlite_failure(d, out);
    else if (step->main && !t->returns_rows)
        *rows = sqlite3_changes64(d->db);
    (void)sqlite3_finalize(stmt);
    return ok;
}

static void run(struct driver *d, const struct sy_sqtranslation *t, struct sy_buf *out)
{
    struct sy_buf body = {0};
    int64_t rows = 0;
    bool ok = true;
    if (t->returns_rows) {
        sy_buf_append_str(out, "T");
        for (uint32_t c = 0; c < t->column_count; c++)
            sy_buf_printf(out, " %u:%d:%s", t->columns[c].type, t->columns[c].typmod,
                          t->columns[c].name);
        sy_buf_append_str(out, "\n");
    }
    (void)sqlite3_exec(d->db, "SAVEPOINT s", NULL, NULL, NULL);
    apply_all(d, t, true);
    for (uint32_t i = 0; i < t->step_count && ok; i++)
        ok = run_step(d, t, &t->steps[i], &rows, &body);
    if (ok && sqlite3_exec(d->db, "RELEASE s", NULL, NULL, NULL) != SQLITE_OK) {
        ok = false;
        sqlite_failure(d, &body);
    }
    if (!ok) {
        (void)sqlite3_exec(d->db, "ROLLBACK TO s; RELEASE s", NULL, NULL, NULL);
        const char *error =
            body.bytes == 0 ? NULL : strstr((sy_buf_append_u8(&body, 0), body.data), "E ");
        sy_buf_clear(out);
        sy_buf_append_str(out, error == NULL ? "E XX000 0 ?\n" : error);
        sy_buf_release(&body);
        return;
    }
    apply_all(d, t, false);
    for (uint32_t i = 0; i < t->restart_count; i++) {
        int index = find(d, t->restart_sequences[i]);
        if (index >= 0)
            d->sequences[index] =
                (struct sequence_state){.value = d->relations[index]->sequence->start};
    }
    sy_buf_append(out, body.data == NULL ? "" : body.data, body.bytes);
    sy_buf_release(&body);
    if (t->tag_count)
        sy_buf_printf(out, "C %s %lld\n", t->tag, (long long)rows);
    else
        sy_buf_printf(out, "C %s\n", t->tag == NULL ? "" : t->tag);
}

static bool set_statement(struct driver *d, const char *sql, struct sy_buf *out)
{
    char name[64];
    if (sscanf(sql, "SET timezone = '%63[^']'", name) == 1) {
        d->session.types.timezone = sy_timezone_find(sy_slice_of(name));
        sy_buf_append_str(out, "C SET\n");
        return true;
    }
    return false;
}

void driver_run(struct driver *d, const char *sql, struct sy_buf *out)
{
    const struct sy_sqtranslation *t = NULL;
    struct sy_err err;
    memset(&err, 0, sizeof(err));
    d->last_sql = NULL;
    if (set_statement(d, sql, out))
        return;
    struct sy_sqinput input = {.text = sy_slice_of(sql),
                               .schema = &d->schema,
                               .settings = &d->session.types,
                               .user = "postgres",
                               .database = "postgres",
                               .search_schema = "public"};
    if (sy_sqtranslate_text(&input, &d->arena, &t, &err) == SY_OK)
        run(d, t, out);
    else
        put_error(out, &err);
}
