/* One password look-up: a server from the pool, one pipeline, one row. See auth_query.h. */
#include "router/session/auth_query.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "router/wire/message.h"

const char sy_auth_query_default[] = "SELECT rolname, rolpassword FROM pg_catalog.pg_authid "
                                     "WHERE rolname OPERATOR(pg_catalog.=) $1";

/* Local to the pipeline's transaction: whatever the look-up user's own settings are. */
static const char fixed_settings[] =
    "SELECT pg_catalog.set_config('search_path', '', true), "
    "pg_catalog.set_config('statement_timeout', '5s', true), "
    "pg_catalog.set_config('standard_conforming_strings', 'on', true), "
    "pg_catalog.set_config('row_security', 'off', true)";

static const char role_query[] =
    "SELECT CASE WHEN rolcanlogin AND (rolvaliduntil IS NULL OR rolvaliduntil "
    "OPERATOR(pg_catalog.>) pg_catalog.now()) THEN 'may' ELSE 'not' END, "
    "CASE WHEN rolsuper THEN -1 ELSE rolconnlimit END FROM pg_catalog.pg_roles "
    "WHERE rolname::pg_catalog.text OPERATOR(pg_catalog.=) $1";

enum { TEXT_OID = 25, ROWS_MAX = 2 /* a second row is seen, and refused */ };

/* Statements of the pipeline, in order. */
enum step { STEP_SETTINGS, STEP_SECRET, STEP_ROLE, STEP_END };

struct sy_auth_lookup {
    struct sy_pool_wait wait;
    struct sy_timer timer; /* of everything */
    struct sy_worker *worker;
    struct sy_server *server;                                 /* NULL: waiting for one, or over */
    void (*done)(void *ctx, const struct sy_auth_role *role); /* NULL: abandoned */
    void *ctx;
    struct sy_buf out, in;
    enum step step;
    uint32_t rows;
    bool ambiguous, exists, refused;
    bool not_a_name; /* the server cannot even read it as one: nobody has it */
    uint64_t remember_us, remember_unknown_us;
    struct sy_auth_role role;
    struct sy_err why;
    char user[SY_LIMIT_NAME_BYTES + 1];
    char database[];
};

/* ---- the end ---- */

static void free_lookup(struct sy_auth_lookup *lookup)
{
    sy_timer_cancel(lookup->worker->loop, &lookup->timer);
    if (lookup->in.data != NULL)
        OPENSSL_cleanse(lookup->in.data, lookup->in.capacity);
    sy_buf_release(&lookup->in);
    sy_buf_release(&lookup->out);
    OPENSSL_cleanse(&lookup->role, sizeof(lookup->role));
    free(lookup);
}

static void finish(struct sy_auth_lookup *lookup, const struct sy_auth_role *role)
{
    if (lookup->done != NULL)
        lookup->done(lookup->ctx, role);
    free_lookup(lookup);
}

/* The client is told no more than that it did not work; the operator finds the reason here. */
static void fail(struct sy_auth_lookup *lookup, const struct sy_err *why)
{
    SY_LOG(SY_LOG_WARN, "a password could not be looked up",
           SY_KV_STR("database", lookup->database),
           SY_KV_STR("sqlstate", why == NULL ? "08006" : sy_err_sqlstate(why)),
           SY_KV_STR("why", why == NULL ? "no server connection" : why->text));
    finish(lookup, NULL);
}

static void give_up(struct sy_auth_lookup *lookup, enum sy_status status, const char *text)
{
    struct sy_err err = {0};
    (void)sy_err_set(&err, status, "%s", text);
    struct sy_server *server = lookup->server;
    lookup->server = NULL;
    if (server != NULL)
        sy_pool_discard(server);
    fail(lookup, &err);
}

static void on_timer(struct sy_timer *timer)
{
    struct sy_auth_lookup *lookup = sy_container_of(timer, struct sy_auth_lookup, timer);
    if (lookup->server == NULL)
        sy_pool_wait_cancel(&lookup->wait);
    give_up(lookup, SY_E_TIMEOUT, "the look-up took longer than login_timeout");
}

