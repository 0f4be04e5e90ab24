/* See facts_print.h. Pure. */
#include "parser/facts_print.h"

static void print_slice(struct sy_slice slice, struct sy_buf *out)
{
    sy_buf_append_slice(out, slice);
}

static void print_flag(bool set, const char *word, struct sy_buf *out)
{
    if (set)
        sy_buf_printf(out, " %s", word);
}

static void print_value(const struct sy_value *value, struct sy_buf *out)
{
    if (value->array_element_of)
        sy_buf_append_str(out, "any(");
    switch (value->kind) {
    case SY_VALUE_LITERAL:
        sy_buf_printf(out, "%s?%d", value->negated ? "-" : "", (int)value->index);
        break;
    case SY_VALUE_PARAM:
        sy_buf_printf(out, "$%d", (int)value->index);
        break;
    case SY_VALUE_NULL:
        sy_buf_append_str(out, "NULL");
        break;
    case SY_VALUE_BOOL:
        sy_buf_append_str(out, value->index != 0 ? "true" : "false");
        break;
    case SY_VALUE_DEFAULT:
        sy_buf_append_str(out, "DEFAULT");
        break;
    case SY_VALUE_OPAQUE:
        sy_buf_append_str(out, "*");
        break;
    }
    if (value->array_element_of)
        sy_buf_append_str(out, ")");
    if (value->cast.bytes > 0) {
        sy_buf_append_str(out, "::");
        print_slice(value->cast, out);
    }
}

static void print_column(int32_t table, int32_t scope, struct sy_slice column, struct sy_buf *out)
{
    if (table != SY_NO_INDEX)
        sy_buf_printf(out, "t%d.", (int)table);
    print_slice(column, out);
    sy_buf_printf(out, "@%d", (int)scope);
}

static void print_cond(const struct sy_stmt *stmt, int32_t index, struct sy_buf *out)
{
    static const char *const ops[] = {
        [SY_OP_EQ] = "=", [SY_OP_IN] = "in", [SY_OP_LT] = "<",           [SY_OP_LE] = "<=",
        [SY_OP_GT] = ">", [SY_OP_GE] = ">=", [SY_OP_IS_NULL] = "isnull",
    };
    const struct sy_cond *cond = &stmt->conds[index];
    switch (cond->kind) {
    case SY_COND_FALSE:
        sy_buf_append_str(out, "FALSE");
        return;
    case SY_COND_OTHER:
        sy_buf_append_str(out, "OTHER");
        return;
    case SY_COND_AND:
    case SY_COND_OR:
        sy_buf_append_str(out, cond->kind == SY_COND_AND ? "(AND" : "(OR");
        for (int32_t i = 0; i < cond->child_count; i++) {
            sy_buf_append_str(out, " ");
            print_cond(stmt, stmt->cond_children[cond->first_child + i], out);
        }
        sy_buf_append_str(out, ")");
        return;
    case SY_COND_COMPARE:
        break;
    }
    sy_buf_printf(out, "(%s ", ops[cond->op]);
    if (cond->table != SY_NO_INDEX)
        sy_buf_printf(out, "t%d.", (int)cond->table);
    print_slice(cond->column, out);
    for (int32_t i = 0; i < cond->value_count; i++) {
        sy_buf_append_str(out, " ");
        print_value(&stmt->values[cond->first_value + i], out);
    }
    sy_buf_append_str(out, ")");
}

static const char *scope_kind(enum sy_stmt_kind kind)
{
    if (kind == SY_STMT_SELECT)
        return "SELECT";
    if (kind == SY_STMT_INSERT)
        return "INSERT";
    if (kind == SY_STMT_UPDATE)
        return "UPDATE";
    if (kind == SY_STMT_DELETE)
        return "DELETE";
    return kind == SY_STMT_MERGE ? "MERGE" : "OTHER";
}

static void print_scope(const struct sy_stmt *stmt, int32_t index, struct sy_buf *out)
{
    const struct sy_scope *s = &stmt->scopes[index];
    size_t mark = out->bytes;
    sy_buf_printf(out, " | s%d", (int)index);
    size_t empty = out->bytes;
    if (index > 0)
        sy_buf_printf(out, "<%d %s", (int)s->parent, scope_kind(s->kind));
    print_flag(s->is_cte, "cte", out);
    print_flag(s->is_from_subquery, "from", out);
    print_flag(s->is_sublink, "sublink", out);
    print_flag(s->is_recursive, "recursive", out);
    print_flag(s->has_set_operation, "setop", out);
    print_flag(s->has_distinct, "distinct", out);
    print_flag(s->has_distinct_on, "distinct_on", out);
    print_flag(s->has_group_by, "group", out);
    print_flag(s->has_grouping_sets, "sets", out);
    print_flag(s->has_having, "having", out);
    print_flag(s->has_aggregate, "agg", out);
    print_flag(s->has_window, "window", out);
    print_flag(s->has_srf, "srf", out);
    print_flag(s->has_order_by, "order", out);
    print_flag(s->has_limit, "limit", out);
    print_flag(s->has_offset, "offset", out);
    print_flag(s->has_locking, "locking", out);
    if (s->where != SY_NO_INDEX) {
        sy_buf_append_str(out, " where=");
        print_cond(stmt, s->where, out);
    }
    if (out->bytes == empty)
        out->bytes = mark;
}

