/* The command line: a table of commands, each with its own options and help. */
#ifndef SY_CLI_COMMAND_H
#define SY_CLI_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

enum { SY_OPTIONS_MAX = 8, SY_EXIT_OK = 0, SY_EXIT_FAILED = 1, SY_EXIT_USAGE = 2 };

struct sy_option {
    char letter;            /* 0: none */
    const char *word;       /* "--config" without the dashes */
    const char *value_name; /* "FILE"; NULL: a flag */
    const char *help;
};

/* What was given: values by position in the command's `options`, operands in order. */
struct sy_arguments {
    const char *value[SY_OPTIONS_MAX]; /* NULL: not given; flags: "" */
    const char *operand[SY_OPTIONS_MAX];
    int operand_count;
};

struct sy_command {
    const char *name;     /* one or two words: "serve", "config check" */
    const char *operands; /* as shown in the synopsis, or NULL */
    int operands_least, operands_most;
    const char *summary; /* one line */
    const char *details; /* paragraphs for --help; ends with a newline */
    struct sy_option options[SY_OPTIONS_MAX];
    int (*run)(const struct sy_arguments *arguments);
};

extern const struct sy_command sy_commands[]; /* ends with a NULL name */

/* Runs argv[1..]; returns the exit status. `out` and `errors` for tests. */
int sy_command_line(int argc, const char *const *argv, FILE *out, FILE *errors);

int sy_command_serve(const struct sy_arguments *arguments);
int sy_command_config_check(const struct sy_arguments *arguments);
int sy_command_config_example(const struct sy_arguments *arguments);
int sy_command_config_reference(const struct sy_arguments *arguments);
int sy_command_explain(const struct sy_arguments *arguments);
int sy_command_version(const struct sy_arguments *arguments);

#endif
