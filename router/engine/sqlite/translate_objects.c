/* CREATE INDEX, VIEW, SEQUENCE, TABLE AS; COMMENT. */
#include <stdlib.h>

#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* ---- indexes ---- */

struct index_build {
    const char **keys;
    int16_t *columns;
    uint8_t *options;
    struct sy_buf label;
};

static bool index_key(struct sq_cx *cx, const struct sy_sqrelation *relation,
                      const PgQuery__IndexElem *elem, uint32_t i, struct index_build *build)
{
    if (i > 0)
        sy_buf_append_str(&build->label, "_");
    if (elem->expr == NULL) {
        int index = sq_column_index(relation, elem->name);
        if (index < 0)
            return sq_error(cx, "42703", -1, "column \"%s\" does not exist", elem->name);
        if (relation->columns[index].type == SY_T_JSON)
            return sq_error(
                cx, "42704", -1,
                "data type json has no default operator class for access method \"btree\"");
        build->columns[i] = (int16_t)index;
        build->keys[i] = relation->columns[index].name;
        sy_buf_append_str(&build->label, build->keys[i]);
    } else {
        build->columns[i] = -1;
        build->keys[i] = sq_deparse(cx, elem->expr);
        const char *name = sq_default_name(elem->expr);
        sy_buf_append_str(&build->label, strcmp(name, "?column?") == 0 ? "expr" : name);
    }
    bool desc = elem->ordering == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    bool first = elem->nulls_ordering == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                 (desc && elem->nulls_ordering != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    build->options[i] = (uint8_t)((desc ? 1 : 0) | (first ? 2 : 0));
    return build->keys[i] != NULL;
}

static bool index_keys(struct sq_cx *cx, const struct sy_sqrelation *relation,
                       const PgQuery__IndexStmt *node, struct sy_sqindex *index,
                       const char **ret_label)
{
    uint32_t count = (uint32_t)node->n_index_params;
    struct index_build build = {sq_alloc(cx, count * sizeof(char *)),
                                sq_alloc(cx, count * sizeof(int16_t)),
                                sq_alloc(cx, count),
                                {0}};
    bool ok = build.keys != NULL && build.columns != NULL && build.options != NULL;
    for (uint32_t i = 0; i < count && ok; i++)
        ok = index_key(cx, relation, node->index_params[i]->index_elem, i, &build);
    *ret_label = sq_finish(cx, &build.label);
    index->keys = build.keys;
    index->key_columns = build.columns;
    index->key_options = build.options;
    index->key_count = count;
    return ok && *ret_label != NULL;
}

bool sq_create_index(struct sq_cx *cx, const PgQuery__IndexStmt *node, struct sq_out *out)
{
    out->t->tag = "CREATE INDEX";
    const struct sy_sqrelation *relation = sq_find_relation(cx, node->relation, false);
    struct sq_def def;
    if (relation == NULL)
        return false;
    if (relation->kind != 'r' || relation->read_only)
        return sq_error(cx, "42809", -1, "cannot create index on relation \"%s\"", relation->name);
    const char *method = node->access_method != NULL && node->access_method[0] != '\0'
                             ? node->access_method
                             : "btree";
    if (strcmp(method, "btree") != 0 && strcmp(method, "hash") != 0)
        return sq_unsupported(cx, -1, "access method \"%s\" is not supported by the sqlite engine",
                              method) != NULL;
    if (node->nulls_not_distinct || node->n_exclude_op_names > 0)
        return sq_unsupported(cx, -1, "this form of index is not supported by the sqlite engine") !=
               NULL;
    struct sy_sqindex *index = sq_alloc(cx, sizeof(*index));
    const char *label = NULL;
    if (index == NULL || !sq_def_init(cx, &def, relation, 0) ||
        !index_keys(cx, relation, node, index, &label))
        return false;
    index->unique = node->unique;
    index->method = sy_arena_strdup(cx->arena, method);
    index->predicate = node->where_clause == NULL ? NULL : sq_deparse(cx, node->where_clause);
    if (node->where_clause != NULL && index->predicate == NULL)
        return false;
    bool named = node->idxname != NULL && node->idxname[0] != '\0';
    index->name = named ? sy_arena_strdup(cx->arena, node->idxname)
                        : sq_choose_name(cx, &def, relation->name, label, "idx");
    if (index->name == NULL)
        return false;
    if (named && sq_name_taken(cx, index->name)) {
        if (!node->if_not_exists)
            return sq_error(cx, "42P07", -1, "relation \"%s\" already exists", index->name);
        return sq_notice(cx, "42P07",
                         sq_printf(cx, "relation \"%s\" already exists, skipping", index->name));
    }
    return sq_list_add(cx, &def.indexes, index) && sq_def_finish(cx, &def) &&
           sq_step(cx, out, sq_index_sql(cx, def.relation, index), false) &&
           sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", relation->name, def.relation);
}

/* ---- columns from a query ---- */

static bool query_columns(struct sq_cx *cx, const struct sq_query *query, sq_node *const *names,
                          size_t n_names, struct sq_def *def)
{
    if (n_names > query->column_count)
        return sq_error(cx, "42601", -1, "too many column names were specified");
    for (uint32_t i = 0; i < query->column_count; i++) {
        const struct sq_expr *expr = query->columns[i].expr;
        const char *name = i < n_names ? sq_str(names[i]) : query->columns[i].name;
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(def->columns[j].name, name) == 0)
                return sq_error(cx, "42701", -1, "column \"%s\" specified more than once", name);
        def->columns[def->column_count++] =
            (struct sy_sqcolumn){.name = sy_arena_strdup(cx->arena, name),
                                 .type = expr->type,
                                 .typmod = expr->typmod,
                                 .attnum = (int16_t)(i + 1)};
    }
    return true;
}