static void print_name(const struct sy_qname *name, struct sy_buf *out)
{
    if (name->schema.bytes > 0) {
        print_slice(name->schema, out);
        sy_buf_append_str(out, ".");
    }
    print_slice(name->name, out);
}

static void print_table(const struct sy_stmt *stmt, int32_t index, struct sy_buf *out)
{
    static const char *const roles[] = {
        [SY_TABLE_READ] = "read", [SY_TABLE_TARGET] = "target", [SY_TABLE_DEFINE] = "define"};
    const struct sy_table_use *t = &stmt->tables[index];
    sy_buf_printf(out, " | t%d %s ", (int)index, roles[t->role]);
    print_name(&t->name, out);
    if (!sy_slice_eq(t->alias, t->name.name)) {
        sy_buf_append_str(out, " ");
        print_slice(t->alias, out);
    }
    sy_buf_printf(out, "@%d", (int)t->scope);
    print_flag(t->nullable_side, "nullable", out);
}

static void print_insert(const struct sy_stmt *stmt, int32_t index, struct sy_buf *out)
{
    const struct sy_insert *insert = &stmt->inserts[index];
    sy_buf_printf(out, " | insert@%d", (int)insert->scope);
    for (int32_t i = 0; i < insert->column_count; i++) {
        sy_buf_append_str(out, i == 0 ? " (" : ",");
        print_slice(stmt->columns[insert->first_column + i], out);
    }
    if (insert->column_count > 0)
        sy_buf_append_str(out, ")");
    print_flag(insert->from_select, "select", out);
    print_flag(insert->default_values, "defaults", out);
    print_flag(insert->has_on_conflict, "conflict", out);
    for (int32_t i = 0; i < insert->row_count * insert->row_width; i++) {
        sy_buf_append_str(out, i % insert->row_width == 0 ? " [" : " ");
        print_value(&stmt->values[insert->row_first_value + i], out);
        if (i % insert->row_width == insert->row_width - 1)
            sy_buf_append_str(out, "]");
    }
}

static void print_lists(const struct sy_stmt *stmt, struct sy_buf *out)
{
    for (int32_t i = 0; i < stmt->equality_count; i++) {
        const struct sy_equality *e = &stmt->equalities[i];
        sy_buf_append_str(out, " | ");
        print_column(e->from_table, e->from_scope, e->from_column, out);
        sy_buf_append_str(out, ">");
        print_column(e->to_table, e->to_scope, e->to_column, out);
    }
    for (int32_t i = 0; i < stmt->function_count; i++) {
        sy_buf_append_str(out, " | fn ");
        print_name(&stmt->functions[i].name, out);
        sy_buf_printf(out, "/%d", (int)stmt->functions[i].arg_count);
    }
    for (int32_t i = 0; i < stmt->set_config_count; i++) {
        const struct sy_set_config *s = &stmt->set_configs[i];
        sy_buf_append_str(out, " | set_config ");
        print_value(&s->name, out);
        sy_buf_append_str(out, " ");
        print_value(&s->value, out);
        sy_buf_append_str(out, " ");
        print_value(&s->is_local, out);
    }
    for (int32_t i = 0; i < stmt->size_count; i++) {
        const struct sy_size_use *s = &stmt->sizes[i];
        sy_buf_append_str(out, s->relation.name.bytes > 0 ? " | size " : " | database size ");
        if (s->relation.name.bytes > 0)
            print_name(&s->relation, out);
        else
            print_slice(s->database, out);
        print_flag(s->pretty, "pretty", out);
    }
    for (int32_t i = 0; i < stmt->insert_count; i++)
        print_insert(stmt, i, out);
    for (int32_t i = 0; i < stmt->assignment_count; i++) {
        const struct sy_assignment *a = &stmt->assignments[i];
        sy_buf_printf(out, " | set@%d ", (int)a->scope);
        print_slice(a->column, out);
        sy_buf_append_str(out, "=");
        print_value(&a->value, out);
    }
    for (int32_t i = 0; i < stmt->argument_count; i++) {
        sy_buf_append_str(out, " | arg ");
        if (stmt->argument_words[i].data != NULL)
            print_slice(stmt->argument_words[i], out);
        else
            print_value(&stmt->arguments[i], out);
    }
}

