/* INSERT, UPDATE, DELETE and MERGE as scopes. */
#include "parser/tree_internal.h"

static void returning(struct sy_facts_builder *b, const List *list, int32_t scope)
{
    sy_build_walk(b, (const Node *)list, scope);
    if (scope == 0 && list != NULL)
        b->stmt->has_returning = true;
}

/* The value of one item of SET: (a, b) = (1, 2) is split; (a, b) = (SELECT ...) is opaque. */
static const Node *assigned(const ResTarget *target)
{
    if (target->val == NULL || !IsA(target->val, MultiAssignRef))
        return target->val;
    const MultiAssignRef *ref = (const MultiAssignRef *)target->val;
    if (ref->source == NULL || !IsA(ref->source, RowExpr))
        return NULL;
    const List *args = ((const RowExpr *)ref->source)->args;
    return args != NULL && args->length == ref->ncolumns ? args->elements[ref->colno - 1].ptr_value
                                                         : NULL;
}

static void assign(struct sy_facts_builder *b, const char *column, const Node *node, int32_t scope)
{
    struct sy_assignment item = {
        .column = sy_build_name(b, column),
        .value = sy_build_value(b, node),
        .scope = scope,
    };
    *(struct sy_assignment *)sy_build_push(b, &b->assignments) = item;
}

static void assignments(struct sy_facts_builder *b, const List *targets, int32_t scope)
{
    for (int i = 0; targets != NULL && i < targets->length; i++) {
        const ResTarget *target = targets->elements[i].ptr_value;
        const Node *value = target->indirection == NULL ? assigned(target) : NULL;
        assign(b, target->name, value, scope);
        /* A row that several targets share is walked with its first. */
        const Node *node = target->val;
        if (node != NULL && IsA(node, MultiAssignRef) && ((const MultiAssignRef *)node)->colno > 1)
            node = NULL;
        sy_build_walk(b, (const Node *)target->indirection, scope);
        sy_build_walk(b, node, scope);
    }
}

/* ---- INSERT ---- */

static int32_t insert_columns(struct sy_facts_builder *b, const List *cols)
{
    int32_t first = b->columns.count;
    for (int i = 0; cols != NULL && i < cols->length; i++) {
        const ResTarget *target = cols->elements[i].ptr_value;
        *(struct sy_slice *)sy_build_push(b, &b->columns) = sy_build_name(b, target->name);
    }
    return first;
}

static bool is_plain_values(const SelectStmt *select)
{
    return select->valuesLists != NULL && select->sortClause == NULL &&
           select->limitCount == NULL && select->limitOffset == NULL &&
           select->lockingClause == NULL && select->withClause == NULL && select->op == SETOP_NONE;
}

/* Rows of uneven length are an error that the server reports: cut or filled with unknown values
 * they get there. */
static void values_rows(struct sy_facts_builder *b, const List *rows, struct sy_insert *insert)
{
    insert->row_first_value = b->values.count;
    insert->row_count = rows->length;
    insert->row_width = ((const List *)rows->elements[0].ptr_value)->length;
    for (int r = 0; r < rows->length; r++) {
        const List *row = rows->elements[r].ptr_value;
        for (int c = 0; c < insert->row_width; c++) {
            struct sy_value value = {.kind = SY_VALUE_OPAQUE};
            if (c < row->length)
                value = sy_build_value(b, row->elements[c].ptr_value);
            *(struct sy_value *)sy_build_push(b, &b->values) = value;
        }
    }
}

/* The columns whose uniqueness is meant. */
static void conflict_columns(struct sy_facts_builder *b, const InferClause *infer,
                             struct sy_insert *insert)
{
    insert->conflict_any = infer == NULL;
    if (infer == NULL || infer->conname != NULL || infer->indexElems == NULL)
        return;
    insert->first_conflict_column = b->columns.count;
    for (int i = 0; i < infer->indexElems->length; i++) {
        const IndexElem *element = infer->indexElems->elements[i].ptr_value;
        if (element->name == NULL)
            continue;
        *(struct sy_slice *)sy_build_push(b, &b->columns) = sy_build_name(b, element->name);
        insert->conflict_column_count++;
    }
    insert->conflict_named = insert->conflict_column_count == infer->indexElems->length;
}

static void on_conflict(struct sy_facts_builder *b, const OnConflictClause *clause, int32_t scope,
                        struct sy_insert *insert)
{
    if (clause == NULL)
        return;
    conflict_columns(b, clause->infer, insert);
    sy_build_walk(b, (const Node *)clause->infer, scope);
    assignments(b, clause->targetList, scope);
    sy_build_walk(b, clause->whereClause, scope);
}

static bool is_star(const Node *node)
{
    if (node == NULL || !IsA(node, ColumnRef))
        return false;
    const List *fields = ((const ColumnRef *)node)->fields;
    const Node *last = fields->elements[fields->length - 1].ptr_value;
    return last != NULL && IsA(last, A_Star);
}

/* What an INSERT's query puts out, when it is a plain list: rows come from the query's own tables
 * then. */
static void query_outputs(struct sy_facts_builder *b, const Node *source, int32_t scope,
                          struct sy_insert *insert)
{
    const SelectStmt *select = (const SelectStmt *)source;
    if (!IsA(source, SelectStmt) || select->op != SETOP_NONE || select->targetList == NULL ||
        sy_build_scope(b, scope)->has_grouping_sets)
        return;
    for (int i = 0; i < select->targetList->length; i++)
        if (is_star(((const ResTarget *)select->targetList->elements[i].ptr_value)->val))
            return;
    insert->first_output = b->outputs.count;
    insert->output_count = select->targetList->length;
    for (int i = 0; i < select->targetList->length; i++) {
        const Node *node = ((const ResTarget *)select->targetList->elements[i].ptr_value)->val;
        struct sy_column column = sy_build_column(b, node, scope);
        struct sy_output output = {.table = SY_NO_INDEX, .scope = scope};
        if (column.found && column.scope == scope) {
            output.table = column.table;
            output.column = sy_build_name(b, column.name);
            output.value.kind = SY_VALUE_OPAQUE;
        } else {
            output.value = sy_build_value(b, node);
        }
        *(struct sy_output *)sy_build_push(b, &b->outputs) = output;
    }
}

