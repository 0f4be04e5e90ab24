/* Function calls: plain, aggregate, window; and the keyword functions (CURRENT_TIMESTAMP ...). */
#include "router/engine/sqlite/translate_internal.h"
#include <stdio.h>

#define NODE(name) PG_QUERY__NODE__NODE_##name

static const struct sq_proc *find_by_name(const char *name)
{
    for (uint32_t i = 0; i < sq_proc_count; i++)
        if (strcmp(sq_procs[i].name, name) == 0)
            return &sq_procs[i];
    return NULL;
}

/* "sum:23", else "sum". */
static const char *aggregate_template(struct sq_cx *cx, const struct sq_proc *proc)
{
    const char *key =
        sq_printf(cx, "%s:%u", proc->key, proc->nargs == 0 ? 0U : (unsigned int)proc->args[0]);
    const char *text = key == NULL ? NULL : sq_template_find(key);
    return text != NULL ? text : sq_template_find(proc->key);
}

/* One letter per sort key (see functions_aggregate.c) and the keys' texts, for aggregates that
 * collect. */
static const char *aggregate_order(struct sq_cx *cx, const PgQuery__FuncCall *node,
                                   struct sq_expr **args, uint32_t count)
{
    struct sy_buf spec = {0}, keys = {0};
    bool ok = true;
    if (node->agg_distinct)
        sy_buf_append_str(&spec, "D");
    for (size_t i = 0; i < node->n_agg_order && ok; i++) {
        const PgQuery__SortBy *sort = node->agg_order[i]->sort_by;
        struct sq_expr *key = sq_settle(cx, sq_expr(cx, sort->node));
        ok = key != NULL;
        bool desc = sort->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        bool first = sort->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                     (desc && sort->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
        if (ok) {
            sy_buf_printf(&spec, "%c%c%u;", desc ? 'd' : 'a', first ? 'f' : 'l', key->type);
            sy_buf_printf(&keys, "%s, ", key->sql);
        }
    }
    for (uint32_t i = 0; i < count && node->agg_distinct && node->n_agg_order == 0; i++) {
        /* DISTINCT sorts what it compares */
        sy_buf_printf(&spec, "al%u;", args[i]->type);
        sy_buf_printf(&keys, "%s, ", args[i]->sql);
    }
    const char *s = sq_finish(cx, &spec), *k = sq_finish(cx, &keys);
    return !ok || s == NULL || k == NULL ? NULL : sq_printf(cx, "'%s', %.*s", s, (int)strlen(k), k);
}

/* Puts the order in place of "$O, " (its text ends with ", "). */
static const char *with_order(struct sq_cx *cx, const char *template_, const char *order)
{
    const char *at = strstr(template_, "$O, ");
    return sq_printf(cx, "%.*s%s%s", (int)(at - template_), template_, order, at + 4);
}

static const char *call_text(struct sq_cx *cx, const struct sq_proc *proc,
                             const PgQuery__FuncCall *node, struct sq_expr **args, uint32_t count,
                             uint32_t result)
{
    if (proc->kind != 'a') {
        const char *template_ = sq_template_find(proc->key);
        return template_ == NULL
                   ? sq_unsupported(cx, node->location,
                                    "function %s is not supported by the sqlite engine", proc->name)
                   : sq_expand(cx, template_, args, count, result);
    }
    if (node->agg_star)
        return "count(*)";
    const char *template_ = aggregate_template(cx, proc);
    if (template_ == NULL)
        return sq_unsupported(cx, node->location,
                              "aggregate %s is not supported by the sqlite engine", proc->name);
    if (strstr(template_, "$O, ") != NULL) {
        if (node->over != NULL)
            return sq_unsupported(cx, node->location, "%s as a window function is not supported",
                                  proc->name);
        const char *order = aggregate_order(cx, node, args, count);
        template_ = order == NULL ? NULL : with_order(cx, template_, order);
        return template_ == NULL ? NULL : sq_expand(cx, template_, args, count, result);
    }
    const char *sql = sq_expand(cx, template_, args, count, result);
    if (sql == NULL || !node->agg_distinct)
        return sql;
    const char *paren = strchr(sql, '(');
    return sq_printf(cx, "%.*sDISTINCT %s", (int)(paren - sql) + 1, sql, paren + 1);
}

static bool check_place(struct sq_cx *cx, const struct sq_proc *proc, const PgQuery__FuncCall *node)
{
    struct sq_level *level = cx->level;
    if (proc->kind == 'w' && node->over == NULL)
        return sq_error(cx, "42809", node->location, "window function %s requires an OVER clause",
                        proc->name);
    if (proc->kind == 'f' && node->over != NULL)
        return sq_error(cx, "42809", node->location,
                        "OVER specified, but %s is not a window function nor an aggregate function",
                        proc->name);
    if (proc->kind == 'f' &&
        (node->agg_distinct || node->n_agg_order > 0 || node->agg_filter != NULL))
        return sq_error(cx, "42809", node->location,
                        "%s specified, but %s is not an aggregate function",
                        node->agg_distinct      ? "DISTINCT"
                        : node->n_agg_order > 0 ? "ORDER BY"
                                                : "FILTER",
                        proc->name);
    if (proc->kind == 'f' || level == NULL)
        return true;
    if (node->over != NULL) {
        if (level->clause != NULL || level->no_windows)
            return sq_error(cx, "42P20", node->location, "window functions are not allowed in %s",
                            level->clause == NULL ? "this context" : level->clause);
        if (node->agg_distinct)
            return sq_unsupported(cx, node->location,
                                  "DISTINCT is not implemented for window functions") != NULL;
        return true;
    }
    if (level->clause != NULL)
        return sq_error(cx, "42803", node->location, "aggregate functions are not allowed in %s",
                        level->clause);
    if (level->in_aggregate)
        return sq_error(cx, "42803", node->location, "aggregate function calls cannot be nested");
    return true;
}

static const char *window_text(struct sq_cx *cx, const PgQuery__WindowDef *over)
{
    if (over->name != NULL && over->name[0] != '\0') {
        for (uint32_t i = 0; i < cx->level->windows.count; i++) {
            const struct sq_window *window = cx->level->windows.items[i];
            if (strcmp(window->name, over->name) == 0)
                return sq_window_spec(cx, window->def);
        }
        return sq_error_null(cx, "42704", over->location, "window \"%s\" does not exist",
                             over->name);
    }
    return sq_window_spec(cx, over);
}

/* FILTER and OVER after the call. Wrapped calls (f(agg(x))) cannot carry them. */
static const char *decorate(struct sq_cx *cx, const PgQuery__FuncCall *node, const char *sql,
                            const char *name)
{
    if (node->agg_filter == NULL && node->over == NULL)
        return sql;
    if (strncmp(sql, "sy_tofloat4(", 12) == 0)
        return sq_unsupported(cx, node->location,
                              "FILTER and OVER on this form of %s are not supported", name);
    if (node->agg_filter != NULL) {
        struct sq_expr *filter = sq_expr_bool(cx, node->agg_filter, "FILTER");
        sql = filter == NULL ? NULL : sq_printf(cx, "%s FILTER (WHERE %s)", sql, filter->sql);
    }
    if (sql != NULL && node->over != NULL) {
        const char *spec = window_text(cx, node->over);
        sql = spec == NULL ? NULL : sq_printf(cx, "%s OVER (%s)", sql, spec);
    }
    return sql;
}

static bool collect_args(struct sq_cx *cx, const PgQuery__FuncCall *node, struct sq_expr **args,
                         uint32_t *ret_count)
{
    if (node->n_args > SQ_ARGS_MAX)
        return sq_error(cx, "54023", node->location,
                        "cannot pass more than 100 arguments to a function");
    if (node->func_variadic || node->agg_within_group)
        return sq_unsupported(cx, node->location, "%s is not supported by the sqlite engine",
                              node->func_variadic ? "VARIADIC" : "WITHIN GROUP") != NULL;
    for (uint32_t i = 0; i < node->n_args; i++) {
        const sq_node *arg = node->args[i];
        if (arg->node_case == NODE(NAMED_ARG_EXPR))
            return sq_unsupported(cx, node->location,
                                  "named arguments are not supported by the sqlite engine") != NULL;
        if ((args[i] = sq_expr(cx, arg)) == NULL)
            return false;
    }
    *ret_count = (uint32_t)node->n_args;
    return true;
}

/* make_interval(days => 1): positions are known. */
static struct sq_expr *named_interval(struct sq_cx *cx, const PgQuery__FuncCall *node)
{
    static const char *const names[] = {"years", "months", "weeks", "days",
                                        "hours", "mins",   "secs"};
    struct sq_expr *values[7] = {NULL};
    for (size_t i = 0; i < node->n_args; i++) {
        size_t at = i;
        const sq_node *arg = node->args[i];
        if (arg->node_case == NODE(NAMED_ARG_EXPR)) {
            for (at = 0; at < 7 && strcmp(names[at], arg->named_arg_expr->name) != 0; at++)
                continue;
            arg = arg->named_arg_expr->arg;
        }
        if (at >= 7)
            return sq_error_null(cx, "42883", node->location,
                                 "function make_interval does not have such an argument");
        values[at] = sq_coerce(cx, sq_expr(cx, arg), at == 6 ? SY_T_FLOAT8 : SY_T_INT4, -1, 'i',
                               node->location);
        if (values[at] == NULL)
            return NULL;
    }
    struct sy_buf buf = {0};
    for (size_t i = 0; i < 7; i++)
        sy_buf_printf(&buf, "%s%s", i == 0 ? "sy_make_interval(" : ", ",
                      values[i] == NULL ? "0" : values[i]->sql);
    sy_buf_append_str(&buf, ")");
    return sq_new(cx, SY_T_INTERVAL, node->location, sq_finish(cx, &buf));
}

/* A type's name used as a function on a literal: date('2020-01-01'). */
static struct sq_expr *type_call(struct sq_cx *cx, const char *name, struct sq_expr **args,
                                 uint32_t count, int32_t location)
{
    const struct sy_type_info *info = count == 1 ? sy_type_find_name(name) : NULL;
    if (info == NULL || info->category == 'P' || args[0]->type != SY_T_UNKNOWN)
        return NULL;
    return sq_coerce(cx, args[0], info->oid, -1, 'e', location);
}

/* A row as an aggregate's argument is its text; that text tells rows apart only where 1.0 and 1.00
 * are not the same. */
static bool settle_rows(struct sq_cx *cx, const struct sq_proc *proc, const PgQuery__FuncCall *node,
                        struct sq_expr **args, uint32_t count)
{
    for (uint32_t i = 0; i < count && proc->kind == 'a'; i++) {
        if (args[i]->kind != SQ_RECORD || strncmp(proc->name, "json", 4) == 0)
            continue;
        if (strcmp(proc->name, "count") != 0 || node->agg_distinct)
            return sq_unsupported(cx, node->location,
                                  "%s of rows is not supported by the sqlite engine",
                                  proc->name) != NULL;
        if ((args[i] = sq_settle(cx, args[i])) == NULL)
            return false;
    }
    return true;
}

static struct sq_expr *finish_call(struct sq_cx *cx, const struct sq_proc *proc,
                                   const PgQuery__FuncCall *node, struct sq_expr **args,
                                   uint32_t count, uint32_t result)
{
    const char *sql = settle_rows(cx, proc, node, args, count)
                          ? call_text(cx, proc, node, args, count, result)
                          : NULL;
    if (sql == NULL)
        return NULL;
    if (strcmp(proc->key, "nextval_oid") == 0 || strncmp(proc->key, "setval", 6) == 0) {
        cx->calls_sequences = true;
        cx->writes = true;
    }
    if (cx->in_index && proc->volatility != 'i')
        return sq_error_null(cx, "42P17", node->location,
                             "functions in index expression must be marked IMMUTABLE");
    sql = decorate(cx, node, sql, proc->name);
    struct sq_expr *out = sq_new(cx, result, node->location, sql);
    if (out != NULL && strcmp(proc->key, "pg_typeof") == 0)
        out->type = SY_T_REGTYPE;
    if (out != NULL && proc->kind == 'a' && strcmp(proc->name, "count") == 0)
        out->not_null = true;
    return out;
}

/* What a set-returning function of the SELECT list gives: its column, or a record of them. */
static struct sq_expr *set_result(struct sq_cx *cx, int32_t location, struct sq_field *columns,
                                  uint32_t count)
{
    if (count == 1)
        return columns[0].expr;
    struct sq_expr *record = sq_new(cx, SY_T_RECORD, location, "NULL");
    if (record != NULL) {
        record->kind = SQ_RECORD;
        record->fields = columns;
        record->field_count = count;
    }
    return record;
}

/* generate_subscripts(a, 1) beside unnest(a): the ordinality of the same scan. */
static struct sq_expr *subscripts_of(struct sq_cx *cx, const PgQuery__FuncCall *node,
                                     const char *first, const char *alias)
{
    static const char prefix[] = "sy_unnest(";
    struct sq_expr *array = node->n_args == 2 ? sq_expr(cx, node->args[0]) : NULL;
    struct sq_expr *dimension = array == NULL ? NULL : sq_expr(cx, node->args[1]);
    if (dimension == NULL || strcmp(dimension->sql, "1") != 0 ||
        strncmp(first, prefix, sizeof(prefix) - 1) != 0)
        return NULL;
    const char *rest = first + sizeof(prefix) - 1;
    size_t bytes = strlen(array->sql);
    if (strncmp(rest, array->sql, bytes) != 0 || strncmp(rest + bytes, ", ", 2) != 0)
        return NULL;
    bool vector = array->type == SY_T_INT2VECTOR || array->type == SY_T_OIDVECTOR;
    return sq_new(cx, SY_T_INT4, node->location,
                  sq_printf(cx, "(%s.\"ordinality\" - %d)", sq_ident(cx, alias), vector ? 1 : 0));
}

/* A second one is understood when it walks along the first: the same call, or the subscripts of the
 * same array. */
static struct sq_expr *second_set_call(struct sq_cx *cx, const PgQuery__FuncCall *node,
                                       const char *name)
{
    const char *first = cx->level->extra_from.items[0], *as = strrchr(first, ' ');
    char alias[32];
    (void)snprintf(alias, sizeof(alias), "%.*s", (int)strcspn(as + 2, "\""), as + 2);
    struct sq_field *columns = NULL;
    uint32_t count = 0;
    if (strcmp(name, "generate_subscripts") == 0) {
        struct sq_expr *subscripts = subscripts_of(cx, node, first, alias);
        if (subscripts != NULL)
            return subscripts;
    }
    const char *text = sq_from_function(cx, node, alias, false, &columns, &count);
    if (text == NULL)
        return NULL;
    if (strcmp(text, first) != 0)
        return sq_unsupported(cx, node->location,
                              "several set-returning functions in one SELECT list are not "
                              "supported by the sqlite engine");
    return set_result(cx, node->location, columns, count);
}

static struct sq_expr *set_call(struct sq_cx *cx, const PgQuery__FuncCall *node, const char *name)
{
    if (!cx->level->srf_allowed)
        return sq_error_null(cx, "0A000", node->location,
                             "set-returning functions are not allowed in this context");
    if (cx->level->extra_from.count > 0)
        return second_set_call(cx, node, name);
    const char *alias = sq_printf(cx, "sy_f%u", cx->next_alias++);
    struct sq_field *columns = NULL;
    uint32_t count = 0;
    const char *text =
        alias == NULL ? NULL : sq_from_function(cx, node, alias, false, &columns, &count);
    if (text == NULL || !sq_list_add(cx, &cx->level->extra_from, sy_arena_strdup(cx->arena, text)))
        return NULL;
    return set_result(cx, node->location, columns, count);
}

static struct sq_expr *call(struct sq_cx *cx, const PgQuery__FuncCall *node, const char *name)
{
    struct sq_expr *args[SQ_ARGS_MAX];
    uint32_t count = 0;
    const struct sq_proc *first = find_by_name(name);
    bool aggregate = first != NULL && first->kind == 'a' && node->over == NULL && cx->level != NULL;
    if (first != NULL && first->returns_set && cx->level != NULL)
        return set_call(cx, node, name);
    uint32_t loose = cx->level == NULL ? 0 : cx->level->loose.count;
    if (aggregate) {
        if (!check_place(cx, first, node))
            return NULL;
        cx->level->in_aggregate = true;
    }
    bool ok = collect_args(cx, node, args, &count);
    struct sq_expr *typed = NULL;
    if (ok && count == 1 && strcmp(name, "pg_typeof") == 0 && args[0]->type == SY_T_UNKNOWN &&
        args[0]->kind == SQ_LITERAL)
        return sq_new(cx, SY_T_REGTYPE, node->location, "705");
    if (ok && (first == NULL || !first->returns_set))
        typed = type_call(cx, name, args, count, node->location);
    uint32_t result = 0;
    const struct sq_proc *proc = NULL;
    if (ok && typed == NULL) {
        proc = sq_resolve_proc(cx, name, args, &count, node->location, &result, node->agg_star);
        ok = proc != NULL && (aggregate || check_place(cx, proc, node));
    }
    struct sq_expr *out = typed;
    if (ok && proc != NULL)
        out = finish_call(cx, proc, node, args, count, result);
    if (aggregate) {
        cx->level->in_aggregate = false;
        cx->level->has_aggregate = true;
        cx->level->loose.count = loose;
    }
    return ok ? out : NULL;
}

struct sq_expr *sq_expr_func(struct sq_cx *cx, const PgQuery__FuncCall *node)
{
    const char *name = node->n_funcname == 0 ? NULL : sq_str(node->funcname[node->n_funcname - 1]);
    const char *schema = node->n_funcname > 1 ? sq_str(node->funcname[node->n_funcname - 2]) : NULL;
    if (name == NULL)
        return sq_unsupported(cx, node->location, "this function call is not supported");
    if (schema != NULL && strcmp(schema, "information_schema") == 0 &&
        strcmp(name, "_pg_expandarray") == 0 && cx->level != NULL)
        return set_call(cx, node, name);
    if (schema != NULL && strcmp(schema, "pg_catalog") != 0)
        return sq_error_null(cx, "42883", node->location, "function %s.%s does not exist", schema,
                             name);
    if (strcmp(name, "make_interval") == 0)
        return named_interval(cx, node);
    return call(cx, node, name);
}

/* ---- keyword functions ---- */

struct sq_expr *sq_expr_sqlvalue(struct sq_cx *cx, const PgQuery__SQLValueFunction *node)
{
    static const struct {
        uint32_t type;
        const char *sql;
    } functions[] = {
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE] = {SY_T_DATE,
                                                                "sy_tstz_date(sy_now())"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME] = {SY_T_TIMETZ,
                                                                "sy_tstz_timetz(sy_now())"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N] = {SY_T_TIMETZ,
                                                                  "sy_tstz_timetz(sy_now())"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP] = {SY_T_TIMESTAMPTZ, "sy_now()"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N] = {SY_T_TIMESTAMPTZ,
                                                                       "sy_now()"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME] = {SY_T_TIME,
                                                             "sy_ts_time(sy_tstz_ts(sy_now()))"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N] = {SY_T_TIME,
                                                               "sy_ts_time(sy_tstz_ts(sy_now()))"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP] = {SY_T_TIMESTAMP,
                                                                  "sy_tstz_ts(sy_now())"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N] = {SY_T_TIMESTAMP,
                                                                    "sy_tstz_ts(sy_now())"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE] = {SY_T_NAME, "sy_current_user()"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER] = {SY_T_NAME, "sy_current_user()"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER] = {SY_T_NAME, "sy_current_user()"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER] = {SY_T_NAME, "sy_session_user()"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG] = {SY_T_NAME,
                                                                   "sy_current_database()"},
        [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA] = {SY_T_NAME, "sy_current_schema()"},
    };
    unsigned int which = (unsigned int)node->op;
    if (which == 0 || which >= sizeof(functions) / sizeof(functions[0]))
        return sq_unsupported(cx, node->location, "this function is not supported");
    if (cx->in_index)
        return sq_error_null(cx, "42P17", node->location,
                             "functions in index expression must be marked IMMUTABLE");
    struct sq_expr *out = sq_new(cx, functions[which].type, node->location, functions[which].sql);
    if (out == NULL)
        return NULL;
    out->not_null = true;
    return node->typmod >= 0 ? sq_coerce(cx, out, out->type, node->typmod, 'e', node->location)
                             : out;
}