static void succeed(struct sy_auth_lookup *lookup)
{
    struct sy_auth_role *role = &lookup->role;
    role->may_log_in = lookup->exists && !lookup->refused && !lookup->not_a_name;
    if (!role->may_log_in)
        OPENSSL_cleanse(role->secret, sizeof(role->secret));
    uint64_t keep_us = role->may_log_in ? lookup->remember_us : lookup->remember_unknown_us;
    if (keep_us > 0)
        sy_auth_cache_put(lookup->worker->process->auth_cache, sy_slice_of(lookup->database),
                          sy_slice_of(lookup->user), role,
                          sy_loop_now_us(lookup->worker->loop) + keep_us);
    finish(lookup, role);
}

/* ---- what the server answers ---- */

static void take_secret(struct sy_auth_lookup *lookup, const struct sy_slice values[2])
{
    /* A name that was cut or folded is another's. */
    if (!sy_slice_eq(values[0], sy_slice_of(lookup->user)))
        return;
    lookup->exists = true;
    if (values[1].data != NULL && values[1].bytes < sizeof(lookup->role.secret))
        memcpy(lookup->role.secret, values[1].data, values[1].bytes);
}

static void take_role(struct sy_auth_lookup *lookup, const struct sy_slice values[2])
{
    char number[16] = "";
    lookup->exists = true;
    lookup->refused = !sy_slice_eq(values[0], SY_SLICE("may"));
    if (values[1].data != NULL && values[1].bytes < sizeof(number))
        memcpy(number, values[1].data, values[1].bytes);
    lookup->role.connections_max = number[0] == '\0' ? 0 : (int32_t)strtol(number, NULL, 10);
}

static enum sy_status take_row(struct sy_auth_lookup *lookup, struct sy_slice body,
                               struct sy_err *err)
{
    struct sy_data_row_msg row;
    struct sy_slice values[2];
    if (lookup->step == STEP_SETTINGS)
        return SY_OK;
    enum sy_status status = sy_data_row_read(body.data, body.bytes, &row, err);
    if (status != SY_OK)
        return status;
    if (row.count != 2)
        return sy_err_set(err, SY_E_VALUE, "auth_query.query must give two columns, not %u",
                          (unsigned)row.count);
    lookup->ambiguous = lookup->ambiguous || lookup->rows > 0;
    lookup->rows++;
    sy_split_values(row.values, 2, values);
    if (lookup->step == STEP_SECRET)
        take_secret(lookup, values);
    else
        take_role(lookup, values);
    return SY_OK;
}

static enum sy_status take_error(struct sy_auth_lookup *lookup, struct sy_slice body,
                                 struct sy_err *err)
{
    struct sy_notice_fields fields = {0};
    enum sy_status status = sy_notice_read(body.data, body.bytes, &fields, err);
    if (status != SY_OK)
        return status;
    if (sy_slice_eq(fields.sqlstate, SY_SLICE("22021"))) {
        lookup->not_a_name = true;
        return SY_OK;
    }
    size_t bytes = fields.message.bytes < 400 ? fields.message.bytes : 400;
    (void)sy_err_set(&lookup->why, SY_E_CONNECTION_LOST, "the server refused it: %.*s", (int)bytes,
                     fields.message.data == NULL ? "" : fields.message.data);
    if (fields.sqlstate.bytes == 5)
        sy_err_state(&lookup->why, fields.sqlstate.data);
    return SY_OK;
}

static void take_ready(struct sy_auth_lookup *lookup)
{
    struct sy_server *server = lookup->server;
    lookup->server = NULL;
    server->transaction_status = 'I';
    sy_pool_release(server);
    if (lookup->why.status == SY_OK && lookup->ambiguous)
        (void)sy_err_set(&lookup->why, SY_E_VALUE, "auth_query.query gives several rows");
    if (lookup->why.status == SY_OK && lookup->step != STEP_END && !lookup->not_a_name)
        (void)sy_err_set(&lookup->why, SY_E_PROTOCOL, "the server left statements unanswered");
    if (lookup->why.status != SY_OK)
        fail(lookup, &lookup->why);
    else
        succeed(lookup);
}

