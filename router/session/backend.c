/*
 * What servers answer. Walks the frames of each receive by their headers, decides per message from
 * the head of the participant's queue of expectations whether it is forwarded, swallowed or
 * replaced, and forwards runs of bytes as slices of the receive buffer. The worker's thread.
 *
 * Not here: what an answer means for the client's command as a whole (cycle.c) or transaction
 * (txn.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/internal.h"
#include "router/wire/answers.h"

/* BROKEN: the message is not what its type says; both connections end. */
enum action { FORWARD, SWALLOW, BROKEN };

/* ---- the run of bytes about to be forwarded ---- */

static void run_flush(struct sy_session *session)
{
    struct sy_piece *run = &session->run;
    if (run->chunk != NULL && run->to > run->from) {
        sy_stream_send(&session->stream, run->chunk, run->from, run->to);
        sy_counter_add(&session->database->counters->bytes_to_clients, run->to - run->from);
    }
    if (run->chunk != NULL)
        run->from = run->to;
}

static void run_extend(struct sy_session *session, uint32_t from, uint32_t to)
{
    struct sy_piece *run = &session->run;
    if (run->to != from) {
        run_flush(session);
        run->from = from;
    }
    run->to = to;
}

/* ---- expectations ---- */

/* The columns of a read on a replica wait for its first row: until then it may still move to the
 * primary. */
static void put_held(struct sy_session *session)
{
    if (session->held_columns.bytes == 0)
        return;
    run_flush(session);
    sy_session_put(session, session->held_columns.data, session->held_columns.bytes);
    sy_buf_clear(&session->held_columns);
}

static bool hold_columns(struct sy_part *part, struct sy_slice body)
{
    struct sy_session *session = part->session;
    if (part->primary || session->replay.chunk == NULL)
        return false;
    size_t start = sy_msg_begin(&session->held_columns, 'T');
    sy_buf_append_slice(&session->held_columns, body);
    sy_msg_end(&session->held_columns, start);
    return !session->held_columns.failed;
}

static void put_local(struct sy_session *session, uint32_t bytes)
{
    run_flush(session);
    sy_session_put(session, session->owed.data, bytes);
    sy_buf_consume(&session->owed, bytes);
}

/* Local answers that are due now go out. */
static void put_due(struct sy_part *part)
{
    struct sy_expect *head;
    while ((head = sy_part_head(part)) != NULL && head->kind == SY_X_LOCAL) {
        put_local(part->session, head->bytes);
        sy_part_pop(part);
    }
}

/* The server skips everything up to Sync: so do we. */
static void drop_until_sync(struct sy_part *part)
{
    struct sy_session *session = part->session;
    struct sy_server_state *state = sy_part_state(part);
    struct sy_expect *head;
    while ((head = sy_part_head(part)) != NULL && head->kind != SY_X_SYNC &&
           head->kind != SY_X_QUERY) {
        if (head->kind == SY_X_LOCAL)
            sy_buf_consume(&session->owed, head->bytes);
        else if (head->kind == SY_X_PARSE && head->statement_id != 0)
            sy_prepared_set_remove(&state->prepared, head->statement_id);
        else if (head->kind == SY_X_CLOSE && head->why == SY_WHY_EVICT)
            sy_prepared_set_keep(&state->prepared, head->statement_id);
        else if (head->kind == SY_X_PARSE)
            state->unnamed_owner = 0;
        if ((head->flags & SY_X_GATHER) != 0) { /* the others need not wait for its turn */
            session->gather->failed = true;
            part->gather_done = true;
        }
        sy_part_pop(part);
    }
}

/* What the next message may be an answer to. */
static enum sy_answers_to answers_to(const struct sy_part *part)
{
    static const uint8_t of_kind[] = {
        [SY_X_QUERY] = SY_ANSWERS_QUERY,         [SY_X_PARSE] = SY_ANSWERS_PARSE,
        [SY_X_BIND] = SY_ANSWERS_BIND,           [SY_X_DESCRIBE_S] = SY_ANSWERS_DESCRIBE_STATEMENT,
        [SY_X_DESCRIBE_P] = SY_ANSWERS_DESCRIBE, [SY_X_EXECUTE] = SY_ANSWERS_EXECUTE,
        [SY_X_CLOSE] = SY_ANSWERS_CLOSE,         [SY_X_SYNC] = SY_ANSWERS_SYNC,
        [SY_X_LOCAL] = SY_ANSWERS_NOTHING,
    };
    if (part->expect_count == 0)
        return SY_ANSWERS_NOTHING;
    if (part->errored | part->copying_in | part->copying_out)
        return part->errored      ? SY_ANSWERS_SYNC
               : part->copying_in ? SY_ANSWERS_COPY_IN
                                  : SY_ANSWERS_COPY_OUT;
    const struct sy_expect *head = &part->expects[part->expect_first];
    if (head->kind == SY_X_DESCRIBE_S && head->answered)
        return SY_ANSWERS_DESCRIBE;
    return (enum sy_answers_to)of_kind[head->kind];
}

