/* Parsed and translated statements, and their cache: one per file, by text and what else they
 * depend on. */
#include <stdlib.h>
#include <string.h>

#include "parser/protobuf.h"
#include "router/engine/sqlite/session.h"

enum { PLAN_KEYS = 256, FIRST_PLAN_KEY = 1024 };

/* ---- scripts ---- */

enum sy_status sy_sqlite_script_parse(struct sy_slice text, struct sy_sqlite_script **ret_script,
                                      struct sy_err *err)
{
    struct sy_sqlite_script *script = calloc(1, sizeof(*script));
    if (script == NULL || (script->text = malloc(text.bytes + 1)) == NULL) {
        free(script);
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    }
    script->refs = 1;
    memcpy(script->text, text.data, text.bytes);
    script->text[text.bytes] = '\0';
    script->text_bytes = text.bytes;
    enum sy_status status =
        sy_parse_protobuf((struct sy_slice){script->text, script->text_bytes}, &script->tree, err);
    if (status != SY_OK) {
        sy_sqlite_script_unref(&script);
        return status;
    }
    *ret_script = script;
    return SY_OK;
}

void sy_sqlite_script_unref(struct sy_sqlite_script **script)
{
    struct sy_sqlite_script *self = *script;
    *script = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    sy_protobuf_free(&self->tree);
    free(self->text);
    free(self);
}

/* ---- plans ---- */

static struct sy_sqlite_plan *plan_new(uint64_t generation)
{
    static _Atomic uint64_t last_key = FIRST_PLAN_KEY;
    struct sy_sqlite_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return NULL;
    plan->refs = 1;
    plan->key = atomic_fetch_add(&last_key, PLAN_KEYS);
    plan->generation = generation;
    sy_list_init(&plan->by_use);
    return plan;
}

static bool keep_source(struct sy_sqlite_plan *plan, const struct sy_sqlite_script *script,
                        const PgQuery__Node *node, const uint32_t *types, uint16_t type_count);

