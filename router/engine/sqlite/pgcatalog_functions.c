/* PostgreSQL's catalog functions, as SQL functions of SQLite named "sy_" + name
 * (translate_catalog.h has the list). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "router/engine/sqlite/locks.h"
#include "router/engine/sqlite/notify.h"
#include "router/engine/sqlite/pgcatalog.h"
#include "router/engine/sqlite/settings.h"

enum { UTF8 = 6 };

struct call {
    sqlite3_context *context;
    int argc;
    sqlite3_value **argv;
    struct sy_sqlite_session *s;
};

static void fail(const struct call *c, const char *text)
{
    (void)sy_err_set(&c->s->sq.err, SY_E_VALUE, "%s", text);
    sqlite3_result_error(c->context, text, -1);
}

static const char *text_arg(const struct call *c, int i)
{
    return i < c->argc ? (const char *)sqlite3_value_text(c->argv[i]) : NULL;
}

static int64_t int_arg(const struct call *c, int i)
{
    return i < c->argc ? sqlite3_value_int64(c->argv[i]) : 0;
}

static void give_text(const struct call *c, const char *text)
{
    if (text == NULL)
        sqlite3_result_null(c->context);
    else
        sqlite3_result_text(c->context, text, -1, SQLITE_TRANSIENT);
}

static void give_buf(const struct call *c, struct sy_buf *buf)
{
    if (buf->failed)
        sqlite3_result_error_nomem(c->context);
    else
        sqlite3_result_text(c->context, buf->bytes == 0 ? "" : buf->data, (int)buf->bytes,
                            SQLITE_TRANSIENT);
    sy_buf_release(buf);
}

static void give_int(const struct call *c, int64_t value)
{
    sqlite3_result_int64(c->context, value);
}

/* ---- definitions ---- */

static void put_key(const struct sy_sqlite_object *o, uint32_t i, struct sy_buf *out)
{
    const struct sy_sqindex *x = o->index;
    bool expression = x->key_columns == NULL || x->key_columns[i] < 0;
    bool call = expression && strchr(x->keys[i], '(') != NULL && x->keys[i][0] != '(';
    if (expression && !call)
        sy_buf_printf(out, "(%s)", x->keys[i]);
    else if (!expression)
        sy_sqlite_put_identifier(out, o->relation->columns[x->key_columns[i]].name);
    else
        sy_buf_append_str(out, x->keys[i]);
}

static void put_key_options(const struct sy_sqlite_object *o, uint32_t i, struct sy_buf *out)
{
    unsigned options = o->index->key_options == NULL ? 0 : o->index->key_options[i];
    bool desc = (options & 1) != 0, nulls_first = (options & 2) != 0;
    if (desc)
        sy_buf_append_str(out, " DESC");
    if (desc && !nulls_first)
        sy_buf_append_str(out, " NULLS LAST");
    if (!desc && nulls_first)
        sy_buf_append_str(out, " NULLS FIRST");
}

void sy_sqlite_indexdef(const struct sy_sqlite_object *object, bool pretty, struct sy_buf *out)
{
    const struct sy_sqindex *x = object->index;
    sy_buf_append_str(out, x->unique ? "CREATE UNIQUE INDEX " : "CREATE INDEX ");
    sy_sqlite_put_identifier(out, x->name);
    sy_buf_printf(out, " ON %s.", object->relation->schema);
    sy_sqlite_put_identifier(out, object->relation->name);
    sy_buf_printf(out, " USING %s (", x->method == NULL ? "btree" : x->method);
    for (uint32_t i = 0; i < x->key_count; i++) {
        if (i > 0)
            sy_buf_append_str(out, ", ");
        put_key(object, i, out);
        put_key_options(object, i, out);
    }
    sy_buf_append_str(out, ")");
    if (x->predicate != NULL)
        sy_buf_printf(out, pretty ? " WHERE %s" : " WHERE (%s)", x->predicate);
}

static void put_names(const struct sy_sqrelation *r, const int16_t *columns,
                      const char *const *names, uint32_t count, struct sy_buf *out)
{
    sy_buf_append_str(out, "(");
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            sy_buf_append_str(out, ", ");
        sy_sqlite_put_identifier(out, names != NULL ? names[i] : r->columns[columns[i]].name);
    }
    sy_buf_append_str(out, ")");
}

