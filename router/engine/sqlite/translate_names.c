/* Names: relations, FROM items, columns; which level of the query they belong to. */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

struct sq_level *sq_push_level(struct sq_cx *cx)
{
    struct sq_level *level = sq_alloc(cx, sizeof(*level));
    if (level != NULL) {
        level->parent = cx->level;
        cx->level = level;
    }
    return level;
}

void sq_pop_level(struct sq_cx *cx)
{
    cx->level = cx->level->parent;
}

const char *sq_relation_sql(const struct sy_sqrelation *relation)
{
    return relation->sqlite_name != NULL ? relation->sqlite_name : relation->name;
}

const struct sy_sqrelation *sq_find_relation(struct sq_cx *cx, const PgQuery__RangeVar *range,
                                             bool missing_ok)
{
    const struct sy_sqschema *schema = cx->input->schema;
    const char *space = range->schemaname[0] == '\0' ? NULL : range->schemaname;
    const struct sy_sqrelation *relation = schema->relation(schema->ctx, space, range->relname);
    if (relation == NULL && !missing_ok) {
        if (space != NULL)
            (void)sq_error(cx, "42P01", range->location, "relation \"%s.%s\" does not exist", space,
                           range->relname);
        else
            (void)sq_error(cx, "42P01", range->location, "relation \"%s\" does not exist",
                           range->relname);
    }
    if (relation != NULL && !sq_note_relation(cx, relation->name))
        return NULL;
    return relation;
}

struct sq_nsitem *sq_add_relation(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                  const char *alias, const char *sql_name)
{
    struct sq_nsitem *item = sq_alloc(cx, sizeof(*item));
    struct sq_field *columns = sq_alloc(cx, relation->column_count * sizeof(*columns));
    if (item == NULL || columns == NULL || sql_name == NULL)
        return NULL;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct sy_sqcolumn *column = &relation->columns[i];
        const char *name = sq_ident(cx, column->name);
        const char *sql =
            name == NULL || sql_name[0] == '\0' ? name : sq_printf(cx, "%s.%s", sql_name, name);
        struct sq_expr *expr = sq_new(cx, column->type, -1, sql);
        if (expr == NULL)
            return NULL;
        expr->kind = SQ_COLUMN;
        expr->typmod = column->typmod;
        expr->not_null = column->not_null;
        expr->table_oid = relation->oid;
        expr->attnum = column->attnum;
        columns[i] = (struct sq_field){column->name, expr};
    }
    *item = (struct sq_nsitem){.name = alias,
                               .rel_visible = true,
                               .cols_visible = true,
                               .columns = columns,
                               .column_count = relation->column_count,
                               .relation = relation,
                               .sql_name = sql_name};
    return sq_list_add(cx, &cx->level->items, item) ? item : NULL;
}

static struct sq_nsitem *find_item(struct sq_cx *cx, const char *name, int32_t location,
                                   struct sq_level **ret_level)
{
    for (struct sq_level *level = cx->level; level != NULL; level = level->parent) {
        struct sq_nsitem *found = NULL;
        if (level->hidden)
            continue;
        for (uint32_t i = level->first_visible; i < level->items.count; i++) {
            struct sq_nsitem *item = level->items.items[i];
            /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): callers have a name */
            if (!item->rel_visible || item->name == NULL || strcmp(item->name, name) != 0)
                continue;
            if (found != NULL)
                return sq_error_null(cx, "42P09", location, "table reference \"%s\" is ambiguous",
                                     name);
            found = item;
        }
        if (found != NULL) {
            *ret_level = level;
            return found;
        }
    }
    return NULL;
}

static bool note_loose(struct sq_cx *cx, struct sq_level *level, const struct sq_nsitem *item,
                       const struct sq_field *column, int32_t location)
{
    for (struct sq_level *l = cx->level; l != level && l != NULL; l = l->parent)
        l->correlated = true;
    if (level->in_aggregate)
        return true;
    for (uint32_t i = 0; i < level->group_sql.count; i++)
        if (strcmp(level->group_sql.items[i], column->expr->sql) == 0)
            return true;
    struct sq_loose *loose = sq_alloc(cx, sizeof(*loose));
    if (loose == NULL)
        return false;
    *loose = (struct sq_loose){item, column->name, column->expr->sql, location};
    return sq_list_add(cx, &level->loose, loose);
}

