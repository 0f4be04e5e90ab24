/*
 * A server that is gone while it serves a session: what the client is told, whether a write may
 * have happened, and what becomes of the client's transaction. The worker's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "router/session/internal.h"

static bool is_mid_message(const struct sy_part *part)
{
    return part->streaming_forward && part->walker.body_left != 0;
}

bool sy_is_mid_message(const struct sy_session *session)
{
    bool mid = false;
    for (const struct sy_part *part = session->parts; part != NULL && !mid; part = part->next)
        mid = is_mid_message(part);
    return mid;
}

static void describe_loss(const struct sy_part *part, const struct sy_err *why, bool uncertain,
                          struct sy_err *err)
{
    if (uncertain) {
        (void)sy_err_set(
            err, SY_E_UNCERTAIN,
            "the server connection was lost before the answer to a write or a COMMIT came");
        sy_err_hint(err, "It may or may not have taken effect: look before you repeat it.");
        return;
    }
    if (part->fatal_sqlstate[0] != 0) {
        (void)sy_err_set(err, SY_E_CONNECTION_LOST, "%s",
                         part->fatal_message == NULL ? "the server ended the connection"
                                                     : part->fatal_message);
        sy_err_state(err, part->fatal_sqlstate);
        return;
    }
    (void)sy_err_set(err, SY_E_CONNECTION_LOST, "the server connection was lost%s%s",
                     why != NULL && why->text[0] != 0 ? ": " : "", why != NULL ? why->text : "");
}

/* The client's block fails with a server that took part in it, or that was to answer now. */
static void fail_block(struct sy_session *session, bool in_txn)
{
    sy_txn_failed(session);
    if (in_txn && session->txn_state != NULL)
        session->txn_state->broken = true;
}

/* Whether the client is owed an answer that will not come, whether a write may have happened, and
 * whether the client's COMMIT was under way. */
static void weigh_loss(struct sy_part *part, bool *ret_owed, bool *ret_uncertain, bool *ret_ends)
{
    const struct sy_session *session = part->session;
    /* What is left of the transaction, if anything, is recovery's, and the client gets a warning.
     */
    bool settled = sy_txn_settled(part);
    /* The router's own transaction cannot commit without it, whatever it has answered. */
    bool owed = session->implicit_txn && part->in_txn && !settled;
    bool uncertain = false, ends = false;
    for (uint32_t i = 0; i < part->expect_count; i++) {
        const struct sy_expect *expect =
            &part->expects[(part->expect_first + i) & (part->expect_size - 1u)];
        owed = owed || (expect->why != SY_WHY_LSN && expect->kind != SY_X_LOCAL && !settled);
        if (expect->why == SY_WHY_COMMIT && !expect->answered)
            sy_txn_commit_answer(part, false);
        /* A FATAL for this very statement (terminated by an administrator) is an answer: it did not
         * commit, unless it is the COMMIT itself. */
        bool autocommit = session->txn == 'I' && !session->implicit_txn;
        if (expect->answered || (expect->flags & (SY_X_WRITE | SY_X_ENDS_TXN)) == 0)
            continue;
        ends = ends || ((expect->flags & SY_X_ENDS_TXN) != 0 && expect->why == SY_WHY_CLIENT);
        uncertain = uncertain || (expect->flags & SY_X_ENDS_TXN) != 0 ||
                    (autocommit && part->fatal_sqlstate[0] == 0);
    }
    *ret_owed = owed;
    *ret_uncertain = uncertain;
    *ret_ends = ends;
}

static void tell_loss(struct sy_session *session, const struct sy_err *err)
{
    bool gathers = session->gather != NULL && session->gather->active;
    sy_buf_clear(&session->owed);
    if (!gathers || !session->cycle_errored) /* an answer has one error */
        sy_session_put_error(session, err);
    session->cycle_errored = true;
    session->batch_failed = true;
    session->skip_to_sync = session->in_batch && !session->sync_seen;
}

void sy_server_is_lost(struct sy_server *server, const struct sy_err *why)
{
    struct sy_part *part = server->user;
    struct sy_session *session = part->session;
    bool owed, uncertain, ends;
    sy_two_phase_lost(part);
    weigh_loss(part, &owed, &uncertain, &ends);
    struct sy_err err = {0};
    describe_loss(part, why, uncertain, &err);
    bool in_txn = part->in_txn && session->txn != 'I' && !sy_txn_settled(part);
    bool pinned = part->pinned, federation = part->federation;
    bool gathers = session->gather != NULL && session->gather->active;
    bool rerun = owed && !part->primary && session->replay.chunk != NULL && !session->replay_told &&
                 session->txn == 'I' && session->state == SY_SESSION_ACTIVE;
    bool cut = is_mid_message(part);
    part->server = NULL;
    sy_part_forget(part);
    if (session->state >= SY_SESSION_CLOSING)
        return;
    if (cut) {
        sy_log_err(SY_LOG_WARN, "client closed: its row was cut off", &err);
        sy_session_end(session);
        return;
    }
    if (rerun && !pinned) {
        session->replica_retry = true;
        sy_buf_clear(&session->held_columns);
        sy_cycle_check(session);
        return;
    }
    if (pinned) { /* what the session had there (locks, temporary tables, LISTEN) is gone with it */
        sy_session_fatal(session, &err);
        return;
    }
    sy_asking_failed(session);
    if (gathers && owed)
        session->gather->failed = true;
    if (gathers && session->copy_in != NULL)
        sy_copy_shard_failed(session);
    else if (session->state == SY_SESSION_COPY_IN && session->busy_parts == 0)
        sy_session_set_state(session, session->in_batch && !session->sync_seen ? SY_SESSION_BATCH
                                                                               : SY_SESSION_ACTIVE);
    if (in_txn && ends) /* its COMMIT was on its way: there is no block any more */
        sy_txn_over(session, false);
    else if (in_txn || (federation && owed && session->txn == 'T'))
        fail_block(session, in_txn);
    if (owed) {
        tell_loss(session, &err);
    } else if (in_txn && session->wait_error == NULL) {
        session->wait_error = malloc(sizeof(err)); /* told at the next statement, once */
        if (session->wait_error != NULL)
            *session->wait_error = err;
    }
    if (gathers) {
        sy_backend_kick(session);
        sy_merge_pump(session);
    }
    sy_cycle_check(session);
}
