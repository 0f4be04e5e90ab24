/*
 * current_database() of a client whose database is called otherwise on the shards: the name is put
 * into the text, wherever it stands. Statements about catalogs alone keep the server's own name,
 * which is what the catalogs' rows have.
 */
#include "router/plan/rename.h"

#include <stdlib.h>
#include <string.h>

#include "parser/rewrite.h"
#include "router/plan/route_internal.h"

static bool asks_catalogs_only(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (route->uses[i].kind != USE_CATALOG)
            return false;
    return route->stmt->table_count > 0;
}

/* A stored definition keeps the call, an explanation sends nothing. */
static bool is_run_once(const struct sy_route *route)
{
    enum sy_stmt_kind kind = route->outer->kind;
    return kind == SY_STMT_SELECT || kind == SY_STMT_INSERT || kind == SY_STMT_UPDATE ||
           kind == SY_STMT_DELETE || kind == SY_STMT_MERGE || kind == SY_STMT_DECLARE ||
           kind == SY_STMT_COPY_TO;
}

bool sy_route_names_database(const struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    for (int32_t i = 0; i < stmt->function_count; i++) {
        struct sy_slice name = stmt->functions[i].name.name;
        if (sy_slice_eq(name, SY_SLICE("current_database")) ||
            sy_slice_eq(name, SY_SLICE("current_catalog")))
            return is_run_once(route) && !asks_catalogs_only(route);
    }
    return false;
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

static bool is_call_of(const PgQuery__Node *node, const char *function)
{
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || node->func_call->n_funcname == 0)
        return false;
    const PgQuery__Node *last = node->func_call->funcname[node->func_call->n_funcname - 1];
    return last->node_case == PG_QUERY__NODE__NODE_STRING &&
           strcmp(last->string->sval, function) == 0;
}

/* A column without a name of its own is called after the function, casts or not. */
static bool keep_column_name(PgQuery__ResTarget *target)
{
    const PgQuery__Node *value = target->val;
    while (value != NULL && value->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        value = value->type_cast->arg;
    const char *column = name_of(value);
    if (column == NULL || (target->name != NULL && target->name[0] != '\0'))
        return true;
    char *copy = strdup(column);
    if (copy == NULL)
        return false;
    if (target->name != NULL && target->name != protobuf_c_empty_string)
        free(target->name);
    target->name = copy;
    return true;
}

/* False: no memory. The server that is asked for its database's size needs its own name. */
static bool rename_node(PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    const struct sy_slice *database = opaque;
    if (node->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
        return keep_column_name(node->res_target);
    if (is_call_of(node, "pg_database_size"))
        *ret_skip = true;
    if (*ret_skip || name_of(node) == NULL)
        return true;
    *ret_skip = true;
    PgQuery__Node *name = make_name(*database);
    if (name == NULL)
        return false;
    sy_node_swap(node, name);
    sy_node_free(name);
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
    for (size_t i = 0; status == SY_OK && i < tree->n_stmts; i++)
        if (!sy_node_edit(tree->stmts[i]->stmt, rename_node, &database))
            status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory while planning");
    if (status == SY_OK)
        status = sy_rewrite_text(tree, arena, ret_text, err);
    sy_protobuf_free(&tree);
    return status;
}