/* False: the look-up is over, and freed. */
static bool take_message(struct sy_auth_lookup *lookup, char type, struct sy_slice body)
{
    struct sy_err err = {0};
    enum sy_status status = SY_OK;
    switch (type) {
    case '1':
    case '2':
    case 'N':
    case 'S':
    case 'A':
        break;
    case 'C':
    case 'I': /* an empty query */
    case 's':
        if (type == 's')
            lookup->ambiguous = true;
        if (lookup->step < STEP_END)
            lookup->step++;
        lookup->rows = 0;
        break;
    case 'D':
        status = lookup->step == STEP_END ? sy_err_set(&err, SY_E_PROTOCOL, "a row out of turn")
                                          : take_row(lookup, body, &err);
        break;
    case 'E':
        status = take_error(lookup, body, &err);
        break;
    case 'Z':
        if (sy_slice_eq(body, SY_SLICE("I"))) {
            take_ready(lookup);
            return false;
        }
        status = sy_err_set(&err, SY_E_PROTOCOL, "a transaction was left open");
        break;
    default: /* COPY, or a server that does not follow the protocol */
        status = sy_err_set(&err, SY_E_PROTOCOL, "an unexpected answer");
        break;
    }
    if (status == SY_OK)
        return true;
    give_up(lookup, err.status, err.text);
    return false;
}

static void on_data(struct sy_server *server, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    enum { HEADER_BYTES = 5 };
    struct sy_auth_lookup *lookup = server->user;
    sy_buf_append(&lookup->in, chunk->data + from, to - from);
    if (lookup->in.failed) {
        give_up(lookup, SY_E_LIMIT, "the answer is too long");
        return;
    }
    size_t at = 0;
    while (lookup->in.bytes - at >= HEADER_BYTES) {
        struct sy_reader header = sy_reader_of(lookup->in.data + at + 1, 4);
        uint32_t length = sy_read_u32(&header);
        if (length < 4 || length > SY_LIMIT_AUTH_QUERY_BYTES) {
            give_up(lookup, SY_E_PROTOCOL, "a message of impossible length");
            return;
        }
        if (lookup->in.bytes - at - 1 < length)
            break;
        struct sy_slice body = {lookup->in.data + at + HEADER_BYTES, length - 4};
        if (!take_message(lookup, lookup->in.data[at], body))
            return;
        at += (size_t)1 + length;
    }
    sy_buf_consume(&lookup->in, at);
}

static void on_lost(struct sy_server *server, const struct sy_err *why)
{
    struct sy_auth_lookup *lookup = server->user;
    lookup->server = NULL;
    fail(lookup, why);
}

static const struct sy_server_events server_events = {.data = on_data, .lost = on_lost};

/* ---- asking ---- */

static void write_statement(struct sy_buf *out, struct sy_slice sql, uint32_t type,
                            const struct sy_slice *name)
{
    const struct sy_bind_values bind = {.parameters = name,
                                        .parameter_count = name == NULL ? 0 : 1};
    sy_write_parse(out, SY_SLICE(""), sql, &type, name == NULL || type == 0 ? 0 : 1);
    sy_write_bind(out, &bind);
    sy_write_execute(out, SY_SLICE(""), name == NULL ? 0 : ROWS_MAX);
}

static void write_all(struct sy_auth_lookup *lookup, struct sy_slice query)
{
    struct sy_slice name = sy_slice_of(lookup->user);
    write_statement(&lookup->out, sy_slice_of(fixed_settings), 0, NULL);
    write_statement(&lookup->out, query, 0, &name);
    write_statement(&lookup->out, sy_slice_of(role_query), TEXT_OID, &name);
    sy_write_simple(&lookup->out, 'S');
}