enum sy_status sy_sqlite_plan_make(struct sy_sqlite_session *s, struct sy_sqlite_script *script,
                                   const PgQuery__Node *node, const uint32_t *types,
                                   uint16_t type_count, struct sy_sqlite_plan **ret_plan,
                                   struct sy_err *err)
{
    struct sy_sqlite_plan *plan = plan_new(s->catalog->generation);
    if (plan == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    const struct sy_sqinput input = {
        .node = node,
        .text = {script->text, script->text_bytes},
        .schema = &s->catalog->schema,
        .settings = &s->sq.types,
        .parameter_types = types,
        .parameter_count = type_count,
        .user = s->user,
        .database = s->database,
        .search_schema = "public",
    };
    enum sy_status status = sy_sqtranslate(&input, &plan->arena, &plan->t, err);
    if (status == SY_OK && !keep_source(plan, script, node, types, type_count))
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (status == SY_OK && plan->t->step_count > PLAN_KEYS) {
        /* Beyond the keys set aside for one plan: its statements would share keys with another
         * plan's. */
        plan->key = 0;
    }
    if (status != SY_OK) {
        sy_sqlite_plan_unref(&plan);
        return status;
    }
    if (sy_sqlite_is_utility(plan->t->kind) || plan->t->kind == SY_STMT_COPY_TO ||
        plan->t->kind == SY_STMT_COPY_FROM) {
        atomic_fetch_add_explicit(&script->refs, 1, memory_order_relaxed);
        plan->script = script;
        plan->node = node;
    }
    *ret_plan = plan;
    return SY_OK;
}

bool sy_sqlite_same_columns(const struct sy_sqtranslation *a, const struct sy_sqtranslation *b)
{
    if (a->column_count != b->column_count)
        return false;
    for (uint32_t i = 0; i < a->column_count; i++) {
        if (a->columns[i].type != b->columns[i].type)
            return false;
    }
    return true;
}

static bool same_parameters(const struct sy_sqtranslation *a, const struct sy_sqtranslation *b)
{
    bool same = a->parameter_count == b->parameter_count;
    for (uint32_t i = 0; same && i < a->parameter_count; i++)
        same = a->parameter_types[i] == b->parameter_types[i];
    return same;
}

/* Remembers what a plan was made from. */
static bool keep_source(struct sy_sqlite_plan *plan, const struct sy_sqlite_script *script,
                        const PgQuery__Node *node, const uint32_t *types, uint16_t type_count)
{
    plan->statement = UINT32_MAX;
    for (size_t i = 0; i < script->tree->n_stmts; i++) {
        if (script->tree->stmts[i]->stmt == node)
            plan->statement = (uint32_t)i;
    }
    char *text = sy_arena_strndup(&plan->arena, script->text, script->text_bytes);
    uint32_t *copy = sy_arena_calloc(&plan->arena, (size_t)type_count + 1, sizeof(*copy));
    if (text == NULL || copy == NULL)
        return false;
    if (type_count > 0)
        memcpy(copy, types, type_count * sizeof(*copy));
    plan->text = (struct sy_slice){text, script->text_bytes};
    plan->types = copy;
    plan->type_count = type_count;
    return true;
}

bool sy_sqlite_plan_renew(struct sy_sqlite_session *s, struct sy_sqlite_plan **plan)
{
    struct sy_sqlite_plan *old = *plan, *fresh = NULL;
    struct sy_sqlite_script *script = NULL;
    sy_sqlite_refresh_catalog(s);
    if (old->statement == UINT32_MAX) {
        sy_err_set(&s->err, SY_E_STATE,
                   "could not serialize access due to a concurrent change of the schema");
        sy_err_state(&s->err, "40001");
        sy_err_hint(&s->err, "The transaction might succeed if retried.");
        return false;
    }
    if (sy_sqlite_script_parse(old->text, &script, &s->err) != SY_OK)
        return false;
    bool ok = sy_sqlite_plan_make(s, script, script->tree->stmts[old->statement]->stmt, old->types,
                                  old->type_count, &fresh, &s->err) == SY_OK;
    sy_sqlite_script_unref(&script);
    if (ok && (!sy_sqlite_same_columns(fresh->t, old->t) || !same_parameters(fresh->t, old->t))) {
        sy_err_set(&s->err, SY_E_UNSUPPORTED, "cached plan must not change result type");
        sy_sqlite_plan_unref(&fresh);
        ok = false;
    }
    if (!ok)
        return false;
    sy_sqlite_plan_unref(plan);
    *plan = fresh;
    return true;
}

bool sy_sqlite_plan_empty(struct sy_sqlite_session *s, struct sy_sqlite_plan **ret_plan)
{
    static const struct sy_sqtranslation empty = {.kind = SY_STMT_EMPTY, .tag = ""};
    struct sy_sqlite_plan *plan = plan_new(s->catalog->generation);
    if (plan == NULL) {
        sy_err_set(&s->err, SY_E_NO_MEMORY, "out of memory");
        return false;
    }
    plan->t = &empty;
    *ret_plan = plan;
    return true;
}

struct sy_sqlite_plan *sy_sqlite_plan_ref(struct sy_sqlite_plan *plan)
{
    atomic_fetch_add_explicit(&plan->refs, 1, memory_order_relaxed);
    return plan;
}

void sy_sqlite_plan_unref(struct sy_sqlite_plan **plan)
{
    struct sy_sqlite_plan *self = *plan;
    *plan = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    sy_sqlite_script_unref(&self->script);
    sy_arena_release(&self->arena);
    free(self);
}

/* ---- the cache ---- */

/* Everything that a translation depends on besides the text. The names of user and database stand
 * in it because current_user and its like may be translated to constants. */
static struct sy_slice cache_key(struct sy_sqlite_session *s, struct sy_slice text,
                                 const uint32_t *types, uint16_t type_count, struct sy_arena *arena)
{
    size_t user = strlen(s->user), database = strlen(s->database);
    size_t bytes =
        8 + sizeof(void *) + user + 1 + database + 1 + 2 + 4 * (size_t)type_count + text.bytes;
    char *key = sy_arena_alloc(arena, bytes);
    if (key == NULL)
        return (struct sy_slice){0};
    char *at = key;
    at = mempcpy(at, &s->catalog->generation, 8);
    at = mempcpy(at, &s->sq.types.timezone, sizeof(void *));
    at = mempcpy(at, s->user, user + 1);
    at = mempcpy(at, s->database, database + 1);
    at = mempcpy(at, &type_count, 2);
    if (type_count > 0)
        at = mempcpy(at, types, 4 * (size_t)type_count);
    memcpy(at, text.data, text.bytes);
    return (struct sy_slice){key, bytes};
}

struct sy_sqlite_plan *sy_sqlite_plan_cached(struct sy_sqlite_session *s, struct sy_slice text,
                                             const uint32_t *types, uint16_t type_count)
{
    if (s->catalog_own || text.bytes > SY_LIMIT_TEMPLATE_BYTES)
        return NULL;
    struct sy_slice key = cache_key(s, text, types, type_count, &s->scratch);
    if (key.data == NULL)
        return NULL;
    uint32_t hash = sy_map_hash(key);
    struct sy_sqlite_file *file = s->file;
    pthread_mutex_lock(&file->lock);
    struct sy_sqlite_plan *plan = sy_map_get_hashed(&file->plans, key, hash);
    if (plan != NULL) {
        sy_list_remove(&plan->by_use);
        sy_list_append(&file->plans_by_use, &plan->by_use);
        sy_sqlite_plan_ref(plan);
    }
    pthread_mutex_unlock(&file->lock);
    return plan;
}

/* With the file's lock held. The caller gives up the cache's reference outside the lock. */
static struct sy_sqlite_plan *evict_oldest(struct sy_sqlite_file *file)
{
    struct sy_sqlite_plan *plan =
        sy_container_of(sy_list_pop(&file->plans_by_use), struct sy_sqlite_plan, by_use);
    sy_map_remove(&file->plans, plan->cache_key);
    file->plan_count--;
    return plan;
}

void sy_sqlite_plan_cache(struct sy_sqlite_session *s, struct sy_sqlite_plan *plan,
                          struct sy_slice text, const uint32_t *types, uint16_t type_count)
{
    /* A plan made from a transaction's own catalog means nothing to others. */
    if (s->catalog_own || text.bytes > SY_LIMIT_TEMPLATE_BYTES || plan->t->ddl_count > 0)
        return;
    struct sy_slice key = cache_key(s, text, types, type_count, &plan->arena);
    if (key.data == NULL)
        return;
    struct sy_sqlite_file *file = s->file;
    struct sy_sqlite_plan *evicted = NULL;
    pthread_mutex_lock(&file->lock);
    if (sy_map_get(&file->plans, key) == NULL) {
        if (file->plan_count >= SY_SQLITE_PLANS)
            evicted = evict_oldest(file);
        plan->cache_key = key;
        if (sy_map_put(&file->plans, key, plan, NULL, NULL) == SY_OK) {
            sy_list_append(&file->plans_by_use, &plan->by_use);
            file->plan_count++;
            sy_sqlite_plan_ref(plan);
        }
    }
    pthread_mutex_unlock(&file->lock);
    sy_sqlite_plan_unref(&evicted);
}

void sy_sqlite_plans_release(struct sy_sqlite_file *file)
{
    while (!sy_list_empty(&file->plans_by_use)) {
        struct sy_sqlite_plan *plan = evict_oldest(file);
        sy_sqlite_plan_unref(&plan);
    }
    sy_map_release(&file->plans);
}
