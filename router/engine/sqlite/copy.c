/* COPY: its options, how it begins and ends, and rows going out. */
#include "router/engine/sqlite/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/session_env.h"

/* ---- options ---- */

static bool bad(struct sy_sqlite_session *s, const char *sqlstate, const char *text)
{
    sy_err_set(&s->err, SY_E_STATE, "%s", text);
    sy_err_state(&s->err, sqlstate);
    return false;
}

static const char *text_of(const PgQuery__Node *arg)
{
    if (arg == NULL)
        return NULL;
    if (arg->node_case == PG_QUERY__NODE__NODE_STRING)
        return arg->string->sval;
    if (arg->node_case == PG_QUERY__NODE__NODE_A_CONST &&
        arg->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL)
        return arg->a_const->sval->sval;
    if (arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN)
        return arg->boolean->boolval ? "true" : "false";
    if (arg->node_case == PG_QUERY__NODE__NODE_INTEGER)
        return arg->integer->ival != 0 ? "true" : "false";
    return NULL;
}

static bool is_true(const PgQuery__Node *arg)
{
    const char *text = text_of(arg);
    return arg == NULL || text == NULL || strcasecmp(text, "true") == 0 ||
           strcasecmp(text, "on") == 0 || strcmp(text, "1") == 0;
}

static bool one_byte(struct sy_sqlite_session *s, const PgQuery__DefElem *e, char *ret)
{
    const char *text = text_of(e->arg);
    if (text == NULL || strlen(text) != 1) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED, "COPY %s must be a single one-byte character",
                   e->defname);
        return false;
    }
    *ret = text[0];
    return true;
}

static bool set_format(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, const char *name)
{
    if (name != NULL && strcmp(name, "text") == 0) {
        copy->format = SY_COPY_TEXT;
    } else if (name != NULL && strcmp(name, "csv") == 0) {
        copy->format = SY_COPY_CSV;
    } else if (name != NULL && strcmp(name, "binary") == 0) {
        copy->format = SY_COPY_BINARY;
    } else {
        sy_err_set(&s->err, SY_E_VALUE, "COPY format \"%s\" not recognized",
                   name == NULL ? "" : name);
        return false;
    }
    return true;
}

static bool set_header(struct sy_sqlite_copy *copy, const PgQuery__Node *arg)
{
    const char *text = text_of(arg);
    copy->header_match = text != NULL && strcasecmp(text, "match") == 0;
    copy->header = copy->header_match || is_true(arg);
    return true;
}

/* Lists of column names are looked at when the columns are known. */
static bool read_option(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                        const PgQuery__DefElem *e)
{
    const char *name = e->defname;
    if (strcmp(name, "format") == 0)
        return set_format(s, copy, text_of(e->arg));
    if (strcmp(name, "delimiter") == 0)
        return one_byte(s, e, &copy->delimiter);
    if (strcmp(name, "quote") == 0)
        return one_byte(s, e, &copy->quote);
    if (strcmp(name, "escape") == 0)
        return one_byte(s, e, &copy->escape);
    if (strcmp(name, "header") == 0)
        return set_header(copy, e->arg);
    if (strcmp(name, "null") == 0) {
        const char *text = text_of(e->arg);
        copy->null_text = sy_slice_of(sy_arena_strdup(&copy->arena, text == NULL ? "" : text));
        return true;
    }
    if (strcmp(name, "encoding") == 0) {
        const char *text = text_of(e->arg);
        if (text != NULL && (strcasecmp(text, "utf8") == 0 || strcasecmp(text, "utf-8") == 0))
            return true;
        return bad(s, "0A000", "COPY of the embedded engine is in UTF8");
    }
    if (strcmp(name, "freeze") == 0 || strncmp(name, "force_", 6) == 0)
        return true;
    sy_err_set(&s->err, SY_E_SYNTAX, "option \"%s\" not recognized", name);
    return false;
}