/* ---- views ---- */

/* SELECT * is stored as the columns that it means today. */
static bool expand_star(struct sq_cx *cx, PgQuery__SelectStmt *select, const struct sq_query *query)
{
    bool star = false;
    for (size_t i = 0; i < select->n_target_list; i++) {
        const sq_node *value = select->target_list[i]->res_target->val;
        star = star || (value->node_case == NODE(COLUMN_REF) &&
                        value->column_ref->fields[value->column_ref->n_fields - 1]->node_case ==
                            NODE(A_STAR));
    }
    if (!star)
        return true;
    if (select->n_target_list > 1)
        return true; /* mixed with others: expanded at use, by name of the view's columns */
    PgQuery__Node **targets = sq_alloc(cx, query->column_count * sizeof(*targets));
    if (targets == NULL)
        return false;
    for (uint32_t i = 0; i < query->column_count; i++) {
        const char *sql = query->columns[i].expr->sql; /* "alias"."column" */
        const char *dot = sql[0] == '"' ? strstr(sql, "\".\"") : NULL;
        const char *text = dot == NULL ? NULL : sq_printf(cx, "SELECT %s", sql);
        PgQuery__ParseResult *tree = text == NULL ? NULL : sq_parse(cx, text);
        if (tree == NULL)
            return dot == NULL; /* a merged column: left as it is */
        targets[i] = tree->stmts[0]->stmt->select_stmt->target_list[0];
        tree->stmts[0]->stmt->select_stmt->n_target_list = 0;
        tree->stmts[0]->stmt->select_stmt->target_list = NULL;
        sq_parse_free(tree);
    }
    for (size_t i = 0; i < select->n_target_list; i++)
        protobuf_c_message_free_unpacked(&select->target_list[i]->base, NULL);
    free(select->target_list);
    select->n_target_list = query->column_count;
    /* NOLINTNEXTLINE(clang-analyzer-optin.portability.UnixAPI): a view has columns */
    select->target_list = malloc(query->column_count * sizeof(PgQuery__Node *));
    if (select->target_list == NULL)
        return sq_error(cx, "53200", -1, "out of memory");
    memcpy(select->target_list, targets, query->column_count * sizeof(PgQuery__Node *));
    return true;
}

