/* SELECT: WITH, targets, grouping, ordering, LIMIT, and the text of a query. */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* ---- targets ---- */

static bool add_star(struct sq_cx *cx, struct sq_list *fields, const char *table, int32_t location)
{
    struct sq_level *level = cx->level;
    bool any = false;
    for (uint32_t i = 0; i < level->items.count; i++) {
        const struct sq_nsitem *item = level->items.items[i];
        bool wanted = table == NULL ? item->cols_visible
                                    : item->rel_visible && item->name != NULL &&
                                          strcmp(item->name, table) == 0;
        for (uint32_t c = 0; wanted && c < item->column_count; c++) {
            struct sq_field *field = sq_alloc(cx, sizeof(*field));
            struct sq_loose *loose = sq_alloc(cx, sizeof(*loose));
            if (field == NULL || loose == NULL)
                return false;
            *field = item->columns[c];
            *loose = (struct sq_loose){item, field->name, field->expr->sql, location};
            bool grouped = level->in_aggregate;
            for (uint32_t g = 0; g < level->group_sql.count; g++)
                grouped = grouped || strcmp(level->group_sql.items[g], field->expr->sql) == 0;
            if (!sq_list_add(cx, fields, field) ||
                (!grouped && !sq_list_add(cx, &level->loose, loose)))
                return false;
        }
        any = any || wanted;
    }
    if (!any && table == NULL)
        return sq_error(cx, "42601", location, "SELECT * with no tables specified is not valid");
    if (!any)
        return sq_error(cx, "42P01", location, "missing FROM-clause entry for table \"%s\"", table);
    return true;
}

/* A star as the last field of a column reference; *ret_table NULL: all. */
static bool is_star(const sq_node *value, const char **ret_table)
{
    if (value == NULL || value->node_case != NODE(COLUMN_REF))
        return false;
    const PgQuery__ColumnRef *ref = value->column_ref;
    if (ref->n_fields == 0 || ref->fields[ref->n_fields - 1]->node_case != NODE(A_STAR))
        return false;
    *ret_table = ref->n_fields > 1 ? sq_str(ref->fields[ref->n_fields - 2]) : NULL;
    return true;
}

/* (record).* */
static bool add_record_star(struct sq_cx *cx, struct sq_list *fields,
                            const PgQuery__AIndirection *node)
{
    struct sq_expr *record = sq_expr(cx, node->arg);
    if (record == NULL)
        return false;
    if (record->kind != SQ_RECORD)
        return sq_error(cx, "42809", record->location, "type %s is not composite",
                        sq_type_display(cx, record->type));
    for (uint32_t i = 0; i < record->field_count; i++)
        if (!sq_list_add(cx, fields, &record->fields[i]))
            return false;
    return true;
}

static bool add_target(struct sq_cx *cx, struct sq_list *fields, const PgQuery__ResTarget *target)
{
    const char *table = NULL;
    const sq_node *value = target->val;
    if (is_star(value, &table))
        return add_star(cx, fields, table, target->location);
    if (value->node_case == NODE(A_INDIRECTION) && value->a_indirection->n_indirection == 1 &&
        value->a_indirection->indirection[0]->node_case == NODE(A_STAR))
        return add_record_star(cx, fields, value->a_indirection);
    struct sq_field *field = sq_alloc(cx, sizeof(*field));
    struct sq_expr *expr = field == NULL ? NULL : sq_expr(cx, value);
    if (expr == NULL)
        return false;
    const char *name =
        target->name != NULL && target->name[0] != '\0' ? target->name : sq_default_name(value);
    *field = (struct sq_field){sy_arena_strdup(cx->arena, name), expr};
    return field->name != NULL && sq_list_add(cx, fields, field);
}

