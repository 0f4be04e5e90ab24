/*
 * Participants: servers that take part in the session's present work. Getting them, bringing them
 * to the state that the client believes in, sending to them, giving them back. The worker's thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/internal.h"
#include "router/topology/waits.h"

/* ---- memory ---- */

static struct sy_part *new_part(struct sy_session *session)
{
    struct sy_worker *worker = session->worker;
    struct sy_list *node = sy_list_pop(&worker->free_parts);
    struct sy_part *part;
    if (node != NULL) {
        part = sy_container_of(node, struct sy_part, free_link);
        worker->free_part_count--;
    } else {
        part = malloc(sizeof(*part));
        if (part == NULL)
            return NULL;
    }
    *part = (struct sy_part){
        .session = session, .expects = NULL, .expect_size = SY_EXPECTS_INLINE, .status = 'I'};
    part->expects = part->expects_inline;
    sy_list_init(&part->free_link);
    return part;
}

enum { FREE_PARTS_MAX = 256 };

static void free_part(struct sy_part *part)
{
    struct sy_worker *worker = part->session->worker;
    if (part->expects != part->expects_inline)
        free(part->expects);
    if (part->out.chunk != NULL)
        sy_chunk_unref(part->out.chunk);
    sy_input_drop(part->stash, &part->stash_count);
    sy_buf_release(&part->assembly);
    free(part->row_map);
    sy_settings_unref(&part->settings_begin);
    free(part->fatal_message);
    if (worker->free_part_count >= FREE_PARTS_MAX) {
        free(part);
        return;
    }
    sy_list_append(&worker->free_parts, &part->free_link);
    worker->free_part_count++;
}

static void unlink_part(struct sy_part *part)
{
    for (struct sy_part **at = &part->session->parts; *at != NULL; at = &(*at)->next) {
        if (*at != part)
            continue;
        *at = part->next;
        break;
    }
    if (part->expect_count > 0)
        part->session->busy_parts--;
    part->expect_count = 0;
}

/* Participants stand in shard order, so that answers of several shards come in one order. */
static void link_part(struct sy_session *session, struct sy_part *part)
{
    struct sy_part **at = &session->parts;
    while (*at != NULL && (*at)->shard <= part->shard)
        at = &(*at)->next;
    part->next = *at;
    *at = part;
}

/* ---- server state ---- */

static void free_state(void *opaque)
{
    struct sy_server_state *state = opaque;
    sy_prepared_set_release(&state->prepared);
    sy_settings_unref(&state->settings);
    free(state);
}

struct sy_server_state *sy_part_state(struct sy_part *part)
{
    return part->server->session_state;
}

static bool ensure_state(struct sy_part *part)
{
    if (part->server->session_state != NULL)
        return true;
    struct sy_server_state *state = calloc(1, sizeof(*state));
    if (state == NULL)
        return false;
    state->settings = sy_settings_ref(part->session->worker->no_settings);
    part->server->session_state = state;
    part->server->session_state_free = free_state;
    return true;
}

void sy_part_set_settings(struct sy_part *part, struct sy_settings *settings)
{
    struct sy_server_state *state = sy_part_state(part);
    struct sy_settings *old = state->settings;
    state->settings = sy_settings_ref(settings);
    part->server->settings_version = settings->id;
    sy_settings_unref(&old);
}

/* ---- getting a server ---- */

static void attach(struct sy_part *part, struct sy_server *server)
{
    part->server = server;
    server->user = part;
    server->events = &sy_part_events;
    part->status = 'I';
    server->transaction_status = 'I';
}

static void wait_over(struct sy_session *session)
{
    session->waiting = false;
    session->waiting_part = NULL;
    uint64_t now = sy_loop_now_us(session->worker->loop);
    sy_counter_add(&session->database->counters->wait_us, now - session->wait.since_us);
    sy_session_set_state(session, session->in_batch          ? SY_SESSION_BATCH
                                  : session->startup != NULL ? SY_SESSION_WELCOME
                                                             : SY_SESSION_IDLE);
}

