/* Worker threads are scheduled as worker_scheduling says, by default according to what they have to
 * do; no other thread is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness/cluster.h"
#include "tests/harness/router.h"

enum { WORKERS = 2 /* of the harness */, CLIENTS = 16, PATIENCE_S = 120 };

static struct sy_cluster *cluster;
static char databases[512];

static bool is_worker(pid_t pid, int thread)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)pid, thread);
    FILE *file = fopen(path, "r");
    bool found =
        file != NULL && fgets(name, sizeof(name), file) != NULL && strncmp(name, "worker-", 7) == 0;
    if (file != NULL)
        fclose(file);
    return found;
}

/* How many workers have the policy. Other threads are ordinary ones. */
static int workers_under(const struct sy_router *router, int policy)
{
    char path[64];
    int found = 0, others = 0;
    pid_t pid = sy_router_pid(router);
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        int thread = atoi(entry->d_name);
        int has = thread > 0 ? sched_getscheduler(thread) : -1;
        if (has < 0) /* it has ended */
            continue;
        if (is_worker(pid, thread)) {
            found += has == policy;
        } else {
            others++;
            assert_int_equal(has, SCHED_OTHER);
        }
    }
    closedir(tasks);
    assert_true(others > 0);
    return found;
}

/* One statement of each client, all at the same time. */
static void all_ask(PGconn *clients[], int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(PQsendQuery(clients[i], "select pg_sleep(0.02)"), 1);
    for (int i = 0; i < count; i++)
        for (PGresult *result; (result = PQgetResult(clients[i])) != NULL;) {
            assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
            PQclear(result);
        }
}

/* Until so many workers have the policy. */
static bool asks_until(const struct sy_router *router, int policy, int workers, PGconn *clients[],
                       int count)
{
    time_t end = time(NULL) + PATIENCE_S;
    while (workers_under(router, policy) < workers) {
        if (time(NULL) > end)
            return false;
        all_ask(clients, count);
    }
    return true;
}

static void many_statements_make_it_wait_and_few_do_not(void **state)
{
    (void)state;
    struct sy_router *router = sy_router_start(databases, NULL, NULL);
    PGconn *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = sy_router_connect(router, "app", NULL);
    assert_int_equal(workers_under(router, SCHED_OTHER), WORKERS);
    assert_true(asks_until(router, SCHED_BATCH, 1, clients, CLIENTS));
    assert_true(asks_until(router, SCHED_OTHER, WORKERS, clients, 1));
    assert_true(asks_until(router, SCHED_BATCH, 1, clients, CLIENTS));
    for (int i = 0; i < CLIENTS; i++)
        PQfinish(clients[i]);
    assert_int_equal(sy_router_stop(&router, SIGTERM), 0);
}

static void it_is_what_was_asked_for(void **state)
{
    (void)state;
    struct sy_router *router = sy_router_start(databases, "worker_scheduling = \"batch\";", NULL);
    assert_int_equal(workers_under(router, SCHED_BATCH), WORKERS);
    assert_int_equal(sy_router_stop(&router, SIGTERM), 0);
    router = sy_router_start(databases, "worker_scheduling = \"normal\";", NULL);
    assert_int_equal(workers_under(router, SCHED_OTHER), WORKERS);
    assert_int_equal(sy_router_stop(&router, SIGTERM), 0);
}

int main(void)
{
    cluster = sy_cluster_start(&(struct sy_cluster_options){.name = "turn"});
    sy_cluster_sql(cluster, 0, "postgres", "create database app");
    snprintf(databases, sizeof(databases),
             "{ name = \"app\"; engine = \"postgres\"; pool = { size = %d; };\n"
             "  shards = ( { name = \"s0\"; nodes = ( { conninfo = \"host=127.0.0.1 port=%u "
             "dbname=app user=postgres\"; } ); } ); } );",
             CLIENTS, (unsigned)sy_cluster_port(cluster, 0));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_statements_make_it_wait_and_few_do_not),
        cmocka_unit_test(it_is_what_was_asked_for),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sy_cluster_free(&cluster);
    return sy_harness_finish(failed);
}