static void insert_source(struct sy_facts_builder *b, const Node *source, struct sy_insert *insert)
{
    if (source == NULL) {
        insert->default_values = true;
        return;
    }
    if (!IsA(source, SelectStmt) || !is_plain_values((const SelectStmt *)source)) {
        insert->from_select = true;
        int32_t mark = b->ranges.count;
        int32_t inner = sy_build_query_open(b, source, insert->scope);
        query_outputs(b, source, inner, insert);
        b->ranges.count = mark;
        return;
    }
    const List *rows = ((const SelectStmt *)source)->valuesLists;
    values_rows(b, rows, insert);
    sy_build_walk(b, (const Node *)rows, insert->scope);
}

void sy_build_insert(struct sy_facts_builder *b, const InsertStmt *stmt, int32_t scope)
{
    struct sy_insert insert = {.scope = scope};
    struct sy_cte_frame frame;
    insert.first_column = insert_columns(b, stmt->cols);
    insert.column_count = b->columns.count - insert.first_column;
    insert.has_on_conflict = stmt->onConflictClause != NULL;
    for (int i = 0; stmt->cols != NULL && i < stmt->cols->length; i++)
        sy_build_walk(b, stmt->cols->elements[i].ptr_value, scope);
    sy_build_with(b, stmt->withClause, scope, &frame);
    insert.table = sy_build_target(b, stmt->relation, scope, false);
    insert_source(b, stmt->selectStmt, &insert);
    on_conflict(b, stmt->onConflictClause, scope, &insert);
    returning(b, stmt->returningList, scope);
    *(struct sy_insert *)sy_build_push(b, &b->inserts) = insert;
    b->ctes = frame.outer;
    if (scope != 0)
        return;
    struct sy_stmt *s = b->stmt;
    s->column_count = insert.column_count;
    s->row_first_value = insert.row_first_value;
    s->row_count = insert.row_count;
    s->row_width = insert.row_width;
    s->insert_from_select = insert.from_select;
    s->insert_default_values = insert.default_values;
    s->has_on_conflict = insert.has_on_conflict;
    s->override_identity = stmt->override != OVERRIDING_NOT_SET;
}

/* ---- UPDATE, DELETE ---- */

void sy_build_update(struct sy_facts_builder *b, const UpdateStmt *update, int32_t scope)
{
    struct sy_cte_frame frame;
    sy_build_with(b, update->withClause, scope, &frame);
    int32_t mark = b->stack.count;
    sy_build_target(b, update->relation, scope, false);
    sy_build_from_list(b, update->fromClause, scope);
    sy_build_where(b, update->whereClause, scope);
    int32_t where = sy_build_conjunction(b, mark, scope);
    sy_build_scope(b, scope)->where = where;
    assignments(b, update->targetList, scope);
    returning(b, update->returningList, scope);
    b->ctes = frame.outer;
}

void sy_build_delete(struct sy_facts_builder *b, const DeleteStmt *del, int32_t scope)
{
    struct sy_cte_frame frame;
    sy_build_with(b, del->withClause, scope, &frame);
    int32_t mark = b->stack.count;
    sy_build_target(b, del->relation, scope, false);
    sy_build_from_list(b, del->usingClause, scope);
    sy_build_where(b, del->whereClause, scope);
    int32_t where = sy_build_conjunction(b, mark, scope);
    sy_build_scope(b, scope)->where = where;
    returning(b, del->returningList, scope);
    b->ctes = frame.outer;
}

/* ---- MERGE ---- */

static void merge_action(struct sy_facts_builder *b, const MergeWhenClause *when, int32_t scope)
{
    sy_build_walk(b, when->condition, scope);
    if (when->commandType == CMD_UPDATE)
        assignments(b, when->targetList, scope);
    if (when->commandType != CMD_INSERT)
        return;
    const List *columns = when->targetList, *values = when->values;
    for (int i = 0; values != NULL && i < values->length; i++) {
        const ResTarget *target =
            columns != NULL && i < columns->length ? columns->elements[i].ptr_value : NULL;
        assign(b, target != NULL ? target->name : NULL, values->elements[i].ptr_value, scope);
    }
    sy_build_walk(b, (const Node *)columns, scope);
    sy_build_walk(b, (const Node *)values, scope);
}

/* The source is preserved, the target joined to it: ON restricts the target only. */
void sy_build_merge(struct sy_facts_builder *b, const MergeStmt *merge, int32_t scope)
{
    struct sy_cte_frame frame;
    sy_build_with(b, merge->withClause, scope, &frame);
    int32_t mark = b->stack.count;
    struct sy_cond_place place = {.scope = scope, .conjunct = true, .only_ranges = true};
    sy_build_target(b, merge->relation, scope, true);
    place.end_range = b->ranges.count;
    place.first_range = place.end_range - 1;
    sy_build_from_item(b, merge->sourceRelation, scope, false);
    sy_build_clause(b, merge->joinCondition, &place);
    int32_t where = sy_build_conjunction(b, mark, scope);
    sy_build_scope(b, scope)->where = where;
    for (int i = 0; merge->mergeWhenClauses != NULL && i < merge->mergeWhenClauses->length; i++)
        merge_action(b, merge->mergeWhenClauses->elements[i].ptr_value, scope);
    b->ctes = frame.outer;
}
