/*
 * ALTER TABLE, RENAME, DROP. What SQLite cannot alter is done by giving the table a new text
 * (sq_redefine) and by updating its rows; indexes that are in the way are dropped before and made
 * again after.
 */
#include <stdlib.h>

#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* A step that fails with an error of PostgreSQL when `condition` holds for some row. */
static bool check_rows(struct sq_cx *cx, struct sq_out *out, const struct sy_sqrelation *relation,
                       const char *condition, const char *sqlstate, const char *message)
{
    if (condition == NULL || message == NULL)
        return false;
    return sq_step(cx, out,
                   sq_printf(cx, "SELECT sy_raise('%s', %s) FROM %s WHERE %s LIMIT 1", sqlstate,
                             sq_string(cx, message, strlen(message)),
                             sq_ident(cx, sq_relation_sql(relation)), condition),
                   false);
}

static bool drop_index_step(struct sq_cx *cx, struct sq_out *out, const struct sy_sqindex *index)
{
    return sq_step(cx, out, sq_printf(cx, "DROP INDEX %s", sq_ident(cx, index->name)), false);
}

static void remove_at(struct sq_list *list, uint32_t index)
{
    for (uint32_t i = index + 1; i < list->count; i++)
        list->items[i - 1] = list->items[i];
    list->count--;
}

struct alter {
    struct sq_def def;
    const struct sy_sqrelation *old;
    bool redefine; /* the table's text changed */
};

static int need_column(struct sq_cx *cx, const struct alter *a, const char *name)
{
    for (uint32_t i = 0; i < a->def.column_count; i++)
        if (strcmp(a->def.columns[i].name, name) == 0)
            return (int)i;
    (void)sq_error(cx, "42703", -1, "column \"%s\" of relation \"%s\" does not exist", name,
                   a->old->name);
    return -1;
}

/* ---- ADD COLUMN ---- */

/* Gives the rows that are there the new column's default. */
static bool fill_default(struct sq_cx *cx, struct alter *a, const struct sy_sqcolumn *column,
                         struct sq_out *out)
{
    const char *table = sq_ident(cx, sq_relation_sql(a->old)), *name = sq_ident(cx, column->name);
    bool own = strncmp(column->default_sql, "nextval(", 8) == 0 && a->def.sequences.count > 0;
    const struct sy_sqrelation *sequence =
        own ? a->def.sequences.items[a->def.sequences.count - 1] : NULL;
    struct sq_expr *value =
        own ? sq_new(cx, SY_T_INT8, -1, sq_printf(cx, "sy_nextval('%s')", sequence->name))
            : sq_column_default(cx, a->old, column);
    if (value == NULL ||
        !sq_step(cx, out, sq_printf(cx, "UPDATE %s SET %s = %s", table, name, value->sql), false))
        return false;
    cx->calls_sequences = cx->calls_sequences || own;
    return true;
}

