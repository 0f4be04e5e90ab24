/*
 * The simple protocol: one Query, with one statement (the hot path) or several (script.c). The
 * worker's thread.
 *
 * A Query stays at the head of the input until it is over, so that it can be begun again after a
 * wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/declaration.h"
#include "router/session/internal.h"

/* ---- servers ---- */

bool sy_part_is_first(const struct sy_part *part)
{
    const struct sy_part *first = part->session->parts;
    while (first->shard != part->shard)
        first = first->next;
    return first == part;
}

bool sy_target_has(const struct sy_target *target, const struct sy_part *part)
{
    if (!target->several)
        return part->shard == target->shard;
    return sy_shard_set_has(&target->shards, part->shard) &&
           (!target->replica_ok || sy_part_is_first(part));
}

static enum sy_step get_prepared(struct sy_session *session, uint32_t shard, bool replica_ok,
                                 struct sy_err *err)
{
    struct sy_part *part;
    enum sy_step step = sy_part_get(session, shard, replica_ok, &part, err);
    return step == SY_STEP_DONE ? sy_part_prepare(part, err) : step;
}

/* In shard order, so that two sessions cannot wait for each other's servers in a circle. */
enum sy_step sy_target_acquire(struct sy_session *session, const struct sy_target *target,
                               struct sy_err *err)
{
    if (!target->several)
        return get_prepared(session, target->shard, target->replica_ok, err);
    struct sy_part *part;
    uint32_t count = session->database->topology->shard_count;
    for (uint32_t shard = 0; shard < count; shard++) {
        if (!sy_shard_set_has(&target->shards, shard))
            continue;
        enum sy_step step = sy_part_get(session, shard, target->replica_ok, &part, err);
        if (step != SY_STEP_DONE)
            return step;
    }
    for (uint32_t shard = 0; shard < count; shard++) {
        if (!sy_shard_set_has(&target->shards, shard))
            continue;
        enum sy_step step = get_prepared(session, shard, target->replica_ok, err);
        if (step != SY_STEP_DONE)
            return step;
    }
    return SY_STEP_DONE;
}

void sy_gather_begin(struct sy_session *session, const struct sy_target *target, bool simple)
{
    struct sy_gather *gather = session->gather;
    sy_gather_reset(session);
    *gather = (struct sy_gather){.active = true,
                                 .all = target->all,
                                 .counted = target->counted,
                                 .simple = simple,
                                 .has_home = target->has_home,
                                 .told_tag = target->told_tag,
                                 .home = target->home};
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        part->gather_done = false;
        if (sy_target_has(target, part) && (part->primary || target->replica_ok))
            part->gather_index = gather->count++;
        else
            part->gather_index = UINT16_MAX;
    }
}

uint8_t sy_class_of(const struct sy_stmt *stmt, bool writes)
{
    switch ((int)stmt->kind) {
    case SY_STMT_COPY_FROM:
    case SY_STMT_COPY_TO:
        return SY_CLASS_COPY;
    case SY_STMT_DDL:
    case SY_STMT_TRUNCATE:
    case SY_STMT_MAINTENANCE:
        return SY_CLASS_DDL;
    case SY_STMT_BEGIN:
    case SY_STMT_COMMIT:
    case SY_STMT_ROLLBACK:
    case SY_STMT_SAVEPOINT:
    case SY_STMT_RELEASE:
    case SY_STMT_ROLLBACK_TO:
        return SY_CLASS_TRANSACTION;
    case SY_STMT_SELECT:
    case SY_STMT_INSERT:
    case SY_STMT_UPDATE:
    case SY_STMT_DELETE:
    case SY_STMT_MERGE:
        return writes ? SY_CLASS_WRITE : SY_CLASS_READ;
    default: /* NOLINT: the rest is rare */
        return SY_CLASS_OTHER;
    }
}

