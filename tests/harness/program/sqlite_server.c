/* sqlite_server FILE PORT [REPLICAS]: the embedded engine on 127.0.0.1:PORT (replica k: PORT + k),
 * until SIGINT. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "router/engine/sqlite/sqlite.h"
#include "tests/harness/sqlite_server.h"

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: sqlite_server FILE PORT [REPLICAS]\n");
        return 2;
    }
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    struct sy_sqlite_server_options options = {
        .file = argv[1],
        .port = (uint16_t)strtoul(argv[2], NULL, 10),
        .replicas = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0,
    };
    struct sy_sqlite_server *server = NULL;
    struct sy_err err = {0};
    if (sy_sqlite_server_start(&options, &server, &err) != SY_OK) {
        fprintf(stderr, "sqlite_server: %s\n", err.text);
        return 1;
    }
    printf("listening on 127.0.0.1:%u\n", sy_sqlite_server_port(server, 0));
    fflush(stdout);
    int received = 0;
    sigwait(&set, &received);
    sy_sqlite_server_stop(&server);
    sy_sqlite_stop();
    return 0;
}