bool sq_targets(struct sq_cx *cx, sq_node *const *list, size_t count, struct sq_field **ret_columns,
                uint32_t *ret_count)
{
    struct sq_list fields = {0};
    for (size_t i = 0; i < count; i++)
        if (!add_target(cx, &fields, list[i]->res_target))
            return false;
    if (fields.count > 1664)
        return sq_error(cx, "54011", -1, "target lists can have at most 1664 entries");
    struct sq_field *columns = sq_alloc(cx, fields.count * sizeof(*columns));
    if (columns == NULL)
        return false;
    for (uint32_t i = 0; i < fields.count; i++)
        columns[i] = *(struct sq_field *)fields.items[i];
    *ret_columns = columns;
    *ret_count = fields.count;
    return true;
}

const char *sq_target_text(struct sq_cx *cx, const struct sq_field *columns, uint32_t count,
                           bool named)
{
    struct sy_buf buf = {0};
    for (uint32_t i = 0; i < count; i++) {
        sy_buf_printf(&buf, "%s%s", i == 0 ? "" : ", ", sq_collated(cx, columns[i].expr));
        if (named)
            sy_buf_printf(&buf, " AS %s", sq_ident(cx, columns[i].name));
    }
    if (count == 0)
        sy_buf_append_str(&buf, "NULL");
    return sq_finish(cx, &buf);
}

/* ---- ORDER BY, LIMIT ---- */

