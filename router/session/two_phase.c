/*
 * COMMIT of a transaction that wrote on several servers: two-phase commit, without state of the
 * router's own. The worker's thread.
 *
 *     PREPARE   all writers but one, the decider, prepare under a GID
 *     DECIDE    the decider commits together with a row in switchyard.commit_log (postgres), with
 *               the redo of the others (sqlite): the commit point
 *     FINISH    the prepared ones are committed; then the client is told
 *
 * What a crash leaves behind is resolved from that row alone by replication/resolver.c, from that
 * redo alone by router/engine/sqlite/prepared.c. An error
 * before the commit point rolls everything back; a decider that is lost while it commits leaves the
 * outcome unknown (08007) and the decision to recovery.
 *
 * Invariant: once the decider was sent its COMMIT, no participant is rolled back unless the decider
 * itself has said that it did not commit.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "router/session/internal.h"

/* For the tests of recovery: ends the process as a kill -9 would. */
#define DIE_AT(name)                                                                               \
    do {                                                                                           \
        if (SY_FAULT(name))                                                                        \
            (void)raise(SIGKILL);                                                                  \
    } while (0)

bool sy_two_phase_wanted(const struct sy_session *session)
{
    uint32_t writers = 0;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        writers += part->in_txn && part->wrote;
    return writers > 1 && sy_two_phase_able(session);
}

bool sy_two_phase_able(const struct sy_session *session)
{
    const struct sy_engine *engine = sy_engine_of(session->database->topology->config->engine);
    return engine != NULL && engine->write_decision != NULL;
}

static struct sy_slice shard_name(const struct sy_session *session, uint32_t shard)
{
    return session->database->topology->shards[shard].name;
}

static uint64_t shard_id(const struct sy_session *session, uint32_t shard)
{
    return sy_gid_shard(session->database->name, shard_name(session, shard));
}

/* What PREPARE TRANSACTION refuses makes a server the decider: it commits as usual. */
static struct sy_part *choose_decider(struct sy_session *session)
{
    struct sy_part *best = NULL;
    int best_rank = -1;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->in_txn || !part->wrote)
            continue;
        int rank = part->has_temporary                        ? 3
                   : session->notifies && part->shard == 0    ? 2
                   : part->pinned && !session->pinned_by_mode ? 1
                                                              : 0;
        if (rank >= best_rank) {
            best = part;
            best_rank = rank;
        }
    }
    return best;
}

static void send_step(struct sy_part *part, uint8_t flags, const char *sql)
{
    sy_part_expect(part, SY_X_QUERY, SY_WHY_TWO_PHASE, flags, 0);
    sy_part_send_query(part, sy_slice_of(sql));
}

static void gid_of(const struct sy_part *part, char text[SY_GID_TEXT_BYTES])
{
    struct sy_gid gid = part->session->txn_state->gid;
    gid.participant = shard_id(part->session, part->shard);
    sy_gid_write(&gid, text);
}

void sy_two_phase_start(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    struct sy_err err = {0};
    if (sy_transactions_begin(&txn->gid, &err) != SY_OK) {
        sy_session_put_error(session, &err);
        session->cycle_errored = true;
        sy_txn_commit_parts(session, false);
        return;
    }
    struct sy_part *decider = choose_decider(session);
    txn->gid_used = true;
    txn->outcome = SY_2P_PENDING;
    txn->decider = decider->shard;
    txn->gid.decider = shard_id(session, decider->shard);
    txn->participants = 0;
    session->phase = SY_PHASE_PREPARE;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        char gid[SY_GID_TEXT_BYTES], sql[SY_GID_TEXT_BYTES + 80];
        part->two_phase = SY_2P_NONE;
        if (!part->in_txn || !part->wrote || part == decider)
            continue;
        gid_of(part, gid);
        snprintf(sql, sizeof(sql), "SET LOCAL synchronous_commit = on; PREPARE TRANSACTION '%s'",
                 gid);
        part->two_phase = SY_2P_PREPARING;
        txn->participants++;
        send_step(part, 0, sql);
    }
    sy_session_set_state(session, SY_SESSION_ACTIVE);
}

