/*
 * Statements for the federating database: one server that reads all shards. It stands in a
 * session's list of participants like a shard, numbered after the last one, but takes no part in
 * transactions: each statement is a transaction of its own there, so that it sees what is committed
 * when it begins, as READ COMMITTED promises. The worker's thread.
 */
#include "router/session/internal.h"

const struct sy_federation *sy_federation_of(const struct sy_topology_database *database)
{
    static const struct sy_federation building = {.why = "it is being built"};
    if (database->federation.node_count == 0)
        return NULL;
    return database->inspected == NULL || database->inspected->federation == NULL
               ? &building
               : &database->inspected->federation->facts;
}

bool sy_federation_is(const struct sy_session *session, uint32_t shard)
{
    return shard == session->database->topology->shard_count &&
           session->database->topology->federation.node_count > 0;
}

/* What only the federating database's way of doing things makes an error is told as unsupported. */
static bool translates(const struct sy_notice_fields *fields, struct sy_err *err)
{
    struct sy_slice code = fields->sqlstate;
    bool grouping = sy_slice_eq(code, SY_SLICE("42803"));
    bool foreign = code.bytes == 5 && memcmp(code.data, "HV", 2) == 0;
    bool unmapped = sy_slice_eq(code, SY_SLICE("42704")) && fields->message.bytes > 12 &&
                    memcmp(fields->message.data, "user mapping", 12) == 0;
    if (!grouping && !foreign && !unmapped)
        return false;
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "the federating database cannot run this statement over several shards");
    sy_err_detail(err, "%.*s", (int)(fields->message.bytes < 200 ? fields->message.bytes : 200),
                  fields->message.data == NULL ? "" : fields->message.data);
    if (grouping)
        sy_err_hint(err, "Name every column of the select list in GROUP BY: primary keys are not "
                         "known there.");
    else
        sy_err_hint(err, "The role must be able to log in at every shard from the federating "
                         "server: see federation in the operating manual.");
    return true;
}

bool sy_federation_error(struct sy_part *part, const struct sy_expect *head,
                         const struct sy_notice_fields *fields, struct sy_err *err)
{
    struct sy_session *session = part->session;
    if (!part->federation || head->why != SY_WHY_CLIENT)
        return false;
    if (session->txn == 'T' && !part->in_txn)
        sy_txn_failed(session);
    return (head->flags & SY_X_FORWARD) != 0 && translates(fields, err);
}

/* ---- what a transaction has done that another server cannot know ---- */

static bool has_written(const struct sy_session *session)
{
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->wrote || part->will_write)
            return true;
    return session->txn_state != NULL && session->txn != 'I' && session->txn_state->wrote_all;
}

static bool set_local(const struct sy_session *session)
{
    const struct sy_txn *txn = session->txn_state;
    for (const struct sy_prelude_entry *entry = txn == NULL ? NULL : txn->first; entry != NULL;
         entry = entry->next)
        if (!entry->is_savepoint)
            return session->txn != 'I';
    return false;
}

/* Rows are still to be fetched from what was opened there, which has an old snapshot. */
static bool has_cursor(const struct sy_session *session)
{
    uint32_t shard = session->database->topology->shard_count;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->federation || !part->in_txn)
            continue;
        return part->suspended || part->touched || sy_effect_has_cursor(session, shard);
    }
    return false;
}

/* Something else of this transaction has read the clock, or may. */
static bool shares_clock(const struct sy_session *session)
{
    if (session->txn != 'I' || session->implicit_txn)
        return true;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->touched && !part->federation)
            return true;
    return false;
}

static const char *obstacle(const struct sy_session *session, const struct sy_exec *exec,
                            const char **ret_hint)
{
    if (has_written(session)) {
        *ret_hint = "Commit first: the federating database sees only what is committed.";
        return "in a transaction that has written";
    }
    if (set_local(session)) {
        *ret_hint = "Use SET instead of SET LOCAL, or run the statement outside of the block.";
        return "in a transaction with SET LOCAL or SET TRANSACTION";
    }
    if (has_cursor(session)) {
        *ret_hint = "Commit first: it would see the rows as they were when the cursor was opened.";
        return "beside an open cursor over several shards";
    }
    if (sy_route_federation_clock(exec->route) && shares_clock(session)) {
        *ret_hint = "Outside of a transaction block it is answered; or send the time as a value.";
        return "with a function that tells the transaction's time, in a transaction block";
    }
    if (exec->stmt->kind == SY_STMT_DECLARE && session->txn != 'T') {
        *ret_hint = "Begin a transaction block first.";
        return "for a cursor outside of a transaction block";
    }
    return NULL;
}

bool sy_federation_serves(const struct sy_session *session, const struct sy_exec *exec)
{
    const char *hint;
    return sy_route_federates(exec->route) && obstacle(session, exec, &hint) == NULL;
}

enum sy_status sy_federation_check(struct sy_session *session, const struct sy_exec *exec,
                                   struct sy_err *err)
{
    const char *hint = NULL, *where = obstacle(session, exec, &hint);
    session->federation_cursor = exec->stmt->kind == SY_STMT_DECLARE;
    session->federation_fresh = where == NULL;
    if (where == NULL)
        return SY_OK;
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "a statement that joins or combines rows of several shards %s is not "
                     "supported",
                     where);
    sy_err_hint(err, "%s", hint);
    sy_counter_add(&session->database->counters->refused, 1);
    return SY_E_UNSUPPORTED;
}

bool sy_federation_join(struct sy_part *part)
{
    static const struct sy_slice name = {"_switchyard_begin", 17};
    struct sy_session *session = part->session;
    if (session->txn_state != NULL && session->txn_state->first != NULL)
        return false; /* a savepoint would be unknown there */
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_parse(out, name, SY_SLICE("BEGIN"), NULL, 0);
    sy_write_bind(out, &(struct sy_bind_values){.portal = name, .statement = name});
    sy_write_execute(out, name, 0);
    sy_write_close(out, 'P', name);
    sy_write_close(out, 'S', name);
    static const enum sy_expect_kind kinds[] = {SY_X_PARSE, SY_X_BIND, SY_X_EXECUTE, SY_X_CLOSE,
                                                SY_X_CLOSE};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        sy_part_expect(part, kinds[i], SY_WHY_BEGIN, 0, 0);
    sy_part_send_copy(part, out->data, out->bytes);
    part->in_txn = part->suspended = true;
    session->txn_deferred = false;
    return true;
}

void sy_federation_leave(struct sy_part *part)
{
    sy_part_expect(part, SY_X_QUERY, SY_WHY_BEGIN, 0, 0);
    sy_part_send_query(part, SY_SLICE("COMMIT"));
    sy_settings_unref(&part->settings_begin);
    part->in_txn = part->suspended = false;
    part->session->txn_deferred = sy_parts_in_txn(part->session) == 0; /* the block goes on */
}

enum sy_status sy_exec_federate(struct sy_session *session, const struct sy_exec *exec,
                                struct sy_target *target, struct sy_err *err)
{
    struct sy_plan plan = {.kind = SY_PLAN_REFUSED, .refusal = *err};
    if (err->status != SY_E_UNSUPPORTED || !sy_route_federate(exec->route, &plan)) {
        if (err->status == SY_E_UNSUPPORTED)
            sy_counter_add(&session->database->counters->refused, 1);
        *err = plan.refusal;
        return err->status;
    }
    *target = (struct sy_target){.federate = true, .shard = plan.shard};
    return sy_federation_check(session, exec, err);
}
