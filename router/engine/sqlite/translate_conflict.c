/* ON CONFLICT, TRUNCATE, and SQLite's constraint errors in PostgreSQL's words. */
#include <stdio.h>
#include <stdlib.h>

#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* ---- ON CONFLICT ---- */

static const char *constraint_target(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                     const char *name, int32_t location)
{
    for (uint32_t i = 0; i < relation->constraint_count; i++) {
        const struct sy_sqconstraint *constraint = &relation->constraints[i];
        if (strcmp(constraint->name, name) != 0)
            continue;
        if (constraint->kind != 'p' && constraint->kind != 'u')
            return sq_error_null(cx, "42809", location,
                                 "constraint in ON CONFLICT clause has no associated index");
        struct sy_buf buf = {0};
        for (uint32_t c = 0; c < constraint->column_count; c++)
            sy_buf_printf(&buf, "%s%s", c == 0 ? "" : ", ",
                          sq_ident(cx, relation->columns[constraint->columns[c]].name));
        return sq_finish(cx, &buf);
    }
    return sq_error_null(cx, "42704", location, "constraint \"%s\" for table \"%s\" does not exist",
                         name, relation->name);
}

/* Is there a unique index over exactly these columns? */
static bool has_unique(const struct sy_sqrelation *relation, const bool *wanted, uint32_t count,
                       bool predicate)
{
    for (uint32_t i = 0; i < relation->index_count; i++) {
        const struct sy_sqindex *index = &relation->indexes[i];
        bool fits =
            index->unique && index->key_count == count && (index->predicate == NULL || predicate);
        for (uint32_t k = 0; k < index->key_count && fits; k++)
            fits = index->key_columns[k] >= 0 && wanted[index->key_columns[k]];
        if (fits)
            return true;
    }
    return false;
}

static const char *inferred_target(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                   const PgQuery__InferClause *infer)
{
    struct sy_buf buf = {0};
    bool *wanted = sq_alloc(cx, relation->column_count * sizeof(bool));
    bool ok = wanted != NULL, expressions = false;
    cx->bare_columns = true;
    for (size_t i = 0; i < infer->n_index_elems && ok; i++) {
        const PgQuery__IndexElem *elem = infer->index_elems[i]->index_elem;
        const char *sql = NULL;
        if (elem->expr == NULL) {
            int index = sq_column_index(relation, elem->name);
            ok = index >= 0 ||
                 sq_error(cx, "42703", infer->location, "column \"%s\" does not exist", elem->name);
            if (ok)
                wanted[index] = true;
            sql = ok ? sq_ident(cx, elem->name) : NULL;
        } else {
            struct sq_expr *expr = sq_expr(cx, elem->expr);
            expressions = true;
            sql = expr == NULL ? NULL : expr->sql;
        }
        ok = sql != NULL;
        if (ok)
            sy_buf_printf(&buf, "%s%s", i == 0 ? "" : ", ", sql);
    }
    uint32_t count = (uint32_t)infer->n_index_elems;
    if (ok && !expressions && !has_unique(relation, wanted, count, infer->where_clause != NULL))
        ok = sq_error(
            cx, "42P10", -1,
            "there is no unique or exclusion constraint matching the ON CONFLICT specification");
    const char *text = sq_finish(cx, &buf);
    cx->bare_columns = false;
    return ok ? text : NULL;
}

static const char *conflict_target(struct sq_cx *cx, const struct sy_sqrelation *relation,
                                   const PgQuery__InferClause *infer)
{
    if (infer->conname != NULL && infer->conname[0] != '\0') {
        const char *columns = constraint_target(cx, relation, infer->conname, infer->location);
        return columns == NULL ? NULL : sq_printf(cx, " (%s)", columns);
    }
    struct sq_list items = cx->level->items;
    cx->level->items = (struct sq_list){0};
    const char *columns = NULL, *predicate = "";
    if (sq_add_relation(cx, relation, relation->name, "") != NULL)
        columns = inferred_target(cx, relation, infer);
    if (columns != NULL && infer->where_clause != NULL) {
        struct sq_expr *expr = sq_expr_bool(cx, infer->where_clause, "WHERE");
        predicate = expr == NULL ? NULL : sq_printf(cx, " WHERE %s", expr->sql);
    }
    cx->level->items = items;
    return columns == NULL || predicate == NULL ? NULL
                                                : sq_printf(cx, " (%s)%s", columns, predicate);
}

