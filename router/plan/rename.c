/*
 * current_database() of a client whose database is called otherwise on the shards: the name is put
 * into the text. Only where it is put out by itself and no catalog is asked, which knows the
 * servers' own names.
 */
#include "router/plan/rename.h"

#include <stdlib.h>
#include <string.h>

#include "parser/rewrite.h"
#include "router/plan/route_internal.h"

bool sy_route_names_database(const struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    bool found = false;
    if (route->outer != stmt || stmt->kind != SY_STMT_SELECT || stmt->table_count > 0 ||
        stmt->scope_count != 1)
        return false;
    for (int32_t i = 0; i < stmt->function_count; i++) {
        struct sy_slice name = stmt->functions[i].name.name;
        found = found || sy_slice_eq(name, SY_SLICE("current_database")) ||
                sy_slice_eq(name, SY_SLICE("current_catalog"));
    }
    return found;
}

/* "current_database", "current_catalog", or NULL. */
static const char *name_of(const PgQuery__Node *node)
{
    if (node != NULL && node->node_case == PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION)
        return node->sqlvalue_function->op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG
                   ? "current_catalog"
                   : NULL;
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL ||
        node->func_call->n_args > 0)
        return NULL;
    const PgQuery__FuncCall *call = node->func_call;
    const PgQuery__Node *last = call->n_funcname > 0 ? call->funcname[call->n_funcname - 1] : NULL;
    return last != NULL && last->node_case == PG_QUERY__NODE__NODE_STRING &&
                   strcmp(last->string->sval, "current_database") == 0
               ? "current_database"
               : NULL;
}

/* 'name'::name, malloc'ed as a node of a tree; NULL: no memory. */
static PgQuery__Node *make_name(struct sy_slice database)
{
    struct sy_buf sql = {0};
    struct sy_err err;
    PgQuery__ParseResult *tree = NULL;
    PgQuery__Node *name = NULL;
    sy_buf_append_str(&sql, "SELECT '");
    for (size_t i = 0; i < database.bytes; i++) {
        if (database.data[i] == '\'')
            sy_buf_append_str(&sql, "'");
        sy_buf_append(&sql, database.data + i, 1);
    }
    sy_buf_append_str(&sql, "'::name");
    if (!sql.failed &&
        sy_rewrite_open((struct sy_slice){sql.data, sql.bytes}, &tree, &err) == SY_OK) {
        name = sy_node_copy(tree->stmts[0]->stmt->select_stmt->target_list[0]->res_target->val);
        sy_protobuf_free(&tree);
    }
    sy_buf_release(&sql);
    return name;
}

/* False: no memory. */
static bool rename_target(PgQuery__ResTarget *target, struct sy_slice database)
{
    PgQuery__Node **place = &target->val;
    while (*place != NULL && (*place)->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        place = &(*place)->type_cast->arg;
    const char *column = name_of(*place);
    if (column == NULL)
        return true;
    PgQuery__Node *name = make_name(database);
    char *copy = strdup(column);
    bool unnamed = target->name == NULL || target->name[0] == '\0';
    if (name == NULL || copy == NULL) {
        sy_node_free(name);
        free(copy);
        return false;
    }
    if (unnamed) {
        if (target->name != NULL && target->name != protobuf_c_empty_string)
            free(target->name);
        target->name = copy;
    } else {
        free(copy);
    }
    sy_node_free(*place);
    *place = name;
    return true;
}

enum sy_status sy_route_rename(struct sy_slice text, struct sy_slice database,
                               struct sy_arena *arena, struct sy_slice *ret_text,
                               struct sy_err *err)
{
    PgQuery__ParseResult *tree = NULL;
    enum sy_status status = sy_rewrite_open(text, &tree, err);
    if (status != SY_OK)
        return status;
    bool fine =
        tree->n_stmts == 1 && tree->stmts[0]->stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
    PgQuery__SelectStmt *select = fine ? tree->stmts[0]->stmt->select_stmt : NULL;
    for (size_t i = 0; fine && i < select->n_target_list; i++)
        if (!rename_target(select->target_list[i]->res_target, database))
            status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory while planning");
    if (status == SY_OK && fine)
        status = sy_rewrite_text(tree, arena, ret_text, err);
    else if (status == SY_OK)
        *ret_text = text;
    sy_protobuf_free(&tree);
    return status;
}
