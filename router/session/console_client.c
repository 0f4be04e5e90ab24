/*
 * A session whose database is `switchyard`: its queries are commands of the console
 * (router/console). What other workers know is gathered by messages; actions are carried out on
 * every worker. The worker's thread.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/internal.h"

struct sy_console_run {
    struct sy_console_command command;
    struct sy_console_gathered *gathered; /* one per worker */
    struct sy_process *process;
    uint32_t worker_count;
    uint64_t session_id;
    uint32_t in_use;          /* PAUSE: servers that clients still hold */
    uint32_t killed;          /* KILL_CLIENT: clients */
    uint64_t reload_request;  /* RELOAD */
    uint64_t declare_request; /* a declaration that was not answered yet */
    struct sy_buf text;       /* of the declaration */
    struct sy_buf problems;   /* RELOAD: of the configuration file, a line each */
    struct sy_err outcome;    /* of the action */
    struct sy_buf rest;       /* commands of the same Query that come behind it */
    struct sy_worker *asking;
    struct sy_timer timer; /* PAUSE, RELOAD: when to look again */
};

/* What one worker gathers into. */
struct gathering {
    struct sy_worker *worker;
    struct sy_console_gathered *gathered;
};

enum { PAUSE_LOOK_US = 20 * 1000 };

/* ---- what one worker tells ---- */

static void copy_name(char *to, size_t bytes, struct sy_slice from)
{
    snprintf(to, bytes, "%.*s", (int)from.bytes, from.data == NULL ? "" : from.data);
}

static const char *word_of(uint8_t state)
{
    static const char *const words[] = {
#define X(name, word) word,
        SY_SESSION_STATES(X)
#undef X
    };
    return words[state];
}

/* The router's end of a socket. */
static void copy_local(const struct sy_stream *stream, char *to, size_t bytes, uint16_t *ret_port)
{
    struct sockaddr_storage name;
    socklen_t name_bytes = sizeof(name);
    if (getsockname(stream->fd, (struct sockaddr *)&name, &name_bytes) != 0)
        return;
    if (name.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)&name;
        inet_ntop(AF_INET, &in->sin_addr, to, (socklen_t)bytes);
        *ret_port = ntohs(in->sin_port);
    } else if (name.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)&name;
        inet_ntop(AF_INET6, &in->sin6_addr, to, (socklen_t)bytes);
        *ret_port = ntohs(in->sin6_port);
    } else {
        snprintf(to, bytes, "unix");
    }
}

/* "TLSv1.3/TLS_AES_256_GCM_SHA384", or nothing. */
static void copy_tls(const struct sy_stream *stream, char *to, size_t bytes)
{
    SSL *ssl = sy_stream_ssl(stream);
    if (ssl != NULL)
        snprintf(to, bytes, "%s/%s", SSL_get_version(ssl), SSL_get_cipher_name(ssl));
}

static int64_t wall_of(const struct sy_worker *worker, uint64_t us)
{
    return sy_loop_wall_us(worker->loop) - (int64_t)(sy_loop_now_us(worker->loop) - us);
}

