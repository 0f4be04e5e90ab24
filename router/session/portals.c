/*
 * Bind, Describe, Execute and Close: where a bound statement goes, and what is done with its
 * portal. One shard, several in turn, or several whose rows the router combines. The worker's
 * thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/extended.h"
#include "router/session/internal.h"

/* ---- where a bound statement goes ---- */

/* The search path or a temporary table came in between: the text may mean something else now. */
static enum sy_status refresh_environment(struct sy_session *session, struct sy_prepared *prepared,
                                          struct sy_err *err)
{
    if (prepared->environment == session->environment)
        return SY_OK;
    struct sy_statement *old = prepared->statement, *fresh;
    struct sy_statement_key key = {.text = old->text,
                                   .sql_types = old->sql_types,
                                   .types = old->types,
                                   .type_count = old->type_count,
                                   .by_sql = old->by_sql,
                                   .environment = session->environment};
    struct sy_parse_settings settings = sy_session_parse_settings(session);
    enum sy_status status =
        sy_statement_intern(&session->worker->statements, &key, &settings, &fresh, err);
    if (status != SY_OK)
        return status;
    prepared->statement = fresh;
    prepared->environment = session->environment;
    sy_statement_unref(&old);
    return SY_OK;
}

static struct sy_exec exec_of(const struct sy_statement *statement)
{
    return (struct sy_exec){.text = statement->text,
                            .scan = &statement->scan,
                            .template = statement->template,
                            .types = statement->types,
                            .type_count = statement->type_count};
}

static bool runs_locally(const struct sy_statement *statement)
{
    return sy_statement_is_empty(statement) ||
           sy_stmt_is_local(&statement->template->facts->stmts[0]);
}

/* Another server than the one that has answers outstanding: wait for those first. */
static bool other_is_busy(const struct sy_session *session, const struct sy_target *target)
{
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->expect_count > 0 && (target->several || part->shard != target->shard ||
                                       (!part->primary && !target->replica_ok)))
            return true;
    return false;
}

static bool in_target(const struct sy_part *part, const struct sy_target *target)
{
    return sy_target_has(target, part) && (part->primary || target->replica_ok);
}

static enum sy_step refuse_mixed(struct sy_err *err)
{
    (void)sy_err_set(
        err, SY_E_UNSUPPORTED,
        "a write on several shards behind a write on one, in one pipeline, is not supported");
    sy_err_hint(err, "Send Sync in between, or use a transaction block.");
    return SY_STEP_ERROR;
}

static enum sy_step acquire(struct sy_session *session, const struct sy_target *target,
                            struct sy_err *err)
{
    if (other_is_busy(session, target)) {
        enum sy_step step = sy_barrier(session);
        if (step != SY_STEP_DONE)
            return step;
    }
    if (target->several && target->writes && session->txn == 'I' && !session->implicit_txn &&
        !target->no_block) {
        for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
            if (part->touched && part->wrote)
                return refuse_mixed(err);
        session->implicit_txn = true;
    }
    enum sy_step step = sy_target_acquire(session, target, err);
    /* An error of the second server must not overtake what would be told with the first one's. */
    if (step == SY_STEP_DONE && target->several && session->owed.bytes == session->owed_loose)
        sy_owe_settle(session);
    return step;
}

/* ---- Bind ---- */

static void send_bind(struct sy_session *session, struct sy_part *part,
                      const struct sy_frame *frame, const struct sy_bind_msg *bind,
                      struct sy_prepared *prepared)
{
    bool as_is = prepared->name[0] == 0 && !prepared->statement->by_sql;
    bool maps = sy_part_maps_bind(part, bind);
    if (as_is && !maps && bind->statement.bytes == 0) {
        sy_part_send(part, frame->chunk, frame->from, frame->to);
        return;
    }
    char name[SY_STATEMENT_NAME_BYTES];
    uint32_t name_bytes = as_is ? 0 : sy_statement_name(prepared->statement->id, name);
    uint32_t old_bytes = (uint32_t)(bind->portal.bytes + bind->statement.bytes) + 2;
    uint32_t rest = (uint32_t)frame->body.bytes - old_bytes;
    struct sy_buf *out = sy_session_scratch(session);
    sy_buf_append_u8(out, 'B');
    sy_buf_append_u32(out, 4 + (uint32_t)bind->portal.bytes + 1 + name_bytes + 1 + rest);
    sy_put_cstring(out, bind->portal);
    sy_put_cstring(out, (struct sy_slice){name, name_bytes});
    if (!maps) {
        sy_part_send_copy(part, out->data, out->bytes);
        sy_part_send(part, frame->chunk, frame->to - rest, frame->to);
        return;
    }
    sy_buf_append(out, frame->chunk->data + frame->to - rest, rest);
    if (!out->failed)
        sy_part_map_bind(part, prepared->statement, out->data + SY_FRAME_HEADER_BYTES,
                         out->bytes - SY_FRAME_HEADER_BYTES);
    sy_part_send_copy(part, out->data, out->bytes);
}