/* ---- answers ---- */

bool sy_two_phase_complete(struct sy_part *part, struct sy_slice tag)
{
    struct sy_txn *txn = part->session->txn_state;
    bool back = sy_slice_eq(tag, SY_SLICE("ROLLBACK"));
    if (sy_slice_eq(tag, SY_SLICE("PREPARE TRANSACTION"))) {
        part->two_phase = SY_2P_PREPARED;
        /* Whatever comes of it, the server keeps what SET did. */
        sy_settings_unref(&part->settings_begin);
        return true;
    }
    if (sy_slice_eq(tag, SY_SLICE("COMMIT PREPARED")) ||
        sy_slice_eq(tag, SY_SLICE("ROLLBACK PREPARED"))) {
        part->two_phase = SY_2P_FINISHED;
        return true;
    }
    /* A failed transaction answers COMMIT with ROLLBACK, without an error. */
    bool commit = sy_slice_eq(tag, SY_SLICE("COMMIT"));
    if (part->session->phase == SY_PHASE_DECIDE && part->shard == txn->decider && (commit || back))
        txn->outcome = commit ? SY_2P_COMMITTED : SY_2P_ABORTED;
    return commit || back;
}

/* Errors that say how the server is set up, in words that tell what to do. */
static bool explain(const struct sy_part *part, const struct sy_notice_fields *fields,
                    struct sy_err *err)
{
    const struct sy_session *session = part->session;
    struct sy_slice shard = shard_name(session, part->shard);
    struct sy_slice code = fields->sqlstate;
    if (session->phase == SY_PHASE_PREPARE && sy_slice_eq(code, SY_SLICE("55000"))) {
        (void)sy_err_set(err, SY_E_STATE,
                         "a transaction over several shards cannot commit: prepared transactions "
                         "are disabled on server \"%s\" (%s:%s)",
                         part->node->name, part->node->host, part->node->port);
        sy_err_hint(err, "Set max_prepared_transactions on it to at least its max_connections, and "
                         "restart it.");
        return true;
    }
    if (session->phase != SY_PHASE_DECIDE)
        return false;
    if (sy_slice_eq(code, SY_SLICE("23505")) &&
        sy_slice_eq(fields->table, SY_SLICE("commit_log"))) {
        (void)sy_err_set(err, SY_E_STATE,
                         "the transaction was aborted by recovery before it could commit");
        sy_err_state(err, "40001");
        sy_err_hint(err, "Run the transaction again.");
        return true;
    }
    bool missing = sy_slice_eq(code, SY_SLICE("42P01")) || sy_slice_eq(code, SY_SLICE("3F000")) ||
                   sy_slice_eq(code, SY_SLICE("42501"));
    if (!missing)
        return false;
    (void)sy_err_set(err, SY_E_STATE,
                     "a transaction over several shards cannot commit: the user may not write "
                     "switchyard.commit_log on shard \"%.*s\", or it does not exist",
                     (int)shard.bytes, shard.data);
    sy_err_detail(err, "The server said: %.*s", (int)fields->message.bytes, fields->message.data);
    sy_err_hint(err, "Run there, as an administrator: %s", sy_commit_log_sql);
    return true;
}

bool sy_two_phase_error(struct sy_part *part, const struct sy_notice_fields *fields)
{
    struct sy_session *session = part->session;
    struct sy_txn *txn = session->txn_state;
    struct sy_err err = {0};
    if (session->phase == SY_PHASE_DECIDE && part->shard == txn->decider &&
        txn->outcome == SY_2P_PENDING)
        txn->outcome = SY_2P_ABORTED;
    if (session->phase != SY_PHASE_PREPARE && session->phase != SY_PHASE_DECIDE) {
        if (part->two_phase == SY_2P_PREPARED && sy_slice_eq(fields->sqlstate, SY_SLICE("42501")))
            part->two_phase = SY_2P_REFUSED;
        return false;
    }
    if (session->cycle_errored)
        return false;
    if (!explain(part, fields, &err))
        return true;
    sy_session_put_error(session, &err);
    session->cycle_errored = true;
    return false;
}