static bool forwards(const struct sy_part *part, const struct sy_expect *head)
{
    if (head == NULL || (head->flags & SY_X_FORWARD) == 0)
        return false;
    const struct sy_gather *gather = part->session->gather;
    if ((head->flags & SY_X_GATHER) != 0 && gather->merge != NULL)
        return head->kind == SY_X_BIND && part->gather_index == 0 && !gather->failed;
    return (head->flags & SY_X_GATHER) == 0 ||
           (!gather->failed && gather->current == part->gather_index && !part->gather_done &&
            (!gather->all || part->gather_index == 0));
}

/* ---- messages ---- */

static enum action on_error(struct sy_part *part, struct sy_slice body);

static void fail_gather(struct sy_session *session, const struct sy_err *err)
{
    run_flush(session);
    sy_gather_fail(session, err);
}

static void gather_moves(struct sy_session *session)
{
    struct sy_err err = {0};
    (void)sy_err_set(&err, SY_E_UNSUPPORTED,
                     "changing the sharding key would move rows to another shard, which is not "
                     "supported");
    sy_err_hint(&err, "INSERT the row under its new key, then DELETE the old one.");
    fail_gather(session, &err);
}

static void gather_disagrees(struct sy_part *part, const char *what, struct sy_slice that)
{
    struct sy_session *session = part->session;
    struct sy_err err = {0};
    struct sy_slice name = sy_topology_shard_name(session->database->topology, part->shard);
    (void)sy_err_set(&err, SY_E_STATE, "the shards disagree: \"%.*s\" %s%.*s", (int)name.bytes,
                     name.data, what, (int)that.bytes, that.data);
    sy_err_hint(&err, "The copies of a reference table or the schemas of the shards differ.");
    fail_gather(session, &err);
}

/* Combines the tags of several servers; the last one completes the answer. */
static enum action gather_complete(struct sy_part *part, struct sy_slice tag)
{
    struct sy_session *session = part->session;
    struct sy_gather *gather = session->gather;
    part->gather_done = true;
    gather->current++;
    if (gather->merge != NULL)
        sy_merge_end(gather->merge, part->gather_index);
    if (gather->sums && !gather->failed)
        (void)sy_tag_sum_add(&gather->tags, tag);
    if (gather->failed || gather->merge != NULL)
        return SWALLOW;
    if (gather->tags.parts == 0)
        (void)sy_tag_rows(tag, &gather->rows_first);
    uint64_t rows = 0;
    (void)sy_tag_rows(tag, &rows);
    if (gather->has_home && part->shard != gather->home && rows > 0) {
        gather_moves(session);
        return SWALLOW;
    }
    if (!sy_tag_sum_add(&gather->tags, tag) || (gather->all && rows != gather->rows_first)) {
        gather_disagrees(part, "reports ", tag);
        return SWALLOW;
    }
    if (gather->tags.parts < gather->count)
        return SWALLOW;
    sy_tag_sum_write(&gather->tags, gather->all ? gather->rows_first : gather->tags.rows,
                     gather->held);
    if (gather->told_tag != NULL)
        snprintf(gather->held, sizeof(gather->held), "%s", gather->told_tag);
    if (!session->implicit_txn) {
        run_flush(session);
        sy_session_put_complete(session, gather->held);
        gather->held[0] = 0;
    }
    return SWALLOW;
}

/* A shard that had none of the rows need not take part in the commit. */
static bool wrote_nothing(const struct sy_session *session, const struct sy_expect *head,
                          struct sy_slice tag)
{
    uint64_t rows;
    return (head->flags & SY_X_GATHER) != 0 && session->gather->counted &&
           sy_tag_rows(tag, &rows) && rows == 0;
}

