/*
 * The extended protocol: Parse, Flush, Sync and the order of answers in a pipeline; portals.c has
 * the rest. On servers a client's statements have router names and are prepared where they are
 * missing.
 * One server at a time works for a batch: before another one is used, the first must have answered
 * all (a barrier), so that answers keep their order without being held. The worker's thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/extended.h"
#include "router/session/internal.h"

/* ---- answers of the router's own ---- */

struct sy_part *sy_busy_part(struct sy_session *session)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->expect_count > 0)
            return part;
    return NULL;
}

void sy_owe(struct sy_session *session, const void *data, size_t bytes)
{
    sy_buf_append(&session->owed, data, bytes);
    if (session->owed.failed) {
        sy_session_end(session);
        return;
    }
    struct sy_part *part = sy_busy_part(session);
    if (part != NULL)
        sy_part_expect_local(part, (uint32_t)bytes);
    else
        session->owed_loose += (uint32_t)bytes;
}

void sy_owe_simple(struct sy_session *session, char type)
{
    const char message[] = {type, 0, 0, 0, 4};
    sy_owe(session, message, sizeof(message));
}

void sy_owe_attach(struct sy_session *session, struct sy_part *part)
{
    if (session->owed_loose == 0)
        return;
    uint32_t bytes = session->owed_loose;
    session->owed_loose = 0;
    sy_part_expect_local(part, bytes);
}

void sy_owe_settle(struct sy_session *session)
{
    if (session->owed.bytes > 0)
        sy_session_put(session, session->owed.data, session->owed.bytes);
    sy_buf_clear(&session->owed);
    session->owed_loose = 0;
}

static void send_simple(struct sy_part *part, char type)
{
    const char message[] = {type, 0, 0, 0, 4};
    sy_part_send_copy(part, message, sizeof(message));
}

enum sy_step sy_barrier(struct sy_session *session)
{
    session->need_barrier = false;
    if (session->busy_parts == 0 && !sy_merge_pending(session))
        return SY_STEP_DONE;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (part->expect_count == 0)
            continue;
        if (part->touched)
            send_simple(part, 'H');
        sy_part_flush(part);
    }
    sy_session_set_state(session, SY_SESSION_BARRIER);
    return SY_STEP_AGAIN;
}

/* An error of the router's own: told in order, the rest of the batch is skipped, what ran in it is
 * undone. */
static enum sy_step fail_batch(struct sy_session *session, const struct sy_err *err)
{
    enum sy_step step = sy_barrier(session);
    if (step != SY_STEP_DONE)
        return step;
    if (session->skip_to_sync) /* a server's error came first */
        return SY_STEP_DONE;
    sy_owe_settle(session);
    sy_session_put_error(session, err);
    session->cycle_errored = true;
    session->batch_failed = true;
    session->skip_to_sync = true;
    if (session->txn == 'T')
        sy_txn_failed(session);
    return SY_STEP_DONE;
}

/* ---- statements on servers ---- */

static void evict(struct sy_part *part, bool simple)
{
    struct sy_server_state *state = sy_part_state(part);
    uint32_t most = part->session->database->topology->config->pool.prepared_max;
    uint64_t id;
    if (most == 0 || sy_prepared_set_count(&state->prepared) < most ||
        !sy_prepared_set_evict(&state->prepared, &id))
        return;
    char name[SY_STATEMENT_NAME_BYTES];
    uint32_t bytes = sy_statement_name(id, name);
    struct sy_buf *out = sy_session_scratch(part->session);
    sy_write_close(out, 'S', (struct sy_slice){name, bytes});
    sy_part_expect(part, SY_X_CLOSE, SY_WHY_EVICT, 0, id);
    if (simple) {
        sy_write_simple(out, 'S');
        sy_part_expect(part, SY_X_SYNC, SY_WHY_EVICT, 0, 0);
    }
    sy_part_send_copy(part, out->data, out->bytes);
}

static void write_parse(const struct sy_part *part, struct sy_buf *out, struct sy_slice name,
                        const struct sy_statement *statement)
{
    uint32_t few[16], *types = few;
    if (statement->type_count > 16)
        types =
            sy_arena_calloc(&part->session->worker->arena, statement->type_count, sizeof(*types));
    if (types == NULL) {
        out->failed = true;
        return;
    }
    sy_part_map_parse(part, statement->types, statement->type_count, types);
    sy_write_parse(out, name, statement->text, types, statement->type_count);
}

