/* Rows of pg_catalog that do not depend on the user's relations: types, functions, namespaces,
 * settings, roles. */
#include <stdio.h>
#include <string.h>

#include "router/engine/sqlite/catalog_data.h"
#include "router/engine/sqlite/pgcatalog.h"
#include "router/engine/sqlite/settings.h"

enum {
    FIRST_PROC_OID = 12000,
    FIRST_OPERATOR_OID = 14000,
    PROC_ARRAY_IN = 750,
    LANGUAGE_INTERNAL = 12,
    UTF8 = 6
};

static void rows_namespace(struct sy_emit *e)
{
    static const char *const names[] = {"pg_catalog", "public", "information_schema"};
    for (int i = 0; i < 3; i++) {
        sy_emit_begin(e);
        sy_emit_int(e, "oid", sy_sqlite_schema_oid(names[i]));
        sy_emit_text(e, "nspname", names[i]);
        uint32_t owner = i == 1 ? SY_SQLITE_ROLE_DATABASE_OWNER : SY_SQLITE_ROLE;
        struct sy_buf acl = {0};
        sy_sqlite_acl_schema(sy_sqlite_role_name(e->session, owner), &acl);
        sy_emit_int(e, "nspowner", owner);
        sy_emit_format(e, "nspacl", "%.*s", (int)acl.bytes, acl.data == NULL ? "" : acl.data);
        sy_emit_end(e);
        sy_buf_release(&acl);
    }
}

char sy_sqlite_storage_of(const struct sy_type_info *type)
{
    if (type != NULL && type->length != -1)
        return 'p';
    return type != NULL && type->oid == SY_T_NUMERIC ? 'm' : 'x';
}

static void rows_type(struct sy_emit *e)
{
    for (uint32_t i = 0; i < sy_type_count(); i++) {
        const struct sy_type_info *t = sy_type_at(i);
        bool by_value = t->length == 1 || t->length == 2 || t->length == 4 || t->length == 8;
        bool varlena_array =
            t->category == 'A' && t->oid != SY_T_INT2VECTOR && t->oid != SY_T_OIDVECTOR;
        sy_emit_begin(e);
        sy_emit_int(e, "oid", t->oid);
        sy_emit_text(e, "typname", t->name);
        sy_emit_int(e, "typnamespace", SY_SQLITE_SCHEMA_PG_CATALOG);
        sy_emit_int(e, "typowner", SY_SQLITE_ROLE);
        sy_emit_int(e, "typlen", t->length);
        sy_emit_int(e, "typbyval", by_value);
        sy_emit_char(e, "typtype", t->category == 'P' ? 'p' : 'b');
        sy_emit_char(e, "typcategory", t->category);
        sy_emit_int(e, "typispreferred", t->preferred);
        sy_emit_int(e, "typisdefined", 1);
        sy_emit_char(e, "typdelim", ',');
        sy_emit_int(e, "typelem", t->element);
        sy_emit_int(e, "typarray", t->array);
        sy_emit_int(e, "typinput", varlena_array ? PROC_ARRAY_IN : 0);
        sy_emit_char(e, "typalign",
                     t->length == 8   ? 'd'
                     : t->length == 2 ? 's'
                     : t->length == 1 ? 'c'
                                      : 'i');
        sy_emit_char(e, "typstorage", sy_sqlite_storage_of(t));
        sy_emit_int(e, "typtypmod", -1);
        sy_emit_int(e, "typcollation", t->category == 'S' ? 100 : 0);
        sy_emit_end(e);
    }
}