static void on_ready(struct sy_pool_wait *wait, struct sy_server *server)
{
    struct sy_session *session = sy_container_of(wait, struct sy_session, wait);
    struct sy_part *part = session->waiting_part;
    attach(part, server);
    wait_over(session);
    sy_session_drive(session);
}

static void on_failed(struct sy_pool_wait *wait, const struct sy_err *why)
{
    struct sy_session *session = sy_container_of(wait, struct sy_session, wait);
    struct sy_part *part = session->waiting_part;
    if (!part->primary) {
        session->replica_retry = true; /* a replica that cannot be reached costs nobody an error */
    } else {
        session->wait_error = malloc(sizeof(*session->wait_error));
        if (session->wait_error != NULL && why != NULL)
            *session->wait_error = *why;
        else if (session->wait_error != NULL)
            (void)sy_err_set(session->wait_error, SY_E_CONNECT, "no server connection");
    }
    unlink_part(part);
    free_part(part);
    wait_over(session);
    sy_session_drive(session);
}

static struct sy_part *find(struct sy_session *session, uint32_t shard, bool replica_ok)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->shard == shard && part->server != NULL && (part->primary || replica_ok))
            return part;
    return NULL;
}

static enum sy_step pick(struct sy_session *session, uint32_t shard, bool replica_ok,
                         struct sy_part **ret_part, struct sy_err *err)
{
    struct sy_worker_database *database = session->database;
    bool federation = sy_federation_is(session, shard);
    uint64_t min_lsn =
        session->min_lsn == NULL || federation || session->consistency == SY_CONSISTENCY_EVENTUAL
            ? 0
            : session->min_lsn[shard];
    struct sy_node *node =
        sy_topology_pick(database->topology, shard, replica_ok, min_lsn, &database->rotation);
    if (node == NULL) {
        struct sy_slice name = sy_topology_shard_name(database->topology, shard);
        (void)sy_err_set(err, SY_E_CONNECT, "shard \"%.*s\" has no server that can take this",
                         (int)name.bytes, name.data);
        sy_err_hint(err, "SHOW NODES on the console tells which servers can be reached.");
        return SY_STEP_ERROR;
    }
    struct sy_part *part = new_part(session);
    if (part == NULL) {
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        return SY_STEP_ERROR;
    }
    part->node = node;
    part->shard = shard;
    part->federation = federation;
    part->primary = atomic_load_explicit(&node->role, memory_order_relaxed) != SY_NODE_REPLICA;
    link_part(session, part);
    *ret_part = part;
    return SY_STEP_DONE;
}

/* The client's own name and password, unless it or the node has others for the servers. */
static void name_user(const struct sy_session *session, const struct sy_node *node,
                      struct sy_pool_key *key)
{
    if (session->server_user != NULL) {
        key->user = sy_slice_of(session->server_user);
        key->password = sy_slice_of(session->server_password);
    } else if (node->user != NULL) {
        key->user = sy_slice_of(node->user);
        key->password =
            sy_slice_of(node->password != NULL ? node->password : node->conninfo_password);
    } else {
        key->user = sy_slice_of(session->user);
        key->password = sy_slice_of(session->server_password);
        if (session->server_password == NULL)
            key->keys = session->keys;
    }
}

static enum sy_step checkout(struct sy_session *session, struct sy_part *part, struct sy_err *err)
{
    struct sy_pool_key key = {
        .node = part->node,
        .client_database = session->database->name,
    };
    name_user(session, part->node, &key);
    struct sy_server *server = NULL;
    session->wait.ready = on_ready;
    session->wait.failed = on_failed;
    session->wait.since_us = sy_loop_now_us(session->worker->loop);
    enum sy_status status =
        sy_pool_checkout(session->worker->pools, &key, session->database->topology->config,
                         &session->wait, &server, err);
    if (status != SY_OK) {
        unlink_part(part);
        free_part(part);
        return SY_STEP_ERROR;
    }
    if (server != NULL) {
        attach(part, server);
        return SY_STEP_DONE;
    }
    session->waiting = true;
    session->waiting_part = part;
    sy_counter_add(&session->database->counters->waits, 1);
    sy_session_set_state(session, SY_SESSION_WAIT);
    return SY_STEP_AGAIN;
}

