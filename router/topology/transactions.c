#include "router/topology/transactions.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <xxhash.h>

const char sy_commit_log_sql[] =
    "CREATE SCHEMA IF NOT EXISTS switchyard; "
    "CREATE TABLE IF NOT EXISTS switchyard.commit_log (gid text PRIMARY KEY, decision text NOT "
    "NULL, at timestamptz NOT NULL DEFAULT now(), participants text); "
    "GRANT USAGE ON SCHEMA switchyard TO PUBLIC; GRANT INSERT ON switchyard.commit_log TO PUBLIC";

struct running {
    struct running *next;
    uint64_t random;
    int64_t incarnation;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* All under lock. */
static char own_cluster[SY_GID_CLUSTER_BYTES];
static int64_t own_incarnation;
static char no_identity[200] = "the router has not opened its catalog yet";
static struct running *running;
static struct sy_transaction_found *found_rows;
static uint32_t found_count;
static char requested[SY_GID_TEXT_BYTES];
static bool requested_commit;

/* ---- names ---- */

uint64_t sy_gid_shard(struct sy_slice database, struct sy_slice shard)
{
    uint64_t seed = XXH64(database.data, database.bytes, 0);
    return XXH64(shard.data, shard.bytes, seed);
}

void sy_gid_write_key(const struct sy_gid *gid, char text[SY_GID_TEXT_BYTES])
{
    snprintf(text, SY_GID_TEXT_BYTES, "sy_%s_%" PRId64 "_%016" PRIx64 "_%016" PRIx64, gid->cluster,
             gid->incarnation, gid->random, gid->decider);
}

void sy_gid_write(const struct sy_gid *gid, char text[SY_GID_TEXT_BYTES])
{
    snprintf(text, SY_GID_TEXT_BYTES, "sy_%s_%" PRId64 "_%016" PRIx64 "_%016" PRIx64 "_%016" PRIx64,
             gid->cluster, gid->incarnation, gid->random, gid->decider, gid->participant);
}

bool sy_gid_parse(const char *text, struct sy_gid *ret_gid)
{
    struct sy_gid gid = {0};
    char again[SY_GID_TEXT_BYTES];
    int fields = sscanf(text, "sy_%32[0-9a-f]_%" SCNd64 "_%16" SCNx64 "_%16" SCNx64 "_%16" SCNx64,
                        gid.cluster, &gid.incarnation, &gid.random, &gid.decider, &gid.participant);
    if (fields != 5)
        return false;
    sy_gid_write(&gid, again);
    if (strcmp(again, text) != 0)
        return false;
    *ret_gid = gid;
    return true;
}

/* ---- this process ---- */

void sy_transactions_identify(const char *cluster, int64_t incarnation, const char *why)
{
    pthread_mutex_lock(&lock);
    snprintf(own_cluster, sizeof(own_cluster), "%s", cluster == NULL ? "" : cluster);
    own_incarnation = incarnation;
    if (why != NULL)
        snprintf(no_identity, sizeof(no_identity), "%s", why);
    pthread_mutex_unlock(&lock);
}

enum sy_status sy_transactions_begin(struct sy_gid *ret_gid, struct sy_err *err)
{
    struct running *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (getrandom(&entry->random, sizeof(entry->random), 0) != (ssize_t)sizeof(entry->random)) {
        free(entry);
        return sy_err_set(err, SY_E_INTERNAL, "no random numbers");
    }
    enum sy_status status = SY_OK;
    *ret_gid = (struct sy_gid){.random = entry->random};
    pthread_mutex_lock(&lock);
    if (own_cluster[0] == 0) {
        status = sy_err_set(err, SY_E_STATE, "a transaction over several shards cannot commit: %s",
                            no_identity);
        sy_err_hint(err, "Its names come from the catalog in data_dir; the log tells more.");
    } else {
        memcpy(ret_gid->cluster, own_cluster, sizeof(own_cluster));
        ret_gid->incarnation = entry->incarnation = own_incarnation;
        entry->next = running;
        running = entry;
        entry = NULL;
    }
    pthread_mutex_unlock(&lock);
    free(entry);
    return status;
}

void sy_transactions_end(const struct sy_gid *gid)
{
    struct running *gone = NULL;
    pthread_mutex_lock(&lock);
    for (struct running **at = &running; *at != NULL; at = &(*at)->next) {
        if ((*at)->random != gid->random)
            continue;
        gone = *at;
        *at = gone->next;
        break;
    }
    pthread_mutex_unlock(&lock);
    free(gone);
}

bool sy_transactions_in_progress(const struct sy_gid *gid)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (const struct running *at = running; at != NULL && !found; at = at->next)
        found = at->random == gid->random;
    pthread_mutex_unlock(&lock);
    return found;
}

int64_t sy_transactions_oldest(void)
{
    pthread_mutex_lock(&lock);
    int64_t oldest = own_incarnation;
    for (const struct running *at = running; at != NULL; at = at->next)
        if (at->incarnation < oldest)
            oldest = at->incarnation;
    pthread_mutex_unlock(&lock);
    return oldest;
}

/* ---- console ---- */

void sy_transactions_found(struct sy_transaction_found *rows, uint32_t count)
{
    pthread_mutex_lock(&lock);
    struct sy_transaction_found *old = found_rows;
    found_rows = rows;
    found_count = count;
    pthread_mutex_unlock(&lock);
    free(old);
}

void sy_transactions_each(void (*row)(void *ctx, const struct sy_transaction_found *found),
                          void *ctx)
{
    pthread_mutex_lock(&lock);
    for (uint32_t i = 0; i < found_count; i++)
        row(ctx, &found_rows[i]);
    pthread_mutex_unlock(&lock);
}

bool sy_transactions_request(const char *gid, bool commit)
{
    pthread_mutex_lock(&lock);
    bool taken = requested[0] == 0;
    if (taken) {
        snprintf(requested, sizeof(requested), "%s", gid);
        requested_commit = commit;
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

bool sy_transactions_take_request(char gid[SY_GID_TEXT_BYTES], bool *ret_commit)
{
    pthread_mutex_lock(&lock);
    bool there = requested[0] != 0;
    memcpy(gid, requested, SY_GID_TEXT_BYTES);
    *ret_commit = requested_commit;
    requested[0] = 0;
    pthread_mutex_unlock(&lock);
    return there;
}
