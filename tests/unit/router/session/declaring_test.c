/* The board of declarations: in order, each answered once, none kept that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/limits.h"
#include "router/session/declaring.h"

static uint64_t ask(struct sy_declare_board *board, const char *text)
{
    uint64_t request = 0;
    struct sy_err err;
    assert_int_equal(sy_declare_ask(board, SY_SLICE("blog"), sy_slice_of(text), &request, &err),
                     SY_OK);
    return request;
}

static void each_is_taken_and_answered_once(void **state)
{
    (void)state;
    struct sy_declare_board *board = sy_declare_board_new();
    struct sy_buf database = {0}, text = {0};
    struct sy_err good, bad, outcome;
    sy_err_init(&good);
    sy_err_init(&bad);
    (void)sy_err_set(&bad, SY_E_VALUE, "no");
    uint64_t first = ask(board, "one"), second = ask(board, "two");
    assert_int_equal(sy_declare_take(board, &database, &text), first);
    assert_memory_equal(text.data, "one", 3);
    assert_memory_equal(database.data, "blog", 4);
    assert_false(sy_declare_told(board, first, &outcome));
    assert_int_equal(sy_declare_take(board, &database, &text), second);
    assert_int_equal(sy_declare_take(board, &database, &text), 0);
    sy_declare_tell(board, second, &bad);
    sy_declare_tell(board, first, &good);
    assert_true(sy_declare_told(board, first, &outcome));
    assert_int_equal(outcome.status, SY_OK);
    assert_true(sy_declare_told(board, second, &outcome));
    assert_int_equal(outcome.status, SY_E_VALUE);
    assert_false(sy_declare_told(board, second, &outcome));
    sy_buf_release(&database);
    sy_buf_release(&text);
    sy_declare_board_free(&board);
}

static void who_left_is_not_answered(void **state)
{
    (void)state;
    struct sy_declare_board *board = sy_declare_board_new();
    struct sy_buf database = {0}, text = {0};
    struct sy_err good, outcome;
    sy_err_init(&good);
    uint64_t waiting = ask(board, "one"), taken = ask(board, "two"), kept = ask(board, "three");
    sy_declare_forget(board, waiting); /* not begun: it does not happen */
    assert_int_equal(sy_declare_take(board, &database, &text), taken);
    sy_declare_forget(board, taken);
    sy_declare_tell(board, taken, &good);
    assert_false(sy_declare_told(board, taken, &outcome));
    assert_int_equal(sy_declare_take(board, &database, &text), kept);
    sy_buf_release(&database);
    sy_buf_release(&text);
    sy_declare_board_free(&board); /* with what is left on it */
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    struct sy_declare_board *board = sy_declare_board_new();
    struct sy_err err;
    uint64_t request = 0;
    for (int i = 0; i < SY_LIMIT_DECLARATIONS_WAITING; i++)
        (void)ask(board, "x");
    assert_int_equal(sy_declare_ask(board, SY_SLICE("blog"), SY_SLICE("x"), &request, &err),
                     SY_E_RATE);
    sy_declare_board_free(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_taken_and_answered_once),
        cmocka_unit_test(who_left_is_not_answered),
        cmocka_unit_test(the_queue_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
