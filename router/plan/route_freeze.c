/* Defaults that a write on several shards leaves to be filled in: by each server, if the results
 * cannot tell the difference, else by the router, which asks for the value once (scatter.h). */
#include "router/plan/route_internal.h"

bool sy_route_can_freeze(const struct sy_route *route)
{
    return route->database == NULL || route->database->engine == SY_ENGINE_POSTGRES;
}

enum sy_freeze sy_route_freeze_default(const struct sy_schema_column *column, bool copies)
{
    if (!column->has_default || column->is_generated)
        return SY_FREEZE_NOT;
    bool known = column->default_sql.bytes > 0;
    switch (column->default_volatility) {
    case SY_IMMUTABLE:
        return SY_FREEZE_NOT;
    case SY_STABLE:
        return known ? SY_FREEZE_ONCE : SY_FREEZE_CANNOT;
    case SY_VOLATILE:
        /* Each row of a sharded table has its own value anyway. */
        return !copies ? SY_FREEZE_NOT : known ? SY_FREEZE_EACH : SY_FREEZE_CANNOT;
    case SY_VOLATILE_UNKNOWN:
        break;
    }
    /* A sequence counts on each shard by itself. */
    return !copies && column->is_identity_or_serial ? SY_FREEZE_NOT : SY_FREEZE_CANNOT;
}

/* The column's position in the rows; -1: left out. */
static int32_t position_of(const struct sy_route *route, const struct sy_insert *insert,
                           const struct sy_schema_relation *relation, uint32_t index)
{
    int32_t width = insert->from_select ? insert->output_count : insert->row_width;
    for (int32_t c = 0; c < insert->column_count; c++)
        if (sy_slice_eq(route->stmt->columns[insert->first_column + c],
                        relation->columns[index].name))
            return c;
    if (insert->column_count > 0 || insert->default_values)
        return -1;
    /* Without a plain list of outputs it is not known how many there are. */
    bool counted = !insert->from_select || insert->output_count > 0;
    return counted && (int32_t)index >= width ? -1 : (int32_t)index;
}

static bool says_default(const struct sy_route *route, const struct sy_insert *insert, int32_t at)
{
    for (int32_t row = 0; !insert->from_select && row < insert->row_count; row++) {
        const struct sy_value *value =
            &route->stmt->values[insert->row_first_value + row * insert->row_width + at];
        if (value->kind == SY_VALUE_DEFAULT)
            return true;
    }
    return false;
}

enum sy_freeze sy_route_freeze_insert(const struct sy_route *route, const struct sy_insert *insert,
                                      bool copies, const struct sy_schema_column **ret_column)
{
    const struct sy_schema_relation *relation = route->uses[insert->table].relation;
    enum sy_freeze most = SY_FREEZE_NOT;
    if (relation == NULL || relation->column_count == 0)
        return SY_FREEZE_CANNOT;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        enum sy_freeze freeze = sy_route_freeze_default(&relation->columns[i], copies);
        if (freeze <= most)
            continue;
        int32_t at = position_of(route, insert, relation, i);
        if (at >= 0 && (at >= insert->row_width || !says_default(route, insert, at)))
            continue;
        most = freeze;
        *ret_column = &relation->columns[i];
    }
    return most;
}
