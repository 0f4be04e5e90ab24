/* A relation of the catalog to and from JSON, as stored in sy_catalog_relation.body. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/catalog.h"

/* ---- writing: cJSON reports exhausted memory by NULL, which every step passes on ---- */

static bool put_text(cJSON *to, const char *key, const char *text)
{
    return text == NULL || cJSON_AddStringToObject(to, key, text) != NULL;
}

/* 64-bit numbers travel as text: a JSON number is a double in cJSON. */
static bool put_int(cJSON *to, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return value == 0 || cJSON_AddRawToObject(to, key, text) != NULL;
}

static bool put_big(cJSON *to, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    return cJSON_AddStringToObject(to, key, text) != NULL;
}

static cJSON *put_array(cJSON *to, const char *key)
{
    return cJSON_AddArrayToObject(to, key);
}

static cJSON *put_element(cJSON *array)
{
    cJSON *object = cJSON_CreateObject();
    if (object != NULL && !cJSON_AddItemToArray(array, object)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static bool put_number_element(cJSON *array, int64_t value)
{
    cJSON *number = cJSON_CreateNumber((double)value);
    return number != NULL && cJSON_AddItemToArray(array, number);
}

static bool put_text_element(cJSON *array, const char *text)
{
    cJSON *item = cJSON_CreateString(text);
    return item != NULL && cJSON_AddItemToArray(array, item);
}

static bool write_column(cJSON *to, const struct sy_sqcolumn *c)
{
    return put_text(to, "name", c->name) && put_int(to, "type", c->type) &&
           cJSON_AddNumberToObject(to, "typmod", c->typmod) != NULL &&
           put_int(to, "attnum", c->attnum) && put_int(to, "not_null", c->not_null) &&
           put_int(to, "rowid", c->rowid) && put_int(to, "identity", c->identity) &&
           put_int(to, "generated", c->generated) && put_text(to, "default", c->default_sql) &&
           put_text(to, "comment", c->comment);
}

static bool write_constraint(cJSON *to, const struct sy_sqconstraint *c)
{
    bool ok = put_text(to, "name", c->name) && put_int(to, "kind", c->kind) &&
              put_text(to, "expression", c->expression) &&
              put_text(to, "ref_table", c->ref_table) && put_int(to, "on_update", c->on_update) &&
              put_int(to, "on_delete", c->on_delete) && put_int(to, "deferrable", c->deferrable) &&
              put_int(to, "deferred", c->deferred);
    cJSON *columns = ok ? put_array(to, "columns") : NULL;
    for (uint32_t i = 0; columns != NULL && i < c->column_count; i++)
        ok = ok && put_number_element(columns, c->columns[i]);
    if (ok && columns != NULL && c->ref_columns != NULL) {
        cJSON *refs = put_array(to, "ref_columns");
        for (uint32_t i = 0; refs != NULL && i < c->column_count; i++)
            ok = ok && put_text_element(refs, c->ref_columns[i]);
        ok = ok && refs != NULL;
    }
    return ok && columns != NULL;
}

static bool write_index(cJSON *to, const struct sy_sqindex *x)
{
    bool ok = put_text(to, "name", x->name) && put_int(to, "unique", x->unique) &&
              put_int(to, "primary", x->primary) && put_int(to, "constraint", x->constraint) &&
              put_text(to, "predicate", x->predicate) && put_text(to, "method", x->method);
    cJSON *keys = ok ? put_array(to, "keys") : NULL;
    for (uint32_t i = 0; ok && keys != NULL && i < x->key_count; i++) {
        cJSON *key = put_element(keys);
        ok = key != NULL && put_text(key, "text", x->keys[i]) &&
             cJSON_AddNumberToObject(key, "column",
                                     x->key_columns == NULL ? -1 : x->key_columns[i]) != NULL &&
             put_int(key, "options", x->key_options == NULL ? 0 : x->key_options[i]);
    }
    return ok && keys != NULL;
}

static bool write_sequence(cJSON *to, const struct sy_sqsequence *s)
{
    return put_int(to, "type", s->type) && put_big(to, "start", s->start) &&
           put_big(to, "increment", s->increment) && put_big(to, "minimum", s->minimum) &&
           put_big(to, "maximum", s->maximum) && put_big(to, "cache", s->cache) &&
           put_int(to, "cycle", s->cycle) && put_text(to, "owner_table", s->owner_table) &&
           put_text(to, "owner_column", s->owner_column) && put_int(to, "identity", s->identity);
}

static bool write_parts(cJSON *to, const struct sy_sqrelation *r)
{
    cJSON *columns = put_array(to, "columns");
    cJSON *constraints = put_array(to, "constraints");
    cJSON *indexes = put_array(to, "indexes");
    bool ok = columns != NULL && constraints != NULL && indexes != NULL;
    for (uint32_t i = 0; ok && i < r->column_count; i++) {
        cJSON *item = put_element(columns);
        ok = item != NULL && write_column(item, &r->columns[i]);
    }
    for (uint32_t i = 0; ok && i < r->constraint_count; i++) {
        cJSON *item = put_element(constraints);
        ok = item != NULL && write_constraint(item, &r->constraints[i]);
    }
    for (uint32_t i = 0; ok && i < r->index_count; i++) {
        cJSON *item = put_element(indexes);
        ok = item != NULL && write_index(item, &r->indexes[i]);
    }
    if (ok && r->sequence != NULL) {
        cJSON *item = cJSON_AddObjectToObject(to, "sequence");
        ok = item != NULL && write_sequence(item, r->sequence);
    }
    return ok;
}

enum sy_status sy_sqlite_relation_write(const struct sy_sqrelation *relation, char **ret_json,
                                        struct sy_err *err)
{
    cJSON *root = cJSON_CreateObject();
    bool ok = root != NULL && put_int(root, "oid", relation->oid) &&
              put_text(root, "schema", relation->schema) &&
              put_text(root, "name", relation->name) && put_int(root, "kind", relation->kind) &&
              put_text(root, "sqlite_name", relation->sqlite_name) &&
              put_int(root, "hidden_key", relation->hidden_key) &&
              put_text(root, "view", relation->view_sql) &&
              put_text(root, "comment", relation->comment) && write_parts(root, relation);
    char *json = ok ? cJSON_PrintUnformatted(root) : NULL;
    cJSON_Delete(root);
    if (json == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *ret_json = json;
    return SY_OK;
}

/* ---- reading ---- */

static int64_t get_int(const cJSON *from, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);
    return cJSON_IsNumber(item) ? (int64_t)item->valuedouble : 0;
}

static int64_t get_big(const cJSON *from, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);
    return cJSON_IsString(item) ? strtoll(item->valuestring, NULL, 10) : 0;
}

static const char *get_text(const cJSON *from, const char *key, struct sy_arena *arena)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(from, key);
    return cJSON_IsString(item) ? sy_arena_strdup(arena, item->valuestring) : NULL;
}

