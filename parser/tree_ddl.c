/*
 * Statements that define or maintain objects: their tag, what kind of object they are about, and
 * which tables they name.
 */
#include "parser/tree_internal.h"

/* ---- names of object kinds ---- */

/* Upper case, as in command tags. */
static const char *const object_names[] = {
    [OBJECT_ACCESS_METHOD] = "ACCESS METHOD",
    [OBJECT_AGGREGATE] = "AGGREGATE",
    [OBJECT_AMOP] = "OPERATOR FAMILY",
    [OBJECT_AMPROC] = "OPERATOR FAMILY",
    [OBJECT_ATTRIBUTE] = "TYPE",
    [OBJECT_CAST] = "CAST",
    [OBJECT_COLUMN] = "TABLE",
    [OBJECT_COLLATION] = "COLLATION",
    [OBJECT_CONVERSION] = "CONVERSION",
    [OBJECT_DATABASE] = "DATABASE",
    [OBJECT_DEFAULT] = "TABLE",
    [OBJECT_DEFACL] = "DEFAULT PRIVILEGES",
    [OBJECT_DOMAIN] = "DOMAIN",
    [OBJECT_DOMCONSTRAINT] = "DOMAIN",
    [OBJECT_EVENT_TRIGGER] = "EVENT TRIGGER",
    [OBJECT_EXTENSION] = "EXTENSION",
    [OBJECT_FDW] = "FOREIGN DATA WRAPPER",
    [OBJECT_FOREIGN_SERVER] = "SERVER",
    [OBJECT_FOREIGN_TABLE] = "FOREIGN TABLE",
    [OBJECT_FUNCTION] = "FUNCTION",
    [OBJECT_INDEX] = "INDEX",
    [OBJECT_LANGUAGE] = "LANGUAGE",
    [OBJECT_LARGEOBJECT] = "LARGE OBJECT",
    [OBJECT_MATVIEW] = "MATERIALIZED VIEW",
    [OBJECT_OPCLASS] = "OPERATOR CLASS",
    [OBJECT_OPERATOR] = "OPERATOR",
    [OBJECT_OPFAMILY] = "OPERATOR FAMILY",
    [OBJECT_PARAMETER_ACL] = "PARAMETER",
    [OBJECT_POLICY] = "POLICY",
    [OBJECT_PROCEDURE] = "PROCEDURE",
    [OBJECT_PUBLICATION] = "PUBLICATION",
    [OBJECT_PUBLICATION_NAMESPACE] = "PUBLICATION",
    [OBJECT_PUBLICATION_REL] = "PUBLICATION",
    [OBJECT_ROLE] = "ROLE",
    [OBJECT_ROUTINE] = "ROUTINE",
    [OBJECT_RULE] = "RULE",
    [OBJECT_SCHEMA] = "SCHEMA",
    [OBJECT_SEQUENCE] = "SEQUENCE",
    [OBJECT_SUBSCRIPTION] = "SUBSCRIPTION",
    [OBJECT_STATISTIC_EXT] = "STATISTICS",
    [OBJECT_TABCONSTRAINT] = "TABLE",
    [OBJECT_TABLE] = "TABLE",
    [OBJECT_TABLESPACE] = "TABLESPACE",
    [OBJECT_TRANSFORM] = "TRANSFORM",
    [OBJECT_TRIGGER] = "TRIGGER",
    [OBJECT_TSCONFIGURATION] = "TEXT SEARCH CONFIGURATION",
    [OBJECT_TSDICTIONARY] = "TEXT SEARCH DICTIONARY",
    [OBJECT_TSPARSER] = "TEXT SEARCH PARSER",
    [OBJECT_TSTEMPLATE] = "TEXT SEARCH TEMPLATE",
    [OBJECT_TYPE] = "TYPE",
    [OBJECT_USER_MAPPING] = "USER MAPPING",
    [OBJECT_VIEW] = "VIEW",
};

static const char *object_name(ObjectType type)
{
    unsigned index = (unsigned)type;
    const char *name =
        index < sizeof(object_names) / sizeof(object_names[0]) ? object_names[index] : NULL;
    return name != NULL ? name : "OBJECT";
}