static bool add_column(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                       struct sq_out *out)
{
    const PgQuery__ColumnDef *node = cmd->def->column_def;
    uint32_t indexes = a->def.indexes.count, constraints = a->def.constraints.count,
             sequences = a->def.sequences.count;
    for (uint32_t i = 0; i < a->def.column_count; i++)
        if (strcmp(a->def.columns[i].name, node->colname) == 0) {
            if (cmd->missing_ok)
                return sq_notice(
                    cx, "42701",
                    sq_printf(cx, "column \"%s\" of relation \"%s\" already exists, skipping",
                              node->colname, a->old->name));
            return sq_error(cx, "42701", -1, "column \"%s\" of relation \"%s\" already exists",
                            node->colname, a->old->name);
        }
    for (uint32_t i = 0; i < a->old->constraint_count; i++)
        for (size_t c = 0; c < node->n_constraints; c++)
            if (a->old->constraints[i].kind == 'p' &&
                node->constraints[c]->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY)
                return sq_error(cx, "42P16", -1,
                                "multiple primary keys for table \"%s\" are not allowed",
                                a->old->name);
    if (!sq_def_column(cx, &a->def, node))
        return false;
    int index = (int)a->def.column_count - 1;
    struct sy_sqcolumn *column = &a->def.columns[index];
    if (column->generated != 0)
        return sq_unsupported(
                   cx, -1,
                   "adding a stored generated column is not supported by the sqlite engine") !=
               NULL;
    for (size_t i = 0; i < node->n_constraints; i++) {
        PgQuery__Constraint constraint = sq_column_constraint(node, i);
        bool late = constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK ||
                    constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN;
        if (late && !sq_def_constraint(cx, &a->def, &constraint, index))
            return false;
    }
    const struct sy_type_info *type = sy_type_find(column->type);
    if (!sq_def_finish(cx, &a->def))
        return false;
    const char *table = sq_ident(cx, sq_relation_sql(a->old)), *name = sq_ident(cx, column->name);
    if (!sq_step(cx, out,
                 sq_printf(cx, "ALTER TABLE %s ADD COLUMN %s %s%s%s", table, name,
                           type->column_type, type->collation == NULL ? "" : " COLLATE ",
                           type->collation == NULL ? "" : type->collation),
                 false))
        return false;
    for (; sequences < a->def.sequences.count; sequences++)
        if (!sq_ddl(cx, out, SY_SQDDL_CREATE, "public",
                    ((const struct sy_sqrelation *)a->def.sequences.items[sequences])->name,
                    a->def.sequences.items[sequences]))
            return false;
    if (column->default_sql != NULL && !fill_default(cx, a, column, out))
        return false;
    if (column->not_null &&
        !check_rows(cx, out, a->old, sq_printf(cx, "%s IS NULL", name), "23502",
                    sq_printf(cx, "column \"%s\" of relation \"%s\" contains null values",
                              column->name, a->old->name)))
        return false;
    a->redefine = a->redefine || column->not_null || a->def.constraints.count > constraints;
    for (; indexes < a->def.indexes.count; indexes++)
        if (!sq_step(cx, out, sq_index_sql(cx, a->def.relation, a->def.indexes.items[indexes]),
                     false))
            return false;
    return true;
}

/* ---- DROP COLUMN ---- */

static bool mentions(const int16_t *columns, uint32_t count, int index)
{
    for (uint32_t i = 0; i < count; i++)
        if (columns[i] == index)
            return true;
    return false;
}

/* Does an expression text name the column? By walking its tree: see rename below. */
static bool text_mentions(struct sq_cx *cx, const char *text, const char *column);

static bool drop_dependents(struct sq_cx *cx, struct alter *a, int index, const char *name,
                            struct sq_out *out)
{
    for (uint32_t i = a->def.indexes.count; i > 0; i--) {
        const struct sy_sqindex *item = a->def.indexes.items[i - 1];
        bool uses = mentions(item->key_columns, item->key_count, index) ||
                    (item->predicate != NULL && text_mentions(cx, item->predicate, name));
        for (uint32_t k = 0; k < item->key_count && !uses; k++)
            uses = item->key_columns[k] < 0 && text_mentions(cx, item->keys[k], name);
        if (!uses)
            continue;
        if (!drop_index_step(cx, out, item))
            return false;
        remove_at(&a->def.indexes, i - 1);
    }
    for (uint32_t i = a->def.constraints.count; i > 0; i--) {
        const struct sy_sqconstraint *item = a->def.constraints.items[i - 1];
        if (!mentions(item->columns, item->column_count, index))
            continue;
        if (item->kind == 'p' && !a->old->hidden_key)
            return sq_unsupported(
                       cx, -1,
                       "dropping a primary key column is not supported by the sqlite engine") !=
                   NULL;
        a->redefine = a->redefine || item->kind == 'c' || item->kind == 'f';
        remove_at(&a->def.constraints, i - 1);
    }
    return true;
}

/* Indexes of columns move down by one behind a dropped column. */
static bool shift_columns(struct sq_cx *cx, int16_t const **columns, uint32_t count, int index)
{
    int16_t *copy = sq_alloc(cx, count * sizeof(*copy));
    if (copy == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++)
        copy[i] = (int16_t)((*columns)[i] > index ? (*columns)[i] - 1 : (*columns)[i]);
    *columns = copy;
    return true;
}

