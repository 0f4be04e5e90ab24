/*
 * Declarations (config/declaration.h) on their way from the sessions to the thread that carries
 * them out, one after the other, and back: a board on which one side writes the statement, the
 * other what came of it. Any thread.
 */
#ifndef SY_ROUTER_SESSION_DECLARING_H
#define SY_ROUTER_SESSION_DECLARING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct sy_declare_board;

/* Ownership: free with sy_declare_board_free(). NULL: no memory. */
struct sy_declare_board *sy_declare_board_new(void);
void sy_declare_board_free(struct sy_declare_board **board);

/* A new request; its number into *ret_request. `database`: empty: the console asks. Whoever asks
 * takes the outcome, or forgets the request. Errors: SY_E_NO_MEMORY; SY_E_RATE: too many wait. */
SY_MUST_CHECK enum sy_status sy_declare_ask(struct sy_declare_board *board,
                                            struct sy_slice database, struct sy_slice text,
                                            uint64_t *ret_request, struct sy_err *err);
/* True: it was carried out or refused, *ret_outcome says which; the request is over. */
bool sy_declare_told(struct sy_declare_board *board, uint64_t request, struct sy_err *ret_outcome);
/* Nobody waits for it any more. It may be carried out all the same. */
void sy_declare_forget(struct sy_declare_board *board, uint64_t request);

/* The oldest request that was not taken, 0: none. The buffers are overwritten. */
uint64_t sy_declare_take(struct sy_declare_board *board, struct sy_buf *database,
                         struct sy_buf *text);
void sy_declare_tell(struct sy_declare_board *board, uint64_t request,
                     const struct sy_err *outcome);

#endif