static struct sq_expr *use_column(struct sq_cx *cx, struct sq_level *level,
                                  const struct sq_nsitem *item, const struct sq_field *column,
                                  int32_t location)
{
    struct sq_expr *expr = sq_alloc(cx, sizeof(*expr));
    if (expr == NULL || !note_loose(cx, level, item, column, location))
        return NULL;
    *expr = *column->expr;
    expr->location = location;
    return expr;
}

static struct sq_expr *system_column(struct sq_cx *cx, const struct sq_nsitem *item,
                                     const char *name, int32_t location)
{
    if (item->relation == NULL || item->relation->kind != 'r')
        return NULL;
    if (strcmp(name, "tableoid") == 0)
        return sq_new(cx, SY_T_OID, location, sq_printf(cx, "%u", item->relation->oid));
    if (strcmp(name, "ctid") == 0 || strcmp(name, "xmin") == 0 || strcmp(name, "xmax") == 0 ||
        strcmp(name, "cmin") == 0 || strcmp(name, "cmax") == 0)
        return sq_unsupported(cx, location,
                              "system column \"%s\" is not supported by the sqlite engine", name);
    return NULL;
}

static struct sq_expr *item_column(struct sq_cx *cx, struct sq_level *level,
                                   const struct sq_nsitem *item, const char *name, int32_t location,
                                   bool *ret_ambiguous)
{
    const struct sq_field *found = NULL;
    for (uint32_t i = 0; i < item->column_count; i++) {
        if (strcmp(item->columns[i].name, name) != 0)
            continue;
        if (found != NULL) {
            *ret_ambiguous = true;
            return sq_error_null(cx, "42702", location, "column reference \"%s\" is ambiguous",
                                 name);
        }
        found = &item->columns[i];
    }
    return found == NULL ? NULL : use_column(cx, level, item, found, location);
}

/* NULL without an error when `quiet` and there is no such column. */
struct sq_expr *sq_find_column(struct sq_cx *cx, const char *name, int32_t location, bool quiet)
{
    for (struct sq_level *level = cx->level; level != NULL; level = level->parent) {
        const struct sq_nsitem *owner = NULL;
        const struct sq_field *column = NULL;
        if (level->hidden)
            continue;
        for (uint32_t i = level->first_visible; i < level->items.count; i++) {
            const struct sq_nsitem *item = level->items.items[i];
            for (uint32_t c = 0; item->cols_visible && c < item->column_count; c++) {
                if (strcmp(item->columns[c].name, name) != 0)
                    continue;
                if (column != NULL)
                    return sq_error_null(cx, "42702", location,
                                         "column reference \"%s\" is ambiguous", name);
                column = &item->columns[c];
                owner = item;
            }
        }
        if (column != NULL)
            return use_column(cx, level, owner, column, location);
    }
    if (quiet)
        return NULL;
    return sq_error_null(cx, "42703", location, "column \"%s\" does not exist", name);
}

static struct sq_expr *whole_row(struct sq_cx *cx, struct sq_level *level,
                                 const struct sq_nsitem *item, int32_t location)
{
    struct sq_expr *out = sq_new(cx, SY_T_RECORD, location, "NULL");
    struct sq_field *fields = sq_alloc(cx, item->column_count * sizeof(*fields));
    if (out == NULL || fields == NULL)
        return NULL;
    for (uint32_t i = 0; i < item->column_count; i++) {
        fields[i].name = item->columns[i].name;
        fields[i].expr = use_column(cx, level, item, &item->columns[i], location);
        if (fields[i].expr == NULL)
            return NULL;
    }
    if (item->scalar)
        return fields[0].expr;
    out->kind = SQ_RECORD;
    out->fields = fields;
    out->field_count = item->column_count;
    return out;
}