static bool drop_column(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                        struct sq_out *out)
{
    if (cmd->missing_ok && sq_column_index(a->old, cmd->name) < 0)
        return sq_notice(cx, "00000",
                         sq_printf(cx, "column \"%s\" of relation \"%s\" does not exist, skipping",
                                   cmd->name, a->old->name));
    int index = need_column(cx, a, cmd->name);
    if (index < 0)
        return false;
    if (!drop_dependents(cx, a, index, cmd->name, out))
        return false;
    if (a->redefine && (!sq_def_finish(cx, &a->def) || !sq_redefine(cx, out, a->def.relation)))
        return false;
    a->redefine = false;
    if (!sq_step(cx, out,
                 sq_printf(cx, "ALTER TABLE %s DROP COLUMN %s",
                           sq_ident(cx, sq_relation_sql(a->old)), sq_ident(cx, cmd->name)),
                 false))
        return false;
    for (uint32_t i = (uint32_t)index + 1; i < a->def.column_count; i++)
        a->def.columns[i - 1] = a->def.columns[i];
    a->def.column_count--;
    for (uint32_t i = 0; i < a->def.constraints.count; i++) {
        struct sy_sqconstraint *item = a->def.constraints.items[i];
        if (!shift_columns(cx, &item->columns, item->column_count, index))
            return false;
    }
    for (uint32_t i = 0; i < a->def.indexes.count; i++) {
        struct sy_sqindex *item = a->def.indexes.items[i];
        if (!shift_columns(cx, &item->key_columns, item->key_count, index))
            return false;
    }
    const struct sy_sqschema *schema = cx->input->schema;
    for (uint32_t i = 0; schema->at != NULL; i++) {
        const struct sy_sqrelation *sequence = schema->at(schema->ctx, i);
        if (sequence == NULL)
            break;
        bool owned = sequence->kind == 'S' && sequence->sequence != NULL &&
                     sequence->sequence->owner_table != NULL &&
                     strcmp(sequence->sequence->owner_table, a->old->name) == 0 &&
                     strcmp(sequence->sequence->owner_column, cmd->name) == 0;
        if (owned && !sq_ddl(cx, out, SY_SQDDL_DROP, "public", sequence->name, NULL))
            return false;
    }
    return true;
}

/* ---- ALTER COLUMN ---- */

static bool column_default(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd)
{
    int index = need_column(cx, a, cmd->name);
    if (index < 0)
        return false;
    struct sy_sqcolumn *column = &a->def.columns[index];
    if (column->identity != 0 || column->generated != 0)
        return sq_error(cx, "42601", -1, "column \"%s\" of relation \"%s\" is %s column",
                        column->name, a->old->name,
                        column->identity != 0 ? "an identity" : "a generated");
    if (cmd->def == NULL) {
        column->default_sql = NULL;
        return true;
    }
    cx->in_default = true;
    struct sq_expr *value = sq_coerce_assign(cx, sq_expr(cx, cmd->def), column);
    cx->in_default = false;
    column->default_sql = value == NULL ? NULL : sq_deparse(cx, cmd->def);
    return column->default_sql != NULL;
}

static bool column_not_null(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                            bool not_null, struct sq_out *out)
{
    int index = need_column(cx, a, cmd->name);
    if (index < 0)
        return false;
    struct sy_sqcolumn *column = &a->def.columns[index];
    for (uint32_t i = 0; !not_null && i < a->def.constraints.count; i++) {
        const struct sy_sqconstraint *item = a->def.constraints.items[i];
        if (item->kind == 'p' && mentions(item->columns, item->column_count, index))
            return sq_error(cx, "42P16", -1, "column \"%s\" is in a primary key", column->name);
    }
    if (!not_null && column->identity != 0)
        return sq_error(cx, "42601", -1, "column \"%s\" of relation \"%s\" is an identity column",
                        column->name, a->old->name);
    if (column->not_null == not_null)
        return true;
    column->not_null = not_null;
    a->redefine = true;
    return !not_null ||
           check_rows(cx, out, a->old, sq_printf(cx, "%s IS NULL", sq_ident(cx, column->name)),
                      "23502",
                      sq_printf(cx, "column \"%s\" of relation \"%s\" contains null values",
                                column->name, a->old->name));
}

static bool add_identity(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                         struct sq_out *out)
{
    int index = need_column(cx, a, cmd->name);
    if (index < 0)
        return false;
    struct sy_sqcolumn *column = &a->def.columns[index];
    if (!column->not_null)
        return sq_error(cx, "55000", -1,
                        "column \"%s\" of relation \"%s\" must be declared NOT NULL before "
                        "identity can be added",
                        column->name, a->old->name);
    if (column->identity != 0 || column->default_sql != NULL)
        return sq_error(cx, "55000", -1, "column \"%s\" of relation \"%s\" already %s",
                        column->name, a->old->name,
                        column->identity != 0 ? "is an identity column" : "has a default value");
    if (!sq_def_identity(cx, &a->def, column, cmd->def->constraint))
        return false;
    const struct sy_sqrelation *sequence = a->def.sequences.items[a->def.sequences.count - 1];
    return sq_ddl(cx, out, SY_SQDDL_CREATE, "public", sequence->name, sequence);
}