static enum action on_complete(struct sy_part *part, struct sy_slice body)
{
    struct sy_session *session = part->session;
    struct sy_expect *head = sy_part_head(part);
    if (head == NULL)
        return SWALLOW;
    if (body.bytes == 0 || memchr(body.data, '\0', body.bytes) != body.data + body.bytes - 1)
        return BROKEN;
    struct sy_slice tag = {body.data, body.bytes - 1};
    if (head->why == SY_WHY_TWO_PHASE) {
        head->answered = sy_two_phase_complete(part, tag);
        return SWALLOW;
    }
    head->answered = true;
    if (head->kind == SY_X_EXECUTE && head->why == SY_WHY_CLIENT)
        part->suspended = false;
    part->copying_in = false;
    if ((head->flags & SY_X_WRITE) != 0 && !wrote_nothing(session, head, tag))
        part->wrote = true;
    bool committed = sy_slice_eq(tag, SY_SLICE("COMMIT"));
    if (head->why == SY_WHY_COMMIT)
        sy_txn_commit_answer(part, committed);
    if (session->txn_state != NULL && head->why == SY_WHY_CLIENT &&
        (committed || sy_slice_eq(tag, SY_SLICE("ROLLBACK"))))
        session->txn_state->committed = committed;
    if (session->effects && head->why == SY_WHY_CLIENT)
        sy_effect_apply(session, part, tag);
    enum action action = forwards(part, head) ? FORWARD : SWALLOW;
    if ((head->flags & SY_X_GATHER) != 0)
        action = gather_complete(part, tag);
    if ((head->flags & SY_X_TURN) != 0 && !sy_turn_complete(part, tag))
        action = SWALLOW;
    if (head->kind == SY_X_EXECUTE)
        sy_part_pop(part);
    return action;
}

static void on_statement_gone(struct sy_part *part, const struct sy_expect *head,
                              const struct sy_notice_fields *fields)
{
    /* Not there any more (someone ran DEALLOCATE), or its plan's result changed with the schema:
     * the next use prepares it anew. */
    bool gone = sy_slice_eq(fields->sqlstate, SY_SLICE("26000"));
    bool stale = sy_slice_eq(fields->sqlstate, SY_SLICE("0A000")) &&
                 sy_slice_eq(fields->routine, SY_SLICE("RevalidateCachedQuery"));
    if (head->statement_id == 0 || !(gone || stale))
        return;
    struct sy_server_state *state = sy_part_state(part);
    if (gone)
        sy_prepared_set_remove(&state->prepared, head->statement_id);
    else
        part->server->session_changed = true; /* DISCARD ALL at release clears the stale plan */
}

static enum action fatal_error(struct sy_part *part, const struct sy_notice_fields *fields)
{
    struct sy_slice code = fields->sqlstate;
    snprintf(part->fatal_sqlstate, sizeof(part->fatal_sqlstate), "%.*s", (int)code.bytes,
             code.data);
    free(part->fatal_message);
    part->fatal_message =
        strndup(fields->message.data == NULL ? "" : fields->message.data, fields->message.bytes);
    return SWALLOW; /* told when the connection ends, as an error that leaves the client connected
                     */
}

/* A read that a replica refuses is run again on the primary, unless part of its answer was told
 * already. */
static bool rerun_on_primary(struct sy_part *part, const struct sy_expect *head,
                             const struct sy_notice_fields *fields)
{
    struct sy_session *session = part->session;
    if (part->primary || session->replay.chunk == NULL || session->txn != 'I' || head->answered ||
        head->why != SY_WHY_CLIENT || session->replay_told)
        return false;
    if (!sy_slice_eq(fields->sqlstate, SY_SLICE("25006")) &&
        !sy_slice_eq(fields->sqlstate, SY_SLICE("0A000")) &&
        !sy_slice_eq(fields->sqlstate, SY_SLICE("55000"))     /* "recovery is in progress" */
        && !sy_slice_eq(fields->sqlstate, SY_SLICE("40001"))) /* conflict with recovery */
        return false;
    session->replica_retry = true;
    sy_buf_clear(&session->held_columns);
    return true;
}

/* What follows in the pipeline relied on what just failed: its answers are not told. */
static void silence_rest(struct sy_part *part)
{
    for (uint32_t i = 1; i < part->expect_count; i++)
        part->expects[(part->expect_first + i) & (part->expect_size - 1u)].flags &=
            (uint8_t)~SY_X_FORWARD;
}

/* The server skips what is left of the batch. */
static void fail_batch(struct sy_part *part, const struct sy_expect *head)
{
    struct sy_session *session = part->session;
    part->failed = true;
    if (head->why != SY_WHY_POISON) {
        session->batch_failed = true;
        session->skip_to_sync = !session->sync_seen;
    }
    drop_until_sync(part);
}

/* True: it is the first error, and to be told. */
static bool asking_failed(struct sy_session *session)
{
    bool first = !sy_asking_is_over(session);
    sy_asking_failed(session);
    session->batch_failed = session->in_batch;
    session->skip_to_sync = session->in_batch && !session->sync_seen;
    return first;
}