enum sy_step sy_part_get(struct sy_session *session, uint32_t shard, bool replica_ok,
                         struct sy_part **ret_part, struct sy_err *err)
{
    if (session->wait_error != NULL) {
        *err = *session->wait_error;
        free(session->wait_error);
        session->wait_error = NULL;
        return SY_STEP_ERROR;
    }
    struct sy_part *part = find(session, shard, replica_ok);
    if (part == NULL) {
        enum sy_step step = pick(session, shard, replica_ok, &part, err);
        bool replica = step == SY_STEP_DONE && !part->primary;
        if (step == SY_STEP_DONE)
            step = checkout(session, part, err);
        if (step == SY_STEP_ERROR && replica) {
            session->replica_retry = true;
            step = pick(session, shard, false, &part, err);
            if (step == SY_STEP_DONE)
                step = checkout(session, part, err);
        }
        if (step != SY_STEP_DONE)
            return step;
    }
    if (!ensure_state(part)) {
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        return SY_STEP_ERROR;
    }
    part->pinned = part->pinned || session->pinned_by_mode;
    *ret_part = part;
    return SY_STEP_DONE;
}

/* ---- bringing a server to where the client believes to be ---- */

/* AGAIN: a set of settings that no server has accepted yet must be accepted before anything relies
 * on it. */
static enum sy_step replay_settings(struct sy_part *part)
{
    struct sy_session *session = part->session;
    struct sy_server_state *state = sy_part_state(part);
    struct sy_buf *scratch = sy_session_scratch(session);
    size_t start = sy_msg_begin(scratch, 'Q');
    sy_settings_diff(state->settings, session->settings, scratch);
    sy_buf_append_u8(scratch, 0);
    sy_msg_end(scratch, start);
    if (part->in_txn && part->settings_begin == NULL)
        part->settings_begin = sy_settings_ref(state->settings);
    sy_part_expect(part, SY_X_QUERY, SY_WHY_SETTINGS, 0, 0);
    sy_part_send_copy(part, scratch->data, scratch->bytes);
    sy_part_set_settings(part, session->settings);
    return session->settings->proven ? SY_STEP_DONE : SY_STEP_AGAIN;
}

/* From its second server on a transaction may wait in a circle that no server sees. */
static void watch_waits(struct sy_session *session)
{
    if (sy_parts_in_txn(session) < 2 ||
        session->database->topology->config->engine != SY_ENGINE_POSTGRES)
        return;
    session->watched = true;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->in_txn && part->server != NULL)
            sy_waits_join(session->pid, part->node, part->server->link->backend_pid,
                          sy_loop_now_us(session->worker->loop));
}

static void send_prelude(struct sy_part *part)
{
    struct sy_session *session = part->session;
    struct sy_txn *txn = session->txn_state;
    if (part->settings_begin != NULL)
        sy_settings_unref(&part->settings_begin);
    part->settings_begin = sy_settings_ref(sy_part_state(part)->settings);
    part->in_txn = true;
    part->late = false;
    watch_waits(session);
    sy_part_expect(part, SY_X_QUERY, SY_WHY_BEGIN, 0, 0);
    if (session->implicit_txn || txn == NULL) {
        sy_part_send_query(part, SY_SLICE("BEGIN"));
        return;
    }
    /* Of a BEGIN that the router did not see by itself nothing may be kept: no memory. */
    sy_part_send_query(part, txn->begin_sql.bytes == 0
                                 ? SY_SLICE("BEGIN")
                                 : (struct sy_slice){txn->begin_sql.data, txn->begin_sql.bytes});
    for (struct sy_prelude_entry *entry = txn->first; entry != NULL; entry = entry->next) {
        sy_part_expect(part, SY_X_QUERY, SY_WHY_BEGIN, 0, 0);
        sy_part_send_query(part, entry->sql);
        part->late = part->late || entry->is_savepoint;
    }
    session->txn_deferred = false;
}

