/* Transactions over several shards, as recovery found them. */
#include <string.h>

#include "router/console/internal.h"
#include "router/topology/transactions.h"
#include "router/wire/message.h"

static void write_row(void *ctx, const struct sy_transaction_found *found)
{
    struct sy_console_view *view = ctx;
    size_t start = sy_console_row_begin(view);
    sy_console_text(view, found->gid);
    sy_console_text(view, found->state);
    sy_console_text(view, found->database);
    sy_console_text(view, found->decider[0] == 0 ? NULL : found->decider);
    sy_console_text(view, found->participant);
    sy_console_int(view, found->age_us);
    sy_console_text(view, found->evidence);
    sy_console_row_end(view, start);
}

void sy_show_transactions(struct sy_console_view *view)
{
    sy_transactions_each(write_row, view);
}

struct search {
    const struct sy_console_view *view;
    bool found;
};

static void tell(void *ctx, const struct sy_transaction_found *found)
{
    struct search *search = ctx;
    struct sy_err err = {0};
    if (search->found || strcmp(found->gid, search->view->command->argument) != 0)
        return;
    search->found = true;
    (void)sy_err_set(&err, SY_E_STATE, "%s: %s", found->state, found->evidence);
    sy_err_state(&err, "00000");
    sy_err_hint(&err, "The decision is stored at the decider and carried out by the next look of "
                      "recovery; SHOW TRANSACTIONS and the log tell what came of it. A decision "
                      "that is stored already stays.");
    sy_write_notice(search->view->out, "NOTICE", &err);
}

void sy_console_tell_evidence(struct sy_console_view *view)
{
    struct search search = {.view = view};
    struct sy_err err = {0};
    sy_transactions_each(tell, &search);
    if (search.found)
        return;
    (void)sy_err_set(&err, SY_E_NOT_FOUND, "recovery knows no prepared transaction \"%s\"",
                     view->command->argument);
    sy_err_state(&err, "01000");
    sy_write_notice(view->out, "WARNING", &err);
}