const char *sq_sort_item(struct sq_cx *cx, const PgQuery__SortBy *sort, const char *sql,
                         bool not_null)
{
    if (sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
        return sq_unsupported(cx, sort->location,
                              "ORDER BY USING is not supported by the sqlite engine");
    bool desc = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    bool first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                 (desc && sort->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    return sq_printf(cx, "%s%s%s", sql, desc ? " DESC" : "",
                     not_null ? ""
                     : first  ? " NULLS FIRST"
                              : " NULLS LAST");
}

/* The output column that a sort key names; -1: none, -2: error. */
static int output_index(struct sq_cx *cx, const sq_node *node, const struct sq_field *outputs,
                        uint32_t count)
{
    if (node->node_case == NODE(A_CONST) &&
        node->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        int32_t position = node->a_const->ival->ival;
        if (position >= 1 && (uint32_t)position <= count)
            return position - 1;
        (void)sq_error(cx, "42P10", node->a_const->location,
                       "ORDER BY position %d is not in select list", position);
        return -2;
    }
    if (node->node_case == NODE(A_CONST) && !node->a_const->isnull) {
        (void)sq_error(cx, "42601", node->a_const->location, "non-integer constant in ORDER BY");
        return -2;
    }
    if (node->node_case != NODE(COLUMN_REF) || node->column_ref->n_fields != 1)
        return -1;
    const char *name = sq_str(node->column_ref->fields[0]);
    int found = -1;
    for (uint32_t i = 0; name != NULL && i < count; i++) {
        if (strcmp(outputs[i].name, name) != 0)
            continue;
        if (found >= 0 && strcmp(outputs[found].expr->sql, outputs[i].expr->sql) != 0) {
            (void)sq_error(cx, "42702", node->column_ref->location, "ORDER BY \"%s\" is ambiguous",
                           name);
            return -2;
        }
        found = found < 0 ? (int)i : found;
    }
    return found;
}

static bool check_sortable(struct sq_cx *cx, const struct sq_expr *expr, bool ordering)
{
    if (expr->type == SY_T_RECORD && ordering) /* its text is not in the order of its columns */
        return sq_unsupported(cx, expr->location,
                              "ORDER BY of a row is not supported by the sqlite engine") != NULL;
    if (expr->type != SY_T_JSON)
        return true;
    return sq_error(cx, "42883", expr->location, "could not identify an %s operator for type json",
                    ordering ? "ordering" : "equality");
}

const char *sq_order_by(struct sq_cx *cx, sq_node *const *sort, size_t count,
                        const struct sq_field *outputs, uint32_t output_count, bool ordinals)
{
    struct sy_buf buf = {0};
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        const PgQuery__SortBy *item = sort[i]->sort_by;
        int index = output_index(cx, item->node, outputs, output_count);
        struct sq_expr *expr = index >= 0    ? outputs[index].expr
                               : index == -1 ? sq_expr(cx, item->node)
                                             : NULL;
        expr = expr != NULL && index == -1 ? sq_settle(cx, expr) : expr;
        ok = expr != NULL && check_sortable(cx, expr, true);
        for (uint32_t o = 0; ok && index < 0 && o < output_count; o++)
            if (strcmp(outputs[o].expr->sql, expr->sql) == 0)
                index = (int)o;
        if (ok && index < 0 && ordinals)
            ok = sq_error(cx, "42P10", item->location,
                          "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
        const char *sql = !ok          ? NULL
                          : index >= 0 ? sq_printf(cx, "%d", index + 1)
                                       : sq_collated(cx, expr);
        const char *text = sql == NULL ? NULL : sq_sort_item(cx, item, sql, expr->not_null);
        ok = text != NULL;
        if (ok)
            sy_buf_printf(&buf, "%s%s", i == 0 ? " ORDER BY " : ", ", text);
    }
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

static const char *limit_value(struct sq_cx *cx, const sq_node *node, const char *what, bool offset)
{
    struct sq_level *level = cx->level;
    const char *clause = level->clause;
    level->clause = what;
    struct sq_expr *value = sq_expr(cx, node);
    level->clause = clause;
    if (value == NULL)
        return NULL;
    if (!sq_can_coerce(value->type, SY_T_INT8, 'a') || value->type == SY_T_BOOL)
        return sq_error_null(cx, "42804", value->location,
                             "argument of %s must be type bigint, not type %s", what,
                             sq_type_display(cx, value->type));
    value = sq_coerce(cx, value, SY_T_INT8, -1, 'a', value->location);
    if (value == NULL)
        return NULL;
    bool plain = value->kind == SQ_CONSTANT && value->sql[0] >= '0' && value->sql[0] <= '9';
    return plain ? value->sql : sq_printf(cx, "sy_limit(%s, %d)", value->sql, offset ? 1 : 0);
}

const char *sq_limit(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    if (select->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES)
        return sq_unsupported(cx, -1,
                              "FETCH FIRST ... WITH TIES is not supported by the sqlite engine");
    const sq_node *count = select->limit_count;
    bool has_count =
        count != NULL && !(count->node_case == NODE(A_CONST) && count->a_const->isnull);
    if (!has_count && select->limit_offset == NULL)
        return "";
    const char *limit = has_count ? limit_value(cx, count, "LIMIT", false) : "-1";
    if (limit == NULL || select->limit_offset == NULL)
        return limit == NULL ? NULL : sq_printf(cx, " LIMIT %s", limit);
    const char *offset = limit_value(cx, select->limit_offset, "OFFSET", true);
    return offset == NULL ? NULL : sq_printf(cx, " LIMIT %s OFFSET %s", limit, offset);
}

/* ---- GROUP BY ---- */

static const sq_node *target_node(const PgQuery__SelectStmt *select, size_t index)
{
    const char *table = NULL;
    for (size_t i = 0; i <= index && i < select->n_target_list; i++)
        if (is_star(select->target_list[i]->res_target->val, &table))
            return NULL;
    return index < select->n_target_list ? select->target_list[index]->res_target->val : NULL;
}

/* What a GROUP BY item stands for: a position, an input column, an output name, or itself. */
static const sq_node *group_node(struct sq_cx *cx, const PgQuery__SelectStmt *select,
                                 const sq_node *item)
{
    if (item->node_case == NODE(A_CONST) &&
        item->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
        int32_t position = item->a_const->ival->ival;
        const sq_node *node = position < 1 ? NULL : target_node(select, (size_t)position - 1);
        if (node == NULL)
            return sq_error_null(cx, "42P10", item->a_const->location,
                                 "GROUP BY position %d is not in select list", position);
        return node;
    }
    if (item->node_case == NODE(GROUPING_SET))
        return sq_unsupported(
            cx, item->grouping_set->location,
            "grouping sets, ROLLUP and CUBE are not supported by the sqlite engine");
    if (item->node_case != NODE(COLUMN_REF) || item->column_ref->n_fields != 1)
        return item;
    const char *name = sq_str(item->column_ref->fields[0]);
    cx->err->status = SY_OK;
    if (name == NULL || sq_find_column(cx, name, item->column_ref->location, true) != NULL)
        return item;
    if (cx->err->status != SY_OK)
        return NULL;
    for (size_t i = 0; i < select->n_target_list; i++) {
        const PgQuery__ResTarget *target = select->target_list[i]->res_target;
        const char *shown = target->name != NULL && target->name[0] != '\0' ? target->name : "";
        if (strcmp(shown, name) == 0)
            return target->val;
    }
    return item;
}

static const char *group_by(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    struct sy_buf buf = {0};
    struct sq_list texts = {0};
    bool ok = true;
    cx->level->clause = "GROUP BY";
    for (size_t i = 0; i < select->n_group_clause && ok; i++) {
        const sq_node *node = group_node(cx, select, select->group_clause[i]);
        struct sq_expr *raw = node == NULL ? NULL : sq_expr(cx, node);
        struct sq_expr *expr = raw == NULL ? NULL : sq_settle(cx, raw);
        ok = expr != NULL && check_sortable(cx, expr, false) &&
             sq_list_add(cx, &texts, sy_arena_strdup(cx->arena, raw->sql));
        if (ok)
            sy_buf_printf(&buf, i == 0 ? " GROUP BY " : ", ");
        if (ok && expr->kind == SQ_CONSTANT)
            sy_buf_printf(&buf, "CAST(%s AS TEXT)", expr->sql);
        else if (ok)
            sy_buf_append_str(&buf, sq_collated(cx, expr));
    }
    cx->level->clause = NULL;
    cx->level->group_sql = texts;
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}

/* ---- DISTINCT ON: the first row of each group by a window ---- */

/* The order and the groups of that window are none of windows in SQLite. What only reads like one,
 * in a literal, is refused with it. */
static bool no_window(struct sq_cx *cx, const struct sq_expr *key)
{
    if (key == NULL || strstr(key->sql, " OVER ") == NULL)
        return key != NULL;
    (void)sq_unsupported(cx, key->location, "DISTINCT ON with the value of a window function");
    return false;
}

static bool distinct_on(struct sq_cx *cx, const PgQuery__SelectStmt *select, struct sq_query *query,
                        const char *tail, const char *limit)
{
    struct sy_buf on = {0}, order = {0}, extra = {0}, outer = {0};
    struct sq_list keys = {0};
    bool ok = true;
    for (size_t i = 0; i < select->n_distinct_clause && ok; i++) {
        int index =
            output_index(cx, select->distinct_clause[i], query->columns, query->column_count);
        struct sq_expr *key = index >= 0    ? query->columns[index].expr
                              : index == -1 ? sq_settle(cx, sq_expr(cx, select->distinct_clause[i]))
                                            : NULL;
        ok = no_window(cx, key) && sq_list_add(cx, &keys, sy_arena_strdup(cx->arena, key->sql));
        if (ok)
            sy_buf_printf(&on, "%s%s", i == 0 ? "" : ", ", sq_collated(cx, key));
    }
    for (size_t i = 0; i < select->n_sort_clause && ok; i++) {
        const PgQuery__SortBy *sort = select->sort_clause[i]->sort_by;
        int index = output_index(cx, sort->node, query->columns, query->column_count);
        struct sq_expr *key = index >= 0    ? query->columns[index].expr
                              : index == -1 ? sq_settle(cx, sq_expr(cx, sort->node))
                                            : NULL;
        bool among = key == NULL || i >= keys.count;
        for (uint32_t k = 0; !among && k < keys.count; k++)
            among = strcmp(keys.items[k], key->sql) == 0;
        if (!among)
            ok = sq_error(cx, "42P10", key->location,
                          "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
        ok = ok && no_window(cx, key);
        const char *inner = ok ? sq_sort_item(cx, sort, sq_collated(cx, key), false) : NULL;
        const char *name = sq_printf(cx, "\"sy_o%zu\"", i);
        const char *above = inner == NULL ? NULL : sq_sort_item(cx, sort, name, false);
        ok = above != NULL;
        if (ok) {
            sy_buf_printf(&order, "%s%s", i == 0 ? " ORDER BY " : ", ", inner);
            sy_buf_printf(&extra, ", %s AS %s", sq_collated(cx, key), name);
            sy_buf_printf(&outer, "%s%s", i == 0 ? " ORDER BY " : ", ", above);
        }
    }
    const char *a = sq_finish(cx, &on), *b = sq_finish(cx, &order), *c = sq_finish(cx, &extra),
               *d = sq_finish(cx, &outer);
    if (!ok || a == NULL || b == NULL || c == NULL || d == NULL)
        return false;
    query->distinct_on = true;
    query->head = sq_printf(cx, "%s, row_number() OVER (PARTITION BY %s%s) AS \"sy_rn\"", c, a, b);
    query->tail = tail;
    query->order = sq_printf(cx, "%s%s", d, limit);
    return query->head != NULL && query->order != NULL;
}

/* ---- plain SELECT ---- */

static bool add_windows(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    for (size_t i = 0; i < select->n_window_clause; i++) {
        const PgQuery__WindowDef *def = select->window_clause[i]->window_def;
        struct sq_window *window = sq_alloc(cx, sizeof(*window));
        if (window == NULL)
            return false;
        *window = (struct sq_window){def->name, def};
        if (!sq_list_add(cx, &cx->level->windows, window))
            return false;
    }
    return true;
}

static const char *having(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    if (select->having_clause == NULL)
        return "";
    cx->level->no_windows = true;
    struct sq_expr *expr = sq_expr_bool(cx, select->having_clause, "HAVING");
    cx->level->no_windows = false;
    return expr == NULL ? NULL : sq_printf(cx, " HAVING %s", expr->sql);
}

/* FROM and WHERE. */
static const char *source(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    const char *from = sq_from(cx, select->from_clause, select->n_from_clause);
    if (from == NULL)
        return NULL;
    struct sq_expr *where = NULL;
    if (select->where_clause != NULL) {
        cx->level->clause = "WHERE";
        where = sq_expr_bool(cx, select->where_clause, "WHERE");
        cx->level->clause = NULL;
        if (where == NULL)
            return NULL;
    }
    cx->level->loose.count = 0;
    return sq_printf(cx, "%s\001%s%s", from, where == NULL ? "" : " WHERE ",
                     where == NULL ? "" : where->sql);
}

/* Puts the set-returning functions of the SELECT list between FROM and WHERE (split at \001). */
static const char *join_source(struct sq_cx *cx, const char *text)
{
    const char *split = strchr(text, '\001');
    const char *extra = cx->level->extra_from.count > 0 ? cx->level->extra_from.items[0] : NULL;
    int bytes = (int)(split - text);
    if (bytes == 0 && extra == NULL)
        return split[1] == '\0' ? "" : sq_printf(cx, "%s", split + 1);
    return sq_printf(cx, " FROM %.*s%s%s%s", bytes, text, bytes > 0 && extra != NULL ? ", " : "",
                     extra == NULL ? "" : extra, split + 1);
}

static bool is_distinct_all(const PgQuery__SelectStmt *select)
{
    return select->n_distinct_clause == 1 &&
           select->distinct_clause[0]->node_case == PG_QUERY__NODE__NODE__NOT_SET;
}

static bool check_distinct(struct sq_cx *cx, struct sq_query *query)
{
    for (uint32_t i = 0; i < query->column_count; i++)
        if (!check_sortable(cx, query->columns[i].expr, false))
            return false;
    return true;
}

static struct sq_query *plain(struct sq_cx *cx, const PgQuery__SelectStmt *select,
                              struct sq_query *query)
{
    struct sq_level *level = cx->level;
    const char *from = source(cx, select);
    if (from == NULL || !add_windows(cx, select))
        return NULL;
    const char *group = group_by(cx, select);
    level->loose.count = 0;
    level->srf_allowed = true;
    if (group == NULL || !sq_targets(cx, select->target_list, select->n_target_list,
                                     &query->columns, &query->column_count))
        return NULL;
    level->srf_allowed = false;
    const char *have = having(cx, select);
    bool distinct = is_distinct_all(select);
    bool on = select->n_distinct_clause > 0 && !distinct;
    const char *order = "";
    if (have != NULL && !on)
        order = sq_order_by(cx, select->sort_clause, select->n_sort_clause, query->columns,
                            query->column_count, distinct);
    const char *limit = have == NULL || order == NULL ? NULL : sq_limit(cx, select);
    if (limit == NULL || (distinct && !check_distinct(cx, query)))
        return NULL;
    bool grouped =
        select->n_group_clause > 0 || level->has_aggregate || select->having_clause != NULL;
    if (grouped && level->extra_from.count > 0)
        return sq_unsupported(
            cx, -1, "set-returning functions with grouping are not supported by the sqlite engine");
    const char *joined = join_source(cx, from);
    const char *tail = joined == NULL ? NULL : sq_printf(cx, "%s%s%s", joined, group, have);
    if (tail == NULL || (on && !distinct_on(cx, select, query, tail, limit)) ||
        (grouped && !sq_group_check(cx)))
        return NULL;
    if (!on) {
        query->head = distinct ? "SELECT DISTINCT " : "SELECT ";
        query->tail = sq_printf(cx, "%s%s%s", tail, order, limit);
    }
    query->has_limit_or_order = order[0] != '\0' || limit[0] != '\0' || on;
    query->single_row = (grouped && select->n_group_clause == 0) ||
                        (select->n_from_clause == 0 && level->extra_from.count == 0) ||
                        strcmp(limit, " LIMIT 1") == 0;
    return query->tail == NULL ? NULL : query;
}

struct sq_query *sq_select(struct sq_cx *cx, const PgQuery__SelectStmt *select)
{
    if (!sq_enter(cx))
        return NULL;
    if (select->into_clause != NULL)
        return sq_unsupported(
            cx, -1, "SELECT INTO is not supported by the sqlite engine: use CREATE TABLE AS");
    struct sq_query *query = sq_alloc(cx, sizeof(*query));
    if (query == NULL || sq_push_level(cx) == NULL)
        return NULL;
    query->with = "";
    if (select->with_clause != NULL)
        query->with = sq_with(cx, select->with_clause);
    struct sq_query *out = NULL;
    if (query->with != NULL && select->op > PG_QUERY__SET_OPERATION__SETOP_NONE)
        out = sq_setop(cx, select);
    else if (query->with != NULL && select->n_values_lists > 0)
        out = sq_values(cx, select);
    else if (query->with != NULL)
        out = plain(cx, select, query);
    if (out != NULL)
        out->with = query->with;
    sq_pop_level(cx);
    sq_leave(cx);
    return out;
}

/* ---- text ---- */

bool sq_query_settle(struct sq_cx *cx, struct sq_query *query)
{
    if (query->is_setop || query->rows != NULL)
        return true;
    for (uint32_t i = 0; i < query->column_count; i++) {
        struct sq_expr *expr = sq_settle(cx, query->columns[i].expr);
        if (expr == NULL)
            return false;
        query->columns[i].expr = expr;
    }
    return true;
}

static const char *values_text(struct sq_cx *cx, const struct sq_query *query)
{
    struct sy_buf buf = {0};
    uint32_t width = query->column_count;
    bool renamed = query->order[0] != '\0';
    for (uint32_t c = 0; c < width; c++) {
        const char *plain_name = sq_printf(cx, "column%u", c + 1);
        renamed = renamed || plain_name == NULL ||
                  strcmp(plain_name, query->columns[c].name) != 0 ||
                  sy_type_find(query->columns[c].expr->type)->collation != NULL;
    }
    if (renamed) {
        for (uint32_t c = 0; c < width; c++) {
            struct sq_expr column = *query->columns[c].expr;
            column.sql = sq_printf(cx, "column%u", c + 1);
            sy_buf_printf(&buf, "%s%s AS %s", c == 0 ? "SELECT " : ", ", sq_collated(cx, &column),
                          sq_ident(cx, query->columns[c].name));
        }
        sy_buf_append_str(&buf, " FROM (");
    }
    for (uint32_t r = 0; r < query->row_count; r++) {
        sy_buf_append_str(&buf, r == 0 ? "VALUES " : ", ");
        for (uint32_t c = 0; c < width; c++)
            sy_buf_printf(&buf, "%s%s", c == 0 ? "(" : ", ", query->rows[r * width + c]->sql);
        sy_buf_append_str(&buf, ")");
    }
    if (renamed)
        sy_buf_printf(&buf, ")%s", query->order);
    return sq_finish(cx, &buf);
}

/* A member of a set operation: anything with an ORDER BY, LIMIT or WITH of its own becomes a
 * subquery. */
static const char *member_text(struct sq_cx *cx, struct sq_query *query, bool left)
{
    const char *text = sq_query_text(cx, query);
    bool wrap = query->has_limit_or_order || query->with[0] != '\0' ||
                (query->is_setop && (!left || query->all_rewritten)) || query->rows != NULL;
    return text == NULL || !wrap ? text : sq_printf(cx, "SELECT * FROM (%s)", text);
}

static void give_names(struct sq_query *query, const struct sq_field *names)
{
    for (uint32_t i = 0; i < query->column_count; i++)
        query->columns[i].name = names[i].name;
    if (query->is_setop) {
        give_names(query->left, names);
        give_names(query->right, names);
    }
}

static const char *setop_text(struct sq_cx *cx, struct sq_query *query)
{
    if (query->all_rewritten && !sq_unique_names(cx, query))
        return NULL;
    give_names(query->left, query->columns);
    give_names(query->right, query->columns);
    const char *left = member_text(cx, query->left, true);
    const char *right = left == NULL ? NULL : member_text(cx, query->right, false);
    if (right == NULL)
        return NULL;
    if (!query->all_rewritten)
        return sq_printf(cx, "%s %s %s%s", left, query->op, right, query->order);
    struct sy_buf names = {0};
    for (uint32_t i = 0; i < query->column_count; i++)
        sy_buf_printf(&names, "%s%s", i == 0 ? "" : ", ", sq_ident(cx, query->columns[i].name));
    const char *n = sq_finish(cx, &names);
    return n == NULL
               ? NULL
               : sq_printf(
                     cx,
                     "SELECT %s FROM (SELECT %s, row_number() OVER (PARTITION BY %s) AS \"sy_rn\" "
                     "FROM (%s) "
                     "%s SELECT %s, row_number() OVER (PARTITION BY %s) AS \"sy_rn\" FROM (%s))%s",
                     n, n, n, left, query->op, n, n, right, query->order);
}

const char *sq_query_text(struct sq_cx *cx, struct sq_query *query)
{
    const char *body = NULL;
    if (query->is_setop) {
        body = setop_text(cx, query);
    } else if (query->rows != NULL) {
        body = values_text(cx, query);
    } else if (query->distinct_on) {
        if (!sq_unique_names(cx, query))
            return NULL;
        struct sy_buf names = {0};
        for (uint32_t i = 0; i < query->column_count; i++)
            sy_buf_printf(&names, "%s%s", i == 0 ? "" : ", ", sq_ident(cx, query->columns[i].name));
        const char *list = sq_finish(cx, &names);
        const char *targets = sq_target_text(cx, query->columns, query->column_count, true);
        if (list != NULL && targets != NULL)
            body = sq_printf(cx, "SELECT %s FROM (SELECT %s%s%s) WHERE \"sy_rn\" = 1%s", list,
                             targets, query->head, query->tail, query->order);
    } else {
        const char *targets = sq_target_text(cx, query->columns, query->column_count, true);
        body = targets == NULL ? NULL : sq_printf(cx, "%s%s%s", query->head, targets, query->tail);
    }
    return body == NULL ? NULL : sq_printf(cx, "%s%s", query->with, body);
}
