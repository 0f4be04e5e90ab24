/*
 * What the parts of one process know of transactions over several shards: the names (GIDs) under
 * which servers prepare them, which are being committed right now, and what recovery found.
 * Sessions begin and end them, replication/resolver.c recovers what was left behind, the console
 * shows it.
 *
 * Thread: any; one mutex, held for moments.
 */
#ifndef SY_ROUTER_TOPOLOGY_TRANSACTIONS_H
#define SY_ROUTER_TOPOLOGY_TRANSACTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum { SY_GID_CLUSTER_BYTES = 33, SY_GID_TEXT_BYTES = 128 };

/* sy_<cluster>_<incarnation>_<random>_<decider>_<participant>. Shards are written as hashes of
 * "database/shard", so that a name means the same after shards were added or listed in another
 * order, and in whichever database of the configuration a server appears. */
struct sy_gid {
    char cluster[SY_GID_CLUSTER_BYTES];
    int64_t incarnation;
    uint64_t random, decider, participant;
};

uint64_t sy_gid_shard(struct sy_slice database, struct sy_slice shard);
/* The name under which a participant prepares. */
void sy_gid_write(const struct sy_gid *gid, char text[SY_GID_TEXT_BYTES]);
/* The same without the participant: the key in switchyard.commit_log. */
void sy_gid_write_key(const struct sy_gid *gid, char text[SY_GID_TEXT_BYTES]);
/* False: not a name of this form. */
bool sy_gid_parse(const char *text, struct sy_gid *ret_gid);

/* The statements that make the commit log. They also stand in the hint for an operator who must run
 * them. */
extern const char sy_commit_log_sql[];

/* ---- this process ---- */

/* Names the cluster and the incarnation of what begins from now on; cluster NULL: transactions over
 * several shards are refused, with `why`. */
void sy_transactions_identify(const char *cluster, int64_t incarnation, const char *why);
/* Fills all but decider and participant and notes that it is in progress. Errors: SY_E_STATE (no
 * identity yet), SY_E_NO_MEMORY. */
SY_MUST_CHECK enum sy_status sy_transactions_begin(struct sy_gid *ret_gid, struct sy_err *err);
/* The session has done what it can: what is still prepared is recovery's. */
void sy_transactions_end(const struct sy_gid *gid);
bool sy_transactions_in_progress(const struct sy_gid *gid);
/* The oldest incarnation in which something is in progress; the present one if nothing is. */
int64_t sy_transactions_oldest(void);

/* ---- what recovery found, for the console ---- */

struct sy_transaction_found {
    char gid[SY_GID_TEXT_BYTES], state[24], database[64], decider[64], participant[64];
    char evidence[160];
    int64_t age_us;
};
/* Replaces what was found before; takes `rows` (malloc). */
void sy_transactions_found(struct sy_transaction_found *rows, uint32_t count);
void sy_transactions_each(void (*row)(void *ctx, const struct sy_transaction_found *found),
                          void *ctx);
/* RESOLVE TRANSACTION: the resolver takes it up at once. False: a request is waiting already. */
bool sy_transactions_request(const char *gid, bool commit);
bool sy_transactions_take_request(char gid[SY_GID_TEXT_BYTES], bool *ret_commit);

#endif