static uint64_t server_id(const struct sy_prepared *prepared)
{
    return prepared->name[0] == 0 && !prepared->statement->by_sql ? 0 : prepared->statement->id;
}

static void bind_on(struct sy_session *session, struct sy_part *part, const struct sy_frame *frame,
                    const struct sy_bind_msg *bind, struct sy_prepared *prepared, uint8_t flags)
{
    sy_owe_attach(session, part);
    sy_prepare_for(part, prepared);
    sy_part_expect(part, SY_X_BIND, SY_WHY_CLIENT, flags, server_id(prepared));
    send_bind(session, part, frame, bind, prepared);
}

static bool wants_binary(const struct sy_bind_msg *bind)
{
    for (uint16_t i = 0; i < bind->result_format_count; i++)
        if (bind->result_formats[2 * i + 1] != 0)
            return true;
    return false;
}

/* A portal whose rows the router combines. */
struct merge_bind {
    const struct sy_frame *frame;
    const struct sy_bind_msg *bind;
    struct sy_prepared *prepared;
    const struct sy_exec *exec;
    const struct sy_target *target;
    const struct sy_merge_plan *plan;
};

/* Sends Bind, and Describe: the router must know the columns before the first row. */
static void send_merge_bind(struct sy_session *session, const struct merge_bind *m, uint32_t hidden)
{
    struct sy_statement *statement = m->prepared->statement->rewritten;
    if (statement == NULL)
        statement = m->prepared->statement;
    char name[SY_STATEMENT_NAME_BYTES];
    struct sy_slice as = {name, sy_statement_name(statement->id, name)};
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (part->gather_index == UINT16_MAX)
            continue;
        if (part->gather_index == 0)
            sy_owe_attach(session, part);
        sy_prepare_on(part, statement, false);
        part->touched = true;
        sy_part_expect(part, SY_X_BIND, SY_WHY_CLIENT, SY_X_FORWARD | SY_X_GATHER, statement->id);
        sy_part_expect(part, SY_X_DESCRIBE_P, SY_WHY_CLIENT, SY_X_GATHER, 0);
        struct sy_buf *out = sy_session_scratch(session);
        sy_merge_write_bind(out, m->frame->body, m->bind, as, hidden);
        if (!out->failed && sy_part_maps_bind(part, m->bind))
            sy_part_map_bind(part, m->prepared->statement, out->data + SY_FRAME_HEADER_BYTES,
                             out->bytes - SY_FRAME_HEADER_BYTES);
        sy_write_describe(out, 'P', m->bind->portal);
        sy_part_send_copy(part, out->data, out->bytes);
    }
}

static enum sy_step bind_merge(struct sy_session *session, const struct merge_bind *m,
                               struct sy_err *err)
{
    const struct sy_combined *combined = &m->plan->combined;
    if (sy_merge_pending(session)) {
        enum sy_step waits = sy_barrier(session);
        if (waits != SY_STEP_DONE)
            return waits;
    }
    enum sy_step step = acquire(session, m->target, err);
    if (step != SY_STEP_DONE)
        return step;
    if (sy_merge_intern(session, m->prepared->statement, combined->sql, err) != SY_OK ||
        !sy_gather_ensure(session, err))
        return SY_STEP_ERROR;
    struct sy_portal *portal =
        sy_portal_define(session, m->bind->portal, m->prepared->statement, err);
    if (portal == NULL)
        return SY_STEP_ERROR;
    portal->several = true;
    portal->shards = m->target->shards;
    portal->replica = m->target->replica_ok;
    portal->binary = wants_binary(m->bind);
    portal->merge_serial = ++session->worker->last_serial;
    sy_owe_primary(session, m->exec, m->target);
    sy_gather_begin(session, m->target, false);
    if (sy_merge_begin(session, combined, &m->plan->options, err) != SY_OK)
        return SY_STEP_ERROR;
    session->gather->merge_serial = portal->merge_serial;
    sy_counter_add(&session->database->counters->binds, 1);
    send_merge_bind(session, m, combined->spec.hidden_count);
    return SY_STEP_DONE;
}

