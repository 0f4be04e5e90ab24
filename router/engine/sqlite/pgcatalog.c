/* Emulated relations: what the translator is told of them, and the virtual table that gives their
 * rows. */
#include "router/engine/sqlite/pgcatalog.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/catalog_data.h"

enum { EMULATED_MAX = 160, FIRST_PROC_OID = 12000, PROC_ARRAY_IN = 750 };

static struct {
    pthread_once_t once;
    struct sy_arena arena; /* for as long as the process */
    struct sy_sqrelation relations[EMULATED_MAX];
    uint32_t count;
} emulated = {.once = PTHREAD_ONCE_INIT};

/* ---- relations ---- */

static void read_columns(const char *text, struct sy_sqrelation *r)
{
    uint32_t count = 0;
    for (const char *at = text; (at = strchr(at, ':')) != NULL; at++)
        count++;
    struct sy_sqcolumn *columns = sy_arena_calloc(&emulated.arena, count + 1, sizeof(*columns));
    if (columns == NULL)
        return;
    for (uint32_t i = 0; i < count; i++) {
        size_t bytes = strcspn(text, ":");
        char *end = NULL;
        columns[i].name = sy_arena_strndup(&emulated.arena, text, bytes);
        columns[i].type = (uint32_t)strtoul(text + bytes + 1, &end, 10);
        columns[i].typmod = -1;
        columns[i].attnum = (int16_t)(i + 1);
        text = *end == ' ' ? end + 1 : end;
    }
    r->columns = columns;
    r->column_count = count;
}

static void make_relations(void)
{
    for (uint32_t i = 0; i < sy_sqlite_emulated_count && i < EMULATED_MAX; i++) {
        const struct sy_sqlite_emulated_columns *from = &sy_sqlite_emulated_columns[i];
        bool plain = strcmp(from->schema, "pg_catalog") == 0;
        struct sy_sqrelation *r = &emulated.relations[i];
        r->oid = from->oid;
        r->schema = from->schema;
        r->name = from->name;
        r->kind = 'r';
        r->sqlite_name = sy_arena_printf(&emulated.arena,
                                         plain ? "sy_%s" : "sy_information_schema_%s", from->name);
        r->read_only = true;
        read_columns(from->columns, r);
        emulated.count++;
    }
}

const struct sy_sqrelation *sy_sqlite_emulated_at(uint32_t index)
{
    pthread_once(&emulated.once, make_relations);
    return index < emulated.count ? &emulated.relations[index] : NULL;
}

uint32_t sy_sqlite_schema_oid(const char *name)
{
    return strcmp(name, "pg_catalog") == 0           ? SY_SQLITE_SCHEMA_PG_CATALOG
           : strcmp(name, "information_schema") == 0 ? SY_SQLITE_SCHEMA_INFORMATION
                                                     : SY_SQLITE_SCHEMA_PUBLIC;
}

const char *sy_sqlite_proc_name(uint32_t oid)
{
    if (oid == PROC_ARRAY_IN)
        return "array_in";
    return oid >= FIRST_PROC_OID && oid - FIRST_PROC_OID < sq_proc_count
               ? sq_procs[oid - FIRST_PROC_OID].name
               : NULL;
}

uint32_t sy_sqlite_proc_oid(const char *name)
{
    if (strcmp(name, "array_in") == 0)
        return PROC_ARRAY_IN;
    for (uint32_t i = 0; i < sq_proc_count; i++) {
        if (strcmp(sq_procs[i].name, name) == 0)
            return FIRST_PROC_OID + i;
    }
    return 0;
}

/* ---- gathering rows ---- */

