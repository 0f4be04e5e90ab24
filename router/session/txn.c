/*
 * Transaction control as the client sees it, over none, one or several servers. BEGIN is answered
 * at once and sent with the first statement that tells a shard; COMMIT over several servers is sent
 * to the first writer alone, so that its refusal still aborts all. The worker's thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/internal.h"
#include "router/topology/waits.h"

struct sy_txn *sy_txn_ensure(struct sy_session *session)
{
    if (session->txn_state == NULL)
        session->txn_state = calloc(1, sizeof(*session->txn_state));
    return session->txn_state;
}

static void free_entry(struct sy_prelude_entry *entry)
{
    sy_settings_unref(&entry->settings);
    free(entry);
}

static void clear_prelude(struct sy_txn *txn)
{
    while (txn->first != NULL) {
        struct sy_prelude_entry *entry = txn->first;
        txn->first = entry->next;
        free_entry(entry);
    }
    txn->last = NULL;
}

void sy_txn_free(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    session->txn_state = NULL;
    if (txn == NULL)
        return;
    if (txn->gid_used)
        sy_transactions_end(&txn->gid);
    clear_prelude(txn);
    sy_settings_unref(&txn->settings_begin);
    sy_buf_release(&txn->begin_sql);
    free(txn);
}

void sy_txn_failed(struct sy_session *session)
{
    session->txn_failed = true;
    session->txn = 'E';
}

/* Why a statement is refused in a failed block: what made it fail, if that was not told yet. */
enum sy_step sy_txn_refuse(struct sy_session *session, struct sy_err *err)
{
    if (session->wait_error != NULL) {
        *err = *session->wait_error;
        free(session->wait_error);
        session->wait_error = NULL;
        return SY_STEP_ERROR;
    }
    (void)sy_err_set(
        err, SY_E_TXN_FAILED,
        "current transaction is aborted, commands ignored until end of transaction block");
    return SY_STEP_ERROR;
}

/* ---- what late participants repeat ---- */

static char *put(char *at, struct sy_slice text, struct sy_slice *ret_copy)
{
    if (text.bytes > 0)
        memcpy(at, text.data, text.bytes);
    *ret_copy = (struct sy_slice){at, text.bytes};
    return at + text.bytes + 1;
}

static struct sy_prelude_entry *add_entry(struct sy_session *session, struct sy_slice name,
                                          struct sy_slice sql, struct sy_slice value)
{
    struct sy_txn *txn = sy_txn_ensure(session);
    struct sy_prelude_entry *entry =
        txn == NULL ? NULL : calloc(1, sizeof(*entry) + name.bytes + sql.bytes + value.bytes + 3);
    if (entry == NULL) {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
        sy_session_fatal(session, &err);
        return NULL;
    }
    char *at = put((char *)(entry + 1), name, &entry->name);
    at = put(at, sql, &entry->sql);
    if (value.data != NULL)
        (void)put(at, value, &entry->value);
    if (txn->last != NULL)
        txn->last->next = entry;
    else
        txn->first = entry;
    txn->last = entry;
    return entry;
}

void sy_txn_add_prelude(struct sy_session *session, struct sy_slice sql)
{
    (void)add_entry(session, (struct sy_slice){0}, sql, (struct sy_slice){0});
}

/* What the router reads the client's text by has changed without a SET. */
static void read_anew(struct sy_session *session)
{
    sy_session_settings_changed(session, sy_settings_ref(session->settings));
}

void sy_txn_add_local(struct sy_session *session, const struct sy_txn_local *local)
{
    struct sy_prelude_entry *entry = add_entry(session, local->name, local->sql, local->value);
    if (entry == NULL)
        return;
    entry->is_local = true;
    entry->is_default = local->is_default;
    read_anew(session);
}

static bool has_local(const struct sy_txn *txn)
{
    for (const struct sy_prelude_entry *entry = txn->first; entry != NULL; entry = entry->next)
        if (entry->is_local)
            return true;
    return false;
}

void sy_txn_forget_local(struct sy_session *session, struct sy_slice name)
{
    struct sy_txn *txn = session->txn_state;
    struct sy_prelude_entry **at = txn == NULL ? NULL : &txn->first, *last = NULL;
    while (at != NULL && *at != NULL) {
        struct sy_prelude_entry *entry = *at;
        if (entry->is_local && (name.bytes == 0 || sy_slice_eq(entry->name, name))) {
            *at = entry->next;
            free_entry(entry);
            continue;
        }
        last = entry;
        at = &entry->next;
    }
    if (txn != NULL)
        txn->last = last;
}