/* Can the router put it together itself? Else the federating database may. */
static enum sy_status plan_merge(struct sy_session *session, const struct sy_exec *exec,
                                 const struct sy_statement *statement, struct sy_target *target,
                                 struct sy_merge_plan *ret_plan, struct sy_err *err)
{
    enum sy_status status;
    if (statement->by_sql) {
        status = sy_err_set(err, SY_E_UNSUPPORTED,
                            "PREPARE in SQL of a statement that combines shards is not supported");
        sy_err_hint(err, "Prepare it with the protocol's Parse message.");
    } else {
        status =
            sy_merge_plan(session, exec, exec->text, &ret_plan->combined, &ret_plan->options, err);
    }
    return status == SY_OK ? SY_OK : sy_exec_federate(session, exec, target, err);
}

static enum sy_step bind_scattered(struct sy_session *session, const struct sy_scatter_bind *b,
                                   struct sy_err *err)
{
    if (!sy_gather_ensure(session, err))
        return SY_STEP_ERROR;
    return sy_scatter_bind(session, b, wants_binary(b->bind), err);
}

enum { FEW_PARAMETERS = 32 };

static void fill_portal(struct sy_portal *portal, const struct sy_exec *exec,
                        const struct sy_target *target)
{
    portal->several = target->several;
    portal->shard = target->shard;
    portal->shards = target->shards;
    portal->all = target->all;
    portal->writes = target->writes;
    portal->counted = target->counted;
    portal->has_home = target->has_home;
    portal->home = target->home;
    portal->copies = exec->stmt->kind == SY_STMT_COPY_FROM;
    portal->splits = target->split;
    portal->replica = target->replica_ok;
    portal->figures = target->several ? NULL : sy_tells_shard(exec);
}

static enum sy_step bind_remote(struct sy_session *session, const struct sy_frame *frame,
                                const struct sy_bind_msg *bind, struct sy_prepared *prepared,
                                struct sy_err *err);

/* New ids are a new statement, the server's unnamed one. */
static enum sy_step bind_fresh(struct sy_session *session, const struct sy_frame *frame,
                               const struct sy_bind_msg *bind, const struct sy_prepared *prepared,
                               struct sy_err *err)
{
    struct sy_prepared *fresh;
    if (sy_fresh_prepared(session, prepared, &fresh, err) != SY_OK)
        return SY_STEP_ERROR;
    enum sy_step step = bind_remote(session, frame, bind, fresh, err);
    sy_fresh_prepared_free(session, &fresh, step);
    return step;
}