static const char *action_name(char action)
{
    return action == 'c'   ? "CASCADE"
           : action == 'n' ? "SET NULL"
           : action == 'd' ? "SET DEFAULT"
           : action == 'r' ? "RESTRICT"
                           : NULL;
}

static void constraintdef(struct sy_sqlite_session *session, const struct sy_sqlite_object *object,
                          bool pretty, struct sy_buf *out)
{
    const struct sy_sqconstraint *c = object->constraint;
    switch (c->kind) {
    case 'p':
    case 'u':
        sy_buf_append_str(out, c->kind == 'p' ? "PRIMARY KEY " : "UNIQUE ");
        put_names(object->relation, c->columns, NULL, c->column_count, out);
        break;
    case 'f':
        sy_buf_append_str(out, "FOREIGN KEY ");
        put_names(object->relation, c->columns, NULL, c->column_count, out);
        sy_buf_append_str(out, sy_sqlite_public_is_searched(session) ? " REFERENCES "
                                                                     : " REFERENCES public.");
        sy_sqlite_put_identifier(out, c->ref_table);
        if (c->ref_columns != NULL)
            put_names(NULL, NULL, c->ref_columns, c->column_count, out);
        if (action_name(c->on_update) != NULL)
            sy_buf_printf(out, " ON UPDATE %s", action_name(c->on_update));
        if (action_name(c->on_delete) != NULL)
            sy_buf_printf(out, " ON DELETE %s", action_name(c->on_delete));
        break;
    default:
        sy_buf_printf(out, pretty ? "CHECK (%s)" : "CHECK ((%s))",
                      c->expression == NULL ? "" : c->expression);
        break;
    }
    if (c->deferrable)
        sy_buf_append_str(out, c->deferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE");
}

static void get_indexdef(const struct call *c)
{
    const struct sy_sqlite_object *o =
        sy_sqlite_catalog_object(c->s->catalog, (uint32_t)int_arg(c, 0));
    int64_t column = int_arg(c, 1);
    struct sy_buf out = {0};
    if (o == NULL || o->index == NULL) {
        give_text(c, NULL);
        return;
    }
    if (c->argc < 3 || column == 0)
        sy_sqlite_indexdef(o, int_arg(c, 2) != 0, &out);
    else if (column > 0 && column <= (int64_t)o->index->key_count)
        put_key(o, (uint32_t)column - 1, &out);
    give_buf(c, &out);
}

static void get_constraintdef(const struct call *c)
{
    const struct sy_sqlite_object *o =
        sy_sqlite_catalog_object(c->s->catalog, (uint32_t)int_arg(c, 0));
    struct sy_buf out = {0};
    if (o == NULL || o->constraint == NULL) {
        give_text(c, NULL);
        return;
    }
    constraintdef(c->s, o, int_arg(c, 1) != 0, &out);
    give_buf(c, &out);
}

static void get_viewdef(const struct call *c)
{
    uint32_t oid = (uint32_t)int_arg(c, 0);
    struct sy_err ignored = {0};
    if (c->argc > 0 && sqlite3_value_type(c->argv[0]) == SQLITE_TEXT &&
        !c->s->sq.types.reg_in(c->s, SY_T_REGCLASS, sy_slice_of(text_arg(c, 0)), &oid, &ignored))
        oid = 0;
    const struct sy_sqrelation *r = sy_sqlite_catalog_by_oid(c->s->catalog, oid);
    struct sy_buf out = {0};
    if (r == NULL || r->view_sql == NULL) {
        give_text(c, NULL);
        return;
    }
    sy_buf_append_str(&out, " ");
    sy_sqlite_put_query(c->s, r->view_sql, &out);
    sy_buf_append_str(&out, ";");
    give_buf(c, &out);
}

static void get_first(const struct call *c)
{
    give_text(c, text_arg(c, 0));
}

static void get_expr(const struct call *c) /* what is stored is the text */
{
    struct sy_buf out = {0};
    if (text_arg(c, 0) == NULL) {
        give_text(c, NULL);
        return;
    }
    sy_sqlite_put_expression(c->s, text_arg(c, 0), &out);
    give_buf(c, &out);
}

static void get_serial_sequence(const struct call *c)
{
    uint32_t oid = 0;
    const char *column = text_arg(c, 1), *table = text_arg(c, 0);
    struct sy_sqlite_session *s = c->s;
    if (table == NULL || column == NULL) {
        give_text(c, NULL);
        return;
    }
    if (!s->sq.types.reg_in(s, SY_T_REGCLASS, sy_slice_of(table), &oid, &s->sq.err)) {
        sqlite3_result_error(c->context, s->sq.err.text, -1);
        return;
    }
    const struct sy_sqrelation *owner = sy_sqlite_catalog_by_oid(s->catalog, oid);
    for (uint32_t i = 0; owner != NULL && i < s->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &s->catalog->relations[i];
        if (r->sequence == NULL || r->sequence->owner_table == NULL ||
            strcmp(r->sequence->owner_table, owner->name) != 0 ||
            strcmp(r->sequence->owner_column, column) != 0)
            continue;
        struct sy_buf out = {0};
        sy_buf_printf(&out, "%s.", r->schema);
        sy_sqlite_put_identifier(&out, r->name);
        give_buf(c, &out);
        return;
    }
    give_text(c, NULL);
}

/* ---- names and descriptions ---- */

static void format_type(const struct call *c)
{
    if (c->argc == 0 || sqlite3_value_type(c->argv[0]) == SQLITE_NULL) {
        give_text(c, NULL);
        return;
    }
    uint32_t oid = (uint32_t)int_arg(c, 0);
    int32_t typmod =
        c->argc > 1 && sqlite3_value_type(c->argv[1]) != SQLITE_NULL ? (int32_t)int_arg(c, 1) : -1;
    if (sy_type_find(oid) == NULL) {
        give_text(c, oid == 0 ? "-" : "???");
        return;
    }
    struct sy_buf out = {0};
    sy_type_format(oid, typmod, &out);
    give_buf(c, &out);
}

static void obj_description(const struct call *c)
{
    const char *catalog = text_arg(c, 1);
    const struct sy_sqrelation *r =
        sy_sqlite_catalog_by_oid(c->s->catalog, (uint32_t)int_arg(c, 0));
    bool wanted = catalog == NULL || strcmp(catalog, "pg_class") == 0;
    give_text(c, r == NULL || !wanted ? NULL : r->comment);
}

static void col_description(const struct call *c)
{
    const struct sy_sqrelation *r =
        sy_sqlite_catalog_by_oid(c->s->catalog, (uint32_t)int_arg(c, 0));
    for (uint32_t i = 0; r != NULL && i < r->column_count; i++) {
        if (r->columns[i].attnum == int_arg(c, 1)) {
            give_text(c, r->columns[i].comment);
            return;
        }
    }
    give_text(c, NULL);
}

static void get_userbyid(const struct call *c)
{
    char unknown[48];
    snprintf(unknown, sizeof(unknown), "unknown (OID=%" PRId64 ")", int_arg(c, 0));
    const char *name = sy_sqlite_role_name(c->s, int_arg(c, 0));
    give_text(c, name != NULL ? name : unknown);
}

static void acl_default(const struct call *c)
{
    const char *kind = text_arg(c, 0), *owner = sy_sqlite_role_name(c->s, int_arg(c, 1));
    struct sy_buf out = {0};
    char number[24];
    if (kind == NULL || sqlite3_value_type(c->argv[1]) == SQLITE_NULL) {
        give_text(c, NULL);
        return;
    }
    snprintf(number, sizeof(number), "%" PRId64, int_arg(c, 1));
    if (sy_sqlite_acl_default(kind[0], owner != NULL ? owner : number, &out))
        give_buf(c, &out);
    else
        sqlite3_result_error(c->context, "unrecognized object type abbreviation", -1);
}

static void encoding_to_char(const struct call *c)
{
    give_text(c, int_arg(c, 0) == UTF8 ? "UTF8" : int_arg(c, 0) == 0 ? "SQL_ASCII" : "");
}

static void char_to_encoding(const struct call *c)
{
    const char *name = text_arg(c, 0);
    bool utf8 = name != NULL && (strcasecmp(name, "utf8") == 0 || strcasecmp(name, "utf-8") == 0);
    give_int(c, utf8 ? UTF8 : -1);
}

static void give_utf8(const struct call *c)
{
    give_text(c, "UTF8");
}

static void to_reg(const struct call *c, uint32_t type)
{
    uint32_t oid = 0;
    struct sy_err ignored = {0};
    const char *name = text_arg(c, 0);
    if (name != NULL && c->s->sq.types.reg_in(c->s, type, sy_slice_of(name), &oid, &ignored))
        give_int(c, oid);
    else
        give_text(c, NULL);
}

static void to_regclass(const struct call *c)
{
    to_reg(c, SY_T_REGCLASS);
}

static void to_regtype(const struct call *c)
{
    to_reg(c, SY_T_REGTYPE);
}

static void to_regnamespace(const struct call *c)
{
    to_reg(c, SY_T_REGNAMESPACE);
}

static void to_regrole(const struct call *c)
{
    to_reg(c, SY_T_REGROLE);
}

static void to_regproc(const struct call *c)
{
    to_reg(c, SY_T_REGPROC);
}

static void table_is_visible(const struct call *c)
{
    uint32_t oid = (uint32_t)int_arg(c, 0);
    const struct sy_sqrelation *r = sy_sqlite_catalog_by_oid(c->s->catalog, oid);
    if (r == NULL) {
        const struct sy_sqlite_object *o = sy_sqlite_catalog_object(c->s->catalog, oid);
        r = o == NULL ? NULL : o->relation;
    }
    if (r == NULL)
        give_text(c, NULL);
    else
        give_int(c, strcmp(r->schema, "information_schema") != 0);
}

/* ---- constants ---- */

static void give_true(const struct call *c)
{
    give_int(c, 1);
}

static void give_false(const struct call *c)
{
    give_int(c, 0);
}

static void give_zero(const struct call *c)
{
    give_int(c, 0);
}

static void give_null(const struct call *c)
{
    give_text(c, NULL);
}

static void give_empty(const struct call *c)
{
    give_text(c, "");
}

/* Whatever is asked about exists or not; every user may do everything. */
static void has_table_privilege(const struct call *c)
{
    int i = c->argc == 3 ? 1 : 0;
    uint32_t oid = (uint32_t)int_arg(c, i);
    struct sy_sqlite_session *s = c->s;
    if (c->argc > i && sqlite3_value_type(c->argv[i]) == SQLITE_TEXT &&
        !s->sq.types.reg_in(s, SY_T_REGCLASS, sy_slice_of(text_arg(c, i)), &oid, &s->sq.err)) {
        sqlite3_result_error(c->context, s->sq.err.text, -1);
        return;
    }
    const struct sy_sqrelation *r = sy_sqlite_catalog_by_oid(s->catalog, oid);
    const char *privilege = text_arg(c, c->argc - 1);
    if (r == NULL)
        give_text(c, NULL);
    else
        give_int(c, !r->read_only || (privilege != NULL && strcasecmp(privilege, "select") == 0));
}

static void in_recovery(const struct call *c)
{
    give_int(c, c->s->file->index > 0);
}

/* ---- sizes ---- */

static int64_t one_number(sqlite3 *db, const char *sql, const char *parameter)
{
    sqlite3_stmt *stmt = NULL;
    int64_t value = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK) {
        if (parameter != NULL)
            sqlite3_bind_text(stmt, 1, parameter, -1, SQLITE_STATIC);
        if (sqlite3_step(stmt) == SQLITE_ROW)
            value = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return value;
}

static void database_size(const struct call *c)
{
    sqlite3 *db = sqlite3_context_db_handle(c->context);
    give_int(c,
             one_number(db, "PRAGMA page_count", NULL) * one_number(db, "PRAGMA page_size", NULL));
}

static int64_t btree_bytes(const struct call *c, const char *name)
{
    return one_number(sqlite3_context_db_handle(c->context),
                      "SELECT pgsize FROM dbstat WHERE name = ?1 AND aggregate = 1", name);
}

static const struct sy_sqrelation *relation_arg(const struct call *c,
                                                const struct sy_sqlite_object **ret_object)
{
    uint32_t oid = (uint32_t)int_arg(c, 0);
    struct sy_sqlite_session *s = c->s;
    if (c->argc > 0 && sqlite3_value_type(c->argv[0]) == SQLITE_TEXT &&
        !s->sq.types.reg_in(s, SY_T_REGCLASS, sy_slice_of(text_arg(c, 0)), &oid, &s->sq.err)) {
        sqlite3_result_error(c->context, s->sq.err.text, -1);
        return NULL;
    }
    *ret_object = sy_sqlite_catalog_object(s->catalog, oid);
    return sy_sqlite_catalog_by_oid(s->catalog, oid);
}

static int64_t indexes_bytes(const struct call *c, const struct sy_sqrelation *r)
{
    int64_t total = 0;
    for (uint32_t i = 0; i < r->index_count; i++)
        total += btree_bytes(c, r->indexes[i].name);
    return total;
}

static void relation_size(const struct call *c)
{
    const struct sy_sqlite_object *o = NULL;
    const struct sy_sqrelation *r = relation_arg(c, &o);
    if (r != NULL)
        give_int(c, r->kind != 'r' || r->read_only
                        ? 0
                        : btree_bytes(c, r->sqlite_name != NULL ? r->sqlite_name : r->name));
    else if (o != NULL && o->index != NULL)
        give_int(c, btree_bytes(c, o->index->name));
}

static void total_relation_size(const struct call *c)
{
    const struct sy_sqlite_object *o = NULL;
    const struct sy_sqrelation *r = relation_arg(c, &o);
    if (r != NULL)
        give_int(c, r->kind != 'r' || r->read_only
                        ? 0
                        : btree_bytes(c, r->sqlite_name != NULL ? r->sqlite_name : r->name) +
                              indexes_bytes(c, r));
}

static void indexes_size(const struct call *c)
{
    const struct sy_sqlite_object *o = NULL;
    const struct sy_sqrelation *r = relation_arg(c, &o);
    if (r != NULL)
        give_int(c, indexes_bytes(c, r));
}

static void size_pretty(const struct call *c)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    if (c->argc == 0 || sqlite3_value_type(c->argv[0]) == SQLITE_NULL) {
        give_text(c, NULL);
        return;
    }
    int64_t value = int_arg(c, 0);
    int unit = 0;
    /* PostgreSQL changes the unit at ten of the next one, and rounds half away from zero. */
    int64_t magnitude = value < 0 ? -value : value;
    int64_t halves = magnitude * 2;
    while (unit < 4 && magnitude >= 10240) {
        halves = halves / 1024;
        magnitude = (halves + 1) / 2;
        unit++;
    }
    char text[48];
    snprintf(text, sizeof(text), "%s%" PRId64 " %s", value < 0 ? "-" : "", magnitude, units[unit]);
    give_text(c, text);
}

