/* Constraints that CREATE TABLE, ALTER TABLE and CREATE UNIQUE INDEX define: which columns must be
 * unique or refer to another table, and what the constraint will be called. */
#include "parser/tree_internal.h"

#include <stdio.h>

static struct sy_constraint *add(struct sy_facts_builder *b, enum sy_constraint_kind kind)
{
    struct sy_constraint constraint = {.kind = kind, .first_column = b->columns.count};
    struct sy_constraint *kept = sy_build_push(b, &b->constraints);
    *kept = constraint;
    return kept;
}

static int32_t add_names(struct sy_facts_builder *b, const List *names)
{
    int32_t first = b->columns.count;
    for (int i = 0; names != NULL && i < names->length; i++)
        *(struct sy_slice *)sy_build_push(b, &b->columns) =
            sy_build_name(b, strVal(names->elements[i].ptr_value));
    return b->columns.count - first;
}

/* The name that PostgreSQL chooses: table_columns_suffix. Empty when it would be cut or numbered.
 */
static void choose_name(struct sy_facts_builder *b, struct sy_constraint *constraint,
                        const char *table, const char *suffix)
{
    char name[NAMEDATALEN];
    size_t at = (size_t)snprintf(name, sizeof(name), "%s", table);
    const struct sy_slice *columns = (const struct sy_slice *)(const void *)b->columns.data;
    int32_t count = constraint->kind == SY_CONSTRAINT_PRIMARY ? 0 : constraint->column_count;
    for (int32_t i = 0; i < count && at < sizeof(name); i++) {
        struct sy_slice column = columns[constraint->first_column + i];
        at +=
            (size_t)snprintf(name + at, sizeof(name) - at, "_%.*s", (int)column.bytes, column.data);
    }
    if (at < sizeof(name))
        at += (size_t)snprintf(name + at, sizeof(name) - at, "_%s", suffix);
    constraint->name = at < sizeof(name) ? sy_build_name(b, name) : (struct sy_slice){"", 0};
}

/* One constraint; `column`: of this column alone, NULL: of the table. */
static void take(struct sy_facts_builder *b, const Constraint *from, const char *table,
                 const char *column)
{
    enum sy_constraint_kind kind = SY_CONSTRAINT_UNIQUE;
    const char *suffix = "key"; /* of the name, should it have none */
    if (from->contype == CONSTR_PRIMARY) {
        kind = SY_CONSTRAINT_PRIMARY;
        suffix = "pkey";
    } else if (from->contype == CONSTR_EXCLUSION) {
        kind = SY_CONSTRAINT_EXCLUDE;
    } else if (from->contype == CONSTR_FOREIGN) {
        kind = SY_CONSTRAINT_FOREIGN;
        suffix = "fkey";
    } else if (from->contype != CONSTR_UNIQUE) {
        return;
    }
    if (from->indexname != NULL)
        return; /* the index was judged when it was made */
    struct sy_constraint *made = add(b, kind);
    const List *names = kind == SY_CONSTRAINT_FOREIGN ? from->fk_attrs : from->keys;
    made->column_count = add_names(b, names);
    if (made->column_count == 0 && column != NULL && kind != SY_CONSTRAINT_EXCLUDE) {
        *(struct sy_slice *)sy_build_push(b, &b->columns) = sy_build_name(b, column);
        made->column_count = 1;
    }
    if (kind == SY_CONSTRAINT_FOREIGN) {
        made->first_target = b->columns.count;
        made->target_count = add_names(b, from->pk_attrs);
        made->target.name = sy_build_name(b, from->pktable->relname);
        made->target.schema = from->pktable->schemaname == NULL
                                  ? (struct sy_slice){"", 0}
                                  : sy_build_name(b, from->pktable->schemaname);
    }
    if (from->conname != NULL)
        made->name = sy_build_name(b, from->conname);
    else if (kind == SY_CONSTRAINT_EXCLUDE) /* its columns are not looked at */
        made->name = (struct sy_slice){"", 0};
    else
        choose_name(b, made, table, suffix);
}

static void take_column(struct sy_facts_builder *b, const ColumnDef *column, const char *table)
{
    for (int i = 0; column->constraints != NULL && i < column->constraints->length; i++)
        take(b, column->constraints->elements[i].ptr_value, table, column->colname);
}

/* LIKE copies what the other table has. */
static void take_like(struct sy_facts_builder *b, const TableLikeClause *like)
{
    if ((like->options & CREATE_TABLE_LIKE_INDEXES) != 0)
        add(b, SY_CONSTRAINT_COPIED)->name = (struct sy_slice){"", 0};
}

static void take_element(struct sy_facts_builder *b, const Node *element, const char *table)
{
    if (element == NULL)
        return;
    if (IsA(element, Constraint))
        take(b, (const Constraint *)element, table, NULL);
    else if (IsA(element, ColumnDef))
        take_column(b, (const ColumnDef *)element, table);
    else if (IsA(element, TableLikeClause))
        take_like(b, (const TableLikeClause *)element);
}

static void take_index(struct sy_facts_builder *b, const IndexStmt *index)
{
    if (!index->unique)
        return;
    struct sy_constraint *made = add(b, SY_CONSTRAINT_UNIQUE);
    for (int i = 0; index->indexParams != NULL && i < index->indexParams->length; i++) {
        const IndexElem *element = index->indexParams->elements[i].ptr_value;
        if (element->name == NULL)
            continue; /* an expression: rows equal in the rest may be anywhere */
        *(struct sy_slice *)sy_build_push(b, &b->columns) = sy_build_name(b, element->name);
        made->column_count++;
    }
    if (index->idxname != NULL)
        made->name = sy_build_name(b, index->idxname);
    else if (index->indexParams != NULL && made->column_count == index->indexParams->length)
        choose_name(b, made, index->relation->relname, "idx");
}

void sy_build_constraints(struct sy_facts_builder *b, const Node *node)
{
    if (IsA(node, CreateStmt)) {
        const CreateStmt *create = (const CreateStmt *)node;
        for (int i = 0; create->tableElts != NULL && i < create->tableElts->length; i++)
            take_element(b, create->tableElts->elements[i].ptr_value, create->relation->relname);
        for (int i = 0; create->constraints != NULL && i < create->constraints->length; i++)
            take_element(b, create->constraints->elements[i].ptr_value, create->relation->relname);
    } else if (IsA(node, AlterTableStmt)) {
        const AlterTableStmt *alter = (const AlterTableStmt *)node;
        for (int i = 0; alter->cmds != NULL && i < alter->cmds->length; i++) {
            const AlterTableCmd *command = alter->cmds->elements[i].ptr_value;
            if (command->subtype == AT_AddConstraint || command->subtype == AT_AddColumn)
                take_element(b, command->def, alter->relation->relname);
        }
    } else if (IsA(node, IndexStmt)) {
        take_index(b, (const IndexStmt *)node);
    }
}
