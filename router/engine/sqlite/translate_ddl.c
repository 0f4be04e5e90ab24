/* CREATE TABLE: columns, constraints, the names that PostgreSQL would choose. */
#include <stdlib.h>

#include "base/limits.h"
#include "router/engine/sqlite/translate_internal.h"

#define NODE(name) PG_QUERY__NODE__NODE_##name

/* ---- names ---- */

bool sq_name_taken(struct sq_cx *cx, const char *name)
{
    const struct sy_sqschema *schema = cx->input->schema;
    return schema->relation(schema->ctx, "public", name) != NULL ||
           (schema->index_owner != NULL &&
            schema->index_owner(schema->ctx, "public", name) != NULL);
}

static bool taken_here(const struct sq_def *def, const char *name)
{
    if (def->relation != NULL && strcmp(def->relation->name, name) == 0)
        return true;
    for (uint32_t i = 0; i < def->constraints.count; i++)
        if (strcmp(((const struct sy_sqconstraint *)def->constraints.items[i])->name, name) == 0)
            return true;
    for (uint32_t i = 0; i < def->indexes.count; i++)
        if (strcmp(((const struct sy_sqindex *)def->indexes.items[i])->name, name) == 0)
            return true;
    for (uint32_t i = 0; i < def->sequences.count; i++)
        if (strcmp(((const struct sy_sqrelation *)def->sequences.items[i])->name, name) == 0)
            return true;
    return false;
}

const char *sq_choose_name(struct sq_cx *cx, const struct sq_def *def, const char *a, const char *b,
                           const char *label)
{
    for (uint32_t pass = 0; pass < 1000; pass++) {
        const char *suffix = pass == 0 ? label : sq_printf(cx, "%s%u", label, pass);
        if (suffix == NULL)
            return NULL;
        size_t overhead = strlen(suffix) + 1 + (b == NULL ? 0 : 1);
        size_t room = SY_LIMIT_NAME_BYTES - overhead;
        size_t na = strlen(a), nb = b == NULL ? 0 : strlen(b);
        while (na + nb > room) {
            if (na > nb)
                na--;
            else
                nb--;
        }
        const char *name = b == NULL
                               ? sq_printf(cx, "%.*s_%s", (int)na, a, suffix)
                               : sq_printf(cx, "%.*s_%.*s_%s", (int)na, a, (int)nb, b, suffix);
        if (name == NULL || (!taken_here(def, name) && !sq_name_taken(cx, name)))
            return name;
    }
    return sq_error_null(cx, "42P07", -1, "no free name for %s", a);
}

bool sq_check_schema(struct sq_cx *cx, const PgQuery__RangeVar *range)
{
    if (range->schemaname[0] != '\0' && strcmp(range->schemaname, "public") != 0) {
        if (cx->input->schema->has_schema != NULL &&
            cx->input->schema->has_schema(cx->input->schema->ctx, range->schemaname))
            return sq_error(cx, "42501", range->location, "permission denied for schema %s",
                            range->schemaname);
        return sq_error(cx, "3F000", range->location, "schema \"%s\" does not exist",
                        range->schemaname);
    }
    if (range->relpersistence != NULL && range->relpersistence[0] == 't')
        return sq_unsupported(cx, range->location,
                              "temporary tables are not supported by the sqlite engine") != NULL;
    if (strncmp(range->relname, "sqlite_", 7) == 0 || strncmp(range->relname, "sy_", 3) == 0)
        return sq_unsupported(cx, range->location,
                              "names that start with \"sqlite_\" or \"sy_\" are reserved") != NULL;
    return true;
}

/* ---- definitions ---- */

bool sq_def_init(struct sq_cx *cx, struct sq_def *def, const struct sy_sqrelation *from,
                 uint32_t room)
{
    *def = (struct sq_def){0};
    def->relation = sq_alloc(cx, sizeof(*def->relation));
    def->column_capacity = (from == NULL ? 0 : from->column_count) + room;
    def->columns = sq_alloc(cx, def->column_capacity * sizeof(*def->columns));
    if (def->relation == NULL || def->columns == NULL)
        return false;
    if (from == NULL)
        return true;
    *def->relation = *from;
    def->column_count = from->column_count;
    if (from->column_count > 0)
        memcpy(def->columns, from->columns, from->column_count * sizeof(*def->columns));
    for (uint32_t i = 0; i < from->constraint_count; i++) {
        struct sy_sqconstraint *copy = sq_alloc(cx, sizeof(*copy));
        if (copy == NULL || !sq_list_add(cx, &def->constraints, copy))
            return false;
        *copy = from->constraints[i];
    }
    for (uint32_t i = 0; i < from->index_count; i++) {
        struct sy_sqindex *copy = sq_alloc(cx, sizeof(*copy));
        if (copy == NULL || !sq_list_add(cx, &def->indexes, copy))
            return false;
        *copy = from->indexes[i];
    }
    return true;
}