const char *sq_on_conflict(struct sq_cx *cx, const struct sy_sqrelation *relation,
                           const char *alias, const char *sql_name,
                           const PgQuery__OnConflictClause *node)
{
    const char *where_to = node->infer == NULL ? "" : conflict_target(cx, relation, node->infer);
    if (where_to == NULL)
        return NULL;
    if (node->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_NOTHING)
        return sq_printf(cx, " ON CONFLICT%s DO NOTHING", where_to);
    if (node->infer == NULL)
        return sq_error_null(
            cx, "42601", node->location,
            "ON CONFLICT DO UPDATE requires inference specification or constraint name");
    struct sq_list items = cx->level->items;
    cx->level->items = (struct sq_list){0};
    struct sq_nsitem *target = sq_add_relation(cx, relation, alias, sql_name);
    struct sq_nsitem *excluded =
        target == NULL ? NULL : sq_add_relation(cx, relation, "excluded", "excluded");
    const char *set = NULL, *condition = "";
    if (excluded != NULL) {
        excluded->cols_visible = false;
        set = sq_assignments(cx, relation, node->target_list, node->n_target_list);
    }
    if (set != NULL && node->where_clause != NULL) {
        struct sq_expr *expr = sq_expr_bool(cx, node->where_clause, "WHERE");
        condition = expr == NULL ? NULL : sq_printf(cx, " WHERE %s", expr->sql);
    }
    cx->level->items = items;
    if (set == NULL || condition == NULL)
        return NULL;
    return sq_printf(cx, " ON CONFLICT%s DO UPDATE SET %s%s", where_to, set, condition);
}

/* ---- TRUNCATE ---- */

static bool listed(const struct sq_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(((const struct sy_sqrelation *)list->items[i])->name, name) == 0)
            return true;
    return false;
}

/* Adds tables that refer to those of the list (CASCADE), or complains about them. */
static bool referencing(struct sq_cx *cx, struct sq_list *list, bool cascade)
{
    const struct sy_sqschema *schema = cx->input->schema;
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; schema->at != NULL; i++) {
            const struct sy_sqrelation *other = schema->at(schema->ctx, i);
            if (other == NULL)
                break;
            for (uint32_t c = 0; c < other->constraint_count && !listed(list, other->name); c++) {
                const struct sy_sqconstraint *constraint = &other->constraints[c];
                if (constraint->kind != 'f' || !listed(list, constraint->ref_table))
                    continue;
                if (!cascade) {
                    (void)sq_error(
                        cx, "0A000", -1,
                        "cannot truncate a table referenced in a foreign key constraint");
                    sy_err_detail(cx->err, "Table \"%s\" references \"%s\".", other->name,
                                  constraint->ref_table);
                    sy_err_hint(
                        cx->err,
                        "Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.",
                        other->name);
                    return false;
                }
                union {
                    const struct sy_sqrelation *in;
                    void *out;
                } cast = {.in = other};
                if (!sq_list_add(cx, list, cast.out))
                    return false;
                again = true;
            }
        }
    }
    return true;
}

bool sq_truncate(struct sq_cx *cx, const PgQuery__TruncateStmt *node, struct sq_out *out)
{
    struct sq_list tables = {0};
    for (size_t i = 0; i < node->n_relations; i++) {
        const struct sy_sqrelation *relation =
            sq_find_relation(cx, node->relations[i]->range_var, false);
        if (relation == NULL)
            return false;
        if (relation->kind != 'r' || relation->read_only)
            return sq_error(cx, "42809", -1, "\"%s\" is not a table", relation->name);
        union {
            const struct sy_sqrelation *in;
            void *out;
        } cast = {.in = relation};
        if (!sq_list_add(cx, &tables, cast.out))
            return false;
    }
    if (!referencing(cx, &tables, node->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE))
        return false;
    for (uint32_t i = tables.count; i > 0; i--) {
        const struct sy_sqrelation *relation = tables.items[i - 1];
        if (!sq_step(cx, out,
                     sq_printf(cx, "DELETE FROM %s", sq_ident(cx, sq_relation_sql(relation))),
                     false))
            return false;
    }
    const struct sy_sqschema *schema = cx->input->schema;
    for (uint32_t i = 0; node->restart_seqs && schema->at != NULL; i++) {
        const struct sy_sqrelation *sequence = schema->at(schema->ctx, i);
        if (sequence == NULL)
            break;
        if (sequence->kind == 'S' && sequence->sequence != NULL &&
            sequence->sequence->owner_table != NULL &&
            listed(&tables, sequence->sequence->owner_table) &&
            !sq_list_add(cx, &out->restarts, sy_arena_strdup(cx->arena, sequence->name)))
            return false;
    }
    cx->writes = true;
    out->t->kind = SY_STMT_TRUNCATE;
    out->t->tag = "TRUNCATE TABLE";
    return true;
}

/* ---- errors of constraints ---- */

