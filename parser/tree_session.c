/*
 * Statements that steer a session rather than touch tables: transactions, SET, prepared statements,
 * cursors, notifications, EXPLAIN, COPY, LOCK, CALL and DO.
 */
#include "parser/tree_internal.h"

#include <strings.h>

static void as(struct sy_facts_builder *b, enum sy_stmt_kind kind, const char *tag)
{
    b->stmt->kind = kind;
    b->stmt->tag = tag;
}

/* A name, or "all" where the statement has none. */
static void name_or_all(struct sy_facts_builder *b, const char *name)
{
    b->stmt->all = name == NULL;
    b->stmt->name = name != NULL ? sy_build_name(b, name) : SY_SLICE("all");
}

static const char *text_of(const Node *node)
{
    if (node == NULL)
        return NULL;
    if (IsA(node, String))
        return ((const String *)node)->sval;
    if (IsA(node, A_Const) && !((const A_Const *)node)->isnull &&
        IsA(&((const A_Const *)node)->val.node, String))
        return ((const A_Const *)node)->val.sval.sval;
    if (IsA(node, TypeName))
        return sy_list_last_name(((const TypeName *)node)->names);
    return NULL;
}

/* A boolean option as PostgreSQL reads it: absent argument, on, true, 1. */
static bool truth(const DefElem *option)
{
    const Node *arg = option->arg;
    if (arg == NULL)
        return true;
    if (IsA(arg, Integer))
        return ((const Integer *)arg)->ival != 0;
    if (IsA(arg, Boolean))
        return ((const Boolean *)arg)->boolval;
    if (IsA(arg, A_Const) && IsA(&((const A_Const *)arg)->val.node, Integer))
        return ((const A_Const *)arg)->val.ival.ival != 0;
    const char *text = text_of(arg);
    return text == NULL || strcasecmp(text, "true") == 0 || strcasecmp(text, "on") == 0;
}

/* ---- transactions ---- */

static void transaction_options(struct sy_facts_builder *b, const List *options)
{
    for (int i = 0; options != NULL && i < options->length; i++) {
        const DefElem *option = options->elements[i].ptr_value;
        if (strcmp(option->defname, "transaction_read_only") == 0) {
            b->stmt->transaction_read_only = truth(option);
            b->stmt->transaction_read_write = !truth(option);
        } else if (strcmp(option->defname, "transaction_deferrable") == 0) {
            b->stmt->transaction_deferrable = truth(option);
            b->stmt->transaction_not_deferrable = !truth(option);
        } else if (strcmp(option->defname, "transaction_isolation") == 0) {
            b->stmt->isolation = sy_build_name(b, text_of(option->arg));
        }
    }
}

static void transaction(struct sy_facts_builder *b, const TransactionStmt *stmt)
{
    static const struct {
        enum sy_stmt_kind kind;
        const char *tag;
    } rows[] = {
        [TRANS_STMT_BEGIN] = {SY_STMT_BEGIN, "BEGIN"},
        [TRANS_STMT_START] = {SY_STMT_BEGIN, "START TRANSACTION"},
        [TRANS_STMT_COMMIT] = {SY_STMT_COMMIT, "COMMIT"},
        [TRANS_STMT_ROLLBACK] = {SY_STMT_ROLLBACK, "ROLLBACK"},
        [TRANS_STMT_SAVEPOINT] = {SY_STMT_SAVEPOINT, "SAVEPOINT"},
        [TRANS_STMT_RELEASE] = {SY_STMT_RELEASE, "RELEASE"},
        [TRANS_STMT_ROLLBACK_TO] = {SY_STMT_ROLLBACK_TO, "ROLLBACK"},
        [TRANS_STMT_PREPARE] = {SY_STMT_PREPARE_TRANSACTION, "PREPARE TRANSACTION"},
        [TRANS_STMT_COMMIT_PREPARED] = {SY_STMT_COMMIT_PREPARED, "COMMIT PREPARED"},
        [TRANS_STMT_ROLLBACK_PREPARED] = {SY_STMT_ROLLBACK_PREPARED, "ROLLBACK PREPARED"},
    };
    as(b, rows[stmt->kind].kind, rows[stmt->kind].tag);
    b->stmt->name = sy_build_name(b, stmt->gid != NULL ? stmt->gid : stmt->savepoint_name);
    b->stmt->chain = stmt->chain;
    b->stmt->not_in_transaction =
        stmt->kind == TRANS_STMT_COMMIT_PREPARED || stmt->kind == TRANS_STMT_ROLLBACK_PREPARED;
    transaction_options(b, stmt->options);
}

/* ---- SET ---- */

