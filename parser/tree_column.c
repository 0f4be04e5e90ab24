/* What CREATE TABLE, ALTER TABLE and RENAME COLUMN do to a table's columns: which are defined,
 * where others come from, and which are dropped, renamed or given another type. */
#include "parser/tree_internal.h"

static struct sy_column_change *add(struct sy_facts_builder *b, enum sy_column_change_kind kind,
                                    const char *name)
{
    struct sy_column_change *kept = sy_build_push(b, &b->column_changes);
    *kept = (struct sy_column_change){.kind = kind, .modifier = SY_NO_INDEX};
    kept->name = name == NULL ? (struct sy_slice){"", 0} : sy_build_name(b, name);
    return kept;
}

static void take_type(struct sy_facts_builder *b, struct sy_column_change *change,
                      const TypeName *type)
{
    const char *name = type == NULL ? NULL : sy_list_last_name(type->names);
    if (name == NULL)
        return;
    change->type = sy_build_name(b, name);
    change->is_builtin_type = !type->pct_type && sy_list_catalog_name(type->names) != NULL;
    change->is_array = type->arrayBounds != NULL || type->setof;
    change->has_modifier = type->typmods != NULL;
    if (!change->has_modifier || type->typmods->length != 1)
        return;
    const Node *modifier = type->typmods->elements[0].ptr_value;
    if (IsA(modifier, A_Const) && IsA(&((const A_Const *)modifier)->val.node, Integer))
        change->modifier = ((const A_Const *)modifier)->val.ival.ival;
}

static void take_definition(struct sy_facts_builder *b, const ColumnDef *column)
{
    take_type(b, add(b, SY_COLUMN_DEFINED, column->colname), column->typeName);
}

static void take_source(struct sy_facts_builder *b, const RangeVar *source)
{
    struct sy_column_change *change = add(b, SY_COLUMN_COPIED, NULL);
    change->source.name = sy_build_name(b, source->relname);
    if (source->schemaname != NULL)
        change->source.schema = sy_build_name(b, source->schemaname);
}

static void take_create(struct sy_facts_builder *b, const CreateStmt *create)
{
    for (int i = 0; create->tableElts != NULL && i < create->tableElts->length; i++) {
        const Node *element = create->tableElts->elements[i].ptr_value;
        if (IsA(element, ColumnDef))
            take_definition(b, (const ColumnDef *)element);
        else if (IsA(element, TableLikeClause))
            take_source(b, ((const TableLikeClause *)element)->relation);
    }
    for (int i = 0; create->inhRelations != NULL && i < create->inhRelations->length; i++)
        take_source(b, create->inhRelations->elements[i].ptr_value);
    if (create->ofTypename != NULL)
        add(b, SY_COLUMN_UNKNOWN, NULL);
}

static void take_command(struct sy_facts_builder *b, const AlterTableCmd *command)
{
    if (command->subtype == AT_AddColumn) {
        take_definition(b, (const ColumnDef *)command->def);
    } else if (command->subtype == AT_DropColumn) {
        add(b, SY_COLUMN_DROPPED, command->name);
    } else if (command->subtype == AT_AlterColumnType) {
        const ColumnDef *column = (const ColumnDef *)command->def;
        struct sy_column_change *change = add(b, SY_COLUMN_RETYPED, command->name);
        take_type(b, change, column->typeName);
        change->has_using = column->raw_default != NULL;
    }
}

void sy_build_column_changes(struct sy_facts_builder *b, const Node *node)
{
    if (IsA(node, CreateStmt)) {
        take_create(b, (const CreateStmt *)node);
    } else if (IsA(node, CreateForeignTableStmt)) {
        take_create(b, &((const CreateForeignTableStmt *)node)->base);
    } else if (IsA(node, AlterTableStmt)) {
        const List *commands = ((const AlterTableStmt *)node)->cmds;
        for (int i = 0; commands != NULL && i < commands->length; i++)
            if (IsA(commands->elements[i].ptr_value, AlterTableCmd))
                take_command(b, commands->elements[i].ptr_value);
    } else if (IsA(node, RenameStmt)) {
        const RenameStmt *rename = (const RenameStmt *)node;
        if (rename->renameType == OBJECT_COLUMN)
            add(b, SY_COLUMN_RENAMED, rename->subname);
    }
}