static int column_of(const struct sy_emit *e, const char *name)
{
    for (uint32_t i = 0; i < e->relation->column_count; i++) {
        if (strcmp(e->relation->columns[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

void sy_emit_begin(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->relation->column_count; i++) {
        const struct sy_type_info *type = sy_type_find(e->relation->columns[i].type);
        bool number =
            type != NULL && (type->storage == SY_SQ_INTEGER || type->storage == SY_SQ_REAL);
        bool time = type != NULL && type->category == 'D';
        e->row[i] = (struct sy_sqvalue){.kind = number && !time ? type->storage : SY_SQ_NULL};
    }
}

void sy_emit_int(struct sy_emit *e, const char *column, int64_t value)
{
    int i = column_of(e, column);
    if (i < 0)
        return;
    if (e->row[i].kind == SY_SQ_REAL)
        e->row[i].real = (double)value;
    else
        e->row[i] = (struct sy_sqvalue){.kind = SY_SQ_INTEGER, .integer = value};
}

void sy_emit_text(struct sy_emit *e, const char *column, const char *text)
{
    int i = column_of(e, column);
    if (i < 0)
        return;
    e->row[i] = (struct sy_sqvalue){.kind = SY_SQ_NULL};
    if (text == NULL)
        return;
    char *copy = sy_arena_strdup(e->arena, text);
    e->failed = e->failed || copy == NULL;
    if (copy != NULL)
        e->row[i] = (struct sy_sqvalue){.kind = SY_SQ_TEXT, .bytes = {copy, strlen(copy)}};
}

void sy_emit_char(struct sy_emit *e, const char *column, char value)
{
    char text[2] = {value, '\0'};
    sy_emit_text(e, column, text);
}

void sy_emit_format(struct sy_emit *e, const char *column, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int bytes = vasprintf(&text, format, args);
    va_end(args);
    if (bytes < 0) {
        e->failed = true;
        return;
    }
    sy_emit_text(e, column, text);
    free(text);
}

void sy_emit_end(struct sy_emit *e)
{
    sy_buf_append(e->rows, e->row, e->relation->column_count * sizeof(*e->row));
    e->failed = e->failed || e->rows->failed;
}

/* ---- the virtual table ---- */

struct rowset {
    uint32_t refs;
    struct sy_arena arena;
    struct sy_buf rows;
    uint64_t generation;
    uint32_t pid; /* of the session */
};

struct table {
    sqlite3_vtab base;
    const struct sy_sqrelation *relation;
    const struct sy_emit_source *source; /* NULL: always empty */
    struct sy_sqsession_slot *slot;
    struct rowset *rowset;
};

struct cursor {
    sqlite3_vtab_cursor base;
    struct rowset *rowset;
    size_t at, count;
    int filter_column; /* -1: none */
    struct sy_sqvalue filter;
};

struct binding {
    struct sy_sqsession_slot *slot;
    const struct sy_sqrelation *relation;
};

static void rowset_unref(struct rowset **rowset)
{
    struct rowset *self = *rowset;
    *rowset = NULL;
    if (self == NULL || --self->refs > 0)
        return;
    sy_buf_release(&self->rows);
    sy_arena_release(&self->arena);
    free(self);
}

static const struct sy_emit_source *find_source(const struct sy_sqrelation *r)
{
    const struct sy_emit_source *const all[] = {sy_emit_objects, sy_emit_fixed,
                                                sy_emit_information};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (const struct sy_emit_source *source = all[i]; source->name != NULL; source++) {
            if (strcmp(source->name, r->name) == 0 && strcmp(source->schema, r->schema) == 0)
                return source;
        }
    }
    return NULL;
}

static int table_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                         sqlite3_vtab **ret, char **error)
{
    (void)argc;
    (void)argv;
    (void)error;
    const struct binding *binding = aux;
    struct sy_buf sql = {0};
    sy_buf_append_str(&sql, "CREATE TABLE x(");
    for (uint32_t i = 0; i < binding->relation->column_count; i++) {
        sy_buf_append_str(&sql, i == 0 ? "" : ", ");
        sy_sqlite_quote_identifier(&sql, binding->relation->columns[i].name);
    }
    sy_buf_append_str(&sql, ")");
    sy_buf_append_u8(&sql, 0);
    struct table *table = sql.failed ? NULL : calloc(1, sizeof(*table));
    int rc = table == NULL ? SQLITE_NOMEM : sqlite3_declare_vtab(db, sql.data);
    sy_buf_release(&sql);
    if (rc != SQLITE_OK) {
        free(table);
        return rc;
    }
    (void)sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS); /* views of the user's may read them */
    table->relation = binding->relation;
    table->source = find_source(binding->relation);
    table->slot = binding->slot;
    *ret = &table->base;
    return SQLITE_OK;
}

static int table_disconnect(sqlite3_vtab *base)
{
    struct table *table = sy_container_of(base, struct table, base);
    rowset_unref(&table->rowset);
    free(table);
    return SQLITE_OK;
}

/* One equality is used to skip rows (SQLite checks again); which column it is on goes into idxNum.
 */
static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->idxNum = -1;
    info->estimatedCost = 1000;
    info->estimatedRows = 1000;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *c = &info->aConstraint[i];
        if (!c->usable || c->op != SQLITE_INDEX_CONSTRAINT_EQ || c->iColumn < 0)
            continue;
        info->aConstraintUsage[i].argvIndex = 1;
        info->idxNum = c->iColumn;
        info->estimatedCost = 50;
        info->estimatedRows = 5;
        break;
    }
    return SQLITE_OK;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
    (void)base;
    struct cursor *cursor = calloc(1, sizeof(*cursor));
    if (cursor == NULL)
        return SQLITE_NOMEM;
    *ret = &cursor->base;
    return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = sy_container_of(base, struct cursor, base);
    rowset_unref(&cursor->rowset);
    free(cursor);
    return SQLITE_OK;
}

static int make_rows(struct table *table)
{
    struct sy_sqlite_session *s =
        sy_container_of(table->slot->session, struct sy_sqlite_session, sq);
    uint64_t generation = s->catalog->generation;
    bool changes = table->source != NULL && table->source->changes;
    if (table->rowset != NULL && !changes && table->rowset->generation == generation &&
        table->rowset->pid == s->pid)
        return SQLITE_OK;
    rowset_unref(&table->rowset);
    struct rowset *rowset = calloc(1, sizeof(*rowset));
    if (rowset == NULL)
        return SQLITE_NOMEM;
    rowset->refs = 1;
    rowset->generation = generation;
    rowset->pid = s->pid;
    struct sy_emit e = {.session = s,
                        .catalog = s->catalog,
                        .relation = table->relation,
                        .arena = &rowset->arena,
                        .rows = &rowset->rows};
    e.row = sy_arena_calloc(&rowset->arena, table->relation->column_count + 1, sizeof(*e.row));
    e.failed = e.row == NULL;
    if (!e.failed && table->source != NULL)
        table->source->rows(&e);
    table->rowset = rowset;
    if (e.failed)
        rowset_unref(&table->rowset);
    return e.failed ? SQLITE_NOMEM : SQLITE_OK;
}

