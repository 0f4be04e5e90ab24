/* The extended protocol: prepared statements and portals. */
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/copy.h"
#include "router/engine/sqlite/session.h"
#include "router/engine/sqlite/session_env.h"

/* ---- prepared statements ---- */

static void prepared_free(struct sy_sqlite_prepared *prepared)
{
    if (prepared == NULL)
        return;
    sy_sqlite_plan_unref(&prepared->plan);
    sy_sqlite_script_unref(&prepared->script);
    free(prepared->name);
    free(prepared->text);
    free(prepared->types);
    free(prepared);
}

struct sy_sqlite_prepared *sy_sqlite_prepared_find(struct sy_sqlite_session *s,
                                                   struct sy_slice name)
{
    struct sy_sqlite_prepared *prepared = sy_map_get(&s->prepared, name);
    if (prepared != NULL)
        return prepared;
    if (name.bytes == 0)
        sy_err_set(&s->err, SY_E_NOT_FOUND, "unnamed prepared statement does not exist");
    else
        sy_err_set(&s->err, SY_E_NOT_FOUND, "prepared statement \"%.*s\" does not exist",
                   (int)name.bytes, name.data);
    sy_err_state(&s->err, "26000");
    return NULL;
}

static char *copy_bytes(const void *data, size_t bytes)
{
    char *copy = malloc(bytes + 1);
    if (copy != NULL) {
        if (bytes > 0)
            memcpy(copy, data, bytes);
        copy[bytes] = '\0';
    }
    return copy;
}

static bool out_of_memory(struct sy_sqlite_session *s)
{
    sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
    return false;
}

bool sy_sqlite_prepared_drop(struct sy_sqlite_session *s, struct sy_slice name)
{
    struct sy_sqlite_prepared *prepared = sy_map_remove(&s->prepared, name);
    prepared_free(prepared);
    return prepared != NULL;
}

struct sy_sqlite_prepared *sy_sqlite_prepared_add(struct sy_sqlite_session *s, struct sy_slice name,
                                                  struct sy_sqlite_plan *plan, struct sy_slice text,
                                                  const uint32_t *types, uint16_t type_count)
{
    if (s->prepared.count >= SY_LIMIT_PREPARED_PER_CLIENT) {
        sy_err_set(&s->err, SY_E_RATE, "too many prepared statements");
        sy_err_hint(&s->err, "A session keeps at most %d; DEALLOCATE those that are not used.",
                    SY_LIMIT_PREPARED_PER_CLIENT);
        return NULL;
    }
    struct sy_sqlite_prepared *prepared = calloc(1, sizeof(*prepared));
    if (prepared == NULL) {
        out_of_memory(s);
        return NULL;
    }
    *prepared = (struct sy_sqlite_prepared){
        .name = copy_bytes(name.data, name.bytes),
        .plan = sy_sqlite_plan_ref(plan),
        .text = copy_bytes(text.data, text.bytes),
        .text_bytes = text.bytes,
        .types = (uint32_t *)(void *)copy_bytes(types, 4 * (size_t)type_count),
        .type_count = type_count,
    };
    if (prepared->name == NULL || prepared->text == NULL || prepared->types == NULL ||
        sy_map_put(&s->prepared, (struct sy_slice){prepared->name, name.bytes}, prepared, NULL,
                   &s->err) != SY_OK) {
        prepared_free(prepared);
        out_of_memory(s);
        return NULL;
    }
    return prepared;
}

void sy_sqlite_prepared_drop_all(struct sy_sqlite_session *s, bool unnamed_too)
{
    struct sy_map_entry entry;
    struct sy_sqlite_prepared *unnamed = NULL;
    for (size_t at = 0; sy_map_next(&s->prepared, &at, &entry);) {
        if (entry.key_bytes == 0 && !unnamed_too)
            unnamed = entry.value;
        else
            prepared_free(entry.value);
    }
    sy_map_clear(&s->prepared);
    if (unnamed != NULL &&
        sy_map_put(&s->prepared, (struct sy_slice){unnamed->name, 0}, unnamed, NULL, NULL) != SY_OK)
        prepared_free(unnamed);
}

