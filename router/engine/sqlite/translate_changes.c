/*
 * Statements in WITH that change rows. SQLite has none, so each runs before the main statement as a
 * step of its own; the runtime keeps the rows that it returns, and the name in WITH reads them. In
 * PostgreSQL all parts see the rows as they were before the statement: what reads or changes a
 * table that an earlier part has changed, or one tied to it by a foreign key, is refused.
 */
#include "router/engine/sqlite/functions.h"
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

static bool has_name(const struct sq_list *list, const char *name)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static bool add_name(struct sq_cx *cx, struct sq_list *list, const char *name)
{
    return has_name(list, name) || sq_list_add(cx, list, sy_arena_strdup(cx->arena, name));
}

/* False: 0A000, a table of `used` was changed by an earlier part. */
static bool check_changed(struct sq_cx *cx, const struct sq_list *used)
{
    for (uint32_t i = 0; i < used->count; i++) {
        if (!has_name(&cx->changed, used->items[i]))
            continue;
        return sq_unsupported(cx, -1,
                              "a statement that uses \"%s\", which a statement in its WITH "
                              "changes, is not supported by the sqlite engine",
                              (const char *)used->items[i]) != NULL;
    }
    return true;
}

/* Tables whose foreign keys lead to one that is changed, and theirs in turn. */
static bool add_referring(struct sq_cx *cx)
{
    const struct sy_sqschema *schema = cx->input->schema;
    const struct sy_sqrelation *r = NULL;
    for (uint32_t before = 0; before < cx->changed.count;) {
        before = cx->changed.count;
        for (uint32_t i = 0; schema->at != NULL && (r = schema->at(schema->ctx, i)) != NULL; i++)
            for (uint32_t c = 0; c < r->constraint_count; c++)
                if (r->constraints[c].kind == 'f' &&
                    has_name(&cx->changed, r->constraints[c].ref_table) &&
                    !add_name(cx, &cx->changed, r->name))
                    return false;
    }
    return true;
}

static bool note_changes(struct sq_cx *cx, const struct sy_sqrelation *target, bool inserts)
{
    if (!add_name(cx, &cx->changed, target->name))
        return false;
    if (!inserts && !add_referring(cx))
        return false;
    for (uint32_t c = 0; c < target->constraint_count; c++)
        if (target->constraints[c].kind == 'f' &&
            !add_name(cx, &cx->changed, target->constraints[c].ref_table))
            return false;
    return true;
}

/* ---- one of them ---- */

static bool translate(struct sq_cx *cx, const sq_node *node, struct sq_out *out,
                      const PgQuery__RangeVar **ret_target)
{
    const PgQuery__WithClause *with = NULL;
    bool ok = false;
    if (sq_push_level(cx) == NULL)
        return false;
    switch ((int)node->node_case) {
    case NODE(INSERT_STMT):
        with = node->insert_stmt->with_clause;
        *ret_target = node->insert_stmt->relation;
        ok = with == NULL && sq_insert(cx, node->insert_stmt, out);
        break;
    case NODE(UPDATE_STMT):
        with = node->update_stmt->with_clause;
        *ret_target = node->update_stmt->relation;
        ok = with == NULL && sq_update(cx, node->update_stmt, out);
        break;
    default:
        with = node->delete_stmt->with_clause;
        *ret_target = node->delete_stmt->relation;
        ok = with == NULL && sq_delete(cx, node->delete_stmt, out);
        break;
    }
    sq_pop_level(cx);
    if (with != NULL || (ok && out->steps.count != 1))
        return sq_unsupported(cx, -1,
                              "this data-modifying statement in WITH is not supported by the "
                              "sqlite engine") != NULL;
    return ok;
}