/* What follows in the pipeline ran in a state the client did not ask for: its answer is this error,
 * and the server is not used again. */
static void on_preparation_failed(struct sy_part *part)
{
    part->server->session_changed = true;
    part->failed = true;
    if (part->session->txn != 'I')
        sy_txn_failed(part->session);
    silence_rest(part);
}

static enum action tell_error(struct sy_part *part, const struct sy_notice_fields *fields,
                              bool translated)
{
    return translated || sy_rephrase_error(part, fields) ? SWALLOW : FORWARD;
}

static enum action on_error(struct sy_part *part, struct sy_slice body)
{
    struct sy_session *session = part->session;
    struct sy_expect *head = sy_part_head(part);
    struct sy_notice_fields fields;
    struct sy_err err = {0};
    if (sy_notice_read(body.data, body.bytes, &fields, &err) != SY_OK)
        return BROKEN;
    struct sy_slice severity =
        fields.severity_nonlocalized.data != NULL ? fields.severity_nonlocalized : fields.severity;
    if (sy_slice_eq(severity, SY_SLICE("FATAL")) || sy_slice_eq(severity, SY_SLICE("PANIC")))
        return fatal_error(part, &fields);
    if (head == NULL)
        return BROKEN; /* nothing was asked that could fail */
    on_statement_gone(part, head, &fields);
    bool forward =
        head->why == SY_WHY_CLIENT || head->why == SY_WHY_PREPARE || head->why == SY_WHY_COLUMNS;
    sy_part_rows_over(part);
    if (head->why == SY_WHY_PREPARE && head->kind == SY_X_QUERY)
        sy_prepared_set_remove(&sy_part_state(part)->prepared, head->statement_id);
    if (head->why == SY_WHY_PREPARE && !session->in_batch)
        silence_rest(part);
    if (head->why == SY_WHY_SETTINGS || head->why == SY_WHY_BEGIN) {
        forward = true;
        on_preparation_failed(part);
    }
    bool rerun = rerun_on_primary(part, head, &fields);
    bool translated = sy_federation_error(part, head, &fields, &err);
    if (translated) {
        run_flush(session);
        sy_session_put_error(session, &err);
    }
    head->answered = true;
    bool gathers = (head->flags & SY_X_GATHER) != 0 ||
                   (head->why == SY_WHY_PREPARE && session->gather != NULL &&
                    session->gather->active && session->gather->simple);
    if (gathers) {
        forward = forward && !session->gather->failed;
        session->gather->failed = true;
        part->gather_done = true;
        part->copying_in = false;
        if (session->copy_in != NULL)
            sy_copy_shard_failed(session);
    }
    if (head->why == SY_WHY_COMMIT) {
        sy_txn_commit_answer(part, false);
        forward = session->phase == SY_PHASE_COMMIT_FIRST;
    }
    if (head->why == SY_WHY_TWO_PHASE) {
        run_flush(session);
        forward = sy_two_phase_error(part, &fields);
    }
    if (head->why == SY_WHY_LSN) /* the position is not known: reads stay on the primary */
        sy_session_saw_position(session, part, (struct sy_slice){0});
    /* Several servers may have the same error, from Parse on: one is told. */
    if (head->kind != SY_X_QUERY && session->several_bound && session->batch_failed)
        forward = false;
    if (head->why == SY_WHY_ASK)
        forward = asking_failed(session);
    if (forward)
        session->cycle_errored = true;
    part->copying_in = part->copying_out = false;
    part->errored = head->kind == SY_X_QUERY;
    if (head->kind != SY_X_QUERY)
        fail_batch(part, head);
    return forward && !rerun ? tell_error(part, &fields, translated) : SWALLOW;
}

static enum action on_ready(struct sy_part *part, struct sy_slice body)
{
    struct sy_session *session = part->session;
    struct sy_expect *head = sy_part_head(part);
    char status = body.bytes == 1 ? body.data[0] : 0;
    if (head == NULL || (status != 'I' && status != 'T' && status != 'E'))
        return BROKEN;
    if (head->kind == SY_X_QUERY && (head->flags & SY_X_GATHER) != 0 && !part->gather_done)
        return BROKEN; /* others wait for the end of its answer, which did not come */
    part->status = status;
    part->server->transaction_status = part->expect_count == 1 ? part->status : 0;
    part->in_txn = part->status != 'I';
    part->failed = false;
    part->touched = head->kind == SY_X_SYNC ? false : part->touched;
    part->copying_in = part->copying_out = part->errored = false;
    if (head->why == SY_WHY_SETTINGS && !session->cycle_errored)
        sy_part_state(part)->settings->proven = true;
    bool ready = (head->flags & SY_X_READY) != 0;
    bool clients = head->why == SY_WHY_CLIENT || head->why == SY_WHY_ASK;
    sy_part_pop(part);
    if (clients)
        sy_txn_note_status(session);
    if (!ready)
        return SWALLOW;
    if ((session->replica_retry && session->replay.chunk != NULL) || session->implicit_txn ||
        session->busy_parts > (part->expect_count > 0) ||
        (session->gather != NULL && session->gather->active) || session->txn != part->status ||
        session->ready_sent || session->script != NULL ||
        (session->schema_changed && session->txn == 'I'))
        return SWALLOW; /* the end of the cycle tells it */
    session->ready_sent = true;
    return FORWARD;
}

