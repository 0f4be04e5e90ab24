/* Callbacks of the SQL functions into the session that runs them. */
#include "router/engine/sqlite/session_env.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "router/engine/sqlite/pgcatalog.h"
#include "router/engine/sqlite/settings.h"

/* ---- sequences ---- */

struct value_seen {
    uint32_t oid;
    int64_t value;
};

static const struct sy_sqrelation *find_sequence(struct sy_sqlite_session *s, struct sy_slice name,
                                                 struct sy_err *err)
{
    uint64_t oid = 0;
    struct sy_err ignored = {0};
    const struct sy_sqrelation *r = NULL;
    if (sy_number_parse_u64(name, 0, UINT32_MAX, &oid, &ignored) == SY_OK) {
        r = sy_sqlite_catalog_by_oid(s->catalog, (uint32_t)oid);
    } else {
        uint32_t found = 0;
        if (!s->sq.types.reg_in(s, SY_T_REGCLASS, name, &found, err))
            return NULL;
        r = sy_sqlite_catalog_by_oid(s->catalog, found);
    }
    if (r == NULL) {
        sy_err_set(err, SY_E_NOT_FOUND, "relation \"%.*s\" does not exist", (int)name.bytes,
                   name.data);
        sy_err_state(err, "42P01");
    } else if (r->kind != 'S') {
        sy_err_set(err, SY_E_STATE, "\"%s\" is not a sequence", r->name);
        sy_err_state(err, "42809");
        r = NULL;
    }
    return r;
}

static struct sy_sqlite_sequence *open_sequence(struct sy_sqlite_session *s,
                                                const struct sy_sqrelation *r, struct sy_err *err)
{
    /* Only who has the writer may move a sequence; plans that call nextval() say so
     * (calls_sequences). */
    struct sy_sqlite_sequence *sequence =
        s->run_writes ? sy_sqlite_sequence(s->shard, r->oid) : NULL;
    if (sequence == NULL)
        sy_err_set(err, SY_E_INTERNAL, "sequence \"%s\" is not open for writing", r->name);
    return sequence;
}

static bool limit_reached(const struct sy_sqrelation *r, struct sy_err *err)
{
    const struct sy_sqsequence *q = r->sequence;
    sy_err_set(err, SY_E_STATE, "nextval: reached %s value of sequence \"%s\" (%" PRId64 ")",
               q->increment > 0 ? "maximum" : "minimum", r->name,
               q->increment > 0 ? q->maximum : q->minimum);
    sy_err_state(err, "2200H");
    return false;
}

/* Of a database of one shard: every value. */
static bool next_of_all(const struct sy_sqsequence *q, int64_t from, bool behind, int64_t *ret_next)
{
    return !__builtin_add_overflow(from, behind ? q->increment : 0, ret_next) &&
           *ret_next <= q->maximum && *ret_next >= q->minimum;
}

/* The first value of the shard's class that is not in front of `from`, or that is behind it: no two
 * shards give the same (router/plan/sequence.h). */
static bool next_of_class(const struct sy_sqlite_shard *shard, const struct sy_sqsequence *q,
                          int64_t from, bool behind, int64_t *ret_next)
{
    int64_t step = 0, ahead = 0, origin = 0, gap = 0;
    if (atomic_load(&shard->class_count) <= 1)
        return next_of_all(q, from, behind, ret_next);
    if (__builtin_mul_overflow(q->increment, (int64_t)atomic_load(&shard->class_count), &step) ||
        __builtin_mul_overflow(q->increment, (int64_t)atomic_load(&shard->class_index), &ahead) ||
        __builtin_add_overflow(q->start, ahead, &origin) ||
        __builtin_sub_overflow(origin % step, from % step, &gap))
        return false;
    gap %= step;
    if (gap != 0 && (gap < 0) != (step < 0))
        gap += step;
    if (gap == 0 && behind)
        gap = step;
    return !__builtin_add_overflow(from, gap, ret_next) && *ret_next <= q->maximum &&
           *ret_next >= q->minimum;
}

static bool advance(const struct sy_sqlite_shard *shard, const struct sy_sqrelation *r,
                    const struct sy_sqlite_sequence *sequence, int64_t *ret_next,
                    struct sy_err *err)
{
    const struct sy_sqsequence *q = r->sequence;
    if (next_of_class(shard, q, sequence->last_value, sequence->is_called, ret_next))
        return true;
    int64_t begin = q->increment > 0 ? q->minimum : q->maximum;
    return (q->cycle && next_of_class(shard, q, begin, false, ret_next)) || limit_reached(r, err);
}

