/* Rows of pg_catalog about the user's relations: pg_class, pg_attribute, pg_index, pg_constraint
 * and what hangs on them. */
#include <inttypes.h>
#include <string.h>

#include "router/engine/sqlite/pgcatalog.h"

enum { AM_HEAP = 2, AM_BTREE = 403, COLLATION_DEFAULT = 100 };
enum {
    CLASS_PG_CLASS = 1259,
    CLASS_PG_ATTRDEF = 2604,
    CLASS_PG_NAMESPACE = 2615,
    CLASS_PG_REWRITE = 2618
};

int16_t sy_sqlite_attnum(const struct sy_sqrelation *relation, const char *column)
{
    for (uint32_t i = 0; i < relation->column_count; i++) {
        if (strcmp(relation->columns[i].name, column) == 0)
            return relation->columns[i].attnum;
    }
    return 0;
}

/* Every relation, the user's first, then the emulated ones. NULL at the end. */
static const struct sy_sqrelation *any_relation(const struct sy_emit *e, uint32_t index)
{
    if (index < e->catalog->relation_count)
        return &e->catalog->relations[index];
    return sy_sqlite_emulated_at(index - e->catalog->relation_count);
}

static bool has_triggers(const struct sy_emit *e, const struct sy_sqrelation *r)
{
    /* PostgreSQL keeps foreign keys by triggers on both tables, and psql shows them only where it
     * finds some. */
    for (uint32_t i = 0; i < r->constraint_count; i++) {
        if (r->constraints[i].kind == 'f')
            return true;
    }
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *other = &e->catalog->relations[i];
        for (uint32_t c = 0; c < other->constraint_count; c++) {
            if (other->constraints[c].kind == 'f' &&
                strcmp(other->constraints[c].ref_table, r->name) == 0)
                return true;
        }
    }
    return false;
}

static void class_common(struct sy_emit *e, uint32_t oid, const char *name, const char *schema,
                         char kind)
{
    sy_emit_begin(e);
    sy_emit_int(e, "oid", oid);
    sy_emit_text(e, "relname", name);
    sy_emit_int(e, "relnamespace", sy_sqlite_schema_oid(schema));
    sy_emit_int(e, "relowner", SY_SQLITE_ROLE);
    sy_emit_int(e, "relfilenode", kind == 'v' ? 0 : oid);
    sy_emit_int(e, "reltuples", -1);
    sy_emit_char(e, "relpersistence", 'p');
    sy_emit_char(e, "relkind", kind);
    sy_emit_char(e, "relreplident", oid < SY_SQLITE_FIRST_OID || kind != 'r' ? 'n' : 'd');
    sy_emit_int(e, "relispopulated", 1);
}

static void class_relation(struct sy_emit *e, const struct sy_sqrelation *r)
{
    uint32_t checks = 0;
    for (uint32_t i = 0; i < r->constraint_count; i++)
        checks += r->constraints[i].kind == 'c' ? 1 : 0;
    class_common(e, r->oid, r->name, r->schema, r->kind);
    sy_emit_int(e, "relam", r->kind == 'r' ? AM_HEAP : 0);
    sy_emit_int(e, "relhasindex", r->index_count > 0);
    sy_emit_int(e, "relnatts", r->kind == 'S' ? 3 : r->column_count);
    sy_emit_int(e, "relchecks", checks);
    sy_emit_int(e, "relhasrules", r->kind == 'v');
    sy_emit_int(e, "relhastriggers",
                r->kind == 'r' && r->oid >= SY_SQLITE_FIRST_OID && has_triggers(e, r));
    sy_emit_end(e);
}

static void rows_class(struct sy_emit *e)
{
    const struct sy_sqrelation *r = NULL;
    for (uint32_t i = 0; (r = any_relation(e, i)) != NULL; i++)
        class_relation(e, r);
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        if (o->index == NULL)
            continue;
        class_common(e, o->oid, o->index->name, o->relation->schema, 'i');
        sy_emit_int(e, "relam", AM_BTREE);
        sy_emit_int(e, "relnatts", o->index->key_count);
        sy_emit_end(e);
    }
}

/* ---- columns ---- */

