/*
 * setval() on a database of several shards: on each of them, to the place in that shard's class of
 * values (sequence.h) from where no value is given that the client's would not give.
 */
#include <ctype.h>
#include <string.h>

#include "parser/rewrite.h"
#include "router/plan/route_internal.h"
#include "router/plan/sequence.h"

static bool calls(const struct sy_stmt *stmt, const char *name)
{
    for (int32_t i = 0; i < stmt->function_count; i++)
        if (sy_slice_eq(stmt->functions[i].name.name, sy_slice_of(name)))
            return true;
    return false;
}

static bool calls_setval(const struct sy_stmt *stmt)
{
    return calls(stmt, "setval");
}

void sy_route_note_recalls(struct sy_route *route)
{
    route->recalls = calls(route->stmt, "lastval") || calls(route->stmt, "currval");
}

bool sy_route_recalls(const struct sy_route *route)
{
    return route->recalls;
}

static const char place_hint[] =
    "Give it the name of a sequence, or pg_get_serial_sequence(...), and a value that was asked "
    "for before: SELECT setval('s', 100).";

bool sy_route_refuse_sequence_calls(struct sy_route *route)
{
    if (route->recalls) {
        sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                       "currval() and lastval() in a statement over sharded tables are not "
                       "supported");
        sy_err_hint(&route->plan.refusal, "Only the server that gave a value knows it: use "
                                          "RETURNING where it is given.");
        return true;
    }
    if (!calls_setval(route->stmt) || route->outer->kind == SY_STMT_EXPLAIN)
        return false;
    sy_plan_refuse(&route->plan, SY_E_UNSUPPORTED,
                   "setval() in a statement over sharded tables is not supported");
    sy_err_hint(&route->plan.refusal, "%s", place_hint);
    return true;
}

bool sy_route_set_sequences(struct sy_route *route)
{
    const struct sy_stmt *stmt = route->stmt;
    if (route->outer != stmt || stmt->kind != SY_STMT_SELECT || stmt->table_count > 0 ||
        !calls_setval(stmt))
        return false;
    route->freezes = route->sets_sequences = true;
    route->writes = route->plan.writes = true;
    sy_plan_set_several(&route->plan, SY_PLAN_ALL,
                        sy_shard_set_all(sy_shardmap_shard_count(route->map)));
    return true;
}

bool sy_route_sets_sequences(const struct sy_route *route)
{
    return route->sets_sequences;
}

/* ---- the text ---- */

/* The first value of the class that is not in front of the client's, or behind it if that is
 * called; told as the value before it where there is one. */
static const char expression[] =
    "SELECT (SELECT CASE WHEN pg_catalog.setval(q.s, (CASE WHEN p.seqrelid IS NULL OR q.n < "
    "p.seqmin OR q.n > p.seqmax THEN q.n WHEN f.called THEN e.next - p.seqincrement ELSE e.next "
    "END)::pg_catalog.int8, f.called) IS NOT NULL THEN q.n END FROM (SELECT NULL AS s, NULL AS n, "
    "NULL AS c OFFSET 0) q LEFT JOIN pg_catalog.pg_sequence p ON p.seqrelid = q.s CROSS JOIN "
    "LATERAL (SELECT (p.seqstart - q.n::pg_catalog.numeric) % p.seqincrement AS gap) d CROSS JOIN "
    "LATERAL (SELECT q.n + CASE WHEN d.gap * p.seqincrement < 0 OR (d.gap = 0 AND q.c) THEN d.gap "
    "+ p.seqincrement ELSE d.gap END AS next) e CROSS JOIN LATERAL (SELECT p.seqrelid IS NULL OR "
    "(q.c AND e.next - p.seqincrement >= p.seqmin AND e.next - p.seqincrement <= p.seqmax) OR "
    "e.next > p.seqmax OR e.next < p.seqmin AS called) f) AS setval";

struct setting {
    struct sy_err *err;
    bool strict;   /* the sequence must be there */
    bool embedded; /* on sqlite */
};

static bool refuse(struct setting *s)
{
    (void)sy_err_set(s->err, SY_E_UNSUPPORTED,
                     "setval() in this form over several shards is not supported");
    sy_err_hint(s->err, "%s", place_hint);
    return false;
}

static bool no_memory(struct setting *s)
{
    (void)sy_err_set(s->err, SY_E_NO_MEMORY, "out of memory while rewriting");
    return false;
}

static bool is_word(const PgQuery__Node *node, const char *word)
{
    return node->node_case == PG_QUERY__NODE__NODE_STRING && strcmp(node->string->sval, word) == 0;
}

static bool is_call(const PgQuery__Node *node, const char *name, size_t least, size_t most)
{
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL)
        return false;
    const PgQuery__FuncCall *call = node->func_call;
    bool named = call->n_funcname == 1 ||
                 (call->n_funcname == 2 && is_word(call->funcname[0], "pg_catalog"));
    return named && is_word(call->funcname[call->n_funcname - 1], name) && call->n_args >= least &&
           call->n_args <= most && !call->func_variadic && call->over == NULL;
}

static const char *string_of(const PgQuery__Node *node)
{
    bool string = node->node_case == PG_QUERY__NODE__NODE_A_CONST && !node->a_const->isnull &&
                  node->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    return string ? node->a_const->sval->sval : NULL;
}

