/* The client's side of prepared statements and portals: names to objects, limits. The worker's
 * thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "router/session/extended.h"
#include "router/session/internal.h"

bool sy_extended_ensure(struct sy_session *session)
{
    if (session->extended == NULL)
        session->extended = calloc(1, sizeof(*session->extended));
    return session->extended != NULL;
}

static void free_prepared(struct sy_prepared *prepared)
{
    sy_statement_unref(&prepared->statement);
    free(prepared);
}

static void clear_portal(struct sy_portal *portal)
{
    sy_statement_unref(&portal->statement);
    sy_gather_free(&portal->gather);
    char *name = portal->name;
    *portal = (struct sy_portal){.name = name};
}

static void drop_portals(struct sy_extended *extended)
{
    if (extended->unnamed_portal.statement != NULL)
        clear_portal(&extended->unnamed_portal);
    if (extended->portals.count == 0)
        return;
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&extended->portals, &at, &entry);) {
        struct sy_portal *portal = entry.value;
        clear_portal(portal);
        free(portal->name);
        free(portal);
    }
    sy_map_clear(&extended->portals);
}

void sy_extended_remove_all(struct sy_session *session)
{
    struct sy_extended *extended = session->extended;
    if (extended == NULL)
        return;
    struct sy_map_entry entry;
    for (size_t at = 0; sy_map_next(&extended->statements, &at, &entry);)
        free_prepared(entry.value);
    sy_map_clear(&extended->statements);
    extended->statement_bytes = 0;
    if (extended->unnamed != NULL)
        free_prepared(extended->unnamed);
    extended->unnamed = NULL;
}

void sy_extended_free(struct sy_session *session)
{
    struct sy_extended *extended = session->extended;
    if (extended == NULL)
        return;
    sy_extended_remove_all(session);
    drop_portals(extended);
    if (extended->unnamed_parse.chunk != NULL)
        sy_chunk_unref(extended->unnamed_parse.chunk);
    sy_map_release(&extended->statements);
    sy_map_release(&extended->portals);
    free(extended);
    session->extended = NULL;
}

void sy_extended_cycle_over(struct sy_session *session)
{
    struct sy_extended *extended = session->extended;
    if (extended->unnamed_parse.chunk != NULL)
        sy_chunk_unref(extended->unnamed_parse.chunk);
    extended->unnamed_parse.chunk = NULL;
    if (session->txn == 'I')
        drop_portals(extended);
}

void sy_extended_txn_over(struct sy_session *session)
{
    /* The portal being executed is the COMMIT's own: it is dropped with the cycle. */
    if (!session->in_batch)
        drop_portals(session->extended);
}

struct sy_prepared *sy_extended_find(struct sy_session *session, struct sy_slice name,
                                     struct sy_err *err)
{
    struct sy_prepared *found = NULL;
    if (session->extended != NULL)
        found = name.bytes == 0 ? session->extended->unnamed
                                : sy_map_get(&session->extended->statements, name);
    if (found == NULL) {
        if (name.bytes == 0)
            (void)sy_err_set(err, SY_E_NOT_FOUND, "unnamed prepared statement does not exist");
        else
            (void)sy_err_set(err, SY_E_NOT_FOUND, "prepared statement \"%.*s\" does not exist",
                             (int)name.bytes, name.data);
        sy_err_state(err, "26000");
    }
    return found;
}

/* Puts the client's name of its database into the text, where that says something else. */
static enum sy_status say_database(struct sy_session *session, struct sy_slice *text,
                                   struct sy_err *err)
{
    struct sy_exec exec;
    struct sy_scan scan;
    enum sy_status status = sy_exec_parse(session, *text, &exec, &scan, err);
    if (status != SY_OK)
        return status;
    if (exec.template->facts->stmt_count == 1) {
        status = sy_exec_route(session, &exec, 0, err);
        if (status == SY_OK && sy_route_names_database(exec.route))
            status =
                sy_route_rename(*text, session->database->name, &session->worker->arena, text, err);
    }
    sy_template_unref(session->worker->parser, exec.template);
    return status;
}

