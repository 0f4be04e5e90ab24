/* Notices of the router's own, which go in front of an answer. The worker's thread. */
#include <strings.h>

#include "router/session/internal.h"

const char *sy_tells_shard(const struct sy_exec *exec)
{
    const char *figures = sy_route_figures(exec->route);
    if (figures == NULL || exec->scan->hints.shard.bytes > 0 || exec->scan->hints.key.bytes > 0)
        return NULL;
    return figures;
}

/* The client wants no notices. */
static bool is_deaf(const struct sy_session *session)
{
    static const char *const above[] = {"warning", "error", "fatal", "panic"};
    struct sy_slice least = sy_session_setting(session, SY_SLICE("client_min_messages"));
    for (size_t i = 0; i < sizeof(above) / sizeof(above[0]); i++)
        if (least.bytes == strlen(above[i]) && strncasecmp(least.data, above[i], least.bytes) == 0)
            return true;
    return false;
}

static struct sy_buf *notice_of(struct sy_session *session, struct sy_err *err)
{
    sy_err_state(err, "00000");
    struct sy_buf *out = sy_session_scratch(session);
    sy_write_notice(out, "NOTICE", err);
    return out;
}

static struct sy_buf *shard_notice(struct sy_session *session, const char *figures, uint32_t shard)
{
    const struct sy_topology_database *database = session->database->topology;
    struct sy_slice name = database->shards[shard].name;
    struct sy_slice other = database->shards[shard == 0 ? 1 : 0].name;
    struct sy_err err;
    sy_err_init(&err);
    (void)sy_err_set(&err, SY_E_STATE, "the figures are those of shard \"%.*s\" alone",
                     (int)name.bytes, name.data);
    sy_err_detail(&err, "%s", figures);
    sy_err_hint(&err,
                "Ask another one with /* switchyard: shard=%.*s */ in front of the statement.",
                (int)other.bytes, other.data);
    return notice_of(session, &err);
}

void sy_tell_shard(struct sy_session *session, const char *figures, uint32_t shard)
{
    if (figures != NULL && !is_deaf(session))
        sy_session_put_buf(session, shard_notice(session, figures, shard));
}

void sy_owe_shard(struct sy_session *session, const char *figures, uint32_t shard)
{
    if (figures == NULL || is_deaf(session))
        return;
    struct sy_buf *out = shard_notice(session, figures, shard);
    sy_owe(session, out->data, out->bytes);
}

/* Why the primary answers though the hint names a replica; NULL: it does not. */
static const char *primary_why(const struct sy_session *session, const struct sy_exec *exec,
                               const struct sy_target *target)
{
    if (exec->scan->hints.role != SY_HINT_ROLE_REPLICA || target->replica_ok ||
        session->replica_retry || is_deaf(session))
        return NULL;
    if (!session->database->has_replicas)
        return "The database has no replicas.";
    if (session->txn != 'I' || session->implicit_txn)
        return "A transaction that may write keeps to the primary; BEGIN READ ONLY does not.";
    if (session->consistency == SY_CONSISTENCY_STRONG)
        return "The consistency of the session is strong.";
    return "Something of the same batch has written.";
}

static struct sy_buf *primary_notice(struct sy_session *session, const char *why)
{
    struct sy_err err;
    sy_err_init(&err);
    (void)sy_err_set(&err, SY_E_STATE, "the hint role=replica was not followed");
    sy_err_detail(&err, "%s", why);
    return notice_of(session, &err);
}

void sy_owe_primary(struct sy_session *session, const struct sy_exec *exec,
                    const struct sy_target *target)
{
    const char *why = primary_why(session, exec, target);
    if (why == NULL)
        return;
    struct sy_buf *out = primary_notice(session, why);
    sy_owe(session, out->data, out->bytes);
}

void sy_tell_before(struct sy_session *session, const struct sy_exec *exec,
                    const struct sy_target *target)
{
    const char *why = primary_why(session, exec, target);
    if (why != NULL)
        sy_session_put_buf(session, primary_notice(session, why));
    if (!target->several)
        sy_tell_shard(session, sy_tells_shard(exec), target->shard);
}
