/* Rows of information_schema: about the user's relations (and, where PostgreSQL has them, the
 * catalogs' own). */
#include <string.h>

#include "router/engine/sqlite/pgcatalog.h"

static const struct sy_sqrelation *any_relation(const struct sy_emit *e, uint32_t index)
{
    if (index < e->catalog->relation_count)
        return &e->catalog->relations[index];
    return sy_sqlite_emulated_at(index - e->catalog->relation_count);
}

static const char *yes_no(bool yes)
{
    return yes ? "YES" : "NO";
}

static void rows_tables(struct sy_emit *e)
{
    const struct sy_sqrelation *r = NULL;
    for (uint32_t i = 0; (r = any_relation(e, i)) != NULL; i++) {
        if (r->kind == 'S')
            continue;
        sy_emit_begin(e);
        sy_emit_text(e, "table_catalog", e->session->database);
        sy_emit_text(e, "table_schema", r->schema);
        sy_emit_text(e, "table_name", r->name);
        sy_emit_text(e, "table_type", r->kind == 'v' ? "VIEW" : "BASE TABLE");
        sy_emit_text(e, "is_insertable_into", yes_no(r->kind == 'r' && !r->read_only));
        sy_emit_text(e, "is_typed", "NO");
        sy_emit_end(e);
    }
}

/* ---- columns ---- */

static void emit_numeric(struct sy_emit *e, const struct sy_sqcolumn *c)
{
    int bits = c->type == SY_T_INT2   ? 16
               : c->type == SY_T_INT4 ? 32
               : c->type == SY_T_INT8 ? 64
                                      : 0;
    if (c->type == SY_T_FLOAT4 || c->type == SY_T_FLOAT8) {
        sy_emit_int(e, "numeric_precision", c->type == SY_T_FLOAT4 ? 24 : 53);
        sy_emit_int(e, "numeric_precision_radix", 2);
    } else if (bits > 0) {
        sy_emit_int(e, "numeric_precision", bits);
        sy_emit_int(e, "numeric_precision_radix", 2);
        sy_emit_int(e, "numeric_scale", 0);
    } else if (c->type == SY_T_NUMERIC) {
        sy_emit_int(e, "numeric_precision_radix", 10);
        if (c->typmod >= 4) {
            sy_emit_int(e, "numeric_precision", (c->typmod - 4) >> 16);
            sy_emit_int(e, "numeric_scale", (c->typmod - 4) & 0x7ff);
        }
    }
}

static void emit_type(struct sy_emit *e, const struct sy_sqcolumn *c)
{
    static const char *const empty[] = {
        "character_maximum_length", "character_octet_length", "numeric_precision",
        "numeric_precision_radix",  "numeric_scale",          "datetime_precision",
        "interval_precision",       "maximum_cardinality"};
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
        sy_emit_text(e, empty[i], NULL);
    const struct sy_type_info *t = sy_type_find(c->type);
    sy_emit_text(e, "data_type", t == NULL ? "text" : t->category == 'A' ? "ARRAY" : t->display);
    sy_emit_text(e, "udt_catalog", e->session->database);
    sy_emit_text(e, "udt_schema", "pg_catalog");
    sy_emit_text(e, "udt_name", t == NULL ? "text" : t->name);
    if ((c->type == SY_T_VARCHAR || c->type == SY_T_BPCHAR) && c->typmod > 4) {
        sy_emit_int(e, "character_maximum_length", c->typmod - 4);
        sy_emit_int(e, "character_octet_length", (c->typmod - 4) * 4);
    } else if (t != NULL && t->category == 'S') {
        sy_emit_int(e, "character_octet_length", 1073741824);
    }
    if (t != NULL && t->category == 'D')
        sy_emit_int(e, "datetime_precision",
                    c->type == SY_T_DATE ? 0
                    : c->typmod >= 0     ? c->typmod
                                         : 6);
    if (c->type == SY_T_INTERVAL)
        sy_emit_int(e, "datetime_precision", 6);
    emit_numeric(e, c);
}

