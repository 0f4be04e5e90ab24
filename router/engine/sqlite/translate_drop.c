/* DROP TABLE, VIEW, INDEX, SEQUENCE with what depends on them. */
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

struct drop {
    const PgQuery__DropStmt *node;
    struct sq_list names; /* char *: relations that go */
    bool cascade;
};

static bool goes(const struct drop *d, const char *name)
{
    for (uint32_t i = 0; i < d->names.count; i++)
        if (strcmp(d->names.items[i], name) == 0)
            return true;
    return false;
}

/* Does the view's query read the relation? */
static bool view_reads(struct sq_cx *cx, const struct sy_sqrelation *view, const char *name)
{
    struct sq_cx inner = *cx;
    struct sy_err ignored;
    memset(&ignored, 0, sizeof(ignored));
    inner.err = &ignored;
    inner.relations = (struct sq_list){0};
    inner.level = NULL;
    inner.view_depth = 1;
    PgQuery__ParseResult *tree = sq_parse(&inner, view->view_sql);
    if (tree != NULL)
        (void)sq_select(&inner, tree->stmts[0]->stmt->select_stmt);
    sq_parse_free(tree);
    for (uint32_t i = 0; i < inner.relations.count; i++)
        if (strcmp(inner.relations.items[i], name) == 0)
            return true;
    return false;
}

static bool refuse(struct sq_cx *cx, const struct sy_sqrelation *target, const char *kind,
                   const char *dependent)
{
    const char *what = target->kind == 'v' ? "view" : target->kind == 'S' ? "sequence" : "table";
    (void)sq_error(cx, "2BP01", -1, "cannot drop %s %s because other objects depend on it", what,
                   target->name);
    sy_err_detail(cx->err, "%s %s depends on %s %s", kind, dependent, what, target->name);
    sy_err_hint(cx->err, "Use DROP ... CASCADE to drop the dependent objects too.");
    return false;
}

