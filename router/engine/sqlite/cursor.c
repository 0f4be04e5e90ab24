/* SQL cursors. The whole result is read when the cursor is declared, which also makes it
 * insensitive and scrollable. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "router/engine/sqlite/utility.h"

/* PostgreSQL's bits of DeclareCursorStmt.options. */
enum {
    OPTION_BINARY = 0x0001,
    OPTION_SCROLL = 0x0002,
    OPTION_NO_SCROLL = 0x0004,
    OPTION_HOLD = 0x0020
};

struct sy_sqlite_portal *sy_sqlite_cursor(struct sy_sqlite_session *s, const char *name)
{
    struct sy_sqlite_portal *cursor = sy_sqlite_portal_find(s, sy_slice_of(name));
    if (cursor != NULL && cursor->plan != NULL)
        return cursor;
    sy_err_set(&s->err, SY_E_STATE, "cursor \"%s\" does not exist", name);
    sy_err_state(&s->err, "34000");
    return NULL;
}

static bool declare_cursor(struct sy_sqlite_session *s, const struct sy_sqlite_portal *outer,
                           struct sy_sqlite_portal **ret_cursor)
{
    const PgQuery__DeclareCursorStmt *stmt = outer->plan->node->declare_cursor_stmt;
    bool hold = (stmt->options & OPTION_HOLD) != 0;
    if (s->txn == 'I' && !hold) {
        sy_err_set(&s->err, SY_E_STATE, "DECLARE CURSOR can only be used in transaction blocks");
        sy_err_state(&s->err, "25P01");
        return false;
    }
    struct sy_slice name = sy_slice_of(stmt->portalname);
    if (sy_sqlite_portal_find(s, name) != NULL) {
        sy_err_set(&s->err, SY_E_STATE, "cursor \"%s\" already exists", stmt->portalname);
        sy_err_state(&s->err, "42P03");
        return false;
    }
    struct sy_sqlite_plan *plan = NULL;
    sy_sqlite_refresh_catalog(s);
    if (sy_sqlite_plan_make(s, outer->plan->script, stmt->query, outer->plan->t->parameter_types,
                            (uint16_t)outer->plan->t->parameter_count, &plan, &s->err) != SY_OK)
        return false;
    if (plan->t->writes) {
        sy_sqlite_plan_unref(&plan);
        sy_err_set(&s->err, SY_E_UNSUPPORTED,
                   "DECLARE CURSOR must not contain data-modifying statements in WITH");
        return false;
    }
    struct sy_sqlite_portal *cursor = sy_sqlite_portal_new(s, name);
    if (cursor == NULL) {
        sy_sqlite_plan_unref(&plan);
        return false;
    }
    cursor->plan = plan;
    cursor->is_cursor = true;
    cursor->with_hold = hold;
    cursor->scroll = (stmt->options & OPTION_NO_SCROLL) == 0;
    cursor->same_format = true;
    cursor->format = (stmt->options & OPTION_BINARY) != 0;
    cursor->parameters = outer->parameters;
    *ret_cursor = cursor;
    return true;
}

enum sy_sqlite_step sy_sqlite_declare(struct sy_sqlite_session *s, struct sy_sqlite_portal *outer)
{
    if (s->declaring == NULL && !declare_cursor(s, outer, &s->declaring))
        return SY_STEP_ERROR;
    enum sy_sqlite_step step = sy_sqlite_portal_materialise(s, s->declaring);
    if (step == SY_STEP_WAIT)
        return step;
    struct sy_sqlite_portal *cursor = s->declaring;
    s->declaring = NULL;
    cursor->parameters = NULL; /* the outer portal's */
    if (step == SY_STEP_ERROR) {
        sy_sqlite_portal_drop(s, cursor);
        return step;
    }
    sy_write_command_complete(&s->out, "DECLARE CURSOR");
    return SY_STEP_DONE;
}

/*
 * Where a FETCH goes: rows [from, to) counted from 0, backwards or not, and where the cursor stands
 * afterwards. row_at is PostgreSQL's position: 0 before the first row, i on row i, row_count + 1
 * behind the last.
 */
struct range {
    uint64_t from, to, position;
    bool backwards;
};

static struct range forward(const struct sy_sqlite_portal *c, int64_t count)
{
    uint64_t from = c->row_at > c->row_count ? c->row_count : c->row_at;
    uint64_t left = c->row_count - from;
    uint64_t taken = (uint64_t)count > left ? left : (uint64_t)count;
    bool beyond = (uint64_t)count > left;
    return (struct range){
        .from = from, .to = from + taken, .position = beyond ? c->row_count + 1 : from + taken};
}