void sy_two_phase_lost(struct sy_part *part)
{
    struct sy_session *session = part->session;
    struct sy_txn *txn = session->txn_state;
    if (session->phase == SY_PHASE_DECIDE && part->shard == txn->decider && part->primary &&
        txn->outcome == SY_2P_PENDING)
        txn->outcome = SY_2P_UNKNOWN;
}

bool sy_two_phase_settled(const struct sy_part *part)
{
    const struct sy_session *session = part->session;
    const struct sy_txn *txn = session->txn_state;
    if (session->phase != SY_PHASE_DECIDE)
        return session->phase == SY_PHASE_FINISH;
    return txn->outcome == SY_2P_COMMITTED || part->shard != txn->decider || !part->primary;
}

/* The servers that are at work are sent a cancel; whoever has prepared by then is rolled back. */
void sy_two_phase_cancel(struct sy_session *session)
{
    if (session->wait_error != NULL)
        return;
    session->wait_error = calloc(1, sizeof(*session->wait_error));
    if (session->wait_error != NULL)
        (void)sy_err_set(session->wait_error, SY_E_CANCELED,
                         "canceling statement due to user request");
}

/* ---- the phases ---- */

static void put_cause(struct sy_session *session)
{
    struct sy_err err = {0};
    if (session->cycle_errored)
        return;
    if (session->wait_error != NULL)
        err = *session->wait_error;
    else {
        (void)sy_err_set(&err, SY_E_STATE,
                         "the transaction was rolled back: not every shard could commit it");
        sy_err_state(&err, "40000");
    }
    sy_session_put_error(session, &err);
    session->cycle_errored = true;
}

/* Before the commit point, or after the decider has said no. `known` false: the prepared ones wait
 * for recovery. */
static bool roll_back(struct sy_session *session, bool known)
{
    bool more = false;
    put_cause(session);
    free(session->wait_error);
    session->wait_error = NULL;
    session->phase = SY_PHASE_ROLLBACK;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        char gid[SY_GID_TEXT_BYTES], sql[SY_GID_TEXT_BYTES + 40];
        if (part->two_phase == SY_2P_PREPARED && known) {
            gid_of(part, gid);
            snprintf(sql, sizeof(sql), "ROLLBACK PREPARED '%s'", gid);
            send_step(part, 0, sql);
            more = true;
        } else if (part->in_txn && part->status != 'I') {
            send_step(part, 0, "ROLLBACK");
            more = true;
        }
    }
    return more || sy_txn_finish_phase(session);
}

static struct sy_part *find_decider(const struct sy_session *session)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->shard == session->txn_state->decider && part->primary && part->in_txn &&
            part->wrote && part->status == 'T')
            return part;
    return NULL;
}

/* Names of the shards, for whoever reads the row; anything that would need quoting is replaced. */
static void list_participants(const struct sy_session *session, char *text, size_t bytes)
{
    size_t at = 0;
    text[0] = 0;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->wrote || at + SY_LIMIT_NAME_BYTES + 2 > bytes)
            continue;
        struct sy_slice name = shard_name(session, part->shard);
        int wrote = snprintf(text + at, bytes - at, "%s%.*s", at > 0 ? " " : "", (int)name.bytes,
                             name.data);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    for (char *c = text; *c != 0; c++)
        if (*c == '\'' || *c == '\\' || *c == '$')
            *c = '?';
}

static bool decide(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    struct sy_part *decider = find_decider(session);
    uint32_t prepared = 0;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        prepared += part->two_phase == SY_2P_PREPARED;
    /* A server that only read may be lost meanwhile, or a cancel may have come: the client was told
     * of it, or will be. */
    bool failed = session->cycle_errored || session->wait_error != NULL;
    if (decider == NULL || prepared < txn->participants || failed)
        return roll_back(session, true);
    DIE_AT("two_phase.prepared");
    char key[SY_GID_TEXT_BYTES], names[512], sql[1024];
    sy_gid_write_key(&txn->gid, key);
    list_participants(session, names, sizeof(names));
    decider->server->link->engine->write_decision(&(struct sy_decision){key, names, prepared}, sql,
                                                  sizeof(sql));
    session->phase = SY_PHASE_DECIDE;
    send_step(decider, SY_X_ENDS_TXN, sql);
    sy_part_fetch_position(decider);
    return true;
}