static struct sy_prelude_entry *find_savepoint(const struct sy_txn *txn, struct sy_slice name)
{
    struct sy_prelude_entry *found = NULL;
    for (struct sy_prelude_entry *entry = txn->first; entry != NULL; entry = entry->next)
        if (entry->is_savepoint && sy_slice_eq(entry->name, name))
            found = entry;
    return found;
}

/* RELEASE forgets the savepoint and those after it, but keeps SET LOCALs; ROLLBACK TO forgets all
 * behind it. */
static void trim(struct sy_txn *txn, const struct sy_prelude_entry *from, bool release)
{
    bool seen = false;
    struct sy_prelude_entry **at = &txn->first;
    txn->last = NULL;
    while (*at != NULL) {
        struct sy_prelude_entry *entry = *at;
        bool is_it = entry == from;
        bool drop = release ? (is_it || seen) && entry->is_savepoint : seen;
        seen = seen || is_it;
        if (drop) {
            *at = entry->next;
            free_entry(entry);
            continue;
        }
        txn->last = entry;
        at = &entry->next;
    }
}

/* ---- state ---- */

void sy_txn_note_status(struct sy_session *session)
{
    if (session->implicit_txn)
        return;
    char status = session->txn_deferred ? 'T' : 'I';
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->in_txn)
            continue;
        if (part->status == 'E')
            status = 'E';
        else if (status == 'I')
            status = 'T';
    }
    if (session->txn_failed)
        status = 'E';
    bool over = session->txn != 'I' && status == 'I';
    bool begun = session->txn == 'I' && status != 'I';
    if (over) { /* a text of several statements ended the block on the server */
        sy_txn_over(session, session->txn_state != NULL && session->txn_state->committed);
        status = session->txn_deferred ? 'T' : 'I';
    }
    if (begun) {
        struct sy_txn *txn = sy_txn_ensure(session);
        if (txn != NULL && txn->settings_begin == NULL)
            txn->settings_begin = sy_settings_ref(session->settings);
        if (txn != NULL && txn->begin_sql.bytes == 0)
            sy_buf_append_str(&txn->begin_sql, "BEGIN");
    }
    session->txn = status;
}

void sy_txn_unwatch(struct sy_session *session)
{
    if (session->watched)
        sy_waits_leave(session->pid);
    session->watched = session->deadlocked = false;
}

/* The block has ended everywhere. */
void sy_txn_over(struct sy_session *session, bool committed)
{
    struct sy_txn *txn = session->txn_state;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!committed && part->settings_begin != NULL && part->server != NULL)
            sy_part_set_settings(part, part->settings_begin);
        sy_settings_unref(&part->settings_begin);
        part->in_txn = part->status != 'I';
        part->wrote = false;
    }
    sy_two_phase_over(session);
    session->txn_failed = false;
    session->txn_deferred = false;
    session->notifies = false;
    bool explicit_block = !session->implicit_txn;
    session->implicit_txn = false;
    if (txn != NULL)
        txn->lock_count = 0;
    sy_txn_unwatch(session);
    if (explicit_block && session->extended != NULL)
        sy_extended_txn_over(session);
    if (txn == NULL || !explicit_block)
        return;
    if (!committed && txn->settings_begin != NULL)
        sy_session_settings_changed(session, sy_settings_ref(txn->settings_begin));
    sy_settings_unref(&txn->settings_begin);
    session->block_over = true;
    sy_counter_add(&session->database->counters->transaction_us,
                   sy_loop_now_us(session->worker->loop) - txn->began_us);
    sy_temporary_txn_over(session, committed);
    bool local = has_local(txn);
    clear_prelude(txn);
    if (local)
        read_anew(session);
    bool chain = txn->chain;
    sy_effect_forget_cursors(session, false);
    txn->wrote_all = txn->committed = txn->chain = txn->broken = false;
    session->txn = chain ? 'T' : 'I';
    if (chain) {
        session->txn_deferred = true;
        txn->settings_begin = sy_settings_ref(session->settings);
        txn->began_us = sy_loop_now_us(session->worker->loop);
    } else {
        sy_buf_clear(&txn->begin_sql);
        txn->read_only = txn->multi_refused = false;
    }
}

/* ---- COMMIT and ROLLBACK over several servers ---- */