/* `name`, of a table or sequence, where there is one of that name. */
static PgQuery__Node *look_up(const char *name)
{
    PgQuery__Node *call = sy_node_parse("pg_catalog.to_regclass('x')");
    PgQuery__Node *value = sy_node_string(sy_slice_of(name));
    if (call != NULL && value != NULL)
        sy_node_swap(call->func_call->args[0], value);
    sy_node_free(value);
    return call;
}

/* Which sequence. The other shards may do without a local table's. */
static PgQuery__Node *sequence_of(const struct setting *s, const PgQuery__Node *from)
{
    while (from->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        from = from->type_cast->arg;
    const char *name = string_of(from);
    if (name != NULL && !isdigit((unsigned char)name[0]))
        return s->strict ? sy_node_cast(sy_node_copy(from), "regclass") : look_up(name);
    bool serial = is_call(from, "pg_get_serial_sequence", 2, 2) &&
                  string_of(from->func_call->args[0]) != NULL;
    if (!serial)
        return NULL;
    PgQuery__Node *call = sy_node_cast(sy_node_copy(from), "regclass");
    if (s->strict || call == NULL)
        return call;
    PgQuery__Node *whole = sy_node_parse("CASE WHEN NULL IS NOT NULL THEN NULL END");
    PgQuery__Node *table = look_up(string_of(from->func_call->args[0]));
    if (whole != NULL && table != NULL) {
        PgQuery__CaseWhen *when = whole->case_expr->args[0]->case_when;
        sy_node_swap(when->expr->null_test->arg, table);
        sy_node_swap(when->result, call);
    }
    sy_node_free(table);
    sy_node_free(call);
    return whole;
}

static bool put(PgQuery__Node *place, PgQuery__Node *value)
{
    if (value == NULL)
        return false;
    sy_node_swap(place->res_target->val, value);
    sy_node_free(value);
    return true;
}

static bool change_target(struct setting *s, PgQuery__Node *target)
{
    PgQuery__ParseResult *tree = NULL;
    PgQuery__Node *call =
        target->node_case == PG_QUERY__NODE__NODE_RES_TARGET ? target->res_target->val : NULL;
    if (call == NULL || !is_call(call, "setval", 2, 3))
        return refuse(s);
    PgQuery__Node *sequence = sequence_of(s, call->func_call->args[0]);
    if (sequence == NULL)
        return refuse(s);
    if (s->embedded) { /* where the engine finds the class by itself */
        sy_node_swap(call->func_call->args[0], sequence);
        sy_node_free(sequence);
        return true;
    }
    if (sy_rewrite_open(sy_slice_of(expression), &tree, s->err) != SY_OK) {
        sy_node_free(sequence);
        return false;
    }
    PgQuery__Node *made = tree->stmts[0]->stmt->select_stmt->target_list[0];
    PgQuery__SelectStmt *query = made->res_target->val->sub_link->subselect->select_stmt;
    /* ((((q JOIN p) JOIN d) JOIN e) JOIN f) */
    const PgQuery__Node *from = query->from_clause[0];
    while (from->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR)
        from = from->join_expr->larg;
    PgQuery__Node **places = from->range_subselect->subquery->select_stmt->target_list;
    bool three = call->func_call->n_args == 3;
    bool fine = put(places[0], sequence) &&
                put(places[1], sy_node_cast(sy_node_copy(call->func_call->args[1]), "int8")) &&
                put(places[2], three ? sy_node_cast(sy_node_copy(call->func_call->args[2]), "bool")
                                     : sy_node_parse("true"));
    if (fine && target->res_target->name != NULL && target->res_target->name[0] != '\0')
        sy_node_swap(call, made->res_target->val);
    else if (fine)
        sy_node_swap(target, made);
    sy_protobuf_free(&tree);
    return fine || no_memory(s);
}

enum sy_status sy_setval_text(const struct sy_route *route, const struct sy_scatter *scatter,
                              struct sy_arena *arena, struct sy_scattered *ret_scattered,
                              struct sy_err *err)
{
    struct setting s = {.err = err, .strict = scatter->shard == 0};
    s.embedded = route->database != NULL && route->database->engine != SY_ENGINE_POSTGRES;
    struct sy_scattered scattered = {0};
    PgQuery__ParseResult *tree = NULL;
    if (sy_rewrite_open(scatter->text, &tree, err) != SY_OK)
        return err->status;
    PgQuery__Node *root = tree->stmts[0]->stmt;
    bool fine = tree->n_stmts == 1 && root->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
    PgQuery__SelectStmt *select = fine ? root->select_stmt : NULL;
    fine = fine && select->op == PG_QUERY__SET_OPERATION__SETOP_NONE &&
           select->n_from_clause == 0 && select->n_values_lists == 0 &&
           select->where_clause == NULL && select->limit_count == NULL &&
           select->limit_offset == NULL && select->with_clause == NULL;
    fine = fine || refuse(&s);
    for (size_t i = 0; fine && i < select->n_target_list; i++)
        fine = change_target(&s, select->target_list[i]);
    fine = fine && sy_rewrite_text(tree, arena, &scattered.sql, err) == SY_OK;
    sy_protobuf_free(&tree);
    if (fine)
        *ret_scattered = scattered;
    return fine ? SY_OK : err->status;
}
