/* Statements that make sequences, or say how they count: serial and identity columns, CREATE and
 * ALTER SEQUENCE. */
#include "parser/tree_internal.h"

static bool is_serial(const ColumnDef *column)
{
    static const char *const words[] = {"smallserial", "serial2", "serial",
                                        "serial4",     "serial8", "bigserial"};
    const List *names = column->typeName == NULL ? NULL : column->typeName->names;
    if (names == NULL || names->length != 1)
        return false;
    const char *name = strVal(names->elements[0].ptr_value);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(name, words[i]) == 0)
            return true;
    return false;
}

/* OWNED BY says nothing about how it counts. */
static void take_options(struct sy_stmt *stmt, const List *options)
{
    for (int i = 0; options != NULL && i < options->length; i++) {
        const DefElem *option = options->elements[i].ptr_value;
        stmt->counts_sequence |=
            strcmp(option->defname, "owned_by") != 0 && strcmp(option->defname, "generated") != 0;
        stmt->restarts_sequence |= strcmp(option->defname, "restart") == 0;
    }
}

static void take_column(struct sy_stmt *stmt, const ColumnDef *column)
{
    stmt->counts_sequence |= is_serial(column);
    for (int i = 0; column->constraints != NULL && i < column->constraints->length; i++) {
        const Constraint *constraint = column->constraints->elements[i].ptr_value;
        stmt->counts_sequence |= constraint->contype == CONSTR_IDENTITY;
    }
}

static void take_elements(struct sy_stmt *stmt, const List *elements)
{
    for (int i = 0; elements != NULL && i < elements->length; i++) {
        const Node *element = elements->elements[i].ptr_value;
        if (IsA(element, ColumnDef))
            take_column(stmt, (const ColumnDef *)element);
        else if (IsA(element, TableLikeClause))
            stmt->counts_sequence |=
                (((const TableLikeClause *)element)->options & CREATE_TABLE_LIKE_IDENTITY) != 0;
    }
}

static void take_command(struct sy_stmt *stmt, const AlterTableCmd *command)
{
    if (command->subtype == AT_AddColumn)
        take_column(stmt, (const ColumnDef *)command->def);
    else if (command->subtype == AT_AddIdentity)
        stmt->counts_sequence = true;
    else if (command->subtype == AT_SetIdentity)
        take_options(stmt, (const List *)command->def);
}

void sy_build_sequences(struct sy_facts_builder *b, const Node *node)
{
    struct sy_stmt *stmt = b->stmt;
    switch ((int)nodeTag(node)) {
    case T_CreateSeqStmt:
        stmt->counts_sequence = true;
        break;
    case T_AlterSeqStmt:
        take_options(stmt, ((const AlterSeqStmt *)node)->options);
        break;
    case T_CreateStmt:
    case T_CreateForeignTableStmt:
        take_elements(stmt, ((const CreateStmt *)node)->tableElts);
        break;
    case T_CreateSchemaStmt: {
        const List *elements = ((const CreateSchemaStmt *)node)->schemaElts;
        for (int i = 0; elements != NULL && i < elements->length; i++)
            if (!IsA(elements->elements[i].ptr_value, CreateSchemaStmt))
                sy_build_sequences(b, elements->elements[i].ptr_value);
        break;
    }
    case T_AlterTableStmt: {
        const List *commands = ((const AlterTableStmt *)node)->cmds;
        for (int i = 0; commands != NULL && i < commands->length; i++)
            take_command(stmt, commands->elements[i].ptr_value);
        break;
    }
    default:
        break;
    }
}
