/* A worker that cannot start, or whose loop fails later, is not left out silently: its listeners
 * would go on getting clients whom nobody answers. The process says so and ends with a failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/serve.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"

static char folder[64];

static void run_child(const char *config, const char *log, const char *fault)
{
    int fd = open(log, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("SY_FAULTS", fault, 1);
    const struct sy_serve_options options = {
        .config_path = config, .loop = getenv("SY_TEST_LOOP"), .workers = 2};
    _exit(sy_serve(&options));
}

/* The exit status of a router of two workers that meets a fault; -1: it went on for half a minute,
 * or did not exit. What it said is in ret_words. */
static int serve_with(const char *fault, char *ret_words, size_t bytes)
{
    char config[128], log[128], text[1024];
    snprintf(config, sizeof(config), "%s/test.conf", folder);
    snprintf(log, sizeof(log), "%s/log", folder);
    snprintf(text, sizeof(text),
             "listen = { address = \"127.0.0.1\"; port = %u; unix_socket_dir = \"%s\"; };\n"
             "data_dir = \"%s/data\";\n"
             "databases = ({ name = \"one\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; } ); "
             "} );\n",
             (unsigned)sy_free_port(), folder, folder);
    sy_write_file(config, text, false);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        run_child(config, log, fault);
    int status = 0;
    bool ended = false;
    for (int i = 0; i < 3000 && !ended; i++) {
        ended = waitpid(child, &status, WNOHANG) == child;
        if (!ended)
            sy_pause_ms(10);
    }
    if (!ended) {
        kill(child, SIGKILL);
        (void)waitpid(child, &status, 0);
    }
    FILE *file = fopen(log, "r");
    size_t got = file == NULL ? 0 : fread(ret_words, 1, bytes - 1, file);
    ret_words[got] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check(const char *fault, const char *says)
{
    char words[8192];
    int status = serve_with(fault, words, sizeof(words));
    if (status != SY_EXIT_FAILED || strstr(words, says) == NULL)
        fail_msg("%s: status %d; it said: %s", fault, status, words);
}

/* Of the three listeners the first worker has two: its Unix socket's is one of them. */
static void a_worker_that_cannot_accept_ends_the_start(void **state)
{
    (void)state;
    static const char *const faults[] = {"accept.start=1", "accept.start=2", "accept.start=3",
                                         "accept.start=1+"};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        check(faults[i], " cannot accept clients: no memory");
}

static void a_start_that_fails_is_told_as_such(void **state)
{
    (void)state;
    char words[8192];
    assert_int_equal(serve_with("accept.start=3", words, sizeof(words)), SY_EXIT_FAILED);
    if (strstr(words, "switchyard serve: cannot start: worker-") == NULL ||
        strstr(words, "ready") != NULL)
        fail_msg("it said: %s", words);
}

static void a_worker_whose_loop_fails_ends_the_process(void **state)
{
    (void)state;
    check("worker.run=1", "worker failed, the process ends");
    check("worker.run=2", "worker failed, the process ends");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_that_cannot_accept_ends_the_start),
        cmocka_unit_test(a_start_that_fails_is_told_as_such),
        cmocka_unit_test(a_worker_whose_loop_fails_ends_the_process),
    };
    snprintf(folder, sizeof(folder), "/tmp/sy-failing-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed == 0)
        sy_remove_tree(folder);
    return failed;
}