static void argument(struct sy_facts_builder *b, const Node *node)
{
    if (b->scopes.count == 0)
        sy_build_new_scope(b, SY_NO_INDEX, b->stmt->kind);
    struct sy_value value = sy_build_value(b, node);
    struct sy_slice word = {0};
    if (value.kind == SY_VALUE_OPAQUE && IsA(node, A_Const))
        word = sy_build_name(b, text_of(node));
    *(struct sy_value *)sy_build_push(b, &b->arguments) = value;
    *(struct sy_slice *)sy_build_push(b, &b->words) = word;
    sy_build_walk(b, node, 0);
}

static void arguments(struct sy_facts_builder *b, const List *list)
{
    for (int i = 0; list != NULL && i < list->length; i++)
        argument(b, list->elements[i].ptr_value);
}

static void set_many(struct sy_facts_builder *b, const VariableSetStmt *stmt)
{
    if (strcmp(stmt->name, "SESSION CHARACTERISTICS") == 0) {
        b->stmt->set_scope = SY_SET_CHARACTERISTICS;
        b->stmt->name = SY_SLICE("session characteristics");
        transaction_options(b, stmt->args);
        return;
    }
    b->stmt->set_scope = SY_SET_TRANSACTION;
    if (strcmp(stmt->name, "TRANSACTION SNAPSHOT") == 0) {
        b->stmt->name = SY_SLICE("transaction snapshot");
        arguments(b, stmt->args);
        return;
    }
    b->stmt->name = SY_SLICE("transaction");
    transaction_options(b, stmt->args);
}

static void set_variable(struct sy_facts_builder *b, const VariableSetStmt *stmt)
{
    if (stmt->kind == VAR_RESET || stmt->kind == VAR_RESET_ALL) {
        as(b, SY_STMT_RESET, "RESET");
        name_or_all(b, stmt->kind == VAR_RESET ? stmt->name : NULL);
        return;
    }
    as(b, SY_STMT_SET, "SET");
    if (stmt->kind == VAR_SET_MULTI) {
        set_many(b, stmt);
        return;
    }
    b->stmt->name = sy_build_name(b, stmt->name);
    b->stmt->set_scope = stmt->is_local ? SY_SET_LOCAL : SY_SET_SESSION;
    b->stmt->set_to_default = stmt->kind == VAR_SET_DEFAULT;
    arguments(b, stmt->args);
}

static void show(struct sy_facts_builder *b, const VariableShowStmt *stmt)
{
    as(b, SY_STMT_SHOW, "SHOW");
    b->stmt->name = sy_build_name(b, stmt->name);
    b->stmt->all = strcmp(stmt->name, "all") == 0;
}

static void discard(struct sy_facts_builder *b, const DiscardStmt *stmt)
{
    static const struct {
        struct sy_slice name;
        const char *tag;
    } rows[] = {
        [DISCARD_ALL] = {{"all", 3}, "DISCARD ALL"},
        [DISCARD_PLANS] = {{"plans", 5}, "DISCARD PLANS"},
        [DISCARD_SEQUENCES] = {{"sequences", 9}, "DISCARD SEQUENCES"},
        [DISCARD_TEMP] = {{"temp", 4}, "DISCARD TEMP"},
    };
    as(b, SY_STMT_DISCARD, rows[stmt->target].tag);
    b->stmt->name = rows[stmt->target].name;
    b->stmt->all = stmt->target == DISCARD_ALL;
    b->stmt->not_in_transaction = stmt->target == DISCARD_ALL;
}

/* ---- prepared statements, cursors ---- */

/* Parameters of the statement inside are the outer one's as well (EXPLAIN, DECLARE). */
static void inner_parameters(struct sy_facts_builder *b)
{
    const struct sy_stmt *inner = b->stmt->inner;
    if (inner == NULL)
        return;
    b->stmt->has_parameters = inner->has_parameters;
    b->stmt->parameter_max = inner->parameter_max;
}

static void prepare(struct sy_facts_builder *b, const PrepareStmt *stmt)
{
    as(b, SY_STMT_PREPARE, "PREPARE");
    b->stmt->name = sy_build_name(b, stmt->name);
    sy_build_inner(b, (const Node *)stmt, stmt->query);
}

static void execute(struct sy_facts_builder *b, const ExecuteStmt *stmt)
{
    as(b, SY_STMT_EXECUTE, "EXECUTE");
    b->stmt->name = sy_build_name(b, stmt->name);
    b->stmt->writes = true;
    arguments(b, stmt->params);
}

static void declare(struct sy_facts_builder *b, const DeclareCursorStmt *stmt)
{
    as(b, SY_STMT_DECLARE, "DECLARE CURSOR");
    b->stmt->name = sy_build_name(b, stmt->portalname);
    b->stmt->with_hold = (stmt->options & CURSOR_OPT_HOLD) != 0;
    sy_build_inner(b, (const Node *)stmt, stmt->query);
    inner_parameters(b);
    b->stmt->writes = b->stmt->inner != NULL && b->stmt->inner->writes;
}