static void *missing_from(struct sq_cx *cx, const char *table, int32_t location)
{
    for (struct sq_level *level = cx->level; level != NULL; level = level->parent)
        for (uint32_t i = 0; i < level->items.count; i++) {
            const struct sq_nsitem *item = level->items.items[i];
            /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): callers have a name */
            if (item->name != NULL && strcmp(item->name, table) == 0) {
                (void)sq_error(cx, "42P01", location,
                               "invalid reference to FROM-clause entry for table \"%s\"", table);
                sy_err_hint(cx->err,
                            "There is an entry for table \"%s\", but it cannot be referenced from "
                            "this part "
                            "of the query.",
                            table);
                return NULL;
            }
        }
    return sq_error_null(cx, "42P01", location, "missing FROM-clause entry for table \"%s\"",
                         table);
}

static struct sq_expr *qualified(struct sq_cx *cx, const char *table, const char *name,
                                 int32_t location)
{
    struct sq_level *level = NULL;
    bool ambiguous = false;
    if (cx->err != NULL)
        cx->err->status = SY_OK;
    struct sq_nsitem *item = find_item(cx, table, location, &level);
    if (item == NULL)
        return cx->err != NULL && cx->err->status != SY_OK ? NULL
                                                           : missing_from(cx, table, location);
    struct sq_expr *expr = item_column(cx, level, item, name, location, &ambiguous);
    if (expr != NULL || ambiguous)
        return expr;
    if ((expr = system_column(cx, item, name, location)) != NULL ||
        (cx->err != NULL && cx->err->status != SY_OK))
        return expr;
    return sq_error_null(cx, "42703", location, "column %s.%s does not exist", table, name);
}

static struct sq_expr *unqualified(struct sq_cx *cx, const char *name, int32_t location)
{
    if (cx->err != NULL)
        cx->err->status = SY_OK;
    struct sq_expr *expr = sq_find_column(cx, name, location, true);
    if (expr != NULL || (cx->err != NULL && cx->err->status != SY_OK))
        return expr;
    struct sq_level *level = NULL;
    struct sq_nsitem *item = find_item(cx, name, location, &level);
    if (item != NULL)
        return whole_row(cx, level, item, location);
    if (cx->level != NULL && cx->level->items.count == 1 &&
        (expr = system_column(cx, cx->level->items.items[0], name, location)) != NULL)
        return expr;
    if (cx->err != NULL && cx->err->status != SY_OK)
        return NULL;
    return sq_error_null(cx, "42703", location, "column \"%s\" does not exist", name);
}

struct sq_expr *sq_expr_column(struct sq_cx *cx, const PgQuery__ColumnRef *node)
{
    const char *parts[3] = {NULL, NULL, NULL};
    if (node->n_fields > 3)
        return sq_unsupported(cx, node->location, "this column reference is not supported");
    for (size_t i = 0; i < node->n_fields; i++) {
        parts[i] = sq_str(node->fields[i]);
        if (parts[i] == NULL && i + 1 == node->n_fields && i > 0) {
            struct sq_level *level = NULL;
            struct sq_nsitem *item = find_item(cx, parts[i - 1], node->location, &level);
            return item == NULL ? missing_from(cx, parts[i - 1], node->location)
                                : whole_row(cx, level, item, node->location);
        }
        if (parts[i] == NULL)
            return sq_error_null(cx, "42601", node->location,
                                 "row expansion via \"*\" is not supported here");
    }
    if (cx->in_default)
        return sq_error_null(cx, "0A000", node->location,
                             "cannot use column reference in DEFAULT expression");
    if (node->n_fields == 1)
        return unqualified(cx, parts[0], node->location);
    if (node->n_fields == 2) {
        struct sq_level *level = NULL;
        struct sq_nsitem *item = find_item(cx, parts[0], node->location, &level);
        if (item == NULL) { /* a field of a record column: (t.keys).x is written with parentheses */
            struct sq_expr *record = sq_find_column(cx, parts[0], node->location, true);
            for (uint32_t i = 0;
                 record != NULL && record->kind == SQ_RECORD && i < record->field_count; i++)
                if (strcmp(record->fields[i].name, parts[1]) == 0)
                    return record->fields[i].expr;
        }
        return qualified(cx, parts[0], parts[1], node->location);
    }
    return qualified(cx, parts[1], parts[2], node->location);
}