static bool read_options(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                         const PgQuery__CopyStmt *stmt)
{
    for (size_t i = 0; i < stmt->n_options; i++) {
        if (stmt->options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            !read_option(s, copy, stmt->options[i]->def_elem))
            return false;
    }
    bool csv = copy->format == SY_COPY_CSV;
    if (copy->format == SY_COPY_BINARY &&
        (copy->delimiter != 0 || copy->null_text.data != NULL || copy->header))
        return bad(s, "42601", "cannot specify DELIMITER, NULL or HEADER in BINARY mode");
    if (!csv && (copy->quote != 0 || copy->escape != 0))
        return bad(s, "0A000", "COPY quote and escape are available only in CSV mode");
    if (copy->delimiter == 0)
        copy->delimiter = csv ? ',' : '\t';
    if (copy->quote == 0)
        copy->quote = '"';
    if (copy->escape == 0)
        copy->escape = copy->quote;
    if (copy->null_text.data == NULL)
        copy->null_text = csv ? SY_SLICE("") : SY_SLICE("\\N");
    if (copy->delimiter == copy->quote && csv)
        return bad(s, "22023", "COPY delimiter and quote must be different");
    if (strchr(csv ? "\r\n" : "\\abcdefghijklmnopqrstuvwxyz0123456789.\r\n", copy->delimiter) !=
        NULL)
        return bad(s, "22023", "COPY delimiter cannot be this character");
    return true;
}

