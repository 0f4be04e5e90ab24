/*
 * Promise: kill -9 loses no acknowledged write, whoever wrote it and however the commits were
 * grouped; and many writers and readers at once lose no update.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "router/engine/sqlite/sqlite.h"
#include "tests/harness/sqlite_server.h"

enum { WRITERS = 8, READERS = 8, KILLS = 3, INCREMENTS = 60, WRITE_MS = 400 };

static char folder[] = "/tmp/sy-sqlite-XXXXXX";
static char file[64];

static PGconn *connect_to(uint16_t port)
{
    char conninfo[128];
    snprintf(conninfo, sizeof(conninfo), "host=127.0.0.1 port=%u user=app dbname=demo", port);
    return PQconnectdb(conninfo);
}

static bool run(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static long number(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    long value = PQntuples(result) == 1 ? strtol(PQgetvalue(result, 0, 0), NULL, 10) : -1;
    PQclear(result);
    return value;
}

static struct sy_sqlite_server *start(void)
{
    struct sy_sqlite_server *server = NULL;
    struct sy_err err = {0};
    const struct sy_sqlite_server_options options = {.file = file};
    if (sy_sqlite_server_start(&options, &server, &err) != SY_OK)
        fail_msg("%s", err.text);
    return server;
}

/* ---- kill -9 ---- */

struct writer {
    pthread_t thread;
    uint16_t port;
    int number, round;
    long acknowledged; /* rows 1..acknowledged of this writer were confirmed */
};

static void *write_until_cut(void *argument)
{
    struct writer *w = argument;
    PGconn *conn = connect_to(w->port);
    char sql[160];
    for (long i = 1; PQstatus(conn) == CONNECTION_OK; i++) {
        /* Every third as a block of its own, the rest left to the group commit. */
        snprintf(sql, sizeof(sql),
                 i % 3 == 0 ? "begin; insert into log values (%d, %d, %ld); commit"
                            : "insert into log values (%d, %d, %ld)",
                 w->round, w->number, i);
        if (!run(conn, sql))
            break;
        w->acknowledged = i;
    }
    PQfinish(conn);
    return NULL;
}

/* The child serves until it is killed; its port comes through the pipe. */
static pid_t serve(uint16_t *ret_port)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct sy_sqlite_server *server = NULL;
        struct sy_err err = {0};
        const struct sy_sqlite_server_options options = {.file = file};
        uint16_t port = 0;
        if (sy_sqlite_server_start(&options, &server, &err) == SY_OK)
            port = sy_sqlite_server_port(server, 0);
        if (write(ends[1], &port, sizeof(port)) != sizeof(port))
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], ret_port, sizeof(*ret_port)), sizeof(*ret_port));
    close(ends[0]);
    assert_int_not_equal(*ret_port, 0);
    return child;
}

static void check_round(PGconn *conn, const struct writer *w)
{
    char sql[160];
    snprintf(sql, sizeof(sql),
             "select count(*) from log where round = %d and writer = %d and n <= %ld", w->round,
             w->number, w->acknowledged);
    assert_int_equal(number(conn, sql), w->acknowledged);
    /* At most the one statement that was under way may be there besides. */
    snprintf(sql, sizeof(sql),
             "select count(*) from log where round = %d and writer = %d and n > %ld", w->round,
             w->number, w->acknowledged);
    assert_true(number(conn, sql) <= 1);
}

static void every_acknowledged_write_survives_kill_9(void **state)
{
    (void)state;
    struct writer writers[WRITERS] = {0};
    for (int round = 0; round < KILLS; round++) {
        uint16_t port = 0;
        pid_t child = serve(&port);
        PGconn *conn = connect_to(port);
        assert_true(run(conn, "create table if not exists log (round int, writer int, n bigint,"
                              " primary key (round, writer, n))"));
        PQfinish(conn);
        for (int i = 0; i < WRITERS; i++) {
            writers[i] = (struct writer){.port = port, .number = i, .round = round};
            assert_int_equal(pthread_create(&writers[i].thread, NULL, write_until_cut, &writers[i]),
                             0);
        }
        usleep(WRITE_MS * 1000);
        kill(child, SIGKILL);
        for (int i = 0; i < WRITERS; i++)
            pthread_join(writers[i].thread, NULL);
        waitpid(child, NULL, 0);
        child = serve(&port);
        conn = connect_to(port);
        long total = 0;
        for (int i = 0; i < WRITERS; i++) {
            check_round(conn, &writers[i]);
            total += writers[i].acknowledged;
        }
        print_message("round %d: %ld acknowledged, all there\n", round, total);
        assert_true(total > 0);
        PQfinish(conn);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
}

/* ---- many at once ---- */

struct worker {
    pthread_t thread;
    uint16_t port;
    int number;
    atomic_bool *stop;
    bool failed;
};

static void *increment(void *argument)
{
    struct worker *w = argument;
    PGconn *conn = connect_to(w->port);
    for (int i = 0; i < INCREMENTS && !w->failed; i++) {
        /* One statement, or read and write in a block that locks the row first. */
        bool ok = i % 2 == 0 ? run(conn, "update counter set n = n + 1 where id = 1")
                             : run(conn, "begin") &&
                                   run(conn, "select n from counter where id = 1 for update") &&
                                   run(conn, "update counter set n = n + 1 where id = 1") &&
                                   run(conn, "commit");
        w->failed = !ok;
    }
    PQfinish(conn);
    return NULL;
}

static void *read_on(void *argument)
{
    struct worker *w = argument;
    PGconn *conn = connect_to(w->port);
    long last = 0;
    while (!atomic_load(w->stop) && !w->failed) {
        long now = number(conn, "select n from counter where id = 1");
        w->failed = now < last; /* never backwards */
        last = now;
    }
    PQfinish(conn);
    return NULL;
}

static void no_update_is_lost_among_many_writers_and_readers(void **state)
{
    (void)state;
    struct sy_sqlite_server *server = start();
    uint16_t port = sy_sqlite_server_port(server, 0);
    PGconn *conn = connect_to(port);
    assert_true(run(conn, "create table counter (id int primary key, n bigint not null)"));
    assert_true(run(conn, "insert into counter values (1, 0)"));
    struct worker workers[WRITERS + READERS];
    atomic_bool stop = false;
    for (int i = 0; i < WRITERS + READERS; i++) {
        workers[i] = (struct worker){.port = port, .number = i, .stop = &stop};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, i < WRITERS ? increment : read_on,
                                        &workers[i]),
                         0);
    }
    for (int i = 0; i < WRITERS; i++)
        pthread_join(workers[i].thread, NULL);
    atomic_store(&stop, true);
    for (int i = WRITERS; i < WRITERS + READERS; i++)
        pthread_join(workers[i].thread, NULL);
    for (int i = 0; i < WRITERS + READERS; i++)
        assert_false(workers[i].failed);
    assert_int_equal(number(conn, "select n from counter where id = 1"), WRITERS * INCREMENTS);
    PQfinish(conn);
    sy_sqlite_server_stop(&server);
    sy_sqlite_stop();
}

static int set_up(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(file, sizeof(file), "%s/s0.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: its children are forked before this process has threads of its own. */
        cmocka_unit_test(every_acknowledged_write_survives_kill_9),
        cmocka_unit_test(no_update_is_lost_among_many_writers_and_readers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
