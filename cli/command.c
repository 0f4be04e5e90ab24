/* Reads the command line by the table of commands, and prints help from it. */
#include "cli/command.h"

#include <string.h>

static void print_usage(FILE *out)
{
    fputs("switchyard: one PostgreSQL address in front of many databases\n\nusage: switchyard "
          "COMMAND [OPTIONS]\n\n",
          out);
    for (const struct sy_command *command = sy_commands; command->name != NULL; command++)
        fprintf(out, "  %-17s %s\n", command->name, command->summary);
    fputs("\nswitchyard COMMAND --help says more. Try it: switchyard serve\n"
          "Exit status: 0 done, 1 failed, 2 not understood.\n",
          out);
}

/* The commands whose first word is `word`; their number. */
static int print_group(const char *word, FILE *out)
{
    size_t bytes = strlen(word);
    int count = 0;
    for (const struct sy_command *command = sy_commands; command->name != NULL; command++) {
        if (strncmp(command->name, word, bytes) != 0 || command->name[bytes] != ' ')
            continue;
        if (count++ == 0)
            fprintf(out, "usage: switchyard %s COMMAND\n\n", word);
        fprintf(out, "  %-17s %s\n", command->name, command->summary);
    }
    if (count > 0)
        fprintf(out, "\nswitchyard %s COMMAND --help says more.\n", word);
    return count;
}

static void print_help(const struct sy_command *command, FILE *out)
{
    bool any = command->options[0].word != NULL;
    fprintf(out, "usage: switchyard %s%s%s%s\n\n%s\n", command->name, any ? " [OPTIONS]" : "",
            command->operands != NULL ? " " : "",
            command->operands != NULL ? command->operands : "", command->summary);
    if (command->details[0] != '\0')
        fprintf(out, "\n%s", command->details);
    if (any)
        fputs("\noptions:\n", out);
    for (int i = 0; i < SY_OPTIONS_MAX && command->options[i].word != NULL; i++) {
        const struct sy_option *option = &command->options[i];
        char form[64];
        snprintf(form, sizeof(form), "--%s%s%s", option->word,
                 option->value_name != NULL ? " " : "",
                 option->value_name != NULL ? option->value_name : "");
        fprintf(out, "  %c%c%s %-18s %s\n", option->letter != 0 ? '-' : ' ',
                option->letter != 0 ? option->letter : ' ', option->letter != 0 ? "," : " ", form,
                option->help);
    }
}

/* The command that argv names and how many words that took; NULL: none. */
static const struct sy_command *find_command(int argc, const char *const *argv, int *ret_words)
{
    for (const struct sy_command *command = sy_commands; command->name != NULL; command++) {
        const char *blank = strchr(command->name, ' ');
        size_t first = blank != NULL ? (size_t)(blank - command->name) : strlen(command->name);
        if (strlen(argv[1]) != first || strncmp(argv[1], command->name, first) != 0)
            continue;
        if (blank == NULL || (argc > 2 && strcmp(argv[2], blank + 1) == 0)) {
            *ret_words = blank == NULL ? 1 : 2;
            return command;
        }
    }
    return NULL;
}

static int find_option(const struct sy_command *command, const char *text, size_t bytes)
{
    for (int i = 0; i < SY_OPTIONS_MAX && command->options[i].word != NULL; i++) {
        const struct sy_option *option = &command->options[i];
        bool by_letter = bytes == 2 && option->letter != 0 && text[1] == option->letter;
        bool by_word = bytes > 2 && strlen(option->word) == bytes - 2 &&
                       strncmp(text + 2, option->word, bytes - 2) == 0;
        if (by_letter || by_word)
            return i;
    }
    return -1;
}

/* One option at argv[*at]; moves *at over its value. */
static bool read_option(const struct sy_command *command, int argc, const char *const *argv,
                        int *at, struct sy_arguments *arguments, FILE *errors)
{
    const char *text = argv[*at];
    const char *equals = text[1] == '-' ? strchr(text, '=') : NULL;
    size_t bytes = equals != NULL ? (size_t)(equals - text) : strlen(text);
    int index = find_option(command, text, bytes);
    if (index < 0) {
        fprintf(errors, "switchyard %s: unknown option %s; see switchyard %s --help\n",
                command->name, text, command->name);
        return false;
    }
    if (command->options[index].value_name == NULL) {
        arguments->value[index] = "";
        return true;
    }
    if (equals == NULL && *at + 1 == argc) {
        fprintf(errors, "switchyard %s: option %s needs a value: %s\n", command->name, text,
                command->options[index].value_name);
        return false;
    }
    arguments->value[index] = equals != NULL ? equals + 1 : argv[++*at];
    return true;
}

static bool read_arguments(const struct sy_command *command, int argc, const char *const *argv,
                           int at, struct sy_arguments *arguments, FILE *errors)
{
    bool options_over = false;
    for (; at < argc; at++) {
        if (!options_over && strcmp(argv[at], "--") == 0) {
            options_over = true;
        } else if (!options_over && argv[at][0] == '-' && argv[at][1] != '\0') {
            if (!read_option(command, argc, argv, &at, arguments, errors))
                return false;
        } else if (arguments->operand_count == command->operands_most) {
            fprintf(errors, "switchyard %s: unexpected \"%s\"; see switchyard %s --help\n",
                    command->name, argv[at], command->name);
            return false;
        } else {
            arguments->operand[arguments->operand_count++] = argv[at];
        }
    }
    if (arguments->operand_count < command->operands_least) {
        fprintf(errors, "switchyard %s: %s is missing; see switchyard %s --help\n", command->name,
                command->operands, command->name);
        return false;
    }
    return true;
}

static bool wants_help(int argc, const char *const *argv, int at)
{
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0)
            return true;
    }
    return false;
}

int sy_command_line(int argc, const char *const *argv, FILE *out, FILE *errors)
{
    int words = 0;
    struct sy_arguments arguments = {.operand_count = 0};
    if (argc < 2) {
        print_usage(errors);
        return SY_EXIT_USAGE;
    }
    bool help = strcmp(argv[1], "help") == 0;
    if ((help && argc == 2) || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_usage(out);
        return SY_EXIT_OK;
    }
    argv += help; /* help serve: serve --help */
    argc -= help;
    if (strcmp(argv[1], "--version") == 0)
        return sy_command_version(&arguments);
    const struct sy_command *command = find_command(argc, argv, &words);
    if (command == NULL) {
        help = help || wants_help(argc, argv, 2);
        if (print_group(argv[1], help ? out : errors) > 0)
            return help ? SY_EXIT_OK : SY_EXIT_USAGE;
        fprintf(errors, "switchyard: no command \"%s\"\n\n", argv[1]);
        print_usage(errors);
        return SY_EXIT_USAGE;
    }
    if (help || wants_help(argc, argv, 1 + words)) {
        print_help(command, out);
        return SY_EXIT_OK;
    }
    if (!read_arguments(command, argc, argv, 1 + words, &arguments, errors))
        return SY_EXIT_USAGE;
    return command->run(&arguments);
}
