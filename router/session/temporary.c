/*
 * The names of the session's temporary tables, which shadow those of sharded ones. Followed from
 * what the client says; where that does not tell whether a table still exists, its name is in
 * doubt, and a statement in which a doubtful name could mean a declared table is refused. The
 * worker's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "router/session/internal.h"

/* The planner's answers depend on the names. */
static void changed(struct sy_session *session)
{
    sy_session_settings_changed(session, sy_settings_ref(session->settings));
}

void sy_temporary_add(struct sy_session *session, const char *name, bool dropped_at_commit)
{
    size_t bytes = name == NULL ? 0 : strlen(name) + 1;
    if (bytes <= 1)
        return;
    char *more = realloc(session->temporary, session->temporary_bytes + bytes);
    if (more == NULL)
        return;
    struct sy_txn *txn = session->txn != 'I' ? session->txn_state : NULL;
    if (txn != NULL && !txn->temporary_touched) {
        txn->temporary_touched = true;
        txn->temporary_begin = session->temporary_bytes;
        txn->temporary_stays = false;
    }
    if (txn != NULL)
        txn->temporary_stays = txn->temporary_stays || !dropped_at_commit;
    if (txn != NULL && dropped_at_commit)
        txn->temporary_goes = true;
    memcpy(more + session->temporary_bytes, name, bytes);
    session->temporary = more;
    session->temporary_bytes += (uint32_t)bytes;
    session->temporary_fresh = true;
    changed(session);
}

static char *find(const struct sy_session *session, struct sy_slice name)
{
    char *at = session->temporary, *end = at == NULL ? NULL : at + session->temporary_bytes;
    for (; at < end; at += strlen(at) + 1)
        if (sy_slice_eq(sy_slice_of(at), name))
            return at;
    return NULL;
}

bool sy_temporary_names(const struct sy_session *session, const struct sy_stmt *stmt)
{
    for (int32_t i = 0; session->temporary_bytes > 0 && i < stmt->table_count; i++)
        if (find(session, stmt->tables[i].name.name) != NULL)
            return true;
    return false;
}

/* Outside a block it is gone; inside, a ROLLBACK may bring it back. */
void sy_temporary_drop(struct sy_session *session, const char *name)
{
    char *at = find(session, sy_slice_of(name));
    if (at == NULL)
        return;
    if (session->txn != 'I' || session->implicit_txn) {
        session->temporary_doubt = true;
        return;
    }
    size_t bytes = strlen(at) + 1;
    size_t rest = (size_t)(session->temporary + session->temporary_bytes - (at + bytes));
    memmove(at, at + bytes, rest);
    session->temporary_bytes -= (uint32_t)bytes;
    changed(session);
}

void sy_temporary_forget(struct sy_session *session)
{
    free(session->temporary);
    session->temporary = NULL;
    session->temporary_bytes = 0;
    session->temporary_doubt = false;
    if (session->txn_state != NULL)
        session->txn_state->temporary_touched = false;
    changed(session);
}

void sy_temporary_txn_over(struct sy_session *session, bool committed)
{
    struct sy_txn *txn = session->txn_state;
    if (!txn->temporary_touched)
        return;
    txn->temporary_touched = false;
    bool all_gone = !committed || (txn->temporary_goes && !txn->temporary_stays);
    if (all_gone && txn->temporary_begin <= session->temporary_bytes) {
        session->temporary_bytes = txn->temporary_begin;
        changed(session);
    } else if (committed && txn->temporary_goes) {
        session->temporary_doubt = true;
    }
    txn->temporary_goes = false;
}

/* A name in doubt that could mean a table which the configuration declares. */
bool sy_temporary_doubtful(const struct sy_session *session, const struct sy_stmt *stmt)
{
    const struct sy_shardmap *map = session->database->topology->map;
    if (!session->temporary_doubt)
        return false;
    for (int32_t i = 0; i < stmt->table_count; i++) {
        const struct sy_qname *name = &stmt->tables[i].name;
        if (name->schema.bytes > 0 || find(session, name->name) == NULL)
            continue;
        for (uint32_t t = 0; t < sy_shardmap_table_count(map); t++)
            if (sy_slice_eq(sy_shardmap_table(map, t)->name, name->name))
                return true;
    }
    return false;
}
