/*
 * The engine `postgres`: server sessions over a socket. After login it is a pipe: received chunks
 * go up, chunks go down, nothing is copied and no frame is looked at.
 */
#include "router/engine/postgres/link.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "router/engine/postgres/inspect.h"

static const struct sy_engine engine;

static struct pg_link *of_link(const struct sy_link *link)
{
    return sy_container_of((uintptr_t)link, struct pg_link, base);
}

static struct pg_link *of_dial(struct pg_dial *dial)
{
    return sy_container_of(dial, struct pg_link, dial);
}

/* Legal edges: bit `to` of row `from`. */
static const uint8_t edges[] = {
#define TO(state) (1u << PG_LINK_##state)
    [PG_LINK_DIALLING] = TO(AUTH) | TO(CLOSING),
    [PG_LINK_AUTH] = TO(DIALLING) | TO(SASL_FIRST) | TO(STARTING) | TO(CLOSING),
    [PG_LINK_SASL_FIRST] = TO(HASHING) | TO(SASL_FINAL) | TO(CLOSING),
    [PG_LINK_HASHING] = TO(SASL_FINAL) | TO(CLOSING),
    [PG_LINK_SASL_FINAL] = TO(STARTING) | TO(CLOSING),
    [PG_LINK_STARTING] = TO(READY) | TO(CLOSING),
    [PG_LINK_READY] = TO(CLOSING),
    [PG_LINK_CLOSING] = 0,
#undef TO
};

void pg_link_set_state(struct pg_link *link, enum pg_link_state state)
{
    if ((edges[link->state] >> state & 1u) == 0)
        abort(); /* a bug of ours, not of a peer */
    link->state = state;
}

void pg_link_fail(struct pg_link *link, const struct sy_err *why)
{
    if (link->state == PG_LINK_CLOSING)
        return;
    pg_link_set_state(link, PG_LINK_CLOSING);
    pg_dial_close(&link->dial, why, 0);
}

static void on_up(struct pg_dial *dial)
{
    struct pg_link *link = of_dial(dial);
    pg_link_set_state(link, PG_LINK_AUTH);
    pg_login_begin(link);
}

static void on_data(struct pg_dial *dial, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct pg_link *link = of_dial(dial);
    if (link->state == PG_LINK_READY)
        link->base.events->data(&link->base, chunk, from, to);
    else if (link->state != PG_LINK_CLOSING)
        pg_login_take(link, chunk, from, to);
}

static void on_drained(struct pg_dial *dial)
{
    struct pg_link *link = of_dial(dial);
    if (link->state == PG_LINK_READY && link->base.events->drained != NULL)
        link->base.events->drained(&link->base);
}

static void free_link(struct pg_link *link)
{
    pg_login_free(&link->login);
    sy_parameters_free(&link->base.parameters);
    explicit_bzero(link->cancel_key, sizeof(link->cancel_key));
    free(link);
}

void pg_link_finish(struct pg_link *link, const struct sy_err *why)
{
    link->base.events->closed(&link->base, why);
    free_link(link);
}

/* The hash pool answers to this loop and holds memory of the login: only after that is the link
 * over. */
static void on_closed(struct pg_dial *dial, const struct sy_err *why)
{
    struct pg_link *link = of_dial(dial);
    link->state = PG_LINK_CLOSING;
    if (link->login != NULL && link->login->hashing) {
        link->gone = true;
        if (why != NULL)
            link->why = *why;
        return;
    }
    pg_link_finish(link, why);
}

static const struct pg_dial_events dial_events = {
    .up = on_up,
    .data = on_data,
    .drained = on_drained,
    .closed = on_closed,
};

static bool copy_text(char *target, size_t capacity, struct sy_slice text)
{
    if (text.bytes >= capacity || (text.bytes != 0 && memchr(text.data, '\0', text.bytes) != NULL))
        return false;
    if (text.bytes != 0)
        memcpy(target, text.data, text.bytes);
    target[text.bytes] = '\0';
    return true;
}

/* The password to use: the pool's, else the node's or the conninfo's if they are this user's. */
static struct sy_slice choose_password(const struct sy_link_target *target)
{
    const struct sy_node *node = target->node;
    if (target->password.bytes != 0)
        return target->password;
    if (node->password != NULL && node->user != NULL &&
        sy_slice_eq(sy_slice_of(node->user), target->user))
        return sy_slice_of(node->password);
    if (sy_slice_eq(sy_slice_of(node->conninfo_user), target->user))
        return sy_slice_of(node->conninfo_password);
    return (struct sy_slice){NULL, 0};
}

