/* Values of one execution as keys: literals and parameters, typed as PostgreSQL would type them.
 * Private to plan. */
#ifndef SY_ROUTER_PLAN_VALUE_H
#define SY_ROUTER_PLAN_VALUE_H

#include "router/plan/key.h"
#include "router/plan/plan.h"

enum sy_value_state {
    SY_VALUE_KNOWN,
    SY_VALUE_IS_NULL,
    SY_VALUE_UNKNOWN, /* only a server can tell: no restriction when compared, refused when stored
                       */
};

/* What a value is compared with or stored into. */
struct sy_value_target {
    enum sy_key_type type;
    bool stored;            /* an assignment (INSERT), not a comparison */
    bool alone;             /* no sibling in an IN list could give it another type */
    bool may_trim;          /* stored: varchar(n) may cut trailing blanks */
    int32_t time_precision; /* stored: timestamp(p); -1: none */
};

struct sy_value_reader {
    const struct sy_plan_values *values;
    struct sy_arena *arena;
    struct sy_err
        *value_error; /* the first value that PostgreSQL would refuse; status SY_OK: none so far */
};

/* One scalar value. Never fails: what cannot be read is UNKNOWN. */
enum sy_value_state sy_value_read(const struct sy_value_reader *reader,
                                  const struct sy_value *value,
                                  const struct sy_value_target *target, struct sy_key *ret_key);

/* Whether the column stores the key unchanged: neither trailing blanks nor digits of a second are
 * cut. */
bool sy_value_is_stored_as_read(const struct sy_value_target *target, const struct sy_key *key);

/* The elements of an array value, each given to `each`. False: unknown (the callback may have been
 * called). */
bool sy_value_read_array(const struct sy_value_reader *reader, const struct sy_value *value,
                         const struct sy_value_target *target,
                         void (*each)(void *ctx, const struct sy_key *key), void *ctx);

/* The text of a key hint, read as the key type. */
enum sy_value_state sy_value_read_hint(struct sy_slice text, const struct sy_value_target *target,
                                       const struct sy_value_reader *reader,
                                       struct sy_key *ret_key);

#endif
