/* The program. */
#include "cli/command.h"

int main(int argc, char **argv)
{
    return sy_command_line(argc, (const char *const *)argv, stdout, stderr);
}