static bool column_type(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                        struct sq_out *out)
{
    const PgQuery__ColumnDef *node = cmd->def->column_def;
    uint32_t type = 0;
    int32_t typmod = -1;
    int index = need_column(cx, a, cmd->name);
    if (index < 0 || !sq_type_name(cx, node->type_name, &type, &typmod))
        return false;
    struct sy_sqcolumn *column = &a->def.columns[index];
    struct sy_sqcolumn target = *column;
    target.type = type;
    target.typmod = typmod;
    const struct sy_type_info *info = sy_type_find(type);
    if (info->column_type == NULL || column->generated != 0)
        return sq_unsupported(cx, -1,
                              "this change of type is not supported by the sqlite engine") != NULL;
    if (column->rowid && type != SY_T_INT2 && type != SY_T_INT4 && type != SY_T_INT8)
        return sq_unsupported(
                   cx, -1, "an integer primary key cannot change its type on the sqlite engine") !=
               NULL;
    struct sq_level *level = cx->level;
    cx->level = NULL;
    struct sq_expr *value = NULL;
    if (sq_push_level(cx) != NULL && sq_add_relation(cx, a->old, a->old->name, "") != NULL)
        value = node->raw_default != NULL ? sq_expr(cx, node->raw_default)
                                          : sq_find_column(cx, column->name, -1, false);
    cx->level = level;
    if (value != NULL && !sq_can_coerce(value->type, type, 'a')) {
        (void)sq_error(cx, "42804", -1, "column \"%s\" cannot be cast automatically to type %s",
                       column->name, sq_type_display(cx, type));
        sy_err_hint(cx->err, "You might need to specify \"USING %s::%s\".", column->name,
                    sq_type_display(cx, type));
        return false;
    }
    value = sq_coerce_assign(cx, value, &target);
    if (value == NULL)
        return false;
    bool same = node->raw_default == NULL && strcmp(value->sql, sq_ident(cx, column->name)) == 0;
    for (uint32_t i = 0; i < a->def.indexes.count && !same; i++) {
        const struct sy_sqindex *item = a->def.indexes.items[i];
        if ((!item->primary || a->old->hidden_key) && !drop_index_step(cx, out, item))
            return false;
    }
    column->type = type;
    column->typmod = typmod;
    if (!sq_def_finish(cx, &a->def) || !sq_redefine(cx, out, a->def.relation))
        return false;
    if (same)
        return true;
    return sq_step(cx, out,
                   sq_printf(cx, "UPDATE %s SET %s = %s", sq_ident(cx, sq_relation_sql(a->old)),
                             sq_ident(cx, column->name), value->sql),
                   false) &&
           sq_index_steps(cx, out, a->def.relation);
}

/* ---- constraints ---- */

static bool foreign_check(struct sq_cx *cx, const struct alter *a,
                          const struct sy_sqconstraint *item, struct sq_out *out)
{
    struct sy_buf buf = {0};
    for (uint32_t i = 0; i < item->column_count; i++)
        sy_buf_printf(&buf, "%s IS NOT NULL AND ",
                      sq_ident(cx, a->def.columns[item->columns[i]].name));
    sy_buf_printf(&buf, "NOT EXISTS (SELECT 1 FROM %s AS sy_r WHERE ",
                  sq_ident(cx, item->ref_table));
    for (uint32_t i = 0; i < item->column_count; i++)
        sy_buf_printf(&buf, "%ssy_r.%s = %s.%s", i == 0 ? "" : " AND ",
                      sq_ident(cx, item->ref_columns[i]), sq_ident(cx, sq_relation_sql(a->old)),
                      sq_ident(cx, a->def.columns[item->columns[i]].name));
    sy_buf_append_str(&buf, ")");
    return check_rows(
        cx, out, a->old, sq_finish(cx, &buf), "23503",
        sq_printf(cx, "insert or update on table \"%s\" violates foreign key constraint \"%s\"",
                  a->old->name, item->name));
}