/* Statements whose kind alone tells the tag. The object is what follows the first word. */
static const struct {
    NodeTag node;
    const char *tag;
} fixed_tags[] = {
    {T_CreateStmt, "CREATE TABLE"},
    {T_CreateForeignTableStmt, "CREATE FOREIGN TABLE"},
    {T_IndexStmt, "CREATE INDEX"},
    {T_ViewStmt, "CREATE VIEW"},
    {T_CreateSeqStmt, "CREATE SEQUENCE"},
    {T_AlterSeqStmt, "ALTER SEQUENCE"},
    {T_CreateSchemaStmt, "CREATE SCHEMA"},
    {T_CreateDomainStmt, "CREATE DOMAIN"},
    {T_AlterDomainStmt, "ALTER DOMAIN"},
    {T_CreateEnumStmt, "CREATE TYPE"},
    {T_CreateRangeStmt, "CREATE TYPE"},
    {T_CompositeTypeStmt, "CREATE TYPE"},
    {T_AlterEnumStmt, "ALTER TYPE"},
    {T_AlterTypeStmt, "ALTER TYPE"},
    {T_CreateTrigStmt, "CREATE TRIGGER"},
    {T_CreateEventTrigStmt, "CREATE EVENT TRIGGER"},
    {T_AlterEventTrigStmt, "ALTER EVENT TRIGGER"},
    {T_RuleStmt, "CREATE RULE"},
    {T_CreatePolicyStmt, "CREATE POLICY"},
    {T_AlterPolicyStmt, "ALTER POLICY"},
    {T_CreateStatsStmt, "CREATE STATISTICS"},
    {T_AlterStatsStmt, "ALTER STATISTICS"},
    {T_CreateExtensionStmt, "CREATE EXTENSION"},
    {T_AlterExtensionStmt, "ALTER EXTENSION"},
    {T_AlterExtensionContentsStmt, "ALTER EXTENSION"},
    {T_CreateAmStmt, "CREATE ACCESS METHOD"},
    {T_CreateCastStmt, "CREATE CAST"},
    {T_CreateConversionStmt, "CREATE CONVERSION"},
    {T_CreateOpClassStmt, "CREATE OPERATOR CLASS"},
    {T_CreateOpFamilyStmt, "CREATE OPERATOR FAMILY"},
    {T_AlterOpFamilyStmt, "ALTER OPERATOR FAMILY"},
    {T_AlterOperatorStmt, "ALTER OPERATOR"},
    {T_CreateTransformStmt, "CREATE TRANSFORM"},
    {T_CreatePLangStmt, "CREATE LANGUAGE"},
    {T_AlterCollationStmt, "ALTER COLLATION"},
    {T_AlterTSConfigurationStmt, "ALTER TEXT SEARCH CONFIGURATION"},
    {T_AlterTSDictionaryStmt, "ALTER TEXT SEARCH DICTIONARY"},
    {T_CreateFdwStmt, "CREATE FOREIGN DATA WRAPPER"},
    {T_AlterFdwStmt, "ALTER FOREIGN DATA WRAPPER"},
    {T_CreateForeignServerStmt, "CREATE SERVER"},
    {T_AlterForeignServerStmt, "ALTER SERVER"},
    {T_CreateUserMappingStmt, "CREATE USER MAPPING"},
    {T_AlterUserMappingStmt, "ALTER USER MAPPING"},
    {T_DropUserMappingStmt, "DROP USER MAPPING"},
    {T_ImportForeignSchemaStmt, "IMPORT FOREIGN SCHEMA"},
    {T_CreateRoleStmt, "CREATE ROLE"},
    {T_AlterRoleStmt, "ALTER ROLE"},
    {T_AlterRoleSetStmt, "ALTER ROLE"},
    {T_DropRoleStmt, "DROP ROLE"},
    {T_DropOwnedStmt, "DROP OWNED"},
    {T_ReassignOwnedStmt, "REASSIGN OWNED"},
    {T_AlterDefaultPrivilegesStmt, "ALTER DEFAULT PRIVILEGES"},
    {T_CreatedbStmt, "CREATE DATABASE"},
    {T_AlterDatabaseStmt, "ALTER DATABASE"},
    {T_AlterDatabaseSetStmt, "ALTER DATABASE"},
    {T_AlterDatabaseRefreshCollStmt, "ALTER DATABASE"},
    {T_DropdbStmt, "DROP DATABASE"},
    {T_CreateTableSpaceStmt, "CREATE TABLESPACE"},
    {T_AlterTableSpaceOptionsStmt, "ALTER TABLESPACE"},
    {T_DropTableSpaceStmt, "DROP TABLESPACE"},
    {T_AlterSystemStmt, "ALTER SYSTEM"},
    {T_CreatePublicationStmt, "CREATE PUBLICATION"},
    {T_AlterPublicationStmt, "ALTER PUBLICATION"},
    {T_CreateSubscriptionStmt, "CREATE SUBSCRIPTION"},
    {T_AlterSubscriptionStmt, "ALTER SUBSCRIPTION"},
    {T_DropSubscriptionStmt, "DROP SUBSCRIPTION"},
    {T_SecLabelStmt, "SECURITY LABEL"},
    {T_TruncateStmt, "TRUNCATE TABLE"},
    {T_LoadStmt, "LOAD"},
    {T_CheckPointStmt, "CHECKPOINT"},
    {T_ClusterStmt, "CLUSTER"},
    {T_ReindexStmt, "REINDEX"},
    {T_RefreshMatViewStmt, "REFRESH MATERIALIZED VIEW"},
};