static enum action on_parameter(struct sy_part *part, struct sy_slice body)
{
    struct sy_pair_msg pair;
    struct sy_err err = {0};
    if (sy_parameter_status_read(body.data, body.bytes, &pair, &err) != SY_OK)
        return BROKEN;
    struct sy_parameters *known = part->server->link->parameters;
    if (known != NULL && sy_parameters_set(known, pair.name, pair.value, &err) == SY_E_LIMIT &&
        pair.value.bytes <= SY_LIMIT_SERVER_PARAMETER_BYTES)
        return BROKEN; /* more settings than a server has; a long value is only not remembered */
    const struct sy_expect *head = sy_part_head(part);
    return head == NULL || forwards(part, head) ? FORWARD : SWALLOW;
}

/* Answers to extended messages: pops what it answers. */
static enum action on_simple_answer(struct sy_part *part, char type)
{
    struct sy_expect *head = sy_part_head(part);
    if (head == NULL)
        return SWALLOW;
    enum action action = forwards(part, head) ? FORWARD : SWALLOW;
    struct sy_server_state *state = sy_part_state(part);
    bool pops = false;
    switch (type) {
    case '1':
        pops = head->kind == SY_X_PARSE;
        break;
    case '2':
        pops = head->kind == SY_X_BIND;
        break;
    case '3':
        pops = head->kind == SY_X_CLOSE;
        if (pops && head->why == SY_WHY_EVICT)
            sy_prepared_set_closed(&state->prepared, head->statement_id);
        break;
    case 't':
        head->answered = true; /* the columns are left */
        break;
    case 'n':
    case 'T':
        pops = head->kind == SY_X_DESCRIBE_S || head->kind == SY_X_DESCRIBE_P;
        break;
    case 's': /* INSERT ... RETURNING with a row limit has written all the same */
        sy_part_rows_over(part);
        pops = head->kind == SY_X_EXECUTE;
        part->wrote = part->wrote || (pops && (head->flags & SY_X_WRITE) != 0);
        break;
    default:
        break;
    }
    if (type == 'T' && (head->flags & SY_X_GATHER) != 0 && part->gather_index != 0)
        action = SWALLOW;
    if (pops)
        sy_part_pop(part);
    return action;
}

/* What it answers goes into a merge. */
static bool merges(const struct sy_part *part)
{
    const struct sy_gather *gather = part->session->gather;
    return gather != NULL && gather->active && gather->merge != NULL && part->expect_count > 0 &&
           (part->expects[part->expect_first].flags & SY_X_GATHER) != 0;
}

static enum action on_copy_response(struct sy_part *part, char type, struct sy_slice body)
{
    struct sy_session *session = part->session;
    const struct sy_expect *head = sy_part_head(part);
    if (head == NULL)
        return SWALLOW;
    bool of_several = (head->flags & SY_X_GATHER) != 0;
    bool first = !of_several || part->gather_index == 0;
    if (of_several && type == 'H' && first)
        session->gather->copies_out = !merges(part);
    if (of_several && (type == 'G' ? session->copy_in == NULL : !session->gather->copies_out))
        return BROKEN; /* COPY was not asked for */
    enum action action = forwards(part, head) && first ? FORWARD : SWALLOW;
    if (type == 'G') {
        part->copying_in = true;
        if (session->copy_in != NULL) {
            sy_copy_ready(part, body);
            return SWALLOW;
        }
        sy_session_set_state(session, SY_SESSION_COPY_IN);
    }
    part->copying_out = type == 'H';
    if (type == 'H' && !first)
        session->gather->drop_next_copy_row = session->gather->copy_header;
    if (type == 'H' && (head->flags & SY_X_GATHER) != 0)
        sy_copy_join_begin(&session->gather->copy_join, first,
                           part->gather_index + 1 == session->gather->count);
    return action;
}