static uint32_t get_count(const cJSON *from, const char *key)
{
    return (uint32_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(from, key));
}

static void read_column(const cJSON *from, struct sy_arena *arena, struct sy_sqcolumn *c)
{
    c->name = get_text(from, "name", arena);
    c->type = (uint32_t)get_int(from, "type");
    c->typmod = (int32_t)get_int(from, "typmod");
    c->attnum = (int16_t)get_int(from, "attnum");
    c->not_null = get_int(from, "not_null") != 0;
    c->rowid = get_int(from, "rowid") != 0;
    c->identity = (char)get_int(from, "identity");
    c->generated = (char)get_int(from, "generated");
    c->default_sql = get_text(from, "default", arena);
    c->comment = get_text(from, "comment", arena);
}

static bool read_constraint(const cJSON *from, struct sy_arena *arena, struct sy_sqconstraint *c)
{
    c->name = get_text(from, "name", arena);
    c->kind = (char)get_int(from, "kind");
    c->expression = get_text(from, "expression", arena);
    c->ref_table = get_text(from, "ref_table", arena);
    c->on_update = (char)get_int(from, "on_update");
    c->on_delete = (char)get_int(from, "on_delete");
    c->deferrable = get_int(from, "deferrable") != 0;
    c->deferred = get_int(from, "deferred") != 0;
    c->column_count = get_count(from, "columns");
    int16_t *columns = sy_arena_calloc(arena, c->column_count + 1, sizeof(*columns));
    const char **refs = sy_arena_calloc(arena, c->column_count + 1, sizeof(*refs));
    if (columns == NULL || refs == NULL)
        return false;
    const cJSON *item, *array = cJSON_GetObjectItemCaseSensitive(from, "columns");
    uint32_t n = 0;
    cJSON_ArrayForEach(item, array) columns[n++] = (int16_t)item->valuedouble;
    c->columns = columns;
    array = cJSON_GetObjectItemCaseSensitive(from, "ref_columns");
    n = 0;
    cJSON_ArrayForEach(item, array)
    {
        if (n < c->column_count && cJSON_IsString(item))
            refs[n++] = sy_arena_strdup(arena, item->valuestring);
    }
    c->ref_columns = array == NULL ? NULL : refs;
    return true;
}

