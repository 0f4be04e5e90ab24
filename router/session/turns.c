/*
 * Row limits on a portal over several shards. Where rows need no combining the shards answer one
 * after the other, each from a portal of its own that waits on its server between the client's
 * Executes, so no row is fetched that was not asked for. Where they do, shards whose rows are used
 * up are asked for as many as the client wants, and the merge stops behind those; it waits in the
 * client's portal meanwhile. The worker's thread.
 */
#include <inttypes.h>
#include <stdio.h>

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

static void send_turn(struct sy_part *part, const struct sy_portal *portal, uint32_t limit,
                      uint8_t flag)
{
    struct sy_slice name = sy_slice_of(portal->name == NULL ? "" : portal->name);
    part->touched = true;
    sy_part_ask_columns(part, portal, name);
    sy_part_expect(part, SY_X_EXECUTE, SY_WHY_CLIENT, (uint8_t)(SY_X_FORWARD | flag),
                   portal->server_id);
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
    send_turn(part, portal, limit, SY_X_TURN);
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
        send_turn(next, gather->turn, gather->turn_left, SY_X_TURN);
        return false;
    }
    char text[SY_TAG_BYTES_MAX + 24];
    sy_tag_sum_write(&gather->tags, gather->tags.rows, text);
    sy_session_put_complete(session, text);
    gather->turn = NULL;
    return false;
}

/* ---- with a merge ---- */

/* The merge comes back from the portal; false: not all of its servers are there. */
static bool restore(struct sy_session *session, struct sy_portal *portal)
{
    sy_gather_free(&session->gather);
    struct sy_gather *gather = session->gather = portal->gather;
    uint16_t count = 0;
    portal->gather = NULL;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        bool member = sy_shard_set_has(&portal->shards, part->shard) &&
                      (portal->replica ? sy_part_is_first(part) : part->primary);
        part->gather_index = member ? count++ : UINT16_MAX;
        part->gather_done = member && sy_shard_set_has(&gather->ended, part->shard);
    }
    return count == gather->count;
}

static void put_away(struct sy_session *session)
{
    struct sy_gather *gather = session->gather;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (part->gather_index == UINT16_MAX)
            continue;
        if (part->gather_done)
            sy_shard_set_add(&gather->ended, part->shard);
        part->gather_done = false;
        if (part->paused && !sy_stream_congested(&session->stream)) {
            part->paused = false;
            part->server->link->engine->resume(part->server->link);
        }
    }
    struct sy_portal *portal = gather->turn;
    gather->turn = NULL;
    portal->gather = gather;
    session->gather = NULL;
}

/* Asks the shards whose rows are used up for more. */
static void refill(struct sy_session *session)
{
    const struct sy_gather *gather = session->gather;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->gather_index != UINT16_MAX && !part->gather_done && part->expect_count == 0 &&
            sy_merge_wants(gather->merge, part->gather_index))
            send_turn(part, gather->turn, gather->turn_limit, SY_X_GATHER);
}

enum sy_step sy_turn_execute_merge(struct sy_session *session, struct sy_portal *portal,
                                   uint32_t limit, struct sy_err *err)
{
    enum sy_step step = sy_barrier(session);
    if (step != SY_STEP_DONE || session->skip_to_sync)
        return step;
    if (portal->gather != NULL && !restore(session, portal)) {
        (void)sy_err_set(err, SY_E_NOT_FOUND, "portal \"%s\" does not exist",
                         portal->name == NULL ? "" : portal->name);
        sy_err_state(err, "34000");
        return SY_STEP_ERROR;
    }
    struct sy_gather *gather = session->gather;
    gather->limited = gather->merge_running = true;
    gather->merge_told = false;
    gather->turn = portal;
    gather->turn_limit = limit;
    gather->told_before = sy_merge_rows(gather->merge);
    sy_merge_pause_at(gather->merge, limit == 0 ? UINT64_MAX : gather->told_before + limit);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        part->touched = part->touched || part->gather_index != UINT16_MAX;
    sy_owe_settle(session);
    session->need_barrier = true;
    sy_merge_pump(session);
    return SY_STEP_DONE;
}

bool sy_turn_merged(struct sy_session *session, enum sy_merge_state state)
{
    struct sy_gather *gather = session->gather;
    if (state == SY_MERGE_NEEDS)
        refill(session);
    if ((state != SY_MERGE_PAUSED && state != SY_MERGE_DONE) || session->busy_parts > 0)
        return false;
    gather->merge_told = true;
    if (state == SY_MERGE_PAUSED) {
        static const char suspended[] = {'s', 0, 0, 0, 4};
        sy_session_put(session, suspended, sizeof(suspended));
    } else {
        char tag[64];
        snprintf(tag, sizeof(tag), "SELECT %" PRIu64,
                 sy_merge_rows(gather->merge) - gather->told_before);
        sy_session_put_complete(session, tag);
    }
    put_away(session);
    return true;
}