/* What several servers describe is one answer. */
static bool take_columns(struct sy_part *part, struct sy_slice body)
{
    const struct sy_expect *head = sy_part_head(part);
    const struct sy_gather *gather = part->session->gather;
    if (head == NULL || (head->flags & SY_X_GATHER) == 0)
        return true;
    if (merges(part)) {
        sy_merge_take(part, 'T', body);
        return true;
    }
    if (gather->simple && forwards(part, head) && !sy_gather_same_columns(part, body))
        gather_disagrees(part, "describes other columns", SY_SLICE(""));
    return !gather->copies_out;
}

/* A row whose OIDs were mapped. */
static enum action row_told(struct sy_part *part)
{
    struct sy_session *session = part->session;
    if (!forwards(part, sy_part_head(part)))
        return SWALLOW;
    session->replay_told = session->replay_told || session->held_columns.bytes > 0;
    return FORWARD;
}

static bool joins_copies(const struct sy_part *part, char type)
{
    const struct sy_gather *gather = part->session->gather;
    return type == 'd' && gather != NULL && gather->active && gather->copy_binary;
}

/* Data of one binary COPY of several. */
static enum action join_copy(struct sy_part *part, struct sy_slice body)
{
    if (forwards(part, sy_part_head(part)))
        sy_copy_join(part->session, body);
    return SWALLOW;
}

static enum action on_message(struct sy_part *part, char type, struct sy_slice body)
{
    const struct sy_expect *head = sy_part_head(part);
    switch (type) {
    case 'D': /* a row for the router itself: to be merged, or the WAL position */
        if (merges(part)) {
            sy_merge_take(part, type, body);
            return SWALLOW;
        }
        if (part->row_map != NULL)
            return row_told(part);
        if (head != NULL && head->why == SY_WHY_ASK)
            sy_asking_take(part->session, body);
        else
            sy_session_saw_position(part->session, part, body);
        return SWALLOW;
    case 'd':
        return join_copy(part, body);
    case 'C':
        sy_part_rows_over(part);
        return on_complete(part, body);
    case 't':
        if (head != NULL)
            sy_session_learn_parameters(part->session, head->statement_id, body);
        return on_simple_answer(part, type);
    case 'I':
        if (head != NULL && head->kind == SY_X_EXECUTE) {
            enum action action = forwards(part, head) ? FORWARD : SWALLOW;
            sy_part_pop(part);
            return action;
        }
        return forwards(part, head) ? FORWARD : SWALLOW;
    case 'Z':
        return on_ready(part, body);
    case 'E':
        return on_error(part, body);
    case 'S':
        return on_parameter(part, body);
    case 'N':
        return head == NULL || (forwards(part, head)) ? FORWARD : SWALLOW;
    case 'A':
        return FORWARD;
    case 'G':
    case 'H':
        return on_copy_response(part, type, body);
    case 'c':
        part->copying_out = false;
        return (head != NULL && (head->flags & SY_X_GATHER) != 0 &&
                part->gather_index + 1 < part->session->gather->count) ||
                       !forwards(part, head)
                   ? SWALLOW
                   : FORWARD;
    case 'T':
        if (!take_columns(part, body))
            return BROKEN;
        if (forwards(part, head) && hold_columns(part, body))
            return SWALLOW;
        return on_simple_answer(part, type);
    default:
        return on_simple_answer(part, type);
    }
}

/* Rows and COPY data: passed on in runs, whatever the boundaries of the receives. */
static bool is_streamed(const struct sy_part *part, char type)
{
    if (type == 'D' && part->expect_count > 0 &&
        (part->row_map != NULL || part->expects[part->expect_first].why == SY_WHY_LSN ||
         part->expects[part->expect_first].why == SY_WHY_ASK || merges(part)))
        return false;
    if (joins_copies(part, type))
        return false;
    return type == 'D' || type == 'd' || type == 'V';
}

static bool is_legal(const struct sy_part *part, const struct sy_frame_part *frame)
{
    if (!sy_answer_is_legal(answers_to(part), frame->type, frame->body_bytes))
        return false;
    /* A row for the router itself is one short value. */
    return frame->type != 'D' || frame->body_bytes <= SY_LIMIT_SHORT_MESSAGE_BYTES ||
           part->expects[part->expect_first].why != SY_WHY_LSN;
}

static bool row_forwards(struct sy_part *part, char type)
{
    const struct sy_expect *head = sy_part_head(part);
    if (!forwards(part, head))
        return false;
    struct sy_gather *gather = part->session->gather;
    if (type == 'd' && gather != NULL && gather->active && gather->drop_next_copy_row) {
        gather->drop_next_copy_row = false;
        return false;
    }
    return true;
}

