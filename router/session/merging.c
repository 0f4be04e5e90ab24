/*
 * A SELECT whose rows several servers send and the router puts together (router/merge). Begins the
 * merge, feeds it, and passes on what comes out while the client takes it. The worker's thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <xxhash.h>

#include "base/limits.h"
#include "router/session/internal.h"

enum { PUMP_BYTES = 32 * 1024 };

bool sy_gather_ensure(struct sy_session *session, struct sy_err *err)
{
    if (session->gather == NULL)
        session->gather = calloc(1, sizeof(*session->gather));
    if (session->gather == NULL)
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    return session->gather != NULL;
}

void sy_gather_reset(struct sy_session *session)
{
    if (session->gather == NULL)
        return;
    sy_merge_free(&session->gather->merge);
    *session->gather = (struct sy_gather){0};
}

void sy_gather_free(struct sy_gather **gather)
{
    if (*gather != NULL)
        sy_merge_free(&(*gather)->merge);
    free(*gather);
    *gather = NULL;
}

void sy_gather_note_copy(struct sy_gather *gather, const struct sy_stmt *stmt)
{
    gather->copy_header = stmt->kind == SY_STMT_COPY_TO && stmt->copy.header;
    gather->copy_binary = stmt->kind == SY_STMT_COPY_TO && stmt->copy.format == SY_COPY_BINARY;
}

bool sy_merge_pending(const struct sy_session *session)
{
    const struct sy_gather *gather = session->gather;
    return gather != NULL && gather->active && gather->merge != NULL && gather->merge_running &&
           !gather->merge_told && !gather->failed;
}

/* ---- beginning ---- */

static bool setting_is(const struct sy_session *session, struct sy_slice name, const char *prefix)
{
    struct sy_slice value;
    (void)sy_session_setting_now(session, name, &value);
    return value.data == NULL ||
           (value.bytes >= strlen(prefix) && strncasecmp(value.data, prefix, strlen(prefix)) == 0);
}

static bool all_digits(const struct sy_session *session)
{
    struct sy_slice value;
    (void)sy_session_setting_now(session, SY_SLICE("extra_float_digits"), &value);
    return value.data == NULL || (value.bytes == 1 && value.data[0] >= '1' && value.data[0] <= '3');
}

enum sy_status sy_merge_plan(struct sy_session *session, const struct sy_exec *exec,
                             struct sy_slice text, struct sy_combined *ret_combined,
                             struct sy_merge_options *ret_options, struct sy_err *err)
{
    if (!session->scs)
        (void)sy_err_set(
            err, SY_E_UNSUPPORTED,
            "combining several shards with standard_conforming_strings off is not supported");
    if (!session->scs)
        return sy_err_hint(err, "Set standard_conforming_strings to on."), SY_E_UNSUPPORTED;
    enum sy_status status =
        sy_route_combine(exec->route, text, &session->worker->arena, ret_combined, err);
    struct sy_plan_values values = {.parameters = exec->parameters,
                                    .parameter_count = exec->parameter_count,
                                    .parameter_formats = exec->formats,
                                    .parameter_format_count = exec->format_count};
    if (status == SY_OK)
        status = sy_combined_bounds(&ret_combined->spec, &values, &ret_options->limit,
                                    &ret_options->offset, err);
    if (status != SY_OK)
        return status;
    ret_options->bytes_differ = session->encoding_differs;
    bool iso =
        session->date_style.data == NULL ||
        (session->date_style.bytes >= 3 && strncasecmp(session->date_style.data, "iso", 3) == 0);
    ret_options->styles_differ =
        !iso || !all_digits(session) || !setting_is(session, SY_SLICE("bytea_output"), "hex");
    bool doubtful =
        ret_combined->uncertain || ret_options->styles_differ || ret_options->bytes_differ;
    return doubtful && sy_federation_serves(session, exec) ? sy_combined_give_up(err) : SY_OK;
}