static void rows_proc(struct sy_emit *e)
{
    for (uint32_t i = 0; i < sq_proc_count; i++) {
        const struct sq_proc *p = &sq_procs[i];
        char types[SQ_PROC_ARGS_MAX * 8] = "";
        size_t used = 0;
        for (uint8_t a = 0; a < p->nargs && a < SQ_PROC_ARGS_MAX; a++)
            used += (size_t)snprintf(types + used, sizeof(types) - used, "%s%u", a == 0 ? "" : " ",
                                     p->args[a]);
        sy_emit_begin(e);
        sy_emit_int(e, "oid", FIRST_PROC_OID + i);
        sy_emit_text(e, "proname", p->name);
        sy_emit_int(e, "pronamespace", SY_SQLITE_SCHEMA_PG_CATALOG);
        sy_emit_int(e, "proowner", SY_SQLITE_ROLE);
        sy_emit_int(e, "prolang", LANGUAGE_INTERNAL);
        sy_emit_int(e, "procost", 1);
        sy_emit_char(e, "prokind", p->kind);
        sy_emit_int(e, "proretset", p->returns_set);
        sy_emit_char(e, "provolatile", p->volatility);
        sy_emit_char(e, "proparallel", 's');
        sy_emit_int(e, "pronargs", p->nargs);
        sy_emit_int(e, "pronargdefaults", p->ndefaults);
        sy_emit_int(e, "prorettype", p->result);
        sy_emit_text(e, "proargtypes", types);
        sy_emit_text(e, "prosrc", p->key);
        sy_emit_end(e);
    }
}

static void rows_operator(struct sy_emit *e)
{
    for (uint32_t i = 0; i < sq_operator_count; i++) {
        const struct sq_operator *o = &sq_operators[i];
        sy_emit_begin(e);
        sy_emit_int(e, "oid", FIRST_OPERATOR_OID + i);
        sy_emit_text(e, "oprname", o->name);
        sy_emit_int(e, "oprnamespace", SY_SQLITE_SCHEMA_PG_CATALOG);
        sy_emit_int(e, "oprowner", SY_SQLITE_ROLE);
        sy_emit_char(e, "oprkind", o->left == 0 ? 'l' : 'b');
        sy_emit_int(e, "oprleft", o->left);
        sy_emit_int(e, "oprright", o->right);
        sy_emit_int(e, "oprresult", o->result);
        sy_emit_end(e);
    }
}

static void rows_cast(struct sy_emit *e)
{
    for (uint32_t i = 0; i < sq_cast_count; i++) {
        const struct sq_cast *c = &sq_casts[i];
        sy_emit_begin(e);
        sy_emit_int(e, "oid", FIRST_OPERATOR_OID + sq_operator_count + i);
        sy_emit_int(e, "castsource", c->source);
        sy_emit_int(e, "casttarget", c->target);
        sy_emit_char(e, "castcontext", c->context);
        sy_emit_char(e, "castmethod", c->method);
        sy_emit_end(e);
    }
}

static void rows_database(struct sy_emit *e)
{
    sy_emit_begin(e);
    sy_emit_int(e, "oid", SY_SQLITE_DATABASE);
    sy_emit_text(e, "datname", e->session->database);
    sy_emit_int(e, "datdba", SY_SQLITE_ROLE);
    sy_emit_int(e, "encoding", UTF8);
    sy_emit_char(e, "datlocprovider", 'c');
    sy_emit_int(e, "datallowconn", 1);
    sy_emit_int(e, "datconnlimit", -1);
    sy_emit_int(e, "dattablespace", 1663);
    sy_emit_text(e, "datcollate", "C.UTF-8");
    sy_emit_text(e, "datctype", "C.UTF-8");
    sy_emit_end(e);
}