static enum sy_step bind_remote(struct sy_session *session, const struct sy_frame *frame,
                                const struct sy_bind_msg *bind, struct sy_prepared *prepared,
                                struct sy_err *err)
{
    struct sy_slice few[FEW_PARAMETERS], *values = few;
    uint16_t few_formats[FEW_PARAMETERS], *formats = few_formats;
    struct sy_arena *arena = &session->worker->arena;
    if (bind->parameter_count > FEW_PARAMETERS)
        values = sy_arena_calloc(arena, bind->parameter_count, sizeof(*values));
    if (bind->format_count > FEW_PARAMETERS)
        formats = sy_arena_calloc(arena, bind->format_count, sizeof(*formats));
    if (values == NULL || formats == NULL)
        return (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory"), SY_STEP_ERROR;
    sy_bind_parameters(bind, values);
    sy_bind_formats(bind, formats);
    struct sy_exec exec = exec_of(prepared->statement);
    exec.parameters = values;
    exec.parameter_count = bind->parameter_count;
    exec.formats = formats;
    exec.format_count = bind->format_count;
    struct sy_target target;
    if (sy_exec_route(session, &exec, 0, err) != SY_OK)
        return SY_STEP_ERROR;
    if (sy_exec_target(session, &exec, &target, err) != SY_OK)
        return sy_route_makes_ids(exec.route) ? bind_fresh(session, frame, bind, prepared, err)
                                              : SY_STEP_ERROR;
    struct sy_merge_plan merge = {0};
    if (target.merge &&
        plan_merge(session, &exec, prepared->statement, &target, &merge, err) != SY_OK)
        return SY_STEP_ERROR;
    if (exec.stmt->copy.format == SY_COPY_BINARY &&
        sy_exec_check_copy(session, &exec, &target, err) != SY_OK)
        return SY_STEP_ERROR;
    session->several_bound = session->several_bound || target.several;
    if (target.merge)
        return bind_merge(session,
                          &(struct merge_bind){frame, bind, prepared, &exec, &target, &merge}, err);
    enum sy_step step = acquire(session, &target, err);
    if (step == SY_STEP_DONE && target.several && target.writes)
        step = sy_asking_step(session, &exec, &target, exec.text, err);
    if (step != SY_STEP_DONE)
        return step;
    if (target.scatters)
        return bind_scattered(
            session, &(struct sy_scatter_bind){bind, prepared->statement, &exec, &target}, err);
    sy_asking_free(session);
    struct sy_portal *portal = sy_portal_define(session, bind->portal, prepared->statement, err);
    if (portal == NULL)
        return SY_STEP_ERROR;
    fill_portal(portal, &exec, &target);
    portal->environment = session->environment;
    portal->binary = wants_binary(bind);
    portal->server_id = server_id(prepared);
    sy_owe_primary(session, &exec, &target);
    sy_counter_add(&session->database->counters->binds, 1);
    bool first = true;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!in_target(part, &target))
            continue;
        bind_on(session, part, frame, bind, prepared, first ? SY_X_FORWARD : 0);
        first = false;
        if (!target.several)
            break;
    }
    return SY_STEP_DONE;
}

enum sy_step sy_portal_on_bind(struct sy_session *session, const struct sy_frame *frame,
                               struct sy_err *err)
{
    struct sy_bind_msg bind;
    if (sy_bind_read(frame->body.data, frame->body.bytes, &bind, err) != SY_OK)
        return SY_STEP_ERROR;
    struct sy_prepared *prepared = sy_extended_find(session, bind.statement, err);
    if (prepared == NULL || refresh_environment(session, prepared, err) != SY_OK)
        return SY_STEP_ERROR;
    bool local = runs_locally(prepared->statement);
    const struct sy_stmt *stmt = sy_statement_is_empty(prepared->statement)
                                     ? NULL
                                     : &prepared->statement->template->facts->stmts[0];
    bool ends = stmt != NULL && stmt->kind >= SY_STMT_BEGIN && stmt->kind <= SY_STMT_ROLLBACK_TO;
    if (session->txn == 'E' && !ends && stmt != NULL)
        return sy_txn_refuse(session, err);
    if (!local)
        return bind_remote(session, frame, &bind, prepared, err);
    if (bind.parameter_count > 0)
        return (void)sy_err_set(
                   err, SY_E_PROTOCOL,
                   "bind message supplies %u parameters, but this statement requires 0",
                   bind.parameter_count),
               SY_STEP_ERROR;
    struct sy_portal *portal = sy_portal_define(session, bind.portal, prepared->statement, err);
    if (portal == NULL)
        return SY_STEP_ERROR;
    portal->local = true;
    sy_owe_simple(session, '2');
    return SY_STEP_DONE;
}

/* ---- Describe ---- */

/* Rows come from SHOW switchyard.* and EXPLAIN (ROUTE) alone. */
static void owe_local_columns(struct sy_session *session, const struct sy_statement *statement)
{
    const struct sy_stmt *stmt =
        sy_statement_is_empty(statement) ? NULL : &statement->template->facts->stmts[0];
    struct sy_buf *out = sy_session_scratch(session);
    if (stmt != NULL && (stmt->kind == SY_STMT_SHOW || stmt->kind == SY_STMT_EXPLAIN)) {
        char name[SY_LIMIT_NAME_BYTES + 1];
        snprintf(name, sizeof(name), "%.*s", (int)stmt->name.bytes, stmt->name.data);
        const char *column = stmt->kind == SY_STMT_EXPLAIN ? "QUERY PLAN" : name;
        sy_write_text_columns(out, &column, 1);
    } else {
        sy_write_simple(out, 'n');
    }
    sy_owe(session, out->data, out->bytes);
}