static void attribute(struct sy_emit *e, uint32_t relation, const char *name, uint32_t type,
                      int32_t typmod, int attnum)
{
    const struct sy_type_info *info = sy_type_find(type);
    int16_t length = info == NULL ? -1 : info->length;
    sy_emit_begin(e);
    sy_emit_int(e, "attrelid", relation);
    sy_emit_text(e, "attname", name);
    sy_emit_int(e, "atttypid", type);
    sy_emit_int(e, "attstattarget", -1);
    sy_emit_int(e, "attlen", length);
    sy_emit_int(e, "attnum", attnum);
    sy_emit_int(e, "attndims", info != NULL && info->category == 'A');
    sy_emit_int(e, "attcacheoff", -1);
    sy_emit_int(e, "atttypmod", typmod);
    sy_emit_int(e, "attbyval", length == 1 || length == 2 || length == 4 || length == 8);
    sy_emit_char(e, "attalign",
                 length == 8                 ? 'd'
                 : length == 2               ? 's'
                 : length == 1 || length > 8 ? 'c'
                                             : 'i');
    sy_emit_char(e, "attstorage", sy_sqlite_storage_of(info));
    sy_emit_text(e, "attcompression", "");
    sy_emit_text(e, "attidentity", "");
    sy_emit_text(e, "attgenerated", "");
    sy_emit_int(e, "attislocal", 1);
    sy_emit_int(e, "attcollation", info != NULL && info->category == 'S' ? COLLATION_DEFAULT : 0);
}

static void attributes_of(struct sy_emit *e, const struct sy_sqrelation *r)
{
    for (uint32_t i = 0; i < r->column_count; i++) {
        const struct sy_sqcolumn *c = &r->columns[i];
        attribute(e, r->oid, c->name, c->type, c->typmod, c->attnum);
        sy_emit_int(e, "attnotnull", c->not_null);
        sy_emit_int(e, "atthasdef", c->default_sql != NULL && c->identity == 0);
        if (c->identity != 0)
            sy_emit_char(e, "attidentity", c->identity);
        if (c->generated != 0)
            sy_emit_char(e, "attgenerated", c->generated);
        sy_emit_end(e);
    }
}

static void attributes_of_sequence(struct sy_emit *e, const struct sy_sqrelation *r)
{
    static const struct {
        const char *name;
        uint32_t type;
    } columns[] = {{"last_value", SY_T_INT8}, {"log_cnt", SY_T_INT8}, {"is_called", SY_T_BOOL}};
    for (int i = 0; i < 3; i++) {
        attribute(e, r->oid, columns[i].name, columns[i].type, -1, i + 1);
        sy_emit_int(e, "attnotnull", 1);
        sy_emit_end(e);
    }
}

/* A key that is a function call bears the function's name, any other expression "expr". */
static const char *key_name(const char *key, char buffer[static SY_LIMIT_NAME_BYTES + 1])
{
    size_t bytes = strspn(key, "abcdefghijklmnopqrstuvwxyz_0123456789");
    if (bytes == 0 || bytes > SY_LIMIT_NAME_BYTES || key[bytes] != '(')
        return "expr";
    memcpy(buffer, key, bytes);
    buffer[bytes] = '\0';
    return buffer;
}

static void attributes_of_index(struct sy_emit *e, const struct sy_sqlite_object *o)
{
    for (uint32_t i = 0; i < o->index->key_count; i++) {
        int16_t column = o->index->key_columns[i];
        bool plain = column >= 0 && (uint32_t)column < o->relation->column_count;
        const struct sy_sqcolumn *c = plain ? &o->relation->columns[column] : NULL;
        char name[SY_LIMIT_NAME_BYTES + 1];
        attribute(e, o->oid, plain ? c->name : key_name(o->index->keys[i], name),
                  plain ? c->type : SY_T_TEXT, plain ? c->typmod : -1, (int)i + 1);
        sy_emit_end(e);
    }
}

static void rows_attribute(struct sy_emit *e)
{
    const struct sy_sqrelation *r = NULL;
    for (uint32_t i = 0; (r = any_relation(e, i)) != NULL; i++) {
        if (r->kind == 'S')
            attributes_of_sequence(e, r);
        else
            attributes_of(e, r);
    }
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        if (e->catalog->objects[i].index != NULL)
            attributes_of_index(e, &e->catalog->objects[i]);
    }
}