static enum sy_status fill_login(struct pg_login *login, const struct sy_link_target *target,
                                 struct sy_err *err)
{
    struct sy_slice password = choose_password(target);
    struct sy_slice database =
        target->database.bytes != 0 ? target->database : sy_slice_of(target->node->server_database);
    if (target->user.bytes == 0 || !copy_text(login->user, sizeof(login->user), target->user))
        return sy_err_set(err, SY_E_AUTH_SPEC, "the server user's name is empty or too long");
    if (!copy_text(login->database, sizeof(login->database), database))
        return sy_err_set(err, SY_E_NO_DATABASE, "the server database's name is too long");
    if (!copy_text(login->password, sizeof(login->password), password))
        return sy_err_set(err, SY_E_AUTH, "the password of server user \"%s\" is too long",
                          login->user);
    login->password_bytes = password.bytes;
    login->in.bytes_max = (size_t)2 * SY_LIMIT_CHUNK_BYTES + SY_LIMIT_PREAUTH_MESSAGE_BYTES;
    login->have_keys = target->keys != NULL && password.bytes == 0;
    if (login->have_keys)
        login->keys = *target->keys;
    return SY_OK;
}

static enum sy_status open_link(struct sy_loop *loop, const struct sy_link_target *target,
                                const struct sy_link_events *events, void *owner,
                                struct sy_link **ret_link, struct sy_err *err)
{
    struct pg_link *link = SY_FAULT("link.memory") ? NULL : calloc(1, sizeof(*link));
    if (link == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    link->base = (struct sy_link){
        .engine = &engine,
        .events = events,
        .owner = owner,
        .loop = loop,
        .node = target->node,
        .id = sy_link_next_id(),
        .epoch = sy_topology_current_epoch(),
        .stream = &link->dial.stream,
        .parameters = sy_parameters_new(),
    };
    link->login = calloc(1, sizeof(*link->login));
    enum sy_status status = SY_OK;
    if (link->base.parameters == NULL || link->login == NULL)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (status == SY_OK) {
        link->login->link = link;
        status = fill_login(link->login, target, err);
    }
    if (status == SY_OK)
        status = pg_dial_start(&link->dial, loop, target->node, target->connect_timeout_us,
                               &dial_events, err);
    if (status != SY_OK) {
        free_link(link);
        return status;
    }
    *ret_link = &link->base;
    return SY_OK;
}

static void send_chunk(struct sy_link *base, struct sy_chunk *chunk, uint32_t from, uint32_t to)
{
    struct pg_link *link = of_link(base);
    if (link->state == PG_LINK_READY)
        sy_stream_send(&link->dial.stream, chunk, from, to);
}

static void send_copy(struct sy_link *base, const void *data, size_t bytes)
{
    struct pg_link *link = of_link(base);
    if (link->state == PG_LINK_READY)
        sy_stream_send_copy(&link->dial.stream, data, bytes);
}

static bool congested(const struct sy_link *base)
{
    const struct pg_link *link = of_link(base);
    return link->state == PG_LINK_READY && sy_stream_congested(&link->dial.stream);
}

static void pause_link(struct sy_link *base)
{
    struct pg_link *link = of_link(base);
    if (link->state == PG_LINK_READY)
        sy_stream_pause(&link->dial.stream);
}

static void resume_link(struct sy_link *base)
{
    struct pg_link *link = of_link(base);
    if (link->state == PG_LINK_READY)
        sy_stream_resume(&link->dial.stream);
}

static void cancel_link(struct sy_link *base, void (*done)(void *ctx), void *ctx)
{
    pg_cancel_send(of_link(base), done, ctx);
}

static void close_link(struct sy_link *base)
{
    enum { LINGER_US = 1000000 };
    struct pg_link *link = of_link(base);
    if (link->state == PG_LINK_CLOSING)
        return;
    bool ready = link->state == PG_LINK_READY;
    pg_link_set_state(link, PG_LINK_CLOSING);
    if (ready) {
        static const char terminate[] = {'X', 0, 0, 0, 4};
        sy_stream_send_copy(&link->dial.stream, terminate, sizeof(terminate));
    }
    pg_dial_close(&link->dial, NULL, ready ? LINGER_US : 0);
}

static void write_decision(const struct sy_decision *decision, char *sql, size_t bytes)
{
    snprintf(sql, bytes,
             "SET LOCAL synchronous_commit = on; INSERT INTO switchyard.commit_log (gid, decision, "
             "participants) VALUES ('%s', 'commit', '%s'); COMMIT",
             decision->key, decision->names);
}

static const struct sy_engine engine = {
    .name = "postgres",
    .write_decision = write_decision,
    .open = open_link,
    .send = send_chunk,
    .send_copy = send_copy,
    .congested = congested,
    .pause = pause_link,
    .resume = resume_link,
    .cancel = cancel_link,
    .close = close_link,
    .inspect = pg_inspect,
};

const struct sy_engine *sy_engine_postgres(void)
{
    return &engine;
}