enum sy_status sy_merge_begin(struct sy_session *session, const struct sy_combined *combined,
                              const struct sy_merge_options *options, struct sy_err *err)
{
    return sy_merge_new(&combined->spec, options, session->gather->count, &session->gather->merge,
                        err);
}

enum sy_status sy_merge_intern(struct sy_session *session, struct sy_statement *statement,
                               struct sy_slice text, struct sy_err *err)
{
    struct sy_statement_key key = {.text = text,
                                   .sql_types = statement->sql_types,
                                   .types = statement->types,
                                   .type_count = statement->type_count,
                                   .by_sql = statement->by_sql,
                                   .environment = session->environment};
    struct sy_parse_settings settings = sy_session_parse_settings(session);
    struct sy_statement *fresh;
    enum sy_status status =
        sy_statement_intern(&session->worker->statements, &key, &settings, &fresh, err);
    if (status != SY_OK)
        return status;
    if (statement->rewritten != NULL)
        sy_statement_unref(&statement->rewritten);
    if (fresh == statement) /* nothing had to change: no reference to itself */
        sy_statement_unref(&fresh);
    else
        statement->rewritten = fresh;
    return SY_OK;
}

/* ---- one after the other ---- */

bool sy_gather_same_columns(struct sy_part *part, struct sy_slice body)
{
    struct sy_gather *gather = part->session->gather;
    uint16_t count;
    struct sy_reader reader;
    struct sy_err err;
    if (sy_row_description_read(body.data, body.bytes, &count, &reader, &err) != SY_OK)
        return false;
    uint64_t hash = 1;
    for (uint16_t i = 0; i < count; i++) {
        struct sy_column_desc column = sy_read_column_desc(&reader);
        const uint32_t kind[] = {i, column.type_oid};
        hash = XXH3_64bits_withSeed(column.name.data, column.name.bytes, hash);
        hash = XXH3_64bits_withSeed(kind, sizeof(kind), hash) | 1;
    }
    if (gather->columns == 0)
        gather->columns = hash;
    return gather->columns == hash;
}

/* ---- feeding ---- */

void sy_gather_fail(struct sy_session *session, const struct sy_err *err)
{
    session->gather->failed = true;
    session->cycle_errored = true;
    sy_session_put_error(session, err);
    if (session->in_batch) {
        session->batch_failed = true;
        session->skip_to_sync = !session->sync_seen;
    }
    if (session->txn == 'T')
        sy_txn_failed(session);
}

void sy_merge_take(struct sy_part *part, char type, struct sy_slice body)
{
    struct sy_gather *gather = part->session->gather;
    struct sy_err err = {0};
    if (gather->failed || gather->merge_error.status != SY_OK)
        return;
    enum sy_status status = type == 'T'
                                ? sy_merge_columns(gather->merge, part->gather_index, body, &err)
                                : sy_merge_push(gather->merge, part->gather_index, body, &err);
    if (status != SY_OK)
        gather->merge_error = err;
}

static bool is_member(const struct sy_part *part)
{
    return part->gather_index != UINT16_MAX && part->server != NULL;
}

/* Servers whose rows wait for those of others are paused, and go on when they are wanted. */
static void balance(struct sy_session *session)
{
    const struct sy_gather *gather = session->gather;
    bool congested = sy_stream_congested(&session->stream);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!is_member(part) || part->stalled)
            continue;
        uint32_t queued =
            gather->failed ? 0 : sy_merge_queued_bytes(gather->merge, part->gather_index);
        if (!part->paused && queued > SY_LIMIT_MERGE_STREAM_BYTES) {
            part->paused = true;
            part->server->link->engine->pause(part->server->link);
        } else if (part->paused && queued < SY_LIMIT_MERGE_STREAM_BYTES / 2 && !congested) {
            part->paused = false;
            part->server->link->engine->resume(part->server->link);
        }
    }
}

