/* The router's view of a shard: its catalog as a schema snapshot. */
#include <string.h>

#include "router/engine/sqlite/catalog_data.h"
#include "router/engine/sqlite/shard.h"
#include "router/engine/sqlite/sqlite.h"

static enum sy_volatility volatility_of(char letter)
{
    return letter == 'i' ? SY_IMMUTABLE : letter == 's' ? SY_STABLE : SY_VOLATILE;
}

/* now() reads the session's transaction; sequences, locks and random() are volatile in the table
 * itself. */
static void add_functions(struct sy_schema_builder *builder)
{
    for (uint32_t i = 0; i < sq_proc_count; i++)
        sy_schema_builder_add_function(builder, SY_SLICE("pg_catalog"),
                                       sy_slice_of(sq_procs[i].name),
                                       volatility_of(sq_procs[i].volatility));
}

static void add_columns(struct sy_schema_builder *builder, uint32_t index,
                        const struct sy_sqrelation *r)
{
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct sy_sqcolumn *c = &r->columns[i];
        const struct sy_type_info *type = sy_type_find(c->type);
        bool serial = c->default_sql != NULL && strncmp(c->default_sql, "nextval(", 8) == 0;
        const struct sy_schema_column column = {
            .name = sy_slice_of(c->name),
            .type = sy_slice_of(type == NULL ? "text" : type->name),
            .type_oid = c->type,
            .has_default = c->default_sql != NULL || c->identity != 0,
            .is_identity_or_serial = serial || c->identity != 0,
            .is_generated = c->generated != 0,
        };
        sy_schema_builder_add_column(builder, index, &column);
    }
}

static void add_relation(struct sy_schema_builder *builder, const struct sy_sqrelation *r)
{
    const struct sy_schema_relation relation = {
        .schema = sy_slice_of(r->schema),
        .name = sy_slice_of(r->name),
        .oid = r->oid,
        .kind = r->kind == 'v'   ? SY_RELATION_VIEW
                : r->kind == 'S' ? SY_RELATION_SEQUENCE
                                 : SY_RELATION_TABLE,
    };
    add_columns(builder, sy_schema_builder_add_relation(builder, &relation), r);
}

/* A view's base relations are not recorded by name: every table whose name its text contains is
 * taken for one. Too many only make the router more careful. */
static void add_dependencies(struct sy_schema_builder *builder,
                             const struct sy_sqlite_catalog *catalog)
{
    for (uint32_t v = 0; v < catalog->relation_count; v++) {
        const struct sy_sqrelation *view = &catalog->relations[v];
        for (uint32_t i = 0;
             view->kind == 'v' && view->view_sql != NULL && i < catalog->relation_count; i++) {
            if (i != v && strstr(view->view_sql, catalog->relations[i].name) != NULL)
                sy_schema_builder_add_dependency(builder, v, i);
        }
    }
}

enum sy_status sy_sqlite_schema_load(struct sy_node *node, const struct sy_schema **ret_schema,
                                     struct sy_err *err)
{
    struct sy_sqlite_file *file = NULL;
    enum sy_status status = sy_sqlite_node_attach(node, err);
    if (status == SY_OK)
        status = sy_sqlite_file_open(node->file, node->node_index, &file, err);
    if (status != SY_OK)
        return status;
    struct sy_schema_builder *builder = sy_schema_builder_new();
    if (builder == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    struct sy_sqlite_catalog *catalog = sy_sqlite_file_catalog(file);
    sy_schema_builder_add_namespace(builder, SY_SLICE("pg_catalog"));
    sy_schema_builder_add_namespace(builder, SY_SLICE("public"));
    sy_schema_builder_add_namespace(builder, SY_SLICE("information_schema"));
    /* The user's first: their indexes are those of the catalog. */
    for (uint32_t i = 0; i < catalog->relation_count; i++)
        add_relation(builder, &catalog->relations[i]);
    const struct sy_sqrelation *emulated = NULL;
    for (uint32_t i = 0; (emulated = sy_sqlite_emulated_at(i)) != NULL; i++)
        add_relation(builder, emulated);
    add_dependencies(builder, catalog);
    add_functions(builder);
    sy_sqlite_catalog_unref(&catalog);
    return sy_schema_builder_finish(&builder, ret_schema, err);
}
