/* What the tests of transactions over several shards share, whatever the engine: a table t(id, v)
 * whose rows 1 and 2 live on different shards. Included after cmocka.h. */
#ifndef SY_TESTS_INTEGRATION_TWO_PHASE_WORLD_H
#define SY_TESTS_INTEGRATION_TWO_PHASE_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/harness/expect.h"
#include "tests/harness/router.h"

/* Starts the router, or starts it again, with a fault (then it is killed first) or without. */
static inline void restart_with(struct sy_router **router, const char *databases, const char *fault)
{
    if (fault != NULL)
        setenv("SY_FAULTS", fault, 1);
    else
        unsetenv("SY_FAULTS");
    if (*router == NULL)
        *router = sy_router_start(databases, NULL, NULL);
    else
        sy_router_restart(*router, fault != NULL);
}

/* Both rows, in a block that stays open. */
static inline void write_both(PGconn *c, const char *value)
{
    char first[96], second[96];
    snprintf(first, sizeof(first), "update t set v = %s where id = 1", value);
    snprintf(second, sizeof(second), "update t set v = %s where id = 2", value);
    sy_expect(c, {"begin", "BEGIN"}, {first, "UPDATE 1"}, {second, "UPDATE 1"});
}

/* Both become 7, after a change of one was undone. */
static inline void write_both_around_a_savepoint(PGconn *c)
{
    sy_expect(c, {"begin", "BEGIN"}, {"update t set v = 7 where id = 1", "UPDATE 1"},
              {"savepoint a", "SAVEPOINT"}, {"update t set v = 8 where id = 2", "UPDATE 1"},
              {"rollback to a", "ROLLBACK"}, {"update t set v = 7 where id = 2", "UPDATE 1"},
              {"commit", "COMMIT"});
}

/* Neither changes, since one cannot. */
static inline void fail_behind_a_write(PGconn *c)
{
    sy_expect(c, {"begin", "BEGIN"}, {"update t set v = 9 where id = 2", "UPDATE 1"},
              {"update t set v = null where id = 1", "ERROR 23502"}, {"commit", "ROLLBACK"});
}

#endif