static void sequence_last_value(const struct call *c)
{
    char oid[16];
    snprintf(oid, sizeof(oid), "%" PRId64, int_arg(c, 0));
    sqlite3 *db = sqlite3_context_db_handle(c->context);
    if (one_number(db, "SELECT is_called FROM sy_catalog_sequence WHERE oid = CAST(?1 AS INTEGER)",
                   oid) == 0)
        give_text(c, NULL);
    else
        give_int(
            c, one_number(
                   db, "SELECT last_value FROM sy_catalog_sequence WHERE oid = CAST(?1 AS INTEGER)",
                   oid));
}

/* In a transaction that writes, as its nextval() has left it; else as the last commit did. */
static void sequence_state(const struct call *c, bool called)
{
    const struct sy_sqlite_sequence *sequence =
        c->s->run_writes ? sy_sqlite_sequence(c->s->shard, (uint32_t)int_arg(c, 0)) : NULL;
    char oid[16];
    if (sequence != NULL) {
        give_int(c, called ? sequence->is_called : sequence->last_value);
        return;
    }
    snprintf(oid, sizeof(oid), "%" PRId64, int_arg(c, 0));
    give_int(c, one_number(sqlite3_context_db_handle(c->context),
                           called ? "SELECT is_called FROM sy_catalog_sequence WHERE oid = "
                                    "CAST(?1 AS INTEGER)"
                                  : "SELECT last_value FROM sy_catalog_sequence WHERE oid = "
                                    "CAST(?1 AS INTEGER)",
                           oid));
}