enum sy_step sy_part_prepare(struct sy_part *part, struct sy_err *err)
{
    struct sy_session *session = part->session;
    (void)err;
    if (part->federation && session->federation_fresh && part->in_txn)
        sy_federation_leave(part);
    session->federation_fresh = session->federation_fresh && !part->federation;
    if (sy_part_state(part)->settings != session->settings) {
        /* A simple Query between extended messages needs them answered first only if it must be
         * waited for. */
        if (replay_settings(part) == SY_STEP_AGAIN) {
            sy_part_flush(part);
            sy_session_set_state(session, SY_SESSION_BARRIER);
            return SY_STEP_AGAIN;
        }
    }
    /* The federating database sees the shards through transactions whose snapshots would grow old:
     * it joins a block only for a cursor. What a batch has read on another server belongs to the
     * transaction then. */
    bool joins = (!part->federation || session->federation_cursor) &&
                 (!part->touched || (session->implicit_txn && part->expect_count == 0));
    if (!part->in_txn && (session->implicit_txn || session->txn != 'I') && joins)
        send_prelude(part);
    return SY_STEP_DONE;
}

/* ---- expectations ---- */

static bool grow_expects(struct sy_part *part)
{
    uint32_t size = part->expect_size * 2u;
    struct sy_expect *more = size > UINT16_MAX ? NULL : malloc(size * sizeof(*more));
    if (more == NULL)
        return false;
    for (uint32_t i = 0; i < part->expect_count; i++)
        more[i] = part->expects[(part->expect_first + i) & (part->expect_size - 1u)];
    if (part->expects != part->expects_inline)
        free(part->expects);
    part->expects = more;
    part->expect_first = 0;
    part->expect_size = (uint16_t)size;
    return true;
}

static struct sy_expect *push(struct sy_part *part)
{
    if (part->expect_count == part->expect_size && !grow_expects(part)) {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_LIMIT, "too many pipelined messages");
        sy_session_fatal(part->session, &err);
        return NULL;
    }
    if (part->expect_count == 0)
        part->session->busy_parts++;
    uint32_t at = (part->expect_first + part->expect_count++) & (part->expect_size - 1u);
    return &part->expects[at];
}

void sy_part_expect(struct sy_part *part, enum sy_expect_kind kind, enum sy_expect_why why,
                    uint8_t flags, uint64_t statement_id)
{
    struct sy_expect *expect = push(part);
    if (expect == NULL)
        return;
    *expect = (struct sy_expect){
        .kind = (uint8_t)kind, .why = (uint8_t)why, .flags = flags, .statement_id = statement_id};
    part->server->transaction_status = 0;
    if (kind == SY_X_QUERY)
        sy_part_state(part)->unnamed_owner = 0; /* a simple query drops the unnamed statement */
}

void sy_part_expect_local(struct sy_part *part, uint32_t bytes)
{
    struct sy_expect *expect = push(part);
    if (expect != NULL)
        *expect = (struct sy_expect){.kind = SY_X_LOCAL, .bytes = bytes};
}

void sy_part_pop(struct sy_part *part)
{
    part->expect_first = (uint16_t)((part->expect_first + 1u) & (part->expect_size - 1u));
    if (--part->expect_count == 0)
        part->session->busy_parts--;
}

/* ---- sending ---- */

void sy_part_flush(struct sy_part *part)
{
    if (part->out.chunk == NULL || part->server == NULL)
        return;
    struct sy_link *link = part->server->link;
    link->engine->send(link, part->out.chunk, part->out.from, part->out.to);
    sy_chunk_unref(part->out.chunk);
    part->out.chunk = NULL;
    if (link->engine->congested(link) && !part->session->client_paused) {
        part->session->client_paused = true;
        sy_stream_pause(&part->session->stream);
    }
}