/* A copy of the tree, so that it can be edited. */
static PgQuery__ParseResult *copy_statement(struct sq_cx *cx, sq_node *node)
{
    const char *text = sq_deparse_query(cx, node);
    return text == NULL ? NULL : sq_parse(cx, text);
}

static const char *view_text(struct sq_cx *cx, sq_node *node, const struct sq_query *query)
{
    PgQuery__ParseResult *tree = copy_statement(cx, node);
    const char *text = NULL;
    if (tree != NULL && expand_star(cx, tree->stmts[0]->stmt->select_stmt, query))
        text = sq_deparse_query(cx, tree->stmts[0]->stmt);
    sq_parse_free(tree);
    return text;
}

static bool replaces_view(struct sq_cx *cx, const struct sy_sqrelation *old,
                          const struct sq_def *def)
{
    if (old->kind != 'v')
        return sq_error(cx, "42809", -1, "\"%s\" is not a view", old->name);
    if (def->column_count < old->column_count)
        return sq_error(cx, "42P16", -1, "cannot drop columns from view");
    for (uint32_t i = 0; i < old->column_count; i++) {
        if (strcmp(old->columns[i].name, def->columns[i].name) != 0)
            return sq_error(cx, "42P16", -1, "cannot change name of view column \"%s\" to \"%s\"",
                            old->columns[i].name, def->columns[i].name);
        if (old->columns[i].type != def->columns[i].type)
            return sq_error(cx, "42P16", -1,
                            "cannot change data type of view column \"%s\" from %s to %s",
                            old->columns[i].name, sq_type_display(cx, old->columns[i].type),
                            sq_type_display(cx, def->columns[i].type));
    }
    return true;
}

bool sq_create_view(struct sq_cx *cx, const PgQuery__ViewStmt *node, struct sq_out *out)
{
    struct sq_def def;
    out->t->tag = "CREATE VIEW";
    if (!sq_check_schema(cx, node->view))
        return false;
    if (node->query->node_case != NODE(SELECT_STMT))
        return sq_unsupported(cx, -1, "this view is not supported by the sqlite engine") != NULL;
    struct sq_query *query = sq_select(cx, node->query->select_stmt);
    if (query == NULL || !sq_query_settle(cx, query))
        return false;
    if (cx->param_count > 0)
        return sq_error(cx, "42P02", -1, "there is no parameter $1");
    const struct sy_sqschema *schema = cx->input->schema;
    const struct sy_sqrelation *old = schema->relation(schema->ctx, "public", node->view->relname);
    if (old != NULL && !node->replace)
        return sq_error(cx, "42P07", -1, "relation \"%s\" already exists", node->view->relname);
    if (!sq_def_init(cx, &def, NULL, query->column_count) ||
        !query_columns(cx, query, node->aliases, node->n_aliases, &def) ||
        (old != NULL && !replaces_view(cx, old, &def)))
        return false;
    def.relation->schema = "public";
    def.relation->name = sy_arena_strdup(cx->arena, node->view->relname);
    def.relation->kind = 'v';
    def.relation->oid = old == NULL ? 0 : old->oid;
    def.relation->view_sql = view_text(cx, node->query, query);
    return def.relation->view_sql != NULL && sq_def_finish(cx, &def) &&
           sq_ddl(cx, out, old == NULL ? SY_SQDDL_CREATE : SY_SQDDL_REPLACE, "public",
                  def.relation->name, def.relation);
}

/* ---- CREATE TABLE AS ---- */

