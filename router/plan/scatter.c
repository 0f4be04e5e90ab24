/*
 * Edits the tree of a write: defaults that servers must not fill in by themselves are written out,
 * what must be evaluated once is replaced by its value, rows of other shards are left out. Both
 * passes over a statement (asking, writing) find the same expressions in the same order.
 */
#include "router/plan/scatter.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "parser/rewrite.h"
#include "router/plan/route_internal.h"
#include "router/plan/sequence.h"

struct scatter {
    const struct sy_route *route;
    struct sy_arena *arena;
    struct sy_err *err;
    PgQuery__Node *root;         /* the statement */
    PgQuery__SelectStmt *values; /* its rows; NULL: none */
    bool copies;                 /* of a reference table */
    bool in_cell;                /* inside a row of VALUES, which is evaluated once */
    PgQuery__Node **found;       /* to be evaluated beforehand, borrowed */
    uint32_t *answer;            /* which answer each has */
    uint32_t found_count, found_max, answer_count;
    uint32_t *first; /* of each answer: the first that has it */
};

static bool fail(struct scatter *s, const char *what)
{
    (void)sy_err_set(s->err, SY_E_UNSUPPORTED, "%s is not supported", what);
    sy_err_hint(s->err, "Give the value as a constant or a parameter.");
    return false;
}

static bool no_memory(struct scatter *s)
{
    (void)sy_err_set(s->err, SY_E_NO_MEMORY, "out of memory while rewriting");
    return false;
}

/* ---- what is evaluated beforehand ---- */

static bool is_fixed(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    (void)opaque;
    (void)ret_skip;
    return node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF &&
           node->node_case != PG_QUERY__NODE__NODE_PARAM_REF &&
           node->node_case != PG_QUERY__NODE__NODE_SUB_LINK &&
           node->node_case != PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
}

/* `shared`: equal expressions have one value. */
static bool add(struct scatter *s, PgQuery__Node *node, bool shared)
{
    uint32_t answer = s->answer_count;
    for (uint32_t i = 0; shared && i < s->answer_count; i++)
        if (sy_node_equal(s->found[s->first[i]], node)) {
            answer = i;
            break;
        }
    if (answer == s->answer_count && answer == SY_LIMIT_SCATTER_VALUES)
        return fail(s, "a write that calls that many functions on several shards");
    if (s->found_count == s->found_max) {
        uint32_t max = s->found_max == 0 ? 16 : s->found_max * 2;
        PgQuery__Node **found = sy_arena_calloc(s->arena, max, sizeof(PgQuery__Node *));
        uint32_t *answers = sy_arena_calloc(s->arena, max, sizeof(*answers));
        uint32_t *first = sy_arena_calloc(s->arena, max, sizeof(*first));
        if (found == NULL || answers == NULL || first == NULL)
            return no_memory(s);
        for (uint32_t i = 0; i < s->found_count; i++) {
            found[i] = s->found[i];
            answers[i] = s->answer[i];
            first[i] = s->first[i];
        }
        s->found = found;
        s->answer = answers;
        s->first = first;
        s->found_max = max;
    }
    if (answer == s->answer_count)
        s->first[s->answer_count++] = s->found_count;
    s->found[s->found_count] = node;
    s->answer[s->found_count++] = answer;
    return true;
}

/* The name of a function as the grammar's tree has it. */
static struct sy_qname name_of(const PgQuery__FuncCall *call)
{
    struct sy_qname name = {{"", 0}, {"", 0}};
    for (size_t i = 0; i < call->n_funcname; i++) {
        name.schema = i == 0 ? name.schema : name.name;
        if (call->funcname[i]->node_case == PG_QUERY__NODE__NODE_STRING)
            name.name = sy_slice_of(call->funcname[i]->string->sval);
    }
    return name;
}

static bool take_call(struct scatter *s, PgQuery__Node *node, bool *ret_skip)
{
    const PgQuery__FuncCall *call = node->func_call;
    struct sy_qname name = name_of(call);
    enum sy_freeze freeze = sy_route_freeze_of(s->route, name, (int32_t)call->n_args, s->copies);
    bool fixed = sy_node_visit(node, is_fixed, NULL) && call->over == NULL && !call->agg_star;
    if (freeze == SY_FREEZE_NOT)
        return true;
    if (freeze == SY_FREEZE_CANNOT || !fixed || (freeze == SY_FREEZE_EACH && !s->in_cell)) {
        char what[SY_LIMIT_NAME_BYTES + 100];
        snprintf(what, sizeof(what), "calling %s() in this place, in a write on several shards,",
                 name.name.data);
        return fail(s, what);
    }
    *ret_skip = true;
    return add(s, node, freeze == SY_FREEZE_ONCE);
}

