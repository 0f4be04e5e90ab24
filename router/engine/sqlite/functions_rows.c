/*
 * LATERAL subqueries. SQLite lets only a function in FROM see what stands to its left, so such a
 * subquery becomes an argument: sy_rows((SELECT sy_rows_pack(...) FROM (subquery)), columns). The
 * aggregate writes its rows one after the other, each value as its kind, eight bytes (a number, or
 * a length) and its bytes; the virtual table gives them back as c0, c1, ...
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "router/engine/sqlite/functions_internal.h"

enum { HEAD_BYTES = 9 };

/* ---- the aggregate ---- */

static void pack(struct sy_buf *rows, sqlite3_value *value)
{
    int kind = sqlite3_value_type(value);
    const void *data = NULL;
    uint64_t head = 0;
    double real = 0;
    if (kind == SQLITE_INTEGER) {
        head = (uint64_t)sqlite3_value_int64(value);
    } else if (kind == SQLITE_FLOAT) {
        real = sqlite3_value_double(value);
        memcpy(&head, &real, sizeof(head));
    } else if (kind != SQLITE_NULL) {
        data = kind == SQLITE_TEXT ? sqlite3_value_text(value) : sqlite3_value_blob(value);
        head = (uint64_t)sqlite3_value_bytes(value);
    }
    sy_buf_append_u8(rows, (uint8_t)kind);
    sy_buf_append(rows, &head, sizeof(head));
    sy_buf_append(rows, data, data == NULL ? 0 : (size_t)head);
}

static void pack_step(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    struct sy_buf *rows = sqlite3_aggregate_context(context, sizeof(*rows));
    for (int i = 0; rows != NULL && i < argc; i++)
        pack(rows, argv[i]);
    if (rows == NULL || rows->failed)
        sqlite3_result_error_nomem(context);
}

static void pack_final(sqlite3_context *context)
{
    struct sy_buf *rows = sqlite3_aggregate_context(context, 0);
    if (rows == NULL || rows->failed)
        sqlite3_result_null(context); /* no rows, or the step has told */
    else
        sqlite3_result_blob64(context, rows->bytes == 0 ? "" : rows->data, rows->bytes,
                              SQLITE_TRANSIENT);
    if (rows != NULL)
        sy_buf_release(rows);
}

/* ---- rows that the session keeps ---- */

bool sy_sqkeep_row(struct sy_sqsession *session, uint32_t keep, sqlite3_stmt *stmt)
{
    struct sy_buf *rows = &session->kept[keep - 1];
    for (int i = 0; i < sqlite3_column_count(stmt); i++)
        pack(rows, sqlite3_column_value(stmt, i));
    return !rows->failed;
}

void sy_sqkeep_clear(struct sy_sqsession *session, uint32_t keep)
{
    sy_buf_clear(&session->kept[keep - 1]);
}

void sy_sqkeep_release(struct sy_sqsession *session)
{
    for (size_t i = 0; i < SQ_KEPT_MAX; i++)
        sy_buf_release(&session->kept[i]);
}

static void f_kept(struct sq_call *call)
{
    int64_t index = sq_arg_int(call, 0);
    if (call->session != NULL && index >= 0 && index < SQ_KEPT_MAX)
        sq_return_blob(call, call->session->kept[index].data, call->session->kept[index].bytes);
}

static const struct sq_function functions[] = {
    {"sy_kept", 1, SQ_F_VOLATILE, f_kept},
};

const struct sq_function_table sq_functions_rows = {functions,
                                                    sizeof(functions) / sizeof(functions[0])};

/* ---- the table ---- */

struct cursor {
    sqlite3_vtab_cursor base;
    char *rows; /* a copy of the argument */
    size_t bytes, at;
    size_t columns[SQ_ROWS_COLUMNS_MAX]; /* where the values of the row at hand start */
    int count;
    sqlite3_int64 rowid;
    bool done;
};

static struct cursor *cursor_of(sqlite3_vtab_cursor *base)
{
    union {
        sqlite3_vtab_cursor *in;
        struct cursor *out;
    } cast = {.in = base};
    return cast.out;
}