static void explain(struct sy_facts_builder *b, const ExplainStmt *stmt)
{
    as(b, SY_STMT_EXPLAIN, "EXPLAIN");
    for (int i = 0; stmt->options != NULL && i < stmt->options->length; i++) {
        const DefElem *option = stmt->options->elements[i].ptr_value;
        if (strcmp(option->defname, "analyze") == 0)
            b->stmt->explain_analyze = truth(option);
        else if (strcmp(option->defname, "route") == 0)
            b->stmt->explain_route = truth(option);
    }
    sy_build_inner(b, (const Node *)stmt, stmt->query);
    inner_parameters(b);
    b->stmt->writes = b->stmt->explain_analyze && b->stmt->inner != NULL && b->stmt->inner->writes;
}

/* ---- NOTIFY ---- */

/* The payload is the only literal of the statement; its node carries no location. */
static void notify(struct sy_facts_builder *b, const NotifyStmt *stmt)
{
    as(b, SY_STMT_NOTIFY, "NOTIFY");
    b->stmt->name = sy_build_name(b, stmt->conditionname);
    b->stmt->writes = true;
    const struct sy_tree_input *input = b->context->input;
    for (uint32_t i = 0; stmt->payload != NULL && i < input->literal_count; i++) {
        if (input->literals[i].from < b->stmt->text_from)
            continue;
        struct sy_value value = {.kind = SY_VALUE_LITERAL, .index = (int32_t)i};
        *(struct sy_value *)sy_build_push(b, &b->arguments) = value;
        *(struct sy_slice *)sy_build_push(b, &b->words) = (struct sy_slice){0};
        sy_build_literal_state(b, value.index, SY_LITERAL_LIFTED);
        break;
    }
}

/* ---- COPY ---- */

static char single(const DefElem *option)
{
    const char *text = text_of(option->arg);
    return text != NULL ? text[0] : '\0';
}

static void copy_option(struct sy_facts_builder *b, const DefElem *option)
{
    struct sy_copy_facts *copy = &b->stmt->copy;
    const char *name = option->defname, *text = text_of(option->arg);
    if (strcmp(name, "format") == 0 && text != NULL) {
        copy->format = strcmp(text, "csv") == 0      ? SY_COPY_CSV
                       : strcmp(text, "binary") == 0 ? SY_COPY_BINARY
                                                     : SY_COPY_TEXT;
    } else if (strcmp(name, "delimiter") == 0) {
        copy->delimiter = single(option);
    } else if (strcmp(name, "quote") == 0) {
        copy->quote = single(option);
    } else if (strcmp(name, "escape") == 0) {
        copy->escape = single(option);
    } else if (strcmp(name, "null") == 0) {
        copy->null_text = sy_build_name(b, text);
        copy->has_null_text = true;
    } else if (strcmp(name, "encoding") == 0) {
        copy->encoding = sy_build_name(b, text);
    } else if (strcmp(name, "header") == 0) {
        copy->header_match = text != NULL && strcasecmp(text, "match") == 0;
        copy->header = copy->header_match || truth(option);
    } else if (strcmp(name, "freeze") == 0) {
        copy->has_freeze = truth(option);
    } else if (strcmp(name, "force_null") == 0 || strcmp(name, "force_not_null") == 0) {
        copy->has_force_null = true;
    }
}

static void copy(struct sy_facts_builder *b, const CopyStmt *stmt)
{
    as(b, stmt->is_from ? SY_STMT_COPY_FROM : SY_STMT_COPY_TO, "COPY");
    b->stmt->writes = stmt->is_from;
    b->stmt->copy.from_stdin_or_to_stdout = stmt->filename == NULL && !stmt->is_program;
    b->stmt->copy.is_query = stmt->query != NULL;
    b->stmt->copy.has_where = stmt->whereClause != NULL;
    for (int i = 0; stmt->options != NULL && i < stmt->options->length; i++)
        copy_option(b, stmt->options->elements[i].ptr_value);
    if (stmt->query != NULL) {
        sy_build_inner(b, (const Node *)stmt, stmt->query);
        b->stmt->writes = b->stmt->inner != NULL && b->stmt->inner->writes;
        return;
    }
    int32_t scope = sy_build_new_scope(b, SY_NO_INDEX, b->stmt->kind);
    sy_build_add_table(b, stmt->relation, scope, stmt->is_from ? SY_TABLE_TARGET : SY_TABLE_READ);
    for (int i = 0; stmt->attlist != NULL && i < stmt->attlist->length; i++) {
        const char *name = text_of(stmt->attlist->elements[i].ptr_value);
        *(struct sy_slice *)sy_build_push(b, &b->columns) = sy_build_name(b, name);
    }
    b->stmt->column_count = b->columns.count;
    sy_build_walk(b, stmt->whereClause, scope);
}

