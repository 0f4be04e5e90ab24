/*
 * A cycle is one client command: a simple Query, or extended messages up to Sync. This file knows
 * when a cycle is over (every server is quiet), what is still to be said, and which servers are
 * given back. The worker's thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/internal.h"

void sy_cycle_begin(struct sy_session *session, bool query)
{
    session->cycle_started_us = sy_loop_now_us(session->worker->loop);
    session->ready_sent = false;
    session->cycle_errored = false;
    session->text_base = 0;
    session->query_cycle = query;
    session->sync_seen = false;
    session->canceled = false;
    session->replay_told = false;
    session->statement_class = SY_CLASS_OTHER;
    session->block_over = false;
}

static void record(struct sy_session *session)
{
    uint64_t us = sy_loop_now_us(session->worker->loop) - session->cycle_started_us;
    struct sy_database_counters *counters = session->database->counters;
    sy_counter_add(&counters->statements, 1);
    sy_counter_add(&counters->statement_us, us);
    if (session->txn == 'I') {
        if (!session->block_over) /* it was the transaction; a block has counted its own time */
            sy_counter_add(&counters->transaction_us, us);
        sy_counter_add(&counters->transactions, 1);
    }
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next) {
        struct sy_node_counters *node =
            sy_worker_node_counters(session->worker, session->database, part->shard, part->node);
        if (node == NULL)
            continue;
        uint8_t class_ = session->statement_class;
        sy_counter_add(&node->by_class[class_].statements, 1);
        if (session->cycle_errored)
            sy_counter_add(&node->by_class[class_].errors, 1);
        sy_histogram_add(&node->by_class[class_].latency, us);
        part->server->query_count++;
    }
}

static void put_ready(struct sy_session *session)
{
    const char ready[] = {'Z', 0, 0, 0, 5, session->txn};
    sy_session_put(session, ready, sizeof(ready));
    session->ready_sent = true;
}

void sy_gather_tell(struct sy_session *session)
{
    struct sy_gather *gather = session->gather;
    if (gather == NULL || !gather->active || gather->held[0] == 0)
        return;
    if (!session->cycle_errored)
        sy_session_put_complete(session, gather->held);
    gather->held[0] = 0;
}

static void gather_over(struct sy_session *session)
{
    if (session->gather == NULL || !session->gather->active)
        return;
    sy_gather_tell(session);
    sy_gather_reset(session);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        part->gather_done = part->stalled = false;
}

/* Everything has been told: servers go back, the session is idle. */
static void close_cycle(struct sy_session *session)
{
    if (session->owed.bytes > 0) {
        sy_session_put(session, session->owed.data, session->owed.bytes);
        sy_buf_clear(&session->owed);
    }
    if (session->answer_when_quiet != NULL && !session->cycle_errored)
        sy_session_put_complete(session, session->answer_when_quiet);
    if (session->prepare_pending != 0 && session->cycle_errored)
        sy_extended_forget_id(session, session->prepare_pending);
    session->answer_when_quiet = NULL;
    session->prepare_pending = 0;
    session->several_bound = session->deadlocked = false;
    if (session->watched && session->txn == 'I')
        sy_txn_unwatch(session);
    sy_asking_free(session);
    if (session->temporary_fresh && session->cycle_errored && session->txn == 'I')
        session->temporary_doubt = true; /* several statements, and a later one failed */
    session->temporary_fresh = false;
    if (!session->ready_sent)
        put_ready(session);
    record(session);
    sy_effect_drop(session);
    if (session->replay.chunk != NULL) {
        sy_chunk_unref(session->replay.chunk);
        session->replay.chunk = NULL;
    }
    if (session->extended != NULL)
        sy_extended_cycle_over(session);
    if (session->txn == 'I')
        for (struct sy_part *part = session->parts; part != NULL; part = part->next)
            part->wrote = false;
    sy_parts_release_idle(session);
    session->replica_retry = false;
    session->in_batch = session->batch_local = false;
    session->batch_failed = session->skip_to_sync = session->sync_seen = false;
    session->need_barrier = false;
    sy_session_set_state(session, SY_SESSION_IDLE);
    sy_session_start_timer(session);
}

/* The router's own transaction around the command ends. True: servers are at it. */
static bool end_implicit(struct sy_session *session)
{
    if (!session->implicit_txn)
        return false;
    bool failed = session->cycle_errored || (session->gather != NULL && session->gather->failed);
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        failed = failed || (part->in_txn && part->status == 'E');
    if (sy_parts_in_txn(session) == 0) {
        session->implicit_txn = false;
        return false;
    }
    sy_txn_commit_parts(session, !failed);
    return true;
}

static void rerun(struct sy_session *session)
{
    struct sy_part *part = session->parts;
    while (part != NULL) {
        struct sy_part *next = part->next;
        if (!part->primary && !part->pinned)
            sy_part_release(part);
        part = next;
    }
    session->cycle_errored = false;
    sy_effect_drop(session);
    struct sy_piece query = session->replay;
    session->replay.chunk = NULL;
    sy_session_set_state(session, SY_SESSION_IDLE);
    sy_input_unread(session, query);
    sy_session_drive(session);
}

void sy_cycle_check(struct sy_session *session)
{
    if (session->state >= SY_SESSION_CLOSING || session->busy_parts > 0 ||
        sy_merge_pending(session))
        return;
    switch ((enum sy_session_state)session->state) {
    case SY_SESSION_BARRIER:
        if (sy_txn_finish_phase(session))
            return;
        sy_copy_free(session); /* it was refused before a server asked for data */
        sy_session_set_state(session, session->startup != NULL ? SY_SESSION_WELCOME
                                      : session->in_batch      ? SY_SESSION_BATCH
                                                               : SY_SESSION_IDLE);
        sy_session_drive(session);
        return;
    case SY_SESSION_ACTIVE:
    case SY_SESSION_COPY_IN:
        break;
    case SY_SESSION_STARTUP:
    case SY_SESSION_TLS:
    case SY_SESSION_LOGIN:
    case SY_SESSION_WELCOME:
    case SY_SESSION_IDLE:
    case SY_SESSION_BATCH:
    case SY_SESSION_WAIT:
    case SY_SESSION_CLOSING:
    case SY_SESSION_CLOSED:
    case SY_SESSION_STATE_COUNT:
    default:
        return;
    }
    if (session->in_batch && !session->sync_seen) { /* a COPY inside an extended batch is over */
        sy_copy_free(session);
        sy_session_set_state(session, SY_SESSION_BATCH);
        sy_session_drive(session);
        return;
    }
    if (session->replica_retry && session->replay.chunk != NULL) {
        rerun(session);
        return;
    }
    if (sy_txn_finish_phase(session))
        return;
    sy_txn_note_status(session);
    if (session->script != NULL) { /* the next statement of the same Query */
        gather_over(session);
        sy_copy_free(session);
        sy_session_set_state(session, SY_SESSION_IDLE);
        if (!sy_session_yields(session))
            sy_session_drive(session);
        return;
    }
    if (end_implicit(session))
        return;
    gather_over(session);
    sy_copy_free(session);
    if (sy_session_awaits_schema(session))
        return;
    close_cycle(session);
    sy_session_drive(session);
}