static void send_end(struct sy_part *part, bool commit)
{
    uint8_t flags = commit ? SY_X_ENDS_TXN : 0;
    sy_part_expect(part, SY_X_QUERY, commit ? SY_WHY_COMMIT : SY_WHY_ROLLBACK, flags, 0);
    sy_part_send_query(part, commit ? SY_SLICE("COMMIT") : SY_SLICE("ROLLBACK"));
    if (commit && part->wrote)
        sy_part_fetch_position(part);
}

void sy_txn_commit_parts(struct sy_session *session, bool commit)
{
    struct sy_txn *txn = sy_txn_ensure(session);
    if (txn == NULL) {
        sy_session_end(session);
        return;
    }
    txn->done = txn->undone = (struct sy_shard_set){0};
    if (commit && sy_two_phase_wanted(session)) {
        sy_two_phase_start(session);
        return;
    }
    struct sy_part *first = NULL;
    for (struct sy_part *part = session->parts; part != NULL && commit; part = part->next)
        if (part->in_txn && part->wrote && first == NULL)
            first = part;
    session->phase = !commit         ? SY_PHASE_ROLLBACK
                     : first != NULL ? SY_PHASE_COMMIT_FIRST
                                     : SY_PHASE_COMMIT_REST;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->in_txn && (first == NULL || part == first))
            send_end(part, commit);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
}

void sy_txn_commit_answer(struct sy_part *part, bool committed)
{
    struct sy_txn *txn = part->session->txn_state;
    if (txn != NULL && (committed || part->wrote)) /* what only read lacks nothing */
        sy_shard_set_add(committed ? &txn->done : &txn->undone, part->shard);
}

bool sy_txn_settled(const struct sy_part *part)
{
    switch ((enum sy_phase)part->session->phase) {
    case SY_PHASE_NONE:
        return false;
    case SY_PHASE_COMMIT_FIRST:
    case SY_PHASE_COMMIT_REST:
        return !part->wrote;
    case SY_PHASE_ROLLBACK:
        return true; /* it has rolled back */
    case SY_PHASE_PREPARE:
    case SY_PHASE_DECIDE:
    case SY_PHASE_FINISH:
        return sy_two_phase_settled(part);
    default:
        return false;
    }
}

static void names_of(const struct sy_session *session, const struct sy_shard_set *set, char *text,
                     size_t bytes)
{
    size_t at = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < session->database->topology->shard_count && at + 1 < bytes; i++) {
        if (!sy_shard_set_has(set, i))
            continue;
        struct sy_slice name = session->database->topology->shards[i].name;
        int wrote = snprintf(text + at, bytes - at, "%s%.*s", at > 0 ? ", " : "", (int)name.bytes,
                             name.data);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
}

static void put_torn(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    char have[200], lack[200];
    names_of(session, &txn->done, have, sizeof(have));
    names_of(session, &txn->undone, lack, sizeof(lack));
    struct sy_err err = {0};
    (void)sy_err_set(&err, SY_E_UNCERTAIN, "the transaction was committed on some shards only");
    sy_err_detail(&err, "Committed on: %s. Not known to be committed on: %s.", have, lack);
    sy_err_hint(&err, "Repeat the change on the shards that lack it.");
    sy_session_put_error(session, &err);
    session->cycle_errored = true;
}

void sy_txn_put_end_tag(struct sy_session *session, const char *tag)
{
    if (session->implicit_txn) /* the statement's own tag is told by cycle.c */
        return;
    if (!session->cycle_errored)
        sy_session_put_complete(session, tag);
}

bool sy_txn_finish_phase(struct sy_session *session)
{
    struct sy_txn *txn = session->txn_state;
    switch ((enum sy_phase)session->phase) {
    case SY_PHASE_NONE:
        return false;
    case SY_PHASE_COMMIT_FIRST: {
        bool committed = sy_shard_set_count(&txn->done) > 0;
        session->phase = committed ? SY_PHASE_COMMIT_REST : SY_PHASE_ROLLBACK;
        bool more = false;
        for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
            if (!part->in_txn || part->status == 'I')
                continue;
            send_end(part, committed);
            more = true;
        }
        if (more)
            return true;
        return sy_txn_finish_phase(session);
    }
    case SY_PHASE_COMMIT_REST:
        session->phase = SY_PHASE_NONE;
        if (sy_shard_set_count(&txn->undone) > 0 && sy_shard_set_count(&txn->done) > 0)
            put_torn(session);
        sy_txn_put_end_tag(session, "COMMIT");
        sy_txn_over(session, true);
        return false;
    case SY_PHASE_ROLLBACK:
        if (sy_two_phase_end_refused(session, false))
            return true;
        session->phase = SY_PHASE_NONE;
        sy_txn_put_end_tag(session, "ROLLBACK");
        sy_txn_over(session, false);
        return false;
    case SY_PHASE_PREPARE:
    case SY_PHASE_DECIDE:
    case SY_PHASE_FINISH:
        return sy_two_phase_next(session);
    default:
        return false;
    }
}