static bool take_keyword(struct scatter *s, PgQuery__Node *node, bool *ret_skip)
{
    enum _PgQuery__SQLValueFunctionOp op = node->sqlvalue_function->op;
    bool clock = op <= PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N;
    if (op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG)
        return fail(s, "current_catalog in a write on several shards");
    if (!clock && !s->copies)
        return true;
    *ret_skip = true;
    return add(s, node, true);
}

static bool look(PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    struct scatter *s = opaque;
    switch ((int)node->node_case) {
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return take_call(s, node, ret_skip);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return take_keyword(s, node, ret_skip);
    case PG_QUERY__NODE__NODE_SUB_LINK: { /* what it calls may be called any number of times */
        bool in_cell = s->in_cell;
        s->in_cell = false;
        *ret_skip = true;
        bool fine =
            sy_node_edit(node->sub_link->subselect, look, s) &&
            (node->sub_link->testexpr == NULL || sy_node_edit(node->sub_link->testexpr, look, s));
        s->in_cell = in_cell;
        return fine;
    }
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        *ret_skip = s->values != NULL && node->select_stmt == s->values;
        return true;
    default: /* NOLINT: everything else only contains expressions */
        return true;
    }
}

static bool find_all(struct scatter *s)
{
    s->in_cell = true;
    for (size_t i = 0; s->values != NULL && i < s->values->n_values_lists; i++)
        if (!sy_node_edit(s->values->values_lists[i], look, s))
            return false;
    s->in_cell = false;
    return sy_node_edit(s->root, look, s);
}

/* ---- defaults that are written out ---- */

static bool is_default(const PgQuery__Node *node)
{
    return node->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
}

static bool has_no_default(const PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    (void)opaque;
    (void)ret_skip;
    return !is_default(node);
}

static bool write_default(struct scatter *s, PgQuery__Node *place,
                          const struct sy_schema_column *column)
{
    PgQuery__Node *made = sy_node_parse(column->default_sql.data);
    if (made == NULL)
        return fail(s, "a write that leaves this default to be filled in");
    sy_node_swap(place, made);
    sy_node_free(made);
    return true;
}

/* Without a list of columns the rows begin at the first. */
static bool list_columns(struct scatter *s, const struct sy_schema_relation *relation, size_t width)
{
    PgQuery__InsertStmt *insert = s->root->insert_stmt;
    for (uint32_t i = 0; insert->n_cols < width && i < relation->column_count; i++)
        if (!sy_node_append(&insert->cols, &insert->n_cols,
                            sy_node_column(relation->columns[i].name.data)))
            return no_memory(s);
    return true;
}

static size_t position_of(const PgQuery__InsertStmt *insert, struct sy_slice name)
{
    size_t at = 0;
    while (at < insert->n_cols &&
           !sy_slice_eq(sy_slice_of(insert->cols[at]->res_target->name), name))
        at++;
    return at;
}

/* One column in every row, or in the query that makes the rows. */
static bool fill_column(struct scatter *s, const struct sy_schema_column *column)
{
    PgQuery__InsertStmt *insert = s->root->insert_stmt;
    size_t at = position_of(insert, column->name);
    bool missing = at == insert->n_cols;
    bool given = false; /* in some row */
    if (missing &&
        !sy_node_append(&insert->cols, &insert->n_cols, sy_node_column(column->name.data)))
        return no_memory(s);
    if (s->values == NULL) {
        PgQuery__SelectStmt *select = insert->select_stmt->select_stmt;
        PgQuery__Node *made =
            missing ? sy_node_target("switchyard_default", sy_node_parse(column->default_sql.data))
                    : NULL;
        return !missing || sy_node_append(&select->target_list, &select->n_target_list, made) ||
               no_memory(s);
    }
    for (size_t i = 0; i < s->values->n_values_lists; i++) {
        PgQuery__List *row = s->values->values_lists[i]->list;
        given = given || (!missing && at < row->n_items && !is_default(row->items[at]));
        if (missing ? !sy_node_append(&row->items, &row->n_items,
                                      sy_node_parse(column->default_sql.data))
                    : at < row->n_items && is_default(row->items[at]) &&
                          !write_default(s, row->items[at], column))
            return s->err->status != SY_OK ? false : no_memory(s);
    }
    if (column->is_identity_or_serial && s->copies && !given &&
        insert->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_NOT_SET)
        insert->override = PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE;
    return true;
}