static const char *fixed_tag(const Node *node)
{
    for (size_t i = 0; i < sizeof(fixed_tags) / sizeof(fixed_tags[0]); i++)
        if (nodeTag(node) == fixed_tags[i].node)
            return fixed_tags[i].tag;
    return "UTILITY";
}

static void named(struct sy_facts_builder *b, const char *verb, ObjectType type)
{
    char *tag = sy_arena_printf(b->context->arena, "%s %s", verb, object_name(type));
    if (tag == NULL)
        sy_build_no_memory(b->context);
    b->stmt->tag = tag;
}

static void set_tag(struct sy_facts_builder *b, const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_DropStmt:
        named(b, "DROP", ((const DropStmt *)node)->removeType);
        return;
    case T_AlterTableStmt:
        named(b, "ALTER", ((const AlterTableStmt *)node)->objtype);
        return;
    case T_AlterTableMoveAllStmt:
        named(b, "ALTER", ((const AlterTableMoveAllStmt *)node)->objtype);
        return;
    case T_RenameStmt: {
        const RenameStmt *rename = (const RenameStmt *)node;
        bool column = rename->renameType == OBJECT_COLUMN || rename->renameType == OBJECT_ATTRIBUTE;
        named(b, "ALTER", column ? rename->relationType : rename->renameType);
        return;
    }
    case T_AlterObjectSchemaStmt:
        named(b, "ALTER", ((const AlterObjectSchemaStmt *)node)->objectType);
        return;
    case T_AlterObjectDependsStmt:
        named(b, "ALTER", ((const AlterObjectDependsStmt *)node)->objectType);
        return;
    case T_AlterOwnerStmt:
        named(b, "ALTER", ((const AlterOwnerStmt *)node)->objectType);
        return;
    case T_AlterFunctionStmt:
        named(b, "ALTER", ((const AlterFunctionStmt *)node)->objtype);
        return;
    case T_DefineStmt:
        named(b, "CREATE", ((const DefineStmt *)node)->kind);
        return;
    case T_CreateFunctionStmt:
        b->stmt->tag = ((const CreateFunctionStmt *)node)->is_procedure ? "CREATE PROCEDURE"
                                                                        : "CREATE FUNCTION";
        return;
    case T_CreateTableAsStmt:
        b->stmt->tag = ((const CreateTableAsStmt *)node)->objtype == OBJECT_MATVIEW
                           ? "CREATE MATERIALIZED VIEW"
                           : "CREATE TABLE AS";
        return;
    case T_GrantStmt:
        b->stmt->tag = ((const GrantStmt *)node)->is_grant ? "GRANT" : "REVOKE";
        return;
    case T_GrantRoleStmt:
        b->stmt->tag = ((const GrantRoleStmt *)node)->is_grant ? "GRANT ROLE" : "REVOKE ROLE";
        return;
    case T_CommentStmt:
        b->stmt->tag = "COMMENT";
        return;
    case T_VacuumStmt:
        b->stmt->tag = ((const VacuumStmt *)node)->is_vacuumcmd ? "VACUUM" : "ANALYZE";
        return;
    default:
        b->stmt->tag = fixed_tag(node);
        return;
    }
}