/* pg_attrdef has no OIDs of its own here: one is made of the column it belongs to. */
static uint32_t attrdef_oid(const struct sy_sqrelation *r, int16_t attnum)
{
    return (uint32_t)(r->oid * 1600 + (uint16_t)attnum);
}

static void rows_attrdef(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        for (uint32_t c = 0; c < r->column_count; c++) {
            if (r->columns[c].default_sql == NULL || r->columns[c].identity != 0)
                continue;
            sy_emit_begin(e);
            sy_emit_int(e, "oid", attrdef_oid(r, r->columns[c].attnum));
            sy_emit_int(e, "adrelid", r->oid);
            sy_emit_int(e, "adnum", r->columns[c].attnum);
            sy_emit_text(e, "adbin", r->columns[c].default_sql);
            sy_emit_end(e);
        }
    }
}

/* ---- indexes and constraints ---- */

static void emit_keys(struct sy_emit *e, const struct sy_sqlite_object *o)
{
    struct sy_buf keys = {0}, options = {0}, zeros = {0}, expressions = {0};
    for (uint32_t i = 0; i < o->index->key_count; i++) {
        int16_t column = o->index->key_columns[i];
        const char *space = i == 0 ? "" : " ";
        sy_buf_printf(&keys, "%s%d", space, column < 0 ? 0 : o->relation->columns[column].attnum);
        sy_buf_printf(&options, "%s%u", space,
                      o->index->key_options == NULL ? 0u : o->index->key_options[i]);
        sy_buf_printf(&zeros, "%s0", space);
        if (column < 0)
            sy_buf_printf(&expressions, "%s%s", expressions.bytes > 0 ? ", " : "",
                          o->index->keys[i]);
    }
    sy_emit_format(e, "indkey", "%.*s", (int)keys.bytes, keys.data);
    sy_emit_format(e, "indoption", "%.*s", (int)options.bytes, options.data);
    sy_emit_format(e, "indcollation", "%.*s", (int)zeros.bytes, zeros.data);
    sy_emit_format(e, "indclass", "%.*s", (int)zeros.bytes, zeros.data);
    if (expressions.bytes > 0)
        sy_emit_format(e, "indexprs", "%.*s", (int)expressions.bytes, expressions.data);
    sy_buf_release(&keys);
    sy_buf_release(&options);
    sy_buf_release(&zeros);
    sy_buf_release(&expressions);
}

static void rows_index(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        if (o->index == NULL || o->index->key_count == 0)
            continue;
        sy_emit_begin(e);
        sy_emit_int(e, "indexrelid", o->oid);
        sy_emit_int(e, "indrelid", o->relation->oid);
        sy_emit_int(e, "indnatts", o->index->key_count);
        sy_emit_int(e, "indnkeyatts", o->index->key_count);
        sy_emit_int(e, "indisunique", o->index->unique);
        sy_emit_int(e, "indisprimary", o->index->primary);
        sy_emit_int(e, "indimmediate", 1);
        sy_emit_int(e, "indisvalid", 1);
        sy_emit_int(e, "indisready", 1);
        sy_emit_int(e, "indislive", 1);
        emit_keys(e, o);
        sy_emit_text(e, "indpred", o->index->predicate);
        sy_emit_end(e);
    }
}

static void emit_columns(struct sy_emit *e, const char *column, const struct sy_sqrelation *r,
                         const int16_t *columns, const char *const *names, uint32_t count)
{
    struct sy_buf text = {0};
    for (uint32_t i = 0; i < count; i++) {
        int attnum = names != NULL ? sy_sqlite_attnum(r, names[i]) : r->columns[columns[i]].attnum;
        sy_buf_printf(&text, "%s%d", i == 0 ? "{" : ",", attnum);
    }
    if (count > 0)
        sy_emit_format(e, column, "%.*s}", (int)text.bytes, text.data);
    sy_buf_release(&text);
}

static uint32_t index_for(const struct sy_emit *e, const struct sy_sqrelation *r,
                          const char *const *columns, uint32_t count)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        if (o->relation != r || o->index == NULL || !o->index->unique ||
            o->index->key_count != count)
            continue;
        bool same = true;
        for (uint32_t k = 0; same && k < count; k++)
            same = o->index->key_columns[k] >= 0 &&
                   strcmp(r->columns[o->index->key_columns[k]].name, columns[k]) == 0;
        if (same)
            return o->oid;
    }
    return 0;
}