static bool read_index(const cJSON *from, struct sy_arena *arena, struct sy_sqindex *x)
{
    x->name = get_text(from, "name", arena);
    x->unique = get_int(from, "unique") != 0;
    x->primary = get_int(from, "primary") != 0;
    x->constraint = get_int(from, "constraint") != 0;
    x->predicate = get_text(from, "predicate", arena);
    x->method = get_text(from, "method", arena);
    x->key_count = get_count(from, "keys");
    const char **keys = sy_arena_calloc(arena, x->key_count + 1, sizeof(*keys));
    int16_t *columns = sy_arena_calloc(arena, x->key_count + 1, sizeof(*columns));
    uint8_t *options = sy_arena_calloc(arena, x->key_count + 1, sizeof(*options));
    if (keys == NULL || columns == NULL || options == NULL)
        return false;
    const cJSON *item, *array = cJSON_GetObjectItemCaseSensitive(from, "keys");
    uint32_t n = 0;
    cJSON_ArrayForEach(item, array)
    {
        keys[n] = get_text(item, "text", arena);
        columns[n] = (int16_t)get_int(item, "column");
        options[n++] = (uint8_t)get_int(item, "options");
    }
    x->keys = keys;
    x->key_columns = columns;
    x->key_options = options;
    return true;
}

static const struct sy_sqsequence *read_sequence(const cJSON *from, struct sy_arena *arena)
{
    struct sy_sqsequence *s = sy_arena_calloc(arena, 1, sizeof(*s));
    if (s == NULL)
        return NULL;
    *s = (struct sy_sqsequence){
        .type = (uint32_t)get_int(from, "type"),
        .start = get_big(from, "start"),
        .increment = get_big(from, "increment"),
        .minimum = get_big(from, "minimum"),
        .maximum = get_big(from, "maximum"),
        .cache = get_big(from, "cache"),
        .cycle = get_int(from, "cycle") != 0,
        .owner_table = get_text(from, "owner_table", arena),
        .owner_column = get_text(from, "owner_column", arena),
        .identity = get_int(from, "identity") != 0,
    };
    return s;
}

static bool read_parts(const cJSON *root, struct sy_arena *arena, struct sy_sqrelation *r)
{
    r->column_count = get_count(root, "columns");
    r->constraint_count = get_count(root, "constraints");
    r->index_count = get_count(root, "indexes");
    struct sy_sqcolumn *columns = sy_arena_calloc(arena, r->column_count + 1, sizeof(*columns));
    struct sy_sqconstraint *constraints =
        sy_arena_calloc(arena, r->constraint_count + 1, sizeof(*constraints));
    struct sy_sqindex *indexes = sy_arena_calloc(arena, r->index_count + 1, sizeof(*indexes));
    if (columns == NULL || constraints == NULL || indexes == NULL)
        return false;
    const cJSON *item, *array = cJSON_GetObjectItemCaseSensitive(root, "columns");
    uint32_t n = 0;
    cJSON_ArrayForEach(item, array) read_column(item, arena, &columns[n++]);
    bool ok = true;
    n = 0;
    array = cJSON_GetObjectItemCaseSensitive(root, "constraints");
    cJSON_ArrayForEach(item, array) ok = ok && read_constraint(item, arena, &constraints[n++]);
    n = 0;
    array = cJSON_GetObjectItemCaseSensitive(root, "indexes");
    cJSON_ArrayForEach(item, array) ok = ok && read_index(item, arena, &indexes[n++]);
    r->columns = columns;
    r->constraints = constraints;
    r->indexes = indexes;
    const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(root, "sequence");
    if (ok && sequence != NULL) {
        r->sequence = read_sequence(sequence, arena);
        ok = r->sequence != NULL;
    }
    return ok;
}

enum sy_status sy_sqlite_relation_read(const char *json, struct sy_arena *arena,
                                       struct sy_sqrelation *ret_relation, struct sy_err *err)
{
    cJSON *root = cJSON_Parse(json);
    if (root == NULL)
        return sy_err_set(err, SY_E_CATALOG,
                          "the shard's catalog is damaged: a relation cannot be read");
    struct sy_sqrelation r = {
        .oid = (uint32_t)get_int(root, "oid"),
        .schema = get_text(root, "schema", arena),
        .name = get_text(root, "name", arena),
        .kind = (char)get_int(root, "kind"),
        .sqlite_name = get_text(root, "sqlite_name", arena),
        .hidden_key = get_int(root, "hidden_key") != 0,
        .view_sql = get_text(root, "view", arena),
        .comment = get_text(root, "comment", arena),
    };
    bool ok = read_parts(root, arena, &r) && r.schema != NULL && r.name != NULL;
    cJSON_Delete(root);
    if (!ok)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *ret_relation = r;
    return SY_OK;
}
