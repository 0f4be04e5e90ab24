/* A router in a child process. */
#include "tests/harness/router.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/serve.h"
#include "tests/harness/cluster.h"
#include "tests/harness/process.h"

struct sy_router {
    uint16_t port;
    pid_t pid;
    char dir[64], config[96], log[96], loop[16];
};

static void write_config(const struct sy_router *router, const char *databases, const char *extra)
{
    char *text = NULL;
    int bytes =
        asprintf(&text,
                 "listen = { address = \"127.0.0.1\"; port = %u; };\n"
                 "data_dir = \"%s\";\nworkers = 2;\n%s\ndatabases = (%s\n",
                 (unsigned)router->port, router->dir, extra == NULL ? "" : extra, databases);
    if (bytes < 0)
        sy_harness_die("out of memory");
    sy_write_file(router->config, text, false);
    free(text);
}

/* There in a build that counts what is executed: _exit() would lose the counts. */
extern void __gcov_dump(void) __attribute__((weak));

/* The counts of a process that is to be killed, and its end. */
static void dump_and_die(int signal_number)
{
    (void)signal_number;
    __gcov_dump();
    (void)raise(SIGKILL);
}

static void run_child(const struct sy_router *router)
{
    if (__gcov_dump != NULL)
        (void)signal(SIGUSR2, dump_and_die);
    int fd = open(router->log, O_CREAT | O_WRONLY | O_APPEND, 0644);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const struct sy_serve_options options = {.config_path = router->config,
                                             .loop = router->loop[0] != 0 ? router->loop : NULL,
                                             .workers = -1};
    int status = sy_serve(&options);
    if (__gcov_dump != NULL)
        __gcov_dump();
    _exit(status);
}

static void wait_until_ready(const struct sy_router *router)
{
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u", (unsigned)router->port);
    for (int i = 0; i < 3000; i++) {
        int status;
        if (waitpid(router->pid, &status, WNOHANG) == router->pid)
            sy_harness_die("the router ended at once, see %s", router->log);
        PGPing ping = PQping(conninfo);
        if (ping == PQPING_OK || ping == PQPING_REJECT)
            return;
        sy_pause_ms(10);
    }
    sy_harness_die("the router does not answer, see %s", router->log);
}

struct sy_router *sy_router_start(const char *databases, const char *extra, const char *loop)
{
    struct sy_router *router = calloc(1, sizeof(*router));
    if (router == NULL)
        sy_harness_die("out of memory");
    router->port = sy_free_port();
    const char *tmp = getenv("TMPDIR");
    snprintf(router->dir, sizeof(router->dir), "%.30s/sy-router-%d-%u", tmp == NULL ? "/tmp" : tmp,
             (int)getpid(), (unsigned)router->port);
    snprintf(router->config, sizeof(router->config), "%s/test.conf", router->dir);
    snprintf(router->log, sizeof(router->log), "%s/log", router->dir);
    snprintf(router->loop, sizeof(router->loop), "%s", loop == NULL ? "" : loop);
    sy_make_dir(router->dir);
    write_config(router, databases, extra);
    fflush(NULL);
    router->pid = fork();
    if (router->pid == 0)
        run_child(router);
    wait_until_ready(router);
    return router;
}

const char *sy_router_log(const struct sy_router *router)
{
    return router->log;
}

static bool log_has(const struct sy_router *router, const char *text)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen(router->log, "r");
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
        found = strstr(line, text) != NULL;
    if (file != NULL)
        (void)fclose(file);
    return found;
}

void sy_router_wait_log(const struct sy_router *router, const char *text)
{
    for (int i = 0; i < 3000; i++) {
        if (log_has(router, text))
            return;
        sy_pause_ms(10);
    }
    sy_harness_die("the router has not logged \"%s\", see %s", text, router->log);
}

/* A killed process's io_uring is taken down by the kernel after the process is gone, and its
 * listening socket with it. */
static void wait_until_port_is_free(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 3000; i++) {
        int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        bool free_now =
            bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0;
        close(fd);
        if (free_now)
            return;
        sy_pause_ms(10);
    }
    sy_harness_die("port %u does not become free", (unsigned)port);
}

