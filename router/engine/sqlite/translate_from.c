/* FROM: tables, views, CTEs, subqueries, functions and joins. */
#include "router/engine/sqlite/functions.h"
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

static const char *from_node(struct sq_cx *cx, const sq_node *node);

static bool alias_columns(struct sq_cx *cx, const PgQuery__Alias *alias, struct sq_field *columns,
                          uint32_t count)
{
    if (alias == NULL)
        return true;
    if (alias->n_colnames > count)
        return sq_error(cx, "42P10", -1,
                        "table \"%s\" has %u columns available but %zu columns specified",
                        alias->aliasname, count, alias->n_colnames);
    for (size_t i = 0; i < alias->n_colnames; i++)
        if (sq_str(alias->colnames[i]) != NULL)
            columns[i].name = sy_arena_strdup(cx->arena, sq_str(alias->colnames[i]));
    return true;
}

/* "table name specified more than once" among what this level's FROM has so far. */
static bool check_duplicate(struct sq_cx *cx, const char *name, int32_t location)
{
    for (uint32_t i = 0; i < cx->level->items.count; i++) {
        const struct sq_nsitem *item = cx->level->items.items[i];
        if (item->name == NULL || !item->rel_visible)
            continue;
        if (strcmp(item->name, name) == 0)
            return sq_error(cx, "42712", location, "table name \"%s\" specified more than once",
                            name);
        if (strcasecmp(item->name, name) == 0)
            return sq_unsupported(cx, location, "aliases \"%s\" and \"%s\" differ in case only",
                                  name, item->name) != NULL;
    }
    return true;
}

static struct sq_nsitem *add_item(struct sq_cx *cx, const char *name, struct sq_field *columns,
                                  uint32_t count)
{
    struct sq_nsitem *item = sq_alloc(cx, sizeof(*item));
    if (item == NULL)
        return NULL;
    *item = (struct sq_nsitem){.name = name,
                               .rel_visible = name != NULL,
                               .cols_visible = true,
                               .columns = columns,
                               .column_count = count};
    return sq_list_add(cx, &cx->level->items, item) ? item : NULL;
}

/* ---- subqueries, views, CTEs ---- */

bool sq_unique_names(struct sq_cx *cx, struct sq_query *query)
{
    for (uint32_t i = 0; i < query->column_count; i++) {
        bool taken = query->columns[i].name[0] == '\0';
        for (uint32_t j = 0; j < i && !taken; j++)
            taken = strcasecmp(query->columns[j].name, query->columns[i].name) == 0;
        if (taken)
            query->columns[i].name = sq_printf(cx, "%s:%u", query->columns[i].name, i + 1);
        if (query->columns[i].name == NULL)
            return false;
    }
    return true;
}

/* Columns as seen from outside: "alias"."name". Record columns bring their fields along as hidden
 * outputs. */
static struct sq_field *outer_columns(struct sq_cx *cx, struct sq_query *query, const char *alias)
{
    struct sq_field *columns = sq_alloc(cx, query->column_count * sizeof(*columns));
    const char *quoted = sq_ident(cx, alias);
    if (columns == NULL || quoted == NULL)
        return NULL;
    for (uint32_t i = 0; i < query->column_count; i++)
        columns[i].name = query->columns[i].name;
    if (!sq_unique_names(cx, query))
        return NULL;
    for (uint32_t i = 0; i < query->column_count; i++) {
        const struct sq_expr *inner = query->columns[i].expr;
        const char *name = sq_ident(cx, query->columns[i].name);
        struct sq_expr *expr =
            name == NULL ? NULL : sq_new(cx, inner->type, -1, sq_printf(cx, "%s.%s", quoted, name));
        if (expr == NULL)
            return NULL;
        expr->kind = SQ_COLUMN;
        expr->typmod = inner->typmod;
        expr->not_null = inner->not_null && inner->kind == SQ_COLUMN;
        expr->table_oid = inner->table_oid;
        expr->attnum = inner->attnum;
        columns[i].expr = expr;
    }
    return columns;
}

