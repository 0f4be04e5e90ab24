/* The simple protocol: a text with any number of statements, one transaction unless it says
 * otherwise. */
#include <string.h>

#include "router/engine/sqlite/copy.h"
#include "router/engine/sqlite/session.h"
#include "router/engine/sqlite/session_env.h"

static void simple_end(struct sy_sqlite_session *s)
{
    if (s->simple.portal_ready)
        sy_sqlite_portal_reset(&s->simple.portal);
    s->simple.portal_ready = false;
    s->simple.active = false;
    sy_sqlite_script_unref(&s->simple.script);
    sy_sqlite_session_ready(s);
}

static void simple_failed(struct sy_sqlite_session *s)
{
    sy_sqlite_transaction_failed(s);
    sy_sqlite_write_error(s, "ERROR");
    simple_end(s);
}

void sy_sqlite_simple_failed(struct sy_sqlite_session *s)
{
    simple_failed(s);
}

void sy_sqlite_simple_start(struct sy_sqlite_session *s, struct sy_slice sql)
{
    struct sy_sqlite_portal *unnamed = sy_sqlite_portal_find(s, SY_SLICE(""));
    if (unnamed != NULL)
        sy_sqlite_portal_reset(unnamed);
    sy_sqlite_prepared_drop(s, SY_SLICE(""));
    sy_sqlite_refresh_catalog(s);
    s->simple.active = true;
    s->simple.described = false;
    s->simple.at = 0;
    s->simple.count = 1;
    s->simple.portal_ready = false;
    struct sy_sqlite_plan *plan = sy_sqlite_plan_cached(s, sql, NULL, 0);
    if (plan != NULL) {
        sy_sqlite_portal_reset(&s->simple.portal);
        s->simple.portal.plan = plan;
        s->simple.portal.same_format = true;
        s->simple.portal_ready = true;
        return;
    }
    if (sy_sqlite_script_parse(sql, &s->simple.script, &s->err) != SY_OK) {
        simple_failed(s);
        return;
    }
    s->simple.count = (uint32_t)s->simple.script->tree->n_stmts;
    if (s->simple.count == 0) {
        sy_write_empty_query(&s->out);
        simple_end(s);
    }
}

static bool ends_a_failed_block(const PgQuery__Node *node)
{
    if (node->node_case != PG_QUERY__NODE__NODE_TRANSACTION_STMT)
        return false;
    PgQuery__TransactionStmtKind kind = node->transaction_stmt->kind;
    return kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT ||
           kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK ||
           kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO;
}

static bool prepare_next(struct sy_sqlite_session *s)
{
    struct sy_sqlite_portal *portal = &s->simple.portal;
    const PgQuery__Node *node = s->simple.script->tree->stmts[s->simple.at]->stmt;
    if (s->txn == 'E' && !ends_a_failed_block(node)) {
        sy_err_set(
            &s->err, SY_E_TXN_FAILED,
            "current transaction is aborted, commands ignored until end of transaction block");
        return false;
    }
    sy_sqlite_refresh_catalog(s);
    sy_sqlite_env_statement(s);
    struct sy_sqlite_plan *plan = NULL;
    if (sy_sqlite_plan_make(s, s->simple.script, node, NULL, 0, &plan, &s->err) != SY_OK)
        return false;
    if (plan->t->parameter_count > 0) {
        sy_err_set(&s->err, SY_E_NOT_FOUND, "there is no parameter $%u", plan->t->parameter_count);
        sy_err_state(&s->err, "42P02");
        sy_sqlite_plan_unref(&plan);
        return false;
    }
    if (s->simple.count == 1)
        sy_sqlite_plan_cache(
            s, plan, (struct sy_slice){s->simple.script->text, s->simple.script->text_bytes}, NULL,
            0);
    sy_sqlite_portal_reset(portal);
    portal->plan = plan;
    portal->same_format = true;
    s->simple.portal_ready = true;
    return true;
}

/* The last statement's tag is the acknowledgement: an implicit transaction is committed before it
 * goes out. */
static bool commit_implicit(struct sy_sqlite_session *s)
{
    if (s->txn != 'I' || s->simple.at < s->simple.count)
        return true;
    if (sy_sqlite_commit(s))
        return true;
    if (s->tag_mark <= s->out.bytes)
        s->out.bytes = s->tag_mark;
    return false;
}

static bool needs_description(const struct sy_sqtranslation *t)
{
    return t->returns_rows && !sy_sqlite_is_utility(t->kind) && t->kind != SY_STMT_COPY_TO;
}

enum sy_sqlite_step sy_sqlite_simple_step(struct sy_sqlite_session *s)
{
    while (s->simple.at < s->simple.count) {
        if (!s->simple.portal_ready && !prepare_next(s)) {
            simple_failed(s);
            return SY_STEP_DONE;
        }
        struct sy_sqlite_portal *portal = &s->simple.portal;
        if (needs_description(portal->plan->t) && !s->simple.described) {
            sy_sqlite_write_row_description(s, portal, portal->plan);
            s->simple.described = true;
        }
        s->tag_mark = s->out.bytes;
        enum sy_sqlite_step step = sy_sqlite_portal_run(s, portal, 0);
        if (step == SY_STEP_WAIT)
            return step;
        s->simple.described = false;
        if (step == SY_STEP_ERROR) {
            simple_failed(s);
            return SY_STEP_DONE;
        }
        if (s->copy != NULL)
            return SY_STEP_DONE; /* its data comes first; sy_sqlite_simple_next() when it has ended
                                  */
        if (!sy_sqlite_simple_next(s))
            return SY_STEP_DONE;
    }
    simple_end(s);
    return SY_STEP_DONE;
}

bool sy_sqlite_simple_next(struct sy_sqlite_session *s)
{
    sy_sqlite_portal_reset(&s->simple.portal);
    s->simple.portal_ready = false;
    s->simple.at++;
    if (commit_implicit(s))
        return true;
    simple_failed(s);
    return false;
}