enum sy_status sy_extended_define(struct sy_session *session, struct sy_slice name,
                                  const struct sy_statement_key *key, struct sy_err *err)
{
    if (!sy_extended_ensure(session))
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    struct sy_extended *extended = session->extended;
    if (name.bytes > 0 && sy_map_get(&extended->statements, name) != NULL) {
        enum sy_status status =
            sy_err_set(err, SY_E_STATE, "prepared statement \"%.*s\" already exists",
                       (int)name.bytes, name.data);
        sy_err_state(err, "42P05");
        return status;
    }
    if (extended->statements.count >= SY_LIMIT_PREPARED_PER_CLIENT)
        return sy_err_set(err, SY_E_RATE, "too many prepared statements");
    uint64_t bytes = name.bytes == 0 ? 0 : name.bytes + key->text.bytes;
    if (bytes > SY_LIMIT_PREPARED_BYTES_PER_CLIENT - extended->statement_bytes) {
        enum sy_status status = sy_err_set(err, SY_E_RATE, "prepared statements of more than %d MB",
                                           SY_LIMIT_PREPARED_BYTES_PER_CLIENT / (1024 * 1024));
        sy_err_hint(err, "Close some, or use the unnamed statement.");
        return status;
    }
    struct sy_prepared *prepared = calloc(1, sizeof(*prepared) + name.bytes + 1);
    if (prepared == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    memcpy(prepared->name, name.data, name.bytes);
    prepared->environment = session->environment;
    prepared->bytes = bytes;
    prepared->serial = ++session->worker->last_serial;
    struct sy_parse_settings settings = sy_session_parse_settings(session);
    struct sy_statement_key renamed = *key;
    enum sy_status status =
        session->database->renamed ? say_database(session, &renamed.text, err) : SY_OK;
    if (status == SY_OK)
        status = sy_statement_intern(&session->worker->statements, &renamed, &settings,
                                     &prepared->statement, err);
    if (status == SY_OK && name.bytes > 0)
        status = sy_map_put(&extended->statements, (struct sy_slice){prepared->name, name.bytes},
                            prepared, NULL, err);
    if (status != SY_OK) {
        free_prepared(prepared);
        return status;
    }
    extended->statement_bytes += bytes;
    if (name.bytes > 0)
        return SY_OK;
    if (extended->unnamed != NULL)
        free_prepared(extended->unnamed);
    extended->unnamed = prepared;
    return SY_OK;
}

void sy_extended_remove(struct sy_session *session, struct sy_slice name)
{
    struct sy_extended *extended = session->extended;
    if (extended == NULL)
        return;
    struct sy_prepared *prepared =
        name.bytes == 0 ? extended->unnamed : sy_map_remove(&extended->statements, name);
    if (name.bytes == 0)
        extended->unnamed = NULL;
    if (prepared != NULL) {
        extended->statement_bytes -= prepared->bytes;
        free_prepared(prepared);
    }
}

void sy_extended_forget_id(struct sy_session *session, uint64_t id)
{
    struct sy_map_entry entry;
    if (session->extended == NULL)
        return;
    for (size_t at = 0; sy_map_next(&session->extended->statements, &at, &entry);) {
        struct sy_prepared *prepared = entry.value;
        if (prepared->statement->id != id || !prepared->statement->by_sql)
            continue;
        sy_extended_remove(session, sy_slice_of(prepared->name));
        return;
    }
}

uint32_t sy_extended_count(const struct sy_session *session)
{
    return session->extended == NULL ? 0 : session->extended->statements.count;
}

/* ---- portals ---- */

struct sy_portal *sy_portal_find(struct sy_session *session, struct sy_slice name)
{
    struct sy_extended *extended = session->extended;
    if (name.bytes == 0)
        return extended->unnamed_portal.statement == NULL ? NULL : &extended->unnamed_portal;
    return sy_map_get(&extended->portals, name);
}

static struct sy_portal *new_portal(struct sy_extended *extended, struct sy_slice name,
                                    struct sy_err *err)
{
    if (extended->portals.count >= SY_LIMIT_PORTALS_PER_CLIENT) {
        (void)sy_err_set(err, SY_E_RATE, "too many portals");
        return NULL;
    }
    struct sy_portal *portal = calloc(1, sizeof(*portal));
    if (portal != NULL)
        portal->name = strndup(name.data, name.bytes);
    if (portal == NULL || portal->name == NULL ||
        sy_map_put(&extended->portals, (struct sy_slice){portal->name, name.bytes}, portal, NULL,
                   err) != SY_OK) {
        (void)sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
        if (portal != NULL)
            free(portal->name);
        free(portal);
        return NULL;
    }
    return portal;
}

struct sy_portal *sy_portal_define(struct sy_session *session, struct sy_slice name,
                                   struct sy_statement *statement, struct sy_err *err)
{
    struct sy_extended *extended = session->extended;
    struct sy_portal *portal = sy_portal_find(session, name);
    if (portal != NULL && name.bytes > 0) {
        (void)sy_err_set(err, SY_E_STATE, "portal \"%.*s\" already exists", (int)name.bytes,
                         name.data);
        sy_err_state(err, "42P03");
        return NULL;
    }
    if (name.bytes == 0) {
        portal = &extended->unnamed_portal;
        if (portal->statement != NULL)
            clear_portal(portal);
    } else {
        portal = new_portal(extended, name, err);
        if (portal == NULL)
            return NULL;
    }
    portal->statement = sy_statement_ref(statement);
    return portal;
}

void sy_portal_remove(struct sy_session *session, struct sy_slice name)
{
    struct sy_extended *extended = session->extended;
    if (name.bytes == 0) {
        if (extended->unnamed_portal.statement != NULL)
            clear_portal(&extended->unnamed_portal);
        return;
    }
    struct sy_portal *portal = sy_map_remove(&extended->portals, name);
    if (portal == NULL)
        return;
    clear_portal(portal);
    free(portal->name);
    free(portal);
}
