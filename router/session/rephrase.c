/*
 * Errors of servers that the client is told in other words: a deadlock that spans shards, an error
 * without its reason, a line or a position that counts in something else than the client's own. The
 * worker's thread.
 */
#include "router/session/internal.h"

/* Drivers rely on these three, and some end badly without. */
static bool is_complete(const struct sy_notice_fields *fields)
{
    return fields->severity.bytes != 0 && fields->sqlstate.bytes == 5 && fields->message.bytes != 0;
}

static void put_incomplete(struct sy_session *session, const struct sy_notice_fields *fields)
{
    struct sy_err err = {0};
    int bytes = (int)(fields->message.bytes < 400 ? fields->message.bytes : 400);
    (void)sy_err_set(&err, SY_E_PROTOCOL, "%.*s", bytes, bytes != 0 ? fields->message.data : "");
    if (bytes == 0)
        (void)sy_err_set(&err, SY_E_PROTOCOL, "the server reported an error without its reason");
    sy_session_put_error(session, &err);
}

/* The cancellation that ends a deadlock across shards is told as what it is: true. */
static bool deadlock_error(struct sy_session *session, const struct sy_notice_fields *fields)
{
    if (!session->deadlocked || !sy_slice_eq(fields->sqlstate, SY_SLICE("57014")))
        return false;
    struct sy_err err;
    sy_err_init(&err);
    session->deadlocked = false;
    (void)sy_err_set(&err, SY_E_STATE, "deadlock detected");
    sy_err_state(&err, "40P01");
    sy_err_detail(&err, "Transactions over several shards waited for each other.");
    sy_err_hint(&err, "Run the transaction again.");
    sy_session_put_error(session, &err);
    return true;
}

/* The client's statement was wrapped in another one (router/plan/sequence.h), which it need not
 * know. */
static bool wrapped_error(struct sy_session *session, const struct sy_notice_fields *fields)
{
    const struct sy_gather *gather = session->gather;
    if (gather == NULL || !gather->active || gather->told_tag == NULL)
        return false;
    struct sy_notice_fields told = *fields;
    told.position = fields->internal_position;
    told.internal_position = told.internal_query = told.where = (struct sy_slice){NULL, 0};
    if (sy_script_put_error(session, &told))
        return true;
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_notice_fields(out, 'E', &told);
    sy_session_put_buf(session, out);
    return true;
}

bool sy_rephrase_error(struct sy_part *part, const struct sy_notice_fields *fields)
{
    struct sy_session *session = part->session;
    if (deadlock_error(session, fields))
        return true;
    if (!is_complete(fields)) {
        put_incomplete(session, fields);
        return true;
    }
    sy_counter_add(&session->database->counters->errors, 1);
    return sy_copy_put_error(part, fields) || wrapped_error(session, fields) ||
           sy_script_put_error(session, fields);
}