/* Adds the fields of record column `i` as outputs "<name>.<field>" and makes the outer column a
 * record of them. */
static bool export_record(struct sq_cx *cx, struct sq_query *query, uint32_t i,
                          struct sq_field *outer, const char *alias)
{
    struct sq_expr *record = query->columns[i].expr;
    uint32_t count = query->column_count, extra = record->field_count;
    struct sq_field *columns = sq_alloc(cx, (count + extra) * sizeof(*columns));
    struct sq_field *fields = sq_alloc(cx, extra * sizeof(*fields));
    if (columns == NULL || fields == NULL)
        return false;
    memcpy(columns, query->columns, count * sizeof(*columns));
    for (uint32_t f = 0; f < extra; f++) {
        const char *name = sq_printf(cx, "%s.%s", query->columns[i].name, record->fields[f].name);
        columns[count + f] = (struct sq_field){name, record->fields[f].expr};
        const char *sql =
            name == NULL ? NULL : sq_printf(cx, "%s.%s", sq_ident(cx, alias), sq_ident(cx, name));
        struct sq_expr *expr = sq_new(cx, record->fields[f].expr->type, -1, sql);
        if (expr == NULL)
            return false;
        fields[f] = (struct sq_field){record->fields[f].name, expr};
    }
    columns[i].expr = sq_record_settle(cx, record);
    query->columns = columns;
    query->column_count = count + extra;
    outer[i].expr->kind = SQ_RECORD;
    outer[i].expr->fields = fields;
    outer[i].expr->field_count = extra;
    return columns[i].expr != NULL;
}

static const char *from_query(struct sq_cx *cx, struct sq_query *query, const char *alias,
                              const PgQuery__Alias *renames)
{
    uint32_t visible = query->column_count;
    bool records = false;
    for (uint32_t i = 0; i < visible; i++)
        records = records || query->columns[i].expr->kind == SQ_RECORD;
    struct sq_field *outer = NULL;
    if (records && !query->is_setop && query->rows == NULL) {
        for (uint32_t i = 0; i < visible; i++)
            if (query->columns[i].expr->kind != SQ_RECORD &&
                (query->columns[i].expr = sq_settle(cx, query->columns[i].expr)) == NULL)
                return NULL;
        outer = outer_columns(cx, query, alias);
        for (uint32_t i = 0; outer != NULL && i < visible; i++)
            if (query->columns[i].expr->kind == SQ_RECORD &&
                !export_record(cx, query, i, outer, alias))
                return NULL;
    } else if (sq_query_settle(cx, query)) {
        outer = outer_columns(cx, query, alias);
    }
    if (outer == NULL || !alias_columns(cx, renames, outer, visible) ||
        add_item(cx, alias, outer, visible) == NULL)
        return NULL;
    const char *text = sq_query_text(cx, query);
    return text == NULL ? NULL : sq_printf(cx, "(%s) AS %s", text, sq_ident(cx, alias));
}

/* A subquery that sees what stands to its left: see functions_rows.c. */
static const char *lateral_query(struct sq_cx *cx, struct sq_query *query, const char *alias,
                                 const PgQuery__Alias *renames)
{
    static const char inner[] = "sy_lateral";
    struct sq_field *packed =
        query == NULL || !sq_query_settle(cx, query) ? NULL : outer_columns(cx, query, inner);
    const char *quoted = sq_ident(cx, alias);
    if (packed == NULL || quoted == NULL)
        return NULL;
    uint32_t count = query->column_count;
    if (count == 0 || count > SQ_ROWS_COLUMNS_MAX)
        return sq_unsupported(cx, -1, "a LATERAL subquery of %u columns is not supported", count);
    const char *text = sq_query_text(cx, query);
    struct sq_field *columns = sq_alloc(cx, count * sizeof(*columns));
    struct sy_buf list = {0};
    for (uint32_t i = 0; columns != NULL && i < count; i++) {
        struct sq_expr *expr = sq_alloc(cx, sizeof(*expr));
        if (expr == NULL)
            break;
        sy_buf_printf(&list, "%s%s", i == 0 ? "" : ", ", packed[i].expr->sql);
        *expr = *packed[i].expr;
        expr->sql = sq_printf(cx, "%s.c%u", quoted, i);
        columns[i] = (struct sq_field){packed[i].name, expr};
    }
    const char *arguments = sq_finish(cx, &list);
    if (text == NULL || columns == NULL || arguments == NULL ||
        !alias_columns(cx, renames, columns, count) || add_item(cx, alias, columns, count) == NULL)
        return NULL;
    return sq_printf(cx, "sy_rows((SELECT sy_rows_pack(%s) FROM (%s) AS %s), %u) AS %s", arguments,
                     text, sq_ident(cx, inner), count, quoted);
}