bool sq_create_table_as(struct sq_cx *cx, const PgQuery__CreateTableAsStmt *node,
                        struct sq_out *out)
{
    struct sq_def def;
    out->t->tag = "SELECT";
    if (node->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE ||
        node->query->node_case != NODE(SELECT_STMT))
        return sq_unsupported(cx, -1,
                              "this form of CREATE ... AS is not supported by the sqlite engine") !=
               NULL;
    if (!sq_check_schema(cx, node->into->rel))
        return false;
    const char *name = node->into->rel->relname;
    if (sq_name_taken(cx, name)) {
        if (!node->if_not_exists)
            return sq_error(cx, "42P07", -1, "relation \"%s\" already exists", name);
        out->t->tag = "CREATE TABLE AS";
        return sq_notice(cx, "42P07",
                         sq_printf(cx, "relation \"%s\" already exists, skipping", name));
    }
    struct sq_query *query = sq_select(cx, node->query->select_stmt);
    if (query == NULL || !sq_query_settle(cx, query) ||
        !sq_def_init(cx, &def, NULL, query->column_count) ||
        !query_columns(cx, query, node->into->col_names, node->into->n_col_names, &def))
        return false;
    def.relation->schema = "public";
    def.relation->name = sy_arena_strdup(cx->arena, name);
    def.relation->kind = 'r';
    def.relation->hidden_key = true;
    if (def.relation->name == NULL || !sq_def_finish(cx, &def) ||
        !sq_step(cx, out, sq_table_sql(cx, def.relation, def.relation->name), false))
        return false;
    struct sy_buf names = {0};
    for (uint32_t i = 0; i < def.column_count; i++)
        sy_buf_printf(&names, "%s%s", i == 0 ? "" : ", ", sq_ident(cx, def.columns[i].name));
    const char *list = sq_finish(cx, &names);
    const char *text =
        list == NULL || !sq_unique_names(cx, query) ? NULL : sq_query_text(cx, query);
    out->t->tag_count = !node->into->skip_data;
    if (node->into->skip_data)
        out->t->tag = "CREATE TABLE AS";
    return text != NULL &&
           (node->into->skip_data ||
            sq_step(cx, out,
                    sq_printf(cx, "INSERT INTO %s (%s) %s", sq_ident(cx, def.relation->name), list,
                              text),
                    true)) &&
           sq_ddl(cx, out, SY_SQDDL_CREATE, "public", def.relation->name, def.relation);
}

/* ---- sequences ---- */

static bool option_number(struct sq_cx *cx, const PgQuery__DefElem *option, int64_t *ret_value)
{
    const sq_node *arg = option->arg;
    if (arg != NULL && arg->node_case == NODE(INTEGER)) {
        *ret_value = arg->integer->ival;
        return true;
    }
    if (arg != NULL && arg->node_case == NODE(FLOAT)) {
        char *end = NULL;
        *ret_value = strtoll(arg->float_->fval, &end, 10);
        return *end == '\0' ||
               sq_error(cx, "22023", option->location, "invalid value for sequence option");
    }
    return sq_error(cx, "22023", option->location, "invalid value for sequence option \"%s\"",
                    option->defname);
}

static void sequence_bounds(struct sy_sqsequence *s)
{
    int64_t high = s->type == SY_T_INT2 ? INT16_MAX : s->type == SY_T_INT4 ? INT32_MAX : INT64_MAX;
    int64_t low = s->type == SY_T_INT2 ? INT16_MIN : s->type == SY_T_INT4 ? INT32_MIN : INT64_MIN;
    s->minimum = s->increment > 0 ? 1 : low;
    s->maximum = s->increment > 0 ? high : -1;
}