void sy_prepare_on(struct sy_part *part, struct sy_statement *statement, bool simple)
{
    struct sy_session *session = part->session;
    struct sy_server_state *state = sy_part_state(part);
    struct sy_err err;
    sy_err_init(&err);
    if (sy_prepared_set_touch(&state->prepared, statement->id))
        return;
    evict(part, simple);
    if (sy_prepared_set_add(&state->prepared, statement->id, &err) != SY_OK) {
        sy_session_fatal(session, &err);
        return;
    }
    sy_counter_add(&session->database->counters->server_prepares, 1);
    char name[SY_STATEMENT_NAME_BYTES];
    struct sy_slice as = {name, sy_statement_name(statement->id, name)};
    struct sy_buf *out = sy_session_scratch(session);
    if (statement->by_sql) {
        size_t start = sy_msg_begin(out, 'Q');
        sy_buf_printf(out, "PREPARE %s", name);
        sy_buf_append_slice(out, statement->sql_types);
        sy_buf_append_str(out, " AS ");
        sy_buf_append_slice(out, statement->text);
        sy_buf_append_u8(out, 0);
        sy_msg_end(out, start);
        sy_part_expect(part, SY_X_QUERY, SY_WHY_PREPARE, 0, statement->id);
    } else {
        write_parse(part, out, as, statement);
        sy_part_expect(part, SY_X_PARSE, SY_WHY_PREPARE, 0, statement->id);
        if (simple) {
            sy_write_simple(out, 'S');
            sy_part_expect(part, SY_X_SYNC, SY_WHY_PREPARE, 0, 0);
        }
    }
    sy_part_send_copy(part, out->data, out->bytes);
}

/* The unnamed statement stays unnamed on the server: it is planned for each use, as the client
 * expects. */
static void prepare_unnamed(struct sy_part *part, struct sy_prepared *prepared)
{
    struct sy_session *session = part->session;
    struct sy_server_state *state = sy_part_state(part);
    if (state->unnamed_owner == prepared->serial)
        return;
    const struct sy_piece none = {0}; /* it may be one of fresh.c */
    const struct sy_piece *own =
        prepared == session->extended->unnamed ? &session->extended->unnamed_parse : &none;
    sy_part_expect(part, SY_X_PARSE, SY_WHY_PREPARE, 0, 0);
    bool mapped = prepared->statement->type_count > 0 && sy_part_maps_types(part);
    if (own->chunk != NULL && !mapped) {
        sy_part_send(part, own->chunk, own->from, own->to);
    } else {
        struct sy_buf *out = sy_session_scratch(session);
        write_parse(part, out, (struct sy_slice){"", 0}, prepared->statement);
        sy_part_send_copy(part, out->data, out->bytes);
    }
    state->unnamed_owner = prepared->serial;
}

void sy_prepare_for(struct sy_part *part, struct sy_prepared *prepared)
{
    if (prepared->name[0] == 0 && !prepared->statement->by_sql)
        prepare_unnamed(part, prepared);
    else
        sy_prepare_on(part, prepared->statement, false);
    part->touched = true;
}

/* ---- Parse ---- */

static void drop_unnamed_parse(struct sy_extended *extended)
{
    if (extended->unnamed_parse.chunk != NULL)
        sy_chunk_unref(extended->unnamed_parse.chunk);
    extended->unnamed_parse.chunk = NULL;
}

bool sy_statement_is_empty(const struct sy_statement *statement)
{
    const struct sy_facts *facts = statement->template->facts;
    return facts->stmt_count == 0 || facts->stmts[0].kind == SY_STMT_EMPTY;
}

static bool ends_block(const struct sy_statement *statement)
{
    const struct sy_stmt *stmt = &statement->template->facts->stmts[0];
    return stmt->kind >= SY_STMT_BEGIN && stmt->kind <= SY_STMT_ROLLBACK_TO;
}