/* ---- the object: lower case, without the verb ---- */

static struct sy_slice lower(struct sy_facts_builder *b, const char *text)
{
    struct sy_slice slice = sy_build_name(b, text);
    char *copy = sy_arena_strndup(b->context->arena, text, strlen(text));
    if (copy == NULL) {
        sy_build_no_memory(b->context);
        return slice;
    }
    for (char *c = copy; *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return (struct sy_slice){copy, slice.bytes};
}

static void set_object(struct sy_facts_builder *b, const Node *node)
{
    const char *name = NULL;
    if (IsA(node, GrantStmt))
        name = object_name(((const GrantStmt *)node)->objtype);
    else if (IsA(node, CommentStmt))
        name = object_name(((const CommentStmt *)node)->objtype);
    else if (IsA(node, SecLabelStmt))
        name = object_name(((const SecLabelStmt *)node)->objtype);
    else if (IsA(node, CreateTableAsStmt))
        name = object_name(((const CreateTableAsStmt *)node)->objtype);
    else if (b->stmt->tag != NULL)
        name = strchr(b->stmt->tag, ' ');
    if (name != NULL)
        b->stmt->object_kind = lower(b, name[0] == ' ' ? name + 1 : name);
}

/* ---- transaction blocks ---- */

static bool has_option(const List *options, const char *name)
{
    for (int i = 0; options != NULL && i < options->length; i++) {
        const DefElem *option = options->elements[i].ptr_value;
        if (strcmp(option->defname, name) == 0)
            return true;
    }
    return false;
}

static bool detaches_concurrently(const AlterTableStmt *alter)
{
    for (int i = 0; alter->cmds != NULL && i < alter->cmds->length; i++) {
        const Node *node = alter->cmds->elements[i].ptr_value;
        if (!IsA(node, AlterTableCmd))
            continue;
        const AlterTableCmd *cmd = (const AlterTableCmd *)node;
        if (cmd->subtype == AT_DetachPartition && cmd->def != NULL && IsA(cmd->def, PartitionCmd) &&
            ((const PartitionCmd *)cmd->def)->concurrent)
            return true;
    }
    return false;
}

static bool refuses_transaction_block(const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_CreatedbStmt:
    case T_DropdbStmt:
    case T_CreateTableSpaceStmt:
    case T_DropTableSpaceStmt:
    case T_AlterSystemStmt:
    case T_CreateSubscriptionStmt:
    case T_DropSubscriptionStmt:
        return true;
    case T_AlterDatabaseStmt:
        return has_option(((const AlterDatabaseStmt *)node)->options, "tablespace");
    case T_IndexStmt:
        return ((const IndexStmt *)node)->concurrent;
    case T_DropStmt:
        return ((const DropStmt *)node)->concurrent;
    case T_AlterTableStmt:
        return detaches_concurrently((const AlterTableStmt *)node);
    case T_VacuumStmt:
        return ((const VacuumStmt *)node)->is_vacuumcmd;
    case T_ClusterStmt:
        return ((const ClusterStmt *)node)->relation == NULL;
    case T_ReindexStmt: {
        const ReindexStmt *reindex = (const ReindexStmt *)node;
        return reindex->relation == NULL || has_option(reindex->params, "concurrently");
    }
    default:
        return false;
    }
}