static void take_streamed(struct sy_part *part, const struct sy_frame_part *frame)
{
    struct sy_session *session = part->session;
    if (frame->starts) {
        part->streaming_forward = row_forwards(part, frame->type);
        if (part->streaming_forward && session->held_columns.bytes > 0) {
            session->replay_told = true;
            put_held(session);
        }
        if (part->streaming_forward && frame->header_before > 0) {
            run_flush(session);
            sy_session_put(session, part->walker.header, frame->header_before);
        }
    }
    if (part->streaming_forward)
        run_extend(session, frame->from, frame->to);
}

static void map_oids(struct sy_part *part, char type, char *body, size_t bytes)
{
    if (type == 'D') {
        sy_part_map_row(part, body, bytes);
        return;
    }
    if (type == 'T')
        sy_part_note_columns(part, body, bytes);
    sy_part_map_description(part, type, body, bytes);
}

/* A short message: whole in this receive, or collected until it is. */
static enum sy_status take_short(struct sy_part *part, const struct sy_frame_part *frame)
{
    struct sy_session *session = part->session;
    bool mapped = frame->type == 'D'
                      ? part->row_map != NULL
                      : (frame->type == 'T' || frame->type == 't') && sy_part_maps_types(part);
    if (frame->starts && frame->ends && frame->header_before == 0 && !mapped) {
        struct sy_slice body = {frame->body, frame->body_bytes};
        enum action action = on_message(part, frame->type, body);
        if (action == FORWARD && session->run.chunk != NULL) {
            put_held(session);
            run_extend(session, frame->from, frame->to);
        }
        return action == BROKEN ? SY_E_PROTOCOL : SY_OK;
    }
    if (frame->starts) {
        part->streaming_forward = false;
        sy_buf_clear(&part->assembly);
        sy_buf_append_u8(&part->assembly, (uint8_t)frame->type);
        sy_buf_append_u32(&part->assembly, frame->body_bytes + 4);
    }
    sy_buf_append(&part->assembly, frame->body, frame->body_run);
    if (part->assembly.failed)
        return SY_E_NO_MEMORY;
    if (!frame->ends)
        return SY_OK;
    struct sy_slice body = {part->assembly.data + SY_FRAME_HEADER_BYTES, frame->body_bytes};
    if (mapped)
        map_oids(part, frame->type, part->assembly.data + SY_FRAME_HEADER_BYTES, frame->body_bytes);
    enum action action = on_message(part, frame->type, body);
    if (action == FORWARD) {
        put_held(session);
        run_flush(session);
        sy_session_put(session, part->assembly.data, part->assembly.bytes);
    }
    return action == BROKEN ? SY_E_PROTOCOL : SY_OK;
}

/* ---- receives ---- */

static bool must_stall(const struct sy_part *part)
{
    const struct sy_gather *gather = part->session->gather;
    if (gather == NULL || !gather->active || gather->merge != NULL || gather->failed ||
        part->gather_done || part->session->copy_in != NULL || !sy_frame_at_boundary(&part->walker))
        return false;
    const struct sy_expect *head = &part->expects[part->expect_first];
    return part->expect_count > 0 && (head->flags & SY_X_GATHER) != 0 &&
           part->gather_index != gather->current;
}

static void pause_part(struct sy_part *part)
{
    if (part->paused)
        return;
    part->paused = true;
    part->server->link->engine->pause(part->server->link);
}

static void stash(struct sy_part *part, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    bool no_memory;
    sy_input_add(part->stash, &part->stash_count, chunk, from, to, &no_memory);
    part->stalled = true;
    pause_part(part);
    if (no_memory) {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
        sy_session_fatal(part->session, &err);
    }
}

/* What came before goes out before: the client's error must not stand inside a row. */
static void trouble(struct sy_part *part, enum sy_status status)
{
    struct sy_err err = {0};
    run_flush(part->session);
    part->session->run.chunk = NULL;
    if (status == SY_E_NO_MEMORY)
        (void)sy_err_set(&err, status, "out of memory");
    else
        (void)sy_err_set(&err, status, "the server broke the protocol");
    SY_LOG(SY_LOG_WARN, "server connection given up", SY_KV_STR("node", part->node->name),
           SY_KV_STR("why", err.text));
    sy_session_fatal(part->session, &err);
}

