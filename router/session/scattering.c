/*
 * Writes on several shards that are not sent as the client wrote them (router/plan/scatter.h):
 * every shard gets a text of its own. In the extended protocol it is parsed as the server's unnamed
 * statement, with the parameters that it uses. The worker's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "router/plan/scatter.h"
#include "router/plan/sequence.h"
#include "router/session/extended.h"
#include "router/session/internal.h"

/* ---- texts ---- */

static bool is_member(const struct sy_part *part, const struct sy_target *target)
{
    return part->primary && part->server != NULL && sy_target_has(target, part);
}

/* A text for each shard, by its number. */
static enum sy_status write_texts(struct sy_session *session, const struct sy_exec *exec,
                                  const struct sy_target *target, struct sy_scattered **ret_texts,
                                  struct sy_err *err)
{
    struct sy_arena *arena = &session->worker->arena;
    uint32_t count = session->database->topology->shard_count;
    struct sy_scattered *texts = sy_arena_calloc(arena, count, sizeof(*texts)), *last = NULL;
    struct sy_slice *answers = NULL;
    struct sy_scatter scatter = {.text = exec->text};
    if (texts == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    enum sy_status status = sy_asking_answers(session, &answers, &scatter.answer_count, err);
    scatter.answers = answers;
    scatter.rows = target->rows;
    scatter.row_count = target->row_count;
    for (uint32_t shard = 0; shard < count && status == SY_OK; shard++) {
        if (!sy_shard_set_has(&target->shards, shard))
            continue;
        scatter.shard = shard;
        if (last != NULL && target->rows == NULL && !sy_route_spreads_sequences(exec->route) &&
            !sy_route_sets_sequences(exec->route))
            texts[shard] = *last;
        else
            status = sy_scatter_text(exec->route, &scatter, arena, &texts[shard], err);
        last = &texts[shard];
    }
    if (status == SY_E_UNSUPPORTED)
        sy_counter_add(&session->database->counters->refused, 1);
    *ret_texts = texts;
    return status;
}

/* ---- returned rows, in the order in which the rows were written ---- */

static enum sy_status begin_turns(struct sy_session *session, const struct sy_target *target,
                                  struct sy_err *err)
{
    struct sy_arena *arena = &session->worker->arena;
    uint32_t count = session->database->topology->shard_count;
    uint16_t *turns = sy_arena_calloc(arena, target->row_count + 1u, sizeof(*turns));
    uint16_t *stream = sy_arena_calloc(arena, count, sizeof(*stream));
    if (turns == NULL || stream == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->gather_index != UINT16_MAX)
            stream[part->shard] = part->gather_index;
    for (uint32_t i = 0; i < target->row_count; i++)
        turns[i] = stream[target->rows[i]];
    struct sy_combined combined = {
        .spec = {.unique = -1, .turns = turns, .turn_count = target->row_count}};
    struct sy_merge_options options = {.limit = UINT64_MAX};
    session->gather->sums = true;
    return sy_merge_begin(session, &combined, &options, err);
}

static bool returns_rows(const struct sy_exec *exec, const struct sy_target *target)
{
    return target->rows != NULL && exec->stmt->has_returning;
}

static enum sy_step refuse_by_sql(struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "PREPARE in SQL of a statement that is written anew for each shard is not "
                     "supported");
    sy_err_hint(err, "Prepare it with the protocol's Parse message.");
    return SY_STEP_ERROR;
}

/* ---- the simple protocol ---- */

enum sy_step sy_scatter_simple(struct sy_session *session, const struct sy_exec *exec,
                               const struct sy_target *target, struct sy_err *err)
{
    struct sy_scattered *texts = NULL;
    if (exec->prepared != NULL && exec->stmt->has_parameters)
        return refuse_by_sql(err);
    if (write_texts(session, exec, target, &texts, err) != SY_OK)
        return SY_STEP_ERROR;
    sy_asking_free(session);
    if (returns_rows(exec, target)) {
        if (begin_turns(session, target, err) != SY_OK)
            return SY_STEP_ERROR;
        session->gather->merge_running = true;
    }
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (part->gather_index == UINT16_MAX)
            continue;
        part->effects_done = 0;
        sy_part_expect(part, SY_X_QUERY, SY_WHY_CLIENT,
                       SY_X_FORWARD | SY_X_READY | SY_X_GATHER | SY_X_WRITE, 0);
        sy_part_send_query(part, texts[part->shard].sql);
    }
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

