/*
 * What RELOAD asks of the thread that reads the configuration, and what came of it: a board on
 * which one side writes the request, the other the outcome. Any thread.
 */
#ifndef SY_ROUTER_SESSION_RELOAD_H
#define SY_ROUTER_SESSION_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sy_reload_board;

/* Ownership: free with sy_reload_board_free(). NULL: no memory. */
struct sy_reload_board *sy_reload_board_new(void);
void sy_reload_board_free(struct sy_reload_board **board);

/* A new request; its number. */
uint64_t sy_reload_ask(struct sy_reload_board *board);
/* The last request so far: the outcome of what begins now answers it and those before. */
uint64_t sy_reload_asked(struct sy_reload_board *board);
/* `problems`: a line each, or empty; copied. */
void sy_reload_tell(struct sy_reload_board *board, uint64_t up_to, const struct sy_err *outcome,
                    struct sy_slice problems);
/* True: the request was answered. Problems are appended. */
bool sy_reload_told(struct sy_reload_board *board, uint64_t request, struct sy_err *ret_outcome,
                    struct sy_buf *ret_problems);

#endif