static void sequence_value(const struct call *c)
{
    sequence_state(c, false);
}

static void sequence_called(const struct call *c)
{
    sequence_state(c, true);
}

static void current_txid(const struct call *c)
{
    give_int(c, (int64_t)atomic_load(&c->s->shard->files[0]->lsn) + 1);
}

static void cancel_backend(const struct call *c)
{
    give_int(c, sy_sqlite_session_signal(c->s->shard, (uint32_t)int_arg(c, 0), SY_STOP_CANCEL));
}

static void terminate_backend(const struct call *c)
{
    give_int(c, sy_sqlite_session_signal(c->s->shard, (uint32_t)int_arg(c, 0), SY_STOP_CLOSE));
}

/* SQLite looks for an interrupt between its steps; this is one long step. */
static void sleep_for(const struct call *c)
{
    static const struct timespec pause = {0, 5000000};
    const struct sy_clock *clock = sy_clock_real();
    if (sqlite3_value_type(c->argv[0]) == SQLITE_NULL)
        return;
    double seconds = sqlite3_value_double(c->argv[0]);
    uint64_t start = clock->monotonic_us(clock);
    while ((double)(clock->monotonic_us(clock) - start) < seconds * 1e6) {
        if (sy_sqlite_session_stopped(c->s)) {
            sqlite3_result_error_code(c->context, SQLITE_INTERRUPT);
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    give_text(c, "");
}

static void notify(const struct call *c)
{
    const char *channel = text_arg(c, 0), *payload = text_arg(c, 1);
    size_t bytes = channel == NULL ? 0 : strlen(channel);
    if (bytes == 0 || bytes >= SY_LIMIT_NAME_BYTES) {
        fail(c, bytes == 0 ? "channel name cannot be empty" : "channel name too long");
        return;
    }
    if (sy_sqlite_notify(c->s, sy_slice_of(channel), sy_slice_of(payload == NULL ? "" : payload))) {
        give_text(c, "");
        return;
    }
    c->s->sq.err = c->s->err;
    sqlite3_result_error(c->context, "notify", -1);
}

static void start_time(const struct call *c)
{
    give_int(c, c->s->shard->started_us);
}

static void wal_position(const struct call *c)
{
    uint64_t lsn = atomic_load(&c->s->file->lsn);
    char text[32];
    snprintf(text, sizeof(text), "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    give_text(c, text);
}

/* ---- the table ---- */

static const struct function {
    const char *name;
    void (*run)(const struct call *c);
} functions[] = {
    {"sy_acldefault", acl_default},
    {"sy_col_description", col_description},
    {"sy_format_type", format_type},
    {"sy_getdatabaseencoding", give_utf8},
    {"sy_has_any_column_privilege", has_table_privilege},
    {"sy_has_column_privilege", give_true},
    {"sy_has_database_privilege", give_true},
    {"sy_has_foreign_data_wrapper_privilege", give_false},
    {"sy_has_function_privilege", give_true},
    {"sy_has_language_privilege", give_true},
    {"sy_has_schema_privilege", give_true},
    {"sy_has_sequence_privilege", give_true},
    {"sy_has_server_privilege", give_false},
    {"sy_has_table_privilege", has_table_privilege},
    {"sy_has_tablespace_privilege", give_true},
    {"sy_has_type_privilege", give_true},
    {"sy_inet_client_port", give_null},
    {"sy_inet_server_port", give_null},
    {"sy_obj_description", obj_description},
    {"sy_pg_blocking_pids", give_null},
    {"sy_pg_cancel_backend", cancel_backend},
    {"sy_pg_conf_load_time", start_time},
    {"sy_pg_postmaster_start_time", start_time},
    {"sy_pg_terminate_backend", terminate_backend},
    {"sy_pg_char_to_encoding", char_to_encoding},
    {"sy_pg_client_encoding", give_utf8},
    {"sy_pg_collation_actual_version", give_null},
    {"sy_pg_collation_for", give_null},
    {"sy_pg_collation_is_visible", give_true},
    {"sy_pg_column_compression", give_null},
    {"sy_pg_column_is_updatable", give_true},
    {"sy_pg_database_collation_actual_version", give_null},
    {"sy_pg_database_size", database_size},
    {"sy_pg_describe_object", give_null},
    {"sy_pg_encoding_to_char", encoding_to_char},
    {"sy_pg_function_is_visible", give_true},
    {"sy_pg_get_constraintdef", get_constraintdef},
    {"sy_pg_get_expr", get_expr},
    {"sy_pg_get_function_arguments", give_empty},
    {"sy_pg_get_function_identity_arguments", give_empty},
    {"sy_pg_get_function_result", give_null},
    {"sy_pg_get_functiondef", give_null},
    {"sy_pg_get_indexdef", get_indexdef},
    {"sy_pg_get_partition_constraintdef", give_null},
    {"sy_pg_get_partkeydef", give_null},
    {"sy_pg_get_replica_identity_index", give_null},
    {"sy_pg_get_ruledef", give_null},
    {"sy_pg_get_serial_sequence", get_serial_sequence},
    {"sy_pg_get_statisticsobjdef_columns", give_null},
    {"sy_pg_get_triggerdef", give_null},
    {"sy_pg_get_userbyid", get_userbyid},
    {"sy_pg_get_viewdef", get_viewdef},
    {"sy_pg_has_role", give_true},
    {"sy_pg_index_column_has_property", give_null},
    {"sy_pg_index_has_property", give_null},
    {"sy_pg_indexam_has_property", give_null},
    {"sy_pg_indexes_size", indexes_size},
    {"sy_pg_is_in_recovery", in_recovery},
    {"sy_pg_is_other_temp_schema", give_false},
    {"sy_pg_is_wal_replay_paused", give_false},
    {"sy_pg_my_temp_schema", give_zero},
    {"sy_pg_notify", notify},
    {"sy_pg_relation_filenode", get_first},
    {"sy_pg_relation_is_publishable", give_false},
    {"sy_pg_relation_is_updatable", give_zero},
    {"sy_pg_relation_size", relation_size},
    {"sy_pg_reload_conf", give_false},
    {"sy_pg_sequence_last_value", sequence_last_value},
    {"sy_sequence_called", sequence_called},
    {"sy_sequence_value", sequence_value},
    {"sy_pg_size_pretty", size_pretty},
    {"sy_pg_statistics_obj_is_visible", give_true},
    {"sy_pg_table_is_visible", table_is_visible},
    {"sy_pg_table_size", relation_size},
    {"sy_pg_total_relation_size", total_relation_size},
    {"sy_pg_trigger_depth", give_zero},
    {"sy_pg_type_is_visible", give_true},
    {"sy_row_security_active", give_false},
    {"sy_shobj_description", give_null},
    {"sy_sleep", sleep_for},
    {"sy_to_regclass", to_regclass},
    {"sy_to_regnamespace", to_regnamespace},
    {"sy_to_regproc", to_regproc},
    {"sy_to_regrole", to_regrole},
    {"sy_to_regtype", to_regtype},
    {"sy_txid_current", current_txid},
    {"sy_txid_current_if_assigned", current_txid},
    {"sy_pg_current_wal_lsn", wal_position},
    {"sy_pg_current_wal_insert_lsn", wal_position},
    {"sy_pg_current_wal_flush_lsn", wal_position},
    {"sy_pg_last_wal_replay_lsn", wal_position},
    {"sy_pg_last_wal_receive_lsn", wal_position},
};

struct binding {
    struct sy_sqsession_slot *slot;
    const struct function *function;
};

static void run(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct binding *binding = sqlite3_user_data(context);
    if (binding->slot->session == NULL) {
        sqlite3_result_error(context, "no session", -1);
        return;
    }
    const struct call call = {
        .context = context,
        .argc = argc,
        .argv = argv,
        .s = sy_container_of(binding->slot->session, struct sy_sqlite_session, sq),
    };
    binding->function->run(&call);
}

int sy_sqlite_pgfunctions_register(sqlite3 *db, struct sy_sqsession_slot *slot)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof(functions) / sizeof(functions[0]); i++) {
        struct binding *binding = malloc(sizeof(*binding));
        if (binding == NULL)
            return SQLITE_NOMEM;
        *binding = (struct binding){.slot = slot, .function = &functions[i]};
        rc = sqlite3_create_function_v2(db, functions[i].name, -1, SQLITE_UTF8 | SQLITE_INNOCUOUS,
                                        binding, run, NULL, NULL, free);
    }
    return rc;
}
