/*
 * Definitions as PostgreSQL prints them to a session whose search_path does not have "public":
 * every name of a relation with its schema. pg_dump asks this way, and what it writes is read under
 * such a path.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/pgcatalog.h"
#include "router/engine/sqlite/settings.h"
#include "router/engine/sqlite/translate_internal.h"

enum { DEPTH_MAX = 500 };
enum visit { VISIT_WITH_NAMES, VISIT_QUALIFY, VISIT_COLLECT };

struct walk {
    const struct sy_sqlite_catalog *catalog;
    struct sq_list with_names; /* of WITH queries: they hide relations */
    struct sq_list relations;  /* collected: const struct sy_sqrelation * */
    struct sq_cx *cx;
    bool failed;
};

bool sy_sqlite_public_is_searched(struct sy_sqlite_session *session)
{
    const char *path = sy_sqlite_settings_get(session, SY_SLICE("search_path"));
    static const char name[] = "public";
    for (const char *at = path; at != NULL && (at = strstr(at, name)) != NULL; at++) {
        char before = at == path ? ',' : at[-1], after = at[sizeof(name) - 1];
        if (strchr(", \"", before) != NULL && strchr(", \"", after) != NULL) /* the end counts */
            return true;
    }
    return false;
}

/* ---- what a message of the tree is ---- */

static void set_string(char **text, char *fresh, struct walk *w)
{
    if (fresh == NULL) {
        w->failed = true;
        return;
    }
    if (*text != NULL && *text != (const char *)protobuf_c_empty_string)
        free(*text);
    *text = fresh;
}

static const struct sy_sqrelation *relation_of(const struct walk *w, const PgQuery__RangeVar *range)
{
    const char *schema =
        range->schemaname != NULL && range->schemaname[0] != '\0' ? range->schemaname : NULL;
    for (uint32_t i = 0; schema == NULL && i < w->with_names.count; i++)
        if (strcmp(w->with_names.items[i], range->relname) == 0)
            return NULL;
    return sy_sqlite_catalog_find(w->catalog, schema, range->relname);
}

static void visit_range(struct walk *w, PgQuery__RangeVar *range, enum visit what)
{
    union {
        const struct sy_sqrelation *in;
        void *out;
    } r = {.in = relation_of(w, range)};
    if (r.in == NULL || strcmp(r.in->schema, "public") != 0)
        return;
    if (what == VISIT_COLLECT)
        w->failed = !sq_list_add(w->cx, &w->relations, r.out) || w->failed;
    else if (range->schemaname == NULL || range->schemaname[0] == '\0')
        set_string(&range->schemaname, strdup("public"), w);
}

/* 'name'::regclass, and what nextval() is called with. */
static void qualify_constant(struct walk *w, PgQuery__Node *node)
{
    if (node == NULL || node->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        node->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL)
        return;
    PgQuery__String *string = node->a_const->sval;
    bool quoted = false, plain = true;
    for (const char *c = string->sval; *c != '\0'; c++) {
        quoted = quoted != (*c == '"');
        plain = plain && (quoted || *c != '.');
    }
    char *with = NULL;
    if (plain && asprintf(&with, "public.%s", string->sval) < 0)
        with = NULL;
    if (plain)
        set_string(&string->sval, with, w);
}

static bool last_name_is(PgQuery__Node *const *names, size_t count, const char *wanted)
{
    const char *name = count == 0 ? NULL : sq_str(names[count - 1]);
    return name != NULL && strcmp(name, wanted) == 0;
}

static void visit(struct walk *w, ProtobufCMessage *message, enum visit what)
{
    union {
        ProtobufCMessage *message;
        PgQuery__CommonTableExpr *with;
        PgQuery__RangeVar *range;
        PgQuery__TypeCast *cast;
        PgQuery__FuncCall *call;
    } as = {.message = message};
    const ProtobufCMessageDescriptor *type = message->descriptor;
    if (what == VISIT_WITH_NAMES) {
        if (type == &pg_query__common_table_expr__descriptor)
            w->failed = !sq_list_add(w->cx, &w->with_names, as.with->ctename) || w->failed;
        return;
    }
    if (type == &pg_query__range_var__descriptor)
        visit_range(w, as.range, what);
    else if (what == VISIT_COLLECT)
        return;
    else if (type == &pg_query__type_cast__descriptor &&
             last_name_is(as.cast->type_name->names, as.cast->type_name->n_names, "regclass"))
        qualify_constant(w, as.cast->arg);
    else if (type == &pg_query__func_call__descriptor && as.call->n_args > 0 &&
             last_name_is(as.call->funcname, as.call->n_funcname, "nextval"))
        qualify_constant(w, as.call->args[0]);
}

