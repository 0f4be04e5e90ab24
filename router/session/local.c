/*
 * Statements that the session runs itself: DISCARD, PREPARE, EXECUTE and DEALLOCATE in SQL, the
 * settings named switchyard.*, EXPLAIN (ROUTE). Transaction control is in txn.c. The worker's
 * thread.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "router/session/internal.h"

static enum sy_step answer(struct sy_session *session, const char *tag)
{
    sy_session_put_complete(session, tag);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

static enum sy_step no_memory(struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return SY_STEP_ERROR;
}

/* One text column of one or more rows, a row per line. */
static enum sy_step answer_rows(struct sy_session *session, const char *column,
                                struct sy_slice text, const char *tag)
{
    struct sy_buf *out = sy_session_scratch(session);
    if (session->query_cycle)
        sy_write_text_columns(out, &column, 1);
    uint32_t rows = 0;
    while (text.bytes > 0) {
        const char *line_end = memchr(text.data, '\n', text.bytes);
        size_t bytes = line_end == NULL ? text.bytes : (size_t)(line_end - text.data);
        struct sy_slice line = {text.data, bytes};
        sy_write_data_row(out, &line, 1);
        rows++;
        bytes += line_end != NULL;
        text = (struct sy_slice){text.data + bytes, text.bytes - bytes};
    }
    sy_write_command_complete(out, tag);
    sy_session_put_buf(session, out);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

/* ---- switchyard.* ---- */

static const char *const consistency_names[] = {
    [SY_CONSISTENCY_STRONG] = "strong",
    [SY_CONSISTENCY_SESSION] = "session",
    [SY_CONSISTENCY_BOUNDED] = "bounded",
    [SY_CONSISTENCY_EVENTUAL] = "eventual",
};

static void put_positions(struct sy_session *session, struct sy_buf *out)
{
    const struct sy_topology_database *database = session->database->topology;
    for (uint32_t i = 0; i < database->shard_count; i++) {
        uint64_t lsn = session->min_lsn == NULL ? 0 : session->min_lsn[i];
        if (i > 0)
            sy_buf_append_str(out, ",");
        if (database->shard_count > 1)
            sy_buf_printf(out, "%.*s=", (int)database->shards[i].name.bytes,
                          database->shards[i].name.data);
        sy_buf_printf(out, "%" PRIX64 "/%" PRIX64, lsn >> 32, lsn & 0xffffffff);
    }
}

static bool ensure_positions(struct sy_session *session)
{
    if (session->min_lsn == NULL)
        session->min_lsn = calloc(SY_LIMIT_SHARDS, sizeof(*session->min_lsn));
    return session->min_lsn != NULL;
}

/* "0/16B3748", or "s0=0/1,s1=0/2". A session never goes back to an older position. */
static bool read_positions(struct sy_session *session, const char *text)
{
    const struct sy_topology_database *database = session->database->topology;
    if (!ensure_positions(session))
        return false;
    while (*text != 0) {
        const char *equals = strchr(text, '='), *comma = strchr(text, ',');
        uint32_t shard = 0;
        if (equals != NULL && (comma == NULL || equals < comma)) {
            shard = sy_shardmap_find_shard(database->map,
                                           (struct sy_slice){text, (size_t)(equals - text)});
            text = equals + 1;
        } else if (database->shard_count > 1) {
            return false;
        }
        unsigned high, low;
        if (shard >= database->shard_count || sscanf(text, "%8X/%8X", &high, &low) != 2)
            return false;
        uint64_t lsn = (uint64_t)high << 32 | low;
        if (lsn > session->min_lsn[shard])
            session->min_lsn[shard] = lsn;
        text = comma == NULL ? text + strlen(text) : comma + 1;
    }
    return true;
}

static enum sy_step show_own(struct sy_session *session, const struct sy_stmt *stmt,
                             struct sy_err *err)
{
    struct sy_buf out = {0};
    const char *column;
    if (sy_slice_eq(stmt->name, SY_SLICE("switchyard.lsn")) ||
        sy_slice_eq(stmt->name, SY_SLICE("switchyard.min_lsn"))) {
        put_positions(session, &out);
        column = stmt->name.bytes == 14 ? "switchyard.lsn" : "switchyard.min_lsn";
    } else if (sy_slice_eq(stmt->name, SY_SLICE("switchyard.consistency"))) {
        sy_buf_append_str(&out, consistency_names[session->consistency]);
        column = "switchyard.consistency";
    } else {
        (void)sy_err_set(err, SY_E_NOT_FOUND, "unrecognized configuration parameter \"%.*s\"",
                         (int)stmt->name.bytes, stmt->name.data);
        sy_err_hint(err,
                    "There are switchyard.lsn, switchyard.min_lsn and switchyard.consistency.");
        return SY_STEP_ERROR;
    }
    enum sy_step step =
        answer_rows(session, column, (struct sy_slice){out.data, out.bytes}, "SHOW");
    sy_buf_release(&out);
    return step;
}

static bool set_consistency(struct sy_session *session, const char *value)
{
    for (uint8_t i = 0; i < sizeof(consistency_names) / sizeof(consistency_names[0]); i++) {
        if (value == NULL || strcasecmp(value, consistency_names[i]) != 0)
            continue;
        session->consistency = i;
        return true;
    }
    return false;
}

static enum sy_step set_own(struct sy_session *session, const struct sy_exec *exec,
                            struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    bool reset = stmt->kind == SY_STMT_RESET || stmt->set_to_default;
    char *value = reset ? NULL : sy_set_value_text(exec->text, false);
    bool known = true, good = true;
    if (sy_slice_eq(stmt->name, SY_SLICE("switchyard.min_lsn"))) {
        if (reset) {
            free(session->min_lsn);
            session->min_lsn = NULL;
        } else {
            good = value != NULL && read_positions(session, value);
        }
    } else if (sy_slice_eq(stmt->name, SY_SLICE("switchyard.consistency"))) {
        if (reset)
            session->consistency = (uint8_t)session->database->topology->config->reads.consistency;
        else
            good = set_consistency(session, value);
    } else {
        known = false;
    }
    if (!known)
        (void)sy_err_set(err, SY_E_NOT_FOUND, "parameter \"%.*s\" cannot be set",
                         (int)stmt->name.bytes, stmt->name.data);
    else if (!good)
        (void)sy_err_set(err, SY_E_VALUE, "invalid value for parameter \"%.*s\": \"%s\"",
                         (int)stmt->name.bytes, stmt->name.data, value == NULL ? "" : value);
    free(value);
    if (!known || !good)
        return SY_STEP_ERROR;
    return answer(session, reset && stmt->kind == SY_STMT_RESET ? "RESET" : "SET");
}

/* ---- DISCARD ---- */

static void unpin_all(struct sy_session *session)
{
    session->pin_reason = NULL;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        part->pinned = session->pinned_by_mode;
        part->has_temporary = false;
    }
    sy_temporary_forget(session);
}