/* "t.a, t.b": the names after the table's. */
static bool names_match(const struct sy_sqrelation *relation, const int16_t *columns,
                        uint32_t count, const char *list)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *name = columns[i] < 0 ? NULL : relation->columns[columns[i]].name;
        const char *table = sq_relation_sql(relation);
        size_t table_bytes = strlen(table), name_bytes = name == NULL ? 0 : strlen(name);
        if (name == NULL || strncmp(list, table, table_bytes) != 0 || list[table_bytes] != '.' ||
            strncmp(list + table_bytes + 1, name, name_bytes) != 0)
            return false;
        list += table_bytes + 1 + name_bytes;
        if (i + 1 < count && strncmp(list, ", ", 2) != 0)
            return false;
        list += i + 1 < count ? 2 : 0;
    }
    return *list == '\0';
}

static const struct sy_sqrelation *by_sqlite_name(const struct sy_sqschema *schema,
                                                  const char *name, size_t bytes)
{
    for (uint32_t i = 0; schema->at != NULL; i++) {
        const struct sy_sqrelation *relation = schema->at(schema->ctx, i);
        if (relation == NULL)
            return NULL;
        const char *sql = sq_relation_sql(relation);
        if (strlen(sql) == bytes && memcmp(sql, name, bytes) == 0)
            return relation;
    }
    return NULL;
}

static void set_violation(struct sy_err *err, const char *state, const char *format, const char *a,
                          const char *b)
{
    char text[SY_ERR_TEXT_BYTES];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof(text), format, a, b);
#pragma GCC diagnostic pop
    (void)sy_err_set(err, SY_E_VALUE, "%s", text);
    sy_err_state(err, state);
}

static bool unique_violation(const struct sy_sqschema *schema, const char *list, struct sy_err *err)
{
    const char *dot = strchr(list, '.');
    const struct sy_sqrelation *relation =
        dot == NULL ? NULL : by_sqlite_name(schema, list, (size_t)(dot - list));
    const char *name = NULL;
    for (uint32_t i = 0; relation != NULL && i < relation->index_count && name == NULL; i++) {
        const struct sy_sqindex *index = &relation->indexes[i];
        if (index->unique && names_match(relation, index->key_columns, index->key_count, list))
            name = index->name;
    }
    if (strncmp(list, "index '", 7) == 0) {
        set_violation(err, "23505", "duplicate key value violates unique constraint \"%s\"", "",
                      NULL);
        char text[128];
        (void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(list + 7, "'"), list + 7);
        set_violation(err, "23505", "duplicate key value violates unique constraint \"%s\"", text,
                      NULL);
        return true;
    }
    set_violation(err, "23505", "duplicate key value violates unique constraint \"%s\"",
                  name == NULL ? list : name, NULL);
    return true;
}

static bool null_violation(const struct sy_sqschema *schema, const char *list, struct sy_err *err)
{
    const char *dot = strchr(list, '.');
    const struct sy_sqrelation *relation =
        dot == NULL ? NULL : by_sqlite_name(schema, list, (size_t)(dot - list));
    set_violation(err, "23502",
                  "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                  dot == NULL ? list : dot + 1, relation == NULL ? "" : relation->name);
    return true;
}

static bool check_violation(const struct sy_sqschema *schema, const char *name, struct sy_err *err)
{
    for (uint32_t i = 0; schema->at != NULL; i++) {
        const struct sy_sqrelation *relation = schema->at(schema->ctx, i);
        if (relation == NULL)
            break;
        for (uint32_t c = 0; c < relation->constraint_count; c++) {
            const struct sy_sqconstraint *constraint = &relation->constraints[c];
            if (constraint->kind != 'c' || strcmp(constraint->name, name) != 0)
                continue;
            set_violation(err, "23514",
                          "new row for relation \"%s\" violates check constraint \"%s\"",
                          relation->name, name);
            return true;
        }
    }
    set_violation(err, "23514", "new row violates check constraint \"%s\"%s", name, "");
    return true;
}

bool sy_sqconstraint_error(const struct sy_sqschema *schema, const char *message,
                           struct sy_err *err)
{
    static const struct {
        const char *prefix;
        bool (*handle)(const struct sy_sqschema *schema, const char *rest, struct sy_err *err);
    } kinds[] = {
        {"UNIQUE constraint failed: ", unique_violation},
        {"NOT NULL constraint failed: ", null_violation},
        {"CHECK constraint failed: ", check_violation},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strncmp(message, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
            return kinds[i].handle(schema, message + strlen(kinds[i].prefix), err);
    if (strncmp(message, "FOREIGN KEY constraint failed", 29) == 0) {
        set_violation(err, "23503",
                      "insert, update or delete violates a foreign key constraint%s%s", "", "");
        return true;
    }
    return false;
}
