/* wire_record HOST PORT TRACE...: runs the script of each trace file against a PostgreSQL and
 * rewrites the file. */
#include <stdio.h>

#include "tests/wire/conversation.h"

static bool record(const char *host, const char *port, const char *path)
{
    struct sy_buf text = {.data = NULL}, trace = {.data = NULL};
    struct sy_err err = {.status = SY_OK};
    enum sy_status status = conversation_load(path, &text, &err);
    if (status == SY_OK)
        status =
            conversation_run(host, port, (struct sy_slice){text.data, text.bytes}, &trace, &err);
    FILE *file = status == SY_OK ? fopen(path, "we") : NULL;
    bool ok = file != NULL && fwrite(trace.data, 1, trace.bytes, file) == trace.bytes;
    if (file != NULL)
        ok = fclose(file) == 0 && ok;
    if (!ok)
        fprintf(stderr, "%s: %s\n%.*s", path, err.text, (int)trace.bytes, trace.data);
    sy_buf_release(&text);
    sy_buf_release(&trace);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: wire_record HOST PORT TRACE...\n");
        return 2;
    }
    bool ok = true;
    for (int i = 3; i < argc; i++)
        ok = record(argv[1], argv[2], argv[i]) && ok;
    return ok ? 0 : 1;
}