static void emit_foreign_key(struct sy_emit *e, const struct sy_sqlite_object *o)
{
    const struct sy_sqconstraint *c = o->constraint;
    const struct sy_sqrelation *parent =
        sy_sqlite_catalog_find(e->catalog, o->relation->schema, c->ref_table);
    sy_emit_char(e, "confupdtype", c->on_update);
    sy_emit_char(e, "confdeltype", c->on_delete);
    sy_emit_char(e, "confmatchtype", 's');
    if (parent == NULL || c->ref_columns == NULL)
        return;
    sy_emit_int(e, "confrelid", parent->oid);
    sy_emit_int(e, "conindid", index_for(e, parent, c->ref_columns, c->column_count));
    emit_columns(e, "confkey", parent, NULL, c->ref_columns, c->column_count);
}

static void rows_constraint(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        const struct sy_sqconstraint *c = o->constraint;
        if (c == NULL)
            continue;
        sy_emit_begin(e);
        sy_emit_int(e, "oid", o->oid);
        sy_emit_text(e, "conname", c->name);
        sy_emit_int(e, "connamespace", sy_sqlite_schema_oid(o->relation->schema));
        sy_emit_char(e, "contype", c->kind);
        sy_emit_int(e, "condeferrable", c->deferrable);
        sy_emit_int(e, "condeferred", c->deferred);
        sy_emit_int(e, "convalidated", 1);
        sy_emit_int(e, "conrelid", o->relation->oid);
        sy_emit_int(e, "conindid", o->index_oid);
        sy_emit_char(e, "confupdtype", ' ');
        sy_emit_char(e, "confdeltype", ' ');
        sy_emit_char(e, "confmatchtype", ' ');
        sy_emit_int(e, "conislocal", 1);
        sy_emit_int(e, "connoinherit", c->kind != 'c');
        emit_columns(e, "conkey", o->relation, c->columns, NULL, c->column_count);
        if (c->kind == 'f')
            emit_foreign_key(e, o);
        sy_emit_text(e, "conbin", c->expression);
        sy_emit_end(e);
    }
}

/* ---- views upon them ---- */

static bool is_user_table(const struct sy_sqrelation *r)
{
    return r->kind == 'r' && r->oid >= SY_SQLITE_FIRST_OID;
}

static void rows_tables(struct sy_emit *e)
{
    const struct sy_sqrelation *r = NULL;
    for (uint32_t i = 0; (r = any_relation(e, i)) != NULL; i++) {
        if (r->kind != 'r')
            continue;
        sy_emit_begin(e);
        sy_emit_text(e, "schemaname", r->schema);
        sy_emit_text(e, "tablename", r->name);
        sy_emit_text(e, "tableowner", e->session->user);
        sy_emit_int(e, "hasindexes", r->index_count > 0);
        sy_emit_int(e, "hastriggers", is_user_table(r) && has_triggers(e, r));
        sy_emit_end(e);
    }
}

static void rows_views(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        if (r->kind != 'v')
            continue;
        sy_emit_begin(e);
        sy_emit_text(e, "schemaname", r->schema);
        sy_emit_text(e, "viewname", r->name);
        sy_emit_text(e, "viewowner", e->session->user);
        sy_emit_format(e, "definition", " %s;", r->view_sql);
        sy_emit_end(e);
    }
}

static void rows_indexes(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->object_count; i++) {
        const struct sy_sqlite_object *o = &e->catalog->objects[i];
        if (o->index == NULL)
            continue;
        struct sy_buf def = {0};
        sy_sqlite_indexdef(o, false, &def);
        sy_emit_begin(e);
        sy_emit_text(e, "schemaname", o->relation->schema);
        sy_emit_text(e, "tablename", o->relation->name);
        sy_emit_text(e, "indexname", o->index->name);
        sy_emit_format(e, "indexdef", "%.*s", (int)def.bytes, def.data == NULL ? "" : def.data);
        sy_emit_end(e);
        sy_buf_release(&def);
    }
}

static void rows_sequence(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        if (r->sequence == NULL)
            continue;
        sy_emit_begin(e);
        sy_emit_int(e, "seqrelid", r->oid);
        sy_emit_int(e, "seqtypid", r->sequence->type);
        sy_emit_int(e, "seqstart", r->sequence->start);
        sy_emit_int(e, "seqincrement", r->sequence->increment);
        sy_emit_int(e, "seqmax", r->sequence->maximum);
        sy_emit_int(e, "seqmin", r->sequence->minimum);
        sy_emit_int(e, "seqcache", r->sequence->cache);
        sy_emit_int(e, "seqcycle", r->sequence->cycle);
        sy_emit_end(e);
    }
}

