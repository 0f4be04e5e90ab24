/*
 * The frozen schema and its builder. The builder is the schema under construction: arrays grow with
 * realloc, and finish() closes the view dependencies transitively and builds the lookup tables.
 */
#include "router/plan/schema.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/arena.h"
#include "router/plan/name_table.h"

struct function_row {
    struct sy_slice schema, name;
    enum sy_volatility volatility;
};

struct sy_schema {
    _Atomic uint32_t refs;
    struct sy_arena arena; /* strings and lookup tables */
    struct sy_schema_relation *relations;
    uint32_t relation_count, relation_room;
    struct function_row *functions;
    uint32_t function_count, function_room;
    struct sy_slice *namespaces;
    uint32_t namespace_count, namespace_room;
    struct sy_name_table relation_names, function_names;
};

struct sy_schema_builder {
    struct sy_schema *schema;
    bool failed;
};

static void schema_free(struct sy_schema *schema)
{
    for (uint32_t i = 0; i < schema->relation_count; i++) {
        free(schema->relations[i].columns);
        free(schema->relations[i].depends);
    }
    free(schema->relations);
    free(schema->functions);
    free(schema->namespaces);
    sy_arena_release(&schema->arena);
    free(schema);
}

const struct sy_schema *sy_schema_ref(const struct sy_schema *schema)
{
    if (schema != NULL)
        atomic_fetch_add_explicit(&((struct sy_schema *)(uintptr_t)schema)->refs, 1,
                                  memory_order_relaxed);
    return schema;
}

void sy_schema_unref(const struct sy_schema **schema)
{
    if (schema == NULL || *schema == NULL)
        return;
    struct sy_schema *mine = (struct sy_schema *)(uintptr_t)*schema;
    *schema = NULL;
    if (atomic_fetch_sub_explicit(&mine->refs, 1, memory_order_acq_rel) == 1)
        schema_free(mine);
}

struct sy_schema_builder *sy_schema_builder_new(void)
{
    struct sy_schema_builder *builder = calloc(1, sizeof(*builder));
    if (builder == NULL)
        return NULL;
    builder->schema = calloc(1, sizeof(*builder->schema));
    if (builder->schema == NULL) {
        free(builder);
        return NULL;
    }
    atomic_init(&builder->schema->refs, 1);
    return builder;
}

void sy_schema_builder_free(struct sy_schema_builder **builder)
{
    if (builder == NULL || *builder == NULL)
        return;
    if ((*builder)->schema != NULL)
        schema_free((*builder)->schema);
    free(*builder);
    *builder = NULL;
}

/* Makes room for one more element; false, and a mark on the builder, when memory is exhausted. */
static bool grow(struct sy_schema_builder *builder, void *array, uint32_t count, uint32_t *room,
                 size_t size)
{
    if (count < *room)
        return true;
    uint32_t more = *room == 0 ? 8 : *room * 2;
    void *larger = NULL;
    void *old = NULL;
    memcpy(&old, array, sizeof(old));
    if (more > *room)
        larger = reallocarray(old, more, size);
    if (larger == NULL) {
        builder->failed = true;
        return false;
    }
    memcpy(array, &larger, sizeof(larger));
    *room = more;
    return true;
}

static struct sy_slice keep(struct sy_schema_builder *builder, struct sy_slice text)
{
    char *copy = sy_arena_strndup(&builder->schema->arena, text.data, text.bytes);
    if (copy == NULL) {
        builder->failed = true;
        return (struct sy_slice){"", 0};
    }
    return (struct sy_slice){copy, text.bytes};
}

void sy_schema_builder_add_namespace(struct sy_schema_builder *builder, struct sy_slice name)
{
    if (builder == NULL)
        return;
    struct sy_schema *schema = builder->schema;
    if (grow(builder, &schema->namespaces, schema->namespace_count, &schema->namespace_room,
             sizeof(*schema->namespaces)))
        schema->namespaces[schema->namespace_count++] = keep(builder, name);
}

uint32_t sy_schema_builder_add_relation(struct sy_schema_builder *builder,
                                        const struct sy_schema_relation *relation)
{
    if (builder == NULL)
        return UINT32_MAX;
    struct sy_schema *schema = builder->schema;
    if (!grow(builder, &schema->relations, schema->relation_count, &schema->relation_room,
              sizeof(*schema->relations)))
        return UINT32_MAX;
    struct sy_schema_relation *row = &schema->relations[schema->relation_count];
    *row = *relation;
    row->schema = keep(builder, relation->schema);
    row->name = keep(builder, relation->name);
    row->columns = NULL;
    row->depends = NULL;
    row->column_count = row->depend_count = 0;
    return schema->relation_count++;
}

/* Capacities of the small per-relation arrays follow from their counts: they double at powers of
 * two from 8. */
static uint32_t room_of(uint32_t count)
{
    if (count == 0 || (count >= 8 && (count & (count - 1)) == 0))
        return count;
    return UINT32_MAX;
}

void sy_schema_builder_add_column(struct sy_schema_builder *builder, uint32_t relation,
                                  const struct sy_schema_column *column)
{
    if (builder == NULL || relation >= builder->schema->relation_count)
        return;
    struct sy_schema_relation *row = &builder->schema->relations[relation];
    uint32_t room = room_of(row->column_count);
    if (!grow(builder, &row->columns, row->column_count, &room, sizeof(*row->columns)))
        return;
    struct sy_schema_column *kept = &row->columns[row->column_count++];
    *kept = *column;
    kept->name = keep(builder, column->name);
    kept->type = keep(builder, column->type);
    kept->default_sql =
        column->default_sql.data == NULL ? SY_SLICE("") : keep(builder, column->default_sql);
}