/* Servers that the session held on to forget now, before the answer: what was pinned there (locks,
 * temporary tables) must be gone when the client is told so. */
static enum sy_step discard_on_servers(struct sy_session *session, const struct sy_exec *exec,
                                       bool all)
{
    bool first = true;
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (all) {
            struct sy_server_state *state = sy_part_state(part);
            sy_prepared_set_clear(&state->prepared);
            sy_part_set_settings(part, session->worker->no_settings);
            part->server->session_changed = false;
        }
        uint8_t flags = first ? SY_X_FORWARD | (session->query_cycle ? SY_X_READY : 0) : 0;
        sy_part_expect(part, SY_X_QUERY, SY_WHY_CLIENT, flags, 0);
        sy_part_send_query(part, exec->text);
        first = false;
    }
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    session->need_barrier = true;
    return SY_STEP_DONE;
}

static enum sy_step discard(struct sy_session *session, const struct sy_exec *exec,
                            struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    bool all = sy_slice_eq(stmt->name, SY_SLICE("all"));
    if (all && session->txn != 'I') {
        (void)sy_err_set(err, SY_E_STATE, "DISCARD ALL cannot run inside a transaction block");
        sy_err_state(err, "25001");
        return SY_STEP_ERROR;
    }
    bool held = false;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        held = held || part->pinned;
    if (all) {
        sy_extended_remove_all(session);
        sy_effect_forget_cursors(session, true);
        unpin_all(session);
        sy_session_settings_changed(session, sy_settings_ref(session->settings_startup));
        session->consistency = (uint8_t)session->database->topology->config->reads.consistency;
    } else if (sy_slice_eq(stmt->name, SY_SLICE("temp")) ||
               sy_slice_eq(stmt->name, SY_SLICE("temporary"))) {
        if (session->txn == 'I')
            sy_temporary_forget(session);
        else
            session->temporary_doubt = session->temporary_bytes > 0;
    }
    if (held)
        return discard_on_servers(session, exec, all);
    char tag[32];
    int bytes = snprintf(tag, sizeof(tag), "DISCARD %.*s", (int)stmt->name.bytes, stmt->name.data);
    for (int i = 0; i < bytes; i++)
        tag[i] = (char)toupper((unsigned char)tag[i]);
    return answer(session, tag);
}

