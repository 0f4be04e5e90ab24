/* The board between RELOAD and the thread that reads the configuration. */
#include "router/session/reload.h"

#include <pthread.h>
#include <stdlib.h>

struct sy_reload_board {
    pthread_mutex_t lock;
    uint64_t asked, told;
    struct sy_err outcome; /* of the last one told */
    struct sy_buf problems;
};

struct sy_reload_board *sy_reload_board_new(void)
{
    struct sy_reload_board *board = calloc(1, sizeof(*board));
    if (board != NULL)
        pthread_mutex_init(&board->lock, NULL);
    return board;
}

void sy_reload_board_free(struct sy_reload_board **board)
{
    if (*board == NULL)
        return;
    sy_buf_release(&(*board)->problems);
    pthread_mutex_destroy(&(*board)->lock);
    free(*board);
    *board = NULL;
}

uint64_t sy_reload_ask(struct sy_reload_board *board)
{
    pthread_mutex_lock(&board->lock);
    uint64_t request = ++board->asked;
    pthread_mutex_unlock(&board->lock);
    return request;
}

uint64_t sy_reload_asked(struct sy_reload_board *board)
{
    pthread_mutex_lock(&board->lock);
    uint64_t request = board->asked;
    pthread_mutex_unlock(&board->lock);
    return request;
}

void sy_reload_tell(struct sy_reload_board *board, uint64_t up_to, const struct sy_err *outcome,
                    struct sy_slice problems)
{
    pthread_mutex_lock(&board->lock);
    board->told = up_to;
    board->outcome = *outcome;
    sy_buf_clear(&board->problems);
    sy_buf_append_slice(&board->problems, problems);
    pthread_mutex_unlock(&board->lock);
}

bool sy_reload_told(struct sy_reload_board *board, uint64_t request, struct sy_err *ret_outcome,
                    struct sy_buf *ret_problems)
{
    pthread_mutex_lock(&board->lock);
    bool told = board->told >= request;
    if (told) {
        *ret_outcome = board->outcome;
        sy_buf_append(ret_problems, board->problems.data, board->problems.bytes);
    }
    pthread_mutex_unlock(&board->lock);
    return told;
}
