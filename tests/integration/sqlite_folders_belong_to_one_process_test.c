/* A second router on a folder of embedded shards is refused at its start, and says who has it; the
 * first one does not notice, and when it is gone, even by kill -9, the folder is free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/serve.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"
#include "tests/harness/router.h"

static struct sy_router *router;
static char folder[64], shards[96];

static const char *databases(const char *name)
{
    static char text[512];
    snprintf(text, sizeof(text),
             "{ name = \"%s\"; engine = \"sqlite\"; default_placement = \"local s0\"; data_dir = "
             "\"%s\"; shards = ( { name = \"s0\"; "
             "}, { name = \"s1\"; } ); } );",
             name, shards);
    return text;
}

/* Another router in a process of its own; what it says is in *ret_words. */
static int serve_another(char *ret_words, size_t bytes)
{
    char config[128], log[128], text[1024];
    snprintf(config, sizeof(config), "%s/other.conf", folder);
    snprintf(log, sizeof(log), "%s/other.log", folder);
    snprintf(text, sizeof(text),
             "listen = { address = \"127.0.0.1\"; port = %u; };\ndata_dir = \"%s/other\";\n"
             "databases = (%s\n",
             (unsigned)sy_free_port(), folder, databases("another"));
    sy_write_file(config, text, false);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(log, O_CREAT | O_WRONLY | O_TRUNC, 0644);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        const struct sy_serve_options options = {.config_path = config, .workers = 1};
        _exit(sy_serve(&options));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    FILE *file = fopen(log, "r");
    size_t got = file == NULL ? 0 : fread(ret_words, 1, bytes - 1, file);
    ret_words[got] = '\0';
    if (file != NULL)
        (void)fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void a_second_router_is_refused(void **state)
{
    (void)state;
    PGconn *c = sy_router_connect(router, "one", NULL);
    assert_string_equal(sy_run(c, "create table if not exists t (a int)"), "CREATE TABLE");
    char words[4096], holder[64];
    assert_int_not_equal(serve_another(words, sizeof(words)), 0);
    snprintf(holder, sizeof(holder), "process %ld is using", (long)sy_router_pid(router));
    if (strstr(words, holder) == NULL || strstr(words, shards) == NULL ||
        strstr(words, "data_dir of its own") == NULL)
        fail_msg("it said: %s", words);
    assert_string_equal(sy_run(c, "insert into t values (1)"), "INSERT 0 1");
    PQfinish(c);
}

static void a_killed_router_leaves_the_folder_free(void **state)
{
    (void)state;
    sy_router_restart(router, true);
    PGconn *c = sy_router_connect(router, "one", NULL);
    assert_string_equal(sy_ask(c, "select count(*) from t"), "1");
    PQfinish(c);
}

static void a_reload_that_wants_a_taken_folder_changes_nothing(void **state)
{
    (void)state;
    struct sy_router *other = sy_router_start(
        "{ name = \"two\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; } ); } );", NULL, NULL);
    PGconn *c = sy_router_connect(other, "two", NULL);
    sy_router_reload(other, databases("one"), NULL);
    sy_router_wait_log(other, "reload failed");
    assert_string_equal(sy_ask(c, "select 1"), "1");
    PQfinish(c);
    c = sy_router_connect(other, "two", NULL);
    PQfinish(c);
    assert_int_equal(sy_router_stop(&other, SIGTERM), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_router_is_refused),
        cmocka_unit_test(a_killed_router_leaves_the_folder_free),
        cmocka_unit_test(a_reload_that_wants_a_taken_folder_changes_nothing),
    };
    snprintf(folder, sizeof(folder), "/tmp/sy-folder-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(shards, sizeof(shards), "%s/shards", folder);
    router = sy_router_start(databases("one"), NULL, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += sy_router_stop(&router, SIGTERM);
    if (failed == 0)
        sy_remove_tree(folder);
    return failed;
}