static void lock(struct sy_facts_builder *b, const LockStmt *stmt)
{
    as(b, SY_STMT_LOCK, "LOCK TABLE");
    b->stmt->writes = true;
    int32_t scope = sy_build_new_scope(b, SY_NO_INDEX, SY_STMT_LOCK);
    for (int i = 0; stmt->relations != NULL && i < stmt->relations->length; i++)
        sy_build_add_table(b, stmt->relations->elements[i].ptr_value, scope, SY_TABLE_DEFINE);
}

static void call(struct sy_facts_builder *b, const CallStmt *stmt)
{
    as(b, SY_STMT_CALL, "CALL");
    b->stmt->writes = true;
    sy_build_new_scope(b, SY_NO_INDEX, SY_STMT_CALL);
    const List *args = stmt->funccall->args;
    for (int i = 0; args != NULL && i < args->length; i++) {
        struct sy_value value = sy_build_value(b, args->elements[i].ptr_value);
        *(struct sy_value *)sy_build_push(b, &b->arguments) = value;
        *(struct sy_slice *)sy_build_push(b, &b->words) = (struct sy_slice){0};
    }
    sy_build_walk(b, (const Node *)stmt->funccall, 0);
}

static void names(struct sy_facts_builder *b, enum sy_stmt_kind kind, const char *tag,
                  const char *name)
{
    as(b, kind, tag);
    name_or_all(b, name);
}

/* Statements of which the name is all there is to say. */
static bool named_only(struct sy_facts_builder *b, const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_DeallocateStmt: {
        const char *name = ((const DeallocateStmt *)node)->name;
        names(b, SY_STMT_DEALLOCATE, name != NULL ? "DEALLOCATE" : "DEALLOCATE ALL", name);
        return true;
    }
    case T_FetchStmt: {
        const FetchStmt *fetch = (const FetchStmt *)node;
        names(b, SY_STMT_FETCH, fetch->ismove ? "MOVE" : "FETCH", fetch->portalname);
        return true;
    }
    case T_ClosePortalStmt: {
        const char *name = ((const ClosePortalStmt *)node)->portalname;
        names(b, SY_STMT_CLOSE, name != NULL ? "CLOSE CURSOR" : "CLOSE CURSOR ALL", name);
        return true;
    }
    case T_ListenStmt:
        names(b, SY_STMT_LISTEN, "LISTEN", ((const ListenStmt *)node)->conditionname);
        return true;
    case T_UnlistenStmt:
        names(b, SY_STMT_UNLISTEN, "UNLISTEN", ((const UnlistenStmt *)node)->conditionname);
        return true;
    default:
        return false;
    }
}

bool sy_build_session(struct sy_facts_builder *b, const Node *node)
{
    switch ((int)nodeTag(node)) {
    case T_TransactionStmt:
        transaction(b, (const TransactionStmt *)node);
        return true;
    case T_VariableSetStmt:
        set_variable(b, (const VariableSetStmt *)node);
        return true;
    case T_ConstraintsSetStmt:
        as(b, SY_STMT_SET, "SET CONSTRAINTS");
        b->stmt->name = SY_SLICE("constraints");
        b->stmt->set_scope = SY_SET_TRANSACTION;
        return true;
    case T_VariableShowStmt:
        show(b, (const VariableShowStmt *)node);
        return true;
    case T_DiscardStmt:
        discard(b, (const DiscardStmt *)node);
        return true;
    case T_PrepareStmt:
        prepare(b, (const PrepareStmt *)node);
        return true;
    case T_ExecuteStmt:
        execute(b, (const ExecuteStmt *)node);
        return true;
    case T_DeclareCursorStmt:
        declare(b, (const DeclareCursorStmt *)node);
        return true;
    case T_NotifyStmt:
        notify(b, (const NotifyStmt *)node);
        return true;
    case T_LockStmt:
        lock(b, (const LockStmt *)node);
        return true;
    case T_ExplainStmt:
        explain(b, (const ExplainStmt *)node);
        return true;
    case T_CopyStmt:
        copy(b, (const CopyStmt *)node);
        return true;
    case T_CallStmt:
        call(b, (const CallStmt *)node);
        return true;
    case T_DoStmt:
        as(b, SY_STMT_DO, "DO");
        b->stmt->writes = true;
        return true;
    default:
        return named_only(b, node);
    }
}