static void rows_roles(struct sy_emit *e)
{
    sy_emit_begin(e);
    sy_emit_int(e, "oid", SY_SQLITE_ROLE);
    sy_emit_text(e, "rolname", e->session->user);
    sy_emit_int(e, "rolinherit", 1);
    sy_emit_int(e, "rolcanlogin", 1);
    sy_emit_int(e, "rolconnlimit", -1);
    sy_emit_text(e, "rolpassword", strcmp(e->relation->name, "pg_roles") == 0 ? "********" : NULL);
    sy_emit_end(e);
    sy_emit_begin(e);
    sy_emit_int(e, "oid", SY_SQLITE_ROLE_DATABASE_OWNER);
    sy_emit_text(e, "rolname", sy_sqlite_role_name(e->session, SY_SQLITE_ROLE_DATABASE_OWNER));
    sy_emit_int(e, "rolinherit", 1);
    sy_emit_int(e, "rolconnlimit", -1);
    sy_emit_text(e, "rolpassword", strcmp(e->relation->name, "pg_roles") == 0 ? "********" : NULL);
    sy_emit_end(e);
}

static void rows_user(struct sy_emit *e)
{
    sy_emit_begin(e);
    sy_emit_text(e, "usename", e->session->user);
    sy_emit_int(e, "usesysid", SY_SQLITE_ROLE);
    sy_emit_text(e, "passwd", strcmp(e->relation->name, "pg_user") == 0 ? "********" : NULL);
    sy_emit_end(e);
}

static void rows_am(struct sy_emit *e)
{
    static const struct {
        int oid;
        const char *name;
        char type;
    } methods[] = {{2, "heap", 't'}, {403, "btree", 'i'}};
    for (int i = 0; i < 2; i++) {
        sy_emit_begin(e);
        sy_emit_int(e, "oid", methods[i].oid);
        sy_emit_text(e, "amname", methods[i].name);
        sy_emit_char(e, "amtype", methods[i].type);
        sy_emit_end(e);
    }
}

static void rows_collation(struct sy_emit *e)
{
    static const struct {
        int oid;
        const char *name;
        char provider;
    } collations[] = {{100, "default", 'd'}, {950, "C", 'c'}, {951, "POSIX", 'c'}};
    for (int i = 0; i < 3; i++) {
        sy_emit_begin(e);
        sy_emit_int(e, "oid", collations[i].oid);
        sy_emit_text(e, "collname", collations[i].name);
        sy_emit_int(e, "collnamespace", SY_SQLITE_SCHEMA_PG_CATALOG);
        sy_emit_int(e, "collowner", SY_SQLITE_ROLE);
        sy_emit_char(e, "collprovider", collations[i].provider);
        sy_emit_int(e, "collisdeterministic", 1);
        sy_emit_int(e, "collencoding", -1);
        sy_emit_text(e, "collcollate", i == 0 ? NULL : collations[i].name);
        sy_emit_text(e, "collctype", i == 0 ? NULL : collations[i].name);
        sy_emit_end(e);
    }
}

static void rows_language(struct sy_emit *e)
{
    static const char *const names[] = {"internal", "sql"};
    for (int i = 0; i < 2; i++) {
        sy_emit_begin(e);
        sy_emit_int(e, "oid", i == 0 ? LANGUAGE_INTERNAL : 14);
        sy_emit_text(e, "lanname", names[i]);
        sy_emit_int(e, "lanowner", SY_SQLITE_ROLE);
        sy_emit_int(e, "lanpltrusted", i);
        sy_emit_end(e);
    }
}

static void rows_tablespace(struct sy_emit *e)
{
    sy_emit_begin(e);
    sy_emit_int(e, "oid", 1663);
    sy_emit_text(e, "spcname", "pg_default");
    sy_emit_int(e, "spcowner", SY_SQLITE_ROLE);
    sy_emit_end(e);
}

static void rows_range(struct sy_emit *e)
{
    (void)e; /* range types are not types of this engine */
}