/* ---- the extended protocol ---- */

static bool write_parse(const struct sy_part *part, const struct sy_statement *statement,
                        const struct sy_scattered *text, bool split, struct sy_buf *out)
{
    struct sy_arena *arena = &part->session->worker->arena;
    uint32_t count = split ? text->parameter_count : statement->type_count;
    uint32_t *types = sy_arena_calloc(arena, count + 1u, sizeof(*types));
    uint32_t *mapped = sy_arena_calloc(arena, count + 1u, sizeof(*mapped));
    if (types == NULL || mapped == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = split ? text->parameters[i] - 1u : i;
        types[i] = from < statement->type_count ? statement->types[from] : 0;
    }
    sy_part_map_parse(part, types, (uint16_t)count, mapped);
    sy_write_parse(out, (struct sy_slice){"", 0}, text->sql, mapped, (uint16_t)count);
    return true;
}

static bool write_bind(const struct sy_part *part, const struct sy_scatter_bind *b,
                       const struct sy_scattered *text, struct sy_buf *out)
{
    struct sy_arena *arena = &part->session->worker->arena;
    const struct sy_exec *exec = b->exec;
    bool split = b->target->rows != NULL;
    uint32_t count = split ? text->parameter_count : exec->parameter_count;
    uint32_t results = b->bind->result_format_count;
    struct sy_slice *values = sy_arena_calloc(arena, count + 1u, sizeof(*values));
    uint16_t *formats = sy_arena_calloc(arena, count + 1u, sizeof(*formats));
    uint16_t *result_formats = sy_arena_calloc(arena, results + 1u, sizeof(*result_formats));
    if (values == NULL || formats == NULL || result_formats == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t from = split ? text->parameters[i] - 1u : i;
        if (from >= exec->parameter_count)
            return false;
        formats[i] =
            exec->format_count == 0 ? 0 : exec->formats[exec->format_count == 1 ? 0 : from];
        values[i] = exec->parameters[from];
        if (formats[i] != 0)
            values[i] = sy_part_map_value(part, b->statement, (uint16_t)from, values[i]);
    }
    for (uint32_t i = 0; i < results; i++)
        result_formats[i] = sy_u16_at(b->bind->result_formats, i);
    struct sy_bind_values message = {.portal = b->bind->portal,
                                     .statement = {"", 0},
                                     .formats = formats,
                                     .result_formats = result_formats,
                                     .parameters = values,
                                     .format_count = (uint16_t)count,
                                     .parameter_count = (uint16_t)count,
                                     .result_format_count = (uint16_t)results};
    sy_write_bind(out, &message);
    return true;
}

/* Parse, Bind and, where rows are put in order, Describe for one server. */
static bool send_bind(struct sy_part *part, const struct sy_scatter_bind *b,
                      const struct sy_scattered *text, bool first)
{
    struct sy_session *session = part->session;
    bool rows = returns_rows(b->exec, b->target);
    struct sy_buf *out = sy_session_scratch(session);
    if (!write_parse(part, b->statement, text, b->target->rows != NULL, out) ||
        !write_bind(part, b, text, out))
        return false;
    if (rows)
        sy_write_describe(out, 'P', b->bind->portal);
    uint8_t forward = rows ? SY_X_FORWARD | SY_X_GATHER : first ? SY_X_FORWARD : 0;
    if (first)
        sy_owe_attach(session, part);
    part->touched = true;
    sy_part_state(part)->unnamed_owner = 0;
    sy_part_expect(part, SY_X_PARSE, SY_WHY_PREPARE, 0, 0);
    sy_part_expect(part, SY_X_BIND, SY_WHY_CLIENT, forward, 0);
    if (rows)
        sy_part_expect(part, SY_X_DESCRIBE_P, SY_WHY_CLIENT, SY_X_GATHER, 0);
    sy_part_send_copy(part, out->data, out->bytes);
    return true;
}