static enum sy_step on_parse(struct sy_session *session, const struct sy_frame *frame,
                             struct sy_err *err)
{
    struct sy_parse_msg message;
    if (sy_parse_read(frame->body.data, frame->body.bytes, &message, err) != SY_OK)
        return SY_STEP_ERROR;
    uint32_t few[16], *types = few;
    if (message.type_count > 16)
        types = sy_arena_calloc(&session->worker->arena, message.type_count, sizeof(*types));
    if (types == NULL)
        return (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory"), SY_STEP_ERROR;
    for (uint16_t i = 0; i < message.type_count; i++)
        types[i] = sy_u32_at(message.types, i);
    struct sy_statement_key key = {.text = message.query,
                                   .types = types,
                                   .type_count = message.type_count,
                                   .environment = session->environment};
    if (sy_extended_define(session, message.name, &key, err) != SY_OK) {
        sy_declare_refuse_extended(message.query, err);
        return SY_STEP_ERROR;
    }
    struct sy_prepared *prepared = sy_extended_find(session, message.name, err);
    if (session->txn == 'E' && prepared != NULL && !sy_statement_is_empty(prepared->statement) &&
        !ends_block(prepared->statement)) {
        sy_extended_remove(session, message.name);
        return sy_txn_refuse(session, err);
    }
    sy_counter_add(&session->database->counters->client_prepares, 1);
    if (message.name.bytes == 0) {
        drop_unnamed_parse(session->extended);
        bool as_is = !session->database->renamed || prepared == NULL ||
                     sy_slice_eq(prepared->statement->text, message.query);
        if (as_is)
            session->extended->unnamed_parse =
                (struct sy_piece){sy_chunk_ref(frame->chunk), frame->from, frame->to};
    }
    sy_owe_simple(session, '1');
    return SY_STEP_DONE;
}

/* ---- Flush, Sync ---- */

static enum sy_step on_flush(struct sy_session *session)
{
    if (session->busy_parts == 0) {
        sy_owe_settle(session);
        return SY_STEP_DONE;
    }
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->touched && part->expect_count > 0)
            send_simple(part, 'H');
    return SY_STEP_DONE;
}

/* Makes the server's implicit transaction roll back at Sync: what the batch did there must not
 * stay. */
static void poison(struct sy_part *part)
{
    struct sy_bind_values bind = {.portal = SY_SLICE(""),
                                  .statement = SY_SLICE("sy_no_such_statement")};
    struct sy_buf *out = sy_session_scratch(part->session);
    sy_write_bind(out, &bind);
    sy_part_expect(part, SY_X_BIND, SY_WHY_POISON, 0, 0);
    sy_part_send_copy(part, out->data, out->bytes);
}

static enum sy_step on_sync(struct sy_session *session, const struct sy_frame *frame)
{
    uint32_t touched = 0;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        touched += part->touched;
    if ((touched > 1 || session->batch_failed) && session->busy_parts > 0) {
        enum sy_step step = sy_barrier(session);
        if (step != SY_STEP_DONE)
            return step;
    }
    if (session->busy_parts == 0)
        sy_owe_settle(session);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->touched)
            continue;
        if (session->batch_failed && !part->failed && !part->in_txn)
            poison(part);
        bool commits = part->will_write && session->txn == 'I' && !session->implicit_txn &&
                       !session->batch_failed;
        uint8_t flags = (uint8_t)((touched == 1 ? SY_X_READY : 0) | (commits ? SY_X_WRITE : 0));
        sy_part_expect(part, SY_X_SYNC, SY_WHY_CLIENT, flags, 0);
        sy_part_send(part, frame->chunk, frame->from, frame->to);
        if (commits)
            sy_part_fetch_position(part);
        part->will_write = false;
    }
    session->skip_to_sync = false;
    session->sync_seen = true;
    session->need_barrier = false;
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

/* ---- the messages ---- */

static enum sy_step dispatch(struct sy_session *session, const struct sy_frame *frame,
                             struct sy_err *err)
{
    switch (frame->type) {
    case 'P':
        return on_parse(session, frame, err);
    case 'B':
        return sy_portal_on_bind(session, frame, err);
    case 'D':
        return sy_portal_on_describe(session, frame, err);
    case 'E':
        return sy_portal_on_execute(session, frame, err);
    case 'C':
        return sy_portal_on_close(session, frame, err);
    default:
        return on_flush(session);
    }
}

static bool is_touched(const struct sy_session *session)
{
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->touched)
            return true;
    return false;
}