void sy_simple_send(struct sy_session *session, const struct sy_target *target,
                    const struct sy_frame *frame, struct sy_slice sql, uint8_t flags)
{
    bool gather = session->gather != NULL && session->gather->active;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (gather ? part->gather_index == UINT16_MAX : !sy_target_has(target, part))
            continue;
        if (!gather && !part->primary && !target->replica_ok)
            continue;
        uint8_t all = (uint8_t)(SY_X_FORWARD | SY_X_READY | (gather ? SY_X_GATHER : 0) | flags);
        part->effects_done = 0;
        sy_part_expect(part, SY_X_QUERY, SY_WHY_CLIENT, all, 0);
        if (frame != NULL)
            sy_part_send(part, frame->chunk, frame->from, frame->to);
        else
            sy_part_send_query(part, sql);
        if (target->writes && !target->copy_in && session->txn == 'I' && !session->implicit_txn)
            sy_part_fetch_position(part);
        if (!gather)
            return;
    }
}

/* ---- one statement ---- */

static void keep_for_rerun(struct sy_session *session, const struct sy_target *target,
                           const struct sy_frame *frame)
{
    if (frame == NULL || !target->replica_ok || target->several || session->txn != 'I' ||
        session->replay.chunk != NULL)
        return;
    session->replay = (struct sy_piece){sy_chunk_ref(frame->chunk), frame->from, frame->to};
}

/* EXECUTE of a statement that each server prepares first. */
static enum sy_status prepare_everywhere(struct sy_session *session, const struct sy_exec *exec,
                                         const struct sy_target *target, struct sy_slice *ret_sql,
                                         struct sy_err *err)
{
    struct sy_statement *statement = exec->prepared;
    if (target->merge && statement->rewritten != NULL)
        statement = statement->rewritten;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!sy_target_has(target, part) || !(part->primary || target->replica_ok))
            continue;
        sy_prepare_on(part, statement, true);
        if (!target->several)
            break;
    }
    char name[SY_STATEMENT_NAME_BYTES];
    (void)sy_statement_name(statement->id, name);
    char *sql = sy_arena_printf(&session->worker->arena, "EXECUTE %s%.*s", name,
                                (int)exec->arguments.bytes, exec->arguments.data);
    if (sql == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    *ret_sql = sy_slice_of(sql);
    return SY_OK;
}

static void begin_gather(struct sy_session *session, const struct sy_stmt *stmt,
                         const struct sy_target *target)
{
    sy_gather_begin(session, target, true);
    sy_gather_note_copy(session->gather, stmt);
    if (target->all && target->writes && session->txn_state != NULL)
        session->txn_state->wrote_all = true;
}