static void rows_settings(struct sy_emit *e)
{
    const char *name = NULL, *value = NULL, *initial = NULL;
    for (uint32_t i = 0; sy_sqlite_settings_at(e->session, i, &name, &value, &initial); i++) {
        sy_emit_begin(e);
        sy_emit_text(e, "name", name);
        sy_emit_text(e, "setting", value);
        sy_emit_text(e, "category",
                     strchr(name, '.') != NULL ? "Customized Options"
                                               : "Client Connection Defaults");
        sy_emit_text(e, "short_desc", "");
        sy_emit_text(e, "context", "user");
        sy_emit_text(e, "vartype", "string");
        sy_emit_text(e, "source", strcmp(value, initial) == 0 ? "default" : "session");
        sy_emit_text(e, "boot_val", initial);
        sy_emit_text(e, "reset_val", initial);
        sy_emit_end(e);
    }
}

static void activity(struct sy_emit *e, const struct sy_sqlite_session *other)
{
    const struct sy_sqlite_session *s = e->session;
    sy_emit_begin(e);
    sy_emit_int(e, "datid", SY_SQLITE_DATABASE);
    sy_emit_text(e, "datname", other->database);
    sy_emit_int(e, "pid", other->pid);
    sy_emit_int(e, "usesysid", SY_SQLITE_ROLE);
    sy_emit_text(e, "usename", other->user);
    sy_emit_text(e, "application_name", "");
    if (other == s) {
        sy_emit_text(e, "application_name",
                     sy_sqlite_settings_get(e->session, SY_SLICE("application_name")));
        sy_emit_int(e, "xact_start", s->sq.transaction_us);
        sy_emit_int(e, "query_start", s->sq.types.now_us);
        sy_emit_text(e, "state", "active");
    } else if (atomic_load(&other->wait) == SY_WAIT_WRITER) {
        sy_emit_text(e, "wait_event_type", "Lock");
        sy_emit_text(e, "wait_event", "writer");
    } else if (atomic_load(&other->wait) == SY_WAIT_LOCK) {
        sy_emit_text(e, "wait_event_type", "Lock");
        sy_emit_text(e, "wait_event", "advisory");
    }
    sy_emit_text(e, "backend_type", "client backend");
    sy_emit_end(e);
}

/* What others do is theirs to touch: only what never changes, and what they wait for, is shown. */
static void rows_activity(struct sy_emit *e)
{
    struct sy_sqlite_shard *shard = e->session->shard;
    pthread_mutex_lock(&shard->lock);
    sy_list_each(node, &shard->sessions)
    {
        activity(e, sy_container_of(node, struct sy_sqlite_session, shard_link));
    }
    pthread_mutex_unlock(&shard->lock);
}

static void rows_stat_database(struct sy_emit *e)
{
    sy_emit_begin(e);
    sy_emit_int(e, "datid", SY_SQLITE_DATABASE);
    sy_emit_text(e, "datname", e->session->database);
    sy_emit_end(e);
}

const struct sy_emit_source sy_emit_fixed[] = {
    {"pg_catalog", "pg_namespace", rows_namespace, false},
    {"pg_catalog", "pg_type", rows_type, false},
    {"pg_catalog", "pg_proc", rows_proc, false},
    {"pg_catalog", "pg_operator", rows_operator, false},
    {"pg_catalog", "pg_cast", rows_cast, false},
    {"pg_catalog", "pg_database", rows_database, false},
    {"pg_catalog", "pg_roles", rows_roles, false},
    {"pg_catalog", "pg_authid", rows_roles, false},
    {"pg_catalog", "pg_user", rows_user, false},
    {"pg_catalog", "pg_shadow", rows_user, false},
    {"pg_catalog", "pg_am", rows_am, false},
    {"pg_catalog", "pg_collation", rows_collation, false},
    {"pg_catalog", "pg_language", rows_language, false},
    {"pg_catalog", "pg_tablespace", rows_tablespace, false},
    {"pg_catalog", "pg_range", rows_range, false},
    {"pg_catalog", "pg_settings", rows_settings, true},
    {"pg_catalog", "pg_stat_activity", rows_activity, true},
    {"pg_catalog", "pg_stat_database", rows_stat_database, false},
    {NULL, NULL, NULL, false},
};