/* Finds or makes the plan of a text that holds one statement. */
static bool plan_text(struct sy_sqlite_session *s, struct sy_slice text, const uint32_t *types,
                      uint16_t type_count, struct sy_sqlite_plan **ret_plan)
{
    sy_sqlite_refresh_catalog(s);
    struct sy_sqlite_plan *plan = sy_sqlite_plan_cached(s, text, types, type_count);
    if (plan != NULL) {
        *ret_plan = plan;
        return true;
    }
    struct sy_sqlite_script *script = NULL;
    if (sy_sqlite_script_parse(text, &script, &s->err) != SY_OK)
        return false;
    bool ok = true;
    if (script->tree->n_stmts > 1) {
        sy_err_set(&s->err, SY_E_SYNTAX,
                   "cannot insert multiple commands into a prepared statement");
        ok = false;
    } else if (script->tree->n_stmts == 0) {
        ok = sy_sqlite_plan_empty(s, &plan);
    } else {
        ok = sy_sqlite_plan_make(s, script, script->tree->stmts[0]->stmt, types, type_count, &plan,
                                 &s->err) == SY_OK;
    }
    if (ok && script->tree->n_stmts == 1)
        sy_sqlite_plan_cache(s, plan, text, types, type_count);
    sy_sqlite_script_unref(&script);
    *ret_plan = plan;
    return ok;
}

bool sy_sqlite_prepared_refresh(struct sy_sqlite_session *s, struct sy_sqlite_prepared *prepared)
{
    sy_sqlite_refresh_catalog(s);
    if (prepared->plan->generation == s->catalog->generation ||
        prepared->plan->t->kind == SY_STMT_EMPTY)
        return true;
    struct sy_sqlite_plan *plan = NULL;
    struct sy_slice text = {prepared->text, prepared->text_bytes};
    bool ok = prepared->script == NULL
                  ? plan_text(s, text, prepared->types, prepared->type_count, &plan)
                  : sy_sqlite_plan_make(s, prepared->script, prepared->node, prepared->types,
                                        prepared->type_count, &plan, &s->err) == SY_OK;
    if (!ok)
        return false;
    if (!sy_sqlite_same_columns(plan->t, prepared->plan->t)) {
        sy_sqlite_plan_unref(&plan);
        sy_err_set(&s->err, SY_E_UNSUPPORTED, "cached plan must not change result type");
        return false;
    }
    sy_sqlite_plan_unref(&prepared->plan);
    prepared->plan = plan;
    return true;
}

/* ---- portals ---- */

struct sy_sqlite_portal *sy_sqlite_portal_find(struct sy_sqlite_session *s, struct sy_slice name)
{
    return name.bytes == 0 ? s->unnamed : sy_map_get(&s->portals, name);
}

void sy_sqlite_portal_reset(struct sy_sqlite_portal *portal)
{
    sy_sqlite_plan_unref(&portal->plan);
    sy_arena_reset(&portal->arena);
    sy_buf_release(&portal->rows);
    sy_buf_release(&portal->offsets);
    *portal = (struct sy_sqlite_portal){.name = portal->name, .arena = portal->arena};
}

static void portal_free(struct sy_sqlite_portal *portal)
{
    sy_sqlite_portal_reset(portal);
    sy_arena_release(&portal->arena);
    free(portal->name);
    free(portal);
}

struct sy_sqlite_portal *sy_sqlite_portal_new(struct sy_sqlite_session *s, struct sy_slice name)
{
    if (s->portals.count >= SY_LIMIT_PORTALS_PER_CLIENT) {
        sy_err_set(&s->err, SY_E_RATE, "too many open portals");
        return NULL;
    }
    struct sy_sqlite_portal *portal = calloc(1, sizeof(*portal));
    if (portal != NULL)
        portal->name = copy_bytes(name.data, name.bytes);
    if (portal == NULL || portal->name == NULL ||
        sy_map_put(&s->portals, (struct sy_slice){portal->name, name.bytes}, portal, NULL,
                   &s->err) != SY_OK) {
        if (portal != NULL)
            portal_free(portal);
        out_of_memory(s);
        return NULL;
    }
    if (name.bytes == 0)
        s->unnamed = portal;
    return portal;
}

void sy_sqlite_portal_drop(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal)
{
    if (s->executing.portal == portal)
        s->executing.portal = NULL;
    if (s->unnamed == portal)
        s->unnamed = NULL;
    sy_map_remove(&s->portals, sy_slice_of(portal->name));
    portal_free(portal);
}

void sy_sqlite_portals_end(struct sy_sqlite_session *s, bool committed)
{
    if (s->portals.count == 0 || (s->portals.count == 1 && s->unnamed != NULL))
        return;
    struct sy_map_entry entry;
    struct sy_map kept = {0};
    for (size_t at = 0; sy_map_next(&s->portals, &at, &entry);) {
        struct sy_sqlite_portal *portal = entry.value;
        /* The one being executed ends the transaction itself; the unnamed one keeps its memory for
         * the next Bind. */
        if (entry.key_bytes == 0 || portal == s->executing.portal ||
            (portal->with_hold && (committed || portal->held))) {
            portal->held = true;
            if (sy_map_put(&kept, (struct sy_slice){portal->name, entry.key_bytes}, portal, NULL,
                           NULL) == SY_OK)
                continue;
        }
        if (portal == s->unnamed)
            s->unnamed = NULL;
        portal_free(portal);
    }
    sy_map_release(&s->portals);
    s->portals = kept;
}