/* ---- PREPARE, EXECUTE, DEALLOCATE ---- */

/* Behind `word` and the name that follows it. Comments in between make it give up (NULL). */
static const char *behind_name(struct sy_slice text, const char *word)
{
    const char *at = text.data, *end = text.data + text.bytes;
    size_t bytes = strlen(word);
    while (at < end && isspace((unsigned char)*at))
        at++;
    if ((size_t)(end - at) <= bytes || strncasecmp(at, word, bytes) != 0)
        return NULL;
    at += bytes;
    while (at < end && isspace((unsigned char)*at))
        at++;
    if (at < end && *at == '"') {
        for (at++; at < end && (*at != '"' || (at + 1 < end && at[1] == '"')); at++)
            at += *at == '"';
        return at < end ? at + 1 : NULL;
    }
    const char *start = at;
    while (at < end &&
           (isalnum((unsigned char)*at) || *at == '_' || *at == '$' || (*at & 0x80) != 0))
        at++;
    return at > start ? at : NULL;
}

static enum sy_step cannot_read(const char *what, struct sy_err *err)
{
    (void)sy_err_set(err, SY_E_UNSUPPORTED, "this form of %s is not supported through the router",
                     what);
    sy_err_hint(err,
                "Leave out comments between the words, or prepare with the extended protocol.");
    return SY_STEP_ERROR;
}

/* "(int, text)" in front of AS. */
static struct sy_slice types_text(const char *at, const char *inner)
{
    while (at < inner && isspace((unsigned char)*at))
        at++;
    if (at == inner || *at != '(')
        return (struct sy_slice){0};
    const char *close = inner;
    while (close > at && *close != ')')
        close--;
    return (struct sy_slice){at, (size_t)(close - at) + 1};
}

static enum sy_step run_prepare(struct sy_session *session, const struct sy_exec *exec,
                                struct sy_err *err)
{
    const struct sy_facts *facts;
    if (sy_parse_facts(exec->text, exec->scan->literals, exec->scan->literal_count,
                       &session->worker->arena, &facts, err) != SY_OK)
        return SY_STEP_ERROR;
    const struct sy_stmt *stmt = &facts->stmts[0];
    const char *at = behind_name(exec->text, "PREPARE");
    if (at == NULL || stmt->inner == NULL || stmt->inner_text_to <= stmt->inner_text_from)
        return cannot_read("PREPARE", err);
    if (sy_stmt_makes_ids(stmt)) {
        (void)sy_err_set(err, SY_E_UNSUPPORTED,
                         "PREPARE in SQL of a statement that calls switchyard.next_id() is not "
                         "supported");
        sy_err_hint(err, "Prepare it with the protocol's Parse message, or take the id as a "
                         "parameter: EXECUTE ... (switchyard.next_id()).");
        return SY_STEP_ERROR;
    }
    struct sy_slice inner = {exec->text.data + stmt->inner_text_from,
                             stmt->inner_text_to - stmt->inner_text_from};
    while (inner.bytes > 0 && (isspace((unsigned char)inner.data[inner.bytes - 1]) ||
                               inner.data[inner.bytes - 1] == ';'))
        inner.bytes--;
    struct sy_slice name = stmt->name;
    struct sy_err unused = {0};
    if (sy_extended_find(session, name, &unused) != NULL) {
        (void)sy_err_set(err, SY_E_STATE, "prepared statement \"%.*s\" already exists",
                         (int)name.bytes, name.data);
        sy_err_state(err, "42P05");
        return SY_STEP_ERROR;
    }
    struct sy_target target = {.shard = session->parts != NULL ? session->parts->shard : 0};
    enum sy_step step = sy_target_acquire(session, &target, err);
    if (step != SY_STEP_DONE)
        return step;
    struct sy_statement_key key = {.text = inner,
                                   .sql_types = types_text(at, inner.data),
                                   .by_sql = true,
                                   .environment = session->environment};
    if (sy_extended_define(session, name, &key, err) != SY_OK)
        return SY_STEP_ERROR;
    /* A server checks it now, as PostgreSQL would: an unknown table is an error of PREPARE. */
    struct sy_prepared *prepared = sy_extended_find(session, name, err);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!sy_target_has(&target, part))
            continue;
        sy_prepare_on(part, prepared->statement, true);
        break;
    }
    session->prepare_pending = prepared->statement->id;
    if (session->busy_parts == 0)
        return answer(session, "PREPARE");
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    session->answer_when_quiet = "PREPARE";
    return SY_STEP_DONE;
}

