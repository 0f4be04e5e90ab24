/* The board of declarations. */
#include "router/session/declaring.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"

struct request {
    struct sy_list link;
    uint64_t number;
    struct sy_buf database, text;
    struct sy_err outcome;
    bool taken, told, forgotten;
};

struct sy_declare_board {
    pthread_mutex_t lock;
    struct sy_list requests; /* oldest first */
    uint32_t count;
    uint64_t last;
};

struct sy_declare_board *sy_declare_board_new(void)
{
    struct sy_declare_board *board = calloc(1, sizeof(*board));
    if (board == NULL)
        return NULL;
    pthread_mutex_init(&board->lock, NULL);
    sy_list_init(&board->requests);
    return board;
}

static void free_request(struct sy_declare_board *board, struct request *request)
{
    sy_list_remove(&request->link);
    board->count--;
    sy_buf_release(&request->database);
    sy_buf_release(&request->text);
    free(request);
}

void sy_declare_board_free(struct sy_declare_board **board)
{
    if (*board == NULL)
        return;
    sy_list_each_safe(node, &(*board)->requests)
        free_request(*board, sy_container_of(node, struct request, link));
    pthread_mutex_destroy(&(*board)->lock);
    free(*board);
    *board = NULL;
}

static enum sy_status add(struct sy_declare_board *board, struct request *request,
                          struct sy_err *err)
{
    pthread_mutex_lock(&board->lock);
    bool full = board->count == SY_LIMIT_DECLARATIONS_WAITING;
    if (!full) {
        request->number = ++board->last;
        board->count++;
        sy_list_append(&board->requests, &request->link);
    }
    pthread_mutex_unlock(&board->lock);
    return full ? sy_err_set(err, SY_E_RATE, "too many declarations wait") : SY_OK;
}

enum sy_status sy_declare_ask(struct sy_declare_board *board, struct sy_slice database,
                              struct sy_slice text, uint64_t *ret_request, struct sy_err *err)
{
    struct request *request = calloc(1, sizeof(*request));
    if (request == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    sy_buf_append_slice(&request->database, database);
    sy_buf_append_slice(&request->text, text);
    enum sy_status status = SY_OK;
    if (request->database.failed || request->text.failed)
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    if (status == SY_OK)
        status = add(board, request, err);
    if (status == SY_OK) {
        *ret_request = request->number;
        return SY_OK;
    }
    sy_buf_release(&request->database);
    sy_buf_release(&request->text);
    free(request);
    return status;
}

static struct request *find(struct sy_declare_board *board, uint64_t number)
{
    sy_list_each(node, &board->requests)
    {
        struct request *request = sy_container_of(node, struct request, link);
        if (request->number == number)
            return request;
    }
    return NULL;
}

bool sy_declare_told(struct sy_declare_board *board, uint64_t number, struct sy_err *ret_outcome)
{
    pthread_mutex_lock(&board->lock);
    struct request *request = find(board, number);
    bool told = request != NULL && request->told;
    if (told) {
        *ret_outcome = request->outcome;
        free_request(board, request);
    }
    pthread_mutex_unlock(&board->lock);
    return told;
}

void sy_declare_forget(struct sy_declare_board *board, uint64_t number)
{
    pthread_mutex_lock(&board->lock);
    struct request *request = find(board, number);
    if (request != NULL && (request->told || !request->taken))
        free_request(board, request);
    else if (request != NULL)
        request->forgotten = true;
    pthread_mutex_unlock(&board->lock);
}

uint64_t sy_declare_take(struct sy_declare_board *board, struct sy_buf *database,
                         struct sy_buf *text)
{
    uint64_t number = 0;
    sy_buf_clear(database);
    sy_buf_clear(text);
    pthread_mutex_lock(&board->lock);
    sy_list_each(node, &board->requests)
    {
        struct request *request = sy_container_of(node, struct request, link);
        if (request->taken)
            continue;
        request->taken = true;
        number = request->number;
        sy_buf_append(database, request->database.data, request->database.bytes);
        sy_buf_append(text, request->text.data, request->text.bytes);
        break;
    }
    pthread_mutex_unlock(&board->lock);
    return number;
}

void sy_declare_tell(struct sy_declare_board *board, uint64_t number, const struct sy_err *outcome)
{
    pthread_mutex_lock(&board->lock);
    struct request *request = find(board, number);
    if (request != NULL && request->forgotten) {
        free_request(board, request);
    } else if (request != NULL) {
        request->outcome = *outcome;
        request->told = true;
    }
    pthread_mutex_unlock(&board->lock);
}