static const char *from_subselect(struct sq_cx *cx, const PgQuery__RangeSubselect *node)
{
    if (node->alias == NULL || node->subquery->node_case != NODE(SELECT_STMT))
        return sq_error_null(cx, "42601", -1, "subquery in FROM must have an alias");
    if (!check_duplicate(cx, node->alias->aliasname, -1))
        return NULL;
    struct sq_level *level = cx->level;
    const char *alias = sy_arena_strdup(cx->arena, node->alias->aliasname);
    if (node->lateral)
        return lateral_query(cx, sq_select(cx, node->subquery->select_stmt), alias, node->alias);
    bool hidden = level->hidden;
    level->hidden = true;
    struct sq_query *query = sq_select(cx, node->subquery->select_stmt);
    level->hidden = hidden;
    return query == NULL ? NULL : from_query(cx, query, alias, node->alias);
}

static const char *from_view(struct sq_cx *cx, const struct sy_sqrelation *view, const char *alias,
                             const PgQuery__Alias *renames)
{
    if (cx->view_depth > 50)
        return sq_error_null(cx, "42P17", -1,
                             "infinite recursion detected in rules for relation \"%s\"",
                             view->name);
    cx->view_depth++;
    struct sq_level *level = cx->level;
    cx->level = NULL;
    PgQuery__ParseResult *tree = sq_parse(cx, view->view_sql);
    struct sq_query *query = NULL;
    if (tree != NULL && tree->n_stmts == 1 && tree->stmts[0]->stmt->node_case == NODE(SELECT_STMT))
        query = sq_select(cx, tree->stmts[0]->stmt->select_stmt);
    if (query != NULL && !sq_query_settle(cx, query))
        query = NULL;
    cx->level = level;
    for (uint32_t i = 0; query != NULL && i < query->column_count && i < view->column_count; i++)
        query->columns[i].name = view->columns[i].name;
    const char *text = query == NULL ? NULL : from_query(cx, query, alias, renames);
    if (text != NULL) {
        struct sq_nsitem *item = cx->level->items.items[cx->level->items.count - 1];
        item->relation = view;
        for (uint32_t i = 0; i < item->column_count && i < view->column_count; i++) {
            item->columns[i].expr->table_oid = view->oid;
            item->columns[i].expr->attnum = view->columns[i].attnum;
        }
    }
    sq_parse_free(tree);
    cx->view_depth--;
    return text;
}

struct sq_cte *sq_find_cte(struct sq_cx *cx, const char *name)
{
    for (struct sq_level *level = cx->level; level != NULL; level = level->parent)
        for (uint32_t i = level->ctes.count; i > 0; i--) {
            struct sq_cte *cte = level->ctes.items[i - 1];
            if (strcmp(cte->name, name) == 0)
                return cte;
        }
    return NULL;
}