bool sq_def_finish(struct sq_cx *cx, struct sq_def *def)
{
    struct sy_sqconstraint *constraints =
        sq_alloc(cx, def->constraints.count * sizeof(*constraints));
    struct sy_sqindex *indexes = sq_alloc(cx, def->indexes.count * sizeof(*indexes));
    if (constraints == NULL || indexes == NULL)
        return false;
    for (uint32_t i = 0; i < def->constraints.count; i++)
        constraints[i] = *(const struct sy_sqconstraint *)def->constraints.items[i];
    for (uint32_t i = 0; i < def->indexes.count; i++)
        indexes[i] = *(const struct sy_sqindex *)def->indexes.items[i];
    def->relation->columns = def->columns;
    def->relation->column_count = def->column_count;
    def->relation->constraints = constraints;
    def->relation->constraint_count = def->constraints.count;
    def->relation->indexes = indexes;
    def->relation->index_count = def->indexes.count;
    return true;
}

static int def_column_index(const struct sq_def *def, const char *name)
{
    for (uint32_t i = 0; i < def->column_count; i++)
        if (strcmp(def->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

/* ---- constraints ---- */

static bool add_constraint(struct sq_cx *cx, struct sq_def *def,
                           const struct sy_sqconstraint *value)
{
    struct sy_sqconstraint *constraint = sq_alloc(cx, sizeof(*constraint));
    if (constraint == NULL || value->name == NULL)
        return false;
    for (uint32_t i = 0; i < def->constraints.count; i++)
        if (strcmp(((const struct sy_sqconstraint *)def->constraints.items[i])->name,
                   value->name) == 0)
            return sq_error(cx, "42710", -1, "constraint \"%s\" for relation \"%s\" already exists",
                            value->name, def->relation->name);
    *constraint = *value;
    return sq_list_add(cx, &def->constraints, constraint);
}

/* The index behind a PRIMARY KEY or UNIQUE constraint. */
static bool add_constraint_index(struct sq_cx *cx, struct sq_def *def,
                                 const struct sy_sqconstraint *constraint)
{
    struct sy_sqindex *index = sq_alloc(cx, sizeof(*index));
    uint32_t count = constraint->column_count;
    const char **keys = sq_alloc(cx, count * sizeof(*keys));
    int16_t *columns = sq_alloc(cx, count * sizeof(*columns));
    uint8_t *options = sq_alloc(cx, count);
    if (index == NULL || keys == NULL || columns == NULL || options == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = constraint->columns[i];
        keys[i] = def->columns[columns[i]].name;
    }
    *index = (struct sy_sqindex){.name = constraint->name,
                                 .unique = true,
                                 .primary = constraint->kind == 'p',
                                 .constraint = true,
                                 .keys = keys,
                                 .key_columns = columns,
                                 .key_options = options,
                                 .key_count = count,
                                 .method = "btree"};
    return sq_list_add(cx, &def->indexes, index);
}

static const char *joined_columns(struct sq_cx *cx, const struct sq_def *def,
                                  const int16_t *columns, uint32_t count)
{
    struct sy_buf buf = {0};
    for (uint32_t i = 0; i < count; i++)
        sy_buf_printf(&buf, "%s%s", i == 0 ? "" : "_", def->columns[columns[i]].name);
    return sq_finish(cx, &buf);
}

static int16_t *key_columns(struct sq_cx *cx, struct sq_def *def, sq_node *const *keys,
                            size_t n_keys, int column, int32_t location, uint32_t *ret_count)
{
    uint32_t count = column >= 0 ? 1 : (uint32_t)n_keys;
    int16_t *columns = sq_alloc(cx, count * sizeof(*columns));
    if (columns == NULL)
        return NULL;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = column >= 0 ? NULL : sq_str(keys[i]);
        int index = column >= 0 ? column : def_column_index(def, name);
        if (index < 0)
            return sq_error_null(cx, "42703", location, "column \"%s\" named in key does not exist",
                                 name);
        columns[i] = (int16_t)index;
        for (uint32_t j = 0; j < i; j++)
            if (columns[j] == index)
                return sq_error_null(cx, "42701", location,
                                     "column \"%s\" appears twice in constraint", name);
    }
    *ret_count = count;
    return columns;
}

static bool key_constraint(struct sq_cx *cx, struct sq_def *def, const PgQuery__Constraint *node,
                           int column)
{
    bool primary = node->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY;
    if (node->nulls_not_distinct || node->deferrable ||
        (node->indexname != NULL && node->indexname[0] != '\0'))
        return sq_unsupported(cx, node->location,
                              "this form of a %s constraint is not supported by the sqlite engine",
                              primary ? "PRIMARY KEY" : "UNIQUE") != NULL;
    struct sy_sqconstraint value = {.kind = primary ? 'p' : 'u'};
    int16_t *columns =
        key_columns(cx, def, node->keys, node->n_keys, column, node->location, &value.column_count);
    if (columns == NULL)
        return false;
    value.columns = columns;
    for (uint32_t i = 0; primary && i < def->constraints.count; i++)
        if (((const struct sy_sqconstraint *)def->constraints.items[i])->kind == 'p')
            return sq_error(cx, "42P16", node->location,
                            "multiple primary keys for table \"%s\" are not allowed",
                            def->relation->name);
    for (uint32_t i = 0; primary && i < value.column_count; i++)
        def->columns[columns[i]].not_null = true;
    if (node->conname != NULL && node->conname[0] != '\0') {
        value.name = sy_arena_strdup(cx->arena, node->conname);
        if (value.name != NULL && (taken_here(def, value.name) || sq_name_taken(cx, value.name)))
            return sq_error(cx, "42P07", node->location, "relation \"%s\" already exists",
                            value.name);
    } else {
        const char *middle = primary ? NULL : joined_columns(cx, def, columns, value.column_count);
        value.name = sq_choose_name(cx, def, def->relation->name, middle, primary ? "pkey" : "key");
    }
    return add_constraint(cx, def, &value) && add_constraint_index(cx, def, &value);
}

/* Columns that a CHECK mentions, through the translated text's level. */
static bool check_columns(struct sq_cx *cx, struct sq_def *def, const char *text,
                          struct sy_sqconstraint *value)
{
    int16_t *columns = sq_alloc(cx, def->column_count * sizeof(*columns));
    struct sq_level *level = cx->level;
    cx->level = NULL;
    bool ok = columns != NULL && sq_def_finish(cx, def) && sq_push_level(cx) != NULL &&
              sq_add_relation(cx, def->relation, def->relation->name, "") != NULL;
    if (ok)
        cx->level->clause = "check constraints";
    ok = ok && sq_coerce_bool(cx, sq_expr_text(cx, text), "CHECK") != NULL;
    for (uint32_t i = 0; ok && i < cx->level->loose.count; i++) {
        const struct sq_loose *loose = cx->level->loose.items[i];
        int index = def_column_index(def, loose->column);
        bool seen = index < 0;
        for (uint32_t c = 0; c < value->column_count && !seen; c++)
            seen = columns[c] == index;
        if (!seen)
            columns[value->column_count++] = (int16_t)index;
    }
    cx->level = level;
    value->columns = columns;
    return ok;
}

static bool check_constraint(struct sq_cx *cx, struct sq_def *def, const PgQuery__Constraint *node)
{
    struct sy_sqconstraint value = {.kind = 'c', .expression = sq_deparse(cx, node->raw_expr)};
    if (value.expression == NULL || !check_columns(cx, def, value.expression, &value))
        return false;
    if (node->conname != NULL && node->conname[0] != '\0')
        value.name = sy_arena_strdup(cx->arena, node->conname);
    else
        value.name = sq_choose_name(
            cx, def, def->relation->name,
            value.column_count == 1 ? def->columns[value.columns[0]].name : NULL, "check");
    return add_constraint(cx, def, &value);
}

/* The referenced columns: those named, else the primary key. */
static bool referenced(struct sq_cx *cx, const struct sy_sqrelation *table,
                       const PgQuery__Constraint *node, struct sy_sqconstraint *value)
{
    const char **names = sq_alloc(cx, value->column_count * sizeof(*names));
    if (names == NULL)
        return false;
    value->ref_columns = names;
    for (uint32_t i = 0; i < table->constraint_count; i++) {
        const struct sy_sqconstraint *key = &table->constraints[i];
        if ((key->kind != 'p' && key->kind != 'u') || (node->n_pk_attrs == 0 && key->kind != 'p'))
            continue;
        if (key->column_count != value->column_count)
            continue;
        uint32_t found = 0;
        for (uint32_t a = 0; a < node->n_pk_attrs && a < value->column_count; a++)
            for (uint32_t c = 0; c < key->column_count; c++)
                found +=
                    strcmp(table->columns[key->columns[c]].name, sq_str(node->pk_attrs[a])) == 0;
        if (node->n_pk_attrs > 0 && found != key->column_count)
            continue;
        for (uint32_t c = 0; c < value->column_count; c++)
            names[c] = sy_arena_strdup(cx->arena, node->n_pk_attrs > 0
                                                      ? sq_str(node->pk_attrs[c])
                                                      : table->columns[key->columns[c]].name);
        return true;
    }
    if (node->n_pk_attrs == 0)
        return sq_error(cx, "42704", node->location,
                        "there is no primary key for referenced table \"%s\"", table->name);
    for (size_t a = 0; a < node->n_pk_attrs; a++)
        if (sq_column_index(table, sq_str(node->pk_attrs[a])) < 0)
            return sq_error(cx, "42703", node->location,
                            "column \"%s\" referenced in foreign key constraint does not exist",
                            sq_str(node->pk_attrs[a]));
    return sq_error(cx, "42830", node->location,
                    "there is no unique constraint matching given keys for referenced table \"%s\"",
                    table->name);
}

static bool foreign_types(struct sq_cx *cx, const struct sq_def *def,
                          const struct sy_sqrelation *table, const struct sy_sqconstraint *value)
{
    for (uint32_t i = 0; i < value->column_count; i++) {
        const struct sy_sqcolumn *a = &def->columns[value->columns[i]];
        const struct sy_sqcolumn *b =
            &table->columns[sq_column_index(table, value->ref_columns[i])];
        const struct sy_type_info *ta = sy_type_find(a->type), *tb = sy_type_find(b->type);
        if (ta->category == tb->category && ta->storage == tb->storage)
            continue;
        (void)sq_error(cx, "42804", -1, "foreign key constraint \"%s\" cannot be implemented",
                       value->name);
        sy_err_detail(cx->err,
                      "Key columns \"%s\" and \"%s\" are of incompatible types: %s and %s.",
                      a->name, b->name, sq_type_display(cx, a->type), sq_type_display(cx, b->type));
        return false;
    }
    return true;
}

static bool foreign_constraint(struct sq_cx *cx, struct sq_def *def,
                               const PgQuery__Constraint *node, int column)
{
    struct sy_sqconstraint value = {.kind = 'f',
                                    .on_update = node->fk_upd_action[0],
                                    .on_delete = node->fk_del_action[0],
                                    .deferrable = node->deferrable,
                                    .deferred = node->initdeferred};
    if (node->fk_matchtype[0] == 'f')
        return sq_unsupported(cx, node->location,
                              "MATCH FULL is not supported by the sqlite engine") != NULL;
    if (node->n_fk_del_set_cols > 0)
        return sq_unsupported(cx, node->location,
                              "ON DELETE SET with columns is not supported by the sqlite engine") !=
               NULL;
    int16_t *columns = key_columns(cx, def, node->fk_attrs, node->n_fk_attrs, column,
                                   node->location, &value.column_count);
    if (columns == NULL)
        return false;
    value.columns = columns;
    const struct sy_sqrelation *table = NULL;
    if (strcmp(node->pktable->relname, def->relation->name) == 0) {
        table = sq_def_finish(cx, def) ? def->relation : NULL;
    } else {
        table = sq_find_relation(cx, node->pktable, false);
    }
    if (table == NULL)
        return false;
    if (table->kind != 'r' || table->read_only)
        return sq_error(cx, "42809", node->location, "referenced relation \"%s\" is not a table",
                        table->name);
    value.ref_table = sy_arena_strdup(cx->arena, table->name);
    if (node->n_pk_attrs > 0 && node->n_pk_attrs != value.column_count)
        return sq_error(cx, "42830", node->location,
                        "number of referencing and referenced columns for foreign key disagree");
    value.name = node->conname != NULL && node->conname[0] != '\0'
                     ? sy_arena_strdup(cx->arena, node->conname)
                     : sq_choose_name(cx, def, def->relation->name,
                                      joined_columns(cx, def, columns, value.column_count), "fkey");
    return referenced(cx, table, node, &value) && foreign_types(cx, def, table, &value) &&
           add_constraint(cx, def, &value);
}

bool sq_def_constraint(struct sq_cx *cx, struct sq_def *def, const PgQuery__Constraint *node,
                       int column)
{
    switch ((int)node->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
        return key_constraint(cx, def, node, column);
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
        return check_constraint(cx, def, node);
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN:
        return foreign_constraint(cx, def, node, column);
    case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION:
        return sq_unsupported(cx, node->location,
                              "exclusion constraints are not supported by the sqlite engine") !=
               NULL;
    default:
        return true; /* handled with the column */
    }
}

/* ---- columns ---- */

static uint32_t serial_type(const PgQuery__TypeName *name)
{
    static const struct {
        const char *name;
        uint32_t type;
    } serials[] = {{"serial", SY_T_INT4},  {"serial4", SY_T_INT4},     {"bigserial", SY_T_INT8},
                   {"serial8", SY_T_INT8}, {"smallserial", SY_T_INT2}, {"serial2", SY_T_INT2}};
    const char *text = name->n_names == 1 ? sq_str(name->names[0]) : NULL;
    for (size_t i = 0; text != NULL && i < sizeof(serials) / sizeof(serials[0]); i++)
        if (strcmp(serials[i].name, text) == 0)
            return serials[i].type;
    return 0;
}

/* The name that SEQUENCE NAME asks for, else one of the usual kind. */
static const char *sequence_name(struct sq_cx *cx, struct sq_def *def,
                                 const struct sy_sqcolumn *column, sq_node *const *options,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const PgQuery__DefElem *option = options[i]->def_elem;
        if (strcmp(option->defname, "sequence_name") != 0 || option->arg == NULL ||
            option->arg->node_case != NODE(LIST) || option->arg->list->n_items == 0)
            continue;
        const PgQuery__List *list = option->arg->list;
        const char *name = sq_str(list->items[list->n_items - 1]);
        if (sq_name_taken(cx, name))
            return sq_error_null(cx, "42P07", -1, "relation \"%s\" already exists", name);
        return sy_arena_strdup(cx->arena, name);
    }
    return sq_choose_name(cx, def, def->relation->name, column->name, "seq");
}

static bool add_sequence(struct sq_cx *cx, struct sq_def *def, struct sy_sqcolumn *column,
                         sq_node *const *options, size_t count)
{
    struct sy_sqrelation *sequence = sq_alloc(cx, sizeof(*sequence));
    bool restart = false;
    struct sy_sqsequence *values =
        sq_sequence_options(cx, NULL, options, count, column->type, &restart);
    const char *name = sequence_name(cx, def, column, options, count);
    if (sequence == NULL || values == NULL || name == NULL)
        return false;
    values->owner_table = def->relation->name;
    values->owner_column = column->name;
    values->identity = column->identity != 0;
    *sequence =
        (struct sy_sqrelation){.schema = "public", .name = name, .kind = 'S', .sequence = values};
    const char *quoted = sq_ident(cx, name);
    bool plain = true;
    for (const char *p = name; *p != '\0'; p++)
        plain = plain && ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '_');
    const char *inner = plain ? name : quoted;
    column->default_sql =
        inner == NULL ? NULL
                      : sq_printf(cx, "nextval(%s::regclass)", sq_string(cx, inner, strlen(inner)));
    return column->default_sql != NULL && sq_list_add(cx, &def->sequences, sequence);
}

