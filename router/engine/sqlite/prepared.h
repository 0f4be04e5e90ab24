/*
 * Transactions over several shards of a database. Each shard's file commits by itself, and a crash
 * between two commits must not tear the transaction (docs/adr/0004):
 *
 *     PREPARE TRANSACTION 'gid'    a branch: everything is done but the COMMIT; its redo (what the
 *                                  transaction changed, as it would go to a replica) is kept here,
 *                                  and it holds its shard's writer instead of the session
 *     SET LOCAL switchyard.decision = 'N key'; COMMIT
 *                                  on the last shard, the decider: the redo of the N branches is
 *                                  committed together with its own changes; the commit point
 *     COMMIT PREPARED 'gid'        each branch commits
 *
 * After a crash the redo of branches that have not committed is applied before any shard of the
 * database may be used. Which those are, positions tell: a branch's redo belongs to the position
 * behind the last commit of its shard, which nobody else can take while the branch has the writer.
 *
 *     PREPARED --decider gathers--> DECIDING --its COMMIT--> COMMITTED
 *     PREPARED <--it failed-------- DECIDING
 *
 * Only a PREPARED branch may be rolled back. One whose session goes away is ended at once; while it
 * is DECIDING, by the decider.
 */
#ifndef SY_ROUTER_ENGINE_SQLITE_PREPARED_H
#define SY_ROUTER_ENGINE_SQLITE_PREPARED_H

#include "router/engine/sqlite/session.h"

/* PREPARE TRANSACTION in a block. False: s->err is set and nothing is prepared; the block is over
 * either way. */
bool sy_sqlite_branch_prepare(struct sy_sqlite_session *s, const char *gid);
/* COMMIT PREPARED, ROLLBACK PREPARED. False: s->err is set. */
bool sy_sqlite_branch_end(struct sy_sqlite_session *s, const char *gid, bool commit);
/* The session is going: its branches end as they must. */
void sy_sqlite_branch_abandon(struct sy_sqlite_session *s);

/* What this block's COMMIT decides; NULL: nothing. */
const char *sy_sqlite_decision(struct sy_sqlite_session *s);
/* Before and after the decider's COMMIT: *ret_decided are its branches. False: s->err is set. */
bool sy_sqlite_decision_write(struct sy_sqlite_session *s, const char *decision,
                              struct sy_sqlite_branch **ret_decided);
void sy_sqlite_decision_done(struct sy_sqlite_branch **decided, bool committed);

/* Commits what is decided on a shard whose disk refused it before. By who has the writer, outside
 * a transaction. */
bool sy_sqlite_branch_pay(struct sy_sqlite_shard *shard);
void sy_sqlite_branch_free(struct sy_sqlite_branch **branch);

/* Applies what a crash has left behind, to shards that nobody uses yet (shard->ready is false) and
 * of one database. Blocks. Errors: SY_E_CATALOG (a shard is older than what is to be applied). */
SY_MUST_CHECK enum sy_status sy_sqlite_recover(struct sy_sqlite_shard *const *shards,
                                               uint32_t count, struct sy_err *err);

#endif
