/* What recovery does to transactions that were left prepared: reads, decides, obeys. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/grow.h"
#include "base/log.h"
#include "replication/resolver_internal.h"

/* The router that prepared is this process and has let go of it: its last message may still be
 * under way. */
enum { GRACE_US = 1000 * 1000 };

static PGresult *ask(PGconn *conn, const char *sql, int count, const char *const *values)
{
    return pg_ask(conn, sql, count, values, RESOLVER_PATIENCE_MS);
}

static bool run(PGconn *conn, const char *sql, char *why, size_t why_bytes)
{
    PGresult *result = pg_ask(conn, sql, 0, NULL, RESOLVER_PATIENCE_MS);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (!good && why != NULL) {
        const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        snprintf(why, why_bytes, "%s", text != NULL ? text : "the server cannot be reached");
    }
    PQclear(result);
    return good;
}

static struct resolver_shard *shard_of(const struct resolver_look *look, uint64_t id)
{
    for (uint32_t i = 0; i < look->shard_count; i++)
        if (look->shards[i].id == id)
            return &look->shards[i];
    return NULL;
}

static struct sy_transaction_found *add_row(struct resolver_look *look, const char *gid,
                                            const struct resolver_shard *participant)
{
    struct sy_transaction_found *rows =
        sy_grown(look->rows, look->row_count, &look->row_room, 8, sizeof(*rows));
    if (rows == NULL)
        return NULL;
    look->rows = rows;
    struct sy_transaction_found *row = &look->rows[look->row_count++];
    *row = (struct sy_transaction_found){0};
    snprintf(row->gid, sizeof(row->gid), "%s", gid);
    snprintf(row->database, sizeof(row->database), "%s", look->database->config->name);
    snprintf(row->participant, sizeof(row->participant), "%s", participant->name);
    return row;
}

static void judge(struct sy_transaction_found *row, const char *state, const char *evidence)
{
    snprintf(row->state, sizeof(row->state), "%s", state);
    snprintf(row->evidence, sizeof(row->evidence), "%s", evidence);
}

/* ---- the decider's word ---- */

enum word { WORD_NONE, WORD_COMMIT, WORD_ABORT, WORD_DOUBT };

/* Rows of incarnations below this were removed: a missing one means nothing. */
static bool read_low_water(const struct resolver_look *look, PGconn *decider, int64_t *ret_mark)
{
    char key[64];
    snprintf(key, sizeof(key), "low_water_%s", look->cluster);
    const char *values[] = {key};
    PGresult *result =
        ask(decider, "SELECT decision FROM switchyard.commit_log WHERE gid = $1", 1, values);
    bool good = PQresultStatus(result) == PGRES_TUPLES_OK;
    *ret_mark = good && PQntuples(result) > 0 ? strtoll(pg_value(result, 0, 0), NULL, 10) : 0;
    PQclear(result);
    return good;
}

static enum word read_word(PGconn *decider, const char *key)
{
    const char *values[] = {key};
    PGresult *result =
        ask(decider, "SELECT decision FROM switchyard.commit_log WHERE gid = $1", 1, values);
    enum word word = WORD_NONE;
    if (PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) > 0)
        word = strcmp(pg_value(result, 0, 0), "commit") == 0 ? WORD_COMMIT : WORD_ABORT;
    PQclear(result);
    return word;
}

/* Waits for a committer that is still at work: its own row is in the way. */
static bool insert_word(PGconn *decider, const char *key, const char *decision)
{
    const char *values[] = {key, decision};
    PGresult *result = ask(decider,
                           "INSERT INTO switchyard.commit_log (gid, decision) VALUES ($1, $2) ON "
                           "CONFLICT DO NOTHING",
                           2, values);
    bool good = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return good;
}

/* Absence of a row never means abort: an abort row is put there first, then the stored row counts.
 */
static enum word decision_of(const struct resolver_look *look, PGconn *decider,
                             const struct sy_gid *gid)
{
    char key[SY_GID_TEXT_BYTES];
    int64_t low_water;
    sy_gid_write_key(gid, key);
    enum word word = read_word(decider, key);
    if (word != WORD_NONE)
        return word;
    if (!read_low_water(look, decider, &low_water))
        return WORD_NONE;
    if (gid->incarnation < low_water)
        return WORD_DOUBT;
    return insert_word(decider, key, "abort") ? read_word(decider, key) : WORD_NONE;
}

/* ---- obeying ---- */

static bool finish(const struct resolver_shard *shard, const char *gid, const char *owner,
                   bool same_role, bool commit, char *why, size_t why_bytes)
{
    char sql[SY_GID_TEXT_BYTES + 40];
    snprintf(sql, sizeof(sql), "%s PREPARED '%s'", commit ? "COMMIT" : "ROLLBACK", gid);
    if (same_role)
        return run(shard->conn, sql, why, why_bytes);
    /* Only the role that prepared, or a superuser, may finish it. */
    char *quoted = PQescapeIdentifier(shard->conn, owner, strlen(owner));
    char set_role[256];
    snprintf(set_role, sizeof(set_role), "SET ROLE %s", quoted == NULL ? "none" : quoted);
    PQfreemem(quoted);
    bool good = run(shard->conn, set_role, why, why_bytes) && run(shard->conn, sql, why, why_bytes);
    (void)run(shard->conn, "RESET ROLE", NULL, 0);
    return good;
}

