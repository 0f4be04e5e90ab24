/*
 * The sharding key as a column. A sharded table without it could hold no row; one whose key is
 * renamed, computed anew or of a type that equals are told apart in otherwise would have its rows
 * on shards where nobody looks for them. So DDL that does this is refused before it is sent.
 */
#include "router/plan/route_internal.h"

#include <stdio.h>

/* Integers hash alike whatever their width, and text and varchar do; the others are their own. */
static enum sy_key_type family_of(enum sy_key_type type)
{
    if (sy_key_is_integer(type))
        return SY_KEY_INT8;
    return type == SY_KEY_VARCHAR ? SY_KEY_TEXT : type;
}

enum known { KNOWN_KEY_TYPE, KNOWN_OTHER, KNOWN_NOT };

/* A built-in type; KNOWN_OTHER: keys are never of it. Users' types may be domains over anything. */
static enum known look_up(struct sy_slice name, enum sy_key_type *ret_type)
{
    static const char *const serials[] = {"smallserial", "serial2", "serial",
                                          "serial4",     "serial8", "bigserial"};
    static const char *const others[] = {
        "numeric", "float4", "float8", "bool",  "bytea",   "json",     "jsonb", "interval",
        "time",    "timetz", "inet",   "cidr",  "macaddr", "macaddr8", "money", "bit",
        "varbit",  "xml",    "oid",    "point", "box",     "tsvector", "char",  "name"};
    for (size_t i = 0; i < sizeof(serials) / sizeof(serials[0]); i++)
        if (sy_slice_eq(name, sy_slice_of(serials[i]))) {
            *ret_type = SY_KEY_INT8;
            return KNOWN_KEY_TYPE;
        }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (sy_slice_eq(name, sy_slice_of(others[i])))
            return KNOWN_OTHER;
    return sy_key_type_from_catalog(name, ret_type) ? KNOWN_KEY_TYPE : KNOWN_NOT;
}

/* One key column of the table that the statement is about. */
struct key {
    struct sy_route *route;
    const struct use *use;
    struct sy_slice column;
    enum sy_key_type type; /* of the keyspace */
};

static void hint_declaration(const struct key *key)
{
    const struct sy_map_table *table = key->use->table;
    struct sy_slice space = sy_shardmap_keyspace(key->route->map, table->keyspace)->name;
    sy_err_hint(&key->route->plan.refusal, "The table is declared BY %.*s%s%.*s IN %.*s: %s.",
                (int)table->key.bytes, table->key.data, table->hash_key.bytes > 0 ? ", " : "",
                (int)table->hash_key.bytes, table->hash_key.bytes > 0 ? table->hash_key.data : "",
                (int)space.bytes, space.data,
                table->from_catalog ? "SHARD TABLE and UNSHARD TABLE change that"
                                    : "the configuration says so, in keyspaces");
}

static bool refuse_change(const struct key *key, const char *doing, const char *to)
{
    struct sy_slice table = key->use->table->name;
    sy_plan_refuse(&key->route->plan, SY_E_UNSUPPORTED,
                   "%s the sharding key \"%.*s\" of table \"%.*s\"%s is not supported", doing,
                   (int)key->column.bytes, key->column.data, (int)table.bytes, table.data, to);
    hint_declaration(key);
    return false;
}

static bool refuse_missing(const struct key *key)
{
    struct sy_slice table = key->use->table->name;
    sy_plan_refuse(&key->route->plan, SY_E_NO_COLUMN,
                   "the definition of sharded table \"%.*s\" has no column \"%.*s\", which is its "
                   "sharding key",
                   (int)table.bytes, table.data, (int)key->column.bytes, key->column.data);
    hint_declaration(key);
    return false;
}

/* The type of a column that is new. Trailing blanks of char(n) are left to who declared it so. */
static bool check_defined(const struct key *key, struct sy_slice type, bool is_builtin,
                          bool is_array)
{
    enum sy_key_type found = key->type;
    enum known known = is_array ? KNOWN_OTHER : is_builtin ? look_up(type, &found) : KNOWN_NOT;
    bool same = known == KNOWN_KEY_TYPE && (family_of(found) == family_of(key->type) ||
                                            (sy_key_is_text(found) && sy_key_is_text(key->type)));
    if (known == KNOWN_NOT || same)
        return true;
    struct sy_slice table = key->use->table->name;
    sy_plan_refuse(&key->route->plan, SY_E_UNSUPPORTED,
                   "type %.*s%s of column \"%.*s\" of sharded table \"%.*s\" is not compatible "
                   "with %s, the type of its keyspace",
                   (int)type.bytes, type.data, is_array ? "[]" : "", (int)key->column.bytes,
                   key->column.data, (int)table.bytes, table.data, sy_key_type_name(key->type));
    hint_declaration(key);
    return false;
}