static void emit_column(struct sy_emit *e, const struct sy_sqrelation *r,
                        const struct sy_sqcolumn *c)
{
    sy_emit_begin(e);
    sy_emit_text(e, "table_catalog", e->session->database);
    sy_emit_text(e, "table_schema", r->schema);
    sy_emit_text(e, "table_name", r->name);
    sy_emit_text(e, "column_name", c->name);
    sy_emit_int(e, "ordinal_position", c->attnum);
    sy_emit_text(e, "column_default",
                 c->generated != 0 || c->identity != 0 ? NULL : c->default_sql);
    sy_emit_text(e, "is_nullable", yes_no(!c->not_null));
    emit_type(e, c);
    sy_emit_format(e, "dtd_identifier", "%d", c->attnum);
    sy_emit_text(e, "is_self_referencing", "NO");
    sy_emit_text(e, "is_identity", yes_no(c->identity != 0));
    sy_emit_text(e, "identity_generation",
                 c->identity == 0     ? NULL
                 : c->identity == 'a' ? "ALWAYS"
                                      : "BY DEFAULT");
    sy_emit_text(e, "identity_cycle", "NO");
    sy_emit_text(e, "is_generated", c->generated != 0 ? "ALWAYS" : "NEVER");
    sy_emit_text(e, "generation_expression", c->generated != 0 ? c->default_sql : NULL);
    sy_emit_text(e, "is_updatable", yes_no(r->kind == 'r' && !r->read_only));
    sy_emit_end(e);
}

static void rows_columns(struct sy_emit *e)
{
    const struct sy_sqrelation *r = NULL;
    for (uint32_t i = 0; (r = any_relation(e, i)) != NULL; i++) {
        for (uint32_t c = 0; r->kind != 'S' && c < r->column_count; c++)
            emit_column(e, r, &r->columns[c]);
    }
}

static void rows_views(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        if (r->kind != 'v')
            continue;
        sy_emit_begin(e);
        sy_emit_text(e, "table_catalog", e->session->database);
        sy_emit_text(e, "table_schema", r->schema);
        sy_emit_text(e, "table_name", r->name);
        sy_emit_format(e, "view_definition", " %s;", r->view_sql);
        sy_emit_text(e, "check_option", "NONE");
        sy_emit_text(e, "is_updatable", "NO");
        sy_emit_text(e, "is_insertable_into", "NO");
        sy_emit_text(e, "is_trigger_updatable", "NO");
        sy_emit_text(e, "is_trigger_deletable", "NO");
        sy_emit_text(e, "is_trigger_insertable_into", "NO");
        sy_emit_end(e);
    }
}

/* ---- constraints ---- */

static void emit_constraint_name(struct sy_emit *e, const struct sy_sqrelation *r, const char *name)
{
    sy_emit_begin(e);
    sy_emit_text(e, "constraint_catalog", e->session->database);
    sy_emit_text(e, "constraint_schema", r->schema);
    sy_emit_text(e, "constraint_name", name);
}

static void emit_table_name(struct sy_emit *e, const struct sy_sqrelation *r)
{
    sy_emit_text(e, "table_catalog", e->session->database);
    sy_emit_text(e, "table_schema", r->schema);
    sy_emit_text(e, "table_name", r->name);
}

static void rows_table_constraints(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        const struct sy_sqconstraint *c = o->constraint;
        if (c == NULL)
            continue;
        emit_constraint_name(e, o->relation, c->name);
        emit_table_name(e, o->relation);
        sy_emit_text(e, "constraint_type",
                     c->kind == 'p'   ? "PRIMARY KEY"
                     : c->kind == 'u' ? "UNIQUE"
                     : c->kind == 'f' ? "FOREIGN KEY"
                                      : "CHECK");
        sy_emit_text(e, "is_deferrable", yes_no(c->deferrable));
        sy_emit_text(e, "initially_deferred", yes_no(c->deferred));
        sy_emit_text(e, "enforced", "YES");
        sy_emit_end(e);
    }
}

