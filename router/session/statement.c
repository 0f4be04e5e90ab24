/*
 * From a statement to where it goes: the template's routes for the present topology, then one
 * evaluation with the values at hand. Calls parser and plan; decides about replicas. The worker's
 * thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/plan/scatter.h"
#include "router/plan/sequence.h"
#include "router/session/internal.h"

/* What is cached with a template: a route per statement. */
struct routes {
    uint32_t count;
    struct sy_route *route[];
};

static void free_routes(void *opaque)
{
    struct routes *routes = opaque;
    for (uint32_t i = 0; i < routes->count; i++)
        sy_route_free(&routes->route[i]);
    free(routes);
}

struct sy_parse_settings sy_session_parse_settings(const struct sy_session *session)
{
    return (struct sy_parse_settings){
        .standard_conforming_strings = session->scs,
        .hints_enabled = session->database->topology->config->hints,
        .environment = session->environment,
    };
}

enum { PATH_MAX_NAMES = 32, TEMPORARY_MAX = 256 };

/* As whom the session is on its servers before it says anything else. */
static struct sy_slice login_user(const struct sy_session *session)
{
    const struct sy_topology_database *database = session->database->topology;
    const char *user = session->server_user;
    if (user == NULL && database != NULL && database->shard_count > 0 &&
        database->shards[0].node_count > 0)
        user = database->shards[0].nodes[0]->user;
    return sy_slice_of(user != NULL ? user : session->user);
}

static struct sy_slice set_or(const struct sy_settings *settings, struct sy_slice name,
                              struct sy_slice otherwise)
{
    const struct sy_setting *setting = sy_settings_find(settings, name);
    return setting == NULL ? otherwise : setting->value;
}

struct sy_slice sy_session_current_user(const struct sy_session *session)
{
    static const struct sy_slice role_name = {"role", 4}, none = {"none", 4},
                                 user_name = {"session_authorization", 21};
    struct sy_slice login = login_user(session);
    struct sy_slice role = set_or(session->settings, role_name, none);
    struct sy_slice user = set_or(session->settings, user_name, login);
    const struct sy_txn *txn = session->txn_state;
    const struct sy_prelude_entry *entry = txn == NULL ? NULL : txn->first;
    for (; entry != NULL; entry = entry->next) {
        if (!entry->is_local)
            continue;
        if (sy_slice_eq(entry->name, role_name))
            role = entry->is_default ? set_or(session->settings_startup, role_name, none)
                                     : entry->value;
        if (!sy_slice_eq(entry->name, user_name))
            continue;
        role = none;
        user =
            entry->is_default ? set_or(session->settings_startup, user_name, login) : entry->value;
    }
    return sy_slice_eq(role, none) ? user : role;
}

/* "$user" is the current user; pg_temp is left out, as the planner asks. */
static uint32_t resolve_path(struct sy_session *session, struct sy_slice *path)
{
    struct sy_slice list;
    (void)sy_session_setting_now(session, SY_SLICE("search_path"), &list);
    if (list.data == NULL)
        list = SY_SLICE("\"$user\", public");
    uint32_t count = 0;
    char buffer[SY_LIMIT_NAME_BYTES + 1];
    struct sy_slice name;
    while (count < PATH_MAX_NAMES && sy_settings_next_name(&list, buffer, &name)) {
        if (sy_slice_eq(name, SY_SLICE("$user")))
            name = sy_session_current_user(session);
        if (sy_slice_eq(name, SY_SLICE("pg_temp")))
            continue;
        const char *copy = sy_arena_strndup(&session->worker->arena, name.data, name.bytes);
        if (copy != NULL)
            path[count++] = (struct sy_slice){copy, name.bytes};
    }
    return count;
}

static uint32_t temporary_names(const struct sy_session *session, struct sy_slice *names)
{
    uint32_t count = 0;
    const char *at = session->temporary;
    const char *end = at == NULL ? NULL : at + session->temporary_bytes;
    while (at != NULL && at < end && count < TEMPORARY_MAX) {
        names[count++] = sy_slice_of(at);
        at += strlen(at) + 1;
    }
    return count;
}