void sy_sqlite_extended_release(struct sy_sqlite_session *s)
{
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&s->portals, &at, &entry);)
        portal_free(entry.value);
    s->unnamed = NULL;
    sy_map_release(&s->portals);
    sy_sqlite_prepared_drop_all(s, true);
    sy_map_release(&s->prepared);
    if (s->simple.portal_ready)
        sy_sqlite_portal_reset(&s->simple.portal);
    sy_arena_release(&s->simple.portal.arena);
    sy_sqlite_script_unref(&s->simple.script);
    sy_sqlite_portal_reset(&s->execute_portal);
    sy_arena_release(&s->execute_portal.arena);
}

/* ---- messages ---- */

static bool failed_block(struct sy_sqlite_session *s, const struct sy_sqtranslation *t)
{
    /* In a failed transaction only what can end it may be prepared and bound, as in PostgreSQL. */
    if (s->txn != 'E' || t->kind == SY_STMT_COMMIT || t->kind == SY_STMT_ROLLBACK ||
        t->kind == SY_STMT_ROLLBACK_TO || t->kind == SY_STMT_EMPTY)
        return false;
    sy_err_set(&s->err, SY_E_TXN_FAILED,
               "current transaction is aborted, commands ignored until end of transaction block");
    return true;
}

static bool handle_parse(struct sy_sqlite_session *s, struct sy_slice body)
{
    struct sy_parse_msg msg;
    if (sy_parse_read(body.data, body.bytes, &msg, &s->err) != SY_OK)
        return false;
    uint32_t *types = sy_arena_alloc(&s->scratch, 4 * (size_t)msg.type_count + 1);
    if (types == NULL)
        return out_of_memory(s);
    struct sy_reader reader = sy_reader_of(msg.types, 4 * (size_t)msg.type_count);
    for (uint16_t i = 0; i < msg.type_count; i++)
        types[i] = sy_read_u32(&reader);
    if (msg.name.bytes > 0 && sy_map_get(&s->prepared, msg.name) != NULL) {
        sy_err_set(&s->err, SY_E_STATE, "prepared statement \"%.*s\" already exists",
                   (int)msg.name.bytes, msg.name.data);
        sy_err_state(&s->err, "42P05");
        return false;
    }
    struct sy_sqlite_plan *plan = NULL;
    if (!plan_text(s, msg.query, types, msg.type_count, &plan))
        return false;
    bool ok = !failed_block(s, plan->t);
    if (ok && msg.name.bytes == 0)
        sy_sqlite_prepared_drop(s, msg.name);
    ok = ok && sy_sqlite_prepared_add(s, msg.name, plan, msg.query, types, msg.type_count) != NULL;
    sy_sqlite_plan_unref(&plan);
    if (ok)
        sy_write_simple(&s->out, '1');
    return ok;
}

static bool bind_parameters(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                            const struct sy_bind_msg *msg)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    uint16_t count = msg->parameter_count;
    struct sy_slice *raw = sy_arena_calloc(&portal->arena, (size_t)count + 1, sizeof(*raw));
    uint16_t *formats =
        sy_arena_calloc(&portal->arena, (size_t)msg->format_count + 1, sizeof(*formats));
    portal->parameters =
        sy_arena_calloc(&portal->arena, (size_t)count + 1, sizeof(*portal->parameters));
    if (raw == NULL || formats == NULL || portal->parameters == NULL)
        return out_of_memory(s);
    sy_bind_parameters(msg, raw);
    sy_bind_formats(msg, formats);
    for (uint16_t i = 0; i < count; i++) {
        if (raw[i].data == NULL)
            continue; /* zero: SY_SQ_NULL */
        int format = msg->format_count == 0 ? 0 : msg->format_count == 1 ? formats[0] : formats[i];
        /* The bytes live in the message: the stored value must outlive it. */
        struct sy_slice data = {sy_arena_strndup(&portal->arena, raw[i].data, raw[i].bytes),
                                raw[i].bytes};
        if (data.data == NULL)
            return out_of_memory(s);
        if (sy_type_decode(t->parameter_types[i], -1, format, data, &s->sq.types, &portal->arena,
                           &portal->parameters[i], &s->err) != SY_OK)
            return false;
    }
    return true;
}