static bool finish(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    if (txn->outcome != SY_2P_COMMITTED)
        return roll_back(session, txn->outcome == SY_2P_ABORTED);
    DIE_AT("two_phase.decided");
    bool more = false;
    session->phase = SY_PHASE_FINISH;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        char gid[SY_GID_TEXT_BYTES], sql[SY_GID_TEXT_BYTES + 40];
        if (part->two_phase == SY_2P_PREPARED) {
            gid_of(part, gid);
            snprintf(sql, sizeof(sql), "COMMIT PREPARED '%s'", gid);
            send_step(part, 0, sql);
            sy_part_fetch_position(part);
            more = true;
        } else if (part->in_txn && part->status != 'I') { /* it only read */
            send_step(part, 0, "COMMIT");
            more = true;
        }
    }
    return more || sy_two_phase_next(session);
}

/* SET LOCAL ROLE was in force when it prepared, and no longer is: only that role may end it. */
static void end_as_owner(struct sy_part *part, bool commit)
{
    char gid[SY_GID_TEXT_BYTES], sql[SY_GID_TEXT_BYTES + 320];
    gid_of(part, gid);
    part->two_phase = SY_2P_RETRIED;
    part->server->session_changed = true; /* whatever comes of it, nobody else gets the role */
    snprintf(sql, sizeof(sql),
             "SELECT pg_catalog.set_config('switchyard.role', pg_catalog.current_setting('role'), "
             "false); SELECT pg_catalog.set_config('role', owner::pg_catalog.text, false) FROM "
             "pg_catalog.pg_prepared_xacts WHERE gid OPERATOR(pg_catalog.=) '%s'",
             gid);
    send_step(part, 0, sql);
    snprintf(sql, sizeof(sql), "%s PREPARED '%s'", commit ? "COMMIT" : "ROLLBACK", gid);
    send_step(part, 0, sql);
    send_step(part, 0,
              "SELECT pg_catalog.set_config('role', pg_catalog.current_setting('switchyard.role'), "
              "false); RESET switchyard.role");
    if (commit)
        sy_part_fetch_position(part);
}

bool sy_two_phase_end_refused(struct sy_session *session, bool commit)
{
    bool more = false;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (part->two_phase != SY_2P_REFUSED)
            continue;
        end_as_owner(part, commit);
        more = true;
    }
    return more;
}

static void end(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    uint32_t finished = 0;
    DIE_AT("two_phase.finished");
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        finished += part->two_phase == SY_2P_FINISHED;
    if (finished < txn->participants) {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_STATE,
                         "the transaction is committed, but not yet visible on every shard");
        sy_err_state(&err, "01000");
        sy_err_detail(&err, "%u of %u prepared participants did not confirm it.",
                      txn->participants - finished, (unsigned)txn->participants);
        sy_err_hint(&err, "Recovery completes it as soon as they answer; SHOW TRANSACTIONS on the "
                          "console shows it.");
        sy_session_put_notice(session, "WARNING", &err);
    }
    session->phase = SY_PHASE_NONE;
    sy_txn_put_end_tag(session, "COMMIT");
    sy_txn_over(session, true);
}

bool sy_two_phase_next(struct sy_session *session)
{
    switch ((enum sy_phase)session->phase) {
    case SY_PHASE_PREPARE:
        return decide(session);
    case SY_PHASE_DECIDE:
        return finish(session);
    case SY_PHASE_FINISH:
        if (sy_two_phase_end_refused(session, true))
            return true;
        end(session);
        return false;
    case SY_PHASE_NONE:
    case SY_PHASE_COMMIT_FIRST:
    case SY_PHASE_COMMIT_REST:
    case SY_PHASE_ROLLBACK:
    default:
        return false;
    }
}

void sy_two_phase_over(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    if (txn == NULL || !txn->gid_used)
        return;
    sy_transactions_end(&txn->gid);
    txn->gid_used = false;
    txn->participants = 0;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        part->two_phase = SY_2P_NONE;
}