static enum sy_step simple_statement(struct sy_session *session, struct sy_exec *exec,
                                     const struct sy_frame *frame, struct sy_slice sql,
                                     struct sy_err *err)
{
    if (sy_asking_is_over(session)) { /* its error was told */
        sy_asking_free(session);
        session->cycle_errored = true;
        sy_session_set_state(session, SY_SESSION_ACTIVE);
        return SY_STEP_DONE;
    }
    if (session->txn == 'E')
        return sy_txn_refuse(session, err);
    struct sy_target target;
    if (exec->target != NULL)
        target = *exec->target;
    else if (sy_exec_target(session, exec, &target, err) != SY_OK)
        return SY_STEP_ERROR;
    session->statement_class = sy_class_of(exec->stmt, target.writes);
    struct sy_combined combined;
    struct sy_merge_options options = {0};
    if (target.merge && sy_merge_plan(session, exec, sql, &combined, &options, err) != SY_OK &&
        sy_exec_federate(session, exec, &target, err) != SY_OK)
        return SY_STEP_ERROR;
    if (target.merge && exec->prepared != NULL &&
        sy_merge_intern(session, exec->prepared, combined.sql, err) != SY_OK)
        return SY_STEP_ERROR;
    if (exec->stmt->copy.format == SY_COPY_BINARY &&
        sy_exec_check_copy(session, exec, &target, err) != SY_OK)
        return SY_STEP_ERROR;
    target.copy_in = exec->stmt->kind == SY_STMT_COPY_FROM; /* copy.c asks for the position */
    if (target.several && !sy_gather_ensure(session, err))
        return SY_STEP_ERROR;
    /* Several shards change together or not at all: the router's own transaction, unless the client
     * has one. */
    bool own = target.several && target.writes && session->txn == 'I' && !target.no_block;
    if (own)
        session->implicit_txn = true;
    enum sy_step step = sy_target_acquire(session, &target, err);
    if (step == SY_STEP_DONE && target.several && target.writes)
        step = sy_asking_step(session, exec, &target, sql, err);
    if (step != SY_STEP_DONE)
        return step;
    sy_effect_note(session, exec, false);
    if (sy_route_figures(exec->route) != NULL || exec->scan->hints.role == SY_HINT_ROLE_REPLICA)
        sy_tell_before(session, exec, &target);
    if (target.several && exec->stmt->kind == SY_STMT_COPY_FROM) {
        sy_asking_free(session);
        return sy_copy_begin(session, exec, &target, sql, err);
    }
    if (target.several)
        begin_gather(session, exec->stmt, &target);
    if (target.scatters)
        return sy_scatter_simple(session, exec, &target, err);
    sy_asking_free(session);
    if (target.merge) {
        if (sy_merge_begin(session, &combined, &options, err) != SY_OK)
            return SY_STEP_ERROR;
        session->gather->merge_running = true;
        frame = NULL;
        sql = combined.sql;
    }
    if (exec->prepared != NULL && prepare_everywhere(session, exec, &target, &sql, err) != SY_OK)
        return SY_STEP_ERROR;
    keep_for_rerun(session, &target, frame);
    sy_simple_send(session, &target, frame, sql, target.writes ? SY_X_WRITE : 0);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

enum sy_step sy_simple_execute(struct sy_session *session, struct sy_exec *exec, struct sy_err *err)
{
    return simple_statement(session, exec, NULL, exec->text, err);
}

/* As another text, under the hints of the client's. */
static enum sy_step run_as(struct sy_session *session, const struct sy_exec *exec,
                           struct sy_slice sql, struct sy_err *err)
{
    struct sy_exec own;
    struct sy_scan scan;
    if (sy_exec_parse(session, sql, &own, &scan, err) != SY_OK)
        return SY_STEP_ERROR;
    own.simple = true;
    scan.hints = exec->scan->hints;
    enum sy_step step = SY_STEP_ERROR;
    if (sy_exec_route(session, &own, 0, err) == SY_OK)
        step = simple_statement(session, &own, NULL, sql, err);
    sy_template_unref(session->worker->parser, own.template);
    return step;
}

/* With the client's name of its database in the text. */
static enum sy_step run_renamed(struct sy_session *session, const struct sy_exec *exec,
                                struct sy_err *err)
{
    struct sy_slice sql;
    if (sy_route_rename(exec->text, session->database->name, &session->worker->arena, &sql, err) !=
        SY_OK)
        return SY_STEP_ERROR;
    return run_as(session, exec, sql, err);
}

/* With new ids in the text. */
static enum sy_step run_fresh(struct sy_session *session, const struct sy_exec *exec,
                              struct sy_err *err)
{
    struct sy_slice sql;
    if (sy_fresh_make(session, exec->text, &sql, err) != SY_OK)
        return SY_STEP_ERROR;
    enum sy_step step = run_as(session, exec, sql, err);
    if (step != SY_STEP_AGAIN)
        sy_fresh_free(session);
    return step;
}

enum sy_step sy_simple_run(struct sy_session *session, struct sy_exec *exec,
                           const struct sy_frame *frame, struct sy_err *err)
{
    if (sy_exec_route(session, exec, 0, err) != SY_OK)
        return SY_STEP_ERROR;
    if (sy_stmt_is_local(exec->stmt))
        return sy_local_run(session, exec, err);
    if (session->database->renamed && sy_route_names_database(exec->route))
        return run_renamed(session, exec, err);
    enum sy_step step = simple_statement(session, exec, frame, exec->text, err);
    return step == SY_STEP_ERROR && sy_route_makes_ids(exec->route) ? run_fresh(session, exec, err)
                                                                    : step;
}

/* ---- the message ---- */

/* An error of the router's own ends the command. */
static enum sy_step fail_query(struct sy_session *session, const struct sy_err *err)
{
    struct sy_err told = *err;
    if (told.position > 0)
        told.position += (int)session->text_base;
    sy_script_free(session);
    session->cycle_errored = true;
    sy_session_put_error(session, &told);
    if (session->txn == 'T')
        sy_txn_failed(session);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

static enum sy_step answer_empty(struct sy_session *session)
{
    static const char empty[] = {'I', 0, 0, 0, 4};
    sy_session_put(session, empty, sizeof(empty));
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

/* A text that script.c has not cut. */
static enum sy_step run_text(struct sy_session *session, const struct sy_frame *frame,
                             struct sy_slice text, struct sy_err *err)
{
    struct sy_exec exec = {0};
    struct sy_scan scan;
    if (sy_exec_parse(session, text, &exec, &scan, err) != SY_OK) {
        if (err->status == SY_E_SYNTAX && sy_declaration_begins(text))
            return sy_declare_step(session, text, err);
        return SY_STEP_ERROR;
    }
    exec.simple = true;
    enum sy_step step;
    int32_t count = exec.template->facts->stmt_count;
    if (count == 0 || (count == 1 && exec.template->facts->stmts[0].kind == SY_STMT_EMPTY))
        step = answer_empty(session);
    else if (count == 1)
        step = sy_simple_run(session, &exec, frame, err);
    else
        step = sy_script_of_facts(session, &exec, err) == SY_OK ? SY_STEP_DONE : SY_STEP_ERROR;
    sy_template_unref(session->worker->parser, exec.template);
    return step;
}

enum sy_step sy_simple_query(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_slice text;
    struct sy_err err;
    sy_err_init(&err);
    enum sy_step step = SY_STEP_DONE;
    if (session->throttle != NULL && session->script == NULL)
        step = sy_throttle_statement(session, &err);
    if (step == SY_STEP_AGAIN)
        return step;
    if (session->script == NULL)
        sy_cycle_begin(session, true);
    if (step == SY_STEP_ERROR ||
        sy_string_read(frame->body.data, frame->body.bytes, &text, &err) != SY_OK)
        return fail_query(session, &err);
    if (session->script == NULL && sy_script_cut(session, text, &err) != SY_OK)
        step = SY_STEP_ERROR;
    else if (session->script == NULL)
        step = run_text(session, frame, text, &err);
    if (step == SY_STEP_DONE && session->script != NULL)
        step = sy_script_step(session, frame, text, &err);
    return step == SY_STEP_ERROR ? fail_query(session, &err) : step;
}

enum sy_step sy_simple_refuse(struct sy_session *session, const struct sy_err *err)
{
    sy_cycle_begin(session, true);
    return fail_query(session, err);
}

/* FunctionCall: the deprecated fast path. Only where it needs no routing. */
enum sy_step sy_simple_function_call(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_err err = {0};
    enum sy_step step = SY_STEP_DONE;
    if (session->throttle != NULL)
        step = sy_throttle_statement(session, &err);
    if (step == SY_STEP_AGAIN)
        return step;
    sy_cycle_begin(session, true);
    if (step == SY_STEP_ERROR)
        return fail_query(session, &err);
    struct sy_target target = {.writes = true};
    if (session->database->topology->shard_count > 1) {
        (void)sy_err_set(&err, SY_E_UNSUPPORTED,
                         "function calls by OID are not supported on a sharded database");
        sy_err_hint(&err, "Call the function with SELECT.");
        return fail_query(session, &err);
    }
    if (session->txn == 'E') {
        (void)sy_err_set(
            &err, SY_E_TXN_FAILED,
            "current transaction is aborted, commands ignored until end of transaction block");
        return fail_query(session, &err);
    }
    step = sy_target_acquire(session, &target, &err);
    if (step == SY_STEP_ERROR)
        return fail_query(session, &err);
    if (step != SY_STEP_DONE)
        return step;
    sy_simple_send(session, &target, frame, (struct sy_slice){0}, SY_X_WRITE);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}