static bool set_default(struct sq_cx *cx, struct sy_sqcolumn *column, sq_node *expr)
{
    if (column->default_sql != NULL)
        return sq_error(cx, "42601", -1, "multiple default values specified for column \"%s\"",
                        column->name);
    struct sq_level *level = cx->level;
    bool in_default = cx->in_default;
    cx->level = NULL;
    cx->in_default = true;
    struct sq_expr *value = sq_push_level(cx) == NULL ? NULL : sq_expr(cx, expr);
    bool ok = value != NULL && sq_coerce_assign(cx, value, column) != NULL;
    cx->level = level;
    cx->in_default = in_default;
    column->default_sql = ok ? sq_deparse(cx, expr) : NULL;
    return column->default_sql != NULL;
}

bool sq_def_identity(struct sq_cx *cx, struct sq_def *def, struct sy_sqcolumn *column,
                     const PgQuery__Constraint *node)
{
    if (column->type != SY_T_INT2 && column->type != SY_T_INT4 && column->type != SY_T_INT8)
        return sq_error(cx, "22023", node->location,
                        "identity column type must be smallint, integer, or bigint");
    column->identity = node->generated_when[0];
    return add_sequence(cx, def, column, node->options, node->n_options);
}

static bool column_constraint(struct sq_cx *cx, struct sq_def *def, struct sy_sqcolumn *column,
                              const PgQuery__Constraint *node)
{
    switch ((int)node->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
        column->not_null = true;
        return true;
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
        return set_default(cx, column, node->raw_expr);
    case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
        column->not_null = true;
        return sq_def_identity(cx, def, column, node);
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
        column->generated = 's';
        column->default_sql = sq_deparse(cx, node->raw_expr);
        return column->default_sql != NULL;
    default:
        return true;
    }
}