static void resolve(struct resolver_look *look, const struct resolver_shard *shard,
                    const struct sy_gid *gid, const char *owner, bool same_role,
                    struct sy_transaction_found *row)
{
    struct resolver_shard *decider = shard_of(look, gid->decider);
    char why[120];
    if (decider == NULL) {
        judge(row, "in doubt", "its decider is not a shard of this database");
        return;
    }
    snprintf(row->decider, sizeof(row->decider), "%s", decider->name);
    if (sy_transactions_in_progress(gid)) {
        judge(row, "in progress", "a session of this router is committing it");
        return;
    }
    if (gid->incarnation == look->incarnation && row->age_us < GRACE_US) {
        judge(row, "in progress", "it was prepared a moment ago");
        return;
    }
    if (decider->conn == NULL) {
        judge(row, "waiting", "its decider cannot be reached");
        return;
    }
    enum word word = decision_of(look, decider->conn, gid);
    if (word == WORD_DOUBT) {
        judge(row, "in doubt",
              "the decider's rows of that time were removed: RESOLVE TRANSACTION decides");
        return;
    }
    if (word == WORD_NONE) {
        judge(row, "waiting", "the decider's commit log cannot be read or written");
        return;
    }
    bool commit = word == WORD_COMMIT;
    if (finish(shard, row->gid, owner, same_role, commit, why, sizeof(why))) {
        SY_LOG(SY_LOG_WARN, "transaction resolved", SY_KV_STR("gid", row->gid),
               SY_KV_STR("shard", shard->name), SY_KV_STR("outcome", commit ? "commit" : "abort"));
        judge(row, commit ? "committed" : "rolled back",
              commit ? "the decider's commit log says commit" : "the decider did not commit");
        return;
    }
    judge(row, commit ? "commit" : "abort", why);
}

static void look_at(struct resolver_look *look, struct resolver_shard *shard,
                    const PGresult *result, int i)
{
    struct sy_gid gid;
    const char *text = pg_value(result, i, 0);
    if (!sy_gid_parse(text, &gid) || strcmp(gid.cluster, look->cluster) != 0 ||
        gid.participant != shard->id)
        return; /* another cluster's, or another database's of the configuration */
    struct sy_transaction_found *row = add_row(look, text, shard);
    if (row == NULL) {
        look->complete = false;
        return;
    }
    row->age_us = strtoll(pg_value(result, i, 2), NULL, 10);
    if (gid.incarnation < look->oldest_prepared)
        look->oldest_prepared = gid.incarnation;
    resolve(look, shard, &gid, pg_value(result, i, 1), pg_value(result, i, 3)[0] == 't', row);
}

void sy_resolver_look(struct resolver_look *look)
{
    look->complete = true;
    look->oldest_prepared = look->incarnation;
    for (uint32_t s = 0; s < look->shard_count; s++) {
        struct resolver_shard *shard = &look->shards[s];
        PGresult *result =
            shard->conn == NULL
                ? NULL
                : ask(shard->conn,
                      "SELECT gid, owner, (extract(epoch FROM clock_timestamp() - prepared) * "
                      "1000000)::bigint, owner = current_user OR current_setting("
                      "'is_superuser')::bool FROM pg_catalog.pg_prepared_xacts WHERE database = "
                      "current_database() AND gid LIKE 'sy\\_%'",
                      0, NULL);
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            look->complete = false;
        for (int i = 0; PQresultStatus(result) == PGRES_TUPLES_OK && i < PQntuples(result); i++)
            look_at(look, shard, result, i);
        PQclear(result);
    }
}

bool sy_resolver_decide(struct resolver_look *look, const char *gid_text, bool commit)
{
    struct sy_gid gid;
    char key[SY_GID_TEXT_BYTES];
    if (!sy_gid_parse(gid_text, &gid) || strcmp(gid.cluster, look->cluster) != 0)
        return false;
    struct resolver_shard *participant = shard_of(look, gid.participant);
    struct resolver_shard *decider = shard_of(look, gid.decider);
    if (participant == NULL)
        return false;
    bool stored = false;
    sy_gid_write_key(&gid, key);
    if (decider != NULL && decider->conn != NULL && !sy_transactions_in_progress(&gid))
        stored = insert_word(decider->conn, key, commit ? "commit" : "abort");
    enum word word = stored ? read_word(decider->conn, key) : WORD_NONE;
    bool agreed = word == (commit ? WORD_COMMIT : WORD_ABORT);
    SY_LOG(agreed ? SY_LOG_WARN : SY_LOG_ERROR,
           agreed ? "an operator decided a transaction"
                  : "an operator's decision was refused: the decider has another, or cannot be "
                    "reached",
           SY_KV_STR("gid", gid_text), SY_KV_STR("decision", commit ? "commit" : "abort"));
    return true;
}

/* ---- removing rows ---- */

void sy_resolver_prune(struct resolver_look *look, int64_t below)
{
    char sql[600];
    for (uint32_t s = 0; s < look->shard_count; s++) {
        if (look->shards[s].conn == NULL)
            continue;
        /* The mark first, in the same transaction: who sees no row also sees why. */
        snprintf(sql, sizeof(sql),
                 "BEGIN; INSERT INTO switchyard.commit_log AS l (gid, decision) VALUES "
                 "('low_water_%s', '%" PRId64 "') ON CONFLICT (gid) DO UPDATE SET decision = "
                 "greatest(l.decision::bigint, excluded.decision::bigint)::text; DELETE FROM "
                 "switchyard.commit_log WHERE gid LIKE 'sy\\_%s\\_%%' AND split_part(gid, '_', "
                 "3)::bigint < %" PRId64 "; COMMIT",
                 look->cluster, below, look->cluster, below);
        if (!run(look->shards[s].conn, sql, NULL, 0))
            (void)run(look->shards[s].conn, "ROLLBACK", NULL, 0);
    }
}