/* Rows in a row, without a look at each: only while nothing but forwarding can come of it. */
static void skip_rows(struct sy_part *part, struct sy_chunk *chunk, uint32_t *at, uint32_t to)
{
    if (chunk->data[*at] != 'D' && chunk->data[*at] != 'd')
        return;
    const struct sy_expect *head = sy_part_head(part);
    const struct sy_gather *gather = part->session->gather;
    if (!sy_frame_at_boundary(&part->walker) || !forwards(part, head) || part->row_map != NULL ||
        part->session->held_columns.bytes > 0 ||
        (gather != NULL && (gather->drop_next_copy_row || gather->copy_binary)))
        return;
    enum sy_answers_to to_what = answers_to(part);
    uint64_t mask = to_what == SY_ANSWERS_COPY_OUT  ? SY_FRAME_MASK('d')
                    : sy_answers_with_rows(to_what) ? SY_FRAME_MASK('D')
                                                    : 0;
    uint32_t frames;
    uint32_t after = sy_frame_skip_run(chunk->data, to, *at, mask, &frames);
    if (after == *at)
        return;
    run_extend(part->session, *at, after);
    *at = after;
}

/* Walks one receive. */
static void walk(struct sy_part *part, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct sy_session *session = part->session;
    session->run = (struct sy_piece){chunk, from, from};
    uint32_t at = from;
    put_due(part);
    while (at < to && session->state != SY_SESSION_CLOSED) {
        if (must_stall(part)) {
            run_flush(session);
            session->run.chunk = NULL;
            stash(part, chunk, at, to);
            return;
        }
        skip_rows(part, chunk, &at, to);
        struct sy_frame_part frame;
        enum sy_status status = SY_OK;
        if (!sy_frame_next(&part->walker, chunk->data, to, &at, &frame, &status)) {
            if (status == SY_OK)
                break;
        } else if (frame.starts && !is_legal(part, &frame)) {
            status = SY_E_PROTOCOL;
        } else if (is_streamed(part, frame.type)) {
            take_streamed(part, &frame);
        } else {
            status = take_short(part, &frame);
        }
        if (status != SY_OK) {
            trouble(part, status);
            return;
        }
        put_due(part); /* behind the message that was just passed on, not before it */
    }
    run_flush(session);
    session->run.chunk = NULL;
}

static void push_back(struct sy_part *part)
{
    struct sy_session *session = part->session;
    if (!sy_stream_congested(&session->stream))
        return;
    sy_buffers_congested(session);
    if (part->server != NULL)
        pause_part(part);
}

/* Turns of a gather change inside a walk: those that waited go on here. */
void sy_backend_kick(struct sy_session *session)
{
    bool again = true;
    while (again) {
        again = false;
        for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
            if (!part->stalled || must_stall(part))
                continue;
            part->stalled = false;
            struct sy_piece held[2];
            uint8_t count = part->stash_count;
            memcpy(held, part->stash, sizeof(held));
            part->stash_count = 0;
            for (uint8_t i = 0; i < count; i++)
                if (part->stalled)
                    stash(part, held[i].chunk, held[i].from, held[i].to);
                else
                    walk(part, held[i].chunk, held[i].from, held[i].to);
            sy_input_drop(held, &count);
            if (!part->stalled && !sy_stream_congested(&session->stream) && part->paused) {
                part->paused = false;
                part->server->link->engine->resume(part->server->link);
            }
            again = true;
            break;
        }
    }
}

static void on_data(struct sy_server *server, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct sy_part *part = server->user;
    struct sy_session *session = part->session;
    if (session->state >= SY_SESSION_CLOSING)
        return;
    if (part->stalled) {
        stash(part, chunk, from, to);
        return;
    }
    walk(part, chunk, from, to);
    if (session->gather != NULL && session->gather->active)
        sy_backend_kick(session);
    sy_merge_pump(session);
    if (session->state >= SY_SESSION_CLOSING)
        return;
    push_back(part);
    sy_cycle_check(session);
    if (session->state == SY_SESSION_COPY_IN && session->input_count > 0)
        sy_session_drive(session); /* a client may send its rows before it is asked for them */
}

static void on_drained(struct sy_server *server)
{
    struct sy_part *part = server->user;
    struct sy_session *session = part->session;
    if (!session->client_paused)
        return;
    session->client_paused = false;
    sy_stream_resume(&session->stream);
    sy_session_drive(session);
}

/* What the client sent meanwhile may be handled: session.c, cancel_is_under_way(). */
static void on_cancelled(struct sy_server *server)
{
    const struct sy_part *part = server->user;
    sy_session_yield(part->session);
}

const struct sy_server_events sy_part_events = {
    .data = on_data, .drained = on_drained, .lost = sy_server_is_lost, .cancelled = on_cancelled};