static void gather_client(struct sy_console_gathered *gathered, const struct sy_session *session)
{
    struct sy_console_client *row = sy_gather_client(gathered);
    if (row == NULL)
        return;
    const struct sy_worker *worker = session->worker;
    row->id = session->id;
    copy_name(row->user, sizeof(row->user), sy_slice_of(session->user));
    if (session->database != NULL)
        copy_name(row->database, sizeof(row->database), session->database->name);
    if (session->settings != NULL)
        copy_name(row->application_name, sizeof(row->application_name),
                  sy_session_setting(session, SY_SLICE("application_name")));
    copy_name(row->address, sizeof(row->address), sy_slice_of(session->peer));
    row->port = session->peer_port;
    row->state = word_of(session->state);
    if (session->state == SY_SESSION_IDLE && (session->txn != 'I' || session->script != NULL))
        row->state = "active";
    row->connect_wall_us = session->connected_wall_us;
    row->request_wall_us = wall_of(
        worker, session->cycle_started_us != 0 ? session->cycle_started_us : session->connected_us);
    if (session->waiting) {
        row->wait_us = sy_loop_now_us(worker->loop) - session->wait.since_us;
        copy_name(row->wait_reason, sizeof(row->wait_reason), sy_slice_of(session->wait.reason));
    }
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->server != NULL)
            row->server_id = part->server->link->id;
    copy_tls(&session->stream, row->tls, sizeof(row->tls));
    copy_local(&session->stream, row->local_address, sizeof(row->local_address), &row->local_port);
    const char *pin = session->pinned_by_mode ? "session pool mode" : session->pin_reason;
    copy_name(row->pin_reason, sizeof(row->pin_reason), sy_slice_of(pin));
    row->transaction[0] = session->txn;
    row->prepared = sy_extended_count(session);
    row->worker = worker->index;
    row->buffered = sy_input_bytes(session->input, session->input_count) +
                    (uint64_t)sy_stream_queued_bytes(&session->stream);
}

static void gather_pool(void *ctx, const struct sy_pool_stats *stats)
{
    struct gathering *gathering = ctx;
    struct sy_console_pool *row = sy_gather_pool(gathering->gathered);
    if (row == NULL)
        return;
    const struct sy_topology_database *database =
        sy_topology_find(gathering->worker->topology, sy_slice_of(stats->database));
    static const char *const modes[] = {[SY_POOL_SESSION] = "session",
                                        [SY_POOL_TRANSACTION] = "transaction",
                                        [SY_POOL_STATEMENT] = "statement"};
    row->mode = modes[database == NULL ? SY_POOL_TRANSACTION : database->config->pool.mode];
    copy_name(row->database, sizeof(row->database), sy_slice_of(stats->database));
    copy_name(row->user, sizeof(row->user), sy_slice_of(stats->user));
    copy_name(row->shard, sizeof(row->shard), sy_slice_of(stats->shard));
    copy_name(row->node, sizeof(row->node), sy_slice_of(stats->node));
    row->clients_active = stats->active;
    row->clients_waiting = stats->waiting;
    row->servers_active = stats->active;
    row->servers_idle = stats->idle;
    row->servers_used = stats->used;
    row->servers_tested = stats->tested;
    row->servers_login = stats->login;
    row->longest_wait_us = stats->oldest_wait_us;
}

static void gather_server(void *ctx, const struct sy_server *server, const char *state)
{
    struct gathering *gathering = ctx;
    struct sy_console_server *row =
        server->link == NULL ? NULL : sy_gather_server(gathering->gathered);
    if (row == NULL)
        return;
    const struct sy_link *link = server->link;
    row->id = link->id;
    copy_name(row->database, sizeof(row->database), sy_slice_of(link->node->database));
    copy_name(row->shard, sizeof(row->shard), sy_slice_of(link->node->shard));
    copy_name(row->node, sizeof(row->node), sy_slice_of(link->node->name));
    copy_name(row->address, sizeof(row->address), sy_slice_of(link->node->host));
    row->port = link->node->port == NULL ? 0 : (uint16_t)strtoul(link->node->port, NULL, 10);
    row->state = state;
    row->remote_pid = link->backend_pid;
    row->worker = gathering->worker->index;
    row->connect_wall_us = wall_of(gathering->worker, server->opened_us);
    row->request_wall_us = row->connect_wall_us;
    copy_name(row->user, sizeof(row->user), sy_slice_of(sy_pool_server_user(server)));
    if (link->parameters != NULL)
        copy_name(row->application_name, sizeof(row->application_name),
                  sy_parameters_get(link->parameters, SY_SLICE("application_name")));
    if (link->stream != NULL) {
        copy_local(link->stream, row->local_address, sizeof(row->local_address), &row->local_port);
        copy_tls(link->stream, row->tls, sizeof(row->tls));
    }
    const struct sy_server_state *kept = server->session_state;
    if (kept != NULL)
        row->prepared = sy_prepared_set_count(&kept->prepared);
    if (server->last_used_us > server->opened_us)
        row->request_wall_us = wall_of(gathering->worker, server->last_used_us);
    if (server->user == NULL)
        return;
    const struct sy_session *session = ((const struct sy_part *)server->user)->session;
    row->client_id = session->id;
    row->request_wall_us = wall_of(gathering->worker, session->cycle_started_us);
}