/* `prepared`: as servers know it; `id`: of the statement that learns its parameters' types. */
static enum sy_step describe_prepared(struct sy_session *session, struct sy_prepared *prepared,
                                      uint64_t id, struct sy_err *err)
{
    /* Any server tells the columns: the one at hand, else the first shard's primary. */
    struct sy_target target = {0};
    struct sy_part *at_hand = sy_busy_part(session);
    if (at_hand == NULL || at_hand->federation)
        at_hand = session->parts;
    while (at_hand != NULL && at_hand->federation) /* it knows tables, not every function */
        at_hand = at_hand->next;
    if (at_hand != NULL) {
        target.shard = at_hand->shard;
        target.replica_ok = !at_hand->primary;
    }
    enum sy_step step = acquire(session, &target, err);
    if (step != SY_STEP_DONE)
        return step;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!in_target(part, &target))
            continue;
        sy_owe_attach(session, part);
        sy_prepare_for(part, prepared);
        sy_part_expect(part, SY_X_DESCRIBE_S, SY_WHY_CLIENT, SY_X_FORWARD, id);
        char name[SY_STATEMENT_NAME_BYTES];
        uint32_t bytes =
            server_id(prepared) == 0 ? 0 : sy_statement_name(prepared->statement->id, name);
        struct sy_buf *out = sy_session_scratch(session);
        sy_write_describe(out, 'S', (struct sy_slice){name, bytes});
        sy_part_send_copy(part, out->data, out->bytes);
        break;
    }
    return SY_STEP_DONE;
}

static enum sy_step describe_statement(struct sy_session *session,
                                       const struct sy_describe_msg *message, struct sy_err *err)
{
    struct sy_prepared *prepared = sy_extended_find(session, message->name, err), *fresh;
    if (prepared == NULL || refresh_environment(session, prepared, err) != SY_OK)
        return SY_STEP_ERROR;
    if (runs_locally(prepared->statement)) {
        static const char none[] = {'t', 0, 0, 0, 6, 0, 0};
        sy_owe(session, none, sizeof(none));
        owe_local_columns(session, prepared->statement);
        return SY_STEP_DONE;
    }
    const struct sy_statement *statement = prepared->statement;
    if (!sy_stmt_makes_ids(&statement->template->facts->stmts[0]))
        return describe_prepared(session, prepared, statement->id, err);
    if (sy_fresh_prepared(session, prepared, &fresh, err) != SY_OK)
        return SY_STEP_ERROR;
    enum sy_step step = describe_prepared(session, fresh, statement->id, err);
    sy_fresh_prepared_free(session, &fresh, step);
    return step;
}

static enum sy_step no_portal(struct sy_slice name, struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_NOT_FOUND, "portal \"%.*s\" does not exist", (int)name.bytes,
                     name.data);
    sy_err_state(err, "34000");
    return SY_STEP_ERROR;
}

/* The servers of a portal, in order; NULL at the end. */
static struct sy_part *next_of_portal(struct sy_session *session, const struct sy_portal *portal,
                                      struct sy_part *after)
{
    for (struct sy_part *part = after == NULL ? session->parts : after->next; part != NULL;
         part = part->next) {
        bool member = portal->several ? sy_shard_set_has(&portal->shards, part->shard)
                                      : part->shard == portal->shard;
        if (member && (portal->replica ? sy_part_is_first(part) : part->primary))
            return part;
    }
    return NULL;
}

static enum sy_step forward_to_portal(struct sy_session *session, const struct sy_portal *portal,
                                      const struct sy_frame *frame, enum sy_expect_kind kind,
                                      struct sy_slice name, struct sy_err *err)
{
    struct sy_part *part = next_of_portal(session, portal, NULL);
    if (part == NULL)
        return no_portal(name, err);
    struct sy_target target = {.shard = part->shard, .replica_ok = !part->primary};
    if (other_is_busy(session, &target) && !portal->several) {
        enum sy_step step = sy_barrier(session);
        if (step != SY_STEP_DONE)
            return step;
    }
    sy_owe_attach(session, part);
    part->touched = true;
    sy_part_expect(part, kind, SY_WHY_CLIENT, SY_X_FORWARD, 0);
    sy_part_send(part, frame->chunk, frame->from, frame->to);
    return SY_STEP_DONE;
}