static const char *from_cte(struct sq_cx *cx, struct sq_cte *cte, const char *alias,
                            const PgQuery__Alias *renames)
{
    struct sq_field *columns = sq_alloc(cx, cte->column_count * sizeof(*columns));
    const char *quoted = sq_ident(cx, alias);
    if (columns == NULL || quoted == NULL)
        return NULL;
    if (cte->no_rows)
        return sq_error_null(cx, "0A000", -1, "WITH query \"%s\" does not have a RETURNING clause",
                             cte->name);
    cte->referenced = true;
    for (uint32_t i = 0; i < cte->column_count; i++) {
        struct sq_expr *expr = sq_alloc(cx, sizeof(*expr));
        if (expr == NULL)
            return NULL;
        *expr = *cte->columns[i].expr;
        expr->sql = sq_printf(cx, "%s.%s", quoted, cte->columns[i].expr->sql);
        expr->kind = SQ_COLUMN;
        columns[i] = (struct sq_field){cte->columns[i].name, expr};
    }
    if (!alias_columns(cx, renames, columns, cte->column_count) ||
        add_item(cx, alias, columns, cte->column_count) == NULL)
        return NULL;
    return sq_printf(cx, "%s AS %s", sq_ident(cx, cte->name), quoted);
}

/* A sequence read as a table: one row, whose values the runtime knows. */
static const char *from_sequence(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                 const char *alias, const PgQuery__Alias *renames)
{
    static const struct {
        const char *name;
        uint32_t type;
    } shape[] = {{"last_value", SY_T_INT8}, {"log_cnt", SY_T_INT8}, {"is_called", SY_T_BOOL}};
    enum { COUNT = sizeof(shape) / sizeof(shape[0]) };
    struct sq_field *columns = sq_alloc(cx, COUNT * sizeof(*columns));
    const char *quoted = sq_ident(cx, alias);
    for (uint32_t i = 0; columns != NULL && quoted != NULL && i < COUNT; i++) {
        struct sq_expr *expr =
            sq_new(cx, shape[i].type, -1, sq_printf(cx, "%s.\"%s\"", quoted, shape[i].name));
        if (expr == NULL)
            return NULL;
        expr->kind = SQ_COLUMN;
        expr->not_null = true;
        expr->table_oid = relation->oid;
        expr->attnum = (int16_t)(i + 1);
        columns[i] = (struct sq_field){shape[i].name, expr};
    }
    if (columns == NULL || quoted == NULL || !alias_columns(cx, renames, columns, COUNT) ||
        add_item(cx, alias, columns, COUNT) == NULL)
        return NULL;
    return sq_printf(cx,
                     "(SELECT sy_sequence_value(%u) AS last_value, 0 AS log_cnt, "
                     "sy_sequence_called(%u) AS is_called) "
                     "AS %s",
                     relation->oid, relation->oid, quoted);
}

static const char *from_range(struct sq_cx *cx, const PgQuery__RangeVar *range)
{
    const char *alias =
        sy_arena_strdup(cx->arena, range->alias != NULL ? range->alias->aliasname : range->relname);
    if (alias == NULL || !check_duplicate(cx, alias, range->location))
        return NULL;
    struct sq_cte *cte = range->schemaname[0] == '\0' ? sq_find_cte(cx, range->relname) : NULL;
    if (cte != NULL)
        return from_cte(cx, cte, alias, range->alias);
    const struct sy_sqrelation *relation = sq_find_relation(cx, range, false);
    if (relation == NULL)
        return NULL;
    if (relation->kind == 'v' && relation->view_sql != NULL)
        return from_view(cx, relation, alias, range->alias);
    if (relation->kind == 'S')
        return from_sequence(cx, relation, alias, range->alias);
    struct sq_nsitem *item = sq_add_relation(cx, relation, alias, sq_ident(cx, alias));
    if (item == NULL || !alias_columns(cx, range->alias, item->columns, item->column_count))
        return NULL;
    return sq_printf(cx, "%s AS %s", sq_ident(cx, sq_relation_sql(relation)), item->sql_name);
}

/* ---- functions ---- */

struct set_function {
    const char *key;
    const char *names[2]; /* columns of SQLite's virtual table; NULL names[1]: one column */
    const char *shown[2]; /* names in PostgreSQL */
    uint32_t types[2];    /* 0: the function's result type */
};