static void gather_worker(struct sy_worker *worker, void *ctx)
{
    struct sy_console_run *run = ctx;
    struct sy_console_gathered *gathered = &run->gathered[worker->index];
    sy_list_each(node, &worker->sessions)
        gather_client(gathered, sy_container_of(node, struct sy_session, link));
    struct gathering gathering = {worker, gathered};
    sy_pool_each(worker->pools, gather_pool, &gathering);
    sy_pool_each_server(worker->pools, gather_server, &gathering);
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&worker->databases, &at, &entry);) {
        const struct sy_worker_database *database = entry.value;
        struct sy_console_database *row = sy_gather_database(gathered);
        if (row == NULL)
            return;
        copy_name(row->name, sizeof(row->name), database->name);
        row->paused = database->paused;
        row->disabled = database->disabled;
    }
}

/* ---- what one worker does ---- */

static void mark(struct sy_worker *worker, struct sy_slice name, bool paused, bool disabled,
                 bool set)
{
    for (uint32_t i = 0; i < worker->topology->database_count; i++) {
        struct sy_slice each = sy_slice_of(worker->topology->databases[i].config->name);
        if (name.bytes > 0 && !sy_slice_eq(name, each))
            continue;
        struct sy_worker_database *database = sy_worker_database(worker, each);
        if (database == NULL)
            continue;
        if (paused)
            database->paused = set;
        if (disabled)
            database->disabled = set;
    }
}

static void kill_clients(struct sy_worker *worker, struct sy_console_run *run, struct sy_slice name)
{
    sy_list_each_safe(node, &worker->sessions)
    {
        struct sy_session *session = sy_container_of(node, struct sy_session, link);
        bool mine = run->command.action == SY_ACTION_KILL_CLIENT
                        ? session->id == run->command.number
                        : session->database != NULL && !session->database_is_console &&
                              (name.bytes == 0 || sy_slice_eq(session->database->name, name));
        if (!mine || session->state >= SY_SESSION_CLOSING)
            continue;
        sy_session_kill(session, "terminating connection due to administrator command");
        run->killed++;
    }
}

static void on_paused(void *ctx)
{
    (void)ctx; /* of one worker: the answer waits for all of them, see look_again() */
}

static void declare(struct sy_worker *worker, struct sy_console_run *run)
{
    struct sy_process *process = worker->process;
    struct sy_slice text = {run->text.data, run->text.bytes};
    if (process->request_declare != NULL &&
        sy_declare_ask(process->declarations, (struct sy_slice){0}, text, &run->declare_request,
                       &run->outcome) == SY_OK)
        process->request_declare(process->ctx);
}