static void rows_key_column_usage(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        const struct sy_sqconstraint *c = o->constraint;
        for (uint32_t k = 0; c != NULL && c->kind != 'c' && k < c->column_count; k++) {
            emit_constraint_name(e, o->relation, c->name);
            emit_table_name(e, o->relation);
            sy_emit_text(e, "column_name", o->relation->columns[c->columns[k]].name);
            sy_emit_int(e, "ordinal_position", k + 1);
            sy_emit_text(e, "position_in_unique_constraint", NULL);
            if (c->kind == 'f')
                sy_emit_int(e, "position_in_unique_constraint", k + 1);
            sy_emit_end(e);
        }
    }
}

static void emit_used_column(struct sy_emit *e, const struct sy_sqlite_object *o,
                             const struct sy_sqrelation *used, const char *column)
{
    emit_constraint_name(e, o->relation, o->constraint->name);
    emit_table_name(e, used);
    sy_emit_text(e, "column_name", column);
    sy_emit_end(e);
}

static void rows_constraint_column_usage(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        const struct sy_sqconstraint *c = o->constraint;
        if (c == NULL)
            continue;
        const struct sy_sqrelation *used =
            c->kind == 'f' ? sy_sqlite_catalog_find(e->catalog, o->relation->schema, c->ref_table)
                           : o->relation;
        for (uint32_t k = 0; used != NULL && k < c->column_count; k++) {
            if (c->kind == 'f' && c->ref_columns != NULL)
                emit_used_column(e, o, used, c->ref_columns[k]);
            else if (c->kind != 'f')
                emit_used_column(e, o, used, used->columns[c->columns[k]].name);
        }
    }
}

static const struct sy_sqconstraint *referenced_key(const struct sy_sqrelation *parent,
                                                    const struct sy_sqconstraint *c)
{
    for (uint32_t i = 0; i < parent->constraint_count; i++) {
        const struct sy_sqconstraint *key = &parent->constraints[i];
        bool same = (key->kind == 'p' || key->kind == 'u') && key->column_count == c->column_count;
        for (uint32_t k = 0; same && k < c->column_count; k++)
            same = strcmp(parent->columns[key->columns[k]].name, c->ref_columns[k]) == 0;
        if (same)
            return key;
    }
    return NULL;
}

static const char *rule_name(char rule)
{
    return rule == 'c'   ? "CASCADE"
           : rule == 'n' ? "SET NULL"
           : rule == 'd' ? "SET DEFAULT"
           : rule == 'r' ? "RESTRICT"
                         : "NO ACTION";
}

static void rows_referential_constraints(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        const struct sy_sqconstraint *c = o->constraint;
        if (c == NULL || c->kind != 'f' || c->ref_columns == NULL)
            continue;
        const struct sy_sqrelation *parent =
            sy_sqlite_catalog_find(e->catalog, o->relation->schema, c->ref_table);
        const struct sy_sqconstraint *key = parent == NULL ? NULL : referenced_key(parent, c);
        emit_constraint_name(e, o->relation, c->name);
        if (key != NULL) {
            sy_emit_text(e, "unique_constraint_catalog", e->session->database);
            sy_emit_text(e, "unique_constraint_schema", parent->schema);
            sy_emit_text(e, "unique_constraint_name", key->name);
        }
        sy_emit_text(e, "match_option", "NONE");
        sy_emit_text(e, "update_rule", rule_name(c->on_update));
        sy_emit_text(e, "delete_rule", rule_name(c->on_delete));
        sy_emit_end(e);
    }
}

static void rows_check_constraints(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        if (o->constraint == NULL || o->constraint->kind != 'c')
            continue;
        emit_constraint_name(e, o->relation, o->constraint->name);
        sy_emit_format(e, "check_clause", "(%s)", o->constraint->expression);
        sy_emit_end(e);
    }
}

