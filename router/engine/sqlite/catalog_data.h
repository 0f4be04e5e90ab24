/* PostgreSQL's operators, casts and functions for the types of this engine, as tables. */
#ifndef SY_ROUTER_ENGINE_SQLITE_CATALOG_DATA_H
#define SY_ROUTER_ENGINE_SQLITE_CATALOG_DATA_H

#include <stdbool.h>
#include <stdint.h>

enum { SQ_PROC_ARGS_MAX = 8 };

/* `key` names the implementation (pg_proc.prosrc); template_map.c says what SQLite runs for it. */
struct sq_operator {
    const char *name, *key;
    uint16_t left, right, result; /* left 0: a prefix operator */
};

struct sq_cast {
    uint16_t source, target;
    char context; /* pg_cast.castcontext: i implicit, a assignment, e explicit */
    char method;  /* f function, b binary-coercible, i through text */
    const char *key;
};

struct sq_proc {
    const char *name, *key;
    uint16_t result;
    char kind;       /* pg_proc.prokind: f function, a aggregate, w window */
    char volatility; /* i s v */
    uint8_t nargs, ndefaults;
    bool returns_set, variadic;
    uint16_t args[SQ_PROC_ARGS_MAX];
};

extern const struct sq_operator sq_operators[];
extern const uint32_t sq_operator_count;
extern const struct sq_cast sq_casts[];
extern const uint32_t sq_cast_count;
extern const struct sq_proc sq_procs[];
extern const uint32_t sq_proc_count;

/* What SQLite runs for a key: a text with $1 ... $9 for the arguments; NULL: not supported. */
const char *sq_template_find(const char *key);

#endif