/* A cursor that DECLARE made is a portal as well. */
static struct sy_portal *portal_or_cursor(struct sy_session *session, struct sy_slice name,
                                          struct sy_portal *cursor)
{
    struct sy_portal *portal = sy_portal_find(session, name);
    if (portal != NULL)
        return portal;
    uint32_t shard = sy_effect_cursor_shard(session, name);
    *cursor = (struct sy_portal){.shard = shard, .replica = true, .binary = true};
    return shard == UINT32_MAX ? NULL : cursor;
}

/* The gather holds one merge: that of the portal bound last, until the cycle is over. */
static bool has_merge(const struct sy_session *session, const struct sy_portal *portal,
                      struct sy_err *err)
{
    const struct sy_gather *gather = session->gather;
    if (gather != NULL && gather->merge != NULL && gather->merge_serial == portal->merge_serial &&
        !gather->merge_running)
        return true;
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "a portal that combines shards can be executed once, before the next Bind or "
                     "Sync");
    sy_err_state(err, "0A000");
    sy_err_hint(err, "Send Bind and Execute together.");
    return false;
}

/* The columns without the hidden ones, as soon as the shards have told theirs. */
static enum sy_step describe_merge(struct sy_session *session, const struct sy_portal *portal,
                                   struct sy_err *err)
{
    enum sy_step step = sy_barrier(session);
    if (step != SY_STEP_DONE || session->skip_to_sync)
        return step;
    if (!has_merge(session, portal, err))
        return SY_STEP_ERROR;
    sy_owe_settle(session); /* nobody is busy, and rows will not wait for what is owed */
    struct sy_buf *out = sy_session_scratch(session);
    if (sy_merge_describe(session, out))
        sy_session_put_buf(session, out);
    return SY_STEP_DONE;
}

enum sy_step sy_portal_on_describe(struct sy_session *session, const struct sy_frame *frame,
                                   struct sy_err *err)
{
    struct sy_describe_msg message;
    if (sy_describe_read(frame->body.data, frame->body.bytes, &message, err) != SY_OK)
        return SY_STEP_ERROR;
    if (message.kind == 'S')
        return describe_statement(session, &message, err);
    struct sy_portal cursor, *portal = portal_or_cursor(session, message.name, &cursor);
    if (portal == NULL)
        return no_portal(message.name, err);
    if (portal->local) {
        owe_local_columns(session, portal->statement);
        return SY_STEP_DONE;
    }
    if (portal->merge_serial != 0)
        return describe_merge(session, portal, err);
    return forward_to_portal(session, portal, frame, SY_X_DESCRIBE_P, message.name, err);
}

/* ---- Execute ---- */

static enum sy_step execute_local(struct sy_session *session, const struct sy_portal *portal,
                                  struct sy_err *err)
{
    enum sy_step step = sy_barrier(session);
    if (step != SY_STEP_DONE)
        return step;
    if (sy_statement_is_empty(portal->statement)) {
        sy_owe_simple(session, 'I');
        return SY_STEP_DONE;
    }
    struct sy_exec exec = exec_of(portal->statement);
    if (sy_exec_route(session, &exec, 0, err) != SY_OK)
        return SY_STEP_ERROR;
    sy_owe_settle(session);
    step = sy_local_run(session, &exec, err);
    if (step == SY_STEP_DONE && session->state == SY_SESSION_ACTIVE)
        sy_session_set_state(session,
                             SY_SESSION_BATCH); /* Sync ends the batch, not this statement */
    return step;
}

static enum sy_step refuse_row_limit(struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "a row limit on rows that a write on several shards returns is not supported");
    sy_err_hint(err, "Fetch all rows at once (fetch size 0).");
    return SY_STEP_ERROR;
}

/* A limit counts where rows come back; elsewhere servers do not look at it. */
static bool limits_rows(struct sy_portal *portal, const struct sy_stmt *stmt, uint32_t limit)
{
    portal->limited =
        portal->limited || (limit > 0 && (stmt->kind == SY_STMT_SELECT || stmt->has_returning));
    return portal->limited;
}