static void walk(struct walk *w, ProtobufCMessage *message, enum visit what, int depth)
{
    if (depth > DEPTH_MAX) {
        w->failed = true;
        return;
    }
    visit(w, message, what);
    for (unsigned int i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        const char *base = (const char *)message;
        ProtobufCMessage **items = NULL, *child = NULL;
        size_t count = 1;
        uint32_t which = field->id;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            memcpy(&count, base + field->quantifier_offset, sizeof(count));
            memcpy(&items, base + field->offset, sizeof(items));
        } else {
            if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
                memcpy(&which, base + field->quantifier_offset, sizeof(which));
            memcpy(&child, base + field->offset, sizeof(child));
            items = &child;
            count = which == field->id && child != NULL;
        }
        for (size_t k = 0; k < count; k++)
            walk(w, items[k], what, depth + 1);
    }
}

/* ---- texts ---- */

/* False: as it is. */
static bool qualified(struct sy_sqlite_session *s, const char *prefix, const char *text,
                      struct sy_buf *out)
{
    struct sy_arena arena = {0};
    struct sy_err err = {0};
    struct sq_cx cx = {.arena = &arena, .err = &err};
    struct walk w = {.catalog = s->catalog, .cx = &cx};
    const char *query = sy_arena_printf(&arena, "%s%s", prefix, text), *print = NULL;
    PgQuery__ParseResult *tree = query == NULL ? NULL : sq_parse(&cx, query);
    if (tree != NULL && tree->n_stmts == 1) {
        walk(&w, &tree->stmts[0]->stmt->base, VISIT_WITH_NAMES, 0);
        walk(&w, &tree->stmts[0]->stmt->base, VISIT_QUALIFY, 0);
        print = w.failed ? NULL : sq_deparse_query(&cx, tree->stmts[0]->stmt);
    }
    bool ok = print != NULL && strncmp(print, prefix, strlen(prefix)) == 0;
    if (ok)
        sy_buf_append_str(out, print + strlen(prefix));
    sq_parse_free(tree);
    sy_arena_release(&arena);
    return ok;
}

void sy_sqlite_put_query(struct sy_sqlite_session *session, const char *text, struct sy_buf *out)
{
    if (sy_sqlite_public_is_searched(session) || !qualified(session, "", text, out))
        sy_buf_append_str(out, text);
}

void sy_sqlite_put_expression(struct sy_sqlite_session *session, const char *text,
                              struct sy_buf *out)
{
    if (sy_sqlite_public_is_searched(session) || !qualified(session, "SELECT ", text, out))
        sy_buf_append_str(out, text);
}

void sy_sqlite_query_relations(const struct sy_sqlite_catalog *catalog, const char *text,
                               void (*each)(void *ctx, const struct sy_sqrelation *relation),
                               void *ctx)
{
    struct sy_arena arena = {0};
    struct sy_err err = {0};
    struct sq_cx cx = {.arena = &arena, .err = &err};
    struct walk w = {.catalog = catalog, .cx = &cx};
    PgQuery__ParseResult *tree = sq_parse(&cx, text);
    if (tree != NULL && tree->n_stmts == 1) {
        walk(&w, &tree->stmts[0]->stmt->base, VISIT_WITH_NAMES, 0);
        walk(&w, &tree->stmts[0]->stmt->base, VISIT_COLLECT, 0);
    }
    for (uint32_t i = 0; i < w.relations.count; i++)
        each(ctx, w.relations.items[i]);
    sq_parse_free(tree);
    sy_arena_release(&arena);
}