static void ask(struct sy_auth_lookup *lookup, struct sy_server *server)
{
    lookup->server = server;
    server->user = lookup;
    server->events = &server_events;
    server->transaction_status = 0;
    server->link->engine->send_copy(server->link, lookup->out.data, lookup->out.bytes);
}

static void on_ready(struct sy_pool_wait *wait, struct sy_server *server)
{
    ask(sy_container_of(wait, struct sy_auth_lookup, wait), server);
}

static void on_failed(struct sy_pool_wait *wait, const struct sy_err *why)
{
    fail(sy_container_of(wait, struct sy_auth_lookup, wait), why);
}

/* Also a standby can tell a password, when there is no primary. */
static struct sy_node *choose_node(const struct sy_topology_database *database)
{
    uint32_t rotation = 0;
    struct sy_node *node = sy_topology_pick(database, 0, false, 0, &rotation);
    if (node != NULL && atomic_load_explicit(&node->reachable, memory_order_relaxed))
        return node;
    struct sy_node *other = sy_topology_pick(database, 0, true, 0, &rotation);
    return other != NULL ? other : node;
}

static struct sy_auth_lookup *make(struct sy_worker *worker,
                                   const struct sy_config_database *config, struct sy_slice user)
{
    size_t name_bytes = strlen(config->name);
    struct sy_auth_lookup *lookup = calloc(1, sizeof(*lookup) + name_bytes + 1);
    if (lookup == NULL)
        return NULL;
    lookup->worker = worker;
    lookup->wait.ready = on_ready;
    lookup->wait.failed = on_failed;
    lookup->in.bytes_max = SY_LIMIT_AUTH_QUERY_BYTES + SY_LIMIT_CHUNK_BYTES;
    lookup->role.connections_max = -1;
    lookup->remember_us = config->auth_query.remember_us;
    lookup->remember_unknown_us = config->auth_query.remember_unknown_us;
    memcpy(lookup->user, user.data, user.bytes);
    memcpy(lookup->database, config->name, name_bytes);
    sy_timer_init(&lookup->timer, on_timer);
    const char *query = config->auth_query.query;
    write_all(lookup, sy_slice_of(query != NULL ? query : sy_auth_query_default));
    if (lookup->out.failed) {
        free_lookup(lookup);
        return NULL;
    }
    return lookup;
}

enum sy_status
sy_auth_lookup_start(struct sy_worker *worker, const struct sy_topology_database *database,
                     struct sy_slice user, void (*done)(void *ctx, const struct sy_auth_role *role),
                     void *ctx, struct sy_auth_lookup **ret_lookup, struct sy_err *err)
{
    const struct sy_config_database *config = database->config;
    if (user.bytes > SY_LIMIT_NAME_BYTES)
        return sy_err_set(err, SY_E_LIMIT, "the name is too long for a role");
    struct sy_pool_key key = {
        .node = choose_node(database),
        .user = sy_slice_of(config->auth_query.user),
        .password = sy_slice_of(config->auth_query.password),
        .client_database = sy_slice_of(config->name),
        .lookups = true,
    };
    if (key.node == NULL)
        return sy_err_set(err, SY_E_CONNECT, "no server can be asked");
    struct sy_auth_lookup *lookup = make(worker, config, user);
    if (lookup == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    struct sy_server *server = NULL;
    enum sy_status status =
        sy_pool_checkout(worker->pools, &key, config, &lookup->wait, &server, err);
    if (status != SY_OK) {
        free_lookup(lookup);
        return status;
    }
    sy_timer_start(worker->loop, &lookup->timer, worker->topology->config->login_timeout_us);
    if (server != NULL)
        ask(lookup, server);
    lookup->done = done;
    lookup->ctx = ctx;
    *ret_lookup = lookup;
    return SY_OK;
}

void sy_auth_lookup_abandon(struct sy_auth_lookup **lookup)
{
    if (*lookup != NULL)
        (*lookup)->done = NULL;
    *lookup = NULL;
}
