/*
 * COPY FROM STDIN: bytes passed on to one server, rows split by shard (router/plan/copy_split), or
 * all rows to all shards (reference tables), inside one transaction. In both protocols: a Query
 * begins it here, an Execute in portals.c. The worker's thread.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/internal.h"

enum { ROWS_BYTES = 32 * 1024 };

void sy_copy_free(struct sy_session *session)
{
    struct sy_copy_in *copy = session->copy_in;
    session->copy_in = NULL;
    if (copy == NULL)
        return;
    sy_copy_split_free(&copy->split);
    for (uint32_t i = 0; i < copy->shard_count; i++)
        sy_buf_release(&copy->rows[i]);
    free(copy->rows);
    free(copy);
}

/* ---- the start ---- */

static bool make_split(struct sy_session *session, const struct sy_exec *exec,
                       struct sy_copy_in *copy, struct sy_err *err)
{
    struct sy_copy_split_options options;
    sy_route_copy_options(exec->route, &options);
    options.key_context =
        (struct sy_key_context){.time_zone = session->time_zone,
                                .date_style = session->date_style,
                                .server_encoding_differs = session->encoding_differs};
    return sy_copy_split_new(&options, &copy->split, err) == SY_OK;
}

enum sy_status sy_copy_open(struct sy_session *session, const struct sy_exec *exec, bool split,
                            struct sy_err *err)
{
    sy_copy_free(session);
    struct sy_copy_in *copy = calloc(1, sizeof(*copy));
    uint32_t count = session->database->topology->shard_count;
    if (copy != NULL)
        copy->rows = calloc(count, sizeof(*copy->rows));
    if (copy == NULL || copy->rows == NULL) {
        free(copy);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    copy->shard_count = count;
    session->copy_in = copy;
    if (split && !make_split(session, exec, copy, err)) {
        sy_copy_free(session);
        return err->status;
    }
    return SY_OK;
}

enum sy_step sy_copy_begin(struct sy_session *session, const struct sy_exec *exec,
                           const struct sy_target *target, struct sy_slice sql, struct sy_err *err)
{
    if (sy_copy_open(session, exec, target->split, err) != SY_OK)
        return SY_STEP_ERROR;
    sy_gather_begin(session, target, true);
    sy_simple_send(session, target, NULL, sql, SY_X_WRITE);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

static void send_fail(struct sy_part *part, struct sy_slice reason)
{
    struct sy_buf *out = sy_session_scratch(part->session);
    sy_write_copy_fail(out, reason);
    sy_part_send_copy(part, out->data, out->bytes);
    part->copying_in = false;
}

/* Ends the COPY on every server that waits for data. */
static void fail_all(struct sy_session *session, struct sy_slice reason)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->copying_in)
            send_fail(part, reason);
}

/* A shard is ready for data. The client is asked for it when all are. */
void sy_copy_ready(struct sy_part *part, struct sy_slice body)
{
    struct sy_session *session = part->session;
    struct sy_gather *gather = session->gather;
    if (gather->failed) {
        send_fail(part, SY_SLICE("another shard refused"));
        return;
    }
    if (++session->copy_in->ready < gather->count)
        return;
    struct sy_buf *out = sy_session_scratch(session);
    size_t start = sy_msg_begin(out, 'G');
    sy_buf_append_slice(out, body);
    sy_msg_end(out, start);
    sy_session_put_buf(session, out);
    sy_session_set_state(session, SY_SESSION_COPY_IN);
}

/* "COPY t, line 3, column c" counts the rows that this shard was sent, not the client's. */
bool sy_copy_put_error(struct sy_part *part, const struct sy_notice_fields *fields)
{
    struct sy_session *session = part->session;
    static const char word[] = ", line ";
    struct sy_slice where = fields->where;
    if (session->copy_in == NULL || session->copy_in->split == NULL || where.bytes == 0)
        return false;
    const char *at = memmem(where.data, where.bytes, word, sizeof(word) - 1);
    if (at == NULL || where.bytes < 5 || memcmp(where.data, "COPY ", 5) != 0)
        return false;
    const char *end = where.data + where.bytes;
    for (at += sizeof(word) - 1; at < end && isdigit((unsigned char)*at); at++)
        ;
    struct sy_slice name = session->database->topology->shards[part->shard].name;
    struct sy_buf context = {0};
    sy_buf_append(&context, where.data, (size_t)(at - where.data));
    sy_buf_printf(&context, " of the rows for shard \"%.*s\"", (int)name.bytes, name.data);
    sy_buf_append(&context, at, (size_t)(end - at));
    struct sy_notice_fields told = *fields;
    told.where = (struct sy_slice){context.data, context.bytes};
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_notice_fields(out, 'E', &told);
    sy_session_put_buf(session, out);
    sy_buf_release(&context);
    return true;
}

/* A shard failed: the others must not wait for data that will not come. */
void sy_copy_shard_failed(struct sy_session *session)
{
    fail_all(session, SY_SLICE("another shard refused"));
    if (session->state == SY_SESSION_COPY_IN)
        sy_session_set_state(session, SY_SESSION_ACTIVE);
}

/* ---- several servers' COPY TO in binary ---- */

void sy_copy_join(struct sy_session *session, struct sy_slice body)
{
    struct sy_buf joined = {0};
    bool good = sy_copy_join_feed(&session->gather->copy_join, body.data, body.bytes, &joined);
    if (!good || joined.failed) {
        struct sy_err err = {0};
        (void)sy_err_set(&err, SY_E_PROTOCOL, "the server broke the protocol");
        sy_session_fatal(session, &err);
    } else if (joined.bytes > 0) {
        struct sy_buf *out = sy_session_scratch(session);
        sy_write_copy_data(out, (struct sy_slice){joined.data, joined.bytes});
        sy_session_put_buf(session, out);
    }
    sy_buf_release(&joined);
}

