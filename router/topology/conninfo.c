/*
 * Conninfo resolution. Runs on the thread that builds a topology (start, RELOAD), never on a loop.
 *
 * libpq has no public function that resolves service and pass files without connecting:
 * PQconninfoParse only splits the string. But PQconnectStartParams resolves everything before it
 * checks gssencmode, and connects only after all checks. So it is called with an impossible
 * gssencmode: it resolves, refuses and connects nowhere, and PQconninfo and PQpass tell what it
 * found. A failure with any other message is the operator's mistake.
 */
#include "router/topology/conninfo.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define STOP_HERE "switchyard-resolves-only"

struct keyword {
    const char *name;
    size_t field;     /* offset in struct sy_node of the const char * it goes to; 0: not kept */
    const char *only; /* values the data path can serve, separated by commas; NULL: any */
};

#define FIELD(name) offsetof(struct sy_node, name)

static const struct keyword keywords[] = {
    {"host", FIELD(host), NULL},
    {"hostaddr", FIELD(hostaddr), NULL},
    {"port", FIELD(port), NULL},
    {"dbname", FIELD(server_database), NULL},
    {"user", FIELD(conninfo_user), NULL},
    {"sslmode", FIELD(sslmode), NULL},
    {"sslrootcert", FIELD(sslrootcert), NULL},
    {"sslcert", FIELD(sslcert), NULL},
    {"sslkey", FIELD(sslkey), NULL},
    {"sslcrl", FIELD(sslcrl), NULL},
    {"channel_binding", FIELD(channel_binding), NULL},
    {"application_name", FIELD(application_name), NULL},
    {"client_encoding", FIELD(client_encoding), NULL},
    {"options", FIELD(options), NULL},
    {"gssencmode", 0, "disable,prefer"},
    {"target_session_attrs", 0, "any"},
    {"replication", 0, "false,off,no,0"},
    {"sslcrldir", 0, ""},
    {"sslpassword", 0, ""},
};
enum { KEYWORD_COUNT = sizeof(keywords) / sizeof(keywords[0]) };

static bool in_list(const char *list, const char *value)
{
    size_t bytes = strlen(value);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',' ? 1 : 0;
        if (strncmp(at, value, bytes) == 0 && (at[bytes] == ',' || at[bytes] == '\0'))
            return true;
    }
    return false;
}