void sy_router_restart(struct sy_router *router, bool kill_first)
{
    if (kill_first)
        kill(router->pid, __gcov_dump == NULL ? SIGKILL : SIGUSR2);
    for (int i = 0; i < 3000; i++) {
        if (waitpid(router->pid, NULL, WNOHANG) == router->pid) {
            wait_until_port_is_free(router->port);
            fflush(NULL);
            router->pid = fork();
            if (router->pid == 0)
                run_child(router);
            wait_until_ready(router);
            return;
        }
        sy_pause_ms(10);
    }
    sy_harness_die("the router does not end, see %s", router->log);
}

uint16_t sy_router_port(const struct sy_router *router)
{
    return router->port;
}

pid_t sy_router_pid(const struct sy_router *router)
{
    return router->pid;
}

PGconn *sy_router_connect(const struct sy_router *router, const char *database, const char *more)
{
    char conninfo[512];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=postgres dbname=%s %s",
             (unsigned)router->port, database, more == NULL ? "" : more);
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) != CONNECTION_OK)
        sy_harness_die("cannot connect through the router: %s (log: %s)",
                       PQerrorMessage(connection), router->log);
    return connection;
}

void sy_router_reload(struct sy_router *router, const char *databases, const char *extra)
{
    write_config(router, databases, extra);
    kill(router->pid, SIGHUP);
}

int sy_router_stop(struct sy_router **router, int signal_number)
{
    struct sy_router *gone = *router;
    *router = NULL;
    if (gone == NULL)
        return 0;
    int status = 0;
    kill(gone->pid, signal_number);
    for (int i = 0; i < 3000; i++) {
        if (waitpid(gone->pid, &status, WNOHANG) == gone->pid) {
            bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (good && getenv("SY_TEST_KEEP") == NULL)
                sy_remove_tree(gone->dir);
            else
                fprintf(stderr, "router: kept %s\n", gone->dir);
            free(gone);
            return status;
        }
        sy_pause_ms(10);
    }
    kill(gone->pid, SIGABRT);
    sy_harness_die("the router does not end, see %s", gone->log);
}

bool sy_router_speaks(PGconn *connection)
{
    struct pollfd polled = {.fd = PQsocket(connection), .events = POLLIN};
    return poll(&polled, 1, 60000) == 1;
}

/* ---- statements ---- */

static char *slot(void)
{
    static char ring[8][4096];
    static unsigned at;
    return ring[at++ % 8];
}

static const char *failure(const PGresult *result, PGconn *connection, char *text)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    snprintf(text, 4096, "ERROR %s", state != NULL ? state : PQerrorMessage(connection));
    return text;
}

static bool is_good(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY;
}

static void put_values(const PGresult *result, char *text)
{
    size_t at = 0;
    text[0] = 0;
    for (int row = 0; row < PQntuples(result); row++)
        for (int column = 0; column < PQnfields(result) && at < 4000; column++)
            at += (size_t)snprintf(text + at, 4096 - at, "%s%s",
                                   column > 0 ? "|"
                                   : row > 0  ? "\n"
                                              : "",
                                   PQgetvalue(result, row, column));
}

const char *sy_ask_all(PGconn *connection, const char *sql)
{
    char *text = slot();
    PGresult *result = PQexec(connection, sql);
    if (!is_good(result))
        (void)failure(result, connection, text);
    else
        put_values(result, text);
    PQclear(result);
    return text;
}

const char *sy_tell(PGconn *connection, const char *sql)
{
    char *text = slot();
    PGresult *result = PQexec(connection, sql);
    if (!is_good(result))
        (void)failure(result, connection, text);
    else if (PQnfields(result) > 0)
        put_values(result, text);
    else
        snprintf(text, 4096, "%s", PQcmdStatus(result));
    PQclear(result);
    return text;
}

const char *sy_ask(PGconn *connection, const char *sql)
{
    char *text = slot();
    PGresult *result = PQexec(connection, sql);
    if (!is_good(result))
        (void)failure(result, connection, text);
    else
        snprintf(text, 4096, "%s",
                 PQntuples(result) > 0 && PQnfields(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return text;
}

const char *sy_run(PGconn *connection, const char *sql)
{
    char *text = slot();
    PGresult *result = PQexec(connection, sql);
    if (!is_good(result))
        (void)failure(result, connection, text);
    else
        snprintf(text, 4096, "%s", PQcmdStatus(result));
    PQclear(result);
    return text;
}