enum sy_step sy_scatter_bind(struct sy_session *session, const struct sy_scatter_bind *b,
                             bool binary, struct sy_err *err)
{
    struct sy_scattered *texts = NULL;
    if (b->statement->by_sql)
        return refuse_by_sql(err);
    if (write_texts(session, b->exec, b->target, &texts, err) != SY_OK)
        return SY_STEP_ERROR;
    sy_asking_free(session);
    struct sy_portal *portal = sy_portal_define(session, b->bind->portal, b->statement, err);
    if (portal == NULL)
        return SY_STEP_ERROR;
    portal->several = portal->writes = true;
    portal->binary = binary;
    portal->shards = b->target->shards;
    portal->all = b->target->all;
    portal->counted = b->target->counted;
    portal->has_home = b->target->has_home;
    portal->home = b->target->home;
    portal->told_tag = b->target->told_tag;
    if (returns_rows(b->exec, b->target)) {
        portal->merge_serial = ++session->worker->last_serial;
        sy_gather_begin(session, b->target, false);
        if (begin_turns(session, b->target, err) != SY_OK)
            return SY_STEP_ERROR;
        session->gather->merge_serial = portal->merge_serial;
    }
    sy_counter_add(&session->database->counters->binds, 1);
    bool first = true;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!is_member(part, b->target))
            continue;
        if (!send_bind(part, b, &texts[part->shard], first)) {
            (void)sy_err_set(err, SY_E_PROTOCOL,
                             "bind message supplies too few parameters, or memory is exhausted");
            return SY_STEP_ERROR;
        }
        first = false;
    }
    return SY_STEP_DONE;
}

/* ---- EXPLAIN (ROUTE) ---- */

void sy_scatter_explain(struct sy_session *session, const struct sy_exec *exec,
                        const struct sy_plan *plan, struct sy_buf *out)
{
    struct sy_arena *arena = &session->worker->arena;
    const struct sy_topology_database *database = session->database->topology;
    struct sy_scatter_ask ask = {.sql = {"", 0}};
    struct sy_scatter scatter = {
        .text = exec->text, .rows = plan->rows, .row_count = plan->row_count};
    struct sy_scattered text;
    struct sy_err err;
    struct sy_slice lock = plan->kind == SY_PLAN_ALL ? sy_route_lock_sql(exec->route, arena)
                                                     : (struct sy_slice){"", 0};
    sy_err_init(&err);
    if (lock.bytes > 0)
        sy_buf_printf(out, "First, shard after shard: %s\n", lock.data);
    bool freezes = sy_route_freezes(exec->route);
    enum sy_status status = SY_OK;
    if (freezes)
        status = sy_scatter_ask(exec->route, exec->text, arena, &ask, &err);
    if (status == SY_OK && ask.count > 0) {
        uint32_t first = sy_shard_set_first(&plan->shards);
        sy_buf_append_str(out, "Values that all shards are sent come from ");
        sy_buf_append_slice(out, database->shards[first].name);
        sy_buf_printf(out, ": %s\n", ask.sql.data);
    }
    for (uint32_t i = 0; i < database->shard_count && status == SY_OK && ask.count == 0 &&
                         (plan->rows != NULL || freezes);
         i++) {
        if (!sy_shard_set_has(&plan->shards, i))
            continue;
        scatter.shard = i;
        status = sy_scatter_text(exec->route, &scatter, arena, &text, &err);
        if (status == SY_OK) {
            sy_buf_append_str(out, "Sent to ");
            sy_buf_append_slice(out, database->shards[i].name);
            sy_buf_printf(out, ": %s\n", text.sql.data);
        }
    }
    if (status != SY_OK)
        sy_buf_printf(out, "Refused (%s): %s\nHint: %s\n", sy_err_sqlstate(&err), err.text,
                      err.hint);
}