/* The arguments that routing may need, as text parameters. False: one is an expression. */
static bool read_arguments(struct sy_session *session, const struct sy_exec *exec,
                           struct sy_slice *values, struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    bool known = true;
    for (int32_t i = 0; i < stmt->argument_count; i++) {
        const struct sy_value *value = &stmt->arguments[i];
        values[i] = (struct sy_slice){0};
        if (value->kind == SY_VALUE_NULL)
            continue;
        if (value->kind == SY_VALUE_BOOL) {
            values[i] = value->index != 0 ? SY_SLICE("t") : SY_SLICE("f");
            continue;
        }
        if (value->kind != SY_VALUE_LITERAL || value->index < 0 ||
            (uint32_t)value->index >= exec->scan->literal_count ||
            sy_literal_decode(exec->text, &exec->scan->literals[value->index], session->scs,
                              &session->worker->arena, &values[i], err) != SY_OK) {
            known = false;
            continue;
        }
        if (value->negated) {
            char *text = sy_arena_printf(&session->worker->arena, "-%.*s", (int)values[i].bytes,
                                         values[i].data);
            values[i] = sy_slice_of(text);
        }
    }
    return known;
}

enum { EXECUTE_ARGUMENTS_MAX = 1000 };

static enum sy_step run_execute(struct sy_session *session, const struct sy_exec *exec,
                                struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    if (session->txn == 'E')
        return sy_txn_refuse(session, err);
    struct sy_prepared *prepared = sy_extended_find(session, stmt->name, err);
    const char *rest = behind_name(exec->text, "EXECUTE");
    if (prepared == NULL)
        return SY_STEP_ERROR;
    if (rest == NULL || stmt->argument_count > EXECUTE_ARGUMENTS_MAX)
        return cannot_read("EXECUTE", err);
    struct sy_statement *statement = prepared->statement;
    struct sy_slice *values =
        sy_arena_calloc(&session->worker->arena, (size_t)stmt->argument_count + 1, sizeof(*values));
    if (values == NULL)
        return no_memory(err);
    bool known = read_arguments(session, exec, values, err);
    struct sy_scan scan = statement->scan;
    const struct sy_hints *hints = &exec->scan->hints;
    if (hints->shard.bytes > 0 || hints->key.bytes > 0 || hints->role != SY_HINT_ROLE_NONE)
        scan.hints = *hints;
    struct sy_exec inner = {
        .text = statement->text,
        .scan = &scan,
        .template = statement->template,
        .parameters = values,
        .parameter_count = (uint32_t)stmt->argument_count,
        .simple = true,
        .prepared = statement,
        .arguments = {rest, (size_t)(exec->text.data + exec->text.bytes - rest)}};
    if (sy_exec_route(session, &inner, 0, err) != SY_OK)
        return SY_STEP_ERROR;
    if (!known && sy_route_needs_values(inner.route)) {
        (void)sy_err_set(
            err, SY_E_UNSUPPORTED,
            "EXECUTE with an expression where the sharding key is expected is not supported");
        sy_err_hint(err, "Pass the key as a literal.");
        return SY_STEP_ERROR;
    }
    struct sy_target target;
    if (!session->query_cycle && sy_exec_target(session, &inner, &target, err) != SY_OK)
        return SY_STEP_ERROR;
    if (!session->query_cycle && target.several) {
        (void)sy_err_set(err, SY_E_UNSUPPORTED,
                         "EXECUTE in SQL of a statement that touches several shards is not "
                         "supported in the extended protocol");
        sy_err_hint(err, "Bind the statement itself, or send EXECUTE as a simple query.");
        if (target.writes || sy_exec_federate(session, &inner, &target, err) != SY_OK)
            return SY_STEP_ERROR;
    }
    if (!session->query_cycle)
        inner.target = &target;
    enum sy_step step = sy_simple_execute(session, &inner, err);
    if (step == SY_STEP_DONE)
        session->need_barrier = true;
    return step;
}