static enum sy_status make_routes(struct sy_session *session, struct sy_template *template,
                                  struct sy_err *err)
{
    const struct sy_facts *facts = template->facts;
    const struct sy_topology_database *database = session->database->topology;
    struct sy_slice path[PATH_MAX_NAMES], temporary[TEMPORARY_MAX];
    struct sy_plan_context context = {
        .map = database->map,
        .schema = database->schema,
        .database = database->config,
        .search_path = path,
        .search_path_count = resolve_path(session, path),
        .temporary = temporary,
        .temporary_count = temporary_names(session, temporary),
        .federation = sy_federation_of(database),
    };
    uint32_t count = (uint32_t)facts->stmt_count;
    struct routes *routes = calloc(1, sizeof(*routes) + count * sizeof(routes->route[0]));
    if (routes == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    for (; routes->count < count; routes->count++) {
        enum sy_status status = sy_route_prepare(&facts->stmts[routes->count], &context,
                                                 &routes->route[routes->count], err);
        if (status != SY_OK) {
            free_routes(routes);
            return status;
        }
    }
    if (template->plan != NULL)
        template->plan_free(template->plan);
    template->plan = routes;
    template->plan_epoch = session->worker->epoch;
    template->plan_free = free_routes;
    return SY_OK;
}

enum sy_status sy_exec_parse(struct sy_session *session, struct sy_slice text, struct sy_exec *exec,
                             struct sy_scan *scan, struct sy_err *err)
{
    struct sy_parse_settings settings = sy_session_parse_settings(session);
    *exec = (struct sy_exec){.text = text, .scan = scan};
    return sy_parser_parse(session->worker->parser, text, &settings, &exec->template, scan, err);
}

enum sy_status sy_exec_route(struct sy_session *session, struct sy_exec *exec, uint32_t index,
                             struct sy_err *err)
{
    struct sy_template *template = exec->template;
    if (template->plan == NULL || template->plan_epoch != session->worker->epoch) {
        enum sy_status status = make_routes(session, template, err);
        if (status != SY_OK)
            return status;
    }
    const struct routes *routes = template->plan;
    exec->stmt = &template->facts->stmts[index];
    exec->route = routes->route[index];
    return SY_OK;
}

bool sy_stmt_is_local(const struct sy_stmt *stmt)
{
    switch ((int)stmt->kind) {
    case SY_STMT_BEGIN:
    case SY_STMT_COMMIT:
    case SY_STMT_ROLLBACK:
    case SY_STMT_SAVEPOINT:
    case SY_STMT_RELEASE:
    case SY_STMT_ROLLBACK_TO:
    case SY_STMT_PREPARE_TRANSACTION:
    case SY_STMT_COMMIT_PREPARED:
    case SY_STMT_ROLLBACK_PREPARED:
    case SY_STMT_DISCARD:
    case SY_STMT_PREPARE:
    case SY_STMT_EXECUTE:
    case SY_STMT_DEALLOCATE:
        return true;
    case SY_STMT_SET:
        if (stmt->set_scope == SY_SET_TRANSACTION)
            return true;
        return stmt->name.bytes > 11 && memcmp(stmt->name.data, "switchyard.", 11) == 0;
    case SY_STMT_RESET:
    case SY_STMT_SHOW:
        return stmt->name.bytes > 11 && memcmp(stmt->name.data, "switchyard.", 11) == 0;
    case SY_STMT_EXPLAIN:
        return stmt->explain_route;
    case SY_STMT_EMPTY:
    case SY_STMT_SELECT:
    case SY_STMT_INSERT:
    case SY_STMT_UPDATE:
    case SY_STMT_DELETE:
    case SY_STMT_MERGE:
    case SY_STMT_COPY_FROM:
    case SY_STMT_COPY_TO:
    case SY_STMT_DECLARE:
    case SY_STMT_FETCH:
    case SY_STMT_CLOSE:
    case SY_STMT_LISTEN:
    case SY_STMT_UNLISTEN:
    case SY_STMT_NOTIFY:
    case SY_STMT_LOCK:
    case SY_STMT_CALL:
    case SY_STMT_DO:
    case SY_STMT_TRUNCATE:
    case SY_STMT_DDL:
    case SY_STMT_MAINTENANCE:
    case SY_STMT_OTHER:
    default:
        return false;
    }
}

/* The shard of a statement that any of `shards` (NULL: all) may answer: where the session already
 * is, else the next in turn. */
static uint32_t any_shard(struct sy_session *session, const struct sy_shard_set *shards)
{
    const struct sy_part *found = NULL;
    uint32_t allowed = shards == NULL ? 0 : sy_shard_set_count(shards);
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (!part->federation && (found == NULL || (part->in_txn && !found->in_txn)) &&
            (allowed == 0 || sy_shard_set_has(shards, part->shard)))
            found = part;
    if (found != NULL)
        return found->shard;
    uint32_t count = session->database->topology->shard_count;
    if (count == 1)
        return 0;
    /* A block that has to stay on one shard begins where the catalogs are asked (pg_dump). */
    bool stays =
        session->txn != 'I' && session->txn_state != NULL && session->txn_state->multi_refused;
    if (stays && (allowed == 0 || sy_shard_set_has(shards, 0)))
        return 0;
    uint32_t turn = session->database->rotation++ % (allowed == 0 ? count : allowed);
    if (allowed == 0)
        return turn;
    for (uint32_t shard = 0; shard < count; shard++)
        if (sy_shard_set_has(shards, shard) && turn-- == 0)
            return shard;
    return sy_shard_set_first(shards);
}

/* The server that holds the session's temporary tables; NULL: there are none. */
static const struct sy_part *temporary_part(const struct sy_session *session)
{
    for (const struct sy_part *part = session->parts; session->temporary != NULL && part != NULL;
         part = part->next)
        if (part->has_temporary)
            return part;
    return NULL;
}

/* A statement that names a temporary table runs where that table is, or not at all. */
static enum sy_status to_temporary(struct sy_session *session, const struct sy_exec *exec,
                                   const struct sy_plan *plan, struct sy_target *target,
                                   struct sy_err *err)
{
    const struct sy_part *part = temporary_part(session);
    if (sy_temporary_doubtful(session, exec->stmt)) {
        enum sy_status status =
            sy_err_set(err, SY_E_UNSUPPORTED,
                       "whether a temporary table hides a declared one of that name is not known");
        sy_err_detail(err,
                      "A temporary table was made or dropped in a transaction that went back.");
        sy_err_hint(err, "Write the schema's name, or DISCARD TEMP outside of a transaction.");
        return status;
    }
    if (part == NULL)
        return SY_OK; /* the server tells that there is no such table */
    bool fits = (plan->kind == SY_PLAN_SINGLE && plan->shard == part->shard) ||
                (plan->kind == SY_PLAN_ANY && sy_shard_set_has(&plan->shards, part->shard));
    if (!fits) {
        struct sy_slice name = sy_topology_shard_name(session->database->topology, part->shard);
        enum sy_status status =
            sy_err_set(err, SY_E_UNSUPPORTED,
                       "a temporary table together with rows of other shards is not supported");
        sy_err_detail(err, "The temporary table is on shard \"%.*s\".", (int)name.bytes, name.data);
        sy_err_hint(err, "Make the temporary table in a transaction that began with a row of the "
                         "shard it is used with.");
        return status;
    }
    target->shard = part->shard;
    return SY_OK;
}

/* What is bound to a server rather than to data. */
static bool shard_of_session_statement(struct sy_session *session, const struct sy_stmt *stmt,
                                       uint32_t *ret_shard)
{
    switch ((int)stmt->kind) {
    case SY_STMT_LISTEN:
    case SY_STMT_UNLISTEN:
    case SY_STMT_NOTIFY:
        session->notifies = true;
        *ret_shard = 0; /* so that listeners and notifiers meet */
        return true;
    case SY_STMT_SET:
    case SY_STMT_RESET:
    case SY_STMT_SHOW:
        *ret_shard = any_shard(session, NULL);
        return true;
    case SY_STMT_FETCH:
    case SY_STMT_CLOSE:
        *ret_shard = sy_effect_cursor_shard(session, stmt->name);
        if (*ret_shard == UINT32_MAX)
            *ret_shard = any_shard(session, NULL);
        return true;
    default: /* NOLINT: every other kind is the planner's */
        return false;
    }
}

/* SET LOCAL holds in the whole block: all servers that are in it must hear of it, those that join
 * later will (EFFECT_SET_LOCAL). A text without a block is cut for its shards: it has no such
 * place.
 */
static enum sy_status to_block(const struct sy_session *session, const struct sy_stmt *stmt,
                               struct sy_target *target, struct sy_err *err)
{
    if (stmt->kind != SY_STMT_SET || stmt->set_scope != SY_SET_LOCAL)
        return SY_OK;
    if (session->txn == 'I' && session->database->sharded && sy_script_is_cut(session)) {
        (void)sy_err_set(err, SY_E_UNSUPPORTED,
                         "SET LOCAL without a transaction block, in a text of several statements "
                         "over several shards, is not supported");
        sy_err_hint(err, "Begin the text with BEGIN.");
        return SY_E_UNSUPPORTED;
    }
    for (const struct sy_part *part = session->parts; session->txn == 'T' && part != NULL;
         part = part->next)
        if (part->in_txn && !part->federation)
            sy_shard_set_add(&target->shards, part->shard);
    target->all = target->several = sy_shard_set_count(&target->shards) > 1;
    return SY_OK;
}

static bool replica_allowed(const struct sy_session *session, const struct sy_exec *exec)
{
    const struct sy_worker_database *database = session->database;
    if (!database->has_replicas || session->replica_retry ||
        session->consistency == SY_CONSISTENCY_STRONG || session->implicit_txn ||
        session->batch_local)
        return false;
    if (session->txn != 'I')
        return session->txn_state != NULL && session->txn_state->read_only;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
        if (part->wrote)
            return false; /* the same batch must see its own writes */
    return sy_route_read_only(exec->route);
}

/* Where the two-phase commit can join them, a transaction may write on several shards. Messages of
 * a batch without a block end at Sync on each server by itself. */
static bool joins_writes(const struct sy_session *session)
{
    return sy_two_phase_able(session) && (session->txn != 'I' || session->implicit_txn);
}

/*
 * REPEATABLE READ and SERIALIZABLE promise one snapshot, which several servers do not share: rows
 * of several shards are refused there. COPY TO is let through, a table at a time, because pg_dump
 * always reads in such a transaction; docs/features.md says what that means.
 */
static enum sy_status check_snapshot(const struct sy_session *session, const struct sy_stmt *stmt,
                                     const struct sy_target *target, struct sy_err *err)
{
    const struct sy_slice by_default =
        sy_session_setting(session, SY_SLICE("default_transaction_isolation"));
    bool block = session->txn != 'I' && session->txn_state != NULL;
    bool snapshot =
        block ? session->txn_state->multi_refused : sy_isolation_is_snapshot(by_default);
    if (!snapshot || (!target->several && !target->federate) || target->all ||
        stmt->kind == SY_STMT_COPY_TO ||
        stmt->size_count > 0) /* sizes are those of now in any transaction */
        return SY_OK;
    (void)sy_err_set(
        err, SY_E_UNSUPPORTED,
        "reading several shards under REPEATABLE READ or SERIALIZABLE is not supported");
    sy_err_hint(err, "Use READ COMMITTED, or keep the statement to rows of one shard.");
    return SY_E_UNSUPPORTED;
}

static enum sy_status check_writes(struct sy_session *session, const struct sy_target *target,
                                   struct sy_err *err)
{
    bool block = session->txn != 'I' || session->in_batch || session->implicit_txn;
    if (target->several && target->writes && !target->all && !target->split &&
        !sy_two_phase_able(session)) {
        (void)sy_err_set(err, SY_E_UNSUPPORTED,
                         "a statement that writes rows of several shards is not supported here");
        sy_err_hint(err, "Restrict the sharding key to the rows of one shard at a time.");
        return SY_E_UNSUPPORTED;
    }
    if (!block || target->several || target->split)
        return SY_OK;
    const struct sy_txn *txn = session->txn_state;
    if (txn != NULL && txn->multi_refused && session->txn != 'I' && !target->any) {
        for (const struct sy_part *part = session->parts; part != NULL; part = part->next)
            if (part->in_txn && part->shard != target->shard) {
                enum sy_status status = sy_err_set(err, SY_E_UNSUPPORTED,
                                                   "a REPEATABLE READ or SERIALIZABLE transaction "
                                                   "over several shards is not supported");
                sy_err_hint(err,
                            "Use READ COMMITTED, or keep the transaction to rows of one shard.");
                return status;
            }
    }
    if (!target->writes || (txn != NULL && txn->wrote_all) || joins_writes(session))
        return SY_OK;
    for (const struct sy_part *part = session->parts; part != NULL; part = part->next) {
        if (!part->wrote || part->shard == target->shard)
            continue;
        enum sy_status status =
            sy_err_set(err, SY_E_UNSUPPORTED,
                       "a transaction that writes rows of several shards is not supported");
        sy_err_hint(
            err,
            "Commit after the rows of each shard; EXPLAIN (ROUTE) tells the shard of a statement.");
        return status;
    }
    return SY_OK;
}

/* 'name'::regclass and the like look a name up in the catalogs without naming them; what clients
 * are told of OIDs is the first shard's. */
static bool asks_for_oids(const struct sy_exec *exec)
{
    static const char *const types[] = {"regclass",     "regtype",      "regproc",
                                        "regoper",      "regnamespace", "regrole",
                                        "regcollation", "regconfig",    "regdictionary"};
    if (exec->stmt->table_count > 0)
        return false;
    for (size_t i = 0; i + 7 <= exec->text.bytes; i++) {
        if (strncasecmp(exec->text.data + i, "reg", 3) != 0)
            continue;
        for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
            size_t bytes = strlen(types[t]);
            if (exec->text.bytes - i >= bytes &&
                strncasecmp(exec->text.data + i, types[t], bytes) == 0)
                return true;
        }
    }
    return false;
}