static enum sy_step execute_several(struct sy_session *session, struct sy_portal *portal,
                                    const struct sy_frame *frame,
                                    const struct sy_execute_msg *message, struct sy_err *err)
{
    if (limits_rows(portal, &portal->statement->template->facts->stmts[0], message->row_limit)) {
        if (portal->writes || portal->all ||
            portal->statement->template->facts->stmts[0].kind != SY_STMT_SELECT)
            return refuse_row_limit(err);
        if (portal->merge_serial != 0)
            return portal->gather == NULL && !has_merge(session, portal, err)
                       ? SY_STEP_ERROR
                       : sy_turn_execute_merge(session, portal, message->row_limit, err);
        return sy_turn_execute(session, portal, message->row_limit, err);
    }
    if (portal->merge_serial != 0 && !has_merge(session, portal, err))
        return SY_STEP_ERROR;
    if (portal->merge_serial == 0 && session->gather != NULL && session->gather->active)
        sy_gather_reset(session);
    if (!sy_gather_ensure(session, err))
        return SY_STEP_ERROR;
    struct sy_target target = {.several = true,
                               .all = portal->all,
                               .shards = portal->shards,
                               .replica_ok = portal->replica,
                               .writes = portal->writes,
                               .counted = portal->counted,
                               .has_home = portal->has_home,
                               .home = portal->home,
                               .told_tag = portal->told_tag};
    if (portal->merge_serial == 0)
        sy_gather_begin(session, &target, false);
    else
        session->gather->merge_running = true;
    sy_gather_note_copy(session->gather, &portal->statement->template->facts->stmts[0]);
    uint8_t flags = (uint8_t)(SY_X_FORWARD | SY_X_GATHER | (portal->writes ? SY_X_WRITE : 0));
    if (session->busy_parts == 0)
        sy_owe_settle(session);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (part->gather_index == UINT16_MAX)
            continue;
        if (part->gather_index == 0)
            sy_owe_attach(session, part);
        part->touched = true;
        part->will_write = part->will_write || portal->writes;
        sy_part_ask_columns(part, portal, message->portal);
        sy_part_expect(part, SY_X_EXECUTE, SY_WHY_CLIENT, flags, 0);
        sy_part_send(part, frame->chunk, frame->from, frame->to);
    }
    session->need_barrier = true;
    return SY_STEP_DONE;
}

static enum sy_step execute_one(struct sy_session *session, const struct sy_portal *portal,
                                const struct sy_frame *frame, const struct sy_execute_msg *message,
                                struct sy_err *err)
{
    struct sy_part *part = next_of_portal(session, portal, NULL);
    if (part == NULL)
        return no_portal(message->portal, err);
    struct sy_target target = {.shard = part->shard, .replica_ok = !part->primary};
    if (other_is_busy(session, &target)) {
        enum sy_step step = sy_barrier(session);
        if (step != SY_STEP_DONE)
            return step;
    }
    bool outlives =
        part->federation && !part->in_txn && message->row_limit > 0 && session->txn != 'I';
    if (outlives && !sy_federation_join(part))
        return refuse_row_limit(err); /* the portal would end with Sync */
    sy_owe_shard(session, portal->figures, portal->shard);
    sy_owe_attach(session, part);
    part->touched = true;
    part->will_write = part->will_write || portal->writes;
    sy_part_ask_columns(part, portal, message->portal);
    sy_part_expect(part, SY_X_EXECUTE, SY_WHY_CLIENT,
                   (uint8_t)(SY_X_FORWARD | (portal->writes ? SY_X_WRITE : 0)), portal->server_id);
    sy_part_send(part, frame->chunk, frame->from, frame->to);
    return SY_STEP_DONE;
}

/* Before a COPY FROM: all that came before it is answered, so that the data has the client alone.
 */
static enum sy_step before_copy(struct sy_session *session, const struct sy_portal *portal,
                                const struct sy_exec *exec, struct sy_err *err)
{
    enum sy_step step = sy_barrier(session);
    if (step != SY_STEP_DONE)
        return step;
    if (session->database->sharded && portal->environment != session->environment) {
        (void)sy_err_set(err, SY_E_UNSUPPORTED,
                         "COPY on a sharded database is not supported when search_path or the "
                         "temporary tables changed behind its Bind"); /* servers look it up now */
        sy_err_hint(err, "Send Bind and Execute together.");
        return SY_STEP_ERROR;
    }
    if (!portal->several)
        return SY_STEP_DONE;
    return sy_copy_open(session, exec, portal->splits, err) == SY_OK ? SY_STEP_DONE : SY_STEP_ERROR;
}