static bool kept_columns(struct sq_cx *cx, struct sq_cte *cte, const struct sy_sqtranslation *t,
                         const PgQuery__CommonTableExpr *node)
{
    cte->no_rows = !t->returns_rows;
    cte->column_count = t->returns_rows ? t->column_count : 0;
    cte->columns = sq_alloc(cx, (cte->column_count + 1) * sizeof(*cte->columns));
    if (cte->columns == NULL)
        return false;
    if (cte->column_count > SQ_ROWS_COLUMNS_MAX || node->n_aliascolnames > cte->column_count)
        return sq_unsupported(cx, node->location,
                              "this list of columns in WITH is not supported by the sqlite "
                              "engine") != NULL;
    for (uint32_t i = 0; i < cte->column_count; i++) {
        const struct sy_sqresult_column *column = &t->columns[i];
        struct sq_expr *expr = sq_new(cx, column->type, -1, sq_printf(cx, "\"%u\"", i));
        if (expr == NULL)
            return false;
        expr->typmod = column->typmod;
        expr->table_oid = column->table_oid;
        expr->attnum = column->attnum;
        cte->columns[i].expr = expr;
        cte->columns[i].name = i < node->n_aliascolnames
                                   ? sy_arena_strdup(cx->arena, sq_str(node->aliascolnames[i]))
                                   : column->name;
    }
    return true;
}

static const char *kept_text(struct sq_cx *cx, const struct sq_cte *cte, uint32_t index)
{
    struct sy_buf names = {0}, values = {0};
    for (uint32_t i = 0; i < cte->column_count; i++) {
        sy_buf_printf(&names, "%s\"%u\"", i == 0 ? "" : ", ", i);
        sy_buf_printf(&values, "%sc%u", i == 0 ? "" : ", ", i);
    }
    const char *n = sq_finish(cx, &names), *v = sq_finish(cx, &values);
    if (cte->no_rows)
        return sq_printf(cx, "%s(x) AS (SELECT 0)", sq_ident(cx, cte->name));
    return n == NULL || v == NULL
               ? NULL
               : sq_printf(cx, "%s(%s) AS (SELECT %s FROM sy_rows(sy_kept(%u), %u))",
                           sq_ident(cx, cte->name), n, v, index, cte->column_count);
}

const char *sq_changing_cte(struct sq_cx *cx, const PgQuery__CommonTableExpr *node,
                            struct sq_cte *cte, const char *before)
{
    struct sq_out out = {.t = sq_alloc(cx, sizeof(*out.t))};
    struct sq_list outer = cx->relations;
    const PgQuery__RangeVar *target = NULL;
    uint32_t index = cx->kept_count;
    if (out.t == NULL)
        return NULL;
    if (index == SQ_KEPT_MAX)
        return sq_unsupported(cx, node->location,
                              "more than %d statements that change rows in one WITH are not "
                              "supported by the sqlite engine",
                              SQ_KEPT_MAX);
    cx->relations = (struct sq_list){0};
    bool ok = translate(cx, node->ctequery, &out, &target) && check_changed(cx, &cx->relations);
    const struct sy_sqrelation *relation = ok ? sq_find_relation(cx, target, false) : NULL;
    for (uint32_t i = 0; ok && i < cx->relations.count; i++)
        ok = add_name(cx, &cx->used_in_with, cx->relations.items[i]);
    cx->relations = outer;
    if (!ok || relation == NULL ||
        !note_changes(cx, relation, node->ctequery->node_case == NODE(INSERT_STMT)) ||
        !kept_columns(cx, cte, out.t, node))
        return NULL;
    cx->kept_count++;
    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what was translated has a step */
    struct sy_sqstep *step = out.steps.items[0];
    step->main = false;
    step->keep = index + 1;
    step->sql = sq_printf(cx, "%s%s", before, step->sql);
    if (step->sql == NULL || !sq_list_add(cx, &cx->changes, step) ||
        !sq_list_add(cx, &cx->level->ctes, cte))
        return NULL;
    return kept_text(cx, cte, index);
}

bool sq_finish_changes(struct sq_cx *cx, struct sq_out *out)
{
    struct sq_list steps = cx->changes;
    if (steps.count == 0)
        return true;
    if (!check_changed(cx, &cx->relations))
        return false;
    for (uint32_t i = 0; i < cx->used_in_with.count; i++)
        if (!sq_note_relation(cx, cx->used_in_with.items[i]))
            return false;
    for (uint32_t i = 0; i < out->steps.count; i++)
        if (!sq_list_add(cx, &steps, out->steps.items[i]))
            return false;
    if (!out->t->explain || out->t->analyze)
        out->steps = steps;
    return true;
}