void sy_part_send(struct sy_part *part, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    if (part->out.chunk == chunk && part->out.to == from) {
        part->out.to = to;
        return;
    }
    sy_part_flush(part);
    part->out = (struct sy_piece){sy_chunk_ref(chunk), from, to};
}

void sy_part_send_copy(struct sy_part *part, const void *data, size_t bytes)
{
    sy_part_flush(part);
    struct sy_link *link = part->server->link;
    link->engine->send_copy(link, data, bytes);
}

void sy_part_send_query(struct sy_part *part, struct sy_slice sql)
{
    char small[256];
    if (sql.bytes + 6 > sizeof(small)) {
        struct sy_buf message = {0};
        sy_write_query(&message, sql);
        if (message.failed)
            sy_session_end(part->session);
        else
            sy_part_send_copy(part, message.data, message.bytes);
        sy_buf_release(&message);
        return;
    }
    uint32_t length = __builtin_bswap32((uint32_t)sql.bytes + 5);
    small[0] = 'Q';
    memcpy(small + 1, &length, sizeof(length));
    memcpy(small + 5, sql.data, sql.bytes);
    small[5 + sql.bytes] = 0;
    sy_part_send_copy(part, small, sql.bytes + 6);
}

/* Where a write of this session ends in the WAL: asked for behind it in the same send, the answer
 * is swallowed. */
void sy_part_fetch_position(struct sy_part *part)
{
    if (!sy_session_wants_position(part->session, part))
        return;
    sy_part_expect(part, SY_X_QUERY, SY_WHY_LSN, 0, 0);
    sy_part_send_query(part, SY_SLICE("SELECT pg_catalog.pg_current_wal_insert_lsn()"));
}

/* ---- giving back ---- */

static void clear_state(struct sy_part *part)
{
    struct sy_server_state *state = sy_part_state(part);
    if (state == NULL)
        return;
    sy_prepared_set_clear(&state->prepared);
    state->unnamed_owner = 0;
    sy_part_set_settings(part, part->session->worker->no_settings);
}

/* Only DISCARD ALL is known to undo everything; after another reset query the server's state is a
 * guess. */
static bool reset_undoes_all(const struct sy_session *session)
{
    const char *reset = session->database->topology == NULL
                            ? NULL
                            : session->database->topology->config->pool.reset_query;
    return reset != NULL && strcasecmp(reset, "DISCARD ALL") == 0;
}

void sy_part_release(struct sy_part *part)
{
    struct sy_server *server = part->server;
    bool clean = part->expect_count == 0 && part->status == 'I' && part->out.chunk == NULL &&
                 sy_frame_at_boundary(&part->walker);
    if (server != NULL && clean && server->session_changed) {
        clear_state(part);
        clean = reset_undoes_all(part->session);
    }
    if (server != NULL && part->paused)
        server->link->engine->resume(server->link);
    unlink_part(part);
    part->server = NULL;
    if (server != NULL) {
        server->user = NULL;
        server->transaction_status = part->status;
        if (clean)
            sy_pool_release(server);
        else
            sy_pool_discard(server);
    }
    free_part(part);
}

void sy_part_discard(struct sy_part *part)
{
    struct sy_server *server = part->server;
    unlink_part(part);
    part->server = NULL;
    if (server != NULL)
        sy_pool_discard(server);
    free_part(part);
}

void sy_part_forget(struct sy_part *part)
{
    unlink_part(part);
    part->server = NULL;
    free_part(part);
}

void sy_parts_release_idle(struct sy_session *session)
{
    struct sy_part *part = session->parts;
    while (part != NULL) {
        struct sy_part *next = part->next;
        if (!part->in_txn && !part->pinned && part->expect_count == 0)
            sy_part_release(part);
        part = next;
    }
}

uint32_t sy_parts_in_txn(const struct sy_session *session)
{
    uint32_t count = 0;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        count += part->in_txn;
    return count;
}
