/* Hash jobs come back on the asking loop with the right keys, from the threads or from the cache,
 * and wiped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "router/auth/hash_pool.h"

enum { JOBS = 40, TURNS_MAX = 10000 };

static struct sy_loop *loop;
static unsigned done_count;

static void done(struct sy_hash_job *job)
{
    (void)job;
    done_count++;
}

static void fill(struct sy_hash_job *job, const char *password, uint8_t salt)
{
    memset(job, 0, sizeof(*job));
    job->loop = loop;
    job->done = done;
    job->password_bytes = (uint32_t)strlen(password);
    memcpy(job->password, password, job->password_bytes);
    job->salt[0] = salt;
    job->salt_bytes = 16;
    job->iterations = SY_SCRAM_ITERATIONS_MIN;
}

static void turn_until(unsigned count)
{
    struct sy_err err;
    for (int i = 0; done_count < count && i < TURNS_MAX; i++)
        assert_int_equal(sy_loop_turn(loop, 100, &err), SY_OK);
    assert_int_equal(done_count, count);
}

static void check(const struct sy_hash_job *job, const char *password)
{
    static const char nothing[sizeof(job->password)];
    uint8_t client_key[32], server_key[32];
    assert_int_equal(job->status, SY_OK);
    assert_int_equal(sy_scram_derive_keys(sy_slice_of(password), job->salt, job->salt_bytes,
                                          job->iterations, client_key, server_key, NULL),
                     SY_OK);
    assert_memory_equal(job->client_key, client_key, 32);
    assert_memory_equal(job->server_key, server_key, 32);
    assert_memory_equal(job->password, nothing, sizeof(nothing));
    assert_int_equal(job->password_bytes, 0);
}

static int set_up(void **state)
{
    (void)state;
    const struct sy_loop_options options = {.kind = SY_LOOP_EPOLL};
    struct sy_err err;
    done_count = 0;
    return sy_loop_new(&options, &loop, &err) == SY_OK && sy_hash_pool_start(2, &err) == SY_OK ? 0
                                                                                               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    sy_hash_pool_stop();
    sy_loop_free(&loop);
    return 0;
}

static void keys_come_back_right_and_passwords_are_wiped(void **state)
{
    (void)state;
    static struct sy_hash_job jobs[JOBS];
    struct sy_err err;
    for (unsigned i = 0; i < JOBS; i++) {
        fill(&jobs[i], i % 2 == 0 ? "one" : "two", (uint8_t)(i / 4));
        assert_int_equal(sy_hash_pool_submit(&jobs[i], &err), SY_OK);
    }
    turn_until(JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        check(&jobs[i], i % 2 == 0 ? "one" : "two");
}

static void cached_keys_come_through_the_loop_too(void **state)
{
    (void)state;
    struct sy_hash_job job;
    struct sy_err err;
    for (unsigned i = 1; i <= 3; i++) {
        fill(&job, "again", 9);
        assert_int_equal(sy_hash_pool_submit(&job, &err), SY_OK);
        assert_int_equal(done_count, i - 1);
        turn_until(i);
        check(&job, "again");
    }
    /* One byte of salt, of password or one iteration more is another entry. */
    fill(&job, "agaim", 9);
    assert_int_equal(sy_hash_pool_submit(&job, &err), SY_OK);
    turn_until(4);
    check(&job, "agaim");
    fill(&job, "again", 9);
    job.iterations++;
    assert_int_equal(sy_hash_pool_submit(&job, &err), SY_OK);
    turn_until(5);
    check(&job, "again");
}

static void a_full_queue_refuses_and_stopping_delivers_the_rest(void **state)
{
    (void)state;
    struct sy_hash_job *jobs = calloc(SY_LIMIT_HASH_QUEUE + 64, sizeof(struct sy_hash_job));
    assert_non_null(jobs);
    struct sy_err err = {.status = SY_OK};
    unsigned accepted = 0;
    enum sy_status status = SY_OK;
    for (unsigned i = 0; i < SY_LIMIT_HASH_QUEUE + 64 && status == SY_OK; i++) {
        char password[16];
        snprintf(password, sizeof(password), "pw%u", i);
        fill(&jobs[i], password, 1);
        status = sy_hash_pool_submit(&jobs[i], &err);
        accepted += status == SY_OK;
    }
    assert_int_equal(status, SY_E_LIMIT);
    assert_true(accepted >= SY_LIMIT_HASH_QUEUE);
    sy_hash_pool_stop();
    turn_until(accepted);
    unsigned ended = 0;
    for (unsigned i = 0; i < accepted; i++) {
        assert_true(jobs[i].status == SY_OK || jobs[i].status == SY_E_SHUTDOWN);
        assert_int_equal(jobs[i].password_bytes, 0);
        ended += jobs[i].status == SY_E_SHUTDOWN;
    }
    assert_true(ended > 0);
    assert_int_equal(sy_hash_pool_submit(&jobs[0], &err), SY_E_SHUTDOWN);
    assert_int_equal(sy_hash_pool_start(1, &err), SY_OK);
    assert_int_equal(sy_hash_pool_start(1, &err), SY_E_STATE);
    free(jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_come_back_right_and_passwords_are_wiped, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(cached_keys_come_through_the_loop_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_queue_refuses_and_stopping_delivers_the_rest, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
