/* Entry of the translator: context, errors, text helpers. translate_statement.c dispatches on the
 * statement. */
#include <pg_query.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/limits.h"
#include "router/engine/sqlite/translate_internal.h"

/* PostgreSQL counts positions in characters from 1; the tree gives byte offsets. */
static int character_position(struct sy_slice text, int32_t location)
{
    if (location < 0 || (size_t)location > text.bytes)
        return 0;
    int position = 1;
    for (int32_t i = 0; i < location; i++)
        position += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return position;
}

static void __attribute__((format(printf, 5, 0)))
fill_error(struct sq_cx *cx, enum sy_status status, const char *sqlstate, int32_t location,
           const char *format, va_list args)
{
    char text[SY_ERR_TEXT_BYTES];
    (void)vsnprintf(text, sizeof(text), format, args);
    (void)sy_err_set(cx->err, status, "%s", text);
    if (cx->err == NULL)
        return;
    sy_err_state(cx->err, sqlstate);
    cx->err->position = cx->view_depth > 0 ? 0 : character_position(cx->input->text, location);
}

bool sq_error(struct sq_cx *cx, const char *sqlstate, int32_t location, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill_error(cx, SY_E_SYNTAX, sqlstate, location, format, args);
    va_end(args);
    return false;
}

void *sq_error_null(struct sq_cx *cx, const char *sqlstate, int32_t location, const char *format,
                    ...)
{
    va_list args;
    va_start(args, format);
    fill_error(cx, SY_E_SYNTAX, sqlstate, location, format, args);
    va_end(args);
    return NULL;
}

void *sq_unsupported(struct sq_cx *cx, int32_t location, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill_error(cx, SY_E_UNSUPPORTED, "0A000", location, format, args);
    va_end(args);
    sy_err_hint(cx->err, SQ_UNSUPPORTED_HINT);
    return NULL;
}

void *sq_alloc(struct sq_cx *cx, size_t bytes)
{
    void *memory = sy_arena_calloc(cx->arena, 1, bytes == 0 ? 1 : bytes);
    if (memory == NULL)
        (void)sy_err_set(cx->err, SY_E_NO_MEMORY, "out of memory");
    return memory;
}

const char *sq_printf(struct sq_cx *cx, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int bytes = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = bytes < 0 ? NULL : sy_arena_alloc(cx->arena, (size_t)bytes + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)bytes + 1, format, again);
    else
        (void)sy_err_set(cx->err, SY_E_NO_MEMORY, "out of memory");
    va_end(again);
    return text;
}

bool sq_list_add(struct sq_cx *cx, struct sq_list *list, void *item)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        void **items = sq_alloc(cx, capacity * sizeof(*items));
        if (items == NULL)
            return false;
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = item;
    return true;
}

static const char *quoted(struct sq_cx *cx, const char *text, size_t bytes, char quote)
{
    size_t quotes = 0;
    for (size_t i = 0; i < bytes; i++)
        quotes += text[i] == quote;
    char *out = sy_arena_alloc(cx->arena, bytes + quotes + 3);
    if (out == NULL)
        return sq_error_null(cx, "53200", -1, "out of memory");
    size_t used = 0;
    out[used++] = quote;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == quote)
            out[used++] = quote;
        out[used++] = text[i];
    }
    out[used++] = quote;
    out[used] = '\0';
    return out;
}

const char *sq_ident(struct sq_cx *cx, const char *name)
{
    return quoted(cx, name, strlen(name), '"');
}

const char *sq_string(struct sq_cx *cx, const char *text, size_t bytes)
{
    return quoted(cx, text, bytes, '\'');
}

const char *sq_finish(struct sq_cx *cx, struct sy_buf *buf)
{
    char *text = buf->failed
                     ? NULL
                     : sy_arena_strndup(cx->arena, buf->bytes == 0 ? "" : buf->data, buf->bytes);
    if (text == NULL)
        (void)sy_err_set(cx->err, SY_E_NO_MEMORY, "out of memory");
    sy_buf_release(buf);
    return text;
}

bool sq_enter(struct sq_cx *cx)
{
    if (++cx->depth > SQ_DEPTH_MAX)
        return sq_error(cx, "54001", -1, "stack depth limit exceeded");
    return true;
}

void sq_leave(struct sq_cx *cx)
{
    cx->depth--;
}

const char *sq_str(const sq_node *node)
{
    return node != NULL && node->node_case == PG_QUERY__NODE__NODE_STRING ? node->string->sval
                                                                          : NULL;
}

bool sq_note_relation(struct sq_cx *cx, const char *name)
{
    for (uint32_t i = 0; i < cx->relations.count; i++)
        if (strcmp(cx->relations.items[i], name) == 0)
            return true;
    return sq_list_add(cx, &cx->relations, sy_arena_strdup(cx->arena, name));
}

bool sq_notice(struct sq_cx *cx, const char *sqlstate, const char *text)
{
    struct sy_sqnotice *notice = sq_alloc(cx, sizeof(*notice));
    if (notice == NULL || text == NULL)
        return false;
    *notice = (struct sy_sqnotice){"NOTICE", sqlstate, text};
    return sq_list_add(cx, &cx->notices, notice);
}

PgQuery__ParseResult *sq_parse(struct sq_cx *cx, const char *text)
{
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(text);
    PgQuery__ParseResult *tree = NULL;
    if (result.error != NULL) {
        (void)sq_error(cx, "42601", -1, "%s", result.error->message);
        if (cx->err != NULL && cx->view_depth == 0)
            cx->err->position = result.error->cursorpos;
    } else {
        tree = pg_query__parse_result__unpack(NULL, result.parse_tree.len,
                                              (const uint8_t *)result.parse_tree.data);
        if (tree == NULL)
            (void)sy_err_set(cx->err, SY_E_NO_MEMORY, "out of memory");
    }
    pg_query_free_protobuf_parse_result(result);
    return tree;
}

void sq_parse_free(PgQuery__ParseResult *tree)
{
    if (tree != NULL)
        pg_query__parse_result__free_unpacked(tree, NULL);
}

bool sq_step(struct sq_cx *cx, struct sq_out *out, const char *sql, bool main)
{
    struct sy_sqstep *step = sql == NULL ? NULL : sq_alloc(cx, sizeof(*step));
    if (step == NULL)
        return false;
    *step = (struct sy_sqstep){.sql = sql, .main = main};
    return sq_list_add(cx, &out->steps, step);
}

bool sq_ddl(struct sq_cx *cx, struct sq_out *out, enum sy_sqddl_kind kind, const char *schema,
            const char *name, const struct sy_sqrelation *relation)
{
    struct sy_sqddl *ddl = sq_alloc(cx, sizeof(*ddl));
    if (ddl == NULL)
        return false;
    *ddl = (struct sy_sqddl){kind, schema, name, relation};
    return sq_list_add(cx, &out->ddl, ddl);
}

bool sq_result_columns(struct sq_cx *cx, struct sq_out *out, const struct sq_field *columns,
                       uint32_t count)
{
    struct sy_sqresult_column *result = sq_alloc(cx, count * sizeof(*result));
    if (result == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const struct sq_expr *expr = columns[i].expr;
        result[i] =
            (struct sy_sqresult_column){sy_arena_strdup(cx->arena, columns[i].name), expr->type,
                                        expr->typmod, expr->table_oid, expr->attnum};
    }
    out->t->columns = result;
    out->t->column_count = count;
    out->t->returns_rows = true;
    return true;
}