static bool fill_insert(struct scatter *s)
{
    const struct sy_insert *facts = &s->route->stmt->inserts[0];
    const struct sy_schema_relation *relation = s->route->uses[facts->table].relation;
    PgQuery__InsertStmt *insert = s->root->insert_stmt;
    bool fills = false;
    for (uint32_t i = 0; relation != NULL && i < relation->column_count; i++)
        fills |= sy_route_freeze_default(&relation->columns[i], s->copies) != SY_FREEZE_NOT;
    if (!fills)
        return true;
    size_t width = s->values != NULL ? (size_t)facts->row_width : (size_t)facts->output_count;
    if (s->values == NULL && (width == 0 || insert->select_stmt == NULL ||
                              insert->select_stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT))
        return true;
    for (size_t i = 0; s->values != NULL && i < s->values->n_values_lists; i++)
        if (s->values->values_lists[i]->list->n_items != width)
            return fail(s, "an INSERT whose rows have different lengths, on several shards,");
    if (!list_columns(s, relation, width))
        return false;
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (sy_route_freeze_default(&relation->columns[i], s->copies) != SY_FREEZE_NOT &&
            !fill_column(s, &relation->columns[i]))
            return false;
    return true;
}

/* SET column = DEFAULT. */
static bool fill_assignments(struct scatter *s, PgQuery__Node **targets, size_t count,
                             const struct sy_schema_relation *relation)
{
    for (size_t i = 0; i < count; i++) {
        PgQuery__ResTarget *target = targets[i]->res_target;
        const struct sy_schema_column *column =
            sy_schema_column(relation, sy_slice_of(target->name));
        if (target->val == NULL || column == NULL ||
            sy_route_freeze_default(column, s->copies) != SY_FREEZE_ONCE)
            continue;
        if (target->val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF &&
            !sy_node_visit(target->val, has_no_default, NULL))
            return fail(s, "SET (...) = (... DEFAULT ...) on several shards");
        if (is_default(target->val) && !write_default(s, target->val, column))
            return false;
    }
    return true;
}

static const struct sy_schema_relation *target_of(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (route->stmt->tables[i].role == SY_TABLE_TARGET && route->stmt->tables[i].scope == 0)
            return route->uses[i].relation;
    return NULL;
}

static bool fill(struct scatter *s)
{
    if (s->root->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT) {
        const PgQuery__UpdateStmt *update = s->root->update_stmt;
        return fill_assignments(s, update->target_list, update->n_target_list, target_of(s->route));
    }
    if (s->root->node_case != PG_QUERY__NODE__NODE_INSERT_STMT)
        return true;
    const PgQuery__OnConflictClause *conflict = s->root->insert_stmt->on_conflict_clause;
    return fill_insert(s) &&
           (conflict == NULL || fill_assignments(s, conflict->target_list, conflict->n_target_list,
                                                 target_of(s->route)));
}

/* ---- opening ---- */

static bool writes_copies(const struct sy_route *route)
{
    for (int32_t i = 0; i < route->stmt->table_count; i++)
        if (route->stmt->tables[i].role == SY_TABLE_TARGET && route->uses[i].kind == USE_REFERENCE)
            return true;
    return false;
}

/* The tree with its defaults written out, and what is to be evaluated beforehand found in it. */
static bool open_tree(struct scatter *s, struct sy_slice text, PgQuery__ParseResult **ret_tree)
{
    if (sy_rewrite_open(text, ret_tree, s->err) != SY_OK)
        return false;
    if ((*ret_tree)->n_stmts != 1)
        return fail(s, "a text of several statements on several shards");
    s->root = (*ret_tree)->stmts[0]->stmt;
    s->copies = writes_copies(s->route);
    if (s->root->node_case == PG_QUERY__NODE__NODE_INSERT_STMT &&
        s->root->insert_stmt->select_stmt != NULL &&
        s->root->insert_stmt->select_stmt->node_case == PG_QUERY__NODE__NODE_SELECT_STMT &&
        s->root->insert_stmt->select_stmt->select_stmt->n_values_lists > 0)
        s->values = s->root->insert_stmt->select_stmt->select_stmt;
    return !s->route->freezes || (fill(s) && find_all(s));
}

bool sy_route_freezes(const struct sy_route *route)
{
    return route->freezes;
}

/* ---- locks ---- */