static const struct set_function multi_column[] = {
    {"json_each", {"key", "value"}, {"key", "value"}, {SY_T_TEXT, SY_T_JSON}},
    {"jsonb_each", {"key", "value"}, {"key", "value"}, {SY_T_TEXT, SY_T_JSONB}},
    {"json_each_text", {"key", "value"}, {"key", "value"}, {SY_T_TEXT, SY_T_TEXT}},
    {"jsonb_each_text", {"key", "value"}, {"key", "value"}, {SY_T_TEXT, SY_T_TEXT}},
    {"pg_options_to_table",
     {"key", "value"},
     {"option_name", "option_value"},
     {SY_T_TEXT, SY_T_TEXT}},
    {"_pg_expandarray", {"value", "ordinality"}, {"x", "n"}, {SY_T_INT2, SY_T_INT4}},
};

static bool function_columns(struct sq_cx *cx, const char *key, const char *name, uint32_t type,
                             const char *alias, bool ordinality, struct sq_field **ret_columns,
                             uint32_t *ret_count)
{
    bool own = strncmp(key, "json", 4) == 0 && strstr(key, "_array_elements") != NULL;
    struct set_function one = {key, {"value", NULL}, {own ? "value" : name, NULL}, {type, 0}};
    const struct set_function *shape = &one;
    for (size_t i = 0; i < sizeof(multi_column) / sizeof(multi_column[0]); i++)
        if (strcmp(multi_column[i].key, key) == 0)
            shape = &multi_column[i];
    uint32_t count = (shape->names[1] == NULL ? 1U : 2U) + (ordinality ? 1U : 0U);
    struct sq_field *columns = sq_alloc(cx, count * sizeof(*columns));
    if (columns == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        bool ordinal = ordinality && i + 1 == count;
        columns[i].name = ordinal ? "ordinality" : shape->shown[i];
        columns[i].expr = sq_new(cx, ordinal ? SY_T_INT8 : shape->types[i], -1,
                                 sq_printf(cx, "%s.\"%s\"", sq_ident(cx, alias),
                                           ordinal ? "ordinality" : shape->names[i]));
        if (columns[i].expr == NULL)
            return false;
        columns[i].expr->kind = SQ_COLUMN;
    }
    *ret_columns = columns;
    *ret_count = count;
    return true;
}

static const char *expand_array(struct sq_cx *cx, const PgQuery__FuncCall *call, const char *alias)
{
    struct sq_expr *arg = call->n_args == 1 ? sq_expr(cx, call->args[0]) : NULL;
    const struct sy_type_info *info = arg == NULL ? NULL : sy_type_find(arg->type);
    if (info == NULL || info->element == 0)
        return sq_error_null(cx, "42883", call->location,
                             "function _pg_expandarray needs an array");
    return sq_printf(cx, "sy_unnest(%s, %u) AS %s", arg->sql, info->element, sq_ident(cx, alias));
}

const char *sq_from_function(struct sq_cx *cx, const PgQuery__FuncCall *call, const char *alias,
                             bool ordinality, struct sq_field **ret_columns, uint32_t *ret_count)
{
    struct sq_expr *args[SQ_ARGS_MAX];
    uint32_t count = (uint32_t)call->n_args, result = 0;
    const char *name = sq_str(call->funcname[call->n_funcname - 1]);
    if (name != NULL && strcmp(name, "_pg_expandarray") == 0)
        return function_columns(cx, name, name, 0, alias, ordinality, ret_columns, ret_count)
                   ? expand_array(cx, call, alias)
                   : NULL;
    if (name == NULL || count > SQ_ARGS_MAX || call->func_variadic)
        return sq_unsupported(cx, call->location, "this function call is not supported");
    for (uint32_t i = 0; i < count; i++)
        if ((args[i] = sq_expr(cx, call->args[i])) == NULL)
            return NULL;
    const struct sq_proc *proc =
        sq_resolve_proc(cx, name, args, &count, call->location, &result, false);
    if (proc == NULL)
        return NULL;
    const char *template_ = sq_template_find(proc->key);
    if (template_ == NULL)
        return sq_unsupported(cx, call->location,
                              "function %s is not supported by the sqlite engine", name);
    if (proc->kind != 'f')
        return sq_error_null(cx, "42803", call->location,
                             "aggregate functions are not allowed in functions in FROM");
    const char *sql = sq_expand(cx, template_, args, count, result);
    if (sql == NULL || !function_columns(cx, proc->key, sy_arena_strdup(cx->arena, name), result,
                                         alias, ordinality, ret_columns, ret_count))
        return NULL;
    return sq_printf(cx,
                     proc->returns_set ? "%s AS %s" : "(SELECT %s AS value, 1 AS ordinality) AS %s",
                     sql, sq_ident(cx, alias));
}