static void remember_value(struct sy_sqlite_session *s, uint32_t oid, int64_t value)
{
    s->last_sequence = oid;
    s->last_sequence_value = value;
    struct value_seen *seen = (struct value_seen *)(void *)s->sequence_values.data;
    size_t count = s->sequence_values.bytes / sizeof(*seen);
    for (size_t i = 0; i < count; i++) {
        if (seen[i].oid == oid) {
            seen[i].value = value;
            return;
        }
    }
    struct value_seen fresh = {.oid = oid, .value = value};
    sy_buf_append(&s->sequence_values, &fresh, sizeof(fresh));
}

static bool sequence_next(void *ctx, struct sy_slice name, int64_t *ret_value, struct sy_err *err)
{
    struct sy_sqlite_session *s = ctx;
    const struct sy_sqrelation *r = find_sequence(s, name, err);
    struct sy_sqlite_sequence *sequence = r == NULL ? NULL : open_sequence(s, r, err);
    if (sequence == NULL)
        return false;
    int64_t next = 0;
    if (!advance(s->shard, r, sequence, &next, err))
        return false;
    sequence->last_value = next;
    sequence->is_called = true;
    sequence->dirty = true;
    s->shard->sequences_dirty = true;
    remember_value(s, r->oid, next);
    *ret_value = next;
    return true;
}

static bool sequence_set(void *ctx, struct sy_slice name, int64_t value, bool is_called,
                         struct sy_err *err)
{
    struct sy_sqlite_session *s = ctx;
    const struct sy_sqrelation *r = find_sequence(s, name, err);
    struct sy_sqlite_sequence *sequence = r == NULL ? NULL : open_sequence(s, r, err);
    if (sequence == NULL)
        return false;
    if (value < r->sequence->minimum || value > r->sequence->maximum) {
        sy_err_set(err, SY_E_VALUE,
                   "setval: value %" PRId64 " is out of bounds for sequence \"%s\" (%" PRId64
                   "..%" PRId64 ")",
                   value, r->name, r->sequence->minimum, r->sequence->maximum);
        sy_err_state(err, "22003");
        return false;
    }
    sequence->last_value = value;
    sequence->is_called = is_called;
    sequence->dirty = true;
    s->shard->sequences_dirty = true;
    if (is_called)
        remember_value(s, r->oid, value);
    return true;
}

static bool sequence_current(void *ctx, struct sy_slice name, int64_t *ret_value,
                             struct sy_err *err)
{
    struct sy_sqlite_session *s = ctx;
    const struct sy_sqrelation *r = find_sequence(s, name, err);
    if (r == NULL)
        return false;
    const struct value_seen *seen =
        (const struct value_seen *)(const void *)s->sequence_values.data;
    for (size_t i = 0; i < s->sequence_values.bytes / sizeof(*seen); i++) {
        if (seen[i].oid == r->oid) {
            *ret_value = seen[i].value;
            return true;
        }
    }
    sy_err_set(err, SY_E_STATE, "currval of sequence \"%s\" is not yet defined in this session",
               r->name);
    return false;
}

static bool sequence_last(void *ctx, int64_t *ret_value, struct sy_err *err)
{
    struct sy_sqlite_session *s = ctx;
    if (s->last_sequence == 0) {
        sy_err_set(err, SY_E_STATE, "lastval is not yet defined in this session");
        return false;
    }
    *ret_value = s->last_sequence_value;
    return true;
}

bool sy_sqlite_env_restart_sequence(struct sy_sqlite_session *s, const char *name)
{
    const struct sy_sqrelation *r = sy_sqlite_catalog_find(s->catalog, "public", name);
    struct sy_sqlite_sequence *sequence =
        r == NULL || r->sequence == NULL ? NULL : open_sequence(s, r, &s->err);
    if (sequence == NULL) {
        if (s->err.status == SY_OK)
            sy_err_set(&s->err, SY_E_NOT_FOUND, "sequence \"%s\" does not exist", name);
        return false;
    }
    sequence->last_value = r->sequence->start;
    sequence->is_called = false;
    sequence->dirty = true;
    s->shard->sequences_dirty = true;
    return true;
}

void sy_sqlite_env_forget_sequences(struct sy_sqlite_session *s)
{
    sy_buf_clear(&s->sequence_values);
    s->last_sequence = 0;
}

/* ---- settings ---- */