/* True for a Unix socket directory, "localhost" and loopback addresses. */
static bool host_is_local(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (host[0] == '\0' || host[0] == '/' || host[0] == '@' || strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static enum sy_status config_error(const struct sy_node *node, struct sy_err *err, const char *what)
{
    size_t bytes = strcspn(what, "\n");
    return sy_err_set(err, SY_E_CONFIG, "node %s of database %s: %.*s", node->name, node->database,
                      (int)bytes, what);
}

/* The value that was written in the conninfo itself, or NULL. */
static const char *written_value(const PQconninfoOption *written, const char *keyword)
{
    for (const PQconninfoOption *option = written; option->keyword != NULL; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val != NULL && option->val[0] != '\0' ? option->val : NULL;
    return NULL;
}

static enum sy_status take_option(struct sy_node *node, const PQconninfoOption *option,
                                  struct sy_err *err)
{
    const char *value = option->val != NULL ? option->val : "";
    for (unsigned i = 0; i < KEYWORD_COUNT; i++) {
        const struct keyword *keyword = &keywords[i];
        if (strcmp(keyword->name, option->keyword) != 0)
            continue;
        if (keyword->only != NULL && value[0] != '\0' && !in_list(keyword->only, value)) {
            enum sy_status status = sy_err_set(
                err, SY_E_CONFIG, "node %s of database %s: %s=%s is not supported in a conninfo",
                node->name, node->database, option->keyword,
                option->dispchar[0] == '*' ? "***" : value);
            sy_err_hint(err, "Remove %s; it can be %s.", option->keyword,
                        keyword->only[0] == '\0' ? "left out only" : keyword->only);
            return status;
        }
        if (keyword->field != 0) {
            const char *copy = sy_arena_strdup(&node->arena, value);
            if (copy == NULL)
                return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
            *(const char **)(void *)((char *)node + keyword->field) = copy;
        }
    }
    return SY_OK;
}

static enum sy_status refuse_lists(const struct sy_node *node, struct sy_err *err)
{
    if (strchr(node->host, ',') == NULL && strchr(node->hostaddr, ',') == NULL &&
        strchr(node->port, ',') == NULL)
        return SY_OK;
    enum sy_status status = config_error(node, err, "the conninfo names several hosts");
    sy_err_hint(err, "Write one entry in nodes per server.");
    return status;
}

/* sslmode when nobody gave one: servers that are not local are verified, local ones are tried with
 * TLS. */
static void choose_sslmode(struct sy_node *node, const PQconninfoOption *written)
{
    bool given = written_value(written, "sslmode") != NULL || getenv("PGSSLMODE") != NULL ||
                 written_value(written, "requiressl") != NULL;
    bool service = written_value(written, "service") != NULL || getenv("PGSERVICE") != NULL;
    /* A service file's value cannot be told from the default "prefer"; anything else was written
     * there. */
    if (given || (service && strcmp(node->sslmode, "prefer") != 0))
        return;
    node->sslmode = node->is_local ? "prefer" : "verify-full";
}

static void put_quoted(struct sy_buf *out, const char *keyword, const char *value)
{
    sy_buf_printf(out, "%s%s='", out->bytes != 0 ? " " : "", keyword);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\'' || *at == '\\')
            sy_buf_append_u8(out, '\\');
        sy_buf_append_u8(out, (uint8_t)*at);
    }
    sy_buf_append_u8(out, '\'');
}

/* What libpq is given by the control plane: everything resolved, credentials of the node where it
 * has any. */
static const char *control_conninfo(struct sy_node *node, const PQconninfoOption *resolved)
{
    struct sy_buf out = {0};
    for (const PQconninfoOption *option = resolved; option->keyword != NULL; option++) {
        const char *value = option->val;
        if (value == NULL || value[0] == '\0' || strcmp(option->keyword, "gssencmode") == 0 ||
            strcmp(option->keyword, "service") == 0 || strcmp(option->keyword, "passfile") == 0)
            continue;
        if (strcmp(option->keyword, "sslmode") == 0)
            value = node->sslmode;
        if (strcmp(option->keyword, "user") == 0 && node->user != NULL)
            value = node->user;
        if (strcmp(option->keyword, "password") == 0 || strcmp(option->keyword, "dbname") == 0)
            continue;
        put_quoted(&out, option->keyword, value);
    }
    const char *password = node->password != NULL ? node->password : node->conninfo_password;
    if (node->user != NULL && node->password == NULL &&
        strcmp(node->user, node->conninfo_user) != 0)
        password = ""; /* the conninfo's password is somebody else's */
    if (password[0] != '\0')
        put_quoted(&out, "password", password);
    put_quoted(&out, "dbname", node->server_database);
    put_quoted(&out, "gssencmode", "disable");
    sy_buf_append_u8(&out, 0);
    const char *text = out.failed ? NULL : sy_arena_strdup(&node->arena, out.data);
    sy_buf_release(&out);
    return text;
}

/* Everything that needs both what was written and what libpq made of it. */
static enum sy_status take_resolved(struct sy_node *node, PGconn *conn,
                                    const PQconninfoOption *written,
                                    const PQconninfoOption *resolved, struct sy_err *err)
{
    for (const PQconninfoOption *option = resolved; option->keyword != NULL; option++) {
        /* gssencmode is ours in `resolved`: judge what the operator wrote. */
        bool ours = strcmp(option->keyword, "gssencmode") == 0;
        const PQconninfoOption *judged = ours ? written + (option - resolved) : option;
        enum sy_status status = take_option(node, judged, err);
        if (status != SY_OK)
            return status;
    }
    enum sy_status status = refuse_lists(node, err);
    if (status != SY_OK)
        return status;
    if (node->host[0] == '\0' && node->hostaddr[0] == '\0')
        node->host = PQhost(conn) != NULL && PQhost(conn)[0] != '\0'
                         ? sy_arena_strdup(&node->arena, PQhost(conn))
                         : "/var/run/postgresql";
    const char *password = PQpass(conn);
    node->conninfo_password = sy_arena_strdup(&node->arena, password != NULL ? password : "");
    if (node->port[0] == '\0')
        node->port = "5432";
    /* libpq's default is the user's name; a router's better guess is the name its clients use. */
    bool named = written_value(written, "dbname") != NULL || getenv("PGDATABASE") != NULL ||
                 (written_value(written, "service") != NULL &&
                  strcmp(node->server_database, node->conninfo_user) != 0);
    if (!named)
        node->server_database = node->database;
    if (node->other_database != NULL)
        node->server_database = node->other_database;
    node->user_given = written_value(written, "user") != NULL ||
                       written_value(written, "service") != NULL || getenv("PGUSER") != NULL;
    node->is_local = host_is_local(node->hostaddr[0] != '\0' ? node->hostaddr : node->host);
    choose_sslmode(node, written);
    node->control_conninfo = control_conninfo(node, resolved);
    if (node->host == NULL || node->conninfo_password == NULL || node->control_conninfo == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return SY_OK;
}

enum sy_status sy_conninfo_resolve(struct sy_node *node, struct sy_err *err)
{
    char *complaint = NULL;
    PQconninfoOption *written = PQconninfoParse(node->conninfo, &complaint);
    if (written == NULL) {
        /* libpq quotes the word, which may be the rest of a password with a blank in it. */
        enum sy_status bad = config_error(
            node, err, complaint != NULL ? "the conninfo cannot be read" : "out of memory");
        if (complaint != NULL)
            sy_err_hint(err,
                        "It is written keyword=value, with a known keyword; a value with a blank "
                        "stands in single quotes.");
        PQfreemem(complaint);
        return bad;
    }
    const char *names[] = {"dbname", "gssencmode", NULL};
    const char *values[] = {node->conninfo, STOP_HERE, NULL};
    /* A conninfo of blanks would be taken for a database's name. */
    if (strchr(node->conninfo, '=') == NULL && strstr(node->conninfo, "://") == NULL)
        values[0] = "dbname=''";
    PGconn *conn = PQconnectStartParams(names, values, 1);
    PQconninfoOption *resolved = PQconninfo(conn);
    enum sy_status status;
    if (conn == NULL || resolved == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    else if (strstr(PQerrorMessage(conn), STOP_HERE) == NULL)
        status = config_error(node, err, PQerrorMessage(conn));
    else
        status = take_resolved(node, conn, written, resolved, err);
    PQconninfoFree(resolved);
    PQconninfoFree(written);
    PQfinish(conn);
    return status;
}