static const char *from_sqlvalue(struct sq_cx *cx, const sq_node *node, const char *alias,
                                 struct sq_field **ret_columns, uint32_t *ret_count)
{
    struct sq_expr *value = sq_settle(cx, sq_expr(cx, node));
    if (value == NULL ||
        !function_columns(cx, "", alias, value->type, alias, false, ret_columns, ret_count))
        return NULL;
    return sq_printf(cx, "(SELECT %s AS value) AS %s", value->sql, sq_ident(cx, alias));
}

/* Functions whose one output has a name of its own. */
static bool names_its_output(const char *name)
{
    return strncmp(name, "json", 4) == 0 && strstr(name, "_array_elements") != NULL;
}

static const char *from_function(struct sq_cx *cx, const PgQuery__RangeFunction *node)
{
    if (node->n_functions != 1 || node->n_coldeflist > 0 ||
        node->functions[0]->node_case != NODE(LIST))
        return sq_unsupported(cx, -1,
                              "this function in FROM is not supported by the sqlite engine");
    const sq_node *inner = node->functions[0]->list->items[0];
    const PgQuery__FuncCall *call = inner->node_case == NODE(FUNC_CALL) ? inner->func_call : NULL;
    const char *name =
        call == NULL ? sq_default_name(inner) : sq_str(call->funcname[call->n_funcname - 1]);
    const char *alias =
        sy_arena_strdup(cx->arena, node->alias != NULL ? node->alias->aliasname : name);
    if (node->functions[0]->list->n_items > 1 &&
        node->functions[0]->list->items[1]->node_case == NODE(LIST) &&
        node->functions[0]->list->items[1]->list->n_items > 0)
        return sq_unsupported(cx, -1,
                              "a column definition list is not supported by the sqlite engine");
    if (alias == NULL || !check_duplicate(cx, alias, -1))
        return NULL;
    struct sq_field *columns = NULL;
    uint32_t count = 0;
    const char *text = call == NULL
                           ? from_sqlvalue(cx, inner, alias, &columns, &count)
                           : sq_from_function(cx, call, alias, node->ordinality, &columns, &count);
    if (text == NULL)
        return NULL;
    if (node->alias != NULL && count - (node->ordinality ? 1 : 0) == 1 && !names_its_output(name))
        columns[0].name = alias; /* a function of one column is named by its alias */
    if (!alias_columns(cx, node->alias, columns, count))
        return NULL;
    struct sq_nsitem *item = add_item(cx, alias, columns, count);
    if (item == NULL)
        return NULL;
    item->scalar = count == 1;
    return text;
}

/* ---- joins ---- */

static void set_nullable(struct sq_cx *cx, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct sq_nsitem *item = cx->level->items.items[i];
        for (uint32_t c = 0; c < item->column_count; c++)
            item->columns[c].expr->not_null = false;
    }
}

static struct sq_field *visible_columns(struct sq_cx *cx, uint32_t from, uint32_t to,
                                        uint32_t *ret_count)
{
    uint32_t total = 0;
    for (uint32_t i = from; i < to; i++) {
        const struct sq_nsitem *item = cx->level->items.items[i];
        total += item->cols_visible ? item->column_count : 0;
    }
    struct sq_field *columns = sq_alloc(cx, total * sizeof(*columns));
    uint32_t used = 0;
    for (uint32_t i = from; columns != NULL && i < to; i++) {
        struct sq_nsitem *item = cx->level->items.items[i];
        for (uint32_t c = 0; item->cols_visible && c < item->column_count; c++)
            columns[used++] = item->columns[c];
        item->cols_visible = false;
    }
    *ret_count = total;
    return columns;
}

