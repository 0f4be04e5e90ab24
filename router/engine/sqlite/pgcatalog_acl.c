/* Who may do what, in the words of pg_catalog: roles, and the privileges that an object has when
 * nobody granted or revoked any. This engine knows one owner of everything. */
#include <ctype.h>
#include <string.h>

#include "router/engine/sqlite/pgcatalog.h"

const char *sy_sqlite_role_name(const struct sy_sqlite_session *session, int64_t oid)
{
    return oid == SY_SQLITE_ROLE                  ? session->user
           : oid == SY_SQLITE_ROLE_DATABASE_OWNER ? "pg_database_owner"
                                                  : NULL;
}

uint32_t sy_sqlite_role_oid(const struct sy_sqlite_session *session, const char *name)
{
    static const uint32_t roles[] = {SY_SQLITE_ROLE, SY_SQLITE_ROLE_DATABASE_OWNER};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (strcmp(sy_sqlite_role_name(session, roles[i]), name) == 0)
            return roles[i];
    return 0;
}

static bool is_plain(const char *name)
{
    for (const char *c = name; *c != '\0'; c++)
        if (isalnum((unsigned char)*c) == 0 && *c != '_')
            return false;
    return true;
}

/* An element of an array in text: a name that an aclitem has to quote is quoted once more here. */
static void put_name(struct sy_buf *out, const char *name)
{
    bool plain = is_plain(name);
    sy_buf_append_str(out, plain ? "" : "\\\"");
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '"')
            sy_buf_append_str(out, "\\\"\\\"");
        else if (*c == '\\')
            sy_buf_append_str(out, "\\\\");
        else
            sy_buf_append(out, c, 1);
    }
    sy_buf_append_str(out, plain ? "" : "\\\"");
}

static void put_item(struct sy_buf *out, const char *grantee, const char *rights,
                     const char *grantor)
{
    const char *quote = is_plain(grantee) && is_plain(grantor) ? "" : "\"";
    sy_buf_append_str(out, out->bytes > 1 ? "," : "");
    sy_buf_append_str(out, quote);
    put_name(out, grantee);
    sy_buf_printf(out, "=%s/", rights);
    put_name(out, grantor);
    sy_buf_append_str(out, quote);
}

bool sy_sqlite_acl_default(char kind, const char *owner, struct sy_buf *out)
{
    static const struct {
        char kind;
        const char *everybody, *owner;
    } kinds[] = {
        {'c', NULL, NULL}, {'r', NULL, "arwdDxt"}, {'s', NULL, "rwU"}, {'d', "Tc", "CTc"},
        {'f', "X", "X"},   {'l', "U", "U"},        {'L', NULL, "rw"},  {'n', NULL, "UC"},
        {'p', NULL, "sA"}, {'t', NULL, "C"},       {'F', NULL, "U"},   {'S', NULL, "U"},
        {'T', "U", "U"},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].kind != kind)
            continue;
        sy_buf_append_str(out, "{");
        if (kinds[i].everybody != NULL)
            put_item(out, "", kinds[i].everybody, owner);
        if (kinds[i].owner != NULL)
            put_item(out, owner, kinds[i].owner, owner);
        sy_buf_append_str(out, "}");
        return true;
    }
    return false;
}

void sy_sqlite_acl_schema(const char *owner, struct sy_buf *out)
{
    sy_buf_append_str(out, "{");
    put_item(out, owner, "UC", owner);
    put_item(out, "", "U", owner);
    sy_buf_append_str(out, "}");
}