/* SET LOCAL without BEGIN holds until Sync, on the server that it went to. Over several shards what
 * comes behind it would be read, and run elsewhere, under the settings from before. */
static enum sy_status check_behind_local(struct sy_session *session, const struct sy_frame *frame,
                                         struct sy_err *err)
{
    if (!session->batch_local || !session->database->sharded)
        return SY_OK;
    if (frame->type == 'C' || frame->type == 'H') {
        session->need_barrier = true; /* asks again at the next message */
        return SY_OK;
    }
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "a statement behind SET LOCAL, in one pipeline without a transaction block on "
                     "a database of several shards, is not supported");
    sy_err_hint(err, "Begin the pipeline with BEGIN.");
    return SY_E_UNSUPPORTED;
}

enum sy_step sy_extended_message(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_err err;
    sy_err_init(&err);
    if (!session->in_batch) {
        if (!sy_extended_ensure(session)) {
            sy_session_end(session);
            return SY_STEP_AGAIN;
        }
        sy_cycle_begin(session, false);
        session->in_batch = true;
        session->batch_failed = session->skip_to_sync = false;
        sy_session_set_state(session, SY_SESSION_BATCH);
    }
    /* A Sync that reaches a server is refused there. */
    bool malformed =
        frame->body.bytes > 0 &&
        (frame->type == 'H' ? !session->skip_to_sync : frame->type == 'S' && !is_touched(session));
    if (malformed) {
        (void)sy_err_set(&err, SY_E_PROTOCOL, "invalid message format");
        enum sy_step step = fail_batch(session, &err);
        if (step != SY_STEP_DONE || frame->type == 'H')
            return step;
    }
    if (frame->type == 'S')
        return on_sync(session, frame);
    if (session->skip_to_sync)
        return SY_STEP_DONE;
    if (session->need_barrier) {
        enum sy_step step = sy_barrier(session);
        if (step != SY_STEP_DONE)
            return step;
        if (check_behind_local(session, frame, &err) != SY_OK)
            return fail_batch(session, &err);
    }
    sy_gather_tell(session);
    enum sy_step step = dispatch(session, frame, &err);
    return step == SY_STEP_ERROR ? fail_batch(session, &err) : step;
}

/* Ends what the servers have of the batch. True: they are at it. */
static bool sync_servers(struct sy_session *session)
{
    bool any = false;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->touched)
            continue;
        sy_part_expect(part, SY_X_SYNC, SY_WHY_CLIENT, 0, 0);
        send_simple(part, 'S');
        any = true;
    }
    return any;
}

/* What the batch did becomes the beginning of a transaction of the router's own. */
static void join_transaction(struct sy_session *session)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->touched || part->in_txn)
            continue;
        sy_part_expect(part, SY_X_QUERY, SY_WHY_BEGIN, 0, 0);
        sy_part_send_query(part, SY_SLICE("BEGIN"));
        part->in_txn = true;
    }
    session->implicit_txn = true;
}

/* Drivers prepare with Parse, Describe and Flush, and send a Query then (asyncpg before COPY). What
 * was only prepared or read is over with a Sync; a write is in one transaction with the Query, as
 * on a server, whichever shards they go to. */
enum sy_step sy_extended_query_in_batch(struct sy_session *session, const struct sy_frame *frame)
{
    enum sy_step step =
        sy_barrier(session); /* an error may be on its way: then everything up to Sync is skipped */
    if (step != SY_STEP_DONE || session->skip_to_sync)
        return step;
    bool wrote = session->implicit_txn || session->batch_local;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        wrote = wrote || part->will_write || part->wrote;
    if (wrote && session->txn == 'I')
        join_transaction(session);
    if (sync_servers(session))
        return sy_barrier(session);
    sy_owe_settle(session);
    sy_gather_tell(session);
    sy_gather_reset(session);
    struct sy_err err;
    sy_err_init(&err);
    bool refused = check_behind_local(session, frame, &err) != SY_OK;
    session->in_batch = session->batch_failed = session->batch_local = false;
    sy_extended_cycle_over(session);
    sy_session_set_state(session, SY_SESSION_IDLE);
    if (refused)
        return sy_simple_refuse(session, &err);
    return frame->type == 'F' ? sy_simple_function_call(session, frame)
                              : sy_simple_query(session, frame);
}
