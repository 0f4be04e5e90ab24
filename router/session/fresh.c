/*
 * Statements that call switchyard.next_id(): each execution is a statement of its own, with the
 * values in its text. While it waits for servers its message is handled again and again; the text
 * stays the same then, because its values may have decided which servers. The worker's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "router/plan/fresh.h"
#include "router/session/extended.h"
#include "router/session/internal.h"

struct sy_fresh {
    struct sy_slice from, text; /* both behind this struct */
    char bytes[];
};

static int64_t next_id(void *ctx)
{
    const struct sy_clock *clock = sy_clock_real();
    return sy_id_next(ctx, clock->wall_us(clock));
}

void sy_fresh_free(struct sy_session *session)
{
    free(session->fresh);
    session->fresh = NULL;
}

enum sy_status sy_fresh_make(struct sy_session *session, struct sy_slice text,
                             struct sy_slice *ret_text, struct sy_err *err)
{
    struct sy_fresh_source source = {next_id, &session->worker->process->ids};
    struct sy_slice made;
    if (session->fresh != NULL && sy_slice_eq(session->fresh->from, text)) {
        *ret_text = session->fresh->text;
        return SY_OK;
    }
    sy_fresh_free(session);
    enum sy_status status = sy_fresh_text(text, &source, &session->worker->arena, &made, err);
    if (status == SY_E_UNSUPPORTED)
        sy_counter_add(&session->database->counters->refused, 1);
    if (status != SY_OK)
        return status;
    struct sy_fresh *fresh = malloc(sizeof(*fresh) + text.bytes + made.bytes + 1);
    if (fresh == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    memcpy(fresh->bytes, text.data, text.bytes);
    memcpy(fresh->bytes + text.bytes, made.data, made.bytes);
    fresh->bytes[text.bytes + made.bytes] = '\0';
    fresh->from = (struct sy_slice){fresh->bytes, text.bytes};
    fresh->text = (struct sy_slice){fresh->bytes + text.bytes, made.bytes};
    session->fresh = fresh;
    *ret_text = fresh->text;
    return SY_OK;
}

enum sy_status sy_fresh_prepared(struct sy_session *session, const struct sy_prepared *prepared,
                                 struct sy_prepared **ret_prepared, struct sy_err *err)
{
    const struct sy_statement *from = prepared->statement;
    struct sy_statement_key key = {
        .types = from->types, .type_count = from->type_count, .environment = session->environment};
    struct sy_parse_settings settings = sy_session_parse_settings(session);
    enum sy_status status = sy_fresh_make(session, from->text, &key.text, err);
    if (status != SY_OK)
        return status;
    struct sy_prepared *made = calloc(1, sizeof(*made) + 1);
    if (made == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    status =
        sy_statement_intern(&session->worker->statements, &key, &settings, &made->statement, err);
    if (status != SY_OK) {
        free(made);
        return status;
    }
    made->environment = session->environment;
    made->serial = ++session->worker->last_serial;
    sy_statement_learn_from(made->statement, from);
    *ret_prepared = made;
    return SY_OK;
}

void sy_fresh_prepared_free(struct sy_session *session, struct sy_prepared **prepared,
                            enum sy_step step)
{
    sy_statement_unref(&(*prepared)->statement);
    free(*prepared);
    *prepared = NULL;
    if (step != SY_STEP_AGAIN)
        sy_fresh_free(session);
}