enum sy_step sy_portal_on_execute(struct sy_session *session, const struct sy_frame *frame,
                                  struct sy_err *err)
{
    struct sy_execute_msg message;
    if (sy_execute_read(frame->body.data, frame->body.bytes, &message, err) != SY_OK)
        return SY_STEP_ERROR;
    enum sy_step paid =
        session->throttle == NULL ? SY_STEP_DONE : sy_throttle_statement(session, err);
    if (paid != SY_STEP_DONE)
        return paid;
    struct sy_portal cursor, *portal = portal_or_cursor(session, message.portal, &cursor);
    if (portal == NULL)
        return no_portal(message.portal, err);
    if (portal == &cursor)
        return execute_one(session, portal, frame, &message, err);
    if (portal->local)
        return execute_local(session, portal, err);
    struct sy_exec exec = exec_of(portal->statement);
    if (sy_exec_route(session, &exec, 0, err) != SY_OK)
        return SY_STEP_ERROR;
    session->statement_class = sy_class_of(exec.stmt, portal->writes);
    if (sy_effect_has(session, &exec)) {
        enum sy_step step =
            sy_barrier(session); /* effects are told apart by statement: one at a time */
        if (step != SY_STEP_DONE)
            return step;
        sy_effect_drop(session);
        sy_effect_note(session, &exec, false);
        for (struct sy_part *part = session->parts; part != NULL; part = part->next)
            part->effects_done = 0;
        session->need_barrier = true;
    }
    if (portal->copies) {
        enum sy_step step = before_copy(session, portal, &exec, err);
        if (step != SY_STEP_DONE)
            return step;
    }
    enum sy_step step = portal->several ? execute_several(session, portal, frame, &message, err)
                                        : execute_one(session, portal, frame, &message, err);
    if (step == SY_STEP_DONE && portal->copies)
        (void)sy_barrier(session); /* what comes next may be data: first the servers ask for it */
    return step;
}

/* ---- Close ---- */

/* Each shard has a portal of that name; one of them answers for all. */
static enum sy_step close_several(struct sy_session *session, const struct sy_portal *portal,
                                  const struct sy_frame *frame, struct sy_slice name)
{
    enum sy_step step = sy_barrier(session);
    if (step != SY_STEP_DONE || session->skip_to_sync)
        return step;
    bool first = true;
    sy_owe_settle(session);
    for (struct sy_part *part = next_of_portal(session, portal, NULL); part != NULL;
         part = next_of_portal(session, portal, part)) {
        part->touched = true;
        sy_part_expect(part, SY_X_CLOSE, SY_WHY_CLIENT, first ? SY_X_FORWARD : 0, 0);
        sy_part_send(part, frame->chunk, frame->from, frame->to);
        first = false;
    }
    sy_portal_remove(session, name);
    if (first)
        sy_owe_simple(session, '3');
    session->need_barrier = true;
    return SY_STEP_DONE;
}

enum sy_step sy_portal_on_close(struct sy_session *session, const struct sy_frame *frame,
                                struct sy_err *err)
{
    struct sy_describe_msg message;
    if (sy_describe_read(frame->body.data, frame->body.bytes, &message, err) != SY_OK)
        return SY_STEP_ERROR;
    if (message.kind == 'S') {
        sy_extended_remove(session, message.name);
        sy_owe_simple(session, '3');
        return SY_STEP_DONE;
    }
    struct sy_portal cursor, *portal = portal_or_cursor(session, message.name, &cursor);
    if (portal != NULL && !portal->local && !portal->several &&
        next_of_portal(session, portal, NULL) != NULL) {
        enum sy_step step =
            forward_to_portal(session, portal, frame, SY_X_CLOSE, message.name, err);
        if (step == SY_STEP_DONE)
            sy_portal_remove(session, message.name);
        return step;
    }
    if (portal != NULL && portal->several)
        return close_several(session, portal, frame, message.name);
    if (portal != NULL)
        sy_portal_remove(session, message.name);
    sy_owe_simple(session, '3');
    return SY_STEP_DONE;
}
