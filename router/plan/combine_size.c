/* SELECT of sizes alone: each shard tells its own in bytes, the router adds them up. */
#include "router/plan/combine_internal.h"

#include <stdlib.h>
#include <string.h>

/* The shards' databases have names of their own. */
static bool name_own_database(struct combine *c, PgQuery__FuncCall *call)
{
    PgQuery__ParseResult *tree = NULL;
    if (sy_rewrite_open(SY_SLICE("SELECT pg_catalog.current_database()"), &tree, c->err) != SY_OK)
        return false;
    PgQuery__Node *own =
        sy_node_copy(tree->stmts[0]->stmt->select_stmt->target_list[0]->res_target->val);
    sy_protobuf_free(&tree);
    if (own == NULL)
        return combine_no_memory(c);
    sy_node_free(call->args[0]);
    call->args[0] = own;
    return true;
}

/* pg_size_pretty(size) becomes the size, under the same name. */
static bool unwrap(struct combine *c, PgQuery__ResTarget *target)
{
    PgQuery__Node *inner = sy_node_copy(target->val->func_call->args[0]);
    if (inner == NULL)
        return combine_no_memory(c);
    if (target->name == NULL || target->name[0] == '\0') {
        char *name = strdup("pg_size_pretty");
        if (name == NULL) {
            sy_node_free(inner);
            return combine_no_memory(c);
        }
        if (target->name != NULL && target->name != protobuf_c_empty_string)
            free(target->name);
        target->name = name;
    }
    sy_node_free(target->val);
    target->val = inner;
    return true;
}

bool combine_sizes(struct combine *c)
{
    const struct sy_stmt *stmt = c->route->stmt;
    PgQuery__SelectStmt *select = c->select;
    if (select->n_target_list != (size_t)stmt->size_count)
        return combine_refuse(c, "this form of SELECT");
    c->spec.unique = 0; /* one row */
    c->spec.folds = sy_arena_calloc(c->arena, select->n_target_list, sizeof(*c->spec.folds));
    if (c->spec.folds == NULL)
        return combine_no_memory(c);
    for (size_t i = 0; i < select->n_target_list; i++) {
        const struct sy_size_use *size = &stmt->sizes[i];
        PgQuery__ResTarget *target = select->target_list[i]->res_target;
        if (size->pretty && !unwrap(c, target))
            return false;
        if (size->database.bytes > 0 && !name_own_database(c, target->val->func_call))
            return false;
        c->spec.folds[c->spec.fold_count++] = (struct sy_merge_fold){
            .kind = size->pretty ? SY_FOLD_PRETTY_SIZE : SY_FOLD_SUM, .column = (int32_t)i};
    }
    return true;
}