static struct range backward(const struct sy_sqlite_portal *c, int64_t count)
{
    uint64_t before = c->row_at == 0 ? 0 : c->row_at - 1;
    uint64_t taken = (uint64_t)count > before ? before : (uint64_t)count;
    bool beyond = (uint64_t)count > before;
    return (struct range){.from = before - taken,
                          .to = before,
                          .position = beyond ? 0 : before - taken + 1,
                          .backwards = true};
}

static struct range one_row(const struct sy_sqlite_portal *c, int64_t row)
{
    if (row <= 0)
        return (struct range){.position = 0};
    if ((uint64_t)row > c->row_count)
        return (struct range){.position = c->row_count + 1};
    return (struct range){
        .from = (uint64_t)row - 1, .to = (uint64_t)row, .position = (uint64_t)row};
}

static struct range range_of(const struct sy_sqlite_portal *c, const PgQuery__FetchStmt *stmt)
{
    int64_t n = stmt->how_many, at = (int64_t)c->row_at;
    switch (stmt->direction) {
    case PG_QUERY__FETCH_DIRECTION__FETCH_BACKWARD:
        return n == 0 ? one_row(c, at) : n < 0 ? forward(c, -n) : backward(c, n);
    case PG_QUERY__FETCH_DIRECTION__FETCH_ABSOLUTE:
        return one_row(c, n < 0 ? (int64_t)c->row_count + 1 + n : n);
    case PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE:
        return one_row(c, at + n);
    case PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD:
    case PG_QUERY__FETCH_DIRECTION__FETCH_DIRECTION_UNDEFINED:
    case _PG_QUERY__FETCH_DIRECTION_IS_INT_SIZE:
        break;
    }
    return n == 0  ? one_row(c, at)
           : n < 0 ? backward(c, n == INT64_MIN ? INT64_MAX : -n)
                   : forward(c, n);
}

static void put_range(struct sy_sqlite_session *s, struct sy_sqlite_portal *cursor,
                      struct range range)
{
    if (!range.backwards) {
        sy_sqlite_portal_put_rows(s, cursor, range.from, range.to);
        return;
    }
    for (uint64_t i = range.to; i > range.from; i--)
        sy_sqlite_portal_put_rows(s, cursor, i - 1, i);
}

static bool may_go_back(struct sy_sqlite_session *s, const struct sy_sqlite_portal *cursor,
                        struct range range)
{
    if (cursor->scroll || range.position >= cursor->row_at)
        return true;
    sy_err_set(&s->err, SY_E_STATE, "cursor can only scan forward");
    sy_err_hint(&s->err, "Declare it with SCROLL option to enable backward scan.");
    return false;
}

enum sy_sqlite_step sy_sqlite_fetch(struct sy_sqlite_session *s, const PgQuery__FetchStmt *stmt)
{
    struct sy_sqlite_portal *cursor = sy_sqlite_cursor(s, stmt->portalname);
    if (cursor == NULL)
        return SY_STEP_ERROR;
    if (!cursor->materialised) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED, "portal \"%s\" was not made by DECLARE",
                   stmt->portalname);
        return SY_STEP_ERROR;
    }
    struct range range = range_of(cursor, stmt);
    if (!may_go_back(s, cursor, range))
        return SY_STEP_ERROR;
    if (!stmt->ismove) {
        if (s->simple.active)
            sy_sqlite_write_row_description(s, cursor, cursor->plan);
        put_range(s, cursor, range);
    }
    cursor->row_at = range.position;
    char tag[48];
    snprintf(tag, sizeof(tag), "%s %" PRIu64, stmt->ismove ? "MOVE" : "FETCH",
             range.to - range.from);
    sy_write_command_complete(&s->out, tag);
    return SY_STEP_DONE;
}

enum sy_sqlite_step sy_sqlite_close_cursor(struct sy_sqlite_session *s,
                                           const PgQuery__ClosePortalStmt *stmt)
{
    if (stmt->portalname == NULL || stmt->portalname[0] == '\0') {
        sy_sqlite_portals_end(s, false);
        sy_write_command_complete(&s->out, "CLOSE CURSOR ALL");
        return SY_STEP_DONE;
    }
    struct sy_sqlite_portal *cursor = sy_sqlite_cursor(s, stmt->portalname);
    if (cursor == NULL)
        return SY_STEP_ERROR;
    sy_sqlite_portal_drop(s, cursor);
    sy_write_command_complete(&s->out, "CLOSE CURSOR");
    return SY_STEP_DONE;
}