static bool all_ended(const struct sy_session *session)
{
    uint32_t ended = 0;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        ended += part->gather_index != UINT16_MAX && part->gather_done;
    return ended == session->gather->count;
}

static void finish(struct sy_session *session)
{
    struct sy_gather *gather = session->gather;
    char tag[64];
    gather->merge_told = true;
    if (gather->sums) { /* a write: its tag waits for the commit, if that is the router's */
        sy_tag_sum_write(&gather->tags, gather->tags.rows, gather->held);
        if (!session->implicit_txn)
            sy_gather_tell(session);
        return;
    }
    snprintf(tag, sizeof(tag), "SELECT %" PRIu64, sy_merge_rows(gather->merge));
    sy_session_put_complete(session, tag);
}

static enum sy_merge_state step(struct sy_session *session, struct sy_err *err)
{
    struct sy_gather *gather = session->gather;
    struct sy_buf *out = sy_session_scratch(session);
    enum sy_merge_state state = SY_MERGE_NEEDS;
    if (gather->simple && !gather->merge_described && sy_merge_has_columns(gather->merge)) {
        sy_merge_write_columns(gather->merge, out);
        gather->merge_described = true;
    }
    (void)!sy_merge_step(gather->merge, out, PUMP_BYTES, &state, err);
    if (out->bytes > 0)
        sy_session_put(session, out->data, out->bytes);
    return state;
}

void sy_merge_pump(struct sy_session *session)
{
    struct sy_gather *gather = session->gather;
    if (gather == NULL || !gather->active || gather->merge == NULL ||
        session->state >= SY_SESSION_CLOSING)
        return;
    struct sy_err err = gather->merge_error;
    enum sy_merge_state state = SY_MERGE_FULL;
    while (gather->merge_running && !gather->merge_told && !gather->failed && err.status == SY_OK &&
           state == SY_MERGE_FULL && !sy_stream_congested(&session->stream) &&
           session->state < SY_SESSION_CLOSING)
        state = step(session, &err);
    if (session->state >= SY_SESSION_CLOSING)
        return;
    if (err.status != SY_OK && !gather->failed)
        sy_gather_fail(session, &err);
    else if (gather->limited && !gather->merge_told && !gather->failed &&
             sy_turn_merged(session, state))
        return;
    else if (state == SY_MERGE_DONE && !gather->merge_told && !gather->failed && all_ended(session))
        finish(session);
    balance(session);
}

/* ---- the extended protocol ---- */

/* Columns of the portal that was bound last; false: it is another one's turn. */
bool sy_merge_describe(struct sy_session *session, struct sy_buf *out)
{
    if (session->gather == NULL || session->gather->merge == NULL ||
        !sy_merge_has_columns(session->gather->merge))
        return false;
    sy_merge_write_columns(session->gather->merge, out);
    return true;
}

/* The Bind for a rewritten statement: formats of hidden columns are added, text. */
void sy_merge_write_bind(struct sy_buf *out, struct sy_slice body, const struct sy_bind_msg *bind,
                         struct sy_slice statement, uint32_t hidden)
{
    uint32_t names = (uint32_t)(bind->portal.bytes + bind->statement.bytes) + 2;
    uint32_t formats = 2 + 2u * bind->result_format_count;
    bool each = bind->result_format_count > 1;
    size_t start = sy_msg_begin(out, 'B');
    sy_put_cstring(out, bind->portal);
    sy_put_cstring(out, statement);
    sy_buf_append(out, body.data + names, body.bytes - names - formats);
    sy_buf_append_u16(out, (uint16_t)(bind->result_format_count + (each ? hidden : 0)));
    sy_buf_append(out, body.data + body.bytes - (formats - 2), formats - 2);
    for (uint32_t i = 0; each && i < hidden; i++)
        sy_buf_append_u16(out, 0);
    sy_msg_end(out, start);
}
