/*
 * Row limits on a portal over several shards whose rows need no combining: the shards answer one
 * after the other, each from a portal of its own that waits on its server between the client's
 * Executes. So no row is fetched that was not asked for. The worker's thread.
 */
#include "router/session/extended.h"
#include "router/session/internal.h"

static struct sy_part *member_from(struct sy_session *session, const struct sy_portal *portal,
                                   uint32_t shard)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->shard >= shard && sy_shard_set_has(&portal->shards, part->shard) &&
            (part->primary || portal->replica))
            return part;
    return NULL;
}

static void send_turn(struct sy_part *part, const struct sy_portal *portal, uint32_t limit)
{
    struct sy_slice name = sy_slice_of(portal->name == NULL ? "" : portal->name);
    part->touched = true;
    sy_part_ask_columns(part, portal, name);
    sy_part_expect(part, SY_X_EXECUTE, SY_WHY_CLIENT, SY_X_FORWARD | SY_X_TURN, portal->server_id);
    struct sy_buf *out = sy_session_scratch(part->session);
    sy_write_execute(out, name, limit);
    sy_write_simple(out, 'H'); /* nothing else may follow that makes the server answer */
    sy_part_send_copy(part, out->data, out->bytes);
}

enum sy_step sy_turn_execute(struct sy_session *session, struct sy_portal *portal, uint32_t limit,
                             struct sy_err *err)
{
    if (session->busy_parts > 0) { /* a turn may end on one server and begin on another */
        enum sy_step step = sy_barrier(session);
        if (step != SY_STEP_DONE || session->skip_to_sync)
            return step;
    }
    if (!sy_gather_ensure(session, err))
        return SY_STEP_ERROR;
    struct sy_part *part = member_from(session, portal, portal->turn);
    if (part == NULL) {
        (void)sy_err_set(err, SY_E_NOT_FOUND, "portal \"%s\" does not exist",
                         portal->name == NULL ? "" : portal->name);
        sy_err_state(err, "34000");
        return SY_STEP_ERROR;
    }
    sy_gather_reset(session);
    session->gather->turn = portal;
    session->gather->turn_limit = session->gather->turn_left = limit;
    portal->turn = part->shard;
    for (struct sy_part *member = part; member != NULL;
         member = member_from(session, portal, member->shard + 1))
        member->touched = true; /* Sync waits until all of them are quiet */
    sy_owe_settle(session);
    send_turn(part, portal, limit);
    session->need_barrier = true;
    return SY_STEP_DONE;
}

bool sy_turn_complete(struct sy_part *part, struct sy_slice tag)
{
    struct sy_session *session = part->session;
    struct sy_gather *gather = session->gather;
    uint64_t rows = 0;
    if (gather == NULL || gather->turn == NULL)
        return true;
    (void)sy_tag_rows(tag, &rows);
    (void)sy_tag_sum_add(&gather->tags, tag);
    struct sy_part *next = member_from(session, gather->turn, part->shard + 1);
    if (next != NULL) {
        /* A server that reaches the limit does not complete: some is left. */
        gather->turn_left -= gather->turn_limit == 0 ? 0 : (uint32_t)rows;
        gather->turn->turn = next->shard;
        send_turn(next, gather->turn, gather->turn_left);
        return false;
    }
    char text[SY_TAG_BYTES_MAX + 24];
    sy_tag_sum_write(&gather->tags, gather->tags.rows, text);
    sy_session_put_complete(session, text);
    gather->turn = NULL;
    return false;
}