static void act(struct sy_worker *worker, void *ctx)
{
    struct sy_console_run *run = ctx;
    struct sy_slice name = sy_slice_of(run->command.argument);
    switch (run->command.action) {
    case SY_ACTION_PAUSE:
        mark(worker, name, true, false, true);
        sy_pool_pause(worker->pools, name, on_paused, NULL);
        return;
    case SY_ACTION_RESUME:
        mark(worker, name, true, false, false);
        sy_pool_resume(worker->pools, name);
        return;
    case SY_ACTION_RECONNECT:
        sy_pool_reconnect(worker->pools, name);
        return;
    case SY_ACTION_KILL:
        mark(worker, name, true, false, true);
        kill_clients(worker, run, name);
        sy_pool_kill(worker->pools, name);
        sy_pool_pause(worker->pools, name, on_paused, NULL);
        return;
    case SY_ACTION_KILL_CLIENT:
        kill_clients(worker, run, name);
        return;
    case SY_ACTION_DISABLE:
    case SY_ACTION_ENABLE:
        mark(worker, name, false, true, run->command.action == SY_ACTION_DISABLE);
        return;
    case SY_ACTION_RELOAD:
        if (worker->index == 0 && worker->process->request_reload != NULL) {
            run->reload_request = sy_reload_ask(worker->process->reloads);
            worker->process->request_reload(worker->process->ctx);
        }
        return;
    case SY_ACTION_DECLARE:
        if (worker->index == 0)
            declare(worker, run);
        return;
    case SY_ACTION_RESOLVE:
        if (worker->index == 0)
            (void)sy_transactions_request(run->command.argument, run->command.number != 0);
        return;
    case SY_ACTION_SHUTDOWN:
    case SY_ACTION_SHUTDOWN_NOW:
        if (worker->index == 0 && worker->process->request_shutdown != NULL)
            worker->process->request_shutdown(worker->process->ctx,
                                              run->command.action == SY_ACTION_SHUTDOWN_NOW);
        return;
    case SY_ACTION_NONE:
    default:
        return;
    }
}

/* ---- the answer ---- */

static void free_run(struct sy_console_run *run)
{
    for (uint32_t i = 0; run->gathered != NULL && i < run->worker_count; i++)
        sy_gather_release(&run->gathered[i]);
    free(run->gathered);
    if (run->declare_request > 0)
        sy_declare_forget(run->process->declarations, run->declare_request);
    sy_buf_release(&run->text);
    sy_buf_release(&run->problems);
    sy_buf_release(&run->rest);
    free(run);
}

static struct sy_session *find_session(struct sy_worker *worker, uint64_t id)
{
    sy_list_each(node, &worker->sessions)
    {
        struct sy_session *session = sy_container_of(node, struct sy_session, link);
        if (session->id == id)
            return session;
    }
    return NULL;
}

/* What is wrong with the file, a warning for each problem. */
static void write_problems(const struct sy_console_run *run, struct sy_buf *out)
{
    struct sy_slice rest = {run->problems.data, run->problems.bytes};
    while (rest.bytes > 0) {
        const char *end = memchr(rest.data, '\n', rest.bytes);
        size_t bytes = end == NULL ? rest.bytes : (size_t)(end - rest.data);
        struct sy_err problem;
        sy_err_init(&problem);
        (void)sy_err_set(&problem, SY_E_CONFIG, "%.*s", (int)bytes, rest.data);
        if (bytes > 0)
            sy_write_notice(out, "WARNING", &problem);
        bytes += end != NULL;
        rest = (struct sy_slice){rest.data + bytes, rest.bytes - bytes};
    }
}

/* The answer to one command, without ReadyForQuery. False: an error, which ends the Query. */
static bool put_answer(struct sy_session *session, const struct sy_console_run *run)
{
    struct sy_buf *out = sy_session_scratch(session);
    bool good = run->outcome.status == SY_OK;
    write_problems(run, out);
    if (good)
        sy_console_answer(&run->command, session->worker->topology, run->gathered,
                          run->worker_count, out);
    else
        sy_write_error(out, "ERROR", &run->outcome);
    sy_session_put_buf(session, out);
    return good;
}

static void put_ready(struct sy_session *session)
{
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_ready(out, 'I');
    sy_session_put_buf(session, out);
}

static void count_pool(void *ctx, const struct sy_pool_stats *stats)
{
    struct sy_console_run *run = ctx;
    if (run->command.argument[0] == 0 || strcmp(run->command.argument, stats->database) == 0)
        run->in_use += stats->active;
}

static void count_in_use(struct sy_worker *worker, void *ctx)
{
    sy_pool_each(worker->pools, count_pool, ctx);
}

static void on_visited(struct sy_worker *asking, void *ctx);

static void look_again(struct sy_timer *timer)
{
    struct sy_console_run *run = sy_container_of(timer, struct sy_console_run, timer);
    struct sy_err err = {0};
    if (run->command.action != SY_ACTION_PAUSE) {
        on_visited(run->asking, run);
        return;
    }
    run->in_use = 0;
    if (sy_worker_visit_all(run->asking, count_in_use, on_visited, run, &err) != SY_OK)
        sy_timer_start(run->asking->loop, &run->timer, PAUSE_LOOK_US);
}