static bool add_constraint(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                           struct sq_out *out)
{
    uint32_t indexes = a->def.indexes.count, constraints = a->def.constraints.count;
    if (!sq_def_constraint(cx, &a->def, cmd->def->constraint, -1) ||
        a->def.constraints.count == constraints)
        return cx->err->status == SY_OK;
    const struct sy_sqconstraint *item = a->def.constraints.items[constraints];
    if (!sq_def_finish(cx, &a->def))
        return false;
    if (item->kind == 'p' && !a->old->hidden_key)
        return sq_unsupported(cx, -1, "this table's key cannot be changed on the sqlite engine") !=
               NULL;
    for (uint32_t i = 0; item->kind == 'p' && i < item->column_count; i++)
        if (!check_rows(
                cx, out, a->old,
                sq_printf(cx, "%s IS NULL", sq_ident(cx, a->def.columns[item->columns[i]].name)),
                "23502",
                sq_printf(cx, "column \"%s\" of relation \"%s\" contains null values",
                          a->def.columns[item->columns[i]].name, a->old->name)))
            return false;
    a->redefine = a->redefine || item->kind != 'u';
    if (item->kind == 'c') {
        struct sq_expr *expr = sq_table_expr(cx, a->def.relation, item->expression, false);
        return expr != NULL &&
               check_rows(
                   cx, out, a->old, sq_printf(cx, "NOT %s", expr->sql), "23514",
                   sq_printf(cx,
                             "check constraint \"%s\" of relation \"%s\" is violated by some row",
                             item->name, a->old->name));
    }
    if (item->kind == 'f')
        return foreign_check(cx, a, item, out);
    return indexes < a->def.indexes.count &&
           sq_step(cx, out, sq_index_sql(cx, a->def.relation, a->def.indexes.items[indexes]),
                   false);
}

static bool drop_constraint(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                            struct sq_out *out)
{
    for (uint32_t i = 0; i < a->def.constraints.count; i++) {
        const struct sy_sqconstraint *item = a->def.constraints.items[i];
        if (strcmp(item->name, cmd->name) != 0)
            continue;
        if (item->kind == 'p' && !a->old->hidden_key)
            return sq_unsupported(
                       cx, -1, "dropping this primary key is not supported by the sqlite engine") !=
                   NULL;
        a->redefine = a->redefine || item->kind == 'c' || item->kind == 'f';
        remove_at(&a->def.constraints, i);
        for (uint32_t k = 0; k < a->def.indexes.count; k++) {
            const struct sy_sqindex *index = a->def.indexes.items[k];
            if (index->constraint && strcmp(index->name, cmd->name) == 0) {
                if (!drop_index_step(cx, out, index))
                    return false;
                remove_at(&a->def.indexes, k);
                break;
            }
        }
        return true;
    }
    if (cmd->missing_ok)
        return sq_notice(cx, "00000",
                         sq_printf(cx,
                                   "constraint \"%s\" of relation \"%s\" does not exist, skipping",
                                   cmd->name, a->old->name));
    return sq_error(cx, "42704", -1, "constraint \"%s\" of relation \"%s\" does not exist",
                    cmd->name, a->old->name);
}

/* ---- ALTER TABLE ---- */