/* A foreign key of another table goes with the table that it refers to. */
static bool drop_references(struct sq_cx *cx, const struct drop *d,
                            const struct sy_sqrelation *target, const struct sy_sqrelation *other,
                            struct sq_out *out)
{
    struct sq_def def;
    bool changed = false;
    if (!sq_def_init(cx, &def, other, 0))
        return false;
    for (uint32_t i = def.constraints.count; i > 0; i--) {
        const struct sy_sqconstraint *item = def.constraints.items[i - 1];
        if (item->kind != 'f' || strcmp(item->ref_table, target->name) != 0)
            continue;
        if (!d->cascade)
            return refuse(cx, target, "constraint",
                          sq_printf(cx, "%s on table %s", item->name, other->name));
        for (uint32_t k = i; k < def.constraints.count; k++)
            def.constraints.items[k - 1] = def.constraints.items[k];
        def.constraints.count--;
        changed = true;
        if (!sq_notice(cx, "00000",
                       sq_printf(cx, "drop cascades to constraint %s on table %s", item->name,
                                 other->name)))
            return false;
    }
    return !changed || (sq_def_finish(cx, &def) && sq_redefine(cx, out, def.relation) &&
                        sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", other->name, def.relation));
}

static bool drop_relation(struct sq_cx *cx, struct drop *d, const struct sy_sqrelation *target,
                          struct sq_out *out);

static bool drop_dependents(struct sq_cx *cx, struct drop *d, const struct sy_sqrelation *target,
                            struct sq_out *out)
{
    const struct sy_sqschema *schema = cx->input->schema;
    for (uint32_t i = 0; schema->at != NULL; i++) {
        const struct sy_sqrelation *other = schema->at(schema->ctx, i);
        if (other == NULL)
            break;
        if (goes(d, other->name))
            continue;
        bool owned = other->kind == 'S' && other->sequence != NULL &&
                     other->sequence->owner_table != NULL &&
                     strcmp(other->sequence->owner_table, target->name) == 0;
        if (owned && !sq_ddl(cx, out, SY_SQDDL_DROP, "public", other->name, NULL))
            return false;
        if (other->kind == 'r' && target->kind == 'r' &&
            !drop_references(cx, d, target, other, out))
            return false;
        if (other->kind == 'v' && target->kind != 'S' && view_reads(cx, other, target->name)) {
            if (!d->cascade)
                return refuse(cx, target, "view", other->name);
            if (!sq_notice(cx, "00000", sq_printf(cx, "drop cascades to view %s", other->name)) ||
                !drop_relation(cx, d, other, out))
                return false;
        }
    }
    return true;
}

/* Columns whose default draws from the sequence. */
static bool sequence_users(struct sq_cx *cx, struct drop *d, const struct sy_sqrelation *target,
                           struct sq_out *out)
{
    const struct sy_sqschema *schema = cx->input->schema;
    const char *needle = sq_printf(cx, "%s", target->name);
    for (uint32_t i = 0; schema->at != NULL; i++) {
        const struct sy_sqrelation *other = schema->at(schema->ctx, i);
        struct sq_def def;
        bool changed = false;
        if (other == NULL)
            break;
        if (other->kind != 'r' || goes(d, other->name))
            continue;
        if (!sq_def_init(cx, &def, other, 0))
            return false;
        for (uint32_t c = 0; c < def.column_count; c++) {
            const char *text = def.columns[c].default_sql;
            if (text == NULL || strncmp(text, "nextval(", 8) != 0 || strstr(text, needle) == NULL)
                continue;
            if (!d->cascade)
                return refuse(cx, target, "default value for column",
                              sq_printf(cx, "%s of table %s", def.columns[c].name, other->name));
            def.columns[c].default_sql = NULL;
            changed = true;
        }
        if (changed && (!sq_def_finish(cx, &def) ||
                        !sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", other->name, def.relation)))
            return false;
    }
    return true;
}

static bool drop_relation(struct sq_cx *cx, struct drop *d, const struct sy_sqrelation *target,
                          struct sq_out *out)
{
    if (!goes(d, target->name) &&
        !sq_list_add(cx, &d->names, sy_arena_strdup(cx->arena, target->name)))
        return false;
    if (!drop_dependents(cx, d, target, out) ||
        (target->kind == 'S' && !sequence_users(cx, d, target, out)))
        return false;
    if (target->kind == 'r' &&
        !sq_step(cx, out, sq_printf(cx, "DROP TABLE %s", sq_ident(cx, sq_relation_sql(target))),
                 false))
        return false;
    return sq_ddl(cx, out, SY_SQDDL_DROP, "public", sy_arena_strdup(cx->arena, target->name), NULL);
}

static bool drop_index(struct sq_cx *cx, const struct drop *d, const char *schema_name,
                       const char *name, struct sq_out *out)
{
    const struct sy_sqschema *schema = cx->input->schema;
    const struct sy_sqrelation *owner =
        schema->index_owner == NULL ? NULL : schema->index_owner(schema->ctx, schema_name, name);
    struct sq_def def;
    if (owner == NULL && d->node->missing_ok)
        return sq_notice(cx, "00000", sq_printf(cx, "index \"%s\" does not exist, skipping", name));
    if (owner == NULL)
        return sq_error(cx, "42704", -1, "index \"%s\" does not exist", name);
    if (!sq_def_init(cx, &def, owner, 0))
        return false;
    for (uint32_t i = 0; i < def.indexes.count; i++) {
        const struct sy_sqindex *item = def.indexes.items[i];
        if (strcmp(item->name, name) != 0)
            continue;
        if (item->constraint) {
            (void)sq_error(cx, "2BP01", -1,
                           "cannot drop index %s because constraint %s on table %s requires it",
                           name, name, owner->name);
            sy_err_hint(cx->err, "You can drop constraint %s on table %s instead.", name,
                        owner->name);
            return false;
        }
        for (uint32_t k = i + 1; k < def.indexes.count; k++)
            def.indexes.items[k - 1] = def.indexes.items[k];
        def.indexes.count--;
    }
    return sq_def_finish(cx, &def) &&
           sq_step(cx, out, sq_printf(cx, "DROP INDEX %s", sq_ident(cx, name)), false) &&
           sq_ddl(cx, out, SY_SQDDL_REPLACE, "public", owner->name, def.relation);
}

static bool drop_one(struct sq_cx *cx, struct drop *d, const sq_node *object, struct sq_out *out)
{
    static const struct {
        int type;
        char kind;
        const char *what, *tag;
    } kinds[] = {{PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, 'r', "table", "DROP TABLE"},
                 {PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, 'v', "view", "DROP VIEW"},
                 {PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE, 'S', "sequence", "DROP SEQUENCE"},
                 {PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, 'i', "index", "DROP INDEX"}};
    size_t k = 0;
    while (k < 4 && kinds[k].type != (int)d->node->remove_type)
        k++;
    if (k == 4 || object->node_case != NODE(LIST))
        return sq_unsupported(cx, -1, "this kind of DROP is not supported by the sqlite engine") !=
               NULL;
    out->t->tag = kinds[k].tag;
    const PgQuery__List *list = object->list;
    const char *name = sq_str(list->items[list->n_items - 1]);
    const char *space = list->n_items > 1 ? sq_str(list->items[list->n_items - 2]) : NULL;
    if (kinds[k].kind == 'i')
        return drop_index(cx, d, space, name, out);
    const struct sy_sqschema *schema = cx->input->schema;
    const struct sy_sqrelation *target = schema->relation(schema->ctx, space, name);
    if (target == NULL && d->node->missing_ok)
        return sq_notice(cx, "00000",
                         sq_printf(cx, "%s \"%s\" does not exist, skipping", kinds[k].what, name));
    if (target == NULL)
        return sq_error(cx, "42P01", -1, "%s \"%s\" does not exist", kinds[k].what, name);
    if (target->read_only)
        return sq_error(cx, "42501", -1, "permission denied: \"%s\" is a system catalog", name);
    if (target->kind != kinds[k].kind)
        return sq_error(cx, "42809", -1, "\"%s\" is not a %s", name, kinds[k].what);
    if (target->kind == 'S' && target->sequence != NULL && target->sequence->identity)
        return sq_error(cx, "2BP01", -1,
                        "cannot drop sequence %s because column %s of table %s requires it", name,
                        target->sequence->owner_column, target->sequence->owner_table);
    return drop_relation(cx, d, target, out);
}

bool sq_drop(struct sq_cx *cx, const PgQuery__DropStmt *node, struct sq_out *out)
{
    struct drop d = {.node = node,
                     .cascade = node->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE};
    for (size_t i = 0; i < node->n_objects; i++) {
        const sq_node *object = node->objects[i];
        if (object->node_case == NODE(LIST) && object->list->n_items > 0 &&
            !sq_list_add(
                cx, &d.names,
                sy_arena_strdup(cx->arena, sq_str(object->list->items[object->list->n_items - 1]))))
            return false;
    }
    for (size_t i = 0; i < node->n_objects; i++)
        if (!drop_one(cx, &d, node->objects[i], out))
            return false;
    return true;
}
