/* Advisory locks of the process: holders and waiters in one table under one lock; they are rare. */
#include "router/engine/sqlite/locks.h"

#include <stdlib.h>
#include <string.h>

struct held {
    struct sy_list of_session, all;
    struct sy_sqlite_session *session;
    const char *database;
    int64_t key;
    bool shared, until_end;
    uint32_t count;
};

static struct {
    pthread_mutex_t lock;
    struct sy_list held, waiting;
} table = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .held = {&table.held, &table.held},
    .waiting = {&table.waiting, &table.waiting},
};

/* Locks of different shards are different locks, as on different servers. */
static bool same(const struct held *h, const struct sy_sqlite_session *s, int64_t key)
{
    return h->key == key && h->session->shard == s->shard;
}

static bool conflicts(const struct held *h, const struct sy_sqlite_session *s, int64_t key,
                      bool shared)
{
    return h->session != s && same(h, s, key) && !(h->shared && shared);
}

static bool free_for(const struct sy_sqlite_session *s, int64_t key, bool shared)
{
    sy_list_each(node, &table.held)
    {
        if (conflicts(sy_container_of(node, struct held, all), s, key, shared))
            return false;
    }
    return true;
}

static bool hold(struct sy_sqlite_session *s, int64_t key, bool shared, bool until_end)
{
    sy_list_each(node, &s->locks)
    {
        struct held *h = sy_container_of(node, struct held, of_session);
        if (h->key == key && h->shared == shared && h->until_end == until_end) {
            h->count++;
            return true;
        }
    }
    struct held *h = calloc(1, sizeof(*h));
    if (h == NULL)
        return false;
    *h = (struct held){
        .session = s, .key = key, .shared = shared, .until_end = until_end, .count = 1};
    sy_list_append(&s->locks, &h->of_session);
    sy_list_append(&table.held, &h->all);
    return true;
}

/* Everybody who waits tries again: the waiting are few. */
static void wake_waiters(void)
{
    sy_list_each_safe(node, &table.waiting)
    {
        struct sy_sqlite_session *s = sy_container_of(node, struct sy_sqlite_session, lock_link);
        if (!free_for(s, s->lock_key, s->lock_shared))
            continue;
        sy_list_remove(&s->lock_link);
        sy_sqlite_session_resume(s);
    }
}

static void drop(struct held *h)
{
    sy_list_remove(&h->of_session);
    sy_list_remove(&h->all);
    free(h);
}

/* True: the lock is held now. */
static bool lock_try(struct sy_sqlite_session *s, int64_t key, bool shared, bool until_end)
{
    pthread_mutex_lock(&table.lock);
    bool got = free_for(s, key, shared) && hold(s, key, shared, until_end);
    pthread_mutex_unlock(&table.lock);
    return got;
}

/* False: it was not held. */
static bool lock_release(struct sy_sqlite_session *s, int64_t key, bool shared)
{
    bool found = false;
    pthread_mutex_lock(&table.lock);
    sy_list_each_safe(node, &s->locks)
    {
        struct held *h = sy_container_of(node, struct held, of_session);
        if (found || h->key != key || h->shared != shared || h->until_end)
            continue;
        found = true;
        if (--h->count == 0) {
            drop(h);
            wake_waiters();
        }
    }
    pthread_mutex_unlock(&table.lock);
    return found;
}

static void release(struct sy_sqlite_session *s, bool all)
{
    if (sy_list_empty(&s->locks))
        return;
    pthread_mutex_lock(&table.lock);
    sy_list_each_safe(node, &s->locks)
    {
        struct held *h = sy_container_of(node, struct held, of_session);
        if (all || h->until_end)
            drop(h);
    }
    wake_waiters();
    pthread_mutex_unlock(&table.lock);
}

void sy_sqlite_locks_release_all(struct sy_sqlite_session *s)
{
    release(s, true);
}

void sy_sqlite_locks_end(struct sy_sqlite_session *s)
{
    release(s, false);
}

/* ---- waiting ---- */

/*
 * Follows who waits for whom: a session waits for the holders of a lock, or for the owner of its
 * shard's writer. With table.lock held; owners are read without their shard's lock, which can only
 * miss a cycle that is just being made, and the one who closes it looks itself.
 */
static bool reaches(const struct sy_sqlite_session *from, const struct sy_sqlite_session *target,
                    unsigned depth)
{
    if (depth > 16)
        return false;
    int wait = atomic_load(&from->wait);
    if (wait == SY_WAIT_WRITER) {
        struct sy_sqlite_session *owner = atomic_load(&from->shard->owner);
        return owner != NULL && (owner == target || reaches(owner, target, depth + 1));
    }
    if (wait != SY_WAIT_LOCK)
        return false;
    sy_list_each(node, &table.held)
    {
        const struct held *h = sy_container_of(node, struct held, all);
        if (!conflicts(h, from, from->lock_key, from->lock_shared))
            continue;
        if (h->session == target || reaches(h->session, target, depth + 1))
            return true;
    }
    return false;
}