static void rows_sequences(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        const struct sy_sqsequence *q = r->sequence;
        if (q == NULL)
            continue;
        sy_emit_begin(e);
        sy_emit_text(e, "schemaname", r->schema);
        sy_emit_text(e, "sequencename", r->name);
        sy_emit_text(e, "sequenceowner", e->session->user);
        sy_emit_int(e, "data_type", q->type);
        sy_emit_int(e, "start_value", q->start);
        sy_emit_int(e, "min_value", q->minimum);
        sy_emit_int(e, "max_value", q->maximum);
        sy_emit_int(e, "increment_by", q->increment);
        sy_emit_int(e, "cycle", q->cycle);
        sy_emit_int(e, "cache_size", q->cache);
        sy_emit_end(e);
    }
}

static void describe(struct sy_emit *e, uint32_t class, uint32_t oid, int attnum, const char *text)
{
    if (text == NULL)
        return;
    sy_emit_begin(e);
    sy_emit_int(e, "objoid", oid);
    sy_emit_int(e, "classoid", class);
    sy_emit_int(e, "objsubid", attnum);
    sy_emit_text(e, "description", text);
    sy_emit_end(e);
}

static void rows_description(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        describe(e, CLASS_PG_CLASS, r->oid, 0, r->comment);
        for (uint32_t c = 0; c < r->column_count; c++)
            describe(e, CLASS_PG_CLASS, r->oid, r->columns[c].attnum, r->columns[c].comment);
    }
    describe(e, CLASS_PG_NAMESPACE, SY_SQLITE_SCHEMA_PG_CATALOG, 0, "system catalog schema");
    describe(e, CLASS_PG_NAMESPACE, SY_SQLITE_SCHEMA_PUBLIC, 0, "standard public schema");
}

static void depend(struct sy_emit *e, uint32_t class, uint32_t object,
                   const struct sy_sqrelation *on, int attnum, char type)
{
    sy_emit_begin(e);
    sy_emit_int(e, "classid", class);
    sy_emit_int(e, "objid", object);
    sy_emit_int(e, "refclassid", CLASS_PG_CLASS);
    sy_emit_int(e, "refobjid", on->oid);
    sy_emit_int(e, "refobjsubid", attnum);
    sy_emit_char(e, "deptype", type);
    sy_emit_end(e);
}

/* The sequence that a default takes its value from, NULL: none. */
static const struct sy_sqrelation *sequence_of_default(const struct sy_emit *e, const char *text)
{
    static const char call[] = "nextval('";
    const char *at = text == NULL ? NULL : strstr(text, call);
    char *name = NULL;
    uint32_t oid = 0;
    struct sy_err ignored = {0};
    if (at == NULL)
        return NULL;
    at += sizeof(call) - 1;
    size_t bytes = 0, from = 0;
    name = sy_arena_strdup(e->arena, at);
    for (; name != NULL && at[from] != '\0'; from++) {
        if (at[from] == '\'' && at[++from] != '\'')
            break;
        name[bytes++] = at[from];
    }
    struct sy_sqlite_session *s = e->session;
    if (name == NULL ||
        !s->sq.types.reg_in(s, SY_T_REGCLASS, (struct sy_slice){name, bytes}, &oid, &ignored))
        return NULL;
    return sy_sqlite_catalog_by_oid(e->catalog, oid);
}

static void depend_defaults(struct sy_emit *e, const struct sy_sqrelation *r)
{
    for (uint32_t c = 0; c < r->column_count; c++) {
        const struct sy_sqcolumn *column = &r->columns[c];
        if (column->default_sql == NULL || column->identity != 0)
            continue;
        uint32_t oid = attrdef_oid(r, column->attnum);
        depend(e, CLASS_PG_ATTRDEF, oid, r, column->attnum, 'a');
        const struct sy_sqrelation *sequence = sequence_of_default(e, column->default_sql);
        if (sequence != NULL)
            depend(e, CLASS_PG_ATTRDEF, oid, sequence, 0, 'n');
    }
}