/* ---- rows ---- */

static struct sy_part *part_of(struct sy_session *session, uint32_t shard)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->shard == shard && part->primary && part->gather_index != UINT16_MAX)
            return part;
    return NULL;
}

static void flush_rows(struct sy_session *session, uint32_t shard)
{
    struct sy_buf *rows = &session->copy_in->rows[shard];
    struct sy_part *part = part_of(session, shard);
    if (rows->bytes == 0 || part == NULL)
        return;
    char header[SY_FRAME_HEADER_BYTES] = {'d'};
    uint32_t length = __builtin_bswap32((uint32_t)rows->bytes + 4);
    memcpy(header + 1, &length, sizeof(length));
    sy_part_send_copy(part, header, sizeof(header));
    sy_part_send_copy(part, rows->data, rows->bytes);
    sy_buf_clear(rows);
}

static enum sy_status take_row(void *ctx, uint32_t shard, const char *data, size_t bytes,
                               struct sy_err *err)
{
    struct sy_session *session = ctx;
    struct sy_copy_in *copy = session->copy_in;
    uint32_t from = shard == UINT32_MAX ? 0 : shard;
    uint32_t to = shard == UINT32_MAX ? copy->shard_count : shard + 1;
    for (uint32_t i = from; i < to; i++) {
        if (part_of(session, i) == NULL)
            continue;
        sy_buf_append(&copy->rows[i], data, bytes);
        if (copy->rows[i].failed)
            return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        if (copy->rows[i].bytes >= ROWS_BYTES)
            flush_rows(session, i);
    }
    return SY_OK;
}

static enum sy_step fail_split(struct sy_session *session, const struct sy_err *err)
{
    session->gather->failed = true;
    session->cycle_errored = true;
    sy_session_put_error(session, err);
    fail_all(session, SY_SLICE("the router refused a row"));
    session->batch_failed = session->skip_to_sync = session->in_batch;
    if (session->txn == 'T')
        sy_txn_failed(session);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

/* The end of the data. In a batch the answer would wait in the server for the client's Sync, which
 * is looked at only when the COPY is over. */
static void send_end(struct sy_part *part, const void *message, size_t bytes)
{
    static const char flush[] = {'H', 0, 0, 0, 4};
    sy_part_send_copy(part, message, bytes);
    if (part->session->in_batch)
        sy_part_send_copy(part, flush, sizeof(flush));
}

static enum sy_step split_done(struct sy_session *session)
{
    struct sy_err err = {0};
    struct sy_copy_in *copy = session->copy_in;
    if (copy->split != NULL && sy_copy_split_end(copy->split, take_row, session, &err) != SY_OK)
        return fail_split(session, &err);
    static const char done[] = {'c', 0, 0, 0, 4};
    for (uint32_t i = 0; i < copy->shard_count; i++)
        flush_rows(session, i);
    for (struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->copying_in)
            send_end(part, done, sizeof(done));
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

static enum sy_step split_message(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_err err = {0};
    struct sy_slice reason;
    switch (frame->type) {
    case 'd':
        if (session->copy_in->split == NULL) { /* a reference table: every shard gets every row */
            for (struct sy_part *part = session->parts; part != NULL; part = part->next)
                if (part->copying_in)
                    sy_part_send(part, frame->chunk, frame->from, frame->to);
            return SY_STEP_DONE;
        }
        if (sy_copy_split_feed(session->copy_in->split, frame->body.data, frame->body.bytes,
                               take_row, session, &err) != SY_OK)
            return fail_split(session, &err);
        return SY_STEP_DONE;
    case 'c':
        return split_done(session);
    default:
        if (sy_string_read(frame->body.data, frame->body.bytes, &reason, &err) != SY_OK)
            reason = SY_SLICE("");
        fail_all(session, reason);
        sy_session_set_state(session, SY_SESSION_ACTIVE);
        return SY_STEP_DONE;
    }
}

/* ---- one server ---- */

static enum sy_step pass_on(struct sy_session *session, const struct sy_frame *frame)
{
    for (struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->copying_in)
            continue;
        if (frame->type == 'd') {
            sy_part_send(part, frame->chunk, frame->from, frame->to);
            break;
        }
        send_end(part, frame->chunk->data + frame->from, frame->to - frame->from);
        if (frame->type == 'c' && !session->in_batch && session->txn == 'I' &&
            !session->implicit_txn)
            sy_part_fetch_position(
                part); /* not before: a server that copies takes no other message */
        break;
    }
    if (frame->type != 'd')
        sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

enum sy_step sy_copy_message(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_err err = {0};
    switch (frame->type) {
    case 'd':
    case 'c':
    case 'f':
        return session->copy_in != NULL ? split_message(session, frame) : pass_on(session, frame);
    case 'H':
    case 'S': /* before CopyDone: ignored, as on a server */
        return SY_STEP_DONE;
    case 'X':
        sy_session_end(session);
        return SY_STEP_AGAIN;
    default:
        (void)sy_err_set(&err, SY_E_PROTOCOL,
                         "unexpected message type 0x%02X during COPY from stdin",
                         (unsigned char)frame->type);
        sy_session_fatal(session, &err);
        return SY_STEP_AGAIN;
    }
}
