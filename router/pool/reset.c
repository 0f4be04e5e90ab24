/*
 * Servers that nobody has borrowed: the reset before one is lent again, and the bytes that come
 * meanwhile. An idle server may report parameters, notices and notifications; anything else means
 * that router and server disagree about where they are, and the connection is closed.
 */
#include "base/limits.h"
#include "router/engine/parameters.h"
#include "router/pool/internal.h"
#include "router/wire/message.h"

enum { QUIET_BODY_BYTES_MAX = 10000 };

static void send_query(struct pool_server *server, const char *sql)
{
    struct sy_buf out = {0};
    sy_write_query(&out, sy_slice_of(sql));
    server->status_seen = 0;
    server->reset_failed = out.failed;
    if (!out.failed)
        server->base.link->engine->send_copy(server->base.link, out.data, out.bytes);
    sy_buf_release(&out);
}

static void forget_session(struct pool_server *server)
{
    struct sy_server *base = &server->base;
    if (base->session_state != NULL && base->session_state_free != NULL)
        base->session_state_free(base->session_state);
    base->session_state = NULL;
    base->session_changed = false;
    base->settings_version = 0;
}

static void next_step(struct pool_server *server)
{
    struct sy_pool *pool = server->base.pool;
    if (server->needs_rollback) {
        server->needs_rollback = false;
        send_query(server, "ROLLBACK");
    } else if (server->needs_reset) {
        server->needs_reset = false;
        forget_session(server);
        send_query(server, pool->settings.reset_query);
    } else {
        sy_timer_cancel(pool->set->loop, &server->reset_timer);
        server->base.transaction_status = 'I';
        pool_make_idle(server);
        return;
    }
    if (server->reset_failed)
        pool_close_server(server);
}

void pool_reset_begin(struct pool_server *server)
{
    struct sy_pool *pool = server->base.pool;
    server->needs_rollback = server->base.transaction_status != 'I';
    server->needs_reset = server->base.session_changed;
    if (!server->needs_rollback && !server->needs_reset) {
        pool_make_idle(server);
        return;
    }
    if (server->needs_reset && pool->settings.reset_query[0] == '\0') {
        pool_close_server(server); /* changed, and nothing to undo it with */
        return;
    }
    pool_set_server_state(server, POOL_RESETTING);
    sy_timer_start(pool->set->loop, &server->reset_timer, POOL_RESET_TIMEOUT_US);
    next_step(server);
}

/* A whole message. false: close. */
static bool take_message(struct pool_server *server, char type, struct sy_slice body)
{
    bool resetting = server->state == POOL_RESETTING;
    struct sy_reader reader = sy_reader_of(body.data, body.bytes);
    if (type == 'S') {
        struct sy_slice name = sy_read_cstring(&reader), value = sy_read_cstring(&reader);
        return sy_reader_done(&reader) &&
               sy_parameters_set(server->base.link->parameters, name, value, NULL) == SY_OK;
    }
    if (type == 'N' || type == 'A')
        return true;
    if (!resetting)
        return false;
    if (type == 'Z') {
        server->status_seen = (char)sy_read_u8(&reader);
        return sy_reader_done(&reader) && server->status_seen == 'I' && !server->reset_failed;
    }
    server->reset_failed = server->reset_failed || type == 'E';
    return type == 'C' || type == 'T' || type == 'D' || type == 'I' || type == 'E';
}

/* Only bodies that are read need to be whole. */
static bool is_read(char type)
{
    return type == 'S' || type == 'Z';
}

static bool take_part(struct pool_server *server, const struct sy_frame_part *part)
{
    bool whole = part->starts && part->ends && part->body_run == part->body_bytes;
    if (!is_read(part->type))
        return !part->ends || take_message(server, part->type, (struct sy_slice){NULL, 0});
    if (whole)
        return take_message(server, part->type, (struct sy_slice){part->body, part->body_run});
    if (part->body_bytes > QUIET_BODY_BYTES_MAX)
        return false;
    sy_buf_append(&server->body, part->body, part->body_run);
    if (!part->ends)
        return !server->body.failed;
    bool good =
        !server->body.failed &&
        take_message(server, part->type, (struct sy_slice){server->body.data, server->body.bytes});
    sy_buf_clear(&server->body);
    return good;
}

void pool_take_quiet(struct pool_server *server, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    if (server->state == POOL_CLOSING)
        return;
    uint32_t offset = 0, bytes = to - from;
    struct sy_frame_part part;
    enum sy_status error = SY_OK;
    bool good = true;
    while (good &&
           sy_frame_next(&server->walker, chunk->data + from, bytes, &offset, &part, &error))
        good = take_part(server, &part);
    if (!good || error != SY_OK) {
        SY_LOG(SY_LOG_INFO, "idle server connection closed",
               SY_KV_STR("node", server->base.link->node->name),
               SY_KV_STR("why",
                         server->state == POOL_RESETTING ? "reset failed" : "unexpected message"));
        pool_close_server(server);
        return;
    }
    if (server->state == POOL_RESETTING && server->status_seen == 'I' && pool_at_boundary(server)) {
        server->status_seen = 0;
        next_step(server);
    }
}