/* FORCE_QUOTE (a, b) | *: flags by position of `names`. */
static bool read_force(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                       const PgQuery__CopyStmt *stmt, const char *option, bool *flags,
                       const char *const *names, uint32_t count)
{
    for (size_t i = 0; i < stmt->n_options; i++) {
        const PgQuery__DefElem *e = stmt->options[i]->def_elem;
        if (stmt->options[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM ||
            strcmp(e->defname, option) != 0)
            continue;
        if (copy->format != SY_COPY_CSV)
            return bad(s, "0A000", "COPY force options are available only in CSV mode");
        bool all = e->arg != NULL && e->arg->node_case != PG_QUERY__NODE__NODE_LIST;
        for (uint32_t c = 0; c < count; c++)
            flags[c] = flags[c] || all;
        for (size_t n = 0; !all && e->arg != NULL && n < e->arg->list->n_items; n++) {
            const char *wanted = text_of(e->arg->list->items[n]);
            for (uint32_t c = 0; c < count; c++)
                flags[c] = flags[c] || (wanted != NULL && strcmp(names[c], wanted) == 0);
        }
    }
    return true;
}

static bool read_all_forces(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                            const PgQuery__CopyStmt *stmt, const char *const *names, uint32_t count)
{
    copy->force_quote = sy_arena_calloc(&copy->arena, count + 1, sizeof(bool));
    copy->force_not_null = sy_arena_calloc(&copy->arena, count + 1, sizeof(bool));
    copy->force_null = sy_arena_calloc(&copy->arena, count + 1, sizeof(bool));
    if (copy->force_quote == NULL || copy->force_not_null == NULL || copy->force_null == NULL)
        return bad(s, "53200", "out of memory");
    return read_force(s, copy, stmt, "force_quote", copy->force_quote, names, count) &&
           read_force(s, copy, stmt, "force_not_null", copy->force_not_null, names, count) &&
           read_force(s, copy, stmt, "force_null", copy->force_null, names, count);
}

/* ---- beginning ---- */

static void copy_free(struct sy_sqlite_copy **copy)
{
    struct sy_sqlite_copy *self = *copy;
    *copy = NULL;
    if (self == NULL)
        return;
    if (self->stmt != NULL)
        sqlite3_finalize(self->stmt);
    sy_sqlite_portal_reset(&self->portal);
    sy_arena_release(&self->portal.arena);
    sy_sqlite_catalog_unref(&self->catalog);
    sy_buf_release(&self->pending);
    sy_arena_release(&self->row);
    sy_arena_release(&self->arena);
    free(self);
}

void sy_sqlite_copy_abort(struct sy_sqlite_session *s)
{
    copy_free(&s->copy);
    copy_free(&s->copy_out);
    copy_free(&s->copy_starting);
}

static const struct sy_sqrelation *find_relation(struct sy_sqlite_session *s,
                                                 const PgQuery__RangeVar *r)
{
    const char *schema = r->schemaname != NULL && r->schemaname[0] != '\0' ? r->schemaname : NULL;
    const struct sy_sqrelation *relation = sy_sqlite_catalog_find(s->catalog, schema, r->relname);
    if (relation == NULL) {
        sy_err_set(&s->err, SY_E_NOT_FOUND, "relation \"%s\" does not exist", r->relname);
        sy_err_state(&s->err, "42P01");
    }
    return relation;
}

static int find_column(const struct sy_sqrelation *relation, const char *name)
{
    for (uint32_t i = 0; name != NULL && i < relation->column_count; i++) {
        if (strcmp(relation->columns[i].name, name) == 0)
            return (int)i;
    }
    return -1;
}

static bool read_columns(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                         const PgQuery__CopyStmt *stmt)
{
    const struct sy_sqrelation *relation = copy->relation;
    uint32_t count = stmt->n_attlist == 0 ? relation->column_count : (uint32_t)stmt->n_attlist;
    copy->columns = sy_arena_calloc(&copy->arena, count + 1, sizeof(*copy->columns));
    if (copy->columns == NULL)
        return bad(s, "53200", "out of memory");
    for (uint32_t i = 0; i < count; i++) {
        if (stmt->n_attlist == 0 && relation->columns[i].generated != 0)
            continue;
        int index =
            stmt->n_attlist == 0 ? (int)i : find_column(relation, text_of(stmt->attlist[i]));
        if (index < 0) {
            sy_err_set(&s->err, SY_E_NOT_FOUND, "column \"%s\" of relation \"%s\" does not exist",
                       text_of(stmt->attlist[i]), relation->name);
            sy_err_state(&s->err, "42703");
            return false;
        }
        copy->columns[copy->column_count++] = (uint16_t)index;
    }
    return true;
}

static bool column_forces(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                          const PgQuery__CopyStmt *stmt)
{
    const char **names = sy_arena_calloc(&copy->arena, copy->column_count + 1, sizeof(*names));
    copy->fields = sy_arena_calloc(&copy->arena, copy->column_count + 1, sizeof(*copy->fields));
    copy->quoted = sy_arena_calloc(&copy->arena, copy->column_count + 1, sizeof(*copy->quoted));
    if (names == NULL || copy->fields == NULL || copy->quoted == NULL)
        return bad(s, "53200", "out of memory");
    for (uint32_t i = 0; i < copy->column_count; i++)
        names[i] = copy->relation->columns[copy->columns[i]].name;
    return read_all_forces(s, copy, stmt, names, copy->column_count);
}

static bool prepare_in(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                       const struct sy_sqlite_plan *plan)
{
    const PgQuery__CopyStmt *stmt = plan->node->copy_stmt;
    if (stmt->where_clause != NULL)
        return bad(s, "0A000", "COPY FROM ... WHERE is not supported by the embedded engine");
    copy->relation = find_relation(s, stmt->relation);
    if (copy->relation == NULL)
        return false;
    if (copy->relation->kind != 'r' || copy->relation->read_only)
        return bad(s, "42809", "cannot copy to this relation: it is not a table");
    copy->catalog = sy_sqlite_catalog_ref(s->catalog);
    const struct sy_sqinput input = {
        .text = {plan->script->text, plan->script->text_bytes},
        .schema = &s->catalog->schema,
        .settings = &s->sq.types,
        .user = s->user,
        .database = s->database,
        .search_schema = "public",
    };
    return read_columns(s, copy, stmt) && column_forces(s, copy, stmt) &&
           sy_sqtranslate_copy_insert(&input, copy->relation, copy->columns, copy->column_count,
                                      &copy->arena, &copy->sql, &s->err) == SY_OK;
}

/* COPY table TO is COPY (SELECT columns FROM table) TO. */
static bool table_query(struct sy_sqlite_session *s, const PgQuery__CopyStmt *stmt,
                        struct sy_sqlite_script **ret_script)
{
    const struct sy_sqrelation *relation = find_relation(s, stmt->relation);
    if (relation == NULL)
        return false;
    if (relation->kind == 'v') {
        sy_err_set(&s->err, SY_E_STATE, "cannot copy from view \"%s\"", relation->name);
        sy_err_state(&s->err, "42809");
        sy_err_hint(&s->err, "Try the COPY (SELECT ...) TO variant.");
        return false;
    }
    struct sy_buf sql = {0};
    sy_buf_append_str(&sql, "SELECT ");
    uint32_t written = 0;
    uint32_t count = stmt->n_attlist == 0 ? relation->column_count : (uint32_t)stmt->n_attlist;
    for (uint32_t i = 0; i < count; i++) {
        if (stmt->n_attlist == 0 && relation->columns[i].generated != 0)
            continue;
        if (written++ > 0)
            sy_buf_append_str(&sql, ", ");
        sy_sqlite_quote_identifier(&sql, stmt->n_attlist == 0 ? relation->columns[i].name
                                                              : text_of(stmt->attlist[i]));
    }
    sy_buf_append_str(&sql, " FROM ");
    sy_sqlite_quote_identifier(&sql, relation->schema);
    sy_buf_append_str(&sql, ".");
    sy_sqlite_quote_identifier(&sql, relation->name);
    bool ok = sy_sqlite_script_parse((struct sy_slice){sql.data, sql.bytes}, ret_script, &s->err) ==
              SY_OK;
    sy_buf_release(&sql);
    return ok;
}

static bool prepare_out(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                        const struct sy_sqlite_plan *plan)
{
    const PgQuery__CopyStmt *stmt = plan->node->copy_stmt;
    struct sy_sqlite_script *script = NULL;
    bool ok = true;
    if (stmt->query == NULL)
        ok = table_query(s, stmt, &script);
    if (ok)
        ok = sy_sqlite_plan_make(s, script != NULL ? script : plan->script,
                                 script != NULL ? script->tree->stmts[0]->stmt : stmt->query, NULL,
                                 0, &copy->portal.plan, &s->err) == SY_OK;
    sy_sqlite_script_unref(&script);
    if (!ok)
        return false;
    const struct sy_sqtranslation *t = copy->portal.plan->t;
    if (!t->returns_rows)
        return bad(s, "0A000", "COPY query must have a RETURNING clause");
    const char **names = sy_arena_calloc(&copy->arena, t->column_count + 1, sizeof(*names));
    if (names == NULL)
        return bad(s, "53200", "out of memory");
    for (uint32_t i = 0; i < t->column_count; i++)
        names[i] = t->columns[i].name;
    copy->column_count = t->column_count;
    copy->portal.same_format = true;
    copy->portal.format = copy->format == SY_COPY_BINARY;
    return read_all_forces(s, copy, stmt, names, t->column_count);
}

static bool prepare(struct sy_sqlite_session *s, const struct sy_sqlite_plan *plan)
{
    const PgQuery__CopyStmt *stmt = plan->node->copy_stmt;
    if (stmt->is_program || (stmt->filename != NULL && stmt->filename[0] != '\0')) {
        bad(s, "42501", "COPY with a file or a program is not allowed by the embedded engine");
        sy_err_hint(&s->err, "Use COPY FROM STDIN or COPY TO STDOUT (psql: \\copy).");
        return false;
    }
    struct sy_sqlite_copy *copy = calloc(1, sizeof(*copy));
    if (copy == NULL)
        return bad(s, "53200", "out of memory");
    s->copy_starting = copy;
    copy->is_in = stmt->is_from;
    sy_sqlite_refresh_catalog(s);
    sy_sqlite_env_query(s);
    return read_options(s, copy, stmt) &&
           (copy->is_in ? prepare_in(s, copy, plan) : prepare_out(s, copy, plan));
}

static void write_response(struct sy_sqlite_session *s, const struct sy_sqlite_copy *copy,
                           char type)
{
    uint16_t *formats = sy_arena_calloc(&s->scratch, copy->column_count + 1, sizeof(*formats));
    uint8_t format = copy->format == SY_COPY_BINARY;
    for (uint32_t i = 0; formats != NULL && i < copy->column_count; i++)
        formats[i] = format;
    sy_write_copy_response(&s->out, type, format, formats, (uint16_t)copy->column_count);
}

static enum sy_sqlite_step start_in(struct sy_sqlite_session *s, const struct sy_sqlite_plan *plan)
{
    if (s->file->index > 0 || (s->txn == 'T' ? s->read_only : s->default_read_only)) {
        bad(s, "25006", "cannot execute COPY FROM in a read-only transaction");
        return SY_STEP_ERROR;
    }
    enum sy_sqlite_step step = sy_sqlite_need_writer(s);
    if (step != SY_STEP_DONE)
        return step;
    if (!s->catalog_own &&
        s->copy_starting->catalog->generation != atomic_load(&s->file->generation)) {
        /* The schema changed while it waited. */
        copy_free(&s->copy_starting);
        if (!prepare(s, plan))
            return SY_STEP_ERROR;
    }
    struct sy_sqlite_copy *copy = s->copy_starting;
    int rc = sqlite3_prepare_v3(s->shard->writer->db, copy->sql, -1, SQLITE_PREPARE_PERSISTENT,
                                &copy->stmt, NULL);
    if (rc != SQLITE_OK) {
        sy_sqlite_error(s, s->shard->writer, rc);
        return SY_STEP_ERROR;
    }
    s->copy_starting = NULL;
    s->copy = copy;
    write_response(s, copy, 'G');
    sy_sqlite_session_flush(s);
    return SY_STEP_DONE;
}

/* ---- rows going out ---- */

static void put_text_escaped(struct sy_buf *out, const struct sy_sqlite_copy *copy,
                             const char *text, size_t bytes)
{
    static const char specials[] = "\b\f\n\r\t\v\\", letters[] = "bfnrtv\\";
    for (size_t i = 0; i < bytes; i++) {
        const char *found = text[i] == '\0' ? NULL : strchr(specials, text[i]);
        if (found != NULL) {
            sy_buf_append_u8(out, '\\');
            sy_buf_append_u8(out, (uint8_t)letters[found - specials]);
        } else {
            if (text[i] == copy->delimiter)
                sy_buf_append_u8(out, '\\');
            sy_buf_append_u8(out, (uint8_t)text[i]);
        }
    }
}

static bool needs_quotes(const struct sy_sqlite_copy *copy, const char *text, size_t bytes,
                         bool single_column)
{
    if (copy->null_text.bytes == bytes && memcmp(text, copy->null_text.data, bytes) == 0)
        return true;
    if (single_column && bytes == 2 && memcmp(text, "\\.", 2) == 0)
        return true;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == copy->delimiter || text[i] == copy->quote || text[i] == '\n' ||
            text[i] == '\r')
            return true;
    }
    return false;
}