/* varchar(n) cuts blanks and timestamp(p) rounds, unless the column was as short before. */
static bool may_cut(const struct key *key, const struct sy_column_change *change,
                    enum sy_key_type type)
{
    if (!change->has_modifier || !(type == SY_KEY_VARCHAR || sy_key_is_time(type)))
        return false;
    const struct sy_schema_column *old = sy_schema_column(key->use->relation, key->column);
    int32_t header = type == SY_KEY_VARCHAR ? 4 : 0; /* atttypmod counts it */
    return old == NULL || !sy_slice_eq(old->type, change->type) || old->type_modifier < 0 ||
           change->modifier == SY_NO_INDEX || change->modifier + header < old->type_modifier;
}

static bool check_retyped(const struct key *key, const struct sy_column_change *change)
{
    enum sy_key_type type = key->type;
    bool same = change->is_builtin_type && !change->is_array &&
                look_up(change->type, &type) == KNOWN_KEY_TYPE &&
                family_of(type) == family_of(key->type);
    char to[96];
    if (change->has_using || (same && may_cut(key, change, type)))
        return refuse_change(key, "changing the values of", "");
    snprintf(to, sizeof(to), " to type %.*s%s", (int)change->type.bytes, change->type.data,
             change->is_array ? "[]" : "");
    return same || refuse_change(key, "changing", to);
}

/* All columns of another table; *ret_found: the key may be among them. */
static bool check_copied(struct prepare *p, const struct key *key,
                         const struct sy_column_change *change, bool *ret_found)
{
    struct sy_table_use named = {.name = change->source, .role = SY_TABLE_READ};
    struct use source;
    sy_route_resolve(p, &named, false, &source);
    if (source.relation == NULL || source.relation->column_count == 0) {
        *ret_found = true;
        return true;
    }
    const struct sy_schema_column *column = sy_schema_column(source.relation, key->column);
    *ret_found = *ret_found || column != NULL;
    return column == NULL || check_defined(key, column->type, true, false);
}

static bool check_change(struct prepare *p, const struct key *key,
                         const struct sy_column_change *change, bool *ret_found)
{
    bool is_key = sy_slice_eq(change->name, key->column);
    switch (change->kind) {
    case SY_COLUMN_DEFINED:
        *ret_found = *ret_found || is_key;
        return !is_key || change->type.bytes == 0 ||
               check_defined(key, change->type, change->is_builtin_type, change->is_array);
    case SY_COLUMN_COPIED:
        return check_copied(p, key, change, ret_found);
    case SY_COLUMN_UNKNOWN:
        *ret_found = true;
        return true;
    case SY_COLUMN_DROPPED:
        return !is_key || refuse_change(key, "dropping", "");
    case SY_COLUMN_RENAMED:
        return !is_key || refuse_change(key, "renaming", "");
    case SY_COLUMN_RETYPED:
        return !is_key || check_retyped(key, change);
    }
    return true;
}

static bool check_key(struct prepare *p, const struct key *key)
{
    const struct sy_stmt *stmt = key->route->stmt;
    bool found = false;
    for (int32_t i = 0; i < stmt->column_change_count; i++)
        if (!check_change(p, key, &stmt->column_changes[i], &found))
            return false;
    bool creates = stmt->tag != NULL && (strcmp(stmt->tag, "CREATE TABLE") == 0 ||
                                         strcmp(stmt->tag, "CREATE FOREIGN TABLE") == 0);
    return found || !creates || refuse_missing(key);
}

bool sy_route_check_key_columns(struct prepare *p)
{
    struct sy_route *route = p->route;
    if (route->stmt->kind != SY_STMT_DDL || route->stmt->table_count == 0)
        return true;
    const struct use *use = &route->uses[0];
    if (use->kind != USE_SHARDED || use->table == NULL)
        return true;
    const struct sy_keyspace_info *space = sy_shardmap_keyspace(route->map, use->table->keyspace);
    struct key key = {.route = route, .use = use, .column = use->table->key, .type = space->type};
    if (!check_key(p, &key))
        return false;
    key.column = use->table->hash_key;
    key.type = space->hash_type;
    return key.column.bytes == 0 || check_key(p, &key);
}