static int rows_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **ret_table, char **error)
{
    struct sy_buf sql = {0};
    (void)aux;
    (void)argc;
    (void)argv;
    (void)error;
    sy_buf_append_str(&sql, "CREATE TABLE x(");
    for (int i = 0; i < SQ_ROWS_COLUMNS_MAX; i++)
        sy_buf_printf(&sql, "c%d, ", i);
    sy_buf_append_str(&sql, "rows HIDDEN, count HIDDEN)");
    sy_buf_append_u8(&sql, 0);
    sqlite3_vtab *table = sql.failed ? NULL : calloc(1, sizeof(*table));
    int rc = table == NULL ? SQLITE_NOMEM : sqlite3_declare_vtab(db, sql.data);
    sy_buf_release(&sql);
    if (rc != SQLITE_OK) {
        free(table);
        return rc;
    }
    (void)sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
    *ret_table = table;
    return SQLITE_OK;
}

static int rows_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    info->estimatedRows = 25;
    return sq_table_take_arguments(info, SQ_ROWS_COLUMNS_MAX, 2);
}

static int rows_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor)
{
    struct cursor *c = calloc(1, sizeof(*c));
    (void)base;
    if (c == NULL)
        return SQLITE_NOMEM;
    *ret_cursor = &c->base;
    return SQLITE_OK;
}

static int rows_close(sqlite3_vtab_cursor *base)
{
    free(cursor_of(base)->rows);
    free(base);
    return SQLITE_OK;
}

static uint64_t head_at(const struct cursor *c, size_t at)
{
    uint64_t head = 0;
    memcpy(&head, c->rows + at + 1, sizeof(head));
    return head;
}

static int rows_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = cursor_of(base);
    c->done = c->at >= c->bytes;
    c->rowid++;
    for (int i = 0; i < c->count && !c->done; i++) {
        c->columns[i] = c->at;
        int kind = (unsigned char)c->rows[c->at];
        c->at += HEAD_BYTES;
        if (kind == SQLITE_TEXT || kind == SQLITE_BLOB)
            c->at += (size_t)head_at(c, c->columns[i]);
    }
    return SQLITE_OK;
}

static int rows_filter(sqlite3_vtab_cursor *base, int number, const char *text, int argc,
                       sqlite3_value **argv)
{
    struct cursor *c = cursor_of(base);
    (void)number;
    (void)text;
    if (argc != 2)
        return SQLITE_MISUSE;
    const void *rows = sqlite3_value_blob(argv[0]);
    c->bytes = (size_t)sqlite3_value_bytes(argv[0]);
    c->count = sqlite3_value_int(argv[1]);
    c->at = 0;
    c->rowid = 0;
    free(c->rows);
    c->rows = malloc(c->bytes + 1);
    if (c->rows == NULL)
        return SQLITE_NOMEM;
    if (c->bytes > 0)
        memcpy(c->rows, rows, c->bytes);
    return rows_next(base);
}

static int rows_eof(sqlite3_vtab_cursor *base)
{
    return cursor_of(base)->done;
}

static int rows_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    const struct cursor *c = cursor_of(base);
    if (column >= c->count)
        return SQLITE_OK;
    size_t at = c->columns[column];
    uint64_t head = head_at(c, at);
    double real = 0;
    memcpy(&real, &head, sizeof(real));
    switch (c->rows[at]) {
    case SQLITE_INTEGER:
        sqlite3_result_int64(context, (sqlite3_int64)head);
        break;
    case SQLITE_FLOAT:
        sqlite3_result_double(context, real);
        break;
    case SQLITE_TEXT:
        sqlite3_result_text64(context, c->rows + at + HEAD_BYTES, head, SQLITE_TRANSIENT,
                              SQLITE_UTF8);
        break;
    case SQLITE_BLOB:
        sqlite3_result_blob64(context, c->rows + at + HEAD_BYTES, head, SQLITE_TRANSIENT);
        break;
    default:
        break;
    }
    return SQLITE_OK;
}

static int rows_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
    *ret_rowid = cursor_of(base)->rowid;
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .xConnect = rows_connect,
    .xBestIndex = rows_best_index,
    .xDisconnect = sq_table_disconnect,
    .xOpen = rows_open,
    .xClose = rows_close,
    .xFilter = rows_filter,
    .xNext = rows_next,
    .xEof = rows_eof,
    .xColumn = rows_column,
    .xRowid = rows_rowid,
};

int sq_rows_register(sqlite3 *db)
{
    int rc = sqlite3_create_function_v2(db, "sy_rows_pack", -1, SQLITE_UTF8 | SQLITE_INNOCUOUS,
                                        NULL, NULL, pack_step, pack_final, NULL);
    return rc == SQLITE_OK ? sqlite3_create_module_v2(db, "sy_rows", &module, NULL, NULL) : rc;
}