static bool bind_formats(struct sy_sqlite_session *s, struct sy_sqlite_portal *portal,
                         const struct sy_bind_msg *msg)
{
    const struct sy_sqtranslation *t = portal->plan->t;
    portal->same_format = true;
    portal->format = 0;
    struct sy_reader reader =
        sy_reader_of(msg->result_formats, 2 * (size_t)msg->result_format_count);
    if (msg->result_format_count == 0)
        return true;
    if (msg->result_format_count == 1) {
        portal->format = sy_read_u16(&reader);
        return true;
    }
    if (msg->result_format_count != t->column_count) {
        sy_err_set(&s->err, SY_E_PROTOCOL,
                   "bind message has %u result formats but query has %u columns",
                   msg->result_format_count, t->column_count);
        return false;
    }
    portal->same_format = false;
    portal->formats = sy_arena_calloc(&portal->arena, t->column_count, sizeof(*portal->formats));
    if (portal->formats == NULL)
        return out_of_memory(s);
    for (uint32_t i = 0; i < t->column_count; i++)
        portal->formats[i] = sy_read_u16(&reader);
    return true;
}

static struct sy_sqlite_portal *portal_for_bind(struct sy_sqlite_session *s, struct sy_slice name)
{
    struct sy_sqlite_portal *portal = sy_sqlite_portal_find(s, name);
    if (portal != NULL && name.bytes > 0) {
        sy_err_set(&s->err, SY_E_STATE, "cursor \"%.*s\" already exists", (int)name.bytes,
                   name.data);
        sy_err_state(&s->err, "42P03");
        return NULL;
    }
    if (portal == NULL)
        return sy_sqlite_portal_new(s, name);
    sy_sqlite_portal_reset(portal);
    return portal;
}

static bool check_counts(struct sy_sqlite_session *s, const struct sy_sqlite_prepared *prepared,
                         const struct sy_bind_msg *msg)
{
    uint32_t wanted = prepared->plan->t->parameter_count;
    if (msg->format_count > 1 && msg->format_count != msg->parameter_count) {
        sy_err_set(&s->err, SY_E_PROTOCOL,
                   "bind message has %u parameter formats but %u parameters", msg->format_count,
                   msg->parameter_count);
        return false;
    }
    if (msg->parameter_count != wanted) {
        sy_err_set(&s->err, SY_E_PROTOCOL,
                   "bind message supplies %u parameters, but prepared statement \"%s\" requires %u",
                   msg->parameter_count, prepared->name, wanted);
        return false;
    }
    return true;
}

static bool handle_bind(struct sy_sqlite_session *s, struct sy_slice body)
{
    struct sy_bind_msg msg;
    if (sy_bind_read(body.data, body.bytes, &msg, &s->err) != SY_OK)
        return false;
    struct sy_sqlite_prepared *prepared = sy_sqlite_prepared_find(s, msg.statement);
    if (prepared == NULL || failed_block(s, prepared->plan->t) ||
        !sy_sqlite_prepared_refresh(s, prepared) || !check_counts(s, prepared, &msg))
        return false;
    struct sy_sqlite_portal *portal = portal_for_bind(s, msg.portal);
    if (portal == NULL)
        return false;
    portal->plan = sy_sqlite_plan_ref(prepared->plan);
    if (!bind_parameters(s, portal, &msg) || !bind_formats(s, portal, &msg)) {
        sy_sqlite_portal_drop(s, portal);
        return false;
    }
    sy_write_simple(&s->out, '2');
    return true;
}

void sy_sqlite_write_row_description(struct sy_sqlite_session *s,
                                     const struct sy_sqlite_portal *portal,
                                     const struct sy_sqlite_plan *plan)
{
    const struct sy_sqtranslation *t = plan->t;
    struct sy_column_desc *columns =
        sy_arena_calloc(&s->scratch, t->column_count + 1, sizeof(*columns));
    for (uint32_t i = 0; columns != NULL && i < t->column_count; i++) {
        const struct sy_sqresult_column *c = &t->columns[i];
        const struct sy_type_info *type = sy_type_find(c->type);
        columns[i] = (struct sy_column_desc){
            .name = sy_slice_of(c->name),
            .table_oid = c->table_oid,
            .attribute = (uint16_t)c->attnum,
            .type_oid = c->type,
            .type_size = type == NULL ? -1 : type->length,
            .type_modifier = c->typmod,
            .format = portal == NULL        ? 0
                      : portal->same_format ? portal->format
                                            : portal->formats[i],
        };
    }
    if (columns == NULL)
        s->out.failed = true;
    else
        sy_write_row_description(&s->out, columns, (uint16_t)t->column_count);
}

