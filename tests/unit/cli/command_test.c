/* The command line: help from the table, options in every form, clear words for mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"

static char out[16384], errors[4096];

static int run(const char *line)
{
    const char *argv[16] = {"switchyard"};
    int argc = 1;
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *rest = copy, *word; (word = strtok_r(rest, " ", &rest)) != NULL;)
        argv[argc++] = word;
    FILE *out_file = fmemopen(out, sizeof(out), "w"),
         *error_file = fmemopen(errors, sizeof(errors), "w");
    int status = sy_command_line(argc, argv, out_file, error_file);
    fclose(out_file);
    fclose(error_file);
    return status;
}

static void help_lists_every_command(void **state)
{
    (void)state;
    assert_int_equal(run("--help"), SY_EXIT_OK);
    for (const struct sy_command *command = sy_commands; command->name != NULL; command++)
        assert_non_null(strstr(out, command->name));
}

static void each_command_explains_itself(void **state)
{
    (void)state;
    for (const struct sy_command *command = sy_commands; command->name != NULL; command++) {
        char line[100];
        snprintf(line, sizeof(line), "%s --help", command->name);
        assert_int_equal(run(line), SY_EXIT_OK);
        assert_non_null(strstr(out, command->summary));
        for (int i = 0; i < SY_OPTIONS_MAX && command->options[i].word != NULL; i++)
            assert_non_null(strstr(out, command->options[i].help));
    }
}

static void a_group_of_commands_explains_itself(void **state)
{
    (void)state;
    static const char *const lines[] = {"config --help", "config -h", "help config"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        assert_int_equal(run(lines[i]), SY_EXIT_OK);
        assert_non_null(strstr(out, "config check"));
        assert_null(strstr(out, "serve "));
    }
    assert_int_equal(run("help config check"), SY_EXIT_OK);
    assert_non_null(strstr(out, "usage: switchyard config check FILE"));
}

static const struct {
    const char *line, *expect;
} mistakes[] = {
    {"", "usage: switchyard COMMAND"},
    {"sreve", "no command \"sreve\""},
    {"config", "usage: switchyard config COMMAND"},
    {"config chek", "usage: switchyard config COMMAND"},
    {"help sreve", "no command \"sreve\""},
    {"serve --prot 1", "unknown option --prot; see switchyard serve --help"},
    {"serve -c", "option -c needs a value: FILE"},
    {"serve extra", "unexpected \"extra\""},
    {"config check", "FILE is missing"},
    {"explain", "SQL is missing"},
};

static void mistakes_get_a_clear_word(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
        int status = run(mistakes[i].line);
        if (status != SY_EXIT_USAGE || strstr(errors, mistakes[i].expect) == NULL)
            fail_msg("\"%s\": status %d: %s", mistakes[i].line, status, errors);
    }
}

static void checks_a_configuration_file(void **state)
{
    (void)state;
    char path[] = "/tmp/sy-cli-XXXXXX", line[64];
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fputs("databases = ( { name = \"d\"; engine = \"sqlite\"; shards = ( { name = \"s0\"; } ); } "
          ");\n",
          file);
    fclose(file);
    snprintf(line, sizeof(line), "config check %s", path);
    assert_int_equal(run(line), SY_EXIT_OK);
    file = fopen(path, "w");
    fputs("databases = 5;\n", file);
    fclose(file);
    assert_int_equal(run(line), SY_EXIT_FAILED);
    remove(path);
    assert_int_equal(run(line), SY_EXIT_FAILED);
}

static void the_example_can_be_used(void **state)
{
    (void)state;
    char path[] = "/tmp/sy-cli-XXXXXX", line[64];
    close(mkstemp(path));
    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    assert_non_null(freopen(path, "w", stdout));
    int status = run("config example");
    fflush(stdout);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    snprintf(line, sizeof(line), "config check %s", path);
    assert_int_equal(status, SY_EXIT_OK);
    assert_int_equal(run(line), SY_EXIT_OK);
    remove(path);
}

static void explains_a_statement_of_the_demo(void **state)
{
    (void)state;
    const char *argv[] = {"switchyard", "explain",
                          "SELECT name FROM packages WHERE maintainer_id = 42"};
    assert_int_equal(sy_command_line(3, argv, stdout, stderr), SY_EXIT_OK);
    argv[2] = "SELECT section, count(*) FROM packages GROUP BY section";
    assert_int_equal(sy_command_line(3, argv, stdout, stderr), SY_EXIT_OK);
    argv[2] = "SELEC 1";
    assert_int_equal(sy_command_line(3, argv, stdout, stderr), SY_EXIT_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_lists_every_command),
        cmocka_unit_test(each_command_explains_itself),
        cmocka_unit_test(a_group_of_commands_explains_itself),
        cmocka_unit_test(the_example_can_be_used),
        cmocka_unit_test(mistakes_get_a_clear_word),
        cmocka_unit_test(checks_a_configuration_file),
        cmocka_unit_test(explains_a_statement_of_the_demo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