static bool alter_command(struct sq_cx *cx, struct alter *a, const PgQuery__AlterTableCmd *cmd,
                          struct sq_out *out)
{
    switch ((int)cmd->subtype) {
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn:
        return add_column(cx, a, cmd, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn:
        return drop_column(cx, a, cmd, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault:
        return column_default(cx, a, cmd);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropNotNull:
        return column_not_null(cx, a, cmd, false, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull:
        return column_not_null(cx, a, cmd, true, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType:
        return column_type(cx, a, cmd, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddIdentity:
        return add_identity(cx, a, cmd, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
        return add_constraint(cx, a, cmd, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint:
        return drop_constraint(cx, a, cmd, out);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ValidateConstraint:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetStatistics:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetStorage:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ResetRelOptions:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ReplicaIdentity:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ClusterOn:
        return true; /* without meaning here, and without effect on any answer */
    default:
        return sq_unsupported(cx, -1,
                              "this form of ALTER TABLE is not supported by the sqlite engine") !=
               NULL;
    }
}

bool sq_alter_table(struct sq_cx *cx, const PgQuery__AlterTableStmt *node, struct sq_out *out)
{
    struct alter a = {0};
    out->t->tag = "ALTER TABLE";
    a.old = sq_find_relation(cx, node->relation, node->missing_ok);
    if (a.old == NULL)
        return node->missing_ok &&
               sq_notice(cx, "00000",
                         sq_printf(cx, "relation \"%s\" does not exist, skipping",
                                   node->relation->relname));
    if (a.old->read_only)
        return sq_error(cx, "42501", -1, "permission denied: \"%s\" is a system catalog",
                        a.old->name);
    bool owner_only = true;
    for (size_t i = 0; i < node->n_cmds; i++)
        owner_only = owner_only && node->cmds[i]->alter_table_cmd->subtype ==
                                       PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner;
    if (owner_only)
        return true;
    if (a.old->kind != 'r')
        return sq_error(cx, "42809", -1, "\"%s\" is not a table", a.old->name);
    if (!sq_def_init(cx, &a.def, a.old, (uint32_t)node->n_cmds + 1))
        return false;
    for (size_t i = 0; i < node->n_cmds; i++) {
        /* Each command sees what the one before made. */
        if (!alter_command(cx, &a, node->cmds[i]->alter_table_cmd, out) ||
            !sq_def_finish(cx, &a.def))
            return false;
        if (a.redefine && !sq_redefine(cx, out, a.def.relation))
            return false;
        a.redefine = false;
        struct sy_sqrelation *snapshot = sq_alloc(cx, sizeof(*snapshot));
        if (snapshot == NULL)
            return false;
        *snapshot = *a.def.relation;
        a.old = snapshot;
    }
    return sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", a.old->name, a.def.relation);
}

/* ---- column names inside stored texts ---- */

/* Renames (or, with `to` NULL, looks for) column references in any message of the tree, by its
 * descriptor. */
static bool rename_in(ProtobufCMessage *message, const char *from, const char *to)
{
    bool found = false;
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (type == &pg_query__column_ref__descriptor) {
        union {
            ProtobufCMessage *in;
            PgQuery__ColumnRef *out;
        } cast = {.in = message};
        sq_node *last = cast.out->n_fields == 0 ? NULL : cast.out->fields[cast.out->n_fields - 1];
        if (last != NULL && sq_str(last) != NULL && strcmp(sq_str(last), from) == 0) {
            if (to != NULL) {
                free(last->string->sval);
                last->string->sval = strdup(to);
            }
            return true;
        }
        return false;
    }
    for (unsigned int i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        char *base = (char *)message;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = 0;
            ProtobufCMessage **items = NULL;
            memcpy(&count, base + field->quantifier_offset, sizeof(count));
            memcpy(&items, base + field->offset, sizeof(items));
            for (size_t k = 0; k < count; k++)
                found = rename_in(items[k], from, to) || found;
            continue;
        }
        uint32_t which = 0;
        if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            memcpy(&which, base + field->quantifier_offset, sizeof(which));
            if (which != field->id)
                continue;
        }
        ProtobufCMessage *child = NULL;
        memcpy(&child, base + field->offset, sizeof(child));
        if (child != NULL)
            found = rename_in(child, from, to) || found;
    }
    return found;
}

static PgQuery__ParseResult *parse_expression(struct sq_cx *cx, const char *text)
{
    const char *query = sq_printf(cx, "SELECT %s", text);
    return query == NULL ? NULL : sq_parse(cx, query);
}

static bool text_mentions(struct sq_cx *cx, const char *text, const char *column)
{
    PgQuery__ParseResult *tree = parse_expression(cx, text);
    bool found = tree != NULL && rename_in(&tree->stmts[0]->stmt->base, column, NULL);
    sq_parse_free(tree);
    return found;
}

static const char *renamed_text(struct sq_cx *cx, const char *text, const char *from,
                                const char *to)
{
    if (text == NULL)
        return NULL;
    PgQuery__ParseResult *tree = parse_expression(cx, text);
    const char *out = text;
    if (tree != NULL && rename_in(&tree->stmts[0]->stmt->base, from, to))
        out = sq_deparse(cx, tree->stmts[0]->stmt->select_stmt->target_list[0]->res_target->val);
    sq_parse_free(tree);
    return out;
}

static bool rename_in_def(struct sq_cx *cx, struct sq_def *def, const char *from, const char *to)
{
    for (uint32_t i = 0; i < def->column_count; i++)
        if (def->columns[i].generated != 0)
            def->columns[i].default_sql = renamed_text(cx, def->columns[i].default_sql, from, to);
    for (uint32_t i = 0; i < def->constraints.count; i++) {
        struct sy_sqconstraint *item = def->constraints.items[i];
        item->expression = renamed_text(cx, item->expression, from, to);
    }
    for (uint32_t i = 0; i < def->indexes.count; i++) {
        struct sy_sqindex *item = def->indexes.items[i];
        const char **keys = sq_alloc(cx, item->key_count * sizeof(*keys));
        if (keys == NULL)
            return false;
        for (uint32_t k = 0; k < item->key_count; k++)
            keys[k] = item->key_columns[k] >= 0 ? def->columns[item->key_columns[k]].name
                                                : renamed_text(cx, item->keys[k], from, to);
        item->keys = keys;
        item->predicate = renamed_text(cx, item->predicate, from, to);
    }
    return true;
}

/* Other tables' foreign keys and sequences that name what was renamed. column NULL: the table
 * itself. */
static bool rename_references(struct sq_cx *cx, const char *table, const char *column,
                              const char *to, struct sq_out *out)
{
    const struct sy_sqschema *schema = cx->input->schema;
    for (uint32_t i = 0; schema->at != NULL; i++) {
        const struct sy_sqrelation *other = schema->at(schema->ctx, i);
        struct sq_def def;
        bool changed = false;
        if (other == NULL)
            break;
        if (strcmp(other->name, table) == 0)
            continue;
        if (!sq_def_init(cx, &def, other, 0))
            return false;
        for (uint32_t c = 0; c < def.constraints.count; c++) {
            struct sy_sqconstraint *item = def.constraints.items[c];
            if (item->kind != 'f' || strcmp(item->ref_table, table) != 0)
                continue;
            if (column == NULL) {
                item->ref_table = to;
                changed = true;
                continue;
            }
            const char **names = sq_alloc(cx, item->column_count * sizeof(*names));
            if (names == NULL)
                return false;
            for (uint32_t k = 0; k < item->column_count; k++) {
                bool hit = strcmp(item->ref_columns[k], column) == 0;
                names[k] = hit ? to : item->ref_columns[k];
                changed = changed || hit;
            }
            item->ref_columns = names;
        }
        if (other->sequence != NULL && other->sequence->owner_table != NULL &&
            strcmp(other->sequence->owner_table, table) == 0 &&
            (column == NULL || strcmp(other->sequence->owner_column, column) == 0)) {
            struct sy_sqsequence *copy = sq_alloc(cx, sizeof(*copy));
            if (copy == NULL)
                return false;
            *copy = *other->sequence;
            *(column == NULL ? &copy->owner_table : &copy->owner_column) = to;
            def.relation->sequence = copy;
            changed = true;
        }
        if (changed && (!sq_def_finish(cx, &def) ||
                        !sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", other->name, def.relation)))
            return false;
    }
    return true;
}

/* ---- RENAME ---- */

static bool rename_column(struct sq_cx *cx, const struct sy_sqrelation *old, const char *from,
                          const char *to, struct sq_out *out)
{
    struct sq_def def;
    int index = sq_column_index(old, from);
    if (index < 0)
        return sq_error(cx, "42703", -1, "column \"%s\" does not exist", from);
    if (sq_column_index(old, to) >= 0)
        return sq_error(cx, "42701", -1, "column \"%s\" of relation \"%s\" already exists", to,
                        old->name);
    if (!sq_def_init(cx, &def, old, 0))
        return false;
    def.columns[index].name = to;
    if (!rename_in_def(cx, &def, from, to) || !sq_def_finish(cx, &def))
        return false;
    for (uint32_t i = 0; i < def.constraints.count; i++) {
        struct sy_sqconstraint *item = def.constraints.items[i];
        for (uint32_t k = 0;
             item->kind == 'f' && strcmp(item->ref_table, old->name) == 0 && k < item->column_count;
             k++)
            if (strcmp(item->ref_columns[k], from) == 0)
                return sq_unsupported(
                           cx, -1,
                           "renaming a column that its own table refers to is not supported") !=
                       NULL;
    }
    if (old->kind == 'r' && !sq_step(cx, out,
                                     sq_printf(cx, "ALTER TABLE %s RENAME COLUMN %s TO %s",
                                               sq_ident(cx, sq_relation_sql(old)),
                                               sq_ident(cx, from), sq_ident(cx, to)),
                                     false))
        return false;
    return sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", old->name, def.relation) &&
           rename_references(cx, old->name, from, to, out);
}

static bool rename_relation(struct sq_cx *cx, const struct sy_sqrelation *old, const char *to,
                            struct sq_out *out)
{
    struct sq_def def;
    if (sq_name_taken(cx, to))
        return sq_error(cx, "42P07", -1, "relation \"%s\" already exists", to);
    if (!sq_def_init(cx, &def, old, 0))
        return false;
    def.relation->name = to;
    def.relation->sqlite_name = NULL;
    for (uint32_t i = 0; i < def.constraints.count; i++) {
        struct sy_sqconstraint *item = def.constraints.items[i];
        if (item->kind == 'f' && strcmp(item->ref_table, old->name) == 0)
            item->ref_table = to;
    }
    if (!sq_def_finish(cx, &def))
        return false;
    if (old->kind == 'r' &&
        !sq_step(cx, out,
                 sq_printf(cx, "ALTER TABLE %s RENAME TO %s", sq_ident(cx, sq_relation_sql(old)),
                           sq_ident(cx, to)),
                 false))
        return false;
    return sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", old->name, def.relation) &&
           rename_references(cx, old->name, NULL, to, out);
}

static bool rename_index(struct sq_cx *cx, const char *from, const char *to, bool constraint,
                         const struct sy_sqrelation *owner, struct sq_out *out)
{
    struct sq_def def;
    if (sq_name_taken(cx, to))
        return sq_error(cx, "42P07", -1, "relation \"%s\" already exists", to);
    if (!sq_def_init(cx, &def, owner, 0))
        return false;
    bool found = false, text = false;
    for (uint32_t i = 0; i < def.indexes.count; i++) {
        struct sy_sqindex *item = def.indexes.items[i];
        if (strcmp(item->name, from) != 0)
            continue;
        found = true;
        bool real = !item->primary || owner->hidden_key;
        if (real && !drop_index_step(cx, out, item))
            return false;
        item->name = to;
        if (real && !sq_step(cx, out, sq_index_sql(cx, owner, item), false))
            return false;
        text = text || !real;
    }
    for (uint32_t i = 0; i < def.constraints.count; i++) {
        struct sy_sqconstraint *item = def.constraints.items[i];
        if (strcmp(item->name, from) != 0)
            continue;
        found = true;
        item->name = to;
        text = text || item->kind == 'c' || item->kind == 'f';
    }
    if (!found)
        return sq_error(cx, "42704", -1, "constraint \"%s\" for table \"%s\" does not exist", from,
                        owner->name);
    (void)constraint;
    return sq_def_finish(cx, &def) && (!text || sq_redefine(cx, out, def.relation)) &&
           sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", owner->name, def.relation);
}

bool sq_rename(struct sq_cx *cx, const PgQuery__RenameStmt *node, struct sq_out *out)
{
    const char *to = sy_arena_strdup(cx->arena, node->newname);
    const struct sy_sqschema *schema = cx->input->schema;
    out->t->tag = "ALTER TABLE";
    if (to == NULL || node->relation == NULL)
        return sq_unsupported(cx, -1, "this RENAME is not supported by the sqlite engine") != NULL;
    if (node->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX) {
        const struct sy_sqrelation *owner =
            schema->index_owner == NULL
                ? NULL
                : schema->index_owner(schema->ctx, NULL, node->relation->relname);
        out->t->tag = "ALTER INDEX";
        if (owner == NULL)
            return sq_error(cx, "42P01", -1, "relation \"%s\" does not exist",
                            node->relation->relname);
        return rename_index(cx, node->relation->relname, to, false, owner, out);
    }
    const struct sy_sqrelation *old = sq_find_relation(cx, node->relation, node->missing_ok);
    if (old == NULL)
        return node->missing_ok &&
               sq_notice(cx, "00000",
                         sq_printf(cx, "relation \"%s\" does not exist, skipping",
                                   node->relation->relname));
    if (old->read_only)
        return sq_error(cx, "42501", -1, "permission denied: \"%s\" is a system catalog",
                        old->name);
    switch ((int)node->rename_type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN:
        return rename_column(cx, old, node->subname, to, out);
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
        return rename_index(cx, node->subname, to, true, old, out);
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
        return rename_relation(cx, old, to, out);
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
        out->t->tag = "ALTER VIEW";
        return rename_relation(cx, old, to, out);
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        out->t->tag = "ALTER SEQUENCE";
        return rename_relation(cx, old, to, out);
    default:
        return sq_unsupported(cx, -1, "this RENAME is not supported by the sqlite engine") != NULL;
    }
}