/* A view's rule has the view's own OID. */
struct view_rule {
    struct sy_emit *e;
    uint32_t oid;
};

static void depend_view(void *ctx, const struct sy_sqrelation *relation)
{
    const struct view_rule *rule = ctx;
    depend(rule->e, CLASS_PG_REWRITE, rule->oid, relation, 0, 'n');
}

/* What drivers and pg_dump look for: which sequence belongs to which column, which one its default
 * needs, and what a view reads. */
static void rows_depend(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        depend_defaults(e, r);
        if (r->kind == 'v' && r->view_sql != NULL) {
            struct view_rule rule = {e, r->oid};
            depend(e, CLASS_PG_REWRITE, r->oid, r, 0, 'i');
            sy_sqlite_query_relations(e->catalog, r->view_sql, depend_view, &rule);
        }
        if (r->sequence == NULL || r->sequence->owner_table == NULL)
            continue;
        const struct sy_sqrelation *owner =
            sy_sqlite_catalog_find(e->catalog, r->schema, r->sequence->owner_table);
        if (owner != NULL)
            depend(e, CLASS_PG_CLASS, r->oid, owner,
                   sy_sqlite_attnum(owner, r->sequence->owner_column),
                   r->sequence->identity ? 'i' : 'a');
    }
}

/* The schemas of the system are as they were made. */
static void rows_init_privs(struct sy_emit *e)
{
    static const uint32_t schemas[] = {SY_SQLITE_SCHEMA_PG_CATALOG, SY_SQLITE_SCHEMA_INFORMATION};
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++) {
        struct sy_buf acl = {0};
        sy_sqlite_acl_schema(e->session->user, &acl);
        sy_emit_begin(e);
        sy_emit_int(e, "objoid", schemas[i]);
        sy_emit_int(e, "classoid", CLASS_PG_NAMESPACE);
        sy_emit_char(e, "privtype", 'i');
        sy_emit_format(e, "initprivs", "%.*s", (int)acl.bytes, acl.data == NULL ? "" : acl.data);
        sy_emit_end(e);
        sy_buf_release(&acl);
    }
}

static void rows_rewrite(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        if (r->kind != 'v')
            continue;
        sy_emit_begin(e);
        sy_emit_int(e, "oid", r->oid);
        sy_emit_text(e, "rulename", "_RETURN");
        sy_emit_int(e, "ev_class", r->oid);
        sy_emit_char(e, "ev_type", '1');
        sy_emit_char(e, "ev_enabled", 'O');
        sy_emit_int(e, "is_instead", 1);
        sy_emit_end(e);
    }
}

static void rows_stat_tables(struct sy_emit *e)
{
    for (uint32_t i = 0; i < e->catalog->relation_count; i++) {
        const struct sy_sqrelation *r = &e->catalog->relations[i];
        if (!is_user_table(r))
            continue;
        sy_emit_begin(e);
        sy_emit_int(e, "relid", r->oid);
        sy_emit_text(e, "schemaname", r->schema);
        sy_emit_text(e, "relname", r->name);
        sy_emit_end(e);
    }
}

const struct sy_emit_source sy_emit_objects[] = {
    {"pg_catalog", "pg_class", rows_class, false},
    {"pg_catalog", "pg_attribute", rows_attribute, false},
    {"pg_catalog", "pg_attrdef", rows_attrdef, false},
    {"pg_catalog", "pg_index", rows_index, false},
    {"pg_catalog", "pg_constraint", rows_constraint, false},
    {"pg_catalog", "pg_tables", rows_tables, false},
    {"pg_catalog", "pg_views", rows_views, false},
    {"pg_catalog", "pg_indexes", rows_indexes, false},
    {"pg_catalog", "pg_sequence", rows_sequence, false},
    {"pg_catalog", "pg_sequences", rows_sequences, false},
    {"pg_catalog", "pg_description", rows_description, false},
    {"pg_catalog", "pg_depend", rows_depend, false},
    {"pg_catalog", "pg_init_privs", rows_init_privs, false},
    {"pg_catalog", "pg_rewrite", rows_rewrite, false},
    {"pg_catalog", "pg_stat_user_tables", rows_stat_tables, false},
    {"pg_catalog", "pg_stat_all_tables", rows_stat_tables, false},
    {NULL, NULL, NULL, false},
};