PgQuery__Constraint sq_column_constraint(const PgQuery__ColumnDef *node, size_t at)
{
    PgQuery__Constraint constraint = *node->constraints[at]->constraint;
    for (size_t i = at + 1; i < node->n_constraints; i++) {
        switch ((int)node->constraints[i]->constraint->contype) {
        case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRABLE:
            constraint.deferrable = true;
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRED:
            constraint.deferrable = constraint.initdeferred = true;
            break;
        case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_NOT_DEFERRABLE:
        case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_IMMEDIATE:
            break;
        default:
            return constraint;
        }
    }
    return constraint;
}

bool sq_def_column(struct sq_cx *cx, struct sq_def *def, const PgQuery__ColumnDef *node)
{
    if (def->column_count >= SQ_COLUMNS_MAX || def->column_count == def->column_capacity)
        return sq_error(cx, "54011", node->location, "tables can have at most %d columns",
                        SQ_COLUMNS_MAX);
    for (uint32_t i = 0; i < def->column_count; i++) {
        if (strcmp(def->columns[i].name, node->colname) == 0)
            return sq_error(cx, "42701", node->location, "column \"%s\" specified more than once",
                            node->colname);
        if (strcasecmp(def->columns[i].name, node->colname) == 0)
            return sq_unsupported(cx, node->location,
                                  "columns \"%s\" and \"%s\" differ in case only",
                                  def->columns[i].name, node->colname) != NULL;
    }
    struct sy_sqcolumn *column = &def->columns[def->column_count];
    *column = (struct sy_sqcolumn){.name = sy_arena_strdup(cx->arena, node->colname), .typmod = -1};
    int16_t highest = 0;
    for (uint32_t i = 0; i < def->column_count; i++)
        highest = def->columns[i].attnum > highest ? def->columns[i].attnum : highest;
    column->attnum = (int16_t)(highest + 1);
    column->type = serial_type(node->type_name);
    bool serial = column->type != 0;
    if (!serial && !sq_type_name(cx, node->type_name, &column->type, &column->typmod))
        return false;
    const struct sy_type_info *type = sy_type_find(column->type);
    if (type->column_type == NULL)
        return sq_unsupported(cx, node->location,
                              "a column of type %s is not supported by the sqlite engine",
                              sq_type_display(cx, column->type)) != NULL;
    if (serial) {
        column->not_null = true;
        if (!add_sequence(cx, def, column, NULL, 0))
            return false;
    }
    for (size_t i = 0; i < node->n_constraints; i++)
        if (!column_constraint(cx, def, column, node->constraints[i]->constraint))
            return false;
    int index = (int)def->column_count++;
    for (size_t i = 0; i < node->n_constraints; i++) {
        /* CHECKs of a column may mention later columns only as table constraints: done by the
         * caller's second pass. */
        PgQuery__Constraint constraint = sq_column_constraint(node, i);
        if (constraint.contype != PG_QUERY__CONSTR_TYPE__CONSTR_CHECK &&
            constraint.contype != PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN &&
            !sq_def_constraint(cx, def, &constraint, index))
            return false;
    }
    return column->name != NULL;
}