static void put_csv(struct sy_buf *out, const struct sy_sqlite_copy *copy, uint32_t column,
                    const char *text, size_t bytes)
{
    bool quote =
        copy->force_quote[column] || needs_quotes(copy, text, bytes, copy->column_count == 1);
    if (!quote) {
        sy_buf_append(out, text, bytes);
        return;
    }
    sy_buf_append_u8(out, (uint8_t)copy->quote);
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == copy->quote || text[i] == copy->escape)
            sy_buf_append_u8(out, (uint8_t)copy->escape);
        sy_buf_append_u8(out, (uint8_t)text[i]);
    }
    sy_buf_append_u8(out, (uint8_t)copy->quote);
}

static bool put_field(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy, uint32_t column,
                      uint32_t type, const struct sy_sqvalue *value)
{
    if (column > 0)
        sy_buf_append_u8(&s->out, (uint8_t)copy->delimiter);
    if (value->kind == SY_SQ_NULL) {
        sy_buf_append_slice(&s->out, copy->null_text);
        return true;
    }
    sy_buf_clear(&copy->pending);
    if (sy_type_encode(type, 0, value, &s->sq.types, &copy->pending, &s->err) != SY_OK)
        return false;
    const char *text = copy->pending.data == NULL ? "" : copy->pending.data;
    if (copy->format == SY_COPY_CSV)
        put_csv(&s->out, copy, column, text, copy->pending.bytes);
    else
        put_text_escaped(&s->out, copy, text, copy->pending.bytes);
    return true;
}