static bool same_server(const struct sy_node *a, const struct sy_node *b)
{
    return a->host != NULL && b->host != NULL && a->port != NULL && b->port != NULL &&
           strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

/* Roles belong to a server, not to a database: where shards are databases of one server, the second
 * would wait for the first one's change until that is committed, which waits for the second. */
static struct sy_shard_set once_per_server(const struct sy_session *session,
                                           const struct sy_shard_set *shards)
{
    const struct sy_topology_database *database = session->database->topology;
    struct sy_shard_set kept = {{0}};
    for (uint32_t shard = 0; shard < database->shard_count; shard++) {
        bool seen = !sy_shard_set_has(shards, shard);
        for (uint32_t before = 0; before < shard && !seen; before++)
            seen = sy_shard_set_has(&kept, before) &&
                   same_server(database->shards[before].nodes[0], database->shards[shard].nodes[0]);
        if (!seen)
            sy_shard_set_add(&kept, shard);
    }
    return kept;
}

/* currval() and lastval() are known to the server that gave the value, as long as it is the
 * session's: any other one would say what it gave to another client. */
static enum sy_status to_only_part(struct sy_session *session, struct sy_target *target,
                                   struct sy_err *err)
{
    const struct sy_part *only = session->parts;
    if (only != NULL && only->next == NULL && !only->federation && only->primary) {
        target->shard = only->shard;
        return SY_OK;
    }
    sy_counter_add(&session->database->counters->refused, 1);
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "currval() and lastval() outside of a transaction on one shard are not "
                     "supported");
    sy_err_hint(err, "Only the server that gave a value knows it: use RETURNING where it is given, "
                     "or ask in the same transaction.");
    return err->status;
}