/* ---- CREATE TABLE ---- */

static bool later_constraints(struct sq_cx *cx, struct sq_def *def, const PgQuery__CreateStmt *node)
{
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const sq_node *element = node->table_elts[i];
        if (element->node_case != NODE(CONSTRAINT))
            continue;
        if (!sq_def_constraint(cx, def, element->constraint, -1))
            return false;
    }
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const sq_node *element = node->table_elts[i];
        if (element->node_case != NODE(COLUMN_DEF))
            continue;
        int index = def_column_index(def, element->column_def->colname);
        for (size_t c = 0; c < element->column_def->n_constraints; c++) {
            PgQuery__Constraint constraint = sq_column_constraint(element->column_def, c);
            bool late = constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_CHECK ||
                        constraint.contype == PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN;
            if (late && !sq_def_constraint(cx, def, &constraint, index))
                return false;
        }
    }
    return true;
}

/* An integer primary key of one column is SQLite's rowid; no primary key: a hidden one. */
static void choose_key(struct sq_def *def)
{
    const struct sy_sqconstraint *primary = NULL;
    for (uint32_t i = 0; i < def->constraints.count; i++)
        if (((const struct sy_sqconstraint *)def->constraints.items[i])->kind == 'p')
            primary = def->constraints.items[i];
    def->relation->hidden_key = primary == NULL;
    if (primary == NULL || primary->column_count != 1)
        return;
    struct sy_sqcolumn *column = &def->columns[primary->columns[0]];
    column->rowid =
        column->type == SY_T_INT2 || column->type == SY_T_INT4 || column->type == SY_T_INT8;
}