bool sy_sqlite_copy_out_row(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                            sqlite3_stmt *stmt)
{
    struct sy_sqlite_copy *copy = s->copy_out;
    const struct sy_sqtranslation *t = portal->plan->t;
    size_t before = s->out.bytes, message = sy_msg_begin(&s->out, 'd');
    bool ok = true;
    if (copy->format == SY_COPY_BINARY)
        sy_buf_append_u16(&s->out, (uint16_t)t->column_count);
    for (uint32_t i = 0; ok && i < t->column_count; i++) {
        struct sy_sqvalue value = sy_sqvalue_column(stmt, (int)i);
        ok = copy->format == SY_COPY_BINARY
                 ? sy_sqlite_put_value(s, &s->out, t->columns[i].type, 1, &value)
                 : put_field(s, copy, i, t->columns[i].type, &value);
    }
    if (copy->format != SY_COPY_BINARY)
        sy_buf_append_u8(&s->out, '\n');
    if (!ok || s->out.failed) {
        s->out.bytes = before;
        if (ok)
            bad(s, "53200", "out of memory");
        return false;
    }
    sy_msg_end(&s->out, message);
    return true;
}

static void put_beginning(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy)
{
    static const char signature[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    write_response(s, copy, 'H');
    if (copy->format == SY_COPY_BINARY) {
        sy_write_copy_data(&s->out, (struct sy_slice){signature, 19});
    } else if (copy->header) {
        size_t message = sy_msg_begin(&s->out, 'd');
        for (uint32_t i = 0; i < copy->column_count; i++) {
            const char *name = copy->portal.plan->t->columns[i].name;
            if (i > 0)
                sy_buf_append_u8(&s->out, (uint8_t)copy->delimiter);
            if (copy->format == SY_COPY_CSV)
                put_csv(&s->out, copy, i, name, strlen(name));
            else
                put_text_escaped(&s->out, copy, name, strlen(name));
        }
        sy_buf_append_u8(&s->out, '\n');
        sy_msg_end(&s->out, message);
    }
}

static void complete(struct sy_sqlite_session *s, uint64_t rows)
{
    char tag[40];
    snprintf(tag, sizeof(tag), "COPY %" PRIu64, rows);
    s->tag_mark = s->out.bytes;
    sy_write_command_complete(&s->out, tag);
}

static enum sy_sqlite_step run_out(struct sy_sqlite_session *s)
{
    struct sy_sqlite_copy *copy = s->copy_starting != NULL ? s->copy_starting : s->copy_out;
    if (!copy->started) {
        put_beginning(s, copy);
        copy->started = true;
    }
    s->copy_out = copy;
    s->copy_starting = NULL;
    enum sy_sqlite_step step = sy_sqlite_portal_rows(s, &copy->portal);
    if (step == SY_STEP_WAIT)
        return step;
    if (step == SY_STEP_DONE) {
        if (copy->format == SY_COPY_BINARY)
            sy_write_copy_data(&s->out, SY_SLICE("\377\377"));
        sy_write_simple(&s->out, 'c');
        complete(s, s->run_count);
    }
    copy_free(&s->copy_out);
    return step;
}

enum sy_sqlite_step sy_sqlite_copy_start(struct sy_sqlite_session *s,
                                         struct sy_sqlite_portal *portal)
{
    if (s->copy_starting == NULL && s->copy_out == NULL && !prepare(s, portal->plan)) {
        copy_free(&s->copy_starting);
        return SY_STEP_ERROR;
    }
    if (s->copy_out != NULL || !s->copy_starting->is_in)
        return run_out(s);
    enum sy_sqlite_step step = start_in(s, portal->plan);
    if (step == SY_STEP_ERROR)
        copy_free(&s->copy_starting);
    return step;
}

/* ---- messages while data comes in ---- */

static void copy_failed(struct sy_sqlite_session *s)
{
    struct sy_sqlite_copy *copy = s->copy;
    if (copy->line > 0 && copy->relation != NULL)
        snprintf(s->err_context, sizeof(s->err_context), "COPY %s, line %" PRIu64,
                 copy->relation->name, copy->line);
    copy_free(&s->copy);
    if (s->simple.active) {
        sy_sqlite_simple_failed(s);
        return;
    }
    sy_sqlite_transaction_failed(s);
    sy_sqlite_write_error(s, "ERROR");
    s->skip_to_sync = true;
}

static void copy_done(struct sy_sqlite_session *s)
{
    uint64_t rows = s->copy->rows;
    copy_free(&s->copy);
    complete(s, rows);
    if (s->simple.active)
        sy_sqlite_simple_next(s);
}

static bool take_data(struct sy_sqlite_session *s, struct sy_sqlite_copy *copy,
                      struct sy_slice body)
{
    if (sy_sqlite_session_interrupted(s))
        return false;
    if (copy->end_seen)
        return true;
    sy_buf_append_slice(&copy->pending, body);
    if (copy->pending.failed)
        return bad(s, "54000", "a row of COPY is too long");
    return sy_sqlite_copy_rows(s, copy, false);
}

void sy_sqlite_copy_message(struct sy_sqlite_session *s, char type, struct sy_slice body)
{
    bool ok = true;
    switch (type) {
    case 'd':
        ok = take_data(s, s->copy, body);
        break;
    case 'c':
        ok = sy_sqlite_copy_rows(s, s->copy, true);
        if (ok) {
            copy_done(s);
            return;
        }
        break;
    case 'f':
        sy_err_set(&s->err, SY_E_CANCELED, "COPY from stdin failed: %.*s",
                   (int)(body.bytes == 0 ? 0 : body.bytes - 1), body.data);
        ok = false;
        break;
    case 'H':
    case 'S':
        break; /* as PostgreSQL: not looked at while data comes in */
    case 'X':
        sy_sqlite_session_expire(s, SY_STOP_CLOSE);
        break;
    default:
        sy_err_set(&s->err, SY_E_PROTOCOL, "unexpected message type 0x%02X during COPY from stdin",
                   (unsigned char)type);
        ok = false;
        break;
    }
    if (!ok)
        copy_failed(s);
}