/* Value of the boolean-like options: NO MINVALUE has no argument. */
static bool sequence_option(struct sq_cx *cx, struct sy_sqsequence *s,
                            const PgQuery__DefElem *option, bool *seen_start, bool *ret_restart)
{
    const char *name = option->defname;
    if (strcmp(name, "start") == 0) {
        *seen_start = true;
        return option_number(cx, option, &s->start);
    }
    if (strcmp(name, "restart") == 0) {
        *ret_restart = true;
        return option->arg == NULL || option_number(cx, option, &s->start);
    }
    if (strcmp(name, "increment") == 0 || strcmp(name, "as") == 0)
        return true; /* read first, by the caller */
    if (strcmp(name, "minvalue") == 0)
        return option->arg == NULL || option_number(cx, option, &s->minimum);
    if (strcmp(name, "maxvalue") == 0)
        return option->arg == NULL || option_number(cx, option, &s->maximum);
    if (strcmp(name, "cache") == 0)
        return option_number(cx, option, &s->cache);
    if (strcmp(name, "cycle") == 0) {
        s->cycle = option->arg == NULL || option->arg->node_case != NODE(BOOLEAN) ||
                   option->arg->boolean->boolval;
        return true;
    }
    if (strcmp(name, "owned_by") == 0 && option->arg != NULL &&
        option->arg->node_case == NODE(LIST)) {
        const PgQuery__List *list = option->arg->list;
        s->owner_table = s->owner_column = NULL;
        if (list->n_items >= 2) {
            s->owner_table = sy_arena_strdup(cx->arena, sq_str(list->items[list->n_items - 2]));
            s->owner_column = sy_arena_strdup(cx->arena, sq_str(list->items[list->n_items - 1]));
        }
        return true;
    }
    if (strcmp(name, "sequence_name") == 0)
        return true;
    return sq_unsupported(cx, option->location, "sequence option \"%s\" is not supported", name) !=
           NULL;
}

struct sy_sqsequence *sq_sequence_options(struct sq_cx *cx, const struct sy_sqsequence *from,
                                          sq_node *const *options, size_t count, uint32_t type,
                                          bool *ret_restart)
{
    struct sy_sqsequence *s = sq_alloc(cx, sizeof(*s));
    if (s == NULL)
        return NULL;
    bool seen_start = from != NULL;
    if (from != NULL)
        *s = *from;
    else
        *s = (struct sy_sqsequence){.type = type, .increment = 1, .cache = 1};
    int32_t typmod = -1;
    for (size_t i = 0; i < count; i++) {
        const PgQuery__DefElem *option = options[i]->def_elem;
        if (strcmp(option->defname, "as") == 0 &&
            !sq_type_name(cx, option->arg->type_name, &s->type, &typmod))
            return NULL;
        if (strcmp(option->defname, "increment") == 0 && !option_number(cx, option, &s->increment))
            return NULL;
    }
    if (s->increment == 0)
        return sq_error_null(cx, "22023", -1, "INCREMENT must not be zero");
    if (from == NULL)
        sequence_bounds(s);
    for (size_t i = 0; i < count; i++)
        if (!sequence_option(cx, s, options[i]->def_elem, &seen_start, ret_restart))
            return NULL;
    if (!seen_start)
        s->start = s->increment > 0 ? s->minimum : s->maximum;
    if (s->minimum >= s->maximum)
        return sq_error_null(cx, "22023", -1, "MINVALUE (%lld) must be less than MAXVALUE (%lld)",
                             (long long)s->minimum, (long long)s->maximum);
    if (s->start < s->minimum)
        return sq_error_null(cx, "22023", -1,
                             "START value (%lld) cannot be less than MINVALUE (%lld)",
                             (long long)s->start, (long long)s->minimum);
    if (s->start > s->maximum)
        return sq_error_null(cx, "22023", -1,
                             "START value (%lld) cannot be greater than MAXVALUE (%lld)",
                             (long long)s->start, (long long)s->maximum);
    return s;
}