static bool describe_statement(struct sy_sqlite_session *s, struct sy_slice name)
{
    struct sy_sqlite_prepared *prepared = sy_sqlite_prepared_find(s, name);
    if (prepared == NULL || failed_block(s, prepared->plan->t) ||
        !sy_sqlite_prepared_refresh(s, prepared))
        return false;
    const struct sy_sqlite_plan *plan = sy_sqlite_describe_plan(s, prepared->plan);
    sy_write_parameter_description(&s->out, prepared->plan->t->parameter_types,
                                   (uint16_t)prepared->plan->t->parameter_count);
    if (plan != NULL && plan->t->returns_rows)
        sy_sqlite_write_row_description(s, NULL, plan);
    else if (!sy_sqlite_describe_utility(s, prepared->plan, NULL))
        sy_write_simple(&s->out, 'n');
    return true;
}

static bool no_portal(struct sy_sqlite_session *s, struct sy_slice name)
{
    sy_err_set(&s->err, SY_E_NOT_FOUND, "portal \"%.*s\" does not exist", (int)name.bytes,
               name.data);
    sy_err_state(&s->err, "34000");
    return false;
}

static bool handle_describe(struct sy_sqlite_session *s, struct sy_slice body)
{
    struct sy_describe_msg msg;
    if (sy_describe_read(body.data, body.bytes, &msg, &s->err) != SY_OK)
        return false;
    if (msg.kind == 'S')
        return describe_statement(s, msg.name);
    struct sy_sqlite_portal *portal = sy_sqlite_portal_find(s, msg.name);
    if (portal == NULL || portal->plan == NULL)
        return no_portal(s, msg.name);
    if (failed_block(s, portal->plan->t))
        return false;
    const struct sy_sqlite_plan *plan = sy_sqlite_describe_plan(s, portal->plan);
    if (plan != NULL && plan->t->returns_rows)
        sy_sqlite_write_row_description(s, portal, plan);
    else if (!sy_sqlite_describe_utility(s, portal->plan, portal))
        sy_write_simple(&s->out, 'n');
    return true;
}

static bool handle_execute(struct sy_sqlite_session *s, struct sy_slice body)
{
    struct sy_execute_msg msg;
    if (sy_execute_read(body.data, body.bytes, &msg, &s->err) != SY_OK)
        return false;
    struct sy_sqlite_portal *portal = sy_sqlite_portal_find(s, msg.portal);
    if (portal == NULL || portal->plan == NULL)
        return no_portal(s, msg.portal);
    s->executing.portal = portal;
    s->executing.row_limit = msg.row_limit;
    return true; /* the session goes on with sy_sqlite_execute_step() */
}

static bool handle_close(struct sy_sqlite_session *s, struct sy_slice body)
{
    struct sy_describe_msg msg;
    if (sy_describe_read(body.data, body.bytes, &msg, &s->err) != SY_OK)
        return false;
    if (msg.kind == 'S') {
        sy_sqlite_prepared_drop(s, msg.name);
    } else {
        struct sy_sqlite_portal *portal = sy_sqlite_portal_find(s, msg.name);
        if (portal != NULL)
            sy_sqlite_portal_drop(s, portal);
    }
    sy_write_simple(&s->out, '3');
    return true;
}

bool sy_sqlite_extended(struct sy_sqlite_session *s, char type, struct sy_slice body)
{
    switch (type) {
    case 'P':
        return handle_parse(s, body);
    case 'B':
        return handle_bind(s, body);
    case 'D':
        return handle_describe(s, body);
    case 'E':
        return handle_execute(s, body);
    default:
        return handle_close(s, body);
    }
}

enum sy_sqlite_step sy_sqlite_execute_step(struct sy_sqlite_session *s)
{
    enum sy_sqlite_step step = sy_sqlite_portal_run(s, s->executing.portal, s->executing.row_limit);
    if (step == SY_STEP_WAIT)
        return step;
    s->executing.portal = NULL;
    if (step == SY_STEP_ERROR) {
        sy_sqlite_transaction_failed(s);
        sy_sqlite_write_error(s, "ERROR");
        s->skip_to_sync = true;
    }
    return SY_STEP_DONE;
}

bool sy_sqlite_sync(struct sy_sqlite_session *s)
{
    bool ok = s->txn != 'I' || sy_sqlite_commit(s);
    struct sy_sqlite_portal *unnamed =
        s->txn == 'I' ? sy_sqlite_portal_find(s, SY_SLICE("")) : NULL;
    if (unnamed != NULL)
        sy_sqlite_portal_reset(unnamed);
    return ok;
}