static bool is_maintenance(const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_VacuumStmt:
    case T_ClusterStmt:
    case T_ReindexStmt:
    case T_RefreshMatViewStmt:
    case T_CheckPointStmt:
        return true;
    default:
        return false;
    }
}

/* ---- tables ---- */

/* The table that the statement is about. */
static const RangeVar *main_relation(const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_CreateStmt:
    case T_CreateForeignTableStmt:
        return ((const CreateStmt *)node)->relation;
    case T_IndexStmt:
        return ((const IndexStmt *)node)->relation;
    case T_ViewStmt:
        return ((const ViewStmt *)node)->view;
    case T_CreateTableAsStmt:
        return ((const CreateTableAsStmt *)node)->into->rel;
    case T_CreateSeqStmt:
        return ((const CreateSeqStmt *)node)->sequence;
    case T_AlterSeqStmt:
        return ((const AlterSeqStmt *)node)->sequence;
    case T_AlterTableStmt:
        return ((const AlterTableStmt *)node)->relation;
    case T_RenameStmt:
        return ((const RenameStmt *)node)->relation;
    case T_AlterObjectSchemaStmt:
        return ((const AlterObjectSchemaStmt *)node)->relation;
    case T_AlterObjectDependsStmt:
        return ((const AlterObjectDependsStmt *)node)->relation;
    case T_AlterOwnerStmt:
        return ((const AlterOwnerStmt *)node)->relation;
    case T_CreateTrigStmt:
        return ((const CreateTrigStmt *)node)->relation;
    case T_RuleStmt:
        return ((const RuleStmt *)node)->relation;
    case T_CreatePolicyStmt:
        return ((const CreatePolicyStmt *)node)->table;
    case T_AlterPolicyStmt:
        return ((const AlterPolicyStmt *)node)->table;
    case T_ClusterStmt:
        return ((const ClusterStmt *)node)->relation;
    case T_ReindexStmt:
        return ((const ReindexStmt *)node)->relation;
    case T_RefreshMatViewStmt:
        return ((const RefreshMatViewStmt *)node)->relation;
    default:
        return NULL;
    }
}

static bool is_relation(ObjectType type)
{
    return type == OBJECT_TABLE || type == OBJECT_VIEW || type == OBJECT_MATVIEW ||
           type == OBJECT_FOREIGN_TABLE || type == OBJECT_SEQUENCE || type == OBJECT_INDEX;
}

/* A name written as a list of strings; `behind` of them at the end are not part of the table's
 * name. */
static void add_name(struct sy_facts_builder *b, const Node *node, int behind)
{
    if (node == NULL || !IsA(node, List))
        return;
    const List *list = (const List *)node;
    int last = list->length - 1 - behind;
    for (int i = 0; i < list->length; i++)
        if (list->elements[i].ptr_value == NULL || !IsA(list->elements[i].ptr_value, String))
            return;
    if (last < 0)
        return;
    struct sy_table_use use = {.role = SY_TABLE_DEFINE};
    use.name.name = sy_build_name(b, ((const String *)list->elements[last].ptr_value)->sval);
    if (last > 0)
        use.name.schema =
            sy_build_name(b, ((const String *)list->elements[last - 1].ptr_value)->sval);
    use.alias = use.name.name;
    *(struct sy_table_use *)sy_build_push(b, &b->tables) = use;
}

static void drop_tables(struct sy_facts_builder *b, const DropStmt *drop)
{
    bool within = drop->removeType == OBJECT_TRIGGER || drop->removeType == OBJECT_RULE ||
                  drop->removeType == OBJECT_POLICY;
    if (!within && !is_relation(drop->removeType))
        return;
    for (int i = 0; drop->objects != NULL && i < drop->objects->length; i++)
        add_name(b, drop->objects->elements[i].ptr_value, within ? 1 : 0);
}