static void judge_reload(struct sy_console_run *run)
{
    if (run->outcome.status == SY_OK)
        return;
    char why[SY_ERR_TEXT_BYTES];
    snprintf(why, sizeof(why), "%s", run->outcome.text);
    snprintf(run->outcome.text, sizeof(run->outcome.text), "nothing was reloaded: %.480s", why);
    if (run->outcome.hint[0] == '\0')
        sy_err_hint(&run->outcome, "The old configuration stays in force. Try `switchyard config "
                                   "check FILE` before RELOAD.");
}

/* PAUSE is answered when nobody uses a server of the database any more, RELOAD when the file was
 * read, a declaration when it is in force. True: not yet. */
static bool is_under_way(struct sy_worker *asking, struct sy_console_run *run)
{
    bool first = run->asking == NULL, over = true;
    if (run->command.action == SY_ACTION_PAUSE)
        over = !first && run->in_use == 0;
    else if (run->reload_request > 0)
        over = sy_reload_told(run->process->reloads, run->reload_request, &run->outcome,
                              &run->problems);
    else if (run->declare_request > 0)
        over = sy_declare_told(run->process->declarations, run->declare_request, &run->outcome);
    if (over && run->declare_request > 0) {
        run->declare_request = 0;
        sy_worker_refresh(asking);
    }
    if (over && run->reload_request > 0)
        judge_reload(run);
    if (over)
        return false;
    if (first)
        sy_timer_init(&run->timer, look_again);
    run->asking = asking;
    sy_timer_start(asking->loop, &run->timer, first ? 1 : PAUSE_LOOK_US);
    return true;
}

static void judge_kill(struct sy_console_run *run)
{
    if (run->command.action != SY_ACTION_KILL_CLIENT || run->killed > 0)
        return;
    (void)sy_err_set(&run->outcome, SY_E_NOT_FOUND, "there is no client %s", run->command.argument);
    sy_err_hint(&run->outcome, "Take ptr from SHOW CLIENTS.");
}

static enum sy_step run_commands(struct sy_session *session, struct sy_slice rest);

static void on_visited(struct sy_worker *asking, void *ctx)
{
    struct sy_console_run *run = ctx;
    struct sy_session *session = find_session(asking, run->session_id);
    if (session == NULL) {
        free_run(run);
        return;
    }
    if (session->state < SY_SESSION_CLOSING && !asking->stopping && is_under_way(asking, run))
        return;
    session->console_running = NULL;
    if (session->state == SY_SESSION_CLOSED) {
        free_run(run);
        sy_session_free_closed(session);
        return;
    }
    if (session->state < SY_SESSION_CLOSING) {
        judge_kill(run);
        bool good = put_answer(session, run);
        sy_session_set_state(session, SY_SESSION_IDLE);
        if (!good || run->rest.bytes == 0)
            put_ready(session);
        else
            (void)run_commands(session, (struct sy_slice){run->rest.data, run->rest.bytes});
    }
    free_run(run);
    sy_session_drive(session);
}

static enum sy_step refuse(struct sy_session *session, const struct sy_err *err)
{
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_error(out, "ERROR", err);
    sy_write_ready(out, 'I');
    sy_session_put_buf(session, out);
    return SY_STEP_DONE;
}

static struct sy_console_run *new_run(struct sy_session *session,
                                      const struct sy_console_command *command)
{
    struct sy_console_run *run = calloc(1, sizeof(*run));
    if (run == NULL)
        return NULL;
    run->command = *command;
    run->process = session->worker->process;
    run->session_id = session->id;
    if (command->scope == SY_CONSOLE_WORKERS) {
        run->worker_count = run->process->worker_count;
        run->gathered = calloc(run->worker_count, sizeof(*run->gathered));
    }
    if (command->scope == SY_CONSOLE_WORKERS && run->gathered == NULL) {
        free(run);
        return NULL;
    }
    return run;
}