static bool matches(const struct cursor *cursor, const struct sy_sqvalue *value)
{
    const struct sy_sqvalue *wanted = &cursor->filter;
    if (wanted->kind == SY_SQ_INTEGER && value->kind == SY_SQ_INTEGER)
        return wanted->integer == value->integer;
    if (wanted->kind == SY_SQ_TEXT && value->kind == SY_SQ_TEXT)
        return sy_slice_eq(wanted->bytes, value->bytes);
    return true;
}

static const struct sy_sqvalue *row_at(const struct cursor *cursor, size_t at)
{
    const struct table *table = sy_container_of(cursor->base.pVtab, struct table, base);
    return (const struct sy_sqvalue *)(const void *)cursor->rowset->rows.data +
           at * table->relation->column_count;
}

static void skip(struct cursor *cursor)
{
    while (cursor->filter_column >= 0 && cursor->at < cursor->count &&
           !matches(cursor, row_at(cursor, cursor->at) + cursor->filter_column))
        cursor->at++;
}

static int table_filter(sqlite3_vtab_cursor *base, int index, const char *name, int argc,
                        sqlite3_value **argv)
{
    (void)name;
    struct cursor *cursor = sy_container_of(base, struct cursor, base);
    struct table *table = sy_container_of(base->pVtab, struct table, base);
    rowset_unref(&cursor->rowset);
    if (table->slot->session == NULL)
        return SQLITE_MISUSE;
    int rc = make_rows(table);
    if (rc != SQLITE_OK)
        return rc;
    cursor->rowset = table->rowset;
    cursor->rowset->refs++;
    cursor->at = 0;
    cursor->count = table->relation->column_count == 0
                        ? 0
                        : cursor->rowset->rows.bytes /
                              (table->relation->column_count * sizeof(struct sy_sqvalue));
    cursor->filter_column = argc > 0 ? index : -1;
    cursor->filter = (struct sy_sqvalue){0};
    if (argc > 0 && sqlite3_value_type(argv[0]) == SQLITE_INTEGER) {
        cursor->filter =
            (struct sy_sqvalue){.kind = SY_SQ_INTEGER, .integer = sqlite3_value_int64(argv[0])};
    } else if (argc > 0 && sqlite3_value_type(argv[0]) == SQLITE_TEXT) {
        const char *text = (const char *)sqlite3_value_text(argv[0]);
        char *copy = text == NULL ? NULL : sy_arena_strdup(&cursor->rowset->arena, text);
        cursor->filter = copy == NULL
                             ? (struct sy_sqvalue){0}
                             : (struct sy_sqvalue){.kind = SY_SQ_TEXT, .bytes = sy_slice_of(copy)};
    }
    skip(cursor);
    return SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *base)
{
    struct cursor *cursor = sy_container_of(base, struct cursor, base);
    cursor->at++;
    skip(cursor);
    return SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *cursor = sy_container_of(base, struct cursor, base);
    return cursor->at >= cursor->count;
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    struct cursor *cursor = sy_container_of(base, struct cursor, base);
    const struct sy_sqvalue *value = row_at(cursor, cursor->at) + column;
    switch (value->kind) {
    case SY_SQ_NULL:
        sqlite3_result_null(context);
        break;
    case SY_SQ_INTEGER:
        sqlite3_result_int64(context, value->integer);
        break;
    case SY_SQ_REAL:
        sqlite3_result_double(context, value->real);
        break;
    case SY_SQ_TEXT:
    case SY_SQ_BLOB:
        sqlite3_result_text(context, value->bytes.data, (int)value->bytes.bytes, SQLITE_TRANSIENT);
        break;
    }
    return SQLITE_OK;
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)sy_container_of(base, struct cursor, base)->at;
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .iVersion = 0,
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xOpen = table_open,
    .xClose = table_close,
    .xFilter = table_filter,
    .xNext = table_next,
    .xEof = table_eof,
    .xColumn = table_column,
    .xRowid = table_rowid,
};

int sy_sqlite_pgcatalog_register(sqlite3 *db, struct sy_sqsession_slot *slot)
{
    int rc = SQLITE_OK;
    const struct sy_sqrelation *r = NULL;
    for (uint32_t i = 0; rc == SQLITE_OK && (r = sy_sqlite_emulated_at(i)) != NULL; i++) {
        struct binding *binding = malloc(sizeof(*binding));
        if (binding == NULL)
            return SQLITE_NOMEM;
        *binding = (struct binding){.slot = slot, .relation = r};
        rc = sqlite3_create_module_v2(db, r->sqlite_name, &module, binding, free);
    }
    return rc;
}