static bool depends_on(const struct sy_schema_relation *row, uint32_t relation)
{
    for (uint32_t i = 0; i < row->depend_count; i++)
        if (row->depends[i] == relation)
            return true;
    return false;
}

void sy_schema_builder_add_dependency(struct sy_schema_builder *builder, uint32_t view,
                                      uint32_t relation)
{
    if (builder == NULL || view >= builder->schema->relation_count ||
        relation >= builder->schema->relation_count || view == relation)
        return;
    struct sy_schema_relation *row = &builder->schema->relations[view];
    if (depends_on(row, relation))
        return;
    uint32_t room = room_of(row->depend_count);
    if (grow(builder, &row->depends, row->depend_count, &room, sizeof(*row->depends)))
        row->depends[row->depend_count++] = relation;
}

void sy_schema_builder_add_function(struct sy_schema_builder *builder, struct sy_slice schema_name,
                                    struct sy_slice name, enum sy_volatility volatility)
{
    if (builder == NULL)
        return;
    struct sy_schema *schema = builder->schema;
    if (!grow(builder, &schema->functions, schema->function_count, &schema->function_room,
              sizeof(*schema->functions)))
        return;
    struct function_row *row = &schema->functions[schema->function_count++];
    *row = (struct function_row){keep(builder, schema_name), keep(builder, name), volatility};
}

/* Appending while walking visits what was appended, so one pass per view closes its dependencies.
 */
static void close_dependencies(struct sy_schema_builder *builder)
{
    struct sy_schema *schema = builder->schema;
    for (uint32_t view = 0; view < schema->relation_count; view++)
        for (uint32_t i = 0; i < schema->relations[view].depend_count; i++) {
            uint32_t base = schema->relations[view].depends[i];
            for (uint32_t k = 0; k < schema->relations[base].depend_count; k++)
                sy_schema_builder_add_dependency(builder, view, schema->relations[base].depends[k]);
        }
}

static void note_volatility(struct sy_name_table *table, struct sy_slice schema,
                            struct sy_slice name, enum sy_volatility volatility)
{
    uint32_t *place = sy_name_table_put(table, schema, name);
    if (place != NULL && (*place == SY_NAME_NONE || *place < (uint32_t)volatility))
        *place = (uint32_t)volatility;
}

static bool build_tables(struct sy_schema *schema)
{
    if (!sy_name_table_init(&schema->relation_names, &schema->arena, schema->relation_count) ||
        !sy_name_table_init(&schema->function_names, &schema->arena, schema->function_count * 2))
        return false;
    for (uint32_t i = 0; i < schema->relation_count; i++) {
        uint32_t *place = sy_name_table_put(&schema->relation_names, schema->relations[i].schema,
                                            schema->relations[i].name);
        if (place != NULL && *place == SY_NAME_NONE)
            *place = i;
    }
    for (uint32_t i = 0; i < schema->function_count; i++) {
        const struct function_row *row = &schema->functions[i];
        note_volatility(&schema->function_names, row->schema, row->name, row->volatility);
        note_volatility(&schema->function_names, (struct sy_slice){"", 0}, row->name,
                        row->volatility);
    }
    return true;
}

enum sy_status sy_schema_builder_finish(struct sy_schema_builder **builder,
                                        const struct sy_schema **ret_schema, struct sy_err *err)
{
    struct sy_schema_builder *mine = *builder;
    if (mine != NULL && !mine->failed)
        close_dependencies(mine);
    if (mine == NULL || mine->failed || !build_tables(mine->schema)) {
        sy_schema_builder_free(builder);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while reading the schema");
    }
    *ret_schema = mine->schema;
    mine->schema = NULL;
    sy_schema_builder_free(builder);
    return SY_OK;
}

const struct sy_schema_relation *sy_schema_find(const struct sy_schema *schema,
                                                struct sy_slice schema_name, struct sy_slice name)
{
    if (schema == NULL)
        return NULL;
    uint32_t index = sy_name_table_get(&schema->relation_names, schema_name, name);
    return index == SY_NAME_NONE ? NULL : &schema->relations[index];
}

const struct sy_schema_column *sy_schema_column(const struct sy_schema_relation *relation,
                                                struct sy_slice name)
{
    for (uint32_t i = 0; relation != NULL && i < relation->column_count; i++)
        if (sy_slice_eq(relation->columns[i].name, name))
            return &relation->columns[i];
    return NULL;
}

enum sy_volatility sy_schema_volatility(const struct sy_schema *schema, struct sy_slice schema_name,
                                        struct sy_slice name)
{
    if (schema == NULL)
        return SY_VOLATILE_UNKNOWN;
    if (schema_name.data == NULL)
        schema_name = (struct sy_slice){"", 0};
    uint32_t value = sy_name_table_get(&schema->function_names, schema_name, name);
    return value == SY_NAME_NONE ? SY_VOLATILE_UNKNOWN : (enum sy_volatility)value;
}

bool sy_schema_has_namespace(const struct sy_schema *schema, struct sy_slice name)
{
    for (uint32_t i = 0; schema != NULL && i < schema->namespace_count; i++)
        if (sy_slice_eq(schema->namespaces[i], name))
            return true;
    return false;
}

uint32_t sy_schema_relation_count(const struct sy_schema *schema)
{
    return schema == NULL ? 0 : schema->relation_count;
}

const struct sy_schema_relation *sy_schema_relation(const struct sy_schema *schema, uint32_t index)
{
    return &schema->relations[index];
}