/* EXECUTE p(switchyard.next_id()). */
static enum sy_step execute_fresh(struct sy_session *session, const struct sy_exec *exec,
                                  struct sy_err *err)
{
    struct sy_exec own;
    struct sy_scan scan;
    struct sy_slice sql;
    if (sy_fresh_make(session, exec->text, &sql, err) != SY_OK ||
        sy_exec_parse(session, sql, &own, &scan, err) != SY_OK)
        return SY_STEP_ERROR;
    own.simple = exec->simple;
    scan.hints = exec->scan->hints;
    enum sy_step step = SY_STEP_ERROR;
    if (sy_exec_route(session, &own, 0, err) == SY_OK)
        step = run_execute(session, &own, err);
    sy_template_unref(session->worker->parser, own.template);
    if (step != SY_STEP_AGAIN)
        sy_fresh_free(session);
    return step;
}

static enum sy_step run_deallocate(struct sy_session *session, const struct sy_exec *exec,
                                   struct sy_err *err)
{
    struct sy_slice name = exec->stmt->name;
    /* ALL is a keyword, "all" in quotes a name: a statement of that name goes first. */
    struct sy_err unused = {0};
    bool named = sy_extended_find(session, name, &unused) != NULL;
    if (!named && (name.bytes == 0 || sy_slice_eq(name, SY_SLICE("all")))) {
        sy_extended_remove_all(session);
        return answer(session, "DEALLOCATE ALL");
    }
    if (sy_extended_find(session, name, err) == NULL)
        return SY_STEP_ERROR;
    sy_extended_remove(session, name);
    return answer(session, "DEALLOCATE");
}

/* ---- EXPLAIN (ROUTE) ---- */

static enum sy_step explain(struct sy_session *session, const struct sy_exec *exec,
                            struct sy_err *err)
{
    const struct sy_facts *facts;
    if (sy_parse_facts(exec->text, exec->scan->literals, exec->scan->literal_count,
                       &session->worker->arena, &facts, err) != SY_OK)
        return SY_STEP_ERROR;
    const struct sy_stmt *stmt = &facts->stmts[0];
    struct sy_slice inner = {exec->text.data + stmt->inner_text_from,
                             stmt->inner_text_to - stmt->inner_text_from};
    struct sy_exec of_inner;
    struct sy_scan scan;
    if (sy_stmt_makes_ids(stmt) && sy_fresh_make(session, inner, &inner, err) != SY_OK)
        return SY_STEP_ERROR;
    if (sy_exec_parse(session, inner, &of_inner, &scan, err) != SY_OK)
        return SY_STEP_ERROR;
    struct sy_buf out = {0};
    enum sy_step step = SY_STEP_ERROR;
    struct sy_plan plan;
    if (sy_exec_route(session, &of_inner, 0, err) == SY_OK &&
        sy_exec_plan(session, &of_inner, &plan, err) == SY_OK) {
        sy_route_explain_text(of_inner.route, &plan, inner, &session->worker->arena, &out);
        if (plan.writes && plan.kind != SY_PLAN_REFUSED && plan.kind != SY_PLAN_SINGLE)
            sy_scatter_explain(session, &of_inner, &plan, &out);
        step =
            answer_rows(session, "QUERY PLAN", (struct sy_slice){out.data, out.bytes}, "EXPLAIN");
    }
    sy_buf_release(&out);
    sy_template_unref(session->worker->parser, of_inner.template);
    return step;
}

enum sy_step sy_local_run(struct sy_session *session, const struct sy_exec *exec,
                          struct sy_err *err)
{
    const struct sy_stmt *stmt = exec->stmt;
    session->statement_class = SY_CLASS_OTHER;
    bool allowed_failed = stmt->kind >= SY_STMT_BEGIN && stmt->kind <= SY_STMT_ROLLBACK_TO;
    if (session->txn == 'E' && !allowed_failed)
        return sy_txn_refuse(session, err);
    switch ((int)stmt->kind) {
    case SY_STMT_DISCARD:
        return discard(session, exec, err);
    case SY_STMT_PREPARE:
        return run_prepare(session, exec, err);
    case SY_STMT_EXECUTE:
        return sy_stmt_makes_ids(stmt) ? execute_fresh(session, exec, err)
                                       : run_execute(session, exec, err);
    case SY_STMT_DEALLOCATE:
        return run_deallocate(session, exec, err);
    case SY_STMT_SHOW:
        return show_own(session, stmt, err);
    case SY_STMT_SET:
    case SY_STMT_RESET:
        if (stmt->kind == SY_STMT_SET && stmt->set_scope == SY_SET_TRANSACTION)
            return sy_txn_run(session, exec, err);
        return set_own(session, exec, err);
    case SY_STMT_EXPLAIN:
        return explain(session, exec, err);
    default: /* NOLINT: transaction control */
        session->statement_class = SY_CLASS_TRANSACTION;
        return sy_txn_run(session, exec, err);
    }
}
