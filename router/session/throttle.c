/*
 * A session's share of the rates: what it takes before a login counts and before a statement runs,
 * and the wait in between. A session whose user and database have no rate has none of this. The
 * worker's thread.
 */
#include <stdlib.h>

#include "router/session/internal.h"

struct sy_throttle {
    struct sy_rate_bucket *user, *database; /* of statements; NULL: no rate */
    struct sy_session *session;
    struct sy_timer timer;
    bool paid;    /* for the message at hand, which may be handled in several goes */
    bool waiting; /* the timer runs */
};

static void on_timer(struct sy_timer *timer)
{
    struct sy_throttle *throttle = sy_container_of(timer, struct sy_throttle, timer);
    throttle->waiting = false;
    sy_session_drive(throttle->session);
}

static enum sy_status refuse(struct sy_session *session, const char *what, bool of_user,
                             struct sy_err *err)
{
    sy_counter_add(&session->database->counters->rate_refused, 1);
    if (of_user)
        return sy_err_set(err, SY_E_RATE, "too many %s per second of user \"%s\"", what,
                          session->user);
    return sy_err_set(err, SY_E_RATE, "too many %s per second of database \"%.*s\"", what,
                      (int)session->database->name.bytes, session->database->name.data);
}

/* From both or from none. */
static enum sy_status take(struct sy_session *session, struct sy_rate_bucket *user,
                           struct sy_rate_bucket *database, uint64_t max_wait_us,
                           uint64_t *ret_wait_us)
{
    uint64_t now_us = sy_loop_now_us(session->worker->loop), user_us = 0, database_us = 0;
    if (user != NULL && !sy_rate_take(user, 1, now_us, max_wait_us, &user_us))
        return SY_E_TOO_MANY;
    if (database != NULL && !sy_rate_take(database, 1, now_us, max_wait_us, &database_us)) {
        if (user != NULL)
            sy_rate_give_back(user, 1);
        return SY_E_RATE;
    }
    *ret_wait_us = user_us > database_us ? user_us : database_us;
    return SY_OK;
}

enum sy_status sy_throttle_enter(struct sy_session *session, struct sy_err *err)
{
    struct sy_rates *rates = session->worker->process->rates;
    struct sy_rate_pair *user = sy_rates_user(rates, sy_slice_of(session->user));
    struct sy_rate_pair *database = sy_rates_database(rates, session->database->name);
    uint64_t wait_us;
    if (user == NULL && database == NULL)
        return SY_OK;
    enum sy_status status = take(session, user == NULL ? NULL : &user->connections,
                                 database == NULL ? NULL : &database->connections, 0, &wait_us);
    if (status != SY_OK)
        return refuse(session, "connections", status == SY_E_TOO_MANY, err);
    struct sy_throttle *throttle = calloc(1, sizeof(*throttle));
    if (throttle == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    throttle->session = session;
    throttle->user = user == NULL ? NULL : &user->statements;
    throttle->database = database == NULL ? NULL : &database->statements;
    sy_timer_init(&throttle->timer, on_timer);
    session->throttle = throttle;
    return SY_OK;
}

void sy_throttle_owe(struct sy_session *session, uint32_t statements)
{
    const struct sy_throttle *throttle = session->throttle;
    uint64_t now_us = sy_loop_now_us(session->worker->loop);
    if (throttle->user != NULL)
        sy_rate_owe(throttle->user, statements, now_us);
    if (throttle->database != NULL)
        sy_rate_owe(throttle->database, statements, now_us);
}

enum sy_step sy_throttle_statement(struct sy_session *session, struct sy_err *err)
{
    struct sy_throttle *throttle = session->throttle;
    if (throttle->waiting)
        return SY_STEP_AGAIN;
    if (throttle->paid)
        return SY_STEP_DONE;
    uint64_t wait_us, most_us = session->worker->topology->config->statement_wait_max_us;
    enum sy_status status = take(session, throttle->user, throttle->database, most_us, &wait_us);
    if (status != SY_OK && session->txn != 'I') {
        /* Refusing would undo the transaction, its COMMIT too: it goes on slowly, and owes. */
        sy_throttle_owe(session, 1);
        wait_us = most_us;
    } else if (status != SY_OK) {
        (void)refuse(session, "statements", status == SY_E_TOO_MANY, err);
        return SY_STEP_ERROR;
    }
    throttle->paid = true;
    if (wait_us == 0)
        return SY_STEP_DONE;
    throttle->waiting = true;
    sy_counter_add(&session->database->counters->throttled, 1);
    sy_timer_start(session->worker->loop, &throttle->timer, wait_us);
    return SY_STEP_AGAIN;
}

void sy_throttle_handled(struct sy_session *session)
{
    session->throttle->paid = false;
}

bool sy_throttle_waits(const struct sy_session *session)
{
    return session->throttle != NULL && session->throttle->waiting;
}

void sy_throttle_free(struct sy_session *session)
{
    if (session->throttle == NULL)
        return;
    sy_timer_cancel(session->worker->loop, &session->throttle->timer);
    free(session->throttle);
    session->throttle = NULL;
}