static void put_identifier(struct sy_buf *out, struct sy_slice name)
{
    sy_buf_append_u8(out, '"');
    for (size_t i = 0; i < name.bytes; i++) {
        if (name.data[i] == '"')
            sy_buf_append_u8(out, '"');
        sy_buf_append_u8(out, (uint8_t)name.data[i]);
    }
    sy_buf_append_u8(out, '"');
}

/* The target with the least name that is above `above`; -1: none. Always the same order. */
static int32_t next_target(const struct sy_route *route, int32_t above)
{
    int32_t found = -1;
    for (int32_t i = 0; i < route->stmt->table_count; i++) {
        const struct use *use = &route->uses[i];
        if (route->stmt->tables[i].role != SY_TABLE_TARGET || use->kind != USE_REFERENCE ||
            use->relation == NULL)
            continue;
        bool later = above < 0 || use->relation->oid > route->uses[above].relation->oid;
        if (later && (found < 0 || use->relation->oid < route->uses[found].relation->oid))
            found = i;
    }
    return found;
}

struct sy_slice sy_route_lock_sql(const struct sy_route *route, struct sy_arena *arena)
{
    struct sy_buf sql = {0};
    struct sy_slice none = {"", 0};
    if (!route->sharded || !sy_route_can_freeze(route))
        return none;
    for (int32_t i = next_target(route, -1); i >= 0; i = next_target(route, i)) {
        sy_buf_append_str(&sql, sql.bytes == 0 ? "LOCK TABLE " : ", ");
        put_identifier(&sql, route->uses[i].relation->schema);
        sy_buf_append_str(&sql, ".");
        put_identifier(&sql, route->uses[i].relation->name);
    }
    if (sql.bytes > 0)
        sy_buf_append_str(&sql, " IN SHARE ROW EXCLUSIVE MODE");
    const char *copy =
        sql.failed || sql.bytes == 0 ? NULL : sy_arena_strndup(arena, sql.data, sql.bytes);
    if (copy != NULL)
        none = (struct sy_slice){copy, sql.bytes};
    sy_buf_release(&sql);
    return none;
}

/* ---- asking ---- */

/* SELECT a1::text, pg_typeof(a1) ... FROM (SELECT expression AS a1 ... OFFSET 0): each is
 * evaluated once. */
static bool write_ask(struct scatter *s, struct sy_scatter_ask *ret_ask)
{
    PgQuery__ParseResult *tree = NULL;
    struct sy_slice inner;
    if (sy_rewrite_open(SY_SLICE("SELECT 1 OFFSET 0"), &tree, s->err) != SY_OK)
        return false;
    PgQuery__SelectStmt *select = tree->stmts[0]->stmt->select_stmt;
    sy_node_clear(&select->target_list, &select->n_target_list);
    bool fine = true;
    for (uint32_t i = 0; i < s->answer_count && fine; i++) {
        char name[16];
        snprintf(name, sizeof(name), "a%u", i);
        fine = sy_node_append(&select->target_list, &select->n_target_list,
                              sy_node_target(name, sy_node_copy(s->found[s->first[i]]))) ||
               no_memory(s);
    }
    fine = fine && sy_rewrite_text(tree, s->arena, &inner, s->err) == SY_OK;
    sy_protobuf_free(&tree);
    if (!fine)
        return false;
    struct sy_buf sql = {0};
    for (uint32_t i = 0; i < s->answer_count; i++)
        sy_buf_printf(&sql, "%s a%u::pg_catalog.text, pg_catalog.pg_typeof(a%u)::pg_catalog.text",
                      i == 0 ? "SELECT" : ",", i, i);
    sy_buf_append_str(&sql, " FROM (");
    sy_buf_append_slice(&sql, inner);
    sy_buf_append_str(&sql, ") q");
    ret_ask->sql.data = sql.failed ? NULL : sy_arena_strndup(s->arena, sql.data, sql.bytes);
    ret_ask->sql.bytes = sql.bytes;
    ret_ask->count = s->answer_count;
    sy_buf_release(&sql);
    return ret_ask->sql.data != NULL || no_memory(s);
}

enum sy_status sy_scatter_ask(const struct sy_route *route, struct sy_slice text,
                              struct sy_arena *arena, struct sy_scatter_ask *ret_ask,
                              struct sy_err *err)
{
    struct scatter s = {.route = route, .arena = arena, .err = err};
    struct sy_scatter_ask ask = {.sql = {"", 0}};
    PgQuery__ParseResult *tree = NULL;
    sy_err_init(err);
    if (!route->freezes || route->spreads || route->sets_sequences) {
        *ret_ask = ask;
        return SY_OK;
    }
    bool fine = open_tree(&s, text, &tree) && (s.answer_count == 0 || write_ask(&s, &ask));
    sy_protobuf_free(&tree);
    if (fine)
        *ret_ask = ask;
    return fine ? SY_OK : err->status;
}

