/* OVER (...): partition, order and frame of a window. */
#include "router/engine/sqlite/translate_internal.h"

/* Bits of WindowDef.frameOptions (Source: nodes/parsenodes.h of PostgreSQL 15). */
enum {
    FRAME_NONDEFAULT = 0x1,
    FRAME_RANGE = 0x2,
    FRAME_ROWS = 0x4,
    FRAME_GROUPS = 0x8,
    FRAME_START_UNBOUNDED_PRECEDING = 0x20,
    FRAME_END_UNBOUNDED_FOLLOWING = 0x100,
    FRAME_START_CURRENT_ROW = 0x200,
    FRAME_END_CURRENT_ROW = 0x400,
    FRAME_START_OFFSET_PRECEDING = 0x800,
    FRAME_END_OFFSET_PRECEDING = 0x1000,
    FRAME_START_OFFSET_FOLLOWING = 0x2000,
    FRAME_END_OFFSET_FOLLOWING = 0x4000,
    FRAME_EXCLUDE_CURRENT_ROW = 0x8000,
    FRAME_EXCLUDE_GROUP = 0x10000,
    FRAME_EXCLUDE_TIES = 0x20000,
};

static const PgQuery__WindowDef *named(struct sq_cx *cx, const char *name)
{
    for (uint32_t i = 0; cx->level != NULL && i < cx->level->windows.count; i++) {
        const struct sq_window *window = cx->level->windows.items[i];
        if (strcmp(window->name, name) == 0)
            return window->def;
    }
    return NULL;
}

static bool append_partition(struct sq_cx *cx, struct sy_buf *buf, const PgQuery__WindowDef *def)
{
    for (size_t i = 0; i < def->n_partition_clause; i++) {
        struct sq_expr *expr = sq_settle(cx, sq_expr(cx, def->partition_clause[i]));
        if (expr == NULL)
            return false;
        sy_buf_printf(buf, "%s%s", i == 0 ? "PARTITION BY " : ", ", sq_collated(cx, expr));
    }
    return true;
}

static bool append_order(struct sq_cx *cx, struct sy_buf *buf, const PgQuery__WindowDef *def)
{
    for (size_t i = 0; i < def->n_order_clause; i++) {
        const PgQuery__SortBy *sort = def->order_clause[i]->sort_by;
        struct sq_expr *expr = sq_settle(cx, sq_expr(cx, sort->node));
        const char *item =
            expr == NULL ? NULL : sq_sort_item(cx, sort, sq_collated(cx, expr), expr->not_null);
        if (item == NULL)
            return false;
        sy_buf_printf(buf, "%s%s", i == 0 ? " ORDER BY " : ", ", item);
    }
    return true;
}

static const char *bound(struct sq_cx *cx, const PgQuery__WindowDef *def, bool start)
{
    int32_t options = def->frame_options;
    const sq_node *offset = start ? def->start_offset : def->end_offset;
    if (start && (options & FRAME_START_UNBOUNDED_PRECEDING) != 0)
        return "UNBOUNDED PRECEDING";
    if (!start && (options & FRAME_END_UNBOUNDED_FOLLOWING) != 0)
        return "UNBOUNDED FOLLOWING";
    if ((options & (start ? FRAME_START_CURRENT_ROW : FRAME_END_CURRENT_ROW)) != 0)
        return "CURRENT ROW";
    bool preceding =
        (options & (start ? FRAME_START_OFFSET_PRECEDING : FRAME_END_OFFSET_PRECEDING)) != 0;
    struct sq_expr *value = offset == NULL ? NULL : sq_expr(cx, offset);
    if (value == NULL)
        return NULL;
    if ((options & FRAME_RANGE) != 0 && value->type != SY_T_INT4 && value->type != SY_T_INT8)
        return sq_unsupported(cx, def->location,
                              "RANGE with an offset that is not an integer is not supported by the "
                              "sqlite engine");
    value = sq_coerce(cx, value, SY_T_INT8, -1, 'i', def->location);
    return value == NULL
               ? NULL
               : sq_printf(cx, "%s %s", value->sql, preceding ? "PRECEDING" : "FOLLOWING");
}

static bool append_frame(struct sq_cx *cx, struct sy_buf *buf, const PgQuery__WindowDef *def)
{
    int32_t options = def->frame_options;
    if ((options & FRAME_NONDEFAULT) == 0)
        return true;
    const char *start = bound(cx, def, true);
    const char *end = start == NULL ? NULL : bound(cx, def, false);
    if (end == NULL)
        return false;
    const char *unit = (options & FRAME_ROWS) != 0     ? "ROWS"
                       : (options & FRAME_GROUPS) != 0 ? "GROUPS"
                                                       : "RANGE";
    sy_buf_printf(buf, " %s BETWEEN %s AND %s", unit, start, end);
    if ((options & FRAME_EXCLUDE_CURRENT_ROW) != 0)
        sy_buf_append_str(buf, " EXCLUDE CURRENT ROW");
    else if ((options & FRAME_EXCLUDE_GROUP) != 0)
        sy_buf_append_str(buf, " EXCLUDE GROUP");
    else if ((options & FRAME_EXCLUDE_TIES) != 0)
        sy_buf_append_str(buf, " EXCLUDE TIES");
    return true;
}

const char *sq_window_spec(struct sq_cx *cx, const PgQuery__WindowDef *def)
{
    const PgQuery__WindowDef *base = NULL;
    if (def->refname != NULL && def->refname[0] != '\0') {
        base = named(cx, def->refname);
        if (base == NULL || base == def)
            return sq_error_null(cx, "42704", def->location, "window \"%s\" does not exist",
                                 def->refname);
        if (def->n_partition_clause > 0)
            return sq_error_null(cx, "42P20", def->location,
                                 "cannot override PARTITION BY clause of window \"%s\"",
                                 def->refname);
    }
    bool windows = cx->level->no_windows;
    cx->level->no_windows = true;
    struct sy_buf buf = {0};
    bool ok = append_partition(cx, &buf, base != NULL ? base : def) &&
              append_order(cx, &buf, base != NULL && def->n_order_clause == 0 ? base : def) &&
              append_frame(cx, &buf, def);
    cx->level->no_windows = windows;
    const char *text = sq_finish(cx, &buf);
    return ok ? text : NULL;
}
