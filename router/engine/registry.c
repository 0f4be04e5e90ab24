/* Which engine runs behind which kind of database. Filled at start, before threads; tests register
 * scripted ones. */
#include <stdatomic.h>

#include "router/engine/engine.h"

enum { ENGINES = SY_ENGINE_MYSQL + 1 };

static _Atomic(const struct sy_engine *) engines[ENGINES];
static _Atomic uint64_t last_link_id;

void sy_engine_register(enum sy_engine_kind kind, const struct sy_engine *engine)
{
    atomic_store(&engines[kind], engine);
}

const struct sy_engine *sy_engine_of(enum sy_engine_kind kind)
{
    return atomic_load_explicit(&engines[kind], memory_order_relaxed);
}

uint64_t sy_link_next_id(void)
{
    return atomic_fetch_add_explicit(&last_link_id, 1, memory_order_relaxed) + 1;
}