/* A database that a command names must be there: success about nothing would be a lie. */
static enum sy_status check_argument(const struct sy_session *session,
                                     const struct sy_console_command *command, struct sy_err *err)
{
    bool names_database =
        command->action == SY_ACTION_PAUSE || command->action == SY_ACTION_RESUME ||
        command->action == SY_ACTION_RECONNECT || command->action == SY_ACTION_KILL ||
        command->action == SY_ACTION_DISABLE || command->action == SY_ACTION_ENABLE;
    if (!names_database || command->argument[0] == '\0' ||
        sy_topology_find(session->worker->topology, sy_slice_of(command->argument)) != NULL)
        return SY_OK;
    (void)sy_err_set(err, SY_E_NO_DATABASE, "database \"%s\" does not exist", command->argument);
    sy_err_hint(err, "SHOW DATABASES lists them.");
    return SY_E_NO_DATABASE;
}

/* Other workers or the file are asked: the answer comes later. */
static bool begin_visit(struct sy_session *session, struct sy_console_run *run,
                        struct sy_slice rest, struct sy_err *err)
{
    bool gathers = run->command.scope == SY_CONSOLE_WORKERS;
    sy_buf_append_slice(&run->rest, rest);
    sy_buf_append_slice(&run->text, run->command.text);
    bool kept = !run->rest.failed && !run->text.failed;
    if (!kept)
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (!kept || sy_worker_visit_all(session->worker, gathers ? gather_worker : act, on_visited,
                                     run, err) != SY_OK) {
        free_run(run);
        return false;
    }
    session->console_running = run;
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return true;
}

/* One command after the other until one has to wait, which then takes the rest with it. */
static enum sy_step run_commands(struct sy_session *session, struct sy_slice rest)
{
    struct sy_console_rights rights = {.admin = session->admin, .stats = session->stats};
    do {
        struct sy_err err = {0};
        struct sy_console_command command;
        struct sy_slice sql = sy_console_cut(&rest);
        if (sy_console_parse(sql, &rights, &command, &err) != SY_OK ||
            check_argument(session, &command, &err) != SY_OK)
            return refuse(session, &err);
        struct sy_console_run *run = new_run(session, &command);
        if (run == NULL) {
            (void)sy_err_set(&err, SY_E_NO_MEMORY, "out of memory");
            return refuse(session, &err);
        }
        if (command.scope == SY_CONSOLE_WORKERS || command.scope == SY_CONSOLE_ACTION)
            return begin_visit(session, run, rest, &err) ? SY_STEP_DONE : refuse(session, &err);
        put_answer(session, run);
        free_run(run);
    } while (rest.bytes > 0);
    put_ready(session);
    return SY_STEP_DONE;
}

enum sy_step sy_session_console(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_err err = {0};
    struct sy_slice sql;
    if (sy_string_read(frame->body.data, frame->body.bytes, &sql, &err) != SY_OK)
        return refuse(session, &err);
    return run_commands(session, sql);
}

/* Drivers that know nothing but the extended protocol are told what to do. */
enum sy_step sy_session_console_extended(struct sy_session *session, const struct sy_frame *frame)
{
    struct sy_err err = {0};
    if (frame->type == 'S') {
        struct sy_buf *out = sy_session_scratch(session);
        sy_write_ready(out, 'I');
        sy_session_put_buf(session, out);
        session->skip_to_sync = false;
        return SY_STEP_DONE;
    }
    if (frame->type == 'H' || session->skip_to_sync)
        return SY_STEP_DONE;
    (void)sy_err_set(&err, SY_E_UNSUPPORTED, "the console answers simple queries only");
    sy_err_hint(&err, "Switch the driver to the simple query protocol (psql uses it by itself).");
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_error(out, "ERROR", &err);
    sy_session_put_buf(session, out);
    session->skip_to_sync = true;
    return SY_STEP_DONE;
}
