/*
 * A text of console commands; the first byte gives the rights. Cutting makes progress and loses
 * nothing but blanks and semicolons; nobody without rights gets anything, `stats` gets no action,
 * and an administrator may whatever anybody else may; a refusal says why.
 */
#include <string.h>

#include "router/console/console.h"
#include "tests/fuzz/fuzz.h"

static void check_command(struct sy_slice sql, const struct sy_console_rights *rights)
{
    static const struct sy_console_rights all = {.admin = true, .stats = true};
    struct sy_console_command command = {0}, again = {0};
    struct sy_err err = {.status = SY_OK};
    enum sy_status status = sy_console_parse(sql, rights, &command, &err);
    if (status != SY_OK) {
        FUZZ_CHECK(status == SY_E_SYNTAX || status == SY_E_PRIVILEGE ||
                   status == SY_E_UNSUPPORTED || status == SY_E_LIMIT);
        FUZZ_CHECK(err.text[0] != '\0');
        return;
    }
    FUZZ_CHECK(memchr(command.argument, '\0', sizeof(command.argument)) != NULL);
    FUZZ_CHECK(command.scope == SY_CONSOLE_EMPTY || rights->admin || rights->stats);
    FUZZ_CHECK(rights->admin || command.action == SY_ACTION_NONE);
    FUZZ_CHECK((command.scope == SY_CONSOLE_ACTION) == (command.action != SY_ACTION_NONE));
    FUZZ_CHECK(sy_console_parse(sql, &all, &again, &err) == SY_OK);
    FUZZ_CHECK(again.row == command.row && again.action == command.action &&
               again.number == command.number && strcmp(again.argument, command.argument) == 0);
    struct sy_buf out = {.data = NULL};
    sy_console_describe(&command, &out);
    FUZZ_CHECK(command.scope == SY_CONSOLE_EMPTY || (!out.failed && out.bytes >= 5));
    sy_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    const struct sy_console_rights rights = {.admin = data[0] & 1, .stats = data[0] & 2};
    struct sy_slice rest = {(const char *)data + 1, bytes - 1};
    const char *end = rest.data + rest.bytes;
    for (;;) {
        const char *before = rest.data;
        struct sy_slice command = sy_console_cut(&rest);
        FUZZ_CHECK(rest.bytes == 0 || rest.data + rest.bytes == end);
        if (command.bytes == 0)
            break;
        FUZZ_CHECK(command.data >= before && command.data + command.bytes <= end);
        FUZZ_CHECK(rest.bytes == 0 || rest.data >= command.data + command.bytes);
        check_command(command, &rights);
    }
    check_command((struct sy_slice){(const char *)data + 1, bytes - 1}, &rights);
    return 0;
}