static enum sy_status from_plan(struct sy_session *session, const struct sy_exec *exec,
                                const struct sy_plan *plan, struct sy_target *target,
                                struct sy_err *err)
{
    target->writes = plan->writes;
    switch (plan->kind) {
    case SY_PLAN_SINGLE:
        target->shard = plan->shard;
        break;
    case SY_PLAN_ANY:
    case SY_PLAN_ROUTER:
        target->shard = session->database->sharded && asks_for_oids(exec)
                            ? 0
                            : any_shard(session, &plan->shards);
        target->any = true;
        if (session->database->sharded && sy_route_recalls(exec->route))
            return to_only_part(session, target, err);
        if (exec->stmt->set_config_count > 0 && session->database->sharded &&
            sy_effect_check_config(session, exec, err) != SY_OK)
            return SY_E_UNSUPPORTED;
        break;
    case SY_PLAN_CONCAT:
    case SY_PLAN_MERGE:
    case SY_PLAN_ALL:
        target->shards = plan->shards;
        if (sy_slice_eq(exec->stmt->object_kind, SY_SLICE("role")))
            target->shards = once_per_server(session, &plan->shards);
        target->all = plan->kind == SY_PLAN_ALL;
        target->several = sy_shard_set_count(&target->shards) > 1;
        target->merge = plan->kind == SY_PLAN_MERGE && target->several;
        if (!target->several)
            target->shard = sy_shard_set_first(&target->shards);
        target->counted =
            target->several && !target->all && plan->writes && sy_route_writes_counted(exec->route);
        target->scatters = target->several && plan->writes && sy_route_freezes(exec->route);
        if (target->scatters && sy_route_spreads_sequences(exec->route))
            target->told_tag = sy_route_spreads_tag(exec->route);
        target->has_home = plan->kind == SY_PLAN_CONCAT && plan->home != UINT32_MAX;
        target->home = plan->home;
        break;
    case SY_PLAN_ROWS:
        target->shards = plan->shards;
        target->several = target->scatters = true;
        target->rows = plan->rows;
        target->row_count = plan->row_count;
        target->counted = sy_route_writes_counted(exec->route);
        break;
    case SY_PLAN_FEDERATE:
        target->federate = true;
        target->shard = plan->shard;
        return sy_federation_check(session, exec, err);
    case SY_PLAN_SPLIT:
        target->shards = plan->shards;
        target->split = true;
        target->several = true;
        target->writes = true;
        break;
    case SY_PLAN_REFUSED:
        *err = plan->refusal;
        if (!sy_route_makes_ids(exec->route)) /* fresh.c goes on */
            sy_counter_add(&session->database->counters->refused, 1);
        return err->status;
    default:
        return sy_err_set(err, SY_E_INTERNAL, "unknown plan");
    }
    if (plan->uses_temporary)
        return to_temporary(session, exec, plan, target, err);
    target->replica_ok =
        plan->role == SY_ROLE_REPLICA && !target->writes && replica_allowed(session, exec);
    return SY_OK;
}