struct join {
    const PgQuery__JoinExpr *node;
    struct sq_field *left, *right;
    uint32_t left_count, right_count;
    const char **names; /* merged columns */
    uint32_t name_count;
};

static struct sq_field *unique_column(struct sq_cx *cx, struct sq_field *columns, uint32_t count,
                                      const char *name, const char *side)
{
    struct sq_field *found = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(columns[i].name, name) != 0)
            continue;
        if (found != NULL)
            return sq_error_null(cx, "42702", -1,
                                 "common column name \"%s\" appears more than once in %s table",
                                 name, side);
        found = &columns[i];
    }
    if (found == NULL)
        return sq_error_null(cx, "42703", -1,
                             "column \"%s\" specified in USING clause does not exist in %s table",
                             name, side);
    return found;
}

static bool merged_names(struct sq_cx *cx, struct join *join)
{
    const PgQuery__JoinExpr *node = join->node;
    join->names = sq_alloc(cx, (join->left_count + node->n_using_clause) * sizeof(char *));
    if (join->names == NULL)
        return false;
    for (size_t i = 0; i < node->n_using_clause; i++)
        join->names[join->name_count++] = sq_str(node->using_clause[i]);
    for (uint32_t l = 0; node->is_natural && l < join->left_count; l++)
        for (uint32_t r = 0; r < join->right_count; r++)
            if (strcmp(join->left[l].name, join->right[r].name) == 0) {
                join->names[join->name_count++] = join->left[l].name;
                break;
            }
    return true;
}