static bool setting_get(void *ctx, struct sy_slice name, bool missing_ok, struct sy_buf *out,
                        struct sy_err *err)
{
    const char *value = sy_sqlite_settings_get(ctx, name);
    if (value != NULL) {
        sy_buf_append_str(out, value);
        return true;
    }
    if (!missing_ok)
        sy_err_set(err, SY_E_NOT_FOUND, "unrecognized configuration parameter \"%.*s\"",
                   (int)name.bytes, name.data);
    return false;
}

static bool setting_set(void *ctx, struct sy_slice name, struct sy_slice value, bool is_local,
                        struct sy_err *err)
{
    struct sy_sqlite_session *s = ctx;
    struct sy_err before = s->err;
    s->err = (struct sy_err){0};
    bool ok = sy_sqlite_settings_set(s, name, value, is_local);
    if (!ok)
        *err = s->err;
    s->err = before;
    return ok;
}

/* ---- object names ---- */

static bool plain_identifier(const char *name)
{
    if (!((*name >= 'a' && *name <= 'z') || *name == '_'))
        return false;
    for (; *name != '\0'; name++) {
        if (!((*name >= 'a' && *name <= 'z') || (*name >= '0' && *name <= '9') || *name == '_'))
            return false;
    }
    return true;
}

void sy_sqlite_put_identifier(struct sy_buf *out, const char *name)
{
    if (plain_identifier(name))
        sy_buf_append_str(out, name);
    else
        sy_sqlite_quote_identifier(out, name);
}

void sy_sqlite_quote_identifier(struct sy_buf *out, const char *name)
{
    sy_buf_append_u8(out, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"')
            sy_buf_append_u8(out, '"');
        sy_buf_append_u8(out, (uint8_t)*name);
    }
    sy_buf_append_u8(out, '"');
}

static const char *schema_name(uint32_t oid)
{
    return oid == SY_SQLITE_SCHEMA_PUBLIC        ? "public"
           : oid == SY_SQLITE_SCHEMA_PG_CATALOG  ? "pg_catalog"
           : oid == SY_SQLITE_SCHEMA_INFORMATION ? "information_schema"
                                                 : NULL;
}

static bool relation_out(struct sy_sqlite_session *s, uint32_t oid, struct sy_buf *out)
{
    const struct sy_sqrelation *r = sy_sqlite_catalog_by_oid(s->catalog, oid);
    if (r == NULL) {
        const struct sy_sqlite_object *object = sy_sqlite_catalog_object(s->catalog, oid);
        if (object == NULL || object->index == NULL)
            return false;
        sy_sqlite_put_identifier(out, object->index->name);
        return true;
    }
    if (strcmp(r->schema, "information_schema") == 0)
        sy_buf_append_str(out, "information_schema.");
    sy_sqlite_put_identifier(out, r->name);
    return true;
}

static bool reg_out(void *ctx, uint32_t type, uint32_t oid, struct sy_buf *out)
{
    struct sy_sqlite_session *s = ctx;
    const char *name = NULL;
    switch (type) {
    case SY_T_REGCLASS:
        return relation_out(s, oid, out);
    case SY_T_REGTYPE:
        if (sy_type_find(oid) == NULL)
            return false;
        sy_type_format(oid, -1, out);
        return true;
    case SY_T_REGNAMESPACE:
        name = schema_name(oid);
        break;
    case SY_T_REGROLE:
        name = sy_sqlite_role_name(s, oid);
        break;
    case SY_T_REGCOLLATION:
        name = oid == 100 ? "\"default\"" : oid == 950 ? "\"C\"" : NULL;
        break;
    default:
        name = sy_sqlite_proc_name(oid);
        break;
    }
    if (name != NULL)
        sy_buf_append_str(out, name);
    return name != NULL;
}

/* "Schema"."Name" or name: folded and unquoted into at most two parts. */
static bool split_name(struct sy_slice text, char parts[2][64], uint32_t *ret_count)
{
    uint32_t count = 0;
    size_t at = 0;
    while (at < text.bytes && count < 2) {
        size_t bytes = 0;
        bool quoted = text.data[at] == '"';
        at += quoted;
        while (at < text.bytes && bytes < 63) {
            char c = text.data[at];
            if (quoted && c == '"') {
                if (at + 1 >= text.bytes || text.data[at + 1] != '"')
                    break;
                at++;
            } else if (!quoted && c == '.') {
                break;
            }
            parts[count][bytes++] = !quoted && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
            at++;
        }
        at += quoted && at < text.bytes;
        parts[count++][bytes] = '\0';
        if (at < text.bytes && text.data[at++] != '.')
            return false;
    }
    *ret_count = count;
    return count > 0 && at == text.bytes;
}