/* ---- statements ---- */

static enum sy_step answer(struct sy_session *session, const char *tag)
{
    sy_session_put_complete(session, tag);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

static void warn(struct sy_session *session, const char *sqlstate, const char *text)
{
    struct sy_err err = {0};
    (void)sy_err_set(&err, SY_E_STATE, "%s", text);
    snprintf(err.sqlstate, sizeof(err.sqlstate), "%s", sqlstate);
    sy_session_put_notice(session, "WARNING", &err);
}

static enum sy_step no_block(const char *what, struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_STATE, "%s can only be used in transaction blocks", what);
    sy_err_state(err, "25P01");
    return SY_STEP_ERROR;
}

/* REPEATABLE READ and SERIALIZABLE: one snapshot, which several servers do not share. */
bool sy_isolation_is_snapshot(struct sy_slice isolation)
{
    return isolation.bytes > 0 && !sy_slice_eq(isolation, SY_SLICE("read committed")) &&
           !sy_slice_eq(isolation, SY_SLICE("read uncommitted"));
}

static bool has_savepoint(const struct sy_txn *txn)
{
    const struct sy_prelude_entry *entry = txn == NULL ? NULL : txn->first;
    while (entry != NULL && !entry->is_savepoint)
        entry = entry->next;
    return entry != NULL;
}

/* Modes of the block: kept for the servers that will join it. */
static enum sy_status note_modes(struct sy_session *session, const struct sy_exec *exec,
                                 struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    struct sy_txn *txn = sy_txn_ensure(session);
    /* Servers of the block refuse it themselves. */
    if (stmt->isolation.bytes > 0 && has_savepoint(txn) && sy_parts_in_txn(session) == 0) {
        enum sy_status status =
            sy_err_set(err, SY_E_STATE,
                       "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
        sy_err_state(err, "25001");
        return status;
    }
    if (txn != NULL && stmt->isolation.bytes > 0)
        txn->multi_refused = sy_isolation_is_snapshot(stmt->isolation);
    if (txn != NULL && (stmt->transaction_read_only || stmt->transaction_read_write))
        txn->read_only = stmt->transaction_read_only;
    sy_txn_add_prelude(session, exec->text);
    return SY_OK;
}

/* A BEGIN inside a block warns, and then its modes count as in SET TRANSACTION: servers that ran a
 * query refuse another isolation level (25001). */
static enum sy_step begin_again(struct sy_session *session, const struct sy_exec *exec,
                                struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    bool modes = stmt->isolation.bytes > 0 || stmt->transaction_read_only ||
                 stmt->transaction_read_write || stmt->transaction_deferrable ||
                 stmt->transaction_not_deferrable;
    if (modes && note_modes(session, exec, err) != SY_OK)
        return SY_STEP_ERROR;
    if (!modes || sy_parts_in_txn(session) == 0) {
        warn(session, "25001", "there is already a transaction in progress");
        return answer(session, stmt->tag);
    }
    return sy_txn_to_all(session, exec->text, stmt->tag); /* the servers warn */
}

static enum sy_step begin(struct sy_session *session, const struct sy_exec *exec,
                          struct sy_err *err)
{
    if (session->txn != 'I')
        return begin_again(session, exec, err);
    if (session->database->topology->config->pool.mode == SY_POOL_STATEMENT) {
        (void)sy_err_set(err, SY_E_UNSUPPORTED,
                         "transactions are not allowed with pool mode \"statement\"");
        sy_err_hint(err, "Set pool.mode = \"transaction\" for this database.");
        return SY_STEP_ERROR;
    }
    struct sy_txn *txn = sy_txn_ensure(session);
    if (txn == NULL)
        return (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory"), SY_STEP_ERROR;
    const struct sy_stmt *stmt = exec->stmt;
    sy_buf_clear(&txn->begin_sql);
    sy_buf_append_slice(&txn->begin_sql, exec->text);
    if (txn->begin_sql.failed)
        return (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory"), SY_STEP_ERROR;
    txn->read_only = stmt->transaction_read_only;
    txn->multi_refused = sy_isolation_is_snapshot(
        stmt->isolation.bytes > 0
            ? stmt->isolation
            : sy_session_setting(session, SY_SLICE("default_transaction_isolation")));
    sy_settings_unref(&txn->settings_begin);
    txn->settings_begin = sy_settings_ref(session->settings);
    txn->began_us = sy_loop_now_us(session->worker->loop);
    txn->committed = txn->wrote_all = txn->chain = txn->broken = false;
    session->txn = 'T';
    session->txn_failed = false;
    session->txn_deferred = sy_parts_in_txn(session) == 0;
    session->implicit_txn =
        false; /* a BEGIN inside a text of several statements takes over what they did */
    if (!session->txn_deferred || !session->in_batch)
        return answer(session, stmt->tag);
    /* Extended statements of this batch that ran already belong to the block, as on a server. */
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->touched)
            continue;
        sy_part_expect(part, SY_X_QUERY, SY_WHY_BEGIN, 0, 0);
        sy_part_send_query(part, exec->text);
        part->in_txn = true;
        session->txn_deferred = false;
        session->need_barrier = true;
    }
    return answer(session, stmt->tag);
}

/* One server holds the whole block: its answer is the client's. */
static enum sy_step end_on_one(struct sy_session *session, bool commit)
{
    session->txn_failed = false; /* a failed block is only ever rolled back here */
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->in_txn)
            continue;
        uint8_t flags = SY_X_FORWARD | (session->query_cycle ? SY_X_READY : 0);
        sy_part_expect(part, SY_X_QUERY, SY_WHY_CLIENT,
                       (uint8_t)(flags | (commit ? SY_X_ENDS_TXN : 0)), 0);
        sy_part_send_query(part, commit ? SY_SLICE("COMMIT") : SY_SLICE("ROLLBACK"));
        if (commit && part->wrote)
            sy_part_fetch_position(part);
    }
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    session->need_barrier = true;
    return SY_STEP_DONE;
}