/* COMMENT and SECURITY LABEL. */
static void described_table(struct sy_facts_builder *b, ObjectType type, const Node *object)
{
    if (is_relation(type))
        add_name(b, object, 0);
    else if (type == OBJECT_COLUMN || type == OBJECT_TABCONSTRAINT || type == OBJECT_TRIGGER ||
             type == OBJECT_RULE || type == OBJECT_POLICY)
        add_name(b, object, 1);
}

static void add_list(struct sy_facts_builder *b, const List *list, enum sy_table_role role)
{
    for (int i = 0; list != NULL && i < list->length; i++) {
        const Node *node = list->elements[i].ptr_value;
        if (node != NULL && IsA(node, VacuumRelation))
            node = (const Node *)((const VacuumRelation *)node)->relation;
        if (node != NULL && IsA(node, RangeVar))
            sy_build_add_table(b, (const RangeVar *)node, 0, role);
    }
}

static void add_tables(struct sy_facts_builder *b, const Node *node);

static void schema_elements(struct sy_facts_builder *b, const CreateSchemaStmt *schema)
{
    if (schema->schemaElts == NULL || !sy_build_enter(b))
        return;
    for (int i = 0; i < schema->schemaElts->length; i++)
        add_tables(b, schema->schemaElts->elements[i].ptr_value);
    sy_build_leave(b);
}

static void add_tables(struct sy_facts_builder *b, const Node *node)
{
    const RangeVar *main = main_relation(node);
    if (main != NULL) {
        sy_build_add_table(b, main, 0, SY_TABLE_DEFINE);
        b->noted = main;
        b->stmt->creates_temp = main->relpersistence == RELPERSISTENCE_TEMP ||
                                (main->schemaname != NULL && IsA(node, CreateStmt) &&
                                 strcmp(main->schemaname, "pg_temp") == 0);
    }
    switch ((int)nodeTag(node)) {
    case T_DropStmt:
        drop_tables(b, (const DropStmt *)node);
        break;
    case T_CommentStmt:
        described_table(b, ((const CommentStmt *)node)->objtype,
                        ((const CommentStmt *)node)->object);
        break;
    case T_SecLabelStmt:
        described_table(b, ((const SecLabelStmt *)node)->objtype,
                        ((const SecLabelStmt *)node)->object);
        break;
    case T_CreateSchemaStmt:
        schema_elements(b, (const CreateSchemaStmt *)node);
        break;
    case T_CompositeTypeStmt:
        b->noted = ((const CompositeTypeStmt *)node)->typevar;
        sy_build_walk(b, node, 0);
        break;
    case T_TruncateStmt:
        add_list(b, ((const TruncateStmt *)node)->relations, SY_TABLE_TARGET);
        break;
    case T_VacuumStmt:
        add_list(b, ((const VacuumStmt *)node)->rels, SY_TABLE_DEFINE);
        break;
    case T_GrantStmt:
        add_list(b, ((const GrantStmt *)node)->objects, SY_TABLE_DEFINE);
        break;
    case T_CreateTableAsStmt:
        sy_build_inner(b, node, ((const CreateTableAsStmt *)node)->query);
        break;
    case T_ViewStmt:
        sy_build_inner(b, node, ((const ViewStmt *)node)->query);
        break;
    default:
        sy_build_walk(b, node, 0);
        break;
    }
}

void sy_build_ddl(struct sy_facts_builder *b, const Node *node)
{
    struct sy_stmt *stmt = b->stmt;
    stmt->kind = is_maintenance(node)      ? SY_STMT_MAINTENANCE
                 : IsA(node, TruncateStmt) ? SY_STMT_TRUNCATE
                                           : SY_STMT_DDL;
    stmt->writes = true;
    stmt->not_in_transaction = refuses_transaction_block(node);
    set_tag(b, node);
    set_object(b, node);
    sy_build_new_scope(b, SY_NO_INDEX, stmt->kind);
    add_tables(b, node);
    sy_build_constraints(b, node);
    sy_build_column_changes(b, node);
    sy_build_sequences(b, node);
    if (stmt->inner != NULL) {
        stmt->has_parameters = stmt->inner->has_parameters;
        stmt->parameter_max = stmt->inner->parameter_max;
    }
}