/* ---- the rest ---- */

static void rows_schemata(struct sy_emit *e)
{
    static const char *const names[] = {"public", "information_schema", "pg_catalog"};
    for (int i = 0; i < 3; i++) {
        sy_emit_begin(e);
        sy_emit_text(e, "catalog_name", e->session->database);
        sy_emit_text(e, "schema_name", names[i]);
        sy_emit_text(e, "schema_owner", e->session->user);
        sy_emit_end(e);
    }
}

static void rows_sequences(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        const struct sy_sqsequence *q = r->sequence;
        if (q == NULL || q->identity)
            continue;
        const struct sy_type_info *type = sy_type_find(q->type);
        sy_emit_begin(e);
        sy_emit_text(e, "sequence_catalog", e->session->database);
        sy_emit_text(e, "sequence_schema", r->schema);
        sy_emit_text(e, "sequence_name", r->name);
        sy_emit_text(e, "data_type", type == NULL ? "bigint" : type->display);
        sy_emit_int(e, "numeric_precision",
                    q->type == SY_T_INT2   ? 16
                    : q->type == SY_T_INT4 ? 32
                                           : 64);
        sy_emit_int(e, "numeric_precision_radix", 2);
        sy_emit_format(e, "start_value", "%lld", (long long)q->start);
        sy_emit_format(e, "minimum_value", "%lld", (long long)q->minimum);
        sy_emit_format(e, "maximum_value", "%lld", (long long)q->maximum);
        sy_emit_format(e, "increment", "%lld", (long long)q->increment);
        sy_emit_text(e, "cycle_option", yes_no(q->cycle));
        sy_emit_end(e);
    }
}

static void rows_roles(struct sy_emit *e)
{
    sy_emit_begin(e);
    sy_emit_text(e, "role_name", e->session->user);
    sy_emit_end(e);
}

static void rows_catalog_name(struct sy_emit *e)
{
    sy_emit_begin(e);
    sy_emit_text(e, "catalog_name", e->session->database);
    sy_emit_end(e);
}

static void rows_table_privileges(struct sy_emit *e)
{
    static const char *const kinds[] = {"INSERT",   "SELECT",     "UPDATE", "DELETE",
                                        "TRUNCATE", "REFERENCES", "TRIGGER"};
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        for (size_t k = 0; r->kind != 'S' && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            sy_emit_begin(e);
            sy_emit_text(e, "grantor", e->session->user);
            sy_emit_text(e, "grantee", e->session->user);
            emit_table_name(e, r);
            sy_emit_text(e, "privilege_type", kinds[k]);
            sy_emit_text(e, "is_grantable", "YES");
            sy_emit_text(e, "with_hierarchy", yes_no(k == 1));
            sy_emit_end(e);
        }
    }
}

const struct sy_emit_source sy_emit_information[] = {
    {"information_schema", "tables", rows_tables, false},
    {"information_schema", "columns", rows_columns, false},
    {"information_schema", "views", rows_views, false},
    {"information_schema", "table_constraints", rows_table_constraints, false},
    {"information_schema", "key_column_usage", rows_key_column_usage, false},
    {"information_schema", "constraint_column_usage", rows_constraint_column_usage, false},
    {"information_schema", "referential_constraints", rows_referential_constraints, false},
    {"information_schema", "check_constraints", rows_check_constraints, false},
    {"information_schema", "schemata", rows_schemata, false},
    {"information_schema", "sequences", rows_sequences, false},
    {"information_schema", "enabled_roles", rows_roles, false},
    {"information_schema", "information_schema_catalog_name", rows_catalog_name, false},
    {"information_schema", "table_privileges", rows_table_privileges, false},
    {"information_schema", "role_table_grants", rows_table_privileges, false},
    {NULL, NULL, NULL, false},
};