static uint32_t find_class(struct sy_sqlite_session *s, const char *schema, const char *name)
{
    const struct sy_sqrelation *r = sy_sqlite_catalog_find(s->catalog, schema, name);
    if (r != NULL)
        return r->oid;
    for (uint32_t i = 0; i < s->catalog->object_count; i++) {
        const struct sy_sqlite_object *object = &s->catalog->objects[i];
        if (object->index != NULL && strcmp(object->index->name, name) == 0 &&
            (schema == NULL || strcmp(schema, object->relation->schema) == 0))
            return object->oid;
    }
    return 0;
}

static uint32_t find_schema(const char *name)
{
    static const uint32_t oids[] = {SY_SQLITE_SCHEMA_PUBLIC, SY_SQLITE_SCHEMA_PG_CATALOG,
                                    SY_SQLITE_SCHEMA_INFORMATION};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(schema_name(oids[i]), name) == 0)
            return oids[i];
    }
    return 0;
}

static bool not_found(struct sy_err *err, const char *what, struct sy_slice name,
                      const char *sqlstate)
{
    sy_err_set(err, SY_E_NOT_FOUND, "%s \"%.*s\" does not exist", what, (int)name.bytes, name.data);
    sy_err_state(err, sqlstate);
    return false;
}

static bool reg_in(void *ctx, uint32_t type, struct sy_slice name, uint32_t *ret_oid,
                   struct sy_err *err)
{
    struct sy_sqlite_session *s = ctx;
    char parts[2][64];
    uint32_t count = 0;
    uint64_t number = 0;
    struct sy_err ignored = {0};
    if (sy_number_parse_u64(name, 0, UINT32_MAX, &number, &ignored) == SY_OK) {
        *ret_oid = (uint32_t)number;
        return true;
    }
    if (!split_name(name, parts, &count))
        count = 0;
    const char *schema = count == 2 ? parts[0] : NULL, *last = count == 0 ? "" : parts[count - 1];
    uint32_t oid = 0;
    const struct sy_type_info *info = NULL;
    switch (type) {
    case SY_T_REGCLASS:
        oid = find_class(s, schema, last);
        *ret_oid = oid;
        return oid != 0 || not_found(err, "relation", name, "42P01");
    case SY_T_REGTYPE:
        info = sy_type_find_name(count == 2 ? last
                                            : sy_arena_strndup(&s->scratch, name.data, name.bytes));
        *ret_oid = info == NULL ? 0 : info->oid;
        return info != NULL || not_found(err, "type", name, "42704");
    case SY_T_REGNAMESPACE:
        *ret_oid = oid = find_schema(last);
        return oid != 0 || not_found(err, "schema", name, "3F000");
    case SY_T_REGROLE:
        *ret_oid = oid = sy_sqlite_role_oid(s, last);
        return oid != 0 || not_found(err, "role", name, "42704");
    default:
        *ret_oid = oid = sy_sqlite_proc_oid(last);
        return oid != 0 || not_found(err, "function", name, "42883");
    }
}

/* ---- the session as functions see it ---- */

void sy_sqlite_env_init(struct sy_sqlite_session *s)
{
    s->sq = (struct sy_sqsession){
        .types = {.timezone = sy_timezone_find(SY_SLICE("UTC")),
                  .reg_out = reg_out,
                  .reg_in = reg_in,
                  .reg_ctx = s},
        .user = s->user,
        .session_user = s->user,
        .database = s->database,
        .schema = "public",
        .backend_pid = s->pid,
        .sequence_next = sequence_next,
        .sequence_current = sequence_current,
        .sequence_last = sequence_last,
        .sequence_set = sequence_set,
        .setting_get = setting_get,
        .setting_set = setting_set,
        .ctx = s,
    };
    sy_sqlite_env_statement(s);
}

void sy_sqlite_env_release(struct sy_sqlite_session *s)
{
    sy_buf_release(&s->sequence_values);
    sy_sqkeep_release(&s->sq);
}

void sy_sqlite_env_statement(struct sy_sqlite_session *s)
{
    s->sq.types.now_us = sy_sqlite_now_us();
    if (s->txn == 'I' && !s->writes)
        s->txn_start_us = 0;
    if (s->txn_start_us == 0)
        s->txn_start_us = s->sq.types.now_us;
    s->sq.transaction_us = s->txn_start_us;
}

void sy_sqlite_env_query(struct sy_sqlite_session *s)
{
    sy_sqlite_env_statement(s);
    if (s->txn == 'T')
        s->txn_used = true;
}