static void discard_one_in_txn(struct sy_session *session)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->in_txn) {
            sy_part_discard(part);
            return;
        }
}

static enum sy_step end(struct sy_session *session, const struct sy_exec *exec, struct sy_err *err)
{
    bool commit = exec->stmt->kind == SY_STMT_COMMIT;
    if (session->txn == 'I' && exec->stmt->chain)
        return no_block(commit ? "COMMIT AND CHAIN" : "ROLLBACK AND CHAIN", err);
    const char *tag = commit && !session->txn_failed ? "COMMIT" : "ROLLBACK";
    if (session->txn == 'I' && !session->implicit_txn) {
        warn(session, "25P01", "there is no transaction in progress");
        return answer(session, commit ? "COMMIT" : "ROLLBACK");
    }
    if (session->txn ==
        'I') { /* COMMIT inside a text of several statements: ends what came before */
        warn(session, "25P01", "there is no transaction in progress");
        sy_session_put_complete(session, tag);
        if (sy_parts_in_txn(session) > 0)
            sy_txn_commit_parts(session, commit);
        else
            sy_session_set_state(session, SY_SESSION_ACTIVE);
        return SY_STEP_DONE;
    }
    if (session->wait_error != NULL &&
        commit) { /* nobody told the client yet that there is nothing to commit */
        (void)sy_txn_refuse(session, err);
        while (sy_parts_in_txn(session) > 0)
            discard_one_in_txn(session);
        sy_txn_over(session, false);
        return SY_STEP_ERROR;
    }
    free(session->wait_error);
    session->wait_error = NULL;
    struct sy_txn *txn = sy_txn_ensure(session);
    if (txn != NULL)
        txn->chain = exec->stmt->chain;
    uint32_t held = sy_parts_in_txn(session);
    if (held == 0) {
        sy_txn_over(session, commit && !session->txn_failed);
        return answer(session, tag);
    }
    if (held == 1)
        return end_on_one(session, commit && !session->txn_failed);
    bool failed = session->txn == 'E';
    sy_txn_commit_parts(session, commit && !failed);
    session->need_barrier = true;
    return SY_STEP_DONE;
}