/* ON for USING, and the merged columns in front. */
static const char *join_using(struct sq_cx *cx, struct join *join, struct sq_field *merged)
{
    struct sy_buf buf = {0};
    bool ok = true;
    for (uint32_t i = 0; i < join->name_count && ok; i++) {
        struct sq_field *l =
            unique_column(cx, join->left, join->left_count, join->names[i], "left");
        struct sq_field *r =
            l == NULL ? NULL
                      : unique_column(cx, join->right, join->right_count, join->names[i], "right");
        struct sq_expr *test = r == NULL ? NULL : sq_operator_call(cx, "=", l->expr, r->expr, -1);
        ok = test != NULL;
        if (!ok)
            break;
        sy_buf_printf(&buf, "%s%s", i == 0 ? "" : " AND ", test->sql);
        struct sq_expr *both[2] = {l->expr, r->expr};
        uint32_t type = sq_common_type(cx, both, 2, "JOIN/USING");
        struct sq_expr *a = type == 0 ? NULL : sq_coerce(cx, l->expr, type, -1, 'i', -1);
        struct sq_expr *b = a == NULL ? NULL : sq_coerce(cx, r->expr, type, -1, 'i', -1);
        merged[i].name = l->name;
        merged[i].expr = join->node->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT ? b : a;
        if (b != NULL && join->node->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL)
            merged[i].expr =
                sq_new(cx, type, -1, sq_printf(cx, "coalesce(%s, %s)", a->sql, b->sql));
        ok = merged[i].expr != NULL;
    }
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

static bool is_merged(const struct join *join, const char *name)
{
    for (uint32_t i = 0; i < join->name_count; i++)
        if (strcmp(join->names[i], name) == 0)
            return true;
    return false;
}

static const char *join_condition(struct sq_cx *cx, struct join *join, uint32_t first)
{
    const PgQuery__JoinExpr *node = join->node;
    uint32_t total = join->left_count + join->right_count;
    struct sq_field *columns = sq_alloc(cx, (total + join->name_count) * sizeof(*columns));
    if (columns == NULL)
        return NULL;
    const char *on = "";
    uint32_t used = 0;
    if (join->name_count > 0) {
        on = join_using(cx, join, columns);
        used = join->name_count;
    }
    for (uint32_t i = 0; on != NULL && i < total; i++) {
        struct sq_field *field =
            i < join->left_count ? &join->left[i] : &join->right[i - join->left_count];
        if (!is_merged(join, field->name))
            columns[used++] = *field;
    }
    struct sq_nsitem *item = on == NULL ? NULL : add_item(cx, NULL, columns, used);
    if (item == NULL)
        return NULL;
    if (node->quals == NULL)
        return on;
    struct sq_level *level = cx->level;
    uint32_t visible = level->first_visible;
    const char *clause = level->clause;
    level->first_visible = first;
    level->clause = "JOIN conditions";
    struct sq_expr *quals = sq_expr_bool(cx, node->quals, "JOIN/ON");
    level->first_visible = visible;
    level->clause = clause;
    return quals == NULL ? NULL : quals->sql;
}

static const char *from_join(struct sq_cx *cx, const PgQuery__JoinExpr *node)
{
    static const char *const words[] = {NULL, "JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"};
    struct sq_level *level = cx->level;
    if (node->alias != NULL || node->join_using_alias != NULL)
        return sq_unsupported(cx, -1, "an alias for a join is not supported by the sqlite engine");
    unsigned int type = (unsigned int)node->jointype;
    if (type == 0 || type > 4)
        return sq_unsupported(cx, -1, "this kind of join is not supported");
    if (type > 2 && node->rarg->node_case == NODE(RANGE_SUBSELECT) &&
        node->rarg->range_subselect->lateral)
        return sq_unsupported(cx, -1,
                              "LATERAL with a RIGHT or FULL JOIN is not supported by the sqlite "
                              "engine");
    uint32_t first = level->items.count;
    const char *left = from_node(cx, node->larg);
    uint32_t middle = level->items.count;
    const char *right = left == NULL ? NULL : from_node(cx, node->rarg);
    uint32_t end = level->items.count;
    if (right == NULL)
        return NULL;
    if (node->rarg->node_case == NODE(JOIN_EXPR))
        right = sq_printf(cx, "(%s)", right);
    if (type == 2 || type == 3)
        set_nullable(cx, middle, end);
    if (type == 3 || type == 4)
        set_nullable(cx, first, middle);
    struct join join = {.node = node};
    join.left = visible_columns(cx, first, middle, &join.left_count);
    join.right = visible_columns(cx, middle, end, &join.right_count);
    if (join.left == NULL || join.right == NULL || !merged_names(cx, &join))
        return NULL;
    const char *on = join_condition(cx, &join, first);
    if (on == NULL)
        return NULL;
    return sq_printf(cx, "%s %s %s%s%s", left, words[type], right, on[0] == '\0' ? "" : " ON ", on);
}

static const char *from_node(struct sq_cx *cx, const sq_node *node)
{
    if (!sq_enter(cx))
        return NULL;
    const char *text = NULL;
    switch ((int)node->node_case) {
    case NODE(RANGE_VAR):
        text = from_range(cx, node->range_var);
        break;
    case NODE(RANGE_SUBSELECT):
        text = from_subselect(cx, node->range_subselect);
        break;
    case NODE(RANGE_FUNCTION):
        text = from_function(cx, node->range_function);
        break;
    case NODE(JOIN_EXPR):
        text = from_join(cx, node->join_expr);
        break;
    default:
        text = sq_unsupported(cx, -1, "this item of FROM is not supported by the sqlite engine");
        break;
    }
    sq_leave(cx);
    return text;
}

const char *sq_from(struct sq_cx *cx, sq_node *const *from, size_t count)
{
    struct sy_buf buf = {0};
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        const char *text = from_node(cx, from[i]);
        ok = text != NULL;
        bool wrap = i > 0 && from[i]->node_case == NODE(JOIN_EXPR);
        if (ok)
            sy_buf_printf(&buf, "%s%s%s%s", i == 0 ? "" : ", ", wrap ? "(" : "", text,
                          wrap ? ")" : "");
    }
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}