static bool refuse_forms(struct sq_cx *cx, const PgQuery__CreateStmt *node)
{
    if (node->n_inh_relations > 0 || node->partbound != NULL || node->partspec != NULL)
        return sq_unsupported(
                   cx, node->relation->location,
                   "inheritance and partitions are not supported by the sqlite engine") == NULL;
    if (node->of_typename != NULL)
        return sq_unsupported(cx, node->relation->location,
                              "typed tables are not supported by the sqlite engine") == NULL;
    return false;
}

bool sq_create_table(struct sq_cx *cx, const PgQuery__CreateStmt *node, struct sq_out *out)
{
    struct sq_def def;
    out->t->tag = "CREATE TABLE";
    if (!sq_check_schema(cx, node->relation) || refuse_forms(cx, node))
        return false;
    if (sq_name_taken(cx, node->relation->relname)) {
        if (!node->if_not_exists)
            return sq_error(cx, "42P07", -1, "relation \"%s\" already exists",
                            node->relation->relname);
        return sq_notice(
            cx, "42P07",
            sq_printf(cx, "relation \"%s\" already exists, skipping", node->relation->relname));
    }
    if (!sq_def_init(cx, &def, NULL, (uint32_t)node->n_table_elts + 1))
        return false;
    def.relation->schema = "public";
    def.relation->name = sy_arena_strdup(cx->arena, node->relation->relname);
    def.relation->kind = 'r';
    for (size_t i = 0; i < node->n_table_elts; i++) {
        const sq_node *element = node->table_elts[i];
        if (element->node_case == NODE(COLUMN_DEF) ? !sq_def_column(cx, &def, element->column_def)
                                                   : element->node_case != NODE(CONSTRAINT))
            return cx->err->status != SY_OK
                       ? false
                       : sq_unsupported(
                             cx, -1,
                             "LIKE in CREATE TABLE is not supported by the sqlite engine") != NULL;
    }
    if (!later_constraints(cx, &def, node))
        return false;
    choose_key(&def);
    if (!sq_def_finish(cx, &def))
        return false;
    for (uint32_t i = 0; i < def.sequences.count; i++)
        if (!sq_ddl(cx, out, SY_SQDDL_CREATE, "public",
                    ((const struct sy_sqrelation *)def.sequences.items[i])->name,
                    def.sequences.items[i]))
            return false;
    return sq_step(cx, out, sq_table_sql(cx, def.relation, def.relation->name), false) &&
           sq_index_steps(cx, out, def.relation) &&
           sq_ddl(cx, out, SY_SQDDL_CREATE, "public", def.relation->name, def.relation);
}