/* The same statement to every server of the block; the first one's answer is told. */
enum sy_step sy_txn_to_all(struct sy_session *session, struct sy_slice sql, const char *tag)
{
    bool first = true;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->in_txn)
            continue;
        uint8_t flags = first ? SY_X_FORWARD | (session->query_cycle ? SY_X_READY : 0) : 0;
        sy_part_expect(part, SY_X_QUERY, SY_WHY_CLIENT, flags, 0);
        sy_part_send_query(part, sql);
        first = false;
    }
    if (first)
        return answer(session, tag);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    session->need_barrier = true;
    return SY_STEP_DONE;
}

static enum sy_step savepoint(struct sy_session *session, const struct sy_exec *exec,
                              struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    if (session->txn_state != NULL && session->txn_state->broken)
        return sy_txn_refuse(session, err);
    bool release = stmt->kind == SY_STMT_RELEASE, back = stmt->kind == SY_STMT_ROLLBACK_TO;
    if (session->txn == 'I')
        return no_block(stmt->kind == SY_STMT_SAVEPOINT ? "SAVEPOINT"
                        : release                       ? "RELEASE SAVEPOINT"
                                                        : "ROLLBACK TO SAVEPOINT",
                        err);
    if (session->txn == 'E' && !back)
        return sy_txn_refuse(session, err);
    struct sy_txn *txn = session->txn_state;
    if (stmt->kind == SY_STMT_SAVEPOINT) {
        struct sy_prelude_entry *entry =
            add_entry(session, stmt->name, exec->text, (struct sy_slice){0});
        if (entry == NULL)
            return SY_STEP_DONE;
        entry->is_savepoint = true;
        entry->settings = sy_settings_ref(session->settings);
        return sy_txn_to_all(session, exec->text, "SAVEPOINT");
    }
    struct sy_prelude_entry *entry = txn == NULL ? NULL : find_savepoint(txn, stmt->name);
    if (entry == NULL) {
        (void)sy_err_set(err, SY_E_STATE, "savepoint \"%.*s\" does not exist",
                         (int)stmt->name.bytes, stmt->name.data);
        sy_err_state(err, "3B001");
        return SY_STEP_ERROR;
    }
    bool local = has_local(txn);
    trim(txn, entry, release);
    if (release)
        return sy_txn_to_all(session, exec->text, "RELEASE");
    session->temporary_doubt = session->temporary_doubt || txn->temporary_touched;
    txn->lock_count = 0; /* those taken behind the savepoint are gone */
    session->txn_failed = false;
    if (session->txn == 'E')
        session->txn = 'T';
    if (entry->settings != session->settings || local)
        sy_session_settings_changed(session, sy_settings_ref(entry->settings));
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->in_txn && part->server != NULL && part->settings_begin != NULL)
            sy_part_set_settings(part, part->late ? part->settings_begin : session->settings);
    return sy_txn_to_all(session, exec->text, "ROLLBACK");
}

/* SET TRANSACTION: kept for the servers that will join, sent to those that have. */
static enum sy_step set_transaction(struct sy_session *session, const struct sy_exec *exec,
                                    struct sy_err *err)
{
    bool constraints = sy_slice_eq(exec->stmt->name, SY_SLICE("constraints"));
    if (session->txn == 'I') {
        warn(session, "25P01",
             constraints ? "SET CONSTRAINTS can only be used in transaction blocks"
                         : "SET TRANSACTION can only be used in transaction blocks");
        return answer(session, constraints ? "SET CONSTRAINTS" : "SET");
    }
    if (note_modes(session, exec, err) != SY_OK)
        return SY_STEP_ERROR;
    return sy_txn_to_all(session, exec->text, constraints ? "SET CONSTRAINTS" : "SET");
}

enum sy_step sy_txn_run(struct sy_session *session, const struct sy_exec *exec, struct sy_err *err)
{
    switch ((int)exec->stmt->kind) {
    case SY_STMT_BEGIN:
        return session->txn == 'E' ? sy_txn_refuse(session, err) : begin(session, exec, err);
    case SY_STMT_COMMIT:
    case SY_STMT_ROLLBACK:
        return end(session, exec, err);
    case SY_STMT_SAVEPOINT:
    case SY_STMT_RELEASE:
    case SY_STMT_ROLLBACK_TO:
        return savepoint(session, exec, err);
    case SY_STMT_SET:
        return set_transaction(session, exec, err);
    default: /* NOLINT: two-phase commit by the client */
        (void)sy_err_set(err, SY_E_UNSUPPORTED, "%s is not supported through the router",
                         exec->stmt->tag);
        sy_err_hint(err, "Connect to the server itself for two-phase commit.");
        return SY_STEP_ERROR;
    }
}
