/*
 * The session settings of one client as an immutable, interned set: which GUCs it has changed and
 * the SQL that sets each. Two clients with the same settings share one set, so "does this server
 * have what the client wants" is a comparison of pointers. Undoing a SET at ROLLBACK is keeping the
 * old pointer. Pure but for memory.
 *
 * Thread: a registry and its sets belong to one worker.
 */
#ifndef SY_ROUTER_SESSION_SETTINGS_H
#define SY_ROUTER_SESSION_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "base/slice.h"

/* Settings of one session. More: 53400. */
enum { SY_SETTINGS_MAX = 128, SY_SETTINGS_SQL_BYTES_MAX = 8192 };

struct sy_setting {
    struct sy_slice name;  /* lower case */
    struct sy_slice sql;   /* the statement that sets it, without a semicolon */
    struct sy_slice value; /* as SHOW would print it; data NULL: not known */
};

struct sy_settings_registry {
    struct sy_map sets; /* by key */
    uint64_t last_id;
};

struct sy_settings {
    struct sy_settings_registry *registry;
    uint64_t id; /* never reused; 0 for the empty set */
    uint32_t refs;
    uint32_t count;
    bool proven; /* a server has accepted exactly this set */
    struct sy_slice key;
    struct sy_setting entries[]; /* sorted by name; the texts follow in the same allocation */
};

void sy_settings_registry_release(struct sy_settings_registry *registry);

/* Each returns a reference or NULL (memory exhausted, or SY_SETTINGS_MAX passed: *err says which).
 */
struct sy_settings *sy_settings_empty(struct sy_settings_registry *registry, struct sy_err *err);
struct sy_settings *sy_settings_with(const struct sy_settings *base,
                                     const struct sy_setting *setting, struct sy_err *err);
struct sy_settings *sy_settings_without(const struct sy_settings *base, struct sy_slice name,
                                        struct sy_err *err);
static inline struct sy_settings *sy_settings_ref(struct sy_settings *set)
{
    set->refs++;
    return set;
}
void sy_settings_unref(struct sy_settings **set);
/* NULL: the session has not set it. */
const struct sy_setting *sy_settings_find(const struct sy_settings *set, struct sy_slice name);

/* Appends the SQL ("RESET a;SET b TO 'x'") that turns a server with `have` into one with `want`.
 * Nothing: equal. */
void sy_settings_diff(const struct sy_settings *have, const struct sy_settings *want,
                      struct sy_buf *out);

/* SET for a value that a startup packet gave: lists (search_path) are split as PostgreSQL splits
 * them. */
void sy_settings_startup_sql(struct sy_slice name, struct sy_slice value, struct sy_buf *out);
/* Walks a list value ("$user", public): each call gives one name, unquoted or case-folded into
 * `buffer` of SY_LIMIT_NAME_BYTES + 1. False at the end. */
bool sy_settings_next_name(struct sy_slice *list, char *buffer, struct sy_slice *ret_name);

#endif