bool sq_create_sequence(struct sq_cx *cx, const PgQuery__CreateSeqStmt *node, struct sq_out *out)
{
    out->t->tag = "CREATE SEQUENCE";
    if (!sq_check_schema(cx, node->sequence))
        return false;
    if (sq_name_taken(cx, node->sequence->relname)) {
        if (!node->if_not_exists)
            return sq_error(cx, "42P07", -1, "relation \"%s\" already exists",
                            node->sequence->relname);
        return sq_notice(
            cx, "42P07",
            sq_printf(cx, "relation \"%s\" already exists, skipping", node->sequence->relname));
    }
    bool restart = false;
    struct sy_sqrelation *relation = sq_alloc(cx, sizeof(*relation));
    struct sy_sqsequence *sequence =
        sq_sequence_options(cx, NULL, node->options, node->n_options, SY_T_INT8, &restart);
    if (relation == NULL || sequence == NULL)
        return false;
    *relation = (struct sy_sqrelation){.schema = "public",
                                       .name = sy_arena_strdup(cx->arena, node->sequence->relname),
                                       .kind = 'S',
                                       .sequence = sequence};
    return relation->name != NULL &&
           sq_ddl(cx, out, SY_SQDDL_CREATE, "public", relation->name, relation);
}

bool sq_alter_sequence(struct sq_cx *cx, const PgQuery__AlterSeqStmt *node, struct sq_out *out)
{
    out->t->tag = "ALTER SEQUENCE";
    const struct sy_sqrelation *old = sq_find_relation(cx, node->sequence, node->missing_ok);
    if (old == NULL)
        return node->missing_ok &&
               sq_notice(cx, "00000",
                         sq_printf(cx, "relation \"%s\" does not exist, skipping",
                                   node->sequence->relname));
    if (old->kind != 'S')
        return sq_error(cx, "42809", -1, "\"%s\" is not a sequence", old->name);
    bool restart = false;
    struct sy_sqrelation *relation = sq_alloc(cx, sizeof(*relation));
    struct sy_sqsequence *sequence = sq_sequence_options(
        cx, old->sequence, node->options, node->n_options, old->sequence->type, &restart);
    if (relation == NULL || sequence == NULL)
        return false;
    *relation = *old;
    relation->sequence = sequence;
    if (restart && !sq_list_add(cx, &out->restarts, sy_arena_strdup(cx->arena, old->name)))
        return false;
    return sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", old->name, relation);
}

/* ---- COMMENT ---- */

bool sq_comment(struct sq_cx *cx, const PgQuery__CommentStmt *node, struct sq_out *out)
{
    out->t->tag = "COMMENT";
    bool column = node->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN;
    if (node->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE &&
        node->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_VIEW && !column)
        return sq_unsupported(
                   cx, -1,
                   "COMMENT on this kind of object is not supported by the sqlite engine") != NULL;
    if (node->object->node_case != NODE(LIST) || node->object->list->n_items < (column ? 2U : 1U))
        return sq_unsupported(cx, -1, "this COMMENT is not supported") != NULL;
    const PgQuery__List *list = node->object->list;
    size_t at = list->n_items - (column ? 2 : 1);
    const char *name = sq_str(list->items[at]);
    const struct sy_sqschema *schema = cx->input->schema;
    const struct sy_sqrelation *old =
        schema->relation(schema->ctx, at > 0 ? sq_str(list->items[at - 1]) : NULL, name);
    struct sq_def def;
    if (old == NULL)
        return sq_error(cx, "42P01", -1, "relation \"%s\" does not exist", name);
    if (!sq_def_init(cx, &def, old, 0))
        return false;
    const char *text = node->comment == NULL || node->comment[0] == '\0'
                           ? NULL
                           : sy_arena_strdup(cx->arena, node->comment);
    if (column) {
        int index = sq_column_index(old, sq_str(list->items[at + 1]));
        if (index < 0)
            return sq_error(cx, "42703", -1, "column \"%s\" of relation \"%s\" does not exist",
                            sq_str(list->items[at + 1]), name);
        def.columns[index].comment = text;
    } else {
        def.relation->comment = text;
    }
    return sq_def_finish(cx, &def) &&
           sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", old->name, def.relation);
}