enum sy_status sy_exec_plan(struct sy_session *session, const struct sy_exec *exec,
                            struct sy_plan *ret_plan, struct sy_err *err)
{
    struct sy_plan_values values = {
        .text = exec->text,
        .scan = exec->scan,
        .parameters = exec->parameters,
        .parameter_count = exec->parameter_count,
        .parameter_formats = exec->formats,
        .parameter_format_count = exec->format_count,
        .parameter_types = exec->types,
        .parameter_type_count = exec->type_count,
        .key_context = {.time_zone = session->time_zone,
                        .date_style = session->date_style,
                        .server_encoding_differs = session->encoding_differs},
        .standard_conforming_strings = session->scs,
    };
    return sy_route_eval(exec->route, &values, &exec->scan->hints, &session->worker->arena,
                         ret_plan, err);
}

enum sy_status sy_exec_target(struct sy_session *session, const struct sy_exec *exec,
                              struct sy_target *ret_target, struct sy_err *err)
{
    struct sy_target target = {0};
    if (shard_of_session_statement(session, exec->stmt, &target.shard)) {
        target.replica_ok = session->txn != 'I' && replica_allowed(session, exec);
        enum sy_status status = to_block(session, exec->stmt, &target, err);
        if (status == SY_OK)
            *ret_target = target;
        return status;
    }
    struct sy_plan plan;
    enum sy_status status = sy_session_check_schema(session, err);
    if (status != SY_OK)
        return status;
    status = sy_exec_plan(session, exec, &plan, err);
    if (status != SY_OK)
        return status;
    status = from_plan(session, exec, &plan, &target, err);
    if (status == SY_OK)
        status = check_snapshot(session, exec->stmt, &target, err);
    if (status == SY_OK)
        status = check_writes(session, &target, err);
    target.no_block = exec->stmt->not_in_transaction;
    if (status == SY_OK)
        *ret_target = target;
    return status;
}