void sy_sqlite_locks_request(struct sy_sqlite_session *s)
{
    pthread_mutex_lock(&table.lock);
    bool resume = sy_sqlite_session_stopped(s) || free_for(s, s->lock_key, s->lock_shared);
    bool deadlock = !resume && reaches(s, s, 0);
    if (!resume && !deadlock)
        sy_list_append(&table.waiting, &s->lock_link);
    pthread_mutex_unlock(&table.lock);
    if (deadlock)
        sy_sqlite_session_expire(s, SY_STOP_DEADLOCK);
    if (resume || deadlock)
        sy_sqlite_session_resume(s);
}

bool sy_sqlite_locks_withdraw(struct sy_sqlite_session *s)
{
    pthread_mutex_lock(&table.lock);
    bool waited = !sy_list_empty(&s->lock_link);
    sy_list_remove(&s->lock_link);
    pthread_mutex_unlock(&table.lock);
    return waited;
}

bool sy_sqlite_locks_deadlock(struct sy_sqlite_session *s)
{
    pthread_mutex_lock(&table.lock);
    bool found = !sy_list_empty(&table.held) && reaches(s, s, 0);
    pthread_mutex_unlock(&table.lock);
    return found;
}

/* ---- the functions ---- */

enum { SHARED = 1, UNTIL_END = 2, TRY = 4, UNLOCK = 8, UNLOCK_ALL = 16 };

static const struct {
    const char *name;
    int how;
} functions[] = {
    {"sy_pg_advisory_lock", 0},
    {"sy_pg_advisory_lock_shared", SHARED},
    {"sy_pg_advisory_xact_lock", UNTIL_END},
    {"sy_pg_advisory_xact_lock_shared", UNTIL_END | SHARED},
    {"sy_pg_try_advisory_lock", TRY},
    {"sy_pg_try_advisory_lock_shared", TRY | SHARED},
    {"sy_pg_try_advisory_xact_lock", TRY | UNTIL_END},
    {"sy_pg_try_advisory_xact_lock_shared", TRY | UNTIL_END | SHARED},
    {"sy_pg_advisory_unlock", UNLOCK},
    {"sy_pg_advisory_unlock_shared", UNLOCK | SHARED},
    {"sy_pg_advisory_unlock_all", UNLOCK_ALL},
};

struct binding {
    struct sy_sqsession_slot *slot;
    int how;
};

static int64_t key_of(int argc, sqlite3_value **argv)
{
    if (argc == 1)
        return sqlite3_value_int64(argv[0]);
    uint64_t high = (uint32_t)sqlite3_value_int64(argv[0]),
             low = (uint32_t)sqlite3_value_int64(argv[1]);
    return (int64_t)(high << 32 | low);
}

static void must_wait(sqlite3_context *context, struct sy_sqlite_session *s, int64_t key, int how)
{
    s->lock_key = key;
    s->lock_shared = (how & SHARED) != 0;
    s->lock_needed = true;
    sy_err_set(&s->sq.err, SY_E_STATE, "waiting for an advisory lock");
    sqlite3_result_error(context, "waiting for an advisory lock", -1);
}

static void run(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const struct binding *binding = sqlite3_user_data(context);
    if (binding->slot->session == NULL) {
        sqlite3_result_error(context, "no session", -1);
        return;
    }
    struct sy_sqlite_session *s =
        sy_container_of(binding->slot->session, struct sy_sqlite_session, sq);
    int how = binding->how;
    if ((how & UNLOCK_ALL) != 0) {
        sy_sqlite_locks_release_all(s);
        return;
    }
    for (int i = 0; i < argc; i++) {
        if (sqlite3_value_type(argv[i]) == SQLITE_NULL)
            return;
    }
    int64_t key = key_of(argc, argv);
    if ((how & UNLOCK) != 0) {
        bool held = lock_release(s, key, (how & SHARED) != 0);
        if (!held)
            sy_sqlite_notice(s, "WARNING", "01000", "you don't own a lock of type %s",
                             (how & SHARED) != 0 ? "ShareLock" : "ExclusiveLock");
        sqlite3_result_int(context, held);
        return;
    }
    bool got = lock_try(s, key, (how & SHARED) != 0, (how & UNTIL_END) != 0);
    if ((how & TRY) != 0)
        sqlite3_result_int(context, got);
    else if (!got)
        must_wait(context, s, key, how);
    else
        sqlite3_result_text(context, "", 0, SQLITE_STATIC);
}

int sy_sqlite_locks_register(sqlite3 *db, struct sy_sqsession_slot *slot)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof(functions) / sizeof(functions[0]); i++) {
        struct binding *binding = malloc(sizeof(*binding));
        if (binding == NULL)
            return SQLITE_NOMEM;
        *binding = (struct binding){.slot = slot, .how = functions[i].how};
        /* The destructor also runs when the registration fails. */
        rc = sqlite3_create_function_v2(db, functions[i].name, -1, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                        binding, run, NULL, NULL, free);
    }
    return rc;
}
