/*
 * Declarations said in a database: SHARD TABLE and the like, which no grammar of PostgreSQL reads.
 * The statement waits until the thread that publishes snapshots has answered. The worker's thread.
 */
#include <stdlib.h>

#include "config/declaration.h"
#include "router/session/internal.h"

enum { LOOK_US = 5000 };

struct sy_declaring {
    struct sy_session *session;
    struct sy_timer timer;
    uint64_t request;
    const char *tag;
    bool waiting; /* the timer runs */
};

static void on_timer(struct sy_timer *timer)
{
    struct sy_declaring *declaring = sy_container_of(timer, struct sy_declaring, timer);
    declaring->waiting = false;
    sy_session_drive(declaring->session);
}

void sy_declaring_free(struct sy_session *session)
{
    struct sy_declaring *declaring = session->declaring;
    session->declaring = NULL;
    if (declaring == NULL)
        return;
    sy_timer_cancel(session->worker->loop, &declaring->timer);
    if (declaring->request > 0)
        sy_declare_forget(session->worker->process->declarations, declaring->request);
    free(declaring);
}

static enum sy_status may_declare(const struct sy_session *session, const char *tag,
                                  struct sy_err *err)
{
    if (!session->admin) {
        (void)sy_err_set(err, SY_E_PRIVILEGE, "permission denied for %s", tag);
        sy_err_hint(err, "The user needs admin = true in the configuration.");
        return SY_E_PRIVILEGE;
    }
    if (session->txn == 'E')
        return sy_err_set(
            err, SY_E_TXN_FAILED,
            "current transaction is aborted, commands ignored until end of transaction block");
    if (session->txn != 'I' || session->implicit_txn) {
        (void)sy_err_set(err, SY_E_STATE, "%s cannot run inside a transaction block", tag);
        sy_err_state(err, "25001");
        return SY_E_STATE;
    }
    return SY_OK;
}

static enum sy_status ask(struct sy_session *session, struct sy_slice text, struct sy_err *err)
{
    struct sy_process *process = session->worker->process;
    struct sy_declaration declaration;
    enum sy_status status = sy_declaration_parse(text, &session->worker->arena, &declaration, err);
    if (status == SY_OK)
        status = may_declare(session, sy_declaration_tag(declaration.kind), err);
    if (status != SY_OK)
        return status;
    struct sy_declaring *declaring = calloc(1, sizeof(*declaring));
    if (declaring == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    declaring->session = session;
    declaring->tag = sy_declaration_tag(declaration.kind);
    sy_timer_init(&declaring->timer, on_timer);
    session->declaring = declaring;
    status = sy_declare_ask(process->declarations, session->database->name, text,
                            &declaring->request, err);
    if (status != SY_OK)
        sy_declaring_free(session);
    else
        process->request_declare(process->ctx);
    return status;
}

static enum sy_step wait_again(struct sy_session *session)
{
    struct sy_declaring *declaring = session->declaring;
    if (!declaring->waiting)
        sy_timer_start(session->worker->loop, &declaring->timer, LOOK_US);
    declaring->waiting = true;
    return SY_STEP_AGAIN;
}

enum sy_step sy_declare_step(struct sy_session *session, struct sy_slice text, struct sy_err *err)
{
    sy_err_init(err);
    if (session->declaring == NULL && ask(session, text, err) != SY_OK)
        return SY_STEP_ERROR;
    struct sy_err outcome;
    struct sy_declaring *declaring = session->declaring;
    if (!sy_declare_told(session->worker->process->declarations, declaring->request, &outcome))
        return wait_again(session);
    const char *tag = declaring->tag;
    declaring->request = 0;
    sy_declaring_free(session);
    if (outcome.status != SY_OK) {
        *err = outcome;
        return SY_STEP_ERROR;
    }
    sy_session_put_complete(session, tag);
    sy_session_set_state(session, SY_SESSION_ACTIVE);
    return SY_STEP_DONE;
}

void sy_declare_refuse_extended(struct sy_slice text, struct sy_err *err)
{
    if (err->status != SY_E_SYNTAX || !sy_declaration_begins(text))
        return;
    sy_err_init(err);
    (void)sy_err_set(err, SY_E_UNSUPPORTED,
                     "declarations are not supported in the extended protocol");
    sy_err_hint(err, "Send it as a simple query (psql does), or say it at the console.");
}