/* ---- writing ---- */

static bool put_answers(struct scatter *s, const struct sy_scatter *scatter)
{
    if (s->answer_count != scatter->answer_count)
        return fail(s, "this form of write on several shards");
    for (uint32_t i = 0; i < s->found_count; i++) {
        struct sy_slice value = scatter->answers[2 * s->answer[i]];
        struct sy_slice type = scatter->answers[2 * s->answer[i] + 1];
        const char *name = sy_arena_strndup(s->arena, type.data, type.bytes);
        PgQuery__Node *made =
            name == NULL
                ? NULL
                : sy_node_cast(value.data == NULL ? sy_node_null() : sy_node_string(value), name);
        if (made == NULL)
            return fail(s, "a value of this type in a write on several shards");
        sy_node_swap(s->found[i], made);
        sy_node_free(made);
    }
    return true;
}

static bool keep_rows(struct scatter *s, const struct sy_scatter *scatter)
{
    if (s->values == NULL || s->values->n_values_lists != scatter->row_count)
        return fail(s, "this form of INSERT on several shards");
    size_t kept = 0;
    for (uint32_t i = 0; i < scatter->row_count; i++) {
        if (scatter->rows[i] == scatter->shard)
            s->values->values_lists[kept++] = s->values->values_lists[i];
        else
            sy_node_free(s->values->values_lists[i]);
    }
    s->values->n_values_lists = kept;
    return true;
}

struct numbering {
    struct sy_scattered *out;
    uint16_t *place; /* of each parameter of the text: its new number; 0: none yet */
    uint32_t max;
};

/* Parameters are numbered anew: a server wants to know the type of every one below the highest. */
static bool number(PgQuery__Node *node, void *opaque, bool *ret_skip)
{
    struct numbering *numbering = opaque;
    struct sy_scattered *out = numbering->out;
    (void)ret_skip;
    if (node->node_case != PG_QUERY__NODE__NODE_PARAM_REF)
        return true;
    uint32_t old = (uint32_t)node->param_ref->number;
    if (old == 0 || old > numbering->max)
        return false;
    if (numbering->place[old] == 0) {
        out->parameters[out->parameter_count++] = (uint16_t)old;
        numbering->place[old] = (uint16_t)out->parameter_count;
    }
    node->param_ref->number = numbering->place[old];
    return true;
}

static bool number_all(struct scatter *s, struct sy_scattered *out)
{
    struct numbering numbering = {.out = out, .max = (uint32_t)s->route->stmt->parameter_max};
    if (numbering.max > UINT16_MAX)
        return fail(s, "a parameter of that number");
    out->parameters =
        sy_arena_calloc(s->arena, (size_t)numbering.max + 1, sizeof(*out->parameters));
    numbering.place =
        sy_arena_calloc(s->arena, (size_t)numbering.max + 1, sizeof(*numbering.place));
    if (out->parameters == NULL || numbering.place == NULL)
        return no_memory(s);
    return sy_node_edit(s->root, number, &numbering) || fail(s, "this parameter");
}

enum sy_status sy_scatter_text(const struct sy_route *route, const struct sy_scatter *scatter,
                               struct sy_arena *arena, struct sy_scattered *ret_scattered,
                               struct sy_err *err)
{
    struct scatter s = {.route = route, .arena = arena, .err = err};
    struct sy_scattered scattered = {0};
    PgQuery__ParseResult *tree = NULL;
    sy_err_init(err);
    if (route->spreads)
        return sy_sequence_text(route, scatter, arena, ret_scattered, err);
    if (route->sets_sequences)
        return sy_setval_text(route, scatter, arena, ret_scattered, err);
    bool fine = open_tree(&s, scatter->text, &tree) && put_answers(&s, scatter);
    if (fine && scatter->rows != NULL)
        fine = keep_rows(&s, scatter) && number_all(&s, &scattered);
    fine = fine && sy_rewrite_text(tree, arena, &scattered.sql, err) == SY_OK;
    sy_protobuf_free(&tree);
    if (fine)
        *ret_scattered = scattered;
    return fine ? SY_OK : err->status;
}
