/*
 * What a write on several shards needs before it can be sent: locks on reference tables, on the
 * first shard and then on the others, so that no two sessions wait for each other in a circle; and
 * values that every shard must be sent, which the first shard is asked for. The worker's thread.
 *
 * The handler of the client's message is called again after each step (SY_STEP_AGAIN).
 */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "router/plan/scatter.h"
#include "router/session/internal.h"

enum stage { STAGE_FIRST, STAGE_OTHERS, STAGE_DONE };

struct sy_asking {
    enum stage stage;
    bool failed;       /* an error was told */
    uint64_t lock;     /* what is locked; 0: nothing */
    uint32_t count;    /* values */
    struct sy_buf row; /* the DataRow with them */
};

void sy_asking_free(struct sy_session *session)
{
    if (session->asking == NULL)
        return;
    sy_buf_release(&session->asking->row);
    free(session->asking);
    session->asking = NULL;
}

void sy_asking_failed(struct sy_session *session)
{
    if (session->asking != NULL)
        session->asking->failed = true;
}

bool sy_asking_is_over(const struct sy_session *session)
{
    return session->asking != NULL && session->asking->failed;
}

void sy_asking_take(struct sy_session *session, struct sy_slice body)
{
    if (session->asking != NULL && session->asking->row.bytes == 0)
        sy_buf_append_slice(&session->asking->row, body);
}

/* ---- locks that are held ---- */

static bool holds(const struct sy_session *session, uint64_t lock)
{
    const struct sy_txn *txn = session->txn_state;
    for (uint32_t i = 0; txn != NULL && i < txn->lock_count; i++)
        if (txn->locks[i] == lock)
            return true;
    return false;
}

static void note_lock(struct sy_session *session, uint64_t lock)
{
    struct sy_txn *txn = sy_txn_ensure(session);
    if (txn != NULL && lock != 0 && txn->lock_count < SY_TXN_LOCKS)
        txn->locks[txn->lock_count++] = lock;
}

/* ---- steps ---- */

static struct sy_part *member(struct sy_session *session, const struct sy_target *target,
                              struct sy_part *after)
{
    for (struct sy_part *part = after == NULL ? session->parts : after->next; part != NULL;
         part = part->next)
        if (part->primary && sy_target_has(target, part))
            return part;
    return NULL;
}

static void ask_server(struct sy_part *part, struct sy_slice sql)
{
    sy_part_expect(part, SY_X_QUERY, SY_WHY_ASK, 0, 0);
    sy_part_send_query(part, sql);
    sy_part_flush(part);
}

static enum sy_step wait_for(struct sy_session *session, enum stage next)
{
    session->asking->stage = next;
    sy_session_set_state(session, SY_SESSION_BARRIER);
    return SY_STEP_AGAIN;
}

static bool needs_lock(const struct sy_exec *exec, const struct sy_target *target)
{
    return target->all && target->writes && exec->stmt->kind != SY_STMT_DDL &&
           exec->stmt->kind != SY_STMT_TRUNCATE;
}

static enum sy_step begin(struct sy_session *session, struct sy_err *err)
{
    enum sy_step step = session->busy_parts > 0 ? sy_barrier(session) : SY_STEP_DONE;
    if (step != SY_STEP_DONE)
        return step;
    session->asking = calloc(1, sizeof(*session->asking));
    if (session->asking == NULL)
        return (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory"), SY_STEP_ERROR;
    return SY_STEP_DONE;
}

enum sy_step sy_asking_step(struct sy_session *session, const struct sy_exec *exec,
                            const struct sy_target *target, struct sy_slice text,
                            struct sy_err *err)
{
    struct sy_scatter_ask ask = {.sql = {"", 0}};
    struct sy_slice lock = {"", 0};
    if (session->asking != NULL && session->asking->stage == STAGE_DONE) {
        note_lock(session, session->asking->lock);
        session->asking->lock = 0;
        return SY_STEP_DONE;
    }
    if (needs_lock(exec, target))
        lock = sy_route_lock_sql(exec->route, &session->worker->arena);
    uint64_t id = lock.bytes == 0 ? 0 : XXH64(lock.data, lock.bytes, 0) | 1;
    if (holds(session, id))
        lock.bytes = 0;
    if (target->scatters && sy_route_freezes(exec->route) &&
        sy_scatter_ask(exec->route, text, &session->worker->arena, &ask, err) != SY_OK)
        return SY_STEP_ERROR;
    if (lock.bytes == 0 && ask.count == 0)
        return SY_STEP_DONE;
    enum sy_step step = session->asking == NULL ? begin(session, err) : SY_STEP_DONE;
    if (step != SY_STEP_DONE)
        return step;
    struct sy_part *first = member(session, target, NULL);
    if (session->asking->stage == STAGE_FIRST && lock.bytes > 0) {
        session->asking->lock = id;
        ask_server(first, lock);
        return wait_for(session, STAGE_OTHERS);
    }
    for (struct sy_part *part = member(session, target, first); lock.bytes > 0 && part != NULL;
         part = member(session, target, part))
        ask_server(part, lock);
    session->asking->count = ask.count;
    if (ask.count > 0)
        ask_server(first, ask.sql);
    return wait_for(session, STAGE_DONE);
}

/* ---- answers ---- */

enum sy_status sy_asking_answers(const struct sy_session *session, struct sy_slice **ret_answers,
                                 uint32_t *ret_count, struct sy_err *err)
{
    const struct sy_asking *asking = session->asking;
    struct sy_data_row_msg row;
    uint32_t count = asking == NULL ? 0 : asking->count;
    struct sy_slice *answers =
        sy_arena_calloc(&session->worker->arena, 2 * (size_t)count + 1, sizeof(*answers));
    if (answers == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (count > 0) {
        if (asking->row.failed ||
            sy_data_row_read(asking->row.data, asking->row.bytes, &row, err) != SY_OK ||
            row.count != 2 * count)
            return sy_err_set(err, SY_E_PROTOCOL, "a shard did not answer what it was asked");
        sy_split_values(row.values, row.count, answers);
    }
    *ret_answers = answers;
    *ret_count = count;
    return SY_OK;
}