static void print_copy(const struct sy_stmt *stmt, struct sy_buf *out)
{
    static const char *const formats[] = {
        [SY_COPY_TEXT] = "text", [SY_COPY_CSV] = "csv", [SY_COPY_BINARY] = "binary"};
    const struct sy_copy_facts *copy = &stmt->copy;
    sy_buf_printf(out, " | copy %s", formats[copy->format]);
    print_flag(copy->from_stdin_or_to_stdout, "std", out);
    print_flag(copy->is_query, "query", out);
    print_flag(copy->header, "header", out);
    print_flag(copy->header_match, "match", out);
    if (copy->delimiter != '\0')
        sy_buf_printf(out, " delimiter=%02x", (unsigned char)copy->delimiter);
    if (copy->quote != '\0')
        sy_buf_printf(out, " quote=%02x", (unsigned char)copy->quote);
    if (copy->escape != '\0')
        sy_buf_printf(out, " escape=%02x", (unsigned char)copy->escape);
    if (copy->has_null_text) {
        sy_buf_append_str(out, " null=");
        print_slice(copy->null_text, out);
    }
    if (copy->encoding.bytes > 0) {
        sy_buf_append_str(out, " encoding=");
        print_slice(copy->encoding, out);
    }
    print_flag(copy->has_force_null, "force", out);
    print_flag(copy->has_where, "where", out);
    print_flag(copy->has_freeze, "freeze", out);
    for (int32_t i = 0; i < stmt->column_count; i++) {
        sy_buf_append_str(out, i == 0 ? " (" : ",");
        print_slice(stmt->columns[i], out);
    }
    if (stmt->column_count > 0)
        sy_buf_append_str(out, ")");
}

static void print_named(const char *label, struct sy_slice text, struct sy_buf *out)
{
    if (text.bytes == 0)
        return;
    sy_buf_printf(out, " %s=", label);
    print_slice(text, out);
}

static void print_head(const struct sy_stmt *stmt, struct sy_buf *out)
{
    static const char *const set_scopes[] = {[SY_SET_SESSION] = "",
                                             [SY_SET_LOCAL] = "local",
                                             [SY_SET_TRANSACTION] = "transaction",
                                             [SY_SET_CHARACTERISTICS] = "characteristics"};
    sy_buf_append_str(out, stmt->tag != NULL ? stmt->tag : "-");
    print_named("object", stmt->object_kind, out);
    print_named("name", stmt->name, out);
    print_named("isolation", stmt->isolation, out);
    if (stmt->set_scope != SY_SET_SESSION)
        sy_buf_printf(out, " %s", set_scopes[stmt->set_scope]);
    print_flag(stmt->writes, "writes", out);
    print_flag(stmt->creates_temp, "temp", out);
    print_flag(stmt->not_in_transaction, "alone", out);
    print_flag(stmt->has_returning, "returning", out);
    print_flag(stmt->uses_advisory_lock, "advisory", out);
    print_flag(stmt->too_deep, "deep", out);
    print_flag(stmt->override_identity, "override", out);
    print_flag(stmt->set_to_default, "default", out);
    print_flag(stmt->all, "all", out);
    print_flag(stmt->chain, "chain", out);
    print_flag(stmt->transaction_read_only, "read_only", out);
    print_flag(stmt->transaction_read_write, "read_write", out);
    print_flag(stmt->with_hold, "hold", out);
    print_flag(stmt->explain_analyze, "analyze", out);
    print_flag(stmt->explain_route, "route", out);
    if (stmt->has_parameters)
        sy_buf_printf(out, " params=%d", (int)stmt->parameter_max);
}

static void stmt_print(const struct sy_stmt *stmt, struct sy_buf *out)
{
    print_head(stmt, out);
    for (int32_t i = 0; i < stmt->scope_count; i++)
        print_scope(stmt, i, out);
    for (int32_t i = 0; i < stmt->table_count; i++)
        print_table(stmt, i, out);
    print_lists(stmt, out);
    if (stmt->kind == SY_STMT_COPY_FROM || stmt->kind == SY_STMT_COPY_TO)
        print_copy(stmt, out);
    if (stmt->limit.kind != SY_VALUE_NULL) {
        sy_buf_append_str(out, " | limit ");
        print_value(&stmt->limit, out);
    }
    if (stmt->offset.kind != SY_VALUE_NULL) {
        sy_buf_append_str(out, " | offset ");
        print_value(&stmt->offset, out);
    }
    if (stmt->inner != NULL) {
        sy_buf_append_str(out, " | inner { ");
        stmt_print(stmt->inner, out);
        sy_buf_append_str(out, " }");
    }
}

void sy_facts_print(const struct sy_facts *facts, struct sy_buf *out)
{
    for (int32_t i = 0; i < facts->stmt_count; i++) {
        if (i > 0)
            sy_buf_append_str(out, " ;; ");
        stmt_print(&facts->stmts[i], out);
    }
}
